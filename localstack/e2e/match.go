package e2e

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// clockSkew is how far the target's clock may be from ours.
const clockSkew = 5 * time.Minute

// matchText holds a value against a pattern in JSON; see match.
func matchText(pattern string, got any) []string {
	want, err := parse([]byte(pattern))
	if err != nil {
		return []string{fmt.Sprintf("the pattern is not JSON: %v\n%s", err, pattern)}
	}
	return match(want, got, "")
}

// match holds a value against a pattern and returns what is wrong. An object
// matches when every member of the pattern's does; others may be there unless
// the pattern has the member "<only>". An array matches element by element.
// Numbers match when they are the same number. Some strings stand for more:
// "<absent>" for no member at all, "<any>" for any value, "<text>" for a
// string that is not empty, "<now>" for an instant of about now.
func match(want, got any, at string) []string {
	wrong := func(format string, args ...any) []string {
		return []string{at + ": " + fmt.Sprintf(format, args...)}
	}
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return wrong("%s, want an object", brief(got))
		}
		var problems []string
		for name, w := range want {
			if name == "<only>" {
				continue
			}
			g, there := object[name]
			switch {
			case w == "<absent>" && there:
				problems = append(problems, fmt.Sprintf("%s.%s: %s, want no such member", at, name, brief(g)))
			case w == "<absent>":
			case !there:
				problems = append(problems, fmt.Sprintf("%s.%s: missing, want %s", at, name, brief(w)))
			default:
				problems = append(problems, match(w, g, at+"."+name)...)
			}
		}
		if _, only := want["<only>"]; only {
			for name := range object {
				if _, wanted := want[name]; !wanted {
					problems = append(problems, fmt.Sprintf("%s.%s: %s, want no such member", at, name, brief(object[name])))
				}
			}
		}
		slices.Sort(problems)
		return problems
	case []any:
		list, ok := got.([]any)
		if !ok {
			return wrong("%s, want an array", brief(got))
		}
		if len(list) != len(want) {
			return wrong("%d elements, want %d: %s", len(list), len(want), brief(got))
		}
		var problems []string
		for i := range want {
			problems = append(problems, match(want[i], list[i], fmt.Sprintf("%s[%d]", at, i))...)
		}
		return problems
	case json.Number:
		number, ok := got.(json.Number)
		if !ok || !sameNumber(string(want), string(number)) {
			return wrong("%s, want %s", brief(got), want)
		}
		return nil
	case string:
		text, isText := got.(string)
		switch {
		case want == "<any>", want == "<text>" && isText && text != "":
			return nil
		case want == "<now>":
			number, _ := got.(json.Number)
			ms, err := number.Int64()
			if away := time.Since(time.UnixMilli(ms)); err != nil || away.Abs() > clockSkew {
				return wrong("%s, want about now", brief(got))
			}
			return nil
		}
		if !isText || text != want {
			return wrong("%s, want %s", brief(got), brief(want))
		}
		return nil
	}
	if got != want {
		return wrong("%s, want %s", brief(got), brief(want))
	}
	return nil
}

// sameNumber reports whether two JSON numbers are the same number, exactly.
func sameNumber(a, b string) bool {
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	return okX && okY && x.Cmp(y) == 0
}

// brief returns a value as JSON text that is not too long for a message.
func brief(value any) string {
	text := toJSON(value)
	if len(text) > 200 {
		return fmt.Sprintf("%s… (%d bytes)", text[:200], len(text))
	}
	return text
}
