package overview_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tenure/core/overview"
	"tenure/core/table"
)

// A model of a workspace, that knows nothing of how MRR is kept.

// change is a subscription's price, in cents a month, from an instant on; ended
// says that it ends then.
type change struct {
	at    int64
	price int64
	ended bool
}

type modelAccount struct {
	id     string
	subs   map[string][]change // in the order of time
	scores map[int64]int64     // by date
}

func (a *modelAccount) mrr(at int64) (sum int64) {
	for _, changes := range a.subs {
		price := int64(0)
		for _, c := range changes {
			if c.at <= at {
				price = c.price
			}
		}
		sum += price
	}
	return sum
}

type movement struct {
	account, kind string
	at            int64
	amount, after int64
}

// movements returns what moved an account's MRR, in the order of time.
func (a *modelAccount) movements() (all []movement) {
	var instants []int64
	for _, changes := range a.subs {
		for _, c := range changes {
			instants = append(instants, c.at)
		}
	}
	slices.Sort(instants)
	paid := false
	for _, at := range slices.Compact(instants) {
		was, is := a.mrr(at-1), a.mrr(at)
		m := movement{account: a.id, at: at, amount: is - was, after: is}
		fell := false
		for _, changes := range a.subs {
			for i, c := range changes {
				if c.at == at && c.price == 0 && (c.ended || i > 0 && changes[i-1].price > 0) {
					fell = true
				}
			}
		}
		switch {
		case is == was:
			continue
		case is > was && !paid:
			m.kind, paid = "new", true
		case is > was:
			m.kind = "expansion"
		case fell:
			m.kind = "churn"
		default:
			m.kind = "contraction"
		}
		all = append(all, m)
	}
	return all
}

// month returns what the overview is to say of the MRR in [start, until).
func month(all []*modelAccount, start, until int64) overview.Month {
	m := overview.Month{Start: start}
	net, gross := int64(0), int64(0)
	for _, a := range all {
		opening, closing := a.mrr(start-1), a.mrr(until-1)
		m.Opening += opening
		m.Closing += closing
		if opening > 0 {
			net += closing
			gross += min(opening, closing)
		}
		for _, one := range a.movements() {
			if one.at < start || one.at >= until {
				continue
			}
			switch one.kind {
			case "new":
				m.New += one.amount
			case "expansion":
				m.Expansion += one.amount
			case "contraction":
				m.Contraction += one.amount
			case "churn":
				m.Churn += one.amount
			}
		}
	}
	if m.Opening > 0 {
		n, g := float64(net)/float64(m.Opening), float64(gross)/float64(m.Opening)
		m.NetRetention, m.GrossRetention = &n, &g
	}
	return m
}

// rounded returns the mean of scores, rounded half away from zero.
func rounded(scores []int64) *int64 {
	if len(scores) == 0 {
		return nil
	}
	sum := int64(0)
	for _, s := range scores {
		sum += s
	}
	mean, _ := new(big.Rat).SetFrac64(sum, int64(len(scores))).Float64()
	n := int64(math.Round(mean))
	return &n
}

