package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

var uploadTests = []test{
	// The longest come first, so that none is left to run alone at the end.
	{"largest record", testLargestRecord},
	{"large records", testLargeRecords},
	{"result", testUploadResult},
	{"when an upload is false", testUploadTruth},
	{"missing accounts", testMissingAccounts},
	{"same key twice", testSameKeyTwice},
	{"counts", testCounts},
	{"unknown fields", testUnknownFields},
	{"ids from numbers", testIDsFromNumbers},
	{"dry run", testDryRun},
	{"dry run of a modification", testDryRunOfModification},
	{"races", testRaces},
	{"many records", testManyRecords},
}

// account returns a record that is enough to insert an account.
func account(id string, more ...object) object {
	return with(object{"account_id": id, "name": "Name of " + id, "join_date": 1000}, more...)
}

// person returns a record that is enough to insert a user or a contact.
func person(account, id string, more ...object) object {
	return with(object{"account_id": account, "user_id": id, "first_name": "First", "last_name": "Last"}, more...)
}

func with(record object, more ...object) object {
	for _, m := range more {
		maps.Copy(record, m)
	}
	return record
}

// body returns the body of an upload.
func body(options object, records ...any) string {
	if records == nil {
		records = []any{}
	}
	b := object{"records": records}
	if options != nil {
		b["options"] = options
	}
	return toJSON(b)
}

var families = []string{"/accounts", "/account_users", "/account_contacts"}

// testUploadResult shows the answer of POST (P5).
func testUploadResult(c *client) {
	c.upload("/accounts", account("acme"))
	c.sub("accounts", func(c *client) {
		c.post("/accounts", body(nil,
			account("ok 1", object{"crm_account_id": "crm"}),
			account("too long", object{"phone": strings.Repeat("1", 81)}),
			account("wrong type", object{"employees": "many", "crm_account_id": "crm-7", "billing_account_id": 8.5}),
			object{"account_id": 17},
			object{"name": "nobody", "parent_account_id": "p"},
			account("range", object{"csm_score": 101}),
			account("ok 2"),
			account(strings.Repeat("x", 257), object{"support_account_id": "s"}),
			account("both", object{"stage": "s", "stage_history": []any{}}),
			account("nested", object{"documents": []any{object{"url": "u"}}}),
		)).want(`{
			"status_is_ok": true, "inserted": 2, "changed": 0, "unchanged": 0, "failed": 8,
			"message": "<absent>", "code": "<absent>", "field": "<absent>", "dry_run": "<absent>",
			"failed_results": [
				{"<only>": true, "record": 1, "status_is_ok": false, "message": "<text>", "code": "too_long", "field": "phone", "account_id": "too long"},
				{"<only>": true, "record": 2, "status_is_ok": false, "message": "'employees' value must be a number", "code": "wrong_type", "field": "employees",
					"account_id": "wrong type", "crm_account_id": "crm-7", "billing_account_id": "8.5"},
				{"<only>": true, "record": 3, "status_is_ok": false, "message": "Missing required field for insert: 'name'", "code": "missing_field", "field": "name", "account_id": "17"},
				{"<only>": true, "record": 4, "status_is_ok": false, "message": "<text>", "code": "missing_field", "field": "account_id", "parent_account_id": "p"},
				{"<only>": true, "record": 5, "status_is_ok": false, "message": "<text>", "code": "out_of_range", "field": "csm_score", "account_id": "range"},
				{"<only>": true, "record": 7, "status_is_ok": false, "message": "<text>", "code": "too_long", "field": "account_id", "support_account_id": "s"},
				{"<only>": true, "record": 8, "status_is_ok": false, "message": "<text>", "code": "conflicting", "field": "stage", "account_id": "both"},
				{"<only>": true, "record": 9, "status_is_ok": false, "message": "<text>", "code": "missing_field", "field": "documents.name", "account_id": "nested"}
			]}`)
		c.get("/accounts?order_by=account_id&direction=asc").want(`{"results": [{"account_id": "acme"}, {"account_id": "ok 1"}, {"account_id": "ok 2"}]}`)
	})
	for _, family := range families[1:] {
		c.sub(family[1:], func(c *client) {
			c.post(family, body(nil,
				person("acme", "1", object{"is_primary": "yes"}),
				person("nobody", "2", object{"email": "x@example.com"}),
				person("acme", "3"),
				object{"account_id": "acme", "user_id": "4", "last_name": "B"},
				object{"user_id": "5", "first_name": "A", "last_name": "B"},
				object{"account_id": "acme", "first_name": "A", "last_name": "B"},
			)).want(`{
				"status_is_ok": true, "inserted": 1, "failed": 5, "failed_results": [
					{"<only>": true, "record": 0, "status_is_ok": false, "message": "'is_primary' must be boolean", "code": "wrong_type", "field": "is_primary", "account_id": "acme", "user_id": "1"},
					{"<only>": true, "record": 1, "status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id", "account_id": "nobody", "user_id": "2"},
					{"<only>": true, "record": 3, "status_is_ok": false, "message": "Missing required field for insert: 'first_name'", "code": "missing_field", "field": "first_name", "account_id": "acme", "user_id": "4"},
					{"<only>": true, "record": 4, "status_is_ok": false, "message": "<text>", "code": "missing_field", "field": "account_id", "user_id": "5"},
					{"<only>": true, "record": 5, "status_is_ok": false, "message": "<text>", "code": "missing_field", "field": "user_id", "account_id": "acme"}
				]}`)
			c.get(family).want(`{"results": [{"user_id": "3"}]}`)
		})
	}
}

