package standins

import (
	"strconv"
	"strings"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func desk(s *connectortest.Server) {
	erase := func(r connectortest.Row) { r["status"] = "deleted" }
	// Older records have no id but the one in their own link.
	for name, gone := range map[string]func(connectortest.Row){"users": nil, "companies": nil, "customers": nil, "cases": erase, "conversations": erase} {
		s.Collection(name, connectortest.Collection{ID: "_links.self.href", Delete: gone})
	}
	s.Demand("Accept", "application/json")
	s.Basic("it@acme.example", "secret-desk-password")
	s.Limited = connectortest.Refusal{Status: 429, Header: map[string]string{"X-Rate-Limit-Limit": "300", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "17"}, Body: connectortest.Row{"message": "Too Many Requests"}}
	s.Expired = connectortest.Refusal{Status: 401, Body: connectortest.Row{"message": "Invalid user credentials"}}
	s.Refused = []connectortest.Refusal{
		{Name: "a page about the end", Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html><body>Service Cloud</body></html>", Want: connector.ErrEnded},
		{Name: "JSON of something else", Status: 200, Body: connectortest.Row{"ok": true}, Want: connector.ErrEnded},
		{Name: "nothing there any more", Status: 410, Want: connector.ErrEnded},
		{Name: "a parameter that it does not take", Status: 422, Body: connectortest.Row{"message": "Validation Failed"}, Want: connector.ErrRefused},
	}

	const host = "acme.desk.com"
	list := func(path string, most int, rows func(q *connectortest.Request) []connectortest.Row) {
		s.Handle("GET "+host+"/api/v2"+path, func(q *connectortest.Request) any {
			q.Known("page", "per_page", "sort_field", "sort_direction")
			q.SetHeader("X-Rate-Limit-Limit", "300")
			q.SetHeader("X-Rate-Limit-Remaining", "299")
			q.SetHeader("X-Rate-Limit-Reset", "42")
			cut := q.Linked("page", q.Size("per_page", 50, most), rows(q))
			at := func(page int) connectortest.Row {
				return connectortest.Row{"href": strings.TrimPrefix(q.URL("page", strconv.Itoa(page)), "https://"+host), "class": "page"}
			}
			links := connectortest.Row{"self": at(cut.Page), "first": at(1), "last": at(max(1, cut.Pages)), "previous": nil, "next": nil}
			if cut.Page > 1 {
				links["previous"] = at(cut.Page - 1)
			}
			if !cut.Last {
				links["next"] = at(cut.Page + 1)
			}
			return connectortest.Row{"total_entries": cut.Total, "page": cut.Page, "_links": links, "_embedded": connectortest.Row{"entries": cut.Rows}}
		})
	}
	all := func(name string) func(*connectortest.Request) []connectortest.Row {
		return func(*connectortest.Request) []connectortest.Row { return s.Rows(name) }
	}
	of := func(name string) func(*connectortest.Request) []connectortest.Row {
		return func(q *connectortest.Request) (rows []connectortest.Row) {
			list, _ := connectortest.At(s.Data(name), q.Path("id")).([]any)
			for _, one := range list {
				rows = append(rows, one.(connectortest.Row))
			}
			return rows
		}
	}
	list("/users", 1000, all("users"))
	list("/companies", 100, all("companies"))
	list("/customers", 100, all("customers"))
	list("/cases", 100, func(q *connectortest.Request) []connectortest.Row {
		if q.Get("per_page") == "20" { // as only the stream of conversations asks
			return s.Rows("conversations")
		}
		return s.Rows("cases")
	})
	list("/cases/{id}/notes", 100, of("notes"))
	list("/cases/{id}/replies", 100, of("replies"))
}
