// Package api is the HTTP face of the resource families: routes, credentials,
// envelopes, statuses, compression and limits, as "Overview" to "HTTP Response
// Codes" of the API document and the protocol decisions P1 to P18 have them.
// It decides nothing about records; that is resource's.
package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/accounts"
	"tenure/core/calls"
	"tenure/core/health"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
	"tenure/core/usage"
)

// BasePath is where the Account API lies (contract P1).
const BasePath = "/api/v2"

// Config says what the API works with.
type Config struct {
	Engine *resource.Engine
	Access *access.Store
	// Usage is what usage events are counted in; what the rollup says of the health of
	// accounts is kept in the same table.
	Usage *usage.Store
	// Timeout bounds the work on one request; it is also the lease of the
	// upload lock. Beyond it the answer is 504.
	Timeout time.Duration
	// LockWait is how long an upload waits for the one before it under the
	// same key, before it gets a 429 (POST_LOCK_WAIT).
	LockWait time.Duration
	// Log takes what a client does not get to see; nil means slog.Default.
	Log *slog.Logger
	// Function, if set, leaves only the routes of the function with that name;
	// see Routes. Everything else is answered as an endpoint that is not there.
	Function string
	// Served, if set, is told of each request once its answer has been written.
	Served func(context.Context, Served)
}

// Served is what there is to say of a request that was answered: the call as
// the log of the workspace has it.
type Served struct {
	// Workspace is empty when no valid key was presented.
	Workspace string
	// Call is without what the log gives it. Its Endpoint is the path of the route
	// below BasePath. Field, Message and Failures may repeat what the client sent;
	// nothing else does.
	calls.Call
}

// Route is one endpoint as it has to be known in front of a function.
type Route struct {
	Method string
	// Path is below BasePath, in the form of http.ServeMux and OpenAPI.
	Path string
	// Function is the name of the function that serves it: that of the family
	// whose records it is about, or search.
	Function string
}

// Routes returns every endpoint of the families, that of the description
// included.
func Routes(families []*resource.Family) []Route {
	var all []Route
	for _, r := range append(routesOf(families), descriptionRoute(nil)) {
		all = append(all, Route{Method: r.method, Path: r.path, Function: r.function})
	}
	return all
}

// Functions returns the names of the functions that serve the endpoints.
func Functions(families []*resource.Family) []string {
	var all []string
	for _, r := range routesOf(families) {
		if !slices.Contains(all, r.function) {
			all = append(all, r.function)
		}
	}
	return all
}

// Logged returns the names by which the log of API calls knows what calls are about:
// those of Functions, and that of usage events.
func Logged(families []*resource.Family) []string {
	return append(Functions(families), EventsFunction)
}

// descriptionRoute is the endpoint of the API's own description, served by the
// function of the root family.
func descriptionRoute(description func() ([]byte, error)) route {
	return route{
		method: http.MethodGet, path: "/openapi.json", public: true, summary: "This description", function: accounts.Family.Schema.Name,
		serve: func(s *server, r *request) answer {
			body, err := description()
			if err != nil {
				return s.answerError(r, err)
			}
			return answer{status: http.StatusOK, body: body}
		},
	}
}

type server struct {
	Config
	health *health.Store
}

// New returns the handler of these families' endpoints, complete with its
// answers to everything else under any path.
func New(c Config, families []*resource.Family) (http.Handler, error) {
	routes := routesOf(families)
	// Few processes are ever asked for it, and most of those that start are in
	// a hurry.
	description := sync.OnceValues(func() ([]byte, error) { return describe(routes) })
	served := append(slices.Clip(routes), descriptionRoute(description))
	if c.Function != "" {
		served = slices.DeleteFunc(served, func(r route) bool { return r.function != c.Function })
	}
	if len(served) == 0 {
		return nil, fmt.Errorf("there is no function %q", c.Function)
	}
	s := &server{Config: c}
	if c.Usage != nil {
		s.health = health.NewStore(c.Usage.Table, c.Usage.Now)
	}
	return s.handler(BasePath, served)
}

