package sources

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/schema"
)

const (
	// sampled is of how many records values are shown.
	sampled = 3
	// sought is among how many records those are looked for of which a feed makes
	// something.
	sought = 200
)

// OurField is a field of ours that a mapping may set.
type OurField struct {
	// Name is the field's in the API; of a dimension "custom_label_dimensions.KEY".
	Name string `json:"name"`
	// Type is text, id, whole number, number, epoch ms, true or false, or list.
	Type string `json:"type"`
	Doc  string `json:"doc"`
	// Required fields must be set in a record that is new.
	Required bool `json:"required,omitempty"`
	// MaxLen is the greatest length of a text, in characters: longer ones are cut off.
	MaxLen int `json:"max_len,omitempty"`
	// Choices are the texts that it may have; empty for any.
	Choices []string `json:"choices,omitempty"`
	// Dimensions says that it is a list of dimensions, of which one is set by its key.
	Dimensions bool `json:"dimensions,omitempty"`
}

// MappedField is a field and how a source sets it.
type MappedField struct {
	OurField
	// Default is the expression of the connector's own mapping; empty for none.
	Default string `json:"default,omitempty"`
	// From is the expression in force; empty: it is not set.
	From string `json:"from,omitempty"`
	// Own says that the workspace's own mapping takes the place of the default.
	Own bool `json:"own,omitempty"`
	// Stays says that a value that is there already is not replaced.
	Stays bool `json:"stays,omitempty"`
}

// MappedFeed is what records of a stream become, field by field.
type MappedFeed struct {
	Family string `json:"family"`
	// When, if set, is the expression that is true of the records of which something is
	// made.
	When string `json:"when,omitempty"`
	// Each is the expression that yields what each of several records is made from;
	// the expressions of fields are about that, and know the record as $record.
	Each   string        `json:"each,omitempty"`
	Fields []MappedField `json:"fields"`
	// Free are the other fields that can be set.
	Free []OurField `json:"free"`
}

// typeWords are the words for types.
var typeWords = map[schema.Type]string{
	schema.String: "text", schema.ID: "id", schema.Label: "text", schema.Integer: "whole number", schema.Long: "whole number",
	schema.Time: "epoch ms", schema.Double: "number", schema.Boolean: "true or false", schema.List: "list",
}

func ourField(name string, f *schema.Field) OurField {
	of := OurField{Name: name, Type: typeWords[f.Type], Doc: f.Doc, Required: f.Required != schema.Optional, MaxLen: f.MaxLen, Choices: f.Choices, Dimensions: f.IsDimensions()}
	if f.IsDimensions() {
		value := ourField(name, &f.Sub[1])
		if of.Type, of.MaxLen, of.Choices = value.Type, value.MaxLen, value.Choices; strings.Contains(name, ".") {
			of.Doc, of.Dimensions = value.Doc, false
		}
	}
	return of
}

// Fields returns what the records of a stream become in a source, field by field;
// nil where it is not read or becomes nothing.
func (s *Store) Fields(source *Source, stream string) []MappedFeed {
	st := streamOf(s.Connector(source.Connector), stream)
	if st == nil {
		return nil
	}
	var feeds []MappedFeed
	for i := range st.Feeds {
		declared := &st.Feeds[i]
		if !source.feeds(st, declared) {
			continue
		}
		family := s.family(declared.Family)
		feed := MappedFeed{Family: declared.Family, When: declared.When, Each: declared.Each, Fields: []MappedField{}, Free: []OurField{}}
		add := func(to, byDefault string) {
			t, failure := targetOf(family, to)
			if failure != nil {
				return // it was a field once
			}
			f := MappedField{OurField: ourField(to, &family.Schema.Fields[t.field]), Default: byDefault, From: byDefault, Stays: source.attaches(st, family)}
			if own := source.mapped(stream, declared.Family, to); own >= 0 {
				f.From, f.Own, f.Stays = source.Mapping[own].From, true, false
			}
			feed.Fields = append(feed.Fields, f)
		}
		for _, field := range source.defaults(st, declared, family) {
			add(field.To, field.From)
		}
		known := func(name string) bool {
			return slices.ContainsFunc(feed.Fields, func(f MappedField) bool { return f.Name == name })
		}
		for _, m := range source.Mapping {
			if m.Stream == stream && m.Family == declared.Family && !known(m.To) {
				add(m.To, "")
			}
		}
		for n := range family.Schema.Fields {
			f := &family.Schema.Fields[n]
			if !f.ReadOnly && n != family.Account && !known(f.Name) {
				feed.Free = append(feed.Free, ourField(f.Name, f))
			}
		}
		feeds = append(feeds, feed)
	}
	return feeds
}

