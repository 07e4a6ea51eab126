package csvfile

import (
	"errors"
	"io"

	"tenure/core"
	"tenure/core/resource"
)

var errUnwritten = errors.New("csvfile: not written yet")

// Column describes one column of a family's files.
type Column struct {
	// Name is the header. In that of a list's column [1] stands for any number
	// from 1 on; in that of a custom dimension the text behind the dot is an
	// example of a key.
	Name string `json:"name"`
	// Type says in words what a cell holds.
	Type string `json:"type"`
	// Required is "always", "when new" or "".
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
	// Example is the cell in the template's example row.
	Example string `json:"example,omitempty"`
	// Doc is one line of description.
	Doc string `json:"doc"`
}

// Columns returns the columns of a family's files, in the order of the template.
func Columns(f *resource.Family) []Column { return nil }

// Template returns the CSV template of a family: header, explanation and an
// example row, both of which are comments.
func Template(f *resource.Family, separator rune) []byte { return nil }

// Dialect is how a file is written, as Inspect found it. It is kept as JSON
// with a job, so that the job can go on in another process.
type Dialect struct {
	Encoding   string   `json:"encoding"`
	BOM        bool     `json:"bom"`
	Separator  string   `json:"separator"`
	SepLine    bool     `json:"sep_line"`
	LineEnding string   `json:"line_ending"`
	Header     []string `json:"header"`
	Rows       int      `json:"rows"`
	Comments   int      `json:"comments"`
	Bytes      int64    `json:"bytes"`
	// Sample is a text of the file with other letters than ASCII's, by which a
	// person sees whether the encoding is right; "" when there is none.
	Sample string `json:"sample,omitempty"`
}

// Words describes the dialect to people.
func (d *Dialect) Words() string { return "" }

// Inspect reads a file of a family once, from beginning to end, and says how it
// is written. A file that cannot be uploaded is refused with a *core.Failure;
// any other error is r's. limit is the largest size in bytes.
func Inspect(r io.Reader, f *resource.Family, limit int64) (*Dialect, error) {
	return nil, errUnwritten
}

// Options say what of a file is read.
type Options struct {
	// After is the number of the last row not to be returned, 0 for none.
	After int
}

// Row is one row of a file.
type Row struct {
	// Number counts the rows from 1; header, comments and blank rows do not count.
	Number int
	// Line is the line of the file in which the row begins, from 1.
	Line int
	// Cells are the cells as the file has them.
	Cells []string
	// Record is a JSON object, ready for Schema.Decode. With a Failure it holds
	// what could be read.
	Record []byte
	// Failure says which column cannot be read, if any.
	Failure *core.Failure
}

// Input decodes the row as the API decodes a record.
func (r *Row) Input(f *resource.Family) resource.Input { return resource.Input{} }

// Reader reads the rows of a file that Inspect has accepted.
type Reader struct{}

// NewReader returns a reader of the rows of a family's file.
func NewReader(r io.Reader, d *Dialect, f *resource.Family, o Options) (*Reader, error) {
	return nil, errUnwritten
}

// Next returns the next row, or io.EOF. Rows stay valid. A *core.Failure says
// that the file is not the one that was inspected.
func (r *Reader) Next() (*Row, error) { return nil, errUnwritten }

// Bytes returns how much of the file has been read.
func (r *Reader) Bytes() int64 { return 0 }

// Writer writes CSV files that people open in a spreadsheet: UTF-8 with BOM,
// CRLF, and no cell that it takes for a formula.
type Writer struct{}

// NewWriter returns a writer of a new file.
func NewWriter(w io.Writer, separator rune) *Writer { return nil }

// Write writes a row.
func (w *Writer) Write(cells ...string) error { return errUnwritten }

// Flush writes what is still buffered.
func (w *Writer) Flush() error { return errUnwritten }

// Neutralise returns text so that no spreadsheet takes it for a formula.
func Neutralise(text string) string { return text }

// Restore returns the text that Neutralise was given.
func Restore(text string) string { return text }

// Rejected writes the rows of a file that were rejected, ready to be mended and
// uploaded again.
type Rejected struct{}

// NewRejected returns a writer of the rejected rows of a file. more says that
// w already holds some: the header is left out.
func NewRejected(w io.Writer, d *Dialect, more bool) *Rejected { return nil }

// Write writes a row with the reason why it was rejected.
func (r *Rejected) Write(row *Row, why *core.Failure) error { return errUnwritten }

// Flush writes what is still buffered.
func (r *Rejected) Flush() error { return errUnwritten }
