package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

var protocolTests = []test{
	{"credentials", testCredentials},
	{"statuses", testStatuses},
	{"trailing slash", testTrailingSlash},
	{"ids of any text", testIDsOfAnyText},
	{"head", testHead},
	{"malformed bodies", testMalformedBodies},
	{"bodies of the wrong shape", testWrongShapes},
	{"content types", testContentTypes},
	{"body limit", testBodyLimit},
	{"compressed requests", testCompressedRequests},
	{"compressed answers", testCompressedAnswers},
}

// acme is an upload of one account.
const acme = `{"records": [{"account_id": "acme", "name": "Acme", "join_date": 1}]}`

func basic(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func query(text string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery = text }
}

func authorization(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", value) }
}

func both(first, second func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) { first(r); second(r) }
}

// testCredentials shows P2 and the second half of Q26.
func testCredentials(c *client) {
	c.post("/accounts", acme)
	other := c.another()
	for _, x := range []struct {
		name        string
		credentials func(*http.Request)
		ok          bool
	}{
		{"parameter", query("api_key=" + c.key), true},
		{"basic", basic("api", c.key), true},
		{"both", both(query("api_key="+c.key), basic("api", c.key)), true},
		{"parameter twice", query("api_key=" + c.key + "&api_key=" + c.key), true},
		{"none", query(""), false},
		{"empty parameter", query("api_key="), false},
		{"wrong parameter", query("api_key=test-key-unknown"), false},
		{"key in another case", query("api_key=" + strings.ToUpper(c.key)), false},
		{"key and more", query("api_key=" + c.key + "x"), false},
		{"parameter of another name", query("apikey=" + c.key), false},
		{"basic of another user", basic("admin", c.key), false},
		{"basic of no user", basic("", c.key), false},
		{"basic of the user in another case", basic("API", c.key), false},
		{"basic with key and password exchanged", basic(c.key, "api"), false},
		{"basic with a wrong password", basic("api", "test-key-unknown"), false},
		{"basic without a password", basic("api", ""), false},
		{"basic that is no base64", authorization("Basic ***"), false},
		{"basic without a colon", authorization("Basic YXBp"), false},
		{"bearer", authorization("Bearer " + c.key), false},
		{"right parameter, wrong basic", both(query("api_key="+c.key), basic("api", "test-key-unknown")), false},
		{"right parameter, other scheme", both(query("api_key="+c.key), authorization("Bearer "+c.key)), false},
		{"wrong parameter, right basic", both(query("api_key=test-key-unknown"), basic("api", c.key)), false},
		{"right and wrong parameter", query("api_key=" + c.key + "&api_key=test-key-unknown"), false},
		{"wrong and right parameter", query("api_key=test-key-unknown&api_key=" + c.key), false},
		{"keys of two workspaces", both(query("api_key="+c.key), basic("api", other.key)), false},
	} {
		c.sub(x.name, func(c *client) {
			for _, r := range []request{
				{method: http.MethodGet, path: "/accounts/acme"},
				{method: http.MethodPost, path: "/accounts", body: []byte(acme)},
			} {
				r.credentials = x.credentials
				a := c.send(r)
				if x.ok {
					a.want(`{"status_is_ok": true}`)
					continue
				}
				if a.status != http.StatusUnauthorized {
					c.Errorf("%s: status %d, want 401", a.what, a.status)
				}
				if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic") {
					c.Errorf("%s: WWW-Authenticate %q, want Basic", a.what, got)
				}
				a.want(`{"status_is_ok": false, "message": "<text>", "results": "<absent>"}`)
			}
		})
	}
}

