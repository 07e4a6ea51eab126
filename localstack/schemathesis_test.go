package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/subscriptions"
)

// schemathesisTool is where `make tools` puts it, seen from this package.
const schemathesisTool = "../.tools/schemathesis/bin/schemathesis"

// schemathesisExamples is how many requests it makes up for each operation when
// it fuzzes, and how many sequences of requests beyond. What it derives from
// the description alone comes on top: about a hundred requests an operation.
const schemathesisExamples = 10

// TestSchemathesisFindsNothing has schemathesis read the description of the
// running product, and send what the description says and what it does not.
// Every answer must be one that is described, and none an error of the server.
func TestSchemathesisFindsNothing(t *testing.T) {
	t.Parallel()
	tool, err := filepath.Abs(schemathesisTool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tool); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("schemathesis is missing: %v", err)
		}
		t.Skipf("left out, as it needs schemathesis: run `make tools` to get it (%v)", err)
	}
	p := start(t, "DATA_DIR="+t.TempDir(), "REQUEST_TIMEOUT="+requestTimeout.String())
	examples := p.examples()
	for _, f := range catalog.All() {
		p.done(testKey, http.MethodPost, "/"+f.Schema.Name, records(exampleRecord(t, f, examples)))
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "schemathesis.toml")
	if err := os.WriteFile(config, []byte(schemathesisConfig(t, examples)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), tool, "--config-file", config, "run", p.address+"/api/v2/openapi.json",
		"--auth", "api:"+testKey,
		"--workers", "1", // an upload beside another under the same key gets a 429
		"--seed", "1", "--generation-database", "none",
		"--max-examples", fmt.Sprint(schemathesisExamples),
		"--request-timeout", fmt.Sprint(requestTimeout.Seconds()),
		"--suppress-health-check", "all", // a machine may be busy with other things
		"--warnings", "off", "--no-color")
	run.Dir = dir                                      // for whatever it leaves behind
	run.Env = append(os.Environ(), "PYTHONHASHSEED=0") // sets are to be in the same order each time
	endWithParent(run)
	report, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("schemathesis: %v\n%s", err, report)
	}
	t.Logf("%s", report)
}

// examples returns the examples that the description has for the parts of paths.
func (c *client) examples() map[string]any {
	c.t.Helper()
	response, err := c.http.Get(c.address + "/api/v2/openapi.json")
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	var document struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Example  any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		c.t.Fatal(err)
	}
	examples := map[string]any{}
	for _, operations := range document.Paths {
		for _, operation := range operations {
			for _, parameter := range operation.Parameters {
				if parameter.In == "path" {
					examples[parameter.Name] = parameter.Example
				}
			}
		}
	}
	return examples
}

// exampleRecord returns a record that the paths lead to when their examples
// are put in: with what it must have, and in an account with an entry of
// everything that has paths of its own.
func exampleRecord(t *testing.T, f *resource.Family, examples map[string]any) string {
	t.Helper()
	record := exampleFields(f.Schema, examples, f == catalog.Root)
	if f.Generated != nil { // the id is not the client's to choose
		record[f.Schema.Fields[f.Generated.External].Name] = examples["id"]
	}
	if f == subscriptions.Family { // what an event needs depends on which it is
		maps.Copy(record, map[string]any{
			"event": "revenue", "effective_start_date": examples["timestamp"],
			"total_revenue": 4900, "cycle_unit": "month", "cycle_length": 1,
		})
	}
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exampleFields(s *schema.Schema, examples map[string]any, lists bool) map[string]any {
	fields := map[string]any{}
	for i := range s.Fields {
		f := &s.Fields[i]
		example, found := examples[f.Name]
		switch {
		case f.ReadOnly:
		case f.Type == schema.List:
			if lists || f.Required != schema.Optional {
				fields[f.Name] = []any{exampleFields(s.List(i), examples, lists)}
			}
		case f.Required == schema.Optional:
		case f.Type == schema.ID:
			fields[f.Name] = examples["id"]
		case f.Range != nil:
			fields[f.Name] = f.Range.Max
		case f.Type == schema.Integer || f.Type == schema.Double:
			fields[f.Name] = 1
		case f.Type.Numeric():
			fields[f.Name] = examples["timestamp"]
		case f.Type == schema.Boolean:
			fields[f.Name] = true
		case len(f.Choices) > 0:
			fields[f.Name] = f.Choices[0]
		case found:
			fields[f.Name] = example
		default:
			fields[f.Name] = "Example"
		}
	}
	return fields
}

// schemathesisConfig has it ask for what is there most of the time, where it
// would make up ids and names that lead to nothing, and says what it is not to
// expect of this API.
func schemathesisConfig(t *testing.T, examples map[string]any) string {
	t.Helper()
	var dictionaries, parameters strings.Builder
	bind := func(where, name string) {
		fmt.Fprintf(&parameters, "%q = { dictionary = %q, probability = 0.8 }\n", where, name)
	}
	for name, example := range examples {
		text, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&dictionaries, "[dictionaries.%s]\nvalues = [%s]\n", name, text)
		bind("path."+name, name)
	}
	ids := map[string]bool{}
	for _, f := range catalog.All() {
		for _, ordinal := range []int{f.ID, f.Account} {
			if field := &f.Schema.Fields[ordinal]; field.Type == schema.ID {
				ids[field.Name] = true
			}
		}
	}
	for name := range ids {
		bind("body.records[*]."+name, "id")
		bind("body.data."+name, "id")
	}
	return `
[checks]
# What is wrong with a request's content is told with status 200, and much is
# taken as it was meant.
negative_data_rejection.enabled = false
# What DELETE deactivates is still there.
use_after_free.enabled = false

` + dictionaries.String() + "[parameters]\n" + parameters.String()
}
