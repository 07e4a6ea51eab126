package accounts

import (
	"slices"

	"tenure/core/schema"
)

// Revenue is what follows from an account's subscriptions from an instant on.
type Revenue struct {
	From int64 // epoch ms
	MRR  int64 // cents
	// RenewalDate is the earliest open renewal (epoch ms); nil for none.
	RenewalDate *int64
}

// SetRevenue returns the account with what follows from its subscriptions: now,
// and at the instants at which that changes by time alone. Without any the
// account never had a subscription.
func SetRevenue(old schema.Record, states []Revenue) schema.Record {
	r := slices.Clone(old)
	entries := make([]schema.Record, len(states))
	for i, s := range states {
		entries[i] = schema.Record{schema.Int(s.From), schema.Int(s.MRR), nil}
		if s.RenewalDate != nil {
			entries[i][2] = schema.Int(*s.RenewalDate)
		}
	}
	r[schedule] = declaration.List(schedule).ListOf(entries)
	return r
}

// showRevenue fills in the values of the schedule that hold at now. An open
// renewal of a subscription overwrites the date that was set by hand.
func showRevenue(r schema.Record, now int64) {
	for _, entry := range declaration.List(schedule).Entries(r[schedule]) {
		if entry[0].Int() > now {
			break
		}
		r[currentMRR] = entry[1]
		if !entry[2].IsNull() {
			r[renewalDate] = entry[2]
		}
	}
}
