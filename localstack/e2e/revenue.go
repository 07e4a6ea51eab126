package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

var revenueTests = []test{
	{"current MRR", testCurrentMRR},
	{"MRR follows every change", testMRRFollows},
	{"renewal date", testRenewalDate},
	{"movements of an account", testMovements},
	{"movements of a workspace", testWorkspaceMovements},
	{"windows of movements", testMovementWindows},
	{"pages of movements", testPagesOfMovements},
	{"by time alone", testByTimeAlone},
	{"search", testSearchByMRR},
}

// derivedWithin is how long derived values may take to follow (Q25).
const derivedWithin = 10 * time.Second

// eventually sends a request until its answer matches the pattern, and fails
// when that takes longer than derived values may.
func (c *client) eventually(method, path, body, pattern string) *answer {
	c.Helper()
	for deadline := time.Now().Add(derivedWithin); ; time.Sleep(20 * time.Millisecond) {
		a := c.do(method, path, body)
		if len(matchText(pattern, a.body)) == 0 || time.Now().After(deadline) {
			return a.want(pattern)
		}
	}
}

// soon reads until the answer matches the pattern.
func (c *client) soon(path, pattern string) *answer {
	c.Helper()
	return c.eventually(http.MethodGet, path, "", pattern)
}

// mrrBecomes waits until an account has that current_mrr ("null" for none), and
// checks that its movements come to as much (S4).
func (c *client) mrrBecomes(account, cents string) {
	c.Helper()
	c.soon("/accounts/"+account, results(`{"current_mrr": `+cents+`}`))
	c.addUp(account, cents)
}

// addUp checks that each of an account's movements goes on where the one before
// ended, and that they come to cents ("null" without any).
func (c *client) addUp(account, cents string) {
	c.Helper()
	sum, movements := "0", c.get("/accounts/"+account+"/mrr_movements?direction=asc").results()
	for _, m := range movements {
		before, _ := m["mrr_before"].(json.Number).Int64()
		after, _ := m["mrr_after"].(json.Number).Int64()
		if amount := fmt.Sprint(after - before); fmt.Sprint(m["amount"]) != amount || fmt.Sprint(before) != sum || amount == "0" {
			c.Errorf("%s: after %s comes the movement %s", account, sum, toJSON(m))
		}
		sum = fmt.Sprint(after)
	}
	if cents == "null" && len(movements) > 0 || cents != "null" && sum != cents {
		c.Errorf("%s: %d movements come to %s, want %s", account, len(movements), sum, cents)
	}
}

// of says whose a subscription is.
func of(account string) object { return object{"account_id": account} }

// cycle says what a subscription earns in a cycle.
func cycle(cents int64, length int, unit string) object {
	return object{"total_revenue": cents, "cycle_length": length, "cycle_unit": unit}
}

