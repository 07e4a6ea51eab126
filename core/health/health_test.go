package health_test

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/health"
)

func n(v int64) *int64 { return &v }

// well is an account with data in every part, that is well.
func well() health.Inputs {
	return health.Inputs{
		Active: true,
		Usage:  health.Usage{SinceFirst: n(300), SinceLast: n(0), Users: 20, UsersBefore: 20, Sessions: 220, SessionsBefore: 200},
		Support: health.Support{
			Open: [4]int64{health.Normal: 1}, Recent: 3, Created: 10, Unsolved: 1, Past: 36, PastDays: 336,
		},
		NPS:     health.NPS{Score: n(40), Age: n(20)},
		Revenue: health.Revenue{SinceFirst: n(700), Now: 100_000, Before: 100_000},
		Renewal: health.Renewal{In: n(30)},
	}
}

// points returns the points of a part; -1 for none.
func points(t *rapid.T, a health.Assessment, name string) int {
	for _, p := range a.Parts {
		if p.Name == name {
			if p.Points == nil {
				return -1
			}
			return *p.Points
		}
	}
	t.Fatalf("there is no part %q", name)
	return 0
}

// TestTheModelInNumbers has cases worked out by hand.
func TestTheModelInNumbers(t *testing.T) {
	for name, x := range map[string]struct {
		change  func(*health.Inputs)
		part    string
		points  int // of the part; -1 for none
		status  health.Status
		because string // in the explanation
		score   int    // -1 for none
		why     string // in the score's explanation
	}{
		// usage (83+100+100)/3 = 94, support 100/100/100, nps 90, revenue 83:
		// (35*94 + 20*100 + 15*90 + 20*83) / 90 = 92.2
		"all is well":                {nil, "usage", 94, health.Counted, "Active users: 20 in the last 28 days, 20 in the 28 days before (no change).", 92, "92 is the weighted mean of usage 94 (weight 35), support 100 (weight 20), nps 90 (weight 15), revenue 83 (weight 20)."},
		"a renewal that is no worry": {nil, "renewal", -1, health.DoesNotCount, "due in 30 days. It counts only if the other parts come to less than 60; they come to 92.", 92, ""},
		"nobody comes any more": {func(in *health.Inputs) {
			in.Usage.Users, in.Usage.Sessions, in.Usage.SinceLast = 0, 0, n(28)
		}, "usage", 0, health.Counted, "(-100%)", 55, ""}, // 5010/90 = 55.7; the renewal: 55.67 - 60/90*4.33 = 52.8, so (5010+520)/100 = 55.3
		"usage that is young":           {func(in *health.Inputs) { in.Usage.SinceFirst = n(13) }, "usage", -1, health.NotEnoughData, "the first usage event was 13 days ago, and 14 days are needed", 91, ""},
		"usage of a month has no trend": {func(in *health.Inputs) { in.Usage.SinceFirst, in.Usage.SinceLast = n(55), n(3) }, "usage", 100, health.Counted, "The last event was 3 days ago.", 95, ""},
		"usage without sessions":        {func(in *health.Inputs) { in.Usage.Sessions, in.Usage.SessionsBefore = 0, 0 }, "usage", 92, health.Counted, "", 91, ""}, // (83+100)/2
		"no events":                     {func(in *health.Inputs) { in.Usage = health.Usage{} }, "usage", -1, health.NotEnoughData, "there are no usage events", 91, ""},
		// The usual 3 tickets in 28 days; open (8+4+2+1)/2 = 7.5: 250 %, 43 points.
		// Unsolved 4 of 10: 50. New 6: 200 %, 50.
		"tickets pile up": {func(in *health.Inputs) {
			in.Support.Open, in.Support.Recent, in.Support.Unsolved = [4]int64{1, 1, 1, 1}, 6, 4
		}, "support", 48, health.Counted, "Open now: 4 tickets, with the weight of 7.5 normal ones; usual are about 3 in 28 days. Unsolved: 4 of 10 tickets in the last 90 days. New in the last 28 days: 6 tickets.", 81, ""},
		"few tickets": {func(in *health.Inputs) {
			in.Support = health.Support{Open: [4]int64{2, 0, 0, 0}, Recent: 1, Past: 1, PastDays: 10}
		}, "support", -1, health.NotEnoughData, "Not enough data: 2 tickets in the last 364 days, and 3 are needed", 90, ""},
		"NPS of 0":                {func(in *health.Inputs) { in.NPS.Score = n(0) }, "nps", 50, health.Counted, "The net promoter score is 0.", 86, ""},
		"NPS that was set":        {func(in *health.Inputs) { in.NPS.Age = nil }, "nps", 90, health.Counted, "", 92, ""},
		"NPS that is old":         {func(in *health.Inputs) { in.NPS.Age = n(366) }, "nps", -1, health.NotEnoughData, "given 366 days ago, and counts for 365 days", 93, ""},
		"MRR fell by a tenth":     {func(in *health.Inputs) { in.Revenue.Now = 90_000 }, "revenue", 50, health.Counted, "MRR is 900.00, and was 1000.00 90 days ago (-10%).", 85, ""},
		"and there was churn":     {func(in *health.Inputs) { in.Revenue.Now, in.Revenue.Churned = 90_000, true }, "revenue", 30, health.Counted, "There was churn since: 20 points less.", 80, ""},
		"paying for a short time": {func(in *health.Inputs) { in.Revenue.SinceFirst = n(89) }, "revenue", -1, health.NotEnoughData, "first paid 89 days ago, and 90 days are needed", 95, ""},
		"never paid":              {func(in *health.Inputs) { in.Revenue = health.Revenue{} }, "revenue", -1, health.NotEnoughData, "has never paid", 95, ""},
		"no renewal date":         {func(in *health.Inputs) { in.Renewal.In = nil }, "renewal", -1, health.NotEnoughData, "there is no renewal date", 92, ""},
		"a renewal far away":      {func(in *health.Inputs) { in.Renewal.In, in.NPS.Score = n(90), n(-100) }, "renewal", -1, health.DoesNotCount, "It counts only within 90 days.", 77, ""},
		// usage 0, support 100, nps 0, revenue 0: 2000/90 = 22.2; due: 22.2 - 37.8 < 0.
		"a renewal of one who leaves": {func(in *health.Inputs) {
			in.Usage = health.Usage{SinceFirst: n(300), SinceLast: n(60)}
			in.NPS.Score, in.Revenue.Now, in.Renewal.In = n(-50), 0, n(-3)
		}, "renewal", 0, health.Counted, "The renewal was due 3 days ago. The other parts come to 22, less than 60: so it counts, with 0 points.", 20, "renewal 0 (weight 10)"},
		"an inactive account": {func(in *health.Inputs) { in.Active = false }, "nps", 90, health.Counted, "", -1, "No score: the account is inactive."},
		"one part has data": {func(in *health.Inputs) {
			in.Support, in.NPS, in.Revenue = health.Support{}, health.NPS{}, health.Revenue{}
		}, "usage", 94, health.Counted, "", -1, "No score: only one part has enough data, and at least 2 of usage, support, nps and revenue must have it."},
		"two light parts have data": {func(in *health.Inputs) {
			in.Usage, in.Revenue = health.Usage{}, health.Revenue{}
		}, "nps", 90, health.Counted, "", -1, "No score: the parts that have enough data have 35 of the weights' 90, and must have at least 40%."},
		"nothing is known": {func(in *health.Inputs) { *in = health.Inputs{Active: true} }, "renewal", -1, health.NotEnoughData, "", -1, "none of the parts has enough data"},
	} {
		t.Run(name, func(t *testing.T) {
			in := well()
			if x.change != nil {
				x.change(&in)
			}
			a := health.Assess(in, health.Defaults())
			got := -1
			if a.Score != nil {
				got = *a.Score
			}
			if got != x.score || !strings.Contains(a.Explanation, x.why) {
				t.Errorf("score %d, want %d: %s (want %q)", got, x.score, a.Explanation, x.why)
			}
			for i, p := range a.Parts {
				if p.Name != health.PartNames[i] {
					t.Errorf("part %d is %s", i, p.Name)
				}
				if p.Name != x.part {
					continue
				}
				got := -1
				if p.Points != nil {
					got = *p.Points
				}
				if got != x.points || p.Status != x.status || !strings.Contains(p.Explanation, x.because) {
					t.Errorf("%s has %d points, %s: %s\nwant %d, %s: %q", p.Name, got, p.Status, p.Explanation, x.points, x.status, x.because)
				}
			}
		})
	}
}

