package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tenure/localstack/browser"
	"tenure/localstack/sourcing"
)

// TestConsoleFields has an admin say which customers of a billing system become
// accounts, and what fields are made from, each tried before it is saved, with
// JavaScript and without.
func TestConsoleFields(t *testing.T) {
	t.Parallel()
	var customers []string
	for i := range 30 {
		customers = append(customers, fmt.Sprintf(`{"id": "cus_%03d", "object": "customer", "name": "Company %d", "email": "it@company-%d.example", "phone": null, "description": null, "created": %d, "livemode": true,
			"metadata": {"account_id": "C-%d", "plan": %q, "seats": "%d"}}`, i, i+1, i+1, 1700000000+i*86400, 1001+i, []string{"gold", "silver", "free"}[i%3], i))
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
	command(`{"connector": "stripe", "name": "Billing", "settings": {"account_key": "account_id"}, "system_of_record": true, "paused": true}`, "add")
	command(`{"connector": "capsule", "name": "CRM", "prefix": "crm-", "paused": true}`, "add")

	ann.Visit("/admin/sources")
	ann.Follow("Billing")
	ann.Follow("Filter")
	ann.Allow(http.StatusUnprocessableEntity)
	ann.See("There is no filter: all records become accounts")
	ann.Press("Count")
	ann.See("It cannot be counted: No credentials are stored")
	command(`{"api_key": "secret-stripe-key"}`, "credentials", "Billing", "api_key")
	ann.Fill("Path 1", ".metadata.plan")
	ann.Choose("Operator 1", "is not")
	ann.Fill("Value 1", "free")
	ann.Fill("Path 2", ".metadata.seats | tonumber")
	ann.Choose("Operator 2", "is at least")
	ann.Fill("Value 2", "many")
	ann.Press("Count")
	ann.See("The operator ge needs a number")
	ann.Inspect("filter-refused")
	ann.Fill("Value 2", "9")
	ann.Press("Count")
	ann.See("14 of 30 records pass, 16 are filtered out", "14 accounts of them not here yet", "Leaves out 10 records", "Left out by condition 2", "Company 3")
	ann.Toggle("Paths in the records")
	ann.See(".metadata.account_id", "C-1001")
	ann.Inspect("filter-counted")
	if text := command("", "show", "Billing"); strings.Contains(text, "filter") {
		t.Error(text)
	}
	ann.Choose("Conditions", "One of them is enough")
	ann.Press("Count")
	ann.See("27 of 30 records pass", "Left out by all conditions together")
	ann.Press("Save")
	ann.See("The filter is saved", "One of these is enough", ".metadata.plan is not free")
	ann.Inspect("filter")

	ann.Follow("Billing")
	ann.Follow("Fields")
	ann.See("Customers become accounts", "Customers become account contacts")
	ann.Toggle("Fields that are not set (26)")
	ann.Fill("tier of accounts", ".metadata.plan")
	ann.Press("Try")
	ann.See("These are the first records of Customers", "Company 1: .metadata.plan gold", "1700000000000 (14 Nov 2023, 22:13 UTC)")
	ann.Inspect("fields-tried")
	ann.Fill("name of accounts", "range(9)")
	ann.Press("Try")
	ann.See("The function 'range/1' is not allowed in it")
	if role, name := ann.Focused(); role != "textbox" && role != "combobox" || name != "name of accounts" {
		t.Errorf("%s %q has the focus", role, name)
	}
	ann.Inspect("fields-refused")
	ann.Fill("name of accounts", `.name + " (" + .metadata.plan + ")"`)
	ann.Press("Try")
	ann.See("Company 2 (silver)")
	ann.Press("Save")
	ann.See("The fields are saved", "2 of your own", "Declared is .name // .email // .id")
	ann.Inspect("fields")
	ann.Press("As declared name of accounts")
	ann.See("The fields are saved", "1 of your own")
	if text := command("", "show", "Billing"); !strings.Contains(text, `"from": ".metadata.plan"`) || strings.Contains(text, `"to": "name"`) {
		t.Error(text)
	}

	plain := &person{ann.Another(browser.WithoutScript), ann.email, ann.name}
	plain.Visit("/admin/sources")
	plain.signIn(testPassword)
	plain.Follow("Billing")
	plain.Follow("Filter")
	plain.Fill("Path 2", "")
	plain.Fill("Value 2", "")
	plain.Press("Count")
	plain.See("20 of 30 records pass")
	plain.Choose("Also in (optional)", "CRM")
	plain.Press("Count")
	plain.See("0 of 30 records pass", "Not known to the other source")
	plain.Choose("Also in (optional)", "Need not be known elsewhere")
	plain.Press("Save")
	plain.See("The filter is saved", "This must hold:")
	plain.Follow("Billing")
	plain.Follow("Fields")
	plain.Fill("Another key of custom_label_dimensions of accounts", "plan")
	plain.Fill("What it is made from as custom_label_dimensions of accounts", ".metadata.plan")
	plain.Press("Try")
	plain.See("Company 3: .metadata.plan free", "custom_label_dimensions.plan")
	plain.Press("All as declared")
	plain.See("The fields are saved")
	plain.NotSee("of your own")
}
