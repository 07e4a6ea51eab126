package sources

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/secrets"
	"tenure/core/table"
)

const (
	// lease is how long a page may take. A process that dies keeps the next one from
	// going on for as long.
	lease = 5 * time.Minute
	// checkpointEvery is how often it is written down how far a run has come, at
	// least if there is a page to write it down after.
	checkpointEvery = 2 * time.Second
	// perUpload is how many of our records are applied together.
	perUpload = 1000
	// retryFirst is after how long a run that has failed is tried again; twice as
	// long after each further failure, until that is as often as the source runs.
	retryFirst = 5 * time.Minute
	// longestPosition is for how long a run that has failed is gone on with where it
	// was, rather than from the beginning of the stream.
	longestPosition = 24 * time.Hour
	// few is how many records may be missing at once without further ado.
	few = 20
	// maxDecoded is the largest text of a record that is read back, in bytes.
	maxDecoded = 1 << 20
)

// run is one call of Run.
type run struct {
	*Store
	workspace string
	source    *Source
	connector *connector.Connector
	location  *connector.Location
	session   *connector.Session
	plans     map[string]*plan
	// fingerprint tells when something other is made of the same record.
	fingerprint string
	full        bool
	together    int

	state    *state
	report   *Run
	lock     *access.Lock    // nil in a preview
	problems []Problem       // not written down yet
	hashes   []uint64        // of the pass, not written down yet
	written  time.Time       // when it was last written down how far it came
	shown    bool            // what is made of records is kept, to be shown
	sampled  map[string]bool // streams of which a trial has read the first records
}

// plan is what is done with the records of a stream.
type plan struct {
	feeds []*feed
	// remembered says that its records are.
	remembered bool
}

// Work does what Start was given: it has a source run, or seeks candidates for its
// accounts. It is as Run in all else.
func (s *Store) Work(ctx context.Context, workspace, task string) (more bool, err error) {
	if id, ok := strings.CutPrefix(task, searchTask); ok {
		return s.search(ctx, workspace, id)
	}
	return s.Run(ctx, workspace, task)
}

// Run does what there is to do for a source until that is done or the end of ctx is
// near, and reports whether there is more to do at once. access.ErrLocked says that
// another one is at work on it. What goes wrong with the system is in the report of
// the run; an error is trouble of the store or the program, after which Run is to
// be called again later.
func (s *Store) Run(ctx context.Context, workspace, id string) (more bool, err error) {
	source, err := s.Get(ctx, workspace, id)
	if failure, ok := errors.AsType[*core.Failure](err); ok && failure == notFound {
		return false, nil // it was deleted
	}
	if err != nil {
		return true, err
	}
	lock, err := s.Access.Lock(ctx, access.LockID("source/"+workspace+"/"+id), lease, 0)
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	r := &run{Store: s, workspace: workspace, source: source, lock: lock, together: perUpload}
	more, err = r.do(ctx)
	if errors.Is(err, table.ErrFenced) {
		return true, fmt.Errorf("%w: %w", access.ErrLocked, err)
	}
	return more, err
}

// do begins a run, or goes on with the one under way.
func (r *run) do(ctx context.Context) (more bool, err error) {
	if r.state, err = r.loadState(ctx, r.workspace, r.source.ID); err != nil {
		return true, err
	}
	items, err := r.Table.Get(ctx, []table.Key{askedKey(r.workspace, r.source.ID)}, true)
	if err != nil {
		return true, err
	}
	if !r.due(r.source, r.state, items[0].Exists()) {
		return false, nil
	}
	if r.state.Run == nil {
		if err := r.begin(ctx, &items[0]); err != nil {
			return true, err
		}
	} else {
		r.state.Run.Resumed = true
	}
	r.report = &r.state.Run.Run
	r.full = r.report.Full
	err = r.open(ctx)
	if err == nil {
		more, err = r.streams(ctx)
	}
	return r.conclude(ctx, more, err)
}

