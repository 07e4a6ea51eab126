package mapping_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/mapping"
)

var berlin = func() *time.Location {
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return l
}()

func TestExpressionsYieldWhatTheContractsSay(t *testing.T) {
	env := &mapping.Env{Currency: "USD", Rates: map[string]string{"EUR": "1.1", "JPY": "0.0067", "KWD": "3.25"}, Zone: berlin}
	for _, test := range []struct{ input, expression, want string }{
		{`{"a":{"b":1042.0}}`, `.a.b | text`, `"1042"`},
		{`{"a":"1042.0"}`, `.a | text`, `"1042.0"`},
		{`{"a":9007199254740993}`, `.a | text`, `"9007199254740993"`},
		{`{"a":0.5}`, `.a | text`, `"0.5"`},
		{`{"a":1e3}`, `.a | text`, `"1000"`},
		{`{}`, `.a | text`, `null`},
		{`{"a":1700000000}`, `.a | seconds`, `1700000000000`},
		{`{"a":1700000000.9999}`, `.a | seconds`, `1700000000999`},
		{`{"a":"1700000000"}`, `.a | seconds`, `1700000000000`},
		{`{"a":-0.0015}`, `.a | seconds`, `-2`},
		{`{"a":"2024-01-02T03:04:05.000+0000"}`, `.a | time`, `1704164645000`},
		{`{"a":"2024-01-02T03:04:05Z"}`, `.a | time`, `1704164645000`},
		{`{"a":"2014-01-08T09:08:53+05:30"}`, `.a | time`, `1389152333000`},
		{`{"a":"2022-12-08 19:49:16"}`, `.a | time`, `1670525356000`},
		{`{"a":"2022-07-08T19:49:16"}`, `.a | time`, `1657302556000`},
		{`{"a":"/Date(1488391422280+0000)/"}`, `.a | time`, `1488391422280`},
		{`{"a":"/Date(1488391422280+1300)/"}`, `.a | time`, `1488391422280`},
		{`{"a":"2024-02-29"}`, `.a | date`, `1709164800000`},
		{`{"a":"2024-02-29T23:00:00"}`, `.a | date`, `1709164800000`},
		{`{"a":""}`, `.a | time`, `null`},
		{`{"a":1704164645123}`, `.a | iso`, `"2024-01-02T03:04:05Z"`},
		{`{"a":1704164645999}`, `.a | unix`, `1704164645`},
		{`{"a":1704164645000}`, `.a | localtime("2006/01/02 15:04")`, `"2024/01/02 04:04"`},
		{`{"a":49.1}`, `.a | major("usd")`, `4910`},
		{`{"a":"100.005"}`, `.a | major(null)`, `10001`},
		{`{"a":-100.005}`, `.a | major("USD")`, `-10001`},
		{`{"a":8.333333}`, `.a | major("USD")`, `833`},
		{`{"a":4900}`, `.a | minor("USD")`, `4900`},
		{`{"a":1000}`, `.a | minor("EUR")`, `1100`},
		{`{"a":1000}`, `.a | minor("JPY")`, `670`},
		{`{"a":1000}`, `.a | major("JPY")`, `670`},
		{`{"a":1000}`, `.a | minor("KWD")`, `325`},
		{`{"a":1000}`, `minor(.a; "KWD"; 2)`, `3250`},
		{`{"a":1000,"c":"eur"}`, `minor(.a; .c)`, `1100`},
		{`{"a":"10.00","c":null}`, `major(.a; .c)`, `1000`},
		{`{"c":"EUR"}`, `major(.a; .c)`, `null`},
		{`{"a":null}`, `.a | major("USD")`, `null`},
		{`{"a":" Ann@Example.COM "}`, `.a | email`, `"ann@example.com"`},
		{`{"a":"<p>Hello<br>you &amp; me</p><script>x</script><p>Bye</p>"}`, `.a | plain`, `"Hello\nyou & me\n\nBye"`},
		{`{"u":"a/b c"}`, `@uri "/x/\(.u)/y"`, `"/x/a%2Fb%20c/y"`},
	} {
		input, err := mapping.Decode(strings.NewReader(test.input), 1000)
		if err != nil {
			t.Fatal(err)
		}
		p, err := mapping.Compile(test.expression, env)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.First(t.Context(), input)
		got, marshalling := json.Marshal(v)
		if unescaped := strings.ReplaceAll(string(got), `\u0026`, "&"); err != nil || marshalling != nil || unescaped != test.want {
			t.Errorf("%s of %s is %s (%v), want %s", test.expression, test.input, got, err, test.want)
		}
	}
}

func TestWhatCannotBeConvertedIsSaid(t *testing.T) {
	for _, test := range []struct {
		input, expression string
		code              core.Code
	}{
		{`"2022-12-08 19:49:16"`, `time`, core.MissingField},
		{`"yesterday"`, `time`, core.Malformed},
		{`"2023-02-29"`, `date`, core.Malformed},
		{`1e300`, `seconds`, core.OutOfRange},
		{`"x"`, `seconds`, core.WrongType},
		{`10`, `major("EUR")`, core.NotFound},
		{`10`, `major("EURO")`, core.Malformed},
		{`"ten"`, `major("USD")`, core.WrongType},
		{`1e400`, `major("USD")`, core.OutOfRange},
		{`{}`, `text`, core.WrongType},
		{`[1]`, `text`, core.WrongType},
		{`10`, `localtime("2006")`, core.MissingField},
	} {
		input, err := mapping.Decode(strings.NewReader(test.input), 1000)
		if err != nil {
			t.Fatal(err)
		}
		p, err := mapping.Compile(test.expression, &mapping.Env{Currency: "USD"})
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.First(t.Context(), input)
		failure, ok := errors.AsType[*core.Failure](err)
		if !ok || failure.Code != test.code || failure.Message == "" {
			t.Errorf("%s of %s: %v, %v; want %s", test.expression, test.input, v, err, test.code)
		}
	}
}

