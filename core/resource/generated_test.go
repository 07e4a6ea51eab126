package resource_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tenure/core"
	"tenure/core/conversations"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/schema"
)

// allInteractions returns the interactions that there are, by their ids.
func allInteractions(t failer, w *world) []schema.Record {
	t.Helper()
	return resourcetest.Page(t, w.Engine, resource.List{Workspace: "acme", Family: conversations.Interactions})
}

// Ids are unique whoever generates them, and those of one uploader rise (N1).
func TestGeneratedIDsAreUniqueAndRise(t *testing.T) {
	const engines, uploads, each = 8, 5, 10
	f := conversations.Interactions
	w := newWorld(t, 16)
	threeAccounts(t, w.Engine)
	var group sync.WaitGroup
	for n := range engines {
		group.Go(func() {
			e := w.over(w.store)
			for u := range uploads {
				var records []string
				for i := range each {
					records = append(records, fmt.Sprintf(interactionText, fmt.Sprintf("%d/%02d/%02d", n, u, i), "a1"))
				}
				result, err := e.Upload(context.Background(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, records...)})
				if err != nil || result.Inserted != each {
					t.Errorf("%+v, %v", result, err)
				}
			}
		})
	}
	group.Wait()
	seen, last := map[int64]bool{}, map[string]string{}
	for _, r := range allInteractions(t, w) {
		id := r[f.ID].Int()
		if seen[id] || id <= 0 || id >= 1<<53 {
			t.Fatalf("id %d: twice %t", id, seen[id])
		}
		seen[id] = true
		uploader, place, _ := strings.Cut(r[f.Generated.External].Text(), "/")
		if place <= last[uploader] {
			t.Errorf("%s of uploader %s has a higher id than %s", place, uploader, last[uploader])
		}
		last[uploader] = place
	}
	if len(seen) != engines*uploads*each {
		t.Errorf("%d records, want %d", len(seen), engines*uploads*each)
	}
}

// Of many that bring the same external id at once, by POST and PUT, one makes
// the record and the others change it.
func TestOneRecordForOneExternalID(t *testing.T) {
	f := conversations.Interactions
	w := newWorld(t, 16)
	threeAccounts(t, w.Engine)
	for round := range 10 {
		name := fmt.Sprint("x", round)
		var mu sync.Mutex
		inserted := 0
		var group sync.WaitGroup
		for n := range 8 {
			group.Go(func() {
				new := false
				if n%2 == 0 {
					result, err := w.Upload(context.Background(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, fmt.Sprintf(interactionText, name, "a1"))})
					if err != nil || result.Applied() != 1 {
						t.Errorf("%+v, %v", result, err)
						return
					}
					new = result.Inserted == 1
				} else {
					patch, _ := f.Schema.Decode([]byte(`{"account_id":"a1","create_time":1,"type":"t"}`), false)
					var failure *core.Failure
					var err error
					new, _, failure, err = w.Put(context.Background(), resource.Modification{Target: external(f, name), Patch: patch})
					if failure != nil || err != nil {
						t.Error(failure, err)
					}
				}
				if new {
					mu.Lock()
					defer mu.Unlock()
					inserted++
				}
			})
		}
		group.Wait()
		if all := allInteractions(t, w); len(all) != round+1 || inserted != 1 {
			t.Fatalf("%d records after round %d; %d say that they made this one", len(all), round, inserted)
		}
	}
}

// Wherever the writer of a new record dies, posting it again gives one record,
// under the id that was claimed for it.
func TestPostingAgainCompletesWhatAWriterLeftBehind(t *testing.T) {
	f := conversations.Interactions
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	for at, finished := 1, false; !finished; at++ {
		name := fmt.Sprint("x", at)
		d := recording(w.store)
		d.at = at
		_, err := w.over(d).Upload(t.Context(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, fmt.Sprintf(interactionText, name, "a1"))})
		finished = err == nil
		claimed := ""
		for _, item := range stored(t, w.store, d.keys, "acme/interactions.external_id/") {
			claimed = string(item.Body)
		}
		w.clock.Advance(10e9) // so that another id would be another
		upload(t, w.over(d.Table), f, fmt.Sprintf(interactionText, name, "a1"))
		id := idOf(t, w.Engine, f, name)
		if claimed != "" && id != claimed {
			t.Errorf("died at write %d: the record has the id %s, claimed was %s", at, id, claimed)
		}
		if n := len(allInteractions(t, w)); n != at {
			t.Fatalf("died at write %d: %d records, want %d", at, n, at)
		}
		if finished && at < 4 {
			t.Errorf("only %d writes: nothing was put to the test", at)
		}
	}
}

