package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tenure/core"
	"tenure/core/identity"
	"tenure/core/sources"
)

// fieldsRoutes are the pages on which it is set what fields of ours are made from.
func fieldsRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/sources/{id}/fields", role: identity.Viewer, serve: fieldsPage},
		{method: http.MethodPost, path: "/sources/{id}/fields", role: identity.Admin, serve: setFields, form: fieldsPage},
		// As deep as the page that it is part of, so that links lead from both.
		{method: http.MethodPost, path: "/sources/{id}/try", role: identity.Admin, serve: tryFields, form: fieldsPage},
	}
}

// fieldsData is what the page of a source's fields shows.
type fieldsData struct {
	Source *source `json:"source"`
	// Version is to be sent with a change, which is refused if the source has another
	// one by then.
	Version string `json:"version"`
	// Stream is the name of the one that is shown, of Streams.
	Stream  string         `json:"stream"`
	Streams []mappedStream `json:"streams"`
	// Feeds are what its records become: as it was entered, where that was tried, else
	// as it is in force.
	Feeds []mappedFeed `json:"feeds"`
	// Looked says whether the system let itself be looked at just now; nil if it was not
	// asked.
	Looked *checked `json:"looked,omitempty"`
}

// Here returns the stream that is shown.
func (d fieldsData) Here() mappedStream {
	for _, st := range d.Streams {
		if st.Name == d.Stream {
			return st
		}
	}
	return mappedStream{}
}

// mappedStream is a stream of a source whose records become something.
type mappedStream struct {
	sourceStream
	// Own is how many of its fields have a mapping of the workspace's own.
	Own int `json:"own"`
}

// mappedFeed is what the records of a stream become, field by field.
type mappedFeed struct {
	Family string `json:"family"`
	// When, if set, says of which records something is made; Each yields what each of
	// several is made from.
	When   string        `json:"when,omitempty"`
	Each   string        `json:"each,omitempty"`
	Fields []mappedField `json:"fields"`
	// Free are the fields that are not set, Dimensions lists of which any key can be.
	Free       []mappedField      `json:"free"`
	Dimensions []sources.OurField `json:"dimensions,omitempty"`
	// Records are those that were tried, and Paths what expressions find there.
	Records []sources.Example `json:"records,omitempty"`
	Paths   []sources.Path    `json:"paths,omitempty"`
}

// mappedField is a field and how a source sets it.
type mappedField struct {
	sources.MappedField
	Samples []shownSample `json:"samples,omitempty"`
	// Field is what the form calls it, ID its id on the page, Of the family's.
	Field string `json:"-"`
	ID    string `json:"-"`
	Of    string `json:"-"`
}

// shownSample is what a field would be in a record.
type shownSample struct {
	sources.Sample
	Record sources.Example `json:"record"`
	// Text is the value as people read it, At the instant that it is, if it is one.
	Text string `json:"-"`
	At   int64  `json:"-"`
}

// line writes an expression in one line, as a field of a form has it.
func line(text string) string {
	if strings.ContainsAny(text, "\r\n") {
		return strings.Join(strings.Fields(text), " ")
	}
	return text
}

// shown returns samples for people.
func shown(of sources.OurField, records []sources.Example, samples []sources.Sample) []shownSample {
	all := make([]shownSample, len(samples))
	for i, s := range samples {
		all[i] = shownSample{Sample: s, Record: records[i], Text: string(s.Value)}
		var text string
		if json.Unmarshal(s.Value, &text) == nil {
			all[i].Text = text
		}
		if ms, err := strconv.ParseInt(string(s.Value), 10, 64); err == nil && of.Type == "epoch ms" {
			all[i].At = ms
		}
	}
	return all
}

func fieldsPage(s *server, r *request) (view, error) { return s.fieldsView(r, nil, nil) }

// fieldsView shows what fields are made from, with what was found when it was tried.
func (s *server) fieldsView(r *request, looked *checked, found []sources.SampledFeed) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	data := fieldsData{Source: of, Version: of.Source.Version(), Streams: []mappedStream{}, Feeds: []mappedFeed{}, Looked: looked}
	c := s.Sources.Connector(of.Source.Connector)
	for i := range c.Streams {
		st := &c.Streams[i]
		families := of.Source.Families(st)
		if len(families) == 0 {
			continue
		}
		stream := mappedStream{sourceStream: sourceStream{st.Name, st.Title, families}}
		for _, m := range of.Source.Mapping {
			if m.Stream == st.Name && slices.Contains(families, m.Family) {
				stream.Own++
			}
		}
		data.Streams = append(data.Streams, stream)
	}
	data.Stream = cmp.Or(r.form.Get("stream"), r.URL.Query().Get("stream"))
	if data.Stream == "" && len(data.Streams) > 0 {
		data.Stream = data.Streams[0].Name
	}
	if data.Here().Name == "" && data.Stream != "" {
		return view{}, errNoPage
	}
	draft := *of.Source
	if r.form != nil { // the form is shown as it was entered
		_ = s.enterFields(r, &draft) // the failure is known
		if seen := r.form.Get("version"); seen != "" {
			data.Version = seen // what is entered is about that one
		}
	}
	for _, feed := range s.Sources.Fields(&draft, data.Stream) {
		data.Feeds = append(data.Feeds, mappedFeedOf(feed, found))
	}
	return view{template: "fields", title: "Fields of " + of.Source.Name, data: data, fragment: "fields"}, nil
}

