package api

import (
	"math"
	"net/http"
	"slices"
	"strconv"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/subscriptions"
)

var (
	history      = parameter{name: "history", typ: schema.Boolean, def: "false", doc: "Return the full history of the subscription"}
	segmentStart = parameter{name: "start_date", typ: schema.Time, doc: "Delete only the segment that starts exactly then, in epoch ms"}
	windowStart  = parameter{name: "start", typ: schema.Time, doc: "From this instant on, in epoch ms; if not given, from the first movement on"}
	windowEnd    = parameter{name: "end", typ: schema.Time, doc: "Up to but not including this instant, in epoch ms; if not given, up to now"}
)

// revenueRoutes returns the routes of an account's subscriptions and of MRR
// movements.
func revenueRoutes() []route {
	of := subscriptions.Movements
	return []route{
		{method: http.MethodGet, path: "/accounts/{id}/subscriptions", family: subscriptions.Family, gives: segmentsPage,
			query: []parameter{orderBy(subscriptions.Segments.Scalars(), "start_date"), direction, page},
			serve: accountSubscriptions, summary: "Retrieve the subscription history of an account"},
		{method: http.MethodGet, path: "/accounts/{id}/mrr_movements", family: of, gives: onePage, query: []parameter{direction, page},
			serve: accountMovements, summary: "Retrieve the MRR movements of an account"},
		{method: http.MethodGet, path: "/mrr_movements", family: of, gives: movementsPage,
			query: []parameter{windowStart, windowEnd, direction, page},
			serve: movements, summary: "Retrieve the MRR movements of all accounts in a window of time, with totals"},
	}
}

// subscription serves one subscription: as it is, or with its history.
func subscription(s *server, r *request) answer {
	f := subscriptions.Family
	if parseBool(r.query.Get(history.name)) {
		f = subscriptions.Histories
	}
	return read(s, r, f)
}

// deleteSubscription serves DELETE of a subscription or of one segment of it
// (contract S6).
func deleteSubscription(s *server, r *request) answer {
	text := r.query.Get(segmentStart.name)
	if text == "" {
		return remove(s, r, subscriptions.Family)
	}
	start, failure := parseTime(segmentStart.name, text)
	if failure != nil {
		return s.answerError(r, failure)
	}
	failure, err := s.Engine.Edit(r.ctx, target(r, subscriptions.Family), subscriptions.RemoveSegment(start, s.Engine.Now()))
	return s.outcome(r, failure, err)
}

// accountSubscriptions serves the segments of an account's subscriptions.
func accountSubscriptions(s *server, r *request) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	f := subscriptions.Histories
	records, failure, err := s.Engine.OfAccount(r.ctx, r.caller.Workspace, f, r.id("id"), f.ID, false, true)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	segments := subscriptions.Segments
	var flat []schema.Record
	for _, record := range records {
		flat = append(flat, subscriptions.Flat(record)...)
	}
	by := "start_date"
	switch q.orderBy {
	case "":
	case "id":
		by = "subscription_id"
	default:
		by = q.orderBy
	}
	segments.Sort(flat, !q.ascending, segments.Ordinal(by), segments.Ordinal("start_date"), segments.Ordinal("subscription_id"))
	return pageAnswer(q, segments, pageOf(flat, q.page), segments.All())
}

// accountMovements serves the MRR movements of an account up to now.
func accountMovements(s *server, r *request) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	f := subscriptions.Movements
	records, failure, err := s.Engine.OfAccount(r.ctx, r.caller.Workspace, f, r.id("id"), f.OfAccountOrder, !q.ascending, true)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	now := s.Engine.Now()
	records = slices.DeleteFunc(records, func(m schema.Record) bool { return subscriptions.MovementDate(m) > now })
	return pageAnswer(q, f.Schema, pageOf(records, q.page), f.Schema.All())
}

// movements serves the MRR movements of a workspace in a window, none in the
// future, with its totals (contract Q23).
func movements(s *server, r *request) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	window := resource.Range{From: math.MinInt64, Until: math.MaxInt64}
	if start := q.from(windowStart.name); start != nil {
		window.From = *start
	}
	if end := q.from(windowEnd.name); end != nil {
		window.Until = *end
	}
	if window.Until < window.From {
		return readFailure(&core.Failure{Code: core.OutOfRange, Field: windowEnd.name, Message: "'end' must not be before 'start'"})
	}
	now := s.Engine.Now()
	l := resource.List{Workspace: r.caller.Workspace, Family: subscriptions.Movements, Range: &window, Filter: &resource.Filter{
		Name:  "until now",
		Match: func(m schema.Record) bool { return subscriptions.MovementDate(m) <= now },
	}}
	totals, err := s.totals(r, window)
	if err != nil {
		return s.answerError(r, err)
	}
	q.echo = append(q.echo, totals...)
	return s.listed(r, q, l)
}

// totals returns what the movements of a window come to, as members of the
// answer.
func (s *server) totals(r *request, window resource.Range) ([]byte, error) {
	t, err := subscriptions.Totals(r.ctx, s.Engine, r.caller.Workspace, window)
	if err != nil {
		return nil, err
	}
	b := []byte(`,"totals":{`)
	for _, kind := range []string{"new", "expansion", "contraction", "churn"} {
		b = append(strconv.AppendInt(append(b, `"`+kind+`":`...), t.ByType[kind], 10), ',')
	}
	b = strconv.AppendInt(append(b, `"net":`...), t.Closing()-t.Opening, 10)
	b = strconv.AppendInt(append(b, `},"opening_mrr":`...), t.Opening, 10)
	b = strconv.AppendInt(append(b, `,"closing_mrr":`...), t.Closing(), 10)
	ratio := func(name string, of func() (float64, bool)) {
		b = append(b, `,"`+name+`":`...)
		if value, ok := of(); ok {
			b = strconv.AppendFloat(b, value, 'f', -1, 64)
		} else {
			b = append(b, "null"...)
		}
	}
	ratio("net_revenue_retention", t.NetRetention)
	ratio("gross_revenue_retention", t.GrossRetention)
	return b, nil
}
