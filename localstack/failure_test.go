package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/accounts"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

// openStore opens an embedded store of the test's own.
func openStore(t *testing.T, options embedded.Options) *embedded.Table {
	t.Helper()
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), options)
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

// call is a call of a table.
type call struct {
	ctx       context.Context
	writes    bool
	partition string // of its first key
}

// hooked is a table that asks hook before each call: an error is what the
// caller gets instead.
type hooked struct {
	table.Table
	hook func(call) error
}

func (h *hooked) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	if len(keys) > 0 {
		if err := h.hook(call{ctx, false, keys[0].Partition}); err != nil {
			return nil, err
		}
	}
	return h.Table.Get(ctx, keys, consistent)
}

func (h *hooked) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	if err := h.hook(call{ctx, false, q.Partition}); err != nil {
		return nil, err
	}
	return h.Table.Query(ctx, q)
}

func (h *hooked) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if len(ops) == 0 {
		return nil
	}
	if err := h.hook(call{ctx, true, ops[0].Item.Partition}); err != nil {
		return slices.Repeat([]error{err}, len(ops))
	}
	return h.Table.Write(ctx, ops, guard)
}

func (h *hooked) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	if err := h.hook(call{ctx, true, ops[0].Item.Partition}); err != nil {
		return err
	}
	return h.Table.Transact(ctx, ops, guard)
}