func TestAnAdministratorsExpressionMayNotDoEverything(t *testing.T) {
	for _, good := range []string{
		`.a.b`, `.fields[] | select(.definition.id == 155) | .value`, `."a b"[0]`, `.a // .b`, `first(.websites[].url)`, `if .x then .y else null end`,
		`.custom_fields[$settings.account_field]`, `"\(.a)-\(.b)"`, `.a | major("USD")`, `.t | seconds`, `.name | ascii_downcase | test("^a")`, `(.a | not) and .b`,
		`.a + .b * 12 - 1`, `.a[.b]`, `.a[$settings.x[0]]`, `.a["b"]?`, `."a\(.b)"`, `.a[1:-1]`, `.tags | split(", ")[0] | join("-")`, `-.a`, `.a | contains("x")`, `if .a == 1 then .b elif .c then .d end`,
	} {
		if _, err := mapping.CompilePath(good, &mapping.Env{}, "settings"); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		`..`, `range(1e9)`, `[.a]`, `{a}`, `.a, .b`, `def f: f; f`, `reduce .[] as $x (0; .+1)`, `. as $x | $x`, `env`, `$ENV`, `input`, `repeat(.)`, `_bounded`, `.a | _key`, `$ENV.PATH`, `$__loc__`, `.[env]`, `."\(env)"`, `test(.a)`, `join(.)`, `split(.a)`, `contains(.)`, `join("12345678901")`,
		`test("(")`, `test("(.{99}){9}")`, `"` + strings.Repeat(`\(.)`, 21) + `"`, `.a % 2`, `{} | .a`, `@text`, `[]`, `-range(9)`, `.[range(9)]`, `.[1:range(9)]`, `if env then 1 else 2 end`, `if . then env else 2 end`, `if . then 1 elif env then 3 else 2 end`,
		`.a.b[0].c | first(env)`, `.a?.b[input]`, `(env)`, `try error("x")`, `?//`, `.a as [$x] | 1`, `getpath(.a)`, `error`, `now`, `halt`, `ltrimstr(env)`, `.a and env`, `.a //= 1`, `tojson`, `@uri "\(.)"`,
		`limit(3; .[])`, `recurse`, `until(false; .)`, `foreach .[] as $x (0; .)`, `label $x | break $x`, `.a = 1`, `@base64 "\(.)"  | error`, `debug`, `import "a" as a; .`, `.a |= .b`, `try .a catch .`, `.[`, ``,
		strings.Repeat(".a", 600), `gsub("a"; "b")`, `ltrimstr([.])`,
	} {
		if p, err := mapping.CompilePath(bad, &mapping.Env{}); err == nil {
			t.Errorf("%.40s is taken: %v", bad, p)
		}
	}
}

func TestATextIsDecodedWholeOrNotAtAll(t *testing.T) {
	const text = `{"a":[1,2,{"b":"c"}]}`
	for n := range len(text) {
		if v, err := mapping.Decode(strings.NewReader(text[:n]), 1000); err == nil {
			t.Errorf("%q is %v", text[:n], v)
		}
	}
	for _, bad := range []string{text + "x", text + text} {
		if v, err := mapping.Decode(strings.NewReader(bad), 1000); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
	if _, err := mapping.Decode(strings.NewReader(text), int64(len(text))); err != nil {
		t.Error(err)
	}
	if _, err := mapping.Decode(strings.NewReader(text), int64(len(text)-1)); err == nil {
		t.Error("more than the limit is taken")
	}
}

func TestConditionsMeanWhatTheSearchMeans(t *testing.T) {
	record := map[string]any{"name": "Acme GmbH", "n": json.Number("10.50"), "live": true, "zip": "007", "none": nil, "list": []any{}}
	for condition, want := range map[string]bool{
		`.name eq Acme GmbH`: true, `.name eq acme gmbh`: false, `.name ne Acme`: true, `.name like gmbh`: true, `.name notLike gmbh`: false,
		`.n eq 10.5`: true, `.n gt 10`: true, `.n le 10`: false, `.zip eq 7`: false, `.zip eq 007`: true, `.name gt 3`: false,
		`.live isTrue `: true, `.live isFalse `: false, `.none eq x`: false, `.none ne x`: true, `.missing notLike x`: true, `.list eq x`: false,
	} {
		parts := strings.SplitN(condition, " ", 3)
		c := mapping.Condition{Path: parts[0], Operator: parts[1], Value: parts[2]}
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", condition, err)
		}
		if got, err := c.Match(t.Context(), record); err != nil || got != want {
			t.Errorf("%s: %v, %v", condition, got, err)
		}
	}
	for _, bad := range []*mapping.Condition{{Path: ".a", Operator: "is", Value: "1"}, {Path: ".a", Operator: "gt", Value: "x"}, {Path: ".a", Operator: "eq"}, {Path: "..", Operator: "eq", Value: "1"}} {
		if err := bad.Check(); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func BenchmarkAPath(b *testing.B) {
	p, err := mapping.CompilePath(`major(.fields.total; .fields.currency)`, &mapping.Env{Currency: "USD"})
	if err != nil {
		b.Fatal(err)
	}
	record := map[string]any{"fields": map[string]any{"total": json.Number("49.10"), "currency": "USD"}}
	for b.Loop() {
		if v, err := p.First(b.Context(), record); err != nil || v == nil {
			b.Fatal(v, err)
		}
	}
}
