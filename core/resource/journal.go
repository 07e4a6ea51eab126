package resource

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"slices"
	"time"

	"tenure/core/table"
)

// A record with more entries beside it than one transaction takes is written
// through a journal, so that it still applies whole or not at all:
//
//  1. a job item says that a journal of this id may exist, for which record;
//  2. the operations on the entries are written down in the journal's partition;
//  3. the record is written, marked as pending on the journal: from this
//     instant the change counts, as every reader and writer of the record
//     settles what is pending first;
//  4. the operations are carried out, the mark, the journal and the job removed.
//
// Whoever dies in between leaves a job: before step 3 it is undone, after it
// completed, by the next one to touch the record or by Sweep. The operations
// are guarded by the marked version of the record and carry conditions of their
// own, so carrying them out again, late, or by two at a time changes nothing.

// pendingPrefix begins the body of a record that is pending on a journal.
const pendingPrefix = `{"~pending":"`

func isPending(body []byte) bool { return bytes.HasPrefix(body, []byte(pendingPrefix)) }

// pendingOn returns the id of the journal that the item is pending on, and the
// body without the mark.
func pendingOn(item *table.Item) (id string, body []byte) {
	rest, found := bytes.CutPrefix(item.Body, []byte(pendingPrefix))
	if !found {
		return "", item.Body
	}
	quoted, fields, _ := bytes.Cut(rest, []byte(`",`))
	return string(quoted), append([]byte("{"), fields...)
}

// jobSettleAfter is how long a job is left to the request that made it.
const jobSettleAfter = 2 * time.Minute

// job is the body of a job item.
type job struct {
	Family string    `json:"family"`
	Record table.Key `json:"record"`
	Made   int64     `json:"made"` // epoch ms
	// Partition, if set, held entries beside the record, or the parts of its body:
	// once it does not any more, it is to be cleared away.
	Partition string `json:"partition,omitempty"`
}

// step is one operation in a journal.
type step struct {
	Sort    string `json:"s"`
	Was     int64  `json:"w,omitempty"` // the version it needs; 0: absent
	Version int64  `json:"v,omitempty"` // the version it writes; 0: deletes
	Body    string `json:"b,omitempty"`
}

func jobKey(workspace, id string) table.Key {
	return table.Key{Partition: partition(workspace, "jobs"), Sort: id}
}

func journalPartition(workspace, id string) string { return partition(workspace, "journal", id) }

// journalItemBytes is how much of a journal goes into one item.
const journalItemBytes = table.MaxItemBytes * 3 / 4

// journalPagesAtOnce is how many items of a journal are written at a time.
const journalPagesAtOnce = 16

// openJournal writes the job that tells of a journal before there is one. The
// operation it returns goes with the write that makes the journal count: it
// fails when Sweep has taken the writer for dead meanwhile.
func (e *Engine) openJournal(ctx context.Context, w *write, record table.Key, id string) (held table.Op, err error) {
	return e.openJob(ctx, w, job{Record: record}, id)
}

// openJob writes a job; see openJournal.
func (e *Engine) openJob(ctx context.Context, w *write, j job, id string) (held table.Op, err error) {
	j.Family, j.Made = w.family.Schema.Name, e.Now()
	body, err := json.Marshal(j)
	if err != nil {
		return held, err
	}
	item := table.Item{Key: jobKey(w.workspace, id), Version: e.nextVersion(0), Body: body}
	if err := e.put(ctx, w.guard, item, table.Condition{}); err != nil {
		return held, err
	}
	opened := table.VersionIs(item.Version)
	item.Version = e.nextVersion(item.Version)
	return table.Put(item, opened), nil
}

// writeJournaled writes main, held and ops, which all lie in one partition, as
// one.
func (e *Engine) writeJournaled(ctx context.Context, w *write, main table.Op, held []table.Op, ops iter.Seq[table.Op]) error {
	id := rand.Text()
	opened, err := e.openJournal(ctx, w, main.Item.Key, id)
	if err != nil {
		return err
	}
	abandon := func(cause error) error {
		return errors.Join(cause, e.dropJournal(ctx, w.workspace, id))
	}
	var staged []table.Op
	pages := int64(0)
	var steps []byte // a JSON array under construction
	flush := func() {
		key := table.Key{Partition: journalPartition(w.workspace, id), Sort: sortNumber(pages)}
		staged = append(staged, table.Put(table.Item{Key: key, Version: e.nextVersion(0), Body: append(steps, ']')}, table.Condition{}))
		pages++
		steps = nil
	}
	for op := range ops {
		st := step{Sort: op.Item.Sort, Version: op.Item.Version, Body: string(op.Item.Body)}
		st.Was, _ = op.If.Version()
		text, err := json.Marshal(st)
		if err != nil {
			return abandon(err)
		}
		if len(steps)+len(text) > journalItemBytes {
			flush()
		}
		if len(staged) == journalPagesAtOnce {
			if err := errors.Join(e.table.Write(ctx, staged, w.guard)...); err != nil {
				return abandon(err)
			}
			staged = nil
		}
		if len(steps) == 0 {
			steps = append(steps, '[')
		} else {
			steps = append(steps, ',')
		}
		steps = append(steps, text...)
	}
	flush()
	if err := errors.Join(e.table.Write(ctx, staged, w.guard)...); err != nil {
		return abandon(err)
	}
	main.Item.Body = append([]byte(pendingPrefix+id+`",`), main.Item.Body[1:]...)
	switch err := e.table.Transact(ctx, append([]table.Op{main, opened}, held...), w.guard); {
	case err == nil:
	case refused(err):
		return abandon(err)
	default:
		return err // it may have been written after all; whoever comes next finds out
	}
	return e.settle(ctx, w.workspace, w.family, &main.Item)
}

