package dynamo_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
	"tenure/core/table/tabletest"
)

func TestMain(m *testing.M) {
	// A step of the property takes DynamoDB Local 15 ms, and the embedded
	// adapter, which runs the default number of checks, far less.
	flag.Set("rapid.checks", "30")
	os.Exit(dynamolocal.Main(m))
}

func TestContract(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, clock *tabletest.Clock) tabletest.Harness {
		name := createTable(t)
		return tabletest.Harness{
			Table:      dynamo.Open(dynamolocal.Client(t), name, dynamo.Options{Now: clock.Now}),
			Eventually: 5 * time.Second,
			Changes: func(ctx context.Context) ([]table.Change, error) {
				return readStream(ctx, dynamolocal.Config(t), name)
			},
		}
	})
}

var tables atomic.Int64

// createTable creates a table for one test, and returns its name.
func createTable(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", tables.Add(1))
	client := dynamolocal.Client(t)
	if err := dynamo.CreateTable(t.Context(), client, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if _, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(name)}); err != nil {
			t.Error(err)
		}
	})
	return name
}

// readStream reads the stream of a table from its beginning to its present
// end, and decodes its records as the function behind the stream does.
func readStream(ctx context.Context, config aws.Config, name string) ([]table.Change, error) {
	client := dynamodbstreams.NewFromConfig(config)
	streams, err := client.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: aws.String(name)})
	if err != nil {
		return nil, err
	}
	if len(streams.Streams) != 1 {
		return nil, fmt.Errorf("table %s has %d streams", name, len(streams.Streams))
	}
	arn := streams.Streams[0].StreamArn
	stream, err := client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: arn})
	if err != nil {
		return nil, err
	}
	var changes []table.Change
	for _, shard := range stream.StreamDescription.Shards {
		at, err := client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
			StreamArn: arn, ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			return nil, err
		}
		for iterator := at.ShardIterator; iterator != nil; {
			page, err := client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator})
			if err != nil {
				return nil, err
			}
			if len(page.Records) == 0 {
				break // an open shard always has a next page
			}
			for _, r := range page.Records {
				change, err := dynamo.DecodeChange(lambdaRecord(r))
				if err != nil {
					return nil, err
				}
				changes = append(changes, change)
			}
			iterator = page.NextShardIterator
		}
	}
	return changes, nil
}

// lambdaRecord turns a record of the streams API into what Lambda passes.
func lambdaRecord(r streamtypes.Record) events.DynamoDBEventRecord {
	return events.DynamoDBEventRecord{
		EventID:   aws.ToString(r.EventID),
		EventName: string(r.EventName),
		Change: events.DynamoDBStreamRecord{
			Keys:           lambdaImage(r.Dynamodb.Keys),
			NewImage:       lambdaImage(r.Dynamodb.NewImage),
			OldImage:       lambdaImage(r.Dynamodb.OldImage),
			SequenceNumber: aws.ToString(r.Dynamodb.SequenceNumber),
			StreamViewType: string(r.Dynamodb.StreamViewType),
		},
	}
}

func lambdaImage(image map[string]streamtypes.AttributeValue) map[string]events.DynamoDBAttributeValue {
	attributes := make(map[string]events.DynamoDBAttributeValue, len(image))
	for name, value := range image {
		switch v := value.(type) {
		case *streamtypes.AttributeValueMemberS:
			attributes[name] = events.NewStringAttribute(v.Value)
		case *streamtypes.AttributeValueMemberN:
			attributes[name] = events.NewNumberAttribute(v.Value)
		case *streamtypes.AttributeValueMemberB:
			attributes[name] = events.NewBinaryAttribute(v.Value)
		default:
			attributes[name] = events.NewNullAttribute()
		}
	}
	return attributes
}
