package main

import (
	"context"
	"log/slog"
	"time"

	"tenure/core/access"
	"tenure/core/rollup"
)

const (
	// assessInterval is how often is looked for accounts whose health is to be assessed,
	// assessAtOnce for how long a workspace is seen to before the next.
	assessInterval, assessAtOnce = time.Second, 5 * time.Second
)

// assess assesses the health of accounts until ctx ends. It holds up nothing else that is
// derived.
func assess(ctx context.Context, keys *access.Store, r *rollup.Rollup) {
	clock := time.NewTicker(assessInterval)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		workspaces, err := keys.Workspaces(ctx)
		if err != nil && ctx.Err() == nil {
			slog.Error("assessing accounts", "error", err)
		}
		for _, w := range workspaces {
			if err := r.TickHealth(ctx, w, after(ctx, assessAtOnce)); err != nil && ctx.Err() == nil {
				slog.Error("assessing accounts", "workspace", w, "error", err)
			}
		}
	}
}

// after returns a function that says that it is enough once so much time has passed, or
// ctx has ended.
func after(ctx context.Context, d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return ctx.Err() != nil || time.Now().After(end) }
}
