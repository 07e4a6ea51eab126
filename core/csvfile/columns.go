package csvfile

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hbollon/go-edlib"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
)

// Column describes one column of a family's files.
type Column struct {
	// Name is the header. In that of a list's column the 1 in brackets stands for
	// any number from 1 on; in that of a custom dimension the text behind the dot
	// is an example of a key.
	Name string `json:"name"`
	// Type says in words what a cell holds.
	Type string `json:"type"`
	// Required is "always", "when new" or ""; of a list's column, whenever an
	// entry is given, or when the entry is new.
	Required string `json:"required,omitempty"`
	// MaxLen is the greatest length of a text in characters; 0 where there is none.
	MaxLen int `json:"max_len,omitempty"`
	// Min and Max bound a number; nil where only its type does.
	Min *int64 `json:"min,omitempty"`
	Max *int64 `json:"max,omitempty"`
	// Choices are the texts that a cell may have; empty for any.
	Choices []string `json:"choices,omitempty"`
	// Default is what a new record gets without the cell; "" for nothing.
	Default string `json:"default,omitempty"`
	// Repeats says that there may be any number of such columns: of a list or of
	// custom dimensions.
	Repeats bool `json:"repeats,omitempty"`
	// Example is the cell in the template's example row.
	Example string `json:"example,omitempty"`
	// Doc is one line of description.
	Doc string `json:"doc"`
}

// Columns returns the columns that a family's files may have, in the order of
// the template.
func Columns(f *resource.Family) []Column {
	var all []Column
	for i := range f.Schema.Fields {
		field := &f.Schema.Fields[i]
		switch {
		case field.ReadOnly:
		case field.IsDimensions():
			value := &field.Sub[1]
			c := describe(field.Name+"."+dimensionKey(value), value)
			c.Repeats, c.Doc = true, field.Doc
			all = append(all, c)
		case field.Type == schema.List:
			for j := range field.Sub {
				c := describe(fmt.Sprintf("%s[1].%s", field.Name, field.Sub[j].Name), &field.Sub[j])
				c.Repeats = true
				all = append(all, c)
			}
		default:
			all = append(all, describe(field.Name, field))
		}
	}
	return all
}

// typeNames say what a cell of a type holds.
var typeNames = map[schema.Type]string{
	schema.String: "text", schema.ID: "id", schema.Label: "text", schema.Integer: "whole number", schema.Long: "whole number",
	schema.Time: "date and time, or epoch ms", schema.Double: "number", schema.Boolean: "true or false",
}

func describe(name string, f *schema.Field) Column {
	c := Column{
		Name: name, Type: typeNames[f.Type], MaxLen: f.MaxLen, Choices: f.Choices, Default: f.Default,
		Example: f.Example, Doc: f.Doc,
	}
	switch f.Required {
	case schema.Always:
		c.Required = "always"
	case schema.OnInsert:
		c.Required = "when new"
	}
	switch {
	case f.Range != nil:
		c.Min, c.Max = &f.Range.Min, &f.Range.Max
	case f.Type == schema.Integer:
		c.Min, c.Max = new(int64), new(int64)
		*c.Min, *c.Max = math.MinInt32, math.MaxInt32
	}
	return c
}

// dimensionKey is the key of the example of a dimension with such values.
func dimensionKey(value *schema.Field) string {
	switch value.Type {
	case schema.Double:
		return "seats bought"
	case schema.Time:
		return "last training"
	}
	return "favorite fruit"
}

