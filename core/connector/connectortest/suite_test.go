package connectortest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tenure/core/connector"
)

// shop is a made-up system: keys, pages that are linked, changes by time, numbered
// pages, details and facts.
func shop() *connector.Connector {
	return &connector.Connector{
		Name: "shop", Title: "Shop", Kind: connector.Financial, Doc: "A made-up system.",
		Settings: []connector.Setting{{Name: "site", Title: "Site", Doc: "The site.", Required: true, Pattern: "[a-z]+"}},
		Auth: []connector.Auth{{
			Name: "key", Title: "Key",
			Settings: []connector.Setting{{Name: "key", Title: "Key", Doc: "The key.", Secret: true, Required: true}},
			Headers:  map[string]string{"Authorization": `"Basic " + (.key + ":" | @base64)`},
		}},
		Base: `"https://\($settings.site).shop.example/v1"`, Hosts: []string{"*.shop.example"},
		Headers: map[string]string{"Accept": `"application/json"`},
		Limits:  connector.Limits{Requests: 100, Per: time.Second, Pause: 5 * time.Second},
		Errors:  connector.Errors{Message: ".error"},
		Check:   connector.Request{Path: "/me"}, CheckThat: `if .zone == null then "it has no zone" else null end`,
		Facts:        []connector.Fact{{Name: "me", Request: connector.Request{Path: "/me"}}},
		AccountField: "billing_account_id",
		Locations:    []connector.Location{{Name: "reference", Title: "Reference", Doc: "The customer's reference.", Best: true, Stream: "customers", Path: ".reference", By: connector.ByAccountID}},
		Streams: []connector.Stream{
			{
				Name: "customers", Title: "Customers",
				Request: connector.Request{Path: "/customers", Query: `{limit: 100, since: ($since | iso)}`}, Paging: connector.LinkHeader(), Items: ".[]", ID: ".id", Label: ".name",
				Incremental: true, Overlap: 5 * time.Minute, Deleted: ".deleted", Accounts: true, Keep: "{name}",
				Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: ".name"}, {To: "join_date", From: ".created | time"}, {To: "billing_account_id", From: ".id", Attach: true},
					{To: "custom_label_dimensions.zone", From: "$facts.me.zone"},
				}}},
			},
			{
				Name: "invoices", Title: "Invoices", Optional: true,
				Request: connector.Request{Path: "/invoices", Query: `{size: 4, page: ($page // 1)}`}, Paging: connector.PageNumbers(4), Items: ".invoices[].invoice", ID: ".id",
				Details: []connector.Detail{{Request: connector.Request{Path: `/invoices/\(.id)/lines`}, Items: ".lines[]", Into: "lines"}},
				Passing: true, Account: []connector.Route{{Via: "customers", Key: ".customer"}}, Joins: []connector.Join{{As: "of", Stream: "customers", Key: ".customer"}},
				Feeds: []connector.Feed{{Family: "statements", When: ".total != null", Fields: []connector.Field{
					{To: "invoice_id", From: ".id"}, {To: "start_date", From: ".date | date"},
					{To: "line_items", From: `. as $i | [.lines[] | {amount: major(.amount; $i.currency), is_recurring: .recurring, description: $i.of.name}]`},
				}}},
			},
		},
	}
}

func shopStandIn(s *Server) {
	s.Collection("customers", Collection{ID: "id", Updated: "updated", Form: time.RFC3339, Delete: func(r Row) { r["deleted"] = true }})
	s.Collection("invoices", Collection{ID: "id"})
	s.Demand("Accept", "application/json")
	s.Basic("secret-key", "")
	s.Answer("GET north.shop.example/v1/me", "me")
	s.Handle("GET north.shop.example/v1/customers", func(q *Request) any {
		q.Known("limit", "since", "page")
		cut := q.Linked("page", q.Size("limit", 10, 100), s.Since("customers", q.Time("since", time.RFC3339)))
		if !cut.Last {
			q.Link("next", q.URL("page", string(rune('0'+cut.Page+1))))
		}
		return cut.Rows
	})
	s.Handle("GET north.shop.example/v1/invoices", func(q *Request) any {
		q.Known("size", "page")
		cut := q.Numbered("page", q.Size("size", 2, 4), s.Rows("invoices"))
		for i, row := range cut.Rows {
			cut.Rows[i] = Row{"invoice": row}
		}
		return Row{"invoices": cut.Rows}
	})
	s.Handle("GET north.shop.example/v1/invoices/{id}/lines", func(q *Request) any {
		of := At(s.Find("invoices", q.Path("id")), "lines")
		return Row{"lines": of}
	})
	s.Refused = []Refusal{{Name: "a site that is closed", Status: 410, Body: Row{"error": "closed"}, Want: connector.ErrRefused}}
}

