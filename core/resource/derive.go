package resource

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// Derived values of an account follow from records of other families. Whoever
// derives them reads those and writes the result together with an item of the
// account's own, the state, under the condition that nobody else has derived
// meanwhile; the state changes every time, even when nothing else does. So of
// two at once, the one that read older records cannot write last. The state
// also says when values will change by time alone, and an item in the order of
// those instants finds it again (see Due).

// Derived are an account's derived values.
type Derived struct {
	// Edit sets those kept in the account's own record; not those it is looked up
	// by.
	Edit func(account schema.Record) schema.Record
	// Entries are the account's records of the ledger, all of them.
	Entries []schema.Record
	// Wake is the instant (epoch ms) at which they change by time alone;
	// math.MaxInt64 for never.
	Wake int64
}

// derivation is the body of an account's state.
type derivation struct {
	Account string `json:"account"`
	Wake    int64  `json:"wake"`
}

func stateKey(workspace, account string) table.Key {
	return table.Key{Partition: partition(workspace, "derived", table.Digest(account)), Sort: "state"}
}

// Derive computes the derived values of accounts and writes what changed of
// them. ledger is the family of Derived.Entries. compute reads the records that
// an account's values follow from; it may be called more than once. Accounts
// that do not exist have none. It returns the errors of the accounts that
// failed.
func (e *Engine) Derive(ctx context.Context, workspace string, accounts []string, ledger *Family, compute func(ctx context.Context, account string) (Derived, error)) map[string]error {
	failed := map[string]error{}
	for attempt := 0; len(accounts) > 0; attempt++ {
		err := backoff(ctx, attempt)
		var lost []string
		if err == nil {
			lost, err = e.deriveOnce(ctx, workspace, accounts, ledger, compute, failed)
		}
		if err != nil {
			for _, a := range accounts {
				failed[a] = err
			}
			return failed
		}
		accounts = lost
	}
	return failed
}

// deriving is an account on its way through Derive.
type deriving struct {
	account string
	state   table.Item // as read
	slot    *slot      // of the account's own record
	value   Derived
	ops     []table.Op // of the ledger
	err     error
}

// deriveOnce derives accounts once, and returns those that lost a race. Errors
// that concern one account go to failed.
func (e *Engine) deriveOnce(ctx context.Context, workspace string, accounts []string, ledger *Family, compute func(ctx context.Context, account string) (Derived, error), failed map[string]error) (lost []string, err error) {
	all, err := e.readStates(ctx, workspace, accounts)
	if err != nil {
		return nil, err
	}
	// The states have been read; what is read from here on is newer.
	_ = atOnce(ctx, len(all), func(ctx context.Context, i int) error {
		d := all[i]
		if d.value, d.err = compute(ctx, d.account); d.err == nil {
			d.ops, d.err = e.ledgerOps(ctx, workspace, d.account, ledger, d.value.Entries)
		}
		return nil
	})
	moved := false
	for _, d := range all {
		if d.err != nil {
			failed[d.account] = d.err
		}
		moved = moved || len(d.ops) > 0
	}
	all = slices.DeleteFunc(all, func(d *deriving) bool { return d.err != nil })
	if moved {
		if err := e.listsChanged(ctx, workspace, ledger); err != nil {
			return nil, err
		}
	}
	var groups [][]*deriving
	ops := groupOps
	for _, d := range all {
		if n := len(d.ops) + derivedOps; ops+n > groupOps {
			groups, ops = append(groups, nil), n
		} else {
			ops += n
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], d)
	}
	_ = atOnce(ctx, len(groups), func(ctx context.Context, i int) error {
		e.writeDerived(ctx, workspace, groups[i])
		return nil
	})
	for _, d := range all {
		switch {
		case errors.Is(d.err, table.ErrConflict), errors.Is(d.err, table.ErrFenced):
			lost = append(lost, d.account)
		case d.err != nil:
			failed[d.account] = d.err
		}
	}
	if moved {
		err = e.listsChanged(ctx, workspace, ledger)
	}
	return lost, err
}

// readStates reads the states and records of those accounts that exist.
func (e *Engine) readStates(ctx context.Context, workspace string, accounts []string) ([]*deriving, error) {
	states, keys := make([]table.Key, len(accounts)), make([]table.Key, len(accounts))
	for i, a := range accounts {
		states[i], keys[i] = stateKey(workspace, a), e.accountKey(workspace, a)
	}
	items, err := e.table.Get(ctx, states, true)
	if err != nil {
		return nil, err
	}
	records, err := e.getSettled(ctx, workspace, e.root, keys)
	if err != nil {
		return nil, err
	}
	var all []*deriving
	for i, a := range accounts {
		if s := (&slot{key: keys[i], stored: records[i].Item, parts: records[i].parts}); s.found() {
			all = append(all, &deriving{account: a, state: items[i], slot: s})
		}
	}
	return all, nil
}

// derivedOps is how many operations go with those of the ledger: the state, two
// items of the clock, and the account, which may be large.
const derivedOps = 8

