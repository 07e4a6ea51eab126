package accounts

import (
	"bytes"
	"slices"

	"tenure/core/schema"
)

var currentHealth = declaration.Ordinal("current_health_score")

// Health returns the current health score of an account; nil for none.
func Health(r schema.Record) *int {
	if r[currentHealth].IsNull() {
		return nil
	}
	n := int(r[currentHealth].Int())
	return &n
}

// SetHealth returns the account with that health score; nil for none.
func SetHealth(old schema.Record, score *int) schema.Record {
	r := slices.Clone(old)
	r[currentHealth] = nil
	if score != nil {
		r[currentHealth] = schema.Int(int64(*score))
	}
	return r
}

// ConcernsHealth reports whether a change of an account from old to r, as they are
// stored, may change its health score.
func ConcernsHealth(old, r schema.Record) bool {
	for _, i := range []int{isDeleted, isChurned, inactiveTime, renewalDate, schedule, currentNPS, npsHistory} {
		if !bytes.Equal(old[i], r[i]) {
			return true
		}
	}
	return false
}

// ScoreDate returns the date (epoch ms) of an entry of nps_history.
func ScoreDate(entry schema.Record) int64 { return entry[scoreDate].Int() }
