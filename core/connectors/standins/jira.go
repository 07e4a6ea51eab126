package standins

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

// jql is what is understood of the query language: a condition that nobody looks
// into, and a time without a zone, to the minute.
var jql = regexp.MustCompile(`^\(project = SUP\) and updated >= "(\d{4}/\d\d/\d\d \d\d:\d\d)" order by updated asc$`)

func jira(s *connectortest.Server) {
	base := "acme.atlassian.net/rest/api/3"
	if s.Auth == "oauth" {
		base = "api.atlassian.com/ex/jira/11223344-a1b2-3b33-c444-def123456789/rest/api/3"
		s.OAuth("POST auth.atlassian.com/oauth/token", connectortest.OAuth{Rotating: true, Lifetime: time.Hour, JSON: true})
	} else {
		s.Basic("it@acme.example", "secret-jira-token")
	}
	zone, err := time.LoadLocation("Asia/Kolkata") // that of the user
	if err != nil {
		panic(err)
	}
	s.Collection("issues", connectortest.Collection{ID: "id", Updated: "fields.updated", Form: "2006-01-02T15:04:05.000-0700"})
	s.Same("comments", "issues")
	s.Answer("GET "+base+"/myself", "myself")
	s.Answer("GET "+base+"/field", "fields")
	s.Handle("POST "+base+"/search/jql", func(q *connectortest.Request) any {
		q.Known()
		body := q.JSON()
		query, _ := body["jql"].(string)
		m := jql.FindStringSubmatch(query)
		if m == nil {
			return connectortest.Refusal{Status: 400, Body: map[string]any{"errorMessages": []any{"Error in the JQL Query: " + query}, "errors": map[string]any{}}}
		}
		since, err := time.ParseInLocation("2006/01/02 15:04", m[1], zone)
		if err != nil {
			q.Fault("%v", err)
		}
		wanted, _ := body["fields"].([]any)
		if len(wanted) == 0 {
			wanted = []any{"id"}
		}
		token, _ := body["nextPageToken"].(string)
		cut := q.Cursor(token, 100, func() []connectortest.Row {
			rows := s.Since("issues", since)
			for _, row := range rows { // only what was asked for is there
				fields := row["fields"].(map[string]any)
				for name := range fields {
					if !slices.Contains(wanted, any(name)) {
						delete(fields, name)
					}
				}
			}
			return rows
		})
		page := map[string]any{"issues": cut.Rows, "isLast": cut.Last}
		if !cut.Last {
			page["nextPageToken"] = cut.Token
		}
		return page
	})
	s.Handle("GET "+base+"/issue/{id}/comment", func(q *connectortest.Request) any {
		q.Known("startAt", "maxResults")
		list, _ := s.Data("said").([]any)
		comments := []any{}
		for _, v := range list {
			row := v.(map[string]any)
			if row["issue"] == q.Path("id") {
				comments = append(comments, row["comment"])
			}
		}
		from, _ := strconv.Atoi(q.Get("startAt"))
		size := min(q.Size("maxResults", 100, 100), 1) // a server may always give less
		to := min(from+size, len(comments))
		from = min(from, to)
		return map[string]any{"comments": comments[from:to], "startAt": from, "maxResults": size, "total": len(comments)}
	})
	s.Refused = []connectortest.Refusal{
		{Status: 400, Body: map[string]any{"errorMessages": []any{"The value 'SUP' does not exist for the field 'project'."}, "errors": map[string]any{}}, Want: connector.ErrRefused},
	}
}
