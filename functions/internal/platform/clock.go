package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/rollup"
)

// clock handles the ticks of the schedule.
type clock struct {
	keys     *access.Store
	engine   *resource.Engine
	rollup   *rollup.Rollup
	calls    *calls.Log
	log      *slog.Logger
	measured *measurements
}

// handle takes up in every workspace what there is to take up. The event says
// nothing that matters.
func (c *clock) handle(ctx context.Context, _ json.RawMessage) error {
	return tick(ctx, c.keys, c.log, c.measured, c.takeUp)
}

// takeUp derives the accounts of a workspace whose values change by time alone, ends
// what requests have left half done, and once a day sees to the log of API calls; and
// in the end takes up the usage events that wait.
func (c *clock) takeUp(ctx context.Context, workspace string) error {
	err := c.rollup.TickAll(ctx, workspace)
	if _, swept := c.engine.Sweep(ctx, workspace, catalog.All()); swept != nil {
		err = errors.Join(err, fmt.Errorf("sweep: %w", swept))
	}
	if tidied := c.tidyCalls(ctx, workspace); tidied != nil {
		err = errors.Join(err, fmt.Errorf("log of calls: %w", tidied))
	}
	if counted := c.rollup.TickUsage(ctx, workspace); counted != nil {
		err = errors.Join(err, fmt.Errorf("usage: %w", counted))
	}
	end := time.Now().Add(assessAtOnce)
	if assessed := c.rollup.TickHealth(ctx, workspace, func() bool { return time.Now().After(end) }); assessed != nil {
		err = errors.Join(err, fmt.Errorf("health: %w", assessed))
	}
	return err
}

// assessAtOnce is for how long a tick assesses accounts of a workspace: those that are
// left are the next one's.
const assessAtOnce = 15 * time.Second

// tick does in every workspace what a call by a schedule is for. One that fails
// holds up no other.
func tick(ctx context.Context, keys *access.Store, log *slog.Logger, measured *measurements, in func(ctx context.Context, workspace string) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience(ctx))
	defer cancel()
	workspaces, err := keys.Workspaces(ctx)
	errs := []error{err}
	for _, w := range workspaces {
		if err := in(ctx, w); err != nil {
			errs = append(errs, fmt.Errorf("workspace %s: %w", w, err))
		}
	}
	err = errors.Join(errs...)
	if err != nil {
		log.ErrorContext(ctx, "the tick did not do all", "error", err)
	}
	measured.emit(ctx, "tick", []metric{
		{"Ticks", "Count", 1}, {"TicksFailed", "Count", count(err != nil)}, {"Workspaces", "Count", float64(len(workspaces))},
	})
	return err
}

// tidyCalls tidies the log of API calls of a workspace, once a day.
func (c *clock) tidyCalls(ctx context.Context, workspace string) error {
	due, err := c.calls.Due(ctx, workspace)
	if err != nil || !due {
		return err
	}
	ids, err := c.keys.KeyIDs(ctx, workspace)
	if err != nil {
		return err
	}
	return c.calls.Tidy(ctx, workspace, ids)
}
