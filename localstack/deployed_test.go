package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/console"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/localstack/e2e"
)

// endpoint is where the LocalStack-compatible endpoint answers.
const endpoint = "http://127.0.0.1:4566"

// stack is the name of the stack that the tests deploy.
const stack = "tenure-test"

// endpointConfig is the configuration of clients of the endpoint, with
// credentials that are obviously fake.
var endpointConfig = aws.Config{
	Region: "us-east-1", BaseEndpoint: aws.String(endpoint),
	Credentials: credentials.NewStaticCredentialsProvider("test", "test-not-secret", ""),
}

// deploy deploys the template to the endpoint, as `make deploy-local` does, and
// returns the address of the API, and of that for usage events.
func deploy(t *testing.T) (base, events string) {
	t.Helper()
	missing := error(nil)
	for _, tool := range []string{"../.tools/sam/bin/sam", "../.tools/ministack/bin/ministack"} {
		_, err := os.Stat(tool)
		missing = errors.Join(missing, err)
	}
	if runtime.GOOS != "linux" {
		missing = errors.Join(missing, errors.New("functions are programs for Linux"))
	}
	if missing != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skipf("left out, as it needs Linux, the SAM CLI and MiniStack: `make tools` gets the tools (%v)", missing)
	}
	run := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", "..", "deploy-local")
	run.Env = append(os.Environ(), "STACK="+stack, "WORKSPACES=first:test-key-not-secret")
	out, err := run.CombinedOutput()
	t.Cleanup(func() {
		log, _ := os.ReadFile("../.build/endpoint-4566/log")
		stop := exec.Command("make", "--no-print-directory", "-C", "..", "stop-local")
		if out, err := stop.CombinedOutput(); err != nil {
			t.Errorf("make stop-local: %v\n%s", err, out)
		}
		if t.Failed() {
			t.Logf("the end of the endpoint's log:\n%s", log[max(0, len(log)-20_000):])
		}
	})
	if err != nil {
		t.Fatalf("make deploy-local: %v\n%s", err, out)
	}
	told := regexp.MustCompile(`EVENTS_URL=(.*)\nAPI_URL=(.*)\n`).FindSubmatch(out)
	if told == nil {
		t.Fatalf("make deploy-local prints no EVENTS_URL and no API_URL:\n%s", out)
	}
	return string(told[2]), string(told[1])
}

// maxPlainBody is the largest body that arrives: in base64 it is the 6 MB of a
// payload, less what localstack/ministack takes for the rest of the event.
const maxPlainBody = (6<<20 - 16<<10) / 4 * 3

// throughDeployment are the tests, by their chapters, that run through the
// deployment: of every way into it one at least, of every family the main ones.
// Each request takes the endpoint as long as a store takes for many, so what is
// about records rather than ways to them is left to the stores' own runs.
var throughDeployment = map[string][]string{
	"uploads":       {"result", "missing accounts", "counts", "races", "many records", "largest record", "dry run of a modification"},
	"protocol":      {"credentials", "statuses", "trailing slash", "head", "content types", "body limit", "compressed requests", "compressed answers"},
	"accounts":      {"read", "deactivation", "deletes within", "scores", "stage history"},
	"people":        {"users read", "users modified", "users with the same id", "users dimensions deleted", "contacts read", "contacts deactivated"},
	"lists":         {"pages of exactly a thousand", "a page of many megabytes", "parameters"},
	"tickets":       {"example", "ids", "modified", "deleted", "races"},
	"statements":    {"example", "transactions", "deleted"},
	"subscriptions": {"revenue events", "renewals", "delete", "of an account"},
	"revenue":       {"current MRR", "MRR follows every change", "renewal date", "movements of a workspace"},
	"conversations": {"interactions uploaded", "interactions read", "notes put by external id", "notes generated ids", "notes longest text"},
	"metrics":       {"example", "put", "of an account", "races"},
	"search":        {"conditions on accounts", "users", "inactive accounts"},
	"workspaces":    {"every route"},
	"description":   {"document"},
}

