package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tenure/core/access"
	"tenure/core/sources"
)

// sourcesInterval is how often is looked for sources that are due.
const sourcesInterval = 10 * time.Second

// newSyncer returns a worker on the tasks of sources, each of which is done by one at
// a time.
func newSyncer(ctx context.Context) *worker {
	return newWorker(ctx, "source", func(workspace, id string) string { return workspace + "/" + id })
}

// runSource is sources.Store.Work where another one may be at work: it goes on, and the
// next tick sees what is left.
func runSource(s *sources.Store) func(ctx context.Context, workspace, id string) (bool, error) {
	return func(ctx context.Context, workspace, task string) (bool, error) {
		more, err := s.Work(ctx, workspace, task)
		if errors.Is(err, access.ErrLocked) {
			return false, nil
		}
		return more, err
	}
}

// followSources has sources run whenever they are due, until ctx ends.
func followSources(ctx context.Context, keys *access.Store, s *sources.Store) {
	tick := time.NewTicker(sourcesInterval)
	defer tick.Stop()
	for {
		if err := startDue(ctx, keys, s); err != nil && ctx.Err() == nil {
			slog.Error("looking for sources that are due", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// startDue has the sources run that are due. A workspace that fails holds up no other.
func startDue(ctx context.Context, keys *access.Store, s *sources.Store) error {
	workspaces, err := keys.Workspaces(ctx)
	for _, w := range workspaces {
		due, failed := s.Due(ctx, w)
		err = errors.Join(err, failed)
		for _, task := range due {
			err = errors.Join(err, s.Start(ctx, w, task))
		}
	}
	return err
}
