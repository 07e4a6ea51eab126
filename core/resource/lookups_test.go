package resource_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/schema"
	"tenure/core/table"
	"tenure/core/tickets"
)

// lookedUp returns a family like f whose records are looked up by those fields.
func lookedUp(f *resource.Family, fields ...string) *resource.Family {
	like := *f
	like.Lookups = nil
	if len(like.Orders) == 0 { // so that they can be listed
		like.Orders = []resource.Order{{Name: "id", Fields: []int{f.ID}}}
	}
	for _, name := range fields {
		like.Lookups = append(like.Lookups, f.Schema.Ordinal(name))
	}
	return &like
}

var (
	// bySubject are tickets, which move and are removed, with two lookups.
	bySubject = lookedUp(tickets.Family, "subject", "assignee_email")
	crmID     = accounts.Family.Schema.Ordinal("crm_account_id")
	email     = people.Users.Schema.Ordinal("email")
)

// lookUp returns what a lookup finds: "account/id", with a mark where inactive.
func lookUp(t failer, e *resource.Engine, f *resource.Family, field int, value string) []string {
	t.Helper()
	found, err := e.Lookup(t.Context(), "acme", f, field, []string{value})
	if err != nil {
		t.Fatalf("looking up %q: %v", value, err)
	}
	return ids(found[value], shownFound)
}

func shownFound(found resource.Found) string {
	text := found.Account + "/" + found.ID
	if found.Inactive {
		text += " inactive"
	}
	return text
}

// values that a lookup may be asked for: some are the same but for their case.
var soughtValues = []string{"A@x.de", "a@X.de", " a@x.de ", "ß@x.de", "SS@x.de", "", " "}

// sameSought reports whether two values of a field are found by each other.
func sameSought(f *resource.Family, field int, a, b string) bool {
	if !f.Schema.Fields[field].Email {
		return a == b
	}
	a, b = strings.ReplaceAll(a, "ß", "ss"), strings.ReplaceAll(b, "ß", "ss")
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// changes draws requests on a few records of f, some of which cannot be carried
// out.
func changes(f *resource.Family, suffix string) *rapid.Generator[attempt] {
	return rapid.Custom(func(t *rapid.T) attempt {
		account := rapid.SampledFrom([]string{"a1", "a2", "a3"}).Draw(t, "account")
		id := rapid.SampledFrom([]string{"r1", "r2", "r3"}).Draw(t, "id") + suffix
		if f == accounts.Family {
			account = id
		}
		record := map[int]string{f.ID: id, f.Account: account}
		fields := []string{fmt.Sprintf(`%q:%q,%q:%q`, f.Schema.Fields[f.ID].Name, id, f.Schema.Fields[f.Account].Name, record[f.Account])}
		if f == accounts.Family {
			fields = []string{fmt.Sprintf(`"account_id":%q`, id)}
		}
		switch f {
		case accounts.Family:
			fields = append(fields, `"name":"n","join_date":1`)
			if n := rapid.SampledFrom([]int{0, 0, 0, 2, 120}).Draw(t, "scores"); n > 0 {
				fields = append(fields, scores(n, 1, int64(rapid.IntRange(0, 3).Draw(t, "first")), "c"))
			}
			fields = append(fields, fmt.Sprintf(`"is_deleted":%t`, rapid.Bool().Draw(t, "deleted")))
		case people.Users:
			fields = append(fields, `"first_name":"A","last_name":"B"`, fmt.Sprintf(`"is_active":%t`, rapid.Bool().Draw(t, "active")))
		default:
			fields = append(fields, `"state":"open","create_time":1`)
		}
		for _, i := range f.Lookups {
			value := rapid.SampledFrom(append([]string{"null", "-"}, soughtValues...)).Draw(t, "value")
			switch {
			case value == "-": // stays as it is
			case value == "null":
				fields = append(fields, fmt.Sprintf(`%q:null`, f.Schema.Fields[i].Name))
			default:
				fields = append(fields, fmt.Sprintf(`%q:%q`, f.Schema.Fields[i].Name, value))
			}
		}
		text := "{" + strings.Join(fields, ",") + "}"
		if f == bySubject && rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			return attempt{"DELETE " + id, func(e *resource.Engine) error {
				_, err := e.Remove(context.Background(), target(f, id))
				return err
			}}
		}
		return attempt{"POST " + text, func(e *resource.Engine) error {
			_, err := e.Upload(context.Background(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, text)})
			return err
		}}
	})
}

