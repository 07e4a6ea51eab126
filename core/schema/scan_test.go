package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

// checkScan holds the trusted scanner to encoding/json, which shares no code
// with it: whatever Valid lets pass must be JSON, fall apart into the pieces
// it is made of, and mean the same.
func checkScan(t interface {
	Helper()
	Fatalf(string, ...any)
}, text []byte) {
	t.Helper()
	if Valid(text) != nil {
		return
	}
	if !json.Valid(text) {
		t.Fatalf("Valid accepts %q, which is not JSON", text)
	}
	c := cursor{text: text}
	c.space()
	value := c.value()
	c.space()
	if c.at != len(text) {
		t.Fatalf("value stops at byte %d of %q", c.at, text)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		t.Fatalf("Compact(%q): %v", text, err)
	}
	if got := reassemble(nil, value); string(got) != compact.String() {
		t.Fatalf("%q falls apart into %q", text, got)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil {
		t.Fatalf("Decode(%q): %v", text, err)
	}
	if got := understand(value); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is read as %#v, want %#v", text, got, want)
	}
}

// reassemble puts the pieces that the scanner yields together again, without
// the whitespace between them.
func reassemble(dst, value []byte) []byte {
	separator := ""
	switch Kind(value) {
	case '{':
		dst = append(dst, '{')
		for name, member := range Members(value) {
			dst = append(append(append(dst, separator...), name...), ':')
			dst, separator = reassemble(dst, member), ","
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for element := range Elements(value) {
			dst = append(dst, separator...)
			dst, separator = reassemble(dst, element), ","
		}
		return append(dst, ']')
	}
	return append(dst, value...)
}

// understand returns what encoding/json makes of the value.
func understand(value []byte) any {
	switch Kind(value) {
	case '{':
		object := map[string]any{}
		for name, member := range Members(value) {
			object[string(unquote(name))] = understand(member)
		}
		return object
	case '[':
		array := []any{}
		for element := range Elements(value) {
			array = append(array, understand(element))
		}
		return array
	case '"':
		return string(unquote(value))
	case '0':
		return json.Number(value)
	case 't', 'f':
		return value[0] == 't'
	}
	return nil
}

func FuzzScannerReadsWhatEncodingJSONReads(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, ` [ ] `, "\t{\r\n}", `null`, ` true `, `"x"`, ` -0.5e+10 `,
		`{"a":1,"a":2}`, `{"a":{"b":[1,{"c":"}]"}]}}`, `[[],[[]],{}]`,
		`{"\"":"\\","\\":"\\\""}`, `["\\\\\\",","]`, `["\u00e9\ud83d\ude00\n"]`,
		"[ 1 , \"a b\" ,null , {\"x\" : [ ] } ]", `{"a":"` + strings.Repeat(`\"`, 40) + `"}`,
		`["\ud800"]`, "\"\xff\"", `[1,]`, `{"a"}`, `[1 2]`, ``, ` `, `{"a":1}x`, `01`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkScan(t, text) })
}

func TestScannerReadsWhatEncodingJSONReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(jsonText(3).Draw(t, "text"))
		if err := Valid(text); err != nil {
			t.Fatalf("Valid(%q): %v", text, err)
		}
		checkScan(t, text)
	})
}

func TestScannerStopsWhenItsReaderDoes(t *testing.T) {
	for name := range Members([]byte(`{"a":1,"b":2}`)) {
		if string(name) != `"a"` {
			t.Errorf("a member after the last one wanted: %s", name)
		}
		break
	}
	for element := range Elements([]byte(`[1,2]`)) {
		if string(element) != `1` {
			t.Errorf("an element after the last one wanted: %s", element)
		}
		break
	}
}

func TestInvalidTextIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct{ text, place string }{
		{`{"a":1} x`, "8"},
		{`{"a":}`, "5"},
		{"{\"a\":\"\xff\"}", "6"},
		{`["\ud800"]`, "2"},
	} {
		err := Valid([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), "offset "+c.place) {
			t.Errorf("Valid(%q) = %v, want an error at byte %s", c.text, err, c.place)
		}
	}
	for _, text := range []string{``, ` `, `{`, `[1`, `"`, `{"a":1}{}`} {
		if Valid([]byte(text)) == nil {
			t.Errorf("Valid accepts %q", text)
		}
	}
}

// jsonText generates valid JSON in every spelling: whitespace, escapes,
// nesting, names that occur twice.
func jsonText(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		space := func() string { return rapid.StringMatching(`[ \t\r\n]{0,2}`).Draw(t, "space") }
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 {
			kind = rapid.IntRange(2, 5).Draw(t, "scalar")
		}
		text := ""
		switch kind {
		case 0, 1:
			var parts []string
			for range rapid.IntRange(0, 4).Draw(t, "length") {
				part := jsonText(depth-1).Draw(t, "element")
				if kind == 0 {
					part = space() + jsonString().Draw(t, "name") + space() + ":" + part
				}
				parts = append(parts, part)
			}
			text = "[" + space() + strings.Join(parts, ",") + "]"
			if kind == 0 {
				text = "{" + space() + strings.Join(parts, ",") + "}"
			}
		case 2:
			text = rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "word")
		case 3:
			text = jsonNumber().Draw(t, "number")
		default:
			text = jsonString().Draw(t, "string")
		}
		return space() + text + space()
	})
}

func jsonNumber() *rapid.Generator[string] {
	return rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,22})?`)
}

func jsonString() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return spell(t, rapid.StringN(0, 8, -1).Draw(t, "text"))
	})
}

// spell writes text as a JSON string, escaping at random what may be escaped.
func spell(t *rapid.T, text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		short := strings.IndexRune("\"\\/\b\f\n\r\t", r)
		switch how := rapid.IntRange(0, 3).Draw(t, "spelling"); {
		case short >= 0 && how < 2:
			b.WriteByte('\\')
			b.WriteByte(`"\/bfnrt`[short])
		case r == '"' || r == '\\' || r < ' ' || how == 3:
			if r > 0xFFFF {
				high, low := utf16.EncodeRune(r)
				fmt.Fprintf(&b, `\u%04x\u%04X`, high, low)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
