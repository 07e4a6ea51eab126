package access_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/access"
)

const someone = "admin@example.com"

func TestAKeyIsMadeShownOnceAndListed(t *testing.T) {
	s, _, clock := open(t)
	first, secret, err := s.CreateKey(t.Context(), "acme", access.AccountAPI, "  Nightly import ", someone)
	if err != nil {
		t.Fatal(err)
	}
	if caller, err := s.Authenticate(t.Context(), secret.APIKey); err != nil || caller.Workspace != "acme" || caller.KeyID != first.ID {
		t.Errorf("%+v, %v", caller, err)
	}
	clock.advance(time.Second)
	if _, _, err := s.CreateKey(t.Context(), "acme", access.AccountAPI, "Reports", someone); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CreateKey(t.Context(), "globex", access.AccountAPI, "Nightly import", someone); err != nil {
		t.Fatal(err)
	}
	keys, err := s.Keys(t.Context(), "acme")
	if err != nil || len(keys) != 2 || keys[0].Label != "Reports" || keys[1].Label != "Nightly import" || keys[1].CreatedBy != someone {
		t.Fatalf("%+v, %v", keys, err)
	}
	told, err := json.Marshal(keys)
	if err != nil || strings.Contains(string(told), secret.APIKey) || !strings.HasPrefix(secret.APIKey, keys[1].Prefix) || len(keys[1].Prefix) != 6 {
		t.Errorf("%s, %v", told, err)
	}
}

func TestUsageEventKeysArePairsThatOpenNothingElse(t *testing.T) {
	s, _, _ := open(t)
	k, pair, err := s.CreateKey(t.Context(), "acme", access.UsageEventAPI, "Web", someone)
	if err != nil {
		t.Fatal(err)
	}
	if caller, err := s.AuthenticateEvents(t.Context(), pair); err != nil || caller.Workspace != "acme" || caller.KeyID != k.ID {
		t.Errorf("%+v, %v", caller, err)
	}
	for _, wrong := range []access.Secret{
		{APIKey: pair.APIKey}, {AuthKey: pair.AuthKey}, {APIKey: pair.AuthKey, AuthKey: pair.APIKey}, {APIKey: pair.AuthKey + "/" + pair.APIKey}, {},
	} {
		if _, err := s.AuthenticateEvents(t.Context(), wrong); !errors.Is(err, access.ErrUnknownKey) {
			t.Errorf("a wrong pair: %v", err)
		}
	}
	for _, key := range []string{pair.APIKey, pair.AuthKey, pair.AuthKey + "/" + pair.APIKey} {
		if _, err := s.Authenticate(t.Context(), key); !errors.Is(err, access.ErrUnknownKey) {
			t.Errorf("the Account API: %v", err)
		}
	}
}

func TestAKeyThatIsRevokedOpensNothingWithinFiveSeconds(t *testing.T) {
	s, counted, clock := open(t)
	elsewhere := access.New(counted, clock.Now)
	k, secret, err := s.CreateKey(t.Context(), "acme", access.AccountAPI, "Import", someone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Authenticate(t.Context(), secret.APIKey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeKey(t.Context(), "globex", k.ID, someone); !refused(err, core.NotFound, "id") {
		t.Errorf("from another workspace: %v", err)
	}
	if _, err := s.RevokeKey(t.Context(), "acme", k.ID, someone); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), secret.APIKey); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("where it was revoked: %v", err)
	}
	clock.advance(5 * time.Second)
	if _, err := elsewhere.Authenticate(t.Context(), secret.APIKey); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("elsewhere: %v", err)
	}
	at := clock.Now().UnixMilli()
	again, err := s.RevokeKey(t.Context(), "acme", k.ID, "other@example.com")
	if err != nil || again.Revoked != at-5000 || again.RevokedBy != someone {
		t.Errorf("revoked twice: %+v, %v", again, err)
	}
	if err := s.EnsureWorkspace(t.Context(), "acme", secret.APIKey); !errors.Is(err, access.ErrRevoked) {
		t.Errorf("a revoked key in the settings: %v", err)
	}
	if _, _, err := s.CreateKey(t.Context(), "acme", access.AccountAPI, "Import", someone); err != nil {
		t.Errorf("the label of a revoked key: %v", err)
	}
}

func TestLabelsOfKeysAreValidatedAndCanBeChanged(t *testing.T) {
	s, _, _ := open(t)
	k, _, err := s.CreateKey(t.Context(), "acme", access.AccountAPI, "One", someone)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := s.CreateKey(t.Context(), "acme", access.AccountAPI, strings.Repeat("é", 80), someone)
	if err != nil {
		t.Fatal(err)
	}
	for label, code := range map[string]core.Code{
		"": core.MissingField, " \t": core.MissingField, "a\nb": core.Malformed, "\xff": core.Malformed,
		strings.Repeat("é", 81): core.TooLong, "ONE": core.Conflicting,
	} {
		if _, _, err := s.CreateKey(t.Context(), "acme", access.AccountAPI, label, someone); !refused(err, code, "label") {
			t.Errorf("%q: %v", label, err)
		}
		if _, err := s.LabelKey(t.Context(), "acme", other.ID, label); !refused(err, code, "label") {
			t.Errorf("%q: %v", label, err)
		}
	}
	if _, _, err := s.CreateKey(t.Context(), "acme", "root", "Root", someone); !refused(err, core.NotAChoice, "kind") {
		t.Errorf("%v", err)
	}
	for _, label := range []string{"one", "Two"} {
		if k, err := s.LabelKey(t.Context(), "acme", k.ID, label); err != nil || k.Label != label {
			t.Errorf("%+v, %v", k, err)
		}
	}
	for workspace, id := range map[string]string{"acme": "unknown", "globex": k.ID, "initech": ""} {
		if _, err := s.LabelKey(t.Context(), workspace, id, "Three"); !refused(err, core.NotFound, "id") {
			t.Errorf("%s %q: %v", workspace, id, err)
		}
	}
}

// refused reports whether err is a failure with that code and field.
func refused(err error, code core.Code, field string) bool {
	failure, ok := errors.AsType[*core.Failure](err)
	return ok && failure.Code == code && failure.Field == field
}
