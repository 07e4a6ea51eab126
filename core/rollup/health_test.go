package rollup_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/health"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/subscriptions"
	"tenure/core/table"
	"tenure/core/tickets"
	"tenure/core/usage"
)

// soon is longer than it takes until an account is assessed after a change, rarely than
// after events.
const soon, rarely = 6 * time.Minute, 61 * time.Minute

func never() bool { return false }

// assess has the clock assess what is due.
func (w *world) assess(t failer, workspace string) {
	t.Helper()
	if err := w.TickHealth(t.Context(), workspace, never); err != nil {
		t.Fatalf("%v", err)
	}
}

// latest returns the last assessment of an account.
func (w *world) latest(t failer, workspace, id string) health.Latest {
	t.Helper()
	l, found, err := w.kept().Latest(t.Context(), workspace, id)
	if err != nil || !found {
		t.Fatalf("the assessment of %s: %v, %v", id, found, err)
	}
	return l
}

func (w *world) kept() *health.Store { return health.NewStore(w.store, w.clock.Now) }

// scoreIs checks current_health_score, given as JSON, and that the assessment says the
// same.
func (w *world) scoreIs(t failer, workspace, id, want string) {
	t.Helper()
	if got := w.read(t, workspace, id); !strings.Contains(got, `"current_health_score":`+want+`,`) {
		t.Fatalf("the account %s, want a score of %s: %s", id, want, got)
	}
	l, found, err := w.kept().Latest(t.Context(), workspace, id)
	got := "null"
	if l.Score != nil {
		got = fmt.Sprint(*l.Score)
	}
	if err != nil || found && got != want {
		t.Fatalf("the assessment of %s says %s, want %s: %v", id, got, want, err)
	}
}

func part(l health.Latest, name string) health.Part {
	return l.Parts[slices.Index(health.PartNames, name)]
}

// send has a session of each user of an account on each of the days.
func (w *world) send(t failer, workspace, account string, users int, days ...int) {
	t.Helper()
	store := usage.New(usage.Config{Table: w.store, Engine: w.Engine, Now: w.clock.Now})
	var events []*usage.Event
	for _, d := range days {
		for u := range users {
			line := fmt.Sprintf(`{"action":"sessionSync","account_id":%q,"user_id":"u%d","session_id":"s%d-%d","active_duration":1000,"created_at":%d}`, account, u, d, u, at(d)+int64(u))
			e, failure := usage.Parse([]byte(line), w.Now())
			if failure != nil {
				t.Fatalf("%v", failure)
			}
			events = append(events, e)
		}
	}
	if err := store.Append(t.Context(), workspace, events); err != nil {
		t.Fatalf("%v", err)
	}
}

func ticket(account, id, state, priority string, day int) string {
	return fmt.Sprintf(`{"ticket_id":%q,"account_id":%q,"state":%q,"priority":%q,"create_time":%d,"subject":"s"}`, id, account, state, priority, at(day))
}

func nps(account string, score, day int) string {
	return fmt.Sprintf(`{"account_id":%q,"name":"n","join_date":1,"nps_history":[{"nps_score":%d,"date":%d,"username":"u"}]}`, account, score, at(day))
}

// known gives an account subscriptions, tickets and scores: revenue 100 less 17 of no
// growth, support 100 (3 tickets in 28 days are usual, none open), NPS 100.
func (w *world) known(t failer, workspace, id string) {
	t.Helper()
	w.post(t, workspace, accounts.Family, nps(id, 50, -10))
	w.post(t, workspace, subscriptions.Family, event("revenue", id, id+"-sub", -200, 1000, fmt.Sprintf(`"next_renewal_date":%d`, at(20))))
	var all []string
	for i := range 36 {
		all = append(all, ticket(id, fmt.Sprintf("%s-t%d", id, i), "solved", "normal", -40-9*i))
	}
	w.post(t, workspace, tickets.Family, all...)
	w.post(t, workspace, people.Users, fmt.Sprintf(`{"account_id":%q,"user_id":"u0","first_name":"F","last_name":"L"}`, id))
}

