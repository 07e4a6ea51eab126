package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/localstack/browser"
)

// TestConsoleUsage looks at usage while events arrive, with JavaScript and without.
func TestConsoleUsage(t *testing.T) {
	t.Parallel()
	p, ann := admin(t)
	p.done(testKey, http.MethodPost, "/accounts", `{"records": [{"account_id": "a", "name": "Acme", "join_date": 1}, {"account_id": "b", "name": "Beta", "join_date": 1}]}`)
	p.done(testKey, http.MethodPost, "/account_users", `{"records": [{"account_id": "a", "user_id": "u", "first_name": "U", "last_name": "U"}, {"account_id": "b", "user_id": "v", "first_name": "V", "last_name": "V"}]}`)
	ann.open("API keys")
	ann.Choose("For the", "Usage Event API")
	ann.Fill("Label", "product")
	ann.Press("Make the key")
	ann.See("is made: copy it now")
	keys := strings.Fields(ann.Value("Auth key") + " " + ann.Value("API key"))
	path := "/v1/" + strings.Join(keys, "/")

	ann.open("Usage")
	ann.See("There was no event in these 30 days", "Make a Usage Event key")
	ann.Inspect("usage-empty")

	now := time.Now().UnixMilli()
	var lines strings.Builder
	for days := range int64(40) {
		at := now - days*24*60*60*1000
		fmt.Fprintf(&lines, `{"action":"sessionSync","user_id":"u","session_id":"s%d","created_at":%d,"active_duration":600000}`+"\n", days, at)
		fmt.Fprintf(&lines, `{"action":"moduleEnd","user_id":"u","session_id":"s%d","created_at":%d,"module":"Reports","product":"Web","time_spent":300000}`+"\n", days, at)
		if days%3 == 0 {
			fmt.Fprintf(&lines, `{"action":"feature","user_id":"v","session_id":"s%d","created_at":%d,"feature":"Export <all>","total":%d}`+"\n", days, at, days+1)
		}
	}
	fmt.Fprintf(&lines, `{"action":"feature","user_id":"stranger","created_at":%d,"feature":"Import"}`+"\n", now)
	p.takes(path, lines.String())
	ann.See("by 2 users", "Reports", "Export <all>", "sessionSync") // without anybody asking
	ann.NotSee("0x")
	ann.Inspect("usage")
	ann.Toggle("The same as a table")
	ann.See("Active accounts")
	ann.Inspect("usage-table")
	ann.Follow("Stop updating")
	ann.See("Keep up to date")
	p.takes(path, fmt.Sprintf(`{"action":"newest","user_id":"u","created_at":%d}`, now))
	ann.Choose("Days", "90")
	ann.Choose("By", "week")
	ann.Press("Show")
	ann.See("Active users by week", "Keep up to date")
	ann.Follow("Keep up to date")
	ann.See("newest")

	ann.Follow("See what they wait for")
	ann.See("stranger", "There is no user 'stranger'")
	ann.Inspect("usage-unattached")
	ann.Visit("/admin/usage")
	ann.Toggle("Events may create accounts")
	ann.Press("Save")
	ann.See("The settings are saved")
	p.takes(path, fmt.Sprintf(`{"action":"identifyAccount","account_id":"made","created_at":%d,"details":{"name":"Made by an event"}}`, now))

	ann.Fill("Usage of the account", "a")
	ann.Press("Show account")
	ann.See("Usage of Acme", "30 days", "u")
	ann.NotSee("Export <all>")
	ann.Inspect("usage-account")

	plain := &person{ann.Another(browser.WithoutScript), ann.email, ann.name}
	plain.Visit("/admin/usage")
	plain.signIn(testPassword)
	plain.See("by 2 users")
	plain.Toggle("The same as a table")
	plain.Inspect("usage-plain")
	plain.Fill("Usage of the account", "made")
	plain.Press("Show account")
	plain.See("Usage of Made by an event")
}
