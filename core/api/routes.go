package api

import (
	"net/http"
	"slices"
	"strings"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/accounts"
	"tenure/core/metrics"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/statements"
	"tenure/core/subscriptions"
	"tenure/core/tickets"
)

// route is one endpoint: what serves it and what its description says.
type route struct {
	method  string
	path    string // below BasePath, in the form of http.ServeMux
	summary string
	family  *resource.Family // whose records it takes or gives
	takes   bodyKind
	gives   answerKind
	query   []parameter
	public  bool // needs no API key
	// authenticate finds out who sends a request; nil for (*server).authenticate.
	authenticate func(*server, *request) (access.Caller, error)
	// most is the largest body that it takes, decompressed, in bytes; 0 for
	// MaxBodyBytes.
	most int64
	// function is the name of the function that serves the route where each
	// family has a function of its own.
	function string
	serve    func(*server, *request) answer
}

// bodyLimit returns the largest body that a route takes, decompressed, in bytes.
func (r *route) bodyLimit() int64 {
	if r.most != 0 {
		return r.most
	}
	return MaxBodyBytes
}

type bodyKind uint8

const (
	noBody bodyKind = iota
	recordsBody
	dataBody
	conditionsBody
)

type answerKind uint8

const (
	statusOnly answerKind = iota
	onePage
	oneRecord
	uploadResult
	documentsPage
	pointsPage
	segmentsPage
	movementsPage
	usageReport
	healthReport
)

// parameter is one query parameter.
type parameter struct {
	name    string
	typ     schema.Type
	choices []string
	alias   string // what else stands for one of the choices
	def     string
	doc     string
}

var (
	page            = parameter{name: "page", typ: schema.Integer, doc: "Page to view, from 0, of up to 1000 records"}
	direction       = parameter{name: "direction", typ: schema.String, choices: []string{"asc", "desc"}, def: "desc", doc: "Direction of sorting"}
	includeInactive = parameter{name: "include_inactive", typ: schema.Boolean, def: "false", doc: "Show inactive records too"}
)

func orderBy(choices []string, def string) parameter {
	p := parameter{name: "order_by", typ: schema.String, choices: choices, def: def, doc: "Field by which to order; id stands for the record's own id"}
	if !slices.Contains(choices, "id") {
		p.alias = "id"
	}
	return p
}

// on binds a handler of any family to one.
func on(f *resource.Family, serve func(*server, *request, *resource.Family) answer) func(*server, *request) answer {
	return func(s *server, r *request) answer { return serve(s, r, f) }
}

// routesOf returns the routes of the families: those that records share, and
// those that a family has of its own.
func routesOf(families []*resource.Family) []route {
	var routes []route
	for _, f := range families {
		routes = append(routes, servedBy(f.Schema.Name, familyRoutes(f))...)
	}
	return append(routes, servedBy("search", searchRoutes(accounts.Family, people.Contacts, people.Users))...)
}

// servedBy sets the function of those routes that have none.
func servedBy(function string, routes []route) []route {
	for i := range routes {
		if routes[i].function == "" {
			routes[i].function = function
		}
	}
	return routes
}

// familyRoutes returns the routes of a family.
func familyRoutes(f *resource.Family) []route {
	path, noun := "/"+f.Schema.Name, strings.ToLower(f.Schema.Singular)
	routes := []route{{method: http.MethodPost, path: path, family: f, takes: recordsBody, gives: uploadResult,
		serve: on(f, upload), summary: "Bulk insert/modify " + noun + "s"}}
	if f.Generated != nil {
		return append(routes, conversationRoutes(f)...)
	}
	if f == metrics.Family {
		return append(routes, metricRoutes(f)...)
	}
	get := route{method: http.MethodGet, path: path + "/{id}", family: f, gives: oneRecord, serve: on(f, read),
		summary: "Retrieve " + article(noun)}
	del := route{method: http.MethodDelete, path: path + "/{id}", serve: on(f, remove), summary: "Delete " + article(noun)}
	if f == subscriptions.Family {
		get.query, get.serve = []parameter{history}, subscription
		del.query, del.serve = []parameter{segmentStart}, deleteSubscription
	}
	routes = append(routes, route{method: http.MethodPut, path: path + "/{id}", family: f, takes: dataBody, serve: on(f, modify),
		summary: "Modify " + article(noun)}, get)
	switch f {
	case accounts.Family:
		routes = append(routes, accountRoutes(f)...)
	case people.Users, people.Contacts:
		routes = append(routes, personRoutes(f)...)
	default:
		routes = append(routes, del)
	}
	if len(f.Orders) > 0 {
		query := []parameter{orderBy(f.OrderNames(), f.OrderNames()[0]), direction, page}
		if f.HiddenFrom != nil {
			query = append(query, includeInactive)
		}
		if len(extras(f)) > 0 {
			query = append(query, parameter{name: "include", typ: schema.String,
				doc: "Extra information, separated by commas: " + strings.Join(extras(f), ", ")})
		}
		routes = append(routes, route{method: http.MethodGet, path: path, family: f, gives: onePage, query: query, serve: on(f, list),
			summary: "Retrieve all " + noun + "s"})
	}
	return routes
}

