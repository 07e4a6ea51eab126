package nps_test

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tenure/core/nps"
)

const day = 24 * 60 * 60 * 1000

func TestCurrentScore(t *testing.T) {
	for _, c := range []struct {
		what   string
		scores []nps.Score // latest first
		want   int64
		none   bool
	}{
		{what: "no scores, no current score", none: true},
		{what: "one score is the current one", scores: []nps.Score{{Date: 5, Value: -7}}, want: -7},
		{what: "the mean of several", scores: []nps.Score{{Date: 9, Value: 50}, {Date: 8, Value: 100}}, want: 75},
		{what: "a half goes away from zero", scores: []nps.Score{{Date: 9, Value: 1}, {Date: 8, Value: 2}}, want: 2},
		{what: "also below zero", scores: []nps.Score{{Date: 9, Value: -1}, {Date: 8, Value: -2}}, want: -2},
		{what: "and around it", scores: []nps.Score{{Date: 9, Value: -1}, {Date: 8, Value: 0}}, want: -1},
		{what: "less than a half goes to zero", scores: []nps.Score{{Date: 9, Value: -1}, {Date: 8, Value: 0}, {Date: 8, Value: 0}}, want: 0},
		{what: "30 days before the latest are inside", scores: []nps.Score{{Date: 40 * day, Value: 100}, {Date: 10 * day, Value: 0}}, want: 50},
		{what: "a millisecond more is not", scores: []nps.Score{{Date: 40 * day, Value: 100}, {Date: 10*day - 1, Value: 0}}, want: 100},
		{what: "the window hangs on the latest, not on the one before", scores: []nps.Score{{Date: 60 * day, Value: 9}, {Date: 40 * day, Value: 1}, {Date: 20 * day, Value: 100}}, want: 5},
		{what: "the ends of time are far apart", scores: []nps.Score{{Date: math.MaxInt64, Value: 4}, {Date: math.MinInt64, Value: 100}}, want: 4},
		{what: "and near themselves", scores: []nps.Score{{Date: math.MinInt64 + 1, Value: 4}, {Date: math.MinInt64, Value: 6}}, want: 5},
	} {
		got, ok := nps.Current(slices.Values(c.scores))
		if got != c.want || ok == c.none {
			t.Errorf("%s: %d, %t; want %d", c.what, got, ok, c.want)
		}
	}
}

func TestCurrentScoreIsTheExactMeanOfTheWindow(t *testing.T) {
	dates := rapid.OneOf(
		rapid.Int64Range(-2, 2),
		rapid.Custom(func(t *rapid.T) int64 { // about the edge of the window
			return -nps.Window + rapid.Int64Range(-2, 2).Draw(t, "by")
		}),
		rapid.Int64Range(-40*day, 0),
		rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + nps.Window, math.MaxInt64, math.MaxInt64 - nps.Window}),
		rapid.Int64(),
	)
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) nps.Score {
			return nps.Score{Date: dates.Draw(t, "date"), Value: rapid.Int64Range(-100, 100).Draw(t, "value")}
		}), 1, 12).Draw(t, "scores")
		slices.SortFunc(scores, func(a, b nps.Score) int { return cmp.Compare(b.Date, a.Date) })
		got, ok := nps.Current(slices.Values(scores))
		if want := mean(scores); !ok || got != want {
			t.Fatalf("%d, %t; want %d", got, ok, want)
		}
	})
}

// mean is the slow model of the current score.
func mean(latestFirst []nps.Score) int64 {
	sum, n := new(big.Rat), int64(0)
	from := new(big.Int).Sub(big.NewInt(latestFirst[0].Date), big.NewInt(30*day))
	for _, s := range latestFirst {
		if big.NewInt(s.Date).Cmp(from) >= 0 {
			sum.Add(sum, big.NewRat(s.Value, 1))
			n++
		}
	}
	rounded, _ := new(big.Int).SetString(sum.Quo(sum, big.NewRat(n, 1)).FloatString(0), 10)
	return rounded.Int64()
}

func TestScoresBeyondTheWindowAreNotRead(t *testing.T) {
	read := 0
	nps.Current(func(yield func(nps.Score) bool) {
		for date := int64(100); date > 0; date -= 20 {
			read++
			if !yield(nps.Score{Date: date * day}) {
				return
			}
		}
	})
	if read != 3 {
		t.Errorf("%d scores read, want two in the window and the first one beyond", read)
	}
}
