package resource_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/accounts"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/revenue"
	"tenure/core/schema"
	"tenure/core/subscriptions"
)

// derived are values with an MRR, the movements of these dates and a wake.
func derived(account string, mrr, wake int64, dates ...int64) resource.Derived {
	var movements []revenue.Movement
	for _, date := range dates {
		movements = append(movements, revenue.Movement{Date: date, Amount: mrr, After: mrr})
	}
	return resource.Derived{
		Edit: func(r schema.Record) schema.Record {
			return accounts.SetRevenue(r, []accounts.Revenue{{From: math.MinInt64, MRR: mrr}})
		},
		Entries: subscriptions.MovementRecords(account, movements),
		Wake:    wake,
	}
}

// derive derives one account as compute says.
func derive(t failer, e *resource.Engine, account string, compute func() resource.Derived) {
	t.Helper()
	failed := e.Derive(t.Context(), "acme", []string{account}, subscriptions.Movements,
		func(context.Context, string) (resource.Derived, error) { return compute(), nil })
	if len(failed) > 0 {
		t.Fatalf("%v", failed)
	}
}

// movementDates returns the dates of an account's movements.
func movementDates(t failer, e *resource.Engine, account string) []int64 {
	t.Helper()
	records, failure, err := e.OfAccount(t.Context(), "acme", subscriptions.Movements, account, subscriptions.Movements.ID, false, true)
	if failure != nil || err != nil {
		t.Fatalf("%v, %v", failure, err)
	}
	var dates []int64
	for _, r := range records {
		dates = append(dates, subscriptions.MovementDate(r))
	}
	return dates
}

func mrrOf(t failer, e *resource.Engine, id string) string {
	t.Helper()
	_, after, _ := strings.Cut(read(t, e, account(id)), `"current_mrr":`)
	mrr, _, _ := strings.Cut(after, ",")
	return mrr
}

// Of two at once, the one that read older records does not write last, whether
// its movements fit a transaction or not.
func TestWhoDerivesFromOlderRecordsDoesNotWriteLast(t *testing.T) {
	many := make([]int64, 300)
	for i := range many {
		many[i] = int64(i + 10)
	}
	for what, dates := range map[string][]int64{"few movements": {1, 2}, "none": nil, "more than a transaction takes": many} {
		for _, known := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, derived before: %t", what, known), func(t *testing.T) {
				w := newWorld(t, 1)
				threeAccounts(t, w.Engine)
				if known {
					derive(t, w.Engine, "a1", func() resource.Derived { return derived("a1", 1, 100, 5) })
				}
				truth, calls := int64(10), 0
				derive(t, w.Engine, "a1", func() resource.Derived {
					calls++
					was := truth
					if calls == 1 { // another one comes in between, and knows better
						truth = 20
						derive(t, w.Engine, "a1", func() resource.Derived { return derived("a1", 20, 300, 7) })
						return derived("a1", was, 200, dates...)
					}
					return derived("a1", truth, 400, 8)
				})
				if calls != 2 {
					t.Errorf("derived %d times, want anew once", calls)
				}
				if got, mrr := movementDates(t, w.Engine, "a1"), mrrOf(t, w.Engine, "a1"); !slices.Equal(got, []int64{8}) || mrr != "20" {
					t.Errorf("movements at %v and an MRR of %s", got, mrr)
				}
			})
		}
	}
}

// The state is new every time, even when nothing else changes: who read it
// before has to read again.
func TestDerivingTheSameAgainIsNoticed(t *testing.T) {
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	same := func() resource.Derived { return derived("a1", 10, math.MaxInt64, 1) }
	derive(t, w.Engine, "a1", same)
	calls := 0
	derive(t, w.Engine, "a1", func() resource.Derived {
		if calls++; calls == 1 {
			derive(t, w.Engine, "a1", same)
		}
		return same()
	})
	if calls != 2 {
		t.Errorf("derived %d times, want anew once", calls)
	}
	derive(t, w.Engine, "nobody", func() resource.Derived { // has no values
		t.Error("derived for an account that does not exist")
		return resource.Derived{}
	})
}

// Accounts are derived together, and the failure of one is its own.
func TestDerivingManyAccounts(t *testing.T) {
	w := newWorld(t, 16)
	threeAccounts(t, w.Engine)
	failed := w.Derive(t.Context(), "acme", []string{"a1", "nobody", "a2", "a3"}, subscriptions.Movements,
		func(_ context.Context, account string) (resource.Derived, error) {
			if account == "a2" {
				return resource.Derived{}, errLost
			}
			return derived(account, 7, math.MaxInt64, 1), nil
		})
	if len(failed) != 1 || failed["a2"] == nil {
		t.Errorf("failed: %v", failed)
	}
	for id, want := range map[string]string{"a1": "7", "a2": "null", "a3": "7"} {
		if got := mrrOf(t, w.Engine, id); got != want {
			t.Errorf("%s has an MRR of %s, want %s", id, got, want)
		}
	}
}

