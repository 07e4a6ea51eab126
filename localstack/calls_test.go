package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
	"tenure/core/table/embedded"
)

// runtimeAPI is Lambda's API for runtimes, as much of it as an event takes: the
// emulator hands on an answer only once the function asks for the next event,
// where Lambda does so as soon as it has it.
type runtimeAPI struct {
	*httptest.Server
	events  chan []byte // that the function is to have
	answers chan []byte // whole ones
	asked   chan bool   // when the function asks for an event
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	a := &runtimeAPI{events: make(chan []byte, 1), answers: make(chan []byte, 1), asked: make(chan bool, 8)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/next") {
			answer, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusAccepted)
			a.answers <- answer
			return
		}
		a.asked <- true
		select {
		case event := <-a.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(29*time.Second).UnixMilli()))
			_, _ = w.Write(event)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// gate is a proxy to DynamoDB that holds back what writes the log of API calls
// until it is told to let it pass.
func gate(t *testing.T, endpoint string) (address string, pass func()) {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(body, []byte("/calls/")) {
			select {
			case <-open:
			case <-r.Context().Done():
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() { close(open) }
}

// TestAFunctionAnswersBeforeItLogsTheCall shows that Lambda has the whole answer
// before the call is written to the log of API calls, and that the function does
// not ask for its next event before it is.
func TestAFunctionAnswersBeforeItLogsTheCall(t *testing.T) {
	config := dynamolocal.Config(t)
	client := dynamo.NewClient(config)
	binaries := functionBinaries(t)
	for _, mode := range []string{"stream", "buffer"} {
		t.Run(mode, func(t *testing.T) {
			name := "calls-" + mode
			if err := dynamo.CreateTable(t.Context(), client, name); err != nil {
				t.Fatal(err)
			}
			on := dynamo.Open(client, name, dynamo.Options{})
			if err := access.New(on, nil).EnsureWorkspace(t.Context(), "first", "test-key-not-secret"); err != nil {
				t.Fatal(err)
			}
			runtime := newRuntimeAPI(t)
			endpoint, pass := gate(t, aws.ToString(config.BaseEndpoint))
			function := exec.CommandContext(t.Context(), filepath.Join(binaries, "accounts"))
			function.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(runtime.URL, "http://"), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024",
				"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=FAKEACCESSKEYID", "AWS_SECRET_ACCESS_KEY=fake-secret-access-key",
				"AWS_ENDPOINT_URL=" + endpoint, "TABLE_NAME=" + name, "RESPONSE_MODE=" + mode, "REQUEST_TIMEOUT=27s"}
			endWithParent(function)
			if err := function.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				function.Process.Kill()
				_ = function.Wait() // it was killed
			})
			<-runtime.asked
			runtime.events <- sample(t, "accounts")
			if answer := <-runtime.answers; !bytes.Contains(answer, []byte(`"statusCode":200`)) {
				t.Fatalf("%.500s", answer)
			}
			if all := callsOf(t, on, "first"); len(all) != 0 {
				t.Fatalf("the answer comes after %+v", all)
			}
			select {
			case <-runtime.asked:
				t.Fatal("the function is ready for another event before the call is logged")
			case <-time.After(20 * time.Millisecond):
			}
			pass()
			<-runtime.asked
			if all := callsOf(t, on, "first"); len(all) != 1 || all[0].Endpoint != "/accounts" || all[0].Records.Inserted != 1 {
				t.Errorf("the log has %+v", all)
			}
		})
	}
}

