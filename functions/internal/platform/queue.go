package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"tenure/core/access"
)

// Queue is a queue of messages, each of which stands for work that may take more
// than one call of the function that does it.
type Queue struct {
	// Send sends a message, which arrives after delay at the earliest.
	Send func(ctx context.Context, message string, delay time.Duration) error
	// Postpone has a message that was received arrive again after delay.
	Postpone func(ctx context.Context, receipt string, delay time.Duration) error
}

// Work does what a message stands for, as far as it gets before the end of its
// context, and reports whether there is more of it. access.ErrLocked says that
// another one is at work, and that the message is to come again later.
type Work func(ctx context.Context, message string) (more bool, err error)

// Job is what a function does that a queue calls.
type Job struct {
	Queue
	Work Work
	// Tick, if set, is what the function does in each workspace when a schedule calls
	// it: it may send messages.
	Tick func(ctx context.Context, workspace string) error
}

// ServeQueue does the job that make makes of the environment.
func ServeQueue(name string, make func(Environment) (Job, error)) {
	env := start(name)
	job, err := make(env.shared())
	if err != nil {
		fail(env.log, err)
	}
	lambda.Start((&queue{Job: job, keys: env.keys, log: env.log, measured: env.measured}).called)
}

// queue handles messages of a queue, and the ticks of a schedule.
type queue struct {
	Job
	keys     *access.Store
	log      *slog.Logger
	measured *measurements
}

// scheduled is what events of EventBridge Scheduler have as their source.
const scheduled = "aws.scheduler"

// called handles a call by the queue or the schedule, which its payload tells apart.
func (q *queue) called(ctx context.Context, payload json.RawMessage) (any, error) {
	var event struct {
		events.SQSEvent
		Source string `json:"source"`
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("the event is none that is known: %w", err)
	}
	if event.Source == scheduled && q.Tick != nil {
		return nil, tick(ctx, q.keys, q.log, q.measured, q.Tick)
	}
	return q.handle(ctx, event.SQSEvent)
}

const (
	// lockedDelay is how long a message waits whose work another one is in the way of.
	lockedDelay = 15 * time.Second
	// failedDelay is how long a message waits whose work has failed, times how often
	// it has by now. After some times SQS sets it aside.
	failedDelay = time.Minute
)

// handle does the work of messages. What there is more of goes into a message of
// its own, so that it has a call of its own. Messages whose work has failed are
// reported one by one, so that SQS repeats, and in the end sets aside, them alone.
func (q *queue) handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	var response events.SQSEventResponse
	if len(event.Records) == 0 {
		return response, errors.New("the event has no Records: it is not one of a queue of SQS")
	}
	began, again, locked := time.Now(), 0, 0
	for _, m := range event.Records {
		more, err := q.Work(ctx, m.Body)
		switch {
		case errors.Is(err, access.ErrLocked):
			locked++
			err = q.Send(ctx, m.Body, lockedDelay)
		case err == nil && more:
			again++
			err = q.Send(ctx, m.Body, 0)
		}
		if err == nil {
			continue
		}
		q.log.ErrorContext(ctx, "the work of a message has failed; it comes again", "message", m.MessageId, "error", err)
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		received, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		if err := q.Postpone(ctx, m.ReceiptHandle, time.Duration(max(received, 1))*failedDelay); err != nil {
			q.log.WarnContext(ctx, "it comes again only after the queue's own time", "message", m.MessageId, "error", err)
		}
	}
	q.measured.emit(ctx, "messages", []metric{
		{"Messages", "Count", float64(len(event.Records))},
		{"MessagesAgain", "Count", float64(again)},
		{"MessagesLocked", "Count", float64(locked)},
		{"MessagesFailed", "Count", float64(len(response.BatchItemFailures))},
		{"Duration", "Milliseconds", float64(time.Since(began).Microseconds()) / 1000},
	})
	return response, nil
}