// drawn returns inputs in which every part has data.
func drawn(t *rapid.T) health.Inputs {
	count := rapid.OneOf(rapid.Int64Range(0, 12), rapid.Int64Range(0, 1e6), rapid.Just(int64(math.MaxInt64)))
	c := func(name string) int64 { return count.Draw(t, name) }
	days := func(name string, from, to int64) *int64 { return n(rapid.Int64Range(from, to).Draw(t, name)) }
	in := health.Inputs{Active: true}
	in.Usage = health.Usage{SinceFirst: days("first", 56, 4000), SinceLast: days("last", 0, 50), Users: c("users"), UsersBefore: c("users before"), Sessions: c("sessions"), SessionsBefore: c("sessions before")}
	in.Support = health.Support{Recent: c("recent"), Past: max(c("past"), 3), PastDays: *days("past days", 1, 336), Created: c("created")}
	in.Support.Unsolved = rapid.Int64Range(0, in.Support.Created).Draw(t, "unsolved")
	for i := range in.Support.Open {
		in.Support.Open[i] = c("open")
	}
	in.NPS = health.NPS{Score: days("nps", -100, 100), Age: days("age", 0, 365)}
	mrr := rapid.OneOf(rapid.Int64Range(-5, 100), rapid.Int64())
	in.Revenue = health.Revenue{SinceFirst: days("paid", 90, 900), Now: mrr.Draw(t, "mrr"), Before: mrr.Draw(t, "mrr before"), Churned: rapid.Bool().Draw(t, "churned")}
	in.Renewal = health.Renewal{In: days("renewal", -50, 120)}
	return in
}

