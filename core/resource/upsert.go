package resource

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// chunkSize is how many records of an upload are read, merged and written
// together: enough to fill the store's batches, little enough to hold in memory.
const chunkSize = 1000

// Input is one record of an upload: what could be decoded of it, and why it
// was refused, if it was.
type Input struct {
	Patch   schema.Record
	Failure *core.Failure
}

// Upload is a bulk insert/modify ("POST" in the API document).
type Upload struct {
	Workspace string
	Family    *Family
	// Records yields the records undecoded: each function decodes one, and may
	// run beside others. It may be ranged over more than once.
	Records iter.Seq[func() Input]
	// FailOnMissingAccount fails the whole upload, with nothing applied, when
	// a record names an account that does not exist. Otherwise such records
	// are left out and reported (contract P7).
	FailOnMissingAccount bool
	// DryRun writes nothing and answers as the real run would (contract P18).
	DryRun bool
	// Option reports whether one of Family.Options is on; nil for none.
	Option func(name string) bool
	// Guard ties the writes to the upload lock; nil for none.
	Guard *table.Guard
}

// Failed says why one record of an upload was not applied.
type Failed struct {
	// Record is the record's position, from 0.
	Record int
	*core.Failure
	// IDs holds the ids the record carried, at the ordinals of their fields, up
	// to the last of them: an upload may fail with many records.
	IDs schema.Record
}

// IDTexts returns the ids that the record carried, as text, by the names of their
// fields.
func (f *Failed) IDTexts(of *Family) map[string]string {
	ids := map[string]string{}
	for ordinal, id := range f.IDs {
		switch {
		case id.IsNull():
		case id[0] == '"':
			ids[of.Schema.Fields[ordinal].Name] = id.Text()
		default: // a number
			ids[of.Schema.Fields[ordinal].Name] = string(id)
		}
	}
	return ids
}

// Result is the outcome of an upload.
type Result struct {
	Inserted, Changed, Unchanged int
	// Failed are the records not applied, in order.
	Failed []Failed
	// MissingAccounts is how many of Failed name an account that does not exist.
	MissingAccounts int
	// Fatal is why nothing was applied at all; nil when records were tried one
	// by one.
	Fatal *core.Failure
}

// Applied returns how many records were applied.
func (r *Result) Applied() int { return r.Inserted + r.Changed + r.Unchanged }

func (r *Result) fail(record int, f *core.Failure, ids schema.Record) {
	if f == missingAccount {
		r.MissingAccounts++
	}
	if n := len(r.Failed); n > 0 && *r.Failed[n-1].Failure == *f {
		f = r.Failed[n-1].Failure // many records fail alike
	}
	r.Failed = append(r.Failed, Failed{Record: record, Failure: f, IDs: ids})
}

// missingAccount is the failure of a record whose account does not exist.
var missingAccount = &core.Failure{Code: core.NotFound, Field: "account_id", Message: "Account not found"}

// outcome is what became of one change.
type outcome uint8

const (
	unchanged outcome = iota
	inserted
	changed
)

// change is one record, or one request, as it is to be applied to what is stored.
type change struct {
	record  int // its position in the upload
	patch   schema.Record
	failure *core.Failure
	outcome outcome

	// key names the record, where it is not for the patch to say.
	key table.Key
	// external is the external id by which alone the change names its record.
	external string
	// mustExist makes it fail where there is no record yet.
	mustExist bool
	// modify says that it is a PUT, which need not name the account.
	modify bool
	// remove removes the record.
	remove bool
	// edit, if set, is applied instead of patch (deletes of sub-objects).
	edit func(schema.Record) (schema.Record, *core.Failure)
	// erase, if set, removes the entries kept beside the record whose sort key
	// begins with what it points to.
	erase *string
}

// slot gathers the changes of one stored record.
type slot struct {
	key     table.Key
	changes []*change

	stored table.Item    // as read, its body whole; without one where there is no record (any more)
	old    schema.Record // the record in stored
	parts  string        // where the body was kept, if not in the item
	state  schema.Record // after the changes; nil when there is no record
	body   []byte        // state as stored
}

// write is what the changes of one request go through.
type write struct {
	workspace string
	family    *Family
	option    func(string) bool
	guard     *table.Guard
	now       int64
}

func noOption(string) bool { return false }

