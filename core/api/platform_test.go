package api_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table"
)

// watched is a table that notes the leases of the locks that are taken.
type watched struct {
	table.Table
	mu     sync.Mutex
	leases []time.Time
}

func (w *watched) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	for _, op := range ops {
		if strings.HasPrefix(op.Item.Partition, "~locks/") && !op.Delete {
			w.mu.Lock()
			w.leases = append(w.leases, time.UnixMilli(op.Item.Expires))
			w.mu.Unlock()
		}
	}
	return w.Table.Write(ctx, ops, guard)
}

// TestTheLeaseEndsWithTheFunction shows that the upload lock is leased for
// exactly as long as the upload can go on: to the instant at which the platform
// ends the function, or where there is none to the bound on the request (P13).
func TestTheLeaseEndsWithTheFunction(t *testing.T) {
	store := openStore(t)
	on := &watched{Table: store}
	keys := access.New(on, nil)
	if err := keys.EnsureWorkspace(t.Context(), "acme", testKey); err != nil {
		t.Fatal(err)
	}
	const bound = time.Hour
	var served []api.Served
	h, err := api.New(api.Config{
		Engine: resource.New(resource.Config{Table: on, Root: catalog.Root}), Access: keys, Timeout: bound,
		Served: func(_ context.Context, s api.Served) { served = append(served, s) },
	}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	post := func(ctx context.Context) time.Time {
		t.Helper()
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/v2/accounts", strings.NewReader(`{"records":[]}`))
		r.SetBasicAuth("api", testKey)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 || len(on.leases) == 0 {
			t.Fatalf("status %d, %d locks: %s", w.Code, len(on.leases), w.Body)
		}
		return on.leases[len(on.leases)-1]
	}
	near := func(got, want time.Time) bool { return got.Sub(want).Abs() < 5*time.Second }
	if got, want := post(t.Context()), time.Now().Add(bound); !near(got, want) {
		t.Errorf("without an end of the platform the lease ends at %v, want %v", got, want)
	}
	for _, left := range []time.Duration{29 * time.Second, 2 * bound} {
		end := time.Now().Add(left)
		ctx, cancel := context.WithDeadline(t.Context(), end)
		got := post(ctx)
		cancel()
		if d := end.Sub(got); d < 0 || d > 50*time.Millisecond {
			t.Errorf("the function ends at %v, the lease at %v", end, got)
		}
	}
	if len(served) != 3 || served[0].Records == nil || !served[0].Success {
		t.Errorf("%+v", served)
	}
}

// TestARequestThatPanicsIsToldOfAsAnError shows what Served is told when the
// program fails.
func TestARequestThatPanicsIsToldOfAsAnError(t *testing.T) {
	var served []api.Served
	h, err := api.New(api.Config{
		Engine: resource.New(resource.Config{Root: catalog.Root}), Access: access.New(nil, nil), Timeout: time.Minute,
		Served: func(_ context.Context, s api.Served) { served = append(served, s) },
	}, catalog.All())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/api/v2/accounts/a", nil)
	r.SetBasicAuth("api", testKey)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 500 || len(served) != 1 || served[0].Status != 500 || served[0].Success || served[0].Endpoint != "/accounts/{id}" {
		t.Errorf("status %d, %+v", w.Code, served)
	}
}
