package usage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Counts are what is counted of events. Durations are in ms.
type Counts struct {
	Events int64 `json:"e,omitempty"`
	// Sessions are those that had an event: one that lasts past midnight is counted
	// on both days.
	Sessions int64 `json:"s,omitempty"`
	// Active is for how long users were active.
	Active int64 `json:"a,omitempty"`
	// Actions are how many events of each action there were.
	Actions map[string]int64 `json:"n,omitempty"`
	// Modules and Features are by name; see nameOf.
	Modules  map[string]timed   `json:"m,omitempty"`
	Features map[string]counted `json:"f,omitempty"`
	// First and Last are when the first and the last of the events happened, in epoch
	// ms; 0 for none.
	First int64 `json:"i,omitempty"`
	Last  int64 `json:"l,omitempty"`
}

// timed is what is counted of a module: in how many events for how long.
type timed struct {
	Count int64 `json:"n"`
	Time  int64 `json:"t"`
}

// counted is what is counted of a feature: in how many events it was used how often,
// in millionths.
type counted struct {
	Count int64 `json:"n"`
	Total int64 `json:"t"`
}

const (
	// userNames and totalNames are how many bytes the names in one item of a user's day
	// and of the totals have at most. Names beyond that are counted under otherName.
	userNames, totalNames = 16 << 10, 64 << 10
	otherName             = "(other)"
)

// nameOf joins what names a module or feature within a product.
func nameOf(parts ...string) string { return strings.Join(parts, "\x1f") }

// add counts one event, apart from its session.
func (c *Counts) add(e *Event) {
	c.Events++
	c.span(e.CreatedAt, e.CreatedAt)
	c.Actions = plus(c.Actions, e.Action, 1, userNames, sum[int64])
	switch e.Action {
	case SessionSync, SessionIdle:
		c.Active += e.ActiveDuration
	case ModuleEnd:
		c.Modules = plus(c.Modules, nameOf(e.Product, e.Module), timed{1, e.TimeSpent}, userNames, timed.plus)
	case Feature:
		c.Features = plus(c.Features, nameOf(e.Product, e.Module, e.Feature), counted{1, e.Total}, userNames, counted.plus)
	}
}

// span takes two instants into First and Last.
func (c *Counts) span(first, last int64) {
	if first != 0 && (c.First == 0 || first < c.First) {
		c.First = first
	}
	c.Last = max(c.Last, last)
}

// merge adds what is counted in other; most is how many bytes the names of each kind
// may have.
func (c *Counts) merge(other *Counts, most int) {
	c.Events += other.Events
	c.Sessions += other.Sessions
	c.Active += other.Active
	c.span(other.First, other.Last)
	for _, name := range slices.Sorted(maps.Keys(other.Actions)) {
		c.Actions = plus(c.Actions, name, other.Actions[name], most, sum[int64])
	}
	for _, name := range slices.Sorted(maps.Keys(other.Modules)) {
		c.Modules = plus(c.Modules, name, other.Modules[name], most, timed.plus)
	}
	for _, name := range slices.Sorted(maps.Keys(other.Features)) {
		c.Features = plus(c.Features, name, other.Features[name], most, counted.plus)
	}
}

func sum[T cmp.Ordered](a, b T) T { return a + b }

func (a timed) plus(b timed) timed       { return timed{a.Count + b.Count, a.Time + b.Time} }
func (a counted) plus(b counted) counted { return counted{a.Count + b.Count, a.Total + b.Total} }

// plus adds value to what all has under name, or where that is new and there are too
// many names, under otherName.
func plus[T any](all map[string]T, name string, value T, most int, add func(a, b T) T) map[string]T {
	if all == nil {
		all = map[string]T{}
	}
	if _, known := all[name]; !known {
		bytes := len(name)
		for other := range all {
			bytes += len(other)
		}
		if bytes > most {
			name = otherName
		}
	}
	all[name] = add(all[name], value)
	return all
}
