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
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"tenure/core/accounts"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/subscriptions"
	"tenure/core/table"
)

const (
	// Months is how many months are told of, the current one included.
	Months = 12
	// RenewalDays is how many days ahead renewals are told of.
	RenewalDays = 90
	// listed is the largest number of renewals and of overdue ones that are listed.
	listed = 50
	// movers is how many movements of the current month are listed.
	movers = 5
	// fresh is how old a count may be before it is done anew.
	fresh = time.Minute
	// readsAtOnce is how many accounts' scores are read at a time.
	readsAtOnce = 8
)

const day = int64(24 * time.Hour / time.Millisecond)

// Overview is what was counted. Amounts are in cents, instants in epoch ms; months
// begin at 00:00 UTC of their first day.
type Overview struct {
	// AsOf is when counting began.
	AsOf     int64    `json:"as_of"`
	Accounts Accounts `json:"accounts"`
	// MRR is what all movements up to AsOf come to, ARR twelve times that.
	MRR      int64    `json:"mrr"`
	ARR      int64    `json:"arr"`
	Months   []Month  `json:"months"`
	Movers   []Mover  `json:"movers"`
	NPS      NPS      `json:"nps"`
	Renewals Renewals `json:"renewals"`
	Overdue  Renewals `json:"overdue_renewals"`
}