// checkLookups compares what lookups, and lists that ask for equality, find with
// the records there are, of all keys ever written.
func checkLookups(t failer, w *world, f *resource.Family, keys map[table.Key]bool) {
	t.Helper()
	var records []schema.Record
	for _, item := range stored(t, w.store, keys, "acme/"+f.Schema.Name+"/") {
		if strings.HasPrefix(string(item.Body), `{"~removed"`) {
			continue
		}
		r := f.Schema.ParseStored(item.Body)
		known, err := w.Read(t.Context(), resource.Target{Workspace: "acme", Family: f, ID: r[f.ID].Text(), Account: r[f.Account].Text()})
		if err != nil || len(known) != 1 { // which settles what is pending
			t.Fatalf("%s: %d records, %v", item.Sort, len(known), err)
		}
		records = append(records, known[0])
	}
	for _, i := range f.Lookups {
		found, err := w.Lookup(t.Context(), "acme", f, i, soughtValues)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, value := range soughtValues {
			want, exactly := []string{}, []string{}
			for _, r := range records {
				if r[i].IsNull() || !sameSought(f, i, r[i].Text(), value) {
					continue
				}
				inactive := f.HiddenFrom != nil && f.HiddenFrom(r) != 0
				id := r[f.Account].Text() + "/" + r[f.ID].Text()
				if r[i].Text() == value {
					exactly = append(exactly, id)
				}
				if inactive {
					id += " inactive"
				}
				want = append(want, id)
			}
			if f.Schema.Fields[i].Email && strings.TrimSpace(value) == "" {
				want = []string{} // nobody is found by no address
			}
			got := ids(found[value], shownFound)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%s %q leads to %q, want %q", f.Schema.Fields[i].Name, value, got, want)
			}
			got = ids(resourcetest.Page(t, w.Engine, resource.List{Workspace: "acme", Family: f, Inactive: true,
				Filter: equalTo(f, f.Schema.Fields[i].Name, schema.Text(value))}), func(r schema.Record) string { return r[f.Account].Text() + "/" + r[f.ID].Text() })
			slices.Sort(exactly)
			slices.Sort(got)
			if !slices.Equal(got, exactly) {
				t.Fatalf("%s = %q lists %q, want %q", f.Schema.Fields[i].Name, value, got, exactly)
			}
		}
	}
}

// Whatever is uploaded, changed, moved, removed and made again, and whoever gets
// in between, lookups find the records that have the value.
func TestLookupsFindTheRecordsThatHaveTheValue(t *testing.T) {
	for shards, f := range map[int]*resource.Family{1: people.Users, 2: accounts.Family, 16: bySubject} {
		t.Run(f.Schema.Name, func(t *testing.T) {
			w := newWorld(t, shards)
			threeAccounts(t, w.Engine)
			run := 0
			rapid.Check(t, func(t *rapid.T) {
				run++
				known, all := recording(w.store), changes(f, fmt.Sprint("-", run))
				for range rapid.IntRange(1, 6).Draw(t, "requests") {
					over := &interrupted{Table: known, before: map[int]func(){}}
					for range rapid.IntRange(0, 3).Draw(t, "intruders") {
						intruder := all.Draw(t, "intruder")
						over.before[rapid.IntRange(0, 12).Draw(t, "before call")] = func() {
							if err := intruder.do(w.over(known)); err != nil {
								t.Fatalf("intruder: %v", err)
							}
						}
					}
					if err := all.Draw(t, "request").do(w.over(over)); err != nil {
						t.Fatalf("%v", err)
					}
					checkLookups(t, w, f, known.keys)
				}
				withoutValues(t, w, f, known.keys) // which all runs share
			})
		})
	}
}

