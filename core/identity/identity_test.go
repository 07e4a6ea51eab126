package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/identity"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

// world is a store of people whose clock moves when the test says so.
type world struct {
	*testing.T
	*identity.Store
	table table.Table
	ms    atomic.Int64
}

func (w *world) Now() time.Time          { return time.UnixMilli(w.ms.Load()) }
func (w *world) advance(d time.Duration) { w.ms.Add(d.Milliseconds()) }

func open(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	w.ms.Store(1_700_000_000_000)
	store, err := embedded.Open(t.TempDir(), embedded.Options{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.table = store
	w.Store = identity.New(store, identity.Options{Now: w.Now})
	return w
}

const (
	ann, ben  = "ann@example.com", "ben@example.com"
	password  = "not a real password"
	password2 = "another unreal one"
)

var browser = identity.Client{Address: "192.0.2.1", Agent: "Browser/1"}

// admin makes somebody an admin of a workspace by the operator's link, and returns
// their session.
func (w *world) admin(workspace, email string) *identity.Session {
	w.Helper()
	link, err := w.AdminLink(w.Context(), workspace)
	if err != nil {
		w.Fatal(err)
	}
	_, token, err := w.Accept(w.Context(), link, identity.Arrival{Email: email, Name: "Name", Password: password}, browser)
	if err != nil {
		w.Fatal(err)
	}
	return w.session(token)
}

// member invites somebody, who accepts.
func (w *world) member(workspace, email string, role identity.Role) *identity.Session {
	w.Helper()
	_, link, err := w.Invite(w.Context(), workspace, email, role, ann)
	if err != nil {
		w.Fatal(err)
	}
	_, token, err := w.Accept(w.Context(), link, identity.Arrival{Name: "Name", Password: password}, browser)
	if err != nil {
		w.Fatal(err)
	}
	return w.session(token)
}

func (w *world) session(token string) *identity.Session {
	w.Helper()
	s, err := w.Session(w.Context(), token)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// signIn signs in and returns the token.
func (w *world) signIn(email string) string {
	w.Helper()
	token, err := w.SignIn(w.Context(), email, password, browser)
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// refused reports whether err is a failure with that code and field.
func refused(err error, code core.Code, field string) bool {
	failure, ok := errors.AsType[*core.Failure](err)
	return ok && failure.Code == code && failure.Field == field
}

func TestTheFirstAdminComesByALinkOnce(t *testing.T) {
	w := open(t)
	link, err := w.AdminLink(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	arrival := identity.Arrival{Email: "  Ann@Example.com ", Name: " Ann ", Password: password}
	_, token, err := w.Accept(t.Context(), link, arrival, browser)
	if err != nil {
		t.Fatal(err)
	}
	s := w.session(token)
	if s.Person.Email != ann || s.Person.Name != "Ann" || s.Workspace != "acme" || s.Role != identity.Admin {
		t.Errorf("%+v", s)
	}
	if _, _, err := w.Accept(t.Context(), link, arrival, browser); !errors.Is(err, identity.ErrNoLink) {
		t.Errorf("used twice: %v", err)
	}
	late, err := w.AdminLink(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	w.advance(24 * time.Hour)
	if _, _, err := w.Link(t.Context(), late); !errors.Is(err, identity.ErrNoLink) {
		t.Errorf("a day later: %v", err)
	}
}

func TestALinkUsedByManyAtOnceLetsOneIn(t *testing.T) {
	w := open(t)
	link, err := w.AdminLink(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	var in, out atomic.Int64
	var group sync.WaitGroup
	for n := range 6 {
		group.Go(func() {
			_, _, err := w.Accept(t.Context(), link, identity.Arrival{Email: fmt.Sprintf("p%d@example.com", n), Name: "N", Password: password}, browser)
			switch {
			case err == nil:
				in.Add(1)
			case errors.Is(err, identity.ErrNoLink):
				out.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if in.Load() != 1 || out.Load() != 5 {
		t.Errorf("%d came in, %d did not", in.Load(), out.Load())
	}
	if members, err := w.Members(t.Context(), "acme"); err != nil || len(members) != 1 {
		t.Errorf("%v, %v", members, err)
	}
}

func TestWhoArrivesIsValidated(t *testing.T) {
	w := open(t)
	link, err := w.AdminLink(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		arrival identity.Arrival
		code    core.Code
		field   string
	}{
		{identity.Arrival{Email: "", Name: "N", Password: password}, core.MissingField, "email"},
		{identity.Arrival{Email: "ann", Name: "N", Password: password}, core.Malformed, "email"},
		{identity.Arrival{Email: "Ann <ann@example.com>", Name: "N", Password: password}, core.Malformed, "email"},
		{identity.Arrival{Email: strings.Repeat("a", 250) + "@example.com", Name: "N", Password: password}, core.TooLong, "email"},
		{identity.Arrival{Email: ann, Name: " ", Password: password}, core.MissingField, "name"},
		{identity.Arrival{Email: ann, Name: "a\nb", Password: password}, core.Malformed, "name"},
		{identity.Arrival{Email: ann, Name: strings.Repeat("é", 121), Password: password}, core.TooLong, "name"},
		{identity.Arrival{Email: ann, Name: "N", Password: ""}, core.MissingField, "password"},
		{identity.Arrival{Email: ann, Name: "N", Password: "short passw"}, core.OutOfRange, "password"},
		{identity.Arrival{Email: ann, Name: "N", Password: strings.Repeat("long words ", 24)}, core.TooLong, "password"},
		{identity.Arrival{Email: ann, Name: "N", Password: "aaaaaaaabbbbbbbb"}, core.OutOfRange, "password"},
		{identity.Arrival{Email: ann, Name: "N", Password: "Password12345"}, core.OutOfRange, "password"},
		{identity.Arrival{Email: ann, Name: "N", Password: "is ann@example.com"}, core.OutOfRange, "password"},
	} {
		if _, _, err := w.Accept(t.Context(), link, bad.arrival, browser); !refused(err, bad.code, bad.field) {
			t.Errorf("%+v: %v", bad.arrival, err)
		}
	}
	if _, _, err := w.Link(t.Context(), link); err != nil {
		t.Errorf("afterwards the link is gone: %v", err)
	}
}

func TestSigningInNeedsAddressAndPassword(t *testing.T) {
	w := open(t)
	w.admin("acme", ann)
	w.signIn(" ANN@example.com")
	for email, p := range map[string]string{ann: password2, ben: password, "": password, "x": "", "ann@example.co": password} {
		if _, err := w.SignIn(t.Context(), email, p, browser); !errors.Is(err, identity.ErrWrong) {
			t.Errorf("%q: %v", email, err)
		}
	}
	if _, err := w.SignIn(t.Context(), ann, strings.Repeat("x", 1<<20), browser); !errors.Is(err, identity.ErrWrong) {
		t.Errorf("an endless password: %v", err)
	}
}

func TestPasswordsAndTokensAreNotStored(t *testing.T) {
	w := open(t)
	s := w.admin("acme", ann)
	token := w.signIn(ann)
	_, secret, _ := strings.Cut(token, ".")
	link, err := w.AdminLink(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, partition := range []string{"~people/" + s.Person.ID, "acme/people", "acme/invitations"} {
		items, err := w.table.Query(t.Context(), table.Query{Partition: partition, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			fmt.Fprintln(&all, item.Key, string(item.Body))
		}
	}
	if !strings.Contains(all.String(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("no argon2id hash in %s", all.String())
	}
	for _, told := range []string{password, secret, link} {
		if strings.Contains(all.String(), told) {
			t.Errorf("%q is stored", told)
		}
	}
}

func TestGuessingIsLimited(t *testing.T) {
	w := open(t)
	w.admin("acme", ann)
	guess := func(email, password, address string) error {
		_, err := w.SignIn(t.Context(), email, password, identity.Client{Address: address})
		return err
	}
	var refusals atomic.Int64
	var group sync.WaitGroup
	for n := range 15 { // at once, so that none may slip by uncounted
		group.Go(func() {
			if _, ok := errors.AsType[*identity.TooMany](guess(ann, fmt.Sprintf("guess number %d", n), "192.0.2.7")); ok {
				refusals.Add(1)
			}
		})
	}
	group.Wait()
	if refusals.Load() != 5 {
		t.Errorf("%d of 15 guesses were refused, want 5", refusals.Load())
	}
	err := guess(ann, password, "192.0.2.7")
	if many, ok := errors.AsType[*identity.TooMany](err); !ok || !many.Until.Equal(w.Now().Add(15*time.Minute)) {
		t.Errorf("the right password after too many guesses: %v", err)
	}
	if err := guess(ann, password, "192.0.2.8"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	w.advance(15 * time.Minute)
	if err := guess(ann, password, "192.0.2.7"); err != nil {
		t.Errorf("later: %v", err)
	}
	for n := range 20 { // one success after another is no guessing
		if err := guess(ann, password, "192.0.2.7"); err != nil {
			t.Fatalf("sign-in %d: %v", n, err)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	w := open(t)
	w.admin("acme", ann)
	token, other := w.signIn(ann), w.signIn(ann)
	s := w.session(token)
	all, err := w.Sessions(t.Context(), s)
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, d := range all {
		if d.Current != (d.ID == s.ID) || d.Agent != "Browser/1" || d.Address != "192.0.2.1" {
			t.Errorf("%+v", d)
		}
	}
	if err := w.EndSession(t.Context(), s, w.session(other).ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Session(t.Context(), other); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("ended: %v", err)
	}
	if err := w.EndOtherSessions(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if all, err := w.Sessions(t.Context(), s); err != nil || len(all) != 1 || !all[0].Current {
		t.Errorf("%+v, %v", all, err)
	}
	for range 13 { // in use, it lasts for a week
		w.advance(11 * time.Hour)
		w.session(token)
	}
	unused := w.signIn(ann)
	w.advance(12 * time.Hour)
	if _, err := w.Session(t.Context(), unused); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("unused: %v", err)
	}
	w.advance(13 * time.Hour)
	if _, err := w.Session(t.Context(), token); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("after a week: %v", err)
	}
	for _, wrong := range []string{"", ".", "x.y", s.Person.ID, s.Person.ID + ".", s.Person.ID + "." + s.ID, strings.Repeat("x", 1000)} {
		if _, err := w.Session(t.Context(), wrong); !errors.Is(err, identity.ErrNoSession) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestFormsBelongToASessionAndAWorkspace(t *testing.T) {
	w := open(t)
	s := w.admin("acme", ann)
	w.admin("globex", ann)
	acme := s.FormToken()
	if !s.ValidFormToken(acme) || s.ValidFormToken("") || s.ValidFormToken(acme+"x") {
		t.Error("form tokens do not tell apart")
	}
	other := w.session(w.signIn(ann))
	if other.ValidFormToken(acme) {
		t.Error("the token of another session is taken")
	}
	fresh := w.session(w.signIn(ann))
	before := fresh.FormToken()
	if err := w.Switch(t.Context(), fresh, "globex"); err != nil {
		t.Fatal(err)
	}
	if fresh.ValidFormToken(before) {
		t.Error("the token of another workspace is taken")
	}
	if err := w.Switch(t.Context(), fresh, "initech"); !refused(err, core.NotFound, "workspace") {
		t.Errorf("somebody else's workspace: %v", err)
	}
}

func TestPeopleBelongToSeveralWorkspaces(t *testing.T) {
	w := open(t)
	w.admin("acme", ann)
	w.admin("globex", ben)
	_, link, err := w.Invite(t.Context(), "globex", ann, identity.Viewer, ben)
	if err != nil {
		t.Fatal(err)
	}
	if l, known, err := w.Link(t.Context(), link); err != nil || !known || l.Email != ann || l.Workspace != "globex" {
		t.Errorf("%+v, %t, %v", l, known, err)
	}
	if _, _, err := w.Accept(t.Context(), link, identity.Arrival{Password: password2, Name: "Mallory"}, browser); !errors.Is(err, identity.ErrWrong) {
		t.Errorf("without her password: %v", err)
	}
	_, token, err := w.Accept(t.Context(), link, identity.Arrival{Password: password}, browser)
	if err != nil {
		t.Fatal(err)
	}
	s := w.session(token)
	if s.Workspace != "globex" || s.Role != identity.Viewer || strings.Join(s.Person.Workspaces(), " ") != "acme globex" {
		t.Errorf("%+v", s)
	}
	if err := w.Switch(t.Context(), s, "acme"); err != nil {
		t.Fatal(err)
	}
	if s = w.session(token); s.Workspace != "acme" || s.Role != identity.Admin {
		t.Errorf("%+v", s)
	}
	if _, err := w.RemoveMember(t.Context(), "globex", s.Person.ID); err != nil {
		t.Fatal(err)
	}
	if s = w.session(token); s.Workspace != "acme" || len(s.Person.Memberships) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRolesChangeAtOnce(t *testing.T) {
	w := open(t)
	a := w.admin("acme", ann)
	link, err := w.AdminLink(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := w.Accept(t.Context(), link, identity.Arrival{Email: ben, Name: "Ben", Password: password}, browser)
	if err != nil {
		t.Fatal(err)
	}
	b := w.session(token)
	if _, err := w.SetRole(t.Context(), "acme", b.Person.ID, identity.Viewer); err != nil {
		t.Fatal(err)
	}
	if s := w.session(token); s.Role != identity.Viewer || s.Role.Covers(identity.Admin) || !s.Role.Covers(identity.Viewer) {
		t.Errorf("%+v", s)
	}
	if members, err := w.Members(t.Context(), "acme"); err != nil || len(members) != 2 || members[1].Role != identity.Viewer {
		t.Errorf("%+v, %v", members, err)
	}
	if _, err := w.SetRole(t.Context(), "acme", b.Person.ID, "owner"); !refused(err, core.NotAChoice, "role") {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"", "unknown", "changes"} {
		if _, err := w.RemoveMember(t.Context(), "acme", id); !refused(err, core.NotFound, "id") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := w.RemoveMember(t.Context(), "globex", b.Person.ID); !refused(err, core.NotFound, "id") {
		t.Errorf("from another workspace: %v", err)
	}
	if _, err := w.SetRole(t.Context(), "acme", a.Person.ID, identity.Viewer); !refused(err, core.Conflicting, "role") {
		t.Errorf("the last admin: %v", err)
	}
	if _, err := w.RemoveMember(t.Context(), "acme", a.Person.ID); !refused(err, core.Conflicting, "role") {
		t.Errorf("the last admin: %v", err)
	}
	if _, err := w.RemoveMember(t.Context(), "acme", b.Person.ID); err != nil {
		t.Fatal(err)
	}
	if s := w.session(token); s.Workspace != "" || s.Role != "" || s.Role.Covers(identity.Viewer) {
		t.Errorf("%+v", s)
	}
}

func TestTwoAdminsCannotRemoveEachOther(t *testing.T) {
	w := open(t)
	for round := range 10 {
		workspace := fmt.Sprintf("acme-%d", round)
		ids := []string{w.admin(workspace, ann).Person.ID, ""}
		link, err := w.AdminLink(t.Context(), workspace)
		if err != nil {
			t.Fatal(err)
		}
		_, token, err := w.Accept(t.Context(), link, identity.Arrival{Email: ben, Name: "Ben", Password: password}, browser)
		if err != nil {
			t.Fatal(err)
		}
		ids[1] = w.session(token).Person.ID
		var removed atomic.Int64
		var group sync.WaitGroup
		for _, id := range ids {
			group.Go(func() {
				if _, err := w.RemoveMember(t.Context(), workspace, id); err == nil {
					removed.Add(1)
				}
			})
		}
		group.Wait()
		if members, err := w.Members(t.Context(), workspace); err != nil || len(members) != 1 || removed.Load() != 1 {
			t.Fatalf("%d removed, %v left, %v", removed.Load(), members, err)
		}
	}
}

func TestInvitationsAreListedAndTakenBack(t *testing.T) {
	w := open(t)
	w.admin("acme", ann)
	l, link, err := w.Invite(t.Context(), "acme", " BEN@example.com", identity.Viewer, ann)
	if err != nil {
		t.Fatal(err)
	}
	if open, err := w.Invitations(t.Context(), "acme"); err != nil || len(open) != 1 || open[0].Email != ben || open[0].CreatedBy != ann {
		t.Errorf("%+v, %v", open, err)
	}
	if _, _, err := w.Invite(t.Context(), "acme", ann, identity.Admin, ann); !refused(err, core.Conflicting, "email") {
		t.Errorf("who belongs to it: %v", err)
	}
	if _, _, err := w.Invite(t.Context(), "acme", ben, "owner", ann); !refused(err, core.NotAChoice, "role") {
		t.Errorf("%v", err)
	}
	if _, err := w.TakeBack(t.Context(), "globex", l.ID); !refused(err, core.NotFound, "id") {
		t.Errorf("from another workspace: %v", err)
	}
	if _, err := w.TakeBack(t.Context(), "acme", l.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Accept(t.Context(), link, identity.Arrival{Name: "Ben", Password: password}, browser); !errors.Is(err, identity.ErrNoLink) {
		t.Errorf("taken back: %v", err)
	}
	w.member("acme", ben, identity.Viewer)
	if open, err := w.Invitations(t.Context(), "acme"); err != nil || len(open) != 0 {
		t.Errorf("accepted: %+v, %v", open, err)
	}
}

func TestPasswordsChange(t *testing.T) {
	w := open(t)
	w.admin("acme", ann)
	token, other := w.signIn(ann), w.signIn(ann)
	s := w.session(token)
	if err := w.ChangePassword(t.Context(), s, password2, password2, browser); !errors.Is(err, identity.ErrWrong) {
		t.Errorf("without the old one: %v", err)
	}
	if err := w.ChangePassword(t.Context(), s, password, "short", browser); !refused(err, core.OutOfRange, "password") {
		t.Errorf("%v", err)
	}
	if err := w.ChangePassword(t.Context(), s, password, password2, browser); err != nil {
		t.Fatal(err)
	}
	w.session(token)
	if _, err := w.Session(t.Context(), other); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("the other session: %v", err)
	}
	if _, err := w.SignIn(t.Context(), ann, password, browser); !errors.Is(err, identity.ErrWrong) {
		t.Errorf("the old password: %v", err)
	}
	if _, err := w.SignIn(t.Context(), ann, password2, browser); err != nil {
		t.Error(err)
	}
}

func TestAForgottenPasswordIsReplacedByTheOperatorsLink(t *testing.T) {
	w := open(t)
	w.admin("acme", ann)
	old := w.signIn(ann)
	if _, err := w.PasswordLink(t.Context(), ben); !refused(err, core.NotFound, "email") {
		t.Errorf("nobody: %v", err)
	}
	link, err := w.PasswordLink(t.Context(), ann)
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := w.Accept(t.Context(), link, identity.Arrival{Email: ben, Name: "Mallory", Password: password2}, browser)
	if err != nil {
		t.Fatal(err)
	}
	if s := w.session(token); s.Person.Email != ann || s.Person.Name != "Name" || s.Role != identity.Admin {
		t.Errorf("%+v", s)
	}
	if _, err := w.Session(t.Context(), old); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("the session before: %v", err)
	}
	if _, err := w.SignIn(t.Context(), ann, password2, browser); err != nil {
		t.Error(err)
	}
}

func TestTheAuditLogTellsTheLatestFirstOverMonths(t *testing.T) {
	w := open(t)
	for n := range 30 {
		if err := w.Record(t.Context(), "acme", identity.Entry{By: ann, Address: "192.0.2.1", Action: "key.created", Object: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
		w.advance(7 * 24 * time.Hour)
	}
	if err := w.Record(t.Context(), "globex", identity.Entry{By: ben, Action: "key.created", Object: "other"}); err != nil {
		t.Fatal(err)
	}
	var seen []string
	before := ""
	for {
		entries, err := w.Audit(t.Context(), "acme", before, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			seen = append(seen, e.Object)
			if e.By != ann || e.Action != "key.created" || e.At == 0 {
				t.Errorf("%+v", e)
			}
		}
		if len(entries) < 7 {
			break
		}
		before = entries[len(entries)-1].ID
	}
	if len(seen) != 30 || seen[0] != "29" || seen[29] != "0" {
		t.Errorf("%q", seen)
	}
	for _, wrong := range []string{"x", "-1", "0000000000000000.x", "7fffffffffffffff.x"} { // an answer, and soon
		if _, err := w.Audit(t.Context(), "acme", wrong, 7); err != nil && !refused(err, core.Malformed, "before") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
