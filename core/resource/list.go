package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// MaxPageSize is how many records a page holds (contract P12).
const MaxPageSize = 1000

// List is a request for one page of all records of a family in a workspace.
type List struct {
	Workspace string
	Family    *Family
	// OrderBy is the name of an order; empty for the family's default.
	OrderBy    string
	Descending bool
	// Inactive shows inactive records too.
	Inactive bool
	// Page counts from 0.
	Page int
}

// bookmark remembers where a page of a list begins: after the sort key After.
// With the generation of the list it was made at, it tells whether records
// have come, gone or moved since.
type bookmark struct {
	After      string `json:"after"`
	End        bool   `json:"end,omitempty"` // the list ended before this page
	Generation int64  `json:"generation"`
}

const (
	bookmarkLife = 24 * time.Hour
	// exactPages is up to which page a bookmark from before a change of the
	// list is not used: the page is counted out anew, so that it is the page of
	// the list as it stands. Beyond, a reader that goes from page to page while
	// records come in goes on where the page before ended, at the cost of one page.
	exactPages = 16
	// listsChangedTimeout bounds the write that makes bookmarks out of date.
	listsChangedTimeout = 5 * time.Second
)

// walk is the state of one reading of a list.
type walk struct {
	engine    *Engine
	list      *List
	order     *Order
	visibleAt int64
	after     string
	streams   []*stream
}

// stream reads one shard of a list.
type stream struct {
	query table.Query
	items []table.Item
	done  bool
}

// List returns one page of records, ready to be shown. The failure says that
// the order is unknown. A page past the end is empty.
func (e *Engine) List(ctx context.Context, l List) ([]schema.Record, *core.Failure, error) {
	order := l.Family.order(l.OrderBy)
	if order == nil {
		return nil, &core.Failure{Code: core.NotAChoice, Field: "order_by",
			Message: "'order_by' must be one of: " + strings.Join(l.Family.OrderNames(), ", ")}, nil
	}
	w := &walk{engine: e, list: &l, order: order}
	if !l.Inactive {
		w.visibleAt = e.Now()
	}
	marks, err := e.table.Get(ctx, []table.Key{
		e.generationKey(l.Workspace, l.Family), w.markKey(l.Page), w.markKey(l.Page + 1),
	}, true)
	if err != nil {
		return nil, nil, err
	}
	generation, next := marks[0].Version, marks[2]
	ended, err := w.start(ctx, &marks[1], generation)
	if err != nil || ended {
		return nil, nil, err
	}
	var records []schema.Record
	var last string
	more := true
	for len(records) < MaxPageSize && more {
		var items []table.Item
		items, more, err = w.read(ctx, MaxPageSize-len(records), order.Index != table.Base)
		if err != nil {
			return nil, nil, err
		}
		if len(items) == 0 {
			break
		}
		last = w.after
		page, err := w.records(ctx, items)
		if err != nil {
			return nil, nil, err
		}
		records = append(records, page...)
	}
	if len(records) == MaxPageSize {
		mark := bookmark{After: last, Generation: generation}
		if err := w.remember(ctx, map[int]bookmark{l.Page + 1: mark}, &next); err != nil {
			return nil, nil, err
		}
	}
	return records, nil, nil
}

// records returns the records in items of the list, ready to be shown, without
// those of which the index does not know yet that they are gone or hidden. It
// works on a part of them per processor.
func (w *walk) records(ctx context.Context, items []table.Item) ([]schema.Record, error) {
	e, f := w.engine, w.list.Family
	parts := runtime.GOMAXPROCS(0)
	records := make([]schema.Record, len(items))
	errs := make([]error, parts)
	inParallel(parts, 1, func(p int) {
		first, end := len(items)*p/parts, len(items)*(p+1)/parts
		part := items[first:end]
		if w.order.Index != table.Base {
			keys := make([]table.Key, len(part))
			for i := range part {
				keys[i] = part[i].Key
			}
			if part, errs[p] = e.table.Get(ctx, keys, false); errs[p] != nil {
				return
			}
		}
		for i := range part {
			hidden := w.visibleAt != 0 && part[i].HiddenFrom != 0 && part[i].HiddenFrom <= w.visibleAt
			if !part[i].Exists() || hidden {
				continue
			}
			if records[first+i], errs[p] = e.record(ctx, w.list.Workspace, f, &part[i]); errs[p] != nil {
				return
			}
		}
	})
	records = slices.DeleteFunc(records, func(r schema.Record) bool { return r == nil })
	return records, errors.Join(errs...)
}

func (e *Engine) generationKey(workspace string, f *Family) table.Key {
	return table.Key{Partition: partition(workspace, "lists"), Sort: f.Schema.Name}
}

// nextGeneration returns the write that tells the lists of a family that
// records come, go or move in them. It goes with the write of the records, or
// before it, so that the lists know also when the writer dies; and once more
// after it, because a store may carry out the parts of a write one by one, and
// a list be read, and bookmarked, in between.
func (e *Engine) nextGeneration(workspace string, f *Family) table.Op {
	return table.Put(table.Item{
		Key: e.generationKey(workspace, f), Version: e.nextVersion(0), Body: []byte("{}"),
	}, table.Condition{})
}

// listsChanged carries out nextGeneration, also when the time of the request
// is over: its records are written.
func (e *Engine) listsChanged(ctx context.Context, workspace string, f *Family) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listsChangedTimeout)
	defer cancel()
	return errors.Join(e.table.Write(ctx, []table.Op{e.nextGeneration(workspace, f)}, nil)...)
}

// markPrefix begins the sort keys of the bookmarks of this list.
func (w *walk) markPrefix() string {
	return fmt.Sprintf("%s/%t/%t/", w.order.Name, w.list.Descending, w.list.Inactive)
}