// drawnSettings returns settings that are valid.
func drawnSettings(t *rapid.T) health.Settings {
	for {
		s := health.Defaults()
		for i := range health.Fields {
			f := &health.Fields[i]
			if rapid.Bool().Draw(t, "changed") {
				f.Set(&s, rapid.IntRange(f.Min, f.Max).Draw(t, f.Name))
			}
		}
		s.Minimum = health.Minimum{Parts: 1}
		s.Usage.MinDays, s.Support.MinTickets, s.NPS.MaxDays = 14, 3, 365
		for _, scale := range []*health.Scale{&s.Usage.Change, &s.NPS.Score, &s.Revenue.Change} {
			if scale.Zero == scale.Full {
				scale.Zero, scale.Full = -10, 10
			}
			scale.Zero, scale.Full = min(scale.Zero, scale.Full), max(scale.Zero, scale.Full)
		}
		for _, scale := range []*health.Scale{&s.Usage.Unseen, &s.Support.Backlog, &s.Support.Unsolved, &s.Support.Volume} {
			if scale.Zero == scale.Full {
				scale.Zero, scale.Full = 20, 2
			}
			scale.Zero, scale.Full = max(scale.Zero, scale.Full), min(scale.Zero, scale.Full)
		}
		s.Weights.Usage = max(s.Weights.Usage, 1)
		if failure := s.Check(); failure == nil {
			return s
		}
	}
}

// TestAScoreIsMonotoneInEachInput shows that what is better never lowers the score,
// nor the points of any part.
func TestAScoreIsMonotoneInEachInput(t *testing.T) {
	type input struct {
		name string
		at   func(*health.Inputs) *int64
		more bool // is better
		from int64
		to   int64
	}
	most := int64(math.MaxInt64)
	inputs := []input{
		{"users", func(in *health.Inputs) *int64 { return &in.Usage.Users }, true, 0, most},
		{"users before", func(in *health.Inputs) *int64 { return &in.Usage.UsersBefore }, false, 0, most},
		{"sessions", func(in *health.Inputs) *int64 { return &in.Usage.Sessions }, true, 0, most},
		{"sessions before", func(in *health.Inputs) *int64 { return &in.Usage.SessionsBefore }, false, 0, most},
		{"last event", func(in *health.Inputs) *int64 { return in.Usage.SinceLast }, false, 0, 9000},
		{"urgent", func(in *health.Inputs) *int64 { return &in.Support.Open[health.Urgent] }, false, 0, most},
		{"high", func(in *health.Inputs) *int64 { return &in.Support.Open[health.High] }, false, 0, most},
		{"normal", func(in *health.Inputs) *int64 { return &in.Support.Open[health.Normal] }, false, 0, most},
		{"low", func(in *health.Inputs) *int64 { return &in.Support.Open[health.Low] }, false, 0, most},
		{"recent tickets", func(in *health.Inputs) *int64 { return &in.Support.Recent }, false, 0, most},
		{"usual tickets", func(in *health.Inputs) *int64 { return &in.Support.Past }, true, 3, most},
		{"unsolved", func(in *health.Inputs) *int64 { return &in.Support.Unsolved }, false, 0, most},
		{"nps", func(in *health.Inputs) *int64 { return in.NPS.Score }, true, -100, 100},
		{"mrr", func(in *health.Inputs) *int64 { return &in.Revenue.Now }, true, math.MinInt64, most},
		{"mrr before", func(in *health.Inputs) *int64 { return &in.Revenue.Before }, false, math.MinInt64, most},
		{"renewal", func(in *health.Inputs) *int64 { return in.Renewal.In }, true, -4000, 4000},
	}
	rapid.Check(t, func(t *rapid.T) {
		by := drawnSettings(t)
		in := drawn(t)
		i := rapid.IntRange(0, len(inputs)).Draw(t, "input")
		if i == len(inputs) {
			in.Revenue.Churned = true // so that there is something to be better
		}
		before := health.Assess(in, by)
		if i == len(inputs) {
			in.Revenue.Churned = false
		} else {
			x := inputs[i]
			at := x.at(&in)
			least, most := *at, x.to
			if !x.more {
				least, most = x.from, *at
			}
			far := rapid.Int64Range(least, most)
			near := far // many thresholds lie among small numbers
			if least <= 12 && most >= 0 {
				near = rapid.Int64Range(max(least, 0), min(most, 12))
			}
			*at = rapid.OneOf(near, far).Draw(t, x.name)
		}
		after := health.Assess(in, by)
		if before.Score == nil || after.Score == nil {
			t.Fatalf("no score: %s %s", before.Explanation, after.Explanation)
		}
		if *after.Score < *before.Score {
			t.Fatalf("the score falls from %d to %d\n%+v\n%+v", *before.Score, *after.Score, before, after)
		}
		for _, name := range health.PartNames[:4] {
			if points(t, after, name) < points(t, before, name) {
				t.Fatalf("%s falls from %d to %d", name, points(t, before, name), points(t, after, name))
			}
		}
	})
}

