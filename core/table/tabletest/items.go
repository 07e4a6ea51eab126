package tabletest

import (
	"strings"
	"testing"
	"time"

	"tenure/core/table"
)

func testItemsSurviveUnchanged(t *testing.T, f *fixture) {
	full := item("p", "full", 1<<53+1)
	full.Expires = f.clock.at(time.Hour) + 567
	full.HiddenFrom = f.clock.at(0) - 1
	full.Index1 = table.Key{Partition: "i1", Sort: "s1"}
	full.Index2 = table.Key{Partition: "i2", Sort: "s2"}
	second := item("p", "second index only", 7)
	second.Index2 = full.Index2
	bare := table.Item{Key: table.Key{Partition: "p", Sort: "bare"}, Version: 1}

	f.put(full, second, bare)
	f.mustHave(full)
	f.mustHave(second)
	f.mustHave(bare)
	if diff := differences([]table.Item{bare, full, second},
		f.query(table.Query{Partition: "p", Limit: 10, Consistent: true})); diff != "" {
		t.Errorf("Query: %s", diff)
	}

	// A put replaces the item altogether.
	bare.Key, bare.Version = full.Key, 2
	f.put(bare)
	f.mustHave(bare)
}

func testBodiesSurviveByteForByte(t *testing.T, f *fixture) {
	bodies := []string{
		`{}`,
		`{"b":1,"a":[null,true,1.50,1e400,"\u0000\ud83d\ude00"], "a":2 }` + "\n",
		`"` + "\x00\x7f\u0080\u2028\ufeff\U0010FFFF" + `"`,
		strings.Repeat("𝄞\n", 5000),
		` `,
	}
	for i, body := range bodies {
		it := item("p", "s", int64(i+1))
		it.Body = []byte(body)
		f.put(it)
		f.mustHave(it)
	}
}

func testAnyUTF8IsAKey(t *testing.T, f *fixture) {
	// In the order of their bytes, which is not the order of UTF-16.
	keys := []string{
		"\x00", "\x00\x00", " ", "#", "%", "/", "/x/../y", "0", "A", "AB", "Ab", "a",
		"a\x00", "a\x00b", "aB", "a|b", "é", "\u00e9\u0301", "\u2028", "\ufeff", "\uffff", "\U00010000", "\U0001F600", "\U0010FFFF",
	}
	var items []table.Item
	for i, k := range keys {
		it := item("p", k, int64(i+1))
		it.Index1 = table.Key{Partition: "index", Sort: k}
		other := item(k, "s", int64(i+1))
		other.Index2 = table.Key{Partition: k, Sort: "s"}
		items = append(items, it, other)
	}
	f.put(items...)
	for _, it := range items {
		f.mustHave(it)
	}
	for _, k := range keys {
		got := f.query(table.Query{Partition: k, Limit: 10, Consistent: true})
		if len(got) != 1 || got[0].Key != (table.Key{Partition: k, Sort: "s"}) {
			t.Errorf("partition %q holds %d items, want one", k, len(got))
		}
		f.eventually(func() error {
			return sameSorts(f.query(table.Query{Index: table.Second, Partition: k, Limit: 10}), table.Second, []string{"s"})
		})
	}
	if err := sameSorts(f.query(table.Query{Partition: "p", Limit: 100, Consistent: true}), table.Base, keys); err != nil {
		t.Error(err)
	}
	f.eventually(func() error {
		return sameSorts(f.query(table.Query{Index: table.First, Partition: "index", Limit: 100}), table.First, keys)
	})
}

func testPartitionsDoNotLeak(t *testing.T, f *fixture) {
	partitions := []string{"a", "ab", "a\x00", "a/", "A", "b"}
	var items []table.Item
	for i, p := range partitions {
		for _, s := range []string{"b", "bc", "\x00"} {
			it := item(p, s, int64(i+1))
			it.Index1 = table.Key{Partition: p, Sort: s}
			items = append(items, it)
		}
	}
	f.put(items...)
	for _, p := range partitions {
		for _, descending := range []bool{false, true} {
			for _, index := range []table.Index{table.Base, table.First} {
				f.eventually(func() error {
					want := []string{"\x00", "b", "bc"}
					if descending {
						want = []string{"bc", "b", "\x00"}
					}
					got := f.query(table.Query{Index: index, Partition: p, Descending: descending, Limit: 100, Consistent: true})
					for _, it := range got {
						if it.Partition != p {
							t.Fatalf("partition %q answers an item of %q", p, it.Partition)
						}
					}
					return sameSorts(got, index, want)
				})
			}
		}
	}
}

func testBadKeysAreRefused(t *testing.T, f *fixture) {
	for _, key := range []table.Key{
		{},
		{Partition: "p"},
		{Sort: "s"},
		{Partition: "\xff", Sort: "s"},
		{Partition: "p", Sort: "a\xc3"},
	} {
		it := item("p", "s", 1)
		it.Key = key
		f.mustRefuse(table.Put(it, table.Condition{}))
		f.mustRefuse(table.Delete(key, table.Condition{}))
		_, err := f.Table.Get(f.Context(), []table.Key{key}, true)
		wantError(t, err, table.ErrInvalid)

		if key.IsZero() {
			continue // leaves the item out of the index
		}
		it = item("p", "s", 1)
		it.Index1 = key
		f.mustRefuse(table.Put(it, table.Condition{}))
		it.Index1, it.Index2 = table.Key{}, key
		f.mustRefuse(table.Put(it, table.Condition{}))
	}
	f.mustLack(table.Key{Partition: "p", Sort: "s"})
}

