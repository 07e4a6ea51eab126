// Package schema turns the declaration of a resource family's fields into
// everything that depends on it: decoding and validation with the API's
// messages, merging, rendering, sort orders and the OpenAPI description. A
// field is declared once, as a Field; nothing else in the project repeats its
// name, type, length or rules.
package schema

import (
	"cmp"
	"fmt"
	"slices"
)

// Type is the type of a field as the API document names it.
type Type uint8

// The types of the API document.
const (
	// String is text; its length is counted in Unicode code points.
	String Type = iota
	// ID is text that may also be given as a JSON number, whose literal text
	// it then is (contract P14).
	ID
	// Label is text that may also be given as a JSON number or boolean, whose
	// literal text it then is: the value of a label dimension (contract P14).
	Label
	// Integer is a whole number of 32 bits.
	Integer
	// Long is a whole number of 64 bits.
	Long
	// Time is a Long: an instant in epoch milliseconds.
	Time
	// Double is an IEEE 754 double.
	Double
	// Boolean is true or false.
	Boolean
	// List is an array of objects whose fields are Field.Sub.
	List
)

// Numeric reports whether values of the type are JSON numbers.
func (t Type) Numeric() bool { return t >= Integer && t <= Double }

// Requirement says when a field must be given (the "Required" column).
type Requirement uint8

// The requirements of the API document.
const (
	// Optional is "no / no".
	Optional Requirement = iota
	// OnInsert is "yes / no": needed when the record is new.
	OnInsert
	// Always is "yes / yes": needed in every record.
	Always
)

// Form is how a List is written in responses.
type Form uint8

// The forms of lists in responses.
const (
	// Objects is an array of objects, as in requests.
	Objects Form = iota
	// Map is one object: the first sub-field's text names the member, the
	// second is its value (dimensions of an account).
	Map
	// Strings is an array of the first sub-field (assigned_csms).
	Strings
)

// Presence says in which responses a field appears.
type Presence uint8

// The presences of fields.
const (
	// Everywhere: in lists, searches and single reads.
	Everywhere Presence = iota
	// OnInclude: in single reads, and in lists when the include parameter names it.
	OnInclude
	// SingleRead: in single reads only.
	SingleRead
	// Never: in none, because it only says what is to be done, or is kept for
	// the server's own use.
	Never
)

// Field is the one declaration of a field.
type Field struct {
	// Name is the field's name in the API document.
	Name string
	// Alias is a second name that requests may use; empty for none.
	Alias string
	Type  Type
	// MaxLen is the greatest length of a String, ID or Label, in code points.
	MaxLen int
	// Range bounds a whole number; nil leaves the type's own range.
	Range *Range
	// Choices are the values a String may have; empty: any.
	Choices  []string
	Required Requirement
	// Default is what an unset Boolean reads as ("true" or "false"), or "now"
	// for a Time that a new record gets when none is given.
	Default string
	// ReadOnly fields are computed: returned, and ignored in requests.
	ReadOnly bool
	// Computed fields are shown with a value that is not, or not always, the one
	// stored.
	Computed bool
	// Email marks a String that holds an e-mail address: it is described as one,
	// and looked up whatever its case.
	Email bool
	Shown Presence
	// Doc is one line of description.
	Doc string
	// Example is a value, as a cell of a CSV file has it; empty where the
	// template's example row is better without.
	Example string

	// Sub are the fields of a List's objects, Key the names of those that
	// identify an entry and order the list. An entry with a known key is merged
	// over the older one, others are added. Without a Key the list keeps the
	// order given, and any entries replace all older ones.
	Sub  []Field
	Key  []string
	Form Form
	// NullDeletes, on a sub-field, lets a null delete the entry (contract A5).
	NullDeletes bool
	// Beside marks a List whose entries grow without bound: they are kept in
	// items of their own beside the record's, not in its body.
	Beside bool
}

// Range is an inclusive range of whole numbers.
type Range struct{ Min, Max int64 }

// Schema is a compiled declaration: the fields of one family, or of the
// entries of one list.
type Schema struct {
	// Name is the family's name in paths, such as "accounts"; for a list, the
	// list field's name.
	Name string
	// Singular is what messages call one record, such as "Account".
	Singular string
	Fields   []Field

	parent    string // prefix of nested names in messages: "nps_history."
	ordinals  map[string]int
	names     [][]byte // `"name":`, ready to be written
	lists     []*Schema
	keys      []int // ordinals of the identifying sub-fields, in sorting order
	unset     [][]byte
	required  []int
	allFields []int
	core      []int
}

// New compiles a declaration. It panics on a declaration that contradicts
// itself: that is a mistake in the program, found by any test.
func New(name, singular string, fields []Field) *Schema {
	return compile(name, singular, "", fields, nil)
}

