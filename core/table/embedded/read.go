package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"tenure/core/table"
)

// rowsPerCheck is how many rows a read visits before it looks whether its
// context has ended.
const rowsPerCheck = 1024

// Get implements table.Table. The bodies of one answer share memory.
func (t *Table) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	for i := range keys {
		if err := checkKey(keys[i]); err != nil {
			return nil, err
		}
	}
	if err := t.enter(ctx); err != nil {
		return nil, err
	}
	defer t.leave()

	items, err := t.lookupAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	if consistent {
		if err := t.awaitDurable(ctx); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// lookupAll is Get without waiting for anything to be durable.
func (t *Table) lookupAll(ctx context.Context, keys []table.Key) (items []table.Item, err error) {
	engineKeys, order := encodeKeys(len(keys), func(i int) *table.Key { return &keys[i] })
	stored, err := t.newLookup(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := stored.Close(); cerr != nil && err == nil {
			items, err = nil, engineError(cerr)
		}
	}()
	items = make([]table.Item, len(keys))
	var content slab
	now := t.nowMillis()
	for n, i := range order {
		if n%rowsPerCheck == rowsPerCheck-1 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		items[i].Key = keys[i]
		r, found, err := stored.find(engineKeys[i])
		if err != nil {
			return nil, err
		}
		if found && !expired(r.expires, now) {
			content.expected = len(keys) - n
			items[i] = content.item(keys[i], &r, false)
		}
	}
	return items, nil
}

// lookup finds items by key. Keys should come in their order: the way from one
// to the next is then short, which makes a lookup about three times as fast.
type lookup struct{ *pebble.Iterator }

func (t *Table) newLookup(ctx context.Context) (lookup, error) {
	// Of the filters of the last level, which the engine leaves out unless told
	// otherwise, inserting profits most: nearly all keys are absent.
	it, err := t.db.NewIterWithContext(ctx, &pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return lookup{}, engineError(err)
	}
	return lookup{it}, nil
}

// find returns the stored record with that engine key, valid until the next
// lookup, and whether there is one, expired or not.
func (l lookup) find(key []byte) (r record, found bool, err error) {
	// What the engine calls a prefix is the whole key here, and only seeking a
	// prefix asks the Bloom filters.
	if !l.SeekPrefixGE(key) {
		if err := l.Error(); err != nil {
			return record{}, false, engineError(err)
		}
		return record{}, false, nil
	}
	value, err := l.ValueAndErr()
	if err == nil {
		r, err = parseRecord(value)
	}
	if err != nil {
		return record{}, false, engineError(err)
	}
	return r, true, nil
}

// Query implements table.Table. The bodies of one answer share memory.
func (t *Table) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	if err := checkQuery(&q); err != nil {
		return nil, err
	}
	if err := t.enter(ctx); err != nil {
		return nil, err
	}
	defer t.leave()

	items, err := t.scan(ctx, &q)
	if err != nil {
		return nil, err
	}
	if q.Consistent && q.Index == table.Base {
		if err := t.awaitDurable(ctx); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// scan visits the rows of a query's range.
func (t *Table) scan(ctx context.Context, q *table.Query) (items []table.Item, err error) {
	lower, upper := keyRange(q)
	it, err := t.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, engineError(err)
	}
	defer func() {
		// Close returns what went wrong while iterating, too.
		if cerr := it.Close(); cerr != nil && err == nil {
			items, err = nil, engineError(cerr)
		}
	}()

	step := it.Next
	valid := false
	if q.Descending {
		step, valid = it.Prev, it.Last()
	} else {
		valid = it.First()
	}
	s := scanner{query: q, now: t.nowMillis()}
	for rows := 1; valid && len(s.items) < q.Limit; valid = step() {
		if rows++; rows%rowsPerCheck == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if q.Index == table.Base {
			err = s.baseRow(it)
		} else {
			err = s.indexRow(it)
		}
		if err != nil {
			return nil, engineError(err)
		}
	}
	return s.items, nil
}

// scanner gathers the answer of a query.
type scanner struct {
	query   *table.Query
	now     int64
	items   []table.Item
	content slab
	// partition is the item's partition in the row before: rows of an index
	// often have one partition in common.
	partition string
}

// leavesOut reports whether the answer is without an item of such expiry and
// visibility.
func (s *scanner) leavesOut(expires, hiddenFrom int64) bool {
	return expired(expires, s.now) ||
		s.query.VisibleAt != 0 && hiddenFrom != 0 && hiddenFrom <= s.query.VisibleAt
}

func (s *scanner) add(item table.Item) {
	if s.items == nil {
		s.items = make([]table.Item, 0, min(s.query.Limit, 64))
	}
	s.items = append(s.items, item)
}

func (s *scanner) baseRow(it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	r, err := parseRecord(value)
	if err != nil {
		return err
	}
	if s.leavesOut(r.expires, r.hiddenFrom) || s.query.Keep != nil && !s.query.Keep(r.body) {
		return nil
	}
	_, sort, ok := cutText(it.Key()[1:])
	if !ok {
		return errCorruptKey
	}
	s.content.expected = s.query.Limit - len(s.items)
	key := table.Key{Partition: s.query.Partition, Sort: s.content.string(sort)}
	s.add(s.content.item(key, &r, s.query.KeysOnly))
	return nil
}

func (s *scanner) indexRow(it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	hiddenFrom, expires, err := parseIndexRow(value)
	if err != nil {
		return err
	}
	if s.leavesOut(expires, hiddenFrom) {
		return nil
	}
	s.content.items, s.content.expected = len(s.items), s.query.Limit-len(s.items)
	item := table.Item{HiddenFrom: hiddenFrom}
	index := table.Key{Partition: s.query.Partition}
	_, rest, ok := cutText(it.Key()[1:])
	if !ok {
		return errCorruptKey
	}
	text, rest, ok := cutText(rest)
	if !ok {
		return errCorruptKey
	}
	index.Sort = s.content.string(text)
	text, rest, ok = cutText(rest)
	if !ok {
		return errCorruptKey
	}
	if string(text) != s.partition {
		s.partition = s.content.string(text)
	}
	item.Partition = s.partition
	item.Sort = s.content.string(rest)
	if s.query.Index == table.First {
		item.Index1 = index
	} else {
		item.Index2 = index
	}
	s.add(item)
	return nil
}
