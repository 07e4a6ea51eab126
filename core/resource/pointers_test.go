package resource_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/conversations"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/schema"
	"tenure/core/statements"
	"tenure/core/table"
	"tenure/core/tickets"
)

// recording returns a table that knows all keys ever written through it.
func recording(t table.Table) *dying {
	return &dying{Table: t, at: 1 << 30, keys: map[table.Key]bool{}}
}

// stored returns everything that lies in a store, of all keys ever written, in
// partitions that begin with one of these.
func stored(t failer, store table.Table, keys map[table.Key]bool, partitions ...string) []table.Item {
	t.Helper()
	var wanted []table.Key
	for key := range keys {
		if slices.ContainsFunc(partitions, func(p string) bool { return strings.HasPrefix(key.Partition, p) }) {
			wanted = append(wanted, key)
		}
	}
	items, err := store.Get(t.Context(), wanted, true)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return slices.DeleteFunc(items, func(i table.Item) bool { return !i.Exists() })
}

// digestOf is what partitions are called by that belong to a text.
func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// pointersOf returns the pointers to the records of a family with ids of their
// own, as there are and as there should be: "partition id".
func pointersOf(t failer, store table.Table, keys map[table.Key]bool, f *resource.Family) (got, want []string) {
	t.Helper()
	name := "acme/" + f.Schema.Name
	text := func(id schema.Value) string { return strings.Trim(string(id), `"`) }
	for _, item := range stored(t, store, keys, name+".account/", name+".external_id/") {
		got = append(got, item.Partition+" "+text(item.Body))
	}
	for _, item := range stored(t, store, keys, name+"/") {
		if strings.HasPrefix(string(item.Body), `{"~removed"`) {
			continue
		}
		r := f.Schema.ParseStored(item.Body)
		want = append(want, name+".account/"+digestOf(r[f.Account].Text())+" "+text(r[f.ID]))
		if g := f.Generated; g != nil && !r[g.External].IsNull() {
			want = append(want, name+".external_id/"+digestOf(r[g.External].Text())+" "+text(r[f.ID]))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	return got, want
}

// interrupted is a table that does something else before a call.
type interrupted struct {
	table.Table
	mu     sync.Mutex
	calls  int
	before map[int]func() // the call's number, from 0
	// queries are calls too.
	queries bool
}

func (i *interrupted) call() {
	i.mu.Lock()
	do := i.before[i.calls]
	i.calls++
	i.mu.Unlock()
	if do != nil {
		do()
	}
}

func (i *interrupted) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	i.call()
	return i.Table.Get(ctx, keys, consistent)
}

func (i *interrupted) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	if i.queries {
		i.call()
	}
	return i.Table.Query(ctx, q)
}

func (i *interrupted) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	i.call()
	return i.Table.Write(ctx, ops, guard)
}

func (i *interrupted) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	i.call()
	return i.Table.Transact(ctx, ops, guard)
}

const (
	ticketText      = `{"ticket_id":%q,"account_id":%q,"state":"open","create_time":1,"subject":"s"}`
	statementText   = `{"invoice_id":%q,"account_id":%q,"start_date":1}`
	interactionText = `{"external_id":%q,"account_id":%q,"create_time":1,"type":"email"}`
)

// threeAccounts makes a1, a2 and a3.
func threeAccounts(t failer, e *resource.Engine) {
	t.Helper()
	for _, id := range []string{"a1", "a2", "a3"} {
		upload(t, e, accounts.Family, fmt.Sprintf(`{"account_id":%q,"name":"n","join_date":1}`, id))
	}
}

func target(f *resource.Family, id string) resource.Target {
	return resource.Target{Workspace: "acme", Family: f, ID: id}
}

func external(f *resource.Family, id string) resource.Target {
	return resource.Target{Workspace: "acme", Family: f, ID: id, External: true}
}

// attempt is a request of which nobody says whether it can be carried out.
type attempt struct {
	what string
	do   func(e *resource.Engine) error
}

func (a attempt) String() string { return a.what }

