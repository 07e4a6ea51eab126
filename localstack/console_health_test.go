package main

import (
	"net/http"
	"testing"
)

// TestConsoleHealth sets the model of the health score, and looks at an account.
func TestConsoleHealth(t *testing.T) {
	t.Parallel()
	p, ann := admin(t)
	p.done(testKey, http.MethodPost, "/accounts", `{"records": [{"account_id": "a", "name": "Acme", "join_date": 1}]}`)
	ann.open("Health")
	ann.See("weighted mean of the parts below")
	ann.Inspect("health")
	ann.Fill("For how many days a score counts", "0")
	ann.Fill("Points to deduct for churn in the last 90 days", "30")
	ann.Allow(http.StatusUnprocessableEntity)
	// A browser does not send what is out of bounds; a whole number that makes no sense, it does.
	ann.Fill("For how many days a score counts", "180")
	ann.Fill("Net promoter score: where there are 100 points", "-60")
	ann.Press("Save")
	ann.See("must be more than")
	ann.Inspect("health-refused")
	ann.Fill("Net promoter score: where there are 100 points", "60")
	ann.Press("Save")
	ann.See("The settings are saved.", "Back to what it was in the beginning")
	ann.Fill("Health of the account", "a")
	ann.Press("Show account")
	ann.See("Health of Acme", "will be assessed within minutes")
	ann.Inspect("health-account")
}
