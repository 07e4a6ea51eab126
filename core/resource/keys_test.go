package resource_test

import (
	"cmp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

var keyed = schema.New("keyed", "Keyed", []schema.Field{
	{Name: "number", Type: schema.Long},
	{Name: "text", Type: schema.String, MaxLen: 1000},
	{Name: "more", Type: schema.String, MaxLen: 1000},
})

// keyOf returns the sort key of a row; empty texts are unset ones.
func keyOf(number int64, text, more string) string {
	r := keyed.NewRecord()
	r[0] = schema.Int(number)
	for i, s := range []string{text, more} {
		if s != "" {
			r[1+i] = schema.Text(s)
		}
	}
	return resource.SortKey(keyed, r, 0, 1, 2)
}

func TestSortKeysAreUniqueAndInOrder(t *testing.T) {
	numbers := rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64())
	texts := rapid.Custom(func(t *rapid.T) string {
		short := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 2, 'a', 'b', 'é', '😀'}), 0, 4, -1).Draw(t, "text")
		if rapid.IntRange(0, 3).Draw(t, "long") > 0 {
			return short
		}
		// About as long as a key may be, and different at its very end.
		unit := rapid.SampledFrom([]string{"x", "é", "\x00", "😀"}).Draw(t, "unit")
		return strings.Repeat(unit, rapid.IntRange(480, 520).Draw(t, "bytes")*2/len(unit)) + short
	})
	rapid.Check(t, func(t *rapid.T) {
		n, m := numbers.Draw(t, "n"), numbers.Draw(t, "m")
		a1, b1 := texts.Draw(t, "a1"), texts.Draw(t, "b1")
		a2, b2 := texts.Draw(t, "a2"), texts.Draw(t, "b2")
		a, b := keyOf(n, a1, a2), keyOf(m, b1, b2)
		for _, key := range []string{a, b} {
			if key == "" || len(key) > table.MaxSortBytes || !utf8.ValidString(key) {
				t.Fatalf("a key of %d bytes, valid UTF-8: %t", len(key), utf8.ValidString(key))
			}
		}
		want := cmp.Or(cmp.Compare(n, m), strings.Compare(a1, b1), strings.Compare(a2, b2))
		if (a == b) != (want == 0) {
			t.Fatalf("keys %q and %q: equal %t", a, b, a == b)
		}
		// Where a key had to be cut its order is true as far as it goes.
		const whole = 200
		if len(a1+a2) <= whole && len(b1+b2) <= whole && cmp.Compare(a, b) != want {
			t.Fatalf("keys %q and %q are in order %d, want %d", a, b, cmp.Compare(a, b), want)
		}
	})
}

func TestLongKeysKeepTheirOrderAsFarAsTheyGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Different within the first 900 bytes, cut after them.
		common := strings.Repeat("x", rapid.IntRange(0, 890).Draw(t, "common"))
		tail := strings.Repeat("😀", 100)
		x := rapid.SampledFrom([]string{"\x00", "\x01", "\x02", "a", "b", "é"}).Draw(t, "x")
		y := rapid.SampledFrom([]string{"\x00", "\x01", "\x02", "a", "b", "é"}).Draw(t, "y")
		a, b := keyOf(0, common+x+tail, ""), keyOf(0, common+y+tail, "")
		if len(common) > 600 && len(a) != table.MaxSortBytes && len(a) < table.MaxSortBytes-8 {
			t.Fatalf("a long key was cut to %d bytes", len(a))
		}
		if cmp.Compare(a, b) != strings.Compare(x, y) {
			t.Fatalf("%q and %q after %d bytes in common are in the wrong order", x, y, len(common))
		}
	})
}
