// Package queues is what functions share that work by messages of SQS, each of
// which names something of a workspace that there is work on.
package queues

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tenure/functions/internal/platform"
)

// Queue is a queue of the work on things of one kind.
type Queue struct {
	platform.Queue
	of string
}

// Open returns the queue at a URL. of is what its messages call what they name, such
// as "upload".
func Open(sdk aws.Config, url, of string) Queue {
	client := sqs.NewFromConfig(sdk)
	return Queue{platform.Queue{
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
	}, of}
}

// Start has the work on something of a workspace begun.
func (q Queue) Start(ctx context.Context, workspace, id string) error {
	text, err := json.Marshal(map[string]string{"workspace": workspace, q.of: id})
	if err != nil {
		return err
	}
	return q.Send(ctx, string(text), 0)
}

// Work returns the work of the queue's messages, which run does on what they name.
func (q Queue) Work(run func(ctx context.Context, workspace, id string) (more bool, err error)) platform.Work {
	return func(ctx context.Context, text string) (more bool, err error) {
		var m map[string]string
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return false, fmt.Errorf("the message names no %s: %w", q.of, err)
		}
		if m["workspace"] == "" || m[q.of] == "" {
			return false, errors.New("the message names no " + q.of)
		}
		return run(ctx, m["workspace"], m[q.of])
	}
}
