package sending

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// State says how a record in DNS compares with the one that belongs there.
type State string

// The states of a record.
const (
	// Right: it is there and does what it should.
	Right State = "right"
	// Different: there is something else, or something more.
	Different State = "different"
	// Missing: there is nothing.
	Missing State = "missing"
	// Unanswered: DNS could not be asked.
	Unanswered State = "unanswered"
)

// Finding is what a check found of a record.
type Finding struct {
	State State `json:"state"`
	// Found are the values that are there, cut off where they are long.
	Found []string `json:"found,omitempty"`
	// Value is what belongs in place of what is there, where that keeps some of it.
	Value string `json:"value,omitempty"`
	// Advice says what is wrong and what to do about it, or what else there is to
	// know of a record that is right.
	Advice string `json:"advice,omitempty"`
}

const (
	// maxFound and maxFoundBytes bound what is kept of what was found.
	maxFound, maxFoundBytes = 6, 900
	// maxLookups is how many questions receivers put for one SPF record.
	maxLookups = 10
)

// tidy returns a text as it is kept and shown: short, and without what could
// change how the text around it reads.
func tidy(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
	if len(text) > maxFoundBytes {
		text = strings.ToValidUTF8(text[:maxFoundBytes], "") + "…"
	}
	return text
}

// found returns values as they are kept and shown.
func found(values []string) []string {
	var all []string
	for _, v := range values[:min(len(values), maxFound)] {
		all = append(all, tidy(v))
	}
	if more := len(values) - maxFound; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return all
}

func right(values []string, advice string) Finding {
	return Finding{State: Right, Found: found(values), Advice: advice}
}

func different(values []string, advice string, args ...any) Finding {
	return Finding{State: Different, Found: found(values), Advice: tidy(fmt.Sprintf(advice, args...))}
}

// judge compares a record with what DNS says of its name and type.
func (r *Record) judge(a answer) Finding {
	switch r.Kind {
	case DKIM:
		return judgeDKIM(r.Value, a.texts)
	case Bounces:
		return r.judgeMX(a.mx)
	case DMARC:
		return judgeDMARC(a.texts)
	default:
		return judgeSPF(r.mechanism, a.texts)
	}
}

// tags reads a list of tags such as "v=DKIM1; p=…", with the name of the first.
func tags(text string) (all map[string]string, first string) {
	all = map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" {
			continue
		}
		if _, again := all[name]; again {
			continue
		}
		if first == "" {
			first = name
		}
		all[name] = strings.TrimSpace(value)
	}
	return all, first
}

