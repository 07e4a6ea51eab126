package overview

import (
	"cmp"
	"context"
	"math"
	"slices"

	"tenure/core/accounts"
	"tenure/core/resource"
	"tenure/core/revenue"
	"tenure/core/subscriptions"
)

// pass is a count that is under way: what was counted so far, and where it goes
// on.
type pass struct {
	Overview
	Stage stage `json:"stage"`
	// From is the date (epoch ms) at which a stage that reads in the order of time
	// goes on: all before it is counted, and nothing of it. After is where the reading
	// of accounts goes on.
	From  int64  `json:"from"`
	After string `json:"after"`
	// Opening is the MRR of all movements counted so far.
	Opening int64 `json:"opening"`
	// ScoreSum is the sum of current scores, Sums those of the months' answers.
	ScoreSum int64   `json:"score_sum"`
	Sums     []int64 `json:"sums"`
	// Took is how long it has been counted, in milliseconds.
	Took int64 `json:"took"`
}

// stage is what a pass counts.
type stage int

const (
	before   stage = iota // the movements before the first month
	within                // those since
	answers               // the entries of nps_history
	standing              // the accounts
	complete
)

// newPass begins to count, as of an instant.
func newPass(now int64) *pass {
	p := &pass{Sums: make([]int64, Months), From: math.MinInt64}
	p.AsOf = now
	p.Gains, p.Losses, p.Renewals.First, p.Overdue.First = []Mover{}, []Mover{}, []Renewal{}, []Renewal{}
	for i := range Months {
		start := monthStart(now, i-Months+1)
		p.Months = append(p.Months, Month{Start: start})
		p.NPS.Months = append(p.NPS.Months, NPSMonth{Start: start})
	}
	return p
}

// goOn counts until the pass is complete, or over says that it is enough.
func (c *Counter) goOn(ctx context.Context, workspace string, p *pass, over func() bool) (bool, error) {
	count := [...]func(context.Context, string, *pass, func() bool) (bool, error){
		before: c.before, within: c.within, answers: c.answers, standing: c.standing,
	}
	for p.Stage < complete {
		finished, err := count[p.Stage](ctx, workspace, p, over)
		if err != nil {
			return false, err
		}
		if finished {
			p.Stage, p.From = p.Stage+1, p.Months[0].Start
		}
		if p.Stage < complete && over() {
			return false, nil
		}
	}
	return true, nil
}

// before sums what moved before the first month.
func (c *Counter) before(ctx context.Context, workspace string, p *pass, over func() bool) (finished bool, err error) {
	last, n := p.From, 0
	for m, err := range subscriptions.Ledger(ctx, c.engine, workspace, resource.Range{From: p.From, Until: p.Months[0].Start}) {
		if err != nil {
			return false, err
		}
		if n >= c.pausing && m.Date > last {
			p.From, n = m.Date, 0
			if over() {
				return false, nil
			}
		}
		p.Opening += m.Amount
		last, n = m.Date, n+1
	}
	return true, nil
}

// within takes what moved in the months. It reads all of it in one go, as what
// each account paid when the year began, which retention is a share of, would be
// too much to keep in between.
func (c *Counter) within(ctx context.Context, workspace string, p *pass, _ func() bool) (finished bool, err error) {
	year := revenue.Totals{Opening: p.Opening}
	month, at := year, 0
	gains, losses := []Mover{}, []Mover{}
	for m, err := range subscriptions.Ledger(ctx, c.engine, workspace, resource.Range{From: p.From, Until: p.AsOf + 1}) {
		if err != nil {
			return false, err
		}
		for at+1 < Months && m.Date >= p.Months[at+1].Start {
			p.Months[at].set(month)
			month, at = revenue.Totals{Opening: month.Closing()}, at+1
		}
		month.Add(m.Account, m.Type, m.Amount, m.From)
		year.Add(m.Account, m.Type, m.Amount, m.From)
		if at < Months-1 {
			continue
		}
		// The account's id comes with its name.
		mover := Mover{AccountID: m.Account, Date: m.Date, Type: m.Type, Amount: m.Amount, MRRAfter: m.From + m.Amount}
		if m.Amount > 0 {
			gains = insert(gains, mover, movers, func(a, b Mover) int { return cmp.Compare(b.Amount, a.Amount) })
		} else {
			losses = insert(losses, mover, movers, func(a, b Mover) int { return cmp.Compare(a.Amount, b.Amount) })
		}
	}
	for ; at < Months; at++ {
		p.Months[at].set(month)
		month = revenue.Totals{Opening: month.Closing()}
	}
	p.Year.Start = p.Months[0].Start
	p.Year.set(year)
	p.Gains, p.Losses = gains, losses
	return true, nil
}

