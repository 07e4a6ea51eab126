package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tenure/core/schema"
	"tenure/core/table"
)

// Entries is a request for one page of what is kept beside the records of a
// family, record after record: the points of metrics.
type Entries struct {
	Workspace string
	Family    *Family
	// ID and Account restrict it to the records with that id or of that
	// account; at least one is given. Records of one id come in the order of
	// their accounts, those of one account in the order of their ids; both are
	// the family's first order.
	ID, Account string
	// Descending is the order of a record's entries.
	Descending bool
	// Page counts from 0; a page holds MaxPageSize entries.
	Page int
}

// Group is a record and the entries beside it that a page holds.
type Group struct {
	Record  schema.Record
	Entries []schema.Record
}

// entryMark remembers where a page of entries begins: after the entry with that
// sort key, beside the record with that place in the order of records, or, if
// that is gone, with the record after it.
type entryMark struct {
	Record     string `json:"record"`
	After      string `json:"after"`
	Generation int64  `json:"generation"`
}

// ListEntries returns one page of entries. found is false when there is no
// record at all.
func (e *Engine) ListEntries(ctx context.Context, q Entries) (groups []Group, found bool, err error) {
	keys, err := e.headKeys(ctx, q)
	if err != nil || len(keys) == 0 {
		return nil, false, err
	}
	marks, err := e.table.Get(ctx, []table.Key{
		e.generationKey(q.Workspace, q.Family), q.markKey(q.Page), q.markKey(q.Page + 1),
	}, true)
	if err != nil {
		return nil, false, err
	}
	generation, skip := marks[0].Version, int64(q.Page)*MaxPageSize
	var start entryMark
	if marks[1].Exists() {
		if err := json.Unmarshal(marks[1].Body, &start); err != nil {
			return nil, false, err
		}
		if start.Generation == generation || q.Page > exactPages {
			skip = 0
		} else {
			start = entryMark{}
		}
	}
	room := MaxPageSize
	for len(keys) > 0 && room > 0 {
		heads, err := e.getSettled(ctx, q.Workspace, q.Family, keys[:min(len(keys), besidePageSize)])
		if err != nil {
			return nil, false, err
		}
		keys = keys[len(heads):]
		for i := range heads {
			if len(heads[i].Body) == 0 || room == 0 {
				continue
			}
			found = true
			r := q.Family.Schema.ParseStored(heads[i].Body)
			state := q.Family.besideOf(r)
			place := SortKey(q.Family.Schema, r, q.Family.Orders[0].Fields...)
			after := ""
			switch {
			case place < start.Record:
				continue // before the bookmark
			case place == start.Record:
				after = start.After
			case skip >= state.count:
				skip -= state.count
				continue
			}
			entries, last, err := e.entriesOf(ctx, q, state.partition(q.Workspace, q.Family, r), after, skip, room)
			if err != nil {
				return nil, false, err
			}
			skip = 0
			if len(entries) == 0 {
				continue
			}
			groups = append(groups, Group{Record: r, Entries: entries})
			if room -= len(entries); room == 0 {
				mark := entryMark{Record: place, After: last, Generation: generation}
				if err := e.remember(ctx, q.markKey(q.Page+1), mark, bookmarkLife, &marks[2]); err != nil {
					return nil, false, err
				}
			}
		}
	}
	return groups, found, nil
}

// headKeys returns the keys of the records whose entries q asks for, in order.
func (e *Engine) headKeys(ctx context.Context, q Entries) ([]table.Key, error) {
	f := q.Family
	switch {
	case q.ID != "" && q.Account != "":
		if !storable(q.ID) || !storable(q.Account) {
			return nil, nil
		}
		return []table.Key{e.key(q.Workspace, f, q.Account, q.ID)}, nil
	case q.Account != "":
		var keys []table.Key
		for item, err := range e.scan(ctx, table.Query{
			Partition: e.key(q.Workspace, f, q.Account, "").Partition,
			Limit:     MaxPageSize, KeysOnly: true, Consistent: true, VisibleAt: gone,
		}) {
			if err != nil {
				return nil, err
			}
			keys = append(keys, item.Key)
		}
		return keys, nil
	}
	w := &walk{engine: e, list: &List{Workspace: q.Workspace, Family: f, Filter: &Filter{
		Equal: map[int]schema.Value{f.ID: f.idValue(q.ID)},
	}}, order: &f.Orders[0], visibleAt: gone}
	w.choose()
	var keys []table.Key
	for more := true; more; {
		var items []table.Item
		var err error
		if items, more, err = w.read(ctx, MaxPageSize, true); err != nil {
			return nil, err
		}
		for i := range items {
			if items[i].Sort == f.sortID(q.ID) { // a prefix may be what other keys begin with too
				keys = append(keys, items[i].Key)
			}
		}
	}
	return keys, nil
}

// entriesOf returns up to limit entries of a partition, from the one on that
// comes skip after the sort key after, and the sort key of the last.
func (e *Engine) entriesOf(ctx context.Context, q Entries, partition, after string, skip int64, limit int) (entries []schema.Record, last string, err error) {
	s := q.Family.Schema.List(q.Family.Beside.Field)
	query := table.Query{Partition: partition, After: after, Descending: q.Descending, Consistent: true}
	for skip > 0 {
		query.Limit, query.KeysOnly = int(min(skip, MaxPageSize)), true
		items, err := e.table.Query(ctx, query)
		if err != nil {
			return nil, "", err
		}
		if skip -= int64(len(items)); len(items) < query.Limit {
			return nil, "", nil
		}
		query.After = items[len(items)-1].Sort
	}
	query.Limit, query.KeysOnly = limit, false
	items, err := e.table.Query(ctx, query)
	if err != nil {
		return nil, "", err
	}
	for i := range items {
		entries = append(entries, s.ParseStored(items[i].Body))
		last = items[i].Sort
	}
	return entries, last, nil
}

func (q *Entries) markKey(page int) table.Key {
	list := table.Digest(strconv.Quote(q.ID) + strconv.Quote(q.Account))
	return table.Key{
		Partition: partition(q.Workspace, "bookmarks", q.Family.Schema.Name),
		Sort:      fmt.Sprintf("entries/%s/%t/%s", list, q.Descending, sortNumber(int64(page))),
	}
}

// remember writes one bookmark, unless old holds it already.
func (e *Engine) remember(ctx context.Context, key table.Key, mark any, life time.Duration, old *table.Item) error {
	op, needed, err := e.markOp(key, mark, life, old)
	if err != nil || !needed {
		return err
	}
	return errors.Join(e.table.Write(ctx, []table.Op{op}, nil)...)
}

// Known reports whether any record of the family has that id.
func (e *Engine) Known(ctx context.Context, workspace string, f *Family, id string) (bool, error) {
	places, err := e.find(ctx, Target{Workspace: workspace, Family: f, ID: id})
	if err != nil {
		return false, err
	}
	places, err = e.existing(ctx, places)
	return len(places) > 0, err
}

// RemoveAll removes the records with an id, of all accounts or of the one that
// t names, and returns how many there were.
func (e *Engine) RemoveAll(ctx context.Context, t Target) (removed int, err error) {
	places, err := e.find(ctx, t)
	if err != nil {
		return 0, err
	}
	if places, err = e.existing(ctx, places); err != nil {
		return 0, err
	}
	err = atOnce(ctx, len(places), func(ctx context.Context, i int) error {
		return e.apply(ctx, e.request(t, nil), []*change{{remove: true, mustExist: true, key: places[i].key}})
	})
	return len(places), err
}
