package api

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenure/core/accounts"
	"tenure/core/metrics"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/search"
	"tenure/core/subscriptions"
)

// object is a JSON object of the description.
type object = map[string]any

// describe returns the OpenAPI 3.1 document of the routes, all of it derived
// from them and from the families' declarations.
func describe(routes []route) ([]byte, error) {
	paths, schemas := object{}, object{
		"Status": object{
			"type": "object", "required": []string{"status_is_ok"},
			"properties": statusProperties(),
		},
	}
	for _, r := range routes {
		item, _ := paths[r.path].(object)
		if item == nil {
			item = object{}
			paths[r.path] = item
		}
		op := operation(r)
		if r.takes == recordsBody {
			op["responses"].(object)["200"].(object)["links"] = links(r.family, routes)
		}
		item[strings.ToLower(r.method)] = op
		if r.family != nil {
			s := r.family.Schema
			schemas[s.Singular] = shownSchema(s, s.All())
			switch r.takes {
			case recordsBody:
				schemas[s.Singular+"Input"] = inputSchema(s)
				schemas[s.Singular+"Options"] = optionsSchema(r.family)
			case dataBody:
				schemas[s.Singular+"Change"] = changeSchema(r.family)
			}
		}
		switch r.gives {
		case documentsPage:
			schemas["Document"] = shownSchema(accounts.DocumentList, accounts.DocumentList.All())
		case segmentsPage:
			schemas["Segment"] = shownSchema(subscriptions.Segments, subscriptions.Segments.All())
		case pointsPage:
			schemas["Points"] = pointsSchema()
		case usageReport:
			_, schemas["Usage"] = usageSchemas()
		case healthReport:
			_, schemas["HealthPart"], schemas["HealthDay"] = healthSchemas()
		}
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title":   "Tenure Account API",
			"version": "2",
			"description": "Accounts and everything that belongs to them. Bodies and answers are JSON whatever their Content-Type says. " +
				"What is wrong with a request's content is told with status 200 and status_is_ok false. " +
				"Lists are ordered by Unicode code points, those of a whole workspace by the first 1,000 bytes or so; unset values come first when ascending. " +
				"Request bodies may be gzip-compressed and are limited to 10 MB, decompressed.",
		},
		"servers":  []object{{"url": BasePath}},
		"security": []object{{"apiKey": []string{}}, {"basic": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas": schemas,
			"securitySchemes": object{
				"apiKey": object{"type": "apiKey", "in": "query", "name": "api_key"},
				"basic":  object{"type": "http", "scheme": "basic", "description": "User api, password the API key"},
			},
		},
	})
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// exampleID is what the description's examples call a record.
const exampleID = "12345"

// pathParameters describes what the names in paths stand for.
var pathParameters = map[string]struct {
	typ     schema.Type
	example any
	doc     string
}{
	"id":         {schema.String, exampleID, "ID of the record; percent-encoded where needed"},
	"account_id": {schema.String, exampleID, "Account the record belongs to, where its id is not unique"},
	"name":       {schema.String, "trial", "Name of the entry"},
	"key":        {schema.String, "favorite_fruit", "Key of the dimension"},
	"email":      {schema.String, "csm@example.com", "E-mail address of the manager"},

	"external_id": {schema.String, exampleID, "External ID of the record; percent-encoded where needed"},
	"timestamp":   {schema.Time, 1500000000000, "Instant of the entry, in epoch ms"},
}

// links describes what can be done next with the first record of an upload.
func links(f *resource.Family, routes []route) object {
	field := func(ordinal int) string { return "$request.body#/records/0/" + f.Schema.Fields[ordinal].Name }
	next := object{}
	for _, r := range routes {
		if !strings.HasPrefix(r.path+"/", "/"+f.Schema.Name+"/{id}/") {
			continue
		}
		parameters := object{"id": field(f.ID)}
		if strings.Contains(r.path, "{account_id}") {
			parameters["account_id"] = field(f.Account)
		}
		next[operationID(r)] = object{
			"operationRef": "#/paths/" + strings.ReplaceAll(r.path, "/", "~1") + "/" + strings.ToLower(r.method),
			"parameters":   parameters,
		}
	}
	return next
}

