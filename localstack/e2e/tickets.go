package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// ticketTests are those of support tickets, and with them those that tickets
// share with invoices.
var ticketTests = append(tickets.tests(),
	test{"example", testTicketExample},
	test{"moved", testTicketMoved},
)

// owned is a family whose records belong to an account and have ids that are
// unique across accounts: support tickets and invoices (T1, I1).
type owned struct {
	path, ofAccount, id, notFound string
	// order is the field by which the records of an account are ordered by default.
	order string
	// record returns a record that is enough for an insert.
	record func(account, id string, more ...object) object
	// required are the fields that an insert needs beside the ids, all of
	// numbers but for those in texts.
	required, texts []string
	// unset is how a read shows the record of nothing but what it needs.
	unset object
	// some returns random values for scalar fields.
	some func(r *rand.Rand) object
}

var tickets = owned{
	path: "/support_tickets", ofAccount: "/support_tickets", id: "ticket_id", notFound: "Ticket not found", order: "create_time",
	record:   ticket,
	required: []string{"state", "subject", "create_time"}, texts: []string{"state", "subject"},
	unset: object{
		"<only>": true, "ticket_id": "t", "account_id": "a", "state": "open", "subject": "Subject", "create_time": 1000,
		"assignee_id": nil, "assignee_email": nil, "type": nil, "priority": nil, "close_time": nil, "last_update_time": nil,
		"description": nil, "csat_label": nil, "csat_value": nil, "source": nil,
	},
	some: func(r *rand.Rand) object {
		return object{
			"state": word(r), "subject": word(r), "create_time": r.IntN(5) - 2, "type": maybe(r, word(r)), "close_time": maybe(r, r.IntN(30)-9),
			"priority": maybe(r, word(r)), "assignee_id": maybe(r, r.IntN(20)), "assignee_email": maybe(r, word(r)), "description": maybe(r, word(r)),
			"csat_label": maybe(r, word(r)), "csat_value": maybe(r, r.IntN(5)), "last_update_time": maybe(r, r.IntN(5)), "source": maybe(r, word(r)),
		}
	},
}

// ticket returns a record that is enough to insert a support ticket.
func ticket(account, id string, more ...object) object {
	return with(object{"account_id": account, "ticket_id": id, "state": "open", "subject": "Subject", "create_time": 1000}, more...)
}

// word returns one of some texts that sort by code points.
func word(r *rand.Rand) string {
	words := []string{"A", "a", "a b", "aa", "b", "10", "9", "ä", "\uffee", "😀"}
	return words[r.IntN(len(words))]
}

// maybe returns value, or now and then nil.
func maybe(r *rand.Rand, value any) any {
	if r.IntN(3) == 0 {
		return nil
	}
	return value
}

func (o owned) tests() []test {
	return []test{
		{"read", o.testRead},
		{"uploaded", o.testUpload},
		{"of missing accounts", o.testMissingAccounts},
		{"modified", o.testModify},
		{"deleted", o.testDelete},
		{"ids", o.testIDs},
		{"dry run", o.testDryRun},
		{"in an order", o.testOrders},
		{"pages", o.testPages},
		{"races", o.testRaces},
	}
}

// one returns the path of a record.
func (o owned) one(id string) string { return o.path + "/" + segment(id) }

// list returns the path of the records of an account.
func (o owned) list(account string) string { return "/accounts/" + segment(account) + o.ofAccount }

// missing is what is answered when a record does not exist.
func (o owned) missing() string {
	return fmt.Sprintf(`{"status_is_ok": false, "code": "not_found", "field": %q, "message": %q}`, o.id, o.notFound)
}

// shows is the answer of records of which only the id is of interest.
func (o owned) shows(ids ...string) string {
	list := []any{}
	for _, id := range ids {
		list = append(list, object{o.id: id})
	}
	return toJSON(object{"status_is_ok": true, "results": list})
}

