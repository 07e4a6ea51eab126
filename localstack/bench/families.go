package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// familyRecords are the uploads of every other family: record i of those that
// belong to the accounts of the load.
var familyRecords = []struct {
	path   string
	record func(i int, account string) map[string]any
}{
	{"account_users", func(i int, account string) map[string]any { return person(i, account) }},
	{"account_contacts", func(i int, account string) map[string]any { return person(i, account) }},
	{"support_tickets", func(i int, account string) map[string]any {
		return map[string]any{
			"ticket_id": fmt.Sprintf("ticket-%08d", i), "account_id": account, "state": "open", "type": "problem", "priority": "normal",
			"subject": "Cannot sign in", "create_time": 1_400_000_000_000 + i, "assignee_email": "agent@example.com",
			"description": strings.Repeat("It says that something went wrong. ", 10),
		}
	}},
	{"statements", func(i int, account string) map[string]any {
		return map[string]any{
			"invoice_id": fmt.Sprintf("invoice-%08d", i), "account_id": account, "start_date": 1_400_000_000_000 + i, "paid_date": 1_400_000_000_000 + i,
			"line_items": []any{
				map[string]any{"amount": 4900, "is_recurring": true, "description": "Seats of the month"},
				map[string]any{"amount": 1000, "is_recurring": false, "description": "Set-up"},
			},
		}
	}},
	{"interactions", func(i int, account string) map[string]any {
		return map[string]any{
			"external_id": fmt.Sprintf("mail-%08d", i), "account_id": account, "type": "email", "create_time": 1_400_000_000_000 + i,
			"rep_email": "rep@example.com", "subject": "Your question", "details": strings.Repeat("Thank you for asking. ", 30),
		}
	}},
	{"notes", func(i int, account string) map[string]any {
		return map[string]any{
			"external_id": fmt.Sprintf("note-%08d", i), "account_id": account, "create_time": 1_400_000_000_000 + i,
			"rep_email": "rep@example.com", "subject": "Call", "note": strings.Repeat("They like it. ", 20),
		}
	}},
	{"subscriptions", func(i int, account string) map[string]any {
		return map[string]any{
			"subscription_id": fmt.Sprintf("sub-%08d", i), "account_id": account, "event": "revenue", "plan_code": "team",
			"effective_start_date": 1_400_000_000_000 + i, "total_revenue": 120_000 + i, "cycle_unit": "year", "cycle_length": 1,
			"next_renewal_date": 1_900_000_000_000,
		}
	}},
	{"metrics", func(i int, account string) map[string]any {
		return map[string]any{
			"name": "seats_used", "account_id": account,
			"metrics": []any{map[string]any{"timestamp": 1_400_000_000_000 + i, "value": i}},
		}
	}},
}

func person(i int, account string) map[string]any {
	return map[string]any{
		"user_id": fmt.Sprintf("person-%08d", i), "account_id": account, "first_name": "Abby", "last_name": "Russel",
		"email": fmt.Sprintf("abby%d@example.com", i), "phone": "929.598.1610", "title": "Head of things", "department": "Operations",
	}
}

// accountID returns the id of account i of the load.
func accountID(i int) string { return fmt.Sprintf("acct-%08d", i) }

// families uploads n records of every other family, for as many accounts, and
// returns records a second by family.
func (l *load) families(ctx context.Context, n int, f figures, done func(row string, n int)) error {
	for _, family := range familyRecords {
		var bodies [][]byte
		for start := 0; start < n; start += batchSize {
			var records []any
			for i := start; i < min(start+batchSize, n); i++ {
				records = append(records, family.record(i, accountID(i%l.records)))
			}
			body, err := json.Marshal(map[string]any{"records": records})
			if err != nil {
				return err
			}
			bodies = append(bodies, body)
		}
		rate, err := l.upload(ctx, "/"+family.path, bodies, n, "inserted")
		if err != nil {
			return err
		}
		f["insert "+family.path] = rate
		done("insert "+family.path, n)
	}
	return nil
}

// growth measures what must not grow with what is stored, or only as it has to.
type growth struct {
	accounts int // in the list whose first and last page are read
	scores   int // in the longer of two NPS histories
	searched []int
}

