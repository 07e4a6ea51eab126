package console

import (
	"net/http"
	"slices"

	"tenure/core/connector"
	"tenure/core/identity"
	"tenure/core/sources"
)

// oauthRoutes are the page of what people have granted access to, and what ends
// that.
func oauthRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/oauth", role: identity.Viewer, serve: oauthPage},
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
	// Scopes are those that are asked for; none where the system has its own.
	Scopes []string `json:"scopes"`
	// Whose is the name of the source whose credentials it uses, if not its own.
	Whose string `json:"whose,omitempty"`
}

// oauthData is what Manage OAuth shows.
type oauthData struct {
	Sources []grantedSource `json:"sources"`
	// Redirect is where people come back to who have granted access: it has to be
	// registered with each system's app.
	Redirect string `json:"redirect"`
}

// grants reports whether a person grants access by a way to authenticate.
func grants(a connector.Auth) bool {
	return a.OAuth != nil && a.OAuth.Grant == connector.AuthorizationCode
}

func oauthPage(s *server, r *request) (view, error) {
	data := oauthData{Sources: []grantedSource{}, Redirect: s.outside(r) + "oauth/callback"}
	statuses, err := s.Sources.Statuses(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	names := map[string]string{}
	for _, status := range statuses {
		names[status.Source.ID] = status.Source.Name
	}
	for _, status := range statuses {
		of := s.sourceOf(status)
		ways := s.Sources.Connector(of.Source.Connector).Auth
		at := slices.IndexFunc(ways, grants)
		if of.Ended || at < 0 {
			continue
		}
		g := grantedSource{source: of, Access: s.granting(of, ways), Scopes: []string{}, Whose: names[of.Source.Credentials]}
		scopes, err := s.Sources.Scopes(r.Context(), of.Source, ways[at].Name)
		if err != nil && !sources.Tells(err) {
			return view{}, err
		}
		g.Scopes = append(g.Scopes, scopes...)
		data.Sources = append(data.Sources, g)
	}
	return view{template: "oauth", title: "OAuth", data: data}, nil
}

// granting returns how far access to a source's system is granted.
func (s *server) granting(of *source, ways []connector.Auth) granting {
	c := of.Credential
	switch {
	case c == nil:
		return noApp
	case !slices.ContainsFunc(ways, func(a connector.Auth) bool { return a.Name == c.Auth && grants(a) }):
		return anotherWay
	case c.Refused, c.RefreshExpires != 0 && c.RefreshExpires <= s.Now().UnixMilli():
		return lapsed
	case !c.Granted:
		return notConnected
	}
	return connected
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
