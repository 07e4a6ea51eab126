package usage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/core"
	"tenure/core/table"
)

// MaxDays is for how many days usage can be read at once.
const MaxDays = 366

// maxInstant is the latest instant that can be asked for, in epoch ms: in the year
// 5138.
const maxInstant = 1e14

// Interval is by what usage is told of.
type Interval string

// The intervals. Weeks begin on Monday; all begin at 00:00 UTC.
const (
	Day   Interval = "day"
	Week  Interval = "week"
	Month Interval = "month"
)

// Intervals are all intervals.
var Intervals = []Interval{Day, Week, Month}

// Period is a stretch of days.
type Period struct {
	// Start and End are in epoch ms: the period is from the beginning of the day of
	// Start to the end of that of the last instant before End.
	Start, End int64
	Interval   Interval
}

// Check returns a failure that names what cannot be.
func (p Period) Check() *core.Failure {
	switch {
	case !slices.Contains(Intervals, p.Interval):
		return refuse(core.NotAChoice, "interval", "'interval' must be day, week or month")
	case p.End < 0 || p.End > maxInstant:
		return refuse(core.OutOfRange, "end", "'end' must be an instant in epoch ms")
	case p.Start < 0 || p.Start > maxInstant:
		return refuse(core.OutOfRange, "start", "'start' must be an instant in epoch ms")
	case p.End <= p.Start:
		return refuse(core.OutOfRange, "end", "'end' must be later than 'start'")
	case dayOf(p.End-1)-dayOf(p.Start) >= MaxDays:
		return refuse(core.OutOfRange, "end", fmt.Sprintf("'end' must be at most %d days after 'start'", MaxDays))
	}
	return nil
}

// days returns the first and the last day.
func (p Period) days() (first, last int) { return dayOf(p.Start), dayOf(p.End - 1) }

// Module is what is counted of a module.
type Module struct {
	Product string `json:"product,omitempty"`
	Module  string `json:"module"`
	// TimeSpent is for how long users were in it, in ms; Events is how often they left
	// it.
	TimeSpent int64 `json:"time_spent"`
	Events    int64 `json:"events"`
}

// FeatureUse is what is counted of a feature.
type FeatureUse struct {
	Product string `json:"product,omitempty"`
	Module  string `json:"module,omitempty"`
	Feature string `json:"feature"`
	// Total is how often it was used; Events is in how many events.
	Total  float64 `json:"total"`
	Events int64   `json:"events"`
}

// Action is how many events of an action there were.
type Action struct {
	Action string `json:"action"`
	Events int64  `json:"events"`
}

// Usage is what is counted of a stretch of time. Instants and durations are in ms.
type Usage struct {
	// Start and End are the first instant, and the first one after it.
	Start int64 `json:"start"`
	End   int64 `json:"end"`
	// ActiveUsers is how many different users were active; of a user, 0 or 1.
	// ActiveAccounts is how many accounts were, of a workspace.
	ActiveUsers    int64        `json:"active_users"`
	ActiveAccounts *int64       `json:"active_accounts,omitempty"`
	Sessions       int64        `json:"sessions"`
	ActiveDuration int64        `json:"active_duration"`
	Events         int64        `json:"events"`
	Modules        []Module     `json:"modules"`
	Features       []FeatureUse `json:"features"`
	Actions        []Action     `json:"actions"`
	// FirstSeen and LastSeen are when the first and the last event happened; null for
	// none.
	FirstSeen *int64 `json:"first_seen"`
	LastSeen  *int64 `json:"last_seen"`
}

// Report is the usage of a user, an account or a workspace.
type Report struct {
	Interval Interval `json:"interval"`
	// Results are the intervals, in their order, those without an event included. The
	// first and last are cut to what was asked for.
	Results []Usage `json:"results"`
	// Totals are those of all of them; ActiveUsers are different users.
	Totals Usage `json:"totals"`
	// Daily, Weekly and Monthly are how many different users were active on the last
	// day, and in the 7 and the 30 days up to it.
	Daily   int64 `json:"daily_active_users"`
	Weekly  int64 `json:"weekly_active_users"`
	Monthly int64 `json:"monthly_active_users"`
	// FirstSeen and LastSeen are when the first and the last event ever happened, in
	// epoch ms; null for none. Of a workspace they are not told.
	FirstSeen *int64 `json:"first_seen,omitempty"`
	LastSeen  *int64 `json:"last_seen,omitempty"`
}

// trailing is for how many days different users are counted beside the period.
const trailing = 30

