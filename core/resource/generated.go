package resource

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// Generated ids are epoch microseconds, pushed on where that is needed to keep
// them apart: unique in the workspace, rising with time, and below 2^53 until
// the year 2255 (contract N1).

// reserve returns the first of n ids that nobody else gets.
func (e *Engine) reserve(ctx context.Context, w *write, n int) (int64, error) {
	key := table.Key{Partition: partition(w.workspace, "ids"), Sort: w.family.Schema.Name}
	for attempt := 0; ; attempt++ {
		if err := backoff(ctx, attempt); err != nil {
			return 0, err
		}
		items, err := e.table.Get(ctx, []table.Key{key}, true)
		if err != nil {
			return 0, err
		}
		first, cond := e.now().UnixMicro(), table.Absent()
		if items[0].Exists() {
			first, cond = max(first, schema.Value(items[0].Body).Int()+1), table.VersionIs(items[0].Version)
		}
		last := strconv.AppendInt(nil, first+int64(n)-1, 10)
		err = e.put(ctx, w.guard, table.Item{Key: key, Version: e.nextVersion(items[0].Version), Body: last}, cond)
		if !errors.Is(err, table.ErrConflict) {
			return first, err
		}
	}
}

// identify finds out which records the changes of a family with generated ids
// mean. One with an id must exist. One with only an external id means the record
// that has it; where there is none yet, the external id is claimed for a new
// id, by a conditional write, so that of many at once one claims it and the
// others find it claimed.
func (e *Engine) identify(ctx context.Context, w *write, changes []*change) error {
	f := w.family
	external := f.Generated.External
	var pending []*change
	for _, c := range changes {
		if c.failure == missingAccount || c.patch == nil && c.external == "" {
			continue
		}
		c.failure = nil // what an earlier attempt said does not count
		switch {
		case c.external != "":
			pending = append(pending, c)
		case !c.patch[f.ID].IsNull():
			c.mustExist = true
			if !c.patch[external].IsNull() {
				pending = append(pending, c)
			}
		case c.patch[external].IsNull():
			name := f.Schema.Fields[external].Name
			c.failure = &core.Failure{Code: core.MissingField, Field: name,
				Message: "Missing required field: '" + f.Schema.Fields[f.ID].Name + "' or '" + name + "'"}
		default:
			c.external = c.patch[external].Text()
			pending = append(pending, c)
		}
	}
	for attempt := 0; len(pending) > 0; attempt++ {
		if err := backoff(ctx, attempt); err != nil {
			return err
		}
		keys := make([]table.Key, len(pending))
		for i, c := range pending {
			id := c.external
			if id == "" {
				id = c.patch[external].Text()
			}
			keys[i] = byExternalID(w.workspace, f, id)
		}
		found, err := e.table.Get(ctx, keys, true)
		if err != nil {
			return err
		}
		unknown := map[table.Key][]*change{}
		for i, c := range pending {
			switch known := found[i].Exists(); {
			case c.patch == nil && known:
				c.key = e.key(w.workspace, f, "", f.textOf(found[i].Body))
			case c.patch == nil:
				c.failure = f.NotFound()
			case c.external != "" && known:
				c.means(f, schema.Value(found[i].Body))
			case c.external != "":
				unknown[keys[i]] = append(unknown[keys[i]], c)
			case known && string(found[i].Body) != string(c.patch[f.ID]):
				c.failure = f.taken(external)
			}
		}
		if pending, err = e.claim(ctx, w, unknown); err != nil {
			return err
		}
	}
	return nil
}

// means says which record a change is about.
func (c *change) means(f *Family, id schema.Value) {
	patch := append(schema.Record(nil), c.patch...)
	patch[f.ID] = id
	c.patch = patch
}

// taken returns the failure of a record that asks for another one's external id.
func (f *Family) taken(external int) *core.Failure {
	name := f.Schema.Fields[external].Name
	return &core.Failure{Code: core.Conflicting, Field: name, Message: "'" + name + "' belongs to another record"}
}

// claim claims external ids for the new records that changes will make, and
// returns the changes whose external ids somebody else claimed meanwhile.
// Changes that cannot make a record claim nothing.
func (e *Engine) claim(ctx context.Context, w *write, unknown map[table.Key][]*change) (again []*change, err error) {
	type claimed struct {
		key     table.Key
		changes []*change
	}
	var claims []claimed
	for key, group := range unknown {
		makes := false
		for _, c := range group {
			_, c.failure = w.family.merge(Change{Patch: c.patch, Now: w.now, Option: w.option})
			makes = makes || c.failure == nil
		}
		if makes {
			claims = append(claims, claimed{key, group})
		}
	}
	if len(claims) == 0 {
		return nil, nil
	}
	first, err := e.reserve(ctx, w, len(claims))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claims, func(a, b claimed) int { return cmp.Compare(a.changes[0].record, b.changes[0].record) })
	ops := make([]table.Op, len(claims))
	for i, cl := range claims {
		id := schema.Int(first + int64(i))
		ops[i] = table.Put(table.Item{Key: cl.key, Version: e.nextVersion(0), Body: id}, table.Absent())
		for _, c := range cl.changes {
			c.failure = nil
			c.means(w.family, id)
		}
	}
	for i, err := range e.table.Write(ctx, ops, w.guard) {
		switch {
		case errors.Is(err, table.ErrConflict):
			again = append(again, claims[i].changes...)
		case err != nil:
			return nil, err
		}
	}
	return again, nil
}
