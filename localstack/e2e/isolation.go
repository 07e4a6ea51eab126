package e2e

import (
	"fmt"
	"net/http"
	"strings"
)

var isolationTests = []test{
	{"every route", testIsolation},
	{"the same ids", testSameIDsApart},
}

// testIsolation sends every request that the API describes with the key of
// another workspace, and shows that it finds nothing and changes nothing.
func testIsolation(c *client) {
	dimension := []any{object{"key": "k", "value": 1}}
	c.upload("/accounts", account("a", object{
		"assigned_csms": []any{object{"email": "k"}}, "custom_label_dimensions": dimension, "custom_value_dimensions": dimension,
		"documents": []any{object{"name": "k", "url": "u"}}, "stage_history": []any{object{"name": "k", "start_date": 1}},
		"nps_history": []any{object{"nps_score": 1, "date": 1}},
	}))
	c.upload("/account_users", person("a", "u", object{"custom_label_dimensions": dimension}))
	c.upload("/account_contacts", person("a", "u", object{"custom_label_dimensions": dimension}))
	before := c.dump()
	other := c.another()
	d, err := c.target.describe()
	if err != nil {
		c.Fatal(err)
	}
	for _, route := range d.routes() {
		method, path, _ := strings.Cut(route, " ")
		if path == "/openapi.json" {
			continue
		}
		id := "a"
		if strings.HasPrefix(path, "/account_") {
			id = "u"
		}
		path = strings.NewReplacer("{id}", id, "{account_id}", "a", "{name}", "k", "{key}", "k", "{email}", "k", "{timestamp}", "1").Replace(path)
		queries := []string{""}
		if method == http.MethodDelete && id == "u" {
			queries = []string{"", "?dimension=k", "?all_dimensions=true"}
		}
		for _, query := range queries {
			c.sub(method+" "+path+query, func(c *client) {
				other := *other
				other.T = c.T
				switch {
				case method == http.MethodPost && path == "/accounts":
					return // inserts an account of the other's own; see testSameIDsApart
				case method == http.MethodPost:
					other.post(path, body(nil, person("a", "u", object{"phone": "stolen"}))).want(`{"inserted": 0, "changed": 0, "failed_results": [{"message": "Account not found"}]}`)
				case method == http.MethodPut:
					other.put(path, `{"data": {"phone": "stolen"}}`).want(`{"status_is_ok": false, "code": "not_found"}`)
				case method == http.MethodDelete:
					other.delete(path + query).want(`{"status_is_ok": false, "code": "not_found"}`)
				case strings.Count(path, "/") == 1: // a list of the whole workspace
					other.get(path + "?include_inactive=true").want(`{"status_is_ok": true, "results": []}`)
				default:
					other.get(path).want(`{"status_is_ok": false, "code": "not_found", "results": []}`)
				}
			})
		}
	}
	if after := c.dump(); after != before {
		c.Errorf("another workspace changed something: before\n%s\nafter\n%s", before, after)
	}
}

// testSameIDsApart shows that two workspaces with the same ids have nothing to
// do with each other, and neither have workspaces whose ids look like paths
// into others.
func testSameIDsApart(c *client) {
	other := c.another()
	for i, w := range []*client{c, other} {
		mark := fmt.Sprint(i)
		w.upload("/accounts", account("a", object{"name": mark, "nps_history": []any{object{"nps_score": i, "date": i}}}), account("a/"+mark))
		w.upload("/account_users", person("a", "u", object{"last_name": mark}), person("a", "only "+mark))
		w.upload("/account_contacts", person("a", "u", object{"last_name": mark}))
	}
	for i, w := range []*client{c, other} {
		w.get("/accounts?direction=asc").want(fmt.Sprintf(`{"results": [{"account_id": "a", "name": "%d"}, {"account_id": "a/%d"}]}`, i, i))
		w.get("/accounts/a").want(fmt.Sprintf(`{"results": [{"name": "%d", "current_nps_score": %d, "nps_history": [{"date": %d}]}]}`, i, i, i))
		w.get("/account_users?direction=asc").want(fmt.Sprintf(`{"results": [{"user_id": "only %d"}, {"user_id": "u", "last_name": "%d"}]}`, i, i))
		w.get("/account_contacts/u").want(fmt.Sprintf(`{"results": [{"last_name": "%d"}]}`, i))
	}
	before := c.dump()
	other.delete("/accounts/a/nps_history").want(`{"status_is_ok": true}`)
	other.delete("/account_users/u").want(`{"status_is_ok": true}`)
	other.put("/accounts/a", `{"data": {"name": "changed"}}`).want(`{"status_is_ok": true}`)
	other.delete("/accounts/a").want(`{"status_is_ok": true}`)
	if after := c.dump(); after != before {
		c.Errorf("another workspace changed something: before\n%s\nafter\n%s", before, after)
	}
}
