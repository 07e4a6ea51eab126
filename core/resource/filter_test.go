package resource_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/accounts"
	"tenure/core/conversations"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/schema"
	"tenure/core/table"
)

// equalTo returns the filter that lets records pass whose field called name has
// a value, and which says so.
func equalTo(f *resource.Family, name string, value schema.Value) *resource.Filter {
	i := f.Schema.Ordinal(name)
	return &resource.Filter{
		Name:  fmt.Sprintf("%s=%s", name, value),
		Match: func(r schema.Record) bool { return string(r[i]) == string(value) },
		Equal: map[int]schema.Value{i: value},
	}
}

// both returns the filter that lets records pass that both let pass.
func both(a, b *resource.Filter) *resource.Filter {
	f := &resource.Filter{
		Name:  a.Name + " and " + b.Name,
		Match: func(r schema.Record) bool { return a.Match(r) && b.Match(r) },
		Equal: map[int]schema.Value{},
	}
	for _, of := range []*resource.Filter{a, b} {
		for i, value := range of.Equal {
			f.Equal[i] = value
		}
	}
	return f
}

// weird are texts that are hard on sort keys: longer than they may be and equal
// as far as they go, prefixes of each other, with what separates their parts.
var weird = []string{
	"a", "a\x00", "a\x00b", "a\x01", "ab", "é", "😀",
	strings.Repeat("x", 256), strings.Repeat("x", 255) + "y", strings.Repeat("😀", 255) + "a", strings.Repeat("😀", 255) + "b",
	strings.Repeat("\x00", 256), strings.Repeat("\x00", 255), strings.Repeat("é", 250) + "\x00",
}

// The records of a filtered list are those of the list that pass, whatever way
// they are found.
func TestFilteredListsAreThoseOfTheModel(t *testing.T) {
	for _, shards := range []int{1, 16} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			w, model := newWorld(t, shards), map[string]listed{}
			f := accounts.Family
			text := rapid.SampledFrom(weird)
			row := rapid.Custom(func(t *rapid.T) listed {
				return listed{text.Draw(t, "id"), text.Draw(t, "name"), rapid.Int64Range(-2, 2).Draw(t, "joined"), rapid.IntRange(0, 3).Draw(t, "inactive") == 0}
			})
			rapid.Check(t, func(t *rapid.T) {
				store(t, w, model, rapid.SliceOfNDistinct(row, 0, 5, func(a listed) string { return a.id }).Draw(t, "accounts")...)
				filters := map[string]*resource.Filter{
					"id":   equalTo(f, "account_id", schema.Text(text.Draw(t, "wanted id"))),
					"name": equalTo(f, "name", schema.Text(text.Draw(t, "wanted name"))),
					"date": equalTo(f, "join_date", schema.Int(rapid.Int64Range(-2, 2).Draw(t, "wanted date"))),
				}
				name := rapid.SampledFrom([]string{"id", "name", "date"})
				filter := filters[name.Draw(t, "filter")]
				if rapid.Bool().Draw(t, "two conditions") {
					filter = both(filter, filters[name.Draw(t, "and")])
				}
				l := resource.List{Workspace: "acme", Family: f, Filter: filter,
					Descending: rapid.Bool().Draw(t, "descending"), Inactive: rapid.Bool().Draw(t, "inactive")}
				// Where they are found by a name or a date they are in that order, which
				// is the one of ids as far as sort keys go.
				id, named, joined := f.Schema.Ordinal("account_id"), f.Schema.Ordinal("name"), f.Schema.Ordinal("join_date")
				by := joined
				if _, byName := filter.Equal[named]; byName {
					by = named
				}
				places := map[string]string{}
				for _, a := range model {
					r := f.Schema.NewRecord()
					r[id], r[named], r[joined] = schema.Text(a.id), schema.Text(a.name), schema.Int(a.joined)
					if filter.Match(r) && (l.Inactive || !a.inactive) {
						places[resource.SortKey(f.Schema, r, by, id)] = a.id
					}
				}
				var want []string
				for _, place := range slices.Sorted(maps.Keys(places)) {
					want = append(want, places[place])
				}
				if l.Descending {
					slices.Reverse(want)
				}
				if got := listIDs(t, w.Engine, l); !slices.Equal(got, want) {
					t.Fatalf("%s: %q, want %q", filter.Name, got, want)
				}
			})
		})
	}
}

// gets is a table that counts the items read one by one, and those of queries.
type gets struct {
	reads
	got atomic.Int64
}

func (g *gets) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	g.got.Add(int64(len(keys)))
	return g.Table.Get(ctx, keys, consistent)
}

