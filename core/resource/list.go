package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// MaxPageSize is how many records a page holds (contract P12).
const MaxPageSize = 1000

// List is a request for one page of the records of a family in a workspace.
type List struct {
	Workspace string
	Family    *Family
	// OrderBy is the name of an order; empty for the family's default.
	OrderBy    string
	Descending bool
	// Inactive shows inactive records too.
	Inactive bool
	// Account, if set, restricts the list to records of that account, in a
	// family with ids of their own; they are in the order of ids.
	Account string
	// Range restricts it to records whose first field in the order, a number,
	// lies in it; nil for all.
	Range *Range
	// Filter restricts the list to some records; nil for all.
	Filter *Filter
	// Page counts from 0.
	Page int
}

// Range is the numbers from From up to but not including Until.
type Range struct{ From, Until int64 }

// Filter restricts a list.
type Filter struct {
	// Name tells the filter from all others: equal names, equal filters.
	Name string
	// Match reports whether a record, as it is shown, passes.
	Match func(schema.Record) bool
	// Stored, if set, reports whether the record with that stored body may pass;
	// it costs less than Match.
	Stored func(body []byte) bool
	// Equal are values that fields, by ordinal, must have for Match to hold. If
	// the records with one of them can be found directly, only they are read.
	Equal map[int]schema.Value
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
	// filteredLife is the life of the bookmarks of filtered lists: records that
	// come to pass a filter, or cease to, leave the generation as it is.
	filteredLife = 10 * time.Minute
	// exactPages is up to which page a bookmark from before a change of the
	// list is not used: the page is counted out anew, so that it is the page of
	// the list as it stands. Beyond, a reader that goes from page to page while
	// records come in goes on where the page before ended, at the cost of one page.
	exactPages = 16
	// listsChangedTimeout bounds the write that makes bookmarks out of date.
	listsChangedTimeout = 5 * time.Second
	// rowsAtOnce is how many items of an index are read at a time, where nothing but
	// them is needed.
	rowsAtOnce = 10_000
	// largeAtOnce is how many records with large bodies are read at a time.
	largeAtOnce = 8
)

// Listing is one page of a list while it is read.
type Listing struct {
	walk       *walk
	generation int64
	next       table.Item // the bookmark of the page after this one, as it was
	n          int        // how many records it has given
	over       bool
}

// walk is the state of one reading of a list.
type walk struct {
	engine    *Engine
	list      *List
	order     *Order
	index     table.Index // where the walk reads
	pointed   bool        // it reads pointers to records
	queries   []table.Query
	direct    *table.Key // the only record there may be
	head      *table.Key // of the value that all records have; see lookups.go
	visibleAt int64
	after     string
	beyond    string       // the walk ends at this sort key; "" for no end
	ahead     []table.Item // read already, and still to come
	streams   []*stream
}

// stream reads one shard of a list.
type stream struct {
	query table.Query
	items []table.Item
	done  bool
}

// List begins to read one page of records. The failure says that the order is
// unknown. A page past the end is empty.
func (e *Engine) List(ctx context.Context, l List) (*Listing, *core.Failure, error) {
	if l.Family.order(l.OrderBy) == nil {
		return nil, &core.Failure{Code: core.NotAChoice, Field: "order_by",
			Message: "'order_by' must be one of: " + strings.Join(l.Family.OrderNames(), ", ")}, nil
	}
	w := e.walk(&l)
	marks, err := e.table.Get(ctx, []table.Key{
		e.generationKey(l.Workspace, l.Family), w.markKey(l.Page), w.markKey(l.Page + 1),
	}, true)
	if err != nil {
		return nil, nil, err
	}
	listing := &Listing{walk: w, generation: marks[0].Version, next: marks[2]}
	listing.over, err = w.start(ctx, &marks[1], listing.generation)
	return listing, nil, err
}