// testRead shows that every field is returned, null when unset, by id and in
// the account's list (Q1).
func (o owned) testRead(c *client) {
	c.upload("/accounts", account("a"), account("empty"))
	one := toJSON(o.unset)
	c.play(
		step{"insert", "POST " + o.path, body(nil, o.record("a", "t")), `{"inserted": 1, "changed": 0, "unchanged": 0}`},
		step{"by id", "GET " + o.path + "/t", "", `{"<only>": true, "status_is_ok": true, "results": [` + one + `]}`},
		step{"by id with a slash at the end", "GET " + o.path + "/t/", "", results(one)},
		step{"of the account", "GET " + o.list("a"), "", `{"<only>": true, "status_is_ok": true, "current_page": 0, "max_page_size": 1000, "results": [` + one + `]}`},
		step{"of the account with a slash at the end", "GET " + o.list("a") + "/", "", results(one)},
		step{"of an account without any", "GET " + o.list("empty"), "", `{"status_is_ok": true, "results": []}`},
		step{"of no account", "GET " + o.list("nobody"), "", `{"<only>": true, "status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id", "results": []}`},
		step{"unknown id", "GET " + o.path + "/u", "", fmt.Sprintf(`{"<only>": true, "status_is_ok": false, "message": %q, "code": "not_found", "field": %q, "results": []}`, o.notFound, o.id)},
		step{"the account's id", "GET " + o.path + "/a", "", o.missing()},
		step{"of an inactive account", "DELETE /accounts/a", "", ""},
		step{"all the same", "GET " + o.list("a"), "", results(one)},
		step{"which takes more", "POST " + o.path, body(nil, o.record("a", "u")), `{"inserted": 1}`},
	)
	c.get(o.list("a") + "?page=1").want(`{"current_page": 1, "results": []}`)
	c.get(o.list("a") + "?page=x").want(`{"status_is_ok": false, "field": "page", "results": []}`)
	// There is no list of the whole workspace.
	if a := c.send(request{method: "GET", path: o.path}); a.status != 405 {
		c.Errorf("%s: status %d, want 405", a.what, a.status)
	}
}

