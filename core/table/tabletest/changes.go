package tabletest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tenure/core/table"
)

// history waits until the feed tells n changes and returns them per item,
// without repetitions.
func (f *fixture) history(n int) map[table.Key][]table.Change {
	f.Helper()
	var byKey map[table.Key][]table.Change
	f.eventually(func() error {
		changes, err := f.Changes(f.Context())
		if err != nil {
			return err
		}
		byKey = map[table.Key][]table.Change{}
		seen := map[string]bool{}
		total := 0
		for _, c := range changes {
			if c.Sequence == "" {
				return errors.New("a change has no Sequence")
			}
			if id := fmt.Sprintf("%q %s", c.Key(), c.Sequence); !seen[id] {
				seen[id] = true
				byKey[c.Key()] = append(byKey[c.Key()], c)
				total++
			}
		}
		if total != n {
			return fmt.Errorf("the feed tells %d changes, want %d", total, n)
		}
		return nil
	})
	return byKey
}

func testChangesTellOldAndNew(t *testing.T, f *fixture) {
	first := item("p", "s\x00/é", 1)
	first.Expires, first.HiddenFrom = f.clock.at(time.Hour), f.clock.at(time.Minute)
	first.Index1 = table.Key{Partition: "i1", Sort: "s1"}
	first.Index2 = table.Key{Partition: "i2", Sort: "s2"}
	second := table.Item{Key: first.Key, Version: 2}
	third := item("p", "s\x00/é", 3)
	other := item("q", "other", 1)

	f.write(table.Put(first, table.Absent()))
	f.write(table.Put(second, table.VersionIs(1)))
	wantError(t, f.Table.Transact(f.Context(), []table.Op{table.Put(third, table.VersionIs(2)), table.Put(other, table.Absent())}, nil), nil)
	f.write(table.Delete(first.Key, table.VersionIs(3)))

	byKey := f.history(5)
	for i, want := range []struct{ before, after *table.Item }{
		{nil, &first}, {&first, &second}, {&second, &third}, {&third, nil},
	} {
		got := byKey[first.Key][i]
		if err := errors.Join(sameImage("old", want.before, got.Old), sameImage("new", want.after, got.New)); err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if got := byKey[other.Key]; len(got) != 1 || sameImage("", nil, got[0].Old) != nil || sameImage("", &other, got[0].New) != nil {
		t.Errorf("the change of the other item is not told: %+v", got)
	}
}

func sameImage(name string, want, got *table.Item) error {
	switch {
	case want == nil && got == nil:
		return nil
	case want == nil:
		return fmt.Errorf("%s image has version %d, want none", name, got.Version)
	case got == nil:
		return fmt.Errorf("%s image is missing", name)
	}
	if diff := difference(*want, *got); diff != "" {
		return fmt.Errorf("%s image: %s", name, diff)
	}
	return nil
}

func testChangesOfAnItemAreInOrder(t *testing.T, f *fixture) {
	const items, writers, each = 4, 4, 5
	for i := range items {
		f.put(item("p", number(i), 1))
	}
	race(writers, func(w int) {
		for n := range each {
			sort := number((w + n) % items)
			if err := f.increment(table.Key{Partition: "p", Sort: sort}, func(version int64) error {
				return errors.Join(f.Table.Write(f.Context(), []table.Op{
					table.Put(item("p", sort, version+1), table.VersionIs(version)),
				}, nil)...)
			}); err != nil {
				t.Error(err)
			}
		}
	})
	for key, changes := range f.history(items + writers*each) {
		var last table.Change
		for i, c := range changes {
			if c.New == nil || c.New.Version != int64(i+1) {
				t.Fatalf("%q: change %d is not that of version %d", key, i, i+1)
			}
			if err := sameImage("old", last.New, c.Old); err != nil {
				t.Errorf("%q: change %d: %v", key, i, err)
			}
			// Sequences are compared as numbers.
			if cmp.Or(cmp.Compare(len(last.Sequence), len(c.Sequence)), cmp.Compare(last.Sequence, c.Sequence)) >= 0 {
				t.Errorf("%q: sequence %s follows %s", key, c.Sequence, last.Sequence)
			}
			last = c
		}
	}
}

func testNothingWrittenIsNoChange(t *testing.T, f *fixture) {
	_, guard := f.lock()
	guard.Version++
	put := table.Put(item("p", "s", 1), table.Condition{})
	for _, way := range f.waysToWrite() {
		wantError(t, way.write(table.Put(item("p", "s", 1), table.VersionIs(1)), nil), table.ErrConflict)
		wantError(t, way.write(put, guard), table.ErrFenced)
		wantError(t, way.write(table.Put(item("p", "", 1), table.Condition{}), nil), table.ErrInvalid)
		wantError(t, way.write(table.Delete(put.Item.Key, table.Condition{}), nil), nil)
	}
	f.write(put) // the end of the feed
	f.history(2)
}

func testCancelledContext(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	f.mustEnd(ctx, context.Canceled)
}

func testPassedDeadline(t *testing.T, f *fixture) {
	ctx, cancel := context.WithDeadline(f.Context(), time.Now().Add(-time.Second))
	defer cancel()
	f.mustEnd(ctx, context.DeadlineExceeded)
}

// mustEnd fails the case unless every method returns the error of ctx, which
// has ended, and writes nothing.
func (f *fixture) mustEnd(ctx context.Context, want error) {
	f.Helper()
	_, guard := f.lock()
	ops := []table.Op{table.Put(item("p", "a", 1), table.Absent()), table.Put(item("p", "b", 1), table.Condition{})}
	_, err := f.Table.Get(ctx, []table.Key{ops[0].Item.Key}, true)
	wantError(f, err, want)
	for _, index := range []table.Index{table.Base, table.First} {
		_, err = f.Table.Query(ctx, table.Query{Index: index, Partition: "p", Limit: 1})
		wantError(f, err, want)
	}
	for _, guard := range []*table.Guard{nil, guard, {Key: guard.Key, Version: guard.Version, Until: f.clock.at(time.Minute)}} {
		wantErrors(f, f.Table.Write(ctx, ops, guard), want, want)
		wantError(f, f.Table.Transact(ctx, ops, guard), want)
	}
	f.mustLack(ops[0].Item.Key)
	f.mustLack(ops[1].Item.Key)
}
