package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
)

const benchKey = "bench-key-not-secret"

func benchHandler(b *testing.B) http.Handler {
	t := openStore(b)
	keys := access.New(t, nil)
	if err := keys.EnsureWorkspace(b.Context(), "bench", benchKey); err != nil {
		b.Fatal(err)
	}
	h, err := api.New(api.Config{
		Engine:  resource.New(resource.Config{Table: t, Root: catalog.Root}),
		Access:  keys,
		Timeout: time.Minute,
	}, catalog.All())
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// benchBody returns an upload of 1,000 accounts of about 1.1 KB, from number
// first on.
func benchBody(first, employees int) []byte {
	text := strings.Repeat("quartz meadow ", 40)
	var body bytes.Buffer
	body.WriteString(`{"records":[`)
	for i := first; i < first+1000; i++ {
		if i > first {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"account_id":"acct-%08d","name":"%s %d","join_date":%d,"crm_account_id":"crm-%d","billing_account_id":"bill-%d",`+
			`"support_account_id":"sup-%d","billing_street":"66155 Delta Way Suite 234","billing_city":"Harbor","billing_state":"DE","billing_postal_code":"44411",`+
			`"billing_country":"USA","phone":"605.917.5197","employees":%d,"industry":"Food","tier":"High touch accounts","csm_score":53,`+
			`"sales_rep_name":"Sales Rep","sales_rep_email":"rep@example.com","source":"adwords","website":"https://example.com/%d","description":"%s","latest_status_details":"%s",`+
			`"custom_label_dimensions":[{"key":"region","value":"north"},{"key":"segment","value":"mid"}],"custom_value_dimensions":[{"key":"seats","value":%d},{"key":"sites","value":12}]}`,
			i, text[i%14:i%14+20], i*7919%1000000, 1300000000000+int64(i), i, i, i, employees, i, text[:200], text[:120], i%500)
	}
	body.WriteString(`]}`)
	return body.Bytes()
}

func serve(b *testing.B, h http.Handler, method, path string, body []byte) []byte {
	r := httptest.NewRequest(method, "/api/v2"+path, bytes.NewReader(body))
	r.SetBasicAuth("api", benchKey)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !bytes.Contains(w.Body.Bytes(), []byte(`"status_is_ok":true`)) {
		b.Fatalf("%s %s: %d %.300s", method, path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func perRecord(b *testing.B, records int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
}

// BenchmarkUpload inserts 1,000 new accounts per operation.
func BenchmarkUpload(b *testing.B) {
	h := benchHandler(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		body := benchBody(i*1000, 1)
		b.StartTimer()
		serve(b, h, "POST", "/accounts", body)
	}
	perRecord(b, 1000)
}

// BenchmarkUpsert changes one field of 1,000 of 10,000 accounts per operation.
func BenchmarkUpsert(b *testing.B) {
	h := benchHandler(b)
	for i := range 10 {
		serve(b, h, "POST", "/accounts", benchBody(i*1000, 1))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		body := benchBody(i%10*1000, i+2)
		b.StartTimer()
		serve(b, h, "POST", "/accounts", body)
	}
	perRecord(b, 1000)
}

// BenchmarkRepost posts 1,000 stored accounts again, unchanged.
func BenchmarkRepost(b *testing.B) {
	h := benchHandler(b)
	body := benchBody(0, 1)
	serve(b, h, "POST", "/accounts", body)
	b.ReportAllocs()
	for b.Loop() {
		serve(b, h, "POST", "/accounts", body)
	}
	perRecord(b, 1000)
}

// BenchmarkList reads a page of 1,000 accounts by name out of 10,000.
func BenchmarkList(b *testing.B) {
	h := benchHandler(b)
	for i := range 10 {
		serve(b, h, "POST", "/accounts", benchBody(i*1000, 1))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		serve(b, h, "GET", fmt.Sprintf("/accounts?order_by=name&page=%d", i%10), nil)
	}
	perRecord(b, 1000)
}

// BenchmarkGet reads one account.
func BenchmarkGet(b *testing.B) {
	h := benchHandler(b)
	serve(b, h, "POST", "/accounts", benchBody(0, 1))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		serve(b, h, "GET", fmt.Sprintf("/accounts/acct-%08d", i%1000), nil)
	}
}

// BenchmarkSearch looks in 20,000 accounts for a text that none has.
func BenchmarkSearch(b *testing.B) {
	h := benchHandler(b)
	for i := range 20 {
		serve(b, h, "POST", "/accounts", benchBody(i*1000, 1))
	}
	body := []byte(`{"records":[{"attribute":"description","operator":"like","value":"Nowhere"},{"attribute":"csm_score","operator":"ge","value":50}]}`)
	b.ReportAllocs()
	for b.Loop() {
		serve(b, h, "POST", "/search/accounts", body)
	}
	perRecord(b, 20_000)
}
