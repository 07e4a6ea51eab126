package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const day = 24 * time.Hour

// tier is a group of customers that buy and behave alike.
type tier struct {
	name         string
	share        float64 // of all accounts
	price        int64   // of a seat a month, in cents
	seats        float64 // the median
	spread       float64 // of the logarithm of seats
	annual       float64 // share that pays by the year
	quarterly    float64 // share that pays by the quarter; the rest pays monthly
	score        float64 // what its people think of the product, as an NPS
	risk         float64 // added to what makes an account likely to leave
	tickets      float64 // a month
	users        int     // product users at most
	contacts     int
	csms         []rep
	surveyed     int // people asked a quarter
	setup        int64
	meetingsEach int // months between two meetings
}

var tiers = []*tier{
	{name: "Enterprise", share: 0.08, price: 5900, seats: 95, spread: 0.55, annual: 1, score: 44, risk: -0.14, tickets: 2.4,
		users: 45, contacts: 5, csms: csms[:2], surveyed: 4, setup: 450_000, meetingsEach: 1},
	{name: "Growth", share: 0.28, price: 4900, seats: 17, spread: 0.5, annual: 0.6, quarterly: 0.15, score: 30, risk: -0.04, tickets: 0.9,
		users: 16, contacts: 3, csms: csms[2:4], surveyed: 2, setup: 90_000, meetingsEach: 3},
	{name: "Starter", share: 0.64, price: 2900, seats: 4.2, spread: 0.5, annual: 0.25, score: 14, tickets: 0.35,
		users: 6, contacts: 1, csms: csms[4:], surveyed: 1, meetingsEach: 6},
}

// cycle is how a plan is billed; renewals are due as often.
type cycle struct {
	code   string
	unit   string
	length int
	months int
}

var (
	monthly   = cycle{"monthly", "month", 1, 1}
	quarterly = cycle{"quarterly", "month", 3, 3}
	annual    = cycle{"annual", "year", 1, 12}
)

// fate is what becomes of an account by today.
type fate uint8

const (
	stays   fate = iota
	trying       // no subscription yet
	churns       // ended within the year
	leaving      // has given notice: ends at its next renewal, which is still to come
	overdue      // its last renewal is due and was not made
)

// kind is what began a segment.
type kind uint8

const (
	begins  kind = iota // the subscription
	renews              // a new period
	changes             // other terms within a period
)

// segment is a stretch of a subscription with the same terms.
type segment struct {
	kind    kind
	from    time.Time
	until   time.Time // the next segment, or the end; zero where it goes on
	next    time.Time // when the renewal of its period is due
	due     time.Time // of a renewal: when that was due
	revenue int64     // of one cycle, in cents
}

// subscription is one subscription's whole history, in the order of time.
type subscription struct {
	id       string
	plan     string
	label    string
	cycle    cycle
	segments []segment
	ended    bool // at the end of the last segment
}

// person is a user or a contact of an account.
type person struct {
	id, first, last, email string
	joined                 time.Time
	left                   bool
}

// account is one customer.
type account struct {
	number   int
	id       string
	name     string
	domain   string
	industry industry
	tier     *tier
	region   string
	country  string
	joined   time.Time
	begins   time.Time // of its first subscription
	cycle    cycle
	seats    int
	health   float64 // 0 to 1, while all is well
	fate     fate
	ends     time.Time // when it ended or is going to; else zero
	reason   string
	csm      rep
	sales    rep
	parent   *account
	subs     []*subscription
	users    []person
	contacts []person
	scores   []score
	rand     *rand.Rand
}

// score is one answer to the survey.
type score struct {
	date    time.Time
	value   int // 100, 0 or -100: a promoter, passive, detractor
	email   string
	comment string
}

// world is all that the demo knows of its customers. It follows from the day,
// the seed and the number of accounts alone.
type world struct {
	seed     uint64
	today    time.Time // 00:00 UTC: nothing that has happened is later
	since    time.Time // the first of the month twelve months before: from when on there is everything
	accounts []*account
}