// begin begins a run. What has asked for it is taken away.
func (r *run) begin(ctx context.Context, wanted *table.Item) error {
	now := r.Now()
	next := &stateRun{Run: Run{ID: fmt.Sprintf("%013d", now.UnixMilli()), Began: now.UnixMilli(), Outcome: UnderWay, Streams: []StreamCounts{}}}
	var more []table.Op
	if wanted.Exists() {
		var a asked
		if err := json.Unmarshal(wanted.Body, &a); err != nil {
			return err
		}
		next.Full = a.Full
		more = append(more, table.Delete(wanted.Key, table.VersionIs(wanted.Version)))
	}
	if last := r.state.Last; last != nil && last.ID >= next.ID {
		next.ID = last.ID + "0" // the clock was set back
	}
	if left := r.state.Left; left != nil && left.Full == next.Full && now.Sub(time.UnixMilli(left.Position.Began)) < longestPosition {
		next.Read, next.Tried, next.TriedAfter = left.Read, left.Tried, left.TriedAfter
		next.Position, next.Passes, next.Passing, next.Resumed = left.Position, left.Passes, left.Passing, true
	}
	r.state.Left = nil
	r.state.Run, r.state.Began, r.state.Next = next, now.UnixMilli(), 0
	r.report = &next.Run
	op, err := r.reported()
	if err != nil {
		return err
	}
	err = r.checkpoint(ctx, append(more, op)...)
	if errors.Is(err, table.ErrConflict) { // it was asked for once more
		return r.checkpoint(ctx, op)
	}
	return err
}

// open prepares the reading of the system.
func (r *run) open(ctx context.Context) error {
	money, err := r.Money(ctx, r.workspace)
	if err != nil {
		return err
	}
	r.connector = r.Connector(r.source.Connector)
	r.location = locationOf(r.connector, r.source.Location)
	var zone *time.Location
	if r.source.Zone != "" {
		if zone, err = time.LoadLocation(r.source.Zone); err != nil {
			return refuse(core.NotAChoice, "zone", "The time zone '%s' is not known here", r.source.Zone)
		}
	}
	load, refresh := r.credentials(r.workspace, r.source)
	if r.session, err = connector.Open(ctx, connector.Config{
		Connector: r.connector, Settings: r.source.Settings, Load: load, Refresh: refresh, Transport: r.Transport, Requests: r.source.Requests,
		Env: mapping.Env{Currency: money.Currency, Rates: money.Rates, Zone: zone}, Now: r.Now, Sleep: r.Sleep,
		Off: func(stream, family string) bool {
			st := streamOf(r.connector, stream)
			return !slices.ContainsFunc(st.Feeds, func(f connector.Feed) bool { return f.Family == family && r.source.feeds(st, &f) })
		},
	}); err != nil {
		return err
	}
	return r.compile(money)
}

// compile prepares what is done with the records.
func (r *run) compile(money Money) error {
	r.plans = map[string]*plan{}
	joined := map[string]bool{}
	for i := range r.connector.Streams {
		st := &r.connector.Streams[i]
		for _, j := range st.Joins {
			joined[j.Stream] = true
		}
		for _, route := range st.Account {
			joined[route.Via] = true
		}
		joined[st.Deletes] = true
	}
	what := []any{r.connector.Name, r.source.Settings, r.source.Location, r.source.SystemOfRecord, r.source.Streams, r.source.Mapping,
		r.source.Prefix, r.source.Zone, r.source.Filter, money}
	for i := range r.connector.Streams {
		st := &r.connector.Streams[i]
		feeds, err := r.compileFeeds(st)
		if err != nil {
			return err
		}
		p := &plan{feeds: feeds, remembered: joined[st.Name] || st.Keep != "" || st.Passing || st.Accounts}
		for _, f := range feeds {
			// Of what has no id of its own, or more than one of ours, it must be known
			// what was made.
			p.remembered = p.remembered || f.each != nil || !f.family.OwnID && f.family.Generated == nil
		}
		r.plans[st.Name] = p
		for _, f := range st.Feeds {
			what = append(what, f)
		}
	}
	text, err := json.Marshal(what)
	r.fingerprint = string(text)
	return err
}

// streams reads the streams that have not been read yet in this run.
func (r *run) streams(ctx context.Context) (more bool, err error) {
	for i := range r.connector.Streams {
		st := &r.connector.Streams[i]
		if !r.source.reads(st) || slices.Contains(r.state.Run.Read, st.Name) {
			continue
		}
		if more, err := r.waited(ctx, st); more || err != nil {
			return more, err
		}
		if more, err := r.stream(ctx, st); more || err != nil {
			return more, err
		}
		if err := r.checkpoint(ctx); err != nil {
			return true, err
		}
	}
	return false, nil
}

// late reports whether the end of the time there is is near.
func (s *Store) late(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && deadline.Sub(s.Now()) < s.Reserve
}

