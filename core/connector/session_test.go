package connector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core/connector"
	"tenure/core/mapping"
)

// system is a made-up system; its answers are said by the test.
type system func(n int, r *http.Request) *http.Response

// world is a session with a made-up system.
type world struct {
	*testing.T
	*connector.Session
	sent   []*http.Request
	slept  time.Duration
	now    time.Time
	answer system
	config connector.Config
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w.sent = append(w.sent, r)
	a := w.answer(len(w.sent), r)
	if a == nil {
		return nil, errors.New("connection reset")
	}
	if a.Header == nil {
		a.Header = http.Header{}
	}
	a.Request = r
	return a, nil
}

func body(status int, text string, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(text))}
}

func declared() *connector.Connector {
	return &connector.Connector{
		Name: "made_up", Title: "Made Up", Kind: connector.CRM, Doc: "It is made up.", Base: `"https://\($settings.site).made-up.example/v1"`, Hosts: []string{"*.made-up.example"},
		Settings: []connector.Setting{{Name: "site", Title: "Site", Doc: "letters"}},
		Auth: []connector.Auth{{Name: "key", Title: "Key", Settings: []connector.Setting{{Name: "api_key", Title: "Key", Doc: "key", Secret: true}},
			Headers: map[string]string{"Authorization": `"Basic " + ("\(.api_key):" | @base64)`}}},
		Limits: connector.Limits{Requests: 6000, Per: time.Minute, Pause: 20 * time.Second, Remaining: "X-Left", Reset: "X-Reset", SecondsLeft: true,
			Usage: `."x-usage" | if . then tonumber / 100 else null end`, MaxUsage: 0.8},
		Errors:    connector.Errors{Message: ".message", Failed: ".success == false", Limited: `.status == 403 and .body.code == "LIMIT"`, Gone: `.status == 410`},
		Check:     connector.Request{Path: "/me"},
		CheckThat: `if .admin then null else "the user is no admin" end`,
		Locations: []connector.Location{{Name: "id", Title: "ID", Doc: "the id", Stream: "things", Path: ".id", By: connector.ByAccountID}},
		Streams: []connector.Stream{{
			Name: "things", Title: "Things", Incremental: true, Overlap: time.Minute,
			Request: connector.Request{Path: "/things", Query: `{since: ($since | iso), "page[after]": $page, "include[]": ["a","b"], none: null}`},
			Paging:  connector.NextToken(".next"), Items: ".items[]", ID: ".id", Deleted: ".gone",
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{{To: "name", From: ".name"}}}},
		}},
	}
}

