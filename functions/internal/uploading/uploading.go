// Package uploading is what the functions that have to do with uploads of files
// share: the bucket that the files lie in, and the queue of the work on them.
package uploading

import (
	"context"
	"errors"

	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/files/s3"
	"tenure/core/uploads"
	"tenure/functions/internal/platform"
	"tenure/functions/internal/queues"
)

// Open returns the uploads of a deployment, and the queue of the work on them.
func Open(env platform.Environment) (*uploads.Store, queues.Queue, error) {
	if env.Settings.UploadsBucket == "" || env.Settings.UploadsQueue == "" {
		return nil, queues.Queue{}, errors.New("UPLOADS_BUCKET or UPLOADS_QUEUE is not set")
	}
	bucket := s3.Open(s3.NewClient(env.AWS), env.Settings.UploadsBucket)
	queue := queues.Open(env.AWS, env.Settings.UploadsQueue, "upload")
	return uploads.New(uploads.Config{
		Table: env.Table, Files: bucket, Engine: env.Engine, Access: env.Keys, Families: catalog.All(), Direct: bucket.Form,
		Start: queue.Start,
		Record: func(ctx context.Context, workspace string, c calls.Call) {
			if err := env.Calls.Record(ctx, workspace, c); err != nil {
				env.Log.WarnContext(ctx, "a batch of an upload was not logged", "error", err)
			}
		},
	}), queue, nil
}

// Job returns the work on uploads.
func Job(env platform.Environment) (platform.Job, error) {
	s, queue, err := Open(env)
	if err != nil {
		return platform.Job{}, err
	}
	return platform.Job{Queue: queue.Queue, Work: queue.Work(s.Run)}, nil
}
