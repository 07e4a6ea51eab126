package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/table"
)

const (
	// reportLife is how long reports of runs are kept.
	reportLife = 90 * 24 * time.Hour
	// problemsInPart is how many problems one item of a report holds at most, and
	// maxPart how long it is, in bytes, unless one problem is longer.
	problemsInPart = 250
	maxPart        = 300 << 10
	// maxText is the greatest length of a text of a problem, in bytes.
	maxText = 300
)

// Outcome is what came of a run.
type Outcome string

// The outcomes of runs.
const (
	// UnderWay: it has not ended yet.
	UnderWay Outcome = "under way"
	// Done: all streams were read to their end.
	Done Outcome = "done"
	// Failed: it ended before, for the reason in Why.
	Failed Outcome = "failed"
)

// Counts say what became of the records of a stream. A record may make several of
// ours, or none.
type Counts struct {
	// Read is how many records the system has given.
	Read int `json:"read"`
	// Passed is how many of them were as they were at the last time.
	Passed int `json:"passed"`
	// Inserted, Changed and Unchanged are our records.
	Inserted  int `json:"inserted"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	// Failed is how many of our records were refused; Mismatched is how many of the
	// system's found no account; Filtered is how many did not pass the filter.
	Failed     int `json:"failed"`
	Mismatched int `json:"mismatched"`
	Filtered   int `json:"filtered"`
	// Deleted is how many the system has deleted.
	Deleted int `json:"deleted"`
	// Clipped is how many texts were longer than our field.
	Clipped int `json:"clipped"`
	// Requests is how many pages were asked for.
	Pages int `json:"pages"`
}

// AsBefore is how many records were as they were, in the system or here.
func (c Counts) AsBefore() int { return c.Passed + c.Unchanged }

func (c *Counts) add(d Counts) {
	c.Read += d.Read
	c.Passed += d.Passed
	c.Inserted += d.Inserted
	c.Changed += d.Changed
	c.Unchanged += d.Unchanged
	c.Failed += d.Failed
	c.Mismatched += d.Mismatched
	c.Filtered += d.Filtered
	c.Deleted += d.Deleted
	c.Clipped += d.Clipped
	c.Pages += d.Pages
}

// StreamCounts are the counts of one stream.
type StreamCounts struct {
	Stream string `json:"stream"`
	Counts
}

// Reason says why a run failed.
type Reason struct {
	// Code is credentials, refused, answer, unavailable, ended, deletions, setting or
	// internal.
	Code string `json:"code"`
	// Stream is where, if anywhere.
	Stream string `json:"stream,omitempty"`
	// Message is for people.
	Message string `json:"message"`
}

// Run is the report of one run.
type Run struct {
	// ID names it within its source; later ones are greater.
	ID string `json:"id"`
	// Began and Ended are in epoch ms; Ended is 0 while it is under way.
	Began   int64   `json:"began"`
	Ended   int64   `json:"ended,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Full says that all records were read anew, not the changes alone.
	Full bool `json:"full,omitempty"`
	// Import is the stream of whose exported records it was; empty for others.
	Import string `json:"import,omitempty"`
	// Streams are the counts, in the order of reading.
	Streams []StreamCounts `json:"streams"`
	Why     *Reason        `json:"why,omitempty"`
	// Problems is how many records are listed with what was wrong with them.
	Problems int `json:"problems"`
	// Waiting is how many records wait for an account, from before too.
	Waiting int `json:"waiting"`
}

// Total returns the counts of all streams together.
func (r *Run) Total() Counts {
	var c Counts
	for i := range r.Streams {
		c.add(r.Streams[i].Counts)
	}
	return c
}

// counts returns the counts of a stream, to be added to.
func (r *Run) counts(stream string) *Counts {
	for i := range r.Streams {
		if r.Streams[i].Stream == stream {
			return &r.Streams[i].Counts
		}
	}
	r.Streams = append(r.Streams, StreamCounts{Stream: stream})
	return &r.Streams[len(r.Streams)-1].Counts
}

// Trouble says what is wrong with a record.
type Trouble string

// The troubles.
const (
	// Mismatch: it has no account here. It waits for one.
	Mismatch Trouble = "mismatch"
	// Filtered: it does not pass the filter yet. It waits.
	Filtered Trouble = "filtered"
	// Left: its account does not pass the filter any more.
	Left Trouble = "left"
	// Gone: the system has deleted its account.
	Gone Trouble = "deleted"
	// Invalid: what it makes was refused. It is tried again.
	Invalid Trouble = "invalid"
)

