package mapping_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/mapping"
)

// chain pipes an expression into itself as often as there is room.
func chain(expression string) string {
	return strings.TrimSuffix(strings.Repeat(expression+"|", 999/(len(expression)+1)), "|")
}

func TestNoExpressionOfAnAdministratorTakesMuchTimeOrMemory(t *testing.T) {
	long := strings.Repeat("ab", 50_000)
	var many []any
	for range 2000 {
		many = append(many, json.Number("0"))
	}
	for _, test := range []struct {
		name, expression string
		input            any
		code             core.Code
	}{
		{"doubled texts", chain(`.+.`), long, core.TooLarge},
		{"doubled lists", chain(`.+.`), many, core.TooLarge},
		{"texts in texts", chain(`"\(.)\(.)"`), long, core.TooLarge},
		{"names of members", `."` + strings.Repeat(`\(.)`, 20) + `"?`, long, ""},
		{"texts quoted again and again", chain(`split("")|tostring`), `"` + strings.Repeat("x", 100), core.TooLarge},
		{"texts spread again and again", chain(`split("")|join("0123456789")`), "xxx", core.TooLarge},
		{"squares", chain(`.*.`), json.Number("9007199254740993"), core.WrongType},
		{"squares of numbers that jq keeps whole", chain(`.*.`), json.Number(strings.Repeat("9", 90)), core.WrongType},
		{"repeated texts", `.*1000000`, long, core.WrongType},
		{"repeated texts, the other way", `1000000*.`, long, core.WrongType},
		{"differences of lists", `.-.`, many, core.WrongType},
		{"places of a list", `.[.]`, many, core.WrongType},
		{"a text of digits", `tonumber`, strings.Repeat("7", 1_000_000), core.OutOfRange},
		{"combinations", `select(((.[] == 1) == (.[] == 1)) == ((.[] == 1) == (.[] == 1)) | not)`, many, core.OutOfRange},
		{"a regular expression", `test("(a|b)*(a|ab)*c$")`, long, ""},
	} {
		p, err := mapping.CompilePath(test.expression, nil)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		started := time.Now()
		_, err = p.First(t.Context(), test.input)
		took := time.Since(started)
		runtime.ReadMemStats(&after)
		failure, _ := errors.AsType[*core.Failure](err)
		switch {
		case failure != nil && strings.Contains(failure.Message, "it takes too long"): // on a slow machine
		case test.code == "" && err != nil, test.code != "" && (failure == nil || failure.Code != test.code):
			t.Errorf("%s: %v, want %q", test.name, err, test.code)
		case took > 10*time.Second:
			t.Errorf("%s takes %v", test.name, took)
		case test.code != core.OutOfRange && after.TotalAlloc-before.TotalAlloc > 100<<20:
			t.Errorf("%s takes %d MB", test.name, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
	}
}

// What bounds an administrator's expression leaves what it means as it is.
func TestAnAdministratorsExpressionMeansWhatADeclarationsDoes(t *testing.T) {
	expressions := []string{
		`.a`, `.a.b`, `.a["b"]`, `."a"`, `."\(.c)"`, `.a[0]`, `.a[-1]`, `.a[.c]`, `.a[$k]`, `.a[1:]`, `.a[:-1]`, `.a[]`, `.a[]?`, `.a // .b`, `.a + .b`, `.a + .b + .c`, `.a - .b * .c`, `.a / 2`,
		`.a | tostring`, `.a[] | tostring`, `"\(.a)-\(.b | tostring)"`, `.a | split("a")`, `.a | split("a")[0]`, `.a | join(",")`, `.a | split("")|join("-")`, `.a | test("^[a-c]")`, `.a | contains("b")`,
		`if .a == .b then .c elif .b then .a else "x" end`, `first(.a[] | select(. == "a"))`, `(.a | not) and .b or .c`, `.a | length`, `-.a`, `.a | text`, `.a < .b`, `.a | sort`, `.a | unique`, `.a | keys`,
		`(.a | tostring)[0:2]`, `.a | tonumber`, `("\(.a)" | ltrimstr("a")) + "x"`,
	}
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kinds := 7
			if depth == 0 {
				kinds = 5
			}
			switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
			case 0:
				return nil
			case 1:
				return rapid.Bool().Draw(t, "bool")
			case 2:
				return json.Number(rapid.SampledFrom([]string{"0", "1", "-1", "2.50", "1e3", "9007199254740993"}).Draw(t, "number"))
			case 3:
				return rapid.StringOfN(rapid.RuneFrom([]rune(`abc"\é0`)), 0, 4, -1).Draw(t, "text")
			case 4:
				return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
			case 5:
				list := rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
				return append([]any{}, list...)
			default:
				return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), value(depth-1), 0, 3).Draw(t, "object")
			}
		})
	}
	outputs := func(p *mapping.Program, input, k any) (all []any, failed bool) {
		for v, err := range p.All(t.Context(), input, k) {
			if err != nil {
				return all, true
			}
			all = append(all, v)
		}
		return all, false
	}
	reckons := map[string]bool{`.a - .b * .c`: true, `.a / 2`: true, `.a[.c]`: true, `.a[$k]`: true} // of lists and texts, too, in a declaration
	rapid.Check(t, func(t *rapid.T) {
		input := map[string]any{"a": value(3).Draw(t, "a"), "b": value(2).Draw(t, "b"), "c": value(1).Draw(t, "c")}
		k := rapid.SampledFrom([]any{"a", json.Number("1"), nil}).Draw(t, "k")
		for _, expression := range expressions {
			free, err := mapping.Compile(expression, nil, "k")
			if err != nil {
				t.Fatalf("%s: %v", expression, err)
			}
			bounded, err := mapping.CompilePath(expression, nil, "k")
			if err != nil {
				t.Fatalf("%s: %v", expression, err)
			}
			want, failed := outputs(free, input, k)
			got, refused := outputs(bounded, input, k)
			if refused && !failed && reckons[expression] {
				continue
			}
			if !reflect.DeepEqual(got, want) || failed != refused {
				t.Fatalf("%s: %v (%v), want %v (%v)", expression, got, refused, want, failed)
			}
		}
	})
}