// testStatuses shows the 404 and 405 of P3 and the first half of Q26.
func testStatuses(c *client) {
	c.post("/accounts", acme)
	for _, x := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "", 404},
		{http.MethodGet, "/", 404},
		{http.MethodGet, "/nothing", 404},
		{http.MethodGet, "/account", 404},
		{http.MethodGet, "/Accounts", 404},
		{http.MethodGet, "//accounts", 404},
		{http.MethodGet, "/accounts//", 404},
		{http.MethodGet, "/accounts/acme//", 404},
		{http.MethodGet, "/accounts/./acme", 404},
		{http.MethodGet, "/accounts/../accounts", 404},
		{http.MethodGet, "/accounts/acme/nothing", 404},
		{http.MethodGet, "/accounts/acme/users/u", 404},
		{http.MethodDelete, "/accounts/acme/stage_history/s/1/2", 404},
		{http.MethodDelete, "/accounts/acme/nps_history/1/2", 404},
		{http.MethodDelete, "/accounts/acme/dimension_events/x", 404},
		{http.MethodGet, "/account_users/u/acme/x", 404},
		{http.MethodPut, "/accounts", 405},
		{http.MethodDelete, "/accounts", 405},
		{http.MethodPatch, "/accounts", 405},
		{http.MethodPost, "/accounts/acme", 405},
		{http.MethodPatch, "/accounts/acme", 405},
		{http.MethodOptions, "/accounts/acme", 405},
		{http.MethodGet, "/accounts/acme/stage_history", 405},
		{http.MethodGet, "/accounts/acme/nps_history/1", 405},
		{http.MethodPost, "/accounts/acme/documents", 405},
		{http.MethodGet, "/accounts/acme/documents/d", 405},
		{http.MethodPut, "/accounts/acme/users", 405},
		{http.MethodDelete, "/account_users", 405},
		{http.MethodPut, "/account_users/u/acme", 405},
		{http.MethodPost, "/account_contacts/u", 405},
		{http.MethodPost, "/openapi.json", 405},
	} {
		if c.target.IgnoresEmptySegments && strings.Contains(x.path, "//") {
			continue
		}
		c.sub(fmt.Sprintf("%s %s", x.method, x.path), func(c *client) {
			r := request{method: x.method, path: x.path}
			a := c.send(r)
			if a.status != x.status {
				c.Fatalf("status %d, want %d", a.status, x.status)
			}
			a.want(`{"status_is_ok": false, "message": "<text>"}`)
			if allow := a.header.Get("Allow"); x.status == 405 && (allow == "" || strings.Contains(allow, x.method)) {
				c.Errorf("Allow is %q", allow)
			}
			if r.credentials = query(""); x.status == 404 && c.send(r).status != 404 {
				c.Errorf("without a key the status is not 404")
			}
		})
	}
}

// testTrailingSlash shows that one is accepted after any path (P1).
func testTrailingSlash(c *client) {
	c.play(
		step{"upload", "POST /accounts/", acme, ""},
		step{"upload users", "POST /account_users/", `{"records": [{"account_id": "acme", "user_id": "u", "first_name": "A", "last_name": "B"}]}`, ""},
		step{"list", "GET /accounts/", "", `{"results": [{"account_id": "acme"}]}`},
		step{"read", "GET /accounts/acme/", "", `{"results": [{"account_id": "acme"}]}`},
		step{"modify", "PUT /accounts/acme/", `{"data": {"phone": "1"}}`, ""},
		step{"documents", "GET /accounts/acme/documents/", "", `{"results": []}`},
		step{"users of the account", "GET /accounts/acme/users/", "", `{"results": [{"user_id": "u"}]}`},
		step{"read a user", "GET /account_users/u/acme/", "", `{"results": [{"user_id": "u"}]}`},
		step{"delete within", "DELETE /accounts/acme/assigned_csms/", "", ""},
		step{"deactivate a user", "DELETE /account_users/u/", "", ""},
		step{"deactivate", "DELETE /accounts/acme/", "", ""},
		step{"done", "GET /accounts/acme", "", `{"results": [{"phone": "1", "is_active": false}]}`},
	)
}

// awkward are texts that a path holds only escaped, or that something on the
// way may take for something else.
var awkward = []string{
	"plain", "with space", " ", "a/b", "/", "a/", "/a", "a//b", "50%", "%2F", "%", ".", "..", "./a", "...", "a+b", "a b+c",
	"a?b=c", "a#b", "a;b", "a&b=c", "a:b@c", "[x]", `"quoted"`, `back\slash`, "naïve café", "日本語", "😀", "e\u0301", "\u00e9",
	"tab\tand\nline", "\u2028", "\u00a0", "null", "0", "users", "documents", "x~y", "{id}", "<b>",
}