// waited tries the records of a stream that wait.
func (r *run) waited(ctx context.Context, st *connector.Stream) (more bool, err error) {
	u := r.state.Run
	for !u.Tried {
		if r.late(ctx) {
			return true, r.checkpoint(ctx)
		}
		q := table.Query{Partition: waitingKey(r.workspace, r.source.ID, st.Name, "").Partition, After: u.TriedAfter, Limit: 100, Consistent: true}
		items, err := r.Table.Query(ctx, q)
		if err != nil {
			return true, err
		}
		var records []*one
		for i := range items {
			var w waiting
			if err := json.Unmarshal(items[i].Body, &w); err != nil {
				return true, err
			}
			u.TriedAfter = items[i].Sort
			if w.Record == nil {
				continue
			}
			value, err := decode(w.Record)
			if err != nil {
				return true, err
			}
			object, _ := value.(map[string]any)
			id, err := r.text(ctx, st.ID, object)
			if err != nil {
				return true, err
			}
			records = append(records, &one{Record: connector.Record{ID: id, Value: object}, waited: max(w.Since, 1), told: &w.Problem, again: true})
		}
		if len(records) > 0 {
			if err := r.session.Facts(ctx, st); err != nil {
				return true, err
			}
		}
		if err := r.apply(ctx, st, records); err != nil {
			return true, err
		}
		if len(items) < q.Limit {
			u.Tried, u.TriedAfter = true, ""
		}
		if err := r.maybeCheckpoint(ctx); err != nil {
			return true, err
		}
	}
	return false, nil
}

// stream reads what there is to read of a stream.
func (r *run) stream(ctx context.Context, st *connector.Stream) (more bool, err error) {
	u := r.state.Run
	if u.Position == nil {
		r.beginStream(ctx, st)
	}
	for {
		if r.late(ctx) {
			return true, r.checkpoint(ctx)
		}
		if err := r.lock.Renew(ctx, lease); err != nil {
			return true, err
		}
		page, err := r.session.Page(ctx, st, *u.Position)
		if err != nil {
			if u.Resumed && !u.Again && (errors.Is(err, connector.ErrRefused) || errors.Is(err, connector.ErrAnswer)) {
				// What led to the next page has expired.
				u.Again = true
				if err := r.clear(ctx, partition(r.workspace, r.source.ID, "pass", st.Name)); err != nil {
					return true, err
				}
				r.beginStream(ctx, st)
				continue
			}
			return true, err
		}
		u.Resumed = false
		if err := r.page(ctx, st, page); err != nil {
			return true, err
		}
		u.Position = &page.Next
		if !page.Last {
			if err := r.maybeCheckpoint(ctx); err != nil {
				return true, err
			}
			continue
		}
		if u.Passing {
			if err := r.sweep(ctx, st); err != nil {
				return true, err
			}
		}
		r.state.Streams[st.Name] = connector.Last{At: u.Position.Began, Cursor: page.Cursor}
		u.Read = append(u.Read, st.Name)
		u.Position, u.Tried, u.Again, u.Passing, u.Passes = nil, false, false, false, 0
		return false, nil
	}
}

// beginStream begins the reading of a stream.
func (r *run) beginStream(ctx context.Context, st *connector.Stream) {
	u := r.state.Run
	at := r.session.Begin(st, r.state.Streams[st.Name], r.full)
	u.Position, u.Passes, r.hashes = &at, 0, nil
	u.Passing = st.Deletes == "" && at.Since == nil && at.Cursor == nil && !at.Changed && r.plans[st.Name].remembered
}

// page applies the records of a page.
func (r *run) page(ctx context.Context, st *connector.Stream, page *connector.Page) error {
	counts := r.report.counts(st.Name)
	counts.Pages++
	counts.Read += len(page.Records)
	if r.state.Run.Passing {
		for i := range page.Records {
			if !page.Records[i].Deleted {
				r.hashes = append(r.hashes, hashOf(page.Records[i].ID))
			}
		}
	}
	records, err := r.ones(ctx, st, page.Records)
	if err != nil {
		return err
	}
	for group := range slices.Chunk(records, perUpload) {
		if err := r.apply(ctx, st, group); err != nil {
			return err
		}
	}
	return nil
}

// ones returns the records to be applied: of several with one id the last, and with
// since when they have waited.
func (r *run) ones(ctx context.Context, st *connector.Stream, records []connector.Record) ([]*one, error) {
	at := map[string]int{}
	var all []*one
	var keys []table.Key
	for _, record := range records {
		if i, twice := at[record.ID]; twice {
			all[i].Record = record
			continue
		}
		at[record.ID] = len(all)
		all = append(all, &one{Record: record})
		keys = append(keys, waitingKey(r.workspace, r.source.ID, st.Name, record.ID))
	}
	if r.state.Waiting[st.Name] == 0 {
		return all, nil
	}
	items, err := r.Table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	for i := range items {
		if items[i].Exists() {
			var w waiting
			if err := json.Unmarshal(items[i].Body, &w); err != nil {
				return nil, err
			}
			all[i].waited, all[i].told, all[i].kept = max(w.Since, 1), &w.Problem, w.Record
		}
	}
	return all, nil
}

