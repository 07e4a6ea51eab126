package console

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/calls"
)

// callsAtOnce is how many API calls a page shows.
const callsAtOnce = 100

// statusData is what the page of API calls shows.
type statusData struct {
	// Calls are those of the page, the newest first; Matching is how many there are
	// on all pages, Logged how many the log has.
	Calls    []loggedCall `json:"calls"`
	Matching int          `json:"matching"`
	Logged   int          `json:"logged"`
	// Page counts from 0.
	Page int `json:"page"`
	// Filter is what was asked for.
	Filter statusFilter `json:"filter"`
	// Endpoints and Keys are what can be asked for.
	Endpoints []string  `json:"endpoints"`
	Keys      []keyName `json:"keys"`
	// Span is how long, in ms, each of Spans is: they count the calls that match.
	Span  int64  `json:"span"`
	Spans []span `json:"spans"`
	// Live says that the page keeps itself up to date, Seen what it has seen.
	Live bool   `json:"-"`
	Seen string `json:"-"`
}

// statusFilter is what the form of the page asks for; empty fields for everything.
type statusFilter struct {
	Status   string `json:"status,omitempty"` // success or failure
	Endpoint string `json:"endpoint,omitempty"`
	Key      string `json:"key,omitempty"`
	Kind     string `json:"kind,omitempty"`
}

// keyName is a key by its label.
type keyName struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

// span is a span of the chart.
type span struct{ calls.Span }

// At returns when it begins.
func (s span) At() template.HTML { return instant(s.Start, "2 Jan, 15:04:05") }

// loggedCall is an API call as people read it.
type loggedCall struct {
	calls.Call
	// OperationStatus is Success or Failure.
	OperationStatus string `json:"operation_status"`
	KeyLabel        string `json:"key_label"`
}

// At returns when the call was answered.
func (c loggedCall) At() template.HTML { return instant(c.Time, "2 Jan, 15:04:05") }

