package tabletest

import (
	"testing"
	"time"

	"tenure/core/table"
)

func testExpiredItemsAreAbsent(t *testing.T, f *fixture) {
	for _, way := range f.waysToWrite() {
		it := item(way.name, "s", 1)
		it.Expires = f.clock.at(1500 * time.Millisecond)
		it.Index1 = table.Key{Partition: way.name + " index", Sort: "s"}
		later := item(way.name, "t", 1)
		later.Expires = f.clock.at(time.Hour)
		later.Index1 = table.Key{Partition: way.name + " index", Sort: "t"}
		f.put(it, later)

		f.clock.advance(1499 * time.Millisecond)
		f.mustHave(it)
		wantError(t, way.write(table.Put(item(way.name, "s", 2), table.Absent()), nil), table.ErrConflict)
		base := table.Query{Partition: way.name, Limit: 1, Consistent: true}
		index := table.Query{Index: table.First, Partition: it.Index1.Partition, Limit: 1}
		if err := sameSorts(f.query(base), table.Base, []string{"s"}); err != nil {
			t.Error(err)
		}
		f.eventually(func() error { return sameSorts(f.query(index), table.First, []string{"s"}) })

		f.clock.advance(time.Millisecond)
		f.mustLack(it.Key)
		if err := sameSorts(f.query(base), table.Base, []string{"t"}); err != nil {
			t.Error(err)
		}
		f.eventually(func() error { return sameSorts(f.query(index), table.First, []string{"t"}) })
		wantError(t, way.write(table.Put(item(way.name, "s", 2), table.VersionIs(1)), nil), table.ErrConflict)
		wantError(t, way.write(table.Delete(it.Key, table.VersionIs(1)), nil), table.ErrConflict)
		wantError(t, way.write(table.Put(item(way.name, "s", 2), table.Absent()), nil), nil)
		f.mustHave(item(way.name, "s", 2))
		f.eventually(func() error { return sameSorts(f.query(index), table.First, []string{"t"}) })

		// What is born expired never appears.
		born := item(way.name, "s", 3)
		born.Expires = f.clock.at(0)
		wantError(t, way.write(table.Put(born, table.VersionIs(2)), nil), nil)
		f.mustLack(born.Key)
		wantError(t, way.write(table.Delete(born.Key, table.Absent()), nil), nil)
		f.mustLack(born.Key)
	}
}

// lock stores a lock that expires in a minute, and returns it with a guard
// for which nothing is certain any more.
func (f *fixture) lock() (table.Item, *table.Guard) {
	f.Helper()
	lock := item("locks", "lock", 77)
	lock.Expires = f.clock.at(time.Minute)
	f.put(lock)
	return lock, &table.Guard{Key: lock.Key, Version: 77, Until: f.clock.at(0)}
}

func testGuardThatHolds(t *testing.T, f *fixture) {
	lock, guard := f.lock()
	for _, until := range []time.Duration{-time.Hour, 0, time.Millisecond, time.Second, 30 * time.Second, time.Hour} {
		guard.Until = f.clock.at(until)
		for _, way := range f.waysToWrite() {
			name := way.name + until.String()
			wantError(t, way.write(table.Put(item("p", name, 1), table.Absent()), guard), nil)
			f.mustHave(item("p", name, 1))
			wantError(t, way.write(table.Put(item("p", name, 2), table.Absent()), guard), table.ErrConflict)
			wantError(t, way.write(table.Put(item("p", name, 2), table.VersionIs(1)), guard), nil)
			wantError(t, way.write(table.Delete(table.Key{Partition: "p", Sort: name}, table.VersionIs(2)), guard), nil)
			f.mustLack(table.Key{Partition: "p", Sort: name})
		}
	}
	f.mustHave(lock)
}

func testGuardThatDoesNotHold(t *testing.T, f *fixture) {
	lock, guard := f.lock()
	old := item("p", "old", 1)
	f.put(old)
	fenced := func(guard table.Guard) {
		t.Helper()
		for _, until := range []time.Duration{-time.Hour, 0, time.Second} {
			guard.Until = f.clock.at(until)
			ops := []table.Op{
				table.Put(item("p", "new", 1), table.Absent()),
				table.Delete(old.Key, table.VersionIs(1)),
				// This one would fail in any case: the guard comes first.
				table.Put(item("p", "other", 2), table.VersionIs(1)),
			}
			wantErrors(t, f.Table.Write(f.Context(), ops, &guard), table.ErrFenced, table.ErrFenced, table.ErrFenced)
			wantError(t, f.Table.Transact(f.Context(), ops, &guard), table.ErrFenced)
		}
		f.mustHave(old)
		f.mustLack(table.Key{Partition: "p", Sort: "new"})
	}

	fenced(table.Guard{Key: lock.Key, Version: 76})
	fenced(table.Guard{Key: table.Key{Partition: "locks", Sort: "missing"}, Version: 77})
	f.clock.advance(time.Minute)
	fenced(*guard)
	taken := item("locks", "lock", 78)
	taken.Expires = f.clock.at(time.Minute)
	f.put(taken)
	fenced(*guard)
	f.write(table.Delete(lock.Key, table.VersionIs(78)))
	fenced(*guard)
}

func testGuardOverManyOperations(t *testing.T, f *fixture) {
	_, guard := f.lock()
	const n = 130 // more than one transaction takes
	stale := item("p", number(7), 9)
	f.put(stale)
	var ops []table.Op
	var want, fenced []error
	for i := range n {
		ops = append(ops, table.Put(item("p", number(i), 1), table.Absent()))
		want, fenced = append(want, nil), append(fenced, table.ErrFenced)
	}
	want[7] = table.ErrConflict
	ops[100].Item.Body = make([]byte, table.MaxItemBytes)
	want[100] = table.ErrInvalid

	wantErrors(t, f.Table.Write(f.Context(), ops, guard), want...)
	f.mustHave(stale)
	if got := f.query(table.Query{Partition: "p", Limit: 2 * n, KeysOnly: true, Consistent: true}); len(got) != n-1 {
		t.Errorf("%d items, want %d", len(got), n-1)
	}
	for i := range ops {
		ops[i] = table.Put(item("q", number(i), 1), table.Condition{})
	}
	f.write(table.Delete(guard.Key, table.Condition{}))
	wantErrors(t, f.Table.Write(f.Context(), ops, guard), fenced...)
	if got := f.query(table.Query{Partition: "q", Limit: 1, Consistent: true}); len(got) != 0 {
		t.Error("a fenced Write has written")
	}
}

func testGuardCountsInATransaction(t *testing.T, f *fixture) {
	lock, guard := f.lock()
	var ops []table.Op
	for i := range table.MaxTransactOps {
		ops = append(ops, table.Put(item("p", number(i), 1), table.Absent()))
	}
	wantError(t, f.Table.Transact(f.Context(), ops, guard), table.ErrInvalid)
	f.mustLack(ops[0].Item.Key)
	wantError(t, f.Table.Transact(f.Context(), ops[1:], guard), nil)
	f.mustHave(ops[99].Item)

	// It is an operation on its key, which may then not have another.
	touching := []table.Op{table.Delete(lock.Key, table.VersionIs(77)), table.Put(item("q", "s", 1), table.Absent())}
	wantError(t, f.Table.Transact(f.Context(), touching, guard), table.ErrInvalid)
	wantErrors(t, f.Table.Write(f.Context(), touching, guard), table.ErrInvalid, table.ErrInvalid)
	f.mustHave(lock)
	f.mustLack(touching[1].Item.Key)
}
