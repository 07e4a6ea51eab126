package connector

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"tenure/core/mapping"
)

const (
	// maxTokenLife is the longest life of a token that is believed.
	maxTokenLife = 10 * 365 * 24 * time.Hour
	// maxToken is the largest answer to a token request, in bytes.
	maxToken = 1 << 20
	// tokenTimeout bounds the getting of a token with all tries: whoever refreshes one
	// keeps others from it meanwhile, for a minute at most.
	tokenTimeout = 45 * time.Second
)

// fresh makes sure of an access token that does not expire at once.
func (c *client) fresh(ctx context.Context) error {
	t := c.credentials.Token
	if c.auth.OAuth == nil || t == nil || t.Expires == 0 || c.session.Now().Add(early).UnixMilli() < t.Expires {
		return nil
	}
	if t.Refresh == "" && c.auth.OAuth.Grant != ClientCredentials {
		return nil // it is used until it is refused
	}
	return c.refresh(ctx, t.Access)
}

// refresh gets another access token in place of old, unless somebody has done so.
func (c *client) refresh(ctx context.Context, old string) error {
	s := c.session
	if s.Refresh == nil {
		return fmt.Errorf("%w: the token has expired", ErrCredentials)
	}
	credentials, err := s.Refresh(ctx, old, func(ctx context.Context, now *Credentials) (*Token, error) {
		return c.fetch(ctx, now)
	})
	if err != nil {
		return err
	}
	if credentials.Token == nil {
		return fmt.Errorf("%w: there is no token", ErrCredentials)
	}
	return c.use(ctx, credentials)
}

// fetch asks for a token on the strength of credentials.
func (c *client) fetch(ctx context.Context, now *Credentials) (*Token, error) {
	o := c.auth.OAuth
	form := url.Values{}
	var was *Token
	if o.Grant == ClientCredentials {
		form.Set("grant_type", "client_credentials")
		scopes, err := c.session.scopes(ctx, o)
		if err != nil {
			return nil, err
		}
		if scopes != "" {
			form.Set("scope", scopes)
		}
	} else {
		if was = now.Token; was == nil || was.Refresh == "" {
			return nil, fmt.Errorf("%w: the token has expired and cannot be refreshed: access has to be granted again", ErrCredentials)
		}
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", was.Refresh)
	}
	return c.session.exchange(ctx, o, now.Values, form, o.Basic || o.BasicRefresh && was != nil, was)
}

func (s *Session) scopes(ctx context.Context, o *OAuth) (string, error) {
	if o.Scopes == "" {
		return "", nil
	}
	v, err := s.eval(ctx, o.Scopes, nil, nil, nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, err)
	}
	text, _ := v.(string)
	return text, nil
}

// tokenRequest is a request for a token.
type tokenRequest struct {
	url   *url.URL
	kind  string
	body  []byte
	basic string // HTTP Basic credentials; empty: the body has them
	// once says that what the request has to give is spent by it.
	once    bool
	secrets []string
}

// exchange gets a token (RFC 6749, sections 4.1.3, 4.4.2 and 6).
func (s *Session) exchange(ctx context.Context, o *OAuth, values map[string]string, form url.Values, basic bool, was *Token) (*Token, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	r := &tokenRequest{kind: "application/x-www-form-urlencoded", once: form.Get("grant_type") != "client_credentials",
		secrets: []string{values["client_secret"], form.Get("refresh_token"), form.Get("code"), form.Get("code_verifier")}}
	v, err := s.eval(ctx, o.TokenURL, nil, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	text, _ := v.(string)
	if r.url, err = url.Parse(text); err != nil {
		return nil, fmt.Errorf("%w: the address of tokens is not one", ErrRefused)
	}
	if err := s.allowed(r.url); err != nil {
		return nil, err
	}
	if basic {
		code := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(values["client_id"]) + ":" + url.QueryEscape(values["client_secret"])))
		r.basic, r.secrets = "Basic "+code, append(r.secrets, code)
	} else {
		form.Set("client_id", values["client_id"])
		form.Set("client_secret", values["client_secret"])
	}
	r.body = []byte(form.Encode())
	if o.JSON {
		object := map[string]string{}
		for name := range form {
			object[name] = form.Get(name)
		}
		if r.body, err = json.Marshal(object); err != nil {
			return nil, err
		}
		r.kind = "application/json"
	}
	for try := 1; ; try++ {
		object, again, pause, err := s.askForToken(ctx, r)
		if err == nil {
			return s.tokenOf(ctx, o, object, was)
		}
		if !again || try == tries || ctx.Err() != nil {
			return nil, hide(err, r.secrets)
		}
		if err := s.client.wait(ctx, max(pause, backoff(try))); err != nil {
			return nil, err
		}
	}
}