// serveTable serves the API in this process, on a table, with the workspace
// "test". A timeout of an hour makes the lease of the upload lock as long: a
// lock that is not released then stays for good.
func serveTable(t *testing.T, on table.Table, lockWait time.Duration) *client {
	t.Helper()
	keys := access.New(on, nil)
	for workspace, key := range map[string]string{"test": testKey, "other": otherKey} {
		if err := keys.EnsureWorkspace(t.Context(), workspace, key); err != nil {
			t.Fatal(err)
		}
	}
	engine := resource.New(resource.Config{Table: on, Root: catalog.Root})
	handler, err := api.New(api.Config{
		Engine:   engine,
		Access:   keys,
		Usage:    usage.New(usage.Config{Table: on, Engine: engine}),
		Timeout:  time.Hour,
		LockWait: lockWait,
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
	}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &client{t: t, address: server.URL, http: server.Client()}
}

// TestStoreTrouble shows what a client is told when the store fails: the
// status says whether it is worth trying again, the body is JSON and gives
// nothing away, and the upload lock is free afterwards.
func TestStoreTrouble(t *testing.T) {
	const internals = "internals-of-the-store"
	// trouble, if set, happens to every call that is not about keys and locks.
	var trouble atomic.Pointer[func() error]
	on := &hooked{openStore(t, embedded.Options{}), func(c call) error {
		if happens := trouble.Load(); happens != nil && !strings.HasPrefix(c.partition, "~") {
			return (*happens)()
		}
		return nil
	}}
	c := serveTable(t, on, 0)
	c.done(testKey, http.MethodPost, "/accounts", records(account("a")))
	person := `{"account_id":"a","user_id":"u","first_name":"A","last_name":"B"}`
	c.done(testKey, http.MethodPost, "/account_users", records(person))
	ticket := `{"ticket_id":"t","account_id":"a","state":"open","create_time":1,"subject":"s"}`
	c.done(testKey, http.MethodPost, "/support_tickets", records(ticket))
	metric := `{"name":"m","account_id":"a","metrics":[{"timestamp":1,"value":1}]}`
	c.done(testKey, http.MethodPost, "/metrics", records(metric))
	note := `{"external_id":"x","account_id":"a","create_time":1}`
	c.done(testKey, http.MethodPost, "/notes", records(note))
	subscription := `{"subscription_id":"s","account_id":"a","event":"revenue","effective_start_date":1,"total_revenue":1,"cycle_unit":"month","cycle_length":1}`
	c.done(testKey, http.MethodPost, "/subscriptions", records(subscription))

	for _, kind := range []struct {
		name       string
		happens    func() error
		status     int
		retryAfter bool
	}{
		{"unavailable", func() error { return fmt.Errorf("%s: %w", internals, table.ErrUnavailable) }, http.StatusServiceUnavailable, true},
		{"too slow", func() error { return fmt.Errorf("%s: %w", internals, context.DeadlineExceeded) }, http.StatusGatewayTimeout, false},
		{"lock lost", func() error { return fmt.Errorf("%s: %w", internals, table.ErrFenced) }, http.StatusGatewayTimeout, false},
		{"unknown error", func() error { return errors.New(internals) }, http.StatusInternalServerError, false},
		{"panic", func() error { panic(internals) }, http.StatusInternalServerError, false},
	} {
		for _, request := range []struct{ method, path, body string }{
			{http.MethodPost, "/accounts", records(account("a"), account("b"))},
			{http.MethodPost, "/accounts", records(`{"account_id":"a","nps_history":[{"date":1,"nps_score":1,"username":"u"}]}`)},
			{http.MethodPost, "/account_users", records(person)},
			{http.MethodPost, "/account_users", `{"options":{"ignore_missing_accounts":false},"records":[` + person + `]}`},
			{http.MethodPost, "/accounts", `{"options":{"dry_run":true},"records":[` + account("b") + `]}`},
			{http.MethodPut, "/accounts/a", `{"data":{"name":"Changed"}}`},
			{http.MethodPut, "/account_users/u", `{"data":{"phone":"1"}}`},
			{http.MethodGet, "/accounts", ""},
			{http.MethodGet, "/accounts/a", ""},
			{http.MethodGet, "/accounts/a/users", ""},
			{http.MethodGet, "/accounts/a/documents", ""},
			{http.MethodGet, "/account_users?order_by=account_id", ""},
			{http.MethodGet, "/account_users/u", ""},
			{http.MethodDelete, "/accounts/a", ""},
			{http.MethodDelete, "/accounts/a/nps_history", ""},
			{http.MethodDelete, "/account_users/u", ""},
			{http.MethodPost, "/support_tickets", records(ticket)},
			{http.MethodPut, "/support_tickets/t", `{"data":{"state":"closed"}}`},
			{http.MethodGet, "/accounts/a/support_tickets", ""},
			{http.MethodDelete, "/support_tickets/t", ""},
			{http.MethodPost, "/metrics", records(metric)},
			{http.MethodPut, "/metrics/m", `{"data":{"account_id":"a","metrics":[{"timestamp":2,"value":2}]}}`},
			{http.MethodGet, "/metrics/m", ""},
			{http.MethodGet, "/accounts/a/metrics", ""},
			{http.MethodDelete, "/metrics/m", ""},
			{http.MethodPost, "/notes", records(note)},
			{http.MethodPut, "/notes/external_id/new", `{"data":{"account_id":"a","create_time":1}}`},
			{http.MethodGet, "/notes", ""},
			{http.MethodGet, "/notes?account_id=a", ""},
			{http.MethodGet, "/notes/external_id/x", ""},
			{http.MethodDelete, "/notes/external_id/x", ""},
			{http.MethodPost, "/subscriptions", records(subscription)},
			{http.MethodGet, "/subscriptions/s", ""},
			{http.MethodGet, "/accounts/a/subscriptions", ""},
			{http.MethodDelete, "/subscriptions/s?start_date=1", ""},
			{http.MethodGet, "/mrr_movements", ""},
			{http.MethodPost, "/search/accounts", `{"records":[{"attribute":"account_id","value":"a"}]}`},
		} {
			t.Run(kind.name+"/"+request.method+request.path, func(t *testing.T) {
				trouble.Store(&kind.happens)
				a, err := c.send(t.Context(), testKey, request.method, request.path, []byte(request.body))
				trouble.Store(nil)
				if err != nil {
					t.Fatal(err)
				}
				if a.status != kind.status || a.OK || a.Message == "" {
					t.Errorf("status %d, want %d: %s", a.status, kind.status, a.raw)
				}
				if got := a.header.Get("Retry-After"); (got != "") != kind.retryAfter {
					t.Errorf("Retry-After is %q", got)
				}
				if got := a.header.Get("Content-Type"); got != "application/json" {
					t.Errorf("Content-Type is %q", got)
				}
				for _, secret := range []string{internals, testKey, "goroutine", ".go:"} {
					if strings.Contains(string(a.raw)+fmt.Sprint(a.header), secret) {
						t.Errorf("the answer holds %q: %s", secret, a.raw)
					}
				}
				if request.method == http.MethodPost {
					if a := c.call(testKey, http.MethodPost, "/accounts", records(account("a"))); a.status != http.StatusOK {
						t.Errorf("the next upload got status %d: %s", a.status, a.raw)
					}
				}
			})
		}
	}
}

// TestStoreTroubleOfKeysAndLocks shows that a store that fails while a key is
// looked up, or the lock taken, does not pass for a wrong key or another upload.
func TestStoreTroubleOfKeysAndLocks(t *testing.T) {
	var trouble atomic.Value // the beginning of the partitions that have it
	trouble.Store("none")
	on := &hooked{openStore(t, embedded.Options{}), func(c call) error {
		if strings.HasPrefix(c.partition, trouble.Load().(string)) {
			return table.ErrUnavailable
		}
		return nil
	}}
	c := serveTable(t, on, 0)
	trouble.Store("~keys/")
	if a := c.call(testKey, http.MethodGet, "/accounts", ""); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a key that cannot be looked up: status %d %s", a.status, a.raw)
	}
	trouble.Store("~locks/")
	c.call(testKey, http.MethodGet, "/accounts", "")
	if a := c.call(testKey, http.MethodPost, "/accounts", records(account("a"))); a.status != http.StatusServiceUnavailable {
		t.Errorf("a lock that cannot be taken: status %d %s", a.status, a.raw)
	}
	trouble.Store("none")
	if c.exists(testKey, "a") {
		t.Error("the upload without a lock was carried out")
	}
}