// Upload carries out a bulk insert/modify. Each record applies whole or not at
// all; records with the same key apply in the order given (contract P8). An
// error means that the upload stopped in the middle: the store failed, the
// context ended or the lock was lost. What was applied by then stays, and
// sending the upload again is safe.
func (e *Engine) Upload(ctx context.Context, u Upload) (*Result, error) {
	if u.DryRun {
		e, u.Guard = e.dry(), nil
	}
	result := &Result{}
	if u.FailOnMissingAccount && !u.Family.isRoot() {
		if err := e.requireAccounts(ctx, &u, result); err != nil || result.Fatal != nil {
			return result, err
		}
	}
	w := &write{workspace: u.Workspace, family: u.Family, option: u.Option, guard: u.Guard, now: e.Now()}
	if w.option == nil {
		w.option = noOption
	}
	done := 0
	decode := make([]func() Input, 0, chunkSize)
	flush := func() error {
		chunk := make([]change, len(decode))
		inParallel(len(decode), manyRecords, func(i int) {
			in := decode[i]()
			chunk[i] = change{record: done + i, patch: in.Patch, failure: in.Failure}
		})
		done += len(decode)
		decode = decode[:0]
		return e.applyChunk(ctx, w, chunk, result)
	}
	for record := range u.Records {
		if decode = append(decode, record); len(decode) == chunkSize {
			if err := flush(); err != nil {
				return result, err
			}
		}
	}
	return result, flush()
}

// manyRecords is how many records are worth a goroutine.
const manyRecords = 64

// inParallel calls do for 0 to n-1, on as many processors as get least calls
// each. A panic of do is the caller's, as if it had called do itself.
func inParallel(n, least int, do func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n/least)
	if workers < 2 {
		for i := range n {
			do(i)
		}
		return
	}
	var group sync.WaitGroup
	var panics firstPanic
	for w := range workers {
		group.Go(func() {
			defer panics.catch()
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				do(i)
			}
		})
	}
	group.Wait()
	panics.rethrow()
}

// firstPanic hands the first panic of several goroutines to their caller.
type firstPanic struct {
	once  sync.Once
	value any
}

// catch is to be deferred by each goroutine.
func (p *firstPanic) catch() {
	if v := recover(); v != nil {
		p.once.Do(func() { p.value = v })
	}
}

// rethrow panics as a goroutine did, once they have all ended.
func (p *firstPanic) rethrow() {
	if p.value != nil {
		panic(p.value)
	}
}

// requireAccounts sets result.Fatal when a record names an account that does
// not exist.
func (e *Engine) requireAccounts(ctx context.Context, u *Upload, result *Result) error {
	named := map[string]struct{}{}
	for decode := range u.Records {
		if id := decode().Patch[u.Family.Account]; !id.IsNull() {
			named[id.Text()] = struct{}{}
		}
	}
	exists, err := e.AccountsExist(ctx, u.Workspace, slices.Collect(maps.Keys(named)))
	if err != nil {
		return err
	}
	record := 0
	for decode := range u.Records {
		patch := decode().Patch
		if id := patch[u.Family.Account]; !id.IsNull() && !exists[id.Text()] {
			result.fail(record, missingAccount, u.Family.ids(patch))
			result.Fatal = missingAccount
		}
		record++
	}
	return nil
}

// ids returns a record of only the ids that r carries, its own among them
// whatever its type.
func (f *Family) ids(r schema.Record) schema.Record {
	carried := func(i int) bool { return (i == f.ID || f.Schema.Fields[i].Type == schema.ID) && !r[i].IsNull() }
	n := len(r)
	for n > 0 && !carried(n-1) {
		n--
	}
	ids := make(schema.Record, n)
	for i := range ids {
		if carried(i) {
			ids[i] = r[i]
		}
	}
	return ids
}

