package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What follows is what the product ought to derive from the records, computed
// from what the world knows and by none of the product's code: a check that
// used that would agree with its mistakes.

// twelfths returns what the subscriptions of an account earn a month at t, in
// twelfths of a cent, so that it is exact.
func (a *account) twelfths(t time.Time) int64 {
	sum := int64(0)
	for _, s := range a.subs {
		for _, seg := range s.segments {
			if !t.Before(seg.from) && (seg.until.IsZero() || t.Before(seg.until)) {
				sum += seg.revenue * int64(12/s.cycle.months)
			}
		}
	}
	return sum
}

// mrr returns an account's MRR at t, in cents.
func (a *account) mrr(t time.Time) int64 { return rounded(a.twelfths(t), 12) }

// rounded returns n/d, rounded half away from zero.
func rounded(n, d int64) int64 {
	if n < 0 {
		return -rounded(-n, d)
	}
	return (2*n + d) / (2 * d)
}

// movement is one change of an account's MRR, as GET /mrr_movements has it.
type movement struct {
	Account string `json:"account_id"`
	Date    int64  `json:"date"`
	Type    string `json:"type"`
	Amount  int64  `json:"amount"`
	Before  int64  `json:"mrr_before"`
	After   int64  `json:"mrr_after"`
}

// movements returns the changes of an account's MRR up to now, in the order of
// time.
func (a *account) movements(now time.Time) []movement {
	var turns []time.Time
	ended := map[time.Time]bool{}
	for _, s := range a.subs {
		for _, seg := range s.segments {
			turns = append(turns, seg.from)
		}
		if s.ended {
			end := s.segments[len(s.segments)-1].until
			turns = append(turns, end)
			ended[end] = true
		}
	}
	slices.SortFunc(turns, time.Time.Compare)
	var all []movement
	before := int64(0)
	for _, at := range turns {
		after := a.mrr(at)
		if after == before || at.After(now) {
			continue
		}
		m := movement{Account: a.id, Date: ms(at), Type: "contraction", Amount: after - before, Before: before, After: after}
		switch {
		case len(all) == 0:
			m.Type = "new"
		case m.Amount > 0:
			m.Type = "expansion"
		case ended[at]:
			m.Type = "churn"
		}
		all = append(all, m)
		before = after
	}
	return all
}

// derived are values of an account that the product derives, as GET /accounts
// has them.
type derived struct {
	Account string  `json:"account_id"`
	Active  bool    `json:"is_active"`
	MRR     *int64  `json:"current_mrr"`
	Renewal *int64  `json:"renewal_date"`
	NPS     *int64  `json:"current_nps_score"`
	Stage   *string `json:"current_stage"`
}

func (d derived) String() string {
	number := func(n *int64) string {
		if n == nil {
			return "none"
		}
		return strconv.FormatInt(*n, 10)
	}
	stage := "none"
	if d.Stage != nil {
		stage = *d.Stage
	}
	return fmt.Sprintf("active %t, MRR %s, renewal %s, NPS %s, stage %s", d.Active, number(d.MRR), number(d.Renewal), number(d.NPS), stage)
}

// expected returns what the product ought to derive of an account at now.
func (w *world) expected(a *account, now time.Time) derived {
	d := derived{Account: a.id, Active: a.fate != churns, NPS: currentNPS(a.scores)}
	if len(a.subs) > 0 {
		mrr := a.mrr(now)
		d.MRR = &mrr
	}
	for _, s := range a.subs {
		if due := ms(s.segments[len(s.segments)-1].next); !s.ended && (d.Renewal == nil || due < *d.Renewal) {
			d.Renewal = &due
		}
	}
	stages := w.stages(a)
	d.Stage = &stages[len(stages)-1].name
	return d
}

// currentNPS returns the mean of the scores of the 30 days up to the last one.
func currentNPS(scores []score) *int64 {
	if len(scores) == 0 {
		return nil
	}
	latest := slices.MaxFunc(scores, func(a, b score) int { return a.date.Compare(b.date) }).date
	sum, n := int64(0), int64(0)
	for _, s := range scores {
		if latest.Sub(s.date) <= 30*day {
			sum, n = sum+int64(s.value), n+1
		}
	}
	mean := rounded(sum, n)
	return &mean
}

// month is a month of the waterfall, in cents.
type month struct {
	from, until     time.Time // until is zero in the current one
	opening         int64
	byType          map[string]int64
	closing         int64
	accounts, ended int // how many joined and left
}

var movementTypes = []string{"new", "expansion", "contraction", "churn"}

