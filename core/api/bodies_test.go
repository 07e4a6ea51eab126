package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"tenure/core/catalog"
	"tenure/core/resource"
)

// anyBodies are bodies that no family is meant by.
var anyBodies = []string{
	``, ` `, `{}`, `[]`, `null`, `{"records":[]}`, `{"records":null}`, `{"records":{}}`, `{"records":[null,1,"x",[],{}]}`,
	`{"records":[{"nonsense":1}],"options":{"reject_unknown_fields":true}}`, `{"records":[],"options":[]}`, `{"records":[],"options":{"dry_run":1}}`,
	`{"records":[{"account_id":"a1"}`, "{\"records\":[{\"account_id\":\"\xff\"}]}", `{"records":[],"records":[{}]}`, `{"RECORDS":[{}],"records":[]}`,
	`{"data":7}`, `{"data":null}`, `{"data":{}}`, `{"data":{"account_id":"other"}}`, `{"data":{"account_id":null}}`, `{"data":{"account_id":"a1"},"options":{"dry_run":true}}`,
	`{"records":[{"account_id":"gone"}],"options":{"ignore_missing_accounts":false}}`,
}

// bodies are those of each family, beside the record it is seeded with.
var bodies = map[string][]string{
	"accounts": {
		`{"records":[{"account_id":"a1","name":"Acme","join_date":1}]}`,
		`{"records":[{"account_id":1,"name":"","join_date":1e3,"employees":5.5}],"options":{"dry_run":true}}`,
		`{"records":[{"account_id":"a2","name":"\ud83d\ude00","join_date":0,"custom_label_dimensions":[{"key":"k","value":14.99}]}]}`,
		`{"records":[{"account_id":"a1","stage_history":[{"name":"x","start_date":5},{"name":"y","start_date":9,"end_date":8}]}]}`,
		`{"records":[{"account_id":"a1","nps_history":[{"nps_score":-100,"date":-9223372036854775808,"username":"\u0000\u0001"}]}]}`,
		`{"records":[{"account_id":"a1","nps_history":null,"documents":[{"name":"d","url":null}],"assigned_csms":[]}],"options":{"overwrite_csm_assignments":true}}`,
		`{"data":{"name":"New"}}`, `{"name":"New","stage":null}`,
	},
	"account_users": {
		`{"records":[{"account_id":"a1","user_id":"u1","is_active":false,"maling_country":"X"},{"account_id":"gone","user_id":"u"}]}`,
		`{"data":{"account_id":"a1","is_active":null,"product_join_date":null}}`,
	},
	"account_contacts": {
		`{"records":[{"account_id":"a1","user_id":"u1","custom_event_dimensions":[{"key":"k","value":null}]}]}`,
	},
	"metrics": {
		`{"records":[{"account_id":"a1","name":"m1","metrics":[{"timestamp":1,"value":1e308},{"timestamp":1,"value":-0.0}]}]}`,
		`{"records":[{"account_id":"a1","name":"account_id","metrics":[]},{"account_id":"a1","name":"\u0000/","metrics":[]}]}`,
		`{"records":[{"account_id":"a1","name":"m1","metrics":[{"timestamp":9223372036854775807,"value":1},{"timestamp":-9223372036854775808,"value":1e-320}]}]}`,
		`{"data":{"account_id":"a1","metrics":[{"timestamp":5,"value":1}]}}`, `{"data":{"metrics":[]}}`, `{"data":{"account_id":"a1","name":"m1","metrics":null}}`,
	},
	"subscriptions": {
		`{"records":[{"account_id":"a1","subscription_id":"s1","event":"renewal","effective_start_date":2000,"effective_end_date":3000,"total_revenue":-9223372036854775808,"cycle_unit":"day","cycle_length":2147483647,"previous_renewal_date":5000}]}`,
		`{"records":[{"account_id":"a1","subscription_id":"s1","event":"end","effective_start_date":-8640000000000000}]}`,
		`{"records":[{"account_id":"a1","subscription_id":"s1","event":"current","effective_start_date":8640000000000000,"total_revenue":1,"cycle_unit":"year","cycle_length":1,"next_renewal_date":null,"effective_end_date":null}]}`,
		`{"records":[{"account_id":"a1","subscription_id":"s1","event":"revenue","effective_start_date":1,"total_revenue":1,"cycle_unit":"month","cycle_length":0}]}`,
		`{"data":{"subscription_id":"s1","account_id":"a1","effective_start_date":1395158436543,"end_date":1397750436543}}`,
		`{"data":{"event":"end","effective_start_date":0,"custom_dimensions":null}}`,
	},
	"statements": {
		`{"records":[{"account_id":"a1","invoice_id":"i1","line_items":[{"amount":9223372036854775807,"is_recurring":true},{"amount":1,"is_recurring":true}],"paid_date":1}]}`,
		`{"records":[{"account_id":"a1","invoice_id":"i1","transactions":[{"tx_id":1,"paid_amount":-9223372036854775808,"paid_date":1}],"recurring":null}]}`,
		`{"data":{"line_items":[],"transactions":null,"non_recurring":0}}`, `{"data":{"paid_amount":1,"line_items":null}}`,
	},
	"support_tickets": {
		`{"records":[{"account_id":"a1","ticket_id":"t1","csat_value":1e2,"close_time":null},{"account_id":"a1","ticket_id":21623876183}]}`,
		`{"data":{"state":"","account_id":"gone"}}`, `{"data":{"assignee_id":45493,"description":"x"}}`,
	},
	"interactions": {
		`{"records":[{"account_id":"a1","external_id":"e2","type":"phone","create_time":1,"details":"x"},{"account_id":"a1","id":1},{"account_id":"a1"}]}`,
		`{"records":[{"account_id":"a1","external_id":1e3,"type":"x","create_time":1},{"account_id":"a1","external_id":"1e3","is_html":true}]}`,
		`{"records":[{"account_id":"a1","id":-1,"external_id":"e1"},{"account_id":"a1","id":9007199254740993,"external_id":null}]}`,
		`{"data":{"external_id":null}}`, `{"data":{"external_id":"e3","is_html":null}}`, `{"data":{"id":7,"subject":"s"}}`,
		`{"data":{"account_id":"a1","type":"x","create_time":1}}`,
	},
	"notes": {
		`{"records":[{"account_id":"a1","external_id":"e1","note":"n","editor_first_name":"A"}]}`, `{"data":{"external_id":"e1","modify_time":1}}`,
	},
}

