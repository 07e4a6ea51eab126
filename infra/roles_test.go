package infra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	"tenure/localstack/e2e"
)

// like reports whether a partition matches one of the patterns, as StringLike
// in a policy does.
func like(patterns []string) func(partition string) bool {
	all := make([]string, len(patterns))
	for i, p := range patterns {
		all[i] = strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `.*`)
	}
	return regexp.MustCompile(`(?s)^(?:` + strings.Join(all, "|") + `)$`).MatchString
}

// confined is a table that lets a function do what its role allows and nothing
// else.
type confined struct {
	table.Table
	reads, writes func(partition string) bool
	denied        func(what string)
}

func confine(on table.Table, function string, denied func(string)) table.Table {
	g := Grants(function)
	return confined{on, like(slices.Concat(g.Read, g.Write)), like(g.Write), func(what string) { denied(function + " " + what) }}
}

var errDenied = errors.New("the role does not allow it")

func (c confined) check(what string, allowed func(string) bool, partitions ...string) error {
	for _, p := range partitions {
		if !allowed(p) {
			c.denied(what + " " + p)
			return errDenied
		}
	}
	return nil
}

func (c confined) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	for _, key := range keys {
		if err := c.check("reads", c.reads, key.Partition); err != nil {
			return nil, err
		}
	}
	return c.Table.Get(ctx, keys, consistent)
}

func (c confined) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	if err := c.check("reads", c.reads, q.Partition); err != nil {
		return nil, err
	}
	return c.Table.Query(ctx, q)
}

func (c confined) checkWrites(ops []table.Op, guard *table.Guard) error {
	if guard != nil {
		if err := c.check("reads", c.reads, guard.Key.Partition); err != nil {
			return err
		}
	}
	for _, op := range ops {
		if err := c.check("writes", c.writes, op.Item.Partition); err != nil {
			return err
		}
	}
	return nil
}

func (c confined) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if err := c.checkWrites(ops, guard); err != nil {
		return slices.Repeat([]error{err}, len(ops))
	}
	return c.Table.Write(ctx, ops, guard)
}

func (c confined) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	if err := c.checkWrites(ops, guard); err != nil {
		return err
	}
	return c.Table.Transact(ctx, ops, guard)
}

// openStore returns an empty store.
func openStore(t *testing.T) *embedded.Table {
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
	return store
}

// functionOf returns the name of the function that a path below the base path
// belongs to, as the gateway finds it; some function where there is none.
func functionOf(path string) string {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	best, exact := "accounts", -1
	for _, r := range api.Routes(catalog.All()) {
		template := strings.Split(strings.Trim(r.Path, "/"), "/")
		if len(template) != len(segments) {
			continue
		}
		matches, n := true, 0
		for i, name := range template {
			switch {
			case name == segments[i]:
				n++
			case !strings.HasPrefix(name, "{"):
				matches = false
			}
		}
		if matches && n > exact {
			best, exact = r.Function, n
		}
	}
	return best
}

