package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// description is the API's description of itself.
type description struct {
	document object
	paths    []describedPath
}

type describedPath struct {
	segments []string
	methods  object
}

// fetchDescription reads the description as a browser would: without a key.
func fetchDescription(target *Target) (*description, error) {
	response, err := target.client.Get(target.BaseURL + "/openapi.json")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	value, err := parse(text)
	if err != nil {
		return nil, err
	}
	d := &description{}
	d.document, _ = value.(object)
	paths, _ := d.document["paths"].(object)
	if len(paths) == 0 {
		return nil, fmt.Errorf("no paths in %.200q", text)
	}
	// "{" comes after all letters, so that of two paths that match a request the
	// one that spells it out comes first, as OpenAPI has it.
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		methods, _ := paths[path].(object)
		d.paths = append(d.paths, describedPath{strings.Split(path, "/"), methods})
	}
	return d, nil
}

// operation returns what the description says of a request; nil when nothing.
func (d *description) operation(method, path string) object {
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for _, p := range d.paths {
		if slices.EqualFunc(p.segments, segments, func(described, actual string) bool {
			return described == actual || strings.HasPrefix(described, "{") && actual != ""
		}) {
			operation, _ := p.methods[strings.ToLower(method)].(object)
			return operation
		}
	}
	return nil
}

// routes returns every method and path described, with the names in the paths
// as they stand.
func (d *description) routes() []string {
	var routes []string
	for _, p := range d.paths {
		for method := range p.methods {
			routes = append(routes, strings.ToUpper(method)+" "+strings.Join(p.segments, "/"))
		}
	}
	slices.Sort(routes)
	return routes
}

// check holds an answer against the description.
func (d *description) check(method, path string, status int, body any) []string {
	operation := d.operation(method, path)
	if operation == nil {
		if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			return []string{fmt.Sprintf("answered with %d, but not described", status)}
		}
		return nil
	}
	response := dig(operation, "responses", strconv.Itoa(status))
	if response == nil {
		return []string{fmt.Sprintf("status %d is not described", status)}
	}
	s, _ := dig(response, "content", "application/json", "schema").(object)
	if s == nil {
		return []string{fmt.Sprintf("the body of status %d is not described", status)}
	}
	return d.checkValue(s, body, "")
}

// dig returns the member that the names lead to; nil when there is none.
func dig(value any, names ...string) any {
	for _, name := range names {
		members, _ := value.(object)
		value = members[name]
	}
	return value
}

// checkValue holds a value against a schema. It is stricter than JSON Schema:
// a property that is not described is wrong.
func (d *description) checkValue(s object, value any, at string) []string {
	if reference, ok := s["$ref"].(string); ok {
		names := strings.Split(strings.TrimPrefix(reference, "#/"), "/")
		target, _ := dig(d.document, names...).(object)
		if target == nil {
			return []string{fmt.Sprintf("%s: the description's %s leads nowhere", at, reference)}
		}
		return d.checkValue(target, value, at)
	}
	if !hasType(s["type"], value) {
		return []string{fmt.Sprintf("%s: %s, described as %v", at, brief(value), s["type"])}
	}
	var problems []string
	wrong := func(format string, args ...any) { problems = append(problems, at+": "+fmt.Sprintf(format, args...)) }
	if choices, ok := s["enum"].([]any); ok && !slices.Contains(choices, value) {
		wrong("%s, described as one of %v", brief(value), choices)
	}
	if constant, ok := s["const"]; ok && constant != value {
		wrong("%s, described as %v", brief(value), constant)
	}
	switch value := value.(type) {
	case object:
		properties, _ := s["properties"].(object)
		others, _ := s["additionalProperties"].(object)
		for name, v := range value {
			property, _ := properties[name].(object)
			if property == nil {
				property = others
			}
			if property == nil {
				wrong("the property %q is not described", name)
				continue
			}
			problems = append(problems, d.checkValue(property, v, at+"."+name)...)
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, there := value[name.(string)]; !there {
				wrong("the property %q is missing", name)
			}
		}
	case []any:
		items, _ := s["items"].(object)
		if items == nil {
			wrong("its elements are not described")
			break
		}
		for i, v := range value {
			problems = append(problems, d.checkValue(items, v, fmt.Sprintf("%s[%d]", at, i))...)
			if len(problems) > 5 {
				break
			}
		}
	case json.Number:
		for _, bound := range []struct {
			name  string
			wrong func(value, bound float64) bool
		}{
			{"minimum", func(v, b float64) bool { return v < b }},
			{"maximum", func(v, b float64) bool { return v > b }},
		} {
			if limit, ok := s[bound.name].(json.Number); ok {
				v, _ := value.Float64()
				b, _ := limit.Float64()
				if bound.wrong(v, b) {
					wrong("%s, described with the %s %s", value, bound.name, limit)
				}
			}
		}
	case string:
		if limit, ok := s["maxLength"].(json.Number); ok {
			if n, _ := limit.Int64(); int64(utf8.RuneCountInString(value)) > n {
				wrong("longer than the maxLength %s described", limit)
			}
		}
	}
	return problems
}

// hasType reports whether a value is of a type, or of one of several.
func hasType(described, value any) bool {
	if several, ok := described.([]any); ok {
		return slices.ContainsFunc(several, func(one any) bool { return hasType(one, value) })
	}
	switch value := value.(type) {
	case nil:
		return described == "null"
	case bool:
		return described == "boolean"
	case string:
		return described == "string"
	case json.Number:
		return described == "number" || described == "integer" && !strings.ContainsAny(string(value), ".eE")
	case []any:
		return described == "array"
	}
	return described == "object"
}