// testCurrentMRR shows what MRR is and how it is rounded (S3, Q17).
func testCurrentMRR(c *client) {
	future := today() + 30*dayMillis
	cases := []struct {
		name   string
		events []object
		want   string
	}{
		{"never subscribed", nil, "null"},
		{"a month", []object{event("revenue", "1", 1000)}, "100"},
		{"a quarter", []object{event("revenue", "1", 1000, cycle(100, 3, "month"))}, "33"},
		{"a year", []object{event("revenue", "1", 1000, cycle(1206, 1, "year"))}, "101"}, // 100.5
		{"a year, less than a half", []object{event("revenue", "1", 1000, cycle(1205, 1, "year"))}, "100"},
		{"a negative half", []object{event("revenue", "1", 1000, cycle(-1206, 1, "year"))}, "-101"},
		{"two years", []object{event("revenue", "1", 1000, cycle(12, 2, "year"))}, "1"}, // 0.5
		{"a day", []object{event("revenue", "1", 1000, cycle(12, 1, "day"))}, "365"},
		{"30 days", []object{event("revenue", "1", 1000, cycle(3000, 30, "day"))}, "3042"},                                                               // 3041.67
		{"365 days", []object{event("revenue", "1", 1000, cycle(1206, 365, "day"))}, "101"},                                                              // 100.5
		{"the document's 45 days", []object{event("revenue", "1", 1000, cycle(818019, 45, "day"))}, "552920"},                                            // 552920.25
		{"a sum is rounded once, up", []object{event("revenue", "1", 1000, cycle(5, 1, "year")), event("revenue", "2", 1000, cycle(5, 1, "year"))}, "1"}, // 0.42 twice
		{"a sum is rounded once, down", []object{event("revenue", "1", 1000, cycle(6, 1, "year")), event("revenue", "2", 1000, cycle(6, 1, "year")),
			event("revenue", "3", 1000, cycle(4, 1, "year"))}, "1"}, // 1.33
		{"thirds make a whole", []object{event("revenue", "1", 1000, cycle(1, 3, "month")), event("revenue", "2", 1000, cycle(1, 3, "month")),
			event("revenue", "3", 1000, cycle(1, 3, "month"))}, "1"},
		{"ended", []object{event("revenue", "1", 1000), event("end", "1", 2000)}, "0"},
		{"over", []object{event("revenue", "1", 1000, until(2000))}, "0"},
		{"nothing but the future", []object{event("revenue", "1", future)}, "0"},
		{"ended, but for one", []object{event("revenue", "1", 1000), event("end", "1", 2000), event("revenue", "2", 1500, costs(7))}, "7"},
		{"one that changes in the future", []object{event("revenue", "1", 1000), event("revenue", "1", future, costs(700))}, "100"},
		{"one that ends in the future", []object{event("revenue", "1", 1000), event("end", "1", future)}, "100"},
		{"of no revenue", []object{event("revenue", "1", 1000, costs(0))}, "0"},
	}
	var accounts, records []any
	for i, x := range cases {
		id := fmt.Sprint("a", i)
		accounts = append(accounts, account(id))
		for _, e := range x.events {
			e["subscription_id"] = id + "-" + e["subscription_id"].(string)
			records = append(records, with(e, of(id)))
		}
	}
	c.upload("/accounts", accounts...)
	c.upload("/subscriptions", records...)
	for i, x := range cases {
		c.sub(x.name, func(c *client) { c.mrrBecomes(fmt.Sprint("a", i), x.want) })
	}
	c.sub("listed", func(c *client) {
		want := []any{}
		for i, x := range cases {
			want = append(want, object{"account_id": fmt.Sprint("a", i), "current_mrr": json.RawMessage(x.want)})
		}
		slices.SortFunc(want, func(a, b any) int {
			return strings.Compare(a.(object)["account_id"].(string), b.(object)["account_id"].(string))
		})
		c.soon("/accounts?direction=asc", toJSON(object{"results": want}))
	})
}