// handler returns the handler of endpoints below base, complete with its answers to
// everything else under any path.
func (s *server) handler(base string, routes []route) (http.Handler, error) {
	if s.Log == nil {
		s.Log = slog.Default()
	}
	mux := http.NewServeMux()
	byPath := map[string][]route{}
	for _, r := range routes {
		byPath[r.path] = append(byPath[r.path], r)
	}
	for path, group := range byPath {
		mux.Handle(base+path, s.endpoint(group))
	}
	notFound := failureAnswer(http.StatusNotFound, &core.Failure{Code: core.NotFound, Message: "No such endpoint"})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound.write(w) })

	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.CompressionLevel(1), gzhttp.ContentTypes([]string{"application/json"}))
	if err != nil {
		return nil, err
	}
	return s.recovering(namingGzip(compress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !tidyPath(r) {
			notFound.write(w)
			return
		}
		mux.ServeHTTP(w, r)
	})))), nil
}

// namingGzip puts gzip in place of a wildcard in Accept-Encoding, which gzhttp
// does not know.
func namingGzip(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accepted := r.Header.Get("Accept-Encoding")
		if strings.Contains(accepted, "*") && !strings.Contains(strings.ToLower(accepted), "gzip") {
			r.Header.Set("Accept-Encoding", strings.ReplaceAll(accepted, "*", "gzip"))
		}
		next.ServeHTTP(w, r)
	})
}

// recovering answers 500 where the program failed.
func (s *server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Log.Error("panic", "route", r.Pattern, "panic", p, "stack", string(debug.Stack()))
				errorAnswer(http.StatusInternalServerError, "Internal error").write(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// tidyPath drops one trailing slash (contract P1), and reports false for paths
// that the mux would answer with a redirect: no endpoint has an empty or a dot
// segment, and ids that look like one arrive percent-encoded.
func tidyPath(r *http.Request) bool {
	escaped := r.URL.EscapedPath()
	if !strings.HasPrefix(escaped, "/") {
		return false
	}
	if len(escaped) > 1 && strings.HasSuffix(escaped, "/") {
		escaped = escaped[:len(escaped)-1]
		u := *r.URL
		u.Path, u.RawPath = strings.TrimSuffix(r.URL.Path, "/"), escaped
		r.URL = &u
	}
	if strings.Contains(escaped+"/", "/%2F/") || strings.Contains(escaped+"/", "/%2f/") || strings.Contains(escaped, "/%00") {
		markSlashes(r, escaped)
	}
	for segment := range strings.SplitSeq(escaped[1:], "/") {
		switch segment {
		case ".", "..":
			return false
		case "":
			return escaped == "/"
		}
	}
	return true
}

// slashMark goes before a path segment that is nothing but an escaped slash:
// the mux would take it for a trailing one. It also goes before one that begins
// with it, so that request.id can take it off again.
const slashMark = "\x00"

func markSlashes(r *http.Request, escaped string) {
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		if strings.EqualFold(segment, "%2F") || strings.HasPrefix(segment, "%00") {
			segments[i] = "%00" + segment
		}
	}
	u := *r.URL
	u.RawPath = strings.Join(segments, "/")
	u.Path, _ = url.PathUnescape(u.RawPath) // as valid as it was
	r.URL = &u
}

// endpoint serves the routes of one path.
func (s *server) endpoint(routes []route) http.Handler {
	byMethod := map[string]*route{}
	var methods []string
	for i := range routes {
		byMethod[routes[i].method] = &routes[i]
		methods = append(methods, routes[i].method)
	}
	if r := byMethod[http.MethodGet]; r != nil {
		byMethod[http.MethodHead] = r
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := byMethod[r.Method]
		if route == nil {
			w.Header().Set("Allow", allow)
			errorAnswer(http.StatusMethodNotAllowed, "The method "+r.Method+" is not allowed here; use "+allow).write(w)
			return
		}
		s.serve(route, w, r)
	})
}

// request is one request on its way through a route.
type request struct {
	*http.Request
	ctx    context.Context
	route  *route
	caller access.Caller
	query  url.Values
	// end is when the platform, or the bound on the request's work, ends it:
	// afterwards nothing is done on its behalf.
	end time.Time
}