// withoutValues takes their values from all records of f.
func withoutValues(t failer, w *world, f *resource.Family, keys map[table.Key]bool) {
	t.Helper()
	for _, item := range stored(t, w.store, keys, "acme/"+f.Schema.Name+"/") {
		if f == bySubject {
			r := f.Schema.ParseStored(item.Body)
			if _, err := w.Remove(t.Context(), target(f, item.Sort)); err != nil {
				t.Fatalf("%s: %v", r[f.ID], err)
			}
			continue
		}
		r := f.Schema.ParseStored(item.Body)
		var none []string
		for _, i := range f.Lookups {
			none = append(none, fmt.Sprintf(`%q:null`, f.Schema.Fields[i].Name))
		}
		if f != accounts.Family {
			none = append(none, fmt.Sprintf(`"account_id":%s`, r[f.Account]))
		}
		upload(t, w.Engine, f, fmt.Sprintf(`{%q:%s,%s}`, f.Schema.Fields[f.ID].Name, r[f.ID], strings.Join(none, ",")))
	}
}

// What holds of a single value and of the lists that ask for it.
func TestLookupsOfSharedValues(t *testing.T) {
	const all = 2300
	f := people.Users
	w := newWorld(t, 16)
	threeAccounts(t, w.Engine)
	var records, want []string
	for n := range all {
		records = append(records, fmt.Sprintf(`{"account_id":"a%d","user_id":"%04d","first_name":"A","last_name":"B","email":"Shared@x.de","is_active":%t}`, n%3+1, n, n%10 != 0))
		if n%10 != 0 {
			want = append(want, fmt.Sprintf("%04d", n))
		}
	}
	upload(t, w.Engine, f, records[:700]...)
	upload(t, w.Engine, f, records[700:]...)
	t.Run("up to a thousand are found", func(t *testing.T) {
		found := lookUp(t, w.Engine, f, email, "shared@X.DE")
		slices.Sort(found)
		if len(slices.Compact(found)) != resource.MaxFound {
			t.Errorf("%d are found", len(found))
		}
	})
	t.Run("pages of a search are in the order of ids", func(t *testing.T) {
		for _, descending := range []bool{false, true} {
			if descending {
				slices.Reverse(want)
			}
			for _, page := range []int{2, 0, 1, 2, 3} {
				l := resource.List{Workspace: "acme", Family: f, Descending: descending, Page: page, Filter: equalTo(f, "email", schema.Text("Shared@x.de"))}
				got := ids(resourcetest.Page(t, w.Engine, l), func(r schema.Record) string { return r[f.ID].Text() })
				from := min(page*resource.MaxPageSize, len(want))
				if part := want[from:min(from+resource.MaxPageSize, len(want))]; !slices.Equal(got, part) {
					t.Errorf("descending %t, page %d: %d records from %q, want %d from %q", descending, page, len(got), got[:min(1, len(got))], len(part), part[:min(1, len(part))])
				}
			}
		}
	})
	t.Run("another case is another value of a search", func(t *testing.T) {
		if got := resourcetest.Page(t, w.Engine, resource.List{Workspace: "acme", Family: f, Filter: equalTo(f, "email", schema.Text("shared@x.de"))}); len(got) != 0 {
			t.Errorf("%d records", len(got))
		}
	})
	t.Run("another workspace has none", func(t *testing.T) {
		found, err := w.Lookup(t.Context(), "other", f, email, []string{"shared@x.de"})
		if len(found) != 0 || err != nil {
			t.Errorf("%d values are found, %v", len(found), err)
		}
	})
}

