package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/core/catalog"
	"tenure/core/health"
	"tenure/core/resource"
	"tenure/core/rollup"
)

// healthOf is an answer about health.
type healthOf struct {
	AccountID string `json:"account_id"`
	health.Assessment
	ComputedAt *int64 `json:"computed_at"`
	Results    []health.Day
}

func (u *used) health(path string) healthOf {
	u.Helper()
	w := send(u, "GET", at(u, path), nil)
	if answer := promised(u, path, w); answer["status_is_ok"] != true {
		u.Fatalf("%s: %s", path, w.Body)
	}
	var h healthOf
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
		u.Fatal(err)
	}
	return h
}

// assess derives and assesses the account a.
func (u *used) assess() {
	u.Helper()
	engine := resource.New(resource.Config{Table: u.store, Root: catalog.Root, Now: func() time.Time { return noon }})
	derived := rollup.New(engine, u.usage)
	if failed := derived.Accounts(u.Context(), "acme", "a"); len(failed) > 0 {
		u.Fatal(failed)
	}
	if err := derived.Assess(u.Context(), "acme", "a"); err != nil {
		u.Fatal(err)
	}
}

// known gives the account a what its health follows from.
func (u *used) known() {
	u.Helper()
	ago := func(days int64) int64 { return noon.UnixMilli() - days*day }
	u.post("/subscriptions", fmt.Sprintf(`{"account_id":"a","subscription_id":"s","event":"revenue","effective_start_date":%d,"total_revenue":120000,"cycle_unit":"year","cycle_length":1,"next_renewal_date":%d}`, ago(300), ago(-10)))
	u.post("/support_tickets", fmt.Sprintf(`{"account_id":"a","ticket_id":"1","state":"open","priority":"urgent","create_time":%d,"subject":"s"}`, ago(2)),
		fmt.Sprintf(`{"account_id":"a","ticket_id":"2","state":"solved","create_time":%d,"subject":"s"}`, ago(20)),
		fmt.Sprintf(`{"account_id":"a","ticket_id":"3","state":"solved","create_time":%d,"subject":"s"}`, ago(200)))
	body := fmt.Sprintf(`{"records":[{"account_id":"a","nps_history":[{"nps_score":-80,"date":%d,"username":"u"}]}]}`, ago(5))
	if answer := promised(u, "/accounts", send(u, "POST", at(u, "/accounts"), []byte(body))); answer["changed"] != 1.0 {
		u.Fatal(answer)
	}
}

func TestTheHealthOfAnAccountExplainsItself(t *testing.T) {
	u := newUsed(t)
	if h := u.health("/accounts/a/health"); h.AccountID != "a" || h.Score != nil || h.ComputedAt != nil || h.Explanation == "" || h.Parts == nil || len(h.Parts)+len(h.Results) > 0 {
		t.Errorf("before it was assessed: %+v", h)
	}
	u.assess()
	h := u.health("/accounts/a/health")
	if h.Score != nil || h.ComputedAt == nil || !strings.Contains(h.Explanation, "at least 2 of usage, support, nps and revenue must have it") || len(h.Parts) != 5 || len(h.Results) != 1 || h.Results[0].Score != nil {
		t.Errorf("without data: %+v", h)
	}
	for _, p := range h.Parts {
		if p.Status != health.NotEnoughData || p.Points != nil || !strings.HasPrefix(p.Explanation, "Not enough data: ") || p.Inputs == nil || p.Measures == nil {
			t.Errorf("without data: %+v", p)
		}
	}

	u.known()
	u.assess()
	h = u.health("/accounts/a/health")
	// support: 1 urgent weighs 4, usual is 1: 0; 1 of 2 unsolved: 33; 2 of 1 new: 50: 28
	// points. nps 0, revenue 83. (20*28 + 15*0 + 20*83) / 55 = 40.4; renewal in 10 days:
	// 40.4 - 80/90*19.6 = 22. (2220 + 220) / 65 = 37.5.
	if h.Score == nil || *h.Score != 38 || h.Weight != 65 || h.Explanation != "38 is the weighted mean of support 28 (weight 20), nps 0 (weight 15), revenue 83 (weight 20), renewal 22 (weight 10)." {
		t.Errorf("%+v", h.Assessment)
	}
	for i, want := range []struct {
		part      string
		explained string
		input     string
		value     int64
	}{
		{"usage", "Not enough data: there are no usage events.", "active_users", 0},
		{"support", "Open now: 1 ticket, with the weight of 4 normal ones; usual are about 1 in 28 days. Unsolved: 1 of 2 tickets in the last 90 days. New in the last 28 days: 2 tickets.", "open_urgent", 1},
		{"nps", "The net promoter score is -80.", "days_since_answer", 5},
		{"revenue", "MRR is 100.00, and was 100.00 90 days ago (no change).", "mrr", 10_000},
		{"renewal", "The renewal is due in 10 days. The other parts come to 40, less than 60: so it counts, with 22 points.", "days_to_renewal", 10},
	} {
		p := h.Parts[i]
		value, known := p.Inputs[want.input]
		if p.Name != want.part || !strings.Contains(p.Explanation, want.explained) || !known || value != want.value {
			t.Errorf("%+v\nwant %+v", p, want)
		}
	}
	// The account's record says the same.
	w := send(u, "GET", at(u, "/accounts/a"), nil)
	if !strings.Contains(w.Body.String(), `"current_health_score":38,`) {
		t.Errorf("the account: %s", w.Body)
	}
	today := noon.Truncate(24 * time.Hour).UnixMilli()
	if len(h.Results) != 1 || h.Results[0].Start != today || *h.Results[0].Score != 38 || h.Results[0].Points["support"] != 28 {
		t.Errorf("history: %+v", h.Results)
	}
	for query, days := range map[string]int{
		"": 1, fmt.Sprintf("?start=%d", today): 1, fmt.Sprintf("?end=%d", today): 0, fmt.Sprintf("?start=%d&end=%d", today-5*day, today+1): 1, fmt.Sprintf("?start=%d", noon.UnixMilli()-1): 1,
	} {
		if h := u.health("/accounts/a/health" + query); len(h.Results) != days || *h.Score != 38 {
			t.Errorf("%s: %+v", query, h.Results)
		}
	}
}