// testUploadTruth shows when status_is_ok is true (P6).
func testUploadTruth(c *client) {
	c.upload("/accounts", account("acme"))
	invalid := object{"account_id": "acme", "user_id": "bad"}
	missing := person("nobody", "u")
	for _, family := range families[1:] {
		c.upload(family, person("acme", "known"))
		unchanged := person("acme", "known")
		for i, x := range []struct {
			name    string
			records []any
			ok      bool
			failed  int
		}{
			{"nothing", nil, true, 0},
			{"applied", []any{person("acme", "n1")}, true, 0},
			{"unchanged", []any{unchanged}, true, 0},
			{"applied and invalid", []any{invalid, person("acme", "n2")}, true, 1},
			{"unchanged and invalid", []any{unchanged, invalid}, true, 1},
			{"applied and missing", []any{person("acme", "n3"), missing}, true, 1},
			{"applied, missing and invalid", []any{missing, person("acme", "n4"), invalid}, true, 2},
			{"invalid", []any{invalid}, false, 1},
			{"missing", []any{missing, missing}, true, 2},
			{"missing and invalid", []any{missing, invalid}, false, 2},
			{"invalid and missing", []any{invalid, missing, missing}, false, 3},
		} {
			c.sub(fmt.Sprintf("%s %d %s", family[1:], i, x.name), func(c *client) {
				for _, dryRun := range []bool{true, false} {
					a := c.post(family, body(object{"dry_run": dryRun}, x.records...))
					message := "<absent>"
					if !x.ok {
						message = "<text>"
					}
					a.want(fmt.Sprintf(`{"status_is_ok": %t, "failed": %d, "message": %q}`, x.ok, x.failed, message))
					if list, _ := a.member("failed_results").([]any); len(list) != x.failed {
						c.Errorf("%d failed_results, want %d", len(list), x.failed)
					}
				}
			})
		}
	}
}

// testMissingAccounts shows both ways to treat them (P7).
func testMissingAccounts(c *client) {
	c.upload("/accounts", account("acme"), account("gone"))
	c.delete("/accounts/gone")
	for _, family := range families[1:] {
		mixed := []any{
			person("acme", "1"), person("nobody", "2"), object{"account_id": "acme", "user_id": "3"}, person("nobody", "4"),
			person("gone", "5"), person("Acme", "6"),
		}
		missing := `{"record": %d, "message": "Account not found", "code": "not_found", "account_id": %q, "user_id": %q, "status_is_ok": false}`
		three := fmt.Sprintf(missing+","+missing, 1, "nobody", "2", 3, "nobody", "4")
		last := fmt.Sprintf(missing, 5, "Acme", "6")
		c.play(
			step{family + " not ignored: nothing is applied", "POST " + family, body(object{"ignore_missing_accounts": false}, mixed...),
				`{"status_is_ok": false, "message": "Account not found", "code": "not_found", "inserted": 0, "changed": 0, "unchanged": 0, "failed_results": [` + three + "," + last + `]}`},
			step{family + " nothing was", "GET " + family, "", `{"results": []}`},
			step{family + " not ignored in a dry run", "POST " + family, body(object{"ignore_missing_accounts": false, "dry_run": true}, mixed...),
				`{"status_is_ok": false, "dry_run": true, "inserted": 0, "failed_results": [` + three + "," + last + `]}`},
			step{family + " ignored by default", "POST " + family, body(nil, mixed...),
				`{"status_is_ok": true, "inserted": 2, "failed": 4, "failed_results": [` +
					fmt.Sprintf(missing, 1, "nobody", "2") + `, {"record": 2, "code": "missing_field"},` + fmt.Sprintf(missing, 3, "nobody", "4") + "," + last + `]}`},
			step{family + " ignored expressly", "POST " + family, body(object{"ignore_missing_accounts": true}, mixed...), `{"status_is_ok": true, "unchanged": 2, "failed": 4}`},
			step{family + " not ignored, none missing", "POST " + family, body(object{"ignore_missing_accounts": false}, person("acme", "7"), object{"account_id": "acme", "user_id": "8"}),
				`{"status_is_ok": true, "inserted": 1, "failed": 1}`},
			step{family + " data of an inactive account is accepted", "GET " + family + "/5", "", `{"results": [{"account_id": "gone"}]}`},
			step{family + " PUT to a missing account", "PUT " + family + "/1", `{"data": {"account_id": "nobody", "phone": "1"}}`, `{"status_is_ok": false, "message": "Account not found"}`},
			step{family + " what was applied", "GET " + family + "?direction=asc", "", `{"results": [{"user_id": "1"}, {"user_id": "5"}, {"user_id": "7"}]}`},
		)
	}
	c.play(
		step{"for accounts there is none to miss", "POST /accounts", body(object{"ignore_missing_accounts": false}, account("new")), `{"inserted": 1}`},
	)
}

