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
	// Edit sets those kept in the account's own record.
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
	return table.Key{Partition: partition(workspace, "derived", digest(account)), Sort: "state"}
}

func (e *Engine) wakeKey(workspace, account string, at int64) table.Key {
	return table.Key{Partition: partition(workspace, "wake", e.shardOf(account)), Sort: sortNumber(at) + digest(account)}
}

// Derive computes an account's derived values and writes what changed of them.
// ledger is the family of Derived.Entries. compute reads the records that they
// follow from; it may be called more than once. An account that does not exist
// has none.
func (e *Engine) Derive(ctx context.Context, workspace, account string, ledger *Family, compute func(ctx context.Context) (Derived, error)) error {
	for attempt := 0; ; attempt++ {
		if err := backoff(ctx, attempt); err != nil {
			return err
		}
		err := e.deriveOnce(ctx, workspace, account, ledger, compute)
		if !errors.Is(err, table.ErrConflict) && !errors.Is(err, table.ErrFenced) {
			return err
		}
	}
}

func (e *Engine) deriveOnce(ctx context.Context, workspace, account string, ledger *Family, compute func(ctx context.Context) (Derived, error)) error {
	key := e.accountKey(workspace, account)
	items, err := e.table.Get(ctx, []table.Key{stateKey(workspace, account), key}, true)
	if err != nil {
		return err
	}
	if !items[1].Exists() {
		return nil
	}
	before := derivation{Wake: math.MaxInt64}
	if items[0].Exists() {
		if err := json.Unmarshal(items[0].Body, &before); err != nil {
			return err
		}
	}
	d, err := compute(ctx)
	if err != nil {
		return err
	}
	ops, err := e.ledgerOps(ctx, workspace, account, ledger, d.Entries)
	if err != nil {
		return err
	}
	moved := len(ops) > 0
	if moved {
		if err := e.listsChanged(ctx, workspace, ledger); err != nil {
			return err
		}
	}
	state, cond := items[0], table.Absent()
	if state.Exists() {
		cond = table.VersionIs(state.Version)
	}
	state.Key = stateKey(workspace, account)
	const others = 8 // what goes with the ledger at most
	if len(ops) > table.MaxTransactOps-others {
		// Too many for one transaction: the state is claimed first, and guards them.
		if state.Body, err = json.Marshal(before); err != nil {
			return err
		}
		state.Version = e.nextVersion(state.Version)
		if err := e.put(ctx, nil, state, cond); err != nil {
			return err
		}
		cond = table.VersionIs(state.Version)
		guard := &table.Guard{Key: state.Key, Version: state.Version}
		if err := errors.Join(e.table.Write(ctx, ops, guard)...); err != nil {
			return err
		}
		ops = nil
	}
	after := derivation{Account: account, Wake: d.Wake}
	if state.Body, err = json.Marshal(after); err != nil {
		return err
	}
	state.Version = e.nextVersion(state.Version)
	ops = append(ops, table.Put(state, cond))
	if before.Wake != after.Wake {
		if before.Wake != math.MaxInt64 {
			ops = append(ops, table.Delete(e.wakeKey(workspace, account, before.Wake), table.Condition{}))
		}
		if after.Wake != math.MaxInt64 {
			ops = append(ops, table.Put(table.Item{
				Key: e.wakeKey(workspace, account, after.Wake), Version: e.nextVersion(0), Body: schema.Text(account),
			}, table.Condition{}))
		}
	}
	if err := e.writeDerived(ctx, workspace, key, d.Edit, ops); err != nil || !moved {
		return err
	}
	return e.listsChanged(ctx, workspace, ledger)
}

// writeDerived writes ops in one transaction with what edit makes of the
// account.
func (e *Engine) writeDerived(ctx context.Context, workspace string, key table.Key, edit func(schema.Record) schema.Record, ops []table.Op) error {
	stored, err := e.getSettled(ctx, workspace, e.root, []table.Key{key})
	if err != nil {
		return err
	}
	w := e.request(Target{Workspace: workspace, Family: e.root}, nil)
	s := &slot{key: key, stored: stored[0].Item, parts: stored[0].parts, changes: []*change{{
		edit: func(r schema.Record) (schema.Record, *core.Failure) { return edit(r), nil },
	}}}
	e.mergeSlot(w, s, nil)
	if string(s.body) == string(s.stored.Body) {
		return e.table.Transact(ctx, ops, nil)
	}
	main, _ := e.main(w, s)
	return e.withPacked(ctx, w, s, main, func(main table.Op, held []table.Op) error {
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

// Due is an account whose derived values are to be derived anew.
type Due struct {
	Account string
	item    table.Item
}

// Due returns accounts of a workspace whose derived values have changed by time
// alone by now, up to limit for each of the engine's shards. They are due until
// Done is called.
func (e *Engine) Due(ctx context.Context, workspace string, limit int) ([]Due, error) {
	var due []Due
	until := sortNumber(e.Now()) + "~" // digests sort before
	for shard := range e.shards {
		items, err := e.table.Query(ctx, table.Query{
			Partition: partition(workspace, "wake", shardName(shard)), Limit: limit, Consistent: true,
		})
		if err != nil {
			return nil, err
		}
		for i := range items {
			if items[i].Sort > until {
				break
			}
			due = append(due, Due{Account: schema.Value(items[i].Body).Text(), item: items[i]})
		}
	}
	return due, nil
}

// Done ends that an account is due, unless it has become so anew.
func (e *Engine) Done(ctx context.Context, d Due) error {
	err := errors.Join(e.table.Write(ctx, []table.Op{table.Delete(d.item.Key, table.VersionIs(d.item.Version))}, nil)...)
	if errors.Is(err, table.ErrConflict) {
		return nil
	}
	return err
}

// Wake makes an account due at an instant (epoch ms), beside when it is so
// anyhow.
func (e *Engine) Wake(ctx context.Context, workspace, account string, at int64) error {
	return e.put(ctx, nil, table.Item{
		Key: e.wakeKey(workspace, account, at), Version: e.nextVersion(0), Body: schema.Text(account),
	}, table.Condition{})
}
