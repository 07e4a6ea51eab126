package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenure/localstack/browser"
)

// fillWithDemo fills the workspace "test" with what make demo makes up, for so
// many accounts.
func (p *process) fillWithDemo(accounts int) {
	p.t.Helper()
	demo := filepath.Join(p.t.TempDir(), "demo")
	if said, err := exec.Command("go", "build", "-race=false", "-o", demo, "./demo").CombinedOutput(); err != nil {
		p.t.Fatalf("build the demo: %v\n%s", err, said)
	}
	fill := exec.CommandContext(p.t.Context(), demo, fmt.Sprint("-accounts=", accounts))
	fill.Env = []string{"PORT=" + p.address[strings.LastIndex(p.address, ":")+1:], "WORKSPACES=test:" + testKey}
	endWithParent(fill)
	if said, err := fill.CombinedOutput(); err != nil {
		p.t.Fatalf("the demo: %v\n%s", err, said)
	}
}

// dollars writes cents as the console does.
func dollars(cents int64) string {
	text := fmt.Sprintf("%d", cents/100)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return fmt.Sprintf("%s.%02d", text, cents%100)
}

// TestConsoleHome shows a year of data on the first page, with the numbers that
// the API has.
func TestConsoleHome(t *testing.T) {
	t.Parallel()
	p, ann := admin(t)
	ann.Visit("/admin/")
	ann.See("Nothing is here yet")
	ann.Inspect("home-empty")

	p.fillWithDemo(120)
	var ledger struct {
		Closing int64 `json:"closing_mrr"`
	}
	if err := json.Unmarshal(p.done(testKey, http.MethodGet, "/mrr_movements", "").raw, &ledger); err != nil {
		t.Fatal(err)
	}
	if ledger.Closing <= 0 {
		t.Fatalf("the MRR of the demo is %d", ledger.Closing)
	}
	// At once, though what was there before was counted a moment ago.
	ann.Visit("/admin/")
	ann.See(dollars(ledger.Closing), "ARR "+dollars(12*ledger.Closing), "Renewals of the next 90 days", "demo-0001")
	ann.VisitUntil("/admin/", "metrics") // which came in last; the log of calls is written beside them
	ann.Inspect("home")
	ann.Toggle("The same as a table")
	ann.See("Mean score")
	ann.Inspect("home-tables")

	// The same without JavaScript, of which the charts alone need some.
	plain := &person{ann.Another(browser.WithoutScript), ann.email, ann.name}
	plain.Visit("/admin/")
	plain.signIn(testPassword)
	plain.See(dollars(ledger.Closing))
	plain.Inspect("home")
}
