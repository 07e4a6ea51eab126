package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

var subscriptionTests = []test{
	{"pages", testPagesOfSubscriptions},
	{"read", testSubscriptionRead},
	{"revenue events", testRevenueEvents},
	{"renewals", testRenewals},
	{"ends", testEnds},
	{"snapshots", testSnapshots},
	{"what an event inherits", testInheritance},
	{"dimensions", testSubscriptionDimensions},
	{"modify", testSubscriptionModify},
	{"delete", testSubscriptionDelete},
	{"list", testSubscriptionList},
	{"of an account", testSubscriptionsOfAccount},
	{"failures", testSubscriptionFailures},
	{"of another account", testSubscriptionOfAnotherAccount},
	{"dry run", testSubscriptionDryRun},
}

const dayMillis = 24 * 60 * 60 * 1000

// today returns 00:00 UTC, in epoch ms.
func today() int64 { return time.Now().UTC().Truncate(24 * time.Hour).UnixMilli() }

// event returns an event of a subscription of the account "acme", with terms
// of 100 cents a month unless it is an end.
func event(kind, subscription string, start int64, more ...object) object {
	e := object{"account_id": "acme", "subscription_id": subscription, "event": kind, "effective_start_date": start}
	if kind != "end" {
		e["total_revenue"], e["cycle_unit"], e["cycle_length"] = 100, "month", 1
	}
	return with(e, more...)
}

// costs are the terms of an event that earns so many cents a month.
func costs(cents int64) object { return object{"total_revenue": cents} }

// period returns the pattern of one entry of a history: of cents a month from
// start to end (nil while it goes on).
func period(start int64, end any, cents int64, more ...object) object {
	return with(object{
		"<only>": true, "start_date": start, "end_date": end, "is_end": false, "is_renewal": false, "expiration_date": nil,
		"previous_renewal_date": nil, "plan_code": nil, "total_revenue": cents, "cycle_unit": "month", "cycle_length": 1, "source": nil,
	}, more...)
}

// What sets a segment apart.
var isEnd = object{"is_end": true}

func renews(due any, more ...object) object {
	return with(object{"is_renewal": true, "previous_renewal_date": due}, more...)
}

func expires(date any) object { return object{"expiration_date": date} }
func due(date any) object     { return object{"next_renewal_date": date} }
func until(date int64) object { return object{"effective_end_date": date} }

func historyPath(subscription string) string {
	return "/subscriptions/" + subscription + "?history=true"
}

// historyIs checks the whole history of a subscription.
func (c *client) historyIs(subscription string, segments ...any) {
	c.Helper()
	c.get(historyPath(subscription)).want(toJSON(object{"status_is_ok": true, "results": []any{object{"records": append([]any{}, segments...)}}}))
}

// story is what events make of a new subscription.
type story struct {
	name   string
	events []object
	want   []any // its segments
}

// tell checks stories twice: with one upload for each event, and with all
// events of a story in one upload, which must come to the same (P8).
func (c *client) tell(stories ...story) {
	c.Helper()
	c.upload("/accounts", account("acme"))
	for i, s := range stories {
		c.sub(s.name, func(c *client) {
			for _, atOnce := range []bool{false, true} {
				id := fmt.Sprintf("%d-%t", i, atOnce)
				var records []any
				for _, e := range s.events {
					e["subscription_id"] = id
					if records = append(records, e); !atOnce {
						c.upload("/subscriptions", e)
					}
				}
				if atOnce {
					c.upload("/subscriptions", records...)
				}
				c.historyIs(id, s.want...)
			}
		})
	}
}

// testSubscriptionRead shows all forms of one subscription, with the values of
// the document's examples (S2).
func testSubscriptionRead(c *client) {
	last := `{"<only>": true, "start_date": 1395158436543, "end_date": null, "is_end": false, "is_renewal": true, "expiration_date": 1447799926555,
		"previous_renewal_date": 1395158436543, "plan_code": "plan_2", "total_revenue": 818019, "cycle_unit": "day", "cycle_length": 45, "source": "zuora"}`
	first := `{"<only>": true, "start_date": 1392566436543, "end_date": 1395158436543, "is_end": false, "is_renewal": false, "expiration_date": 1395158436543,
		"previous_renewal_date": null, "plan_code": "plan_1", "total_revenue": 188595, "cycle_unit": "month", "cycle_length": 3, "source": null}`
	one := func(records string) string {
		return results(`{"<only>": true, "subscription_id": "subscription_2", "account_id": "2", "records": [` + records + `], "custom_dimensions": {"<only>": true}}`)
	}
	c.upload("/accounts", account("2"))
	c.play(
		step{"insert", "POST /subscriptions", `{"records": [{"account_id": "2", "subscription_id": "subscription_2", "effective_start_date": 1392566436543, "event": "revenue",
			"total_revenue": 188595, "cycle_unit": "month", "cycle_length": 3, "next_renewal_date": 1395158436543, "plan_code": "plan_1"}]}`, `{"inserted": 1}`},
		step{"renew", "POST /subscriptions", `{"records": [{"account_id": "2", "subscription_id": "subscription_2", "effective_start_date": 1395158436543, "event": "renewal",
			"total_revenue": 818019, "cycle_unit": "day", "cycle_length": 45, "previous_renewal_date": 1395158436543, "next_renewal_date": 1447799926555,
			"plan_code": "plan_2", "source": "zuora"}]}`, `{"changed": 1}`},
		step{"as it is", "GET /subscriptions/subscription_2", "", one(last)},
		step{"history off", "GET /subscriptions/subscription_2?history=false", "", one(last)},
		step{"with its history", "GET /subscriptions/subscription_2?history=true", "", one(first + "," + last)},
		step{"in the list", "GET /subscriptions", "", one(last)},
		step{"of its account", "GET /accounts/2/subscriptions", "", results(`{"<only>": true, "subscription_id": "subscription_2", "account_id": "2",
			"start_date": 1395158436543, "end_date": null, "is_end": false, "is_renewal": true, "expiration_date": 1447799926555, "previous_renewal_date": 1395158436543,
			"plan_code": "plan_2", "revenue": 818019, "cycle_unit": "day", "cycle_length": 45, "source": "zuora", "custom_dimensions": {"<only>": true}}, {
			"<only>": true, "subscription_id": "subscription_2", "account_id": "2",
			"start_date": 1392566436543, "end_date": 1395158436543, "is_end": false, "is_renewal": false, "expiration_date": 1395158436543, "previous_renewal_date": null,
			"plan_code": "plan_1", "revenue": 188595, "cycle_unit": "month", "cycle_length": 3, "source": null, "custom_dimensions": {"<only>": true}}`)},
		step{"the document's PUT", "PUT /subscriptions/subscription_2",
			`{"data": {"subscription_id": "subscription_2", "account_id": "2", "effective_start_date": 1395158436543, "end_date": 1397750436543}}`, ""},
		step{"unknown", "GET /subscriptions/subscription_3", "", `{"status_is_ok": false, "message": "Subscription not found", "code": "not_found", "results": []}`},
		step{"unknown, with a history", "GET /subscriptions/subscription_3?history=true", "", `{"status_is_ok": false, "code": "not_found", "results": []}`},
	)
}

