package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

const testKey = "not-a-real-key"

// openStore returns an empty store.
func openStore(t testing.TB) *embedded.Table {
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
	return store
}

// newHandler returns the API over an empty embedded store.
func newHandler(t testing.TB) http.Handler {
	t.Helper()
	store := openStore(t)
	keys := access.New(store, nil)
	if err := keys.EnsureWorkspace(t.Context(), "acme", testKey); err != nil {
		t.Fatal(err)
	}
	engine := resource.New(resource.Config{Table: store, Root: catalog.Root})
	h, err := api.New(api.Config{Engine: engine, Access: keys, Usage: usage.New(usage.Config{Table: store, Engine: engine}), Timeout: time.Minute}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// send sends one request with a valid key; header holds pairs.
func send(h http.Handler, method string, target *url.URL, body []byte, header ...string) *httptest.ResponseRecorder {
	r := &http.Request{
		Method: method, URL: target, Host: "example.com", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	r.SetBasicAuth("api", testKey)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// promised returns the answer's members, having checked what every answer
// promises: JSON, with status_is_ok, of a status that is the client's or fine.
func promised(t testing.TB, what string, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	if !slices.Contains([]int{200, 401, 404, 405, 413, 429}, w.Code) {
		t.Fatalf("%s: status %d: %.500s", what, w.Code, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Fatalf("%s: Content-Type %q", what, got)
	}
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %v: %.500s", what, err, w.Body)
	}
	ok, isBool := answer["status_is_ok"].(bool)
	if !isBool || ok && w.Code != http.StatusOK {
		t.Fatalf("%s: status %d, status_is_ok %v", what, w.Code, answer["status_is_ok"])
	}
	if message, _ := answer["message"].(string); !ok && message == "" {
		t.Fatalf("%s: a failure without a message: %.500s", what, w.Body)
	}
	if strings.Contains(w.Body.String(), testKey) {
		t.Fatalf("%s: the answer holds the key: %.500s", what, w.Body)
	}
	return answer
}

func at(t testing.TB, target string) *url.URL {
	t.Helper()
	u, err := url.ParseRequestURI("/api/v2" + target)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// seeds holds a record of each family, and the path by which it is reached.
var seeds = map[string]struct{ one, record string }{
	"accounts": {"/accounts/a1", `{"account_id":"a1","name":"Acme","join_date":1,"stage":"trial",
		"documents":[{"name":"d","url":"u"}],"nps_history":[{"nps_score":5,"date":1}]}`},
	"account_users":    {"/account_users/u1", `{"account_id":"a1","user_id":"u1","first_name":"A","last_name":"B"}`},
	"account_contacts": {"/account_contacts/u1", `{"account_id":"a1","user_id":"u1","first_name":"A","last_name":"B"}`},
	"metrics":          {"/metrics/m1", `{"account_id":"a1","name":"m1","metrics":[{"timestamp":1,"value":2.5},{"timestamp":-5,"value":0}]}`},
	"subscriptions": {"/subscriptions/s1", `{"account_id":"a1","subscription_id":"s1","event":"revenue","effective_start_date":1000,"total_revenue":100,
		"cycle_unit":"month","cycle_length":1,"next_renewal_date":5000,"custom_dimensions":[{"key":"k","value":"v"}]}`},
	"statements": {"/statements/i1", `{"account_id":"a1","invoice_id":"i1","start_date":1,"line_items":[{"amount":1,"is_recurring":true}],
		"transactions":[{"tx_id":"t","paid_amount":1,"paid_date":1}]}`},
	"support_tickets": {"/support_tickets/t1", `{"account_id":"a1","ticket_id":"t1","state":"open","subject":"s","create_time":1}`},
	"interactions":    {"/interactions/external_id/e1", `{"account_id":"a1","external_id":"e1","type":"email","create_time":1}`},
	"notes":           {"/notes/external_id/e1", `{"account_id":"a1","external_id":"e1","create_time":1}`},
}

// seed stores the record of each family.
func seed(t testing.TB, h http.Handler) {
	t.Helper()
	for _, f := range catalog.All() {
		path := "/" + f.Schema.Name
		records := `{"records":[` + seeds[f.Schema.Name].record + `]}`
		if answer := promised(t, path, send(h, "POST", at(t, path), []byte(records))); answer["status_is_ok"] != true || answer["inserted"] != 1.0 {
			t.Fatal(path, answer)
		}
	}
}

// checkUpload checks what an upload's answer promises of its results.
func checkUpload(t *testing.T, body []byte, answer map[string]any) {
	t.Helper()
	failed, isList := answer["failed_results"].([]any)
	if !isList {
		t.Fatalf("no failed_results: %v", answer)
	}
	last := -1.0
	for _, result := range failed {
		one, _ := result.(map[string]any)
		record, isNumber := one["record"].(float64)
		if message, _ := one["message"].(string); !isNumber || record <= last || message == "" || one["status_is_ok"] != false {
			t.Fatalf("a failed result %v after record %g", one, last)
		}
		last = record
	}
	inserted, counted := answer["inserted"].(float64)
	if !counted {
		return // refused as a whole
	}
	changed, unchanged := answer["changed"].(float64), answer["unchanged"].(float64)
	var sent map[string]json.RawMessage // a struct would take RECORDS for records
	var records []json.RawMessage
	if json.Unmarshal(body, &sent) != nil || json.Unmarshal(sent["records"], &records) != nil || last >= float64(len(records)) {
		t.Fatalf("%v is the answer to %q", answer, body)
	}
	_, fatal := answer["code"]
	if sum := inserted + changed + unchanged + float64(len(failed)); !fatal && sum != float64(len(records)) {
		t.Fatalf("%g of %d records are accounted for: %v", sum, len(records), answer)
	}
	if ok := answer["status_is_ok"].(bool); fatal && ok || !fatal && !ok && inserted+changed+unchanged > 0 {
		t.Fatalf("status_is_ok %t: %v", ok, answer)
	}
}

func FuzzPathAndQuery(f *testing.F) {
	h := newHandler(f)
	seed(f, h)
	for _, target := range []string{
		"accounts", "accounts/", "accounts//", "accounts/a1", "accounts/a1/users", "accounts/a1/contacts", "accounts/a1/documents/d",
		"accounts/a1/stage_history/trial/1", "accounts/a1/nps_history/x", "accounts/a1/nps_history/-9223372036854775808",
		"accounts/a1/dimension_values/k", "accounts/a1/dimension_labels", "accounts/a1/assigned_csms/joe%40example.com",
		"account_users/u1", "account_users/u1/a1", "account_users/%2F/%00", "account_contacts/..%2f", "accounts/%FF", "accounts/%ff/users",
		"accounts/a1/metrics", "accounts/a1/statements", "accounts/a1/support_tickets", "accounts/a1/subscriptions", "accounts/a1/mrr_movements",
		"metrics/m1", "metrics/account_id", "subscriptions", "subscriptions/s1", "statements/i1", "support_tickets/t1", "mrr_movements",
		"interactions", "interactions/external_id", "interactions/external_id/e1", "interactions/1", "interactions/x", "interactions/-9223372036854775809",
		"notes", "notes/external_id/%2F", "notes/1e3", "notes/01", "search/accounts", "search/notes",
		"accounts/.", "accounts/..", "accounts/%2e", "", "nonsense", "accounts/" + strings.Repeat("%F0%9F%98%80", 300),
	} {
		f.Add(target, "")
	}
	for _, query := range []string{
		"page=0", "page=-1", "page=99", "page=2147483647", "page=x", "order_by=name", "order_by=join_date&direction=ASC", "order_by=%ff",
		"order_by=nonsense", "direction=up", "include_inactive=TRUE", "include=assigned_csms,custom_event_dimensions,x", "churn=true",
		"inactive_time=x", "inactive_time=-5", "dimension=", "dimension=k", "dimension=k&all_dimensions=true", "%zz", "a;b", "api_key=wrong",
	} {
		f.Add("accounts", query)
		f.Add("account_users/u1", query)
		f.Add("accounts/a1/users", query)
	}
	for target, query := range map[string]string{
		"accounts/a1/metrics": "direction=asc&page=9223372036854775", "metrics/m1": "account_id=a1&page=1", "subscriptions/s1": "history=true",
		"subscriptions": "order_by=start_date&direction=asc", "accounts/a1/subscriptions": "order_by=revenue", "accounts/a1/statements": "order_by=paid_amount",
		"accounts/a1/support_tickets": "order_by=csat_value", "interactions": "create_time=1&modify_time=-9223372036854775808&account_id=a1",
		"interactions/external_id": "modify_time=9223372036854775807", "notes/external_id/e1": "create_time=x", "mrr_movements": "start=5&end=4",
		"accounts/a1/mrr_movements": "direction=asc", "subscriptions/s2": "start_date=1000",
	} {
		f.Add(target, query)
	}
	f.Add("mrr_movements", "start=-9223372036854775808&end=9223372036854775807")
	f.Fuzz(func(t *testing.T, path, query string) {
		target, err := url.ParseRequestURI("/api/v2/" + path + "?" + query)
		if err != nil {
			return // the server itself refuses such a request line
		}
		if strings.TrimSuffix(target.Path, "/") == "/api/v2/openapi.json" {
			return // the API's description is an OpenAPI document, not an answer of it
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT"} {
			promised(t, method+" "+target.String(), send(h, method, target, nil))
		}
	})
}

// escape percent-encodes every byte, so that nothing of text has a meaning in
// a path.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%%%02X", text[i])
	}
	return b.String()
}

func TestAnyIDIsReachedByItsPath(t *testing.T) {
	h := newHandler(t)
	reach := func(t interface{ Fatalf(string, ...any) }, id string) {
		quoted, err := json.Marshal(id)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, request := range []struct{ method, path, body string }{
			{"POST", "/accounts", fmt.Sprintf(`{"records":[{"account_id":%s,"name":"Acme","join_date":1}]}`, quoted)},
			{"POST", "/account_users", fmt.Sprintf(`{"records":[{"account_id":%s,"user_id":%[1]s,"first_name":"A","last_name":"B"}]}`, quoted)},
			{"GET", "/accounts/" + escape(id), ""},
			{"GET", "/accounts/" + escape(id) + "/users/?include_inactive=true", ""}, // an id drawn twice
			{"GET", "/account_users/" + escape(id) + "/" + escape(id), ""},
			{"PUT", "/account_users/" + escape(id), fmt.Sprintf(`{"data":{"account_id":%s,"title":"T"}}`, quoted)},
			{"DELETE", "/account_users/" + escape(id) + "/" + escape(id) + "/", ""},
		} {
			u, err := url.ParseRequestURI("/api/v2" + request.path)
			if err != nil {
				t.Fatalf("%v", err)
			}
			w := send(h, request.method, u, []byte(request.body))
			var answer struct {
				OK      bool `json:"status_is_ok"`
				Results []map[string]any
			}
			err = json.Unmarshal(w.Body.Bytes(), &answer)
			if err != nil || !answer.OK || request.method == "GET" && (len(answer.Results) != 1 || answer.Results[0]["account_id"] != id) {
				t.Fatalf("id %q: %s %s: %d %.300s", id, request.method, request.path, w.Code, w.Body)
			}
		}
	}
	for _, id := range []string{"/", "//", ".", "..", "%", "%2F", "?", "#", "a/b", "/a", "a/", "\x00", "\x00/", "\x00\x00", "\x01", " ", "+", "é", "\u2028", "users", "a;b"} {
		reach(t, id)
	}
	rapid.Check(t, func(t *rapid.T) { reach(t, rapid.StringN(1, 256, 1024).Draw(t, "id")) })
}

func TestAnswersAreCompressedForThoseWhoTakeIt(t *testing.T) {
	h := newHandler(t)
	seed(t, h)
	for _, c := range []struct {
		accept     string
		compressed bool
	}{
		{"", false}, {"gzip", true}, {"GZIP", true}, {"deflate, gzip", true}, {"gzip;q=1.0", true}, {"gzip; q=0.5", true},
		{"gzip;q=0", false}, {"gzip;q=0.0, identity", false}, {"identity", false}, {"br", false}, {"deflate", false},
		{"br;q=1.0, gzip;q=0.8, *;q=0.1", true}, {"identity;q=0, gzip", true}, {"gzip;q=", false}, {",,;q", false},
	} {
		w := send(h, "GET", at(t, "/accounts/a1"), nil, "Accept-Encoding", c.accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.compressed {
			t.Errorf("Accept-Encoding %q: compressed %t", c.accept, got)
		}
		if !strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
			t.Errorf("Accept-Encoding %q: Vary %q", c.accept, w.Header().Get("Vary"))
		}
		if c.compressed {
			inflate, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := io.ReadAll(inflate)
			if err != nil {
				t.Fatal(err)
			}
			w.Body = bytes.NewBuffer(whole)
		}
		promised(t, c.accept, w)
	}
}

func TestBodiesArriveCompressedOrNot(t *testing.T) {
	h := newHandler(t)
	body := []byte(`{"records":[{"account_id":"a1","name":"Acme","join_date":1}]}`)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		encoding string
		body     []byte
		ok       bool
	}{
		{"", body, true}, {"identity", body, true}, {"gzip", zipped.Bytes(), true}, {"x-gzip", zipped.Bytes(), true}, {" GZip ", zipped.Bytes(), true},
		{"gzip", body, false}, {"gzip", nil, false}, {"gzip", zipped.Bytes()[:zipped.Len()-4], false}, {"br", body, false}, {"gzip, gzip", body, false},
	} {
		answer := promised(t, c.encoding, send(h, "POST", at(t, "/accounts"), c.body, "Content-Encoding", c.encoding))
		if answer["status_is_ok"] != c.ok {
			t.Errorf("Content-Encoding %q of %d bytes: %v", c.encoding, len(c.body), answer)
		}
	}
}

// spaces is a body of n spaces, compressed: gzip files one after the other are
// one, so a megabyte needs to be compressed but once.
func spaces(t *testing.T, n int) []byte {
	t.Helper()
	compressed := func(n int) []byte {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		if _, err := w.Write(bytes.Repeat([]byte{' '}, n)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return zipped.Bytes()
	}
	return append(bytes.Repeat(compressed(1<<20), n>>20), compressed(n%(1<<20))...)
}

func TestTheLimitIsOnTheInflatedSize(t *testing.T) {
	h := newHandler(t)
	if w := send(h, "POST", at(t, "/accounts"), spaces(t, api.MaxBodyBytes), "Content-Encoding", "gzip"); w.Code != http.StatusOK {
		t.Errorf("10 MB: status %d", w.Code)
	}
	for what, w := range map[string]*httptest.ResponseRecorder{
		"a byte more":             send(h, "POST", at(t, "/accounts"), spaces(t, api.MaxBodyBytes+1), "Content-Encoding", "gzip"),
		"a byte more, in clear":   send(h, "POST", at(t, "/accounts"), bytes.Repeat([]byte{' '}, api.MaxBodyBytes+1)),
		"many times more":         send(h, "POST", at(t, "/accounts"), spaces(t, 64<<20), "Content-Encoding", "gzip"),
		"a byte more in a modify": send(h, "PUT", at(t, "/accounts/a1"), bytes.Repeat([]byte{' '}, api.MaxBodyBytes+1)),
	} {
		answer := promised(t, what, w)
		if message, _ := answer["message"].(string); w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(message, "gzip") {
			t.Errorf("%s: status %d, %v", what, w.Code, answer)
		}
	}
}

func TestCredentials(t *testing.T) {
	h := newHandler(t)
	for _, c := range []struct {
		query, user, password string
		status                int
	}{
		{"api_key=" + testKey, "", "", 200},
		{"", "api", testKey, 200},
		{"api_key=" + testKey, "api", testKey, 200},
		{"api_key=&", "api", testKey, 200},
		{"", "", "", 401},
		{"api_key=wrong", "", "", 401},
		{"", "api", "wrong", 401},
		{"", "other", testKey, 401},
		{"api_key=wrong", "api", testKey, 401},
		{"api_key=" + testKey, "api", "wrong", 401},
		{"api_key=" + testKey + "&api_key=wrong", "", "", 401},
	} {
		r := httptest.NewRequest("GET", "/api/v2/accounts?"+c.query, nil)
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		promised(t, fmt.Sprint(c), w)
		if w.Code != c.status || w.Code == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic") {
			t.Errorf("%+v: status %d, WWW-Authenticate %q", c, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
}

func TestOtherMethodsAreAnsweredWithTheOnesThatWork(t *testing.T) {
	h := newHandler(t)
	w := send(h, "PATCH", at(t, "/accounts/a1"), nil)
	promised(t, "PATCH", w)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "DELETE, GET, HEAD, PUT" {
		t.Errorf("status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestAnUploadOfTooManyRecordsIsRefusedWhole(t *testing.T) {
	h := newHandler(t)
	body := []byte(`{"records":[{"account_id":"first","name":"A","join_date":1}` + strings.Repeat(",1", 600_000) + `]}`)
	answer := promised(t, "600,001 records", send(h, http.MethodPost, &url.URL{Path: "/api/v2/accounts"}, body))
	if answer["status_is_ok"] != false || answer["field"] != "records" || answer["code"] != "out_of_range" {
		t.Errorf("the answer is %v", answer)
	}
	answer = promised(t, "the first record", send(h, http.MethodGet, &url.URL{Path: "/api/v2/accounts/first"}, nil))
	if answer["status_is_ok"] != false {
		t.Error("the first record was applied")
	}
}

func TestWhatIsWrongWithABodyIsSaidWithoutNamesOfOurs(t *testing.T) {
	message, _ := promised(t, "a body that ends too early", send(newHandler(t), http.MethodPost, at(t, "/accounts"), []byte(`{"records":[`)))["message"].(string)
	if !strings.HasPrefix(message, "The body is not valid JSON: ") || strings.Contains(message, "jsontext") {
		t.Errorf("%q", message)
	}
}