// applyChunk applies the changes of a chunk and adds their outcomes to result.
func (e *Engine) applyChunk(ctx context.Context, w *write, chunk []change, result *Result) error {
	changes := make([]*change, 0, len(chunk))
	for i := range chunk {
		c := &chunk[i]
		if c.failure != nil {
			continue
		}
		if w.family.Generated == nil {
			for _, id := range w.family.identity() {
				if c.patch[id].IsNull() && c.failure == nil {
					c.failure = w.family.Schema.Missing(id, true)
				}
			}
			if c.failure == nil {
				changes = append(changes, c)
			}
			continue
		}
		// Which record an external id means is found out before the changes are
		// applied, so one that gives a record another external id goes alone.
		if c.patch[w.family.ID].IsNull() || !c.patch[w.family.Generated.External].Given() {
			changes = append(changes, c)
			continue
		}
		for _, together := range [][]*change{changes, {c}} {
			if err := e.apply(ctx, w, together); err != nil {
				return err
			}
		}
		changes = changes[:0]
	}
	if err := e.apply(ctx, w, changes); err != nil {
		return err
	}
	for i := range chunk {
		switch c := &chunk[i]; {
		case c.failure != nil:
			ids := w.family.ids(c.patch)
			if c.external != "" && len(ids) > w.family.ID {
				ids[w.family.ID] = nil // found out, not carried
			}
			result.fail(c.record, c.failure, ids)
		case c.outcome == inserted:
			result.Inserted++
		case c.outcome == changed:
			result.Changed++
		default:
			result.Unchanged++
		}
	}
	return nil
}

// slotsOf gathers changes by the records they are about.
func (e *Engine) slotsOf(w *write, changes []*change) []*slot {
	slots := make([]*slot, 0, len(changes))
	byKey := make(map[table.Key]*slot, len(changes))
	for _, c := range changes {
		if c.failure != nil {
			continue
		}
		key := c.key
		if key.IsZero() {
			key = e.keyOf(w.workspace, w.family, c.patch)
		}
		s := byKey[key]
		if s == nil {
			s = &slot{key: key}
			byKey[key] = s
			slots = append(slots, s)
		}
		s.changes = append(s.changes, c)
	}
	return slots
}

// apply carries out changes: it reads what is stored, merges, writes what
// changed under the condition that nothing else did meanwhile, and does so
// again for the records where something did.
func (e *Engine) apply(ctx context.Context, w *write, changes []*change) (err error) {
	if err := e.checkAccounts(ctx, w, changes); err != nil {
		return err
	}
	moved := false // whether a list of the workspace changed in length or order
	defer func() {
		if moved {
			err = errors.Join(err, e.listsChanged(ctx, w.workspace, w.family))
		}
	}()
	for attempt := 0; len(changes) > 0; attempt++ {
		if err := backoff(ctx, attempt); err != nil {
			return err
		}
		if w.family.Generated != nil {
			if err := e.identify(ctx, w, changes); err != nil {
				return err
			}
		}
		lost, m, err := e.applySlots(ctx, w, e.slotsOf(w, changes))
		moved = moved || m
		if err != nil {
			return err
		}
		changes = nil
		for _, s := range lost {
			for _, c := range s.changes {
				c.failure = nil // what this attempt said does not count
			}
			changes = append(changes, s.changes...)
		}
	}
	return nil
}

// applySlots reads, merges and writes once, and returns the slots that lost a
// race.
func (e *Engine) applySlots(ctx context.Context, w *write, slots []*slot) (lost []*slot, moved bool, err error) {
	keys := make([]table.Key, len(slots))
	for i, s := range slots {
		keys[i] = s.key
	}
	items, err := e.getSettled(ctx, w.workspace, w.family, keys)
	if err != nil {
		return nil, false, err
	}
	var plain, beside []*slot
	for i, s := range slots {
		s.stored, s.parts = items[i].Item, items[i].parts
		switch {
		case w.family.Generated != nil && s.astray(w.family):
			lost = append(lost, s)
		case w.family.Beside != nil && s.touches(w.family.Beside):
			beside = append(beside, s)
		default:
			plain = append(plain, s)
		}
	}
	inParallel(len(plain), manyRecords, func(i int) { e.mergeSlot(w, plain[i], nil) })
	plain = slices.DeleteFunc(plain, func(s *slot) bool { return string(s.body) == string(s.stored.Body) })
	more, moved, err := e.writeSlots(ctx, w, plain)
	lost = append(lost, more...)
	if err != nil {
		return nil, moved, err
	}
	more, m, err := e.applyBesides(ctx, w, beside)
	return append(lost, more...), moved || m, err
}

// manyAtOnce is how many records that need a transaction each are written at
// the same time.
const manyAtOnce = 16

