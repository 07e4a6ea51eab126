// Package health says how an account is doing: its health score, from 0 (about to
// leave) to 100 (all is well), and why.
//
// # The model
//
// Five parts have points from 0 to 100, or not enough data:
//
//   - usage: how the active users and the sessions of the last 28 days compare with
//     the 28 days before, and how long ago the last event was. The mean of the three.
//   - support: the open tickets by their priorities against the account's usual
//     number of tickets in 28 days, the share of the last 90 days' tickets that is
//     unsolved, and the tickets of the last 28 days against the usual number. The
//     mean of the three.
//   - nps: the net promoter score.
//   - revenue: how MRR compares with that of 90 days ago; less a deduction if there
//     was churn since.
//   - renewal: see below.
//
// What is measured becomes points by a scale of two thresholds, that of 0 points and
// that of 100: in between points rise evenly. Points are whole numbers, rounded half
// up, as are the means of a part's measures.
//
// The score is the mean of the points, weighted, rounded half up once. A part without
// data is left out with its weight: the others count for more. There is no score at
// all for an inactive account, nor where fewer parts than the minimum, or less than
// the minimum share of the weights, have data (renewal is not counted there).
//
// A renewal that is near is no bad sign in itself: it is one where others are. So the
// part counts only if the mean m of the other parts is below a threshold t and the
// renewal is less than h days away. It then has m - n(t - m) points, at least 0,
// rounded down, where the nearness n rises from 0, h days before the renewal, to 1 on
// the day and after. That is never more than m: it lowers the score, or leaves it.
//
// Days begin at 00:00 UTC. Usage is compared over whole days, the last of them
// yesterday, so that a score does not depend on the time of day; the last of the days of
// tickets is today. All is computed in whole numbers: the same inputs have the same
// score everywhere.
package health

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// The names of the parts, in their order.
const (
	UsagePart   = "usage"
	SupportPart = "support"
	NPSPart     = "nps"
	RevenuePart = "revenue"
	RenewalPart = "renewal"
)

// PartNames are the names of all parts, in their order.
var PartNames = []string{UsagePart, SupportPart, NPSPart, RevenuePart, RenewalPart}

const (
	// Window is how many days usage and new tickets are counted of, and compared with
	// as many before.
	Window = 28
	// Past is how many days before Window make an account's usual number of tickets.
	Past = 336
	// UnsolvedWindow is of how many days' tickets the share of the unsolved is taken,
	// RevenueWindow how many days ago MRR is compared with.
	UnsolvedWindow, RevenueWindow = 90, 90
)

// Status says whether a part counts.
type Status string

const (
	// Counted: the part has points, and they count with its weight.
	Counted Status = "counted"
	// NotEnoughData: there is too little to go by.
	NotEnoughData Status = "not_enough_data"
	// DoesNotCount: the part's weight is 0, or a renewal is nothing to worry about.
	DoesNotCount Status = "does_not_count"
)

// Inputs are what a score follows from. Days are whole ones; nil is for what is not
// known.
type Inputs struct {
	Active  bool // the account is neither deleted nor churned
	Usage   Usage
	Support Support
	NPS     NPS
	Revenue Revenue
	Renewal Renewal
}

// Usage is what is counted of usage events.
type Usage struct {
	// SinceFirst and SinceLast are how many days ago the first and the last event was.
	SinceFirst, SinceLast *int64
	// Users and Sessions are those of the last Window days, UsersBefore and
	// SessionsBefore those of as many before.
	Users, UsersBefore       int64
	Sessions, SessionsBefore int64
}

// Priority is how urgent a ticket is.
type Priority int

// The priorities, the most urgent first.
const (
	Urgent Priority = iota
	High
	Normal
	Low
	priorities
)

// load is what an open ticket counts for, in halves of a normal one.
var load = [priorities]int64{Urgent: 8, High: 4, Normal: 2, Low: 1}

// PriorityOf reads the priority of a ticket, which every support system calls by
// words of its own. What says nothing is normal.
func PriorityOf(word string) Priority {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "urgent", "critical", "blocker", "highest", "p0", "p1", "1":
		return Urgent
	case "high", "major", "p2", "2":
		return High
	case "low", "lowest", "minor", "trivial", "p4", "p5", "4", "5":
		return Low
	}
	return Normal
}

