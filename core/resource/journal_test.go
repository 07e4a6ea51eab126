package resource_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table"
)

// dying is a table whose write number at fails: the process or the line to
// the store dies, before the write is carried out or after it.
type dying struct {
	table.Table
	at    int  // the write that fails, from 1
	after bool // it is carried out, and only the answer is lost
	once  bool // the next write works again

	mu     sync.Mutex
	writes int
	keys   map[table.Key]bool // all keys ever written
}

var errLost = fmt.Errorf("%w: simulated", table.ErrUnavailable)

// fate counts a write and tells what becomes of it.
func (d *dying) fate(ops []table.Op) (carriedOut, answered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	for _, op := range ops {
		d.keys[op.Item.Key] = true
	}
	switch {
	case d.writes < d.at, d.writes > d.at && d.once:
		return true, true
	case d.writes == d.at:
		return d.after, false
	}
	return false, false
}

func (d *dying) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	carriedOut, answered := d.fate(ops)
	var errs []error
	if carriedOut {
		errs = d.Table.Write(ctx, ops, guard)
	}
	if answered {
		return errs
	}
	lost := make([]error, len(ops))
	for i := range lost {
		lost[i] = errLost
	}
	return lost
}

func (d *dying) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	carriedOut, answered := d.fate(ops)
	var err error
	if carriedOut {
		err = d.Table.Transact(ctx, ops, guard)
	}
	if !answered {
		return errLost
	}
	return err
}

// leftovers returns the jobs and journals among the keys that exist.
func leftovers(t failer, store table.Table, keys map[table.Key]bool) []table.Item {
	t.Helper()
	var suspects []table.Key
	for key := range keys {
		if strings.HasPrefix(key.Partition, "acme/jobs") || strings.HasPrefix(key.Partition, "acme/journal/") {
			suspects = append(suspects, key)
		}
	}
	items, err := store.Get(t.Context(), suspects, true)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var left []table.Item
	for _, item := range items {
		if item.Exists() {
			left = append(left, item)
		}
	}
	return left
}

// large returns documents that do not compress below an item's size.
func large(seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 1))
	var list []string
	for i := range 230 {
		url := make([]rune, 512)
		for j := range url {
			url[j] = rune(0x10000 + random.IntN(0x100000)) // 20 bits of chance in 4 bytes
		}
		list = append(list, fmt.Sprintf(`{"name":"%d","url":"%s"}`, i, string(url)))
	}
	return `"documents":[` + strings.Join(list, ",") + `]`
}

// transition is a change of an account: its fields before, the fields changed,
// and how the account reads before and after.
type transition struct{ what, before, change, old, new string }

// mode is how a writer gets into trouble; see dying.
type mode struct {
	name        string
	after, once bool
}

func whole(id, fields string) string {
	return fmt.Sprintf(`{"account_id":%q,"name":"Acme","join_date":1,%s}`, id, fields)
}

func TestRecordIsWhollyOldOrWhollyNewWhereverItsWriterDies(t *testing.T) {
	w := newWorld(t, 1)
	few, many := scores(40, 10, 1_600_000_000_000, "old"), scores(300, -20, 1_600_000_000_000-86_400_000, "new")
	for _, c := range []transition{
		{"scores that fit a transaction", few, `"tier":"new",` + scores(50, 5, 1_600_000_000_000, "new"), "", ""},
		{"more scores than a transaction takes", few, `"tier":"new",` + many, "", ""},
		{"the first scores of a new account", "", `"tier":"new",` + many, "", ""},
		{"many scores removed", many, `"tier":"new","nps_history":null`, "", ""},
		{"a record that stays large", large(1), large(2), "", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			twins := newWorld(t, 1) // where nobody dies
			if c.before != "" {
				upload(t, twins.Engine, accounts.Family, whole("twin", c.before))
				c.old = read(t, twins.Engine, account("twin"))
			}
			upload(t, twins.Engine, accounts.Family, whole("twin", c.change))
			c.new = read(t, twins.Engine, account("twin"))
			modes := []mode{{"dies", false, false}, {"loses a write", false, true}, {"loses an answer", true, true}}
			if strings.Contains(c.what, "large") { // which is slow; see the test below for its answer
				modes = modes[:1]
			}
			for _, mode := range modes {
				at, finished, changed, id := 1, false, true, ""
				for ; !finished; at++ {
					if changed { // else the account is as good as new for the next death
						id = fmt.Sprintf("%s/%s/%d", c.what, mode.name, at)
						if c.before != "" {
							upload(t, w.Engine, accounts.Family, whole(id, c.before))
						}
					}
					d := &dying{Table: w.store, at: at, after: mode.after, once: mode.once, keys: map[table.Key]bool{}}
					changed = writeAndDie(t, w, c, id, d)
					finished = d.writes < at
				}
				if at < 3 {
					t.Errorf("only %d writes: nothing was put to the test", at)
				}
			}
		})
	}
}

