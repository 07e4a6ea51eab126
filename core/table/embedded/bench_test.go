package embedded_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"tenure/core/table"
	"tenure/core/table/embedded"
)

// The unit of work of the benchmarks: a bulk request's worth of items the size
// of an account.
const (
	benchBatch = 1000
	benchBody  = 1100
)

// benchBodies are texts of the size and about the compressibility of accounts.
var benchBodies = func() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	bodies := make([][]byte, 512)
	for i := range bodies {
		b := []byte(`{"account_id":`)
		for n := 0; len(b) < benchBody; n++ {
			b = fmt.Appendf(b, `"%x","custom_value_field_%d":`, r.Uint64(), n)
		}
		bodies[i] = b[:benchBody]
	}
	return bodies
}()

// benchItem is the n-th item: ids arrive in no order, one index is by time,
// the other by name.
func benchItem(n int, version int64) table.Item {
	scattered := strconv.FormatUint(uint64(n)*0x9E3779B97F4A7C15, 36)
	return table.Item{
		Key:     table.Key{Partition: "w1#accounts", Sort: "account#" + scattered},
		Version: version,
		Index1:  table.Key{Partition: "w1#by-join-date#" + strconv.Itoa(n%8), Sort: fmt.Sprintf("2024-01-%010d", n)},
		Index2:  table.Key{Partition: "w1#by-name", Sort: "name of " + scattered},
		Body:    benchBodies[n%len(benchBodies)],
	}
}

func benchOps(from int, version int64, cond table.Condition) []table.Op {
	ops := make([]table.Op, benchBatch)
	for i := range ops {
		ops[i] = table.Put(benchItem(from+i, version), cond)
	}
	return ops
}

func openBench(b *testing.B, feed func(table.Key) bool) *embedded.Table {
	store, err := embedded.Open(b.TempDir(), embedded.Options{Feed: feed})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return store
}

// fill writes n items.
func fill(b *testing.B, store *embedded.Table, n int) {
	for from := 0; from < n; from += benchBatch {
		if errs := store.Write(b.Context(), benchOps(from, 1, table.Absent()), nil); errs != nil {
			b.Fatal(errs[0])
		}
	}
}

// perItem reports the rate of items beside that of operations.
func perItem(b *testing.B) {
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "items/s")
}

func withAndWithoutFeed(b *testing.B, run func(b *testing.B, feed func(table.Key) bool)) {
	b.Run("feed=off", func(b *testing.B) { run(b, nil) })
	b.Run("feed=on", func(b *testing.B) { run(b, everything) })
}

func BenchmarkInsert1000(b *testing.B) {
	withAndWithoutFeed(b, func(b *testing.B, feed func(table.Key) bool) {
		store := openBench(b, feed)
		n := 0
		for b.Loop() {
			b.StopTimer()
			ops := benchOps(n, 1, table.Absent())
			n += benchBatch
			b.StartTimer()
			if errs := store.Write(b.Context(), ops, nil); errs != nil {
				b.Fatal(errs[0])
			}
		}
		perItem(b)
	})
}

func BenchmarkUpdate1000(b *testing.B) {
	const items = 50_000
	withAndWithoutFeed(b, func(b *testing.B, feed func(table.Key) bool) {
		store := openBench(b, feed)
		fill(b, store, items)
		n := 0
		for b.Loop() {
			b.StopTimer()
			version := int64(n/items + 1)
			ops := benchOps(n%items, version+1, table.VersionIs(version))
			n += benchBatch
			b.StartTimer()
			if errs := store.Write(b.Context(), ops, nil); errs != nil {
				b.Fatal(errs[0])
			}
		}
		perItem(b)
	})
}

func BenchmarkGet1000(b *testing.B) {
	const items = 50_000
	store := openBench(b, nil)
	fill(b, store, items)
	for _, order := range []string{"inserted", "sorted"} {
		b.Run(order, func(b *testing.B) {
			n := 0
			for b.Loop() {
				b.StopTimer()
				keys := make([]table.Key, benchBatch)
				for i := range keys {
					keys[i] = benchItem((n+i)%items, 1).Key
				}
				if order == "sorted" {
					page, err := store.Query(b.Context(), table.Query{Partition: keys[0].Partition, After: keys[0].Sort, Limit: benchBatch, KeysOnly: true})
					if err != nil {
						b.Fatal(err)
					}
					keys = keys[:0]
					for _, item := range page {
						keys = append(keys, item.Key)
					}
				}
				n += benchBatch
				b.StartTimer()
				got, err := store.Get(b.Context(), keys, true)
				if err != nil || len(got) == 0 || !got[0].Exists() {
					b.Fatal(err, len(got))
				}
			}
			perItem(b)
		})
	}
}

func BenchmarkQuery1000(b *testing.B) {
	const items = 100_000
	store := openBench(b, nil)
	fill(b, store, items)
	base := table.Query{Partition: benchItem(0, 1).Partition, Limit: benchBatch}
	all := base
	all.Limit, all.KeysOnly = items, true
	keys, err := store.Query(b.Context(), all)
	if err != nil || len(keys) != items {
		b.Fatal(err, len(keys))
	}
	for _, c := range []struct {
		name  string
		query func(q *table.Query)
	}{
		{"first", func(*table.Query) {}},
		{"last", func(q *table.Query) { q.After = keys[items-benchBatch-1].Sort }},
		{"middle descending", func(q *table.Query) { q.After, q.Descending = keys[items/2].Sort, true }},
		{"keys only", func(q *table.Query) { q.KeysOnly = true }},
		{"index", func(q *table.Query) { q.Index, q.Partition = table.Second, benchItem(0, 1).Index2.Partition }},
	} {
		b.Run(c.name, func(b *testing.B) {
			q := base
			c.query(&q)
			for b.Loop() {
				got, err := store.Query(b.Context(), q)
				if err != nil || len(got) != benchBatch {
					b.Fatal(err, len(got))
				}
			}
			perItem(b)
		})
	}
}