// testSameKeyTwice shows that records of one key apply in their order (P8),
// each with its own outcome.
func testSameKeyTwice(c *client) {
	c.play(
		step{"inserted, changed, unchanged", "POST /accounts", body(nil,
			account("a", object{"phone": "1", "tier": "x"}), account("b"), account("a", object{"phone": "2"}), object{"account_id": "a", "tier": "x"}),
			`{"inserted": 2, "changed": 1, "unchanged": 1, "failed": 0}`},
		step{"merged in order", "GET /accounts/a", "", `{"results": [{"phone": "2", "tier": "x"}]}`},
		step{"one that fails between", "POST /accounts", body(nil,
			object{"account_id": "c", "phone": "1"}, account("c", object{"phone": "2"}), object{"account_id": "c", "name": ""}, object{"account_id": "c", "tier": "t"},
			object{"account_id": "c", "employees": "x"}),
			`{"status_is_ok": true, "inserted": 1, "changed": 1, "failed": 3, "failed_results": [
				{"record": 0, "code": "missing_field", "field": "name"}, {"record": 2, "code": "missing_field", "field": "name"}, {"record": 4, "code": "wrong_type"}]}`},
		step{"the others count", "GET /accounts/c", "", `{"results": [{"name": "Name of c", "phone": "2", "tier": "t"}]}`},
		step{"changed and changed back", "POST /accounts", body(nil, object{"account_id": "a", "phone": "9"}, object{"account_id": "a", "phone": "2"}),
			`{"inserted": 0, "changed": 2, "unchanged": 0}`},
		step{"back", "GET /accounts/a", "", `{"results": [{"phone": "2"}]}`},
		step{"an id as text and as a number", "POST /accounts", body(nil, account("5"), object{"account_id": 5, "phone": "5"}), `{"inserted": 1, "changed": 1}`},
		step{"with scores", "POST /accounts", body(nil,
			object{"account_id": "a", "nps_history": []any{object{"nps_score": 10, "date": 1}}},
			object{"account_id": "a", "nps_history": []any{object{"nps_score": 20, "date": 1}, object{"nps_score": 30, "date": 2}}},
			object{"account_id": "a", "nps_history": []any{object{"nps_score": 30, "date": 2}}, "phone": "3"},
			object{"account_id": "a", "nps_history": []any{object{"nps_score": 101, "date": 3}}},
			object{"account_id": "a", "nps_history": nil},
			object{"account_id": "a", "nps_history": []any{object{"nps_score": 40, "date": 4}}},
		), `{"changed": 5, "unchanged": 0, "failed": 1, "failed_results": [{"record": 3, "field": "nps_history.nps_score"}]}`},
		step{"scores merged in order", "GET /accounts/a", "", `{"results": [{"phone": "3", "current_nps_score": 40, "nps_history": [{"date": 4, "nps_score": 40}]}]}`},
		step{"one id in two accounts is not the same key", "POST /account_users", body(nil, person("a", "u"), person("b", "u"), person("a", "u", object{"phone": "1"})),
			`{"inserted": 2, "changed": 1}`},
		step{"in one", "GET /account_users/u/a", "", `{"results": [{"phone": "1"}]}`},
		step{"in the other", "GET /account_users/u/b", "", `{"results": [{"phone": null}]}`},
	)
}