// testRevenueEvents shows how revenue events overwrite a history (S1).
func testRevenueEvents(c *client) {
	three := func(more ...object) []object {
		return append([]object{event("revenue", "", 1000), event("revenue", "", 2000, costs(200)), event("revenue", "", 3000, costs(300))}, more...)
	}
	future := today() + 30*dayMillis
	c.tell(
		story{"the first starts it", []object{event("revenue", "", 1000)}, []any{period(1000, nil, 100)}},
		story{"later ones change it", three(), []any{period(1000, 2000, 100), period(2000, 3000, 200), period(3000, nil, 300)}},
		story{"a first one with an end", []object{event("revenue", "", 1000, until(2000))}, []any{period(1000, 2000, 100)}},
		story{"back-dated and open, everything after is gone", three(event("revenue", "", 1500, costs(150))),
			[]any{period(1000, 1500, 100), period(1500, nil, 150)}},
		story{"back-dated to the start of all", three(event("revenue", "", 1000, costs(1))), []any{period(1000, nil, 1)}},
		story{"back-dated before all", three(event("revenue", "", -5, costs(1))), []any{period(-5, nil, 1)}},
		story{"a range in the middle of one splits it", []object{event("revenue", "", 1000), event("revenue", "", 2000, until(3000), costs(200))},
			[]any{period(1000, 2000, 100), period(2000, 3000, 200), period(3000, nil, 100)}},
		story{"a range over several cuts and covers", three(event("revenue", "", 1500, until(3500), costs(150))),
			[]any{period(1000, 1500, 100), period(1500, 3500, 150), period(3500, nil, 300)}},
		story{"a range of exactly one replaces it", three(event("revenue", "", 2000, until(3000), costs(250))),
			[]any{period(1000, 2000, 100), period(2000, 3000, 250), period(3000, nil, 300)}},
		story{"ranges that overlap, the later posted wins", []object{event("revenue", "", 1000, until(3000)), event("revenue", "", 2000, until(4000), costs(200)),
			event("revenue", "", 500, until(1500), costs(50))},
			[]any{period(500, 1500, 50), period(1500, 2000, 100), period(2000, 4000, 200)}},
		story{"a range with a gap before it", []object{event("revenue", "", 1000, until(2000)), event("revenue", "", 3000, until(4000), costs(200))},
			[]any{period(1000, 2000, 100), period(3000, 4000, 200)}},
		story{"equal terms stay two segments", []object{event("revenue", "", 1000), event("revenue", "", 2000)}, []any{period(1000, 2000, 100), period(2000, nil, 100)}},
		story{"a start in the future", []object{event("revenue", "", future)}, []any{period(future, nil, 100)}},
		story{"a change in the future", []object{event("revenue", "", 1000), event("revenue", "", future, costs(200))},
			[]any{period(1000, future, 100), period(future, nil, 200)}},
		story{"other cycle and plan", []object{event("revenue", "", 1000), event("revenue", "", 2000, object{"cycle_unit": "year", "cycle_length": 2, "plan_code": "p", "source": "s"})},
			[]any{period(1000, 2000, 100), period(2000, nil, 100, object{"cycle_unit": "year", "cycle_length": 2, "plan_code": "p", "source": "s"})}},
		story{"revenue of 0 and below", []object{event("revenue", "", 1000, costs(0)), event("revenue", "", 2000, costs(-5))},
			[]any{period(1000, 2000, 0), period(2000, nil, -5)}},
	)
	c.play(
		step{"the same event again changes nothing", "POST /subscriptions", body(nil, event("revenue", "again", 1000), event("revenue", "again", 1000)), `{"inserted": 1, "unchanged": 1}`},
		step{"nor does it later", "POST /subscriptions", body(nil, event("revenue", "again", 1000)), `{"unchanged": 1}`},
		step{"nor in other words", "POST /subscriptions", `{"records": [{"account_id": "acme", "subscription_id": "again", "event": "revenue", "effective_start_date": 1e3,
			"effective_end_date": null, "total_revenue": 100.0, "cycle_unit": "month", "cycle_length": 1}]}`, `{"unchanged": 1}`},
	)
}