// Open reports whether a ticket in that state is open; it is not once it has a close
// time that has come.
func Open(state string) bool {
	switch strings.ToLower(strings.TrimSpace(state)) {
	case "closed", "solved", "resolved", "done", "completed", "complete", "cancelled", "canceled", "deleted", "spam":
		return false
	}
	return true
}

// Support is what is counted of tickets.
type Support struct {
	// Open are the open tickets by Priority.
	Open [priorities]int64
	// Recent are the tickets created in the last Window days.
	Recent int64
	// Created are those of the last UnsolvedWindow days, Unsolved those of them that
	// are open.
	Created, Unsolved int64
	// Past are those of the PastDays days before Window, at most Past: fewer for an
	// account whose first ticket is younger.
	Past, PastDays int64
}

// NPS is the account's net promoter score.
type NPS struct {
	Score *int64 // -100 to 100
	// Age is how many days ago the latest score was given; nil for one that was set
	// directly.
	Age *int64
}

// Revenue is how MRR has moved.
type Revenue struct {
	// SinceFirst is how many days ago the account first paid.
	SinceFirst *int64
	// Now and Before are the MRR of today and of RevenueWindow days ago, in cents.
	Now, Before int64
	// Churned says that a subscription ended or stopped earning anything since.
	Churned bool
}

// Renewal is when the next renewal is due.
type Renewal struct {
	In *int64 // days from today, negative for one that was due
}

// Assessment is a score and how it came about.
type Assessment struct {
	// Score is from 0 to 100; nil if there is none.
	Score *int `json:"score"`
	// Explanation says in a sentence what the score is made of, or why there is none.
	Explanation string `json:"explanation"`
	// Weight is that of all parts that count.
	Weight int    `json:"weight"`
	Parts  []Part `json:"parts"`
}

// Part is what one part has to say.
type Part struct {
	Name   string `json:"part"`
	Status Status `json:"status"`
	// Points are from 0 to 100; nil if the part has none.
	Points *int `json:"points"`
	// Weight is the one set for the part; it counts only if Status is Counted.
	Weight int `json:"weight"`
	// Explanation says in a sentence why.
	Explanation string `json:"explanation"`
	// Inputs are the numbers it follows from, without those that are not known.
	Inputs map[string]int64 `json:"inputs"`
	// Measures are what the points are the mean of.
	Measures []Measure `json:"measures"`
}

// Measure is one of the measures whose mean is a part's points.
type Measure struct {
	Name        string `json:"measure"`
	Points      int    `json:"points"`
	Explanation string `json:"explanation"`
}

// Assess returns the score of an account by settings that are valid.
func Assess(in Inputs, by Settings) Assessment {
	parts := []Part{
		usagePart(in.Usage, &by), supportPart(in.Support, &by), npsPart(in.NPS, &by), revenuePart(in.Revenue, &by),
	}
	weights := []int{by.Weights.Usage, by.Weights.Support, by.Weights.NPS, by.Weights.Revenue}
	all, sum := 0, 0
	a := Assessment{}
	having := 0 // how many have data
	for i := range parts {
		p := &parts[i]
		p.Weight = weights[i]
		all += p.Weight
		switch {
		case p.Status != Counted:
		case p.Weight == 0:
			p.Status = DoesNotCount
			p.Explanation = "Left out: its weight is 0. " + p.Explanation
		default:
			having++
			a.Weight += p.Weight
			sum += p.Weight * *p.Points
		}
	}
	renewal := renewalPart(in.Renewal, &by, sum, a.Weight)
	if renewal.Status == Counted {
		a.Weight += renewal.Weight
		sum += renewal.Weight * *renewal.Points
	}
	a.Parts = append(parts, renewal)
	switch {
	case !in.Active:
		a.Explanation = "No score: the account is inactive."
	case having < by.Minimum.Parts:
		a.Explanation = fmt.Sprintf("No score: %s enough data, and at least %d of usage, support, nps and revenue must have it.",
			haveData(having), by.Minimum.Parts)
	case 100*(a.Weight-weightOf(renewal)) < by.Minimum.Weight*all:
		a.Explanation = fmt.Sprintf("No score: the parts that have enough data have %d of the weights' %d, and must have at least %d%%.",
			a.Weight-weightOf(renewal), all, by.Minimum.Weight)
	default:
		score := roundHalfUp(int64(sum), int64(a.Weight))
		a.Score = &score
		var of []string
		for _, p := range a.Parts {
			if p.Status == Counted {
				of = append(of, fmt.Sprintf("%s %d (weight %d)", p.Name, *p.Points, p.Weight))
			}
		}
		a.Explanation = fmt.Sprintf("%d is the weighted mean of %s.", score, strings.Join(of, ", "))
	}
	return a
}

