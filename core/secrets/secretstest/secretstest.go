// Package secretstest is the contract of core/secrets, which every key source
// passes.
package secretstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"tenure/core/secrets"
)

// Run tests a key source. open returns the same keys each time within one test,
// as a process that starts anew has them; other returns different ones.
func Run(t *testing.T, open, other func(t *testing.T) secrets.KeySource) {
	at := secrets.Binding{Workspace: "acme", Purpose: "test.token"}
	secret := secrets.Secret("an obviously fake secret that is long enough to be found")
	seal := func(t *testing.T, s *secrets.Sealer) string {
		t.Helper()
		sealed, err := s.Seal(t.Context(), at, secret)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	wantNotOpened := func(t *testing.T, s *secrets.Sealer, b secrets.Binding, sealed string) {
		t.Helper()
		if got, err := s.Open(t.Context(), b, sealed); !errors.Is(err, secrets.ErrNotOpened) || got != nil {
			t.Errorf("%+v opens %.20s… with %d bytes, %v", b, sealed, len(got), err)
		}
	}

	t.Run("what is sealed opens again, also after a new start", func(t *testing.T) {
		s := secrets.New(open(t))
		for _, size := range []int{0, 1, 1700, secrets.MaxBytes} {
			long := secrets.Secret(bytes.Repeat([]byte{0xff}, size))
			sealed, err := s.Seal(t.Context(), at, long)
			if err != nil {
				t.Fatal(err)
			}
			got, err := secrets.New(open(t)).Open(t.Context(), at, sealed)
			if err != nil || !bytes.Equal(got, long) {
				t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
			}
		}
	})
	t.Run("a sealed value shows nothing and is never the same", func(t *testing.T) {
		s := secrets.New(open(t))
		first, second := seal(t, s), seal(t, s)
		if first == second {
			t.Error("the same value twice")
		}
		if strings.Contains(first, string(secret)) || strings.ContainsFunc(first, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q", first)
		}
		if len(first) > len(secret)*4/3+800 {
			t.Errorf("%d bytes for %d", len(first), len(secret))
		}
	})
	t.Run("it opens in its own place only", func(t *testing.T) {
		s := secrets.New(open(t))
		sealed := seal(t, s)
		for _, b := range []secrets.Binding{
			{Workspace: "globex", Purpose: at.Purpose}, {Workspace: at.Workspace, Purpose: "test.other"},
			{Workspace: "acm", Purpose: "etest.token"}, {Workspace: at.Purpose, Purpose: at.Workspace},
		} {
			wantNotOpened(t, s, b, sealed)
		}
	})
	t.Run("without workspace or purpose nothing is sealed or opened", func(t *testing.T) {
		s := secrets.New(open(t))
		sealed := seal(t, s)
		for _, b := range []secrets.Binding{{}, {Workspace: "acme"}, {Purpose: at.Purpose}} {
			if sealed, err := s.Seal(t.Context(), b, secret); err == nil {
				t.Errorf("%+v: %s", b, sealed)
			}
			if got, err := s.Open(t.Context(), b, sealed); err == nil {
				t.Errorf("%+v: %d bytes", b, len(got))
			}
		}
	})
	t.Run("what is too large is not sealed", func(t *testing.T) {
		s := secrets.New(open(t))
		if _, err := s.Seal(t.Context(), at, make(secrets.Secret, secrets.MaxBytes+1)); err == nil {
			t.Error("it was")
		}
	})
	t.Run("a value that was changed does not open", func(t *testing.T) {
		s := secrets.New(open(t))
		sealed := seal(t, s)
		for i := 0; i < len(sealed); i += max(1, len(sealed)/40) {
			c := byte('A')
			if sealed[i] == c {
				c = 'B'
			}
			wantNotOpened(t, s, at, sealed[:i]+string(c)+sealed[i+1:])
		}
		for _, text := range []string{"", "1.", "2." + sealed[2:], sealed[:len(sealed)/2], sealed + "A", sealed + "\n", "1.AAAA", "1.AAAAAAAA", "1.____AAAA"} {
			wantNotOpened(t, s, at, text)
		}
	})
	t.Run("other keys do not open it", func(t *testing.T) {
		sealed := seal(t, secrets.New(open(t)))
		wantNotOpened(t, secrets.New(other(t)), at, sealed)
	})
	t.Run("a request that is over fails as such", func(t *testing.T) {
		s := secrets.New(stopped{open(t)})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Seal(ctx, at, secret); !errors.Is(err, context.Canceled) {
			t.Errorf("sealing: %v", err)
		}
		if _, err := s.Open(ctx, at, seal(t, secrets.New(open(t)))); !errors.Is(err, context.Canceled) {
			t.Errorf("opening: %v", err)
		}
	})
	t.Run("no error and no print shows a secret", func(t *testing.T) {
		s := secrets.New(open(t))
		opened, err := s.Open(t.Context(), at, seal(t, s))
		if err != nil {
			t.Fatal(err)
		}
		_, refusal := s.Seal(t.Context(), secrets.Binding{}, opened)
		told, err := json.Marshal(map[string]any{"secret": opened, "in": struct{ S secrets.Secret }{opened}})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("test", "secret", opened, "in", struct{ S secrets.Secret }{opened})
		slog.New(slog.NewTextHandler(&log, nil)).Info("test", "secret", opened, "in", struct{ S secrets.Secret }{opened})
		text := fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v %s %s", opened, opened, opened, opened, opened, opened, opened,
			struct{ S secrets.Secret }{opened}, refusal, told, log.String())
		for _, form := range []string{string(secret), fmt.Sprintf("%x", []byte(secret)), fmt.Sprint([]byte(secret)), "YW4gb2J2aW91c2x5"} {
			if strings.Contains(text, form) {
				t.Errorf("%s shows %s", text, form)
			}
		}
	})
}

// stopped is a key source that minds whether the request is over.
type stopped struct{ secrets.KeySource }

func (s stopped) Wrap(ctx context.Context, dataKey []byte, b secrets.Binding) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, errors.New("stopped in the middle")
	}
	return s.KeySource.Wrap(ctx, dataKey, b)
}

func (s stopped) Unwrap(ctx context.Context, wrapped []byte, b secrets.Binding) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, errors.New("stopped in the middle")
	}
	return s.KeySource.Unwrap(ctx, wrapped, b)
}