// testRenewals shows which due date a renewal is tied to (S5).
func testRenewals(c *client) {
	begun := event("revenue", "", 1000, due(5000))
	c.tell(
		story{"for the date that it names", []object{begun, event("renewal", "", 4900, object{"previous_renewal_date": 5000}, due(9000), costs(120))},
			[]any{period(1000, 4900, 100, expires(5000)), period(4900, nil, 120, renews(5000, expires(9000)))}},
		story{"without one, for the earliest", []object{begun, event("renewal", "", 5000, due(9000))},
			[]any{period(1000, 5000, 100, expires(5000)), period(5000, nil, 100, renews(5000, expires(9000)))}},
		story{"each for its own", []object{begun, event("renewal", "", 5000, due(9000)), event("renewal", "", 9000, due(13000))},
			[]any{period(1000, 5000, 100, expires(5000)), period(5000, 9000, 100, renews(5000, expires(9000))), period(9000, nil, 100, renews(9000, expires(13000)))}},
		story{"a date that nobody named is ignored", []object{begun, event("renewal", "", 5000, due(9000), object{"previous_renewal_date": 5001})},
			[]any{period(1000, 5000, 100, expires(5000)), period(5000, nil, 100, renews(5000, expires(9000)))}},
		story{"with nothing due", []object{event("revenue", "", 1000), event("renewal", "", 5000)}, []any{period(1000, 5000, 100), period(5000, nil, 100, renews(nil))}},
		story{"the first event", []object{event("renewal", "", 5000, due(9000))}, []any{period(5000, nil, 100, renews(nil, expires(9000)))}},
		story{"a due date that was moved counts as moved", []object{begun, event("revenue", "", 2000, due(6000)), event("renewal", "", 6000)},
			[]any{period(1000, 2000, 100, expires(5000)), period(2000, 6000, 100, expires(6000)), period(6000, nil, 100, renews(6000))}},
		story{"of a closed range", []object{begun, event("renewal", "", 5000, until(9000), due(9000), costs(120))},
			[]any{period(1000, 5000, 100, expires(5000)), period(5000, 9000, 120, renews(5000, expires(9000))), period(9000, nil, 100, expires(5000))}},
	)
}

// testEnds shows ends and what comes after them (S1).
func testEnds(c *client) {
	begun := event("revenue", "", 1000)
	c.tell(
		story{"it ends there", []object{begun, event("end", "", 2000)}, []any{period(1000, 2000, 100, isEnd)}},
		story{"what else it says is ignored", []object{begun, event("end", "", 2000, object{"effective_end_date": 5, "total_revenue": 7, "cycle_unit": "year", "cycle_length": 0})},
			[]any{period(1000, 2000, 100, isEnd)}},
		story{"what begins later is gone", []object{begun, event("revenue", "", 2000), event("revenue", "", 3000), event("end", "", 2500)},
			[]any{period(1000, 2000, 100), period(2000, 2500, 100, isEnd)}},
		story{"at the start of a segment", []object{begun, event("revenue", "", 2000), event("end", "", 2000)}, []any{period(1000, 2000, 100, isEnd)}},
		story{"after a closed range", []object{event("revenue", "", 1000, until(2000)), event("end", "", 3000)}, []any{period(1000, 2000, 100, isEnd)}},
		story{"before it all", []object{begun, event("end", "", 500)}, []any{}},
		story{"moved earlier", []object{begun, event("end", "", 3000), event("end", "", 2000)}, []any{period(1000, 2000, 100, isEnd)}},
		story{"restarted after a while", []object{begun, event("end", "", 2000), event("revenue", "", 3000, costs(300))},
			[]any{period(1000, 2000, 100, isEnd), period(3000, nil, 300)}},
		story{"restarted at once", []object{begun, event("end", "", 2000), event("revenue", "", 2000, costs(300))},
			[]any{period(1000, 2000, 100, isEnd), period(2000, nil, 300)}},
		story{"taken back by going on before it", []object{begun, event("end", "", 2000), event("revenue", "", 1500, costs(300))},
			[]any{period(1000, 1500, 100), period(1500, nil, 300)}},
		story{"kept by a correction of the months before", []object{begun, event("end", "", 2000), event("revenue", "", 1500, until(2000), costs(300))},
			[]any{period(1000, 1500, 100), period(1500, 2000, 300, isEnd)}},
		story{"in the future", []object{begun, event("end", "", today()+dayMillis)}, []any{period(1000, today()+dayMillis, 100, isEnd)}},
	)
}

