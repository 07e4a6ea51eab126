// Package ministack runs MiniStack, the stand-in for AWS that needs no Docker, for
// the tests of one package. A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }
//
// and calls Config in each test that needs it. The endpoint starts with the first
// such call, on a port of its own, and keeps everything in memory.
package ministack

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// startTimeout bounds how long the endpoint may take until it answers.
const startTimeout = time.Minute

// errMissing says that MiniStack is not on this machine.
var errMissing = errors.New("MiniStack is missing: run `make tools` to get it")

// endpoint is the one endpoint of this process; Main stops it.
var endpoint struct {
	once    sync.Once
	err     error
	config  aws.Config
	process *os.Process
	exited  chan struct{}
	workDir string
}

// Main runs the tests of a package, stops the endpoint if one of them has
// started it, and returns the exit code.
func Main(m *testing.M) int {
	defer stop()
	return m.Run()
}

// Config returns a configuration for clients of the endpoint, with credentials
// that are obviously fake. It starts the endpoint if need be. Where MiniStack is
// missing it skips the test, or fails it if CI is "true".
func Config(t testing.TB) aws.Config {
	t.Helper()
	endpoint.once.Do(func() { endpoint.err = start() })
	switch {
	case errors.Is(endpoint.err, errMissing) && os.Getenv("CI") != "true":
		t.Skipf("left out: %v", endpoint.err)
	case endpoint.err != nil:
		t.Fatal(endpoint.err)
	}
	return endpoint.config
}

func start() error {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	root := filepath.Dir(strings.TrimSpace(string(mod)))
	python := filepath.Join(root, ".tools", "ministack", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		return errMissing
	}
	if endpoint.workDir, err = os.MkdirTemp("", "ministack-"); err != nil {
		return err
	}
	// Between our finding a free port and the endpoint's taking it somebody else may.
	for range 3 {
		if err = startAt(python, filepath.Join(root, "localstack", "ministack", "serve.py")); err == nil {
			break
		}
	}
	return err
}

func startAt(python, program string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	address := listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err := errors.Join(err, listener.Close()); err != nil {
		return err
	}
	var output bytes.Buffer
	command := exec.Command(python, program)
	command.Dir = endpoint.workDir
	// It knows whom it believes, too: forms for browsers are signed.
	command.Env = append(os.Environ(), "GATEWAY_PORT="+port, "TMPDIR="+endpoint.workDir, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-not-secret")
	command.Stdout, command.Stderr = &output, &output
	endWithParent(command)
	if err := command.Start(); err != nil {
		return fmt.Errorf("start MiniStack: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = command.Wait() // which says no more than the output
		close(exited)
	}()
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{}}
	for deadline := time.After(startTimeout); ; {
		response, err := client.Get("http://" + address + "/_localstack/health")
		if err == nil {
			response.Body.Close()
			endpoint.process, endpoint.exited = command.Process, exited
			endpoint.config = aws.Config{
				Region: "us-east-1", BaseEndpoint: aws.String("http://" + address),
				Credentials: credentials.NewStaticCredentialsProvider("test", "test-not-secret", ""),
			}
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("MiniStack ended at once:\n%s", output.Bytes())
		case <-deadline:
			_ = command.Process.Kill()
			<-exited
			return fmt.Errorf("MiniStack does not answer after %v: %w\n%s", startTimeout, err, output.Bytes())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop ends the endpoint, and what it has written goes with it.
func stop() {
	if endpoint.process != nil {
		_ = endpoint.process.Kill() // it may have ended by itself
		<-endpoint.exited
	}
	if endpoint.workDir != "" {
		os.RemoveAll(endpoint.workDir)
	}
}
