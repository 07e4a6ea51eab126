package connector_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenure/core/connector"
)

// longSecret is long enough to be found in parts, and is written in as many ways as
// there are.
const longSecret = `obviously-fake "secret"/+&é\0123456789`

// shows reports whether a text has a part of the secret in any form.
func shows(text string) bool {
	quoted, _ := json.Marshal(longSecret)
	for _, form := range []string{longSecret, string(quoted[1:]), url.QueryEscape(longSecret), url.PathEscape(longSecret), base64.StdEncoding.EncodeToString([]byte(longSecret)),
		base64.StdEncoding.EncodeToString([]byte(longSecret + ":")), base64.StdEncoding.EncodeToString([]byte("id:" + longSecret)), base64.StdEncoding.EncodeToString([]byte("id:" + url.QueryEscape(longSecret)))} {
		if strings.Contains(text, form[:12]) || strings.Contains(text, form[len(form)-8:]) {
			return true
		}
	}
	return false
}

func TestNoPartOfASecretIsLeftInWhatASystemSays(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte(longSecret + ":"))
	for _, form := range []string{longSecret, url.QueryEscape(longSecret), url.PathEscape(longSecret), base64.StdEncoding.EncodeToString([]byte(longSecret)), basic} {
		for _, status := range []int{400, 401, 403, 404, 410, 503} {
			for _, before := range []int{0, 250, 285, 299} { // the text is clipped at 300
				text, err := json.Marshal(map[string]string{"message": strings.Repeat("x", before) + form})
				if err != nil {
					t.Fatal(err)
				}
				w := newWorld(t, declared(), func(int, *http.Request) *http.Response { return body(status, string(text)) })
				w.config.Load = func(context.Context) (*connector.Credentials, error) {
					return &connector.Credentials{Auth: "key", Values: map[string]string{"api_key": longSecret}}, nil
				}
				w.open()
				if _, err := w.page(); err == nil || shows(err.Error()) {
					t.Errorf("%d: %v", status, err)
				}
			}
		}
	}
}