// TestAScoreIsBoundedAndTheMeanOfItsParts shows for any inputs and settings that
// score and points lie from 0 to 100, that the score is what its parts say it is the
// mean of, and that a renewal never raises it.
func TestAScoreIsBoundedAndTheMeanOfItsParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, by := drawn(t), drawnSettings(t)
		drop(t, &in)
		a := health.Assess(in, by)
		sum, weight, others, otherWeight := 0, 0, 0, 0
		for _, p := range a.Parts {
			if p.Points != nil && (*p.Points < 0 || *p.Points > 100) {
				t.Fatalf("%s has %d points", p.Name, *p.Points)
			}
			if p.Explanation == "" {
				t.Fatalf("%s says nothing", p.Name)
			}
			if p.Status != health.Counted {
				continue
			}
			sum, weight = sum+p.Weight**p.Points, weight+p.Weight
			if p.Name != health.RenewalPart {
				others, otherWeight = others+p.Weight**p.Points, otherWeight+p.Weight
			}
		}
		if weight != a.Weight {
			t.Fatalf("the weights come to %d, not %d", weight, a.Weight)
		}
		if a.Score == nil {
			return
		}
		round := func(sum, weight int) int { return (2*sum + weight) / (2 * weight) }
		if *a.Score != round(sum, weight) || *a.Score < 0 || *a.Score > 100 {
			t.Fatalf("the score is %d, the mean %d/%d", *a.Score, sum, weight)
		}
		if *a.Score > round(others, otherWeight) {
			t.Fatalf("the renewal raises the score to %d from %d", *a.Score, round(others, otherWeight))
		}
	})
}

// drop takes away the data of some parts.
func drop(t *rapid.T, in *health.Inputs) {
	for i, drop := range []func(){
		func() { in.Usage = health.Usage{} }, func() { in.Support = health.Support{} }, func() { in.NPS = health.NPS{} },
		func() { in.Revenue = health.Revenue{} }, func() { in.Renewal = health.Renewal{} },
	} {
		if rapid.IntRange(0, 3).Draw(t, health.PartNames[i]) == 0 {
			drop()
		}
	}
}

// TestOnlyTheProportionOfWeightsMatters shows that weights that are all so many times
// as much give the same score.
func TestOnlyTheProportionOfWeightsMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, by := drawn(t), drawnSettings(t)
		drop(t, &in)
		by.Minimum.Weight = rapid.IntRange(0, 100).Draw(t, "minimum")
		times := rapid.IntRange(2, 10).Draw(t, "times")
		more := by
		for _, w := range [][2]*int{
			{&by.Weights.Usage, &more.Weights.Usage}, {&by.Weights.Support, &more.Weights.Support}, {&by.Weights.NPS, &more.Weights.NPS},
			{&by.Weights.Revenue, &more.Weights.Revenue}, {&by.Weights.Renewal, &more.Weights.Renewal},
		} {
			*w[0] = *w[0]/10 + 1
			*w[1] = *w[0] * times
		}
		a, b := health.Assess(in, by), health.Assess(in, more)
		if (a.Score == nil) != (b.Score == nil) || a.Score != nil && *a.Score != *b.Score {
			t.Fatalf("%s, and %d times: %s", a.Explanation, times, b.Explanation)
		}
	})
}