// Wherever the writer of a record that gets other values dies, lookups agree
// with the record as it is, and once it is written again it is found by them.
func TestLookupsAgreeWithTheRecordWhereverItsWriterDies(t *testing.T) {
	const few = 3
	for _, c := range []struct {
		what, before, change string
	}{
		{"a record", "", ""},
		{"a record with scores", scores(few, 1, 1, "old"), scores(2*few, 2, 1, "new")},
		{"more scores than a transaction takes", scores(few, 1, 1, "old"), scores(300, 2, 1, "new")},
		{"many scores removed", scores(150, 1, 1, "old"), `"nps_history":null`},
		{"a record that stays large", large(1), large(2)},
		{"a large record that becomes small", large(1), `"documents":null`},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, 1)
			modes := []mode{{"dies", false, false}, {"loses a write", false, true}, {"loses an answer", true, true}}
			if strings.Contains(c.what, "large") { // which is slow
				modes = modes[:1]
			}
			for _, mode := range modes {
				died := true
				for at := 1; died; at++ {
					id := fmt.Sprint(mode.name, at)
					text := func(value, fields string) string {
						return fmt.Sprintf(`{"account_id":%q,"name":"n","join_date":1,"crm_account_id":"%s of %s"%s}`, id, value, id, strings.TrimSuffix(","+fields, ","))
					}
					for n, text := range []string{text("old", c.before), text("new", c.change)} {
						post := func(e *resource.Engine) error {
							_, err := e.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: accounts.Family, Records: inputs(accounts.Family, text)})
							return err
						}
						d := &dying{Table: w.store, at: at, after: mode.after, once: mode.once, keys: map[table.Key]bool{}}
						err := post(w.over(d))
						if n == 1 {
							died = d.writes >= at
						}
						agree := func(when string) {
							t.Helper()
							records, err := w.Read(t.Context(), account(id))
							if err != nil {
								t.Fatal(err)
							}
							for _, value := range []string{"old of " + id, "new of " + id} {
								has := len(records) > 0 && records[0][crmID].Text() == value
								if found := lookUp(t, w.Engine, accounts.Family, crmID, value); has != slices.Equal(found, []string{id + "/" + id}) || !has && len(found) > 0 {
									t.Fatalf("%s %d, %s: %q leads to %q, of %d records", mode.name, at, when, value, found, len(records))
								}
							}
						}
						if n == 0 || at%2 == 0 { // before anything that is pending is settled
							agree(fmt.Sprint("after ", err))
						}
						w.clock.Advance(3 * time.Minute)
						if _, err := w.Sweep(t.Context(), "acme", catalog.All()); err != nil {
							t.Fatal(err)
						}
						agree("after the sweep")
						if err := post(w.Engine); err != nil {
							t.Fatal(err)
						}
						agree("once it is written again")
						if n == 0 {
							continue
						}
						old := table.Key{Partition: "acme/accounts.crm_account_id/" + digestOf("old of "+id), Sort: "first"}
						if items, err := w.store.Get(t.Context(), []table.Key{old}, true); err != nil || items[0].Exists() {
							t.Fatalf("%s %d: the pointer by the old value is still there (%v)", mode.name, at, err)
						}
					}
				}
			}
		})
	}
}

// tally is a table that counts.
type tally struct {
	table.Table
	mu                                  sync.Mutex
	gets, got, queries, wrote, together int // calls, items, calls, operations, and those of transactions
}

func (c *tally) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets, c.got = c.gets+1, c.got+len(keys)
	return c.Table.Get(ctx, keys, consistent)
}

func (c *tally) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queries++
	return c.Table.Query(ctx, q)
}

func (c *tally) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, op := range ops {
		if op.Item.Partition != "acme/lists" { // what lists need is not counted
			c.wrote++
		}
	}
	return c.Table.Write(ctx, ops, guard)
}

func (c *tally) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.together += len(ops)
	return c.Table.Transact(ctx, ops, guard)
}

// Looking up a page of values takes two batched reads, and a query for each value
// that several records share.
func TestLookupsOfManyValuesReadThemTogether(t *testing.T) {
	const all, known, shared = 1000, 700, 5
	w := newWorld(t, 16)
	threeAccounts(t, w.Engine)
	var values, records []string
	for n := range all {
		values = append(values, fmt.Sprintf("%d@X.de", n))
	}
	for n := range known {
		records = append(records, fmt.Sprintf(`{"account_id":"a1","user_id":"u%d","first_name":"A","last_name":"B","email":"%d@x.de"}`, n, n))
	}
	for n := range shared {
		records = append(records, fmt.Sprintf(`{"account_id":"a2","user_id":"u%d","first_name":"A","last_name":"B","email":"%d@x.de"}`, n, n))
	}
	upload(t, w.Engine, people.Users, records...)
	c := &tally{Table: w.store}
	found, err := w.over(c).Lookup(t.Context(), "acme", people.Users, email, values)
	if err != nil || len(found) != known || len(found["4@X.de"]) != 2 || len(found["5@X.de"]) != 1 {
		t.Fatalf("%d values are found, %v", len(found), err)
	}
	if c.gets > 2+shared || c.got != all+known+shared || c.queries != shared {
		t.Errorf("%d reads of %d items, %d queries", c.gets, c.got, c.queries)
	}
}

