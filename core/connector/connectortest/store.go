package connectortest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Row is a record as the system has it. Numbers are json.Number.
type Row = map[string]any

// Collection says what the store has to know of records of one kind.
type Collection struct {
	// ID is the path to the id, such as "customer.id".
	ID string
	// Updated is the path to the time of the last change; empty: there is none.
	Updated string
	// Form is how that time is written: a layout of package time, or "unix", "ms"
	// or "/Date/".
	Form string
	// Delete marks a row as deleted, as the system does; nil: it vanishes.
	Delete func(Row)
	// Stays says that the system deletes none.
	Stays bool
}

// Change is something that has happened to a row.
type Change struct {
	ID      any // as the row has it
	Row     Row // nil if it is gone
	Deleted bool
	At      time.Time
}

// collection is the state of a Collection.
type collection struct {
	Collection
	fixture []Row // as the file has them
	rows    []Row
	changes []Change
}

// Collection declares records of one kind: those of records/NAME.json.
func (s *Server) Collection(name string, c Collection) {
	rows, ok := s.data[name].([]any)
	if !ok {
		s.fault("there is no records/%s.json, or it is not an array", name)
	}
	col := &collection{Collection: c}
	for i, r := range rows {
		row, ok := r.(Row)
		if !ok || At(row, c.ID) == nil {
			s.fault("records/%s.json: row %d has no id at %q", name, i, c.ID)
			continue
		}
		if c.Updated != "" {
			if text := At(row, c.Updated); text != nil {
				if at, err := parse(text, c.Form); err != nil || at.After(Start) {
					s.fault("records/%s.json: row %d: %q is no time in the form %q before the suite's clock: %v", name, i, text, c.Form, err)
				}
			}
		}
		col.fixture = append(col.fixture, row)
	}
	col.rows = slices.Clone(col.fixture)
	s.collections[name] = col
}

// Same says that a stream called name reads the records of a collection, too. It
// need not tell which of them were deleted.
func (s *Server) Same(name, collection string) {
	s.collections[name] = s.collection(collection)
	s.same[name] = true
}

// Sort sorts rows by a text or number at a path.
func Sort(rows []Row, path string) []Row {
	slices.SortStableFunc(rows, func(a, b Row) int {
		x, y := fmt.Sprint(At(a, path)), fmt.Sprint(At(b, path))
		if _, number := At(a, path).(json.Number); number && len(x) != len(y) {
			return len(x) - len(y)
		}
		return strings.Compare(x, y)
	})
	return rows
}

func (s *Server) collection(name string) *collection {
	c := s.collections[name]
	if c == nil {
		s.fault("the stand-in has no collection %q", name)
		return &collection{}
	}
	return c
}

// Rows returns all rows of a collection, in the order of their last change if
// they have its time. They are copies.
func (s *Server) Rows(name string) []Row { return s.Since(name, time.Time{}) }

// Since returns the rows that were changed at t or later; those without a time
// are left out unless t is zero.
func (s *Server) Since(name string, t time.Time) []Row {
	c := s.collection(name)
	type dated struct {
		row Row
		at  time.Time
	}
	var rows []dated
	for _, r := range c.rows {
		at := c.updated(r)
		if !at.Before(t) {
			rows = append(rows, dated{r, at})
		}
	}
	slices.SortStableFunc(rows, func(a, b dated) int { return a.at.Compare(b.at) })
	copies := make([]Row, len(rows))
	for i, r := range rows {
		copies[i] = clone(r.row).(Row)
	}
	return copies
}

// Changes returns what has happened to rows since t: the creation of new ones,
// changes and deletions. What the file has has never happened.
func (s *Server) Changes(name string, t time.Time) []Change {
	var found []Change
	for _, c := range s.collection(name).changes {
		if !c.At.Before(t) {
			if c.Row != nil {
				c.Row = clone(c.Row).(Row)
			}
			found = append(found, c)
		}
	}
	return found
}

// Find returns a copy of the row with an id, whose type does not matter; nil if
// there is none.
func (s *Server) Find(name string, id any) any {
	c := s.collection(name)
	for _, r := range c.rows {
		if fmt.Sprint(At(r, c.ID)) == fmt.Sprint(id) {
			return clone(r)
		}
	}
	return nil
}

// Select returns the rows for which keep is true.
func (s *Server) Select(rows []Row, keep func(Row) bool) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return !keep(r) })
}

