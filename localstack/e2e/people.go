package e2e

import (
	"fmt"
	"strings"
)

// peopleTests run for product users and for contacts: U1 and U2 hold for both.
var peopleTests = func() []test {
	var tests []test
	for _, p := range []people{
		{path: "/account_users", ofAccount: "/users", notFound: "User not found"},
		{path: "/account_contacts", ofAccount: "/contacts", notFound: "Contact not found"},
	} {
		name := p.path[len("/account_"):]
		tests = append(tests,
			test{name + " read", p.testRead},
			test{name + " with the same id", p.testSameID},
			test{name + " modified", p.testModify},
			test{name + " deactivated", p.testDeactivate},
			test{name + " dimensions", p.testDimensions},
			test{name + " dimensions deleted", p.testDeleteDimensions},
			test{name + " deletes that cannot be read", p.testUnreadableDeletes},
			test{name + " in an order", p.testOrders},
		)
	}
	return append(tests, test{"apart", testFamiliesApart})
}()

// people is one of the two families of persons.
type people struct{ path, ofAccount, notFound string }

// testRead shows the form of a person, and the defaults (U1, U2, Q9).
func (p people) testRead(c *client) {
	c.upload("/accounts", account("a"))
	joined := `"<now>"`
	if p.path == "/account_contacts" {
		joined = `"<absent>"` // contacts have no such field
	}
	one := fmt.Sprintf(`{"user_id": "u", "account_id": "a", "first_name": "Abby", "last_name": "Russel", "email": "abby@example.com", "phone": null,
		"is_primary": false, "is_active": true, "product_join_date": %s, "mailing_country": "Utopia", "maling_country": "<absent>",
		"custom_label_dimensions": [{"<only>": true, "key": "position", "value": "Manager"}], "custom_value_dimensions": [{"<only>": true, "key": "reports", "value": 11}],
		"custom_event_dimensions": []}`, joined)
	c.play(
		step{"insert", "POST " + p.path, `{"records": [{"user_id": "u", "account_id": "a", "first_name": "Abby", "last_name": "Russel", "email": "abby@example.com", "maling_country": "Utopia",
			"custom_label_dimensions": [{"key": "position", "value": "Manager"}], "custom_value_dimensions": [{"key": "reports", "value": 11.0}]}]}`, `{"inserted": 1}`},
		step{"by id", "GET " + p.path + "/u", "", `{"<only>": true, "status_is_ok": true, "results": [` + one + `]}`},
		step{"by id and account", "GET " + p.path + "/u/a", "", results(one)},
		step{"in the list", "GET " + p.path, "", `{"<only>": true, "status_is_ok": true, "current_page": 0, "max_page_size": 1000, "results": [` + one + `]}`},
		step{"in the account's list", "GET /accounts/a" + p.ofAccount, "", `{"<only>": true, "status_is_ok": true, "current_page": 0, "max_page_size": 1000, "results": [` + one + `]}`},
		step{"nobody", "GET " + p.path + "/v", "", fmt.Sprintf(`{"<only>": true, "status_is_ok": false, "message": %q, "code": "not_found", "field": "user_id", "results": []}`, p.notFound)},
		step{"in no such account", "GET " + p.path + "/u/b", "", fmt.Sprintf(`{"status_is_ok": false, "message": %q, "results": []}`, p.notFound)},
		step{"the account is no user", "GET " + p.path + "/a", "", `{"status_is_ok": false}`},
		step{"nobody's account", "GET /accounts/b" + p.ofAccount, "", `{"status_is_ok": false, "message": "Account not found", "code": "not_found", "results": []}`},
		step{"mailing_country", "PUT " + p.path + "/u", `{"data": {"mailing_country": "Erewhon"}}`, ""},
		step{"counts too", "GET " + p.path + "/u", "", results(`{"mailing_country": "Erewhon"}`)},
		step{"maling_country", "PUT " + p.path + "/u", `{"data": {"maling_country": null}}`, ""},
		step{"clears too", "GET " + p.path + "/u", "", results(`{"mailing_country": null}`)},
	)
}

