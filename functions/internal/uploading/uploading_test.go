package uploading_test

import (
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/config"
	"tenure/core/files/s3"
	"tenure/core/resource"
	"tenure/core/table/embedded"
	"tenure/core/uploads"
	"tenure/functions/internal/platform"
	"tenure/functions/internal/uploading"
	"tenure/localstack/ministack"
)

func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }

func TestAFileGoesThroughBucketAndQueue(t *testing.T) {
	endpoint := ministack.Config(t)
	if _, err := s3.NewClient(endpoint).CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("uploads")}); err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(endpoint)
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("uploads")})
	if err != nil {
		t.Fatal(err)
	}
	store, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	env := platform.Environment{
		Table: store, Keys: access.New(store, nil), Engine: resource.New(resource.Config{Table: store, Root: catalog.Root}),
		Calls: calls.New(store, api.Logged(catalog.All()), calls.Options{}), AWS: endpoint,
	}
	if _, err := uploading.Job(env); err == nil {
		t.Error("opened without a bucket and a queue")
	}
	env.Settings = config.Config{UploadsBucket: "uploads", UploadsQueue: aws.ToString(made.QueueUrl)}
	s, _, err := uploading.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	job, err := uploading.Job(env)
	if err != nil {
		t.Fatal(err)
	}
	// next does the work of the message that must be in the queue.
	next := func() {
		t.Helper()
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, WaitTimeSeconds: 5})
		if err != nil || len(got.Messages) != 1 {
			t.Fatalf("%d messages, %v", len(got.Messages), err)
		}
		if more, err := job.Work(t.Context(), aws.ToString(got.Messages[0].Body)); more || err != nil {
			t.Fatalf("%v, %v", more, err)
		}
		if _, err := client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl, ReceiptHandle: got.Messages[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	u, err := s.Create(t.Context(), "acme", "ann@example.com", "accounts", uploads.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if form, err := s.Form(t.Context(), "acme", u.ID); err != nil || form == nil || !strings.HasPrefix(form.Action, aws.ToString(endpoint.BaseEndpoint)) {
		t.Errorf("%+v, %v", form, err)
	}
	if err := s.Receive(t.Context(), "acme", u.ID, strings.NewReader("account_id,name,join_date\na,A,2024-01-01\nb,,2024-01-01\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context(), "acme", u.ID, "a.csv"); err != nil {
		t.Fatal(err)
	}
	next()
	if _, err := s.Apply(t.Context(), "acme", u.ID); err != nil {
		t.Fatal(err)
	}
	next()
	if u, err = s.Get(t.Context(), "acme", u.ID); err != nil || u.State != uploads.Done || u.Apply.Inserted != 1 || u.Apply.Failed != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	var text strings.Builder
	write, err := s.Rejected(t.Context(), "acme", u.ID)
	if err == nil {
		err = write(&text)
	}
	if err != nil || !strings.Contains(text.String(), "\r\nb,,2024-01-01,2,") {
		t.Errorf("rejected: %q, %v", text.String(), err)
	}
	log, err := env.Calls.Last(t.Context(), "acme", nil, calls.Filter{})
	if err != nil || len(log) != 1 || log[0].KeyID != calls.CSV || log[0].Records.Inserted != 1 {
		t.Errorf("logged: %+v, %v", log, err)
	}
	for _, text := range []string{"", "{}", `{"workspace":"acme"}`, "[]", `{"upload":"x"}`} {
		if _, err := job.Work(t.Context(), text); err == nil {
			t.Errorf("the message %q is taken", text)
		}
	}
	if more, err := job.Work(t.Context(), `{"workspace":"beta","upload":"`+u.ID+`"}`); more || err != nil {
		t.Errorf("another workspace's: %v, %v", more, err)
	}
}
