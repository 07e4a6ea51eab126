package sending

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// questionTime bounds how long one server may take for one question.
	questionTime = 2 * time.Second
	// rounds is how often every server is asked.
	rounds = 2
	// maxServers is how many servers are asked, as other resolvers have it.
	maxServers = 3
	// maxAliases is how many CNAME records are followed.
	maxAliases = 8
	// datagram is the size of an answer that passes everywhere in one piece.
	datagram = 1232
	// resolvConf names the servers of the system.
	resolvConf = "/etc/resolv.conf"
)

// Resolver asks DNS servers, and connects to nothing else: neither to the servers of
// a domain nor to what its records name.
type Resolver struct{ servers []string }

// NewResolver returns a resolver that asks recursive servers, each an IP address
// with or without a port; those of the system when none is given.
func NewResolver(servers ...string) (*Resolver, error) {
	r := &Resolver{}
	for _, s := range servers {
		if a, err := netip.ParseAddr(s); err == nil {
			s = net.JoinHostPort(a.String(), "53")
		}
		if _, err := netip.ParseAddrPort(s); err != nil {
			return nil, fmt.Errorf("DNS server %q is not an IP address, with or without a port", s)
		}
		r.servers = append(r.servers, s)
	}
	if len(servers) > 0 {
		return r, nil
	}
	c, err := dns.ClientConfigFromFile(resolvConf)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(c.Servers) == 0 {
		return r, nil // which then says that there is nobody to ask
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", resolvConf, err)
	}
	for _, s := range c.Servers[:min(len(c.Servers), maxServers)] {
		r.servers = append(r.servers, net.JoinHostPort(s, c.Port))
	}
	return r, nil
}

// unanswered says, in a sentence for people, why a question has no answer.
type unanswered struct{ reason string }

func (u *unanswered) Error() string { return u.reason }

// answer is what DNS says of a name and a type.
type answer struct {
	// noName says that the name does not exist, with records of any type.
	noName bool
	// alias is where CNAME records led to; empty without one.
	alias string
	// texts are the values of TXT records, their strings joined.
	texts []string
	mx    []exchange
}

// exchange is an MX record; its host is in lower case, without the dot at its end.
type exchange struct {
	priority int
	host     string
}

// ask returns what DNS says. The error is *unanswered when it says nothing.
func (r *Resolver) ask(ctx context.Context, name string, qtype uint16) (answer, error) {
	var a answer
	at := dns.CanonicalName(name)
	for aliases := 0; aliases <= maxAliases; {
		reply, err := r.exchange(ctx, at, qtype)
		if err != nil {
			return answer{}, err
		}
		// A recursive server follows aliases itself; what it did not is followed here.
		before := aliases
		for next := aliasIn(reply, at); next != "" && aliases <= maxAliases; next = aliasIn(reply, at) {
			at, a.alias = next, strings.TrimSuffix(next, ".")
			aliases++
		}
		a.noName = reply.Rcode == dns.RcodeNameError
		for _, rr := range reply.Answer {
			if dns.CanonicalName(rr.Header().Name) != at {
				continue
			}
			switch rr := rr.(type) {
			case *dns.TXT:
				a.texts = append(a.texts, plain(strings.Join(rr.Txt, "")))
			case *dns.MX:
				a.mx = append(a.mx, exchange{int(rr.Preference), strings.TrimSuffix(dns.CanonicalName(rr.Mx), ".")})
			}
		}
		if aliases == before || len(a.texts)+len(a.mx) > 0 || a.noName {
			return a, nil
		}
	}
	return answer{}, &unanswered{fmt.Sprintf("%s is an alias (CNAME) that leads nowhere", name)}
}

func aliasIn(reply *dns.Msg, name string) string {
	for _, rr := range reply.Answer {
		if c, ok := rr.(*dns.CNAME); ok && dns.CanonicalName(c.Hdr.Name) == name {
			return dns.CanonicalName(c.Target)
		}
	}
	return ""
}

// exchange puts one question to the servers in turn until one answers it.
func (r *Resolver) exchange(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	if len(r.servers) == 0 {
		return nil, &unanswered{"There is no DNS server to ask: the operator of this deployment must set DNS_SERVER"}
	}
	var last error
	for range rounds {
		for _, server := range r.servers {
			reply, err := exchangeOnce(ctx, server, name, qtype)
			if ctx.Err() != nil {
				return nil, &unanswered{"DNS did not answer in time"}
			}
			if err == nil {
				return reply, nil
			}
			last = err
		}
	}
	return nil, last
}

// exchangeOnce puts one question to one server.
func exchangeOnce(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, qtype).SetEdns0(datagram, false)
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: questionTime}
		reply, _, err := client.ExchangeContext(ctx, question, server)
		if err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				return nil, &unanswered{fmt.Sprintf("The DNS server did not answer within %v", questionTime)}
			}
			return nil, &unanswered{"The DNS server could not be reached"}
		}
		if reply.Truncated && network == "udp" {
			continue // over TCP the whole answer comes
		}
		if q := reply.Question; len(q) != 1 || dns.CanonicalName(q[0].Name) != name || q[0].Qtype != qtype {
			return nil, &unanswered{"The DNS server answered another question"}
		}
		switch reply.Rcode {
		case dns.RcodeSuccess:
			if len(reply.Answer) == 0 && !reply.Authoritative && !reply.RecursionAvailable {
				return nil, &unanswered{"The DNS server does not look up names for others"}
			}
			return reply, nil
		case dns.RcodeNameError:
			return reply, nil
		case dns.RcodeServerFailure:
			return nil, &unanswered{"The name servers of the domain do not answer as they should (SERVFAIL): look at its delegation and its DNSSEC"}
		}
		return nil, &unanswered{fmt.Sprintf("The DNS server refused the question (%s)", dns.RcodeToString[reply.Rcode])}
	}
	return nil, &unanswered{"The answer of the DNS server was cut off"}
}

// plain returns a text as it is, from the form in which the DNS library has it:
// there a backslash stands before what is not printable, as three digits, and
// before quotation marks and backslashes.
func plain(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			c = text[i]
			if i+2 < len(text) && isDigit(c) && isDigit(text[i+1]) && isDigit(text[i+2]) {
				c = byte(int(c-'0')*100 + int(text[i+1]-'0')*10 + int(text[i+2]-'0'))
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
