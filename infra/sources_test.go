package infra

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/connectors"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/secrets/kms"
	"tenure/core/sending"
	"tenure/core/sources"
	"tenure/localstack/ministack"
)

// answers is a system that answers every request with what its path has, or an empty
// list.
type answers map[string]string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, ok := a[strings.TrimPrefix(r.URL.Path, "/v1")]
	if !ok {
		body = `{"object":"list","data":[],"has_more":false}`
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// TestSourcesGetByWithWhatTheirRolesAllow runs the System of Record and a further
// source, confined to the partitions of the function's role.
func TestSourcesGetByWithWhatTheirRolesAllow(t *testing.T) {
	store := openStore(t)
	if err := access.New(store, nil).EnsureWorkspace(t.Context(), "acme", "test-key-not-secret"); err != nil {
		t.Fatal(err)
	}
	sealing, err := keyfile.Open(filepath.Join(t.TempDir(), "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	system := answers{
		"/customers": `{"object":"list","data":[{"id":"cus_1","object":"customer","name":"Initech","email":"ann@example.com","created":1700000000,"metadata":{"account_id":"a"}},
			{"id":"cus_2","object":"customer","name":"Initech GmbH","email":"bob@example.com","created":1700000000,"metadata":{}}],"has_more":false}`,
		"/invoices": `{"object":"list","data":[{"id":"in_1","object":"invoice","number":"1","customer":"cus_1","status":"open","currency":"usd","created":1700000000,"period_start":1700000000,
			"total":100,"amount_due":100,"amount_paid":0,"lines":{"object":"list","data":[],"has_more":false}}],"has_more":false}`,
	}
	on := confine(store, syncFunction, func(what string) { t.Errorf("denied: %s", what) })
	s := sources.New(sources.Config{
		Table: on, Access: access.New(on, nil), Families: catalog.All(), Connectors: connectors.All(), Sealer: secrets.New(sealing), Transport: system,
		Engine: resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: 16}),
	})
	all := []*sources.Source{
		{Connector: "stripe", Name: "Record", SystemOfRecord: true, Every: 60},
		{Connector: "stripe", Name: "E-mail", Location: "email", Prefix: "e-", Every: 60},
	}
	for _, source := range all {
		if err := s.Create(t.Context(), "acme", source); err != nil {
			t.Fatal(err)
		}
		if err := s.SetCredentials(t.Context(), "acme", source, "api_key", map[string]string{"api_key": "sk_test_fake"}, "ann@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	workspaces, err := s.Access.Workspaces(t.Context())
	if err != nil || len(workspaces) != 1 {
		t.Fatal(workspaces, err)
	}
	due, err := s.Due(t.Context(), "acme")
	if err != nil || len(due) != len(all) {
		t.Fatal(due, err)
	}
	for round := range 2 {
		for _, source := range all {
			if round > 0 {
				if err := s.Ask(t.Context(), "acme", source.ID, true); err != nil {
					t.Fatal(err)
				}
			}
			if more, err := s.Run(t.Context(), "acme", source.ID); more || err != nil {
				t.Fatalf("%s: %v, %v", source.Name, more, err)
			}
			runs, err := s.Runs(t.Context(), "acme", source.ID, "", 1)
			if err != nil || len(runs) != 1 || runs[0].Outcome != sources.Done {
				t.Fatalf("%s: %+v, %+v, %v", source.Name, runs, runs[0].Why, err)
			}
			if n := runs[0].Total(); round == 0 && n.Inserted+n.Changed == 0 || n.Mismatched == 0 {
				t.Errorf("%s: %+v", source.Name, runs[0])
			}
		}
	}
	var asked string
	s.Start = func(_ context.Context, _, task string) error { asked = task; return nil }
	if err := s.AskSearch(t.Context(), "acme", all[1].ID); err != nil {
		t.Fatal(err)
	}
	if due, err := s.Due(t.Context(), "acme"); err != nil || !slices.Contains(due, asked) {
		t.Errorf("%v, %v", due, err)
	}
	if more, err := s.Work(t.Context(), "acme", asked); more || err != nil {
		t.Errorf("%v, %v", more, err)
	}
	if m, err := s.Matching(t.Context(), "acme", all[1].ID); err != nil || m.Accounts == 0 || m.Proposed == 0 {
		t.Errorf("%+v, %v", m, err)
	}
	if err := s.Delete(t.Context(), "acme", all[1].ID); err != nil {
		t.Error(err)
	}
}

// TestTheRoleOfTheSourcesAllowsWhatTheyNeedAndNoMore asks the stand-in for AWS, which
// enforces roles.
func TestTheRoleOfTheSourcesAllowsWhatTheyNeedAndNoMore(t *testing.T) {
	config := ministack.Config(t)
	made, err := awskms.NewFromConfig(config).CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	keyARN := aws.ToString(made.KeyMetadata.Arn)
	queues := sqs.NewFromConfig(config)
	queue := func(name string) (url, arn string) {
		t.Helper()
		made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		about, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(made.QueueUrl), about.Attributes["QueueArn"]
	}
	own, ownARN := queue("sync")
	other, _ := queue("other")
	confined := withRole(t, config, "sync", sourcesStatements(syncFunction), map[string]string{`{"Ref":"KeyArn"}`: keyARN, `{"Ref":"SourcesQueueArn"}`: ownARN})

	sealer := secrets.New(kms.New(awskms.NewFromConfig(confined), keyARN))
	binding := secrets.Binding{Workspace: "acme", Purpose: sources.CredentialsPurpose}
	sealed, err := sealer.Seal(t.Context(), binding, secrets.Secret("fake"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.Open(t.Context(), binding, sealed); err != nil {
		t.Error(err)
	}
	if _, err := sealer.Seal(t.Context(), secrets.Binding{Workspace: "acme", Purpose: sending.KeyPurpose}, secrets.Secret("fake")); !denied(err) {
		t.Errorf("sealing for another purpose: %v", err)
	}
	app := secrets.Binding{Workspace: sources.AppsPartition, Purpose: sources.AppPurpose}
	stored, err := secrets.New(kms.New(awskms.NewFromConfig(config), keyARN)).Seal(t.Context(), app, secrets.Secret("fake")) // by the operator
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.Open(t.Context(), app, stored); err != nil {
		t.Errorf("opening an app of the deployment: %v", err)
	}
	if _, err := sealer.Seal(t.Context(), app, secrets.Secret("fake")); !denied(err) {
		t.Errorf("sealing an app of the deployment: %v", err)
	}
	client := sqs.NewFromConfig(confined)
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &own, MessageBody: aws.String("{}")}); err != nil {
		t.Error(err)
	}
	got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &own, WaitTimeSeconds: 5})
	if err != nil || len(got.Messages) != 1 {
		t.Fatalf("%d messages, %v", len(got.Messages), err)
	}
	if _, err := client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &own, ReceiptHandle: got.Messages[0].ReceiptHandle, VisibilityTimeout: 60}); err != nil {
		t.Error(err)
	}
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &other, MessageBody: aws.String("{}")}); !denied(err) {
		t.Errorf("sending to another queue: %v", err)
	}
}
