package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/core/accounts"
	"tenure/core/calls"
	"tenure/core/identity"
	"tenure/core/overview"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/subscriptions"
)

// post uploads records, given as JSON, to a family of a workspace.
func (w *world) post(workspace string, f *resource.Family, records ...string) {
	w.Helper()
	result, err := w.engine.Upload(w.Context(), resource.Upload{Workspace: workspace, Family: f, Records: func(yield func(func() resource.Input) bool) {
		for _, r := range records {
			if !yield(func() resource.Input {
				patch, failure := f.Schema.Decode([]byte(r), true)
				return resource.Input{Patch: patch, Failure: failure}
			}) {
				return
			}
		}
	}, Option: func(string) bool { return false }})
	if err != nil || len(result.Failed) > 0 {
		w.Fatalf("%+v, %v", result, err)
	}
}

func TestTheHomePageBeginsWithWhatToDo(t *testing.T) {
	w := newWorld(t)
	a := w.as("acme", "ann@example.com", identity.Viewer).get("/")
	if a.status != http.StatusOK || !strings.Contains(a.body, "Nothing is here yet") || !strings.Contains(a.body, `href="./keys"`) || strings.Contains(a.body, "NPS by month") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTheHomePageShowsWhatWasCountedAndCountsAnew(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Viewer)
	now := w.Now().UnixMilli()
	const day = 24 * 60 * 60 * 1000
	w.post("acme", accounts.Family, `{"account_id":"a","name":"<Acme>","join_date":1,"nps_history":[{"nps_score":30,"date":1}]}`, `{"account_id":"b","name":"Beta","join_date":1}`)
	w.post("acme", subscriptions.Family, fmt.Sprintf(`{"account_id":"a","subscription_id":"s","event":"revenue","effective_start_date":%d,"total_revenue":12345678,"cycle_unit":"month","cycle_length":1,"next_renewal_date":%d}`,
		now-day, now+10*day))
	if _, err := rollup.New(w.engine, w.usage).Workspace(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if err := w.calls.Record(t.Context(), "acme", calls.Call{Method: "POST", Endpoint: "/accounts", Family: "accounts", Kind: calls.Write, KeyID: w.key("acme"),
		Success: true, Status: 200, Records: &calls.Records{Received: 2, Inserted: 2}}); err != nil {
		t.Fatal(err)
	}
	page := b.get("/")
	for _, want := range []string{"123,456.78", "ARR 1,481,481.36", "&lt;Acme&gt;", "&#43;30", "Nov 2023", "arrived", secretOf("acme")} {
		if !strings.Contains(page.body, want) {
			t.Errorf("there is no %q in %s", want, page.body)
		}
	}
	var seen struct {
		Overview *overview.Overview
		Counting bool
	}
	b.json("/").data(t, &seen)
	if o := seen.Overview; o == nil || seen.Counting || o.MRR != 12345678 || o.Accounts.Active != 2 || o.Renewals.Count != 1 || len(o.Months) != overview.Months {
		t.Errorf("%+v", seen)
	}
	// What was counted is shown at once, and counted anew when it is old.
	w.post("acme", accounts.Family, `{"account_id":"c","name":"Gamma","join_date":1}`)
	w.advance(2 * time.Minute)
	if old := b.get("/"); !strings.Contains(old.body, "<dd>2</dd>") || !strings.Contains(old.body, `hx-get="./?count=1"`) {
		t.Errorf("%s", old.body)
	}
	part := b.send(http.MethodGet, "/?count=1", nil, http.Header{"Hx-Request": {"true"}, "Accept": {"text/html"}})
	if !strings.Contains(part.body, "<dd>3</dd>") || strings.Contains(part.body, "<html") || strings.Contains(part.body, "hx-get") {
		t.Errorf("%s", part.body)
	}
}

func TestAmountsAreWrittenToTheCent(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Viewer)
	w.post("acme", accounts.Family, `{"account_id":"a","name":"A","join_date":1}`)
	w.post("acme", subscriptions.Family, `{"account_id":"a","subscription_id":"s","event":"revenue","effective_start_date":1,"total_revenue":-100007,"cycle_unit":"month","cycle_length":1}`)
	if _, err := rollup.New(w.engine, w.usage).Workspace(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if page := b.get("/"); !strings.Contains(page.body, "<dd>−1,000.07</dd>") {
		t.Errorf("%s", page.body)
	}
}
