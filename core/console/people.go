package console

import (
	"net/http"

	"tenure/core/identity"
)

// peopleData is what the page of people shows.
type peopleData struct {
	Members     []identity.Member `json:"members"`
	Invitations []identity.Link   `json:"invitations"`
	// Invited is the invitation that was just made, with the only sight there is of
	// its link.
	Invited *invited `json:"invited,omitempty"`
}

// invited is an invitation that was just made.
type invited struct {
	Email string `json:"email"`
	// Path is that of the link, relative to the page.
	Path string `json:"path"`
}

// Roles returns the roles that people can have.
func (peopleData) Roles() []identity.Role { return []identity.Role{identity.Viewer, identity.Admin} }

func peoplePage(s *server, r *request) (view, error) { return s.peopleView(r, nil) }

func (s *server) peopleView(r *request, made *invited) (view, error) {
	data := peopleData{Invited: made}
	var err error
	if data.Members, err = s.Identity.Members(r.Context(), r.workspace()); err != nil {
		return view{}, err
	}
	data.Invitations, err = s.Identity.Invitations(r.Context(), r.workspace())
	return view{template: "people", title: "People", data: data}, err
}

func invite(s *server, r *request) (view, error) {
	link, token, err := s.Identity.Invite(r.Context(), r.workspace(), r.form.Get("email"), identity.Role(r.form.Get("role")), r.email())
	if err != nil {
		return view{}, err
	}
	r.audit("member.invited", link.Email+" as "+string(link.Role))
	r.form.Del("email")
	v, err := s.peopleView(r, &invited{Email: link.Email, Path: r.up + "welcome/" + token})
	v.status = http.StatusCreated
	return v, err
}

func takeBack(s *server, r *request) (view, error) {
	link, err := s.Identity.TakeBack(r.Context(), r.workspace(), r.PathValue("id"))
	if err == nil {
		r.audit("invitation.taken_back", link.Email)
	}
	return view{to: "people", done: "taken-back"}, err
}

func setRole(s *server, r *request) (view, error) {
	m, err := s.Identity.SetRole(r.Context(), r.workspace(), r.PathValue("id"), identity.Role(r.form.Get("role")))
	if err == nil {
		r.audit("member.role_changed", m.Email+" to "+string(m.Role))
	}
	return view{to: "people", done: "role-changed"}, err
}

func removeMember(s *server, r *request) (view, error) {
	m, err := s.Identity.RemoveMember(r.Context(), r.workspace(), r.PathValue("id"))
	if err == nil {
		r.audit("member.removed", m.Email)
	}
	return view{to: "people", done: "member-removed"}, err
}

// auditAtOnce is how many entries of the audit log a page shows.
const auditAtOnce = 100

// auditData is what the page of the audit log shows.
type auditData struct {
	Entries []identity.Entry `json:"entries"`
	// Before is what the next page begins after; empty on the last one.
	Before string `json:"before,omitempty"`
}

func auditPage(s *server, r *request) (view, error) {
	entries, err := s.Identity.Audit(r.Context(), r.workspace(), r.URL.Query().Get("before"), auditAtOnce+1)
	data := auditData{Entries: entries}
	if len(entries) > auditAtOnce {
		data.Entries, data.Before = entries[:auditAtOnce], entries[auditAtOnce-1].ID
	}
	return view{template: "audit", title: "Audit log", data: data}, err
}
