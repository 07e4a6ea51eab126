package resource_test

import (
	"fmt"
	"iter"
	"strings"
	"testing"

	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/schema"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

type failer = resourcetest.Failer

const startOfTime = 1_700_000_000_000

// world is an engine over an embedded store of its own.
type world struct {
	*resource.Engine
	store  table.Table
	shards int
	clock  *resourcetest.Clock
}

func newWorld(t *testing.T, shards int) *world {
	t.Helper()
	c := resourcetest.NewClock(startOfTime)
	store, err := embedded.Open(t.TempDir(), embedded.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{store: store, shards: shards, clock: c}
	w.Engine = w.over(store)
	return w
}

// over returns another engine of the same world, over a table in front of its store.
func (w *world) over(t table.Table) *resource.Engine {
	return resource.New(resource.Config{Table: t, Root: catalog.Root, Shards: w.shards, Now: w.clock.Now})
}

// inputs decodes records as the API does.
func inputs(f *resource.Family, records ...string) iter.Seq[func() resource.Input] {
	return func(yield func(func() resource.Input) bool) {
		for _, record := range records {
			if !yield(func() resource.Input {
				patch, failure := f.Schema.Decode([]byte(record), false)
				return resource.Input{Patch: patch, Failure: failure}
			}) {
				return
			}
		}
	}
}

func patchOf(t failer, f *resource.Family, record string) schema.Record {
	t.Helper()
	patch, failure := f.Schema.Decode([]byte(record), false)
	if failure != nil {
		t.Fatalf("%s: %v", record, failure)
	}
	return patch
}

// upload posts records of which none may fail.
func upload(t failer, e *resource.Engine, f *resource.Family, records ...string) *resource.Result {
	t.Helper()
	result, err := e.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, records...)})
	if err != nil || len(result.Failed) > 0 {
		t.Fatalf("upload: %+v, %v", result, err)
	}
	return result
}

func account(id string) resource.Target {
	return resource.Target{Workspace: "acme", Family: accounts.Family, ID: id}
}

// read returns the one record that t names, as a single read shows it; "" for none.
func read(t failer, e *resource.Engine, target resource.Target) string {
	t.Helper()
	records, err := e.Read(t.Context(), target)
	if err != nil || len(records) > 1 {
		t.Fatalf("read %s: %d records, %v", target.ID, len(records), err)
	}
	if len(records) == 0 {
		return ""
	}
	s := target.Family.Schema
	return string(s.AppendObject(nil, records[0], s.All()))
}

// scores writes n scores as nps_history, one a day from the first date on.
func scores(n, value int, first int64, comment string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"nps_score":%d,"date":%d,"comments":%q}`, value, first+int64(i)*86_400_000, comment))
	}
	return `"nps_history":[` + strings.Join(list, ",") + `]`
}