// Template returns the CSV template of a family, for a spreadsheet that
// separates by separator: the header, an explanation and an example row. The
// latter two are comments.
func Template(f *resource.Family, separator rune) []byte {
	var header, example []string
	for _, c := range Columns(f) {
		header = append(header, c.Name)
		example = append(example, c.Example)
	}
	var b bytes.Buffer // writes to which do not fail
	w := NewWriter(&b, separator)
	_ = w.Write(header...)
	_ = w.Comment("Rows whose first cell begins with # and a space are ignored, as this one and the example below. " +
		"Delete the # and the space to use it.")
	_ = w.Comment(`An empty cell leaves a value as it is; \N clears it. Dates are 2024-03-01, 2024-03-01T10:00:00Z or epoch ms. ` +
		"Columns may be left out. More entries of a list: [2], [3] and so on. More custom dimensions: a column for each key.")
	_ = w.Comment(example...)
	_ = w.Flush()
	return b.Bytes()
}

// comment is what the first cell of a comment begins with.
const comment = "# "

// isComment reports whether a row is a comment.
func isComment(cells []string) bool {
	return strings.HasPrefix(cells[0], "#") && (strings.HasPrefix(cells[0], comment) || strings.TrimSpace(cells[0]) == "#")
}

// isBlank reports whether there is nothing in a row.
func isBlank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// The columns of files of rejected rows.
const (
	rejectedRow     = "rejected_row"
	rejectedMessage = "rejected_message"
	rejectedCode    = "rejected_code"
	rejectedField   = "rejected_field"
)

var rejectedColumns = []string{rejectedRow, rejectedMessage, rejectedCode, rejectedField}

// column is where the cells below a header go.
type column struct {
	name    string        // as messages call it; "" when nothing may be in it
	ignored bool          // it is one of rejectedColumns
	field   int           // ordinal of the field, or of the list
	entry   int           // number of the list's entry; 0 where there are none
	key     string        // of the dimension
	decl    *schema.Field // what a cell holds
	member  []byte        // what stands before the value in JSON
}

// listColumn is the name of a list's column.
var listColumn = regexp.MustCompile(`^([a-z0-9_]+)\[([1-9][0-9]{0,3})\]\.([a-z0-9_]+)$`)

// fieldName returns what a header calls a field.
func fieldName(header string) string {
	return strings.NewReplacer(" ", "_", "-", "_", "\u00a0", "_").Replace(strings.ToLower(header))
}

// resolve returns the column that a header names.
func resolve(s *schema.Schema, header string) (column, *core.Failure) {
	header = strings.TrimSpace(Restore(header))
	name := fieldName(header)
	if header == "" {
		return column{}, nil
	}
	if slices.Contains(rejectedColumns, name) {
		return column{name: name, ignored: true}, nil
	}
	if i, ok := s.Lookup(name); ok && s.Fields[i].Type != schema.List {
		return writable(s, column{name: s.Fields[i].Name, field: i, decl: &s.Fields[i]})
	}
	if head, key, ok := strings.Cut(header, "."); ok {
		if i, ok := s.Lookup(strings.TrimSpace(fieldName(head))); ok && s.Fields[i].IsDimensions() {
			return dimension(s, i, strings.TrimSpace(key))
		}
	}
	if parts := listColumn.FindStringSubmatch(name); parts != nil {
		if i, ok := s.Lookup(parts[1]); ok && s.Fields[i].Type == schema.List && !s.Fields[i].IsDimensions() {
			if j, ok := s.List(i).Lookup(parts[3]); ok {
				c := column{field: i, decl: &s.Fields[i].Sub[j]}
				c.entry, _ = strconv.Atoi(parts[2]) // digits, says listColumn
				c.name = fmt.Sprintf("%s[%d].%s", s.Fields[i].Name, c.entry, c.decl.Name)
				return writable(s, c)
			}
		}
	}
	return column{}, unknown(header)
}

func dimension(s *schema.Schema, list int, key string) (column, *core.Failure) {
	f := &s.Fields[list]
	c := column{name: f.Name + "." + key, field: list, key: key, decl: &f.Sub[1]}
	if n := utf8.RuneCountInString(key); key == "" || n > f.Sub[0].MaxLen {
		return c, c.refuse(core.TooLong, "must have a key of 1 to %d characters behind the dot", f.Sub[0].MaxLen)
	}
	return writable(s, c)
}

