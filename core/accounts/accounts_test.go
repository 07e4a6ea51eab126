package accounts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
)

// apply lays a patch in JSON over an account, at the instant now.
func apply(t interface{ Fatalf(string, ...any) }, old schema.Record, now int64, patch string, options ...string) (schema.Record, *core.Failure) {
	if err := schema.Valid([]byte(patch)); err != nil {
		t.Fatalf("%s: %v", patch, err)
	}
	p, failure := declaration.Decode([]byte(patch), true)
	if failure != nil {
		t.Fatalf("%s: %v", patch, failure)
	}
	p[id] = schema.Text("a1")
	if old == nil {
		p[name], p[joinDate] = schema.Text("Acme"), schema.Int(1)
	}
	return Family.Merge(resource.Change{Old: old, Patch: p, Now: now, Option: func(name string) bool {
		return slices.Contains(options, name)
	}})
}

func mustApply(t *testing.T, old schema.Record, now int64, patch string, options ...string) schema.Record {
	t.Helper()
	r, failure := apply(t, old, now, patch, options...)
	if failure != nil {
		t.Fatalf("%s: %v", patch, failure)
	}
	return r
}

// history writes the stages of an account as "name start-end", the open one
// without an end.
func history(r schema.Record) string {
	var all []string
	for _, s := range stages.Entries(r[stageHistory]) {
		end := ""
		if !s[stageEnd].IsNull() {
			end = string(s[stageEnd])
		}
		all = append(all, fmt.Sprintf("%s %s-%s", s[stageName].Text(), s[stageFrom], end))
	}
	return strings.Join(all, ", ")
}

func TestStages(t *testing.T) {
	type step struct{ patch, history, current string }
	for what, steps := range map[string][]step{
		"stage opens the first one now": {
			{`{"stage":"trial"}`, "trial 10-", "trial"},
		},
		"stage closes the open one and opens the new one at the same instant": {
			{`{"stage":"trial"}`, "trial 10-", "trial"},
			{`{"stage":"live"}`, "trial 10-20, live 20-", "live"},
		},
		"stage that is open already changes nothing": {
			{`{"stage":"trial"}`, "trial 10-", "trial"},
			{`{"stage":"trial"}`, "trial 10-", "trial"},
		},
		"stage null closes the open one": {
			{`{"stage":"trial"}`, "trial 10-", "trial"},
			{`{"stage":null}`, "trial 10-20", ""},
			{`{"stage":null}`, "trial 10-20", ""},
		},
		"stage over one that begins in the future closes that at its beginning": {
			{`{"stage_history":[{"name":"later","start_date":99}]}`, "later 99-", "later"},
			{`{"stage":"now"}`, "now 20-, later 99-99", "now"},
		},
		"entries merge by name and start": {
			{`{"stage_history":[{"name":"a","start_date":1,"end_date":2},{"name":"b","start_date":1,"end_date":3}]}`, "a 1-2, b 1-3", ""},
			{`{"stage_history":[{"name":"a","start_date":1,"end_date":5},{"name":"a","start_date":2,"end_date":6}]}`, "a 1-5, b 1-3, a 2-6", ""},
		},
		"an entry posted again without an end is open again": {
			{`{"stage_history":[{"name":"a","start_date":1,"end_date":2}]}`, "a 1-2", ""},
			{`{"stage_history":[{"name":"a","start_date":1}]}`, "a 1-", "a"},
		},
		"a newer open stage closes the older one at its start": {
			{`{"stage_history":[{"name":"old","start_date":1}]}`, "old 1-", "old"},
			{`{"stage_history":[{"name":"new","start_date":7}]}`, "old 1-7, new 7-", "new"},
		},
		"an older open stage posted later gets the newer one's start as its end": {
			{`{"stage_history":[{"name":"new","start_date":7}]}`, "new 7-", "new"},
			{`{"stage_history":[{"name":"old","start_date":1}]}`, "old 1-7, new 7-", "new"},
		},
		"of two that start together the one posted last stays": {
			{`{"stage_history":[{"name":"b","start_date":1}]}`, "b 1-", "b"},
			{`{"stage_history":[{"name":"a","start_date":1}]}`, "a 1-, b 1-1", "a"},
			{`{"stage_history":[{"name":"c","start_date":1}]}`, "a 1-1, b 1-1, c 1-", "c"},
		},
		"an entry that ends the open one leaves none": {
			{`{"stage":"a"}`, "a 10-", "a"},
			{`{"stage_history":[{"name":"a","start_date":10,"end_date":15}]}`, "a 10-15", ""},
		},
		"stage_history null forgets them all": {
			{`{"stage":"a"}`, "a 10-", "a"},
			{`{"stage_history":null}`, "", ""},
		},
		"a patch without stages leaves them alone": {
			{`{"stage":"a"}`, "a 10-", "a"},
			{`{"tier":"high"}`, "a 10-", "a"},
			{`{"stage_history":[]}`, "a 10-", "a"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			var r schema.Record
			for i, s := range steps {
				r = mustApply(t, r, int64(10*(i+1)), s.patch)
				if got := history(r); got != s.history || r[currentStage].Text() != s.current {
					t.Fatalf("after %s: %q, current %q; want %q, %q", s.patch, got, r[currentStage].Text(), s.history, s.current)
				}
			}
		})
	}
}

