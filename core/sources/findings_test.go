package sources_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"tenure/core/sources"
)

func TestFindingsTellWhatIsWrongWithAnAccountID(t *testing.T) {
	for name, c := range map[string]struct {
		values []any
		want   []sources.Finding
	}{
		"texts and whole numbers are as they should be": {[]any{"A1", "a2", json.Number("12345"), "0012"}, []sources.Finding{}},
		"nothing was read": {nil, []sources.Finding{}},
		"missing, empty and blank ones are blank": {[]any{nil, "", "  ", "A1"},
			[]sources.Finding{{Kind: sources.Blank, Count: 3}}},
		"a number that came with a fraction": {[]any{json.Number("12345.0"), json.Number("7.5"), json.Number("1e3"), "12346.0"},
			[]sources.Finding{{Kind: sources.Decimal, Count: 4, Examples: []string{"12345.0", "7.5", "1e3"}}}},
		"a version or an address is no decimal": {[]any{"1.2.3", "example.com", "1e"}, []sources.Finding{}},
		"the same one twice counts both, and is shown once": {[]any{"A1", "A1", "A2"},
			[]sources.Finding{{Kind: sources.Duplicate, Count: 2, Examples: []string{"A1"}}}},
		"a number and the same text are the same": {[]any{json.Number("7"), "7"},
			[]sources.Finding{{Kind: sources.Duplicate, Count: 2, Examples: []string{"7"}}}},
		"different in case alone": {[]any{"Acme", "ACME", "other"},
			[]sources.Finding{{Kind: sources.CaseOnly, Count: 2, Examples: []string{"Acme", "ACME"}}}},
		"spaces": {[]any{"A 1", " A2"},
			[]sources.Finding{{Kind: sources.Spaced, Count: 2, Examples: []string{"A 1", " A2"}}}},
		"neither text nor number": {[]any{true, []any{"A1"}},
			[]sources.Finding{{Kind: sources.NotText, Count: 2, Examples: []string{"true", `["A1"]`}}}},
		"several things at once, in a fixed order": {[]any{nil, "a b", "A b", "a b"}, []sources.Finding{
			{Kind: sources.Blank, Count: 1},
			{Kind: sources.Spaced, Count: 3, Examples: []string{"a b", "A b"}},
			{Kind: sources.Duplicate, Count: 2, Examples: []string{"a b"}},
			{Kind: sources.CaseOnly, Count: 3, Examples: []string{"a b", "A b"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sources.Findings(c.values); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}
