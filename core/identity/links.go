package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tenure/core"
	"tenure/core/table"
)

// ErrNoLink says that a one-time link is not there: it was used, taken back, or
// is too old.
var ErrNoLink = errors.New("the link was used before, or is too old")

const (
	// linkLife is how long an invitation can be accepted.
	linkLife = 7 * 24 * time.Hour
	// operatorLinkLife is how long a link can be used that the operator of the
	// deployment makes: whoever finds it in a log gets in.
	operatorLinkLife = 24 * time.Hour
	// maxLinks is the largest number of open invitations of one workspace.
	maxLinks = 200
)

// Link is a one-time link: an invitation to a workspace, or, with neither
// workspace nor role, the operator's leave for a person to choose a new password.
type Link struct {
	// ID names the link without giving it away.
	ID        string `json:"id"`
	Workspace string `json:"workspace,omitempty"`
	Role      Role   `json:"role,omitempty"`
	// Email is who is invited; empty for whoever has the link.
	Email string `json:"email"`
	// Created and Expires are in epoch ms.
	Created int64 `json:"created"`
	Expires int64 `json:"expires"`
	// CreatedBy is the e-mail address of who made it; empty for the operator.
	CreatedBy string `json:"created_by,omitempty"`
}

func linkKey(id string) table.Key { return table.Key{Partition: linksPartition + id, Sort: "link"} }

func listedLink(workspace, id string) table.Key {
	return table.Key{Partition: workspace + "/invitations", Sort: id}
}

// Invite makes a link by which the person with an e-mail address comes to belong
// to a workspace, in a role. by is the e-mail address of who invites; the token
// stands for the link and is told nowhere else. A *core.Failure says what is
// wrong with address or role.
func (s *Store) Invite(ctx context.Context, workspace, email string, role Role, by string) (l Link, token string, err error) {
	if email, err = CanonicalEmail(email); err != nil {
		return l, "", err
	}
	if err := validRole(role); err != nil {
		return l, "", err
	}
	members, err := s.Members(ctx, workspace)
	if err != nil {
		return l, "", err
	}
	if slices.ContainsFunc(members, func(m Member) bool { return m.Email == email }) {
		return l, "", refuse(core.Conflicting, "email", "'email' is that of somebody who belongs to the workspace already")
	}
	open, err := s.Invitations(ctx, workspace)
	if err != nil {
		return l, "", err
	}
	if len(members)+len(open) >= maxMembers || len(open) >= maxLinks {
		return l, "", refuse(core.OutOfRange, "email", "The workspace has too many people and open invitations: take some back first")
	}
	return s.link(ctx, Link{Workspace: workspace, Role: role, Email: email, CreatedBy: by}, linkLife)
}

// AdminLink makes a link by which whoever has it becomes an admin of a workspace.
// It is for the operator of the deployment.
func (s *Store) AdminLink(ctx context.Context, workspace string) (token string, err error) {
	_, token, err = s.link(ctx, Link{Workspace: workspace, Role: Admin}, operatorLinkLife)
	return token, err
}

// PasswordLink makes a link by which the person with an e-mail address chooses a
// new password. It is for the operator of the deployment: an admin of one
// workspace must not get at what the person may do in others.
func (s *Store) PasswordLink(ctx context.Context, email string) (token string, err error) {
	if email, err = CanonicalEmail(email); err != nil {
		return "", err
	}
	_, version, err := s.account(ctx, personID(email))
	switch {
	case err != nil:
		return "", err
	case version == 0:
		return "", refuse(core.NotFound, "email", "There is nobody with that e-mail address")
	}
	_, token, err = s.link(ctx, Link{Email: email}, operatorLinkLife)
	return token, err
}

func (s *Store) link(ctx context.Context, l Link, life time.Duration) (Link, string, error) {
	token, now := newSecret(), s.now()
	l.ID, l.Created, l.Expires = digest(token), now.UnixMilli(), now.Add(life).UnixMilli()
	version := freshVersion()
	put, err := putJSON(linkKey(l.ID), version, l.Expires, l, table.Absent())
	if err != nil {
		return l, "", err
	}
	ops := []table.Op{put}
	if l.Email != "" && l.Workspace != "" {
		listed := put
		listed.Item.Key = listedLink(l.Workspace, l.ID)
		ops = append(ops, listed)
	}
	return l, token, s.table.Transact(ctx, ops, nil)
}

