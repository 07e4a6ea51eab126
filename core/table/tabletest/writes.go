package tabletest

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tenure/core/table"
)

func testConditionsOfAPut(t *testing.T, f *fixture) {
	for _, way := range f.waysToWrite() {
		key := table.Key{Partition: way.name, Sort: "s"}
		put := func(version int64, cond table.Condition) error {
			return way.write(table.Put(item(key.Partition, key.Sort, version), cond), nil)
		}
		// Nothing is there.
		wantError(t, put(1, table.VersionIs(1)), table.ErrConflict)
		wantError(t, put(1, table.VersionIs(0)), table.ErrConflict)
		f.mustLack(key)
		wantError(t, put(1, table.Absent()), nil)
		f.mustHave(item(key.Partition, key.Sort, 1))
		// Version 1 is there.
		wantError(t, put(2, table.Absent()), table.ErrConflict)
		wantError(t, put(2, table.VersionIs(3)), table.ErrConflict)
		f.mustHave(item(key.Partition, key.Sort, 1))
		wantError(t, put(9, table.VersionIs(1)), nil)
		f.mustHave(item(key.Partition, key.Sort, 9))
		wantError(t, put(4, table.Condition{}), nil)
		f.mustHave(item(key.Partition, key.Sort, 4))
	}
}

func testConditionsOfADelete(t *testing.T, f *fixture) {
	for _, way := range f.waysToWrite() {
		it := item(way.name, "s", 5)
		remove := func(cond table.Condition) error { return way.write(table.Delete(it.Key, cond), nil) }

		wantError(t, remove(table.Condition{}), nil)
		wantError(t, remove(table.Absent()), nil)
		wantError(t, remove(table.VersionIs(5)), table.ErrConflict)
		f.put(it)
		wantError(t, remove(table.Absent()), table.ErrConflict)
		wantError(t, remove(table.VersionIs(4)), table.ErrConflict)
		f.mustHave(it)
		wantError(t, remove(table.VersionIs(5)), nil)
		f.mustLack(it.Key)
		f.put(it)
		wantError(t, remove(table.Condition{}), nil)
		f.mustLack(it.Key)
	}
}

func testWriteAnswersForEachOperation(t *testing.T, f *fixture) {
	kept, replaced, removed := item("p", "kept", 1), item("p", "replaced", 1), item("p", "removed", 1)
	f.put(kept, replaced, removed)
	tooLarge := item("p", "too large", 1)
	tooLarge.Body = []byte(strings.Repeat("x", table.MaxItemBytes))
	inserted := item("p", "inserted", 1)
	replaced.Version = 2

	wantErrors(t, f.Table.Write(f.Context(), []table.Op{
		table.Put(item("p", "kept", 2), table.Absent()),
		table.Put(inserted, table.Absent()),
		table.Put(tooLarge, table.Condition{}),
		table.Put(replaced, table.VersionIs(1)),
		table.Delete(removed.Key, table.VersionIs(1)),
		table.Put(item("p", "missing", 8), table.VersionIs(7)),
		table.Delete(table.Key{Partition: "p", Sort: "missing too"}, table.VersionIs(1)),
		table.Delete(table.Key{Partition: "p", Sort: "never there"}, table.Condition{}),
		table.Put(item("p", "", 1), table.Condition{}),
	}, nil),
		table.ErrConflict, nil, table.ErrInvalid, nil, nil, table.ErrConflict, table.ErrConflict, nil, table.ErrInvalid)

	f.mustHave(kept)
	f.mustHave(inserted)
	f.mustHave(replaced)
	if diff := differences([]table.Item{inserted, kept, replaced},
		f.query(table.Query{Partition: "p", Limit: 10, Consistent: true})); diff != "" {
		t.Error(diff)
	}
}

