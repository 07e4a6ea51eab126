package sending_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/secrets"
	"tenure/core/sending"
)

func TestTheRecordsOfADomain(t *testing.T) {
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "news.example.com")
	type told struct {
		id, name, host, typ, quoted string
		priority                    int
		required                    bool
	}
	dkim := record(t, setup, sending.DKIM)
	if !strings.HasPrefix(dkim.Value, "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A") || len(dkim.Value) != 410 ||
		dkim.Quoted != `"`+dkim.Value[:255]+`" "`+dkim.Value[255:]+`"` {
		t.Errorf("%+v", dkim)
	}
	var got []told
	for _, r := range setup.Records {
		got = append(got, told{r.ID, r.Name, r.Host, r.Type, r.Quoted, r.Priority, r.Required})
		if r.Why == "" || r.Title == "" || r.Finding != nil {
			t.Errorf("%+v", r)
		}
	}
	want := []told{
		{"dkim:tenure1", "tenure1._domainkey.news.example.com", "tenure1._domainkey.news", "TXT", dkim.Quoted, 0, true},
		{"bounces", "bounce.news.example.com", "bounce.news", "MX", "feedback-smtp.eu-west-1.amazonses.com.", 10, true},
		{"bounces_spf", "bounce.news.example.com", "bounce.news", "TXT", `"v=spf1 include:amazonses.com ~all"`, 0, true},
		{"dmarc", "_dmarc.news.example.com", "_dmarc.news", "TXT", `"v=DMARC1; p=none"`, 0, false},
		{"spf", "news.example.com", "news", "TXT", `"v=spf1 include:amazonses.com ~all"`, 0, false},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	setup = w.set(t, "acme", "example.com")
	if r := record(t, setup, sending.SPF); r.Host != "@" {
		t.Errorf("%+v", r)
	}
	if r := record(t, setup, sending.DKIM); r.Host != "tenure1._domainkey" || r.Value == dkim.Value {
		t.Errorf("%+v", r)
	}
}

func TestAMailServerOfOnesOwnSends(t *testing.T) {
	relay, err := sending.MailServer("Mail.Example.NET")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	w.Store = sending.New(sending.Config{Table: w.table, Sealer: w.sealer, Relay: relay})
	setup := w.set(t, "acme", "example.com")
	if r := record(t, setup, sending.Bounces); r.Value != "mail.example.net" {
		t.Errorf("%+v", r)
	}
	if r := record(t, setup, sending.BouncesSPF); r.Value != "v=spf1 a:mail.example.net ~all" || setup.Relay != "mail.example.net" {
		t.Errorf("%+v", r)
	}
	for _, host := range []string{"localhost", "10.0.0.1", "mail", ""} {
		if _, err := sending.MailServer(host); err == nil {
			t.Errorf("%q is taken", host)
		}
	}
}

// TestThePrivateKeyIsStoredSealedAndShownNowhere looks for the key in all that is
// stored and told, in every form it could have there.
func TestThePrivateKeyIsStoredSealedAndShownNowhere(t *testing.T) {
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "example.com")
	items := w.items(t, "acme/sending")
	var kept struct {
		Signing struct{ Public, Private string }
	}
	if err := json.Unmarshal(items[0].Body, &kept); err != nil {
		t.Fatal(err)
	}
	plain, err := w.sealer.Open(t.Context(), secrets.Binding{Workspace: "acme", Purpose: "sending.dkim"}, kept.Signing.Private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		t.Fatal(err)
	}
	private := parsed.(*rsa.PrivateKey)
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil || private.N.BitLen() != 2048 || !strings.HasSuffix(record(t, setup, sending.DKIM).Value, "p="+base64.StdEncoding.EncodeToString(public)) {
		t.Errorf("%d bits, %v: not the key of the record", private.N.BitLen(), err)
	}
	told, err := json.Marshal(setup)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	all.Write(told)
	fmt.Fprintf(&all, "%+v %v", *setup, setup.Records)
	for _, partition := range []string{"acme/sending", "~domains/example.com"} {
		for _, item := range w.items(t, partition) {
			all.Write(item.Body)
		}
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(private)
	for name, part := range map[string][]byte{"PKCS #8": plain, "PKCS #1": pkcs1, "a prime": private.Primes[0].Bytes(), "the exponent": private.D.Bytes()} {
		middle := part[len(part)/2:][:48]
		for _, form := range []string{string(middle), base64.StdEncoding.EncodeToString(middle), base64.RawURLEncoding.EncodeToString(middle), fmt.Sprintf("%x", middle),
			base64.StdEncoding.EncodeToString(part)[len(part)-64 : len(part)], pemOf(part)[len(part)-32 : len(part)]} {
			if bytes.Contains(all.Bytes(), []byte(form)) {
				t.Errorf("%s is stored or told", name)
			}
		}
	}
	if bytes.Contains(told, []byte(kept.Signing.Private)) {
		t.Error("the sealed key is told")
	}
	if _, err := w.sealer.Open(t.Context(), secrets.Binding{Workspace: "globex", Purpose: "sending.dkim"}, kept.Signing.Private); err == nil {
		t.Error("another workspace can open it")
	}
}

