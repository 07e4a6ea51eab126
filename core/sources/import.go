package sources

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/connector"
)

// importedAtOnce is how many records of a file are applied at a time.
const importedAtOnce = 500

// Import reads exported records of one stream from a file and applies them as a run
// does those that the system gives itself. It returns the report, which is kept
// like that of a run. A file that cannot be read to its end fails there: what was
// applied before stays, and importing the file again is safe.
//
// progress, if not nil, is told how many records have been read.
func (s *Store) Import(ctx context.Context, workspace, id, stream string, file io.Reader, progress func(records int)) (report *Run, err error) {
	source, err := s.Get(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	st := streamOf(s.Connector(source.Connector), stream)
	if st == nil {
		return nil, refuse(core.NotFound, "stream", "%s has no stream '%s'", s.Connector(source.Connector).Title, stream)
	}
	if !source.reads(st) {
		return nil, refuse(core.Conflicting, "stream", "The stream '%s' is turned off in the source's settings", stream)
	}
	lock, err := s.Access.Lock(ctx, access.LockID("source/"+workspace+"/"+id), lease, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	r := &run{Store: s, workspace: workspace, source: source, lock: lock, together: perUpload, full: true}
	if r.state, err = s.loadState(ctx, workspace, id); err != nil {
		return nil, err
	}
	if u := r.state.Run; u != nil && u.Import == "" {
		return nil, refuse(core.Conflicting, "source", "A run of the source is under way: wait for its end")
	}
	next := r.state.Next
	r.state.Run = &stateRun{Run: Run{ID: fmt.Sprintf("%013d", r.Now().UnixMilli()), Began: r.Now().UnixMilli(), Outcome: UnderWay, Import: stream}}
	r.report = &r.state.Run.Run
	op, err := r.reported()
	if err != nil {
		return nil, err
	}
	if err := r.checkpoint(ctx, op); err != nil {
		return nil, err
	}
	err = r.open(ctx)
	if err == nil {
		err = r.imported(ctx, st, file, progress)
	}
	if _, err := r.conclude(ctx, false, err); err != nil {
		return nil, err
	}
	r.state.Next = next // when it runs by itself is another matter
	return r.report, r.checkpoint(ctx)
}

func (r *run) imported(ctx context.Context, st *connector.Stream, file io.Reader, progress func(int)) error {
	if err := r.session.Facts(ctx, st); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		r.state.Run.Tried, r.state.Run.TriedAfter = false, ""
		if more, err = r.waited(ctx, st); err != nil {
			return err
		}
	}
	page := &connector.Page{}
	flush := func() error {
		if len(page.Records) == 0 {
			return nil
		}
		if err := r.lock.Renew(ctx, lease); err != nil {
			return err
		}
		if err := r.page(ctx, st, page); err != nil {
			return err
		}
		page.Records = page.Records[:0]
		if progress != nil {
			progress(r.report.counts(st.Name).Read)
		}
		return r.maybeCheckpoint(ctx)
	}
	for record, err := range r.session.Export(ctx, st, file) {
		if err != nil {
			return errors.Join(flush(), err)
		}
		if page.Records = append(page.Records, record); len(page.Records) == importedAtOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
