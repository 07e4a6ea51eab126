package api

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tenure/core/catalog"
)

const readme = "../../README.md"

// endpoints returns the list of endpoints as the README has it: a row for each
// path, from the same routes that are served.
func endpoints() string {
	type row struct{ path, methods, summary string }
	var rows []row
	for _, r := range routesOf(catalog.All()) {
		at := slices.IndexFunc(rows, func(have row) bool { return have.path == r.path })
		if at < 0 {
			at = len(rows)
			rows = append(rows, row{path: r.path})
		}
		var parameters []string
		for _, q := range r.query {
			parameters = append(parameters, "`"+q.name+"`")
		}
		summary := r.summary
		if len(parameters) > 0 {
			summary += " (" + strings.Join(parameters, ", ") + ")"
		}
		rows[at].methods = strings.TrimPrefix(rows[at].methods+", "+r.method, ", ")
		rows[at].summary = strings.TrimPrefix(rows[at].summary+"; "+summary, "; ")
	}
	var b strings.Builder
	b.WriteString("| path | methods | |\n| --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.path, r.methods, r.summary)
	}
	return b.String()
}

func TestTheReadmeListsTheEndpointsThatAreServed(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- endpoints -->\n", "<!-- /endpoints -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	have, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no %s … %s", readme, begin, end)
	}
	want := endpoints()
	if have == want {
		return
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(readme, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the list of endpoints in the README is out of date: UPDATE=1 go test ./core/api -run Readme writes it anew. It should be\n%s", want)
}
