package usage_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"tenure/core/table"
	"tenure/core/usage"
)

// sent is an event as the model knows it.
type sent struct {
	account, user, session, action string
	at                             int64
	amount                         int
}

func (e sent) line() string {
	what := map[string]string{
		"sessionSync": fmt.Sprintf(`"active_duration":%d`, e.amount), "moduleEnd": fmt.Sprintf(`"module":"m%d","time_spent":%d`, e.amount%3, e.amount),
		"feature": fmt.Sprintf(`"feature":"f%d","total":%d.5`, e.amount%2, e.amount),
	}[e.action]
	if what == "" {
		what = fmt.Sprintf(`"x":%d`, e.amount)
	}
	return fmt.Sprintf(`{"action":%q,"account_id":%q,"user_id":%q,"session_id":%q,"created_at":%d,%s}`, e.action, e.account, e.user, e.session, e.at, what)
}

// model counts the slow way.
type model map[sent]bool

func (m model) report(keep func(sent) bool, from, to int64) (events, sessions, active int64, users int, modules, features map[string]float64) {
	begun, who := map[string]bool{}, map[string]bool{}
	modules, features = map[string]float64{}, map[string]float64{}
	for e := range m {
		if !keep(e) || e.at < from || e.at >= to {
			continue
		}
		events++
		begun[fmt.Sprint(e.account, "/", e.user, "/", e.session, "/", e.at/day)] = true
		who[e.account+"/"+e.user] = true
		switch e.action {
		case "sessionSync":
			active += int64(e.amount)
		case "moduleEnd":
			modules[fmt.Sprintf("m%d", e.amount%3)] += float64(e.amount)
		case "feature":
			features[fmt.Sprintf("f%d", e.amount%2)] += float64(e.amount) + 0.5
		}
	}
	return events, int64(len(begun)), active, len(who), modules, features
}

// TestWhateverTheOrderAndHoweverOftenEventsCountOnce sends events in any order, some
// more than once, and has the feed tell of them in any order, more than once and to
// several at once; and compares all that is counted with a model that counts the slow
// way.
func TestWhateverTheOrderAndHoweverOftenEventsCountOnce(t *testing.T) {
	w := newWorld(t)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		workspace := fmt.Sprintf("w%d", checks)
		w.account(t, workspace, "a", "b")
		if err := trimAll(w); err != nil {
			t.Fatalf("%v", err)
		}
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) sent {
			return sent{
				account: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "account"), user: rapid.SampledFrom([]string{"u", "v", "w"}).Draw(t, "user"),
				session: rapid.SampledFrom([]string{"s", "t"}).Draw(t, "session"), action: rapid.SampledFrom([]string{"sessionSync", "moduleEnd", "feature", "other"}).Draw(t, "action"),
				at: at(-rapid.IntRange(0, 70).Draw(t, "day")) + int64(rapid.IntRange(0, 3).Draw(t, "ms")), amount: rapid.IntRange(0, 9).Draw(t, "amount"),
			}
		}), 1, 60).Draw(t, "events")
		known := model{}
		for _, e := range events {
			known[e] = true
		}
		again := append(slices.Clone(events), rapid.SliceOfN(rapid.SampledFrom(events), 0, 20).Draw(t, "again")...)
		again = rapid.Permutation(again).Draw(t, "order")
		for batch := range slices.Chunk(again, rapid.IntRange(1, 15).Draw(t, "batch")) {
			lines := make([]string, len(batch))
			for i, e := range batch {
				lines[i] = e.line()
			}
			w.send(t, workspace, lines...)
		}
		changes := w.changes(t)
		deliveries := append(slices.Clone(changes), rapid.SliceOfN(rapid.SampledFrom(changes), 0, len(changes)).Draw(t, "delivered again")...)
		deliveries = rapid.Permutation(deliveries).Draw(t, "delivered")
		var handlers errgroup.Group
		for batch := range slices.Chunk(deliveries, rapid.IntRange(1, len(deliveries)).Draw(t, "handled")) {
			handlers.Go(func() error { return errors.Join(w.Follow(context.Background(), batch)...) })
		}
		if err := handlers.Wait(); err != nil {
			t.Fatalf("%v", err)
		}
		p := usage.Period{Start: at(-rapid.IntRange(0, 75).Draw(t, "start")), Interval: rapid.SampledFrom(usage.Intervals).Draw(t, "interval")}
		p.End = p.Start + int64(rapid.IntRange(1, 80).Draw(t, "length"))*day
		for _, account := range []string{"", "a", "b"} {
			for _, user := range []string{"", "u", "v", "w"} {
				if account == "" && user != "" {
					continue
				}
				var r *usage.Report
				var err error
				switch {
				case account == "":
					r, err = w.Workspace(context.Background(), workspace, p)
				case user == "":
					r, err = w.Account(context.Background(), workspace, account, p)
				default:
					r, err = w.User(context.Background(), workspace, account, user, p)
				}
				if err != nil {
					t.Fatalf("%v", err)
				}
				check(t, known, func(e sent) bool { return (account == "" || e.account == account) && (user == "" || e.user == user) }, r, account+"/"+user)
			}
		}
	})
}