// TestFunctionsGetByWithWhatTheirRolesAllow runs the whole end-to-end suite
// against functions that are each confined to the partitions of its role.
func TestFunctionsGetByWithWhatTheirRolesAllow(t *testing.T) {
	store := openStore(t)
	var seen sync.Map
	denied := func(what string) {
		if _, again := seen.LoadOrStore(what, true); !again {
			t.Errorf("denied: %s", what)
		}
	}
	engine := func(function string) (*resource.Engine, *usage.Store, *access.Store) {
		on := confine(store, function, denied)
		e := resource.New(resource.Config{Table: on, Root: catalog.Root})
		return e, usage.New(usage.Config{Table: on, Engine: e}), access.New(on, nil)
	}
	handlers := map[string]http.Handler{}
	for _, function := range apiFunctions() {
		e, counted, keys := engine(function)
		log := calls.New(confine(store, function, denied), api.Logged(catalog.All()), calls.Options{Expire: true})
		h, err := api.New(api.Config{Engine: e, Access: keys, Usage: counted, Timeout: 5 * time.Minute, Function: function,
			Served: func(ctx context.Context, s api.Served) {
				if s.Workspace == "" {
					return
				}
				if err := log.Record(context.WithoutCancel(ctx), s.Workspace, s.Call); err != nil {
					t.Error(err)
				}
			},
		}, catalog.All())
		if err != nil {
			t.Fatal(err)
		}
		handlers[function] = h
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _ := strings.CutPrefix(r.URL.EscapedPath(), api.BasePath)
		handlers[functionOf(path)].ServeHTTP(w, r)
	}))
	background, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	follower, counted, _ := engine("rollup")
	follow := rollup.New(follower, counted)
	ticker, counted, keysOfClock := engine("clock")
	tick := rollup.New(ticker, counted)
	log := calls.New(confine(store, "clock", denied), api.Logged(catalog.All()), calls.Options{Expire: true})
	every := func(pause time.Duration, work func() error) {
		group.Go(func() {
			for background.Err() == nil {
				if err := work(); err != nil && background.Err() == nil {
					t.Error(err)
				}
				select {
				case <-background.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	every(50*time.Millisecond, func() error {
		changes, err := store.Changes(background, "", 500)
		if err != nil || len(changes) == 0 {
			return err
		}
		if err := errors.Join(follow.Changes(background, changes)...); err != nil {
			return err
		}
		return store.Trim(background, changes[len(changes)-1].Sequence)
	})
	every(time.Second, func() error {
		workspaces, err := keysOfClock.Workspaces(background)
		if err != nil {
			return err
		}
		for _, w := range workspaces {
			if err := tick.TickAll(background, w); err != nil {
				return err
			}
			if err := tick.TickHealth(background, w, func() bool { return background.Err() != nil }); err != nil {
				return err
			}
			if _, err := ticker.Sweep(background, w, catalog.All()); err != nil {
				return err
			}
			switch due, err := log.Due(background, w); {
			case err != nil:
				return err
			case !due:
				continue
			}
			ids, err := keysOfClock.KeyIDs(background, w)
			if err != nil {
				return err
			}
			if err := log.Tidy(background, w, ids); err != nil {
				return err
			}
		}
		return nil
	})
	t.Cleanup(func() {
		server.Close()
		stop()
		group.Wait()
	})
	admin := access.New(store, nil)
	var workspaces atomic.Int64
	e2e.Run(t, e2e.Target{BaseURL: server.URL + api.BasePath, Entries: 2000, NewWorkspace: func(t *testing.T) string {
		n := workspaces.Add(1)
		key := fmt.Sprintf("test-key-not-secret-%d-of-this-run", n)
		if err := admin.EnsureWorkspace(t.Context(), fmt.Sprintf("e2e-%d", n), key); err != nil {
			t.Fatal(err)
		}
		return key
	}})
}

// TestRolesReachNoOtherFamily holds what must not be in a role.
func TestRolesReachNoOtherFamily(t *testing.T) {
	for _, function := range Functions() {
		g := Grants(function)
		writes, reads := like(g.Write), like(slices.Concat(g.Read, g.Write))
		behindGateway := slices.Contains(apiFunctions(), function)
		// Who works with sources opens the apps of the deployment; nobody but the operator
		// stores any.
		if writes(appsPartition) || reads(appsPartition) != (function == consoleFunction || function == syncFunction) {
			t.Errorf("%s and apps: reads %v, writes %v", function, reads(appsPartition), writes(appsPartition))
		}
		if function == consoleFunction {
			continue // which shows what all of them hold, and makes keys
		}
		for _, f := range catalog.All() {
			for _, partition := range []string{"acme/" + f.Schema.Name + "/00", "acme/" + f.Schema.Name + ".name/00"} {
				if writes(partition) && behindGateway && f.Schema.Name != function && function != "search" {
					t.Errorf("%s may write %s", function, partition)
				}
				if reads(partition) && behindGateway && f.Schema.Name != function && f != catalog.Root && function != "search" {
					t.Errorf("%s may read %s", function, partition)
				}
			}
		}
		if writes("~keys/0123") || writes("~workspaces") {
			t.Errorf("%s may make keys", function)
		}
		if reads("~keys/0123") != (behindGateway || function == api.EventsFunction) {
			t.Errorf("%s and keys: %v", function, reads("~keys/0123"))
		}
		if log := "acme/2026071512-0/usage/log"; writes(log) != (function == api.EventsFunction) || reads(log) != (function == api.EventsFunction || function == "clock") {
			t.Errorf("%s reads the log of usage events: %v, writes it: %v", function, reads(log), writes(log))
		}
		if writes("acme/usage/account/x") != (function == usageFunction || function == "clock") {
			t.Errorf("%s counts usage: %v", function, writes("acme/usage/account/x"))
		}
		if function == "search" && (writes("~locks/01") || reads("acme/notes/00")) {
			t.Error("searches may do more than search")
		}
	}
}

// TestUsageIsTakenCountedAndReadWithinTheRoles has events arrive whose user is not
// there yet, counts them, attaches them later and reads what was counted, each by
// the function whose work it is.
func TestUsageIsTakenCountedAndReadWithinTheRoles(t *testing.T) {
	store := openStore(t)
	key := "test-key-not-secret"
	if err := access.New(store, nil).EnsureWorkspace(t.Context(), "acme", key); err != nil {
		t.Fatal(err)
	}
	_, pair, err := access.New(store, nil).CreateKey(t.Context(), "acme", access.UsageEventAPI, "Product", "")
	if err != nil {
		t.Fatal(err)
	}
	as := func(function string) (table.Table, *resource.Engine, *usage.Store) {
		on := confine(store, function, func(what string) { t.Errorf("denied: %s", what) })
		engine := resource.New(resource.Config{Table: on, Root: catalog.Root})
		return on, engine, usage.New(usage.Config{Table: on, Engine: engine})
	}
	send := func(function, method, path, body string) string {
		on, engine, counted := as(function)
		h, err := api.New(api.Config{Engine: engine, Access: access.New(on, nil), Usage: counted, Timeout: time.Minute, Function: function}, catalog.All())
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(method, api.BasePath+path, strings.NewReader(body))
		r.SetBasicAuth("api", key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Body.String()
	}
	send("accounts", "POST", "/accounts", `{"records":[{"account_id":"a","name":"N","join_date":1}]}`)
	now := time.Now().UnixMilli()
	var all []string
	for n, of := range []string{`"account_id":"a","user_id":"u"`, `"account_id":"a"`, `"user_id":"v"`, `"account_id":"b","user_id":"u"`} {
		all = append(all, fmt.Sprintf(`{"action":"feature","feature":"F","created_at":%d,"session_id":"s",%s}`, now-int64(n), of))
	}
	all = append(all, fmt.Sprintf(`{"action":"identifyAccount","account_id":"a","created_at":%d,"details":{"tier":"T"}}`, now),
		fmt.Sprintf(`{"action":"identifyUser","account_id":"a","user_id":"u","created_at":%d,"details":{"first_name":"F","last_name":"L"}}`, now))
	on, engine, taking := as(api.EventsFunction)
	h, err := api.NewEvents(api.Config{Engine: engine, Access: access.New(on, nil), Usage: taking, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, api.EventsBase+"/"+pair.AuthKey+"/"+pair.APIKey, strings.NewReader(strings.Join(all, "\n"))))
	if got := w.Body.String(); !strings.Contains(got, `"accepted":6,"failed":0,`) {
		t.Fatal(got)
	}
	changes, err := store.Changes(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	_, engine, counting := as(usageFunction)
	counts := rollup.New(engine, counting)
	changes = slices.DeleteFunc(changes, func(c table.Change) bool { return !rollup.Bulk(c.Key()) })
	if err := errors.Join(counts.Follow(t.Context(), changes, time.Minute, func(_ table.Change, err error) { t.Error(err) })...); err != nil || len(changes) != 1 {
		t.Fatal(len(changes), err)
	}
	_, _, shown := as(consoleFunction)
	if waiting, _, err := shown.Unattached(t.Context(), "acme", "", 10); err != nil || len(waiting) != 2 {
		t.Errorf("%v wait, %v", waiting, err)
	}
	if err := shown.SetSettings(t.Context(), "acme", usage.Settings{CreateAccounts: true}); err != nil {
		t.Error(err)
	}
	if of, err := taking.Settings(t.Context(), "acme"); err != nil || !of.CreateAccounts {
		t.Error(of, err)
	}
	send("account_users", "POST", "/account_users", `{"records":[{"account_id":"a","user_id":"v","first_name":"F","last_name":"L"}]}`)
	send("accounts", "POST", "/accounts", `{"records":[{"account_id":"b","name":"N","join_date":1}]}`)
	// What could not be counted is counted again by the clock, to no effect.
	if err := counting.PutOff(t.Context(), changes[0]); err != nil {
		t.Fatal(err)
	}
	_, engine, ticking := as("clock")
	if err := rollup.New(engine, ticking).TickUsage(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	for path, function := range map[string]string{"/accounts/a/usage": "accounts", "/usage": "accounts", "/account_users/v/usage": "account_users", "/account_users/v/a/usage": "account_users"} {
		want := map[string]string{"/accounts/a/usage": `"events":5`, "/usage": `"events":6`}[path]
		if want == "" {
			want = `"events":1`
		}
		if got := send(function, "GET", path, ""); !strings.Contains(got, want) {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// dying is a table in which nothing is written any more after some writes.
type dying struct {
	table.Table
	left *atomic.Int64
}

var errDied = errors.New("the writer has died")

func (d dying) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if d.left.Add(-1) < 0 {
		return slices.Repeat([]error{errDied}, len(ops))
	}
	return d.Table.Write(ctx, ops, guard)
}

func (d dying) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	if d.left.Add(-1) < 0 {
		return errDied
	}
	return d.Table.Transact(ctx, ops, guard)
}

// TestFunctionsGetByWithWhatAnotherHasLeftHalfDone has an upload die after each
// number of writes, and then lets every function that meets the record do its
// work within its role.
func TestFunctionsGetByWithWhatAnotherHasLeftHalfDone(t *testing.T) {
	store := openStore(t)
	// Each has a key of its own: one that has died keeps its lock.
	newKey := func(name string) string {
		key := "test-key-not-secret-" + name
		if err := access.New(store, nil).EnsureWorkspace(t.Context(), "acme", key); err != nil {
			t.Fatal(err)
		}
		return key
	}
	key := newKey("living")
	send := func(on table.Table, key, function, method, path, body string) *httptest.ResponseRecorder {
		h, err := api.New(api.Config{
			Engine: resource.New(resource.Config{Table: on, Root: catalog.Root}), Access: access.New(on, nil), Timeout: time.Minute, Function: function,
		}, catalog.All())
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(method, api.BasePath+path, strings.NewReader(body))
		r.SetBasicAuth("api", key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	died := 0
	for n := int64(0); ; n++ {
		id := fmt.Sprintf("a%d", n)
		var scores []string
		for i := range 150 { // more than one transaction holds
			scores = append(scores, fmt.Sprintf(`{"nps_score":%d,"date":%d}`, i%100, i))
		}
		left := &atomic.Int64{}
		left.Store(n)
		send(dying{store, left}, newKey(id), "accounts", "POST", "/accounts",
			`{"records":[{"account_id":"`+id+`","name":"N","join_date":1,"nps_history":[`+strings.Join(scores, ",")+`]}]}`)
		if left.Load() >= 0 {
			break
		}
		died++
		for _, request := range []struct{ function, method, path, body string }{
			{"search", "POST", "/search/accounts", `{"records":[{"attribute":"employees","operator":"ne","value":1}]}`},
			{"account_users", "POST", "/account_users", `{"records":[{"account_id":"` + id + `","user_id":"u","first_name":"F","last_name":"L"}]}`},
			{"account_users", "GET", "/accounts/" + id + "/users", ""},
			{"accounts", "GET", "/accounts/" + id, ""},
			{"accounts", "GET", "/accounts?include=nps_history", ""},
		} {
			on := confine(store, request.function, func(what string) { t.Errorf("after %d writes: denied: %s", n, what) })
			if w := send(on, key, request.function, request.method, request.path, request.body); w.Code != http.StatusOK {
				t.Errorf("after %d writes: %s %s: status %d: %s", n, request.method, request.path, w.Code, w.Body)
			}
		}
	}
	if died < 4 {
		t.Errorf("the upload takes %d writes: nothing was half done", died)
	}
}