// pasted returns a value without what does not belong into it but is pasted there
// often: quotation marks and backslashes of a zone file. It says what it was.
func pasted(text string) (clean, what string) {
	clean = strings.TrimSpace(text)
	if strings.Contains(clean, `\`) {
		clean, what = strings.ReplaceAll(clean, `\`, ""), "backslashes"
	}
	if strings.ContainsAny(clean, "\"“”„") {
		parts := strings.FieldsFunc(clean, func(r rune) bool { return strings.ContainsRune("\"“”„", r) })
		// Between the strings of a zone file stands one space.
		parts = slices.DeleteFunc(parts, func(p string) bool { return strings.TrimSpace(p) == "" })
		clean = strings.Join(parts, "")
		what = strings.TrimSuffix("quotation marks and "+what, " and ")
	}
	return clean, what
}

func withoutSpace(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

// listHas reports whether a list of words separated by colons is empty or has one
// of the words.
func listHas(list string, words ...string) bool {
	return list == "" || slices.ContainsFunc(strings.Split(list, ":"), func(w string) bool {
		return slices.Contains(words, strings.ToLower(strings.TrimSpace(w)))
	})
}

// provesOurKey reports whether receivers take a text for the record of our key.
func provesOurKey(text, key string) bool {
	t, first := tags(text)
	if v, ok := t["v"]; ok && (v != "DKIM1" || first != "v") {
		return false
	}
	k := t["k"]
	return withoutSpace(t["p"]) == key && (k == "" || strings.EqualFold(k, "rsa")) && listHas(t["h"], "sha256") && listHas(t["s"], "*", "email")
}

func judgeDKIM(want string, texts []string) Finding {
	wanted, _ := tags(want)
	key := wanted["p"]
	if len(texts) == 0 {
		return Finding{State: Missing}
	}
	if len(texts) > 1 {
		if provesOurKey(strings.Join(texts, ""), key) || len(texts) == 2 && provesOurKey(texts[1]+texts[0], key) {
			return different(texts, "The value is spread over %d records. It must be one record: enter the whole value as one, or as several strings of one record.", len(texts))
		}
		if slices.ContainsFunc(texts, func(t string) bool { return provesOurKey(t, key) }) {
			return different(texts, "The right record is there, and others of the same name beside it, so that receivers may take the wrong one. Delete the others.")
		}
		return different(texts, "There are %d records of this name, and none of them is the right one. Delete them and enter the one shown here.", len(texts))
	}
	text := texts[0]
	t, _ := tags(text)
	if provesOurKey(text, key) {
		if listHas("x:"+t["t"], "y") {
			return right(texts, "The record says t=y, testing: some receivers then pass over the signature. Take the t=y out.")
		}
		return right(texts, "")
	}
	p := withoutSpace(t["p"])
	clean, what := pasted(text)
	switch {
	case what != "" && provesOurKey(clean, key):
		return different(texts, "There are %s in the value that do not belong to it. Enter the value without them.", what)
	case p != "" && len(p) < len(key) && strings.HasPrefix(key, p):
		return different(texts, "The key is cut off: only %d of its %d characters are there. Some forms take no more than 255 characters at once; "+
			"enter the value as several strings of one record then.", len(p), len(key))
	case p == key:
		return different(texts, "The key is right, but the tags before it are not: enter the whole value as it is shown here.")
	case p == "" && strings.Contains(text, "p="):
		return different(texts, "The record says that the key was withdrawn: its p= is empty. Enter the value shown here.")
	case p == "":
		return different(texts, "This is no DKIM record. Enter the value shown here in its place.")
	case withoutSpace(strings.ToLower(p)) == strings.ToLower(key):
		return different(texts, "The key was changed to other capital or small letters. Enter it exactly as it is shown here.")
	}
	return different(texts, "Another key is published here, perhaps one of an earlier setup. Enter the value shown here in its place.")
}

func (r *Record) judgeMX(there []exchange) Finding {
	if len(there) == 0 {
		return Finding{State: Missing}
	}
	var values []string
	for _, m := range there {
		values = append(values, fmt.Sprintf("%d %s", m.priority, m.host))
	}
	isRight := func(m exchange) bool { return m.host == r.Value }
	switch {
	case len(there) == 1 && isRight(there[0]):
		return right(values, "")
	case slices.ContainsFunc(there, isRight):
		return different(values, "The right record is there, and others beside it. It must be the only MX record of this name: delete the others.")
	}
	host := plain(there[0].host)
	switch {
	case host == "":
		return different(values, "The record says that this name takes no mail at all. Enter the value shown here in its place.")
	case strings.HasPrefix(host, r.Value+"."):
		return different(values, "The provider has appended your domain to the value. Enter the value with a dot at its end: %s.", r.Value)
	case strings.HasSuffix(host, " "+r.Value):
		return different(values, "The priority stands in the value. Enter %d as the priority and %s as the value.", r.Priority, r.Value)
	}
	return different(values, "Mail to this name goes elsewhere. Replace what is there by the record shown here; if something of yours uses the name %s, set up another domain here.", r.Name)
}

// isSPF reports whether receivers take a text for an SPF record.
func isSPF(text string) bool {
	version, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(version, "v=spf1")
}

func judgeSPF(mechanism string, texts []string) Finding {
	var records []string
	for _, t := range texts {
		if isSPF(t) {
			records = append(records, t)
		}
	}
	if len(records) == 0 {
		for _, t := range texts {
			if clean, what := pasted(t); what != "" && isSPF(clean) {
				return different([]string{t}, "There are %s in the value that do not belong to it. Enter the value without them.", what)
			}
		}
		return Finding{State: Missing}
	}
	merged := mergedSPF(records, mechanism)
	instead := func(advice string, args ...any) Finding {
		f := different(records, advice, args...)
		if merged == tidy(merged) {
			f.Value = merged
		}
		return f
	}
	if len(records) > 1 {
		return instead("There are %d SPF records, and receivers then take none of them. Delete them all but one, and change that to: %s", len(records), merged)
	}
	terms := strings.Fields(records[0])[1:]
	lookups := 0
	for i, term := range terms {
		name := strings.ToLower(strings.TrimLeft(term, "+-~?"))
		if asks(name) {
			lookups++
		}
		switch {
		case name == "all" && !slices.ContainsFunc(terms[:i], func(t string) bool { return allows(t, mechanism) }):
			for _, later := range terms[i+1:] {
				if allows(later, mechanism) {
					return instead("What comes after %s is not read. Put %s before it: %s", term, mechanism, merged)
				}
			}
		case name == mechanism && !allows(term, mechanism):
			return instead("The sign before %s says that its servers may not send. Take it away: %s", mechanism, merged)
		}
	}
	switch {
	case !slices.ContainsFunc(terms, func(t string) bool { return allows(t, mechanism) }):
		return instead("%s is not in the record. Change it to: %s", mechanism, merged)
	case lookups > maxLookups:
		return different(records, "The record takes %d lookups, and receivers give up after %d. Take out what is not needed any more.", lookups, maxLookups)
	}
	return right(records, "")
}

// asks reports whether a term of an SPF record has receivers look something up.
func asks(term string) bool {
	name, _, _ := strings.Cut(strings.ReplaceAll(strings.ReplaceAll(term, "/", ":"), "=", ":"), ":")
	return slices.Contains([]string{"include", "a", "mx", "ptr", "exists", "redirect"}, name)
}

// allows reports whether a term of an SPF record is the mechanism, and lets pass
// what it matches.
func allows(term, mechanism string) bool {
	return strings.EqualFold(strings.TrimPrefix(term, "+"), mechanism)
}

// mergedSPF returns one SPF record in place of others, with the mechanism in it and
// with the ending of the first.
func mergedSPF(records []string, mechanism string) string {
	var terms []string
	last := ""
	for _, r := range records {
		for _, term := range strings.Fields(r)[1:] {
			name := strings.ToLower(strings.TrimLeft(term, "+-~?"))
			switch {
			case name == "all" || strings.HasPrefix(name, "redirect="):
				if last == "" {
					last = term
				}
			case name != mechanism && !slices.Contains(terms, term):
				terms = append(terms, term)
			}
		}
	}
	if last == "" {
		last = "~all"
	}
	return strings.Join(slices.Concat([]string{"v=spf1"}, terms, []string{mechanism, last}), " ")
}

// isDMARC reports whether receivers take a text for a DMARC record.
func isDMARC(text string) bool {
	t, first := tags(text)
	return first == "v" && t["v"] == "DMARC1"
}

// policies are what a DMARC record can say.
var policies = []string{"none", "quarantine", "reject"}

func judgeDMARC(texts []string) Finding {
	var records []string
	for _, t := range texts {
		if isDMARC(t) {
			records = append(records, t)
		}
	}
	switch len(records) {
	case 0:
		for _, t := range texts {
			clean, what := pasted(t)
			if what != "" && isDMARC(clean) {
				return different([]string{t}, "There are %s in the value that do not belong to it. Enter the value without them.", what)
			}
			if got, _ := tags(t); got["p"] != "" || strings.HasPrefix(strings.ToLower(strings.TrimSpace(t)), "v=dmarc") {
				return different([]string{t}, "The value must begin with v=DMARC1; in these letters.")
			}
		}
		return Finding{State: Missing}
	case 1:
	default:
		return different(records, "There are %d DMARC records, and receivers then take none of them. Keep one, the strictest.", len(records))
	}
	t, _ := tags(records[0])
	p, ok := t["p"]
	switch p = strings.ToLower(p); {
	case !ok:
		return different(records, "The record has no policy: add p=none after v=DMARC1;")
	case !slices.Contains(policies, p):
		return different(records, "The policy p=%.20s does not exist: it must be none, quarantine or reject.", p)
	case p == "none" && t["rua"] == "":
		return right(records, "Nobody gets the reports: add ; rua=mailto: and an address of yours to see who sends in your name.")
	case p == "none":
		return right(records, "When the reports show for some weeks that all of your mail passes, go on to p=quarantine, and then to p=reject.")
	}
	return right(records, "It is stricter than what we ask for, which is fine.")
}
