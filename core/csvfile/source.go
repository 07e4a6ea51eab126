package csvfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"tenure/core"
)

// Encoding is how a file writes its text.
type Encoding string

// The encodings of files.
const (
	UTF8        Encoding = "utf-8"
	UTF16LE     Encoding = "utf-16le"
	UTF16BE     Encoding = "utf-16be"
	Windows1252 Encoding = "windows-1252"
)

// encodings are those that are not read as they stand.
var encodings = map[Encoding]encoding.Encoding{
	UTF16LE:     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	UTF16BE:     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	Windows1252: charmap.Windows1252,
}

// bufferSize is how much of a file is read at a time, and how much of its
// beginning is looked at to see how it is written.
const bufferSize = 64 << 10

// maxRowBytes is the size of the largest row, in UTF-8: more than any record
// needs. A quotation mark that is missing makes rows much larger.
const maxRowBytes = 8 << 20

// counter counts the bytes of a file, and ends it with a failure where it is
// too large.
type counter struct {
	r        io.Reader
	n, limit int64 // without a limit: 0
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.limit > 0 && c.n > c.limit {
		f := malformed("The file is larger than %s: split it into several files", megabytes(c.limit))
		f.Code = core.TooLarge
		return 0, f
	}
	return n, err
}

// decoded returns what raw holds as UTF-8, the byte order mark left out; but a
// file in Windows-1252 as it stands, if its encoding is not known yet. bom says
// whether there was a mark.
func decoded(raw *bufio.Reader, e Encoding) (text *bufio.Reader, bom bool, err error) {
	text = raw
	if coding := encodings[e]; coding != nil {
		text = bufio.NewReaderSize(coding.NewDecoder().Reader(raw), bufferSize)
	}
	const mark = "\ufeff"
	if e != Windows1252 {
		head, peekErr := text.Peek(len(mark))
		if bom = string(head) == mark; bom {
			_, err = text.Discard(len(mark))
		} else if peekErr != io.EOF {
			err = peekErr
		}
	}
	return text, bom, err
}

// guard stands between a file and the parser of its rows. It lets no NUL pass
// and no row grow without bound, has the line ends of old Macs read as others,
// and looks at the encoding.
type guard struct {
	r        io.Reader
	macLines bool      // lines end in CR alone
	check    *encCheck // nil where the encoding is known
	row      int       // bytes since the last row
	lines    int       // line ends so far
}

// errRow says that a row is larger than maxRowBytes.
var errRow = errors.New("csvfile: the row is too large")

func (g *guard) Read(p []byte) (int, error) {
	if g.row += len(p); g.row > maxRowBytes {
		return 0, errRow
	}
	n, err := g.r.Read(p)
	g.row += n - len(p)
	p = p[:n]
	if g.macLines {
		for i := range p {
			if p[i] == '\r' {
				p[i] = '\n'
			}
		}
	}
	if at := bytes.IndexByte(p, 0); at >= 0 {
		line := g.lines + bytes.Count(p[:at], []byte{'\n'}) + 1
		return 0, malformed("Line %d has a NUL character, so this is no text file, or a damaged one: save it as CSV again", line)
	}
	if g.check != nil {
		g.check.look(p, g.lines)
	}
	g.lines += bytes.Count(p, []byte{'\n'})
	return n, err
}

// encCheck tells UTF-8 from Windows-1252.
type encCheck struct {
	carry   []byte // the beginning of a character
	valid   int    // characters of UTF-8 that are not ASCII
	invalid int    // bytes that are no part of UTF-8
	line    int    // of the first of those
	unused  bool   // whether there are bytes that Windows-1252 does not have
}

