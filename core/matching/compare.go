package matching

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/hbollon/go-edlib"
)

// How much what names have in common is worth: of the name in points, of all else as
// a share of what is missing to 100. What contradicts takes away a share of what is
// there.
const (
	nameIsSame       = 88.0
	nameIsInitials   = 45.0
	otherOrder       = -0.03
	otherSpaces      = -0.04
	legalIsSame      = 0.2
	legalIsOther     = -0.14
	domainIsSame     = 0.65
	siteIsSame       = 0.4
	domainIsOther    = -0.15
	phoneIsSame      = 0.45
	addressIsSame    = 0.4
	streetIsSame     = 0.2
	cityIsSame       = 0.15
	cityIsOther      = -0.08
	countryIsSame    = 0.03
	countryIsOther   = -0.1
	typoOfAllLetters = 2.0 // of the share of letters that differ
)

// similarity returns how alike two different words are, in thousandths; 0 for words
// that nobody would take for each other. It is the same both ways.
func similarity(a, b string) int {
	if a > b {
		a, b = b, a // the library's is not, always
	}
	if !mayBeMisspelt(a) || !mayBeMisspelt(b) {
		return 0
	}
	const long, alike = 8, 0.88
	letters := 1
	if min(len(a), len(b)) >= long {
		letters = 2
	}
	if len(a)-len(b) > letters || len(b)-len(a) > letters {
		return 0
	}
	jw := edlib.JaroWinklerSimilarity(a, b)
	if jw < alike || edlib.OSADamerauLevenshteinDistance(a, b) > letters {
		return 0
	}
	return int(jw * 1000)
}

// aligned is a word of one name and its counterpart in the other.
type aligned struct{ ours, theirs, alike int }