func (w *walk) markKey(page int) table.Key {
	return table.Key{
		Partition: partition(w.list.Workspace, "bookmarks", w.list.Family.Schema.Name),
		Sort:      w.markPrefix() + sortNumber(int64(page)),
	}
}

// use makes the walk begin at a bookmark, if it can be trusted.
func (w *walk) use(item *table.Item, page int, generation int64) (usable, ended bool, err error) {
	if !item.Exists() {
		return false, false, nil
	}
	var b bookmark
	if err := json.Unmarshal(item.Body, &b); err != nil {
		return false, false, err
	}
	if b.Generation != generation && (page <= exactPages || b.End) {
		return false, false, nil
	}
	w.after = b.After
	return true, b.End, nil
}

// start brings the walk to the beginning of the page: by its bookmark, or by
// counting on from the nearest one before it, leaving bookmarks on the way.
func (w *walk) start(ctx context.Context, mark *table.Item, generation int64) (ended bool, err error) {
	page := w.list.Page
	if page == 0 {
		return false, nil
	}
	usable, ended, err := w.use(mark, page, generation)
	if usable || err != nil {
		return ended, err
	}
	at := 0 // the page the walk is at the beginning of
	for item, err := range w.engine.scan(ctx, table.Query{
		Partition: w.markKey(0).Partition, Prefix: w.markPrefix(), After: w.markKey(page).Sort,
		Descending: true, Limit: 32, Consistent: true,
	}) {
		if err != nil {
			return false, err
		}
		earlier := pageOf(strings.TrimPrefix(item.Sort, w.markPrefix()))
		usable, ended, err := w.use(&item, earlier, generation)
		if err != nil || ended {
			return ended, err
		}
		if usable {
			at = earlier
			break
		}
	}
	passed := map[int]bookmark{}
	for ; at < page && !ended; at++ {
		n := 0
		for more := true; n < MaxPageSize && more; {
			var items []table.Item
			if items, more, err = w.read(ctx, MaxPageSize-n, true); err != nil {
				return false, err
			}
			n += len(items)
		}
		ended = n < MaxPageSize
		passed[at+1] = bookmark{After: w.after, Generation: generation, End: ended}
	}
	w.streams = nil // what they have read ahead are keys only
	return ended, w.remember(ctx, passed, nil)
}

// pageOf returns the page in the sort key of a bookmark.
func pageOf(text string) int {
	n, _ := strconv.ParseUint(text, 16, 64)
	return int(int64(n ^ 1<<63))
}

// remember writes bookmarks, but not the one that old holds already.
func (w *walk) remember(ctx context.Context, marks map[int]bookmark, old *table.Item) error {
	e := w.engine
	now := e.now()
	var ops []table.Op
	for page, mark := range marks {
		body, err := json.Marshal(mark)
		if err != nil {
			return err
		}
		if old != nil && string(old.Body) == string(body) && old.Expires > now.Add(bookmarkLife/2).UnixMilli() {
			continue
		}
		ops = append(ops, table.Put(table.Item{
			Key: w.markKey(page), Version: e.nextVersion(0), Body: body,
			Expires: now.Add(bookmarkLife).UnixMilli(),
		}, table.Condition{}))
	}
	if len(ops) == 0 {
		return nil
	}
	return errors.Join(e.table.Write(ctx, ops, nil)...)
}

// read returns the next n items of the list, and whether there may be more.
func (w *walk) read(ctx context.Context, n int, keysOnly bool) (items []table.Item, more bool, err error) {
	if w.streams == nil {
		for shard := range w.engine.shards {
			w.streams = append(w.streams, &stream{query: table.Query{
				Index:      w.order.Index,
				Partition:  listPartition(w.list.Workspace, w.list.Family, w.order, shardName(shard)),
				After:      w.after,
				Descending: w.list.Descending,
				// Ids spread evenly, so most streams give their part of a page
				// and a little more.
				Limit:     min(n, n/w.engine.shards*5/4+16),
				VisibleAt: w.visibleAt,
				KeysOnly:  keysOnly,
			}})
		}
	}
	items = make([]table.Item, 0, n)
	for len(items) < n {
		if err := w.fill(ctx); err != nil {
			return nil, false, err
		}
		var first *stream
		for _, s := range w.streams {
			if len(s.items) > 0 && (first == nil || w.before(&s.items[0], &first.items[0])) {
				first = s
			}
		}
		if first == nil {
			return items, false, nil
		}
		items = append(items, first.items[0])
		first.items = first.items[1:]
		w.after = w.sortOf(&items[len(items)-1])
	}
	return items, true, nil
}

// fill sees to it that every stream that is not done has an item to give.
func (w *walk) fill(ctx context.Context) error {
	var group *errgroup.Group
	for _, s := range w.streams {
		if len(s.items) > 0 || s.done {
			continue
		}
		if group == nil {
			group, ctx = errgroup.WithContext(ctx)
		}
		group.Go(func() (err error) {
			if s.items, err = w.engine.table.Query(ctx, s.query); err != nil {
				return err
			}
			if s.done = len(s.items) < s.query.Limit; !s.done {
				s.query.After = w.sortOf(&s.items[len(s.items)-1])
			}
			return nil
		})
	}
	if group == nil {
		return nil
	}
	return group.Wait()
}

// sortOf returns the item's sort key in the order of the walk.
func (w *walk) sortOf(item *table.Item) string {
	switch w.order.Index {
	case table.First:
		return item.Index1.Sort
	case table.Second:
		return item.Index2.Sort
	}
	return item.Sort
}

func (w *walk) before(a, b *table.Item) bool {
	if w.list.Descending {
		a, b = b, a
	}
	return w.sortOf(a) < w.sortOf(b)
}