func newWorld(t *testing.T, c *connector.Connector, answer system) *world {
	t.Helper()
	w := &world{T: t, answer: answer, now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	w.config = connector.Config{
		Connector: c, Settings: map[string]string{"site": "acme"}, Env: mapping.Env{Currency: "USD"}, Transport: w, Now: func() time.Time { return w.now },
		Load: func(context.Context) (*connector.Credentials, error) {
			return &connector.Credentials{Auth: "key", Values: map[string]string{"api_key": "secret-key"}}, nil
		},
		Sleep: func(ctx context.Context, d time.Duration) error {
			w.slept += d
			w.now = w.now.Add(d)
			return ctx.Err()
		},
	}
	w.open()
	return w
}

func (w *world) open() {
	w.Helper()
	var err error
	if w.Session, err = connector.Open(w.Context(), w.config); err != nil {
		w.Fatal(err)
	}
}

// page reads the first page of the first stream.
func (w *world) page() (*connector.Page, error) {
	st := &w.config.Connector.Streams[0]
	return w.Page(w.Context(), st, w.Begin(st, connector.Last{}, false))
}

func TestRequestsAreAsDeclared(t *testing.T) {
	w := newWorld(t, declared(), func(n int, r *http.Request) *http.Response {
		return body(200, `{"items":[{"id":1,"name":"A"},{"id":"2","gone":true}],"next":"t&2"}`)
	})
	st := &w.config.Connector.Streams[0]
	p, err := w.Page(t.Context(), st, w.Begin(st, connector.Last{At: w.now.UnixMilli()}, false))
	if err != nil || len(p.Records) != 2 || p.Records[0].ID != "1" || p.Records[0].Deleted || !p.Records[1].Deleted || p.Last {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := w.Page(t.Context(), st, p.Next); !errors.Is(err, connector.ErrAnswer) { // the same page again
		t.Errorf("a list that does not end: %v", err)
	}
	const want = "https://acme.made-up.example/v1/things?include%5B%5D=a&include%5B%5D=b&page%5Bafter%5D=t%262&since=2026-10-31T23%3A59%3A00Z"
	if got := w.sent[1].URL.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := w.sent[0].Header; got.Get("Authorization") != "Basic c2VjcmV0LWtleTo=" || got.Get("User-Agent") == "" || got.Get("Accept") != "application/json" {
		t.Errorf("%v", got)
	}
}

func TestRequestsGoToTheSystemsOwnHostsAlone(t *testing.T) {
	for _, base := range []string{"http://acme.made-up.example", "https://acme.made-up.example:8443", "https://made-up.example.evil.example", "https://u@acme.made-up.example",
		"https://127.0.0.1", "https://[::1]", "https://made-up.example", "https://.made-up.example", "https://evilmade-up.example", "//acme.made-up.example", "file:///etc/passwd"} {
		c := declared()
		c.Base = `"` + base + `"`
		w := newWorld(t, c, func(int, *http.Request) *http.Response { return body(200, `{"items":[]}`) })
		if _, err := w.page(); !errors.Is(err, connector.ErrRefused) || len(w.sent) > 0 {
			t.Errorf("%s: %v, %d requests", base, err, len(w.sent))
		}
	}
	for _, next := range []string{"https://other.made-up.example/v1/things", "https://evil.example/", "//evil.example/", "http://acme.made-up.example/x"} {
		c := declared()
		c.Streams[0].Paging = connector.NextLink(".next")
		w := newWorld(t, c, func(int, *http.Request) *http.Response {
			return body(200, fmt.Sprintf(`{"items":[{"id":1}],"next":%q}`, next))
		})
		p, err := w.page()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Page(t.Context(), &c.Streams[0], p.Next); err == nil || len(w.sent) != 1 {
			t.Errorf("%s is followed: %v", next, err)
		}
	}
	w := newWorld(t, declared(), func(int, *http.Request) *http.Response { return body(302, "", "Location", "https://evil.example/") })
	if _, err := w.page(); !errors.Is(err, connector.ErrAnswer) || len(w.sent) != 1 {
		t.Errorf("a redirect: %v, %d requests", err, len(w.sent))
	}
}

func TestRefusalsAreToldApart(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer *http.Response
		want   error
		sent   int
	}{
		{"bad key", body(401, `{"message":"who is secret-key?"}`), connector.ErrCredentials, 1},
		{"no right", body(403, `{"message":"no"}`), connector.ErrCredentials, 1},
		{"bad request", body(422, `{"message":"no such field"}`), connector.ErrRefused, 1},
		{"not found", body(404, `{}`), connector.ErrRefused, 1},
		{"refusal with 200", body(200, `{"success":false,"message":"no"}`), connector.ErrRefused, 1},
		{"gone", body(410, `<html>`), connector.ErrEnded, 1},
		{"not JSON", body(200, `<html>`), connector.ErrAnswer, 1},
		{"no records", body(200, `{"things":7}`), connector.ErrAnswer, 1},
		{"no id", body(200, `{"items":[{"name":"x"}]}`), connector.ErrAnswer, 1},
		{"no object", body(200, `{"items":[1]}`), connector.ErrAnswer, 1},
		{"cut off", body(200, `{"items":[{"id":1}`), connector.ErrAnswer, 1},
		{"down", body(503, `{"message":"secret-key is tired"}`), connector.ErrUnavailable, 5},
		{"reset", nil, connector.ErrUnavailable, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			var text []byte
			if test.answer != nil {
				text, _ = io.ReadAll(test.answer.Body)
			}
			w := newWorld(t, declared(), func(int, *http.Request) *http.Response {
				if test.answer == nil {
					return nil
				}
				return body(test.answer.StatusCode, string(text))
			})
			p, err := w.page()
			if !errors.Is(err, test.want) || p != nil || len(w.sent) != test.sent || strings.Contains(fmt.Sprint(err), "secret-") {
				t.Errorf("%v, %d requests", err, len(w.sent))
			}
		})
	}
}

