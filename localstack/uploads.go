package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"tenure/core/access"
	"tenure/core/uploads"
)

const (
	// uploadsAtOnce is how many uploads are worked on at the same time, each of
	// another workspace.
	uploadsAtOnce = 2
	// uploadTries is how often work on an upload is tried that fails. Then it is left
	// until somebody asks for it again, or the program starts anew.
	uploadTries = 5
)

// uploadPause is how long failed work waits, times how often it has failed.
var uploadPause = time.Second

// uploader works on uploads in this process, those of a workspace one after the
// other.
type uploader struct {
	run func(ctx context.Context, workspace, id string) (more bool, err error)

	mu      sync.Mutex
	waiting map[string][]string // ids by workspace, the first of which may be worked on
	group   sync.WaitGroup
	ctx     context.Context
	slots   chan struct{}
}

// newUploader returns an uploader that works until ctx ends.
func newUploader(ctx context.Context) *uploader {
	return &uploader{ctx: ctx, waiting: map[string][]string{}, slots: make(chan struct{}, uploadsAtOnce)}
}

// start has an upload worked on, unless it waits for that already.
func (u *uploader) start(_ context.Context, workspace, id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids, busy := u.waiting[workspace]
	// The first may have come to the end of its work just now, so it is taken again.
	if busy && slices.Contains(ids[min(1, len(ids)):], id) {
		return nil
	}
	u.waiting[workspace] = append(ids, id)
	if !busy {
		u.group.Go(func() { u.work(workspace) })
	}
	return nil
}

// work works on the uploads of a workspace until none waits.
func (u *uploader) work(workspace string) {
	select {
	case u.slots <- struct{}{}:
		defer func() { <-u.slots }()
	case <-u.ctx.Done():
		return
	}
	for {
		u.mu.Lock()
		id := u.waiting[workspace][0]
		u.mu.Unlock()
		u.workOn(workspace, id)
		u.mu.Lock()
		u.waiting[workspace] = u.waiting[workspace][1:]
		done := len(u.waiting[workspace]) == 0
		if done {
			delete(u.waiting, workspace)
		}
		u.mu.Unlock()
		if done || u.ctx.Err() != nil {
			return
		}
	}
}

// workOn works on an upload until there is no more to do, or it fails too often.
func (u *uploader) workOn(workspace, id string) {
	for failed := 0; u.ctx.Err() == nil; {
		more, err := u.once(workspace, id)
		switch {
		case u.ctx.Err() != nil, err == nil && !more:
			return
		case err == nil:
			continue
		}
		failed++
		slog.Error("working on an upload", "workspace", workspace, "upload", id, "tries", failed, "error", err)
		if failed == uploadTries {
			return
		}
		select {
		case <-u.ctx.Done():
		case <-time.After(time.Duration(failed) * uploadPause):
		}
	}
}

// once is run, whose panics are errors like others.
func (u *uploader) once(workspace, id string) (more bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return u.run(u.ctx, workspace, id)
}

// resumeUploads has the uploads worked on that an earlier process has left
// unfinished.
func resumeUploads(ctx context.Context, keys *access.Store, s *uploads.Store) error {
	workspaces, err := keys.Workspaces(ctx)
	for _, w := range workspaces {
		ids, unfinished := s.Unfinished(ctx, w)
		err = errors.Join(err, unfinished)
		for _, id := range ids {
			err = errors.Join(err, s.Start(ctx, w, id))
		}
	}
	return err
}