// Unassessed is what there is to say of an account that was not assessed yet.
func Unassessed() Assessment {
	return Assessment{Explanation: "No score yet: the account will be assessed within minutes.", Parts: []Part{}}
}

func haveData(n int) string {
	switch n {
	case 0:
		return "none of the parts has"
	case 1:
		return "only one part has"
	}
	return fmt.Sprintf("only %d parts have", n)
}

// weightOf returns the weight with which a part counts.
func weightOf(p Part) int {
	if p.Status != Counted {
		return 0
	}
	return p.Weight
}

// lacking makes p a part without enough data.
func (p Part) lacking(format string, args ...any) Part {
	p.Status, p.Explanation = NotEnoughData, fmt.Sprintf(format, args...)
	return p
}

// mean gives p the mean of its measures.
func (p Part) mean() Part {
	sum := 0
	var told []string
	for _, m := range p.Measures {
		sum += m.Points
		told = append(told, m.Explanation)
	}
	points := roundHalfUp(int64(sum), int64(len(p.Measures)))
	p.Status, p.Points = Counted, &points
	p.Explanation = strings.Join(told, " ")
	return p
}

// known puts those inputs that are known.
func known(inputs map[string]int64, name string, value *int64) {
	if value != nil {
		inputs[name] = *value
	}
}

func usagePart(u Usage, by *Settings) Part {
	p := Part{Name: UsagePart, Measures: []Measure{}, Inputs: map[string]int64{
		"active_users": u.Users, "active_users_before": u.UsersBefore, "sessions": u.Sessions, "sessions_before": u.SessionsBefore,
	}}
	known(p.Inputs, "days_since_first_event", u.SinceFirst)
	known(p.Inputs, "days_since_last_event", u.SinceLast)
	switch {
	case u.SinceFirst == nil || u.SinceLast == nil:
		return p.lacking("Not enough data: there are no usage events.")
	case *u.SinceFirst < int64(by.Usage.MinDays):
		return p.lacking("Not enough data: the first usage event was %s, and %d days are needed.", ago(*u.SinceFirst), by.Usage.MinDays)
	}
	if *u.SinceFirst >= 2*Window {
		p.Measures = append(p.Measures, trend("active_users", "Active users", u.Users, u.UsersBefore, by.Usage.Change))
		// Not every product says of its events which session they belong to.
		if u.Sessions != 0 || u.SessionsBefore != 0 {
			p.Measures = append(p.Measures, trend("sessions", "Sessions", u.Sessions, u.SessionsBefore, by.Usage.Change))
		}
	}
	p.Measures = append(p.Measures, Measure{
		Name: "last_seen", Points: by.Usage.Unseen.points(max(*u.SinceLast, 0), 1),
		Explanation: fmt.Sprintf("The last event was %s.", ago(*u.SinceLast)),
	})
	return p.mean()
}

// trend measures how a number of the last Window days compares with the one before.
func trend(name, noun string, now, before int64, by Scale) Measure {
	change := changeOf(now, before)
	return Measure{Name: name, Points: by.points(change, 10), Explanation: fmt.Sprintf("%s: %d in the last %d days, %d in the %d days before (%s).", noun, now, Window, before, Window, percent(change))}
}

