package sources

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tenure/core/mapping"
	"tenure/core/schema"
)

const (
	// maxPaths is how many paths are listed of records at most.
	maxPaths = 400
	// maxExample is the greatest length of an example value, in code points.
	maxExample = 80
	// longestPath is that of a path that is listed, in bytes.
	longestPath = 200
)

// Path is a path to a value in a system's records, as expressions have it.
type Path struct {
	Path string `json:"path"`
	// Example is the first value that is found there; empty where there is none.
	Example string `json:"example,omitempty"`
}

// plainName has the names that need no quotes.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// memberPath returns the path of a member of the object at a path, which is empty for
// the record itself.
func memberPath(at, name string) string {
	if plainName.MatchString(name) {
		return at + "." + name
	}
	return cmp.Or(at, ".") + "[" + string(schema.Text(name)) + "]"
}

// depth returns how many names a path has.
func depth(path string) int {
	return strings.Count(strings.ReplaceAll(path, ".[", "["), ".") + strings.Count(path, "[")
}

// pathsOf returns the paths to the values in records, in order, with an example of
// each. Of lists the first element is taken. They begin with base, which is empty or
// a variable.
func pathsOf(records []any, base string) []Path {
	found := map[string]string{}
	var walk func(v any, at string)
	walk = func(v any, at string) {
		if len(at) > longestPath {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				walk(member, memberPath(at, name))
			}
			return
		case []any:
			if len(v) > 0 {
				if at == "" {
					at = "."
				}
				walk(v[0], at+"[0]")
			}
			return
		}
		if at == "" {
			at = "."
		}
		if found[at] == "" {
			found[at] = exampleOf(v)
		}
	}
	for _, record := range records {
		walk(record, base)
	}
	paths := []Path{}
	for _, at := range slices.SortedFunc(maps.Keys(found), strings.Compare) {
		if len(paths) < maxPaths {
			paths = append(paths, Path{at, found[at]})
		}
	}
	return paths
}

// before returns what an expression reads of an element, and of the record that it is
// of, as the system has it.
func before(expression string, element, record any) []Path {
	paths := []Path{}
	for _, r := range mapping.Reads(expression) {
		v, at := element, ""
		switch r.Variable {
		case "":
		case "record":
			v, at = record, "$record"
		default:
			continue
		}
		for _, name := range r.Path {
			switch name := name.(type) {
			case string:
				object, _ := v.(map[string]any)
				v, at = object[name], memberPath(at, name)
			case int:
				list, _ := v.([]any)
				if v = nil; name >= 0 && name < len(list) {
					v = list[name]
				}
				at = fmt.Sprintf("%s[%d]", cmp.Or(at, "."), name)
			}
		}
		paths = append(paths, Path{at, exampleOf(v)})
	}
	return paths
}

// exampleOf returns a value as people read it, cut off where it is long.
func exampleOf(v any) string {
	if v == nil {
		return ""
	}
	text, ok := mapping.Text(v)
	if !ok {
		encoded, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		text = string(encoded)
	}
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > maxExample {
		text = string([]rune(text)[:maxExample-1]) + "…"
	}
	return text
}
