package revenue

// Totals are what the movements of many accounts in a window of time come to,
// in cents.
type Totals struct {
	// Opening is the MRR of all accounts when the window begins.
	Opening int64
	// ByType are the sums of the movements in the window by their types' words.
	ByType map[string]int64

	net      int64
	accounts map[string]*share
}

// share is the MRR of one account that moved, at both ends of the window.
type share struct{ opening, closing int64 }

// Before takes the amount of a movement before the window.
func (t *Totals) Before(amount int64) { t.Opening += amount }

// Add takes a movement in the window: of an account, that had before when it
// moved by amount. Movements of one account come in the order of their dates.
func (t *Totals) Add(account, kind string, amount, before int64) {
	if t.ByType == nil {
		t.ByType, t.accounts = map[string]int64{}, map[string]*share{}
	}
	t.ByType[kind] += amount
	t.net += amount
	s := t.accounts[account]
	if s == nil {
		s = &share{opening: before, closing: before}
		t.accounts[account] = s
	}
	s.closing += amount
}

// Closing is the MRR of all accounts when the window ends.
func (t *Totals) Closing() int64 { return t.Opening + t.net }

// NetRetention is what the accounts that paid when the window began pay at its
// end, as a share of what they paid then: net revenue retention. ok is false
// when none paid.
func (t *Totals) NetRetention() (share float64, ok bool) {
	return t.retention(func(opening, closing int64) int64 { return closing - opening })
}

// GrossRetention is the same without what accounts pay more than they did: gross
// revenue retention, at most 1.
func (t *Totals) GrossRetention() (share float64, ok bool) {
	return t.retention(func(opening, closing int64) int64 { return min(closing-opening, 0) })
}

func (t *Totals) retention(change func(opening, closing int64) int64) (float64, bool) {
	if t.Opening <= 0 {
		return 0, false
	}
	kept := t.Opening
	for _, s := range t.accounts {
		if s.opening > 0 {
			kept += change(s.opening, s.closing)
		}
	}
	return float64(kept) / float64(t.Opening), true
}
