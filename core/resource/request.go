package resource

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strconv"
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
	// External says that ID is an external id.
	External bool
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
		r, err := e.withEntries(ctx, t.Workspace, t.Family, items[i])
		if err != nil {
			return nil, err
		}
		if r == nil || t.External && r[t.Family.Generated.External].Text() != t.ID {
			continue
		}
		records = append(records, e.show(t.Family, r))
	}
	return records, nil
}

// ReadLatest returns the one record that t names, ready to be shown, and the last of
// the entries kept beside it in the place of all of them. Both are nil where there is
// none.
func (e *Engine) ReadLatest(ctx context.Context, t Target) (record, latest schema.Record, err error) {
	places, err := e.find(ctx, t)
	if err != nil || len(places) != 1 {
		return nil, nil, err
	}
	f := t.Family
	items, err := e.getSettled(ctx, t.Workspace, f, []table.Key{places[0].key})
	if err != nil || len(items[0].Body) == 0 {
		return nil, nil, err
	}
	r := f.Schema.ParseStored(items[0].Body)
	if state := f.besideOf(r); state.count > 0 {
		last, err := e.table.Query(ctx, table.Query{Partition: state.partition(t.Workspace, f, r), Descending: true, Limit: 1, Consistent: true})
		if err != nil {
			return nil, nil, err
		}
		if len(last) > 0 {
			latest = f.Schema.List(f.Beside.Field).ParseStored(last[0].Body)
		}
	}
	r[f.Beside.Field] = nil
	return e.show(f, r), latest, nil
}

// withEntries returns the record in item with the entries kept beside it; nil
// when there is none. If they change in between, it reads the record again.
func (e *Engine) withEntries(ctx context.Context, workspace string, f *Family, item loaded) (schema.Record, error) {
	for attempt := 1; len(item.Body) > 0; attempt++ {
		r := f.Schema.ParseStored(item.Body)
		if f.Beside == nil || r[f.Beside.Field].IsNull() {
			return r, nil
		}
		list, n, err := e.readBeside(ctx, workspace, f, r)
		if err != nil {
			return nil, err
		}
		if n == f.besideOf(r).count {
			r[f.Beside.Field] = list
			return r, nil
		}
		if err := backoff(ctx, attempt); err != nil {
			return nil, err
		}
		items, err := e.getSettled(ctx, workspace, f, []table.Key{item.Key})
		if err != nil {
			return nil, err
		}
		item = items[0]
	}
	return nil, nil
}

func (e *Engine) readBeside(ctx context.Context, workspace string, f *Family, r schema.Record) (list schema.Value, n int64, err error) {
	s := f.Schema.List(f.Beside.Field)
	var entries []schema.Record
	for item, err := range e.scan(ctx, table.Query{
		Partition: f.besideOf(r).partition(workspace, f, r), Limit: besidePageSize, Consistent: true,
	}) {
		if err != nil {
			return nil, 0, err
		}
		entries = append(entries, s.ParseStored(item.Body))
	}
	return s.ListOf(entries), int64(len(entries)), nil
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
	account string // the account it belongs to, where the key depends on it
}