// newWorld makes up n accounts as they are at the beginning of today.
func newWorld(today time.Time, seed uint64, n int) *world {
	today = today.UTC().Truncate(day)
	w := &world{seed: seed, today: today, since: time.Date(today.Year(), today.Month()-12, 1, 0, 0, 0, 0, time.UTC)}
	r := rand.New(rand.NewPCG(seed, math.MaxUint64))
	stems := r.Perm(len(companyFronts) * len(companyBacks))
	ranks := r.Perm(n)
	for i := range n {
		a := &account{number: i + 1, id: fmt.Sprintf("demo-%04d", i+1), rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		share := (float64(ranks[i]) + 0.5) / float64(n)
		for _, t := range tiers {
			a.tier = t
			if share -= t.share; share < 0 {
				break
			}
		}
		w.introduce(a, stems[i%len(stems)], i/len(stems))
		w.accounts = append(w.accounts, a)
	}
	w.joinDates(r)
	w.fates(r)
	for _, a := range w.accounts {
		w.subscribe(a)
		w.staff(a)
	}
	w.families()
	w.survey()
	return w
}

// introduce says who an account is.
func (w *world) introduce(a *account, stem, round int) {
	r := a.rand
	name := companyFronts[stem/len(companyBacks)] + companyBacks[stem%len(companyBacks)]
	a.industry = pick(r, industries)
	a.name = name + " " + pick(r, a.industry.kinds)
	a.domain = strings.ToLower(name) + ".example"
	if round > 0 {
		a.name = fmt.Sprintf("%s %d", a.name, round+1)
		a.domain = fmt.Sprintf("%s-%d.example", strings.ToLower(name), round+1)
	}
	a.region = pick(r, regions)
	a.country = pick(r, countries[a.region])
	a.csm, a.sales = pick(r, a.tier.csms), pick(r, salesReps)
	a.seats = max(int(math.Round(a.tier.seats*math.Exp(a.tier.spread*r.NormFloat64()))), 2)
	a.health = min(max(0.68+0.17*r.NormFloat64(), 0.15), 0.98)
	switch p := r.Float64(); {
	case p < a.tier.annual:
		a.cycle = annual
	case p < a.tier.annual+a.tier.quarterly:
		a.cycle = quarterly
	default:
		a.cycle = monthly
	}
}

// signUps is how many customers sign up in each month of a year, relative to
// each other: few in the holidays, many when budgets are new.
var signUps = [...]float64{1.3, 1.1, 1.25, 1, 0.95, 0.9, 0.65, 0.6, 1.3, 1.25, 1.05, 0.55}

// sharesOfYear: so many accounts came within the last year, and are trying the
// product now.
const (
	newShare    = 0.28
	tryingShare = 0.03
)

// joinDates says when accounts joined, and when they began to pay.
func (w *world) joinDates(r *rand.Rand) {
	n := len(w.accounts)
	trials := max(int(math.Round(tryingShare*float64(n))), 1)
	fresh := int(math.Round(newShare * float64(n)))
	lastPaying := w.today.AddDate(0, 0, -20)
	dates := slices.Concat(
		w.spread(r, trials, w.today.AddDate(0, 0, -16), w.today),
		w.spread(r, fresh, w.today.AddDate(-1, 0, 0), lastPaying),
		w.spread(r, n-fresh-trials, w.today.AddDate(-5, 0, 0), w.today.AddDate(-1, 0, -20)))
	for i, at := range r.Perm(n) {
		a := w.accounts[at]
		a.joined = dates[i]
		if i < trials {
			a.fate = trying
			continue
		}
		a.begins = a.joined.Truncate(day).AddDate(0, 0, 14)
		// Not on the last days of a month, which not every month has.
		if a.begins.Day() > 28 {
			a.begins = time.Date(a.begins.Year(), a.begins.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		}
	}
}

// spread returns n instants within working hours of [from, to), more where more
// customers sign up, and more in later years.
func (w *world) spread(r *rand.Rand, n int, from, to time.Time) []time.Time {
	weight := func(d time.Time) float64 {
		if d.Weekday() == time.Saturday || d.Weekday() == time.Sunday {
			return 0.02
		}
		return signUps[d.Month()-1] * (1 + d.Sub(from).Hours()/to.Sub(from).Hours())
	}
	total := 0.0
	for d := from; d.Before(to); d = d.Add(day) {
		total += weight(d)
	}
	var all []time.Time
	reached := 0.0
	for d := from; d.Before(to) && len(all) < n; d = d.Add(day) {
		for reached += weight(d); len(all) < n && reached >= total*(float64(len(all))+0.5)/float64(n); {
			all = append(all, d.Add(time.Duration(8*60+r.IntN(600))*time.Minute))
		}
	}
	return all
}

// How many of the accounts that paid a year ago leave within the year, and how
// many of the others do.
const (
	churnShare    = 0.1
	newChurnShare = 0.05
)

// fates chooses who leaves, who is about to, and who is late: those who are
// least well, mostly.
func (w *world) fates(r *rand.Rand) {
	aYearAgo := w.today.AddDate(-1, 0, 0)
	type candidate struct {
		*account
		risk float64
	}
	choose := func(of fate, share float64, may func(a *account) bool) {
		var all []candidate
		for _, a := range w.accounts {
			if a.fate == stays && may(a) {
				all = append(all, candidate{a, 1 - a.health + a.tier.risk + 0.12*r.NormFloat64()})
			}
		}
		slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.risk, a.risk) })
		for _, c := range all[:int(math.Round(share*float64(len(all))))] {
			c.fate = of
		}
	}
	choose(churns, churnShare, func(a *account) bool { return a.begins.Before(aYearAgo) })
	choose(churns, newChurnShare, func(a *account) bool {
		return !a.begins.Before(aYearAgo) && a.boundary(3).Before(w.today)
	})
	choose(overdue, 0.25, func(a *account) bool {
		last, next := a.around(w.today)
		return a.cycle == annual && next > 1 && w.today.Sub(last) < 45*day
	})
	choose(leaving, 0.06, func(a *account) bool {
		_, next := a.around(w.today)
		return a.cycle == annual && a.boundary(next).Sub(w.today) < 90*day
	})
	for _, a := range w.accounts {
		last, next := a.around(w.today)
		switch a.fate {
		case churns:
			a.reason = pick(a.rand, churnReasons)
			a.ends = last
			if a.cycle != annual {
				first := next - 1
				for first > 2 && a.boundary(first-1).After(w.since) {
					first--
				}
				a.ends = a.boundary(first + a.rand.IntN(next-first))
			}
		case leaving:
			a.reason = pick(a.rand, churnReasons[:len(churnReasons)-1])
			a.ends = a.boundary(next)
		}
	}
}

