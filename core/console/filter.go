package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"tenure/core"
	"tenure/core/identity"
	"tenure/core/mapping"
	"tenure/core/sources"
)

const (
	// countedAtMost is about how many records a count reads, if there is the time.
	countedAtMost = 10_000
	// conditionRows is how many rows of conditions a form has at most, blankRows how
	// many are there to be filled in.
	conditionRows, blankRows = 100, 2
)

// filterRoutes are the pages on which the System of Record's filter is made.
func filterRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/sources/{id}/filter", role: identity.Viewer, serve: filterPage},
		{method: http.MethodPost, path: "/sources/{id}/filter", role: identity.Admin, serve: setFilter, form: filterPage},
		// As deep as the page that it is part of, so that links lead from both.
		{method: http.MethodPost, path: "/sources/{id}/count", role: identity.Admin, serve: countSource, form: filterPage},
	}
}

// filterData is what the page of a source's filter shows.
type filterData struct {
	// Source is as it is stored, with the filter in force.
	Source *source `json:"source"`
	// Version is to be sent with a change, which is refused if the source has another
	// one by then.
	Version string `json:"version"`
	// Streams are the titles of those whose records become accounts.
	Streams []string `json:"streams"`
	// Filter is what was entered, where it was counted; else what is in force.
	Filter sources.Filter `json:"filter"`
	// Rows are those of the form.
	Rows []conditionRow `json:"-"`
	// Others are the sources that a filter can ask whether they know an account.
	Others []option `json:"others"`
	// Looked says whether the system let itself be looked at just now, and Counted what
	// was found; nil if it was not asked.
	Looked  *checked         `json:"looked,omitempty"`
	Counted *sources.Counted `json:"counted,omitempty"`
}

// conditionRow is a condition in a form.
type conditionRow struct {
	// Field is what the form calls it, ID what its ids on the page begin with.
	Field, ID string
	Number    int
	Path      string
	Value     string
	Operators []option
	// OutOf is what the count says of it; nil for nothing.
	OutOf *sources.Tally
}

// operatorWords are the operators of conditions in words.
var operatorWords = map[string]string{
	"eq": "is", "ne": "is not", "lt": "is less than", "le": "is at most", "gt": "is more than", "ge": "is at least",
	"like": "contains", "notLike": "does not contain", "isTrue": "is true", "isFalse": "is false",
}

// Known returns the name of the source that has to know the accounts by the filter in
// force; empty for none.
func (d filterData) Known() string {
	if f := d.Source.Source.Filter; f != nil && f.AlsoIn != nil {
		for _, o := range d.Others {
			if o.Value == f.AlsoIn.Source {
				return o.Title
			}
		}
		return f.AlsoIn.Source
	}
	return ""
}

// AlsoPath returns the expression by which another source is asked, as it is entered.
func (d filterData) AlsoPath() string {
	if d.Filter.AlsoIn == nil {
		return ""
	}
	return d.Filter.AlsoIn.Path
}

func filterPage(s *server, r *request) (view, error) { return s.filterView(r, nil, nil) }

// filterView shows the page of a source's filter, with what a count has found.
func (s *server) filterView(r *request, looked *checked, counted *sources.Counted) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	data := filterData{Source: of, Version: of.Source.Version(), Streams: []string{}, Others: []option{}, Looked: looked, Counted: counted}
	shown := *of.Source
	if r.form != nil { // the form is shown as it was entered
		enterFilter(r, &shown)
		if seen := r.form.Get("version"); seen != "" {
			data.Version = seen // what is entered is about that one
		}
	}
	if shown.Filter != nil {
		data.Filter = *shown.Filter
	}
	for i := range s.Sources.Connector(of.Source.Connector).Streams {
		if st := &s.Sources.Connector(of.Source.Connector).Streams[i]; st.Accounts && of.Source.Families(st) != nil {
			data.Streams = append(data.Streams, st.Title)
		}
	}
	for i := range min(len(data.Filter.Conditions)+blankRows, conditionRows) {
		row := conditionRow{Field: fmt.Sprintf("filter.conditions.%d", i), ID: fmt.Sprintf("condition-%d", i), Number: i + 1}
		operator := ""
		if i < len(data.Filter.Conditions) {
			c := &data.Filter.Conditions[i]
			row.Path, row.Value, operator = c.Path, c.Value, c.Operator
			if counted != nil && i < len(counted.Conditions) {
				row.OutOf = &counted.Conditions[i]
			}
		}
		for _, o := range mapping.Operators {
			row.Operators = append(row.Operators, option{Value: o, Title: operatorWords[o], Chosen: o == operator})
		}
		data.Rows = append(data.Rows, row)
	}
	all, err := s.Sources.List(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	for _, o := range all {
		if o.ID != of.Source.ID && hasAccounts(s.Sources.Connector(o.Connector)) {
			data.Others = append(data.Others, option{Value: o.ID, Title: o.Name, Chosen: data.Filter.AlsoIn != nil && data.Filter.AlsoIn.Source == o.ID})
		}
	}
	return view{template: "filter", title: "Filter of " + of.Source.Name, data: data, fragment: "filter"}, nil
}

