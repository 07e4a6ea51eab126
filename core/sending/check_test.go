package sending_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/miekg/dns"

	"tenure/core/sending"
)

func TestADomainIsVerifiedOnceItsRecordsAreThere(t *testing.T) {
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "example.com")
	if setup.State != sending.Pending || setup.Checked != 0 || record(t, setup, sending.DKIM).Finding != nil {
		t.Errorf("before any check: %+v", setup)
	}
	w.dns.Add("example.com. 60 IN SOA ns.example.com. a.example.com. 1 1 1 1 1")
	setup = w.check(t, "acme")
	if setup.State != sending.Pending || setup.Checked != w.clock.Now().UnixMilli() {
		t.Errorf("nothing is there: %+v", setup)
	}
	for _, r := range setup.Records {
		if r.Finding.State != sending.Missing || r.Finding.Advice == "" {
			t.Errorf("%s: %+v", r.ID, r.Finding)
		}
	}
	w.publish(setup, required...)
	setup = w.check(t, "acme")
	if setup.State != sending.Verified || setup.Note != "" {
		t.Errorf("all that is required is there: %+v", setup)
	}
	if f := record(t, setup, sending.DMARC).Finding; f.State != sending.Missing {
		t.Errorf("DMARC: %+v", f)
	}
	w.publish(setup, sending.DMARC, sending.SPF)
	setup = w.check(t, "acme")
	for _, r := range setup.Records {
		if r.Finding.State != sending.Right {
			t.Errorf("%s: %+v", r.ID, r.Finding)
		}
	}
	if kept, err := w.Get(t.Context(), "acme"); err != nil || kept.State != sending.Verified || record(t, kept, sending.DKIM).Finding.State != sending.Right {
		t.Errorf("kept: %+v, %v", kept, err)
	}
	w.dns.Clear("bounce.example.com")
	if setup = w.check(t, "acme"); setup.State != sending.Failing {
		t.Errorf("records went: %s", setup.State)
	}
	w.publish(setup, sending.Bounces, sending.BouncesSPF)
	if setup = w.check(t, "acme"); setup.State != sending.Verified {
		t.Errorf("and came back: %s", setup.State)
	}
}

