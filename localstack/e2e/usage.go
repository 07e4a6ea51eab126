package e2e

import (
	"fmt"
	"time"
)

var usageTests = []test{
	{"without events", testUsageWithoutEvents},
	{"periods", testUsagePeriods},
	{"whose", testUsageWhose},
}

// testUsageWithoutEvents shows what usage looks like where nothing has happened.
func testUsageWithoutEvents(c *client) {
	c.upload("/accounts", account("a"))
	c.upload("/account_users", person("a", "u"))
	const empty = `"active_users": 0, "sessions": 0, "active_duration": 0, "events": 0, "modules": [], "features": [], "actions": [], "first_seen": null, "last_seen": null`
	for _, path := range []string{"/accounts/a/usage", "/account_users/u/usage", "/account_users/u/a/usage", "/usage"} {
		a := c.get(path)
		a.want(`{"status_is_ok": true, "interval": "day", "totals": {` + empty + `}, "daily_active_users": 0, "weekly_active_users": 0, "monthly_active_users": 0}`)
		days := a.results()
		if len(days) != 30 {
			c.Errorf("%s has %d days", path, len(days))
		}
		for _, day := range days {
			if day["events"] == nil || fmt.Sprint(day["events"]) != "0" {
				c.Errorf("%s has %s", path, toJSON(day))
			}
		}
	}
}

// testUsagePeriods asks for stretches of time, those that cannot be among them.
func testUsagePeriods(c *client) {
	c.upload("/accounts", account("a"))
	at := func(month time.Month, day, hour int) int64 {
		return time.Date(2024, month, day, hour, 0, 0, 0, time.UTC).UnixMilli()
	}
	for _, p := range []struct {
		start, end int64
		interval   string
		lengths    []int64 // in days
	}{
		{at(1, 30, 12), at(2, 2, 12), "day", []int64{1, 1, 1, 1}},
		{at(1, 30, 12), at(2, 2, 0), "day", []int64{1, 1, 1}},
		{at(1, 30, 0), at(1, 30, 0) + 1, "week", []int64{1}},
		{at(1, 30, 0), at(2, 13, 0), "week", []int64{6, 7, 1}}, // from a Tuesday to the end of a Monday
		{at(1, 30, 0), at(4, 2, 0), "month", []int64{2, 29, 31, 1}},
		{at(1, 1, 0), at(12, 31, 24), "month", []int64{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}},
	} {
		for _, path := range []string{"/accounts/a/usage", "/usage"} {
			a := c.get(fmt.Sprintf("%s?start=%d&end=%d&interval=%s", path, p.start, p.end, p.interval)).want(`{"status_is_ok": true, "interval": "` + p.interval + `"}`)
			const day = 24 * 60 * 60 * 1000
			begin, lengths := p.start-p.start%day, []int64{}
			for i, r := range a.results() {
				start, end := number(c, r["start"]), number(c, r["end"])
				if start != begin {
					c.Errorf("%s: interval %d begins at %d, want %d", path, i, start, begin)
				}
				begin, lengths = end, append(lengths, (end-start)/day)
			}
			if fmt.Sprint(lengths) != fmt.Sprint(p.lengths) {
				c.Errorf("%s by %s: intervals of %v days, want %v", path, p.interval, lengths, p.lengths)
			}
			a.want(fmt.Sprintf(`{"totals": {"start": %d, "end": %d}}`, p.start-p.start%day, begin))
		}
	}
	for query, failure := range map[string]string{
		"interval=hour":            `"code": "not_a_choice", "field": "interval"`,
		"start=x":                  `"code": "wrong_type", "field": "start"`,
		"end=2024-01-01":           `"code": "wrong_type", "field": "end"`,
		"start=-1":                 `"code": "out_of_range", "field": "start"`,
		"start=1000&end=1000":      `"code": "out_of_range", "field": "end"`,
		"start=0&end=31622400001":  `"code": "out_of_range", "field": "end"`,
		"end=99999999999999999999": `"code": "wrong_type", "field": "end"`,
	} {
		for _, path := range []string{"/accounts/a/usage", "/usage"} {
			c.get(path + "?" + query).want(`{"status_is_ok": false, "message": "<text>", "results": [], ` + failure + `}`)
		}
	}
	c.get("/usage?start=0&end=31622400000").want(`{"status_is_ok": true}`)
}

func number(c *client, value any) int64 {
	c.Helper()
	var n int64
	if _, err := fmt.Sscan(fmt.Sprint(value), &n); err != nil {
		c.Fatalf("%v is no number", value)
	}
	return n
}

// testUsageWhose asks for the usage of what is not there, and of a user of several
// accounts.
func testUsageWhose(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload("/account_users", person("a", "u"))
	c.upload("/account_users", person("b", "u"))
	c.upload("/account_users", person("a", "only"))
	for path, want := range map[string]string{
		"/accounts/c/usage":           `{"status_is_ok": false, "code": "not_found", "message": "Account not found", "results": []}`,
		"/account_users/v/usage":      `{"status_is_ok": false, "code": "not_found", "results": []}`,
		"/account_users/only/b/usage": `{"status_is_ok": false, "code": "not_found", "results": []}`,
		"/account_users/u/usage":      `{"status_is_ok": false, "code": "not_unique", "field": "account_id", "results": []}`,
		"/account_users/u/b/usage":    `{"status_is_ok": true}`,
		"/account_users/only/usage":   `{"status_is_ok": true}`,
	} {
		c.get(path).want(want)
	}
	// Of one who is active in one of them alone, it is the one.
	c.delete("/account_users/u/a").want(`{"status_is_ok": true}`)
	c.get("/account_users/u/usage").want(`{"status_is_ok": true}`)
}
