// Package connectortest holds what declarations of other systems are tested with:
// stand-ins for those systems, and the suite that reads them through the machinery
// (core/connector) and is hard on it. It names no system.
//
// A stand-in is written by hand from what is known of the system's API, and never
// from the declaration, which it is there to contradict. It answers from records
// in files, of which the suite makes as many as it needs.
//
// For each system there is a directory of its own:
//
//	connection.json      settings, credentials and currency (Connection); what is
//	                     secret contains "secret-", which must be seen nowhere
//	records/STREAM.json  an array of records as Stream.Items yields them, before
//	                     details and joins, all of them from before Start; other
//	                     files are the stand-in's own, such as what facts ask for
//	want/STREAM.json     what must become of each of them, in the same order (wanted);
//	                     null where the stream leaves it out on purpose
//	export/STREAM.json   an exported file that holds the same records; optional
//	openapi.json         the vendor's own description, where its licence permits:
//	                     requests and answers are compared with it; SOURCE.md says
//	                     where it is from
//	exceptions.json      differences from it that are meant (exception)
package connectortest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Start is when the suite's clock begins.
var Start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// Server answers requests as one system does. It is an http.RoundTripper: no
// request leaves the process.
type Server struct {
	// Auth is the name of the way to authenticate that requests are made with.
	Auth string
	// Limited is how the system refuses too many requests, Expired how it refuses a
	// token that is dead. Without them it is 429 and 401.
	Limited, Expired Refusal
	// Refused are further refusals: whatever request is answered so, Want is what
	// comes of it.
	Refused []Refusal

	connection  *Connection
	data        map[string]any // what the files have, by name
	collections map[string]*collection
	same        map[string]bool // those that are called otherwise, too
	mux         *http.ServeMux
	paths       map[string]bool // of tokens
	demands     [][2]string
	want        map[string]string // headers that authenticate
	oauth       *tokens
	cursors     map[string]*cursor
	added       int
	rows        int // how many rows a page has at most, where that is the server's choice; 0: any
	sizes       map[string]int

	now       func() time.Time
	stored    func(access string) bool
	intercept func(n int, r *http.Request) *outcome
	inspect   func(r *http.Request, body []byte, a *http.Response, answer []byte)
	hosts     []string

	mu       sync.Mutex
	requests int // but those of tokens
	faults   []string
}

// Connection is how a system is opened in tests: testdata/NAME/connection.json.
type Connection struct {
	// Currency, Rates and Zone are the workspace's and the source's.
	Currency string            `json:"currency"`
	Rates    map[string]string `json:"rates"`
	Zone     string            `json:"zone"`
	Settings map[string]string `json:"settings"`
	// Auth has the credentials of each way to authenticate, by its name.
	Auth map[string]map[string]string `json:"auth"`
	// Kept is what Auth.OAuth.Keep has kept of the first token.
	Kept json.RawMessage `json:"kept"`
}

// Refusal is an answer as it stands.
type Refusal struct {
	// Name says what it is about, for reports.
	Name   string
	Status int
	Header map[string]string
	// Body is text, or sent as JSON.
	Body any
	// Want is the error that must come of it.
	Want error
}

// outcome is what the suite does to a request in place of the stand-in.
type outcome struct {
	err     error                // no answer
	refusal *Refusal             // this answer
	cut     func(length int) int // the stand-in's answer, cut off
	clean   bool                 // the cut looks like the end
}

// NewServer returns a stand-in for a system that answers from the files in dir, to
// requests that are made with the way to authenticate called auth.
func NewServer(dir fs.FS, standIn func(*Server), auth string) (*Server, error) {
	connection, err := ReadConnection(dir)
	if err != nil {
		return nil, err
	}
	data, err := readRecords(dir)
	if err != nil {
		return nil, err
	}
	return newServer(connection, data, standIn, auth)
}

// newServer is NewServer with what the files have, which it does not change.
func newServer(connection *Connection, data map[string]any, standIn func(*Server), auth string) (*Server, error) {
	s := &Server{
		Auth: auth, Limited: Refusal{Status: http.StatusTooManyRequests}, Expired: Refusal{Status: http.StatusUnauthorized},
		connection: connection, data: data, collections: map[string]*collection{}, same: map[string]bool{}, mux: http.NewServeMux(), paths: map[string]bool{},
		want: map[string]string{}, cursors: map[string]*cursor{}, sizes: map[string]int{},
		now: func() time.Time { return Start }, stored: func(string) bool { return true },
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fault("nothing answers %s %s%s", r.Method, r.Host, r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	})
	standIn(s)
	if len(s.faults) > 0 {
		return nil, errors.New(strings.Join(s.faults, "\n"))
	}
	return s, nil
}