// instants are where histories change: at the borders of months and just beside
// them, and anywhere.
func instants(now int64) *rapid.Generator[int64] {
	return rapid.Custom(func(t *rapid.T) int64 {
		at := now - rapid.Int64Range(-60, 800).Draw(t, "days ago")*day - rapid.Int64Range(0, day).Draw(t, "ms")
		if rapid.Bool().Draw(t, "at a border") {
			u := time.UnixMilli(at).UTC()
			at = time.Date(u.Year(), u.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli() + rapid.Int64Range(-1, 1).Draw(t, "beside it")
		}
		return at
	})
}

// TestTheOverviewIsThatOfTheModelAndOfTheAPI counts workspaces of all kinds, in
// one go and in pieces, and holds the count to a model of its own and to what the
// API answers.
func TestTheOverviewIsThatOfTheModelAndOfTheAPI(t *testing.T) {
	store := openStore(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		now := date(rapid.SampledFrom([]string{"2026-11-25T12:34:56.789Z", "2026-03-01T00:00:00Z", "2026-02-28T23:59:59.999Z", "2024-02-29T10:00:00Z", "2026-01-01T00:00:00.001Z"}).Draw(t, "now"))
		w := over(t, store, rapid.SampledFrom([]int{1, 3}).Draw(t, "shards"), now)
		n++
		workspace := fmt.Sprintf("w%d", n)
		w.workspace(t, workspace)

		var all []*modelAccount
		var records, events []string
		for i := range rapid.IntRange(0, 6).Draw(t, "accounts") {
			a := &modelAccount{id: fmt.Sprintf("a%d", i), subs: map[string][]change{}, scores: map[int64]int64{}}
			all = append(all, a)
			r := map[string]any{"account_id": a.id, "name": "Name of " + a.id, "join_date": instants(now).Draw(t, "joined")}
			if rapid.Bool().Draw(t, "renews by hand") {
				r["renewal_date"] = now - now%day + rapid.SampledFrom([]int64{-1, 0, 90*day - 1, 90 * day, -40 * day, 30 * day}).Draw(t, "renewal")
			}
			switch rapid.IntRange(0, 4).Draw(t, "ended") {
			case 0:
				r["is_churned"], r["inactive_time"] = true, instants(now).Draw(t, "churned")
			case 1:
				r["is_deleted"], r["inactive_time"] = true, instants(now).Draw(t, "deleted")
			}
			var history []any
			for range rapid.IntRange(0, 5).Draw(t, "scores") {
				at := instants(now).Draw(t, "scored")
				if _, known := a.scores[at]; known {
					continue
				}
				a.scores[at] = rapid.SampledFrom([]int64{-100, 0, 100, 37, -55, 1}).Draw(t, "score")
				history = append(history, map[string]any{"date": at, "nps_score": a.scores[at]})
			}
			if history != nil {
				r["nps_history"] = history
			}
			records = append(records, toJSON(r))
			for s := range rapid.IntRange(0, 3).Draw(t, "subscriptions") {
				sub := fmt.Sprintf("%s-s%d", a.id, s)
				times := rapid.SliceOfNDistinct(instants(now), 1, 4, func(at int64) int64 { return at }).Draw(t, "changes")
				slices.Sort(times)
				for i, at := range times {
					c := change{at: at, price: rapid.Int64Range(0, 3).Draw(t, "price") * 1000}
					e := map[string]any{"account_id": a.id, "subscription_id": sub, "event": "revenue", "effective_start_date": at,
						"total_revenue": c.price, "cycle_unit": "month", "cycle_length": 1}
					if i > 0 && rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
						c.price, c.ended = 0, true
						e = map[string]any{"account_id": a.id, "subscription_id": sub, "event": "end", "effective_start_date": at}
					} else if rapid.Bool().Draw(t, "renews") {
						e["next_renewal_date"] = at + rapid.Int64Range(1, 500).Draw(t, "after days")*day
					}
					a.subs[sub] = append(a.subs[sub], c)
					events = append(events, toJSON(e))
					if c.ended {
						break
					}
				}
			}
		}
		w.post(t, workspace, "accounts", records...)
		w.post(t, workspace, "subscriptions", events...)

		inOne := w.counted(t, workspace)
		equalToModel(t, inOne, all, now)
		w.equalToAPI(t, workspace, inOne)

		// Another one that has counted nothing yet, in as many pieces as there can be.
		piecewise := w.inPieces(t, workspace, 1)
		if !reflect.DeepEqual(piecewise, inOne) {
			t.Fatalf("in pieces %s\nin one  %s", toJSON(piecewise), toJSON(inOne))
		}
	})
}

// forget removes what is kept of the counts of a workspace.
func (w *world) forget(t failer, workspace string) {
	t.Helper()
	if err := errors.Join(w.store.Write(t.Context(), []table.Op{table.Delete(kept(workspace), table.Condition{})}, nil)...); err != nil {
		t.Fatalf("%v", err)
	}
}

func kept(workspace string) table.Key {
	return table.Key{Partition: workspace + "/overview", Sort: "overview"}
}

