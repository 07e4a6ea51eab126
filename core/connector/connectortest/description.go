package connectortest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// largest is how long an answer may be to be checked as a whole. Longer ones are
// made of many records that are like those of shorter ones.
const largest = 1 << 16

// description is what a vendor itself says of its API: testdata/NAME/openapi.json.
type description struct {
	operations []*operation
	exceptions []*exception
	// agreed are requests with answers that have been compared, and are as described.
	agreed map[string]bool
}

// operation is something that can be asked for.
type operation struct {
	method  string
	path    string // as the description has it
	full    string // with that of the server before it
	pattern *regexp.Regexp
	params  openapi3.Parameters
	*openapi3.Operation
}

// exception is a difference from the description that is meant:
// testdata/NAME/exceptions.json is an array of them.
type exception struct {
	// Request is the method and path, with * for what differs.
	Request string `json:"request"`
	// About is what differs: "path" if the description lacks it, "query NAME",
	// "header NAME", "body" or "answer", the last two with the JSON pointer of the
	// place behind them, in which * stands for a number.
	About string `json:"about"`
	// Reason says why it has to be so.
	Reason string `json:"reason"`

	needed bool
}

// readDescription reads the description of a system; nil if there is none.
func readDescription(dir fs.FS) (*description, error) {
	text, err := fs.ReadFile(dir, "openapi.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	d := &description{agreed: map[string]bool{}}
	if text, err := fs.ReadFile(dir, "exceptions.json"); err == nil {
		if err := json.Unmarshal(text, &d.exceptions); err != nil {
			return nil, fmt.Errorf("exceptions.json: %w", err)
		}
		for _, e := range d.exceptions {
			if e.Reason == "" {
				return nil, fmt.Errorf("exceptions.json: %s %s has no reason", e.Request, e.About)
			}
		}
	}
	prefix := ""
	if len(doc.Servers) > 0 {
		u, err := url.Parse(doc.Servers[0].URL)
		if err != nil {
			return nil, err
		}
		prefix = strings.TrimSuffix(u.Path, "/")
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		item := doc.Paths.Value(name)
		var expression strings.Builder
		for i, part := range regexp.MustCompile(`\{[^}]*\}`).Split(prefix+name, -1) {
			if i > 0 {
				expression.WriteString("[^/]+")
			}
			expression.WriteString(regexp.QuoteMeta(part))
		}
		// The same API may be had under another prefix, such as that of a tenant.
		pattern := regexp.MustCompile(expression.String() + "$")
		for method, o := range item.Operations() {
			d.operations = append(d.operations, &operation{
				method: method, path: name, full: prefix + name, pattern: pattern, params: append(slices.Clone(item.Parameters), o.Parameters...), Operation: o,
			})
		}
	}
	return d, nil
}

// find returns the operation of a request; nil if there is none.
func (d *description) find(r *http.Request) *operation {
	for wild := range 2 { // a path without variables goes before one with
		for _, o := range d.operations {
			at := o.pattern.FindStringIndex(r.URL.Path)
			if o.method == r.Method && strings.Contains(o.path, "{") == (wild == 1) && at != nil && (at[0] == 0 || !d.begins(r.URL.Path)) {
				return o
			}
		}
	}
	return nil
}

// begins reports whether a path begins like one of the description. Others may have
// the prefix of a tenant.
func (d *description) begins(target string) bool {
	first := func(path string) string { return strings.SplitN(path, "/", 3)[1] }
	return slices.ContainsFunc(d.operations, func(o *operation) bool { return first(o.full) == first(target) })
}

// check compares a request and its answer with the description. fault is told of
// each difference that is not an exception.
func (d *description) check(r *http.Request, body []byte, status int, answer []byte, fault func(f string, args ...any)) {
	key := fmt.Sprintln(r.Method, r.URL, r.Header, string(body), status, string(answer))
	if d.agreed[key] {
		return
	}
	o, agrees := d.find(r), true
	defer func() { d.agreed[key] = agrees && len(answer) <= largest }()
	differs := func(about, f string, args ...any) {
		for _, e := range d.exceptions {
			asked, _ := path.Match(e.Request, r.Method+" "+r.URL.Path)
			if !asked && o != nil {
				asked = e.Request == r.Method+" "+o.path
			}
			if asked && (e.About == about || strings.HasPrefix(about, e.About+"/")) {
				e.needed = true
				return
			}
		}
		agrees = false
		fault("%s %s: %s: the vendor's description has it differently: %s", r.Method, r.URL.Path, about, fmt.Sprintf(f, args...))
	}
	if o == nil {
		differs("path", "there is no such path")
		return
	}
	o.query(r.URL.Query(), differs)
	for _, p := range o.params {
		if p := p.Value; p.In == "header" && p.Required && r.Header.Get(p.Name) == "" {
			differs("header "+p.Name, "it is required")
		}
	}
	if o.RequestBody != nil && len(body) > 0 {
		o.compare("body", o.RequestBody.Value.Content, body, differs, openapi3.VisitAsRequest())
	} else if len(body) > 0 {
		differs("body", "there is none")
	} else if o.RequestBody != nil && o.RequestBody.Value.Required {
		differs("body", "it is required")
	}
	response := o.Responses.Status(status)
	if response == nil {
		response = o.Responses.Default()
	}
	if response != nil && len(answer) <= largest {
		o.compare("answer", response.Value.Content, answer, differs, openapi3.VisitAsResponse())
	}
}

// query checks the parameters in the URL.
func (o *operation) query(query url.Values, differs func(about, f string, args ...any)) {
	given := map[string]any{}
	for name, values := range query {
		base, rest, bracket := strings.Cut(name, "[")
		switch {
		case o.param(name) != nil: // the brackets, if any, belong to the name
			given[name] = texts(values)
			if len(values) == 1 {
				given[name] = values[0]
			}
		case bracket && rest == "]":
			given[base] = texts(values)
		case bracket:
			object, _ := given[base].(map[string]any)
			if object == nil {
				object = map[string]any{}
				given[base] = object
			}
			object[strings.TrimSuffix(rest, "]")] = values[0]
		default:
			given[name] = values[0]
		}
	}
	for _, p := range o.params {
		p := p.Value
		if p.In != "query" {
			continue
		}
		value, ok := given[p.Name]
		if !ok {
			if p.Required {
				differs("query "+p.Name, "it is required")
			}
			continue
		}
		delete(given, p.Name)
		if p.Schema == nil {
			continue
		}
		if text, ok := value.(string); ok && p.Schema.Value.Type.Is("array") {
			if p.Explode == nil || *p.Explode || (p.Style != "" && p.Style != "form") {
				value = []any{text}
			} else {
				value = texts(strings.Split(text, ","))
			}
		}
		if err := p.Schema.Value.VisitJSON(value, openapi3.SetSchemaRegexCompiler(compile)); err == nil {
			continue
		}
		if err := p.Schema.Value.VisitJSON(numbers(value), openapi3.SetSchemaRegexCompiler(compile)); err != nil {
			differs("query "+p.Name, "%v", short(err))
		}
	}
	for name := range given {
		differs("query "+name, "there is no such parameter")
	}
}

func (o *operation) param(name string) *openapi3.Parameter {
	for _, p := range o.params {
		if p.Value.In == "query" && p.Value.Name == name {
			return p.Value
		}
	}
	return nil
}

func texts(values []string) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}