// testCounts shows that records already as they should be count as unchanged (P18).
func testCounts(c *client) {
	full := account("acme", object{
		"employees": 5, "is_deleted": false, "sales_rep_email": "", "website": nil, "assigned_csms": []any{object{"email": "a@example.com"}},
		"custom_label_dimensions": []any{object{"key": "k", "value": "v"}, object{"key": "n", "value": nil}},
		"custom_value_dimensions": []any{object{"key": "k", "value": 0.5}},
		"documents":               []any{object{"name": "d", "url": "u"}},
		"stage_history":           []any{object{"name": "s", "start_date": 5}},
		"nps_history":             []any{object{"nps_score": 7, "date": 6}},
	})
	c.play(
		step{"first", "POST /accounts", body(nil, full), `{"inserted": 1, "changed": 0, "unchanged": 0, "failed": 0}`},
		step{"again", "POST /accounts", body(nil, full), `{"inserted": 0, "changed": 0, "unchanged": 1, "failed": 0}`},
		step{"the same in other words", "POST /accounts", `{"records": [{"account_id": "\u0061cme", "employees": 0.5e1, "join_date": 1000.0, "is_churned": null,
			"custom_value_dimensions": [{"key": "k", "value": 5e-1}], "custom_label_dimensions": [{"key": "n"}]}]}`, `{"unchanged": 1}`},
		step{"nothing but the id", "POST /accounts", body(nil, object{"account_id": "acme"}), `{"unchanged": 1}`},
		step{"one field", "POST /accounts", body(nil, object{"account_id": "acme", "employees": 6}), `{"changed": 1}`},
		step{"one score", "POST /accounts", body(nil, object{"account_id": "acme", "nps_history": []any{object{"nps_score": 8, "date": 6}}}), `{"changed": 1}`},
		step{"one comment", "POST /accounts", body(nil, object{"account_id": "acme", "nps_history": []any{object{"nps_score": 8, "date": 6, "comments": "c"}}}), `{"changed": 1}`},
		step{"users", "POST /account_users", body(nil, person("acme", "u"), person("acme", "v")), `{"inserted": 2}`},
		step{"users again", "POST /account_users", body(nil, person("acme", "u"), person("acme", "v", object{"is_active": false}), person("acme", "w")),
			`{"inserted": 1, "changed": 1, "unchanged": 1}`},
	)
}

// testUnknownFields shows that they are ignored, or refused when asked to (P15, Q11).
func testUnknownFields(c *client) {
	strict := object{"reject_unknown_fields": true}
	c.play(
		step{"ignored", "POST /accounts", body(nil, account("a", object{"colour": "red", "is_active": false, "current_mrr": "x", "current_stage": 5, "current_health_score": []any{}, "Phone": "1",
			"documents": []any{object{"name": "d", "url": "u", "size": 5}}})), `{"inserted": 1}`},
		step{"really ignored", "GET /accounts/a", "", `{"results": [{"colour": "<absent>", "is_active": true, "current_mrr": null, "current_stage": null, "current_health_score": null, "phone": null,
			"documents": [{"<only>": true, "name": "d", "url": "u", "description": null}]}]}`},
		step{"refused", "POST /accounts", body(strict,
			account("b", object{"colour": "red"}), account("c"), account("d", object{"documents": []any{object{"name": "d", "url": "u", "size": 5}}}),
			account("e", object{"is_active": true}), account("f", object{"current_stage": "s"}), account("g", object{"Name": "g"})),
			`{"status_is_ok": true, "inserted": 1, "failed_results": [
				{"record": 0, "code": "unknown_field", "field": "colour", "account_id": "b"}, {"record": 2, "code": "unknown_field", "field": "documents.size"},
				{"record": 3, "code": "read_only", "field": "is_active"}, {"record": 4, "code": "read_only", "field": "current_stage"}, {"record": 5, "code": "unknown_field", "field": "Name"}]}`},
		step{"the message names it", "POST /accounts", body(strict, account("b", object{"colour": "red"})), `{"failed_results": [{"message": "'colour' is not a known field"}]}`},
		step{"refused in a PUT", "PUT /accounts/a", `{"options": {"reject_unknown_fields": true}, "data": {"phone": "1", "colour": "red"}}`, `{"status_is_ok": false, "code": "unknown_field", "field": "colour"}`},
		step{"nested in a PUT", "PUT /accounts/a", `{"options": {"reject_unknown_fields": true}, "data": {"nps_history": [{"date": 1, "nps_score": 1, "x": 1}]}}`, `{"status_is_ok": false, "field": "nps_history.x"}`},
		step{"ignored in a PUT", "PUT /accounts/a", `{"data": {"tier": "t", "colour": "red", "current_mrr": 5}}`, ""},
		step{"so it stands", "GET /accounts/a", "", `{"results": [{"tier": "t", "phone": null, "current_mrr": null}]}`},
		step{"users", "POST /account_users", body(strict, person("a", "u", object{"contact_user_id": "c"}), person("a", "v", object{"dimensions": []any{}})),
			`{"inserted": 1, "failed_results": [{"record": 1, "field": "dimensions"}]}`},
		step{"contacts have no such field", "POST /account_contacts", body(strict, person("a", "u", object{"contact_user_id": "c"})), `{"status_is_ok": false, "failed_results": [{"field": "contact_user_id"}]}`},
		step{"both names of the country are known", "POST /account_contacts", body(strict, person("a", "u", object{"maling_country": "c"}), person("a", "v", object{"mailing_country": "c"})), `{"inserted": 2}`},
	)
}