// put writes one item.
func (e *Engine) put(ctx context.Context, guard *table.Guard, item table.Item, cond table.Condition) error {
	return errors.Join(e.table.Write(ctx, []table.Op{table.Put(item, cond)}, guard)...)
}

// settle carries out what the record in item is pending on, if anything, and
// removes the mark. Another one may do the same at the same time.
func (e *Engine) settle(ctx context.Context, workspace string, f *Family, item *table.Item) error {
	id, body := pendingOn(item)
	if id == "" {
		return nil
	}
	whole := table.Item{Body: body}
	if _, err := e.unpack(ctx, workspace, &whole); errors.Is(err, errReplaced) {
		return nil // and so no longer pending
	} else if err != nil {
		return err
	}
	r := f.Schema.ParseStored(whole.Body)
	target := f.besideOf(r).partition(workspace, f, r)
	marked := &table.Guard{Key: item.Key, Version: item.Version}
	for page, err := range e.scan(ctx, table.Query{
		Partition: journalPartition(workspace, id), Limit: 1, Consistent: true,
	}) {
		if err != nil {
			return err
		}
		var steps []step
		if err := json.Unmarshal(page.Body, &steps); err != nil {
			return err
		}
		ops := make([]table.Op, len(steps))
		for i, st := range steps {
			key, cond := table.Key{Partition: target, Sort: st.Sort}, table.Absent()
			if st.Was != 0 {
				cond = table.VersionIs(st.Was)
			}
			if st.Version == 0 {
				ops[i] = table.Delete(key, cond)
				continue
			}
			ops[i] = table.Put(e.entryItem(workspace, f, key, st.Version, []byte(st.Body)), cond)
		}
		for _, err := range e.table.Write(ctx, ops, marked) {
			switch {
			case err == nil, errors.Is(err, table.ErrConflict): // a conflict: carried out before
			case errors.Is(err, table.ErrFenced): // no longer pending
				return nil
			default:
				return err
			}
		}
	}
	settled := *item
	settled.Body, settled.Version = body, e.nextVersion(item.Version)
	err := e.put(ctx, nil, settled, table.VersionIs(item.Version))
	if err != nil && !errors.Is(err, table.ErrConflict) { // a conflict: another one settled it
		return err
	}
	return e.dropJournal(ctx, workspace, id)
}

// dropJournal removes a journal and its job.
func (e *Engine) dropJournal(ctx context.Context, workspace, id string) error {
	if _, err := e.clear(ctx, journalPartition(workspace, id), math.MaxInt); err != nil {
		return err
	}
	return e.closeJob(ctx, workspace, id)
}

// clear removes up to limit items of a partition, and reports whether none are
// left.
func (e *Engine) clear(ctx context.Context, partition string, limit int) (empty bool, err error) {
	q := table.Query{Partition: partition, Limit: besidePageSize, KeysOnly: true, Consistent: true}
	for n := 0; n < limit; n += q.Limit {
		items, err := e.table.Query(ctx, q)
		if err != nil {
			return false, err
		}
		ops := make([]table.Op, len(items))
		for i := range items {
			ops[i] = table.Delete(items[i].Key, table.Condition{})
			q.After = items[i].Sort
		}
		if err := errors.Join(e.table.Write(ctx, ops, nil)...); err != nil {
			return false, err
		}
		if len(items) < q.Limit {
			return true, nil
		}
	}
	return false, nil
}

// clearedAtOnce is how many entries of a partition that does not count any more
// the request that caused it clears away; Sweep does the rest.
const clearedAtOnce = 2000

