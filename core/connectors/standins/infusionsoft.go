package standins

import (
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func infusionsoft(s *connectortest.Server) {
	const zoned = "2006-01-02T15:04:05.999Z07:00"
	for name, updated := range map[string]string{"companies": "update_time", "contacts": "update_time", "notes": "update_time", "tasks": "modification_time",
		"orders": "modification_time", "order_payments": "modification_time", "users": "", "subscriptions": ""} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: updated, Form: zoned})
	}
	switch s.Auth {
	case "oauth":
		s.OAuth("POST api.infusionsoft.com/token", connectortest.OAuth{Rotating: true, Lifetime: 24 * time.Hour, Basic: true})
	default:
		s.Header("X-Keap-API-Key", "secret-keap-key")
	}
	s.Limited = connectortest.Refusal{Status: 429, Body: connectortest.Row{"code": "429", "message": "Quota Exceeded", "status": "Request Throttled"}}
	s.Expired = connectortest.Refusal{Status: 401, Body: connectortest.Row{"fault": connectortest.Row{"faultstring": "Invalid Access Token", "detail": connectortest.Row{"errorcode": "keymanagement.service.invalid_access_token"}}}}
	s.Refused = []connectortest.Refusal{{Name: "a field that there is not", Status: 400, Body: connectortest.Row{"code": "400", "message": "Invalid field", "status": "Bad Request"}, Want: connector.ErrRefused}}

	const base = "GET api.infusionsoft.com/crm/rest/v2"
	// list answers with a list, by a name of the filter for the time of a change and
	// with the fields that have to be asked for.
	list := func(path, since string, size int, optional []string, collection func(q *connectortest.Request) string) {
		s.Handle(base+path, func(q *connectortest.Request) any {
			q.Known("filter", "fields", "order_by", "page_size", "page_token")
			name := collection(q)
			q.SetHeader("x-keap-product-quota-limit", "30000")
			q.SetHeader("x-keap-product-quota-available", "21000")
			cut := q.Cursor(q.Get("page_token"), q.Size("page_size", size, size), func() []connectortest.Row {
				var at time.Time
				for filter := range strings.SplitSeq(q.Get("filter"), ";") {
					parameter, value, _ := strings.Cut(filter, "==")
					switch {
					case filter == "", parameter == "include_inactive" && path == "/users":
					case parameter == since:
						var err error
						if at, err = time.Parse("2006-01-02T15:04:05.000Z", value); err != nil {
							q.Fault("filter: %v", err)
						}
					default:
						q.Fault("filter=%s", filter)
					}
				}
				rows := s.Since(name, at)
				for _, row := range rows {
					for _, field := range optional {
						if !strings.Contains(","+q.Get("fields")+",", ","+field+",") {
							delete(row, field)
						}
					}
				}
				return rows
			})
			return map[string]any{path[1:]: cut.Rows, "next_page_token": cut.Token}
		})
	}
	of := func(name string) func(*connectortest.Request) string {
		return func(*connectortest.Request) string { return name }
	}
	list("/users", "", 100, nil, of("users"))
	list("/companies", "since_time", 1000, []string{"notes", "fax_number", "address", "email_address", "phone_number", "update_time", "create_time", "custom_fields"}, of("companies"))
	list("/contacts", "start_update_time", 1000, []string{"given_name", "family_name", "preferred_name", "prefix", "job_title", "contact_type", "company", "email_addresses", "phone_numbers", "addresses", "custom_fields", "create_time", "update_time"}, of("contacts"))
	list("/notes", "since_time", 1000, []string{"custom_fields"}, of("notes"))
	list("/tasks", "since_time", 1000, []string{"custom_fields"}, of("tasks"))
	list("/subscriptions", "", 1000, nil, of("subscriptions"))
	list("/orders", "modified_since_time", 1000, nil, func(q *connectortest.Request) string {
		if q.Get("page_size") == "50" { // as many as one of the two streams asks for
			return "order_payments"
		}
		return "orders"
	})
	s.Answer(base+"/companies/model", "model")
	s.Handle(base+"/orders/{id}/payments", func(q *connectortest.Request) any {
		q.Known("page_token")
		all, _ := connectortest.At(s.Data("payments"), q.Path("id")).([]any)
		cut := q.Cursor(q.Get("page_token"), 1000, func() (rows []connectortest.Row) {
			for _, one := range all {
				rows = append(rows, one.(connectortest.Row))
			}
			return rows
		})
		return map[string]any{"invoice_order_payments": cut.Rows, "next_page_token": cut.Token}
	})
}
