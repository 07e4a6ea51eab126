package connectortest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"tenure/core/connector"
)

// tokens: access tokens are obtained, refreshed once for many, and stored before
// they are used.
func (s *subject) tokens(auth *connector.Auth) error {
	st := &s.Streams[0]
	tests := []struct {
		name string
		test func(ctx context.Context, w *world, ids []string) error
	}{
		{"expires in the middle", func(ctx context.Context, w *world, ids []string) error {
			if w.server.oauth.Lasting {
				return nil
			}
			w.server.intercept = func(n int, _ *http.Request) *outcome {
				if n == 1 {
					w.server.oauth.expire()
				}
				return nil
			}
			given := w.server.oauth.given
			if _, err := whole(ctx, w, st, ids); err != nil {
				return err
			}
			if auth.OAuth.Grant == connector.ClientCredentials {
				given++ // the first one
			}
			if w.server.sent() > 1 && w.server.oauth.given != given+1 {
				return fmt.Errorf("%d tokens were given out", w.server.oauth.given)
			}
			return nil
		}},
		{"has expired for many", func(ctx context.Context, w *world, ids []string) error {
			if w.server.oauth.Lasting {
				return nil
			}
			w.server.oauth.expire()
			readings := make([]*reading, 8)
			errs := make([]error, len(readings))
			var all sync.WaitGroup
			for i := range readings {
				all.Go(func() {
					other := *w // with what it sees
					readings[i] = other.begin(st, nil)
					errs[i] = other.run(ctx, readings[i])
					if errs[i] == nil {
						errs[i] = errors.Join(readings[i].has(ids), other.trouble())
					}
				})
			}
			all.Wait()
			if err := errors.Join(errs...); err != nil {
				return err
			}
			if w.server.oauth.given != 1 {
				return fmt.Errorf("%d tokens were given out to %d readers", w.server.oauth.given, len(readings))
			}
			return nil
		}},
		{"expires by the clock", func(ctx context.Context, w *world, ids []string) error {
			w.clock.advance(w.server.oauth.Lifetime)
			_, err := whole(ctx, w, st, ids)
			return err
		}},
		{"cannot be refreshed", func(ctx context.Context, w *world, ids []string) error {
			w.server.oauth.expire()
			w.server.oauth.refresh = "secret-other"
			w.server.oauth.broken = true
			r := w.begin(st, nil)
			if err := w.run(ctx, r); !errors.Is(err, connector.ErrCredentials) {
				return fmt.Errorf("it has ended with %v", err)
			}
			return r.has(nil)
		}},
		{"is given out with echoes", func(ctx context.Context, w *world, ids []string) error {
			w.server.oauth.expire()
			w.server.oauth.echo = true
			if err := w.run(ctx, w.begin(st, nil)); err == nil {
				return errors.New("nothing has come of it")
			}
			return nil
		}},
		{"is granted", func(ctx context.Context, w *world, ids []string) error {
			if auth.OAuth.Grant != connector.AuthorizationCode {
				return nil
			}
			return w.granted(ctx, auth, st, ids)
		}},
	}
	for _, test := range tests {
		if err := s.try(auth, st, few+1, test.test); err != nil {
			return fmt.Errorf("a token that %s: %w", test.name, err)
		}
	}
	return nil
}

// granted goes the way of somebody who grants access.
func (w *world) granted(ctx context.Context, auth *connector.Auth, st *connector.Stream, ids []string) error {
	const redirect, state, verifier = "https://tenure.example/back", "state-1", "secret-verifier-0123456789012345678901234567890123456789"
	config := connector.Config{Connector: w.Connector, Settings: w.connection.Settings, Env: w.env, Transport: w.server, Now: w.clock.Now, Sleep: w.clock.sleep}
	credentials := &connector.Credentials{Auth: auth.Name, Values: w.connection.Auth[auth.Name]}
	text, err := connector.AuthorizeURL(ctx, config, credentials, redirect, state, verifier)
	if err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	q := u.Query()
	if u.Scheme != "https" || q.Get("client_id") != credentials.Values["client_id"] || q.Get("state") != state || q.Get("redirect_uri") != redirect || strings.Contains(text, secret) {
		return fmt.Errorf("access is granted at %s", text)
	}
	w.vault.now.Token = nil
	if err := w.run(ctx, w.begin(st, nil)); !errors.Is(err, connector.ErrCredentials) {
		return fmt.Errorf("before access was granted, reading has ended with %v", err)
	}
	if _, err := connector.Exchange(ctx, config, credentials, redirect, "secret-wrong", verifier); w.note(err) == nil || !errors.Is(err, connector.ErrCredentials) {
		return fmt.Errorf("a wrong code has ended with %v", err)
	}
	w.server.oauth.redirect = redirect
	token, err := connector.Exchange(ctx, config, credentials, redirect, Code, verifier)
	if err != nil {
		return err
	}
	w.vault.keep(token)
	_, err = whole(ctx, w, st, ids)
	return err
}
