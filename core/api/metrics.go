package api

import (
	"net/http"

	"tenure/core"
	"tenure/core/metrics"
	"tenure/core/resource"
)

// metricRoutes returns the routes of /metrics, beside the upload.
func metricRoutes(f *resource.Family) []route {
	one := "/metrics/{name}"
	return []route{
		{method: http.MethodGet, path: one, family: f, gives: pointsPage, query: []parameter{direction, page, accountFilter}, serve: metric,
			summary: "Retrieve a metric by name"},
		{method: http.MethodPut, path: one, family: f, takes: dataBody, serve: putMetric,
			summary: "Modify a metric"},
		{method: http.MethodDelete, path: one, query: []parameter{accountFilter}, serve: deleteMetric,
			summary: "Delete a metric"},
	}
}

// entries returns the request for a page of points.
func (r *request) entries(q listQuery) resource.Entries {
	return resource.Entries{Workspace: r.caller.Workspace, Family: metrics.Family, Descending: !q.ascending, Page: q.page}
}

// metric serves the points of a metric, account by account.
func metric(s *server, r *request) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	e := r.entries(q)
	e.ID, e.Account = r.id("name"), q.accountID
	groups, found, err := s.Engine.ListEntries(r.ctx, e)
	if err == nil && !found && e.Account != "" {
		found, err = s.Engine.Known(r.ctx, e.Workspace, e.Family, e.ID)
	}
	switch {
	case err != nil:
		return s.answerError(r, err)
	case !found:
		return readFailure(e.Family.NotFound())
	}
	b := pageStart(q, resource.MaxPageSize/8)
	for i, g := range groups {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"account_id":`...), g.Record[metrics.Family.Account]...)
		b = append(appendPoints(append(b, ','), g), '}')
	}
	return answer{status: http.StatusOK, body: append(b, "]}"...)}
}

// appendPoints appends the points of a group as a member named as the metric.
func appendPoints(b []byte, g resource.Group) []byte {
	points := metrics.Points
	b = append(append(b, g.Record[metrics.Family.ID]...), ':', '[')
	return append(appendRecords(b, points, g.Entries, points.All()), ']')
}

// accountMetrics serves the points of an account, metric by metric.
func accountMetrics(s *server, r *request) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	failure, err := s.Engine.RequireAccount(r.ctx, r.caller.Workspace, r.id("id"))
	switch {
	case err != nil:
		return s.answerError(r, err)
	case failure != nil:
		return readFailure(failure)
	}
	e := r.entries(q)
	e.Account = r.id("id")
	groups, _, err := s.Engine.ListEntries(r.ctx, e)
	if err != nil {
		return s.answerError(r, err)
	}
	b := pageStart(q, resource.MaxPageSize/8)
	for i, g := range groups {
		b = appendPoints(append(b, "{,"[min(i, 1)]), g)
	}
	if len(groups) > 0 {
		b = append(b, '}')
	}
	return answer{status: http.StatusOK, body: append(b, "]}"...)}
}

// putMetric serves PUT of a metric: of a name that some account has, for the
// account that the body names (contract M1).
func putMetric(s *server, r *request) answer {
	f := metrics.Family
	m, failure, err := s.modification(r, f)
	if failure != nil || err != nil {
		return s.modified(r, m.DryRun, false, false, failure, err)
	}
	m.ID = r.id("name")
	known, err := s.Engine.Known(r.ctx, m.Workspace, f, m.ID)
	switch {
	case err != nil:
		return s.answerError(r, err)
	case !known:
		return s.outcome(r, f.NotFound(), nil)
	case m.Patch[f.Account].IsNull():
		return s.outcome(r, f.Schema.Missing(f.Account, false), nil)
	}
	inserted, changed, failure, err := s.Engine.Put(r.ctx, m)
	return s.modified(r, m.DryRun, inserted, changed, failure, err)
}

// deleteMetric serves DELETE of a metric, of all accounts or of one.
func deleteMetric(s *server, r *request) answer {
	f := metrics.Family
	t := resource.Target{Workspace: r.caller.Workspace, Family: f, ID: r.id("name"), Account: r.query.Get(accountFilter.name)}
	removed, err := s.Engine.RemoveAll(r.ctx, t)
	var failure *core.Failure
	if removed == 0 && err == nil {
		known := false
		if t.Account != "" {
			known, err = s.Engine.Known(r.ctx, t.Workspace, f, t.ID)
		}
		if !known {
			failure = f.NotFound()
		}
	}
	return s.outcome(r, failure, err)
}
