package revenue_test

import (
	"flag"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/revenue"
)

// TestMain lets each of the two properties see 30,000 accounts of one to three
// histories, more than 100,000 in all; -rapid.checks sets another number.
func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "30000")
	os.Exit(m.Run())
}

// dice yields small numbers out of one drawn number.
type dice uint64

func (d *dice) roll(n int) int {
	// The step of SplitMix64: drawn numbers are mostly small.
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}

// happening is an event and when it arrives. Dates are few, so that they meet.
func happening(d dice) (e revenue.Event, now int64) {
	date := func() int64 { return timeOf(3 * d.roll(8)) }
	text := func() (o revenue.Optional[string]) {
		if d.roll(3) == 0 {
			o = revenue.Some([]string{"", "p", "q"}[d.roll(3)])
		}
		return o
	}
	e.Kind = []revenue.Kind{revenue.EventRevenue, revenue.EventRevenue, revenue.EventRevenue, revenue.EventRenewal, revenue.EventRenewal,
		revenue.EventRenewal, revenue.EventEnd, revenue.EventCurrent, revenue.EventCurrent, revenue.EventCurrent}[d.roll(10)]
	from := d.roll(cells - 1)
	e.Start, e.End = timeOf(from), revenue.Open
	if d.roll(2) == 0 {
		e.End = timeOf(from + 1 + d.roll(cells-1-from))
	}
	e.Revenue = []int64{0, 1, 100, 100, 301, -50}[d.roll(6)]
	e.Unit = revenue.Unit(d.roll(3))
	e.Length = []int64{1, 2, 3, 7}[d.roll(4)]
	e.Plan, e.Source = text(), text()
	if d.roll(5) > 1 {
		e.NextRenewal = revenue.Some(date())
		if d.roll(6) == 0 {
			e.NextRenewal.Value = revenue.None
		}
	}
	e.PreviousRenewal = revenue.None
	if d.roll(2) == 0 {
		e.PreviousRenewal = date()
	}
	return e, timeOf(d.roll(cells-1)) + int64(d.roll(2))
}

// accounts yields what happens to each of an account's subscriptions.
func accounts() *rapid.Generator[[][]uint64] {
	return rapid.SliceOfN(rapid.SliceOfN(rapid.Uint64(), 1, 8), 1, 3)
}

// must applies an event that is valid, but for the end of nothing.
func must(t *rapid.T, h revenue.History, e revenue.Event, now int64) revenue.History {
	was := slices.Clone(h)
	next, err := h.Apply(e, now)
	if !slices.Equal(h, was) {
		t.Fatalf("%s: %+v changed the history it was applied to", show(was), e)
	}
	if e.Kind == revenue.EventEnd && len(h) == 0 {
		if err != revenue.ErrUnknown {
			t.Fatalf("the end of nothing: %v", err)
		}
		return h
	}
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	return next
}

func TestEventsDoWhatTheyDoToCells(t *testing.T) {
	t.Parallel()
	accounts := accounts()
	rapid.Check(t, func(t *rapid.T) {
		for _, events := range accounts.Draw(t, "events") {
			var h revenue.History
			for _, d := range events {
				h = checkEvent(t, h, dice(d))
			}
		}
	})
}

// checkEvent applies one event and returns the history after it.
func checkEvent(t *rapid.T, h revenue.History, d dice) revenue.History {
	e, now := happening(d)
	next := must(t, h, e, now)
	fail := func(what string) {
		t.Helper()
		t.Fatalf("%s:\n %s\n + %+v at %s\n = %s", what, show(h), e, days(now), show(next))
	}
	checkForm(next, fail)
	if again := must(t, next, e, now); !slices.Equal(again, next) {
		fail("applied again it becomes " + show(again))
	}
	if e.Kind == revenue.EventCurrent {
		checkSnapshot(t, h, next, e, now, fail)
		return next
	}
	checkOutside(h, next, e, fail)
	if want := modelOf(h).apply(e).history(); !slices.Equal(next, want) {
		fail("want " + show(want))
	}
	return next
}

