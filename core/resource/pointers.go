package resource

import (
	"slices"
	"time"

	"tenure/core/schema"
	"tenure/core/table"
)

// Pointers are small items that lead to a record by what its key does not say.
// Those of a new record are written before it: a pointer without a record is
// found to be idle and harmless, a record without a pointer would be lost to
// whoever looks for it that way. Afterwards they change, and go, only in one
// transaction with the record. (A pointer by one of the record's values goes before
// the record whenever it gets that value; see lookups.go.)
//
// A record that is removed leaves a tombstone for a while. It keeps a writer
// that found no record, and wrote its pointers before the removal took them
// away, from putting the record itself afterwards: the writer's condition,
// that there is no item, does not hold.

// pointer is one item that leads to a record.
type pointer struct {
	key table.Key
	// to is what the record's key cannot be computed without: its id, or its
	// account.
	to schema.Value
	// claim says that no two records may have such a pointer.
	claim bool
}

// byID returns the partition of the pointers to records with that id, in
// families whose ids are unique within their account alone.
func byID(workspace string, f *Family, id string) string {
	return partition(workspace, f.Schema.Name+".id", table.Digest(id))
}

// byAccount returns the partition of the pointers to an account's records, in
// families with ids of their own.
func byAccount(workspace string, f *Family, account string) string {
	return partition(workspace, f.Schema.Name+".account", table.Digest(account))
}

// byExternalID returns the key of the pointer to the record with that external
// id.
func byExternalID(workspace string, f *Family, external string) table.Key {
	return table.Key{Partition: partition(workspace, f.Schema.Name+".external_id", table.Digest(external)), Sort: "id"}
}

// pointers returns the pointers that lead to r.
func (f *Family) pointers(workspace string, r schema.Record) []pointer {
	switch {
	case f.isRoot() || r == nil:
		return nil
	case f.inAccount():
		return []pointer{{
			key: table.Key{Partition: byID(workspace, f, f.idOf(r)), Sort: table.Digest(r[f.Account].Text())},
			to:  r[f.Account],
		}}
	}
	found := []pointer{{
		key: table.Key{Partition: byAccount(workspace, f, r[f.Account].Text()), Sort: f.sortID(f.idOf(r))},
		to:  r[f.ID],
	}}
	if g := f.Generated; g != nil && !r[g.External].IsNull() {
		found = append(found, pointer{key: byExternalID(workspace, f, r[g.External].Text()), to: r[f.ID], claim: true})
	}
	return found
}

// putPointer returns the write of a pointer.
func (e *Engine) putPointer(p pointer) table.Op {
	cond := table.Condition{}
	if p.claim {
		cond = table.Absent()
	}
	return table.Put(table.Item{Key: p.key, Version: e.nextVersion(0), Body: p.to}, cond)
}

// newPointers returns the writes of the pointers that go before the new record
// of a slot. Its external id has been claimed before; see identify.
func (e *Engine) newPointers(w *write, s *slot) []table.Op {
	var ops []table.Op
	for _, p := range w.family.pointers(w.workspace, s.state) {
		if !p.claim {
			ops = append(ops, e.putPointer(p))
		}
	}
	return ops
}

// movePointers returns the writes of pointers that go in one transaction with
// a record that changes from old to state, nil if it is removed. There are
// none unless an account or external id changes.
func (e *Engine) movePointers(w *write, old, state schema.Record) []table.Op {
	before, after := w.family.pointers(w.workspace, old), w.family.pointers(w.workspace, state)
	among := func(p pointer, list []pointer) bool {
		return slices.ContainsFunc(list, func(q pointer) bool { return q.key == p.key })
	}
	var ops []table.Op
	for _, p := range before {
		if !among(p, after) {
			ops = append(ops, table.Delete(p.key, table.Condition{}))
		}
	}
	for _, p := range after {
		if !among(p, before) {
			ops = append(ops, e.putPointer(p))
		}
	}
	return ops
}

// tombstone is the body of the item of a record that was removed.
const tombstone = `{"~removed":true}`

// tombstoneLife is longer than any request that may have begun before a removal.
const tombstoneLife = time.Hour

// gone is the HiddenFrom of a tombstone: earlier than any instant at which a
// list is read, those with inactive records included.
const gone = -1

func isTombstone(body []byte) bool { return string(body) == tombstone }

// tombstone returns the write that removes the record of a slot.
func (e *Engine) tombstone(s *slot) table.Op {
	return table.Put(table.Item{
		Key: s.key, Version: e.nextVersion(s.stored.Version), Body: []byte(tombstone),
		HiddenFrom: gone, Expires: e.now().Add(tombstoneLife).UnixMilli(),
	}, s.condition())
}
