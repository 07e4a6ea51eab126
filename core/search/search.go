// Package search reads the conditions of a search ("Search" of the API
// document, contract R1) and decides which records meet them.
package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
)

// Operators are the operators of conditions, the default first.
var Operators = []string{"eq", "ne", "lt", "le", "gt", "ge", "like", "notLike", "isTrue", "isFalse"}

// condition is one condition on a record.
type condition struct {
	field    int
	operator string
	value    schema.Value // canonical; nil with isTrue and isFalse
	text     string       // what like looks for, folded
	number   float64      // the value of a numeric field, as a double
	integer  int64        // what it has before the point
	whole    bool         // it has nothing behind the point, and fits in 64 bits
	beyond   bool         // what it has before the point does not fit
}

// Search is a set of conditions, all of which a record has to meet.
type Search struct {
	schema     *schema.Schema
	conditions []condition
	name       []byte
}

// Parse reads the conditions on records of s from JSON objects, which must be
// valid JSON.
func Parse(s *schema.Schema, objects [][]byte) (*Search, *core.Failure) {
	search := &Search{schema: s}
	for _, object := range objects {
		c, failure := parseCondition(s, object)
		if failure != nil {
			return nil, failure
		}
		search.conditions = append(search.conditions, c)
		search.name = fmt.Appendf(search.name, "%d %s %s\n", c.field, c.operator, c.value)
	}
	return search, nil
}