// pemOf returns bytes as PEM files have them.
func pemOf(part []byte) string { return string(pem.EncodeToMemory(&pem.Block{Bytes: part})) }

func TestWorkspacesHaveTheirOwnDomains(t *testing.T) {
	w := newWorld(t, nil)
	w.set(t, "acme", "example.com")
	if _, err := w.Set(t.Context(), "globex", "EXAMPLE.com", "x@example.com"); !refused(err, core.Conflicting, "domain") {
		t.Errorf("a domain twice: %v", err)
	}
	if setup, err := w.Get(t.Context(), "globex"); err != nil || setup.Domain != "" || len(setup.Records) != 0 {
		t.Errorf("%+v, %v", setup, err)
	}
	for what, err := range map[string]error{
		"check": second(w.Check(t.Context(), "globex")), "remove": second(w.Remove(t.Context(), "globex")), "rotate": second(w.Rotate(t.Context(), "globex")),
	} {
		if !refused(err, core.NotFound, "domain") {
			t.Errorf("%s: %v", what, err)
		}
	}
	theirs := w.set(t, "globex", "news.example.com")
	setup, err := w.Get(t.Context(), "acme")
	if err != nil || setup.Domain != "example.com" || record(t, setup, sending.DKIM).Value == record(t, theirs, sending.DKIM).Value {
		t.Errorf("%+v, %v", setup, err)
	}
	// A domain that was given up is anybody's, with a key of another name.
	if _, err := w.Remove(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	setup = w.set(t, "globex", "example.com")
	if setup.Keys[0].Selector != "tenure2" {
		t.Errorf("%+v", setup.Keys)
	}
	if _, err := w.Set(t.Context(), "acme", "example.com", "x@example.com"); !refused(err, core.Conflicting, "domain") {
		t.Errorf("taken back: %v", err)
	}
	if _, err := w.Set(t.Context(), "acme", "news.example.com", "x@news.example.com"); err != nil {
		t.Errorf("the one that globex has left: %v", err)
	}
}

func second(_ *sending.Setup, err error) error { return err }

func TestOfManyThatWantADomainOneGetsIt(t *testing.T) {
	w := newWorld(t, nil)
	got := make([]error, 4)
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() {
			_, got[i] = w.Set(t.Context(), fmt.Sprintf("w%d", i), "example.com", "a@example.com")
		})
	}
	group.Wait()
	won := -1
	for i, err := range got {
		switch {
		case err == nil && won >= 0:
			t.Errorf("both %d and %d have it", won, i)
		case err == nil:
			won = i
		case !refused(err, core.Conflicting, "domain"):
			t.Errorf("%d: %v", i, err)
		}
	}
	if won < 0 {
		t.Fatal("nobody has it")
	}
	for i := range got {
		setup, err := w.Get(t.Context(), fmt.Sprintf("w%d", i))
		if err != nil || (setup.Domain != "") != (i == won) {
			t.Errorf("%d: %+v, %v", i, setup, err)
		}
	}
}

func TestAnotherFromKeepsKeyAndFindings(t *testing.T) {
	w := newWorld(t, nil)
	before := w.set(t, "acme", "example.com")
	w.publish(before, required...)
	w.check(t, "acme")
	setup, err := w.Set(t.Context(), "acme", "example.com", "sales@example.com")
	if err != nil || setup.From != "sales@example.com" || setup.State != sending.Verified || setup.Records[0].Value != before.Records[0].Value {
		t.Errorf("%+v, %v", setup, err)
	}
}

