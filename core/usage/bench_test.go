package usage_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// BenchmarkCounting has events arrive in batches of 1000 and counts them: those of an
// hour of 200 accounts with 2000 users.
func BenchmarkCounting(b *testing.B) {
	w := newWorld(b)
	for a := range 200 {
		w.account(b, "acme", fmt.Sprint("account-", a))
	}
	random := rand.New(rand.NewPCG(1, 2))
	var lines []string
	for i := range 50_000 {
		user := random.IntN(2000)
		lines = append(lines, fmt.Sprintf(`{"action":%q,"account_id":"account-%d","user_id":"user-%d","session_id":"session-%d","created_at":%d,"module":"module-%d","feature":"feature-%d","time_spent":%d,"active_duration":%d}`,
			[]string{"sessionSync", "moduleEnd", "feature", "pageViewEnd"}[random.IntN(4)], user%200, user, user, at(0)+int64(i*72), random.IntN(8), random.IntN(20), random.IntN(60_000), random.IntN(60_000)))
	}
	batches := slices.Collect(slices.Chunk(lines, 1000))
	if err := trimAll(w); err != nil {
		b.Fatal(err)
	}
	b.Run("arrive", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			w.send(b, "acme", batches[i%len(batches)]...)
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
	})
	if err := trimAll(w); err != nil {
		b.Fatal(err)
	}
	b.Run("count", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			batch := slices.Clone(batches[i%len(batches)])
			for n, line := range batch { // so that none was counted before
				batch[n] = fmt.Sprintf(`%s,"n":%d}`, line[:len(line)-1], i)
			}
			w.send(b, "acme", batch...)
			changes := w.changes(b)
			b.StartTimer()
			if err := errors.Join(w.Follow(b.Context(), changes)...); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := trimAll(w); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
	})
}
