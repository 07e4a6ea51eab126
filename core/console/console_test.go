package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/identity"
)

func TestTheFirstAdminComesInByALink(t *testing.T) {
	w := newWorld(t)
	link, err := w.people.AdminLink(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	b := w.stranger()
	if a := b.get("/welcome/" + link); a.status != http.StatusOK || !strings.Contains(a.body, "Welcome to acme") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a := b.post("/welcome/"+link, url.Values{"email": {"ann@example.com"}, "name": {"<Ann>"}, "password": {"short"}})
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "at least 12 characters") ||
		!strings.Contains(a.body, `value="&lt;Ann&gt;"`) || strings.Contains(a.body, "short") {
		t.Errorf("a bad password: %d %s", a.status, a.body)
	}
	a = b.post("/welcome/"+link, url.Values{"email": {"ann@example.com"}, "name": {"<Ann>"}, "password": {password}})
	if a.status != http.StatusSeeOther || a.header.Get("Location") != ".././" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := b.get("/keys"); a.status != http.StatusOK || !strings.Contains(a.body, "&lt;Ann&gt;") || strings.Contains(a.body, "<Ann>") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.stranger().get("/welcome/" + link); a.status != http.StatusNotFound || !strings.Contains(a.body, "used before") {
		t.Errorf("used again: %d %s", a.status, a.body)
	}
}

func TestSigningInLeadsWhereOneWanted(t *testing.T) {
	w := newWorld(t)
	w.as("acme", "ann@example.com", identity.Admin)
	for next, leads := range map[string]string{
		"keys": "./keys", "audit?before=": "./audit?before=", "": "./",
		"//elsewhere.example": "./", "https://elsewhere.example/": "./", "/\\elsewhere.example": "./", "../../x": "./", "javascript:alert(1)": "./",
	} {
		a := w.stranger().post("/sign-in", url.Values{"email": {"ann@example.com"}, "password": {password}, "next": {next}})
		if a.status != http.StatusSeeOther || a.header.Get("Location") != leads {
			t.Errorf("%q: %d %q, want %q", next, a.status, a.header.Get("Location"), leads)
		}
	}
	a := w.stranger().get("/people?x=1")
	if u, err := url.Parse(a.header.Get("Location")); err != nil || u.Query().Get("next") != "people?x=1" {
		t.Errorf("%v", a.header)
	}
}

