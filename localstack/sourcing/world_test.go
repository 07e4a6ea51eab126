package sourcing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/connector"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sources"
	"tenure/core/table/embedded"
)

// shop is a made-up system: customers and their orders.
func shop() *connector.Connector {
	list := func(name string) connector.Stream {
		return connector.Stream{
			Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Request: connector.Request{Path: "/" + name}, Items: ".items[]", ID: ".id", Label: ".name", Passing: true,
		}
	}
	customers, orders := list("customers"), list("orders")
	customers.Accounts = true
	customers.Feeds = []connector.Feed{{Family: "accounts", Fields: []connector.Field{{To: "name", From: ".name"}, {To: "join_date", From: ".joined | date"}}}}
	orders.Account = []connector.Route{{Via: "customers", Key: ".customer"}}
	orders.Feeds = []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
		{To: "ticket_id", From: ".id"}, {To: "subject", From: ".name"}, {To: "state", From: `"open"`}, {To: "create_time", From: ".at | millis"},
	}}}
	return &connector.Connector{
		Name: "shop", Title: "Shop", Kind: connector.Support, Doc: "A made-up system.", Base: `"https://\($settings.site).shop.example"`, Hosts: []string{"*.shop.example"},
		Settings: []connector.Setting{{Name: "site", Title: "Site", Doc: "letters", Required: true, Pattern: "[a-z]+"}},
		Auth: []connector.Auth{{Name: "api_key", Title: "API key", Settings: []connector.Setting{
			{Name: "key", Title: "Key", Doc: "made under Settings", Secret: true, Required: true},
		}, Headers: map[string]string{"Authorization": `"Bearer " + .key`}}},
		Limits: connector.Limits{Requests: 1000, Per: time.Second, Pause: time.Second}, Errors: connector.Errors{Message: ".error"},
		Check: connector.Request{Path: "/me"}, AccountField: "support_account_id",
		Locations: []connector.Location{{Name: "number", Title: "Number", Doc: "of customers", Best: true, Stream: "customers", Path: ".number", By: connector.ByAccountID}},
		Streams:   []connector.Stream{customers, orders},
	}
}

// closed is a made-up system whose service has ended.
func closed() *connector.Connector {
	c := shop()
	c.Name, c.Title, c.Ended = "closed", "Closed Shop", &connector.Ended{Since: "2020", Message: "Closed Shop ended in 2020: import exported records."}
	return c
}

// club is a made-up system that people grant access to.
func club() *connector.Connector {
	c := shop()
	c.Name, c.Title = "club", "Club"
	c.Auth = append(c.Auth, connector.Auth{Name: "oauth", Title: "OAuth", Settings: []connector.Setting{
		{Name: "client_id", Title: "Client id", Doc: "of the app", Required: true}, {Name: "client_secret", Title: "Client secret", Doc: "of the app", Required: true, Secret: true},
	}, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`}, OAuth: &connector.OAuth{
		Grant: connector.AuthorizationCode, AuthorizeURL: `"https://login.shop.example/authorize"`, TokenURL: `"https://login.shop.example/token"`,
	}})
	return c
}

const secretKey = "fake-secret-key-of-the-shop"

// world is commands on a store of their own, and the made-up system.
type world struct {
	*testing.T
	*Commands
	lists map[string]string // by path
	hold  chan struct{}     // if set, orders are answered once it is closed
}

// newWorld returns a world.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	sealing, err := keyfile.Open(filepath.Join(dir, "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	keys := access.New(store, nil)
	if err := keys.EnsureWorkspace(t.Context(), "acme", "test-key-not-secret"); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, lists: map[string]string{
		"/me":        `{}`,
		"/customers": `{"items":[{"id":1,"number":"a1","name":"Ann's","joined":"2024-01-01"},{"id":2,"number":null,"name":"No\nnumber\u001b[31m","joined":"2024-01-01"}]}`,
		"/orders":    `{"items":[{"id":7,"name":"Tea","customer":1,"at":1700000000000},{"id":8,"name":"Milk","customer":2,"at":1700000000000}]}`,
	}}
	w.Commands = &Commands{Poll: time.Millisecond, Store: sources.New(sources.Config{
		Table: store, Engine: resource.New(resource.Config{Table: store, Root: catalog.Root}), Access: keys, Sealer: secrets.New(sealing),
		Families: catalog.All(), Connectors: []*connector.Connector{shop(), closed(), club()}, Transport: w,
	})}
	return w
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	if r.Header.Get("Authorization") != "Bearer "+secretKey {
		return answer(401, `{"error":"nobody knows `+r.Header.Get("Authorization")+`"}`)
	}
	if w.hold != nil && r.URL.Path == "/orders" {
		select {
		case <-w.hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return answer(200, w.lists[r.URL.Path])
}

// does carries out a command and returns what it prints.
func (w *world) does(in string, args ...string) (string, error) {
	w.Helper()
	var text bytes.Buffer
	err := w.Do(w.Context(), "acme", args, strings.NewReader(in), func(e Event) error {
		text.WriteString(e.Text)
		return nil
	})
	return text.String(), err
}

// must is does where that works.
func (w *world) must(in string, args ...string) string {
	w.Helper()
	text, err := w.does(in, args...)
	if err != nil {
		w.Fatalf("%v: %v\n%s", args, err, text)
	}
	return text
}

// added adds the shop with its key, and returns the id of the source.
func (w *world) added() string {
	w.Helper()
	text := w.must(`{"connector":"shop","settings":{"site":"tea"},"system_of_record":true}`, "add")
	_, id, _ := strings.Cut(text, "Added Shop, id ")
	id, rest, _ := strings.Cut(id, "\n")
	if rest != "Next: credentials "+id+" api_key\n" {
		w.Fatalf("%q", text)
	}
	w.must(`{"key":"`+secretKey+`"}`, "credentials", "Shop", "api_key")
	return id
}

// refused reports whether an error is a refusal that names a field.
func refused(err error, code core.Code, field string) bool {
	failure, ok := errors.AsType[*core.Failure](err)
	return ok && failure.Code == code && failure.Field == field
}

// fields returns the words of the line that begins with one.
func fields(text, first string) string {
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == first {
			return strings.Join(words, " ")
		}
	}
	return ""
}

// shown returns a source as show has it.
func (w *world) shown(id string) (source sources.Source) {
	w.Helper()
	if err := json.Unmarshal([]byte(w.must("", "show", id)), &source); err != nil {
		w.Fatal(err)
	}
	return source
}
