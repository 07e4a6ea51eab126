package standins

import (
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func chargebee(s *connectortest.Server) {
	s.Basic("secret-chargebee-key", "")
	failure := func(status int, code, message string) connectortest.Refusal {
		return connectortest.Refusal{Name: code, Status: status, Body: connectortest.Row{"message": message, "type": "operation_failed", "api_error_code": code, "http_status_code": status}}
	}
	s.Expired = failure(401, "api_authentication_failed", "Sorry, authentication failed. Invalid api key")
	s.Limited = failure(429, "api_request_limit_exceeded", "Too many requests")
	closed := failure(403, "api_authorization_failed", "The key does not have the rights")
	closed.Want = connector.ErrCredentials
	wrong := failure(400, "param_wrong_value", "limit : should be between 1 and 100")
	wrong.Want = connector.ErrRefused
	s.Refused = []connectortest.Refusal{closed, wrong}

	remove := func(r connectortest.Row) { r["deleted"] = true }
	for list, kind := range map[string]string{"customers": "customer", "subscriptions": "subscription", "invoices": "invoice"} {
		s.Collection(list, connectortest.Collection{ID: "id", Updated: "updated_at", Form: "unix", Delete: remove})
		s.Handle("GET acme-test.chargebee.com/api/v2/"+list, func(q *connectortest.Request) any {
			q.Known("limit", "offset", "updated_at[after]", "sort_by[asc]", "include_deleted")
			cut := q.Cursor(q.Get("offset"), q.Size("limit", 10, 100), func() []connectortest.Row {
				since := q.Unix("updated_at[after]")
				if !since.IsZero() {
					since = since.Add(time.Second) // those at that moment are not after it
				}
				return s.Select(s.Since(list, since), func(r connectortest.Row) bool { return r["deleted"] != true || q.Get("include_deleted") == "true" })
			})
			rows := []any{}
			for _, r := range cut.Rows {
				row := connectortest.Row{kind: r}
				if kind == "subscription" {
					row["customer"] = s.Find("customers", r["customer_id"])
				}
				rows = append(rows, row)
			}
			answer := connectortest.Row{"list": rows}
			if !cut.Last {
				answer["next_offset"] = cut.Token
			}
			return answer
		})
	}
}