// atOnce calls do for 0 to n-1, some at the same time, and returns the first
// error. A panic of do is the caller's, as if it had called do itself.
func atOnce(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	if n == 1 {
		return do(ctx, 0)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(manyAtOnce)
	var panics firstPanic
	for i := range n {
		group.Go(func() error {
			defer panics.catch()
			return do(ctx, i)
		})
	}
	err := group.Wait()
	panics.rethrow()
	return err
}

// checkAccounts fails the changes whose account does not exist.
func (e *Engine) checkAccounts(ctx context.Context, w *write, changes []*change) error {
	if w.family.isRoot() {
		return nil
	}
	var keys []table.Key
	var at []*change
	for _, c := range changes {
		if c.patch != nil && !c.patch[w.family.Account].IsNull() {
			keys, at = append(keys, e.accountKey(w.workspace, c.patch[w.family.Account].Text())), append(at, c)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	items, err := e.table.Get(ctx, keys, true)
	if err != nil {
		return err
	}
	for i, c := range at {
		if !items[i].Exists() {
			c.failure = missingAccount
		}
	}
	return nil
}

// mergeSlot applies the slot's changes, one after the other, to what is
// stored. beside is what the changes do to entries kept beside the record, or
// nil when they touch none.
func (e *Engine) mergeSlot(w *write, s *slot, beside *entries) {
	f := w.family
	s.state, s.body = nil, s.stored.Body
	if s.found() {
		s.state = f.Schema.ParseStored(s.stored.Body)
	}
	s.old = s.state
	for _, c := range s.changes {
		if s.state == nil && (c.mustExist || c.remove) {
			c.failure = f.NotFound()
			continue
		}
		if c.remove {
			if beside != nil {
				beside.leave()
			}
			s.state, s.body, c.outcome = nil, nil, changed
			continue
		}
		next, failure := e.applyChange(w, s, c)
		if next == nil && failure == nil { // the change leaves nothing
			s.state, s.body, c.outcome = nil, nil, changed
			continue
		}
		touched := false
		if failure == nil && beside != nil {
			touched, failure = beside.change(next, c)
		}
		if failure != nil {
			c.failure = failure
			continue
		}
		body := f.Schema.AppendStored(make([]byte, 0, len(s.body)+256), next)
		switch {
		case s.state == nil:
			c.outcome = inserted
		case touched || string(body) != string(s.body):
			c.outcome = changed
		default:
			c.outcome = unchanged
		}
		s.state, s.body = next, body
	}
}

func (e *Engine) applyChange(w *write, s *slot, c *change) (schema.Record, *core.Failure) {
	if c.edit != nil {
		return c.edit(s.state)
	}
	f, patch := w.family, c.patch
	if f.OwnID && s.state != nil {
		switch given := patch[f.Account]; {
		case !given.Given() && c.modify: // contract Q16
			patch = slices.Clone(patch)
			patch[f.Account] = s.state[f.Account]
		case !f.Moves && !given.IsNull() && string(given) != string(s.state[f.Account]):
			return nil, f.belongsElsewhere()
		}
	}
	return f.merge(Change{Old: s.state, Patch: patch, Now: w.now, Modify: c.modify, Option: w.option})
}

// belongsElsewhere returns the failure of a record that names another account
// than the stored one belongs to (contract Q16).
func (f *Family) belongsElsewhere() *core.Failure {
	return &core.Failure{Code: core.Conflicting, Field: "account_id", Message: f.Schema.Singular + " belongs to another account"}
}

// astray reports whether a change names the record by an external id that led
// to it and does not any more: the record has been removed since, or has another.
func (s *slot) astray(f *Family) bool {
	var has schema.Value
	if s.found() {
		has = f.Schema.ParseStored(s.stored.Body)[f.Generated.External]
	}
	return s.stored.Exists() && slices.ContainsFunc(s.changes, func(c *change) bool {
		return c.external != "" && c.external != has.Text()
	})
}

// found reports whether there is a record.
func (s *slot) found() bool { return len(s.stored.Body) > 0 }

// condition returns what must still hold of the slot's item for a write.
func (s *slot) condition() table.Condition {
	if s.stored.Exists() {
		return table.VersionIs(s.stored.Version)
	}
	return table.Absent()
}

// main returns the write of the slot's record, and whether it changes its
// place in a list.
func (e *Engine) main(w *write, s *slot) (op table.Op, moved bool) {
	if s.state == nil {
		return e.tombstone(s), true
	}
	item := e.item(w.workspace, w.family, s.state, e.nextVersion(s.stored.Version), s.body)
	moved = !s.found() || item.Index1 != s.stored.Index1 || item.Index2 != s.stored.Index2 ||
		item.HiddenFrom != s.stored.HiddenFrom
	return table.Put(item, s.condition()), moved
}

// writeSlots writes the records of slots, independently of each other, and
// returns the slots that lost a race.
func (e *Engine) writeSlots(ctx context.Context, w *write, slots []*slot) (lost []*slot, moved bool, err error) {
	if len(slots) == 0 {
		return nil, false, nil
	}
	if err := e.writePointers(ctx, w, slots); err != nil {
		return nil, false, err
	}
	ops := make([]table.Op, 0, len(slots))
	small := make([]*slot, 0, len(slots))
	mains, moves := make([]table.Op, len(slots)), make([]bool, len(slots))
	inParallel(len(slots), manyRecords, func(i int) { mains[i], moves[i] = e.main(w, slots[i]) })
	type special struct { // written in a transaction of its own
		slot *slot
		main table.Op
		with []table.Op
		lost bool
	}
	var specials []*special
	dropped, err := e.dropLeads(ctx, w, slots)
	if err != nil {
		return nil, false, err
	}
	for i, s := range slots {
		moved = moved || moves[i]
		var pointers []table.Op
		if s.old != nil {
			pointers = e.movePointers(w, s.old, s.state)
			moved = moved || len(pointers) > 0 // from one account's list to another's
			pointers = append(pointers, dropped[i]...)
		}
		if len(s.body) > inlineBytes || s.parts != "" || len(pointers) > 0 {
			specials = append(specials, &special{slot: s, main: mains[i], with: pointers})
			continue
		}
		ops, small = append(ops, mains[i]), append(small, s)
	}
	if moved && len(specials) > 0 {
		if err := e.listsChanged(ctx, w.workspace, w.family); err != nil {
			return nil, moved, err
		}
	}
	settle := func(s *slot, err error) (conflict bool, _ error) {
		if errors.Is(err, table.ErrInvalid) {
			s.refuse(err)
			return false, nil
		}
		if errors.Is(err, table.ErrConflict) {
			return true, nil
		}
		return false, err
	}
	err = atOnce(ctx, len(specials), func(ctx context.Context, i int) (err error) {
		sp := specials[i]
		sp.lost, err = settle(sp.slot, e.withPacked(ctx, w, sp.slot, sp.main, func(op table.Op, held []table.Op) error {
			return e.table.Transact(ctx, slices.Concat(sp.with, held, []table.Op{op}), w.guard)
		}))
		return err
	})
	for _, sp := range specials {
		if sp.lost {
			lost = append(lost, sp.slot)
		}
	}
	if err != nil {
		return nil, moved, err
	}
	if moved && len(ops) > 0 {
		ops = append(ops, e.nextGeneration(w.workspace, w.family))
	}
	for i, err := range e.table.Write(ctx, ops, w.guard) {
		if err == nil {
			continue
		}
		if i >= len(small) {
			return nil, moved, err
		}
		conflict, err := settle(small[i], err)
		if err != nil {
			return nil, moved, err
		}
		if conflict {
			lost = append(lost, small[i])
		}
	}
	return lost, moved, nil
}

// refuse fails the changes of a slot whose record the store cannot hold.
func (s *slot) refuse(err error) {
	for _, c := range s.changes {
		if c.failure == nil {
			c.failure = &core.Failure{Code: core.TooLarge, Message: "The record cannot be stored: " + err.Error()}
		}
	}
}

// writePointers writes the pointers that go before the records: those of the
// new ones, and those to what gets another value.
func (e *Engine) writePointers(ctx context.Context, w *write, slots []*slot) error {
	ops, leads := make([][]table.Op, len(slots)), make([][]lead, len(slots))
	inParallel(len(slots), manyRecords, func(i int) {
		if !slots[i].found() {
			ops[i] = e.newPointers(w, slots[i])
		}
		leads[i] = w.family.leads(w.workspace, slots[i].state, slots[i].old)
	})
	return e.writeLeads(ctx, w.family, w.guard, slices.Concat(leads...), slices.Concat(ops...))
}

// backoff waits before attempt, longer each time, with jitter; not before the
// first, 0.
func backoff(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	longest := min(time.Millisecond<<min(attempt, 8), 100*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(longest) + 1):
		return nil
	}
}
