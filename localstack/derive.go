package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tenure/core/access"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

const (
	// feedInterval is how often the change feed is looked at.
	feedInterval = 50 * time.Millisecond
	// clockInterval is how often is looked for what changes by time alone.
	clockInterval = time.Second
	// changesAtOnce is how many changes are taken up at a time.
	changesAtOnce = 500
	// derivePatience is how long the store may take for what follows from them.
	derivePatience = time.Minute
)

// derive keeps derived values up to date, by the change feed and the clock,
// until ctx ends. What comes in bulk is followed apart from the rest, so that a
// backlog of it holds up nothing else.
func derive(ctx context.Context, store *embedded.Table, keys *access.Store, r *rollup.Rollup) {
	f := &feed{store: store, rollup: r}
	single := f.follower(func(key table.Key) bool { return !rollup.Bulk(key) }, r.TickAll)
	bulk := f.follower(rollup.Bulk, r.TickUsage)
	var group sync.WaitGroup
	group.Go(func() { single.run(ctx, keys) })
	group.Go(func() { bulk.run(ctx, keys) })
	group.Wait()
}

// feed is the change feed, as those who follow it share it. It keeps a change until
// all of them are past it.
type feed struct {
	store     *embedded.Table
	rollup    *rollup.Rollup
	mu        sync.Mutex
	followers []*follower
}

// follower takes up some of the changes of a feed.
type follower struct {
	*feed
	wants func(table.Key) bool
	tick  func(ctx context.Context, workspace string) error
	// past is the sequence of the last change that it has taken up, or left alone; ""
	// before the first.
	past string
}

func (f *feed) follower(wants func(table.Key) bool, tick func(ctx context.Context, workspace string) error) *follower {
	added := &follower{feed: f, wants: wants, tick: tick}
	f.followers = append(f.followers, added)
	return added
}

// run follows the feed and the clock until ctx ends.
func (f *follower) run(ctx context.Context, keys *access.Store) {
	feed, clock := time.NewTicker(feedInterval), time.NewTicker(clockInterval)
	defer feed.Stop()
	defer clock.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-feed.C:
			err = f.changes(ctx)
		case <-clock.C:
			err = ticks(ctx, keys, f.tick)
		}
		if err != nil && ctx.Err() == nil {
			slog.Error("deriving values", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(clockInterval):
			}
		}
	}
}

// changes takes up the changes there are. One that fails is put off, and holds up no
// other.
func (f *follower) changes(ctx context.Context) error {
	for {
		changes, err := f.store.Changes(ctx, f.past, changesAtOnce)
		if err != nil || len(changes) == 0 {
			return err
		}
		wanted := make([]table.Change, 0, len(changes))
		for i := range changes {
			if f.wants(changes[i].Key()) {
				wanted = append(wanted, changes[i])
			}
		}
		errs := f.rollup.Follow(ctx, wanted, derivePatience, func(change table.Change, err error) {
			slog.Error("deriving values; trying again later", "item", change.Key(), "error", err)
		})
		if err := errors.Join(errs...); err != nil {
			return err // the feed stays as it is
		}
		if err := f.move(ctx, changes[len(changes)-1].Sequence); err != nil {
			return err
		}
	}
}

// move notes up to where the follower is past the feed's changes, and drops those that
// all are past.
func (f *follower) move(ctx context.Context, past string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.past = past
	for _, other := range f.followers {
		past = min(past, other.past)
	}
	if past == "" {
		return nil
	}
	return f.store.Trim(ctx, past)
}

// ticks takes up what has changed by time alone, in each workspace. What is wrong in
// one holds up no other.
func ticks(ctx context.Context, keys *access.Store, tick func(ctx context.Context, workspace string) error) error {
	workspaces, err := keys.Workspaces(ctx)
	errs := []error{err}
	for _, w := range workspaces {
		errs = append(errs, tick(ctx, w))
	}
	return errors.Join(errs...)
}