// Account returns the usage of an account. Whether it exists is for others to say.
func (s *Store) Account(ctx context.Context, workspace, account string, p Period) (*Report, error) {
	first, last := p.days()
	days, err := s.totals(ctx, accountDayKey(workspace, account, 0).Partition, first, last)
	if err != nil {
		return nil, err
	}
	report := reportOf(days, p, false)
	report.FirstSeen, report.LastSeen, err = s.seen(ctx, accountDayKey(workspace, account, 0).Partition)
	return report, err
}

// User returns the usage of a user of an account.
func (s *Store) User(ctx context.Context, workspace, account, user string, p Period) (*Report, error) {
	first, last := p.days()
	partition := userDayKey(workspace, place{account, user}, 0).Partition
	days, err := s.totals(ctx, partition, first, last)
	if err != nil {
		return nil, err
	}
	// A user's days have no tallies: they are made up here.
	before := 0
	for day := min(first, last-trailing+1); day <= last; day++ {
		if of := days[day]; of != nil {
			of.Users = tally{Active: 1}
			if before != 0 {
				of.Users.gap(day-before, 1)
			}
			before = day
		}
	}
	report := reportOf(days, p, false)
	report.FirstSeen, report.LastSeen, err = s.seen(ctx, partition)
	return report, err
}