// attempts draws requests on a few records of a family with ids of their own,
// which end in suffix.
func attempts(f *resource.Family, suffix string) *rapid.Generator[attempt] {
	return rapid.Custom(func(t *rapid.T) attempt {
		id := rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "id") + suffix
		account := rapid.SampledFrom([]string{"a1", "a2", "a3"}).Draw(t, "account")
		modify := func(target resource.Target, patch string) attempt {
			return attempt{"PUT " + target.ID + patch, func(e *resource.Engine) error {
				_, _, err := e.Modify(context.Background(), resource.Modification{Target: target, Patch: patchOf(t, f, patch)})
				return err
			}}
		}
		post := func(text string) attempt {
			return attempt{"POST " + text, func(e *resource.Engine) error {
				_, err := e.Upload(context.Background(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, text)})
				return err
			}}
		}
		remove := func(target resource.Target) attempt {
			return attempt{"DELETE " + target.ID, func(e *resource.Engine) error {
				_, err := e.Remove(context.Background(), target)
				return err
			}}
		}
		kind := rapid.IntRange(0, 6).Draw(t, "kind")
		if f.Generated == nil {
			switch kind {
			case 0, 1:
				return remove(target(f, id))
			case 2:
				return modify(target(f, id), fmt.Sprintf(`{"account_id":%q}`, account))
			}
			return post(fmt.Sprintf(ticketText, id, account))
		}
		other := rapid.SampledFrom([]string{`"r1` + suffix + `"`, `"r2` + suffix + `"`, `"r3` + suffix + `"`, "null"}).Draw(t, "other")
		byID := func(of func(resource.Target) attempt) attempt {
			return attempt{"by id of " + id + ": " + of(target(f, "?")).what, func(e *resource.Engine) error {
				records, err := e.Read(context.Background(), external(f, id))
				if err != nil || len(records) == 0 {
					return err
				}
				return of(target(f, string(records[0][f.ID]))).do(e)
			}}
		}
		switch kind {
		case 0:
			return remove(external(f, id))
		case 1:
			return byID(remove)
		case 2:
			return byID(func(target resource.Target) attempt { return modify(target, fmt.Sprintf(`{"external_id":%s}`, other)) })
		case 3:
			return byID(func(target resource.Target) attempt {
				return post(fmt.Sprintf(`{"id":%s,"external_id":%s,"account_id":%q}`, target.ID, other, account))
			})
		case 4:
			patch := fmt.Sprintf(`{"account_id":%q,"create_time":1,"type":"t"}`, account)
			return attempt{"PUT external " + id + patch, func(e *resource.Engine) error {
				_, _, _, err := e.Put(context.Background(), resource.Modification{Target: external(f, id), Patch: patchOf(t, f, patch)})
				return err
			}}
		}
		return post(fmt.Sprintf(interactionText, id, account))
	})
}

