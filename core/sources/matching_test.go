package sources_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/sources"
	"tenure/core/table"
)

// matched is a world with accounts of ours, and a source whose companies wait.
func matched(t *testing.T) (*world, *sources.Source) {
	t.Helper()
	w := newWorld(t)
	ours := w.source("ours", func(s *sources.Source) { s.SystemOfRecord = true })
	w.system.put("ours/companies",
		row{"id": "1", "account_no": "A1", "name": "Initech GmbH", "joined": "2024-01-01"},
		row{"id": "2", "account_no": "A2", "name": "Globex Corporation", "joined": "2024-01-01"},
		row{"id": "3", "account_no": "A3", "name": "Stark Industries", "joined": "2024-01-01"},
		row{"id": "4", "account_no": "A4", "name": "Umbrella Holding", "joined": "2024-01-01"},
		row{"id": "5", "account_no": "A5", "name": "Umbrella Holding", "joined": "2024-01-01"},
	)
	w.done(ours)
	theirs := w.source("theirs", func(s *sources.Source) { s.Prefix = "t-" })
	w.system.put("theirs/companies",
		row{"id": "a", "name": "INITECH"},
		row{"id": "b", "name": "Globex Corp."}, row{"id": "c", "name": "Globex Corporation"}, // both claim A2
		row{"id": "d", "name": "Stark Industries Inc"},
		row{"id": "e", "name": "Umbrella Holding"}, // two of ours
		row{"id": "f", "name": "Quite another"},
	)
	w.done(theirs)
	w.find(theirs)
	return w, theirs
}

// find seeks candidates to the end, in calls that have as little time as can be, and
// returns how many.
func (w *world) find(s *sources.Source) (calls int) {
	w.Helper()
	if err := w.AskSearch(w.Context(), "acme", s.ID); err != nil {
		w.Fatal(err)
	}
	for more := true; more; calls++ {
		more = w.step(s)
	}
	return calls
}

// step is one call that goes on with a search, and ends soon.
func (w *world) step(s *sources.Source) (more bool) {
	w.Helper()
	more, err := w.work(s)
	if err != nil {
		w.Fatal(err)
	}
	return more
}

func (w *world) work(s *sources.Source) (more bool, err error) {
	ctx, cancel := context.WithDeadline(w.Context(), time.Now().Add(time.Minute))
	defer cancel()
	w.Reserve = 1000 * time.Hour
	defer func() { w.Reserve = time.Minute }()
	return w.Work(ctx, "acme", "matching/"+s.ID)
}

func (w *world) matching(s *sources.Source) *sources.Matching {
	w.Helper()
	m, err := w.Matching(w.Context(), "acme", s.ID)
	if err != nil {
		w.Fatal(err)
	}
	return m
}

// proposals tells what is proposed, a word for each candidate.
func (w *world) proposals(s *sources.Source) string {
	w.Helper()
	var words []string
	for after, more := "", true; more; {
		all, next, err := w.Proposals(w.Context(), "acme", s.ID, after, 2)
		if err != nil {
			w.Fatal(err)
		}
		for _, p := range all {
			for _, c := range p.Candidates {
				sum := 0
				for _, r := range c.Reasons {
					sum += r.Points
				}
				if sum != c.Score || c.Name == "" {
					w.Errorf("%+v", c)
				}
				word := p.ID + "=" + c.Account
				if c.Ambiguous {
					word += "?"
				}
				words = append(words, word+strings.Repeat("!", c.Contested))
			}
		}
		after, more = next, next != ""
	}
	return strings.Join(words, " ")
}

func (w *world) decisions(s *sources.Source, rejected bool) string {
	w.Helper()
	all, _, err := w.Decisions(w.Context(), "acme", s.ID, rejected, "", 100)
	if err != nil {
		w.Fatal(err)
	}
	var words []string
	for _, d := range all {
		words = append(words, d.ID+"="+d.Account)
	}
	return strings.Join(words, " ")
}