// writeDerived writes the derived values of accounts in one transaction, or if
// that fails one by one, and sets their errors.
func (e *Engine) writeDerived(ctx context.Context, workspace string, group []*deriving) {
	w := e.request(Target{Workspace: workspace, Family: e.root}, nil)
	if len(group) > 1 {
		var together []table.Op
		plain := true
		for _, d := range group {
			ops, main, err := e.derivedOf(w, d)
			if err != nil || main != nil && (len(main.Item.Body) > inlineBytes || d.slot.parts != "") {
				plain = false
				break
			}
			together = append(together, ops...)
			if main != nil {
				together = append(together, *main)
			}
		}
		if plain && e.table.Transact(ctx, together, nil) == nil {
			return
		}
	}
	for _, d := range group {
		d.err = e.writeOne(ctx, w, d)
	}
}

// derivedOf returns the writes of an account's derived values, apart from main,
// that of its own record; nil if that does not change.
func (e *Engine) derivedOf(w *write, d *deriving) (ops []table.Op, main *table.Op, err error) {
	before := derivation{Wake: math.MaxInt64}
	state, cond := d.state, table.Absent()
	if state.Exists() {
		cond = table.VersionIs(state.Version)
		if err := json.Unmarshal(state.Body, &before); err != nil {
			return nil, nil, err
		}
	}
	after := derivation{Account: d.account, Wake: d.value.Wake}
	if state.Body, err = json.Marshal(after); err != nil {
		return nil, nil, err
	}
	state.Key, state.Version = stateKey(w.workspace, d.account), e.nextVersion(state.Version)
	ops = append(slices.Clone(d.ops), table.Put(state, cond))
	if before.Wake != after.Wake {
		if before.Wake != math.MaxInt64 {
			ops = append(ops, table.Delete(e.dueKey(w.workspace, Derivations, d.account, before.Wake), table.Condition{}))
		}
		if after.Wake != math.MaxInt64 {
			ops = append(ops, table.Put(table.Item{
				Key: e.dueKey(w.workspace, Derivations, d.account, after.Wake), Version: e.nextVersion(0), Body: schema.Text(d.account),
			}, table.Condition{}))
		}
	}
	d.slot.changes = []*change{{
		edit: func(r schema.Record) (schema.Record, *core.Failure) { return d.value.Edit(r), nil },
	}}
	e.mergeSlot(w, d.slot, nil)
	if string(d.slot.body) != string(d.slot.stored.Body) {
		op, _ := e.main(w, d.slot)
		main = &op
	}
	return ops, main, nil
}

// writeOne writes the derived values of one account.
func (e *Engine) writeOne(ctx context.Context, w *write, d *deriving) error {
	if len(d.ops) > groupOps-derivedOps {
		// Too many for one transaction: the state is claimed first, and guards them.
		cond := table.Absent()
		if d.state.Exists() {
			cond = table.VersionIs(d.state.Version)
		} else {
			d.state.Key = stateKey(w.workspace, d.account)
			body, err := json.Marshal(derivation{Account: d.account, Wake: math.MaxInt64})
			if err != nil {
				return err
			}
			d.state.Body = body
		}
		d.state.Version = e.nextVersion(d.state.Version)
		if err := e.put(ctx, nil, d.state, cond); err != nil {
			return err
		}
		guard := &table.Guard{Key: d.state.Key, Version: d.state.Version}
		if err := errors.Join(e.table.Write(ctx, d.ops, guard)...); err != nil {
			return err
		}
		d.ops = nil
	}
	ops, main, err := e.derivedOf(w, d)
	if err != nil {
		return err
	}
	if main == nil {
		return e.table.Transact(ctx, ops, nil)
	}
	return e.withPacked(ctx, w, d.slot, *main, func(main table.Op, held []table.Op) error {
		return e.table.Transact(ctx, slices.Concat(ops, held, []table.Op{main}), nil)
	})
}

// ledgerOps returns the writes that bring an account's records of a ledger to
// entries.
func (e *Engine) ledgerOps(ctx context.Context, workspace, account string, ledger *Family, entries []schema.Record) ([]table.Op, error) {
	stored := map[string]table.Item{}
	for item, err := range e.scan(ctx, table.Query{
		Partition: e.key(workspace, ledger, account, "").Partition, Limit: besidePageSize, Consistent: true,
	}) {
		if err != nil {
			return nil, err
		}
		stored[item.Sort] = item
	}
	var ops []table.Op
	for _, r := range entries {
		key := e.keyOf(workspace, ledger, r)
		body := ledger.Schema.AppendStored(nil, r)
		was, known := stored[key.Sort]
		delete(stored, key.Sort)
		switch {
		case !known:
			ops = append(ops, table.Put(e.item(workspace, ledger, r, e.nextVersion(0), body), table.Absent()))
		case string(was.Body) != string(body):
			ops = append(ops, table.Put(e.item(workspace, ledger, r, e.nextVersion(was.Version), body), table.VersionIs(was.Version)))
		}
	}
	for _, was := range stored {
		ops = append(ops, table.Delete(was.Key, table.VersionIs(was.Version)))
	}
	return ops, nil
}