// TestClientGoesAway shows that an upload whose client does not wait for the
// answer stops, and gives the lock back.
func TestClientGoesAway(t *testing.T) {
	writing := make(chan struct{})
	var once sync.Once
	on := &hooked{openStore(t, embedded.Options{}), func(c call) (err error) {
		if c.writes && strings.HasPrefix(c.partition, "test/accounts") {
			once.Do(func() {
				close(writing)
				<-c.ctx.Done()
				err = c.ctx.Err()
			})
		}
		return err
	}}
	c := serveTable(t, on, time.Minute) // the next upload waits for the lock
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-writing
		leave()
	}()
	if _, err := c.send(ctx, testKey, http.MethodPost, "/accounts", []byte(records(account("left")))); !errors.Is(err, context.Canceled) {
		t.Fatalf("the first upload: %v", err)
	}
	c.done(testKey, http.MethodPost, "/accounts", records(account("next")))
	if c.exists(testKey, "left") {
		t.Error("the upload that nobody waited for was carried out")
	}
}

// TestListsOfAWriterThatDied shows that a list goes on being right when whoever
// writes records dies after any of its writes: a page that was bookmarked
// before begins where the page before it now ends.
func TestListsOfAWriterThatDied(t *testing.T) {
	t.Parallel()
	const page = resource.MaxPageSize
	scores := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"date":%d,"nps_score":1,"username":"u"}`, i))
		}
		return `[` + strings.Join(all, ",") + `]`
	}
	for _, kind := range []struct{ name, fields string }{
		{"plain", ``},
		{"with a few entries", `,"nps_history":` + scores(3)},
		{"with more entries than a transaction takes", `,"nps_history":` + scores(120)},
		{"larger than an item", `,"custom_label_dimensions":[` + strings.Join(labels(20_000), ",") + `]`},
	} {
		t.Run(kind.name, func(t *testing.T) {
			store := openStore(t, embedded.Options{})
			living := resource.New(resource.Config{Table: store, Root: catalog.Root})
			post := func(e *resource.Engine, records ...string) error {
				_, err := e.Upload(t.Context(), uploadTo(accounts.Family, records...))
				return err
			}
			var all []string
			for n := range page {
				all = append(all, account(fmt.Sprintf("m%04d", n)))
			}
			if err := post(living, all...); err != nil {
				t.Fatal(err)
			}
			list := func(n int) (ids []string) {
				t.Helper()
				for _, r := range resourcetest.Page(t, living, resource.List{Workspace: "test", Family: accounts.Family, Page: n}) {
					ids = append(ids, r[accounts.Family.ID].Text())
				}
				return ids
			}
			for deaths := 0; ; deaths++ {
				list(0)
				list(1)
				writes := 0
				dying := resource.New(resource.Config{Root: catalog.Root, Table: &hooked{store, func(c call) error {
					if c.writes {
						writes++
					}
					if writes > deaths {
						return table.ErrUnavailable
					}
					return nil
				}}})
				err := post(dying, fmt.Sprintf(`{"account_id":"a%d","name":"A","join_date":1%s}`, deaths, kind.fields))
				second := list(1)
				whole := slices.Concat(list(0), second)
				slices.Sort(whole)
				if unique := slices.Compact(slices.Clone(whole)); len(unique) != len(whole) {
					t.Errorf("died after %d writes: the pages overlap by %d accounts", deaths, len(whole)-len(unique))
				}
				for n := range page {
					if id := fmt.Sprintf("m%04d", n); !slices.Contains(whole, id) {
						t.Errorf("died after %d writes: %s is on neither page", deaths, id)
					}
				}
				if err == nil {
					if id := fmt.Sprintf("a%d", deaths); !slices.Contains(whole, id) {
						t.Errorf("%s was acknowledged and is not listed", id)
					}
					return
				}
			}
		})
	}
}

// labels returns n label dimensions that do not compress well.
func labels(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"key":"%d","value":"%016x%016x"}`, i, place("a", i), place("b", i))
	}
	return all
}