// inPieces counts a workspace from the beginning, stopping after that many rows
// wherever it is possible.
func (w *world) inPieces(t failer, workspace string, rows int) *overview.Overview {
	t.Helper()
	w.forget(t, workspace)
	pieces := overview.New(w.store, w.engine).Pausing(rows)
	for n := 1; ; n++ {
		o, done, err := pieces.Count(t.Context(), workspace, 0)
		if err != nil || n > 1000 {
			t.Fatalf("after %d pieces: %v", n, err)
		}
		if last, old, err := pieces.Last(t.Context(), workspace); err != nil || old == (done && !o.Empty()) || !reflect.DeepEqual(last, o) {
			t.Fatalf("done %t, but old %t, %v", done, old, err)
		}
		if done {
			if n < 4 {
				t.Fatalf("counted in %d pieces only", n)
			}
			return o
		}
	}
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// equalToModel holds what moved, and what was answered, to the model.
func equalToModel(t failer, o *overview.Overview, all []*modelAccount, now int64) {
	t.Helper()
	if o.AsOf != now || len(o.Months) != 12 || len(o.NPS.Months) != 12 {
		t.Fatalf("as of %d, %d and %d months", o.AsOf, len(o.Months), len(o.NPS.Months))
	}
	u := time.UnixMilli(now).UTC()
	var months []overview.Month
	var scores []overview.NPSMonth
	for i := -11; i <= 0; i++ {
		start := time.Date(u.Year(), u.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		until := min(now+1, time.Date(u.Year(), u.Month()+time.Month(i+1), 1, 0, 0, 0, 0, time.UTC).UnixMilli())
		months = append(months, month(all, start, until))
		s := overview.NPSMonth{Start: start}
		var given []int64
		for _, a := range all {
			for at, score := range a.scores {
				if at < start || at >= until {
					continue
				}
				given = append(given, score)
				switch {
				case score > 0:
					s.Positive++
				case score < 0:
					s.Negative++
				default:
					s.Neutral++
				}
			}
		}
		s.Answers, s.Score = int64(len(given)), rounded(given)
		scores = append(scores, s)
	}
	year := month(all, months[0].Start, now+1)
	for i, want := range append(months, year) {
		got := append(slices.Clone(o.Months), o.Year)[i]
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("month %d is %s, want %s", i, toJSON(got), toJSON(want))
		}
		if got.Opening+got.New+got.Expansion+got.Contraction+got.Churn != got.Closing {
			t.Fatalf("%s does not add up", toJSON(got))
		}
	}
	if !reflect.DeepEqual(o.NPS.Months, scores) {
		t.Fatalf("scores %s, want %s", toJSON(o.NPS.Months), toJSON(scores))
	}
	if o.MRR != year.Closing || o.ARR != 12*o.MRR {
		t.Fatalf("MRR %d, ARR %d, want %d", o.MRR, o.ARR, year.Closing)
	}
	movers(t, o, all, months[11].Start, now)
}

// movers holds the largest movements of a month to the model.
func movers(t failer, o *overview.Overview, all []*modelAccount, start, now int64) {
	t.Helper()
	var moved []movement
	for _, a := range all {
		for _, m := range a.movements() {
			if m.at >= start && m.at <= now {
				moved = append(moved, m)
			}
		}
	}
	size := func(n int64) int64 { return max(n, -n) }
	slices.SortStableFunc(moved, func(a, b movement) int { return cmp.Compare(size(b.amount), size(a.amount)) })
	for what, got := range map[string][]overview.Mover{"gains": o.Gains, "losses": o.Losses} {
		want := slices.DeleteFunc(slices.Clone(moved), func(m movement) bool { return m.amount > 0 != (what == "gains") })
		if len(got) != min(5, len(want)) {
			t.Fatalf("%d %s, want 5 of %d", len(got), what, len(want))
		}
		for i, m := range got {
			same := slices.ContainsFunc(want, func(w movement) bool {
				return m == overview.Mover{AccountID: w.account, Name: "Name of " + w.account, Date: w.at, Type: w.kind, Amount: w.amount, MRRAfter: w.after}
			})
			if !same || size(m.Amount) != size(want[i].amount) {
				t.Fatalf("%s: %d is %+v, want as large as %+v", what, i, m, want[i])
			}
		}
	}
}

// equalToAPI holds an overview to what the API answers at the same instant.
func (w *world) equalToAPI(t failer, workspace string, o *overview.Overview) {
	t.Helper()
	same := func(m overview.Month, until int64) {
		t.Helper()
		var got totals
		w.ask(t, workspace, http.MethodGet, fmt.Sprintf("/mrr_movements?start=%d&end=%d", m.Start, until), "", &got)
		want := totals{Opening: m.Opening, Closing: m.Closing, Net: m.NetRetention, Gross: m.GrossRetention}
		want.Totals.New, want.Totals.Expansion, want.Totals.Contraction, want.Totals.Churn = m.New, m.Expansion, m.Contraction, m.Churn
		want.Totals.Net = m.Closing - m.Opening
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("the API has %s of %d to %d, the overview %s", toJSON(got), m.Start, until, toJSON(want))
		}
	}
	for i, m := range o.Months {
		until := o.AsOf + 1
		if i+1 < len(o.Months) {
			until = o.Months[i+1].Start
		}
		same(m, until)
	}
	same(o.Year, o.AsOf+1)

	var want overview.Overview
	var scores []int64
	all := w.accounts(t, workspace)
	month, today := o.Months[11].Start, o.AsOf/day*day
	in := func(at int64) bool { return at >= month && at <= o.AsOf }
	due := func(r *overview.Renewals, a record) {
		r.Count++
		if a.MRR != nil {
			r.MRR += *a.MRR
		}
		r.First = append(r.First, overview.Renewal{AccountID: a.ID, Name: a.Name, Date: *a.Renewal, MRR: a.MRR})
	}
	sum := int64(0)
	for _, a := range all {
		mrr := int64(0)
		if a.MRR != nil {
			mrr = *a.MRR
		}
		sum += mrr
		if in(a.Joined) {
			want.Accounts.Joined++
		}
		if !a.Active {
			want.Accounts.Inactive++
			want.InactiveMRR += mrr
			if in(*a.Inactive) && a.Churned {
				want.Accounts.Churned++
			} else if in(*a.Inactive) {
				want.Accounts.Deleted++
			}
			continue
		}
		want.Accounts.Active++
		if a.NPS != nil {
			want.NPS.Accounts++
			scores = append(scores, *a.NPS)
		}
		switch {
		case a.Renewal == nil:
		case *a.Renewal < today:
			due(&want.Overdue, a)
		case *a.Renewal < today+90*day:
			due(&want.Renewals, a)
		}
	}
	want.NPS.Current = rounded(scores)
	for _, r := range []*overview.Renewals{&want.Renewals, &want.Overdue} {
		slices.SortStableFunc(r.First, func(a, b overview.Renewal) int {
			return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.AccountID, b.AccountID))
		})
		r.First = append([]overview.Renewal{}, r.First[:min(50, len(r.First))]...)
	}
	switch {
	case sum != o.MRR:
		t.Fatalf("the accounts pay %d, the overview has %d", sum, o.MRR)
	case o.Accounts != want.Accounts || o.InactiveMRR != want.InactiveMRR:
		t.Fatalf("accounts %+v and %d, want %+v and %d", o.Accounts, o.InactiveMRR, want.Accounts, want.InactiveMRR)
	case !reflect.DeepEqual(o.Renewals, want.Renewals) || !reflect.DeepEqual(o.Overdue, want.Overdue):
		t.Fatalf("renewals %s %s, want %s %s", toJSON(o.Renewals), toJSON(o.Overdue), toJSON(want.Renewals), toJSON(want.Overdue))
	case o.NPS.Accounts != want.NPS.Accounts || !reflect.DeepEqual(o.NPS.Current, want.NPS.Current):
		t.Fatalf("scores %s, want %d %s", toJSON(o.NPS), want.NPS.Accounts, toJSON(want.NPS.Current))
	}
}