// testMRRFollows shows that every kind of change reaches the account.
func testMRRFollows(c *client) {
	c.upload("/accounts", account("acme"), account("other"))
	post := func(e object) func(*client) { return func(c *client) { c.upload("/subscriptions", e) } }
	put := func(path, data string) func(*client) {
		return func(c *client) { c.put(path, `{"data": `+data+`}`).want(`{"status_is_ok": true}`) }
	}
	remove := func(path string) func(*client) {
		return func(c *client) { c.delete(path).want(`{"status_is_ok": true}`) }
	}
	c.mrrBecomes("acme", "null")
	for _, x := range []struct {
		name string
		do   func(*client)
		mrr  string
	}{
		{"a start", post(event("revenue", "a", 1000)), "100"},
		{"a second subscription", post(event("revenue", "b", 1500, costs(20))), "120"},
		{"a change", post(event("revenue", "a", 2000, costs(200))), "220"},
		{"a change of the past", post(event("revenue", "a", 1200, until(1300), costs(9))), "220"},
		{"a renewal", post(event("renewal", "b", 2500, costs(30))), "230"},
		{"a snapshot", post(event("current", "b", 1500, costs(40))), "240"},
		{"an end", post(event("end", "a", 3000)), "40"},
		{"a restart", post(event("revenue", "a", 4000, costs(400))), "440"},
		{"a PUT", put("/subscriptions/a", `{"effective_start_date": 4500, "total_revenue": 450}`), "490"},
		{"a PUT of an end", put("/subscriptions/b", fmt.Sprintf(`{"event": "end", "effective_start_date": %d}`, today()+1)), "450"},
		{"the removal of a segment", remove("/subscriptions/a?start_date=4500"), "0"},
		{"a change again", post(event("revenue", "a", 5000, costs(50))), "50"},
		{"the removal of a subscription", remove("/subscriptions/a"), "0"},
		{"the removal of the last", remove("/subscriptions/b"), "null"},
		{"one more", post(event("revenue", "c", 1000, costs(1))), "1"},
	} {
		c.sub(x.name, func(c *client) {
			x.do(c)
			c.mrrBecomes("acme", x.mrr)
		})
	}
	c.addUp("other", "null")
	c.put("/accounts/acme", `{"data": {"current_mrr": 7, "name": "Acme"}}`)
	c.mrrBecomes("acme", "1")
	c.delete("/accounts/acme")
	c.upload("/subscriptions", event("revenue", "c", 2000, costs(2)))
	c.mrrBecomes("acme", "2") // of an inactive account too
}

// testRenewalDate shows which renewal_date an account has (S5, Q17).
func testRenewalDate(c *client) {
	c.upload("/accounts", account("acme", object{"renewal_date": 77}), account("plain"))
	is := func(date string) func(*client) {
		return func(c *client) { c.soon("/accounts/acme", results(`{"renewal_date": `+date+`}`)) }
	}
	for _, x := range []struct {
		name string
		do   object
		then func(*client)
	}{
		{"without a date the manual one stays", event("revenue", "a", 1000), func(c *client) {
			c.mrrBecomes("acme", "100")
			is("77")(c)
		}},
		{"that of a subscription overrides it", event("revenue", "a", 1000, due(5000)), is("5000")},
		{"the earliest of all", event("revenue", "b", 1000, due(4000)), is("4000")},
		{"not a later one", event("revenue", "d", 1000, due(9000)), is("4000")},
		{"once renewed, the next", event("renewal", "b", 4000, due(8000)), is("5000")},
		{"renewed without a next one", event("renewal", "a", 5000), is("8000")},
		{"a snapshot that moves it", event("current", "b", 1000, due(8500)), is("8500")},
		{"an end takes it away", event("end", "b", today()+1), is("9000")},
	} {
		c.sub(x.name, func(c *client) {
			c.upload("/subscriptions", x.do)
			x.then(c)
		})
	}
	c.play(step{"by hand, it is kept", "PUT /accounts/acme", `{"data": {"renewal_date": 78}}`, ""})
	is("9000")(c)
	c.soon("/accounts?direction=asc", `{"results": [{"renewal_date": 9000}, {"renewal_date": null}]}`)
	c.delete("/subscriptions/d")
	is("78")(c) // falls back to what was set meanwhile
	c.put("/accounts/acme", `{"data": {"renewal_date": null}}`)
	is("null")(c)
}

// movement returns the pattern of one movement.
func movement(account string, date int64, kind string, amount, before int64, subscriptions ...string) object {
	return object{"<only>": true, "account_id": account, "date": date, "type": kind, "amount": amount, "mrr_before": before, "mrr_after": before + amount,
		"subscription_ids": subscriptions}
}