func compile(name, singular, parent string, fields []Field, key []string) *Schema {
	s := &Schema{
		Name: name, Singular: singular, Fields: fields, parent: parent,
		ordinals: make(map[string]int, 2*len(fields)),
		lists:    make([]*Schema, len(fields)),
	}
	declare := func(n string, i int) {
		if _, twice := s.ordinals[n]; twice || n == "" {
			panic(fmt.Sprintf("schema %s: field %q declared twice or without a name", name, n))
		}
		s.ordinals[n] = i
	}
	for i := range fields {
		f := &fields[i]
		declare(f.Name, i)
		if f.Alias != "" {
			declare(f.Alias, i)
		}
		s.names = append(s.names, append(AppendString(nil, f.Name), ':'))
		if f.Shown != Never {
			s.allFields = append(s.allFields, i)
		}
		if f.Shown == Everywhere {
			s.core = append(s.core, i)
		}
		if f.Required != Optional {
			s.required = append(s.required, i)
		}
		textual := f.Type == String || f.Type == ID || f.Type == Label
		if textual != (f.MaxLen > 0) && !f.ReadOnly {
			panic(fmt.Sprintf("schema %s: field %q: text needs a length, and only text has one", name, f.Name))
		}
		if (f.Type == List) != (len(f.Sub) > 0) || f.Type != List && len(f.Key) > 0 {
			panic(fmt.Sprintf("schema %s: field %q: a list needs sub-fields, and only a list has them or a key", name, f.Name))
		}
		unset := "null"
		switch {
		case f.Type == Boolean && f.Default != "":
			unset = f.Default
		case f.Type == List && f.Form == Map:
			unset = "{}"
		case f.Type == List:
			unset = "[]"
		}
		if f.Type == List {
			s.lists[i] = compile(f.Name, f.Name, f.Name+".", f.Sub, f.Key)
		}
		s.unset = append(s.unset, []byte(unset))
	}
	for _, k := range key {
		s.keys = append(s.keys, s.Ordinal(k))
	}
	return s
}

// Ordinal returns the position of the field called name. It panics when there
// is none: names in code are part of the program.
func (s *Schema) Ordinal(name string) int {
	i, ok := s.ordinals[name]
	if !ok {
		panic(fmt.Sprintf("schema %s has no field %q", s.Name, name))
	}
	return i
}

// Lookup returns the position of the field that a request calls name.
func (s *Schema) Lookup(name string) (int, bool) {
	i, ok := s.ordinals[name]
	return i, ok
}

// List returns the schema of the entries of the list at ordinal i.
func (s *Schema) List(i int) *Schema { return s.lists[i] }

// Scalars returns the names of all fields that are shown and are not lists, in
// order.
func (s *Schema) Scalars() []string {
	var names []string
	for _, i := range s.allFields {
		if s.Fields[i].Type != List {
			names = append(names, s.Fields[i].Name)
		}
	}
	return names
}

// Shown returns the ordinals of the fields that a list of records shows, when
// the include parameter names extra ones.
func (s *Schema) Shown(include []string) []int {
	if len(include) == 0 {
		return s.core
	}
	shown := make([]int, 0, len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Shown == Everywhere || f.Shown == OnInclude && slices.Contains(include, f.Name) {
			shown = append(shown, i)
		}
	}
	return shown
}

// All returns the ordinals of what a single read shows: all fields but those
// that are never shown.
func (s *Schema) All() []int { return s.allFields }

// Compare orders two values of the field at ordinal i; unset comes first, and
// of two booleans the one that reads as false.
func (s *Schema) Compare(i int, a, b Value) int {
	switch {
	case s.Fields[i].Type == Boolean:
		isTrue := func(v Value) bool { return v.True() || v.IsNull() && s.Fields[i].Default == "true" }
		return cmp.Compare(btoi(isTrue(a)), btoi(isTrue(b)))
	case a.IsNull() || b.IsNull():
		return cmp.Compare(btoi(!a.IsNull()), btoi(!b.IsNull()))
	case s.Fields[i].Type == Double:
		return cmp.Compare(a.Float(), b.Float())
	case s.Fields[i].Type.Numeric():
		return cmp.Compare(a.Int(), b.Int())
	}
	return cmp.Compare(a.Text(), b.Text())
}

// Sort sorts records by the fields at these ordinals, the first one first.
func (s *Schema) Sort(records []Record, descending bool, by ...int) {
	slices.SortStableFunc(records, func(a, b Record) int {
		for _, i := range by {
			if c := s.Compare(i, a[i], b[i]); c != 0 && descending {
				return -c
			} else if c != 0 {
				return c
			}
		}
		return 0
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// compareKeys orders two entries by their identifying sub-fields.
func (s *Schema) compareKeys(a, b Record) int {
	for _, k := range s.keys {
		if c := s.Compare(k, a[k], b[k]); c != 0 {
			return c
		}
	}
	return 0
}