// links returns all that is stored of links of a source.
func (w *world) links(s *sources.Source) []string {
	w.Helper()
	var all []string
	for _, shard := range "0123456789abcdef" {
		items, err := w.table.Query(w.Context(), table.Query{Partition: "acme/sources/" + s.ID + "/links." + string(shard), Limit: 100, Consistent: true})
		if err != nil {
			w.Fatal(err)
		}
		for i := range items {
			all = append(all, items[i].Sort+" "+string(items[i].Body))
		}
	}
	slices.Sort(all)
	return all
}

func TestCandidatesOfWaitingRecordsAreFound(t *testing.T) {
	w, s := matched(t)
	if got, want := w.proposals(s), "a=A1 b=A2! c=A2! d=A3 e=A4? e=A5?"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	m, err := w.Matching(t.Context(), "acme", s.ID)
	if err != nil || m.Computed == 0 || m.Accounts != 5 || m.Records != 6 || m.Proposed != 5 || m.Next != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if all, _, err := w.Proposals(t.Context(), "globex", s.ID, "", 10); err != nil || len(all) != 0 {
		t.Errorf("another workspace: %v, %v", all, err)
	}
}

func TestTheNextSearchReplacesWhatWasFound(t *testing.T) {
	w, s := matched(t)
	for range 2 {
		w.system.drop("theirs/companies", "b")
		w.system.put("theirs/companies", row{"id": "a", "name": "Stark Industries Ltd"})
		w.done(s)
		w.find(s)
		if got, want := w.proposals(s), "a=A3! c=A2 d=A3! e=A4? e=A5?"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// longer has 600 records more wait than matched.
func longer(t *testing.T) (*world, *sources.Source) {
	w, s := matched(t)
	for i := range 600 {
		w.system.put("theirs/companies", row{"id": fmt.Sprintf("n%03d", i), "name": "Initech"})
	}
	w.done(s)
	return w, s
}

const foundBefore = "a=A1 b=A2! c=A2! d=A3 e=A4? e=A5?"

func TestASearchGoesOnWhereItWasLeft(t *testing.T) {
	w, s := longer(t)
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	if m := w.matching(s); m.Next == nil || m.Next.Accounts != 0 || m.Computed == 0 {
		t.Errorf("%+v", m)
	}
	if !w.step(s) {
		t.Fatal("it is done at once")
	}
	if got := w.proposals(s); got != foundBefore {
		t.Errorf("what was found before is not there until then: %s", got)
	}
	m := w.matching(s)
	if m.Next == nil || m.Next.Records != 500 || m.Next.Through != 500 || m.Next.Total != 606 || m.Next.Proposed < 400 || m.Next.Accounts != 5 || m.Next.Updated == 0 {
		t.Errorf("%+v", m.Next)
	}
	w.step(s) // the others
	for w.step(s) {
	}
	if m := w.matching(s); m.Records != 606 || m.Accounts != 5 || m.Next != nil {
		t.Errorf("%+v", m)
	}
}

func TestASearchIsStartedWhereRunsAre(t *testing.T) {
	w, s := matched(t)
	var started []string
	w.Start = func(_ context.Context, workspace, task string) error {
		started = append(started, workspace+" "+task)
		return nil
	}
	due := func() string {
		all, err := w.Due(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, " ")
	}
	if got := due(); got != "" {
		t.Fatal(got)
	}
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil || fmt.Sprint(started) != "[acme matching/"+s.ID+"]" {
		t.Errorf("%v, %v", started, err)
	}
	if got := due(); got != "matching/"+s.ID {
		t.Errorf("whoever has lost the message does not come upon it: %q", got)
	}
	err := w.AskSearch(t.Context(), "acme", s.ID)
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Code != core.Conflicting || len(started) != 1 {
		t.Errorf("asked for twice: %v", err)
	}
	for w.step(s) {
	}
	if got := due(); got != "" {
		t.Error(got)
	}
	if m, err := w.Work(t.Context(), "acme", "matching/"+s.ID); m || err != nil {
		t.Errorf("a message that comes twice: %v, %v", m, err)
	}
	if m, err := w.Work(t.Context(), "globex", "matching/"+s.ID); m || err != nil {
		t.Errorf("another workspace: %v, %v", m, err)
	}
}

func TestASearchThatIsStoppedLeavesWhatWasFoundBefore(t *testing.T) {
	w, s := longer(t)
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	w.step(s)
	for range 2 { // the second time there is none
		if err := w.StopSearch(t.Context(), "acme", s.ID); err != nil {
			t.Fatal(err)
		}
	}
	if m := w.matching(s); m.Next != nil || m.Computed == 0 || w.step(s) || w.proposals(s) != foundBefore {
		t.Errorf("%+v", m)
	}
	w.find(s)
	if m := w.matching(s); m.Records != 606 {
		t.Errorf("%+v", m)
	}
}

// TestASearchThatIsStoppedWhileItIsAtWorkEndsAtOnce stops it between any two of its
// writes.
func TestASearchThatIsStoppedWhileItIsAtWorkEndsAtOnce(t *testing.T) {
	for n := range 4 {
		for _, anew := range []bool{false, true} {
			w, s := longer(t)
			if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
				t.Fatal(err)
			}
			put := 0
			on := &beforeWrites{Table: w.table, do: func(ops []table.Op) {
				if !strings.Contains(ops[0].Item.Partition, "/match.") {
					return
				}
				if put++; put != n+1 {
					return
				}
				if err := w.StopSearch(t.Context(), "acme", s.ID); err != nil {
					t.Fatal(err)
				}
				if anew {
					if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
						t.Fatal(err)
					}
				}
			}}
			other := *w.Store
			other.Table = on
			more, err := other.Work(t.Context(), "acme", "matching/"+s.ID)
			if err != nil || more != anew {
				t.Fatalf("%d, %t: %v, %v", n, anew, more, err)
			}
			if got := w.proposals(s); got != foundBefore {
				t.Errorf("%d: %s", n, got)
			}
			if !anew {
				continue
			}
			for w.step(s) {
			}
			if m := w.matching(s); m.Records != 606 || m.Next != nil {
				t.Errorf("%d: %+v", n, m)
			}
		}
	}
}