// checkForm finds the segments in order, apart and not empty.
func checkForm(h revenue.History, fail func(string)) {
	for i, s := range h {
		if s.Start >= s.End || i > 0 && h[i-1].End > s.Start {
			fail("segments out of order")
		}
		if s.Renewed != revenue.None && !s.IsRenewal {
			fail("a tie without a renewal")
		}
		if at, ok := h.At(s.Start); !ok || at != s {
			fail("a segment is not found at its start")
		}
		if at, ok := h.At(s.End - 1); !ok || at != s {
			fail("a segment is not found at its end")
		}
	}
	if !slices.Equal(modelOf(h).history(), h) {
		fail("the model cannot hold it")
	}
}

// checkOutside finds everything but marks the same outside the range.
func checkOutside(h, next revenue.History, e revenue.Event, fail func(string)) {
	from, to := cellOf(e.Start), cellOf(e.End)
	if e.Kind == revenue.EventEnd {
		to = cells
	}
	for i := range cells {
		if i >= from && i < to {
			continue
		}
		was, on := h.At(timeOf(i))
		is, stillOn := next.At(timeOf(i))
		if i >= to { // behind the range it is no renewal any more if it was cut
			was.IsRenewal, was.Renewed = was.IsRenewal && was.Start >= e.End, is.Renewed
		}
		if i < from && was.Start != is.Start || i >= to && was.End != is.End || i >= to && was.IsEnd != is.IsEnd {
			fail("another range outside the range")
		}
		was.Start, was.End, was.IsEnd = 0, 0, false
		is.Start, is.End, is.IsEnd = 0, 0, false
		if on != stillOn || was != is {
			fail("another state outside the range, on day " + days(timeOf(i)))
		}
	}
}

// checkSnapshot finds the terms of the snapshot from the start of the day on
// and everything before as it was, and that it says nothing new later.
func checkSnapshot(t *rapid.T, h, next revenue.History, e revenue.Event, now int64, fail func(string)) {
	change := revenue.NextChange([]revenue.Subscription{{History: next}}, now)
	laters := []int64{min(now+day, change-1), min(timeOf(cells-1)+9*day, change-1)}
	if e.End != revenue.Open && stateAt(next[:len(next)-1], now) == (revenue.Segment{}) {
		laters = append(laters, e.End-1, e.End, e.End+day)
	}
	for _, later := range laters {
		if again := must(t, next, e, later); later >= now && !slices.Equal(again, next) {
			fail("on day " + days(later) + " it becomes " + show(again))
		}
	}
	if len(h) == 0 || e.End <= h[0].Start {
		if len(next) != 1 || next[0].Start != e.Start || next[0].End != e.End || !says(next[0], e) {
			fail("no first snapshot")
		}
		return
	}
	from := max(now/day*day, h[0].Start)
	for i := range cellOf(from) {
		was, on := h.At(timeOf(i))
		is, stillOn := next.At(timeOf(i))
		cut := timeOf(i) >= e.End
		was.End, was.IsEnd, is.End, is.IsEnd = 0, false, 0, false
		if cut && stillOn || !cut && (on != stillOn || was != is) {
			fail("the past changed, on day " + days(timeOf(i)))
		}
	}
	over := now >= h[len(h)-1].End
	last := next[len(next)-1]
	switch {
	case e.End <= from || over && e.End <= h[len(h)-1].End:
		if !last.IsEnd || last.End > e.End {
			fail("not ended")
		}
	case e.End != revenue.Open && (!last.IsEnd || last.End != e.End):
		fail("the end is not there")
	case e.End > now && !says(stateAt(next, now), e):
		fail("not the terms of the snapshot")
	}
}

// stateAt is the segment in force at t, or the next one.
func stateAt(h revenue.History, t int64) revenue.Segment {
	for _, s := range h {
		if s.End > t {
			return s
		}
	}
	return revenue.Segment{}
}