// testIDsOfAnyText shows that an id is any text (P1): each is read, changed and
// deactivated under its own name only.
func testIDsOfAnyText(c *client) {
	var accounts, users []any
	for _, id := range awkward {
		accounts = append(accounts, object{"account_id": id, "name": id, "join_date": 1})
		users = append(users, object{"account_id": id, "user_id": id, "first_name": id, "last_name": id})
	}
	c.upload("/accounts", accounts...).want(fmt.Sprintf(`{"inserted": %d}`, len(awkward)))
	c.upload("/account_users", users...).want(fmt.Sprintf(`{"inserted": %d}`, len(awkward)))
	c.upload("/account_contacts", users...).want(fmt.Sprintf(`{"inserted": %d}`, len(awkward)))
	for _, id := range awkward {
		c.sub(id, func(c *client) {
			path := segment(id)
			results := toJSON([]any{object{"account_id": id}})
			for _, get := range []string{
				"/accounts/" + path, "/accounts/" + path + "/users", "/accounts/" + path + "/contacts",
				"/account_users/" + path, "/account_users/" + path + "/" + path,
				"/account_contacts/" + path, "/account_contacts/" + path + "/" + path,
			} {
				c.get(get).want(`{"results": ` + results + `}`)
			}
			c.put("/accounts/"+path, toJSON(object{"data": object{"phone": id}})).want(`{"status_is_ok": true}`)
			c.put("/account_users/"+path, toJSON(object{"data": object{"phone": id}})).want(`{"status_is_ok": true}`)
			c.get("/accounts/" + path).want(`{"results": [` + toJSON(object{"account_id": id, "name": id, "phone": id}) + `]}`)
			c.get("/account_users/" + path).want(`{"results": [` + toJSON(object{"user_id": id, "first_name": id, "phone": id}) + `]}`)
			c.delete("/account_users/" + path + "/" + path).want(`{"status_is_ok": true}`)
			c.get("/account_users/" + path).want(`{"results": [{"is_active": false}]}`)
			c.delete("/accounts/" + path).want(`{"status_is_ok": true}`)
			c.get("/accounts/" + path).want(`{"results": [{"is_active": false}]}`)
		})
	}
}

// segment escapes text for one segment of a path. A dot is left as it is by
// url.PathEscape, but a segment of dots would not arrive.
func segment(text string) string {
	return strings.ReplaceAll(url.PathEscape(text), ".", "%2E")
}

// testHead shows that HEAD answers as GET does, without the body.
func testHead(c *client) {
	c.post("/accounts", acme)
	for path, status := range map[string]int{"/accounts": 200, "/accounts/acme": 200, "/accounts/acme/users": 200, "/nothing": 404} {
		a := c.exchange(request{method: http.MethodHead, path: path})
		if a.status != status || len(a.raw) > 0 || a.header.Get("Content-Type") != "application/json" {
			c.Errorf("HEAD %s: status %d, Content-Type %q, %d bytes", path, a.status, a.header.Get("Content-Type"), len(a.raw))
		}
	}
	a := c.exchange(request{method: http.MethodHead, path: "/accounts", credentials: query("")})
	if a.status != http.StatusUnauthorized {
		c.Errorf("HEAD without a key: status %d, want 401", a.status)
	}
}

