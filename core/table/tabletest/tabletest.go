// Package tabletest is the contract suite of the storage port: one named case
// for each promise of package table, run by the test of every adapter. A bug
// found in one adapter becomes a case here, and so a case for all.
package tabletest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/table"
)

// Harness is what one case works with: a fresh, empty table and what the
// adapter's test must say about it.
type Harness struct {
	// Table is the table under test.
	Table table.Table
	// Eventually is how long a secondary index or the change feed may lag
	// behind an acknowledged write. 0: not at all.
	Eventually time.Duration
	// Changes reads the change feed from its beginning to its present end.
	Changes func(ctx context.Context) ([]table.Change, error)
}

// Clock is the time a case gives to its table. It stands still until the case
// moves it, so that nothing expires by accident on a slow machine.
//
// It starts a day ahead of the real time: a store that removes expired items
// by the real time then never removes what has not expired by this clock.
type Clock struct{ ms atomic.Int64 }

func newClock() *Clock {
	c := &Clock{}
	c.ms.Store(time.Now().Add(24 * time.Hour).UnixMilli())
	return c
}

// Now returns the clock's time; adapters take this method as their source of time.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.ms.Load()) }

func (c *Clock) at(d time.Duration) int64 { return c.ms.Load() + d.Milliseconds() }

func (c *Clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// Run runs the whole contract. It calls open for each case, in parallel; open
// returns an empty table that takes the time from clock, and registers what
// closes it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T, clock *Clock) Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"ItemsSurviveUnchanged", testItemsSurviveUnchanged},
		{"BodiesSurviveByteForByte", testBodiesSurviveByteForByte},
		{"AnyUTF8IsAKey", testAnyUTF8IsAKey},
		{"PartitionsDoNotLeak", testPartitionsDoNotLeak},
		{"BadKeysAreRefused", testBadKeysAreRefused},
		{"KeyLengthLimits", testKeyLengthLimits},
		{"ItemSizeLimit", testItemSizeLimit},
		{"VersionMustBePositive", testVersionMustBePositive},
		{"NothingToDo", testNothingToDo},
		{"GetKeepsTheOrderOfTheKeys", testGetKeepsTheOrderOfTheKeys},

		{"ConditionsOfAPut", testConditionsOfAPut},
		{"ConditionsOfADelete", testConditionsOfADelete},
		{"WriteAnswersForEachOperation", testWriteAnswersForEachOperation},
		{"WriteManyOperations", testWriteManyOperations},
		{"DuplicateKeysAreRefused", testDuplicateKeysAreRefused},
		{"TransactIsAllOrNothing", testTransactIsAllOrNothing},
		{"TransactLimits", testTransactLimits},
		{"RacingUpdatesAreAllCounted", testRacingUpdatesAreAllCounted},
		{"RacingInsertsHaveOneWinner", testRacingInsertsHaveOneWinner},
		{"RacingTransactionsStayInStep", testRacingTransactionsStayInStep},

		{"ExpiredItemsAreAbsent", testExpiredItemsAreAbsent},
		{"GuardThatHolds", testGuardThatHolds},
		{"GuardThatDoesNotHold", testGuardThatDoesNotHold},
		{"GuardOverManyOperations", testGuardOverManyOperations},
		{"GuardCountsInATransaction", testGuardCountsInATransaction},

		{"QueryRanges", testQueryRanges},
		{"QueryLongPrefixAndAfter", testQueryLongPrefixAndAfter},
		{"QueryRefusesNonsense", testQueryRefusesNonsense},
		{"QueryVisibleAtFillsTheLimit", testQueryVisibleAtFillsTheLimit},
		{"QueryKeepFillsTheLimit", testQueryKeepFillsTheLimit},
		{"QueryReadsPastOneMegabyte", testQueryReadsPastOneMegabyte},
		{"QueryKeysOnly", testQueryKeysOnly},
		{"IndexFollowsItsItems", testIndexFollowsItsItems},
		{"IndexAnswersKeysOnly", testIndexAnswersKeysOnly},
		{"IndexKeysNeedNotBeUnique", testIndexKeysNeedNotBeUnique},
		{"IndexRanges", testIndexRanges},

		{"ChangesTellOldAndNew", testChangesTellOldAndNew},
		{"ChangesOfAnItemAreInOrder", testChangesOfAnItemAreInOrder},
		{"NothingWrittenIsNoChange", testNothingWrittenIsNoChange},

		{"CancelledContext", testCancelledContext},
		{"PassedDeadline", testPassedDeadline},

		{"BehavesLikeAMap", testBehavesLikeAMap},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			c.run(t, &fixture{T: t, Harness: open(t, clock), clock: clock})
		})
	}
}

// failer is the part of *testing.T that *rapid.T shares, so that the
// property and the cases use the same assertions.
type failer interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// fixture is a Harness with the shorthand that the cases are written in.
type fixture struct {
	*testing.T
	Harness
	clock *Clock
}

