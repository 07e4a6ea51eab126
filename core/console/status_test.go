package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenure/core/calls"
	"tenure/core/identity"
)

// record logs an API call of acme.
func (w *world) record(c calls.Call) {
	w.Helper()
	w.advance(time.Second)
	if err := w.calls.Record(w.Context(), "acme", c); err != nil {
		w.Fatal(err)
	}
}

// status is the page of API calls as JSON.
type status struct {
	Calls []struct {
		ID              string `json:"id"`
		Endpoint        string
		KeyLabel        string `json:"key_label"`
		OperationStatus string `json:"operation_status"`
		Records         *calls.Records
	}
	Matching, Logged, Page int
	Endpoints              []string
	Keys                   []struct{ Label string }
	Span                   int64
	Spans                  []calls.Span
}

func (s status) endpoints() string {
	var all []string
	for _, c := range s.Calls {
		all = append(all, c.Endpoint)
	}
	return strings.Join(all, " ")
}

func TestCallsAreShownNewestFirstAndFiltered(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "viewer@acme.example", identity.Viewer)
	if page := b.get("/status"); !strings.Contains(page.body, "No program has called the API") {
		t.Errorf("an empty log: %s", page.body)
	}
	key := w.key("acme")
	get := calls.Call{Method: "GET", Endpoint: "/notes/{id}", Family: "notes", Kind: calls.Read, KeyID: key, Success: true, Status: 200, DurationMS: 1.25}
	w.record(calls.Call{Method: "POST", Endpoint: "/accounts", Family: "accounts", Kind: calls.Write, KeyID: key, Success: true, Status: 200,
		Records: &calls.Records{Received: 12345, Inserted: 12000, Changed: 44, Unchanged: 300, Failed: 1}, DurationMS: 61234})
	w.record(calls.Call{Method: "POST", Endpoint: "/notes", Family: "notes", Kind: calls.Write, KeyID: calls.CSV, Status: 503, Message: "<script>alert(1)</script>"})
	w.record(get)
	for query, want := range map[string]string{
		"": "/notes/{id} /notes /accounts", "?status=success": "/notes/{id} /accounts", "?status=failure": "/notes", "?endpoint=%2Faccounts": "/accounts",
		"?endpoint=%2Fnotes%2F%7Bid%7D": "/notes/{id}", "?key=csv": "/notes", "?key=" + key: "/notes/{id} /accounts", "?kind=read": "/notes/{id}",
		"?kind=write&status=success": "/accounts", "?key=csv&kind=read": "", "?status=&endpoint=&key=&kind=": "/notes/{id} /notes /accounts",
	} {
		var got status
		b.json("/status"+query).data(t, &got)
		if got.endpoints() != want || got.Matching != len(got.Calls) || got.Logged != 3 || len(got.Endpoints) != 3 || len(got.Keys) != 2 {
			t.Errorf("%s: %+v, want %s", query, got, want)
		}
		counted := 0
		for _, s := range got.Spans {
			counted += s.Calls
		}
		if counted != got.Matching {
			t.Errorf("%s: the chart counts %d", query, counted)
		}
	}
	page := b.get("/status").body
	for _, want := range []string{"secret-of-acme key", "CSV upload", "12,345", "12,344", "61.2 s", "1.2 ms", "&lt;script&gt;", "GET /notes/{id}", "Calls 1 to 3 of 3", `data-chart="bars"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(page, "<script>alert") {
		t.Error("a message is taken for markup")
	}
	if page := b.get("/status?key=csv&kind=read").body; !strings.Contains(page, "None of the last 3 calls matches") {
		t.Errorf("%s", page)
	}
	if page := b.get("/status?status=failure&endpoint=%2Fnotes").body; !strings.Contains(page, `value="failure" selected`) || !strings.Contains(page, "<option selected>/notes<") ||
		!strings.Contains(page, "1 to 1 of 1, of 3 in the log") {
		t.Errorf("the form forgets what was asked for: %s", page)
	}
}

func TestTheLast1000CallsAreShownInPages(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "viewer@acme.example", identity.Viewer)
	key := w.key("acme")
	for i := range 1003 {
		if err := w.calls.Record(t.Context(), "acme", calls.Call{Method: "GET", Endpoint: fmt.Sprintf("/n/%d", i), Family: "notes", Kind: calls.Read, KeyID: key, Success: true, Status: 200}); err != nil {
			t.Fatal(err)
		}
	}
	for page, want := range map[string]string{"0": "/n/1002 /n/903", "1": "/n/902 /n/803", "9": "/n/102 /n/3", "10": "/n/102 /n/3", "-1": "/n/1002 /n/903", "x": "/n/1002 /n/903"} {
		var got status
		b.json("/status?page="+page).data(t, &got)
		if n := len(got.Calls); n != 100 || got.Calls[0].Endpoint+" "+got.Calls[n-1].Endpoint != want || got.Logged != 1000 || got.Matching != 1000 {
			t.Errorf("page %s: %d calls, %s", page, n, got.endpoints())
		}
	}
	first, last := b.get("/status?kind=read").body, b.get("/status?kind=read&page=9").body
	if !strings.Contains(first, `href="./status?kind=read&amp;page=1"`) || strings.Contains(first, "Newer calls") {
		t.Error("from the first page no way leads to the second")
	}
	if !strings.Contains(last, `href="./status?kind=read&amp;page=8"`) || strings.Contains(last, "Older calls") {
		t.Error("from the last page no way leads back")
	}
}

func TestTheListKeepsItselfUpToDateUntilItIsToldNotTo(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "viewer@acme.example", identity.Viewer)
	c := calls.Call{Method: "POST", Endpoint: "/accounts", Family: "accounts", Kind: calls.Write, KeyID: w.key("acme"), Success: true, Status: 200}
	w.record(c)
	next := func(page string) string {
		_, rest, ok := strings.Cut(page, `hx-get="`)
		path, _, _ := strings.Cut(rest, `"`)
		if !ok {
			t.Fatalf("nothing is asked for anew: %s", page)
		}
		return strings.ReplaceAll(strings.TrimPrefix(path, "."), "&amp;", "&")
	}
	again := next(b.get("/status?kind=write").body)
	htmx := http.Header{"Hx-Request": {"true"}}
	if a := b.send(http.MethodGet, again, nil, htmx); a.status != http.StatusNoContent || a.body != "" {
		t.Errorf("nothing has changed: %d %s", a.status, a.body)
	}
	w.record(c)
	a := b.send(http.MethodGet, again, nil, htmx)
	if a.status != http.StatusOK || strings.Contains(a.body, "<html") || !strings.Contains(a.body, "Calls 1 to 2 of 2") || !strings.HasPrefix(strings.TrimSpace(a.body), `<div id="calls"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if next(a.body) == again {
		t.Error("the list does not know what it has seen")
	}
	off := b.get("/status?kind=write&live=0").body
	if strings.Contains(off, "hx-get") || !strings.Contains(off, `href="./status?kind=write"`) || !strings.Contains(off, `name="live" value="0"`) {
		t.Errorf("it goes on, or cannot be put on again: %s", off)
	}
}

func TestACallIsShownWithItsFailedRecords(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "viewer@acme.example", identity.Viewer)
	id := w.call("acme")
	page := b.get("/status/" + id)
	for _, want := range []string{"POST /accounts", "Failure", "1.2 s", "4,321 bytes", "&lt;b&gt;" + secretOf("acme"), "missing_field", "2 more records failed", `href="../status"`} {
		if page.status != http.StatusOK || !strings.Contains(page.body, want) {
			t.Errorf("%d, without %q: %s", page.status, want, page.body)
		}
	}
	var got struct {
		Call struct {
			Message string
			Failed  []calls.Failure `json:"failed_results"`
		}
		LeftOut int `json:"failures_left_out"`
	}
	b.json("/status/"+id).data(t, &got)
	if got.LeftOut != 2 || len(got.Call.Failed) != 1 || got.Call.Failed[0].IDs["account_id"] != "<b>"+secretOf("acme") || got.Call.Failed[0].Record != 1 {
		t.Errorf("%+v", got)
	}
	for _, unknown := range []string{"x", url.PathEscape("../keys"), strings.Repeat("0", 30) + ".w.accounts.csv", id + "0", strings.ToUpper(id)} {
		if a := b.get("/status/" + unknown); a.status != http.StatusNotFound || !strings.Contains(a.body, "no such API call") {
			t.Errorf("%s: %d %s", unknown, a.status, a.body)
		}
	}
}
