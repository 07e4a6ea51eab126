package standins

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func xero(s *connectortest.Server) {
	list := func(name, id string, gone func(connectortest.Row)) {
		s.Collection(name, connectortest.Collection{ID: id, Updated: "UpdatedDateUTC", Form: "/Date/", Delete: gone})
	}
	list("contacts", "ContactID", func(r connectortest.Row) { r["ContactStatus"] = "ARCHIVED" })
	list("contact_history", "ContactID", nil)
	list("invoices", "InvoiceID", func(r connectortest.Row) { r["Status"] = "VOIDED" })
	list("credit_notes", "CreditNoteID", func(r connectortest.Row) { r["Status"] = "DELETED" })
	s.Collection("repeating_invoices", connectortest.Collection{ID: "RepeatingInvoiceID", Delete: func(r connectortest.Row) { r["Status"] = "DELETED" }})

	s.Demand("Accept", "application/json")
	s.OAuth("POST identity.xero.com/connect/token", connectortest.OAuth{Rotating: true, Lifetime: 30 * time.Minute, Basic: true, BasicCode: true})
	s.Limited = connectortest.Refusal{Status: 429, Header: map[string]string{"Retry-After": "12", "X-Rate-Limit-Problem": "minute"}}
	s.Expired = connectortest.Refusal{Status: 401, Body: connectortest.Row{"Type": nil, "Title": "Unauthorized", "Status": 401, "Detail": "TokenExpired: token expired"}}
	s.Refused = []connectortest.Refusal{
		{Name: "another organisation", Status: 403, Body: connectortest.Row{"Title": "Forbidden", "Status": 403, "Detail": "AuthenticationUnsuccessful"}, Want: connector.ErrCredentials},
		{Name: "a filter that it does not know", Status: 400, Body: connectortest.Row{"ErrorNumber": 16, "Type": "QueryParseException", "Message": "No property or field 'X' exists"}, Want: connector.ErrRefused},
	}

	s.Answer("GET api.xero.com/connections", "connections")
	const base = "GET api.xero.com/api.xro/2.0"
	handle := func(path string, answer func(q *connectortest.Request) any) {
		s.Handle(base+path, func(q *connectortest.Request) any {
			if tenant := q.RequestHeader("Xero-tenant-id"); tenant != "70784a63-d24b-46a9-a4db-0e70a274b056" {
				q.Fault("the organisation is %q", tenant)
			}
			q.SetHeader("X-DayLimit-Remaining", "4200")
			q.SetHeader("X-MinLimit-Remaining", "40")
			return answer(q)
		})
	}
	// rows are those of a type that were changed since, in the order that was asked for.
	rows := func(q *connectortest.Request, name string) []connectortest.Row {
		all := s.Since(name, q.TimeHeader("If-Modified-Since", "2006-01-02T15:04:05"))
		if where := q.Get("where"); where != "" {
			var kind string
			if _, err := fmt.Sscanf(where, "Type==%q", &kind); err != nil {
				q.Fault("where=%s", where)
			}
			all = s.Select(all, func(r connectortest.Row) bool { return r["Type"] == kind })
		}
		if by, ok := strings.CutSuffix(q.Get("order"), " ASC"); ok {
			slices.SortStableFunc(all, func(a, b connectortest.Row) int { return cmp.Compare(fmt.Sprint(a[by]), fmt.Sprint(b[by])) })
		} else if q.Get("order") != "" {
			q.Fault("order=%s", q.Get("order"))
		}
		return all
	}
	paged := func(path, member string, name func(q *connectortest.Request) string, more ...string) {
		handle(path, func(q *connectortest.Request) any {
			q.Known(append(more, "page", "pageSize", "order", "where")...)
			size := q.Size("pageSize", 100, 1000)
			changed := rows(q, name(q))
			if path == "/Invoices" && len(changed) == 0 && q.RequestHeader("If-Modified-Since") != "" {
				return connectortest.Refusal{Status: http.StatusNotModified} // which is possible beside an empty list
			}
			cut := q.Linked("page", size, changed)
			return map[string]any{member: cut.Rows, "pagination": map[string]any{"page": cut.Page, "pageSize": size, "pageCount": cut.Pages, "itemCount": cut.Total}}
		})
	}
	of := func(name string) func(*connectortest.Request) string {
		return func(*connectortest.Request) string { return name }
	}
	paged("/Contacts", "Contacts", func(q *connectortest.Request) string {
		if q.Get("includeArchived") == "true" { // as only one of the two streams asks for them
			return "contacts"
		}
		return "contact_history"
	}, "includeArchived")
	paged("/Invoices", "Invoices", of("invoices"))
	paged("/CreditNotes", "CreditNotes", of("credit_notes"))
	handle("/RepeatingInvoices", func(q *connectortest.Request) any {
		q.Known("where", "order")
		return map[string]any{"RepeatingInvoices": rows(q, "repeating_invoices")}
	})
	handle("/Contacts/{id}/History", func(q *connectortest.Request) any {
		list, _ := connectortest.At(s.Data("history"), q.Path("id")).([]any)
		if list == nil {
			list = []any{}
		}
		return map[string]any{"HistoryRecords": list}
	})
	handle("/Organisation", func(*connectortest.Request) any { return s.Data("organisation") })
}
