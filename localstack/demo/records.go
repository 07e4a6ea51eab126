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

// record is one record of an upload, by the names of the API document.
type record map[string]any

// family is what goes to one endpoint, in order.
type family struct {
	path    string
	records []record
}

// families returns all that is to be uploaded. It is the same every time.
func families(w *world) []family {
	accounts, contacts, users := family{path: "accounts"}, family{path: "account_contacts"}, family{path: "account_users"}
	subscriptions, statements, tickets := family{path: "subscriptions"}, family{path: "statements"}, family{path: "support_tickets"}
	interactions, notes, metrics := family{path: "interactions"}, family{path: "notes"}, family{path: "metrics"}
	for _, a := range w.accounts {
		g := &generator{world: w, account: a, rand: rand.New(rand.NewPCG(^w.seed, uint64(a.number)))}
		accounts.records = append(accounts.records, g.accountRecord())
		contacts.records = append(contacts.records, g.contactRecords()...)
		users.records = append(users.records, g.userRecords()...)
		subscriptions.records = append(subscriptions.records, g.events()...)
		statements.records = append(statements.records, g.invoices()...)
		tickets.records = append(tickets.records, g.tickets()...)
		interactions.records = append(interactions.records, g.interactions()...)
		notes.records = append(notes.records, g.notes()...)
		metrics.records = append(metrics.records, g.metrics()...)
	}
	// A parent is there before its children.
	slices.SortStableFunc(accounts.records, func(a, b record) int {
		return cmp.Compare(len(fmt.Sprint(a["parent_account_id"])), len(fmt.Sprint(b["parent_account_id"])))
	})
	return []family{accounts, contacts, users, subscriptions, statements, tickets, interactions, notes, metrics}
}

// generator makes the records of one account.
type generator struct {
	*world
	*account
	rand *rand.Rand
}

// source is what all records say they come from.
const source = "Demo"

func ms(t time.Time) int64 { return t.UnixMilli() }

// workingTime returns an instant on the day d.
func (g *generator) workingTime(d time.Time) time.Time {
	return d.Truncate(day).Add(time.Duration(8*3600+g.rand.IntN(9*3600)) * time.Second)
}

// active reports whether the account was a customer, or trying, at t in the
// time of which there is everything.
func (g *generator) active(t time.Time) bool {
	return !t.Before(g.since) && !t.Before(g.joined) && t.Before(g.end(g.account))
}

// stage is one of the stages an account went through; to is zero in the one it
// is in.
type stage struct {
	name     string
	from, to time.Time
}

// stages returns the stages of an account by today.
func (w *world) stages(a *account) []stage {
	all := []stage{{name: "Trial", from: a.joined}}
	enter := func(name string, at time.Time) {
		if at.Before(w.today) {
			all[len(all)-1].to = at
			all = append(all, stage{name: name, from: at})
		}
	}
	if a.fate == trying {
		return all
	}
	enter("Onboarding", a.begins)
	enter("Established", a.begins.AddDate(0, 0, 45))
	if a.fate != stays {
		if at := w.end(a).AddDate(0, 0, -70); at.After(all[len(all)-1].from) {
			enter("At risk", at)
		}
	}
	if a.fate == churns {
		enter("Churned", a.ends)
	}
	return all
}