func check(t *rapid.T, known model, keep func(sent) bool, r *usage.Report, who string) {
	end := r.Totals.End
	for name, window := range map[string]struct {
		got  int64
		days int64
	}{"daily": {r.Daily, 1}, "weekly": {r.Weekly, 7}, "monthly": {r.Monthly, 30}} {
		if _, _, _, users, _, _ := known.report(keep, end-window.days*day, end); int64(users) != window.got {
			t.Fatalf("%s: %s active users %d, not %d", who, name, window.got, users)
		}
	}
	from := r.Totals.Start
	for _, u := range append(slices.Clone(r.Results), r.Totals) {
		if u.Start != from && u.Start != r.Totals.Start {
			t.Fatalf("%s: there is a hole before %d", who, u.Start)
		}
		from = u.End
		events, sessions, active, users, modules, features := known.report(keep, u.Start, u.End)
		gotModules, gotFeatures := map[string]float64{}, map[string]float64{}
		for _, m := range u.Modules {
			gotModules[m.Module] = float64(m.TimeSpent)
		}
		for _, f := range u.Features {
			gotFeatures[f.Feature] = f.Total
		}
		if u.Events != events || u.Sessions != sessions || u.ActiveDuration != active || u.ActiveUsers != int64(users) ||
			!maps.Equal(gotModules, modules) || !maps.Equal(gotFeatures, features) {
			t.Fatalf("%s: from %d to %d\n%s\nnot %d events, %d sessions, %d active, %d users, %v, %v", who, u.Start, u.End, text(u), events, sessions, active, users, modules, features)
		}
	}
}

func trimAll(w *world) error {
	changes, err := w.table.Changes(context.Background(), "", 100_000)
	if err != nil || len(changes) == 0 {
		return err
	}
	return w.table.Trim(context.Background(), changes[len(changes)-1].Sequence)
}

