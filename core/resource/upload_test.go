package resource_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/nps"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

func TestSameKeyInSeveralChunksAppliesInTheOrderGiven(t *testing.T) {
	w := newWorld(t, 16)
	var records []string
	for i := range 2100 {
		records = append(records, fmt.Sprintf(`{"account_id":"other-%d","name":"n","join_date":1}`, i))
	}
	for n, at := range []int{0, 999, 1000, 1001, 1999, 2000, 2099} {
		records[at] = fmt.Sprintf(`{"account_id":"same","name":"n%d","join_date":1,"custom_value_dimensions":[{"key":"k%d","value":%d}]}`, n, n, at)
	}
	result := upload(t, w.Engine, accounts.Family, records...)
	if result.Inserted != 2100-6 || result.Changed != 6 || result.Unchanged != 0 {
		t.Errorf("%+v", result)
	}
	got := read(t, w.Engine, account("same"))
	if !strings.Contains(got, `"name":"n6"`) ||
		!strings.Contains(got, `"custom_value_dimensions":{"k0":0,"k1":999,"k2":1000,"k3":1001,"k4":1999,"k5":2000,"k6":2099}`) {
		t.Errorf("it reads %s", got)
	}
	if again := upload(t, w.Engine, accounts.Family, records[1:999]...); again.Unchanged != 998 {
		t.Errorf("posted again: %+v", again)
	}
}

func TestFailedRecordsAreReportedByPositionAndTheOthersApply(t *testing.T) {
	w := newWorld(t, 1)
	result, err := w.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: accounts.Family, Records: inputs(accounts.Family,
		`{"account_id":"a","name":"n"}`,
		`{"account_id":"b","name":"n","join_date":1}`,
		`{"account_id":"c","name":"n","join_date":"x","crm_account_id":7}`,
		`{"name":"n"}`,
		`{"account_id":"b","name":null}`,
		`{"account_id":"b","tier":"t"}`,
		`[]`,
	)})
	if err != nil || result.Inserted != 1 || result.Changed != 1 || result.Unchanged != 0 || result.Fatal != nil {
		t.Errorf("%+v, %v", result, err)
	}
	var got []string
	for _, f := range result.Failed {
		got = append(got, fmt.Sprintf("%d %s %s", f.Record, f.Code, f.Field))
	}
	want := []string{"0 missing_field join_date", "2 wrong_type join_date", "3 missing_field account_id", "4 missing_field name", "6 wrong_type "}
	if !slices.Equal(got, want) {
		t.Errorf("failed: %q, want %q", got, want)
	}
	if ids := result.Failed[1].IDs; ids[accounts.Family.ID].Text() != "c" || ids[accounts.Family.Schema.Ordinal("crm_account_id")].Text() != "7" {
		t.Errorf("the ids of a refused record: %q", ids)
	}
}

const member = `{"account_id":"%s","user_id":"%s","first_name":"A","last_name":"B"}`

func TestMissingAccountsAreSkippedOrFailEverything(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	records := inputs(people.Users, fmt.Sprintf(member, "gone", "u1"), fmt.Sprintf(member, "a1", "u2"), `{"user_id":"u3"}`, fmt.Sprintf(member, "gone", "u4"))
	result, err := w.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: people.Users, Records: records, FailOnMissingAccount: true})
	if err != nil || result.Fatal == nil || result.Fatal.Message != "Account not found" || result.Applied() != 0 ||
		len(result.Failed) != 2 || result.Failed[0].Record != 0 || result.Failed[1].Record != 3 {
		t.Errorf("all or nothing: %+v, %v", result, err)
	}
	if got := read(t, w.Engine, resource.Target{Workspace: "acme", Family: people.Users, ID: "u2"}); got != "" {
		t.Errorf("applied all the same: %s", got)
	}
	result, err = w.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: people.Users, Records: records})
	if err != nil || result.Inserted != 1 || result.MissingAccounts != 2 || len(result.Failed) != 3 {
		t.Errorf("skipped: %+v, %v", result, err)
	}
}

