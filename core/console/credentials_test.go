package console_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tenure/core/identity"
	"tenure/core/sources"
)

func TestCredentialsAreStoredAndNeverShown(t *testing.T) {
	w := newWorld(t)
	path := w.billing("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get("/credentials").shows(t, "Billing acme", "None")
	b.get(path+"/credentials").shows(t, "None are stored", "Secret or restricted key", `type="password"`)
	if a := b.post(path+"/credentials", url.Values{"auth": {"api_key"}, "credentials.api_key": {""}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Missing required setting") {
		t.Errorf("%d %s", a.status, a.body)
	}
	const secret = "not-a-real-secret-key"
	if a := b.post(path+"/credentials", url.Values{"auth": {"api_key"}, "credentials.api_key": {secret}}); a.status != http.StatusSeeOther || strings.Contains(a.body+fmt.Sprint(a.header), secret) {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, page := range []string{path + "/credentials", "/credentials", path, "/audit", "/sources"} {
		if a := b.get(page); a.status != http.StatusOK || strings.Contains(a.body, secret) {
			t.Errorf("%s: %d, or it shows the secret", page, a.status)
		}
		if a := b.json(page); strings.Contains(a.body, secret) {
			t.Errorf("%s as JSON shows the secret", page)
		}
	}
	b.get(path+"/credentials").shows(t, "by ann@example.com: api key", "Test connection", "One is stored")
	// Nobody is asked by the tests' store of sources.
	if a := b.post(path+"/credentials/check", nil); a.status != http.StatusOK || !strings.Contains(a.body, "It does not work: ") || strings.Contains(a.body, secret) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.post(path+"/credentials/delete", nil); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.get(path+"/credentials").shows(t, "None are stored")
}

// provider is an OAuth 2.0 server of a system.
type provider struct {
	server    *httptest.Server
	challenge string // of the grant under way
	redirect  string
	tokens    int
}

// RoundTrip sends requests for the system to the provider, whatever their host.
func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(p.server.URL, "http://")
	return http.DefaultTransport.RoundTrip(r)
}

func newProvider(t *testing.T) *provider {
	p := &provider{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /connect/token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		w.Header().Set("Content-Type", "application/json")
		if id != "the-app" || secret != "not-a-real-secret" || r.FormValue("code") != "good" || r.FormValue("redirect_uri") != p.redirect ||
			p.challenge != "" && base64.RawURLEncoding.EncodeToString(sum[:]) != p.challenge {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error": "invalid_grant"}`)
			return
		}
		p.tokens++
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_in": 1800})
	})
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

// answered returns what the admin of a workspace comes back with, who was sent to
// grant access to a system.
func (w *world) answered(workspace string) url.Values {
	w.Helper()
	p := newProvider(w.T)
	w.sources.Transport = p
	p.redirect = "http://127.0.0.1/admin/oauth/callback"
	to, err := w.sources.Authorize(w.Context(), workspace, strings.TrimPrefix(w.books(workspace), "/sources/"), p.redirect, "admin@"+workspace+".example")
	if err != nil {
		w.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		w.Fatal(err)
	}
	p.challenge = u.Query().Get("code_challenge")
	return url.Values{"state": {u.Query().Get("state")}, "code": {"good"}}
}

func TestAccessIsGrantedByWhoWasSentForIt(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.sources.Transport = p
	s := &sources.Source{Name: "Books", Connector: "xero", Settings: map[string]string{}}
	if err := w.sources.Create(t.Context(), "acme", s); err != nil {
		t.Fatal(err)
	}
	path := "/sources/" + s.ID
	b := w.as("acme", "ann@example.com", identity.Admin)
	bob := w.as("acme", "bob@example.com", identity.Admin)
	if a := b.post(path+"/connect", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Store the app") {
		t.Errorf("without an app: %d %s", a.status, a.body)
	}
	if a := b.post(path+"/credentials", url.Values{"auth": {"oauth"}, "credentials.client_id": {"the-app"}, "credentials.client_secret": {"not-a-real-secret"}}); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.get(path+"/credentials").shows(t, "Grant access", "/admin/oauth/callback")
	// begin goes where access is granted, and returns the state to come back with.
	begin := func() string {
		t.Helper()
		a := b.post(path+"/connect", nil)
		_, rest, _ := strings.Cut(a.body, `<a class="button" href="`)
		link, _, _ := strings.Cut(rest, `"`)
		to, err := url.Parse(html.UnescapeString(link))
		if err != nil || to.Host != "login.xero.com" || to.Query().Get("client_id") != "the-app" || to.Query().Get("state") == "" || strings.Contains(link, "not-a-real-secret") {
			t.Fatalf("%d %s", a.status, a.body)
		}
		p.challenge, p.redirect = to.Query().Get("code_challenge"), to.Query().Get("redirect_uri")
		return to.Query().Get("state")
	}
	back := func(who *browser, query url.Values) answer { return who.get("/oauth/callback?" + query.Encode()) }

	state := begin()
	for name, try := range map[string]func() answer{
		"another state":  func() answer { return back(b, url.Values{"state": {s.ID + ".made-up"}, "code": {"good"}}) },
		"no state":       func() answer { return back(b, url.Values{"code": {"good"}}) },
		"another person": func() answer { return back(bob, url.Values{"state": {state}, "code": {"good"}}) },
		"another's state": func() answer {
			return back(w.as("globex", "eve@example.com", identity.Admin), url.Values{"state": {state}, "code": {"good"}})
		},
	} {
		if a := try(); a.status < 400 || p.tokens > 0 {
			t.Errorf("%s: %d, %d tokens", name, a.status, p.tokens)
		}
	}
	if a := back(b, url.Values{"state": {state}, "code": {"good"}}); a.status != http.StatusSeeOther || p.tokens != 1 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.get(path+"/credentials").shows(t, "Access was granted", "Grant access again")
	if a := back(b, url.Values{"state": {state}, "code": {"good"}}); a.status < 400 || p.tokens > 1 {
		t.Errorf("the same answer again: %d", a.status)
	}

	if a := back(b, url.Values{"state": {begin()}, "error": {"access_denied"}}); a.status < 400 || !strings.Contains(a.body, "has not granted access: access_denied") {
		t.Errorf("denied: %d %s", a.status, a.body)
	}
	if a := back(b, url.Values{"state": {begin()}, "code": {"bad"}}); a.status < 400 || !strings.Contains(a.body, "invalid_grant") || strings.Contains(a.body, "not-a-real-secret") {
		t.Errorf("a bad code: %d %s", a.status, a.body)
	}
	state = begin()
	if a := b.post(path+"/disconnect", nil); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := back(b, url.Values{"state": {state}, "code": {"good"}}); a.status < 400 || p.tokens != 1 {
		t.Errorf("after it was disconnected: %d", a.status)
	}
	state = begin()
	w.ms.Add(11 * 60 * 1000)
	if a := back(b, url.Values{"state": {state}, "code": {"good"}}); a.status < 400 || p.tokens != 1 {
		t.Errorf("after eleven minutes: %d", a.status)
	}
}
