package main

import (
	"context"
	"log/slog"
	"time"

	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/table"
)

const (
	// callsWaiting is how many calls may wait for being logged.
	callsWaiting = 20_000
	// callsInterval is how long a call waits at most, so that many are written at
	// once.
	callsInterval = 250 * time.Millisecond
)

// recorder logs API calls behind the back of those who wait for an answer: a
// call is put into a queue, which is written batch by batch.
type recorder struct {
	log   *calls.Log
	table table.Table
	queue chan answered
	lost  chan struct{} // has one when calls found the queue full
}

// answered is a call that waits for being logged.
type answered struct {
	at time.Time
	api.Served
}

func newRecorder(log *calls.Log, t table.Table) *recorder {
	return &recorder{log: log, table: t, queue: make(chan answered, callsWaiting), lost: make(chan struct{}, 1)}
}

// served takes up a call that was answered. It never waits: where calls come
// faster than they can be written, the log does without.
func (r *recorder) served(_ context.Context, s api.Served) {
	if s.Workspace == "" {
		return
	}
	select {
	case r.queue <- answered{time.Now(), s}:
	default:
		select {
		case r.lost <- struct{}{}:
		default:
		}
	}
}

// run writes calls until ctx ends, and then those that wait by then.
func (r *recorder) run(ctx context.Context) {
	for {
		select {
		case first := <-r.queue:
			select {
			case <-time.After(callsInterval):
			case <-ctx.Done():
			}
			r.write(first)
		case <-r.lost:
			slog.Warn("API calls were not logged: they come faster than they can be")
		case <-ctx.Done():
			select {
			case first := <-r.queue:
				r.write(first)
			default:
			}
			return
		}
	}
}

// write writes a call and those that wait behind it.
func (r *recorder) write(first answered) {
	ops := make([]table.Op, 0, 1+len(r.queue))
	for call, more := first, true; more; {
		op, err := r.log.Op(call.Workspace, call.at, call.Call)
		if err != nil {
			slog.Error("an API call was not logged", "error", err)
		} else {
			ops = append(ops, op)
		}
		if len(ops) == cap(ops) {
			break
		}
		select {
		case call = <-r.queue:
		default:
			more = false
		}
	}
	for _, err := range r.table.Write(context.Background(), ops, nil) {
		if err != nil {
			slog.Error("API calls were not logged", "calls", len(ops), "error", err)
			return
		}
	}
}
