package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

var metricTests = []test{
	{"long series", testLongSeries},
	{"pages", testPagesOfPoints},
	{"example", testMetricExample},
	{"uploaded", testMetricUpload},
	{"values", testMetricValues},
	{"put", testMetricPut},
	{"of an account", testMetricsOfAccount},
	{"deleted", testMetricDelete},
	{"names", testMetricNames},
	{"dry run", testMetricDryRun},
	{"races", testMetricRaces},
}

// series returns the record of a metric with points at instants, each of the value 10 times that.
func series(account, name string, instants ...int) object {
	points := []any{}
	for _, at := range instants {
		points = append(points, point(at, 10*at))
	}
	return object{"account_id": account, "name": name, "metrics": points}
}

func point(at int, value any) object { return object{"timestamp": at, "value": value} }

// countTo returns the numbers from first up to and including last.
func countTo(first, last int) []int {
	var all []int
	for i := first; i <= last; i++ {
		all = append(all, i)
	}
	return all
}

const noMetric = `{"status_is_ok": false, "code": "not_found", "field": "name", "message": "Metric not found"}`

// grouped is the answer of a read by name, of accounts and instants in turn.
func grouped(name string, groups ...object) string {
	list := []any{}
	for _, g := range groups {
		list = append(list, object{"<only>": true, "account_id": g["account_id"], name: g["metrics"]})
	}
	return toJSON(object{"status_is_ok": true, "results": list})
}

// testMetricExample plays the requests of the API document.
func testMetricExample(c *client) {
	c.upload("/accounts", account("2"), account("5"))
	const two = `{"timestamp": 1312685594018, "value": 3}, {"timestamp": 1312623494011, "value": 10}`
	const five = `{"timestamp": 1312685594018, "value": 7}, {"timestamp": 1312623494011, "value": 22}`
	c.play(
		step{"POST", "POST /metrics", `{"records": [{"name": "chocolate_bars_consumption", "account_id": "2", "metrics": [` + two + `]}, {"name": "hazelnut_consumption", "account_id": "5", "metrics": [` + five + `]}]}`,
			`{"status_is_ok": true, "inserted": 2, "changed": 0, "unchanged": 0, "failed": 0, "failed_results": []}`},
		step{"of one account", "GET /metrics/chocolate_bars_consumption", "", `{"<only>": true, "current_page": 0, "max_page_size": 1000, "status_is_ok": true,
			"results": [{"<only>": true, "account_id": "2", "chocolate_bars_consumption": [` + two + `]}]}`},
		step{"PUT for another account", "PUT /metrics/chocolate_bars_consumption", `{"data": {"name": "chocolate_bars_consumption", "account_id": "5", "metrics": [` + five + `]}}`, `{"<only>": true, "status_is_ok": true}`},
		step{"of both", "GET /metrics/chocolate_bars_consumption", "", `{"results": [{"account_id": "2", "chocolate_bars_consumption": [` + two + `]}, {"account_id": "5", "chocolate_bars_consumption": [` + five + `]}]}`},
		step{"of an account", "GET /accounts/5/metrics", "", `{"<only>": true, "current_page": 0, "max_page_size": 1000, "status_is_ok": true,
			"results": [{"<only>": true, "chocolate_bars_consumption": [` + five + `], "hazelnut_consumption": [` + five + `]}]}`},
		step{"DELETE", "DELETE /metrics/hazelnut_consumption", "", `{"<only>": true, "status_is_ok": true}`},
		step{"one is left", "GET /accounts/5/metrics", "", `{"results": [{"<only>": true, "chocolate_bars_consumption": ["<any>", "<any>"]}]}`},
	)
}

