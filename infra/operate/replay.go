package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tenure/core/table"
	"tenure/core/table/dynamo/streams"
)

// deadLetter is what Lambda puts into the queue for records of a stream that it
// gave up on: where in the stream they are, not what they say.
type deadLetter struct {
	Batch struct {
		ShardID string `json:"shardId"`
		First   string `json:"startSequenceNumber"`
		Last    string `json:"endSequenceNumber"`
		Stream  string `json:"streamArn"`
	} `json:"DDBStreamBatchInfo"`
}

// replayPatience is how long the changes of one message may take to be taken up.
const replayPatience = 5 * time.Minute

// emptyPagePause keeps below the five reads a second that a shard allows.
const emptyPagePause = 250 * time.Millisecond

// replay takes up again what lies in the dead-letter queue. A message is
// deleted once its changes have been taken up, and stays otherwise.
func (o *operator) replay(ctx context.Context, queue string) error {
	messages := sqs.NewFromConfig(o.sdk)
	done, kept := 0, 0
	for {
		received, err := messages.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(queue), MaxNumberOfMessages: 10, VisibilityTimeout: int32(replayPatience.Seconds()),
		})
		if err != nil {
			return err
		}
		if len(received.Messages) == 0 {
			fmt.Fprintf(o.out, "%d messages taken up and deleted, %d left in the queue\n", done, kept)
			if kept > 0 {
				return errors.New("what is left may be older than the stream, which keeps a day: reprocess derives all accounts anew")
			}
			return nil
		}
		for _, m := range received.Messages {
			if err := o.takeUp(ctx, aws.ToString(m.Body)); err != nil {
				fmt.Fprintf(o.out, "message %s: %v\n", aws.ToString(m.MessageId), err)
				kept++
				continue
			}
			if _, err := messages.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(queue), ReceiptHandle: m.ReceiptHandle}); err != nil {
				return err
			}
			done++
		}
	}
}

// takeUp reads the changes that a message is about from the stream, and derives
// the accounts that they concern.
func (o *operator) takeUp(ctx context.Context, body string) error {
	var letter deadLetter
	if err := json.Unmarshal([]byte(body), &letter); err != nil {
		return fmt.Errorf("the message is not one of Lambda: %w", err)
	}
	batch := letter.Batch
	if batch.Stream == "" || batch.ShardID == "" || batch.First == "" || batch.Last == "" {
		return errors.New("the message says of no records of a stream")
	}
	ctx, cancel := context.WithTimeout(ctx, replayPatience)
	defer cancel()
	stream := dynamodbstreams.NewFromConfig(o.sdk)
	at, err := stream.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: aws.String(batch.Stream), ShardId: aws.String(batch.ShardID),
		ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: aws.String(batch.First),
	})
	if err != nil {
		return err
	}
	var changes []table.Change
	whole := false
	for next := at.ShardIterator; next != nil && !whole; {
		page, err := stream.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: next})
		if err != nil {
			return err
		}
		next = page.NextShardIterator
		for _, r := range page.Records {
			sequence := aws.ToString(r.Dynamodb.SequenceNumber)
			order := compare(sequence, batch.Last)
			if whole = order >= 0; order > 0 {
				break
			}
			change, err := streams.Change(r)
			if err != nil {
				return err
			}
			changes = append(changes, change)
		}
		if len(page.Records) == 0 && !whole {
			// A page may be empty in the middle of a shard, too.
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(emptyPagePause):
			}
		}
	}
	if !whole || len(changes) == 0 {
		return errors.New("the stream has not all of the records")
	}
	return errors.Join(o.rollup.Changes(ctx, changes)...)
}

// compare compares sequence numbers, which are whole numbers of any length.
func compare(a, b string) int {
	x, _ := new(big.Int).SetString(a, 10)
	y, _ := new(big.Int).SetString(b, 10)
	if x == nil || y == nil {
		return 1 // what cannot be compared is not in the range
	}
	return x.Cmp(y)
}
