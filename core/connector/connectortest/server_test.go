package connectortest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// serve opens a stand-in of the made-up shop, and returns what asks it.
func serve(t *testing.T, standIn func(*Server), files fstest.MapFS, auth string) (*Server, func(method, target string, header map[string]string) (int, string)) {
	t.Helper()
	s, err := NewServer(files, standIn, auth)
	if err != nil {
		t.Fatal(err)
	}
	return s, func(method, target string, header map[string]string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "Test")
		r.Header.Set("Accept", "application/json")
		for name, value := range header {
			r.Header.Set(name, value)
		}
		a, err := s.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(body)
	}
}

func TestStandInsNoticeWhatMustNotBeSent(t *testing.T) {
	const key = "Basic c2VjcmV0LWtleTo="
	for name, c := range map[string]struct {
		target string
		header map[string]string
		status int
		fault  string // a part of it; empty for none
	}{
		"what is right":           {target: "https://north.shop.example/v1/customers?limit=100", status: 200},
		"a wrong key":             {target: "https://north.shop.example/v1/customers", header: map[string]string{"Authorization": "Basic other"}, status: 401},
		"no key":                  {target: "https://north.shop.example/v1/customers", header: map[string]string{"Authorization": ""}, status: 401},
		"another scheme":          {target: "http://north.shop.example/v1/customers", status: 200, fault: "not asked for by https"},
		"another host":            {target: "https://elsewhere.example/v1/customers", status: 404, fault: "none of the connector's hosts"},
		"credentials in the URL":  {target: "https://secret-key@north.shop.example/v1/customers", status: 200, fault: "has credentials"},
		"a secret in the URL":     {target: "https://north.shop.example/v1/customers?page=1&limit=1&since=&x=secret-key", status: 200, fault: "has a secret"},
		"no sender":               {target: "https://north.shop.example/v1/me", header: map[string]string{"User-Agent": ""}, status: 200, fault: "no User-Agent"},
		"a header that is wrong":  {target: "https://north.shop.example/v1/me", header: map[string]string{"Accept": "text/xml"}, status: 200, fault: "has the header Accept"},
		"an unknown path":         {target: "https://north.shop.example/v1/orders", status: 404, fault: "nothing answers"},
		"an unknown parameter":    {target: "https://north.shop.example/v1/customers?sort=id", status: 200, fault: `no query parameter "sort"`},
		"a page that is too long": {target: "https://north.shop.example/v1/customers?limit=101", status: 200, fault: "no size between 1 and 100"},
		"a time that is none":     {target: "https://north.shop.example/v1/customers?since=yesterday", status: 200, fault: "since"},
	} {
		s, ask := serve(t, shopStandIn, shopFiles, "key")
		s.hosts = []string{"*.shop.example"}
		header := map[string]string{"Authorization": key}
		for name, value := range c.header {
			header[name] = value
		}
		status, _ := ask("GET", c.target, header)
		if faults := strings.Join(s.wrong(), "\n"); status != c.status || (c.fault == "") != (faults == "") || !strings.Contains(faults, c.fault) {
			t.Errorf("%s: answered with %d, and the faults are %q", name, status, faults)
		}
	}
}

func TestATokenHasToBeStoredBeforeItIsUsed(t *testing.T) {
	s, ask := serve(t, deskStandIn, deskFiles, "oauth")
	s.stored = func(access string) bool { return access != "secret-access-0" }
	status, _ := ask("GET", "https://eu.desk.example/api/people", map[string]string{"Authorization": "Bearer secret-access-0"})
	if faults := s.wrong(); status != 200 || !slices.Equal(faults, []string{"a token is used before it is stored"}) {
		t.Errorf("answered with %d, and the faults are %q", status, faults)
	}
}

func TestCopiesOfRowsHaveIdsOfTheirOwn(t *testing.T) {
	for _, c := range []struct{ id, want any }{
		{json.Number("35436"), json.Number("35436000012")},
		{json.Number("7.0"), json.Number("7000012")},
		{"7", "7000012"},
		{"n1", "n1000012"},
		{"cus_QXg1o8vcGmoR32", "cus_QXg1o8vc000012"},
		{"243216c5-369e-4056-ac67-05388f86dc81", "243216c5-369e-4056-ac67-05388f000012"},
		{"/api/v2/cases/3014", "/api/v2/cases/3014000012"},
		{"__demo_inv__1", "__demo_inv__1000012"},
	} {
		row := Row{"of": Row{"id": c.id}}
		c2 := &collection{Collection: Collection{ID: "of.id"}}
		if got := At(c2.copy(row, 12), "of.id"); got != c.want {
			t.Errorf("a copy of %v has the id %v, and must have %v", c.id, got, c.want)
		}
		if At(row, "of.id") != c.id {
			t.Errorf("the row itself has changed: %v", row)
		}
	}
}

func TestTimesOfRowsAreWrittenAsTheyAreRead(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for form, text := range map[string]string{
		"unix": "1772600767", "ms": "1772600767000", "/Date/": "/Date(1772600767000+0000)/", time.RFC3339: "2026-03-04T05:06:07Z",
		"2006-01-02T15:04:05.000-0700": "2026-03-04T05:06:07.000+0000",
	} {
		if got := fmt.Sprint(format(at, form)); got != text {
			t.Errorf("%s: written as %s, and must be %s", form, got, text)
		}
		if got, err := parse(text, form); err != nil || !got.Equal(at) {
			t.Errorf("%s: %s is read as %v (%v)", form, text, got, err)
		}
	}
}

func TestRowsAreChangedAsTheSystemDoes(t *testing.T) {
	s, _ := serve(t, shopStandIn, shopFiles, "key")
	now := Start
	s.now = func() time.Time { return now }
	s.Grow("customers", 5, func(i int) bool { return i < 2 })
	ids := func(rows []Row) string {
		var all []string
		for _, r := range rows {
			all = append(all, fmt.Sprint(r["id"]))
		}
		return strings.Join(all, " ")
	}
	if got := ids(s.Rows("customers")); got != "7 8 7000002 8000003 7000004" {
		t.Errorf("there are %s", got)
	}
	now = now.Add(time.Hour)
	s.Touch("customers", 0)
	s.Delete("customers", 1)
	added := s.Add("customers", 0)
	if got := ids(s.Since("customers", now)); got != "7 8 "+fmt.Sprint(added["id"]) {
		t.Errorf("changed are %s", got)
	}
	if s.Find("customers", "8").(Row)["deleted"] != true {
		t.Error("a row that was deleted is not marked")
	}
	s.Delete("invoices", 0)
	if s.Find("invoices", "i1") != nil || len(s.Changes("invoices", now)) != 1 || !s.Changes("invoices", now)[0].Deleted || len(s.Changes("invoices", now.Add(1))) != 0 {
		t.Errorf("a row that was deleted is there, or its deletion is not: %v", s.Changes("invoices", now))
	}
	s.Rows("customers")[0]["name"] = "changed by a handler"
	if s.Find("customers", "7").(Row)["name"] != "Acme" {
		t.Error("a handler can change what is stored")
	}
}