// testSameID shows persons with one id in two accounts (U1).
func (p people) testSameID(c *client) {
	c.upload("/accounts", account("a"), account("b"), account("empty"))
	c.upload(p.path, person("a", "u", object{"phone": "1"}), person("b", "u", object{"phone": "2"}), person("b", "v"))
	c.play(
		step{"every match by id", "GET " + p.path + "/u?x=y", "", `{"results": ["<any>", "<any>"]}`},
		step{"one in an account", "GET " + p.path + "/u/a", "", results(`{"account_id": "a", "phone": "1"}`)},
		step{"the other", "GET " + p.path + "/u/b", "", results(`{"account_id": "b", "phone": "2"}`)},
		step{"none in a third", "GET " + p.path + "/u/empty", "", `{"status_is_ok": false}`},
		step{"PUT without the account", "PUT " + p.path + "/u", `{"data": {"phone": "3"}}`, `{"status_is_ok": false, "code": "not_unique", "field": "account_id"}`},
		step{"DELETE without the account", "DELETE " + p.path + "/u", "", `{"status_is_ok": false, "code": "not_unique", "field": "account_id"}`},
		step{"DELETE of dimensions without the account", "DELETE " + p.path + "/u?all_dimensions=true", "", `{"status_is_ok": false, "code": "not_unique"}`},
		step{"PUT with it", "PUT " + p.path + "/u", `{"data": {"account_id": "b", "phone": "4"}}`, ""},
		step{"one changed", "GET " + p.path + "/u/b", "", results(`{"phone": "4"}`)},
		step{"one not", "GET " + p.path + "/u/a", "", results(`{"phone": "1"}`)},
		step{"PUT in a third account", "PUT " + p.path + "/u", `{"data": {"account_id": "empty", "phone": "5"}}`, fmt.Sprintf(`{"status_is_ok": false, "message": %q}`, p.notFound)},
		step{"PUT in no account", "PUT " + p.path + "/u", `{"data": {"account_id": "nobody", "phone": "5"}}`, `{"status_is_ok": false, "message": "Account not found"}`},
		step{"DELETE with it", "DELETE " + p.path + "/u/a", "", ""},
		step{"one inactive", "GET " + p.path + "/u/a", "", results(`{"is_active": false}`)},
		step{"one not", "GET " + p.path + "/u/b", "", results(`{"is_active": true}`)},
		step{"an inactive one makes the id no more unique", "PUT " + p.path + "/u", `{"data": {"phone": "6"}}`, `{"status_is_ok": false, "code": "not_unique"}`},
		step{"DELETE in a third account", "DELETE " + p.path + "/u/empty", "", fmt.Sprintf(`{"status_is_ok": false, "code": "not_found", "message": %q}`, p.notFound)},
		step{"DELETE in no account", "DELETE " + p.path + "/u/nobody", "", `{"status_is_ok": false, "code": "not_found"}`},
		step{"DELETE of nobody", "DELETE " + p.path + "/nobody", "", fmt.Sprintf(`{"status_is_ok": false, "code": "not_found", "message": %q}`, p.notFound)},
		step{"a unique one needs none", "PUT " + p.path + "/v", `{"data": {"phone": "7"}}`, ""},
		step{"changed", "GET " + p.path + "/v", "", results(`{"account_id": "b", "phone": "7"}`)},
	)
	seen := map[any]bool{}
	for _, r := range c.get(p.path + "/u").results() {
		seen[r["account_id"]] = true
	}
	if !seen["a"] || !seen["b"] {
		c.Errorf("by id alone: accounts %v, want a and b", seen)
	}
}

// testModify shows PUT of persons (P9, Q8).
func (p people) testModify(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(p.path, person("a", "u", object{"is_primary": true, "title": "CEO"}))
	c.play(
		step{"data", "PUT " + p.path + "/u", `{"data": {"title": "CTO"}}`, `{"<only>": true, "status_is_ok": true}`},
		step{"bare", "PUT " + p.path + "/u", `{"role": "Buyer"}`, ""},
		step{"with both ids", "PUT " + p.path + "/u", `{"data": {"user_id": "u", "account_id": "a", "department": "R&D"}}`, ""},
		step{"all of it", "GET " + p.path + "/u", "", results(`{"title": "CTO", "role": "Buyer", "department": "R&D", "is_primary": true, "first_name": "First"}`)},
		step{"another id", "PUT " + p.path + "/u", `{"data": {"user_id": "v", "title": "x"}}`, `{"status_is_ok": false, "code": "conflicting", "field": "user_id"}`},
		step{"null id", "PUT " + p.path + "/u", `{"data": {"user_id": null, "account_id": null, "title": "CIO"}}`, ""},
		step{"is as if absent", "GET " + p.path + "/u", "", results(`{"title": "CIO"}`)},
		step{"boolean to its default", "PUT " + p.path + "/u", `{"data": {"is_primary": null}}`, ""},
		step{"default", "GET " + p.path + "/u", "", results(`{"is_primary": false}`)},
		step{"nobody", "PUT " + p.path + "/v", `{"data": {"title": "x"}}`, fmt.Sprintf(`{"status_is_ok": false, "code": "not_found", "message": %q}`, p.notFound)},
		step{"nobody was made", "GET " + p.path, "", results(`{"user_id": "u"}`)},
		step{"wrong type", "PUT " + p.path + "/u", `{"data": {"title": "x", "is_primary": "yes"}}`, `{"status_is_ok": false, "message": "'is_primary' must be boolean", "code": "wrong_type", "field": "is_primary"}`},
		step{"nothing of it applied", "GET " + p.path + "/u", "", results(`{"title": "CIO"}`)},
	)
}

