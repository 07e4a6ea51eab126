package standins

import (
	"net/url"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func recurly(s *connectortest.Server) {
	const host = "v3.recurly.com"
	s.Demand("Accept", "application/vnd.recurly.v2021-02-25")
	s.Basic("secret-recurly-key", "")
	failure := func(kind, message string) connectortest.Row {
		return connectortest.Row{"error": connectortest.Row{"type": kind, "message": message, "params": []any{}}}
	}
	s.Expired = connectortest.Refusal{Status: 401, Body: failure("unauthorized", "Your API key is not valid")}
	s.Limited = connectortest.Refusal{Status: 429, Body: failure("rate_limited", "Too many requests"), Header: map[string]string{
		"X-RateLimit-Limit": "2000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1793491230",
	}}
	s.Refused = []connectortest.Refusal{
		{Name: "a version that is not there", Status: 406, Body: failure("invalid_api_version", "Unsupported version"), Want: connector.ErrRefused},
		{Name: "a key that may not read", Status: 403, Body: failure("invalid_permissions", "Not allowed"), Want: connector.ErrCredentials},
	}

	// page answers with a page of rows, and a link to the next one.
	page := func(q *connectortest.Request, size int, rows func() []connectortest.Row) any {
		cut := q.Cursor(q.Get("cursor"), size, rows)
		answer := connectortest.Row{"object": "list", "has_more": !cut.Last, "next": nil, "data": cut.Rows}
		if !cut.Last {
			next, _ := url.Parse(q.URL("cursor", cut.Token))
			answer["next"] = next.RequestURI()
		}
		return answer
	}
	for name, remove := range map[string]func(connectortest.Row){
		"plans": nil,
		"accounts": func(r connectortest.Row) {
			r["state"], r["deleted_at"] = "inactive", s.Now().Format(time.RFC3339)
		},
		"subscriptions": nil,
		"invoices":      func(r connectortest.Row) { r["state"] = "voided" },
	} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: "updated_at", Form: time.RFC3339, Delete: remove, Stays: remove == nil})
		s.Handle("GET "+host+"/"+name, func(q *connectortest.Request) any {
			q.Known("limit", "sort", "order", "begin_time", "end_time", "cursor")
			if since := q.Get("begin_time"); since != "" && (q.Get("sort") != "updated_at" || q.Get("order") != "asc") {
				q.Fault("begin_time is of another time than the last change, or rows are lost")
			}
			return page(q, q.Size("limit", 20, 200), func() []connectortest.Row { return s.Since(name, q.Time("begin_time", time.RFC3339)) })
		})
	}
	// of answers with the members of records/FILE.json that belong to a record.
	of := func(q *connectortest.Request, file, owner string, member string) any {
		return page(q, q.Size("limit", 20, 200), func() (rows []connectortest.Row) {
			for _, v := range s.Data(file).([]any) {
				if connectortest.At(v, owner) != q.Path("id") {
					continue
				}
				row := v.(connectortest.Row)
				if member != "" {
					row = row[member].(connectortest.Row)
				}
				rows = append(rows, row)
			}
			return rows
		})
	}
	s.Handle("GET "+host+"/accounts/{id}/notes", func(q *connectortest.Request) any {
		q.Known("cursor")
		return of(q, "notes", "account_id", "")
	})
	s.Handle("GET "+host+"/invoices/{id}/line_items", func(q *connectortest.Request) any {
		q.Known("limit", "cursor")
		return of(q, "line_items", "invoice", "item")
	})
}
