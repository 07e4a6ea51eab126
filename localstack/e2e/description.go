package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

var descriptionTests = []test{
	{"document", testDocument},
	{"routes", testRoutes},
	{"parameters", testParametersDescribed},
	{"fields", testFieldsDescribed},
}

// testDocument shows that the description is an OpenAPI document, open to all,
// whose references lead somewhere.
func testDocument(c *client) {
	for _, credentials := range []func(*http.Request){nil, query(""), basic("api", "test-key-unknown")} {
		a := c.exchange(request{method: http.MethodGet, path: "/openapi.json", credentials: credentials})
		a.decode()
		a.want(`{"openapi": "3.1.0", "info": {"title": "<text>", "version": "<text>"}, "paths": "<any>", "components": {"schemas": "<any>", "securitySchemes": "<any>"}}`)
	}
	d, err := c.target.describe()
	if err != nil {
		c.Fatal(err)
	}
	ids := map[any]bool{}
	var walk func(value any, at string)
	walk = func(value any, at string) {
		switch value := value.(type) {
		case []any:
			for _, v := range value {
				walk(v, at)
			}
		case object:
			if reference, ok := value["$ref"].(string); ok {
				if dig(d.document, strings.Split(strings.TrimPrefix(reference, "#/"), "/")...) == nil {
					c.Errorf("%s: %s leads nowhere", at, reference)
				}
			}
			if id, ok := value["operationId"]; ok {
				if ids[id] {
					c.Errorf("%s: the operationId %v is not unique", at, id)
				}
				ids[id] = true
			}
			for name, v := range value {
				walk(v, at+"."+name)
			}
		}
	}
	walk(d.document, "")
	if len(ids) != len(documentedRoutes) {
		c.Errorf("%d operations, want %d", len(ids), len(documentedRoutes))
	}
}

// documentedRoutes are all methods and paths that the API document has, with
// each optional end of a path spelled out, the two for MRR movements (contract
// S4), and those for usage and health.
var documentedRoutes = []string{
	"DELETE /account_contacts/{id}",
	"DELETE /account_contacts/{id}/{account_id}",
	"DELETE /account_users/{id}",
	"DELETE /account_users/{id}/{account_id}",
	"DELETE /accounts/{id}",
	"DELETE /accounts/{id}/assigned_csms",
	"DELETE /accounts/{id}/assigned_csms/{email}",
	"DELETE /accounts/{id}/dimension_labels",
	"DELETE /accounts/{id}/dimension_labels/{key}",
	"DELETE /accounts/{id}/dimension_values",
	"DELETE /accounts/{id}/dimension_values/{key}",
	"DELETE /accounts/{id}/documents",
	"DELETE /accounts/{id}/documents/{name}",
	"DELETE /accounts/{id}/nps_history",
	"DELETE /accounts/{id}/nps_history/{timestamp}",
	"DELETE /accounts/{id}/stage_history",
	"DELETE /accounts/{id}/stage_history/{name}",
	"DELETE /accounts/{id}/stage_history/{name}/{timestamp}",
	"DELETE /interactions/external_id/{external_id}",
	"DELETE /interactions/{id}",
	"DELETE /metrics/{name}",
	"DELETE /notes/external_id/{external_id}",
	"DELETE /notes/{id}",
	"DELETE /statements/{id}",
	"DELETE /subscriptions/{id}",
	"DELETE /support_tickets/{id}",
	"GET /account_contacts",
	"GET /account_contacts/{id}",
	"GET /account_contacts/{id}/{account_id}",
	"GET /account_users",
	"GET /account_users/{id}",
	"GET /account_users/{id}/usage",
	"GET /account_users/{id}/{account_id}",
	"GET /account_users/{id}/{account_id}/usage",
	"GET /accounts",
	"GET /accounts/{id}",
	"GET /accounts/{id}/contacts",
	"GET /accounts/{id}/documents",
	"GET /accounts/{id}/health",
	"GET /accounts/{id}/metrics",
	"GET /accounts/{id}/mrr_movements",
	"GET /accounts/{id}/statements",
	"GET /accounts/{id}/subscriptions",
	"GET /accounts/{id}/support_tickets",
	"GET /accounts/{id}/usage",
	"GET /accounts/{id}/users",
	"GET /interactions",
	"GET /interactions/external_id",
	"GET /interactions/external_id/{external_id}",
	"GET /interactions/{id}",
	"GET /metrics/{name}",
	"GET /mrr_movements",
	"GET /notes",
	"GET /notes/external_id",
	"GET /notes/external_id/{external_id}",
	"GET /notes/{id}",
	"GET /statements/{id}",
	"GET /subscriptions",
	"GET /subscriptions/{id}",
	"GET /support_tickets/{id}",
	"GET /usage",
	"POST /account_contacts",
	"POST /account_users",
	"POST /accounts",
	"POST /interactions",
	"POST /metrics",
	"POST /notes",
	"POST /search/account_contacts",
	"POST /search/account_users",
	"POST /search/accounts",
	"POST /statements",
	"POST /subscriptions",
	"POST /support_tickets",
	"PUT /account_contacts/{id}",
	"PUT /account_users/{id}",
	"PUT /accounts/{id}",
	"PUT /interactions/external_id/{external_id}",
	"PUT /interactions/{id}",
	"PUT /metrics/{name}",
	"PUT /notes/external_id/{external_id}",
	"PUT /notes/{id}",
	"PUT /statements/{id}",
	"PUT /subscriptions/{id}",
	"PUT /support_tickets/{id}",
}

