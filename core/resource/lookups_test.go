package resource_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/accounts"
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
