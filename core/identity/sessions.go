package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/table"
)

// Errors of signing in.
var (
	// ErrWrong says that there is no person with that address and password. It does
	// not say which of the two is wrong.
	ErrWrong = errors.New("the e-mail address or the password is wrong")
	// ErrNoSession says that a session is not there: it was ended, or is too old.
	ErrNoSession = errors.New("the session has ended")
)

// TooMany says that too many attempts to sign in have failed of late.
type TooMany struct {
	// Until is when the next one is taken.
	Until time.Time
}

// Error says until when.
func (e *TooMany) Error() string {
	return "too many failed attempts to sign in until " + e.Until.UTC().Format(time.RFC3339)
}

const (
	// sessionIdle is how long a session lasts that is not used, sessionLife how long
	// one that is.
	sessionIdle = 12 * time.Hour
	sessionLife = 7 * 24 * time.Hour
	// seenEvery is how exactly is kept when a session was used last.
	seenEvery = 5 * time.Minute
	// maxAgent is how much of a browser's name is kept, in bytes.
	maxAgent = 200
	// maxSessions is the largest number of sessions of one person that is shown.
	maxSessions = 200
)

// Session is a person who is signed in, as seen by one of their requests.
type Session struct {
	// ID names the session without giving it away.
	ID     string
	Person Person
	// Workspace is the one the person is looking at, Role theirs in it; both are
	// empty for a person who belongs to none.
	Workspace string
	Role      Role

	secret  string
	stored  session
	version int64
}

// session is the body of a session's item.
type session struct {
	Workspace string `json:"workspace"`
	Created   int64  `json:"created"` // epoch ms
	Seen      int64  `json:"seen"`    // epoch ms
	Agent     string `json:"agent"`
	Address   string `json:"address"`
}

// Client is what there is to know of where a request comes from.
type Client struct {
	// Address is the network address, without port.
	Address string
	// Agent is what the browser calls itself.
	Agent string
}

func sessionKey(person, id string) table.Key {
	return table.Key{Partition: peoplePartition + person, Sort: "session/" + id}
}

// expires returns when a session ends that is not used from now on, in epoch ms.
func (s session) expires() int64 {
	return min(s.Seen+sessionIdle.Milliseconds(), s.Created+sessionLife.Milliseconds())
}

