package dynamolocal

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"tenure/core/table"
	"tenure/core/table/dynamo/streams"
)

// Stream reads the stream of a table from its beginning on.
type Stream struct {
	client *dynamodbstreams.Client
	table  string
	next   map[string]*string // iterators by shard; nil for one that is read out
}

// StreamOf returns the stream of the table with that name; see Config.
func StreamOf(t testing.TB, table string) *Stream {
	t.Helper()
	return &Stream{client: dynamodbstreams.NewFromConfig(Config(t)), table: table, next: map[string]*string{}}
}

// Changes returns what has been written since it was last called, decoded as
// the function behind the stream does it. After an error it is to be called no
// more.
func (s *Stream) Changes(ctx context.Context) ([]table.Change, error) {
	tables, err := s.client.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: aws.String(s.table)})
	if err != nil {
		return nil, err
	}
	if len(tables.Streams) != 1 {
		return nil, fmt.Errorf("table %s has %d streams", s.table, len(tables.Streams))
	}
	arn := tables.Streams[0].StreamArn
	stream, err := s.client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: arn})
	if err != nil {
		return nil, err
	}
	var changes []table.Change
	for _, shard := range stream.StreamDescription.Shards {
		id := aws.ToString(shard.ShardId)
		if _, known := s.next[id]; !known {
			at, err := s.client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
				StreamArn: arn, ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
			})
			if err != nil {
				return nil, err
			}
			s.next[id] = at.ShardIterator
		}
		for s.next[id] != nil {
			page, err := s.client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: s.next[id]})
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				change, err := streams.Change(r)
				if err != nil {
					return nil, err
				}
				changes = append(changes, change)
			}
			s.next[id] = page.NextShardIterator
			if len(page.Records) == 0 {
				break // an open shard always has a next page
			}
		}
	}
	return changes, nil
}