// testMetricUpload shows what POST answers, and how points merge (P5 to P8, M1, Q22).
func testMetricUpload(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload("/metrics", series("a", "m", 1, 2, 3))
	bad := func(more object) object { return with(series("a", "bad", 1), more) }
	c.play(
		step{"failures", "POST /metrics", body(nil,
			series("a", "new", 5),
			bad(object{"name": nil}),
			bad(object{"name": ""}),
			bad(object{"account_id": nil}),
			series("nobody", "bad", 1),
			bad(object{"metrics": nil}),
			object{"account_id": "a", "name": "m"},
			bad(object{"metrics": 5}),
			bad(object{"metrics": []any{5}}),
			bad(object{"metrics": []any{point(1, 1), object{"value": 1}}}),
			bad(object{"metrics": []any{object{"timestamp": 1}}}),
			bad(object{"metrics": []any{point(1, "1")}}),
			bad(object{"metrics": []any{point(1, nil)}}),
			bad(object{"metrics": []any{object{"timestamp": 1.5, "value": 1}}}),
			bad(object{"name": 5}),
			bad(object{"name": strings.Repeat("é", 129)}),
			bad(object{"name": "account_id"}),
		), `{"status_is_ok": true, "inserted": 1, "changed": 0, "unchanged": 0, "failed": 16, "failed_results": [
			{"record": 1, "code": "missing_field", "field": "name", "account_id": "a"},
			{"record": 2, "code": "missing_field", "field": "name", "account_id": "a"},
			{"record": 3, "code": "missing_field", "field": "account_id"},
			{"record": 4, "code": "not_found", "field": "account_id", "message": "Account not found", "account_id": "nobody"},
			{"record": 5, "code": "missing_field", "field": "metrics", "account_id": "a"},
			{"record": 6, "code": "missing_field", "field": "metrics", "account_id": "a"},
			{"record": 7, "code": "wrong_type", "field": "metrics", "message": "'metrics' value must be an array"},
			{"record": 8, "code": "wrong_type", "field": "metrics"},
			{"record": 9, "code": "missing_field", "field": "metrics.timestamp"},
			{"record": 10, "code": "missing_field", "field": "metrics.value"},
			{"record": 11, "code": "wrong_type", "field": "metrics.value", "message": "'metrics.value' value must be a number"},
			{"record": 12, "code": "missing_field", "field": "metrics.value"},
			{"record": 13, "code": "wrong_type", "field": "metrics.timestamp"},
			{"record": 14, "code": "wrong_type", "field": "name", "message": "'name' value must be a string"},
			{"record": 15, "code": "too_long", "field": "name"},
			{"record": 16, "code": "not_a_choice", "field": "name", "message": "<text>", "account_id": "a"}]}`},
		step{"nothing of them", "GET /metrics/bad", "", noMetric},
		step{"the same points", "POST /metrics", body(nil, series("a", "m", 3, 1)), `{"unchanged": 1}`},
		step{"one more", "POST /metrics", body(nil, series("a", "m", 0, 2)), `{"changed": 1}`},
		step{"one replaced", "POST /metrics", body(nil, object{"account_id": "a", "name": "m", "metrics": []any{point(2, -0.5)}}), `{"inserted": 0, "changed": 1}`},
		step{"one instant twice in a record", "POST /metrics", body(nil, object{"account_id": "a", "name": "m", "metrics": []any{point(7, 1), point(7, 2)}}), `{"changed": 1}`},
		step{"all merged, the latest first", "GET /metrics/m", "", grouped("m", object{"account_id": "a", "metrics": []any{point(7, 2), point(3, 30), point(2, -0.5), point(1, 10), point(0, 0)}})},
		step{"two records of one metric", "POST /metrics", body(nil, series("a", "twice", 1, 2), object{"account_id": "a", "name": "twice", "metrics": []any{point(2, 5), point(3, 6)}}), `{"inserted": 1, "changed": 1}`},
		step{"in the order given", "GET /metrics/twice", "", grouped("twice", object{"account_id": "a", "metrics": []any{point(3, 6), point(2, 5), point(1, 10)}})},
		step{"one bad point", "POST /metrics", body(nil, object{"account_id": "a", "name": "m", "metrics": []any{point(8, 1), point(9, "x")}}), `{"status_is_ok": false, "failed": 1}`},
		step{"applies none of the record", "GET /metrics/m?direction=asc", "", grouped("m", object{"account_id": "a", "metrics": []any{point(0, 0), point(1, 10), point(2, -0.5), point(3, 30), point(7, 2)}})},
		step{"missing accounts not ignored", "POST /metrics", body(object{"ignore_missing_accounts": false}, series("a", "never", 1), series("nobody", "never", 1)),
			`{"status_is_ok": false, "message": "Account not found", "inserted": 0, "failed_results": [{"record": 1, "account_id": "nobody"}]}`},
		step{"apply nothing", "GET /metrics/never", "", noMetric},
		step{"only missing ones", "POST /metrics", body(nil, series("nobody", "never", 1)), `{"status_is_ok": true, "failed": 1}`},
		step{"unknown fields", "POST /metrics", body(object{"reject_unknown_fields": true}, with(series("a", "m", 1), object{"unit": "t"}), object{"account_id": "a", "name": "m", "metrics": []any{with(point(1, 1), object{"x": 1})}}),
			`{"failed_results": [{"code": "unknown_field", "field": "unit"}, {"code": "unknown_field", "field": "metrics.x"}]}`},
		step{"no records", "POST /metrics", `{"records": []}`, `{"status_is_ok": true, "failed_results": []}`},
	)
	if a := c.send(request{method: http.MethodGet, path: "/metrics"}); a.status != http.StatusMethodNotAllowed {
		c.Errorf("%s: status %d, want 405", a.what, a.status)
	}
}