func supportPart(t Support, by *Settings) Part {
	open, halves := int64(0), int64(0)
	for i, n := range t.Open {
		open = plus(open, n)
		halves = plus(halves, times(n, load[i]))
	}
	p := Part{Name: SupportPart, Measures: []Measure{}, Inputs: map[string]int64{
		"open_urgent": t.Open[Urgent], "open_high": t.Open[High], "open_normal": t.Open[Normal], "open_low": t.Open[Low],
		"created": t.Recent, "created_before": t.Past, "days_before": t.PastDays, "created_90_days": t.Created, "unsolved_90_days": t.Unsolved,
	}}
	if tickets := max(plus(t.Recent, t.Past), open); tickets < int64(by.Support.MinTickets) {
		return p.lacking("Not enough data: %s in the last %d days, and %d are needed.", counted(tickets, "ticket"), Window+Past, by.Support.MinTickets)
	}
	// The usual number in Window days is Past * Window / PastDays, and at least 1.
	usual, days := max(times(t.Past, Window), t.PastDays), t.PastDays
	if days <= 0 {
		usual, days = 1, 1
	}
	about := roundHalfUp(usual, days)
	share := int64(0)
	if t.Created > 0 {
		share = ratio(min(t.Unsolved, t.Created), 1000, t.Created)
	}
	backlog := "No ticket is open."
	if open > 0 {
		backlog = fmt.Sprintf("Open now: %s, with the weight of %s normal ones; usual are about %d in %d days.", counted(open, "ticket"), half(halves), about, Window)
	}
	p.Measures = append(p.Measures,
		Measure{Name: "open_tickets", Points: by.Support.Backlog.points(ratio(halves, 500*days, usual), 10), Explanation: backlog},
		Measure{Name: "unsolved", Points: by.Support.Unsolved.points(share, 10),
			Explanation: fmt.Sprintf("Unsolved: %d of %s in the last %d days.", min(t.Unsolved, t.Created), counted(t.Created, "ticket"), UnsolvedWindow)},
		Measure{Name: "new_tickets", Points: by.Support.Volume.points(ratio(t.Recent, 1000*days, usual), 10),
			Explanation: fmt.Sprintf("New in the last %d days: %s.", Window, counted(t.Recent, "ticket"))},
	)
	return p.mean()
}

func npsPart(n NPS, by *Settings) Part {
	p := Part{Name: NPSPart, Measures: []Measure{}, Inputs: map[string]int64{}}
	known(p.Inputs, "score", n.Score)
	known(p.Inputs, "days_since_answer", n.Age)
	switch {
	case n.Score == nil:
		return p.lacking("Not enough data: there is no net promoter score.")
	case n.Age != nil && *n.Age > int64(by.NPS.MaxDays):
		return p.lacking("Not enough data: the latest net promoter score was given %s, and counts for %d days.", ago(*n.Age), by.NPS.MaxDays)
	}
	p.Measures = append(p.Measures, Measure{
		Name: "score", Points: by.NPS.Score.points(*n.Score, 1), Explanation: fmt.Sprintf("The net promoter score is %d.", *n.Score),
	})
	return p.mean()
}

func revenuePart(r Revenue, by *Settings) Part {
	p := Part{Name: RevenuePart, Measures: []Measure{}, Inputs: map[string]int64{"mrr": r.Now, "mrr_before": r.Before, "churned": 0}}
	if r.Churned {
		p.Inputs["churned"] = 1
	}
	known(p.Inputs, "days_since_first_revenue", r.SinceFirst)
	switch {
	case r.SinceFirst == nil:
		return p.lacking("Not enough data: the account has never paid.")
	case *r.SinceFirst < RevenueWindow:
		return p.lacking("Not enough data: the account first paid %s, and %d days are needed.", ago(*r.SinceFirst), RevenueWindow)
	}
	change := changeOf(r.Now, r.Before)
	m := Measure{Name: "mrr", Points: by.Revenue.Change.points(change, 10)}
	m.Explanation = fmt.Sprintf("MRR is %s, and was %s %d days ago (%s).", cents(r.Now), cents(r.Before), RevenueWindow, percent(change))
	if r.Churned {
		m.Points = max(m.Points-by.Revenue.Churn, 0)
		m.Explanation += fmt.Sprintf(" There was churn since: %d points less.", by.Revenue.Churn)
	}
	p.Measures = append(p.Measures, m)
	return p.mean()
}