func TestAnOutputThatIsTooLargeIsAnError(t *testing.T) {
	for _, test := range []struct {
		compile    func(string, *mapping.Env, ...string) (*mapping.Program, error)
		expression string
		input      any
		ok         bool
	}{
		{mapping.CompilePath, `.a`, map[string]any{"a": strings.Repeat("x", 1<<20-2)}, true},
		{mapping.CompilePath, `.a`, map[string]any{"a": strings.Repeat("x", 1<<20)}, false},
		{mapping.CompilePath, `.a`, map[string]any{"a": map[string]any{strings.Repeat("x", 1<<20): nil}}, false},
		{mapping.CompilePath, `.a`, map[string]any{"a": json.Number(strings.Repeat("1", 1<<21))}, false},
		{mapping.Compile, `.a`, map[string]any{"a": strings.Repeat("x", 1<<20)}, true},
		{mapping.CompilePath, `.*.`, json.Number("1e300"), false},
		{mapping.Compile, `[infinite]`, nil, false},
		{mapping.Compile, `nan`, nil, false},
		{mapping.Compile, chain(`[.,.]`), "x", false}, // the same value in 2^166 places
	} {
		p, err := test.compile(test.expression, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.First(t.Context(), test.input)
		if failure, _ := errors.AsType[*core.Failure](err); test.ok != (err == nil) || !test.ok && (failure == nil || failure.Code != core.TooLarge) {
			t.Errorf("%.20s: %v", test.expression, err)
		}
	}
}

func TestTheTimeOfAnExpressionIsBoundedAndThatOfItsReaderIsNot(t *testing.T) {
	endless, err := mapping.Compile(`last(repeat(1))`, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = endless.Within(20*time.Millisecond).First(t.Context(), nil)
	if failure, ok := errors.AsType[*core.Failure](err); !ok || !strings.Contains(failure.Message, "too long") {
		t.Error(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := endless.Within(time.Minute).First(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline of the caller: %v", err)
	}
	three, err := mapping.Compile(`.[]`, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range three.Within(100*time.Millisecond).All(t.Context(), []any{1, 2, 3}) {
		if err != nil {
			t.Error(err)
		}
		n++
		time.Sleep(80 * time.Millisecond)
	}
	if n != 3 {
		t.Errorf("%d of 3 outputs", n)
	}
}

func TestAnExpressionSeesNothingButWhatItIsGiven(t *testing.T) {
	t.Setenv("TENURE_TEST_SECRET", "opensesame")
	for _, expression := range []string{`env`, `$ENV`, `$ENV.TENURE_TEST_SECRET`, `input`, `[inputs]`, `import "a" as a; .`, `include "a"; .`, `input_filename`, `debug`, `stderr`, `$__prog_args`, `get_search_list`, `modulemeta`} {
		p, err := mapping.Compile(expression, nil)
		if err != nil {
			continue
		}
		v, err := p.First(t.Context(), "a")
		text, marshalling := json.Marshal(v)
		if marshalling != nil || strings.Contains(string(text), "opensesame") || err == nil && v != nil && string(text) != `{}` && string(text) != `"a"` {
			t.Errorf("%s: %s, %v", expression, text, err)
		}
	}
}

func TestWhatAnExpressionFailsOnIsNotInItsError(t *testing.T) {
	const secret = "sk_test_opensesame"
	for _, expression := range []string{`.a`, `.[]`, `tonumber`, `. - 1`, `@base64d`, `fromjson`, `keys`, `{(.): 1} | .[0]`, `[.] | join(.[0]; 1)?, (.[0] | implode)`, `test("(")`, `ltrimstr("sk") | .a`, `[.] | @csv | .a`,
		`{a: .} | .[0]`, `[.] | .a`, `strptime("%Y")`, `. as [$a] | $a`, `time`, `seconds`, `major("USD")`, `major(.)`} {
		p, err := mapping.Compile(expression, &mapping.Env{Currency: "USD"})
		if err != nil {
			continue
		}
		_, err = p.First(t.Context(), secret)
		failure, ok := errors.AsType[*core.Failure](err)
		if !ok || failure.Message == "" {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		t.Log(failure.Message)
		if strings.Contains(failure.Message, "opensesame") && expression != `time` && expression != `major(.)` {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestADeclarationSaysWhyItRefuses(t *testing.T) {
	for expression, want := range map[string]string{`error("no such site")`: "no such site", `halt`: ""} {
		p, err := mapping.Compile(expression, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := p.First(t.Context(), nil); v != nil || (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, %v", expression, v, err)
		}
	}
}

func TestAPanicIsAnError(t *testing.T) {
	p, err := mapping.Compile(`boom`, &mapping.Env{Functions: map[string]func(any) any{"boom": func(any) any { panic("boom") }}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.First(t.Context(), 1); err == nil {
		t.Error("there is no error")
	}
	if p, err = mapping.Compile(`.a`, nil, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.First(t.Context(), nil, 1, 2); err == nil {
		t.Error("more values than variables are taken")
	}
}

// FuzzPath: whatever an administrator writes and a system sends, an expression is
// refused or ends soon, with a result that is not too large.
func FuzzPath(f *testing.F) {
	for _, expression := range []string{`.a.b`, `.a[] | select(.id == 1) | .v`, `.a // "x" | text`, `major(.a; .b)`, `"\(.a)\(.b)" | split("") | join("-")`, `.a + .b * 2`, `.a | time`, `.a | plain`, `if .a then .b else .a[.b] end`, `.a | test("^a+$")`} {
		f.Add(expression, `{"a":[{"id":1,"v":"x"}],"b":"<p>2024-01-01T00:00:00Z"}`)
		f.Add(expression, `{"a":1e400,"b":-0}`)
	}
	env := &mapping.Env{Currency: "USD", Rates: map[string]string{"EUR": "1.1"}, Zone: berlin}
	f.Fuzz(func(t *testing.T, expression, text string) {
		p, err := mapping.CompilePath(expression, env, "settings")
		if err != nil {
			return
		}
		input, err := mapping.Decode(strings.NewReader(text), 1<<20)
		if err != nil {
			return
		}
		started := time.Now()
		n := 0
		for v, err := range p.All(t.Context(), input, map[string]any{"x": "y"}) {
			if err != nil {
				if _, ok := errors.AsType[*core.Failure](err); !ok {
					t.Errorf("%s of %s: %v", expression, text, err)
				}
				break
			}
			if encoded, err := json.Marshal(v); err != nil || len(encoded) > 7<<20 { // with escapes
				t.Errorf("%s of %s: %d bytes, %v", expression, text, len(encoded), err)
			}
			if n++; n > 1000 {
				break
			}
		}
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("%s of %s takes %v", expression, text, took)
		}
	})
}
