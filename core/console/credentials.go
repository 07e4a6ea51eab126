package console

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tenure/core"
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
		{method: http.MethodPost, path: "/sources/{id}/connect", role: identity.Admin, serve: connectSource, form: credentialPage},
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
	// App says that the deployment has an app for the system, which is used where no
	// credentials are stored.
	App bool `json:"app,omitempty"`
	// Redirect is where people come back to who have granted access: it has to be
	// registered with the system's app.
	Redirect string `json:"redirect,omitempty"`
	// Checked is what came of the check that was just made.
	Checked *checked `json:"checked,omitempty"`
}

// Connects reports whether a person may grant access now.
func (d credentialData) Connects() bool {
	c := d.Source.Credential
	if c == nil || c.App {
		return d.App
	}
	return slices.ContainsFunc(d.Ways, func(w way) bool { return w.Grants && c.Auth == w.Name })
}

// way is a way to authenticate.
type way struct {
	Name   string    `json:"name"`
	Title  string    `json:"title"`
	Fields []setting `json:"fields"`
	// Grants says that a person has to grant access besides.
	Grants bool `json:"grants,omitempty"`
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
	c := s.Sources.Connector(of.Source.Connector)
	if c.Granting() != nil {
		app, err := s.Sources.App(r.Context(), c.Name)
		if err != nil {
			return view{}, err
		}
		data.App = app != nil && app.Auth == c.Granting().Name
	}
	for _, a := range c.Auth {
		w := way{Name: a.Name, Title: a.Title, Grants: a.Grants(), Fields: settingsOf(a.Settings, "credentials", a.Name)}
		for i := range w.Fields {
			w.Fields[i].Given = of.given(a.Name, w.Fields[i].Name)
		}
		if data.Ways = append(data.Ways, w); w.Grants {
			data.Redirect = s.redirectURI(r)
		}
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
	result, err := r.tried(func(ctx context.Context) error { return s.Sources.Check(ctx, r.workspace(), of.Source.ID) })
	if err != nil {
		return view{}, err
	}
	r.audit("credentials.checked", of.Source.Name)
	return s.credentialView(r, result)
}

// ParseURL reads the URL of the console as browsers know it: where BasePath + "/" is,
// behind whatever stands in front. Its errors say what is wrong with it.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("it is no URL such as https://tenure.example.com" + BasePath + "/")
	}
	address := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || address != nil && address.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return nil, errors.New("it must begin with https://, for codes and sessions travel there; http:// will do on this machine alone")
	}
	if u.Path = strings.TrimSuffix(u.Path, "/"); !strings.HasSuffix(u.Path, BasePath) || u.RawPath != "" {
		return nil, errors.New("it must end in " + BasePath + "/")
	}
	u.Path += "/"
	return u, nil
}

// tried says what came of asking another system for something, which may take as
// long as somebody looks at a page that does not come. An error is none of the
// system's doing.
func (r *request) tried(ask func(context.Context) error) (*checked, error) {
	ctx, cancel := context.WithTimeout(r.Context(), checkPatience)
	defer cancel()
	switch err := ask(ctx); {
	case err == nil:
		return &checked{Works: true}, nil
	case r.Context().Err() != nil:
		return nil, r.Context().Err()
	case errors.Is(err, context.DeadlineExceeded):
		return &checked{Message: "It does not answer in time"}, nil
	case sources.Tells(err):
		return &checked{Message: err.Error()}, nil
	default:
		return nil, err
	}
}

// outside returns the URL of BasePath + "/" as browsers know it. Where nobody has said
// which that is, it is that of the request. Who stands in front may have added to the
// path then, which the page that the request comes from tells.
func (s *server) outside(r *request) string {
	if s.URL != nil {
		return s.URL.String()
	}
	if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
		if before, _, ok := strings.Cut(from.EscapedPath(), BasePath+"/"); ok {
			return from.Scheme + "://" + from.Host + before + BasePath + "/"
		}
	}
	scheme := "http"
	if s.secure(r.Request) {
		scheme = "https"
	}
	return scheme + "://" + r.Host + BasePath + "/"
}