// id returns the path parameter called name.
func (r *request) id(name string) string {
	return strings.TrimPrefix(r.PathValue(name), slashMark)
}

// given returns the path parameter called name, or nil when the route has none.
func (r *request) given(name string) *string {
	if value := r.id(name); value != "" {
		return &value
	}
	return nil
}

func (s *server) serve(route *route, w http.ResponseWriter, hr *http.Request) {
	started := time.Now()
	end := started.Add(s.Timeout)
	ctx, cancel := context.WithDeadline(hr.Context(), end)
	defer cancel()
	if platform, ok := hr.Context().Deadline(); ok {
		end = platform
	}
	// What cannot be parsed of the query is as if it were not there: other
	// parameters than those that an endpoint knows are nobody's error. But a
	// DELETE that lost one of those would delete more than was meant.
	query, queryErr := url.ParseQuery(hr.URL.RawQuery)
	r := &request{Request: hr, ctx: ctx, route: route, query: query, end: end}
	sent := &countingBody{ReadCloser: hr.Body}
	hr.Body = sent
	a := errorAnswer(http.StatusInternalServerError, "Internal error") // should it panic
	defer func() {
		if s.Served != nil {
			s.Served(hr.Context(), Served{Workspace: r.caller.Workspace, Call: a.call(r, sent.n, time.Since(started))})
		}
	}()
	a = s.answerTo(r, queryErr)
	a.write(w)
}

// answerTo returns the answer to a request of a route.
func (s *server) answerTo(r *request, queryErr error) answer {
	if !r.route.public {
		authenticate := s.authenticate
		if r.route.authenticate != nil {
			authenticate = func(r *request) (access.Caller, error) { return r.route.authenticate(s, r) }
		}
		caller, err := authenticate(r)
		if err != nil {
			return s.answerError(r, err)
		}
		r.caller = caller
	}
	if queryErr != nil && r.Method == http.MethodDelete {
		return s.answerError(r, malformed("The query cannot be read, and nothing was deleted: percent-encode '%%', ';' and '&' in values"))
	}
	return r.route.serve(s, r)
}

// countingBody counts the bytes that are read of a request body.
type countingBody struct {
	io.ReadCloser
	n int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	return n, err
}

// authenticate finds out who sends the request, by the api_key parameter or
// HTTP Basic with the user "api" (contract P2). Every credential presented
// must be right, and all must open the same workspace.
func (s *server) authenticate(r *request) (access.Caller, error) {
	var caller access.Caller
	keys := slices.DeleteFunc(slices.Clone(r.query["api_key"]), func(k string) bool { return k == "" })
	if r.Header.Get("Authorization") != "" {
		user, password, ok := r.BasicAuth()
		if !ok || user != "api" {
			return caller, access.ErrUnknownKey
		}
		keys = append(keys, password)
	}
	if len(keys) == 0 {
		return caller, access.ErrUnknownKey
	}
	for i, key := range keys {
		c, err := s.Access.Authenticate(r.ctx, key)
		if err != nil {
			return caller, err
		}
		if i > 0 && c.Workspace != caller.Workspace {
			return caller, access.ErrUnknownKey
		}
		caller = c
	}
	return caller, nil
}

// errTooLarge says that a request body exceeds MaxBodyBytes.
var errTooLarge = errors.New("the request body is too large")