// Next returns the records that come next on the page, ready to be shown; none
// at its end. It returns them as they are read, so that a page of large records
// need not be held in memory.
func (l *Listing) Next(ctx context.Context) ([]schema.Record, error) {
	w := l.walk
	atOnce := MaxPageSize
	if w.list.Family.LargeBodies {
		atOnce = largeAtOnce
	}
	for !l.over && l.n < MaxPageSize {
		records, more, err := w.next(ctx, min(MaxPageSize-l.n, atOnce))
		if err != nil {
			return nil, err
		}
		l.n += len(records)
		l.over = !more
		if l.n == MaxPageSize {
			mark := bookmark{After: w.after, Generation: l.generation}
			if err := w.remember(ctx, map[int]bookmark{w.list.Page + 1: mark}, &l.next); err != nil {
				return nil, err
			}
		}
		if len(records) > 0 {
			return records, nil
		}
	}
	return nil, nil
}

// next returns up to n of the records that come next, and whether there may be
// more.
func (w *walk) next(ctx context.Context, n int) (records []schema.Record, more bool, err error) {
	atOnce := n
	if w.restricted() && !w.list.Family.LargeBodies {
		atOnce = MaxPageSize // most may not pass
	}
	items, more, err := w.read(ctx, atOnce, w.index != table.Base)
	if err != nil || len(items) == 0 {
		return nil, false, err
	}
	found, err := w.records(ctx, items)
	if err != nil {
		return nil, false, err
	}
	for i, r := range found {
		if r == nil {
			continue
		}
		if records = append(records, r); len(records) == n && i+1 < len(items) {
			w.ahead, w.after, more = items[i+1:], w.sortOf(&items[i]), true
			break
		}
	}
	return records, more, nil
}

// Batch is some records of a list, in its order, ready to be shown.
type Batch struct {
	Records []schema.Record
	// After is where the list goes on behind them; see Batches.
	After string
}

// Batches yields the records of a list, whatever its page, as they are read. It
// begins behind the batch with that After, or at the beginning of the list where
// after is empty.
func (e *Engine) Batches(ctx context.Context, l List, after string) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		w := e.walk(&l)
		if after != "" {
			w.after = after
		}
		for more := true; more; {
			var items []table.Item
			var err error
			if items, more, err = w.read(ctx, MaxPageSize, w.index != table.Base); err != nil {
				yield(Batch{}, err)
				return
			}
			records, err := w.records(ctx, items)
			if err != nil {
				yield(Batch{}, err)
				return
			}
			records = slices.DeleteFunc(records, func(r schema.Record) bool { return r == nil })
			if len(records) > 0 && !yield(Batch{records, w.after}, nil) {
				return
			}
		}
	}
}

// walk returns the state of a reading of all of a list, whatever its page.
func (e *Engine) walk(l *List) *walk {
	w := &walk{engine: e, list: l, order: l.Family.order(l.OrderBy), visibleAt: gone}
	if !l.Inactive {
		w.visibleAt = e.Now()
	}
	w.choose()
	return w
}

// Row is what the index of an order says of a record without reading it.
type Row struct {
	// Group is the same for records of one account; see Engine.Group.
	Group string
	// Numbers are the values of the order's first fields, as many as are
	// numbers; Text is that of the first other one.
	Numbers []int64
	Text    string
}

// Rows yields the records of a list, whatever its page, as their index has
// them. The order must be kept in an index.
func (e *Engine) Rows(ctx context.Context, l List) iter.Seq2[Row, error] {
	w := e.walk(&l)
	numbers := 0
	for numbers < len(w.order.Fields) && l.Family.Schema.Fields[w.order.Fields[numbers]].Type.Numeric() {
		numbers++
	}
	return w.rows(ctx, numbers)
}

// EntryRows yields the entries beside all records of a family in a workspace
// whose first indexed field lies in window, as their index has them.
func (e *Engine) EntryRows(ctx context.Context, workspace string, f *Family, window Range) iter.Seq2[Row, error] {
	w := &walk{engine: e, list: &List{Workspace: workspace, Family: f, Range: &window}, index: table.First, visibleAt: gone}
	for shard := range e.shards {
		w.queries = append(w.queries, table.Query{Index: w.index, Partition: entriesPartition(workspace, f, shardName(shard))})
	}
	w.bound()
	return w.rows(ctx, len(f.Beside.Indexed))
}

