package api

import (
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/schema"
)

func TestTidyPathDropsOneTrailingSlashAndRefusesWhatTheMuxWouldRedirect(t *testing.T) {
	for _, c := range []struct {
		path, tidied string // "" for refused
	}{
		{"/", "/"},
		{"/api/v2/accounts", "/api/v2/accounts"},
		{"/api/v2/accounts/", "/api/v2/accounts"},
		{"/api/v2/accounts//", ""},
		{"/api/v2//accounts", ""},
		{"//", "/"},
		{"///", ""},
		{"/api/v2/accounts/.", ""},
		{"/api/v2/accounts/../accounts", ""},
		{"/api/v2/accounts/..", ""},
		{"/api/v2/accounts/%2e%2e", "/api/v2/accounts/%2e%2e"},
		{"/api/v2/accounts/a%2F/", "/api/v2/accounts/a%2F"},
		{"/api/v2/accounts/a%2Fb/documents/", "/api/v2/accounts/a%2Fb/documents"},
		{"/api/v2/accounts/...", "/api/v2/accounts/..."},
		{"/api/v2/accounts/%C3%A9/", "/api/v2/accounts/%C3%A9"},
		{"*", ""},
		{"", ""},
	} {
		u := &url.URL{Path: c.path}
		if unescaped, err := url.PathUnescape(c.path); err == nil && unescaped != c.path {
			u.Path, u.RawPath = unescaped, c.path
		}
		r := &http.Request{URL: u}
		if ok := tidyPath(r); ok != (c.tidied != "") || ok && r.URL.EscapedPath() != c.tidied {
			t.Errorf("%s: %s, %t; want %q", c.path, r.URL.EscapedPath(), ok, c.tidied)
		}
	}
}

func TestTidyPathLeavesTheRequestItWasGivenAlone(t *testing.T) {
	u := &url.URL{Path: "/api/v2/accounts/"}
	r := &http.Request{URL: u}
	if !tidyPath(r) || u.Path != "/api/v2/accounts/" || r.URL == u {
		t.Error("the URL is shared with whoever logs or retries the request")
	}
}

// queryOf returns a request with that query, as serve sees it, of a route with
// those parameters.
func queryOf(query string, parameters ...parameter) *request {
	values, _ := url.ParseQuery(query) // as serve does: what cannot be read is not there
	return &request{query: values, route: &route{query: append(parameters, page)}}
}

func TestListQueriesAreReadLiberallyAndEchoed(t *testing.T) {
	for _, c := range []struct {
		query string
		want  listQuery
	}{
		{"", listQuery{}},
		{"page=3", listQuery{page: 3}},
		{"page=", listQuery{}},
		{"page=2147483647", listQuery{page: 2147483647}},
		{"direction=ASC", listQuery{ascending: true, echo: []byte(`,"direction":"asc"`)}},
		{"direction=Desc", listQuery{echo: []byte(`,"direction":"desc"`)}},
		{"order_by=name", listQuery{orderBy: "name", echo: []byte(`,"order_by":"name"`)}},
		{"include_inactive=TRUE", listQuery{includeInactive: true, echo: []byte(`,"include_inactive":true`)}},
		{"include_inactive=1", listQuery{includeInactive: true, echo: []byte(`,"include_inactive":true`)}},
		{"include_inactive=0", listQuery{echo: []byte(`,"include_inactive":false`)}},
		{"include_inactive=yes", listQuery{echo: []byte(`,"include_inactive":false`)}},
		{"include=a,%20b", listQuery{include: []string{"a", "b"}, echo: []byte(`,"include":"a, b"`)}},
		{"api_key=not-a-real-key&nonsense=1", listQuery{}},
		{"account_id=%22%0A", listQuery{accountID: "\"\n", echo: []byte(`,"account_id":"\"\n"`)}},
		{"create_time=12", listQuery{times: map[string]int64{"create_time": 12}, echo: []byte(`,"create_time":12`)}},
		{"direction=asc&order_by=id&include_inactive=true", listQuery{orderBy: "id", ascending: true, includeInactive: true,
			echo: []byte(`,"order_by":"id","direction":"asc","include_inactive":true`)}},
		{"a=%zz&page=2", listQuery{page: 2}},
	} {
		got, failure := parseList(queryOf(c.query, orderBy([]string{"name"}, "name"), direction, includeInactive,
			parameter{name: "include", typ: schema.String}, accountFilter, createdFrom))
		if failure != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.query, got, failure, c.want)
		}
	}
}

func TestBadListQueriesAreRefusedByName(t *testing.T) {
	for query, field := range map[string]string{
		"page=-1": "page", "page=x": "page", "page=1.0": "page", "page=9223372036854775808": "page",
		"direction=up": "direction", "order_by=tier": "order_by", "create_time=soon": "create_time",
	} {
		_, failure := parseList(queryOf(query, orderBy([]string{"name"}, "name"), direction, createdFrom))
		if failure == nil || failure.Field != field {
			t.Errorf("%s: %+v", query, failure)
		}
	}
}

func TestParametersThatAListDoesNotHaveAreIgnored(t *testing.T) {
	got, failure := parseList(queryOf("direction=up&order_by=x&include=y&page=1"))
	if failure != nil || !reflect.DeepEqual(got, listQuery{page: 1}) {
		t.Errorf("%+v, %v", got, failure)
	}
}

func TestBooleanParameters(t *testing.T) {
	for text, want := range map[string]bool{
		"true": true, "TRUE": true, "True": true, "1": true, "-1": true, "42": true,
		"": false, "false": false, "0": false, "00": false, "on": false, "1.0": false, "t": false,
	} {
		if parseBool(text) != want {
			t.Errorf("%q is read as %t", text, !want)
		}
	}
}

func TestTimeParameters(t *testing.T) {
	if n, failure := parseTime("inactive_time", "-9223372036854775808"); failure != nil || n != -9223372036854775808 {
		t.Errorf("%d, %v", n, failure)
	}
	for _, text := range []string{"x", "1.5", "9223372036854775808", " 1"} {
		if _, failure := parseTime("inactive_time", text); failure == nil || failure.Field != "inactive_time" || failure.Code != core.WrongType {
			t.Errorf("%q: %+v", text, failure)
		}
	}
}

func TestPagesCutWithoutGapsOrOverlaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := make([]int, rapid.IntRange(0, 3500).Draw(t, "records"))
		for i := range all {
			all[i] = i
		}
		var read []int
		for page := range 5 {
			read = append(read, pageOf(all, page)...)
		}
		if len(read) != len(all) || len(all) > 0 && !reflect.DeepEqual(read, all) {
			t.Fatalf("%d records are read as %d", len(all), len(read))
		}
		if beyond := pageOf(all, rapid.IntRange(4, 1<<31-1).Draw(t, "page")); len(beyond) != 0 {
			t.Fatalf("%d records beyond the end", len(beyond))
		}
	})
}
