package connector

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"tenure/core/mapping"
)

// Errors of reading, compared with errors.Is; what the system said is wrapped
// around them. A deadline or a cancellation comes back as the context's own error.
var (
	// ErrCredentials says that the system takes the credentials no more, or lacks
	// a right: somebody has to see to it.
	ErrCredentials = errors.New("the credentials are not accepted")
	// ErrRefused says that the system refuses the request as it stands: a setting
	// is wrong.
	ErrRefused = errors.New("the request is refused")
	// ErrAnswer says that an answer is not what was declared: nothing of it is used.
	ErrAnswer = errors.New("the answer cannot be used")
	// ErrUnavailable says that the system does not answer, or fails, after retries.
	ErrUnavailable = errors.New("the system is unavailable")
	// ErrEnded says that the service has ended.
	ErrEnded = errors.New("the service has ended")
)

// Wait says that the system wants to be left alone until then: longer than the
// time there is, or than is worth waiting for.
type Wait struct{ Until time.Time }

// Error says until when.
func (w *Wait) Error() string {
	return "the system's limit is reached: to be tried again at " + w.Until.UTC().Format(time.RFC3339)
}

// Credentials are what one account of the system is opened with. They are secret
// as a whole.
type Credentials struct {
	// Auth is the name of the way to authenticate.
	Auth string `json:"auth"`
	// Values are the settings of Auth, by name.
	Values map[string]string `json:"values"`
	// Token is there with OAuth, once access has been granted.
	Token *Token `json:"token,omitempty"`
}

// Token is a token of OAuth 2.0.
type Token struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh,omitempty"`
	// Expires is in epoch ms; 0: not known.
	Expires int64 `json:"expires,omitempty"`
	// RefreshExpires is when Refresh dies if it is not used, in epoch ms; 0: not known.
	RefreshExpires int64 `json:"refresh_expires,omitempty"`
	// Scopes are those that were granted; nil where the answer did not say, which
	// means those that were asked for (RFC 6749, section 5.1).
	Scopes []string `json:"scopes,omitempty"`
	// Kept is what OAuth.Keep yielded.
	Kept json.RawMessage `json:"kept,omitempty"`
}

// Config is what a session needs.
type Config struct {
	Connector *Connector
	// Settings are the administrator's, by name. Defaults take the place of those that
	// are not set.
	Settings map[string]string
	// Load returns the credentials as they are now.
	Load func(ctx context.Context) (*Credentials, error)
	// Refresh calls fetch with the credentials as they are now, while nobody else
	// does so for the same credentials, and stores the token that it returns before
	// anybody uses it. If the access token is not old any more, somebody else has
	// been faster, and fetch is not called. It returns the credentials afterwards.
	Refresh func(ctx context.Context, old string, fetch func(ctx context.Context, c *Credentials) (*Token, error)) (*Credentials, error)
	// Env is what expressions see beside that.
	Env mapping.Env
	// Off reports whether a feed is off, by its stream and family; nil if none is.
	Off func(stream, family string) bool
	// Transport sends requests; nil for http.DefaultTransport.
	Transport http.RoundTripper
	// Requests, if not 0, is how many requests may be sent per Limits.Per.
	Requests int
	// Now and Sleep are the clock; nil for the real one.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Window is what of a stream is asked for.
type Window struct {
	// Since is epoch ms; nil for all records.
	Since *int64
	// Cursor is what Stream.Resume yielded at the end of the last run; nil at first.
	Cursor any
	// Facts are those of the connector and the stream.
	Facts map[string]any
}

// Call is one request of a Fetch.
type Call struct {
	Method string
	// Path is relative to the base, or a whole URL of one of the hosts.
	Path   string
	Query  url.Values
	Header http.Header
	Body   []byte
}

// Answer is the answer to a Call.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	decoded bool
	decode  func(body []byte) (any, error) // nil for JSON
	value   any
	wrong   error
}

// Position is how far the reading of a stream has come: everything that the next
// page depends on. It is kept as JSON.
type Position struct {
	// Began is when the reading began, in epoch ms. Changes from then on are the
	// next run's.
	Began int64 `json:"began"`
	// Since is epoch ms from which changes are asked for; nil for all records.
	Since *int64 `json:"since,omitempty"`
	// Cursor is what Resume yielded when the last run ended.
	Cursor json.RawMessage `json:"cursor,omitempty"`
	// Page is $page of the next page; absent for the first one.
	Page json.RawMessage `json:"page,omitempty"`
	// Pages is how many have been read, since the last Restart.
	Pages int `json:"pages,omitempty"`
	// Changed says that Stream.Changes is read.
	Changed bool `json:"changed,omitempty"`
	// Done are the ids of those records of the page that have been read with their
	// details: it is read once more for the others.
	Done []string `json:"done,omitempty"`
}

// Record is one record of a stream.
type Record struct {
	// ID is the system's own id.
	ID string
	// Value is the record as the system has it, with its details; nil where nothing
	// is known but that it was deleted.
	Value map[string]any
	// Deleted says that the system has deleted it.
	Deleted bool
}

// Page is some records that are read at once.
type Page struct {
	Records []Record
	// Next is where the next page begins. At the end of the stream, Last is set,
	// and Cursor is what Resume yielded; nil if the stream has none.
	Next   Position
	Last   bool
	Cursor json.RawMessage
}

// Last says how far a stream was read before.
type Last struct {
	// At is when the last reading began that came to its end, in epoch ms; 0 if
	// there is none.
	At int64 `json:"at,omitempty"`
	// Cursor is what Stream.Resume yielded at its end.
	Cursor json.RawMessage `json:"cursor,omitempty"`
}

// Session reads one system with one set of credentials. It is used by one
// goroutine at a time.
type Session struct {
	Config
	client   *client
	compiled map[string]*Expression
	// What the variables stand for, as JSON values.
	settings, token, facts map[string]any
	// turns is when lists were asked for that have a pace, by their paths.
	turns map[string]time.Time
	// incomplete is the page of which Page has returned some records, so that it need
	// not be asked for again; nil if there is none.
	incomplete *incomplete
}

// Open begins to read a system. It sends nothing yet.
func Open(ctx context.Context, c Config) (*Session, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	s := &Session{Config: c, compiled: map[string]*Expression{}, settings: map[string]any{}, token: map[string]any{}, facts: map[string]any{}, turns: map[string]time.Time{}}
	for _, setting := range c.Connector.Settings {
		s.settings[setting.Name] = nil
		if value := cmp.Or(c.Settings[setting.Name], setting.Default); value != "" {
			s.settings[setting.Name] = value
		}
	}
	s.client = newClient(s)
	return s, ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