var shopFiles = fstest.MapFS{
	"connection.json":        file(`{"currency":"USD","rates":{"EUR":"1.10"},"settings":{"site":"north"},"auth":{"key":{"key":"secret-key"}}}`),
	"records/me.json":        file(`{"zone":"Europe/Berlin"}`),
	"records/customers.json": file(`[{"id":7,"name":"Acme","reference":"1042","created":"2024-01-02T03:04:05Z","updated":"2024-02-02T03:04:05Z"},{"id":8,"name":"Bolt","reference":null,"created":"2024-01-02T03:04:06+01:00","updated":"2024-02-02T03:04:05Z"},{"id":9,"name":"Gone","deleted":true,"created":"2024-01-02T03:04:05Z","updated":"2024-02-02T03:04:05Z"}]`),
	"records/invoices.json":  file(`[{"id":"i1","customer":7,"currency":"EUR","total":"10","date":"2024-03-01","lines":[{"amount":"10.005","recurring":true}]},{"id":"i2","customer":8,"total":null,"date":"2024-03-01","lines":[]}]`),
	"want/customers.json": file(`[{"id":"7","locations":{"reference":"1042"},"feeds":{"accounts":[{"name":"Acme","join_date":1704164645000,"billing_account_id":"7","custom_label_dimensions":[{"key":"zone","value":"Europe/Berlin"}]}]}},
		{"id":"8","feeds":{"accounts":[{"name":"Bolt","join_date":1704161046000,"billing_account_id":"8","custom_label_dimensions":[{"key":"zone","value":"Europe/Berlin"}]}]}},{"id":"9","deleted":true}]`),
	"want/invoices.json": file(`[{"id":"i1","routes":["7"],"feeds":{"statements":[{"invoice_id":"i1","start_date":1709251200000,"line_items":[{"amount":1101,"is_recurring":true,"description":"Acme"}]}]}},{"id":"i2","routes":["8"]}]`),
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// desk is another made-up system: tokens, a feed of changes, cursors, a cursor that
// is kept, and a list that tells of deletions.
func desk() *connector.Connector {
	list := func(name, fields string) connector.Stream {
		return connector.Stream{
			Name: name, Title: name, ID: ".id", Items: ".data[]",
			Request: connector.Request{Path: "/" + name, Query: fields},
		}
	}
	people := list("people", `{after: $page, limit: 50}`)
	people.Paging = connector.AfterLast(".id", ".more")
	people.Changes = &connector.Changes{
		Request: connector.Request{Path: "/events", Query: `{since: ($since | unix), token: $page}`}, Paging: connector.NextToken(".next"),
		Items: ".data[] | {id: .person, deleted: (.type == \"gone\")}", Get: connector.Request{Path: `/people/\(.id)`}, Kept: 30 * 24 * time.Hour,
	}
	people.Overlap = time.Minute
	people.Feeds = []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
		{To: "user_id", From: ".id"}, {To: "first_name", From: ".first"}, {To: "last_name", From: ".last"}, {To: "email", From: ".email | email"},
	}}}
	people.Account = []connector.Route{{Path: ".email", By: connector.ByEmail}}
	tickets := list("tickets", `if $page then {cursor: $page} elif $cursor then {cursor: $cursor} else {start: 0} end`)
	tickets.Paging = connector.NextToken("if .end then null else .cursor end")
	tickets.Resume = ".cursor"
	tickets.Feeds = []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
		{To: "ticket_id", From: ".id"}, {To: "state", From: ".state"}, {To: "subject", From: ".subject"}, {To: "create_time", From: ".created | seconds"},
	}}}
	removed := list("removed", `{since: ($since | iso // "1970-01-01T00:00:00Z")}`)
	removed.Incremental, removed.Deletes, removed.Overlap = true, "tickets", time.Minute
	credentials := []connector.Setting{{Name: "client_id", Title: "Client", Doc: "The client's id."}, {Name: "client_secret", Title: "Secret", Doc: "The client's secret.", Secret: true}}
	return &connector.Connector{
		Name: "desk", Title: "Desk", Kind: connector.Support, Doc: "A made-up system.",
		Auth: []connector.Auth{
			{Name: "oauth", Title: "OAuth", Settings: credentials, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`}, OAuth: &connector.OAuth{
				Grant: connector.AuthorizationCode, AuthorizeURL: `"https://login.desk.example/authorize"`, TokenURL: `"https://login.desk.example/token"`, Keep: "{host}",
			}},
			{Name: "client", Title: "Client", Settings: credentials, Base: `"https://eu.desk.example/api"`, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`}, OAuth: &connector.OAuth{
				Grant: connector.ClientCredentials, TokenURL: `"https://login.desk.example/token"`, JSON: true,
			}},
		},
		Base: `"https://\($token.host)/api"`, Hosts: []string{"eu.desk.example", "login.desk.example"},
		Limits:  connector.Limits{Requests: 100, Per: time.Second, Pause: 5 * time.Second},
		Errors:  connector.Errors{Message: ".error.message", Limited: `.status == 403 and (.body.error.code? == "busy")`},
		Check:   connector.Request{Path: "/people", Query: "{limit: 1}"},
		Streams: []connector.Stream{people, tickets, removed},
		Locations: []connector.Location{{
			Name: "company", Title: "Company", Doc: "The person's company.", Best: true, Stream: "people", Path: ".company", By: connector.ByAccountID,
		}},
	}
}

