// Package revenue keeps the history of a subscription and computes from it
// what an account earns a month (MRR), how that moved, and when the next
// renewal is due. It is pure: no clock, no storage.
//
// Instants are epoch milliseconds, revenue is in cents.
package revenue

import (
	"math"
	"slices"
	"sort"
)

const (
	// Open is the end of what has no end.
	Open = math.MaxInt64
	// None is the date that is not there.
	None = math.MinInt64
)

// Unit is what the length of a billing cycle counts.
type Unit uint8

const (
	Day Unit = iota
	Month
	Year
)

var units = [...]string{Day: "day", Month: "month", Year: "year"}

// ParseUnit reads a cycle_unit; choices are exact, lower case (contract Q19).
func ParseUnit(word string) (unit Unit, ok bool) {
	i := slices.Index(units[:], word)
	return Unit(max(i, 0)), i >= 0
}

// String returns the unit as cycle_unit says it.
func (u Unit) String() string { return units[u] }

// Segment is a stretch [Start, End) of a subscription in which its terms were
// the same.
type Segment struct {
	Start, End   int64 // End is Open when it goes on
	Revenue      int64 // cents per cycle of Length Units
	Unit         Unit
	Length       int64 // positive
	Plan, Source string
	NextRenewal  int64 // when the next renewal is due, or None
	IsEnd        bool  // the subscription ended with it
	IsRenewal    bool  // it began with a renewal
	Renewed      int64 // the due date which that renewal is tied to, or None
}

// blank is a segment that says nothing: what is inherited where nothing is.
var blank = Segment{NextRenewal: None, Renewed: None}

// History is the segments of one subscription in the order of time. They are
// not empty and do not overlap; between two of them the subscription may have
// been out of force. Neighbours of equal terms stay two, so that the segment of
// every event is found at its start (contract S1, S6).
type History []Segment

// At returns the segment in force at t.
func (h History) At(t int64) (Segment, bool) {
	i := sort.Search(len(h), func(i int) bool { return h[i].End > t })
	if i == len(h) || h[i].Start > t {
		return Segment{}, false
	}
	return h[i], true
}

// Shown returns the segment by which the subscription is shown: the one in
// force now, else the last one (contract S2). A history without segments has
// none.
func (h History) Shown(now int64) (Segment, bool) {
	if s, ok := h.At(now); ok || len(h) == 0 {
		return s, ok
	}
	return h[len(h)-1], true
}

// Without returns the history without the segment that starts exactly at
// start, and whether there was one (contract S6).
func (h History) Without(start int64) (History, bool) {
	i := slices.IndexFunc(h, func(s Segment) bool { return s.Start == start })
	if i < 0 {
		return h, false
	}
	return append(append(make(History, 0, len(h)-1), h[:i]...), h[i+1:]...), true
}

// Subscription is one of an account's subscriptions.
type Subscription struct {
	ID      string
	History History
}
