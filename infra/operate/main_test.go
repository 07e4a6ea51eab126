package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/secrets/kms"
	"tenure/core/sources"
	"tenure/core/table/embedded"
	"tenure/localstack/ministack"
	"tenure/localstack/sourcing"
)

func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }

func TestAnAppIsSealedByTheKeyOfTheDeployment(t *testing.T) {
	config := ministack.Config(t)
	made, err := awskms.NewFromConfig(config).CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	key := aws.ToString(made.KeyMetadata.Arn)
	on, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	var out bytes.Buffer
	o := &operator{sdk: config, out: &out, keys: access.New(on, nil), engine: resource.New(resource.Config{Table: on, Root: catalog.Root})}
	const secret = "not-a-real-secret"
	if err := o.apps(t.Context(), on, key, []string{"app", "xero"}, strings.NewReader(`{"client_id": "the-app", "client_secret": "`+secret+`"}`)); err != nil {
		t.Fatal(err)
	}
	if err := o.apps(t.Context(), on, key, []string{"apps"}, nil); err != nil || !strings.Contains(out.String(), "Stored the app for xero") || !strings.Contains(out.String(), "Xero ") || strings.Contains(out.String(), secret) {
		t.Errorf("%v, %s", err, out.String())
	}
	// The console opens it.
	if err := o.keys.EnsureWorkspace(t.Context(), "acme", "test-key-not-secret"); err != nil {
		t.Fatal(err)
	}
	store := sourcing.NewStore(on, o.engine, o.keys, secrets.New(kms.New(awskms.NewFromConfig(config), key)), nil)
	s := &sources.Source{Name: "Books", Connector: "xero"}
	if err := store.Create(t.Context(), "acme", s); err != nil {
		t.Fatal(err)
	}
	if to, err := store.Authorize(t.Context(), "acme", s.ID, "https://tenure.example.com/admin/oauth/callback", "ann@example.com"); err != nil || !strings.Contains(to, "client_id=the-app") {
		t.Errorf("%s, %v", to, err)
	}
	if err := o.apps(t.Context(), on, key, []string{"delete-app", "xero"}, nil); err != nil {
		t.Error(err)
	}
	if _, err := store.Authorize(t.Context(), "acme", s.ID, "https://tenure.example.com/admin/oauth/callback", "ann@example.com"); err == nil {
		t.Error("a deleted app is used")
	}
}

func TestWhatSealsNeedsTheKey(t *testing.T) {
	for _, args := range [][]string{{"apps"}, {"app", "xero"}, {"delete-app", "xero"}} {
		if err := run(t.Context(), "table", "", "", "", args, strings.NewReader(""), os.Stdout); err == nil || !strings.Contains(err.Error(), "needs -key ARN") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