// boundary returns the end of the account's first k periods.
func (a *account) boundary(k int) time.Time { return a.begins.AddDate(0, k*a.cycle.months, 0) }

// around returns the last boundary before t, and the number of the next one.
func (a *account) around(t time.Time) (last time.Time, next int) {
	if a.begins.IsZero() {
		return a.begins, 0
	}
	for a.boundary(next).Before(t) {
		next++
	}
	return a.boundary(next - 1), next
}

// price returns what so many seats cost a cycle, in cents. Large contracts are
// negotiated down to whole hundreds.
func (a *account) price(list int64) int64 {
	total := list * int64(a.seats) * int64(a.cycle.months)
	if a.cycle == annual {
		total = total * 9 / 10
	}
	if a.tier == tiers[0] {
		total = total / 10_000 * 10_000
	}
	return total
}

// subscribe makes up what an account has subscribed to.
func (w *world) subscribe(a *account) {
	if a.fate == trying {
		return
	}
	r := a.rand
	s := &subscription{id: a.id + "-main", plan: strings.ToLower(a.tier.name) + "-" + a.cycle.code, cycle: a.cycle,
		label: a.tier.name + " plan, " + a.cycle.code}
	a.subs = append(a.subs, s)
	list := a.tier.price
	// A year of periods has the same chances whatever their length.
	year := float64(a.cycle.months) / 12
	for k := 0; ; k++ {
		from, next := a.boundary(k), a.boundary(k+1)
		if !a.ends.IsZero() && !from.Before(a.ends) || !from.Before(w.today) || a.fate == overdue && k > 0 && !next.Before(w.today) {
			break
		}
		g := segment{kind: begins, from: from, next: next}
		if k > 0 {
			g.kind, g.due = renews, from
			if a.cycle == annual && r.Float64() < 0.6 {
				list += list * int64(3+r.IntN(4)) / 100
			}
			switch p := r.Float64(); {
			case p < 0.28*year*(a.health+0.2):
				a.seats += max(int(float64(a.seats)*(0.08+0.22*r.Float64())), 1)
			case p > 1-0.2*year*(1.3-a.health):
				a.seats = max(a.seats-max(int(float64(a.seats)*(0.08+0.15*r.Float64())), 1), 2)
			}
		}
		g.revenue = a.price(list)
		s.segments = append(s.segments, g)
		if grows := r.Float64(); a.cycle == annual && grows < 0.3*(a.health+0.15) {
			at := from.AddDate(0, 0, 20+r.IntN(300))
			if at.Before(w.today) && (a.ends.IsZero() || at.Before(a.ends.AddDate(0, -4, 0))) {
				a.seats += max(int(float64(a.seats)*(0.08+0.2*r.Float64())), 1)
				s.segments = append(s.segments, segment{kind: changes, from: at, next: next, revenue: a.price(list)})
			}
		}
	}
	s.close(a.ends)
	if a.cycle == annual && a.tier != tiers[2] && r.Float64() < 0.4 {
		w.addOn(a, s)
	}
}