// enterFilter makes of a source's filter what a form says. What the form does not
// send stays as it is.
func enterFilter(r *request, source *sources.Source) {
	var f sources.Filter
	if source.Filter != nil {
		f = *source.Filter
	}
	var conditions []mapping.Condition
	sent := false
	for i := range conditionRows {
		at := fmt.Sprintf("filter.conditions.%d.", i)
		path, value := strings.TrimSpace(r.form.Get(at+"path")), r.form.Get(at+"value")
		sent = sent || r.form.Has(at+"path")
		if path != "" || value != "" {
			conditions = append(conditions, mapping.Condition{Path: path, Operator: r.form.Get(at + "operator"), Value: value})
		}
	}
	if sent {
		f.Conditions = conditions
	}
	if r.form.Has("filter.any") {
		f.Any = r.on("filter.any")
	}
	also := sources.AlsoIn{}
	if f.AlsoIn != nil {
		also = *f.AlsoIn
	}
	if r.form.Has("filter.also_in.source") {
		also.Source = r.form.Get("filter.also_in.source")
	}
	if r.form.Has("filter.also_in.path") {
		also.Path = strings.TrimSpace(r.form.Get("filter.also_in.path"))
	}
	f.AlsoIn = &also
	if also == (sources.AlsoIn{}) {
		f.AlsoIn = nil
	}
	source.Filter = &f
	if len(f.Conditions) == 0 && f.AlsoIn == nil {
		source.Filter = nil
	}
}

// enteredFilter returns the source that a form is about, with the filter that it says.
func (s *server) enteredFilter(r *request) (*sources.Source, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if err := r.stale(source.Version()); err != nil {
		return nil, err
	}
	enterFilter(r, source)
	if f := source.Filter; f != nil && f.AlsoIn != nil && f.AlsoIn.Source == "" {
		return nil, &core.Failure{Code: core.MissingField, Field: "filter.also_in.source", Message: "Choose the source that the path is about"}
	}
	return source, nil
}

func setFilter(s *server, r *request) (view, error) {
	source, err := s.enteredFilter(r)
	if err == nil {
		err = s.Sources.Update(r.Context(), r.workspace(), source)
	}
	if err != nil {
		return view{}, err
	}
	r.audit("source.filter_changed", source.Name)
	return view{to: "sources/" + source.ID + "/filter", done: "source-filtered", data: addedData{source}}, nil
}

// countSource tells what the filter of a form lets through. Nothing is stored.
func countSource(s *server, r *request) (view, error) {
	source, err := s.enteredFilter(r)
	if err != nil {
		return view{}, err
	}
	var counted *sources.Counted
	var failure *core.Failure
	looked, err := r.tried(func(ctx context.Context) (err error) {
		counted, err = s.Sources.Count(ctx, r.workspace(), source, countedAtMost)
		failure, _ = errors.AsType[*core.Failure](err)
		return err
	})
	if err == nil && failure != nil && strings.HasPrefix(failure.Field, "filter") {
		err = failure
	}
	if err != nil {
		return view{}, err
	}
	r.audit("source.counted", source.Name)
	return s.filterView(r, looked, counted)
}
