package api

import (
	"encoding/json"
	"net/http"
	"time"

	"tenure/core"
	"tenure/core/people"
	"tenure/core/schema"
	"tenure/core/usage"
)

// usageDays is for how many days usage, and the history of health, is told of where the
// request does not say.
const usageDays = 30

var usageQuery = []parameter{
	{name: "start", typ: schema.Time, doc: "From the beginning of the day (UTC) of this instant on, in epoch ms; if not given, 30 days"},
	{name: "end", typ: schema.Time, doc: "Up to but not including this instant, in epoch ms, and to the end of the day before it; if not given, up to now"},
	{name: "interval", typ: schema.String, choices: intervals(), def: string(usage.Day), doc: "By what to tell; weeks begin on Monday, and all at 00:00 UTC"},
}

func intervals() (names []string) {
	for _, i := range usage.Intervals {
		names = append(names, string(i))
	}
	return names
}

func usageRoute(path string, serve func(*server, *request) answer, summary string) route {
	return route{method: http.MethodGet, path: path, gives: usageReport, query: usageQuery, serve: serve, summary: summary}
}

// period reads the stretch of time that a request asks for.
func (s *server) period(r *request) (usage.Period, *core.Failure) {
	q, failure := parseList(r)
	if failure != nil {
		return usage.Period{}, failure
	}
	p := usage.Period{Interval: usage.Day}
	p.Start, p.End = s.stretch(&q)
	if text := r.query.Get("interval"); text != "" {
		p.Interval = usage.Interval(text)
	}
	return p, p.Check()
}

// stretch returns the stretch of time that a request asks for; where it does not say, the
// last days.
func (s *server) stretch(q *listQuery) (start, end int64) {
	const day = int64(24 * time.Hour / time.Millisecond)
	end = s.Engine.Now()
	if at := q.from("end"); at != nil {
		end = *at
	}
	if at := q.from("start"); at != nil {
		start = *at
	} else if days := (end - 1) / day; days >= usageDays {
		start = (days - usageDays + 1) * day
	}
	return start, end
}

// reported answers with the usage that of returns for the period of a request.
func (s *server) reported(r *request, of func(usage.Period) (*usage.Report, *core.Failure, error)) answer {
	p, failure := s.period(r)
	if failure != nil {
		return readFailure(failure)
	}
	report, failure, err := of(p)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	text, err := json.Marshal(report)
	if err != nil {
		return s.answerError(r, err)
	}
	return answer{status: http.StatusOK, body: append([]byte(`{"status_is_ok":true,`), text[1:]...)}
}

// accountUsage serves the usage of an account.
func accountUsage(s *server, r *request) answer {
	return s.reported(r, func(p usage.Period) (*usage.Report, *core.Failure, error) {
		if failure, err := s.Engine.RequireAccount(r.ctx, r.caller.Workspace, r.id("id")); failure != nil || err != nil {
			return nil, failure, err
		}
		report, err := s.Usage.Account(r.ctx, r.caller.Workspace, r.id("id"), p)
		return report, nil, err
	})
}

// userUsage serves the usage of a user: of the account that the path names or else,
// as where events are counted that name none, the user's own.
func userUsage(s *server, r *request) answer {
	return s.reported(r, func(p usage.Period) (*usage.Report, *core.Failure, error) {
		t := target(r, people.Users)
		if t.Account == "" {
			account, failure, err := s.Usage.AccountOf(r.ctx, t.Workspace, t.ID)
			if failure != nil || err != nil {
				return nil, failure, err
			}
			t.Account = account
		} else if records, err := s.Engine.Read(r.ctx, t); len(records) == 0 || err != nil {
			return nil, people.Users.NotFound(), err
		}
		report, err := s.Usage.User(r.ctx, t.Workspace, t.Account, t.ID, p)
		return report, nil, err
	})
}

// workspaceUsage serves the usage of all accounts.
func workspaceUsage(s *server, r *request) answer {
	return s.reported(r, func(p usage.Period) (*usage.Report, *core.Failure, error) {
		report, err := s.Usage.Workspace(r.ctx, r.caller.Workspace, p)
		return report, nil, err
	})
}

// usageSchemas describes what answers about usage hold.
func usageSchemas() (report, interval object) {
	ms := func(doc string) object {
		return object{"type": "integer", "format": "int64", "description": doc + ", in ms"}
	}
	instant := func(doc string) object {
		return object{"type": []string{"integer", "null"}, "format": "int64", "description": doc + ", in epoch ms; null for never"}
	}
	count := func(doc string) object { return object{"type": "integer", "format": "int64", "description": doc} }
	name := func(doc string) object { return object{"type": "string", "description": doc} }
	product, module := name("Product, if the events name one"), name("Module")
	list := func(doc string, properties object) object {
		return object{"type": "array", "description": doc, "items": object{"type": "object", "properties": properties}}
	}
	interval = object{"type": "object", "properties": object{
		"start": ms("The first instant, in the epoch"), "end": ms("The first instant afterwards, in the epoch"),
		"active_users":    count("How many different users were active; of a user, 0 or 1"),
		"active_accounts": count("How many accounts were active; of the workspace alone"),
		"sessions":        count("How many sessions there were"),
		"active_duration": ms("How long users were active"),
		"events":          count("How many events there were"),
		"modules": list("What was used, the most used first", object{"product": product, "module": module,
			"time_spent": ms("How long users were in it"), "events": count("How often they left it")}),
		"features": list("What was done, the most often done first", object{"product": product, "module": module, "feature": name("Feature"),
			"total": object{"type": "number", "description": "How often it was used"}, "events": count("In how many events")}),
		"actions":    list("The events by their action", object{"action": name("Action"), "events": count("How many there were")}),
		"first_seen": instant("When the first event happened"), "last_seen": instant("When the last event happened"),
	}}
	return object{
		"interval":             object{"type": "string", "enum": intervals(), "description": "By what it is told"},
		"results":              object{"type": "array", "description": "The intervals in their order, also those without an event", "items": ref("Usage")},
		"totals":               ref("Usage"),
		"daily_active_users":   count("How many different users were active on the last day"),
		"weekly_active_users":  count("How many were in the 7 days up to it"),
		"monthly_active_users": count("How many were in the 30 days up to it"),
		"first_seen":           instant("When the first event ever happened"), "last_seen": instant("When the last event ever happened"),
	}, interval
}