// TestWhatDNSSaysOfARecordIsTold has DNS say something about one record while all
// others are right. KEY stands for the public key, VALUE and QUOTED for the right
// value in both forms.
func TestWhatDNSSaysOfARecordIsTold(t *testing.T) {
	w := newWorld(t, nil)
	good := w.set(t, "acme", "mail.example.com")
	const d, bounce = "tenure1._domainkey.mail.example.com. ", "bounce.mail.example.com. "
	cases := []struct {
		name    string
		kind    sending.Kind
		records []string
		state   sending.State
		advice  string // has to be in what is told
	}{
		{"key with spaces and other order", sending.DKIM, []string{d + `TXT "v=DKIM1;p= HALF1  " "HALF2 ;k=rsa;"`}, sending.Right, ""},
		{"key without version", sending.DKIM, []string{d + `TXT "p=HALF1" "HALF2"`}, sending.Right, ""},
		{"key for e-mail by SHA-256", sending.DKIM, []string{d + `TXT "v=DKIM1; h=sha1:sha256; s=email; p=HALF1" "HALF2"`}, sending.Right, ""},
		{"key in testing", sending.DKIM, []string{d + `TXT "v=DKIM1; t=y:s; p=HALF1" "HALF2"`}, sending.Right, "t=y"},
		{"key by an alias", sending.DKIM, []string{d + "CNAME k.example.net.", "k.example.net. TXT QUOTED"}, sending.Right, "k.example.net"},
		{"alias to nothing", sending.DKIM, []string{d + "CNAME k.example.net.", "example.net. A 192.0.2.1"}, sending.Missing, "alias"},
		{"aliases in a circle", sending.DKIM, []string{d + "CNAME k.example.net.", "k.example.net. CNAME " + d}, sending.Unanswered, "leads nowhere"},
		{"key cut off at 255", sending.DKIM, []string{d + `TXT "CUT"`}, sending.Different, "cut off"},
		{"key with marks pasted", sending.DKIM, []string{d + `TXT "\"v=DKIM1; k=rsa; p=HALF1\" " "\"HALF2\""`}, sending.Different, "quotation marks"},
		{"key with backslashes pasted", sending.DKIM, []string{d + `TXT "v=DKIM1\\; k=rsa\\; p=HALF1" "HALF2"`}, sending.Different, "backslashes"},
		{"key as two records", sending.DKIM, []string{d + `TXT "v=DKIM1; k=rsa; p=HALF1"`, d + `TXT "HALF2"`}, sending.Different, "one record"},
		{"right key and another", sending.DKIM, []string{d + "TXT QUOTED", d + `TXT "v=spf1 -all"`}, sending.Different, "Delete the others"},
		{"two that are wrong", sending.DKIM, []string{d + `TXT "a"`, d + `TXT "b"`}, sending.Different, "none of them"},
		{"another key", sending.DKIM, []string{d + `TXT "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAfake"`}, sending.Different, "Another key"},
		{"key in capitals", sending.DKIM, []string{d + `TXT "v=DKIM1; p=UPPER1" "UPPER2"`}, sending.Different, "capital"},
		{"key of another version", sending.DKIM, []string{d + `TXT "v=DKIM2; p=HALF1" "HALF2"`}, sending.Different, "tags"},
		{"version at the end", sending.DKIM, []string{d + `TXT "p=HALF1" "HALF2; v=DKIM1"`}, sending.Different, "tags"},
		{"key for SHA-1 alone", sending.DKIM, []string{d + `TXT "v=DKIM1; h=sha1; p=HALF1" "HALF2"`}, sending.Different, "tags"},
		{"key withdrawn", sending.DKIM, []string{d + `TXT "v=DKIM1; p="`}, sending.Different, "withdrawn"},
		{"no key at all", sending.DKIM, []string{d + `TXT "v=spf1 -all"`}, sending.Different, "no DKIM record"},
		{"name doubled", sending.DKIM, []string{"tenure1._domainkey.mail.example.com.mail.example.com. TXT QUOTED"}, sending.Different, "Enter tenure1._domainkey.mail as"},
		{"name with the zone doubled", sending.DKIM, []string{"tenure1._domainkey.mail.example.com.example.com. TXT QUOTED"}, sending.Different, "appends example.com"},
		{"record of another type", sending.DKIM, []string{d + "A 192.0.2.1"}, sending.Missing, ""},

		{"other priority", sending.Bounces, []string{bounce + "MX 0 Feedback-SMTP.eu-west-1.AmazonSES.com."}, sending.Right, ""},
		{"two, one of them right", sending.Bounces, []string{bounce + "MX 10 feedback-smtp.eu-west-1.amazonses.com.", bounce + "MX 20 mx.example.net."}, sending.Different, "delete the others"},
		{"domain appended to the value", sending.Bounces, []string{bounce + "MX 10 feedback-smtp.eu-west-1.amazonses.com.example.com."}, sending.Different, "with a dot at its end"},
		{"priority in the value", sending.Bounces, []string{bounce + `MX 10 10\032feedback-smtp.eu-west-1.amazonses.com.`}, sending.Different, "The priority stands in the value"},
		{"another region", sending.Bounces, []string{bounce + "MX 10 feedback-smtp.us-east-1.amazonses.com."}, sending.Different, "goes elsewhere"},
		{"no mail", sending.Bounces, []string{bounce + "MX 0 ."}, sending.Different, "no mail at all"},
		{"MX doubled", sending.Bounces, []string{"bounce.mail.example.com.example.com. MX 10 feedback-smtp.eu-west-1.amazonses.com."}, sending.Different, "Enter bounce.mail as"},

		{"SPF with more", sending.BouncesSPF, []string{bounce + `TXT "V=spf1 ip4:192.0.2.1 +Include:AmazonSES.com -all"`, bounce + `TXT "something else"`}, sending.Right, ""},
		{"two SPF records", sending.BouncesSPF, []string{bounce + "TXT QUOTED", bounce + `TXT "v=spf1 mx -all"`}, sending.Different, "v=spf1 mx include:amazonses.com"},
		{"SPF without us", sending.BouncesSPF, []string{bounce + `TXT "v=spf1 mx -all"`}, sending.Different, "v=spf1 mx include:amazonses.com -all"},
		{"SPF after all", sending.BouncesSPF, []string{bounce + `TXT "v=spf1 ~all include:amazonses.com"`}, sending.Different, "not read"},
		{"SPF against us", sending.BouncesSPF, []string{bounce + `TXT "v=spf1 -include:amazonses.com ~all"`}, sending.Different, "may not send"},
		{"SPF of another", sending.BouncesSPF, []string{bounce + `TXT "v=spf1 include:amazonses.com.example.net ~all"`}, sending.Different, "Change it to"},
		{"SPF with marks pasted", sending.BouncesSPF, []string{bounce + `TXT "\"v=spf1 include:amazonses.com ~all\""`}, sending.Different, "quotation marks"},
		{"SPF with too many lookups", sending.BouncesSPF, []string{bounce + `TXT "v=spf1 a mx ptr include:a.example include:b.example include:c.example exists:d.example a:e.example a/24 mx:f.example include:amazonses.com -all"`}, sending.Different, "11 lookups"},
		{"only other texts", sending.BouncesSPF, []string{bounce + `TXT "v=spf10 include:amazonses.com"`}, sending.Missing, "Add the one shown"},

		{"DMARC that only observes", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=none; rua=mailto:a@example.com"`}, sending.Right, "go on to p=quarantine"},
		{"DMARC without reports", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "v=DMARC1;p=none"`}, sending.Right, "rua=mailto:"},
		{"stricter DMARC", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=Reject; adkim=s; aspf=s; pct=100"`, `_dmarc.mail.example.com. TXT "else"`}, sending.Right, "stricter"},
		{"DMARC of the registered domain", sending.DMARC, []string{`_dmarc.example.com. TXT "v=DMARC1; p=quarantine"`}, sending.Right, "The policy of example.com"},
		{"two DMARC records", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=none"`, `_dmarc.mail.example.com. TXT "v=DMARC1; p=reject"`}, sending.Different, "none of them"},
		{"DMARC without policy", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "v=DMARC1; rua=mailto:a@example.com"`}, sending.Different, "no policy"},
		{"DMARC of an unknown policy", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "v=DMARC1; p=monitor"`}, sending.Different, "p=monitor"},
		{"DMARC with small letters", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "v=dmarc1; p=none"`}, sending.Different, "v=DMARC1;"},
		{"DMARC with the policy first", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "p=none; v=DMARC1"`}, sending.Different, "begin with"},
		{"DMARC with marks pasted", sending.DMARC, []string{`_dmarc.mail.example.com. TXT "\"v=DMARC1; p=none\""`}, sending.Different, "quotation marks"},
		{"DMARC doubled", sending.DMARC, []string{`_dmarc.mail.example.com.example.com. TXT "v=DMARC1; p=none"`}, sending.Different, "Enter _dmarc.mail as"},

		{"SPF of the domain with others", sending.SPF, []string{`mail.example.com. TXT "v=spf1 include:_spf.example.net include:amazonses.com ~all"`}, sending.Right, ""},
		{"SPF of the domain without us", sending.SPF, []string{`mail.example.com. TXT "v=spf1 redirect=_spf.example.net"`}, sending.Different, "include:amazonses.com redirect=_spf.example.net"},
	}
	dkim := record(t, good, sending.DKIM).Value
	_, key, _ := strings.Cut(dkim, "p=")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w.dns.Clear("")
			for _, kind := range append(required, sending.DMARC, sending.SPF) {
				if kind != c.kind {
					w.publish(good, kind)
				}
			}
			replace := strings.NewReplacer("QUOTED", record(t, good, c.kind).Quoted, "HALF1", key[:200], "HALF2", key[200:], "CUT", dkim[:255],
				"UPPER1", strings.ToUpper(key[:200]), "UPPER2", strings.ToUpper(key[200:]))
			for _, r := range c.records {
				name, rest, _ := strings.Cut(replace.Replace(r), " ")
				w.dns.Add(name + " 60 IN " + rest)
			}
			for _, bare := range []bool{false, true} {
				w.dns.LeaveAliases(bare)
				setup := w.check(t, "acme")
				f := record(t, setup, c.kind).Finding
				if f.State != c.state || !strings.Contains(f.Advice, c.advice) || (c.state == sending.Right || c.state == sending.Different) && len(f.Found) == 0 {
					t.Errorf("aliases left to the asker: %v: %+v", bare, f)
				}
				if r := record(t, setup, c.kind); f.Value != "" {
					w.dns.Clear(r.Name)
					w.publish(setup, c.kind)
					if c.kind == sending.BouncesSPF {
						w.publish(setup, sending.Bounces)
					}
					if setup = w.check(t, "acme"); record(t, setup, c.kind).Finding.State != sending.Right || r.Value != f.Value {
						t.Errorf("as told to be changed: %+v", record(t, setup, c.kind))
					}
					return
				}
				for _, r := range setup.Records {
					if r.Kind != c.kind && r.Finding.State != sending.Right {
						t.Errorf("%s: %+v", r.ID, r.Finding)
					}
				}
			}
		})
	}
}