func TestIDThatIsNotUniqueNeedsAnAccount(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare, `{"account_id":"a2","name":"n","join_date":1}`)
	upload(t, w.Engine, people.Users, fmt.Sprintf(member, "a1", "u"), fmt.Sprintf(member, "a2", "u"), fmt.Sprintf(member, "a2", "only"))
	user := func(id, account string) resource.Target {
		return resource.Target{Workspace: "acme", Family: people.Users, ID: id, Account: account}
	}
	if records, err := w.Read(t.Context(), user("u", "")); err != nil || len(records) != 2 {
		t.Errorf("reading by id alone gives %d records, %v; want every match", len(records), err)
	}
	for _, c := range []struct {
		target resource.Target
		code   core.Code
	}{
		{user("u", ""), core.NotUnique}, {user("u", "a1"), ""}, {user("only", ""), ""}, {user("nobody", ""), core.NotFound},
		{user("u", "gone"), core.NotFound}, {user("only", "a1"), core.NotFound}, {user("", ""), core.NotFound}, {user("\xff", ""), core.NotFound},
	} {
		failure, err := w.Deactivate(t.Context(), c.target, resource.Deactivation{})
		if err != nil || c.code == "" && failure != nil || c.code != "" && (failure == nil || failure.Code != c.code) {
			t.Errorf("deactivate %q in %q: %+v, %v; want %q", c.target.ID, c.target.Account, failure, err, c.code)
		}
	}
	if changed, failure, err := w.Modify(t.Context(), resource.Modification{Target: user("u", ""), Patch: patchOf(t, people.Users, `{"user_id":"v"}`)}); changed || failure == nil || failure.Code != core.Conflicting || err != nil {
		t.Errorf("another id in the body: %t, %+v, %v", changed, failure, err)
	}
}

func TestNewUsersJoinNowUnlessTheySayOtherwise(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	upload(t, w.Engine, people.Users, fmt.Sprintf(member, "a1", "u"))
	user := resource.Target{Workspace: "acme", Family: people.Users, ID: "u"}
	if got := read(t, w.Engine, user); !strings.Contains(got, fmt.Sprintf(`"product_join_date":%d`, startOfTime)) {
		t.Errorf("a new user: %s", got)
	}
	upload(t, w.Engine, people.Users, `{"account_id":"a1","user_id":"u","product_join_date":null}`)
	if got := read(t, w.Engine, user); !strings.Contains(got, `"product_join_date":null`) {
		t.Errorf("cleared later: %s", got)
	}
}

func TestRacingChangesOfOneRecordLoseNothing(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			patch := fmt.Sprintf(`{"account_id":"a1","custom_value_dimensions":[{"key":"k%02d","value":%d}],"nps_history":[{"nps_score":%d,"date":%d}]}`, i, i, i, startOfTime+i)
			if i%2 == 0 {
				patch = fmt.Sprintf(`{"account_id":"a1","custom_value_dimensions":[{"key":"k%02d","value":%d}]}`, i, i)
			}
			var failure *core.Failure
			var err error
			switch i % 8 {
			case 7:
				failure, err = w.Deactivate(t.Context(), account("a1"), resource.Deactivation{})
			case 5:
				var result *resource.Result
				result, err = w.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: accounts.Family, Records: inputs(accounts.Family, patch)})
				if err == nil && result.Changed != 1 {
					t.Errorf("%+v", result)
				}
			default:
				decoded, _ := accounts.Family.Schema.Decode([]byte(patch), true)
				_, failure, err = w.Modify(t.Context(), resource.Modification{Target: account("a1"), Patch: decoded})
			}
			if failure != nil || err != nil {
				t.Error(failure, err)
			}
		})
	}
	group.Wait()
	got := read(t, w.Engine, account("a1"))
	sum, n := 0, 0
	for i := range 32 {
		if i%8 == 7 {
			continue
		}
		if !strings.Contains(got, fmt.Sprintf(`"k%02d":%d`, i, i)) {
			t.Errorf("the change of %d is lost", i)
		}
		if i%2 == 1 {
			sum, n = sum+i, n+1
		}
	}
	if strings.Count(got, `"nps_score"`) != n || !strings.Contains(got, fmt.Sprintf(`"current_nps_score":%d,`, (sum+n/2)/n)) || !strings.Contains(got, `"is_active":false`) {
		t.Errorf("%d scores of mean %d and a deactivation make %s", n, (sum+n/2)/n, got)
	}
}

