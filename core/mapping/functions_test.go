package mapping_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"golang.org/x/text/currency"
	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/mapping"
	"tenure/core/schema"
	"tenure/core/search"
)

// must compiles an expression.
func must(t interface{ Fatal(...any) }, expression string, env *mapping.Env, vars ...string) *mapping.Program {
	p, err := mapping.Compile(expression, env, vars...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// codeOf returns the code of a failure; of another error, its text.
func codeOf(err error) core.Code {
	if failure, ok := errors.AsType[*core.Failure](err); ok {
		return failure.Code
	}
	return core.Code(fmt.Sprint(err))
}

// ---- Money ----

func TestAmountsAreExactUntilTheyAreRoundedOnce(t *testing.T) {
	codes := slices.Sorted(maps.Keys(mapping.Currencies()))
	rapid.Check(t, func(t *rapid.T) {
		own, other := rapid.SampledFrom(codes).Draw(t, "own"), rapid.SampledFrom(codes).Draw(t, "other")
		rate := rapid.StringMatching(`[1-9][0-9]{0,3}(\.[0-9]{1,8})?|0\.0{0,4}[1-9][0-9]{0,6}`).Draw(t, "rate")
		amount := rapid.StringMatching(`-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?(e-?[0-3])?`).Draw(t, "amount")
		env := &mapping.Env{Currency: own, Rates: map[string]string{other: rate}}
		if own == other {
			env.Rates, rate = nil, "1"
		}
		exact, _ := new(big.Rat).SetString(amount)
		factor, _ := new(big.Rat).SetString(rate)
		power := func(code string) *big.Rat {
			r, _ := new(big.Rat).SetString("1e" + strconv.Itoa(mapping.Currencies()[code]))
			return r
		}
		cents := new(big.Rat).Mul(new(big.Rat).Mul(exact, factor), power(own))
		major := whole(cents)
		minor := whole(cents.Quo(cents, power(other)))
		var given any = json.Number(amount)
		if rapid.Bool().Draw(t, "as text") {
			given = " " + amount
		}
		code := other
		if rapid.Bool().Draw(t, "lower case") {
			code = strings.ToLower(code)
		}
		for expression, want := range map[string]string{
			`major(.a; .c)`: major, `.c as $c | .a | major($c)`: major, `minor(.a; .c)`: minor, `.c as $c | .a | minor($c)`: minor,
			fmt.Sprintf(`minor(.a; .c; %d)`, mapping.Currencies()[other]): minor, `minor(.a; .c; 0)`: major,
		} {
			v, err := must(t, expression, env).First(t.Context(), map[string]any{"a": given, "c": code})
			if err != nil || v != json.Number(want) {
				t.Fatalf("%s of %s %s in %s at %s: %v, %v; want %s", expression, amount, other, own, rate, v, err, want)
			}
		}
	})
}

// whole returns a number without decimals, rounded half away from zero.
func whole(r *big.Rat) string {
	if text := r.FloatString(0); text != "-0" {
		return text
	}
	return "0"
}

func TestAmountsThatHaveNoMeaningAreRefused(t *testing.T) {
	env := &mapping.Env{Currency: "USD", Rates: map[string]string{"EUR": "1.1", "GBP": "much"}}
	for _, test := range []struct {
		env         *mapping.Env
		amount, of  any
		code        core.Code
		mentionsAny string
	}{
		{env, json.Number("1"), "JPY", core.NotFound, "JPY"},
		{env, json.Number("1"), "GBP", core.NotFound, "GBP"},
		{env, json.Number("1"), "BTC", core.Malformed, "BTC"},
		{env, json.Number("1"), "XAU", core.Malformed, "XAU"},
		{env, json.Number("1"), "", core.Malformed, "currency"},
		{env, json.Number("1"), json.Number("840"), core.WrongType, "currency"},
		{env, json.Number("92233720368547758.07"), nil, "", ""},
		{env, json.Number("92233720368547758.08"), nil, core.OutOfRange, "large"},
		{env, json.Number("-92233720368547758.08"), nil, "", ""},
		{env, json.Number("-92233720368547758.085"), nil, core.OutOfRange, "large"},
		{env, json.Number("1e400"), nil, core.OutOfRange, "large"},
		{env, json.Number("1e999999999"), nil, core.WrongType, "number"},
		{env, json.Number(strings.Repeat("1", 1_000_000)), nil, core.WrongType, "number"},
		{env, json.Number("1e-400"), nil, "", ""},
		{env, "1,50", nil, core.WrongType, "number"},
		{env, "0x10", nil, core.WrongType, "number"},
		{env, "1/3", nil, core.WrongType, "number"},
		{env, "1_000", nil, core.WrongType, "number"},
		{env, "Inf", nil, core.WrongType, "number"},
		{env, "", nil, core.WrongType, "number"},
		{env, true, nil, core.WrongType, "number"},
		{env, []any{}, nil, core.WrongType, "number"},
		{&mapping.Env{}, json.Number("1"), nil, core.MissingField, "currency"},
		{&mapping.Env{}, json.Number("1"), "USD", core.MissingField, "currency"},
		{nil, json.Number("1"), "USD", core.MissingField, "currency"},
		{&mapping.Env{}, nil, "USD", "", ""},
	} {
		v, err := must(t, `major(.a; .c)`, test.env).First(t.Context(), map[string]any{"a": test.amount, "c": test.of})
		if test.code == "" && err != nil || test.code != "" && (codeOf(err) != test.code || !strings.Contains(err.Error(), test.mentionsAny)) {
			t.Errorf("%.40v %v: %v, %v; want %q", test.amount, test.of, v, err, test.code)
		}
	}
	for _, exponent := range []string{`-1`, `11`, `1.5`, `"x"`, `1e99`} {
		if v, err := must(t, `minor(.; "USD"; `+exponent+`)`, env).First(t.Context(), json.Number("1")); codeOf(err) != core.OutOfRange {
			t.Errorf("an exponent of %s: %v, %v", exponent, v, err)
		}
	}
}

// A second source knows every currency that is in use, except those that are newer
// than it.
func TestTheCurrenciesAreThoseOfTheStandard(t *testing.T) {
	known := mapping.Currencies()
	newer := []string{"MRU", "SLE", "UYW", "VED", "VES", "XCG", "ZWG"}
	for code, decimals := range known {
		if _, err := currency.ParseISO(code); err != nil && !slices.Contains(newer, code) {
			t.Errorf("%s: %v", code, err)
		}
		if decimals < 0 || decimals > 4 {
			t.Errorf("%s has %d decimals", code, decimals)
		}
	}
	inUse := 0
	for all := currency.Query(); all.Next(); { // of the territories
		inUse++
		if _, ok := known[all.Unit().String()]; !ok {
			t.Errorf("%s is not known", all.Unit())
		}
	}
	if inUse < 200 || len(known) < 170 {
		t.Errorf("%d currencies, of %d territories", len(known), inUse)
	}
	for code, decimals := range map[string]int{"USD": 2, "EUR": 2, "HUF": 2, "TWD": 2, "MGA": 2, "ISK": 0, "JPY": 0, "KRW": 0, "UGX": 0, "CLP": 0, "CLF": 4, "KWD": 3, "TND": 3} {
		if known[code] != decimals {
			t.Errorf("%s has %d decimals", code, known[code])
		}
	}
}

func TestMoneyIsCheckedBeforeItIsUsed(t *testing.T) {
	for _, test := range []struct {
		currency string
		rates    map[string]string
		field    string
	}{
		{"USD", nil, ""},
		{"USD", map[string]string{"EUR": "1.08", "JPY": "67e-4"}, ""},
		{"usd", nil, "currency"},
		{"", nil, "currency"},
		{"ABC", nil, "currency"},
		{"USD", map[string]string{"USD": "1"}, "rates.USD"},
		{"USD", map[string]string{"ABC": "1"}, "rates.ABC"},
		{"USD", map[string]string{"EUR": "0"}, "rates.EUR"},
		{"USD", map[string]string{"EUR": "-1"}, "rates.EUR"},
		{"USD", map[string]string{"EUR": "1,1"}, "rates.EUR"},
		{"USD", map[string]string{"EUR": ""}, "rates.EUR"},
	} {
		err := mapping.CheckMoney(test.currency, test.rates)
		failure, _ := errors.AsType[*core.Failure](err)
		if test.field == "" && err != nil || test.field != "" && (failure == nil || failure.Field != test.field) {
			t.Errorf("%s %v: %v, want %q", test.currency, test.rates, err, test.field)
		}
	}
}

// ---- Times ----

func TestTimesAreReadAsTheyAreWritten(t *testing.T) {
	layouts := []string{time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04:05.000Z0700", "2006-01-02T15:04:05.000000Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05.000", "2006-01-02 15:04:05", "2006-01-02T15:04:05"}
	read := must(t, `time`, &mapping.Env{Zone: berlin})
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(-62135596800000, 253402210800000-1).Draw(t, "ms") // the years 1 to 9999
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		zone := berlin
		if strings.ContainsAny(layout, "Z-") && (strings.Contains(layout, "Z0") || strings.Contains(layout, " -07")) {
			zone = time.FixedZone("", rapid.IntRange(-14*60, 14*60).Draw(t, "offset")*60)
		}
		at := time.UnixMilli(ms).In(zone)
		if at.Year() < 1 || at.Year() > 9999 {
			t.Skip()
		}
		text := at.Format(layout)
		want, err := time.ParseInLocation(layout, text, zone) // of the precision that the layout has
		if err != nil {
			t.Fatal(err)
		}
		v, err := read.First(t.Context(), text)
		if err != nil || v != json.Number(strconv.FormatInt(want.UnixMilli(), 10)) {
			t.Fatalf("%s: %v, %v; want %d", text, v, err, want.UnixMilli())
		}
	})
}

func TestTimesThatAreWrittenAreReadAgain(t *testing.T) {
	there := must(t, `iso, (unix | seconds | iso)`, nil)
	back := must(t, `time`, nil)
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, "ms")
		for text, err := range there.All(t.Context(), json.Number(strconv.FormatInt(ms, 10))) {
			if err != nil {
				t.Fatal(err)
			}
			v, err := back.First(t.Context(), text)
			second := time.UnixMilli(ms).Unix() * 1000 // rounds down before the epoch, too
			if err != nil || v != json.Number(strconv.FormatInt(second, 10)) {
				t.Fatalf("%d is %v is %v, %v", ms, text, v, err)
			}
		}
	})
}

