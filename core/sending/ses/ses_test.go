package ses_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sending"
	"tenure/core/sending/ses"
	"tenure/core/table/embedded"
	"tenure/localstack/ministack"
)

func TestMain(m *testing.M) { os.Exit(ministack.Main(m)) }

// world is a store that sends by Amazon SES, with the client beside it.
type world struct {
	*sending.Store
	client *sesv2.Client
	log    *bytes.Buffer

	mu   sync.Mutex
	sent []string     // methods and paths of the store's own requests
	body bytes.Buffer // and all of their bodies
	down bool         // whether they fail
}

// Do sends a request of the store.
func (w *world) Do(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, r.Method+" "+r.URL.Path)
	if w.down {
		return nil, io.ErrUnexpectedEOF
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		w.body.Write(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultClient.Do(r)
}

// requests returns what was sent since the last time.
func (w *world) requests() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := strings.Join(w.sent, "\n")
	w.sent = nil
	return sent
}

func newWorld(t *testing.T) *world {
	t.Helper()
	config := ministack.Config(t)
	w := &world{client: sesv2.NewFromConfig(config), log: &bytes.Buffer{}}
	config.HTTPClient = w
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody answers at this address, at once.
	resolver, err := sending.NewResolver("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	w.Store = sending.New(sending.Config{
		Table: store, Sealer: secrets.New(keys), Resolver: resolver, Relay: sending.SES("us-east-1"),
		Provider: ses.New(sesv2.NewFromConfig(config), "tenure-test"), Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	return w
}

func (w *world) identity(t *testing.T, domain string) *sesv2.GetEmailIdentityOutput {
	t.Helper()
	got, err := w.client.GetEmailIdentity(t.Context(), &sesv2.GetEmailIdentityInput{EmailIdentity: aws.String(domain)})
	if err != nil {
		return nil
	}
	return got
}

func (w *world) set(t *testing.T, workspace, domain string) *sending.Setup {
	t.Helper()
	setup, err := w.Set(t.Context(), workspace, domain, "hello@"+domain)
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

func TestSESKnowsTheDomainWithItsKeyAndReturnPath(t *testing.T) {
	w := newWorld(t)
	setup := w.set(t, "acme", "one.example.com")
	want := sending.Service{
		Known: true, Domain: "pending", DKIM: "pending", MailFrom: "pending", Selector: "tenure1", ReturnPath: "bounce.one.example.com", Asked: setup.Service.Asked,
	}
	if *setup.Service != want {
		t.Errorf("%+v, want %+v", *setup.Service, want)
	}
	got := w.identity(t, "one.example.com")
	if got == nil || got.DkimAttributes.SigningAttributesOrigin != types.DkimSigningAttributesOriginExternal || !got.DkimAttributes.SigningEnabled ||
		got.DkimAttributes.Tokens[0] != "tenure1" || aws.ToString(got.MailFromAttributes.MailFromDomain) != "bounce.one.example.com" ||
		aws.ToString(got.Tags[0].Value) != "tenure-test" {
		t.Errorf("%+v", got)
	}
	w.requests()
	if _, err := w.Check(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if sent := w.requests(); strings.Contains(sent, "PUT") || strings.Contains(sent, "POST") {
		t.Errorf("a check changes what is right:\n%s", sent)
	}
	if _, err := w.Remove(t.Context(), "acme"); err != nil || w.identity(t, "one.example.com") != nil {
		t.Errorf("it is still there: %v", err)
	}
}

func TestAnotherDomainTakesThePlaceOfTheOneBefore(t *testing.T) {
	w := newWorld(t)
	w.set(t, "acme", "two.example.com")
	setup := w.set(t, "acme", "three.example.com")
	if w.identity(t, "two.example.com") != nil || w.identity(t, "three.example.com") == nil || len(setup.Leaving) != 0 {
		t.Errorf("%+v", setup)
	}
}

func TestWhatSESDidNotTakeIsMadeUpForByTheNextCheck(t *testing.T) {
	w := newWorld(t)
	w.down = true
	setup := w.set(t, "acme", "four.example.com")
	if s := setup.Service; s.Known || !strings.Contains(s.Problem, "the next check tries again") || strings.Contains(s.Problem, "EOF") {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(w.log.String(), "EOF") {
		t.Errorf("nothing is said to the operator: %s", w.log)
	}
	w.down = false
	setup, err := w.Check(t.Context(), "acme")
	if err != nil || !setup.Service.Known || setup.Service.Problem != "" || w.identity(t, "four.example.com") == nil {
		t.Errorf("%+v, %v", setup.Service, err)
	}
	// Somebody deletes it in the console of AWS, or takes the return path away.
	if _, err := w.client.PutEmailIdentityMailFromAttributes(t.Context(), &sesv2.PutEmailIdentityMailFromAttributesInput{EmailIdentity: aws.String("four.example.com")}); err != nil {
		t.Fatal(err)
	}
	if setup, err = w.Check(t.Context(), "acme"); err != nil || setup.Service.ReturnPath != "bounce.four.example.com" {
		t.Errorf("%+v, %v", setup.Service, err)
	}
	if _, err := w.client.DeleteEmailIdentity(t.Context(), &sesv2.DeleteEmailIdentityInput{EmailIdentity: aws.String("four.example.com")}); err != nil {
		t.Fatal(err)
	}
	if setup, err = w.Check(t.Context(), "acme"); err != nil || !setup.Service.Known {
		t.Errorf("%+v, %v", setup.Service, err)
	}

	w.down = true
	if setup, err = w.Remove(t.Context(), "acme"); err != nil || setup.Domain != "" || len(setup.Leaving) != 1 {
		t.Errorf("%+v, %v", setup, err)
	}
	if _, err := w.Set(t.Context(), "globex", "four.example.com", "a@four.example.com"); err == nil {
		t.Error("another workspace has it before it is given up")
	}
	w.down = false
	if setup, err = w.Check(t.Context(), "acme"); err != nil || len(setup.Leaving) != 0 || w.identity(t, "four.example.com") != nil {
		t.Errorf("%+v, %v", setup, err)
	}
	if _, err := w.Check(t.Context(), "acme"); err == nil {
		t.Error("nothing is left to check")
	}
	if setup := w.set(t, "globex", "four.example.com"); setup.Service.Selector != "tenure2" {
		t.Errorf("%+v", setup.Service)
	}
}

func TestIdentitiesOfOthersAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	for i, tags := range [][]types.Tag{nil, {{Key: aws.String(ses.Tag), Value: aws.String("tenure-other")}}} {
		domain := fmt.Sprintf("others%d.example.com", i)
		if _, err := w.client.CreateEmailIdentity(t.Context(), &sesv2.CreateEmailIdentityInput{EmailIdentity: aws.String(domain), Tags: tags}); err != nil {
			t.Fatal(err)
		}
		before := w.identity(t, domain)
		w.requests()
		setup := w.set(t, "acme", domain)
		if s := setup.Service; s.Known || !strings.Contains(s.Problem, "not by this deployment") {
			t.Errorf("%+v", s)
		}
		if _, err := w.Check(t.Context(), "acme"); err != nil {
			t.Error(err)
		}
		if setup, err := w.Remove(t.Context(), "acme"); err != nil || len(setup.Leaving) != 0 {
			t.Errorf("%+v, %v", setup, err)
		}
		if sent := w.requests(); strings.Contains(sent, "PUT") || strings.Contains(sent, "DELETE") || strings.Contains(sent, "POST") {
			t.Errorf("it was touched:\n%s", sent)
		}
		after := w.identity(t, domain)
		if after == nil || fmt.Sprint(*after.DkimAttributes) != fmt.Sprint(*before.DkimAttributes) {
			t.Errorf("%+v, before %+v", after, before)
		}
	}
}

func TestTheKeyGoesToSESAndNowhereElse(t *testing.T) {
	w := newWorld(t)
	setup := w.set(t, "acme", "five.example.com")
	var made struct {
		DkimSigningAttributes struct{ DomainSigningPrivateKey []byte }
	}
	if err := json.NewDecoder(&w.body).Decode(&made); err != nil {
		t.Fatal(err)
	}
	sent := made.DkimSigningAttributes.DomainSigningPrivateKey
	private, err := x509.ParsePKCS8PrivateKey(sent)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.(*rsa.PrivateKey).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if want := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public); setup.Records[0].Value != want {
		t.Errorf("the record is %s, and the key that signs needs %s", setup.Records[0].Value, want)
	}
	told, err := json.Marshal(setup)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{base64.StdEncoding.EncodeToString(sent)[100:200], fmt.Sprint(sent)[100:200], fmt.Sprintf("%x", sent)[100:200]} {
		if all := string(told) + fmt.Sprintf("%+v", *setup) + w.log.String(); strings.Contains(all, form) {
			t.Errorf("%s shows %s", all, form)
		}
	}
}

func TestAnErrorOfSESDoesNotShowTheKey(t *testing.T) {
	p := ses.New(sesv2.NewFromConfig(ministack.Config(t)), "tenure-test")
	err := p.Ensure(t.Context(), sending.Identity{
		Domain: "seven.example.com", MailFrom: "bounce.seven.example.com", Selector: "tenure1", PrivateKey: secrets.Secret("no key at all"),
	})
	if err == nil || strings.Contains(err.Error(), "no key at all") || strings.Contains(err.Error(), "bm8ga2V5") {
		t.Errorf("%v", err)
	}
}

func TestARequestThatIsOverEndsTheCall(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Set(ctx, "acme", "six.example.com", "a@six.example.com"); err == nil {
		t.Error("it was set up")
	}
	if w.identity(t, "six.example.com") != nil {
		t.Error("it is known")
	}
}
