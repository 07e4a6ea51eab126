package standins

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func intercom(s *connectortest.Server) {
	const host = "api.intercom.io"
	refusal := func(status int, code, message string) connectortest.Refusal {
		return connectortest.Refusal{Status: status, Body: connectortest.Row{"type": "error.list", "request_id": "r-1", "errors": []any{connectortest.Row{"code": code, "message": message}}}}
	}
	for _, name := range []string{"companies", "contacts", "conversations", "tickets"} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: "updated_at", Form: "unix"})
	}
	s.Same("company_notes", "companies")
	s.Same("contact_notes", "contacts")
	s.Same("replies", "conversations")

	s.Demand("Accept", "application/json")
	s.Demand("Intercom-Version", "2.15")
	switch s.Auth {
	case "oauth":
		s.OAuth("POST "+host+"/auth/eagle/token", connectortest.OAuth{Lasting: true, NoRedirect: true})
	default:
		s.Header("Authorization", "Bearer secret-intercom-token")
	}
	s.Expired = refusal(401, "unauthorized", "Access Token Invalid")
	s.Limited = refusal(400, "scroll_exists", "scroll already exists for this workspace")
	other := refusal(400, "parameter_invalid", "Invalid query")
	other.Name, other.Want = "a query it does not take", connector.ErrRefused
	right := refusal(403, "forbidden", "The access token is not permitted to do this")
	right.Name, right.Want = "a right that is missing", connector.ErrCredentials
	s.Refused = []connectortest.Refusal{other, right}
	s.Answer("GET "+host+"/me", "me")

	// There is one scroll at a time, which dies a minute after it was last used, or at
	// its end. Another one may be had while only the beginning of the first was read,
	// or else an answer that got lost would cost that minute.
	var scrolls int
	var used time.Time
	var gone bool
	s.Handle("GET "+host+"/companies/scroll", func(q *connectortest.Request) any {
		q.Known("scroll_param")
		scroll, token, on := strings.Cut(q.Get("scroll_param"), "~")
		alive := s.Now().Sub(used) < time.Minute
		answer := func(rows []connectortest.Row, next string) any {
			used = s.Now()
			return connectortest.Row{"type": "list", "data": rows, "pages": nil, "total_count": nil, "scroll_param": fmt.Sprintf("%d~%s", scrolls, next)}
		}
		switch {
		case !on && alive && gone:
			return s.Limited
		case !on:
			scrolls, gone = scrolls+1, false
		case !alive || scroll != strconv.Itoa(scrolls):
			return refusal(500, "server_error", "Request failed due to an internal network error. Please restart the scroll operation.")
		case token == "end":
			used = time.Time{}
			return connectortest.Row{"type": "list", "data": []any{}, "pages": nil, "total_count": nil, "scroll_param": q.Get("scroll_param")}
		default:
			gone = true
		}
		cut := q.Cursor(token, 100, func() []connectortest.Row { return s.Rows("companies") })
		if cut.Last {
			return answer(cut.Rows, "end")
		}
		return answer(cut.Rows, cut.Token)
	})

	// Dates are compared by days, in the workspace's time zone.
	zone := time.FixedZone("", -8*60*60)
	for name, list := range map[string]string{"contacts": "data", "conversations": "conversations", "tickets": "tickets"} {
		kind := map[string]string{"contacts": "list", "conversations": "conversation.list", "tickets": "ticket.list"}[name]
		s.Handle("POST "+host+"/"+name+"/search", func(q *connectortest.Request) any {
			body := q.JSON()
			at := func(path string) string { return fmt.Sprint(connectortest.At(body, path)) }
			value, ok := connectortest.At(body, "query.value.0.value").(json.Number)
			seconds, err := value.Int64()
			if !ok || err != nil || at("query.operator") != "AND" || at("query.value.0.field") != "updated_at" || at("query.value.0.operator") != ">" || connectortest.At(body, "query.value.1") != nil {
				q.Fault("this is not asked for with %v", body["query"])
			}
			if at("sort.field") != "updated_at" || at("sort.order") != "ascending" {
				q.Fault("the list is sorted by %v", body["sort"])
			}
			size := 20
			if n, ok := connectortest.At(body, "pagination.per_page").(json.Number); ok {
				if size, err = strconv.Atoi(n.String()); err != nil || size < 1 || size > 150 {
					q.Fault("a page has from 1 to 150 records, and not %s", n)
				}
			}
			day := time.Unix(seconds, 0).In(zone)
			midnight := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone)
			token, _ := connectortest.At(body, "pagination.starting_after").(string)
			cut := q.Cursor(token, size, func() []connectortest.Row { return s.Since(name, midnight) })
			pages := connectortest.Row{"type": "pages", "page": cut.Page, "per_page": size, "total_pages": cut.Pages}
			if !cut.Last {
				pages["next"] = connectortest.Row{"page": cut.Page + 1, "starting_after": cut.Token}
			}
			return connectortest.Row{"type": kind, list: cut.Rows, "total_count": cut.Total, "pages": pages}
		})
	}

	s.Handle("GET "+host+"/conversations/{id}", func(q *connectortest.Request) any {
		q.Known("display_as")
		row, ok := s.Find("conversations", q.Path("id")).(connectortest.Row)
		if !ok {
			return refusal(404, "not_found", "Resource Not Found")
		}
		parts := []any{}
		for _, of := range of(s.Data("parts"), "conversation", q.Path("id")) {
			parts = append(parts, of["part"])
		}
		row["conversation_parts"] = connectortest.Row{"type": "conversation_part.list", "conversation_parts": parts, "total_count": len(parts)}
		return row
	})
	s.Handle("GET "+host+"/contacts/{id}/companies", func(q *connectortest.Request) any {
		q.Known("page", "per_page")
		var rows []connectortest.Row
		for _, of := range of(s.Data("attached"), "contact", q.Path("id")) {
			if company, ok := s.Find("companies", of["company"]).(connectortest.Row); ok {
				rows = append(rows, company)
			}
		}
		size := q.Size("per_page", 50, 50)
		cut := q.Linked("page", size, rows)
		pages := connectortest.Row{"type": "pages", "page": cut.Page, "per_page": size, "total_pages": cut.Pages, "next": nil}
		if !cut.Last {
			pages["next"] = q.URL("page", strconv.Itoa(cut.Page+1))
		}
		return connectortest.Row{"type": "list", "companies": cut.Rows, "total_count": cut.Total, "pages": pages}
	})
	for _, name := range []string{"contacts", "companies"} {
		s.Handle("GET "+host+"/"+name+"/{id}/notes", func(q *connectortest.Request) any {
			q.Known("per_page", "starting_after")
			size := q.Size("per_page", 50, 150)
			cut := q.Cursor(q.Get("starting_after"), size, func() (rows []connectortest.Row) {
				for _, of := range of(s.Data("notes"), "of", q.Path("id")) {
					rows = append(rows, of["note"].(connectortest.Row))
				}
				return rows
			})
			pages := connectortest.Row{"type": "pages", "page": cut.Page, "per_page": size, "total_pages": cut.Pages, "next": nil}
			if !cut.Last {
				pages["next"] = connectortest.Row{"per_page": size, "starting_after": cut.Token}
			}
			return connectortest.Row{"type": "list", "data": cut.Rows, "total_count": cut.Total, "pages": pages}
		})
	}
}
