package sending_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tenure/core"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sending"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

// nameServer is a DNS server on loopback that answers what the test says.
type nameServer struct {
	t       *testing.T
	address string

	mu      sync.Mutex
	records map[string][]dns.RR // by name
	faults  map[string]int      // the code a name is answered with
	silent  map[string]bool     // names that get no answer
	bare    bool                // aliases are not followed for the asker
	asked   []string            // names and types, in order
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	n := &nameServer{t: t, records: map[string][]dns.RR{}, faults: map[string]int{}, silent: map[string]bool{}}
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
	n.address = listener.Addr().String()
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: n}, {Listener: listener, Handler: n}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return n
}

// add adds records in the form of zone files.
func (n *nameServer) add(records ...string) {
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

// clear forgets all records of a name; of all names when it is empty.
func (n *nameServer) clear(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == "" {
		clear(n.records)
	}
	delete(n.records, dns.CanonicalName(name))
}

func (n *nameServer) fail(name string, code int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults[dns.CanonicalName(name)] = code
}

func (n *nameServer) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
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

func (n *nameServer) exists(name string) bool {
	for known := range n.records {
		if known == name || strings.HasSuffix(known, "."+name) {
			return true
		}
	}
	return false
}

// publish adds the records of a setup as they are told, those of the kinds.
func (n *nameServer) publish(setup *sending.Setup, kinds ...sending.Kind) {
	n.t.Helper()
	for _, r := range setup.Records {
		for _, k := range kinds {
			if r.Kind == k && r.Type == "MX" {
				n.add(r.Name + ". 60 IN MX 10 " + r.Quoted)
			} else if r.Kind == k {
				n.add(r.Name + ". 60 IN TXT " + r.Quoted)
			}
		}
	}
}

var required = []sending.Kind{sending.DKIM, sending.Bounces, sending.BouncesSPF}

// clock is a time that moves when the test says so.
type clock struct{ ms atomic.Int64 }

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// world is a store with what it works with.
type world struct {
	*sending.Store
	table  table.Table
	sealer *secrets.Sealer
	dns    *nameServer
	clock  *clock
}

func newWorld(t *testing.T, provider sending.Provider) *world {
	t.Helper()
	w := &world{dns: newNameServer(t), clock: &clock{}}
	w.clock.ms.Store(1_700_000_000_000)
	store, err := embedded.Open(filepath.Join(t.TempDir(), "table"), embedded.Options{Now: w.clock.Now})
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
	w.table, w.sealer = store, secrets.New(keys)
	resolver, err := sending.NewResolver(w.dns.address)
	if err != nil {
		t.Fatal(err)
	}
	w.Store = sending.New(sending.Config{
		Table: store, Sealer: w.sealer, Resolver: resolver, Relay: sending.SES("eu-west-1"), Provider: provider, Now: w.clock.Now,
	})
	return w
}

func (w *world) set(t *testing.T, workspace, domain string) *sending.Setup {
	t.Helper()
	setup, err := w.Set(t.Context(), workspace, domain, "hello@"+domain)
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

func (w *world) check(t *testing.T, workspace string) *sending.Setup {
	t.Helper()
	setup, err := w.Check(t.Context(), workspace)
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

// record returns the record of a kind; of DKIM the one in use.
func record(t *testing.T, setup *sending.Setup, kind sending.Kind) sending.Record {
	t.Helper()
	for _, r := range setup.Records {
		if r.Kind == kind {
			return r
		}
	}
	t.Fatalf("no record of kind %s", kind)
	return sending.Record{}
}

// refused reports whether err is a failure with that code and field.
func refused(err error, code core.Code, field string) bool {
	failure, ok := errors.AsType[*core.Failure](err)
	return ok && failure.Code == code && failure.Field == field
}

// items returns all that is stored in a partition.
func (w *world) items(t *testing.T, partition string) []table.Item {
	t.Helper()
	items, err := w.table.Query(context.Background(), table.Query{Partition: partition, Limit: 100, Consistent: true})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// watching keeps the keys of what is read and written.
type watching struct {
	table.Table
	keys []table.Key
}

func (s *watching) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	s.keys = append(s.keys, keys...)
	return s.Table.Get(ctx, keys, consistent)
}

func (s *watching) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	for _, op := range ops {
		s.keys = append(s.keys, op.Item.Key)
	}
	return s.Table.Transact(ctx, ops, guard)
}