func testKeyLengthLimits(t *testing.T, f *fixture) {
	longest := table.Key{
		Partition: strings.Repeat("é", table.MaxPartitionBytes/2),
		Sort:      strings.Repeat("𝄞", table.MaxSortBytes/4),
	}
	it := item("p", "s", 1)
	it.Key, it.Index1, it.Index2 = longest, longest, longest
	f.put(it)
	f.mustHave(it)
	q := table.Query{Partition: longest.Partition, Prefix: longest.Sort, Limit: 2, Consistent: true}
	for _, q.Index = range []table.Index{table.Base, table.First, table.Second} {
		f.eventually(func() error { return sameSorts(f.query(q), q.Index, []string{longest.Sort}) })
	}
	f.write(table.Delete(longest, table.VersionIs(1)))
	f.mustLack(longest)

	for _, tooLong := range []table.Key{
		{Partition: longest.Partition + "x", Sort: "s"},
		{Partition: "p", Sort: longest.Sort + "x"},
	} {
		it := item("p", "s", 1)
		it.Key = tooLong
		f.mustRefuse(table.Put(it, table.Absent()))
		f.mustRefuse(table.Delete(tooLong, table.Condition{}))
		_, err := f.Table.Get(f.Context(), []table.Key{tooLong}, false)
		wantError(t, err, table.ErrInvalid)
		it = item("p", "s", 1)
		it.Index1 = tooLong
		f.mustRefuse(table.Put(it, table.Absent()))
		it.Index1, it.Index2 = table.Key{}, tooLong
		f.mustRefuse(table.Put(it, table.Absent()))
	}
}

func testItemSizeLimit(t *testing.T, f *fixture) {
	// The attribute names, the numbers and what an adapter adds for itself
	// take some bytes; the margin keeps the case out of their way.
	const margin = 256
	it := item("p", "s", 1)
	it.Body = []byte(strings.Repeat("x", table.MaxItemBytes-margin))
	f.put(it)
	f.mustHave(it)

	it.Version = 2
	it.Body = []byte(strings.Repeat("x", table.MaxItemBytes))
	f.mustRefuse(table.Put(it, table.Condition{}))

	// Bytes count, not characters.
	it.Body = []byte(strings.Repeat("é", table.MaxItemBytes/2))
	f.mustRefuse(table.Put(it, table.Condition{}))

	// Keys count as well, those of the indexes too.
	long := table.Key{Partition: strings.Repeat("p", 1000), Sort: strings.Repeat("s", 1000)}
	it.Body = []byte(strings.Repeat("x", table.MaxItemBytes-5000))
	it.Key, it.Index1 = long, long
	f.put(it)
	f.mustHave(it)
	it.Index2 = long
	f.mustRefuse(table.Put(it, table.Condition{}))
}

func testVersionMustBePositive(t *testing.T, f *fixture) {
	for _, version := range []int64{0, -1} {
		it := item("p", "s", version)
		f.mustRefuse(table.Put(it, table.Condition{}))
		f.mustLack(it.Key)
	}
}

func testNothingToDo(t *testing.T, f *fixture) {
	if got, err := f.Table.Get(f.Context(), nil, true); err != nil || len(got) != 0 {
		t.Errorf("Get of no keys = %v, %v", got, err)
	}
	if errs := f.Table.Write(f.Context(), nil, nil); errs != nil {
		t.Errorf("Write of no operations = %v, want nil", errs)
	}
	if err := f.Table.Transact(f.Context(), nil, nil); err != nil {
		t.Errorf("Transact of no operations: %v", err)
	}
	if got := f.query(table.Query{Partition: "nobody", Limit: 1}); len(got) != 0 {
		t.Errorf("Query of an empty partition = %d items", len(got))
	}
	f.mustLack(table.Key{Partition: "p", Sort: "s"})
	f.write(table.Delete(table.Key{Partition: "p", Sort: "s"}, table.Condition{}))
}

func testGetKeepsTheOrderOfTheKeys(t *testing.T, f *fixture) {
	const n = 130 // more than one BatchGetItem takes
	var items []table.Item
	for i := range n {
		items = append(items, item("p"+number(i%7), number(i), int64(i+1)))
	}
	f.put(items...)
	var keys []table.Key
	var want []table.Item
	for i := range 2 * n {
		it := items[(i*37)%n]
		keys = append(keys, it.Key)
		want = append(want, it)
		if i%3 == 0 {
			keys = append(keys, table.Key{Partition: it.Partition, Sort: "missing"})
			want = append(want, table.Item{})
		}
	}
	for _, consistent := range []bool{true, false} {
		f.eventually(func() error {
			got, err := f.Table.Get(f.Context(), keys, consistent)
			wantError(t, err, nil)
			for i := range got {
				if !got[i].Exists() {
					got[i] = table.Item{}
				}
			}
			return asError(differences(want, got))
		})
	}
}

// mustRefuse fails the case unless both ways of writing refuse op as invalid.
func (f *fixture) mustRefuse(op table.Op) {
	f.Helper()
	wantErrors(f, f.Table.Write(f.Context(), []table.Op{op}, nil), table.ErrInvalid)
	wantError(f, f.Table.Transact(f.Context(), []table.Op{op}, nil), table.ErrInvalid)
}