// A search for a value by which records can be found reads those, and not the
// whole list.
func TestEqualityReadsOnlyWhatItReturns(t *testing.T) {
	const all, shards = 3000, 16
	w, model := newWorld(t, shards), map[string]listed{}
	var rows []listed
	var members []string
	for n := range all {
		rows = append(rows, listed{id: fmt.Sprintf("%04d", n), name: fmt.Sprint("n", n/3), joined: int64(n / 3)})
		members = append(members, fmt.Sprintf(member, fmt.Sprintf("%04d", n/3), fmt.Sprint("u", n%1000)))
	}
	store(t, w, model, rows...)
	upload(t, w.Engine, people.Users, members...)
	counted := &gets{reads: reads{Table: w.store}}
	e := w.over(counted)
	for _, c := range []struct {
		f     *resource.Family
		name  string
		value schema.Value
		want  int
	}{
		{accounts.Family, "account_id", schema.Text("0007"), 1},
		{accounts.Family, "account_id", schema.Text("nobody"), 0},
		{accounts.Family, "account_id", schema.Text(strings.Repeat("long", 500)), 0},
		{accounts.Family, "name", schema.Text("n7"), 3},
		{accounts.Family, "name", schema.Text("n"), 0},
		{accounts.Family, "join_date", schema.Int(7), 3},
		{people.Users, "user_id", schema.Text("u7"), 3},
		{people.Users, "account_id", schema.Text("0007"), 3},
		{people.Users, "account_id", schema.Text("nobody"), 0},
	} {
		before, gotBefore := counted.items.Load(), counted.got.Load()
		got := resourcetest.Page(t, e, resource.List{Workspace: "acme", Family: c.f, Filter: equalTo(c.f, c.name, c.value)})
		if len(got) != c.want {
			t.Errorf("%s %s=%.20s: %d records, want %d", c.f.Schema.Name, c.name, c.value, len(got), c.want)
		}
		const marks = 3 // the generation and two bookmarks
		if queried, got := counted.items.Load()-before, counted.got.Load()-gotBefore; queried > int64(c.want) || got > int64(c.want)+marks+1 {
			t.Errorf("%s %s=%.20s: %d items queried and %d read, for %d records", c.f.Schema.Name, c.name, c.value, queried, got, c.want)
		}
	}
}

// every lets one record of n pass.
func every(n int) *resource.Filter {
	joined := accounts.Family.Schema.Ordinal("join_date")
	return &resource.Filter{Name: fmt.Sprint("every ", n), Match: func(r schema.Record) bool { return r[joined].Int()%int64(n) == 0 }}
}

// Bookmarks of filtered lists are their own, and make page n cost what it holds.
func TestBookmarksOfFilteredLists(t *testing.T) {
	const all, shards = 6500, 4
	w, model := newWorld(t, shards), map[string]listed{}
	var rows []listed
	for n := range all {
		rows = append(rows, listed{id: fmt.Sprintf("%05d", n), name: "n", joined: int64(n)})
	}
	store(t, w, model, rows...)
	passing := func(n, page int) []string {
		var want []string
		for id := page * resource.MaxPageSize * n; id < min((page+1)*resource.MaxPageSize*n, all); id += n {
			want = append(want, fmt.Sprintf("%05d", id))
		}
		return want
	}
	check := func(t *testing.T, e *resource.Engine, l resource.List, want []string) {
		t.Helper()
		if got := listIDs(t, e, l); !slices.Equal(got, want) {
			t.Fatalf("page %d: %d records from %q, want %d from %q", l.Page, len(got), got[:min(1, len(got))], len(want), want[:min(1, len(want))])
		}
	}

	t.Run("read in sequence, a page costs one", func(t *testing.T) {
		counted := &reads{Table: w.store}
		for p := range 4 {
			before := counted.items.Load()
			check(t, w.over(counted), resource.List{Filter: every(2), Page: p}, passing(2, p))
			// Twice a page, as every second passes, and what is read ahead.
			if read := counted.items.Load() - before; read > 2*resource.MaxPageSize+2*resource.MaxPageSize {
				t.Errorf("page %d: %d items read", p, read)
			}
		}
	})

	t.Run("at random, they are the pages of the model", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n, p := rapid.IntRange(1, 4).Draw(t, "every"), rapid.IntRange(0, 7).Draw(t, "page")
			l := resource.List{Filter: every(n), Page: p}
			if got, want := listIDs(t, w.Engine, l), passing(n, p); !slices.Equal(got, want) {
				t.Fatalf("every %d, page %d: %d records, want %d", n, p, len(got), len(want))
			}
		})
	})

	// The bookmarks of all lists lie in one partition: those of a filtered list
	// are not to be taken for those of the whole one, whatever its name.
	t.Run("the list of all does not begin at theirs", func(t *testing.T) {
		for n := range 64 {
			few := every(1)
			few.Name = fmt.Sprint("all ", n)
			check(t, w.Engine, resource.List{Filter: few, Page: 0}, passing(1, 0))
		}
		for _, p := range []int{3, 1, 6, 7} {
			check(t, w.Engine, resource.List{Page: p}, passing(1, p))
		}
	})

	// What the filter asks for is in no order, so the list's generation stays.
	t.Run("read in sequence while records change, none comes twice and none that stays is missed", func(t *testing.T) {
		employees := accounts.Family.Schema.Ordinal("employees")
		filter := &resource.Filter{Name: "odd", Match: func(r schema.Record) bool { return r[employees].Int()%2 == 1 }}
		employ := func(each func(n int) (employees int, given bool)) {
			var records []string
			for n := range all {
				if count, given := each(n); given {
					records = append(records, fmt.Sprintf(`{"account_id":"%05d","employees":%d}`, n, count))
				}
			}
			upload(t, w.Engine, accounts.Family, records...)
		}
		employ(func(n int) (int, bool) { return n, true })
		seen, changed := map[string]bool{}, map[int]bool{}
		for p := 0; ; p++ {
			got := listIDs(t, w.Engine, resource.List{Filter: filter, Page: p})
			if len(got) == 0 {
				break
			}
			for _, id := range got {
				if seen[id] {
					t.Fatalf("page %d: %s was on a page before", p, id)
				}
				seen[id] = true
			}
			// Some behind and some before the reader cease to pass, or come to.
			employ(func(n int) (int, bool) {
				if n%97 != p || changed[n] {
					return 0, false
				}
				changed[n] = true
				return n + 1, true
			})
		}
		for n := 1; n < all; n += 2 {
			if id := fmt.Sprintf("%05d", n); !changed[n] && !seen[id] {
				t.Fatalf("%s, which nobody touched, was on no page", id)
			}
		}
	})
}