func TestInstantsAreWithinAHundredMillionDays(t *testing.T) {
	for _, test := range []struct {
		expression, input, want string
		code                    core.Code
	}{
		{`millis`, `8640000000000000`, `8640000000000000`, ""},
		{`millis`, `-8640000000000000`, `-8640000000000000`, ""},
		{`millis`, `8640000000000001`, ``, core.OutOfRange},
		{`millis`, `-8640000000000001`, ``, core.OutOfRange},
		{`millis`, `1.5`, `1`, ""},
		{`millis`, `"1.7e12"`, `1700000000000`, ""},
		{`millis`, `99999999999999999999`, ``, core.OutOfRange},
		{`seconds`, `8640000000000`, `8640000000000000`, ""},
		{`seconds`, `8640000000000.001`, ``, core.OutOfRange},
		{`seconds`, `"-8640000000000"`, `-8640000000000000`, ""},
		{`seconds`, `""`, ``, core.WrongType},
		{`seconds`, `true`, ``, core.WrongType},
		{`time`, `"/Date(8640000000000000)/"`, `8640000000000000`, ""},
		{`time`, `"/Date(8640000000000001)/"`, ``, core.OutOfRange},
		{`time`, `"/Date(-1)/"`, `-1`, ""},
		{`time`, `"/Date(1e3)/"`, ``, core.Malformed},
		{`time`, `"0001-01-01T00:00:00Z"`, `-62135596800000`, ""},
		{`time`, `"9999-12-31T23:59:59.999999999Z"`, `253402300799999`, ""},
		{`time`, `"1969-12-31T23:59:59.9999Z"`, `-1`, ""},
		{`time`, `"2024-02-30T00:00:00Z"`, ``, core.Malformed},
		{`time`, `"2024-01-01T24:00:00Z"`, ``, core.Malformed},
		{`time`, `"2024-01-01T00:00:60Z"`, ``, core.Malformed},
		{`time`, `"2024-01-01T00:00:00 Z"`, ``, core.Malformed},
		{`time`, `"01/02/2024"`, ``, core.Malformed},
		{`time`, `"2024-01-02 03:04:05 CET"`, ``, core.Malformed},
		{`time`, `"2024-01-02 03:04:05 UTC"`, `1704164645000`, ""},
		{`time`, `"2024-01-02"`, `1704153600000`, ""},
		{`time`, `1704164645`, ``, core.WrongType},
		{`date`, `"2024-01-02junk"`, ``, core.Malformed},
		{`date`, `20240102`, ``, core.WrongType},
		{`iso`, `253402300800000`, ``, core.OutOfRange},
		{`iso`, `-62167219200001`, ``, core.OutOfRange},
		{`iso`, `"2024"`, `"1970-01-01T00:00:02Z"`, ""},
		{`iso`, `1.5`, ``, core.WrongType},
		{`iso`, `8640000000000001`, ``, core.WrongType},
		{`unix`, `-1`, `-1`, ""},
		{`localtime(1)`, `0`, ``, core.WrongType},
	} {
		input, err := mapping.Decode(strings.NewReader(test.input), 1000)
		if err != nil {
			t.Fatal(err)
		}
		v, err := must(t, test.expression, &mapping.Env{Zone: berlin}).First(t.Context(), input)
		if got, _ := json.Marshal(v); test.code != "" && codeOf(err) != test.code || test.code == "" && (err != nil || string(got) != test.want) {
			t.Errorf("%s of %s: %s, %v; want %s%s", test.expression, test.input, got, err, test.want, test.code)
		}
	}
}

