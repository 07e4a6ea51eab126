package main

import (
	"net/http"
	"strings"
	"testing"

	"tenure/core/sending/dnstest"
	"tenure/localstack/browser"
)

// TestConsoleEmail sets up a domain as somebody does who has never seen the page,
// with what the page says to copy, in a DNS that makes mistakes at first.
func TestConsoleEmail(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]browser.Option{"with JavaScript": nil, "without JavaScript": {browser.WithoutScript}} {
		t.Run(name, func(t *testing.T) {
			server := dnstest.Start(t)
			server.Add("example.com. 60 IN SOA ns.example.com. a.example.com. 1 1 1 1 1")
			p := start(t, "DATA_DIR="+t.TempDir(), "DNS_SERVER="+server.Address, "AWS_REGION=eu-west-1")
			ann := &person{browser.Open(t, p.address, options...), "ann@example.com", "Ann Archer"}
			ann.join(p.adminLink("test"), "test")
			ann.open("E-mail")
			ann.See("From which domain this workspace sends")
			ann.Inspect("email-empty")

			ann.Allow(http.StatusUnprocessableEntity)
			ann.Fill("Domain", "https://example.com/")
			ann.Fill("Default “From” address", "hello@example.com")
			ann.Press("Set up the domain")
			ann.See("must be the name of a domain and nothing else")
			ann.Inspect("email-refused")
			ann.Fill("Domain", "example.com")
			ann.Fill("Default “From” address", "hello@example.org")
			ann.Press("Set up the domain")
			ann.See("must be an address at example.com")
			ann.Fill("Default “From” address", "hello@example.com")
			ann.Press("Set up the domain")
			ann.At("/admin/email")
			ann.See("The domain and address are saved", "Pending", "Not checked yet")
			ann.Inspect("email-set-up")

			// What is there to copy, by the names that a screen reader tells.
			if host := ann.In("article", "Return path").Value("Value"); host != "feedback-smtp.eu-west-1.amazonses.com" {
				t.Errorf("bounces go to %q", host)
			}
			dkim := ann.In("article", "DKIM key")
			value, short := dkim.Value("Value"), dkim.Value("Name, where example.com is appended")
			if !strings.HasPrefix(value, "v=DKIM1; k=rsa; p=") || short != "tenure1._domainkey" || dkim.Value("Whole name") != short+".example.com" {
				t.Errorf("%q %q", short, value)
			}
			dkim.Toggle("In strings of 255 characters of DKIM key")
			quoted := dkim.Value("Value in this form")

			server.Add(short+`.example.com. 60 IN TXT "`+value[:255]+`"`, "bounce.example.com.example.com. 60 IN MX 10 feedback-smtp.eu-west-1.amazonses.com.",
				`bounce.example.com. 60 IN TXT "v=spf1 include:amazonses.com ~all"`, `example.com. 60 IN TXT "v=spf1 include:_spf.example.net -all"`)
			ann.Press("Check now")
			ann.See("Failing", "Found, but different", "The key is cut off", "What is there now",
				"the provider appends example.com to names by itself. Enter bounce as the name", "v=spf1 include:_spf.example.net include:amazonses.com -all", "Missing")
			ann.At("/admin/email")
			ann.Inspect("email-different")

			server.Clear(short + ".example.com")
			server.Add(short+".example.com. 60 IN TXT "+quoted, "bounce.example.com. 60 IN MX 10 feedback-smtp.eu-west-1.amazonses.com.",
				`_dmarc.example.com. 60 IN TXT "v=DMARC1; p=reject"`)
			ann.Press("Check now")
			ann.See("Verified", "Everything that is needed is in place", "stricter than what we ask for")
			ann.Inspect("email-verified")

			ann.Toggle("Replace the key")
			ann.Press("Make the next key")
			ann.See("There is a next key", "tenure2", "Will be used once its record is found")
			next := ann.In("article", "Next DKIM key")
			next.Toggle("In strings of 255 characters of Next DKIM key")
			server.Add("tenure2._domainkey.example.com. 60 IN TXT " + next.Value("Value in this form"))
			ann.Inspect("email-next-key")
			ann.Press("Check now")
			ann.See("Former DKIM key", "Out of use; mail on its way was signed with it")

			for _, fault := range []string{"PRIVATE KEY", "private"} {
				if strings.Contains(ann.HTML(), fault) {
					t.Errorf("the page holds %q", fault)
				}
			}
			ann.Toggle("Remove example.com")
			ann.Inspect("email-removing")
			ann.Press("Remove the domain")
			ann.See("The domain is removed")
			ann.NotSee("tenure1")
			ann.Visit("/admin/audit")
			ann.See("email.set", "email.checked", "email.key_made", "email.removed", "example.com, from hello@example.com")
		})
	}
}

// TestConsoleEmailForViewers has somebody look who may change nothing.
func TestConsoleEmailForViewers(t *testing.T) {
	t.Parallel()
	p, ann := admin(t)
	ann.Visit("/admin/people")
	ann.Fill("E-mail address", "vic@example.com")
	ann.Choose("As", "viewer")
	ann.Press("Make the invitation")
	link := strings.TrimPrefix(ann.Value("Link"), p.address)
	vic := &person{ann.Another(), "vic@example.com", "Vic Viewer"}
	vic.Visit(link)
	vic.Fill("Your name", vic.name)
	vic.Fill("Password", testPassword)
	vic.Press("Join test")
	vic.Visit("/admin/email")
	vic.See("No domain is set up yet")
	vic.Inspect("email-empty-viewer")
	ann.Visit("/admin/email")
	ann.Fill("Domain", "bücher.example")
	ann.Fill("Default “From” address", "hallo@bücher.example")
	ann.Press("Set up the domain")
	ann.See("xn--bcher-kva.example")
	vic.Visit("/admin/email")
	vic.See("bücher.example", "hallo@xn--bcher-kva.example", "Not checked yet")
	for _, name := range []string{"Check now", "Save", "Make the next key", "Remove the domain"} {
		if vic.Has("button", name) {
			t.Errorf("a viewer has %q", name)
		}
	}
	vic.Inspect("email-viewer")
}