// TestAPartWithoutDataIsLeftOut shows that a part without data is as one of no weight:
// the others count for more, and the score lies between their least and most points.
func TestAPartWithoutDataIsLeftOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, by := drawn(t), drawnSettings(t)
		in.Renewal = health.Renewal{}
		by.Weights = health.Weights{Usage: by.Weights.Usage/10 + 1, Support: by.Weights.Support/10 + 1, NPS: by.Weights.NPS/10 + 1, Revenue: by.Weights.Revenue/10 + 1}
		without, unweighted := in, by
		switch rapid.IntRange(0, 3).Draw(t, "part") {
		case 0:
			without.Usage, unweighted.Weights.Usage = health.Usage{}, 0
		case 1:
			without.Support, unweighted.Weights.Support = health.Support{}, 0
		case 2:
			without.NPS, unweighted.Weights.NPS = health.NPS{}, 0
		default:
			without.Revenue, unweighted.Weights.Revenue = health.Revenue{}, 0
		}
		a, b := health.Assess(without, by), health.Assess(in, unweighted)
		if *a.Score != *b.Score {
			t.Fatalf("without data %s, without weight %s", a.Explanation, b.Explanation)
		}
		least, most := 100, 0
		for _, p := range a.Parts {
			if p.Status == health.Counted {
				least, most = min(least, *p.Points), max(most, *p.Points)
			}
		}
		if *a.Score < least || *a.Score > most {
			t.Fatalf("%d is not between %d and %d", *a.Score, least, most)
		}
	})
}

func TestWhatSupportSystemsSay(t *testing.T) {
	for word, want := range map[string]health.Priority{
		"urgent": health.Urgent, " Critical ": health.Urgent, "HIGH": health.High, "low": health.Low, "normal": health.Normal, "": health.Normal, "strange": health.Normal,
	} {
		if got := health.PriorityOf(word); got != want {
			t.Errorf("%q is %d, want %d", word, got, want)
		}
	}
	for word, want := range map[string]bool{"open": true, "Pending": true, "new": true, "": true, "Solved": false, "closed ": false, "resolved": false} {
		if got := health.Open(word); got != want {
			t.Errorf("%q is open: %v", word, got)
		}
	}
}

func TestSettingsAreRefusedByName(t *testing.T) {
	s := health.Defaults()
	if failure := s.Check(); failure != nil {
		t.Fatalf("the defaults: %v", failure)
	}
	seen := map[string]bool{}
	for i := range health.Fields {
		f := &health.Fields[i]
		if seen[f.Name] || f.Doc == "" {
			t.Errorf("the field %q", f.Name)
		}
		seen[f.Name] = true
		for _, v := range []int{f.Min - 1, f.Max + 1} {
			s := health.Defaults()
			f.Set(&s, v)
			if failure := s.Check(); failure == nil || failure.Field != f.Name || !strings.Contains(failure.Message, "'"+f.Name+"'") || f.Of(&s) != v {
				t.Errorf("%s of %d: %v", f.Name, v, failure)
			}
		}
	}
	for field, change := range map[string]func(*health.Settings){
		"usage.change.full":    func(s *health.Settings) { s.Usage.Change = health.Scale{Zero: 10, Full: 10} },
		"usage.unseen.full":    func(s *health.Settings) { s.Usage.Unseen = health.Scale{Zero: 3, Full: 10} },
		"support.backlog.full": func(s *health.Settings) { s.Support.Backlog = health.Scale{Zero: 3, Full: 3} },
		"nps.score.full":       func(s *health.Settings) { s.NPS.Score = health.Scale{Zero: 50, Full: -50} },
		"weights.usage":        func(s *health.Settings) { s.Weights = health.Weights{Renewal: 5} },
		"minimum.parts":        func(s *health.Settings) { s.Weights.NPS, s.Minimum.Parts = 0, 4 },
	} {
		s := health.Defaults()
		change(&s)
		if failure := s.Check(); failure == nil || failure.Field != field {
			t.Errorf("%s: %v", field, failure)
		}
	}
}
