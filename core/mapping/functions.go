package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"golang.org/x/net/html"

	"tenure/core"
)

// ours are the functions of this package, by name and number of arguments.
var ours = []string{"seconds/0", "millis/0", "time/0", "date/0", "iso/0", "unix/0", "localtime/1", "minor/1", "minor/2", "minor/3", "major/1", "major/2", "text/0", "plain/0", "email/0"}

// functions returns our functions as they are in an environment.
func functions(env *Env) []gojq.CompilerOption {
	of := func(name string, f func(v any) (any, error)) gojq.CompilerOption {
		return gojq.WithFunction(name, 0, 0, func(v any, _ []any) any { return result(v, func() (any, error) { return f(v) }) })
	}
	options := []gojq.CompilerOption{
		gojq.WithFunction(bounded, 0, 0, func(v any, _ []any) any {
			if within(v, maxPathOutput) < 0 {
				return refuse(core.TooLarge, "what is put together is too large")
			}
			return v
		}),
		gojq.WithFunction(key, 0, 0, func(v any, _ []any) any {
			switch v.(type) {
			case []any, map[string]any:
				return refuse(core.WrongType, "in brackets must be a text or a number")
			}
			return v
		}),
		gojq.WithFunction("_short", 0, 0, func(v any, _ []any) any {
			if text, ok := v.(string); ok && len(text) > longestNumber {
				return refuse(core.OutOfRange, "a number has at most %d digits", longestNumber)
			}
			return v
		}),
		gojq.WithFunction(numeric, 0, 0, func(v any, _ []any) any {
			if _, ok := rational(v); !ok || isText(v) {
				return refuse(core.WrongType, "only numbers can be reckoned with, of at most %d digits", longestNumber)
			}
			return v
		}),
		of("seconds", func(v any) (any, error) { return instant(v, 1000) }),
		of("millis", func(v any) (any, error) { return instant(v, 1) }),
		of("time", func(v any) (any, error) { return parseTime(v, env.Zone) }),
		of("date", parseDate),
		of("iso", func(v any) (any, error) {
			ms, err := millisOf(v)
			t := time.UnixMilli(ms).UTC()
			if err == nil && (t.Year() < 0 || t.Year() > 9999) {
				return nil, refuse(core.OutOfRange, "the year %d cannot be written", t.Year())
			}
			return t.Format("2006-01-02T15:04:05Z"), err
		}),
		of("unix", func(v any) (any, error) {
			ms, err := millisOf(v)
			return number(floorDiv(ms, 1000)), err
		}),
		of("text", func(v any) (any, error) {
			text, ok := Text(v)
			if !ok {
				return nil, refuse(core.WrongType, "the value is no text and no number")
			}
			return text, nil
		}),
		of("plain", func(v any) (any, error) {
			text, ok := v.(string)
			if !ok {
				return nil, refuse(core.WrongType, "the value is no text")
			}
			return plain(text), nil
		}),
		of("email", func(v any) (any, error) {
			text, ok := v.(string)
			if !ok {
				return nil, refuse(core.WrongType, "the value is no e-mail address")
			}
			if text = Email(text); text == "" {
				return nil, nil
			}
			return text, nil
		}),
		gojq.WithFunction("localtime", 1, 1, func(v any, args []any) any {
			return result(v, func() (any, error) {
				layout, ok := args[0].(string)
				switch {
				case !ok:
					return nil, refuse(core.WrongType, "the layout is no text")
				case env.Zone == nil:
					return nil, refuse(core.MissingField, "the source's 'zone' is not set")
				}
				ms, err := millisOf(v)
				return time.UnixMilli(ms).In(env.Zone).Format(layout), err
			})
		}),
		gojq.WithFunction("minor", 1, 3, func(v any, args []any) any {
			exponent := -1
			if len(args) == 3 {
				n, ok := integer(args[2])
				if !ok || n < 0 || n > 10 {
					return refuse(core.OutOfRange, "the exponent of a currency is from 0 to 10")
				}
				exponent, args = int(n), args[:2]
			}
			return env.amount(v, args, true, exponent)
		}),
		gojq.WithFunction("major", 1, 2, func(v any, args []any) any { return env.amount(v, args, false, -1) }),
	}
	for name, f := range env.Functions {
		options = append(options, gojq.WithFunction(name, 0, 0, func(v any, _ []any) any {
			if v == nil {
				return nil
			}
			return f(v)
		}))
	}
	return options
}

// result is what a function returns to jq: null for null.
func result(v any, f func() (any, error)) any {
	if v == nil {
		return nil
	}
	r, err := f()
	if err != nil {
		return err
	}
	return r
}

func refuse(code core.Code, format string, args ...any) *core.Failure {
	return &core.Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}

// number returns a whole number as jq has it.
func number(n int64) any { return json.Number(strconv.FormatInt(n, 10)) }