// beforeWrites does something before each write.
type beforeWrites struct {
	table.Table
	do func(ops []table.Op)
}

func (b *beforeWrites) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if len(ops) > 0 && guard != nil {
		b.do(ops)
	}
	return b.Table.Write(ctx, ops, guard)
}

func TestTwoNeverSeekTheSameCandidates(t *testing.T) {
	w, s := longer(t)
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	lock, err := w.Access.Lock(t.Context(), access.LockID("matching/acme/"+s.ID), time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.work(s); !errors.Is(err, access.ErrLocked) {
		t.Errorf("%v", err)
	}
	// Runs are no concern of a search, nor it of theirs.
	w.done(s)
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lock, err = w.Access.Lock(t.Context(), access.LockID("source/acme/"+s.ID), time.Minute, 0); err != nil {
		t.Fatal(err)
	}
	for w.step(s) {
	}
	if m := w.matching(s); m.Records != 606 {
		t.Errorf("%+v", m)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestASearchThatWasLeftForLongIsBegunAnew(t *testing.T) {
	w, s := longer(t)
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	w.step(s)
	w.clock.pass(30 * time.Minute)
	w.step(s)
	if m := w.matching(s); m.Next == nil || m.Next.Through != 606 {
		t.Fatalf("%+v", m.Next)
	}
	w.system.drop("theirs/companies", "a")
	w.done(s)
	w.clock.pass(2 * time.Hour)
	w.step(s)
	if m := w.matching(s); m.Next == nil || m.Next.Through != 500 || m.Next.Total != 605 {
		t.Fatalf("%+v", m.Next)
	}
	for w.step(s) {
	}
	if got := w.proposals(s); strings.Contains(got, "a=") || w.matching(s).Records != 605 {
		t.Error(got)
	}
}

func TestASearchThatDoesNotGetOnIsGivenUp(t *testing.T) {
	w, s := longer(t)
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	broken := false
	on := &beforeWrites{Table: w.table, do: func(ops []table.Op) {
		if broken && strings.Contains(ops[0].Item.Partition, "/match.found") {
			panic("simulated")
		}
	}}
	other := *w.Store
	other.Table = on
	// die is a call that ends before its time; what it had locked is not given back.
	die := func() {
		defer func() { _ = recover() }()
		broken = true
		_, _ = other.Work(t.Context(), "acme", "matching/"+s.ID)
	}
	for range 4 {
		die()
		w.clock.pass(10 * time.Minute)
	}
	// It has got on, so that what was before does not count.
	broken = false
	w.step(s)
	for range 5 {
		if m := w.matching(s); m.Next == nil || m.Why != nil {
			t.Fatalf("%+v", m)
		}
		die()
		w.clock.pass(10 * time.Minute)
	}
	if w.step(s) {
		t.Error("it goes on")
	}
	m := w.matching(s)
	if m.Next != nil || m.Why == nil || m.Why.Code != "internal" || m.Failed == 0 || !strings.Contains(m.Why.Message, "did not get on") {
		t.Errorf("%+v, %+v", m, m.Why)
	}
	if got := w.proposals(s); got != foundBefore {
		t.Error(got)
	}
	w.find(s)
	if m := w.matching(s); m.Why != nil || m.Failed != 0 || m.Records != 606 {
		t.Errorf("%+v", m)
	}
}

func TestASearchThatCannotBeSaysWhy(t *testing.T) {
	w, s := matched(t)
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	all, err := w.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for i, record := range []bool{false, true} { // they change places
		all[i].SystemOfRecord = record
		if err := w.Update(t.Context(), "acme", all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if w.step(s) {
		t.Error("it goes on")
	}
	if m := w.matching(s); m.Next != nil || m.Why == nil || m.Why.Code != "setting" || !strings.Contains(m.Why.Message, "no accounts to be matched") {
		t.Errorf("%+v", m.Why)
	}
}

func TestASearchOfADeletedSourceLeavesNothing(t *testing.T) {
	w, s := longer(t)
	if err := w.AskSearch(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	deleted := false
	other := *w.Store
	other.Table = &beforeWrites{Table: w.table, do: func(ops []table.Op) {
		if strings.Contains(ops[0].Item.Partition, "/match.found") && !deleted {
			deleted = true
			if err := w.Delete(t.Context(), "acme", s.ID); err != nil {
				t.Fatal(err)
			}
		}
	}}
	if more, err := other.Work(t.Context(), "acme", "matching/"+s.ID); more || err != nil || !deleted {
		t.Fatalf("%v, %v", more, err)
	}
	w.nothingOfMatching(s)
}

func TestAMatchIsALinkByWhichTheNextRunGoes(t *testing.T) {
	w, s := matched(t)
	d, err := w.Accept(t.Context(), "acme", s.ID, "companies", "a", "A1", ann)
	if err != nil || d.Label != "INITECH" || d.Name != "Initech GmbH" || d.Before != nil {
		t.Fatalf("%+v, %v", d, err)
	}
	if got := w.proposals(s); strings.Contains(got, "a=") {
		t.Errorf("it is proposed still: %s", got)
	}
	if got := w.decisions(s, false); got != "a=A1" {
		t.Error(got)
	}
	w.system.put("theirs/tickets", row{"id": "k", "company": "a", "subject": "Printer", "state": "open", "created": 1_700_000_000})
	if r := w.done(s); r.Waiting != 5 {
		t.Errorf("%d wait", r.Waiting)
	}
	if got := w.show("support_tickets", "A1", "t-k", "subject"); !strings.Contains(got, "Printer") {
		t.Error(got)
	}
	var failure *core.Failure
	if _, err := w.Accept(t.Context(), "acme", s.ID, "companies", "a", "A1", ann); !errors.As(err, &failure) || failure.Code != core.NotFound {
		t.Errorf("accepted twice: %v", err)
	}
}

func TestWhoeverHasAnAccountSinceIsNotProposed(t *testing.T) {
	w, s := matched(t)
	w.system.put("theirs/companies", row{"id": "a", "account_no": "A1", "name": "INITECH"})
	w.done(s)
	if got := w.proposals(s); got != "b=A2! c=A2! d=A3 e=A4? e=A5?" {
		t.Error(got)
	}
	_, err := w.Accept(t.Context(), "acme", s.ID, "companies", "a", "A1", ann)
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Code != core.NotFound {
		t.Error(err)
	}
}

func TestOnlyWhatIsProposedCanBeDecided(t *testing.T) {
	w, s := matched(t)
	for _, of := range [][3]string{{"companies", "a", "A2"}, {"companies", "f", "A1"}, {"people", "a", "A1"}, {"", "", ""}, {"companies", "\xff", "A1"}, {"companies", strings.Repeat("x", 5000), "A1"}, {strings.Repeat("x", 5000), "a", "A1"}} {
		_, accepted := w.Accept(t.Context(), "acme", s.ID, of[0], of[1], of[2], ann)
		_, rejected := w.Reject(t.Context(), "acme", s.ID, of[0], of[1], of[2], ann)
		_, undone := w.Undo(t.Context(), "acme", s.ID, of[0], of[1], of[2])
		for _, err := range []error{accepted, rejected, undone} {
			if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != "account" {
				t.Errorf("%.20v: %v", of, err)
			}
		}
	}
	if links := w.links(s); links != nil {
		t.Error(links)
	}
	for _, after := range []string{"\xff", strings.Repeat("x", 5000)} {
		_, _, proposals := w.Proposals(t.Context(), "acme", s.ID, after, 10)
		_, _, decisions := w.Decisions(t.Context(), "acme", s.ID, true, after, 10)
		for _, err := range []error{proposals, decisions} {
			if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != "after" {
				t.Errorf("%.20q: %v", after, err)
			}
		}
	}
}

func TestWhatIsRejectedIsNotProposedAgain(t *testing.T) {
	w, s := matched(t)
	if _, err := w.Reject(t.Context(), "acme", s.ID, "companies", "e", "A4", ann); err != nil {
		t.Fatal(err)
	}
	w.find(s)
	if got := w.proposals(s); got != "a=A1 b=A2! c=A2! d=A3 e=A5?" {
		t.Error(got)
	}
	if got := w.decisions(s, true); got != "e=A4" {
		t.Error(got)
	}
	if d, err := w.Undo(t.Context(), "acme", s.ID, "companies", "e", "A4"); err != nil || !d.Rejected {
		t.Errorf("%+v, %v", d, err)
	}
	if got := w.proposals(s); got != "a=A1 b=A2! c=A2! d=A3 e=A4? e=A5?" {
		t.Error(got)
	}
}

func TestUndoRestoresExactlyWhatWas(t *testing.T) {
	w, s := matched(t)
	// d has been linked before, which the next run would go by.
	if err := w.SetLinks(t.Context(), "acme", s.ID, []sources.Link{{Stream: "companies", ID: "d", Account: "A5", By: "bob@example.com", Made: 7}}); err != nil {
		t.Fatal(err)
	}
	links, proposals := w.links(s), w.proposals(s)
	for range 2 {
		if n, more, err := w.AcceptAll(t.Context(), "acme", s.ID, 50, ann); err != nil || n != 2 || more {
			t.Fatalf("%d, %v, %v", n, more, err)
		}
		if got := w.links(s); len(got) != 2 || !strings.Contains(got[1], `"account":"A3"`) {
			t.Errorf("%q", got)
		}
		for _, of := range [][2]string{{"a", "A1"}, {"d", "A3"}} {
			if _, err := w.Undo(t.Context(), "acme", s.ID, "companies", of[0], of[1]); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.links(s); !reflect.DeepEqual(got, links) {
			t.Errorf("%q, before: %q", got, links)
		}
		if got := w.proposals(s) + w.decisions(s, false); got != proposals {
			t.Error(got)
		}
	}
}

func TestALinkThatWasChangedSinceIsNotUndone(t *testing.T) {
	w, s := matched(t)
	if _, err := w.Accept(t.Context(), "acme", s.ID, "companies", "a", "A1", ann); err != nil {
		t.Fatal(err)
	}
	if err := w.SetLinks(t.Context(), "acme", s.ID, []sources.Link{{Stream: "companies", ID: "a", Account: "A5"}}); err != nil {
		t.Fatal(err)
	}
	links := w.links(s)
	_, err := w.Undo(t.Context(), "acme", s.ID, "companies", "a", "A1")
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Code != core.Conflicting {
		t.Error(err)
	}
	if got := w.links(s); !reflect.DeepEqual(got, links) {
		t.Error(got)
	}
}

func TestAcceptingAllLeavesWhatAPersonHasToTellApart(t *testing.T) {
	w, s := matched(t)
	if n, more, err := w.AcceptAll(t.Context(), "globex", s.ID, 50, ann); err != nil || n != 0 || more {
		t.Errorf("%d, %v, %v", n, more, err)
	}
	for _, least := range []int{0, 101, -1} {
		_, _, err := w.AcceptAll(t.Context(), "acme", s.ID, least, ann)
		if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != "least" {
			t.Errorf("%d: %v", least, err)
		}
	}
	all, _, err := w.Proposals(t.Context(), "acme", s.ID, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	best := max(all[0].Candidates[0].Score, all[3].Candidates[0].Score)
	if best < 100 {
		if n, _, err := w.AcceptAll(t.Context(), "acme", s.ID, best+1, ann); err != nil || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	}
	if _, err := w.Reject(t.Context(), "acme", s.ID, "companies", "d", "A3", ann); err != nil {
		t.Fatal(err)
	}
	if n, more, err := w.AcceptAll(t.Context(), "acme", s.ID, 50, ann); err != nil || n != 1 || more {
		t.Errorf("what is rejected is accepted: %d, %v, %v", n, more, err)
	}
	if _, err := w.Undo(t.Context(), "acme", s.ID, "companies", "d", "A3"); err != nil {
		t.Fatal(err)
	}
	if n, more, err := w.AcceptAll(t.Context(), "acme", s.ID, 50, ann); err != nil || n != 1 || more {
		t.Errorf("%d, %v, %v", n, more, err)
	}
	if got := w.decisions(s, false); got != "a=A1 d=A3" {
		t.Error(got)
	}
	// Whoever is new may claim an account that is matched already.
	w.system.put("theirs/companies", row{"id": "g", "name": "Initech"})
	w.done(s)
	w.find(s)
	if n, _, err := w.AcceptAll(t.Context(), "acme", s.ID, 50, ann); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
}

func TestTheSystemOfRecordIsNotMatched(t *testing.T) {
	w := newWorld(t)
	s := w.source("ours", func(s *sources.Source) { s.SystemOfRecord = true })
	err := w.AskSearch(t.Context(), "acme", s.ID)
	if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != "source" {
		t.Error(err)
	}
}

func TestNothingOfMatchingIsLeftOfADeletedSource(t *testing.T) {
	w, s := matched(t)
	if _, _, err := w.AcceptAll(t.Context(), "acme", s.ID, 50, ann); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Reject(t.Context(), "acme", s.ID, "companies", "e", "A4", ann); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	if m, err := w.Matching(t.Context(), "acme", s.ID); err != nil || m.Computed != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	w.nothingOfMatching(s)
}

func (w *world) nothingOfMatching(s *sources.Source) {
	w.Helper()
	for _, part := range []string{"found.a", "found.b", "matched", "rejected", "state"} {
		items, err := w.table.Query(w.Context(), table.Query{Partition: "acme/sources/" + s.ID + "/match." + part, Limit: 1, Consistent: true})
		if err != nil || len(items) != 0 {
			w.Errorf("%s: %v, %v", part, items, err)
		}
	}
}