// testDeactivate shows DELETE and is_active (U1, Q12, Q13).
func (p people) testDeactivate(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(p.path, person("a", "u"), person("a", "v"), person("a", "born inactive", object{"is_active": false}))
	c.play(
		step{"born inactive", "GET " + p.path + "?direction=asc", "", results(`{"user_id": "u"}, {"user_id": "v"}`)},
		step{"DELETE", "DELETE " + p.path + "/u", "", `{"<only>": true, "status_is_ok": true}`},
		step{"read by id all the same", "GET " + p.path + "/u", "", results(`{"user_id": "u", "is_active": false}`)},
		step{"and with its account", "GET " + p.path + "/u/a", "", results(`{"is_active": false}`)},
		step{"hidden", "GET " + p.path, "", results(`{"user_id": "v"}`)},
		step{"hidden in the account", "GET /accounts/a" + p.ofAccount, "", results(`{"user_id": "v"}`)},
		step{"shown", "GET " + p.path + "?include_inactive=true&direction=asc", "", results(`{"user_id": "born inactive"}, {"user_id": "u", "is_active": false}, {"user_id": "v"}`)},
		step{"shown in the account", "GET /accounts/a" + p.ofAccount + "?include_inactive=1&direction=asc", "",
			`{"include_inactive": true, "direction": "asc", "results": [{"user_id": "born inactive"}, {"user_id": "u", "is_active": false}, {"user_id": "v"}]}`},
		step{"again", "DELETE " + p.path + "/u/a", "", ""},
		step{"data is accepted", "PUT " + p.path + "/u", `{"data": {"phone": "1"}}`, ""},
		step{"and keeps it inactive", "GET " + p.path + "/u", "", results(`{"phone": "1", "is_active": false}`)},
		step{"made active", "PUT " + p.path + "/u", `{"data": {"is_active": true}}`, ""},
		step{"by its default too", "POST " + p.path, body(nil, object{"account_id": "a", "user_id": "born inactive", "is_active": nil}), `{"changed": 1}`},
		step{"listed again", "GET " + p.path + "?direction=asc", "", results(`{"user_id": "born inactive"}, {"user_id": "u", "is_active": true}, {"user_id": "v"}`)},
		step{"made inactive by PUT", "PUT " + p.path + "/u", `{"data": {"is_active": false}}`, ""},
		step{"hidden again", "GET " + p.path + "?direction=asc", "", results(`{"user_id": "born inactive"}, {"user_id": "v"}`)},
	)
}

// testDimensions shows how dimensions of persons merge (U1, Q10).
func (p people) testDimensions(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(p.path, person("a", "u"))
	null := ""
	after := `{"key": "k", "value": null}`
	if p.path == "/account_contacts" {
		null, after = `{"status_is_ok": false, "code": "missing_field", "field": "custom_label_dimensions.value"}`, `{"key": "k", "value": "2"}`
	}
	c.play(
		step{"the last of a key wins", "PUT " + p.path + "/u", `{"data": {"custom_label_dimensions": [{"key": "k", "value": "1"}, {"key": "j", "value": 5.50}, {"key": "k", "value": "2"}],
			"custom_event_dimensions": [{"key": "k", "value": 1}]}}`, ""},
		step{"arrays of key and value", "GET " + p.path + "/u", "", results(`{"custom_label_dimensions": [{"<only>": true, "key": "j", "value": "5.50"}, {"<only>": true, "key": "k", "value": "2"}],
			"custom_value_dimensions": [], "custom_event_dimensions": [{"<only>": true, "key": "k", "value": 1}]}`)},
		step{"null", "PUT " + p.path + "/u", `{"data": {"custom_label_dimensions": [{"key": "k", "value": null}]}}`, null},
		step{"null is stored, or refused", "GET " + p.path + "/u", "", results(`{"custom_label_dimensions": [{"key": "j"}, ` + after + `]}`)},
		step{"one more", "POST " + p.path, body(nil, object{"account_id": "a", "user_id": "u", "custom_value_dimensions": []any{object{"key": "n", "value": -0.25}}}), `{"changed": 1}`},
		step{"merged", "GET " + p.path, "", results(`{"custom_label_dimensions": ["<any>", "<any>"], "custom_value_dimensions": [{"key": "n", "value": -0.25}]}`)},
		step{"null removes all", "PUT " + p.path + "/u", `{"data": {"custom_label_dimensions": null}}`, ""},
		step{"of that kind", "GET " + p.path + "/u", "", results(`{"custom_label_dimensions": [], "custom_value_dimensions": [{"key": "n"}]}`)},
	)
}