func deskStandIn(s *Server) {
	s.Collection("people", Collection{ID: "id"})
	s.Collection("tickets", Collection{ID: "id", Updated: "changed", Form: "unix"})
	s.Collection("removed", Collection{ID: "id"})
	s.Limited = Refusal{Status: 403, Body: Row{"error": Row{"code": "busy"}}}
	s.OAuth("POST login.desk.example/token", OAuth{
		Rotating: true, Lifetime: time.Hour, JSON: s.Auth == "client", ClientCredentials: s.Auth == "client", Extra: Row{"host": "eu.desk.example"},
	})
	s.Handle("GET eu.desk.example/api/people", func(q *Request) any {
		q.Known("after", "limit")
		cut := q.After(q.Get("after"), "id", q.Size("limit", 10, 50), s.Rows("people"))
		return Row{"data": cut.Rows, "more": !cut.Last}
	})
	s.Handle("GET eu.desk.example/api/people/{id}", func(q *Request) any { return s.Find("people", q.Path("id")) })
	s.Handle("GET eu.desk.example/api/events", func(q *Request) any {
		q.Known("since", "token")
		cut := q.Cursor(q.Get("token"), 50, func() []Row {
			var events []Row
			for _, c := range s.Changes("people", q.Unix("since")) {
				kind := "changed"
				if c.Deleted {
					kind = "gone"
				}
				events = append(events, Row{"person": c.ID, "type": kind})
			}
			return events
		})
		return Row{"data": cut.Rows, "next": cut.Token}
	})
	s.Handle("GET eu.desk.example/api/tickets", func(q *Request) any {
		q.Known("cursor", "start")
		// The cursor of the end is the time of the last change.
		at := time.Time{}
		token := q.Get("cursor")
		if after, ok := strings.CutPrefix(token, "end:"); ok {
			at, _ = time.Parse(time.RFC3339, after)
			token = ""
		}
		rows := s.Since("tickets", at)
		cut := q.Cursor(token, 50, func() []Row { return rows })
		next := cut.Token
		if cut.Last {
			next = "end:" + cut.Taken.Format(time.RFC3339)
		}
		return Row{"data": cut.Rows, "cursor": next, "end": cut.Last}
	})
	s.Handle("GET eu.desk.example/api/removed", func(q *Request) any {
		rows := s.Rows("removed")
		for _, c := range s.Changes("tickets", q.Time("since", time.RFC3339)) {
			if c.Deleted {
				rows = append(rows, Row{"id": c.ID})
			}
		}
		return Row{"data": rows}
	})
}