func (g *generator) accountRecord() record {
	r, a := g.rand, g.account
	health := g.healthAt(a, g.end(a))
	n := a.number
	rec := record{
		"account_id": a.id, "name": a.name, "join_date": ms(a.joined), "website": "https://www." + a.domain,
		"crm_account_id": fmt.Sprintf("CRM-%05d", 10_000+n), "billing_account_id": fmt.Sprintf("BILL-%05d", 20_000+n),
		"support_account_id": fmt.Sprintf("SUP-%05d", 30_000+n),
		"billing_street":     fmt.Sprintf("%d %s Street", 1+r.IntN(200), pick(r, companyFronts)), "billing_city": pick(r, cities),
		"billing_postal_code": fmt.Sprintf("%05d", r.IntN(100_000)), "billing_country": a.country,
		"phone": fmt.Sprintf("+1 555 01%02d", r.IntN(100)), "employees": a.seats * (4 + r.IntN(9)), "industry": a.industry.name,
		"tier": a.tier.name, "csm_score": int(100*health) / 5 * 5, "sales_rep_name": a.sales.first + " " + a.sales.last,
		"sales_rep_email": a.sales.email, "source": source,
		"description":   fmt.Sprintf("%s in %s, with %d seats", a.industry.name, a.region, a.seats),
		"assigned_csms": []record{{"email": a.csm.email}},
		"custom_label_dimensions": []record{{"key": "region", "value": a.region}, {"key": "use_case", "value": pick(r, useCases)},
			{"key": "lead_source", "value": pick(r, sources)}, {"key": "demo", "value": g.mark()}},
		"custom_value_dimensions": []record{{"key": "licensed_seats", "value": a.seats},
			{"key": "seat_utilization", "value": math.Round(100*(0.3+0.65*health)) / 100}},
	}
	if a.parent != nil {
		rec["parent_account_id"], rec["hierarchy_label"] = a.parent.id, "Subsidiary"
	}
	var stages []record
	for _, s := range g.stages(a) {
		entry := record{"name": s.name, "start_date": ms(s.from)}
		if !s.to.IsZero() {
			entry["end_date"] = ms(s.to)
		}
		stages = append(stages, entry)
	}
	rec["stage_history"] = stages
	var scores []record
	for _, s := range a.scores {
		scores = append(scores, record{"nps_score": s.value, "date": ms(s.date), "username": s.email, "comments": s.comment})
	}
	if scores != nil {
		rec["nps_history"] = scores
	}
	if a.fate == trying {
		rec["custom_event_dimensions"] = []record{{"key": "trial_started", "value": ms(a.joined)}}
		return rec
	}
	rec["custom_event_dimensions"] = []record{{"key": "kickoff", "value": ms(a.begins)}, {"key": "trial_started", "value": ms(a.joined)}}
	documents := []record{{"name": "Order form", "url": "https://documents.example.com/" + a.id + "/order-form.pdf", "description": "Signed order form"}}
	if a.tier != tiers[2] {
		documents = append(documents, record{"name": "Success plan", "url": "https://documents.example.com/" + a.id + "/success-plan"})
	}
	rec["documents"] = documents
	status, details, at := "On track", "Usage and sentiment are as expected.", g.today.AddDate(0, 0, -1-r.IntN(40))
	switch a.fate {
	case churns:
		rec["is_churned"], rec["inactive_time"], rec["inactive_reason"] = true, ms(a.ends), a.reason
		status, details, at = "Lost", a.reason, a.ends
	case leaving:
		status, details = "Notice given", a.reason+". The contract ends on "+a.ends.Format("2 January 2006")+"."
	case overdue:
		status, details = "Renewal overdue", "The renewal is waiting for a signature."
	default:
		if health < 0.45 {
			status, details = "Needs attention", "Fewer people log in than a quarter ago."
		}
	}
	rec["latest_status_title"], rec["latest_status_details"], rec["latest_status_date"] = status, details, ms(g.workingTime(at.AddDate(0, 0, -1)))
	return rec
}

// mark says in every account which demo it is part of: another one must not be
// written over it.
func (w *world) mark() string {
	return fmt.Sprintf("-day %s -seed %d -accounts %d", w.today.Format(time.DateOnly), w.seed, len(w.accounts))
}

func (g *generator) contactRecords() []record {
	var all []record
	for i, p := range g.contacts {
		all = append(all, record{"user_id": p.id, "account_id": g.id, "first_name": p.first, "last_name": p.last, "email": p.email,
			"is_primary": i == 0, "title": pick(g.rand, titles), "role": roles[i%len(roles)], "department": pick(g.rand, departments),
			"phone": fmt.Sprintf("+1 555 01%02d", g.rand.IntN(100)), "mailing_country": g.country, "lead_source": pick(g.rand, sources),
			"source": source, "custom_label_dimensions": []record{{"key": "persona", "value": personas[i%len(personas)]}}})
	}
	return all
}

func (g *generator) userRecords() []record {
	health := g.healthAt(g.account, g.end(g.account))
	gone := g.fate == churns
	var all []record
	for i, p := range g.users {
		rec := record{"user_id": p.id, "account_id": g.id, "first_name": p.first, "last_name": p.last, "email": p.email,
			"is_primary": i == 0, "product_join_date": ms(p.joined), "title": pick(g.rand, titles), "department": pick(g.rand, departments),
			"is_active": !p.left && !gone, "source": source,
			"custom_value_dimensions": []record{{"key": "logins_30d", "value": int(float64(1+g.rand.IntN(30)) * health)}}}
		if i == 0 {
			rec["contact_user_id"] = g.contacts[0].id
		}
		all = append(all, rec)
	}
	return all
}

