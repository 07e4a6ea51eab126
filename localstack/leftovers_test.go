package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/files/directory"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

// TestDeletesLeaveNothing writes the largest records and longest lists there
// are, deletes them, and looks at what the store holds after a year: nothing of
// them but what belongs to the account and to the workspace.
func TestDeletesLeaveNothing(t *testing.T) {
	var ahead atomic.Int64 // of the clock, in ns
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), embedded.Options{Now: now, Feed: func(table.Key) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	keys := access.New(store, now)
	if err := keys.EnsureWorkspace(t.Context(), "test", testKey); err != nil {
		t.Fatal(err)
	}
	engine := resource.New(resource.Config{Table: store, Root: catalog.Root, Now: now})
	handler, err := api.New(api.Config{Engine: engine, Access: keys, Usage: usage.New(usage.Config{Table: store, Engine: engine}), Timeout: requestTimeout}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.Handler(handler))
	t.Cleanup(server.Close)
	c := &client{t: t, address: server.URL, http: server.Client()}

	// kept returns the items of the store that are no tombstones, as all changes
	// ever made leave them.
	kept := func() map[table.Key]table.Item {
		t.Helper()
		items := map[table.Key]table.Item{}
		for after := ""; ; {
			changes, err := store.Changes(t.Context(), after, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			if len(changes) == 0 {
				return items
			}
			for _, change := range changes {
				delete(items, change.Key())
				if change.New != nil && change.New.Expires == 0 {
					items[change.Key()] = *change.New
				}
			}
			after = changes[len(changes)-1].Sequence
		}
	}
	c.done(testKey, http.MethodPost, "/accounts", records(account("a")))

	const n = 5000
	var scores, points []string
	for i := range n {
		scores = append(scores, fmt.Sprintf(`{"date":%d,"nps_score":%d}`, i, i%100))
		points = append(points, fmt.Sprintf(`{"timestamp":%d,"value":%d}`, i, i))
	}
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]rune, 262144)
	for i := range text {
		text[i] = rune(0x10000 + random.IntN(0x100000))
	}
	c.done(testKey, http.MethodPost, "/accounts", records(`{"account_id":"a","nps_history":[`+strings.Join(scores, ",")+`]}`))
	c.done(testKey, http.MethodPost, "/metrics", records(`{"account_id":"a","name":"m","metrics":[`+strings.Join(points, ",")+`]}`))
	c.done(testKey, http.MethodPost, "/interactions", records(
		`{"account_id":"a","external_id":"x","create_time":1,"type":"t","details":"`+string(text)+`"}`, `{"account_id":"a","external_id":"y","create_time":1,"type":"t","details":"short"}`))
	c.done(testKey, http.MethodPost, "/notes", records(`{"account_id":"a","external_id":"x","create_time":1,"note":"`+string(text[:32768])+`"}`))
	c.done(testKey, http.MethodPost, "/subscriptions", records(monthly("s", "a", 1000, 100), monthly("s", "a", now().UnixMilli()+1e9, 200)))
	r := rollup.New(engine, usage.New(usage.Config{Table: store, Engine: engine}))
	if failed := r.Accounts(t.Context(), "test", "a"); len(failed) > 0 {
		t.Fatal(failed)
	}
	if before := kept(); len(before) < 2*n {
		t.Fatalf("the store holds %d items", len(before))
	}

	for _, path := range []string{"/accounts/a/nps_history", "/metrics/m", "/interactions/external_id/x", "/interactions/external_id/y", "/notes/external_id/x", "/subscriptions/s"} {
		c.done(testKey, http.MethodDelete, path, "")
	}
	if failed := r.Accounts(t.Context(), "test", "a"); len(failed) > 0 {
		t.Fatal(failed)
	}
	in, err := directory.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	h := house{store, in, keys, engine, calls.New(store, api.Logged(catalog.All()), calls.Options{})}
	for range 2 { // what the engine's sweep removes may expire, too
		ahead.Add(int64(365 * 24 * time.Hour))
		if err := h.keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for key, item := range kept() {
		part := strings.TrimPrefix(key.Partition, "test/")
		switch {
		case !strings.HasPrefix(key.Partition, "test/"): // of keys and workspaces
		case part == "keys": // what the workspace knows of them
		case strings.HasPrefix(part, "accounts/"), strings.HasPrefix(part, "derived/"): // of the account
		case part == "ids", part == "lists": // the last id given, and the state of lists
		default:
			t.Errorf("left over: %q %q with %.200s", key.Partition, key.Sort, item.Body)
		}
	}
}
