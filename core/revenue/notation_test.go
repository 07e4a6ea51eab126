package revenue_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"tenure/core/revenue"
)

// The tests write instants in days, and events and histories in words:
//
//	revenue 5..10 300/3month due=30 plan=a     what happened, and when
//	current 5.. 300 now=7.5                    a snapshot at noon of day 7
//	5..10 300/3month due=30 plan=a end         a segment
//
// A range without an end is open. A cycle is a month unless said otherwise.

const day = 24 * 60 * 60 * 1000

// instant reads a number of days; "" is other, and null no date.
func instant(word string, other int64) int64 {
	switch word {
	case "":
		return other
	case "null":
		return revenue.None
	}
	days, err := strconv.ParseFloat(word, 64)
	if err != nil {
		panic(err)
	}
	return int64(days * day)
}

func days(t int64) string { return strconv.FormatFloat(float64(t)/day, 'g', -1, 64) }

var kinds = map[string]revenue.Kind{"revenue": revenue.EventRevenue, "renewal": revenue.EventRenewal,
	"end": revenue.EventEnd, "current": revenue.EventCurrent}

// event reads an event and the instant at which it arrives.
func event(text string) (e revenue.Event, now int64) {
	words := strings.Fields(text)
	kind, known := kinds[words[0]]
	if !known {
		panic(text)
	}
	from, to, _ := strings.Cut(words[1], "..")
	e = revenue.Event{Kind: kind, Start: instant(from, 0), End: instant(to, revenue.Open),
		Unit: revenue.Month, Length: 1, PreviousRenewal: revenue.None}
	for _, word := range words[2:] {
		key, value, pair := strings.Cut(word, "=")
		text := revenue.Some(strings.TrimSuffix(value, "null"))
		switch {
		case !pair:
			e.Revenue, e.Length, e.Unit = price(word)
		case key == "due":
			e.NextRenewal = revenue.Some(instant(value, 0))
		case key == "prev":
			e.PreviousRenewal = instant(value, 0)
		case key == "plan":
			e.Plan = text
		case key == "src":
			e.Source = text
		case key == "now":
			now = instant(value, 0)
		default:
			panic(word)
		}
	}
	return e, now
}

// price reads 300 or 300/3month.
func price(word string) (cents, length int64, unit revenue.Unit) {
	amount, cycle, given := strings.Cut(word, "/")
	if !given {
		cycle = "1month"
	}
	name := strings.TrimLeft(cycle, "-0123456789")
	cents, err := strconv.ParseInt(amount, 10, 64)
	if err != nil {
		panic(err)
	}
	if length, err = strconv.ParseInt(strings.TrimSuffix(cycle, name), 10, 64); err != nil {
		panic(err)
	}
	unit, _ = revenue.ParseUnit(name)
	return cents, length, unit
}

// apply returns the history that the events make of h, which it finds unharmed
// every time.
func apply(t testing.TB, h revenue.History, events ...string) revenue.History {
	t.Helper()
	for _, text := range events {
		e, now := event(text)
		was := show(h)
		next, err := h.Apply(e, now)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if show(h) != was {
			t.Fatalf("%s changed the history it was applied to", text)
		}
		h = next
	}
	return h
}

// show writes a history.
func show(h revenue.History) string {
	all := make([]string, len(h))
	for i, s := range h {
		var b strings.Builder
		b.WriteString(days(s.Start) + "..")
		if s.End != revenue.Open {
			b.WriteString(days(s.End))
		}
		fmt.Fprintf(&b, " %d", s.Revenue)
		if s.Unit != revenue.Month || s.Length != 1 {
			fmt.Fprintf(&b, "/%d%s", s.Length, s.Unit)
		}
		if s.NextRenewal != revenue.None {
			b.WriteString(" due=" + days(s.NextRenewal))
		}
		if s.Plan != "" {
			b.WriteString(" plan=" + s.Plan)
		}
		if s.Source != "" {
			b.WriteString(" src=" + s.Source)
		}
		if s.IsRenewal {
			b.WriteString(" renewal")
		}
		if s.Renewed != revenue.None {
			b.WriteString(" of=" + days(s.Renewed))
		}
		if s.IsEnd {
			b.WriteString(" end")
		}
		all[i] = b.String()
	}
	return strings.Join(all, "; ")
}

// account is an account of those histories, called a, b, c.
func account(histories ...revenue.History) []revenue.Subscription {
	subs := make([]revenue.Subscription, len(histories))
	for i, h := range histories {
		subs[i] = revenue.Subscription{ID: string(rune('a' + i)), History: h}
	}
	return subs
}
