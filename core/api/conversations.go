package api

import (
	"fmt"
	"net/http"
	"strings"

	"tenure/core/conversations"
	"tenure/core/resource"
	"tenure/core/schema"
)

var (
	accountFilter = parameter{name: "account_id", typ: schema.String, doc: "Only those of this account"}
	createdFrom   = parameter{name: "create_time", typ: schema.Time, doc: "Only those created at or after this instant, in epoch ms"}
	modifiedFrom  = parameter{name: "modify_time", typ: schema.Time, doc: "Only those modified at or after this instant, in epoch ms"}
)

// conversationRoutes returns the routes of interactions or notes, beside the
// upload: each record has two paths, by its id and by its external id.
func conversationRoutes(f *resource.Family) []route {
	path, noun := "/"+f.Schema.Name, strings.ToLower(f.Schema.Singular)
	filters := []parameter{accountFilter, createdFrom, modifiedFrom}
	lists := append([]parameter{orderBy(f.OrderNames(), "id"), direction, page}, filters...)
	routes := []route{
		{method: http.MethodGet, path: path, family: f, gives: onePage, query: lists, serve: listConversations(f, false),
			summary: "Retrieve all " + noun + "s"},
		{method: http.MethodGet, path: path + "/external_id", family: f, gives: onePage, query: lists, serve: listConversations(f, true),
			summary: "Retrieve the " + noun + "s without an external ID"},
		{method: http.MethodPut, path: path + "/external_id/{external_id}", family: f, takes: dataBody, serve: on(f, putExternal),
			summary: "Insert/modify " + article(noun) + " by external ID"},
		{method: http.MethodPut, path: path + "/{id}", family: f, takes: dataBody, serve: on(f, modify),
			summary: "Modify " + article(noun)},
	}
	for _, one := range []string{"/{id}", "/external_id/{external_id}"} {
		routes = append(routes,
			route{method: http.MethodGet, path: path + one, family: f, gives: oneRecord, query: filters, serve: on(f, readConversation),
				summary: "Retrieve " + article(noun)},
			route{method: http.MethodDelete, path: path + one, serve: on(f, remove), summary: "Delete " + article(noun)},
		)
	}
	return routes
}

func (q *listQuery) conversationFilter(withoutExternalID bool) conversations.Filter {
	return conversations.Filter{CreatedFrom: q.from(createdFrom.name), ModifiedFrom: q.from(modifiedFrom.name), WithoutExternalID: withoutExternalID}
}

// listConversations serves a list of interactions or notes.
func listConversations(f *resource.Family, withoutExternalID bool) func(*server, *request) answer {
	return func(s *server, r *request) answer {
		q, failure := parseList(r)
		if failure != nil {
			return readFailure(failure)
		}
		l := resource.List{Family: f, Account: q.accountID}
		if filter := q.conversationFilter(withoutExternalID); filter != (conversations.Filter{}) {
			l.Filter = &resource.Filter{Name: fmt.Sprint(q.times, withoutExternalID), Match: filter.Match}
		}
		return s.listed(r, q, l)
	}
}

// readConversation serves one interaction or note, if the filters let it pass.
func readConversation(s *server, r *request, f *resource.Family) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	records, err := s.Engine.Read(r.ctx, target(r, f))
	switch {
	case err != nil:
		return s.answerError(r, err)
	case len(records) == 0:
		return readFailure(f.NotFound())
	}
	if q.accountID != "" && records[0][f.Account].Text() != q.accountID || !q.conversationFilter(false).Match(records[0]) {
		records = nil
	}
	return recordsAnswer(f.Schema, records)
}

// putExternal serves PUT by external id, which inserts where there is nothing
// to modify (contract P9).
func putExternal(s *server, r *request, f *resource.Family) answer {
	m, failure, err := s.modification(r, f)
	if failure != nil || err != nil {
		return s.modified(r, m.DryRun, false, false, failure, err)
	}
	inserted, changed, failure, err := s.Engine.Put(r.ctx, m)
	return s.modified(r, m.DryRun, inserted, changed, failure, err)
}
