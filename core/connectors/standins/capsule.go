package standins

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func capsule(s *connectortest.Server) {
	for _, name := range []string{"organisations", "people", "entries", "opportunities", "projects"} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: "updatedAt", Form: time.RFC3339})
	}
	for _, name := range []string{"deleted_organisations", "deleted_people", "deleted_opportunities"} {
		s.Collection(name, connectortest.Collection{ID: "id", Updated: "deletedAt", Form: time.RFC3339})
	}
	for _, name := range []string{"users", "tasks"} {
		s.Collection(name, connectortest.Collection{ID: "id"})
	}
	s.Demand("Accept", "application/json")
	switch s.Auth {
	case "oauth":
		s.OAuth("POST api.capsulecrm.com/oauth/token", connectortest.OAuth{Lifetime: time.Hour, Extra: map[string]any{"scope": "read", "subdomain": "acme"}})
	default:
		s.Header("Authorization", "Bearer secret-capsule-token")
	}
	s.Limited = connectortest.Refusal{Status: 429, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1793491260"}, Body: connectortest.Row{"error": "rate limit reached"}}
	s.Expired = connectortest.Refusal{Status: 401, Body: connectortest.Row{"message": "The token is missing, wrong or was revoked"}}
	s.Refused = []connectortest.Refusal{
		{Name: "a scope that is missing", Status: 403, Body: connectortest.Row{"message": "The scope is insufficient"}, Want: connector.ErrCredentials},
		{Name: "a parameter that it does not take", Status: 400, Body: connectortest.Row{"message": "Invalid request", "errors": []any{connectortest.Row{"message": "perPage is too large", "resource": "party"}}}, Want: connector.ErrRefused},
	}

	const base = "GET api.capsulecrm.com/api/v2"
	list := func(path, member string, most int, rows func(q *connectortest.Request) []connectortest.Row, more ...string) {
		s.Handle(base+path, func(q *connectortest.Request) any {
			q.Known(append(more, "page", "perPage")...)
			q.SetHeader("X-RateLimit-Remaining", "3999")
			q.SetHeader("X-RateLimit-Reset", "1793494800")
			cut := q.Linked("page", q.Size("perPage", 50, most), rows(q))
			if !cut.Last {
				q.Link("next", q.URL("page", strconv.Itoa(cut.Page+1)))
			}
			if cut.Page > 1 {
				q.Link("prev", q.URL("page", "1"))
			}
			return map[string]any{member: cut.Rows}
		})
	}
	// bare takes away what has to be asked for.
	bare := func(q *connectortest.Request, rows []connectortest.Row) []connectortest.Row {
		for _, row := range rows {
			for _, member := range []string{"tags", "fields"} {
				if !slices.Contains(strings.Split(q.Get("embed"), ","), member) {
					delete(row, member)
				}
			}
		}
		return rows
	}
	since := func(names ...string) func(q *connectortest.Request) []connectortest.Row {
		return func(q *connectortest.Request) (rows []connectortest.Row) {
			for _, name := range names {
				rows = append(rows, s.Since(name, q.Time("since", time.RFC3339))...)
			}
			return bare(q, rows)
		}
	}
	// deleted are those that were deleted from a collection since, which has to be said.
	deleted := func(q *connectortest.Request, known string, from ...string) []connectortest.Row {
		at := q.Time("since", time.RFC3339)
		if at.IsZero() {
			q.Fault("since is required")
		}
		rows := s.Since(known, at)
		for _, name := range from {
			for _, change := range s.Changes(name, at) {
				if change.Deleted {
					rows = append(rows, connectortest.Row{"id": change.ID, "deletedAt": change.At.UTC().Format(time.RFC3339)})
				}
			}
		}
		return rows
	}

	list("/parties", "parties", 100, func(q *connectortest.Request) []connectortest.Row {
		if q.Get("perPage") == "25" { // as only the stream of entries asks
			return since("entries")(q)
		}
		return since("organisations", "people")(q)
	}, "since", "embed")
	list("/parties/deleted", "parties", 100, func(q *connectortest.Request) []connectortest.Row {
		known := "deleted_organisations"
		if q.Get("perPage") == "50" {
			known = "deleted_people"
		}
		return deleted(q, known, "organisations", "people")
	}, "since")
	list("/opportunities", "opportunities", 100, since("opportunities"), "since", "embed")
	list("/opportunities/deleted", "opportunities", 100, func(q *connectortest.Request) []connectortest.Row {
		return deleted(q, "deleted_opportunities", "opportunities")
	}, "since")
	list("/kases", "kases", 100, since("projects"), "since", "embed")
	list("/tasks", "tasks", 100, func(q *connectortest.Request) []connectortest.Row {
		return s.Select(s.Rows("tasks"), func(r connectortest.Row) bool {
			return slices.Contains(strings.Split(q.Get("status"), ","), strings.ToLower(r["status"].(string)))
		})
	}, "status", "embed")
	list("/parties/{id}/entries", "entries", 50, func(q *connectortest.Request) (rows []connectortest.Row) {
		all, _ := connectortest.At(s.Data("history"), q.Path("id")).([]any)
		for _, entry := range all {
			rows = append(rows, entry.(connectortest.Row))
		}
		return rows
	}, "embed")
	s.Handle(base+"/users", func(q *connectortest.Request) any {
		q.Known("embed")
		rows := s.Rows("users")
		if q.Get("embed") != "party" {
			for _, row := range rows {
				delete(row, "party")
			}
		}
		return map[string]any{"users": rows}
	})
	s.Handle(base+"/parties/fields/definitions", func(q *connectortest.Request) any {
		q.Known("page", "perPage")
		return s.Data("definitions")
	})
}
