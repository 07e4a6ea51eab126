package sending

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"tenure/core"
)

const (
	// maxDomain is the greatest length of a domain, in bytes: with the longest name
	// below it, that of a key, it still is a name of DNS.
	maxDomain = 253 - len("tenure99999._domainkey.")
	// maxLabel is the greatest length of one part of a name, in bytes.
	maxLabel = 63
	// maxFrom and maxLocal are the greatest lengths of an address and of what stands
	// before its @, in bytes.
	maxFrom, maxLocal = 254, 64
)

// reserved are the last parts of names that are never delegated to anybody, so
// that no mail of theirs can be verified. example and test are left for trying out.
var reserved = []string{"alt", "arpa", "internal", "invalid", "local", "localhost", "onion"}

// toASCII writes a name as DNS has it: in lower case, and what is beyond ASCII in
// punycode.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(true), idna.ValidateLabels(true))

// refuse returns the failure of a field.
func refuse(code core.Code, field, format string, values ...any) error {
	return &core.Failure{Code: code, Field: field, Message: fmt.Sprintf("'"+field+"' "+format, values...)}
}

// plainText reports whether a text is one line of printable text.
func plainText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// parseDomain returns a domain as DNS has it. A *core.Failure says what is wrong
// with it.
func parseDomain(text string) (string, error) {
	const field = "domain"
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", refuse(core.MissingField, field, "must be given, such as example.com")
	case !plainText(text) || strings.ContainsAny(text, " /:@?#*\"'<>,;\\"):
		return "", refuse(core.Malformed, field, "must be the name of a domain and nothing else, such as example.com")
	case len(text) > 4*maxDomain:
		return "", refuse(core.TooLong, field, "must not be longer than %d characters", maxDomain)
	}
	name, err := toASCII.ToASCII(strings.TrimSuffix(text, "."))
	name = strings.TrimSuffix(name, ".")
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	switch {
	case slices.ContainsFunc(labels, func(l string) bool { return len(l) > maxLabel }):
		return "", refuse(core.TooLong, field, "must not have a part between its dots that is longer than %d characters", maxLabel)
	case err != nil || slices.Contains(labels, "") || slices.ContainsFunc(labels, hasOuterHyphen):
		return "", refuse(core.Malformed, field, "must be the name of a domain, such as example.com: letters, digits and hyphens between dots")
	case len(name) > maxDomain:
		return "", refuse(core.TooLong, field, "must not be longer than %d characters", maxDomain)
	case len(labels) < 2 || strings.Trim(last, "0123456789") == "":
		return "", refuse(core.Malformed, field, "must be the whole name of a domain, such as example.com")
	case slices.Contains(reserved, last):
		return "", refuse(core.NotAChoice, field, "must be a domain that everybody can look up: names ending in .%s are not", last)
	}
	if _, err := publicsuffix.EffectiveTLDPlusOne(name); err != nil {
		return "", refuse(core.NotAChoice, field, "must be a domain of your own: %s is an ending below which everybody has theirs", name)
	}
	return name, nil
}

func hasOuterHyphen(label string) bool {
	return strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-")
}

// localPart is what may stand before the @ of an address.
var localPart = sync.OnceValue(func() *regexp.Regexp {
	const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
	return regexp.MustCompile(`^` + atom + `(\.` + atom + `)*$`)
})

// parseFrom returns an address of the domain. A *core.Failure says what is wrong
// with it.
func parseFrom(text, domain string) (string, error) {
	const field = "from"
	text = strings.TrimSpace(text)
	if text == "" {
		return "", refuse(core.MissingField, field, "must be given, such as hello@%s", domain)
	}
	at := strings.LastIndexByte(text, '@')
	if at < 0 || !plainText(text) || !localPart().MatchString(text[:at]) {
		return "", refuse(core.Malformed, field, "must be an e-mail address and nothing else, such as hello@%s", domain)
	}
	if at > maxLocal {
		return "", refuse(core.TooLong, field, "must not have more than %d characters before the @", maxLocal)
	}
	if host, err := toASCII.ToASCII(text[at+1:]); err != nil || host != domain {
		return "", refuse(core.Conflicting, field, "must be an address at %s, such as hello@%s", domain, domain)
	}
	if at+1+len(domain) > maxFrom {
		return "", refuse(core.TooLong, field, "must not be longer than %d characters", maxFrom)
	}
	return text[:at+1] + domain, nil
}

// zoneOf returns the domain that is registered, whose provider's forms append it to
// the names that are entered there.
func zoneOf(domain string) string {
	zone, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil { // which parseDomain has refused
		return domain
	}
	return zone
}

// shown returns a name as people write it.
func shown(name string) string {
	text, err := idna.Display.ToUnicode(name)
	if err != nil {
		return name
	}
	return text
}
