package sources_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
	// strangers says that its companies have no account_no, and are called a little
	// otherwise.
	strangers bool
	peak      atomic.Uint64
}

// name returns the name of a company: no two have the same.
func (m *many) name(i int) string {
	syllable := func(n int) string { return string("bdfgklmnprstvwz"[n%15]) + string("aeiou"[n/15%5]) }
	name := fmt.Sprintf("%s%s%s %s%s Trading", syllable(i), syllable(i/75), syllable(i/5625), syllable(i*7), syllable(i/75*11))
	switch {
	case !m.strangers:
		return name + " GmbH"
	case i%3 == 0:
		return strings.ToUpper(name)
	case i%3 == 1:
		return name[:3] + name[4:] + " Ltd."
	}
	return name
}

// body returns a company as it is sent.
func (m *many) body(i int) string {
	account := fmt.Sprintf(`"account_no":"a%d",`, i)
	if m.strangers {
		account = ""
	}
	return fmt.Sprintf(`{"id":%d,"name":%q,"joined":"2024-01-02",%s"tier":"gold","about":%q}`, i, m.name(i), account, strings.Repeat("Some text about it. ", 20))
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
		body.WriteString(m.body(i))
	}
	body.WriteString(`]`)
	if to < m.n {
		fmt.Fprintf(&body, `,"next":"%d"`, to)
	}
	body.WriteString(`}`)
	m.measure()
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&body)}, nil
}

// measure takes note of how much memory is in use.
func (m *many) measure() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if stats.HeapAlloc > m.peak.Load() {
		m.peak.Store(stats.HeapAlloc)
	}
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

// BenchmarkSearch seeks candidates for 100,000 records that wait among 100,000
// accounts, from the store into the store.
func BenchmarkSearch(b *testing.B) {
	for b.Loop() {
		w := newWorld(b)
		w.Store.Connectors[0].Limits = connector.Limits{Pause: time.Second}
		read := func(name string, system *many) *sources.Source {
			w.Store.Transport = system
			s := w.source(name, func(s *sources.Source) {
				s.SystemOfRecord, s.Streams = !system.strangers, map[string]bool{"people": false, "tickets": false}
			})
			w.done(s)
			return s
		}
		const n = 100_000
		read("one", &many{n: n, size: 200})
		theirs := &many{n: n, size: 200, strangers: true}
		s := read("two", theirs)
		runtime.GC()
		theirs.peak.Store(0)
		stop := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
					theirs.measure()
				}
			}
		})
		began := time.Now()
		if err := w.AskSearch(b.Context(), "acme", s.ID); err != nil {
			b.Fatal(err)
		}
		for more := true; more; {
			var err error
			if more, err = w.Work(b.Context(), "acme", "matching/"+s.ID); err != nil {
				b.Fatal(err)
			}
		}
		took := time.Since(began)
		close(stop)
		group.Wait()
		m := w.matching(s)
		if m.Accounts != n || m.Records != n || m.Proposed < n*9/10 {
			b.Fatalf("%+v", m)
		}
		b.ReportMetric(took.Seconds(), "s/search")
		b.ReportMetric(100*float64(m.Proposed)/n, "%-proposed")
		b.ReportMetric(float64(theirs.peak.Load())/(1<<20), "heap-MB")
	}
}