// addOn makes up a second subscription, which renews and ends with the first.
func (w *world) addOn(a *account, main *subscription) {
	from := w.since.AddDate(0, -2, a.rand.IntN(400))
	if from.Before(a.begins.AddDate(0, 1, 0)) || !from.Before(w.today) || !a.ends.IsZero() && !from.Before(a.ends.AddDate(0, -6, 0)) {
		return
	}
	s := &subscription{id: a.id + "-insights", plan: "insights-annual", cycle: annual, label: "Insights add-on, annual"}
	price := a.price(a.tier.price) / 500 * 100 // a fifth, in whole units of the currency
	for _, g := range main.segments {
		switch {
		case g.kind == changes:
		case g.next.After(from) && len(s.segments) == 0:
			s.segments = append(s.segments, segment{kind: begins, from: from, next: g.next, revenue: price})
		case len(s.segments) > 0:
			g.revenue = price
			s.segments = append(s.segments, g)
		}
	}
	if len(s.segments) == 0 {
		return
	}
	s.close(a.ends)
	a.subs = append(a.subs, s)
}

// close has each segment go on until the next, and the last one until the end.
func (s *subscription) close(end time.Time) {
	for i := range s.segments {
		if i+1 < len(s.segments) {
			s.segments[i].until = s.segments[i+1].from
		} else {
			s.segments[i].until = end
		}
	}
	s.ended = !end.IsZero()
}

