package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tenure/localstack/browser"
	"tenure/localstack/sourcing"
)

// TestConsoleSurvey has an admin look at the customers of a billing system before
// relying on them, with JavaScript and without.
func TestConsoleSurvey(t *testing.T) {
	t.Parallel()
	var customers []string
	for i := range 30 {
		account := fmt.Sprintf(`"account_id": "C-%d", `, 1001+i)
		switch i {
		case 4:
			account = `"account_id": "acme east", `
		case 9, 21:
			account = ""
		}
		customers = append(customers, fmt.Sprintf(`{"id": "cus_%03d", "object": "customer", "name": "Company %d", "email": "it@company-%d.example", "phone": null, "description": null, "created": %d, "livemode": true, "metadata": {%s"plan": %q}}`,
			i, i+1, i+1, 1700000000+i*86400, account, []string{"gold", "silver", "free"}[i%3]))
	}
	dir := t.TempDir()
	_, settings := within(t, outside{"stripe": standIn(t, "stripe", "api_key", map[string]string{"customers": "[" + strings.Join(customers, ",") + "]"})})
	p := start(t, append(settings, "DATA_DIR="+dir)...)
	ann := &person{browser.Open(t, p.address), "ann@example.com", "Ann Archer"}
	ann.join(p.adminLink("test"), "test")
	remote := sourcing.Dial(t.Context(), dir)
	if remote == nil {
		t.Fatal("the product takes no commands")
	}
	command := func(in string, args ...string) (text string) {
		t.Helper()
		if err := remote.Do(t.Context(), "test", args, strings.NewReader(in), func(e sourcing.Event) error { text += e.Text; return nil }); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return text
	}
	for _, id := range []string{"C-1001", "C-1002", "C-2000"} {
		p.done(testKey, http.MethodPost, "/accounts", fmt.Sprintf(`{"records": [{"account_id": %q, "name": "Company of %s", "join_date": 1704067200000}]}`, id, id))
	}
	command(`{"connector": "stripe", "name": "Billing", "settings": {"account_key": "account_id"}}`, "add")

	ann.Visit("/admin/sources")
	ann.Follow("Billing")
	ann.Follow("Mapping")
	ann.See("Is it a good account_id?", "Will it do as the System of Record?", "Have a program make account_ids")
	ann.Inspect("mapping-before")
	ann.Press("Look at the data")
	ann.See("It cannot be looked at: No credentials are stored")
	ann.Inspect("mapping-refused")

	command(`{"api_key": "secret-stripe-key"}`, "credentials", "Billing", "api_key")
	ann.Choose("Where the account_id is", "Metadata of customers")
	ann.Press("Look at the data")
	ann.See("30 records looked at", "7%", "acme east", "has a value in 28 of the 30 records", "Nearly all values are alike", "Choose it as the System of Record above")
	ann.Inspect("mapping-looked")
	ann.Toggle("The System of Record")
	ann.Press("Look at the data")
	ann.See("1 of the 3 active accounts here are not in it; it has 26 more that are not here (the 30 records)", ".metadata.plan", "free (10)", "account_id is missing in 2")
	ann.Inspect("mapping-record")

	// It is as it was: nothing is stored by looking.
	ann.Visit(ann.Path())
	ann.NotSee("30 records looked at")
	if text := command("", "show", "Billing"); strings.Contains(text, `"system_of_record": true`) || !strings.Contains(text, `"location": "metadata"`) {
		t.Error(text)
	}
	if text := command("", "survey", "Billing"); !strings.Contains(text, "metadata") || !strings.Contains(text, "Is it made by a program?") {
		t.Error(text)
	}

	plain := &person{ann.Another(browser.WithoutScript), ann.email, ann.name}
	plain.Visit("/admin/sources")
	plain.signIn(testPassword)
	plain.Follow("Billing")
	plain.Follow("Mapping")
	plain.Choose("Where the account_id is", "ID of customers")
	plain.Toggle("The System of Record")
	plain.Press("Look at the data")
	plain.See("Not one of the 30 records", "What is there: ID of customers")
	plain.Press("Save")
	plain.See("The mapping is saved")
	if text := command("", "show", "Billing"); !strings.Contains(text, `"location": "id"`) {
		t.Error(text)
	}
}
