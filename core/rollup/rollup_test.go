package rollup_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"tenure/core/accounts"
	"tenure/core/resource"
	"tenure/core/subscriptions"
	"tenure/core/table"
)

// TestAnyOrderOfTheFeedEndsInTheSame shows that changes may come late, twice, in
// any order and to several handlers at once: what they end in is what deriving
// every account from scratch gives. In the order of the clock, movements add up
// to MRR (contract S4), and deriving once more writes nothing but the state.
func TestAnyOrderOfTheFeedEndsInTheSame(t *testing.T) {
	w := newWorld(t)
	ids := []string{"a", "b", "c"}
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		fed, scratch := fmt.Sprintf("fed%d", checks), fmt.Sprintf("scratch%d", checks)
		both := []string{fed, scratch}
		for _, workspace := range both {
			w.post(t, workspace, accounts.Family, account("a"), account("b"), account("c"))
		}
		var recorded []table.Change
		known := map[string]bool{}
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			early := append([]table.Change{}, recorded...)
			var handlers errgroup.Group
			handlers.Go(func() error { return errors.Join(w.Changes(t.Context(), early)...) })
			for range rapid.IntRange(1, 6).Draw(t, "events") {
				w.happen(t, both, known)
			}
			if err := handlers.Wait(); err != nil {
				t.Fatalf("%v", err)
			}
			for _, c := range w.changes(t) {
				if strings.HasPrefix(c.Key().Partition, fed+"/") {
					recorded = append(recorded, c)
				}
			}
		}
		deliveries := append(slices.Clone(recorded), rapid.SliceOfN(rapid.SampledFrom(recorded), 0, len(recorded)).Draw(t, "again")...)
		deliveries = rapid.Permutation(deliveries).Draw(t, "order")
		var handlers errgroup.Group
		for batch := range slices.Chunk(deliveries, rapid.IntRange(1, len(deliveries)).Draw(t, "batch")) {
			handlers.Go(func() error { return errors.Join(w.Changes(t.Context(), batch)...) })
		}
		if err := handlers.Wait(); err != nil {
			t.Fatalf("%v", err)
		}
		var written []string
		_, watched := w.over(&inFront{Table: w.store, before: func(ops []table.Op) error {
			for _, op := range ops {
				written = append(written, op.Item.Partition)
			}
			return nil
		}})
		if failed := w.Accounts(t.Context(), scratch, ids...); len(failed) > 0 {
			t.Fatalf("%v", failed)
		}
		for _, id := range ids {
			if got, want := w.read(t, fed, id), w.read(t, scratch, id); got != want {
				t.Fatalf("by the feed the account is\n%s\nfrom scratch\n%s", got, want)
			}
			got, _ := w.ledger(t, fed, id)
			want, _ := w.ledger(t, scratch, id)
			if !slices.Equal(got, want) {
				t.Fatalf("by the feed the ledger of %s is\n%s\nfrom scratch\n%s", id, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			w.addsUp(t, fed, id)
		}
		if failed := watched.Accounts(t.Context(), fed, ids...); len(failed) > 0 {
			t.Fatalf("%v", failed)
		}
		if got, want := w.wakes(t, fed), w.wakes(t, scratch); !slices.Equal(got, want) {
			t.Fatalf("by the feed the clock has %q, from scratch %q", got, want)
		}
		if len(written) != len(ids) || slices.ContainsFunc(written, func(p string) bool { return !strings.HasPrefix(p, fed+"/derived/") }) {
			t.Fatalf("deriving again writes to %q", written)
		}
	})
}