func TestThatNothingHasChangedIsAPageWithoutRecords(t *testing.T) {
	w := newWorld(t, declared(), func(int, *http.Request) *http.Response { return body(304, "") })
	st := &w.config.Connector.Streams[0]
	p, err := w.Page(w.Context(), st, w.Begin(st, connector.Last{At: w.now.UnixMilli()}, false))
	if err != nil || !p.Last || len(p.Records) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := w.page(); !errors.Is(err, connector.ErrAnswer) {
		t.Errorf("asked for all records, it has nothing to say: %+v, %v", p, err)
	}
}

func TestLimitsAreWaitedOut(t *testing.T) {
	ok := func() *http.Response { return body(200, `{"items":[]}`) }
	for _, test := range []struct {
		name     string
		answers  []*http.Response
		min, max time.Duration
		wait     bool // ends for now
	}{
		{"429 with seconds", []*http.Response{body(429, "", "Retry-After", "7"), ok()}, 7 * time.Second, 8 * time.Second, false},
		{"429 with a date", []*http.Response{body(429, "", "Retry-After", "Sun, 01 Nov 2026 00:00:30 GMT"), ok()}, 30 * time.Second, 31 * time.Second, false},
		{"429 with a reset", []*http.Response{body(429, "", "X-Reset", "9", "X-Left", "3"), ok()}, 9 * time.Second, 10 * time.Second, false},
		{"429 without a word", []*http.Response{body(429, ""), ok()}, 20 * time.Second, 26 * time.Second, false},
		{"refusal that means so", []*http.Response{body(403, `{"code":"LIMIT"}`), ok()}, 20 * time.Second, 26 * time.Second, false},
		{"503 with seconds", []*http.Response{body(503, "", "Retry-After", "11"), ok()}, 11 * time.Second, 12 * time.Second, false},
		{"an hour", []*http.Response{body(429, "", "Retry-After", "3600")}, 0, 0, true},
		{"the quota is nearly used up", []*http.Response{body(200, `{"items":[]}`, "X-Usage", "85")}, 0, 0, true},
		{"always", nil, time.Minute, time.Hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, declared(), func(n int, _ *http.Request) *http.Response {
				if test.answers == nil {
					return body(429, "", "Retry-After", "20")
				}
				return test.answers[n-1]
			})
			_, err := w.page()
			wait, waits := errors.AsType[*connector.Wait](err)
			if waits != test.wait || err != nil && !waits || w.slept < test.min || w.slept > test.max || waits && !wait.Until.After(w.now) {
				t.Errorf("slept %v: %v", w.slept, err)
			}
		})
	}
	w := newWorld(t, declared(), func(int, *http.Request) *http.Response { return body(429, "", "Retry-After", "60") })
	ctx, cancel := context.WithDeadline(t.Context(), w.now.Add(30*time.Second))
	defer cancel()
	if w.now.Add(30 * time.Second).Before(time.Now()) {
		w.now = time.Now() // so that the deadline is to come
		ctx, cancel = context.WithDeadline(t.Context(), w.now.Add(30*time.Second))
		defer cancel()
	}
	st := &w.config.Connector.Streams[0]
	if _, err := w.Page(ctx, st, w.Begin(st, connector.Last{}, false)); !errors.As(err, new(*connector.Wait)) || w.slept > 0 {
		t.Errorf("a wait beyond the deadline: %v", err)
	}
}

func TestTheNextRequestWaitsForWhatTheHeadersSay(t *testing.T) {
	w := newWorld(t, declared(), func(int, *http.Request) *http.Response {
		return body(200, `{"items":[]}`, "X-Left", "0", "X-Reset", "40")
	})
	for range 2 {
		if _, err := w.page(); err != nil {
			t.Fatal(err)
		}
	}
	if w.slept < 40*time.Second || w.slept > 41*time.Second {
		t.Errorf("slept %v", w.slept)
	}
}