// testMetricValues shows that values are doubles, and instants long (P17).
func testMetricValues(c *client) {
	c.upload("/accounts", account("a"))
	values := []string{"0", "-0.1", "0.1", "1e3", "5.0", "14.99", "1e21", "1.7976931348623157e308", "-1e-300", "5e-324", "9007199254740992", "0.30000000000000004"}
	instants := []string{"-9223372036854775808", "-1", "0", "1", "1e3", "5000.0", "9007199254740993", "9223372036854775807"}
	var points, want []string
	for i, v := range values {
		points = append(points, fmt.Sprintf(`{"timestamp": %d, "value": %s}`, i+10, v))
		want = append(want, points[i])
	}
	c.post("/metrics", `{"records": [{"account_id": "a", "name": "values", "metrics": [`+strings.Join(points, ",")+`]}]}`).want(`{"inserted": 1}`)
	c.get("/metrics/values?direction=asc").want(`{"results": [{"values": [` + strings.Join(want, ",") + `]}]}`)
	points = nil
	for _, at := range instants {
		points = append(points, fmt.Sprintf(`{"timestamp": %s, "value": 1}`, at))
	}
	all := strings.Join(points, ",")
	slices.Reverse(points)
	c.post("/metrics", `{"records": [{"account_id": "a", "name": "instants", "metrics": [`+strings.Join(points, ",")+`]}]}`).want(`{"inserted": 1}`)
	c.get("/metrics/instants?direction=asc").want(`{"results": [{"instants": [` + all + `]}]}`)
	c.get("/metrics/instants").want(`{"results": [{"instants": [` + strings.Join(points, ",") + `]}]}`)
	for _, bad := range []string{"1e400", "-1e309"} {
		c.post("/metrics", `{"records": [{"account_id": "a", "name": "values", "metrics": [{"timestamp": 1, "value": `+bad+`}]}]}`).want(`{"failed_results": [{"code": "out_of_range", "field": "metrics.value"}]}`)
	}
	for _, bad := range []string{"9223372036854775808", "1e19"} {
		c.put("/metrics/values", `{"account_id": "a", "metrics": [{"timestamp": `+bad+`, "value": 1}]}`).fails("out_of_range", "metrics.timestamp")
	}
}