// TestNobodyWritesAHealthScore shows that the score is read-only, and that what is said
// of an account leaves it as it is.
func TestNobodyWritesAHealthScore(t *testing.T) {
	u := newUsed(t)
	u.known()
	u.assess()
	for _, body := range []string{`{"data":{"current_health_score":99}}`, `{"data":{"current_health_score":99,"phone":"1"}}`} {
		if w := send(u, "PUT", at(u, "/accounts/a"), []byte(body)); promised(u, "/accounts/a", w)["status_is_ok"] != true {
			t.Errorf("%s", w.Body)
		}
	}
	w := send(u, "PUT", at(u, "/accounts/a"), []byte(`{"options":{"reject_unknown_fields":true},"data":{"current_health_score":99}}`))
	if answer := promised(u, "/accounts/a", w); answer["status_is_ok"] != false || answer["field"] != "current_health_score" {
		t.Errorf("%s", w.Body)
	}
	if w := send(u, "GET", at(u, "/accounts/a"), nil); !strings.Contains(w.Body.String(), `"current_health_score":38,`) {
		t.Errorf("the account: %s", w.Body)
	}
	search := `{"records":[{"attribute":"current_health_score","operator":"lt","value":50}]}`
	if w := send(u, "POST", at(u, "/search/accounts"), []byte(search)); !strings.Contains(w.Body.String(), `"account_id":"a"`) || strings.Contains(w.Body.String(), `"account_id":"b"`) {
		t.Errorf("found: %s", w.Body)
	}
}

func TestAReadOfHealthThatCannotBeNamesWhatIsWrong(t *testing.T) {
	u := newUsed(t)
	for _, c := range []struct{ path, code, field string }{
		{"/accounts/a/health?start=yesterday", "wrong_type", "start"},
		{"/accounts/a/health?start=-1", "out_of_range", "start"},
		{"/accounts/a/health?end=9223372036854775807", "out_of_range", "start"},
		{"/accounts/a/health?end=-9223372036854775808", "out_of_range", "end"},
		{"/accounts/a/health?start=5&end=5", "out_of_range", "end"},
		{"/accounts/a/health?start=0", "out_of_range", "end"},
		{"/accounts/c/health", "not_found", "account_id"},
		{"/accounts/%00/health", "not_found", "account_id"},
	} {
		w := send(u, "GET", at(t, c.path), nil)
		answer := promised(t, c.path, w)
		results, _ := answer["results"].([]any)
		if answer["status_is_ok"] != false || answer["code"] != c.code || answer["field"] != c.field || results == nil || len(results) != 0 {
			t.Errorf("%s: %s", c.path, w.Body)
		}
	}
	if w := send(u, "DELETE", at(t, "/accounts/a/health"), nil); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("status %d", w.Code)
	}
}

func TestHealthIsReadWithAKeyOfTheWorkspaceAlone(t *testing.T) {
	u := newUsed(t)
	u.known()
	u.assess()
	const path = "/accounts/a/health"
	other := []string{"Authorization", basic(otherKey)}
	w := send(u, "GET", at(t, path), nil, other...)
	if answer := promised(t, path, w); answer["status_is_ok"] != false || strings.Contains(w.Body.String(), "renewal") {
		t.Errorf("another workspace: %s", w.Body)
	}
	// Not even where it has an account of that name.
	body := []byte(`{"records":[{"account_id":"a","name":"A","join_date":1}]}`)
	promised(t, "/accounts", send(u, "POST", at(t, "/accounts"), body, other...))
	w = send(u, "GET", at(t, path), nil, other...)
	if answer := promised(t, path, w); answer["status_is_ok"] != true || answer["score"] != nil || strings.Contains(w.Body.String(), "renewal") {
		t.Errorf("another workspace: %s", w.Body)
	}
	if w := send(u, "GET", at(t, path), nil); !strings.Contains(w.Body.String(), "renewal") {
		t.Errorf("the workspace itself: %s", w.Body)
	}
	if w := send(u, "GET", at(t, path), nil, "Authorization", basic("test-key-not-secret-of-nobody")); w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
}
