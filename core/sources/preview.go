package sources

import (
	"context"
	"encoding/json"
	"slices"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/resource"
	"tenure/core/table"
)

// previewed is how many records of a stream a preview shows.
const previewed = 20

// Made is one record of ours that would be made.
type Made struct {
	Family string `json:"family"`
	// Record has the fields that would be set.
	Record json.RawMessage `json:"record,omitempty"`
	// What is inserted, changed, unchanged or refused.
	What string `json:"what"`
	// Refusal is why it would be refused.
	Refusal *core.Failure `json:"refusal,omitempty"`
}

// Previewed is one record of the system, and what would become of it.
type Previewed struct {
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
	// Source is the record as the system has it.
	Source json.RawMessage `json:"source"`
	// Account is the account_id that it would belong to.
	Account string `json:"account,omitempty"`
	// Problem is why it would not be placed.
	Problem *Problem `json:"problem,omitempty"`
	Made    []Made   `json:"made"`
}

// PreviewedStream is what a preview shows of a stream.
type PreviewedStream struct {
	Stream  string      `json:"stream"`
	Title   string      `json:"title"`
	Records []Previewed `json:"records"`
}

// Preview connects to the system as a source says, which may be a stored one or
// one that is to be, reads the first records of each stream, or those of one, and
// tells what would become of them. It writes nothing. A *core.Failure or an error
// of package connector says what is wrong with settings or credentials.
//
// Records that others name but that have not been read are not known, so that a
// preview of a source that never ran may show more mismatches than a run will have.
func (s *Store) Preview(ctx context.Context, workspace string, source *Source, stream string) ([]PreviewedStream, error) {
	r, err := s.try(ctx, workspace, source)
	if err != nil {
		return nil, err
	}
	var all []PreviewedStream
	for i := range r.connector.Streams {
		st := &r.connector.Streams[i]
		if !r.source.reads(st) || stream != "" && stream != st.Name || len(r.plans[st.Name].feeds) == 0 {
			continue
		}
		records, _, err := r.sample(ctx, st, previewed)
		if err != nil {
			return nil, err
		}
		// Those that others may need are taken in whole, the others as many as are shown.
		if len(records) > previewed && !r.plans[st.Name].remembered {
			records = records[:previewed]
		}
		was := make([]json.RawMessage, len(records))
		for i, o := range records {
			if was[i], err = json.Marshal(o.Value); err != nil {
				return nil, err
			}
		}
		if err := r.apply(ctx, st, slices.Clone(records)); err != nil {
			return nil, err
		}
		shown := PreviewedStream{Stream: st.Name, Title: st.Title, Records: []Previewed{}}
		for i, o := range records[:min(len(records), previewed)] {
			p := Previewed{ID: o.ID, Label: o.label, Source: was[i], Account: o.account, Problem: o.why, Made: o.shown}
			if p.Made == nil {
				p.Made = []Made{}
			}
			shown.Records = append(shown.Records, p)
		}
		all = append(all, shown)
	}
	return all, nil
}

// try returns a run of a source, be it stored or not, of which nothing is kept but
// a token that had to be refreshed. A *core.Failure names a setting that cannot be.
func (s *Store) try(ctx context.Context, workspace string, source *Source) (*run, error) {
	all, err := s.List(ctx, workspace)
	if err != nil {
		return nil, err
	}
	if err := s.check(source, all); err != nil {
		return nil, err
	}
	over := *s
	over.Table = table.NewOverlay(s.Table)
	over.Engine = s.Engine.On(over.Table)
	r := &run{Store: &over, workspace: workspace, source: source, state: newState(), together: 1, shown: true, full: true, sampled: map[string]bool{}}
	r.state.Run = &stateRun{}
	r.report = &r.state.Run.Run
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	return r, r.session.Check(ctx)
}

// before applies the first records, whole pages until there are so many, of each
// stream whose records those of a stream are joined with, or find their account
// through.
func (r *run) before(ctx context.Context, st *connector.Stream, atLeast int) error {
	r.sampled[st.Name] = true
	var needed []string
	for _, j := range st.Joins {
		needed = append(needed, j.Stream)
	}
	for _, route := range st.Account {
		needed = append(needed, route.Via)
	}
	for _, name := range needed {
		if of := streamOf(r.connector, name); of != nil && r.source.reads(of) && !r.sampled[name] {
			first, _, err := r.sample(ctx, of, atLeast)
			if err != nil {
				return err
			}
			if err := r.apply(ctx, of, first); err != nil {
				return err
			}
		}
	}
	return nil
}

// sample reads the first records of a stream, whole pages until there are so many,
// and reports whether there are more, after the first page of each stream that
// before is about. With an error come those that were read before it.
func (r *run) sample(ctx context.Context, st *connector.Stream, atLeast int) (records []*one, more bool, err error) {
	if err := r.before(ctx, st, 1); err != nil {
		return nil, false, err
	}
	at := r.session.Begin(st, connector.Last{}, true)
	for {
		page, err := r.session.Page(ctx, st, at)
		if err != nil {
			return records, true, err
		}
		ones, err := r.ones(ctx, st, page.Records)
		if err != nil {
			return records, true, err
		}
		if records = append(records, ones...); page.Last || len(records) >= atLeast {
			return records, !page.Last, nil
		}
		at = page.Next
	}
}

// show returns what has become of a record of ours that was uploaded alone.
func (r *run) show(f *feed, in *input, result *resource.Result, refusal *core.Failure) Made {
	m := Made{Family: f.Family, Refusal: refusal}
	if in.Patch != nil {
		var given []int
		for i := range in.Patch {
			if in.Patch[i].Given() {
				given = append(given, i)
			}
		}
		m.Record = f.family.Schema.AppendObject(nil, in.Patch, given)
	}
	switch {
	case refusal != nil:
		m.What = "refused"
	case result.Inserted > 0:
		m.What = "inserted"
	case result.Changed > 0:
		m.What = "changed"
	default:
		m.What = "unchanged"
	}
	return m
}

// Check connects to the system with the source's settings and credentials. A
// *core.Failure or an error of package connector says what is wrong.
func (s *Store) Check(ctx context.Context, workspace, id string) error {
	source, err := s.Get(ctx, workspace, id)
	if err != nil {
		return err
	}
	r := &run{Store: s, workspace: workspace, source: source, state: newState()}
	if err := r.open(ctx); err != nil {
		return err
	}
	return r.session.Check(ctx)
}
