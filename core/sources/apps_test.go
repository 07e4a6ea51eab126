package sources_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/connector/oauthtest"
	"tenure/core/sources"
	"tenure/core/table"
)

const redirect = "https://tenure.example.com/admin/oauth/callback"

// app is what the operator has registered with the made-up system.
var app = map[string]string{"client_id": "the-app", "client_secret": "secret-client"}

// granting is the made-up system behind its OAuth 2.0 server.
type granting struct {
	*oauthtest.Server
	system *system
}

func (g granting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/token" {
		return g.Server.RoundTrip(r)
	}
	if !g.Opens(r) {
		return answer(401, row{"error": "the token is not good"}), nil
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer secret-key")
	return g.system.RoundTrip(r)
}

// behind has the made-up system give out tokens that are good for life.
func (w *world) behind(life time.Duration) *oauthtest.Server {
	s := oauthtest.New(life, oauthtest.Client{ID: app["client_id"], Secret: app["client_secret"], Redirect: redirect})
	w.Transport = granting{s, w.system}
	return s
}

// unopened makes a source that has no credentials.
func (w *world) unopened(workspace, name string) *sources.Source {
	w.Helper()
	s := &sources.Source{Name: name, Connector: "desk", Settings: map[string]string{"site": "one"}, Every: 60}
	if err := w.Create(w.Context(), workspace, s); err != nil {
		w.Fatal(err)
	}
	return s
}

