package resource

import (
	"context"
	"slices"
	"strings"
	"sync"

	"tenure/core/table"
)

// dryTable is a table whose writes stay in memory, seen by its own reads and by
// nobody else: the writer of a dry run. It serves one request.
type dryTable struct {
	table.Table
	mu      sync.Mutex
	written map[table.Key]table.Item // without Version: removed
}

// dry returns an engine that does everything as e does, but writes nothing.
func (e *Engine) dry() *Engine {
	dry := *e
	dry.table = &dryTable{Table: e.table, written: map[table.Key]table.Item{}}
	return &dry
}

func (d *dryTable) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	items, err := d.Table.Get(ctx, keys, consistent)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range items {
		if item, ok := d.written[keys[i]]; ok {
			items[i] = item
		}
	}
	return items, err
}

func (d *dryTable) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	later := func(a, b string) bool { return a != b && (a > b) != q.Descending }
	var mine []table.Item
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, item := range d.written {
		if q.Index == table.Base && key.Partition == q.Partition && strings.HasPrefix(key.Sort, q.Prefix) &&
			(q.After == "" || later(key.Sort, q.After)) {
			mine = append(mine, item)
		}
	}
	if len(mine) == 0 {
		return d.Table.Query(ctx, q)
	}
	whole := q
	whole.Limit += len(mine) // as many of the stored ones may be written over
	items, err := d.Table.Query(ctx, whole)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(i table.Item) bool { _, over := d.written[i.Key]; return over })
	for _, item := range mine {
		if item.Exists() && (q.Keep == nil || q.Keep(item.Body)) && (q.VisibleAt == 0 || item.HiddenFrom == 0 || item.HiddenFrom > q.VisibleAt) {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b table.Item) int {
		if later(a.Sort, b.Sort) {
			return 1
		}
		return -1
	})
	return items[:min(len(items), q.Limit)], nil
}

func (d *dryTable) Write(_ context.Context, ops []table.Op, _ *table.Guard) []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, op := range ops {
		if op.Delete {
			d.written[op.Item.Key] = table.Item{Key: op.Item.Key}
		} else {
			d.written[op.Item.Key] = op.Item
		}
	}
	return nil
}

func (d *dryTable) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	d.Write(ctx, ops, guard)
	return nil
}