// TestDeployed deploys the template to an implementation of AWS that knows
// nothing of us, and uses what stands there then: gateway, functions, table,
// stream, schedule and queue.
func TestDeployed(t *testing.T) {
	base, events := deploy(t)
	on := dynamo.Open(dynamo.NewClient(endpointConfig), stack, dynamo.Options{})
	keys := access.New(on, nil)
	var workspaces atomic.Int64
	newWorkspace := func(t *testing.T) string {
		n := workspaces.Add(1)
		key := fmt.Sprintf("test-key-not-secret-%d-of-this-run", n)
		if err := keys.EnsureWorkspace(t.Context(), fmt.Sprintf("e2e-%d", n), key); err != nil {
			t.Fatal(err)
		}
		return key
	}
	// First, while there is little to get through.
	t.Run("poison", func(t *testing.T) { testPoison(t, base) })
	t.Run("lock", func(t *testing.T) { testDeployedLock(t, base, newWorkspace(t)) })
	t.Run("clock", testDeployedClock)
	t.Run("keys", func(t *testing.T) { testOperator(t, base) })
	t.Run("console", func(t *testing.T) { testDeployedConsole(t, base) })
	t.Run("calls", func(t *testing.T) { testDeployedCalls(t, base, on, keys, newWorkspace(t)) })
	t.Run("usage", func(t *testing.T) { testDeployedUsage(t, base, events, keys, newWorkspace(t)) })
	t.Run("sync", func(t *testing.T) { testDeployedSync(t, base) })
	t.Run("all", func(t *testing.T) {
		e2e.Run(t, e2e.Target{
			BaseURL: base, MaxPlainBody: maxPlainBody, IgnoresEmptySegments: true, NewWorkspace: newWorkspace, Chosen: throughDeployment,
		})
	})
}

// testDeployedUsage sends usage events, those of a user who is not there yet among them,
// and reads what the stream has made of them.
func testDeployedUsage(t *testing.T, base, events string, keys *access.Store, key string) {
	caller, err := keys.Authenticate(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	k, pair, err := keys.CreateKey(t.Context(), caller.Workspace, access.UsageEventAPI, "Product", "")
	if err != nil {
		t.Fatal(err)
	}
	user := func(id string) {
		t.Helper()
		if _, answer := deployedRequest(t, http.MethodPost, base+"/account_users", key, `{"records":[{"account_id":"a","user_id":"`+id+`","first_name":"F","last_name":"L"}]}`, false); !strings.Contains(answer, `"inserted":1,`) {
			t.Fatal(answer)
		}
	}
	deployedRequest(t, http.MethodPost, base+"/accounts", key, `{"records":[{"account_id":"a","name":"N","join_date":1}]}`, false)
	user("u")
	now := time.Now().UnixMilli()
	var lines []string
	for n := range 200 {
		lines = append(lines, fmt.Sprintf(`{"action":"feature","feature":"Export","userId":"%s","sessionId":"s","createdAt":"%d"}`, []string{"u", "later"}[n%2], now-int64(n)))
	}
	lines = append(lines, `{"action":"feature"}`)
	send := func(pair access.Secret, packed bool) (*http.Response, string) {
		t.Helper()
		return deployedRequest(t, http.MethodPost, events+"/"+pair.AuthKey+"/"+pair.APIKey, key, strings.Join(lines, "\n"), packed)
	}
	for _, packed := range []bool{false, true} { // the second time counts nothing
		if r, answer := send(pair, packed); r.StatusCode != http.StatusOK || !strings.Contains(answer, `"accepted":200,"failed":1,"failed_results":[{"record":200,`) {
			t.Fatalf("status %d: %s", r.StatusCode, answer)
		}
	}
	counted := func(path string, n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d events in %s", n, path), func() bool {
			_, answer := deployedRequest(t, http.MethodGet, base+path, key, "", false)
			var report struct{ Totals struct{ Events int } }
			if err := json.Unmarshal([]byte(answer), &report); err != nil || report.Totals.Events > n {
				t.Fatalf("%s: %s", path, answer)
			}
			return report.Totals.Events == n
		})
	}
	counted("/accounts/a/usage", 100)
	counted("/account_users/u/usage", 100)
	user("later")
	deployedTick(t, "clock")
	counted("/account_users/later/usage", 100)
	counted("/usage", 200)
	if r, answer := send(access.Secret{AuthKey: pair.APIKey, APIKey: pair.AuthKey}, false); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("with keys that are no pair: status %d: %s", r.StatusCode, answer)
	}
	if r, answer := deployedRequest(t, http.MethodGet, events+"/"+pair.AuthKey+"/"+pair.APIKey, key, "", false); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d: %s", r.StatusCode, answer)
	}
	if _, err := keys.RevokeKey(t.Context(), caller.Workspace, k.ID, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the keys", func() bool {
		r, _ := send(pair, false)
		return r.StatusCode == http.StatusUnauthorized
	})
}

