package matching_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/matching"
)

// each yields names.
func each(names ...matching.Name) iter.Seq2[matching.Name, error] {
	return func(yield func(matching.Name, error) bool) {
		for _, n := range names {
			if !yield(n, nil) {
				return
			}
		}
	}
}

func index(t testing.TB, names ...matching.Name) *matching.Index {
	t.Helper()
	x, err := matching.NewIndex(t.Context(), each(names...))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// lowest is a least score that leaves nothing out.
var lowest = matching.Options{Min: -1, Most: 100}

// score returns the score of two names among some others, and the kinds of reasons.
func score(t testing.TB, ours, theirs matching.Name) (int, string) {
	t.Helper()
	ours.ID = "ours"
	names := []matching.Name{ours}
	for i := range 50 {
		names = append(names, matching.Name{ID: fmt.Sprint("other-", i), Name: fmt.Sprintf("Unlike%d Bank", i)})
	}
	for _, c := range index(t, names...).Find(theirs, lowest) {
		if c.Account == "ours" {
			var kinds []string
			for _, r := range c.Reasons {
				kinds = append(kinds, r.What)
			}
			return c.Score, strings.Join(kinds, ", ")
		}
	}
	return 0, ""
}

func named(name string) matching.Name { return matching.Name{Name: name} }

func TestNamesAreScoredAsPeopleWouldScoreThem(t *testing.T) {
	type name = matching.Name
	for _, c := range []struct {
		ours, theirs name
		least, most  int
		kinds        string
	}{
		// The same company.
		{named("Acme"), named("ACME"), 88, 88, "name tokens"},
		{named("Acme Rockets, Inc."), named("acme rockets incorporated"), 90, 100, "name tokens, legal suffix"},
		{named("Acme Rockets"), named("Acme Rockets GmbH & Co. KG"), 88, 100, "name tokens"},
		{named("Acme Rockets GmbH & Co. KG"), named("ACME ROCKETS GMBH UND CO KG"), 90, 100, "name tokens, legal suffix"},
		{named("Müller & Söhne"), named("Muller und Sohne"), 88, 100, "name tokens"},
		{named("Müller Bau"), named("Mueller Bau"), 75, 87, "name tokens, typo"},
		{named("Straßenbau Weiß AG"), named("STRASSENBAU WEISS Aktiengesellschaft"), 90, 100, "name tokens, legal suffix"},
		{named("Ørsted A/S"), named("Orsted AS"), 90, 100, "name tokens, legal suffix"},
		{named("Łódź Sp. z o.o."), named("Lodz Spzoo"), 90, 100, "name tokens, legal suffix"},
		{named("ООО Газпром"), named("Gazprom OOO"), 90, 100, "name tokens, legal suffix"},
		{named("Ελλάδα"), named("Ellada"), 88, 88, "name tokens"},
		{named("トヨタ株式会社"), named("トヨタ K.K."), 90, 100, "name tokens, legal suffix"},
		{named("Grupo Azul, S.A. de C.V."), named("Grupo Azul SA de CV"), 90, 100, "name tokens, legal suffix"},
		{named("O'Reilly Media"), named("OReilly Media"), 88, 88, "name tokens"},
		{named("Rockets of Acme"), named("Acme Rockets"), 80, 87, "name tokens, order"},
		{named("Datadog"), named("Data Dog"), 80, 87, "name tokens, spacing"},
		{named("Gazelle Printing"), named("Gazele Printing"), 70, 87, "name tokens, typo"},
		{named("The Boring Company"), named("Boring Co."), 88, 88, "name tokens"},
		{named("Acme"), named("Acme Germany"), 55, 80, "name tokens"},
		{named("I.B.M. Corp."), named("International Business Machines Corporation"), 40, 60, "initials, legal suffix"},
		{name{Name: "Acme", Domain: "acme.com"}, name{Name: "Acme", Domain: "https://www.acme.com/en"}, 94, 100, "name tokens, domain"},
		{name{Name: "Acme", Domain: "shop.acme.co.uk"}, name{Name: "Acme", Domain: "sales@acme.co.uk"}, 94, 100, "name tokens, domain"},
		{name{Name: "Acme", Domain: "acme.de"}, name{Name: "Acme", Domain: "acme.com"}, 90, 94, "name tokens, domain"},
		{name{Name: "Acme", Phone: "+49 (0)30 123 45 67"}, name{Name: "Acme", Phone: "030/1234567"}, 92, 96, "name tokens, phone"},
		{name{Name: "Acme", Street: "12 Main Street", City: "Springfield"}, name{Name: "Acme", Street: "Main St. 12, Suite 4", City: "SPRINGFIELD"}, 91, 95, "name tokens, address"},
		// Perhaps.
		{name{Name: "Old Name", Domain: "acme.com"}, name{Name: "Brand New", Domain: "acme.com"}, 60, 70, "domain"},
		{name{Name: "Acme", City: "Berlin"}, name{Name: "Acme", City: "Lima"}, 70, 85, "name tokens, address"},
		{name{Name: "Acme", Country: "DE"}, name{Name: "Acme", Country: "PE"}, 70, 85, "name tokens, country"},
		{named("Acme Inc."), named("Acme GmbH"), 70, 80, "name tokens, legal suffix"},
		{name{Name: "Acme", Domain: "acme.com"}, name{Name: "Acme", Domain: "acmerockets.com"}, 70, 80, "name tokens, domain"},
		{name{Name: "Acme", Domain: "a@gmail.com"}, name{Name: "Acme", Domain: "gmail.com"}, 88, 88, "name tokens"},
		// Others.
		{named("Studio 54"), named("Studio 55"), 0, 40, ""},
		{named("Acme Rockets"), named("Blue Rockets"), 0, 40, "name tokens"},
		{named("Alpha Bank"), named("Omega Bank"), 0, 40, ""},
		{named("Globex"), named("Initech"), 0, 0, ""},
		{named(""), named(""), 0, 0, ""},
		{name{Name: "Globex", Domain: "b@gmail.com"}, name{Name: "Initech", Domain: "a@gmail.com"}, 0, 0, ""},
	} {
		got, kinds := score(t, c.ours, c.theirs)
		if got < c.least || got > c.most {
			t.Errorf("%+v, %+v: %d, not from %d to %d (%s)", c.ours, c.theirs, got, c.least, c.most, kinds)
		}
		if c.kinds != "" && kinds != c.kinds {
			t.Errorf("%+v, %+v: reasons %s, not %s", c.ours, c.theirs, kinds, c.kinds)
		}
	}
}

func TestCandidatesComeBestFirstAndAddUp(t *testing.T) {
	ours := each(
		matching.Name{ID: "a-3", Name: "Acme Rockets Ltd"},
		matching.Name{ID: "a-1", Name: "Acme"},
		matching.Name{ID: "a-2", Name: "Acme Rockets Inc", Domain: "acme.com", City: "Springfield"},
		matching.Name{ID: "a-9", Name: "Globex"},
	)
	theirs := each(matching.Name{ID: "1", Name: "Initech"}, matching.Name{ID: "2", Name: "ACME Rockets, Inc.", Domain: "www.acme.com"}, matching.Name{ID: "3", Name: "globex"})
	var got []string
	for c, err := range matching.Match(t.Context(), ours, theirs, matching.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, r := range c.Reasons {
			sum += r.Points
		}
		if sum != c.Score {
			t.Errorf("%+v: the points add up to %d", c, sum)
		}
		got = append(got, fmt.Sprintf("%s %s %d %t", c.ID, c.Account, c.Rank, c.Ambiguous))
	}
	if want := []string{"2 a-2 1 false", "2 a-3 2 false", "3 a-9 1 false"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestHomonymsAreAmbiguousUntilSomethingTellsThemApart(t *testing.T) {
	x := index(t, matching.Name{ID: "b", Name: "Acme", City: "Lima"}, matching.Name{ID: "a", Name: "ACME", City: "Berlin"}, matching.Name{ID: "c", Name: "Acme Tools"})
	found := x.Find(named("Acme"), matching.Options{Min: 1})
	if len(found) != 3 || found[0].Account != "a" || !found[0].Ambiguous || found[1].Account != "b" || !found[1].Ambiguous || found[2].Ambiguous {
		t.Errorf("%+v", found)
	}
	found = x.Find(named("Acme"), matching.Options{Most: 1})
	if len(found) != 1 || !found[0].Ambiguous {
		t.Errorf("of one that is shown: %+v", found)
	}
	found = x.Find(matching.Name{Name: "Acme", City: "Lima"}, matching.Options{})
	if len(found) < 2 || found[0].Account != "b" || found[0].Ambiguous {
		t.Errorf("with a city: %+v", found)
	}
}

func TestAnAccountWithSeveralNamesIsOneCandidate(t *testing.T) {
	x := index(t, matching.Name{ID: "a", Name: "Acme Rockets"}, matching.Name{ID: "a", Name: "Acme"})
	found := x.Find(named("Acme"), matching.Options{})
	if len(found) != 1 || found[0].Score != 88 || found[0].Ambiguous {
		t.Errorf("%+v", found)
	}
}

func TestFrequentWordsAreFoundTogether(t *testing.T) {
	var names []matching.Name
	for i := range 4000 {
		names = append(names, matching.Name{ID: fmt.Sprint(i), Name: fmt.Sprintf("%s %s Nr%d", []string{"Smith", "Jones"}[i%2], []string{"Carpets", "Flowers", "Bakery"}[i%3], i)})
	}
	names = append(names, matching.Name{ID: "it", Name: "Smith Carpets Flowers"})
	found := index(t, names...).Find(named("Flowers Smyth, Carpets"), matching.Options{})
	if len(found) == 0 || found[0].Account != "it" {
		t.Errorf("%+v", found)
	}
}

func TestADomainOfManyAccountsSaysLittle(t *testing.T) {
	var names []matching.Name
	for i := range 10 {
		names = append(names, matching.Name{ID: fmt.Sprint(i), Name: fmt.Sprint("Client", i), Domain: "agency.com"})
	}
	if found := index(t, names...).Find(matching.Name{Name: "Globex", Domain: "agency.com"}, matching.Options{Min: 10}); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

func TestErrorsEndTheMatching(t *testing.T) {
	broken := errors.New("broken")
	failing := func(yield func(matching.Name, error) bool) {
		_ = yield(matching.Name{ID: "1", Name: "Acme"}, nil) && yield(matching.Name{}, broken)
	}
	good := each(matching.Name{ID: "1", Name: "Acme"})
	last := func(ctx context.Context, ours, theirs iter.Seq2[matching.Name, error]) (n int, err error) {
		for _, err = range matching.Match(ctx, ours, theirs, matching.Options{}) {
			n++
		}
		return n, err
	}
	if n, err := last(t.Context(), failing, good); n != 1 || !errors.Is(err, broken) {
		t.Errorf("ours: %d, %v", n, err)
	}
	if n, err := last(t.Context(), good, failing); n != 2 || !errors.Is(err, broken) {
		t.Errorf("theirs: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := last(ctx, good, good); n != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %d, %v", n, err)
	}
	for range matching.Match(t.Context(), good, good, matching.Options{}) {
		break // nothing is yielded after that
	}
}

// names generates names that have much in common.
var names = rapid.Custom(func(t *rapid.T) matching.Name {
	word := rapid.OneOf(rapid.SampledFrom([]string{"Acme", "acme", "Acmee", "Rockets", "Rocket", "Bank", "Banc", "of", "&", "Group", "Müller", "Mueller", "GmbH", "Inc.", "S.A.", "I", "B", "M", "54"}), rapid.String())
	texts := func(all ...string) string {
		return rapid.OneOf(rapid.SampledFrom(append(all, "")), rapid.String()).Draw(t, "text")
	}
	return matching.Name{
		Name:    strings.Join(rapid.SliceOfN(word, 0, 5).Draw(t, "words"), rapid.SampledFrom([]string{" ", " ", "-", ""}).Draw(t, "between")),
		Domain:  texts("acme.com", "www.acme.com", "acme.de", "a@bank.co.uk"),
		Phone:   texts("+1 415 555 0100", "415-555-0100"),
		Street:  texts("1 Main Street", "Main St 1", "Hauptstraße 5"),
		City:    texts("Berlin", "Lima"),
		Country: texts("DE", "de", "US"),
	}
})

func TestScoresAreTheSameBothWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := names.Draw(t, "a"), names.Draw(t, "b")
		// Weights come of ours: they must be the same both times.
		x, err := matching.NewIndex(context.Background(), each(a, b))
		if err != nil {
			t.Fatal(err)
		}
		if there, back := x.Score(a, b), x.Score(b, a); there != back || there < 0 || there > 100 {
			t.Errorf("%d, %d", there, back)
		}
	})
}

func TestScoresAreBoundedAndAddUpInWhateverOrderOursAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ours := rapid.SliceOfN(names, 0, 12).Draw(t, "ours")
		for i := range ours {
			ours[i].ID = fmt.Sprint(i % 9)
		}
		theirs := names.Draw(t, "theirs")
		o := matching.Options{Min: rapid.IntRange(-1, 100).Draw(t, "min"), Most: rapid.IntRange(0, 20).Draw(t, "most")}
		x, err := matching.NewIndex(context.Background(), each(ours...))
		if err != nil {
			t.Fatal(err)
		}
		found := x.Find(theirs, o)
		for i, c := range found {
			sum := 0
			for _, r := range c.Reasons {
				if sum += r.Points; r.Points == 0 || r.Detail == "" {
					t.Errorf("%+v says nothing", r)
				}
			}
			if sum != c.Score || sum > 100 || sum < 0 || c.Rank != i+1 {
				t.Errorf("%d: %+v", i, c)
			}
			if i > 0 && (c.Score > found[i-1].Score || c.Score == found[i-1].Score && c.Account <= found[i-1].Account) {
				t.Errorf("%+v comes after %+v", c, found[i-1])
			}
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(ours), func(i, j int) { ours[i], ours[j] = ours[j], ours[i] })
		if x, err = matching.NewIndex(context.Background(), each(ours...)); err != nil {
			t.Fatal(err)
		}
		if again := x.Find(theirs, o); !reflect.DeepEqual(again, found) {
			t.Errorf("%+v, then %+v", found, again)
		}
	})
}

func TestFoldingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := names.Draw(t, "name").Name
		once, _ := matching.Fold(name)
		if twice, _ := matching.Fold(strings.Join(once, " ")); !slices.Equal(once, twice) {
			t.Errorf("%q: %q, then %q", name, once, twice)
		}
	})
}

func TestNamesAreFolded(t *testing.T) {
	for _, c := range []struct{ name, want, legal string }{
		{"Acme® (Deutschland) G.m.b.H.", "acme deutschland", "gmbh"},
		{"J. P. Morgan & Co.", "jp morgan", ""},
		{"A & B", "ab", ""},
		{"Limited Inc", "limited", "inc"},
		{"The The", "the the", ""},
		{"Ltd", "ltd", ""},
		{"PT Bank Central Asia Tbk", "bank central asia", "tbk"},
		{"S.A.R.L. Dupont", "dupont", "sarl"},
		{"Acme Pty. Ltd.", "acme", "pty ltd"},
		{"Company S. de R.L. de C.V.", "company", "s rl cv"},
		{"ＡＣＭＥ　ＬＴＤ", "acme", "ltd"},
		{"e\u0301clair", "eclair", ""},
		{"Яндекс", "yandeks", ""},
		{"北京公司有限公司", "bei jing gong si", "ltd"},
		{"\xff\xfeAcme", "acme", ""},
		{"!!!", "", ""},
	} {
		tokens, legal := matching.Fold(c.name)
		if got := strings.Join(tokens, " "); got != c.want || legal != c.legal {
			t.Errorf("%s: %q, %q", c.name, got, legal)
		}
	}
}

func TestALegalFormHasOneKind(t *testing.T) {
	for _, twice := range matching.FormsTwice() {
		t.Errorf("%s has two kinds", twice)
	}
}

func FuzzMatching(f *testing.F) {
	f.Add("Acme Inc", "acme.com", "+1 415 555 0100", "1 Main St", "ACME")
	f.Add("I.B.M.", "http://x", "x", "", "International Business Machines")
	f.Fuzz(func(t *testing.T, name, domain, phone, street, other string) {
		n := matching.Name{ID: "1", Name: name, Domain: domain, Phone: phone, Street: street, City: other, Country: other}
		x := index(t, n, matching.Name{ID: "2", Name: other})
		for _, c := range append(x.Find(n, lowest), x.Find(matching.Name{Name: other, Street: name}, lowest)...) {
			if c.Score < 0 || c.Score > 100 {
				t.Errorf("%+v", c)
			}
		}
		once, _ := matching.Fold(name)
		if twice, _ := matching.Fold(strings.Join(once, " ")); !slices.Equal(once, twice) {
			t.Errorf("%q, then %q", once, twice)
		}
	})
}
