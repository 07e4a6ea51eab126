// Package overview counts what a customer-success lead wants to know first of a
// workspace: its accounts, its MRR and what moved it month by month, its net
// promoter scores, and the renewals that are near. It counts from the values that
// the API returns, so its numbers are the API's.
//
// Counting reads every account once, so what was counted last is kept, with the
// instant it is as of, and counted anew when it is asked for and has grown old. A
// workspace too large to be counted in one go is counted in several: each takes up
// where the last has stopped.
package overview

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"tenure/core/nps"
	"tenure/core/resource"
	"tenure/core/table"
)

const (
	// Months is how many months are told of, the current one included.
	Months = 12
	// RenewalDays is how many days ahead renewals are told of, today included.
	RenewalDays = 90
	// listed is the largest number of renewals and of overdue ones that are listed,
	// movers that of gains and of losses.
	listed, movers = 50, 5
	// fresh is how old a count may be before it is done anew; a count that takes long
	// may be as old as so many times what it takes.
	fresh, rarely = time.Minute, 20
	// abandoned is how old a count may be that is gone on with: its parts are not to
	// be of different days.
	abandoned = time.Hour
	// textLimit is how many characters are kept of a name or an id, so that all that
	// is listed fits one item.
	textLimit = 120
)

const day = int64(24 * time.Hour / time.Millisecond)

// Overview is what was counted. Amounts are in cents, instants in epoch ms; months
// and days begin at 00:00 UTC.
type Overview struct {
	// AsOf is when counting began.
	AsOf     int64    `json:"as_of"`
	Accounts Accounts `json:"accounts"`
	// MRR is what all movements up to AsOf come to, ARR twelve times that.
	MRR int64 `json:"mrr"`
	ARR int64 `json:"arr"`
	// InactiveMRR is how much of MRR is that of inactive accounts, whose
	// subscriptions go on.
	InactiveMRR int64   `json:"inactive_mrr"`
	Months      []Month `json:"months"`
	// Year is all of Months together.
	Year Month `json:"year"`
	// Gains and Losses are the largest movements of the current month in both
	// directions.
	Gains    []Mover  `json:"gains"`
	Losses   []Mover  `json:"losses"`
	NPS      NPS      `json:"nps"`
	Renewals Renewals `json:"renewals"`
	// Overdue are renewals that were due before today.
	Overdue Renewals `json:"overdue_renewals"`
}

// Accounts counts accounts.
type Accounts struct {
	Active   int `json:"active"`
	Inactive int `json:"inactive"`
	// Joined are those whose join_date lies in the current month up to AsOf; Churned
	// and Deleted those that became inactive in it.
	Joined  int `json:"joined_this_month"`
	Churned int `json:"churned_this_month"`
	Deleted int `json:"deleted_this_month"`
}

// Month is the MRR of a month: Opening and the four kinds of movements add up to
// Closing.
type Month struct {
	Start       int64 `json:"start"`
	Opening     int64 `json:"opening_mrr"`
	New         int64 `json:"new"`
	Expansion   int64 `json:"expansion"`
	Contraction int64 `json:"contraction"`
	Churn       int64 `json:"churn"`
	Closing     int64 `json:"closing_mrr"`
	// NetRetention and GrossRetention are shares of Opening; null where nobody paid
	// when the month began.
	NetRetention   *float64 `json:"net_revenue_retention"`
	GrossRetention *float64 `json:"gross_revenue_retention"`
}

// Mover is one of the largest movements of the current month.
type Mover struct {
	AccountID string `json:"account_id"`
	Name      string `json:"name"`
	Date      int64  `json:"date"`
	Type      string `json:"type"`
	Amount    int64  `json:"amount"`
	MRRAfter  int64  `json:"mrr_after"`
}

// NPS is about net promoter scores, which go from -100 to 100.
type NPS struct {
	// Current is the mean of current_nps_score over the Accounts active accounts that
	// have one, rounded half away from zero; null when none has.
	Current  *int64     `json:"current"`
	Accounts int        `json:"accounts"`
	Months   []NPSMonth `json:"months"`
}

// NPSMonth is what the entries of nps_history dated in a month come to, those of
// inactive accounts included: what was answered does not change when somebody
// leaves.
type NPSMonth struct {
	Start int64 `json:"start"`
	// Score is the mean of all Answers of the month, rounded half away from zero as
	// the current score of an account is; null when there was none.
	Score   *int64 `json:"score"`
	Answers int64  `json:"answers"`
	// Positive, Neutral and Negative are the answers above, at and below 0. Where an
	// entry is one person's answer, given as 100, 0 or -100, these are promoters,
	// passives and detractors, and Score is the net promoter score of the month.
	Positive int64 `json:"positive"`
	Neutral  int64 `json:"neutral"`
	Negative int64 `json:"negative"`
}

// Renewals are renewals of active accounts: how many, the MRR of their accounts,
// and the first of them by date.
type Renewals struct {
	Count int       `json:"count"`
	MRR   int64     `json:"mrr"`
	First []Renewal `json:"first"`
}

// Renewal is the renewal of an account. MRR is null where it never had a
// subscription.
type Renewal struct {
	AccountID string `json:"account_id"`
	Name      string `json:"name"`
	Date      int64  `json:"date"`
	MRR       *int64 `json:"mrr"`
}