// find returns the places of the records that t may name.
func (e *Engine) find(ctx context.Context, t Target) ([]found, error) {
	f := t.Family
	if !storable(t.ID) || t.Account != "" && !storable(t.Account) {
		return nil, nil
	}
	switch {
	case t.External:
		items, err := e.table.Get(ctx, []table.Key{byExternalID(t.Workspace, f, t.ID)}, true)
		if err != nil || !items[0].Exists() {
			return nil, err
		}
		return []found{{key: e.key(t.Workspace, f, "", string(items[0].Body))}}, nil
	case f.numericID():
		if n, err := strconv.ParseInt(t.ID, 10, 64); err != nil || strconv.FormatInt(n, 10) != t.ID {
			return nil, nil
		}
		fallthrough
	case !f.inAccount() || t.Account != "":
		return []found{{e.key(t.Workspace, f, t.Account, t.ID), t.Account}}, nil
	}
	var places []found
	for item, err := range e.scan(ctx, table.Query{
		Partition: byID(t.Workspace, f, t.ID), Limit: MaxPageSize, Consistent: true,
	}) {
		if err != nil {
			return nil, err
		}
		account := schema.Value(item.Body).Text()
		places = append(places, found{e.key(t.Workspace, f, account, t.ID), account})
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
func (e *Engine) Modify(ctx context.Context, m Modification) (altered bool, failure *core.Failure, err error) {
	f := m.Family
	if failure := f.differs(f.ID, m); failure != nil {
		return false, failure, nil
	}
	if f.inAccount() {
		m.Account = m.Patch[f.Account].Text()
	}
	if m.DryRun {
		e = e.dry()
	}
	outcome, failure, err := e.changeOne(ctx, m.Target, m.Option, change{patch: m.Patch, modify: true})
	return outcome == changed, failure, err
}

// differs returns a failure when the field at ordinal i, by which the path names
// the record, is another one in the body (contract P9).
func (f *Family) differs(i int, m Modification) *core.Failure {
	given := m.Patch[i]
	var text string
	if i == f.ID {
		text = f.textOf(given) // which may be a number
	} else {
		text = given.Text()
	}
	if !given.Given() || given.IsNull() && i == f.ID || text == m.ID {
		return nil
	}
	name := f.Schema.Fields[i].Name
	return &core.Failure{Code: core.Conflicting, Field: name,
		Message: "'" + name + "' in the body differs from the one in the path"}
}

// Put inserts or modifies the record that m names, and reports which ("PUT by
// external_id", contract P9; a metric of another account).
func (e *Engine) Put(ctx context.Context, m Modification) (new, altered bool, failure *core.Failure, err error) {
	f := m.Family
	by, id := f.ID, f.idValue(m.ID)
	if m.External {
		by, id = f.Generated.External, schema.Text(m.ID)
	}
	if failure := f.differs(by, m); failure != nil {
		return false, false, failure, nil
	}
	c := change{patch: slices.Clone(m.Patch), modify: true}
	c.patch[by] = id
	if m.DryRun {
		e = e.dry()
	}
	err = e.apply(ctx, e.request(m.Target, m.Option), []*change{&c})
	return c.outcome == inserted, c.outcome == changed, c.failure, err
}

// Remove removes one record ("DELETE" of the families without inactive
// records), with everything that is kept beside it.
func (e *Engine) Remove(ctx context.Context, t Target) (*core.Failure, error) {
	_, failure, err := e.changeOne(ctx, t, nil, change{remove: true})
	return failure, err
}

// Deactivate marks one record inactive ("DELETE" in the API document).
func (e *Engine) Deactivate(ctx context.Context, t Target, d Deactivation) (*core.Failure, error) {
	_, failure, err := e.changeOne(ctx, t, nil, change{patch: t.Family.Deactivate(d)})
	return failure, err
}

// Edit changes one existing record by a function, which must leave the record
// it is given as it is. The record is removed if the function returns none.
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

// changeOne applies c to the one existing record that t names.
func (e *Engine) changeOne(ctx context.Context, t Target, option func(string) bool, c change) (outcome, *core.Failure, error) {
	f := t.Family
	c.mustExist = true
	if t.External { // which record has it is for identify to find out
		c.external = t.ID
		err := e.apply(ctx, e.request(t, option), []*change{&c})
		return c.outcome, c.failure, err
	}
	places, err := e.find(ctx, t)
	if err != nil {
		return unchanged, nil, err
	}
	if len(places) > 1 {
		if places, err = e.existing(ctx, places); err != nil {
			return unchanged, nil, err
		}
	}
	switch {
	case len(places) == 0 && t.Account != "" && f.inAccount():
		return unchanged, missingAccount, nil
	case len(places) == 0:
		return unchanged, f.NotFound(), nil
	case len(places) > 1:
		name := f.Schema.Fields[f.ID].Name
		return unchanged, &core.Failure{Code: core.NotUnique, Field: "account_id",
			Message: "'" + name + "' is not unique: an 'account_id' is needed"}, nil
	}
	c.key = places[0].key
	if c.patch != nil {
		c.patch = slices.Clone(c.patch)
		c.patch[f.ID] = f.idValue(t.ID)
		if f.inAccount() {
			c.patch[f.Account] = schema.Text(places[0].account)
		}
	} else if f.inAccount() {
		if failure, err := e.RequireAccount(ctx, t.Workspace, places[0].account); failure != nil || err != nil {
			return unchanged, failure, err
		}
	}
	err = e.apply(ctx, e.request(t, option), []*change{&c})
	return c.outcome, c.failure, err
}

// request returns what the changes of one request go through.
func (e *Engine) request(t Target, option func(string) bool) *write {
	if option == nil {
		option = noOption
	}
	return &write{workspace: t.Workspace, family: t.Family, option: option, now: e.Now()}
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
		if items[i].Exists() && !isTombstone(items[i].Body) {
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
		Partition: e.key(workspace, f, account, "").Partition, Limit: MaxPageSize, Consistent: true, VisibleAt: gone,
	}
	if !inactive {
		q.VisibleAt = e.Now()
	}
	items := e.scan(ctx, q)
	if f.OwnID {
		items = e.pointedTo(ctx, workspace, f, account)
	}
	records, err := e.collect(ctx, workspace, f, account, items)
	f.Schema.Sort(records, descending, order, f.ID)
	return records, nil, err
}

// pointedTo yields the items of an account's records in a family with ids of
// their own.
func (e *Engine) pointedTo(ctx context.Context, workspace string, f *Family, account string) iter.Seq2[table.Item, error] {
	return func(yield func(table.Item, error) bool) {
		q := table.Query{Partition: byAccount(workspace, f, account), Limit: MaxPageSize, Consistent: true}
		for more := true; more; {
			pointers, err := e.table.Query(ctx, q)
			if err != nil {
				yield(table.Item{}, err)
				return
			}
			keys := make([]table.Key, len(pointers))
			for i := range pointers {
				keys[i] = e.key(workspace, f, "", f.textOf(pointers[i].Body))
				q.After = pointers[i].Sort
			}
			more = len(pointers) == q.Limit
			items, err := e.table.Get(ctx, keys, true)
			if err != nil {
				yield(table.Item{}, err)
				return
			}
			for i := range items {
				if items[i].Exists() && !yield(items[i], nil) {
					return
				}
			}
		}
	}
}

// collect returns the records in items that belong to an account, ready to be
// shown: a pointer may be idle, or of a record that has moved on.
func (e *Engine) collect(ctx context.Context, workspace string, f *Family, account string, items iter.Seq2[table.Item, error]) ([]schema.Record, error) {
	var records []schema.Record
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		r, err := e.record(ctx, workspace, f, &item)
		if err != nil {
			return nil, err
		}
		if r != nil && r[f.Account].Text() == account {
			records = append(records, r)
		}
	}
	return records, nil
}

// record returns the record in an item of a list, ready to be shown; nil if it
// is gone meanwhile.
func (e *Engine) record(ctx context.Context, workspace string, f *Family, item *table.Item) (schema.Record, error) {
	if isTombstone(item.Body) {
		return nil, nil
	}
	_, err := e.unpack(ctx, workspace, item)
	if errors.Is(err, errReplaced) || isPending(item.Body) {
		now, err := e.getSettled(ctx, workspace, f, []table.Key{item.Key})
		if err != nil || len(now[0].Body) == 0 {
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

// AccountIn returns the account of the record of f in the image of an item, as a
// change feed has it; known is false when there is none.
func (e *Engine) AccountIn(f *Family, image *table.Item) (account string, known bool) {
	switch {
	case image == nil || isTombstone(image.Body):
		return "", false
	case isPacked(image.Body):
		var p packed
		err := json.Unmarshal(image.Body, &p)
		return p.Account, err == nil && p.Account != ""
	}
	r := f.Schema.ParseStored(image.Body)
	return r[f.Account].Text(), r[f.Account].Given()
}

// RecordIn returns the record of f in the image of an item, as a change feed has it;
// whole is false when there is none, or one that the image does not hold all of.
func (e *Engine) RecordIn(f *Family, image *table.Item) (r schema.Record, whole bool) {
	if image == nil || isTombstone(image.Body) || isPacked(image.Body) || isPending(image.Body) {
		return nil, false
	}
	return f.Schema.ParseStored(image.Body), true
}

// RequireAccount returns a failure when the account does not exist.
func (e *Engine) RequireAccount(ctx context.Context, workspace, account string) (*core.Failure, error) {
	if !storable(account) {
		return missingAccount, nil
	}
	items, err := e.table.Get(ctx, []table.Key{e.accountKey(workspace, account)}, true)
	if err != nil {
		return nil, err
	}
	if !items[0].Exists() {
		return missingAccount, nil
	}
	return nil, nil
}

// AccountsExist returns those of ids that are accounts.
func (e *Engine) AccountsExist(ctx context.Context, workspace string, ids []string) (map[string]bool, error) {
	exist := map[string]bool{}
	keys := make([]table.Key, 0, len(ids))
	for _, id := range ids {
		if storable(id) {
			keys = append(keys, e.accountKey(workspace, id))
		}
	}
	items, err := e.table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	for i := range items {
		if items[i].Exists() {
			exist[keys[i].Sort] = true
		}
	}
	return exist, nil
}

// StoredAccounts returns the accounts with those ids, as they are stored, by id; those
// that do not exist are not in the answer.
func (e *Engine) StoredAccounts(ctx context.Context, workspace string, root *Family, ids []string) (map[string]schema.Record, error) {
	keys := make([]table.Key, 0, len(ids))
	for _, id := range ids {
		if storable(id) {
			keys = append(keys, e.accountKey(workspace, id))
		}
	}
	items, err := e.getSettled(ctx, workspace, root, keys)
	if err != nil {
		return nil, err
	}
	found := map[string]schema.Record{}
	for i := range items {
		if len(items[i].Body) > 0 {
			found[keys[i].Sort] = root.Schema.ParseStored(items[i].Body)
		}
	}
	return found, nil
}