// waterfall returns how MRR moved in each month, up to now.
func (w *world) waterfall(now time.Time) []month {
	starts := w.months()
	all := make([]month, len(starts))
	closing := int64(0)
	for _, a := range w.accounts {
		for _, m := range a.movements(now) {
			at := time.UnixMilli(m.Date)
			i, found := slices.BinarySearchFunc(starts, at, time.Time.Compare)
			if !found {
				i--
			}
			if i < 0 {
				closing += m.Amount
				continue
			}
			if all[i].byType == nil {
				all[i].byType = map[string]int64{}
			}
			all[i].byType[m.Type] += m.Amount
			switch {
			case m.Type == "new":
				all[i].accounts++
			case m.After == 0:
				all[i].ended++
			}
		}
	}
	for i := range all {
		all[i].from, all[i].opening = starts[i], closing
		if i+1 < len(starts) {
			all[i].until = starts[i+1]
		}
		for _, amount := range all[i].byType {
			closing += amount
		}
		all[i].closing = closing
	}
	return all
}

// patience is how long the product gets to derive what it has not yet.
const patience = 30 * time.Second

// check reads back what the product has derived and compares it to the cent.
// alone says that the workspace holds nothing else, so that totals are to be
// the demo's too.
func check(ctx context.Context, c *client, w *world, alone bool) error {
	var wrong []string
	for deadline := time.Now().Add(patience); ; {
		var err error
		if wrong, err = differences(ctx, c, w, alone); err != nil || len(wrong) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the product has derived something else in %d places:\n  %s", len(wrong),
				strings.Join(wrong[:min(len(wrong), 5)], "\n  "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func differences(ctx context.Context, c *client, w *world, alone bool) (wrong []string, err error) {
	got := map[string]derived{}
	err = list(ctx, c, "/accounts", url.Values{"include_inactive": {"true"}, "order_by": {"account_id"}}, func(d derived) { got[d.Account] = d })
	if err != nil {
		return nil, err
	}
	ledger := map[string][]movement{}
	err = list(ctx, c, "/mrr_movements", url.Values{"direction": {"asc"}}, func(m movement) { ledger[m.Account] = append(ledger[m.Account], m) })
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, a := range w.accounts {
		if want := w.expected(a, now); got[a.id].String() != want.String() {
			wrong = append(wrong, fmt.Sprintf("account %s is %s, expected %s", a.id, got[a.id], want))
		}
		if want := a.movements(now); !slices.Equal(ledger[a.id], want) {
			wrong = append(wrong, fmt.Sprintf("the movements of %s are %v, expected %v", a.id, ledger[a.id], want))
		}
	}
	if !alone {
		return wrong, nil
	}
	for _, m := range w.waterfall(now) {
		window := url.Values{"start": {strconv.FormatInt(ms(m.from), 10)}}
		if !m.until.IsZero() {
			window.Set("end", strconv.FormatInt(ms(m.until), 10))
		}
		var answer struct {
			Opening int64            `json:"opening_mrr"`
			Closing int64            `json:"closing_mrr"`
			Totals  map[string]int64 `json:"totals"`
		}
		if err := c.call(ctx, "GET", "/mrr_movements", window, nil, &answer); err != nil {
			return nil, err
		}
		same := answer.Opening == m.opening && answer.Closing == m.closing && answer.Totals["net"] == m.closing-m.opening
		for _, kind := range movementTypes {
			same = same && answer.Totals[kind] == m.byType[kind]
		}
		if !same {
			wrong = append(wrong, fmt.Sprintf("MRR in %s: %+v, expected %+v", m.from.Format("January 2006"), answer, m))
		}
	}
	return wrong, nil
}

// survey is what the survey of a month came to.
type survey struct {
	month  time.Time
	sum, n map[*tier]int64
}

// nps returns the score of a tier, or of all of them for nil.
func (s survey) nps(of *tier) (score, answers int64) {
	for t, n := range s.n {
		if of == nil || t == of {
			score, answers = score+s.sum[t], answers+n
		}
	}
	return rounded(score, cmp.Or(answers, 1)), answers
}

// surveys returns the survey by month.
func (w *world) surveys() []survey {
	starts := w.months()
	all := make([]survey, len(starts))
	for i, m := range starts {
		all[i] = survey{m, map[*tier]int64{}, map[*tier]int64{}}
	}
	for _, a := range w.accounts {
		for _, s := range a.scores {
			i, found := slices.BinarySearchFunc(starts, s.date, time.Time.Compare)
			if !found {
				i--
			}
			all[i].sum[a.tier] += int64(s.value)
			all[i].n[a.tier]++
		}
	}
	return all
}
