package resource

import (
	"context"
	"errors"
	"iter"
	"slices"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// Target names one record of a family.
type Target struct {
	Workspace string
	Family    *Family
	ID        string
	// Account is the account it belongs to; empty where that is not known,
	// which suffices when the id is the only one of its kind.
	Account string
}

// Read returns the records that t names, ready to be shown, with the entries
// kept beside them: one, or none, or several when an id without an account is
// not unique.
func (e *Engine) Read(ctx context.Context, t Target) ([]schema.Record, error) {
	places, err := e.find(ctx, t)
	if err != nil {
		return nil, err
	}
	keys := make([]table.Key, len(places))
	for i, p := range places {
		keys[i] = p.key
	}
	items, err := e.getSettled(ctx, t.Workspace, t.Family, keys)
	if err != nil {
		return nil, err
	}
	var records []schema.Record
	for i := range items {
		if !items[i].Exists() {
			continue
		}
		r := t.Family.Schema.ParseStored(items[i].Body)
		if b := t.Family.Beside; b != nil && r[b.Field].Given() {
			if r[b.Field], err = e.readBeside(ctx, t.Workspace, t.Family, items[i].Sort); err != nil {
				return nil, err
			}
		}
		records = append(records, e.show(t.Family, r))
	}
	return records, nil
}

func (e *Engine) readBeside(ctx context.Context, workspace string, f *Family, id string) (schema.Value, error) {
	s := f.Schema.List(f.Beside.Field)
	var entries []schema.Record
	for item, err := range e.scan(ctx, table.Query{
		Partition: besidePartition(workspace, f, id), Limit: besidePageSize, Consistent: true,
	}) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, s.ParseStored(item.Body))
	}
	return s.ListOf(entries), nil
}

// show fills in what is computed when a record is shown.
func (e *Engine) show(f *Family, r schema.Record) schema.Record {
	if f.Show != nil {
		f.Show(r, e.Now())
	}
	return r
}

// found is a place where a record that a Target names may be.
type found struct {
	key     table.Key
	account string // the account it belongs to; empty in the root family
}

// find returns the places of the records that t may name.
func (e *Engine) find(ctx context.Context, t Target) ([]found, error) {
	if !storable(t.ID) || t.Account != "" && !storable(t.Account) {
		return nil, nil
	}
	if t.Family.isRoot() || t.Account != "" {
		return []found{{e.key(t.Workspace, t.Family, t.Account, t.ID), t.Account}}, nil
	}
	var places []found
	for item, err := range e.scan(ctx, table.Query{
		Partition: pointers(t.Workspace, t.Family, t.ID), Limit: MaxPageSize, Consistent: true,
	}) {
		if err != nil {
			return nil, err
		}
		account := schema.Value(item.Body).Text()
		places = append(places, found{e.key(t.Workspace, t.Family, account, t.ID), account})
	}
	return places, nil
}

// storable reports whether a record can have this id at all.
func storable(id string) bool {
	return id != "" && len(id) <= table.MaxSortBytes && utf8.ValidString(id)
}

// Modification is a change of one existing record ("PUT" in the API document).
type Modification struct {
	Target
	// Patch is laid over the record. Its id must not differ from the target's;
	// its account, in a family that has one, says which account is meant.
	Patch schema.Record
	// DryRun writes nothing and answers as the real change would.
	DryRun bool
	// Option reports whether one of Family.Options is on; nil for none.
	Option func(name string) bool
}

// Modify carries out a modification and reports whether it changed anything.
// The failure is the caller's to mend, the error is not.
func (e *Engine) Modify(ctx context.Context, m Modification) (changed bool, failure *core.Failure, err error) {
	f := m.Family
	if given := m.Patch[f.ID]; !given.IsNull() && given.Text() != m.ID {
		name := f.Schema.Fields[f.ID].Name
		return false, &core.Failure{Code: core.Conflicting, Field: name,
			Message: "'" + name + "' in the body differs from the id in the path"}, nil
	}
	if !f.isRoot() {
		m.Account = m.Patch[f.Account].Text()
	}
	if m.DryRun {
		e = e.dry()
	}
	return e.changeOne(ctx, m.Target, m.Option, change{patch: m.Patch})
}

// Deactivate marks one record inactive ("DELETE" in the API document).
func (e *Engine) Deactivate(ctx context.Context, t Target, d Deactivation) (*core.Failure, error) {
	_, failure, err := e.changeOne(ctx, t, nil, change{patch: t.Family.Deactivate(d)})
	return failure, err
}

// Edit changes one existing record by a function, which must leave the record
// it is given as it is.
func (e *Engine) Edit(ctx context.Context, t Target, edit func(schema.Record) (schema.Record, *core.Failure)) (*core.Failure, error) {
	_, failure, err := e.changeOne(ctx, t, nil, change{edit: edit})
	return failure, err
}

