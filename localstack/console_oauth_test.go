package main

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"tenure/core/connector/oauthtest"
	"tenure/localstack/browser"
	"tenure/localstack/sourcing"
)

// books is Xero: an OAuth 2.0 server at its addresses for that, and a stand-in that
// takes the tokens that the server has given out.
type books struct {
	oauth *oauthtest.Server
	api   http.RoundTripper
}

func (b *books) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "api.xero.com" {
		return b.oauth.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if b.oauth.Opens(r) {
		r.Header.Set("Authorization", "Bearer secret-access-0") // which the stand-in takes
	}
	return b.api.RoundTrip(r)
}

// TestConsoleOAuth has an admin connect a system by the operator's app: they deny
// access, answer with a state that is not theirs, grant less than was asked for, use
// what they have granted, lose it, grant it again, and disconnect.
func TestConsoleOAuth(t *testing.T) {
	t.Parallel()
	connections, err := os.ReadFile("../core/connectors/testdata/xero/records/connections.json")
	if err != nil {
		t.Fatal(err)
	}
	xero := &books{api: standIn(t, "xero", "oauth", map[string]string{"connections": string(connections)})}
	proxy, settings := within(t, xero)
	dir := t.TempDir()
	p := start(t, append(settings, "DATA_DIR="+dir)...)
	// Each use of a token that is good for so short refreshes it.
	const id, secret = "app-of-the-operator", "not-a-real-secret"
	xero.oauth = oauthtest.New(2*time.Second, oauthtest.Client{ID: id, Secret: secret, Redirect: p.address + "/admin/oauth/callback"})
	remote := sourcing.Dial(t.Context(), dir)
	if remote == nil {
		t.Fatal("the product takes no commands")
	}
	if err := remote.Do(t.Context(), "", []string{"app", "xero"}, strings.NewReader(`{"client_id": "`+id+`", "client_secret": "`+secret+`"}`), func(sourcing.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	ann := &person{browser.Open(t, p.address, browser.Through(proxy, "https://login.xero.com")), "ann@example.com", "Ann Archer"}
	ann.join(p.adminLink("test"), "test")

	ann.open("OAuth")
	ann.See("There is no source with a system that people grant access to", p.address+"/admin/oauth/callback")
	ann.Inspect("oauth-empty")
	ann.Choose("System", "Xero, of which you add a source first")
	ann.Press("Connect")
	ann.See("Add Xero")
	ann.Press("Add the source")
	ann.See("This deployment has an app for Xero")
	ann.Inspect("oauth-app")

	connect := func(who *person) {
		t.Helper()
		who.open("OAuth")
		who.Choose("System", "Xero: Xero")
		who.Press("Connect")
		who.See("Sign in at login.xero.com")
	}
	connect(ann)
	ann.Inspect("oauth-connect")
	ann.Follow("Continue to Xero")
	ann.See(id+" wants access", "accounting.payments.read")
	ann.Allow(http.StatusUnprocessableEntity)
	ann.Press("Deny")
	ann.See("Xero has not granted access: access_denied", "Not connected")
	ann.Inspect("oauth-denied")

	// Somebody answers with a good code and a state that was not given to them.
	connect(ann)
	_, link, _ := strings.Cut(ann.HTML(), `href="https://login.xero.com`)
	link, _, _ = strings.Cut(link, `"`)
	back, err := xero.oauth.Decide(t.Context(), "https://login.xero.com"+html.UnescapeString(link), "offline_access")
	if err != nil {
		t.Fatal(err)
	}
	source, _, _ := strings.Cut(back.Get("state"), ".")
	for _, state := range []string{source + ".made-up", back.Get("state") + "x", "", "nothing"} {
		ann.Visit("/admin/oauth/callback?" + url.Values{"code": back["code"], "state": {state}}.Encode())
		ann.See("This is not the answer to anything that was asked", "Not connected")
	}
	if n := xero.oauth.Given(); n != 0 {
		t.Errorf("%d tokens were given out", n)
	}

	connect(ann)
	ann.Follow("Continue to Xero")
	ann.Toggle("accounting.payments.read")
	ann.Press("Allow")
	ann.At("/admin/oauth")
	ann.See("Access is granted", "Connected", "by the app of this deployment", "Fewer than asked for", "Not granted", "Renewed by itself")
	ann.Inspect("oauth-connected")

	check := func() {
		t.Helper()
		ann.Visit("/admin/sources/" + source + "/credentials")
		ann.Press("Test connection")
	}
	for range 2 {
		given := xero.oauth.Given()
		check()
		ann.See("Xero answers: the credentials are good")
		if xero.oauth.Given() == given {
			t.Error("the token was not refreshed")
		}
	}
	time.Sleep(3 * time.Second) // the token expires, and is renewed by itself
	ann.open("OAuth")
	ann.See("Connected", "Renewed by itself", "Fewer than asked for")
	ann.NotSee("Has to be granted again")

	xero.oauth.RevokeAll()
	check()
	ann.See("It does not work", "access has to be granted again")
	ann.open("OAuth")
	ann.See("Has to be granted again", "Over")
	ann.NotSee("Renewed by itself")
	ann.Inspect("oauth-revoked")
	ann.Press("Grant access again to Xero")
	ann.Follow("Continue to Xero")
	ann.Press("Allow")
	ann.See("Access is granted", "Connected")
	ann.NotSee("Fewer than asked for")

	for _, page := range []string{"/admin/oauth", "/admin/sources/" + source + "/credentials", "/admin/audit"} {
		ann.Visit(page)
		if text := ann.HTML(); strings.Contains(text, secret) || strings.Contains(text, id) {
			t.Errorf("%s shows the app", page)
		}
	}
	ann.open("OAuth")
	ann.Toggle("Disconnect Xero")
	ann.Inspect("oauth-disconnect")
	ann.Press("Disconnect the source")
	ann.See("The source is disconnected", "Not connected")

	plain := &person{ann.Another(browser.WithoutScript, browser.Through(proxy, "https://login.xero.com")), ann.email, ann.name}
	plain.Visit("/admin/oauth")
	plain.signIn(testPassword)
	connect(plain)
	plain.Follow("Continue to Xero")
	plain.Press("Allow")
	plain.See("Access is granted", "Connected")
	if strings.Contains(p.stderr.String(), secret) {
		t.Error("the log has the secret")
	}
}