// callsOf returns the log of API calls of a workspace.
func callsOf(t *testing.T, on table.Table, workspace string) []calls.Call {
	t.Helper()
	ids, err := access.New(on, nil).KeyIDs(t.Context(), workspace)
	if err != nil {
		t.Fatal(err)
	}
	all, err := calls.New(on, api.Logged(catalog.All()), calls.Options{}).Last(t.Context(), workspace, ids, calls.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCallsAreLoggedByTheProgram sends calls of every outcome to the program,
// stops it, and looks at what it has kept: every call, why records failed, and
// nowhere a key.
func TestCallsAreLoggedByTheProgram(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "DATA_DIR="+dir, "WORKSPACES=test:"+testKey+",other:"+otherKey)
	send := func(method, path, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.address+api.BasePath+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := p.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
	}
	send("POST", "/accounts?api_key="+testKey, `{"records":[{"account_id":"a","name":"N","join_date":1},{"account_id":"broken"}]}`)
	send("GET", "/accounts/a?api_key="+testKey, "")
	send("POST", "/accounts?api_key="+testKey, `{"records":[`)
	send("GET", "/accounts/a?api_key="+otherKey, "")
	send("GET", "/accounts/a?api_key=wrong-key", "")
	send("GET", "/accounts?page="+testKey+"&api_key="+testKey, "") // a key where none belongs
	p.terminate()
	p.ends(0)

	store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	var told []string
	all := callsOf(t, store, "test")
	for _, c := range all {
		told = append(told, fmt.Sprintf("%s %s %v", c.Method, c.Endpoint, c.Success))
	}
	if got, want := strings.Join(told, ", "), "GET /accounts false, POST /accounts false, GET /accounts/{id} true, POST /accounts true"; got != want {
		t.Fatalf("the log has %s, want %s", got, want)
	}
	log := calls.New(store, api.Logged(catalog.All()), calls.Options{})
	one, ok, err := log.Get(t.Context(), "test", all[3].ID)
	if err != nil || !ok || len(one.Failures) != 1 || one.Failures[0].Record != 1 || one.Failures[0].IDs["account_id"] != "broken" ||
		one.Failures[0].Message != "Missing required field for insert: 'name'" || one.Records.Inserted != 1 || one.FailuresLeftOut() != 0 {
		text, _ := json.Marshal(one)
		t.Errorf("%s, %v, %v", text, ok, err)
	}
	if _, ok, err := log.Get(t.Context(), "other", all[3].ID); ok || err != nil {
		t.Errorf("a call of another workspace: %v, %v", ok, err)
	}
	if others := callsOf(t, store, "other"); len(others) != 1 {
		t.Errorf("the other workspace has %+v", others)
	}
	looked := false
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		looked = looked || bytes.Contains(text, []byte("/accounts/{id}")) // what the log keeps can be seen
		for _, key := range []string{testKey, otherKey, "wrong-key"} {
			if bytes.Contains(text, []byte(key)) {
				t.Errorf("%s holds %s", path, key)
			}
		}
		return err
	})
	if err != nil || !looked {
		t.Fatal(looked, err)
	}
}

// BenchmarkCalls measures what the log of API calls takes of the rate of calls,
// with as many clients as there are processors.
func BenchmarkCalls(b *testing.B) {
	for _, logged := range []bool{false, true} {
		b.Run(fmt.Sprintf("logged=%v", logged), func(b *testing.B) {
			store, err := embedded.Open(b.TempDir(), embedded.Options{})
			if err != nil {
				b.Fatal(err)
			}
			keys := access.New(store, nil)
			if err := keys.EnsureWorkspace(b.Context(), "test", testKey); err != nil {
				b.Fatal(err)
			}
			c := api.Config{Engine: resource.New(resource.Config{Table: store, Root: catalog.Root}), Access: keys, Timeout: time.Minute}
			background, stop := context.WithCancel(context.Background())
			var group sync.WaitGroup
			if logged {
				r := newRecorder(calls.New(store, api.Logged(catalog.All()), calls.Options{}), store)
				c.Served = r.served
				group.Go(func() { r.run(background) })
			}
			h, err := api.New(c, catalog.All())
			if err != nil {
				b.Fatal(err)
			}
			server := httptest.NewServer(h)
			b.Cleanup(func() {
				server.Close()
				stop()
				group.Wait()
				if err := store.Close(); err != nil {
					b.Error(err)
				}
			})
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			send := func(method, path, body string) {
				r, err := http.NewRequest(method, server.URL+api.BasePath+path+"?api_key="+testKey, strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				response, err := client.Do(r)
				if err != nil {
					b.Error(err)
					return
				}
				defer response.Body.Close()
				if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
					b.Errorf("%d %s, %v", response.StatusCode, answer, err)
				}
			}
			send("POST", "/accounts", `{"records":[{"account_id":"a","name":"N","join_date":1}]}`)
			for name, call := range map[string]func(){
				"get": func() { send("GET", "/accounts/a", "") },
				"put": func() { send("PUT", "/accounts/a", `{"data":{"name":"N"}}`) },
			} {
				b.Run(name, func(b *testing.B) {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							call()
						}
					})
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
				})
			}
		})
	}
}
