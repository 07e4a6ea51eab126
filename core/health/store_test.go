package health_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/health"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

const day = int64(24 * time.Hour / time.Millisecond)

var start = time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)

func newStore(t *testing.T) (*health.Store, *embedded.Table) {
	t.Helper()
	on, err := embedded.Open(t.TempDir(), embedded.Options{Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := on.Close(); err != nil {
			t.Error(err)
		}
	})
	return health.NewStore(on, func() time.Time { return start }), on
}

func TestSettingsAreKeptForEachWorkspace(t *testing.T) {
	s, _ := newStore(t)
	set := func(workspace string, change func(*health.Settings) *core.Failure) *core.Failure {
		t.Helper()
		failure, err := s.SetSettings(t.Context(), workspace, change)
		if err != nil {
			t.Fatal(err)
		}
		return failure
	}
	is := func(workspace string, usage int, changed bool) (version int64) {
		t.Helper()
		got, version, err := s.Settings(t.Context(), workspace)
		if err != nil || got.Weights.Usage != usage || got.NPS != health.Defaults().NPS || (version != 0) != changed {
			t.Fatalf("%s has %+v, version %d, %v", workspace, got, version, err)
		}
		return version
	}
	is("acme", 35, false)
	weight := func(n int) func(*health.Settings) *core.Failure {
		return func(s *health.Settings) *core.Failure {
			s.Weights.Usage = n
			return nil
		}
	}
	if failure := set("acme", weight(7)); failure != nil {
		t.Fatal(failure)
	}
	first := is("acme", 7, true)
	is("globex", 35, false)
	if failure := set("acme", weight(-1)); failure == nil || failure.Field != "weights.usage" {
		t.Fatal(failure)
	}
	if failure := set("acme", func(*health.Settings) *core.Failure { return &core.Failure{Field: "mine"} }); failure == nil || failure.Field != "mine" {
		t.Fatal(failure)
	}
	set("acme", weight(7))
	if is("acme", 7, true) != first {
		t.Error("the same settings have another version")
	}
	set("acme", weight(8))
	if is("acme", 8, true) == first {
		t.Error("other settings have the same version")
	}
}

// TestTheHistoryOfAnAccount keeps assessments over the end of a month and of a year, and
// reads parts of them.
func TestTheHistoryOfAnAccount(t *testing.T) {
	s, on := newStore(t)
	from := time.Date(2025, 12, 30, 0, 0, 0, 0, time.UTC).UnixMilli()
	in := well()
	for i := range int64(40) {
		in.NPS.Score = n(i)
		if i == 3 {
			continue // nothing was assessed
		}
		in.Active = i != 4
		a := health.Assess(in, health.Defaults())
		for _, hour := range []int64{3, 23} { // the later one is that of the day
			before, _, err := s.Latest(t.Context(), "acme", "a/b")
			if err != nil {
				t.Fatal(err)
			}
			if hour == 3 {
				other := in
				other.NPS.Score = n(-100)
				if _, err := s.Keep(t.Context(), "acme", "a/b", before, health.Assess(other, health.Defaults()), from+i*day+hour*3_600_000); err != nil {
					t.Fatal(err)
				}
				continue
			}
			kept, err := s.Keep(t.Context(), "acme", "a/b", before, a, from+i*day+hour*3_600_000)
			if err != nil {
				t.Fatal(err)
			}
			again, err := s.Keep(t.Context(), "acme", "a/b", kept, a, from+i*day+hour*3_600_000+1)
			if err != nil || !again.Same(kept) {
				t.Fatalf("the same is kept again: %v", err)
			}
			if _, err := s.Keep(t.Context(), "acme", "a/b", before, a, from+i*day); !errors.Is(err, table.ErrConflict) {
				t.Fatalf("who read before that keeps too: %v", err)
			}
		}
	}
	days, failure, err := s.History(t.Context(), "acme", "a/b", from-100*day, from+100*day)
	if failure != nil || err != nil || len(days) != 39 {
		t.Fatalf("%d days, %v %v", len(days), failure, err)
	}
	for i, d := range days {
		n := int64(i)
		if i >= 3 {
			n++
		}
		if d.Start != from+n*day || (d.Score == nil) != (n == 4) || d.Points["nps"] != int(n)+50 || len(d.Points) != 4 {
			t.Errorf("day %d: %+v", n, d)
		}
	}
	for _, x := range []struct{ from, to, first, n int64 }{
		{0, 1, 0, 1}, {0, day, 0, 1}, {0, day + 1, 0, 2}, {day - 1, 2 * day, 0, 2}, {3 * day, 4 * day, 0, 0}, {39 * day, 90 * day, 39, 1}, {-9 * day, 0, 0, 0},
	} {
		days, failure, err := s.History(t.Context(), "acme", "a/b", from+x.from, from+x.to)
		if failure != nil || err != nil || int64(len(days)) != x.n || x.n > 0 && days[0].Start != from+x.first*day {
			t.Errorf("%+v: %+v, %v %v", x, days, failure, err)
		}
	}
	for field, x := range map[string][2]int64{"start": {-1, 5}, "end": {5, 5}} {
		if _, failure, err := s.History(t.Context(), "acme", "a/b", x[0], x[1]); err != nil || failure == nil || failure.Field != field {
			t.Errorf("%v: %v, %v", x, failure, err)
		}
	}
	if _, failure, _ := s.History(t.Context(), "acme", "a/b", 0, health.MaxDays*day+1); failure == nil || failure.Field != "end" {
		t.Errorf("%v", failure)
	}
	for _, other := range [][2]string{{"globex", "a/b"}, {"acme", "a"}} {
		if days, _, _ := s.History(t.Context(), other[0], other[1], from, from+100*day); len(days) > 0 {
			t.Errorf("%v has %d days", other, len(days))
		}
		if _, found, _ := s.Latest(t.Context(), other[0], other[1]); found {
			t.Errorf("%v has an assessment", other)
		}
	}
	// One item a month, small, that ends some time.
	for _, month := range []string{"2025-12", "2026-01", "2026-02"} {
		items, err := on.Get(t.Context(), []table.Key{{Partition: "acme/health/account/" + table.Digest("a/b"), Sort: month}}, true)
		if err != nil || !items[0].Exists() || len(items[0].Body) > 400 || items[0].Expires == 0 {
			t.Errorf("%s: %d bytes until %d, %v", month, len(items[0].Body), items[0].Expires, err)
		}
	}
}

func ExampleAssess() {
	days, score := int64(10), int64(40)
	a := health.Assess(health.Inputs{
		Active:  true,
		NPS:     health.NPS{Score: &score, Age: &days},
		Revenue: health.Revenue{SinceFirst: &days, Now: 5000},
	}, health.Defaults())
	fmt.Println(a.Explanation)
	// Output: No score: only one part has enough data, and at least 2 of usage, support, nps and revenue must have it.
}
