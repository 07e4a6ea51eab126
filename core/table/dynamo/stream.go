package dynamo

import (
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tenure/core/table"
)

// DecodeChange reads a record of the table's stream, as Lambda passes it, into
// a change. The stream must carry both images. An error means that the record
// is not one of a table of this package; reading it again is useless.
func DecodeChange(r events.DynamoDBEventRecord) (table.Change, error) {
	change := table.Change{Sequence: r.Change.SequenceNumber}
	var err error
	if change.Old, err = decodeImage(r.Change.OldImage); err == nil {
		change.New, err = decodeImage(r.Change.NewImage)
	}
	if err == nil && change.Old == nil && change.New == nil {
		err = fmt.Errorf("dynamo: a stream record of type %s has no image", r.Change.StreamViewType)
	}
	if err != nil {
		return table.Change{}, fmt.Errorf("sequence number %s: %w", r.Change.SequenceNumber, err)
	}
	return change, nil
}

func decodeImage(image map[string]events.DynamoDBAttributeValue) (*table.Item, error) {
	if len(image) == 0 {
		return nil, nil
	}
	attributes := make(map[string]types.AttributeValue, len(image))
	for name, value := range image {
		switch value.DataType() {
		case events.DataTypeString:
			attributes[name] = &types.AttributeValueMemberS{Value: value.String()}
		case events.DataTypeNumber:
			attributes[name] = &types.AttributeValueMemberN{Value: value.Number()}
		case events.DataTypeBinary:
			attributes[name] = &types.AttributeValueMemberB{Value: value.Binary()}
		default:
			return nil, fmt.Errorf("dynamo: attribute %s of a stream record has the unexpected type %d", name, value.DataType())
		}
	}
	it, err := decode(attributes)
	if err != nil {
		return nil, err
	}
	return &it, nil
}
