package usage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

// start is when the clock of tests begins: a Wednesday.
var start = time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)

const day = int64(24 * time.Hour / time.Millisecond)

type world struct {
	*usage.Store
	table  *embedded.Table
	engine *resource.Engine
	mu     sync.Mutex
	now    time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{now: start}
	clock := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}
	store, err := embedded.Open(t.TempDir(), embedded.Options{Feed: usage.Concerns, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.table = store
	w.engine = resource.New(resource.Config{Table: store, Root: catalog.Root, Now: clock})
	w.Store = w.over(store)
	return w
}

func (w *world) over(t table.Table) *usage.Store {
	return usage.New(usage.Config{Table: t, Engine: w.engine, Now: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}})
}

// post makes records of a family.
func (w *world) post(t interface{ Fatalf(string, ...any) }, workspace string, f *resource.Family, records ...string) {
	result, err := w.engine.Upload(context.Background(), resource.Upload{Workspace: workspace, Family: f, Records: func(yield func(func() resource.Input) bool) {
		for _, r := range records {
			if !yield(func() resource.Input {
				patch, failure := f.Schema.Decode([]byte(r), true)
				return resource.Input{Patch: patch, Failure: failure}
			}) {
				return
			}
		}
	}})
	if err != nil || len(result.Failed) > 0 {
		t.Fatalf("%v, %+v", err, result)
	}
}

func (w *world) account(t interface{ Fatalf(string, ...any) }, workspace string, ids ...string) {
	for _, id := range ids {
		w.post(t, workspace, accounts.Family, fmt.Sprintf(`{"account_id":%s,"name":"A","join_date":1}`, schema.Text(id)))
	}
}

func (w *world) user(t interface{ Fatalf(string, ...any) }, workspace, account, id string) {
	w.post(t, workspace, people.Users, fmt.Sprintf(`{"account_id":%s,"user_id":%s,"first_name":"F","last_name":"L"}`, schema.Text(account), schema.Text(id)))
}

// parse returns events of lines.
func (w *world) parse(t interface{ Fatalf(string, ...any) }, lines ...string) []*usage.Event {
	var all []*usage.Event
	for _, line := range lines {
		e, failure := usage.Parse([]byte(line), w.now.UnixMilli())
		if failure != nil {
			t.Fatalf("%s: %v", line, failure)
		}
		all = append(all, e)
	}
	return all
}

// send has events arrive, without what follows from them.
func (w *world) send(t interface{ Fatalf(string, ...any) }, workspace string, lines ...string) {
	if err := w.Append(context.Background(), workspace, w.parse(t, lines...)); err != nil {
		t.Fatalf("%v", err)
	}
}

// changes returns the changes of the feed so far.
func (w *world) changes(t interface{ Fatalf(string, ...any) }) []table.Change {
	changes, err := w.table.Changes(context.Background(), "", 10_000)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return changes
}

// follow has happen what follows from the events that have arrived.
func (w *world) follow(t interface{ Fatalf(string, ...any) }) {
	for _, err := range w.Follow(context.Background(), w.changes(t)) {
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
}

func at(days int) int64 { return start.UnixMilli() + int64(days)*day }

func text(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(out)
}
