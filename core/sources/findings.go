package sources

import (
	"encoding/json"
	"regexp"
	"strings"

	"tenure/core/mapping"
)

// FindingKind is a stable word for what is wrong with values of an account_id.
type FindingKind string

// What can be found of the values that a location of the account_id yields.
const (
	// Blank values leave their record without an account.
	Blank FindingKind = "blank"
	// NotText is neither a text nor a number.
	NotText FindingKind = "not_text"
	// Decimal is a number kept with a fraction or an exponent, such as 12345.0, which
	// is not the text 12345 elsewhere.
	Decimal FindingKind = "decimal"
	// Spaced values have spaces in them, which are easily entered differently.
	Spaced FindingKind = "spaced"
	// Duplicate values are exactly those of another record.
	Duplicate FindingKind = "duplicate"
	// CaseOnly values differ from another record's in upper and lower case alone, so
	// that they are different accounts.
	CaseOnly FindingKind = "case_only"
)

// findingKinds has all kinds in the order in which they are told.
var findingKinds = []FindingKind{Blank, NotText, Decimal, Spaced, Duplicate, CaseOnly}

// maxExamples is how many different values are shown of a finding.
const maxExamples = 3

// Finding is one thing that is wrong with some values of an account_id.
type Finding struct {
	Kind FindingKind `json:"kind"`
	// Count is how many of the values it is wrong with.
	Count int `json:"count"`
	// Examples are the first different ones among them, as the system has them.
	Examples []string `json:"examples,omitempty"`
}

// decimal has numbers with a fraction or an exponent.
var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)$`)

// Findings tells what is wrong with the values that a location yields as account_id,
// one of each record, decoded with json.Number. One value may be found wrong in
// several ways. It returns none where all are as they should be.
func Findings(values []any) []Finding {
	found := map[FindingKind]*Finding{}
	note := func(kind FindingKind, example string) {
		f := found[kind]
		if f == nil {
			f = &Finding{Kind: kind}
			found[kind] = f
		}
		f.Count++
		if example == "" || len(f.Examples) == maxExamples {
			return
		}
		for _, known := range f.Examples {
			if known == example {
				return
			}
		}
		f.Examples = append(f.Examples, example)
	}
	texts := make([]string, len(values)) // as accounts are found by; empty for none
	times := map[string]int{}
	spellings := map[string]map[string]bool{} // by the text in lower case
	for i, value := range values {
		if value == nil {
			note(Blank, "")
			continue
		}
		text, ok := mapping.Text(value)
		if !ok {
			example, err := json.Marshal(value)
			if err != nil {
				example = nil
			}
			note(NotText, clip(string(example)))
			continue
		}
		if strings.TrimSpace(text) == "" {
			note(Blank, "")
			continue
		}
		raw := text
		if number, is := value.(json.Number); is {
			raw = number.String()
		}
		if decimal.MatchString(raw) {
			note(Decimal, clip(raw))
		}
		if strings.ContainsAny(text, " \t\r\n\u00a0") {
			note(Spaced, clip(text))
		}
		texts[i] = text
		times[text]++
		lower := strings.ToLower(text)
		if spellings[lower] == nil {
			spellings[lower] = map[string]bool{}
		}
		spellings[lower][text] = true
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		if times[text] > 1 {
			note(Duplicate, clip(text))
		}
		if len(spellings[strings.ToLower(text)]) > 1 {
			note(CaseOnly, clip(text))
		}
	}
	all := []Finding{}
	for _, kind := range findingKinds {
		if f := found[kind]; f != nil {
			all = append(all, *f)
		}
	}
	return all
}