// A lookup costs a write when a record gets a value, and nothing otherwise.
func TestLookupsCostAWriteForEachValueThatARecordGets(t *testing.T) {
	w := newWorld(t, 1)
	for _, step := range []struct {
		what, fields    string
		wrote, together int
	}{
		{"a new record without values", ``, 1, 0},
		{"another field", `,"tier":"x"`, 1, 0},
		{"its first value", `,"crm_account_id":"c1"`, 2, 0},
		{"the same again", `,"crm_account_id":"c1"`, 0, 0},
		{"another field of a record with a value", `,"tier":"y"`, 1, 0},
		{"another value, and one more", `,"crm_account_id":"c2","billing_account_id":"b"`, 2, 2},
		{"no value", `,"crm_account_id":null`, 0, 2},
		{"another field with scores", `,"tier":"z",` + scores(1, 1, 1, ""), 0, 2},
	} {
		c := &tally{Table: w.store}
		upload(t, w.over(c), accounts.Family, fmt.Sprintf(`{"account_id":"a1","name":"n","join_date":1%s}`, step.fields))
		if c.wrote != step.wrote || c.together != step.together {
			t.Errorf("%s: %d writes and %d in transactions, want %d and %d", step.what, c.wrote, c.together, step.wrote, step.together)
		}
	}
}

// While a record loses a value, another one gets it: it is found by it.
func TestLookupsOfAValueThatAnotherRecordGetsMeanwhile(t *testing.T) {
	const ticket = `{"ticket_id":%q,"account_id":"a1","state":"open","create_time":1,"subject":%q}`
	f := bySubject
	for _, remove := range []bool{false, true} {
		call := 0
		for ; ; call++ {
			w := newWorld(t, 1)
			threeAccounts(t, w.Engine)
			upload(t, w.Engine, f, fmt.Sprintf(ticket, "t1", "it"))
			over := &interrupted{Table: w.store, before: map[int]func(){call: func() {
				upload(t, w.Engine, f, fmt.Sprintf(ticket, "t2", "it"))
			}}}
			want := []string{"a1/t2"}
			if remove {
				if failure, err := w.over(over).Remove(t.Context(), target(f, "t1")); failure != nil || err != nil {
					t.Fatal(failure, err)
				}
			} else {
				upload(t, w.over(over), f, fmt.Sprintf(ticket, "t1", "else"))
			}
			if over.calls <= call {
				break
			}
			if got := lookUp(t, w.Engine, f, f.Lookups[0], "it"); !slices.Equal(got, want) {
				t.Errorf("removed: %t, before call %d: %q is found, want %q", remove, call, got, want)
			}
		}
		if call < 4 {
			t.Errorf("only %d calls were put to the test", call)
		}
	}
}