// sweep removes what was made of records that a whole pass has not met.
func (r *run) sweep(ctx context.Context, st *connector.Stream) error {
	if err := r.checkpoint(ctx); err != nil { // the ids, too
		return err
	}
	met, err := r.passed(ctx, st.Name)
	if err != nil {
		return err
	}
	var missing []string
	total := 0
	if err := r.eachSeen(ctx, st.Name, func(id string, of *seen) {
		if of.Out && of.Refs == nil {
			return // it was gone before
		}
		total++
		if _, there := slices.BinarySearch(met, hashOf(id)); !there {
			missing = append(missing, id)
		}
	}); err != nil {
		return err
	}
	if len(missing) > few && len(missing) > total/2 && !r.source.DeleteMany {
		return &tooMany{st.Name, len(missing), total}
	}
	for group := range slices.Chunk(missing, 500) {
		if err := r.remove(ctx, st, group, r.report.counts(st.Name)); err != nil {
			return err
		}
	}
	return r.clear(ctx, partition(r.workspace, r.source.ID, "pass", st.Name))
}

// tooMany says that more records are missing than can be believed.
type tooMany struct {
	stream         string
	missing, total int
}

func (e *tooMany) Error() string {
	return fmt.Sprintf("%d of %d records of %s are missing: does the user see all of them? Nothing was removed. If they were deleted, say so in the source's settings (delete_many)", e.missing, e.total, e.stream)
}

// guard ties writes to the lock.
func (r *run) guard() *table.Guard {
	if r.lock == nil {
		return nil
	}
	return r.lock.Guard()
}

// maybeCheckpoint writes down how far the run has come, if that is long ago.
func (r *run) maybeCheckpoint(ctx context.Context) error {
	if r.lock == nil || r.Now().Sub(r.written) < checkpointEvery && len(r.problems) < problemsInPart && len(r.hashes) < hashesInItem {
		return nil
	}
	return r.checkpoint(ctx)
}

// checkpoint writes down how far the run has come, with more operations if need be.
func (r *run) checkpoint(ctx context.Context, more ...table.Op) error {
	if r.lock == nil {
		return nil
	}
	ops := slices.Clone(more)
	expires := r.Now().Add(reportLife).UnixMilli()
	if u := r.state.Run; u != nil {
		for len(r.problems) > 0 {
			part, body, err := firstPart(r.problems)
			if err != nil {
				return err
			}
			ops = append(ops, table.Put(table.Item{Key: problemsKey(r.workspace, r.source.ID, u.ID, u.Parts), Version: r.version(0), Expires: expires, Body: body}, table.Condition{}))
			u.Parts++
			r.problems = r.problems[part:]
		}
		for len(r.hashes) > 0 && u.Position != nil {
			part := r.hashes[:min(hashesInItem, len(r.hashes))]
			var raw bytes.Buffer
			for _, h := range part {
				raw.Write(binary.BigEndian.AppendUint64(nil, h))
			}
			body, err := json.Marshal(base64.StdEncoding.EncodeToString(raw.Bytes()))
			if err != nil {
				return err
			}
			stream := r.underWay()
			ops = append(ops, table.Put(table.Item{Key: passKey(r.workspace, r.source.ID, stream, u.Passes), Version: r.version(0), Expires: expires, Body: body}, table.Condition{}))
			u.Passes++
			r.hashes = r.hashes[len(part):]
		}
		u.Waiting = r.state.waitingTotal()
	}
	op, version, err := r.putState()
	if err != nil {
		return err
	}
	// What a checkpoint tells of a long run may be more than one transaction takes:
	// the state comes last, so that what it counts is there.
	for len(ops) > maxTogether {
		if err := r.Table.Transact(ctx, ops[:maxTogether], r.guard()); err != nil {
			return err
		}
		ops = ops[maxTogether:]
	}
	if err := r.Table.Transact(ctx, append(ops, op), r.guard()); err != nil {
		return err
	}
	r.state.version, r.written = version, r.Now()
	return nil
}

// maxTogether is how many items of a checkpoint are written in one transaction:
// the largest of them together stay below what one takes.
const maxTogether = 8

// firstPart returns how many of the first problems go into one item, and its body.
func firstPart(problems []Problem) (n int, body []byte, err error) {
	body = append(body, '[')
	for n < len(problems) && n < problemsInPart {
		text, err := json.Marshal(problems[n])
		if err != nil {
			return 0, nil, err
		}
		if n > 0 {
			if len(body)+len(text) > maxPart {
				break
			}
			body = append(body, ',')
		}
		body = append(body, text...)
		n++
	}
	return n, append(body, ']'), nil
}

