package standins

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func freshdesk(s *connectortest.Server) {
	const host = "acme.freshdesk.com/api/v2"
	s.Basic("secret-freshdesk-key", "X")
	s.Limited = connectortest.Refusal{Status: 429, Header: map[string]string{"Retry-After": "30"}, Body: connectortest.Row{"message": "You have exceeded the limit of requests per minute"}}
	s.Expired = connectortest.Refusal{Status: 401, Body: connectortest.Row{"code": "invalid_credentials", "message": "You have to be logged in to perform this action."}}
	s.Refused = []connectortest.Refusal{
		{Name: "an agent without rights", Status: 403, Body: connectortest.Row{"code": "access_denied", "message": "You are not authorized to perform this action."}, Want: connector.ErrCredentials},
		{Name: "a parameter it does not take", Status: 400, Body: connectortest.Row{"description": "Validation failed", "errors": []any{connectortest.Row{"field": "updated_since", "message": "It should be a valid date", "code": "invalid_value"}}}, Want: connector.ErrRefused},
	}
	timed := func(name, updated string, gone func(connectortest.Row)) {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: updated, Form: time.RFC3339, Delete: gone})
	}
	timed("agents", "updated_at", nil)
	timed("companies", "updated_at", nil)
	timed("contacts", "updated_at", func(r connectortest.Row) { r["deleted"] = true })
	timed("deleted_contacts", "updated_at", nil)
	// What is deleted was found to be spam before, so that both lists have it.
	timed("tickets", "updated_at", func(r connectortest.Row) { r["deleted"], r["spam"] = true, true })
	s.Same("conversations", "tickets")
	timed("deleted_tickets", "updated_at", nil)
	timed("spam", "updated_at", nil)
	timed("ratings", "created_at", nil)

	// Every list is a bare array. That there is more is said in the header Link.
	list := func(path string, rows func(q *connectortest.Request) []connectortest.Row, params ...string) {
		s.Handle("GET "+host+path, func(q *connectortest.Request) any {
			q.Known(append(params, "page", "per_page")...)
			if number := q.Size("page", 1, 1<<30); path == "/tickets" && number > 300 {
				return connectortest.Refusal{Status: 400, Body: connectortest.Row{"description": "Validation failed", "errors": []any{connectortest.Row{"field": "page", "message": "You cannot access tickets beyond the 300th page. Please provide a smaller page number.", "code": "invalid_value"}}}}
			}
			cut := q.Linked("page", q.Size("per_page", 30, 100), rows(q))
			if !cut.Last {
				q.Link("next", q.URL("page", strconv.Itoa(cut.Page+1)))
			}
			return cut.Rows
		})
	}
	since := func(name, filter string) func(q *connectortest.Request) []connectortest.Row {
		return func(q *connectortest.Request) []connectortest.Row { return s.Since(name, q.Time(filter, time.RFC3339)) }
	}
	marked := func(rows []connectortest.Row, member string) []connectortest.Row {
		return s.Select(rows, func(r connectortest.Row) bool { return r[member] == true })
	}
	kept := func(rows []connectortest.Row) []connectortest.Row {
		return s.Select(rows, func(r connectortest.Row) bool { return r["deleted"] != true && r["spam"] != true })
	}

	list("/agents", since("agents", ""))
	list("/companies", since("companies", ""))
	list("/contacts", func(q *connectortest.Request) []connectortest.Row {
		contacts := since("contacts", "_updated_since")(q)
		switch q.Get("state") {
		case "":
			return kept(contacts)
		case "deleted":
			return append(since("deleted_contacts", "_updated_since")(q), marked(contacts, "deleted")...)
		}
		q.Fault("there is no state %s", q.Get("state"))
		return nil
	}, "_updated_since", "state")
	list("/tickets", func(q *connectortest.Request) (rows []connectortest.Row) {
		if by, way := q.Get("order_by"), q.Get("order_type"); by != "updated_at" || way != "asc" {
			q.Fault("tickets come in the order of %s, %s", by, way)
		}
		tickets := since("tickets", "updated_since")(q)
		switch q.Get("filter") {
		case "":
			rows = kept(tickets)
		case "deleted":
			rows = append(since("deleted_tickets", "updated_since")(q), marked(tickets, "deleted")...)
		case "spam":
			rows = append(since("spam", "updated_since")(q), marked(tickets, "spam")...)
		default:
			q.Fault("there is no filter %s", q.Get("filter"))
		}
		if q.Get("updated_since") == "" {
			month := s.Now().Add(-30 * 24 * time.Hour).Format(time.RFC3339)
			rows = s.Select(rows, func(r connectortest.Row) bool { return r["created_at"].(string) >= month })
		}
		var include []string
		if q.Get("include") != "" {
			include = strings.Split(q.Get("include"), ",")
		}
		for _, name := range include {
			if !slices.Contains([]string{"requester", "stats", "company", "description"}, name) {
				q.Fault("nothing called %s can be included", name)
			}
		}
		for _, row := range rows {
			for _, name := range []string{"requester", "stats", "company", "description"} {
				if !slices.Contains(include, name) {
					delete(row, name)
					delete(row, name+"_text")
				}
			}
		}
		return connectortest.Sort(rows, "updated_at")
	}, "updated_since", "include", "order_by", "order_type", "filter")
	list("/tickets/{id}/conversations", func(q *connectortest.Request) []connectortest.Row {
		return of(s.Data("replies"), "ticket_id", q.Path("id"))
	})
	list("/surveys/satisfaction_ratings", since("ratings", "created_since"), "created_since")
	s.Answer("GET "+host+"/company_fields", "company_fields")
	s.Answer("GET "+host+"/ticket_fields", "ticket_fields")
}