func testWriteManyOperations(t *testing.T, f *fixture) {
	// More than any batch or transaction takes, and half of it fails.
	const n = 230
	var ops []table.Op
	var want []error
	for i := range n {
		it := item("p"+number(i%3), number(i), 2)
		if i%2 == 0 {
			ops, want = append(ops, table.Put(it, table.Absent())), append(want, nil)
		} else {
			ops, want = append(ops, table.Put(it, table.VersionIs(1))), append(want, table.ErrConflict)
		}
	}
	wantErrors(t, f.Table.Write(f.Context(), ops, nil), want...)
	for i, op := range ops {
		if want[i] == nil {
			f.mustHave(op.Item)
		} else {
			f.mustLack(op.Item.Key)
		}
	}
}

func testDuplicateKeysAreRefused(t *testing.T, f *fixture) {
	a, b := item("p", "a", 1), item("p", "b", 1)
	for _, twice := range []table.Op{
		table.Put(item("p", "a", 2), table.Condition{}),
		table.Delete(a.Key, table.Condition{}),
		table.Put(item("p", "a", 2), table.VersionIs(1)),
	} {
		ops := []table.Op{table.Put(a, table.Condition{}), table.Put(b, table.Condition{}), twice}
		wantErrors(t, f.Table.Write(f.Context(), ops, nil), table.ErrInvalid, table.ErrInvalid, table.ErrInvalid)
		wantError(t, f.Table.Transact(f.Context(), ops, nil), table.ErrInvalid)
		f.mustLack(a.Key)
		f.mustLack(b.Key)
	}
}

func testTransactIsAllOrNothing(t *testing.T, f *fixture) {
	a, b, c := item("p", "a", 1), item("q", "b", 1), item("r", "c", 1)
	transact := func(ops ...table.Op) error { return f.Table.Transact(f.Context(), ops, nil) }

	wantError(t, transact(table.Put(a, table.Absent()), table.Put(b, table.Absent()), table.Put(c, table.VersionIs(1))), table.ErrConflict)
	f.mustLack(a.Key)
	f.mustLack(b.Key)
	wantError(t, transact(table.Put(a, table.Absent()), table.Put(b, table.Absent()), table.Put(c, table.Condition{})), nil)
	f.mustHave(a)
	f.mustHave(b)
	f.mustHave(c)

	a.Version, b.Version = 2, 2
	wantError(t, transact(table.Put(a, table.VersionIs(1)), table.Put(b, table.VersionIs(7)), table.Delete(c.Key, table.VersionIs(1))), table.ErrConflict)
	f.mustHave(item("p", "a", 1))
	f.mustHave(c)
	tooLarge := item("q", "b", 2)
	tooLarge.Body = []byte(strings.Repeat("x", table.MaxItemBytes))
	wantError(t, transact(table.Put(a, table.VersionIs(1)), table.Put(tooLarge, table.VersionIs(1))), table.ErrInvalid)
	f.mustHave(item("p", "a", 1))

	a, b = item("p", "a", 2), item("q", "b", 2)
	wantError(t, transact(table.Put(a, table.VersionIs(1)), table.Put(b, table.VersionIs(1)), table.Delete(c.Key, table.VersionIs(1))), nil)
	f.mustHave(a)
	f.mustHave(b)
	f.mustLack(c.Key)
}

func testTransactLimits(t *testing.T, f *fixture) {
	var ops []table.Op
	for i := range table.MaxTransactOps {
		ops = append(ops, table.Put(item("p", number(i), 1), table.Absent()))
	}
	tooMany := append(ops[:len(ops):len(ops)], table.Put(item("p", "one more", 1), table.Absent()))
	wantError(t, f.Table.Transact(f.Context(), tooMany, nil), table.ErrInvalid)
	if got := f.query(table.Query{Partition: "p", Limit: 1, Consistent: true}); len(got) != 0 {
		t.Fatal("a transaction that was too large has written")
	}
	wantError(t, f.Table.Transact(f.Context(), ops, nil), nil)
	if got := f.query(table.Query{Partition: "p", Limit: 200, Consistent: true}); len(got) != len(ops) {
		t.Fatalf("%d items after a transaction of %d", len(got), len(ops))
	}

	const margin = 4096 // see testItemSizeLimit
	var large []table.Op
	for i := range 11 {
		it := item("large", number(i), 1)
		it.Body = []byte(strings.Repeat("x", table.MaxItemBytes-margin))
		large = append(large, table.Put(it, table.Absent()))
	}
	wantError(t, f.Table.Transact(f.Context(), large, nil), table.ErrInvalid)
	f.mustLack(large[0].Item.Key)
	wantError(t, f.Table.Transact(f.Context(), large[:10], nil), nil)
	f.mustHave(large[9].Item)
}