// testDeleteDimensions shows the dimension and all_dimensions parameters (U1).
func (p people) testDeleteDimensions(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	three := object{
		"custom_label_dimensions": []any{object{"key": "x", "value": "1"}, object{"key": "y", "value": "2"}},
		"custom_value_dimensions": []any{object{"key": "x", "value": 1}, object{"key": "z", "value": 2}},
		"custom_event_dimensions": []any{object{"key": "x", "value": 1}, object{"key": "y/z %2F", "value": 2}},
	}
	c.upload(p.path, person("a", "u", three), person("b", "u", three), person("a", "only", three))
	all := `{"is_active": true, "custom_label_dimensions": [{"key": "x"}, {"key": "y"}], "custom_value_dimensions": [{"key": "x"}, {"key": "z"}], "custom_event_dimensions": [{"key": "x"}, {"key": "y/z %2F"}]}`
	c.play(
		step{"one key, of every kind", "DELETE " + p.path + "/u/a?dimension=x", "", `{"<only>": true, "status_is_ok": true}`},
		step{"that key", "GET " + p.path + "/u/a", "", results(`{"is_active": true, "custom_label_dimensions": [{"key": "y"}], "custom_value_dimensions": [{"key": "z"}], "custom_event_dimensions": [{"key": "y/z %2F"}]}`)},
		step{"nobody else's", "GET " + p.path + "/u/b", "", results(all)},
		step{"what is not there", "DELETE " + p.path + "/u/a?dimension=X", "", ""},
		step{"escaped", "DELETE " + p.path + "/u/a?dimension=y/z%20%252F", "", ""},
		step{"with a plus for the space", "DELETE " + p.path + "/u/b?dimension=y%2Fz+%252F", "", ""},
		step{"gone", "GET " + p.path + "/u/a", "", results(`{"custom_event_dimensions": []}`)},
		step{"gone there too", "GET " + p.path + "/u/b", "", results(`{"custom_event_dimensions": [{"key": "x"}]}`)},
		step{"both parameters", "DELETE " + p.path + "/only?dimension=x&all_dimensions=true", "", `{"status_is_ok": false, "code": "conflicting"}`},
		step{"no key", "DELETE " + p.path + "/only?dimension=", "", `{"status_is_ok": false}`},
		step{"nothing was deleted", "GET " + p.path + "/only", "", results(all)},
		step{"all_dimensions=false beside one", "DELETE " + p.path + "/only?dimension=x&all_dimensions=false", "", ""},
		step{"deletes that one", "GET " + p.path + "/only", "", results(`{"is_active": true, "custom_label_dimensions": [{"key": "y"}]}`)},
		step{"all, without the account where the id is unique", "DELETE " + p.path + "/only?all_dimensions=TRUE", "", ""},
		step{"none left, still active", "GET " + p.path + "/only", "", results(`{"is_active": true, "custom_label_dimensions": [], "custom_value_dimensions": [], "custom_event_dimensions": []}`)},
		step{"all again", "DELETE " + p.path + "/only/a?all_dimensions=1", "", ""},
		step{"all of nobody", "DELETE " + p.path + "/nobody?all_dimensions=true", "", fmt.Sprintf(`{"status_is_ok": false, "message": %q}`, p.notFound)},
		step{"one of nobody", "DELETE " + p.path + "/nobody/a?dimension=x", "", fmt.Sprintf(`{"status_is_ok": false, "message": %q}`, p.notFound)},
	)
}

// testUnreadableDeletes shows that a parameter that cannot be read does not
// turn the delete of a dimension into that of the person.
func (p people) testUnreadableDeletes(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(p.path, person("a", "u", object{"custom_label_dimensions": []any{object{"key": "a;b", "value": "1"}, object{"key": "50%", "value": "1"}}}))
	before := c.dump()
	for _, query := range []string{"dimension=a;b", "dimension=50%", "dimension=%zz", "all_dimensions=true;x"} {
		c.delete(p.path + "/u?" + query).want(`{"status_is_ok": false, "code": "malformed"}`)
		c.delete(p.path + "/u/a?" + query).want(`{"status_is_ok": false, "code": "malformed"}`)
	}
	if after := c.dump(); after != before {
		c.Errorf("something was deleted: before\n%s\nafter\n%s", before, after)
	}
}

