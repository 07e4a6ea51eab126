package calls

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"tenure/core/table"
)

const (
	// queriesAtOnce is how many partitions are read side by side.
	queriesAtOnce = 32
	// leastPage is how much is read of a partition at first, at least.
	leastPage = 8
)

// Filter says which calls are wanted; its zero value wants all.
type Filter struct {
	// Success, if not nil, wants those of that operation status.
	Success *bool
	// Endpoint wants those of an endpoint, KeyID those of a key, Kind those of a
	// kind.
	Endpoint string
	KeyID    string
	Kind     Kind
}

// Has reports whether a call passes the filter.
func (f *Filter) Has(c *Call) bool {
	return (f.Success == nil || *f.Success == c.Success) && (f.Endpoint == "" || f.Endpoint == c.Endpoint) &&
		(f.KeyID == "" || f.KeyID == c.KeyID) && (f.Kind == "" || f.Kind == c.Kind)
}

// run is what has been read of a partition, from its newest item on.
type run struct {
	place
	items []table.Item
	whole bool // there is no more of it
}

// entry is an item of the log in its place.
type entry struct {
	*run
	item *table.Item
}

// newest returns the newest n entries of the partitions, the newest first, and
// what has been read of each partition: its newest item at least.
func (l *Log) newest(ctx context.Context, workspace string, places []place, n int) ([]entry, []*run, error) {
	runs := make([]*run, len(places))
	for i, p := range places {
		runs[i] = &run{place: p}
	}
	page := max(leastPage, 2*n/max(1, len(places)))
	for todo := runs; ; page = min(4*page, n) {
		if err := inParallel(ctx, todo, func(ctx context.Context, r *run) error {
			q := table.Query{Partition: r.partition(workspace), Descending: true, Limit: page}
			if len(r.items) > 0 {
				q.After = r.items[len(r.items)-1].Sort
			}
			items, err := l.table.Query(ctx, q)
			r.items, r.whole = append(r.items, items...), len(items) < page
			return err
		}); err != nil {
			return nil, nil, err
		}
		var all []entry
		for _, r := range runs {
			for i := range r.items {
				all = append(all, entry{r, &r.items[i]})
			}
		}
		slices.SortFunc(all, func(a, b entry) int { return strings.Compare(b.item.Sort, a.item.Sort) })
		all = all[:min(n, len(all))]
		// What has not been read yet is older than what has been read of its
		// partition; it matters where that is not yet older than all.
		todo = nil
		for _, r := range runs {
			if !r.whole && (len(all) < n || r.items[len(r.items)-1].Sort > all[n-1].item.Sort) {
				todo = append(todo, r)
			}
		}
		if len(todo) == 0 {
			return all, runs, nil
		}
	}
}

// inParallel does something for each, some at once.
func inParallel[T any](ctx context.Context, all []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(queriesAtOnce)
	for _, one := range all {
		group.Go(func() error { return do(ctx, one) })
	}
	return group.Wait()
}

// Last returns those of the last 1000 calls of a workspace that pass the
// filter, the newest first, without Failures. keyIDs are all keys that the
// workspace has or had.
func (l *Log) Last(ctx context.Context, workspace string, keyIDs []string, f Filter) ([]Call, error) {
	entries, _, err := l.newest(ctx, workspace, l.places(withCSV(keyIDs)), Kept)
	if err != nil {
		return nil, err
	}
	var found []Call
	for _, e := range entries {
		c, err := decode(e.place, e.item, false)
		if err != nil {
			return nil, err
		}
		if f.Has(&c) {
			found = append(found, c)
		}
	}
	return found, nil
}

// Get returns a call of a workspace by its id, with its Failures, and whether
// there is one.
func (l *Log) Get(ctx context.Context, workspace, id string) (Call, bool, error) {
	p, sort, ok := l.parseID(id)
	if !ok {
		return Call{}, false, nil
	}
	items, err := l.table.Get(ctx, []table.Key{{Partition: p.partition(workspace), Sort: sort}}, true)
	if err != nil || !items[0].Exists() {
		return Call{}, false, err
	}
	c, err := decode(p, &items[0], true)
	return c, err == nil, err
}

// firsts returns the newest entry of each of the places that has any.
func (l *Log) firsts(ctx context.Context, workspace string, places []place) (map[place]*table.Item, error) {
	items := make([]*table.Item, len(places))
	numbers := make([]int, len(places))
	for i := range numbers {
		numbers[i] = i
	}
	err := inParallel(ctx, numbers, func(ctx context.Context, i int) error {
		found, err := l.table.Query(ctx, table.Query{Partition: places[i].partition(workspace), Descending: true, Limit: 1})
		if len(found) > 0 {
			items[i] = &found[0]
		}
		return err
	})
	all := map[place]*table.Item{}
	for i, item := range items {
		if item != nil {
			all[places[i]] = item
		}
	}
	return all, err
}

// LastUsed returns when each key was last presented, in epoch ms; those that
// never were are left out.
func (l *Log) LastUsed(ctx context.Context, workspace string, keyIDs []string) (map[string]int64, error) {
	firsts, err := l.firsts(ctx, workspace, l.places(keyIDs))
	if err != nil {
		return nil, err
	}
	used := map[string]int64{}
	for p, item := range firsts {
		used[p.key] = max(used[p.key], stamped(item.Sort)/1000)
	}
	return used, nil
}

// Fresh says when records of a family were last written.
type Fresh struct {
	Family string `json:"family"`
	// Success is the last write that succeeded, Failure the last that failed;
	// without Failures, and nil where there was none.
	Success *Call `json:"success,omitempty"`
	Failure *Call `json:"failure,omitempty"`
}

// Freshness returns, for each family that was written, when it was.
func (l *Log) Freshness(ctx context.Context, workspace string, keyIDs []string) ([]Fresh, error) {
	keyIDs = withCSV(keyIDs)
	writes := slices.DeleteFunc(l.places(keyIDs), func(p place) bool { return p.outcome == read })
	firsts, err := l.firsts(ctx, workspace, writes)
	if err != nil {
		return nil, err
	}
	var all []Fresh
	for _, family := range l.families {
		f := Fresh{Family: family}
		for _, key := range keyIDs {
			for outcome, latest := range map[string]**Call{succeeded: &f.Success, failed: &f.Failure} {
				p := place{key, family, outcome}
				item := firsts[p]
				if item == nil || *latest != nil && (*latest).Time >= stamped(item.Sort)/1000 {
					continue
				}
				c, err := decode(p, item, false)
				if err != nil {
					return nil, err
				}
				*latest = &c
			}
		}
		if f.Success != nil || f.Failure != nil {
			all = append(all, f)
		}
	}
	return all, nil
}
