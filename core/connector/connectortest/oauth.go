package connectortest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// OAuth says how a system gives tokens out.
type OAuth struct {
	// Rotating says that a refresh token is good for one use, and that each use
	// returns a new one.
	Rotating bool
	// ClientCredentials gives out tokens for the client's own credentials, and no
	// refresh tokens.
	ClientCredentials bool
	// Lasting says that access tokens are good for ever, and that there are no refresh
	// tokens.
	Lasting bool
	// Lifetime is how long an access token is good for; 0: the answer does not say.
	Lifetime time.Duration
	// JSON wants requests in JSON; else they are forms.
	JSON bool
	// Basic wants the client's id and secret as HTTP Basic credentials when a token
	// is refreshed; BasicCode when a code is exchanged.
	Basic, BasicCode bool
	// NoRedirect says that a code is exchanged without the redirect URI.
	NoRedirect bool
	// Extra are further members of the answer.
	Extra map[string]any
	// Access is the name of the access token in the answer; empty for access_token.
	Access string
}

// tokens is the state of an OAuth.
type tokens struct {
	OAuth
	access  string
	refresh string
	expires time.Time
	given   int // how many were
	// What the suite does to it: broken refuses everything; echo does so repeating what
	// it was sent; redirect is what a code must come with.
	broken, echo bool
	redirect     string
}

// Code is the authorization code that a stand-in takes.
const Code = "secret-code"

// OAuth says that requests are authenticated by tokens, which come from where the
// pattern says: "POST host/path".
func (s *Server) OAuth(pattern string, o OAuth) {
	t := &tokens{OAuth: o}
	if !o.ClientCredentials {
		t.access = "secret-access-0"
		if !o.Lasting {
			t.refresh = "secret-refresh-0"
		}
	}
	s.oauth = t
	s.paths[pattern] = true
	client := s.connection.Auth[s.Auth]
	s.Handle(pattern, func(q *Request) any {
		form, basic := url.Values{}, o.Basic
		if o.JSON {
			for name, value := range q.JSON() {
				form.Set(name, fmt.Sprint(value))
			}
		} else {
			form = q.Form()
		}
		switch {
		case t.echo:
			text := form.Encode() + " " + fmt.Sprint(form, q.r.Header)
			return Refusal{Status: http.StatusBadRequest, Body: Row{"error": "invalid_request", "error_description": text, "message": text}}
		case t.broken:
			return Refusal{Status: http.StatusBadRequest, Body: Row{"error": "invalid_grant"}}
		}
		switch form.Get("grant_type") {
		case "refresh_token":
			if form.Get("refresh_token") != t.refresh || o.ClientCredentials || o.Lasting {
				return Refusal{Status: http.StatusBadRequest, Body: Row{"error": "invalid_grant", "error_description": "the refresh token is not good"}}
			}
		case "client_credentials":
			if !o.ClientCredentials {
				q.fault("tokens are not given out for the client's credentials")
			}
		default: // some systems want no grant_type with a code
			basic = o.BasicCode
			if form.Get("code") != Code || o.ClientCredentials || t.redirect != "" && form.Get("redirect_uri") != t.redirect && !o.NoRedirect {
				return Refusal{Status: http.StatusBadRequest, Body: Row{"error": "invalid_grant"}}
			}
		}
		id, secret := form.Get("client_id"), form.Get("client_secret")
		if basic {
			id, secret = basicOf(q.r)
		}
		if id != client["client_id"] || secret != client["client_secret"] {
			return Refusal{Status: http.StatusUnauthorized, Body: Row{"error": "invalid_client"}}
		}
		return t.give(s.now())
	})
}

func basicOf(r *http.Request) (user, password string) {
	text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
	user, password, _ = strings.Cut(string(text), ":")
	return user, password
}

// give gives out a token. The one before is dead.
func (t *tokens) give(now time.Time) Row {
	t.given++
	t.access = fmt.Sprintf("secret-access-%d", t.given)
	name := t.Access
	if name == "" {
		name = "access_token"
	}
	answer := Row{name: t.access, "token_type": "Bearer"}
	if t.Lifetime > 0 {
		t.expires = now.Add(t.Lifetime)
		answer["expires_in"] = int(t.Lifetime / time.Second)
	}
	if !t.ClientCredentials && !t.Lasting {
		if t.Rotating {
			t.refresh = fmt.Sprintf("secret-refresh-%d", t.given)
		}
		if t.Rotating || t.given == 1 {
			answer["refresh_token"] = t.refresh
		}
	}
	maps.Copy(answer, t.Extra)
	return answer
}

func (t *tokens) valid(access string, now time.Time) bool {
	return access == t.access && (t.expires.IsZero() || now.Before(t.expires))
}

// expire makes the access token dead.
func (t *tokens) expire() { t.access = "" }
