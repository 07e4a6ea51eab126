// Package dynamolocal runs DynamoDB Local, the stand-in for DynamoDB that AWS
// publishes, for the tests of one package. A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(dynamolocal.Main(m)) }
//
// and calls Client in each test that needs it. The server starts with the first
// such call and keeps everything in memory.
package dynamolocal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tenure/core/table/dynamo"
)

// startTimeout bounds how long the server may take until it answers. A virtual
// machine that shares its processors needs several seconds.
const startTimeout = time.Minute

// errMissing says that something the server needs is not on this machine.
var errMissing = errors.New("DynamoDB Local is not available")

// server is the one server of this process; Main stops it.
var server struct {
	once    sync.Once
	err     error
	config  aws.Config
	process *os.Process
	exited  chan struct{}
	workDir string
}

// Main runs the tests of a package, stops the server if one of them has
// started it, and returns the exit code.
func Main(m *testing.M) int {
	defer stop()
	return m.Run()
}

// Config returns a configuration for clients of the server, with credentials
// that are obviously fake. It starts the server if need be. Where Java or the
// server's files are missing it skips the test, or fails it if CI is "true":
// what CI leaves out, nobody runs.
func Config(t testing.TB) aws.Config {
	t.Helper()
	server.once.Do(func() { server.err = start() })
	switch {
	case errors.Is(server.err, errMissing) && os.Getenv("CI") != "true":
		t.Skipf("left out, as it needs DynamoDB: %v", server.err)
	case server.err != nil:
		t.Fatal(server.err)
	}
	return server.config
}

// Client returns a client of the server; see Config.
func Client(t testing.TB) *dynamodb.Client {
	t.Helper()
	return dynamo.NewClient(Config(t))
}

func start() error {
	java, err := exec.LookPath("java")
	if err != nil {
		return fmt.Errorf("%w: install Java 17 or later (%w)", errMissing, err)
	}
	jars, err := findJars()
	if err != nil {
		return err
	}
	if server.workDir, err = os.MkdirTemp("", "dynamodb-local-"); err != nil {
		return err
	}
	// Between our finding a free port and the server's taking it somebody else may.
	for range 3 {
		if err = startAt(java, jars); err == nil || errors.Is(err, errMissing) {
			break
		}
	}
	return err
}

// findJars returns the folder with the server's files, which are outside of
// version control.
func findJars() (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		if parent == root {
			return "", errors.New("no go.mod above the working directory")
		}
		root = parent
	}
	jars := filepath.Join(root, ".tools", "dynamodb-local")
	if found, _ := filepath.Glob(filepath.Join(jars, "DynamoDBLocal-*.jar")); len(found) == 0 {
		return "", fmt.Errorf("%w: run `make tools` to get it", errMissing)
	}
	library, ok := map[string]string{
		"linux/amd64":   "libsqlite4java-linux-amd64-*.so",
		"darwin/amd64":  "libsqlite4java-osx-*.dylib",
		"windows/amd64": "sqlite4java-win32-x64-*.dll",
	}[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("%w: its database has no native library for %s/%s", errMissing, runtime.GOOS, runtime.GOARCH)
	}
	if found, _ := filepath.Glob(filepath.Join(jars, library)); len(found) == 0 {
		return "", fmt.Errorf("%w: %s is missing, run `make tools` to get it", errMissing, library)
	}
	return jars, nil
}

func startAt(java, jars string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	var output bytes.Buffer
	command := exec.Command(java,
		"-Xmx768m", "-XX:+UseSerialGC",
		"-Djava.library.path="+jars, "-cp", filepath.Join(jars, "*"),
		"software.amazon.dynamodb.services.local.main.ServerRunner",
		"-inMemory", "-sharedDb", "-disableTelemetry", "-port", strconv.Itoa(port))
	command.Dir = server.workDir // whatever it writes stays out of the project
	command.Stdout, command.Stderr = &output, &output
	endWithParent(command)
	if err := command.Start(); err != nil {
		return fmt.Errorf("start DynamoDB Local: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		command.Wait()
		close(exited)
	}()
	config := aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String("http://127.0.0.1:" + strconv.Itoa(port)),
		Credentials:  credentials.NewStaticCredentialsProvider("FAKEACCESSKEYID", "fake-secret-access-key", ""),
	}
	client := dynamo.NewClient(config)
	deadline := time.After(startTimeout)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{}, func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
		cancel()
		if err == nil {
			server.config, server.process, server.exited = config, command.Process, exited
			return nil
		}
		select {
		case <-exited:
			if bytes.Contains(output.Bytes(), []byte("UnsupportedClassVersionError")) {
				return fmt.Errorf("%w: install Java 17 or later, this one is older", errMissing)
			}
			return fmt.Errorf("DynamoDB Local ended at once: %s", output.Bytes())
		case <-deadline:
			command.Process.Kill()
			<-exited
			return fmt.Errorf("DynamoDB Local does not answer after %v: %w\n%s", startTimeout, err, output.Bytes())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freePort returns a port that nobody listens on at present. The server takes
// a port but no address, so it cannot be told to choose one itself.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func stop() {
	if server.process != nil {
		server.process.Kill()
		<-server.exited
	}
	if server.workDir != "" {
		os.RemoveAll(server.workDir)
	}
}
