package calls_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/calls"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

var families = []string{"accounts", "notes", "account_contacts"}

// clock is a clock that stands still until it is moved.
type clock struct{ ms atomic.Int64 }

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// counted is a table that counts writes.
type counted struct {
	table.Table
	ops atomic.Int64
}

func (c *counted) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	c.ops.Add(int64(len(ops)))
	return c.Table.Write(ctx, ops, guard)
}

// world is a log over an embedded store.
type world struct {
	*calls.Log
	testing.TB
	*clock
	store *embedded.Table
	on    *counted
}

func open(t testing.TB, expire bool) *world {
	t.Helper()
	c := &clock{}
	c.ms.Store(1_790_000_000_000)
	store, err := embedded.Open(t.TempDir(), embedded.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	on := &counted{Table: store}
	return &world{Log: calls.New(on, families, calls.Options{Now: c.Now, Expire: expire}), TB: t, clock: c, store: store, on: on}
}

func (w *world) record(workspace string, c calls.Call) {
	w.Helper()
	if err := w.Record(context.Background(), workspace, c); err != nil {
		w.Fatal(err)
	}
}

func (w *world) lastOf(workspace string, f calls.Filter, keyIDs ...string) []calls.Call {
	w.Helper()
	found, err := w.Last(context.Background(), workspace, keyIDs, f)
	if err != nil {
		w.Fatal(err)
	}
	return found
}

func upload(key string, success bool) calls.Call {
	c := calls.Call{Method: "POST", Endpoint: "/accounts", Family: "accounts", Kind: calls.Write, KeyID: key, Success: success, Status: 200,
		Records: &calls.Records{Received: 3, Inserted: 1, Changed: 1, Failed: 1}, DurationMS: 12.345, BodyBytes: 1234}
	if !success {
		c.Code, c.Field, c.Message = core.TooLong, "name", "'name' is too long"
	}
	return c
}

func get(key string) calls.Call {
	return calls.Call{Method: "GET", Endpoint: "/notes/{id}", Family: "notes", Kind: calls.Read, KeyID: key, Success: true, Status: 200, DurationMS: 0.5}
}

func TestACallIsReadAsItWasRecorded(t *testing.T) {
	w := open(t, true)
	c := upload("k1", false)
	c.Failures = []calls.Failure{{Record: 2, IDs: map[string]string{"account_id": "é\"<", "user_id": "u"}, Code: core.TooLong, Field: "name", Message: "'name' is too long"}}
	for _, c := range []calls.Call{upload("k1", true), c, get("k1"), {Method: "POST", Endpoint: "/accounts", Family: "accounts", Kind: calls.Read,
		KeyID: calls.CSV, DryRun: true, Status: 503, Message: "busy"}} {
		w.advance(time.Second)
		before := w.on.ops.Load()
		w.record("acme", c)
		if n := w.on.ops.Load() - before; n != 1 {
			t.Errorf("%d writes", n)
		}
		found := w.lastOf("acme", calls.Filter{}, "k1")
		if len(found) == 0 || found[0].Time != w.Now().UnixMilli() {
			t.Fatalf("%+v", found)
		}
		c.ID, c.Time = found[0].ID, found[0].Time
		one, ok, err := w.Get(t.Context(), "acme", c.ID)
		if want := fmt.Sprintf("%+v %+v", c, c.Records); err != nil || !ok || fmt.Sprintf("%+v %+v", one, one.Records) != replaced(want, c.Records, one.Records) {
			t.Errorf("%+v, %v, %v\nwant %s", one, ok, err, want)
		}
		c.Failures = nil
		if got := found[0]; fmt.Sprint(got.Failures, got.Message, got.Records) != fmt.Sprint(c.Failures, c.Message, c.Records) {
			t.Errorf("listed: %+v", found[0])
		}
	}
}

// replaced puts the address of one pointer in the place of another's in a text.
func replaced(text string, old, by *calls.Records) string {
	return strings.ReplaceAll(text, fmt.Sprintf("%p", old), fmt.Sprintf("%p", by))
}

func TestCallsOfOneInstantStayInTheirOrder(t *testing.T) {
	w := open(t, true)
	for i := range 50 {
		c := get([]string{"a", "b", "c"}[i%3])
		c.Status = i
		w.record("acme", c)
	}
	found := w.lastOf("acme", calls.Filter{}, "a", "b", "c")
	ids := map[string]bool{}
	for i, c := range found {
		ids[c.ID] = true
		if c.Status != 49-i {
			t.Errorf("the call at %d is %d", i, c.Status)
		}
	}
	if len(ids) != 50 {
		t.Errorf("%d ids", len(ids))
	}
}

func TestAnIDOfAnotherWorkspaceNeverResolves(t *testing.T) {
	w := open(t, true)
	w.record("acme", upload("k1", true))
	id := w.lastOf("acme", calls.Filter{}, "k1")[0].ID
	if _, ok, err := w.Get(t.Context(), "acme", id); err != nil || !ok {
		t.Fatalf("%v, %v", ok, err)
	}
	if found := w.lastOf("other", calls.Filter{}, "k1"); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	sort, rest, _ := strings.Cut(id, ".")
	for _, forged := range []string{
		id, "", ".", "...", id + ".x", strings.ToUpper(id), sort, sort + ".w.accounts", sort + ".w.accounts.", sort + ".x.accounts.k1", sort + ".w.people.k1",
		sort + ".w.accounts./../../../acme/calls/k1", sort + ".w.accounts.k1/accounts/w/../../../acme", sort + "." + rest + "\x00", "../" + id,
		strings.Repeat("/", len(sort)) + "." + rest, strings.Repeat("a", 3000) + "." + rest, sort + ".w.accounts." + strings.Repeat("a", 3000),
	} {
		if c, ok, err := w.Get(t.Context(), "other", forged); ok {
			t.Errorf("%.100q: %+v, %v", forged, c, err)
		}
	}
}

func TestFiltersChooseAmongTheLastCalls(t *testing.T) {
	w := open(t, true)
	w.record("acme", upload("k1", true))
	w.record("acme", upload("k2", false))
	w.record("acme", get("k2"))
	yes, no := true, false
	for want, f := range map[string]calls.Filter{
		"GET POST POST": {}, "GET POST": {Success: &yes}, "POST": {Success: &no}, "POST POST": {Endpoint: "/accounts"},
		"GET": {Kind: calls.Read}, "GET POST ": {KeyID: "k2"}, "": {KeyID: "k1", Kind: calls.Read}, "POST ": {Kind: calls.Write, KeyID: "k1"},
	} {
		var methods []string
		for _, c := range w.lastOf("acme", f, "k1", "k2") {
			methods = append(methods, c.Method)
		}
		if got := strings.Join(methods, " "); got != strings.TrimSpace(want) {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
}

// TestItemsStaySmall holds that a call takes one unit of writing, and one with
// failures few, whatever failed and however often.
func TestItemsStaySmall(t *testing.T) {
	w := open(t, true)
	size := func(c calls.Call) int {
		t.Helper()
		op, err := w.Op("a-workspace-of-sixty-three-characters-which-is-as-many-as-it-has-", w.Now(), c)
		if err != nil {
			t.Fatal(err)
		}
		return len(op.Item.Partition) + len(op.Item.Sort) + len(op.Item.Body) + 40 // with the names of attributes
	}
	c := upload(strings.Repeat("f", 64), false)
	c.Family, c.Endpoint = "account_contacts", "/account_contacts/{id}/{account_id}/and/as/long/as/a/path/will/ever/be"
	if n := size(c); n > 1024 {
		t.Errorf("a call takes %d bytes", n)
	}
	alike := make([]calls.Failure, 600_000)
	for i := range alike {
		alike[i] = calls.Failure{Record: i, IDs: map[string]string{"account_id": fmt.Sprint("account-", i)}, Code: core.MissingField, Field: "name",
			Message: "Missing required field for insert: 'name'"}
	}
	c.Failures, c.Records.Failed = alike, len(alike)
	if n := size(c); n > 2048 {
		t.Errorf("a call of which 100 records failed alike takes %d bytes", n)
	}
	different := make([]calls.Failure, 100)
	random := rand.New(rand.NewPCG(1, 0))
	text := func(n int) string {
		b := make([]rune, n)
		for i := range b {
			b[i] = 0x10000 + random.Int32N(0xffff)
		}
		return string(b)
	}
	for i := range different {
		different[i] = calls.Failure{Record: i, IDs: map[string]string{"account_id": text(256), "user_id": text(256)}, Code: core.TooLong, Message: text(1000)}
	}
	c.Failures, c.Message = different, text(100_000)
	if n := size(c); n > 8<<10 {
		t.Errorf("the largest call takes %d bytes", n)
	}
	w.record("acme", c)
	one, _, err := w.Get(t.Context(), "acme", w.lastOf("acme", calls.Filter{}, c.KeyID)[0].ID)
	if err != nil || len(one.Failures) < 1 || one.Failures[0].IDs["account_id"] != different[0].IDs["account_id"] {
		t.Errorf("%d failures, %v", len(one.Failures), err)
	}
}

func TestTheFirstFailuresAreKeptAndTheRestIsCounted(t *testing.T) {
	w := open(t, true)
	rapid.Check(t, func(t *rapid.T) {
		c := upload("k", false)
		n := rapid.IntRange(0, 150).Draw(t, "failures")
		for i := range n {
			c.Failures = append(c.Failures, calls.Failure{Record: i, IDs: map[string]string{"account_id": rapid.StringN(0, 30, -1).Draw(t, "id")},
				Code: core.TooLong, Message: rapid.StringN(0, 60, -1).Draw(t, "message")})
		}
		c.Records.Failed = n
		w.record("acme", c)
		one, ok, err := w.Get(context.Background(), "acme", w.lastOf("acme", calls.Filter{}, "k")[0].ID)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		kept := len(one.Failures)
		if kept > calls.MaxFailures || kept+one.FailuresLeftOut() != n || n > 0 && kept == 0 || n <= 10 && kept != n {
			t.Fatalf("%d of %d kept, %d left out", kept, n, one.FailuresLeftOut())
		}
		if want := fmt.Sprint(c.Failures[:kept]); fmt.Sprint(one.Failures) != want {
			t.Fatalf("kept %v\nwant %s", one.Failures, want)
		}
	})
}

// kept is what a model of the log knows of a call.
type kept struct {
	number  int
	key     string
	family  string
	success bool
	read    bool
}

// TestTheLast1000AreKeptExactly has weeks go by, with calls now many and now
// none, the log tidied once a day (or missed for a day now and then), and what
// has expired swept away; the last 1000 must be there at every time, and the
// newest of each kind, and little else for long.
func TestTheLast1000AreKeptExactly(t *testing.T) {
	for name, expire := range map[string]bool{"where calls expire": true, "where they do not": false} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				random := rand.New(rand.NewPCG(seed, 0))
				w := open(t, expire)
				keys := []string{"k1", "k2", calls.CSV}
				var all []kept
				for day := range 21 {
					var ops []table.Op
					for range []int{0, 0, 0, 1, 40, 400, 1500}[random.IntN(7)] {
						w.advance(time.Second)
						k := kept{number: len(all), key: keys[random.IntN(3)], family: families[random.IntN(3)], success: random.IntN(5) > 0, read: random.IntN(3) == 0}
						c := calls.Call{KeyID: k.key, Family: k.family, Success: k.success, Kind: calls.Write, Status: k.number}
						if k.read {
							c.Kind = calls.Read
						}
						op, err := w.Op("acme", w.Now(), c)
						if err != nil {
							t.Fatal(err)
						}
						ops, all = append(ops, op), append(all, k)
					}
					if err := errors.Join(w.store.Write(t.Context(), ops, nil)...); err != nil {
						t.Fatal(err)
					}
					if day%5 != 4 {
						if err := w.Tidy(t.Context(), "acme", keys[:2]); err != nil {
							t.Fatal(err)
						}
					}
					if _, err := w.store.Sweep(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.check(keys, all)
					w.advance(24 * time.Hour)
				}
				if !expire {
					w.advance(365 * 24 * time.Hour) // switched off
					w.check(keys, all)
				}
			}
		})
	}
}