func TestAnEmptyWorkspaceIsCountedToo(t *testing.T) {
	w := over(t, openStore(t), 1, date("2026-11-25T12:00:00Z"))
	if o, old, err := w.counter.Last(t.Context(), "acme"); o != nil || !old || err != nil {
		t.Errorf("before it was counted: %v %t %v", o, old, err)
	}
	o := w.counted(t, "acme")
	if o.Accounts != (overview.Accounts{}) || o.MRR != 0 || o.NPS.Current != nil || o.Year.NetRetention != nil || o.Year.Start != date("2025-12-01T00:00:00Z") {
		t.Errorf("%s", toJSON(o))
	}
	if text := toJSON(o); strings.Count(text, "null") != 12+2*13+1 || strings.Count(text, "[]") != 4 {
		t.Errorf("lists are to be empty, not null: %s", text)
	}
	w.equalToAPI(t, "acme", o)
}

// large fills a workspace so that what is listed does not hold all.
func large(t testing.TB, w *world, workspace string, accounts int) {
	t.Helper()
	now := w.ms.Load()
	for first := 0; first < accounts; first += 2000 {
		var records, events []string
		for i := first; i < min(first+2000, accounts); i++ {
			r := map[string]any{"account_id": fmt.Sprintf("a%06d", i), "name": fmt.Sprintf("Name of a%06d", i), "join_date": now - int64(i%700)*day,
				"nps_history": []any{map[string]any{"date": now - int64(i%500)*day, "nps_score": i%201 - 100}}}
			if i%10 == 3 {
				r["is_churned"], r["inactive_time"] = true, now-int64(i%90)*day
			}
			records = append(records, toJSON(r))
			events = append(events, toJSON(map[string]any{"account_id": r["account_id"], "subscription_id": fmt.Sprintf("s%06d", i), "event": "revenue",
				"effective_start_date": now - int64(i%700)*day, "total_revenue": 1000 + i, "cycle_unit": "month", "cycle_length": 1,
				"next_renewal_date": now + int64(i%300-60)*day}))
			if i%3 == 0 {
				events = append(events, toJSON(map[string]any{"account_id": r["account_id"], "subscription_id": fmt.Sprintf("s%06d", i), "event": "revenue",
					"effective_start_date": now - int64(i%350)*day, "total_revenue": 900 + i%4000, "cycle_unit": "month", "cycle_length": 1}))
			}
		}
		w.ask(t, workspace, http.MethodPost, "/accounts", `{"records":[`+strings.Join(records, ",")+`]}`, &struct{}{})
		w.ask(t, workspace, http.MethodPost, "/subscriptions", `{"records":[`+strings.Join(events, ",")+`]}`, &struct{}{})
	}
	if _, err := w.rollup.Workspace(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
}

func TestALargeWorkspaceIsCountedInPieces(t *testing.T) {
	for _, shards := range []int{1, 4} {
		w := over(t, openStore(t), shards, date("2026-11-25T12:00:00Z"))
		large(t, w, "acme", 2500)
		o := w.counted(t, "acme")
		w.equalToAPI(t, "acme", o)
		if o.Renewals.Count <= 50 || len(o.Renewals.First) != 50 || len(o.Overdue.First) != 50 || len(o.Gains) != 5 || len(o.Losses) != 5 {
			t.Errorf("%d of %d renewals, %d of %d overdue, %d gains, %d losses", len(o.Renewals.First), o.Renewals.Count,
				len(o.Overdue.First), o.Overdue.Count, len(o.Gains), len(o.Losses))
		}
		if pieces := w.inPieces(t, "acme", 200); !reflect.DeepEqual(pieces, o) {
			t.Errorf("in pieces %s\nin one  %s", toJSON(pieces), toJSON(o))
		}
	}
}

func TestACountIsDoneAnewWhenItIsOld(t *testing.T) {
	w := over(t, openStore(t), 1, date("2026-11-30T23:59:30Z"))
	w.counted(t, "acme")
	w.post(t, "acme", "accounts", `{"account_id":"a","name":"A","join_date":1}`)
	first := w.counted(t, "acme")
	if first.Accounts.Active != 1 {
		t.Errorf("what was empty is not counted anew at once: %s", toJSON(first))
	}
	w.post(t, "acme", "accounts", `{"account_id":"b","name":"B","join_date":1}`)
	if again := w.counted(t, "acme"); !reflect.DeepEqual(again, first) {
		t.Errorf("counted anew at once: %s", toJSON(again))
	}
	for _, step := range []struct {
		after time.Duration
		old   bool
	}{{29 * time.Second, false}, {time.Second, true}} { // another month has begun
		w.ms.Add(step.after.Milliseconds())
		if o, old, err := w.counter.Last(t.Context(), "acme"); err != nil || old != step.old || !reflect.DeepEqual(o, first) {
			t.Errorf("%v later: old %t, %v, %s", step.after, old, err, toJSON(o))
		}
	}
	second := w.counted(t, "acme")
	if second.Accounts.Active != 2 || second.AsOf != date("2026-12-01T00:00:00Z") || second.Months[11].Start != second.AsOf {
		t.Errorf("%s", toJSON(second))
	}
	w.ms.Add(time.Minute.Milliseconds())
	if _, old, err := w.counter.Last(t.Context(), "acme"); !old || err != nil {
		t.Errorf("a minute later: old %t, %v", old, err)
	}
}

func TestACountThatWasAbandonedIsBegunAnew(t *testing.T) {
	w := over(t, openStore(t), 1, date("2026-11-25T12:00:00Z"))
	w.post(t, "acme", "accounts", `{"account_id":"a","name":"A","join_date":1}`)
	for _, after := range []time.Duration{30 * time.Minute, 31 * time.Minute} {
		if o, done, err := w.counter.Count(t.Context(), "acme", 0); o != nil || done || err != nil {
			t.Fatalf("%v %t %v", o, done, err)
		}
		w.ms.Add(after.Milliseconds())
	}
	if o := w.counted(t, "acme"); o.AsOf != w.ms.Load() || o.Accounts.Active != 1 {
		t.Errorf("an hour later: %s", toJSON(o))
	}
}

func TestWhatAnotherVersionHasKeptIsCountedAnew(t *testing.T) {
	w := over(t, openStore(t), 1, date("2026-11-25T12:00:00Z"))
	want := w.counted(t, "acme")
	for _, body := range []string{`{"done":{"as_of":1795608000000}}`, `[]`, `{"form":1,"done":3}`} {
		if err := errors.Join(w.store.Write(t.Context(), []table.Op{table.Put(table.Item{Key: kept("acme"), Version: 7, Body: []byte(body)}, table.Condition{})}, nil)...); err != nil {
			t.Fatal(err)
		}
		if got := w.counted(t, "acme"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s", body, toJSON(got))
		}
	}
}

func TestOfManyWhoCountAtOnceAllGetTheSame(t *testing.T) {
	w := over(t, openStore(t), 1, date("2026-11-25T12:00:00Z"))
	large(t, w, "acme", 1200)
	want := w.counted(t, "acme")
	w.forget(t, "acme")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			one := overview.New(w.store, w.engine).Pausing(100)
			for range 10_000 {
				o, done, err := one.Count(t.Context(), "acme", 0)
				if err != nil {
					t.Error(err)
					return
				}
				if o != nil && !reflect.DeepEqual(o, want) {
					t.Errorf("%s, want %s", toJSON(o), toJSON(want))
				}
				if done {
					return
				}
			}
			t.Error("it is never done")
		})
	}
	group.Wait()
}

