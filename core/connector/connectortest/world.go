package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tenure/core/connector"
	"tenure/core/mapping"
)

// subject is a connector with what it is tested with.
type subject struct {
	*connector.Connector
	dir         fs.FS
	standIn     func(*Server)
	connection  *Connection
	description *description
	ended       bool // though it goes on in the tests
	data        map[string]any
	measures    map[*connector.Stream]*measure
}

// world is one stand-in, one set of credentials and one clock.
type world struct {
	*subject
	server *Server
	vault  *vault
	clock  *clock
	env    mapping.Env
	// quiet is a session that sends nothing.
	quiet *connector.Session
	// leaks are the places where a secret was seen.
	leaks []string
}

// clock is the time, which goes on when somebody sleeps.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.slept = c.now.Add(d), c.slept+d
	return nil
}

// vault keeps credentials as the platform does: one at a time refreshes them.
type vault struct {
	refreshing sync.Mutex
	mu         sync.Mutex
	now        connector.Credentials
	were       []string // access tokens that have been stored
}

func (v *vault) load(context.Context) (*connector.Credentials, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.now
	return &c, nil
}

func (v *vault) refresh(ctx context.Context, old string, fetch func(context.Context, *connector.Credentials) (*connector.Token, error)) (*connector.Credentials, error) {
	v.refreshing.Lock()
	defer v.refreshing.Unlock()
	c, err := v.load(ctx)
	if err != nil || c.Token != nil && c.Token.Access != old {
		return c, err
	}
	token, err := fetch(ctx, c)
	if err != nil {
		return nil, err
	}
	v.keep(token)
	c.Token = token
	return c, nil
}

// keep stores a token.
func (v *vault) keep(token *connector.Token) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now.Token = token
	v.were = append(v.were, token.Access)
}

// stored reports whether an access token is kept, or has been.
func (v *vault) stored(access string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Contains(v.were, access)
}

// world opens a stand-in for requests made with a way to authenticate.
func (s *subject) world(auth *connector.Auth) (*world, error) {
	server, err := newServer(s.connection, s.data, s.standIn, auth.Name)
	if err != nil {
		return nil, err
	}
	w := &world{subject: s, server: server, clock: &clock{now: Start}, vault: &vault{}}
	w.env = mapping.Env{Currency: s.connection.Currency, Rates: s.connection.Rates, Functions: s.Functions}
	if s.connection.Zone != "" {
		if w.env.Zone, err = time.LoadLocation(s.connection.Zone); err != nil {
			return nil, err
		}
	}
	w.vault.now = connector.Credentials{Auth: auth.Name, Values: s.connection.Auth[auth.Name]}
	if auth.OAuth != nil && server.oauth != nil && server.oauth.access != "" {
		token := &connector.Token{Access: server.oauth.access, Refresh: server.oauth.refresh, Kept: s.connection.Kept}
		if server.oauth.Lifetime > 0 {
			server.oauth.expires = Start.Add(server.oauth.Lifetime)
			token.Expires = server.oauth.expires.UnixMilli()
		}
		w.vault.keep(token)
	}
	server.now, server.stored, server.hosts = w.clock.Now, w.vault.stored, s.Hosts
	if s.description != nil {
		server.inspect = func(r *http.Request, body []byte, a *http.Response, answer []byte) {
			if !server.forTokens(r) {
				s.description.check(r, body, a.StatusCode, answer, server.fault)
			}
		}
	}
	return w, nil
}

// open opens a session.
func (w *world) open(ctx context.Context) (*connector.Session, error) {
	return connector.Open(ctx, connector.Config{
		Connector: w.Connector, Settings: w.connection.Settings, Load: w.vault.load, Refresh: w.vault.refresh, Env: w.env,
		Transport: w.server, Now: w.clock.Now, Sleep: w.clock.sleep,
	})
}

// forbidden returns what must not be seen anywhere.
func (w *world) forbidden() []string {
	list := []string{secret}
	for _, value := range w.server.want {
		_, code, ok := strings.Cut(value, " ")
		if !ok {
			code = value
		}
		list = append(list, code)
	}
	return list
}

// see looks for secrets in something that others get to see.
func (w *world) see(what, text string) {
	for _, f := range w.forbidden() {
		if strings.Contains(text, f) {
			w.leaks = append(w.leaks, fmt.Sprintf("there is a secret in %s: %.300s", what, text))
			return
		}
	}
}