// writeAndDie changes an account over a table that dies, and checks what is
// left. It reports whether the account has changed.
func writeAndDie(t *testing.T, w *world, c transition, id string, d *dying) (changed bool) {
	t.Helper()
	old, want := strings.Replace(c.old, `"twin"`, fmt.Sprintf("%q", id), 1), strings.Replace(c.new, `"twin"`, fmt.Sprintf("%q", id), 1)
	_, err := w.over(d).Upload(t.Context(), resource.Upload{
		Workspace: "acme", Family: accounts.Family, Records: inputs(accounts.Family, whole(id, c.change)),
	})
	check := func(when string) (changed bool) {
		t.Helper()
		got := read(t, w.Engine, account(id))
		switch {
		case err == nil && got != want:
			t.Fatalf("%s, %s: acknowledged, but it reads %.300s", id, when, got)
		case got != old && got != want:
			t.Fatalf("%s, %s: neither old nor new: %.300s", id, when, got)
		}
		return got != old
	}
	if d.at%2 == 0 { // whoever reads first has to find a whole record already
		check("before the sweep")
	}
	w.clock.Advance(3 * time.Minute)
	if _, err := w.Sweep(t.Context(), "acme", catalog.All()); err != nil {
		t.Fatalf("%s: sweep: %v", id, err)
	}
	changed = check("after the sweep")
	// What is left are at most the parts that the record as it is consists of.
	record, err := w.store.Get(t.Context(), []table.Key{{Partition: "acme/accounts/00", Sort: id}}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range leftovers(t, w.store, d.keys) {
		journal, ok := strings.CutPrefix(item.Partition, "acme/journal/")
		if !ok || !strings.HasPrefix(string(record[0].Body), `{"~parts":"`+journal) {
			t.Fatalf("%s: left behind: %s %s", id, item.Partition, item.Sort)
		}
	}
	return changed
}

// forgetful is a table that writes a1 and loses the answer, once.
type forgetful struct {
	table.Table
	lost bool
}

func (f *forgetful) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	err := f.Table.Transact(ctx, ops, guard)
	if !f.lost && slices.ContainsFunc(ops, func(op table.Op) bool { return op.Item.Sort == "a1" }) {
		f.lost = true
		return errLost
	}
	return err
}

func TestPartsStayWhenNobodyKnowsWhetherTheyCount(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, whole("a1", large(1)))
	for range 2 {
		_, _, err := w.over(&forgetful{Table: w.store}).Modify(t.Context(), resource.Modification{
			Target: account("a1"), Patch: patchOf(t, accounts.Family, `{"documents":[{"name":"0","url":"changed"}]}`),
		})
		if err != nil && !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		if got := read(t, w.Engine, account("a1")); strings.Count(got, `"url"`) != 230 || !strings.Contains(got, `"changed"`) {
			t.Fatalf("it reads %.300s", got)
		}
		w.clock.Advance(3 * time.Minute)
		if _, err := w.Sweep(t.Context(), "acme", catalog.All()); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, w.Engine, account("a1")); strings.Count(got, `"url"`) != 230 {
		t.Fatalf("after the sweep it reads %.300s", got)
	}
}

