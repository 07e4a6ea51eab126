package uploads_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table/embedded"
	"tenure/core/uploads"
)

// accountRows is a file of accounts of at least size bytes, which is nowhere as a
// whole.
type accountRows struct {
	size, written int64
	rows          int
	rest          []byte
}

func (a *accountRows) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		switch {
		case a.rows == 0:
			a.rest = []byte("account_id,name,join_date,industry,billing_street,billing_city,employees,custom_label_dimensions.plan\n")
		case a.written >= a.size:
			return 0, io.EOF
		default:
			a.rest = fmt.Appendf(nil, "account-%d,\"Company number %d, Ltd\",2024-01-02,Manufacturing,%d Long Street,Zürich,%d,premium\n", a.rows, a.rows, a.rows%1000, a.rows%5000)
		}
		a.rows++
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	a.written += int64(n)
	return n, nil
}

// peak returns the largest heap in use, in bytes, while do is at work, above what
// there was before.
func peak(do func()) int64 {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), int64(now.HeapAlloc)-int64(before.HeapAlloc)))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	do()
	close(stop)
	<-stopped
	return most.Load()
}

// TestMemoryDoesNotGrowWithTheFile compares what a file takes with what one of a
// quarter of its size takes.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	w := newWorld(t)
	w.SetBatch(1000, 1<<20)
	check := func(size int64) int64 {
		u, err := w.Create(t.Context(), "acme", ann, "accounts", uploads.Options{})
		w.need(err)
		return peak(func() {
			w.need(w.Receive(t.Context(), "acme", u.ID, &accountRows{size: size}))
			_, err = w.Check(t.Context(), "acme", u.ID, "")
			w.need(err)
			if u := w.run(w.Store, "acme", u.ID); u.State != uploads.Checked || u.Check.Failed > 0 || u.Size < size {
				t.Errorf("%+v", u)
			}
		})
	}
	small, large := check(3<<20), check(12<<20)
	t.Logf("3 MB take %d MB, 12 MB take %d MB", small>>20, large>>20)
	if large > 2*small+(8<<20) {
		t.Errorf("3 MB take %d MB, 12 MB take %d MB", small>>20, large>>20)
	}
}

// BenchmarkLargestFile checks and applies a file of the largest size.
func BenchmarkLargestFile(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		on, in := open(b, embedded.Options{})
		w := uploads.New(uploads.Config{
			Table: on, Files: in, Access: access.New(on, nil), Families: catalog.All(), Engine: resource.New(resource.Config{Table: on, Root: catalog.Root}),
			Start: func(context.Context, string, string) error { return nil },
		})
		b.StartTimer()
		u, err := w.Create(b.Context(), "acme", ann, "accounts", uploads.Options{})
		need(b, err)
		rows := &accountRows{size: uploads.MaxBytes - 1000}
		took := map[string]time.Duration{}
		timed := func(what string, do func()) {
			began := time.Now()
			do()
			took[what] = time.Since(began)
		}
		run := func() {
			for more := true; more; {
				var err error
				more, err = w.Run(b.Context(), "acme", u.ID)
				need(b, err)
			}
		}
		most := peak(func() {
			timed("receive", func() { need(b, w.Receive(b.Context(), "acme", u.ID, rows)) })
			timed("check", func() {
				_, err := w.Check(b.Context(), "acme", u.ID, "")
				need(b, err)
				run()
			})
			timed("apply", func() {
				_, err := w.Apply(b.Context(), "acme", u.ID)
				need(b, err)
				run()
			})
		})
		u, err = w.Get(b.Context(), "acme", u.ID)
		need(b, err)
		if u.State != uploads.Done || u.Apply.Inserted != rows.rows-1 {
			b.Fatalf("%+v", u)
		}
		for what, d := range took {
			b.ReportMetric(d.Seconds(), what+"-s")
			b.ReportMetric(float64(u.Apply.Inserted)/d.Seconds(), what+"-rows/s")
		}
		b.ReportMetric(float64(most)/(1<<20), "peak-MB")
	}
}