// TestHealthFollowsFromAllThatIsKnown follows an account from its first record on: each
// kind of input has it assessed, soon but not at once.
func TestHealthFollowsFromAllThatIsKnown(t *testing.T) {
	w := newWorld(t)
	w.known(t, "acme", "a")
	w.scoreIs(t, "acme", "a", "null")
	w.follow(t)
	w.scoreIs(t, "acme", "a", "null") // not at once
	w.clock.Advance(soon)
	w.assess(t, "acme")
	// (20*100 + 15*100 + 20*83) / 55 = 93.8
	w.scoreIs(t, "acme", "a", "94")
	l := w.latest(t, "acme", "a")
	if p := part(l, "renewal"); p.Status != health.DoesNotCount || p.Inputs["days_to_renewal"] != 20 {
		t.Errorf("%+v", p)
	}
	if p := part(l, "nps"); p.Inputs["days_since_answer"] != 10 || p.Inputs["score"] != 50 {
		t.Errorf("%+v", p)
	}
	if p := part(l, "support"); p.Inputs["created_before"] != 36 || p.Inputs["days_before"] != 328 || p.Inputs["created_90_days"] != 6 {
		t.Errorf("%+v", p)
	}
	if p := part(l, "usage"); p.Status != health.NotEnoughData {
		t.Errorf("%+v", p)
	}

	is := func(step, want string, wait time.Duration) {
		t.Helper()
		before := w.latest(t, "acme", "a")
		w.follow(t)
		w.assess(t, "acme")
		if l := w.latest(t, "acme", "a"); !l.Same(before) {
			t.Errorf("%s: it is assessed at once", step)
		}
		w.clock.Advance(wait)
		w.assess(t, "acme")
		w.scoreIs(t, "acme", "a", want)
	}
	w.post(t, "acme", tickets.Family, ticket("a", "u1", "open", "urgent", -1), ticket("a", "u2", "open", "high", -1))
	is("tickets", "86", soon) // backlog 195 %: 58; unsolved 2 of 8: 75; new 65 %: 100; so (20*78 + 15*100 + 20*83) / 55 = 85.8
	w.post(t, "acme", accounts.Family, nps("a", -100, -1))
	is("a score", "65", soon) // the mean of 50 and -100: 25 points
	w.post(t, "acme", subscriptions.Family, event("revenue", "a", "a-sub", -1, 850))
	is("a subscription", "46", soon)
	w.send(t, "acme", "a", 1, -70, -60, -50, -40, -30, -20, -10, -1)
	is("usage", "63", rarely) // no change: 83, 83 and 100
	w.post(t, "acme", accounts.Family, `{"account_id":"a","is_churned":true}`)
	is("churn", "null", soon)
	if l := w.latest(t, "acme", "a"); l.Explanation != "No score: the account is inactive." {
		t.Errorf("%s", l.Explanation)
	}
}

// TestABurstCostsOneAssessment counts what is written while many changes of an account
// come in, and while nothing changes.
func TestABurstCostsOneAssessment(t *testing.T) {
	w := newWorld(t)
	var mutex sync.Mutex
	var written []string
	w.Engine, w.Rollup = w.over(&inFront{Table: w.store, before: func(ops []table.Op) error {
		mutex.Lock()
		defer mutex.Unlock()
		for _, op := range ops {
			written = append(written, op.Item.Partition)
		}
		return nil
	}})
	count := func(prefix string) (n int) {
		for _, p := range written {
			if strings.HasPrefix(p, prefix) {
				n++
			}
		}
		written = nil
		return n
	}
	w.known(t, "acme", "a")
	w.known(t, "globex", "a")
	w.follow(t)
	w.clock.Advance(soon)
	w.assess(t, "acme")
	if n := count("acme/health/account/"); n != 2 { // with why, and the month
		t.Errorf("the first assessment writes %d items", n)
	}
	for i := range 50 {
		w.post(t, "acme", tickets.Family, ticket("a", fmt.Sprintf("b%d", i), "open", "low", -1))
		w.follow(t)
		w.assess(t, "acme")
		w.clock.Advance(time.Second)
	}
	if n := count("acme/assess/"); n > 4 { // made due and done, over two stretches at most
		t.Errorf("a burst makes due and done %d times", n)
	}
	w.clock.Advance(soon)
	w.assess(t, "acme")
	if n := count("acme/health/account/"); n != 2 {
		t.Errorf("a burst writes %d items", n)
	}
	written = nil
	for range 20 {
		w.clock.Advance(soon)
		w.assess(t, "acme")
		w.follow(t) // what assessing has changed
	}
	if len(written) > 0 {
		t.Errorf("while nothing changes %q are written", written)
	}
	// What does not matter to health.
	w.post(t, "acme", accounts.Family, `{"account_id":"a","phone":"555 0100"}`)
	w.follow(t)
	if n := count("acme/assess/"); n > 0 {
		t.Errorf("a phone number has the account assessed")
	}
	w.scoreIs(t, "globex", "a", "null") // nobody ticked there
}