// Grow makes a collection have n rows: the first ones of the file, and copies of
// them with ids of their own, each changed a second after the one before. only,
// if not nil, says of which rows of the file.
func (s *Server) Grow(name string, n int, only func(i int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.collection(name)
	var base []Row
	for i, r := range c.fixture {
		if only == nil || only(i) {
			base = append(base, r)
		}
	}
	c.rows, c.changes = nil, nil
	for i := range n {
		if len(base) == 0 {
			s.fault("records/%s.json has no row to make more of", name)
			return
		}
		row := base[i%len(base)]
		if i >= len(base) {
			row = c.copy(row, i)
			if at := c.updated(row); !at.IsZero() {
				c.setUpdated(row, at.Add(time.Duration(i)*time.Second))
			}
		}
		c.rows = append(c.rows, row)
	}
}

// Touch changes the row at i: its time becomes the clock's.
func (s *Server) Touch(name string, i int) Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.collection(name)
	row := clone(c.rows[i]).(Row)
	c.setUpdated(row, s.now())
	c.rows[i] = row
	c.changes = append(c.changes, Change{ID: At(row, c.ID), Row: row, At: s.now()})
	return row
}

// Add adds a copy of the row at i with an id of its own, changed now.
func (s *Server) Add(name string, i int) Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.collection(name)
	s.added++
	row := c.copy(c.rows[i], 900000+s.added)
	c.setUpdated(row, s.now())
	c.rows = append(c.rows, row)
	c.changes = append(c.changes, Change{ID: At(row, c.ID), Row: row, At: s.now()})
	return row
}

// Delete deletes the row at i, as the system does.
func (s *Server) Delete(name string, i int) Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.collection(name)
	row := clone(c.rows[i]).(Row)
	change := Change{ID: At(row, c.ID), Deleted: true, At: s.now()}
	if c.Delete != nil {
		c.Delete(row)
		c.setUpdated(row, s.now())
		c.rows[i], change.Row = row, row
	} else {
		c.rows = slices.Delete(slices.Clone(c.rows), i, i+1)
	}
	c.changes = append(c.changes, change)
	return row
}

// copy returns a copy of a row with another id, made of the old one and n.
func (c *collection) copy(row Row, n int) Row {
	row = clone(row).(Row)
	switch id := At(row, c.ID).(type) {
	case json.Number:
		set(row, c.ID, json.Number(fmt.Sprintf("%s%06d", strings.TrimSuffix(id.String(), ".0"), n)))
	case string:
		// The last run of letters and digits ends in the number, so that a UUID
		// stays one and so does an id of fixed length.
		end := strings.LastIndexFunc(id, func(r rune) bool { return strings.ContainsRune(alphanumeric, r) }) + 1
		begin := strings.LastIndexFunc(id[:end], func(r rune) bool { return !strings.ContainsRune(alphanumeric, r) }) + 1
		keep := end
		if end-begin >= 8 {
			keep = end - 6
		}
		set(row, c.ID, fmt.Sprintf("%s%06d%s", id[:keep], n, id[end:]))
	}
	return row
}

const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// updated returns the time of a row's last change; zero if it has none.
func (c *collection) updated(row Row) time.Time {
	if c.Updated == "" {
		return time.Time{}
	}
	at, _ := parse(At(row, c.Updated), c.Form)
	return at
}

func (c *collection) setUpdated(row Row, at time.Time) {
	if c.Updated != "" {
		set(row, c.Updated, format(at, c.Form))
	}
}

// parse reads a time in the form of a Collection.
func parse(v any, form string) (time.Time, error) {
	text := fmt.Sprint(v)
	switch form {
	case "unix", "ms", "/Date/":
		digits, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(text, "/Date("), ")/"), "+")
		n, err := strconv.ParseInt(digits, 10, 64)
		if form == "unix" {
			return time.Unix(n, 0).UTC(), err
		}
		return time.UnixMilli(n).UTC(), err
	}
	return time.Parse(form, text)
}

// format writes a time in the form of a Collection.
func format(at time.Time, form string) any {
	switch form {
	case "unix":
		return json.Number(strconv.FormatInt(at.Unix(), 10))
	case "ms":
		return json.Number(strconv.FormatInt(at.UnixMilli(), 10))
	case "/Date/":
		return fmt.Sprintf("/Date(%d+0000)/", at.UnixMilli())
	}
	return at.UTC().Format(form)
}

// At returns what v has at a path of members and, in arrays, numbers, separated
// by dots; nil if there is nothing.
func At(v any, path string) any {
	for _, name := range strings.Split(path, ".") {
		switch of := v.(type) {
		case Row:
			v = of[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(of) {
				return nil
			}
			v = of[i]
		default:
			return nil
		}
	}
	return v
}

// set puts a value at a path, whose objects exist.
func set(row Row, path string, value any) {
	parent, name := any(row), path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = At(row, path[:i]), path[i+1:]
	}
	if of, ok := parent.(Row); ok {
		of[name] = value
	}
}

// clone returns a deep copy of decoded JSON.
func clone(v any) any {
	switch of := v.(type) {
	case Row:
		of = maps.Clone(of)
		for name, member := range of {
			of[name] = clone(member)
		}
		return of
	case []any:
		of = slices.Clone(of)
		for i := range of {
			of[i] = clone(of[i])
		}
		return of
	}
	return v
}
