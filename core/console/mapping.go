package console

import (
	"context"
	"net/http"

	"tenure/core/connector"
	"tenure/core/identity"
	"tenure/core/sources"
)

// mappingRoutes are the pages on which a source's account_id is found.
func mappingRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/sources/{id}/mapping", role: identity.Viewer, serve: mappingPage},
		{method: http.MethodPost, path: "/sources/{id}/mapping", role: identity.Admin, serve: setLocation, form: mappingPage},
		// As deep as the page that it is part of, so that links lead from both.
		{method: http.MethodPost, path: "/sources/{id}/survey", role: identity.Admin, serve: surveySource},
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
	// Looked says whether the system let itself be looked at just now, and Survey what
	// was found; nil if it was not asked.
	Looked *checked        `json:"looked,omitempty"`
	Survey *sources.Survey `json:"survey,omitempty"`
}

// AccountID returns what is to be asked of the account_id, with what was found.
func (d mappingData) AccountID() []sources.Answer {
	if d.Survey != nil {
		return d.Survey.AccountID
	}
	return sources.AccountIDQuestions()
}

// Record returns what is to be asked of a System of Record, with what was found.
func (d mappingData) Record() []sources.Answer {
	if d.Survey != nil && d.Survey.Record != nil {
		return d.Survey.Record
	}
	return sources.RecordQuestions()
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
	// Survey is what was found there; nil if nobody has looked.
	Survey *sources.SurveyedLocation `json:"-"`
}

func mappingPage(s *server, r *request) (view, error) { return s.mappingView(r, nil, nil) }

// mappingView shows the page of a source's mapping, with what a survey has found.
func (s *server) mappingView(r *request, looked *checked, found *sources.Survey) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	data := mappingData{Source: of, Locations: []location{}, Looked: looked, Survey: found}
	c := s.Sources.Connector(of.Source.Connector)
	shown := *of.Source
	if r.form != nil { // the form is shown as it was entered
		entered(r, &shown)
	}
	data.SystemOfRecord = shown.SystemOfRecord
	for i, l := range c.Locations {
		at := location{Name: l.Name, Title: l.Title, Doc: l.Doc, Best: l.Best, Path: l.Path, Stream: streamTitle(c, l.Stream),
			Used: l.Name == of.Source.Location, Chosen: l.Name == shown.Location}
		if found != nil {
			at.Survey = &found.Locations[i]
		}
		data.Locations = append(data.Locations, at)
	}
	for _, st := range c.Streams {
		data.HasAccounts = data.HasAccounts || st.Accounts
	}
	return view{template: "mapping", title: "Mapping of " + of.Source.Name, data: data, fragment: "mapping"}, nil
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

// entered sets in a source what the form says.
func entered(r *request, source *sources.Source) {
	if name := r.form.Get("location"); name != "" {
		source.Location = name
	}
	source.SystemOfRecord = r.on("system_of_record")
}

func setLocation(s *server, r *request) (view, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	entered(r, source)
	if err := s.Sources.Update(r.Context(), r.workspace(), source); err != nil {
		return view{}, err
	}
	r.audit("source.mapped", source.Name)
	return view{to: "sources/" + source.ID + "/mapping", done: "source-mapped"}, nil
}

// surveySource looks at the system's records as the form says. Nothing is stored.
func surveySource(s *server, r *request) (view, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	entered(r, source)
	var found *sources.Survey
	looked, err := r.tried(func(ctx context.Context) (err error) {
		found, err = s.Sources.Survey(ctx, r.workspace(), source, sources.SurveyLimit{})
		return err
	})
	if err != nil {
		return view{}, err
	}
	r.audit("source.surveyed", source.Name)
	return s.mappingView(r, looked, found)
}
