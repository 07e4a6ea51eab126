package tabletest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/table"
)

// number formats n so that the order of the bytes is the order of the numbers.
func number(n int) string { return fmt.Sprintf("%06d", n) }

func asError(diff string) error {
	if diff == "" {
		return nil
	}
	return errors.New(diff)
}

// sameSorts says how the sort keys that items have in index differ from want.
func sameSorts(items []table.Item, index table.Index, want []string) error {
	if got := sorts(items, index); !slices.Equal(got, want) {
		return fmt.Errorf("sort keys %.300q, want %.300q", got, want)
	}
	return nil
}

// rangeOf is what a query must answer when sorts are all the keys there are.
func rangeOf(sorts []string, q table.Query) []string {
	var in []string
	for _, s := range sorts {
		c := cmp.Compare(s, q.After)
		if strings.HasPrefix(s, q.Prefix) && (q.After == "" || !q.Descending && c > 0 || q.Descending && c < 0) {
			in = append(in, s)
		}
	}
	slices.Sort(in)
	if q.Descending {
		slices.Reverse(in)
	}
	return in[:min(len(in), q.Limit)]
}

// rangeCases are queries with every kind of prefix and start.
func rangeCases(sorts []string) []table.Query {
	var queries []table.Query
	for _, prefix := range []string{"", "a", "b", "b/", "b/2", "c", "zz", "\U0010FFFF", "\x7f"} {
		for _, after := range []string{"", "0", "a", "b", "b/", "b/2", "b/15", "b/~", "b0", "c", "zzz", "\U0010FFFF\U0010FFFF", "\x00"} {
			for _, descending := range []bool{false, true} {
				q := table.Query{Partition: "p", Prefix: prefix, After: after, Descending: descending, Limit: 1000, Consistent: true}
				n := len(rangeOf(sorts, q))
				for _, limit := range []int{1, n - 1, n, n + 1} {
					if q.Limit = limit; limit > 0 {
						queries = append(queries, q)
					}
				}
			}
		}
	}
	return queries
}

var rangeSorts = []string{"a", "b", "b.", "b/", "b/1", "b/2", "b/20", "b/21", "b/3", "b0", "c", "c\x00", "zz", "\x7f", "\U0010FFFF", "\U0010FFFFa"}

func testQueryRanges(t *testing.T, f *fixture) {
	for _, s := range rangeSorts {
		f.put(item("p", s, 1), item("pp", s, 1))
	}
	for _, q := range rangeCases(rangeSorts) {
		if err := sameSorts(f.query(q), table.Base, rangeOf(rangeSorts, q)); err != nil {
			t.Errorf("%+v: %v", q, err)
		}
	}

	// Reading in pages of any size finds every item once.
	for _, descending := range []bool{false, true} {
		for limit := 1; limit < 5; limit++ {
			q := table.Query{Partition: "p", Descending: descending, Limit: limit, Consistent: true}
			var all []string
			for {
				page := sorts(f.query(q), table.Base)
				all = append(all, page...)
				if len(page) < limit {
					break
				}
				q.After = page[limit-1]
			}
			q.After, q.Limit = "", 100
			if want := rangeOf(rangeSorts, q); !slices.Equal(all, want) {
				t.Errorf("pages of %d: %q, want %q", limit, all, want)
			}
		}
	}
}

func testQueryLongPrefixAndAfter(t *testing.T, f *fixture) {
	long := strings.Repeat("m", table.MaxSortBytes-4)
	all := []string{"a", long, long + "a", long + "aaaa", long + "zzzz", long + "é", long + "\uffff", long + "\U0010FFFF", "z"}
	for _, s := range all {
		it := item("p", s, 1)
		it.Index2 = table.Key{Partition: "p", Sort: s}
		f.put(it)
	}
	tails := []string{"", "a", "aaaa", "aaaab", "aaaa\U0010FFFF", "é", "ééé", "zzzz", "zzzzz", "\uffff\uffff", "\U0010FFFF", "\U0010FFFF\U0010FFFF", strings.Repeat("z", 5000)}
	for _, prefix := range []string{"", "m", long, long + "a", long + "aaaa", long + "aaaab", long + "\U0010FFFF", long + "\U0010FFFF!"} {
		for _, tail := range tails {
			for _, descending := range []bool{false, true} {
				q := table.Query{Partition: "p", Prefix: prefix, After: long + tail, Descending: descending, Limit: 100, Consistent: true}
				for _, q.Index = range []table.Index{table.Base, table.Second} {
					f.eventually(func() error {
						if err := sameSorts(f.query(q), q.Index, rangeOf(all, q)); err != nil {
							return fmt.Errorf("prefix …%q after …%.40q descending %v: %w",
								prefix[max(0, len(prefix)-9):], tail, descending, err)
						}
						return nil
					})
				}
			}
		}
	}
}

