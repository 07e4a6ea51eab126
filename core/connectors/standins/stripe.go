package standins

import (
	"fmt"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func stripe(s *connectortest.Server) {
	const host = "api.stripe.com/v1"
	s.Demand("Stripe-Version", "2022-11-15")
	s.Header("Authorization", "Bearer secret-stripe-key")
	for _, name := range []string{"customers", "subscriptions", "invoices"} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: "created", Form: "unix"})
		s.Handle("GET "+host+"/"+name, func(q *connectortest.Request) any {
			q.Known("limit", "starting_after", "status")
			rows := s.Rows(name)
			if name == "subscriptions" && q.Get("status") != "all" {
				rows = s.Select(rows, func(r connectortest.Row) bool { return r["status"] != "canceled" })
			}
			cut := q.After(q.Get("starting_after"), "id", q.Size("limit", 10, 100), rows)
			return map[string]any{"object": "list", "url": "/v1/" + name, "has_more": !cut.Last, "data": cut.Rows}
		})
		s.Handle("GET "+host+"/"+name+"/{id}", func(q *connectortest.Request) any {
			if row := s.Find(name, q.Path("id")); row != nil || name != "customers" {
				return row
			}
			return map[string]any{"id": q.Path("id"), "object": "customer", "deleted": true}
		})
	}
	s.Handle("GET "+host+"/invoices/{id}/lines", func(q *connectortest.Request) any {
		q.Known("limit", "starting_after")
		list, _ := s.Data("lines").([]any)
		var lines []connectortest.Row
		for _, v := range list {
			row := v.(map[string]any)
			if row["invoice"] == q.Path("id") {
				lines = append(lines, row["line"].(map[string]any))
			}
		}
		cut := q.After(q.Get("starting_after"), "id", q.Size("limit", 10, 100), lines)
		return map[string]any{"object": "list", "url": "/v1/invoices/" + q.Path("id") + "/lines", "has_more": !cut.Last, "data": cut.Rows}
	})
	kinds := map[string]string{"customer.updated": "customers", "customer.deleted": "customers", "customer.subscription.updated": "subscriptions", "invoice.updated": "invoices"}
	s.Handle("GET "+host+"/events", func(q *connectortest.Request) any {
		q.Known("limit", "starting_after", "types[]", "created[gte]")
		var events []connectortest.Row
		for _, kind := range q.All("types[]") {
			list := kinds[kind]
			if list == "" {
				continue
			}
			for _, c := range s.Changes(list, q.Unix("created[gte]")) {
				gone := list == "customers" && c.Deleted
				if gone != (kind == "customer.deleted") {
					continue
				}
				object := map[string]any{"id": c.ID}
				events = append(events, connectortest.Row{"id": fmt.Sprint("evt_", kind, c.ID, c.At.UnixNano()), "object": "event", "type": kind, "created": c.At.Unix(), "api_version": "2022-11-15",
					"livemode": true, "pending_webhooks": 0, "request": nil, "data": map[string]any{"object": object}})
			}
		}
		cut := q.After(q.Get("starting_after"), "id", q.Size("limit", 10, 100), events)
		return map[string]any{"object": "list", "url": "/v1/events", "has_more": !cut.Last, "data": cut.Rows}
	})
	s.Refused = []connectortest.Refusal{
		{Status: 403, Body: map[string]any{"error": map[string]any{"type": "invalid_request_error", "message": "The provided key does not have the required permissions"}}, Want: connector.ErrCredentials},
		{Status: 400, Body: map[string]any{"error": map[string]any{"type": "invalid_request_error", "message": "No such parameter"}}, Want: connector.ErrRefused},
	}
}