func mappedFeedOf(feed sources.MappedFeed, found []sources.SampledFeed) mappedFeed {
	m := mappedFeed{Family: feed.Family, When: feed.When, Each: feed.Each, Fields: []mappedField{}, Free: []mappedField{}}
	var sampled sources.SampledFeed
	for _, f := range found {
		if f.Family == feed.Family {
			sampled = f
		}
	}
	m.Records, m.Paths = sampled.Records, sampled.Paths
	row := func(f sources.MappedField) mappedField {
		f.From, f.Default = line(f.From), line(f.Default)
		return mappedField{MappedField: f, Samples: shown(f.OurField, sampled.Records, sampled.Values[f.Name]),
			Field: "fields." + feed.Family + "." + f.Name, ID: feed.Family + "-" + strings.Map(idRune, f.Name), Of: feed.Family}
	}
	for _, f := range feed.Fields {
		m.Fields = append(m.Fields, row(f))
	}
	for _, f := range feed.Free {
		if f.Dimensions {
			m.Dimensions = append(m.Dimensions, f)
		} else {
			m.Free = append(m.Free, row(sources.MappedField{OurField: f}))
		}
	}
	return m
}

// idRune keeps white space out of ids, which are names of dimensions in part.
func idRune(c rune) rune {
	if c <= ' ' {
		return '-'
	}
	return c
}

// enterFields makes of a source's mapping what a form says. What the form does not
// send stays as it is. A *core.Failure names what cannot be read; the rest is entered
// all the same.
func (s *server) enterFields(r *request, source *sources.Source) (failure error) {
	stream := r.form.Get("stream")
	names := slices.Sorted(maps.Keys(r.form))
	for _, name := range names {
		of, known := strings.CutPrefix(name, "fields.")
		if family, to, ok := strings.Cut(of, "."); known && ok {
			s.Sources.Map(source, stream, family, to, r.form.Get(name))
		}
	}
	for _, name := range names { // a dimension is added: its key, and what it is made from
		of, known := strings.CutPrefix(name, "dimensions.")
		family, list, ok := strings.Cut(of, ".")
		if !known || !ok {
			continue
		}
		key, from := strings.TrimSpace(r.form.Get(name)), strings.TrimSpace(r.form.Get("values."+of))
		switch {
		case key == "" && from != "":
			failure = &core.Failure{Code: core.MissingField, Field: name, Message: "The dimension needs a key"}
		case key != "" && from == "":
			failure = &core.Failure{Code: core.MissingField, Field: "values." + of, Message: "The dimension needs a path or an expression"}
		default:
			s.Sources.Map(source, stream, family, list+"."+key, from)
		}
	}
	switch reset := r.form.Get("reset"); {
	case reset == "":
	case reset == "*":
		for _, m := range slices.Clone(source.Mapping) {
			if m.Stream == stream {
				s.Sources.Unmap(source, m.Stream, m.Family, m.To)
			}
		}
	default:
		family, to, _ := strings.Cut(reset, ".")
		s.Sources.Unmap(source, stream, family, to)
	}
	return failure
}

// enteredFields returns the source that a form is about, with the mapping that it says.
func (s *server) enteredFields(r *request) (*sources.Source, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := r.stale(source.Version()); err != nil {
		return nil, err
	}
	if s.Sources.Fields(source, r.form.Get("stream")) == nil {
		return nil, errNoPage
	}
	return source, s.enterFields(r, source)
}

// atField has a failure of a mapping name the field of the form.
func atField(source *sources.Source, stream string, err error) error {
	failure, ok := errors.AsType[*core.Failure](err)
	if !ok {
		return err
	}
	var n int
	var part string
	if _, scanned := fmt.Sscanf(strings.ReplaceAll(failure.Field, ".", " "), "mapping %d %s", &n, &part); scanned != nil || n >= len(source.Mapping) {
		return err
	}
	m := source.Mapping[n]
	message := strings.TrimPrefix(failure.Message, "'"+failure.Field+"': ")
	if m.Stream != stream {
		return &core.Failure{Code: failure.Code, Field: failure.Field, Message: m.Stream + ", " + m.To + ": " + message}
	}
	field := "fields." + m.Family + "." + m.To
	return &core.Failure{Code: failure.Code, Field: field, Message: "'" + field + "': " + message}
}

func setFields(s *server, r *request) (view, error) {
	source, err := s.enteredFields(r)
	if err == nil {
		err = atField(source, r.form.Get("stream"), s.Sources.Update(r.Context(), r.workspace(), source))
	}
	if err != nil {
		return view{}, err
	}
	r.audit("source.fields_changed", source.Name)
	return view{to: "sources/" + source.ID + "/fields?" + url.Values{"stream": {r.form.Get("stream")}}.Encode(), done: "source-fields", data: addedData{source}}, nil
}

// tryFields tells what fields would be, by the mapping of a form, in the system's
// first records. Nothing is stored.
func tryFields(s *server, r *request) (view, error) {
	source, err := s.enteredFields(r)
	if err != nil {
		return view{}, err
	}
	var found []sources.SampledFeed
	var failure *core.Failure
	looked, err := r.tried(func(ctx context.Context) (err error) {
		found, err = s.Sources.Samples(ctx, r.workspace(), source, r.form.Get("stream"))
		failure, _ = errors.AsType[*core.Failure](err)
		return err
	})
	if err == nil && failure != nil && strings.HasPrefix(failure.Field, "mapping.") {
		err = atField(source, r.form.Get("stream"), failure)
	}
	if err != nil {
		return view{}, err
	}
	r.audit("source.tried", source.Name)
	return s.fieldsView(r, looked, found)
}