func testQueryRefusesNonsense(t *testing.T, f *fixture) {
	for _, q := range []table.Query{
		{Partition: "", Limit: 1},
		{Partition: "p", Limit: 0},
		{Partition: "p", Limit: -1},
		{Partition: strings.Repeat("p", table.MaxPartitionBytes+1), Limit: 1},
		{Partition: "p", Limit: 1, Index: 3},
		{Partition: "p", Limit: 1, KeysOnly: true, Keep: func([]byte) bool { return true }},
		{Partition: "p", Limit: 1, Index: table.First, Keep: func([]byte) bool { return true }},
	} {
		_, err := f.Table.Query(f.Context(), q)
		wantError(t, err, table.ErrInvalid)
	}
}

func testQueryVisibleAtFillsTheLimit(t *testing.T, f *fixture) {
	const n = 60
	var visible, all []string
	var items []table.Item
	for i := range n {
		it := item("p", number(i), 1)
		it.Index1 = table.Key{Partition: "index", Sort: number(i)}
		switch i % 6 {
		case 0: // never hidden
		case 1:
			it.HiddenFrom = f.clock.at(0) + 1
		case 2:
			it.HiddenFrom = f.clock.at(0)
		default:
			it.HiddenFrom = 1
		}
		if it.HiddenFrom == 0 || it.HiddenFrom > f.clock.at(0) {
			visible = append(visible, it.Sort)
		}
		all = append(all, it.Sort)
		items = append(items, it)
	}
	f.put(items...)
	for _, index := range []table.Index{table.Base, table.First} {
		q := table.Query{Index: index, Partition: "p", VisibleAt: f.clock.at(0), Consistent: true}
		if index == table.First {
			q.Partition = "index"
		}
		for _, q.Descending = range []bool{false, true} {
			for _, q.Limit = range []int{1, 2, len(visible) - 1, len(visible), len(visible) + 1, n} {
				for _, q.After = range []string{"", number(7), number(30)} {
					f.eventually(func() error { return sameSorts(f.query(q), index, rangeOf(visible, q)) })
				}
			}
		}
		q.VisibleAt, q.After, q.Descending = 0, "", false
		f.eventually(func() error { return sameSorts(f.query(q), index, all) })
	}
}

func testQueryKeepFillsTheLimit(t *testing.T, f *fixture) {
	const n = 40
	var kept []string
	var items []table.Item
	for i := range n {
		it := item("p", number(i), 1)
		it.Body = []byte(`{"keep":false}`)
		if i%5 == 0 {
			it.Body = []byte(`{"keep":true}`)
			kept = append(kept, it.Sort)
		}
		if i%10 == 1 {
			it.Body, it.HiddenFrom = []byte(`{"keep":true}`), 1
		}
		items = append(items, it)
	}
	f.put(items...)
	q := table.Query{Partition: "p", VisibleAt: f.clock.at(0), Consistent: true, Keep: func(body []byte) bool {
		return string(body) == `{"keep":true}`
	}}
	for _, q.Descending = range []bool{false, true} {
		for _, q.Limit = range []int{1, 3, len(kept), len(kept) + 1, n} {
			for _, q.After = range []string{"", number(5), number(22)} {
				if err := sameSorts(f.query(q), table.Base, rangeOf(kept, q)); err != nil {
					t.Errorf("%+v: %v", q, err)
				}
			}
		}
	}
	q.Keep = func([]byte) bool { return false }
	if items := f.query(q); len(items) != 0 {
		t.Errorf("%d items are kept, want none", len(items))
	}
}

func testQueryReadsPastOneMegabyte(t *testing.T, f *fixture) {
	// One page of DynamoDB holds 1 MB, here three items.
	const n = 14
	var visible, all []string
	for i := range n {
		it := item("p", number(i), 1)
		it.Body = []byte(strings.Repeat("x", 300_000))
		if i > 0 && i < n-2 {
			it.HiddenFrom = 1
		} else {
			visible = append(visible, it.Sort)
		}
		all = append(all, it.Sort)
		f.put(it)
	}
	for _, descending := range []bool{false, true} {
		for _, keysOnly := range []bool{false, true} {
			q := table.Query{Partition: "p", Descending: descending, KeysOnly: keysOnly, Consistent: true}
			for _, q.Limit = range []int{1, 5, n - 1, n, n + 1} {
				if err := sameSorts(f.query(q), table.Base, rangeOf(all, q)); err != nil {
					t.Errorf("%+v: %v", q, err)
				}
			}
			q.VisibleAt = f.clock.at(0)
			for _, q.Limit = range []int{1, len(visible) - 1, len(visible), len(visible) + 1} {
				if err := sameSorts(f.query(q), table.Base, rangeOf(visible, q)); err != nil {
					t.Errorf("%+v: %v", q, err)
				}
			}
		}
	}
}

func testQueryKeysOnly(t *testing.T, f *fixture) {
	it := item("p", "s", 3)
	it.Expires, it.HiddenFrom = f.clock.at(5*time.Second), f.clock.at(7*time.Second)
	it.Index1, it.Index2 = table.Key{Partition: "i", Sort: "1"}, table.Key{Partition: "i", Sort: "2"}
	f.put(it)
	q := table.Query{Partition: "p", Limit: 5, Consistent: true}
	if diff := differences([]table.Item{it}, f.query(q)); diff != "" {
		t.Error(diff)
	}
	it.Body, q.KeysOnly = nil, true
	if diff := differences([]table.Item{it}, f.query(q)); diff != "" {
		t.Errorf("KeysOnly: %s", diff)
	}
}

