package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"tenure/core/mapping"
)

// maxTokenLife is the longest life of a token that is believed.
const maxTokenLife = 10 * 365 * 24 * time.Hour

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
		return c.scrub(err)
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
		if scopes, err := c.session.scopes(ctx, o); err != nil || scopes != "" {
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
	text, _ := v.(string)
	return text, err
}

// exchange sends a token request (RFC 6749, sections 4.1.3, 4.4.2 and 6).
func (s *Session) exchange(ctx context.Context, o *OAuth, values map[string]string, form url.Values, basic bool, was *Token) (*Token, error) {
	v, err := s.eval(ctx, o.TokenURL, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	text, _ := v.(string)
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: the address of tokens is not one", ErrRefused)
	}
	if err := s.allowed(u); err != nil {
		return nil, err
	}
	if !basic {
		form.Set("client_id", values["client_id"])
		form.Set("client_secret", values["client_secret"])
	}
	body, kind := []byte(form.Encode()), "application/x-www-form-urlencoded"
	if o.JSON {
		object := map[string]string{}
		for name := range form {
			object[name] = form.Get(name)
		}
		if body, err = json.Marshal(object); err != nil {
			return nil, err
		}
		kind = "application/json"
	}
	secrets := []string{values["client_secret"], form.Get("refresh_token"), form.Get("code")}
	for try := 1; ; try++ {
		token, again, err := s.tokenOnce(ctx, u, body, kind, basic, values, o, was)
		if err == nil {
			return token, nil
		}
		if !again || try == tries || ctx.Err() != nil {
			return nil, hide(err, secrets)
		}
		if err := s.client.wait(ctx, backoff(try)); err != nil {
			return nil, err
		}
	}
}

// tokenOnce sends a token request once; again says that it may work another time.
// A request whose answer is lost is not sent again: its refresh token may be spent.
func (s *Session) tokenOnce(ctx context.Context, u *url.URL, body []byte, kind string, basic bool, values map[string]string, o *OAuth, was *Token) (_ *Token, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", kind)
	if basic {
		request.SetBasicAuth(url.QueryEscape(values["client_id"]), url.QueryEscape(values["client_secret"]))
	}
	response, err := s.client.http.Do(request)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, false, fmt.Errorf("%w: no token was given: %w", ErrUnavailable, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, false, fmt.Errorf("%w: no token was given: %w", ErrUnavailable, err)
	}
	answer, decoding := mapping.Decode(bytes.NewReader(text), 1<<20)
	object, _ := answer.(map[string]any)
	said := response.Status
	if word, ok := object["error"].(string); ok {
		said = word
		if more, ok := object["error_description"].(string); ok {
			said += ": " + more
		}
	}
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests, status >= 500:
		return nil, true, fmt.Errorf("%w: no token was given: %s", ErrUnavailable, clip(said))
	case status/100 != 2 || object["error"] != nil:
		return nil, false, fmt.Errorf("%w: no token was given, access has to be granted again: %s", ErrCredentials, clip(said))
	case decoding != nil || object == nil:
		return nil, false, fmt.Errorf("%w: what was given is no token", ErrAnswer)
	}
	return s.tokenOf(ctx, o, object, was)
}

// tokenOf reads the answer to a token request (RFC 6749, section 5.1).
func (s *Session) tokenOf(ctx context.Context, o *OAuth, object map[string]any, was *Token) (_ *Token, again bool, err error) {
	now := s.Now()
	t := &Token{}
	t.Access, _ = object["access_token"].(string)
	if t.Access == "" {
		return nil, false, fmt.Errorf("%w: what was given has no token", ErrAnswer)
	}
	t.Refresh, _ = object["refresh_token"].(string)
	if was != nil && t.Refresh == "" {
		t.Refresh, t.RefreshExpires = was.Refresh, was.RefreshExpires
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
			return nil, false, fmt.Errorf("%w: what was given with the token is not as it should be: %w", ErrAnswer, err)
		}
		if t.Kept, err = json.Marshal(kept); err != nil {
			return nil, false, err
		}
	}
	if was != nil && (t.Kept == nil || string(t.Kept) == "null") {
		t.Kept = was.Kept
	}
	return t, false, nil
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
	if at < 0 || c.Connector.Auth[at].OAuth == nil || c.Connector.Auth[at].OAuth.Grant != AuthorizationCode {
		return nil, nil, fmt.Errorf("%w: nobody grants access this way", ErrRefused)
	}
	s, err := Open(ctx, c)
	return s, c.Connector.Auth[at].OAuth, err
}