// testIDsFromNumbers shows that an id given as a number is its literal text,
// and nothing else (P14).
func testIDsFromNumbers(c *client) {
	literals := []string{"12345", "12345.0", "1e3", "1E3", "1000", "-5", "0", "-0", "0.10", "12345678901234567890123456789", "1e400"}
	var records []string
	for _, literal := range literals {
		records = append(records, fmt.Sprintf(`{"account_id": %s, "name": "%s", "join_date": 1, "crm_account_id": %s, "parent_account_id": %s}`, literal, literal, literal, literal))
	}
	c.post("/accounts", `{"records": [`+strings.Join(records, ",")+`]}`).want(fmt.Sprintf(`{"inserted": %d}`, len(literals)))
	for _, literal := range literals {
		c.get("/accounts/" + segment(literal)).want(fmt.Sprintf(`{"results": [{"account_id": %q, "name": %q, "crm_account_id": %q, "parent_account_id": %q}]}`, literal, literal, literal, literal))
	}
	c.play(
		step{"spaces around are not part of it", "POST /accounts", `{"records": [{"account_id":   12345   , "phone": "1"}]}`, `{"changed": 1}`},
		step{"a number and the same text are one", "PUT /accounts/12345", `{"data": {"account_id": 12345, "phone": "2"}}`, ""},
		step{"another literal is another id", "PUT /accounts/12345", `{"data": {"account_id": 12345.0}}`, `{"status_is_ok": false, "field": "account_id"}`},
		step{"users", "POST /account_users", `{"records": [{"account_id": 12345, "user_id": 7.50, "first_name": "A", "last_name": "B", "contact_user_id": 1e2}]}`, `{"inserted": 1}`},
		step{"read it", "GET /account_users/7.50/12345", "", `{"results": [{"user_id": "7.50", "account_id": "12345", "contact_user_id": "1e2"}]}`},
		step{"and no other", "GET /account_users/7.5", "", `{"status_is_ok": false, "message": "User not found", "results": []}`},
		step{"the account of another literal", "POST /account_users", `{"records": [{"account_id": 12345.00, "user_id": 1, "first_name": "A", "last_name": "B"}]}`,
			`{"failed_results": [{"message": "Account not found", "account_id": "12345.00", "user_id": "1"}]}`},
		step{"a boolean is no id", "POST /accounts", `{"records": [{"account_id": true, "name": "n", "join_date": 1}]}`, `{"failed_results": [{"code": "wrong_type", "field": "account_id", "account_id": "<absent>"}]}`},
		step{"other text takes no numbers", "POST /accounts", `{"records": [{"account_id": 1, "name": 1, "join_date": 1}]}`, `{"failed_results": [{"code": "wrong_type", "field": "name"}]}`},
	)
}

// dump returns everything that reads give of a workspace.
func (c *client) dump() string {
	c.Helper()
	var all []any
	const whole = "?include_inactive=true&direction=asc&include=custom_value_dimensions,custom_label_dimensions,custom_event_dimensions,assigned_csms"
	for _, family := range families {
		records := c.get(family + whole).results()
		all = append(all, records)
		if family != "/accounts" {
			continue
		}
		for _, r := range records {
			all = append(all, c.one("/accounts/"+segment(r["account_id"].(string))))
		}
	}
	return toJSON(all)
}

// dryThenReal uploads as a dry run, which must change nothing, and then for
// real, and checks that both answers say the same. It returns the real one.
func (c *client) dryThenReal(path string, options object, records ...any) *answer {
	c.Helper()
	before := c.dump()
	dry := c.post(path, body(with(object{"dry_run": true}, options), records...))
	if after := c.dump(); after != before {
		c.Errorf("the dry run changed something: before\n%s\nafter\n%s", before, after)
	}
	real := c.post(path, body(options, records...))
	said := maps.Clone(dry.body.(object))
	if said["dry_run"] != true {
		c.Errorf("the dry run's answer does not say that it is one: %s", dry.text())
	}
	delete(said, "dry_run")
	if toJSON(said) != real.text() {
		c.Errorf("the dry run said\n%s\nthe real run\n%s", toJSON(said), real.text())
	}
	return real
}