// testUpload shows what POST answers, and what of it is applied (P5, P6, P8,
// P15, Q7, Q8).
func (o owned) testUpload(c *client) {
	c.upload("/accounts", account("a"))
	without := func(id, field string) object {
		r := o.record("a", id)
		delete(r, field)
		return r
	}
	records := []any{
		o.record("a", "ok"),
		without("x", o.id),
		without("x", "account_id"),
		o.record("nobody", "x"),
		o.record("a", "x", object{"source": strings.Repeat(wideRune, 81)}),
		o.record("a", "x", object{"source": 5}),
		o.record("a", "x", object{o.order: "1"}),
		o.record("a", "x", object{o.order: 1.5}),
		o.record("a", strings.Repeat("x", 129)),
		o.record("a", "x", object{"account_id": true}),
		"x",
		o.record("a", "ok", object{"source": "later"}),
		object{"account_id": "a", o.id: "ok", "source": nil},
		object{"account_id": "a", o.id: "ok", "source": ""},
		object{"account_id": "a", o.id: "ok", o.order: nil},
		object{o.id: "ok", "source": "without account"},
	}
	failures := []string{
		`{"<only>": true, "record": 1, "status_is_ok": false, "code": "missing_field", "field": "` + o.id + `", "message": "<text>", "account_id": "a"}`,
		`{"<only>": true, "record": 2, "status_is_ok": false, "code": "missing_field", "field": "account_id", "message": "<text>", "` + o.id + `": "x"}`,
		`{"<only>": true, "record": 3, "status_is_ok": false, "code": "not_found", "field": "account_id", "message": "Account not found", "account_id": "nobody", "` + o.id + `": "x"}`,
		`{"<only>": true, "record": 4, "status_is_ok": false, "code": "too_long", "field": "source", "message": "<text>", "account_id": "a", "` + o.id + `": "x"}`,
		`{"<only>": true, "record": 5, "status_is_ok": false, "code": "wrong_type", "field": "source", "message": "'source' value must be a string", "account_id": "a", "` + o.id + `": "x"}`,
		`{"<only>": true, "record": 6, "status_is_ok": false, "code": "wrong_type", "field": "` + o.order + `", "message": "'` + o.order + `' value must be a number", "account_id": "a", "` + o.id + `": "x"}`,
		`{"<only>": true, "record": 7, "status_is_ok": false, "code": "wrong_type", "field": "` + o.order + `", "message": "<text>", "account_id": "a", "` + o.id + `": "x"}`,
		`{"<only>": true, "record": 8, "status_is_ok": false, "code": "too_long", "field": "` + o.id + `", "message": "<text>", "account_id": "a"}`,
		`{"<only>": true, "record": 9, "status_is_ok": false, "code": "wrong_type", "field": "account_id", "message": "<text>", "` + o.id + `": "x"}`,
		`{"<only>": true, "record": 10, "status_is_ok": false, "code": "wrong_type", "message": "<text>"}`,
		`{"<only>": true, "record": 14, "status_is_ok": false, "code": "missing_field", "field": "` + o.order + `", "message": "<text>", "account_id": "a", "` + o.id + `": "ok"}`,
		`{"<only>": true, "record": 15, "status_is_ok": false, "code": "missing_field", "field": "account_id", "message": "<text>", "` + o.id + `": "ok"}`,
	}
	n := len(records)
	for _, field := range o.required {
		records = append(records, without("y", field), o.record("a", "y", object{field: nil}))
		for range 2 {
			failures = append(failures, fmt.Sprintf(`{"record": %d, "code": "missing_field", "field": %q, "message": "Missing required field for insert: '%s'", %q: "y"}`, n, field, field, o.id))
			n++
		}
		if slices.Contains(o.texts, field) {
			records = append(records, o.record("a", "y", object{field: ""}))
			failures = append(failures, fmt.Sprintf(`{"record": %d, "code": "missing_field", "field": %q}`, n, field))
			n++
		}
	}
	want := fmt.Sprintf(`{"status_is_ok": true, "message": "<absent>", "inserted": 1, "changed": 2, "unchanged": 1, "failed": %d, "failed_results": [%s]}`,
		len(failures), strings.Join(failures, ","))
	for _, dryRun := range []bool{true, false} {
		c.post(o.path, body(object{"dry_run": dryRun}, records...)).want(want)
	}
	c.play(
		step{"what was applied", "GET " + o.list("a"), "", o.shows("ok")},
		step{"in its order", "GET " + o.path + "/ok", "", results(`{"source": null}`)},
		step{"again", "POST " + o.path, body(nil, o.record("a", "ok")), `{"inserted": 0, "changed": 0, "unchanged": 1}`},
		step{"nothing but the ids", "POST " + o.path, body(nil, object{"account_id": "a", o.id: "ok"}), `{"unchanged": 1}`},
		step{"one field", "POST " + o.path, body(nil, object{"account_id": "a", o.id: "ok", "source": "s"}), `{"changed": 1}`},
		step{"of many", "GET " + o.path + "/ok", "", results(toJSON(with(o.record("a", "ok"), object{"source": "s"})))},
		step{"no records", "POST " + o.path, `{"records": []}`, `{"status_is_ok": true, "inserted": 0, "failed_results": []}`},
		step{"records missing", "POST " + o.path, `{"data": {}}`, `{"status_is_ok": false, "code": "missing_field", "field": "records", "failed_results": []}`},
		step{"records that are no array", "POST " + o.path, `{"records": {}}`, `{"status_is_ok": false, "code": "wrong_type", "field": "records", "failed_results": []}`},
		step{"no JSON", "POST " + o.path, `{"records": [}`, `{"status_is_ok": false, "code": "malformed", "failed_results": []}`},
		step{"only failures", "POST " + o.path, body(nil, without("y", o.order)), `{"status_is_ok": false, "message": "<text>", "failed": 1}`},
		step{"unknown fields", "POST " + o.path, body(object{"reject_unknown_fields": true}, o.record("a", "y", object{"colour": "red"}), o.record("a", "z")),
			`{"status_is_ok": true, "inserted": 1, "failed_results": [{"record": 0, "code": "unknown_field", "field": "colour", "message": "'colour' is not a known field"}]}`},
		step{"ignored", "POST " + o.path, body(nil, o.record("a", "z", object{"colour": "red"})), `{"unchanged": 1}`},
	)
}