// testMalformedBodies shows that what is not JSON is refused with status 200
// (P3), applies nothing and leaves no lock behind.
func testMalformedBodies(c *client) {
	c.post("/accounts", acme)
	const good = `{"account_id":"x","name":"n","join_date":1}`
	for _, body := range []string{
		``, ` `, `{`, `}`, `{"records"`, `{"records":`, `{"records":}`, `{"records":[`, `{"records":[}`, `{"records":[]`,
		`{"records":[` + good + `]`, `{"records":[` + good, `{"records":[` + good + `,]}`, `{"records":[` + good + `],}`,
		`{"records":[` + good + ` ` + good + `]}`, `{"records":[` + good + `]} x`, `{"records":[` + good + `]}{}`,
		`{'records':[` + good + `]}`, `{records:[` + good + `]}`, `{"records" [` + good + `]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":NaN}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":Infinity}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":01}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":+1}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":.5}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":1.}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":1e}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":0x1}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":-}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":tru}]}`,
		`{"records":[{"account_id":"x","name":"n","join_date":True}]}`,
		`{"records":[{"account_id":"x","name":"a` + "\n" + `b","join_date":1}]}`,
		`{"records":[{"account_id":"x","name":"a\xb","join_date":1}]}`,
		`{"records":[{"account_id":"x","name":"\u12","join_date":1}]}`,
		`{"records":[{"account_id":"x","name":"\ud800","join_date":1}]}`,
		`{"records":[{"account_id":"x","name":"` + "\xff\xfe" + `","join_date":1}]}`,
		`{"records":[{"account_id":"x","name":"` + "\xed\xa0\x80" + `","join_date":1}]}`,
		`{"records":[{"account_id":"x" /* no */,"name":"n","join_date":1}]}`,
		strings.Repeat("[", 100_000),
		`{"records":[{"x":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}]}`,
	} {
		for _, r := range []request{{method: http.MethodPost, path: "/accounts"}, {method: http.MethodPut, path: "/accounts/acme"}} {
			r.body = []byte(body)
			a := c.send(r)
			if a.status != http.StatusOK {
				c.Errorf("%s with %.80q: status %d, want 200", a.what, body, a.status)
			}
			a.want(`{"status_is_ok": false, "code": "malformed"}`)
			if r.method == http.MethodPost {
				a.want(`{"failed_results": []}`)
			}
		}
	}
	c.get("/accounts").want(`{"results": [{"account_id": "acme", "name": "Acme"}]}`)
}

