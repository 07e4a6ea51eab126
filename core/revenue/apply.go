package revenue

import (
	"errors"
	"slices"
)

// Kind says what an Event is about.
type Kind uint8

const (
	EventRevenue Kind = iota // the terms changed, or the subscription began
	EventRenewal             // it was renewed, perhaps on other terms
	EventEnd                 // it ended
	EventCurrent             // a snapshot: the terms today, whatever happened
)

// Optional is a value that may be left out. One given as null is given as "",
// or as None.
type Optional[T any] struct {
	Given bool
	Value T
}

// Some returns a value that is given.
func Some[T any](v T) Optional[T] { return Optional[T]{Given: true, Value: v} }

func (o Optional[T]) or(other T) T {
	if o.Given {
		return o.Value
	}
	return other
}

// Event is one record of a request: what happened to a subscription.
type Event struct {
	Kind         Kind
	Start        int64 // effective_start_date
	End          int64 // effective_end_date; Open when left out
	Revenue      int64 // cents per cycle
	Unit         Unit
	Length       int64
	Plan, Source Optional[string]
	NextRenewal  Optional[int64]
	// PreviousRenewal is the due date that a renewal says it is for; None when
	// left out.
	PreviousRenewal int64
}

// Why an event is refused (contract Q19).
var (
	ErrLength  = errors.New("the length of the cycle is not positive")
	ErrRange   = errors.New("the end is not after the start")
	ErrUnknown = errors.New("the end of an unknown subscription")
)

// Apply returns the history after an event that arrives at now (contract S1);
// h stays as it is. An event applied twice in a row changes nothing the second
// time.
//
// A revenue event overwrites [Start, End): segments that overlap the range are
// cut or split, those inside it go. What lies before and behind keeps its
// terms; the part in front of the range has no end mark any more, since the
// end is moved or gone, and the part behind it is no renewal, since it does not
// begin with one. The range gets one new segment. Next renewal date, plan and
// source are those of the segment in force at Start where the event leaves them
// out (Q18). An end exactly at the end of the range lies outside it and stays:
// who corrects the last months of a subscription does not take back its end.
//
// A renewal event does the same and marks the new segment as a renewal, tied to
// the due date it is for (see tie). The next renewal date is not inherited: it
// is what was just renewed.
//
// An end event removes what starts at or after its Start, cuts there, and marks
// the last segment left as the end. That one may have ended before, without a
// mark; it is marked all the same, or its renewal would stay due for ever.
//
// A snapshot is described at current.
func (h History) Apply(e Event, now int64) (History, error) {
	switch {
	case e.Kind == EventEnd && len(h) == 0:
		return nil, ErrUnknown
	case e.Kind == EventEnd:
		return h.endAt(e.Start), nil
	case e.Length <= 0:
		return nil, ErrLength
	case e.End <= e.Start:
		return nil, ErrRange
	case e.Kind == EventCurrent:
		return h.current(e, now), nil
	}
	s := e.over(h.termsAt(e.Start))
	if e.Kind == EventRenewal {
		s.NextRenewal = e.NextRenewal.or(None)
		s.IsRenewal = true
		before, after := h.cut(s.Start, s.End)
		s.Renewed = tie(before, after, e.PreviousRenewal)
	}
	return h.overwrite(s), nil
}

// over returns the segment that e describes; what e leaves out is as in base.
func (e Event) over(base Segment) Segment {
	return Segment{
		Start: e.Start, End: e.End,
		Revenue: e.Revenue, Unit: e.Unit, Length: e.Length,
		Plan: e.Plan.or(base.Plan), Source: e.Source.or(base.Source),
		NextRenewal: e.NextRenewal.or(base.NextRenewal),
		Renewed:     None,
	}
}

// termsAt returns the segment in force at t, or a blank one.
func (h History) termsAt(t int64) Segment {
	if s, ok := h.At(t); ok {
		return s
	}
	return blank
}

// cut returns what the history holds before from, and what from to on.
func (h History) cut(from, to int64) (before, after History) {
	for _, s := range h {
		if s.Start < from {
			b := s
			if s.End > from {
				b.End, b.IsEnd = from, false
			}
			before = append(before, b)
		}
		if s.End > to {
			a := s
			if s.Start < to {
				a.Start, a.IsRenewal, a.Renewed = to, false, None
			}
			after = append(after, a)
		}
	}
	return before, after
}