// testOrders shows the list of an account in the order of any scalar field
// (Q27): unset values first when ascending, equal ones by id.
func (p people) testOrders(c *client) {
	c.upload("/accounts", account("a"), account("other"))
	c.upload(p.path,
		person("a", "1", object{"email": "b@example.com", "is_primary": true, "title": "Ä", "maling_country": "z"}),
		person("a", "2", object{"last_name": "Aa", "title": "z"}),
		person("a", "10", object{"email": "a@example.com", "last_name": "a", "title": "Z"}),
		person("a", "3", object{"email": "b@example.com", "last_name": "aa", "is_primary": true, "mailing_country": "Z"}),
		person("a", "4", object{"is_active": false, "title": "😀"}),
		person("other", "5"),
	)
	type order struct {
		by   string
		want string // the ids, ascending
	}
	orders := []order{
		{"", "1 10 2 3 4"}, {"user_id", "1 10 2 3 4"}, {"id", "1 10 2 3 4"}, {"account_id", "1 10 2 3 4"},
		{"email", "2 4 10 1 3"}, {"last_name", "2 1 4 10 3"}, {"title", "3 10 2 1 4"}, {"is_primary", "10 2 4 1 3"},
		{"is_active", "4 1 10 2 3"}, {"mailing_country", "10 2 4 3 1"}, {"department", "1 10 2 3 4"},
	}
	if p.path == "/account_users" {
		c.upload(p.path, object{"account_id": "a", "user_id": "1", "product_join_date": 100}, object{"account_id": "a", "user_id": "2", "product_join_date": 20},
			object{"account_id": "a", "user_id": "10", "product_join_date": -3}, object{"account_id": "a", "user_id": "3", "product_join_date": nil}, object{"account_id": "a", "user_id": "4", "product_join_date": 100})
		orders = append(orders, order{"product_join_date", "3 10 2 1 4"}, order{"contact_user_id", "1 10 2 3 4"})
	}
	for _, o := range orders {
		c.sub("by "+o.by, func(c *client) {
			ascending := strings.Fields(o.want)
			for direction, descending := range map[string]bool{"asc": false, "ASC": false, "desc": true, "Desc": true, "": true} {
				query := "?include_inactive=true"
				echo := object{}
				if o.by != "" {
					query += "&order_by=" + o.by
					echo["order_by"] = o.by
				}
				if direction != "" {
					query += "&direction=" + direction
					echo["direction"] = strings.ToLower(direction)
				}
				var list []any
				for i := range ascending {
					if descending {
						i = len(ascending) - 1 - i
					}
					list = append(list, object{"user_id": ascending[i]})
				}
				c.get("/accounts/a" + p.ofAccount + query).want(toJSON(with(object{"results": list}, echo)))
			}
		})
	}
	for _, unknown := range []string{"custom_label_dimensions", "colour", "Email", "employees"} {
		a := c.get("/accounts/a"+p.ofAccount+"?order_by="+unknown).fails("not_a_choice", "order_by").want(`{"results": []}`)
		if message, _ := a.member("message").(string); !strings.Contains(message, "mailing_city") {
			c.Errorf("the message does not name the choices: %q", message)
		}
	}
	c.get("/accounts/a"+p.ofAccount+"?direction=up").fails("not_a_choice", "direction")
}

// testFamiliesApart shows that a user, a contact and an account of one id have
// nothing to do with each other.
func testFamiliesApart(c *client) {
	c.upload("/accounts", account("x"))
	c.upload("/account_users", person("x", "x", object{"first_name": "User"}))
	c.upload("/account_contacts", person("x", "x", object{"first_name": "Contact"}))
	c.play(
		step{"user", "GET /account_users/x", "", results(`{"first_name": "User"}`)},
		step{"contact", "GET /account_contacts/x/x", "", results(`{"first_name": "Contact"}`)},
		step{"deactivate the user", "DELETE /account_users/x", "", ""},
		step{"the contact is active", "GET /account_contacts", "", results(`{"is_active": true}`)},
		step{"the account is active", "GET /accounts", "", results(`{"is_active": true}`)},
		step{"the user is not", "GET /account_users", "", `{"results": []}`},
		step{"deactivate the account", "DELETE /accounts/x", "", ""},
		step{"the contact still is active", "GET /accounts/x/contacts", "", results(`{"is_active": true}`)},
	)
}
