// Package identity knows what people may do: who may sign in to the console, to
// which workspaces they belong and in which role, their sessions, the one-time
// links by which they come, and the audit log of what they changed. What
// programs may do is access's.
package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"tenure/core"
	"tenure/core/table"
)

// Role says what a person may do in a workspace.
type Role string

// The roles.
const (
	// Viewer may look at everything the console shows of the workspace.
	Viewer Role = "viewer"
	// Admin may change it as well.
	Admin Role = "admin"
)

// Covers reports whether who has role r may do what needs the role need.
func (r Role) Covers(need Role) bool {
	return r == need && r != "" || r == Admin && need == Viewer
}

// Person is somebody who may sign in.
type Person struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	// Memberships are the roles by workspace.
	Memberships map[string]Role `json:"memberships"`
}

// Workspaces returns the names of the workspaces the person belongs to, in order.
func (p *Person) Workspaces() []string {
	names := make([]string, 0, len(p.Memberships))
	for name := range p.Memberships {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// account is the body of a person's item.
type account struct {
	Person
	// Password is an argon2id hash in PHC form.
	Password string `json:"password"`
	// Created is in epoch ms.
	Created int64 `json:"created"`
}

// Member is a person as a workspace sees them.
type Member struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
	Role  Role   `json:"role"`
	// Since is when the person came to belong to the workspace, in epoch ms.
	Since int64 `json:"since"`
}

// Options are how a Store works; its zero value is how a deployment does.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Hashing is how passwords are hashed; nil means Hashing.
	Hashing *argon2id.Params
}

// Store keeps people, sessions, links and audit logs in a table.
type Store struct {
	table  table.Table
	now    func() time.Time
	params *argon2id.Params
	nobody func() (string, error) // see matches
	slots  chan struct{}          // bounds the memory that hashing takes
}

// New returns a store.
func New(t table.Table, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hashing == nil {
		o.Hashing = Hashing
	}
	return &Store{
		table: t, now: o.Now, params: o.Hashing, slots: make(chan struct{}, hashesAtOnce),
		nobody: sync.OnceValues(func() (string, error) { return argon2id.CreateHash(newSecret(), o.Hashing) }),
	}
}

// Partitions that belong to no workspace: no workspace's name has a tilde.
const (
	peoplePartition   = "~people/"
	linksPartition    = "~links/"
	attemptsPartition = "~attempts/"
)

const (
	// maxName is the greatest length of a person's name, in code points.
	maxName = 120
	// maxEmail is the greatest length of an e-mail address, in bytes.
	maxEmail = 254
	// maxMembers is the largest number of people of one workspace.
	maxMembers = 500
)

func personKey(id string) table.Key {
	return table.Key{Partition: peoplePartition + id, Sort: "person"}
}

func memberKey(workspace, id string) table.Key {
	return table.Key{Partition: workspace + "/people", Sort: id}
}

// changesKey is of an item that changes with the people of a workspace, so that
// two changes cannot both go by what the other has changed.
func changesKey(workspace string) table.Key {
	return table.Key{Partition: workspace + "/people.changes", Sort: "changes"}
}

// digest names a text without giving it away.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// personID returns the id of the person with an e-mail address in canonical form.
func personID(email string) string { return digest(email)[:32] }

// newSecret returns 256 random bits as text.
func newSecret() string {
	var bits [32]byte
	rand.Read(bits[:])
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// nextVersion returns a version that a key has not had, where the last one it had
// was old.
func (s *Store) nextVersion(old int64) int64 { return max(old+1, s.now().UnixMicro()) }

// freshVersion returns a version that no other writer of a new item has.
func freshVersion() int64 {
	var bits [8]byte
	rand.Read(bits[:])
	return int64(binary.BigEndian.Uint64(bits[:])>>1) | 1
}

// refuse returns the failure of a field.
func refuse(code core.Code, field, message string) error {
	return &core.Failure{Code: code, Field: field, Message: message}
}

// CanonicalEmail returns an e-mail address as people are known by it: without
// space around it, in lower case. A *core.Failure says what is wrong with it.
func CanonicalEmail(email string) (string, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if email == "" {
		return "", refuse(core.MissingField, "email", "'email' must be given")
	}
	if len(email) > maxEmail {
		return "", refuse(core.TooLong, "email", fmt.Sprintf("'email' must not be longer than %d characters", maxEmail))
	}
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email || !utf8.ValidString(email) {
		return "", refuse(core.Malformed, "email", "'email' must be an e-mail address such as name@example.com")
	}
	return email, nil
}

// canonicalName returns a person's name without space around it.
func canonicalName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", refuse(core.MissingField, "name", "'name' must be given")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", refuse(core.Malformed, "name", "'name' must be plain text on one line")
	case utf8.RuneCountInString(name) > maxName:
		return "", refuse(core.TooLong, "name", fmt.Sprintf("'name' must not be longer than %d characters", maxName))
	}
	return name, nil
}