func TestContradictoryStagesAreRefused(t *testing.T) {
	for patch, code := range map[string]core.Code{
		`{"stage":"a","stage_history":[{"name":"b","start_date":1}]}`:                 core.Conflicting,
		`{"stage":null,"stage_history":[]}`:                                           core.Conflicting,
		`{"stage_history":[{"name":"a","start_date":1},{"name":"b","start_date":2}]}`: core.Conflicting,
		`{"stage_history":[{"name":"a","start_date":2,"end_date":1}]}`:                core.OutOfRange,
	} {
		if _, failure := apply(t, nil, 1, patch); failure == nil || failure.Code != code {
			t.Errorf("%s: %+v, want %s", patch, failure, code)
		}
	}
}

// span identifies a stage of the model.
type span struct {
	start int64
	name  string
}

const open = -1 // the end of an open stage in the model

// stageModel is the slow model of the stages of an account.
type stageModel map[span]int64

func (m stageModel) open() (span, bool) {
	for s, end := range m {
		if end == open {
			return s, true
		}
	}
	return span{}, false
}

func (m stageModel) set(name string, now int64) {
	if s, ok := m.open(); ok {
		if s.name == name {
			return
		}
		m[s] = max(now, s.start)
	}
	if name != "" {
		m[span{now, name}] = open
	}
}

// post merges entries, of which at most one is open. It may close the stage
// that was open before, or be closed by it.
func (m stageModel) post(entries []posted) {
	before, wasOpen := m.open()
	var latest *span
	for _, e := range entries {
		m[e.span] = e.end
		if e.end == open {
			latest = &e.span
		}
	}
	if !wasOpen || latest == nil || m[before] != open || m[*latest] != open || before == *latest {
		return
	}
	if latest.start >= before.start {
		m[before] = latest.start
	} else {
		m[*latest] = before.start
	}
}

type posted struct {
	span
	end int64
}

func (m stageModel) String() string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b span) int {
		if a.start != b.start {
			return int(a.start - b.start)
		}
		return strings.Compare(a.name, b.name)
	})
	var all []string
	for _, s := range keys {
		end := ""
		if m[s] != open {
			end = fmt.Sprint(m[s])
		}
		all = append(all, fmt.Sprintf("%s %d-%s", s.name, s.start, end))
	}
	return strings.Join(all, ", ")
}

func patchOf(entries []posted) string {
	var list []string
	for _, e := range entries {
		end := ""
		if e.end != open {
			end = fmt.Sprintf(`,"end_date":%d`, e.end)
		}
		list = append(list, fmt.Sprintf(`{"name":%q,"start_date":%d%s}`, e.name, e.start, end))
	}
	return `{"stage_history":[` + strings.Join(list, ",") + `]}`
}