// Took returns how long its answer took.
func (c loggedCall) Took() string {
	n, unit := c.DurationMS, " ms"
	if n >= 1000 {
		n, unit = n/1000, " s"
	}
	digits := 1
	if n < 1 {
		digits = 2
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + unit
}

// statusPage shows the last API calls.
func statusPage(s *server, r *request) (view, error) {
	labels, ids, err := s.keyLabels(r)
	if err != nil {
		return view{}, err
	}
	all, err := s.Calls.Last(r.Context(), r.workspace(), ids, calls.Filter{})
	if err != nil {
		return view{}, err
	}
	q := r.URL.Query()
	data := statusData{
		Logged: len(all), Live: q.Get("live") != "0",
		Filter: statusFilter{Status: q.Get("status"), Endpoint: q.Get("endpoint"), Key: q.Get("key"), Kind: q.Get("kind")},
		Calls:  []loggedCall{}, Endpoints: []string{}, Keys: []keyName{}, Spans: []span{},
	}
	wanted := calls.Filter{Endpoint: data.Filter.Endpoint, KeyID: data.Filter.Key, Kind: calls.Kind(data.Filter.Kind)}
	if data.Filter.Status != "" {
		success := data.Filter.Status == "success"
		wanted.Success = &success
	}
	var matching []calls.Call
	seen := fnv.New64a()
	for i := range all {
		c := &all[i]
		if !slices.Contains(data.Endpoints, c.Endpoint) {
			data.Endpoints = append(data.Endpoints, c.Endpoint)
		}
		if k := (keyName{c.KeyID, labels(c.KeyID)}); !slices.Contains(data.Keys, k) {
			data.Keys = append(data.Keys, k)
		}
		if wanted.Has(c) {
			matching = append(matching, *c)
			_, _ = seen.Write([]byte(c.ID)) // never fails
		}
	}
	slices.Sort(data.Endpoints)
	slices.SortFunc(data.Keys, func(a, b keyName) int { return strings.Compare(a.Label, b.Label) })
	data.Matching, data.Seen = len(matching), strconv.FormatUint(seen.Sum64(), 36)
	width, spans := calls.Spans(matching, s.Now())
	data.Span = width.Milliseconds()
	for _, counted := range spans {
		data.Spans = append(data.Spans, span{counted})
	}
	if page, err := strconv.Atoi(q.Get("page")); err == nil && page > 0 {
		data.Page = min(page, max(0, len(matching)-1)/callsAtOnce)
	}
	first := data.Page * callsAtOnce
	for _, c := range matching[first:min(first+callsAtOnce, len(matching))] {
		data.Calls = append(data.Calls, newLoggedCall(c, labels))
	}
	v := view{template: "status", title: "API status", fragment: "calls", data: data}
	if r.Header.Get("HX-Request") != "" && q.Get("seen") == data.Seen {
		v.status = http.StatusNoContent // which leaves the page as it is
	}
	return v, nil
}

// keyLabels returns the ids of all keys of the workspace, and the labels of those
// who made calls.
func (s *server) keyLabels(r *request) (label func(id string) string, ids []string, err error) {
	keys, err := s.Access.Keys(r.Context(), r.workspace())
	labels := map[string]string{calls.CSV: "CSV upload"}
	for _, k := range keys {
		ids = append(ids, k.ID)
		labels[k.ID] = k.Label
		if k.Revoked != 0 {
			labels[k.ID] += " (revoked)"
		}
	}
	return func(id string) string {
		if labels[id] == "" {
			return "Unknown key"
		}
		return labels[id]
	}, ids, err
}

func newLoggedCall(c calls.Call, label func(id string) string) loggedCall {
	l := loggedCall{Call: c, OperationStatus: "Success", KeyLabel: label(c.KeyID)}
	if !c.Success {
		l.OperationStatus = "Failure"
	}
	return l
}

// Filtered reports whether not all calls were asked for.
func (d statusData) Filtered() bool { return d.Filter != statusFilter{} }

// First and Last are the numbers of the page's first and last call, from 1.
func (d statusData) First() int { return d.Page*callsAtOnce + 1 }
func (d statusData) Last() int  { return d.Page*callsAtOnce + len(d.Calls) }

// The queries of pages that show the same in another way.
func (d statusData) Newer() string { return d.query(d.Page-1, d.Live) }
func (d statusData) Older() string {
	if d.Last() >= d.Matching {
		return ""
	}
	return d.query(d.Page+1, d.Live)
}
func (d statusData) Same() string     { return d.query(d.Page, d.Live) }
func (d statusData) Switched() string { return d.query(d.Page, !d.Live) }

func (d statusData) query(page int, live bool) string {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("status", d.Filter.Status)
	set("endpoint", d.Filter.Endpoint)
	set("key", d.Filter.Key)
	set("kind", d.Filter.Kind)
	if page > 0 {
		set("page", strconv.Itoa(page))
	}
	if !live {
		set("live", "0")
	}
	return "status?" + q.Encode()
}

// Width returns how long each span of the chart is, in words.
func (d statusData) Width() string {
	width := time.Duration(d.Span) * time.Millisecond
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch n := width / unit.of; {
		case n == 1:
			return unit.name
		case n > 1:
			return fmt.Sprint(int64(n), " ", unit.name, "s")
		}
	}
	return width.String()
}

// callData is what the page of one API call shows.
type callData struct {
	Call loggedCall `json:"call"`
	// FailuresLeftOut is how many records failed beside those that are shown.
	FailuresLeftOut int `json:"failures_left_out"`
}

// callPage shows one API call.
func callPage(s *server, r *request) (view, error) {
	labels, _, err := s.keyLabels(r)
	if err != nil {
		return view{}, err
	}
	c, ok, err := s.Calls.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err == nil && !ok {
		err = &core.Failure{Code: core.NotFound, Message: fmt.Sprintf("There is no such API call among the last %d", calls.Kept)}
	}
	return view{template: "status-call", title: "API call", data: callData{newLoggedCall(c, labels), c.FailuresLeftOut()}}, err
}
