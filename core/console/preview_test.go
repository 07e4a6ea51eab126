package console_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/accounts"
	"tenure/core/identity"
	"tenure/core/sources"
	"tenure/core/table"
)

// watched keeps the keys of what is written.
type watched struct {
	table.Table
	written []table.Key
}

func (w *watched) keep(ops []table.Op) {
	for _, op := range ops {
		w.written = append(w.written, op.Item.Key)
	}
}

func (w *watched) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	w.keep(ops)
	return w.Table.Write(ctx, ops, guard)
}

func (w *watched) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	w.keep(ops)
	return w.Table.Transact(ctx, ops, guard)
}

func TestTheFirstRecordsOfASourceAreLookedAt(t *testing.T) {
	w := newWorld(t)
	path := w.billing("acme")
	source := w.storedSource(path)
	b := w.as("acme", "ann@example.com", identity.Admin)
	// Without credentials there is nobody to ask.
	if a := b.get(path + "/preview"); !strings.Contains(a.body, "No credentials are stored") || strings.Contains(a.body, "Look at them") {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.post(path+"/preview", nil).shows(t, "It cannot be looked at: No credentials are stored")

	const secret = "not-a-real-key"
	if err := w.sources.SetCredentials(t.Context(), "acme", source, "api_key", map[string]string{"api_key": secret}, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	w.sources.Transport = customers{
		{"id": "cus_1", "object": "customer", "name": "Acme <b>", "email": "it@acme.example", "created": 1700000000, "metadata": map[string]any{"account_id": "C-1"}, "description": strings.Repeat("ä", 8000)},
		{"id": "cus_2", "object": "customer", "name": "Beta", "email": "it@beta.example", "created": 1700000000, "metadata": map[string]any{"account_id": "C-2"}},
		{"id": "cus_3", "object": "customer", "name": "Gamma", "email": "it@gamma.example", "created": 1700000000, "metadata": map[string]any{}},
		{"id": "cus_4", "object": "customer", "name": "Delta", "created": "yesterday", "metadata": map[string]any{"account_id": "C-1"}},
	}
	w.post("acme", accounts.Family, `{"account_id":"C-1","name":"Acme","join_date":1}`)
	seen := &watched{Table: w.store}
	w.sources.Table = seen
	b.get(path+"/preview").shows(t, "Preview of Billing acme", "Look at them", `<option value="customers">Customers</option>`, "All of them")
	if a := b.get(path); !strings.Contains(a.body, path[1:]+`/preview"`) {
		t.Error("the page of the source does not lead there")
	}

	a := b.post(path+"/preview", url.Values{"stream": {"customers"}})
	a.shows(t, "Stripe has answered", "Acme &lt;b&gt;", "Account C-1", "it@acme.example", "Would be changed", "Would be new", "in account contacts", "billing_account_id", "ä…",
		"No account", "The value that was to lead to it: <code>C-2</code>", "As Stripe has it", "&#34;cus_2&#34;", `<option value="customers" selected>`)
	for _, text := range []string{secret, "Invoices</h2>", "Acme <b>", strings.Repeat("ä", 5001)} {
		if strings.Contains(a.body, text) {
			t.Errorf("there is %.40q in %s", text, a.body)
		}
	}
	fragment := b.send(http.MethodPost, path+"/preview", strings.NewReader(url.Values{"form_token": {b.token}}.Encode()),
		http.Header{"Content-Type": formType["Content-Type"], "Hx-Request": {"true"}})
	fragment.shows(t, "Subscriptions</h2>", "Invoices</h2>", "Stripe has none", `<option value="" selected>All of them`)
	if strings.Contains(fragment.body, "<html") {
		t.Error(fragment.body)
	}
	var data struct {
		Looked struct {
			Works   bool
			Message string
		}
		Shown []sources.PreviewedStream
	}
	program := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}}
	a = b.send(http.MethodPost, path+"/preview", strings.NewReader(`{"stream": "customers"}`), program)
	a.data(t, &data)
	if !data.Looked.Works || len(data.Shown) != 1 || len(data.Shown[0].Records) != 4 || strings.Contains(a.body, secret) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	first, third := data.Shown[0].Records[0], data.Shown[0].Records[2]
	if first.Account != "C-1" || len(first.Made) != 2 || first.Made[0].What != "changed" || first.Made[1].What != "inserted" || third.Problem == nil || third.Problem.Trouble != sources.Mismatch {
		t.Errorf("%+v, %+v", first, third)
	}

	a = b.post(path+"/preview", url.Values{"stream": {"nothing"}})
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="stream-refused"`) {
		t.Errorf("a stream that is none: %d %s", a.status, a.body)
	}

	// Of all that, nothing is stored.
	if len(seen.written) > 0 {
		t.Errorf("it writes %v", seen.written)
	}
	b.get("/audit").shows(t, "source.previewed", "Billing acme")

	// What the system says when it refuses is told, and what it was asked with is not.
	if err := w.sources.SetCredentials(t.Context(), "acme", source, "api_key", map[string]string{"api_key": "another-unreal-key"}, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	if a := b.post(path+"/preview", nil); a.status != http.StatusOK || !strings.Contains(a.body, "It cannot be looked at: ") || !strings.Contains(a.body, "No such key") || strings.Contains(a.body, "another-unreal-key") {
		t.Errorf("%d %s", a.status, a.body)
	}

	v := w.as("acme", "bob@example.com", identity.Viewer)
	if a := v.get(path + "/preview"); a.status != http.StatusOK || strings.Contains(a.body, "<select id=\"stream\"") || !strings.Contains(a.body, "An admin of the workspace can look") {
		t.Errorf("a viewer sees %d %s", a.status, a.body)
	}
}

func TestWhatHasEndedIsNotLookedAt(t *testing.T) {
	w := newWorld(t)
	path, _ := w.source("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	if a := b.get(path + "/preview"); a.status != http.StatusOK || !strings.Contains(a.body, "There is nobody to ask any more") || strings.Contains(a.body, `id="stream"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.post(path+"/preview", nil).shows(t, "It cannot be looked at: ", "was announced to end")
	if a := b.get(path); strings.Contains(a.body, "/preview") {
		t.Error("the page of the source leads there")
	}
}
