package resource_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/schema"
	"tenure/core/table"
)

// listed is what the model knows of an account.
type listed struct {
	id, name string
	joined   int64
	inactive bool
}

func (a listed) upload() string {
	return fmt.Sprintf(`{"account_id":%s,"name":%s,"join_date":%d,"is_deleted":%t}`,
		schema.Text(a.id), schema.Text(a.name), a.joined, a.inactive)
}

// orders are the orders of accounts, as the model compares them.
var orders = map[string]func(a, b listed) int{
	"account_id": func(a, b listed) int { return strings.Compare(a.id, b.id) },
	"name":       func(a, b listed) int { return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.id, b.id)) },
	"join_date":  func(a, b listed) int { return cmp.Or(cmp.Compare(a.joined, b.joined), strings.Compare(a.id, b.id)) },
}

// page returns the ids of one page of the model.
func page(all map[string]listed, l resource.List) []string {
	var rows []listed
	for _, a := range all {
		if l.Inactive || !a.inactive {
			rows = append(rows, a)
		}
	}
	slices.SortFunc(rows, orders[l.OrderBy])
	if l.Descending {
		slices.Reverse(rows)
	}
	start := min(l.Page*resource.MaxPageSize, len(rows))
	return ids(rows[start:min(start+resource.MaxPageSize, len(rows))], func(a listed) string { return a.id })
}

func ids[T any](rows []T, id func(T) string) []string {
	all := make([]string, len(rows))
	for i := range rows {
		all[i] = id(rows[i])
	}
	return all
}

func listIDs(t failer, e *resource.Engine, l resource.List) []string {
	t.Helper()
	l.Workspace, l.Family = "acme", accounts.Family
	return ids(resourcetest.Page(t, e, l), func(r schema.Record) string { return r[accounts.Family.ID].Text() })
}

// store uploads accounts and tells the model.
func store(t failer, w *world, model map[string]listed, rows ...listed) {
	t.Helper()
	var records []string
	for _, a := range rows {
		records = append(records, a.upload())
		model[a.id] = a
	}
	upload(t, w.Engine, accounts.Family, records...)
}

// The first pages are those of the list as it stands, whatever came, went or
// moved since a page before was read.
func TestPagesAreThoseOfTheListAsItStands(t *testing.T) {
	for _, shards := range []int{1, 16} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			w, model := newWorld(t, shards), map[string]listed{}
			names := []string{"a", "b", "ab", "a\x00", "a\x01", "a\x00b", "a\x01b", "é", "😀"}
			var first []listed
			for i := range 2150 {
				first = append(first, listed{id: fmt.Sprintf("%04d", i*37%10_000), name: names[i%len(names)], joined: int64(i*7919%300 - 150), inactive: i%9 == 0})
			}
			store(t, w, model, first...)
			account := rapid.Custom(func(t *rapid.T) listed {
				return listed{
					id:       rapid.StringMatching(`[0-9]{4}`).Draw(t, "id"),
					name:     rapid.SampledFrom(names).Draw(t, "name"),
					joined:   rapid.Int64Range(-160, 160).Draw(t, "joined"),
					inactive: rapid.IntRange(0, 2).Draw(t, "inactive") == 0,
				}
			})
			rapid.Check(t, func(t *rapid.T) {
				store(t, w, model, rapid.SliceOfNDistinct(account, 0, 30, func(a listed) string { return a.id }).Draw(t, "accounts")...)
				l := resource.List{
					OrderBy:    rapid.SampledFrom([]string{"account_id", "name", "join_date"}).Draw(t, "order"),
					Descending: rapid.Bool().Draw(t, "descending"),
					Inactive:   rapid.Bool().Draw(t, "inactive"),
					Page:       rapid.IntRange(0, 3).Draw(t, "page"),
				}
				if got, want := listIDs(t, w.Engine, l), page(model, l); !slices.Equal(got, want) {
					t.Fatalf("%+v: %d records, want %d; first %q, want %q", l, len(got), len(want), got[:min(3, len(got))], want[:min(3, len(want))])
				}
			})
		})
	}
}

// reads is a table that counts the items its queries answer.
type reads struct {
	table.Table
	items atomic.Int64
}

func (r *reads) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	items, err := r.Table.Query(ctx, q)
	r.items.Add(int64(len(items)))
	return items, err
}