// testRoutes shows that the routes of the document, those described and those
// served are the same.
func testRoutes(c *client) {
	d, err := c.target.describe()
	if err != nil {
		c.Fatal(err)
	}
	if described := d.routes(); !slices.Equal(described, documentedRoutes) {
		c.Errorf("described are\n%s\nwant\n%s", strings.Join(described, "\n"), strings.Join(documentedRoutes, "\n"))
	}
	paths := map[string]bool{}
	for _, route := range documentedRoutes {
		_, path, _ := strings.Cut(route, " ")
		paths[path] = true
		paths[path+"/{more}"] = true
		paths[path+"/{more}/{more}"] = true
	}
	fill := strings.NewReplacer("{id}", "x", "{account_id}", "x", "{name}", "x", "{key}", "x", "{email}", "x", "{timestamp}", "1", "{external_id}", "x", "{more}", "2")
	for path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			filled := fill.Replace(path)
			served := d.operation(method, filled) != nil
			a := c.exchange(request{method: method, path: filled})
			if got := a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed; got != served {
				c.Errorf("%s %s: status %d, described: %t", method, filled, a.status, served)
			}
		}
	}
}

// testParametersDescribed shows that the description names the query
// parameters of the document, contract Q23 and P11, and every part of each path.
func testParametersDescribed(c *client) {
	d, err := c.target.describe()
	if err != nil {
		c.Fatal(err)
	}
	list := []string{"direction", "include_inactive", "order_by", "page"}
	person := []string{"all_dimensions", "dimension"}
	ordered := []string{"direction", "order_by", "page"}
	filters := []string{"account_id", "create_time", "modify_time"}
	conversations := []string{"account_id", "create_time", "direction", "modify_time", "order_by", "page"}
	found := []string{"include_inactive", "page"}
	period := []string{"end", "interval", "start"}
	want := map[string][]string{
		"GET /accounts":                              append([]string{"direction", "include"}, list[1:]...),
		"GET /account_users":                         list,
		"GET /account_contacts":                      list,
		"GET /accounts/{id}/users":                   list,
		"GET /accounts/{id}/contacts":                list,
		"GET /accounts/{id}/documents":               {"page"},
		"DELETE /accounts/{id}":                      {"churn", "inactive_time"},
		"DELETE /account_users/{id}":                 person,
		"DELETE /account_users/{id}/{account_id}":    person,
		"DELETE /account_contacts/{id}":              person,
		"DELETE /account_contacts/{id}/{account_id}": person,
		"GET /accounts/{id}/metrics":                 {"direction", "page"},
		"GET /metrics/{name}":                        {"account_id", "direction", "page"},
		"DELETE /metrics/{name}":                     {"account_id"},
		"GET /accounts/{id}/statements":              ordered,
		"GET /accounts/{id}/support_tickets":         ordered,
		"GET /accounts/{id}/subscriptions":           ordered,
		"GET /subscriptions":                         ordered,
		"GET /subscriptions/{id}":                    {"history"},
		"DELETE /subscriptions/{id}":                 {"start_date"},
		"GET /accounts/{id}/mrr_movements":           {"direction", "page"},
		"GET /mrr_movements":                         {"direction", "end", "page", "start"},
		"GET /accounts/{id}/usage":                   period,
		"GET /account_users/{id}/usage":              period,
		"GET /account_users/{id}/{account_id}/usage": period,
		"GET /usage":                                 period,
		"GET /accounts/{id}/health":                  {"end", "start"},
		"POST /search/accounts":                      found,
		"POST /search/account_contacts":              found,
		"POST /search/account_users":                 found,
	}
	for _, family := range []string{"/interactions", "/notes"} {
		want["GET "+family] = conversations
		want["GET "+family+"/external_id"] = conversations
		want["GET "+family+"/{id}"] = filters
		want["GET "+family+"/external_id/{external_id}"] = filters
	}
	for _, route := range documentedRoutes {
		method, path, _ := strings.Cut(route, " ")
		var inQuery, inPath []string
		parameters, _ := d.operation(method, path)["parameters"].([]any)
		for _, p := range parameters {
			name, _ := dig(p, "name").(string)
			if dig(p, "in") == "query" {
				inQuery = append(inQuery, name)
			} else {
				inPath = append(inPath, "{"+name+"}")
			}
		}
		slices.Sort(inQuery)
		if !slices.Equal(inQuery, want[route]) {
			c.Errorf("%s: the query parameters %v are described, want %v", route, inQuery, want[route])
		}
		for _, name := range inPath {
			if !strings.Contains(path, name) {
				c.Errorf("%s: %s is described, but not in the path", route, name)
			}
		}
		if strings.Count(path, "{") != len(inPath) {
			c.Errorf("%s: the path parameters %v are described", route, inPath)
		}
	}
	choices := dig(d.operation(http.MethodGet, "/accounts")["parameters"].([]any)[0], "schema", "enum")
	if problems := match([]any{"account_id", "name", "join_date", "id"}, choices, "order_by"); problems != nil {
		c.Error(problems)
	}
}

