package schema

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWholeNumbersAreWhatTheirDigitsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		literal := rapid.OneOf(
			jsonNumber(),
			// Numbers that are whole, or nearly, and near the ends of the range.
			rapid.Custom(func(t *rapid.T) string {
				n := rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, 1e18, -120}).Draw(t, "near")
				near := new(big.Int).Add(big.NewInt(n), big.NewInt(rapid.Int64Range(-2, 2).Draw(t, "by")))
				return shiftPoint(near.String(), rapid.IntRange(-30, 30).Draw(t, "places"))
			}),
			rapid.StringMatching(`-?0\.0{0,8}[1-9]{0,3}1e-?9{1,25}`),
		).Draw(t, "literal")
		wantN, wantWhole, wantFits := whole(literal)
		n, isWhole, fits := ParseWhole([]byte(literal))
		if isWhole != wantWhole || isWhole && fits != wantFits || isWhole && fits && n != wantN {
			t.Fatalf("ParseWhole(%s) = %d, whole %t, fits %t; want %d, %t, %t", literal, n, isWhole, fits, wantN, wantWhole, wantFits)
		}
	})
}

// shiftPoint writes a whole number with its decimal point moved by so many
// places, and an exponent that moves it back.
func shiftPoint(digits string, places int) string {
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if places <= 0 {
		// The other way round only zeros at the end can give way.
		kept := strings.TrimRight(digits, "0")
		if kept == "" {
			return sign + "0.0e" + big.NewInt(int64(places)).String()
		}
		return sign + kept + "e" + big.NewInt(int64(len(digits)-len(kept))).String()
	}
	digits = strings.Repeat("0", max(places-len(digits)+1, 0)) + digits
	front, back := digits[:len(digits)-places], digits[len(digits)-places:]
	if front = strings.TrimLeft(front, "0"); front == "" {
		front = "0"
	}
	return sign + front + "." + back + "E+" + big.NewInt(int64(places)).String()
}

// whole is the model of ParseWhole.
func whole(literal string) (n int64, isWhole, fits bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	if !strings.ContainsAny(mantissa, "123456789") {
		return 0, true, true
	}
	// Ten to the power of a number with six digits is more than any mantissa
	// here could make up for, and more than is good to compute.
	if e := strings.TrimLeft(strings.TrimLeft(exponent, "+-"), "0"); len(e) > 5 {
		return 0, exponent[0] != '-', false
	}
	r, ok := new(big.Rat).SetString(literal)
	if !ok {
		panic("not a number: " + literal)
	}
	return r.Num().Int64(), r.IsInt(), r.Num().IsInt64()
}

func TestValuesReadBackWhatWasPutIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if got := Text(text).Text(); got != text {
			t.Fatalf("Text(%q) reads %q", text, got)
		}
		n := rapid.Int64().Draw(t, "n")
		if got := Int(n).Int(); got != n {
			t.Fatalf("Int(%d) reads %d", n, got)
		}
		x := rapid.Float64().Draw(t, "x")
		if got := Value(appendDouble(nil, x)).Float(); got != x {
			t.Fatalf("the double %g reads %g", x, got)
		}
	})
	if !Bool(true).True() || Bool(false).True() || Value(nil).True() || Null.True() {
		t.Error("only true is true")
	}
}

func TestNotGivenAndNullAreBothUnsetButNotTheSame(t *testing.T) {
	for _, c := range []struct {
		value         Value
		given, isNull bool
	}{{nil, false, true}, {Null, true, true}, {Text(""), true, false}, {Text("null"), true, false}, {Int(0), true, false}, {Bool(false), true, false}} {
		if c.value.Given() != c.given || c.value.IsNull() != c.isNull {
			t.Errorf("%q: given %t, null %t", c.value, c.value.Given(), c.value.IsNull())
		}
	}
	if Null.Text() != "" || Null.Int() != 0 || Null.Float() != 0 {
		t.Error("an unset value reads as the zero of its type")
	}
}

func TestDoublesAreWrittenWithoutANeedlessFraction(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 20: "20", -1.5: "-1.5", 1e20: "100000000000000000000",
		1e21: "1e+21", 1e-7: "1e-07", 0.1: "0.1", math.MaxFloat64: "1.7976931348623157e+308",
	} {
		if got := string(appendDouble(nil, x)); got != want {
			t.Errorf("appendDouble(%g) = %s, want %s", x, got, want)
		}
	}
}