// testWrongShapes shows what becomes of JSON that is not a request (P3, P9, Q7).
func testWrongShapes(c *client) {
	c.play(
		step{"upload", "POST /accounts", acme, `{"inserted": 1}`},
		step{"array", "POST /accounts", `[]`, `{"status_is_ok": false, "message": "<text>", "failed_results": []}`},
		step{"text", "POST /accounts", `"records"`, `{"status_is_ok": false, "message": "<text>", "failed_results": []}`},
		step{"number", "POST /accounts", `1`, `{"status_is_ok": false, "message": "<text>", "failed_results": []}`},
		step{"null", "POST /accounts", `null`, `{"status_is_ok": false, "message": "<text>", "failed_results": []}`},
		step{"no records", "POST /accounts", `{}`, `{"status_is_ok": false, "code": "missing_field", "field": "records", "failed_results": []}`},
		step{"records in another case", "POST /accounts", `{"Records": []}`, `{"status_is_ok": false, "field": "records", "failed_results": []}`},
		step{"null records", "POST /accounts", `{"records": null}`, `{"status_is_ok": false, "field": "records", "failed_results": []}`},
		step{"records that are an object", "POST /accounts", `{"records": {}}`, `{"status_is_ok": false, "code": "wrong_type", "field": "records", "failed_results": []}`},
		step{"data instead of records", "POST /accounts", `{"data": {}}`, `{"status_is_ok": false, "field": "records"}`},
		step{"empty records", "POST /accounts", `{"records": []}`, `{"status_is_ok": true, "inserted": 0, "changed": 0, "unchanged": 0, "failed": 0, "failed_results": []}`},
		step{"records that are none", "POST /accounts", `{"records": [1, "x", null, [], true]}`,
			`{"status_is_ok": false, "failed": 5, "failed_results": [
				{"record": 0, "code": "wrong_type"}, {"record": 1, "code": "wrong_type"}, {"record": 2, "code": "wrong_type"},
				{"record": 3, "code": "wrong_type"}, {"record": 4, "code": "wrong_type"}]}`},
		step{"empty record", "POST /accounts", `{"records": [{}]}`,
			`{"status_is_ok": false, "failed_results": [{"record": 0, "code": "missing_field", "field": "account_id", "account_id": "<absent>"}]}`},
		step{"options that are none", "POST /accounts", `{"options": [], "records": []}`, `{"status_is_ok": false, "code": "wrong_type", "field": "options", "failed_results": []}`},
		step{"option that is no boolean", "POST /accounts", `{"options": {"dry_run": "yes"}, "records": [{"account_id": "x", "name": "n", "join_date": 1}]}`,
			`{"status_is_ok": false, "code": "wrong_type", "field": "options.dry_run", "failed_results": []}`},
		step{"null options", "POST /accounts", `{"options": null, "records": []}`, ""},
		step{"null and unknown option", "POST /accounts", `{"options": {"dry_run": null, "fast": "yes"}, "records": []}`, `{"dry_run": "<absent>"}`},
		step{"members besides, records last", "POST /accounts", `{"x": [{"records": 1}], "records": [], "y": "records"}`, ""},
		step{"member named with an escape", "POST /accounts", `{"\u0072ecords": [{"account_id": "acme", "phone": "1"}]}`, `{"changed": 1}`},
		step{"member twice: the last counts", "POST /accounts", `{"records": [{"account_id": "acme", "phone": "2", "phone": "3"}]}`, `{"changed": 1}`},
		step{"the last counted", "GET /accounts/acme", "", `{"results": [{"phone": "3"}]}`},
		step{"PUT array", "PUT /accounts/acme", `[]`, `{"status_is_ok": false}`},
		step{"PUT null", "PUT /accounts/acme", `null`, `{"status_is_ok": false}`},
		step{"PUT null data", "PUT /accounts/acme", `{"data": null}`, `{"status_is_ok": false, "code": "wrong_type", "field": "data"}`},
		step{"PUT data that is an array", "PUT /accounts/acme", `{"data": [{"phone": "4"}]}`, `{"status_is_ok": false, "code": "wrong_type", "field": "data"}`},
		step{"PUT empty data", "PUT /accounts/acme", `{"data": {}}`, ""},
		step{"PUT empty object", "PUT /accounts/acme", `{}`, ""},
		step{"PUT bare object", "PUT /accounts/acme", `{"phone": "5"}`, ""},
		step{"the bare object counted", "GET /accounts/acme", "", `{"results": [{"phone": "5", "name": "Acme"}]}`},
		step{"PUT with the same id", "PUT /accounts/acme", `{"data": {"account_id": "acme", "phone": "6"}}`, ""},
		step{"PUT with another id", "PUT /accounts/acme", `{"data": {"account_id": "Acme", "phone": "7"}}`, `{"status_is_ok": false, "code": "conflicting", "field": "account_id"}`},
		step{"PUT of nothing that exists", "PUT /accounts/x", `{"data": {"phone": "8"}}`, `{"status_is_ok": false, "code": "not_found", "message": "Account not found"}`},
		step{"PUT an empty object to nothing", "PUT /accounts/x", `{}`, `{"status_is_ok": false, "message": "Account not found"}`},
		step{"nothing else happened", "GET /accounts", "", `{"results": [{"account_id": "acme", "phone": "6"}]}`},
	)
}

// testContentTypes shows that a body is JSON whatever its type says (P4).
func testContentTypes(c *client) {
	for i, contentType := range []string{
		"", "application/json", "application/json; charset=utf-8", "text/plain", "application/octet-stream",
		"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense",
	} {
		body := fmt.Sprintf(`{"records": [{"account_id": "a%d", "name": "n", "join_date": 1}]}`, i)
		for _, chunked := range []bool{false, true} {
			a := c.send(request{method: http.MethodPost, path: "/accounts", body: []byte(body), chunked: chunked,
				header: map[string]string{"Content-Type": contentType}})
			want := `{"status_is_ok": true, "inserted": 1}`
			if chunked {
				want = `{"status_is_ok": true, "unchanged": 1}`
			}
			a.want(want)
		}
		c.put(fmt.Sprintf("/accounts/a%d", i), `{"data": {"phone": "1"}}`).want(`{"status_is_ok": true}`)
	}
	if n := len(c.get("/accounts").results()); n != 8 {
		c.Errorf("%d accounts, want 8", n)
	}
}