func validRole(role Role) error {
	if role != Viewer && role != Admin {
		return refuse(core.NotAChoice, "role", "'role' must be viewer or admin")
	}
	return nil
}

// account returns the stored person with an id; version 0 when there is none.
func (s *Store) account(ctx context.Context, id string) (a account, version int64, err error) {
	items, err := s.table.Get(ctx, []table.Key{personKey(id)}, true)
	if err != nil || !items[0].Exists() {
		return a, 0, err
	}
	return a, items[0].Version, json.Unmarshal(items[0].Body, &a)
}

// putJSON returns the operation that stores a value.
func putJSON(key table.Key, version, expires int64, value any, cond table.Condition) (table.Op, error) {
	body, err := json.Marshal(value)
	return table.Put(table.Item{Key: key, Version: version, Expires: expires, Body: body}, cond), err
}

// putAccount returns the operation that stores a person whose stored version is
// old; 0 for a new one.
func (s *Store) putAccount(a account, old int64) (table.Op, error) {
	cond := table.Absent()
	if old != 0 {
		cond = table.VersionIs(old)
	}
	return putJSON(personKey(a.ID), s.nextVersion(old), 0, a, cond)
}

// serialised returns the operation by which a change of a workspace's people
// fails when another one came in between, reading what it goes by.
func (s *Store) serialised(ctx context.Context, workspace string) (table.Op, error) {
	items, err := s.table.Get(ctx, []table.Key{changesKey(workspace)}, true)
	if err != nil {
		return table.Op{}, err
	}
	item, cond := table.Item{Key: changesKey(workspace), Body: []byte("{}")}, table.Absent()
	item.Version = s.nextVersion(items[0].Version)
	if items[0].Exists() {
		cond = table.VersionIs(items[0].Version)
	}
	return table.Put(item, cond), nil
}

// Members returns the people of a workspace, by e-mail address.
func (s *Store) Members(ctx context.Context, workspace string) ([]Member, error) {
	items, err := s.table.Query(ctx, table.Query{Partition: memberKey(workspace, "").Partition, Limit: maxMembers + 1, Consistent: true})
	if err != nil {
		return nil, err
	}
	members := make([]Member, len(items))
	for i := range items {
		if err := json.Unmarshal(items[i].Body, &members[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Email, b.Email) })
	return members, nil
}

// tries is how often a change is tried that another one came in between.
const tries = 5

// attempt carries out a change until no other one comes in between.
func attempt(change func() error) (err error) {
	for range tries {
		if err = change(); !errors.Is(err, table.ErrConflict) {
			return err
		}
	}
	return err
}

// SetRole gives a member of a workspace another role. A *core.Failure says that
// there is no such member, or that the workspace would be left without an admin.
func (s *Store) SetRole(ctx context.Context, workspace, id string, role Role) (Member, error) {
	if err := validRole(role); err != nil {
		return Member{}, err
	}
	return s.changeMember(ctx, workspace, id, role)
}

// RemoveMember makes a person belong to a workspace no longer, at once. A
// *core.Failure says that there is no such member, or that the workspace would
// be left without an admin.
func (s *Store) RemoveMember(ctx context.Context, workspace, id string) (Member, error) {
	return s.changeMember(ctx, workspace, id, "")
}

// changeMember changes the role of a member; to none, it removes the member.
func (s *Store) changeMember(ctx context.Context, workspace, id string, role Role) (member Member, err error) {
	err = attempt(func() error {
		serial, err := s.serialised(ctx, workspace)
		if err != nil {
			return err
		}
		members, err := s.Members(ctx, workspace)
		if err != nil {
			return err
		}
		admins, found := 0, false
		for _, m := range members {
			if m.ID == id {
				member, found = m, true
			} else if m.Role == Admin {
				admins++
			}
		}
		switch {
		case !found:
			return refuse(core.NotFound, "id", "Person not found")
		case member.Role == role:
			return nil
		case member.Role == Admin && admins == 0:
			return refuse(core.Conflicting, "role", "The workspace needs an admin: make somebody else one first")
		}
		person, version, err := s.account(ctx, id)
		if err != nil {
			return err
		}
		var listed table.Op
		if role == "" {
			delete(person.Memberships, workspace)
			listed = table.Delete(memberKey(workspace, id), table.Condition{})
		} else {
			person.Memberships[workspace] = role
			member.Role = role
			if listed, err = putJSON(memberKey(workspace, id), s.nextVersion(0), 0, member, table.Condition{}); err != nil {
				return err
			}
		}
		put, err := s.putAccount(person, version)
		if err != nil {
			return err
		}
		return s.table.Transact(ctx, []table.Op{put, listed, serial}, nil)
	})
	return member, err
}
