package resource_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/accounts"
	"tenure/core/metrics"
	"tenure/core/resource"
	"tenure/core/schema"
)

// point is an entry beside a metric in the model.
type point struct {
	name, account string
	at, value     int64
}

func (p point) String() string { return fmt.Sprint(p.name, "/", p.account, " ", p.at, "=", p.value) }

// pointPage returns one page of the model: a metric's points by account, or an
// account's by metric.
func pointPage(model map[[2]string]map[int64]int64, q resource.Entries) (page []point) {
	byName := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
	var all []point
	for _, key := range slices.SortedFunc(maps.Keys(model), byName) {
		if q.ID != "" && key[0] != q.ID || q.Account != "" && key[1] != q.Account {
			continue
		}
		stamps := slices.Sorted(maps.Keys(model[key]))
		if q.Descending {
			slices.Reverse(stamps)
		}
		for _, at := range stamps {
			all = append(all, point{key[0], key[1], at, model[key][at]})
		}
	}
	start := min(q.Page*resource.MaxPageSize, len(all))
	return all[start:min(start+resource.MaxPageSize, len(all))]
}

// listPoints returns one page of points, as they come.
func listPoints(t failer, e *resource.Engine, q resource.Entries) (page []point) {
	t.Helper()
	q.Workspace, q.Family = "acme", metrics.Family
	groups, _, err := e.ListEntries(t.Context(), q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	for _, g := range groups {
		if len(g.Entries) == 0 {
			t.Fatalf("%+v: a group without entries", q)
		}
		for _, entry := range g.Entries {
			page = append(page, point{g.Record[metrics.Family.ID].Text(), g.Record[metrics.Family.Account].Text(), entry[0].Int(), int64(entry[1].Float())})
		}
	}
	return page
}

// postPoints writes n points of a metric, every step from first on, and tells
// the model, if there is one.
func postPoints(t failer, e *resource.Engine, model map[[2]string]map[int64]int64, name, account string, n int, first, step, value int64) {
	t.Helper()
	of := map[int64]int64{}
	var list []string
	for i := range int64(n) {
		of[first+i*step] = value
		list = append(list, fmt.Sprintf(`{"timestamp":%d,"value":%d}`, first+i*step, value))
	}
	upload(t, e, metrics.Family, fmt.Sprintf(`{"name":%s,"account_id":%q,"metrics":[%s]}`, schema.Text(name), account, strings.Join(list, ",")))
	key := [2]string{name, account}
	if model[key] == nil {
		model[key] = map[int64]int64{}
	}
	maps.Copy(model[key], of)
}

// difference says where two pages differ first.
func difference(got, want []point) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("point %d is %q, want %q", i, got[i], want[i])
		}
	}
	return fmt.Sprintf("they are the same up to point %d", min(len(got), len(want)))
}

// The first pages of points are those of the data as it stands, whatever came
// and went since a page before was read.
func TestPagesOfPointsAreThoseOfTheModel(t *testing.T) {
	for _, shards := range []int{1, 16} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			w, model := newWorld(t, shards), map[[2]string]map[int64]int64{}
			threeAccounts(t, w.Engine)
			// A name that begins with another, and one between the two of it.
			names := []string{"m", "m\x00n", "mn"}
			for i, account := range []string{"a1", "a2", "a3"} {
				postPoints(t, w.Engine, model, "m", account, 700+100*i, int64(-300*i), 3, 0)
				postPoints(t, w.Engine, model, "mn", account, 400*i+1, 0, 1, 0)
			}
			run := int64(0)
			rapid.Check(t, func(t *rapid.T) {
				run++
				name, account := rapid.SampledFrom(names), rapid.SampledFrom([]string{"a1", "a2", "a3"})
				for range rapid.IntRange(0, 2).Draw(t, "changes") {
					n, a := name.Draw(t, "name"), account.Draw(t, "account")
					if rapid.IntRange(0, 9).Draw(t, "remove") > 0 {
						postPoints(t, w.Engine, model, n, a, rapid.SampledFrom([]int{1, 5, 130}).Draw(t, "points"),
							rapid.Int64Range(-1000, 3000).Draw(t, "first"), rapid.Int64Range(1, 9).Draw(t, "step"), run)
						continue
					}
					removed, err := w.RemoveAll(t.Context(), resource.Target{Workspace: "acme", Family: metrics.Family, ID: n, Account: a})
					if _, was := model[[2]string{n, a}]; err != nil || removed > 0 != was {
						t.Fatalf("%d removed, %v; there was one: %t", removed, err, was)
					}
					delete(model, [2]string{n, a})
				}
				q := resource.Entries{Page: rapid.IntRange(0, 4).Draw(t, "page"), Descending: rapid.Bool().Draw(t, "descending")}
				kind := rapid.IntRange(0, 2).Draw(t, "kind")
				if kind < 2 {
					q.ID = name.Draw(t, "of metric")
				}
				if kind > 0 {
					q.Account = account.Draw(t, "of account")
				}
				// A page on its own, or those up to it one after the other.
				to := q.Page
				if rapid.Bool().Draw(t, "in sequence") {
					q.Page = 0
				}
				for ; q.Page <= to; q.Page++ {
					if got, want := listPoints(t, w.Engine, q), pointPage(model, q); !slices.Equal(got, want) {
						t.Fatalf("%+v: %d points, want %d; %s", q, len(got), len(want), difference(got, want))
					}
				}
			})
		})
	}
}

