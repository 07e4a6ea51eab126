package usage

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"slices"
)

// How many different users were active in any stretch of days is found without
// keeping who they were: each user's item of a day knows on which day they were
// active before, and the totals of a day count their users by that gap. A user
// who was active several times in a stretch has, of all those days, only one
// whose gap leads out of it: the first. So the users of a stretch are, over its
// days, those whose gap is longer than the stretch up to there.

// tally counts who was active on a day.
type tally struct {
	// Active is how many were.
	Active int64 `json:"n,omitempty"`
	// Gaps are how many of them were active before, by how many days before; others
	// never were, within Window.
	Gaps map[int]int64 `json:"g,omitempty"`
}

func (t *tally) gap(days int, n int64) {
	if days == 0 {
		return
	}
	if t.Gaps == nil {
		t.Gaps = map[int]int64{}
	}
	if t.Gaps[days] += n; t.Gaps[days] == 0 {
		delete(t.Gaps, days)
	}
}

func (t *tally) merge(other *tally) {
	t.Active += other.Active
	for days, n := range other.Gaps {
		t.gap(days, n)
	}
}

// first returns how many of those who were active were not within the days before.
func (t *tally) first(before int) int64 {
	n := t.Active
	for days, m := range t.Gaps {
		if days <= before {
			n -= m
		}
	}
	return n
}

// maxGap is the longest gap that is counted.
const maxGap = 366

// head is what is kept of a user or an account beside their days.
type head struct {
	// ID is the user's or account's.
	ID string `json:"id"`
	// First is the first day, Base the one of the first bit of Days.
	First int `json:"first"`
	Base  int `json:"base"`
	// Days are the days on which they were active, a bit each, as base64. Those long
	// before the last are forgotten.
	Days string `json:"days"`
}

// days returns the numbers of the days, ascending.
func (h *head) days() []int {
	raw, err := base64.RawStdEncoding.DecodeString(h.Days)
	if err != nil {
		return nil
	}
	raw = append(raw, make([]byte, 8)...)
	var all []int
	for i := 0; i+8 <= len(raw); i += 8 {
		for word := binary.LittleEndian.Uint64(raw[i:]); word != 0; word &= word - 1 {
			all = append(all, h.Base+i*8+bits.TrailingZeros64(word))
		}
	}
	return all
}

// kept is for how many days before the last one days are kept: as long as events
// may come late, and a gap more.
const kept = 2*maxGap + 2

// add adds a day, and returns the days before and after it on which they were active; 0
// for none within maxGap. It returns false where the day was there.
func (h *head) add(day int) (before, after int, added bool) {
	all := h.days()
	at, there := slices.BinarySearch(all, day)
	if there {
		return 0, 0, false
	}
	if at > 0 && day-all[at-1] <= maxGap {
		before = all[at-1]
	}
	if at < len(all) && all[at]-day <= maxGap {
		after = all[at]
	}
	if len(all) == 0 || day < h.First {
		h.First = day
	}
	all = slices.Insert(all, at, day)
	for all[len(all)-1]-all[0] > kept {
		all = all[1:]
	}
	h.Base = all[0]
	raw := make([]byte, (all[len(all)-1]-h.Base)/8+1)
	for _, d := range all {
		raw[(d-h.Base)/8] |= 1 << ((d - h.Base) % 8)
	}
	h.Days = base64.RawStdEncoding.EncodeToString(raw)
	return before, after, true
}