// testMissingAccounts shows both ways to treat them (P7).
func (o owned) testMissingAccounts(c *client) {
	c.upload("/accounts", account("a"), account("gone"))
	c.delete("/accounts/gone")
	mixed := []any{o.record("a", "1"), o.record("nobody", "2"), object{"account_id": "a", o.id: "3"}, o.record("A", "4"), o.record("gone", "5")}
	missing := `{"record": %d, "message": "Account not found", "code": "not_found", "field": "account_id", "account_id": %q, "` + o.id + `": %q, "status_is_ok": false}`
	two, four := fmt.Sprintf(missing, 1, "nobody", "2"), fmt.Sprintf(missing, 3, "A", "4")
	c.play(
		step{"not ignored: nothing is applied", "POST " + o.path, body(object{"ignore_missing_accounts": false}, mixed...),
			`{"status_is_ok": false, "message": "Account not found", "code": "not_found", "inserted": 0, "failed_results": [` + two + "," + four + `]}`},
		step{"nothing was", "GET " + o.list("a"), "", `{"results": []}`},
		step{"ignored by default", "POST " + o.path, body(nil, mixed...),
			`{"status_is_ok": true, "inserted": 2, "failed": 3, "failed_results": [` + two + `, {"record": 2, "code": "missing_field"}, ` + four + `]}`},
		step{"nothing but missing ones", "POST " + o.path, body(nil, mixed[1]), `{"status_is_ok": true, "inserted": 0, "failed": 1}`},
		step{"missing ones and others", "POST " + o.path, body(nil, mixed[1], mixed[2]), `{"status_is_ok": false, "failed": 2}`},
		step{"none missing", "POST " + o.path, body(object{"ignore_missing_accounts": false}, o.record("a", "6"), mixed[2]), `{"status_is_ok": true, "inserted": 1, "failed": 1}`},
		step{"a known id of a missing account", "POST " + o.path, body(nil, o.record("nobody", "1", object{"source": "x"})), `{"status_is_ok": true, "changed": 0, "failed": 1}`},
		step{"a PUT to one", "PUT " + o.path + "/1", `{"data": {"account_id": "nobody", "source": "x"}}`, `{"status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id"}`},
		step{"left it", "GET " + o.path + "/1", "", results(`{"account_id": "a", "source": null}`)},
	)
}

// testModify shows PUT (P9, Q7, Q8, Q11, Q12).
func (o owned) testModify(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(o.path, o.record("a", "t", object{"source": "old"}), o.record("a", "u"))
	first := o.required[0]
	c.play(
		step{"data", "PUT " + o.path + "/t", `{"data": {"source": "1"}}`, `{"<only>": true, "status_is_ok": true}`},
		step{"applied", "GET " + o.path + "/t", "", results(toJSON(with(o.record("a", "t"), object{"source": "1"})))},
		step{"bare", "PUT " + o.path + "/t", `{"source": "2"}`, ""},
		step{"applied too", "GET " + o.path + "/t", "", results(`{"source": "2"}`)},
		step{"with both ids", "PUT " + o.path + "/t", fmt.Sprintf(`{"data": {%q: "t", "account_id": "a", "source": "3"}}`, o.id), ""},
		step{"and applied", "GET " + o.path + "/t", "", results(`{"source": "3"}`)},
		step{"another id", "PUT " + o.path + "/t", fmt.Sprintf(`{"data": {%q: "u", "source": "4"}}`, o.id), fmt.Sprintf(`{"status_is_ok": false, "code": "conflicting", "field": %q}`, o.id)},
		step{"unknown id", "PUT " + o.path + "/v", `{"data": {"source": "4"}}`, o.missing()},
		step{"unknown id, with everything", "PUT " + o.path + "/v", toJSON(object{"data": o.record("a", "v")}), o.missing()},
		step{"which makes none", "GET " + o.path + "/v", "", o.missing()},
		step{"a required field null", "PUT " + o.path + "/t", fmt.Sprintf(`{"data": {%q: null, "source": "4"}}`, first), fmt.Sprintf(`{"status_is_ok": false, "code": "missing_field", "field": %q}`, first)},
		step{"a wrong type", "PUT " + o.path + "/t", fmt.Sprintf(`{"data": {%q: "4", "source": "4"}}`, o.order), fmt.Sprintf(`{"status_is_ok": false, "code": "wrong_type", "field": %q, "message": "'%s' value must be a number"}`, o.order, o.order)},
		step{"an unknown field refused", "PUT " + o.path + "/t", `{"options": {"reject_unknown_fields": true}, "data": {"source": "4", "colour": "red"}}`, `{"status_is_ok": false, "code": "unknown_field", "field": "colour"}`},
		step{"data that is no object", "PUT " + o.path + "/t", `{"data": []}`, `{"status_is_ok": false, "code": "wrong_type", "field": "data"}`},
		step{"none of these applied", "GET " + o.path + "/t", "", results(toJSON(with(o.record("a", "t"), object{"source": "3"})))},
		step{"nothing", "PUT " + o.path + "/t", `{"data": {}}`, ""},
		step{"nothing at all", "PUT " + o.path + "/t", `{}`, ""},
		step{"an empty string", "PUT " + o.path + "/t", `{"data": {"source": ""}}`, ""},
		step{"clears", "GET " + o.path + "/t", "", results(toJSON(with(o.record("a", "t"), object{"source": nil})))},
		step{"dry", "PUT " + o.path + "/t", `{"options": {"dry_run": true}, "data": {"source": "5"}}`, `{"status_is_ok": true, "dry_run": true, "changed": 1, "unchanged": 0}`},
		step{"dry and the same", "PUT " + o.path + "/t", `{"options": {"dry_run": true}, "data": {"source": null}}`, `{"dry_run": true, "changed": 0, "unchanged": 1}`},
		step{"writes nothing", "GET " + o.path + "/t", "", results(`{"source": null}`)},
		step{"the other is as it was", "GET " + o.path + "/u", "", results(toJSON(o.record("a", "u")))},
	)
}