// staff makes up an account's users and contacts.
func (w *world) staff(a *account) {
	r := a.rand
	until := w.end(a)
	taken := map[string]bool{}
	somebody := func(id string, joined time.Time) person {
		for n := 1; ; n++ {
			p := person{id: id, first: pick(r, givenNames), last: pick(r, familyFronts) + pick(r, familyBacks), joined: joined}
			mailbox := strings.ToLower(p.first + "." + p.last)
			if n > 20 {
				mailbox += fmt.Sprint(n)
			}
			p.email = mailbox + "@" + a.domain
			if !taken[p.email] {
				taken[p.email] = true
				return p
			}
		}
	}
	for i := range a.tier.contacts {
		a.contacts = append(a.contacts, somebody(fmt.Sprintf("%s-c%02d", a.id, i+1), a.joined))
	}
	for i := range max(min(a.seats, a.tier.users), 2) {
		id := fmt.Sprintf("%s-u%03d", a.id, i+1)
		if i == 0 {
			p := a.contacts[0]
			p.id = id
			a.users = append(a.users, p)
			continue
		}
		p := somebody(id, a.joined.Add(time.Duration(r.Float64()*r.Float64()*float64(until.Sub(a.joined)))).Truncate(time.Second))
		p.left = r.Float64() < 0.08
		a.users = append(a.users, p)
	}
}

// families makes a few of the largest accounts the parents of smaller ones.
func (w *world) families() {
	var parents, children []*account
	for _, a := range w.accounts {
		switch {
		case a.tier == tiers[0]:
			parents = append(parents, a)
		case a.tier == tiers[1] && a.number%9 == 0:
			children = append(children, a)
		}
	}
	for i, c := range children {
		if i < 2*len(parents)/3 {
			c.parent = parents[i/2]
		}
	}
}

// end returns until when an account does something.
func (w *world) end(a *account) time.Time {
	if !a.ends.IsZero() && a.ends.Before(w.today) {
		return a.ends
	}
	return w.today
}

// healthAt returns how well an account is at t: those that leave, or are late,
// have been getting worse for five months.
func (w *world) healthAt(a *account, t time.Time) float64 {
	if a.fate == stays || a.fate == trying {
		return a.health
	}
	worse := 1 - w.end(a).Sub(t).Hours()/(150*24)
	return max(a.health-0.4*min(max(worse, 0), 1), 0.03)
}

// mood is by how much all scores of a month differ from what the tiers say:
// they rise over the year, but for a price increase in the middle of it.
func (w *world) mood(month int) float64 {
	switch up := float64(month)*2.4 - 14; month {
	case 5:
		return up - 20
	case 6:
		return up - 14
	case 7:
		return up - 6
	default:
		return up
	}
}

// months returns the first days of the months from since on.
func (w *world) months() []time.Time {
	var all []time.Time
	for m := w.since; m.Before(w.today); m = m.AddDate(0, 1, 0) {
		all = append(all, m)
	}
	return all
}

// survey makes up what the contacts of each account answered: a third of the
// accounts is asked each month. Answers are taken at equal distances from what
// they are likely to be, so that the trend shows with few accounts too.
func (w *world) survey() {
	const golden = 0.6180339887498949
	for m, month := range w.months() {
		at := 0.5
		for _, a := range w.accounts {
			if a.number%3 != m%3 {
				continue
			}
			for i := range min(a.tier.surveyed, len(a.contacts)) {
				date := month.AddDate(0, 0, 2+a.rand.IntN(24)).Add(time.Duration(9*60+a.rand.IntN(480)) * time.Minute)
				silent := a.rand.Float64() < 0.2
				if silent || date.Before(a.joined.AddDate(0, 0, 30)) || !date.Before(w.end(a)) {
					continue
				}
				likely := min(max((a.tier.score+w.mood(m)+110*(w.healthAt(a, date)-0.66))/100, -0.68), 0.68)
				_, at = math.Modf(at + golden)
				s := score{date: date, email: a.contacts[i].email}
				switch detractors := (0.7 - likely) / 2; {
				case at < detractors:
					s.value, s.comment = -100, pick(a.rand, detractorComments)
				case at < detractors+0.3:
					s.comment = pick(a.rand, passiveComments)
				default:
					s.value, s.comment = 100, pick(a.rand, promoterComments)
				}
				a.scores = append(a.scores, s)
			}
		}
	}
}

// pick returns one of several.
func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }
