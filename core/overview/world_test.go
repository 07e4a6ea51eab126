package overview_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/overview"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

// Where the program runs does not matter: it is neither the time nor the day of
// UTC there.
func TestMain(m *testing.M) {
	time.Local = time.FixedZone("far away", 13*3600+45*60)
	os.Exit(m.Run())
}

type failer = resourcetest.Failer

const day = 24 * 60 * 60 * 1000

// world is the API over a store, with what is derived from its records.
type world struct {
	store   table.Table
	engine  *resource.Engine
	rollup  *rollup.Rollup
	counter *overview.Counter
	api     http.Handler
	access  *access.Store
	ms      atomic.Int64
}

func (w *world) Now() time.Time { return time.UnixMilli(w.ms.Load()) }

func openStore(t testing.TB) *embedded.Table {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "table")
	if err != nil {
		t.Fatal(err)
	}
	store, err := embedded.Open(dir, embedded.Options{})
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

// over returns a world over a store, at an instant (epoch ms).
func over(t failer, store table.Table, shards int, now int64) *world {
	t.Helper()
	w := &world{store: store}
	w.ms.Store(now)
	w.engine = resource.New(resource.Config{Table: store, Root: catalog.Root, Shards: shards, Now: w.Now})
	w.rollup, w.counter, w.access = rollup.New(w.engine, usage.New(usage.Config{Table: store, Engine: w.engine})), overview.New(store, w.engine), access.New(store, nil)
	var err error
	if w.api, err = api.New(api.Config{Engine: w.engine, Access: w.access, Timeout: time.Minute}, catalog.All()); err != nil {
		t.Fatalf("%v", err)
	}
	w.workspace(t, "acme")
	return w
}

func keyOf(workspace string) string { return "not-a-real-key-of-" + workspace }

func (w *world) workspace(t failer, name string) {
	t.Helper()
	if err := w.access.EnsureWorkspace(t.Context(), name, keyOf(name)); err != nil {
		t.Fatalf("%v", err)
	}
}

// ask puts a request to the API and reads its answer.
func (w *world) ask(t failer, workspace, method, path, body string, answer any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/v2"+path, strings.NewReader(body))
	r.SetBasicAuth("api", keyOf(workspace))
	got := httptest.NewRecorder()
	w.api.ServeHTTP(got, r)
	var ok struct {
		OK     bool              `json:"status_is_ok"`
		Failed []json.RawMessage `json:"failed_results"`
	}
	if err := json.Unmarshal(got.Body.Bytes(), &ok); err != nil || !ok.OK || len(ok.Failed) > 0 {
		t.Fatalf("%s %s %.300s: %.500s", method, path, body, got.Body)
	}
	if err := json.Unmarshal(got.Body.Bytes(), answer); err != nil {
		t.Fatalf("%s: %v", got.Body, err)
	}
}

// post uploads records, and derives what follows from them.
func (w *world) post(t failer, workspace, family string, records ...string) {
	t.Helper()
	if len(records) == 0 {
		return
	}
	w.ask(t, workspace, http.MethodPost, "/"+family, `{"records":[`+strings.Join(records, ",")+`]}`, &struct{}{})
	if family == "subscriptions" {
		if _, err := w.rollup.Workspace(t.Context(), workspace); err != nil {
			t.Fatalf("%v", err)
		}
	}
}

// counted counts a workspace to the end.
func (w *world) counted(t failer, workspace string) *overview.Overview {
	t.Helper()
	o, done, err := w.counter.Count(t.Context(), workspace, time.Minute)
	if err != nil || !done || o == nil {
		t.Fatalf("%v, done %t, %v", o, done, err)
	}
	return o
}

// date returns an instant in epoch ms.
func date(text string) int64 {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return at.UnixMilli()
}

// totals are what GET /mrr_movements says of a window.
type totals struct {
	Totals struct {
		New         int64
		Expansion   int64
		Contraction int64
		Churn       int64
		Net         int64
	}
	Opening int64    `json:"opening_mrr"`
	Closing int64    `json:"closing_mrr"`
	Net     *float64 `json:"net_revenue_retention"`
	Gross   *float64 `json:"gross_revenue_retention"`
}

// record is what GET /accounts says of an account.
type record struct {
	ID       string `json:"account_id"`
	Name     string
	Joined   int64  `json:"join_date"`
	Active   bool   `json:"is_active"`
	Churned  bool   `json:"is_churned"`
	Inactive *int64 `json:"inactive_time"`
	Renewal  *int64 `json:"renewal_date"`
	MRR      *int64 `json:"current_mrr"`
	NPS      *int64 `json:"current_nps_score"`
}

// accounts returns all accounts of a workspace, as the API tells of them.
func (w *world) accounts(t failer, workspace string) (all []record) {
	t.Helper()
	for page := 0; ; page++ {
		var answer struct{ Results []record }
		w.ask(t, workspace, http.MethodGet, fmt.Sprintf("/accounts?include_inactive=true&direction=asc&page=%d", page), "", &answer)
		all = append(all, answer.Results...)
		if len(answer.Results) < resource.MaxPageSize {
			return all
		}
	}
}
