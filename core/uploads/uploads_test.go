package uploads_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/accounts"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/csvfile"
	"tenure/core/files"
	"tenure/core/uploads"
)

func TestAFileIsCheckedAndThenApplied(t *testing.T) {
	w := newWorld(t)
	u := w.checked("acme", "accounts", accountsFile, uploads.Options{IgnoreMissingAccounts: true})
	const want = "7 inserted, 0 changed, 0 unchanged, 3 failed of 10"
	if u.State != uploads.Checked || counts(u.Check) != want || u.FileName != "accounts.csv" || u.Size != int64(len(accountsFile)) ||
		u.By != ann || u.Rows() != 10 || u.Percent() != 100 || u.Check.Batches != 4 || u.Refusal() != nil {
		t.Errorf("checked: %+v", u)
	}
	if w.account("acme", "a1") != "" {
		t.Error("the check has written something")
	}
	asRejected := func() {
		t.Helper()
		want := strings.Replace(wantRejected, "EMPLOYEES", `"`+u.Check.Problems[1].Message+`"`, 1)
		if got := w.rejected("acme", u.ID); got != want {
			t.Errorf("rejected:\n%s\nwant:\n%s", got, want)
		}
	}
	asRejected()
	wantProblems := []uploads.Problem{
		{Code: core.MissingField, Field: "name", Message: "Missing required field for insert: 'name'", Rows: 2, Line: 4},
		{Code: core.WrongType, Field: "employees", Message: u.Check.Problems[1].Message, Rows: 1, Line: 6},
	}
	if fmt.Sprint(u.Check.Problems) != fmt.Sprint(wantProblems) {
		t.Errorf("problems: %+v", u.Check.Problems)
	}

	u = w.apply(w.Store, "acme", u.ID)
	if u.State != uploads.Done || counts(u.Apply) != want || u.Apply.Ended == 0 || u.Percent() != 100 {
		t.Errorf("applied: %+v", u)
	}
	asRejected()
	for id, there := range map[string]bool{"a1": true, "a2": true, "a3": false, "a4": true, "a5": false, "a9": true, "a10": false} {
		if got := w.account("acme", id); (got != "") != there {
			t.Errorf("%s is %q", id, got)
		}
	}
	if got := w.account("acme", "a9"); !strings.Contains(got, `"join_date":1704758400000`) || !strings.Contains(got, `"employees":9`) {
		t.Errorf("a9 is %s", got)
	}
	// What was sent is kept no longer than it is needed.
	if _, err := w.files.Stat(t.Context(), "acme/uploads/"+u.ID+"/source/file.csv"); !errors.Is(err, files.ErrNotFound) {
		t.Errorf("the file is still there: %v", err)
	}
	if want := []string{"acme " + u.ID, "acme " + u.ID}; fmt.Sprint(w.started) != fmt.Sprint(want) {
		t.Errorf("started: %q", w.started)
	}

	// The same file once more changes nothing, and the mended rows go in.
	again := w.apply(w.Store, "acme", w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID)
	if counts(again.Check) != "0 inserted, 0 changed, 7 unchanged, 3 failed of 10" || counts(again.Apply) != counts(again.Check) {
		t.Errorf("again: %+v", again)
	}
	mended := strings.NewReplacer("a3,,", "a3,Three,", "a10,,", "a10,Ten,", ",five,", ",5,").Replace(w.rejected("acme", u.ID))
	rest := w.apply(w.Store, "acme", w.checked("acme", "accounts", mended, uploads.Options{}).ID)
	if counts(rest.Apply) != "3 inserted, 0 changed, 0 unchanged, 0 failed of 3" || w.rejected("acme", rest.ID) != "" {
		t.Errorf("mended: %+v", rest)
	}
	if got := w.account("acme", "a5"); !strings.Contains(got, `"name":"=Five"`) {
		t.Errorf("a5 is %s", got)
	}
	list, err := w.List(t.Context(), "acme", "", 2)
	if err != nil || len(list) != 2 || list[0].ID != rest.ID || list[1].ID != again.ID {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if list, err = w.List(t.Context(), "acme", again.ID, 2); err != nil || len(list) != 1 || list[0].ID != u.ID {
		t.Errorf("listed from there: %+v, %v", list, err)
	}
}

func TestAFileThatCannotBeUsedFailsWithTheReason(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		text, holds string
	}{
		"columns by the thousand": {"account_id" + manyColumns(20_000) + "\na" + strings.Repeat(",1", 20_000) + "\n", "header"},
		"a spreadsheet":           {"PK\x03\x04\x00\x00", "xlsx"},
		"nothing":                 {"", "empty"},
		"no rows":                 {"account_id,name\n", "no rows"},
		"an unknown column":       {"account_id,colour\na,red\n", "colour"},
		"a header too long":       {"account_id,custom_label_dimensions." + strings.Repeat("k", 250<<10) + "\na,b\n", "custom_label_dimensions"},
	} {
		u := w.checked("acme", "accounts", c.text, uploads.Options{})
		if u.State != uploads.Failed || u.Why == nil || !strings.Contains(u.Why.Message, c.holds) || u.Check.Ended == 0 {
			t.Errorf("%s: %+v, %+v", name, u, u.Why)
		}
		if _, err := w.Apply(t.Context(), "acme", u.ID); !refused(err, core.Conflicting, "state") {
			t.Errorf("%s, applied: %v", name, err)
		}
	}
}