// testMovements shows what an account's movements are called, and how they are
// listed (S4, Q23).
func testMovements(c *client) {
	c.upload("/accounts", account("acme"), account("none"))
	c.upload("/subscriptions",
		event("revenue", "a", 500, costs(0)), // no revenue yet
		event("revenue", "a", 1000), event("revenue", "a", 2000, costs(300)), event("revenue", "a", 3000, costs(150)), event("revenue", "a", 3500, costs(150)),
		event("end", "a", 4000), event("revenue", "a", 5000, costs(50)),
		event("revenue", "c", 7000, costs(200)), event("revenue", "c", 8000, costs(0)),
		event("revenue", "d", 9000), event("revenue", "a", 9000, costs(20)),
		event("revenue", "e", 9500, costs(20)), event("end", "a", 9500), // as much as before
		event("renewal", "d", 9700, costs(40)),
		event("revenue", "d", today()+30*dayMillis, costs(7000)), // to come
	)
	ascending := []any{
		movement("acme", 1000, "new", 100, 0, "a"),
		movement("acme", 2000, "expansion", 200, 100, "a"),
		movement("acme", 3000, "contraction", -150, 300, "a"),
		movement("acme", 4000, "churn", -150, 150, "a"),
		movement("acme", 5000, "expansion", 50, 0, "a"), // back, and not new
		movement("acme", 7000, "expansion", 200, 50, "c"),
		movement("acme", 8000, "churn", -200, 250, "c"), // fell to zero
		movement("acme", 9000, "expansion", 70, 50, "a", "d"),
		movement("acme", 9700, "contraction", -60, 120, "d"),
	}
	c.mrrBecomes("acme", "60")
	c.get("/accounts/acme/mrr_movements?direction=asc").want(toJSON(object{"status_is_ok": true, "current_page": 0, "max_page_size": 1000, "direction": "asc", "results": ascending}))
	c.soon("/mrr_movements?direction=asc", toJSON(object{"status_is_ok": true, "results": ascending}))
	descending := slices.Clone(ascending)
	slices.Reverse(descending)
	c.get("/accounts/acme/mrr_movements").want(toJSON(object{"direction": "<absent>", "results": descending}))
	c.get("/mrr_movements").want(toJSON(object{"direction": "<absent>", "results": descending}))
	c.play(
		step{"past the end", "GET /accounts/acme/mrr_movements?page=1", "", `{"current_page": 1, "results": []}`},
		step{"none", "GET /accounts/none/mrr_movements", "", `{"status_is_ok": true, "results": []}`},
		step{"of nobody", "GET /accounts/nobody/mrr_movements", "", `{"status_is_ok": false, "message": "Account not found", "code": "not_found", "results": []}`},
		step{"no direction", "GET /accounts/acme/mrr_movements?direction=up", "", `{"status_is_ok": false, "code": "not_a_choice", "field": "direction", "results": []}`},
		step{"no page", "GET /accounts/acme/mrr_movements?page=-1", "", `{"status_is_ok": false, "code": "out_of_range", "field": "page", "results": []}`},
	)
	c.another().get("/mrr_movements").want(`{"results": [], "opening_mrr": 0, "closing_mrr": 0}`)
}

