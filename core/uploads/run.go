package uploads

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/csvfile"
	"tenure/core/files"
	"tenure/core/resource"
	"tenure/core/table"
)

// lease is how long a batch may take. A process that dies keeps the next one from
// going on for as long.
const lease = 5 * time.Minute

// maxDialect is the longest description of a file that is kept, in bytes: of more
// columns than that nobody keeps a file.
const maxDialect = 200 << 10

// Run does the work on an upload until it is done or the end of ctx is near, and
// reports whether there is more of it. access.ErrLocked says that another one is
// at work, on this upload or in its workspace, and that Run is to be called again
// later; so is it after any other error, which is trouble of the store or the
// program. What has been done is written down.
func (s *Store) Run(ctx context.Context, workspace, id string) (more bool, err error) {
	j, err := s.load(ctx, workspace, id)
	if failure, ok := errors.AsType[*core.Failure](err); ok && failure == notFound {
		return false, nil // it has expired
	}
	if err != nil || !j.State.Running() {
		return err != nil, err
	}
	name := workspace // one upload at a time is applied in a workspace
	if j.State == Checking {
		name += "/" + id
	}
	lock, err := s.Access.Lock(ctx, access.LockID(name), lease, 0)
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	if j, err = s.load(ctx, workspace, id); err != nil { // as it is now that nobody else is at work
		return true, err
	}
	r := &run{Store: s, workspace: workspace, job: j, lock: lock, family: s.FamilyNamed(j.Family), token: rand.Text()}
	more, err = r.work(ctx)
	switch {
	case errors.Is(err, errOvertaken):
		return false, nil
	case errors.Is(err, table.ErrFenced):
		return true, fmt.Errorf("%w: %w", access.ErrLocked, err)
	}
	return more, err
}

// errOvertaken says that the upload was cancelled while it was worked on.
var errOvertaken = errors.New("the upload was cancelled")

// run is one call of Run.
type run struct {
	*Store
	workspace string
	job       *stored
	lock      *access.Lock
	family    *resource.Family
	// token tells the files that this call writes from those of others.
	token string
	// doubtful says that the next batch may have been applied before, or half.
	doubtful bool
}

// work does the work of the state that the upload is in.
func (r *run) work(ctx context.Context) (more bool, err error) {
	switch r.job.State {
	case Checking:
	case Queued:
		r.job.State = Applying
	case Applying:
		r.doubtful = r.job.Open
	default:
		return false, nil
	}
	err = r.prepare(ctx)
	if err == nil {
		more, err = r.batches(ctx)
	}
	failure, unusable := errors.AsType[*core.Failure](err)
	switch {
	case errors.Is(err, files.ErrNotFound), errors.Is(err, files.ErrChanged):
		failure, unusable = &core.Failure{Code: core.NotFound, Field: "file", Message: "The file is not there any more, or was replaced after the check: upload it again"}, true
	case r.family == nil:
		failure, unusable = &core.Failure{Code: core.NotFound, Field: "family", Message: "This API takes no uploads any more"}, true
	}
	if !unusable {
		return err != nil || more, err
	}
	return false, r.finish(ctx, Failed, &Reason{failure.Code, clip(failure.Field), clip(failure.Message)})
}

// prepare finds out how the file is written, and says that batches are under way.
func (r *run) prepare(ctx context.Context) error {
	j := r.job
	if r.family == nil {
		return notFound
	}
	if j.State == Applying {
		if j.Stopping { // since the last batch
			return nil
		}
		j.Open = true
		return r.write(ctx)
	}
	if j.Dialect != nil {
		return nil
	}
	source, err := r.Files.Open(ctx, sourceName(r.workspace, j.ID), j.Tag)
	if err != nil {
		return err
	}
	defer source.Close()
	if j.Dialect, err = csvfile.Inspect(source, r.family, MaxBytes); err != nil {
		return err
	}
	if text, err := json.Marshal(j.Dialect); err != nil || len(text) > maxDialect {
		j.Dialect = nil
		return errors.Join(err, &core.Failure{Code: core.TooLarge, Field: "file", Message: "The header of the file is too long: remove columns that are not needed"})
	}
	return r.write(ctx)
}