// trouble returns what was wrong beside the result.
func (w *world) trouble() error {
	var all []error
	for _, text := range slices.Concat(w.server.wrong(), w.leaks) {
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// reading is the reading of a stream, which goes on after it was interrupted.
type reading struct {
	st       *connector.Stream
	at       json.RawMessage // the Position, once there is one
	last     *connector.Last
	began    int64
	records  []connector.Record
	pages    int
	requests []int // how many had been sent at the end of each page
	waits    int   // how often the system wanted to be left alone for longer
	seen     map[string]connector.Record
	session  *connector.Session // the last one
	after    func()             // what happens behind each page that is not the last
}

// maxPages is how many pages a reading in the tests has at most: a list that has
// more does not end.
const maxPages = 3000

// begin returns a reading that has read nothing yet. last is that of an earlier
// reading; nil for the first.
func (w *world) begin(st *connector.Stream, last *connector.Last) *reading {
	return &reading{st: st, last: last, seen: map[string]connector.Record{}}
}

// run reads to the end of the stream, in a session of its own, and on from where
// the reading was. Whenever the system wants to be left alone, it waits.
func (w *world) run(ctx context.Context, r *reading) error {
	s, err := w.open(ctx)
	if err != nil {
		return w.note(err)
	}
	r.session = s
	for {
		err := w.pages(ctx, s, r)
		if wait, ok := errors.AsType[*connector.Wait](err); ok && r.waits < 20 {
			r.waits++
			w.clock.advance(max(wait.Until.Sub(w.clock.Now()), time.Second))
			continue
		}
		return w.note(err)
	}
}

// note looks for secrets in an error.
func (w *world) note(err error) error {
	if err != nil {
		w.see("an error", err.Error())
	}
	return err
}

func (w *world) pages(ctx context.Context, s *connector.Session, r *reading) error {
	var at connector.Position
	if r.at == nil {
		var last connector.Last
		if r.last != nil {
			last = *r.last
		}
		at = s.Begin(r.st, last, r.last == nil)
		r.began = at.Began
		if err := r.keep(at); err != nil {
			return err
		}
	}
	for {
		if r.pages > maxPages {
			return fmt.Errorf("the list does not end after %d pages", r.pages)
		}
		at = connector.Position{}
		if err := json.Unmarshal(r.at, &at); err != nil {
			return err
		}
		page, err := s.Page(ctx, r.st, at)
		if err != nil {
			if page != nil && len(page.Records) > 0 {
				return fmt.Errorf("records are returned along with the error %w", err)
			}
			return err
		}
		r.pages++
		r.requests = append(r.requests, w.server.sent())
		for _, record := range page.Records {
			if record.ID == "" {
				return errors.New("a record has no id")
			}
			r.records = append(r.records, record)
			r.seen[record.ID] = record
		}
		if text, err := json.Marshal(page); err != nil {
			return err
		} else {
			w.see("a page", string(text))
		}
		if page.Last {
			r.last = &connector.Last{At: r.began, Cursor: page.Cursor}
			return nil
		}
		if err := r.keep(page.Next); err != nil {
			return err
		}
		if r.after != nil {
			r.after()
		}
	}
}

// keep writes down how far the reading has come.
func (r *reading) keep(at connector.Position) (err error) {
	if at.Began != r.began {
		return fmt.Errorf("the position says that the reading began at %d, and not at %d", at.Began, r.began)
	}
	r.at, err = json.Marshal(at)
	return err
}

// has compares the ids that were read with those there have to be.
func (r *reading) has(want []string) error {
	got := slices.Sorted(maps.Keys(r.seen))
	want = slices.Sorted(slices.Values(want))
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("%d records were read in %d pages, and there are %d: %s", len(got), r.pages, len(want), difference(got, want))
}

// difference says what only one of two lists has.
func difference(got, want []string) string {
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(id string) bool {
			_, found := slices.BinarySearch(b, id)
			return found
		})
	}
	few := func(list []string) string {
		if len(list) > 5 {
			return fmt.Sprintf("%q and %d more", list[:5], len(list)-5)
		}
		return fmt.Sprintf("%q", list)
	}
	return fmt.Sprintf("missing %s, too many %s", few(only(want, got)), few(only(got, want)))
}
