package kms_test

import (
	"errors"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"tenure/core/secrets"
	"tenure/core/secrets/kms"
	"tenure/core/secrets/secretstest"
	"tenure/localstack/ministack"
)

func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }

func newKey(t *testing.T, client *awskms.Client) string {
	t.Helper()
	made, err := client.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(made.KeyMetadata.Arn)
}

func TestContract(t *testing.T) {
	client := awskms.NewFromConfig(ministack.Config(t))
	key := newKey(t, client)
	secretstest.Run(t,
		func(t *testing.T) secrets.KeySource { return kms.New(client, key) },
		func(t *testing.T) secrets.KeySource { return kms.New(client, newKey(t, client)) })
}

var at = secrets.Binding{Workspace: "acme", Purpose: "test"}

func TestAKeySourceThatDoesNotAnswerIsUnavailable(t *testing.T) {
	config := ministack.Config(t)
	client := awskms.NewFromConfig(config)
	key := newKey(t, client)
	sealed, err := secrets.New(kms.New(client, key)).Seal(t.Context(), at, secrets.Secret("fake"))
	if err != nil {
		t.Fatal(err)
	}
	config.BaseEndpoint = aws.String("http://127.0.0.1:1")
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	s := secrets.New(kms.New(awskms.NewFromConfig(config), key))
	if _, err := s.Open(t.Context(), at, sealed); !errors.Is(err, secrets.ErrUnavailable) || errors.Is(err, secrets.ErrNotOpened) {
		t.Errorf("opening: %v", err)
	}
	if _, err := s.Seal(t.Context(), at, secrets.Secret("fake")); !errors.Is(err, secrets.ErrUnavailable) {
		t.Errorf("sealing: %v", err)
	}
}

func TestAKeyThatIsNotThereIsNeitherUnavailableNorTheValuesFault(t *testing.T) {
	s := secrets.New(kms.New(awskms.NewFromConfig(ministack.Config(t)), "alias/not-there"))
	if _, err := s.Seal(t.Context(), at, secrets.Secret("fake")); err == nil || errors.Is(err, secrets.ErrUnavailable) || errors.Is(err, secrets.ErrNotOpened) {
		t.Errorf("%v", err)
	}
}
