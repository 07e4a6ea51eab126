package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/localstack/browser"
)

// broken returns records of which each lacks what an account needs.
func broken(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"account_id":"broken-%d"}`, i)
	}
	return records(all...)
}

func TestConsoleStatus(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]browser.Option{"with JavaScript": nil, "without JavaScript": {browser.WithoutScript}} {
		script := options == nil
		t.Run(name, func(t *testing.T) {
			p, ann := admin(t, options...)
			ann.open("API status")
			ann.See("No program has called the API with a key of this workspace yet.")
			if script {
				ann.Inspect("status-empty")
			}

			p.done(testKey, http.MethodPost, "/accounts", records(account("a"), account("b")))
			if script {
				ann.See("Calls 1 to 1 of 1") // without anybody asking
			}
			for range 5 {
				p.do(testKey, http.MethodGet, "/accounts/a", "")
			}
			p.call(testKey, http.MethodPost, "/accounts", broken(150))
			p.call(testKey, http.MethodPost, "/accounts", strings.Replace(records(account("c")), "]}", `,{"account_id":"half"}]}`, 1))
			p.call(testKey, http.MethodPost, "/notes", `{"records":[`)
			p.call(testKey, http.MethodPost, "/accounts", strings.Replace(records(account("d")), "]}", `],"options":{"dry_run":true}}`, 1))
			if !script {
				for ann.Visit("/admin/status"); !strings.Contains(ann.Text(), "Calls 1 to 10 of 10"); ann.Visit("/admin/status") {
					time.Sleep(50 * time.Millisecond)
				}
			}
			ann.See("Calls 1 to 10 of 10", "POST /notes", "dry run", "No record was applied; the first failure: Missing required field")
			if script {
				ann.Follow("Stop updating")
				ann.See("Keep up to date")
			}
			ann.Inspect("status")
			ann.Toggle("The same as a table")
			ann.See("From (UTC)")
			if script {
				ann.Inspect("status-chart-as-table")
			}

			ann.Choose("Operation", "Failure")
			ann.Choose("Endpoint", "/accounts")
			ann.Choose("Kind", "Changes")
			ann.Press("Filter")
			ann.See("Calls 1 to 1 of 1, of 10 in the log")
			ann.NotSee("POST /notes")
			ann.Follow(ann.In("row", "POST /accounts").Names("link")[0])
			ann.See("Records that failed", "broken-0", "broken-99", "50 more records failed")
			ann.NotSee("broken-100")
			ann.Inspect("status-call")
			if strings.Contains(ann.HTML(), testKey) {
				t.Error("the page holds the key")
			}
			ann.Follow("All calls")
			ann.Choose("Operation", "Failure")
			ann.Choose("Kind", "Reads")
			ann.Press("Filter")
			ann.See("None of the last 10 calls matches.")
			ann.Follow("Show all")
			ann.See("Calls 1 to 10 of 10")
		})
	}
}