// EraseBeside removes the entries kept beside a record whose sort key begins
// with prefix.
func (e *Engine) EraseBeside(ctx context.Context, t Target, prefix string) (*core.Failure, error) {
	keep := func(r schema.Record) (schema.Record, *core.Failure) { return slices.Clone(r), nil }
	_, failure, err := e.changeOne(ctx, t, nil, change{edit: keep, erase: &prefix})
	return failure, err
}

// changeOne applies c to the one existing record that t names, and reports
// whether that changed it.
func (e *Engine) changeOne(ctx context.Context, t Target, option func(string) bool, c change) (bool, *core.Failure, error) {
	f := t.Family
	places, err := e.find(ctx, t)
	if err != nil {
		return false, nil, err
	}
	if len(places) > 1 {
		if places, err = e.existing(ctx, places); err != nil {
			return false, nil, err
		}
	}
	switch {
	case len(places) == 0 && t.Account != "" && !f.isRoot():
		return false, missingAccount, nil
	case len(places) == 0:
		return false, f.NotFound(), nil
	case len(places) > 1:
		name := f.Schema.Fields[f.ID].Name
		return false, &core.Failure{Code: core.NotUnique, Field: "account_id",
			Message: "'" + name + "' is not unique: an 'account_id' is needed"}, nil
	}
	c.mustExist = true
	s := &slot{key: places[0].key, changes: []*change{&c}}
	if !f.isRoot() {
		s.account = e.key(t.Workspace, e.root, places[0].account, places[0].account)
	}
	if c.patch != nil {
		c.patch = slices.Clone(c.patch)
		c.patch[f.ID] = schema.Text(t.ID)
		if !f.isRoot() {
			c.patch[f.Account] = schema.Text(places[0].account)
		}
	}
	if option == nil {
		option = noOption
	}
	w := &write{workspace: t.Workspace, family: f, option: option, now: e.Now()}
	err = e.apply(ctx, w, []*slot{s})
	return c.outcome == changed, c.failure, err
}

// existing returns those of places that hold a record.
func (e *Engine) existing(ctx context.Context, places []found) ([]found, error) {
	keys := make([]table.Key, len(places))
	for i, p := range places {
		keys[i] = p.key
	}
	items, err := e.table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	var exist []found
	for i := range items {
		if items[i].Exists() {
			exist = append(exist, places[i])
		}
	}
	return exist, nil
}

// OfAccount returns all records of a family that belong to an account, ready
// to be shown, in the order of the field at ordinal order; equal ones by id.
// The failure says that the account does not exist.
func (e *Engine) OfAccount(ctx context.Context, workspace string, f *Family, account string, order int, descending, inactive bool) ([]schema.Record, *core.Failure, error) {
	if failure, err := e.RequireAccount(ctx, workspace, account); failure != nil || err != nil {
		return nil, failure, err
	}
	q := table.Query{
		Partition: e.key(workspace, f, account, "").Partition, Limit: MaxPageSize, Consistent: true,
	}
	if !inactive {
		q.VisibleAt = e.Now()
	}
	records, err := e.collect(ctx, workspace, f, e.scan(ctx, q))
	slices.SortStableFunc(records, func(a, b schema.Record) int {
		c := f.Schema.Compare(order, a[order], b[order])
		if c == 0 {
			c = f.Schema.Compare(f.ID, a[f.ID], b[f.ID])
		}
		if descending {
			c = -c
		}
		return c
	})
	return records, nil, err
}

func (e *Engine) collect(ctx context.Context, workspace string, f *Family, items iter.Seq2[table.Item, error]) ([]schema.Record, error) {
	var records []schema.Record
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		r, err := e.record(ctx, workspace, f, &item)
		if err != nil {
			return nil, err
		}
		if r != nil {
			records = append(records, r)
		}
	}
	return records, nil
}

// record returns the record in an item of a list, ready to be shown; nil if it
// is gone meanwhile.
func (e *Engine) record(ctx context.Context, workspace string, f *Family, item *table.Item) (schema.Record, error) {
	_, err := e.unpack(ctx, workspace, item)
	if errors.Is(err, errReplaced) || isPending(item.Body) {
		now, err := e.getSettled(ctx, workspace, f, []table.Key{item.Key})
		if err != nil || !now[0].Exists() {
			return nil, err
		}
		*item = now[0].Item
	} else if err != nil {
		return nil, err
	}
	r := f.Schema.ParseStored(item.Body)
	if f.Beside != nil {
		r[f.Beside.Field] = nil // their number, which is nobody else's business
	}
	return e.show(f, r), nil
}

// RequireAccount returns a failure when the account does not exist.
func (e *Engine) RequireAccount(ctx context.Context, workspace, account string) (*core.Failure, error) {
	if !storable(account) {
		return missingAccount, nil
	}
	items, err := e.table.Get(ctx, []table.Key{e.key(workspace, e.root, account, account)}, true)
	if err != nil {
		return nil, err
	}
	if !items[0].Exists() {
		return missingAccount, nil
	}
	return nil, nil
}
