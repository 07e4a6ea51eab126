package main

import (
	"context"
	"errors"
	"log/slog"
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
// until ctx ends.
func derive(ctx context.Context, store *embedded.Table, keys *access.Store, r *rollup.Rollup) {
	feed, clock := time.NewTicker(feedInterval), time.NewTicker(clockInterval)
	defer feed.Stop()
	defer clock.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-feed.C:
			err = followChanges(ctx, store, r)
		case <-clock.C:
			err = tick(ctx, keys, r)
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

// followChanges takes up the changes there are. One that fails is put off, and
// holds up no other.
func followChanges(ctx context.Context, store *embedded.Table, r *rollup.Rollup) error {
	for {
		changes, err := store.Changes(ctx, "", changesAtOnce)
		if err != nil || len(changes) == 0 {
			return err
		}
		errs := r.Follow(ctx, changes, derivePatience, func(change table.Change, err error) {
			slog.Error("deriving values; trying again later", "item", change.Key(), "error", err)
		})
		if err := errors.Join(errs...); err != nil {
			return err // the feed stays as it is
		}
		if err := store.Trim(ctx, changes[len(changes)-1].Sequence); err != nil {
			return err
		}
	}
}

// tick takes up what has changed by time alone, and the usage events that wait.
func tick(ctx context.Context, keys *access.Store, r *rollup.Rollup) error {
	workspaces, err := keys.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range workspaces {
		if err := errors.Join(r.TickAll(ctx, w), r.TickUsage(ctx, w)); err != nil {
			return err
		}
	}
	return nil
}
