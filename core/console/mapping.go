package console

import (
	"net/http"

	"tenure/core/connector"
	"tenure/core/identity"
)

// mappingRoutes are the pages on which a source's account_id is found.
func mappingRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/sources/{id}/mapping", role: identity.Viewer, serve: mappingPage},
		{method: http.MethodPost, path: "/sources/{id}/mapping", role: identity.Admin, serve: setLocation, form: mappingPage},
	}
}

// mappingData is what the page of a source's mapping shows.
type mappingData struct {
	Source    *source    `json:"source"`
	Locations []location `json:"locations"`
	// HasAccounts says that the system has accounts, so that it may be the System of
	// Record.
	HasAccounts bool `json:"has_accounts"`
	// SystemOfRecord is what the form shows.
	SystemOfRecord bool `json:"-"`
}

// location is a place where a system may have the account_id.
type location struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Doc   string `json:"doc,omitempty"`
	Best  bool   `json:"best"`
	// Path is the expression that yields it, over a record of the stream.
	Path   string `json:"path"`
	Stream string `json:"stream"`
	// Used is set for the source's; Chosen for the one that the form shows.
	Used   bool `json:"used"`
	Chosen bool `json:"-"`
}

func mappingPage(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	data := mappingData{Source: of, Locations: []location{}}
	c := s.Sources.Connector(of.Source.Connector)
	chosen := of.Source.Location
	data.SystemOfRecord = of.Source.SystemOfRecord
	if r.failure != nil { // the form is shown as it was entered
		chosen, data.SystemOfRecord = r.form.Get("location"), r.on("system_of_record")
	}
	for _, l := range c.Locations {
		data.Locations = append(data.Locations, location{l.Name, l.Title, l.Doc, l.Best, l.Path, streamTitle(c, l.Stream), l.Name == of.Source.Location, l.Name == chosen})
	}
	for _, st := range c.Streams {
		data.HasAccounts = data.HasAccounts || st.Accounts
	}
	return view{template: "mapping", title: "Mapping of " + of.Source.Name, data: data}, nil
}

// streamTitle returns what people call a stream.
func streamTitle(c *connector.Connector, name string) string {
	for _, st := range c.Streams {
		if st.Name == name {
			return st.Title
		}
	}
	return name
}

func setLocation(s *server, r *request) (view, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	if name := r.form.Get("location"); name != "" {
		source.Location = name
	}
	source.SystemOfRecord = r.on("system_of_record")
	if err := s.Sources.Update(r.Context(), r.workspace(), source); err != nil {
		return view{}, err
	}
	r.audit("source.mapped", source.Name)
	return view{to: "sources/" + source.ID + "/mapping", done: "source-mapped"}, nil
}