// FormToken returns what a form must carry that changes something in the
// session's workspace: no other site knows it, and it is another one in every
// workspace, so that a page left open cannot change what it does not show.
func (s *Session) FormToken() string {
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write([]byte("form " + s.Workspace))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// ValidFormToken reports whether token is the session's.
func (s *Session) ValidFormToken(token string) bool {
	return hmac.Equal([]byte(token), []byte(s.FormToken()))
}

// SignIn begins a session of the person with an e-mail address and password, and
// returns the token that stands for it. It fails with ErrWrong, or a *TooMany.
func (s *Store) SignIn(ctx context.Context, email, password string, from Client) (token string, err error) {
	email, err = CanonicalEmail(email)
	if err != nil {
		return "", ErrWrong
	}
	settle, err := s.admit(ctx, email, from.Address)
	if err != nil {
		return "", err
	}
	person, _, err := s.account(ctx, personID(email))
	if err != nil {
		return "", err
	}
	switch ok, err := s.matches(ctx, password, person.Password); {
	case err != nil:
		return "", err
	case !ok:
		return "", ErrWrong
	}
	if err := settle(); err != nil {
		return "", err
	}
	return s.begin(ctx, person.Person, "", from)
}

// begin starts a session in a workspace of the person's; empty means any.
func (s *Store) begin(ctx context.Context, p Person, workspace string, from Client) (token string, err error) {
	secret, now := newSecret(), s.now().UnixMilli()
	if workspace == "" && len(p.Memberships) > 0 {
		workspace = p.Workspaces()[0]
	}
	body := session{Workspace: workspace, Created: now, Seen: now, Agent: strings.ToValidUTF8(cut(from.Agent, maxAgent), ""), Address: cut(from.Address, maxAgent)}
	op, err := putJSON(sessionKey(p.ID, digest(secret)), freshVersion(), body.expires(), body, table.Absent())
	if err != nil {
		return "", err
	}
	return p.ID + "." + secret, errors.Join(s.table.Write(ctx, []table.Op{op}, nil)...)
}

func cut(text string, n int) string { return text[:min(len(text), n)] }

// Session returns the session that a token stands for; ErrNoSession when there
// is none.
func (s *Store) Session(ctx context.Context, token string) (*Session, error) {
	person, secret, found := strings.Cut(token, ".")
	if !found || len(person) != len(personID("")) || len(token) > 200 {
		return nil, ErrNoSession
	}
	id := digest(secret)
	items, err := s.table.Get(ctx, []table.Key{personKey(person), sessionKey(person, id)}, true)
	if err != nil {
		return nil, err
	}
	if !items[0].Exists() || !items[1].Exists() {
		return nil, ErrNoSession
	}
	var a account
	at := &Session{ID: id, secret: secret, version: items[1].Version}
	if err := errors.Join(json.Unmarshal(items[0].Body, &a), json.Unmarshal(items[1].Body, &at.stored)); err != nil {
		return nil, err
	}
	at.Person, at.Workspace = a.Person, at.stored.Workspace
	if a.Memberships[at.Workspace] == "" { // it was left, or they were made to
		at.Workspace = ""
		if names := a.Workspaces(); len(names) > 0 {
			at.Workspace = names[0]
		}
	}
	at.Role = a.Memberships[at.Workspace]
	if now := s.now().UnixMilli(); now-at.stored.Seen >= seenEvery.Milliseconds() {
		at.stored.Seen = now
		// Another request of the same session has come first, or the store is busy:
		// the next one will do.
		_ = s.putSession(ctx, at)
	}
	return at, nil
}

func (s *Store) putSession(ctx context.Context, at *Session) error {
	op, err := putJSON(sessionKey(at.Person.ID, at.ID), s.nextVersion(at.version), at.stored.expires(), at.stored, table.VersionIs(at.version))
	if err != nil {
		return err
	}
	err = errors.Join(s.table.Write(ctx, []table.Op{op}, nil)...)
	if err == nil {
		at.version = op.Item.Version
	}
	return err
}

// Switch has a session look at another workspace of the person's. A
// *core.Failure says that it is none of theirs.
func (s *Store) Switch(ctx context.Context, at *Session, workspace string) error {
	role, member := at.Person.Memberships[workspace]
	if !member {
		return refuse(core.NotFound, "workspace", "Workspace not found")
	}
	at.stored.Workspace, at.Workspace, at.Role = workspace, workspace, role
	return s.putSession(ctx, at)
}

// Described is a session as its person sees it in a list.
type Described struct {
	ID string `json:"id"`
	// Created and Seen are when it began and when it was used last, within a few
	// minutes, in epoch ms.
	Created int64  `json:"created"`
	Seen    int64  `json:"last_seen"`
	Agent   string `json:"agent"`
	Address string `json:"address"`
	Current bool   `json:"current"`
}

// Sessions returns all sessions of a session's person, the one used last first.
func (s *Store) Sessions(ctx context.Context, at *Session) ([]Described, error) {
	items, err := s.table.Query(ctx, table.Query{Partition: peoplePartition + at.Person.ID, Prefix: "session/", Limit: maxSessions, Consistent: true})
	if err != nil {
		return nil, err
	}
	all := make([]Described, len(items))
	for i := range items {
		var stored session
		if err := json.Unmarshal(items[i].Body, &stored); err != nil {
			return nil, err
		}
		id := strings.TrimPrefix(items[i].Sort, "session/")
		all[i] = Described{ID: id, Created: stored.Created, Seen: stored.Seen, Agent: stored.Agent, Address: stored.Address, Current: id == at.ID}
	}
	slices.SortStableFunc(all, func(a, b Described) int { return int(max(min(b.Seen-a.Seen, 1), -1)) })
	return all, nil
}

// EndSession ends one of the sessions of a session's person; the one itself is
// one of them. There is no error when it has ended before.
func (s *Store) EndSession(ctx context.Context, at *Session, id string) error {
	if id == "" {
		return refuse(core.MissingField, "id", "'id' must name a session")
	}
	return errors.Join(s.table.Write(ctx, []table.Op{table.Delete(sessionKey(at.Person.ID, id), table.Condition{})}, nil)...)
}

// endSessions ends all sessions of a person but the one with the id except.
func (s *Store) endSessions(ctx context.Context, person, except string) error {
	q := table.Query{Partition: peoplePartition + person, Prefix: "session/", Limit: maxSessions, KeysOnly: true, Consistent: true}
	for {
		items, err := s.table.Query(ctx, q)
		if err != nil {
			return err
		}
		var ops []table.Op
		for i := range items {
			if items[i].Sort != "session/"+except {
				ops = append(ops, table.Delete(items[i].Key, table.Condition{}))
			}
		}
		if err := errors.Join(s.table.Write(ctx, ops, nil)...); err != nil {
			return err
		}
		if len(items) < q.Limit {
			return nil
		}
		q.After = items[len(items)-1].Sort
	}
}

// EndOtherSessions ends all sessions of a session's person but the session itself.
func (s *Store) EndOtherSessions(ctx context.Context, at *Session) error {
	return s.endSessions(ctx, at.Person.ID, at.ID)
}

// ChangePassword gives a session's person another password, and ends their other
// sessions. It fails with ErrWrong when old is not the one they have, with a
// *TooMany, or with a *core.Failure when the new one is not fit.
func (s *Store) ChangePassword(ctx context.Context, at *Session, old, new string, from Client) error {
	if err := validPassword(new, at.Person.Email); err != nil {
		return err
	}
	settle, err := s.admit(ctx, at.Person.Email, from.Address)
	if err != nil {
		return err
	}
	person, version, err := s.account(ctx, at.Person.ID)
	if err != nil {
		return err
	}
	switch ok, err := s.matches(ctx, old, person.Password); {
	case err != nil:
		return err
	case !ok:
		return ErrWrong
	}
	if err := settle(); err != nil {
		return err
	}
	if person.Password, err = s.hash(ctx, new); err != nil {
		return err
	}
	op, err := s.putAccount(person, version)
	if err != nil {
		return err
	}
	if err := errors.Join(s.table.Write(ctx, []table.Op{op}, nil)...); err != nil {
		return err
	}
	return s.EndOtherSessions(ctx, at)
}

// attemptsWindow is how long attempts to sign in are counted.
const attemptsWindow = 15 * time.Minute

// Attempts to sign in that are taken within attemptsWindow: of one person from
// one address, of one person from anywhere, of anybody from one address. Who
// guesses from elsewhere does not so soon lock a person out.
const (
	attemptsHere     = 10
	attemptsAnywhere = 100
	attemptsAddress  = 100
)

// attempts is the body of an item that counts attempts.
type attempts struct {
	Count int   `json:"count"`
	Since int64 `json:"since"` // epoch ms
}

// admit counts an attempt to sign in before it is looked into, so that many at
// once are counted too. It fails with a *TooMany; settle forgets those of this
// person from this address, after one that succeeded.
func (s *Store) admit(ctx context.Context, email, address string) (settle func() error, err error) {
	here := attemptsKey("here", email+" "+address)
	for _, limited := range []struct {
		key   table.Key
		limit int
	}{{here, attemptsHere}, {attemptsKey("person", email), attemptsAnywhere}, {attemptsKey("address", address), attemptsAddress}} {
		if err := s.count(ctx, limited.key, limited.limit); err != nil {
			return nil, err
		}
	}
	return func() error {
		return errors.Join(s.table.Write(ctx, []table.Op{table.Delete(here, table.Condition{})}, nil)...)
	}, nil
}

func attemptsKey(kind, subject string) table.Key {
	return table.Key{Partition: attemptsPartition + digest(kind+" "+subject), Sort: "attempts"}
}

// count adds one to a count of attempts, unless there are limit of them.
func (s *Store) count(ctx context.Context, key table.Key, limit int) error {
	for range 2 * limit {
		items, err := s.table.Get(ctx, []table.Key{key}, true)
		if err != nil {
			return err
		}
		counted, cond := attempts{Since: s.now().UnixMilli()}, table.Absent()
		if items[0].Exists() {
			cond = table.VersionIs(items[0].Version)
			if err := json.Unmarshal(items[0].Body, &counted); err != nil {
				return err
			}
		}
		until := counted.Since + attemptsWindow.Milliseconds()
		if counted.Count >= limit {
			return &TooMany{Until: time.UnixMilli(until)}
		}
		counted.Count++
		op, err := putJSON(key, freshVersion(), until, counted, cond)
		if err != nil {
			return err
		}
		if err = errors.Join(s.table.Write(ctx, []table.Op{op}, nil)...); !errors.Is(err, table.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("attempts to sign in cannot be counted: %w", table.ErrUnavailable)
}