// write stores the job, with more operations if need be, on the strength of the
// lock. Nobody but Cancel changes it meanwhile, which this takes up.
func (r *run) write(ctx context.Context, more ...table.Op) error {
	for {
		op, version, err := r.put(r.workspace, r.job)
		if err != nil {
			return err
		}
		err = r.Table.Transact(ctx, append(slices.Clip(more), op), r.lock.Guard())
		if err == nil {
			r.job.version = version
			return nil
		}
		if !errors.Is(err, table.ErrConflict) {
			return err
		}
		now, err := r.load(ctx, r.workspace, r.job.ID)
		switch {
		case err != nil:
			return err
		case now.State.Ended():
			return errOvertaken
		}
		r.job.version, r.job.Stopping = now.version, now.Stopping
	}
}

// finish ends the work, for good if the state says so.
func (r *run) finish(ctx context.Context, state State, why *Reason) error {
	j := r.job
	j.Why = why
	if state.Ended() {
		r.end(j, state)
	} else {
		j.State, j.Check.Ended = state, r.Now().UnixMilli()
	}
	if err := r.write(ctx); err != nil {
		return err
	}
	if state.Ended() {
		return r.tidy(ctx, r.workspace, j.ID)
	}
	return nil
}

// batches carries out batch by batch what is left of the file.
func (r *run) batches(ctx context.Context) (more bool, err error) {
	j := r.job
	if j.Stopping {
		return false, r.finish(ctx, Cancelled, nil)
	}
	outcome := j.Outcome()
	source, err := r.Files.Open(ctx, sourceName(r.workspace, j.ID), j.Tag)
	if err != nil {
		return true, err
	}
	defer source.Close()
	reader, err := csvfile.NewReader(source, j.Dialect, r.family, csvfile.Options{After: outcome.Rows()})
	if err != nil {
		return true, err
	}
	for {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < r.Reserve {
			j.Open = false
			return true, r.write(ctx)
		}
		rows, err := r.next(reader)
		if err != nil {
			return true, err
		}
		switch {
		case len(rows) == 0 && j.State == Checking:
			return false, r.finish(ctx, Checked, nil)
		case len(rows) == 0:
			return false, r.finish(ctx, Done, nil)
		}
		if err := r.batch(ctx, outcome, rows, reader.Bytes()); err != nil {
			return true, err
		}
		if j.Stopping {
			return false, r.finish(ctx, Cancelled, nil)
		}
	}
}

// next reads the rows of a batch; none behind the last one. Where it ends follows
// from where it begins.
func (r *run) next(reader *csvfile.Reader) (rows []*csvfile.Row, err error) {
	for size := 0; len(rows) < r.batchRows && size < r.batchBytes; {
		row, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
		size += len(row.Record)
	}
	return rows, nil
}

