package standins

import (
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func chargebee(s *connectortest.Server) {
	const host = "GET acme-test.chargebee.com/api/v2/"
	s.Basic("secret-chargebee-key", "")
	s.Demand("chargebee-business-entity-id", "be_1")
	listed := func(cut connectortest.Cut, wrapper string) any {
		list := []any{}
		for _, row := range cut.Rows {
			wrapped := connectortest.Row{wrapper: row}
			if wrapper == "subscription" {
				wrapped["customer"] = s.Find("customers", row["customer_id"])
			}
			list = append(list, wrapped)
		}
		answer := connectortest.Row{"list": list}
		if !cut.Last {
			answer["next_offset"] = cut.Token
		}
		return answer
	}
	for _, name := range []string{"customers", "subscriptions", "invoices"} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: "updated_at", Form: "unix", Delete: func(r connectortest.Row) { r["deleted"] = true }})
		s.Handle(host+name, func(q *connectortest.Request) any {
			q.Known("limit", "offset", "updated_at[after]", "sort_by[asc]", "include_deleted")
			if by := q.Get("sort_by[asc]"); by != "updated_at" && q.Get("limit") != "1" {
				q.Fault("sorted by %q, a list does not stand still", by)
			}
			return listed(q.Cursor(q.Get("offset"), q.Size("limit", 10, 100), func() []connectortest.Row {
				after := q.Unix("updated_at[after]")
				if !after.IsZero() {
					after = after.Add(time.Second) // "after" is not "at"
				}
				return s.Select(s.Since(name, after), func(r connectortest.Row) bool { return q.Get("include_deleted") == "true" || r["deleted"] != true })
			}), strings.TrimSuffix(name, "s"))
		})
	}
	s.Handle(host+"customers/{id}/contacts", func(q *connectortest.Request) any {
		q.Known("limit", "offset")
		return listed(q.Cursor(q.Get("offset"), q.Size("limit", 10, 100), func() []connectortest.Row {
			var contacts []connectortest.Row
			for _, row := range of(s.Data("contacts"), "customer", q.Path("id")) {
				contacts = append(contacts, row["contact"].(connectortest.Row))
			}
			return contacts
		}), "contact")
	})
	refusal := func(status int, code, message string) connectortest.Refusal {
		return connectortest.Refusal{Name: code, Status: status, Body: connectortest.Row{"message": message, "type": "invalid_request", "api_error_code": code, "error_code": code, "error_msg": message, "http_status_code": status}}
	}
	s.Limited = refusal(429, "api_request_limit_exceeded", "Too many requests")
	s.Expired = refusal(401, "api_authentication_failed", "Sorry, authentication failed. Invalid API key.")
	wrong := refusal(400, "param_wrong_value", "limit : should be a number from 1 to 100")
	wrong.Want = connector.ErrRefused
	denied := refusal(403, "api_authorization_failed", "Sorry, you don't have permission to perform this operation.")
	denied.Want = connector.ErrCredentials
	s.Refused = []connectortest.Refusal{wrong, denied}
}
