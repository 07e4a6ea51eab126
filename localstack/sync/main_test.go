package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/config"
	"tenure/core/table/embedded"
	"tenure/localstack/sourcing"
)

// dataDir returns the directory of a product that does not run, with a workspace.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t") // whose path is short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := access.New(store, nil).EnsureWorkspace(t.Context(), "acme", "test-key-not-secret"); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// does carries out a command and returns what it shows.
func does(t *testing.T, c config.Config, in string, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	err := run(t.Context(), c, "acme", args, strings.NewReader(in), &screen{out: &out, errs: &errs})
	if errs.Len() > 0 {
		t.Errorf("on standard error: %s", errs.String())
	}
	return out.String(), err
}

func TestWithoutARunningProductACommandOpensTheData(t *testing.T) {
	c := config.Config{DataDir: dataDir(t)}
	if text, err := does(t, c, `{"connector":"stripe","name":"Payments","system_of_record":true}`, "add"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if text, err := does(t, c, `{"api_key":"sk_test_fake"}`, "credentials", "Payments", "api_key"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	text, err := does(t, c, `{"id":"cus_1","name":"A","created":1700000000,"metadata":{"account_id":"a"}}`, "import", "payments", "customers")
	if err != nil || !strings.Contains(text, "import of customers") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err := does(t, c, "", "list"); err != nil || !strings.Contains(text, "stored") {
		t.Errorf("%v\n%s", err, text)
	}
	empty := config.Config{DataDir: t.TempDir()}
	if _, err := does(t, empty, "", "list"); err == nil || !strings.Contains(err.Error(), "DATA_DIR") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(empty.DataDir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestARunningProductIsAskedInstead(t *testing.T) {
	c := config.Config{DataDir: dataDir(t)}
	store, err := embedded.Open(filepath.Join(c.DataDir, "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	// One that has the data open and takes no commands is in the way.
	if _, err := does(t, c, "", "list"); err == nil || !strings.Contains(err.Error(), "DATA_DIR") {
		t.Errorf("%v", err)
	}
	listener, err := sourcing.Listen(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	commands := &sourcing.Commands{Store: sourcing.NewStore(store, nil, access.New(store, nil), nil, nil)}
	go func() { served <- commands.Serve(ctx, listener) }()
	if text, err := does(t, c, "", "list"); err != nil || !strings.Contains(text, "no sources in acme") {
		t.Errorf("%v\n%s", err, text)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestOnAWSTheKeyIsNeeded(t *testing.T) {
	if _, err := does(t, config.Config{Table: "t"}, "", "list"); err == nil || !strings.Contains(err.Error(), "KEY_ARN") {
		t.Errorf("%v", err)
	}
}

func TestAnErrorNamesTheFieldToBlame(t *testing.T) {
	for _, c := range []struct {
		failure core.Failure
		want    string
	}{
		{core.Failure{Field: "settings.site", Message: "Missing required setting: 'site'"}, "settings.site: Missing required setting: 'site'"},
		{core.Failure{Field: "every", Message: "'every' is wrong"}, "'every' is wrong"},
		{core.Failure{Message: "There is no command"}, "There is no command"},
	} {
		if got := message(&c.failure); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestTheBarShowsHowManyRecordsOfAStreamWereRead(t *testing.T) {
	var out, errs bytes.Buffer
	s := &screen{out: &out, errs: &errs, terminal: true}
	for _, e := range []sourcing.Event{
		{Progress: &sourcing.Progress{Stream: "customers", Read: 100}}, {Progress: &sourcing.Progress{Stream: "customers", Read: 250}},
		{Progress: &sourcing.Progress{Stream: "invoices", Read: 7}}, {Text: "done\n"},
	} {
		if err := s.show(e); err != nil {
			t.Fatal(err)
		}
	}
	s.end()
	for _, want := range []string{"customers (250/-", "invoices (7/-"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("no %q in %q", want, errs.String())
		}
	}
	if out.String() != "done\n" || !strings.HasSuffix(errs.String(), "\n") {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}
