// Package streams reads the stream of a table by the streams API, where no
// Lambda function stands behind it.
package streams

import (
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"tenure/core/table"
	"tenure/core/table/dynamo"
)

// Change reads a record of the stream into a change; see dynamo.DecodeChange.
func Change(r types.Record) (table.Change, error) { return dynamo.DecodeChange(lambdaRecord(r)) }

// lambdaRecord turns a record of the streams API into what Lambda passes.
func lambdaRecord(r types.Record) events.DynamoDBEventRecord {
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

func lambdaImage(image map[string]types.AttributeValue) map[string]events.DynamoDBAttributeValue {
	attributes := make(map[string]events.DynamoDBAttributeValue, len(image))
	for name, value := range image {
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			attributes[name] = events.NewStringAttribute(v.Value)
		case *types.AttributeValueMemberN:
			attributes[name] = events.NewNumberAttribute(v.Value)
		case *types.AttributeValueMemberB:
			attributes[name] = events.NewBinaryAttribute(v.Value)
		default:
			attributes[name] = events.NewNullAttribute()
		}
	}
	return attributes
}