// Invitations returns the open invitations of a workspace, the newest first.
func (s *Store) Invitations(ctx context.Context, workspace string) ([]Link, error) {
	items, err := s.table.Query(ctx, table.Query{Partition: listedLink(workspace, "").Partition, Limit: maxLinks + 1, Consistent: true})
	if err != nil {
		return nil, err
	}
	links := make([]Link, len(items))
	for i := range items {
		if err := json.Unmarshal(items[i].Body, &links[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(links, func(a, b Link) int { return int(max(min(b.Created-a.Created, 1), -1)) })
	return links, nil
}

// TakeBack makes an open invitation of a workspace good for nothing, and returns
// it. A *core.Failure says that there is no such invitation.
func (s *Store) TakeBack(ctx context.Context, workspace, id string) (l Link, err error) {
	none := refuse(core.NotFound, "id", "Invitation not found")
	if id == "" {
		return l, none
	}
	items, err := s.table.Get(ctx, []table.Key{listedLink(workspace, id)}, true)
	switch {
	case err != nil:
		return l, err
	case !items[0].Exists():
		return l, none
	}
	if err := json.Unmarshal(items[0].Body, &l); err != nil {
		return l, err
	}
	return l, s.table.Transact(ctx, []table.Op{
		table.Delete(linkKey(id), table.Condition{}), table.Delete(listedLink(workspace, id), table.Condition{}),
	}, nil)
}

// Link returns the link that a token stands for, and whether the person it is for
// is known already and so has a password; ErrNoLink when there is none.
func (s *Store) Link(ctx context.Context, token string) (l Link, known bool, err error) {
	l, _, err = s.stored(ctx, token)
	if err != nil || l.Email == "" {
		return l, false, err
	}
	_, version, err := s.account(ctx, personID(l.Email))
	return l, version != 0, err
}

func (s *Store) stored(ctx context.Context, token string) (l Link, version int64, err error) {
	items, err := s.table.Get(ctx, []table.Key{linkKey(digest(token))}, true)
	switch {
	case err != nil:
		return l, 0, err
	case !items[0].Exists():
		return l, 0, ErrNoLink
	}
	return l, items[0].Version, json.Unmarshal(items[0].Body, &l)
}

// Arrival is what a person enters who comes by a link.
type Arrival struct {
	// Email is needed where the link names nobody, and Name of who is new.
	Email, Name string
	// Password is the one that who is known has, and who is new or has forgotten
	// theirs chooses.
	Password string
}

// Accept uses a link up and signs the person in who came by it, into the workspace
// it invites to. It fails with ErrNoLink; with ErrWrong or a *TooMany when somebody
// who is known does not give their password; with a *core.Failure for what is not
// fit. It returns the link that was used.
func (s *Store) Accept(ctx context.Context, token string, a Arrival, from Client) (l Link, session string, err error) {
	err = attempt(func() error {
		l, session, err = s.accept(ctx, token, a, from)
		return err
	})
	if errors.Is(err, table.ErrConflict) {
		err = fmt.Errorf("%w: %w", table.ErrUnavailable, err)
	}
	return l, session, err
}

func (s *Store) accept(ctx context.Context, token string, a Arrival, from Client) (l Link, session string, err error) {
	l, linkVersion, err := s.stored(ctx, token)
	if err != nil {
		return l, "", err
	}
	email := l.Email
	if email == "" {
		if email, err = CanonicalEmail(a.Email); err != nil {
			return l, "", err
		}
	}
	person, version, err := s.account(ctx, personID(email))
	if err != nil {
		return l, "", err
	}
	known, forgotten := version != 0, l.Workspace == ""
	switch {
	case forgotten:
		if err := s.choose(ctx, &person, a.Password); err != nil {
			return l, "", err
		}
	case known:
		settle, err := s.admit(ctx, email, from.Address)
		if err != nil {
			return l, "", err
		}
		switch ok, err := s.matches(ctx, a.Password, person.Password); {
		case err != nil:
			return l, "", err
		case !ok:
			return l, "", ErrWrong
		}
		if err := settle(); err != nil {
			return l, "", err
		}
	default:
		name, err := canonicalName(a.Name)
		if err != nil {
			return l, "", err
		}
		person = account{Person: Person{ID: personID(email), Email: email, Name: name}, Created: s.now().UnixMilli()}
		if err := s.choose(ctx, &person, a.Password); err != nil {
			return l, "", err
		}
	}
	ops := []table.Op{table.Delete(linkKey(l.ID), table.VersionIs(linkVersion))}
	if !forgotten {
		joined, err := s.join(ctx, &person, l)
		if err != nil {
			return l, "", err
		}
		ops = append(ops, joined...)
	}
	put, err := s.putAccount(person, version)
	if err != nil {
		return l, "", err
	}
	if err := s.table.Transact(ctx, append(ops, put), nil); err != nil {
		return l, "", err
	}
	if forgotten {
		if err := s.endSessions(ctx, person.ID, ""); err != nil {
			return l, "", err
		}
	}
	l.Email = email
	session, err = s.begin(ctx, person.Person, l.Workspace, from)
	return l, session, err
}

// choose gives a person the password they have chosen.
func (s *Store) choose(ctx context.Context, a *account, password string) (err error) {
	if err = validPassword(password, a.Email); err == nil {
		a.Password, err = s.hash(ctx, password)
	}
	return err
}

// join returns the operations besides that of the person's own item by which a
// person comes to belong to the workspace of a link. Whoever belongs to it with
// more rights keeps them.
func (s *Store) join(ctx context.Context, a *account, l Link) ([]table.Op, error) {
	serial, err := s.serialised(ctx, l.Workspace)
	if err != nil {
		return nil, err
	}
	if !a.Memberships[l.Workspace].Covers(l.Role) {
		memberships := map[string]Role{l.Workspace: l.Role}
		for name, role := range a.Memberships {
			if name != l.Workspace {
				memberships[name] = role
			}
		}
		a.Memberships = memberships
	}
	listed, err := putJSON(memberKey(l.Workspace, a.ID), s.nextVersion(0), 0,
		Member{ID: a.ID, Email: a.Email, Name: a.Name, Role: a.Memberships[l.Workspace], Since: s.now().UnixMilli()}, table.Condition{})
	if err != nil {
		return nil, err
	}
	return []table.Op{listed, serial, table.Delete(listedLink(l.Workspace, l.ID), table.Condition{})}, nil
}
