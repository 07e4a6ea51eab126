package schema

import (
	"bytes"
	"slices"

	"tenure/core"
)

// Merge lays a patch over a record and returns the result: given values
// replace, null clears, entries of lists merge by their key. old is nil when
// the record is new; required fields are checked accordingly (contract P15,
// Q4, Q8). Lists named in replace are replaced as a whole. Lists kept Beside
// are left out: their entries do not live in the record.
func (s *Schema) Merge(old, patch Record, replace ...int) (Record, *core.Failure) {
	inserting := old == nil
	for _, i := range s.required {
		given := patch[i].Given()
		if patch[i].IsNull() && (given || inserting || s.Fields[i].Required == Always && s.parent == "") {
			return nil, s.Missing(i, inserting)
		}
	}
	merged := s.NewRecord()
	copy(merged, old)
	for i, value := range patch {
		f := &s.Fields[i]
		switch {
		case !value.Given() || f.Beside:
		case value.IsNull():
			merged[i] = nil
		case f.Type != List:
			merged[i] = value
		default:
			current := merged[i]
			if slices.Contains(replace, i) {
				current = nil
			}
			list, failure := s.lists[i].mergeEntries(current, value)
			if failure != nil {
				return nil, failure
			}
			merged[i] = list
		}
	}
	return merged, nil
}

// mergeEntries merges the entries of patch into those of list, entries of the
// same key in the order given, and returns them in the order of their keys.
func (s *Schema) mergeEntries(list, patch Value) (Value, *core.Failure) {
	old, patches := s.Entries(list), s.Entries(patch)
	if len(s.keys) == 0 {
		return s.replaceEntries(list, patches)
	}
	slices.SortStableFunc(patches, s.compareKeys)
	merged := make([]Record, 0, len(old)+len(patches))
	for len(patches) > 0 {
		p := patches[0]
		for len(old) > 0 && s.compareKeys(old[0], p) < 0 {
			merged, old = append(merged, old[0]), old[1:]
		}
		var entry Record // what the patches of this key make of it
		if len(old) > 0 && s.compareKeys(old[0], p) == 0 {
			entry, old = old[0], old[1:]
		}
		for len(patches) > 0 && s.compareKeys(patches[0], p) == 0 {
			if s.deletes(patches[0]) {
				entry = nil
			} else {
				next, failure := s.Merge(entry, patches[0])
				if failure != nil {
					return nil, failure
				}
				entry = next
			}
			patches = patches[1:]
		}
		if entry != nil {
			merged = append(merged, entry)
		}
	}
	return s.ListOf(append(merged, old...)), nil
}

// replaceEntries returns the list of entries, or the old list when there are
// none.
func (s *Schema) replaceEntries(list Value, entries []Record) (Value, *core.Failure) {
	if len(entries) == 0 {
		return list, nil
	}
	for i, entry := range entries {
		whole, failure := s.Merge(nil, entry)
		if failure != nil {
			return nil, failure
		}
		entries[i] = whole
	}
	return s.ListOf(entries), nil
}

// deletes reports whether a patch of an entry asks for its removal.
func (s *Schema) deletes(patch Record) bool {
	for i := range s.Fields {
		if s.Fields[i].NullDeletes && patch[i].Given() && patch[i].IsNull() {
			return true
		}
	}
	return false
}

// Without returns list without the entries for which drop says so.
func (s *Schema) Without(list Value, drop func(entry Record) bool) Value {
	return s.ListOf(slices.DeleteFunc(s.Entries(list), drop))
}

// AppendStored appends the record in the form in which it is stored: an object
// of the fields that are set, in declared order. Equal records give equal
// bytes.
func (s *Schema) AppendStored(dst []byte, r Record) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for i, value := range r {
		if value.IsNull() {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, s.names[i]...), value...)
	}
	return append(dst, '}')
}

// Equal reports whether two records are stored alike.
func (s *Schema) Equal(a, b Record) bool {
	for i := range s.Fields {
		if a[i].IsNull() != b[i].IsNull() || !a[i].IsNull() && string(a[i]) != string(b[i]) {
			return false
		}
	}
	return true
}

// ParseStored reads what AppendStored wrote. The record aliases body. Fields
// the declaration no longer has are dropped.
func (s *Schema) ParseStored(body []byte) Record {
	r := s.NewRecord()
	next := 0
	for name, value := range Members(body) {
		// Fields were written in declared order, so the next one is nearly
		// always a few positions on.
		i := next
		for i < len(r) && string(name) != string(s.names[i][:len(s.names[i])-1]) {
			i++
		}
		if i == len(r) {
			var known bool
			if i, known = s.ordinals[string(unquote(name))]; !known {
				continue
			}
		}
		r[i] = value
		next = i + 1
	}
	return r
}

// StoredValue returns one value of what AppendStored wrote, without reading the
// rest. The text of a name with its quotes and colon is nowhere else in a stored
// record: lists are stored without names, and texts with their quotes escaped.
func (s *Schema) StoredValue(body []byte, i int) Value {
	at := bytes.Index(body, s.names[i])
	if at < 0 {
		return nil
	}
	c := cursor{text: body, at: at + len(s.names[i])}
	return c.value()
}

// AppendObject appends the record as responses show it: every field named by
// ordinals, null (or its default, or an empty list) when unset.
func (s *Schema) AppendObject(dst []byte, r Record, ordinals []int) []byte {
	dst = append(dst, '{')
	for n, i := range ordinals {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, s.names[i]...)
		switch {
		case r[i].IsNull():
			dst = append(dst, s.unset[i]...)
		case s.Fields[i].Type == List:
			dst = s.lists[i].appendList(dst, r[i], s.Fields[i].Form)
		default:
			dst = append(dst, r[i]...)
		}
	}
	return append(dst, '}')
}

func (s *Schema) appendList(dst []byte, list Value, form Form) []byte {
	open, end := byte('['), byte(']')
	if form == Map {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	start := len(dst)
	entry := s.NewRecord()
	for element := range Elements(list) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		clear(entry)
		i := 0
		for value := range Elements(element) {
			if i < len(entry) {
				entry[i] = value
			}
			i++
		}
		switch form {
		case Map:
			dst = append(append(dst, entry[0]...), ':')
			if entry[1].IsNull() {
				dst = append(dst, Null...)
			} else {
				dst = append(dst, entry[1]...)
			}
		case Strings:
			dst = append(dst, entry[0]...)
		default:
			dst = s.AppendObject(dst, entry, s.allFields)
		}
	}
	return append(dst, end)
}