// testWorkspaceMovements shows the totals of a window, computed by hand (Q23).
func testWorkspaceMovements(c *client) {
	c.upload("/accounts", account("a"), account("b"), account("c"), account("d"), account("e"), account("f"), account("g"))
	in := func(account, kind string, start, cents int64) object {
		if kind == "end" {
			return event(kind, "s "+account, start, of(account))
		}
		return event(kind, "s "+account, start, of(account), costs(cents))
	}
	c.upload("/subscriptions",
		in("a", "revenue", 1000, 1000), in("a", "revenue", 10_000, 1500), // pays more, from the first instant of the window on
		in("b", "revenue", 2000, 2000), in("b", "revenue", 12_000, 1500), // pays less
		in("c", "revenue", 3000, 600), in("c", "end", 13_000, 0), in("c", "revenue", 15_000, 400), // left and came back
		in("d", "revenue", 19_999, 300),                                 // new, in the last instant
		in("e", "revenue", 9_999, 400), in("e", "revenue", 20_000, 500), // pays more, after the window
		in("f", "revenue", 1000, 700), in("f", "end", 5000, 0), in("f", "revenue", 16_000, 200), // came back, paid nothing when it began
		in("g", "revenue", today()+30*dayMillis, 9000), // to come
	)
	for account, cents := range map[string]string{"a": "1500", "b": "1500", "c": "400", "d": "300", "e": "500", "f": "200", "g": "0"} {
		c.mrrBecomes(account, cents)
	}
	// a 1000, b 2000, c 600 and e 400 pay when it begins; when it ends they pay
	// 1500, 1500, 400 and 400, and without what they pay more 1000, 1500, 400, 400.
	c.soon("/mrr_movements?start=10000&end=20000&direction=asc", toJSON(object{
		"status_is_ok": true, "start": 10000, "end": 20000, "direction": "asc", "current_page": 0, "max_page_size": 1000,
		"totals":      object{"<only>": true, "new": 300, "expansion": 1100, "contraction": -500, "churn": -600, "net": 300},
		"opening_mrr": 4000, "closing_mrr": 4300, "net_revenue_retention": 0.95, "gross_revenue_retention": 0.825,
		"results": []any{
			movement("a", 10_000, "expansion", 500, 1000, "s a"),
			movement("b", 12_000, "contraction", -500, 2000, "s b"),
			movement("c", 13_000, "churn", -600, 600, "s c"),
			movement("c", 15_000, "expansion", 400, 0, "s c"),
			movement("f", 16_000, "expansion", 200, 0, "s f"),
			movement("d", 19_999, "new", 300, 0, "s d"),
		},
	}))
	page := c.get("/mrr_movements?start=10000&end=20000&page=1").want(`{"current_page": 1, "results": [], "closing_mrr": 4300}`)
	if page.member("totals") == nil {
		c.Error("a page past the end has no totals")
	}
	for _, x := range []struct{ query, want string }{
		{"", `{"start": "<absent>", "end": "<absent>", "opening_mrr": 0, "closing_mrr": 4400, "net_revenue_retention": null, "gross_revenue_retention": null,
			"totals": {"new": 5000, "expansion": 1200, "contraction": -500, "churn": -1300, "net": 4400}}`},
		{"?start=20000", `{"opening_mrr": 4300, "closing_mrr": 4400, "results": [{"account_id": "e", "date": 20000}], "gross_revenue_retention": 1}`},
		{"?start=20001", `{"opening_mrr": 4400, "closing_mrr": 4400, "results": [], "totals": {"new": 0, "expansion": 0, "contraction": 0, "churn": 0, "net": 0}, "net_revenue_retention": 1}`},
		{"?end=1001", `{"opening_mrr": 0, "closing_mrr": 1700, "results": [{"date": 1000}, {"date": 1000}]}`},
		{"?end=1000", `{"opening_mrr": 0, "closing_mrr": 0, "results": [], "net_revenue_retention": null}`},
		{"?start=10000&end=10000", `{"opening_mrr": 4000, "closing_mrr": 4000, "results": [], "net_revenue_retention": 1, "gross_revenue_retention": 1}`},
		{"?start=-5&end=0", `{"start": -5, "end": 0, "opening_mrr": 0, "results": []}`},
		{"?start=20000&end=9223372036854775807", `{"closing_mrr": 4400, "results": [{"date": 20000}]}`},
		{"?start=9223372036854775807", `{"results": [], "totals": {"net": 0}}`},
		{"?start=-9223372036854775808&end=2000", `{"opening_mrr": 0, "closing_mrr": 1700}`},
	} {
		c.sub("window "+x.query, func(c *client) { c.get("/mrr_movements" + x.query).want(x.want) })
	}
}