// testSnapshots shows what current events become (S1).
func testSnapshots(c *client) {
	now := today()
	first := event("current", "", 1000, due(now+10*dayMillis), object{"plan_code": "p", "source": "s"})
	terms := object{"plan_code": "p", "source": "s"}
	soon, later := expires(now+10*dayMillis), expires(now+20*dayMillis)
	again := func(more ...object) object { return event("current", "", 1000, more...) }
	c.tell(
		story{"the first is a start", []object{first}, []any{period(1000, nil, 100, terms, soon)}},
		story{"the same again is nothing", []object{first, first}, []any{period(1000, nil, 100, terms, soon)}},
		story{"what it leaves out stays", []object{first, again()}, []any{period(1000, nil, 100, terms, soon)}},
		story{"another source alone is nothing", []object{first, again(object{"source": "t"})}, []any{period(1000, nil, 100, terms, soon)}},
		story{"other revenue counts from today", []object{first, again(costs(200))},
			[]any{period(1000, now, 100, terms, soon), period(now, nil, 200, terms, soon)}},
		story{"another cycle too", []object{first, again(object{"cycle_unit": "year"})},
			[]any{period(1000, now, 100, terms, soon), period(now, nil, 100, terms, soon, object{"cycle_unit": "year"})}},
		story{"another plan too", []object{first, again(object{"plan_code": "q"})},
			[]any{period(1000, now, 100, terms, soon), period(now, nil, 100, terms, soon, object{"plan_code": "q"})}},
		story{"twice on one day", []object{first, again(costs(200)), again(costs(300))},
			[]any{period(1000, now, 100, terms, soon), period(now, nil, 300, terms, soon)}},
		story{"a later renewal date is a renewal", []object{first, again(due(now + 20*dayMillis))},
			[]any{period(1000, now, 100, terms, soon), period(now, nil, 100, terms, renews(now+10*dayMillis), later)}},
		story{"with other revenue, both", []object{first, again(due(now+20*dayMillis), costs(200))},
			[]any{period(1000, now, 100, terms, soon), period(now, nil, 200, terms, renews(now+10*dayMillis), later)}},
		story{"an earlier one is none", []object{first, again(due(now + 5*dayMillis))},
			[]any{period(1000, now, 100, terms, soon), period(now, nil, 100, terms, expires(now+5*dayMillis))}},
		story{"an end ends it there", []object{first, again(until(5000))}, []any{period(1000, 5000, 100, terms, soon, isEnd)}},
		story{"an end in the future", []object{first, again(until(now + 5*dayMillis))}, []any{period(1000, now+5*dayMillis, 100, terms, soon, isEnd)}},
		story{"a first one that has ended", []object{again(until(5000))}, []any{period(1000, 5000, 100, isEnd)}},
		story{"a restart counts from today", []object{again(until(5000)), again(costs(200))}, []any{period(1000, 5000, 100, isEnd), period(now, nil, 200)}},
		story{"ended twice", []object{again(until(5000)), again(until(5000))}, []any{period(1000, 5000, 100, isEnd)}},
		story{"a start in the future", []object{event("current", "", now+5*dayMillis), event("current", "", now+5*dayMillis, costs(200))}, []any{period(now+5*dayMillis, nil, 200)}},
		story{"after events of other kinds", []object{event("revenue", "", 1000), event("revenue", "", 2000, costs(200)), again(costs(300))},
			[]any{period(1000, 2000, 100), period(2000, now, 200), period(now, nil, 300)}},
	)
}

// testInheritance shows what a revenue event has of the segment that it cuts
// (Q18).
func testInheritance(c *client) {
	terms := object{"plan_code": "p", "source": "s"}
	begun := event("revenue", "", 1000, due(9000), terms)
	c.tell(
		story{"left out, all stays", []object{begun, event("revenue", "", 2000)}, []any{period(1000, 2000, 100, terms, expires(9000)), period(2000, nil, 100, terms, expires(9000))}},
		story{"given, it is replaced", []object{begun, event("revenue", "", 2000, due(8000), object{"plan_code": "q"})},
			[]any{period(1000, 2000, 100, terms, expires(9000)), period(2000, nil, 100, terms, object{"plan_code": "q"}, expires(8000))}},
		story{"null clears", []object{begun, event("revenue", "", 2000, due(nil), object{"plan_code": nil, "source": ""})},
			[]any{period(1000, 2000, 100, terms, expires(9000)), period(2000, nil, 100)}},
		story{"before the start there is nothing to have", []object{begun, event("revenue", "", 500, until(1000))},
			[]any{period(500, 1000, 100), period(1000, nil, 100, terms, expires(9000))}},
		story{"a renewal does not have the date it is for", []object{begun, event("renewal", "", 2000)},
			[]any{period(1000, 2000, 100, terms, expires(9000)), period(2000, nil, 100, terms, renews(9000))}},
	)
}