// Problem is what is wrong with one record.
type Problem struct {
	Trouble Trouble `json:"trouble"`
	Stream  string  `json:"stream"`
	// ID is the system's own id; Label is by what people know the record there.
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
	// Family is what it would have become, where only one of several was refused.
	Family string `json:"family,omitempty"`
	// Value is what was to lead to its account.
	Value string `json:"value,omitempty"`
	// Code, Field and Message are those of the refusal.
	Code    core.Code `json:"code"`
	Field   string    `json:"field,omitempty"`
	Message string    `json:"message"`
}

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

func (p *Problem) clip() {
	p.ID, p.Label, p.Value, p.Field, p.Message = clip(p.ID), clip(p.Label), clip(p.Value), clip(p.Field), clip(p.Message)
}

// partition returns a partition of a source. Its parts are joined by dots, so that
// no name of a stream makes it one that belongs to a family.
func partition(workspace, id string, parts ...string) string {
	p := workspace + "/sources/" + id
	if len(parts) > 0 {
		p += "/" + strings.Join(parts, ".")
	}
	return p
}

func runKey(workspace, id, run string) table.Key {
	return table.Key{Partition: partition(workspace, id, "runs"), Sort: run}
}

func problemsKey(workspace, id, run string, part int) table.Key {
	return table.Key{Partition: partition(workspace, id, "runs", run), Sort: fmt.Sprintf("%08d", part)}
}

// Runs returns the reports of a source's runs that are kept, the latest first, at
// most limit of them, before the run called before; empty for the latest.
func (s *Store) Runs(ctx context.Context, workspace, id, before string, limit int) ([]*Run, error) {
	items, err := s.Table.Query(ctx, table.Query{
		Partition: runKey(workspace, id, "").Partition, Descending: true, After: before, Limit: limit, Consistent: true,
	})
	runs := make([]*Run, len(items))
	for i := range items {
		runs[i] = &Run{}
		if err == nil {
			err = json.Unmarshal(items[i].Body, runs[i])
		}
	}
	if err != nil {
		return nil, err
	}
	// The one under way is told as it stands.
	st, err := s.loadState(ctx, workspace, id)
	if err == nil && st.Run != nil && len(runs) > 0 && runs[0].ID == st.Run.ID {
		runs[0] = &st.Run.Run
	}
	return runs, err
}

