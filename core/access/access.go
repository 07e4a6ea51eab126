// Package access knows what programs may do: the workspaces of a deployment, the
// API keys that open them, and the lock that lets one upload at a time pass
// under a key. What people may do is identity's.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"tenure/core/table"
)

// ErrUnknownKey says that an API key opens nothing.
var ErrUnknownKey = errors.New("the API key is not known")

// Caller is who a request comes from.
type Caller struct {
	// Workspace is the one workspace that the key opens.
	Workspace string
	// KeyID names the key without giving it away.
	KeyID string
}

// Store keeps workspaces, keys and locks in a table.
type Store struct {
	table table.Table
	now   func() time.Time

	mu    sync.Mutex
	known map[string]knownKey // by key id
}

type knownKey struct {
	caller Caller
	kind   Kind
	until  time.Time
}

const (
	// keyMemory is how long a key that was found is taken for valid without
	// looking again; a revocation takes effect within it.
	keyMemory = 5 * time.Second
	// keysRemembered bounds the memory of keys.
	keysRemembered = 10_000
)

// New returns a store. now is the clock; nil means time.Now.
func New(t table.Table, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{table: t, now: now, known: map[string]knownKey{}}
}

// Partitions that belong to no workspace: no workspace's name has a tilde.
const (
	workspacesPartition = "~workspaces"
	keysPartition       = "~keys/"
	locksPartition      = "~locks/"
)

// workspaceName is compiled when a workspace is made, which most processes never do.
var workspaceName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`) })

// apiKey is the body of a key's item. The key itself is not in it: its
// SHA-256 is the item's key.
type apiKey struct {
	Workspace string `json:"workspace"`
	Kind      Kind   `json:"kind"`
	Created   int64  `json:"created"` // epoch ms
}

// NewKey returns a new API key of 256 random bits.
func NewKey() string {
	var bits [32]byte
	rand.Read(bits[:])
	return hex.EncodeToString(bits[:])
}

func keyID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func keyItemKey(id string) table.Key {
	return table.Key{Partition: keysPartition + id, Sort: "key"}
}

// EnsureWorkspace makes sure that a workspace exists and that key opens its
// Account API. It fails when the name is not fit for one or the key opens
// another one, and with ErrRevoked when the key was revoked.
func (s *Store) EnsureWorkspace(ctx context.Context, name, key string) error {
	if !workspaceName().MatchString(name) {
		return fmt.Errorf("workspace name %q: use 1 to 63 letters, digits, - and _, beginning with a letter or digit", name)
	}
	if key == "" {
		return fmt.Errorf("workspace %q: its API key is empty", name)
	}
	k := s.newKey(Secret{APIKey: key}, AccountAPI, "Made by the operator", "")
	items, err := s.table.Get(ctx, []table.Key{keyItemKey(k.ID), listedKey(name, k.ID)}, true)
	if err != nil {
		return err
	}
	opens, listed := items[0], items[1]
	if opens.Exists() {
		var a apiKey
		if err := json.Unmarshal(opens.Body, &a); err != nil {
			return err
		}
		if a.Workspace != name || a.Kind != AccountAPI {
			return fmt.Errorf("workspace %q: its API key opens something else already", name)
		}
		return nil
	}
	if listed.Exists() {
		return fmt.Errorf("workspace %q: %w", name, ErrRevoked)
	}
	return s.putKey(ctx, name, k)
}

// Revoke makes a key that is presented open nothing from now on, within keyMemory
// everywhere, and returns the workspace that it opened. ErrUnknownKey says that
// it opened none.
func (s *Store) Revoke(ctx context.Context, key string) (workspace string, err error) {
	id := keyID(key)
	items, err := s.table.Get(ctx, []table.Key{keyItemKey(id)}, true)
	if err != nil {
		return "", err
	}
	if !items[0].Exists() {
		return "", ErrUnknownKey
	}
	var k apiKey
	if err := json.Unmarshal(items[0].Body, &k); err != nil {
		return "", err
	}
	_, err = s.RevokeKey(ctx, k.Workspace, id, "")
	return k.Workspace, err
}

// Workspaces returns the names of all workspaces.
func (s *Store) Workspaces(ctx context.Context) ([]string, error) {
	var names []string
	q := table.Query{Partition: workspacesPartition, Limit: 1000, KeysOnly: true, Consistent: true}
	for {
		items, err := s.table.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range items {
			names = append(names, items[i].Sort)
		}
		if len(items) < q.Limit {
			return names, nil
		}
		q.After = items[len(items)-1].Sort
	}
}

// Authenticate returns who presents a key to the Account API; ErrUnknownKey when
// it opens nothing there.
func (s *Store) Authenticate(ctx context.Context, key string) (Caller, error) {
	return s.opened(ctx, AccountAPI, Secret{APIKey: key})
}

// AuthenticateEvents returns who sends usage events under a pair of keys
// (contract E1); ErrUnknownKey when they are no pair that opens anything.
func (s *Store) AuthenticateEvents(ctx context.Context, pair Secret) (Caller, error) {
	if pair.AuthKey == "" {
		return Caller{}, ErrUnknownKey
	}
	return s.opened(ctx, UsageEventAPI, pair)
}

func (s *Store) opened(ctx context.Context, kind Kind, secret Secret) (Caller, error) {
	id := keyID(secret.text())
	now := s.now()
	s.mu.Lock()
	known, ok := s.known[id]
	s.mu.Unlock()
	if !ok || !now.Before(known.until) {
		items, err := s.table.Get(ctx, []table.Key{keyItemKey(id)}, true)
		if err != nil {
			return Caller{}, err
		}
		if !items[0].Exists() {
			s.forget(id)
			return Caller{}, ErrUnknownKey
		}
		var k apiKey
		if err := json.Unmarshal(items[0].Body, &k); err != nil {
			return Caller{}, err
		}
		known = knownKey{caller: Caller{Workspace: k.Workspace, KeyID: id}, kind: k.Kind, until: now.Add(keyMemory)}
		s.mu.Lock()
		if len(s.known) >= keysRemembered {
			clear(s.known)
		}
		s.known[id] = known
		s.mu.Unlock()
	}
	if known.kind != kind {
		return Caller{}, ErrUnknownKey
	}
	return known.caller, nil
}