// align pairs the words of two names: those that are the same first, then those that
// are most alike.
func align(ours, theirs []token) []aligned {
	var pairs, all []aligned
	usedOurs, usedTheirs := make([]bool, len(ours)), make([]bool, len(theirs))
	for i, a := range ours {
		for j, b := range theirs {
			if a.text == b.text && !usedOurs[i] && !usedTheirs[j] {
				usedOurs[i], usedTheirs[j] = true, true
				pairs = append(pairs, aligned{i, j, 1000})
			}
		}
	}
	if len(pairs) == len(ours) || len(pairs) == len(theirs) {
		return pairs
	}
	for i, a := range ours {
		for j, b := range theirs {
			if !usedOurs[i] && !usedTheirs[j] {
				if alike := similarity(a.text, b.text); alike > 0 {
					all = append(all, aligned{i, j, alike})
				}
			}
		}
	}
	// Ties are broken by what is the same whichever name is ours.
	slices.SortStableFunc(all, func(p, q aligned) int {
		a, b, c, d := ours[p.ours].text, theirs[p.theirs].text, ours[q.ours].text, theirs[q.theirs].text
		return cmp.Or(cmp.Compare(q.alike, p.alike), cmp.Compare(min(a, b), min(c, d)), cmp.Compare(max(a, b), max(c, d)))
	})
	for _, p := range all {
		if !usedOurs[p.ours] && !usedTheirs[p.theirs] {
			usedOurs[p.ours], usedTheirs[p.theirs] = true, true
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// tally adds up a score and what it is made of.
type tally struct {
	score   int
	explain bool
	reasons []Reason
}

// add adds points; none make no reason.
func (t *tally) add(what string, points int, detail func() string) {
	t.score += points
	if points != 0 && t.explain {
		t.reasons = append(t.reasons, Reason{what, points, detail()})
	}
}

// share adds a share of what is missing to 100, or takes a share away.
func (t *tally) share(what string, share float64, detail func() string) {
	of := 100 - t.score
	if share < 0 {
		of = t.score
	}
	t.add(what, int(math.Round(float64(of)*share)), detail)
}

// compare returns the score of one of our names and another's, and how it comes about
// if that is asked for. The score is the same if the names change places.
func (x *Index) compare(ours, theirs *record, explain bool) (int, []Reason) {
	t := &tally{explain: explain}
	same := x.compareNames(t, ours, theirs)
	both := func(text string) func() string { return func() string { return text + " in both" } }
	differ := func(a, b string) func() string { return func() string { return "ours: " + a + "; theirs: " + b } }

	switch {
	case ours.legal == "" || theirs.legal == "":
	case ours.legal == theirs.legal:
		t.share(Legal, legalIsSame*same*same, both(ours.legal))
	default:
		t.share(Legal, legalIsOther, differ(ours.legal, theirs.legal))
	}

	switch {
	case ours.domain == "" || theirs.domain == "":
	case ours.domain == theirs.domain:
		t.share(Domain, domainIsSame/x.owners(key(aDomain, ours.domain)), both(ours.domain))
	case ours.site == theirs.site:
		t.share(Domain, siteIsSame/x.owners(key(aSite, ours.site)), differ(ours.domain, theirs.domain))
	default:
		t.share(Domain, domainIsOther, differ(ours.domain, theirs.domain))
	}

	if ours.phone != "" && ours.phone == theirs.phone {
		t.share(Phone, phoneIsSame/x.owners(key(aPhone, ours.phone)), func() string { return "the same at the end: " + ours.phone })
	}

	x.compareAddresses(t, ours, theirs)

	switch a, b := ours.country, theirs.country; {
	case a == "" || b == "":
	case a == b:
		t.share(Country, countryIsSame*same, both(a))
	case len(a) == 2 && len(b) == 2:
		t.share(Country, countryIsOther, differ(a, b))
	}
	return t.score, t.reasons
}

// owners returns how many names of ours share a domain or a phone number: the more
// do, the less it says.
func (x *Index) owners(key uint64) float64 { return float64(max(1, len(x.posted.get(key)))) }

// compareNames compares names alone, and returns which share of them is the same,
// from 0 to 1.
func (x *Index) compareNames(t *tally, ours, theirs *record) float64 {
	a, b := ours.tokens, theirs.tokens
	if a == nil {
		a = x.tokens(*ours)
	}
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	pairs := align(a, b)
	// Weights are whole numbers, so that their order does not matter.
	alike, lost, all := 0, 0, 0
	inOurs, inTheirs := make([]bool, len(a)), make([]bool, len(b))
	ordered := true
	for _, p := range pairs {
		inOurs[p.ours], inTheirs[p.theirs] = true, true
		// A word that is misspelt is rare for that reason alone.
		w := min(a[p.ours].weight, b[p.theirs].weight)
		alike, lost, all = alike+2*w, lost+2*w*(1000-p.alike), all+2*w
	}
	for _, p := range pairs {
		for _, q := range pairs {
			ordered = ordered && (p.ours < q.ours) == (p.theirs < q.theirs)
		}
	}
	for i := range a {
		if !inOurs[i] {
			all += a[i].weight
		}
	}
	for i := range b {
		if !inTheirs[i] {
			all += b[i].weight
		}
	}
	same := float64(alike) / float64(all)

	if same < 1 && joined(a) == joined(b) {
		t.add(NameTokens, int(nameIsSame), func() string { return joined(a) + " in both" })
		t.share(Spacing, otherSpaces, func() string { return "ours: " + spaced(a) + "; theirs: " + spaced(b) })
		return 1
	}
	if len(pairs) == 0 && (isInitials(a, b) || isInitials(b, a)) {
		t.add(Initials, int(nameIsInitials), func() string { return "ours: " + spaced(a) + "; theirs: " + spaced(b) })
		return 0.5
	}
	points := math.Round(nameIsSame * math.Pow(same, 1.5))
	t.add(NameTokens, int(points), func() string {
		var both, onlyOurs, onlyTheirs []string
		for i := range a {
			if inOurs[i] {
				both = append(both, a[i].text)
			} else {
				onlyOurs = append(onlyOurs, a[i].text)
			}
		}
		for i := range b {
			if !inTheirs[i] {
				onlyTheirs = append(onlyTheirs, b[i].text)
			}
		}
		text := strings.Join(both, " ") + " in both"
		if onlyOurs != nil {
			text += "; only ours: " + strings.Join(onlyOurs, " ")
		}
		if onlyTheirs != nil {
			text += "; only theirs: " + strings.Join(onlyTheirs, " ")
		}
		return text
	})
	if lost > 0 {
		t.share(Typo, -min(1, typoOfAllLetters*float64(lost)/1000/float64(alike)), func() string {
			var text []string
			for _, p := range pairs {
				if p.alike < 1000 {
					text = append(text, a[p.ours].text+" / "+b[p.theirs].text)
				}
			}
			return strings.Join(text, ", ")
		})
	}
	if !ordered {
		t.share(Order, otherOrder, func() string { return "ours: " + spaced(a) + "; theirs: " + spaced(b) })
	}
	return same
}

func (x *Index) compareAddresses(t *tally, ours, theirs *record) {
	place := func(r *record) string {
		return strings.TrimPrefix(strings.Join(r.street, " ")+", "+r.city, ", ")
	}
	detail := func() string { return "ours: " + place(ours) + "; theirs: " + place(theirs) }
	street := sameStreet(ours.street, theirs.street)
	city := ours.city != "" && (ours.city == theirs.city || similarity(ours.city, theirs.city) > 0)
	switch {
	case street && city:
		t.share(Address, addressIsSame, detail)
	case ours.city != "" && theirs.city != "" && !city:
		t.share(Address, cityIsOther, detail)
	case street:
		t.share(Address, streetIsSame, detail)
	case city:
		// That a company is in the same city says nothing but that it may be the one
		// that the name says.
		t.share(Address, cityIsSame*float64(t.score)/100, detail)
	}
}

// sameStreet reports whether streets are the same, but for what only one of them has.
func sameStreet(a, b []string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= 2 && !slices.ContainsFunc(a, func(w string) bool { return !slices.Contains(b, w) })
}

func isInitials(short, long []token) bool {
	if len(short) != 1 || !isShort(short[0].text) {
		return false
	}
	texts := make([]string, len(long))
	for i, t := range long {
		texts[i] = t.text
	}
	return initials(texts) == short[0].text
}

func joined(all []token) string {
	var text strings.Builder
	for _, t := range all {
		text.WriteString(t.text)
	}
	return text.String()
}

func spaced(all []token) string {
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = t.text
	}
	return strings.Join(texts, " ")
}
