package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/identity"
	"tenure/core/sources"
)

func TestSourcesAreShownWithHowTheyAreDoing(t *testing.T) {
	w := newWorld(t)
	path, run := w.source("acme")
	billing := w.billing("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get("/sources").shows(t, "Survey acme", "Delighted", "Imports only", `<strong class="failed">1</strong>`, "Billing acme", "No credentials", "every hour", "Amounts are in USD", "Made by the operator")
	b.get(path).shows(t, "It runs when files are imported", "E-mail address of the person", "as CSV", "Answers", "accounts", "import")
	b.get(run).shows(t, "An import of exported records", "No user or contact has the address =ann@acme.example", "mismatch", "problems.csv")
	for _, file := range []string{run + "/problems.csv", path + "/waiting.csv"} {
		a := b.get(file)
		if want := "\ufefftrouble,stream,id,label,family,value,field,message\r\nmismatch,survey_responses,1,'=ann@acme.example,,'=ann@acme.example,account_id,No user or contact has the address =ann@acme.example\r\n"; a.body != want ||
			!strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment; filename=Survey-acme-") {
			t.Errorf("%s: %q, %q", file, a.header.Get("Content-Disposition"), a.body)
		}
	}

	b.get(billing).shows(t, "It has never run", "Run now", "Pause", "Customers")
	if a := b.post(billing+"/pause", url.Values{"paused": {"1"}}); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.get(billing).shows(t, "It runs paused", "Let it run by itself again")
	if a := b.post(billing+"/pause", nil); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if due, err := w.sources.Due(t.Context(), "acme"); err != nil || len(due) != 1 {
		t.Errorf("%v, %v", due, err)
	}
	if a := b.post(path+"/run", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "was announced to end") {
		t.Errorf("a service that has ended is run: %d %s", a.status, a.body)
	}
	if a := b.post(billing+"/delete", nil); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if all, err := w.sources.List(t.Context(), "acme"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestAFailedRunSaysWhy(t *testing.T) {
	w := newWorld(t)
	path := w.billing("acme")
	id := strings.TrimPrefix(path, "/sources/")
	if err := w.sources.Ask(t.Context(), "acme", id, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sources.Run(t.Context(), "acme", id); err != nil {
		t.Fatal(err)
	}
	runs, err := w.sources.Runs(t.Context(), "acme", id, "", 1)
	if err != nil || len(runs) != 1 || runs[0].Outcome != sources.Failed {
		t.Fatalf("%+v, %v", runs, err)
	}
	b := w.as("acme", "ann@example.com", identity.Viewer)
	b.get(path).shows(t, "The last run has failed: No credentials are stored")
	b.get(path+"/runs/"+runs[0].ID).shows(t, "All records were read anew", "No credentials are stored")
	if a := b.get(path); strings.Contains(a.body, "Run now") {
		t.Error("a viewer is offered to run it")
	}
	if a := b.get(path + "/runs/nothing"); a.status != http.StatusNotFound {
		t.Errorf("%d", a.status)
	}
}
