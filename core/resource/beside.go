package resource

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// Beside declares a list whose entries grow without bound. Each is an item of
// its own in a partition of the record, so that adding one costs the same
// whatever the length of the list. They change together with the record, in
// one transaction with it. The record's own body holds their number in the place
// of the list, so that nobody looks for entries where there are none.
type Beside struct {
	// Field is the ordinal of the list, whose declaration says Beside too.
	Field int
	// SortKey returns the sort key of an entry: its identity, and its order.
	SortKey func(entry schema.Record) string
	// Recompute sets what the record derives from its entries, which it is
	// given with the latest first. It is called when they have changed.
	Recompute func(r schema.Record, latestFirst iter.Seq[schema.Record])
}

// besidePageSize is how many entries are read at once.
const besidePageSize = 500

// besidePartition returns the partition of the entries beside a record.
func besidePartition(workspace string, f *Family, id string) string {
	name := f.Schema.Fields[f.Beside.Field].Name
	return partition(workspace, f.Schema.Name+"."+name, digest(id))
}

// touches reports whether a change of the slot concerns entries beside it.
func (s *slot) touches(b *Beside) bool {
	return slices.ContainsFunc(s.changes, func(c *change) bool {
		return c.erase != nil || c.edit == nil && c.patch[b.Field].Given()
	})
}

// entry is one entry beside a record: as stored, and as it is to be.
type entry struct {
	version int64 // as stored; 0 when there is none
	body    []byte
	now     schema.Record // nil when there is none
}

// entries are the entries beside one record as the changes of a request leave
// them: those touched in memory, the others in the table.
type entries struct {
	ctx       context.Context
	engine    *Engine
	beside    *Beside
	schema    *schema.Schema
	partition string
	touched   map[string]*entry
	err       error // of the table; the changes since are void
}

// loadEntries reads the entries that the slot's changes may touch.
func (e *Engine) loadEntries(ctx context.Context, w *write, s *slot) (*entries, error) {
	b := w.family.Beside
	es := &entries{
		ctx: ctx, engine: e, beside: b,
		schema:    w.family.Schema.List(b.Field),
		partition: besidePartition(w.workspace, w.family, s.key.Sort),
		touched:   map[string]*entry{},
	}
	for _, c := range s.changes {
		switch {
		case c.erase != nil:
			if err := es.loadPrefix(*c.erase); err != nil {
				return nil, err
			}
		case c.patch[b.Field].Given() && c.patch[b.Field].IsNull():
			if err := es.loadPrefix(""); err != nil {
				return nil, err
			}
		default:
			for _, p := range es.schema.Entries(c.patch[b.Field]) {
				es.touched[b.SortKey(p)] = nil
			}
		}
	}
	keys := make([]table.Key, 0, len(es.touched))
	for sort, known := range es.touched {
		if known == nil {
			keys = append(keys, table.Key{Partition: es.partition, Sort: sort})
		}
	}
	items, err := e.table.Get(ctx, keys, true)
	for i, item := range items {
		es.touched[keys[i].Sort] = es.loaded(item)
	}
	return es, err
}

func (es *entries) loaded(item table.Item) *entry {
	en := &entry{version: item.Version, body: item.Body}
	if item.Exists() {
		en.now = es.schema.ParseStored(item.Body)
	}
	return en
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
	before := map[string]schema.Record{} // to undo, when the change is refused
	set := func(sort string, to schema.Record) {
		if _, saved := before[sort]; !saved {
			before[sort] = es.touched[sort].now
		}
		es.touched[sort].now = to
	}
	erase := func(prefix string) {
		for sort, en := range es.touched {
			if en.now != nil && strings.HasPrefix(sort, prefix) {
				set(sort, nil)
			}
		}
	}
	var patch schema.Value
	if c.erase != nil {
		erase(*c.erase)
	} else if patch = c.patch[es.beside.Field]; patch.Given() && patch.IsNull() {
		erase("")
	}
	for _, p := range es.schema.Entries(patch) {
		sort := es.beside.SortKey(p)
		merged, failure := es.schema.Merge(es.touched[sort].now, p)
		if failure != nil {
			for sort, r := range before {
				es.touched[sort].now = r
			}
			return false, failure
		}
		set(sort, merged)
	}
	touched, number := false, r[es.beside.Field].Int()
	for sort, old := range before {
		now := es.touched[sort].now
		touched = touched || !es.same(old, now)
		switch {
		case old == nil && now != nil:
			number++
		case old != nil && now == nil:
			number--
		}
	}
	r[es.beside.Field] = nil
	if number > 0 {
		r[es.beside.Field] = schema.Int(number)
	}
	if touched {
		es.beside.Recompute(r, es.latestFirst())
	}
	return touched, nil
}

func (es *entries) same(a, b schema.Record) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return string(es.schema.AppendStored(nil, a)) == string(es.schema.AppendStored(nil, b))
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
				if r := es.touched[sorts[next]].now; r != nil && !yield(r) {
					return
				}
			}
			if es.touched[item.Sort] == nil && !yield(es.schema.ParseStored(item.Body)) {
				return
			}
		}
		for ; next >= 0; next-- {
			if r := es.touched[sorts[next]].now; r != nil && !yield(r) {
				return
			}
		}
	}
}

// ops returns the writes that bring the table to what the entries are to be.
func (es *entries) ops() []table.Op {
	ops := make([]table.Op, 0, len(es.touched)+1) // the record's own comes to them
	for sort, en := range es.touched {
		key := table.Key{Partition: es.partition, Sort: sort}
		cond := table.Absent()
		if en.version != 0 {
			cond = table.VersionIs(en.version)
		}
		switch {
		case en.now == nil && en.version != 0:
			ops = append(ops, table.Delete(key, cond))
		case en.now != nil:
			body := es.schema.AppendStored(nil, en.now)
			if string(body) != string(en.body) {
				version := es.engine.nextVersion(en.version)
				ops = append(ops, table.Put(table.Item{Key: key, Version: version, Body: body}, cond))
			}
		}
	}
	return ops
}

// applyBeside carries out the changes of a slot that concern entries beside
// it. won is false when another writer was faster.
func (e *Engine) applyBeside(ctx context.Context, w *write, s *slot) (won, moved bool, err error) {
	es, err := e.loadEntries(ctx, w, s)
	if err != nil {
		return false, false, err
	}
	e.mergeSlot(w, s, es)
	if es.err != nil {
		return false, false, es.err
	}
	ops := es.ops()
	if len(ops) == 0 && string(s.body) == string(s.stored.Body) {
		return true, false, nil
	}
	main, moved := e.main(w, s)
	if moved {
		if err := e.listsChanged(ctx, w.workspace, w.family); err != nil {
			return false, false, err
		}
	}
	err = e.withPacked(ctx, w, s, main, func(main table.Op, held []table.Op) error {
		if len(ops)+len(held)+2 <= table.MaxTransactOps { // the record and the guard take part
			return e.table.Transact(ctx, slices.Concat(ops, held, []table.Op{main}), w.guard)
		}
		return e.writeJournaled(ctx, w, main, held, ops)
	})
	switch {
	case errors.Is(err, table.ErrConflict):
		return false, false, nil
	case errors.Is(err, table.ErrInvalid):
		s.refuse(err)
		return true, false, nil
	}
	return err == nil, moved, err
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