// maxBody is the largest request body (P4).
const maxBody = 10 << 20

// bodyOf returns an upload of one account that is size bytes long. What makes
// it long is in a field that nobody knows, so that it costs the store nothing.
func bodyOf(id string, size int) []byte {
	start := fmt.Sprintf(`{"records": [{"account_id": %q, "name": "n", "join_date": 1, "padding": "`, id)
	const end = `"}]}`
	return []byte(start + strings.Repeat("x", size-len(start)-len(end)) + end)
}

// gzippedBody returns bodyOf compressed, without ever having it whole: gzip
// files one after the other are one.
func gzippedBody(id string, size int) []byte {
	const padding = 1 << 20
	shortest := bodyOf(id, size%padding+padding)
	cut := len(shortest) / 2
	body := gzipped(shortest[:cut])
	megabyte := gzipped(bytes.Repeat([]byte("x"), padding))
	for range size/padding - 1 {
		body = append(body, megabyte...)
	}
	return append(body, gzipped(shortest[cut:])...)
}

func gzipped(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(text) // a buffer takes everything
	w.Close()
	return b.Bytes()
}

var asGzip = map[string]string{"Content-Encoding": "gzip"}

// testBodyLimit shows the limit of P4, to the byte, plain and compressed.
func testBodyLimit(c *client) {
	c.post("/accounts", acme)
	largest := maxBody
	if c.target.MaxPlainBody != 0 {
		largest = c.target.MaxPlainBody
	}
	for _, x := range []struct {
		name    string
		id      string
		size    int
		header  map[string]string
		chunked bool
		status  int
	}{
		{"largest", "largest", largest, nil, false, 200},
		{"largest, in chunks", "chunks", largest, nil, true, 200},
		{"largest, compressed", "compressed", maxBody, asGzip, false, 200},
		{"one byte more", "x1", largest + 1, nil, false, 413},
		{"one byte more, in chunks", "x2", largest + 1, nil, true, 413},
		{"one byte more, compressed", "x3", maxBody + 1, asGzip, false, 413},
		{"ten times as much, compressed", "x4", 10 * maxBody, asGzip, false, 413},
	} {
		c.sub(x.name, func(c *client) {
			var body []byte
			if x.header != nil {
				body = gzippedBody(x.id, x.size)
			} else {
				body = bodyOf(x.id, x.size)
			}
			a := c.send(request{method: http.MethodPost, path: "/accounts", body: body, header: x.header, chunked: x.chunked})
			if a.status != x.status {
				c.Fatalf("status %d, want %d: %.300s", a.status, x.status, a.raw)
			}
			if x.status == 200 {
				a.want(`{"status_is_ok": true, "inserted": 1}`)
				return
			}
			a.want(`{"status_is_ok": false}`)
			message, _ := a.member("message").(string)
			if !strings.Contains(message, "gzip") || !strings.Contains(message, "batches") {
				c.Errorf("the message does not name gzip and smaller batches: %q", message)
			}
			put := c.send(request{method: http.MethodPut, path: "/accounts/acme", body: body, header: x.header, chunked: x.chunked})
			if put.status != 413 {
				c.Errorf("PUT: status %d, want 413", put.status)
			}
		})
	}
	if n := len(c.get("/accounts").results()); n != 4 {
		c.Errorf("%d accounts, want 4: a body that was refused has been applied", n)
	}
}

