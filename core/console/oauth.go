package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/identity"
	"tenure/core/sources"
)

// oauthRoutes are the page of what people have granted access to, what begins and ends
// that, and where people come back to.
func oauthRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/oauth", role: identity.Viewer, serve: oauthPage},
		{method: http.MethodPost, path: "/oauth/connect", role: identity.Admin, serve: connectSystem, form: oauthPage},
		{method: http.MethodGet, path: "/oauth/callback", role: identity.Admin, serve: granted, form: oauthPage},
		{method: http.MethodPost, path: "/sources/{id}/disconnect", role: identity.Admin, serve: disconnectSource},
	}
}

// granting is how far access to a source's system is granted.
type granting string

const (
	noApp        granting = "no_app"       // the app's id and secret are not stored
	anotherWay   granting = "another_way"  // it authenticates without a grant
	notConnected granting = "disconnected" // nobody has granted access
	lapsed       granting = "lapsed"       // access has to be granted again
	connected    granting = "connected"
)

// Words returns it for people.
func (g granting) Words() string {
	return map[granting]string{noApp: "No app", anotherWay: "Another way is used", notConnected: "Not connected", lapsed: "Has to be granted again", connected: "Connected"}[g]
}

// Mark returns the class, and the icon, of the tag that says it; empty for what needs
// nobody's care.
func (g granting) Mark() string {
	return map[granting]string{noApp: "warn", notConnected: "warn", lapsed: "bad", connected: "good"}[g]
}

// grantedSource is a source with a system that people grant access to.
type grantedSource struct {
	*source
	Access granting `json:"access"`
	// Asked are the scopes that are asked for; none where the system has its own.
	Asked []string `json:"scopes_asked"`
	// NotGranted are those of them that were not granted.
	NotGranted []string `json:"scopes_not_granted,omitempty"`
	// Whose is the name of the source whose credentials it uses, if not its own.
	Whose string `json:"whose,omitempty"`
	// Shared says that the app is, or would be, that of the deployment.
	Shared bool `json:"shared_app,omitempty"`

	now int64
}

// Scopes returns the scopes that were granted, or are those asked for where the system
// has not said which; none where nobody has granted access.
func (g grantedSource) Scopes() []string {
	switch {
	case g.Credential == nil || !g.Credential.Granted:
		return nil
	case g.Credential.Scopes == nil:
		return g.Asked
	}
	return g.Credential.Scopes
}

// Fresh reports whether the access token has not expired.
func (g grantedSource) Fresh() bool { return g.Credential.TokenExpires > g.now }

// oauthSystem is a system that people grant access to.
type oauthSystem struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// App says that the deployment has an app, for the sources that have none.
	App bool `json:"app"`
	// Sources are those that access can be granted to.
	Sources []option `json:"sources"`
}

// oauthData is what Manage OAuth shows.
type oauthData struct {
	Sources []grantedSource `json:"sources"`
	// Systems are those that there are.
	Systems []oauthSystem `json:"systems"`
	// Redirect is where people come back to who have granted access: it has to be
	// registered with each system's app.
	Redirect string `json:"redirect"`
}

