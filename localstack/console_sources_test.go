package main

import (
	"net/http"
	"strings"
	"testing"

	"tenure/localstack/browser"
	"tenure/localstack/sourcing"
)

// TestConsoleSources shows sources, a run with its mismatches, and what an admin
// does with a source.
func TestConsoleSources(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, "DATA_DIR="+dir)
	ann := &person{browser.Open(t, p.address), "ann@example.com", "Ann Archer"}
	ann.join(p.adminLink("test"), "test")
	ann.Visit("/admin/sources")
	ann.See("There is no source yet")
	ann.Inspect("sources-empty")

	remote := sourcing.Dial(t.Context(), dir)
	if remote == nil {
		t.Fatal("the product takes no commands")
	}
	command := func(in string, args ...string) {
		t.Helper()
		if err := remote.Do(t.Context(), "test", args, strings.NewReader(in), func(sourcing.Event) error { return nil }); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	p.done(testKey, http.MethodPost, "/accounts", `{"records": [{"account_id": "1042", "name": "Acme", "join_date": 1704067200000}]}`)
	p.done(testKey, http.MethodPost, "/account_contacts", `{"records": [{"account_id": "1042", "user_id": "a", "first_name": "Ann", "last_name": "Lee", "email": "ann@acme.example"}]}`)
	command(`{"connector": "delighted", "name": "Survey"}`, "add")
	command(`{"connector": "stripe", "name": "Billing", "every": 1440}`, "add")
	command(`{"connector": "xero", "name": "Books", "prefix": "xero-"}`, "add")
	command(delightedExport, "import", "Survey", "survey_responses")

	ann.Visit("/admin/sources")
	ann.See("Survey", "Imports only", "Billing", "No credentials", "every day")
	ann.Inspect("sources")
	ann.Follow("Survey")
	ann.See("Records that wait", "E-mail address of the person")
	ann.Inspect("source-ended")
	ann.Visit("/admin/sources")
	ann.Follow("Billing")
	ann.Press("Pause")
	ann.See("does not run by itself any more", "Let it run by itself again")
	ann.Inspect("source")

	ann.open("Credentials")
	ann.See("None", "Stripe")
	ann.Inspect("credentials")
	ann.Follow("Billing")
	ann.Fill("Secret or restricted key", "not-a-real-key")
	ann.Press("Store")
	ann.See("The credentials are stored, sealed", "Test connection")
	ann.Inspect("credential")

	command(`[{"id": "cus_1", "object": "customer", "name": "ACME Inc.", "email": "it@acme-billing.example", "created": 1700000000, "metadata": {}}]`, "import", "Billing", "customers")
	ann.open("Fuzzy matching")
	ann.Inspect("matching-sources")
	ann.Follow("Billing")
	ann.Press("Seek candidates")
	ann.See("ACME Inc.", "1042", "Seek candidates anew") // the page looks for it by itself
	ann.Inspect("matching")
	ann.Press("Accept ACME Inc. as Acme")
	ann.See("The match is accepted")
	ann.Follow("Matched")
	ann.See("ACME Inc.", "1042")
	ann.Inspect("matching-matched")

	ann.open("OAuth")
	ann.See("Books", "Xero")
	ann.Inspect("oauth")
	ann.Visit("/admin/sources")
	ann.Follow("Books")
	ann.Follow("Mapping")
	ann.Inspect("mapping")
}