// testMetricPut shows PUT, which needs a known name (M1, P9).
func testMetricPut(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload("/metrics", series("a", "m", 1))
	put := func(record object) string { return toJSON(object{"data": record}) }
	missing := func(field string) string {
		return fmt.Sprintf(`{"status_is_ok": false, "code": "missing_field", "field": %q}`, field)
	}
	c.play(
		step{"unknown name", "PUT /metrics/n", put(series("a", "n", 1)), noMetric},
		step{"the refused name", "PUT /metrics/account_id", put(series("a", "account_id", 1)), `{"status_is_ok": false}`},
		step{"which make none", "GET /accounts/a/metrics", "", `{"results": [{"<only>": true, "m": [{"timestamp": 1, "value": 10}]}]}`},
		step{"of the same account", "PUT /metrics/m", put(series("a", "m", 2)), `{"<only>": true, "status_is_ok": true}`},
		step{"without the name", "PUT /metrics/m", `{"data": {"account_id": "a", "metrics": [{"timestamp": 2, "value": 5}]}}`, ""},
		step{"bare, of another account", "PUT /metrics/m", `{"account_id": "b", "metrics": [{"timestamp": 3, "value": 6}]}`, ""},
		step{"all there", "GET /metrics/m", "", grouped("m", object{"account_id": "a", "metrics": []any{point(2, 5), point(1, 10)}}, object{"account_id": "b", "metrics": []any{point(3, 6)}})},
		step{"another name", "PUT /metrics/m", put(series("a", "n", 1)), `{"status_is_ok": false, "code": "conflicting", "field": "name"}`},
		step{"no account", "PUT /metrics/m", `{"data": {"metrics": [{"timestamp": 9, "value": 6}]}}`, missing("account_id")},
		step{"an unknown account", "PUT /metrics/m", put(series("nobody", "m", 9)), `{"status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id"}`},
		step{"no points", "PUT /metrics/m", `{"data": {"account_id": "a"}}`, missing("metrics")},
		step{"a bad point", "PUT /metrics/m", `{"data": {"account_id": "a", "metrics": [{"timestamp": 9, "value": 1}, {"timestamp": 10}]}}`, missing("metrics.value")},
		step{"none applied", "GET /metrics/m?account_id=a", "", grouped("m", object{"account_id": "a", "metrics": []any{point(2, 5), point(1, 10)}})},
		step{"dry", "PUT /metrics/m", toJSON(object{"options": object{"dry_run": true}, "data": series("a", "m", 9)}), `{"dry_run": true, "inserted": 0, "changed": 1, "unchanged": 0}`},
		step{"dry and the same", "PUT /metrics/m", toJSON(object{"options": object{"dry_run": true}, "data": series("a", "m", 1)}), `{"dry_run": true, "changed": 0, "unchanged": 1}`},
		step{"wrote nothing", "GET /metrics/m?account_id=a", "", `{"account_id": "a", "results": [{"m": ["<any>", "<any>"]}]}`},
	)
}

