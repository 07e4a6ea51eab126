package infra

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"tenure/core/secrets"
	"tenure/core/secrets/kms"
	"tenure/core/sending"
	"tenure/core/sending/ses"
	"tenure/localstack/ministack"
)

func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }

// withRole returns the configuration of who has a role of the statements, as
// CloudFormation makes it, with what they refer to put in its place.
func withRole(t *testing.T, config aws.Config, name string, statements []object, refers map[string]string) aws.Config {
	t.Helper()
	policy, err := json.Marshal(object{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	text := string(policy)
	for from, to := range refers {
		if !strings.Contains(text, from) {
			t.Fatalf("%s does not refer to %s", text, from)
		}
		text = strings.ReplaceAll(text, from, `"`+to+`"`)
	}
	roles := iam.NewFromConfig(config)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	role, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := roles.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("function"), PolicyDocument: &text}); err != nil {
		t.Fatal(err)
	}
	got, err := sts.NewFromConfig(config).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	config.Credentials = credentials.NewStaticCredentialsProvider(
		aws.ToString(got.Credentials.AccessKeyId), aws.ToString(got.Credentials.SecretAccessKey), aws.ToString(got.Credentials.SessionToken))
	return config
}

// TestTheRoleOfThePagesAllowsWhatSendingNeedsAndNoMore asks the stand-in for AWS,
// which enforces roles.
func TestTheRoleOfThePagesAllowsWhatSendingNeedsAndNoMore(t *testing.T) {
	config := ministack.Config(t)
	made, err := awskms.NewFromConfig(config).CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	keyARN := aws.ToString(made.KeyMetadata.Arn)
	confined := withRole(t, config, "console", sendingStatements(), map[string]string{
		`{"Ref":"Deployment"}`: "tenure-test", `{"Ref":"KeyArn"}`: keyARN,
		`{"Fn::Sub":"arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*"}`: "arn:aws:ses:us-east-1:000000000000:identity/*",
	})

	source := kms.New(awskms.NewFromConfig(confined), keyARN)
	sealed, err := secrets.New(source).Seal(t.Context(), secrets.Binding{Workspace: "acme", Purpose: sending.KeyPurpose}, secrets.Secret("fake"))
	if err != nil {
		t.Errorf("sealing: %v", err)
	}
	if _, err := secrets.New(source).Open(t.Context(), secrets.Binding{Workspace: "acme", Purpose: sending.KeyPurpose}, sealed); err != nil {
		t.Errorf("opening: %v", err)
	}
	if _, err := secrets.New(source).Seal(t.Context(), secrets.Binding{Workspace: "acme", Purpose: "connector.token"}, secrets.Secret("fake")); !denied(err) {
		t.Errorf("sealing for another purpose: %v", err)
	}
	if _, err := awskms.NewFromConfig(confined).Encrypt(t.Context(), &awskms.EncryptInput{KeyId: &keyARN, Plaintext: []byte("fake")}); !denied(err) {
		t.Errorf("encrypting without a context: %v", err)
	}

	client := sesv2.NewFromConfig(confined)
	p := ses.New(client, "tenure-test")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	id := sending.Identity{Domain: "role.example.com", MailFrom: "bounce.role.example.com", Selector: "tenure1", PrivateKey: private}
	for range 2 {
		if err := p.Ensure(t.Context(), id); err != nil {
			t.Errorf("making an identity: %v", err)
		}
	}
	if s, err := p.Status(t.Context(), id.Domain); err != nil || !s.Known {
		t.Errorf("%+v, %v", s, err)
	}
	if err := p.Remove(t.Context(), id.Domain); err != nil {
		t.Errorf("deleting it: %v", err)
	}

	if _, err := sesv2.NewFromConfig(config).CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String("foreign.example.com")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteEmailIdentity(t.Context(), &sesv2.DeleteEmailIdentityInput{EmailIdentity: aws.String("foreign.example.com")}); !denied(err) {
		t.Errorf("deleting one of others: %v", err)
	}
	if _, err := client.PutEmailIdentityMailFromAttributes(t.Context(), &sesv2.PutEmailIdentityMailFromAttributesInput{EmailIdentity: aws.String("foreign.example.com")}); !denied(err) {
		t.Errorf("changing one of others: %v", err)
	}
	for _, tags := range [][]types.Tag{nil, {{Key: aws.String(ses.Tag), Value: aws.String("tenure-other")}}} {
		if _, err := client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String("more.example.com"), Tags: tags}); !denied(err) {
			t.Errorf("making one for others: %v", err)
		}
	}
	if err := ses.New(client, "tenure-other").Ensure(t.Context(), id); !denied(err) {
		t.Errorf("another deployment: %v", err)
	}
}

func denied(err error) bool { return err != nil && strings.Contains(err.Error(), "AccessDenied") }