// testMovementWindows shows which windows are refused.
func testMovementWindows(c *client) {
	for _, x := range []struct{ query, code, field string }{
		{"start=2000&end=1999", "out_of_range", "end"},
		{"start=yesterday", "wrong_type", "start"},
		{"end=1.5", "wrong_type", "end"},
		{"start=9223372036854775808", "wrong_type", "start"},
		{"direction=up", "not_a_choice", "direction"},
		{"page=x", "out_of_range", "page"},
	} {
		c.sub(x.query, func(c *client) { c.get("/mrr_movements?"+x.query).fails(x.code, x.field).want(`{"results": []}`) })
	}
}

// testPagesOfMovements reads more movements than a page takes.
func testPagesOfMovements(c *client) {
	const n = 1205
	c.upload("/accounts", account("acme"), account("other"))
	var records []any
	for i := range int64(n) {
		records = append(records, event("revenue", "s", i, costs(1000+i)))
	}
	c.upload("/subscriptions", append(records, event("revenue", "o", 5, of("other")))...)
	c.soon("/accounts/acme", results(fmt.Sprintf(`{"current_mrr": %d}`, 1000+n-1)))
	c.soon("/accounts/other", results(`{"current_mrr": 100}`))
	for page, want := range []int{1000, n - 1000, 0} {
		list := c.get(fmt.Sprintf("/accounts/acme/mrr_movements?direction=asc&page=%d", page)).results()
		if len(list) != want {
			c.Fatalf("page %d has %d movements, want %d", page, len(list), want)
		}
		for i, m := range list {
			if want := fmt.Sprint(1000*page + i); fmt.Sprint(m["date"]) != want {
				c.Fatalf("page %d: movement %d is of %v, want %s", page, i, m["date"], want)
			}
		}
	}
	whole := fmt.Sprintf(`"opening_mrr": 0, "closing_mrr": %d, "totals": {"new": 1100, "expansion": %d, "contraction": 0, "churn": 0, "net": %d}`, 1000+n-1+100, n-1, 1000+n-1+100)
	for page, want := range []int{1000, n + 1 - 1000, 0} {
		list := c.soon(fmt.Sprintf("/mrr_movements?page=%d", page), `{`+whole+`}`).results()
		if len(list) != want {
			c.Fatalf("page %d has %d movements of the workspace, want %d", page, len(list), want)
		}
		for i := range list[min(1, len(list)):] {
			a, _ := list[i]["date"].(json.Number).Int64()
			b, _ := list[i+1]["date"].(json.Number).Int64()
			if b > a {
				c.Fatalf("page %d: a movement of %d comes before one of %d", page, a, b)
			}
		}
	}
}

// serverClock returns bounds of how far the target's clock is ahead of ours.
func (c *client) serverClock() (least, most time.Duration) {
	c.Helper()
	before := time.Now()
	c.upload("/account_users", person("acme", "clock"))
	after := time.Now()
	ms, err := c.one("/account_users/clock/acme")["product_join_date"].(json.Number).Int64()
	if err != nil {
		c.Fatal(err)
	}
	return time.UnixMilli(ms).Sub(after), time.UnixMilli(ms).Sub(before) + time.Millisecond
}

// testByTimeAlone shows that MRR, movements and the segment shown are those of
// the instant of a read when a segment starts or ends, without a request that
// says so (S3). Where reads are so slow that none falls before the start, or
// none before the end, it leaves them more time.
func testByTimeAlone(c *client) {
	for while := 4 * time.Second; ; while *= 2 {
		seen := readByTimeAlone(newClient(c.T, c.target), while)
		if seen[0] > 0 && seen[1] > 0 {
			return
		}
		if while > 30*time.Second {
			c.Fatalf("reads before, during and after: %v", seen)
		}
	}
}