// ---- Texts ----

func TestAnIdIsTheSameTextHoweverItsNumberIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		text := strconv.FormatInt(n, 10)
		spellings := []any{json.Number(text), json.Number(text + ".0"), json.Number(text + ".000"), json.Number(text + "e0"), json.Number(text + "0E-1"), int(n), big.NewInt(n), text}
		if n > -1<<53 && n < 1<<53 {
			spellings = append(spellings, float64(n))
		}
		for _, v := range spellings {
			if got, ok := mapping.Text(v); !ok || got != text {
				t.Fatalf("%T %v is %q", v, v, got)
			}
		}
		if kept := rapid.String().Draw(t, "text"); true {
			if got, ok := mapping.Text(kept); !ok || got != kept {
				t.Fatalf("%q is %q", kept, got)
			}
		}
	})
	for v, want := range map[any]string{
		json.Number("1e3"): "1000", json.Number("-0"): "0", json.Number("-0.0"): "0", json.Number("0.50"): "0.50", json.Number("1.5e0"): "1.5e0",
		json.Number("1e999999999"): "1e999999999", "1042.0": "1042.0", " x ": " x ", "": "", 0.5: "0.5",
	} {
		if got, ok := mapping.Text(v); !ok || got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	for _, v := range []any{nil, true, []any{"x"}, map[string]any{"value": "x"}, int64(1)} {
		if got, ok := mapping.Text(v); ok {
			t.Errorf("%v is %q", v, got)
		}
	}
}

