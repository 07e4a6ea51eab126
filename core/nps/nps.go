// Package nps computes net promoter scores. It is pure: no clock, no storage.
package nps

import "iter"

// Window is how far before the latest score another one may lie to count
// with it, in milliseconds: 30 days, the bound included (contract A4, Q14).
const Window = 30 * 24 * 60 * 60 * 1000

// Score is one answer to the survey: its date in epoch ms and its value.
type Score struct {
	Date  int64
	Value int64
}

// Current returns the account's current score: the mean of the scores dated
// within Window before the latest one, rounded half away from zero. Scores
// come with the latest date first; ok is false when there are none.
func Current(latestFirst iter.Seq[Score]) (score int64, ok bool) {
	var latest, sum, n int64
	for s := range latestFirst {
		if n == 0 {
			latest = s.Date
		}
		// Compared this way round the subtraction cannot overflow: the dates
		// descend, so the difference, as unsigned, is exact.
		if uint64(latest)-uint64(s.Date) > Window {
			break
		}
		sum += s.Value
		n++
	}
	if n == 0 {
		return 0, false
	}
	return Mean(sum, n), true
}

// Mean returns the mean of n scores, at least one, that come to sum, rounded
// half away from zero.
func Mean(sum, n int64) int64 {
	half := n
	if sum < 0 {
		half = -n
	}
	return (2*sum + half) / (2 * n)
}
