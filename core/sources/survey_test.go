package sources_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/sources"
)

// survey looks at the made-up system as a source says, and makes sure that nothing is
// written by that.
func (w *world) survey(s *sources.Source, limit sources.SurveyLimit) *sources.Survey {
	w.Helper()
	before := w.writes
	found, err := w.Survey(w.Context(), "acme", s, limit)
	if err != nil {
		w.Fatal(err)
	}
	if w.writes != before {
		w.Errorf("it has written %d times", w.writes-before)
	}
	return found
}

// told returns the answer to a question, as level and text.
func told(t *testing.T, found *sources.Survey, question string) string {
	t.Helper()
	for _, a := range append(found.AccountID, found.Record...) {
		if a.Question == question {
			return strings.TrimSpace(string(a.Level) + ": " + a.Text + " " + strings.Join(a.Examples, ", "))
		}
	}
	t.Fatalf("there is no question %s", question)
	return ""
}

// ours makes accounts in the workspace by way of a source that is deleted again.
func (w *world) ours(ids ...string) {
	w.Helper()
	s := w.source("ours", sor)
	for i, id := range ids {
		w.system.put("ours/companies", row{"id": fmt.Sprintf("native-%s", id), "name": "Name " + id, "joined": "2024-01-01", "account_no": id})
		w.system.put("ours/people", row{"id": i, "first": "F", "last": "L", "email": id + "@ours.example", "company": "native-" + id})
	}
	w.done(s)
	if err := w.Delete(w.Context(), "acme", s.ID); err != nil {
		w.Fatal(err)
	}
}