// Who reads on beyond the pages that are counted out goes on where the page
// before ended, also when the metric that it ended in is gone.
func TestWhoReadsOnMissesNoPoints(t *testing.T) {
	const each, of, page = 500, 37, 17
	w, model := newWorld(t, 16), map[[2]string]map[int64]int64{}
	home := func(n int) string { return fmt.Sprintf("home-%02d", n) }
	for n := range of {
		upload(t, w.Engine, accounts.Family, fmt.Sprintf(`{"account_id":%q,"name":"n","join_date":1}`, home(n)))
		postPoints(t, w.Engine, model, "m", home(n), each, 0, 1, 1)
	}
	counted := &reads{Table: w.store}
	for _, gone := range []int{-1, page*2 - 1, page * 2} { // none, the one before the page, the first on it
		q := resource.Entries{ID: "m"}
		for ; q.Page < page; q.Page++ {
			before := counted.items.Load()
			if got, want := listPoints(t, w.over(counted), q), pointPage(model, q); !slices.Equal(got, want) {
				t.Fatalf("page %d: %d points, want %d", q.Page, len(got), len(want))
			}
			if read := counted.items.Load() - before; gone < 0 && read > resource.MaxPageSize+of+16*16 {
				t.Errorf("page %d: %d items read", q.Page, read)
			}
		}
		want := pointPage(model, q)
		if gone >= 0 {
			if removed, err := w.RemoveAll(t.Context(), resource.Target{Workspace: "acme", Family: metrics.Family, ID: "m", Account: home(gone)}); removed != 1 || err != nil {
				t.Fatal(removed, err)
			}
			want = slices.DeleteFunc(want, func(p point) bool { return p.account == home(gone) })
			delete(model, [2]string{"m", home(gone)})
		}
		got := listPoints(t, w.Engine, q)
		if len(got) < len(want) || len(want) == 0 || !slices.Equal(got[:len(want)], want) {
			t.Errorf("without %d, page %d has %d points; %s", gone, page, len(got), difference(got, want))
		}
		if gone >= 0 { // for the next, there again
			postPoints(t, w.Engine, model, "m", home(gone), each, 0, 1, 1)
		}
	}
}

// What is not there has no points, and an account without any has none.
func TestPointsOfNothing(t *testing.T) {
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	postPoints(t, w.Engine, map[[2]string]map[int64]int64{}, "m", "a1", 1, 0, 1, 1)
	for _, q := range []resource.Entries{{ID: "other"}, {ID: "m", Account: "a2"}, {Account: "a2"}, {ID: strings.Repeat("m", 2000)}, {ID: "m\x00"}} {
		q.Workspace, q.Family = "acme", metrics.Family
		if groups, found, err := w.ListEntries(t.Context(), q); found || len(groups) > 0 || err != nil {
			t.Errorf("%.60v: %d groups, found %t, %v", q, len(groups), found, err)
		}
	}
	if got := read(t, w.Engine, resource.Target{Workspace: "acme", Family: metrics.Family, ID: "m", Account: "a1"}); strings.Count(got, `"timestamp"`) != 1 || schema.Kind([]byte(got)) != '{' {
		t.Errorf("it reads %s", got)
	}
}