// testMetricsOfAccount shows /accounts/{id}/metrics and the account_id filter.
func testMetricsOfAccount(c *client) {
	c.upload("/accounts", account("a"), account("b/c"), account("none"), account("12"))
	c.upload("/metrics", series("a", "n", 1, 2), series("a", "m", 3, 4), series("b/c", "m", 5), series("12", "m", 6), series("12", "12", 7))
	down, up := []any{point(4, 40), point(3, 30)}, []any{point(3, 30), point(4, 40)}
	of := func(account string, points ...any) object { return object{"account_id": account, "metrics": points} }
	c.play(
		step{"all of an account", "GET /accounts/a/metrics", "", toJSON(object{"direction": "<absent>", "results": []any{object{"<only>": true, "m": down, "n": []any{point(2, 20), point(1, 10)}}}})},
		step{"ascending", "GET /accounts/a/metrics?direction=ASC", "", toJSON(object{"direction": "asc", "results": []any{object{"<only>": true, "m": up, "n": []any{point(1, 10), point(2, 20)}}}})},
		step{"of an account with a slash", "GET /accounts/b%2Fc/metrics/", "", `{"results": [{"<only>": true, "m": [{"timestamp": 5, "value": 50}]}]}`},
		step{"of an account without any", "GET /accounts/none/metrics", "", `{"status_is_ok": true, "results": []}`},
		step{"of no account", "GET /accounts/nobody/metrics", "", `{"<only>": true, "status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id", "results": []}`},
		step{"past the end", "GET /accounts/a/metrics?page=1", "", `{"status_is_ok": true, "current_page": 1, "results": []}`},
		step{"bad page", "GET /accounts/a/metrics?page=-1", "", `{"status_is_ok": false, "field": "page", "results": []}`},
		step{"bad direction", "GET /accounts/a/metrics?direction=up", "", `{"status_is_ok": false, "code": "not_a_choice", "field": "direction", "results": []}`},
		step{"by name, accounts ascending", "GET /metrics/m", "", grouped("m", of("12", point(6, 60)), of("a", down...), of("b/c", point(5, 50)))},
		step{"in either direction", "GET /metrics/m?direction=asc", "", grouped("m", of("12", point(6, 60)), of("a", up...), of("b/c", point(5, 50)))},
		step{"of one account", "GET /metrics/m?account_id=b/c", "", grouped("m", of("b/c", point(5, 50)))},
		step{"echoed", "GET /metrics/m?account_id=12&direction=DESC&page=0", "", `{"account_id": "12", "direction": "desc", "current_page": 0, "results": [{"account_id": "12"}]}`},
		step{"of an account without it", "GET /metrics/n?account_id=12", "", `{"status_is_ok": true, "account_id": "12", "results": []}`},
		step{"of an unknown account", "GET /metrics/n?account_id=nobody", "", `{"status_is_ok": true, "results": []}`},
		step{"an unknown name", "GET /metrics/o", "", `{"<only>": true, "status_is_ok": false, "message": "Metric not found", "code": "not_found", "field": "name", "results": []}`},
		step{"an unknown name of an account", "GET /metrics/o?account_id=a", "", noMetric},
		step{"past the end by name", "GET /metrics/m?page=3", "", `{"status_is_ok": true, "current_page": 3, "results": []}`},
		step{"bad page by name", "GET /metrics/m?page=x", "", `{"status_is_ok": false, "field": "page", "results": []}`},
		step{"the beginning of a name", "POST /metrics", body(nil, series("a", "m2", 1)), `{"inserted": 1}`},
		step{"is another name", "GET /metrics/m?account_id=a", "", grouped("m", of("a", down...))},
		step{"an inactive account", "DELETE /accounts/a", "", ""},
		step{"keeps its own", "GET /metrics/m?account_id=a", "", grouped("m", of("a", down...))},
	)
}