// intruder is a table where somebody else is faster, once.
type intruder struct {
	table.Table
	once func()
}

func (i *intruder) intrude() {
	if once := i.once; once != nil {
		i.once = nil
		once()
	}
}

func (i *intruder) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	i.intrude()
	return i.Table.Write(ctx, ops, guard)
}

func (i *intruder) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	i.intrude()
	return i.Table.Transact(ctx, ops, guard)
}

func TestWhoLosesARaceMergesAnew(t *testing.T) {
	for what, c := range map[string]struct{ other, mine, want string }{
		"another field":         {`"tier":"other"`, `"industry":"mine"`, `"industry":"mine","tier":"other"`},
		"entries beside":        {`"nps_history":[{"nps_score":10,"date":1}]`, `"nps_history":[{"nps_score":20,"date":2}]`, `"current_nps_score":15`},
		"one that makes it new": {`"tier":"other"`, `"industry":"mine"`, `"tier":"other"`},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, 1)
			if what != "one that makes it new" {
				upload(t, w.Engine, accounts.Family, bare)
			}
			slow := &intruder{Table: w.store}
			slow.once = func() { upload(t, w.Engine, accounts.Family, whole("a1", c.other)) }
			upload(t, w.over(slow), accounts.Family, whole("a1", c.mine))
			if got := read(t, w.Engine, account("a1")); !strings.Contains(got, c.want) {
				t.Errorf("it reads %s, want %s", got, c.want)
			}
		})
	}
}

func TestOutcomeIsThatOfTheRaceAsItWasDecided(t *testing.T) {
	w := newWorld(t, 1)
	slow := &intruder{Table: w.store}
	slow.once = func() { upload(t, w.Engine, accounts.Family, bare) }
	if result := upload(t, w.over(slow), accounts.Family, bare); result.Unchanged != 1 {
		t.Errorf("%+v: another one had inserted the same record", result)
	}
}

func TestLostLockStopsAnUpload(t *testing.T) {
	w := newWorld(t, 1)
	gone := &table.Guard{Key: table.Key{Partition: "~locks/x", Sort: "upload"}, Version: 1}
	_, err := w.Upload(t.Context(), resource.Upload{Workspace: "acme", Family: accounts.Family, Records: inputs(accounts.Family, bare), Guard: gone})
	if !errors.Is(err, table.ErrFenced) || read(t, w.Engine, account("a1")) != "" {
		t.Errorf("%v; it reads %q", err, read(t, w.Engine, account("a1")))
	}
}

// score identifies an entry of nps_history in the model.
type score struct {
	date int64
	user string
}

func (s score) compare(other score) int {
	if s.date != other.date {
		return int(s.date - other.date)
	}
	return strings.Compare(s.user, other.user)
}