// readByTimeAlone has a subscription start a while from now and end a while
// later, and returns how many reads fell before, between and after.
func readByTimeAlone(c *client, while time.Duration) (seen [3]int) {
	c.upload("/accounts", account("acme"))
	least, most := c.serverClock()
	start := time.Now().Add(most + while).UnixMilli()
	end := start + while.Milliseconds()
	c.upload("/subscriptions",
		event("revenue", "a", start, until(end)),
		event("revenue", "b", 1000, costs(0)), event("revenue", "b", start, costs(0)),
		event("revenue", "c", 2000, costs(0)),
	)
	c.soon("/accounts/acme", results(`{"current_mrr": 0}`))
	phases := []struct{ mrr, movements, shown string }{
		{"0", `[]`, `1000`},
		{"100", toJSON([]any{movement("acme", start, "new", 100, 0, "a")}), fmt.Sprint(start)},
		{"0", toJSON([]any{movement("acme", start, "new", 100, 0, "a"), movement("acme", end, "churn", -100, 100, "a")}), fmt.Sprint(start)},
	}
	phase := func(at time.Time) int {
		switch t := at.UnixMilli(); {
		case t < start:
			return 0
		case t < end:
			return 1
		}
		return 2
	}
	for deadline := time.UnixMilli(end).Add(derivedWithin); seen[2] < 3; time.Sleep(20 * time.Millisecond) {
		if time.Now().Add(-least).After(deadline) {
			c.Fatalf("the subscription did not end: reads of each phase: %v", seen)
		}
		during := func(path, pattern string, of func(p int) string) {
			before := time.Now()
			a := c.get(path)
			p := phase(before.Add(least))
			if p == phase(time.Now().Add(most)) {
				a.want(fmt.Sprintf(pattern, of(p)))
				seen[p]++
			}
		}
		during("/accounts/acme", `{"results": [{"current_mrr": %s}]}`, func(p int) string { return phases[p].mrr })
		during("/accounts/acme/mrr_movements?direction=asc", `{"results": %s}`, func(p int) string { return phases[p].movements })
		during("/mrr_movements?direction=asc", `{"results": %s}`, func(p int) string { return phases[p].movements })
		during("/subscriptions/b", `{"results": [{"records": [{"start_date": %s}]}]}`, func(p int) string { return phases[p].shown })
	}
	// The list is in the order of the segments shown; that follows as derived values do.
	c.soon("/subscriptions?direction=asc", `{"results": [{"subscription_id": "c"}, {"subscription_id": "a"}, {"subscription_id": "b"}]}`)
	return seen
}

// testSearchByMRR shows that accounts are found by their current_mrr (R1).
func testSearchByMRR(c *client) {
	c.upload("/accounts", account("none"), account("zero"), account("some"), account("more"))
	c.upload("/subscriptions", event("revenue", "z", 1000, until(2000), of("zero")), event("revenue", "s", 1000, of("some")), event("revenue", "m", 1000, of("more"), costs(500)))
	for _, x := range []struct {
		operator, value string
		want            []string
	}{
		{"eq", "100", []string{"some"}},
		{"ge", "100", []string{"more", "some"}},
		{"gt", "100", []string{"more"}},
		{"le", "100", []string{"some", "zero"}},
		{"lt", "0.5", []string{"zero"}},
		{"eq", "0", []string{"zero"}},
		{"ne", "100", []string{"more", "none", "zero"}},
	} {
		c.sub(x.operator+" "+x.value, func(c *client) {
			request := fmt.Sprintf(`{"records": [{"attribute": "current_mrr", "operator": %q, "value": %s}]}`, x.operator, x.value)
			var got []string
			for deadline := time.Now().Add(derivedWithin); ; time.Sleep(20 * time.Millisecond) {
				got = nil
				for _, r := range c.post("/search/accounts", request).results() {
					got = append(got, accountOf(r))
				}
				if slices.Sort(got); slices.Equal(got, x.want) {
					return
				}
				if time.Now().After(deadline) {
					c.Fatalf("found %q, want %q", got, x.want)
				}
			}
		})
	}
	c.post("/search/accounts", `{"records": [{"attribute": "current_mrr", "value": "100"}]}`).fails("wrong_type", "current_mrr")
}