// readRecords reads records/*.json, by name.
func readRecords(dir fs.FS) (map[string]any, error) {
	names, err := fs.Glob(dir, "records/*.json")
	if err != nil {
		return nil, err
	}
	data := map[string]any{}
	for _, name := range names {
		if data[strings.TrimSuffix(path.Base(name), ".json")], err = readJSON(dir, name); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// ReadConnection reads connection.json.
func ReadConnection(dir fs.FS) (*Connection, error) {
	text, err := fs.ReadFile(dir, "connection.json")
	if err != nil {
		return nil, err
	}
	c := &Connection{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("connection.json: %w", err)
	}
	return c, nil
}

func readJSON(dir fs.FS, name string) (any, error) {
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	v, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

func decode(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something behind the end")
	}
	return v, nil
}

// fault notes that a request is not what the system takes, or that the stand-in
// contradicts itself.
func (s *Server) fault(f string, args ...any) {
	if text := fmt.Sprintf(f, args...); !slices.Contains(s.faults, text) {
		s.faults = append(s.faults, text)
	}
}

// Data returns what records/NAME.json has, as a copy.
func (s *Server) Data(name string) any {
	if _, ok := s.data[name]; !ok {
		s.fault("there is no records/%s.json", name)
	}
	return clone(s.data[name])
}

// Demand says that each request must have a header with a value, or with any if
// the value is empty. One without it fails the test.
func (s *Server) Demand(header, value string) {
	s.demands = append(s.demands, [2]string{header, value})
}

// Header says that a header authenticates requests. One without it is refused as
// Expired says.
func (s *Server) Header(header, value string) { s.want[header] = value }

// Basic says that HTTP Basic credentials authenticate requests.
func (s *Server) Basic(user, password string) {
	s.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// Handle answers requests that match a pattern of http.ServeMux. What the handler
// returns is sent as JSON; a Refusal is sent as such, bytes as they stand, and nil
// as 404.
func (s *Server) Handle(pattern string, handler func(*Request) any) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		q := &Request{s: s, r: r, header: http.Header{}, query: r.URL.Query(), pattern: pattern}
		answer := handler(q)
		if q.refused != nil {
			answer = *q.refused
		}
		q.send(w, answer)
	})
}

// Answer answers requests that match a pattern with the content of
// records/NAME.json.
func (s *Server) Answer(pattern, name string) {
	if _, ok := s.data[name]; !ok {
		s.fault("there is no records/%s.json", name)
	}
	s.Handle(pattern, func(*Request) any { return s.Data(name) })
}

// sent returns how many requests have been sent, but those for tokens.
func (s *Server) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// wrong returns the faults.
func (s *Server) wrong() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// Now is the time, for handlers.
func (s *Server) Now() time.Time { return s.now() }

// RoundTrip answers a request.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.RequestURI = r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	in.Host = strings.TrimSuffix(in.Host, ":443")
	s.look(in)

	var does *outcome
	if !s.forTokens(in) {
		if s.intercept != nil {
			does = s.intercept(s.requests, in)
		}
		s.requests++
	}
	w := httptest.NewRecorder()
	switch {
	case does != nil && does.err != nil:
		return nil, does.err
	case does != nil && does.refusal != nil:
		(&Request{s: s, r: in, header: http.Header{}}).send(w, *does.refusal)
	case s.authenticated(in):
		s.mux.ServeHTTP(w, in)
	default:
		(&Request{s: s, r: in, header: http.Header{}}).send(w, s.Expired)
	}
	answer := w.Body.Bytes()
	a := w.Result()
	a.Request, a.ContentLength = r, int64(len(answer))
	if s.inspect != nil && (does == nil || does.refusal == nil) {
		s.inspect(in, body, a, answer)
	}
	if does != nil && does.cut != nil {
		if n := does.cut(len(answer)); n < len(answer) {
			end := io.ErrUnexpectedEOF
			if does.clean {
				end, a.ContentLength = io.EOF, -1
			}
			a.Body = io.NopCloser(io.MultiReader(bytes.NewReader(answer[:n]), failing{end}))
		}
	}
	return a, nil
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// look sees whether a request may be sent at all.
func (s *Server) look(r *http.Request) {
	host := r.Host
	switch {
	case r.URL.Scheme != "https":
		s.fault("%s %s is not asked for by https", r.Method, host)
	case r.URL.User != nil:
		s.fault("the URL of a request to %s has credentials", host)
	case s.hosts != nil && !slices.ContainsFunc(s.hosts, func(allowed string) bool {
		under, wild := strings.CutPrefix(allowed, "*")
		return host == allowed || wild && strings.HasSuffix(host, under)
	}):
		s.fault("a request goes to %s, which is none of the connector's hosts", host)
	}
	if strings.Contains(r.URL.String(), secret) {
		s.fault("the URL of a request to %s%s has a secret", host, r.URL.Path)
	}
	if r.Header.Get("User-Agent") == "" {
		s.fault("a request to %s has no User-Agent", host)
	}
	if s.forTokens(r) {
		return
	}
	for _, d := range s.demands {
		if got := r.Header.Get(d[0]); got == "" || d[1] != "" && got != d[1] {
			s.fault("%s %s has the header %s: %q, not %q", r.Method, r.URL.Path, d[0], got, d[1])
		}
	}
}

