// Package dynamo is the storage port on Amazon DynamoDB: one table with a
// partition key, a sort key and two global secondary indexes.
//
// The attributes of an item have short names, because DynamoDB counts their
// bytes in every item:
//
//	pk, sk    the key
//	v         Version
//	exp       Expires, epoch milliseconds
//	ttl       the same in seconds, rounded up, for DynamoDB's Time to Live
//	hf        HiddenFrom, epoch milliseconds
//	pk1, sk1  the key in index1
//	pk2, sk2  the key in index2
//	body      Body, as a string
//	w         which attempt to write put the item there; see write.unclear
//
// Time to Live removes an expired item within days, not at once; until then
// conditions and filters on exp make it absent.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tenure/core/table"
)

// Options are the settings of Open that have a default.
type Options struct {
	// Now is the source of time for expiry and guards. nil: time.Now.
	Now func() time.Time
	// Concurrency is how many requests one call of Get or Write has under way
	// at the same time at most. 0: 64.
	Concurrency int
	// CountCapacity makes DynamoDB tell what each request consumed; Consumed
	// then returns the sum.
	CountCapacity bool
}

// Table is a table.Table kept in DynamoDB.
type Table struct {
	ask         operations
	name        string
	now         func() time.Time
	concurrency int
	capacity    types.ReturnConsumedCapacity

	mu       sync.Mutex
	consumed Capacity
}

var _ table.Table = (*Table)(nil)

// Capacity is an amount of consumed capacity units.
type Capacity struct {
	// Read is in RCU: one is a consistent read of up to 4 KB.
	Read float64
	// Write is in WCU: one is a write of up to 1 KB, to the table or an index.
	Write float64
}

// Open returns the table with the given name, which must have been created
// like CreateTable does. It sends nothing.
//
// The table retries by itself. Where client has a retryer of its own it is not
// used: two would multiply.
func Open(client *dynamodb.Client, name string, options Options) *Table {
	t := &Table{
		ask: operations{
			get: client.BatchGetItem, remove: client.DeleteItem, put: client.PutItem, query: client.Query, transact: client.TransactWriteItems,
		},
		name:        name,
		now:         options.Now,
		concurrency: options.Concurrency,
		capacity:    types.ReturnConsumedCapacityNone,
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.concurrency == 0 {
		t.concurrency = 64
	}
	if options.CountCapacity {
		t.capacity = types.ReturnConsumedCapacityTotal
	}
	return t
}

// operations are what is asked of the client. The table holds them and not the
// client: in a program with templates, which call methods by name, the linker keeps
// every method of every type that a value in an interface leads to, and a client has
// some for all that the service can do. That would be megabytes.
type operations struct {
	get      func(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	remove   func(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	put      func(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	query    func(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	transact func(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// NewClient returns a client whose connections suit many small requests at the
// same time: the SDK keeps only ten idle connections to a host, and would open
// and close the others over and over.
func NewClient(config aws.Config, options ...func(*dynamodb.Options)) *dynamodb.Client {
	config.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 256
		t.MaxIdleConnsPerHost = 256
	})
	return dynamodb.NewFromConfig(config, options...)
}

// Consumed returns what the calls so far have consumed, as told by DynamoDB;
// always zero without Options.CountCapacity. DynamoDB does not tell what a
// write consumed whose condition did not hold.
func (t *Table) Consumed() Capacity {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.consumed
}

func (t *Table) consumedRead(told ...types.ConsumedCapacity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range told {
		t.consumed.Read += aws.ToFloat64(c.CapacityUnits)
	}
}

func (t *Table) consumedWrite(told ...types.ConsumedCapacity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range told {
		t.consumed.Write += aws.ToFloat64(c.CapacityUnits)
	}
}

// once keeps the SDK from retrying; see Open.
func once(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }

// The names of the two secondary indexes.
const (
	index1 = "index1"
	index2 = "index2"
)

// TimeToLive is the attribute that DynamoDB removes expired items by.
const TimeToLive = "ttl"

// Definition returns a table as Open needs it: on-demand capacity, both
// indexes, a stream of old and new images.
func Definition(name string) *dynamodb.CreateTableInput {
	attribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: types.ScalarAttributeTypeS}
	}
	key := func(partition, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: aws.String(partition), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
		}
	}
	// Queries of an index answer no bodies, and every projected byte is
	// written twice.
	projection := &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"hf", "exp"}}
	return &dynamodb.CreateTableInput{
		TableName:   aws.String(name),
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk"), attribute("sk"), attribute("pk1"), attribute("sk1"), attribute("pk2"), attribute("sk2"),
		},
		KeySchema: key("pk", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			{IndexName: aws.String(index1), KeySchema: key("pk1", "sk1"), Projection: projection},
			{IndexName: aws.String(index2), KeySchema: key("pk2", "sk2"), Projection: projection},
		},
		StreamSpecification: &types.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages,
		},
	}
}

// CreateTable creates a table with that Definition and Time to Live, for tests
// and local use, and waits until it can be used. On AWS the deployment creates
// the table.
func CreateTable(ctx context.Context, client *dynamodb.Client, name string) error {
	_, err := client.CreateTable(ctx, Definition(name))
	if err != nil {
		return fmt.Errorf("create table %s: %w", name, err)
	}
	const longest = 2 * time.Minute
	waiter := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, 5*time.Second
	})
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(name)}, longest); err != nil {
		return fmt.Errorf("wait for table %s: %w", name, err)
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               aws.String(name),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(TimeToLive), Enabled: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("enable time to live of table %s: %w", name, err)
	}
	return nil
}

// errBusy stands for a request that DynamoDB accepted without doing any of it.
var errBusy = errors.New("nothing was processed")
