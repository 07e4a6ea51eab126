package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// These tests run the program as anybody does: as a process of its own, told
// what to do by its environment, known only by what it prints, answers and
// leaves on the disk.

const tenMB = 10 << 20

const (
	testKey  = "test-key-not-secret"
	otherKey = "another-test-key-not-secret"
)

// program is the program, built once for all tests. It is built without the
// race detector, whatever the tests are: it is to be as fast, and as small, as
// the one that people run.
var program = sync.OnceValues(func() (file string, err error) {
	if programDir, err = os.MkdirTemp("", "tenure-test-"); err != nil {
		return "", err
	}
	file = filepath.Join(programDir, "tenure")
	build := exec.Command("go", "build", "-race=false", "-o", file, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make run does, which may have compiled most of it
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, said)
	}
	return file, nil
})

// programDir is where program has built it; TestMain removes it.
var programDir string

// endWithParent has the system end a child when the tests die without having
// ended it. Not every system can.
var endWithParent = func(*exec.Cmd) {}

// command returns the program, ready to be started with exactly these settings
// ("NAME=value").
func command(t *testing.T, settings ...string) *exec.Cmd {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(file)
	c.Dir = t.TempDir() // for whatever it keeps where nothing else is said
	c.Env = settings
	endWithParent(c)
	return c
}

// client uses the API on behalf of a test.
type client struct {
	t       *testing.T
	address string // http://host:port
	http    *http.Client
}

// process is the program running.
type process struct {
	*client
	command *exec.Cmd
	printed []string // on standard output, until it was ready
	exited  chan struct{}
	stderr  *bytes.Buffer // complete once it has exited
}

// start starts the program on a free port, with the workspace "test" unless
// the settings say otherwise, and returns once it says that it listens. It
// lives until the test ends.
func start(t *testing.T, settings ...string) *process {
	t.Helper()
	settings = append([]string{"PORT=0", "WORKSPACES=test:" + testKey}, settings...)
	p := &process{
		client:  &client{t: t, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}},
		command: command(t, settings...), exited: make(chan struct{}), stderr: &bytes.Buffer{},
	}
	p.command.Stderr = p.stderr
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			lines <- scanner.Text()
		}
		close(lines)
		_ = p.command.Wait() // how it ended is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	for line := range lines {
		p.printed = append(p.printed, line)
		if url, found := strings.CutPrefix(line, "API_URL="); found {
			p.address = strings.TrimSuffix(url, "/api/v2")
			go func() {
				for range lines {
				}
			}()
			return p
		}
	}
	<-p.exited
	t.Fatalf("the program ended before it listened: %v\n%s", p.command.ProcessState, p.stderr)
	return nil
}

// kill ends the process as a crash would: it gets to do nothing more.
func (p *process) kill() {
	_ = p.command.Process.Kill() // fails when it has ended already
	<-p.exited
	p.http.CloseIdleConnections()
}

// terminate asks the process to end.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits until the process has ended and checks its exit code.
func (p *process) ends(code int) {
	p.t.Helper()
	<-p.exited
	if got := p.command.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("the program ended with %v, want exit code %d\n%s", p.command.ProcessState, code, p.stderr)
	}
}

// line returns the rest of the printed line that begins with start.
func (p *process) line(start string) string {
	p.t.Helper()
	for _, line := range p.printed {
		if rest, found := strings.CutPrefix(line, start); found {
			return strings.TrimSpace(rest)
		}
	}
	p.t.Fatalf("no line %q in what was printed:\n%s", start, strings.Join(p.printed, "\n"))
	return ""
}

// reply is an answer of the program.
type reply struct {
	status int
	header http.Header
	raw    []byte
	result
}

// result is what the answers to uploads and changes hold.
type result struct {
	OK        bool   `json:"status_is_ok"`
	Message   string `json:"message"`
	Inserted  int    `json:"inserted"`
	Changed   int    `json:"changed"`
	Unchanged int    `json:"unchanged"`
	Failed    int    `json:"failed"`
}

// longAnswer is from where an answer is not read as a whole to look at its head.
const longAnswer = 256 << 10

