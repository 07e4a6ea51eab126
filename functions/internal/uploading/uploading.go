// Package uploading is what the functions that have to do with uploads of files
// share: the bucket that the files lie in, and the queue of the work on them.
package uploading

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/files/s3"
	"tenure/core/uploads"
	"tenure/functions/internal/platform"
)

// message says which upload there is work on.
type message struct {
	Workspace string `json:"workspace"`
	Upload    string `json:"upload"`
}

// Open returns the uploads of a deployment.
func Open(env platform.Environment) (*uploads.Store, error) {
	if env.Settings.UploadsBucket == "" || env.Settings.UploadsQueue == "" {
		return nil, errors.New("UPLOADS_BUCKET or UPLOADS_QUEUE is not set")
	}
	bucket := s3.Open(s3.NewClient(env.AWS), env.Settings.UploadsBucket)
	queue := Queue(env)
	return uploads.New(uploads.Config{
		Table: env.Table, Files: bucket, Engine: env.Engine, Access: env.Keys, Families: catalog.All(), Direct: bucket.Form,
		Start: func(ctx context.Context, workspace, id string) error {
			text, err := json.Marshal(message{workspace, id})
			if err != nil {
				return err
			}
			return queue.Send(ctx, string(text), 0)
		},
		Record: func(ctx context.Context, workspace string, c calls.Call) {
			if err := env.Calls.Record(ctx, workspace, c); err != nil {
				env.Log.WarnContext(ctx, "a batch of an upload was not logged", "error", err)
			}
		},
	}), nil
}

// Queue returns the queue of the work on uploads.
func Queue(env platform.Environment) platform.Queue {
	client, url := sqs.NewFromConfig(env.AWS), env.Settings.UploadsQueue
	return platform.Queue{
		Send: func(ctx context.Context, message string, delay time.Duration) error {
			_, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &message, DelaySeconds: int32(delay / time.Second)})
			return err
		},
		Postpone: func(ctx context.Context, receipt string, delay time.Duration) error {
			_, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
				QueueUrl: &url, ReceiptHandle: &receipt, VisibilityTimeout: int32(delay / time.Second),
			})
			return err
		},
	}
}

// Work returns the work of the queue's messages.
func Work(s *uploads.Store) platform.Work {
	return func(ctx context.Context, text string) (more bool, err error) {
		var m message
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return false, fmt.Errorf("the message names no upload: %w", err)
		}
		if m.Workspace == "" || m.Upload == "" {
			return false, errors.New("the message names no upload")
		}
		return s.Run(ctx, m.Workspace, m.Upload)
	}
}
