package csvfile_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"tenure/core/catalog"
	"tenure/core/csvfile"
	"tenure/core/resource"
	"tenure/core/schema"
)

// style is how a file is written.
type style struct {
	encoding  csvfile.Encoding
	bom       bool
	separator string
	lineEnd   string
	sepLine   bool
	quoteAll  bool
	trailing  bool // separators behind the last cell
	asides    bool // blank rows and comments
}

func anyStyle() *rapid.Generator[style] {
	return rapid.Custom(func(t *rapid.T) style {
		s := style{
			encoding:  rapid.SampledFrom([]csvfile.Encoding{csvfile.UTF8, csvfile.UTF16LE, csvfile.UTF16BE, csvfile.Windows1252}).Draw(t, "encoding"),
			separator: rapid.SampledFrom([]string{",", ";", "\t", "|"}).Draw(t, "separator"),
			lineEnd:   rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "line end"),
			sepLine:   rapid.Bool().Draw(t, "separator named"),
			quoteAll:  rapid.Bool().Draw(t, "everything quoted"),
			trailing:  rapid.Bool().Draw(t, "trailing separators"),
			asides:    rapid.Bool().Draw(t, "blank rows and comments"),
		}
		s.bom = s.encoding != csvfile.Windows1252 && (s.encoding != csvfile.UTF8 || rapid.Bool().Draw(t, "byte order mark"))
		return s
	})
}

// lineEnds are read as \n, or would be when written again.
var lineEnds = regexp.MustCompile("\r+\n")

// readable returns text as a file in the style can have it: in Windows-1252
// without what it lacks, and without what could be UTF-8 by chance.
func (s style) readable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == 0, r == '\ufeff':
			return '0'
		case r == '\r' && s.lineEnd == "\r":
			return '\n'
		case r >= 0x80 && s.encoding == csvfile.Windows1252:
			return 'é'
		}
		return r
	}, text)
	return lineEnds.ReplaceAllString(strings.ReplaceAll(text, "éé", "éx"), "\n")
}

