package csvfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
)

// Dialect is how a file is written, as Inspect found it. It is kept as JSON
// with a job, so that the job can go on in another process.
type Dialect struct {
	Encoding Encoding `json:"encoding"`
	// BOM says that a byte order mark stands at the beginning.
	BOM bool `json:"bom"`
	// Separator stands between the cells: a comma, a semicolon, a tab or a bar.
	Separator string `json:"separator"`
	// SepLine says that the first line only names the separator: sep=;
	SepLine bool `json:"sep_line"`
	// LineEnding is "crlf", "lf" or "cr", by the end of the header.
	LineEnding string `json:"line_ending"`
	// Header is the row that names the columns.
	Header []string `json:"header"`
	// Rows is how many rows there are; the header, comments and blank rows do
	// not count.
	Rows int `json:"rows"`
	// Comments is how many rows are ignored as comments.
	Comments int `json:"comments"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// Sample is a text of the file with other letters than ASCII's, by which a
	// person sees whether the encoding is right; "" when there is none.
	Sample string `json:"sample,omitempty"`
}

// separators are those that a file may have, the likelier ones first.
var separators = []rune{',', ';', '\t', '|'}

// separator returns Separator; the first one if it is none.
func (d *Dialect) separator() rune {
	for _, s := range separators {
		if string(s) == d.Separator {
			return s
		}
	}
	return separators[0]
}

var (
	encodingNames = map[Encoding]string{
		UTF8: "UTF-8", UTF16LE: "UTF-16 (little-endian)", UTF16BE: "UTF-16 (big-endian)", Windows1252: "Windows-1252 (Western European)",
	}
	separatorNames  = map[string]string{",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
	lineEndingNames = map[string]string{"crlf": "Windows", "lf": "Unix", "cr": "old Macintosh"}
)

// Words describes the dialect to people.
func (d *Dialect) Words() string {
	mark := ""
	switch {
	case d.BOM:
		mark = " with byte order mark"
	case d.Encoding == Windows1252:
		mark = ", since it is not valid UTF-8"
	}
	comments := ""
	if d.Comments > 0 {
		comments = fmt.Sprintf(" (and %s that are ignored)", count(d.Comments, "comment"))
	}
	return fmt.Sprintf("%s%s; %s with %s line ends; %s, %s%s", encodingNames[d.Encoding], mark,
		"separated by "+separatorNames[d.Separator], lineEndingNames[d.LineEnding],
		count(len(d.Header), "column"), count(d.Rows, "row"), comments)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func megabytes(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// kinds are the beginnings of files that are no CSV files.
var kinds = []struct{ begins, what string }{
	{"PK\x03\x04", "a spreadsheet or archive (such as .xlsx, .ods or .zip). Open it and save the sheet as CSV UTF-8"},
	{"PK\x05\x06", "an empty archive"},
	{"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls). Open it and save the sheet as CSV UTF-8"},
	{"\x1f\x8b", "compressed with gzip. Unpack it first"},
	{"%PDF", "a PDF document. Export the data as CSV UTF-8 instead"},
	{"{\\rtf", "a formatted text. Save it as CSV UTF-8"},
	{"PAR1", "a Parquet file. Export the data as CSV UTF-8 instead"},
	{"<", "a web page or XML. Export the data as CSV UTF-8 instead; if this was a download, perhaps the sign-in had expired"},
	{"{", "JSON. Export the data as CSV UTF-8 instead, or send it to the API"},
	{"[", "JSON. Export the data as CSV UTF-8 instead, or send it to the API"},
}

// notCSV refuses what is evidently another kind of file.
func notCSV(head []byte) *core.Failure {
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	if len(trimmed) == 0 {
		return malformed("The file is empty")
	}
	for _, k := range kinds {
		if bytes.HasPrefix(head, []byte(k.begins)) || bytes.HasPrefix(trimmed, []byte(k.begins)) {
			return malformed("This is not a CSV file: it is %s", k.what)
		}
	}
	return nil
}

// utf16Of returns the kind of UTF-16 that a file begins in, or "". Without a
// byte order mark it is evident where every second byte of ASCII is NUL.
func utf16Of(head []byte) Encoding {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return UTF16LE
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return UTF16BE
	}
	var zeros [2]int // at even and odd positions
	pairs := min(len(head), 1024) / 2
	for i := range pairs * 2 {
		if head[i] == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case zeros[0] == 0 && zeros[1] > pairs/2:
		return UTF16LE
	case zeros[1] == 0 && zeros[0] > pairs/2:
		return UTF16BE
	}
	return ""
}

// sepLine is the first line by which Excel can be told the separator.
var sepLine = regexp.MustCompile(`^(?i:"?sep=)(.)"?[,;\t|]*[ \t]*(?:\r\n?|\n)`)

// layoutOf finds out how a file that begins with head is laid out: the separator
// is the one by which the header has the most known columns, or else the most.
func layoutOf(head []byte, s *schema.Schema) (l layout, ending string, failure *core.Failure) {
	l.separator = separators[0]
	quoted := false
	ending = "lf"
	for i, b := range head {
		if b == '"' {
			quoted = !quoted
		}
		if quoted || b != '\n' && b != '\r' {
			continue
		}
		if b == '\r' {
			l.macLines = i+1 < len(head) && head[i+1] != '\n'
			ending = "crlf"
		}
		break
	}
	if l.macLines {
		ending = "cr"
		head = bytes.ReplaceAll(head, []byte{'\r'}, []byte{'\n'})
	}
	if m := sepLine.FindSubmatch(head); m != nil {
		l.sepLine = true
		l.separator, _ = utf8.DecodeRune(m[1])
		if !slices.Contains(separators, l.separator) {
			return l, "", malformed("The first line names the separator '%s', which is none of comma, semicolon, tab and vertical bar", m[1])
		}
		return l, ending, nil
	}
	most := [2]int{-1, -1}
	for _, separator := range separators {
		known, all := headerCells(head, separator, s)
		if known > most[0] || known == most[0] && all > most[1] {
			most = [2]int{known, all}
			l.separator = separator
		}
	}
	return l, ending, nil
}

// headerCells returns how many cells the header in head has when they are
// separated so, and how many of them name a column.
func headerCells(head []byte, separator rune, s *schema.Schema) (known, all int) {
	r := csv.NewReader(bytes.NewReader(head))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes = separator, -1, true
	for {
		cells, err := r.Read()
		if err != nil && len(cells) == 0 {
			return 0, 0
		}
		if isBlank(cells) || isComment(cells) {
			continue
		}
		for _, cell := range cells {
			if c, failure := resolve(s, cell); failure == nil && c.name != "" {
				known++
			}
		}
		return known, len(cells)
	}
}

// Inspect reads a file of a family once, from beginning to end, and says how it
// is written. limit is the largest size in bytes. A file that cannot be uploaded
// is refused with a *core.Failure; any other error is r's.
func Inspect(r io.Reader, f *resource.Family, limit int64) (*Dialect, error) {
	in := &counter{r: r, limit: limit}
	raw := bufio.NewReaderSize(in, bufferSize)
	head, err := peek(raw)
	if err != nil {
		return nil, err
	}
	if failure := notCSV(head); failure != nil {
		return nil, failure
	}
	d := &Dialect{Encoding: utf16Of(head)}
	text, bom, err := decoded(raw, d.Encoding)
	if err != nil {
		return nil, err
	}
	d.BOM = bom
	if head, err = peek(text); err != nil {
		return nil, err
	}
	if failure := notCSV(head); failure != nil {
		return nil, failure
	}
	l, ending, failure := layoutOf(head, f.Schema)
	if failure != nil {
		return nil, failure
	}
	d.SepLine, d.Separator, d.LineEnding = l.sepLine, string(l.separator), ending
	var check *encCheck
	if d.Encoding == "" {
		check = &encCheck{}
	}
	if err := d.readAll(text, l, check, f.Schema); err != nil {
		return nil, err
	}
	d.Bytes = in.n
	if check == nil && d.Bytes%2 != 0 {
		return nil, malformed("The file is in UTF-16, but was cut off in the middle of a character: save or send it again")
	}
	return d, nil
}

// peek returns the beginning of what r reads.
func peek(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(bufferSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return head, nil
}

// readAll reads all rows of a file and fills in what they say.
func (d *Dialect) readAll(text *bufio.Reader, l layout, check *encCheck, s *schema.Schema) error {
	rows, err := newRows(text, l, check)
	if err != nil {
		return err
	}
	header, _, err := rows.next()
	switch {
	case err == io.EOF:
		return malformed("The file has no header: its first row must name the columns, such as '%s'", s.Fields[0].Name)
	case err != nil:
		return err
	}
	d.Header = header
	columns, failure := resolveAll(s, texts(header))
	if failure != nil {
		return failure
	}
	rows.csv.ReuseRecord = true
	for {
		cells, line, err := rows.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if failure := misplaced(columns, cells, line); failure != nil {
			return failure
		}
		d.Rows++
		if d.Sample == "" && (check == nil || !check.ascii()) {
			d.Sample = sample(cells)
		}
	}
	d.Comments = rows.comments
	if check != nil {
		if d.Encoding, failure = check.encoding(d.BOM, rows.guard.lines); failure != nil {
			return failure
		}
	}
	if d.Encoding == Windows1252 {
		for i := range d.Header {
			d.Header[i] = western(d.Header[i])
		}
		d.Sample = western(d.Sample)
	}
	d.Sample = short(d.Sample)
	if d.Rows == 0 {
		also := ""
		if d.Comments > 0 {
			also = ": rows whose first cell begins with # and a space are comments, and ignored"
		}
		return malformed("The file has no rows below its header%s", also)
	}
	return nil
}

// texts returns a header whose encoding is not known yet so that it can be shown.
func texts(header []string) []string {
	shown := slices.Clone(header)
	for i, h := range shown {
		if !utf8.ValidString(h) {
			shown[i] = western(h)
		}
	}
	return shown
}

// western returns what a text in Windows-1252 says.
func western(text string) string {
	decoded, _ := charmap.Windows1252.NewDecoder().String(text) // which has a character for every byte
	return decoded
}

// sample returns the first cell that has other letters than ASCII's, or "".
func sample(cells []string) string {
	for _, cell := range cells {
		for i := range len(cell) {
			if cell[i] >= utf8.RuneSelf {
				return strings.Clone(cell)
			}
		}
	}
	return ""
}

// misplaced refuses a row with something in a cell that is below no column.
func misplaced(columns []column, cells []string, line int) *core.Failure {
	for i, cell := range cells {
		if i < len(columns) && columns[i].name != "" || strings.TrimSpace(cell) == "" {
			continue
		}
		if i < len(columns) {
			return malformed("Line %d has '%s' in column %d, which has no name in the header", line, short(strings.TrimSpace(cell)), i+1)
		}
		return malformed("The row in line %d has more cells than the header, which has %d: put values that contain the separator in quotation marks",
			line, len(columns))
	}
	return nil
}
