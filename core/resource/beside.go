package resource

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// Beside declares a list whose entries grow without bound. Each is an item of
// its own in a partition of the record, so that adding one costs the same
// whatever the length of the list. They change together with the record, in
// one transaction with it. The record's own body holds their number and their
// epoch in the place of the list. The epoch is part of the partition's name: to
// remove all entries of a long list the record takes a new one, and the old
// partition, which nobody looks into any more, is cleared away by and by.
type Beside struct {
	// Field is the ordinal of the list, whose declaration says Beside too.
	Field int
	// SortKey returns the sort key of an entry: its identity, and its order.
	SortKey func(entry schema.Record) string
	// Recompute sets what the record derives from its entries, which it is
	// given with the latest first. It is called when they have changed; nil when
	// nothing is derived.
	Recompute func(r schema.Record, latestFirst iter.Seq[schema.Record])
	// Paged says that the entries are read in pages; see ListEntries.
	Paged bool
	// Indexed are the ordinals of fields of an entry, numbers all of them, in
	// whose order those of a whole workspace can be read; see EntryRows. Empty for
	// none: an index costs a write for each entry.
	Indexed []int
}

// besidePageSize is how many entries are read at once.
const besidePageSize = 500

// besideState is what a record's body says of the entries beside it.
type besideState struct {
	count int64
	epoch string // empty while there never were any
}

// besideOf returns what r, a stored record, says of the entries beside it.
func (f *Family) besideOf(r schema.Record) (state besideState) {
	if r == nil || r[f.Beside.Field].IsNull() {
		return state
	}
	i := 0
	for value := range schema.Elements(r[f.Beside.Field]) {
		if i == 0 {
			state.count = schema.Value(value).Int()
		} else {
			state.epoch = schema.Value(value).Text()
		}
		i++
	}
	return state
}

// value returns the state as a record's body holds it.
func (b besideState) value() schema.Value {
	if b.epoch == "" {
		return nil
	}
	value := strconv.AppendInt(schema.Value{'['}, b.count, 10)
	return append(schema.AppendString(append(value, ','), b.epoch), ']')
}

// partition returns the partition of the entries beside r.
func (b besideState) partition(workspace string, f *Family, r schema.Record) string {
	identity := f.idOf(r)
	if f.inAccount() {
		identity = r[f.Account].Text() + "\x00" + identity
	}
	return partition(workspace, f.Schema.Name+"."+f.Schema.Fields[f.Beside.Field].Name, table.Digest(identity), b.epoch)
}

// newEpoch returns an epoch that the record has not had.
func (e *Engine) newEpoch() string { return strconv.FormatInt(e.nextVersion(0), 36) }

// touches reports whether a change of the slot concerns entries beside it.
func (s *slot) touches(b *Beside) bool {
	return slices.ContainsFunc(s.changes, func(c *change) bool {
		return c.erase != nil || c.remove || c.patch != nil && c.patch[b.Field].Given()
	})
}

// entry is one entry beside a record: as stored, and as it is to be. Both are
// bodies, as there may be very many.
type entry struct {
	version int64  // as stored; 0 when there is none
	stored  []byte // nil when there is none
	now     []byte // nil when there is to be none
	before  []byte // now, before the change that is being applied
	saved   bool   // before is set
}

// entries are the entries beside one record as the changes of a request leave
// them: those touched in memory, the others in the table.
type entries struct {
	ctx       context.Context
	engine    *Engine
	workspace string
	family    *Family
	schema    *schema.Schema
	identity  schema.Record // the record's, for the names of partitions
	state     besideState
	partition string
	dropped   []string // partitions that do not count any more
	touched   map[string]*entry
	bodies    []byte // of entries, one after the other
	scratch   []byte
	err       error // of the table; the changes since are void
}

// eraseOneByOne is the longest list whose entries are removed one by one when
// all are.
const eraseOneByOne = 64