func (s style) encode(t *rapid.T, rows [][]string) []byte {
	var b strings.Builder
	if s.sepLine {
		b.WriteString("sep=" + s.separator + s.lineEnd)
	}
	for i, row := range rows {
		if s.asides {
			b.WriteString(s.lineEnd + "# aside" + s.lineEnd + strings.Repeat(s.separator, i) + s.lineEnd)
		}
		for j, cell := range row {
			if j > 0 {
				b.WriteString(s.separator)
			}
			if s.quoteAll || strings.ContainsAny(cell, s.separator+"\"\r\n") || cell == "" {
				cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
			}
			b.WriteString(cell)
		}
		if s.trailing {
			b.WriteString(s.separator + s.separator)
		}
		b.WriteString(s.lineEnd)
	}
	text := b.String()
	if s.bom {
		text = bom + text
	}
	var err error
	switch s.encoding {
	case csvfile.UTF16LE:
		text, err = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(text)
	case csvfile.UTF16BE:
		text, err = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String(text)
	case csvfile.Windows1252:
		text, err = charmap.Windows1252.NewEncoder().String(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

// value draws a value of a field, as a cell and as JSON has it.
func (s style) value(t *rapid.T, f *schema.Field) (cell, json string) {
	if f.Required == schema.Optional && rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return rapid.SampledFrom([]string{`\N`, ` \N`}).Draw(t, "cell"), "null"
	}
	switch f.Type {
	case schema.Boolean:
		on := rapid.Bool().Draw(t, "on")
		cell = rapid.SampledFrom([]string{"FALSE", "no", "0", " False"}).Draw(t, "cell")
		if on {
			cell = rapid.SampledFrom([]string{"TRUE", "yes", "1", "True "}).Draw(t, "cell")
		}
		return cell, strconv.FormatBool(on)
	case schema.Time:
		at := rapid.Int64Range(-62_135_596_800_000, 253_402_300_799_999).Draw(t, "instant")
		json = strconv.FormatInt(at, 10)
		zone := time.FixedZone("", 60*rapid.IntRange(-12*60, 14*60).Draw(t, "zone"))
		local := time.UnixMilli(at).In(zone)
		switch {
		case at >= 10_000_000_000 && rapid.Bool().Draw(t, "epoch ms"):
			return json, json
		case local.Year() < 1 || local.Year() > 9999:
			local = local.UTC()
		}
		return local.Format(rapid.SampledFrom([]string{
			"2006-01-02T15:04:05.000Z07:00", "2006-01-02 15:04:05.000 -0700",
		}).Draw(t, "form")), json
	case schema.Double:
		json = strconv.FormatFloat(rapid.Float64().Draw(t, "number"), 'g', -1, 64)
		return strings.ReplaceAll(json, "e", rapid.SampledFrom([]string{"e", "E"}).Draw(t, "e")), json
	case schema.Integer, schema.Long:
		least, most := int64(-1<<31), int64(1<<31-1)
		if f.Range != nil {
			least, most = f.Range.Min, f.Range.Max
		}
		json = strconv.FormatInt(rapid.Int64Range(least, most).Draw(t, "number"), 10)
		return rapid.SampledFrom([]string{"", " "}).Draw(t, "space") + json, json
	}
	text := ""
	if len(f.Choices) > 0 {
		text = rapid.SampledFrom(f.Choices).Draw(t, "choice")
	} else {
		text = s.readable(wild().Filter(func(text string) bool { return strings.TrimSpace(s.readable(text)) != "" }).Draw(t, "text"))
	}
	if trimmed := strings.TrimSpace(text); len(trimmed) > 2 && strings.Trim(trimmed, "#") == "" {
		text = "x"
	}
	cell = text
	if trimmed := strings.TrimSpace(text); strings.HasSuffix(trimmed, `\N`) && strings.Trim(trimmed[:len(trimmed)-1], `\`) == "" {
		cell = strings.Replace(text, `\`, `\\`, 1)
	}
	return csvfile.Neutralise(cell), string(schema.AppendString(nil, text))
}

// target is a column that a file may have.
type target struct {
	header string
	field  int
	entry  int
	key    string
	decl   *schema.Field
}

func (s style) columns(t *rapid.T, family *resource.Family) (columns []target) {
	for i := range family.Schema.Fields {
		f := &family.Schema.Fields[i]
		wanted := f.Required == schema.Always || rapid.Bool().Draw(t, f.Name)
		switch {
		case f.ReadOnly || !wanted:
		case f.IsDimensions():
			for _, key := range rapid.SliceOfNDistinct(wild(), 0, 3, func(key string) string { return strings.TrimSpace(s.readable(key)) }).Draw(t, "keys") {
				if key = strings.TrimSpace(s.readable(key)); key != "" {
					columns = append(columns, target{f.Name + "." + key, i, 0, key, &f.Sub[1]})
				}
			}
		case f.Type == schema.List:
			for _, entry := range rapid.SliceOfNDistinct(rapid.IntRange(1, 20), 1, 3, rapid.ID).Draw(t, "entries") {
				for j := range f.Sub {
					columns = append(columns, target{fmt.Sprintf("%s[%d].%s", f.Name, entry, f.Sub[j].Name), i, entry, "", &f.Sub[j]})
				}
			}
		default:
			columns = append(columns, target{f.Name, i, 0, "", f})
		}
	}
	return rapid.Permutation(columns).Draw(t, "order")
}

// record draws a row, and the record that it says.
func (s style) record(t *rapid.T, family *resource.Family, columns []target) (row []string, record string) {
	row = make([]string, len(columns))
	values := make([]string, len(columns))
	for at, c := range columns {
		if c.decl.Required == schema.Always && c.entry == 0 || rapid.Bool().Draw(t, c.header) {
			row[at], values[at] = s.value(t, c.decl)
		}
	}
	var members []string
	for i := range family.Schema.Fields {
		f := &family.Schema.Fields[i]
		entries := map[int][]string{} // by their numbers
		for at, c := range columns {
			switch {
			case c.field != i || values[at] == "":
			case f.Type != schema.List:
				members = append(members, fmt.Sprintf("%q:%s", f.Name, values[at]))
			case c.key != "":
				entries[100+at] = []string{`"key":` + string(schema.AppendString(nil, c.key)), `"value":` + values[at]}
			default:
				entries[c.entry] = append(entries[c.entry], fmt.Sprintf("%q:%s", c.decl.Name, values[at]))
			}
		}
		var list []string
		for _, entry := range slices.Sorted(maps.Keys(entries)) {
			list = append(list, "{"+strings.Join(entries[entry], ",")+"}")
		}
		if len(list) > 0 {
			members = append(members, fmt.Sprintf("%q:[%s]", f.Name, strings.Join(list, ",")))
		}
	}
	return row, "{" + strings.Join(members, ",") + "}"
}

func TestRecordsAreReadBackFromEveryDialect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyStyle().Draw(t, "style")
		family := rapid.SampledFrom(catalog.All()).Draw(t, "family")
		columns := s.columns(t, family)
		header := make([]string, len(columns))
		for i, c := range columns {
			header[i] = c.header
		}
		rows := [][]string{header}
		var records []string
		for range rapid.IntRange(1, 4).Draw(t, "rows") {
			row, record := s.record(t, family, columns)
			rows, records = append(rows, row), append(records, record)
		}
		file := s.encode(t, rows)
		d, got := readAll(t, family, file)
		if d.Separator != s.separator || len(got) != len(records) || d.Encoding != s.encoding && d.Encoding+s.encoding != csvfile.UTF8+csvfile.Windows1252 {
			t.Fatalf("%+v has %d rows, not %d: %q", d, len(got), len(records), file)
		}
		for i, row := range got {
			if row.Failure != nil || row.Number != i+1 {
				t.Fatalf("row %d: %v in %q", row.Number, row.Failure, file)
			}
			want, wantFailure := family.Schema.Decode([]byte(records[i]), true)
			have := row.Input(family)
			if (wantFailure == nil) != (have.Failure == nil) || wantFailure != nil && *wantFailure != *have.Failure {
				t.Fatalf("row %d: %v, want %v", row.Number, have.Failure, wantFailure)
			}
			for j := range want {
				if string(want[j]) != string(have.Patch[j]) {
					t.Fatalf("row %d, %s:\n%s\nwant\n%s\nin %q", row.Number, family.Schema.Fields[j].Name, have.Patch[j], want[j], file)
				}
			}
		}
	})
}