// state is what is kept of a workspace's counts.
type state struct {
	// Form tells what is kept from what an earlier version of the program kept.
	Form int `json:"form"`
	// Done is the last count that was completed; nil for none. It took so many
	// milliseconds.
	Done *Overview `json:"done,omitempty"`
	Took int64     `json:"took"`
	// Pass is the count that is under way; nil for none.
	Pass *pass `json:"pass,omitempty"`
}

// form is the Form of today.
const form = 1

// Empty reports whether there were no accounts yet.
func (o *Overview) Empty() bool { return o.Accounts.Active+o.Accounts.Inactive == 0 }

// old reports whether it is time to count anew. What is empty is counted each time:
// it takes nothing, and whoever has just begun is to see what came of it.
func (s *state) old(now int64) bool {
	return s.Done == nil || s.Done.Empty() || now-s.Done.AsOf >= max(fresh.Milliseconds(), rarely*s.Took) ||
		monthStart(s.Done.AsOf, 0) != monthStart(now, 0)
}

// Counter counts workspaces.
type Counter struct {
	table  table.Table
	engine *resource.Engine
	// pausing is how many rows of an index are read at least before a count stops.
	pausing int
}

// New returns a counter of the records of engine, which keeps its counts in t.
func New(t table.Table, engine *resource.Engine) *Counter {
	return &Counter{table: t, engine: engine, pausing: 1000}
}

func key(workspace string) table.Key {
	return table.Key{Partition: workspace + "/overview", Sort: "overview"}
}

func (c *Counter) load(ctx context.Context, workspace string) (s state, version int64, err error) {
	items, err := c.table.Get(ctx, []table.Key{key(workspace)}, true)
	if err != nil || !items[0].Exists() {
		return s, 0, err
	}
	if json.Unmarshal(items[0].Body, &s) != nil || s.Form != form {
		s = state{} // it is counted anew
	}
	return s, items[0].Version, nil
}

func (c *Counter) save(ctx context.Context, workspace string, s state, version int64) error {
	s.Form = form
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	cond := table.Absent()
	if version != 0 {
		cond = table.VersionIs(version)
	}
	item := table.Item{Key: key(workspace), Version: version + 1, Body: body}
	return errors.Join(c.table.Write(ctx, []table.Op{table.Put(item, cond)}, nil)...)
}

// Last returns what was counted last, nil when nothing was yet, and whether it is
// time to count anew.
func (c *Counter) Last(ctx context.Context, workspace string) (o *Overview, old bool, err error) {
	s, _, err := c.load(ctx, workspace)
	return s.Done, s.old(c.engine.Now()), err
}

// Count counts a workspace anew for about as long as patience lets it, unless the
// last count is young, and returns the last one that was completed: nil when there
// is none. done says that no count is under way. However short patience is, a
// count gets on; what moved in the last Months is read in one go. Of several that
// count at once, one gets on.
func (c *Counter) Count(ctx context.Context, workspace string, patience time.Duration) (o *Overview, done bool, err error) {
	s, version, err := c.load(ctx, workspace)
	if err != nil {
		return nil, false, err
	}
	now := c.engine.Now()
	if s.Pass == nil && !s.old(now) {
		return s.Done, true, nil
	}
	if s.Pass == nil || now-s.Pass.AsOf > abandoned.Milliseconds() || monthStart(s.Pass.AsOf, 0) != monthStart(now, 0) {
		s.Pass = newPass(now)
	}
	began := time.Now()
	complete, err := c.goOn(ctx, workspace, s.Pass, func() bool { return time.Since(began) >= patience })
	if err != nil {
		return s.Done, false, err
	}
	s.Pass.Took += time.Since(began).Milliseconds()
	if complete {
		s.Done, s.Took, s.Pass = s.Pass.finished(), s.Pass.Took, nil
	}
	err = c.save(ctx, workspace, s, version)
	if errors.Is(err, table.ErrConflict) { // another one has got on
		s, _, err = c.load(ctx, workspace)
	}
	return s.Done, s.Pass == nil && s.Done != nil && err == nil, err
}

// monthStart returns the beginning of the month that lies so many months after the
// one of an instant.
func monthStart(ms int64, after int) int64 {
	at := time.UnixMilli(ms).UTC()
	return time.Date(at.Year(), at.Month()+time.Month(after), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// finished returns the count, complete.
func (p *pass) finished() *Overview {
	o := p.Overview
	// An account that came while it was counted has no name yet.
	nameless := func(m Mover) bool { return m.Name == "" }
	o.Gains, o.Losses = slices.DeleteFunc(o.Gains, nameless), slices.DeleteFunc(o.Losses, nameless)
	o.MRR = o.Year.Closing
	o.ARR = 12 * min(max(o.MRR, math.MinInt64/12), math.MaxInt64/12)
	o.NPS.Current = mean(p.ScoreSum, int64(o.NPS.Accounts))
	for i := range o.NPS.Months {
		o.NPS.Months[i].Score = mean(p.Sums[i], o.NPS.Months[i].Answers)
	}
	return &o
}

// mean returns the mean of n scores; nil where there is none.
func mean(sum, n int64) *int64 {
	if n == 0 {
		return nil
	}
	m := nps.Mean(sum, n)
	return &m
}