func TestAnExpressionThatFailsShowsNoSecret(t *testing.T) {
	for name, text := range map[string]any{
		"records": map[string]any{"items": longSecret},
		"record":  map[string]any{"items": []any{longSecret}},
		"id":      map[string]any{"items": []any{map[string]any{"id": map[string]any{"a": longSecret}}}},
		"next":    map[string]any{"items": []any{}, "next": map[string]any{"cursor": longSecret}},
	} {
		c := declared()
		c.Streams[0].ID = ".id | tonumber"
		c.Streams[0].Paging = connector.NextToken(".next | if . then tonumber else null end")
		c.CheckThat = ".items | tonumber"
		answer, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, c, func(int, *http.Request) *http.Response { return body(200, string(answer)) })
		w.config.Load = func(context.Context) (*connector.Credentials, error) {
			return &connector.Credentials{Auth: "key", Values: map[string]string{"api_key": longSecret}}, nil
		}
		w.open()
		if _, err := w.page(); !errors.Is(err, connector.ErrAnswer) || shows(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
		if err := w.Check(t.Context()); !errors.Is(err, connector.ErrAnswer) || shows(err.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// refreshing is a world whose token has expired, with the request that refreshes it
// answered by the test.
func refreshing(t *testing.T, change func(*connector.OAuth), answer func(n int, r *http.Request) (*http.Response, error)) *world {
	c := granted()
	change(c.Auth[0].OAuth)
	w := newWorld(t, c, nil)
	n := 0
	w.config.Transport = transport(func(r *http.Request) (*http.Response, error) {
		w.sent = append(w.sent, r)
		if r.URL.Path == "/token" {
			n++
			return answer(n, r)
		}
		return body(200, `{"items":[]}`), nil
	})
	stored := &connector.Credentials{Auth: "oauth", Values: map[string]string{"client_id": "id", "client_secret": longSecret},
		Token: &connector.Token{Access: "secret-access", Refresh: longSecret, Expires: w.now.UnixMilli(), Kept: json.RawMessage(`{"instance":"na1"}`)}}
	w.config.Load = func(context.Context) (*connector.Credentials, error) { return stored, nil }
	w.config.Refresh = func(ctx context.Context, _ string, fetch func(context.Context, *connector.Credentials) (*connector.Token, error)) (*connector.Credentials, error) {
		token, err := fetch(ctx, stored)
		if err != nil {
			return nil, err
		}
		now := *stored
		now.Token = token
		return &now, nil
	}
	w.open()
	return w
}

const newToken = `{"access_token":"secret-access-2","expires_in":1800,"instance":"na1"}`

func TestWhatIsSaidOfATokenShowsNoSecret(t *testing.T) {
	for name, change := range map[string]func(*connector.OAuth){
		"form":  func(*connector.OAuth) {},
		"basic": func(o *connector.OAuth) { o.Basic = true },
		"JSON":  func(o *connector.OAuth) { o.JSON = true },
		"keep":  func(o *connector.OAuth) { o.Keep = ".access_token | tonumber" },
	} {
		for _, status := range []int{200, 400, 404, 500} {
			for _, form := range []string{longSecret, url.QueryEscape(longSecret), base64.StdEncoding.EncodeToString([]byte("id:" + url.QueryEscape(longSecret)))} {
				w := refreshing(t, change, func(int, *http.Request) (*http.Response, error) {
					text, _ := json.Marshal(map[string]string{"error": strings.Repeat("x", 250), "error_description": strings.Repeat("y", 40) + form})
					if status == 200 && name == "keep" {
						text, _ = json.Marshal(map[string]string{"access_token": longSecret})
					}
					return body(status, string(text)), nil
				})
				if _, err := w.page(); err == nil || shows(err.Error()) {
					t.Errorf("%s, %d: %v", name, status, err)
				}
			}
		}
	}
}

func TestATokenRequestIsTriedAgainWhereThatDoesNoHarm(t *testing.T) {
	reset, dial := errors.New("connection reset"), &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no route")}
	credentials := func(o *connector.OAuth) { o.Grant, o.AuthorizeURL = connector.ClientCredentials, "" }
	for _, test := range []struct {
		name   string
		change func(*connector.OAuth)
		err    error
		answer *http.Response
		tries  int
		want   error
		slept  time.Duration
	}{
		{"a refresh token may be spent", func(*connector.OAuth) {}, reset, nil, 1, connector.ErrUnavailable, 0},
		{"it was not sent", func(*connector.OAuth) {}, dial, nil, 2, nil, 0},
		{"a secret is not spent", credentials, reset, nil, 2, nil, 0},
		{"it fails", func(*connector.OAuth) {}, nil, body(503, ""), 2, nil, 0},
		{"too many", func(*connector.OAuth) {}, nil, body(429, "", "Retry-After", "9"), 2, nil, 9 * time.Second},
		{"another address", func(*connector.OAuth) {}, nil, body(302, "", "Location", "https://evil.example/"), 1, connector.ErrAnswer, 0},
		{"no such address", func(*connector.OAuth) {}, nil, body(404, ""), 1, connector.ErrRefused, 0},
		{"refused", func(*connector.OAuth) {}, nil, body(400, `{"error":"invalid_grant"}`), 1, connector.ErrCredentials, 0},
		{"refused with 200", func(*connector.OAuth) {}, nil, body(200, `{"error":"bad_refresh_token"}`), 1, connector.ErrCredentials, 0},
		{"no token", func(*connector.OAuth) {}, nil, body(200, `{}`), 1, connector.ErrAnswer, 0},
		{"no JSON", func(*connector.OAuth) {}, nil, body(200, `<html>`), 1, connector.ErrAnswer, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			tries := 0
			w := refreshing(t, test.change, func(n int, _ *http.Request) (*http.Response, error) {
				if tries = n; n > 1 {
					return body(200, newToken), nil
				}
				return test.answer, test.err
			})
			if _, err := w.page(); !errors.Is(err, test.want) || tries != test.tries || w.slept < test.slept {
				t.Errorf("%v, %d tries, slept %v", err, tries, w.slept)
			}
		})
	}
}

func TestATokenThatIsLimitedForLongIsLeftForLater(t *testing.T) {
	w := refreshing(t, func(*connector.OAuth) {}, func(int, *http.Request) (*http.Response, error) {
		return body(429, "", "Retry-After", "600"), nil
	})
	if _, err := w.page(); !errors.As(err, new(*connector.Wait)) || w.slept > 0 {
		t.Errorf("%v, slept %v", err, w.slept)
	}
}

func TestAFailureDoesNotSayWhereItWas(t *testing.T) {
	w := newWorld(t, declared(), nil)
	w.config.Transport = transport(func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Get", URL: r.URL.String() + "?token=x", Err: &url.Error{Op: "proxy", URL: "https://proxy.example/?token=x", Err: errors.New("refused")}}
	})
	w.open()
	if _, err := w.page(); !errors.Is(err, connector.ErrUnavailable) || strings.Contains(fmt.Sprint(err), "token=") {
		t.Error(err)
	}
}
