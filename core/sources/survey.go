package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/resource"
	"tenure/core/schema"
)

const (
	// surveyed is how many records of a stream a survey looks at, and surveyTime how
	// long it reads, unless somebody says otherwise.
	surveyed   = 1000
	surveyTime = 12 * time.Second
	// eachOutcome is how many records a survey shows of each outcome.
	eachOutcome = 2
	// most is from how many percent on nearly all are meant.
	most = 95
)

// SurveyLimit bounds a survey.
type SurveyLimit struct {
	// Records is how many records of a stream are looked at; 0 for a thousand.
	Records int
	// Time is how long the system is read; 0 for 12 seconds. The comparison of a System
	// of Record with our accounts may take another third of it.
	Time time.Duration
}

// Survey is what a look at a system's records says of where the account_id is, and
// of the system as the System of Record.
type Survey struct {
	Streams   []SurveyedStream   `json:"streams"`
	Locations []SurveyedLocation `json:"locations"`
	// AccountID answers what is to be asked of an account_id, of the location that the
	// source has; Record what is to be asked of a System of Record, if it is one.
	AccountID []Answer `json:"account_id"`
	Record    []Answer `json:"system_of_record,omitempty"`
	// Telling are fields of the records that are accounts by which those to leave out
	// may be told, the likeliest first.
	Telling []Telling `json:"telling,omitempty"`
}

// SurveyedStream says how much of a stream was looked at.
type SurveyedStream struct {
	Stream string `json:"stream"`
	Title  string `json:"title"`
	// Records is how many; More says that there are others, or may be.
	Records int  `json:"records"`
	More    bool `json:"more"`
	// Why is what kept it from reading on; empty for nothing.
	Why string `json:"why,omitempty"`
}

// SurveyedLocation is a place where the account_id may be, with what is there.
type SurveyedLocation struct {
	Location string `json:"location"`
	// Records is how many were looked at that have to find their account; More says
	// that there are others, or may be.
	Records int  `json:"records"`
	More    bool `json:"more"`
	// Values is how many of them have a value there. Of those One lead to exactly one
	// of our accounts, None to none and Several to more than one.
	Values  int `json:"values"`
	One     int `json:"one"`
	None    int `json:"none"`
	Several int `json:"several"`
	// OfValues and OfRecords are the share that One is of Values and of Records, in
	// whole percent, rounded down.
	OfValues  int `json:"percent_of_values"`
	OfRecords int `json:"percent_of_records"`
	// Linked is how many of the records somebody has said the account of, which goes
	// before any value.
	Linked int `json:"linked,omitempty"`
	// Findings are what is wrong with the values, Shapes what they look like.
	Findings []Finding `json:"findings"`
	Shapes   []Shape   `json:"shapes"`
	// Examples are some records of each outcome.
	Examples []SurveyedRecord `json:"examples"`
	// Why is why nothing is known of it; empty if something is.
	Why string `json:"why,omitempty"`

	location *connector.Location
	stream   *survey
	texts    []string // what each record has there; empty for none
}

// SurveyedRecord is a record with what it has where the account_id may be.
type SurveyedRecord struct {
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
	Value string `json:"value,omitempty"`
	// Account is the one that it leads to; Why is why there is none.
	Account string `json:"account,omitempty"`
	Why     string `json:"why,omitempty"`
}

// survey is a stream while it is looked at.
type survey struct {
	SurveyedStream
	stream *connector.Stream
	// records are those that have to find their account.
	records []*one
	linked  int
}

// Survey connects to a system as a source says, which may be a stored one or one that
// is to be, and looks at its first records: what each location of the account_id
// yields, which of our accounts that leads to, and whether the system will do as the
// System of Record, if it is to be that. It writes nothing. A *core.Failure or an error
// of package connector says what is wrong with settings or credentials. What cannot
// be reached in time is told in the survey.
func (s *Store) Survey(ctx context.Context, workspace string, source *Source, limit SurveyLimit) (*Survey, error) {
	limit.Records, limit.Time = cmp.Or(limit.Records, surveyed), cmp.Or(limit.Time, surveyTime)
	until := time.Now().Add(limit.Time)
	reading, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	r, err := s.try(reading, workspace, source)
	if err != nil {
		return nil, err
	}
	streams, err := r.surveyStreams(ctx, limit.Records, until)
	if err != nil {
		return nil, err
	}
	found := &Survey{Streams: []SurveyedStream{}, Locations: []SurveyedLocation{}}
	for i := range r.connector.Streams {
		if st := streams[r.connector.Streams[i].Name]; st != nil {
			found.Streams = append(found.Streams, st.SurveyedStream)
		}
	}
	for i := range r.connector.Locations {
		l, err := r.surveyLocation(ctx, &r.connector.Locations[i], streams[r.connector.Locations[i].Stream])
		if err != nil {
			return nil, err
		}
		found.Locations = append(found.Locations, *l)
	}
	at := slices.IndexFunc(found.Locations, func(l SurveyedLocation) bool { return l.location == r.location })
	chosen := &found.Locations[at]
	if found.AccountID, err = r.answerAccountID(ctx, found.Locations, chosen); err != nil || !source.SystemOfRecord {
		return found, err
	}
	found.Telling = tellingFields(chosen.stream.records)
	found.Record, err = r.answerRecord(ctx, found, chosen, limit)
	return found, err
}