// askForToken sends a token request once. again says that it may work another time,
// after a pause. What is spent by being sent is not sent again if nobody has said
// what has become of it.
func (s *Session) askForToken(ctx context.Context, r *tokenRequest) (object map[string]any, again bool, pause time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, false, 0, err
	}
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", r.kind)
	if r.basic != "" {
		request.Header.Set("Authorization", r.basic)
	}
	response, err := s.client.http.Do(request)
	if err != nil {
		dial := (*net.OpError)(nil)
		unsent := errors.As(err, &dial) && dial.Op == "dial"
		return nil, unsent || !r.once, 0, fmt.Errorf("%w: no token was given: %w", ErrUnavailable, plain(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxToken))
	if err != nil {
		return nil, !r.once, 0, fmt.Errorf("%w: no token was given: %w", ErrUnavailable, plain(err))
	}
	answer, decoding := mapping.Decode(bytes.NewReader(text), maxToken)
	object, _ = answer.(map[string]any)
	said := response.Status
	if word, ok := object["error"].(string); ok {
		said = word
		if more, ok := object["error_description"].(string); ok {
			said += ": " + more
		}
	}
	said = clip(hidden(said, r.secrets))
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		pause, _ = retryAfter(response.Header, s.Now())
		return nil, true, pause, fmt.Errorf("%w: no token was given: %s", ErrUnavailable, said)
	case status/100 == 3:
		return nil, false, 0, fmt.Errorf("%w: no token was given: it leads elsewhere (%d)", ErrAnswer, status)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return nil, false, 0, fmt.Errorf("%w: there are no tokens at this address: %s", ErrRefused, said)
	case status/100 != 2 || object["error"] != nil:
		return nil, false, 0, fmt.Errorf("%w: no token was given, access has to be granted again: %s", ErrCredentials, said)
	case decoding != nil || object == nil:
		return nil, false, 0, fmt.Errorf("%w: what was given is no token", ErrAnswer)
	}
	return object, false, 0, nil
}

// tokenOf reads the answer to a token request (RFC 6749, section 5.1).
func (s *Session) tokenOf(ctx context.Context, o *OAuth, object map[string]any, was *Token) (*Token, error) {
	now := s.Now()
	t := &Token{}
	t.Access, _ = object["access_token"].(string)
	if t.Access == "" {
		return nil, fmt.Errorf("%w: what was given has no token", ErrAnswer)
	}
	t.Refresh, _ = object["refresh_token"].(string)
	if was != nil && t.Refresh == "" {
		t.Refresh, t.RefreshExpires = was.Refresh, was.RefreshExpires
	}
	if t.Scopes = grantedScopes(object["scope"]); was != nil && t.Scopes == nil {
		t.Scopes = was.Scopes
	}
	life := func(name string) (time.Duration, bool) {
		text, _ := mapping.Text(object[name])
		seconds, err := strconv.ParseFloat(text, 64)
		d := time.Duration(seconds * float64(time.Second))
		return d, err == nil && seconds > 0 && seconds < maxTokenLife.Seconds()
	}
	if d, ok := life("expires_in"); ok {
		t.Expires = now.Add(d).UnixMilli()
	}
	if d, ok := life("refresh_token_expires_in"); ok {
		t.RefreshExpires = now.Add(d).UnixMilli()
	} else if o.RefreshLife > 0 && t.Refresh != "" {
		t.RefreshExpires = now.Add(o.RefreshLife).UnixMilli()
	}
	if o.Keep != "" {
		kept, err := s.eval(ctx, o.Keep, object, nil, nil)
		if err != nil {
			return nil, hide(fmt.Errorf("%w: what was given with the token is not as it should be: %w", ErrAnswer, err), []string{t.Access, t.Refresh})
		}
		if t.Kept, err = json.Marshal(kept); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
	}
	if was != nil && (t.Kept == nil || string(t.Kept) == "null") {
		t.Kept = was.Kept
	}
	return t, nil
}