func TestCompressedAnswersAreReadUpToABound(t *testing.T) {
	compressed := func(n int) *http.Response {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(`{"items":[{"id":1,"x":"`))
		for range n {
			_, _ = z.Write(bytes.Repeat([]byte("x"), 1<<20))
		}
		_, _ = z.Write([]byte(`"}]}`))
		_ = z.Close()
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(&b)}
	}
	w := newWorld(t, declared(), func(n int, _ *http.Request) *http.Response { return compressed([]int{1, 100}[n-1]) })
	if p, err := w.page(); err != nil || len(p.Records) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := w.page(); !errors.Is(err, connector.ErrAnswer) || len(w.sent) != 2 {
		t.Errorf("%v, %d requests", err, len(w.sent))
	}
}

func TestAListWithTooManyPagesIsAskedForAnewFromWhereItHasComeTo(t *testing.T) {
	c := declared()
	c.Streams[0].Paging.MaxPages, c.Streams[0].Paging.Restart = 2, "$last.at"
	w := newWorld(t, c, func(n int, r *http.Request) *http.Response {
		return body(200, fmt.Sprintf(`{"items":[{"id":%d,"at":%d}],"next":%d}`, n, []int{1, 2, 3, 3, 3}[n-1]*1000, n))
	})
	at := w.Begin(&c.Streams[0], connector.Last{}, false)
	for range 4 {
		text, err := json.Marshal(at)
		if err != nil {
			t.Fatal(err)
		}
		at = connector.Position{}
		if err := json.Unmarshal(text, &at); err != nil {
			t.Fatal(err)
		}
		p, err := w.Page(t.Context(), &c.Streams[0], at)
		if err != nil {
			t.Fatal(err)
		}
		at = p.Next
	}
	if got := w.sent[2].URL.Query(); got.Get("since") != "1970-01-01T00:00:02Z" || got.Get("page[after]") != "" {
		t.Errorf("%v", got)
	}
	if _, err := w.Page(t.Context(), &c.Streams[0], at); err != nil {
		t.Fatal(err)
	}
	w.answer = func(n int, r *http.Request) *http.Response {
		return body(200, fmt.Sprintf(`{"items":[{"id":1,"at":3000}],"next":%d}`, n))
	}
	at.Pages = 1
	if _, err := w.Page(t.Context(), &c.Streams[0], at); !errors.Is(err, connector.ErrAnswer) {
		t.Errorf("a list that does not go forward: %v", err)
	}
}

func TestDetailsAndChangesCompleteRecords(t *testing.T) {
	c := declared()
	st := &c.Streams[0]
	st.Incremental = false
	st.Details = []connector.Detail{{When: ".more", Request: connector.Request{Path: `/things/\(.id)/parts`, Query: "{page: $page}"}, Paging: connector.NextToken(".next"), Items: ".parts[]", Into: "parts.data"}}
	st.Changes = &connector.Changes{Request: connector.Request{Path: "/events", Query: "{since: $since}"}, Items: ".events[]", Get: connector.Request{Path: `/things/\(.id)`}, Kept: 24 * time.Hour}
	if err := connector.Compile(c, mapping.Env{}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, c, func(_ int, r *http.Request) *http.Response {
		switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); path {
		case "events":
			return body(200, `{"events":[{"id":"a/b"},{"id":"gone"},{"id":"a/b"},{"id":"dead"},{"id":"dead","deleted":true}]}`)
		case "things/a/b":
			return body(200, `{"id":"a/b","more":true}`)
		case "things/a/b/parts":
			if r.URL.Query().Get("page") == "2" {
				return body(200, `{"parts":[3]}`)
			}
			return body(200, `{"parts":[1,2],"next":2}`)
		}
		return body(404, `{}`)
	})
	last := connector.Last{At: w.now.Add(-time.Hour).UnixMilli()}
	p, err := w.Page(t.Context(), st, w.Begin(st, last, false))
	if err != nil || len(p.Records) != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	got := map[string]string{}
	for _, r := range p.Records {
		text, _ := json.Marshal(r.Value)
		got[r.ID] = fmt.Sprint(string(text), r.Deleted)
	}
	if got["a/b"] != `{"id":"a/b","more":true,"parts":{"data":[1,2,3]}}false` || got["gone"] != "nulltrue" || got["dead"] != "nulltrue" {
		t.Errorf("%v", got)
	}
	if at := w.Begin(st, connector.Last{At: w.now.Add(-25 * time.Hour).UnixMilli()}, false); at.Changed || at.Since != nil {
		t.Error("changes are asked for that are not told any more")
	}
}