// testMetricDelete shows DELETE, for all accounts and for one (M1, Q22, Q12).
func testMetricDelete(c *client) {
	c.upload("/accounts", account("a"), account("b"), account("c"))
	c.upload("/metrics", series("a", "m", 1, 2), series("b", "m", 1), series("c", "n", 1), series("a", "n", 1))
	of := func(account string, points ...any) object { return object{"account_id": account, "metrics": points} }
	c.play(
		step{"of one account", "DELETE /metrics/m?account_id=a", "", `{"<only>": true, "status_is_ok": true}`},
		step{"leaves the others", "GET /metrics/m", "", grouped("m", of("b", point(1, 10)))},
		step{"and its other metrics", "GET /accounts/a/metrics", "", `{"results": [{"<only>": true, "n": ["<any>"]}]}`},
		step{"again: there is nothing to match", "DELETE /metrics/m?account_id=a", "", ""},
		step{"of an unknown account", "DELETE /metrics/m?account_id=nobody", "", ""},
		step{"leaves the others still", "GET /metrics/m", "", grouped("m", of("b", point(1, 10)))},
		step{"comes again", "POST /metrics", body(nil, series("a", "m", 5)), `{"inserted": 1}`},
		step{"with none of its old points", "GET /metrics/m", "", grouped("m", of("a", point(5, 50)), of("b", point(1, 10)))},
		step{"of all", "DELETE /metrics/m", "", `{"<only>": true, "status_is_ok": true}`},
		step{"is unknown", "GET /metrics/m", "", noMetric},
		step{"of an account too", "GET /metrics/m?account_id=b", "", noMetric},
		step{"to PUT", "PUT /metrics/m", toJSON(object{"data": series("a", "m", 1)}), noMetric},
		step{"to DELETE", "DELETE /metrics/m", "", noMetric},
		step{"to DELETE of an account", "DELETE /metrics/m?account_id=a", "", noMetric},
		step{"gone from the account", "GET /accounts/b/metrics", "", `{"status_is_ok": true, "results": []}`},
		step{"the other name is there", "GET /metrics/n/", "", grouped("n", of("a", point(1, 10)), of("c", point(1, 10)))},
		step{"a name never posted", "DELETE /metrics/never", "", noMetric},
		step{"the last account of a name", "DELETE /metrics/n?account_id=a", "", ""},
		step{"and the very last", "DELETE /metrics/n?account_id=c", "", ""},
		step{"make it unknown", "GET /metrics/n", "", noMetric},
		step{"once more", "POST /metrics", body(nil, series("b", "m", 7)), `{"inserted": 1}`},
		step{"for that account only", "GET /metrics/m", "", grouped("m", of("b", point(7, 70)))},
	)
}

// testMetricNames shows names of any text (P1).
func testMetricNames(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	names := []string{"a/b", "a%2Fb", "a", "A", " ", "%", "..", "?account_id=a", "#", "ä", "a\u0308", "日本", "\"", "\\", "timestamp", "status_is_ok", strings.Repeat(wideRune, 128), strings.Repeat("x", 128)}
	var records []any
	want := object{"<only>": true}
	for i, name := range names {
		records = append(records, series("a", name, i), series("b", name, 100+i))
		want[name] = []any{point(i, 10*i)}
	}
	c.upload("/metrics", records...).want(fmt.Sprintf(`{"inserted": %d}`, 2*len(names)))
	c.get("/accounts/a/metrics").want(toJSON(object{"results": []any{want}}))
	for i, name := range names {
		path := "/metrics/" + segment(name)
		c.put(path, toJSON(object{"data": series("a", name, i+1)})).want(`{"status_is_ok": true}`)
		c.get(path).want(grouped(name, object{"account_id": "a", "metrics": []any{point(i+1, 10*i+10), point(i, 10*i)}}, object{"account_id": "b", "metrics": []any{point(100+i, 1000+10*i)}}))
	}
	for _, name := range []string{"a/b", "a", strings.Repeat(wideRune, 128)} {
		c.delete("/metrics/" + segment(name)).want(`{"status_is_ok": true}`)
		c.get("/metrics/" + segment(name)).want(noMetric)
		delete(want, name)
	}
	for name := range want {
		if name != "<only>" {
			want[name] = []any{"<any>", "<any>"}
		}
	}
	c.get("/accounts/a/metrics").want(toJSON(object{"results": []any{want}}))
	c.get("/metrics/" + segment(strings.Repeat(wideRune, 129))).want(noMetric)
}

// testMetricDryRun shows that a dry run answers as the real run does, and
// writes nothing (P18).
func testMetricDryRun(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload("/metrics", series("a", "m", 1, 2))
	records := []any{
		series("a", "m", 1), series("a", "m", 2, 3), series("a", "new", countTo(1, 150)...), series("b", "m", 1), series("b", "m", 1),
		series("nobody", "m", 1), series("a", "account_id", 1), series("a", "m", 3),
	}
	before := c.state()
	said := c.post("/metrics", body(object{"dry_run": true}, records...)).want(`{"dry_run": true, "inserted": 2, "changed": 1, "unchanged": 3, "failed": 2}`)
	if after := c.state(); after != before {
		c.Errorf("the dry run changed something: before\n%s\nafter\n%s", before, after)
	}
	real := c.post("/metrics", body(nil, records...))
	delete(said.body.(object), "dry_run")
	if said.text() != real.text() {
		c.Errorf("the dry run said\n%s\nthe real run\n%s", said.text(), real.text())
	}
	c.pointsAre("/metrics/new?", 0, false, []group{{"a", 150}})
}

