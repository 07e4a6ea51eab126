package connector

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"tenure/core/mapping"
)

const (
	// tries is how often a request is sent that fails for reasons that may pass.
	tries = 5
	// firstPause is the longest pause after the first failure; it doubles.
	firstPause = time.Second
	// longestWait is how long the refusals of one request are waited out; what takes
	// longer ends the run for now.
	longestWait = 2 * time.Minute
	// maxWaits is how often one request is sent again that is too much each time.
	maxWaits = 10
	// quotaPause is how long a run stops when a long-term quota is nearly used up.
	quotaPause = time.Hour
	// requestTimeout bounds one request and the reading of its answer.
	requestTimeout = 2 * time.Minute
	// early is how long before it expires a token is refreshed.
	early = time.Minute
	// userAgent is how requests name their sender.
	userAgent = "Tenure"
)

// client sends requests with the credentials.
type client struct {
	session     *Session
	http        *http.Client
	limiter     *rate.Limiter
	credentials *Credentials
	auth        *Auth
	base        *url.URL
	// sent are the headers by which the last request was authenticated.
	sent []string
	// until is when the system has said that there will be requests again.
	until time.Time
}

func newClient(s *Session) *client {
	l := s.Connector.Limits
	n := l.Requests
	if s.Requests > 0 {
		n = s.Requests
	}
	c := &client{session: s}
	if n > 0 && l.Per > 0 {
		// A tenth of the allowance may be used at once. The others follow so that no
		// time of that length has more than the allowance.
		burst := max(1, n/10)
		c.limiter = rate.NewLimiter(rate.Limit(float64(n-burst+1)/l.Per.Seconds()), burst)
	}
	c.http = &http.Client{Transport: s.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c
}

// load gets the credentials, and what follows from them.
func (c *client) load(ctx context.Context) error {
	if c.credentials != nil {
		return nil
	}
	if c.session.Load == nil {
		return fmt.Errorf("%w: there are none", ErrCredentials)
	}
	credentials, err := c.session.Load(ctx)
	if err != nil {
		return err
	}
	return c.use(ctx, credentials)
}

// use takes up credentials.
func (c *client) use(ctx context.Context, credentials *Credentials) error {
	s := c.session
	at := slices.IndexFunc(s.Connector.Auth, func(a Auth) bool { return a.Name == credentials.Auth })
	if at < 0 {
		return fmt.Errorf("%w: they are for another way to authenticate", ErrCredentials)
	}
	c.credentials, c.auth = credentials, &s.Connector.Auth[at]
	clear(s.token)
	if t := credentials.Token; t != nil && t.Kept != nil {
		kept, err := mapping.Decode(bytes.NewReader(t.Kept), maxBody)
		if err != nil {
			return err
		}
		object, _ := kept.(map[string]any)
		for name, value := range object {
			s.token[name] = value
		}
	}
	if c.auth.OAuth != nil && credentials.Token == nil && c.auth.OAuth.Grant == ClientCredentials {
		return c.refresh(ctx, "")
	}
	if c.auth.OAuth != nil && credentials.Token == nil {
		return fmt.Errorf("%w: access has not been granted yet", ErrCredentials)
	}
	return c.rebase(ctx)
}

// rebase finds out where paths are relative to.
func (c *client) rebase(ctx context.Context) error {
	s := c.session
	text := s.Connector.Base
	if c.auth.Base != "" {
		text = c.auth.Base
	}
	v, err := s.eval(ctx, text, nil, nil, nil)
	if err != nil {
		return err
	}
	base, _ := v.(string)
	u, err := url.Parse(base)
	if err != nil {
		return fmt.Errorf("%w: the address of the system is not one", ErrRefused)
	}
	if err := s.allowed(u); err != nil {
		return err
	}
	c.base = u
	return nil
}

// allowed reports with an error whether requests may go to a URL: to the system's
// own hosts by https, and nowhere else.
func (s *Session) allowed(u *url.URL) error {
	host := strings.ToLower(u.Hostname())
	good := u.Scheme == "https" && u.User == nil && (u.Port() == "" || u.Port() == "443") && net.ParseIP(host) == nil
	if good {
		good = slices.ContainsFunc(s.Connector.Hosts, func(allowed string) bool {
			suffix, below := strings.CutPrefix(allowed, "*")
			if below {
				name, ok := strings.CutSuffix(host, suffix)
				return ok && name != "" && !strings.HasPrefix(name, ".")
			}
			return host == allowed
		})
	}
	if !good {
		return fmt.Errorf("%w: it leads to %s, which is not one of %s's hosts", ErrRefused, clip(u.Scheme+"://"+u.Host), s.Connector.Title)
	}
	return nil
}

// errNotFound says that there is nothing where a request leads.
var errNotFound = errors.New("it is not found (404)")

// ask sends a declared request and returns the decoded body of its answer. target,
// unless it is empty, is asked for in place of the request's path and query.
func (s *Session) ask(ctx context.Context, r *Request, target string, input any, sc *scope) (body any, header http.Header, err error) {
	answer, err := s.answer(ctx, r, target, input, sc)
	if err == nil && answer.Status == http.StatusNotFound {
		err = fmt.Errorf("%w: %w: %s", ErrRefused, errNotFound, s.said(ctx, answer))
	}
	if err != nil {
		return nil, nil, err
	}
	body, err = answer.json()
	return body, answer.Header, err
}

// answer sends a declared request, or the same to target.
func (s *Session) answer(ctx context.Context, r *Request, target string, input any, sc *scope) (*Answer, error) {
	c := s.client
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	call := &Call{Path: target}
	if target == "" {
		if err := s.locate(ctx, call, r, input, sc); err != nil {
			return nil, fmt.Errorf("%w: it cannot be made: %w", ErrRefused, err)
		}
	} else if u, err := c.base.Parse(target); err == nil {
		call.Path = u.String() // a path belongs to the host, not to the base
	}
	// What has come from outside leads to the host that was chosen alone: another one
	// of the system's may be somebody else's.
	if u, err := c.target(call.Path); err != nil || !strings.EqualFold(u.Hostname(), c.base.Hostname()) {
		if target == "" {
			return nil, fmt.Errorf("%w: its path leads to another host", ErrRefused)
		}
		return nil, fmt.Errorf("%w: the next page is on another host", ErrAnswer)
	}
	if err := s.fill(ctx, call, r, input, sc); err != nil {
		return nil, fmt.Errorf("%w: it cannot be made: %w", ErrRefused, err)
	}
	return s.deliver(ctx, call)
}

// locate sets the path and the query of a declared request.
func (s *Session) locate(ctx context.Context, call *Call, r *Request, input any, sc *scope) error {
	path, err := s.eval(ctx, pathExpression(r.Path), input, nil, sc)
	if err != nil {
		return err
	}
	call.Path, _ = path.(string)
	if r.Query == "" {
		return nil
	}
	v, err := s.eval(ctx, r.Query, input, nil, sc)
	if err != nil {
		return err
	}
	call.Query, err = query(v)
	return err
}

// fill sets the rest of a declared request.
func (s *Session) fill(ctx context.Context, call *Call, r *Request, input any, sc *scope) error {
	call.Method, call.Header = r.Method, http.Header{}
	for name, text := range r.Headers {
		if err := s.header(ctx, call.Header, name, text, input, sc); err != nil {
			return err
		}
	}
	if r.Body == "" {
		return nil
	}
	v, err := s.eval(ctx, r.Body, input, nil, sc)
	if err != nil {
		return err
	}
	call.Header.Set("Content-Type", "application/json")
	call.Body, err = json.Marshal(v)
	return err
}

// header sets a header to what an expression yields, unless that is null.
func (s *Session) header(ctx context.Context, h http.Header, name, text string, input any, sc *scope) error {
	v, err := s.eval(ctx, text, input, nil, sc)
	if err != nil || v == nil {
		return err
	}
	value, ok := mapping.Text(v)
	if !ok || strings.ContainsAny(value, "\r\n\x00") {
		return fmt.Errorf("header %s: its value cannot be sent", name)
	}
	h.Set(name, value)
	return nil
}

// query returns the parameters that an object stands for.
func query(v any) (url.Values, error) {
	object, ok := v.(map[string]any)
	if !ok && v != nil {
		return nil, errors.New("the query is no object")
	}
	values := url.Values{}
	for name, v := range object {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, v := range list {
			if v == nil {
				continue
			}
			text, ok := mapping.Text(v)
			if b, isBool := v.(bool); isBool {
				text, ok = strconv.FormatBool(b), true
			}
			if !ok {
				return nil, fmt.Errorf("the parameter %s has no value that can be sent", name)
			}
			values.Add(name, text)
		}
	}
	return values, nil
}

// json returns the JSON value of an answer, which is decoded once. Only an answer
// that says so (204, 205) may be without one.
func (a *Answer) json() (any, error) {
	if !a.decoded {
		a.decoded = true
		if a.Status != http.StatusNoContent && a.Status != http.StatusResetContent {
			if a.decode != nil {
				a.value, a.wrong = a.decode(a.Body)
			} else {
				a.value, a.wrong = mapping.Decode(bytes.NewReader(a.Body), maxBody)
			}
		}
	}
	if a.wrong != nil {
		return nil, fmt.Errorf("%w: it is not what it should be: %w", ErrAnswer, a.wrong)
	}
	return a.value, nil
}

// Call sends a request, waits where the system asks for it, tries again what may
// pass, and refreshes the token. The answer has a status of 2xx, or 404. With
// ErrUnavailable it is the last one there was, if any.
func (s *Session) Call(ctx context.Context, call Call) (*Answer, error) {
	if err := s.client.load(ctx); err != nil {
		return nil, s.client.told(ctx, err)
	}
	answer, err := s.deliver(ctx, &call)
	return answer, s.client.told(ctx, err)
}

// told returns an error as callers see it: the context's own if that has ended, and
// otherwise one without secrets.
func (c *client) told(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return hide(err, c.secrets())
}

// deliver is Call with credentials that are there.
func (s *Session) deliver(ctx context.Context, call *Call) (*Answer, error) {
	c := s.client
	refreshed, waits, waited := false, 0, time.Duration(0)
	for try := 1; ; try++ {
		if err := c.fresh(ctx); err != nil {
			return nil, err
		}
		if err := c.pace(ctx); err != nil {
			return nil, err
		}
		answer, err := c.once(ctx, call)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			var cut *cutError
			switch {
			case errors.Is(err, ErrRefused), errors.Is(err, ErrCredentials), errors.Is(err, ErrAnswer) && !errors.As(err, &cut):
				return nil, err
			case try == tries && errors.As(err, &cut):
				return nil, err
			case try == tries:
				return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			if err := c.wait(ctx, backoff(try)); err != nil {
				return nil, err
			}
			continue
		}
		c.remember(answer)
		verdict, pause, err := c.judge(ctx, answer)
		switch verdict {
		case good:
			return answer, c.quota(ctx, answer)
		case expired:
			if refreshed || c.auth.OAuth == nil {
				return nil, fmt.Errorf("%w: %s", ErrCredentials, s.said(ctx, answer))
			}
			refreshed = true
			if err := c.refresh(ctx, c.credentials.Token.Access); err != nil {
				return nil, err
			}
		case limited:
			if waits, waited = waits+1, waited+pause; waits > maxWaits || waited > longestWait {
				return nil, &Wait{s.Now().Add(pause)}
			}
			if err := c.wait(ctx, pause); err != nil {
				return nil, err
			}
			try-- // it has not failed
		case again:
			if try == tries {
				return answer, fmt.Errorf("%w: it answers %d: %s", ErrUnavailable, answer.Status, s.said(ctx, answer))
			}
			if err := c.wait(ctx, max(pause, backoff(try))); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

// backoff is how long to wait after a number of failures: any time up to a bound
// that doubles.
func backoff(try int) time.Duration {
	return time.Duration(rand.Int64N(int64(firstPause<<(try-1)))) + firstPause/10
}

// wait waits, if there is time for it; otherwise a *Wait says until when.
func (c *client) wait(ctx context.Context, d time.Duration) error {
	until := c.session.Now().Add(d)
	if deadline, ok := ctx.Deadline(); d > longestWait || ok && until.After(deadline) {
		return &Wait{until}
	}
	return c.session.Sleep(ctx, d)
}

// pace waits until a request may be sent.
func (c *client) pace(ctx context.Context) error {
	now := c.session.Now()
	if c.until.After(now) {
		if err := c.wait(ctx, c.until.Sub(now)); err != nil {
			return err
		}
		now = c.session.Now()
	}
	if c.limiter == nil {
		return nil
	}
	if d := c.limiter.ReserveN(now, 1).DelayFrom(now); d > 0 {
		return c.wait(ctx, d)
	}
	return nil
}

// remember takes up what an answer says of how many requests are left.
func (c *client) remember(a *Answer) {
	l := &c.session.Connector.Limits
	if l.Remaining == "" || l.Reset == "" {
		return
	}
	left, err := strconv.Atoi(strings.TrimSpace(a.Header.Get(l.Remaining)))
	reset, err2 := strconv.ParseInt(strings.TrimSpace(a.Header.Get(l.Reset)), 10, 64)
	if err != nil || err2 != nil || left > 0 {
		return
	}
	if l.SecondsLeft {
		c.until = c.session.Now().Add(time.Duration(reset) * time.Second)
	} else {
		c.until = time.Unix(reset, 0)
	}
	// A clock that is far off must not hold up everything.
	if latest := c.session.Now().Add(quotaPause); c.until.After(latest) {
		c.until = latest
	}
}

// quota stops a run when a long-term quota is nearly used up.
func (c *client) quota(ctx context.Context, a *Answer) error {
	l := &c.session.Connector.Limits
	if l.Usage == "" {
		return nil
	}
	v, err := c.session.eval(ctx, l.Usage, headers(a.Header), nil, nil)
	if err != nil || v == nil {
		return nil // it does not say
	}
	text, _ := mapping.Text(v)
	if used, err := strconv.ParseFloat(text, 64); err == nil && used >= l.MaxUsage {
		return &Wait{c.session.Now().Add(quotaPause)}
	}
	return nil
}

// headers returns headers as expressions see them.
func headers(h http.Header) map[string]any {
	all := map[string]any{}
	for name, values := range h {
		all[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return all
}

// verdict is what an answer means.
type verdict int

const (
	refused verdict = iota
	good
	expired
	limited
	again
)

// errUnchanged is an answer (304) to requests that say since when.
var errUnchanged = fmt.Errorf("%w: it says that nothing has changed (304)", ErrAnswer)

// judge says what an answer means; of a refusal, with the error.
func (c *client) judge(ctx context.Context, a *Answer) (v verdict, pause time.Duration, err error) {
	s := c.session
	e := &s.Connector.Errors
	ok := a.Status/100 == 2
	if ok && e.Failed == "" && e.Gone == "" {
		return good, 0, nil
	}
	body, decoding := a.json()
	if decoding != nil {
		body = string(a.Body)
	}
	about := map[string]any{"status": a.Status, "body": body, "headers": headers(a.Header)}
	is := func(text string, input any) bool {
		if text == "" {
			return false
		}
		v, err := s.eval(ctx, text, input, nil, nil)
		return err == nil && v == true
	}
	failed := !ok || decoding == nil && is(e.Failed, body)
	switch {
	case is(e.Gone, about):
		return refused, 0, fmt.Errorf("%w: %s", ErrEnded, s.said(ctx, a))
	case !failed:
		return good, 0, nil
	case a.Status == http.StatusTooManyRequests, is(e.Limited, about):
		return limited, c.pause(a), nil
	case a.Status == http.StatusUnauthorized, is(e.Expired, about):
		return expired, 0, nil
	case a.Status >= 500, a.Status == http.StatusRequestTimeout, slices.Contains(e.Again, a.Status):
		if after, ok := retryAfter(a.Header, s.Now()); ok {
			return again, after, nil
		}
		return again, 0, nil
	case a.Status == http.StatusForbidden:
		return refused, 0, fmt.Errorf("%w: a right is missing (403): %s", ErrCredentials, s.said(ctx, a))
	case a.Status == http.StatusNotFound:
		return good, 0, nil
	case a.Status == http.StatusNotModified:
		return refused, 0, errUnchanged
	case a.Status/100 == 3:
		return refused, 0, fmt.Errorf("%w: it leads elsewhere (%d)", ErrAnswer, a.Status)
	}
	return refused, 0, fmt.Errorf("%w (%d): %s", ErrRefused, a.Status, s.said(ctx, a))
}

// pause is how long a refusal asks to wait.
func (c *client) pause(a *Answer) time.Duration {
	now := c.session.Now()
	if after, ok := retryAfter(a.Header, now); ok {
		return after + time.Duration(rand.Int64N(int64(time.Second)))
	}
	l := &c.session.Connector.Limits
	if reset, err := strconv.ParseInt(strings.TrimSpace(a.Header.Get(l.Reset)), 10, 64); err == nil && l.Reset != "" {
		d := time.Duration(reset) * time.Second
		if !l.SecondsLeft {
			d = time.Unix(reset, 0).Sub(now)
		}
		if d > 0 && d <= quotaPause {
			return d + time.Duration(rand.Int64N(int64(time.Second)))
		}
	}
	return l.Pause + time.Duration(rand.Int64N(int64(l.Pause)/4+1))
}

// retryAfter reads the header Retry-After (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second)), true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// said returns what the system says in a refusal.
func (s *Session) said(ctx context.Context, a *Answer) string {
	text := ""
	if body, err := a.json(); err == nil && s.Connector.Errors.Message != "" {
		if v, err := s.eval(ctx, s.Connector.Errors.Message, body, nil, nil); err == nil && v != nil {
			text, _ = mapping.Text(v)
		}
	}
	if text == "" {
		text = http.StatusText(a.Status)
	}
	// Secrets first: of one that is clipped, the rest would stay.
	return clip(hidden(strings.Join(strings.Fields(text), " "), s.client.secrets()))
}

// cutError is an answer whose body has come to an end before its end.
type cutError struct{ error }

func (e *cutError) Unwrap() error { return e.error }

// once sends a request once. An error means that there is no answer.
func (c *client) once(ctx context.Context, call *Call) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s := c.session
	u, err := c.target(call.Path)
	if err != nil {
		return nil, err
	}
	if err := s.allowed(u); err != nil {
		return nil, err
	}
	if len(call.Query) > 0 {
		values := u.Query()
		for name, list := range call.Query {
			values[name] = list
		}
		u.RawQuery = values.Encode()
	}
	method := call.Method
	if method == "" {
		method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(call.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: the request cannot be made", ErrRefused)
	}
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Accept-Encoding", "gzip")
	for name, text := range s.Connector.Headers {
		if err := s.header(ctx, request.Header, name, text, nil, nil); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	for name, values := range call.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	secrets := map[string]any{}
	for name, value := range c.credentials.Values {
		secrets[name] = value
	}
	if t := c.credentials.Token; t != nil {
		secrets["access_token"] = t.Access
	}
	c.sent = c.sent[:0]
	for name, text := range c.auth.Headers {
		if err := s.header(ctx, request.Header, name, text, secrets, nil); err != nil {
			return nil, fmt.Errorf("%w: %s cannot be sent", ErrCredentials, name)
		}
		// Basic credentials are secret as a whole, with the user's name in them.
		if _, code, scheme := strings.Cut(request.Header.Get(name), " "); scheme {
			c.sent = append(c.sent, code)
		}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, plain(err)
	}
	defer response.Body.Close()
	body, err := readBody(response)
	if err != nil {
		return nil, err
	}
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: body, decode: s.Connector.Decode}, nil
}

// plain returns why there is no answer. It does not say where to, as URLs may say
// too much. The end of the time for one request is not that of the caller's.
func plain(err error) error {
	for inner := (*url.Error)(nil); errors.As(err, &inner); {
		err = inner.Err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errors.New("it takes too long")
	}
	return err
}

// target returns the URL of a path below the base, or of a whole URL.
func (c *client) target(path string) (*url.URL, error) {
	if strings.HasPrefix(path, "https://") || strings.HasPrefix(path, "http://") {
		u, err := url.Parse(path)
		if err != nil {
			return nil, fmt.Errorf("%w: it leads to what is no URL", ErrRefused)
		}
		return u, nil
	}
	u, err := url.Parse(strings.TrimSuffix(c.base.String(), "/") + path)
	if err != nil || !strings.HasPrefix(path, "/") || u.Host != c.base.Host {
		return nil, fmt.Errorf("%w: %s is no path", ErrRefused, clip(path))
	}
	return u, nil
}

// readBody reads the body of an answer to its end.
func readBody(response *http.Response) ([]byte, error) {
	reader := io.Reader(response.Body)
	if strings.EqualFold(response.Header.Get("Content-Encoding"), "gzip") {
		z, err := gzip.NewReader(response.Body)
		if err != nil {
			return nil, &cutError{fmt.Errorf("%w: it cannot be decompressed", ErrAnswer)}
		}
		reader = z
	}
	body, err := io.ReadAll(io.LimitReader(reader, maxBody+1))
	switch {
	case err != nil:
		return nil, &cutError{fmt.Errorf("%w: it is cut off: %w", ErrAnswer, plain(err))}
	case len(body) > maxBody:
		return nil, fmt.Errorf("%w: it has more than %d MB", ErrAnswer, maxBody>>20)
	}
	return body, nil
}

// placeholder stands for a secret in texts.
const placeholder = "[secret]"

// shortest is from how many bytes on the beginning of a secret is hidden as well:
// texts that systems and jq make of values end with three dots in the middle of them.
const shortest = 12

// secrets returns what must not be seen.
func (c *client) secrets() []string {
	if c.credentials == nil {
		return nil
	}
	secrets := slices.Clone(c.sent)
	for _, setting := range c.auth.Settings {
		if setting.Secret {
			secrets = append(secrets, c.credentials.Values[setting.Name])
		}
	}
	if t := c.credentials.Token; t != nil {
		secrets = append(secrets, t.Access, t.Refresh)
	}
	return secrets
}

// hide returns an error without secrets in its text.
func hide(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	text := hidden(err.Error(), secrets)
	if text == err.Error() {
		return err
	}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return &scrubbed{text, kind}
		}
	}
	return errors.New(text)
}

// hidden returns a text without secrets, in any form in which they are sent or
// written.
func hidden(text string, secrets []string) string {
	var forms []string
	for _, secret := range secrets {
		if len(secret) < 4 {
			continue
		}
		quoted, _ := json.Marshal(secret) // texts always can be
		forms = append(forms, secret, string(quoted[1:len(quoted)-1]), url.QueryEscape(secret), url.PathEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)))
	}
	for _, form := range forms {
		text = strings.ReplaceAll(text, form, placeholder)
	}
	for _, form := range forms {
		if len(form) > shortest && strings.Contains(text, form[:shortest]) {
			for n := len(form) - 1; n >= shortest; n-- {
				text = strings.ReplaceAll(text, form[:n], placeholder)
			}
		}
	}
	return text
}

// kinds are the kinds of errors that callers tell apart.
var kinds = []error{ErrCredentials, ErrRefused, ErrAnswer, ErrUnavailable, ErrEnded}

// scrubbed is an error of a kind whose text had a secret in it.
type scrubbed struct {
	text string
	kind error
}

func (e *scrubbed) Error() string { return e.text }
func (e *scrubbed) Unwrap() error { return e.kind }
