package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
	"tenure/core/table/embedded"
	"tenure/localstack/e2e"
)

func TestMain(m *testing.M) {
	code := dynamolocal.Main(m)
	if programDir != "" {
		os.RemoveAll(programDir)
	}
	os.Exit(code)
}

func TestOnTheEmbeddedStore(t *testing.T) {
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	e2e.Run(t, serve(t, store, 1))
}

func TestOnDynamoDBLocal(t *testing.T) {
	client := dynamolocal.Client(t)
	const name = "e2e"
	if err := dynamo.CreateTable(t.Context(), client, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if _, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(name)}); err != nil {
			t.Error(err)
		}
	})
	e2e.Run(t, serve(t, dynamo.Open(client, name, dynamo.Options{}), dynamo.Shards))
}

// requestTimeout is long: what is tested is what the API does, not how fast a
// machine does it that is busy with other things.
const requestTimeout = 5 * time.Minute

// serve serves the API on a table until the test ends.
func serve(t *testing.T, on table.Table, shards int) e2e.Target {
	keys := access.New(on, nil)
	handler, err := api.New(api.Config{
		Engine:  resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: shards}),
		Access:  keys,
		Timeout: requestTimeout,
	}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.Handler(handler))
	t.Cleanup(server.Close)
	var workspaces atomic.Int64
	return e2e.Target{
		BaseURL: server.URL + api.BasePath,
		NewWorkspace: func(t *testing.T) string {
			n := workspaces.Add(1)
			key := fmt.Sprintf("test-key-not-secret-%d-of-this-run", n)
			if err := keys.EnsureWorkspace(t.Context(), fmt.Sprintf("e2e-%d", n), key); err != nil {
				t.Fatal(err)
			}
			return key
		},
	}
}