// group is one account, or one metric, and how many points it has: at the
// instants from 1 on, each of the value 10 times that.
type group struct {
	name string
	n    int
}

// pointsAre checks a page of points by name, which are those of all groups.
func (c *client) pointsAre(path string, page int, ascending bool, groups []group) {
	c.Helper()
	c.pageOfPoints(path, page, ascending, groups, func(results []object) (got []string) {
		for _, r := range results {
			for name, points := range r {
				if list, isList := points.([]any); isList && name != "account_id" {
					got = append(got, pointTexts(fmt.Sprint(r["account_id"]), list)...)
				}
			}
		}
		return got
	})
}

func pointTexts(name string, points []any) (texts []string) {
	for _, p := range points {
		texts = append(texts, fmt.Sprintf("%s %v %v", name, dig(p, "timestamp"), dig(p, "value")))
	}
	return texts
}

func (c *client) pageOfPoints(path string, page int, ascending bool, groups []group, texts func([]object) []string) {
	c.Helper()
	var all []any
	for _, g := range groups {
		points := series("", "", countTo(1, g.n)...)["metrics"].([]any)
		if !ascending {
			slices.Reverse(points)
		}
		for _, text := range pointTexts(g.name, points) {
			all = append(all, text)
		}
	}
	start := min(1000*page, len(all))
	want := all[start:min(start+1000, len(all))]
	direction := "desc"
	if ascending {
		direction = "asc"
	}
	a := c.get(fmt.Sprintf("%s&direction=%s&page=%d", path, direction, page))
	a.want(fmt.Sprintf(`{"status_is_ok": true, "current_page": %d, "max_page_size": 1000}`, page))
	got := texts(a.results())
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			c.Errorf("%s: %d points, want %d; different from the %dth on: %q, want %q", a.what, len(got), len(want), i,
				got[min(i, len(got)):min(i+3, len(got))], want[min(i, len(want)):min(i+3, len(want))])
			return
		}
	}
}

// testPagesOfPoints shows that a page has a thousand points, whose ever they are
// (M1).
func testPagesOfPoints(c *client) {
	groups := []group{{"a", 700}, {"b", 700}, {"c", 1}, {"d", 700}, {"e", 599}, {"f", 300}} // 3,000
	var accounts, records []any
	for _, g := range groups {
		accounts = append(accounts, account(g.name))
		records = append(records, series(g.name, "m", countTo(1, g.n)...))
	}
	c.upload("/accounts", append(accounts, account("other"))...)
	slices.Reverse(records)
	c.upload("/metrics", append(records, series("other", "other", 1))...)
	for _, ascending := range []bool{false, true} {
		for page := range 4 {
			c.pointsAre("/metrics/m?", page, ascending, groups)
		}
		c.pointsAre("/metrics/m?x=y", 2, ascending, groups)
		c.pointsAre("/metrics/m?account_id=b", 0, ascending, groups[1:2])
		c.pointsAre("/metrics/m?account_id=b", 1, ascending, groups[1:2])
	}
	c.sub("after a deletion", func(c *client) {
		c.delete("/metrics/m?account_id=b").want(`{"status_is_ok": true}`)
		left := slices.Delete(slices.Clone(groups), 1, 2)
		for _, page := range []int{1, 2, 0, 3} {
			c.pointsAre("/metrics/m?", page, false, left)
		}
	})
	c.sub("after more points", func(c *client) {
		c.upload("/metrics", series("a", "m", countTo(1, 900)...)).want(`{"changed": 1}`)
		c.upload("/metrics", series("b", "m", countTo(1, 100)...)).want(`{"inserted": 1}`)
		now := []group{{"a", 900}, {"b", 100}, {"c", 1}, {"d", 700}, {"e", 599}, {"f", 300}}
		for _, page := range []int{2, 0, 1} {
			c.pointsAre("/metrics/m?", page, true, now)
			c.pointsAre("/metrics/m?", page, false, now)
		}
	})
	c.sub("of an account", func(c *client) {
		of := []group{{"m1", 700}, {"m2", 700}, {"m3", 700}}
		var records []any
		for _, g := range of {
			records = append(records, series("other", g.name, countTo(1, g.n)...))
		}
		c.delete("/metrics/other")
		c.upload("/metrics", records...)
		for page := range 4 {
			c.pageOfPoints("/accounts/other/metrics?", page, page%2 == 0, of, func(results []object) (got []string) {
				for _, r := range results {
					for _, g := range of {
						if list, ok := r[g.name].([]any); ok {
							got = append(got, pointTexts(g.name, list)...)
						}
					}
				}
				return got
			})
		}
	})
}