func says(s revenue.Segment, e revenue.Event) bool {
	return s.Revenue == e.Revenue && s.Unit == e.Unit && s.Length == e.Length && (!e.Plan.Given || s.Plan == e.Plan.Value) &&
		(!e.NextRenewal.Given || s.NextRenewal == e.NextRenewal.Value)
}

func TestWhatIsComputedOfHistories(t *testing.T) {
	t.Parallel()
	accounts := accounts()
	rapid.Check(t, func(t *rapid.T) {
		var histories []revenue.History
		var models []model
		for _, events := range accounts.Draw(t, "events") {
			var h revenue.History
			for _, d := range events {
				e, now := happening(dice(d))
				h = must(t, h, e, now)
			}
			histories, models = append(histories, h), append(models, modelOf(h))
		}
		subs := account(histories...)
		fail := func(format string, args ...any) {
			t.Helper()
			for _, h := range histories {
				t.Log(show(h))
			}
			t.Fatalf(format, args...)
		}

		movements := revenue.Movements(subs)
		before, date := int64(0), int64(-1)
		for _, m := range movements {
			if m.Date <= date || m.Before != before || m.Before+m.Amount != m.After || m.Amount == 0 {
				fail("%+v does not follow on %d at %s", m, before, days(date))
			}
			before, date = m.After, m.Date
			checkType(models, movements, m, fail)
		}

		at := turns(models)
		date = -1
		for _, i := range at {
			if got := revenue.NextChange(subs, date); got != timeOf(i) {
				fail("after %s the next change is at %s, want %s", days(date), days(got), days(timeOf(i)))
			}
			date = timeOf(i)
		}
		if got := revenue.NextChange(subs, date); got != revenue.Open {
			fail("after %s the next change is at %s", days(date), days(got))
		}

		var duties []duty
		for _, m := range models {
			duties = append(duties, m.duties(cells)...)
		}
		// Before all, and as of every change until just before the next.
		instants := []int64{-1}
		for _, i := range at {
			instants = append(instants, timeOf(i)-1, timeOf(i))
		}
		sum, want := int64(0), int64(0)
		for _, now := range append(instants, timeOf(cells-1)+9*day) {
			if now%half == 0 {
				want = mrr(models, min(cellOf(now), cells-1))
			}
			for len(movements) > 0 && movements[0].Date <= now {
				sum += movements[0].Amount
				movements = movements[1:]
			}
			if got := revenue.MRR(subs, now); got != want || sum != want {
				fail("at %s MRR is %d, and %d by movements; want %d", days(now), got, sum, want)
			}
			if got, want := revenue.RenewalDate(subs, now), renewalDate(duties, now); got != want {
				fail("at %s the renewal date is %s, want %s", days(now), days(got), days(want))
			}
		}
	})
}

// checkType finds a movement called and attributed as the cells say.
func checkType(models []model, all []revenue.Movement, m revenue.Movement, fail func(string, ...any)) {
	at := cellOf(m.Date)
	var ids []string
	stopped := false
	for i, model := range models {
		var was cell
		if at > 0 {
			was = model.cells[at-1]
		}
		one, other := earns(was), earns(model.cells[at])
		if one != other {
			ids = append(ids, string(rune('a'+i)))
		}
		stopped = stopped || one > 0 && other <= 0 || model.ended[at] && !model.cells[at].on
	}
	first := !slices.ContainsFunc(all, func(o revenue.Movement) bool { return o.Date < m.Date && o.After > 0 })
	want := revenue.Contraction
	switch {
	case m.Amount > 0 && m.After > 0 && first:
		want = revenue.New
	case m.Amount > 0:
		want = revenue.Expansion
	case stopped:
		want = revenue.Churn
	}
	if m.Type != want || !slices.Equal(m.Subscriptions, ids) {
		fail("%+v: want %s of %v", m, want, ids)
	}
}

// earns is what a cell earns a month, in 1/504 of a cent.
func earns(c cell) int64 {
	if !c.on {
		return 0
	}
	twelfths := [...]int64{revenue.Day: 365, revenue.Month: 12, revenue.Year: 1}
	return c.terms.Revenue * twelfths[c.terms.Unit] * 42 / c.terms.Length
}