func TestNothingThatASystemSendsHangsAFunction(t *testing.T) {
	deep := strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	env := &mapping.Env{Currency: "USD", Zone: berlin}
	for _, text := range []string{strings.Repeat("7", 1000), "1e400", "1e999999999999", "-1e-999999999999", "0." + strings.Repeat("3", 990), deep, `"` + strings.Repeat("<p", 200_000) + `"`,
		`"` + strings.Repeat("<script>", 100_000) + `"`, `"` + strings.Repeat("<!--", 100_000) + `"`, `"` + strings.Repeat("&#x", 100_000) + `"`, `"` + strings.Repeat("2", 1_000_000) + `"`, `"/Date(` + strings.Repeat("2", 1_000_000) + `)/"`} {
		input, err := mapping.Decode(strings.NewReader(text), 4<<20)
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		for _, expression := range []string{`seconds`, `millis`, `time`, `date`, `iso`, `unix`, `localtime("2006")`, `minor("USD")`, `major("USD")`, `text`, `plain`, `email`, `. == 1`, `. < 1`, `tostring`, `. == .`, `tonumber`, `tonumber? < 1`, `minor(1; "USD"; .)`} {
			v, err := must(t, expression, env).First(t.Context(), input)
			if _, ok := errors.AsType[*core.Failure](err); err != nil && !ok {
				t.Errorf("%s of %.20s: %v, %v", expression, text, v, err)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("%s of %.20s: an error of %d bytes", expression, text, len(err.Error()))
			}
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("%.20s takes %v", text, took)
		}
	}
	// Where the library that reads them takes the square of their length.
	for _, text := range []string{strings.Repeat("[", 1_000_000), strings.Repeat("7", 1_000_000), `[{"a":0.` + strings.Repeat("3", 1000) + `}]`, `{"a":[-` + strings.Repeat("1", 1000) + `]}`} {
		if _, err := mapping.Decode(strings.NewReader(text), 4<<20); err == nil {
			t.Errorf("%.20s is taken", text)
		}
	}
}

