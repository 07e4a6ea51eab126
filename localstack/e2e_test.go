package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
	"tenure/core/table/embedded"
	"tenure/core/usage"
	"tenure/localstack/browser"
	"tenure/localstack/e2e"
)

func TestMain(m *testing.M) {
	code := dynamolocal.Main(m)
	browser.Stop()
	if programDir != "" {
		os.RemoveAll(programDir)
	}
	os.Exit(code)
}

func TestOnTheEmbeddedStore(t *testing.T) { e2e.Run(t, embeddedTarget(t)) }

func TestLargeValuesOnTheEmbeddedStore(t *testing.T) { e2e.RunLarge(t, embeddedTarget(t)) }

// embeddedTarget serves the API on an embedded store of its own.
func embeddedTarget(t *testing.T) e2e.Target {
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), embedded.Options{Feed: rollup.Concerns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return serve(t, store, 1, func(ctx context.Context, keys *access.Store, r *rollup.Rollup) {
		derive(ctx, store, keys, r)
	})
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
	target := serve(t, dynamo.Open(client, name, dynamo.Options{}), dynamo.Shards, func(ctx context.Context, keys *access.Store, r *rollup.Rollup) {
		if err := deriveFromStream(ctx, dynamolocal.StreamOf(t, name), keys, r); err != nil && ctx.Err() == nil {
			t.Errorf("deriving values: %v", err)
		}
	})
	target.Entries = 1500 // of which DynamoDB Local takes some 300 a second
	t.Run("large", func(t *testing.T) { t.Parallel(); e2e.RunLarge(t, target) })
	t.Run("all", func(t *testing.T) { t.Parallel(); e2e.Run(t, target) })
}

// deriveFromStream keeps derived values up to date as derive does, by the
// table's stream.
func deriveFromStream(ctx context.Context, stream *dynamolocal.Stream, keys *access.Store, r *rollup.Rollup) error {
	ticked := time.Now()
	for {
		changes, err := stream.Changes(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(r.Changes(ctx, changes)...); err != nil {
			return err
		}
		// A tick asks every shard of every workspace of the suite, which is work.
		if time.Since(ticked) > 4*clockInterval {
			if err := errors.Join(ticks(ctx, keys, r.TickAll), ticks(ctx, keys, r.TickUsage)); err != nil {
				return err
			}
			ticked = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * feedInterval):
		}
	}
}

// requestTimeout is long: what is tested is what the API does, not how fast a
// machine does it that is busy with other things.
const requestTimeout = 5 * time.Minute

// serve serves the API on a table until the test ends, with derive beside it.
func serve(t *testing.T, on table.Table, shards int, derive func(context.Context, *access.Store, *rollup.Rollup)) e2e.Target {
	keys := access.New(on, nil)
	engine := resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: shards})
	counted := usage.New(usage.Config{Table: on, Engine: engine})
	handler, err := api.New(api.Config{
		Engine:  engine,
		Access:  keys,
		Usage:   counted,
		Timeout: requestTimeout,
	}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	background, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		derive(background, keys, rollup.New(engine, counted))
	})
	t.Cleanup(func() {
		stop()
		group.Wait()
	})
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
