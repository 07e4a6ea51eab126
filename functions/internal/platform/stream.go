package platform

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/dynamo"
)

// stream handles batches of the table's stream.
type stream struct {
	rollup   *rollup.Rollup
	log      *slog.Logger
	measured *measurements
}

// patienceShare is how much of a call's time, in percent, goes into deriving;
// the rest is left for putting off what did not succeed.
const patienceShare = 80

// patience returns how long a call may work on before it comes to its end.
func patience(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Minute
	}
	return time.Until(deadline) * patienceShare / 100
}

// handle derives the accounts that the records concern. Records that cannot be
// read, and those whose accounts could neither be derived nor put off, are
// reported one by one, so that Lambda repeats, and in the end sets aside, them
// alone.
func (s *stream) handle(ctx context.Context, event events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	var response events.DynamoDBEventResponse
	if len(event.Records) == 0 {
		return response, errors.New("the event has no Records: it is not one of a DynamoDB stream")
	}
	report := func(sequence string) {
		response.BatchItemFailures = append(response.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: sequence})
	}
	var changes []table.Change
	for _, record := range event.Records {
		change, err := dynamo.DecodeChange(record)
		if err != nil {
			s.log.ErrorContext(ctx, "a record of the stream cannot be read", "sequence", record.Change.SequenceNumber, "error", err)
			report(record.Change.SequenceNumber)
			continue
		}
		changes = append(changes, change)
	}
	poison, putOff := len(response.BatchItemFailures), 0
	errs := s.rollup.Follow(ctx, changes, patience(ctx), func(change table.Change, err error) {
		s.log.WarnContext(ctx, "deriving values; trying again later", "sequence", change.Sequence, "error", err)
		putOff++
	})
	for i, err := range errs {
		if err != nil {
			s.log.ErrorContext(ctx, "deriving values", "sequence", changes[i].Sequence, "error", err)
			report(changes[i].Sequence)
		}
	}
	s.measured.emit(ctx, "changes", []metric{
		{"Changes", "Count", float64(len(event.Records))},
		{"ChangesUnreadable", "Count", float64(poison)},
		{"ChangesPutOff", "Count", float64(putOff)},
		{"ChangesFailed", "Count", float64(len(response.BatchItemFailures) - poison)},
	})
	return response, nil
}
