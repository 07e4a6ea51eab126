package sending_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sending"
	"tenure/core/sending/dnstest"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

// publish adds the records of a setup as they are told, those of the kinds.
func (w *world) publish(setup *sending.Setup, kinds ...sending.Kind) {
	for _, r := range setup.Records {
		for _, k := range kinds {
			if r.Kind == k && r.Type == "MX" {
				w.dns.Add(r.Name + ". 60 IN MX 10 " + r.Quoted)
			} else if r.Kind == k {
				w.dns.Add(r.Name + ". 60 IN TXT " + r.Quoted)
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
	dns    *dnstest.Server
	clock  *clock
}

func newWorld(t *testing.T, provider sending.Provider) *world {
	t.Helper()
	w := &world{dns: dnstest.Start(t), clock: &clock{}}
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
	resolver, err := sending.NewResolver(w.dns.Address)
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
