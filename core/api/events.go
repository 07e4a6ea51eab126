package api

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/usage"
)

const (
	// EventsBase is where the Usage Event API lies, EventsPath where events are sent
	// (contract E1), in the form of http.ServeMux and OpenAPI. Both its parameters are
	// secret.
	EventsBase = "/v1"
	EventsPath = EventsBase + "/{auth_key}/{api_key}"
	// EventsFunction is the name of the function that takes usage events.
	EventsFunction = "events"
	// MaxEventsBytes is the largest request body with usage events, decompressed
	// (contract E2).
	MaxEventsBytes = 6 << 20
	// maxEvents is the largest number of events in one request. More than that do not
	// fit MaxEventsBytes, unless they are too short to be events.
	maxEvents = 100_000
)

// NewEvents returns the handler of the Usage Event API (contract E1 to E6), complete
// with its answers to everything else under any path. Pages of any origin may send
// events: it is the keys that tell who does.
func NewEvents(c Config) (http.Handler, error) {
	h, err := (&server{Config: c}).handler("", []route{
		{method: http.MethodPost, path: EventsPath, function: EventsFunction, most: MaxEventsBytes, authenticate: eventsCaller, serve: takeEvents},
		{method: http.MethodOptions, path: EventsPath, function: EventsFunction, public: true, serve: preflight},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		h.ServeHTTP(w, r)
	}), err
}

// preflight tells a browser that pages of any origin may send events.
func preflight(*server, *request) answer {
	return answer{status: http.StatusOK, body: []byte(`{"status_is_ok":true}`), header: http.Header{
		"Access-Control-Allow-Methods": {http.MethodPost}, "Access-Control-Allow-Headers": {"Content-Type, Content-Encoding"}, "Access-Control-Max-Age": {"86400"},
	}}
}

// eventsCaller finds out who sends events, by the pair of keys in the path.
func eventsCaller(s *server, r *request) (access.Caller, error) {
	return s.Access.AuthenticateEvents(r.ctx, access.Secret{AuthKey: r.id("auth_key"), APIKey: r.id("api_key")})
}

// eventsIn returns the events of a body as they stand there: one JSON object, in
// however many lines, or one a line (contract E2).
func eventsIn(body []byte) ([][]byte, *core.Failure) {
	body = bytes.TrimSpace(body)
	switch schema.Kind(body) {
	case 0:
		return nil, malformed("The body has no event")
	case '[':
		return nil, malformed("An event must be a JSON object: send several one a line, not as an array")
	}
	if first, _, several := bytes.Cut(body, []byte("\n")); several && schema.Valid(first) != nil && schema.Valid(body) == nil {
		return [][]byte{body}, nil
	}
	if bytes.Count(body, []byte("\n")) >= maxEvents {
		return nil, malformed("The body has more than %d lines: send several requests", maxEvents)
	}
	return bytes.Split(body, []byte("\n")), nil
}

// takeEvents takes usage events. Once it has answered they are not lost; what is
// counted of them follows.
func takeEvents(s *server, r *request) answer {
	body, err := readBody(r)
	if err != nil {
		return s.uploadError(r, err)
	}
	lines, failure := eventsIn(body)
	if failure != nil {
		return s.uploadError(r, failure)
	}
	now := s.Usage.Now().UnixMilli()
	events, at := make([]*usage.Event, 0, len(lines)), make([]int, 0, len(lines)) // at are their lines, from 0
	var failed []resource.Failed
	for i, line := range lines {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		e, failure := usage.Parse(line, now)
		if failure != nil {
			failed = append(failed, resource.Failed{Record: i, Failure: failure})
			continue
		}
		events, at = append(events, e), append(at, i)
	}
	received := len(events) + len(failed)
	refused, err := s.Usage.Identify(r.ctx, r.caller.Workspace, events)
	if err != nil {
		return s.uploadError(r, err)
	}
	taken := make([]*usage.Event, 0, len(events))
	for i, e := range events {
		if failure := refused[i]; failure != nil {
			failed = append(failed, resource.Failed{Record: at[i], Failure: failure})
		} else {
			taken = append(taken, e)
		}
	}
	if len(taken) > 0 {
		if err := s.Usage.Append(r.ctx, r.caller.Workspace, taken); err != nil {
			return s.uploadError(r, err)
		}
	}
	slices.SortFunc(failed, func(a, b resource.Failed) int { return cmp.Compare(a.Record, b.Record) })
	return eventsAnswer(received, failed)
}

// eventsAnswer answers a request whose events were taken but for those that failed
// (contract E6).
func eventsAnswer(received int, failed []resource.Failed) answer {
	ok := received > len(failed)
	b := strconv.AppendBool([]byte(`{"status_is_ok":`), ok)
	a := answer{
		status: http.StatusOK, more: func(w io.Writer) { writeFailed(w, nil, failed) }, failures: firstFailures(nil, failed),
		records: &calls.Records{Received: received, Inserted: received - len(failed), Failed: len(failed)},
	}
	if !ok {
		a.failure = &core.Failure{Code: failed[0].Code, Message: "No event was taken; the first failure: " + failed[0].Message}
		b = append(b, `,"message":`...)
		b = schema.AppendString(b, a.failure.Message)
	}
	a.body = fmt.Appendf(b, `,"accepted":%d,"failed":%d,"failed_results":[`, received-len(failed), len(failed))
	return a
}