func TestEntriesBesideARecordFollowTheModel(t *testing.T) {
	w := newWorld(t, 1)
	run := 0
	all := map[string]map[score]int64{} // of every account
	rapid.Check(t, func(t *rapid.T) {
		run++
		id := fmt.Sprint("a", run)
		upload(t, w.Engine, accounts.Family, whole(id, `"tier":"x"`))
		model, current := map[score]int64{}, ""
		all[id] = model
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				upload(t, w.Engine, accounts.Family, fmt.Sprintf(`{"account_id":%q,"nps_history":null}`, id))
				if len(model) > 0 {
					current = "null"
				}
				clear(model)
			case 1:
				date := rapid.Int64Range(-3, 3).Draw(t, "date") * 10 * 86_400_000
				failure, err := w.EraseBeside(t.Context(), account(id), accounts.ScorePrefix(date))
				if failure != nil || err != nil {
					t.Fatalf("%v, %v", failure, err)
				}
				before := len(model)
				maps.DeleteFunc(model, func(s score, _ int64) bool { return s.date == date })
				if len(model) < before {
					current = ""
				}
			case 2:
				current = fmt.Sprint(rapid.IntRange(-100, 100).Draw(t, "set"))
				upload(t, w.Engine, accounts.Family, fmt.Sprintf(`{"account_id":%q,"current_nps_score":%s}`, id, current))
			default:
				many := rapid.SampledFrom([]int{1, 3, 150}).Draw(t, "scores") // 150 go through a journal
				base := rapid.Int64Range(-100, 100).Draw(t, "base")
				var list []string
				for i := range many {
					s := score{int64(i%7-3) * 10 * 86_400_000, fmt.Sprint("u", i/7)}
					value := max(min(base+int64(i), 100), -100)
					if model[s] != value {
						current = ""
					} else if _, known := model[s]; !known {
						current = ""
					}
					model[s] = value
					list = append(list, fmt.Sprintf(`{"nps_score":%d,"date":%d,"username":%q}`, value, s.date, s.user))
				}
				upload(t, w.Engine, accounts.Family, fmt.Sprintf(`{"account_id":%q,"nps_history":[%s]}`, id, strings.Join(list, ",")))
			}
			checkScores(t, w, id, model, current)
			checkIndexedScores(t, w, all)
		}
	})
}

// checkScores compares an account's scores with the model's. current is what
// was set directly since they changed last; "" for nothing.
func checkScores(t *rapid.T, w *world, id string, model map[score]int64, current string) {
	records, err := w.Read(t.Context(), account(id))
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	s := accounts.Family.Schema
	field := s.Ordinal("nps_history")
	keys := slices.SortedFunc(maps.Keys(model), score.compare)
	var got []string
	for _, e := range s.List(field).Entries(records[0][field]) {
		got = append(got, fmt.Sprint(e[0].Int(), e[1].Int(), e[2].Text()))
	}
	var want []string
	for _, k := range keys {
		want = append(want, fmt.Sprint(model[k], k.date, k.user))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("scores %q, want %q", got, want)
	}
	if current == "" {
		slices.Reverse(keys)
		mean, ok := nps.Current(func(yield func(nps.Score) bool) {
			for _, k := range keys {
				if !yield(nps.Score{Date: k.date, Value: model[k]}) {
					return
				}
			}
		})
		current = "null"
		if ok {
			current = fmt.Sprint(mean)
		}
	}
	shown := records[0][s.Ordinal("current_nps_score")]
	if shown.IsNull() {
		shown = schema.Null
	}
	if string(shown) != current {
		t.Fatalf("current score %s, want %s", shown, current)
	}
}

// checkIndexedScores compares the scores of all accounts in a window with the
// models'.
func checkIndexedScores(t *rapid.T, w *world, all map[string]map[score]int64) {
	from := rapid.Int64Range(-4, 4).Draw(t, "from") * 10 * 86_400_000
	window := resource.Range{From: from, Until: from + rapid.Int64Range(0, 8).Draw(t, "until")*10*86_400_000}
	var got, want [][2]int64
	for row, err := range w.EntryRows(t.Context(), "acme", accounts.Family, window) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, [2]int64(row.Numbers))
	}
	for _, model := range all {
		for s, value := range model {
			if s.date >= window.From && s.date < window.Until {
				want = append(want, [2]int64{s.date, value})
			}
		}
	}
	slices.SortFunc(want, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
	if !slices.Equal(got, want) {
		t.Fatalf("%d scores in %v, want %d: %v, want %v", len(got), window, len(want), got, want)
	}
}

// unwritable is a table that must not be written to.
type unwritable struct{ table.Table }

func (unwritable) Write(context.Context, []table.Op, *table.Guard) []error {
	panic("a dry run writes")
}

func (unwritable) Transact(context.Context, []table.Op, *table.Guard) error {
	panic("a dry run writes")
}