func TestEventsWaitForTheirUserAndAccount(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.account(t, "acme", "a")
	w.send(t, "acme",
		fmt.Sprintf(`{"action":"feature","feature":"f","userId":"u","createdAt":"%d"}`, at(-1)),
		fmt.Sprintf(`{"action":"feature","feature":"f","userId":"u","createdAt":"%d"}`, at(-2)),
		fmt.Sprintf(`{"action":"feature","feature":"f","user_id":"v","account_id":"later","created_at":%d}`, at(-1)))
	w.follow(t)
	w.follow(t) // the feed tells of them twice
	all, next, err := w.Unattached(ctx, "acme", "", 10)
	if err != nil || next != "" || len(all) != 2 {
		t.Fatalf("%+v, %q, %v", all, next, err)
	}
	slices.SortFunc(all, func(a, b usage.Unattached) int { return b.Count - a.Count })
	if all[0].Kind != "user" || all[0].ID != "u" || all[0].Count != 2 || all[0].First != at(-2) || all[0].Last != at(-1) || all[0].Why != "There is no user 'u'" ||
		all[1].Kind != "account" || all[1].ID != "later" || all[1].Count != 1 {
		t.Errorf("%+v", all)
	}
	first, more, err := w.Unattached(ctx, "acme", "", 1)
	if err != nil || len(first) != 1 || more == "" {
		t.Errorf("%+v, %q, %v", first, more, err)
	}
	second, more, err := w.Unattached(ctx, "acme", more, 1)
	if err != nil || len(second) != 1 || more != "" || second[0] == first[0] {
		t.Errorf("%+v, %q, %v", second, more, err)
	}

	if err := w.Tick(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	w.user(t, "acme", "a", "u")
	if err := w.Tick(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	p := usage.Period{Start: at(-7), End: at(0), Interval: usage.Week}
	if r, err := w.User(ctx, "acme", "a", "u", p); err != nil || r.Totals.Events != 2 || *r.FirstSeen != at(-2) || *r.LastSeen != at(-1) {
		t.Errorf("%s, %v", text(r), err)
	}
	w.account(t, "acme", "later")
	if err := w.Tick(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if r, err := w.Account(ctx, "acme", "later", p); err != nil || r.Totals.Events != 1 || r.Totals.ActiveUsers != 1 {
		t.Errorf("%s, %v", text(r), err)
	}
	if all, _, err := w.Unattached(ctx, "acme", "", 10); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	// They do not count again when they come again.
	w.follow(t)
	if r, err := w.Workspace(ctx, "acme", p); err != nil || r.Totals.Events != 3 || r.Totals.ActiveUsers != 2 || *r.Totals.ActiveAccounts != 2 {
		t.Errorf("%s, %v", text(r), err)
	}
	if all, _, err := w.Unattached(ctx, "acme", "", 10); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAnEventOfAUserOfSeveralAccountsWaits(t *testing.T) {
	w := newWorld(t)
	w.account(t, "acme", "a", "b")
	w.user(t, "acme", "a", "u")
	w.user(t, "acme", "b", "u")
	w.send(t, "acme", fmt.Sprintf(`{"action":"x","user_id":"u","created_at":%d}`, at(0)))
	w.follow(t)
	if all, _, err := w.Unattached(t.Context(), "acme", "", 10); err != nil || len(all) != 1 || all[0].Why != "The user 'u' belongs to several accounts, such as 'a' and 'b'" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestABusyUsersDayIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	w.account(t, "acme", "a")
	var lines []string
	for i := range 12_500 {
		lines = append(lines, fmt.Sprintf(`{"action":"tick","account_id":"a","user_id":"robot","created_at":%d,"n":%d}`, at(0), i))
	}
	for range 2 {
		for some := range slices.Chunk(lines, 700) {
			w.send(t, "acme", some...)
			w.follow(t)
			if err := trimAll(w); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := w.Account(t.Context(), "acme", "a", usage.Period{Start: at(0), End: at(0) + 1, Interval: usage.Day})
	if err != nil || r.Totals.Events != 12_500 || r.Daily != 1 {
		t.Errorf("%s, %v", text(r), err)
	}
}

func TestNamesWithoutEndStayWithinAnItem(t *testing.T) {
	w := newWorld(t)
	w.account(t, "acme", "a")
	for n := range 8 {
		var lines []string
		for i := range 500 {
			lines = append(lines, fmt.Sprintf(`{"action":"feature","account_id":"a","user_id":"u%d","created_at":%d,"feature":"%0200d"}`, i%7, at(0), n*500+i))
		}
		w.send(t, "acme", lines...)
	}
	w.follow(t)
	r, err := w.Account(t.Context(), "acme", "a", usage.Period{Start: at(0), End: at(1), Interval: usage.Day})
	if err != nil || r.Totals.Events != 4000 || len(r.Totals.Features) < 100 {
		t.Fatalf("%v", err)
	}
	sum := 0.0
	for _, f := range r.Totals.Features {
		sum += f.Total
	}
	if sum != 4000 || r.Totals.Features[0].Feature != "(other)" {
		t.Errorf("%v of %s", sum, text(r.Totals.Features[0]))
	}
}

// failing fails every so many writes, before or after they are carried out.
type failing struct {
	table.Table
	every int64
	n     atomic.Int64
}

var errFailing = errors.New("the store has failed")

func (f *failing) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	switch f.n.Add(1) % f.every {
	case 0:
		return errFailing
	case 1:
		return errors.Join(f.Table.Transact(ctx, ops, guard), errFailing)
	}
	return f.Table.Transact(ctx, ops, guard)
}

func TestWhatFailsInTheMiddleIsCountedOnceByTheNextTry(t *testing.T) {
	w := newWorld(t)
	var lines []string
	for a := range 20 {
		w.account(t, "acme", fmt.Sprint("a", a))
		for u := range 30 {
			lines = append(lines, fmt.Sprintf(`{"action":"x","account_id":"a%d","user_id":"u%d","created_at":%d,"session_id":"s"}`, a, u, at(-u%3)))
		}
	}
	w.send(t, "acme", lines...)
	broken := w.over(&failing{Table: w.table, every: 4})
	tries := 0
	for ; tries < 100; tries++ {
		if errors.Join(broken.Follow(t.Context(), w.changes(t))...) == nil {
			break
		}
	}
	if tries == 0 || tries == 100 {
		t.Errorf("%d tries", tries)
	}
	r, err := w.Workspace(t.Context(), "acme", usage.Period{Start: at(-5), End: at(1), Interval: usage.Day})
	if err != nil || r.Totals.Events != 600 || r.Totals.Sessions != 600 || r.Totals.ActiveUsers != 600 || *r.Totals.ActiveAccounts != 20 {
		t.Errorf("%s, %v", text(r.Totals), err)
	}
}

func TestWhatCouldNotBeCountedIsPutOff(t *testing.T) {
	w := newWorld(t)
	w.account(t, "acme", "a")
	w.send(t, "acme", fmt.Sprintf(`{"action":"x","account_id":"a","user_id":"u","created_at":%d}`, at(0)))
	changes := w.changes(t)
	broken := w.over(&failing{Table: w.table, every: 1})
	if errors.Join(broken.Follow(t.Context(), changes)...) == nil {
		t.Fatal("nothing has failed")
	}
	if err := w.PutOff(t.Context(), changes[0]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Tick(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		r, err := w.Account(t.Context(), "acme", "a", usage.Period{Start: at(0), End: at(1), Interval: usage.Day})
		if err != nil || r.Totals.Events != 1 {
			t.Errorf("%s, %v", text(r.Totals), err)
		}
	}
}

func TestEventsThatCannotBeCountedHoldUpNoOthers(t *testing.T) {
	w := newWorld(t)
	w.account(t, "acme", "a")
	w.send(t, "acme", fmt.Sprintf(`{"action":"feature","feature":"F","account_id":"a","created_at":%d}`, at(0)))
	change := w.changes(t)[0]
	broken := *change.New
	broken.Sort, broken.Body = "0000000000000/BROKEN/000", []byte(`{"events":"="}`)
	if err := errors.Join(w.table.Write(t.Context(), []table.Op{table.Put(broken, table.Condition{})}, nil)...); err != nil {
		t.Fatal(err)
	}
	w.send(t, "acme", fmt.Sprintf(`{"action":"feature","feature":"F","user_id":"u","created_at":%d}`, at(0)))
	if err := errors.Join(w.Follow(t.Context(), w.changes(t)[len(w.changes(t))-1:])...); err != nil {
		t.Fatal(err)
	}
	w.user(t, "acme", "a", "u")
	for _, of := range []table.Change{{New: &broken}, change} {
		if err := w.PutOff(t.Context(), of); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Tick(t.Context(), "acme"); err == nil {
		t.Error("nothing is said of what cannot be read")
	}
	report, err := w.Account(t.Context(), "acme", "a", usage.Period{Start: at(0), End: at(0) + 1, Interval: usage.Day})
	if err != nil || report.Totals.Events != 2 {
		t.Errorf("%d events are counted, %v", report.Totals.Events, err)
	}
}
