package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

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

// handle derives, in every workspace, the accounts whose values change by time
// alone, ends what requests have left half done, and once a day sees to the log
// of API calls. A workspace that fails holds up no other. The event says nothing that matters.
func (c *clock) handle(ctx context.Context, _ json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, patience(ctx))
	defer cancel()
	workspaces, err := c.keys.Workspaces(ctx)
	errs := []error{err}
	for _, w := range workspaces {
		if err := c.rollup.TickAll(ctx, w); err != nil {
			errs = append(errs, fmt.Errorf("workspace %s: %w", w, err))
		}
		if _, err := c.engine.Sweep(ctx, w, catalog.All()); err != nil {
			errs = append(errs, fmt.Errorf("workspace %s: sweep: %w", w, err))
		}
		if err := c.tidyCalls(ctx, w); err != nil {
			errs = append(errs, fmt.Errorf("workspace %s: log of calls: %w", w, err))
		}
	}
	err = errors.Join(errs...)
	if err != nil {
		c.log.ErrorContext(ctx, "the tick did not do all", "error", err)
	}
	c.measured.emit(ctx, "tick", []metric{
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
