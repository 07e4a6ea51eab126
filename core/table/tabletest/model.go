package tabletest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core/table"
)

// model is what a table must behave like: a map, with the promises of the port
// spelled out in the most obvious way.
type model struct {
	items map[table.Key]table.Item
	clock *Clock
}

func (m *model) get(key table.Key) (table.Item, bool) {
	it, ok := m.items[key]
	return it, ok && (it.Expires == 0 || it.Expires > m.clock.at(0))
}

func (m *model) holds(op table.Op) bool {
	it, ok := m.get(op.Item.Key)
	if version, asked := op.If.Version(); asked {
		return ok && it.Version == version
	}
	return !op.If.IsAbsent() || !ok
}

func (m *model) guarded(guard *table.Guard) bool {
	return guard == nil || m.holds(table.Delete(guard.Key, table.VersionIs(guard.Version)))
}

func (m *model) apply(op table.Op) {
	if op.Delete {
		delete(m.items, op.Item.Key)
	} else {
		m.items[op.Item.Key] = op.Item
	}
}

func (m *model) write(ops []table.Op, guard *table.Guard) []error {
	errs := make([]error, len(ops))
	held := m.guarded(guard)
	for i, op := range ops {
		switch {
		case !held:
			errs[i] = table.ErrFenced
		case !m.holds(op):
			errs[i] = table.ErrConflict
		default:
			m.apply(op)
		}
	}
	return errs
}

func (m *model) transact(ops []table.Op, guard *table.Guard) error {
	if !m.guarded(guard) {
		return table.ErrFenced
	}
	for _, op := range ops {
		if !m.holds(op) {
			return table.ErrConflict
		}
	}
	for _, op := range ops {
		m.apply(op)
	}
	return nil
}

// query answers without regard to q.Limit.
func (m *model) query(q table.Query) []table.Item {
	var in []table.Item
	for key := range m.items {
		it, ok := m.get(key)
		at := indexKey(it, q.Index)
		if !ok || at.Partition != q.Partition || !strings.HasPrefix(at.Sort, q.Prefix) ||
			q.VisibleAt != 0 && it.HiddenFrom != 0 && it.HiddenFrom <= q.VisibleAt {
			continue
		}
		if c := cmp.Compare(at.Sort, q.After); q.After != "" && (c == 0 || (c < 0) != q.Descending) {
			continue
		}
		switch q.Index {
		case table.First:
			it = table.Item{Key: it.Key, HiddenFrom: it.HiddenFrom, Index1: it.Index1}
		case table.Second:
			it = table.Item{Key: it.Key, HiddenFrom: it.HiddenFrom, Index2: it.Index2}
		}
		if q.KeysOnly {
			it.Body = nil
		}
		in = append(in, it)
	}
	slices.SortFunc(in, func(a, b table.Item) int {
		c := cmp.Compare(indexKey(a, q.Index).Sort, indexKey(b, q.Index).Sort)
		if q.Descending {
			return -c
		}
		return c
	})
	return in
}

// sameAnswer says how got differs from what q must answer when all is in its
// range. Items with the same key in an index come in any order, and when the
// limit cuts between them it may keep any.
func sameAnswer(q table.Query, all, got []table.Item) error {
	if want := all[:min(len(all), q.Limit)]; !slices.Equal(sorts(got, q.Index), sorts(want, q.Index)) {
		return sameSorts(got, q.Index, sorts(want, q.Index))
	}
	seen := map[table.Key]bool{}
	for _, it := range got {
		if seen[it.Key] {
			return fmt.Errorf("item %q is answered twice", it.Key)
		}
		seen[it.Key] = true
		i := slices.IndexFunc(all, func(w table.Item) bool { return w.Key == it.Key })
		if i < 0 {
			return fmt.Errorf("item %q is answered", it.Key)
		}
		if diff := difference(all[i], it); diff != "" {
			return fmt.Errorf("item %q: %s", it.Key, diff)
		}
	}
	return nil
}