// numbers returns a value with texts that are numbers or booleans as such.
func numbers(v any) any {
	switch of := v.(type) {
	case string:
		var scalar any
		if json.Unmarshal([]byte(of), &scalar) == nil {
			return scalar
		}
	case []any:
		list := slices.Clone(of)
		for i := range list {
			list[i] = numbers(list[i])
		}
		return list
	case map[string]any:
		object := maps.Clone(of)
		for name := range object {
			object[name] = numbers(object[name])
		}
		return object
	}
	return v
}

// compare checks JSON against the schema of a body.
func (o *operation) compare(what string, content openapi3.Content, text []byte, differs func(about, f string, args ...any), as openapi3.SchemaValidationOption) {
	media := content.Get("application/json")
	if media == nil || media.Schema == nil {
		return
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		differs(what, "%v", err)
		return
	}
	err := media.Schema.Value.VisitJSON(v, as, openapi3.MultiErrors(), openapi3.SetSchemaRegexCompiler(compile))
	for _, e := range flatten(err) {
		// What a system has nothing of it sends as null, whether or not its description
		// says so.
		if s, ok := errors.AsType[*openapi3.SchemaError](e); ok && s.SchemaField == "nullable" && what == "answer" {
			continue
		}
		differs(what+pointer(e), "%v", short(e))
	}
}

// compile compiles a pattern, which may be written as in JavaScript: /pattern/i.
func compile(pattern string) (openapi3.RegexMatcher, error) {
	if m := regexp.MustCompile(`^/(.*)/(i?)$`).FindStringSubmatch(pattern); m != nil {
		pattern = m[1]
		if m[2] != "" {
			pattern = "(?i)" + pattern
		}
	}
	return regexp.Compile(pattern)
}

func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := errors.AsType[openapi3.MultiError](err); ok {
		var all []error
		for _, e := range many {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

// pointer returns where in the JSON an error is, with * for places in arrays.
func pointer(err error) string {
	e, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok {
		return ""
	}
	var text strings.Builder
	for _, name := range e.JSONPointer() {
		if strings.Trim(name, "0123456789") == "" {
			name = "*"
		}
		text.WriteString("/" + name)
	}
	return text.String()
}

// short returns the first words of an error, which may quote a whole schema.
func short(err error) string {
	if e, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		value, _ := json.Marshal(e.Value)
		return fmt.Sprintf("%s (%s: %.100s)", e.Reason, pointer(e), value)
	}
	text, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return string(text[:min(len(text), 300)])
}

// unneeded returns the exceptions that nothing has needed.
func (d *description) unneeded() []string {
	var names []string
	for _, e := range d.exceptions {
		if !e.needed {
			names = append(names, e.Request+" "+e.About)
		}
	}
	return names
}