// grant has somebody grant scopes to a source.
func (w *world) grant(server *oauthtest.Server, workspace string, s *sources.Source, scopes ...string) *sources.Credential {
	w.Helper()
	at, err := w.Authorize(w.Context(), workspace, s.ID, redirect, ann)
	if err != nil {
		w.Fatal(err)
	}
	back, err := server.Decide(w.Context(), at, scopes...)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.Granted(w.Context(), workspace, back, ann); err != nil {
		w.Fatal(err)
	}
	c, err := w.Credential(w.Context(), workspace, s)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// refused fails the test unless an error is a failure of a field that says something.
func (w *world) refused(err error, field, says string) {
	w.Helper()
	if f, ok := errors.AsType[*core.Failure](err); !ok || f.Field != field || !strings.Contains(f.Message, says) {
		w.Errorf("%v, want a failure of %s: %s", err, field, says)
	}
}

func TestSourcesOfAllWorkspacesUseTheAppOfTheDeployment(t *testing.T) {
	w := newWorld(t)
	server := w.behind(2 * time.Second) // so that each run refreshes the token
	w.system.put("one/companies", row{"id": "c1", "name": "Initech"})
	s, other := w.unopened("acme", "Desk"), w.unopened("globex", "Desk")
	_, err := w.Authorize(t.Context(), "acme", s.ID, redirect, ann)
	w.refused(err, "credentials", "Store the app's id and secret first")
	w.refused(w.SetApp(t.Context(), "nothing", app), "connector", "no system")
	w.refused(w.SetApp(t.Context(), "desk", map[string]string{"client_id": "x"}), "app.client_secret", "client_secret")
	w.refused(w.DeleteApp(t.Context(), "desk"), "connector", "no app")
	if err := w.SetApp(t.Context(), "desk", app); err != nil {
		t.Fatal(err)
	}
	apps, err := w.Apps(t.Context())
	if err != nil || len(apps) != 1 || apps["desk"].Auth != "oauth" || apps["desk"].Updated == 0 {
		t.Errorf("%+v, %v", apps, err)
	}

	for workspace, source := range map[string]*sources.Source{"acme": s, "globex": other} {
		c := w.grant(server, workspace, source, "read", "offline_access")
		if !c.App || !c.Granted || c.Once || !slices.Equal(c.Scopes, []string{"read", "offline_access"}) || !slices.Equal(c.NotGranted([]string{"read", "write", "offline_access"}), []string{"write"}) {
			t.Errorf("%s: %+v", workspace, c)
		}
	}
	for range 2 {
		given := server.Given()
		if r := w.done(s); server.Given() == given {
			t.Errorf("the token was not refreshed: %+v", r)
		}
	}
	if c, err := w.Credential(t.Context(), "acme", s); err != nil || !slices.Equal(c.Scopes, []string{"read", "offline_access"}) || c.By != ann {
		t.Errorf("after it was refreshed: %+v, %v", c, err)
	}

	if err := w.Disconnect(t.Context(), "acme", s, ann); err != nil {
		t.Fatal(err)
	}
	if c, err := w.Credential(t.Context(), "acme", s); c != nil || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	w.refused(w.Disconnect(t.Context(), "acme", s, ann), "credentials", "Nobody has granted")
	if c, err := w.Credential(t.Context(), "globex", other); err != nil || c == nil || !c.Granted {
		t.Errorf("the other workspace: %+v, %v", c, err)
	}
}

func TestAnAppOfTheWorkspaceComesFirst(t *testing.T) {
	w := newWorld(t)
	server := w.behind(time.Hour)
	s := w.unopened("acme", "Desk")
	if err := w.SetApp(t.Context(), "desk", map[string]string{"client_id": "operators-app", "client_secret": "secret-operators"}); err != nil {
		t.Fatal(err)
	}
	if at, err := w.Authorize(t.Context(), "acme", s.ID, redirect, ann); err != nil || !strings.Contains(at, "client_id=operators-app") {
		t.Errorf("%s, %v", at, err)
	}
	if err := w.SetCredentials(t.Context(), "acme", s, "oauth", app, ann); err != nil {
		t.Fatal(err)
	}
	if c := w.grant(server, "acme", s, "read"); c.App || !c.Granted {
		t.Errorf("%+v", c)
	}
	w.done(s)
	if err := w.DeleteApp(t.Context(), "desk"); err != nil {
		t.Fatal(err)
	}
	w.done(s)
	// An app stays when access is forgotten, and goes with the credentials.
	if err := w.Disconnect(t.Context(), "acme", s, ann); err != nil {
		t.Fatal(err)
	}
	if c, err := w.Credential(t.Context(), "acme", s); err != nil || c == nil || c.Granted || c.Scopes != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestWithoutTheAppOfTheDeploymentItsSourcesCannotRun(t *testing.T) {
	w := newWorld(t)
	server := w.behind(time.Hour)
	s := w.unopened("acme", "Desk")
	if err := w.SetApp(t.Context(), "desk", app); err != nil {
		t.Fatal(err)
	}
	w.grant(server, "acme", s, "read")
	w.done(s)
	if err := w.DeleteApp(t.Context(), "desk"); err != nil {
		t.Fatal(err)
	}
	if r := w.run(s, false); r.Outcome != sources.Failed || !strings.Contains(r.Why.Message, "ask its operator") {
		t.Errorf("%+v, %+v", r, r.Why)
	}
	if err := w.SetApp(t.Context(), "desk", app); err != nil {
		t.Fatal(err)
	}
	w.done(s)
	// What was revoked there has to be granted again, and is said to.
	server.RevokeAll()
	if r := w.run(s, false); r.Outcome != sources.Failed {
		t.Errorf("%+v", r)
	}
	if c, err := w.Credential(t.Context(), "acme", s); err != nil || !c.Refused {
		t.Errorf("%+v, %v", c, err)
	}
	if c := w.grant(server, "acme", s, "read", "write"); c.Refused || len(c.NotGranted([]string{"read", "write"})) > 0 {
		t.Errorf("%+v", c)
	}
	w.done(s)
}

func TestAnAppIsSealedForItsSystemAndShownNowhere(t *testing.T) {
	w := newWorld(t)
	if err := w.SetApp(t.Context(), "desk", app); err != nil {
		t.Fatal(err)
	}
	items, err := w.table.Get(t.Context(), []table.Key{{Partition: sources.AppsPartition, Sort: "desk"}}, true)
	if err != nil || !items[0].Exists() {
		t.Fatal(items, err)
	}
	for _, value := range app {
		if strings.Contains(string(items[0].Body), value) {
			t.Errorf("%s holds %s", items[0].Body, value)
		}
	}
	// It serves no other system, whoever moves it there.
	moved := items[0]
	moved.Sort = "other"
	moved.Body = []byte(strings.Replace(string(moved.Body), `"connector":"desk"`, `"connector":"other"`, 1))
	if err := errors.Join(w.table.Write(t.Context(), []table.Op{table.Put(moved, table.Condition{})}, nil)...); err != nil {
		t.Fatal(err)
	}
	s := &sources.Source{Name: "Other", Connector: "other", Settings: map[string]string{"site": "one"}}
	if err := w.Create(t.Context(), "acme", s); err != nil {
		t.Fatal(err)
	}
	if at, err := w.Authorize(t.Context(), "acme", s.ID, redirect, ann); err == nil {
		t.Error(at)
	}
}

func TestAccessThatCannotBeRefreshedEndsWithItsToken(t *testing.T) {
	w := newWorld(t)
	s := w.unopened("acme", "Desk")
	if err := w.SetCredentials(t.Context(), "acme", s, "oauth", app, ann); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token connector.Token
		ends  int64
	}{
		"refreshed":      {connector.Token{Access: "secret-a", Refresh: "secret-r", Expires: 1000}, 0},
		"refreshed soon": {connector.Token{Access: "secret-a", Refresh: "secret-r", Expires: 1000, RefreshExpires: 5000}, 5000},
		"once":           {connector.Token{Access: "secret-a", Expires: 1000}, 1000},
		"for ever":       {connector.Token{Access: "secret-a"}, 0},
	} {
		if err := w.SetToken(t.Context(), "acme", s, &test.token, ann); err != nil {
			t.Fatal(err)
		}
		c, err := w.Credential(t.Context(), "acme", s)
		if err != nil || c.Ends() != test.ends || len(c.NotGranted([]string{"read"})) > 0 {
			t.Errorf("%s: %+v ends at %d, %v", name, c, c.Ends(), err)
		}
		if text, err := json.Marshal(c); err != nil || strings.Contains(string(text), "secret-") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}
