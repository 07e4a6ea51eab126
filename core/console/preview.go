package console

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/identity"
	"tenure/core/sources"
)

// mostOfRecord is how much the page shows of a record of the system, and mostOfField
// of what a field would be set to, in bytes: a page of many mails, each with its
// text, is more than a browser or a gateway bears.
const mostOfRecord, mostOfField = 10_000, 1000

// previewRoutes are the page on which the first records of a source are looked at.
func previewRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/sources/{id}/preview", role: identity.Viewer, serve: previewPage},
		{method: http.MethodPost, path: "/sources/{id}/preview", role: identity.Admin, serve: previewSource, form: previewPage},
	}
}

// previewData is what the page of a preview shows.
type previewData struct {
	Source *source `json:"source"`
	// Streams are those that can be looked at.
	Streams []option `json:"streams"`
	// Looked says whether the system let itself be looked at just now, and Shown what
	// was found; nil if it was not asked.
	Looked *checked        `json:"looked,omitempty"`
	Shown  []previewStream `json:"shown,omitempty"`
}

// previewStream is the first records of a stream.
type previewStream struct{ sources.PreviewedStream }

// Records returns its records for people.
func (p previewStream) Records() []previewRecord {
	all := make([]previewRecord, len(p.PreviewedStream.Records))
	for i, r := range p.PreviewedStream.Records {
		all[i] = previewRecord{r}
	}
	return all
}

// previewRecord is a record of the system.
type previewRecord struct{ sources.Previewed }

// Indented returns the record as the system has it, over several lines.
func (p previewRecord) Indented() (string, error) {
	var text bytes.Buffer
	err := json.Indent(&text, p.Source, "", "  ")
	return beginning(text.String(), mostOfRecord), err
}

// beginning returns a text, or as much of it as so many bytes hold, and a sign that it
// goes on.
func beginning(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// Made returns what would become of it.
func (p previewRecord) Made() []previewMade {
	all := make([]previewMade, len(p.Previewed.Made))
	for i, m := range p.Previewed.Made {
		all[i] = previewMade{m}
	}
	return all
}

// previewMade is a record of ours that would be made.
type previewMade struct{ sources.Made }

// Words returns what would become of it, for people.
func (m previewMade) Words() string {
	return map[string]string{"inserted": "Would be new", "changed": "Would be changed", "unchanged": "Would stay as it is", "refused": "Would be refused"}[m.What]
}

// Mark returns the class, and the icon, of the tag that says it; empty for what needs
// nobody's care.
func (m previewMade) Mark() string {
	return map[string]string{"inserted": "good", "changed": "good", "refused": "bad"}[m.What]
}

// member is a field that would be set, and to what: a text as it is, anything else as
// JSON.
type member struct{ Name, Value string }

// Fields returns the fields that would be set, in their order.
func (m previewMade) Fields() ([]member, error) {
	if len(m.Record) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(m.Record))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var all []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		of := member{Value: string(value)}
		of.Name, _ = name.(string)
		var text string
		if json.Unmarshal(value, &text) == nil {
			of.Value = text
		}
		of.Value = beginning(of.Value, mostOfField)
		all = append(all, of)
	}
	return all, nil
}

func previewPage(s *server, r *request) (view, error) { return s.previewView(r, nil, nil) }

func (s *server) previewView(r *request, looked *checked, found []sources.PreviewedStream) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	data := previewData{Source: of, Streams: []option{}, Looked: looked}
	for _, st := range s.Sources.Connector(of.Source.Connector).Streams {
		if len(of.Source.Families(&st)) > 0 {
			data.Streams = append(data.Streams, option{Value: st.Name, Title: st.Title, Doc: st.Doc, Chosen: st.Name == r.form.Get("stream")})
		}
	}
	for _, st := range found {
		data.Shown = append(data.Shown, previewStream{st})
	}
	return view{template: "preview", title: "Preview of " + of.Source.Name, data: data, fragment: "preview"}, nil
}

func previewSource(s *server, r *request) (view, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	name := r.form.Get("stream")
	if name != "" && !slices.ContainsFunc(s.Sources.Connector(source.Connector).Streams, func(st connector.Stream) bool {
		return st.Name == name && len(source.Families(&st)) > 0
	}) {
		return view{}, &core.Failure{Code: core.NotAChoice, Field: "stream", Message: "'stream' is none that is read and becomes something"}
	}
	var found []sources.PreviewedStream
	looked, err := r.tried(func(ctx context.Context) (err error) {
		found, err = s.Sources.Preview(ctx, r.workspace(), source, name)
		return err
	})
	if err != nil {
		return view{}, err
	}
	r.audit("source.previewed", source.Name)
	return s.previewView(r, looked, found)
}