// events returns the events of the account's subscriptions. Each says until
// when its terms hold, so that posting them all again changes nothing.
func (g *generator) events() []record {
	var all []record
	for _, s := range g.subs {
		for _, seg := range s.segments {
			e := record{"subscription_id": s.id, "account_id": g.id, "event": "revenue", "effective_start_date": ms(seg.from),
				"total_revenue": seg.revenue, "cycle_unit": s.cycle.unit, "cycle_length": s.cycle.length,
				"next_renewal_date": ms(seg.next), "plan_code": s.plan, "source": source}
			if !seg.until.IsZero() {
				e["effective_end_date"] = ms(seg.until)
			}
			if seg.kind == renews {
				e["event"], e["previous_renewal_date"] = "renewal", ms(seg.due)
			}
			all = append(all, e)
		}
		all[len(all)-1]["custom_dimensions"] = []record{{"key": "billing", "value": s.cycle.code}, {"key": "currency", "value": "USD"}}
		if s.ended {
			all = append(all, record{"subscription_id": s.id, "account_id": g.id, "event": "end",
				"effective_start_date": ms(s.segments[len(s.segments)-1].until), "source": source})
		}
	}
	return all
}

// item is a line of an invoice.
type item struct {
	amount      int64
	recurring   bool
	description string
}

// invoiced returns what is charged for the account's subscriptions since
// everything is there, by the day of the charge: a whole cycle when a period
// begins, and the share of the days left for what is added within one.
func (w *world) invoiced(a *account) map[time.Time][]item {
	charged := map[time.Time][]item{}
	for _, s := range a.subs {
		for i, seg := range s.segments {
			if seg.from.Before(w.since) {
				continue
			}
			whole := seg.next.AddDate(0, -s.cycle.months, 0)
			line := item{seg.revenue, true, s.label + ", " + seg.from.Format("2 Jan 2006") + " to " + seg.next.Format("2 Jan 2006")}
			if seg.kind == changes {
				line.amount -= s.segments[i-1].revenue
				line.description = "More seats: " + line.description
			}
			if !seg.from.Equal(whole) {
				line.amount = line.amount * int64(seg.next.Sub(seg.from)/day) / int64(seg.next.Sub(whole)/day)
			}
			charged[seg.from] = append(charged[seg.from], line)
			if seg.kind == begins && s == a.subs[0] && a.tier.setup > 0 {
				charged[seg.from] = append(charged[seg.from], item{a.tier.setup, false, "Onboarding and training"})
			}
		}
	}
	return charged
}

// byTransfer is from which amount on, in cents, an invoice is paid in two parts.
const byTransfer = 2_000_000

func (g *generator) invoices() []record {
	charged := g.invoiced(g.account)
	var dates []time.Time
	for d := range charged {
		dates = append(dates, d)
	}
	slices.SortFunc(dates, time.Time.Compare)
	var all []record
	for _, d := range dates {
		total, lines := int64(0), []record{}
		for _, i := range charged[d] {
			total += i.amount
			lines = append(lines, record{"amount": i.amount, "is_recurring": i.recurring, "description": i.description})
		}
		id := "INV-" + g.id + "-" + d.Format("20060102")
		rec := record{"invoice_id": id, "account_id": g.id, "start_date": ms(d), "line_items": lines, "source": source}
		all = append(all, rec)
		pay := func(number int, amount int64, at time.Time) {
			if at.Before(g.today) {
				paid, _ := rec["transactions"].([]record)
				rec["transactions"] = append(paid, record{"tx_id": fmt.Sprintf("%s-%d", id, number), "paid_amount": amount, "paid_date": ms(at)})
			}
		}
		last := d.Equal(dates[len(dates)-1])
		if g.cycle == monthly {
			// By card, at once. One in forty is declined and, mostly, paid days later.
			rec["due_date"] = ms(d)
			again := g.workingTime(d.AddDate(0, 0, 2+g.rand.IntN(7)))
			switch {
			case last && g.reason == "Payment failed":
				rec["is_failed"] = true
			case g.rand.IntN(40) > 0:
				rec["paid_date"] = ms(d.Add(time.Duration(1+g.rand.IntN(180)) * time.Minute))
			case again.Before(g.today) && g.rand.IntN(8) > 0:
				pay(2, total, again)
			default:
				rec["is_failed"] = true
			}
			continue
		}
		due := d.AddDate(0, 0, 30)
		rec["due_date"] = ms(due)
		late := time.Duration(math.Round(20*(1.2-g.healthAt(g.account, d)))) * day
		at := g.workingTime(due.Add(late).AddDate(0, 0, -g.rand.IntN(24)))
		switch {
		case last && g.reason == "Payment failed":
			rec["is_failed"] = true
		case total >= byTransfer:
			pay(1, total/2, at)
			pay(2, total-total/2, at.AddDate(0, 0, 14))
		case at.Before(g.today):
			rec["paid_date"] = ms(at)
		}
	}
	return all
}

