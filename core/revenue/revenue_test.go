package revenue_test

import (
	"errors"
	"math"
	"testing"

	"tenure/core/revenue"
)

func TestApply(t *testing.T) {
	for _, c := range []struct {
		what   string
		events []string
		want   string
	}{
		// Revenue.
		{"a subscription starts",
			[]string{"revenue 0.. 100/3month due=90 plan=p src=s"}, "0.. 100/3month due=90 plan=p src=s"},
		{"a change cuts what goes on",
			[]string{"revenue 0.. 100", "revenue 10.. 200"}, "0..10 100; 10.. 200"},
		{"a back-dated change in the middle removes what came later",
			[]string{"revenue 0.. 100", "revenue 10.. 200", "revenue 5.. 300"}, "0..5 100; 5.. 300"},
		{"a closed range splits, and what was goes on behind it",
			[]string{"revenue 0.. 100 due=30 plan=p", "revenue 5..10 300 due=40 plan=q"},
			"0..5 100 due=30 plan=p; 5..10 300 due=40 plan=q; 10.. 100 due=30 plan=p"},
		{"a closed range over several removes the covered and cuts the others",
			[]string{"revenue 0.. 1", "revenue 5.. 2", "revenue 10.. 3", "revenue 15.. 4", "revenue 7..17 9"},
			"0..5 1; 5..7 2; 7..17 9; 17.. 4"},
		{"the same range again replaces it",
			[]string{"revenue 0.. 1", "revenue 5..10 2", "revenue 5..10 3"}, "0..5 1; 5..10 3; 10.. 1"},
		{"overlapping ranges: the one posted last holds",
			[]string{"revenue 0..10 1", "revenue 5..15 2", "revenue 3..7 3"}, "0..3 1; 3..7 3; 7..15 2"},
		{"ranges may leave gaps",
			[]string{"revenue 10..15 2", "revenue 0..5 1"}, "0..5 1; 10..15 2"},
		{"ranges that touch do not cut each other",
			[]string{"revenue 0..5 1", "revenue 5..10 1"}, "0..5 1; 5..10 1"},
		{"equal neighbours stay two",
			[]string{"revenue 0.. 1", "revenue 5.. 1"}, "0..5 1; 5.. 1"},
		{"a start in the future",
			[]string{"revenue 50.. 1 now=3"}, "50.. 1"},
		{"a start before all",
			[]string{"revenue 10.. 1", "revenue 5..7 2"}, "5..7 2; 10.. 1"},

		// What is left out.
		{"the next renewal date, the plan and the source are inherited from the segment cut",
			[]string{"revenue 0.. 1 due=30 plan=p src=s", "revenue 5.. 2"},
			"0..5 1 due=30 plan=p src=s; 5.. 2 due=30 plan=p src=s"},
		{"also from the one replaced at the same start",
			[]string{"revenue 0.. 1 due=30 plan=p", "revenue 0.. 2"}, "0.. 2 due=30 plan=p"},
		{"but not from one that is over",
			[]string{"revenue 0..5 1 due=30 plan=p src=s", "revenue 5.. 2"}, "0..5 1 due=30 plan=p src=s; 5.. 2"},
		{"null clears them",
			[]string{"revenue 0.. 1 due=30 plan=p src=s", "revenue 5.. 2 due=null plan=null src=null"},
			"0..5 1 due=30 plan=p src=s; 5.. 2"},

		// Ends.
		{"an end cuts and marks",
			[]string{"revenue 0.. 1 due=30", "end 10"}, "0..10 1 due=30 end"},
		{"and removes what comes later",
			[]string{"revenue 0.. 1", "revenue 10.. 2", "revenue 20.. 3", "end 15"}, "0..10 1; 10..15 2 end"},
		{"also what starts at that instant, and marks the one before it",
			[]string{"revenue 0.. 1", "revenue 10.. 2", "end 10"}, "0..10 1 end"},
		{"one that came to its end before is marked as the end",
			[]string{"revenue 0..10 1", "end 12"}, "0..10 1 end"},
		{"an end before the start leaves nothing",
			[]string{"revenue 5.. 1", "end 5"}, ""},
		{"an earlier end replaces a later one",
			[]string{"revenue 0.. 1", "end 10", "end 8"}, "0..8 1 end"},
		{"a later one does not prolong",
			[]string{"revenue 0.. 1", "end 8", "end 10"}, "0..8 1 end"},
		{"a restart",
			[]string{"revenue 0.. 1 due=30 plan=p", "end 10", "revenue 20.. 2"},
			"0..10 1 due=30 plan=p end; 20.. 2"},
		{"a restart at the end does not take it back",
			[]string{"revenue 0.. 1", "end 10", "revenue 10.. 2"}, "0..10 1 end; 10.. 2"},
		{"a change before the end, open, takes it back",
			[]string{"revenue 0.. 1", "end 10", "revenue 5.. 2"}, "0..5 1; 5.. 2"},
		{"also a range that goes beyond it",
			[]string{"revenue 0.. 1", "end 10", "revenue 5..15 2"}, "0..5 1; 5..15 2"},
		{"not one inside: the end is behind it",
			[]string{"revenue 0.. 1", "end 10", "revenue 5..7 2"}, "0..5 1; 5..7 2; 7..10 1 end"},
		{"not one up to it either",
			[]string{"revenue 0.. 1", "end 10", "revenue 5..10 2"}, "0..5 1; 5..10 2 end"},
		{"an end after a restart marks that one",
			[]string{"revenue 0.. 1", "end 10", "revenue 20.. 2", "end 30"}, "0..10 1 end; 20..30 2 end"},

		// Renewals.
		{"a renewal is tied to the date that is due, and does not inherit it",
			[]string{"revenue 0.. 1 due=30 plan=p src=s", "renewal 30.. 1"},
			"0..30 1 due=30 plan=p src=s; 30.. 1 plan=p src=s renewal of=30"},
		{"it may be early, dearer and name the next one",
			[]string{"revenue 0.. 1 due=30", "renewal 25.. 2 due=60"}, "0..25 1 due=30; 25.. 2 due=60 renewal of=30"},
		{"a renewal of nothing is one all the same",
			[]string{"renewal 0.. 1 due=30"}, "0.. 1 due=30 renewal"},
		{"a previous date that matches",
			[]string{"revenue 0.. 1 due=30", "renewal 40.. 1 due=60", "renewal 70.. 1 prev=60"},
			"0..40 1 due=30; 40..70 1 due=60 renewal of=30; 70.. 1 renewal of=60"},
		{"one that matches a date which was moved since",
			[]string{"revenue 0.. 1 due=30", "revenue 10.. 1 due=40", "renewal 40.. 1 prev=30"},
			"0..10 1 due=30; 10..40 1 due=40; 40.. 1 renewal of=30"},
		{"one that does not match: the earliest date not renewed",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 1 due=60", "renewal 61.. 1 prev=59 due=90"},
			"0..30 1 due=30; 30..61 1 due=60 renewal of=30; 61.. 1 due=90 renewal of=60"},
		{"one that matches only what the renewal overwrites, or comes after it",
			[]string{"revenue 0.. 1 due=30", "revenue 20.. 1 due=77", "revenue 50.. 1 due=88", "renewal 20..50 1 prev=77"},
			"0..20 1 due=30; 20..50 1 renewal of=30; 50.. 1 due=88"},
		{"a renewal that was missed comes first",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 1 prev=99 due=60", "revenue 0..30 1 due=25", "renewal 61.. 1"},
			"0..30 1 due=25; 30..61 1 due=60 renewal of=30; 61.. 1 renewal of=25"},
		{"a date moved by a revenue event is due once",
			[]string{"revenue 0.. 1 due=30", "revenue 10.. 1 due=40", "renewal 40.. 1 due=70", "renewal 70.. 1"},
			"0..10 1 due=30; 10..40 1 due=40; 40..70 1 due=70 renewal of=40; 70.. 1 renewal of=70"},
		{"a renewal tied to the date as it was before renews the date as it is",
			[]string{"revenue 0.. 1 due=30", "revenue 10.. 1 due=40", "renewal 40.. 1 prev=30 due=70", "renewal 70.. 1"},
			"0..10 1 due=30; 10..40 1 due=40; 40..70 1 due=70 renewal of=30; 70.. 1 renewal of=70"},
		{"a date cleared is not due",
			[]string{"revenue 0.. 1 due=30", "revenue 10.. 1 due=null", "renewal 40.. 1"},
			"0..10 1 due=30; 10..40 1; 40.. 1 renewal"},
		{"nothing left to renew",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 1", "renewal 60.. 1"},
			"0..30 1 due=30; 30..60 1 renewal of=30; 60.. 1 renewal"},
		{"a renewal for one term leaves what was behind it, not as a renewal",
			[]string{"revenue 0.. 1 due=30", "renewal 30..60 2 due=60"},
			"0..30 1 due=30; 30..60 2 due=60 renewal of=30; 60.. 1 due=30"},
		{"the next one is tied to the date that the first term named",
			[]string{"revenue 0.. 1 due=30", "renewal 30..60 2 due=60", "renewal 60..90 3 due=90"},
			"0..30 1 due=30; 30..60 2 due=60 renewal of=30; 60..90 3 due=90 renewal of=60; 90.. 1 due=30"},
		{"a back-dated renewal does not take the date of a later one",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 2 due=60", "renewal 10..20 3"},
			"0..10 1 due=30; 10..20 3 renewal; 20..30 1 due=30; 30.. 2 due=60 renewal of=30"},
		{"a revenue event at the start of a renewal overwrites it",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 2 due=60", "revenue 30.. 3"},
			"0..30 1 due=30; 30.. 3 due=60"},
		{"so that the date can be renewed again",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 2 due=60", "revenue 30.. 3 due=30", "renewal 31.. 3"},
			"0..30 1 due=30; 30..31 3 due=30; 31.. 3 renewal of=30"},
		{"the front part of a renewal stays one, its back part is none",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 2 due=60", "revenue 40..50 3"},
			"0..30 1 due=30; 30..40 2 due=60 renewal of=30; 40..50 3 due=60; 50.. 2 due=60"},
		{"a renewal after the end renews what was due",
			[]string{"revenue 0.. 1 due=30", "end 30", "renewal 35.. 1 due=60"},
			"0..30 1 due=30 end; 35.. 1 due=60 renewal of=30"},
		{"what was due in a run long over is not renewed in another",
			[]string{"revenue 0.. 1 due=30", "end 30", "revenue 35.. 1 due=60", "renewal 60.. 1"},
			"0..30 1 due=30 end; 35..60 1 due=60; 60.. 1 renewal of=60"},
		{"unless the renewal says so",
			[]string{"revenue 0.. 1 due=30", "end 30", "revenue 35.. 1 due=60", "renewal 60.. 1 prev=30"},
			"0..30 1 due=30 end; 35..60 1 due=60; 60.. 1 renewal of=30"},

		// Snapshots.
		{"the first snapshot is a start, in the past or to come",
			[]string{"current 3.. 100 due=30 plan=p src=s now=7.5"}, "3.. 100 due=30 plan=p src=s"},
		{"an end given is an end",
			[]string{"current 3..9 100 now=7.5"}, "3..9 100 end"},
		{"the same again changes nothing, on any day",
			[]string{"current 3.. 100 due=30 now=7.5", "current 3.. 100 due=30 now=7.7", "current 3.. 100 due=30 now=40"},
			"3.. 100 due=30"},
		{"another revenue counts from the start of the day",
			[]string{"current 0.. 100 due=30 plan=p src=s now=1", "current 0.. 200 now=7.5"},
			"0..7 100 due=30 plan=p src=s; 7.. 200 due=30 plan=p src=s"},
		{"so do another cycle and another plan",
			[]string{"current 0.. 100 plan=p", "current 0.. 100/2month now=7.5", "current 0.. 100/2year now=8.5", "current 0.. 100/2year plan=q now=9.5", "current 0.. 100/2year plan=null now=10.5"},
			"0..7 100 plan=p; 7..8 100/2month plan=p; 8..9 100/2year plan=p; 9..10 100/2year plan=q; 10.. 100/2year"},
		{"another source alone is no change",
			[]string{"current 0.. 100 src=s", "current 0.. 100 src=z now=7.5"}, "0.. 100 src=s"},
		{"it comes along with one",
			[]string{"current 0.. 100 src=s", "current 0.. 200 src=z now=7.5"}, "0..7 100 src=s; 7.. 200 src=z"},
		{"two changes a day leave the last one",
			[]string{"current 0.. 100 due=30", "current 0.. 200 now=7.2", "current 0.. 300 now=7.9"},
			"0..7 100 due=30; 7.. 300 due=30"},
		{"also before 1970",
			[]string{"current -10.. 100", "current -10.. 200 now=-6.5"}, "-10..-7 100; -7.. 200"},
		{"a change before the subscription starts counts from its start",
			[]string{"current 20.. 100 due=50 now=7.5", "current 20.. 200 now=8.5"}, "20.. 200 due=50"},
		{"on the day it starts as well",
			[]string{"current 7.3.. 100 now=7.5", "current 7.3.. 200 now=7.6"}, "7.3.. 200"},
		{"a change covers what else began today, and inherits from what is in force",
			[]string{"revenue 0.. 1 due=30", "revenue 7.3.. 2 due=40", "current 0.. 3 now=7.5"},
			"0..7 1 due=30; 7.. 3 due=40"},
		{"what was planned is overwritten",
			[]string{"revenue 0.. 1", "revenue 20.. 2", "current 0.. 3 now=7.5"}, "0..7 1; 7.. 3"},
		{"and stays without a change",
			[]string{"revenue 0.. 1", "revenue 20.. 2", "current 0.. 1 now=7.5"}, "0..20 1; 20.. 2"},
		{"in a gap the next one to come is compared",
			[]string{"revenue 0..5 1", "revenue 20.. 2 due=50", "current 0.. 2 now=7.5"}, "0..5 1; 20.. 2 due=50"},
		{"and a difference from it counts from today",
			[]string{"revenue 0..5 1", "revenue 20.. 2 due=50", "current 0.. 1 now=7.5"}, "0..5 1; 7.. 1 due=50"},

		{"a next renewal date moved later is a renewal of the one before",
			[]string{"current 0.. 1 due=30", "current 0.. 1 due=60 now=31.5"},
			"0..31 1 due=30; 31.. 1 due=60 renewal of=30"},
		{"on other terms if they changed too",
			[]string{"current 0.. 1 due=30 plan=p", "current 0.. 2/1year due=60 now=31.5"},
			"0..31 1 due=30 plan=p; 31.. 2/1year due=60 plan=p renewal of=30"},
		{"moved earlier it is a change",
			[]string{"current 0.. 1 due=30", "current 0.. 1 due=20 now=7.5"}, "0..7 1 due=30; 7.. 1 due=20"},
		{"so is setting it",
			[]string{"current 0.. 1", "current 0.. 1 due=30 now=7.5"}, "0..7 1; 7.. 1 due=30"},
		{"and clearing it",
			[]string{"current 0.. 1 due=30", "current 0.. 1 due=null now=7.5"}, "0..7 1 due=30; 7.. 1"},
		{"a change on the day of a renewal leaves it one",
			[]string{"current 0.. 1 due=30", "current 0.. 1 due=60 now=31.2", "current 0.. 2 now=31.5"},
			"0..31 1 due=30; 31.. 2 due=60 renewal of=30"},
		{"also of one that was posted as such",
			[]string{"revenue 0.. 1 due=30", "renewal 31.2.. 1 due=60", "current 0.. 2 now=31.5"},
			"0..31 1 due=30; 31.. 2 due=60 renewal of=30"},
		{"a date moved again that day is the same renewal",
			[]string{"current 0.. 1 due=30", "current 0.. 1 due=60 now=31.2", "current 0.. 1 due=70 now=31.5", "current 0.. 1 due=65 now=31.6", "current 0.. 1 due=null now=31.7"},
			"0..31 1 due=30; 31.. 1 renewal of=30"},
		{"one that is taken back that day is none",
			[]string{"current 0.. 1 due=30", "current 0.. 1 due=60 now=31.2", "current 0.. 1 due=30 now=31.5"},
			"0..31 1 due=30; 31.. 1 due=30"},
		{"the day after it is a renewal of its own",
			[]string{"current 0.. 1 due=30", "current 0.. 1 due=60 now=31.5", "current 0.. 1 due=70 now=32.5"},
			"0..31 1 due=30; 31..32 1 due=60 renewal of=30; 32.. 1 due=70 renewal of=60"},

		{"an end to come is planned",
			[]string{"current 0.. 1", "current 0..20 1 now=7.5"}, "0..20 1 end"},
		{"silence about it leaves it",
			[]string{"current 0..20 1", "current 0.. 1 now=7.5"}, "0..20 1 end"},
		{"also when the terms change",
			[]string{"current 0..20 1 due=30", "current 0.. 2 now=7.5"}, "0..7 1 due=30; 7..20 2 due=30 end"},
		{"and leaves what starts again behind it",
			[]string{"current 0..20 1", "revenue 25.. 5", "current 0.. 2 now=7.5"}, "0..7 1; 7..20 2 end; 25.. 5"},
		{"an end moved earlier",
			[]string{"current 0..20 1", "current 0..15 1 now=7.5"}, "0..15 1 end"},
		{"an end moved later",
			[]string{"current 0..20 1", "current 0..25 1 now=7.5"}, "0..25 1 end"},
		{"an end moved later with other terms",
			[]string{"current 0..20 1", "current 0..25 2 now=7.5"}, "0..7 1; 7..25 2 end"},
		{"an end removes what was planned behind it",
			[]string{"revenue 0.. 1", "revenue 20.. 2", "revenue 30.. 3", "current 0..25 1 now=7.5"}, "0..20 1; 20..25 2 end"},
		{"in a gap, an end before what was planned: it starts again today, up to that",
			[]string{"current 0..4 1", "revenue 18.. 2 due=50", "current 0..15 2 now=7.5"}, "0..4 1 end; 7..15 2 end"},
		{"an end behind a closed range prolongs it",
			[]string{"revenue 0..10 1", "current 0..20 1 now=7.5"}, "0..20 1 end"},
		{"an end today ends it today, on the terms of today",
			[]string{"current 0.. 1", "current 0..7.25 2 now=7.5"}, "0..7 1; 7..7.25 2 end"},
		{"an end in the past cuts, and changes no terms before it",
			[]string{"current 0.. 1", "current 0..5 2 now=7.5"}, "0..5 1 end"},
		{"an end at the start of the day too",
			[]string{"current 0.. 1", "current 0..7 2 now=7.5"}, "0..7 1 end"},
		{"after it, it stays ended",
			[]string{"current 0..5 1 now=2", "current 0..5 1 now=7.5", "current 0..5 9 now=8.5"}, "0..5 1 end"},
		{"an end not known so far is marked",
			[]string{"revenue 0..5 1", "current 0..5 1 now=7.5"}, "0..5 1 end"},
		{"an end earlier today than it ended is moved",
			[]string{"revenue 0..7.25 1", "current 0..7.125 2 now=7.5"}, "0..7.125 1 end"},
		{"an end that is over too does not start it again",
			[]string{"current 0..5 1 now=2", "current 0..6 1 now=7.5"}, "0..5 1 end"},
		{"an end before all that is known: a first snapshot",
			[]string{"revenue 10.. 1", "current 2..5 2 now=17.5"}, "2..5 2 end"},

		{"a snapshot of an ended one starts it again today",
			[]string{"current 0..5 1 due=30 plan=p now=2", "current 0.. 2 now=7.5"}, "0..5 1 due=30 plan=p end; 7.. 2"},
		{"up to an end to come",
			[]string{"current 0..5 1 now=2", "current 0..12 2 due=12 now=7.5"}, "0..5 1 end; 7..12 2 due=12 end"},
		{"if it ended today it goes on",
			[]string{"current 0..7.25 1 plan=p now=2", "current 0.. 1 now=7.5"}, "0..7 1 plan=p; 7.. 1 plan=p"},
	} {
		h := apply(t, nil, c.events...)
		if show(h) != c.want {
			t.Errorf("%s:\n got  %s\n want %s", c.what, show(h), c.want)
		}
		if h == nil {
			t.Errorf("%s: the history is nil", c.what)
		}
		if len(h) == 0 {
			continue // an end of nothing is refused
		}
		if again := apply(t, h, c.events[len(c.events)-1]); show(again) != c.want {
			t.Errorf("%s: applied again:\n got  %s\n want %s", c.what, show(again), c.want)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	for _, c := range []struct {
		event string
		want  error
	}{
		{"revenue 0.. 1/0month", revenue.ErrLength},
		{"renewal 0.. 1/-1day", revenue.ErrLength},
		{"current 0.. 1/0year", revenue.ErrLength},
		{"revenue 5..5 1", revenue.ErrRange},
		{"renewal 5..4 1", revenue.ErrRange},
		{"current 5..4 1 now=7", revenue.ErrRange},
		{"end 5", revenue.ErrUnknown},
	} {
		e, now := event(c.event)
		for _, h := range []revenue.History{nil, {}} {
			if got, err := h.Apply(e, now); !errors.Is(err, c.want) || got != nil {
				t.Errorf("%s: %v, %v; want %v", c.event, got, err, c.want)
			}
		}
	}
	h := apply(t, nil, "revenue 0.. 1")
	if got := show(apply(t, h, "end 5..4 7/-1day due=9")); got != "0..5 1 end" {
		t.Errorf("an end heeds more than its start: %s", got)
	}
}

func TestReadingAHistory(t *testing.T) {
	h := apply(t, nil, "revenue 0..5 1", "revenue 5..10 2", "revenue 20..30 3")
	for _, c := range []struct {
		t         string
		at, shown string
	}{
		{"-1", "", "20..30 3"},
		{"0", "0..5 1", "0..5 1"},
		{"5", "5..10 2", "5..10 2"},
		{"9.9", "5..10 2", "5..10 2"},
		{"10", "", "20..30 3"},
		{"20", "20..30 3", "20..30 3"},
		{"30", "", "20..30 3"},
	} {
		at, ok := h.At(instant(c.t, 0))
		if got := show(revenue.History{at}); ok != (c.at != "") || ok && got != c.at {
			t.Errorf("at %s: %s, %t", c.t, got, ok)
		}
		shown, ok := h.Shown(instant(c.t, 0))
		if got := show(revenue.History{shown}); !ok || got != c.shown {
			t.Errorf("shown at %s: %s, %t", c.t, got, ok)
		}
	}
	if _, ok := (revenue.History{}).Shown(0); ok {
		t.Error("an empty history shows a segment")
	}

	without, ok := h.Without(5 * day)
	if got := show(without); !ok || got != "0..5 1; 20..30 3" {
		t.Errorf("without the second: %s, %t", got, ok)
	}
	if same, ok := h.Without(6 * day); ok || show(same) != show(h) {
		t.Errorf("without one that is not there: %s, %t", show(same), ok)
	}
	if got := show(h); got != "0..5 1; 5..10 2; 20..30 3" {
		t.Errorf("taking a segment out changed the history: %s", got)
	}
	only, _ := apply(t, nil, "revenue 0.. 1").Without(0)
	if only == nil || len(only) > 0 {
		t.Errorf("without the only one: %v", only)
	}
}

func TestUnits(t *testing.T) {
	for unit, word := range map[revenue.Unit]string{revenue.Day: "day", revenue.Month: "month", revenue.Year: "year"} {
		if got, ok := revenue.ParseUnit(word); !ok || got != unit || unit.String() != word {
			t.Errorf("%s: %v, %t", word, got, ok)
		}
	}
	for _, word := range []string{"", "Day", "months", "week"} {
		if _, ok := revenue.ParseUnit(word); ok {
			t.Errorf("%q is a unit", word)
		}
	}
}

func TestRenewalDate(t *testing.T) {
	for _, c := range []struct {
		what   string
		events []string
		want   map[string]string // by instant
	}{
		{"none named", []string{"revenue 0.. 1"}, map[string]string{"0": ""}},
		{"one to come, and overdue", []string{"revenue 0.. 1 due=30"},
			map[string]string{"0": "30", "29": "30", "30": "30", "99": "30"}},
		{"of a subscription to come", []string{"revenue 10.. 1 due=30"}, map[string]string{"0": "30"}},
		{"renewed", []string{"revenue 0.. 1 due=30", "renewal 30.. 1 due=60"}, map[string]string{"40": "60"}},
		{"renewed for good", []string{"revenue 0.. 1 due=30", "renewal 30.. 1"}, map[string]string{"40": ""}},
		{"the one missed comes first",
			[]string{"revenue 0.. 1 due=30", "renewal 30.. 1 due=60", "revenue 0..30 1 due=25"}, map[string]string{"40": "25"}},
		{"moved", []string{"revenue 0.. 1 due=30", "revenue 10.. 1 due=40"}, map[string]string{"5": "40", "15": "40"}},
		{"moved, and renewed by its old name",
			[]string{"revenue 0.. 1 due=30", "revenue 10.. 1 due=40", "renewal 40.. 1 prev=30"}, map[string]string{"45": ""}},
		{"cleared", []string{"revenue 0.. 1 due=30", "revenue 10.. 1 due=null"}, map[string]string{"5": "", "15": ""}},
		{"inherited by a change", []string{"revenue 0.. 1 due=30", "revenue 10.. 2"}, map[string]string{"15": "30"}},
		{"the mark overwritten", []string{"revenue 0.. 1 due=30", "renewal 30.. 1 due=60", "revenue 30.. 2 due=null"},
			map[string]string{"40": ""}},
		{"a renewal for one term: what lies behind it names no new date",
			[]string{"revenue 0.. 1 due=30", "renewal 30..60 2 due=60"}, map[string]string{"40": "60", "70": "60"}},
		{"a date renewed twice is not the one that another is waiting for",
			[]string{"revenue 0.. 1 due=30", "renewal 30..60 2 due=60", "renewal 70.. 2 prev=30"}, map[string]string{"75": "60"}},
		{"ended", []string{"revenue 0.. 1 due=5", "end 10"},
			map[string]string{"0": "5", "7": "5", "9.9": "5", "10": "", "20": ""}},
		{"not due before the end", []string{"revenue 0.. 1 due=10", "end 10"}, map[string]string{"0": "", "20": ""}},
		{"came to its end without one", []string{"revenue 0..10 1 due=10"}, map[string]string{"0": "10", "20": "10"}},
		{"ended after that", []string{"revenue 0..10 1 due=10", "end 12"}, map[string]string{"0": "", "20": ""}},
		{"ended and started again", []string{"revenue 0.. 1 due=5", "end 10", "revenue 20.. 1 due=50"},
			map[string]string{"0": "5", "9": "5", "10": "50", "30": "50"}},
		{"a renewal after the end", []string{"revenue 0.. 1 due=10", "end 10", "renewal 12.. 1 due=40"},
			map[string]string{"0": "40", "15": "40"}},
	} {
		subs := account(apply(t, nil, c.events...))
		for at, want := range c.want {
			if got := revenue.RenewalDate(subs, instant(at, 0)); got != instant(want, revenue.None) {
				t.Errorf("%s: at %s: %s, want %q", c.what, at, days(got), want)
			}
		}
	}
	subs := account(apply(t, nil, "revenue 0.. 1 due=30", "end 28"), apply(t, nil, "revenue 0.. 1 due=50"),
		apply(t, nil, "revenue 0.. 1 due=40"), revenue.History{})
	if got := revenue.RenewalDate(subs, 0); got != 40*day {
		t.Errorf("the earliest open one of several: %s", days(got))
	}
	if got := revenue.RenewalDate(nil, 0); got != revenue.None {
		t.Errorf("of no subscription: %s", days(got))
	}
}

func TestNextChange(t *testing.T) {
	subs := account(apply(t, nil, "revenue 0..5 1", "revenue 20.. 2"), apply(t, nil, "revenue 3.. 1", "end 20", "revenue 30.. 1"))
	for _, c := range [][2]string{{"-5", "0"}, {"0", "3"}, {"3", "5"}, {"5", "20"}, {"19.9", "20"}, {"20", "30"}, {"30", ""}} {
		if got := revenue.NextChange(subs, instant(c[0], 0)); got != instant(c[1], revenue.Open) {
			t.Errorf("after %s: %s, want %q", c[0], days(got), c[1])
		}
	}
	if got := revenue.NextChange(nil, math.MinInt64); got != revenue.Open {
		t.Errorf("of no subscription: %s", days(got))
	}
}
