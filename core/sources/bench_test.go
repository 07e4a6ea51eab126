package sources_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/connector"
	"tenure/core/sources"
)

// many answers for a system with that many companies, made while they are asked
// for, so that the stand-in needs no memory for them.
type many struct {
	n, size int
	peak    atomic.Uint64
}

func (m *many) RoundTrip(r *http.Request) (*http.Response, error) {
	from, _ := strconv.Atoi(r.URL.Query().Get("page"))
	var body bytes.Buffer
	body.WriteString(`{"items":[`)
	to := min(from+m.size, m.n)
	for i := from; i < to; i++ {
		if i > from {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":%d,"name":"Company number %d","joined":"2024-01-02","account_no":"a%d","tier":"gold","about":%q}`, i, i, i, strings.Repeat("Some text about it. ", 20))
	}
	body.WriteString(`]`)
	if to < m.n {
		fmt.Fprintf(&body, `,"next":"%d"`, to)
	}
	body.WriteString(`}`)
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if stats.HeapAlloc > m.peak.Load() {
		m.peak.Store(stats.HeapAlloc)
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&body)}, nil
}

// BenchmarkSync reads 100,000 records into accounts, and once more without changes.
func BenchmarkSync(b *testing.B) {
	for b.Loop() {
		system := &many{n: 100_000, size: 200}
		w := newWorld(b)
		w.Store.Transport = system
		w.Store.Connectors[0].Limits = connector.Limits{Pause: time.Second}
		s := w.source("one", func(s *sources.Source) {
			s.SystemOfRecord, s.Streams = true, map[string]bool{"people": false, "tickets": false}
		})
		began := time.Now()
		if r := w.done(s); r.Total().Inserted != system.n {
			b.Fatal(counts(r))
		}
		first, before := time.Since(began), w.writes
		began = time.Now()
		if r := w.done(s); r.Total().Passed != system.n || w.writes != before {
			b.Fatalf("%s, %d writes", counts(r), w.writes-before)
		}
		b.ReportMetric(float64(system.n)/first.Seconds(), "first-records/s")
		b.ReportMetric(float64(system.n)/time.Since(began).Seconds(), "again-records/s")
		b.ReportMetric(float64(system.peak.Load())/(1<<20), "heap-MB")
	}
}