// testBehavesLikeAMap compares the table with the model over random calls.
func testBehavesLikeAMap(t *testing.T, f *fixture) {
	var runs, versions atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{items: map[table.Key]table.Item{}, clock: f.clock}
		// A prefix of its own gives each run an empty table.
		run := fmt.Sprintf("run %d/", runs.Add(1))
		partitions := []string{run, run + "a", run + "ab", run + "a\x00"}
		sortKeys := []string{"a", "A", "b", "ba", "b/", "é", "\U00010000", "\uffff", "\x00", strings.Repeat("z", table.MaxSortBytes)}
		key := rapid.Custom(func(rt *rapid.T) table.Key {
			return table.Key{
				Partition: rapid.SampledFrom(partitions).Draw(rt, "partition"),
				Sort:      rapid.SampledFrom(sortKeys).Draw(rt, "sort"),
			}
		})
		indexKeys := rapid.OneOf(rapid.Just(table.Key{}), key)
		instant := rapid.Custom(func(rt *rapid.T) int64 {
			if rapid.Bool().Draw(rt, "never") {
				return 0
			}
			return f.clock.at(time.Duration(rapid.IntRange(-1, 5).Draw(rt, "seconds")) * time.Second)
		})
		// Conditions ask for the version that is there as often as for another.
		condition := func(rt *rapid.T, key table.Key) table.Condition {
			switch rapid.IntRange(0, 4).Draw(rt, "condition") {
			case 0:
				return table.Condition{}
			case 1:
				return table.Absent()
			case 2:
				return table.VersionIs(versions.Load())
			}
			return table.VersionIs(m.items[key].Version)
		}
		ops := func(rt *rapid.T) []table.Op {
			var ops []table.Op
			for _, key := range rapid.SliceOfNDistinct(key, 1, 6, rapid.ID[table.Key]).Draw(rt, "keys") {
				cond := condition(rt, key)
				if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
					ops = append(ops, table.Delete(key, cond))
					continue
				}
				it := item(key.Partition, key.Sort, versions.Add(1))
				it.Expires = instant.Draw(rt, "expires")
				it.HiddenFrom = instant.Draw(rt, "hidden from")
				it.Index1 = indexKeys.Draw(rt, "first index")
				it.Index2 = indexKeys.Draw(rt, "second index")
				ops = append(ops, table.Put(it, cond))
			}
			return ops
		}
		guard := func(rt *rapid.T, ops []table.Op) *table.Guard {
			k := key.Draw(rt, "guard")
			if rapid.IntRange(0, 2).Draw(rt, "guarded") > 0 ||
				slices.ContainsFunc(ops, func(op table.Op) bool { return op.Item.Key == k }) {
				return nil
			}
			version, ok := condition(rt, k).Version()
			if !ok || version == 0 {
				version = 1
			}
			return &table.Guard{Key: k, Version: version, Until: f.clock.at(0)}
		}

		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				ops := ops(rt)
				g := guard(rt, ops)
				got, want := f.Table.Write(f.Context(), ops, g), m.write(ops, g)
				wantErrors(rt, got, want...)
			},
			"transact": func(rt *rapid.T) {
				ops := ops(rt)
				g := guard(rt, ops)
				got, want := f.Table.Transact(f.Context(), ops, g), m.transact(ops, g)
				wantError(rt, got, want)
			},
			"get": func(rt *rapid.T) {
				keys := rapid.SliceOfN(key, 1, 8).Draw(rt, "keys")
				got, err := f.Table.Get(f.Context(), keys, true)
				wantError(rt, err, nil)
				if len(got) != len(keys) {
					rt.Fatalf("Get of %d keys = %d items", len(keys), len(got))
				}
				for i, key := range keys {
					want, ok := m.get(key)
					if got[i].Exists() != ok {
						rt.Fatalf("Get(%q): exists %v, want %v", key, got[i].Exists(), ok)
					}
					if diff := difference(want, got[i]); ok && diff != "" {
						rt.Fatalf("Get(%q): %s", key, diff)
					}
				}
			},
			"query": func(rt *rapid.T) {
				bound := rapid.OneOf(rapid.Just(""), rapid.SampledFrom(sortKeys), rapid.SampledFrom([]string{"B", "b\x00", "zz", "\U0010FFFF"}))
				q := table.Query{
					Index:      rapid.SampledFrom([]table.Index{table.Base, table.First, table.Second}).Draw(rt, "index"),
					Partition:  rapid.SampledFrom(partitions).Draw(rt, "partition"),
					Prefix:     bound.Draw(rt, "prefix"),
					After:      bound.Draw(rt, "after"),
					Descending: rapid.Bool().Draw(rt, "descending"),
					Limit:      rapid.SampledFrom([]int{1, 2, 3, 100}).Draw(rt, "limit"),
					VisibleAt:  instant.Draw(rt, "visible at"),
					KeysOnly:   rapid.Bool().Draw(rt, "keys only"),
					Consistent: true,
				}
				if err := f.poll(func() error {
					got, err := f.Table.Query(f.Context(), q)
					return errors.Join(err, sameAnswer(q, m.query(q), got))
				}); err != nil {
					rt.Fatalf("Query(%+v): %v", q, err)
				}
			},
			"wait": func(*rapid.T) { f.clock.advance(time.Second) },
		})
	})
}
