package oauthtest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"tenure/core/connector/oauthtest"
)

const (
	here     = "https://tenure.example.com/back"
	verifier = "a-verifier-that-is-43-characters-long-or-more"
)

// at returns the address of the page, changed.
func at(change func(url.Values)) string {
	q := url.Values{"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {here}, "state": {"s"}, "scope": {"read write"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}
	if change != nil {
		change(q)
	}
	return "https://login.example.com/authorize?" + q.Encode()
}

func TestThePageSendsNobodyAnywhereButHome(t *testing.T) {
	s := oauthtest.New(time.Hour, oauthtest.Client{ID: "app", Secret: "fake", Redirect: here})
	if back, err := s.Decide(t.Context(), at(nil), "read"); err != nil || back.Get("state") != "s" || back.Get("code") == "" {
		t.Errorf("%v, %v", back, err)
	}
	if back, err := s.Decide(t.Context(), at(nil)); err != nil || back.Get("state") != "s" || back.Get("error") != "access_denied" || back.Has("code") {
		t.Errorf("%v, %v", back, err)
	}
	for name, change := range map[string]func(url.Values){
		"another client":     func(q url.Values) { q.Set("client_id", "other") },
		"another redirect":   func(q url.Values) { q.Set("redirect_uri", here+"/x") },
		"no redirect":        func(q url.Values) { q.Del("redirect_uri") },
		"no challenge":       func(q url.Values) { q.Del("code_challenge") },
		"the verifier alone": func(q url.Values) { q.Set("code_challenge_method", "plain") },
		"no code":            func(q url.Values) { q.Set("response_type", "token") },
	} {
		if back, err := s.Decide(t.Context(), at(change), "read"); err == nil {
			t.Errorf("%s: %v", name, back)
		}
	}
}

func TestATokenIsGivenForWhatIsGoodAndOnce(t *testing.T) {
	s := oauthtest.New(time.Hour, oauthtest.Client{ID: "app", Secret: "fake", Redirect: here})
	post := func(path string, form url.Values) (status int, answer map[string]any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.example.com/"+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		got, err := s.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		_ = json.NewDecoder(got.Body).Decode(&answer) // where there is one
		return got.StatusCode, answer
	}
	opens := func(access any) bool {
		return s.Opens(&http.Request{Header: http.Header{"Authorization": {"Bearer " + access.(string)}}})
	}
	// exchange grants access, and exchanges the code.
	exchange := func(change func(url.Values)) (int, map[string]any) {
		t.Helper()
		back, err := s.Decide(t.Context(), at(nil), "read")
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"grant_type": {"authorization_code"}, "code": back["code"], "redirect_uri": {here}, "code_verifier": {verifier}, "client_id": {"app"}, "client_secret": {"fake"}}
		if change != nil {
			change(form)
		}
		return post("token", form)
	}
	for name, change := range map[string]func(url.Values){
		"another secret":   func(q url.Values) { q.Set("client_secret", "x") },
		"another redirect": func(q url.Values) { q.Set("redirect_uri", here+"/x") },
		"another verifier": func(q url.Values) { q.Set("code_verifier", verifier+"x") },
		"no verifier":      func(q url.Values) { q.Del("code_verifier") },
		"another code":     func(q url.Values) { q.Set("code", "x") },
	} {
		if status, answer := exchange(change); status < 400 || answer["access_token"] != nil || s.Given() != 0 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	status, first := exchange(nil)
	if status != http.StatusOK || first["scope"] != "read" || first["expires_in"] != 3600.0 || !opens(first["access_token"]) {
		t.Fatalf("%d %v", status, first)
	}
	refresh := func(token any) (int, map[string]any) {
		return post("token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.(string)}, "client_id": {"app"}, "client_secret": {"fake"}})
	}
	status, second := refresh(first["refresh_token"])
	if status != http.StatusOK || second["refresh_token"] == first["refresh_token"] || second["scope"] != "read" || opens(first["access_token"]) || !opens(second["access_token"]) {
		t.Fatalf("%d %v", status, second)
	}
	if status, answer := refresh(first["refresh_token"]); status < 400 {
		t.Errorf("a refresh token that was used: %v", answer)
	}
	if status, _ := post("revocation", url.Values{"token": {second["refresh_token"].(string)}, "client_id": {"app"}, "client_secret": {"fake"}}); status != http.StatusOK || opens(second["access_token"]) {
		t.Errorf("after revocation: %d", status)
	}
	if status, answer := refresh(second["refresh_token"]); status < 400 || s.Given() != 2 {
		t.Errorf("a refresh token that was revoked: %v", answer)
	}
}