// loadEntries reads the entries that the slots' changes may touch.
func (e *Engine) loadEntries(ctx context.Context, w *write, slots []*slot) ([]*entries, error) {
	all := make([]*entries, len(slots))
	err := atOnce(ctx, len(slots), func(ctx context.Context, i int) (err error) {
		all[i], err = e.entriesOfSlot(ctx, w, slots[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	var keys []table.Key
	var of []*entries
	for _, es := range all {
		for sort, known := range es.touched {
			if known == nil {
				keys, of = append(keys, table.Key{Partition: es.partition, Sort: sort}), append(of, es)
			}
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), readAtOnce)
		items, err := e.table.Get(ctx, keys[:n], true)
		if err != nil {
			return nil, err
		}
		for i, item := range items {
			of[i].touched[keys[i].Sort] = of[i].loaded(item)
		}
		keys, of = keys[n:], of[n:]
	}
	return all, nil
}

// readAtOnce is how many entries are held as the store gives them.
const readAtOnce = 5000

// entriesOfSlot returns the entries that a slot's changes may touch; those that
// are named one by one are not read yet.
func (e *Engine) entriesOfSlot(ctx context.Context, w *write, s *slot) (*entries, error) {
	f := w.family
	es := &entries{
		ctx: ctx, engine: e, workspace: w.workspace, family: f,
		schema:  f.Schema.List(f.Beside.Field),
		touched: map[string]*entry{},
	}
	if s.found() {
		es.identity = f.Schema.ParseStored(s.stored.Body)
		es.state = f.besideOf(es.identity)
	} else {
		es.identity = s.changes[0].patch
	}
	if es.identity == nil { // the removal of what is not there
		return es, nil
	}
	es.enter(es.state)
	field := f.Beside.Field
	for _, c := range s.changes {
		switch {
		case c.remove:
		case c.erase != nil && (*c.erase != "" || es.state.count <= eraseOneByOne):
			if err := es.loadPrefix(*c.erase); err != nil {
				return nil, err
			}
		case c.erase != nil:
		case c.patch[field].Given() && c.patch[field].IsNull():
			if es.state.count <= eraseOneByOne {
				if err := es.loadPrefix(""); err != nil {
					return nil, err
				}
			}
		default:
			for p := range es.schema.EachEntry(c.patch[field]) {
				if sort := f.Beside.SortKey(p); es.touched[sort] == nil {
					es.touched[sort] = nil
				}
			}
		}
	}
	return es, nil
}

// enter makes state the one that counts; without an epoch it gets one.
func (es *entries) enter(state besideState) {
	if state.epoch == "" {
		state.epoch = es.engine.newEpoch()
	}
	es.state, es.partition = state, state.partition(es.workspace, es.family, es.identity)
}

// leave drops all entries at once.
func (es *entries) leave() {
	if es.state.count > 0 {
		es.dropped = append(es.dropped, es.partition)
	}
	for _, en := range es.touched {
		*en = entry{}
	}
	es.enter(besideState{})
}

func (es *entries) loaded(item table.Item) *entry {
	return &entry{version: item.Version, stored: item.Body, now: item.Body}
}

func (es *entries) loadPrefix(prefix string) error {
	for item, err := range es.engine.scan(es.ctx, table.Query{
		Partition: es.partition, Prefix: prefix, Limit: besidePageSize, Consistent: true,
	}) {
		if err != nil {
			return err
		}
		es.touched[item.Sort] = es.loaded(item)
	}
	return nil
}

// change applies what c says of the entries, and recomputes what r derives
// from them. It reports whether anything changed.
func (es *entries) change(r schema.Record, c *change) (bool, *core.Failure) {
	var saved []*entry // to undo, when the change is refused
	set := func(en *entry, to []byte) {
		if !en.saved {
			en.before, en.saved = en.now, true
			saved = append(saved, en)
		}
		en.now = to
	}
	defer func() {
		for _, en := range saved {
			en.before, en.saved = nil, false
		}
	}()
	erase := func(prefix string) {
		for sort, en := range es.touched {
			if en.now != nil && strings.HasPrefix(sort, prefix) {
				set(en, nil)
			}
		}
	}
	erased := func() (left bool) {
		if left = es.state.count > eraseOneByOne; left {
			es.leave()
		} else {
			erase("")
		}
		return left
	}
	field := es.family.Beside.Field
	var patch schema.Value
	touched := false
	if c.erase != nil {
		if *c.erase == "" {
			touched = erased()
		} else {
			erase(*c.erase)
		}
	} else if c.patch != nil {
		if patch = c.patch[field]; patch.Given() && patch.IsNull() {
			touched = erased()
		}
	}
	for p := range es.schema.EachEntry(patch) {
		en := es.touched[es.family.Beside.SortKey(p)]
		merged, failure := es.schema.Merge(es.record(en.now), p)
		if failure != nil {
			for _, en := range saved {
				en.now = en.before
			}
			return false, failure
		}
		set(en, es.body(merged))
	}
	for _, en := range saved {
		touched = touched || (en.before == nil) != (en.now == nil) || string(en.before) != string(en.now)
		switch {
		case en.before == nil && en.now != nil:
			es.state.count++
		case en.before != nil && en.now == nil:
			es.state.count--
		}
	}
	if touched {
		r[field] = es.state.value()
		if recompute := es.family.Beside.Recompute; recompute != nil {
			recompute(r, es.latestFirst())
		}
	}
	return touched, nil
}

// record returns the entry with that body; nil for none.
func (es *entries) record(body []byte) schema.Record {
	if body == nil {
		return nil
	}
	return es.schema.ParseStored(body)
}

// body returns the body of an entry, beside those of others in memory.
func (es *entries) body(r schema.Record) []byte {
	es.scratch = es.schema.AppendStored(es.scratch[:0], r)
	n := len(es.scratch)
	if cap(es.bodies)-len(es.bodies) < n {
		es.bodies = make([]byte, 0, max(n, min(len(es.touched)*n, 64<<10)))
	}
	start := len(es.bodies)
	es.bodies = append(es.bodies, es.scratch...)
	return es.bodies[start : start+n : start+n]
}

// latestFirst yields all entries as they are to be, from the last sort key on.
func (es *entries) latestFirst() iter.Seq[schema.Record] {
	return func(yield func(schema.Record) bool) {
		sorts := slices.Sorted(maps.Keys(es.touched))
		next := len(sorts) - 1
		for item, err := range es.engine.scan(es.ctx, table.Query{
			Partition: es.partition, Descending: true, Limit: besidePageSize, Consistent: true,
		}) {
			if err != nil {
				es.err = err
				return
			}
			for ; next >= 0 && sorts[next] > item.Sort; next-- {
				if r := es.record(es.touched[sorts[next]].now); r != nil && !yield(r) {
					return
				}
			}
			if es.touched[item.Sort] == nil && !yield(es.schema.ParseStored(item.Body)) {
				return
			}
		}
		for ; next >= 0; next-- {
			if r := es.record(es.touched[sorts[next]].now); r != nil && !yield(r) {
				return
			}
		}
	}
}

// entryItem returns the item that stores an entry beside a record of f.
func (e *Engine) entryItem(workspace string, f *Family, key table.Key, version int64, body []byte) table.Item {
	item := table.Item{Key: key, Version: version, Body: body}
	if len(f.Beside.Indexed) > 0 {
		s := f.Schema.List(f.Beside.Field)
		name := table.Digest(key.Partition + "\x00" + key.Sort) // tells entries of the same numbers apart
		item.Index1 = table.Key{
			Partition: entriesPartition(workspace, f, e.shardOf(name)),
			Sort:      SortKey(s, s.ParseStored(body), f.Beside.Indexed...) + name,
		}
	}
	return item
}

// entriesPartition returns a partition of the index of the entries beside the
// records of f.
func entriesPartition(workspace string, f *Family, shard string) string {
	return partition(workspace, f.Schema.Name+"."+f.Schema.Fields[f.Beside.Field].Name+".all", shard)
}

// ops yields the writes that bring the table to what the entries are to be.
func (es *entries) ops() iter.Seq[table.Op] {
	return func(yield func(table.Op) bool) {
		for sort, en := range es.touched {
			key := table.Key{Partition: es.partition, Sort: sort}
			cond := table.Absent()
			if en.version != 0 {
				cond = table.VersionIs(en.version)
			}
			op := table.Delete(key, cond)
			switch {
			case en.now == nil && en.version == 0:
				continue
			case en.now != nil:
				if string(en.now) == string(en.stored) {
					continue
				}
				op = table.Put(es.engine.entryItem(es.workspace, es.family, key, es.engine.nextVersion(en.version), en.now), cond)
			}
			if !yield(op) {
				return
			}
		}
	}
}

// upTo returns what ops yields, if that is not more than n; many is true when it
// is, and then nothing else is returned.
func upTo(ops iter.Seq[table.Op], n int) (few []table.Op, many bool) {
	for op := range ops {
		if len(few) == n {
			return nil, true
		}
		few = append(few, op)
	}
	return few, false
}

// besideWrite is the write of a record together with entries beside it.
type besideWrite struct {
	slot     *slot
	main     table.Op
	ops      []table.Op         // of entries
	many     iter.Seq[table.Op] // of entries, when they are too many for one transaction
	pointers []table.Op
	dropped  []string
}

// count returns how many operations a transaction of the write has.
func (b *besideWrite) count() int { return len(b.ops) + len(b.pointers) + 1 }

// plain reports whether the write needs nothing but one transaction.
func (b *besideWrite) plain() bool {
	return len(b.main.Item.Body) <= inlineBytes && b.slot.parts == "" && len(b.dropped) == 0 && b.many == nil && b.count() <= groupOps
}

const (
	// groupOps is how many operations of several records go into one
	// transaction; the guard takes part.
	groupOps = table.MaxTransactOps - 2
	// groupBytes is how long their bodies may be together.
	groupBytes = table.MaxTransactBytes / 2
)

// applyBesides carries out the changes of slots that concern entries beside
// them, and returns the slots that lost a race. Small writes share transactions.
func (e *Engine) applyBesides(ctx context.Context, w *write, slots []*slot) (lost []*slot, moved bool, err error) {
	if len(slots) == 0 {
		return nil, false, nil
	}
	all, err := e.loadEntries(ctx, w, slots)
	if err != nil {
		return nil, false, err
	}
	err = atOnce(ctx, len(slots), func(ctx context.Context, i int) error {
		all[i].ctx = ctx
		e.mergeSlot(w, slots[i], all[i])
		return all[i].err
	})
	if err != nil {
		return nil, false, err
	}
	var writes []*besideWrite
	var writing []*slot
	for i, s := range slots {
		b := &besideWrite{slot: s, dropped: all[i].dropped}
		var tooMany bool
		if b.ops, tooMany = upTo(all[i].ops(), groupOps); tooMany {
			b.many = all[i].ops()
		}
		if len(b.ops) == 0 && b.many == nil && string(s.body) == string(s.stored.Body) {
			continue
		}
		var moves bool
		b.main, moves = e.main(w, s)
		moved = moved || moves || w.family.Beside.Paged
		if s.old != nil {
			b.pointers = e.movePointers(w, s.old, s.state)
		}
		writes, writing = append(writes, b), append(writing, s)
	}
	if moved {
		if err := e.listsChanged(ctx, w.workspace, w.family); err != nil {
			return nil, moved, err
		}
	}
	if err := e.writePointers(ctx, w, writing); err != nil {
		return nil, moved, err
	}
	leads, err := e.dropLeads(ctx, w, writing)
	if err != nil {
		return nil, moved, err
	}
	var groups [][]*besideWrite
	ops, size := groupOps, 0 // of the last group: full
	for i, b := range writes {
		b.pointers = append(b.pointers, leads[i]...)
		bytes := len(b.main.Item.Body)
		for _, op := range b.ops {
			bytes += len(op.Item.Body)
		}
		if !b.plain() || ops+b.count() > groupOps || size+bytes > groupBytes {
			groups = append(groups, nil)
			ops, size = 0, 0
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], b)
		if ops, size = ops+b.count(), size+bytes; !b.plain() {
			ops = groupOps // it stays alone
		}
	}
	losers := make([][]*slot, len(groups))
	err = atOnce(ctx, len(groups), func(ctx context.Context, i int) (err error) {
		losers[i], err = e.writeGroup(ctx, w, groups[i])
		return err
	})
	return slices.Concat(losers...), moved, err
}

// writeGroup writes records in one transaction, or if that fails one by one,
// and returns the slots that lost a race.
func (e *Engine) writeGroup(ctx context.Context, w *write, group []*besideWrite) (lost []*slot, err error) {
	if len(group) > 1 {
		var ops []table.Op
		for _, b := range group {
			ops = append(slices.Concat(ops, b.ops, b.pointers), b.main)
		}
		err := e.table.Transact(ctx, ops, w.guard)
		if !errors.Is(err, table.ErrConflict) && !errors.Is(err, table.ErrInvalid) {
			return nil, err
		}
	}
	for _, b := range group {
		err := e.withPacked(ctx, w, b.slot, b.main, func(main table.Op, held []table.Op) error {
			return e.dropping(ctx, w, b.slot.key, b.dropped, slices.Concat(held, b.pointers), func(held []table.Op) error {
				switch {
				case b.many != nil:
					many := b.many
					b.many = nil // once they are written down, the entries need no longer be held
					return e.writeJournaled(ctx, w, main, held, many)
				case len(b.ops)+len(held)+2 > table.MaxTransactOps: // the record and the guard take part
					return e.writeJournaled(ctx, w, main, held, slices.Values(b.ops))
				}
				return e.table.Transact(ctx, slices.Concat(b.ops, held, []table.Op{main}), w.guard)
			})
		})
		switch {
		case errors.Is(err, table.ErrConflict):
			lost = append(lost, b.slot)
		case errors.Is(err, table.ErrInvalid):
			b.slot.refuse(err)
		case err != nil:
			return lost, err
		}
	}
	return lost, nil
}

// scan yields all items of a query, however many pages they take. q.Limit is
// the size of a page.
func (e *Engine) scan(ctx context.Context, q table.Query) iter.Seq2[table.Item, error] {
	return func(yield func(table.Item, error) bool) {
		for {
			items, err := e.table.Query(ctx, q)
			if err != nil {
				yield(table.Item{}, err)
				return
			}
			for i := range items {
				if !yield(items[i], nil) {
					return
				}
			}
			if len(items) < q.Limit {
				return
			}
			q.After = items[len(items)-1].Sort
		}
	}
}
