package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenure/core/connector/oauthtest"
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

// xeroScopes are what the sources of books ask for.
var xeroScopes = []string{"offline_access", "accounting.contacts.read", "accounting.invoices.read", "accounting.payments.read", "accounting.settings.read"}

// provider returns Xero's OAuth 2.0 server, which sends people back to a URI, and has
// the sources go there.
func (w *world) provider(redirect string) *oauthtest.Server {
	p := oauthtest.New(30*time.Minute, oauthtest.Client{ID: "the-app", Secret: "not-a-real-secret", Redirect: redirect})
	w.sources.Transport = p
	return p
}

// answered returns what the admin of a workspace comes back with, who was sent to
// grant access to a system.
func (w *world) answered(workspace string) url.Values {
	w.Helper()
	const redirect = "http://127.0.0.1/admin/oauth/callback"
	p := w.provider(redirect)
	to, err := w.sources.Authorize(w.Context(), workspace, strings.TrimPrefix(w.books(workspace), "/sources/"), redirect, "admin@"+workspace+".example")
	if err != nil {
		w.Fatal(err)
	}
	back, err := p.Decide(w.Context(), to, xeroScopes...)
	if err != nil {
		w.Fatal(err)
	}
	return back
}

func TestAccessIsGrantedByWhoWasSentForIt(t *testing.T) {
	w := newWorld(t)
	p := w.provider(w.server.URL + "/admin/oauth/callback")
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
	// begin goes where access is granted.
	begin := func() string {
		t.Helper()
		a := b.post(path+"/connect", nil)
		_, rest, _ := strings.Cut(a.body, `<a class="button" href="`)
		link, _, _ := strings.Cut(rest, `"`)
		to, err := url.Parse(html.UnescapeString(link))
		if err != nil || to.Host != "login.xero.com" || strings.Contains(link, "not-a-real-secret") {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return to.String()
	}
	// decide decides there, and returns what is come back with.
	decide := func(at string, scopes ...string) url.Values {
		t.Helper()
		back, err := p.Decide(t.Context(), at, scopes...)
		if err != nil {
			t.Fatal(err)
		}
		return back
	}
	back := func(who *browser, query url.Values) answer { return who.get("/oauth/callback?" + query.Encode()) }

	good := decide(begin(), xeroScopes...)
	for name, try := range map[string]func() answer{
		"another state": func() answer {
			return back(b, url.Values{"state": {s.ID + ".made-up"}, "code": good["code"]})
		},
		"no state":       func() answer { return back(b, url.Values{"code": good["code"]}) },
		"another person": func() answer { return back(bob, good) },
		"another workspace": func() answer {
			return back(w.as("globex", "eve@example.com", identity.Admin), good)
		},
	} {
		if a := try(); a.status < 400 || p.Given() > 0 {
			t.Errorf("%s: %d, %d tokens", name, a.status, p.Given())
		}
	}
	if a := back(b, good); a.status != http.StatusSeeOther || p.Given() != 1 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.get(path+"/credentials").shows(t, "Access was granted", "Grant access again")
	if a := back(b, good); a.status < 400 || p.Given() > 1 {
		t.Errorf("the same answer again: %d", a.status)
	}

	if a := back(b, decide(begin())); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "has not granted access: access_denied") {
		t.Errorf("denied: %d %s", a.status, a.body)
	}
	spent := decide(begin(), xeroScopes...)
	spent.Set("code", good.Get("code"))
	if a := back(b, spent); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "invalid_grant") || strings.Contains(a.body, "not-a-real-secret") {
		t.Errorf("a code that was used: %d %s", a.status, a.body)
	}
	// Somebody else's code, such as an attacker's, is no good with this grant's verifier.
	foreign := decide(begin(), xeroScopes...)
	mixed := decide(begin(), xeroScopes...)
	mixed.Set("code", foreign.Get("code"))
	if a := back(b, mixed); a.status != http.StatusUnprocessableEntity || p.Given() != 1 {
		t.Errorf("the code of another grant: %d, %d tokens", a.status, p.Given())
	}
	good = decide(begin(), xeroScopes...)
	if a := b.post(path+"/disconnect", nil); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := back(b, good); a.status < 400 || p.Given() != 1 {
		t.Errorf("after it was disconnected: %d", a.status)
	}
	good = decide(begin(), xeroScopes...)
	w.ms.Add(11 * 60 * 1000)
	if a := back(b, good); a.status < 400 || p.Given() != 1 {
		t.Errorf("after eleven minutes: %d", a.status)
	}
}