func TestExportedFilesAreReadWhateverTheirForm(t *testing.T) {
	w := newWorld(t, declared(), nil)
	st := &w.config.Connector.Streams[0]
	for text, want := range map[string]string{
		``:                              "",
		" \n":                           "",
		"\uFEFF[{\"id\":1},{\"id\":2}]": "1 2",
		"{\"id\":1}\n{\"id\":2}\n":      "1 2",
		`{"items":[{"id":1},{"id":2}]} {"items":[{"id":3}]}`: "1 2 3",
		`[{"items":[{"id":1}]},{"items":[]}]`:                "1",
		`[{"id":1}`:                                          "1 !",
		`[{"id":1}] x`:                                       "1 !",
		`[{"id":1},{"x":2}]`:                                 "1 !",
		`"x"`:                                                "!",
		`{"id":1}{"id"`:                                      "1 !",
	} {
		var got []string
		for r, err := range w.Export(t.Context(), st, strings.NewReader(text)) {
			if err != nil {
				if !errors.Is(err, connector.ErrAnswer) {
					t.Errorf("%q: %v", text, err)
				}
				got = append(got, "!")
				continue
			}
			got = append(got, r.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q yields %v, want %s", text, got, want)
		}
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]error{`{"admin":true}`: nil, `{"admin":false}`: connector.ErrRefused} {
		w := newWorld(t, declared(), func(int, *http.Request) *http.Response { return body(200, text) })
		if err := w.Check(t.Context()); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v", text, err)
		}
	}
	c := declared()
	c.Ended = &connector.Ended{Since: "2020", Message: "It has ended in 2020"}
	w := newWorld(t, c, nil)
	if err := w.Check(t.Context()); !errors.Is(err, connector.ErrEnded) {
		t.Error(err)
	}
	if _, err := w.page(); !errors.Is(err, connector.ErrEnded) {
		t.Error(err)
	}
}

func TestAnswersAreReadAsTheConnectorSays(t *testing.T) {
	c := declared()
	c.Decode = func(body []byte) (any, error) { // NAME=VALUE
		name, value, ok := strings.Cut(string(body), "=")
		if !ok {
			return nil, errors.New("it has no sign of equality")
		}
		return map[string]any{name: value}, nil
	}
	for text, want := range map[string]struct {
		status int
		says   string
	}{
		"admin=yes": {200, ""}, "": {200, "no sign of equality"}, `{"admin":true}`: {200, "no sign of equality"}, "message=Sorry": {400, "Sorry"}, "Sorry": {400, "Bad Request"},
	} {
		w := newWorld(t, c, func(int, *http.Request) *http.Response { return body(want.status, text) })
		if err := w.Check(t.Context()); (err == nil) != (want.says == "") || err != nil && !strings.Contains(err.Error(), want.says) {
			t.Errorf("%q (%d): %v", text, want.status, err)
		}
	}
}

func TestTheLastAnswerComesWithTheErrorThatTriesAreOver(t *testing.T) {
	w := newWorld(t, declared(), func(int, *http.Request) *http.Response { return body(408, "too long") })
	answer, err := w.Call(t.Context(), connector.Call{Path: "/things"})
	if !errors.Is(err, connector.ErrUnavailable) || answer == nil || answer.Status != 408 {
		t.Errorf("%v, %v", answer, err)
	}
}