// testSubscriptionDimensions shows custom_dimensions (Q20, A6, P14).
func testSubscriptionDimensions(c *client) {
	c.upload("/accounts", account("acme"))
	dimensions := func(list string) string {
		return fmt.Sprintf(`{"records": [{"account_id": "acme", "subscription_id": "s", "event": "revenue", "effective_start_date": 1000, "total_revenue": 100,
			"cycle_unit": "month", "cycle_length": 1, "custom_dimensions": %s}]}`, list)
	}
	is := func(object string) string { return results(`{"custom_dimensions": ` + object + `}`) }
	c.play(
		step{"insert", "POST /subscriptions", dimensions(`[{"key": "k", "value": "first"}, {"key": "n", "value": null}, {"key": "k", "value": "last"}]`), `{"inserted": 1}`},
		step{"an object", "GET /subscriptions/s", "", is(`{"<only>": true, "k": "last", "n": null}`)},
		step{"merge", "POST /subscriptions", dimensions(`[{"key": "x", "value": 14.99}, {"key": "n", "value": true}]`), `{"changed": 1}`},
		step{"merged by key", "GET /subscriptions/s?history=true", "", is(`{"<only>": true, "k": "last", "n": "true", "x": "14.99"}`)},
		step{"listed", "GET /subscriptions", "", is(`{"<only>": true, "k": "last", "n": "true", "x": "14.99"}`)},
		step{"of an account", "GET /accounts/acme/subscriptions", "", is(`{"<only>": true, "k": "last", "n": "true", "x": "14.99"}`)},
		step{"by PUT", "PUT /subscriptions/s", `{"data": {"effective_start_date": 1000, "custom_dimensions": [{"key": "k", "value": null}]}}`, ""},
		step{"set to null", "GET /subscriptions/s", "", is(`{"<only>": true, "k": null, "n": "true", "x": "14.99"}`)},
		step{"with an end", "POST /subscriptions", `{"records": [{"account_id": "acme", "subscription_id": "s", "event": "end", "effective_start_date": 2000,
			"custom_dimensions": [{"key": "why", "value": "price"}]}]}`, `{"changed": 1}`},
		step{"set as well", "GET /subscriptions/s", "", is(`{"why": "price"}`)},
		step{"null removes all", "PUT /subscriptions/s", `{"data": {"effective_start_date": 2000, "event": "end", "custom_dimensions": null}}`, ""},
		step{"none", "GET /subscriptions/s", "", is(`{"<only>": true}`)},
		step{"without a key", "POST /subscriptions", dimensions(`[{"value": "x"}]`), `{"status_is_ok": false, "failed_results": [{"code": "missing_field", "field": "custom_dimensions.key"}]}`},
		step{"too long", "POST /subscriptions", dimensions(`[{"key": "k", "value": "` + fmt.Sprintf("%0257d", 1) + `"}]`),
			`{"status_is_ok": false, "failed_results": [{"code": "too_long", "field": "custom_dimensions.value"}]}`},
	)
}

// testSubscriptionModify shows PUT, with and without an event (P9, Q7, Q16).
func testSubscriptionModify(c *client) {
	c.upload("/accounts", account("acme"), account("other"))
	c.upload("/subscriptions", event("revenue", "s", 1000, object{"plan_code": "p"}))
	put := func(data string) string { return `{"data": ` + data + `}` }
	c.play(
		step{"without an event, terms stay but those given", "PUT /subscriptions/s", put(`{"effective_start_date": 2000, "total_revenue": 200}`), ""},
		step{"as a revenue event", "GET " + historyPath("s"), "", results(toJSON(object{"account_id": "acme",
			"records": []any{period(1000, 2000, 100, object{"plan_code": "p"}), period(2000, nil, 200, object{"plan_code": "p"})}}))},
		step{"of a range", "PUT /subscriptions/s", put(`{"effective_start_date": 1200, "effective_end_date": 1300, "plan_code": "q"}`), ""},
		step{"in the middle", "GET " + historyPath("s"), "", results(toJSON(object{"records": []any{period(1000, 1200, 100, object{"plan_code": "p"}),
			period(1200, 1300, 100, object{"plan_code": "q"}), period(1300, 2000, 100, object{"plan_code": "p"}), period(2000, nil, 200, object{"plan_code": "p"})}}))},
		step{"an end", "PUT /subscriptions/s", put(`{"event": "end", "effective_start_date": 1100, "account_id": "acme", "subscription_id": "s"}`), ""},
		step{"ended", "GET " + historyPath("s"), "", results(toJSON(object{"records": []any{period(1000, 1100, 100, isEnd, object{"plan_code": "p"})}}))},
		step{"without data", "PUT /subscriptions/s", `{"event": "revenue", "effective_start_date": 3000, "total_revenue": 300, "cycle_unit": "year", "cycle_length": 1}`, ""},
		step{"restarted", "GET " + historyPath("s"), "", results(toJSON(object{"records": []any{period(1000, 1100, 100, isEnd, object{"plan_code": "p"}),
			period(3000, nil, 300, object{"cycle_unit": "year"})}}))},
		step{"an empty object", "PUT /subscriptions/s", put(`{}`), ""},
		step{"changes nothing", "GET " + historyPath("s"), "", results(toJSON(object{"records": []any{period(1000, 1100, 100, isEnd, object{"plan_code": "p"}),
			period(3000, nil, 300, object{"cycle_unit": "year"})}}))},
		step{"nothing to have terms from", "PUT /subscriptions/s", put(`{"effective_start_date": 500}`), `{"status_is_ok": false, "code": "missing_field", "field": "total_revenue"}`},
		step{"an event needs its terms", "PUT /subscriptions/s", put(`{"event": "renewal", "effective_start_date": 4000, "total_revenue": 1}`), `{"status_is_ok": false, "code": "missing_field", "field": "cycle_unit"}`},
		step{"and a start", "PUT /subscriptions/s", put(`{"total_revenue": 1}`), `{"status_is_ok": false, "code": "missing_field", "field": "effective_start_date"}`},
		step{"another account", "PUT /subscriptions/s", put(`{"account_id": "other", "effective_start_date": 4000}`), `{"status_is_ok": false, "code": "conflicting", "field": "account_id"}`},
		step{"another id", "PUT /subscriptions/s", put(`{"subscription_id": "t", "effective_start_date": 4000}`), `{"status_is_ok": false, "code": "conflicting", "field": "subscription_id"}`},
		step{"unknown", "PUT /subscriptions/t", put(`{"effective_start_date": 4000}`), `{"status_is_ok": false, "message": "Subscription not found", "code": "not_found"}`},
		step{"none of those changed anything", "GET " + historyPath("s"), "", results(toJSON(object{"account_id": "acme", "records": []any{period(1000, 1100, 100, isEnd, object{"plan_code": "p"}),
			period(3000, nil, 300, object{"cycle_unit": "year"})}}))},
	)
}

