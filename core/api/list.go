package api

import (
	"fmt"
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
	echo            []byte // the supplied parameters, as members of the answer
}

// parseList reads the parameters of a list (contract P10 to P12). allowed
// names those that this list has, besides page.
func parseList(r *request, allowed ...string) (listQuery, *core.Failure) {
	var q listQuery
	supplied := func(name string) (string, bool) {
		value := r.query.Get(name)
		return value, value != "" && slices.Contains(allowed, name)
	}
	echo := func(name string, value []byte) {
		q.echo = append(append(append(q.echo, ',', '"'), name...), '"', ':')
		q.echo = append(q.echo, value...)
	}
	if text := r.query.Get("page"); text != "" {
		page, err := strconv.ParseInt(text, 10, 64)
		if err != nil || page < 0 || page >= math.MaxInt64/resource.MaxPageSize {
			return q, &core.Failure{Code: core.OutOfRange, Field: "page", Message: "'page' must be a whole number from 0"}
		}
		q.page = int(page)
	}
	if text, ok := supplied("order_by"); ok {
		q.orderBy = text
		echo("order_by", schema.Text(text))
	}
	if text, ok := supplied("direction"); ok {
		direction := strings.ToLower(text)
		if direction != "asc" && direction != "desc" {
			return q, &core.Failure{Code: core.NotAChoice, Field: "direction", Message: "'direction' must be one of: asc, desc"}
		}
		q.ascending = direction == "asc"
		echo("direction", schema.Text(direction))
	}
	if text, ok := supplied("include_inactive"); ok {
		q.includeInactive = parseBool(text)
		echo("include_inactive", schema.Bool(q.includeInactive))
	}
	if text, ok := supplied("include"); ok {
		for name := range strings.SplitSeq(text, ",") {
			q.include = append(q.include, strings.TrimSpace(name))
		}
		echo("include", schema.Text(text))
	}
	return q, nil
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
	b := make([]byte, 0, 256+len(records)*1536)
	b = fmt.Appendf(b, `{"current_page":%d,"max_page_size":%d,"status_is_ok":true`, q.page, resource.MaxPageSize)
	b = append(b, q.echo...)
	return resultsAnswer(b, s, records, shown)
}

// recordsAnswer answers a single read.
func recordsAnswer(s *schema.Schema, records []schema.Record) answer {
	return resultsAnswer([]byte(`{"status_is_ok":true`), s, records, s.All())
}

func resultsAnswer(b []byte, s *schema.Schema, records []schema.Record, shown []int) answer {
	b = append(b, `,"results":[`...)
	for i, record := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.AppendObject(b, record, shown)
	}
	return answer{status: http.StatusOK, body: append(b, "]}"...)}
}

// readFailure answers a read that was refused.
func readFailure(f *core.Failure) answer {
	a := failureAnswer(http.StatusOK, f)
	a.body = append(a.body[:len(a.body)-1], `,"results":[]}`...)
	return a
}

// list serves the list of all records of a family.
func list(s *server, r *request, f *resource.Family) answer {
	allowed := []string{"order_by", "direction", "include_inactive"}
	if len(extras(f)) > 0 {
		allowed = append(allowed, "include")
	}
	q, failure := parseList(r, allowed...)
	if failure != nil {
		return readFailure(failure)
	}
	records, failure, err := s.Engine.List(r.ctx, resource.List{
		Workspace:  r.caller.Workspace,
		Family:     f,
		OrderBy:    q.orderBy,
		Descending: !q.ascending,
		Inactive:   q.includeInactive,
		Page:       q.page,
	})
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	return pageAnswer(q, f.Schema, records, f.Schema.Shown(q.include))
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
	return resource.Target{Workspace: r.caller.Workspace, Family: f, ID: r.id("id"), Account: r.id("account_id")}
}

// ofAccount serves the list of a family's records that belong to an account.
func ofAccount(s *server, r *request, f *resource.Family) answer {
	q, failure := parseList(r, "order_by", "direction", "include_inactive")
	if failure != nil {
		return readFailure(failure)
	}
	order := f.ID
	if q.orderBy != "" && q.orderBy != "id" {
		var known bool
		if order, known = f.Schema.Lookup(q.orderBy); !known || f.Schema.Fields[order].Type == schema.List {
			return readFailure(&core.Failure{Code: core.NotAChoice, Field: "order_by",
				Message: "'order_by' must be one of: " + strings.Join(f.Schema.Scalars(), ", ")})
		}
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
