// Package dnstest is a DNS server for tests: on loopback, over UDP and TCP, with
// what the test says.
package dnstest

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a recursive DNS server that knows only what it was given.
type Server struct {
	// Address is where it listens.
	Address string

	t testing.TB

	mu      sync.Mutex
	records map[string][]dns.RR // by name
	faults  map[string]int      // the code a name is answered with
	silent  map[string]bool     // names that get no answer
	bare    bool                // aliases are not followed for the asker
	asked   []string            // names and types, in order
}

// Start starts a server, which the end of the test stops.
func Start(t testing.TB) *Server {
	t.Helper()
	n := &Server{t: t, records: map[string][]dns.RR{}, faults: map[string]int{}, silent: map[string]bool{}}
	var packets net.PacketConn
	var listener net.Listener
	for range 20 { // both protocols need the same port
		var err error
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if listener, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			break
		}
		packets.Close()
	}
	if listener == nil {
		t.Fatal("no port is free")
	}
	n.Address = listener.Addr().String()
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: n}, {Listener: listener, Handler: n}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return n
}

// Add adds records in the form of zone files.
func (n *Server) Add(records ...string) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil || rr == nil {
			n.t.Fatalf("%s: %v", text, err)
		}
		name := dns.CanonicalName(rr.Header().Name)
		n.records[name] = append(n.records[name], rr)
	}
}

// Clear forgets all records of a name; of all names when it is empty.
func (n *Server) Clear(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == "" {
		clear(n.records)
	}
	delete(n.records, dns.CanonicalName(name))
}

// Fail has questions about a name answered with a code of failure.
func (n *Server) Fail(name string, code int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults[dns.CanonicalName(name)] = code
}

// Silence has questions about a name get no answer.
func (n *Server) Silence(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent[dns.CanonicalName(name)] = true
}

// LeaveAliases says whether the asker is left to follow aliases.
func (n *Server) LeaveAliases(leave bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bare = leave
}

// Asked returns the names and types that were asked for, in order.
func (n *Server) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

// ServeDNS answers a question.
func (n *Server) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := question.Question[0]
	name := dns.CanonicalName(q.Name)
	n.asked = append(n.asked, name+" "+dns.TypeToString[q.Qtype])
	if n.silent[name] {
		return
	}
	reply := new(dns.Msg).SetReply(question)
	reply.RecursionAvailable = true
	if code, ok := n.faults[name]; ok {
		reply.Rcode = code
		_ = w.WriteMsg(reply)
		return
	}
	for range 12 {
		next := ""
		for _, rr := range n.records[name] {
			if rr.Header().Rrtype == q.Qtype {
				reply.Answer = append(reply.Answer, rr)
			} else if c, ok := rr.(*dns.CNAME); ok {
				reply.Answer = append(reply.Answer, rr)
				next = dns.CanonicalName(c.Target)
			}
		}
		if next == "" || n.bare {
			break
		}
		name = next
	}
	if len(reply.Answer) == 0 && !n.exists(name) {
		reply.Rcode = dns.RcodeNameError
	}
	if w.RemoteAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if o := question.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		reply.Truncate(size)
	}
	_ = w.WriteMsg(reply)
}

func (n *Server) exists(name string) bool {
	for known := range n.records {
		if known == name || strings.HasSuffix(known, "."+name) {
			return true
		}
	}
	return false
}