// reads are what a family's records are read by, beside one of them.
func reads(f *resource.Family) []string {
	lists := map[string][]string{
		"accounts":         {"/accounts?include_inactive=1&include=assigned_csms"},
		"account_users":    {"/account_users?include_inactive=1", "/accounts/a1/users"},
		"account_contacts": {"/account_contacts?include_inactive=1", "/accounts/a1/contacts"},
		"metrics":          {"/accounts/a1/metrics", "/metrics/m1?account_id=a1&direction=asc"},
		"subscriptions":    {"/subscriptions", "/accounts/a1/subscriptions", "/subscriptions/s1?history=true"},
		"statements":       {"/accounts/a1/statements?order_by=paid_amount"},
		"support_tickets":  {"/accounts/a1/support_tickets"},
		"interactions":     {"/interactions", "/interactions/external_id", "/interactions?account_id=a1&modify_time=5"},
		"notes":            {"/notes", "/notes/external_id", "/notes?account_id=a1&create_time=5"},
	}
	return lists[f.Schema.Name]
}

// byID returns the path of a seeded record with a generated id.
func byID(t testing.TB, h http.Handler, path string) string {
	t.Helper()
	answer := promised(t, path, send(h, "GET", at(t, path), nil))
	results, _ := answer["results"].([]any)
	if len(results) != 1 {
		t.Fatalf("%s: %v", path, answer)
	}
	return fmt.Sprintf("%s/%.0f", path[:len(path)-len("/external_id/e1")], results[0].(map[string]any)["id"])
}