// RunNamed returns the report of a run; nil if there is none, or none any more.
func (s *Store) RunNamed(ctx context.Context, workspace, id, run string) (*Run, error) {
	st, err := s.loadState(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	if st.Run != nil && st.Run.ID == run { // as it stands
		return &st.Run.Run, nil
	}
	if run == "" || len(run) > maxText {
		return nil, nil
	}
	items, err := s.Table.Get(ctx, []table.Key{runKey(workspace, id, run)}, true)
	if err != nil || !items[0].Exists() {
		return nil, err
	}
	report := &Run{}
	return report, json.Unmarshal(items[0].Body, report)
}

// Problems returns the problems of a run, at most limit of them, behind those that
// were returned with next before; empty for the first ones. next is empty at the
// end.
func (s *Store) Problems(ctx context.Context, workspace, id, run, after string, limit int) (problems []Problem, next string, err error) {
	limit = max(1, limit/problemsInPart)
	items, err := s.Table.Query(ctx, table.Query{
		Partition: problemsKey(workspace, id, run, 0).Partition, After: after, Limit: limit, Consistent: true,
	})
	for i := range items {
		var part []Problem
		if err == nil {
			err = json.Unmarshal(items[i].Body, &part)
		}
		problems = append(problems, part...)
	}
	if err != nil {
		return nil, "", err
	}
	if len(items) == limit {
		next = items[limit-1].Sort
	}
	return problems, next, nil
}

// waiting is a record that could not be placed, as it waits to be tried again.
type waiting struct {
	Problem
	// Since is when it was first tried, in epoch ms.
	Since int64 `json:"since"`
	// Record is the record; absent if it is too large to be kept: then it is tried
	// again when the system gives it again.
	Record json.RawMessage `json:"record,omitempty"`
}

// maxWaiting is the largest record that is kept while it waits, in bytes.
const maxWaiting = 300 << 10

func waitingKey(workspace, id, stream, native string) table.Key {
	return table.Key{Partition: partition(workspace, id, "waiting", stream), Sort: sortOf(native)}
}

// Waiting is a record that waits for its account.
type Waiting struct {
	Problem
	// Since is when it was first tried, in epoch ms.
	Since int64 `json:"since"`
}

// WaitingRecords returns records of a stream that wait, at most limit of them, in
// the order of ids, behind those returned with next before.
func (s *Store) WaitingRecords(ctx context.Context, workspace, id, stream, after string, limit int) (all []Waiting, next string, err error) {
	items, err := s.Table.Query(ctx, table.Query{
		Partition: waitingKey(workspace, id, stream, "").Partition, After: after, Limit: limit, Consistent: true,
	})
	if err != nil {
		return nil, "", err
	}
	all = make([]Waiting, len(items))
	for i := range items {
		if err := json.Unmarshal(items[i].Body, &all[i]); err != nil {
			return nil, "", err
		}
	}
	if len(items) == limit {
		next = items[limit-1].Sort
	}
	return all, next, nil
}

// stateRun is the run under way, as it is stored.
type stateRun struct {
	Run
	Parts int `json:"parts,omitempty"`
	// Read are the streams that were read to their end.
	Read []string `json:"read_streams,omitempty"`
	// Tried says that the records that wait for the stream under way were tried;
	// TriedAfter is how far that has come.
	Tried      bool   `json:"tried,omitempty"`
	TriedAfter string `json:"tried_after,omitempty"`
	// Position is how far the reading of the stream under way has come; nil before.
	Position *connector.Position `json:"position,omitempty"`
	// Passes is how many items of ids the pass over the stream under way has, and
	// Passing says that it was a whole one so far.
	Passes  int  `json:"passes,omitempty"`
	Passing bool `json:"passing,omitempty"`
	// Again says that the stream under way was begun anew once, because the system
	// would not go on where it was left.
	Again bool `json:"again,omitempty"`
	// Resumed says that the next page is the first since the run was taken up again.
	Resumed bool `json:"-"`
}

// state is what is known of a source's runs.
type state struct {
	// Streams are how far each has been read, by name.
	Streams map[string]connector.Last `json:"streams,omitempty"`
	// Run is the run under way; nil if there is none.
	Run *stateRun `json:"run,omitempty"`
	// Left is a run that has failed on the way and can be gone on with.
	Left *stateRun `json:"left,omitempty"`
	// Last is the last run that has ended; Succeeded is when the last one ended
	// that was done, in epoch ms.
	Last      *Run  `json:"last,omitempty"`
	Succeeded int64 `json:"succeeded,omitempty"`
	// Began is when the last run began, and Next is when there is something to do
	// again, in epoch ms.
	Began int64 `json:"began_at,omitempty"`
	Next  int64 `json:"next,omitempty"`
	// Failures is how many runs have failed since the last one that was done.
	Failures int `json:"failures,omitempty"`
	// Waiting is how many records wait, by stream.
	Waiting map[string]int `json:"waiting,omitempty"`

	version int64
}

func (st *state) waitingTotal() int {
	n := 0
	for _, of := range st.Waiting {
		n += of
	}
	return n
}

func stateKey(workspace, id string) table.Key {
	return table.Key{Partition: partition(workspace, id), Sort: "state"}
}

func newState() *state {
	return &state{Streams: map[string]connector.Last{}, Waiting: map[string]int{}}
}

func (s *Store) loadState(ctx context.Context, workspace, id string) (*state, error) {
	states, err := s.loadStates(ctx, workspace, []string{id})
	if err != nil {
		return nil, err
	}
	return states[0], nil
}

func (s *Store) loadStates(ctx context.Context, workspace string, ids []string) ([]*state, error) {
	keys := make([]table.Key, len(ids))
	for i, id := range ids {
		keys[i] = stateKey(workspace, id)
	}
	items, err := s.Table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	states := make([]*state, len(ids))
	for i := range items {
		states[i] = newState()
		states[i].version = items[i].Version
		if items[i].Exists() {
			if err := json.Unmarshal(items[i].Body, states[i]); err != nil {
				return nil, err
			}
		}
	}
	return states, nil
}

// Status is a source with how it is doing: a row of the Source Overview.
type Status struct {
	Source     *Source     `json:"source"`
	Credential *Credential `json:"credential,omitempty"`
	// Run is the run under way, Last the last one that has ended; nil if there is
	// none.
	Run  *Run `json:"run,omitempty"`
	Last *Run `json:"last,omitempty"`
	// Succeeded is when the last run ended that was done, and Next is when the next
	// one is due, in epoch ms; 0: never, or not by itself.
	Succeeded int64 `json:"succeeded"`
	Next      int64 `json:"next"`
	// Waiting is how many records wait for their account.
	Waiting int `json:"waiting"`
}

// Statuses returns the sources of a workspace with how they are doing.
func (s *Store) Statuses(ctx context.Context, workspace string) ([]Status, error) {
	all, err := s.List(ctx, workspace)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, source := range all {
		ids[i] = source.ID
	}
	states, err := s.loadStates(ctx, workspace, ids)
	if err != nil {
		return nil, err
	}
	statuses := make([]Status, len(all))
	for i, source := range all {
		st := states[i]
		c, err := s.Credential(ctx, workspace, source)
		if err != nil {
			return nil, err
		}
		statuses[i] = Status{Source: source, Credential: c, Last: st.Last, Succeeded: st.Succeeded, Waiting: st.waitingTotal()}
		if st.Run != nil {
			statuses[i].Run = &st.Run.Run
		}
		if !source.Paused && source.Every > 0 && s.Connector(source.Connector).Ended == nil {
			statuses[i].Next = max(st.Next, 1)
		}
	}
	return statuses, nil
}

// asked says that somebody wants a source to run.
type asked struct {
	Full bool `json:"full,omitempty"`
}

func askedKey(workspace, id string) table.Key {
	return table.Key{Partition: partition(workspace, id), Sort: "asked"}
}

// Ask has a source run soon, whether or not it is due; full has it read all records
// anew, and make ours of them again.
func (s *Store) Ask(ctx context.Context, workspace, id string, full bool) error {
	source, err := s.Get(ctx, workspace, id)
	if err != nil {
		return err
	}
	if c := s.Connector(source.Connector); c.Ended != nil {
		return &core.Failure{Code: core.Conflicting, Field: "source", Message: c.Ended.Message}
	}
	body, err := json.Marshal(asked{full})
	if err != nil {
		return err
	}
	item := table.Item{Key: askedKey(workspace, id), Version: s.version(0), Body: body}
	for _, err := range s.Table.Write(ctx, []table.Op{table.Put(item, table.Condition{})}, nil) {
		if err != nil {
			return err
		}
	}
	if s.Start == nil {
		return nil
	}
	return s.Start(ctx, workspace, id)
}

// Due returns the tasks of a workspace's sources, as Start takes them, that there is
// something to do for now: a run is due, was asked for, or is to go on, or candidates
// are sought.
func (s *Store) Due(ctx context.Context, workspace string) ([]string, error) {
	all, err := s.List(ctx, workspace)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	keys := make([]table.Key, 0, 2*len(all))
	ids := make([]string, len(all))
	for i, source := range all {
		keys = append(keys, askedKey(workspace, source.ID), matchStateKey(workspace, source.ID))
		ids[i] = source.ID
	}
	items, err := s.Table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	states, err := s.loadStates(ctx, workspace, ids)
	if err != nil {
		return nil, err
	}
	var due []string
	for i, source := range all {
		if s.due(source, states[i], items[2*i].Exists()) {
			due = append(due, source.ID)
		}
		m, err := matchingOf(&items[2*i+1])
		if err != nil {
			return nil, err
		}
		if m.Next != nil {
			due = append(due, searchTask+source.ID)
		}
	}
	return due, nil
}

// due reports whether there is something to do for a source now.
func (s *Store) due(source *Source, st *state, wanted bool) bool {
	now := s.Now().UnixMilli()
	switch {
	case s.Connector(source.Connector).Ended != nil:
		return false
	case wanted && st.Run == nil:
		return true
	case st.Run != nil:
		return st.Run.Import == "" && st.Next <= now && (!source.Paused || wanted)
	}
	return source.Every > 0 && !source.Paused && st.Next <= now
}
