package console

import (
	"errors"

	"tenure/core"
	"tenure/core/identity"
)

// profileData is what a person's page of their own shows.
type profileData struct {
	Person   identity.Person      `json:"person"`
	Sessions []identity.Described `json:"sessions"`
}

func profilePage(s *server, r *request) (view, error) {
	sessions, err := s.Identity.Sessions(r.Context(), r.session)
	return view{template: "profile", title: "Your profile", data: profileData{Person: r.session.Person, Sessions: sessions}}, err
}

func changePassword(s *server, r *request) (view, error) {
	err := s.Identity.ChangePassword(r.Context(), r.session, r.form.Get("old_password"), r.form.Get("password"), r.client())
	if failure := signInFailure(err); failure != nil {
		return view{}, oldPassword(failure)
	}
	r.auditEverywhere("password.changed")
	return view{to: "profile", done: "password-changed"}, nil
}

func endSession(s *server, r *request) (view, error) {
	err := s.Identity.EndSession(r.Context(), r.session, r.PathValue("id"))
	r.auditEverywhere("session.ended")
	return view{to: "profile", done: "session-ended"}, err
}

func endOtherSessions(s *server, r *request) (view, error) {
	r.auditEverywhere("session.ended")
	return view{to: "profile", done: "sessions-ended"}, s.Identity.EndOtherSessions(r.Context(), r.session)
}

// oldPassword says of which field a wrong password is.
func oldPassword(err error) error {
	if failure, ok := errors.AsType[*core.Failure](err); ok && failure.Code == wrongPassword {
		return &core.Failure{Code: wrongPassword, Field: "old_password", Message: "That is not your present password"}
	}
	return err
}

// auditEverywhere has something about the person themselves written into the audit
// logs of all workspaces they belong to.
func (r *request) auditEverywhere(action string) {
	for _, workspace := range r.session.Person.Workspaces() {
		r.auditIn(workspace, action, r.email())
	}
}
