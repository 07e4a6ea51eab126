package dynamo_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

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
				return dynamolocal.StreamOf(t, name).Changes(ctx)
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