func TestSigningInIsRefusedAndLimited(t *testing.T) {
	w := newWorld(t)
	w.as("acme", "ann@example.com", identity.Admin)
	b := w.stranger()
	wrong := url.Values{"email": {"ann@example.com"}, "password": {"the wrong password"}}
	for range 10 {
		if a := b.post("/sign-in", wrong); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "is wrong") || strings.Contains(a.body, "the wrong") {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := b.post("/sign-in", url.Values{"email": {"ann@example.com"}, "password": {password}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "too many attempts") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get("/keys"); a.status != http.StatusSeeOther {
		t.Errorf("signed in all the same: %d", a.status)
	}
	w.advance(15 * time.Minute)
	if a := b.post("/sign-in", url.Values{"email": {"ann@example.com"}, "password": {password}}); a.status != http.StatusSeeOther {
		t.Errorf("later: %d %s", a.status, a.body)
	}
}

func TestCookiesKeepToHTTPSWhereThereIsHTTPS(t *testing.T) {
	w := newWorld(t)
	w.as("acme", "ann@example.com", identity.Admin)
	form := url.Values{"email": {"ann@example.com"}, "password": {password}}
	plain := w.stranger().post("/sign-in", form).header.Get("Set-Cookie")
	if !strings.HasPrefix(plain, "tenure=") || !strings.Contains(plain, "HttpOnly; SameSite=Lax") || strings.Contains(plain, "Secure") {
		t.Errorf("by HTTP: %q", plain)
	}
	header := formType.Clone()
	header.Set("X-Forwarded-Proto", "https")
	a := w.stranger().send(http.MethodPost, "/sign-in", strings.NewReader(form.Encode()), header)
	if c := a.header.Get("Set-Cookie"); !strings.HasPrefix(c, "__Host-tenure=") || !strings.Contains(c, "Path=/; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("by HTTPS: %q", c)
	}
	if a.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%v", a.header)
	}
}

func TestSigningOutAndEndingSessions(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	other := w.stranger()
	other.post("/sign-in", url.Values{"email": {"ann@example.com"}, "password": {password}})
	var seen struct{ Sessions []identity.Described }
	b.json("/profile").data(t, &seen)
	if len(seen.Sessions) != 2 {
		t.Fatalf("%+v", seen)
	}
	for _, s := range seen.Sessions {
		if !s.Current {
			if a := b.post("/profile/sessions/"+s.ID+"/end", nil); a.status != http.StatusSeeOther || a.header.Get("Location") != "../../.././profile?done=session-ended" {
				t.Errorf("%d %v", a.status, a.header)
			}
		}
	}
	if a := other.get("/keys"); a.status != http.StatusSeeOther {
		t.Errorf("ended elsewhere: %d", a.status)
	}
	if a := b.post("/sign-out", nil); a.status != http.StatusSeeOther || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := b.get("/sign-in?done=signed-out"); !strings.Contains(a.body, "You are signed out.") {
		t.Errorf("%s", a.body)
	}
}

func TestAKeyIsShownOnceAndWorks(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	a := b.send(http.MethodPost, "/keys", strings.NewReader(`{"label":"Import","kind":"usage_event","form_token":"`+b.token+`"}`),
		http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}})
	var made struct {
		Created struct {
			Key    access.Key
			Secret access.Secret
		}
	}
	a.data(t, &made)
	secret := made.Created.Secret
	if caller, err := w.access.AuthenticateEvents(t.Context(), secret); err != nil || caller.Workspace != "acme" {
		t.Fatalf("%+v, %v", caller, err)
	}
	if page := b.get("/keys"); !strings.Contains(page.body, "Import") || strings.Contains(page.body, secret.APIKey) || strings.Contains(page.body, secret.AuthKey) {
		t.Errorf("%s", page.body)
	}
	again := b.post("/keys", url.Values{"label": {"Import"}, "kind": {"usage_event"}})
	if again.status != http.StatusUnprocessableEntity || !strings.Contains(again.body, "no other valid key has") || !strings.Contains(again.body, `aria-describedby="label-refused"`) {
		t.Errorf("sent again: %d %s", again.status, again.body)
	}
	if a := b.post("/keys/"+made.Created.Key.ID+"/revoke", nil); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, err := w.access.AuthenticateEvents(t.Context(), secret); err == nil {
		t.Error("it is revoked and opens the workspace")
	}
}

func TestFormsByProgramAreReadStrictly(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	for body, message := range map[string]string{
		`{"label":["x"]}`: "'label' value must be", `[1]`: "must be a JSON object", `{`: "must be a JSON object",
		`{"label":"` + strings.Repeat("x", 1<<20) + `"}`: "must be a JSON object",
	} {
		a := b.send(http.MethodPost, "/keys", strings.NewReader(body), http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}})
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, message) {
			t.Errorf("%.40s: %d %s", body, a.status, a.body)
		}
	}
}

func TestWhoIsRemovedIsOutAtOnce(t *testing.T) {
	w := newWorld(t)
	admin := w.as("acme", "ann@example.com", identity.Admin)
	b := w.as("acme", "ben@example.com", identity.Viewer)
	var seen struct{ Members []identity.Member }
	admin.json("/people").data(t, &seen)
	if a := admin.post("/people/"+seen.Members[1].ID+"/remove", nil); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := b.get("/keys"); a.status != http.StatusForbidden || !strings.Contains(a.body, "no workspace any longer") || !strings.Contains(a.body, "Sign out") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get("/profile"); a.status != http.StatusOK {
		t.Errorf("their own page: %d %s", a.status, a.body)
	}
	if a := admin.post("/people/"+seen.Members[0].ID+"/remove", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "needs an admin") {
		t.Errorf("the last admin: %d %s", a.status, a.body)
	}
}

