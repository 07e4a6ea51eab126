package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/conversations"
	"tenure/core/metrics"
	"tenure/core/resource"
	"tenure/core/table"
)

// demise is a change that takes away what is kept beside a record, or the
// record with it.
type demise struct {
	what   string
	f      *resource.Family
	before string // the record, %q for its id
	change func(e *resource.Engine, target resource.Target) error
	again  string // what makes the record anew, or adds to it
	// pointers is how many items lead to the record.
	pointers int
}

func (d demise) target(id string) resource.Target {
	t := target(d.f, id)
	switch d.f {
	case metrics.Family:
		t.Account = "a1"
	case conversations.Interactions:
		t.External = true
	}
	return t
}

// points writes n points of a metric, from the first timestamp on.
func points(n int, first int64) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"timestamp":%d,"value":1}`, first+int64(i)))
	}
	return `"metrics":[` + strings.Join(list, ",") + `]`
}

func removeAll(e *resource.Engine, target resource.Target) error {
	_, err := e.RemoveAll(context.Background(), target)
	return err
}

func removeOne(e *resource.Engine, target resource.Target) error {
	_, err := e.Remove(context.Background(), target)
	return err
}

func eraseScores(e *resource.Engine, target resource.Target) error {
	_, err := e.EraseBeside(context.Background(), target, "")
	return err
}

// posts returns the change that an upload of records makes, %q for the id.
func posts(f *resource.Family, records ...string) func(*resource.Engine, resource.Target) error {
	return func(e *resource.Engine, target resource.Target) error {
		var texts []string
		for _, r := range records {
			texts = append(texts, fmt.Sprintf(r, target.ID))
		}
		_, err := e.Upload(context.Background(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, texts...)})
		return err
	}
}

// litter returns what lies in the store, of the keys ever written, beside
// records: how many entries, and the other items but for what lists need.
func litter(t failer, store table.Table, keys map[table.Key]bool) (entries int, others []table.Item) {
	t.Helper()
	for _, item := range stored(t, store, keys, "acme/") {
		kind := strings.Split(item.Partition, "/")[1]
		switch kind {
		case "lists", "bookmarks", "ids", "accounts", "metrics", "interactions":
		case "metrics.metrics", "accounts.nps_history":
			entries++
		default:
			others = append(others, item)
		}
	}
	return entries, others
}

// Whoever takes away a record, or what is beside it, and dies after any of the
// writes: the record is then whole or gone, nothing is left behind once Sweep
// has passed, and what is made anew does not find what was there before (P16).
func TestRecordIsWhollyThereOrWhollyGoneWhereverItsRemoverDies(t *testing.T) {
	const entry = `{"account_id":"a1","name":%q,`
	account := `{"account_id":%q,"name":"n","join_date":1,`
	score := func(n int) string { return `{"account_id":%q,` + scores(n, 7, 5, "new") + `}` }
	details := strings.Split(large(3), `"url":"`)
	var text strings.Builder
	for _, part := range details[1:] {
		text.WriteString(part[:strings.IndexByte(part, '"')])
	}
	for _, d := range []demise{
		{"a metric with a point", metrics.Family, entry + points(1, 1) + "}", removeAll, entry + points(1, 9) + "}", 1},
		{"a metric with more points than are removed one by one", metrics.Family, entry + points(150, 1) + "}", removeAll, entry + points(2, 100) + "}", 1},
		{"an interaction with large details", conversations.Interactions,
			`{"external_id":%q,"account_id":"a1","create_time":1,"type":"t","details":"` + text.String() + `"}`, removeOne, interactionText[:strings.Index(interactionText, `,"account_id"`)] + `,"account_id":"a1","create_time":2,"type":"new"}`, 2},
		{"a few scores", accounts.Family, account + scores(60, 1, 1, "old") + "}", eraseScores, score(1), 0},
		{"many scores", accounts.Family, account + scores(150, 1, 1, "old") + "}", eraseScores, score(2), 0},
		{"many scores, and few added in the same upload", accounts.Family, account + scores(150, 1, 1, "old") + "}",
			posts(accounts.Family, `{"account_id":%q,"nps_history":null}`, score(3)), score(2), 0},
		{"many scores, and many added in the same upload", accounts.Family, account + scores(150, 1, 1, "old") + "}",
			posts(accounts.Family, `{"account_id":%q,"nps_history":null}`, score(130)), score(2), 0},
		{"many scores of a large account", accounts.Family, account + large(4) + "," + scores(150, 1, 1, "old") + "}",
			posts(accounts.Family, `{"account_id":%q,"documents":null,"nps_history":null}`, score(3)), score(2), 0},
	} {
		t.Run(d.what, func(t *testing.T) {
			w := newWorld(t, 1)
			threeAccounts(t, w.Engine)
			modes := []mode{{"dies", false, false}, {"loses an answer", true, true}, {"loses a write", false, true}}
			if strings.Contains(d.what, "large") { // which is slow
				modes = modes[:1]
			}
			for _, mode := range modes {
				at := 1
				for ; w.removeAndDie(t, d, mode, at); at++ {
				}
				if at < 2 {
					t.Error("it needs no write: nothing was put to the test")
				}
			}
		})
	}
}

// removeAndDie carries out a demise over a table that dies at a write, and
// checks what is left. It reports whether it did die.
func (w *world) removeAndDie(t *testing.T, d demise, mode mode, at int) (died bool) {
	t.Helper()
	id, twin := fmt.Sprintf("%s-%d", mode.name, at), fmt.Sprintf("%s-%d-twin", mode.name, at)
	known := recording(w.store)
	upload(t, w.over(known), d.f, fmt.Sprintf(d.before, id))
	before, after := read(t, w.Engine, d.target(id)), ""
	if d.f == accounts.Family { // where it is not the record that goes
		upload(t, w.Engine, d.f, fmt.Sprintf(d.before, twin))
		if err := d.change(w.Engine, d.target(twin)); err != nil {
			t.Fatal(err)
		}
		after = strings.Replace(read(t, w.Engine, d.target(twin)), twin, id, 1)
	}
	over := &dying{Table: w.store, at: at, after: mode.after, once: mode.once, keys: known.keys}
	err := d.change(w.over(over), d.target(id))
	check := func(when string) (there bool) {
		t.Helper()
		got := read(t, w.over(known), d.target(id)) // which may write too
		if got != after && (err == nil || got != before) {
			t.Fatalf("%s, %s: neither there nor gone (%v): %.300s", id, when, err, got)
		}
		if when == "before the sweep" {
			return got != ""
		}
		entries, others := litter(t, w.store, known.keys)
		if want := strings.Count(got, `"timestamp"`) + strings.Count(got, `"nps_score"`); entries != want {
			t.Fatalf("%s, %s: %d entries lie beside the record, want %d", id, when, entries, want)
		}
		pointers := 0
		for _, item := range others {
			switch kind := strings.Split(item.Partition, "/")[1]; {
			case kind == "journal" && got == before && w.hasParts(t, known.keys, strings.Split(item.Partition, "/")[2]):
			case kind == d.f.Schema.Name+".id", kind == d.f.Schema.Name+".account", kind == d.f.Schema.Name+".external_id":
				pointers++
			default:
				t.Fatalf("%s, %s: left behind: %s %s", id, when, item.Partition, item.Sort)
			}
		}
		if want := d.pointers; got == "" && pointers > 0 || got != "" && pointers != want {
			t.Fatalf("%s, %s: %d pointers to %.100s", id, when, pointers, got)
		}
		return got != ""
	}
	if at%2 == 0 { // whoever reads first has to find a whole record already
		check("before the sweep")
	}
	w.clock.Advance(3 * time.Minute)
	if _, err := w.over(known).Sweep(t.Context(), "acme", catalog.All()); err != nil {
		t.Fatalf("%s: sweep: %v", id, err)
	}
	if there := check("after the sweep"); !there || d.f == accounts.Family && read(t, w.Engine, d.target(id)) == after {
		upload(t, w.over(known), d.f, fmt.Sprintf(d.again, id))
		had := strings.Count(after, `"nps_score"`)
		want := max(had, strings.Count(d.again, `"nps_score"`)) + strings.Count(d.again, `"timestamp"`) // of the same dates
		got := read(t, w.Engine, d.target(id))
		if n := strings.Count(got, `"timestamp"`) + strings.Count(got, `"nps_score"`); n != want || strings.Contains(got, `"old"`) || got == "" {
			t.Fatalf("%s: made again it has %d entries, want %d: %.300s", id, n, want, got)
		}
	}
	return over.writes >= at
}

// hasParts reports whether a record consists of the parts with that id.
func (w *world) hasParts(t failer, keys map[table.Key]bool, parts string) bool {
	t.Helper()
	return slices.ContainsFunc(stored(t, w.store, keys, "acme/accounts/", "acme/interactions/"), func(i table.Item) bool {
		var packed struct {
			Parts string `json:"~parts"`
		}
		return json.Unmarshal(i.Body, &packed) == nil && packed.Parts == parts
	})
}

// The parts that a large record consisted of are cleared away by whoever writes
// it anew; by Sweep if that one dies, also when Sweep came by once before it.
func TestPartsOfAWriterThatWasSlowAndThenDiedAreClearedAway(t *testing.T) {
	w := newWorld(t, 1)
	known := recording(w.store)
	upload(t, w.over(known), accounts.Family, whole("a1", large(1)))
	slow := false
	over := &afterwards{Table: known, match: func(ops []table.Op) bool {
		return !slow && slices.ContainsFunc(ops, func(op table.Op) bool { return op.Item.Sort == "a1" })
	}}
	over.before = func() {
		slow = true
		w.clock.Advance(3 * time.Minute)
		if _, err := w.Sweep(context.Background(), "acme", catalog.All()); err != nil {
			t.Error(err)
		}
	}
	_, _, err := w.over(over).Modify(t.Context(), resource.Modification{Target: account("a1"), Patch: patchOf(t, accounts.Family, `{"documents":null}`)})
	if err != nil && !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	for range 2 {
		w.clock.Advance(3 * time.Minute)
		if _, err := w.Sweep(t.Context(), "acme", catalog.All()); err != nil {
			t.Fatal(err)
		}
	}
	_, others := litter(t, w.store, known.keys)
	if got := read(t, w.Engine, account("a1")); len(others) > 0 && !strings.Contains(got, `"url"`) {
		t.Errorf("%d items are left behind, such as %v", len(others), others[0].Key)
	}
}

// The same when two write it at once: the one that loses does not close the job
// that would clear away after the other, who died.
func TestLoserOfARaceLeavesTheWinnersPartsToSweep(t *testing.T) {
	w := newWorld(t, 1)
	known := recording(w.store)
	upload(t, w.over(known), accounts.Family, whole("a1", large(1)))
	patch := patchOf(t, accounts.Family, `{"documents":null}`)
	isRecord := func(ops []table.Op) bool {
		return slices.ContainsFunc(ops, func(op table.Op) bool { return op.Item.Sort == "a1" })
	}
	raced := false
	loser := &afterwards{Table: known, lives: true, match: func(ops []table.Op) bool { return !raced && isRecord(ops) }}
	loser.before = func() {
		raced = true
		winner := &afterwards{Table: known, match: isRecord, before: func() {}}
		_, _, err := w.over(winner).Modify(context.Background(), resource.Modification{Target: account("a1"), Patch: patch})
		if err != nil && !errors.Is(err, errLost) {
			t.Error(err)
		}
	}
	if _, _, err := w.over(loser).Modify(t.Context(), resource.Modification{Target: account("a1"), Patch: patch}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(3 * time.Minute)
	if _, err := w.Sweep(t.Context(), "acme", catalog.All()); err != nil {
		t.Fatal(err)
	}
	if _, others := litter(t, w.store, known.keys); len(others) > 0 {
		t.Errorf("%d items are left behind, such as %v", len(others), others[0].Key)
	}
}

// afterwards is a table that does something else before a write that matches,
// and dies after it, unless it lives.
type afterwards struct {
	table.Table
	match  func([]table.Op) bool
	before func()
	lives  bool
	dead   bool
}

func (a *afterwards) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if a.dead {
		return slices.Repeat([]error{errLost}, len(ops))
	}
	if a.match(ops) {
		a.before()
		a.dead = !a.lives
	}
	return a.Table.Write(ctx, ops, guard)
}

func (a *afterwards) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	if a.dead {
		return errLost
	}
	if a.match(ops) {
		a.before()
		a.dead = !a.lives
	}
	return a.Table.Transact(ctx, ops, guard)
}
