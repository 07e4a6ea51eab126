package api

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
)

// listQuery is what the query of a list says.
type listQuery struct {
	page            int
	orderBy         string
	ascending       bool
	includeInactive bool
	include         []string
	accountID       string
	times           map[string]int64 // the parameters that are instants, by name
	echo            []byte           // the supplied parameters, as members of the answer
}

// parseList reads the parameters that the route of a list has (contract P10 to
// P12).
func parseList(r *request) (q listQuery, failure *core.Failure) {
	for _, p := range r.route.query {
		text := r.query.Get(p.name)
		if text == "" {
			continue
		}
		value, failure := q.set(p, text)
		if failure != nil {
			return q, failure
		}
		if p.name != page.name { // it comes back as current_page
			q.echo = append(append(append(q.echo, ',', '"'), p.name...), '"', ':')
			q.echo = append(q.echo, value...)
		}
	}
	return q, nil
}

// set takes one supplied parameter, and returns its typed value.
func (q *listQuery) set(p parameter, text string) (schema.Value, *core.Failure) {
	switch p.typ {
	case schema.Boolean:
		on := parseBool(text)
		if p.name == includeInactive.name {
			q.includeInactive = on
		}
		return schema.Bool(on), nil
	case schema.Time:
		at, failure := parseTime(p.name, text)
		if failure != nil {
			return nil, failure
		}
		if q.times == nil {
			q.times = map[string]int64{}
		}
		q.times[p.name] = at
		return schema.Int(at), nil
	}
	switch p.name {
	case page.name:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n >= math.MaxInt64/resource.MaxPageSize {
			return nil, &core.Failure{Code: core.OutOfRange, Field: p.name, Message: "'page' must be a whole number from 0"}
		}
		q.page = int(n)
	case direction.name:
		text = strings.ToLower(text)
		if !slices.Contains(p.choices, text) {
			return nil, notAChoice(p.name, p.choices)
		}
		q.ascending = text == "asc"
	case "order_by":
		if text != p.alias && !slices.Contains(p.choices, text) {
			return nil, notAChoice(p.name, p.choices)
		}
		q.orderBy = text
	case "account_id":
		q.accountID = text
	case "include":
		for name := range strings.SplitSeq(text, ",") {
			q.include = append(q.include, strings.TrimSpace(name))
		}
	}
	return schema.Text(text), nil
}

func notAChoice(name string, choices []string) *core.Failure {
	return &core.Failure{Code: core.NotAChoice, Field: name, Message: "'" + name + "' must be one of: " + strings.Join(choices, ", ")}
}

// from returns the instant that a parameter gives, or nil.
func (q *listQuery) from(name string) *int64 {
	at, given := q.times[name]
	if !given {
		return nil
	}
	return &at
}

// parseBool reads a boolean parameter liberally (contract P11): what cannot be
// read is false, the default of every one of them.
func parseBool(text string) bool {
	if strings.EqualFold(text, "true") {
		return true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n != 0
}

// parseTime reads an epoch-ms parameter called name from text.
func parseTime(name, text string) (int64, *core.Failure) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, &core.Failure{Code: core.WrongType, Field: name, Message: "'" + name + "' must be a whole number: epoch milliseconds"}
	}
	return n, nil
}

// pageOf cuts one page out of all records.
func pageOf[T any](all []T, page int) []T {
	start := min(page*resource.MaxPageSize, len(all))
	return all[start:min(start+resource.MaxPageSize, len(all))]
}

// pageAnswer answers a list with one page of records.
func pageAnswer(q listQuery, s *schema.Schema, records []schema.Record, shown []int) answer {
	b := append(appendRecords(pageStart(q, len(records)), s, records, shown), "]}"...)
	return answer{status: http.StatusOK, body: b}
}

// pageStart begins the answer of a list, with room for n records.
func pageStart(q listQuery, n int) []byte {
	b := make([]byte, 0, 256+n*1536)
	b = fmt.Appendf(b, `{"current_page":%d,"max_page_size":%d,"status_is_ok":true`, q.page, resource.MaxPageSize)
	return append(append(b, q.echo...), `,"results":[`...)
}