// Accounts counts accounts.
type Accounts struct {
	Active   int `json:"active"`
	Inactive int `json:"inactive"`
	// Joined are those whose join_date lies in the current month, Churned and
	// Deleted those that became inactive in it.
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

// NPSMonth is what the entries of nps_history dated in a month come to.
type NPSMonth struct {
	Start int64 `json:"start"`
	// Score is the mean of all Answers of the month, rounded half away from zero;
	// null when there was none.
	Score   *int64 `json:"score"`
	Answers int64  `json:"answers"`
}

// Renewals are renewals of active accounts: how many, the MRR of their accounts,
// and the first of them by date.
type Renewals struct {
	Count int       `json:"count"`
	MRR   int64     `json:"mrr"`
	First []Renewal `json:"first"`
}

// Renewal is the renewal of an account.
type Renewal struct {
	AccountID string `json:"account_id"`
	Name      string `json:"name"`
	Date      int64  `json:"date"`
	MRR       int64  `json:"mrr"`
}

// state is what is kept of a workspace's counts.
type state struct {
	// Done is the last count that was completed; nil for none.
	Done *Overview `json:"done,omitempty"`
	// Pass is the count that is under way; nil for none.
	Pass *pass `json:"pass,omitempty"`
}

// pass is a count that is under way.
type pass struct {
	Overview
	// Opening is the MRR when the first month began; nil until it is known.
	Opening *int64 `json:"opening,omitempty"`
	// Moved says that Movers are known.
	Moved bool `json:"moved"`
	// Page is the page of accounts that comes next.
	Page int `json:"page"`
	// ScoreSum is the sum of current scores, Sums those of the months' answers.
	ScoreSum int64   `json:"score_sum"`
	Sums     []int64 `json:"sums"`
}

// Counter counts workspaces.
type Counter struct {
	table  table.Table
	engine *resource.Engine
}

// New returns a counter of the records of engine, which keeps its counts in t.
func New(t table.Table, engine *resource.Engine) *Counter { return &Counter{table: t, engine: engine} }

func key(workspace string) table.Key {
	return table.Key{Partition: workspace + "/overview", Sort: "overview"}
}

func (c *Counter) load(ctx context.Context, workspace string) (s state, version int64, err error) {
	items, err := c.table.Get(ctx, []table.Key{key(workspace)}, true)
	if err != nil || !items[0].Exists() {
		return s, 0, err
	}
	return s, items[0].Version, json.Unmarshal(items[0].Body, &s)
}

func (c *Counter) save(ctx context.Context, workspace string, s state, version int64) (int64, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	cond := table.Absent()
	if version != 0 {
		cond = table.VersionIs(version)
	}
	item := table.Item{Key: key(workspace), Version: version + 1, Body: body}
	return item.Version, errors.Join(c.table.Write(ctx, []table.Op{table.Put(item, cond)}, nil)...)
}

// Last returns what was counted last, nil when nothing was yet, and whether it is
// time to count anew.
func (c *Counter) Last(ctx context.Context, workspace string) (o *Overview, old bool, err error) {
	s, _, err := c.load(ctx, workspace)
	return s.Done, s.Done == nil || c.engine.Now()-s.Done.AsOf >= fresh.Milliseconds(), err
}

// Count counts a workspace anew for as long as patience lets it, unless the last
// count is young, and returns the last one that was completed: nil when there is
// none. done says that no count is under way. Of several that count at once, one
// gets on.
func (c *Counter) Count(ctx context.Context, workspace string, patience time.Duration) (o *Overview, done bool, err error) {
	s, version, err := c.load(ctx, workspace)
	if err != nil {
		return nil, false, err
	}
	if s.Pass == nil {
		if s.Done != nil && c.engine.Now()-s.Done.AsOf < fresh.Milliseconds() {
			return s.Done, true, nil
		}
		s.Pass = newPass(c.engine.Now())
	}
	deadline := time.Now().Add(patience)
	for more := true; more; {
		if more, err = c.step(ctx, workspace, s.Pass); err != nil {
			return s.Done, false, err
		}
		if more && time.Now().Before(deadline) {
			continue
		}
		if !more {
			s.Done, s.Pass = s.Pass.finished(), nil
		}
		if version, err = c.save(ctx, workspace, s, version); err != nil || more {
			if errors.Is(err, table.ErrConflict) { // another one has got on
				s, _, err = c.load(ctx, workspace)
				return s.Done, s.Pass == nil && err == nil, err
			}
			return s.Done, false, err
		}
	}
	return s.Done, true, nil
}

// newPass begins to count, as of an instant.
func newPass(now int64) *pass {
	p := &pass{Sums: make([]int64, Months)}
	p.AsOf = now
	p.Movers, p.Renewals.First, p.Overdue.First = []Mover{}, []Renewal{}, []Renewal{}
	for i := range Months {
		start := monthStart(now, i-Months+1)
		p.NPS.Months = append(p.NPS.Months, NPSMonth{Start: start})
	}
	return p
}

// monthStart returns the beginning of the month that lies so many months after the
// one of an instant.
func monthStart(ms int64, after int) int64 {
	at := time.UnixMilli(ms).UTC()
	return time.Date(at.Year(), at.Month()+time.Month(after), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// step does one part of a count, and reports whether there is more to do.
func (c *Counter) step(ctx context.Context, workspace string, p *pass) (more bool, err error) {
	switch {
	case p.Opening == nil:
		opening, err := subscriptions.OpeningMRR(ctx, c.engine, workspace, p.NPS.Months[0].Start)
		p.Opening = &opening
		return true, err
	case len(p.Months) < Months:
		return true, c.month(ctx, workspace, p)
	case !p.Moved:
		p.Moved = true
		return true, c.movers(ctx, workspace, p)
	}
	return c.accounts(ctx, workspace, p)
}

// month takes what moved in the next month.
func (c *Counter) month(ctx context.Context, workspace string, p *pass) error {
	n := len(p.Months)
	start, until := p.NPS.Months[n].Start, p.AsOf+1
	if n+1 < Months {
		until = p.NPS.Months[n+1].Start
	}
	opening := *p.Opening
	if n > 0 {
		opening = p.Months[n-1].Closing
	}
	t, err := subscriptions.MovementTotalsFrom(ctx, c.engine, workspace, resource.Range{From: start, Until: until}, opening)
	if err != nil {
		return err
	}
	m := Month{Start: start, Opening: t.Opening, New: t.ByType["new"], Expansion: t.ByType["expansion"],
		Contraction: t.ByType["contraction"], Churn: t.ByType["churn"], Closing: t.Closing()}
	if share, ok := t.NetRetention(); ok {
		m.NetRetention = &share
	}
	if share, ok := t.GrossRetention(); ok {
		m.GrossRetention = &share
	}
	p.Months = append(p.Months, m)
	return nil
}

// movers takes the largest movements of the current month.
func (c *Counter) movers(ctx context.Context, workspace string, p *pass) error {
	window := resource.Range{From: p.NPS.Months[Months-1].Start, Until: p.AsOf + 1}
	for page := 0; ; page++ {
		listing, failure, err := c.engine.List(ctx, resource.List{Workspace: workspace, Family: subscriptions.Movements, Range: &window, Page: page})
		if failure != nil {
			err = failure
		}
		if err != nil {
			return err
		}
		n := 0
		for {
			records, err := listing.Next(ctx)
			if err != nil {
				return err
			}
			if len(records) == 0 {
				break
			}
			n += len(records)
			for _, r := range records {
				m := subscriptions.MovementOf(r)
				p.Movers = append(p.Movers, Mover{AccountID: m.Account, Date: m.Date, Type: m.Type, Amount: m.Amount, MRRAfter: m.After})
			}
			slices.SortStableFunc(p.Movers, func(a, b Mover) int {
				return cmp.Or(cmp.Compare(math.Abs(float64(b.Amount)), math.Abs(float64(a.Amount))), cmp.Compare(b.Date, a.Date))
			})
			p.Movers = p.Movers[:min(movers, len(p.Movers))]
		}
		if n < resource.MaxPageSize {
			break
		}
	}
	for i := range p.Movers {
		records, err := c.engine.Read(ctx, resource.Target{Workspace: workspace, Family: accounts.Family, ID: p.Movers[i].AccountID})
		if err != nil {
			return err
		}
		if len(records) > 0 {
			p.Movers[i].Name = records[0][name].Text()
		}
	}
	return nil
}

// The ordinals of the fields of an account that are counted.
var (
	declaration  = accounts.Family.Schema
	id           = declaration.Ordinal("account_id")
	name         = declaration.Ordinal("name")
	joinDate     = declaration.Ordinal("join_date")
	isActive     = declaration.Ordinal("is_active")
	isChurned    = declaration.Ordinal("is_churned")
	inactiveTime = declaration.Ordinal("inactive_time")
	renewalDate  = declaration.Ordinal("renewal_date")
	currentMRR   = declaration.Ordinal("current_mrr")
	currentNPS   = declaration.Ordinal("current_nps_score")
	npsHistory   = declaration.Ordinal("nps_history")
	scores       = declaration.List(npsHistory)
	scoreDate    = scores.Ordinal("date")
	scoreValue   = scores.Ordinal("nps_score")
)

// accounts counts the next page of accounts, and reports whether there may be
// more.
func (c *Counter) accounts(ctx context.Context, workspace string, p *pass) (more bool, err error) {
	listing, failure, err := c.engine.List(ctx, resource.List{Workspace: workspace, Family: accounts.Family, Inactive: true, Page: p.Page})
	if failure != nil {
		err = failure
	}
	if err != nil {
		return false, err
	}
	// All of a page or nothing, as a count that stops in between begins it anew.
	var page []schema.Record
	for {
		records, err := listing.Next(ctx)
		if err != nil {
			return false, err
		}
		if len(records) == 0 {
			break
		}
		page = append(page, records...)
	}
	answers, err := c.scores(ctx, workspace, page)
	if err != nil {
		return false, err
	}
	for _, r := range page {
		p.account(r)
	}
	for _, s := range answers {
		p.answer(s)
	}
	p.Page++
	return len(page) == resource.MaxPageSize, nil
}

// scores reads the entries of nps_history of those accounts that have any: whose
// history is not empty has a current score, unless it was set to null.
func (c *Counter) scores(ctx context.Context, workspace string, page []schema.Record) ([]schema.Record, error) {
	var mu sync.Mutex
	var all []schema.Record
	var failed error
	var group sync.WaitGroup
	slots := make(chan struct{}, readsAtOnce)
	for _, r := range page {
		if r[currentNPS].IsNull() {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			records, err := c.engine.Read(ctx, resource.Target{Workspace: workspace, Family: accounts.Family, ID: r[id].Text()})
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			for _, read := range records {
				all = append(all, scores.Entries(read[npsHistory])...)
			}
		})
	}
	group.Wait()
	return all, failed
}

// account counts an account.
func (p *pass) account(r schema.Record) {
	now, month := p.AsOf, p.NPS.Months[Months-1].Start
	in := func(v schema.Value) bool { return !v.IsNull() && v.Int() >= month && v.Int() <= now }
	active := !r[isActive].Given() || r[isActive].IsNull() || r[isActive].True()
	if in(r[joinDate]) {
		p.Accounts.Joined++
	}
	if !active {
		p.Accounts.Inactive++
		switch {
		case !in(r[inactiveTime]):
		case r[isChurned].True():
			p.Accounts.Churned++
		default:
			p.Accounts.Deleted++
		}
		return
	}
	p.Accounts.Active++
	if v := r[currentNPS]; !v.IsNull() {
		p.NPS.Accounts++
		p.ScoreSum += v.Int()
	}
	v := r[renewalDate]
	if v.IsNull() {
		return
	}
	renewal := Renewal{AccountID: r[id].Text(), Name: r[name].Text(), Date: v.Int(), MRR: r[currentMRR].Int()}
	switch {
	case renewal.Date < now:
		p.Overdue.add(renewal)
	case renewal.Date < now+RenewalDays*day:
		p.Renewals.add(renewal)
	}
}

// add counts a renewal, and lists it if it is one of the first.
func (r *Renewals) add(one Renewal) {
	r.Count++
	r.MRR += one.MRR
	at, _ := slices.BinarySearchFunc(r.First, one, func(a, b Renewal) int {
		return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.AccountID, b.AccountID))
	})
	if at < listed {
		r.First = slices.Insert(r.First, at, one)
		r.First = r.First[:min(listed, len(r.First))]
	}
}

// answer counts an entry of nps_history.
func (p *pass) answer(s schema.Record) {
	date := s[scoreDate].Int()
	if date > p.AsOf {
		return
	}
	for i := Months - 1; i >= 0; i-- {
		if m := &p.NPS.Months[i]; date >= m.Start {
			m.Answers++
			p.Sums[i] += s[scoreValue].Int()
			return
		}
	}
}

// finished returns the count, complete.
func (p *pass) finished() *Overview {
	o := p.Overview
	o.MRR = o.Months[Months-1].Closing
	o.ARR = 12 * o.MRR
	o.NPS.Current = mean(p.ScoreSum, int64(o.NPS.Accounts))
	for i := range o.NPS.Months {
		o.NPS.Months[i].Score = mean(p.Sums[i], o.NPS.Months[i].Answers)
	}
	return &o
}

// mean returns sum / n, rounded half away from zero; nil where there is nothing.
func mean(sum, n int64) *int64 {
	if n == 0 {
		return nil
	}
	half := n
	if sum < 0 {
		half = -n
	}
	m := (2*sum + half) / (2 * n)
	return &m
}
