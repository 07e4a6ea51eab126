package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/accounts"
	"tenure/core/identity"
	"tenure/core/usage"
)

func init() {
	examples["GET /usage/account"] = func(w *world, workspace string) example {
		w.post(workspace, accounts.Family, fmt.Sprintf(`{"account_id":"of-%s","name":"Of %s","join_date":1}`, workspace, workspace))
		return example{path: "/usage/account?account_id=of-" + workspace}
	}
	examples["POST /usage/settings"] = func(w *world, workspace string) example {
		return example{path: "/usage/settings", form: url.Values{"create_accounts": {"1"}}, done: "usage.changed"}
	}
}

// events has events of a workspace arrive, and counts them.
func (w *world) events(workspace string, lines ...string) {
	w.Helper()
	var all []*usage.Event
	for _, line := range lines {
		e, failure := usage.Parse([]byte(line), w.Now().UnixMilli())
		if failure != nil {
			w.Fatal(failure)
		}
		all = append(all, e)
	}
	if err := w.usage.Append(w.Context(), workspace, all); err != nil {
		w.Fatal(err)
	}
	changes, err := w.store.Changes(w.Context(), "", 1000)
	if err == nil {
		err = errors.Join(w.usage.Follow(w.Context(), changes)...)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func TestUsageIsShownAsItIs(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Viewer)
	b.get("/usage").shows(t, "There was no event in these 30 days", "Make a Usage Event key")
	w.post("acme", accounts.Family, `{"account_id":"a&b","name":"<Acme>","join_date":1}`)
	now := w.Now().UnixMilli()
	const day = 24 * 60 * 60 * 1000
	for _, line := range []string{
		`"action":"moduleEnd","user_id":"u","session_id":"s","module":"Reports","time_spent":5400000`,
		`"action":"sessionSync","user_id":"v","session_id":"t","active_duration":60000`,
		`"action":"feature","user_id":"v","session_id":"t","module":"Reports","feature":"export","total":1234.5`,
	} {
		w.events("acme", fmt.Sprintf(`{%s,"account_id":"a&b","created_at":%d}`, line, now))
	}
	w.events("acme", fmt.Sprintf(`{"action":"x","user_id":"old","account_id":"a&b","created_at":%d}`, now-10*day))
	b.get("/usage").shows(t, "Reports", "1 h 30 min", "export", "1,234.5", "sessionSync", "<dt>Active accounts</dt><dd>1</dd>", `hx-trigger="every 2s"`, "Stop updating")
	if off := b.get("/usage?live=0").body; strings.Contains(off, "hx-trigger") || !strings.Contains(off, `name="live" value="0"`) || !strings.Contains(off, "Keep up to date") {
		t.Error(off)
	}
	b.get("/usage/account?"+url.Values{"account_id": {"a&b"}, "days": {"90"}, "interval": {"week"}}.Encode()).
		shows(t, "Usage of &lt;Acme&gt;", "usage/account?account_id=a%26b&amp;days=90&amp;interval=week", "Active users by week", ">old<")
	var data struct {
		Daily   int64 `json:"daily_active_users"`
		Monthly int64 `json:"monthly_active_users"`
		Totals  usage.Usage
		Results []usage.Usage
	}
	b.json("/usage?days=7").data(t, &data)
	if data.Daily != 2 || data.Monthly != 3 || data.Totals.Events != 3 || data.Totals.ActiveUsers != 2 || len(data.Results) != 7 || *data.Totals.ActiveAccounts != 1 {
		t.Errorf("%+v", data)
	}
	part := b.send(http.MethodGet, "/usage", nil, http.Header{"Hx-Request": {"true"}, "Accept": {"text/html"}})
	if strings.Contains(part.body, "<html") || !strings.Contains(part.body, `id="usage"`) {
		t.Errorf("%s", part.body)
	}
	for path, status := range map[string]int{
		"/usage?days=0": http.StatusUnprocessableEntity, "/usage?days=400": http.StatusUnprocessableEntity, "/usage?days=x": http.StatusUnprocessableEntity,
		"/usage?interval=hour": http.StatusUnprocessableEntity, "/usage/account": http.StatusNotFound, "/usage/account?account_id=nobody": http.StatusNotFound,
		"/usage/unattached?after=nonsense": http.StatusOK,
	} {
		if a := b.get(path); a.status != status {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestEventsThatWaitAreListed(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Viewer)
	b.get("/usage/unattached").shows(t, "No event waits")
	for i := range 60 {
		w.events("acme", fmt.Sprintf(`{"action":"x","user_id":"<user-%d>","created_at":%d}`, i, w.Now().UnixMilli()))
	}
	b.get("/usage").shows(t, "Some events wait")
	seen := map[string]bool{}
	for after := ""; ; {
		var data struct {
			Unattached []usage.Unattached
			Next       string
		}
		b.json("/usage/unattached?"+url.Values{"after": {after}}.Encode()).data(t, &data)
		for _, u := range data.Unattached {
			seen[u.ID] = true
		}
		if after = data.Next; after == "" {
			break
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d are listed", len(seen))
	}
	b.get("/usage/unattached").shows(t, "There is no user &#39;&lt;user-", ">More<")
}

func TestWhetherEventsMayCreateAccountsIsChosen(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	for _, form := range []url.Values{{"create_accounts": {"1"}}, {}} {
		if a := b.post("/usage/settings", form); a.status != http.StatusSeeOther {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if s, err := w.usage.Settings(t.Context(), "acme"); err != nil || s.CreateAccounts != (len(form) > 0) {
			t.Errorf("%+v, %v", s, err)
		}
	}
	b.get("/audit").shows(t, "usage.changed", "events may create accounts")
}
