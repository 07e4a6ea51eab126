package identity

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"tenure/core"
)

// hashesAtOnce bounds how many passwords are hashed at a time: each takes the
// memory of hashing.
const hashesAtOnce = 4

// Hashing is how passwords are hashed: 19 MiB and two passes, the least that
// OWASP's password storage cheat sheet recommends for argon2id.
var Hashing = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// Passwords have at least minPassword code points, and at most maxPassword bytes.
const (
	minPassword = 12
	maxPassword = 256
)

// validPassword says what is wrong with a new password: its length, or that it is
// the first thing to guess.
func validPassword(password, email string) error {
	lower := strings.ToLower(password)
	local, _, _ := strings.Cut(email, "@")
	switch {
	case password == "":
		return refuse(core.MissingField, "password", "'password' must be given")
	case utf8.RuneCountInString(password) < minPassword:
		return refuse(core.OutOfRange, "password", "'password' must have at least 12 characters; a few unrelated words do well")
	case len(password) > maxPassword:
		return refuse(core.TooLong, "password", "'password' must not be longer than 256 bytes")
	case strings.Contains(lower, email) || len(local) > 3 && strings.Contains(lower, local):
		return refuse(core.OutOfRange, "password", "'password' must not contain your e-mail address")
	case distinct(lower) < 5:
		return refuse(core.OutOfRange, "password", "'password' must not consist of so few different characters")
	case strings.HasPrefix(lower, "password") || strings.HasPrefix("12345678901234567890", lower):
		return refuse(core.OutOfRange, "password", "'password' must not be one of the first to be guessed")
	}
	return nil
}

func distinct(text string) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// hashed runs f while not too many others are hashing.
func (s *Store) hashed(ctx context.Context, f func() error) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) hash(ctx context.Context, password string) (hash string, err error) {
	err = s.hashed(ctx, func() error {
		hash, err = argon2id.CreateHash(password, s.params)
		return err
	})
	return hash, err
}

// matches reports whether a password is the one of a hash; with none, which is that
// of somebody unknown, it takes as long to say no.
func (s *Store) matches(ctx context.Context, password, hash string) (ok bool, err error) {
	known := hash != ""
	if !known {
		if hash, err = s.nobody(); err != nil {
			return false, err
		}
	}
	if len(password) > maxPassword {
		password = ""
	}
	err = s.hashed(ctx, func() error {
		ok, err = argon2id.ComparePasswordAndHash(password, hash)
		return err
	})
	return ok && known, err
}