func testRacingUpdatesAreAllCounted(t *testing.T, f *fixture) {
	const writers = 32
	for _, way := range f.waysToWrite() {
		start := item(way.name, "counter", 1)
		f.put(start)
		race(writers, func(int) {
			if err := f.increment(start.Key, func(n int64) error {
				return way.write(table.Put(item(way.name, "counter", n+1), table.VersionIs(n)), nil)
			}); err != nil {
				t.Errorf("%s: %v", way.name, err)
			}
		})
		f.mustHave(item(way.name, "counter", 1+writers))
	}
}

func testRacingInsertsHaveOneWinner(t *testing.T, f *fixture) {
	const writers = 16
	for _, way := range f.waysToWrite() {
		for round := range 3 {
			var winner atomic.Int64
			race(writers, func(i int) {
				version := int64(i + 1)
				err := way.write(table.Put(item(way.name, number(round), version), table.Absent()), nil)
				if err == nil && !winner.CompareAndSwap(0, version) {
					t.Errorf("%s: two racing inserts succeeded", way.name)
				} else if err != nil && !errors.Is(err, table.ErrConflict) {
					t.Errorf("%s: %v", way.name, err)
				}
			})
			f.mustHave(item(way.name, number(round), winner.Load()))
		}
	}
}

func testRacingTransactionsStayInStep(t *testing.T, f *fixture) {
	const writers = 8
	f.put(item("p", "a", 1), item("q", "b", 1))
	race(writers, func(i int) {
		if err := f.increment(table.Key{Partition: "p", Sort: "a"}, func(n int64) error {
			// Opposite orders invite a deadlock where an adapter locks.
			ops := make([]table.Op, 2)
			ops[i%2] = table.Put(item("p", "a", n+1), table.VersionIs(n))
			ops[1-i%2] = table.Put(item("q", "b", n+1), table.VersionIs(n))
			return f.Table.Transact(f.Context(), ops, nil)
		}); err != nil {
			t.Error(err)
		}
	})
	f.mustHave(item("p", "a", 1+writers))
	f.mustHave(item("q", "b", 1+writers))
}

// increment reads the version of key and calls write with it until write does
// not lose against another writer.
func (f *fixture) increment(key table.Key, write func(version int64) error) error {
	for {
		got, err := f.Table.Get(f.Context(), []table.Key{key}, true)
		if err != nil {
			return err
		}
		if err := write(got[0].Version); !errors.Is(err, table.ErrConflict) {
			return err
		}
	}
}

// wayToWrite carries out a single operation by one of the port's two methods.
type wayToWrite struct {
	name  string
	write func(table.Op, *table.Guard) error
}

func (f *fixture) waysToWrite() []wayToWrite {
	return []wayToWrite{
		{"Write", func(op table.Op, guard *table.Guard) error {
			return errors.Join(f.Table.Write(f.Context(), []table.Op{op}, guard)...)
		}},
		{"Transact", func(op table.Op, guard *table.Guard) error {
			return f.Table.Transact(f.Context(), []table.Op{op}, guard)
		}},
	}
}

// race runs n calls of run at the same time and waits for all.
func race(n int, run func(i int)) {
	var started, done sync.WaitGroup
	started.Add(n)
	for i := range n {
		done.Go(func() {
			started.Done()
			started.Wait()
			run(i)
		})
	}
	done.Wait()
}
