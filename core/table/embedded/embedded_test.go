package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/table"
	"tenure/core/table/embedded"
)

// clock is a time that stands still until it is set.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

func open(t *testing.T, dir string, opts embedded.Options) *embedded.Table {
	t.Helper()
	store, err := embedded.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func write(t *testing.T, store *embedded.Table, ops ...table.Op) {
	t.Helper()
	if errs := store.Write(t.Context(), ops, nil); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
}

func changes(t *testing.T, store *embedded.Table, after string, limit int) []table.Change {
	t.Helper()
	got, err := store.Changes(t.Context(), after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSweepRemovesWhatHasExpired(t *testing.T) {
	var c clock
	c.ms.Store(1_000_000)
	store := open(t, t.TempDir(), embedded.Options{Now: c.now, Feed: everything})
	const items = 1200
	var ops []table.Op
	for i := range items {
		item := table.Item{Key: table.Key{Partition: "p", Sort: fmt.Sprint(i)}, Version: 1, Index1: table.Key{Partition: "i", Sort: "same"}}
		switch i % 3 {
		case 0:
			item.Expires = 1_000_000 + int64(i)
		case 1:
			item.Expires = 9_000_000
		}
		ops = append(ops, table.Put(item, table.Absent()))
	}
	write(t, store, ops...)
	// One that was going to expire lives on, one that was not expires.
	prolonged, shortened := ops[0].Item, ops[2].Item
	prolonged.Version, prolonged.Expires = 2, 0
	shortened.Version, shortened.Expires = 2, 1_000_001
	write(t, store, table.Put(prolonged, table.Absent()), table.Put(shortened, table.VersionIs(1)))
	before := changes(t, store, "", 1<<20)

	c.ms.Store(1_000_000 + items)
	for _, want := range []int{items / 3, 0} {
		if n, err := store.Sweep(t.Context()); n != want || err != nil {
			t.Fatalf("swept %d items, %v; want %d", n, err, want)
		}
	}
	for _, index := range []table.Query{{Partition: "p"}, {Index: table.First, Partition: "i"}} {
		index.Limit = 2 * items
		got, err := store.Query(t.Context(), index)
		if err != nil || len(got) != items-items/3 {
			t.Errorf("index %d: %d items, %v", index.Index, len(got), err)
		}
	}
	removals := changes(t, store, before[len(before)-1].Sequence, 1<<20)
	if len(removals) != items/3 {
		t.Errorf("the feed tells %d removals", len(removals))
	}
	for _, r := range removals {
		if r.New != nil || r.Old.Expires > c.ms.Load() {
			t.Errorf("the feed tells %+v", r)
		}
	}
}

func TestFeedSurvivesReopeningAndTrim(t *testing.T) {
	dir := t.TempDir()
	key := table.Key{Partition: "p", Sort: "s"}
	version := int64(0)
	put := func(store *embedded.Table) {
		t.Helper()
		version++
		write(t, store, table.Put(table.Item{Key: key, Version: version, Body: fmt.Append(nil, "body ", version)}, table.Condition{}))
	}
	versions := func(store *embedded.Table, after string, limit int) (got []int64) {
		t.Helper()
		for _, c := range changes(t, store, after, limit) {
			if string(c.New.Body) != fmt.Sprint("body ", c.New.Version) || c.Old != nil && c.Old.Version != c.New.Version-1 {
				t.Errorf("change %+v", c)
			}
			got = append(got, c.New.Version)
		}
		return got
	}
	expect := func(got []int64, want ...int64) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("changes to versions %v, want %v", got, want)
		}
	}
	reopen := func(store *embedded.Table, feed func(table.Key) bool) *embedded.Table {
		t.Helper()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		return open(t, dir, embedded.Options{Feed: feed})
	}

	store := open(t, dir, embedded.Options{Feed: everything})
	put(store)
	put(store)
	store = reopen(store, everything)
	put(store)
	put(store)
	expect(versions(store, "", 10), 1, 2, 3, 4)
	expect(versions(store, "", 3), 1, 2, 3)
	all := changes(t, store, "", 10)
	expect(versions(store, all[1].Sequence, 10), 3, 4)

	trim := func(upTo string) {
		t.Helper()
		if err := store.Trim(t.Context(), upTo); err != nil {
			t.Fatal(err)
		}
	}
	trim(all[2].Sequence)
	expect(versions(store, "", 10), 4)
	trim(all[0].Sequence)
	expect(versions(store, "", 10), 4)
	trim(strings.Repeat("f", 16)) // later than all there are
	expect(versions(store, "", 10))
	trim(all[0].Sequence)

	// Without a single change left, the next one still comes after them.
	store = reopen(store, everything)
	put(store)
	expect(versions(store, all[3].Sequence, 10), 5)

	store = reopen(store, nil)
	put(store)
	expect(versions(store, "", 10), 5)

	for _, bad := range []string{"x", "12", strings.Repeat("0", 17), "+000000000000001"} {
		if _, err := store.Changes(t.Context(), bad, 1); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("changes after %q: %v", bad, err)
		}
		if err := store.Trim(t.Context(), bad); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("trim up to %q: %v", bad, err)
		}
	}
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	store := open(t, t.TempDir(), embedded.Options{})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	key := table.Key{Partition: "p", Sort: "s"}
	for name, call := range map[string]func() error{
		"Get":   func() error { _, err := store.Get(t.Context(), []table.Key{key}, true); return err },
		"Query": func() error { _, err := store.Query(t.Context(), table.Query{Partition: "p", Limit: 1}); return err },
		"Write": func() error {
			return store.Write(t.Context(), []table.Op{table.Delete(key, table.Condition{})}, nil)[0]
		},
		"Transact": func() error {
			return store.Transact(t.Context(), []table.Op{table.Delete(key, table.Condition{})}, nil)
		},
		"Sweep":   func() error { _, err := store.Sweep(t.Context()); return err },
		"Changes": func() error { _, err := store.Changes(t.Context(), "", 1); return err },
		"Trim":    func() error { return store.Trim(t.Context(), strings.Repeat("0", 16)) },
	} {
		if err := call(); !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCancelledContextEndsTheFeedsMethods(t *testing.T) {
	store := open(t, t.TempDir(), embedded.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, sweep := store.Sweep(ctx)
	_, read := store.Changes(ctx, "", 1)
	for _, err := range []error{sweep, read, store.Trim(ctx, strings.Repeat("0", 16))} {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestAnswersDoNotShareMemoryWithTheStore(t *testing.T) {
	store := open(t, t.TempDir(), embedded.Options{})
	key := table.Key{Partition: "p", Sort: "s"}
	body := []byte(strings.Repeat("x", 100))
	write(t, store, table.Put(table.Item{Key: key, Version: 1, Body: body}, table.Absent()))
	clear(body)
	for range 2 {
		got, err := store.Get(t.Context(), []table.Key{key, key}, true)
		if err != nil {
			t.Fatal(err)
		}
		page, err := store.Query(t.Context(), table.Query{Partition: "p", Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range append(got, page...) {
			if string(item.Body) != strings.Repeat("x", 100) {
				t.Fatalf("body %q", item.Body)
			}
			_ = append(item.Body, "spill"...)
		}
		for _, item := range append(got, page...) {
			clear(item.Body)
		}
	}
}

// TestWriteLargerThanTheMemoryOfRecentWrites shows a call that the engine does
// not put beside its recent writes, but takes over as it is: it lasts like any
// other, and nobody waits for it for ever.
func TestWriteLargerThanTheMemoryOfRecentWrites(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	store, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ops := make([]table.Op, 2*embedded.DefaultMemTableBytes/(256<<10))
	keys := make([]table.Key, len(ops))
	for i := range ops {
		keys[i] = table.Key{Partition: "p", Sort: fmt.Sprintf("%03d", i)}
		body := []byte(strings.Repeat(string(rune('a'+i%26)), 256<<10))
		ops[i] = table.Put(table.Item{Key: keys[i], Version: 1, Body: body}, table.Absent())
	}
	if errs := store.Write(ctx, ops, nil); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	for opened := range 2 {
		got, err := store.Get(ctx, keys, true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if string(got[i].Body) != string(ops[i].Item.Body) {
				t.Fatalf("opened %d times: item %d has %d bytes", opened, i, len(got[i].Body))
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if opened == 0 {
			store = open(t, dir, embedded.Options{})
		}
	}
}
