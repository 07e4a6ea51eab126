package calls

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tenure/core/table"
)

const (
	// renewWithin is how long before its expiry a call that is to stay is renewed.
	// It is long enough for tidying to be missed for two days.
	renewWithin = 3 * 24 * time.Hour
	// tidyEvery is how often a log needs tidying where calls expire.
	tidyEvery = 20 * time.Hour
	// removeAtOnce is how many calls are removed at once.
	removeAtOnce = 1000
)

// Tidy sees to it that the last 1000 calls of a workspace stay, and the newest
// of each partition, and that others go: where calls expire, it renews those
// that are to stay and soon would, so that a busy workspace pays nothing for it;
// elsewhere it removes the others. keyIDs are all keys that the workspace has
// or had.
func (l *Log) Tidy(ctx context.Context, workspace string, keyIDs []string) error {
	kept, runs, err := l.newest(ctx, workspace, l.places(withCSV(keyIDs)), Kept)
	if err != nil {
		return err
	}
	oldest := ""
	if len(kept) == Kept {
		oldest = kept[Kept-1].item.Sort
	}
	for _, r := range runs {
		if len(r.items) > 0 && r.items[0].Sort < oldest {
			kept = append(kept, entry{r, &r.items[0]})
		}
	}
	if err := l.renew(ctx, kept); err != nil || l.expire || oldest == "" {
		return err
	}
	return inParallel(ctx, runs, func(ctx context.Context, r *run) error { return l.remove(ctx, workspace, r, oldest) })
}

// renew puts off the expiry of those entries that expire soon.
func (l *Log) renew(ctx context.Context, kept []entry) error {
	soon := l.now().Add(renewWithin).UnixMilli()
	var ops []table.Op
	for _, e := range kept {
		if e.item.Expires == 0 || e.item.Expires > soon {
			continue
		}
		renewed := *e.item
		renewed.Version, renewed.Expires = max(e.item.Version+1, l.stamp(l.now())), l.expiry()
		ops = append(ops, table.Put(renewed, table.VersionIs(e.item.Version)))
	}
	if len(ops) == 0 {
		return nil
	}
	for _, err := range l.table.Write(ctx, ops, nil) {
		// Somebody else has renewed it.
		if err != nil && !errors.Is(err, table.ErrConflict) {
			return fmt.Errorf("renewing calls: %w", err)
		}
	}
	return nil
}

// remove removes what is older than oldest of a partition, but for its newest
// item.
func (l *Log) remove(ctx context.Context, workspace string, r *run, oldest string) error {
	if len(r.items) == 0 || r.whole && r.items[len(r.items)-1].Sort >= oldest {
		return nil
	}
	q := table.Query{
		Partition: r.partition(workspace), Descending: true, Limit: removeAtOnce, KeysOnly: true,
		After: min(oldest, r.items[0].Sort),
	}
	for {
		items, err := l.table.Query(ctx, q)
		if err != nil || len(items) == 0 {
			return err
		}
		ops := make([]table.Op, len(items))
		for i := range items {
			ops[i] = table.Delete(items[i].Key, table.Condition{})
		}
		if err := errors.Join(l.table.Write(ctx, ops, nil)...); err != nil {
			return fmt.Errorf("removing calls: %w", err)
		}
		if len(items) < q.Limit {
			return nil
		}
		q.After = items[len(items)-1].Sort
	}
}

// Due reports whether it is time to tidy the log of a workspace, where calls
// expire. It says so once in a day, to one of those who ask.
func (l *Log) Due(ctx context.Context, workspace string) (bool, error) {
	mark := table.Item{
		Key: table.Key{Partition: workspace + "/calls/tidied", Sort: "tidied"}, Version: l.stamp(l.now()),
		Expires: l.now().Add(tidyEvery).UnixMilli(), Body: []byte("{}"),
	}
	found, err := l.table.Get(ctx, []table.Key{mark.Key}, false)
	if err != nil || found[0].Exists() {
		return false, err
	}
	err = errors.Join(l.table.Write(ctx, []table.Op{table.Put(mark, table.Absent())}, nil)...)
	if errors.Is(err, table.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}