// Group returns the Group of the rows of an account's records of f, which lie in
// their account's partition.
func (e *Engine) Group(workspace string, f *Family, account string) string {
	return e.key(workspace, f, account, "").Partition
}

// rows yields what the walk reads in an index whose order has that many numbers
// first.
func (w *walk) rows(ctx context.Context, numbers int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for more := true; more; {
			var items []table.Item
			var err error
			if items, more, err = w.read(ctx, rowsAtOnce, true); err != nil {
				yield(Row{}, err)
				return
			}
			for i := range items {
				parts := strings.SplitN(w.sortOf(&items[i]), "\x00", numbers+2)
				row := Row{Group: items[i].Partition, Numbers: make([]int64, numbers)}
				for n := range numbers {
					row.Numbers[n] = sortedNumber(parts[n])
				}
				row.Text = parts[numbers]
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// choose decides where the walk reads: the partitions of its order, or fewer
// where they are known to hold all that it looks for.
func (w *walk) choose() {
	e, l, f := w.engine, w.list, w.list.Family
	if l.Account != "" {
		w.pointed = true
		w.queries = []table.Query{{Partition: byAccount(l.Workspace, f, l.Account), Consistent: true}}
		return
	}
	if l.Filter != nil {
		if id, ok := l.Filter.Equal[f.ID]; ok && !f.inAccount() {
			if storable(f.textOf(id)) { // else no record has it
				key := e.key(l.Workspace, f, "", f.textOf(id))
				w.direct = &key
			}
			return
		}
		if account, ok := l.Filter.Equal[f.Account]; ok && f.inAccount() {
			w.queries = []table.Query{{Partition: e.key(l.Workspace, f, account.Text(), "").Partition, Consistent: true}}
			return
		}
		for _, i := range f.Lookups {
			if value := l.Filter.Equal[i]; !value.IsNull() {
				head := headKey(l.Workspace, f, i, f.sought(i, value.Text()))
				w.pointed, w.head = true, &head
				return
			}
		}
		for i := range f.Orders {
			o := &f.Orders[i]
			value, ok := l.Filter.Equal[o.Fields[0]]
			if !ok || o.Index == table.Base {
				continue
			}
			w.readOrder(o, sortPrefix(f.Schema, value, o.Fields[0]))
			if o.Fields[0] == f.ID {
				w.queries = slices.DeleteFunc(w.queries, func(q table.Query) bool {
					return q.Partition != listPartition(l.Workspace, f, o, e.shardOf(f.textOf(value)))
				})
			}
			return
		}
	}
	w.readOrder(w.order, "")
	w.bound()
}

// bound keeps the walk within the range of its list.
func (w *walk) bound() {
	l := w.list
	if l.Range == nil {
		return
	}
	first, end := sortNumber(l.Range.From), sortNumber(l.Range.Until)
	if w.after, w.beyond = first, end; l.Descending {
		w.after, w.beyond = end, first
	}
}

// readOrder makes the walk read an order where sort keys begin with prefix.
func (w *walk) readOrder(o *Order, prefix string) {
	w.index = o.Index
	for shard := range w.engine.shards {
		w.queries = append(w.queries, table.Query{
			Index:     o.Index,
			Partition: listPartition(w.list.Workspace, w.list.Family, o, shardName(shard)),
			Prefix:    prefix,
		})
	}
}

// records returns for each of the items its record, ready to be shown; nil if
// it does not pass the filter, or is gone or hidden and the index does not know
// yet. It works on a part of them per processor.
func (w *walk) records(ctx context.Context, items []table.Item) ([]schema.Record, error) {
	e, f := w.engine, w.list.Family
	parts := runtime.GOMAXPROCS(0)
	records := make([]schema.Record, len(items))
	errs := make([]error, parts)
	inParallel(parts, 1, func(p int) {
		first, end := len(items)*p/parts, len(items)*(p+1)/parts
		part := items[first:end]
		if w.index != table.Base || w.pointed {
			keys := make([]table.Key, len(part))
			for i := range part {
				keys[i] = part[i].Key
				if w.pointed {
					keys[i] = e.keyNamed(w.list.Workspace, f, part[i].Body)
				}
			}
			if part, errs[p] = e.table.Get(ctx, keys, w.pointed); errs[p] != nil {
				return
			}
		}
		for i := range part {
			hidden := part[i].HiddenFrom != 0 && part[i].HiddenFrom <= w.visibleAt
			if !part[i].Exists() || hidden || !w.mayPass(part[i].Body) {
				continue
			}
			r, err := e.record(ctx, w.list.Workspace, f, &part[i])
			if err != nil {
				errs[p] = err
				return
			}
			if r != nil && w.passes(r) {
				records[first+i] = r
			}
		}
	})
	return records, errors.Join(errs...)
}

// mayPass reports whether the record in an item with that body may pass the
// filter.
func (w *walk) mayPass(body []byte) bool {
	f := w.list.Filter
	return f == nil || f.Stored == nil || isPacked(body) || isPending(body) || f.Stored(body)
}

// passes reports whether the list has the record.
func (w *walk) passes(r schema.Record) bool {
	if w.list.Account != "" && r[w.list.Family.Account].Text() != w.list.Account {
		return false // an idle pointer
	}
	return w.list.Filter == nil || w.list.Filter.Match(r)
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
	which := "all"
	if w.restricted() {
		filter, of := "", ""
		if w.list.Filter != nil {
			filter = w.list.Filter.Name
		}
		if w.list.Range != nil {
			of = fmt.Sprint(*w.list.Range)
		}
		which = table.Digest(fmt.Sprintf("%q %q %s", w.list.Account, filter, of))
	}
	return fmt.Sprintf("%s/%t/%t/%s/", w.order.Name, w.list.Descending, w.list.Inactive, which)
}

// restricted reports whether the list leaves out records that are not hidden.
func (w *walk) restricted() bool {
	return w.list.Filter != nil || w.list.Account != "" || w.list.Range != nil
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
		earlier := int(sortedNumber(strings.TrimPrefix(item.Sort, w.markPrefix())))
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
			if w.restricted() {
				var records []schema.Record
				records, more, err = w.next(ctx, MaxPageSize-n)
				n += len(records)
			} else {
				var items []table.Item
				items, more, err = w.read(ctx, MaxPageSize-n, true)
				n += len(items)
			}
			if err != nil {
				return false, err
			}
		}
		if ended = n < MaxPageSize; ended && w.restricted() {
			break
		}
		passed[at+1] = bookmark{After: w.after, Generation: generation, End: ended}
	}
	if !w.restricted() {
		w.streams = nil // what they have read ahead are keys only
	}
	return ended, w.remember(ctx, passed, nil)
}

// remember writes bookmarks, but not the one that old holds already.
func (w *walk) remember(ctx context.Context, marks map[int]bookmark, old *table.Item) error {
	life := bookmarkLife
	if w.restricted() {
		life = filteredLife
	}
	var ops []table.Op
	for page, mark := range marks {
		op, needed, err := w.engine.markOp(w.markKey(page), mark, life, old)
		if err != nil {
			return err
		}
		if needed {
			ops = append(ops, op)
		}
	}
	if len(ops) == 0 {
		return nil
	}
	return errors.Join(w.engine.table.Write(ctx, ops, nil)...)
}

// markOp returns the write of a bookmark; needed is false when old, if given,
// holds it already and will for a while.
func (e *Engine) markOp(key table.Key, mark any, life time.Duration, old *table.Item) (op table.Op, needed bool, err error) {
	body, err := json.Marshal(mark)
	if err != nil {
		return op, false, err
	}
	now := e.now()
	if old != nil && string(old.Body) == string(body) && old.Expires > now.Add(life/2).UnixMilli() {
		return op, false, nil
	}
	return table.Put(table.Item{
		Key: key, Version: e.nextVersion(0), Body: body, Expires: now.Add(life).UnixMilli(),
	}, table.Condition{}), true, nil
}

// read returns the next n items of the list, and whether there may be more.
func (w *walk) read(ctx context.Context, n int, keysOnly bool) (items []table.Item, more bool, err error) {
	if w.streams == nil {
		if w.streams, err = w.open(ctx, n, keysOnly); err != nil {
			return nil, false, err
		}
	}
	if len(w.ahead) > 0 {
		items = w.ahead[:min(n, len(w.ahead))]
		w.ahead, w.after = w.ahead[len(items):], w.sortOf(&items[len(items)-1])
		return items, true, nil
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
		if first == nil || w.ends(w.sortOf(&first.items[0])) {
			return items, false, nil
		}
		items = append(items, first.items[0])
		first.items = first.items[1:]
		w.after = w.sortOf(&items[len(items)-1])
	}
	return items, true, nil
}

// ends reports whether the walk ends before sort.
func (w *walk) ends(sort string) bool {
	return w.beyond != "" && (sort < w.beyond) == w.list.Descending
}

// open returns the streams that together give the list, for pages of n records.
func (w *walk) open(ctx context.Context, n int, keysOnly bool) ([]*stream, error) {
	if w.direct != nil {
		items, err := w.engine.table.Get(ctx, []table.Key{*w.direct}, true)
		if err != nil {
			return nil, err
		}
		first := w.after == "" || w.list.Descending == (items[0].Sort < w.after) && items[0].Sort != w.after
		if !items[0].Exists() || !first {
			items = nil
		}
		return []*stream{{items: items, done: true}}, nil
	}
	if w.head != nil {
		return w.openLookup(ctx, n)
	}
	streams := make([]*stream, len(w.queries))
	for i, q := range w.queries {
		q.After, q.Descending, q.VisibleAt, q.KeysOnly = w.after, w.list.Descending, w.visibleAt, keysOnly
		if w.list.Filter != nil && w.list.Filter.Stored != nil && w.index == table.Base && !w.pointed && !keysOnly {
			q.Keep = w.mayPass
		}
		// Ids spread evenly, so most streams give their part of a page and a
		// little more.
		q.Limit = min(n, n/len(w.queries)*5/4+16)
		streams[i] = &stream{query: q}
	}
	return streams, nil
}

// openLookup returns the streams of the pointers to the records that have a
// value: the one in its head, in its place among the others, and those.
func (w *walk) openLookup(ctx context.Context, n int) ([]*stream, error) {
	items, err := w.engine.table.Get(ctx, []table.Key{*w.head}, true)
	if err != nil {
		return nil, err
	}
	h, err := headIn(&items[0])
	if err != nil {
		return nil, err
	}
	first := &stream{done: true}
	if h.To != nil {
		sort := w.list.Family.sortNamed(h.To)
		if w.after == "" || w.list.Descending == (sort < w.after) && sort != w.after {
			first.items = []table.Item{{Key: table.Key{Partition: w.head.Partition, Sort: sort}, Body: h.To}}
		}
	}
	if !h.More {
		return []*stream{first}, nil
	}
	return []*stream{first, {query: table.Query{
		Partition: besideHead(*w.head), After: w.after, Descending: w.list.Descending, Limit: n, Consistent: true,
		Keep: func(name []byte) bool { return !bytes.Equal(name, h.To) },
	}}}, nil
}

// fill sees to it that every stream that is not done has an item to give.
func (w *walk) fill(ctx context.Context) error {
	var empty []*stream
	for _, s := range w.streams {
		if len(s.items) == 0 && !s.done {
			empty = append(empty, s)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	return atOnce(ctx, len(empty), func(ctx context.Context, i int) (err error) {
		s := empty[i]
		if s.items, err = w.engine.table.Query(ctx, s.query); err != nil {
			return err
		}
		if s.done = len(s.items) < s.query.Limit; !s.done {
			s.query.After = w.sortOf(&s.items[len(s.items)-1])
		}
		return nil
	})
}

// sortOf returns the item's sort key in the order of the walk.
func (w *walk) sortOf(item *table.Item) string {
	switch w.index {
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