func operationID(r route) string {
	return strings.ToLower(r.method) + pathParameter.ReplaceAllString(strings.ReplaceAll(r.path, "/", "_"), "by_$1")
}

func operation(r route) object {
	parameters := []object{}
	for _, m := range pathParameter.FindAllStringSubmatch(r.path, -1) {
		p := pathParameters[m[1]]
		parameters = append(parameters, object{
			"name": m[1], "in": "path", "required": true, "description": p.doc, "example": p.example,
			"schema": typeSchema(&schema.Field{Type: p.typ}),
		})
	}
	for _, q := range r.query {
		parameters = append(parameters, object{
			"name": q.name, "in": "query", "description": q.doc, "schema": q.schema(),
		})
	}
	op := object{
		"operationId": operationID(r),
		"summary":     r.summary,
		"parameters":  parameters,
		"responses":   responses(r),
	}
	if r.takes != noBody {
		op["requestBody"] = object{"required": true, "content": content(bodySchema(r))}
	}
	return op
}

// bodySchema describes the body that a route takes.
func bodySchema(r route) object {
	s := r.family.Schema
	properties, required := object{}, "records"
	switch r.takes {
	case recordsBody:
		properties["options"] = ref(s.Singular + "Options")
		properties["records"] = object{"type": "array", "items": ref(s.Singular + "Input")}
	case conditionsBody:
		properties["records"] = object{"type": "array", "items": conditionSchema(s)}
	case dataBody:
		required = "data"
		properties["options"] = ref(s.Singular + "Options")
		properties["data"] = ref(s.Singular + "Change")
	}
	return object{"type": "object", "required": []string{required}, "properties": properties}
}

// conditionSchema describes one condition of a search.
func conditionSchema(s *schema.Schema) object {
	return object{
		"type": "object", "required": []string{"attribute"},
		"description": "A condition; a record has to meet all of them",
		"properties": object{
			"attribute": object{"type": "string", "enum": s.Scalars(), "description": "The attribute to compare"},
			"operator": object{"type": "string", "enum": search.Operators, "default": search.Operators[0],
				"description": "eq and ne compare exactly; lt, le, gt and ge need a number; like and notLike look for a part of a text, whatever its case; isTrue and isFalse need a boolean and no value"},
			"value": object{"type": []string{"string", "number", "boolean"}, "description": "What to compare with, of the attribute's type"},
		},
	}
}