// documentedFields are the fields that the API document has for each family,
// with type and length or range, and when they are required: "insert" for
// yes / no, "always" for yes / yes. It is the document's word, written down
// once more, against slips in the declarations.
var documentedFields = map[string]string{
	"accounts": `
		account_id string(256) always
		name string(512) insert
		join_date long insert
		renewal_date long
		billing_account_id string(256)
		support_account_id string(256)
		crm_account_id string(256)
		billing_street string(256)
		billing_city string(80)
		billing_postal_code string(80)
		billing_state string(80)
		billing_country string(256)
		phone string(80)
		employees integer
		industry string(80)
		tier string(80)
		csm_score integer(0..100)
		current_nps_score integer(-100..100)
		sales_rep_name string(256)
		sales_rep_email string(256)
		source string(80)
		stage string(80)
		website string(512)
		description string(512)
		is_deleted boolean
		is_churned boolean
		inactive_time long
		inactive_reason string(512)
		parent_account_id string(256)
		hierarchy_label string(80)
		latest_status_title string(80)
		latest_status_details string(8192)
		latest_status_date long
		assigned_csms array
		assigned_csms.email string(256) always
		custom_label_dimensions array
		custom_label_dimensions.key string(256) always
		custom_label_dimensions.value string(256)
		custom_value_dimensions array
		custom_value_dimensions.key string(256) always
		custom_value_dimensions.value double
		custom_event_dimensions array
		custom_event_dimensions.key string(256) always
		custom_event_dimensions.value long
		documents array
		documents.name string(80) always
		documents.url string(512) insert
		documents.description string(80)
		stage_history array
		stage_history.name string(80) always
		stage_history.start_date long always
		stage_history.end_date long
		nps_history array
		nps_history.nps_score long(-100..100) always
		nps_history.date long always
		nps_history.username string(128)
		nps_history.comments string(4096)`,
	"account_users": `
		account_id string(256) always
		user_id string(256) always
		first_name string(80) insert
		last_name string(80) insert
		is_primary boolean
		product_join_date long
		contact_user_id string(256)` + documentedDetails + `
		custom_label_dimensions.value string(256)
		custom_value_dimensions.value double
		custom_event_dimensions.value long`,
	"account_contacts": `
		account_id string(256) always
		user_id string(256) always
		first_name string(80) insert
		last_name string(80) insert
		is_primary boolean` + documentedDetails + `
		custom_label_dimensions.value string(256) always
		custom_value_dimensions.value double always
		custom_event_dimensions.value long always`,
}

