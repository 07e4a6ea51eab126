package usage

import "context"

// Trend is how the use of a product by an account has developed.
type Trend struct {
	// FirstSeen and LastSeen are when the first and the last event happened, in epoch
	// ms; nil for none.
	FirstSeen, LastSeen *int64
	// Users and Sessions are those of a window of days, UsersBefore and SessionsBefore
	// those of as many days before.
	Users, UsersBefore       int64
	Sessions, SessionsBefore int64
}

// Trend returns the trend of an account over windows of so many days; the second ends
// before the day of an instant (epoch ms).
func (s *Store) Trend(ctx context.Context, workspace, account string, at int64, window int) (t Trend, err error) {
	partition := accountDayKey(workspace, account, 0).Partition
	if t.FirstSeen, t.LastSeen, err = s.seen(ctx, partition); err != nil || t.FirstSeen == nil {
		return t, err
	}
	end := dayOf(at) // the first day after both
	middle, start := max(end-window, 0), max(end-2*window, 0)
	days, err := s.totals(ctx, partition, start, end-1)
	if err != nil {
		return t, err
	}
	for day, of := range days {
		switch {
		case day >= middle:
			t.Sessions += of.Counts.Sessions
		case day >= start:
			t.SessionsBefore += of.Counts.Sessions
		}
	}
	t.Users = different(days, middle, end-1, users)
	t.UsersBefore = different(days, start, middle-1, users)
	return t, nil
}