// hours is how long a ticket of a priority takes, about.
var hours = map[string]float64{"urgent": 5, "high": 18, "normal": 44, "low": 90}

func (g *generator) tickets() []record {
	r := g.rand
	var all []record
	for _, month := range g.months() {
		health := g.healthAt(g.account, month.AddDate(0, 0, 15))
		for range poisson(r, g.tier.tickets*(2.1-1.9*health)) {
			created := g.workingTime(month.AddDate(0, 0, r.IntN(28)))
			if !g.active(created) {
				continue
			}
			kind, agent := pick(r, ticketTypes), pick(r, agents)
			priority := pick(r, []string{"low", "normal", "normal", "normal", "high"})
			if kind == "incident" {
				priority = pick(r, []string{"high", "urgent"})
			}
			subject := pick(r, ticketSubjects[kind])
			from := pick(r, g.users)
			rec := record{"ticket_id": fmt.Sprintf("%s-t%03d", g.id, len(all)+1), "account_id": g.id, "type": kind, "priority": priority,
				"subject": subject, "description": subject + ". Reported by " + from.first + " " + from.last + " (" + from.email + ").",
				"create_time": ms(created), "assignee_id": agent.email, "assignee_email": agent.email, "source": source}
			all = append(all, rec)
			took := time.Duration(hours[priority] * math.Exp(0.8*r.NormFloat64()) * float64(time.Hour)).Truncate(time.Second)
			if closed := created.Add(took); closed.Before(g.today) {
				rec["state"], rec["close_time"], rec["last_update_time"] = "closed", ms(closed), ms(closed)
				if g.today.Sub(closed) < 5*day {
					rec["state"] = "solved"
				}
				if r.Float64() < 0.4 {
					stars := min(max(int(math.Round(1.4+4.2*health+0.9*r.NormFloat64())), 1), 5)
					rec["csat_value"], rec["csat_label"] = stars, []string{"unhappy", "unhappy", "neutral", "satisfied", "delighted"}[stars-1]
				}
				continue
			}
			rec["state"], rec["last_update_time"] = pick(r, []string{"open", "open", "pending"}), ms(created)
			if updated := created.Add(took / 3); updated.Before(g.today) {
				rec["last_update_time"] = ms(updated)
			}
		}
	}
	return all
}

// poisson returns how often something happens that does so mean times.
func poisson(r *rand.Rand, mean float64) int {
	n := 0
	for p := r.Float64(); p > math.Exp(-mean); p *= r.Float64() {
		n++
	}
	return n
}

