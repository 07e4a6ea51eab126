package standins

import (
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func chargify(s *connectortest.Server) {
	const host = "GET acme.chargify.com"
	s.Basic("secret-chargify-key", "X")
	s.Answer(host+"/site.json", "site")
	paged := func(q *connectortest.Request, rows []connectortest.Row, wrapper string) []any {
		cut := q.Numbered("page", q.Size("per_page", 20, 200), rows)
		list := []any{} // an empty array beyond the last page
		for _, row := range cut.Rows {
			if wrapper == "" {
				list = append(list, row)
			} else {
				list = append(list, connectortest.Row{wrapper: row})
			}
		}
		return list
	}
	// since is what the list has of what has changed; ordinary is the date_field
	// that goes without saying.
	since := func(q *connectortest.Request, name, ordinary string) []connectortest.Row {
		start := q.Time("start_datetime", time.RFC3339) // without a zone it would be the site's
		field := q.Get("date_field")
		if field == "" {
			field = ordinary
		}
		if !start.IsZero() && field != "updated_at" {
			q.Fault("start_datetime is compared with %s", field)
		}
		if q.Get("direction") != "asc" {
			q.Fault("what changes in between moves to the front")
		}
		return s.Since(name, start)
	}
	for name, wrapper := range map[string]string{"customers": "customer", "subscriptions": "subscription"} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: "updated_at", Form: time.RFC3339})
		s.Handle(host+"/"+name+".json", func(q *connectortest.Request) any {
			q.Known("page", "per_page", "date_field", "start_datetime", "direction")
			return paged(q, since(q, name, "created_at"), wrapper)
		})
	}
	s.Collection("invoices", connectortest.Collection{ID: "uid", Updated: "updated_at", Form: time.RFC3339, Delete: func(r connectortest.Row) { r["status"] = "voided" }})
	s.Handle(host+"/invoices.json", func(q *connectortest.Request) any {
		parts := []string{"line_items", "payments", "discounts", "credits", "refunds"}
		q.Known(append(parts, "page", "per_page", "date_field", "start_datetime", "direction")...)
		rows := since(q, "invoices", "due_date")
		for _, row := range rows {
			for _, part := range parts {
				if q.Get(part) != "true" {
					delete(row, part)
				}
			}
		}
		return connectortest.Row{"invoices": paged(q, rows, "")}
	})
	s.Collection("mrr", connectortest.Collection{ID: "subscription_id"})
	s.Handle(host+"/subscriptions_mrr.json", func(q *connectortest.Request) any {
		q.Known("page", "per_page", "direction", "at_time")
		return connectortest.Row{"subscriptions_mrr": paged(q, s.Rows("mrr"), "")}
	})
	s.Handle(host+"/subscriptions/{id}/notes.json", func(q *connectortest.Request) any {
		q.Known("page", "per_page")
		return paged(q, of(s.Data("notes"), "subscription_id", q.Path("id")), "note")
	})
	s.Refused = []connectortest.Refusal{
		{Name: "a site that is blocked", Status: 422, Body: connectortest.Row{"errors": []any{"This site is not accessible."}}, Want: connector.ErrRefused},
		{Name: "a parameter", Status: 422, Body: connectortest.Row{"errors": connectortest.Row{"per_page": "is invalid"}}, Want: connector.ErrRefused},
	}
}
