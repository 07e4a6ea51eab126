package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/table"
)

// Kind says which API a key opens (Source Overview of the IT Administration page).
type Kind string

// The kinds of keys.
const (
	// AccountAPI keys open the Account API.
	AccountAPI Kind = "account"
	// UsageEventAPI keys take usage events in. They are pairs: requests carry an
	// auth key and an API key, which are made and revoked together (contract E1).
	UsageEventAPI Kind = "usage_event"
)

// ErrRevoked says that a key was revoked, and so cannot be made to open a
// workspace again.
var ErrRevoked = errors.New("the API key was revoked")

const (
	// prefixLength is how many characters of a key are kept to tell it by.
	prefixLength = 6
	// longKey is the length from which on that many give nothing away.
	longKey = 32
	// maxLabel is the greatest length of a label, in code points.
	maxLabel = 80
	// maxKeys is the largest number of keys of one workspace that are valid.
	maxKeys = 200
)

// Key is what a workspace knows of one of its API keys: everything but the key.
type Key struct {
	// ID names the key without giving it away.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Label says what the key is for, in the words of who made it.
	Label string `json:"label"`
	// Prefix is the beginning of the key; empty for keys too short to show any of.
	Prefix string `json:"prefix"`
	// Created and Revoked are instants in epoch ms; Revoked is 0 for a key that is
	// valid.
	Created int64 `json:"created"`
	Revoked int64 `json:"revoked,omitempty"`
	// CreatedBy and RevokedBy are the e-mail addresses of who did it; empty for the
	// operator of the deployment.
	CreatedBy string `json:"created_by,omitempty"`
	RevokedBy string `json:"revoked_by,omitempty"`
}

// Secret is a key itself, which is known only where it was just made.
type Secret struct {
	APIKey string `json:"api_key"`
	// AuthKey is the other half of a key for usage events.
	AuthKey string `json:"auth_key,omitempty"`
}

// text is what a key's id is made from.
func (s Secret) text() string {
	if s.AuthKey == "" {
		return s.APIKey
	}
	return s.AuthKey + "/" + s.APIKey
}

// listedKey returns where a workspace keeps what it knows of a key.
func listedKey(workspace, id string) table.Key {
	return table.Key{Partition: workspace + "/keys", Sort: id}
}

// CreateKey makes a key of a workspace that exists. by is the e-mail address of
// who asks for it. A *core.Failure says what is wrong with kind or label.
func (s *Store) CreateKey(ctx context.Context, workspace string, kind Kind, label, by string) (Key, Secret, error) {
	if kind != AccountAPI && kind != UsageEventAPI {
		return Key{}, Secret{}, &core.Failure{Code: core.NotAChoice, Field: "kind",
			Message: fmt.Sprintf("'kind' must be %s or %s", AccountAPI, UsageEventAPI)}
	}
	keys, err := s.Keys(ctx, workspace)
	if err != nil {
		return Key{}, Secret{}, err
	}
	label, err = validLabel(label, "", keys)
	if err != nil {
		return Key{}, Secret{}, err
	}
	valid := 0
	for _, k := range keys {
		if k.Revoked == 0 {
			valid++
		}
	}
	if valid >= maxKeys {
		return Key{}, Secret{}, &core.Failure{Code: core.OutOfRange, Field: "kind",
			Message: fmt.Sprintf("The workspace has %d valid keys, and may not have more: revoke one that is not used", maxKeys)}
	}
	secret := Secret{APIKey: NewKey()}
	if kind == UsageEventAPI {
		secret.AuthKey = NewKey()
	}
	k := s.newKey(secret, kind, label, by)
	return k, secret, s.putKey(ctx, workspace, k)
}

func (s *Store) newKey(secret Secret, kind Kind, label, by string) Key {
	k := Key{ID: keyID(secret.text()), Kind: kind, Label: label, Created: s.now().UnixMilli(), CreatedBy: by}
	if len(secret.APIKey) >= longKey {
		k.Prefix = secret.APIKey[:prefixLength]
	}
	return k
}

// putKey stores a new key, and makes sure of its workspace.
func (s *Store) putKey(ctx context.Context, workspace string, k Key) error {
	opens, err := json.Marshal(apiKey{Workspace: workspace, Kind: k.Kind, Created: k.Created})
	if err != nil {
		return err
	}
	listed, err := json.Marshal(k)
	if err != nil {
		return err
	}
	version := s.now().UnixMicro()
	return s.table.Transact(ctx, []table.Op{
		table.Put(table.Item{Key: table.Key{Partition: workspacesPartition, Sort: workspace}, Version: version, Body: []byte("{}")}, table.Condition{}),
		table.Put(table.Item{Key: keyItemKey(k.ID), Version: version, Body: opens}, table.Condition{}),
		table.Put(table.Item{Key: listedKey(workspace, k.ID), Version: version, Body: listed}, table.Absent()),
	}, nil)
}