func (r *run) putState() (table.Op, int64, error) {
	body, err := json.Marshal(r.state)
	version := r.version(r.state.version)
	return table.Put(table.Item{Key: stateKey(r.workspace, r.source.ID), Version: version, Body: body}, table.Condition{}), version, err
}

// reported returns the write of the report.
func (r *run) reported() (table.Op, error) {
	body, err := json.Marshal(r.report)
	return table.Put(table.Item{Key: runKey(r.workspace, r.source.ID, r.report.ID), Version: r.version(0),
		Expires: r.Now().Add(reportLife).UnixMilli(), Body: body}, table.Condition{}), err
}

// underWay returns the stream that is read.
func (r *run) underWay() string {
	for i := range r.connector.Streams {
		if st := &r.connector.Streams[i]; r.source.reads(st) && !slices.Contains(r.state.Run.Read, st.Name) {
			return st.Name
		}
	}
	return ""
}

// conclude ends a call of Run by what came of it.
func (r *run) conclude(ctx context.Context, more bool, err error) (bool, error) {
	if err == nil && more {
		return true, nil
	}
	why := reasonOf(err)
	var wait *connector.Wait
	switch {
	case errors.As(err, &wait):
		r.state.Next = wait.Until.UnixMilli()
		return false, r.checkpoint(ctx)
	case err != nil && why == nil:
		return true, err
	}
	now := r.Now()
	u := r.state.Run
	if why != nil {
		if r.connector != nil {
			why.Stream = r.underWay()
		}
		why.Message = clip(why.Message)
	}
	r.report.Ended, r.report.Why, r.report.Outcome = now.UnixMilli(), why, Done
	r.report.Waiting = r.state.waitingTotal()
	every := time.Duration(r.source.Every) * time.Minute
	next := time.UnixMilli(r.report.Began).Add(every)
	if why == nil {
		r.state.Succeeded, r.state.Failures = now.UnixMilli(), 0
	} else {
		r.report.Outcome = Failed
		r.state.Failures++
		retry := retryFirst << min(r.state.Failures-1, 10)
		if every > 0 {
			retry = min(retry, max(every, retryFirst))
		}
		next = now.Add(retry)
	}
	r.state.Next = max(next.UnixMilli(), now.UnixMilli())
	last := *r.report
	r.state.Last = &last
	op, err := r.reported()
	if err != nil {
		return true, err
	}
	// Problems and ids that are still to be written belong to the run that ends.
	if err := r.checkpoint(ctx, op); err != nil {
		return true, err
	}
	resumable := why != nil && why.Code == "unavailable" && u.Position != nil && now.Sub(time.UnixMilli(u.Position.Began)) < longestPosition
	r.state.Run = nil
	if resumable {
		r.state.Left = u
	}
	return false, r.checkpoint(ctx)
}

// Tells reports whether an error is for whoever has set up the source: the system's
// or the settings' doing, not the program's.
func Tells(err error) bool {
	var wait *connector.Wait
	return errors.As(err, &wait) || reasonOf(err) != nil
}

// reasonOf returns why a run has failed; nil if it is not the system's or the
// settings' doing.
func reasonOf(err error) *Reason {
	if err == nil {
		return nil
	}
	if wait := (*connector.Wait)(nil); errors.As(err, &wait) {
		return nil
	}
	code := ""
	var many *tooMany
	switch failure, _ := errors.AsType[*core.Failure](err); {
	case errors.Is(err, connector.ErrCredentials), errors.Is(err, secrets.ErrNotOpened):
		code = "credentials"
	case errors.Is(err, connector.ErrRefused):
		code = "refused"
	case errors.Is(err, connector.ErrAnswer):
		code = "answer"
	case errors.Is(err, connector.ErrEnded):
		code = "ended"
	case errors.Is(err, connector.ErrUnavailable):
		code = "unavailable"
	case errors.As(err, &many):
		code = "deletions"
	case failure != nil:
		code = "setting"
		if failure.Field == "credentials" {
			code = "credentials"
		}
	default:
		return nil
	}
	return &Reason{Code: code, Message: err.Error()}
}

// decode returns a record that was kept.
func decode(text []byte) (any, error) { return mapping.Decode(bytes.NewReader(text), maxDecoded) }

func textOf(v any) (string, bool) {
	if v == nil {
		return "", false
	}
	return mapping.Text(v)
}