func TestASurveyTellsHowManyAccountsEachLocationFinds(t *testing.T) {
	w := newWorld(t)
	w.ours("a1", "b2", "c3")
	w.system.put("one/companies",
		row{"id": "native-a1", "name": "A", "account_no": "a1"}, row{"id": "native-b2", "name": "B", "account_no": "B2"},
		row{"id": "x", "name": "X"}, row{"id": "native-c3", "name": "C", "account_no": "c3"}, row{"id": "y", "name": "Y", "account_no": "b2"})
	w.system.put("one/people",
		row{"id": 1, "first": "A", "last": "A", "email": "A1@ours.example"}, row{"id": 2, "first": "B", "last": "B"}, row{"id": 3, "first": "C", "last": "C", "email": "c@c.example"})
	s := w.source("one", nil)
	asked := len(w.system.requests)
	found := w.survey(s, sources.SurveyLimit{})
	if n := len(w.system.requests) - asked; n != 4 {
		t.Errorf("%d requests: the check, two pages of companies and one of people are enough: %q", n, w.system.requests[asked:])
	}
	var got []string
	for _, l := range found.Locations {
		line := fmt.Sprintf("%s: %d records (more: %v), %d values, %d one, %d none, %d several, %d%% %d%%;", l.Location, l.Records, l.More, l.Values, l.One, l.None, l.Several, l.OfValues, l.OfRecords)
		for _, e := range l.Examples {
			line += fmt.Sprintf(" %s %q -> %q %s.", e.ID, e.Value, e.Account, e.Why)
		}
		got = append(got, line)
	}
	want := []string{
		`field: 5 records (more: false), 4 values, 3 one, 1 none, 0 several, 75% 60%; native-a1 "a1" -> "a1" . native-b2 "B2" -> "" There is no account 'B2'. x "" -> "" It has nothing there. native-c3 "c3" -> "c3" .`,
		`id: 5 records (more: false), 5 values, 3 one, 2 none, 0 several, 60% 60%; native-a1 "native-a1" -> "a1" . native-b2 "native-b2" -> "b2" . x "x" -> "" No account has the system's id 'x'. y "y" -> "" No account has the system's id 'y'.`,
		`email: 3 records (more: false), 2 values, 1 one, 1 none, 0 several, 50% 33%; 1 "a1@ours.example" -> "a1" . 2 "" -> "" It has nothing there. 3 "c@c.example" -> "" No user or contact has the address c@c.example.`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for question, want := range map[string]string{
		"place":        "bad: Account field of companies has a value in 4 of the 5 records: the others would wait. X",
		"programmatic": "good: All values are alike, as if made by a program: letters, digits. a1",
		"exact":        "bad: 2 records have an account_id that differs from another one in upper and lower case alone. B2, b2",
		"text":         "good: All 4 values are texts or whole numbers.",
		"product":      ":",
		"propagated":   "bad: 3 of 4 values lead to one account (75%), 1 to none and 0 to several. B2",
	} {
		if got := told(t, found, question); got != want {
			t.Errorf("%s: %s\nwant %s", question, got, want)
		}
	}
	if found.Record != nil {
		t.Error("it is looked at as the System of Record, which it is not to be")
	}

	// Two accounts with one address make it ambiguous.
	w.system.put("ours/companies", row{"id": "native-d4", "name": "D", "joined": "2024-01-01", "account_no": "d4"})
	w.system.put("ours/people", row{"id": 99, "first": "F", "last": "L", "email": "a1@ours.example", "company": "native-d4"})
	second := w.source("ours", func(s *sources.Source) { s.SystemOfRecord = true; s.Prefix = "second-" })
	w.done(second)
	if l := w.survey(s, sources.SurveyLimit{}).Locations[2]; l.Several != 1 || l.One != 0 || !strings.HasPrefix(l.Examples[0].Why, "Several accounts, such as ") {
		t.Errorf("%+v", l)
	}
	// What somebody has said goes before any value.
	if err := w.SetLinks(t.Context(), "acme", s.ID, []sources.Link{{Stream: "companies", ID: "x", Account: "a1", By: ann}}); err != nil {
		t.Fatal(err)
	}
	if l := w.survey(s, sources.SurveyLimit{}).Locations[0]; l.Linked != 1 {
		t.Errorf("%d linked", l.Linked)
	}
}

func TestASurveyTriesASourceThatIsNotStored(t *testing.T) {
	w := newWorld(t)
	w.ours("a1", "b2")
	w.system.put("one/companies", row{"id": 1, "name": "A", "account_no": "nothing", "ref": "a1", "joined": "2024-01-01"}, row{"id": 2, "name": "B", "account_no": "such", "ref": "b2", "joined": "2024-01-01"})
	s := w.source("one", nil)
	draft := *s
	draft.Settings = map[string]string{"site": "one", "account_field": "ref"}
	draft.SystemOfRecord = true
	found := w.survey(s.With(draft), sources.SurveyLimit{})
	if l := found.Locations[0]; l.One != 2 || l.OfRecords != 100 {
		t.Errorf("%+v", l)
	}
	if got, want := told(t, found, "all_accounts"), "good: It has all 2 active accounts that are here, and 0 more (the 2 records)."; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if stored, err := w.Get(t.Context(), "acme", s.ID); err != nil || stored.SystemOfRecord || stored.Settings["account_field"] != "" {
		t.Errorf("%+v, %v", stored, err)
	}
	draft.Location = "email"
	_, err := w.Survey(t.Context(), "acme", s.With(draft), sources.SurveyLimit{})
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != "location" {
		t.Errorf("a location that cannot be is tried: %v", err)
	}
}

func TestASurveyAnswersWhatIsToBeAskedOfAnAccountID(t *testing.T) {
	for name, c := range map[string]struct {
		values []any
		change func(*sources.Source)
		want   map[string]string
	}{
		"digits": {[]any{"17", 18, "19"}, nil, map[string]string{
			"place": "good: Account field of companies has a value in all 3 records.", "programmatic": "good: All values are alike, as if made by a program: digits alone. 17",
			"text": "good: All 3 values are texts or whole numbers.", "exact": "good: No value has spaces, or differs from another one in case alone.",
			"propagated": ": There are no accounts here yet to compare with."}},
		"the system's own id": {[]any{"1"}, func(s *sources.Source) { s.Location = "id" }, map[string]string{
			"place": "warn: ID of companies has a value in the only record. It is an acceptable place, not the best."}},
		"nothing": {[]any{nil, ""}, nil, map[string]string{
			"place": "bad: Account field of companies has nothing in all 2 records.", "programmatic": ":", "exact": ":"}},
		"random ones of one length": {[]any{"0015g00000XyZab", "00A9g11000Qr3tb", "0B1x2y3z4A5b6C7"}, nil, map[string]string{
			"programmatic": "good: All values are alike, as if made by a program: 15 letters and digits, mixed. 0015g00000XyZab"}},
		"words": {[]any{"acme", "beta"}, nil, map[string]string{
			"programmatic": "warn: The values look as if typed by hand: they are letters alone. acme"}},
		"mixed ones": {[]any{"A-1", "acme", "a b"}, nil, map[string]string{
			"programmatic": "warn: The values are not alike, as if typed by hand or from several places: letters alone (1); letters, “-”, digits (1); words with spaces (1). acme, A-1, a b",
			"exact":        "warn: 1 record has an account_id with spaces in it, which are easily entered differently. a b"}},
		"addresses": {[]any{"a@a.example", "b@b.example"}, nil, map[string]string{
			"programmatic": "warn: E-mail addresses are entered by people, and change. a@a.example"}},
		"decimals": {[]any{1.5, 12345}, nil, map[string]string{
			"text": "bad: 1 record has a number with a fraction or an exponent there. 1.5"}},
		"truth values": {[]any{true, "a1"}, nil, map[string]string{
			"text": "bad: 1 record has neither a text nor a number there. true"}},
		"the same twice": {[]any{"a1", "a1"}, nil, map[string]string{
			"exact": "warn: 2 records have an account_id that another one has, too: all of them belong to one account. a1"}},
		"the same twice, where accounts are made of it": {[]any{"a1", "a1"}, sor, map[string]string{
			"exact":      "bad: 2 records have an account_id that another one has, too: only the first of them would become an account. a1",
			"propagated": ":"}},
		"one of many is not like the others": {append(slices.Repeat([]any{"C-1"}, 99), "Beta"), nil, map[string]string{
			"programmatic": "warn: Nearly all values are alike (letters, “-”, digits), but not 1 of 100: were those typed? C-1, Beta"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i, value := range c.values {
				w.system.put("one/companies", row{"id": i, "name": "N", "joined": "2024-01-01", "account_no": value})
			}
			found := w.survey(w.source("one", c.change), sources.SurveyLimit{})
			for question, want := range c.want {
				if got := told(t, found, question); got != want {
					t.Errorf("%s: %s\nwant %s", question, got, want)
				}
			}
		})
	}
}

func TestASurveyAnswersWhatIsToBeAskedOfASystemOfRecord(t *testing.T) {
	w := newWorld(t)
	other := w.source("two", func(s *sources.Source) { s.Connector, s.Prefix = "other", "two-" })
	for i := range 40 {
		company := row{"id": i, "name": fmt.Sprintf("N%d", i), "joined": fmt.Sprintf("2024-01-%02d", i%28+1), "account_no": fmt.Sprintf("a%d", i), "customer": i%4 > 0, "about": row{"a kind": []string{"big", "small"}[i%2], "note": fmt.Sprint("n", i)}, "same": "x"}
		switch i {
		case 7:
			delete(company, "name")
		case 8, 9:
			company["joined"] = "the other day"
		case 11:
			company["account_no"] = ""
		}
		w.system.put("one/companies", company)
	}
	s := w.source("one", sor)
	found := w.survey(s, sources.SurveyLimit{})
	for question, want := range map[string]string{
		"all_accounts":     "good: There are no accounts here yet: 39 accounts would come from the 40 records. Whether these are all, you know.",
		"mandatory_fields": "warn: Of the 40 records: account_id is missing in 1; name is missing in 1; join_date is missing or not what it must be in 2 (",
		"filter":           "good: 2 fields have few values in all 40 records, by which they can be told apart. Accounts can be restricted to those that are also in two. .customer, .about[\"a kind\"]",
	} {
		if got := told(t, found, question); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s\nwant %s", question, got, want)
		}
	}
	if got := told(t, found, "mandatory_fields"); !strings.HasSuffix(got, "These records would wait, and become no accounts. N8, N9") {
		t.Errorf("%s", got)
	}
	want := []sources.TellingValue{{Value: "true", Count: 30}, {Value: "false", Count: 10}}
	if len(found.Telling) != 2 || !slices.Equal(found.Telling[0].Values, want) {
		t.Errorf("%+v", found.Telling)
	}
	// What is told is what happens.
	r := w.done(s)
	if r.Waiting != 4 || r.Total().Inserted != 36 {
		t.Errorf("%s, %d wait", counts(r), r.Waiting)
	}
	if err := w.Delete(t.Context(), "acme", other.ID); err != nil {
		t.Fatal(err)
	}
	w.system.drop("one/companies", 7, 8, 9, 10, 11, 12)
	found = w.survey(s, sources.SurveyLimit{})
	for question, want := range map[string]string{
		"all_accounts":     "bad: 2 of the 36 active accounts here are not in it; it has 0 more that are not here (the 34 records). a10, a12",
		"mandatory_fields": "good: account_id, name, join_date are there in all 34 records.",
	} {
		if got := told(t, found, question); got != want {
			t.Errorf("%s: %s\nwant %s", question, got, want)
		}
	}
}