func TestWhatCannotBeAskedIsToldAndChangesNothing(t *testing.T) {
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "example.com")
	w.publish(setup, required...)
	if setup = w.check(t, "acme"); setup.State != sending.Verified {
		t.Fatalf("%+v", setup)
	}
	name := record(t, setup, sending.DKIM).Name
	for code, want := range map[int]string{dns.RcodeServerFailure: "SERVFAIL", dns.RcodeRefused: "REFUSED", dns.RcodeNotImplemented: "NOTIMP"} {
		w.dns.Fail(name, code)
		setup = w.check(t, "acme")
		if f := record(t, setup, sending.DKIM).Finding; f.State != sending.Unanswered || !strings.Contains(f.Advice, want) || setup.State != sending.Verified {
			t.Errorf("%s: %+v, %s", want, f, setup.State)
		}
	}
	w.dns.Fail(name, dns.RcodeNameError)
	setup = w.check(t, "acme")
	if f := record(t, setup, sending.DKIM).Finding; f.State != sending.Missing || setup.State != sending.Failing {
		t.Errorf("no such name: %+v, %s", f, setup.State)
	}
	// Another domain, of which nothing was known before.
	setup = w.set(t, "globex", "example.net")
	w.publish(setup, sending.Bounces, sending.BouncesSPF)
	w.dns.Fail(record(t, setup, sending.DKIM).Name, dns.RcodeServerFailure)
	if setup = w.check(t, "globex"); setup.State != sending.Pending {
		t.Errorf("%+v", setup)
	}
}

