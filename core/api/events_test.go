package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/resource"
	"tenure/core/table"
	"tenure/core/usage"
)

// taking is the Usage Event API beside the Account API.
type taking struct {
	*used
	events http.Handler
	pair   access.Secret
	logged bytes.Buffer
	served []api.Served
}

func newTaking(t testing.TB) *taking {
	t.Helper()
	w := &taking{used: newUsed(t)}
	var err error
	if _, w.pair, err = w.keys.CreateKey(t.Context(), "acme", access.UsageEventAPI, "product", "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	w.events = w.over(w.usage)
	return w
}

// over returns the Usage Event API over a store of usage.
func (w *taking) over(u *usage.Store) http.Handler {
	w.Helper()
	h, err := api.NewEvents(api.Config{
		Engine: u.Engine, Access: w.keys, Usage: u, Timeout: time.Minute, Log: slog.New(slog.NewTextHandler(&w.logged, nil)),
		Served: func(_ context.Context, s api.Served) { w.served = append(w.served, s) },
	})
	if err != nil {
		w.Fatal(err)
	}
	return h
}

// path is where events are sent under a pair of keys.
func (w *taking) path(pair access.Secret) string {
	return "/v1/" + url.PathEscape(pair.AuthKey) + "/" + url.PathEscape(pair.APIKey)
}

// to sends a request with a body, which is JSON to whoever sends it.
func (w *taking) to(path, method, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	w.events.ServeHTTP(answer, r)
	return answer
}

// sent is an answer to events.
type sent struct {
	OK       bool `json:"status_is_ok"`
	Message  string
	Code     string
	Accepted int
	Failed   int
	Results  []struct {
		Record  int
		OK      bool `json:"status_is_ok"`
		Message string
		Code    string
		Field   string
	} `json:"failed_results"`
}

// sends sends events, and returns the answer, which must be 200.
func (w *taking) sends(body string, header ...string) sent {
	w.Helper()
	answer := w.to(w.path(w.pair), http.MethodPost, body, header...)
	if answer.Code == http.StatusInternalServerError {
		w.Fatalf("%s", &w.logged)
	}
	promised(w, "events", answer)
	var got sent
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || answer.Code != http.StatusOK || got.Results == nil || got.Failed != len(got.Results) {
		w.Fatalf("%d %s %v", answer.Code, answer.Body, err)
	}
	return got
}

// count has what was taken counted, and returns what the workspace counts.
func (w *taking) count() string {
	w.Helper()
	for after := ""; ; {
		changes, err := w.store.Changes(w.Context(), after, 100)
		if err := errors.Join(append(w.usage.Follow(w.Context(), changes), err)...); err != nil {
			w.Fatal(err)
		}
		if len(changes) == 0 {
			break
		}
		after = changes[len(changes)-1].Sequence
	}
	if err := w.usage.Tick(w.Context(), "acme"); err != nil {
		w.Fatal(err)
	}
	r, err := w.usage.Workspace(w.Context(), "acme", usage.Period{Start: noon.UnixMilli() - 300*day, End: noon.UnixMilli() + 1, Interval: usage.Month})
	if err != nil {
		w.Fatal(err)
	}
	return fmt.Sprintf("%d events, %d users, %d sessions, %d ms, modules %v, features %v, actions %v", r.Totals.Events, r.Totals.ActiveUsers, r.Totals.Sessions, r.Totals.ActiveDuration,
		r.Totals.Modules, r.Totals.Features, r.Totals.Actions)
}

// TestTheShapesOfExistingClientsAreTaken has the requests of clients as they are sent
// (contract E2, E3).
func TestTheShapesOfExistingClientsAreTaken(t *testing.T) {
	now := noon.UnixMilli()
	for name, c := range map[string]struct{ body, want string }{
		"a form that says that it is JSON": {
			url.Values{"action": {"feature"}, "user_id": {"u"}, "created_at": {fmt.Sprint(now)}, "session_id": {"s"}, "feature": {"Export"}, "total": {"3"}, "details[email]": {"u@example.com"}}.Encode(),
			"1 events, 1 users, 1 sessions, 0 ms, modules [], features [{  Export 3 1}], actions [{feature 1}]"},
		"one object in camelCase": {
			fmt.Sprintf(`{"action":"sessionSync","userId":"u","accountId":"a","createdAt":%d,"sessionId":"s","activeDuration":1500}`, now),
			"1 events, 1 users, 1 sessions, 1500 ms, modules [], features [], actions [{sessionSync 1}]"},
		"one object over several lines": {
			fmt.Sprintf("{\r\n  \"action\": \"moduleEnd\",\r\n  \"user_id\": \"u\",\r\n  \"created_at\": %d,\r\n  \"module\": \"Reports\",\r\n  \"time_spent\": 20\r\n}\r\n", now),
			"1 events, 1 users, 0 sessions, 0 ms, modules [{ Reports 20 1}], features [], actions [{moduleEnd 1}]"},
		"a batch, one a line": {
			fmt.Sprintf("{\"action\":\"pageViewEnd\",\"user_id\":\"u\",\"created_at\":%d}\n{\"action\":\"pageViewEnd\",\"user_id\":\"u\",\"created_at\":%d}\n", now, now-1),
			"2 events, 1 users, 0 sessions, 0 ms, modules [], features [], actions [{pageViewEnd 2}]"},
		"lines with carriage returns and blank ones": {
			fmt.Sprintf("{\"action\":\"x\",\"user_id\":\"u\",\"created_at\":%d}\r\n\r\n{\"action\":\"x\",\"user_id\":\"u\",\"created_at\":%d}\r\n", now, now-1),
			"2 events, 1 users, 0 sessions, 0 ms, modules [], features [], actions [{x 2}]"},
		"numbers as text": {
			fmt.Sprintf(`{"action":"moduleEnd","user_id":12,"account_id":"a","created_at":"%d","module":"Reports","time_spent":"250"}`, now),
			"1 events, 1 users, 0 sessions, 0 ms, modules [{ Reports 250 1}], features [], actions [{moduleEnd 1}]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTaking(t)
			if got := w.sends(c.body); !got.OK || got.Failed != 0 {
				t.Fatalf("%+v", got)
			}
			if got := w.count(); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestEventsSentAgainCountOnce(t *testing.T) {
	w := newTaking(t)
	batch := event(0, `"action":"sessionSync","user_id":"u","session_id":"s","active_duration":5`) + "\n" + event(-1, `"action":"custom","user_id":"u","session_id":"s"`)
	want := ""
	for i := range 4 {
		if got := w.sends(batch); got.Accepted != 2 {
			t.Fatalf("%+v", got)
		}
		if i%2 == 0 { // counted in between, and not
			if got := w.count(); want == "" {
				want = got
			} else if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
	// As another client writes it: the same event.
	w.sends(fmt.Sprintf(`{"sessionId":"s","userId":"u","activeDuration":"5","createdAt":"%d","action":"sessionSync"}`, noon.UnixMilli()))
	if got := w.count(); got != want || !strings.HasPrefix(got, "2 events, 1 users, 2 sessions, 5 ms") {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLinesThatFailAreNamedAndTheOthersTaken(t *testing.T) {
	w := newTaking(t)
	good := event(0, `"action":"custom","user_id":"u"`)
	body := strings.Join([]string{good, `{"action":`, `{"user_id":"u","created_at":1}`, "", event(0, `"action":"x","user_id":"u","total":"many"`), `["not"]`, event(-400, `"action":"x","user_id":"u"`)}, "\n")
	got := w.sends(body)
	var failed []string
	for _, f := range got.Results {
		failed = append(failed, fmt.Sprintf("%d %s %s %v", f.Record, f.Code, f.Field, f.OK || f.Message == ""))
	}
	want := []string{"1 malformed  false", "2 missing_field action false", "4 wrong_type total false", "5 malformed  false", "6 out_of_range created_at false"}
	if !got.OK || got.Accepted != 1 || !slices.Equal(failed, want) {
		t.Errorf("%+v\n%s", got, strings.Join(failed, "\n"))
	}
	if counted := w.count(); !strings.HasPrefix(counted, "1 events") {
		t.Error(counted)
	}
	call := w.served[len(w.served)-1]
	if call.Workspace != "acme" || call.Endpoint != api.EventsPath || call.Family != api.EventsFunction || call.Records.Received != 6 || call.Records.Inserted != 1 || call.Records.Failed != 5 ||
		len(call.Failures) != 5 || !call.Success || call.KeyID == "" {
		t.Errorf("%+v", call)
	}
	if none := w.sends(`{"action":"x"}`); none.OK || none.Failed != 1 || none.Code != "" || !strings.Contains(none.Message, "'created_at'") {
		t.Errorf("%+v", none)
	}
}

func TestBodiesWithoutEventsAreRefusedWhole(t *testing.T) {
	w := newTaking(t)
	for name, body := range map[string]string{
		"nothing": "", "blanks": " \n\n ", "an array": "[" + event(0, `"action":"x","user_id":"u"`) + "]", "too many lines": strings.Repeat("x\n", 100_001),
	} {
		if got := w.sends(body); got.OK || got.Code != "malformed" || got.Accepted != 0 || len(got.Results) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if answer := w.to(w.path(w.pair), http.MethodPost, strings.Repeat(" ", api.MaxEventsBytes+1)); answer.Code != http.StatusRequestEntityTooLarge || !strings.Contains(answer.Body.String(), "6 MB") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if got := w.count(); !strings.HasPrefix(got, "0 events") {
		t.Error(got)
	}
}

func TestEventsMayBeCompressed(t *testing.T) {
	w := newTaking(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for i := range 2000 {
		fmt.Fprintln(z, event(0, fmt.Sprintf(`"action":"custom","user_id":"u","session_id":"s%d"`, i)))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if got := w.sends(packed.String(), "Content-Encoding", "gzip"); got.Accepted != 2000 {
		t.Errorf("%+v", got)
	}
	if got := w.count(); !strings.HasPrefix(got, "2000 events, 1 users, 2000 sessions") {
		t.Error(got)
	}
	if got := w.sends("not gzip", "Content-Encoding", "gzip"); got.OK || got.Code != "malformed" {
		t.Errorf("%+v", got)
	}
}

func TestOnlyAPairOfKeysOpensTheUsageEventAPI(t *testing.T) {
	w := newTaking(t)
	_, other, err := w.keys.CreateKey(t.Context(), "other", access.UsageEventAPI, "product", "")
	if err != nil {
		t.Fatal(err)
	}
	line := event(0, `"action":"custom","user_id":"u"`)
	for name, pair := range map[string]access.Secret{
		"made up":                {AuthKey: "a", APIKey: "b"},
		"exchanged":              {AuthKey: w.pair.APIKey, APIKey: w.pair.AuthKey},
		"of two workspaces":      {AuthKey: w.pair.AuthKey, APIKey: other.APIKey},
		"of the Account API":     {AuthKey: w.pair.AuthKey, APIKey: testKey},
		"of the Account API too": {AuthKey: testKey, APIKey: testKey},
	} {
		answer := w.to(w.path(pair), http.MethodPost, line)
		promised(t, name, answer)
		if answer.Code != http.StatusUnauthorized || !strings.Contains(answer.Body.String(), "Usage Event key") || answer.Header().Get("Www-Authenticate") != "" {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
		if strings.Contains(answer.Body.String(), pair.APIKey+`"`) {
			t.Errorf("%s: the answer holds a key", name)
		}
	}
	for _, path := range []string{"/v1", "/v1/", "/v1/" + w.pair.AuthKey, w.path(w.pair) + "/more", "/", "/v1//" + w.pair.APIKey} {
		if answer := w.to(path, http.MethodPost, line); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	if answer := w.to(w.path(w.pair), http.MethodGet, ""); answer.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", answer.Code)
	}
	if got := w.count(); !strings.HasPrefix(got, "0 events") {
		t.Error(got)
	}
	// What was sent under another workspace's keys is that workspace's.
	if answer := w.to(w.path(other), http.MethodPost, line); answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if got := w.count(); !strings.HasPrefix(got, "0 events") {
		t.Error(got)
	}
	if answer := w.to(w.path(w.pair)+"/", http.MethodPost, line); answer.Code != http.StatusOK { // contract P1
		t.Errorf("with a slash at the end: %d %s", answer.Code, answer.Body)
	}
	keys, err := w.keys.Keys(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(keys, func(k access.Key) bool { return k.Kind == access.UsageEventAPI })
	if _, err := w.keys.RevokeKey(t.Context(), "acme", keys[i].ID, ""); err != nil {
		t.Fatal(err)
	}
	if answer := w.to(w.path(w.pair), http.MethodPost, line); answer.Code != http.StatusUnauthorized {
		t.Errorf("revoked: %d %s", answer.Code, answer.Body)
	}
}

func TestPagesOfAnyOriginMaySendEvents(t *testing.T) {
	w := newTaking(t)
	answer := w.to(w.path(w.pair), http.MethodOptions, "", "Origin", "https://product.example.com", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if answer.Code != http.StatusOK || answer.Header().Get("Access-Control-Allow-Origin") != "*" || answer.Header().Get("Access-Control-Allow-Methods") != "POST" ||
		!strings.Contains(answer.Header().Get("Access-Control-Allow-Headers"), "Content-Type") {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
	if answer := w.to(w.path(access.Secret{AuthKey: "a", APIKey: "b"}), http.MethodPost, "{}"); answer.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a page cannot read why its events were refused")
	}
}

// broken is a store that cannot be written.
type broken struct{ table.Table }

func (broken) Write(context.Context, []table.Op, *table.Guard) []error {
	return []error{table.ErrUnavailable}
}

func TestKeysAreInNoLogAndNoAnswer(t *testing.T) {
	w := newTaking(t)
	w.events = w.over(usage.New(usage.Config{Table: broken{w.store}, Engine: w.usage.Engine, Now: w.usage.Now}))
	answer := w.to(w.path(w.pair), http.MethodPost, event(0, `"action":"custom","user_id":"u"`))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	w.events = w.over(&usage.Store{Config: usage.Config{Table: w.store, Engine: resource.New(resource.Config{Table: w.store}), Now: func() time.Time { panic("no clock") }}})
	if answer := w.to(w.path(w.pair), http.MethodPost, event(0, `"action":"custom","user_id":"u"`)); answer.Code != http.StatusInternalServerError {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if !strings.Contains(w.logged.String(), "no clock") || !strings.Contains(w.logged.String(), "unavailable") {
		t.Errorf("%s", &w.logged)
	}
	all := fmt.Sprint(&w.logged, w.served, answer.Body)
	for _, secret := range []string{w.pair.AuthKey, w.pair.APIKey} {
		if strings.Contains(all, secret) {
			t.Errorf("a key is in %s", all)
		}
	}
}

// user returns the user of an account, as the API has it.
func (w *taking) user(id, account string) map[string]any {
	w.Helper()
	path := "/account_users/" + id + "/" + account
	results, _ := promised(w, path, send(w, "GET", at(w, path), nil))["results"].([]any)
	if len(results) != 1 {
		w.Fatalf("%s: %v", path, results)
	}
	return results[0].(map[string]any)
}

func TestUsersAreIdentified(t *testing.T) {
	w := newTaking(t)
	// A new one, as a form, and in camelCase; then again without an account.
	form := url.Values{"action": {"identifyUser"}, "user_id": {"n"}, "account_id": {"a"}, "created_at": {fmt.Sprint(noon.UnixMilli())}, "details[first_name]": {"Nat"}, "details[lastName]": {"Archer"},
		"details[is_active]": {"true"}, "details[email]": {"nat@example.com"}, "details[user_id]": {"not this one"}}.Encode()
	if got := w.sends(form); got.Accepted != 1 {
		t.Fatalf("%+v", got)
	}
	got := w.sends(strings.Join([]string{
		event(0, `"action":"identifyUser","user_id":"n","details":{"last_name":"Baker"}`),
		event(0, `"action":"identifyUser","user_id":"u","details":{"first_name":"Una"}`),
		event(0, `"action":"identifyUser","user_id":"v","details":{"first_name":"Vic"}`),
		event(0, `"action":"identifyUser","user_id":"w","details":{"first_name":"Wes","last_name":"X"}`),
		event(0, `"action":"identifyUser","user_id":"w","account_id":"none","details":{"first_name":"Wes","last_name":"X"}`),
		event(0, `"action":"identifyUser","user_id":"w","account_id":"b","details":{"first_name":"Wes"}`),
		event(0, `"action":"identifyUser","user_id":"x","account_id":"b","details":{"first_name":"Xia","last_name":"X"}`),
		event(0, `"action":"identifyUser","user_id":"x","details":{"first_name":"Xi"}`),
		event(0, `"action":"identifyUser","account_id":"b"`),
	}, "\n"))
	var failed []string
	for _, f := range got.Results {
		failed = append(failed, fmt.Sprint(f.Record, " ", f.Code, " ", f.Field))
	}
	if want := []string{"2 not_unique account_id", "3 missing_field account_id", "4 not_found account_id", "5 missing_field last_name", "8 missing_field user_id"}; !slices.Equal(failed, want) || got.Accepted != 4 {
		t.Errorf("%+v\n%q", got, failed)
	}
	for id, want := range map[string]string{"n": "Nat Baker nat@example.com", "u": "Una L <nil>"} {
		if u := w.user(id, "a"); fmt.Sprint(u["first_name"], " ", u["last_name"], " ", u["email"]) != want {
			t.Errorf("%s: %v", id, u)
		}
	}
	if u := w.user("x", "b"); u["first_name"] != "Xi" {
		t.Errorf("%v", u)
	}
	// They are events, too.
	if got := w.count(); !strings.HasPrefix(got, "5 events, 3 users") {
		t.Error(got)
	}
}

func TestAccountsAreMadeByEventsWhereTheWorkspaceAllowsIt(t *testing.T) {
	w := newTaking(t)
	lines := strings.Join([]string{
		event(0, `"action":"identifyAccount","account_id":"a","details":{"name":"A and more"}`),
		event(-5, `"action":"identifyAccount","account_id":"new"`),
		event(0, `"action":"identifyAccount","account_id":"named","details":{"name":"Named","joinDate":"1000"}`),
		event(0, `"action":"identifyAccount","account_id":"named","details":{"industry":"Toys"}`),
		event(0, `"action":"identifyUser","user_id":"n","account_id":"new","details":{"first_name":"N","last_name":"N"}`),
	}, "\n")
	account := func(id string) string {
		answer := promised(t, id, send(w, "GET", at(t, "/accounts/"+id), nil))
		results, _ := answer["results"].([]any)
		if len(results) != 1 {
			return fmt.Sprint(answer["code"])
		}
		a := results[0].(map[string]any)
		return fmt.Sprintf("%v %.0f %v", a["name"], a["join_date"], a["industry"])
	}
	if got := w.sends(lines); got.Accepted != 1 || got.Failed != 4 || !strings.Contains(got.Results[0].Message, "may not create accounts") || got.Results[0].Field != "account_id" {
		t.Errorf("%+v", got)
	}
	if account("new") != "not_found" || account("a") != "A and more 1 <nil>" {
		t.Error(account("new"), account("a"))
	}
	if err := w.usage.SetSettings(t.Context(), "acme", usage.Settings{CreateAccounts: true}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := w.sends(lines); got.Accepted != 5 {
			t.Fatalf("%+v", got)
		}
	}
	for id, want := range map[string]string{"a": "A and more 1 <nil>", "new": fmt.Sprintf("new %d <nil>", noon.UnixMilli()-5*day), "named": "Named 1000 Toys"} {
		if got := account(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestEventsOfAUserWhoIsNotThereYetAreAttachedLater(t *testing.T) {
	w := newTaking(t)
	if got := w.sends(event(-1, `"action":"custom","user_id":"late","session_id":"s"`)); got.Accepted != 1 {
		t.Fatalf("%+v", got)
	}
	if got := w.count(); !strings.HasPrefix(got, "0 events") {
		t.Error(got)
	}
	waiting, _, err := w.usage.Unattached(t.Context(), "acme", "", 10)
	if err != nil || len(waiting) != 1 || waiting[0].ID != "late" {
		t.Errorf("%+v, %v", waiting, err)
	}
	w.sends(event(0, `"action":"identifyUser","user_id":"late","account_id":"b","details":{"first_name":"L","last_name":"L"}`))
	if got := w.count(); !strings.HasPrefix(got, "2 events, 1 users, 1 sessions") {
		t.Error(got)
	}
}

// FuzzEvents sends any body: the answer is what is promised, and says of each line
// what became of it.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"", "[]", `{"action":"x"}`, "a=1&details%5Bemail%5D=x", "action=identifyUser&user_id=u&created_at=1784116800000&details[first_name]=", "{\n}\n{", "\xff\xfe", `{"a":"\ud800"}`, "{}\r\n\r\n{}",
		event(0, `"action":"identifyAccount","account_id":"a","details":{"name":null,"name":"x","nps_history":[{}]}`), event(0, `"action":"feature","feature":"\u0000","user_id":"\n"`),
		event(0, `"action":"identifyUser","user_id":"u","details":{"custom_label_dimensions":[{"key":"k","value":1}],"joined":"1"}`),
	} {
		f.Add([]byte(seed))
	}
	w := newTaking(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := promised(t, "events", w.to(w.path(w.pair), http.MethodPost, string(body)))
		results, isList := answer["failed_results"].([]any)
		if accepted, counted := answer["accepted"].(float64); !isList || counted && (answer["status_is_ok"] != (accepted > 0) || answer["failed"] != float64(len(results))) {
			t.Fatalf("%v", answer)
		}
		lines := bytes.Count(bytes.TrimSpace(body), []byte("\n")) + 1
		last := -1
		for _, r := range results {
			record := int(r.(map[string]any)["record"].(float64))
			if record <= last || record >= lines {
				t.Fatalf("record %d of %d lines after %d", record, lines, last)
			}
			last = record
		}
	})
}
