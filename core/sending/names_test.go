package sending_test

import (
	"strings"
	"testing"

	"tenure/core"
)

func TestDomainsAreValidated(t *testing.T) {
	w := newWorld(t, nil)
	long := strings.Repeat("a", 63)
	for text, code := range map[string]core.Code{
		"": core.MissingField, "  ": core.MissingField,
		"example": core.Malformed, "https://example.com": core.Malformed, "example.com/": core.Malformed, "hello@example.com": core.Malformed,
		"exa mple.com": core.Malformed, "example..com": core.Malformed, ".example.com": core.Malformed, "-a.example.com": core.Malformed,
		"a-.example.com": core.Malformed, "a_b.example.com": core.Malformed, "*.example.com": core.Malformed, "127.0.0.1": core.Malformed,
		"[::1]": core.Malformed, "example.com:53": core.Malformed, "xn--a.example.com": core.Malformed, "exam\nple.com": core.Malformed,
		"exam\x00ple.com": core.Malformed, "\xff.com": core.Malformed, "example.123": core.Malformed, "example.com, example.org": core.Malformed,
		"com": core.Malformed, "co.uk": core.NotAChoice, "github.io": core.NotAChoice, "公司.cn": core.NotAChoice,
		"localhost": core.Malformed, "db.localhost": core.NotAChoice, "printer.local": core.NotAChoice, "ip-10-0-0-1.ec2.internal": core.NotAChoice,
		"1.168.192.in-addr.arpa": core.NotAChoice, "hidden.onion": core.NotAChoice,
		long + "a.com": core.TooLong, strings.Repeat(long+".", 3) + strings.Repeat("b", 40) + ".com": core.TooLong, strings.Repeat("a", 5000): core.TooLong,
	} {
		if _, err := w.Set(t.Context(), "acme", text, "hello@example.com"); !refused(err, code, "domain") {
			t.Errorf("%.80q: %v", text, err)
		}
	}
	if setup, err := w.Get(t.Context(), "acme"); err != nil || setup.Domain != "" {
		t.Errorf("something was set up: %+v, %v", setup, err)
	}
}

func TestDomainsAreStoredAsDNSHasThem(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ text, from, domain, shown, zone string }{
		{" Example.COM. ", "Sales.Team+x@EXAMPLE.com", "example.com", "example.com", "example.com"},
		{"news.example.co.uk", "a@news.example.co.uk", "news.example.co.uk", "news.example.co.uk", "example.co.uk"},
		{"Bücher.example", "hallo@bücher.example", "xn--bcher-kva.example", "bücher.example", "xn--bcher-kva.example"},
		{"bücher。example", "hallo@xn--bcher-kva.example", "xn--bcher-kva.example", "bücher.example", "xn--bcher-kva.example"},
		{"faß.de", "x@faß.de", "xn--fa-hia.de", "faß.de", "xn--fa-hia.de"},
	} {
		setup, err := w.Set(t.Context(), "acme", c.text, c.from)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		local, _, _ := strings.Cut(c.from, "@")
		if setup.Domain != c.domain || setup.Shown != c.shown || setup.Zone != c.zone || setup.From != local+"@"+c.domain {
			t.Errorf("%q: %+v", c.text, setup)
		}
	}
}

func TestFromMustBeAnAddressOfTheDomain(t *testing.T) {
	w := newWorld(t, nil)
	for from, code := range map[string]core.Code{
		"": core.MissingField, "hello": core.Malformed, "@example.com": core.Malformed, "hello@": core.Conflicting,
		"Acme <hello@example.com>": core.Malformed, "a b@example.com": core.Malformed, `"a"@example.com`: core.Malformed, "a..b@example.com": core.Malformed,
		".a@example.com": core.Malformed, "hé@example.com": core.Malformed, "a\r\nBcc: x@example.com": core.Malformed, "a@b@example.com": core.Malformed,
		"hello@example.org": core.Conflicting, "hello@news.example.com": core.Conflicting, "hello@bounce.example.com": core.Conflicting,
		"hello@example.com.evil.test": core.Conflicting, "hello@evilexample.com": core.Conflicting,
		strings.Repeat("a", 65) + "@example.com": core.TooLong,
	} {
		if _, err := w.Set(t.Context(), "acme", "example.com", from); !refused(err, code, "from") {
			t.Errorf("%q: %v", from, err)
		}
	}
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3) + strings.Repeat("b", 40) + ".com"
	if _, err := w.Set(t.Context(), "acme", long, strings.Repeat("a", 64)+"@"+long); !refused(err, core.TooLong, "from") {
		t.Errorf("a long one: %v", err)
	}
	setup, err := w.Set(t.Context(), "acme", "example.com", strings.Repeat("a", 64)+"@example.com")
	if err != nil || len(setup.From) != 64+1+11 {
		t.Errorf("%+v, %v", setup, err)
	}
}