// item makes an item whose body tells which key and version it has.
func item(partition, sort string, version int64) table.Item {
	return table.Item{
		Key:     table.Key{Partition: partition, Sort: sort},
		Version: version,
		Body:    fmt.Appendf(nil, `{"key":%q,"version":%d}`, partition+" "+sort, version),
	}
}

// write carries out ops and fails the case unless all succeed.
func (f *fixture) write(ops ...table.Op) {
	f.Helper()
	for i, err := range f.Table.Write(f.Context(), ops, nil) {
		if err != nil {
			f.Fatalf("Write: operation %d on %q: %v", i, ops[i].Item.Key, err)
		}
	}
}

// put stores items unconditionally.
func (f *fixture) put(items ...table.Item) {
	f.Helper()
	ops := make([]table.Op, len(items))
	for i, it := range items {
		ops[i] = table.Put(it, table.Condition{})
	}
	f.write(ops...)
}

// get reads one item consistently.
func (f *fixture) get(key table.Key) table.Item {
	f.Helper()
	got, err := f.Table.Get(f.Context(), []table.Key{key}, true)
	if err != nil || len(got) != 1 {
		f.Fatalf("Get(%q) = %d items, %v", key, len(got), err)
	}
	return got[0]
}

// mustHave fails the case unless want is stored exactly as it is.
func (f *fixture) mustHave(want table.Item) {
	f.Helper()
	if diff := difference(want, f.get(want.Key)); diff != "" {
		f.Fatalf("stored item %.80q: %s", want.Key, diff)
	}
}

// mustLack fails the case if an item has key.
func (f *fixture) mustLack(key table.Key) {
	f.Helper()
	if got := f.get(key); got.Exists() {
		f.Fatalf("item %.80q exists with version %d, want none", key, got.Version)
	}
}

// query reads a range and fails the case on an error.
func (f *fixture) query(q table.Query) []table.Item {
	f.Helper()
	got, err := f.Table.Query(f.Context(), q)
	if err != nil {
		f.Fatalf("Query(%+v): %v", q, err)
	}
	return got
}

// eventually repeats check until it returns no error or the tolerated lag is over.
func (f *fixture) eventually(check func() error) {
	f.Helper()
	if err := f.poll(check); err != nil {
		f.Fatalf("%v", err)
	}
}

func (f *fixture) poll(check func() error) error {
	for end := time.Now().Add(f.Eventually); ; time.Sleep(20 * time.Millisecond) {
		err := check()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// wantErrors fails the case unless got has one error for each of want, and
// each is what want asks for (nil: none).
func wantErrors(f failer, got []error, want ...error) {
	f.Helper()
	allNil := true
	for _, w := range want {
		allNil = allNil && w == nil
	}
	if allNil && got == nil {
		return
	}
	if allNil || len(got) != len(want) {
		f.Fatalf("Write = %v, want %v", got, want)
	}
	for i, w := range want {
		if !errors.Is(got[i], w) {
			f.Fatalf("Write: operation %d: error %v, want %v (all: %v)", i, got[i], w, got)
		}
	}
}

// wantError fails the case unless got is want (nil: none).
func wantError(f failer, got, want error) {
	f.Helper()
	if !errors.Is(got, want) {
		f.Fatalf("error %v, want %v", got, want)
	}
}

// difference says how got differs from want; "" if it does not.
func difference(want, got table.Item) string {
	switch {
	case got.Key != want.Key:
		return fmt.Sprintf("key %.80q, want %.80q", got.Key, want.Key)
	case got.Version != want.Version:
		return fmt.Sprintf("version %d, want %d", got.Version, want.Version)
	case got.Expires != want.Expires:
		return fmt.Sprintf("expires %d, want %d", got.Expires, want.Expires)
	case got.HiddenFrom != want.HiddenFrom:
		return fmt.Sprintf("hidden from %d, want %d", got.HiddenFrom, want.HiddenFrom)
	case got.Index1 != want.Index1:
		return fmt.Sprintf("first index %.80q, want %.80q", got.Index1, want.Index1)
	case got.Index2 != want.Index2:
		return fmt.Sprintf("second index %.80q, want %.80q", got.Index2, want.Index2)
	case string(got.Body) != string(want.Body):
		return fmt.Sprintf("body %.200q (%d bytes), want %.200q (%d bytes)",
			got.Body, len(got.Body), want.Body, len(want.Body))
	}
	return ""
}

// differences says where got differs from want; "" if it does not.
func differences(want, got []table.Item) string {
	for i := range min(len(want), len(got)) {
		if diff := difference(want[i], got[i]); diff != "" {
			return fmt.Sprintf("item %d: %s", i, diff)
		}
	}
	if len(got) != len(want) {
		return fmt.Sprintf("%d items, want %d", len(got), len(want))
	}
	return ""
}

// sorts lists the sort keys that items have in index.
func sorts(items []table.Item, index table.Index) []string {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = indexKey(it, index).Sort
	}
	return keys
}

func indexKey(it table.Item, index table.Index) table.Key {
	switch index {
	case table.First:
		return it.Index1
	case table.Second:
		return it.Index2
	}
	return it.Key
}
