package standins

import (
	"slices"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

func delighted(s *connectortest.Server) {
	s.Collection("survey_responses", connectortest.Collection{ID: "id", Updated: "updated_at", Form: "unix"})
	s.Collection("people", connectortest.Collection{ID: "id"})
	s.Basic("secret-delighted-key", "")
	s.Limited = connectortest.Refusal{Status: 429, Header: map[string]string{"Retry-After": "5"}}
	s.Expired = connectortest.Refusal{Status: 401, Body: connectortest.Row{"status": 401, "message": "Unauthorized"}}
	s.Refused = []connectortest.Refusal{
		{Name: "a page about the end", Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "\n<!DOCTYPE html><p>Goodbye", Want: connector.ErrEnded},
		{Name: "nothing there", Status: 404, Body: connectortest.Row{}, Want: connector.ErrEnded},
		{Name: "nothing there any more", Status: 410, Body: "gone", Want: connector.ErrEnded},
		{Name: "a parameter that it does not take", Status: 422, Body: connectortest.Row{"status": 422, "message": "Unprocessable"}, Want: connector.ErrRefused},
	}

	const base = "GET api.delighted.com/v1"
	s.Handle(base+"/survey_responses.json", func(q *connectortest.Request) any {
		q.Known("per_page", "page", "order", "expand[]", "since", "until", "updated_since", "updated_until")
		rows := s.Since("survey_responses", q.Unix("updated_since"))
		if !slices.Contains(q.All("expand[]"), "person") {
			for _, row := range rows {
				row["person"] = connectortest.At(row, "person.id")
			}
		}
		return q.Numbered("page", q.Size("per_page", 20, 100), rows).Rows
	})
	s.Handle(base+"/people.json", func(q *connectortest.Request) any {
		q.Known("per_page", "page_info", "since", "until")
		cut := q.Cursor(q.Get("page_info"), q.Size("per_page", 20, 100), func() []connectortest.Row { return s.Rows("people") })
		if !cut.Last {
			q.Link("next", q.URL("page_info", cut.Token))
		}
		return cut.Rows
	})
	s.Answer(base+"/metrics.json", "metrics")
}