func FuzzBodies(f *testing.F) {
	h := newHandler(f)
	seed(f, h)
	families := catalog.All()
	ones := make([]string, len(families))
	for i, family := range families {
		ones[i] = seeds[family.Schema.Name].one
		if family.Generated != nil {
			ones[i] = byID(f, h, ones[i])
		}
		record := seeds[family.Schema.Name].record
		for _, body := range slices.Concat(anyBodies, bodies[family.Schema.Name], []string{
			`{"records":[` + record + `]}`, `{"data":` + record + `}`, record, `{"records":[` + record + `,` + record + `],"options":{"dry_run":true}}`,
		}) {
			f.Add(byte(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		i := int(which) % len(families)
		name, one := "/"+families[i].Schema.Name, ones[i]
		checkUpload(t, body, promised(t, "POST "+name, send(h, "POST", at(t, name), body)))
		for _, path := range slices.Compact([]string{one, seeds[name[1:]].one}) {
			promised(t, "PUT "+path, send(h, "PUT", at(t, path), body))
		}
		promised(t, "gzip", send(h, "POST", at(t, name), body, "Content-Encoding", "gzip"))
		for _, path := range append(reads(families[i]), one, "/accounts/a1") {
			answer := promised(t, "GET "+path, send(h, "GET", at(t, path), nil))
			if _, isList := answer["results"].([]any); answer["status_is_ok"] != true || !isList {
				t.Fatalf("after %q, %s cannot be read any more: %v", body, path, answer)
			}
		}
	})
}

func FuzzSearchBody(f *testing.F) {
	h := newHandler(f)
	seed(f, h)
	families := []string{"accounts", "account_users", "account_contacts"}
	for i := range families {
		for _, body := range append(anyBodies,
			`{"records":[{"attribute":"account_id","value":"a1"}]}`, `{"records":[{"attribute":"account_id","value":12.50,"operator":"like"}]}`,
			`{"records":[{"attribute":"user_id","value":"u1"},{"attribute":"is_active","operator":"isTrue"}]}`,
			`{"records":[{"attribute":"current_nps_score","operator":"ge","value":1e400},{"attribute":"employees","operator":"ne","value":-0.5e-7}]}`,
			`{"records":[{"attribute":"name","operator":"like","value":"\u212A\u0130\u1E9E"},{"attribute":"name","operator":"notLike","value":""}]}`,
			`{"records":[{"attribute":"join_date","operator":"lt","value":9223372036854775808}]}`, `{"records":[{"attribute":"join_date","value":1.5}]}`,
			`{"records":[{"attribute":"name","value":"Acme\n"},{"attribute":"name","operator":"lt","value":"x"}]}`,
			`{"records":[{"attribute":"is_deleted","value":false},{"attribute":"is_churned","operator":"isFalse","value":[]}]}`,
			`{"records":[{"attribute":"stage_history","value":"x"}]}`, `{"records":[{"attribute":"","operator":{},"value":null}]}`,
			`{"records":[{"attribute":"email","operator":"like","value":"@"},{"attribute":"maling_country","operator":"ne","value":"\u0000"}]}`,
		) {
			f.Add(byte(i), "", []byte(body))
		}
		f.Add(byte(i), "page=1&include_inactive=true", []byte(`{"records":[]}`))
		f.Add(byte(i), "page=-1", []byte(`{"records":[]}`))
	}
	f.Fuzz(func(t *testing.T, which byte, query string, body []byte) {
		target := at(t, "/search/"+families[int(which)%len(families)])
		target.RawQuery = query
		w := send(h, "POST", target, body)
		answer := promised(t, target.String(), w)
		results, isList := answer["results"].([]any)
		if w.Code == http.StatusOK && !isList || answer["status_is_ok"] != true && len(results) > 0 {
			t.Fatalf("%s with %q: %v", target, body, answer)
		}
		if _, paged := answer["current_page"].(float64); answer["status_is_ok"] == true && !paged {
			t.Fatalf("%s with %q: a page without its number: %v", target, body, answer)
		}
		if field, named := answer["field"].(string); answer["code"] != nil && answer["code"] != "malformed" && (!named || field == "") {
			t.Fatalf("%s with %q names no field: %v", target, body, answer)
		}
	})
}