// Whatever is uploaded, moved, removed and made again, and whoever gets in
// between, the pointers are those of the records that there are.
func TestPointersAreThoseOfTheRecords(t *testing.T) {
	for _, f := range []*resource.Family{tickets.Family, conversations.Interactions} {
		for _, shards := range []int{1, 16} {
			t.Run(fmt.Sprintf("%s on %d shards", f.Schema.Name, shards), func(t *testing.T) {
				w := newWorld(t, shards)
				threeAccounts(t, w.Engine)
				run := 0
				rapid.Check(t, func(t *rapid.T) {
					run++
					known, all := recording(w.store), attempts(f, fmt.Sprint("-", run))
					for range rapid.IntRange(1, 8).Draw(t, "requests") {
						over := &interrupted{Table: known, before: map[int]func(){}}
						for range rapid.IntRange(0, 3).Draw(t, "intruders") {
							intruder := all.Draw(t, "intruder")
							over.before[rapid.IntRange(0, 10).Draw(t, "before call")] = func() {
								if err := intruder.do(w.over(known)); err != nil {
									t.Fatalf("intruder: %v", err)
								}
							}
						}
						if err := all.Draw(t, "request").do(w.over(over)); err != nil {
							t.Fatalf("%v", err)
						}
						got, want := pointersOf(t, w.store, known.keys, f)
						if f.Generated != nil {
							// Who claimed an external id, and lost the record with it to another
							// account and then to another external id, leaves an idle pointer.
							got = slices.DeleteFunc(got, func(p string) bool {
								return strings.Contains(p, ".account/") && !slices.Contains(want, p)
							})
						}
						if !slices.Equal(got, want) {
							t.Fatalf("the pointers are\n%s, those of the records\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
						}
					}
				})
			})
		}
	}
}

// A writer that found no record wrote its pointers; before it writes the
// record, another one makes it and removes it, pointers and all. The pointers
// of what the first one writes then must be there.
func TestRecordMadeWhileAnotherOneOfItsIDWasRemovedHasItsPointers(t *testing.T) {
	for _, c := range []struct {
		f    *resource.Family
		text string
	}{{tickets.Family, ticketText}, {statements.Family, statementText}, {conversations.Notes, `{"external_id":%q,"account_id":%q,"create_time":1}`}} {
		t.Run(c.f.Schema.Name, func(t *testing.T) {
			w := newWorld(t, 1)
			threeAccounts(t, w.Engine)
			name := "acme/" + c.f.Schema.Name
			known := recording(w.store)
			once := false
			over := newGate(known, func(ops []table.Op, _ *table.Guard) bool {
				here := !once && slices.ContainsFunc(ops, func(op table.Op) bool { return strings.HasPrefix(op.Item.Partition, name+"/") })
				once = once || here
				return here
			})
			done := make(chan *resource.Result, 1)
			go func() {
				result, _ := w.over(over).Upload(context.Background(), resource.Upload{Workspace: "acme", Family: c.f,
					Records: inputs(c.f, fmt.Sprintf(c.text, "r1", "a1"))})
				done <- result
			}()
			<-over.arrived
			one := target(c.f, "r1")
			one.External = c.f.Generated != nil
			upload(t, w.over(known), c.f, fmt.Sprintf(c.text, "r1", "a1"))
			if failure, err := w.over(known).Remove(t.Context(), one); failure != nil || err != nil {
				t.Fatal(failure, err)
			}
			close(over.open)
			if result := <-done; result == nil || result.Inserted != 1 {
				t.Fatalf("%+v", result)
			}
			if got, want := pointersOf(t, w.store, known.keys, c.f); !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("the pointers are %q, those of the record %q", got, want)
			}
			if read(t, w.Engine, one) == "" {
				t.Error("the record cannot be read")
			}
			if records, failure, err := w.OfAccount(t.Context(), "acme", c.f, "a1", c.f.ID, false, true); len(records) != 1 || failure != nil || err != nil {
				t.Errorf("the account has %d records, %v, %v", len(records), failure, err)
			}
		})
	}
}

// Two changes of one upload that mean the same record, one by its id and one by
// its external id, while the record is removed: the second makes a new record,
// that is found by its external id.
func TestRecordRemovedUnderAnUploadThatNamesItTwice(t *testing.T) {
	f := conversations.Interactions
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	known := recording(w.store)
	upload(t, w.over(known), f, fmt.Sprintf(interactionText, "x", "a1"))
	id := idOf(t, w.Engine, f, "x")
	for call := range 10 {
		over := &interrupted{Table: known, before: map[int]func(){call: func() {
			if failure, err := w.over(known).Remove(context.Background(), external(f, "x")); failure != nil || err != nil {
				t.Error(failure, err)
			}
		}}}
		_, err := w.over(over).Upload(t.Context(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f,
			fmt.Sprintf(`{"id":%s,"account_id":"a1","subject":"by id"}`, id), fmt.Sprintf(interactionText, "x", "a2"))})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := pointersOf(t, w.store, known.keys, f); !slices.Equal(got, want) {
			t.Fatalf("removed before call %d: the pointers are %q, those of the records %q", call, got, want)
		}
		upload(t, w.over(known), f, fmt.Sprintf(interactionText, "x", "a1"))
		id = idOf(t, w.Engine, f, "x")
	}
}

// idOf returns the generated id of the record with that external id.
func idOf(t failer, e *resource.Engine, f *resource.Family, externalID string) string {
	t.Helper()
	records, err := e.Read(t.Context(), external(f, externalID))
	if err != nil || len(records) != 1 {
		t.Fatalf("%q leads to %d records, %v", externalID, len(records), err)
	}
	return string(records[0][f.ID])
}

// A record gets another external id while an upload that names it by the old
// one is under way: either the upload came first, or it makes a new record. The
// new external id stays in any case.
func TestExternalIDChangedUnderAnUploadThatNamesTheRecordByIt(t *testing.T) {
	f := conversations.Interactions
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	for call := range 10 {
		before, after := fmt.Sprint("before", call), fmt.Sprint("after", call)
		upload(t, w.Engine, f, fmt.Sprintf(interactionText, before, "a1"))
		id := idOf(t, w.Engine, f, before)
		over := &interrupted{Table: w.store, before: map[int]func(){call: func() {
			upload(t, w.Engine, f, fmt.Sprintf(`{"id":%s,"account_id":"a1","external_id":%q}`, id, after))
		}}}
		upload(t, w.over(over), f, fmt.Sprintf(interactionText, before, "a2"))
		if over.calls <= call {
			return
		}
		if got := idOf(t, w.Engine, f, after); got != id {
			t.Errorf("changed before call %d: the new external id leads to %s, want %s", call, got, id)
		}
	}
	t.Error("the upload took more calls than were put to the test")
}

