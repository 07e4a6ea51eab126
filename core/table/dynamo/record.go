package dynamo

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tenure/core/table"
)

// record is an item with the attributes DynamoDB keeps.
type record struct {
	Partition  string `dynamodbav:"pk"`
	Sort       string `dynamodbav:"sk"`
	Version    int64  `dynamodbav:"v"`
	Expires    int64  `dynamodbav:"exp,omitempty"`
	TTL        int64  `dynamodbav:"ttl,omitempty"`
	HiddenFrom int64  `dynamodbav:"hf,omitempty"`
	Partition1 string `dynamodbav:"pk1,omitempty"`
	Sort1      string `dynamodbav:"sk1,omitempty"`
	Partition2 string `dynamodbav:"pk2,omitempty"`
	Sort2      string `dynamodbav:"sk2,omitempty"`
	Body       string `dynamodbav:"body,omitempty"`
	Attempt    []byte `dynamodbav:"w,omitempty"`
}

// attemptBytes is the length of record.Attempt: long enough that no two
// attempts to write an item ever have the same.
const attemptBytes = 8

func recordOf(it *table.Item) record {
	return record{
		Partition:  it.Partition,
		Sort:       it.Sort,
		Version:    it.Version,
		Expires:    it.Expires,
		TTL:        (it.Expires + 999) / 1000,
		HiddenFrom: it.HiddenFrom,
		Partition1: it.Index1.Partition,
		Sort1:      it.Index1.Sort,
		Partition2: it.Index2.Partition,
		Sort2:      it.Index2.Sort,
		Body:       string(it.Body),
	}
}

func (r *record) item() table.Item {
	it := table.Item{
		Key:        table.Key{Partition: r.Partition, Sort: r.Sort},
		Version:    r.Version,
		Expires:    r.Expires,
		HiddenFrom: r.HiddenFrom,
		Index1:     table.Key{Partition: r.Partition1, Sort: r.Sort1},
		Index2:     table.Key{Partition: r.Partition2, Sort: r.Sort2},
	}
	if r.Body != "" {
		it.Body = []byte(r.Body)
	}
	return it
}

// size is the item's size as DynamoDB counts it, or a few bytes more.
func (r *record) size() int {
	size := 0
	text := func(name, value string) {
		if value != "" {
			size += len(name) + len(value)
		}
	}
	// Two digits take a byte; one or two more go to the exponent and the sign.
	number := func(name string, value int64) {
		if value != 0 {
			size += len(name) + (len(strconv.FormatInt(value, 10))+1)/2 + 2
		}
	}
	text("pk", r.Partition)
	text("sk", r.Sort)
	number("v", r.Version)
	number("exp", r.Expires)
	number("ttl", r.TTL)
	number("hf", r.HiddenFrom)
	text("pk1", r.Partition1)
	text("sk1", r.Sort1)
	text("pk2", r.Partition2)
	text("sk2", r.Sort2)
	text("body", r.Body)
	return size + len("w") + attemptBytes
}

// decode reads an item as DynamoDB tells it.
func decode(attributes map[string]types.AttributeValue) (table.Item, error) {
	var r record
	if err := attributevalue.UnmarshalMap(attributes, &r); err != nil {
		return table.Item{}, fmt.Errorf("dynamo: decode an item: %w", err)
	}
	return r.item(), nil
}

// keyAttributes names an item to DynamoDB.
func keyAttributes(key table.Key) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: key.Partition},
		"sk": &types.AttributeValueMemberS{Value: key.Sort},
	}
}

func checkKey(key table.Key) error {
	switch {
	case key.Partition == "" || key.Sort == "":
		return fmt.Errorf("%w: key %.100q has an empty part", table.ErrInvalid, key)
	case !utf8.ValidString(key.Partition) || !utf8.ValidString(key.Sort):
		return fmt.Errorf("%w: key %.100q is not UTF-8", table.ErrInvalid, key)
	case len(key.Partition) > table.MaxPartitionBytes:
		return fmt.Errorf("%w: the partition of key %.100q… has %d bytes, at most %d are allowed",
			table.ErrInvalid, key, len(key.Partition), table.MaxPartitionBytes)
	case len(key.Sort) > table.MaxSortBytes:
		return fmt.Errorf("%w: the sort key of key %.100q… has %d bytes, at most %d are allowed",
			table.ErrInvalid, key, len(key.Sort), table.MaxSortBytes)
	}
	return nil
}

// checkItem checks what DynamoDB would refuse, before anything is sent.
func checkItem(it *table.Item, size int) error {
	if err := checkKey(it.Key); err != nil {
		return err
	}
	for _, key := range []table.Key{it.Index1, it.Index2} {
		if key.IsZero() {
			continue
		}
		if err := checkKey(key); err != nil {
			return fmt.Errorf("item %.100q in an index: %w", it.Key, err)
		}
	}
	switch {
	case it.Version <= 0:
		return fmt.Errorf("%w: item %.100q has version %d", table.ErrInvalid, it.Key, it.Version)
	case !utf8.Valid(it.Body):
		return fmt.Errorf("%w: the body of item %.100q is not UTF-8", table.ErrInvalid, it.Key)
	case size > table.MaxItemBytes:
		return fmt.Errorf("%w: item %.100q has %d bytes, at most %d are allowed",
			table.ErrInvalid, it.Key, size, table.MaxItemBytes)
	}
	return nil
}