// surveyStreams reads the first records of the streams that locations are in, each
// once, the source's own first. Each has its share of the time there is.
func (r *run) surveyStreams(ctx context.Context, atMost int, until time.Time) (map[string]*survey, error) {
	all := map[string]*survey{}
	order := []*survey{}
	for _, l := range append([]connector.Location{*r.location}, r.connector.Locations...) {
		if all[l.Stream] == nil {
			st := streamOf(r.connector, l.Stream)
			all[l.Stream] = &survey{stream: st, SurveyedStream: SurveyedStream{Stream: st.Name, Title: st.Title}}
			order = append(order, all[l.Stream])
			r.sampled[st.Name] = true // for its own sake, not for others
		}
	}
	for i, st := range order {
		if !r.source.reads(st.stream) {
			st.Why = "They are not read: have the source read them first"
			continue
		}
		reading, cancel := context.WithTimeout(ctx, time.Until(until)/time.Duration(len(order)-i))
		records, more, err := r.sample(reading, st.stream, atMost)
		late := reading.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
		case late, errors.Is(err, context.DeadlineExceeded):
			st.Why = "The system has taken too long"
		case Tells(err):
			st.Why = err.Error()
		default:
			return nil, err
		}
		st.More = more || len(records) > atMost || st.Why != ""
		if err := r.take(ctx, st, records[:min(len(records), atMost)]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// take keeps those of the records that were read that have to find their account.
func (r *run) take(ctx context.Context, st *survey, records []*one) error {
	records = slices.DeleteFunc(records, func(o *one) bool { return o.Deleted })
	st.Records = len(records)
	if err := r.join(ctx, st.stream, records); err != nil {
		return err
	}
	st.records = records
	if plan := r.plans[st.stream.Name]; len(plan.feeds) > 0 {
		var err error
		if st.records, err = r.wanted(ctx, st.stream, plan, records); err != nil {
			return err
		}
	}
	ids := make([]string, len(st.records))
	for i, o := range st.records {
		ids[i] = o.ID
		var err error
		if o.label, err = r.text(ctx, st.stream.Label, o.Value); err != nil {
			return err
		}
	}
	links, err := r.linked(ctx, st.stream.Name, ids)
	st.linked = len(links)
	return err
}

// surveyLocation says what is at a location, and where it leads.
func (r *run) surveyLocation(ctx context.Context, l *connector.Location, st *survey) (*SurveyedLocation, error) {
	of := &SurveyedLocation{Location: l.Name, Records: len(st.records), More: st.More, Linked: st.linked, Findings: []Finding{}, Shapes: []Shape{},
		Examples: []SurveyedRecord{}, location: l, stream: st, texts: make([]string, len(st.records))}
	if len(st.records) == 0 {
		of.Why = cmp.Or(st.Why, "There are no "+st.Title+" to look at")
		return of, nil
	}
	values := make([]any, len(st.records))
	steps := make([]step, len(st.records))
	for i, o := range st.records {
		value, err := r.eval(ctx, l.Path, o.Value)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			of.Why = "It cannot be read: " + clip(err.Error())
			return of, nil
		}
		values[i] = value
		text, _ := textOf(value)
		if l.By == connector.ByEmail {
			text = mapping.Email(text)
		}
		if of.texts[i] = text; text != "" {
			of.Values++
			steps[i].refs = []ref{{By: l.By, Value: text}}
		}
	}
	of.Findings, of.Shapes = Findings(values), shapesOf(of.texts)
	known, err := r.lookUp(ctx, steps)
	if err != nil {
		return nil, err
	}
	shown := map[int]int{}
	for i, o := range st.records {
		example := SurveyedRecord{ID: clip(o.ID), Label: clip(o.label), Value: clip(of.texts[i])}
		outcome := -1 // no value
		if of.texts[i] == "" {
			example.Why = "It has nothing there"
		} else {
			to := steps[i].refs[0]
			accounts := known[to]
			switch outcome = min(len(accounts), 2); outcome {
			case 0:
				of.None++
				example.Why = clip(notThere(to))
			case 1:
				of.One++
				example.Account = accounts[0]
			default:
				of.Several++
				example.Why = fmt.Sprintf("Several accounts, such as %s and %s", accounts[0], accounts[1])
			}
		}
		if shown[outcome]++; shown[outcome] <= eachOutcome {
			of.Examples = append(of.Examples, example)
		}
	}
	of.OfValues, of.OfRecords = percent(of.One, of.Values), percent(of.One, of.Records)
	return of, nil
}

// percent returns which share n is of all, in whole percent, rounded down; 0 of none.
func percent(n, all int) int { return n * 100 / max(all, 1) }

// compared is which accounts a System of Record knows, beside ours.
type compared struct {
	// ours is how many active accounts there are, and known how many of them the system
	// has. missing are some of the others.
	ours, known int
	missing     []string
	// theirs is how many different account_ids the system has, as far as it was read.
	theirs int
	// whole says that these are all it has; since is when it was last read whole, in
	// epoch ms, if that is how they are known; 0: just now.
	whole bool
	since int64
}

// compare compares the account_ids of a System of Record with our accounts: those of
// the records that were looked at, and those that are remembered of all others if what
// is remembered was read from the same place.
func (r *run) compare(ctx context.Context, of *SurveyedLocation) (*compared, error) {
	theirs := map[string]bool{}
	for _, text := range of.texts {
		if text != "" {
			theirs[text] = true
		}
	}
	c := &compared{whole: !of.More}
	if of.More {
		remembered, since, err := r.remembered(ctx, of)
		if err != nil {
			return nil, err
		}
		for _, text := range remembered {
			theirs[text] = true
		}
		c.whole, c.since = since != 0, since
	}
	c.theirs = len(theirs)
	for id, err := range r.accounts(ctx) {
		if err != nil {
			return nil, err
		}
		if c.ours++; theirs[id] {
			c.known++
		} else if len(c.missing) < maxExamples {
			c.missing = append(c.missing, id)
		}
	}
	return c, nil
}

// accounts yields the ids of our active accounts.
func (r *run) accounts(ctx context.Context) iter.Seq2[string, error] {
	family := r.family("accounts")
	return func(yield func(string, error) bool) {
		for batch, err := range r.Engine.Batches(ctx, resource.List{Workspace: r.workspace, Family: family}, "") {
			if err != nil {
				yield("", err)
				return
			}
			for _, record := range batch.Records {
				if !yield(record[family.ID].Text(), nil) {
					return
				}
			}
		}
	}
}

// remembered returns the account_ids of all records of the stream that a location is
// in, as they were when it was last read whole, and when that was, in epoch ms; 0 if it
// never was, or from elsewhere.
func (r *run) remembered(ctx context.Context, of *SurveyedLocation) (texts []string, since int64, err error) {
	st := of.stream.stream
	state, err := r.loadState(ctx, r.workspace, r.source.ID)
	if err != nil || state.Streams[st.Name].At == 0 {
		return nil, 0, err
	}
	// Were it read from elsewhere, what is remembered of the records that were looked at
	// would be something else.
	ids := make([]string, len(of.stream.records))
	for i, o := range of.stream.records {
		ids[i] = o.ID
	}
	known, err := r.loadSeen(ctx, st.Name, ids)
	if err != nil {
		return nil, 0, err
	}
	same := 0
	for i, id := range ids {
		if was := known[id]; was != nil && was.named() == of.texts[i] {
			same++
		}
	}
	if percent(same, len(ids)) < most {
		return nil, 0, nil
	}
	err = r.eachSeen(ctx, st.Name, func(_ string, was *seen) {
		if text := was.named(); text != "" {
			texts = append(texts, text)
		}
	})
	return texts, state.Streams[st.Name].At, err
}

// named returns the account_id that a record of a System of Record has.
func (s *seen) named() string {
	for _, to := range s.Refs {
		if to.By == connector.ByAccountID || to.By == connector.ByNativeID {
			return to.Value
		}
	}
	return ""
}

// lacking is how many records lack a mandatory field, or have something there that
// cannot be it.
type lacking struct {
	field    string
	count    int
	examples []string
	why      string // of the first that has something that cannot be it
}

// mandatory finds out which records of a System of Record lack a field that accounts
// must have, by what the mapping makes of them.
func (r *run) mandatory(ctx context.Context, of *SurveyedLocation) ([]*lacking, error) {
	st := of.stream
	i := slices.IndexFunc(r.plans[st.stream.Name].feeds, func(f *feed) bool { return isRoot(f.family) })
	if i < 0 {
		return nil, nil
	}
	f := r.plans[st.stream.Name].feeds[i]
	var all []*lacking
	by := map[string]*lacking{}
	for _, field := range f.family.Schema.Fields {
		if field.Required != schema.Optional {
			all = append(all, &lacking{field: field.Name})
			by[field.Name] = all[len(all)-1]
		}
	}
	note := func(field string, o *one, why string) {
		of := by[field]
		if of == nil {
			return
		}
		if of.count++; len(of.examples) < maxExamples {
			of.examples = append(of.examples, clip(labelOf(o)))
		}
		of.why = cmp.Or(of.why, why)
	}
	for i, o := range st.records {
		if !slices.Contains(o.feeds, f) {
			continue
		}
		named := f.family.Schema.Fields[f.family.ID].Name
		if o.account = of.texts[i]; o.account == "" {
			note(named, o, "")
		}
		inputs, err := r.inputs(ctx, f, o)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			continue
		}
		for _, in := range inputs {
			if in.Failure != nil {
				note(in.Failure.Field, o, in.Failure.Message)
			}
			for n, field := range f.family.Schema.Fields {
				if in.Patch != nil && by[field.Name] != nil && field.Name != named && in.Patch[n].IsNull() && (in.Failure == nil || in.Failure.Field != field.Name) {
					note(field.Name, o, "")
				}
			}
		}
	}
	return all, nil
}