// dropping carries out commit, by which the record stops counting what is in
// partitions, and clears those away. What commit is given as held has to be
// written in one transaction with the record.
func (e *Engine) dropping(ctx context.Context, w *write, record table.Key, partitions []string, held []table.Op, commit func(held []table.Op) error) error {
	ids := make([]string, len(partitions))
	for i, p := range partitions {
		ids[i] = rand.Text()
		opened, err := e.openJob(ctx, w, job{Record: record, Partition: p}, ids[i])
		if err != nil {
			return err
		}
		held = append(held, opened)
	}
	err := commit(held)
	if err != nil && !refused(err) {
		return err // nobody knows which partition counts; Sweep will find out
	}
	for i, p := range partitions {
		empty := true
		if err == nil {
			var clearErr error
			if empty, clearErr = e.clear(ctx, p, clearedAtOnce); clearErr != nil {
				return nil // the record is written; Sweep does the rest
			}
		}
		if empty {
			err = errors.Join(err, e.closeJob(ctx, w.workspace, ids[i]))
		}
	}
	return err
}

// closeJob removes the job of a journal.
func (e *Engine) closeJob(ctx context.Context, workspace, id string) error {
	return errors.Join(e.table.Write(ctx, []table.Op{table.Delete(jobKey(workspace, id), table.Condition{})}, nil)...)
}

// loaded is a record's item with its whole body, which is empty where there is
// no record (any more).
type loaded struct {
	table.Item
	parts string // the id of the parts the body was kept in, if any
}

// getSettled reads records whole, what is pending on one settled.
func (e *Engine) getSettled(ctx context.Context, workspace string, f *Family, keys []table.Key) ([]loaded, error) {
	for attempt := 0; ; attempt++ {
		if err := backoff(ctx, attempt); err != nil {
			return nil, err
		}
		items, err := e.table.Get(ctx, keys, true)
		if err != nil {
			return nil, err
		}
		again := false
		records := make([]loaded, len(items))
		for i := range items {
			if isPending(items[i].Body) {
				again = true
				if err := e.settle(ctx, workspace, f, &items[i]); err != nil {
					return nil, err
				}
				continue
			}
			records[i].Item = items[i]
			if isTombstone(items[i].Body) {
				records[i].Body = nil
				continue
			}
			records[i].parts, err = e.unpack(ctx, workspace, &records[i].Item)
			if errors.Is(err, errReplaced) {
				again = true
			} else if err != nil {
				return nil, err
			}
		}
		if !again {
			return records, nil
		}
	}
}

// Sweep settles or undoes what writers of records of these families that died
// have left behind in a workspace, and clears away what no longer counts. It
// returns how many such jobs it ended.
func (e *Engine) Sweep(ctx context.Context, workspace string, families []*Family) (int, error) {
	ended := 0
	for item, err := range e.scan(ctx, table.Query{
		Partition: jobKey(workspace, "").Partition, Limit: besidePageSize, Consistent: true,
	}) {
		if err != nil {
			return ended, err
		}
		done, err := e.sweepJob(ctx, workspace, families, item)
		if err != nil {
			return ended, err
		}
		if done {
			ended++
		}
	}
	return ended, nil
}

func (e *Engine) sweepJob(ctx context.Context, workspace string, families []*Family, item table.Item) (done bool, err error) {
	var j job
	if err := json.Unmarshal(item.Body, &j); err != nil {
		return false, err
	}
	at := slices.IndexFunc(families, func(f *Family) bool { return f.Schema.Name == j.Family })
	if at < 0 || e.Now()-j.Made < jobSettleAfter.Milliseconds() {
		return false, nil
	}
	f := families[at]
	claimed := item
	claimed.Version = e.nextVersion(item.Version)
	if err := e.put(ctx, nil, claimed, table.VersionIs(item.Version)); errors.Is(err, table.ErrConflict) {
		return false, nil // its writer lives
	} else if err != nil {
		return false, err
	}
	records, err := e.getSettled(ctx, workspace, f, []table.Key{j.Record})
	if err != nil {
		return false, err
	}
	parts := records[0].parts
	counts := parts == item.Sort
	if j.Partition != "" && len(records[0].Body) > 0 {
		counts = parts != "" && journalPartition(workspace, parts) == j.Partition
		if f.Beside != nil && !counts {
			r := f.Schema.ParseStored(records[0].Body)
			counts = f.besideOf(r).partition(workspace, f, r) == j.Partition
		}
	}
	switch {
	case counts:
		return true, e.closeJob(ctx, workspace, item.Sort)
	case j.Partition != "":
		if _, err := e.clear(ctx, j.Partition, math.MaxInt); err != nil {
			return false, err
		}
		return true, e.closeJob(ctx, workspace, item.Sort)
	}
	return true, e.dropJournal(ctx, workspace, item.Sort)
}