// A record that two pointers lead to, one left by a writer who died, is found
// once, and takes both with it.
func TestLookupsFindARecordOnceWhateverPointsToIt(t *testing.T) {
	const ticket = `{"ticket_id":%q,"account_id":"a1","state":"open","create_time":1,"subject":"it"}`
	f := bySubject
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	upload(t, w.Engine, f, fmt.Sprintf(ticket, "t1"))
	dead := recording(w.store)
	over := &afterwards{Table: dead, match: func(ops []table.Op) bool {
		return slices.ContainsFunc(ops, func(op table.Op) bool { return strings.HasSuffix(op.Item.Partition, "/more") })
	}, before: func() {}}
	if _, err := w.over(over).Upload(t.Context(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, fmt.Sprintf(ticket, "t2"))}); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	known := func(prefix string) (bodies []string) {
		for _, item := range stored(t, w.store, dead.keys, prefix) {
			bodies = append(bodies, string(item.Body))
		}
		slices.Sort(bodies)
		return bodies
	}
	e := w.over(dead)
	if _, err := e.Remove(t.Context(), target(f, "t1")); err != nil {
		t.Fatal(err)
	}
	upload(t, e, f, fmt.Sprintf(ticket, "t2"))
	if got, want := known("acme/support_tickets.subject/"), []string{`"t2"`, `{"to":"t2","more":true}`}; !slices.Equal(got, want) {
		t.Fatalf("the pointers are %q, want %q: nothing is put to the test", got, want)
	}
	if got := lookUp(t, e, f, f.Lookups[0], "it"); !slices.Equal(got, []string{"a1/t2"}) {
		t.Errorf("%q is found", got)
	}
	if got := resourcetest.Page(t, e, resource.List{Workspace: "acme", Family: f, Filter: equalTo(f, "subject", schema.Text("it"))}); len(got) != 1 {
		t.Errorf("%d records are listed", len(got))
	}
	if _, err := e.Remove(t.Context(), target(f, "t2")); err != nil {
		t.Fatal(err)
	}
	if got, want := known("acme/support_tickets.subject/"), []string{`{"more":true}`}; !slices.Equal(got, want) {
		t.Errorf("the pointers are %q, want %q", got, want)
	}
}

// Once records have lost their values or are gone, no pointer is left to any of
// them, whoever came first; but that a value was shared may stay known.
func TestLookupsLeaveNoPointersBehind(t *testing.T) {
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	known := recording(w.store)
	const ticket = `{"ticket_id":%q,"account_id":"a1","state":"open","create_time":1,"subject":"shared","assignee_email":"%s@x.de"}`
	for _, removed := range [][]string{{"t1", "t2", "t3"}, {"t3", "t1", "t2"}, {"t2", "t3", "t1"}} {
		upload(t, w.over(known), bySubject, fmt.Sprintf(ticket, "t1", "t1"), fmt.Sprintf(ticket, "t2", "t2"))
		upload(t, w.over(known), bySubject, fmt.Sprintf(ticket, "t3", "t3"))
		for i, id := range removed {
			if failure, err := w.over(known).Remove(t.Context(), target(bySubject, id)); failure != nil || err != nil {
				t.Fatal(failure, err)
			}
			left := len(removed) - i - 1
			if got := lookUp(t, w.Engine, bySubject, bySubject.Lookups[0], "shared"); len(got) != left {
				t.Errorf("removed %q: %q are found", removed[:i+1], got)
			}
			pointers := 0
			for _, item := range stored(t, w.store, known.keys, "acme/support_tickets.subject/", "acme/support_tickets.assignee_email/") {
				if string(item.Body) != `{"more":true}` {
					pointers++
				}
			}
			if pointers != 2*left {
				t.Errorf("removed %q: %d pointers are left", removed[:i+1], pointers)
			}
		}
	}
}

func TestDryRunsLeaveLookupsAsTheyAre(t *testing.T) {
	w := newWorld(t, 1)
	known := recording(w.store)
	result, err := w.over(known).Upload(t.Context(), resource.Upload{Workspace: "acme", Family: accounts.Family, DryRun: true,
		Records: inputs(accounts.Family, `{"account_id":"a1","name":"n","join_date":1,"crm_account_id":"c"}`, `{"account_id":"a1","crm_account_id":"d"}`)})
	if err != nil || result.Inserted != 1 || result.Changed != 1 || len(known.keys) > 0 {
		t.Errorf("%+v, %v; %d keys written", result, err, len(known.keys))
	}
}

