package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tenure/core"
	"tenure/core/identity"
)

// cookieName returns the name of the session's cookie. Where it travels by HTTPS
// alone, its name has browsers hold it to this host.
func (s *server) cookieName(r *http.Request) string {
	if s.secure(r) {
		return "__Host-tenure"
	}
	return "tenure"
}

// setCookie has the browser keep a session's token; empty ends it.
func (s *server) setCookie(w http.ResponseWriter, r *http.Request, token string) {
	c := &http.Cookie{
		Name: s.cookieName(r), Value: token, Path: "/", HttpOnly: true, Secure: s.secure(r), SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// signedIn returns the session of a request; nil when there is none.
func (s *server) signedIn(r *http.Request) (*identity.Session, error) {
	c, err := r.Cookie(s.cookieName(r))
	if err != nil {
		return nil, nil
	}
	session, err := s.Identity.Session(r.Context(), c.Value)
	if errors.Is(err, identity.ErrNoSession) {
		return nil, nil
	}
	return session, err
}

// next returns the page that a person wanted to see before they had to sign in:
// only one of these pages will do.
func next(r *request) string {
	to := r.form.Get("next")
	if to == "" {
		to = r.URL.Query().Get("next")
	}
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(to, "/") || strings.ContainsAny(to, "\\:") || strings.Contains(to, "..") {
		return ""
	}
	return to
}

// signInData is what the page for signing in shows.
type signInData struct {
	Next string `json:"next"`
}

func signInPage(s *server, r *request) (view, error) {
	return view{template: "sign-in", title: "Sign in", data: signInData{Next: next(r)}}, nil
}

// wrongPassword is the code of a password that is not the one of the person.
const wrongPassword core.Code = "wrong_password"

// signInFailure says why nobody was signed in.
func signInFailure(err error) error {
	if many, ok := errors.AsType[*identity.TooMany](err); ok {
		return &core.Failure{Code: "too_many_attempts", Field: "password",
			Message: fmt.Sprintf("There were too many attempts to sign in. The next one is taken at %s", many.Until.UTC().Format("15:04 UTC"))}
	}
	if errors.Is(err, identity.ErrWrong) {
		return &core.Failure{Code: wrongPassword, Field: "password", Message: "The e-mail address or the password is wrong"}
	}
	return err
}

func signIn(s *server, r *request) (view, error) {
	token, err := s.Identity.SignIn(r.Context(), r.form.Get("email"), r.form.Get("password"), r.client())
	if err != nil {
		return view{}, signInFailure(err)
	}
	return view{to: next(r), cookie: &token}, nil
}

func signOut(s *server, r *request) (view, error) {
	none := ""
	return view{to: "sign-in", done: "signed-out", cookie: &none}, s.Identity.EndSession(r.Context(), r.session, r.session.ID)
}

func switchWorkspace(s *server, r *request) (view, error) {
	return view{done: "workspace-changed"}, s.Identity.Switch(r.Context(), r.session, r.form.Get("workspace"))
}

// welcomeData is what the page of a one-time link shows.
type welcomeData struct {
	Link identity.Link `json:"link"`
	// Known says that the person has a password already.
	Known bool `json:"known"`
	// Forgotten says that the link is for choosing a new password.
	Forgotten bool `json:"forgotten"`
}

func welcomePage(s *server, r *request) (view, error) {
	link, known, err := s.Identity.Link(r.Context(), r.PathValue("token"))
	if err != nil {
		return view{}, linkFailure(err)
	}
	link.ID = "" // it is nobody's business
	title := "Welcome"
	if link.Workspace == "" {
		title = "Choose a new password"
	}
	return view{template: "welcome", title: title, data: welcomeData{Link: link, Known: known, Forgotten: link.Workspace == ""}}, nil
}

func linkFailure(err error) error {
	if errors.Is(err, identity.ErrNoLink) {
		return &core.Failure{Code: core.NotFound,
			Message: "This link was used before, was taken back, or is too old. Ask who sent it for another one"}
	}
	return signInFailure(err)
}

func welcome(s *server, r *request) (view, error) {
	link, token, err := s.Identity.Accept(r.Context(), r.PathValue("token"), identity.Arrival{
		Email: r.form.Get("email"), Name: r.form.Get("name"), Password: r.form.Get("password"),
	}, r.client())
	if err != nil {
		return view{}, linkFailure(err)
	}
	if link.Workspace != "" {
		r.auditIn(link.Workspace, "member.joined", link.Email+" as "+string(link.Role))
	}
	return view{cookie: &token}, nil
}
