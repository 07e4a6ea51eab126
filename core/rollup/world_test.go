package rollup_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/revenue"
	"tenure/core/rollup"
	"tenure/core/subscriptions"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

type failer = resourcetest.Failer

const (
	day         = 24 * 60 * 60 * 1000
	startOfTime = 19_700 * day // 00:00 UTC
)

// world is an engine over an embedded store with a change feed.
type world struct {
	*resource.Engine
	*rollup.Rollup
	store *embedded.Table
	clock *resourcetest.Clock
	taken string // the sequence of the last change that changes returned
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c := resourcetest.NewClock(startOfTime)
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), embedded.Options{Now: c.Now, Feed: rollup.Concerns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{store: store, clock: c}
	w.Engine, w.Rollup = w.over(store)
	return w
}

// over returns another engine and rollup of the same world, over a table in
// front of its store.
func (w *world) over(t table.Table) (*resource.Engine, *rollup.Rollup) {
	e := resource.New(resource.Config{Table: t, Root: catalog.Root, Now: w.clock.Now})
	return e, rollup.New(e, usage.New(usage.Config{Table: t, Engine: e, Now: w.clock.Now}))
}

// post uploads records of which none may fail.
func (w *world) post(t failer, workspace string, f *resource.Family, records ...string) {
	t.Helper()
	result, err := w.Upload(t.Context(), resource.Upload{Workspace: workspace, Family: f, Records: func(yield func(func() resource.Input) bool) {
		for _, record := range records {
			if !yield(func() resource.Input {
				patch, failure := f.Schema.Decode([]byte(record), false)
				return resource.Input{Patch: patch, Failure: failure}
			}) {
				return
			}
		}
	}})
	if err != nil || len(result.Failed) > 0 {
		t.Fatalf("upload: %+v, %v", result, err)
	}
}

// account returns the record of an account.
func account(id string) string { return fmt.Sprintf(`{"account_id":%q,"name":"n","join_date":1}`, id) }

// event returns an event of a subscription, of cents a month unless it is an
// end, that begins so many days from the start of time on.
func event(kind, account, subscription string, days int, cents int, more ...string) string {
	e := fmt.Sprintf(`{"account_id":%q,"subscription_id":%q,"event":%q,"effective_start_date":%d`, account, subscription, kind, at(days))
	if kind != "end" {
		e += fmt.Sprintf(`,"total_revenue":%d,"cycle_unit":"month","cycle_length":1`, cents)
	}
	return strings.Join(append([]string{e}, more...), ",") + "}"
}

// at returns the instant so many days from the start of time on.
func at(days int) int64 { return startOfTime + int64(days)*day }

// changes returns what has come into the feed since it was last called.
func (w *world) changes(t failer) []table.Change {
	t.Helper()
	changes, err := w.store.Changes(t.Context(), w.taken, 100_000)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if len(changes) > 0 {
		w.taken = changes[len(changes)-1].Sequence
	}
	return changes
}

// follow takes up what has come into the feed.
func (w *world) follow(t failer) {
	t.Helper()
	if err := errors.Join(w.Changes(t.Context(), w.changes(t))...); err != nil {
		t.Fatalf("%v", err)
	}
}

// tick takes up what has changed by time alone.
func (w *world) tick(t failer, workspace string, want int) {
	t.Helper()
	if n, err := w.Tick(t.Context(), workspace); n != want || err != nil {
		t.Fatalf("%d accounts were due, %v; want %d", n, err, want)
	}
}

// read returns an account as a single read shows it.
func (w *world) read(t failer, workspace, id string) string {
	t.Helper()
	records, err := w.Read(t.Context(), resource.Target{Workspace: workspace, Family: accounts.Family, ID: id})
	if err != nil || len(records) != 1 {
		t.Fatalf("%d accounts %s, %v", len(records), id, err)
	}
	s := accounts.Family.Schema
	return string(s.AppendObject(nil, records[0], s.All()))
}

