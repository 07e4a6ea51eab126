package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// workAtOnce is how many lanes of a worker are worked on at the same time.
	workAtOnce = 2
	// workTries is how often work is tried that fails. Then it is left until somebody
	// asks for it again, or the program starts anew.
	workTries = 5
)

// workPause is how long failed work waits, times how often it has failed.
var workPause = time.Second

// worker does work in this process that may take many steps, such as uploads: what
// is in one lane one after the other, and a few lanes at the same time.
type worker struct {
	what string // for the log
	lane func(workspace, id string) string
	run  func(ctx context.Context, workspace, id string) (more bool, err error)

	mu      sync.Mutex
	waiting map[string][]job // by lane, the first of which may be worked on
	group   sync.WaitGroup
	ctx     context.Context
	slots   chan struct{}
}

// job names something of a workspace that there is work on.
type job struct{ workspace, id string }

// newWorker returns a worker that works until ctx ends.
func newWorker(ctx context.Context, what string, lane func(workspace, id string) string) *worker {
	return &worker{ctx: ctx, what: what, lane: lane, waiting: map[string][]job{}, slots: make(chan struct{}, workAtOnce)}
}

// start has something worked on, unless it waits for that already.
func (w *worker) start(_ context.Context, workspace, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	lane, next := w.lane(workspace, id), job{workspace, id}
	jobs, busy := w.waiting[lane]
	// The first may have come to the end of its work just now, so it is taken again.
	if busy && slices.Contains(jobs[min(1, len(jobs)):], next) {
		return nil
	}
	w.waiting[lane] = append(jobs, next)
	if !busy {
		w.group.Go(func() { w.work(lane) })
	}
	return nil
}

// work works on what is in a lane until nothing waits.
func (w *worker) work(lane string) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-w.ctx.Done():
		return
	}
	for {
		w.mu.Lock()
		first := w.waiting[lane][0]
		w.mu.Unlock()
		w.workOn(first)
		w.mu.Lock()
		w.waiting[lane] = w.waiting[lane][1:]
		done := len(w.waiting[lane]) == 0
		if done {
			delete(w.waiting, lane)
		}
		w.mu.Unlock()
		if done || w.ctx.Err() != nil {
			return
		}
	}
}

// workOn works on something until there is no more to do, or it fails too often.
func (w *worker) workOn(on job) {
	for failed := 0; w.ctx.Err() == nil; {
		more, err := w.once(on)
		switch {
		case w.ctx.Err() != nil, err == nil && !more:
			return
		case err == nil:
			continue
		}
		failed++
		slog.Error("work has failed", "workspace", on.workspace, w.what, on.id, "tries", failed, "error", err)
		if failed == workTries {
			return
		}
		select {
		case <-w.ctx.Done():
		case <-time.After(time.Duration(failed) * workPause):
		}
	}
}

// once is run, whose panics are errors like others.
func (w *worker) once(on job) (more bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return w.run(w.ctx, on.workspace, on.id)
}