// A long list is built once; the tests of long lists share it.
func TestLongLists(t *testing.T) {
	const shards, pages = 16, 20
	w, model := newWorld(t, shards), map[string]listed{}
	var all []listed
	for i := range pages*resource.MaxPageSize - 500 {
		all = append(all, listed{id: fmt.Sprintf("%05d", i), name: fmt.Sprintf("n%05d", i*7%99_991), joined: int64(i % 50)})
	}
	store(t, w, model, all...)

	t.Run("the next page does not read the earlier ones again", func(t *testing.T) {
		counted := &reads{Table: w.store}
		e := w.over(counted)
		for _, order := range []string{"account_id", "name"} {
			for n := range pages {
				before := counted.items.Load()
				l := resource.List{OrderBy: order, Page: n}
				if got := listIDs(t, e, l); !slices.Equal(got, page(model, l)) {
					t.Fatalf("%s, page %d: %d records", order, n, len(got))
				}
				// A page, a quarter more, and what every shard reads ahead.
				if read := counted.items.Load() - before; read > resource.MaxPageSize*3/2+2*16*shards {
					t.Errorf("%s, page %d: %d items read", order, n, read)
				}
			}
		}
	})

	t.Run("a page far on is found at once by its bookmark and counted out without", func(t *testing.T) {
		counted := &reads{Table: w.store}
		e := w.over(counted)
		l := resource.List{OrderBy: "name", Descending: true, Page: 12}
		for _, most := range []int64{13 * resource.MaxPageSize * 3 / 2, resource.MaxPageSize * 2} {
			before := counted.items.Load()
			if got := listIDs(t, e, l); !slices.Equal(got, page(model, l)) {
				t.Fatalf("%d records", len(got))
			}
			if read := counted.items.Load() - before; read > most {
				t.Errorf("%d items read, want at most %d", read, most)
			}
		}
	})

	t.Run("a page past the end is empty", func(t *testing.T) {
		for _, n := range []int{pages, pages + 1, 1_000_000, 1<<31 - 1} {
			for range 2 { // with the bookmark of the end, too
				if got := listIDs(t, w.Engine, resource.List{OrderBy: "name", Page: n}); len(got) > 0 {
					t.Errorf("page %d: %d records", n, len(got))
				}
			}
		}
	})

	t.Run("batches go on where an earlier reading has ended", func(t *testing.T) {
		for _, l := range []resource.List{{OrderBy: "account_id"}, {OrderBy: "name", Descending: true}} {
			l.Workspace, l.Family = "acme", accounts.Family
			var got, want []string
			after := ""
			for n, more := 0, true; more; n++ {
				more = false
				for batch, err := range w.Batches(t.Context(), l, after) {
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range batch.Records {
						got = append(got, r[l.Family.ID].Text())
					}
					after, more = batch.After, true
					if n%3 == 0 {
						break
					}
				}
			}
			for l.Page = range pages {
				want = append(want, page(model, l)...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%+v: %d records, want %d", l, len(got), len(want))
			}
		}
	})

	t.Run("who reads on while records come and go misses none and sees none twice", func(t *testing.T) {
		// Up to page 16 a page is that of the list as it stands, so a change
		// moves what follows it; from there on reading goes on where it was.
		const settled = 17
		l := resource.List{OrderBy: "name"}
		seen := map[string]int{}
		changed := map[string]bool{}
		for l.Page = 0; ; l.Page++ {
			got := listIDs(t, w.Engine, l)
			if len(got) == 0 {
				break
			}
			for _, id := range got {
				seen[id]++
			}
			if l.Page < settled {
				continue
			}
			var news []listed
			for i := range 40 {
				came := listed{id: fmt.Sprintf("new-%d-%d", l.Page, i), name: fmt.Sprintf("n%05d", (l.Page*40+i)*131%99_991)}
				went := model[fmt.Sprintf("%05d", (l.Page*977+i*53)%len(all))]
				went.inactive = true
				moved := model[fmt.Sprintf("%05d", (l.Page*1543+i*71+1)%len(all))]
				moved.name = fmt.Sprintf("n%05d", (l.Page*i)*4241%99_991)
				for _, a := range []listed{came, went, moved} {
					if !changed[a.id] {
						changed[a.id] = true
						news = append(news, a)
					}
				}
			}
			store(t, w, model, news...)
		}
		for _, a := range all {
			if !changed[a.id] && seen[a.id] != 1 {
				t.Fatalf("account %s, which nobody touched, was seen %d times", a.id, seen[a.id])
			}
		}
	})
}

func TestUnknownOrderIsRefusedWithTheChoices(t *testing.T) {
	w := newWorld(t, 1)
	_, failure, err := w.List(t.Context(), resource.List{Workspace: "acme", Family: accounts.Family, OrderBy: "tier"})
	if err != nil || failure == nil || failure.Code != core.NotAChoice || !strings.Contains(failure.Message, "account_id, name, join_date") {
		t.Errorf("%+v, %v", failure, err)
	}
	store(t, w, map[string]listed{}, listed{id: "a", name: "n"}, listed{id: "b", name: "n"})
	for _, alias := range []string{"", "id", "account_id"} {
		if got := listIDs(t, w.Engine, resource.List{OrderBy: alias}); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("order %q: %q", alias, got)
		}
	}
}

func TestWorkspacesDoNotSeeEachOther(t *testing.T) {
	w := newWorld(t, 1)
	store(t, w, map[string]listed{}, listed{id: "a", name: "n"})
	for _, other := range []string{"acm", "acme2", "Acme", "acme/accounts"} {
		if records := resourcetest.Page(t, w.Engine, resource.List{Workspace: other, Family: accounts.Family, Inactive: true}); len(records) > 0 {
			t.Errorf("%s sees %d records", other, len(records))
		}
		if records, err := w.Read(t.Context(), resource.Target{Workspace: other, Family: accounts.Family, ID: "a"}); err != nil || len(records) > 0 {
			t.Errorf("%s reads %d records, %v", other, len(records), err)
		}
	}
}
