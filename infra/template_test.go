package infra

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/config"
	"tenure/core/console"
	"tenure/core/files"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/usage"
)

// generatedFiles are those that follow from the code.
var generatedFiles = map[string]func() ([]byte, error){
	"gateway.json": Gateway, "events.json": EventsGateway, "roles.json": Roles, "operations.json": Operations,
}

func TestGeneratedTemplatesFollowFromTheCode(t *testing.T) {
	for name, make := range generatedFiles {
		want, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(name); err != nil || string(have) != string(want) {
			t.Errorf("%s is out of date: UPDATE=1 go test ./infra writes it anew (%v)", name, err)
		}
	}
}

// load reads a template, with its short forms of functions written out.
func load(t *testing.T, file string) object {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return plain(t, root.Content[0]).(object)
}

func plain(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var value any
	switch n.Kind {
	case yaml.MappingNode:
		members := object{}
		for i := 0; i < len(n.Content); i += 2 {
			members[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		value = members
	case yaml.SequenceNode:
		elements := []any{}
		for _, c := range n.Content {
			elements = append(elements, plain(t, c))
		}
		value = elements
	default:
		short := strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!")
		if value = n.Value; !short {
			if err := n.Decode(&value); err != nil {
				t.Fatal(err)
			}
		}
	}
	function, short := strings.CutPrefix(n.Tag, "!")
	switch {
	case !short || strings.HasPrefix(function, "!"):
		return value
	case function == "Ref":
		return object{"Ref": value}
	case function == "GetAtt":
		resource, name, _ := strings.Cut(value.(string), ".")
		return object{"Fn::GetAtt": []any{resource, name}}
	}
	return object{"Fn::" + function: value}
}

// at returns what lies at a path of members in a template.
func at(t *testing.T, from any, path ...string) any {
	t.Helper()
	for i, name := range path {
		members, ok := from.(object)
		if !ok || members[name] == nil {
			t.Fatalf("no %s", strings.Join(path[:i+1], "."))
		}
		from = members[name]
	}
	return from
}

const main = "../template.yaml"

func TestEveryFunctionHasItsPlaceInTheTemplate(t *testing.T) {
	resources := at(t, load(t, main), "Resources").(object)
	folders, err := filepath.Glob("../functions/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	for _, f := range folders {
		programs = append(programs, filepath.Base(filepath.Dir(f)))
	}
	functions := Functions()
	slices.Sort(functions)
	if !slices.Equal(programs, functions) {
		t.Errorf("functions/ has %v, want %v", programs, functions)
	}
	declared := 0
	for id, r := range resources {
		if at(t, r, "Type") != "AWS::Serverless::Function" {
			continue
		}
		declared++
		if !slices.ContainsFunc(functions, func(f string) bool { return LogicalID(f) == id }) {
			t.Errorf("%s is no function", id)
		}
	}
	if declared != len(functions) {
		t.Errorf("%d functions in the template, want %d", declared, len(functions))
	}
	for _, function := range functions {
		id := LogicalID(function)
		properties := at(t, resources, id, "Properties").(object)
		for name, want := range map[string]any{
			"CodeUri": "functions/" + function + "/", "FunctionName": object{"Fn::Sub": "${AWS::StackName}-" + function},
			"Role": object{"Fn::GetAtt": []any{"Roles", "Outputs." + id}},
		} {
			if !reflect.DeepEqual(properties[name], want) {
				t.Errorf("%s of %s is %v, want %v", name, id, properties[name], want)
			}
		}
		if slices.Contains([]string{"rollup", usageFunction, "clock", uploadsFunction, syncFunction}, function) {
			continue
		}
		if got, want := at(t, resources, id+"Calls", "Properties", "FunctionName"), (object{"Ref": id + ".Alias"}); !reflect.DeepEqual(got, want) {
			t.Errorf("the gateway may call %v, want %v", got, want)
		}
	}
}

func TestTimesFitIntoEachOther(t *testing.T) {
	function := at(t, load(t, main), "Globals", "Function").(object)
	seconds, _ := at(t, function, "Timeout").(int)
	if got := time.Duration(seconds) * time.Second; got != gatewayTimeout*time.Millisecond {
		t.Errorf("functions may run for %v, the gateway waits for %v", got, gatewayTimeout*time.Millisecond)
	}
	variables := at(t, function, "Environment", "Variables").(object)
	c, err := config.From(func(name string) string { text, _ := variables[name].(string); return text })
	if err != nil {
		t.Fatal(err)
	}
	if least := time.Second; c.Timeout > gatewayTimeout*time.Millisecond-least || c.Timeout < 20*time.Second {
		t.Errorf("requests may take %v of %d ms", c.Timeout, gatewayTimeout)
	}
}

func TestFilesAndWorkOnThemLastAsLongAsTheCodeSays(t *testing.T) {
	resources := at(t, load(t, main), "Resources")
	rules := at(t, resources, "UploadsBucket", "Properties", "LifecycleConfiguration", "Rules").([]any)
	if days := at(t, rules[0], "ExpirationInDays"); time.Duration(days.(int))*24*time.Hour != files.Life {
		t.Errorf("files are kept for %v days", days)
	}
	for queue, function := range map[string]string{"UploadsQueue": "UploadsFunction", "SourcesQueue": "SyncFunction"} {
		timeout := at(t, resources, function, "Properties", "Timeout").(int)
		if visible := at(t, resources, queue, "Properties", "VisibilityTimeout").(int); visible <= timeout {
			t.Errorf("a message of %s comes again after %d seconds, its work may take %d", queue, visible, timeout)
		}
	}
}

func TestTheTableIsAsTheCodeNeedsIt(t *testing.T) {
	properties := at(t, load(t, "table.yaml"), "Resources", "Table", "Properties").(object)
	text, err := json.Marshal(dynamo.Definition("t"))
	if err != nil {
		t.Fatal(err)
	}
	var want object
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"} {
		if got := normal(t, properties[name]); !reflect.DeepEqual(got, withoutNull(want[name])) {
			t.Errorf("%s is\n%v, want\n%v", name, got, withoutNull(want[name]))
		}
	}
	if got := at(t, properties, "StreamSpecification", "StreamViewType"); got != at(t, want, "StreamSpecification", "StreamViewType") {
		t.Errorf("the stream has %v", got)
	}
	if got := at(t, properties, "TimeToLiveSpecification", "AttributeName"); got != dynamo.TimeToLive {
		t.Errorf("items expire by %v, want %s", got, dynamo.TimeToLive)
	}
}

// normal returns a value as JSON has it.
func normal(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// withoutNull leaves out members that are null.
func withoutNull(value any) any {
	switch v := value.(type) {
	case object:
		maps.DeleteFunc(v, func(_ string, member any) bool { return member == nil })
		for _, member := range v {
			withoutNull(member)
		}
	case []any:
		for _, element := range v {
			withoutNull(element)
		}
	}
	return value
}

// TestEachFunctionThatFollowsTheStreamIsToldOfItsOwnChanges compares what reaches the
// rollup, and the function that counts usage events, with what they take up: between
// them all of that, each change once, and of the rest nothing.
func TestEachFunctionThatFollowsTheStreamIsToldOfItsOwnChanges(t *testing.T) {
	resources := at(t, load(t, main), "Resources")
	told := func(function string) (events []string, passes func(partition string) bool) {
		filters := at(t, resources, LogicalID(function), "Properties", "Events", "Changes", "Properties", "FilterCriteria", "Filters").([]any)
		var pattern struct {
			EventName []string
			DynamoDB  struct {
				Keys struct {
					PK struct {
						S []struct{ Suffix string }
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(at(t, filters[0], "Pattern").(string)), &pattern); err != nil || len(filters) != 1 {
			t.Fatal(filters, err)
		}
		return pattern.EventName, func(partition string) bool {
			return slices.ContainsFunc(pattern.DynamoDB.Keys.PK.S, func(p struct{ Suffix string }) bool { return strings.HasSuffix(partition, p.Suffix) })
		}
	}
	_, derives := told("rollup")
	kinds, counts := told(usageFunction)
	if !slices.Equal(kinds, []string{"INSERT"}) {
		t.Errorf("usage is told of %v", kinds)
	}
	partitions := []string{"acme/2026071512-0/usage/log", "acme/2026071512-f/usage/log"}
	for _, pattern := range counted {
		partitions = append(partitions, strings.ReplaceAll(pattern, "*", "acme"))
	}
	for shard := range dynamo.Shards {
		for _, family := range catalog.All() {
			partitions = append(partitions, fmt.Sprintf("acme/%s/%02x", family.Schema.Name, shard))
		}
	}
	for _, partition := range partitions {
		key := table.Key{Partition: partition, Sort: "s"}
		if want := rollup.Concerns(key) && !rollup.Bulk(key); derives(partition) != want {
			t.Errorf("%s reaches the rollup: %v, concerns it: %v", partition, derives(partition), want)
		}
		if want := rollup.Bulk(key); counts(partition) != want {
			t.Errorf("%s reaches usage: %v, concerns it: %v", partition, counts(partition), want)
		}
	}
}

// TestNothingLogsOrTracesTheKeysOfUsageEvents holds what must not be said of requests
// whose path has their keys.
func TestNothingLogsOrTracesTheKeysOfUsageEvents(t *testing.T) {
	properties := at(t, load(t, main), "Resources", "EventsApi", "Properties").(object)
	if properties["TracingEnabled"] != false {
		t.Error("requests are traced, with their paths")
	}
	settings := at(t, properties, "MethodSettings").([]any)[0].(object)
	if len(at(t, properties, "MethodSettings").([]any)) != 1 || settings["LoggingLevel"] != "OFF" || settings["DataTraceEnabled"] != false {
		t.Errorf("requests are logged as they are worked on: %v", settings)
	}
	format := at(t, properties, "AccessLogSetting", "Format").(string)
	for _, variable := range regexp.MustCompile(`\$context[\w.]*`).FindAllString(format, -1) {
		if !slices.Contains([]string{"$context.requestId", "$context.requestTime", "$context.identity.sourceIp", "$context.httpMethod", "$context.resourcePath", "$context.status",
			"$context.responseLength", "$context.responseLatency", "$context.integrationLatency", "$context.integrationStatus", "$context.error.responseType"}, variable) {
			t.Errorf("the access log has %s", variable)
		}
	}
	if !strings.Contains(format, "$context.resourcePath") {
		t.Error("the access log does not say which route")
	}
}

// TestTheGatewayTheDescriptionAndTheFunctionsAgree compares the routes that the
// gateway has with those that the product describes, and with those that each
// function serves.
func TestTheGatewayTheDescriptionAndTheFunctionsAgree(t *testing.T) {
	text, err := os.ReadFile("gateway.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			Integration struct{ URI object } `json:"x-amazon-apigateway-integration"`
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	calls := func(uri object) string { // the logical id of the function that a method calls
		streaming := uri["Fn::If"].([]any)[1].(object)["Fn::Sub"].(string)
		_, rest, _ := strings.Cut(streaming, "/functions/${")
		id, _, _ := strings.Cut(rest, ".Arn}:live/response-streaming-invocations")
		return id
	}
	handlers := handlersOf(t)
	status := func(function, method, path string) int {
		w := httptest.NewRecorder()
		handlers[function].ServeHTTP(w, httptest.NewRequest(method, strings.NewReplacer("{", "", "}", "").Replace(path), nil))
		return w.Code
	}
	var described struct{ Paths map[string]map[string]any }
	w := httptest.NewRecorder()
	handlers["accounts"].ServeHTTP(w, httptest.NewRequest(http.MethodGet, api.BasePath+"/openapi.json", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	described.Paths["/openapi.json"] = map[string]any{"get": true} // which is not about itself
	routes := 0
	for path, methods := range described.Paths {
		gateway := document.Paths[api.BasePath+path]
		for method := range methods {
			routes++
			if _, ok := gateway[method]; !ok {
				t.Errorf("the gateway lacks %s %s", method, path)
			}
		}
		if len(gateway) != len(methods)+1 {
			t.Errorf("the gateway has %d methods for %s, want %d and the one for all others", len(gateway), path, len(methods))
		}
		function := ""
		for method, m := range gateway {
			id := calls(m.Integration.URI)
			if function == "" {
				function = id
			}
			if function != id {
				t.Errorf("%s of %s calls %s, another method %s", method, path, id, function)
			}
		}
		for name := range handlers {
			serves := status(name, http.MethodGet, api.BasePath+path) != http.StatusNotFound
			if serves != (LogicalID(name) == function) {
				t.Errorf("%s: the gateway calls %s; %s serves it: %v", path, function, name, serves)
			}
		}
	}
	for _, path := range []string{console.BasePath, console.BasePath + "/{page+}"} {
		page := document.Paths[path]
		if id := calls(page["x-amazon-apigateway-any-method"].Integration.URI); len(page) != 1 || id != LogicalID(consoleFunction) {
			t.Errorf("%s calls %s", path, id)
		}
	}
	if len(document.Paths) != len(described.Paths)+2 || routes < 80 {
		t.Errorf("the gateway has %d paths, the description %d with %d methods", len(document.Paths), len(described.Paths), routes)
	}
	if got := status("accounts", http.MethodPatch, api.BasePath+"/accounts"); got != http.StatusMethodNotAllowed {
		t.Errorf("a method that is not described: status %d", got)
	}
}

// handlersOf returns the API of each function behind the gateway, over a store
// that holds nothing.
func handlersOf(t *testing.T) map[string]http.Handler {
	t.Helper()
	store := openStore(t)
	handlers := map[string]http.Handler{}
	for _, function := range apiFunctions() {
		engine := resource.New(resource.Config{Table: store, Root: catalog.Root})
		h, err := api.New(api.Config{
			Engine: engine, Access: access.New(store, nil), Usage: usage.New(usage.Config{Table: store, Engine: engine}), Timeout: time.Minute,
			Function: function, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		}, catalog.All())
		if err != nil {
			t.Fatal(err)
		}
		handlers[function] = h
	}
	return handlers
}

func TestAFunctionThatDoesNotExistIsRefused(t *testing.T) {
	if _, err := api.New(api.Config{Function: "account"}, catalog.All()); err == nil {
		t.Error("no error")
	}
}
