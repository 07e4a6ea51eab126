package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/connectors"
	"tenure/core/console"
	"tenure/core/files/directory"
	"tenure/core/identity"
	"tenure/core/overview"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sending"
	"tenure/core/sources"
	"tenure/core/table/embedded"
	"tenure/core/uploads"
	"tenure/core/usage"
)

// world is a console with two workspaces, acme and globex.
type world struct {
	*testing.T
	access *access.Store
	people *identity.Store
	calls  *calls.Log
	// uploads are worked on when the test says so.
	uploads *uploads.Store
	sources *sources.Store
	mail    *sending.Store
	usage   *usage.Store
	store   *embedded.Table
	engine  *resource.Engine
	server  *httptest.Server
	ms      atomic.Int64
}

func (w *world) Now() time.Time          { return time.UnixMilli(w.ms.Load()) }
func (w *world) advance(d time.Duration) { w.ms.Add(d.Milliseconds()) }

// newWorld makes a world, whose console is as options have it.
func newWorld(t *testing.T, options ...func(*console.Config)) *world {
	t.Helper()
	w := &world{T: t}
	w.ms.Store(1_700_000_000_000)
	store, err := embedded.Open(t.TempDir(), embedded.Options{Now: w.Now, Feed: usage.Concerns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.store, w.access, w.people = store, access.New(store, w.Now), identity.New(store, identity.Options{Now: w.Now, Hashing: quickly})
	w.calls = calls.New(store, []string{"accounts", "notes"}, calls.Options{Now: w.Now})
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody answers there, and at once.
	resolver, err := sending.NewResolver("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	w.mail = sending.New(sending.Config{Table: store, Sealer: secrets.New(keys), Resolver: resolver, Relay: sending.SES("eu-west-1"), Now: w.Now})
	for _, workspace := range []string{"acme", "globex"} {
		if err := w.access.EnsureWorkspace(t.Context(), workspace, "not-a-real-key-of-"+workspace); err != nil {
			t.Fatal(err)
		}
	}
	w.engine = resource.New(resource.Config{Table: store, Root: catalog.Root, Now: w.Now})
	in, err := directory.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	w.uploads = uploads.New(uploads.Config{
		Table: store, Files: in, Access: w.access, Families: catalog.All(), Now: w.Now,
		Engine: w.engine,
		Start:  func(context.Context, string, string) error { return nil },
	})
	w.sources = sources.New(sources.Config{
		Table: store, Engine: w.engine, Access: w.access, Sealer: secrets.New(keys), Connectors: connectors.All(), Families: catalog.All(), Now: w.Now,
		Start: func(context.Context, string, string) error { return nil },
	})
	w.usage = usage.New(usage.Config{Table: store, Engine: w.engine, Now: w.Now})
	config := console.Config{Sources: w.sources, Usage: w.usage, Access: w.access, Identity: w.people, Calls: w.calls, Uploads: w.uploads, Sending: w.mail, Now: w.Now,
		Overview: overview.New(store, w.engine)}
	for _, option := range options {
		option(&config)
	}
	handler, err := console.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(handler)
	t.Cleanup(w.server.Close)
	return w
}

// quickly is how passwords are hashed here: there are hundreds, and how well is
// what identity's own tests are about.
var quickly = &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

const password = "not a real password"

// browser is somebody's browser.
type browser struct {
	w      *world
	client *http.Client
	token  string // of forms
}

// stranger returns the browser of somebody who is not signed in.
func (w *world) stranger() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	return &browser{w: w, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// as returns the browser of somebody who is signed in to a workspace, in a role.
func (w *world) as(workspace, email string, role identity.Role) *browser {
	w.Helper()
	var link string
	var err error
	arrival := url.Values{"name": {"Somebody"}, "password": {password}}
	if members, _ := w.people.Members(w.Context(), workspace); len(members) == 0 && role == identity.Admin {
		link, err = w.people.AdminLink(w.Context(), workspace)
		arrival.Set("email", email)
	} else {
		_, link, err = w.people.Invite(w.Context(), workspace, email, role, "")
	}
	if err != nil {
		w.Fatal(err)
	}
	b := w.stranger()
	if a := b.post("/welcome/"+link, arrival); a.status != http.StatusSeeOther {
		w.Fatalf("%s does not get in: %d %s", email, a.status, a.body)
	}
	b.token = b.get("/profile").header.Get("X-Form-Token")
	return b
}

// answer is what a browser got.
type answer struct {
	status int
	header http.Header
	body   string
}

// data returns the data of a JSON answer.
func (a answer) data(t *testing.T, to any) {
	t.Helper()
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(a.body), &envelope); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	if err := json.Unmarshal(envelope.Data, to); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// send sends a request; header may be nil.
func (b *browser) send(method, path string, body io.Reader, header http.Header) answer {
	b.w.Helper()
	r, err := http.NewRequestWithContext(b.w.Context(), method, b.w.server.URL+console.BasePath+path, body)
	if err != nil {
		b.w.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.w.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.w.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func (b *browser) get(path string) answer { return b.send(http.MethodGet, path, nil, nil) }

var (
	formType = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	wantJSON = http.Header{"Accept": {"application/json"}}
)

// json asks for a page as JSON.
func (b *browser) json(path string) answer { return b.send(http.MethodGet, path, nil, wantJSON) }

// post sends a form as one of the pages does, with the form token.
func (b *browser) post(path string, form url.Values) answer {
	sent := url.Values{"form_token": {b.token}}
	for name, values := range form {
		sent[name] = values
	}
	return b.send(http.MethodPost, path, strings.NewReader(sent.Encode()), formType)
}

// postFile sends a form with a file, as a page does.
func (b *browser) postFile(path, name, content string, header http.Header) answer {
	b.w.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	err := form.WriteField("form_token", b.token)
	var part io.Writer
	if err == nil {
		part, err = form.CreateFormFile("file", name)
	}
	if err == nil {
		_, err = io.WriteString(part, content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		b.w.Fatal(err)
	}
	sent := http.Header{"Content-Type": {form.FormDataContentType()}}
	for name, values := range header {
		sent[name] = values
	}
	return b.send(http.MethodPost, path, &body, sent)
}

// source makes a source in a workspace that has had a run, and returns its path and
// that of the run.
func (w *world) source(workspace string) (path, run string) {
	w.Helper()
	s := &sources.Source{Name: "Survey " + workspace, Connector: "delighted"}
	if err := w.sources.Create(w.Context(), workspace, s); err != nil {
		w.Fatal(err)
	}
	r, err := w.sources.Import(w.Context(), workspace, s.ID, "survey_responses", strings.NewReader(`[{"id": "1", "person": {"id": "9", "name": "Ann", "email": "=ann@`+workspace+`.example"}, "survey_type": "nps", "score": 9, "created_at": 1713418460}]`), nil)
	if err != nil {
		w.Fatal(err)
	}
	return "/sources/" + s.ID, "/sources/" + s.ID + "/runs/" + r.ID
}

// billing makes a source in a workspace that can run, and returns its path.
func (w *world) billing(workspace string) string {
	w.Helper()
	s := &sources.Source{Name: "Billing " + workspace, Connector: "stripe", Every: 60}
	if err := w.sources.Create(w.Context(), workspace, s); err != nil {
		w.Fatal(err)
	}
	return "/sources/" + s.ID
}

// books makes a source in a workspace that somebody has to grant access to, and
// returns its path.
func (w *world) books(workspace string) string {
	w.Helper()
	s := &sources.Source{Name: "Books " + workspace, Connector: "xero"}
	if err := w.sources.Create(w.Context(), workspace, s); err != nil {
		w.Fatal(err)
	}
	if err := w.sources.SetCredentials(w.Context(), workspace, s, "oauth", map[string]string{"client_id": "the-app", "client_secret": "not-a-real-secret"}, "ann@example.com"); err != nil {
		w.Fatal(err)
	}
	return "/sources/" + s.ID
}