func TestLargeRecordsComeAndGoWithAllTheirParts(t *testing.T) {
	w := newWorld(t, 1)
	d := &dying{Table: w.store, at: 1 << 30, keys: map[table.Key]bool{}}
	e := w.over(d)
	for _, step := range []struct {
		change string
		shown  string // how many times the account shows what
		times  int
		parts  bool
	}{
		{large(1), `"url"`, 230, true},
		{`"tier":"x",` + scores(300, 1, startOfTime, "new"), `"new"`, 300, true},
		{`"documents":[{"name":"0","url":"changed"}]`, `"changed"`, 1, true},
		{`"documents":null`, `"url"`, 0, false},
	} {
		result, err := e.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: accounts.Family,
			Records: inputs(accounts.Family, whole("a1", step.change))})
		if err != nil || result.Applied() != 1 {
			t.Fatalf("%+v, %v", result, err)
		}
		if got := strings.Count(read(t, e, account("a1")), step.shown); got != step.times {
			t.Errorf("%s is shown %d times, want %d", step.shown, got, step.times)
		}
		if parts := len(leftovers(t, w.store, d.keys)) > 0; parts != step.parts {
			t.Errorf("after %.40s: has parts: %t", step.change, parts)
		}
	}
}

// gate is a table where writes that match wait to be let through.
type gate struct {
	table.Table
	match   func(ops []table.Op, guard *table.Guard) bool
	arrived chan struct{}
	open    chan struct{}
}

func newGate(t table.Table, match func([]table.Op, *table.Guard) bool) *gate {
	return &gate{Table: t, match: match, arrived: make(chan struct{}, 100), open: make(chan struct{})}
}

func (g *gate) pass(ops []table.Op, guard *table.Guard) {
	if len(ops) > 0 && g.match(ops, guard) { // nothing to write is nothing to hold up
		g.arrived <- struct{}{}
		<-g.open
	}
}

func (g *gate) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	g.pass(ops, guard)
	return g.Table.Write(ctx, ops, guard)
}

func (g *gate) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	g.pass(ops, guard)
	return g.Table.Transact(ctx, ops, guard)
}

const bare = `{"account_id":"a1","name":"Acme","join_date":1}`

// slowly makes an engine over g write 300 scores of a1, and returns once it
// stands at the gate. The result arrives when the gate is open.
func slowly(t *testing.T, w *world, g *gate) <-chan error {
	t.Helper()
	return slowlyChange(t, w, g, `{"tier":"slow",`+scores(300, 50, startOfTime, "slow")+`}`)
}

func slowlyChange(t *testing.T, w *world, g *gate, patch string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	decoded := patchOf(t, accounts.Family, patch)
	go func() {
		_, failure, err := w.over(g).Modify(t.Context(), resource.Modification{Target: account("a1"), Patch: decoded})
		if failure != nil {
			err = failure
		}
		done <- err
	}()
	select {
	case <-g.arrived:
	case err := <-done:
		t.Fatalf("the writer never came to the gate: %v", err)
	}
	return done
}

func TestLateSettlingChangesNothingAnyMore(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	g := newGate(w.store, func(ops []table.Op, guard *table.Guard) bool {
		return strings.HasPrefix(ops[0].Item.Partition, "acme/accounts.nps_history/")
	})
	done := slowly(t, w, g)
	// The record is marked; the writer sleeps. A reader settles, and others go on.
	if got := read(t, w.Engine, account("a1")); strings.Count(got, `"slow"`) != 301 {
		t.Fatalf("the reader sees %d marks of the change, want all 301", strings.Count(got, `"slow"`))
	}
	if failure, err := w.EraseBeside(t.Context(), account("a1"), ""); failure != nil || err != nil {
		t.Fatal(failure, err)
	}
	upload(t, w.Engine, accounts.Family, `{"account_id":"a1","tier":"later",`+scores(1, 7, startOfTime, "later")+`}`)
	want := read(t, w.Engine, account("a1"))
	close(g.open)
	if err := <-done; err != nil {
		t.Errorf("the writer, whose change has long been settled: %v", err)
	}
	if got := read(t, w.Engine, account("a1")); got != want {
		t.Errorf("the late writer made %.300s of %.300s", got, want)
	}
}

func TestManySettleAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	g := newGate(w.store, func(ops []table.Op, guard *table.Guard) bool {
		return strings.HasPrefix(ops[0].Item.Partition, "acme/accounts.nps_history/")
	})
	done := slowly(t, w, g)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			records, err := w.Read(t.Context(), account("a1"))
			if err != nil || len(records) != 1 {
				t.Errorf("%d records, %v", len(records), err)
				return
			}
			s := accounts.Family.Schema
			if got := string(s.AppendObject(nil, records[0], s.All())); strings.Count(got, `"slow"`) != 301 {
				t.Errorf("a reader sees %d marks of the change, want 301", strings.Count(got, `"slow"`))
			}
		})
	}
	group.Go(func() { close(g.open) })
	group.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A writer without a lock (PUT) that is held up for so long that Sweep takes
// it for dead must not come back and make a journal count that is gone.
func TestWriterThatWasTakenForDeadChangesAllOrNothing(t *testing.T) {
	for what, patch := range map[string]string{
		"a journal": `{"tier":"slow",` + scores(300, 50, startOfTime, "slow") + `}`,
		"parts":     `{"tier":"slow",` + large(1) + `}`,
		"both":      `{"tier":"slow",` + large(1) + `,` + scores(300, 50, startOfTime, "slow") + `}`,
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, 1)
			upload(t, w.Engine, accounts.Family, bare)
			g := newGate(w.store, func(ops []table.Op, _ *table.Guard) bool {
				return slices.ContainsFunc(ops, func(op table.Op) bool { return op.Item.Sort == "a1" })
			})
			done := slowlyChange(t, w, g, patch)
			w.clock.Advance(10 * time.Minute)
			if ended, err := w.Sweep(t.Context(), "acme", catalog.All()); ended == 0 || err != nil {
				t.Fatalf("sweep ended %d jobs, %v", ended, err)
			}
			close(g.open)
			if err := <-done; err != nil {
				t.Error(err)
			}
			twins := newWorld(t, 1) // where nobody is slow
			upload(t, twins.Engine, accounts.Family, bare, `{"account_id":"a1",`+patch[1:])
			if got, want := read(t, w.Engine, account("a1")), read(t, twins.Engine, account("a1")); got != want {
				t.Errorf("acknowledged, but it reads %d bytes, %.300s; want %d", len(got), got, len(want))
			}
			w.clock.Advance(10 * time.Minute)
			if ended, err := w.Sweep(t.Context(), "acme", catalog.All()); ended != 0 || err != nil {
				t.Errorf("the change left %d jobs behind, %v", ended, err)
			}
		})
	}
}

func TestSweepLeavesThoseAloneWhoAreStillAtWork(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	g := newGate(w.store, func(ops []table.Op, guard *table.Guard) bool {
		return ops[0].Item.Sort == "a1"
	})
	done := slowly(t, w, g)
	w.clock.Advance(time.Minute)
	if ended, err := w.Sweep(t.Context(), "acme", catalog.All()); ended != 0 || err != nil {
		t.Errorf("sweep ended %d jobs, %v", ended, err)
	}
	close(g.open)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := read(t, w.Engine, account("a1")); strings.Count(got, `"slow"`) != 301 {
		t.Error("the change did not come through")
	}
}

func TestLostLockStopsAJournaledWriteAltogether(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	old := read(t, w.Engine, account("a1"))
	d := &dying{Table: w.store, keys: map[table.Key]bool{}, at: 1 << 30}
	gone := &table.Guard{Key: table.Key{Partition: "~locks/x", Sort: "upload"}, Version: 1}
	_, err := w.over(d).Upload(t.Context(), resource.Upload{Workspace: "acme", Family: accounts.Family, Guard: gone,
		Records: inputs(accounts.Family, `{"account_id":"a1",`+scores(300, 1, 0, "x")+`}`)})
	if !errors.Is(err, table.ErrFenced) {
		t.Errorf("%v, want the lost lock", err)
	}
	if got := read(t, w.Engine, account("a1")); got != old {
		t.Errorf("it reads %.300s", got)
	}
	w.clock.Advance(3 * time.Minute)
	if _, err := w.Sweep(t.Context(), "acme", catalog.All()); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, w.store, d.keys); len(left) > 0 {
		t.Errorf("left behind: %v", left[0].Key)
	}
}
