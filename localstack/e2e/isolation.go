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

// secrets fills a workspace with a record of every family, all of the account
// "a" and called "k" where they are not called "a" or "u", and returns what they
// are called.
func (c *client) secrets() *strings.Replacer {
	c.Helper()
	dimension := []any{object{"key": "k", "value": 1}}
	c.upload("/accounts", account("a", object{
		"assigned_csms": []any{object{"email": "k"}}, "custom_label_dimensions": dimension, "custom_value_dimensions": dimension,
		"documents": []any{object{"name": "k", "url": "u"}}, "stage_history": []any{object{"name": "k", "start_date": 1}},
		"nps_history": []any{object{"nps_score": 1, "date": 1}},
	}))
	c.upload("/account_users", person("a", "u", object{"custom_label_dimensions": dimension}))
	c.upload("/account_contacts", person("a", "u", object{"custom_label_dimensions": dimension}))
	var names []string
	for path, record := range ownRecords("a", "k") {
		c.upload(path, record)
		id := "k"
		if _, generated := record["external_id"]; generated {
			id = fmt.Sprint(c.one(path + "/external_id/k")["id"])
		}
		names = append(names, path+"/{id}", path+"/"+id)
	}
	c.derived()
	names = append(names, "/account_users/{id}", "/account_users/u", "/account_contacts/{id}", "/account_contacts/u")
	return strings.NewReplacer(append(names, "{id}", "a", "{account_id}", "a", "{name}", "k", "{key}", "k", "{email}", "k", "{external_id}", "k", "{timestamp}", "1")...)
}

// derived waits for what is derived of the subscription of ownRecords.
func (c *client) derived() {
	c.Helper()
	c.mrrBecomes("a", "100")
	c.soon("/mrr_movements", results(`{"account_id": "a"}`))
}

// ownRecords returns a record of each family whose ids are its own, by path.
func ownRecords(account, id string) map[string]object {
	return map[string]object{
		"/support_tickets": ticket(account, id), "/statements": invoice(account, id), "/metrics": series(account, id, 1),
		"/interactions":  object{"account_id": account, "external_id": id, "create_time": 1, "type": "email"},
		"/notes":         object{"account_id": account, "external_id": id, "create_time": 1},
		"/subscriptions": event("revenue", id, 1, object{"account_id": account}),
	}
}