// testSubscriptionDelete shows both ways to delete (S6).
func testSubscriptionDelete(c *client) {
	c.upload("/accounts", account("acme"), account("other"))
	c.upload("/subscriptions", event("revenue", "s", 1000), event("revenue", "s", 2000, costs(200)), event("revenue", "s", 3000, costs(300)), event("revenue", "kept", 1000))
	c.play(
		step{"a segment that is not there", "DELETE /subscriptions/s?start_date=1500", "", `{"status_is_ok": false, "code": "not_found", "field": "start_date"}`},
		step{"no date", "DELETE /subscriptions/s?start_date=today", "", `{"status_is_ok": false, "code": "wrong_type", "field": "start_date"}`},
		step{"the one in the middle", "DELETE /subscriptions/s?start_date=2000", "", ""},
		step{"leaves a gap", "GET " + historyPath("s"), "", results(toJSON(object{"records": []any{period(1000, 2000, 100), period(3000, nil, 300)}}))},
		step{"once", "DELETE /subscriptions/s?start_date=2000", "", `{"status_is_ok": false, "code": "not_found"}`},
		step{"the one in force", "DELETE /subscriptions/s?start_date=3000", "", ""},
		step{"the last one is shown", "GET /subscriptions/s", "", results(toJSON(object{"records": []any{period(1000, 2000, 100)}}))},
		step{"in its place", "GET /subscriptions?order_by=start_date&direction=asc", "", `{"results": [{"subscription_id": "kept"}, {"subscription_id": "s"}]}`},
		step{"the last segment", "DELETE /subscriptions/s?start_date=1000", "", ""},
		step{"takes the subscription with it", "GET /subscriptions/s", "", `{"status_is_ok": false, "code": "not_found"}`},
		step{"and it alone", "GET /subscriptions", "", `{"results": [{"subscription_id": "kept"}]}`},
		step{"whole", "DELETE /subscriptions/kept", "", ""},
		step{"gone", "GET /subscriptions", "", `{"results": []}`},
		step{"from its account too", "GET /accounts/acme/subscriptions", "", `{"status_is_ok": true, "results": []}`},
		step{"again", "DELETE /subscriptions/kept", "", `{"status_is_ok": false, "message": "Subscription not found", "code": "not_found"}`},
		step{"a segment of what is gone", "DELETE /subscriptions/kept?start_date=1000", "", `{"status_is_ok": false, "code": "not_found"}`},
		step{"its id is free, for any account", "POST /subscriptions", body(nil, event("revenue", "kept", 5000, object{"account_id": "other"})), `{"inserted": 1}`},
		step{"nothing of it is back", "GET " + historyPath("kept"), "", results(toJSON(object{"account_id": "other", "records": []any{period(5000, nil, 100)}}))},
		step{"nor in its old account", "GET /accounts/acme/subscriptions", "", `{"results": []}`},
	)
}

// testSubscriptionList shows the segments by which subscriptions are listed,
// and in which order (S2, P10 to P12).
func testSubscriptionList(c *client) {
	future := today() + 30*dayMillis
	c.upload("/accounts", account("acme"), account("other"))
	c.upload("/subscriptions",
		event("revenue", "a", 1000), event("revenue", "a", 4000, costs(400)), event("revenue", "a", future),
		event("revenue", "b", 3000, object{"account_id": "other"}),
		event("revenue", "c", 500), event("end", "c", 2000),
		event("revenue", "d", future-dayMillis),
		event("revenue", "e", 3000),
	)
	ids := func(names string) string {
		var list []any
		for _, id := range names {
			list = append(list, object{"subscription_id": string(id)})
		}
		return toJSON(list)
	}
	for _, x := range []struct{ query, want string }{
		{"", `{"current_page": 0, "max_page_size": 1000, "order_by": "<absent>", "results": ` + ids("daebc") + `}`},
		{"?direction=asc", `{"direction": "asc", "results": ` + ids("cbead") + `}`},
		{"?order_by=start_date", `{"order_by": "start_date", "results": ` + ids("daebc") + `}`},
		{"?order_by=subscription_id", `{"results": ` + ids("edcba") + `}`},
		{"?order_by=id&direction=ASC", `{"order_by": "id", "direction": "asc", "results": ` + ids("abcde") + `}`},
		{"?page=1", `{"current_page": 1, "results": []}`},
		{"?page=-1", `{"status_is_ok": false, "field": "page", "results": []}`},
		{"?order_by=plan_code", `{"status_is_ok": false, "code": "not_a_choice", "field": "order_by", "message": "'order_by' must be one of: start_date, subscription_id", "results": []}`},
		{"?direction=up", `{"status_is_ok": false, "code": "not_a_choice", "field": "direction", "results": []}`},
	} {
		c.sub("query "+x.query, func(c *client) { c.get("/subscriptions" + x.query).want(x.want) })
	}
	c.sub("segments", func(c *client) {
		c.get("/subscriptions?order_by=id&direction=asc").want(toJSON(object{"results": []any{
			object{"records": []any{period(4000, future, 400)}}, object{"account_id": "other", "records": []any{period(3000, nil, 100)}},
			object{"records": []any{period(500, 2000, 100, isEnd)}}, object{"records": []any{period(future-dayMillis, nil, 100)}}, object{"records": []any{period(3000, nil, 100)}},
		}}))
	})
}