// A record gets another external id while a removal by the old one is under way:
// whichever came first, the record that has the new one is there or was removed
// while it had the old one.
func TestExternalIDChangedUnderARemovalByIt(t *testing.T) {
	f := conversations.Interactions
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	for call := range 10 {
		before, after := fmt.Sprint("before", call), fmt.Sprint("after", call)
		upload(t, w.Engine, f, fmt.Sprintf(interactionText, before, "a1"))
		id := idOf(t, w.Engine, f, before)
		changed := false
		over := &interrupted{Table: w.store, before: map[int]func(){call: func() {
			record := fmt.Sprintf(`{"id":%s,"account_id":"a1","external_id":%q}`, id, after)
			result, err := w.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, record)})
			if err != nil {
				t.Fatal(err)
			}
			changed = result.Changed == 1
		}}}
		failure, err := w.over(over).Remove(t.Context(), external(f, before))
		if over.calls <= call {
			return
		}
		if err != nil || (failure != nil) != changed {
			t.Errorf("changed before call %d, %t: %v, %v", call, changed, failure, err)
		}
		if got := read(t, w.Engine, target(f, id)); (got != "") != changed {
			t.Errorf("changed before call %d, %t: the record is %q", call, changed, got)
		}
	}
	t.Error("the removal took more calls than were put to the test")
}

// A single read shows all entries kept beside a record, or none of them, when a
// long list of them is removed while it is read.
func TestReadIsWholeWhileEntriesAreRemoved(t *testing.T) {
	w := newWorld(t, 1)
	for call := range 12 {
		id := fmt.Sprint("a", call)
		upload(t, w.Engine, accounts.Family, fmt.Sprintf(`{"account_id":%q,"name":"n","join_date":1,%s}`, id, scores(1200, 1, 0, "c")))
		over := &interrupted{Table: w.store, queries: true, before: map[int]func(){call: func() {
			if failure, err := w.EraseBeside(t.Context(), account(id), ""); failure != nil || err != nil {
				t.Fatal(failure, err)
			}
		}}}
		text := read(t, w.over(over), account(id))
		if n := strings.Count(text, `"nps_score"`); n != 0 && n != 1200 {
			t.Errorf("removed before call %d: %d scores", call, n)
		}
		if over.calls <= call {
			return
		}
	}
	t.Error("the read took more calls than were put to the test")
}