// maxScopes is how many scopes are kept that a system says it has granted, and
// maxScope how long each may be, in bytes.
const maxScopes, maxScope = 100, 200

// grantedScopes reads the scopes of the answer to a token request: a text with blanks
// between them or, of some systems, a list.
func grantedScopes(v any) []string {
	var all []string
	switch v := v.(type) {
	case string:
		all = strings.Fields(v)
	case []any:
		for _, v := range v {
			if text, ok := v.(string); ok {
				all = append(all, text)
			}
		}
	}
	all = slices.DeleteFunc(all, func(scope string) bool { return len(scope) > maxScope || !utf8.ValidString(scope) })
	return all[:min(len(all), maxScopes)]
}

// NotGranted returns the scopes of those asked for that are not among those that
// were granted. Keap writes the name of the tenant behind its one scope, with a bar
// between.
func NotGranted(asked, granted []string) []string {
	return slices.DeleteFunc(slices.Clone(asked), func(scope string) bool {
		return slices.ContainsFunc(granted, func(g string) bool { return g == scope || strings.HasPrefix(g, scope+"|") })
	})
}

// AuthorizeURL returns where a person grants access (RFC 6749, section 4.1.1), who
// comes back to redirect with the same state. verifier is a secret of this grant,
// for Exchange.
func AuthorizeURL(ctx context.Context, c Config, credentials *Credentials, redirect, state, verifier string) (string, error) {
	s, o, err := granting(ctx, c, credentials)
	if err != nil {
		return "", err
	}
	v, err := s.eval(ctx, o.AuthorizeURL, nil, nil, nil)
	if err != nil {
		return "", err
	}
	text, _ := v.(string)
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("%w: the address where access is granted is not one", ErrRefused)
	}
	if err := s.allowed(u); err != nil {
		return "", err
	}
	scopes, err := s.scopes(ctx, o)
	if err != nil {
		return "", err
	}
	config := oauth2.Config{ClientID: credentials.Values["client_id"], RedirectURL: redirect, Endpoint: oauth2.Endpoint{AuthURL: u.String()}}
	if scopes != "" {
		config.Scopes = strings.Fields(scopes)
	}
	var options []oauth2.AuthCodeOption
	for name, value := range o.Params {
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	if o.PKCE {
		options = append(options, oauth2.S256ChallengeOption(verifier))
	}
	return config.AuthCodeURL(state, options...), nil
}

// Scopes returns the scopes that AuthorizeURL asks for, by the way to authenticate
// that is called auth; none where the system has its own.
func Scopes(ctx context.Context, c Config, auth string) ([]string, error) {
	s, o, err := granting(ctx, c, &Credentials{Auth: auth})
	if err != nil {
		return nil, err
	}
	scopes, err := s.scopes(ctx, o)
	return strings.Fields(scopes), err
}

// Exchange exchanges the code that a person has come back with for a token
// (RFC 6749, section 4.1.3).
func Exchange(ctx context.Context, c Config, credentials *Credentials, redirect, code, verifier string) (*Token, error) {
	s, o, err := granting(ctx, c, credentials)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}}
	if o.PKCE {
		form.Set("code_verifier", verifier)
	}
	return s.exchange(ctx, o, credentials.Values, form, o.Basic, nil)
}

// granting opens a session that has no token yet.
func granting(ctx context.Context, c Config, credentials *Credentials) (*Session, *OAuth, error) {
	at := slices.IndexFunc(c.Connector.Auth, func(a Auth) bool { return a.Name == credentials.Auth })
	if at < 0 || !c.Connector.Auth[at].Grants() {
		return nil, nil, fmt.Errorf("%w: nobody grants access this way", ErrRefused)
	}
	s, err := Open(ctx, c)
	return s, c.Connector.Auth[at].OAuth, err
}