// testSubscriptionsOfAccount shows the flat list of an account's segments (S2,
// Q3, Q27).
func testSubscriptionsOfAccount(c *client) {
	c.upload("/accounts", account("acme"), account("other"), account("none"))
	c.upload("/subscriptions",
		event("revenue", "a", 1000, costs(500), object{"plan_code": "z"}), event("revenue", "a", 3000, costs(100), object{"cycle_length": 12, "plan_code": "x"}),
		event("revenue", "b", 2000, costs(300), object{"plan_code": "y", "cycle_unit": "year"}), event("end", "b", 4000),
		event("revenue", "c", 1, object{"account_id": "other"}),
	)
	for _, x := range []struct{ query, want string }{ // the revenue of the segments
		{"", "[100, 300, 500]"},
		{"?direction=asc", "[500, 300, 100]"},
		{"?order_by=start_date", "[100, 300, 500]"},
		{"?order_by=revenue", "[500, 300, 100]"},
		{"?order_by=revenue&direction=asc", "[100, 300, 500]"},
		{"?order_by=subscription_id&direction=asc", "[500, 100, 300]"},
		{"?order_by=id", "[300, 100, 500]"},
		{"?order_by=plan_code", "[500, 300, 100]"},
		{"?order_by=cycle_unit&direction=desc", "[300, 100, 500]"},
		{"?order_by=cycle_length", "[100, 300, 500]"},
		{"?order_by=is_end", "[300, 100, 500]"},
		{"?order_by=account_id&direction=asc", "[500, 300, 100]"},
		{"?page=1", "[]"},
	} {
		c.sub("query "+x.query, func(c *client) {
			var got []any
			for _, s := range c.get("/accounts/acme/subscriptions" + x.query).results() {
				got = append(got, s["revenue"])
			}
			for _, problem := range matchText(x.want, append([]any{}, got...)) {
				c.Error(problem)
			}
		})
	}
	c.get("/accounts/acme/subscriptions?order_by=colour").fails("not_a_choice", "order_by")
	c.get("/accounts/acme/subscriptions?order_by=custom_dimensions").fails("not_a_choice", "order_by")
	c.get("/accounts/acme/subscriptions?page=x").fails("out_of_range", "page")
	c.get("/accounts/none/subscriptions").want(`{"status_is_ok": true, "current_page": 0, "max_page_size": 1000, "results": []}`)
	c.get("/accounts/nobody/subscriptions").want(`{"status_is_ok": false, "message": "Account not found", "results": []}`)
	c.delete("/accounts/other")
	c.upload("/subscriptions", event("revenue", "c", 2, object{"account_id": "other"})) // an inactive account accepts data (A2)
	c.get("/accounts/other/subscriptions").want(`{"results": [{"start_date": 2}, {"start_date": 1}]}`)

	// More segments than a page takes.
	var many []any
	for i := range int64(1005) {
		many = append(many, event("revenue", fmt.Sprintf("m%d", i%3), 10+i, object{"account_id": "none"}))
	}
	c.upload("/subscriptions", many...)
	for page, want := range []int{1000, 5, 0} {
		list := c.get(fmt.Sprintf("/accounts/none/subscriptions?direction=asc&page=%d", page)).results()
		if len(list) != want {
			c.Fatalf("page %d has %d segments, want %d", page, len(list), want)
		}
		for i, s := range list {
			if want := fmt.Sprint(10 + 1000*page + i); fmt.Sprint(s["start_date"]) != want {
				c.Fatalf("page %d: segment %d starts at %v, want %s", page, i, s["start_date"], want)
			}
		}
	}
}

// testSubscriptionFailures shows which events are refused (Q19, P5, P7).
func testSubscriptionFailures(c *client) {
	c.upload("/accounts", account("acme"))
	c.upload("/subscriptions", event("revenue", "s", 1000))
	without := func(name string) object {
		e := event("revenue", "s", 2000)
		delete(e, name)
		return e
	}
	for _, x := range []struct {
		name        string
		event       object
		code, field string
	}{
		{"no account", without("account_id"), "missing_field", "account_id"},
		{"no id", without("subscription_id"), "missing_field", "subscription_id"},
		{"no start", without("effective_start_date"), "missing_field", "effective_start_date"},
		{"no event", without("event"), "missing_field", "event"},
		{"no revenue", without("total_revenue"), "missing_field", "total_revenue"},
		{"no unit", without("cycle_unit"), "missing_field", "cycle_unit"},
		{"no length", without("cycle_length"), "missing_field", "cycle_length"},
		{"revenue that is null", event("renewal", "s", 2000, object{"total_revenue": nil}), "missing_field", "total_revenue"},
		{"a length of 0", event("revenue", "s", 2000, object{"cycle_length": 0}), "out_of_range", "cycle_length"},
		{"a negative length", event("current", "s", 2000, object{"cycle_length": -1}), "out_of_range", "cycle_length"},
		{"a length that is not whole", event("revenue", "s", 2000, object{"cycle_length": 1.5}), "wrong_type", "cycle_length"},
		{"an end at the start", event("revenue", "s", 2000, until(2000)), "out_of_range", "effective_end_date"},
		{"an end before the start", event("renewal", "s", 2000, until(1999)), "out_of_range", "effective_end_date"},
		{"a snapshot that ended before it started", event("current", "s", 2000, until(1999)), "out_of_range", "effective_end_date"},
		{"the end of an unknown subscription", event("end", "nobody", 2000), "not_found", "subscription_id"},
		{"an unknown event", event("upgrade", "s", 2000), "not_a_choice", "event"},
		{"an event in capitals", event("Revenue", "s", 2000), "not_a_choice", "event"},
		{"a unit in the plural", event("revenue", "s", 2000, object{"cycle_unit": "months"}), "not_a_choice", "cycle_unit"},
		{"a unit in capitals", event("revenue", "s", 2000, object{"cycle_unit": "Month"}), "not_a_choice", "cycle_unit"},
		{"revenue as text", event("revenue", "s", 2000, object{"total_revenue": "100"}), "wrong_type", "total_revenue"},
		{"revenue with a fraction", event("revenue", "s", 2000, object{"total_revenue": 0.5}), "wrong_type", "total_revenue"},
		{"a start as text", event("revenue", "s", 0, object{"effective_start_date": "2020-01-01"}), "wrong_type", "effective_start_date"},
		{"a start beyond all time", event("revenue", "s", 8_640_000_000_000_001), "out_of_range", "effective_start_date"},
		{"an id that is too long", event("revenue", fmt.Sprintf("%0129d", 1), 2000), "too_long", "subscription_id"},
		{"a plan that is too long", event("revenue", "s", 2000, object{"plan_code": fmt.Sprintf("%0129d", 1)}), "too_long", "plan_code"},
		{"an unknown account", event("revenue", "t", 2000, object{"account_id": "nobody"}), "not_found", "account_id"},
	} {
		c.sub(x.name, func(c *client) {
			c.post("/subscriptions", body(nil, x.event, event("revenue", "good", 1000))).want(fmt.Sprintf(
				`{"status_is_ok": true, "failed": 1, "failed_results": [{"record": 0, "status_is_ok": false, "message": "<text>", "code": %q, "field": %q}]}`, x.code, x.field))
		})
	}
	c.historyIs("s", period(1000, nil, 100))
	c.get("/subscriptions?direction=asc&order_by=id").want(`{"results": [{"subscription_id": "good"}, {"subscription_id": "s"}]}`)
	c.post("/subscriptions", body(object{"ignore_missing_accounts": false}, event("revenue", "t", 1, object{"account_id": "nobody"}), event("revenue", "u", 1))).
		want(`{"status_is_ok": false, "message": "Account not found", "inserted": 0, "failed_results": [{"record": 0, "subscription_id": "t", "account_id": "nobody"}]}`)
	c.get("/subscriptions/u").want(`{"status_is_ok": false, "code": "not_found"}`)
}