// testDryRun shows that a dry run answers as the real run does and writes
// nothing (P18).
func testDryRun(c *client) {
	c.upload("/accounts", account("old"), account("same"), account("scored", object{"nps_history": []any{object{"nps_score": 1, "date": 1}}}))
	c.upload("/account_users", person("old", "u"))
	score := func(n, date int) []any { return []any{object{"nps_score": n, "date": date}} }
	many := func(n int) []any {
		var list []any
		for i := range n {
			list = append(list, object{"nps_score": i%201 - 100, "date": i})
		}
		return list
	}
	for _, x := range []struct {
		name, path string
		options    object
		records    []any
		want       string
	}{
		{"mixed", "/accounts", nil, []any{account("new"), object{"account_id": "old", "phone": "1"}, account("same"), object{"account_id": "none"}, account("bad", object{"csm_score": -1})},
			`{"inserted": 1, "changed": 1, "unchanged": 1, "failed": 2}`},
		{"repeated keys", "/accounts", nil, []any{account("twice"), account("twice"), object{"account_id": "twice", "phone": "2"}, object{"account_id": "twice", "phone": "2"}, object{"account_id": "twice", "name": nil}},
			`{"inserted": 1, "changed": 1, "unchanged": 2, "failed": 1}`},
		{"scores", "/accounts", nil, []any{
			account("s1", object{"nps_history": score(5, 5)}), object{"account_id": "scored", "nps_history": score(1, 1)},
			object{"account_id": "scored", "nps_history": score(2, 1)}, object{"account_id": "scored", "nps_history": score(2, 1)}, object{"account_id": "s1", "nps_history": nil},
			object{"account_id": "s1", "nps_history": score(-101, 1)}},
			`{"inserted": 1, "changed": 2, "unchanged": 2, "failed": 1}`},
		{"more scores than a transaction takes", "/accounts", nil, []any{account("s2", object{"nps_history": many(150)}), object{"account_id": "scored", "nps_history": many(150)}, object{"account_id": "s2", "nps_history": many(120)}},
			`{"inserted": 1, "changed": 1, "unchanged": 1}`},
		{"managers overwritten", "/accounts", object{"overwrite_csm_assignments": true}, []any{object{"account_id": "old", "assigned_csms": []any{object{"email": "a@example.com"}}}}, `{"changed": 1}`},
		{"only failures", "/accounts", nil, []any{object{"account_id": "x"}}, `{"status_is_ok": false, "failed": 1}`},
		{"unknown fields", "/accounts", object{"reject_unknown_fields": true}, []any{account("strict", object{"x": 1})}, `{"status_is_ok": false, "failed": 1}`},
		{"deactivation and stages", "/accounts", nil, []any{object{"account_id": "old", "is_churned": true, "stage": "left"}}, `{"changed": 1}`},
		{"users", "/account_users", nil, []any{person("old", "u"), person("old", "v"), person("nobody", "w"), person("old", "v", object{"phone": "1"}), person("same", "u")},
			`{"inserted": 2, "changed": 1, "unchanged": 1, "failed": 1}`},
		{"contacts, missing accounts not ignored", "/account_contacts", object{"ignore_missing_accounts": false}, []any{person("old", "v"), person("nobody", "w")}, `{"status_is_ok": false, "inserted": 0}`},
		{"a large record", "/accounts", nil, []any{object{"account_id": "old", "tier": "t", "custom_label_dimensions": labels(0, 1200)}, account("beside")}, `{"inserted": 1, "changed": 1}`},
		{"nothing", "/account_contacts", nil, nil, `{"status_is_ok": true, "inserted": 0}`},
	} {
		c.sub(x.name, func(c *client) { c.dryThenReal(x.path, x.options, x.records...).want(x.want) })
	}
}

// testDryRunOfModification shows dry_run on PUT (Q11).
func testDryRunOfModification(c *client) {
	c.upload("/accounts", account("a", object{"nps_history": []any{object{"nps_score": 1, "date": 1}}}))
	before := c.dump()
	const dry = `{"options": {"dry_run": true}, "data": %s}`
	c.play(
		step{"changed", "PUT /accounts/a", fmt.Sprintf(dry, `{"phone": "1"}`), `{"status_is_ok": true, "dry_run": true, "changed": 1, "unchanged": 0}`},
		step{"scores changed", "PUT /accounts/a", fmt.Sprintf(dry, `{"nps_history": [{"nps_score": 2, "date": 1}]}`), `{"dry_run": true, "changed": 1, "unchanged": 0}`},
		step{"unchanged", "PUT /accounts/a", fmt.Sprintf(dry, `{"name": "Name of a"}`), `{"dry_run": true, "changed": 0, "unchanged": 1}`},
		step{"refused", "PUT /accounts/a", fmt.Sprintf(dry, `{"name": ""}`), `{"status_is_ok": false, "field": "name"}`},
		step{"not found", "PUT /accounts/b", fmt.Sprintf(dry, `{"phone": "1"}`), `{"status_is_ok": false, "message": "Account not found"}`},
	)
	if after := c.dump(); after != before {
		c.Errorf("a dry run changed something: before\n%s\nafter\n%s", before, after)
	}
}

