package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

const testKey = "test-key-not-secret"

// world is the parts of functions over an embedded store, with what they log.
type world struct {
	*testing.T
	store    *embedded.Table
	engine   *resource.Engine
	usage    *usage.Store
	keys     *access.Store
	calls    *calls.Log
	logged   bytes.Buffer
	log      *slog.Logger
	measured *measurements
}

// newWorld returns a world whose table is over in front of the store, if not nil.
func newWorld(t *testing.T, over func(table.Table) table.Table) *world {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{Feed: rollup.Concerns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{T: t, store: store, keys: access.New(store, nil)}
	if err := w.keys.EnsureWorkspace(t.Context(), "acme", testKey); err != nil {
		t.Fatal(err)
	}
	on := table.Table(store)
	if over != nil {
		on = over(store)
	}
	w.calls = calls.New(on, api.Logged(catalog.All()), calls.Options{Expire: true})
	w.engine = resource.New(resource.Config{Table: on, Root: catalog.Root})
	w.usage = usage.New(usage.Config{Table: on, Engine: w.engine})
	w.log = newLog(&w.logged, "test")
	w.measured = &measurements{log: w.log, deployment: "d"}
	return w
}

// handler returns the API of a function.
func (w *world) handler(function string) http.Handler {
	w.Helper()
	h, err := api.New(api.Config{
		Engine: w.engine, Access: w.keys, Usage: w.usage, Timeout: time.Minute, Log: w.log, Function: function, Served: (&recorder{calls: w.calls, log: w.log, measured: w.measured}).served,
	}, catalog.All())
	if err != nil {
		w.Fatal(err)
	}
	return h
}

// send sends a request to the API of a function.
func (w *world) send(function, method, path, body string) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequest(method, "/api/v2"+path, strings.NewReader(body))
	r.SetBasicAuth("api", testKey)
	recorder := httptest.NewRecorder()
	w.handler(function).ServeHTTP(recorder, r)
	return recorder
}

// loggedCalls returns the log of API calls of the workspace.
func (w *world) loggedCalls() []calls.Call {
	w.Helper()
	ids, err := w.keys.KeyIDs(context.Background(), "acme")
	if err != nil {
		w.Fatal(err)
	}
	all, err := w.calls.Last(context.Background(), "acme", ids, calls.Filter{})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// lines returns what was logged with that message, and forgets it all.
func (w *world) lines(message string) (found []map[string]any) {
	w.Helper()
	for text := range strings.Lines(w.logged.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			w.Fatalf("logged %q: %v", text, err)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	w.logged.Reset()
	return found
}

// subscribe uploads an account with a subscription, and returns the changes that
// the feed has of it.
func (w *world) subscribe(account string) []table.Change {
	w.Helper()
	w.send("accounts", "POST", "/accounts", `{"records":[{"account_id":"`+account+`","name":"N","join_date":1}]}`)
	w.send("subscriptions", "POST", "/subscriptions", `{"records":[{"account_id":"`+account+`","subscription_id":"s-`+account+`",
		"event":"revenue","effective_start_date":1000,"total_revenue":100,"cycle_unit":"month","cycle_length":1}]}`)
	changes, err := w.store.Changes(context.Background(), "", 100)
	if err != nil || len(changes) == 0 {
		w.Fatalf("changes: %v, %v", changes, err)
	}
	if err := w.store.Trim(context.Background(), changes[len(changes)-1].Sequence); err != nil {
		w.Fatal(err)
	}
	w.logged.Reset()
	// That of the account has nothing derived.
	return slices.DeleteFunc(changes, func(c table.Change) bool { return !strings.Contains(c.Key().Partition, "/subscriptions/") })
}

// mrr returns the current MRR of an account, as its JSON text.
func (w *world) mrr(account string) string {
	w.Helper()
	var answer struct {
		Results []struct {
			MRR json.RawMessage `json:"current_mrr"`
		}
	}
	body := w.send("accounts", "GET", "/accounts/"+account, "").Body.Bytes()
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Results) != 1 {
		w.Fatalf("account %s: %s, %v", account, body, err)
	}
	return string(answer.Results[0].MRR)
}