// writable refuses a column that cannot be written.
func writable(s *schema.Schema, c column) (column, *core.Failure) {
	if s.Fields[c.field].ReadOnly {
		return c, c.refuse(core.ReadOnly, "is computed and cannot be uploaded: remove the column")
	}
	return c, nil
}

// unknown refuses a header.
func unknown(header string) *core.Failure {
	return &core.Failure{Code: core.UnknownField, Field: short(header), Message: fmt.Sprintf("'%s' is not a known column", short(header))}
}

var digits = regexp.MustCompile("[0-9]+")

// closest returns the column whose name is most like the unknown one in a
// header; "" when none is.
func closest(s *schema.Schema, header string) string {
	header = strings.TrimSpace(Restore(header))
	name := fieldName(header)
	const longest = 100 // of a header that can be a typing error
	if len(name) > longest {
		return ""
	}
	entry := "1"
	if n := digits.FindString(name); n != "" && n[0] != '0' {
		entry = n
	}
	best, least := "", max(1, len(name)/3)+1
	consider := func(candidate, alike string) {
		if d := edlib.OSADamerauLevenshteinDistance(name, alike); d < least {
			best, least = candidate, d
		}
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		switch {
		case f.ReadOnly:
		case f.IsDimensions():
			_, key, ok := strings.Cut(header, ".")
			if !ok {
				key = dimensionKey(&f.Sub[1])
				consider(f.Name+"."+key, f.Name)
			}
			consider(f.Name+"."+key, f.Name+"."+fieldName(key))
		case f.Type == schema.List:
			for j := range f.Sub {
				candidate := f.Name + "[" + entry + "]." + f.Sub[j].Name
				consider(candidate, candidate)
				if j == 0 {
					consider(candidate, f.Name)
				}
			}
		default:
			consider(f.Name, f.Name)
		}
	}
	return best
}

// mostNamed is how many refused columns a message names.
const mostNamed = 10

// resolveAll returns the columns of a header.
func resolveAll(s *schema.Schema, header []string) ([]column, *core.Failure) {
	columns := make([]column, len(header))
	first := map[string]string{}
	var refused *core.Failure
	known, alike, n := 0, 0, 0
	refuse := func(f *core.Failure, suggestion string) {
		switch n++; {
		case n == 1:
			refused = f
		case n <= mostNamed:
			refused.Message += "; " + f.Message
		}
		if suggestion != "" {
			alike++
			refused.Message += fmt.Sprintf(" (did you mean '%s'?)", suggestion)
		}
	}
	for i, h := range header {
		c, failure := resolve(s, h)
		columns[i] = c
		switch {
		case failure != nil && failure.Code == core.UnknownField && n < mostNamed:
			refuse(failure, closest(s, h))
		case failure != nil:
			refuse(failure, "")
		}
		if failure != nil || c.decl == nil {
			continue
		}
		known++
		if other, twice := first[c.name]; twice {
			message := fmt.Sprintf("'%s' stands twice in the header", c.name)
			if other, h = strings.TrimSpace(other), strings.TrimSpace(h); other != h {
				message += fmt.Sprintf(", as '%s' and as '%s'", short(other), short(h))
			}
			refuse(&core.Failure{Code: core.Conflicting, Field: c.name, Message: message}, "")
		}
		first[c.name] = h
	}
	switch {
	case known+alike == 0:
		return nil, malformed("The file must begin with a row that names the columns, such as '%s'; it begins with '%s'",
			s.Fields[0].Name, short(strings.Join(header, " ")))
	case n > mostNamed:
		refused.Message += fmt.Sprintf("; and %d more", n-mostNamed)
	}
	if refused != nil {
		return nil, refused
	}
	return columns, missing(s, columns)
}

