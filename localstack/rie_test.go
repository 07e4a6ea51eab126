package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"tenure/core/access"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
)

// samples is the folder of the events that `sam local invoke` users have.
const samples = "../events"

// sample returns one of the sample events.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// emulator returns the path of AWS's runtime interface emulator, which comes
// with the SAM CLI.
func emulator(t *testing.T) string {
	t.Helper()
	name := "aws-lambda-rie-" + map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	found, err := filepath.Glob("../.tools/sam/lib/python3*/site-packages/samcli/local/rapid/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 || runtime.GOOS != "linux" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: it comes with the SAM CLI", name)
		}
		t.Skipf("left out, as it needs %s on Linux: run `make tools` to get it", name)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// functionBinaries builds all functions, as they are deployed, and returns the
// folder they are in.
func functionBinaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", "..", "binaries", "OUT="+dir)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// lambdaFunction is a function under the emulator.
type lambdaFunction struct {
	t      *testing.T
	name   string
	url    string
	output bytes.Buffer
}

// underEmulator starts a function's binary under the emulator.
func underEmulator(t *testing.T, binaries, name string, env ...string) *lambdaFunction {
	t.Helper()
	f := &lambdaFunction{t: t, name: name}
	front, back := freeAddress(t), freeAddress(t)
	f.url = "http://" + front + "/2015-03-31/functions/function/invocations"
	command := exec.Command(emulator(t), "--runtime-interface-emulator-address", front, "--runtime-api-address", back,
		filepath.Join(binaries, name))
	command.Env = append([]string{"AWS_REGION=us-east-1", "AWS_LAMBDA_FUNCTION_NAME=" + name, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024",
		"AWS_LAMBDA_FUNCTION_TIMEOUT=29", "AWS_ACCESS_KEY_ID=FAKEACCESSKEYID", "AWS_SECRET_ACCESS_KEY=fake-secret-access-key"}, env...)
	// Only what comes of a process that has ended may be read, hence the pipe.
	output, input := io.Pipe()
	command.Stdout, command.Stderr = input, input
	endWithParent(command)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(&f.output, output) })
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		input.Close()
		reader.Wait()
		if t.Failed() {
			t.Logf("%s under the emulator:\n%s", name, f.output.Bytes())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		connection, err := net.Dial("tcp", front)
		if err == nil {
			connection.Close()
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("the emulator does not answer: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freeAddress returns an address on loopback that nobody listens on at present.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// invoke puts an event to the function, and returns what it gives back.
func (f *lambdaFunction) invoke(event []byte) []byte {
	f.t.Helper()
	response, err := http.Post(f.url, "application/json", bytes.NewReader(event))
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return body
}

// httpAnswer is what a function behind the gateway gives back.
type httpAnswer struct {
	Status int `json:"statusCode"`
	Body   string
}

// answer is invoke where the answer is one to a request, streamed or whole.
func (f *lambdaFunction) answer(event []byte, buffer bool) httpAnswer {
	f.t.Helper()
	given := f.invoke(event)
	head, body, streamed := bytes.Cut(given, make([]byte, 8))
	var a httpAnswer
	if err := json.Unmarshal(head, &a); err != nil || streamed == buffer {
		f.t.Fatalf("%s: %v: %.300q", f.name, err, given)
	}
	if streamed {
		a.Body = string(body)
	}
	return a
}

// sampleWants is what the answers to the sample events of requests must hold,
// in the order in which they are put to the functions.
var sampleWants = []struct {
	function, event string
	status          int
	holds           string
}{
	{"accounts", "accounts", 200, `{"status_is_ok":true,"inserted":1,`},
	{"account_users", "account_users", 200, `{"status_is_ok":true,"inserted":1,`},
	{"account_contacts", "account_contacts", 200, `{"status_is_ok":true,"inserted":1,`},
	{"metrics", "metrics", 200, `{"status_is_ok":true,"inserted":1,`},
	{"subscriptions", "subscriptions", 200, `{"status_is_ok":true,"inserted":1,`},
	{"statements", "statements", 200, `{"status_is_ok":true,"inserted":1,`},
	{"support_tickets", "support_tickets", 200, `{"status_is_ok":true,"inserted":1,`},
	{"interactions", "interactions", 200, `{"status_is_ok":true,"inserted":1,`},
	{"notes", "notes", 200, `{"status_is_ok":true,"inserted":1,`},
	{"search", "search", 200, `"name":"Cocoa Ltd"`},
	{"accounts", "accounts-get", 200, `"nps_history":[{"nps_score":40,`},
	{"accounts", "accounts-list", 200, `"order_by":"name","direction":"asc","results":[{"account_id":"12345",`},
	{"accounts", "accounts-unauthorized", 401, `{"status_is_ok":false,"message":"A valid API key is required`},
	{"accounts", "accounts-malformed-json", 200, `"code":"malformed","failed_results":[]}`},
	{"accounts", "accounts-malformed-gzip", 200, `"message":"The body is not valid gzip`},
	{"accounts", "accounts-malformed-path", 200, `"code":"not_found"`},
	{"events", "events", 401, `{"status_is_ok":false,"message":"A valid Usage Event key is required`},
	{"console", "console", 200, "<h1>Sign in</h1>"},
	// And once more, as what was malformed must have left the function fit for.
	{"accounts", "accounts", 200, `"unchanged":1,`},
}

// TestFunctionsUnderTheRuntimeEmulator runs the binary of every function under
// AWS's own emulator of the Lambda runtime, on DynamoDB Local, with the sample
// events.
func TestFunctionsUnderTheRuntimeEmulator(t *testing.T) {
	emulator(t)
	config := dynamolocal.Config(t)
	client := dynamo.NewClient(config)
	binaries := functionBinaries(t)
	for _, mode := range []string{"stream", "buffer"} {
		t.Run(mode, func(t *testing.T) {
			table := "rie-" + mode
			if err := dynamo.CreateTable(t.Context(), client, table); err != nil {
				t.Fatal(err)
			}
			keys := access.New(dynamo.Open(client, table, dynamo.Options{}), nil)
			if err := keys.EnsureWorkspace(t.Context(), "first", "test-key-not-secret"); err != nil {
				t.Fatal(err)
			}
			running := map[string]*lambdaFunction{}
			function := func(name string) *lambdaFunction {
				if running[name] == nil {
					running[name] = underEmulator(t, binaries, name, "TABLE_NAME="+table, "RESPONSE_MODE="+mode,
						"AWS_ENDPOINT_URL="+aws.ToString(config.BaseEndpoint), "REQUEST_TIMEOUT=27s",
						"UPLOADS_BUCKET=uploads", "UPLOADS_QUEUE=http://127.0.0.1:1/queue", "SOURCES_QUEUE=http://127.0.0.1:1/queue", "KEY_ARN=arn:aws:kms:us-east-1:123456789012:key/fake")
				}
				return running[name]
			}
			for _, want := range sampleWants {
				event := sample(t, want.event)
				event = bytes.ReplaceAll(event, []byte(`"Accept-Encoding": "gzip"`), []byte(`"Accept-Encoding": "identity"`))
				event = bytes.ReplaceAll(event, []byte("\"Accept-Encoding\": [\n   \"gzip\"\n"), []byte("\"Accept-Encoding\": [\n   \"identity\"\n"))
				a := function(want.function).answer(event, mode == "buffer")
				if a.Status != want.status || !strings.Contains(a.Body, want.holds) {
					t.Errorf("%s: status %d: %.500s; want %d with %s", want.event, a.Status, a.Body, want.status, want.holds)
				}
			}
			failed := func(name, event string) {
				var e struct{ ErrorMessage string }
				if given := function(name).invoke(sample(t, event)); json.Unmarshal(given, &e) != nil || e.ErrorMessage == "" {
					t.Errorf("%s gives %.300s", event, given)
				}
			}
			failed("accounts", "accounts-malformed-event")
			failed("rollup", "rollup-malformed-event")
			for event, want := range map[string]string{
				"rollup":        `{"batchItemFailures":null}`,
				"rollup-poison": `{"batchItemFailures":[{"itemIdentifier":"10000000000000000000004"}]}`,
			} {
				if given := function("rollup").invoke(sample(t, event)); string(given) != want {
					t.Errorf("%s gives %s, want %s", event, given, want)
				}
			}
			_, pair, err := keys.CreateKey(t.Context(), "first", access.UsageEventAPI, "Product", "")
			if err != nil {
				t.Fatal(err)
			}
			sent := bytes.ReplaceAll(sample(t, "events"), []byte("test-auth-key-not-secret"), []byte(pair.AuthKey))
			sent = bytes.ReplaceAll(bytes.ReplaceAll(sent, []byte("test-api-key-not-secret"), []byte(pair.APIKey)), []byte("gzip"), []byte("identity"))
			// Next year the events are too old to be taken.
			if a := function("events").answer(sent, mode == "buffer"); a.Status != 200 || !strings.Contains(a.Body, `"failed_results":[`) {
				t.Errorf("usage events: status %d: %s", a.Status, a.Body)
			}
			if log := function("events").output.String(); strings.Contains(log, pair.AuthKey) || strings.Contains(log, pair.APIKey) {
				t.Errorf("the log of the function has a key: %s", log)
			}
			// The second change tells of the same events as the first.
			if given := function("usage").invoke(sample(t, "usage")); string(given) != `{"batchItemFailures":null}` {
				t.Errorf("usage gives %s", given)
			}
			counted := bytes.ReplaceAll(sample(t, "accounts-usage"), []byte("gzip"), []byte("identity"))
			if a := function("accounts").answer(counted, mode == "buffer"); !strings.Contains(a.Body, `"totals":{"start":1795478400000,"end":1795651200000,"active_users":1,"sessions":1,"active_duration":60000,"events":2,`) {
				t.Errorf("usage has not counted the events: %s", a.Body)
			}
			// The upload has expired; the bucket and the queue are not asked for.
			if given := function("uploads").invoke(sample(t, "uploads")); string(given) != `{"batchItemFailures":null}` {
				t.Errorf("uploads gives %s", given)
			}
			// Nothing is due, and the source of the message was deleted.
			if given := function("sync").invoke(sample(t, "sync-message")); string(given) != `{"batchItemFailures":null}` {
				t.Errorf("a message of sync gives %s", given)
			}
			for _, name := range []string{"clock", "sync"} {
				if given := function(name).invoke(sample(t, name)); string(given) != "null" {
					t.Errorf("a tick of %s gives %s", name, given)
				}
			}
			get := bytes.ReplaceAll(sample(t, "accounts-get"), []byte("gzip"), []byte("identity"))
			if a := function("accounts").answer(get, mode == "buffer"); !strings.Contains(a.Body, `"current_mrr":10000`) {
				t.Errorf("the rollup has not derived the account: %s", a.Body)
			}
			if mode == "stream" {
				streamsMoreThanAPayload(t, function("notes"))
			}
		})
	}
}

// streamsMoreThanAPayload shows that a page of more than the 6 MB of a payload
// reaches the client whole.
func streamsMoreThanAPayload(t *testing.T, notes *lambdaFunction) {
	var event map[string]any
	if err := json.Unmarshal(sample(t, "notes"), &event); err != nil {
		t.Fatal(err)
	}
	send := func(method, body string) httpAnswer {
		t.Helper()
		event["httpMethod"], event["body"], event["isBase64Encoded"] = method, body, false
		event["multiValueHeaders"].(map[string]any)["Accept-Encoding"] = []string{"identity"}
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		return notes.answer(text, false)
	}
	const each, batches, size = 20, 5, 100_000
	details := strings.Repeat("d", size)
	for n := range batches {
		var records []string
		for i := range each {
			records = append(records, fmt.Sprintf(`{"account_id":"12345","external_id":"%d-%d","create_time":1,"details":"%s"}`, n, i, details))
		}
		if a := send("POST", `{"records":[`+strings.Join(records, ",")+`]}`); !strings.Contains(a.Body, fmt.Sprintf(`"inserted":%d,`, each)) {
			t.Fatalf("upload: %.300s", a.Body)
		}
	}
	a := send("GET", "")
	var page struct{ Results []struct{ Details string } }
	if err := json.Unmarshal([]byte(a.Body), &page); err != nil || len(page.Results) != each*batches+1 {
		t.Errorf("a page of %d bytes: %d records, %v", len(a.Body), len(page.Results), err)
	}
}

// TestSampleEventsAreOfTheirTypes decodes each sample event into its type and
// encodes it again: what the types do not know would be lost.
func TestSampleEventsAreOfTheirTypes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples, "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		var typed any = &events.APIGatewayProxyRequest{}
		switch {
		case strings.HasSuffix(name, "malformed-event"):
			continue // is of no type
		case strings.HasPrefix(name, "rollup"), name == "usage":
			typed = &events.DynamoDBEvent{}
		case name == "uploads", name == "sync-message":
			typed = &events.SQSEvent{}
		case name == "clock", name == "sync":
			continue // of which nothing matters but where it is from
		}
		text := sample(t, name)
		if err := json.Unmarshal(text, typed); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := json.Marshal(typed)
		if err != nil {
			t.Fatal(err)
		}
		var have, lost map[string]any
		if json.Unmarshal(text, &have) != nil || json.Unmarshal(again, &lost) != nil {
			t.Fatal(name)
		}
		for _, problem := range missing("", have, lost) {
			t.Errorf("%s: %s", name, problem)
		}
	}
}

// missing returns what of have is not in other.
func missing(path string, have, other any) []string {
	switch h := have.(type) {
	case map[string]any:
		o, _ := other.(map[string]any)
		var all []string
		for name, member := range h {
			if member != nil {
				all = append(all, missing(path+"."+name, member, o[name])...)
			}
		}
		return all
	case []any:
		o, _ := other.([]any)
		if len(o) != len(h) {
			return []string{path + " has another length"}
		}
		var all []string
		for i := range h {
			all = append(all, missing(fmt.Sprintf("%s[%d]", path, i), h[i], o[i])...)
		}
		return all
	}
	if !reflect.DeepEqual(have, other) && !(have == false && other == nil) {
		return []string{fmt.Sprintf("%s is %v, want %v", path, other, have)}
	}
	return nil
}
