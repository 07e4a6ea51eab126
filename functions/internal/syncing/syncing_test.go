package syncing_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/config"
	"tenure/core/resource"
	"tenure/core/sources"
	"tenure/core/table/embedded"
	"tenure/functions/internal/platform"
	"tenure/functions/internal/syncing"
	"tenure/localstack/ministack"
)

func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }

func TestSourcesThatAreDueRunThroughTheQueue(t *testing.T) {
	endpoint := ministack.Config(t)
	client := sqs.NewFromConfig(endpoint)
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("sync")})
	if err != nil {
		t.Fatal(err)
	}
	key, err := awskms.NewFromConfig(endpoint).CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	env := platform.Environment{
		Table: store, Keys: access.New(store, nil), Engine: resource.New(resource.Config{Table: store, Root: catalog.Root}), AWS: endpoint,
	}
	if _, err := syncing.Job(env); err == nil {
		t.Error("opened without a key and a queue")
	}
	env.Settings = config.Config{Key: aws.ToString(key.KeyMetadata.Arn), SourcesQueue: aws.ToString(made.QueueUrl)}
	s, _, err := syncing.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	job, err := syncing.Job(env)
	if err != nil {
		t.Fatal(err)
	}
	// next does the work of the message that must be in the queue, and returns it.
	next := func() string {
		t.Helper()
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 5})
		if err != nil || len(got.Messages) != 1 {
			t.Fatalf("%d messages, %v", len(got.Messages), err)
		}
		text := aws.ToString(got.Messages[0].Body)
		if more, err := job.Work(t.Context(), text); more || err != nil {
			t.Fatalf("%s: %v, %v", text, more, err)
		}
		if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: got.Messages[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
		return text
	}
	source := &sources.Source{Connector: "stripe", Every: 60}
	if err := s.Create(t.Context(), "acme", source); err != nil {
		t.Fatal(err)
	}
	byHand := &sources.Source{Connector: "stripe", Prefix: "other-", Name: "By hand"}
	if err := s.Create(t.Context(), "acme", byHand); err != nil {
		t.Fatal(err)
	}
	if err := s.SetCredentials(t.Context(), "acme", byHand, "api_key", map[string]string{"api_key": "sk_test_fake"}, "ann@example.com"); err != nil {
		t.Errorf("sealed by KMS: %v", err)
	}
	if err := job.Tick(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if text := next(); json.Unmarshal([]byte(text), &m) != nil || m["workspace"] != "acme" || m["source"] != source.ID {
		t.Errorf("the message is %s", text)
	}
	// It has no credentials: that is in its report, and no reason to repeat the message.
	runs, err := s.Runs(t.Context(), "acme", source.ID, "", 10)
	if err != nil || len(runs) != 1 || runs[0].Why == nil || runs[0].Why.Code != "credentials" {
		t.Errorf("%+v, %v", runs, err)
	}
	// Now nothing is due until it is asked for.
	if err := job.Tick(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if err := s.Ask(t.Context(), "acme", source.ID, true); err != nil {
		t.Fatal(err)
	}
	next()
	if runs, err := s.Runs(t.Context(), "acme", source.ID, "", 10); err != nil || len(runs) != 2 || !runs[0].Full {
		t.Errorf("%+v, %v", runs, err)
	}
	// A message is dropped while somebody is at work on what it names.
	if err := s.Ask(t.Context(), "acme", source.ID, false); err != nil {
		t.Fatal(err)
	}
	lock, err := env.Keys.Lock(t.Context(), access.LockID("source/acme/"+source.ID), time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	next()
	if runs, err := s.Runs(t.Context(), "acme", source.ID, "", 10); err != nil || len(runs) != 2 {
		t.Errorf("%+v, %v", runs, err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := job.Tick(t.Context(), "acme"); err != nil { // sees what is left
		t.Fatal(err)
	}
	next()
	if runs, err := s.Runs(t.Context(), "acme", source.ID, "", 10); err != nil || len(runs) != 3 {
		t.Errorf("%+v, %v", runs, err)
	}
	// Candidates are sought by the same queue, and a tick sees to it that they are.
	if err := s.AskSearch(t.Context(), "acme", byHand.ID); err != nil {
		t.Fatal(err)
	}
	if text := next(); !strings.Contains(text, "matching/"+byHand.ID) {
		t.Errorf("the message is %s", text)
	}
	if m, err := s.Matching(t.Context(), "acme", byHand.ID); err != nil || m.Computed == 0 || m.Next != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if more, err := job.Work(t.Context(), `{"workspace":"beta","source":"`+source.ID+`"}`); more || err != nil {
		t.Errorf("another workspace's: %v, %v", more, err)
	}
	if _, err := job.Work(t.Context(), `{"workspace":"acme","upload":"x"}`); err == nil || !strings.Contains(err.Error(), "names no source") {
		t.Errorf("a message of something else: %v", err)
	}
}
