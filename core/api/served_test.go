package api_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/resource"
)

// TestWhatIsToldOfACall holds what the log of API calls gets to know.
func TestWhatIsToldOfACall(t *testing.T) {
	store := openStore(t)
	keys := access.New(store, nil)
	if err := keys.EnsureWorkspace(t.Context(), "acme", testKey); err != nil {
		t.Fatal(err)
	}
	ids, err := keys.KeyIDs(t.Context(), "acme")
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	var told []api.Served
	h, err := api.New(api.Config{
		Engine: resource.New(resource.Config{Table: store, Root: catalog.Root}), Access: keys, Timeout: time.Minute,
		Served: func(_ context.Context, s api.Served) { told = append(told, s) },
	}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	account := `{"account_id":"a","name":"N","join_date":1}`
	for _, c := range []struct {
		method, path, body string
		family, endpoint   string
		kind               calls.Kind
		success            bool
		code               string
		records            string // received, inserted, changed, unchanged, failed
		failures           string
	}{
		{"POST", "/accounts", `{"records":[` + account + `,{"account_id":"b"},{"account_id":7}]}`, "accounts", "/accounts", calls.Write, true, "", "3 1 0 0 2",
			"1 map[account_id:b] missing_field name, 2 map[account_id:7] missing_field name"},
		{"POST", "/accounts", `{"records":[{"account_id":"b"}]}`, "accounts", "/accounts", calls.Write, false, "missing_field", "1 0 0 0 1",
			"0 map[account_id:b] missing_field name"},
		{"POST", "/accounts", `{"records":[` + account + `],"options":{"dry_run":true}}`, "accounts", "/accounts", calls.Read, true, "", "1 0 0 1 0", ""},
		{"POST", "/accounts", `{"records":[`, "accounts", "/accounts", calls.Write, false, "malformed", "", ""},
		{"POST", "/notes", `{"records":[{"id":12,"account_id":"a"}]}`, "notes", "/notes", calls.Write, false, "not_found", "1 0 0 0 1", "0 map[account_id:a id:12] not_found id"},
		{"POST", "/account_users", `{"records":[{"account_id":"x","user_id":"u","first_name":"F","last_name":"L"}],"options":{"ignore_missing_accounts":false}}`,
			"account_users", "/account_users", calls.Write, false, "not_found", "1 0 0 0 1", "0 map[account_id:x user_id:u] not_found account_id"},
		{"PUT", "/accounts/a", `{"data":{"name":"M"}}`, "accounts", "/accounts/{id}", calls.Write, true, "", "", ""},
		{"PUT", "/accounts/a", `{"data":{"employees":"M"},"options":{"dry_run":true}}`, "accounts", "/accounts/{id}", calls.Read, false, "wrong_type", "", ""},
		{"GET", "/accounts/a?secret=1", "", "accounts", "/accounts/{id}", calls.Read, true, "", "", ""},
		{"HEAD", "/accounts/a/users", "", "account_users", "/accounts/{id}/users", calls.Read, true, "", "", ""},
		{"POST", "/search/accounts", `{"records":[]}`, "search", "/search/accounts", calls.Read, true, "", "", ""},
		{"DELETE", "/accounts/z", "", "accounts", "/accounts/{id}", calls.Write, false, "not_found", "", ""},
	} {
		told = nil
		r := httptest.NewRequest(c.method, "/api/v2"+c.path, strings.NewReader(c.body))
		r.SetBasicAuth("api", testKey)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if len(told) != 1 {
			t.Fatalf("%s %s: told %d times", c.method, c.path, len(told))
		}
		s := told[0]
		records := ""
		if s.Records != nil {
			records = fmt.Sprint(s.Records.Received, s.Records.Inserted, s.Records.Changed, s.Records.Unchanged, s.Records.Failed)
		}
		var failures []string
		for _, f := range s.Failures {
			failures = append(failures, fmt.Sprint(f.Record, " ", f.IDs, " ", f.Code, " ", f.Field))
			if f.Message == "" {
				t.Errorf("%s %s: a failure without a message", c.method, c.path)
			}
		}
		if s.Workspace != "acme" || s.KeyID != ids[0] || s.Method != c.method || s.Family != c.family || s.Endpoint != c.endpoint || s.Kind != c.kind ||
			s.Success != c.success || s.Status != 200 || string(s.Code) != c.code || records != c.records || strings.Join(failures, ", ") != c.failures ||
			(s.Message == "") != c.success || s.DurationMS <= 0 || s.BodyBytes > int64(len(c.body)) {
			t.Errorf("%s %s: %s\ntold %+v, records %s, failures %v", c.method, c.path, w.Body, s, records, failures)
		}
	}
	// Nobody's calls are in nobody's log.
	told = nil
	r := httptest.NewRequest("GET", "/api/v2/accounts?api_key="+testKey, nil)
	r.SetBasicAuth("api", "wrong")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if len(told) != 1 || told[0].Workspace != "" || told[0].KeyID != "" || told[0].Status != 401 {
		t.Errorf("%+v", told)
	}
}