// Workspace returns the usage of all accounts of a workspace.
func (s *Store) Workspace(ctx context.Context, workspace string, p Period) (*Report, error) {
	first, last := p.days()
	var of [allShards]map[int]*totals
	group, ctx := errgroup.WithContext(ctx)
	for shard := range allShards {
		group.Go(func() (err error) {
			of[shard], err = s.totals(ctx, allDayKey(workspace, shard, 0).Partition, first, last)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	days := of[0]
	for _, shard := range of[1:] {
		for day, t := range shard {
			if days[day] == nil {
				days[day] = t
				continue
			}
			days[day].Counts.merge(&t.Counts, allNames)
			days[day].Users.merge(&t.Users)
			days[day].Accounts.merge(&t.Accounts)
		}
	}
	return reportOf(days, p, true), nil
}

// allNames is how many bytes the names in an answer have at most.
const allNames = 1 << 20

// totals returns the totals of days of a partition, and of those before that
// different users are counted of.
func (s *Store) totals(ctx context.Context, partition string, first, last int) (map[int]*totals, error) {
	days := map[int]*totals{}
	first = max(0, min(first, last-trailing+1))
	q := table.Query{Partition: partition, After: sortDay(first) + "\x00", Limit: 100, Consistent: true}
	if first > 0 {
		q.After = sortDay(first-1) + "~"
	}
	for {
		items, err := s.Table.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range items {
			q.After = items[i].Sort
			day := 0
			if _, err := fmt.Sscanf(items[i].Sort, "%d", &day); err != nil {
				return nil, fmt.Errorf("item %v: %w", items[i].Key, err)
			}
			if day > last {
				return days, nil
			}
			t := &totals{}
			if err := json.Unmarshal(items[i].Body, t); err != nil {
				return nil, fmt.Errorf("item %v: %w", items[i].Key, err)
			}
			days[day] = t
		}
		if len(items) < q.Limit {
			return days, nil
		}
	}
}

// seen returns when the first and the last event of a partition of days happened.
func (s *Store) seen(ctx context.Context, partition string) (first, last *int64, err error) {
	for _, descending := range []bool{false, true} {
		items, err := s.Table.Query(ctx, table.Query{Partition: partition, Descending: descending, Limit: 1, Consistent: true})
		if err != nil || len(items) == 0 {
			return nil, nil, err
		}
		var t totals
		if err := json.Unmarshal(items[0].Body, &t); err != nil {
			return nil, nil, err
		}
		if descending {
			last = &t.Counts.Last
		} else {
			first = &t.Counts.First
		}
	}
	return first, last, nil
}

// reportOf makes a report of totals by day.
func reportOf(days map[int]*totals, p Period, accounts bool) *Report {
	first, last := p.days()
	r := &Report{Interval: p.Interval, Results: []Usage{}, Totals: usageOf(days, first, last, accounts)}
	for from := first; from <= last; {
		to := min(last, endOf(from, p.Interval))
		r.Results = append(r.Results, usageOf(days, from, to, accounts))
		from = to + 1
	}
	r.Daily = different(days, last, last, users)
	r.Weekly = different(days, last-6, last, users)
	r.Monthly = different(days, last-trailing+1, last, users)
	return r
}

// endOf returns the last day of the interval that a day lies in.
func endOf(from int, of Interval) int {
	switch at := time.UnixMilli(int64(from) * day).UTC(); of {
	case Week:
		return from + (7-int(at.Weekday()))%7 // Monday is 1, and Sunday the last
	case Month:
		return dayOf(time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()) - 1
	default:
		return from
	}
}

func users(t *totals) *tally { return &t.Users }

// different returns how many different ones were active from a day to another.
func different(days map[int]*totals, from, to int, of func(*totals) *tally) (n int64) {
	for d := from; d <= to; d++ {
		if t := days[d]; t != nil {
			n += of(t).first(d - from)
		}
	}
	return n
}

// usageOf sums up days.
func usageOf(days map[int]*totals, from, to int, accounts bool) Usage {
	var sum Counts
	for d := from; d <= to; d++ {
		if t := days[d]; t != nil {
			sum.merge(&t.Counts, allNames)
		}
	}
	u := Usage{
		Start: int64(from) * day, End: int64(to+1) * day,
		ActiveUsers: different(days, from, to, users),
		Sessions:    sum.Sessions, ActiveDuration: sum.Active, Events: sum.Events,
		Modules: []Module{}, Features: []FeatureUse{}, Actions: []Action{},
	}
	if accounts {
		n := different(days, from, to, func(t *totals) *tally { return &t.Accounts })
		u.ActiveAccounts = &n
	}
	if sum.First != 0 {
		u.FirstSeen, u.LastSeen = &sum.First, &sum.Last
	}
	for name, m := range sum.Modules {
		parts := partsOf(name, 2)
		u.Modules = append(u.Modules, Module{Product: parts[0], Module: parts[1], TimeSpent: m.Time, Events: m.Count})
	}
	for name, f := range sum.Features {
		parts := partsOf(name, 3)
		u.Features = append(u.Features, FeatureUse{Product: parts[0], Module: parts[1], Feature: parts[2], Total: float64(f.Total) / million, Events: f.Count})
	}
	for name, n := range sum.Actions {
		u.Actions = append(u.Actions, Action{name, n})
	}
	// The most used first.
	slices.SortFunc(u.Modules, func(a, b Module) int {
		return descending(a.TimeSpent, b.TimeSpent, a.Product+"\x1f"+a.Module, b.Product+"\x1f"+b.Module)
	})
	slices.SortFunc(u.Features, func(a, b FeatureUse) int {
		return descending(a.Total, b.Total, a.Product+"\x1f"+a.Module+"\x1f"+a.Feature, b.Product+"\x1f"+b.Module+"\x1f"+b.Feature)
	})
	slices.SortFunc(u.Actions, func(a, b Action) int { return descending(a.Events, b.Events, a.Action, b.Action) })
	return u
}

func descending[T int64 | float64](a, b T, nameA, nameB string) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return strings.Compare(nameA, nameB)
}

// partsOf returns the parts of a name; what is not named well has the last alone.
func partsOf(name string, n int) []string {
	parts := strings.Split(name, "\x1f")
	if len(parts) != n {
		parts = append(make([]string, n-1), parts[len(parts)-1])
	}
	return parts
}

// Seen is a user of an account, and when they were active.
type Seen struct {
	UserID string `json:"user_id"`
	// FirstDay and LastDay are the beginnings of the days, in epoch ms.
	FirstDay int64 `json:"first_day"`
	LastDay  int64 `json:"last_day"`
	// ActiveDays is on how many of the 30 days up to today.
	ActiveDays int `json:"active_days"`
}

// UsersOf returns the users of an account that have an event, up to limit in no order
// that means anything, and what to give as after for more; next is empty when there
// is no more.
func (s *Store) UsersOf(ctx context.Context, workspace, account, after string, limit int) (all []Seen, next string, err error) {
	items, err := s.Table.Query(ctx, table.Query{Partition: userHeadKey(workspace, place{account, ""}).Partition, After: after, Limit: limit, Consistent: true})
	if err != nil {
		return nil, "", err
	}
	today := dayOf(s.now())
	all = []Seen{}
	for i := range items {
		var h head
		if err := json.Unmarshal(items[i].Body, &h); err != nil {
			return nil, "", err
		}
		days := h.days()
		of := Seen{UserID: h.ID, FirstDay: int64(h.First) * day, LastDay: int64(days[len(days)-1]) * day}
		for _, d := range days {
			if d > today-trailing && d <= today {
				of.ActiveDays++
			}
		}
		all = append(all, of)
	}
	if len(items) == limit {
		next = items[limit-1].Sort
	}
	return all, next, nil
}
