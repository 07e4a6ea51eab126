// Package oauthtest has an OAuth 2.0 server for tests, as systems have one: people
// grant access on its page, which takes a client that is known, its one redirect URI
// and a code challenge (RFC 7636) or shows an error; access tokens live for as long as
// a test wants, refresh tokens are good once, and everything can be revoked.
package oauthtest

import (
	"context"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
)

// Client is an app that is registered with the server.
type Client struct{ ID, Secret, Redirect string }

// Server is an OAuth 2.0 server. What is asked for at a path that ends in "authorize"
// is its page, in "token" its tokens, in "revocation" their end (RFC 7009).
type Server struct {
	clients clients
	tokens  *tokens
	oauth   *server.Server
}

// New returns a server with one client, whose access tokens are good for life.
func New(life time.Duration, c Client) *Server {
	s := &Server{clients: clients{c.ID: &models.Client{ID: c.ID, Secret: c.Secret, Domain: c.Redirect}}, tokens: &tokens{}}
	m := manage.NewDefaultManager()
	m.MapClientStorage(s.clients)
	m.MapTokenStorage(s.tokens)
	m.SetValidateURIHandler(func(registered, redirect string) error {
		if redirect != registered {
			return errors.ErrInvalidRequest
		}
		return nil
	})
	m.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: life, RefreshTokenExp: 24 * time.Hour, IsGenerateRefresh: true})
	m.SetRefreshTokenCfg(&manage.RefreshingConfig{AccessTokenExp: life, IsGenerateRefresh: true, IsRemoveAccess: true, IsRemoveRefreshing: true})
	s.oauth = server.NewServer(&server.Config{
		TokenType: "Bearer", ForcePKCE: true, AllowedResponseTypes: []oauth2.ResponseType{oauth2.Code}, AllowedCodeChallengeMethods: []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256},
		AllowedGrantTypes: []oauth2.GrantType{oauth2.AuthorizationCode, oauth2.Refreshing},
	}, m)
	s.oauth.SetClientInfoHandler(s.client)
	s.oauth.SetUserAuthorizationHandler(func(_ http.ResponseWriter, r *http.Request) (string, error) {
		if r.PostFormValue("decision") != "allow" {
			return "", errors.ErrAccessDenied
		}
		return "somebody", nil
	})
	s.oauth.SetAuthorizeScopeHandler(func(_ http.ResponseWriter, r *http.Request) (string, error) {
		return strings.Join(r.PostForm["granted"], " "), nil
	})
	return s
}

// client returns the id and secret of who asks for a token, which are those of a
// client, and of that whose refresh token comes.
func (s *Server) client(r *http.Request) (id, secret string, err error) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	c := s.clients[id]
	if c == nil || c.Secret != secret {
		return "", "", errors.ErrInvalidClient
	}
	if t, _ := s.tokens.GetByRefresh(r.Context(), r.PostFormValue("refresh_token")); t != nil && t.GetClientID() != id {
		return "", "", errors.ErrInvalidGrant
	}
	return id, secret, nil
}

