package schema

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tenure/core"
)

// Decode reads a JSON object, which must be valid JSON, into a patch: values
// in canonical form, absent ones not given, null and "" given as null. Values
// may alias object. When a field is refused the rest is decoded all the same,
// so that the caller can tell which record it was; the first refusal is
// returned. Unknown and read-only fields are ignored, or refused when strict.
func (s *Schema) Decode(object []byte, strict bool) (Record, *core.Failure) {
	patch := s.NewRecord()
	return patch, s.decodeInto(patch, object, strict)
}

func (s *Schema) decodeInto(patch Record, object []byte, strict bool) (first *core.Failure) {
	if Kind(object) != '{' {
		return s.refuse(core.WrongType, strings.TrimSuffix(s.parent, "."), "%s must be an object", s.subject())
	}
	refused := func(f *core.Failure) {
		if f != nil && first == nil {
			first = f
		}
	}
	for name, raw := range Members(object) {
		i, known := s.ordinals[string(unquote(name))]
		switch {
		case !known && strict:
			unknown := string(unquote(name))
			refused(s.refuse(core.UnknownField, s.parent+unknown, "'%s%s' is not a known field", s.parent, unknown))
		case !known:
		case s.Fields[i].ReadOnly && strict:
			refused(s.fail(i, core.ReadOnly, "cannot be written"))
		case s.Fields[i].ReadOnly:
		default:
			value, failure := s.decodeValue(i, raw, strict)
			refused(failure)
			patch[i] = value
		}
	}
	return first
}

// subject names what the schema's objects are, for messages.
func (s *Schema) subject() string {
	if s.parent == "" {
		return "the record"
	}
	return fmt.Sprintf("each entry of '%s'", strings.TrimSuffix(s.parent, "."))
}