func TestTheLongestTextsFitWhatIsKept(t *testing.T) {
	w := over(t, openStore(t), 1, date("2026-11-25T12:00:00Z"))
	now := w.ms.Load()
	var records, events []string
	for i := range 200 {
		id := fmt.Sprintf("%03d", i) + strings.Repeat("\x02", 253)
		records = append(records, toJSON(map[string]any{"account_id": id, "name": strings.Repeat("\x01", 512), "join_date": 1}))
		price := 10_000 + i
		events = append(events, toJSON(map[string]any{"account_id": id, "subscription_id": fmt.Sprint(i), "event": "revenue", "effective_start_date": now - 2*day,
			"total_revenue": price, "cycle_unit": "month", "cycle_length": 1, "next_renewal_date": now + int64(i%2*2-1)*day}),
			toJSON(map[string]any{"account_id": id, "subscription_id": fmt.Sprint(i), "event": "revenue", "effective_start_date": now - day,
				"total_revenue": price - i, "cycle_unit": "month", "cycle_length": 1}))
	}
	w.post(t, "acme", "accounts", records...)
	w.post(t, "acme", "subscriptions", events...)
	o := w.counted(t, "acme")
	if len(o.Renewals.First) != 50 || len(o.Overdue.First) != 50 || len(o.Gains) != 5 || len(o.Losses) != 5 {
		t.Fatalf("%d %d %d %d", len(o.Renewals.First), len(o.Overdue.First), len(o.Gains), len(o.Losses))
	}
	if name := o.Losses[0].Name; len(name) > 200 || !strings.HasSuffix(name, "…") {
		t.Errorf("%q", name)
	}
	w.ms.Add(time.Minute.Milliseconds())
	for done := false; !done; { // the count before and the one under way lie in one item
		var err error
		if _, done, err = w.counter.Count(t.Context(), "acme", 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWorkspaceCountsItsOwn(t *testing.T) {
	w := over(t, openStore(t), 1, date("2026-11-25T12:00:00Z"))
	w.workspace(t, "acme-2")
	w.post(t, "acme-2", "accounts", `{"account_id":"secret","name":"Secret","join_date":1,"nps_history":[{"date":1790000000000,"nps_score":5}]}`)
	w.post(t, "acme-2", "subscriptions", `{"account_id":"secret","subscription_id":"s","event":"revenue","effective_start_date":1790000000000,"total_revenue":100,"cycle_unit":"month","cycle_length":1,"next_renewal_date":1795700000000}`)
	if text := toJSON(w.counted(t, "acme")); strings.Contains(strings.ToLower(text), "secret") || !strings.Contains(text, `"active":0`) {
		t.Errorf("%s", text)
	}
	if o := w.counted(t, "acme-2"); o.Accounts.Active != 1 || o.MRR != 100 || o.Renewals.Count != 1 {
		t.Errorf("%s", toJSON(o))
	}
}

// failing is a table whose queries fail from a time on.
type failing struct {
	table.Table
	left int
}

var errBroken = errors.New("broken")

func (f *failing) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	if f.left--; f.left < 0 {
		return nil, errBroken
	}
	return f.Table.Query(ctx, q)
}

func TestACountThatFailsLeavesTheLastOneAndCanBeGoneOnWith(t *testing.T) {
	store := openStore(t)
	w := over(t, store, 1, date("2026-11-25T12:00:00Z"))
	large(t, w, "acme", 1200)
	want := w.counted(t, "acme")
	for queries := 0; ; queries++ {
		w.forget(t, "acme")
		f := &failing{Table: store, left: queries}
		broken := over(t, f, 1, w.ms.Load())
		o, done, err := broken.counter.Pausing(100).Count(t.Context(), "acme", time.Minute)
		if err == nil {
			if queries < 4 || !done || !reflect.DeepEqual(o, want) {
				t.Errorf("with %d queries: %s", queries, toJSON(o))
			}
			return
		}
		if !errors.Is(err, errBroken) || o != nil || done {
			t.Errorf("%v %t %v", o, done, err)
		}
		if got := w.counted(t, "acme"); !reflect.DeepEqual(got, want) {
			t.Errorf("after a failure: %s", toJSON(got))
		}
	}
}

// BenchmarkCount counts 50,000 accounts with subscriptions and scores.
func BenchmarkCount(b *testing.B) {
	w := over(b, openStore(b), 1, date("2026-11-25T12:00:00Z"))
	large(b, w, "acme", 50_000)
	b.ReportAllocs()
	for b.Loop() {
		w.forget(b, "acme")
		w.counted(b, "acme")
	}
}
