package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// client uses one workspace of the target on behalf of one test.
type client struct {
	*testing.T
	target *Target
	key    string
}

func newClient(t *testing.T, target *Target) *client {
	return &client{T: t, target: target, key: target.NewWorkspace(t)}
}

// another returns a client of another new workspace.
func (c *client) another() *client { return newClient(c.T, c.target) }

// sub runs f as a sub-test, after what the test did so far and before what it
// does next.
func (c *client) sub(name string, f func(c *client)) {
	c.Run(name, func(t *testing.T) {
		in := *c
		in.T = t
		f(&in)
	})
}

// request is one request. The zero value of what is left out does nothing.
type request struct {
	method string
	path   string // below BaseURL, escaped, with any query
	body   []byte
	header map[string]string
	// credentials replaces the api_key parameter; nil leaves it in place.
	credentials func(*http.Request)
	// chunked sends the body without saying how long it is.
	chunked bool
}

// answer is what came back. Every answer is JSON (contract P3); send has seen
// to that.
type answer struct {
	t      *testing.T
	what   string // the request, for messages
	status int
	header http.Header
	raw    []byte // as sent, perhaps compressed
	body   any
}

// send sends a request and checks what must hold of every answer: it is JSON
// with status_is_ok, tells why when that is false, repeats no key, and holds
// nothing that the API's description does not.
func (c *client) send(r request) *answer {
	c.Helper()
	a := c.exchange(r)
	if a.header.Get("Content-Encoding") == "gzip" {
		a.inflate()
	}
	a.decode()
	if bytes.Contains(a.raw, []byte(c.key)) || strings.Contains(fmt.Sprint(a.header), c.key) {
		c.Errorf("%s: the answer repeats the API key", a.what)
	}
	d, err := c.target.describe()
	if err != nil {
		c.Fatalf("the API's description: %v", err)
	}
	path, _, _ := strings.Cut(r.path, "?")
	for _, problem := range d.check(r.method, path, a.status, a.body) {
		c.Errorf("%s: %s", a.what, problem)
	}
	return a
}

// exchange sends a request and reads the answer as it is.
func (c *client) exchange(r request) *answer {
	c.Helper()
	address := c.target.BaseURL + r.path
	if r.credentials == nil {
		separator := "?"
		if strings.Contains(address, "?") {
			separator = "&"
		}
		address += separator + "api_key=" + url.QueryEscape(c.key)
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
		if r.chunked {
			body = io.MultiReader(body)
		}
	}
	hr, err := http.NewRequestWithContext(c.Context(), r.method, address, body)
	if err != nil {
		c.Fatal(err)
	}
	if r.body != nil {
		hr.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		if value == "" {
			hr.Header.Del(name)
		} else {
			hr.Header.Set(name, value)
		}
	}
	if r.credentials != nil {
		r.credentials(hr)
	}
	response, err := c.target.client.Do(hr)
	if err != nil {
		c.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer response.Body.Close()
	a := &answer{t: c.T, what: r.method + " " + r.path, status: response.StatusCode, header: response.Header}
	if a.raw, err = io.ReadAll(response.Body); err != nil {
		c.Fatalf("%s: read the answer: %v", a.what, err)
	}
	return a
}

// decode reads the answer's body and checks the envelope that every one has.
func (a *answer) decode() {
	a.t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/json" {
		a.t.Errorf("%s: status %d with Content-Type %q", a.what, a.status, got)
	}
	body, err := parse(a.raw)
	if err != nil {
		a.t.Fatalf("%s: status %d with a body that is not JSON: %v\n%.300q", a.what, a.status, err, a.raw)
	}
	a.body = body
	envelope, _ := body.(map[string]any)
	if _, isDescription := envelope["openapi"]; isDescription {
		return
	}
	ok, told := envelope["status_is_ok"].(bool)
	message, _ := envelope["message"].(string)
	switch {
	case !told:
		a.t.Errorf("%s: status %d without status_is_ok: %.300s", a.what, a.status, a.raw)
	case ok && a.status != http.StatusOK:
		a.t.Errorf("%s: status %d with status_is_ok true", a.what, a.status)
	case !ok && message == "":
		a.t.Errorf("%s: status_is_ok is false and no message tells why: %.300s", a.what, a.raw)
	}
}

