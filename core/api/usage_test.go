package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

const (
	otherKey = "test-key-not-secret-of-another"
	day      = int64(24 * time.Hour / time.Millisecond)
)

// noon is the time in tests of usage: of a Wednesday.
var noon = time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)

// used is the API over a store with the accounts a and b: u is a user of a, v of both.
type used struct {
	testing.TB
	http.Handler
	store *embedded.Table
	keys  *access.Store
	usage *usage.Store
}

func newUsed(t testing.TB) *used {
	t.Helper()
	clock := func() time.Time { return noon }
	store, err := embedded.Open(t.TempDir(), embedded.Options{Feed: usage.Concerns, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	keys := access.New(store, nil)
	for workspace, key := range map[string]string{"acme": testKey, "other": otherKey} {
		if err := keys.EnsureWorkspace(t.Context(), workspace, key); err != nil {
			t.Fatal(err)
		}
	}
	engine := resource.New(resource.Config{Table: store, Root: catalog.Root, Now: clock})
	u := &used{TB: t, store: store, keys: keys, usage: usage.New(usage.Config{Table: store, Engine: engine, Now: clock})}
	u.Handler, err = api.New(api.Config{Engine: engine, Access: keys, Usage: u.usage, Timeout: time.Minute}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	u.post("/accounts", `{"account_id":"a","name":"A","join_date":1}`, `{"account_id":"b","name":"B","join_date":1}`)
	for _, user := range []string{`"a","user_id":"u"`, `"a","user_id":"v"`, `"b","user_id":"v"`} {
		u.post("/account_users", `{"first_name":"F","last_name":"L","account_id":`+user+`}`)
	}
	return u
}

func (u *used) post(path string, records ...string) {
	u.Helper()
	body := `{"records":[` + strings.Join(records, ",") + `]}`
	if answer := promised(u, path, send(u, "POST", at(u, path), []byte(body))); answer["inserted"] != float64(len(records)) {
		u.Fatal(path, answer)
	}
}

// happen has events arrive and be counted.
func (u *used) happen(events ...string) {
	u.Helper()
	var all []*usage.Event
	for _, text := range events {
		e, failure := usage.Parse([]byte(text), noon.UnixMilli())
		if failure != nil {
			u.Fatal(failure)
		}
		all = append(all, e)
	}
	err := u.usage.Append(u.Context(), "acme", all)
	changes, failed := u.store.Changes(u.Context(), "", 100)
	if err := errors.Join(append(u.usage.Follow(u.Context(), changes), err, failed)...); err != nil {
		u.Fatal(err)
	}
}

// report is what an answer has, in the order of tests: of every interval that is not
// empty its first day before today, active users, sessions, events.
type report struct {
	Interval string
	Results  []struct {
		Start, End       int64
		ActiveUsers      int64  `json:"active_users"`
		ActiveAccounts   *int64 `json:"active_accounts"`
		Sessions, Events int64
	}
	Totals struct {
		Start, End int64
		Events     int64
		Modules    []usage.Module
		Features   []usage.FeatureUse
	}
	Daily   int64 `json:"daily_active_users"`
	Weekly  int64 `json:"weekly_active_users"`
	Monthly int64 `json:"monthly_active_users"`
}

func (u *used) read(path string) (report, string) {
	u.Helper()
	w := send(u, "GET", at(u, path), nil)
	if answer := promised(u, path, w); answer["status_is_ok"] != true {
		u.Fatalf("%s: %s", path, w.Body)
	}
	var r report
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		u.Fatal(err)
	}
	var intervals []string
	for _, i := range r.Results {
		if i.Events == 0 {
			continue
		}
		text := fmt.Sprintf("%d days from %d: %d users, %d sessions, %d events", (i.End-i.Start)/day, (i.Start-noon.Truncate(24*time.Hour).UnixMilli())/day, i.ActiveUsers, i.Sessions, i.Events)
		if i.ActiveAccounts != nil {
			text += fmt.Sprintf(", %d accounts", *i.ActiveAccounts)
		}
		intervals = append(intervals, text)
	}
	return r, strings.Join(intervals, "; ")
}

func event(days int64, more string) string {
	return fmt.Sprintf(`{"created_at":%d,%s}`, noon.UnixMilli()+days*day, more)
}

func TestUsageIsReadOfUsersAccountsAndTheWorkspace(t *testing.T) {
	u := newUsed(t)
	u.happen(
		event(0, `"action":"sessionSync","user_id":"u","session_id":"s","active_duration":1000`),
		event(0, `"action":"moduleEnd","user_id":"u","session_id":"s","module":"Reports","time_spent":500,"product":"P"`),
		event(-3, `"action":"feature","user_id":"v","account_id":"a","session_id":"t","feature":"Export","module":"Reports","total":"2.5"`),
		event(-20, `"action":"feature","user_id":"v","account_id":"b","session_id":"t","feature":"Export"`),
		event(-40, `"action":"custom","user_id":"u","session_id":"r"`),
	)
	today, ofAccount := "1 days from 0: 1 users, 1 sessions, 2 events", "1 days from -3: 1 users, 1 sessions, 1 events; 1 days from 0: 1 users, 1 sessions, 2 events"
	for path, want := range map[string]string{
		"/accounts/a/usage":               ofAccount,
		"/accounts/b/usage":               "1 days from -20: 1 users, 1 sessions, 1 events",
		"/accounts/a/usage?interval=week": "7 days from -9: 1 users, 1 sessions, 1 events; 3 days from -2: 1 users, 1 sessions, 2 events",
		"/account_users/u/usage":          today,
		"/account_users/u/a/usage":        today,
		"/account_users/v/a/usage":        "1 days from -3: 1 users, 1 sessions, 1 events",
		"/account_users/v/b/usage":        "1 days from -20: 1 users, 1 sessions, 1 events",
		"/usage":                          "1 days from -20: 1 users, 1 sessions, 1 events, 1 accounts; 1 days from -3: 1 users, 1 sessions, 1 events, 1 accounts; 1 days from 0: 1 users, 1 sessions, 2 events, 1 accounts",
		fmt.Sprintf("/usage?interval=month&start=%d", noon.UnixMilli()-45*day):                                          "30 days from -44: 2 users, 2 sessions, 2 events, 2 accounts; 15 days from -14: 2 users, 2 sessions, 3 events, 1 accounts",
		fmt.Sprintf("/accounts/a/usage?end=%d&start=%d&interval=day", noon.UnixMilli()-39*day, noon.UnixMilli()-40*day): "1 days from -40: 1 users, 1 sessions, 1 events",
	} {
		if _, got := u.read(path); got != want {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
	}
	r, _ := u.read("/accounts/a/usage")
	if len(r.Results) != 30 || r.Interval != "day" || r.Totals.End-r.Totals.Start != 30*day || r.Daily != 1 || r.Weekly != 2 || r.Monthly != 2 {
		t.Errorf("%d intervals of a %s: %+v", len(r.Results), r.Interval, r)
	}
	if got := fmt.Sprint(r.Totals.Modules, r.Totals.Features); got != "[{P Reports 500 1}] [{ Reports Export 2.5 1}]" {
		t.Errorf("modules and features: %s", got)
	}
}

func TestAReadOfUsageThatCannotBeNamesWhatIsWrong(t *testing.T) {
	u := newUsed(t)
	for _, c := range []struct{ path, code, field string }{
		{"/accounts/a/usage?interval=hour", "not_a_choice", "interval"},
		{"/accounts/a/usage?start=yesterday", "wrong_type", "start"},
		{"/accounts/a/usage?end=1.5", "wrong_type", "end"},
		{"/accounts/a/usage?start=-1", "out_of_range", "start"},
		{"/accounts/a/usage?end=-9223372036854775808", "out_of_range", "end"},
		{"/usage?start=9223372036854775807", "out_of_range", "start"},
		{"/usage?end=9223372036854775807", "out_of_range", "end"},
		{"/usage?start=0", "out_of_range", "end"},
		{"/usage?start=5&end=5", "out_of_range", "end"},
		{"/accounts/c/usage", "not_found", "account_id"},
		{"/accounts/%00/usage", "not_found", "account_id"},
		{"/account_users/w/usage", "not_found", "user_id"},
		{"/account_users/%00/usage", "not_found", "user_id"},
		{"/account_users/u/b/usage", "not_found", "user_id"},
		{"/account_users/v/usage", "not_unique", "account_id"},
	} {
		w := send(u, "GET", at(t, c.path), nil)
		answer := promised(t, c.path, w)
		results, _ := answer["results"].([]any)
		if answer["status_is_ok"] != false || answer["code"] != c.code || answer["field"] != c.field || results == nil || len(results) != 0 {
			t.Errorf("%s: %s", c.path, w.Body)
		}
		if message := answer["message"].(string); c.code != "not_found" && !strings.Contains(message, "'") {
			t.Errorf("%s: the message names nothing: %s", c.path, message)
		}
	}
	for _, path := range []string{"/accounts/a/usage", "/account_users/u/usage", "/account_users/u/a/usage", "/usage"} {
		if w := send(u, "DELETE", at(t, path), nil); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("DELETE %s: status %d", path, w.Code)
		}
	}
}

func TestUsageIsReadWithAKeyOfTheWorkspaceAlone(t *testing.T) {
	u := newUsed(t)
	u.happen(event(0, `"action":"feature","user_id":"u","feature":"Secret"`))
	for _, path := range []string{"/accounts/a/usage", "/account_users/u/usage", "/account_users/u/a/usage", "/usage"} {
		own := send(u, "GET", at(t, path), nil)
		foreign := send(u, "GET", at(t, path), nil, "Authorization", basic(otherKey))
		stranger := send(u, "GET", at(t, path), nil, "Authorization", basic("test-key-not-secret-of-nobody"))
		if !strings.Contains(own.Body.String(), "Secret") || strings.Contains(foreign.Body.String(), "Secret") || stranger.Code != http.StatusUnauthorized {
			t.Errorf("%s: %s\n%s\n%s", path, own.Body, foreign.Body, stranger.Body)
		}
	}
}

func basic(key string) string {
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("api", key)
	return r.Header.Get("Authorization")
}