// TestEveryAccountIsAssessedDaily shows that the clock alone assesses every account
// once a day, also those that were there before there was anything to assess them, and
// keeps the days.
func TestEveryAccountIsAssessedDaily(t *testing.T) {
	w := newWorld(t)
	w.known(t, "acme", "a")
	w.post(t, "acme", accounts.Family, account("b"), account("gone"))
	w.post(t, "acme", accounts.Family, `{"account_id":"gone","is_deleted":true}`)
	w.changes(t) // nobody follows them
	w.assess(t, "acme")
	w.clock.Advance(soon)
	w.assess(t, "acme")
	w.scoreIs(t, "acme", "a", "94")
	w.scoreIs(t, "acme", "b", "null")
	for range 4*24 + 23 {
		w.clock.Advance(time.Hour)
		w.assess(t, "acme")
	}
	for id, want := range map[string]int{"a": 5, "b": 5, "gone": 0} {
		days, failure, err := w.kept().History(t.Context(), "acme", id, at(-30), at(30))
		if failure != nil || err != nil || len(days) != want {
			t.Fatalf("%s has %d days, want %d: %v %v", id, len(days), want, failure, err)
		}
		for i, d := range days {
			if d.Start != at(i) || (d.Score != nil) != (id == "a") || len(d.Points) != map[string]int{"a": 3}[id] {
				t.Errorf("day %d of %s: %+v", i, id, d)
			}
		}
	}
	if days, _, _ := w.kept().History(t.Context(), "acme", "a", at(2), at(3)); len(days) != 1 || days[0].Start != at(2) || *days[0].Score != 94 {
		t.Errorf("%+v", days)
	}
	if days, _, _ := w.kept().History(t.Context(), "globex", "a", at(-30), at(30)); len(days) != 0 {
		t.Errorf("another workspace has %+v", days)
	}
	// By time alone: the answer to the survey grows old, the renewal comes.
	if p := part(w.latest(t, "acme", "a"), "nps"); p.Inputs["days_since_answer"] != 14 {
		t.Errorf("%+v", p)
	}
}

// TestOtherSettingsAssessAllAccountsAnew shows that all accounts follow when the model
// is set otherwise, those of other workspaces not.
func TestOtherSettingsAssessAllAccountsAnew(t *testing.T) {
	w := newWorld(t)
	for _, workspace := range []string{"acme", "globex"} {
		w.known(t, workspace, "a")
		w.post(t, workspace, tickets.Family, ticket("a", "u1", "open", "urgent", -1), ticket("a", "u2", "open", "high", -1))
		w.follow(t)
		w.clock.Advance(soon)
		w.assess(t, workspace)
		w.scoreIs(t, workspace, "a", "86")
	}
	w.clock.Advance(soon)
	w.assess(t, "acme") // the first sweep has made it due once more
	failure, err := w.kept().SetSettings(t.Context(), "acme", func(s *health.Settings) *core.Failure {
		s.Weights = health.Weights{Support: 1, NPS: 0, Revenue: 1}
		return nil
	})
	if failure != nil || err != nil {
		t.Fatal(failure, err)
	}
	for _, workspace := range []string{"acme", "globex"} {
		w.assess(t, workspace)
	}
	w.scoreIs(t, "acme", "a", "86") // not at once
	w.clock.Advance(soon)
	for _, workspace := range []string{"acme", "globex"} {
		w.assess(t, workspace)
	}
	w.scoreIs(t, "acme", "a", "81") // (78 + 83) / 2
	w.scoreIs(t, "globex", "a", "86")
}