func TestASurveyOfAPartSaysSo(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.system.put("one/companies", row{"id": i, "name": "N", "joined": "2024-01-01", "account_no": fmt.Sprint("a", i)})
	}
	w.ours("a1", "a19", "elsewhere")
	s := w.source("one", sor)
	part := sources.SurveyLimit{Records: 6}
	found := w.survey(s, part)
	if l := found.Locations[0]; l.Records != 6 || !l.More || found.Streams[0].Why != "" {
		t.Errorf("%+v", l)
	}
	const want = "warn: Of the first 6 records 1 are accounts that are here, and 5 would be new. Whether it has all 3 accounts here is known once all its records have been read."
	if got := told(t, found, "all_accounts"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	w.done(s)
	found = w.survey(s, part)
	if got := told(t, found, "all_accounts"); !strings.HasPrefix(got, "warn: 1 of the 21 active accounts here are not in it; it has 0 more that are not here (the records as they were last read whole, on ") || !strings.HasSuffix(got, " elsewhere") {
		t.Errorf("%s", got)
	}
	// What is remembered of another place says nothing of this one.
	draft := *s
	draft.Location = "id"
	if got, want := told(t, w.survey(s.With(draft), part), "all_accounts"), "bad: Not one of the first 6 records is an account that is here, of which there are 21: is it another account_id? a0, a1, a10"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestASurveyTellsWhatItHasReachedInItsTime(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.system.put("one/companies", row{"id": i, "name": "N", "joined": "2024-01-01", "account_no": fmt.Sprint("a", i)})
		w.system.put("one/people", row{"id": i, "first": "F", "last": "L", "email": fmt.Sprint(i, "@a.example")})
	}
	s := w.source("one", nil)
	w.system.refuse = func(_ int, r *http.Request) *http.Response {
		if r.URL.Path == "/api/companies" && r.URL.Query().Get("page") == "6" {
			<-r.Context().Done()
			return answer(500, row{})
		}
		return nil
	}
	found := w.survey(s, sources.SurveyLimit{Time: time.Second})
	if l := found.Locations[0]; l.Records != 6 || !l.More || l.Why != "" {
		t.Errorf("%+v", l)
	}
	if st := found.Streams[0]; st.Why != "The system has taken too long" || !st.More || st.Records != 6 {
		t.Errorf("%+v", st)
	}
	if l := found.Locations[2]; l.Records != 20 || l.More {
		t.Errorf("the other stream has had no time: %+v", l)
	}

	// A stream that is refused is told, and keeps nobody from the others.
	w.system.refuse = func(_ int, r *http.Request) *http.Response {
		if r.URL.Path == "/api/companies" {
			return answer(403, row{"error": "no right to see companies"})
		}
		return nil
	}
	found = w.survey(s, sources.SurveyLimit{})
	if l := found.Locations[0]; !strings.Contains(l.Why, "no right to see companies") || l.Records != 0 {
		t.Errorf("%+v", l)
	}
	if got := told(t, found, "place"); !strings.HasPrefix(got, "bad: ") || !strings.Contains(got, "no right to see companies") {
		t.Errorf("%s", got)
	}
	if l := found.Locations[2]; l.Records != 20 {
		t.Errorf("%+v", l)
	}

	w.system.refuse = nil
	if err := w.SetCredentials(t.Context(), "acme", s, "key", map[string]string{"api_key": "secret-wrong"}, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Survey(t.Context(), "acme", s, sources.SurveyLimit{}); !errors.Is(err, connector.ErrCredentials) || strings.Contains(err.Error(), "secret-wrong") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Survey(ctx, "acme", s, sources.SurveyLimit{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