// testDelete shows that a record is gone at once, and may come again (T1, I1,
// Q12, Q25).
func (o owned) testDelete(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload(o.path, o.record("a", "t", object{"source": "old"}), o.record("a", "u"))
	c.play(
		step{"DELETE", "DELETE " + o.path + "/t", "", `{"<only>": true, "status_is_ok": true}`},
		step{"by id", "GET " + o.path + "/t", "", o.missing()},
		step{"of the account", "GET " + o.list("a"), "", o.shows("u")},
		step{"again", "DELETE " + o.path + "/t", "", o.missing()},
		step{"modified", "PUT " + o.path + "/t", `{"data": {"source": "x"}}`, o.missing()},
		step{"unknown", "DELETE " + o.path + "/v", "", o.missing()},
		step{"comes again, to another account", "POST " + o.path, body(nil, o.record("b", "t")), `{"inserted": 1}`},
		step{"with nothing of the old one", "GET " + o.path + "/t", "", results(toJSON(with(o.record("b", "t"), object{"source": nil})))},
		step{"listed there", "GET " + o.list("b"), "", o.shows("t")},
		step{"and there alone", "GET " + o.list("a"), "", o.shows("u")},
		step{"deleted with a slash at the end", "DELETE " + o.path + "/t/", "", ""},
		step{"and back to the first", "POST " + o.path, body(nil, o.record("a", "t"), o.record("a", "t", object{"source": "s"})), `{"inserted": 1, "changed": 1}`},
		step{"listed", "GET " + o.list("a") + "?direction=asc", "", o.shows("t", "u")},
		step{"not there", "GET " + o.list("b"), "", `{"results": []}`},
	)
}