// renewalPart returns the part of a renewal; the points of the others, weighted, come
// to sum, and their weights to weight.
func renewalPart(r Renewal, by *Settings, sum, weight int) Part {
	p := Part{Name: RenewalPart, Status: DoesNotCount, Weight: by.Weights.Renewal, Measures: []Measure{}, Inputs: map[string]int64{}}
	known(p.Inputs, "days_to_renewal", r.In)
	if r.In == nil {
		return p.lacking("Not enough data: there is no renewal date.")
	}
	horizon, below := int64(by.Renewal.Days), int64(by.Renewal.Below)
	due := fmt.Sprintf("The renewal is due in %s.", counted(*r.In, "day"))
	switch {
	case *r.In == 0:
		due = "The renewal is due today."
	case *r.In < 0:
		due = fmt.Sprintf("The renewal was due %s.", ago(-*r.In))
	}
	if p.Weight == 0 {
		p.Explanation = "Left out: its weight is 0. " + due
		return p
	}
	if weight == 0 {
		p.Explanation = due + " It counts only together with other parts."
		return p
	}
	mean := roundHalfUp(int64(sum), int64(weight))
	switch {
	case *r.In >= horizon:
		p.Explanation = fmt.Sprintf("%s It counts only within %d days.", due, horizon)
		return p
	case int64(sum) >= below*int64(weight):
		p.Explanation = fmt.Sprintf("%s It counts only if the other parts come to less than %d; they come to %d.", due, below, mean)
		return p
	}
	// m - n(below - m) with m = sum/weight and n = near/horizon.
	near := horizon - max(*r.In, 0)
	m, w := int64(sum), int64(weight)
	points := int(max(floorDiv(m*horizon-near*(below*w-m), w*horizon), 0))
	p.Status, p.Points = Counted, &points
	p.Explanation = fmt.Sprintf("%s The other parts come to %d, less than %d: so it counts, with %d points.", due, mean, below, points)
	return p
}

// changeOf returns by how many thousandths now is more than before, from -1000 to
// 1000, rounded down; what is less than 0 counts as 0. From nothing to something is
// 1000, and where there was and is nothing, -1000.
func changeOf(now, before int64) int64 {
	now, before = max(now, 0), max(before, 0)
	switch {
	case now == 0:
		return -1000
	case before == 0:
		return 1000
	}
	return min(ratio(now, 1000, before)-1000, 1000)
}

// ratio returns a * b / of for numbers that are not negative, rounded down, at most
// 1e6; of is positive.
func ratio(a, b, of int64) int64 {
	const most = 1_000_000
	n := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
	n.Quo(n, big.NewInt(of))
	if !n.IsInt64() || n.Int64() > most {
		return most
	}
	return n.Int64()
}

// plus and times are those of numbers that are not negative, at most what an int64
// holds.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(a, b int64) int64 {
	if b != 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}

// roundHalfUp returns n / d for a positive d, rounded half up.
func roundHalfUp(n, d int64) int {
	half := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(n), 1), big.NewInt(d))
	q, _ := new(big.Int).DivMod(half, big.NewInt(2*d), new(big.Int)) // a modulus is never negative
	return int(q.Int64())
}

// ago says how many days ago something was.
func ago(days int64) string {
	switch {
	case days <= 0:
		return "today"
	case days == 1:
		return "yesterday"
	}
	return fmt.Sprintf("%d days ago", days)
}

func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// half returns a number of halves as a decimal.
func half(n int64) string {
	if n%2 == 1 {
		return fmt.Sprintf("%d.5", n/2)
	}
	return fmt.Sprint(n / 2)
}

// cents returns an amount with its decimals.
func cents(n int64) string {
	sign := ""
	u := uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%d.%02d", sign, u/100, u%100)
}

// percent returns thousandths as a rounded percentage with its sign.
func percent(thousandths int64) string {
	switch p := roundHalfUp(thousandths, 10); {
	case thousandths == 1000:
		return "at least doubled"
	case p == 0:
		return "no change"
	default:
		return fmt.Sprintf("%+d%%", p)
	}
}