// look takes note of the next bytes, in front of which there are lines line ends.
func (c *encCheck) look(p []byte, lines int) {
	if len(c.carry) > 0 {
		p = append(c.carry, p...)
		c.carry = nil
	}
	for i := 0; i < len(p); {
		if p[i] < utf8.RuneSelf {
			i++
			continue
		}
		if !utf8.FullRune(p[i:]) {
			c.carry = bytes.Clone(p[i:])
			return
		}
		r, size := utf8.DecodeRune(p[i:])
		if r != utf8.RuneError || size > 1 {
			c.valid++
		} else if c.invalid++; c.invalid == 1 {
			c.line = lines + bytes.Count(p[:i], []byte{'\n'}) + 1
		}
		for _, b := range p[i : i+size] {
			c.unused = c.unused || b == 0x81 || b == 0x8d || b == 0x8f || b == 0x90 || b == 0x9d
		}
		i += size
	}
}

// ascii reports whether there was nothing but ASCII so far.
func (c *encCheck) ascii() bool { return c.valid+c.invalid+len(c.carry) == 0 }

// encoding returns the encoding of a file that was looked at whole, which had a
// byte order mark or not.
func (c *encCheck) encoding(bom bool, lines int) (Encoding, *core.Failure) {
	if len(c.carry) > 0 {
		if c.invalid++; c.line == 0 {
			c.line = lines + 1
		}
	}
	switch {
	case c.invalid == 0:
		return UTF8, nil
	case bom || c.valid > c.invalid:
		return "", malformed("The file is in UTF-8, but line %d has characters that are not: was it put together from several files, or cut off? Save it as CSV UTF-8 again", c.line)
	case c.unused:
		return "", malformed("The encoding of line %d is neither UTF-8 nor UTF-16 nor Windows-1252: save the file as CSV UTF-8", c.line)
	}
	return Windows1252, nil
}

// rows reads the rows of a file, comments and blank ones left out.
type rows struct {
	csv      *csv.Reader
	guard    *guard
	before   int // lines in front of what csv reads
	end      int // the last line of the last row
	comments int
}

// layout is how a file is laid out.
type layout struct {
	separator rune
	sepLine   bool // the first line only names the separator
	macLines  bool
}

func newRows(text *bufio.Reader, l layout, check *encCheck) (*rows, error) {
	r := &rows{guard: &guard{r: text, macLines: l.macLines, check: check}}
	if l.sepLine {
		end := byte('\n')
		if l.macLines {
			end = '\r'
		}
		if _, err := text.ReadSlice(end); err != nil {
			return nil, err
		}
		r.before, r.guard.lines = 1, 1
	}
	r.csv = csv.NewReader(bufio.NewReaderSize(r.guard, bufferSize))
	r.csv.Comma = l.separator
	r.csv.FieldsPerRecord = -1
	return r, nil
}

// next returns the cells of the next row and the line in which it begins.
func (r *rows) next() (cells []string, line int, err error) {
	for {
		cells, err := r.csv.Read()
		if err != nil {
			return nil, 0, r.failure(cells, err)
		}
		line, _ := r.csv.FieldPos(0)
		r.end = r.endOf(cells)
		r.guard.row = 0
		switch {
		case isBlank(cells):
		case isComment(cells):
			r.comments++
		default:
			return cells, line + r.before, nil
		}
	}
}

// endOf returns the line in which the last of cells ends.
func (r *rows) endOf(cells []string) int {
	last := len(cells) - 1
	line, _ := r.csv.FieldPos(last)
	return line + strings.Count(cells[last], "\n")
}

// failure words an error of the parser; cells are those in front of it.
func (r *rows) failure(cells []string, err error) error {
	var parse *csv.ParseError
	line := r.end + 1
	if errors.As(err, &parse) {
		line = parse.StartLine
	}
	if len(cells) > 0 {
		line = r.endOf(cells)
	}
	line += r.before
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		return malformed("Line %d has a quotation mark within a value: put the whole value in quotation marks, and double those within it", parse.Line+r.before)
	case errors.Is(err, csv.ErrQuote):
		return malformed("The value in quotation marks that begins in line %d is not closed properly, which was noticed in line %d: "+
			"a quotation mark must stand at its end, and those within it must be doubled", line, parse.Line+r.before)
	case errors.Is(err, errRow):
		return malformed("The row in line %d is larger than %s: a quotation mark may be missing", line, megabytes(maxRowBytes))
	}
	return err
}