func TestADomainThatDoesNotExistIsTold(t *testing.T) {
	w := newWorld(t, nil)
	w.set(t, "acme", "news.exmaple.com")
	w.dns.Add("example.com. 60 IN SOA ns.example.com. a.example.com. 1 1 1 1 1")
	if setup := w.check(t, "acme"); !strings.Contains(setup.Note, "exmaple.com does not exist") {
		t.Errorf("%+v", setup)
	}
	w.dns.Add("exmaple.com. 60 IN SOA ns.example.com. a.example.com. 1 1 1 1 1")
	if setup := w.check(t, "acme"); setup.Note != "" {
		t.Errorf("%+v", setup)
	}
}

func TestACheckAsksForTheDomainsRecordsAndNothingElse(t *testing.T) {
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "example.com")
	w.publish(setup, required...)
	// What a record names is not followed, unless as an alias by DNS.
	w.dns.Add(`example.com. 60 IN TXT "v=spf1 include:internal.example.net ~all"`, `_dmarc.example.com. 60 IN TXT "v=DMARC1; p=none; rua=mailto:a@10.0.0.1"`)
	w.check(t, "acme")
	asked := w.dns.Asked()
	if len(asked) > 8 {
		t.Errorf("%d questions: %q", len(asked), asked)
	}
	for _, q := range asked {
		if name, typ, _ := strings.Cut(q, " "); !strings.HasSuffix(name, "example.com.") || typ != "TXT" && typ != "MX" && typ != "SOA" {
			t.Errorf("asked for %s", q)
		}
	}
}

func TestACheckEndsInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "example.com")
	for _, r := range setup.Records {
		w.dns.Silence(r.Name)
	}
	start := time.Now()
	setup = w.check(t, "acme")
	if took := time.Since(start); took > 11*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, r := range setup.Records {
		if r.Finding.State != sending.Unanswered || !strings.Contains(r.Finding.Advice, "did not answer") {
			t.Errorf("%s: %+v", r.ID, r.Finding)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := w.Check(ctx, "acme"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request that is over: %v", err)
	}
}

func TestLongAnswersComeWhole(t *testing.T) {
	w := newWorld(t, nil)
	setup := w.set(t, "acme", "example.com")
	w.publish(setup, required...)
	for i := range 40 {
		w.dns.Add(fmt.Sprintf(`example.com. 60 IN TXT "verification-of-something-%d=%s"`, i, strings.Repeat("x", 150)))
	}
	w.publish(setup, sending.SPF)
	if f := record(t, w.check(t, "acme"), sending.SPF).Finding; f.State != sending.Right {
		t.Errorf("%+v", f)
	}
	w.dns.Clear("example.com")
	for i := range 40 {
		w.dns.Add(fmt.Sprintf(`example.com. 60 IN TXT "v=spf1 %d%s"`, i, strings.Repeat(`\200<script>\"\010`, 20)))
	}
	f := record(t, w.check(t, "acme"), sending.SPF).Finding
	if all := strings.Join(f.Found, ""); f.State != sending.Different || len(f.Found) != 7 || f.Found[6] != "and 34 more" ||
		strings.Contains(all, "\n") || !utf8.ValidString(all) {
		t.Errorf("%+v", f)
	}
}

func TestResolversAreIPAddresses(t *testing.T) {
	for _, server := range []string{"192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53"} {
		if _, err := sending.NewResolver(server); err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
	for _, server := range []string{"", "dns.example.com", "dns.example.com:53", "192.0.2.1:", "192.0.2.1:x", "[::1]"} {
		if _, err := sending.NewResolver(server); err == nil {
			t.Errorf("%q is taken", server)
		}
	}
	if _, err := sending.NewResolver(); err != nil {
		t.Errorf("of the system: %v", err)
	}
}