// furthest is how far from the epoch (in ms) an instant may be, on both sides: 100
// million days.
const furthest = 8_640_000_000_000_000

// longestNumber is the longest literal of a number that is looked at, so that
// nothing takes long.
const longestNumber = 100

// rational returns the exact value of a number, or of a text that is one.
func rational(v any) (*big.Rat, bool) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = string(v)
	case string:
		text = strings.TrimSpace(v)
	case int:
		return new(big.Rat).SetInt64(int64(v)), true
	case *big.Int:
		if v.BitLen() > 4*longestNumber {
			return nil, false
		}
		return new(big.Rat).SetInt(v), true
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, false
		}
		text = strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return nil, false
	}
	if len(text) > longestNumber || !decimal.MatchString(text) {
		return nil, false
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		if exponent, err := strconv.Atoi(text[at+1:]); err != nil || exponent > 400 || exponent < -400 {
			return nil, false
		}
	}
	return new(big.Rat).SetString(text)
}

var decimal = regexp.MustCompile(`^[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func integer(v any) (int64, bool) {
	r, ok := rational(v)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

// instant returns an instant that is given as a number of units of some
// milliseconds each. Fractions of a millisecond are cut.
func instant(v any, unit int64) (any, error) {
	r, ok := rational(v)
	if !ok {
		return nil, refuse(core.WrongType, "the value is no number of seconds or milliseconds")
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	ms := new(big.Int)
	ms.Div(r.Num(), r.Denom()) // the denominator is positive: rounds down
	if !ms.IsInt64() || ms.Int64() > furthest || ms.Int64() < -furthest {
		return nil, refuse(core.OutOfRange, "the instant is out of range")
	}
	return number(ms.Int64()), nil
}

func millisOf(v any) (int64, error) {
	ms, ok := integer(v)
	if !ok || ms > furthest || ms < -furthest {
		return 0, refuse(core.WrongType, "the value is no instant in epoch milliseconds")
	}
	return ms, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

var (
	jsonDate  = regexp.MustCompile(`^/Date\((-?[0-9]{1,17})([+-][0-9]{4})?\)/$`)
	zoned     = []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05 MST"}
	zoneless  = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"}
	dateOnly  = "2006-01-02"
	onlyZones = regexp.MustCompile(` (UTC|GMT)$`)
)

// parseTime reads a text that is an instant.
func parseTime(v any, zone *time.Location) (any, error) {
	text, ok := v.(string)
	if !ok {
		return nil, refuse(core.WrongType, "the value is no text that is a time")
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	if m := jsonDate.FindStringSubmatch(text); m != nil {
		return instant(m[1], 1)
	}
	for _, layout := range zoned {
		if strings.HasSuffix(layout, "MST") && !onlyZones.MatchString(text) {
			continue
		}
		if t, err := time.Parse(layout, text); err == nil {
			return instant(strconv.FormatInt(t.UnixMilli(), 10), 1)
		}
	}
	if _, err := time.Parse(dateOnly, text); err == nil {
		return parseDate(text)
	}
	for _, layout := range zoneless {
		if _, err := time.Parse(layout, text); err != nil {
			continue
		}
		if zone == nil {
			return nil, refuse(core.MissingField, "the time %q has no zone: set the source's 'zone'", clip(text))
		}
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			return nil, refuse(core.Malformed, "%q is not a time", clip(text))
		}
		return number(t.UnixMilli()), nil
	}
	return nil, refuse(core.Malformed, "%q is not a time", clip(text))
}

// parseDate reads a day, whose first instant in UTC it returns.
func parseDate(v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		return nil, refuse(core.WrongType, "the value is no text that is a date")
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	if len(text) > len(dateOnly) && (text[len(dateOnly)] == 'T' || text[len(dateOnly)] == ' ') {
		text = text[:len(dateOnly)]
	}
	t, err := time.Parse(dateOnly, text)
	if err != nil {
		return nil, refuse(core.Malformed, "%q is not a date", clip(text))
	}
	return number(t.UnixMilli()), nil
}

func clip(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

// Text returns a value as an id or a text (contract C2): a text as it stands, a
// whole number without a fraction, another number as it is written. Nothing else is
// one.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		if r, ok := rational(v); ok && r.IsInt() {
			return r.Num().String(), true
		}
		return string(v), true
	case int, *big.Int, float64:
		r, ok := rational(v)
		switch {
		case !ok:
			return "", false
		case r.IsInt():
			return r.Num().String(), true
		}
		return strconv.FormatFloat(v.(float64), 'f', -1, 64), true
	}
	return "", false
}

// Email returns an e-mail address as addresses are compared.
func Email(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// plain returns the text of an HTML document: paragraphs and line breaks as lines,
// without scripts and styles.
func plain(text string) string {
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(text))
	skip := ""
	for {
		switch z.Next() {
		case html.ErrorToken:
			lines := strings.Split(out.String(), "\n")
			var kept []string
			for _, line := range lines {
				line = strings.Join(strings.Fields(line), " ")
				if line != "" || len(kept) > 0 && kept[len(kept)-1] != "" {
					kept = append(kept, line)
				}
			}
			return strings.TrimSpace(strings.Join(kept, "\n"))
		case html.TextToken:
			if skip == "" {
				out.WriteString(strings.ReplaceAll(string(z.Text()), "\n", " "))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch tag := string(name); tag {
			case "script", "style":
				skip = tag
			case "br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table":
				out.WriteByte('\n')
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch tag := string(name); tag {
			case skip:
				skip = ""
			case "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table":
				out.WriteByte('\n')
			}
		}
	}
}

// ---- Money ----

// exponents are how many decimals the currencies of ISO 4217 have, those that ended
// since 2008 among them: records outlive them. What has none there (gold, the SDR)
// is no currency here.
var exponents = func() map[string]int {
	all := map[string]int{}
	for decimals, codes := range []string{
		0: `BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF`,
		2: `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU
			CRC CUC CUP CVE CZK DKK DOP DZD EEK EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD
			KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL LTL LVL MAD MDL MGA MKD MMK MNT MOP MRO MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO
			NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SKK SLE SLL SOS SRD SSP STD STN SVC SYP SZL THB
			TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VEF VES WST XCD XCG YER ZAR ZMK ZMW ZWG ZWL`,
		3: `BHD IQD JOD KWD LYD OMR TND`,
		4: `CLF UYW`,
	} {
		for code := range strings.FieldsSeq(codes) {
			all[code] = decimals
		}
	}
	return all
}()

// CheckMoney returns a *core.Failure that names what is wrong with a workspace's
// currency and rates.
func CheckMoney(currency string, rates map[string]string) error {
	if _, known := exponents[currency]; !known {
		return &core.Failure{Code: core.Malformed, Field: "currency", Message: "'currency' must be a code of ISO 4217, such as USD"}
	}
	for _, code := range slices.Sorted(maps.Keys(rates)) {
		rate := rates[code]
		_, known := exponents[code]
		r, ok := rational(rate)
		switch {
		case !known || code == currency:
			return &core.Failure{Code: core.Malformed, Field: "rates." + code, Message: "'rates' are by codes of other currencies, such as EUR"}
		case !ok || r.Sign() <= 0:
			return &core.Failure{Code: core.OutOfRange, Field: "rates." + code, Message: "'rates." + code + "' must be a number greater than 0"}
		}
	}
	return nil
}

// amount is what minor and major return: the amount is their input or, with a
// currency behind it, their first argument.
func (e *Env) amount(v any, args []any, minor bool, exponent int) any {
	if len(args) == 2 {
		v, args = args[0], args[1:]
	}
	return result(v, func() (any, error) { return e.cents(v, args[0], minor, exponent) })
}

// cents returns an amount as a whole number of the smallest unit of the workspace's
// currency, rounded half away from zero.
func (e *Env) cents(v, currency any, minor bool, exponent int) (any, error) {
	amount, ok := rational(v)
	if !ok {
		return nil, refuse(core.WrongType, "the amount is no number")
	}
	code := e.Currency
	if currency != nil {
		text, ok := currency.(string)
		if !ok {
			return nil, refuse(core.WrongType, "the currency is no text")
		}
		code = strings.ToUpper(strings.TrimSpace(text))
	}
	decimals, known := exponents[code]
	switch {
	case e.Currency == "":
		return nil, refuse(core.MissingField, "the currency of the workspace is not known")
	case !known:
		return nil, refuse(core.Malformed, "'%s' is not a currency of ISO 4217", clip(code))
	case minor && exponent < 0:
		exponent = decimals
	}
	if minor {
		amount.Quo(amount, power(exponent))
	}
	if code != e.Currency {
		rate, ok := rational(e.Rates[code])
		if !ok {
			return nil, refuse(core.NotFound, "there is no rate for %s: add one to the workspace's currencies", code)
		}
		amount.Mul(amount, rate)
	}
	amount.Mul(amount, power(exponents[e.Currency]))
	n, err := rounded(amount)
	if err != nil {
		return nil, err
	}
	return number(n), nil
}

func power(exponent int) *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exponent)), nil))
}

// rounded returns the whole number next to r; of two as near, the one further from
// zero.
func rounded(r *big.Rat) (int64, error) {
	half := big.NewRat(1, 2)
	if r.Sign() < 0 {
		half.Neg(half)
	}
	sum := new(big.Rat).Add(r, half)
	n := new(big.Int).Quo(sum.Num(), sum.Denom())
	if !n.IsInt64() {
		return 0, refuse(core.OutOfRange, "the amount is too large")
	}
	return n.Int64(), nil
}