func granted() *connector.Connector {
	c := declared()
	c.Auth = []connector.Auth{{Name: "oauth", Title: "OAuth", Settings: []connector.Setting{
		{Name: "client_id", Title: "ID", Doc: "id"}, {Name: "client_secret", Title: "Secret", Doc: "secret", Secret: true}}, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
		OAuth: &connector.OAuth{Grant: connector.AuthorizationCode, AuthorizeURL: `"https://login.made-up.example/authorize"`, TokenURL: `"https://login.made-up.example/token"`, Scopes: `"read offline"`,
			PKCE: true, Keep: "{instance}", Params: map[string]string{"prompt": "consent"}, RefreshLife: 60 * 24 * time.Hour}}}
	c.Base = `"https://\($token.instance // "none").made-up.example/v1"`
	return c
}

func TestATokenIsRefreshedWhenItExpiresOrIsRefused(t *testing.T) {
	var mu sync.Mutex
	valid := "secret-access-1"
	w := newWorld(t, granted(), func(_ int, r *http.Request) *http.Response {
		if r.URL.Path == "/token" {
			_ = r.ParseForm()
			if r.Form.Get("refresh_token") != "secret-refresh-1" || r.Form.Get("client_secret") != "secret-client" {
				return body(400, fmt.Sprintf(`{"error":"invalid_grant","error_description":"%s is spent"}`, r.Form.Get("refresh_token")))
			}
			valid = "secret-access-2"
			return body(200, `{"access_token":"secret-access-2","refresh_token":"secret-refresh-2","expires_in":1800,"instance":"na2"}`)
		}
		if r.Header.Get("Authorization") != "Bearer "+valid {
			return body(401, `{}`)
		}
		return body(200, `{"items":[]}`)
	})
	stored := &connector.Credentials{Auth: "oauth", Values: map[string]string{"client_id": "id", "client_secret": "secret-client"},
		Token: &connector.Token{Access: "secret-access-1", Refresh: "secret-refresh-1", Expires: w.now.Add(30 * time.Second).UnixMilli(), Kept: json.RawMessage(`{"instance":"na1"}`)}}
	w.config.Load = func(context.Context) (*connector.Credentials, error) { c := *stored; return &c, nil }
	w.config.Refresh = func(ctx context.Context, old string, fetch func(context.Context, *connector.Credentials) (*connector.Token, error)) (*connector.Credentials, error) {
		mu.Lock()
		defer mu.Unlock()
		if stored.Token.Access == old {
			token, err := fetch(ctx, stored)
			if err != nil {
				return nil, err
			}
			stored.Token = token
		}
		c := *stored
		return &c, nil
	}
	w.open()
	if _, err := w.page(); err != nil {
		t.Fatal(err)
	}
	if got := w.sent[len(w.sent)-1]; len(w.sent) != 2 || got.URL.Host != "na2.made-up.example" {
		t.Errorf("%d requests, the last to %s", len(w.sent), got.URL.Host)
	}
	if left := time.UnixMilli(stored.Token.RefreshExpires).Sub(w.now); left != 60*24*time.Hour || stored.Token.Refresh != "secret-refresh-2" {
		t.Errorf("%v, %+v", left, stored.Token)
	}
	valid = "secret-access-3" // revoked
	if _, err := w.page(); !errors.Is(err, connector.ErrCredentials) || strings.Contains(err.Error(), "secret-") {
		t.Errorf("%v", err)
	}
}

func TestAccessIsGrantedByACode(t *testing.T) {
	w := newWorld(t, granted(), func(_ int, r *http.Request) *http.Response {
		_ = r.ParseForm()
		if r.Form.Get("grant_type") != "authorization_code" || r.Form.Get("code") != "the-code" || r.Form.Get("code_verifier") != "verifier" || r.Form.Get("redirect_uri") != "https://tenure.example/back" {
			return body(400, `{"error":"invalid_request"}`)
		}
		return body(200, `{"access_token":"a","refresh_token":"b"}`)
	})
	credentials := &connector.Credentials{Auth: "oauth", Values: map[string]string{"client_id": "id", "client_secret": "secret-client"}}
	to, err := connector.AuthorizeURL(t.Context(), w.config, credentials, "https://tenure.example/back", "the-state", "verifier")
	if err != nil || !strings.HasPrefix(to, "https://login.made-up.example/authorize?") || strings.Contains(to, "verifier=") || strings.Contains(to, "secret-") ||
		!strings.Contains(to, "code_challenge=iMnq5o6zALKXGivsnlom_0F5_WYda32GHkxlV7mq7hQ") || !strings.Contains(to, "state=the-state") || !strings.Contains(to, "scope=read+offline") || !strings.Contains(to, "prompt=consent") {
		t.Errorf("%s, %v", to, err)
	}
	if token, err := connector.Exchange(t.Context(), w.config, credentials, "https://tenure.example/back", "the-code", "verifier"); err != nil || token.Access != "a" || token.Refresh != "b" {
		t.Errorf("%+v, %v", token, err)
	}
	if _, err := connector.Exchange(t.Context(), w.config, credentials, "https://tenure.example/back", "another", "verifier"); !errors.Is(err, connector.ErrCredentials) {
		t.Error(err)
	}
}