func TestAPageLeftOpenChangesNothingInAnotherWorkspace(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	link, err := w.people.AdminLink(t.Context(), "globex")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.people.Accept(t.Context(), link, identity.Arrival{Email: "ann@example.com", Password: password}, identity.Client{}); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/keys"); !strings.Contains(a.body, `<option selected>acme</option>`) {
		t.Errorf("%s", a.body)
	}
	if a := b.post("/workspace", url.Values{"workspace": {"globex"}}); a.status != http.StatusSeeOther || a.header.Get("Location") != "./?done=workspace-changed" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	a := b.post("/keys", url.Values{"label": {"Left open"}, "kind": {"account"}})
	if a.status != http.StatusForbidden || !strings.Contains(a.body, "out of date") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTheAuditLogHasPages(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	for n := range 150 {
		w.advance(time.Millisecond)
		if err := w.people.Record(t.Context(), "acme", identity.Entry{By: "ann@example.com", Action: "key.created", Object: fmt.Sprintf("number %d.", n)}); err != nil {
			t.Fatal(err)
		}
	}
	var first, second struct {
		Entries []identity.Entry
		Before  string
	}
	b.json("/audit").data(t, &first)
	b.json("/audit?before="+url.QueryEscape(first.Before)).data(t, &second)
	if len(first.Entries) != 100 || len(second.Entries) != 51 || second.Before != "" || second.Entries[0].Object != "number 49." {
		t.Errorf("%d and %d entries", len(first.Entries), len(second.Entries))
	}
	if a := b.get("/audit"); !strings.Contains(a.body, "Earlier entries") || !strings.Contains(a.body, "number 149.") {
		t.Errorf("%s", a.body)
	}
	if a := b.get("/audit?before=x"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", a.status)
	}
}

func TestAssetsAreKeptByTheirContent(t *testing.T) {
	w := newWorld(t)
	b := w.stranger()
	page := b.get("/sign-in").body
	n := 0
	for part := range strings.SplitSeq(page, `"./assets/`) {
		reference, _, ok := strings.Cut(part, `"`)
		if !ok || !strings.Contains(reference, "?") {
			continue
		}
		n++
		reference, _, _ = strings.Cut(reference, "#")
		a := b.get("/assets/" + reference)
		if a.status != http.StatusOK || !strings.Contains(a.header.Get("Cache-Control"), "immutable") || a.body == "" {
			t.Errorf("%s: %d %v", reference, a.status, a.header)
		}
		old, _, _ := strings.Cut(reference, "?")
		if a := b.get("/assets/" + old + "?old"); a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", old, a.header)
		}
	}
	if n < 4 {
		t.Errorf("%d assets in %s", n, page)
	}
}

func TestJSONHoldsWhatThePageShows(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	w.key("acme")
	a := b.json("/keys")
	if !json.Valid([]byte(a.body)) || !strings.Contains(a.body, secretOf("acme")+" key") || a.header.Get("X-Form-Token") != b.token {
		t.Errorf("%s %v", a.body, a.header)
	}
}

func TestAKeyTellsWhenItWasLastUsed(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	id := w.key("acme")
	var seen struct {
		Keys []struct {
			ID       string
			LastUsed int64 `json:"last_used"`
		}
	}
	used := func() int64 {
		b.json("/keys").data(t, &seen)
		for _, k := range seen.Keys {
			if k.ID == id {
				return k.LastUsed
			}
		}
		t.Fatalf("%+v", seen)
		return 0
	}
	if at := used(); at != 0 || !strings.Contains(b.get("/keys").body, "never") {
		t.Errorf("before: %d", at)
	}
	w.advance(time.Hour)
	if err := w.calls.Record(t.Context(), "acme", calls.Call{Method: "GET", Endpoint: "/accounts", Family: "accounts", Kind: calls.Read, KeyID: id, Success: true, Status: 200}); err != nil {
		t.Fatal(err)
	}
	if at := used(); at != w.Now().UnixMilli() {
		t.Errorf("after: %d, want %d", at, w.Now().UnixMilli())
	}
}
