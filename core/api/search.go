package api

import (
	"errors"
	"net/http"
	"strings"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/search"
)

// searchRoutes returns the searches of families.
func searchRoutes(families ...*resource.Family) []route {
	var routes []route
	for _, f := range families {
		routes = append(routes, route{method: http.MethodPost, path: "/search/" + f.Schema.Name, family: f,
			takes: conditionsBody, gives: onePage, query: []parameter{page, includeInactive}, serve: on(f, searched),
			summary: "Retrieve the " + strings.ToLower(f.Schema.Singular) + "s that meet conditions"})
	}
	return routes
}

// searched serves a search of a family (contract R1).
func searched(s *server, r *request, f *resource.Family) answer {
	body, err := readBody(r)
	var unreadable *core.Failure
	switch {
	case errors.As(err, &unreadable):
		return readFailure(unreadable)
	case err != nil:
		return s.answerError(r, err)
	}
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	parts, failure := members(body, "records")
	if failure != nil {
		return readFailure(failure)
	}
	objects, failure := recordsOf(parts[0])
	if failure != nil {
		return readFailure(failure)
	}
	conditions, failure := search.Parse(f.Schema, objects)
	if failure != nil {
		return readFailure(failure)
	}
	l := resource.List{Family: f, Inactive: conditions.Names("is_active", "is_churned", "is_deleted")}
	if len(objects) > 0 {
		l.Filter = conditions.Filter()
	}
	return s.listed(r, q, l)
}

// recordsOf returns the elements of the records of a body.
func recordsOf(raw []byte) (records [][]byte, failure *core.Failure) {
	switch schema.Kind(raw) {
	case '[':
		for record := range schema.Elements(raw) {
			if len(records) == maxRecords {
				return nil, &core.Failure{Code: core.OutOfRange, Field: "records", Message: tooManyRecords}
			}
			records = append(records, record)
		}
		return records, nil
	case 0, 'n':
		return nil, &core.Failure{Code: core.MissingField, Field: "records", Message: "Missing required field: 'records'"}
	}
	return nil, &core.Failure{Code: core.WrongType, Field: "records", Message: "'records' value must be an array"}
}
