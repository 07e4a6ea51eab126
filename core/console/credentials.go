package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/identity"
	"tenure/core/sources"
)

// checkPatience is how long a system may take to answer whether the credentials are
// good: no longer than somebody looks at a page that does not come.
const checkPatience = 20 * time.Second

// credentialRoutes are the pages of credentials. What is stored is said by name, and
// shown nowhere.
func credentialRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/credentials", role: identity.Viewer, serve: credentialsPage},
		{method: http.MethodGet, path: "/sources/{id}/credentials", role: identity.Viewer, serve: credentialPage},
		{method: http.MethodPost, path: "/sources/{id}/credentials", role: identity.Admin, serve: storeCredentials, form: credentialPage},
		{method: http.MethodPost, path: "/sources/{id}/credentials/check", role: identity.Admin, serve: checkCredentials, form: credentialPage},
		{method: http.MethodPost, path: "/sources/{id}/credentials/delete", role: identity.Admin, serve: deleteCredentials, form: credentialPage},
	}
}

// credentialsData is what Manage Credentials shows.
type credentialsData struct {
	Sources []*source `json:"sources"`
}

func credentialsPage(s *server, r *request) (view, error) {
	data := credentialsData{Sources: []*source{}}
	statuses, err := s.Sources.Statuses(r.Context(), r.workspace())
	for _, status := range statuses {
		if of := s.sourceOf(status); !of.Ended {
			data.Sources = append(data.Sources, of)
		}
	}
	return view{template: "credentials", title: "Credentials", data: data}, err
}

// credentialData is what the page of one source's credentials shows.
type credentialData struct {
	Source *source `json:"source"`
	// Ways are the ways to authenticate.
	Ways []way `json:"ways"`
	// Whose is the name of the source whose credentials it uses, if not its own.
	Whose string `json:"whose,omitempty"`
	// Checked is what came of the check that was just made.
	Checked *checked `json:"checked,omitempty"`
}

// way is a way to authenticate.
type way struct {
	Name   string       `json:"name"`
	Title  string       `json:"title"`
	Fields []credential `json:"fields"`
	// Grants says that a person has to grant access besides.
	Grants bool `json:"grants,omitempty"`
}

// credential is a setting of a way to authenticate.
type credential struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Doc      string   `json:"doc"`
	Secret   bool     `json:"secret,omitempty"`
	Required bool     `json:"required,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	// Given says that one is stored.
	Given bool `json:"given,omitempty"`
}

// checked is what came of a check.
type checked struct {
	Works bool `json:"works"`
	// Message is what the system, or nobody, has answered.
	Message string `json:"message,omitempty"`
}

func credentialPage(s *server, r *request) (view, error) { return s.credentialView(r, nil) }

func (s *server) credentialView(r *request, result *checked) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	data := credentialData{Source: of, Ways: []way{}, Checked: result}
	if of.Source.Credentials != "" {
		owner, err := s.Sources.Get(r.Context(), r.workspace(), of.Source.Credentials)
		if err != nil {
			return view{}, err
		}
		data.Whose = owner.Name
	}
	for _, a := range s.Sources.Connector(of.Source.Connector).Auth {
		w := way{Name: a.Name, Title: a.Title, Grants: a.OAuth != nil && a.OAuth.Grant == connector.AuthorizationCode}
		for _, setting := range a.Settings {
			w.Fields = append(w.Fields, credential{Name: setting.Name, Title: setting.Title, Doc: setting.Doc, Secret: setting.Secret, Required: setting.Required,
				Choices: setting.Choices, Given: of.given(a.Name, setting.Name)})
		}
		data.Ways = append(data.Ways, w)
	}
	return view{template: "credential", title: "Credentials of " + of.Source.Name, data: data}, nil
}

// given reports whether a setting of a way to authenticate is stored.
func (s *source) given(auth, name string) bool {
	c := s.Credential
	if c == nil || c.Auth != auth {
		return false
	}
	for _, given := range c.Given {
		if given == name {
			return true
		}
	}
	return false
}

func storeCredentials(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	values := map[string]string{}
	auth := r.form.Get("auth")
	for _, a := range s.Sources.Connector(of.Source.Connector).Auth {
		for _, setting := range a.Settings {
			if a.Name == auth && r.form.Has("credentials."+setting.Name) {
				values[setting.Name] = r.form.Get("credentials." + setting.Name)
				r.form.Del("credentials." + setting.Name) // it is not shown again
			}
		}
	}
	if err := s.Sources.SetCredentials(r.Context(), r.workspace(), of.Source, auth, values, r.email()); err != nil {
		return view{}, err
	}
	r.audit("credentials.stored", of.Source.Name)
	return view{to: "sources/" + of.Source.ID + "/credentials", done: "credentials-stored"}, nil
}

func deleteCredentials(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	if of.Source.Credentials != "" {
		return view{}, &core.Failure{Code: core.Conflicting, Field: "credentials", Message: "The source uses those of another one: delete them there"}
	}
	if err := s.Sources.DeleteCredentials(r.Context(), r.workspace(), of.Source); err != nil {
		return view{}, err
	}
	r.audit("credentials.deleted", of.Source.Name)
	return view{to: "sources/" + of.Source.ID + "/credentials", done: "credentials-deleted"}, nil
}

func checkCredentials(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkPatience)
	defer cancel()
	result := &checked{Works: true}
	switch err := s.Sources.Check(ctx, r.workspace(), of.Source.ID); {
	case err == nil:
	case r.Context().Err() != nil:
		return view{}, r.Context().Err()
	case errors.Is(err, context.DeadlineExceeded):
		result = &checked{Message: "It does not answer in time"}
	case sources.Tells(err):
		result = &checked{Message: err.Error()}
	default:
		return view{}, err
	}
	r.audit("credentials.checked", of.Source.Name)
	return s.credentialView(r, result)
}
