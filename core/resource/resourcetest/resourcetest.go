// Package resourcetest is what tests of the engine, and of what is built on it,
// have in common.
package resourcetest

import (
	"context"
	"sync/atomic"
	"time"

	"tenure/core/resource"
	"tenure/core/schema"
)

// Failer is what *testing.T and *rapid.T have in common.
type Failer interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// Clock is a time that moves when the test says so, and else by a microsecond
// whenever it is looked at.
type Clock struct{ us atomic.Int64 }

// NewClock returns a clock that begins at an instant (epoch ms).
func NewClock(at int64) *Clock {
	c := &Clock{}
	c.us.Store(at * 1000)
	return c
}

// Now returns the time.
func (c *Clock) Now() time.Time { return time.UnixMicro(c.us.Add(1)) }

// Advance moves the time on.
func (c *Clock) Advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// Page returns the records of one page of a list.
func Page(t Failer, e *resource.Engine, l resource.List) (records []schema.Record) {
	t.Helper()
	listing, failure, err := e.List(t.Context(), l)
	if failure != nil || err != nil {
		t.Fatalf("%+v: %v, %v", l, failure, err)
	}
	for {
		some, err := listing.Next(t.Context())
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		if len(some) == 0 {
			return records
		}
		records = append(records, some...)
	}
}