// testDeployedCalls looks for calls of two functions in the log of API calls,
// which each writes once it has answered.
func testDeployedCalls(t *testing.T, base string, on table.Table, keys *access.Store, key string) {
	caller, err := keys.Authenticate(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	deployedRequest(t, http.MethodPost, base+"/accounts", key, `{"records":[{"account_id":"a","name":"N","join_date":1},{"account_id":"b"}]}`, false)
	deployedRequest(t, http.MethodGet, base+"/accounts/a/users?api_key="+key, key, "", false)
	var all []calls.Call
	for deadline := time.Now().Add(10 * time.Second); len(all) < 2 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		all = callsOf(t, on, caller.Workspace)
	}
	if len(all) != 2 || all[0].Endpoint != "/accounts/{id}/users" || all[1].Endpoint != "/accounts" || all[1].Records.Failed != 1 || all[1].KeyID != caller.KeyID {
		t.Errorf("the log has %+v", all)
	}
}

// request sends a request with an API key, and returns status and body.
func deployedRequest(t *testing.T, method, url, key, body string, packed bool) (*http.Response, string) {
	t.Helper()
	var content bytes.Buffer
	content.WriteString(body)
	if packed {
		content.Reset()
		w := gzip.NewWriter(&content)
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, &content)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("api", key)
	if packed {
		r.Header.Set("Content-Encoding", "gzip")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(answer)
}

// testPoison puts an item into the table that no function can read, between
// changes that it can, and shows that they are taken up all the same, and that
// the place of that item ends in the dead-letter queue.
func testPoison(t *testing.T, base string) {
	const key = "test-key-not-secret"
	put := func(path, record string) {
		t.Helper()
		if _, answer := deployedRequest(t, "POST", base+path, key, `{"records":[`+record+`]}`, false); !strings.Contains(answer, `"inserted":1`) {
			t.Fatalf("%s: %s", path, answer)
		}
	}
	subscribe := func(account string) {
		t.Helper()
		put("/accounts", `{"account_id":"`+account+`","name":"N","join_date":1}`)
		put("/subscriptions", `{"account_id":"`+account+`","subscription_id":"s-`+account+`","event":"revenue","effective_start_date":1000,
			"total_revenue":100,"cycle_unit":"month","cycle_length":1}`)
	}
	derived := func(account string) {
		t.Helper()
		eventually(t, "the MRR of "+account, func() bool {
			_, answer := deployedRequest(t, "GET", base+"/accounts/"+account, key, "", false)
			return strings.Contains(answer, `"current_mrr":100,`)
		})
	}
	subscribe("before")
	client := dynamodb.NewFromConfig(endpointConfig)
	if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(stack), Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "first/subscriptions/00"}, "sk": &types.AttributeValueMemberS{Value: "poison"},
		"v": &types.AttributeValueMemberBOOL{Value: true},
	}}); err != nil {
		t.Fatal(err)
	}
	subscribe("after")
	derived("before")
	derived("after")
	queues := sqs.NewFromConfig(endpointConfig)
	queue, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(stack + "-rollup-dead-letters")})
	if err != nil {
		t.Fatal(err)
	}
	var letters []sqstypes.Message
	eventually(t, "a message in the dead-letter queue", func() bool {
		received, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, received.Messages...)
		return len(letters) > 0
	})
	var letter struct {
		Request struct{ Condition string } `json:"requestContext"`
		Batch   struct{ BatchSize int }    `json:"DDBStreamBatchInfo"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(letters[0].Body)), &letter); err != nil || len(letters) != 1 || letter.Batch.BatchSize != 1 {
		t.Errorf("%d messages: %s, %v", len(letters), aws.ToString(letters[0].Body), err)
	}
	// Nothing is held up by it afterwards either.
	subscribe("later")
	derived("later")
	testReplay(t, queues, aws.ToString(queue.QueueUrl), letters[0])
}

// testReplay puts the place of a change that can be read into the dead-letter
// queue beside that of the poison, and shows that an operator's replay takes up
// the one and leaves the other.
func testReplay(t *testing.T, queues *sqs.Client, url string, poison sqstypes.Message) {
	streams := dynamodbstreams.NewFromConfig(endpointConfig)
	found, err := streams.ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{TableName: aws.String(stack)})
	if err != nil || len(found.Streams) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	arn := found.Streams[0].StreamArn
	described, err := streams.DescribeStream(t.Context(), &dynamodbstreams.DescribeStreamInput{StreamArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	shard := described.StreamDescription.Shards[0].ShardId
	at, err := streams.GetShardIterator(t.Context(), &dynamodbstreams.GetShardIteratorInput{
		StreamArn: arn, ShardId: shard, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
	records, err := streams.GetRecords(t.Context(), &dynamodbstreams.GetRecordsInput{ShardIterator: at.ShardIterator})
	if err != nil || len(records.Records) < 2 {
		t.Fatalf("%d records, %v", len(records.Records), err)
	}
	letter := func(first, last *string) string {
		return fmt.Sprintf(`{"DDBStreamBatchInfo":{"shardId":%q,"startSequenceNumber":%q,"endSequenceNumber":%q,"streamArn":%q}}`,
			aws.ToString(shard), aws.ToString(first), aws.ToString(last), aws.ToString(arn))
	}
	readable := letter(records.Records[0].Dynamodb.SequenceNumber, records.Records[1].Dynamodb.SequenceNumber)
	if _, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(url), MessageBody: aws.String(readable)}); err != nil {
		t.Fatal(err)
	}
	if _, err := queues.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: aws.String(url), ReceiptHandle: poison.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	out, err := operate(t, "", "-queue", url, "replay")
	if err == nil || !strings.Contains(out, "1 messages taken up and deleted, 1 left in the queue") {
		t.Errorf("replay: %v\n%s", err, out)
	}
}

// operate runs the operator's command on the deployed table.
func operate(t *testing.T, in string, args ...string) (string, error) {
	t.Helper()
	run := exec.CommandContext(t.Context(), "../.build/operate", append([]string{"-table", stack}, args...)...)
	run.Stdin = strings.NewReader(in)
	run.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-not-secret")
	out, err := run.CombinedOutput()
	return string(out), err
}

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// testDeployedLock shows that an upload beside another under the same key gets
// a 429, from whichever process of the function it reaches.
func testDeployedLock(t *testing.T, base, key string) {
	record := func(n int) string { return fmt.Sprintf(`{"account_id":"a%d","name":"N","join_date":1}`, n) }
	var records []string
	for n := range 2000 {
		records = append(records, record(n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan string, 1)
	go func() {
		defer cancel()
		_, answer := deployedRequest(t, "POST", base+"/accounts", key, `{"records":[`+strings.Join(records, ",")+`]}`, true)
		done <- answer
	}()
	refused := 0
	for ctx.Err() == nil {
		response, answer := deployedRequest(t, "POST", base+"/account_users", key, `{"records":[]}`, false)
		switch {
		case response.StatusCode == http.StatusTooManyRequests && response.Header.Get("Retry-After") != "" && strings.Contains(answer, `"failed_results":[]`):
			refused++
		case response.StatusCode != http.StatusOK:
			t.Errorf("status %d: %s", response.StatusCode, answer)
		}
	}
	if answer := <-done; !strings.Contains(answer, `"inserted":2000,`) {
		t.Errorf("the upload: %.300s", answer)
	}
	if refused == 0 {
		t.Error("no upload was refused beside the other")
	}
	// Afterwards the key is free again.
	if response, answer := deployedRequest(t, "POST", base+"/accounts", key, `{"records":[`+record(0)+`]}`, false); response.StatusCode != http.StatusOK {
		t.Errorf("status %d: %s", response.StatusCode, answer)
	}
}

// testDeployedClock calls the clock as its schedule does.
func testDeployedClock(t *testing.T) { deployedTick(t, "clock") }

// deployedTick calls a function as its schedule does.
func deployedTick(t *testing.T, function string) {
	t.Helper()
	out, err := lambda.NewFromConfig(endpointConfig).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String(stack + "-" + function), Qualifier: aws.String("live"), Payload: sample(t, function),
	})
	if err != nil || out.FunctionError != nil || string(out.Payload) != "null" {
		t.Errorf("%s, %v, %s", aws.ToString(out.FunctionError), err, out.Payload)
	}
}

// testDeployedSync sees to sources as an operator does, from outside the deployment,
// and has the function run one.
func testDeployedSync(t *testing.T, base string) {
	program := filepath.Join(t.TempDir(), "sync")
	build := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-trimpath", "-o", program, "./sync")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	function, err := lambda.NewFromConfig(endpointConfig).GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(stack + "-sync")})
	if err != nil || function.Environment == nil {
		t.Fatal(err)
	}
	do := func(in string, args ...string) (string, error) {
		t.Helper()
		run := exec.CommandContext(t.Context(), program, append([]string{"-workspace", "first"}, args...)...)
		run.Stdin = strings.NewReader(in)
		run.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-not-secret",
			"TABLE_NAME="+stack, "KEY_ARN="+function.Environment.Variables["KEY_ARN"])
		out, err := run.CombinedOutput()
		return string(out), err
	}
	must := func(in string, args ...string) string {
		t.Helper()
		text, err := do(in, args...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, text)
		}
		return text
	}
	must(`{"connector":"stripe","name":"Payments","system_of_record":true,"every":0}`, "add")
	must(`{"api_key":"sk_test_fake"}`, "credentials", "Payments", "api_key")
	if text := must("", "list"); !strings.Contains(text, "by hand  stored") {
		t.Errorf("list: %s", text)
	}
	text := must(`{"id":"cus_1","object":"customer","name":"Imported","created":1700000000,"metadata":{"account_id":"imported"}}`, "import", "Payments", "customers")
	if r, answer := deployedRequest(t, "GET", base+"/accounts/imported", "test-key-not-secret", "", false); r.StatusCode != http.StatusOK {
		t.Errorf("status %d: %s\n%s", r.StatusCode, answer, text)
	}
	// A tick finds nothing that is due, and then a source that has no credentials: the
	// function runs it, and says so in its report.
	deployedTick(t, "sync")
	must(`{"connector":"stripe","name":"Due","prefix":"due-"}`, "add")
	deployedTick(t, "sync")
	eventually(t, "the report of the run", func() bool {
		text, err := do("", "report", "Due")
		return err == nil && strings.Contains(text, "(credentials): ")
	})
	if text, err := do("", "report", "Payments"); err != nil || strings.Contains(text, "EARLIER") {
		t.Errorf("the source that is run by hand: %v\n%s", err, text)
	}
	must("", "delete", "Due")
}

// testOperator makes and revokes a key, reprocesses and reindexes, as an operator
// does.
func testOperator(t *testing.T, base string) {
	operate := func(in string, args ...string) string {
		t.Helper()
		out, err := operate(t, in, args...)
		if err != nil {
			t.Fatalf("operate %v: %v\n%s", args, err, out)
		}
		return out
	}
	_, key, found := strings.Cut(operate("", "key", "operated"), "API key     ")
	if key = strings.TrimSpace(key); !found || len(key) != 64 {
		t.Fatalf("key %q", key)
	}
	status := func() int {
		response, _ := deployedRequest(t, "GET", base+"/accounts", key, "", false)
		return response.StatusCode
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("with the new key: status %d", got)
	}
	if out := operate("", "reprocess"); !strings.Contains(out, "first: 3 accounts derived") {
		t.Errorf("reprocess: %s", out)
	}
	if out := operate("", "reindex"); !strings.Contains(out, "first: pointers to accounts that were missing: 0") {
		t.Errorf("reindex: %s", out)
	}
	operate(key, "revoke")
	eventually(t, "the end of the key", func() bool { return status() == http.StatusUnauthorized })
}

// testDeployedUpload sends a file straight to the bucket, by the form of the page,
// and has it checked and applied by the function.
func testDeployedUpload(t *testing.T, admin string, send func(method, url string, form url.Values) (*http.Response, string)) {
	r, body := send("POST", admin+"uploads", url.Values{"family": {"accounts"}})
	page := admin + strings.TrimPrefix(r.Header.Get("Location"), "./")
	if r.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d: %s", r.StatusCode, body)
	}
	r, body = send("GET", page, nil)
	_, form, _ := strings.Cut(body, `<form id="send-form"`)
	form, _, _ = strings.Cut(form, "</form>")
	action := regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(form)
	if action == nil || !strings.Contains(r.Header.Get("Content-Security-Policy"), "connect-src 'self' "+endpoint) {
		t.Fatalf("status %d, policy %q: %s", r.StatusCode, r.Header.Get("Content-Security-Policy"), body)
	}
	var file bytes.Buffer
	w := multipart.NewWriter(&file)
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(form, -1) {
		if err := w.WriteField(field[1], html.UnescapeString(field[2])); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile("file", "a.csv")
	if err == nil {
		_, err = io.WriteString(part, "account_id,name,join_date\nuploaded,Uploaded,2024-01-01\nrejected,,2024-01-01\n")
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	sent, err := http.Post(html.UnescapeString(action[1]), w.FormDataContentType(), &file)
	if err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(sent.Body)
	sent.Body.Close()
	if sent.StatusCode != http.StatusNoContent {
		t.Fatalf("the bucket answers %d: %s", sent.StatusCode, said)
	}
	for _, step := range []struct{ action, holds string }{{"check", "1 of 2 rows can be applied, 1 cannot."}, {"apply", "1 of 2 rows applied, 1 rejected."}} {
		if r, body := send("POST", page+"/"+step.action, nil); r.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: status %d: %s", step.action, r.StatusCode, body)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			if _, body := send("GET", page, nil); strings.Contains(body, step.holds) {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("%s: there is no %q in %s", step.action, step.holds, body)
			}
		}
	}
	if r, body := send("GET", page+"/rejected.csv", nil); r.StatusCode != http.StatusOK || !strings.Contains(body, "rejected,,2024-01-01,2,") {
		t.Errorf("rejected rows: status %d: %s", r.StatusCode, body)
	}
}

// links are the addresses that a page leads to.
var links = regexp.MustCompile(`<a [^>]*href="([^"#]+)`)

// testDeployedSources sets up a source as far as that takes nobody outside, opens
// every page that one comes to by links, each once, and deletes the source.
func testDeployedSources(t *testing.T, admin string, send func(method, url string, form url.Values) (*http.Response, string)) {
	change := func(path string, form url.Values) string {
		t.Helper()
		r, body := send("POST", admin+path, form)
		if r.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s: status %d: %s", path, r.StatusCode, body)
		}
		return r.Header.Get("Location")
	}
	const secret = "not-a-real-stripe-key"
	change("money", url.Values{"currency": {"EUR"}, "rates": {"USD 0.5"}})
	_, source, _ := strings.Cut(change("add-source", url.Values{"connector": {"stripe"}, "name": {"Deployed billing"}, "boxes": {"system_of_record"}, "system_of_record": {"1"}}), "sources/")
	source, _, _ = strings.Cut(source, "/")
	source = "sources/" + source
	change(source+"/credentials", url.Values{"auth": {"api_key"}, "credentials.api_key": {secret}})
	change(source+"/settings", url.Values{"every": {"60"}})
	change(source+"/mapping", url.Values{"location": {"id"}, "system_of_record": {"1"}})
	change(source+"/pause", url.Values{"paused": {"1"}})

	// Accounts are matched with a source that is not the System of Record.
	_, other, _ := strings.Cut(change("add-source", url.Values{"connector": {"zendesk"}, "name": {"Deployed help"}, "settings.subdomain": {"example"}}), "sources/")
	other, _, _ = strings.Cut(other, "/")

	seen := map[string]bool{}
	for open := []string{admin, admin + source + "/runs/none"}; len(open) > 0; open = open[1:] {
		at, err := url.Parse(open[0])
		if err != nil {
			t.Fatal(err)
		}
		// Pages of which there are several differ by their query alone.
		if !strings.HasPrefix(open[0], admin) || seen[at.Path] {
			continue
		}
		seen[at.Path] = true
		want := http.StatusOK
		if strings.HasSuffix(at.Path, "/runs/none") {
			want = http.StatusNotFound
		}
		r, body := send("GET", open[0], nil)
		if r.StatusCode != want || strings.Contains(body, secret) {
			t.Errorf("%s: status %d: %s", open[0], r.StatusCode, body)
		}
		for _, link := range links.FindAllStringSubmatch(body, -1) {
			to, err := at.Parse(html.UnescapeString(link[1]))
			if err != nil {
				t.Errorf("%s leads to %q: %v", open[0], link[1], err)
				continue
			}
			open = append(open, to.String())
		}
	}
	base, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"", "sources", "add-source", "money", "credentials", "oauth", "matching", "uploads", "status", "keys", "email", "people", "audit", "profile",
		"matching/" + other, "matching/" + other + "/matched", "matching/" + other + "/rejected",
		source, source + "/settings", source + "/credentials", source + "/mapping", source + "/filter", source + "/fields", source + "/preview"} {
		if !seen[base.Path+page] {
			t.Errorf("no link leads to %q", page)
		}
	}
	if _, body := send("GET", admin+source, nil); !strings.Contains(body, "It runs paused. The account_id is read from: ") || !strings.Contains(body, "the System of Record") {
		t.Errorf("the source: %s", body)
	}
	change("sources/"+other+"/delete", nil)
	change(source+"/delete", nil)
	if r, body := send("GET", admin+source, nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("a source that is deleted: status %d: %s", r.StatusCode, body)
	}
	change("money", url.Values{"currency": {"USD"}, "rates": {""}})
}

