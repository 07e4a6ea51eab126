package console_test

import (
	"html"
	"net/http"
	"net/url"
	"slices"
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
	b.get("/oauth").shows(t, "Connected", "Disconnect the source", "unless nothing runs until")
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

func TestScopesAndTheEndOfAccessAreAsTheyWereGranted(t *testing.T) {
	w := newWorld(t)
	path := w.books("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	now := w.ms.Load()
	const hour = 3600_000
	for name, test := range map[string]struct {
		token      connector.Token
		shows, not []string
		notGranted []string
		access     string
	}{
		"all, by a token that has expired": {
			token:  connector.Token{Refresh: "fake-refresh", Expires: now - hour, Scopes: xeroScopes},
			access: "connected", shows: []string{"Connected", "Renewed by itself"}, not: []string{"Fewer", "the token is good until", "Has to be granted"},
		},
		"fewer": {
			token:  connector.Token{Refresh: "fake-refresh", Expires: now + hour, Scopes: []string{"accounting.contacts.read", "openid"}},
			access: "connected", shows: []string{"Fewer than asked for", "Not granted", "<code>openid</code>", "Renewed by itself", "the token is good until"}, notGranted: xeroScopes[2:],
		},
		"what the system does not say": {
			token:  connector.Token{Refresh: "fake-refresh"},
			access: "connected", shows: []string{"Granted", "<code>accounting.contacts.read</code>"}, not: []string{"Fewer", "Asked for"},
		},
		"for once": {
			token:  connector.Token{Expires: now + hour, Scopes: xeroScopes[1:]},
			access: "connected", shows: []string{"cannot be renewed", "Fewer"}, not: []string{"Renewed"}, notGranted: xeroScopes[:1],
		},
		"for once, and that is over": {
			token:  connector.Token{Expires: now - hour},
			access: "lapsed", shows: []string{"Has to be granted again", "Grant access again", "Over", "since <time"},
		},
		"without an end": {
			token:  connector.Token{},
			access: "connected", shows: []string{"No end is known"},
		},
		"too long ago": {
			token:  connector.Token{Refresh: "fake-refresh", Expires: now + hour, RefreshExpires: now - 1},
			access: "lapsed", shows: []string{"Has to be granted again", "Over", "since <time"}, not: []string{"Renewed by itself"},
		},
	} {
		test.token.Access = "fake-access"
		w.grant("acme", path, &test.token)
		a := b.get("/oauth")
		a.shows(t, test.shows...)
		for _, text := range test.not {
			if strings.Contains(a.body, text) {
				t.Errorf("%s: it shows %q", name, text)
			}
		}
		var data struct {
			Sources []struct {
				Access     string   `json:"access"`
				Asked      []string `json:"scopes_asked"`
				NotGranted []string `json:"scopes_not_granted"`
			} `json:"sources"`
		}
		a = b.json("/oauth")
		a.data(t, &data)
		if len(data.Sources) != 1 || data.Sources[0].Access != test.access || !slices.Equal(data.Sources[0].Asked, xeroScopes) || !slices.Equal(data.Sources[0].NotGranted, test.notGranted) {
			t.Errorf("%s: %s", name, a.body)
		}
		if strings.Contains(a.body, "fake-") {
			t.Errorf("%s: it shows the token", name)
		}
	}
}

func TestASystemIsConnectedByTheAppOfTheDeployment(t *testing.T) {
	w := newWorld(t)
	server := w.provider(w.server.URL + "/admin/oauth/callback")
	b := w.as("acme", "ann@example.com", identity.Admin)
	// Every system that people grant access to can be chosen, and without a source it is
	// added first.
	for _, c := range w.sources.Connectors {
		if has := strings.Contains(b.get("/oauth").body, `<option value="`+c.Name+`">`); has != (c.Granting() != nil) {
			t.Errorf("%s can be chosen: %v", c.Name, has)
		}
	}
	if a := b.post("/oauth/connect", url.Values{"connect": {"xero"}}); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "add-source?connector=xero") {
		t.Errorf("%d %s", a.status, a.header.Get("Location"))
	}
	s := &sources.Source{Name: "Books", Connector: "xero"}
	if err := w.sources.Create(t.Context(), "acme", s); err != nil {
		t.Fatal(err)
	}
	path := "/sources/" + s.ID
	for _, chosen := range []string{"", "stripe", "nothing"} {
		if a := b.post("/oauth/connect", url.Values{"connect": {chosen}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Choose a source, or a system") {
			t.Errorf("%q: %d %s", chosen, a.status, a.body)
		}
	}
	b.get("/oauth").shows(t, "Xero: Books", "No app", "Store an app")
	b.get(path+"/credentials").shows(t, "None are stored")
	if a := b.post("/oauth/connect", url.Values{"connect": {s.ID}}); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), path+"/credentials?done=app-needed") {
		t.Errorf("%d %s", a.status, a.header.Get("Location"))
	}

	if err := w.sources.SetApp(t.Context(), "xero", map[string]string{"client_id": "the-app", "client_secret": "not-a-real-secret"}); err != nil {
		t.Fatal(err)
	}
	b.get("/oauth").shows(t, "Not connected", "by the app of this deployment", ">Connect<")
	b.get(path+"/credentials").shows(t, "This deployment has an app for Xero", "Grant access</button>", "Client secret")
	a := b.post("/oauth/connect", url.Values{"connect": {s.ID}})
	_, rest, _ := strings.Cut(a.body, `<a class="button" href="`)
	link, _, _ := strings.Cut(rest, `"`)
	back, err := server.Decide(t.Context(), html.UnescapeString(link), xeroScopes[:3]...)
	if err != nil {
		t.Fatal(err)
	}
	if a := b.get("/oauth/callback?" + back.Encode()); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "oauth?done=access-granted") {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.get("/oauth").shows(t, "Connected", "by the app of this deployment", "ann@example.com", "Fewer than asked for", "<code>accounting.payments.read</code>")
	b.get(path+"/credentials").shows(t, "what was granted to the app of this deployment", "Grant access again")
	for _, page := range []string{"/oauth", path + "/credentials", "/credentials", "/audit"} {
		for _, a := range []answer{b.get(page), b.json(page)} {
			if strings.Contains(a.body, "the-app") || strings.Contains(a.body, "not-a-real-secret") {
				t.Errorf("%s shows the app", page)
			}
		}
	}

	// Without the app, nothing can be done here but to store another.
	if err := w.sources.DeleteApp(t.Context(), "xero"); err != nil {
		t.Fatal(err)
	}
	b.get("/oauth").shows(t, "No app", "Store an app")
	if err := w.sources.SetApp(t.Context(), "xero", map[string]string{"client_id": "the-app", "client_secret": "not-a-real-secret"}); err != nil {
		t.Fatal(err)
	}
	if a := b.post(path+"/disconnect", nil); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.get("/oauth").shows(t, "Not connected", "Asked for")
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