// documentedDetails are the fields that users and contacts share, with the
// country under its right name too (U2).
const documentedDetails = `
		phone string(80)
		mobile_phone string(80)
		email string(512)
		salutation string(80)
		title string(128)
		role string(128)
		department string(128)
		lead_source string(80)
		mailing_street string(512)
		mailing_city string(80)
		mailing_state string(80)
		mailing_postal_code string(80)
		mailing_country string(80)
		maling_country string(80)
		source string(80)
		is_active boolean
		custom_label_dimensions array
		custom_label_dimensions.key string(256) always
		custom_value_dimensions array
		custom_value_dimensions.key string(256) always
		custom_event_dimensions array
		custom_event_dimensions.key string(256) always`

// testFieldsDescribed holds the description of what uploads take against the
// fields of the API document.
func testFieldsDescribed(c *client) {
	d, err := c.target.describe()
	if err != nil {
		c.Fatal(err)
	}
	follow := func(s any) any {
		if reference, ok := dig(s, "$ref").(string); ok {
			return dig(d.document, strings.Split(strings.TrimPrefix(reference, "#/"), "/")...)
		}
		return s
	}
	for family, documented := range documentedFields {
		upload := dig(d.operation(http.MethodPost, "/"+family), "requestBody", "content", "application/json", "schema")
		var described []string
		var walk func(s any, prefix string)
		walk = func(s any, prefix string) {
			s = follow(s)
			properties, _ := dig(s, "properties").(object)
			required, _ := dig(s, "required").([]any)
			for name, p := range properties {
				line := prefix + name + " " + typeOf(p)
				if slices.Contains(required, any(name)) {
					line += " always"
				} else if text, _ := dig(p, "description").(string); strings.Contains(text, "Required on insert") {
					line += " insert"
				}
				described = append(described, line)
				// Ids and labels, and no other text, may be given as numbers (P14).
				text, _ := dig(p, "description").(string)
				takes := strings.HasSuffix(name, "_id") || prefix+name == "custom_label_dimensions.value"
				if got := strings.Contains(text, "as its literal text"); got != takes {
					c.Errorf("%s %s%s is described as %q, want it to take numbers: %t", family, prefix, name, text, takes)
				}
				if items := dig(p, "items"); items != nil {
					walk(items, prefix+name+".")
				}
			}
		}
		walk(dig(upload, "properties", "records", "items"), "")
		var want []string
		for line := range strings.Lines(documented) {
			if line = strings.TrimSpace(line); line != "" {
				want = append(want, line)
			}
		}
		slices.Sort(described)
		slices.Sort(want)
		if !slices.Equal(described, want) {
			c.Errorf("%s takes, as described,\n%s\nwant\n%s", family, strings.Join(described, "\n"), strings.Join(want, "\n"))
		}
	}
}

// typeOf returns the type of a described property in the words of the API document.
func typeOf(p any) string {
	name, _ := dig(p, "type").(string)
	if several, ok := dig(p, "type").([]any); ok {
		name, _ = several[0].(string)
	}
	number := func(key string) string {
		n, _ := dig(p, key).(json.Number)
		return string(n)
	}
	switch {
	case name == "string":
		name += "(" + number("maxLength") + ")"
	case name == "number":
		name = "double"
	case name == "integer" && dig(p, "format") == "int64":
		name = "long"
	}
	if low := number("minimum"); low != "" {
		name += "(" + low + ".." + number("maximum") + ")"
	}
	return name
}