// testCompressedRequests shows gzip on requests, and what is refused (P4).
func testCompressedRequests(c *client) {
	body := []byte(acme)
	packed := gzipped(body)
	for _, x := range []struct {
		name     string
		encoding string
		body     []byte
		want     string
	}{
		{"gzip", "gzip", packed, `{"status_is_ok": true, "inserted": 1}`},
		{"in another case", "GZIP", packed, `{"status_is_ok": true, "unchanged": 1}`},
		{"old name", "x-gzip", packed, `{"status_is_ok": true, "unchanged": 1}`},
		{"identity", "identity", body, `{"status_is_ok": true, "unchanged": 1}`},
		{"two members", "gzip", append(gzipped(body[:20]), gzipped(body[20:])...), `{"status_is_ok": true, "unchanged": 1}`},
		{"not compressed", "gzip", body, `{"status_is_ok": false, "code": "malformed", "failed_results": []}`},
		{"empty", "gzip", []byte{}, `{"status_is_ok": false, "code": "malformed", "failed_results": []}`},
		{"cut off", "gzip", packed[:len(packed)-5], `{"status_is_ok": false, "code": "malformed", "failed_results": []}`},
		{"damaged", "gzip", append(append([]byte{}, packed[:len(packed)-8]...), make([]byte, 8)...), `{"status_is_ok": false, "code": "malformed", "failed_results": []}`},
		{"unmarked", "", packed, `{"status_is_ok": false, "code": "malformed", "failed_results": []}`},
		{"another compression", "br", packed, `{"status_is_ok": false, "code": "malformed", "failed_results": []}`},
	} {
		c.sub(x.name, func(c *client) {
			a := c.send(request{method: http.MethodPost, path: "/accounts", body: x.body, header: map[string]string{"Content-Encoding": x.encoding}})
			if a.status != 200 {
				c.Errorf("status %d, want 200", a.status)
			}
			a.want(x.want)
		})
	}
	c.send(request{method: http.MethodPut, path: "/accounts/acme", body: gzipped([]byte(`{"data": {"phone": "1"}}`)), header: asGzip}).want(`{"status_is_ok": true}`)
	c.get("/accounts").want(`{"results": [{"phone": "1"}]}`)
}

// inflate decompresses the answer.
func (a *answer) inflate() {
	a.t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(a.raw))
	if err == nil {
		a.raw, err = io.ReadAll(r)
	}
	if err != nil {
		a.t.Fatalf("%s: the answer is not valid gzip: %v", a.what, err)
	}
}

// testCompressedAnswers shows gzip on answers as the client allows it (P4).
func testCompressedAnswers(c *client) {
	var records []any
	for i := range 50 {
		records = append(records, object{"account_id": fmt.Sprint(i), "name": "n", "join_date": 1})
	}
	c.upload("/accounts", records...)
	plain := c.send(request{method: http.MethodGet, path: "/accounts"})
	if plain.header.Get("Content-Encoding") != "" {
		c.Errorf("compressed although the client did not ask for it")
	}
	for encodings, compressed := range map[string]bool{
		"gzip":                   true,
		"GZIP":                   true,
		"gzip, deflate, br":      true,
		"deflate, gzip;q=0.5":    true,
		"br;q=1.0, gzip;q=0.001": true,
		"*":                      true,
		"identity;q=0, gzip":     true,
		"gzip;q=0":               false,
		"gzip; q=0.0, deflate":   false,
		"gzip;q=0, *":            false,
		"*;q=0":                  false,
		"identity":               false,
		"deflate":                false,
		"identity;q=1, gzip;q=0": false,
		"*;q=0.5, br":            true,
	} {
		a := c.exchange(request{method: http.MethodGet, path: "/accounts", header: map[string]string{"Accept-Encoding": encodings}})
		got := a.header.Get("Content-Encoding")
		if (got == "gzip") != compressed {
			c.Errorf("Accept-Encoding: %s: Content-Encoding %q, want compressed: %t", encodings, got, compressed)
		}
		if !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
			c.Errorf("Accept-Encoding: %s: Vary is %q", encodings, a.header.Get("Vary"))
		}
		if got == "gzip" {
			a.inflate()
		}
		if !bytes.Equal(a.raw, plain.raw) {
			c.Errorf("Accept-Encoding: %s: another body", encodings)
		}
	}
}