func TestADeclarationThatContradictsItselfIsFound(t *testing.T) {
	if err := connector.Compile(declared(), mapping.Env{}); err != nil {
		t.Fatal(err)
	}
	if err := connector.Compile(granted(), mapping.Env{}); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*connector.Connector){
		"$settings.nothing": func(c *connector.Connector) { c.Base = "$settings.nothing" },
		"things paging":     func(c *connector.Connector) { c.Streams[0].Paging.Next = ".[" },
		"no stream nothing": func(c *connector.Connector) { c.Locations[0].Stream = "nothing" },
		"accounts.name":     func(c *connector.Connector) { c.Streams[0].Feeds[0].Fields[0].From = "nothing(1)" },
		"one of":            func(c *connector.Connector) { c.Streams[0].Passing = true },
		"does not stand": func(c *connector.Connector) {
			c.Streams[0].Joins = []connector.Join{{As: "x", Stream: "later", Key: ".x"}}
		},
		"limits":          func(c *connector.Connector) { c.Limits.Pause = 0 },
		"no secret":       func(c *connector.Connector) { c.Auth[0].Settings[0].Secret = false },
		"are credentials": func(c *connector.Connector) { c.Settings[0].Secret = true },
		"no ID":           func(c *connector.Connector) { c.Streams[0].ID = "" },
		"MaxPages":        func(c *connector.Connector) { c.Streams[0].Paging.MaxPages = 3 },
		"$facts.nothing":  func(c *connector.Connector) { c.Streams[0].Query = "{x: $facts.nothing}" },
		"fact twice": func(c *connector.Connector) {
			c.Facts = []connector.Fact{{Name: "twice", Request: connector.Request{Path: "/x"}}}
			c.Streams[0].Facts = []connector.Fact{{Name: "twice", Request: connector.Request{Path: "/y"}}}
		},
		"settings site":        func(c *connector.Connector) { c.Settings = append(c.Settings, c.Settings[0]) },
		"authenticate key":     func(c *connector.Connector) { c.Auth = append(c.Auth, c.Auth[0]) },
		"locations id":         func(c *connector.Connector) { c.Locations = append(c.Locations, c.Locations[0]) },
		"*.example is":         func(c *connector.Connector) { c.Hosts = []string{"*.example"} },
		"https://a.example is": func(c *connector.Connector) { c.Hosts = []string{"https://a.example"} },
		"changes: they cannot": func(c *connector.Connector) {
			c.Streams[0].Incremental = false
			c.Streams[0].Changes = &connector.Changes{Request: connector.Request{Path: "/x"}, Items: ".[]", Get: connector.Request{Path: "/x"}, Kept: time.Hour,
				Paging: connector.Paging{Next: "1", MaxPages: 2, Restart: "1"}}
		},
		"detail cannot": func(c *connector.Connector) {
			c.Streams[0].Details = []connector.Detail{{Request: connector.Request{Path: "/x"}, Items: ".[]", Into: "x", Paging: connector.Paging{Next: "1", MaxPages: 2, Restart: "1"}}}
		},
		"Fetch does not": func(c *connector.Connector) {
			c.Streams[0].Fetch = func(context.Context, *connector.Session, connector.Window, any) ([]any, any, error) {
				return nil, nil, nil
			}
		},
	} {
		c := declared()
		change(c)
		if err := connector.Compile(c, mapping.Env{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