// testIsolation sends every request that the API describes with the key of
// another workspace, and shows that it finds nothing and changes nothing.
func testIsolation(c *client) {
	fill := c.secrets()
	before := c.state()
	other := c.another()
	d, err := c.target.describe()
	if err != nil {
		c.Fatal(err)
	}
	records := ownRecords("a", "k")
	for _, family := range families[1:] {
		records[family] = person("a", "u", object{"phone": "stolen"})
	}
	for _, route := range d.routes() {
		method, described, _ := strings.Cut(route, " ")
		if described == "/openapi.json" {
			continue
		}
		path := fill.Replace(described)
		queries := []string{""}
		switch {
		case method == http.MethodDelete && strings.HasPrefix(path, "/account_"):
			queries = append(queries, "?dimension=k", "?all_dimensions=true")
		case method == http.MethodGet && !strings.Contains(described, "{"):
			queries = append(queries, "?include_inactive=true", "?account_id=a")
		case strings.HasPrefix(path, "/metrics/"):
			queries = append(queries, "?account_id=a")
		}
		for _, query := range queries {
			c.sub(method+" "+path+query, func(c *client) {
				other := *other
				other.T = c.T
				switch {
				case method == http.MethodPost && path == "/accounts":
					return // inserts an account of the other's own; see testSameIDsApart
				case strings.HasPrefix(path, "/search/"):
					other.post(path+"?include_inactive=true", `{"records": []}`).want(`{"status_is_ok": true, "results": []}`)
					other.post(path, body(nil, where("account_id", "eq", "a"))).want(`{"status_is_ok": true, "results": []}`)
				case method == http.MethodPost:
					if records[path] == nil {
						c.Fatalf("no record to post to %s", path)
					}
					other.post(path, body(nil, records[path])).want(`{"inserted": 0, "changed": 0, "failed_results": [{"message": "Account not found"}]}`)
				case method == http.MethodPut:
					other.put(path+query, `{"data": {"account_id": "a", "phone": "stolen", "source": "stolen"}}`).want(`{"status_is_ok": false, "code": "not_found"}`)
				case method == http.MethodDelete:
					other.delete(path + query).want(`{"status_is_ok": false, "code": "not_found"}`)
				case path == "/usage":
					other.get(path + query).want(`{"status_is_ok": true, "totals": {"events": 0, "active_users": 0}}`)
				case !strings.Contains(described, "{"): // a list of the whole workspace
					other.get(path + query).want(`{"status_is_ok": true, "results": []}`)
				default:
					other.get(path + query).want(`{"status_is_ok": false, "code": "not_found", "results": []}`)
				}
			})
		}
	}
	if after := c.state(); after != before {
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
	for i, w := range []*client{c, other} {
		mark := fmt.Sprint(i)
		for path, record := range ownRecords("a", "k") {
			w.upload(path, record).want(`{"inserted": 1}`)
			if path != "/metrics" && path != "/subscriptions" {
				w.upload(path, with(record, object{"source": mark})).want(`{"changed": 1}`)
			}
		}
		w.upload("/metrics", series("a", "only "+mark, i))
		w.derived()
	}
	for i, w := range []*client{c, other} {
		marked := fmt.Sprintf(`{"account_id": "a", "source": "%d"}`, i)
		for _, path := range []string{"/support_tickets/k", "/statements/k", "/interactions/external_id/k", "/notes/external_id/k", "/interactions", "/notes",
			"/accounts/a/support_tickets", "/accounts/a/statements"} {
			w.get(path).want(results(marked))
		}
		w.get("/accounts/a/metrics").want(fmt.Sprintf(`{"results": [{"<only>": true, "k": [{"timestamp": 1}], "only %d": [{"timestamp": %d}]}]}`, i, i))
		w.get(fmt.Sprintf("/metrics/only%%20%d", 1-i)).want(noMetric)
		w.get("/subscriptions").want(results(`{"subscription_id": "k"}`))
		w.post("/search/accounts", body(nil, where("account_id", "like", "a/"))).want(results(fmt.Sprintf(`{"account_id": "a/%d"}`, i)))
		w.post("/search/account_users", body(nil, where("user_id", "eq", "u"))).want(results(fmt.Sprintf(`{"last_name": "%d"}`, i)))
	}
	before := c.state()
	for _, path := range []string{"/interactions", "/notes"} {
		// The other's generated ids are nobody's here, even if an account is called the same.
		id := fmt.Sprint(c.one(path + "/external_id/k")["id"])
		for _, own := range other.get(path).results() {
			if fmt.Sprint(own["id"]) == id {
				c.Fatalf("both workspaces have %s %s; this test needs different ones", path, id)
			}
		}
		other.get(path + "/" + id).want(`{"status_is_ok": false, "code": "not_found", "results": []}`)
		other.put(path+"/"+id, `{"data": {"source": "stolen"}}`).want(`{"status_is_ok": false, "code": "not_found"}`)
		other.delete(path + "/" + id).want(`{"status_is_ok": false, "code": "not_found"}`)
		other.post(path, fmt.Sprintf(`{"records": [{"account_id": "a", "id": %s, "external_id": "mine"}]}`, id)).want(`{"changed": 0, "failed_results": [{"code": "not_found", "field": "id"}]}`)
		other.delete(path + "/external_id/k").want(`{"status_is_ok": true}`)
	}
	for _, path := range []string{"/support_tickets/k", "/statements/k", "/metrics/k", "/subscriptions/k"} {
		other.delete(path).want(`{"status_is_ok": true}`)
	}
	other.delete("/accounts/a/nps_history").want(`{"status_is_ok": true}`)
	other.delete("/account_users/u").want(`{"status_is_ok": true}`)
	other.put("/accounts/a", `{"data": {"name": "changed"}}`).want(`{"status_is_ok": true}`)
	other.delete("/accounts/a").want(`{"status_is_ok": true}`)
	if after := c.state(); after != before {
		c.Errorf("another workspace changed something: before\n%s\nafter\n%s", before, after)
	}
}