// secret is what all secrets of the tests contain.
const secret = "secret-"

func (s *Server) forTokens(r *http.Request) bool { return s.paths[r.Method+" "+r.Host+r.URL.Path] }

func (s *Server) authenticated(r *http.Request) bool {
	if s.forTokens(r) {
		return true
	}
	if s.oauth != nil {
		access, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		// One that was replaced meanwhile is not stored any more.
		if ok && access != "" && access == s.oauth.access && !s.stored(access) {
			s.fault("a token is used before it is stored")
		}
		return ok && s.oauth.valid(access, s.now())
	}
	for name, value := range s.want {
		if r.Header.Get(name) != value {
			return false
		}
	}
	return true
}

// Request is a request to a stand-in.
type Request struct {
	s       *Server
	r       *http.Request
	query   url.Values
	header  http.Header
	pattern string
	refused *Refusal
}

// send writes an answer.
func (q *Request) send(w http.ResponseWriter, answer any) {
	status := http.StatusOK
	switch of := answer.(type) {
	case Refusal:
		status, answer = of.Status, of.Body
		for name, value := range of.Header {
			q.header.Set(name, value)
		}
		if answer == nil {
			answer = Row{}
		}
	case nil:
		status, answer = http.StatusNotFound, Row{}
	}
	var body []byte
	switch of := answer.(type) {
	case []byte:
		body = of
	case string:
		body = []byte(of)
	default:
		var err error
		if body, err = json.Marshal(answer); err != nil {
			q.s.fault("%s: %v", q.pattern, err)
		}
	}
	for name, values := range q.header {
		w.Header()[name] = values
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	w.Write(body)
}

// Get returns a query parameter; "" if it is absent.
func (q *Request) Get(name string) string { return q.query.Get(name) }

// All returns all values of a query parameter.
func (q *Request) All(name string) []string { return q.query[name] }

// Path returns what a wildcard of the pattern stands for.
func (q *Request) Path(wildcard string) string { return q.r.PathValue(wildcard) }

// RequestHeader returns a header of the request.
func (q *Request) RequestHeader(name string) string { return q.r.Header.Get(name) }

// Known says which query parameters there are. Others fail the test.
func (q *Request) Known(names ...string) {
	for name := range q.query {
		if !slices.Contains(names, name) {
			q.fault("there is no query parameter %q", name)
		}
	}
}

func (q *Request) fault(f string, args ...any) {
	q.s.fault("%s: %s", q.pattern, fmt.Sprintf(f, args...))
}

// Fault fails the test: the request is not what the system takes.
func (q *Request) Fault(f string, args ...any) { q.fault(f, args...) }

// Unix returns a query parameter that is in unix seconds; zero if it is absent.
func (q *Request) Unix(name string) time.Time {
	text := q.Get(name)
	if text == "" {
		return time.Time{}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		q.fault("%s=%s is not in unix seconds", name, text)
	}
	return time.Unix(n, 0).UTC()
}

// Time returns a query parameter that is a time in a layout of package time; zero
// if it is absent.
func (q *Request) Time(name, layout string) time.Time { return q.parse(name, q.Get(name), layout) }

// TimeHeader is Time for a header.
func (q *Request) TimeHeader(name, layout string) time.Time {
	return q.parse(name, q.r.Header.Get(name), layout)
}

func (q *Request) parse(name, text, layout string) time.Time {
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(layout, text)
	if err != nil {
		q.fault("%s: %v", name, err)
	}
	return at
}

// JSON returns the body, which is an object.
func (q *Request) JSON() Row {
	v, err := decode(q.Body())
	row, ok := v.(Row)
	if err != nil || !ok {
		q.fault("the body is no JSON object: %v", err)
	}
	return row
}

// Body returns the body as it stands.
func (q *Request) Body() []byte {
	body, _ := io.ReadAll(q.r.Body)
	q.r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// Form returns the body, which is a form.
func (q *Request) Form() url.Values {
	if t := q.r.Header.Get("Content-Type"); !strings.HasPrefix(t, "application/x-www-form-urlencoded") {
		q.fault("the body has the type %q, and not that of a form", t)
	}
	values, err := url.ParseQuery(string(q.Body()))
	if err != nil {
		q.fault("the body is no form: %v", err)
	}
	return values
}

// SetHeader sets a header of the answer, Type its content type.
func (q *Request) SetHeader(name, value string) { q.header.Set(name, value) }

// Type sets the content type of the answer.
func (q *Request) Type(mime string) { q.header.Set("Content-Type", mime) }

// Link sets the header Link.
func (q *Request) Link(rel, target string) {
	q.header.Add("Link", fmt.Sprintf("<%s>; rel=%q", target, rel))
}

// URL returns the request's own URL with a query parameter replaced.
func (q *Request) URL(name, value string) string {
	u := *q.r.URL
	values := u.Query()
	values.Set(name, value)
	u.RawQuery = values.Encode()
	return u.String()
}

// Size returns a query parameter that is the size of a page.
func (q *Request) Size(name string, def, max int) int {
	if q.Get(name) == "" {
		return def
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 || n > max {
		q.fault("%s=%s is no size between 1 and %d", name, q.Get(name), max)
		return def
	}
	return n
}

// Cut is a page of rows.
type Cut struct {
	Rows []Row
	// Token asks for the next page; "" on the last one, and then Last is set.
	Token string
	Last  bool
	// Offset is how many rows come before, Total how many there are, Page the number
	// of this page, and Pages how many there are.
	Offset, Total, Page, Pages int
	// Taken is when the first page of a Cursor was asked for: what has changed since
	// is not in the list.
	Taken time.Time
}

// cursor is a list of which some pages have been read.
type cursor struct {
	rows   []Row
	offset int
	size   int
	taken  time.Time
}

// Cursor cuts a list whose next page is asked for by a token, which is "" for the
// first page: only then rows is called.
func (q *Request) Cursor(token string, size int, rows func() []Row) Cut {
	c := &cursor{size: q.choose(size), taken: q.s.now()}
	if token == "" {
		c.rows = rows()
	} else if c = q.s.cursors[token]; c == nil {
		q.refused = &Refusal{Status: http.StatusBadRequest, Body: Row{"message": "this cursor is not known"}}
		return Cut{Last: true}
	}
	cut := c.cut()
	if !cut.Last {
		cut.Token = fmt.Sprintf("cursor+/%d=", len(q.s.cursors)) // has to be escaped
		q.s.cursors[cut.Token] = &cursor{rows: c.rows, offset: c.offset + c.size, size: c.size, taken: c.taken}
	}
	return cut
}

// Numbered cuts a list whose pages are numbered from 1, by a query parameter. They
// have the size that was asked for.
func (q *Request) Numbered(param string, size int, rows []Row) Cut {
	q.s.sizes[q.pattern] = size
	return q.Page(q.Size(param, 1, 1<<30), size, rows)
}

// Page cuts the page with a number, from 1.
func (q *Request) Page(number, size int, rows []Row) Cut {
	return (&cursor{rows: rows, offset: (number - 1) * size, size: size}).cut()
}

// Linked is Numbered for a list that says that there are more pages: it is the
// server's choice how long they are.
func (q *Request) Linked(param string, size int, rows []Row) Cut {
	return q.Page(q.Size(param, 1, 1<<30), q.choose(size), rows)
}

// After cuts a list that goes on behind the row with an id, which is "" at first.
func (q *Request) After(id, path string, size int, rows []Row) Cut {
	offset := 0
	if id != "" {
		offset = 1 + slices.IndexFunc(rows, func(r Row) bool { return fmt.Sprint(At(r, path)) == id })
		if offset == 0 {
			q.refused = &Refusal{Status: http.StatusBadRequest, Body: Row{"message": "there is no " + id}}
		}
	}
	return (&cursor{rows: rows, offset: offset, size: q.choose(size)}).cut()
}

// choose returns how many rows a page has where that is the server's choice.
func (q *Request) choose(size int) int {
	if q.s.rows > 0 {
		return min(size, q.s.rows)
	}
	return size
}

func (c *cursor) cut() Cut {
	from := min(max(c.offset, 0), len(c.rows))
	to := min(from+c.size, len(c.rows))
	cut := Cut{Rows: c.rows[from:to], Last: to == len(c.rows), Offset: from, Total: len(c.rows), Taken: c.taken}
	cut.Page, cut.Pages = c.offset/c.size+1, (len(c.rows)+c.size-1)/c.size
	if cut.Rows == nil {
		cut.Rows = []Row{} // an empty array, not null
	}
	return cut
}