// testLongSeries shows that a series longer than pages and transactions is
// kept, replaced and deleted whole (M1, P16).
func testLongSeries(c *client) {
	const n = 2500
	c.upload("/accounts", account("a"), account("b"))
	whole := func(n int) {
		c.Helper()
		for page := range n/1000 + 2 {
			c.pointsAre("/metrics/m?account_id=a", page, page%2 == 0, []group{{"a", n}})
		}
	}
	c.upload("/metrics", series("a", "m", countTo(1, n)...), series("b", "m", 1)).want(`{"inserted": 2}`)
	whole(n)
	c.upload("/metrics", series("a", "m", countTo(1, n)...)).want(`{"unchanged": 1}`)
	other := series("a", "m")
	var points []any
	for i := 1; i <= n; i++ {
		points = append(points, point(i, -i))
	}
	c.upload("/metrics", with(other, object{"metrics": points})).want(`{"changed": 1}`)
	first := c.get("/metrics/m?account_id=a&page=2").results()
	if got := first[0]["m"].([]any); len(got) != n-2000 || dig(got[0], "value") != json.Number(fmt.Sprint(-n+2000)) {
		c.Errorf("replaced, the last page has %d points from %v on, want %d from %d on", len(got), got[0], n-2000, -n+2000)
	}
	c.put("/metrics/m", toJSON(object{"data": series("a", "m", countTo(1, n+1)...)})).want(`{"status_is_ok": true}`)
	whole(n + 1)
	c.delete("/metrics/m?account_id=a").want(`{"status_is_ok": true}`)
	c.get("/metrics/m").want(grouped("m", object{"account_id": "b", "metrics": []any{point(1, 10)}}))
	c.get("/metrics/m?account_id=a&page=1").want(`{"status_is_ok": true, "results": []}`)
	c.upload("/metrics", series("a", "m", 3)).want(`{"inserted": 1}`)
	c.get("/accounts/a/metrics").want(`{"results": [{"<only>": true, "m": [{"timestamp": 3, "value": 30}]}]}`)
	c.delete("/metrics/m").want(`{"status_is_ok": true}`)
	c.get("/metrics/m").want(noMetric)
}

// testMetricRaces shows that points put at the same time are all there (P16).
func testMetricRaces(c *client) {
	c.upload("/accounts", account("a"))
	c.upload("/metrics", series("a", "m", 1))
	var writers sync.WaitGroup
	for i := range 12 {
		writers.Go(func() {
			c.put("/metrics/m", toJSON(object{"data": series("a", "m", countTo(10*i+1, 10*i+10)...)})).want(`{"status_is_ok": true}`)
		})
	}
	writers.Wait()
	c.pointsAre("/metrics/m?", 0, true, []group{{"a", 120}})
}