var deskFiles = fstest.MapFS{
	"connection.json":      file(`{"currency":"USD","auth":{"oauth":{"client_id":"one","client_secret":"secret-one"},"client":{"client_id":"two","client_secret":"secret-two"}},"kept":{"host":"eu.desk.example"}}`),
	"records/people.json":  file(`[{"id":"p1","first":"Ann","last":"Lee","email":" Ann@Acme.example","company":"1042"},{"id":"p2","first":"Bo","last":"Ray","email":null}]`),
	"records/tickets.json": file(`[{"id":1,"state":"open","subject":"Help","created":1700000000,"changed":1700000100},{"id":2,"state":"closed","subject":"Me","created":1700000000,"changed":1700000100}]`),
	"records/removed.json": file(`[{"id":99}]`),
	"want/people.json": file(`[{"id":"p1","locations":{"company":"1042"},"routes":[" Ann@Acme.example"],"feeds":{"account_contacts":[{"user_id":"p1","first_name":"Ann","last_name":"Lee","email":"ann@acme.example"}]}},
		{"id":"p2","routes":[null],"feeds":{"account_contacts":[{"user_id":"p2","first_name":"Bo","last_name":"Ray"}]}}]`),
	"want/tickets.json": file(`[{"id":"1","feeds":{"support_tickets":[{"ticket_id":"1","state":"open","subject":"Help","create_time":1700000000000}]}},{"id":"2","feeds":{"support_tickets":[{"ticket_id":"2","state":"closed","subject":"Me","create_time":1700000000000}]}}]`),
	"want/removed.json": file(`[{"id":"99","deleted":true}]`),
}

// walk returns what was wrong, by test. only, if set, is the one that matters.
func walk(t *testing.T, c *connector.Connector, standIn func(*Server), files fstest.MapFS, only string) map[string]error {
	t.Helper()
	under := fstest.MapFS{}
	for name, f := range files {
		under[c.Name+"/"+name] = f
	}
	s, err := Suite{StandIns: map[string]func(*Server){c.Name: standIn}, Testdata: under}.subject(c)
	if err != nil {
		t.Fatal(err)
	}
	wrong := map[string]error{}
	s.walk(func(name string, test func() error) {
		if only != "" && name != only && !strings.HasSuffix(name, "/maps_as_it_must") {
			return
		}
		if err := test(); err != nil {
			wrong[name] = err
		}
	})
	return wrong
}

func TestConnectorsThatAreGoodPass(t *testing.T) {
	for _, c := range []struct {
		declared *connector.Connector
		standIn  func(*Server)
		files    fstest.MapFS
	}{{shop(), shopStandIn, shopFiles}, {desk(), deskStandIn, deskFiles}} {
		for name, err := range walk(t, c.declared, c.standIn, c.files, "") {
			t.Errorf("%s: %s: %v", c.declared.Name, name, err)
		}
	}
}