// testIDs shows ids of any text, and from numbers (P1, P14).
func (o owned) testIDs(c *client) {
	c.upload("/accounts", account("12345"), account("a/b"))
	ids := []string{"a/b", "a%2Fb", "%", "%%41", "a b", "a+b", ".", "..", "ä", "a\u0308", "日本", "?page=1", "#", "&=;", "a\\b", "\"", "\x01", strings.Repeat("é", 80), strings.Repeat(wideRune, 80)}
	var records []any
	for _, id := range ids {
		records = append(records, o.record("a/b", id, object{"source": fmt.Sprint(len(id))}))
	}
	c.upload(o.path, records...).want(fmt.Sprintf(`{"inserted": %d}`, len(ids)))
	for _, id := range ids {
		c.get(o.one(id)).want(results(toJSON(object{o.id: id, "account_id": "a/b", "source": fmt.Sprint(len(id))})))
		c.put(o.one(id), `{"data": {"source": "put"}}`).want(`{"status_is_ok": true}`)
	}
	slices.Sort(ids)
	c.get(o.list("a/b") + "?order_by=id&direction=asc").want(o.shows(ids...))
	c.delete(o.one("a/b")).want(`{"status_is_ok": true}`)
	c.get(o.one("a%2Fb")).want(results(`{"source": "put"}`))
	for _, literal := range []string{"12345", "12345.0", "1e3", "-0"} {
		c.post(o.path, strings.Replace(body(nil, o.record("12345", "ID")), `"ID"`, literal, 1)).want(`{"inserted": 1}`)
		c.post(o.path, strings.Replace(body(nil, object{"account_id": "ACCOUNT", o.id: literal, "source": "s"}), `"ACCOUNT"`, "12345", 1)).want(`{"changed": 1}`)
		c.get(o.one(literal)).want(results(toJSON(object{o.id: literal, "account_id": "12345", "source": "s"})))
		c.put(o.one(literal), fmt.Sprintf(`{"data": {%q: %s, "source": "n"}}`, o.id, literal)).want(`{"status_is_ok": true}`)
	}
	c.get(o.one("1000")).want(o.missing())
	c.get(o.list("12345") + "?order_by=id&direction=asc").want(o.shows("-0", "12345", "12345.0", "1e3"))
}

// testDryRun shows that a dry run answers as the real run does, and writes
// nothing (P18).
func (o owned) testDryRun(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload(o.path, o.record("a", "old"), o.record("a", "same"))
	records := []any{
		o.record("a", "new"), o.record("a", "old", object{"source": "s"}), o.record("a", "same"), o.record("nobody", "x"), object{"account_id": "a", o.id: "y"},
		o.record("b", "twice"), o.record("b", "twice", object{"source": "s"}), o.record("b", "twice", object{"source": "s"}),
	}
	for _, options := range []object{{"ignore_missing_accounts": false}, nil} {
		before := c.state()
		said := c.post(o.path, body(with(object{"dry_run": true}, options), records...)).want(`{"dry_run": true}`)
		if after := c.state(); after != before {
			c.Errorf("the dry run changed something: before\n%s\nafter\n%s", before, after)
		}
		real := c.post(o.path, body(options, records...)).want(`{"dry_run": "<absent>"}`)
		delete(said.body.(object), "dry_run")
		if said.text() != real.text() {
			c.Errorf("the dry run said\n%s\nthe real run\n%s", said.text(), real.text())
		}
	}
	c.get(o.list("a") + "?order_by=id").want(o.shows("same", "old", "new"))
	c.get(o.list("b")).want(o.shows("twice"))
}

// testOrders shows the list of an account in the order of any scalar field,
// derived ones too (Q27): unset values first when ascending, equal ones by id.
func (o owned) testOrders(c *client) {
	c.upload("/accounts", account("a"), account("other"))
	r := rand.New(rand.NewPCG(21, 22))
	var records []any
	for _, i := range r.Perm(24) {
		records = append(records, o.record("a", fmt.Sprint(i), o.some(r)))
	}
	c.upload(o.path, append(records, o.record("other", "x", o.some(r)))...)
	listed := c.get(o.list("a")).results()
	ordered := func(by string, descending bool) string {
		sorted := slices.SortedFunc(slices.Values(listed), func(a, b object) int {
			if descending {
				a, b = b, a
			}
			return cmp.Or(compareValues(a[by], b[by]), compareValues(a[o.id], b[o.id]))
		})
		return toJSON(sorted)
	}
	check := func(query, by string, descending bool, echo string) {
		c.Helper()
		a := c.get(o.list("a") + query).want(echo)
		if got, want := toJSON(a.member("results")), ordered(by, descending); got != want {
			c.Errorf("%s: in the order\n%s\nwant\n%s", a.what, got, want)
		}
	}
	check("", o.order, true, `{"order_by": "<absent>", "direction": "<absent>"}`)
	check("?direction=ASC", o.order, false, `{"order_by": "<absent>", "direction": "asc"}`)
	check("?order_by=id", o.id, true, `{"order_by": "id"}`)
	tried := 0
	for by, value := range listed[0] {
		if _, isList := value.([]any); isList {
			c.get(o.list("a")+"?order_by="+by).fails("not_a_choice", "order_by")
			continue
		}
		tried++
		check("?order_by="+by, by, true, fmt.Sprintf(`{"order_by": %q, "direction": "<absent>", "current_page": 0}`, by))
		check("?order_by="+by+"&direction=asc", by, false, fmt.Sprintf(`{"order_by": %q, "direction": "asc"}`, by))
	}
	if tried < 8 {
		c.Errorf("only %d fields to order by: %s", tried, toJSON(listed[0]))
	}
	for _, unknown := range []string{"colour", "name", strings.ToUpper(o.id)} {
		a := c.get(o.list("a")+"?order_by="+unknown).fails("not_a_choice", "order_by").want(`{"results": []}`)
		if message, _ := a.member("message").(string); !strings.Contains(message, o.order) {
			c.Errorf("the message does not name the choices: %q", message)
		}
	}
	c.get(o.list("a")+"?direction=up").fails("not_a_choice", "direction")
}

