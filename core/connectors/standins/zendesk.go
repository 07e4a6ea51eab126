package standins

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func zendesk(s *connectortest.Server) {
	const base = "GET acme.zendesk.com/api/v2"
	// Exports hold the last minute back.
	const held = time.Minute
	s.Collection("organizations", connectortest.Collection{ID: "id", Updated: "updated_at", Form: time.RFC3339})
	s.Collection("users", connectortest.Collection{ID: "id", Updated: "updated_at", Form: time.RFC3339, Delete: func(r connectortest.Row) { r["active"] = false }})
	s.Collection("tickets", connectortest.Collection{ID: "id", Updated: "updated_at", Form: time.RFC3339, Delete: func(r connectortest.Row) { r["status"] = "deleted" }})
	s.Same("comments", "tickets")
	switch s.Auth {
	case "oauth":
		s.OAuth("POST acme.zendesk.com/oauth/tokens", connectortest.OAuth{Rotating: true, Lifetime: 30 * time.Minute, JSON: true, Extra: map[string]any{"refresh_token_expires_in": 2592000, "scope": "read"}})
	default:
		s.Basic("it@acme.example/token", "secret-zendesk-token")
	}
	s.Limited = connectortest.Refusal{Status: 429, Header: map[string]string{"Retry-After": "52", "ratelimit-limit": "10", "ratelimit-remaining": "0", "ratelimit-reset": "52"},
		Body: connectortest.Row{"error": "APIRateLimitExceeded", "description": "Number of allowed incremental ticket export API requests per minute exceeded"}}
	s.Expired = connectortest.Refusal{Status: 401, Body: connectortest.Row{"error": "Couldn't authenticate you"}}
	s.Refused = []connectortest.Refusal{
		{Name: "no administrator", Status: 403, Body: connectortest.Row{"error": connectortest.Row{"title": "Forbidden", "message": "You do not have access to this page."}}, Want: connector.ErrCredentials},
		{Name: "too recent", Status: 422, Body: connectortest.Row{"error": "StartTimeTooRecent", "description": "Too recent start_time. Use a start_time older than 60 seconds"}, Want: connector.ErrRefused},
	}
	s.Answer(base+"/users/me.json", "me")

	start := func(q *connectortest.Request) time.Time {
		at := q.Unix("start_time")
		if at.IsZero() || at.Unix() < 1 || at.After(s.Now().Add(-held)) {
			q.Fault("start_time=%s is no time before the last minute", q.Get("start_time"))
		}
		return at
	}
	// exported are the rows that an export has, without those of the last minute.
	exported := func(name string, since time.Time) []connectortest.Row {
		return s.Select(s.Since(name, since), func(r connectortest.Row) bool { return !updated(r).After(s.Now().Add(-held)) })
	}
	paced := func(q *connectortest.Request) {
		q.SetHeader("ratelimit-limit", "10")
		q.SetHeader("ratelimit-remaining", "7")
		q.SetHeader("ratelimit-reset", "41")
	}
	for _, name := range []string{"tickets", "users"} {
		s.Handle(base+"/incremental/"+name+"/cursor.json", func(q *connectortest.Request) any {
			q.Known("start_time", "cursor", "include", "per_page")
			paced(q)
			token, since := q.Get("cursor"), time.Time{}
			if at, ok := strings.CutPrefix(token, "until:"); ok { // where an export has ended
				unix, err := strconv.ParseInt(at, 10, 64)
				if err != nil {
					q.Fault("the cursor %s is not known", token)
				}
				token, since = "", time.Unix(unix, 0)
			} else if token == "" {
				since = start(q)
			}
			cut := q.Cursor(token, 1000, func() []connectortest.Row { return exported(name, since) })
			after := cut.Token
			if cut.Last {
				after = fmt.Sprintf("until:%d", cut.Taken.Add(-held).Unix()+1)
			}
			rows, sets := []any{}, []any{}
			for _, row := range cut.Rows {
				row = maps.Clone(row)
				if of, ok := row["metric_set"].(connectortest.Row); ok {
					of = maps.Clone(of)
					of["ticket_id"] = row["id"]
					sets = append(sets, of)
					delete(row, "metric_set")
				}
				rows = append(rows, row)
			}
			answer := connectortest.Row{name: rows, "after_cursor": after, "after_url": q.URL("cursor", after), "before_cursor": nil, "before_url": nil, "end_of_stream": cut.Last}
			if q.Get("include") == "metric_sets" {
				answer["metric_sets"] = sets
			}
			return answer
		})
	}
	s.Handle(base+"/incremental/organizations.json", func(q *connectortest.Request) any {
		q.Known("start_time", "include", "per_page")
		paced(q)
		rows := exported("organizations", start(q))
		cut := q.Cursor("", 1000, func() []connectortest.Row { return rows })
		// A page ends where a second does: it may have more than it should.
		n, end := len(cut.Rows), s.Now().Add(-held).Unix()+1
		for n > 0 && n < len(rows) && updated(rows[n]).Equal(updated(rows[n-1])) {
			n++
		}
		if n < len(rows) {
			end = updated(rows[n]).Unix()
		}
		return connectortest.Row{"organizations": rows[:n], "count": n, "end_time": end, "next_page": q.URL("start_time", fmt.Sprint(end)), "end_of_stream": n == len(rows)}
	})
	s.Handle(base+"/tickets/{id}/comments", func(q *connectortest.Request) any {
		q.Known("page[size]", "page[after]")
		cut := q.Cursor(q.Get("page[after]"), q.Size("page[size]", 100, 100), func() []connectortest.Row { return of(s.Data("ticket_comments"), "ticket_id", q.Path("id")) })
		return connectortest.Row{"comments": cut.Rows, "meta": connectortest.Row{"has_more": !cut.Last, "after_cursor": cut.Token, "before_cursor": ""}, "links": connectortest.Row{}}
	})
}

// updated is when a row was changed.
func updated(r connectortest.Row) time.Time {
	at, _ := time.Parse(time.RFC3339, fmt.Sprint(r["updated_at"]))
	return at
}