// happen changes a subscription in the same way in several workspaces.
func (w *world) happen(t *rapid.T, workspaces []string, known map[string]bool) {
	account := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "account")
	id := account + rapid.SampledFrom([]string{"1", "2"}).Draw(t, "subscription")
	day := rapid.IntRange(-6, 6).Draw(t, "day")
	kind := rapid.SampledFrom([]string{"revenue", "revenue", "renewal", "current", "end", "remove", "remove segment"}).Draw(t, "kind")
	if !known[id] && kind != "renewal" && kind != "current" {
		kind = "revenue"
	}
	cents := rapid.SampledFrom([]int{0, 1, 100, 250, -30}).Draw(t, "cents")
	var more []string
	if rapid.Bool().Draw(t, "closed") {
		more = append(more, fmt.Sprintf(`"effective_end_date":%d`, at(day+rapid.IntRange(1, 5).Draw(t, "days"))))
	}
	if kind != "end" && rapid.Bool().Draw(t, "due") {
		more = append(more, fmt.Sprintf(`"next_renewal_date":%d`, at(day+rapid.IntRange(1, 9).Draw(t, "in"))))
	}
	for _, workspace := range workspaces {
		target := resource.Target{Workspace: workspace, Family: subscriptions.Family, ID: id}
		var err error
		switch kind {
		case "remove":
			_, err = w.Remove(t.Context(), target)
		case "remove segment":
			_, err = w.Edit(t.Context(), target, subscriptions.RemoveSegment(at(day), w.Now())) // there may be none
		default:
			w.post(t, workspace, subscriptions.Family, event(kind, account, id, day, cents, more...))
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	records, err := w.Read(t.Context(), resource.Target{Workspace: workspaces[0], Family: subscriptions.Family, ID: id})
	if err != nil {
		t.Fatalf("%v", err)
	}
	known[id] = len(records) > 0
}

// TestTheClockFollows shows what changes by time alone: values at once, lists
// with the next tick, and that nothing is left to do when all is over.
func TestTheClockFollows(t *testing.T) {
	w := newWorld(t)
	w.post(t, "acme", accounts.Family, account("a"))
	w.post(t, "acme", subscriptions.Family,
		event("revenue", "a", "early", -20, 100), event("revenue", "a", "early", 10, 300), event("end", "a", "early", 30, 0),
		event("revenue", "a", "late", 20, 50, fmt.Sprintf(`"effective_end_date":%d`, at(40))),
		event("revenue", "a", "still", -10, 0))
	w.follow(t)
	w.tick(t, "acme", 0)
	for _, x := range []struct {
		days   int
		before string
		mrr    string
		order  string // of /subscriptions once the clock was followed
		left   int
	}{
		{0, "", "100", "early still late", 1},
		{9, "100", "100", "early still late", 1},
		{10, "300", "300", "still early late", 1},
		{20, "350", "350", "still early late", 1},
		{30, "50", "50", "still early late", 1},
		{45, "0", "0", "still early late", 0}, // the end, missed by five days
	} {
		days := time.Duration(at(x.days)-w.Now()) * time.Millisecond
		w.clock.Advance(max(days, 0))
		w.mrrIs(t, "acme", "a", x.mrr)
		if x.days == 10 && w.subscriptionOrder(t, "acme") == x.order {
			t.Error("the list knows of the change before the clock was followed")
		}
		due := 0
		if x.days >= 10 {
			due = 1
		}
		w.tick(t, "acme", due)
		w.tick(t, "acme", 0)
		w.mrrIs(t, "acme", "a", x.mrr)
		if got := w.subscriptionOrder(t, "acme"); got != x.order {
			t.Errorf("on day %d the list is %s, want %s", x.days, got, x.order)
		}
		if got := w.wakes(t, "acme"); len(got) != x.left {
			t.Errorf("on day %d the clock has %q, want %d", x.days, got, x.left)
		}
	}
	w.addsUp(t, "acme", "a")
}

// TestManyFutureStates shows that an account whose values change more often than
// is kept with it is right all the same, by the clock.
func TestManyFutureStates(t *testing.T) {
	const n = 45
	w := newWorld(t)
	w.post(t, "acme", accounts.Family, account("a"))
	var events []string
	for i := range n {
		events = append(events, event("revenue", "a", "s", i, 100+i))
	}
	w.post(t, "acme", subscriptions.Family, events...)
	w.follow(t)
	w.clock.Advance(15 * day * time.Millisecond)
	w.mrrIs(t, "acme", "a", "115") // without the clock
	for i := 16; i < n; i++ {
		w.clock.Advance(day * time.Millisecond)
		w.tick(t, "acme", 1)
		w.mrrIs(t, "acme", "a", fmt.Sprint(100+i))
	}
	if left := w.wakes(t, "acme"); len(left) > 0 {
		t.Errorf("the clock has %q", left)
	}
	w.addsUp(t, "acme", "a")
}

// TestAFailureIsReportedForItsChangesAlone shows that an account that cannot be
// derived holds up no other, and is taken up again by the clock once it is
// postponed.
func TestAFailureIsReportedForItsChangesAlone(t *testing.T) {
	w := newWorld(t)
	errBroken := fmt.Errorf("%w: simulated", table.ErrUnavailable)
	broken := true
	front := &inFront{Table: w.store, before: func(ops []table.Op) error {
		for _, op := range ops {
			if broken && strings.HasPrefix(op.Item.Partition, "acme/derived/") && strings.Contains(string(op.Item.Body), `"bad"`) {
				return errBroken
			}
		}
		return nil
	}}
	w.Engine, w.Rollup = w.over(front)
	w.post(t, "acme", accounts.Family, account("bad"), account("good"), account("fine"))
	w.post(t, "acme", subscriptions.Family, event("revenue", "good", "g", 0, 1), event("revenue", "bad", "b", 0, 2), event("revenue", "fine", "f", 0, 3),
		event("revenue", "bad", "c", 0, 4))
	w.post(t, "acme", subscriptions.Family, event("revenue", "good", "g", 1, 5))
	changes := slices.DeleteFunc(w.changes(t), func(c table.Change) bool { return !strings.Contains(c.Key().Partition, "/subscriptions/") })
	errs := w.Changes(t.Context(), changes)
	if len(errs) != len(changes) {
		t.Fatalf("%d errors for %d changes", len(errs), len(changes))
	}
	failed := 0
	for i, c := range changes {
		id, known := w.AccountIn(subscriptions.Family, c.New)
		if bad := known && id == "bad"; errors.Is(errs[i], errBroken) != bad || (errs[i] != nil) != bad {
			t.Errorf("the change of a subscription of %q: %v", id, errs[i])
		}
		if errs[i] != nil {
			failed++
		}
	}
	putOff := 0
	if errs := w.Follow(t.Context(), changes, time.Minute, func(change table.Change, err error) {
		if id, _ := w.AccountIn(subscriptions.Family, change.New); id != "bad" || !errors.Is(err, errBroken) {
			t.Errorf("a change of %q is put off: %v", id, err)
		}
		putOff++
	}); errs != nil {
		t.Errorf("%v", errs)
	}
	if failed != 2 || putOff != 2 {
		t.Errorf("%d changes failed, %d were put off, want the two of the account", failed, putOff)
	}
	w.mrrIs(t, "acme", "good", "1")
	w.mrrIs(t, "acme", "fine", "3")
	w.mrrIs(t, "acme", "bad", "null")
	w.tick(t, "acme", 0) // not at once

	w.clock.Advance(2 * time.Minute)
	if n, err := w.Tick(t.Context(), "acme"); n != 0 || !errors.Is(err, errBroken) || !strings.Contains(err.Error(), `"bad"`) {
		t.Errorf("while it is broken %d were derived, %v", n, err)
	}
	w.tick(t, "acme", 0) // put off again, so that it holds up no other
	broken = false
	w.clock.Advance(2 * time.Minute)
	w.tick(t, "acme", 1)
	w.mrrIs(t, "acme", "bad", "6")
	w.addsUp(t, "acme", "bad")
	w.tick(t, "acme", 0)
	if left := w.wakes(t, "acme"); len(left) != 1 { // the change of good that is to come
		t.Errorf("the clock has %q", left)
	}
}

// TestAWorkspaceIsDerivedAnew shows that all accounts of a workspace can be
// derived from what is stored, and that one that fails holds up no other.
func TestAWorkspaceIsDerivedAnew(t *testing.T) {
	w := newWorld(t)
	errBroken := fmt.Errorf("%w: simulated", table.ErrUnavailable)
	front := &inFront{Table: w.store, before: func(ops []table.Op) error {
		for _, op := range ops {
			if strings.HasPrefix(op.Item.Partition, "acme/derived/") && strings.Contains(string(op.Item.Body), `"bad"`) {
				return errBroken
			}
		}
		return nil
	}}
	w.Engine, w.Rollup = w.over(front)
	const n = resource.MaxPageSize + 50
	var all []string
	for i := range n {
		all = append(all, account(fmt.Sprintf("a%04d", i)))
	}
	w.post(t, "acme", accounts.Family, append(all, account("bad"))...)
	w.post(t, "acme", subscriptions.Family, event("revenue", "a0000", "s", 0, 7), event("revenue", fmt.Sprintf("a%04d", n-1), "l", 0, 8), event("revenue", "bad", "b", 0, 9))
	derived, err := w.Workspace(t.Context(), "acme")
	if derived != n || !errors.Is(err, errBroken) || !strings.Contains(err.Error(), `"bad"`) {
		t.Errorf("%d derived, %v", derived, err)
	}
	w.mrrIs(t, "acme", "a0000", "7")
	w.mrrIs(t, "acme", fmt.Sprintf("a%04d", n-1), "8")
	w.mrrIs(t, "acme", "bad", "null")
	if derived, err := w.Workspace(t.Context(), "globex"); derived != 0 || err != nil {
		t.Errorf("a workspace without accounts: %d, %v", derived, err)
	}
}

// TestALongLedger shows that a ledger which takes several transactions is
// written, rewritten and removed, also when the writer dies in between.
func TestALongLedger(t *testing.T) {
	const n = 450
	w := newWorld(t)
	w.post(t, "acme", accounts.Family, account("a"))
	var events []string
	for i := range n {
		events = append(events, event("revenue", "a", "s", i-2*n, 100+i))
	}
	w.post(t, "acme", subscriptions.Family, events...)
	w.follow(t)
	is := func(movements int, mrr string) {
		t.Helper()
		if got, _ := w.ledger(t, "acme", "a"); len(got) != movements {
			t.Errorf("%d movements, want %d", len(got), movements)
		}
		w.mrrIs(t, "acme", "a", mrr)
		w.addsUp(t, "acme", "a")
	}
	is(n, "549")

	// Another subscription from the beginning on changes every movement.
	w.post(t, "acme", subscriptions.Family, event("revenue", "a", "t", -2*n, 1000))
	changes := w.changes(t)
	errDead := fmt.Errorf("%w: simulated", table.ErrUnavailable)
	for dies := 1; ; dies++ { // at every write in turn
		writes := 0
		_, dying := w.over(&inFront{Table: w.store, before: func([]table.Op) error {
			if writes++; writes >= dies {
				return errDead
			}
			return nil
		}})
		err := errors.Join(dying.Changes(t.Context(), changes)...)
		if err == nil {
			break
		}
		if !errors.Is(err, errDead) {
			t.Fatal(err)
		}
		if dies > 20 {
			t.Fatal("it never ends")
		}
	}
	is(n, "1549")

	if failure, err := w.Remove(t.Context(), resource.Target{Workspace: "acme", Family: subscriptions.Family, ID: "s"}); failure != nil || err != nil {
		t.Fatal(failure, err)
	}
	w.follow(t)
	is(1, "1000")
}

// TestWhoReadOlderSubscriptionsLoses shows that of two who derive an account at
// once, the one that read before a change does not write over the one that read
// after it.
func TestWhoReadOlderSubscriptionsLoses(t *testing.T) {
	w := newWorld(t)
	w.post(t, "acme", accounts.Family, account("a"))
	w.post(t, "acme", subscriptions.Family, event("revenue", "a", "s", 0, 1), event("revenue", "a", "s", 5, 2))
	for _, before := range []string{"never derived", "derived before"} {
		t.Run(before, func(t *testing.T) {
			reached, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			attempts := 0 // to write the state
			_, slow := w.over(&inFront{Table: w.store, before: func(ops []table.Op) error {
				if slices.ContainsFunc(ops, func(op table.Op) bool { return strings.HasPrefix(op.Item.Partition, "acme/derived/") }) {
					attempts++
					once.Do(func() {
						close(reached)
						<-release
					})
				}
				return nil
			}})
			done := make(chan map[string]error, 1)
			go func() { done <- slow.Accounts(t.Context(), "acme", "a") }()
			<-reached
			cents := 10 + len(before)
			w.post(t, "acme", subscriptions.Family, event("revenue", "a", "s", -3, cents))
			w.follow(t)
			w.mrrIs(t, "acme", "a", fmt.Sprint(cents))
			close(release)
			if failed := <-done; len(failed) > 0 {
				t.Fatal(failed)
			}
			w.mrrIs(t, "acme", "a", fmt.Sprint(cents))
			w.addsUp(t, "acme", "a")
			if attempts != 2 {
				t.Errorf("the one who read first wrote %d times, want once in vain and once more", attempts)
			}
			if left := w.wakes(t, "acme"); len(left) > 0 {
				t.Errorf("the clock has %q", left)
			}
		})
	}
}

// TestALargeSubscription shows that a subscription whose body does not fit into
// an item reaches its account through the feed, and leaves it.
func TestALargeSubscription(t *testing.T) {
	const n = 520
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	chance := func(length int) string {
		text := make([]rune, length)
		for i := range text {
			text[i] = rune(0x10000 + random.IntN(0x100000))
		}
		return string(text)
	}
	w.post(t, "acme", accounts.Family, account("a"), account("b"))
	w.post(t, "acme", subscriptions.Family, event("revenue", "b", "small", 0, 7))
	var events []string
	for i := range n {
		events = append(events, event("revenue", "a", "s", i-n, 1+i, fmt.Sprintf(`"plan_code":"%s","source":"%s"`, chance(128), chance(80))))
	}
	w.post(t, "acme", subscriptions.Family, events...)
	changes := w.changes(t)
	parted := slices.ContainsFunc(changes, func(c table.Change) bool { return c.New != nil && strings.HasPrefix(string(c.New.Body), `{"~parts"`) })
	if !parted {
		t.Fatal("the subscription fits into an item")
	}
	if err := errors.Join(w.Changes(t.Context(), changes)...); err != nil {
		t.Fatal(err)
	}
	w.mrrIs(t, "acme", "a", fmt.Sprint(n))
	w.mrrIs(t, "acme", "b", "7")
	w.addsUp(t, "acme", "a")
	w.post(t, "acme", subscriptions.Family, event("end", "a", "s", -1, 0))
	w.follow(t)
	w.mrrIs(t, "acme", "a", "0")
	if failure, err := w.Remove(t.Context(), resource.Target{Workspace: "acme", Family: subscriptions.Family, ID: "s"}); failure != nil || err != nil {
		t.Fatal(failure, err)
	}
	w.follow(t)
	w.mrrIs(t, "acme", "a", "null")
	if left, _ := w.ledger(t, "acme", "a"); len(left) > 0 {
		t.Errorf("%d movements are left", len(left))
	}
}
