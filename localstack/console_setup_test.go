package main

import (
	"net/http"
	"strings"
	"testing"

	"tenure/localstack/browser"
)

// TestConsoleSetup has an admin set up a billing system in the browser, from choosing
// it to the report of its first run, with JavaScript and without.
func TestConsoleSetup(t *testing.T) {
	t.Parallel()
	const secret = "secret-stripe-key"
	invoice := func(id, currency string) string {
		return `{"id": "` + id + `", "object": "invoice", "customer": "cus_A", "customer_email": "it@acme.example", "number": "N-` + id + `", "status": "paid", "currency": "` + currency + `", "subtotal": 4000, "total": 4000, "amount_due": 4000, "amount_paid": 4000, "amount_remaining": 0, "created": 1680000000, "due_date": null, "livemode": true, "status_transitions": {"finalized_at": 1680000100, "paid_at": 1680000200, "marked_uncollectible_at": null, "voided_at": null}, "lines": {"object": "list", "has_more": false, "url": "/v1/invoices/` + id + `/lines", "data": [{"id": "il_` + id + `", "object": "line_item", "amount": 4000, "currency": "` + currency + `", "description": "Gold", "quantity": 1, "type": "subscription", "discountable": false, "livemode": true, "metadata": {}, "period": {}, "proration": false}]}}`
	}
	stripe := standIn(t, "stripe", "api_key", map[string]string{
		"customers": `[{"id": "cus_A", "object": "customer", "name": "Acme", "email": "it@acme.example", "created": 1700000000, "livemode": true, "metadata": {"account_id": "C-1"}},
			{"id": "cus_B", "object": "customer", "name": "Beta", "email": "it@beta.example", "created": 1700000000, "livemode": true, "metadata": {"account_id": "C-2"}}]`,
		"invoices": "[" + invoice("in_1", "usd") + "," + invoice("in_2", "chf") + "]",
	})
	_, settings := within(t, outside{"stripe": stripe})
	p := start(t, append(settings, "DATA_DIR="+t.TempDir())...)
	p.done(testKey, http.MethodPost, "/accounts", `{"records": [{"account_id": "C-1", "name": "Acme", "join_date": 1704067200000}]}`)
	ann := &person{browser.Open(t, p.address), "ann@example.com", "Ann Archer"}
	ann.join(p.adminLink("test"), "test")

	ann.Visit("/admin/money")
	ann.Inspect("money")
	ann.Allow(http.StatusUnprocessableEntity)
	ann.Fill("Currency of the workspace", "EUR")
	ann.Fill("Rates (optional)", "USD a lot")
	ann.Press("Save")
	ann.See("Line 1 must be a currency and a number")
	ann.Inspect("money-refused")
	ann.Fill("Rates (optional)", "USD 0.5")
	ann.Press("Save")
	ann.See("The currency and the rates are saved")

	ann.Visit("/admin/add-source")
	ann.Inspect("add-source")
	ann.Follow("Stripe")
	ann.See("Add Stripe")
	ann.Inspect("add-stripe")
	ann.Fill("Name", "Billing")
	ann.Press("Add the source")
	ann.See("The source is added, and paused", "Credentials of Billing", "None are stored")
	ann.Inspect("source-added")
	ann.Follow("Billing")
	ann.See("Before it runs")

	ann.Follow("Preview")
	ann.See("No credentials are stored")
	ann.Inspect("preview-without-credentials")
	ann.Follow("Store its credentials first")
	ann.Fill("Secret or restricted key", "not-the-key")
	ann.Press("Store")
	ann.Press("Test connection")
	ann.See("It does not work")
	ann.Fill("Secret or restricted key", secret)
	ann.Press("Replace")
	ann.See("The credentials are stored, sealed")
	ann.Press("Test connection")
	ann.See("Stripe answers: the credentials are good")

	ann.Follow("Billing")
	ann.Follow("Settings")
	ann.Inspect("settings")
	ann.Choose("How often it runs", "Every hour")
	ann.Toggle("Subscriptions")
	ann.Press("Save")
	ann.See("The settings are saved")

	ann.Follow("Preview")
	ann.Inspect("preview-before")
	ann.Press("Look at them")
	ann.See("Stripe has answered", "Acme", "Account C-1", "Would be changed", "No account", "C-2")
	ann.Inspect("preview")
	ann.Choose("Which records", "Invoices")
	ann.Press("Look at them")
	ann.See("N-in_1", "Would be new", "N-in_2", "Would be refused")
	ann.Inspect("preview-invoices")

	ann.Follow("Billing")
	ann.See("It has never run")
	ann.Press("Run now")
	ann.See("The source runs as soon as there is room for it", "Up to date") // the page looks for it by itself
	run := ann.HTML()
	_, run, _ = strings.Cut(run, "/runs/")
	run, _, _ = strings.Cut(run, `"`)
	at, _, _ := strings.Cut(ann.Path(), "?")
	ann.Visit(at + "/runs/" + run)
	ann.See("customers", "invoices", "mismatch", "Together", "CHF")
	ann.Inspect("run")
	if strings.Contains(ann.HTML(), secret) || strings.Contains(p.stderr.String(), secret) {
		t.Error("the key is told")
	}

	plain := &person{ann.Another(browser.WithoutScript), ann.email, ann.name}
	plain.Visit("/admin/add-source?connector=stripe")
	plain.signIn(testPassword)
	plain.Visit("/admin/add-source?connector=stripe")
	plain.Fill("Name", "More billing")
	plain.Fill("Prefix of ids (optional)", "more-")
	plain.Press("Add the source")
	plain.See("Credentials of More billing")
	plain.Fill("Secret or restricted key", secret)
	plain.Press("Store")
	plain.See("The credentials are stored, sealed")
	plain.Press("Test connection")
	plain.See("Stripe answers: the credentials are good")
	plain.Follow("More billing")
	plain.See("Before it runs")
	plain.Follow("Preview")
	plain.See("Look at the first records")
	plain.Press("Look at them")
	plain.See("Stripe has answered", "Account C-1")
}
