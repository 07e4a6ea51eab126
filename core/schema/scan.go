package schema

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"
)

// Valid returns an error that says where text stops being one JSON value
// (RFC 8259; UTF-8; members may repeat, the last one counts), or nil.
func Valid(text []byte) error {
	if jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true)) {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	if err := d.SkipValue(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	return &jsontext.SyntacticError{ByteOffset: d.InputOffset()}
}

// cursor walks text that is known to be valid JSON: a request body that Valid
// has accepted, or what this package wrote itself. It therefore checks nothing
// and copies nothing, which is what makes decoding by declaration fast.
type cursor struct {
	text []byte
	at   int
}

func (c *cursor) space() {
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case ' ', '\n', '\r', '\t':
			c.at++
		default:
			return
		}
	}
}

// str returns the string at the cursor, quotes included, and moves past it.
func (c *cursor) str() []byte {
	start := c.at
	c.at++
	for {
		c.at += bytes.IndexByte(c.text[c.at:], '"') + 1
		backslashes := 0
		for i := c.at - 2; i > start && c.text[i] == '\\'; i-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return c.text[start:c.at]
		}
	}
}

// value returns the value at the cursor and moves past it. Where an entry of a
// stored list leaves a position out, it is empty.
func (c *cursor) value() []byte {
	start := c.at
	depth := 0
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case '"':
			c.str()
			if depth == 0 {
				return c.text[start:c.at]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return c.text[start:c.at]
			}
			if depth--; depth == 0 {
				c.at++
				return c.text[start:c.at]
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return c.text[start:c.at]
			}
		}
		c.at++
	}
	return c.text[start:c.at]
}

// Members yields the members of an object in valid JSON: the name with its
// quotes, as written, and the value as written.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		c := cursor{text: object}
		c.space()
		c.at++ // {
		for {
			c.space()
			if c.text[c.at] == '}' {
				return
			}
			if c.text[c.at] == ',' {
				c.at++
				c.space()
			}
			name := c.str()
			c.space()
			c.at++ // :
			c.space()
			if !yield(name, c.value()) {
				return
			}
		}
	}
}

// Elements yields the elements of an array in valid JSON, as written.
func Elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := cursor{text: array}
		c.space()
		c.at++ // [
		c.space()
		if c.text[c.at] == ']' {
			return
		}
		for {
			c.space()
			if !yield(c.value()) {
				return
			}
			c.space()
			if c.text[c.at] == ']' {
				return
			}
			c.at++ // ,
		}
	}
}

// unquote returns the text of a JSON string.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return text
}

// AppendString appends text as a JSON string in the one form this package
// stores and compares: nothing escaped that need not be.
func AppendString(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

// Kind returns what valid JSON begins with: '{', '[', '"', '0' for a number,
// 't', 'f' or 'n'; 0 for nothing.
func Kind(value []byte) byte {
	for _, b := range value {
		switch b {
		case ' ', '\n', '\r', '\t':
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			return '0'
		default:
			return b
		}
	}
	return 0
}