func TestHTMLBecomesTheTextThatPeopleRead(t *testing.T) {
	for html, want := range map[string]string{
		`plain`: `plain`, `a &lt;b&gt; &nbsp; c`: `a <b> c`, `<div><p>a</p><p>b</p></div>`: "a\n\nb", `a<br/>b<br>c`: "a\nb\nc", `<ul><li>a<li>b</ul>c`: "a\nb\nc",
		"a\n  b": `a b`, `<style>p{}</style>a<script>alert("</p>")</script>b`: `ab`, `<b>bo</b>ld`: `bold`, `<!-- hidden -->a`: `a`, `a<script>never closed`: `a`, ``: ``, `<p>`: ``, `<img src=x>a`: `a`,
	} {
		v, err := must(t, `plain`, nil).First(t.Context(), html)
		if err != nil || v != want {
			t.Errorf("%q is %q (%v), want %q", html, v, err, want)
		}
	}
}

// ---- Conditions ----

// What the search says of a field of ours, a condition says of another system's
// field with the same value.
func TestAConditionMeansWhatTheSearchDoes(t *testing.T) {
	if !slices.Equal(mapping.Operators, search.Operators) {
		t.Fatalf("%v, and of the search %v", mapping.Operators, search.Operators)
	}
	things := schema.New("things", "Thing", []schema.Field{
		{Name: "thing_id", Type: schema.ID, MaxLen: 80}, {Name: "name", Type: schema.String, MaxLen: 80}, {Name: "total", Type: schema.Long},
		{Name: "weight", Type: schema.Double}, {Name: "open", Type: schema.Boolean},
	})
	texts := rapid.SampledFrom([]string{"a", "A", "ab", "AB", "ß", "SS", "straße", "İ", "é", "É", "7", "007", "x y"})
	numbers := rapid.SampledFrom([]string{"0", "1", "-1", "10", "10.0", "10.5", "1e1", "-10.25", "9007199254740993", "9007199254740992"})
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom([]string{"name", "total", "weight", "open"}).Draw(t, "field")
		var operators []string
		var member, value, operand string
		switch field {
		case "name":
			operators = []string{"eq", "ne", "like", "notLike"}
			member, operand = texts.Draw(t, "member"), texts.Draw(t, "value")
			quoted, _ := json.Marshal(member)
			given, _ := json.Marshal(operand)
			member, value = string(quoted), string(given)
		case "total", "weight":
			operators = mapping.Operators[:6]
			member = numbers.Filter(func(n string) bool {
				return field == "weight" && len(n) < 10 || field == "total" && !strings.ContainsAny(n, "5")
			}).Draw(t, "member")
			operand = numbers.Filter(func(n string) bool { return field == "total" || len(n) < 10 }).Draw(t, "value")
			value = operand
		default:
			operators = []string{"eq", "ne", "isTrue", "isFalse"}
			member, operand = strconv.FormatBool(rapid.Bool().Draw(t, "member")), strconv.FormatBool(rapid.Bool().Draw(t, "value"))
			value = operand
		}
		if rapid.IntRange(0, 5).Draw(t, "unset") == 0 {
			member = "null"
		}
		operator := rapid.SampledFrom(operators).Draw(t, "operator")
		record := `{"` + field + `":` + member + `}`
		s, failure := search.Parse(things, [][]byte{fmt.Appendf(nil, `{"attribute":%q,"operator":%q,"value":%s}`, field, operator, value)})
		if failure != nil {
			t.Fatal(failure)
		}
		ours, failure := things.Decode([]byte(record), true)
		if failure != nil {
			t.Fatal(failure)
		}
		theirs, err := mapping.Decode(strings.NewReader(record), 1000)
		if err != nil {
			t.Fatal(err)
		}
		c := &mapping.Condition{Path: "." + field, Operator: operator, Value: operand}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Match(t.Context(), theirs); err != nil || got != s.Match(ours) {
			t.Fatalf("%s of %s: %v, %v; the search says %v", c, record, got, err, s.Match(ours))
		}
	})
}