// parse reads JSON text, keeping numbers as they are written.
func parse(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return value, nil
}

// do sends a request with a JSON body ("" for none) and expects status 200,
// which is that of nearly every request.
func (c *client) do(method, path, body string) *answer {
	c.Helper()
	r := request{method: method, path: path}
	if body != "" {
		r.body = []byte(body)
	}
	a := c.send(r)
	if a.status != http.StatusOK {
		c.Fatalf("%s: status %d, want 200: %.500s", a.what, a.status, a.raw)
	}
	return a
}

func (c *client) get(path string) *answer    { c.Helper(); return c.do(http.MethodGet, path, "") }
func (c *client) delete(path string) *answer { c.Helper(); return c.do(http.MethodDelete, path, "") }
func (c *client) post(path, body string) *answer {
	c.Helper()
	return c.do(http.MethodPost, path, body)
}
func (c *client) put(path, body string) *answer { c.Helper(); return c.do(http.MethodPut, path, body) }

// upload posts records, which must all be applied.
func (c *client) upload(path string, records ...any) *answer {
	c.Helper()
	return c.post(path, toJSON(map[string]any{"records": records})).want(`{"status_is_ok": true, "failed": 0, "failed_results": []}`)
}

// one returns the single record that a read by id gives.
func (c *client) one(path string) map[string]any {
	c.Helper()
	results := c.get(path).results()
	if len(results) != 1 {
		c.Fatalf("GET %s: %d results, want 1", path, len(results))
	}
	return results[0]
}

// state returns everything that reads give of a workspace, of all families, as
// far as one page holds it.
func (c *client) state() string {
	c.Helper()
	all := []any{c.dump()}
	for _, list := range []string{"/subscriptions", "/interactions", "/notes", "/mrr_movements"} {
		all = append(all, c.get(list).results())
	}
	for _, r := range c.get("/accounts?include_inactive=true").results() {
		for _, list := range []string{"support_tickets", "statements", "subscriptions", "metrics", "mrr_movements"} {
			all = append(all, c.get("/accounts/"+segment(r["account_id"].(string))+"/"+list).results())
		}
	}
	return toJSON(all)
}

// member returns a top-level member of the answer.
func (a *answer) member(name string) any {
	envelope, _ := a.body.(map[string]any)
	return envelope[name]
}

// results returns the records of an answer that must be fine.
func (a *answer) results() []map[string]any {
	a.t.Helper()
	if a.member("status_is_ok") != true {
		a.t.Fatalf("%s failed: %.500s", a.what, a.raw)
	}
	list, isList := a.member("results").([]any)
	if !isList {
		a.t.Fatalf("%s: no results: %.500s", a.what, a.raw)
	}
	records := make([]map[string]any, len(list))
	for i := range list {
		records[i], _ = list[i].(map[string]any)
	}
	return records
}

// want checks the answer against a pattern; see match.
func (a *answer) want(pattern string) *answer {
	a.t.Helper()
	for _, problem := range matchText(pattern, a.body) {
		a.t.Errorf("%s: %s\n%.300s", a.what, problem, a.text())
	}
	return a
}

// fails checks that the request was refused with a code, to the blame of a
// field ("" for none).
func (a *answer) fails(code, field string) *answer {
	a.t.Helper()
	blamed := field
	if field == "" {
		blamed = "<absent>"
	}
	return a.want(fmt.Sprintf(`{"status_is_ok": false, "code": %q, "field": %q}`, code, blamed))
}

func (a *answer) text() string { return toJSON(a.body) }

// toJSON writes a value as JSON text.
func toJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // nothing in the suite has a value that JSON has not
	}
	return string(text)
}

// object is a JSON object.
type object = map[string]any

// step is one request of a script and what its answer must be.
type step struct {
	name string // what it shows
	do   string // method and path
	body string
	want string // pattern; status_is_ok true if empty
}

// play plays the steps of a script one after the other.
func (c *client) play(steps ...step) {
	c.Helper()
	for _, s := range steps {
		c.sub(s.name, func(c *client) {
			method, path, _ := strings.Cut(s.do, " ")
			pattern := s.want
			if pattern == "" {
				pattern = `{"status_is_ok": true}`
			}
			c.do(method, path, s.body).want(pattern)
		})
	}
}