// readReply reads an answer, which must be JSON whatever its status (P3).
func readReply(r *http.Response) (reply, error) {
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return reply{}, err
	}
	a := reply{status: r.StatusCode, header: r.Header, raw: raw}
	if list := bytes.IndexByte(raw, '['); len(raw) > longAnswer && bytes.HasSuffix(raw, []byte("]}")) {
		// Whoever asked for so much looks into it; with the race detector on,
		// reading all of it here as well would take long.
		raw = append(slices.Clone(raw[:list+1]), "]}"...)
	}
	if err := json.Unmarshal(raw, &a.result); err != nil {
		return a, fmt.Errorf("status %d, and the answer is not JSON: %w: %.200q", r.StatusCode, err, raw)
	}
	if a.OK && r.StatusCode != http.StatusOK || !a.OK && a.Message == "" {
		return a, fmt.Errorf("status %d with status_is_ok %v and message %q", r.StatusCode, a.OK, a.Message)
	}
	return a, nil
}

// send sends a request under a key; path is below /api/v2.
func (c *client) send(ctx context.Context, key, method, path string, body []byte, header ...string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.address+"/api/v2"+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.SetBasicAuth("api", key)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return reply{}, err
	}
	return readReply(response)
}

// call sends a request that must be answered.
func (c *client) call(key, method, path, body string) reply {
	c.t.Helper()
	a, err := c.send(c.t.Context(), key, method, path, []byte(body))
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// do sends a request that must be answered with status 200.
func (c *client) do(key, method, path, body string) reply {
	c.t.Helper()
	a := c.call(key, method, path, body)
	if a.status != http.StatusOK {
		c.t.Fatalf("%s %s: status %d: %.300s", method, path, a.status, a.raw)
	}
	return a
}

// done sends a request that must be carried out.
func (c *client) done(key, method, path, body string) reply {
	c.t.Helper()
	a := c.do(key, method, path, body)
	if !a.OK || a.Failed > 0 {
		c.t.Fatalf("%s %s: %.300s", method, path, a.raw)
	}
	return a
}

// account returns the record of an upload that makes an account.
func account(id string) string {
	return fmt.Sprintf(`{"account_id":%q,"name":"Account %s","join_date":1500000000000}`, id, id)
}

func records(all ...string) string { return `{"records":[` + strings.Join(all, ",") + `]}` }

// exists reports whether the workspace of a key has the account.
func (c *client) exists(key, id string) bool {
	c.t.Helper()
	return c.do(key, http.MethodGet, "/accounts/"+id, "").OK
}

// arriving is an upload whose body has not arrived as a whole.
type arriving struct {
	t    *testing.T
	conn net.Conn
	rest string
}

// upload sends an upload of accounts but for the end of its body, and returns
// once the program has begun to read that: it says so, as it is asked to.
func (c *client) upload(key, body string) *arriving {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.address, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /api/v2/accounts?api_key=%s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", key, len(body))
	answer := make([]byte, 256)
	n, err := conn.Read(answer)
	if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 100 Continue")) {
		c.t.Fatalf("the program does not ask for the body: %v %q", err, answer[:n])
	}
	a := &arriving{t: c.t, conn: conn, rest: body}
	a.more(len(body) / 2)
	return a
}

// more sends n more bytes of the body.
func (a *arriving) more(n int) {
	a.t.Helper()
	if _, err := io.WriteString(a.conn, a.rest[:n]); err != nil {
		a.t.Fatal(err)
	}
	a.rest = a.rest[n:]
}

// finish sends the rest of the body and returns the answer.
func (a *arriving) finish() reply {
	a.t.Helper()
	a.more(len(a.rest))
	response, err := http.ReadResponse(bufio.NewReader(a.conn), nil)
	if err != nil {
		a.t.Fatalf("no answer: %v", err)
	}
	answer, err := readReply(response)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer
}