func TestStagesFollowTheModel(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		model, r, now := stageModel{}, schema.Record(nil), int64(0)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			now += rapid.Int64Range(0, 3).Draw(t, "later")
			patch := ""
			if rapid.Bool().Draw(t, "stage") {
				stage := rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "name")
				patch = fmt.Sprintf(`{"stage":%q}`, stage)
				model.set(stage, now)
			} else {
				var entries []posted
				openOnes := 0
				for range rapid.IntRange(0, 3).Draw(t, "entries") {
					start := rapid.Int64Range(0, 9).Draw(t, "start")
					e := posted{span{start, names.Draw(t, "name")}, open}
					if openOnes > 0 || rapid.Bool().Draw(t, "ended") {
						e.end = start + rapid.Int64Range(0, 9).Draw(t, "end")
					} else {
						openOnes++
					}
					entries = append(entries, e)
				}
				patch = patchOf(entries)
				model.post(entries)
			}
			next, failure := apply(t, r, now, patch)
			if failure != nil {
				t.Fatalf("%s: %v", patch, failure)
			}
			r = next
			if got := history(r); got != model.String() {
				t.Fatalf("after %s at %d: %q, want %q", patch, now, got, model)
			}
			if strings.Count(history(r)+",", "-,") > 1 {
				t.Fatalf("more than one open stage: %s", history(r))
			}
			if s, _ := model.open(); r[currentStage].Text() != s.name {
				t.Fatalf("current stage %q, want %q", r[currentStage].Text(), s.name)
			}
		}
	})
}

// Whatever order open stages with different starts are posted in, the same
// ones are known in the end and the newest one is open; of two, the older one
// ends where the newer one starts.
func TestOrderOfPostingDoesNotDecideWhichStageIsOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		starts := rapid.SliceOfNDistinct(rapid.Int64Range(0, 99), 2, 4, rapid.ID).Draw(t, "starts")
		run := func(order []int64) (string, []string, string) {
			var r schema.Record
			for _, start := range order {
				next, failure := apply(t, r, 1000, patchOf([]posted{{span{start, fmt.Sprint("s", start)}, open}}))
				if failure != nil {
					t.Fatalf("%v", failure)
				}
				r = next
			}
			var keys []string
			for _, s := range stages.Entries(r[stageHistory]) {
				keys = append(keys, s[stageName].Text()+"@"+string(s[stageFrom]))
			}
			return history(r), keys, r[currentStage].Text()
		}
		shuffled := rapid.Permutation(starts).Draw(t, "order")
		one, keys, current := run(starts)
		other, otherKeys, otherCurrent := run(shuffled)
		if !slices.Equal(keys, otherKeys) || current != otherCurrent || current != fmt.Sprint("s", slices.Max(starts)) {
			t.Fatalf("%v gives %q, %v gives %q", starts, one, shuffled, other)
		}
		if len(starts) == 2 && one != other {
			t.Fatalf("%v gives %q, %v gives %q", starts, one, shuffled, other)
		}
	})
}