// labels returns n custom label dimensions, numbered from first on, of texts
// that no compression makes small.
func labels(first, n int) []any {
	r := rand.New(rand.NewPCG(11, uint64(first)))
	text := func() string {
		var b strings.Builder
		for b.Len() < 240 {
			b.WriteString(strconv.FormatUint(r.Uint64(), 36))
		}
		return b.String()[:240]
	}
	var list []any
	for i := range n {
		list = append(list, object{"key": fmt.Sprintf("%06d%s", first+i, text()), "value": text()})
	}
	return list
}

// shown returns labels as a single account shows them.
func shown(list []any) object {
	all := object{"<only>": true}
	for _, entry := range list {
		entry := entry.(object)
		all[entry["key"].(string)] = entry["value"]
	}
	return all
}

// testLargeRecords shows that records of some megabytes apply, change and
// shrink as any other does (P16).
func testLargeRecords(c *client) {
	const n = 1100 // half a megabyte; DynamoDB takes 400 KB in one item
	many := labels(0, n)
	scores := func(n int) []any {
		var list []any
		for i := range n {
			list = append(list, object{"nps_score": 50, "date": 100 + i})
		}
		return list
	}
	c.upload("/accounts", account("big"), account("other"))
	is := func(more object) string {
		return results(toJSON(with(object{"custom_label_dimensions": shown(many)}, more)))
	}
	c.play(
		step{"beside others", "POST /accounts", body(nil, account("first"), object{"account_id": "big", "phone": "1", "custom_label_dimensions": many}, object{"account_id": "other", "phone": "1"}),
			`{"inserted": 1, "changed": 2, "failed": 0}`},
		step{"whole", "GET /accounts/big", "", is(object{"phone": "1", "nps_history": []any{}})},
		step{"the same again", "POST /accounts", body(nil, object{"account_id": "big", "custom_label_dimensions": many}), `{"unchanged": 1}`},
		step{"a small change", "PUT /accounts/big", `{"data": {"phone": "2"}}`, ""},
		step{"with a score", "POST /accounts", body(nil, object{"account_id": "big", "tier": "t", "nps_history": scores(1)}), `{"changed": 1}`},
		step{"with many scores", "POST /accounts", body(nil, object{"account_id": "big", "tier": "u", "nps_history": scores(150)}), `{"changed": 1}`},
		step{"still whole", "GET /accounts/big", "", is(object{"phone": "2", "tier": "u", "nps_history": scores(150)})},
		step{"in lists", "GET /accounts?direction=asc&include=custom_label_dimensions", "",
			results(toJSON(object{"account_id": "big", "custom_label_dimensions": shown(many)}) + `, {"account_id": "first"}, {"account_id": "other", "phone": "1"}`)},
		step{"ordered by name", "GET /accounts?direction=asc&order_by=name", "", results(`{"account_id": "big"}, {"account_id": "first"}, {"account_id": "other"}`)},
		step{"a bad value refuses all of it", "PUT /accounts/big", toJSON(object{"data": object{"custom_label_dimensions": append(labels(n, 10), object{"key": ""})}}), `{"status_is_ok": false}`},
		step{"scores deleted", "DELETE /accounts/big/nps_history", "", ""},
		step{"one deleted", "DELETE /accounts/big/dimension_labels/" + many[0].(object)["key"].(string), "", ""},
	)
	many = many[1:]
	c.get("/accounts/big").want(is(object{"phone": "2", "nps_history": []any{}, "current_nps_score": nil}))
	c.play(
		step{"all deleted", "DELETE /accounts/big/dimension_labels", "", ""},
		step{"small again", "GET /accounts/big", "", results(`{"phone": "2", "custom_label_dimensions": {"<only>": true}}`)},
		step{"a user", "POST /account_users", body(nil, person("big", "u", object{"custom_label_dimensions": many})), `{"inserted": 1}`},
		step{"a user changed", "PUT /account_users/u", `{"data": {"phone": "1"}}`, ""},
		step{"deactivated", "DELETE /account_users/u", "", ""},
	)
	for _, path := range []string{"/account_users/u", "/account_users/u/big", "/account_users?include_inactive=1", "/accounts/big/users?include_inactive=1"} {
		c.get(path).want(results(toJSON(object{"phone": "1", "is_active": false, "custom_label_dimensions": many})))
	}
}