// compareValues orders values of one field: null first, false before true,
// numbers as such, text by code points.
func compareValues(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	switch a := a.(type) {
	case bool:
		return cmp.Compare(btoi(a), btoi(b.(bool)))
	case json.Number:
		x, _ := new(big.Rat).SetString(string(a))
		y, _ := new(big.Rat).SetString(string(b.(json.Number)))
		return x.Cmp(y)
	}
	return strings.Compare(a.(string), b.(string))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// testPages reads the list of an account with more than two pages (P12).
func (o owned) testPages(c *client) {
	c.upload("/accounts", account("big"), account("other"))
	const n = 2300
	r := rand.New(rand.NewPCG(23, 24))
	var things []thing
	var records []any
	for _, i := range r.Perm(n) {
		id, at, source := fmt.Sprintf("%04d", i), r.IntN(n/3), fmt.Sprintf("%03d", r.IntN(500))
		things = append(things, thing{id: id, active: true, orders: map[string]string{
			"id": id, o.order: fmt.Sprintf("%04d %s", at, id), "source": source + " " + id,
		}})
		records = append(records, o.record("big", id, object{o.order: at, "source": source}))
	}
	c.upload(o.path, append(records, o.record("other", "other"))...).want(fmt.Sprintf(`{"inserted": %d}`, n+1))
	idOf := func(r object) string { return fmt.Sprint(r[o.id]) }
	c.pagesAre(o.list("big"), o.order, true, false, things, idOf)
	c.pagesAre(o.list("big"), "id", false, false, things, idOf)
	c.pageIs(o.list("big")+"?order_by=source", 2, c.sorted("source", true, true, things), idOf)
	c.pageIs(o.list("big")+"?x=y", 1, c.sorted(o.order, true, true, things), idOf)
	c.delete(o.one(things[0].id))
	c.pageIs(o.list("big")+"?order_by=id", 2, c.sorted("id", true, true, things[1:]), idOf)
}

// testRaces shows that changes of one record at the same time are all there in
// the end, and that of deletions one alone finds it (P16).
func (o owned) testRaces(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(o.path, o.record("a", "t"))
	values := o.some(rand.New(rand.NewPCG(25, 26)))
	var group sync.WaitGroup
	for field, value := range values {
		if value == nil {
			continue
		}
		group.Go(func() {
			c.put(o.path+"/t", toJSON(object{"data": object{field: value}})).want(`{"status_is_ok": true}`)
		})
	}
	group.Wait()
	want := object{}
	for field, value := range values {
		if value != nil {
			want[field] = value
		}
	}
	if id, given := want["assignee_id"]; given {
		want["assignee_id"] = fmt.Sprint(id)
	}
	c.get(o.path + "/t").want(results(toJSON(want)))
	var deleted [4]bool
	for i := range deleted {
		group.Go(func() { deleted[i] = c.delete(o.path+"/t").member("status_is_ok") == true })
	}
	group.Wait()
	n := 0
	for _, did := range deleted {
		n += btoi(did)
	}
	if n != 1 {
		c.Errorf("%d of %d deletions at the same time found the record, want 1", n, len(deleted))
	}
	c.get(o.path + "/t").want(o.missing())
}

// testTicketExample plays the requests of the API document.
func testTicketExample(c *client) {
	c.upload("/accounts", account("account_1"))
	const closed = `{"ticket_id": "21623876183", "account_id": "account_1", "assignee_id": "45493", "assignee_email": "Orelia.Langosh@dnb.com", "type": "problem", "state": "closed",
		"priority": "normal", "create_time": 1410055451006, "close_time": 1411351451006, "subject": "Beatae blanditiis", "description": "Et et provident beatae blanditiis quae recusandae rerum."}`
	const open = `{"ticket_id": "21623876121", "account_id": "account_1", "assignee_id": "45493", "assignee_email": "Orelia.Langosh@dnb.com", "type": "problem", "state": "open",
		"priority": "normal", "create_time": 1410055451006, "close_time": null, "subject": "Aspernatur saepe reiciendis", "description": "Deserunt non nisi at commodi."}`
	c.play(
		step{"one of three fails", "POST /support_tickets", `{"records": [` + closed + `, ` + open + `, {"ticket_id": "3", "account_id": "account_1", "state": "open", "subject": "s", "create_time": "x"}]}`,
			`{"status_is_ok": true, "inserted": 2, "failed_results": [{"record": 2, "status_is_ok": false, "field": "create_time", "ticket_id": "3", "account_id": "account_1"}]}`},
		step{"read", "GET /support_tickets/21623876121", "", results(open)},
		step{"of the account, by id where they are equal", "GET /accounts/account_1/support_tickets", "", results(closed + ", " + open)},
		step{"PUT", "PUT /support_tickets/21623876183", `{"data": ` + closed + `}`, ""},
		step{"PUT of the open one over another", "PUT /support_tickets/21623876183", `{"data": ` + open + `}`, `{"status_is_ok": false, "code": "conflicting", "field": "ticket_id"}`},
		step{"closed", "PUT /support_tickets/21623876121", `{"data": {"state": "closed", "close_time": 1411351451007, "csat_label": "satisfied", "csat_value": 9007199254740993, "last_update_time": 1}}`, ""},
		step{"all of it", "GET /support_tickets/21623876121", "", results(`{"state": "closed", "close_time": 1411351451007, "csat_label": "satisfied", "csat_value": 9007199254740993, "last_update_time": 1, "priority": "normal"}`)},
	)
}

// testTicketMoved shows that a ticket moves to the account it is given (Q16).
func testTicketMoved(c *client) {
	c.upload("/accounts", account("a"), account("b"), account("c"))
	c.upload("/support_tickets", ticket("a", "t", object{"type": "task"}), ticket("a", "stays"))
	c.play(
		step{"by POST", "POST /support_tickets", body(nil, object{"account_id": "b", "ticket_id": "t"}), `{"changed": 1}`},
		step{"with all it has", "GET /support_tickets/t", "", results(`{"account_id": "b", "type": "task", "subject": "Subject"}`)},
		step{"away", "GET /accounts/a/support_tickets", "", tickets.shows("stays")},
		step{"there", "GET /accounts/b/support_tickets", "", tickets.shows("t")},
		step{"by PUT", "PUT /support_tickets/t", `{"data": {"account_id": "c", "type": "question"}}`, ""},
		step{"away again", "GET /accounts/b/support_tickets", "", `{"results": []}`},
		step{"there with the change", "GET /accounts/c/support_tickets", "", results(`{"ticket_id": "t", "type": "question"}`)},
		step{"to nobody", "PUT /support_tickets/t", `{"data": {"account_id": "nobody"}}`, `{"status_is_ok": false, "message": "Account not found"}`},
		step{"to and fro in one POST", "POST /support_tickets", body(nil, ticket("a", "t"), ticket("b", "t", object{"type": "x"}), ticket("a", "t")), `{"changed": 3}`},
		step{"is where it was last", "GET /accounts/a/support_tickets?direction=asc&order_by=id", "", results(`{"ticket_id": "stays"}, {"ticket_id": "t", "type": "x"}`)},
		step{"and not there", "GET /accounts/b/support_tickets", "", `{"results": []}`},
		step{"nor there", "GET /accounts/c/support_tickets", "", `{"results": []}`},
		step{"dry", "PUT /support_tickets/t", `{"options": {"dry_run": true}, "data": {"account_id": "c"}}`, `{"dry_run": true, "changed": 1}`},
		step{"moves nothing", "GET /accounts/c/support_tickets", "", `{"results": []}`},
	)
}