// testSubscriptionOfAnotherAccount shows that a subscription stays with its
// account (Q16).
func testSubscriptionOfAnotherAccount(c *client) {
	c.upload("/accounts", account("acme"), account("other"))
	c.upload("/subscriptions", event("revenue", "s", 1000))
	of := object{"account_id": "other"}
	for _, kind := range []string{"revenue", "renewal", "end", "current"} {
		c.post("/subscriptions", body(nil, event(kind, "s", 2000, of))).want(`{"status_is_ok": false, "failed_results": [
			{"record": 0, "code": "conflicting", "field": "account_id", "message": "Subscription belongs to another account", "account_id": "other", "subscription_id": "s"}]}`)
	}
	c.post("/subscriptions", body(nil, event("revenue", "t", 1000), event("revenue", "t", 2000, of))).want(`{"status_is_ok": true, "inserted": 1, "failed": 1,
		"failed_results": [{"record": 1, "code": "conflicting", "field": "account_id"}]}`)
	c.historyIs("s", period(1000, nil, 100))
	c.historyIs("t", period(1000, nil, 100))
	c.get("/accounts/other/subscriptions").want(`{"results": []}`)
}

// testSubscriptionDryRun shows that a dry run tells what a real one does, and
// does nothing (P18).
func testSubscriptionDryRun(c *client) {
	c.upload("/accounts", account("acme"))
	c.upload("/subscriptions", event("revenue", "s", 1000))
	records := []any{event("revenue", "s", 1000), event("revenue", "s", 2000, costs(200)), event("end", "new", 5), event("revenue", "new", 5), event("end", "new", 9)}
	outcome := `"status_is_ok": true, "inserted": 1, "changed": 2, "unchanged": 1, "failed": 1, "failed_results": [{"record": 2, "code": "not_found", "field": "subscription_id"}]`
	c.post("/subscriptions", body(object{"dry_run": true}, records...)).want(`{"dry_run": true, ` + outcome + `}`)
	c.historyIs("s", period(1000, nil, 100))
	c.get("/subscriptions").want(`{"results": [{"subscription_id": "s"}]}`)
	c.post("/subscriptions", body(nil, records...)).want(`{"dry_run": "<absent>", ` + outcome + `}`)
	c.historyIs("s", period(1000, 2000, 100), period(2000, nil, 200))
	c.historyIs("new", period(5, 9, 100, isEnd))
}

// testPagesOfSubscriptions reads a list of 2,500 subscriptions in every order.
func testPagesOfSubscriptions(c *client) {
	const n = 2500
	c.upload("/accounts", account("acme"))
	r := rand.New(rand.NewPCG(11, 12))
	var things []thing
	var records []any
	for _, i := range r.Perm(n) {
		id, start := fmt.Sprintf("s%04d", i), int64(r.IntN(n/3))
		things = append(things, thing{id: id, active: true, orders: map[string]string{"subscription_id": id, "start_date": fmt.Sprintf("%04d\x00%s", start, id)}})
		records = append(records, event("revenue", id, start))
	}
	for upload := range slices.Chunk(records, 1000) {
		c.upload("/subscriptions", upload...)
	}
	for _, order := range []string{"start_date", "subscription_id"} {
		for _, descending := range []bool{false, true} {
			c.pagesAre("/subscriptions", order, descending, false, things, func(r object) string { return fmt.Sprint(r["subscription_id"]) })
		}
	}
}