// batch carries out one batch, as the API does a POST, and writes down what came
// of it.
func (r *run) batch(ctx context.Context, outcome *Outcome, rows []*csvfile.Row, read int64) error {
	j := r.job
	if err := r.lock.Renew(ctx, lease); err != nil {
		return err
	}
	began := r.Now()
	result, err := r.Engine.Upload(ctx, resource.Upload{
		Workspace: r.workspace,
		Family:    r.family,
		Records: func(yield func(func() resource.Input) bool) {
			for _, row := range rows {
				if !yield(func() resource.Input { return row.Input(r.family) }) {
					return
				}
			}
		},
		// That rows of missing accounts are left out is right in the check, which counts
		// them, and else what was asked for or, since accounts do not go away, a matter
		// of course.
		FailOnMissingAccount: j.State == Applying && !j.Options.IgnoreMissingAccounts,
		DryRun:               j.State == Checking,
		Option:               func(name string) bool { return slices.Contains(j.Options.Family, name) },
		Guard:                r.lock.Guard(),
	})
	if err != nil {
		return err
	}
	if result.Fatal != nil {
		return result.Fatal
	}
	p := part{Counts: Counts{result.Inserted, result.Changed, result.Unchanged, len(result.Failed)}}
	if p.File, err = r.writeRejected(ctx, outcome, rows, result.Failed); err != nil {
		return err
	}
	if r.doubtful {
		if p.Counts, err = r.likelier(ctx, outcome, p.Counts); err != nil {
			return err
		}
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	before := outcome.Bytes
	noted := table.Item{
		Key: partKey(r.workspace, j.ID, j.State, outcome.Batches), Version: r.Now().UnixMicro(), Expires: j.expires, Body: body,
	}
	outcome.add(p.Counts)
	outcome.MissingAccounts += result.MissingAccounts
	for _, failed := range result.Failed {
		outcome.reject(rows[failed.Record].Line, failed.Failure)
	}
	outcome.Batches++
	outcome.Bytes = read
	if j.State == Applying && r.Record != nil {
		r.Record(ctx, r.workspace, r.call(rows, result, read-before, r.Now().Sub(began)))
	}
	if err := r.write(ctx, table.Put(noted, table.Condition{})); err != nil {
		return err
	}
	r.doubtful = false
	return nil
}

// call returns the call of the API that a batch amounts to.
func (r *run) call(rows []*csvfile.Row, result *resource.Result, bytes int64, took time.Duration) calls.Call {
	c := calls.Call{
		Method: "POST", Endpoint: "/" + r.family.Schema.Name, Family: r.family.Schema.Name, Kind: calls.Write, KeyID: calls.CSV,
		Success: result.Applied() > 0 || len(result.Failed) == result.MissingAccounts, Status: 200,
		DurationMS: float64(took.Microseconds()) / 1000, BodyBytes: bytes,
		Records: &calls.Records{
			Received: result.Applied() + len(result.Failed), Inserted: result.Inserted, Changed: result.Changed, Unchanged: result.Unchanged,
			Failed: len(result.Failed),
		},
	}
	for _, failed := range result.Failed[:min(len(result.Failed), calls.MaxFailures)] {
		c.Failures = append(c.Failures, calls.Failure{
			Record: rows[failed.Record].Number - 1, IDs: failed.IDTexts(r.family), Code: failed.Code, Field: failed.Field, Message: failed.Message,
		})
	}
	if !c.Success {
		first := result.Failed[0]
		c.Code, c.Field, c.Message = first.Code, first.Field, first.Message
	}
	return c
}

// likelier returns what came of a batch that may have been applied before: what
// the check has foreseen, if it can be.
func (r *run) likelier(ctx context.Context, outcome *Outcome, found Counts) (Counts, error) {
	items, err := r.Table.Get(ctx, []table.Key{partKey(r.workspace, r.job.ID, Checking, outcome.Batches)}, true)
	if err != nil || !items[0].Exists() {
		return found, err
	}
	var foreseen part
	if err := json.Unmarshal(items[0].Body, &foreseen); err != nil {
		return found, err
	}
	f := foreseen.Counts
	if f.Failed == found.Failed && f.Inserted >= found.Inserted && f.Inserted+f.Changed >= found.Inserted+found.Changed {
		return f, nil
	}
	return found, nil
}

// writeRejected writes the rejected rows of a batch into a file of their own, and
// returns its name; empty if there are none. The first file of an upload has the
// header.
func (r *run) writeRejected(ctx context.Context, outcome *Outcome, rows []*csvfile.Row, all []resource.Failed) (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	var text bytes.Buffer
	w := csvfile.NewRejected(&text, r.job.Dialect, outcome.Failed > 0)
	for _, failed := range all {
		if err := w.Write(rows[failed.Record], failed.Failure); err != nil {
			return "", err
		}
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	name := fmt.Sprintf("%srejected/%s-%08d-%s.csv", folder(r.workspace, r.job.ID), r.job.State, outcome.Batches, r.token)
	_, err := r.Files.Write(ctx, name, &text, int64(text.Len()))
	return name, err
}