func (w *world) check(keys []string, all []kept) {
	w.Helper()
	found := w.lastOf("acme", calls.Filter{}, keys...)
	if len(found) != min(calls.Kept, len(all)) {
		w.Fatalf("%d calls of %d", len(found), len(all))
	}
	for i, c := range found {
		want := all[len(all)-1-i]
		if c.Status != want.number || c.KeyID != want.key || c.Family != want.family || c.Success != want.success || (c.Kind == calls.Read) != want.read {
			w.Fatalf("the call at %d is %+v, want %+v", i, c, want)
		}
	}
	fresh, err := w.Freshness(context.Background(), "acme", keys)
	if err != nil {
		w.Fatal(err)
	}
	newest := map[string]int{}
	for _, k := range all {
		if !k.read {
			newest[fmt.Sprint(k.family, k.success)] = k.number
		}
	}
	n := 0
	for _, f := range fresh {
		for _, c := range []*calls.Call{f.Success, f.Failure} {
			if c == nil {
				continue
			}
			n++
			if want, ok := newest[fmt.Sprint(f.Family, c.Success)]; !ok || c.Status != want {
				w.Fatalf("the newest of %s is %+v, want %d", f.Family, c, want)
			}
		}
	}
	if n != len(newest) {
		w.Fatalf("%d newest writes, want %d", n, len(newest))
	}
}

