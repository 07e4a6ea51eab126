package schema

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
)

// Value is the value of one field, in the canonical JSON in which it is stored
// and compared: nil when not given, "null" when given as null. A List is an
// array with one array for each entry, the entry's values in the order of the
// sub-fields; a position left out (possible in a patch only) is empty.
type Value []byte

// Null is the value that clears a field.
var Null = Value("null")

// Given reports whether the field occurs at all.
func (v Value) Given() bool { return len(v) > 0 }

// IsNull reports whether the field is not given or null: it reads as unset.
func (v Value) IsNull() bool { return len(v) == 0 || v[0] == 'n' }

// Text returns the text of a String, ID or Label; "" when unset.
func (v Value) Text() string {
	if v.IsNull() {
		return ""
	}
	return string(unquote(v))
}

// Int returns the number in an Integer, Long or Time; 0 when unset.
func (v Value) Int() int64 {
	n, _ := strconv.ParseInt(string(v), 10, 64)
	return n
}

// Float returns the number in a numeric field; 0 when unset.
func (v Value) Float() float64 {
	f, _ := strconv.ParseFloat(string(v), 64)
	return f
}

// True reports whether a Boolean was given and is true.
func (v Value) True() bool { return len(v) > 0 && v[0] == 't' }

// String returns the value of a text field.
func Text(text string) Value { return AppendString(nil, text) }

// Int returns the value of a whole-number field.
func Int(n int64) Value { return strconv.AppendInt(nil, n, 10) }

// Bool returns the value of a Boolean.
func Bool(b bool) Value { return strconv.AppendBool(nil, b) }

// Record is one record, or one entry of a list: its values by ordinal.
type Record []Value

// NewRecord returns a record without values.
func (s *Schema) NewRecord() Record { return make(Record, len(s.Fields)) }

// ParseWhole reads a JSON number as a whole number (contract P17: 1e3 and 5.0
// are whole). fits is false when it exceeds 64 bits.
func ParseWhole(literal []byte) (n int64, whole, fits bool) {
	n, err := strconv.ParseInt(string(literal), 10, 64)
	if err == nil {
		return n, true, true
	}
	negative := literal[0] == '-'
	digits := make([]byte, 0, len(literal))
	point := -1 // how many of the digits stand before the decimal point
	exponent := 0
	for i := 0; i < len(literal); i++ {
		switch b := literal[i]; {
		case b >= '0' && b <= '9':
			digits = append(digits, b)
		case b == '.':
			point = len(digits)
		case b == 'e' || b == 'E':
			// An exponent too long to parse saturates, which is all it needs.
			exponent, _ = strconv.Atoi(string(literal[i+1:]))
			i = len(literal)
		}
	}
	if point < 0 {
		point = len(digits)
	}
	zeros := 0
	for zeros < len(digits) && digits[zeros] == '0' {
		zeros++
	}
	if zeros == len(digits) {
		return 0, true, true
	}
	digits, point = digits[zeros:], point-zeros
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	switch {
	case exponent > math.MaxInt32:
		return 0, true, false
	case exponent < math.MinInt32 || point+exponent < len(digits):
		return 0, false, true
	case point+exponent > 19:
		return 0, true, false
	}
	for len(digits) < point+exponent {
		digits = append(digits, '0')
	}
	if negative {
		digits = append([]byte{'-'}, digits...)
	}
	n, err = strconv.ParseInt(string(digits), 10, 64)
	return n, true, err == nil
}

// Fold returns text in the form in which case does not matter, over all of
// Unicode.
func Fold(text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return cases.Fold().String(text)
		}
	}
	return strings.ToLower(text)
}