// validLabel returns a label without the space around it. except is the id of
// the key that may have it already.
func validLabel(label, except string, keys []Key) (string, error) {
	label = strings.TrimSpace(label)
	refuse := func(code core.Code, message string) (string, error) {
		return "", &core.Failure{Code: code, Field: "label", Message: message}
	}
	switch {
	case label == "":
		return refuse(core.MissingField, "'label' must say what the key is for")
	case !utf8.ValidString(label) || strings.ContainsFunc(label, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return refuse(core.Malformed, "'label' must be plain text on one line")
	case utf8.RuneCountInString(label) > maxLabel:
		return refuse(core.TooLong, fmt.Sprintf("'label' must not be longer than %d characters", maxLabel))
	}
	for _, k := range keys {
		if k.ID != except && k.Revoked == 0 && strings.EqualFold(k.Label, label) {
			return refuse(core.Conflicting, "'label' must be one that no other valid key has")
		}
	}
	return label, nil
}

// Keys returns what a workspace knows of its keys, those that were revoked
// included, the newest first.
func (s *Store) Keys(ctx context.Context, workspace string) ([]Key, error) {
	var keys []Key
	q := table.Query{Partition: listedKey(workspace, "").Partition, Limit: 1000, Consistent: true}
	for {
		items, err := s.table.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range items {
			var k Key
			if err := json.Unmarshal(items[i].Body, &k); err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
		if len(items) < q.Limit {
			slices.SortFunc(keys, func(a, b Key) int {
				if a.Created != b.Created {
					return int(max(min(b.Created-a.Created, 1), -1))
				}
				return strings.Compare(a.ID, b.ID)
			})
			return keys, nil
		}
		q.After = items[len(items)-1].Sort
	}
}

// KeyIDs returns the ids of all keys that a workspace has or had.
func (s *Store) KeyIDs(ctx context.Context, workspace string) ([]string, error) {
	keys, err := s.Keys(ctx, workspace)
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	return ids, err
}

// errNoKey is what there is to say of an id that no key of the workspace has.
func errNoKey() error {
	return &core.Failure{Code: core.NotFound, Field: "id", Message: "API key not found"}
}

// listed returns what the workspace knows of one key, and the version of that;
// a *core.Failure when it has no such key.
func (s *Store) listed(ctx context.Context, workspace, id string) (k Key, version int64, err error) {
	if id == "" {
		return k, 0, errNoKey()
	}
	items, err := s.table.Get(ctx, []table.Key{listedKey(workspace, id)}, true)
	switch {
	case err != nil:
		return k, 0, err
	case !items[0].Exists():
		return k, 0, errNoKey()
	}
	return k, items[0].Version, json.Unmarshal(items[0].Body, &k)
}

// replaced returns the operation that stores what has changed about a key.
func (s *Store) replaced(workspace string, k Key, version int64) (table.Op, error) {
	body, err := json.Marshal(k)
	return table.Put(table.Item{
		Key: listedKey(workspace, k.ID), Version: max(version+1, s.now().UnixMicro()), Body: body,
	}, table.VersionIs(version)), err
}

// LabelKey gives a key another label. A *core.Failure says what is wrong with
// it, or that the workspace has no such key.
func (s *Store) LabelKey(ctx context.Context, workspace, id, label string) (Key, error) {
	k, version, err := s.listed(ctx, workspace, id)
	if err != nil {
		return k, err
	}
	keys, err := s.Keys(ctx, workspace)
	if err != nil {
		return k, err
	}
	if k.Label, err = validLabel(label, id, keys); err != nil {
		return k, err
	}
	op, err := s.replaced(workspace, k, version)
	if err != nil {
		return k, err
	}
	return k, errors.Join(s.table.Write(ctx, []table.Op{op}, nil)...)
}

// RevokeKey makes a key open nothing from now on, within keyMemory everywhere.
// by is the e-mail address of who asks for it. One that was revoked before
// stays as it is; a *core.Failure says that the workspace has no such key.
func (s *Store) RevokeKey(ctx context.Context, workspace, id, by string) (Key, error) {
	k, version, err := s.listed(ctx, workspace, id)
	if err != nil || k.Revoked != 0 {
		return k, err
	}
	k.Revoked, k.RevokedBy = s.now().UnixMilli(), by
	op, err := s.replaced(workspace, k, version)
	if err != nil {
		return k, err
	}
	err = s.table.Transact(ctx, []table.Op{op, table.Delete(keyItemKey(id), table.Condition{})}, nil)
	s.forget(id)
	return k, err
}

// forget has the key looked up when it is presented next.
func (s *Store) forget(id string) {
	s.mu.Lock()
	delete(s.known, id)
	s.mu.Unlock()
}
