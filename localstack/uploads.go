package main

import (
	"context"
	"errors"

	"tenure/core/access"
	"tenure/core/uploads"
)

// newUploader returns a worker on uploads, those of a workspace one after the other.
func newUploader(ctx context.Context) *worker {
	return newWorker(ctx, "upload", func(workspace, _ string) string { return workspace })
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