// answerError answers a request that failed for a reason that is not in its
// records.
func (s *server) answerError(r *request, err error) answer {
	var failure *core.Failure
	switch {
	case errors.As(err, &failure):
		return failureAnswer(http.StatusOK, failure)
	case errors.Is(err, access.ErrUnknownKey) && r.route.function == EventsFunction:
		return errorAnswer(http.StatusUnauthorized, "A valid Usage Event key is required: its auth key and its API key, as the path has them")
	case errors.Is(err, access.ErrUnknownKey):
		a := errorAnswer(http.StatusUnauthorized, "A valid API key is required: as the query parameter api_key, or as the password of the user api in HTTP Basic authentication")
		a.header = http.Header{"Www-Authenticate": {`Basic realm="Tenure", charset="UTF-8"`}}
		return a
	case errors.Is(err, errTooLarge):
		return errorAnswer(http.StatusRequestEntityTooLarge, fmt.Sprintf("The request body is too large: at most %d MB, decompressed. Send smaller batches, and compress them with Content-Encoding: gzip", r.route.bodyLimit()>>20))
	case errors.Is(err, access.ErrLocked):
		a := errorAnswer(http.StatusTooManyRequests, "Another upload under this API key is under way; this one was not processed. Send uploads one after the other, with as many records each as possible")
		a.header = http.Header{"Retry-After": {"1"}}
		return a
	case errors.Is(err, table.ErrFenced), errors.Is(err, context.DeadlineExceeded):
		return errorAnswer(http.StatusGatewayTimeout, "The request took too long and was stopped; records applied by then stay. Sending it again is safe")
	case errors.Is(err, table.ErrUnavailable), errors.Is(err, context.Canceled):
		s.Log.Warn("unavailable", "method", r.Method, "route", r.route.path, "error", err)
		a := errorAnswer(http.StatusServiceUnavailable, "The store is busy or cannot be reached; sending the request again is safe")
		a.header = http.Header{"Retry-After": {"1"}}
		return a
	}
	s.Log.Error("failed", "method", r.Method, "route", r.route.path, "error", err)
	return errorAnswer(http.StatusInternalServerError, "Internal error")
}

// outcome answers a request that changes one record.
func (s *server) outcome(r *request, failure *core.Failure, err error) answer {
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return failureAnswer(http.StatusOK, failure)
	}
	return answer{status: http.StatusOK, body: []byte(`{"status_is_ok":true}`)}
}

// answer is a response: always JSON, of any status (contract P3).
type answer struct {
	status  int
	header  http.Header
	body    []byte
	failure *core.Failure // why its status_is_ok is false; nil when it is true
	// Of an upload: what became of its records, nil where none could be read; the
	// first of those that failed; whether nothing was to be written.
	records  *calls.Records
	failures []calls.Failure
	dryRun   bool
	// more, if set, writes what follows body: what may be much longer than the
	// request was.
	more func(io.Writer)
}

// call returns what the log of API calls has of a request and its answer.
func (a *answer) call(r *request, bodyBytes int64, took time.Duration) calls.Call {
	c := calls.Call{
		Method: r.Method, Endpoint: r.route.path, Family: r.route.function, Kind: calls.Write, KeyID: r.caller.KeyID,
		Success: a.failure == nil && a.status == http.StatusOK, Status: a.status, Records: a.records, Failures: a.failures,
		DryRun: a.dryRun, DurationMS: float64(took.Microseconds()) / 1000, BodyBytes: bodyBytes,
	}
	if r.route.takes == conditionsBody || r.Method == http.MethodGet || r.Method == http.MethodHead || a.dryRun {
		c.Kind = calls.Read
	}
	if f := a.failure; f != nil {
		c.Code, c.Field, c.Message = f.Code, f.Field, f.Message
	}
	return c
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(a.status)
	// A client that has gone away cannot be told about it.
	_, _ = w.Write(a.body)
	if a.more != nil {
		a.more(w)
	}
}

// errorAnswer is the answer of a status that concerns no field.
func errorAnswer(status int, message string) answer {
	return failureAnswer(status, &core.Failure{Message: message})
}

// failureAnswer is the answer to a request that was refused as a whole.
func failureAnswer(status int, f *core.Failure) answer {
	body := append([]byte(`{"status_is_ok":false`), appendFailure(nil, f)...)
	return answer{status: status, body: append(body, '}'), failure: f}
}

// appendFailure appends what a failure adds to an object.
func appendFailure(dst []byte, f *core.Failure) []byte {
	dst = append(dst, `,"message":`...)
	dst = schema.AppendString(dst, f.Message)
	if f.Code != "" {
		dst = append(dst, `,"code":`...)
		dst = schema.AppendString(dst, string(f.Code))
	}
	if f.Field != "" {
		dst = append(dst, `,"field":`...)
		dst = schema.AppendString(dst, f.Field)
	}
	return dst
}
