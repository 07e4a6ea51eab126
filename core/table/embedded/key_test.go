package embedded

import (
	"bytes"
	"cmp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/table"
)

// text draws what is hard on an encoding: the bytes that it treats specially
// and those beside them.
func text() *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"\x00", "\x01", "\x02", "a", "b", "\x7f", "é", "\U0010FFFF"}), 1, 5),
		func(parts []string) string { return strings.Join(parts, "") })
}

func key() *rapid.Generator[table.Key] {
	return rapid.Custom(func(t *rapid.T) table.Key {
		return table.Key{Partition: text().Draw(t, "partition"), Sort: text().Draw(t, "sort")}
	})
}

func compareKeys(a, b table.Key) int {
	return cmp.Or(strings.Compare(a.Partition, b.Partition), strings.Compare(a.Sort, b.Sort))
}

func TestEngineKeysOrderAsKeysDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := key().Draw(t, "a"), key().Draw(t, "b")
		baseA, baseB := appendBaseKey(nil, a), appendBaseKey(nil, b)
		if bytes.Compare(baseA, baseB) != compareKeys(a, b) {
			t.Errorf("base rows: %x and %x", baseA, baseB)
		}
		atA, atB := key().Draw(t, "index a"), key().Draw(t, "index b")
		rowA := appendIndexKey(nil, spaceFirst, atA.Partition, atA.Sort, baseA)
		rowB := appendIndexKey(nil, spaceFirst, atB.Partition, atB.Sort, baseB)
		if bytes.Compare(rowA, rowB) != cmp.Or(compareKeys(atA, atB), compareKeys(a, b)) {
			t.Errorf("index rows: %x and %x", rowA, rowB)
		}
		expiresA, expiresB := rapid.Int64().Draw(t, "expires a"), rapid.Int64().Draw(t, "expires b")
		dueA, dueB := appendExpiryKey(nil, expiresA, baseA), appendExpiryKey(nil, expiresB, baseB)
		if bytes.Compare(dueA, dueB) != cmp.Or(cmp.Compare(expiresA, expiresB), compareKeys(a, b)) {
			t.Errorf("expiry queue: %x and %x", dueA, dueB)
		}
	})
}

func TestEncodedTextsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(text(), 1, 4).Draw(t, "texts")
		var encoded []byte
		for _, s := range texts {
			encoded = appendText(encoded, s)
		}
		original := bytes.Clone(encoded)
		rest := encoded
		for _, want := range texts {
			got, after, ok := cutText(rest)
			if !ok || string(got) != want {
				t.Fatalf("%q came back as %q, %v", want, got, ok)
			}
			rest = after
		}
		if len(rest) != 0 || !bytes.Equal(encoded, original) {
			t.Error("reading left something over, or changed what it read")
		}
	})
}

func TestKeyRangeHoldsExactlyTheAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := table.Query{
			Index:      table.Index(rapid.IntRange(0, 2).Draw(t, "index")),
			Partition:  text().Draw(t, "partition"),
			Prefix:     rapid.OneOf(rapid.Just(""), text()).Draw(t, "prefix"),
			After:      rapid.OneOf(rapid.Just(""), text()).Draw(t, "after"),
			Descending: rapid.Bool().Draw(t, "descending"),
		}
		lower, upper := keyRange(&q)
		at := rapid.OneOf(key(), rapid.Map(text(), func(s string) table.Key {
			return table.Key{Partition: q.Partition, Sort: q.Prefix + s}
		}), rapid.Just(table.Key{Partition: q.Partition, Sort: q.Prefix + "a"}),
			rapid.Just(table.Key{Partition: q.Partition, Sort: q.After + "a"}),
			rapid.Just(table.Key{Partition: q.Partition, Sort: cmp.Or(q.After, "a")})).Draw(t, "row")
		row := appendBaseKey(nil, at)
		if q.Index != table.Base {
			row = appendIndexKey(nil, indexSpace(q.Index), at.Partition, at.Sort, appendBaseKey(nil, key().Draw(t, "item")))
		}
		want := at.Partition == q.Partition && strings.HasPrefix(at.Sort, q.Prefix) &&
			(q.After == "" || !q.Descending && at.Sort > q.After || q.Descending && at.Sort < q.After)
		if got := bytes.Compare(lower, row) <= 0 && bytes.Compare(row, upper) < 0; got != want {
			t.Errorf("row %x in the range from %x to %x: %v, want %v", row, lower, upper, got, want)
		}
	})
}

func TestMalformedRowsAreErrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		item := table.Item{
			Key:        key().Draw(t, "key"),
			Version:    rapid.Int64Min(1).Draw(t, "version"),
			Expires:    rapid.Int64().Draw(t, "expires"),
			HiddenFrom: rapid.Int64().Draw(t, "hidden from"),
			Index1:     rapid.OneOf(rapid.Just(table.Key{}), key()).Draw(t, "index 1"),
			Index2:     rapid.OneOf(rapid.Just(table.Key{}), key()).Draw(t, "index 2"),
		}
		stored := appendRecord(nil, &item)
		r, err := parseRecord(stored)
		if err != nil {
			t.Fatal(err)
		}
		var content slab
		if got := content.item(item.Key, &r, false); got.Version != item.Version || got.Expires != item.Expires ||
			got.HiddenFrom != item.HiddenFrom || got.Index1 != item.Index1 || got.Index2 != item.Index2 || got.Body != nil {
			t.Errorf("%+v came back as %+v", item, got)
		}
		if _, err := parseRecord(stored[:rapid.IntRange(0, len(stored)-1).Draw(t, "cut")]); err == nil {
			t.Error("a record cut short was read")
		}
	})
}