// article returns the noun with its indefinite article.
func article(noun string) string {
	if strings.ContainsRune("aeio", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// extras returns the names that the include parameter of a family knows.
func extras(f *resource.Family) []string {
	var names []string
	for i := range f.Schema.Fields {
		if f.Schema.Fields[i].Shown == schema.OnInclude {
			names = append(names, f.Schema.Fields[i].Name)
		}
	}
	return names
}

func accountRoutes(f *resource.Family) []route {
	one := "/accounts/{id}"
	routes := []route{
		{method: http.MethodDelete, path: one, serve: deactivateAccount, summary: "Deactivate an account",
			query: []parameter{
				{name: "churn", typ: schema.Boolean, def: "false", doc: "Mark the account as churned rather than deleted"},
				{name: "inactive_time", typ: schema.Time, doc: "When the account became inactive, in epoch ms; default, current time"},
			}},
		{method: http.MethodGet, path: one + "/documents", gives: documentsPage, query: []parameter{page}, serve: accountDocuments,
			summary: "Retrieve documents"},
	}
	for _, list := range []struct {
		path string
		of   *resource.Family
	}{{"users", people.Users}, {"contacts", people.Contacts}, {"support_tickets", tickets.Family}, {"statements", statements.Family}} {
		scalars := list.of.Schema.Scalars()
		query := []parameter{orderBy(scalars, list.of.Schema.Fields[list.of.OfAccountOrder].Name), direction, page}
		if list.of.HiddenFrom != nil {
			query = append(query, includeInactive)
		}
		routes = append(routes, route{method: http.MethodGet, path: one + "/" + list.path, family: list.of, gives: onePage,
			function: list.of.Schema.Name, serve: on(list.of, ofAccount), query: query, summary: "Retrieve the " + strings.ReplaceAll(list.path, "_", " ") + " of an account"})
	}
	routes = append(routes,
		route{method: http.MethodGet, path: one + "/metrics", family: metrics.Family, gives: pointsPage, query: []parameter{direction, page},
			function: metrics.Family.Schema.Name, serve: accountMetrics, summary: "Retrieve the custom metrics of an account"},
	)
	routes = append(routes, servedBy(subscriptions.Family.Schema.Name, revenueRoutes())...)
	routes = append(routes, usageRoute(one+"/usage", accountUsage, "Retrieve the usage of an account"),
		usageRoute("/usage", workspaceUsage, "Retrieve the usage of all accounts"))
	routes = append(routes, healthRoute())
	remove := func(path, summary string, serve func(*server, *request) answer) {
		routes = append(routes, route{method: http.MethodDelete, path: one + path, serve: serve, summary: summary})
	}
	for _, path := range []string{"/stage_history", "/stage_history/{name}", "/stage_history/{name}/{timestamp}"} {
		remove(path, "Delete stage history", deleteStages)
	}
	for _, path := range []string{"/nps_history", "/nps_history/{timestamp}"} {
		remove(path, "Delete NPS history", deleteScores)
	}
	for _, sub := range []struct{ path, key, list string }{
		{"/dimension_values", "{key}", "custom_value_dimensions"},
		{"/dimension_labels", "{key}", "custom_label_dimensions"},
		{"/assigned_csms", "{email}", "assigned_csms"},
		{"/documents", "{name}", "documents"},
	} {
		serve := func(s *server, r *request) answer {
			return s.edit(r, accounts.RemoveEntries(f.Schema.Ordinal(sub.list), r.given(strings.Trim(sub.key, "{}"))))
		}
		summary := "Delete " + strings.ReplaceAll(sub.path[1:], "_", " ")
		remove(sub.path, summary, serve)
		remove(sub.path+"/"+sub.key, summary, serve)
	}
	return routes
}

func deactivateAccount(s *server, r *request) answer {
	d := resource.Deactivation{Churn: parseBool(r.query.Get("churn"))}
	if text := r.query.Get("inactive_time"); text != "" {
		at, failure := parseTime("inactive_time", text)
		if failure != nil {
			return s.answerError(r, failure)
		}
		d.Time = schema.Int(at)
	}
	failure, err := s.Engine.Deactivate(r.ctx, target(r, accounts.Family), d)
	return s.outcome(r, failure, err)
}

// edit answers a DELETE of something within an account.
func (s *server) edit(r *request, edit accounts.Edit) answer {
	failure, err := s.Engine.Edit(r.ctx, target(r, accounts.Family), edit)
	return s.outcome(r, failure, err)
}

func deleteStages(s *server, r *request) answer {
	var start *int64
	if text := r.given("timestamp"); text != nil {
		at, failure := parseTime("timestamp", *text)
		if failure != nil {
			return s.answerError(r, failure)
		}
		start = &at
	}
	return s.edit(r, accounts.RemoveStages(r.given("name"), start))
}

func deleteScores(s *server, r *request) answer {
	prefix := ""
	if text := r.given("timestamp"); text != nil {
		at, failure := parseTime("timestamp", *text)
		if failure != nil {
			return s.answerError(r, failure)
		}
		prefix = accounts.ScorePrefix(at)
	}
	failure, err := s.Engine.EraseBeside(r.ctx, target(r, accounts.Family), prefix)
	return s.outcome(r, failure, err)
}

func accountDocuments(s *server, r *request) answer {
	q, failure := parseList(r)
	if failure != nil {
		return readFailure(failure)
	}
	account := r.id("id")
	records, err := s.Engine.Read(r.ctx, target(r, accounts.Family))
	switch {
	case err != nil:
		return s.answerError(r, err)
	case len(records) == 0:
		return readFailure(accounts.Family.NotFound())
	}
	documents := accounts.Documents(account, records[0])
	return pageAnswer(q, accounts.DocumentList, pageOf(documents, q.page), accounts.DocumentList.All())
}

func personRoutes(f *resource.Family) []route {
	one := "/" + f.Schema.Name + "/{id}"
	noun := strings.ToLower(f.Schema.Singular)
	remove := func(path string) route {
		return route{method: http.MethodDelete, path: path, summary: "Deactivate a " + noun, serve: on(f, deactivatePerson),
			query: []parameter{
				{name: "dimension", typ: schema.String, doc: "Delete the dimension of this key instead"},
				{name: "all_dimensions", typ: schema.Boolean, def: "false", doc: "Delete all dimensions instead"},
			}}
	}
	routes := []route{
		{method: http.MethodGet, path: one + "/{account_id}", family: f, gives: oneRecord, serve: on(f, read), summary: "Retrieve a " + noun + " of an account"},
		remove(one),
		remove(one + "/{account_id}"),
	}
	if f == people.Users {
		// For an account that is called usage this is in the way of the routes above.
		routes = append(routes, usageRoute(one+"/usage", userUsage, "Retrieve the usage of a user"), usageRoute(one+"/{account_id}/usage", userUsage, "Retrieve the usage of a user of an account"))
	}
	return routes
}

func deactivatePerson(s *server, r *request, f *resource.Family) answer {
	all := parseBool(r.query.Get("all_dimensions"))
	if r.query.Has("dimension") {
		key := r.query.Get("dimension")
		switch {
		case all:
			return s.answerError(r, &core.Failure{Code: core.Conflicting, Field: "dimension",
				Message: "'dimension' and 'all_dimensions' must not be given together"})
		case key == "":
			return s.answerError(r, &core.Failure{Code: core.MissingField, Field: "dimension",
				Message: "'dimension' must name the key to delete"})
		}
		failure, err := s.Engine.Edit(r.ctx, target(r, f), people.RemoveDimensions(f, &key))
		return s.outcome(r, failure, err)
	}
	if all {
		failure, err := s.Engine.Edit(r.ctx, target(r, f), people.RemoveDimensions(f, nil))
		return s.outcome(r, failure, err)
	}
	failure, err := s.Engine.Deactivate(r.ctx, target(r, f), resource.Deactivation{})
	return s.outcome(r, failure, err)
}