func testIndexFollowsItsItems(t *testing.T, f *fixture) {
	first := func(partition string) []string {
		return sorts(f.query(table.Query{Index: table.First, Partition: partition, Limit: 10}), table.First)
	}
	holds := func(partition string, want ...string) {
		t.Helper()
		f.eventually(func() error {
			if got := first(partition); !slices.Equal(got, want) {
				return fmt.Errorf("index partition %q holds %q, want %q", partition, got, want)
			}
			return nil
		})
	}
	it := item("p", "s", 1)
	f.put(it)
	holds("a")
	step := func(index table.Key) {
		t.Helper()
		old := it.Version
		it.Version++
		it.Index1 = index
		f.write(table.Put(it, table.VersionIs(old)))
	}
	step(table.Key{Partition: "a", Sort: "1"}) // enters
	holds("a", "1")
	step(table.Key{Partition: "a", Sort: "2"}) // moves within the partition
	holds("a", "2")
	step(table.Key{Partition: "b", Sort: "2"}) // moves to another
	holds("a")
	holds("b", "2")
	step(table.Key{Partition: "b", Sort: "2"}) // stays
	holds("b", "2")
	if got := f.query(table.Query{Index: table.Second, Partition: "b", Limit: 10}); len(got) != 0 {
		t.Error("an item of the first index is in the second")
	}
	step(table.Key{}) // leaves
	holds("b")
	step(table.Key{Partition: "a", Sort: "3"})
	holds("a", "3")
	f.write(table.Delete(it.Key, table.Condition{}))
	holds("a")
}

func testIndexAnswersKeysOnly(t *testing.T, f *fixture) {
	it := item("p", "s", 3)
	it.Expires, it.HiddenFrom = f.clock.at(5*time.Second), f.clock.at(7*time.Second)
	it.Index1, it.Index2 = table.Key{Partition: "i", Sort: "1"}, table.Key{Partition: "i", Sort: "2"}
	f.put(it)
	for _, keysOnly := range []bool{false, true} {
		for _, consistent := range []bool{false, true} {
			q := table.Query{Partition: "i", Limit: 5, KeysOnly: keysOnly, Consistent: consistent}
			want := table.Item{Key: it.Key, HiddenFrom: it.HiddenFrom, Index1: it.Index1}
			q.Index = table.First
			f.eventually(func() error { return asError(differences([]table.Item{want}, f.query(q))) })
			want.Index1, want.Index2 = table.Key{}, it.Index2
			q.Index = table.Second
			f.eventually(func() error { return asError(differences([]table.Item{want}, f.query(q))) })
		}
	}
}

func testIndexKeysNeedNotBeUnique(t *testing.T, f *fixture) {
	// The same key in the index for items that differ in either part of their own.
	var items []table.Item
	for _, key := range []table.Key{{Partition: "p", Sort: "a"}, {Partition: "p", Sort: "b"}, {Partition: "q", Sort: "a"}, {Partition: "q/a", Sort: "a"}, {Partition: "q", Sort: "a/a"}} {
		it := item(key.Partition, key.Sort, 1)
		it.Index1 = table.Key{Partition: "i", Sort: "same"}
		it.Index2 = table.Key{Partition: "i", Sort: "same"}
		items = append(items, it)
	}
	f.put(items...)
	holds := func(want ...table.Item) {
		t.Helper()
		for _, index := range []table.Index{table.First, table.Second} {
			for _, descending := range []bool{false, true} {
				for limit := 1; limit <= len(items)+1; limit++ {
					f.eventually(func() error {
						got := f.query(table.Query{Index: index, Partition: "i", Descending: descending, Limit: limit})
						found := map[table.Key]bool{}
						for _, it := range got {
							found[it.Key] = slices.ContainsFunc(want, func(w table.Item) bool { return w.Key == it.Key })
						}
						if n := min(limit, len(want)); len(got) != n || len(found) != n || slices.Contains(slices.Collect(maps.Values(found)), false) {
							return fmt.Errorf("index %d, limit %d: %d items of %d keys, want %d", index, limit, len(got), len(found), n)
						}
						return nil
					})
				}
			}
		}
	}
	holds(items...)
	f.write(table.Delete(items[1].Key, table.Condition{}))
	items[2].Version, items[2].Index1, items[2].Index2 = 2, table.Key{}, table.Key{}
	f.put(items[2])
	holds(items[0], items[3], items[4])
}

func testIndexRanges(t *testing.T, f *fixture) {
	for i, s := range rangeSorts {
		// The order of the index is not the order of the table.
		it := item("p", number(len(rangeSorts)-i), 1)
		it.Index1 = table.Key{Partition: "p", Sort: s}
		f.put(it)
	}
	for _, q := range rangeCases(rangeSorts) {
		q.Index = table.First
		f.eventually(func() error {
			if err := sameSorts(f.query(q), table.First, rangeOf(rangeSorts, q)); err != nil {
				return fmt.Errorf("%+v: %w", q, err)
			}
			return nil
		})
	}
}