// Map has an expression set a field of a source, which may be a copy of a stored one.
// Empty: the field is not set. One that is in force stays as it is, be it by default
// or the workspace's own, and where the default is asked for the workspace's own
// mapping has no need of it.
func (s *Store) Map(source *Source, stream, family, to, from string) {
	// Forms have no lines.
	line := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	byDefault, own := s.declared(source, stream, family, to), source.mapped(stream, family, to)
	switch {
	case own >= 0 && line(source.Mapping[own].From) == line(from), own < 0 && line(byDefault) == line(from):
	case line(byDefault) == line(from):
		s.Unmap(source, stream, family, to)
	case own >= 0:
		source.Mapping = slices.Clone(source.Mapping)
		source.Mapping[own].From = strings.TrimSpace(from)
	default:
		source.Mapping = append(slices.Clip(source.Mapping), Mapped{Stream: stream, Family: family, To: to, From: strings.TrimSpace(from)})
	}
}

// Unmap has a field of a source be set as it is by default.
func (s *Store) Unmap(source *Source, stream, family, to string) {
	if own := source.mapped(stream, family, to); own >= 0 {
		source.Mapping = slices.Delete(slices.Clone(source.Mapping), own, own+1)
	}
}

// declared returns the expression that sets a field by default; empty for none.
func (s *Store) declared(source *Source, stream, family, to string) string {
	st := streamOf(s.Connector(source.Connector), stream)
	if st == nil {
		return ""
	}
	for i := range st.Feeds {
		if declared := &st.Feeds[i]; declared.Family == family {
			for _, f := range source.defaults(st, declared, s.family(family)) {
				if f.To == to {
					return f.From
				}
			}
		}
	}
	return ""
}

// Sample is what a field would be in one record.
type Sample struct {
	// Before are the values in the system that the expression reads.
	Before []Path `json:"before"`
	// Value is the value as the API has it; nil where there is none.
	Value json.RawMessage `json:"value"`
	// Clipped says that it was too long.
	Clipped bool `json:"clipped,omitempty"`
	// Refusal is why it would be refused.
	Refusal *core.Failure `json:"refusal,omitempty"`
}

// SampledFeed is what a feed makes of the first records.
type SampledFeed struct {
	Family string `json:"family"`
	// Records are those that it makes something of, the first ones.
	Records []Example `json:"records"`
	// Values are those of the fields that are set, by name, one for each of Records.
	Values map[string][]Sample `json:"values"`
	// Paths are what expressions find.
	Paths []Path `json:"paths"`
}

// Samples connects to the system as a source says, which may be a stored one or one
// that is to be, reads the first records of a stream, and tells what the fields of
// ours would be that are made of them. It writes nothing. A *core.Failure or an
// error of package connector says what is wrong with settings or credentials.
func (s *Store) Samples(ctx context.Context, workspace string, source *Source, stream string) ([]SampledFeed, error) {
	r, err := s.try(ctx, workspace, source)
	if err != nil {
		return nil, err
	}
	st := streamOf(r.connector, stream)
	if st == nil || !source.reads(st) {
		return nil, refuse(core.NotFound, "stream", "%s has no stream '%s' that is read", r.connector.Title, stream)
	}
	records, _, err := r.sample(ctx, st, 1)
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(o *one) bool { return o.Deleted })
	records = records[:min(len(records), sought)]
	if err := r.join(ctx, st, records); err != nil {
		return nil, err
	}
	plan := r.plans[stream]
	if _, err := r.wanted(ctx, st, plan, records); err != nil {
		return nil, err
	}
	feeds := []SampledFeed{}
	for _, f := range plan.feeds {
		feed, err := r.sampleFeed(ctx, st, f, records)
		if err != nil {
			return nil, err
		}
		feeds = append(feeds, *feed)
	}
	return feeds, nil
}

