package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tenure/core/access"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
	"tenure/infra"
)

// coldStarts is how often each function is started; medians are printed.
const coldStarts = 15

// start is one cold start: how long until the function asks for an event, and
// until it has answered that; the memory it has taken by then at most, in MB,
// and the time of a processor.
type start struct {
	ready, first time.Duration
	memory       float64
	processor    time.Duration
}

// eventTimeout is how long a function may take for an event. It is longer than on
// AWS, for DynamoDB Local is slower than DynamoDB.
const eventTimeout = 10 * time.Minute

// runtimeAPI is as much of the Lambda runtime API as a first call takes.
type runtimeAPI struct {
	event  []byte
	asked  chan time.Time // when the function asked for its first event
	told   chan time.Time // when it had answered
	served bool
}

func (a *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if !strings.HasSuffix(r.URL.Path, "/next") {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
		a.told <- time.Now()
		return
	}
	if a.served {
		<-r.Context().Done() // there is no second event
		return
	}
	a.served = true
	a.asked <- now
	w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
	w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(now.Add(eventTimeout).UnixMilli()))
	_, _ = w.Write(a.event)
}

// startCold starts a function's binary and puts one event to it.
func startCold(b *testing.B, binary string, event []byte, env []string) start {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	a := &runtimeAPI{event: event, asked: make(chan time.Time, 1), told: make(chan time.Time, 1)}
	server := &http.Server{Handler: a}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	ctx, cancel := context.WithTimeout(b.Context(), eventTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, binary)
	command.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1024"}, env...)
	began := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	defer command.Process.Kill()
	wait := func(what string, c chan time.Time) time.Time {
		select {
		case t := <-c:
			return t
		case <-ctx.Done():
			b.Fatalf("%s: no %s", binary, what)
			return time.Time{}
		}
	}
	asked := wait("question for an event", a.asked)
	s := start{ready: asked.Sub(began), first: wait("answer", a.told).Sub(asked)}
	command.Process.Kill()
	_ = command.Wait() // it was killed
	s.processor = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.memory = float64(usage.Maxrss) / 1024 // in KB on Linux
	}
	return s
}

// coldWorld is the functions, and a table for them on DynamoDB Local.
type coldWorld struct {
	dir string // of the binaries
	env []string
}

func newColdWorld(b *testing.B, table string) coldWorld {
	config := dynamolocal.Config(b)
	client := dynamo.NewClient(config)
	if err := dynamo.CreateTable(b.Context(), client, table); err != nil {
		b.Fatal(err)
	}
	if err := access.New(dynamo.Open(client, table, dynamo.Options{}), nil).EnsureWorkspace(b.Context(), "first", "test-key-not-secret"); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	build := exec.Command("make", "--no-print-directory", "-C", "../..", "binaries", "OUT="+dir)
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return coldWorld{dir, []string{"TABLE_NAME=" + table, "AWS_REGION=us-east-1", "AWS_ENDPOINT_URL=" + aws.ToString(config.BaseEndpoint),
		"AWS_ACCESS_KEY_ID=FAKEACCESSKEYID", "AWS_SECRET_ACCESS_KEY=fake-secret-access-key", "REQUEST_TIMEOUT=" + eventTimeout.String()}}
}

// start starts a function cold, with one event.
func (w coldWorld) start(b *testing.B, function string, event []byte) start {
	return startCold(b, filepath.Join(w.dir, function), event, w.env)
}

// event returns the sample event of a function.
func event(b *testing.B, function string) []byte {
	text, err := os.ReadFile(filepath.Join("../../events", function+".json"))
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// BenchmarkColdStart prints how large each function is, how long it takes from
// its start to its asking for an event, and to answer its first one, beside a
// function that does nothing. The table is on DynamoDB Local.
func BenchmarkColdStart(b *testing.B) {
	world := newColdWorld(b, "coldstart")
	functions := append([]string{"empty"}, infra.Functions()...)
	starts := map[string][]start{}
	for b.Loop() {
		for range coldStarts {
			for _, f := range functions { // in turn, so that all meet the same moods of the machine
				first := []byte("{}")
				if f != "empty" {
					first = event(b, f)
				}
				starts[f] = append(starts[f], world.start(b, f, first))
			}
		}
	}
	median := func(all []start, of func(start) time.Duration) float64 {
		var values []time.Duration
		for _, s := range all {
			values = append(values, of(s))
		}
		slices.Sort(values)
		return float64(values[len(values)/2].Microseconds()) / 1000
	}
	fmt.Printf("\ncold starts, medians of %d\n\n", coldStarts)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "function\tMB\tms to ready\tof empty\tms for the first event\t\n")
	empty := median(starts["empty"], func(s start) time.Duration { return s.ready })
	for _, f := range functions {
		info, err := os.Stat(filepath.Join(world.dir, f))
		if err != nil {
			b.Fatal(err)
		}
		ready := median(starts[f], func(s start) time.Duration { return s.ready })
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.2f\t%.1f\t\n", f, float64(info.Size())/(1<<20), ready, ready/empty,
			median(starts[f], func(s start) time.Duration { return s.first }))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLargestUploads prints what memory, and what time of a processor, the
// largest bodies take in a function. A function of 1,769 MB has a whole
// processor to itself, one of less the same share of one.
func BenchmarkLargestUploads(b *testing.B) {
	world := newColdWorld(b, "largest")
	upload := func(function, body string) start {
		var packed bytes.Buffer
		gz := gzip.NewWriter(&packed)
		if _, err := io.WriteString(gz, body); err != nil {
			b.Fatal(err)
		}
		gz.Close()
		var e map[string]any
		if err := json.Unmarshal(event(b, function), &e); err != nil {
			b.Fatal(err)
		}
		e["body"] = base64.StdEncoding.EncodeToString(packed.Bytes())
		e["multiValueHeaders"].(map[string]any)["Content-Encoding"] = []string{"gzip"}
		text, err := json.Marshal(e)
		if err != nil {
			b.Fatal(err)
		}
		if len(text) > 6<<20 {
			b.Fatalf("%s: an event of %d bytes is no payload", function, len(text))
		}
		return world.start(b, function, text)
	}
	accounts, n, err := tenMegabytes()
	if err != nil {
		b.Fatal(err)
	}
	note := strings.Repeat(`\u00e9 text`, 20_000)
	notes := make([]string, 40)
	for i := range notes {
		notes[i] = fmt.Sprintf(`{"account_id":"12345","external_id":"%d","create_time":1,"details":"%s"}`, i, note)
	}
	world.start(b, "accounts", event(b, "accounts"))
	fmt.Printf("\nlargest uploads, DynamoDB Local\n\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "upload\tMB of memory\tprocessor s\tat 1,024 MB at least\t\n")
	row := func(what string, s start) {
		fmt.Fprintf(w, "%s\t%.0f\t%.1f\t%.1f s\t\n", what, s.memory, s.processor.Seconds(), s.processor.Seconds()*1769/1024)
	}
	for b.Loop() {
		row(fmt.Sprintf("10 MB, %d accounts", n), upload("accounts", string(accounts)))
		row("the same once more", upload("accounts", string(accounts)))
		row("8 MB, 40 long notes", upload("notes", `{"records":[`+strings.Join(notes, ",")+`]}`))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}