// An account is due from its wake on, until it is done; not any more once it
// was derived with a later one, and again when it was woken meanwhile.
func TestAccountsAreDueWhenTheirTimeHasCome(t *testing.T) {
	for _, shards := range []int{1, 16} {
		w := newWorld(t, shards)
		threeAccounts(t, w.Engine)
		now := w.Now()
		due := func() (names []string, all []resource.Due) {
			t.Helper()
			all, err := w.Due(t.Context(), "acme", resource.Derivations, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range all {
				names = append(names, d.Account)
			}
			slices.Sort(names)
			return names, all
		}
		wakes := func(account string, at int64) {
			t.Helper()
			derive(t, w.Engine, account, func() resource.Derived { return derived(account, 1, at) })
		}
		wakes("a1", now+1000)
		wakes("a2", now+2000)
		wakes("a3", math.MaxInt64)
		if names, _ := due(); len(names) > 0 {
			t.Errorf("before their time: %q", names)
		}
		w.clock.Advance(2100e6)
		names, all := due()
		if !slices.Equal(names, []string{"a1", "a2"}) {
			t.Fatalf("due: %q", names)
		}
		wakes("a1", now+100_000) // which is why a1 is not due any more
		if err := w.Wake(t.Context(), "acme", resource.Derivations, resource.Due{Account: "a2", At: now + 2000}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, d := range all {
				if err := w.Done(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			if names, _ := due(); !slices.Equal(names, []string{"a2"}) {
				t.Fatalf("after they were done, and a2 woken before that: %q", names)
			}
		}
		_, all = due()
		if err := w.Done(t.Context(), all[0]); err != nil {
			t.Fatal(err)
		}
		if names, _ := due(); len(names) > 0 {
			t.Errorf("still due: %q", names)
		}
		w.clock.Advance(98e9)
		if names, _ := due(); !slices.Equal(names, []string{"a1"}) {
			t.Errorf("later: %q", names)
		}
	}
}

// Ranges of movements, as records and as rows of their index, are the model's.
func TestRangesOfMovementsAreThoseOfTheModel(t *testing.T) {
	for _, shards := range []int{1, 16} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			w := newWorld(t, shards)
			threeAccounts(t, w.Engine)
			f := subscriptions.Movements
			date := rapid.Int64Range(-6, 6)
			type movement struct {
				date    int64
				account string
			}
			rapid.Check(t, func(t *rapid.T) {
				model := map[movement]int64{}
				for _, a := range []string{"a1", "a2", "a3"} {
					dates := rapid.SliceOfNDistinct(date, 0, 8, rapid.ID).Draw(t, "dates")
					slices.Sort(dates)
					mrr := rapid.Int64Range(-2, 2).Draw(t, "mrr")
					derive(t, w.Engine, a, func() resource.Derived { return derived(a, mrr, math.MaxInt64, dates...) })
					for _, d := range dates {
						model[movement{d, a}] = mrr
					}
				}
				l := resource.List{Workspace: "acme", Family: f, Descending: rapid.Bool().Draw(t, "descending"),
					Range: &resource.Range{From: date.Draw(t, "from"), Until: date.Draw(t, "until")}}
				switch rapid.IntRange(0, 3).Draw(t, "open") {
				case 0:
					l.Range.From = math.MinInt64
				case 1:
					l.Range.Until = math.MaxInt64
				}
				want := slices.SortedFunc(maps.Keys(model), func(a, b movement) int {
					return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(model[a], model[b]), strings.Compare(a.account, b.account))
				})
				if l.Descending {
					slices.Reverse(want)
				}
				want = slices.DeleteFunc(want, func(m movement) bool { return m.date < l.Range.From || m.date >= l.Range.Until })
				var got, rows []movement
				for _, r := range resourcetest.Page(t, w.Engine, l) {
					got = append(got, movement{subscriptions.MovementDate(r), r[f.Account].Text()})
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%+v: %v, want %v", *l.Range, got, want)
				}
				groups := map[string]string{} // of each account
				for row, err := range w.Rows(t.Context(), l) {
					if err != nil || len(rows) == len(want) {
						t.Fatalf("row %d of %d: %v", len(rows), len(want), err)
					}
					m := want[len(rows)]
					if numbers := []int64{m.date, model[m], 0}; !slices.Equal(row.Numbers, numbers) || row.Text != "new" {
						t.Fatalf("row %d: %+v, want %v", len(rows), row, numbers)
					}
					if g, known := groups[m.account]; known && g != row.Group {
						t.Fatalf("%s is in two groups", m.account)
					}
					groups[m.account], rows = row.Group, append(rows, m)
				}
				if len(rows) != len(want) || len(slices.Compact(slices.Sorted(maps.Values(groups)))) != len(groups) {
					t.Fatalf("%d rows, want %d; groups %v", len(rows), len(want), groups)
				}
			})
		})
	}
}
