package api

import (
	"encoding/json"
	"net/http"

	"tenure/core/health"
	"tenure/core/schema"
)

func healthRoute() route {
	return route{method: http.MethodGet, path: "/accounts/{id}/health", gives: healthReport, serve: accountHealth,
		summary: "Retrieve the health score of an account, how it came about, and its history",
		query: []parameter{
			{name: "start", typ: schema.Time, doc: "History from the day (UTC) of this instant on, in epoch ms; if not given, of 30 days"},
			{name: "end", typ: schema.Time, doc: "History up to but not including this instant, in epoch ms, and to the end of the day before it; if not given, up to now"},
		}}
}

// accountHealth serves the health score of an account.
func accountHealth(s *server, r *request) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	workspace, account := r.caller.Workspace, r.id("id")
	failure, err := s.Engine.RequireAccount(r.ctx, workspace, account)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	start, end := s.stretch(&q)
	days, failure, err := s.health.History(r.ctx, workspace, account, start, end)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	latest, found, err := s.health.Latest(r.ctx, workspace, account)
	if err != nil {
		return s.answerError(r, err)
	}
	report := struct {
		OK        bool   `json:"status_is_ok"`
		AccountID string `json:"account_id"`
		health.Assessment
		ComputedAt *int64       `json:"computed_at"`
		Results    []health.Day `json:"results"`
	}{OK: true, AccountID: account, Assessment: latest.Assessment, Results: days}
	if found {
		report.ComputedAt = &latest.At
	} else {
		report.Assessment = health.Unassessed()
	}
	text, err := json.Marshal(report)
	if err != nil {
		return s.answerError(r, err)
	}
	return answer{status: http.StatusOK, body: text}
}

// healthSchemas describes what an answer about health holds.
func healthSchemas() (report, part, day object) {
	whole := func(doc string) object { return object{"type": "integer", "description": doc} }
	points := func(doc string) object {
		return object{"type": []string{"integer", "null"}, "minimum": 0, "maximum": 100, "description": doc}
	}
	text := func(doc string) object { return object{"type": "string", "description": doc} }
	instant := func(doc string) object {
		return object{"type": "integer", "format": "int64", "description": doc + ", in epoch ms"}
	}
	list := func(doc string, items object) object {
		return object{"type": "array", "description": doc, "items": items}
	}
	part = object{"type": "object", "description": "One part of the model", "properties": object{
		"part":        object{"type": "string", "enum": health.PartNames},
		"status":      object{"type": "string", "enum": []health.Status{health.Counted, health.NotEnoughData, health.DoesNotCount}, "description": "Whether its points count"},
		"points":      points("Points; null for none"),
		"weight":      whole("The weight set for the part"),
		"explanation": text("Why, in plain English"),
		"inputs": object{"type": "object", "description": "The numbers it follows from, without those that are not known; MRR in cents",
			"additionalProperties": object{"type": "integer", "format": "int64"}},
		"measures": list("The measures whose mean the points are", object{"type": "object", "properties": object{
			"measure": text("Name"), "points": points("Points"), "explanation": text("What was measured"),
		}}),
	}}
	day = object{"type": "object", "description": "A day of the history, as it was at last", "properties": object{
		"date":   instant("00:00 UTC of the day"),
		"score":  points("Score; null for none"),
		"points": object{"type": "object", "description": "Points of the parts that had any", "additionalProperties": object{"type": "integer"}},
	}}
	return object{
		"account_id":  text("Account ID"),
		"score":       points("Health score: the mean of the parts' points, weighted, rounded half up; null where there is not enough data"),
		"explanation": text("What the score is made of or why there is none, in plain English"),
		"weight":      whole("The weights of all parts that count"),
		"parts":       list("The parts in their order", ref("HealthPart")),
		"computed_at": object{"type": []string{"integer", "null"}, "format": "int64", "description": "When it was computed, in epoch ms: when anything changed, and once a day; null for never"},
		"results":     list("The days of the history, the oldest first; those on which nothing was computed are left out", ref("HealthDay")),
	}, part, day
}