// What belongs to an account is listed there, in order, and found by its id; a
// record of a family that moves is so under its new account.
func TestRecordsWithIDsOfTheirOwn(t *testing.T) {
	for _, shards := range []int{1, 16} {
		w := newWorld(t, shards)
		threeAccounts(t, w.Engine)
		ofAccount := func(f *resource.Family, account string) []string {
			t.Helper()
			records, failure, err := w.OfAccount(t.Context(), "acme", f, account, f.ID, false, true)
			if failure != nil || err != nil {
				t.Fatal(failure, err)
			}
			return ids(records, func(r schema.Record) string { return r[f.ID].Text() })
		}
		upload(t, w.Engine, tickets.Family, fmt.Sprintf(ticketText, "t2", "a1"), fmt.Sprintf(ticketText, "t1", "a1"), fmt.Sprintf(ticketText, "t3", "a2"))
		upload(t, w.Engine, tickets.Family, fmt.Sprintf(ticketText, "t1", "a2")) // moves (Q16)
		if a1, a2 := ofAccount(tickets.Family, "a1"), ofAccount(tickets.Family, "a2"); !slices.Equal(a1, []string{"t2"}) || !slices.Equal(a2, []string{"t1", "t3"}) {
			t.Errorf("a1 has %q, a2 %q", a1, a2)
		}
		upload(t, w.Engine, statements.Family, fmt.Sprintf(statementText, "i1", "a1"))
		result, err := w.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: statements.Family,
			Records: inputs(statements.Family, fmt.Sprintf(statementText, "i1", "a2"))})
		if err != nil || len(result.Failed) != 1 || result.Failed[0].Code != core.Conflicting || result.Failed[0].Field != "account_id" {
			t.Errorf("an invoice of another account: %+v, %v", result, err)
		}
		if a1, a2 := ofAccount(statements.Family, "a1"), ofAccount(statements.Family, "a2"); !slices.Equal(a1, []string{"i1"}) || len(a2) != 0 {
			t.Errorf("a1 has the invoices %q, a2 %q", a1, a2)
		}
		for range 2 {
			failure, err := w.Remove(t.Context(), target(tickets.Family, "t3"))
			if err != nil {
				t.Fatal(err)
			}
			if gone := read(t, w.Engine, target(tickets.Family, "t3")) == ""; !gone || !slices.Equal(ofAccount(tickets.Family, "a2"), []string{"t1"}) {
				t.Errorf("after its removal (%v) it is gone: %t", failure, gone)
			}
		}
		if failure, err := w.Remove(t.Context(), target(tickets.Family, "t3")); failure == nil || failure.Code != core.NotFound || err != nil { // Q12
			t.Errorf("removed twice: %v, %v", failure, err)
		}
		if result := upload(t, w.Engine, tickets.Family, fmt.Sprintf(ticketText, "t3", "a3")); result.Inserted != 1 {
			t.Errorf("made again: %+v", result)
		}
		if got := ofAccount(tickets.Family, "a3"); !slices.Equal(got, []string{"t3"}) {
			t.Errorf("a3 has %q", got)
		}
	}
}

// The pages of what an account has are those of the list as it stands, also
// when records have only changed their account since.
func TestPagesOfAnAccountFollowItsRecords(t *testing.T) {
	f := conversations.Notes
	const note = `{"external_id":"%04d","account_id":%q,"create_time":1}`
	w := newWorld(t, 16)
	threeAccounts(t, w.Engine)
	model := map[string]string{}
	var all []string
	for n := range 2100 {
		model[fmt.Sprintf("%04d", n)] = "a1"
		all = append(all, fmt.Sprintf(note, n, "a1"))
	}
	upload(t, w.Engine, f, all...)
	for round := range 4 {
		for _, descending := range []bool{false, true} {
			for _, account := range []string{"a1", "a2"} {
				var want []string
				for id, at := range model {
					if at == account {
						want = append(want, id)
					}
				}
				slices.SortFunc(want, func(a, b string) int { // as they were made
					if descending {
						a, b = b, a
					}
					return cmp.Compare(a, b)
				})
				for p := 2; p >= 0; p-- {
					l := resource.List{Workspace: "acme", Family: f, Account: account, Descending: descending, Page: p}
					got := ids(resourcetest.Page(t, w.Engine, l), func(r schema.Record) string { return r[f.Generated.External].Text() })
					from := min(p*resource.MaxPageSize, len(want))
					if part := want[from:min(from+resource.MaxPageSize, len(want))]; !slices.Equal(got, part) {
						t.Fatalf("round %d, %s, descending %t, page %d: %d records from %q, want %d from %q",
							round, account, descending, p, len(got), got[:min(1, len(got))], len(part), part[:min(1, len(part))])
					}
				}
			}
		}
		var moved []string
		for n := range 30 {
			model[fmt.Sprintf("%04d", n*60+round)] = "a2"
			moved = append(moved, fmt.Sprintf(note, n*60+round, "a2"))
		}
		upload(t, w.Engine, f, moved...)
	}
}

// weakly is a table that counts queries of an account's pointers that may miss
// what was written just before (Q25).
type weakly struct {
	table.Table
	queries int
}

func (w *weakly) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	if strings.Contains(q.Partition, ".account/") && !q.Consistent {
		w.queries++
	}
	return w.Table.Query(ctx, q)
}

func TestListsOfAnAccountSeeAWriteAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	over := &weakly{Table: w.store}
	resourcetest.Page(t, w.over(over), resource.List{Workspace: "acme", Family: conversations.Notes, Account: "a1"})
	if _, _, err := w.over(over).OfAccount(t.Context(), "acme", tickets.Family, "a1", tickets.Family.ID, false, true); err != nil {
		t.Fatal(err)
	}
	if over.queries > 0 {
		t.Errorf("%d queries may miss a write that was acknowledged", over.queries)
	}
}