// TestASweepGoesOnWhereItWasLeft shows that accounts are made due a batch at a time,
// and all of them in the end.
func TestASweepGoesOnWhereItWasLeft(t *testing.T) {
	w := newWorld(t)
	const n = 2*resource.MaxPageSize + 50
	var all []string
	for i := range n {
		all = append(all, account(fmt.Sprintf("a%04d", i)))
	}
	w.post(t, "acme", accounts.Family, all...)
	due := func() int {
		t.Helper()
		items, err := w.store.Query(t.Context(), table.Query{Partition: "acme/assess/00", Limit: 10_000, Consistent: true})
		if err != nil {
			t.Fatal(err)
		}
		return len(items)
	}
	ticks, before := 0, 0
	for ; due() < n; ticks++ {
		if err := w.TickHealth(t.Context(), "acme", func() bool { return true }); err != nil {
			t.Fatal(err)
		}
		if now := due(); now <= before {
			t.Fatalf("after tick %d there are %d due, before there were %d", ticks, now, before)
		} else {
			before = now
		}
	}
	if ticks < 3 {
		t.Errorf("%d accounts are made due in %d ticks", n, ticks)
	}
}

// TestAnAccountThatCannotBeAssessedHoldsUpNoOther shows that it is tried again later.
func TestAnAccountThatCannotBeAssessedHoldsUpNoOther(t *testing.T) {
	w := newWorld(t)
	errBroken := fmt.Errorf("%w: simulated", table.ErrUnavailable)
	var bad string
	w.Engine, w.Rollup = w.over(&inFront{Table: w.store, before: func(ops []table.Op) error {
		for _, op := range ops {
			if bad != "" && op.Item.Partition == bad {
				return errBroken
			}
		}
		return nil
	}})
	w.known(t, "acme", "bad")
	w.known(t, "acme", "good")
	w.follow(t)
	w.clock.Advance(soon)
	bad = "acme/health/account/" + table.Digest("bad")
	if err := w.TickHealth(t.Context(), "acme", never); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	w.scoreIs(t, "acme", "good", "94")
	w.scoreIs(t, "acme", "bad", "null")
	w.assess(t, "acme") // not at once
	bad = ""
	w.clock.Advance(2 * time.Minute)
	w.assess(t, "acme")
	w.scoreIs(t, "acme", "bad", "94")
}

// TestChangesThatCannotMakeAnAccountDueComeAgain shows that no change is lost.
func TestChangesThatCannotMakeAnAccountDueComeAgain(t *testing.T) {
	w := newWorld(t)
	errBroken := fmt.Errorf("%w: simulated", table.ErrUnavailable)
	broken := true
	w.Engine, w.Rollup = w.over(&inFront{Table: w.store, before: func(ops []table.Op) error {
		if broken && slices.ContainsFunc(ops, func(op table.Op) bool { return strings.HasPrefix(op.Item.Partition, "acme/assess/") }) {
			return errBroken
		}
		return nil
	}})
	w.post(t, "acme", accounts.Family, account("a"))
	w.post(t, "acme", tickets.Family, ticket("a", "t", "open", "low", -1))
	w.send(t, "acme", "a", 1, -1)
	changes := w.changes(t)
	errs := w.Changes(t.Context(), changes)
	if len(changes) != 3 || len(errs) != 3 || errs[0] == nil || errs[1] == nil || errs[2] == nil {
		t.Fatalf("%d changes: %v", len(changes), errs)
	}
	left := w.Follow(t.Context(), changes, time.Minute, func(table.Change, error) {})
	if len(left) != 3 || left[0] == nil || left[1] == nil || left[2] != nil { // events wait elsewhere
		t.Fatalf("%v", left)
	}
	broken = false
	if errs := w.Changes(t.Context(), changes); errs != nil {
		t.Fatal(errs)
	}
	w.clock.Advance(soon)
	w.assess(t, "acme")
	w.latest(t, "acme", "a")
}