func oauthPage(s *server, r *request) (view, error) {
	data := oauthData{Sources: []grantedSource{}, Systems: []oauthSystem{}, Redirect: s.redirectURI(r)}
	statuses, err := s.Sources.Statuses(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	apps, err := s.Sources.Apps(r.Context())
	if err != nil {
		return view{}, err
	}
	names := map[string]string{}
	for _, status := range statuses {
		names[status.Source.ID] = status.Source.Name
	}
	for _, c := range s.Sources.Connectors {
		way := c.Granting()
		if way == nil {
			continue
		}
		system := oauthSystem{Name: c.Name, Title: c.Title, App: apps[c.Name].Auth == way.Name, Sources: []option{}}
		for _, status := range statuses {
			if status.Source.Connector != c.Name {
				continue
			}
			g := grantedSource{source: s.sourceOf(status), Asked: []string{}, Whose: names[status.Source.Credentials], now: s.Now().UnixMilli()}
			g.Access = s.granting(g.source, system.App)
			if g.Whose == "" {
				system.Sources = append(system.Sources, option{Value: g.Source.ID, Title: g.Source.Name, Chosen: g.Source.ID == r.form.Get("connect")})
				g.Shared = system.App && (g.Credential == nil || g.Credential.App)
			}
			scopes, err := s.Sources.Scopes(r.Context(), g.Source, way.Name)
			if err != nil && !sources.Tells(err) {
				return view{}, err
			}
			g.Asked = append(g.Asked, scopes...)
			if g.Credential != nil {
				g.NotGranted = g.Credential.NotGranted(g.Asked)
			}
			data.Sources = append(data.Sources, g)
		}
		data.Systems = append(data.Systems, system)
	}
	return view{template: "oauth", title: "OAuth", section: "oauth", data: data}, nil
}

// granting returns how far access to a source's system is granted; app says that the
// deployment has an app.
func (s *server) granting(of *source, app bool) granting {
	c := of.Credential
	switch {
	case c == nil && !app, c != nil && c.App && !app:
		return noApp
	case c == nil:
		return notConnected
	case !grantedBy(s.Sources.Connector(of.Source.Connector), c):
		return anotherWay
	case c.Refused, c.Ends() != 0 && c.Ends() <= s.Now().UnixMilli():
		return lapsed
	case !c.Granted:
		return notConnected
	}
	return connected
}

// grantedBy reports whether credentials are a way in which a person grants access.
func grantedBy(of *connector.Connector, c *sources.Credential) bool {
	return slices.ContainsFunc(of.Auth, func(a connector.Auth) bool { return a.Name == c.Auth && a.Grants() })
}

// connectSystem takes up somebody who has chosen what to connect: a source, whose app
// is stored first if need be, or a system, a source of which is added first.
func connectSystem(s *server, r *request) (view, error) {
	chosen := r.form.Get("connect")
	if c := s.Sources.Connector(chosen); c != nil && c.Granting() != nil {
		return view{to: "add-source?" + url.Values{"connector": {c.Name}}.Encode()}, nil
	}
	statuses, err := s.Sources.Statuses(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	i := slices.IndexFunc(statuses, func(status sources.Status) bool { return status.Source.ID == chosen })
	if i < 0 {
		return view{}, &core.Failure{Code: core.NotAChoice, Field: "connect", Message: "Choose a source, or a system to add one of"}
	}
	of := s.sourceOf(statuses[i])
	app, err := s.Sources.App(r.Context(), of.Source.Connector)
	if err != nil {
		return view{}, err
	}
	if access := s.granting(of, app != nil); access == noApp || access == anotherWay {
		return view{to: "sources/" + of.Source.ID + "/credentials", done: "app-needed"}, nil
	}
	return s.connect(r, of)
}

// connectSource sends somebody to the system of a source to grant access.
func connectSource(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	return s.connect(r, of)
}

func (s *server) connect(r *request, of *source) (view, error) {
	to, err := s.Sources.Authorize(r.Context(), r.workspace(), of.Source.ID, s.redirectURI(r), r.email())
	if err != nil {
		return view{}, err
	}
	r.audit("access.asked", of.Source.Name)
	return view{template: "connect", title: "Connect " + of.Source.Name, section: "oauth", data: connectData{Source: of, URL: to}}, nil
}

// redirectURI returns where people come back to who have granted access.
func (s *server) redirectURI(r *request) string { return s.outside(r) + "oauth/callback" }

// connectData is what leads to where access is granted.
type connectData struct {
	Source *source `json:"source"`
	URL    string  `json:"url"`
}

// Host returns the host that somebody is led to.
func (d connectData) Host() string {
	u, err := url.Parse(d.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// granted takes up somebody who comes back from where access is granted.
func granted(s *server, r *request) (view, error) {
	source, err := s.Sources.Granted(r.Context(), r.workspace(), r.URL.Query(), r.email())
	if err != nil {
		if _, ok := errors.AsType[*core.Failure](err); !ok && sources.Tells(err) {
			err = &core.Failure{Code: core.Conflicting, Field: "code", Message: err.Error()}
		}
		return view{}, err
	}
	r.audit("access.granted", source.Name)
	return view{to: "oauth", done: "access-granted"}, nil
}

func disconnectSource(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	if err := s.Sources.Disconnect(r.Context(), r.workspace(), of.Source, r.email()); err != nil {
		return view{}, err
	}
	r.audit("access.forgotten", of.Source.Name)
	return view{to: "oauth", done: "access-forgotten"}, nil
}