// ServeHTTP serves the page and the tokens.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "authorize"):
		err = s.authorize(w, r)
	case strings.HasSuffix(path, "token"):
		err = s.oauth.HandleTokenRequest(w, r)
	case strings.HasSuffix(path, "revocation") && r.Method == http.MethodPost:
		if _, _, err = s.client(r); err == nil {
			s.tokens.remove(func(t *models.Token) bool {
				return slices.Contains([]string{t.Access, t.Refresh}, r.PostFormValue("token"))
			})
		}
	default:
		http.NotFound(w, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// page is where somebody grants access, or does not.
var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Grant access</title><link rel="icon" href="data:,"></head>
<body><main><h1>{{.Client}} wants access</h1>
<form method="post">{{range .Scopes}}<p><label><input type="checkbox" name="granted" value="{{.}}" checked> {{.}}</label></p>{{end}}
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form></main></body></html>
`))

// authorize shows the page, and answers what somebody decides there. They are sent
// nowhere but to the redirect URI that is registered.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) error {
	asked, err := s.oauth.ValidationAuthorizeRequest(r)
	if err != nil {
		return err
	}
	if c := s.clients[asked.ClientID]; c == nil || c.Domain != asked.RedirectURI {
		return errors.ErrUnauthorizedClient
	}
	if r.Method == http.MethodPost {
		return s.oauth.HandleAuthorizeRequest(w, r)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return page.Execute(w, map[string]any{"Client": asked.ClientID, "Scopes": strings.Fields(asked.Scope)})
}

// RoundTrip has the server answer a request for any host, without a network.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	s.ServeHTTP(answer, in)
	return answer.Result(), nil
}

// Decide has somebody who was sent to the page decide there: they grant these scopes,
// or deny access where there are none. It returns what they come back with; an error
// says that the page sends them nowhere.
func (s *Server) Decide(ctx context.Context, at string, scopes ...string) (url.Values, error) {
	form := url.Values{"decision": {"deny"}}
	if len(scopes) > 0 {
		form = url.Values{"decision": {"allow"}, "granted": scopes}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := s.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	back, err := answer.Location()
	if err != nil {
		return nil, err
	}
	return back.Query(), nil
}

// Opens reports whether a request has an access token that is good.
func (s *Server) Opens(r *http.Request) bool {
	_, err := s.oauth.ValidationBearerToken(r)
	return err == nil
}

// Given returns how many access tokens were given out.
func (s *Server) Given() int {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	return s.tokens.given
}

// RevokeAll takes back all that was granted.
func (s *Server) RevokeAll() { s.tokens.remove(func(*models.Token) bool { return true }) }

// clients are the clients by their ids.
type clients map[string]*models.Client

// GetByID implements oauth2.ClientStore.
func (c clients) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) {
	if known := c[id]; known != nil {
		return known, nil
	}
	return nil, errors.ErrInvalidClient
}

// tokens are the codes and tokens that are good.
type tokens struct {
	mu    sync.Mutex
	all   []models.Token
	given int
}

// Create implements oauth2.TokenStore, as do the others.
func (t *tokens) Create(_ context.Context, info oauth2.TokenInfo) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if info.GetAccess() != "" {
		t.given++
	}
	t.all = append(t.all, *info.(*models.Token))
	return nil
}

// find returns a copy of the first token for which is holds; nil if there is none.
func (t *tokens) find(is func(*models.Token) bool) (oauth2.TokenInfo, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, found := range t.all {
		if is(&found) {
			return &found, nil
		}
	}
	return nil, nil
}

func (t *tokens) remove(is func(*models.Token) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = slices.DeleteFunc(t.all, func(one models.Token) bool { return is(&one) })
}

func byCode(code string) func(*models.Token) bool {
	return func(t *models.Token) bool { return code != "" && t.Code == code }
}

func byAccess(access string) func(*models.Token) bool {
	return func(t *models.Token) bool { return access != "" && t.Access == access }
}

func byRefresh(refresh string) func(*models.Token) bool {
	return func(t *models.Token) bool { return refresh != "" && t.Refresh == refresh }
}

// GetByCode finds an authorization code.
func (t *tokens) GetByCode(_ context.Context, code string) (oauth2.TokenInfo, error) {
	return t.find(byCode(code))
}

// GetByAccess finds an access token.
func (t *tokens) GetByAccess(_ context.Context, access string) (oauth2.TokenInfo, error) {
	return t.find(byAccess(access))
}

// GetByRefresh finds a refresh token.
func (t *tokens) GetByRefresh(_ context.Context, refresh string) (oauth2.TokenInfo, error) {
	return t.find(byRefresh(refresh))
}

// RemoveByCode ends an authorization code.
func (t *tokens) RemoveByCode(_ context.Context, code string) error {
	t.remove(byCode(code))
	return nil
}

// RemoveByAccess ends an access token.
func (t *tokens) RemoveByAccess(_ context.Context, access string) error {
	t.remove(byAccess(access))
	return nil
}

// RemoveByRefresh ends a refresh token.
func (t *tokens) RemoveByRefresh(_ context.Context, refresh string) error {
	t.remove(byRefresh(refresh))
	return nil
}
