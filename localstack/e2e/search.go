package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

var searchTests = []test{
	{"pages", testSearchPages},
	{"conditions on accounts", testSearchAccounts},
	{"any conditions", testAnySearch},
	{"form", testSearchForm},
	{"refused", testSearchRefused},
	{"case", testSearchCase},
	{"inactive accounts", testSearchInactive},
	{"users", func(c *client) { testSearchPeople(c, "account_users") }},
	{"contacts", func(c *client) { testSearchPeople(c, "account_contacts") }},
	{"takes no lock", testSearchLock},
}

// where returns a condition; its parts are attribute, operator and value, of
// which the last ones may be left out.
func where(parts ...any) object {
	condition := object{}
	for i, part := range parts {
		condition[[]string{"attribute", "operator", "value"}[i]] = part
	}
	return condition
}

// finds checks what a search finds, once it has found what was written (Q25):
// the ids in the order given.
func (c *client) finds(path string, want []string, idOf func(object) string, conditions ...any) *answer {
	c.Helper()
	deadline := time.Now().Add(derivedWithin)
	for {
		a := c.post(path, body(nil, conditions...))
		var got []string
		for _, r := range a.results() {
			got = append(got, idOf(r))
		}
		switch {
		case slices.Equal(got, want):
			return a
		case time.Now().After(deadline):
			c.Errorf("%s of %s finds %q, want %q", a.what, toJSON(conditions), got, want)
			return a
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// testSearchForm shows the form of the answer (R1, Q1, Q7, P10, P12).
func testSearchForm(c *client) {
	c.upload("/accounts", account("123456", object{"name": "Natero", "website": "http://www.natero.com", "join_date": 1412685594018, "current_nps_score": 85}), account("b"), account("a"))
	c.upload("/account_users", person("a", "u", object{"email": "u@natero.com", "custom_label_dimensions": []any{object{"key": "k", "value": "v"}}}), person("a", "v", object{"email": "v@example.com"}))
	listed := toJSON(c.get("/accounts").results())
	c.play(
		step{"the example", "POST /search/accounts", `{"records": [{"attribute": "website", "operator": "like", "value": "natero.com"}, {"attribute": "current_nps_score", "operator": "ge", "value": 70}]}`,
			`{"<only>": true, "current_page": 0, "max_page_size": 1000, "status_is_ok": true, "results": [{
				"account_id": "123456", "billing_account_id": null, "crm_account_id": null, "csm_score": null, "current_health_score": null, "current_mrr": null,
				"current_nps_score": 85, "current_stage": null, "is_active": true, "is_churned": false, "join_date": 1412685594018, "name": "Natero", "phone": null,
				"renewal_date": null, "support_account_id": null, "tier": null, "website": "http://www.natero.com"}]}`},
		step{"the other example", "POST /search/account_users", `{"records": [{"attribute": "email", "operator": "like", "value": "@natero.com"}]}`,
			results(`{"user_id": "u", "account_id": "a", "email": "u@natero.com", "phone": null, "custom_label_dimensions": [{"key": "k", "value": "v"}]}`)},
		step{"no operator", "POST /search/accounts", `{"records": [{"attribute": "name", "value": "Natero"}]}`, results(`{"account_id": "123456"}`)},
		step{"a null operator", "POST /search/accounts", `{"records": [{"attribute": "name", "operator": null, "value": "Name of a"}]}`, results(`{"account_id": "a"}`)},
		step{"no conditions", "POST /search/accounts", `{"records": []}`, results(`{"account_id": "b"}, {"account_id": "a"}, {"account_id": "123456"}`)},
		step{"none found", "POST /search/accounts", `{"records": [{"attribute": "name", "value": "natero"}]}`, `{"status_is_ok": true, "results": []}`},
		step{"with a slash at the end", "POST /search/accounts/", `{"records": [{"attribute": "account_id", "value": "a"}]}`, results(`{"account_id": "a"}`)},
		step{"page 0", "POST /search/accounts?page=0", `{"records": []}`, `{"current_page": 0, "page": "<absent>", "results": ["<any>", "<any>", "<any>"]}`},
		step{"page 1", "POST /search/accounts?page=1", `{"records": []}`, `{"current_page": 1, "results": []}`},
		step{"include_inactive", "POST /search/accounts?include_inactive=TRUE", `{"records": []}`, `{"include_inactive": true, "results": ["<any>", "<any>", "<any>"]}`},
		step{"other parameters", "POST /search/accounts?colour=red", `{"records": []}`, `{"colour": "<absent>", "results": ["<any>", "<any>", "<any>"]}`},
		step{"both names of the country", "POST /search/account_users", `{"records": [{"attribute": "maling_country", "operator": "ne", "value": "x"}, {"attribute": "mailing_country", "operator": "ne", "value": "x"}]}`, results(`{"user_id": "v"}, {"user_id": "u"}`)},
	)
	// What is found looks as in the list, which has no large sub-objects.
	if found := toJSON(c.post("/search/accounts", `{"records": []}`).results()); found != listed {
		c.Errorf("found\n%s\nlisted\n%s", found, listed)
	}
}

// testSearchRefused shows what is refused, and that the message names it (R1, Q7).
func testSearchRefused(c *client) {
	c.upload("/accounts", account("a"))
	for _, x := range []struct {
		family      string
		conditions  []any
		code, field string
		named       string
	}{
		{"accounts", []any{where("colour", "eq", "red")}, "unknown_field", "colour", "'colour'"},
		{"accounts", []any{where("Name", "eq", "x")}, "unknown_field", "Name", "'Name'"},
		{"accounts", []any{where("user_id", "eq", "x")}, "unknown_field", "user_id", "'user_id'"},
		{"accounts", []any{where("custom_label_dimensions", "eq", "x")}, "unknown_field", "custom_label_dimensions", "'custom_label_dimensions'"},
		{"accounts", []any{where("nps_history", "eq", "x")}, "unknown_field", "nps_history", "'nps_history'"},
		{"accounts", []any{where("assigned_csms", "like", "x")}, "unknown_field", "assigned_csms", "'assigned_csms'"},
		{"account_users", []any{where("employees", "gt", 1)}, "unknown_field", "employees", "'employees'"},
		{"account_contacts", []any{where("product_join_date", "gt", 1)}, "unknown_field", "product_join_date", "'product_join_date'"},
		{"accounts", []any{where("name", "equals", "x")}, "not_a_choice", "operator", "notLike"},
		{"accounts", []any{where("name", "EQ", "x")}, "not_a_choice", "operator", "'name'"},
		{"accounts", []any{where("name", 5, "x")}, "wrong_type", "operator", "'operator'"},
		{"accounts", []any{object{"value": "x"}}, "missing_field", "attribute", "'attribute'"},
		{"accounts", []any{where(5, "eq", "x")}, "wrong_type", "attribute", "'attribute'"},
		{"accounts", []any{where("name")}, "missing_field", "value", "'name'"},
		{"accounts", []any{where("name", "ne", nil)}, "missing_field", "value", "'name'"},
		{"accounts", []any{where("employees", "lt")}, "missing_field", "value", "'employees'"},
		{"accounts", []any{where("is_churned", "eq")}, "missing_field", "value", "'is_churned'"},
		{"accounts", []any{where("name", "eq", 5)}, "wrong_type", "name", "'name'"},
		{"accounts", []any{where("name", "like", true)}, "wrong_type", "name", "'name'"},
		{"accounts", []any{where("name", "eq", []any{"x"})}, "wrong_type", "name", "'name'"},
		{"accounts", []any{where("employees", "eq", "5")}, "wrong_type", "employees", "'employees'"},
		{"accounts", []any{where("employees", "ge", true)}, "wrong_type", "employees", "'employees'"},
		{"accounts", []any{where("is_churned", "eq", "true")}, "wrong_type", "is_churned", "'is_churned'"},
		{"accounts", []any{where("is_churned", "ne", 1)}, "wrong_type", "is_churned", "'is_churned'"},
		{"accounts", []any{where("name", "lt", "x")}, "wrong_type", "name", "'name'"},
		{"accounts", []any{where("account_id", "ge", "x")}, "wrong_type", "account_id", "'account_id'"},
		{"accounts", []any{where("is_active", "gt", true)}, "wrong_type", "is_active", "'is_active'"},
		{"accounts", []any{where("employees", "like", 5)}, "wrong_type", "employees", "'employees'"},
		{"accounts", []any{where("is_active", "notLike", "x")}, "wrong_type", "is_active", "'is_active'"},
		{"accounts", []any{where("name", "isTrue")}, "wrong_type", "name", "'name'"},
		{"accounts", []any{where("employees", "isFalse")}, "wrong_type", "employees", "'employees'"},
		{"accounts", []any{where("name", "eq", "Name of a"), where("colour", "eq", "x")}, "unknown_field", "colour", "'colour'"},
		{"accounts", []any{"name"}, "wrong_type", "records", "'records'"},
	} {
		c.sub(x.family+" "+toJSON(x.conditions), func(c *client) {
			a := c.post("/search/"+x.family, body(nil, x.conditions...)).fails(x.code, x.field).want(`{"results": []}`)
			if message, _ := a.member("message").(string); !strings.Contains(message, x.named) {
				c.Errorf("the message %q does not name %s", message, x.named)
			}
		})
	}
	c.play(
		step{"no records", "POST /search/accounts", `{}`, `{"status_is_ok": false, "code": "missing_field", "field": "records", "results": []}`},
		step{"records null", "POST /search/accounts", `{"records": null}`, `{"status_is_ok": false, "code": "missing_field", "field": "records"}`},
		step{"records that are one condition", "POST /search/accounts", `{"records": {"attribute": "name", "value": "x"}}`, `{"status_is_ok": false, "code": "wrong_type", "field": "records"}`},
		step{"no JSON", "POST /search/accounts", `{"records": [`, `{"status_is_ok": false, "code": "malformed", "results": []}`},
		step{"no object", "POST /search/accounts", `[]`, `{"status_is_ok": false, "code": "malformed", "results": []}`},
		step{"page -1", "POST /search/accounts?page=-1", `{"records": []}`, `{"status_is_ok": false, "code": "out_of_range", "field": "page", "results": []}`},
	)
	for path, status := range map[string]int{"/search/subscriptions": 404, "/search/metrics": 404, "/search": 404, "/search/accounts/a": 404} {
		if a := c.send(request{method: http.MethodPost, path: path, body: []byte(`{"records": []}`)}); a.status != status {
			c.Errorf("%s: status %d, want %d", a.what, a.status, status)
		}
	}
	if a := c.send(request{method: http.MethodGet, path: "/search/accounts"}); a.status != http.StatusMethodNotAllowed {
		c.Errorf("%s: status %d, want 405", a.what, a.status)
	}
}

// testSearchAccounts shows every operator on every type of attribute (R1).
func testSearchAccounts(c *client) {
	c.post("/accounts", `{"records": [
		{"account_id": "1", "name": "Alpha", "join_date": 9007199254740993, "employees": 10, "website": "http://a.example.com", "csm_score": 0, "crm_account_id": 17},
		{"account_id": "2", "name": "alpha beta", "join_date": 9007199254740992, "employees": -5, "current_nps_score": 50, "stage": "trial"},
		{"account_id": "3", "name": "50%_off", "join_date": -1, "website": "", "csm_score": 5, "crm_account_id": "17.0"},
		{"account_id": "4", "name": "Alpha", "join_date": 0, "employees": 11, "nps_history": [{"date": 1, "nps_score": 70}]},
		{"account_id": "a/b", "name": "Ωmega", "join_date": 9223372036854775807, "employees": 0, "website": "HTTP://B.EXAMPLE.COM"}]}`).want(`{"inserted": 5}`)
	const all = "a/b 4 3 2 1"
	for _, x := range []struct {
		condition object
		want      string
	}{
		{where("name", "eq", "Alpha"), "4 1"}, {where("name", "ne", "Alpha"), "a/b 3 2"}, {where("name", "eq", "alpha"), ""}, {where("name", "eq", "ALPHA BETA"), ""},
		{where("name", "like", "ALPHA"), "4 2 1"}, {where("name", "notLike", "alPHa"), "a/b 3"}, {where("name", "like", "a b"), "2"},
		{where("name", "like", "%"), "3"}, {where("name", "like", "_"), "3"}, {where("name", "like", "Alpha%"), ""}, {where("name", "like", "lph."), ""},
		{where("name", "like", "ω"), "a/b"}, {where("name", "notLike", "ωMEGA"), "4 3 2 1"},
		{where("account_id", "eq", "a/b"), "a/b"}, {where("account_id", "eq", 1), "1"}, {where("account_id", "eq", "A/B"), ""}, {where("account_id", "ne", "1"), "a/b 4 3 2"},
		{where("account_id", "like", "B"), "a/b"}, {where("account_id", "eq", "nobody"), ""},
		{where("crm_account_id", "eq", "17"), "1"}, {where("crm_account_id", "eq", 17), "1"}, {where("crm_account_id", "like", "17"), "3 1"}, {where("crm_account_id", "ne", "17"), "a/b 4 3 2"},
		{where("website", "like", "EXAMPLE"), "a/b 1"}, {where("website", "notLike", "example"), "4 3 2"}, {where("website", "ne", "x"), all}, {where("website", "eq", "x"), ""},
		{where("employees", "eq", 10), "1"}, {where("employees", "eq", 0), "a/b"}, {where("employees", "ne", 10), "a/b 4 3 2"},
		{where("employees", "lt", 0), "2"}, {where("employees", "le", 0), "a/b 2"}, {where("employees", "gt", 10), "4"}, {where("employees", "ge", 10), "4 1"},
		{where("employees", "gt", 9.5), "4 1"}, {where("employees", "lt", 10.5), "a/b 2 1"}, {where("employees", "ge", -5.5), "a/b 4 2 1"}, {where("employees", "le", -5.5), ""},
		{where("employees", "eq", 10.5), ""}, {where("employees", "ne", 10.5), all}, {where("employees", "lt", 1e300), "a/b 4 2 1"}, {where("employees", "gt", 1e300), ""},
		{where("join_date", "eq", 9007199254740993), "1"}, {where("join_date", "eq", 9007199254740992), "2"}, {where("join_date", "gt", 9007199254740992), "a/b 1"},
		{where("join_date", "le", 9007199254740992), "4 3 2"}, {where("join_date", "lt", -1), ""}, {where("join_date", "eq", 0), "4"}, {where("join_date", "ge", int64(9223372036854775807)), "a/b"},
		{where("csm_score", "eq", 0), "1"}, {where("csm_score", "ne", 0), "a/b 4 3 2"}, {where("csm_score", "ge", 0), "3 1"},
		{where("current_nps_score", "ge", 50), "4 2"}, {where("current_nps_score", "lt", 70), "2"},
		{where("current_stage", "eq", "trial"), "2"}, {where("current_stage", "ne", "trial"), "a/b 4 3 1"},
		{where("current_mrr", "eq", 0), ""}, {where("current_mrr", "ne", 0), all},
		{where("is_churned", "isFalse"), all}, {where("is_churned", "isTrue"), ""}, {where("is_active", "isTrue"), all}, {where("is_active", "eq", true), all}, {where("is_active", "ne", true), ""},
		{where("is_deleted", "eq", false), all}, {where("is_active", "isTrue", "ignored"), all},
	} {
		c.sub(toJSON(x.condition), func(c *client) {
			c.finds("/search/accounts", strings.Fields(x.want), accountOf, x.condition)
		})
	}
	for _, x := range []struct {
		want       string
		conditions []any
	}{
		{"1", []any{where("name", "eq", "Alpha"), where("employees", "eq", 10)}},
		{"4", []any{where("employees", "gt", 10), where("name", "eq", "Alpha")}},
		{"", []any{where("name", "eq", "Alpha"), where("name", "eq", "alpha beta")}},
		{"", []any{where("account_id", "eq", "1"), where("account_id", "eq", "2")}},
		{"2", []any{where("account_id", "eq", "2"), where("account_id", "eq", "2")}},
		{"4 1", []any{where("name", "like", "alpha"), where("name", "notLike", "beta"), where("join_date", "ge", 0)}},
		{"1", []any{where("join_date", "eq", 9007199254740993), where("account_id", "eq", "1"), where("name", "like", "a")}},
		{"2", []any{where("employees", "ge", -5), where("employees", "le", -5)}},
	} {
		c.finds("/search/accounts", strings.Fields(x.want), accountOf, x.conditions...)
	}
	// What changes is found as it is now.
	c.put("/accounts/1", `{"data": {"name": "Other", "join_date": 5, "employees": null}}`)
	c.finds("/search/accounts", []string{"4"}, accountOf, where("name", "eq", "Alpha"))
	c.finds("/search/accounts", []string{"1"}, accountOf, where("name", "eq", "Other"))
	c.finds("/search/accounts", []string{"1"}, accountOf, where("join_date", "eq", 5))
	c.finds("/search/accounts", []string{"4"}, accountOf, where("employees", "ge", 10))
}

// testSearchCase shows that like minds no case, in any script (R1).
func testSearchCase(c *client) {
	names := []string{"ÄRGER", "ärger", "Σίσυφος", "ЁЛКА", "naïve", "日本", "😀 x", "\u212a", "plain", "e\u0301"}
	var records []any
	for i, name := range names {
		records = append(records, account(fmt.Sprint(i), object{"name": name}))
	}
	c.upload("/accounts", records...)
	for text, want := range map[string]string{
		"äRg": "1 0", "ärger": "1 0", "ΣΊΣΥΦΟΣ": "2", "σίσυφοσ": "2", "ёлка": "3", "ЁЛ": "3", "NAÏ": "4", "nai": "", "本": "5", "😀": "6", "k": "7", "PLAIN": "8", "é": "", "E\u0301": "9",
	} {
		c.finds("/search/accounts", strings.Fields(want), accountOf, where("name", "like", text))
		var others []string
		for i := len(names) - 1; i >= 0; i-- {
			if id := fmt.Sprint(i); !slices.Contains(strings.Fields(want), id) {
				others = append(others, id)
			}
		}
		c.finds("/search/accounts", others, accountOf, where("name", "notLike", text))
	}
	c.finds("/search/accounts", []string{"1"}, accountOf, where("name", "eq", "ärger"))
}

// testSearchInactive shows when inactive accounts are found (A2).
func testSearchInactive(c *client) {
	c.upload("/accounts", account("active"), account("churned", object{"is_churned": true}), account("deleted"))
	c.delete("/accounts/deleted")
	alike := where("name", "like", "name of")
	for _, x := range []struct {
		path, want string
		conditions []any
	}{
		{"", "active", nil}, {"", "active", []any{alike}}, {"", "", []any{where("name", "eq", "Name of churned")}}, {"", "", []any{where("account_id", "eq", "deleted")}},
		{"?include_inactive=true", "deleted churned active", nil}, {"?include_inactive=1", "deleted churned active", []any{alike}}, {"?include_inactive=no", "active", nil},
		{"?include_inactive=true", "deleted", []any{where("account_id", "eq", "deleted")}}, {"?include_inactive=true", "churned", []any{where("name", "eq", "Name of churned")}},
		{"", "deleted churned", []any{where("is_active", "isFalse")}}, {"", "active", []any{where("is_active", "isTrue")}},
		{"", "churned", []any{where("is_churned", "isTrue")}}, {"", "deleted active", []any{where("is_churned", "eq", false)}},
		{"", "deleted", []any{where("is_deleted", "ne", false)}}, {"", "churned active", []any{alike, where("is_deleted", "isFalse")}},
		{"", "churned", []any{where("is_active", "eq", false), where("account_id", "eq", "churned")}},
	} {
		c.sub(x.path+toJSON(x.conditions), func(c *client) {
			c.finds("/search/accounts"+x.path, strings.Fields(x.want), accountOf, x.conditions...)
		})
	}
}

// testSearchPeople shows the search of users or contacts, whose ids need not be
// unique.
func testSearchPeople(c *client, family string) {
	c.upload("/accounts", account("a"), account("b"), account("a/c"))
	c.upload("/"+family,
		person("a", "u", object{"email": "U@Example.com", "is_primary": true, "mailing_country": "Utopia"}), person("b", "u", object{"email": "u@example.org", "title": "CEO"}),
		person("a/c", "v", object{"email": "v@example.com", "first_name": "Änne"}), person("a", "17"), person("b", "gone", object{"is_active": false}))
	path := "/search/" + family
	for _, x := range []struct {
		query, want string
		conditions  []any
	}{
		{"", "v of a/c,u of b,u of a,17 of a", nil},
		{"", "u of b,u of a", []any{where("user_id", "eq", "u")}},
		{"", "17 of a", []any{where("user_id", "eq", 17)}},
		{"", "u of a,17 of a", []any{where("account_id", "eq", "a")}},
		{"", "v of a/c", []any{where("account_id", "eq", "a/c")}},
		{"", "", []any{where("account_id", "eq", "nobody")}},
		{"", "u of b", []any{where("account_id", "eq", "b")}},
		{"", "v of a/c,u of b", []any{where("account_id", "ne", "a")}},
		{"", "v of a/c,u of a,17 of a", []any{where("account_id", "like", "A")}},
		{"", "u of a", []any{where("account_id", "eq", "a"), where("user_id", "eq", "u")}},
		{"", "", []any{where("account_id", "eq", "a"), where("account_id", "eq", "b")}},
		{"", "v of a/c,u of a", []any{where("email", "like", "EXAMPLE.COM")}},
		{"", "u of a", []any{where("email", "eq", "U@Example.com")}},
		{"", "u of b,17 of a", []any{where("email", "notLike", "example.com")}},
		{"", "v of a/c", []any{where("first_name", "like", "äNN")}},
		{"", "u of a", []any{where("is_primary", "isTrue")}},
		{"", "v of a/c,u of b,17 of a", []any{where("is_primary", "isFalse")}},
		{"", "v of a/c,u of b,17 of a", []any{where("is_primary", "ne", true)}},
		{"", "u of a", []any{where("mailing_country", "eq", "Utopia")}},
		{"", "u of a", []any{where("maling_country", "like", "utopia")}},
		{"", "gone of b", []any{where("is_active", "isFalse")}},
		{"", "v of a/c,u of b,u of a,17 of a", []any{where("is_active", "eq", true)}},
		{"?include_inactive=true", "u of b,gone of b", []any{where("account_id", "eq", "b")}},
		{"?include_inactive=true", "gone of b", []any{where("user_id", "eq", "gone")}},
		{"", "", []any{where("user_id", "eq", "gone")}},
	} {
		c.sub(x.query+toJSON(x.conditions), func(c *client) {
			var want []string
			if x.want != "" {
				want = strings.Split(x.want, ",")
			}
			c.finds(path+x.query, want, userOf, x.conditions...)
		})
	}
	if family == "account_users" {
		c.put("/account_users/17", `{"data": {"product_join_date": 5, "contact_user_id": 9}}`)
		c.finds(path, []string{"17 of a"}, userOf, where("product_join_date", "le", 5))
		c.finds(path, []string{"17 of a"}, userOf, where("contact_user_id", "eq", 9))
	}
	// A deactivated person is found no more.
	c.delete("/" + family + "/u/b")
	c.finds(path, []string{"u of a"}, userOf, where("user_id", "eq", "u"))
}

// testAnySearch holds random searches against a plain reading of the rules,
// for accounts as the list shows them.
func testAnySearch(c *client) {
	r := rand.New(rand.NewPCG(41, 42))
	var records []any
	for i := range 60 {
		records = append(records, account(fmt.Sprintf("%02d", i), object{
			"name": word(r), "join_date": r.IntN(6) - 2, "employees": maybe(r, r.IntN(6)), "tier": maybe(r, word(r)), "csm_score": maybe(r, r.IntN(4)), "is_churned": r.IntN(4) == 0,
		}))
	}
	c.upload("/accounts", records...)
	listed := c.get("/accounts?include_inactive=true").results()
	ask := func() object {
		switch r.IntN(3) {
		case 0:
			operators := []string{"eq", "ne", "like", "notLike"}
			return where([]string{"name", "tier", "account_id"}[r.IntN(3)], operators[r.IntN(4)], word(r))
		case 1:
			operators := []string{"eq", "ne", "lt", "le", "gt", "ge"}
			return where([]string{"join_date", "employees", "csm_score", "current_mrr"}[r.IntN(4)], operators[r.IntN(6)], r.IntN(6)-2)
		}
		return where([]string{"is_active", "is_churned"}[r.IntN(2)], []string{"isTrue", "isFalse"}[r.IntN(2)])
	}
	nonempty := 0
	for range 60 {
		var conditions []any
		inactive := false
		for range 1 + r.IntN(3) {
			condition := ask()
			inactive = inactive || strings.HasPrefix(condition["attribute"].(string), "is_")
			conditions = append(conditions, condition)
		}
		var want []string
		for _, record := range listed {
			if (inactive || record["is_active"] == true) && !slices.ContainsFunc(conditions, func(condition any) bool { return !meets(record, condition.(object)) }) {
				want = append(want, accountOf(record))
			}
		}
		nonempty += btoi(len(want) > 0)
		c.finds("/search/accounts", want, accountOf, conditions...)
	}
	if nonempty < 10 {
		c.Errorf("only %d of the searches find anything", nonempty)
	}
}

// meets reports whether a record meets a condition.
func meets(record, condition object) bool {
	value, operator := record[condition["attribute"].(string)], condition["operator"].(string)
	if value == nil {
		return operator == "ne" || operator == "notLike"
	}
	text := func(v any) string { return strings.ToLower(fmt.Sprint(v)) }
	wanted := condition["value"]
	if n, isNumber := wanted.(int); isNumber {
		wanted, _ = parse([]byte(fmt.Sprint(n)))
	}
	switch operator {
	case "isTrue", "isFalse":
		return value == (operator == "isTrue")
	case "like":
		return strings.Contains(text(value), text(wanted))
	case "notLike":
		return !strings.Contains(text(value), text(wanted))
	}
	order := compareValues(value, wanted)
	return map[string]bool{"eq": order == 0, "ne": order != 0, "lt": order < 0, "le": order <= 0, "gt": order > 0, "ge": order >= 0}[operator]
}

// testSearchPages reads what searches find of more than two pages (P12).
func testSearchPages(c *client) {
	c.upload("/accounts", account("small"), account("big"))
	const n = 4400
	var records []any
	var all, even []string
	for i := n - 1; i >= 0; i-- {
		id := fmt.Sprintf("%04d", i)
		in := "big"
		if i%22 == 0 {
			in = "small"
		} else {
			all = append(all, id+" of big")
			if i%2 == 0 {
				even = append(even, id+" of big")
			}
		}
		records = append(records, person(in, id, object{"title": []string{"even", "odd"}[i%2], "is_active": i%100 != 1}))
	}
	active := func(ids []string) []string {
		return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id[2:4] == "01" })
	}
	c.upload("/account_users", records...).want(fmt.Sprintf(`{"inserted": %d}`, n))
	page := func(query string, page int, ids []string, conditions ...any) {
		c.Helper()
		start := min(1000*page, len(ids))
		a := c.finds(fmt.Sprintf("/search/account_users?page=%d%s", page, query), ids[start:min(start+1000, len(ids))], userOf, conditions...)
		a.want(fmt.Sprintf(`{"current_page": %d, "max_page_size": 1000}`, page))
	}
	for _, p := range []int{0, 1, 2, 3, 1} {
		page("", p, even, where("account_id", "ne", "small"), where("title", "eq", "even"))
		page("", p, active(all), where("account_id", "eq", "big"))
		page("&include_inactive=true", p, all, where("account_id", "eq", "big"))
	}
	page("&include_inactive=true", 4, all, where("account_id", "eq", "big"))
	page("&include_inactive=true", 5, all, where("account_id", "eq", "big"))
	c.finds("/search/account_users", []string{"0022 of small"}, userOf, where("user_id", "eq", "0022"))
}

// testSearchLock shows that searches neither wait for uploads, nor for each
// other, nor keep uploads waiting (P13).
func testSearchLock(c *client) {
	c.upload("/accounts", account("a"))
	var records []any
	for i := range 3000 {
		records = append(records, account(fmt.Sprint(i)))
	}
	var group sync.WaitGroup
	group.Go(func() { c.upload("/accounts", records...).want(`{"inserted": 3000}`) })
	for range 6 {
		group.Go(func() {
			for range 4 {
				c.post("/search/accounts", body(nil, where("account_id", "eq", "a"))).want(`{"results": [{"account_id": "a"}]}`)
				c.post("/search/accounts", body(nil, where("name", "like", "name of a"))).want(`{"status_is_ok": true}`)
			}
		})
	}
	group.Wait()
}