// TestWhatIsWrongWithAConnectorIsFound breaks good connectors in one place each.
func TestWhatIsWrongWithAConnectorIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		shop, desk func(c *connector.Connector)
		fails      string
	}{
		"one page only":            {shop: func(c *connector.Connector) { c.Streams[0].Paging = connector.Paging{} }, fails: "customers/reads_every_page"},
		"a wrong page size":        {shop: func(c *connector.Connector) { c.Streams[1].Paging = connector.PageNumbers(5) }, fails: "invoices/reads_every_page"},
		"a page that is not there": {desk: func(c *connector.Connector) { c.Streams[0].Paging = connector.AfterLast(".first", ".more") }, fails: "people/reads_every_page"},
		"an unknown parameter":     {shop: func(c *connector.Connector) { c.Streams[0].Query = `{limit: 100, since: ($since | iso), sort: "id"}` }, fails: "customers/reads_every_page"},
		"a page that is too large": {shop: func(c *connector.Connector) { c.Streams[0].Query = `{limit: 101, since: ($since | iso)}` }, fails: "customers/reads_every_page"},
		"no changes":               {shop: func(c *connector.Connector) { c.Streams[0].Query = `{limit: 100}` }, fails: "customers/finds_what_has_changed"},
		"changes of the future":    {shop: func(c *connector.Connector) { c.Streams[0].Overlap = -72 * time.Hour }, fails: "customers/finds_what_has_changed"},
		"no deletions":             {shop: func(c *connector.Connector) { c.Streams[0].Deleted = "" }, fails: "customers/finds_what_has_changed"},
		"deletions of nothing":     {desk: func(c *connector.Connector) { c.Streams[2].Items = ".other[]?" }, fails: "removed/finds_what_has_changed"},
		"no cursor is kept":        {desk: func(c *connector.Connector) { c.Streams[1].Resume = ".other" }, fails: "tickets/finds_what_has_changed"},
		"half an answer is a list": {shop: func(c *connector.Connector) {
			c.Streams[0].Fetch = func(ctx context.Context, s *connector.Session, _ connector.Window, _ any) (records []any, _ any, err error) {
				answer, err := s.Call(ctx, connector.Call{Path: "/customers"})
				if err == nil {
					_ = json.Unmarshal(answer.Body, &records) // whatever it says
				}
				return records, nil, err
			}
		}, fails: "customers/uses_nothing_of_half_an_answer"},
		"a refusal that is not seen": {desk: func(c *connector.Connector) { c.Errors.Limited = "" }, fails: "people/waits_when_there_is_too_much"},
		"a time in another unit":     {shop: func(c *connector.Connector) { c.Streams[0].Feeds[0].Fields[1].From = ".created | time / 1000 | floor" }, fails: "customers/maps_as_it_must"},
		"an amount in cents": {shop: func(c *connector.Connector) {
			c.Streams[1].Feeds[0].Fields[2].From = `[.lines[] | {amount: minor(10; null), is_recurring: true}]`
		}, fails: "invoices/maps_as_it_must"},
		"another location": {shop: func(c *connector.Connector) { c.Locations[0].Path = ".name" }, fails: "customers/maps_as_it_must"},
		"another route":    {shop: func(c *connector.Connector) { c.Streams[1].Account[0].Key = ".id" }, fails: "invoices/maps_as_it_must"},
		"a missing detail": {shop: func(c *connector.Connector) {
			c.Streams[1].Details[0].When = "false"
			c.Streams[1].Feeds[0].Fields = c.Streams[1].Feeds[0].Fields[:2]
		}, fails: "invoices/maps_as_it_must"},
		"a record that is left out":  {shop: func(c *connector.Connector) { c.Streams[1].Items = `.invoices[].invoice | select(.total != null)` }, fails: "invoices/maps_as_it_must"},
		"an unknown field":           {shop: func(c *connector.Connector) { c.Streams[1].Feeds[0].Fields[1].To = "begin_date" }, fails: "declaration"},
		"a missing field":            {desk: func(c *connector.Connector) { c.Streams[0].Feeds[0].Fields = c.Streams[0].Feeds[0].Fields[:2] }, fails: "declaration"},
		"a dimension without a key":  {shop: func(c *connector.Connector) { c.Streams[0].Feeds[0].Fields[3].To = "custom_label_dimensions" }, fails: "declaration"},
		"an id that is not attached": {shop: func(c *connector.Connector) { c.Streams[0].Feeds[0].Fields[2].Attach = false }, fails: "declaration"},
		"an expression that is none": {shop: func(c *connector.Connector) { c.Streams[0].Label = ".name |" }, fails: "declaration"},
		"wrong credentials":          {shop: func(c *connector.Connector) { c.Auth[0].Headers["Authorization"] = `"Bearer " + .key` }, fails: "check"},
		"no https":                   {shop: func(c *connector.Connector) { c.Base = `"http://north.shop.example/v1"` }, fails: "check"},
		"another host":               {shop: func(c *connector.Connector) { c.Hosts = []string{"shop.example"} }, fails: "check"},
		"a header that is missing":   {shop: func(c *connector.Connector) { c.Headers["Accept"] = `"*/*"` }, fails: "check"},
		"tokens asked for in a form": {desk: func(c *connector.Connector) { c.Auth[1].OAuth.JSON = false }, fails: "tokens_client"},
		"nothing is kept of a token": {desk: func(c *connector.Connector) { c.Auth[0].OAuth.Keep = "" }, fails: "tokens_oauth"},
		"a secret in a URL":          {shop: func(c *connector.Connector) { c.Streams[0].Query = `{limit: 100, page: "secret-key"}` }, fails: "customers/reads_every_page"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wrong map[string]error
			if c.shop != nil {
				declared := shop()
				c.shop(declared)
				wrong = walk(t, declared, shopStandIn, shopFiles, c.fails)
			} else {
				declared := desk()
				c.desk(declared)
				wrong = walk(t, declared, deskStandIn, deskFiles, c.fails)
			}
			if wrong[c.fails] == nil {
				t.Errorf("%s passes; what fails: %v", c.fails, wrong)
			}
		})
	}
}