func TestInactivity(t *testing.T) {
	const future = 1_000_000
	type step struct {
		patch        string
		active       bool
		time, reason string // as stored; "" for unset
	}
	for what, steps := range map[string][]step{
		"is_deleted takes the current time": {{`{"is_deleted":true}`, false, "10", ""}},
		"is_churned does so too":            {{`{"is_churned":true}`, false, "10", ""}},
		"a time and a reason given are kept": {
			{`{"is_deleted":true,"inactive_time":7,"inactive_reason":"price"}`, false, "7", "price"},
		},
		"a time and a reason without a flag are ignored": {
			{`{"inactive_time":7,"inactive_reason":"price"}`, true, "", ""},
		},
		"deleted again keeps the first time": {
			{`{"is_deleted":true}`, false, "10", ""},
			{`{"is_deleted":true}`, false, "10", ""},
			{`{"is_churned":true,"inactive_reason":"late"}`, false, "10", "late"},
		},
		"unless one is given": {
			{`{"is_deleted":true}`, false, "10", ""},
			{`{"is_deleted":true,"inactive_time":5}`, false, "5", ""},
			{`{"inactive_time":6}`, false, "6", ""},
		},
		"a time of null is the time it was": {
			{`{"is_deleted":true}`, false, "10", ""},
			{`{"inactive_time":null}`, false, "10", ""},
		},
		"is_deleted false undoes a deletion": {
			{`{"is_deleted":true,"inactive_reason":"price"}`, false, "10", "price"},
			{`{"is_deleted":false}`, true, "", ""},
		},
		"is_deleted null as well": {
			{`{"is_deleted":true}`, false, "10", ""},
			{`{"is_deleted":null}`, true, "", ""},
		},
		"but not a churn": {
			{`{"is_churned":true,"inactive_reason":"price"}`, false, "10", "price"},
			{`{"is_deleted":false}`, false, "10", "price"},
			{`{"is_churned":false}`, true, "", ""},
		},
		"active when neither is left": {
			{`{"is_churned":true,"is_deleted":true}`, false, "10", ""},
			{`{"is_churned":false}`, false, "10", ""},
			{`{"is_deleted":false}`, true, "", ""},
		},
		"undone and done again takes a new time": {
			{`{"is_deleted":true}`, false, "10", ""},
			{`{"is_deleted":false}`, true, "", ""},
			{`{"is_deleted":true}`, false, "30", ""},
		},
		"a time in the future keeps it active until then": {
			{fmt.Sprintf(`{"is_deleted":true,"inactive_time":%d}`, future), true, fmt.Sprint(future), ""},
		},
		"a time before the epoch is in the past": {
			{`{"is_deleted":true,"inactive_time":-5}`, false, "-5", ""},
			{`{"is_deleted":true,"inactive_time":0}`, false, "0", ""},
		},
		"inactive accounts accept data": {
			{`{"is_deleted":true}`, false, "10", ""},
			{`{"tier":"high"}`, false, "10", ""},
		},
	} {
		t.Run(what, func(t *testing.T) {
			var r schema.Record
			for i, s := range steps {
				now := int64(10 * (i + 1))
				r = mustApply(t, r, now, s.patch)
				shown := slices.Clone(r)
				Family.Show(shown, now)
				if active := shown[isActive].IsNull(); active != s.active || string(r[inactiveTime]) != s.time || r[reason].Text() != s.reason {
					t.Fatalf("after %s: active %t, time %s, reason %s; want %t, %s, %s", s.patch, active, r[inactiveTime], r[reason], s.active, s.time, s.reason)
				}
				hidden := Family.HiddenFrom(r)
				if visible := hidden == 0 || hidden > now; visible != s.active {
					t.Fatalf("after %s: lists hide it from %d on, at %d", s.patch, hidden, now)
				}
				later := slices.Clone(r)
				Family.Show(later, future)
				if flagged := r[isDeleted].True() || r[isChurned].True(); later[isActive].IsNull() == flagged {
					t.Fatalf("after %s: is_active %s once the time has come", s.patch, later[isActive])
				}
			}
		})
	}
}

func TestDeactivatePatches(t *testing.T) {
	for _, c := range []struct {
		d                resource.Deactivation
		deleted, churned bool
		time             string
	}{
		{resource.Deactivation{}, true, false, "10"},
		{resource.Deactivation{Churn: true}, false, true, "10"},
		{resource.Deactivation{Time: schema.Int(3)}, true, false, "3"},
	} {
		patch := Family.Deactivate(c.d)
		patch[id] = schema.Text("a1")
		r, failure := Family.Merge(resource.Change{Old: mustApply(t, nil, 5, `{}`), Patch: patch, Now: 10, Option: func(string) bool { return false }})
		if failure != nil || r[isDeleted].True() != c.deleted || r[isChurned].True() != c.churned || string(r[inactiveTime]) != c.time {
			t.Errorf("%+v: deleted %s, churned %s, at %s, %v", c.d, r[isDeleted], r[isChurned], r[inactiveTime], failure)
		}
	}
}

func TestManagersAddUpUnlessOverwritten(t *testing.T) {
	r := mustApply(t, nil, 1, `{"assigned_csms":[{"email":"joe@example.com"},{"email":"fred@example.com"}]}`)
	r = mustApply(t, r, 2, `{"assigned_csms":[{"email":"joe@example.com"},{"email":"zoe@example.com"}]}`)
	if got := string(r[csms]); got != `[["fred@example.com"],["joe@example.com"],["zoe@example.com"]]` {
		t.Errorf("added up to %s", got)
	}
	one := mustApply(t, r, 3, `{"assigned_csms":[{"email":"zoe@example.com"}]}`, OverwriteCSMs)
	if got := string(one[csms]); got != `[["zoe@example.com"]]` {
		t.Errorf("overwritten with %s", got)
	}
	if none := mustApply(t, r, 3, `{"assigned_csms":[]}`, OverwriteCSMs); !none[csms].IsNull() {
		t.Errorf("an empty array leaves %s", none[csms])
	}
	if same := mustApply(t, r, 3, `{"tier":"x"}`, OverwriteCSMs); string(same[csms]) != string(r[csms]) {
		t.Errorf("a record without assigned_csms leaves %s", same[csms])
	}
}