// manyColumns returns the names of n columns, each behind a comma.
func manyColumns(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",custom_value_dimensions.%d", i)
	}
	return b.String()
}

func TestAFileThatIsReplacedAfterTheCheckIsNotApplied(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(file string) error{
		"replaced": func(file string) error {
			_, err := w.files.Write(t.Context(), file, strings.NewReader(accountsFile), uploads.MaxBytes)
			return err
		},
		"removed": func(file string) error { return w.files.Remove(t.Context(), strings.TrimSuffix(file, "file.csv")) },
	} {
		u := w.checked("acme", "accounts", accountsFile, uploads.Options{})
		w.need(change("acme/uploads/" + u.ID + "/source/file.csv"))
		if u = w.apply(w.Store, "acme", u.ID); u.State != uploads.Failed || u.Why.Field != "file" || u.Apply.Rows() != 0 {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

const users = "account_id,user_id,first_name,last_name\na1,u1,A,B\ngone,u2,A,B\na1,u3,A,B\nlost,u4,A,B\n"

func TestRowsOfMissingAccountsAreLeftOutOrKeepTheFileFromBeingApplied(t *testing.T) {
	w := newWorld(t)
	w.apply(w.Store, "acme", w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID)
	u := w.checked("acme", "account_users", users, uploads.Options{})
	if counts(u.Check) != "2 inserted, 0 changed, 0 unchanged, 2 failed of 4" || u.Check.MissingAccounts != 2 {
		t.Errorf("checked: %+v", u.Check)
	}
	if _, err := w.Apply(t.Context(), "acme", u.ID); !refused(err, core.NotFound, "account_id") {
		t.Errorf("applied: %v", err)
	}
	u = w.apply(w.Store, "acme", w.checked("acme", "account_users", users, uploads.Options{IgnoreMissingAccounts: true}).ID)
	if u.State != uploads.Done || counts(u.Apply) != "2 inserted, 0 changed, 0 unchanged, 2 failed of 4" || u.Apply.MissingAccounts != 2 {
		t.Errorf("applied: %+v", u)
	}
}

func TestFamilyAndOptionsAreValidated(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		family string
		o      uploads.Options
		field  string
	}{
		{"", uploads.Options{}, "family"}, {"search", uploads.Options{}, "family"}, {"accounts", uploads.Options{Family: []string{"dry_run"}}, "options"},
		{"notes", uploads.Options{Family: []string{accounts.OverwriteCSMs}}, "options"},
		{"accounts", uploads.Options{Family: []string{accounts.OverwriteCSMs}}, ""},
	} {
		_, err := w.Create(t.Context(), "acme", ann, c.family, c.o)
		if c.field != "" && !refused(err, core.NotAChoice, c.field) || c.field == "" && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestAFamilysOptionsReachItsMerge(t *testing.T) {
	w := newWorld(t)
	file := func(csm string) string {
		return "account_id,name,join_date,assigned_csms[1].email\na,A,1704067200000," + csm + "\n"
	}
	for csm, o := range map[string]uploads.Options{"one@example.com": {}, "two@example.com": {Family: []string{accounts.OverwriteCSMs}}} {
		w.apply(w.Store, "acme", w.checked("acme", "accounts", file(csm), o).ID)
	}
	merged := newWorld(t)
	for _, csm := range []string{"one@example.com", "two@example.com"} {
		merged.apply(merged.Store, "acme", merged.checked("acme", "accounts", file(csm), uploads.Options{}).ID)
	}
	overwritten := newWorld(t)
	for _, csm := range []string{"one@example.com", "two@example.com"} {
		overwritten.apply(overwritten.Store, "acme", overwritten.checked("acme", "accounts", file(csm), uploads.Options{Family: []string{accounts.OverwriteCSMs}}).ID)
	}
	a, b := merged.account("acme", "a"), overwritten.account("acme", "a")
	if strings.Contains(b, "one@example.com") || !strings.Contains(b, "two@example.com") || a == b {
		t.Errorf("merged: %s\noverwritten: %s", a, b)
	}
}

// moves are what people may do with an upload.
var moves = map[string]func(*world, string, string) error{
	"receive": func(w *world, workspace, id string) error {
		return w.Receive(w.Context(), workspace, id, strings.NewReader(accountsFile))
	},
	"check": func(w *world, workspace, id string) error {
		_, err := w.Check(w.Context(), workspace, id, "")
		return err
	},
	"apply":  func(w *world, workspace, id string) error { _, err := w.Apply(w.Context(), workspace, id); return err },
	"resume": func(w *world, workspace, id string) error { _, err := w.Resume(w.Context(), workspace, id); return err },
	"cancel": func(w *world, workspace, id string) error { _, err := w.Cancel(w.Context(), workspace, id); return err },
}

func TestWhatMayBeDoneDependsOnTheState(t *testing.T) {
	create := func(w *world) string {
		u, err := w.Create(w.Context(), "acme", ann, "accounts", uploads.Options{})
		w.need(err)
		return u.ID
	}
	states := map[uploads.State]struct {
		bring func(*world) string
		may   string
	}{
		uploads.Awaiting: {create, "receive cancel"},
		uploads.Checking: {func(w *world) string { return w.send(w.Store, "acme", "accounts", accountsFile, uploads.Options{}) }, "resume cancel"},
		uploads.Checked:  {func(w *world) string { return w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID }, "apply cancel"},
		uploads.Queued: {func(w *world) string {
			id := w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID
			_, err := w.Apply(w.Context(), "acme", id)
			w.need(err)
			return id
		}, "resume cancel"},
		uploads.Applying: {func(w *world) string {
			id := w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID
			_, err := w.Apply(w.Context(), "acme", id)
			w.need(err)
			ctx, cancel := context.WithCancel(w.Context())
			w.Record = func(context.Context, string, calls.Call) { cancel() }
			if _, err := w.Store.Run(ctx, "acme", id); !errors.Is(err, context.Canceled) {
				w.Fatal(err)
			}
			w.clock.Advance(uploads.Lease) // of who has died
			return id
		}, "resume cancel"},
		uploads.Done: {func(w *world) string {
			return w.apply(w.Store, "acme", w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID).ID
		}, ""},
		uploads.Failed: {func(w *world) string { return w.checked("acme", "accounts", "x", uploads.Options{}).ID }, ""},
		uploads.Cancelled: {func(w *world) string {
			id := create(w)
			_, err := w.Cancel(w.Context(), "acme", id)
			w.need(err)
			return id
		}, ""},
	}
	for state, s := range states {
		for name, move := range moves {
			w := newWorld(t)
			id := s.bring(w)
			if got := w.get("acme", id).State; got != state {
				t.Fatalf("the upload is %s, want %s", got, state)
			}
			may := strings.Contains(s.may, name)
			switch err := move(w, "acme", id); {
			case may && err != nil:
				t.Errorf("%s while %s: %v", name, state, err)
			case !may && name == "check" && state == uploads.Awaiting:
				if !refused(err, core.MissingField, "file") {
					t.Errorf("checked without a file: %v", err)
				}
			case !may && !refused(err, core.Conflicting, "state"):
				t.Errorf("%s while %s: %v", name, state, err)
			}
			// And whatever was done, whoever runs it next comes to an end.
			end := w.run(w.Store, "acme", id)
			if end.State.Running() || end.Stopping {
				t.Errorf("%s while %s ends as %+v", name, state, end)
			}
			if name == "cancel" && may && end.State != uploads.Cancelled {
				t.Errorf("cancelled while %s: %s", state, end.State)
			}
		}
	}
}

func TestNothingOfAnotherWorkspaceIsFound(t *testing.T) {
	w := newWorld(t)
	u := w.checked("acme", "accounts", accountsFile, uploads.Options{})
	for name, move := range moves {
		for _, at := range []struct{ workspace, id string }{
			{"beta", u.ID}, {"acme", u.ID[:len(u.ID)-1] + "1"}, {"acme", ""}, {"acme", "../" + u.ID[3:]}, {"acme", strings.Repeat("/", len(u.ID))},
			{"acme/uploads", u.ID}, {"acme", strings.Repeat("é", 21)},
		} {
			if err := move(w, at.workspace, at.id); !refused(err, core.NotFound, "id") {
				t.Errorf("%s of %q in %q: %v", name, at.id, at.workspace, err)
			}
		}
	}
	if _, err := w.Get(t.Context(), "beta", u.ID); !refused(err, core.NotFound, "id") {
		t.Errorf("get: %v", err)
	}
	if _, err := w.Rejected(t.Context(), "beta", u.ID); !refused(err, core.NotFound, "id") {
		t.Errorf("rejected: %v", err)
	}
	if list, err := w.List(t.Context(), "beta", "", 10); err != nil || len(list) > 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	if more, err := w.Store.Run(t.Context(), "beta", u.ID); more || err != nil {
		t.Errorf("run: %v, %v", more, err)
	}
	if got := w.get("acme", u.ID); got.State != uploads.Checked {
		t.Errorf("it is %s now", got.State)
	}
}

// TestWhereverItDiesItEndsTheSame has the process die before and after each
// write in turn, of the table as of the store of files, and the next one go on.
func TestWhereverItDiesItEndsTheSame(t *testing.T) {
	type end struct{ data, counts, rejected, problems string }
	w := newWorld(t)
	endOf := func(workspace string, u uploads.Upload) end {
		var data []string
		for i := range 10 {
			data = append(data, w.account(workspace, fmt.Sprintf("a%d", i+1)))
		}
		return end{strings.Join(data, "\n"), fmt.Sprint(u.State, counts(u.Check), counts(u.Apply), u.Apply.Batches),
			w.rejected(workspace, u.ID), fmt.Sprint(u.Check.Problems, u.Apply.Problems)}
	}
	// Some accounts are there: one as it is in the file, one otherwise.
	const before = "account_id,name,join_date,employees\na2,Two,2024-01-02,2\na7,Old,2024-01-07,7\n"
	prepare := func(workspace string) {
		w.apply(w.Store, workspace, w.checked(workspace, "accounts", before, uploads.Options{}).ID)
	}
	prepare("whole")
	want := endOf("whole", w.apply(w.Store, "whole", w.checked("whole", "accounts", accountsFile, uploads.Options{}).ID))
	if !strings.Contains(want.counts, "5 inserted, 1 changed, 1 unchanged, 3 failed of 10") {
		t.Fatalf("uninterrupted: %+v", want)
	}
	for _, after := range []bool{false, true} {
		died := 0
		for at := 1; ; at++ {
			workspace := fmt.Sprintf("w-%d-%t", at, after)
			prepare(workspace)
			id := w.send(w.Store, workspace, "accounts", accountsFile, uploads.Options{})
			d := &dying{Table: w.table, at: at, after: after}
			mortal := w.over(d, dyingFiles{w.files, d})
			if _, err := mortal.Run(t.Context(), workspace, id); err == nil {
				if _, err = mortal.Apply(t.Context(), workspace, id); err == nil {
					_, _ = mortal.Run(t.Context(), workspace, id) // dies or not
				}
			}
			if d.writes < at {
				break // it has lived
			}
			died++
			w.clock.Advance(uploads.Lease)
			u := w.run(w.Store, workspace, id)
			if u.State == uploads.Checked {
				u = w.apply(w.Store, workspace, id)
			}
			got := endOf(workspace, u)
			if got != want {
				t.Errorf("dead at write %d (carried out: %v):\n%+v\nwant\n%+v", at, after, got, want)
			}
		}
		if died < 30 {
			t.Errorf("it dies in %d places only", died)
		}
	}
}

func TestCountsOfABatchThatIsAppliedTwiceAreThoseOfTheFirstTime(t *testing.T) {
	w := newWorld(t)
	id := w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID
	_, err := w.Store.Apply(t.Context(), "acme", id)
	w.need(err)
	// The first batch is applied, and what becomes of it is not written down.
	ctx, cancel := context.WithCancel(t.Context())
	w.Record = func(context.Context, string, calls.Call) { cancel() }
	if _, err := w.Store.Run(ctx, "acme", id); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if w.account("acme", "a1") == "" || w.get("acme", id).Apply.Rows() != 0 {
		t.Fatal("the batch was not applied, or is written down")
	}
	var told []string
	w.Record = func(_ context.Context, workspace string, c calls.Call) {
		told = append(told, fmt.Sprintf("%s %d %t", workspace, c.Records.Applied(), c.Success))
		if c.Endpoint != "/accounts" || c.Family != "accounts" || c.KeyID != calls.CSV || c.Kind != calls.Write || c.Records.Received != c.Records.Applied()+c.Records.Failed {
			t.Errorf("told %+v", c)
		}
		for _, f := range c.Failures {
			if f.IDs["account_id"] != fmt.Sprintf("a%d", f.Record+1) || f.Code == "" || f.Message == "" {
				t.Errorf("told %+v", f)
			}
		}
	}
	w.clock.Advance(uploads.Lease)
	u := w.run(w.Store, "acme", id)
	if counts(u.Apply) != "7 inserted, 0 changed, 0 unchanged, 3 failed of 10" {
		t.Errorf("%s", counts(u.Apply))
	}
	if fmt.Sprint(told) != "[acme 2 true acme 2 true acme 3 true acme 0 false]" {
		t.Errorf("told of %v", told)
	}
}

// soonOver is a context with time for one batch: its end is near once that is
// applied.
type soonOver struct {
	context.Context
	near *atomic.Bool
}

func (s soonOver) Deadline() (time.Time, bool) {
	if s.near.Load() {
		return time.Now().Add(50 * time.Second), true
	}
	return time.Now().Add(time.Hour), true
}

func TestRunStopsInTimeAndGoesOnInTheNextCall(t *testing.T) {
	w := newWorld(t)
	id := w.send(w.Store, "acme", "accounts", accountsFile, uploads.Options{})
	near := &atomic.Bool{}
	near.Store(true)
	if more, err := w.Store.Run(soonOver{t.Context(), near}, "acme", id); !more || err != nil {
		t.Errorf("without time: %v, %v", more, err)
	}
	if u := w.get("acme", id); u.State != uploads.Checking || u.Check.Rows() != 0 || u.Rows() != 10 {
		t.Errorf("without time: %+v", u)
	}
	w.run(w.Store, "acme", id)
	_, err := w.Store.Apply(t.Context(), "acme", id)
	w.need(err)
	w.Record = func(context.Context, string, calls.Call) { near.Store(true) }
	times := 0
	for more := true; more; times++ {
		near.Store(false)
		more, err = w.Store.Run(soonOver{t.Context(), near}, "acme", id)
		w.need(err)
		if u := w.get("acme", id); more && (u.State != uploads.Applying || u.Apply.Batches != times+1 || u.Percent() != min(30*(times+1), 100)) {
			t.Errorf("after call %d: %+v", times, u)
		}
	}
	if u := w.get("acme", id); times != 5 || u.State != uploads.Done || counts(u.Apply) != "7 inserted, 0 changed, 0 unchanged, 3 failed of 10" {
		t.Errorf("after %d calls: %+v", times, u)
	}
}

func TestOneUploadAtATimeIsAppliedInAWorkspace(t *testing.T) {
	w := newWorld(t)
	ready := func(workspace string) string {
		id := w.checked(workspace, "accounts", accountsFile, uploads.Options{}).ID
		_, err := w.Store.Apply(t.Context(), workspace, id)
		w.need(err)
		return id
	}
	first, second, other := ready("acme"), ready("acme"), ready("beta")
	unchecked := w.send(w.Store, "acme", "accounts", accountsFile, uploads.Options{})
	under := false
	w.Record = func(context.Context, string, calls.Call) {
		if !under { // while the first is under way
			under = true
			for range 2 {
				if more, err := w.Store.Run(t.Context(), "acme", second); !more || !errors.Is(err, access.ErrLocked) {
					t.Errorf("the second: %v, %v", more, err)
				}
				if more, err := w.Store.Run(t.Context(), "acme", first); !more || !errors.Is(err, access.ErrLocked) {
					t.Errorf("the first, a second time: %v, %v", more, err)
				}
			}
			if u := w.get("acme", second); u.State != uploads.Queued {
				t.Errorf("the second is %s", u.State)
			}
			if u := w.run(w.Store, "acme", unchecked); u.State != uploads.Checked {
				t.Errorf("the check is %s", u.State)
			}
			if u := w.run(w.Store, "beta", other); u.State != uploads.Done {
				t.Errorf("that of the other workspace is %s", u.State)
			}
		}
	}
	if ids, err := w.Unfinished(t.Context(), "acme"); err != nil || fmt.Sprint(ids) != fmt.Sprint([]string{first, second, unchecked}) {
		t.Errorf("unfinished: %v, %v", ids, err)
	}
	w.run(w.Store, "acme", first)
	if u := w.run(w.Store, "acme", second); u.State != uploads.Done || counts(u.Apply) != "0 inserted, 0 changed, 7 unchanged, 3 failed of 10" {
		t.Errorf("the second: %+v", u)
	}
	if ids, err := w.Unfinished(t.Context(), "acme"); err != nil || len(ids) > 0 {
		t.Errorf("unfinished: %v, %v", ids, err)
	}
}

func TestManyRunsOfOneUploadEndAsOne(t *testing.T) {
	w := newWorld(t)
	id := w.send(w.Store, "acme", "accounts", accountsFile, uploads.Options{})
	all := func() {
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				for range 200 {
					more, err := w.Store.Run(t.Context(), "acme", id)
					if err != nil && !errors.Is(err, access.ErrLocked) {
						t.Error(err)
					}
					if !more {
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		group.Wait()
	}
	all()
	_, err := w.Store.Apply(t.Context(), "acme", id)
	w.need(err)
	all()
	if u := w.get("acme", id); u.State != uploads.Done || counts(u.Apply) != "7 inserted, 0 changed, 0 unchanged, 3 failed of 10" ||
		strings.Count(w.rejected("acme", id), "\n") != 4 {
		t.Errorf("%+v\n%s", u, w.rejected("acme", id))
	}
}

func TestCancellingStopsAfterTheBatchUnderWay(t *testing.T) {
	w := newWorld(t)
	id := w.checked("acme", "accounts", accountsFile, uploads.Options{}).ID
	_, err := w.Store.Apply(t.Context(), "acme", id)
	w.need(err)
	batch := 0
	w.Record = func(context.Context, string, calls.Call) {
		if batch++; batch == 2 {
			u, err := w.Cancel(t.Context(), "acme", id)
			if err != nil || u.State != uploads.Applying || !u.Stopping {
				t.Errorf("%+v, %v", u, err)
			}
		}
	}
	u := w.run(w.Store, "acme", id)
	if u.State != uploads.Cancelled || counts(u.Apply) != "4 inserted, 0 changed, 0 unchanged, 2 failed of 6" || u.Stopping {
		t.Errorf("%+v", u)
	}
	if w.account("acme", "a4") == "" || w.account("acme", "a7") != "" {
		t.Error("more or less than the batches until then was applied")
	}
	if got := strings.Count(w.rejected("acme", id), "\r\n"); got != 3 {
		t.Errorf("%d lines of rejected rows", got)
	}
}

func TestCancellingACheckEndsItAtOnce(t *testing.T) {
	w := newWorld(t)
	id := w.send(w.Store, "acme", "accounts", accountsFile, uploads.Options{})
	// It is cancelled while the check is at work, which must not bring it back.
	slow := w.over(w.table, pausing{w.files, func() {
		u, err := w.Cancel(t.Context(), "acme", id)
		if err != nil || u.State != uploads.Cancelled {
			t.Errorf("%+v, %v", u, err)
		}
	}})
	if more, err := slow.Run(t.Context(), "acme", id); more || err != nil {
		t.Errorf("%v, %v", more, err)
	}
	if u := w.get("acme", id); u.State != uploads.Cancelled {
		t.Errorf("%+v", u)
	}
}

// pausing is a store of files that does something before a file is opened.
type pausing struct {
	files.Store
	before func()
}

func (p pausing) Open(ctx context.Context, name, tag string) (io.ReadCloser, error) {
	p.before()
	return p.Store.Open(ctx, name, tag)
}

func TestUploadsAndWhatTheyAwaitExpire(t *testing.T) {
	w := newWorld(t)
	waiting, err := w.Create(t.Context(), "acme", ann, "accounts", uploads.Options{})
	w.need(err)
	u := w.checked("acme", "accounts", accountsFile, uploads.Options{})
	w.clock.Advance(24 * time.Hour)
	if _, err := w.Get(t.Context(), "acme", waiting.ID); !refused(err, core.NotFound, "id") {
		t.Errorf("a day later: %v", err)
	}
	w.clock.Advance(28 * 24 * time.Hour)
	w.get("acme", u.ID)
	if got := w.rejected("acme", u.ID); got == "" {
		t.Error("the rejected rows are gone before their time")
	}
	w.clock.Advance(25 * time.Hour)
	if _, err := w.Get(t.Context(), "acme", u.ID); !refused(err, core.NotFound, "id") {
		t.Errorf("a month later: %v", err)
	}
	if more, err := w.Store.Run(t.Context(), "acme", u.ID); more || err != nil {
		t.Errorf("run: %v, %v", more, err)
	}
}

func TestAFileThatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t)
	u, err := w.Create(t.Context(), "acme", ann, "accounts", uploads.Options{})
	w.need(err)
	if err := w.Receive(t.Context(), "acme", u.ID, io.LimitReader(endless{}, uploads.MaxBytes+1)); !refused(err, core.TooLarge, "file") {
		t.Errorf("%v", err)
	}
	if _, err := w.Check(t.Context(), "acme", u.ID, ""); !refused(err, core.MissingField, "file") {
		t.Errorf("%v", err)
	}
}

// endless is a file that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestFileNamesAreShownAsPlainText(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]string{
		"": "file.csv", "..": "..", "/": "file.csv", `C:\fakepath\a.csv`: "a.csv", "../../etc/passwd": "passwd", "a\r\nb\x00.csv": "ab.csv",
		"\xff.csv": "?.csv", strings.Repeat("é", 300): strings.Repeat("é", 199) + "…", "<b>.csv": "<b>.csv",
	} {
		u, err := w.Create(t.Context(), "acme", ann, "accounts", uploads.Options{})
		w.need(err)
		w.need(w.Receive(t.Context(), "acme", u.ID, strings.NewReader(accountsFile)))
		if u, err = w.Check(t.Context(), "acme", u.ID, name); err != nil || u.FileName != want {
			t.Errorf("%q is shown as %q, %v; want %q", name, u.FileName, err, want)
		}
	}
}

func TestManyKindsOfProblemsAreCountedAndNotAllKept(t *testing.T) {
	w := newWorld(t)
	w.SetBatch(10, 1<<20)
	var text strings.Builder
	text.WriteString("account_id,name,join_date,employees\n")
	for i := range 100 {
		fmt.Fprintf(&text, "a%d,N,2024-01-01,many-%d\n", i, i)
	}
	u := w.checked("acme", "accounts", text.String(), uploads.Options{})
	rows := u.Check.Others
	for _, p := range u.Check.Problems {
		rows += p.Rows
	}
	if rows != 100 || u.Check.Failed != 100 || len(u.Check.Problems) > 25 {
		t.Errorf("%d rows in %d problems and %d others", rows, len(u.Check.Problems), u.Check.Others)
	}
	if got := strings.Count(w.rejected("acme", u.ID), "\r\n"); got != 101 {
		t.Errorf("%d lines of rejected rows", got)
	}
}

func TestTroubleOfTheStoreIsNotAFailureOfTheUpload(t *testing.T) {
	w := newWorld(t)
	id := w.send(w.Store, "acme", "accounts", accountsFile, uploads.Options{})
	broken := w.over(w.table, failing{w.files})
	if more, err := broken.Run(t.Context(), "acme", id); !more || !errors.Is(err, errDied) {
		t.Errorf("%v, %v", more, err)
	}
	if u := w.run(w.Store, "acme", id); u.State != uploads.Checked {
		t.Errorf("afterwards it is %s", u.State)
	}
}

// failing is a store of files that cannot be reached.
type failing struct{ files.Store }

func (failing) Open(context.Context, string, string) (io.ReadCloser, error) { return nil, errDied }

func TestEveryFamilysFilesAreTaken(t *testing.T) {
	w := newWorld(t)
	w.apply(w.Store, "acme", w.checked("acme", "accounts", "account_id,name,join_date\na1,One,2024-01-01\n", uploads.Options{}).ID)
	for _, f := range catalog.All() {
		var header, example []string
		for _, c := range csvfile.Columns(f) {
			if c.Name == "account_id" {
				c.Example = "a1"
			}
			if c.Example != "" {
				header, example = append(header, c.Name), append(example, c.Example)
			}
		}
		var text strings.Builder
		file := csvfile.NewWriter(&text, ';')
		w.need(errors.Join(file.Write(header...), file.Write(example...), file.Flush()))
		u := w.checked("acme", f.Schema.Name, text.String(), uploads.Options{})
		if u.State != uploads.Checked || u.Check.Failed > 0 || u.Check.Rows() != 1 {
			t.Errorf("%s: %+v, %+v\n%s", f.Schema.Name, u, u.Why, text.String())
			continue
		}
		if u = w.apply(w.Store, "acme", u.ID); u.State != uploads.Done || u.Apply.Counts != u.Check.Counts {
			t.Errorf("%s: %+v", f.Schema.Name, u.Apply)
		}
	}
}
