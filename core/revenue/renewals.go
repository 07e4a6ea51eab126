package revenue

import "slices"

// period is what lies between two renewals of a subscription.
//
// A renewal begins a period; so do the first segment, and the first one after
// an end. The next renewal dates in one period are one due date that was moved:
// the last one named holds, None too (contract Q18), and a renewal tied to any
// of them renews the period. A date that was renewed before the period began is
// not named anew by it: behind a closed range the segment that was split goes
// on with the date it always had.
//
// A run is the periods from a start of the subscription to its end.
type period struct {
	start   int64
	due     int64 // or None
	renewed bool
	run     int   // the index of the first period of the run
	end     int64 // of the run, Open if it has not ended
}

// openAt reports whether the renewal of the period is due or to come. One that
// nobody made stays open while the subscription goes on, and counts before the
// first segment starts. It is gone when the run has ended, and is none at all
// if the run ends before it is due.
func (p period) openAt(t int64) bool {
	return p.due != None && !p.renewed && p.due < p.end && t < p.end
}

// ties returns the due dates which renewals are tied to, each with the start of
// the first of them.
func ties(histories ...History) map[int64]int64 {
	first := map[int64]int64{}
	for _, h := range histories {
		for _, s := range h {
			if _, seen := first[s.Renewed]; s.IsRenewal && s.Renewed != None && !seen {
				first[s.Renewed] = s.Start
			}
		}
	}
	return first
}

// periods returns the periods of the history under those ties.
func (h History) periods(ties map[int64]int64) []period {
	var all []period
	run := 0
	for i, s := range h {
		restart := i > 0 && h[i-1].IsEnd
		if restart {
			run = len(all)
		}
		if i == 0 || restart || s.IsRenewal {
			all = append(all, period{start: s.Start, due: None, run: run, end: Open})
		}
		p := &all[len(all)-1]
		by, tied := ties[s.NextRenewal]
		if !tied || by > p.start {
			p.due = s.NextRenewal
			p.renewed = p.renewed || tied
		}
		if s.IsEnd {
			for j := run; j < len(all); j++ {
				all[j].end = s.End
			}
		}
	}
	return all
}

// tie returns the due date that a renewal between before and after is for, or
// None (contract S5): previous, if a segment before it named that as its next
// renewal date, else the earliest due date before it that no other renewal is
// tied to. The latter looks no further back than the run that goes on or, if
// the renewal follows an end, the run that had ended: what was due in a run long
// over does not stand in the way of what is due in this one.
func tie(before, after History, previous int64) int64 {
	named := func(s Segment) bool { return s.NextRenewal == previous }
	if previous != None && slices.ContainsFunc(before, named) {
		return previous
	}
	all := before.periods(ties(before, after))
	if len(all) == 0 {
		return None
	}
	earliest := int64(None)
	for _, p := range all[all[len(all)-1].run:] {
		if p.due != None && !p.renewed && (earliest == None || p.due < earliest) {
			earliest = p.due
		}
	}
	return earliest
}

// RenewalDate returns the earliest open renewal of an account's subscriptions
// at t, or None (contract S5, Q17).
func RenewalDate(subs []Subscription, t int64) int64 {
	earliest := int64(None)
	for _, sub := range subs {
		for _, p := range sub.History.periods(ties(sub.History)) {
			if p.openAt(t) && (earliest == None || p.due < earliest) {
				earliest = p.due
			}
		}
	}
	return earliest
}

// NextChange returns the earliest instant after t at which MRR or RenewalDate
// may change by time alone, a start or an end of a segment; Open if they never
// do.
func NextChange(subs []Subscription, t int64) int64 {
	next := int64(Open)
	for _, sub := range subs {
		for _, s := range sub.History {
			if s.Start > t {
				next = min(next, s.Start)
			}
			if s.End > t {
				next = min(next, s.End)
			}
		}
	}
	return next
}
