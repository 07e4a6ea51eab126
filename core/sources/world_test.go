package sources_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/connector"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sources"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

const ann = "ann@example.com"

// desk is a made-up system: companies, people in them, and their tickets.
func desk() *connector.Connector {
	list := func(name string) connector.Stream {
		return connector.Stream{
			Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Request: connector.Request{Path: "/" + name, Query: "{size: 3, page: $page, since: $since}"},
			Paging: connector.NextToken(".next"), Items: ".items[]", ID: ".id", Label: ".name", Deleted: ".deleted == true",
		}
	}
	companies, people, tickets := list("companies"), list("people"), list("tickets")
	companies.Passing, companies.Accounts, companies.Keep = true, true, "{name}"
	companies.Feeds = []connector.Feed{{Family: "accounts", Fields: []connector.Field{
		{To: "name", From: ".name"}, {To: "join_date", From: ".joined | date"}, {To: "support_account_id", From: ".id", Attach: true}, {To: "tier", From: ".tier"},
	}}}
	people.Incremental, people.Overlap, people.Keep = true, time.Minute, "{email: .email}"
	people.Account = []connector.Route{{Via: "companies", Key: ".company"}, {Path: ".email", By: connector.ByEmail}}
	people.Feeds = []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
		{To: "user_id", From: ".id"}, {To: "first_name", From: ".first"}, {To: "last_name", From: ".last"}, {To: "email", From: ".email"},
	}}}
	tickets.Incremental, tickets.Overlap = true, time.Minute
	tickets.Account = []connector.Route{{Via: "companies", Key: ".company"}, {Via: "people", Key: ".person"}}
	tickets.Joins = []connector.Join{{As: "agent", Stream: "people", Key: ".agent_id"}}
	tickets.Feeds = []connector.Feed{
		{Family: "support_tickets", When: `.kind != "chat"`, Fields: []connector.Field{
			{To: "ticket_id", From: ".id"}, {To: "subject", From: ".subject"}, {To: "state", From: ".state"}, {To: "create_time", From: ".created | seconds"}, {To: "assignee_email", From: ".agent.email"},
		}},
		{Family: "interactions", When: ".comments != null", Each: ".comments[]", Fields: []connector.Field{
			{To: "external_id", From: `"\($record.id)-\(.id)"`}, {To: "type", From: `"comment"`}, {To: "create_time", From: ".created | seconds"}, {To: "details", From: ".text"},
		}},
	}
	return &connector.Connector{
		Name: "desk", Title: "Desk", Kind: connector.Support, Doc: "A made-up system.", Base: `"https://\($settings.site).desk.example/api"`, Hosts: []string{"*.desk.example"},
		Settings: []connector.Setting{
			{Name: "site", Title: "Site", Doc: "letters and digits", Required: true, Pattern: "[a-z0-9]+"},
			{Name: "account_field", Title: "Account field", Doc: "where the account_id is", Default: "account_no"},
		},
		Auth: []connector.Auth{
			{Name: "key", Title: "Key", Settings: []connector.Setting{{Name: "api_key", Title: "API key", Doc: "key", Secret: true, Required: true}}, Headers: map[string]string{"Authorization": `"Bearer " + .api_key`}},
			{Name: "oauth", Title: "OAuth", Settings: []connector.Setting{
				{Name: "client_id", Title: "Client ID", Doc: "id", Required: true}, {Name: "client_secret", Title: "Client secret", Doc: "secret", Secret: true, Required: true},
			}, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`}, OAuth: &connector.OAuth{
				Grant: connector.AuthorizationCode, AuthorizeURL: `"https://\($settings.site).desk.example/authorize"`, TokenURL: `"https://\($settings.site).desk.example/token"`,
				Scopes: `"read write offline_access"`, PKCE: true,
			}},
		},
		Limits: connector.Limits{Requests: 600, Per: time.Minute, Pause: 10 * time.Second}, Errors: connector.Errors{Message: ".error"},
		Check: connector.Request{Path: "/me"}, AccountField: "support_account_id",
		Locations: []connector.Location{
			{Name: "field", Title: "Account field of companies", Doc: "the product's own id", Best: true, Stream: "companies", Path: ".[$settings.account_field]", By: connector.ByAccountID},
			{Name: "id", Title: "ID of companies", Doc: "the system's own id", Stream: "companies", Path: ".id", By: connector.ByNativeID},
			{Name: "email", Title: "E-mail of people", Doc: "an address", Stream: "people", Path: ".email", By: connector.ByEmail},
		},
		Streams: []connector.Stream{companies, people, tickets},
	}
}

// row is a record of the made-up system.
type row = map[string]any

// system answers for the made-up system: several sites, each with its own rows.
type system struct {
	mu       sync.Mutex
	clock    *clock
	rows     map[string][]row // by "site/list"
	requests []string
	refuse   func(n int, r *http.Request) *http.Response // before anything else
}

func (s *system) put(list string, rows ...row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		r["at"] = s.clock.Now().UnixMilli()
		i := slices.IndexFunc(s.rows[list], func(o row) bool { return o["id"] == r["id"] })
		if i >= 0 {
			s.rows[list] = slices.Delete(s.rows[list], i, i+1)
		}
		s.rows[list] = append(s.rows[list], r)
	}
}

func (s *system) drop(list string, ids ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[list] = slices.DeleteFunc(s.rows[list], func(r row) bool { return slices.Contains(ids, r["id"]) })
}

func answer(status int, v any) *http.Response {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}

func (s *system) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Host+r.URL.RequestURI())
	if s.refuse != nil {
		if a := s.refuse(len(s.requests), r); a != nil {
			return a, nil
		}
	}
	site := strings.TrimSuffix(r.URL.Host, ".desk.example")
	if key := r.Header.Get("Authorization"); key != "Bearer secret-key" {
		return answer(401, row{"error": "who is that with " + key}), nil
	}
	name := strings.TrimPrefix(r.URL.Path, "/api/")
	if name == "me" {
		return answer(200, row{}), nil
	}
	since, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	var rows []row
	for _, o := range s.rows[site+"/"+name] {
		if o["at"].(int64) >= since {
			rows = append(rows, o)
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("page"))
	from = min(from, len(rows))
	to := min(from+3, len(rows))
	page := row{"items": append([]row{}, rows[from:to]...)}
	if to < len(rows) {
		page["next"] = strconv.Itoa(to)
	}
	return answer(200, page), nil
}

// clock is a clock that somebody who sleeps moves on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) sleep(_ context.Context, d time.Duration) error {
	c.pass(d)
	return nil
}

// counted is a table that counts what is written to records of families.
type counted struct {
	table.Table
	writes *int
}

func (c counted) count(ops []table.Op) {
	for _, op := range ops {
		if strings.Contains(op.Item.Partition, "/sources/") && !strings.Contains(op.Item.Partition, "/seen.") && !strings.Contains(op.Item.Partition, "/waiting.") ||
			strings.HasPrefix(op.Item.Partition, "~locks") {
			continue
		}
		*c.writes++
	}
}

func (c counted) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	c.count(ops)
	return c.Table.Write(ctx, ops, guard)
}

func (c counted) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	c.count(ops)
	return c.Table.Transact(ctx, ops, guard)
}

type world struct {
	testing.TB
	*sources.Store
	system *system
	clock  *clock
	table  table.Table
	writes int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	key, err := keyfile.Open(t.TempDir() + "/key")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, clock: &clock{now: time.Now()}}
	w.table = counted{store, &w.writes}
	w.system = &system{clock: w.clock, rows: map[string][]row{}}
	other := desk()
	other.Name, other.Title = "other", "Other"
	w.Store = sources.New(sources.Config{
		Table: w.table, Engine: resource.New(resource.Config{Table: w.table, Root: catalog.Root, Now: w.clock.Now}), Access: access.New(w.table, w.clock.Now),
		Sealer: secrets.New(key), Connectors: []*connector.Connector{desk(), other}, Families: catalog.All(), Transport: w.system, Now: w.clock.Now, Sleep: w.clock.sleep,
	})
	return w
}

// source makes a source of the made-up system with its key.
func (w *world) source(site string, change func(*sources.Source)) *sources.Source {
	w.Helper()
	s := &sources.Source{Name: site, Connector: "desk", Settings: map[string]string{"site": site}, Every: 60}
	if change != nil {
		change(s)
	}
	if err := w.Create(w.Context(), "acme", s); err != nil {
		w.Fatal(err)
	}
	if s.Credentials == "" {
		if err := w.SetCredentials(w.Context(), "acme", s, "key", map[string]string{"api_key": "secret-key"}, ann); err != nil {
			w.Fatal(err)
		}
	}
	return s
}

// run runs a source until there is nothing more to do, and returns the report.
func (w *world) run(s *sources.Source, full bool) *sources.Run {
	w.Helper()
	if err := w.Ask(w.Context(), "acme", s.ID, full); err != nil {
		w.Fatal(err)
	}
	for more := true; more; {
		var err error
		if more, err = w.Store.Run(w.Context(), "acme", s.ID); err != nil {
			w.Fatal(err)
		}
	}
	runs, err := w.Runs(w.Context(), "acme", s.ID, "", 1)
	if err != nil || len(runs) != 1 {
		w.Fatal(runs, err)
	}
	return runs[0]
}

// done is run, which must not fail.
func (w *world) done(s *sources.Source) *sources.Run {
	w.Helper()
	r := w.run(s, false)
	if r.Outcome != sources.Done {
		w.Fatalf("the run has %s: %+v", r.Outcome, r.Why)
	}
	return r
}

func counts(r *sources.Run) string {
	var all []string
	for _, s := range r.Streams {
		all = append(all, fmt.Sprintf("%s %d read %d passed %d+ %d~ %d= %d failed %d mismatched %d filtered %d deleted", s.Stream, s.Read, s.Passed, s.Inserted, s.Changed,
			s.Unchanged, s.Failed, s.Mismatched, s.Filtered, s.Deleted))
	}
	return strings.Join(all, "; ")
}

// show returns a record as JSON with some fields; empty if there is none.
func (w *world) show(family, account, id string, fields ...string) string {
	w.Helper()
	f := catalog.All()[slices.IndexFunc(catalog.All(), func(f *resource.Family) bool { return f.Schema.Name == family })]
	records, err := w.Engine.Read(w.Context(), resource.Target{Workspace: "acme", Family: f, ID: id, Account: account, External: f.Generated != nil})
	if err != nil {
		w.Fatal(err)
	}
	if len(records) == 0 {
		return ""
	}
	var ordinals []int
	for _, name := range fields {
		ordinals = append(ordinals, f.Schema.Ordinal(name))
	}
	return string(f.Schema.AppendObject(nil, records[0], ordinals))
}

func (w *world) problems(s *sources.Source, r *sources.Run) []sources.Problem {
	w.Helper()
	all, next, err := w.Problems(w.Context(), "acme", s.ID, r.ID, "", 10_000)
	if err != nil || next != "" {
		w.Fatal(err, next)
	}
	return all
}

// at returns when a row of the made-up system was last changed.
func (w *world) at(list string, id any) any {
	w.system.mu.Lock()
	defer w.system.mu.Unlock()
	for _, r := range w.system.rows[list] {
		if r["id"] == id {
			return r["at"]
		}
	}
	return nil
}