// What a dry run of several requests would write is found beside what is there.
func TestDryRunsFindWhatTheyWouldWrite(t *testing.T) {
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	const user = `{"account_id":%q,"user_id":%q,"first_name":"A","last_name":"B","email":%q}`
	upload(t, w.Engine, people.Users, fmt.Sprintf(user, "a1", "u1", "ann@x.de"), fmt.Sprintf(user, "a1", "u2", "bob@x.de"))
	over := w.over(table.NewOverlay(w.store))
	upload(t, over, people.Users, fmt.Sprintf(user, "a2", "u3", "ann@x.de"), fmt.Sprintf(user, "a2", "u4", "cy@x.de"))
	upload(t, over, people.Users, fmt.Sprintf(user, "a1", "u2", "cy@x.de"))
	for _, c := range []struct {
		e     *resource.Engine
		value string
		want  []string
	}{
		{over, "ann@x.de", []string{"a1/u1", "a2/u3"}},
		{over, "bob@x.de", []string{}},
		{over, "cy@x.de", []string{"a1/u2", "a2/u4"}},
		{w.Engine, "ann@x.de", []string{"a1/u1"}},
		{w.Engine, "bob@x.de", []string{"a1/u2"}},
		{w.Engine, "cy@x.de", []string{}},
	} {
		if got := lookUp(t, c.e, people.Users, email, c.value); !slices.Equal(got, c.want) {
			t.Errorf("dry: %t, %s leads to %q, want %q", c.e == over, c.value, got, c.want)
		}
	}
}

// Records from before a family had lookups are found once it is reindexed, in
// whatever steps and whoever writes meanwhile; then nothing is missing.
func TestReindexWritesWhatIsMissing(t *testing.T) {
	const all = 2500
	before := lookedUp(people.Users)
	w := newWorld(t, 16)
	threeAccounts(t, w.Engine)
	user := func(n int, email string) string {
		return fmt.Sprintf(`{"account_id":"a%d","user_id":"u%04d","first_name":"A","last_name":"B","email":%s,"is_active":%t}`, n%3+1, n, email, n%5 != 0)
	}
	value := func(n int) string { return fmt.Sprintf("%d@x.de", n/2) } // which two share
	var records []string
	for n := range all {
		records = append(records, user(n, `"`+value(n)+`"`))
	}
	upload(t, w.Engine, before, records...)
	upload(t, w.Engine, people.Users, user(0, `"0@X.de"`), user(all-1, "null")) // since
	if got := lookUp(t, w.Engine, people.Users, email, value(7)); len(got) > 0 {
		t.Fatalf("%q are found already", got)
	}
	written, changed := 0, map[int]bool{}
	done := false
	for step, next := 0, ""; !done; step++ {
		if step == 50 {
			t.Fatal("it does not come to an end")
		}
		over := &interrupted{
			Table: &dying{Table: w.store, at: step%3 + 1, after: step%2 == 0, keys: map[table.Key]bool{}},
			before: map[int]func(){3: func() {
				upload(t, w.Engine, people.Users, user(100+step, `"changed@x.de"`))
				changed[100+step] = true
			}},
		}
		n, after, err := w.over(over).Reindex(t.Context(), "acme", people.Users, next)
		if err != nil && !errors.Is(err, errLost) || after < next && err != nil {
			t.Fatalf("after %q: %q, %v", next, after, err)
		}
		written, next, done = written+n, after, err == nil
	}
	if len(changed) < 2 {
		t.Errorf("%d records were changed meanwhile", len(changed))
	}
	if written == 0 { // those of a write whose answer was lost are not counted
		t.Errorf("%d pointers were missing", written)
	}
	for n := range all {
		want := []string{}
		for _, m := range []int{n / 2 * 2, n/2*2 + 1} {
			if changed[m] || m == all-1 {
				continue
			}
			id := fmt.Sprintf("a%d/u%04d", m%3+1, m)
			if m%5 == 0 {
				id += " inactive"
			}
			want = append(want, id)
		}
		if got := lookUp(t, w.Engine, people.Users, email, value(n)); !slices.Equal(got, want) {
			t.Fatalf("%s leads to %q, want %q", value(n), got, want)
		}
	}
	if got := lookUp(t, w.Engine, people.Users, email, "changed@x.de"); len(got) != len(changed) {
		t.Errorf("%q are found by what they have since, want %d", got, len(changed))
	}
	c := &tally{Table: w.store}
	if n, next, err := w.over(c).Reindex(t.Context(), "acme", people.Users, ""); n != 0 || next != "" || err != nil || c.wrote+c.together > 0 {
		t.Errorf("once more: %d are missing, %q, %v, %d written", n, next, err, c.wrote)
	}
}