func TestCurrentScoreIsRecomputedFromTheHistory(t *testing.T) {
	score := func(date, value int64) schema.Record {
		s := scores.NewRecord()
		s[scoreDate], s[scoreNPS] = schema.Int(date), schema.Int(value)
		return s
	}
	r := declaration.NewRecord()
	r[currentNPS] = schema.Int(99)
	Family.Beside.Recompute(r, slices.Values([]schema.Record{score(9, 50), score(8, -3)}))
	if string(r[currentNPS]) != "24" {
		t.Errorf("recomputed to %s, want 23.5 rounded", r[currentNPS])
	}
	Family.Beside.Recompute(r, slices.Values([]schema.Record(nil)))
	if !r[currentNPS].IsNull() {
		t.Errorf("without scores it is %s, want null", r[currentNPS])
	}
}

func TestScoresOfADateShareAPrefixAndFollowTheirDates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := func(date int64, user string) string {
			s := scores.NewRecord()
			s[scoreDate], s[scoreUser] = schema.Int(date), schema.Text(user)
			return Family.Beside.SortKey(s)
		}
		dates := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64())
		users := rapid.SampledFrom([]string{"", "a", "\x00", "b\x01"})
		a, b := dates.Draw(t, "a"), dates.Draw(t, "b")
		ka, kb := key(a, users.Draw(t, "user")), key(b, users.Draw(t, "other"))
		if strings.HasPrefix(ka, ScorePrefix(b)) != (a == b) {
			t.Fatalf("the scores of %d and of %d are not told apart", a, b)
		}
		if a != b && (ka < kb) != (a < b) {
			t.Fatalf("the keys of %d and %d are in the wrong order", a, b)
		}
	})
}

func TestRemoveStages(t *testing.T) {
	old := mustApply(t, nil, 1, `{"stage_history":[{"name":"a","start_date":1,"end_date":2},{"name":"a","start_date":3,"end_date":4},{"name":"b","start_date":5}]}`)
	before := history(old)
	text := func(s string) *string { return &s }
	at := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name          *string
		start         *int64
		left, current string
	}{
		{nil, nil, "", ""},
		{text("a"), nil, "b 5-", "b"},
		{text("a"), at(3), "a 1-2, b 5-", "b"},
		{text("b"), at(5), "a 1-2, a 3-4", ""},
		{text("c"), nil, before, "b"},
		{text("a"), at(5), before, "b"},
	} {
		r, failure := RemoveStages(c.name, c.start)(old)
		if failure != nil || history(r) != c.left || r[currentStage].Text() != c.current {
			t.Errorf("left %q, current %s, %v; want %q, %s", history(r), r[currentStage], failure, c.left, c.current)
		}
	}
	if history(old) != before {
		t.Error("the edit changed the record it was given")
	}
}

func TestRemoveEntriesAndListDocuments(t *testing.T) {
	old := mustApply(t, nil, 1, `{"documents":[{"name":"b","url":"u2"},{"name":"a","url":"u1","description":"first"}]}`)
	docs := Documents("a1", old)
	if got := string(DocumentList.AppendObject(nil, docs[0], DocumentList.All())); len(docs) != 2 ||
		got != `{"account_id":"a1","name":"a","url":"u1","description":"first"}` {
		t.Errorf("%d documents, the first %s", len(docs), got)
	}
	key := "a"
	r, failure := RemoveEntries(documents, &key)(old)
	if left := Documents("a1", r); failure != nil || len(left) != 1 || left[0][1].Text() != "b" {
		t.Errorf("left are %v, %v", left, failure)
	}
	if r, _ = RemoveEntries(documents, nil)(old); len(Documents("a1", r)) != 0 {
		t.Error("all documents were to go")
	}
}

func TestShownStageIsTheCurrentOne(t *testing.T) {
	r := mustApply(t, nil, 10, `{"stage":"trial"}`)
	if r[stage].Given() {
		t.Error("stage is stored: it would contradict the history one day")
	}
	Family.Show(r, 10)
	if r[stage].Text() != "trial" || r[currentStage].Text() != "trial" {
		t.Errorf("shown stage %s, current %s", r[stage], r[currentStage])
	}
}
