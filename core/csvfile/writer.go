package csvfile

import (
	"bufio"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tenure/core"
)

// active is text that a spreadsheet may take for a formula, or a file for a
// comment, or that is so but for apostrophes in front of it: what begins with
// = + - @, also in full width or behind spaces, with a tab or a line end, or as
// comments do.
var active = regexp.MustCompile("^'*(?:[ \u00a0]*[=+\\-@＝＋－＠]|[\t\r\n]|#(?: |\\s*$))")

// Neutralise returns text so that no spreadsheet takes it for a formula, and no
// file for a comment: with an apostrophe in front of what may be one. Numbers
// stay as they are.
func Neutralise(text string) string {
	if mayBeActive(text) && !plainNumber.MatchString(text) {
		return "'" + text
	}
	return text
}

// Restore returns the text that Neutralise was given.
func Restore(text string) string {
	if text != "" && text[0] == '\'' && mayBeActive(text) {
		return text[1:]
	}
	return text
}

func mayBeActive(text string) bool {
	switch {
	case text == "", 'a' <= text[0] && text[0] <= 'z', 'A' <= text[0] && text[0] <= 'Z', '0' <= text[0] && text[0] <= '9':
		return false // nearly always
	}
	return active.MatchString(text)
}

// Writer writes CSV files that people open in a spreadsheet: in UTF-8 with byte
// order mark, with lines that end in CRLF, and with every cell neutralised.
type Writer struct {
	w         *bufio.Writer
	separator byte
	begun     bool
}

// NewWriter returns a writer of a new file, whose cells are separated by one of
// comma, semicolon, tab and vertical bar.
func NewWriter(w io.Writer, separator rune) *Writer {
	return &Writer{w: bufio.NewWriter(w), separator: byte(separator)}
}

// Write writes a row. Its error may be that of an earlier one.
func (w *Writer) Write(cells ...string) error { return w.write("", cells) }

// Comment writes a row that a reader of a family's files ignores.
func (w *Writer) Comment(cells ...string) error { return w.write(comment, cells) }

func (w *Writer) write(mark string, cells []string) error {
	if !w.begun {
		_, _ = w.w.WriteString("\ufeff")
		w.begun = true
	}
	for i, cell := range cells {
		if cell = Neutralise(cell); i == 0 {
			cell = mark + cell
		} else {
			_ = w.w.WriteByte(w.separator)
		}
		// Quoted are those that would else be read as something else, also by a
		// spreadsheet that expects another separator.
		if cell == "" && len(cells) > 1 || cell != "" && !strings.ContainsAny(cell, "\",;\t|\r\n") && strings.TrimSpace(cell) == cell {
			_, _ = w.w.WriteString(cell)
			continue
		}
		_ = w.w.WriteByte('"')
		_, _ = w.w.WriteString(strings.ReplaceAll(cell, `"`, `""`))
		_ = w.w.WriteByte('"')
	}
	_, err := w.w.WriteString("\r\n") // a bufio.Writer keeps its first error
	return err
}

// Flush writes what is still buffered, and returns the first error of all.
func (w *Writer) Flush() error { return w.w.Flush() }

// Rejected writes the rows of a file that were rejected, ready to be mended and
// uploaded again: its columns and cells, and why each row was rejected.
type Rejected struct {
	w    *Writer
	kept []int // positions of the columns that are written
	row  []string
}

// NewRejected returns a writer of the rejected rows of a file. more says that w
// holds some already, so that the header is not written again.
func NewRejected(w io.Writer, d *Dialect, more bool) *Rejected {
	r := &Rejected{w: NewWriter(w, d.separator())}
	for i, name := range d.Header {
		if !slices.Contains(rejectedColumns, fieldName(strings.TrimSpace(Restore(name)))) {
			r.kept = append(r.kept, i)
		}
	}
	if r.w.begun = more; !more {
		_ = r.write(d.Header, rejectedColumns...) // Flush returns it
	}
	return r
}

// Write writes a row with the reason why it was rejected.
func (r *Rejected) Write(row *Row, why *core.Failure) error {
	return r.write(row.Cells, strconv.Itoa(row.Number), why.Message, string(why.Code), why.Field)
}

func (r *Rejected) write(cells []string, reason ...string) error {
	r.row = r.row[:0]
	for _, at := range r.kept {
		cell := ""
		if at < len(cells) {
			cell = Restore(cells[at])
		}
		r.row = append(r.row, cell)
	}
	return r.w.Write(append(r.row, reason...)...)
}

// Flush writes what is still buffered.
func (r *Rejected) Flush() error { return r.w.Flush() }