// TestDataSurvivesARestart shows that what was acknowledged is there when the
// program is started again on the same directory.
func TestDataSurvivesARestart(t *testing.T) {
	dir := "DATA_DIR=" + t.TempDir()
	p := start(t, dir)
	p.done(testKey, http.MethodPost, "/accounts", records(account("kept")))
	before := p.done(testKey, http.MethodGet, "/accounts/kept", "")
	p.terminate()
	p.ends(0)

	p = start(t, dir)
	after := p.done(testKey, http.MethodGet, "/accounts/kept", "")
	if !bytes.Equal(before.raw, after.raw) {
		t.Errorf("the account before and after:\n%s\n%s", before.raw, after.raw)
	}
}

// TestWorkspacesAreIsolated shows that WORKSPACES makes several, that the same
// id stands for something else in each, and that none sees another's.
func TestWorkspacesAreIsolated(t *testing.T) {
	p := start(t, "DATA_DIR="+t.TempDir(), "WORKSPACES=one:"+testKey+", two:"+otherKey)
	p.done(testKey, http.MethodPost, "/accounts", records(account("shared"), account("only-in-one")))
	p.done(otherKey, http.MethodPost, "/accounts", records(account("shared")))
	p.done(otherKey, http.MethodPut, "/accounts/shared", `{"data":{"name":"Of two"}}`)

	if raw := p.done(testKey, http.MethodGet, "/accounts/shared", "").raw; !bytes.Contains(raw, []byte("Account shared")) {
		t.Errorf("the account of one has changed with that of two: %s", raw)
	}
	if p.exists(otherKey, "only-in-one") {
		t.Error("two sees an account of one")
	}
	if raw := p.done(otherKey, http.MethodGet, "/accounts", "").raw; bytes.Contains(raw, []byte("only-in-one")) {
		t.Errorf("two lists an account of one: %s", raw)
	}
	p.terminate()
	p.ends(0)
	if printed := strings.Join(p.printed, "\n") + p.stderr.String(); strings.Contains(printed, testKey) {
		t.Errorf("a key that was given is printed:\n%s", printed)
	}
}

// TestDemoWorkspace shows what a first start without settings gives: a
// workspace to try things in, whose key is printed, kept for the user's eyes
// only, and the same ever after.
func TestDemoWorkspace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	var keys []string
	for range 2 {
		p := start(t, "DATA_DIR="+dir, "WORKSPACES=")
		key := p.line("API key")
		keys = append(keys, key)
		p.done(key, http.MethodGet, "/accounts", "")
		if a, err := p.send(t.Context(), testKey, http.MethodGet, "/accounts", nil); err != nil || a.status != http.StatusUnauthorized {
			t.Errorf("another key gets status %d, %v", a.status, err)
		}
		p.terminate()
		p.ends(0)
	}
	if len(keys[0]) < 32 || keys[0] != keys[1] {
		t.Errorf("the keys of two starts: %q", keys)
	}
	var files int
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte(keys[0])) {
			return err
		}
		files++
		info, err := entry.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s holds the key and has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files != 1 {
		t.Errorf("%d files hold the key in clear, want the one that keeps it", files)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory: %v, %v", info.Mode(), err)
	}
}

// TestDemoKeyThatWasNotWritten shows that a first start that ended between
// making the file of the key and writing it does not keep the next from
// working.
func TestDemoKeyThatWasNotWritten(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo.key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "DATA_DIR="+dir, "WORKSPACES=")
	p.do(p.line("API key"), http.MethodGet, "/accounts", "")
}

