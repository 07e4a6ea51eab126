package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/connector"
	"tenure/core/console"
	"tenure/core/identity"
	"tenure/core/sources"
)

// connected makes a source in a workspace that access was granted to, and returns
// its path.
func (w *world) connected(workspace string) string {
	w.Helper()
	path := w.books(workspace)
	w.grant(workspace, path, &connector.Token{Access: "fake-access", Refresh: "fake-refresh", Expires: w.ms.Load() + 1800_000, RefreshExpires: w.ms.Load() + 86400_000})
	return path
}

func (w *world) grant(workspace, path string, token *connector.Token) {
	w.Helper()
	s, err := w.sources.Get(w.Context(), workspace, strings.TrimPrefix(path, "/sources/"))
	if err == nil {
		err = w.sources.SetToken(w.Context(), workspace, s, token, "ann@example.com")
	}
	if err != nil {
		w.Fatal(err)
	}
}

func TestAccessThatWasGrantedIsToldAndForgotten(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "bob@example.com", identity.Admin)
	b.get("/oauth").shows(t, "no source with a system that people grant access to")
	keyed := &sources.Source{Name: "Billing acme", Connector: "stripe", Prefix: "stripe-"}
	if err := w.sources.Create(t.Context(), "acme", keyed); err != nil {
		t.Fatal(err)
	}
	path := w.books("acme")
	a := b.get("/oauth")
	a.shows(t, "Books acme", "Not connected", "<code>offline_access</code>", "/admin/oauth/callback", ">Connect<")
	if strings.Contains(a.body, "Billing acme") || strings.Contains(a.body, "Disconnect") {
		t.Error("it shows what nobody grants access to, or what to disconnect")
	}
	if a := b.post(path+"/disconnect", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Nobody has granted access") {
		t.Errorf("without a token: %d %s", a.status, a.body)
	}

	w.grant("acme", path, &connector.Token{Access: "fake-access", Refresh: "fake-refresh", Expires: w.ms.Load() + 1800_000, RefreshExpires: w.ms.Load() + 86400_000})
	b.get("/oauth").shows(t, "Connected", "Disconnect the source", "unless the source runs before")
	a = b.json("/oauth")
	for _, part := range []string{`"access":"connected"`, `"offline_access"`, `"token_expires":`, `"refresh_expires":`} {
		if !strings.Contains(a.body, part) {
			t.Errorf("JSON has no %s: %s", part, a.body)
		}
	}
	viewer := w.as("acme", "eve@example.com", identity.Viewer)
	viewer.get("/oauth").shows(t, "Books acme", "Connected")
	for _, a := range []answer{a, b.get("/oauth"), viewer.get("/oauth")} {
		if strings.Contains(a.body, "fake-") || strings.Contains(a.body, "not-a-real-secret") {
			t.Error("it shows a secret")
		}
	}
	if a := viewer.get("/oauth"); strings.Contains(a.body, "Disconnect") || strings.Contains(a.body, "Grant access again") {
		t.Error("a viewer is offered changes")
	}

	w.ms.Add(2 * 86400_000)
	b = w.as("acme", "carl@example.com", identity.Admin)
	b.get("/oauth").shows(t, "Has to be granted again", "Grant access again")

	if a := b.post(path+"/disconnect", nil); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.get("/oauth").shows(t, "Not connected", "carl@example.com")
	b.get("/audit").shows(t, "access.forgotten", "Books acme")
	s, err := w.sources.Get(t.Context(), "acme", strings.TrimPrefix(path, "/sources/"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.sources.Credential(t.Context(), "acme", s)
	if err != nil || c.Granted || c.TokenExpires != 0 || c.RefreshExpires != 0 || len(c.Given) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	// The app is there still: access can be granted without storing it anew.
	if _, err := w.sources.Authorize(t.Context(), "acme", s.ID, "http://127.0.0.1/admin/oauth/callback", "carl@example.com"); err != nil {
		t.Error(err)
	}
}

func TestASourceThatBorrowsItsCredentialsIsDisconnectedWhereTheyAre(t *testing.T) {
	w := newWorld(t)
	path := w.connected("acme")
	s := &sources.Source{Name: "Second", Connector: "xero", Prefix: "second-", Credentials: strings.TrimPrefix(path, "/sources/")}
	if err := w.sources.Create(t.Context(), "acme", s); err != nil {
		t.Fatal(err)
	}
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get("/oauth").shows(t, "by the credentials of Books acme")
	if a := b.post("/sources/"+s.ID+"/disconnect", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "disconnect that") {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.get("/oauth").shows(t, "Disconnect the source")
}

func TestTheConsolesURLIsOneThatPeopleMayComeBackTo(t *testing.T) {
	for text, want := range map[string]string{
		"https://tenure.example.com/admin/":                         "https://tenure.example.com/admin/",
		"https://tenure.example.com:8443/admin":                     "https://tenure.example.com:8443/admin/",
		"https://x.execute-api.eu-west-1.amazonaws.com/Prod/admin/": "https://x.execute-api.eu-west-1.amazonaws.com/Prod/admin/",
		"http://127.0.0.1:8080/admin/":                              "http://127.0.0.1:8080/admin/",
		"http://localhost/admin/":                                   "http://localhost/admin/",
		"http://[::1]:8080/admin/":                                  "http://[::1]:8080/admin/",
		"http://tenure.example.com/admin/":                          "",
		"http://localhost.example.com/admin/":                       "",
		"https://tenure.example.com/":                               "",
		"https://tenure.example.com/admin/?a=b":                     "",
		"https://tenure.example.com/admin/?":                        "",
		"https://tenure.example.com/admin/#a":                       "",
		"https://ann:secret@tenure.example.com/admin/":              "",
		"https:///admin/":                                           "",
		"tenure.example.com/admin/":                                 "",
		"javascript://tenure.example.com/admin/":                    "",
		"https://tenure.example.com/%2fadmin/":                      "",
		"":                                                          "",
	} {
		u, err := console.ParseURL(text)
		if want == "" && err == nil || want != "" && (err != nil || u.String() != want) {
			t.Errorf("%q: %v, %v", text, u, err)
		}
	}
}

func TestPeopleComeBackToTheConsolesURLWhateverTheRequestSays(t *testing.T) {
	const said = "https://tenure.example.com/Prod/admin/"
	w := newWorld(t, func(c *console.Config) {
		var err error
		if c.URL, err = console.ParseURL(said); err != nil {
			t.Fatal(err)
		}
	})
	path := w.books("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	header := formType.Clone()
	header.Set("Referer", w.server.URL+"/elsewhere/admin/oauth")
	header.Set("X-Forwarded-Host", "evil.example")
	a := b.send(http.MethodPost, path+"/connect", strings.NewReader(url.Values{"form_token": {b.token}}.Encode()), header)
	if want := url.QueryEscape(said + "oauth/callback"); a.status != http.StatusOK || !strings.Contains(a.body, want) || strings.Contains(a.body, "elsewhere") {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, page := range []string{"/oauth", path + "/credentials"} {
		b.get(page).shows(t, said+"oauth/callback")
	}
}