// TestConcurrentChangesLoseNothing shows that changes of one account that
// arrive at the same time, by whatever means, all take effect.
func TestConcurrentChangesLoseNothing(t *testing.T) {
	t.Parallel()
	const each, posts, rounds = 30, 8, 4 // POSTs wait for each other
	p := start(t, "DATA_DIR="+t.TempDir(), "POST_LOCK_WAIT=1m")
	type stored struct {
		Values map[string]float64 `json:"custom_value_dimensions"`
		Labels map[string]string  `json:"custom_label_dimensions"`
		Events map[string]int64   `json:"custom_event_dimensions"`
		CSMs   []string           `json:"assigned_csms"`
		Scores []survey           `json:"nps_history"`
		Score  *int               `json:"current_nps_score"`
	}
	read := func(id string) stored {
		t.Helper()
		var page struct{ Results []stored }
		if err := json.Unmarshal(p.done(testKey, http.MethodGet, "/accounts/"+id, "").raw, &page); err != nil || len(page.Results) != 1 {
			t.Fatal(err, page)
		}
		return page.Results[0]
	}
	together := func(all ...func()) {
		var group sync.WaitGroup
		ready := make(chan struct{})
		for _, do := range all {
			group.Go(func() {
				<-ready
				do()
			})
		}
		close(ready)
		group.Wait()
	}
	change := func(method, path, body string) func() {
		return func() {
			a, err := p.send(t.Context(), testKey, method, path, []byte(body))
			if err != nil || a.status != http.StatusOK || !a.OK || a.Failed > 0 {
				t.Errorf("%s %s: %v %.300s", method, path, err, a.raw)
			}
		}
	}
	values := func(from, to int) map[string]float64 {
		all := map[string]float64{}
		for n := from; n < to; n++ {
			all[fmt.Sprint(n)] = float64(n)
		}
		return all
	}
	dimension := func(n int) string {
		return fmt.Sprintf(`{"data":{"custom_value_dimensions":[{"key":"%d","value":%d}]}}`, n, n)
	}
	for round := range rounds {
		t.Run("PUTs alone", func(t *testing.T) {
			id := fmt.Sprintf("puts-%d", round)
			p.done(testKey, http.MethodPost, "/accounts", records(account(id)))
			var all []func()
			for n := range each {
				all = append(all, change(http.MethodPut, "/accounts/"+id, dimension(n)))
			}
			together(all...)
			if got := read(id).Values; !maps.Equal(got, values(0, each)) {
				t.Errorf("%d of %d dimensions are there: %v", len(got), each, got)
			}
		})
		t.Run("everything", func(t *testing.T) {
			id := fmt.Sprintf("all-%d", round)
			// What the DELETEs remove is there before.
			var before []string
			for n := range each {
				before = append(before, fmt.Sprintf(`{"key":"%d","value":"x"}`, n))
			}
			p.done(testKey, http.MethodPost, "/accounts", records(fmt.Sprintf(
				`{"account_id":%q,"name":"A","join_date":1,"custom_label_dimensions":[%s],"nps_history":[{"date":1,"nps_score":-100,"username":"before"}]}`,
				id, strings.Join(before, ","))))
			all := []func(){change(http.MethodDelete, "/accounts/"+id+"/nps_history/1", "")}
			want := stored{Values: values(0, each), Labels: map[string]string{}, Events: map[string]int64{}}
			for n := range each {
				date := firstSurvey + int64(n)
				score := survey{Date: date, Score: n, Username: "u"}
				want.Scores = append(want.Scores, score)
				want.CSMs = append(want.CSMs, fmt.Sprintf("csm%02d@example.com", n))
				all = append(all,
					change(http.MethodPut, "/accounts/"+id, dimension(n)),
					change(http.MethodPut, "/accounts/"+id, fmt.Sprintf(`{"assigned_csms":[{"email":%q}]}`, want.CSMs[n])),
					change(http.MethodPut, "/accounts/"+id, fmt.Sprintf(
						`{"nps_history":[{"date":%d,"nps_score":%d,"username":"u"}]}`, date, n)),
					change(http.MethodDelete, fmt.Sprintf("/accounts/%s/dimension_labels/%d", id, n), ""),
				)
			}
			for n := range posts {
				want.Events[fmt.Sprint(n)] = int64(n)
				all = append(all, change(http.MethodPost, "/accounts", records(fmt.Sprintf(
					`{"account_id":%q,"custom_event_dimensions":[{"key":"%d","value":%d}]}`, id, n, n))))
			}
			mean := 15 // of 0 to 29, 14.5, rounded away from zero
			want.Score = &mean
			together(all...)
			got := read(id)
			for i := range got.Scores {
				got.Scores[i].Comments = ""
			}
			slices.Sort(got.CSMs)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the account is\n%+v, want\n%+v", got, want)
			}
		})
	}
}

// uploadTo returns an upload of a family to the workspace "test".
func uploadTo(f *resource.Family, all ...string) resource.Upload {
	return resource.Upload{
		Workspace: "test", Family: f,
		Records: func(yield func(func() resource.Input) bool) {
			for _, record := range all {
				if !yield(func() resource.Input {
					patch, failure := f.Schema.Decode([]byte(record), false)
					return resource.Input{Patch: patch, Failure: failure}
				}) {
					return
				}
			}
		},
	}
}