// TestWrongSettings shows that the program does not start on settings that
// make no sense, says in one line which it is, and prints no key.
func TestWrongSettings(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := t.TempDir()
	start(t, "DATA_DIR="+inUse)

	for _, wrong := range []struct{ setting, says string }{
		{"PORT=http", "PORT"},
		{"PORT=65536", "PORT"},
		{"PORT=-1", "PORT"},
		{"PORT=" + takenPort, "PORT"},
		{"HOST=192.0.2.1", "HOST"},
		{"POST_LOCK_WAIT=5", "POST_LOCK_WAIT"},
		{"POST_LOCK_WAIT=-1s", "POST_LOCK_WAIT"},
		{"REQUEST_TIMEOUT=soon", "REQUEST_TIMEOUT"},
		{"REQUEST_TIMEOUT=0s", "REQUEST_TIMEOUT"},
		{"DATA_DIR=" + file, "DATA_DIR"},
		{"DATA_DIR=" + inUse, "DATA_DIR"},
		{"WORKSPACES=" + testKey, "WORKSPACES"},
		{"WORKSPACES=one:", "WORKSPACES"},
		{"WORKSPACES=:" + testKey, "WORKSPACES"},
		{"WORKSPACES=one:" + testKey + ",one:" + otherKey, "WORKSPACES"},
		{"WORKSPACES=one:" + testKey + ",two:" + testKey, "WORKSPACES"},
		{"WORKSPACES=no/slash:" + testKey, "WORKSPACES"},
	} {
		t.Run(wrong.setting, func(t *testing.T) {
			c := command(t, "PORT=0", "DATA_DIR="+t.TempDir(), wrong.setting)
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			// A program that starts in spite of all is ended with the test.
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			exited := make(chan error, 1)
			go func() { exited <- c.Wait() }()
			var exit *exec.ExitError
			select {
			case err := <-exited:
				if !errors.As(err, &exit) || exit.ExitCode() != 1 {
					t.Errorf("it ended with %v, want exit code 1", err)
				}
			case <-time.After(20 * time.Second):
				_ = c.Process.Kill()
				<-exited
				t.Fatal("it runs")
			}
			line, rest, _ := strings.Cut(stderr.String(), "\n")
			if !strings.Contains(line, wrong.says) || rest != "" {
				t.Errorf("it says %q, want one line that names %s", stderr.String(), wrong.says)
			}
			if all := stdout.String() + stderr.String(); strings.Contains(all, testKey) || strings.Contains(all, otherKey) {
				t.Errorf("it prints a key:\n%s", all)
			}
		})
	}
}

// TestListensOnLoopbackOnly shows that without a HOST nobody else on the
// network reaches the program.
func TestListensOnLoopbackOnly(t *testing.T) {
	p := start(t, "DATA_DIR="+t.TempDir())
	host, port, err := net.SplitHostPort(strings.TrimPrefix(p.address, "http://"))
	if err != nil || host != "127.0.0.1" {
		t.Fatalf("it listens on %s", p.address)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		prefix, ok := a.(*net.IPNet)
		if !ok || prefix.IP.IsLoopback() || prefix.IP.IsLinkLocalUnicast() {
			continue
		}
		if conn, err := net.Dial("tcp", net.JoinHostPort(prefix.IP.String(), port)); err == nil {
			conn.Close()
			t.Errorf("it answers on %s", prefix.IP)
		}
	}
}

// TestHealth shows that /healthz tells whoever asks, without a key, that the
// program is up.
func TestHealth(t *testing.T) {
	p := start(t, "DATA_DIR="+t.TempDir())
	response, err := p.http.Get(p.address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	a, err := readReply(response)
	if err != nil || a.status != http.StatusOK || !a.OK || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %s, %v", a.status, a.header, a.raw, err)
	}
}

// TestTerminationFinishesWhatIsUnderWay shows that a request whose body is
// still on its way when the program is asked to end gets its answer, is kept,
// and that the program then ends well; but that it takes nothing new.
func TestTerminationFinishesWhatIsUnderWay(t *testing.T) {
	dir := "DATA_DIR=" + t.TempDir()
	p := start(t, dir)
	body := records(account("under-way"))
	upload := p.upload(testKey, body)
	p.terminate()
	awaitRefusal(t, strings.TrimPrefix(p.address, "http://"))
	if a := upload.finish(); a.status != http.StatusOK || !a.OK || a.Inserted != 1 {
		t.Errorf("the upload under way got %d %s", a.status, a.raw)
	}
	upload.conn.Close()
	p.ends(0)
	if said := p.stderr.String(); said != "" {
		t.Errorf("it complains:\n%s", said)
	}
	if p = start(t, dir); !p.exists(testKey, "under-way") {
		t.Error("what was acknowledged is not there")
	}
}

// awaitRefusal returns once nobody listens at the address any more.
func awaitRefusal(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("it still takes connections")
}