func (s *Schema) refuse(code core.Code, field, format string, args ...any) *core.Failure {
	return &core.Failure{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// fail returns a failure that begins with the name of the field at ordinal i.
func (s *Schema) fail(i int, code core.Code, format string, args ...any) *core.Failure {
	name := s.parent + s.Fields[i].Name
	return &core.Failure{Code: code, Field: name, Message: fmt.Sprintf("'%s' ", name) + fmt.Sprintf(format, args...)}
}

// Missing returns the failure of a required field that was not given. The
// wording is the API document's; inserting says whether the record is new.
func (s *Schema) Missing(i int, inserting bool) *core.Failure {
	name := s.parent + s.Fields[i].Name
	when := ""
	switch {
	case s.Fields[i].Required == Always:
	case inserting:
		when = " for insert"
	default:
		when = " for modify"
	}
	return s.refuse(core.MissingField, name, "Missing required field%s: '%s'", when, name)
}

func (s *Schema) decodeValue(i int, raw []byte, strict bool) (Value, *core.Failure) {
	f := &s.Fields[i]
	kind := Kind(raw)
	if kind == 'n' {
		return Null, nil
	}
	switch f.Type {
	case String, ID, Label:
		return s.decodeText(i, kind, raw)
	case Integer, Long, Time:
		if kind != '0' {
			return nil, s.fail(i, core.WrongType, "value must be a number")
		}
		n, whole, fits := ParseWhole(raw)
		if !whole {
			return nil, s.fail(i, core.WrongType, "value must be a whole number")
		}
		bounds := f.bounds()
		if !fits || n < bounds.Min || n > bounds.Max {
			return nil, s.fail(i, core.OutOfRange, "value must be between %d and %d", bounds.Min, bounds.Max)
		}
		return strconv.AppendInt(nil, n, 10), nil
	case Double:
		if kind != '0' {
			return nil, s.fail(i, core.WrongType, "value must be a number")
		}
		x, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			return nil, s.fail(i, core.OutOfRange, "value is too large for a double")
		}
		return appendDouble(nil, x), nil
	case Boolean:
		if kind != 't' && kind != 'f' {
			return nil, s.fail(i, core.WrongType, "must be boolean")
		}
		if f.Default == string(raw) {
			return Null, nil
		}
		return raw, nil
	}
	return s.decodeList(i, kind, raw, strict)
}

func (f *Field) bounds() Range {
	switch {
	case f.Range != nil:
		return *f.Range
	case f.Type == Integer:
		return Range{math.MinInt32, math.MaxInt32}
	}
	return Range{math.MinInt64, math.MaxInt64}
}

// appendDouble writes x so that whole numbers have no fraction and no value
// changes on the way back.
func appendDouble(dst []byte, x float64) []byte {
	if x == 0 {
		return append(dst, '0') // -0 too
	}
	format := byte('f')
	if abs := math.Abs(x); abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	return strconv.AppendFloat(dst, x, format, -1, 64)
}

func (s *Schema) decodeText(i int, kind byte, raw []byte) (Value, *core.Failure) {
	f := &s.Fields[i]
	text := raw
	switch {
	case kind == '"':
		text = unquote(raw)
	case kind == '0' && f.Type != String, (kind == 't' || kind == 'f') && f.Type == Label:
		raw = AppendString(nil, string(raw))
	default:
		return nil, s.fail(i, core.WrongType, "value must be a string")
	}
	if len(text) == 0 {
		if f.NullDeletes {
			return nil, s.Missing(i, true)
		}
		return Null, nil
	}
	if len(text) > f.MaxLen {
		if n := utf8.RuneCount(text); n > f.MaxLen {
			return nil, s.fail(i, core.TooLong, "value is too long: %d characters, at most %d", n, f.MaxLen)
		}
	}
	if len(f.Choices) > 0 && !slices.Contains(f.Choices, string(text)) {
		return nil, s.fail(i, core.NotAChoice, "value must be one of: %s", strings.Join(f.Choices, ", "))
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		raw = AppendString(nil, string(text))
	}
	return raw, nil
}

func (s *Schema) decodeList(i int, kind byte, raw []byte, strict bool) (Value, *core.Failure) {
	if kind != '[' {
		return nil, s.fail(i, core.WrongType, "value must be an array")
	}
	sub := s.lists[i]
	list := Value{'['}
	entry := sub.NewRecord()
	for element := range Elements(raw) {
		clear(entry)
		if failure := sub.decodeInto(entry, element, strict); failure != nil {
			return nil, failure
		}
		for _, r := range sub.required {
			if sub.Fields[r].Required == Always && entry[r].IsNull() {
				return nil, sub.Missing(r, true)
			}
		}
		list = appendEntry(list, entry, Value.Given, "")
	}
	return append(list, ']'), nil
}

// appendEntry appends an entry to a list under construction. Values for which
// kept is false are left out at the end and written as hole elsewhere.
func appendEntry(list Value, entry Record, kept func(Value) bool, hole string) Value {
	if len(list) > 1 {
		list = append(list, ',')
	}
	last := len(entry) - 1
	for last > 0 && !kept(entry[last]) {
		last--
	}
	list = append(list, '[')
	for i, value := range entry[:last+1] {
		if i > 0 {
			list = append(list, ',')
		}
		if kept(value) {
			list = append(list, value...)
		} else {
			list = append(list, hole...)
		}
	}
	return append(list, ']')
}

func set(v Value) bool { return !v.IsNull() }

// PatchOf returns the value of a list in a patch: as ListOf does, but telling
// what is not given from what is null.
func (s *Schema) PatchOf(entries []Record) Value {
	list := Value{'['}
	for _, e := range entries {
		list = appendEntry(list, e, Value.Given, "")
	}
	return append(list, ']')
}

// Insert returns the value of a list with entry among these entries, in the
// order of their keys, in place of one with the same key.
func (s *Schema) Insert(entries []Record, entry Record) Value {
	at, found := slices.BinarySearchFunc(entries, entry, s.compareKeys)
	if found {
		entries[at] = entry
	} else {
		entries = slices.Insert(entries, at, entry)
	}
	return s.ListOf(entries)
}

// Entries returns the entries of a list value. They alias it.
func (s *Schema) Entries(list Value) []Record {
	if list.IsNull() {
		return nil
	}
	var entries []Record
	for entry := range s.EachEntry(list) {
		entries = append(entries, slices.Clone(entry))
	}
	return entries
}

// EachEntry yields the entries of a list value, each in the place of the one
// before. They alias it.
func (s *Schema) EachEntry(list Value) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		if list.IsNull() {
			return
		}
		entry := s.NewRecord()
		for element := range Elements(list) {
			clear(entry)
			i := 0
			for value := range Elements(element) {
				if i < len(entry) {
					entry[i] = value
				}
				i++
			}
			if !yield(entry) {
				return
			}
		}
	}
}

// ListOf returns the value of a list with these entries, valid JSON and equal
// for equal entries; null when there are none.
func (s *Schema) ListOf(entries []Record) Value {
	if len(entries) == 0 {
		return Null
	}
	list := Value{'['}
	for _, e := range entries {
		list = appendEntry(list, e, set, string(Null))
	}
	return append(list, ']')
}