// An external id that its record gave up can be another's; one that a record
// has cannot (N1, Q24).
func TestExternalIDsChangeHands(t *testing.T) {
	f := conversations.Interactions
	const taken = core.Conflicting
	for _, c := range []struct {
		what  string
		first func(w *world, id string) // what becomes of the record that has "x"
		free  bool
	}{
		{"kept", func(*world, string) {}, false},
		{"removed", func(w *world, id string) { _, _ = w.Remove(context.Background(), target(f, id)) }, true},
		{"changed", func(w *world, id string) {
			upload(t, w.Engine, f, fmt.Sprintf(`{"id":%s,"account_id":"a1","external_id":"z"}`, id))
		}, true},
		{"cleared", func(w *world, id string) {
			upload(t, w.Engine, f, fmt.Sprintf(`{"id":%s,"account_id":"a1","external_id":null}`, id))
		}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, 1)
			threeAccounts(t, w.Engine)
			known := recording(w.store)
			upload(t, w.over(known), f, fmt.Sprintf(interactionText, "x", "a1"), fmt.Sprintf(interactionText, "y", "a2"))
			x, y := idOf(t, w.Engine, f, "x"), idOf(t, w.Engine, f, "y")
			c.first(&world{Engine: w.over(known)}, x)
			_, failure, err := w.over(known).Modify(t.Context(), resource.Modification{Target: target(f, y), Patch: patchOf(t, f, `{"external_id":"x"}`)})
			if err != nil || (failure == nil) != c.free || !c.free && (failure.Code != taken || failure.Field != "external_id") {
				t.Fatalf("%v, %v", failure, err)
			}
			want := x
			if c.free {
				want = y
				if got := read(t, w.Engine, external(f, "y")); got != "" {
					t.Errorf("the external id it had still leads to %s", got)
				}
			}
			if got := idOf(t, w.Engine, f, "x"); got != want {
				t.Errorf(`"x" leads to %s, want %s`, got, want)
			}
			if got, want := pointersOf(t, w.store, known.keys, f); !slices.Equal(got, want) {
				t.Errorf("the pointers are %q, those of the records %q", got, want)
			}
		})
	}
}

// Records of one upload that name a record by its id and by an external id, new
// or known, apply in the order given.
func TestIDAndExternalIDInOneUpload(t *testing.T) {
	f := conversations.Interactions
	byID := `{"id":%s,"account_id":"a1","external_id":"new","subject":"by id"}`
	byNew := fmt.Sprintf(interactionText, "new", "a2")
	byOld := fmt.Sprintf(interactionText, "old", "a3")
	for _, c := range []struct {
		order []string
		want  string // external id, account and subject of each record, in the order of ids
	}{
		{[]string{byID, byNew, byOld}, "new a2 by id; old a3 "},
		{[]string{byID, byOld, byNew}, "new a2 by id; old a3 "},
		{[]string{byOld, byID, byNew}, "new a2 by id"},
		{[]string{byNew, byID, byOld}, "old a3 ; new a2 "}, // the id may not have what the first has
		{[]string{byNew, byOld, byID}, "old a3 ; new a2 "},
		{[]string{byOld, byNew, byID}, "old a3 ; new a2 "},
	} {
		w := newWorld(t, 1)
		threeAccounts(t, w.Engine)
		upload(t, w.Engine, f, fmt.Sprintf(interactionText, "old", "a1"))
		id := idOf(t, w.Engine, f, "old")
		var records []string
		for _, r := range c.order {
			records = append(records, strings.Replace(r, "%s", id, 1))
		}
		u := resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, records...), DryRun: true}
		dry, err := w.over(unwritable{w.store}).Upload(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		u.DryRun = false
		result, err := w.Upload(t.Context(), u)
		if err != nil || result.Inserted != dry.Inserted || result.Changed != dry.Changed || len(result.Failed) != len(dry.Failed) {
			t.Errorf("%+v, %v; foretold %+v", result, err, dry)
		}
		all := allInteractions(t, w)
		slices.SortFunc(all, func(a, b schema.Record) int { return cmp.Compare(a[f.ID].Int(), b[f.ID].Int()) })
		got := strings.Join(ids(all, func(r schema.Record) string {
			return r[f.Generated.External].Text() + " " + r[f.Account].Text() + " " + r[f.Schema.Ordinal("subject")].Text()
		}), "; ")
		if got != c.want {
			t.Errorf("%.30s, %.30s, %.30s: %s, want %s", c.order[0], c.order[1], c.order[2], got, c.want)
		}
	}
}

// What cannot become a record claims nothing, and neither does a dry run: an id
// is generated for it no more than an external id taken.
func TestWhatMakesNoRecordClaimsNothing(t *testing.T) {
	f := conversations.Interactions
	w := newWorld(t, 1)
	threeAccounts(t, w.Engine)
	for what, c := range map[string]struct {
		record string
		dry    bool
		code   core.Code
		field  string
	}{
		"a dry run":             {fmt.Sprintf(interactionText, "x", "a1"), true, "", ""},
		"a missing field":       {`{"external_id":"x","account_id":"a1","create_time":1}`, false, core.MissingField, "type"},
		"a missing account":     {fmt.Sprintf(interactionText, "x", "nobody"), false, core.NotFound, "account_id"},
		"neither id":            {`{"account_id":"a1","create_time":1,"type":"t"}`, false, core.MissingField, "external_id"},
		"an id of nothing":      {`{"id":5,"external_id":"x","account_id":"a1","create_time":1,"type":"t"}`, false, core.NotFound, "id"},
		"an id that is no such": {`{"id":-` + strconv.Itoa(1<<60) + `,"external_id":"x","account_id":"a1","create_time":1,"type":"t"}`, false, core.NotFound, "id"},
	} {
		known := recording(w.store)
		result, err := w.over(known).Upload(t.Context(), resource.Upload{Workspace: "acme", Family: f, Records: inputs(f, c.record), DryRun: c.dry})
		if err != nil || c.code == "" && result.Inserted != 1 ||
			c.code != "" && (len(result.Failed) != 1 || result.Failed[0].Code != c.code || result.Failed[0].Field != c.field) {
			t.Errorf("%s: %+v, %v", what, result, err)
		}
		if left := stored(t, w.store, known.keys, "acme/interactions", "acme/ids"); len(left) > 0 {
			t.Errorf("%s leaves %v", what, left[0].Key)
		}
	}
}