// TestWhoReadOlderRecordsHasNotTheLastWord shows that of two who assess an account at
// once, the one that read before a change does not keep what follows from it.
func TestWhoReadOlderRecordsHasNotTheLastWord(t *testing.T) {
	for _, writes := range []string{"/health/account/", "/accounts/"} {
		t.Run(writes, func(t *testing.T) {
			w := newWorld(t)
			w.known(t, "acme", "a")
			reached, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			_, slow := w.over(&inFront{Table: w.store, before: func(ops []table.Op) error {
				if slices.ContainsFunc(ops, func(op table.Op) bool { return strings.HasPrefix(op.Item.Partition, "acme"+writes) }) {
					once.Do(func() {
						close(reached)
						<-release
					})
				}
				return nil
			}})
			done := make(chan error, 1)
			go func() { done <- slow.Assess(t.Context(), "acme", "a") }()
			<-reached
			w.post(t, "acme", tickets.Family, ticket("a", "u1", "open", "urgent", -1), ticket("a", "u2", "open", "high", -1))
			if err := w.Assess(t.Context(), "acme", "a"); err != nil {
				t.Fatal(err)
			}
			w.scoreIs(t, "acme", "a", "86")
			close(release)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			w.scoreIs(t, "acme", "a", "86")
		})
	}
}

// TestByTheFeedHealthIsWhatItIsFromScratch shows for any changes that once they have
// been followed, and the clock has gone on, assessing an account changes nothing.
func TestByTheFeedHealthIsWhatItIsFromScratch(t *testing.T) {
	w := newWorld(t)
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		checks++
		workspace := fmt.Sprintf("w%d", checks)
		w.clock.Advance(24*time.Hour - time.Duration(w.Now()%day)*time.Millisecond) // far from the end of the day
		w.post(t, workspace, accounts.Family, account("a"), account("b"))
		w.post(t, workspace, people.Users, `{"account_id":"a","user_id":"u0","first_name":"F","last_name":"L"}`)
		today := int((w.Now() - startOfTime) / day)
		ids := rapid.SampledFrom([]string{"a", "b"})
		for range rapid.IntRange(1, 10).Draw(t, "changes") {
			id, d := ids.Draw(t, "account"), today+rapid.IntRange(-150, 0).Draw(t, "day")
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				w.post(t, workspace, subscriptions.Family, event("revenue", id, id+"s", d, rapid.IntRange(0, 500).Draw(t, "cents"), fmt.Sprintf(`"next_renewal_date":%d`, at(d+160))))
			case 1:
				n := rapid.IntRange(0, 4).Draw(t, "ticket")
				w.post(t, workspace, tickets.Family, ticket(id, fmt.Sprintf("t%d", n), rapid.SampledFrom([]string{"open", "solved"}).Draw(t, "state"), "high", d))
			case 2:
				w.post(t, workspace, accounts.Family, nps(id, rapid.IntRange(-100, 100).Draw(t, "nps"), d))
			case 3:
				w.send(t, workspace, "a", 1, d)
			case 4:
				if _, err := w.Remove(t.Context(), resource.Target{Workspace: workspace, Family: tickets.Family, ID: "t1"}); err != nil {
					t.Fatalf("%v", err)
				}
			default:
				w.post(t, workspace, accounts.Family, fmt.Sprintf(`{"account_id":%q,"is_churned":%v,"renewal_date":%d}`, id, rapid.Bool().Draw(t, "churned"), at(d+200)))
			}
			if rapid.Bool().Draw(t, "followed") {
				w.follow(t)
				w.follow(t) // what was derived
			}
			if rapid.Bool().Draw(t, "later") {
				w.clock.Advance(soon)
				w.assess(t, workspace)
			}
		}
		w.follow(t)
		w.follow(t)
		w.clock.Advance(rarely)
		w.assess(t, workspace)
		for _, id := range []string{"a", "b"} {
			before := w.latest(t, workspace, id)
			if err := w.Assess(t.Context(), workspace, id); err != nil {
				t.Fatalf("%v", err)
			}
			if after := w.latest(t, workspace, id); !after.Same(before) {
				t.Fatalf("by the feed %s is\n%+v\nfrom scratch\n%+v", id, before, after)
			}
			want := "null"
			if before.Score != nil {
				want = fmt.Sprint(*before.Score)
			}
			w.scoreIs(t, workspace, id, want)
		}
	})
}