// testLargestRecord shows that a record of more megabytes than can be stored is
// refused as a whole, with a code of its own, and is as it was before (P16).
func testLargestRecord(c *client) {
	wide := strings.Repeat(wideRune, 249)
	upload := func(first, n int, dryRun bool) *answer {
		var list []any
		for i := range n {
			list = append(list, object{"key": fmt.Sprintf("%06d%s", first+i, wide), "value": wide})
		}
		return c.send(request{method: http.MethodPost, path: "/accounts", header: asGzip, body: gzipped([]byte(body(object{"dry_run": dryRun},
			account(fmt.Sprint(first)), object{"account_id": "big", "phone": fmt.Sprint(first), "custom_label_dimensions": list})))})
	}
	c.upload("/accounts", account("big"))
	const n = 4900 // of 2 KB each
	for i := range 2 {
		upload(i*n, n, false).want(`{"status_is_ok": true, "inserted": 1, "changed": 1}`)
	}
	for _, dryRun := range []bool{true, false} {
		upload(2*n, n, dryRun).want(`{"status_is_ok": true, "inserted": 1, "changed": 0, "failed": 1, "failed_results": [{"record": 1, "code": "too_large", "account_id": "big"}]}`)
	}
	// Twenty megabytes are counted rather than parsed.
	stored := c.exchange(request{method: http.MethodGet, path: "/accounts/big"}).raw
	if texts := bytes.Count(stored, []byte(wide)); texts != 2*2*n || !bytes.Contains(stored, []byte(`"phone":"4900"`)) {
		c.Errorf("%d dimensions, want %d, and phone 4900: %.1000s", texts/2, 2*n, stored)
	}
	c.get("/accounts?direction=asc").want(`{"results": [{"account_id": "0"}, {"account_id": "4900"}, {"account_id": "9800"}, {"account_id": "big"}]}`)
}

// testRaces shows that changes of one record at the same time are all there in
// the end (P16).
func testRaces(c *client) {
	c.upload("/accounts", account("a", object{"custom_value_dimensions": []any{object{"key": "gone", "value": 1}}}))
	const writers = 8
	var group sync.WaitGroup
	send := func(method, path, text string) {
		group.Go(func() {
			r := request{method: method, path: path}
			if text != "" {
				r.body = []byte(text)
			}
			if a := c.send(r); a.member("status_is_ok") != true {
				c.Errorf("%s: %.300s", a.what, a.raw)
			}
		})
	}
	for i := range writers {
		send(http.MethodPut, "/accounts/a", fmt.Sprintf(`{"data": {"custom_label_dimensions": [{"key": "k%d", "value": "%d"}]}}`, i, i))
		send(http.MethodPut, "/accounts/a", fmt.Sprintf(`{"data": {"nps_history": [{"nps_score": %d, "date": %d}]}}`, i, i))
		send(http.MethodDelete, "/accounts/a/dimension_values/gone", "")
	}
	send(http.MethodPost, "/accounts", body(nil, object{"account_id": "a", "phone": "posted"}))
	group.Wait()
	labels, scores, sum := object{"<only>": true}, []any{}, 0
	for i := range writers {
		labels[fmt.Sprintf("k%d", i)] = fmt.Sprint(i)
		scores = append(scores, object{"date": i, "nps_score": i})
		sum += i
	}
	c.get("/accounts/a").want(toJSON(object{"results": []any{object{
		"phone": "posted", "custom_label_dimensions": labels, "custom_value_dimensions": object{"<only>": true},
		"nps_history": scores, "current_nps_score": (2*sum + writers) / (2 * writers),
	}}}))
}

// testManyRecords shows that failures keep their positions in a batch of more
// than a thousand.
func testManyRecords(c *client) {
	const n = 1300
	var records, failures []any
	for i := range n {
		r := account(fmt.Sprint(i))
		if i%400 == 399 {
			r["employees"] = "x"
			failures = append(failures, object{"record": i, "field": "employees", "account_id": fmt.Sprint(i)})
		}
		records = append(records, r)
	}
	records = append(records, object{"account_id": "0", "phone": "last"})
	c.post("/accounts", body(nil, records...)).want(toJSON(object{
		"status_is_ok": true, "inserted": n - len(failures), "changed": 1, "failed": len(failures), "failed_results": failures,
	}))
	c.get("/accounts/0").want(`{"results": [{"phone": "last"}]}`)
}