func (g *generator) interactions() []record {
	var all []record
	add := func(at time.Time, how, subject, details string) {
		at = g.workingTime(at)
		if !g.active(at) {
			return
		}
		with := pick(g.rand, g.contacts)
		all = append(all, record{"external_id": fmt.Sprintf("%s-i%03d", g.id, len(all)+1), "account_id": g.id, "type": how,
			"create_time": ms(at), "rep_email": g.csm.email, "rep_first_name": g.csm.first, "rep_last_name": g.csm.last,
			"user_id": with.id, "user": with.first + " " + with.last, "subject": subject, "details": details, "source": source})
	}
	add(g.joined.AddDate(0, 0, 1), "email", "Welcome", "Sent the guide for the first week and offered a call.")
	if g.fate == trying {
		return all
	}
	add(g.begins.AddDate(0, 0, 3), "phone", "Kick-off", "Agreed on goals for the first ninety days, and on who does what.")
	for at := g.begins.AddDate(0, g.tier.meetingsEach, 6); at.Before(g.today); at = at.AddDate(0, g.tier.meetingsEach, 0) {
		switch health := g.healthAt(g.account, at); {
		case health < 0.4:
			add(at, "phone", "Check-in: usage is falling", "Fewer people log in than before. Offered a training; they will come back to us.")
		case g.tier == tiers[0] && int(at.Month())%3 == 0:
			add(at, "in-person", "Quarterly business review", "Went through usage, open tickets and the plan of the next quarter. They asked for the road map.")
		default:
			add(at, "email", "Check-in", "All well. They asked when the next release comes.")
		}
	}
	for _, s := range g.subs[:1] {
		for _, seg := range s.segments {
			if seg.kind == renews && s.cycle == annual {
				add(seg.from.AddDate(0, 0, -21), "phone", "Renewal call", "Went through the offer for the next year.")
			}
		}
	}
	if g.fate == churns {
		add(g.ends.AddDate(0, 0, -12), "phone", "Exit interview", g.reason+". They may come back once things change.")
	}
	return all
}

func (g *generator) notes() []record {
	var all []record
	add := func(at time.Time, subject, text string) {
		at = g.workingTime(at)
		if !g.active(at) {
			return
		}
		all = append(all, record{"external_id": fmt.Sprintf("%s-n%03d", g.id, len(all)+1), "account_id": g.id, "create_time": ms(at),
			"rep_email": g.csm.email, "editor_first_name": g.csm.first, "editor_last_name": g.csm.last, "subject": subject, "note": text,
			"source": source})
	}
	add(g.joined, "Who they are", fmt.Sprintf("%s from %s, a %s company. Handed over by %s.", g.name, g.region, strings.ToLower(g.industry.name), g.sales.first))
	for _, s := range g.subs {
		for i, seg := range s.segments {
			more := i > 0 && seg.revenue > s.segments[i-1].revenue
			switch {
			case seg.kind == changes:
				add(seg.from, "Expansion", "They bought more seats in the middle of the term.")
			case seg.kind == renews && s.cycle == annual && more:
				add(seg.from, "Renewed", "Renewed for a year, for more than before.")
			case seg.kind == renews && s.cycle == annual:
				add(seg.from, "Renewed", "Renewed for a year.")
			case seg.kind == renews && seg.revenue < s.segments[i-1].revenue:
				add(seg.from, "Downgrade", "They have given seats back: a team was dissolved.")
			}
		}
	}
	if g.fate != stays && g.fate != trying {
		add(g.end(g.account).AddDate(0, 0, -60), "Risk", "Usage is down, and our champion is hard to reach. Raised with the team.")
	}
	if g.fate == leaving || g.fate == churns {
		add(g.end(g.account).AddDate(0, 0, -8), "Notice", "They have given notice. "+g.reason+".")
	}
	return all
}

// metrics returns a point a week of each metric.
func (g *generator) metrics() []record {
	var active, reports, minutes []record
	first := g.today.AddDate(0, 0, -52*7)
	first = first.AddDate(0, 0, -int(first.Weekday()+6)%7) // a Monday
	for at := first; at.Before(g.today); at = at.AddDate(0, 0, 7) {
		if !g.active(at) {
			continue
		}
		season := 1.0
		switch at.Month() {
		case time.July, time.August:
			season = 0.85
		case time.December:
			season = 0.75
		}
		users := math.Max(math.Round(float64(g.seats)*(0.2+0.75*g.healthAt(g.account, at))*season*(0.93+0.14*g.rand.Float64())), 0)
		point := func(value float64) record { return record{"timestamp": ms(at), "value": value} }
		active = append(active, point(users))
		reports = append(reports, point(math.Round(users*(1.5+2*g.rand.Float64()))))
		minutes = append(minutes, point(math.Round(users*(35+30*g.rand.Float64()))))
	}
	if active == nil {
		return nil
	}
	return []record{
		{"name": "weekly_active_users", "account_id": g.id, "metrics": active},
		{"name": "reports_created", "account_id": g.id, "metrics": reports},
		{"name": "minutes_in_product", "account_id": g.id, "metrics": minutes},
	}
}