func (q parameter) schema() object {
	s := typeSchema(&schema.Field{Type: q.typ})
	if len(q.choices) > 0 {
		s["enum"] = q.choices
	}
	if q.alias != "" {
		s["enum"] = append(slices.Clone(q.choices), q.alias)
	}
	switch {
	case q.def == "":
	case q.typ == schema.Boolean:
		s["default"] = q.def == "true"
	default:
		s["default"] = q.def
	}
	if q.name == "page" {
		s["minimum"] = 0
	}
	return s
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func content(s object) object { return object{"application/json": object{"schema": s}} }

func statusProperties() object {
	return object{
		"status_is_ok": object{"type": "boolean", "description": "Whether the request was carried out"},
		"message":      object{"type": "string", "description": "Why not"},
		"code":         object{"type": "string", "description": "A stable word for why not"},
		"field":        object{"type": "string", "description": "The field to blame"},
	}
}

// responses describes the answers of a route.
func responses(r route) object {
	properties := statusProperties()
	required := []string{"status_is_ok"}
	results := func(items object) {
		properties["results"] = object{"type": "array", "items": items}
		required = append(required, "results")
	}
	switch r.gives {
	case oneRecord:
		results(ref(r.family.Schema.Singular))
	case onePage, documentsPage, segmentsPage, pointsPage, movementsPage:
		switch r.gives {
		case documentsPage:
			results(ref("Document"))
		case segmentsPage:
			results(ref("Segment"))
		case pointsPage:
			results(ref("Points"))
		default:
			results(ref(r.family.Schema.Singular))
		}
		if r.gives == movementsPage {
			totals(properties)
		}
		properties["current_page"] = object{"type": "integer"}
		properties["max_page_size"] = object{"type": "integer", "const": resource.MaxPageSize}
		for _, q := range r.query {
			if q.name != "page" {
				properties[q.name] = object{"type": typeSchema(&schema.Field{Type: q.typ})["type"], "description": "As supplied"}
			}
		}
	case usageReport:
		report, _ := usageSchemas()
		maps.Copy(properties, report)
		required = append(required, "results")
	case healthReport:
		report, _, _ := healthSchemas()
		maps.Copy(properties, report)
		required = append(required, "results")
	case uploadResult:
		counts(properties)
		failed := statusProperties()
		for i := range r.family.Schema.Fields {
			if f := &r.family.Schema.Fields[i]; f.Type == schema.ID || i == r.family.ID {
				failed[f.Name] = object{"type": typeSchema(f)["type"], "description": "As the record has it"}
			}
		}
		failed["record"] = object{"type": "integer", "description": "Position of the record, from 0"}
		properties["dry_run"] = object{"type": "boolean", "const": true}
		properties["failed_results"] = object{"type": "array", "items": object{
			"type": "object", "required": []string{"record", "status_is_ok", "message"}, "properties": failed,
		}}
		required = append(required, "failed_results")
	case statusOnly:
		if r.takes == dataBody {
			properties["dry_run"] = object{"type": "boolean", "const": true}
			counts(properties)
		}
	}
	refused := ref("Status")
	if r.gives == uploadResult {
		properties := statusProperties()
		properties["failed_results"] = object{"type": "array", "maxItems": 0, "items": object{"type": "object"}}
		refused = object{"type": "object", "required": []string{"status_is_ok"}, "properties": properties}
	}
	status := func(text string) object {
		return object{"description": text, "content": content(refused)}
	}
	answers := object{
		"200": object{"description": "Done, or refused with status_is_ok false",
			"content": content(object{"type": "object", "required": required, "properties": properties})},
		"401": status("No valid API key"),
		"500": status("Internal error"),
		"503": status("The store is busy or cannot be reached; try again"),
		"504": status("The request took too long; try again"),
	}
	if r.takes != noBody {
		answers["413"] = status("The body exceeds 10 MB")
	}
	if r.takes == recordsBody {
		answers["429"] = status("Another upload under this key is under way; not processed")
	}
	return answers
}

// totals describes what the movements of a window come to.
func totals(properties object) {
	cents := func(doc string) object {
		return object{"type": "integer", "format": "int64", "description": doc + ", in cents"}
	}
	share := func(doc string) object {
		return object{"type": []string{"number", "null"}, "description": doc + "; null when no account paid when the window began"}
	}
	properties["totals"] = object{"type": "object", "properties": object{
		"new": cents("New MRR"), "expansion": cents("Expansion"), "contraction": cents("Contraction, not positive"),
		"churn": cents("Churn, not positive"), "net": cents("The sum of them"),
	}}
	properties["opening_mrr"] = cents("MRR of all accounts when the window begins")
	properties["closing_mrr"] = cents("MRR of all accounts when it ends")
	properties["net_revenue_retention"] = share("What the accounts that paid when the window began pay at its end, as a share of that")
	properties["gross_revenue_retention"] = share("The same, without what accounts pay more than they did")
}

// pointsSchema describes a group of data points of metrics.
func pointsSchema() object {
	return object{
		"type": "object", "description": "Data points by the names of their metrics",
		"properties":           object{"account_id": object{"type": "string", "description": "Account ID, where the points of several accounts are listed"}},
		"additionalProperties": object{"type": "array", "items": shownSchema(metrics.Points, metrics.Points.All())},
	}
}

// counts describes how many records a change concerned.
func counts(properties object) {
	for _, count := range []string{"inserted", "changed", "unchanged", "failed"} {
		properties[count] = object{"type": "integer", "description": "Records " + count}
	}
}

// typeSchema describes the type of a field's values.
func typeSchema(f *schema.Field) object {
	switch f.Type {
	case schema.Integer, schema.Long, schema.Time:
		s := object{"type": "integer", "format": "int64"}
		if f.Type == schema.Integer {
			s["format"] = "int32"
		}
		if f.Range != nil {
			s["minimum"], s["maximum"] = f.Range.Min, f.Range.Max
		}
		return s
	case schema.Double:
		return object{"type": "number", "format": "double"}
	case schema.Boolean:
		return object{"type": "boolean"}
	}
	s := object{"type": "string"}
	if f.MaxLen > 0 {
		s["maxLength"] = f.MaxLen
	}
	if len(f.Choices) > 0 {
		s["enum"] = f.Choices
	}
	return s
}

// nullable makes a schema admit null.
func nullable(s object) object {
	s["type"] = []any{s["type"], "null"}
	if choices, ok := s["enum"].([]string); ok {
		withNull := make([]any, 0, len(choices)+1)
		for _, c := range choices {
			withNull = append(withNull, c)
		}
		s["enum"] = append(withNull, nil)
	}
	return s
}

// inputSchema describes what a family, or a list's entries, take.
func inputSchema(s *schema.Schema) object {
	properties, required := object{}, []string{}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.ReadOnly {
			continue
		}
		var p object
		switch {
		case f.Type == schema.List:
			p = nullable(object{"type": "array", "items": inputSchema(s.List(i))})
		case f.Required == schema.Always:
			p = typeSchema(f)
			required = append(required, f.Name)
		case f.Required == schema.OnInsert:
			p = typeSchema(f)
			if f.NullDeletes {
				p = nullable(p)
			}
		default:
			p = nullable(typeSchema(f))
		}
		if p["type"] == "string" {
			p["minLength"] = 1 // what must be there must not be empty
		}
		switch f.Type {
		case schema.ID:
			p["description"] = f.Doc + ". A number is taken as its literal text"
			p["examples"] = []string{exampleID}
		case schema.Label:
			p["description"] = f.Doc + ". A number or boolean is taken as its literal text"
		default:
			p["description"] = f.Doc
		}
		if f.Required == schema.OnInsert {
			p["description"] = f.Doc + ". Required on insert"
		}
		if f.Default == "now" {
			p["description"] = f.Doc + ". Default on insert: the current time"
		}
		if f.Type == schema.Boolean && f.Default != "" {
			p["default"] = f.Default == "true"
		}
		properties[f.Name] = p
		if f.Alias != "" {
			alias := object{"deprecated": true}
			for k, v := range p {
				alias[k] = v
			}
			properties[f.Alias] = alias
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

// changeSchema describes what a PUT of a family takes: the path says which record
// is meant.
func changeSchema(f *resource.Family) object {
	s := inputSchema(f.Schema)
	s["required"] = slices.DeleteFunc(s["required"].([]string), func(name string) bool {
		return name == f.Schema.Fields[f.ID].Name || name == f.Schema.Fields[f.Account].Name || name == "event"
	})
	return s
}

// shownSchema describes the given fields as answers show them.
func shownSchema(s *schema.Schema, shown []int) object {
	properties := object{}
	for _, i := range shown {
		f := &s.Fields[i]
		var p object
		switch {
		case f.Type == schema.List && f.Form == schema.Map:
			p = object{"type": "object", "additionalProperties": nullable(typeSchema(&f.Sub[1]))}
		case f.Type == schema.List && f.Form == schema.Strings:
			p = object{"type": "array", "items": typeSchema(&f.Sub[0])}
		case f.Type == schema.List:
			p = object{"type": "array", "items": shownSchema(s.List(i), s.List(i).All())}
		case f.Type == schema.Boolean || f.Required != schema.Optional:
			p = typeSchema(f)
		default:
			p = nullable(typeSchema(f))
		}
		p["description"] = f.Doc
		properties[f.Name] = p
	}
	return object{"type": "object", "properties": properties}
}

// optionsSchema describes the options of a family's uploads.
func optionsSchema(f *resource.Family) object {
	option := func(def bool, doc string) object {
		return object{"type": []string{"boolean", "null"}, "default": def, "description": doc}
	}
	properties := object{
		"ignore_missing_accounts": option(true, "Leave out records whose account does not exist; otherwise one such record fails the whole upload"),
		"reject_unknown_fields":   option(false, "Refuse records with fields that are not known or cannot be written"),
		"dry_run":                 option(false, "Answer as usual, but write nothing"),
	}
	for _, name := range f.Options {
		properties[name] = option(false, "See the fields' descriptions")
	}
	return object{"type": []string{"object", "null"}, "properties": properties}
}