// missing refuses a header without a column that every record needs.
func missing(s *schema.Schema, columns []column) *core.Failure {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Required != schema.Always || slices.ContainsFunc(columns, func(c column) bool { return c.decl != nil && c.field == i }) {
			continue
		}
		name := f.Name
		if f.Type == schema.List {
			name = fmt.Sprintf("%s[1].%s", f.Name, f.Sub[0].Name)
		}
		return &core.Failure{Code: core.MissingField, Field: name,
			Message: fmt.Sprintf("The file must have a column '%s': every record needs it", name)}
	}
	return nil
}

func malformed(format string, args ...any) *core.Failure {
	return &core.Failure{Code: core.Malformed, Message: fmt.Sprintf(format, args...)}
}

// plan says how the cells of a row become a record.
type plan struct {
	columns []column
	scalars []int // positions in columns
	lists   []listPlan
}

// listPlan says how the cells of a row become a list: which columns make each
// of its entries.
type listPlan struct {
	member  []byte // what stands before its entries in JSON
	entries [][]int
}

func newPlan(s *schema.Schema, columns []column) *plan {
	p := &plan{columns: columns}
	of := make([][]int, len(s.Fields)) // the columns of each field
	for at := range columns {
		c := &columns[at]
		if c.decl == nil {
			continue
		}
		if s.Fields[c.field].IsDimensions() {
			c.member = append(schema.AppendString([]byte(`"key":`), c.key), ',')
		}
		c.member = append(schema.AppendString(c.member, c.decl.Name), ':')
		of[c.field] = append(of[c.field], at)
	}
	for i, of := range of {
		switch {
		case len(of) == 0:
			continue
		case s.Fields[i].Type != schema.List:
			p.scalars = append(p.scalars, of...)
			continue
		}
		slices.SortStableFunc(of, func(a, b int) int { return columns[a].entry - columns[b].entry })
		list := listPlan{member: append(schema.AppendString(nil, s.Fields[i].Name), ":["...)}
		for _, at := range of {
			n := len(list.entries)
			if n == 0 || columns[at].entry == 0 || columns[list.entries[n-1][0]].entry != columns[at].entry {
				list.entries = append(list.entries, nil)
				n++
			}
			list.entries[n-1] = append(list.entries[n-1], at)
		}
		p.lists = append(p.lists, list)
	}
	return p
}

// appendRecord appends the record in a row as a JSON object. Cells that are
// refused are left out of it; the first refusal is returned.
func (p *plan) appendRecord(dst []byte, cells []string) (_ []byte, first *core.Failure) {
	// members appends the cells below the columns at these positions as members
	// of the object that dst ends in.
	members := func(columns []int) {
		for _, at := range columns {
			if at >= len(cells) || cells[at] == "" {
				continue
			}
			before := len(dst)
			if dst[before-1] != '{' {
				dst = append(dst, ',')
			}
			var given bool
			var failure *core.Failure
			dst = append(dst, p.columns[at].member...)
			if dst, given, failure = appendCell(dst, &p.columns[at], cells[at]); !given {
				dst = dst[:before]
			}
			if first == nil {
				first = failure
			}
		}
	}
	dst = append(dst, '{')
	members(p.scalars)
	for _, list := range p.lists {
		before := len(dst)
		if dst[before-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, list.member...)
		empty := true
		for _, entry := range list.entries {
			start := len(dst)
			if !empty {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			inside := len(dst)
			if members(entry); len(dst) == inside {
				dst = dst[:start]
				continue
			}
			dst = append(dst, '}')
			empty = false
		}
		if dst = append(dst, ']'); empty {
			dst = dst[:before]
		}
	}
	return append(dst, '}'), first
}

// size returns about how long the record in a row is.
func (p *plan) size(cells []string) int {
	n := 64
	for i, cell := range cells {
		if cell != "" && i < len(p.columns) {
			n += len(p.columns[i].name) + len(cell) + 8
		}
	}
	return n
}
