package resource

import (
	"context"
	"errors"

	"tenure/core/schema"
	"tenure/core/table"
)

// Agenda names a list of accounts for which something is due at an instant.
type Agenda string

const (
	// Derivations are of accounts whose derived values are to be derived anew.
	Derivations Agenda = "wake"
	// Assessments are of accounts whose health is to be assessed anew.
	Assessments Agenda = "assess"
)

// Due is an account for which something is due.
type Due struct {
	Account string
	At      int64 // epoch ms
	item    table.Item
}

func (e *Engine) dueKey(workspace string, agenda Agenda, account string, at int64) table.Key {
	return table.Key{Partition: partition(workspace, string(agenda), e.shardOf(account)), Sort: sortNumber(at) + table.Digest(account)}
}

// Due returns accounts of a workspace that are due by now, up to limit for each of
// the engine's shards. They are due until Done is called.
func (e *Engine) Due(ctx context.Context, workspace string, agenda Agenda, limit int) ([]Due, error) {
	var due []Due
	until := sortNumber(e.Now()) + "~" // digests sort before
	for shard := range e.shards {
		items, err := e.table.Query(ctx, table.Query{
			Partition: partition(workspace, string(agenda), shardName(shard)), Limit: limit, Consistent: true,
		})
		if err != nil {
			return nil, err
		}
		for i := range items {
			if items[i].Sort > until {
				break
			}
			at := sortedNumber(items[i].Sort[:len(sortNumber(0))])
			due = append(due, Due{Account: schema.Value(items[i].Body).Text(), At: at, item: items[i]})
		}
	}
	return due, nil
}

// Done ends that accounts are due, unless they have become so anew.
func (e *Engine) Done(ctx context.Context, due ...Due) error {
	ops := make([]table.Op, len(due))
	for i, d := range due {
		ops[i] = table.Delete(d.item.Key, table.VersionIs(d.item.Version))
	}
	errs := e.table.Write(ctx, ops, nil)
	for i, err := range errs {
		if errors.Is(err, table.ErrConflict) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

// Wake makes accounts due, beside when they are so anyhow. No two are the same
// account at the same instant.
func (e *Engine) Wake(ctx context.Context, workspace string, agenda Agenda, due ...Due) error {
	ops := make([]table.Op, len(due))
	for i, d := range due {
		ops[i] = table.Put(table.Item{
			Key: e.dueKey(workspace, agenda, d.Account, d.At), Version: e.nextVersion(0), Body: schema.Text(d.Account),
		}, table.Condition{})
	}
	return errors.Join(e.table.Write(ctx, ops, nil)...)
}