func TestAnotherDomainHasAKeyOfItsOwn(t *testing.T) {
	w := newWorld(t, nil)
	before := w.set(t, "acme", "example.com")
	w.publish(before, required...)
	w.check(t, "acme")
	setup := w.set(t, "acme", "example.net")
	if setup.State != sending.Pending || setup.Checked != 0 || record(t, setup, sending.DKIM).Value == before.Records[0].Value {
		t.Errorf("%+v", setup)
	}
	again := w.set(t, "acme", "example.com")
	if k := record(t, again, sending.DKIM); k.Value == before.Records[0].Value || k.Name != "tenure2._domainkey.example.com" {
		t.Errorf("%+v", k)
	}
}

func TestRemovingDeletesTheKeys(t *testing.T) {
	w := newWorld(t, nil)
	w.set(t, "acme", "example.com")
	if _, err := w.Rotate(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	setup, err := w.Remove(t.Context(), "acme")
	if err != nil || setup.Domain != "" || setup.From != "" || len(setup.Records) != 0 || len(setup.Keys) != 0 {
		t.Errorf("%+v, %v", setup, err)
	}
	if left := w.items(t, "acme/sending"); len(left) != 0 {
		t.Errorf("left: %s", left[0].Body)
	}
	// What is remembered of the domain goes in time.
	w.clock.advance(91 * 24 * time.Hour)
	if left := w.items(t, "~domains/example.com"); len(left) != 0 {
		t.Errorf("left: %s", left[0].Body)
	}
}

func TestAKeyIsReplacedOnceTheNextOneIsPublished(t *testing.T) {
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "example.com")
	w.publish(setup, required...)
	w.check(t, "acme")
	setup, err := w.Rotate(t.Context(), "acme")
	if err != nil || !setup.Rotating() || len(setup.Keys) != 2 || setup.Keys[0] != (sending.Key{Selector: "tenure1", Use: sending.SigningKey, Created: setup.Keys[0].Created}) ||
		setup.Keys[1].Selector != "tenure2" || setup.Keys[1].Use != sending.NextKey || setup.State != sending.Verified {
		t.Fatalf("%+v, %v", setup, err)
	}
	if _, err := w.Rotate(t.Context(), "acme"); !refused(err, core.Conflicting, "key") {
		t.Errorf("twice: %v", err)
	}
	if setup = w.check(t, "acme"); setup.Keys[0].Selector != "tenure1" || setup.State != sending.Verified {
		t.Errorf("it is not published: %+v", setup)
	}
	w.dns.Add(setup.Records[1].Name + ". 60 IN TXT " + setup.Records[1].Quoted)
	setup = w.check(t, "acme")
	if setup.Keys[0].Selector != "tenure2" || setup.Keys[1].Selector != "tenure1" || setup.Keys[1].Use != sending.RetiringKey || setup.State != sending.Verified {
		t.Errorf("it is published: %+v", setup)
	}
	if !setup.Records[0].Required || setup.Records[1].Required || setup.Records[1].Kind != sending.DKIM {
		t.Errorf("%+v", setup.Records)
	}
	if body := w.items(t, "acme/sending")[0].Body; bytes.Count(body, []byte(`"private":"1.`)) != 1 {
		t.Errorf("the private key of before is kept: %s", body)
	}
	w.clock.advance(8 * 24 * time.Hour)
	w.dns.Clear("tenure1._domainkey.example.com")
	if setup = w.check(t, "acme"); len(setup.Keys) != 1 || setup.State != sending.Verified {
		t.Errorf("after a week: %+v", setup)
	}
	if setup, err = w.Rotate(t.Context(), "acme"); err != nil || setup.Keys[1].Selector != "tenure3" {
		t.Errorf("%+v, %v", setup, err)
	}
}

func TestWhatIsStoredForOneWorkspaceIsInItsPartitions(t *testing.T) {
	w := newWorld(t, nil)
	seen := &watching{Table: w.table}
	resolver, err := sending.NewResolver(w.dns.Address)
	if err != nil {
		t.Fatal(err)
	}
	w.Store = sending.New(sending.Config{Table: seen, Sealer: w.sealer, Resolver: resolver, Relay: sending.SES("eu-west-1"), Now: w.clock.Now})
	w.set(t, "acme", "example.com")
	w.check(t, "acme")
	if _, err := w.Rotate(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Remove(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	for _, key := range seen.keys {
		if key.Partition != "acme/sending" && key.Partition != "~domains/example.com" {
			t.Errorf("%+v", key)
		}
	}
}