func TestABusyWorkspacePaysNothingForTidying(t *testing.T) {
	w := open(t, true)
	for range 10 {
		var ops []table.Op
		for range 1200 {
			op, err := w.Op("acme", w.Now(), get("k"))
			if err != nil {
				t.Fatal(err)
			}
			ops = append(ops, op)
			w.advance(time.Minute)
		}
		if err := errors.Join(w.store.Write(t.Context(), ops, nil)...); err != nil {
			t.Fatal(err)
		}
		if err := w.Tidy(t.Context(), "acme", []string{"k"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.on.ops.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestWithoutExpiryNoMoreThanTheLast1000Stay(t *testing.T) {
	w := open(t, false)
	var ops []table.Op
	for i := range 5000 {
		c := get("k1")
		if i == 0 {
			c = upload("k2", true)
		}
		op, err := w.Op("acme", w.Now(), c)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	if err := errors.Join(w.store.Write(t.Context(), ops, nil)...); err != nil {
		t.Fatal(err)
	}
	if err := w.Tidy(t.Context(), "acme", []string{"k1", "k2"}); err != nil {
		t.Fatal(err)
	}
	items, err := w.store.Query(t.Context(), table.Query{Partition: "acme/calls/k1/notes/r", Limit: 5000})
	if err != nil || len(items) != calls.Kept {
		t.Errorf("%d stay, %v", len(items), err)
	}
	// But when a key was last used is known for good.
	if used, err := w.LastUsed(t.Context(), "acme", []string{"k1", "k2", "never"}); err != nil || len(used) != 2 || used["k2"] >= used["k1"]+1 {
		t.Errorf("%v, %v", used, err)
	}
	if found := w.lastOf("acme", calls.Filter{}, "k1", "k2"); len(found) != calls.Kept || found[999].KeyID != "k1" {
		t.Errorf("%d calls", len(found))
	}
}

func TestTidyingIsDueOnceADay(t *testing.T) {
	w := open(t, true)
	for day := range 3 {
		var due atomic.Int64
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if is, err := w.Due(t.Context(), "acme"); err != nil {
					t.Error(err)
				} else if is {
					due.Add(1)
				}
			})
		}
		group.Wait()
		if due.Load() != 1 {
			t.Errorf("day %d: due %d times", day, due.Load())
		}
		w.advance(24 * time.Hour)
	}
}

func TestSpansCountEveryCallOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMilli(1_790_000_000_000)
		var all []calls.Call
		reach := rapid.SampledFrom([]int64{1, 1000, 100_000, 10_000_000, 1_000_000_000, 1_000_000_000_000}).Draw(t, "reach")
		for range rapid.IntRange(0, 50).Draw(t, "n") {
			all = append(all, calls.Call{Time: now.UnixMilli() - rapid.Int64Range(0, reach).Draw(t, "ago"), Success: rapid.Bool().Draw(t, "ok")})
		}
		width, spans := calls.Spans(all, now)
		n, failures := 0, 0
		for i, s := range spans {
			n, failures = n+s.Calls, failures+s.Failures
			if i > 0 && s.Start-spans[i-1].Start != width.Milliseconds() {
				t.Fatalf("spans %v", spans)
			}
			for _, c := range all {
				if c.Time >= s.Start && c.Time < s.Start+width.Milliseconds() {
					n--
				}
			}
		}
		if n != 0 || len(spans) > 60 || len(all) > 0 && spans[len(spans)-1].Start > now.UnixMilli() {
			t.Fatalf("%d over, %d spans of %v", n, len(spans), width)
		}
		if failed := len(slices.DeleteFunc(all, func(c calls.Call) bool { return c.Success })); failed != failures {
			t.Fatalf("%d failures, want %d", failures, failed)
		}
	})
}