// overwrite returns the history with s in the place of all that its range held.
func (h History) overwrite(s Segment) History {
	if slices.ContainsFunc(h, func(old Segment) bool { return old.IsEnd && old.End == s.End }) {
		s.IsEnd = true
	}
	before, after := h.cut(s.Start, s.End)
	return slices.Concat(before, History{s}, after)
}

// endAt returns the history ended at t; empty, not nil, if it began no earlier.
func (h History) endAt(t int64) History {
	before, _ := h.cut(t, Open)
	if len(before) == 0 {
		return History{}
	}
	before[len(before)-1].IsEnd = true
	return before
}

// current returns the history after a snapshot (contract S1).
//
// The first one is the start of the subscription, and its end if it has one.
// Later ones are compared with the segment in force now, or the next one to
// come, and a difference counts from the start of the day on (in UTC), or from
// the start of the subscription if that is later:
//
//   - Another revenue, cycle or plan, if it is given, is a revenue change.
//     Another source alone is none.
//   - A next renewal date moved later is a renewal, tied to the date before.
//     Moved earlier, set or cleared it is a revenue change. Left out, it stays.
//   - With End, the subscription ends there: what starts later is gone and not
//     compared with, and an end planned for another instant is moved. An end
//     before the day only ends it: terms do not change in the past. If all that
//     is known starts later, the snapshot is a first one.
//   - Without End, the end planned for the run of the segment stays: that a
//     snapshot is silent about it does not say that it was called off.
//   - When all is over the subscription starts again, unless the snapshot's End
//     is over too.
//
// A renewal that took effect on this very day is not lost to a second snapshot
// with other terms: the mark and its tie stay, until a next renewal date that
// is no later than the renewed one takes the renewal back.
func (h History) current(e Event, now int64) History {
	if i := slices.IndexFunc(h, func(s Segment) bool { return s.Start >= e.End }); i >= 0 {
		h = h[:i]
	}
	if len(h) == 0 {
		s := e.over(blank)
		s.IsEnd = e.End != Open
		return History{s}
	}
	at := slices.IndexFunc(h, func(s Segment) bool { return s.End > now })
	over := at < 0
	from := max(startOfDay(now), h[0].Start)
	if e.End <= from || over && e.End <= h[len(h)-1].End {
		return h.endAt(e.End)
	}
	if over {
		s := e.over(h.termsAt(from))
		s.Start, s.IsEnd = from, e.End != Open
		return h.overwrite(s)
	}
	if s := e.over(h[at]); s.differs(h[at]) {
		s.Start = from
		if e.End == Open {
			s.End = h.plannedEnd(at)
		}
		s.Renewed, s.IsRenewal = h.renewedSince(from, at, s.NextRenewal)
		h = h.overwrite(s)
	}
	if e.End != Open {
		h = h.endAt(e.End)
		h[len(h)-1].End = e.End
	}
	return h
}

// differs reports whether two segments have other terms.
func (s Segment) differs(from Segment) bool {
	return s.Revenue != from.Revenue || s.Unit != from.Unit || s.Length != from.Length ||
		s.Plan != from.Plan || s.NextRenewal != from.NextRenewal
}

// plannedEnd returns the end of the run which the segment at index at is part
// of.
func (h History) plannedEnd(at int) int64 {
	for _, s := range h[at:] {
		if s.IsEnd {
			return s.End
		}
	}
	return Open
}

// renewedSince tells whether a snapshot that says next is a renewal of the
// segment at index at, and which due date it is tied to. A renewal since from
// is already there and keeps its tie.
func (h History) renewedSince(from int64, at int, next int64) (due int64, ok bool) {
	for i := at; i >= 0 && h[i].Start >= from; i-- {
		if h[i].IsRenewal && (next == None || next > h[i].Renewed) {
			return h[i].Renewed, true
		}
	}
	if due = h[at].NextRenewal; due != None && next > due {
		return due, true
	}
	return None, false
}

// startOfDay returns 00:00 UTC of the day of t.
func startOfDay(t int64) int64 {
	const day = 24 * 60 * 60 * 1000
	into := t % day
	if into < 0 {
		into += day
	}
	return t - into
}
