package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"tenure/core/mapping"
)

func TestWhatAnExpressionReadsIsTold(t *testing.T) {
	for expression, want := range map[string]string{
		`.a`: "a", `.a.b[0]."c d"["e"]`: "a b 0 c d e", `.a | date`: "a", `.a // .b | text`: "a; b", `.a, .a`: "a", `$record.id`: "$record id",
		`"\($record.id)-\(.id)"`: "$record id; id", `major(.amount; .currency)`: "amount; currency", `if .a == 1 then .b elif .c then .d else .e end`: "a; b; c; d; e",
		`.tags[].name`: "tags", `.fields[$settings.name].x`: "fields", `first(.emails[]? | select(.main) | .value)`: "emails", `.["a"].b[1:2]`: "a b", `[.a, {b: .c}]`: "a; c",
		`.`: "", `"x"`: "", `. as $x | $x.a`: "", `.a |`: "", `-.a`: "a", `(.a | .b) + .c`: "a; c", `.a?.b`: "a b", `."x\(.y)"`: "",
	} {
		var all []string
		for _, r := range mapping.Reads(expression) {
			var parts []string
			if r.Variable != "" {
				parts = append(parts, "$"+r.Variable)
			}
			for _, at := range r.Path {
				parts = append(parts, fmt.Sprint(at))
			}
			all = append(all, strings.Join(parts, " "))
		}
		if got := strings.Join(all, "; "); got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
}
