package table

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// Overlay is a table whose writes stay in memory, seen by its own reads and by
// nobody else: what a dry run writes to. That an item is absent is checked, since
// writers ask for it to find out what is there; other conditions are taken to
// hold. It is not a store, and keeps none of the limits.
type Overlay struct {
	Table
	writing sync.Mutex // held from the check of conditions to the write
	mu      sync.Mutex
	written map[Key]Item // without Version: removed
}

// NewOverlay returns an overlay over what is stored in t.
func NewOverlay(t Table) *Overlay { return &Overlay{Table: t, written: map[Key]Item{}} }

// Get reads items by key.
func (d *Overlay) Get(ctx context.Context, keys []Key, consistent bool) ([]Item, error) {
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

// Query reads one range of one partition.
func (d *Overlay) Query(ctx context.Context, q Query) ([]Item, error) {
	later := func(a, b string) bool { return a != b && (a > b) != q.Descending }
	var mine []Item
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, item := range d.written {
		if q.Index == Base && key.Partition == q.Partition && strings.HasPrefix(key.Sort, q.Prefix) &&
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
	items = slices.DeleteFunc(items, func(i Item) bool { _, over := d.written[i.Key]; return over })
	for _, item := range mine {
		if item.Exists() && (q.Keep == nil || q.Keep(item.Body)) && (q.VisibleAt == 0 || item.HiddenFrom == 0 || item.HiddenFrom > q.VisibleAt) {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b Item) int {
		if later(a.Sort, b.Sort) {
			return 1
		}
		return -1
	})
	return items[:min(len(items), q.Limit)], nil
}

// Write carries out independent operations.
func (d *Overlay) Write(ctx context.Context, ops []Op, _ *Guard) []error {
	return d.write(ctx, ops, false)
}

// Transact carries out all operations or none.
func (d *Overlay) Transact(ctx context.Context, ops []Op, _ *Guard) error {
	return errors.Join(d.write(ctx, ops, true)...)
}

// write carries out the operations whose conditions hold; none if one of several
// that go together does not. The answer is nil when all did.
func (d *Overlay) write(ctx context.Context, ops []Op, together bool) []error {
	d.writing.Lock()
	defer d.writing.Unlock()
	var keys []Key
	var at []int
	for i := range ops {
		if ops[i].If.IsAbsent() {
			keys, at = append(keys, ops[i].Item.Key), append(at, i)
		}
	}
	var errs []error
	if len(keys) > 0 {
		items, err := d.Get(ctx, keys, true)
		if err != nil {
			return slices.Repeat([]error{err}, len(ops))
		}
		for i := range items {
			if !items[i].Exists() {
				continue
			}
			if together {
				return []error{ErrConflict}
			}
			if errs == nil {
				errs = make([]error, len(ops))
			}
			errs[at[i]] = ErrConflict
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, op := range ops {
		switch {
		case errs != nil && errs[i] != nil:
		case op.Delete:
			d.written[op.Item.Key] = Item{Key: op.Item.Key}
		default:
			d.written[op.Item.Key] = op.Item
		}
	}
	return errs
}
