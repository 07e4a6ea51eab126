package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
)

func TestMain(m *testing.M) { os.Exit(dynamolocal.Main(m)) }

// dynamoRecords is how many accounts the run on DynamoDB Local has: it is a
// stand-in in one Java process, whose speed says nothing about DynamoDB's. What
// counts is the units it reports.
const dynamoRecords = 5000

// secondsPerBatch is how long a batch is taken to keep a function busy: a guess
// on the safe side, as DynamoDB Local says nothing about DynamoDB's speed.
const secondsPerBatch = 3.0

// serve serves the API on a table of its own.
func serve(b *testing.B, name string) (*httptest.Server, *dynamo.Table) {
	client := dynamolocal.Client(b)
	if err := dynamo.CreateTable(b.Context(), client, name); err != nil {
		b.Fatal(err)
	}
	t := dynamo.Open(client, name, dynamo.Options{CountCapacity: true})
	keys := access.New(t, nil)
	if err := keys.EnsureWorkspace(b.Context(), "bench", key); err != nil {
		b.Fatal(err)
	}
	handler, err := api.New(api.Config{
		Engine: resource.New(resource.Config{Table: t, Root: catalog.Root, Shards: dynamo.Shards}),
		Access: keys, Timeout: 10 * time.Minute,
	}, catalog.All())
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	return server, t
}

// BenchmarkDynamoDB runs the load on DynamoDB Local and prints what each step
// consumed.
func BenchmarkDynamoDB(b *testing.B) {
	server, t := serve(b, "bench")
	for b.Loop() {
		f, units := figures{}, map[string]dynamo.Capacity{}
		last := t.Consumed()
		l := newLoad(server.URL+api.BasePath, key, dynamoRecords)
		if err := l.run(b.Context(), f, func(row string, n int) {
			now := t.Consumed()
			units[row] = dynamo.Capacity{Read: (now.Read - last.Read) / float64(n), Write: (now.Write - last.Write) / float64(n)}
			last = now
		}); err != nil {
			b.Fatal(err)
		}
		fmt.Printf("\nDynamoDB Local, %d accounts of %d bytes, batches of %d\n\n", dynamoRecords, accountBytes(), batchSize)
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range rows {
			if _, measured := f[row.name]; !measured {
				continue
			}
			consumed := "\t\t"
			if u, ok := units[row.name]; ok {
				consumed = fmt.Sprintf("%.3f\tWCU each\t%.3f\tRCU each", u.Write, u.Read)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", row.name, number(f[row.name]), row.unit, consumed)
		}
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		p, err := newPrices(os.Getenv("PRICES"))
		if err != nil {
			b.Fatal(err)
		}
		var steps []step
		for _, row := range rows {
			if u, ok := units[row.name]; ok && strings.HasSuffix(row.unit, "records/s") {
				steps = append(steps, step{row.name, u.Write, u.Read})
			}
		}
		if err := printCosts(os.Stdout, p, steps, batchSize, secondsPerBatch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGrowthOnDynamoDB measures what must not grow with what is stored.
func BenchmarkGrowthOnDynamoDB(b *testing.B) {
	server, _ := serve(b, "growth")
	g, f := growth{accounts: 100_000, scores: 10_000, searched: []int{10_000}}, figures{}
	for b.Loop() {
		if err := g.run(b.Context(), newLoad(server.URL+api.BasePath, key, 0), f); err != nil {
			b.Fatal(err)
		}
	}
	fmt.Printf("\nDynamoDB Local, growth; medians of several requests in one run\n\n")
	if err := print(os.Stdout, g.rows(), []figures{f}); err != nil {
		b.Fatal(err)
	}
}