func refuse(code core.Code, field, format string, args ...any) *core.Failure {
	return &core.Failure{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

func parseCondition(s *schema.Schema, object []byte) (c condition, failure *core.Failure) {
	if schema.Kind(object) != '{' {
		return c, refuse(core.WrongType, "records", "each entry of 'records' must be an object")
	}
	given := map[string][]byte{}
	for name, value := range schema.Members(object) {
		given[schema.Value(name).Text()] = value
	}
	text := func(name string) (string, *core.Failure) {
		switch schema.Kind(given[name]) {
		case '"':
			return schema.Value(given[name]).Text(), nil
		case 0, 'n':
			return "", nil
		}
		return "", refuse(core.WrongType, name, "'%s' value must be a string", name)
	}
	attribute, failure := text("attribute")
	if failure != nil {
		return c, failure
	}
	if attribute == "" {
		return c, refuse(core.MissingField, "attribute", "Missing required field: 'attribute'")
	}
	if c.operator, failure = text("operator"); failure != nil {
		return c, failure
	}
	if c.operator == "" {
		c.operator = Operators[0]
	}
	if !slices.Contains(Operators, c.operator) {
		return c, refuse(core.NotAChoice, "operator", "'operator' of '%s' must be one of: %s", attribute, strings.Join(Operators, ", "))
	}
	var known bool
	if c.field, known = s.Lookup(attribute); !known || !slices.Contains(s.Scalars(), s.Fields[c.field].Name) {
		return c, refuse(core.UnknownField, attribute, "'%s' is not an attribute that can be searched", attribute)
	}
	return c, c.parseValue(&s.Fields[c.field], attribute, given["value"])
}

// parseValue reads the value of a condition, whose type and operator must go
// with the field's.
func (c *condition) parseValue(f *schema.Field, attribute string, raw []byte) *core.Failure {
	wrong := func(what string) *core.Failure {
		return refuse(core.WrongType, attribute, "'%s': the operator %s needs %s attribute", attribute, c.operator, what)
	}
	boolean, numeric := f.Type == schema.Boolean, f.Type.Numeric()
	switch c.operator {
	case "isTrue", "isFalse":
		if !boolean {
			return wrong("a boolean")
		}
		return nil
	case "lt", "le", "gt", "ge":
		if !numeric {
			return wrong("a numeric")
		}
	case "like", "notLike":
		if boolean || numeric {
			return wrong("a text")
		}
	}
	kind := schema.Kind(raw)
	if kind == 0 || kind == 'n' {
		return refuse(core.MissingField, "value", "Missing required field: 'value' of '%s'", attribute)
	}
	switch {
	case boolean && (kind == 't' || kind == 'f'):
		c.value = raw
	case numeric && kind == '0':
		n, whole, fits := schema.ParseWhole(raw)
		c.value, c.number = raw, schema.Value(raw).Float()
		switch {
		case !fits:
			c.beyond = true
		case whole:
			c.value, c.number, c.integer, c.whole = schema.Int(n), float64(n), n, true
		default:
			c.integer, c.beyond = integerPart(string(raw))
		}
	case !boolean && !numeric && kind == '"':
		c.value = schema.Text(schema.Value(raw).Text())
	case f.Type == schema.ID && kind == '0':
		c.value = schema.Text(string(raw))
	case boolean:
		return refuse(core.WrongType, attribute, "'%s': the value must be boolean", attribute)
	case numeric:
		return refuse(core.WrongType, attribute, "'%s': the value must be a number", attribute)
	default:
		return refuse(core.WrongType, attribute, "'%s': the value must be a string", attribute)
	}
	if c.operator == "like" || c.operator == "notLike" {
		c.text = schema.Fold(c.value.Text())
	}
	return nil
}

// Names reports whether a condition is on one of these attributes.
func (s *Search) Names(attributes ...string) bool {
	return slices.ContainsFunc(s.conditions, func(c condition) bool {
		return slices.Contains(attributes, s.schema.Fields[c.field].Name)
	})
}

// Filter returns the filter of a list that leaves the records that match.
func (s *Search) Filter() *resource.Filter {
	f := &resource.Filter{Name: string(s.name), Match: s.Match, Stored: s.matchStored, Equal: map[int]schema.Value{}}
	for _, c := range s.conditions {
		typ := s.schema.Fields[c.field].Type
		if c.operator == "eq" && (!typ.Numeric() || c.whole && typ != schema.Double) {
			f.Equal[c.field] = c.value
		}
	}
	return f
}

// Match reports whether a record, as it is shown, meets all conditions.
func (s *Search) Match(r schema.Record) bool {
	for i := range s.conditions {
		c := &s.conditions[i]
		if !c.match(&s.schema.Fields[c.field], r[c.field]) {
			return false
		}
	}
	return true
}

// matchStored reports whether a stored record may meet all conditions: whether
// it meets those on fields that are shown as they are stored.
func (s *Search) matchStored(body []byte) bool {
	for i := range s.conditions {
		c := &s.conditions[i]
		f := &s.schema.Fields[c.field]
		if !f.Computed && !c.match(f, s.schema.StoredValue(body, c.field)) {
			return false
		}
	}
	return true
}

func (c *condition) match(f *schema.Field, v schema.Value) bool {
	if v.IsNull() && f.Type == schema.Boolean && f.Default != "" {
		v = schema.Value(f.Default)
	}
	if v.IsNull() { // an unset attribute
		return c.operator == "ne" || c.operator == "notLike"
	}
	switch c.operator {
	case "isTrue":
		return v.True()
	case "isFalse":
		return !v.True()
	case "like":
		return contains(v, c.text)
	case "notLike":
		return !contains(v, c.text)
	}
	if !f.Type.Numeric() {
		return (string(v) == string(c.value)) == (c.operator == "eq")
	}
	order := c.compare(f, v)
	switch c.operator {
	case "eq":
		return order == 0
	case "ne":
		return order != 0
	case "lt":
		return order < 0
	case "le":
		return order <= 0
	case "gt":
		return order > 0
	}
	return order >= 0
}

// compare orders the number v of a field and the condition's, exactly: a
// double does not hold every whole number.
func (c *condition) compare(f *schema.Field, v schema.Value) int {
	if f.Type == schema.Double {
		return compare(v.Float(), c.number)
	}
	switch n := v.Int(); {
	case c.whole:
		return compare(n, c.integer)
	case c.value[0] == '-':
		if !c.beyond && n < c.integer {
			return -1
		}
		return 1
	case !c.beyond && n > c.integer:
		return 1
	}
	return -1
}

// integerPart returns what a JSON number that is not whole has before its point,
// once it is written without an exponent; beyond is true when that exceeds 64 bits.
func integerPart(literal string) (n int64, beyond bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	sign, digits := "", mantissa
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	before, behind, _ := strings.Cut(digits, ".")
	shift, _ := strconv.Atoi(exponent) // one too long to parse saturates: it is negative, or the number were whole
	digits = before + behind
	digits = digits[:max(0, len(before)+shift)]
	if digits == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(sign+digits, 10, 64)
	return n, err != nil
}

func compare[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// contains reports whether the text in v has the folded text in it.
func contains(v schema.Value, folded string) bool {
	text := v[1 : len(v)-1]
	for _, b := range text {
		if b >= utf8.RuneSelf || b == '\\' {
			return strings.Contains(schema.Fold(v.Text()), folded)
		}
	}
	return containsLower(text, folded)
}

// containsLower reports whether ASCII text has the lower-case text in it, in
// whatever case.
func containsLower(text []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(text); i++ {
		j := 0
		for j < len(lower) && lowerASCII(text[i+j]) == lower[j] {
			j++
		}
		if j == len(lower) {
			return true
		}
	}
	return false
}

func lowerASCII(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}