// recordsAnswer answers a single read.
func recordsAnswer(s *schema.Schema, records []schema.Record) answer {
	b := appendRecords([]byte(`{"status_is_ok":true,"results":[`), s, records, s.All())
	return answer{status: http.StatusOK, body: append(b, "]}"...)}
}

func appendRecords(b []byte, s *schema.Schema, records []schema.Record, shown []int) []byte {
	for i, record := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.AppendObject(b, record, shown)
	}
	return b
}

// readFailure answers a read that was refused.
func readFailure(f *core.Failure) answer {
	a := failureAnswer(http.StatusOK, f)
	a.body = append(a.body[:len(a.body)-1], `,"results":[]}`...)
	return a
}

// list serves the list of all records of a family.
func list(s *server, r *request, f *resource.Family) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	return s.listed(r, q, resource.List{Family: f})
}

// listed answers a list of one page of l, which lacks only what q says.
func (s *server) listed(r *request, q listQuery, l resource.List) answer {
	l.Workspace, l.OrderBy, l.Descending, l.Page = r.caller.Workspace, q.orderBy, !q.ascending, q.page
	l.Inactive = l.Inactive || q.includeInactive
	listing, failure, err := s.Engine.List(r.ctx, l)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	first, err := listing.Next(r.ctx)
	if err != nil {
		return s.answerError(r, err)
	}
	shown := l.Family.Schema.Shown(q.include)
	return answer{
		status: http.StatusOK,
		body:   appendRecords(pageStart(q, len(first)), l.Family.Schema, first, shown),
		more: func(w io.Writer) {
			s.writeRest(r, w, l.Family.Schema, shown, func() ([]schema.Record, error) { return listing.Next(r.ctx) })
		},
	}
}

// writeRest writes what follows the first records of a page, as next gives it,
// and the end of the answer. The status has been sent, so what fails now cuts
// the answer off.
func (s *server) writeRest(r *request, w io.Writer, family *schema.Schema, shown []int, next func() ([]schema.Record, error)) {
	for {
		records, err := next()
		if err != nil {
			s.Log.Error("answer cut off", "method", r.Method, "route", r.route.path, "error", err)
			panic(http.ErrAbortHandler)
		}
		if len(records) == 0 {
			_, _ = io.WriteString(w, "]}") // a client that has gone away cannot be told about it
			return
		}
		b := appendRecords([]byte{','}, family, records, shown)
		if _, err := w.Write(b); err != nil {
			return
		}
	}
}

// read serves one record of a family.
func read(s *server, r *request, f *resource.Family) answer {
	records, err := s.Engine.Read(r.ctx, target(r, f))
	switch {
	case err != nil:
		return s.answerError(r, err)
	case len(records) == 0:
		return readFailure(f.NotFound())
	}
	return recordsAnswer(f.Schema, records)
}

// target names the record that the path does.
func target(r *request, f *resource.Family) resource.Target {
	t := resource.Target{Workspace: r.caller.Workspace, Family: f, ID: r.id("id"), Account: r.id("account_id")}
	if external := r.id("external_id"); external != "" {
		t.ID, t.External = external, true
	}
	return t
}

// remove serves DELETE of a record of a family without inactive ones.
func remove(s *server, r *request, f *resource.Family) answer {
	failure, err := s.Engine.Remove(r.ctx, target(r, f))
	return s.outcome(r, failure, err)
}

// ofAccount serves the list of a family's records that belong to an account.
func ofAccount(s *server, r *request, f *resource.Family) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	order := f.OfAccountOrder
	switch q.orderBy {
	case "":
	case "id":
		order = f.ID
	default:
		order = f.Schema.Ordinal(q.orderBy)
	}
	records, failure, err := s.Engine.OfAccount(r.ctx, r.caller.Workspace, f, r.id("id"), order, !q.ascending, q.includeInactive)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	return pageAnswer(q, f.Schema, pageOf(records, q.page), f.Schema.All())
}