// testDeployedConsole comes in by the operator's link, and makes a key that opens
// the API.
func testDeployedConsole(t *testing.T, base string) {
	admin := strings.TrimSuffix(base, api.BasePath) + console.BasePath + "/"
	link, err := operate(t, "", "-url", admin, "admin", "first")
	if err != nil {
		t.Fatalf("operate: %v\n%s", err, link)
	}
	lines := strings.Split(strings.TrimSpace(link), "\n")
	link = lines[len(lines)-1]
	var cookie, token string
	send := func(method, url string, form url.Values) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Form-Token", token)
		// By hand, as the endpoint speaks no HTTPS, and the cookie is for that alone.
		r.Header.Set("Cookie", cookie)
		response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
	if r, body := send("GET", link, nil); r.StatusCode != http.StatusOK || !strings.Contains(body, "Welcome to first") {
		t.Fatalf("status %d: %s", r.StatusCode, body)
	}
	r, body := send("POST", link, url.Values{"email": {"ann@example.com"}, "name": {"Ann"}, "password": {"not a real password"}})
	if cookie, _, _ = strings.Cut(r.Header.Get("Set-Cookie"), ";"); r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(cookie, "__Host-tenure=") {
		t.Fatalf("status %d, %v: %s", r.StatusCode, r.Header, body)
	}
	for page, holds := range map[string]string{"": "Home", "keys": "API keys", "people": "ann@example.com", "audit": "member.joined"} {
		r, body := send("GET", admin+page, nil)
		if token = r.Header.Get("X-Form-Token"); r.StatusCode != http.StatusOK || !strings.Contains(body, holds) {
			t.Errorf("%q: status %d: %s", page, r.StatusCode, body)
		}
	}
	_, body = send("POST", admin+"keys", url.Values{"label": {"Made in the console"}, "kind": {"account"}})
	_, key, _ := strings.Cut(body, `id="api-key" readonly value="`)
	key, _, _ = strings.Cut(key, `"`)
	if r, _ := deployedRequest(t, "GET", base+"/accounts", key, "", false); r.StatusCode != http.StatusOK {
		t.Errorf("the key that was made: status %d; the page: %s", r.StatusCode, body)
	}
	if r, body := send("POST", admin+"email", url.Values{"domain": {"deployed.example.com"}, "from": {"hello@deployed.example.com"}}); r.StatusCode != http.StatusSeeOther {
		t.Errorf("the sending domain: status %d: %s", r.StatusCode, body)
	}
	if _, body := send("GET", admin+"email", nil); !strings.Contains(body, "Amazon SES in us-east-1") || !strings.Contains(body, "Looking for the record") || strings.Contains(body, "could not be told") {
		t.Errorf("what SES says of the sending domain: %s", body)
	}
	if r, body := send("POST", admin+"email/remove", nil); r.StatusCode != http.StatusSeeOther {
		t.Errorf("the sending domain removed: status %d: %s", r.StatusCode, body)
	}
	testDeployedUpload(t, admin, send)
	testDeployedSources(t, admin, send)
	if r, _ := send("GET", admin+"assets/console.css", nil); r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/css") {
		t.Errorf("the style sheet: status %d, %v", r.StatusCode, r.Header)
	}
}