func TestDryRunWritesNothingAndForetellsTheRealRun(t *testing.T) {
	w := newWorld(t, 1)
	id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	orNull := func(t *rapid.T, value string) string {
		return rapid.SampledFrom([]string{value, value, value, "null"}).Draw(t, "or null")
	}
	record := func(f *resource.Family) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			members := []string{fmt.Sprintf(`"account_id":%q`, id.Draw(t, "account"))}
			add := func(name, value string) {
				if rapid.Bool().Draw(t, name) {
					members = append(members, fmt.Sprintf("%q:%s", name, value))
				}
			}
			if f == accounts.Family {
				add("name", orNull(t, `"n"`))
				add("join_date", "1")
				add("tier", orNull(t, `"t"`))
				add("employees", rapid.SampledFrom([]string{"1", "2", `"x"`}).Draw(t, "employees"))
				add("stage", orNull(t, `"s"`))
				add("is_deleted", rapid.SampledFrom([]string{"true", "false"}).Draw(t, "deleted"))
				add("nps_history", rapid.SampledFrom([]string{"null", "[]", `[{"nps_score":1,"date":1}]`, `[{"nps_score":2,"date":1},{"nps_score":3,"date":2}]`}).Draw(t, "scores"))
				if rapid.IntRange(0, 20).Draw(t, "many") == 0 {
					members = append(members, scores(120, 9, 5, "many"))
				}
			} else {
				members = append(members, fmt.Sprintf(`"user_id":%q`, id.Draw(t, "user")))
				add("first_name", orNull(t, `"F"`))
				add("last_name", `"L"`)
				add("is_active", rapid.SampledFrom([]string{"true", "false"}).Draw(t, "active"))
				add("product_join_date", orNull(t, "1"))
				add("custom_value_dimensions", `[{"key":"k","value":1}]`)
			}
			return "{" + strings.Join(members, ",") + "}"
		})
	}
	summary := func(r *resource.Result) string {
		text := fmt.Sprintf("inserted %d, changed %d, unchanged %d, missing %d, fatal %v", r.Inserted, r.Changed, r.Unchanged, r.MissingAccounts, r.Fatal)
		for _, f := range r.Failed {
			text += fmt.Sprintf("; %d %s %q", f.Record, f.Message, f.IDs)
		}
		return text
	}
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		workspace := fmt.Sprint("w", run)
		for range rapid.IntRange(1, 3).Draw(t, "uploads") {
			f := rapid.SampledFrom([]*resource.Family{accounts.Family, accounts.Family, people.Users, people.Contacts}).Draw(t, "family")
			u := resource.Upload{
				Workspace: workspace, Family: f,
				Records:              inputs(f, rapid.SliceOfN(record(f), 0, 8).Draw(t, "records")...),
				FailOnMissingAccount: rapid.Bool().Draw(t, "fail on missing account"),
				DryRun:               true,
			}
			dry, err := w.over(unwritable{w.store}).Upload(t.Context(), u)
			if err != nil {
				t.Fatalf("dry run: %v", err)
			}
			u.DryRun = false
			real, err := w.Upload(t.Context(), u)
			if err != nil {
				t.Fatalf("real run: %v", err)
			}
			if summary(dry) != summary(real) {
				t.Fatalf("foretold: %s\ncame:     %s", summary(dry), summary(real))
			}
		}
	})
}

func TestDryRunOfAModification(t *testing.T) {
	w := newWorld(t, 1)
	upload(t, w.Engine, accounts.Family, bare)
	dry := w.over(unwritable{w.store})
	for patch, want := range map[string]bool{`{"tier":"x"}`: true, `{"name":"Acme"}`: false, `{` + scores(200, 1, 1, "x") + `}`: true} {
		changed, failure, err := dry.Modify(t.Context(), resource.Modification{Target: account("a1"), Patch: patchOf(t, accounts.Family, patch), DryRun: true})
		if changed != want || failure != nil || err != nil {
			t.Errorf("%.40s: changed %t, %v, %v", patch, changed, failure, err)
		}
	}
}