// broken is a table whose queries fail from the nth on.
type broken struct {
	table.Table
	mu             sync.Mutex
	queries, works int
	largest        int // the largest number of items that a query of records gave
}

func (b *broken) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queries++; b.queries > b.works {
		return nil, errLost
	}
	items, err := b.Table.Query(ctx, q)
	b.largest = max(b.largest, len(items))
	return items, err
}

// A page of records with large bodies is given as it is read, a few at a time,
// in order; and says so when it cannot be read to its end.
func TestPagesOfLargeRecordsAreStreams(t *testing.T) {
	const all = 150
	f := conversations.Notes
	for _, shards := range []int{1, 16} {
		w := newWorld(t, shards)
		threeAccounts(t, w.Engine)
		var records []string
		for n := range all {
			records = append(records, fmt.Sprintf(`{"external_id":"%03d","account_id":"a1","create_time":%d,"note":"n"}`, n, n))
		}
		upload(t, w.Engine, f, records...)
		for _, account := range []string{"", "a1"} {
			for _, descending := range []bool{false, true} {
				for _, even := range []bool{false, true} {
					l := resource.List{Workspace: "acme", Family: f, Account: account, Descending: descending}
					var want []string
					for n := range all {
						if !even || n%2 == 0 {
							want = append(want, fmt.Sprintf("%03d", n))
						}
					}
					if even {
						l.Filter = &resource.Filter{Name: "even", Match: func(r schema.Record) bool { return r[3].Int()%2 == 0 }}
					}
					if descending {
						slices.Reverse(want)
					}
					over := &broken{Table: w.store, works: 1 << 30}
					listing, failure, err := w.over(over).List(t.Context(), l)
					if failure != nil || err != nil {
						t.Fatal(failure, err)
					}
					var got []string
					for more := true; more; {
						some, err := listing.Next(t.Context())
						if err != nil || len(some) > 8 {
							t.Fatalf("%d records at once, %v", len(some), err)
						}
						got = append(got, ids(some, func(r schema.Record) string { return r[f.Generated.External].Text() })...)
						more = len(some) > 0
					}
					if !slices.Equal(got, want) || over.largest > 8 {
						t.Errorf("%d shards, %+v: %d records, want %d; up to %d read by one query", shards, l, len(got), len(want), over.largest)
					}
					// The same again, but the store breaks down in the middle.
					total := over.queries
					over = &broken{Table: w.store, works: total / 2}
					listing, _, err = w.over(over).List(t.Context(), l)
					n := 0
					for err == nil && n <= len(want) {
						var some []schema.Record
						if some, err = listing.Next(t.Context()); err == nil && len(some) == 0 {
							t.Fatal("the page ends as if it were whole")
						}
						n += len(some)
					}
					if !errors.Is(err, table.ErrUnavailable) {
						t.Errorf("%d records, then %v", n, err)
					}
				}
			}
		}
	}
}