func (r *run) sampleFeed(ctx context.Context, st *connector.Stream, f *feed, records []*one) (*SampledFeed, error) {
	feed := &SampledFeed{Family: f.Family, Records: []Example{}, Values: map[string][]Sample{}}
	for _, t := range f.fields {
		feed.Values[t.name] = []Sample{}
	}
	var elements, whole []any
	for _, o := range records {
		if len(whole) < listed {
			whole = append(whole, o.Value)
		}
		if !slices.Contains(o.feeds, f) || len(elements) == listed {
			continue
		}
		first := true
		for in, err := range f.elements(ctx, o) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err == nil && len(elements) < listed {
				elements = append(elements, in[0])
			}
			if !first || len(feed.Records) == sampled {
				continue
			}
			first = false
			label, textErr := r.text(ctx, st.Label, o.Value)
			if textErr != nil {
				return nil, textErr
			}
			of := Example{ID: clip(o.ID), Label: clip(label)}
			if err != nil {
				of.Message = clip(failureOf(f.Family, err).Message)
			}
			feed.Records = append(feed.Records, of)
			for i := range f.fields {
				sample := Sample{Before: []Path{}}
				if err == nil {
					sample = r.sampleValue(ctx, f, &f.fields[i], in[0], in[1])
					sample.Before = before(f.fields[i].from.String(), in[0], in[1])
				}
				feed.Values[f.fields[i].name] = append(feed.Values[f.fields[i].name], sample)
			}
		}
	}
	switch {
	case f.each != nil:
		feed.Paths = slices.Concat(pathsOf(elements, ""), pathsOf(whole, "$record"))
	case len(elements) > 0:
		feed.Paths = pathsOf(elements, "")
	default:
		feed.Paths = pathsOf(whole, "")
	}
	return feed, ctx.Err()
}

// sampleValue returns what a field would be.
func (r *run) sampleValue(ctx context.Context, f *feed, t *target, element, record any) Sample {
	value, failure := r.value(ctx, f, t, element, record)
	s := f.family.Schema
	if failure != nil {
		return Sample{Refusal: failure}
	}
	if value != nil && t.key != "" {
		value = []any{map[string]any{"key": t.key, "value": value}}
	}
	text, clipped, failure := literal(s, t.field, value)
	if failure != nil {
		return Sample{Refusal: failure}
	}
	object, err := json.Marshal(map[string]json.RawMessage{s.Fields[t.field].Name: text})
	if err != nil {
		return Sample{Refusal: failureOf(t.name, err)}
	}
	patch, failure := s.Decode(object, true)
	v := patch[t.field]
	switch {
	case failure == nil && v.IsNull() && value == nil && s.Fields[t.field].Required != schema.Optional:
		failure = s.Missing(t.field, true)
	case v.IsNull():
	case t.key != "":
		of := s.List(t.field)
		for entry := range of.EachEntry(v) {
			v = entry[of.Ordinal("value")]
		}
	case s.Fields[t.field].Type == schema.List:
		whole := s.NewRecord()
		whole[t.field] = v
		var shown map[string]json.RawMessage
		if err := json.Unmarshal(s.AppendObject(nil, whole, []int{t.field}), &shown); err != nil {
			return Sample{Refusal: failureOf(t.name, err)}
		}
		v = schema.Value(shown[s.Fields[t.field].Name])
	}
	sample := Sample{Clipped: clipped > 0, Refusal: failure}
	if failure == nil && !v.IsNull() {
		sample.Value = json.RawMessage(v)
	}
	return sample
}