// set takes what the movements of the month come to.
func (m *Month) set(t revenue.Totals) {
	share := func(value float64, ok bool) *float64 {
		if !ok {
			return nil
		}
		return &value
	}
	*m = Month{
		Start: m.Start, Opening: t.Opening, New: t.ByType["new"], Expansion: t.ByType["expansion"],
		Contraction: t.ByType["contraction"], Churn: t.ByType["churn"], Closing: t.Closing(),
		NetRetention: share(t.NetRetention()), GrossRetention: share(t.GrossRetention()),
	}
}

// insert puts one into a list in order, behind its equals, of which the first most
// are kept.
func insert[T any](list []T, one T, most int, order func(a, b T) int) []T {
	at, _ := slices.BinarySearchFunc(list, one, func(a, b T) int { return cmp.Or(order(a, b), -1) })
	if at >= most {
		return list
	}
	list = slices.Insert(list, at, one)
	return list[:min(most, len(list))]
}

// answers counts the entries of nps_history of the months.
func (c *Counter) answers(ctx context.Context, workspace string, p *pass, over func() bool) (finished bool, err error) {
	last, n := p.From, 0
	at := 0
	for row, err := range c.engine.EntryRows(ctx, workspace, accounts.Family, resource.Range{From: p.From, Until: p.AsOf + 1}) {
		if err != nil {
			return false, err
		}
		date, score := row.Numbers[0], row.Numbers[1]
		if n >= c.pausing && date > last {
			p.From, n = date, 0
			if over() {
				return false, nil
			}
		}
		for at+1 < Months && date >= p.NPS.Months[at+1].Start {
			at++
		}
		m := &p.NPS.Months[at]
		m.Answers++
		p.Sums[at] += score
		switch {
		case score > 0:
			m.Positive++
		case score < 0:
			m.Negative++
		default:
			m.Neutral++
		}
		last, n = date, n+1
	}
	return true, nil
}

// standing counts the accounts.
func (c *Counter) standing(ctx context.Context, workspace string, p *pass, over func() bool) (finished bool, err error) {
	// As long as a mover's name is not known, its id is the group of its movements.
	nameless := map[string][]*Mover{}
	for _, list := range [][]Mover{p.Gains, p.Losses} {
		for i := range list {
			if list[i].Name == "" {
				nameless[list[i].AccountID] = append(nameless[list[i].AccountID], &list[i])
			}
		}
	}
	all := resource.List{Workspace: workspace, Family: accounts.Family, Inactive: true}
	for batch, err := range c.engine.Batches(ctx, all, p.After) {
		if err != nil {
			return false, err
		}
		for _, r := range batch.Records {
			a := accounts.StandingOf(r)
			p.account(a)
			if len(nameless) == 0 {
				continue
			}
			for _, m := range nameless[c.engine.Group(workspace, subscriptions.Movements, a.ID)] {
				m.AccountID, m.Name = short(a.ID), short(a.Name)
			}
		}
		p.After = batch.After
		if over() {
			return false, nil
		}
	}
	return true, nil
}

// account counts an account.
func (p *pass) account(a accounts.Standing) {
	month := p.Months[Months-1].Start
	in := func(at int64) bool { return at >= month && at <= p.AsOf }
	if in(a.Joined) {
		p.Accounts.Joined++
	}
	if !a.Active {
		p.Accounts.Inactive++
		p.InactiveMRR += orZero(a.MRR)
		switch {
		case !in(a.Ended):
		case a.Churned:
			p.Accounts.Churned++
		default:
			p.Accounts.Deleted++
		}
		return
	}
	p.Accounts.Active++
	if a.NPS != nil {
		p.NPS.Accounts++
		p.ScoreSum += *a.NPS
	}
	if a.Renewal == nil {
		return
	}
	today := p.AsOf - p.AsOf%day
	switch one := (Renewal{AccountID: short(a.ID), Name: short(a.Name), Date: *a.Renewal, MRR: a.MRR}); {
	case one.Date < today:
		p.Overdue.add(one)
	case one.Date < today+RenewalDays*day:
		p.Renewals.add(one)
	}
}

// add counts a renewal, and lists it if it is one of the first.
func (r *Renewals) add(one Renewal) {
	r.Count++
	r.MRR += orZero(one.MRR)
	r.First = insert(r.First, one, listed, func(a, b Renewal) int { return cmp.Compare(a.Date, b.Date) })
}

func orZero(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// short cuts a text that is longer than is kept of it.
func short(text string) string {
	runes := []rune(text)
	if len(runes) <= textLimit {
		return text
	}
	return string(runes[:textLimit-1]) + "…"
}