// mrrIs checks current_mrr, given as JSON.
func (w *world) mrrIs(t failer, workspace, id, want string) {
	t.Helper()
	if got := w.read(t, workspace, id); !strings.Contains(got, `"current_mrr":`+want+`,`) {
		t.Fatalf("the account %s on day %d, want MRR %s: %s", id, (w.Now()-startOfTime)/day, want, got)
	}
}

// ledger returns the movements of an account in the order of time, those to
// come included.
func (w *world) ledger(t failer, workspace, id string) (movements []string, amounts map[int64]int64) {
	t.Helper()
	s := subscriptions.Movements.Schema
	records, failure, err := w.OfAccount(t.Context(), workspace, subscriptions.Movements, id, subscriptions.Movements.OfAccountOrder, false, true)
	if failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	amounts = map[int64]int64{}
	for _, r := range records {
		movements = append(movements, string(s.AppendObject(nil, r, s.All())))
		amounts[subscriptions.MovementDate(r)] += r[s.Ordinal("amount")].Int()
	}
	return movements, amounts
}

// histories returns the subscriptions of an account as they are stored.
func (w *world) histories(t failer, workspace, id string) (subs []revenue.Subscription) {
	t.Helper()
	f := subscriptions.Histories
	records, failure, err := w.OfAccount(t.Context(), workspace, f, id, f.ID, false, true)
	if failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	for _, r := range records {
		subs = append(subs, revenue.Subscription{ID: r[f.ID].Text(), History: subscriptions.HistoryOf(r)})
	}
	return subs
}

// addsUp checks that at every instant at which anything changes, and just
// before it, an account's movements come to its MRR.
func (w *world) addsUp(t failer, workspace, id string) {
	t.Helper()
	subs := w.histories(t, workspace, id)
	_, amounts := w.ledger(t, workspace, id)
	check := func(instant int64) {
		sum := int64(0)
		for date, amount := range amounts {
			if date <= instant {
				sum += amount
			}
		}
		if want := revenue.MRR(subs, instant); sum != want {
			t.Fatalf("up to %d the movements of %s come to %d, want %d", instant, id, sum, want)
		}
	}
	last := int64(-1 << 62)
	for next := revenue.NextChange(subs, last); next != revenue.Open; next = revenue.NextChange(subs, next) {
		check(next - 1)
		check(next)
	}
	for date := range amounts {
		check(date)
	}
}

// wakes returns when accounts of a workspace are to be derived by the clock,
// with their ids.
func (w *world) wakes(t failer, workspace string) (all []string) {
	t.Helper()
	items, err := w.store.Query(t.Context(), table.Query{Partition: workspace + "/wake/00", Limit: 1000, Consistent: true})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, item := range items {
		all = append(all, item.Sort+" "+string(item.Body))
	}
	return all
}

// subscriptionOrder returns the ids of /subscriptions in the order of start_date.
func (w *world) subscriptionOrder(t failer, workspace string) string {
	t.Helper()
	list, failure, err := w.List(t.Context(), resource.List{Workspace: workspace, Family: subscriptions.Family})
	if failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	records, err := list.Next(t.Context())
	if err != nil {
		t.Fatalf("%v", err)
	}
	var ids []string
	for _, r := range records {
		ids = append(ids, r[subscriptions.Family.ID].Text())
	}
	return strings.Join(ids, " ")
}

// inFront is a table in front of another that sees every write, and may refuse
// it or have it wait.
type inFront struct {
	table.Table
	before func(ops []table.Op) error
}

func (f *inFront) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if err := f.before(ops); err != nil {
		errs := make([]error, len(ops))
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	return f.Table.Write(ctx, ops, guard)
}

func (f *inFront) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	if err := f.before(ops); err != nil {
		return err
	}
	return f.Table.Transact(ctx, ops, guard)
}