// run loads accounts up to the largest number, measuring on the way.
func (g growth) run(ctx context.Context, l *load, f figures) error {
	loaded := 0
	for _, n := range append(g.searched, g.accounts) {
		var bodies [][]byte
		for start := loaded; start < n; start += batchSize {
			var records []any
			for i := start; i < min(start+batchSize, n); i++ {
				records = append(records, account(i, i%5000))
			}
			body, err := json.Marshal(map[string]any{"records": records})
			if err != nil {
				return err
			}
			bodies = append(bodies, body)
			if len(bodies) == 20 || start+batchSize >= n {
				if _, err := l.upload(ctx, "/accounts", bodies, len(bodies)*batchSize, "inserted"); err != nil {
					return err
				}
				bodies = nil
			}
		}
		loaded = n
		if n == g.accounts {
			break
		}
		for _, q := range searches {
			d, err := median(9, func() error {
				_, err := l.call(ctx, "POST", "/search/accounts", nil, []byte(q.body))
				return err
			})
			if err != nil {
				return err
			}
			f[fmt.Sprintf("search %d accounts: %s", n, q.name)] = milliseconds(d)
		}
	}
	l.records = g.accounts
	_, pages, err := l.list(ctx)
	if err != nil {
		return err
	}
	for row, page := range map[string]int{"first page": 0, "last page": len(pages) - 1} {
		d, err := l.page(ctx, page)
		if err != nil {
			return err
		}
		f[fmt.Sprintf("%s of %d accounts", row, g.accounts)] = milliseconds(d)
	}
	return g.history(ctx, l, f)
}

// searches are what is searched for: a part of a text and a number together,
// the same with no hit, and an id.
var searches = []struct{ name, body string }{
	{"text and number", `{"records":[{"attribute":"website","operator":"like","value":"quartz delta NORTH"},{"attribute":"csm_score","operator":"ge","value":50}]}`},
	{"no hit", `{"records":[{"attribute":"description","operator":"like","value":"nowhere to be found"}]}`},
	{"by id", `{"records":[{"attribute":"account_id","value":"acct-00000007"}]}`},
}

// history adds one entry to a short NPS history and to a long one.
func (g growth) history(ctx context.Context, l *load, f figures) error {
	next := 0
	add := func(account string, n int) error {
		scores := make([]any, n)
		for i := range scores {
			next++
			scores[i] = map[string]any{"nps_score": next % 100, "date": 1_400_000_000_000 + int64(next)*3_600_000}
		}
		body, err := json.Marshal(map[string]any{"data": map[string]any{"nps_history": scores}})
		if err == nil {
			_, err = l.call(ctx, "PUT", "/accounts/"+account, nil, body)
		}
		return err
	}
	for i, n := range []int{10, g.scores} {
		const most = 20_000
		for left := n; left > 0; left -= most {
			if err := add(accountID(i), min(left, most)); err != nil {
				return err
			}
		}
		d, err := median(99, func() error { return add(accountID(i), 1) })
		if err != nil {
			return err
		}
		f[fmt.Sprintf("one more NPS entry after %d", n)] = milliseconds(d)
	}
	return nil
}

// rows returns the names of the rows that run fills, in order.
func (g growth) rows() []row {
	var all []row
	for _, n := range g.searched {
		for _, q := range searches {
			all = append(all, row{fmt.Sprintf("search %d accounts: %s", n, q.name), "ms"})
		}
	}
	for _, page := range []string{"first page", "last page"} {
		all = append(all, row{fmt.Sprintf("%s of %d accounts", page, g.accounts), "ms"})
	}
	for _, n := range []int{10, g.scores} {
		all = append(all, row{fmt.Sprintf("one more NPS entry after %d", n), "ms"})
	}
	return all
}

// median returns the median time of n calls.
func median(n int, call func() error) (time.Duration, error) {
	all := make([]time.Duration, n)
	for i := range all {
		at := time.Now()
		if err := call(); err != nil {
			return 0, err
		}
		all[i] = time.Since(at)
	}
	return middle(all), nil
}
