package subscriptions

import (
	"context"
	"math"
	"strings"

	"tenure/core/resource"
	"tenure/core/revenue"
	"tenure/core/schema"
	"tenure/core/table"
)

var ledger = schema.New("mrr_movements", "Movement", []schema.Field{
	{Name: "account_id", Type: schema.ID, ReadOnly: true, Doc: "Account ID"},
	{Name: "date", Type: schema.Time, ReadOnly: true, Doc: "When the account's MRR changed, in epoch ms"},
	{Name: "type", Type: schema.String, ReadOnly: true, Choices: []string{"new", "expansion", "contraction", "churn"},
		Doc: "new: the first revenue ever; expansion: more; churn: less, as a subscription ended or fell to zero; contraction: less otherwise"},
	{Name: "amount", Type: schema.Long, ReadOnly: true, Doc: "By how much it changed, in cents; negative when it fell"},
	{Name: "mrr_before", Type: schema.Long, ReadOnly: true, Doc: "MRR before, in cents"},
	{Name: "mrr_after", Type: schema.Long, ReadOnly: true, Doc: "MRR after, in cents"},
	{Name: "subscription_ids", Type: schema.List, ReadOnly: true, Form: schema.Strings, Key: []string{"id"},
		Doc: "The subscriptions that changed then",
		Sub: []schema.Field{{Name: "id", Type: schema.ID, ReadOnly: true, Doc: "Subscription ID"}}},
})

// The ordinals of the fields of a movement.
const (
	movementAccount = iota
	movementDate
	movementType
	movementAmount
	movementBefore
	movementAfter
	movementSubscriptions
)

// Movements is the ledger of MRR movements (contract S4): what the rollup keeps
// of every account, those that are still to come included. The order of the
// workspace's list has the numbers that totals need, so that totals are taken
// from the index alone.
var Movements = &resource.Family{
	Schema:         ledger,
	ID:             movementDate,
	Account:        movementAccount,
	OfAccountOrder: movementDate,
	Orders: []resource.Order{{Name: "date", Index: table.First,
		Fields: []int{movementDate, movementAmount, movementBefore, movementType, movementAccount}}},
}

// MovementRecords returns the movements of an account as records of Movements.
// They are told apart by their dates: of several at one instant, as there are
// where a change exceeds 64 bits, the later ones get the next milliseconds.
func MovementRecords(account string, movements []revenue.Movement) []schema.Record {
	ids := ledger.List(movementSubscriptions)
	all := make([]schema.Record, len(movements))
	last := int64(math.MinInt64)
	for i, m := range movements {
		if i > 0 {
			m.Date = max(m.Date, last+1)
		}
		last = m.Date
		changed := make([]schema.Record, len(m.Subscriptions))
		for n, id := range m.Subscriptions {
			changed[n] = schema.Record{schema.Text(id)}
		}
		all[i] = schema.Record{
			movementAccount: schema.Text(account), movementDate: schema.Int(m.Date), movementType: schema.Text(m.Type.String()),
			movementAmount: schema.Int(m.Amount), movementBefore: schema.Int(m.Before), movementAfter: schema.Int(m.After),
			movementSubscriptions: ids.ListOf(changed),
		}
	}
	return all
}

// MovementDate returns the date of a movement, in epoch ms.
func MovementDate(r schema.Record) int64 { return r[movementDate].Int() }

// Movement is a movement of MRR as the ledger has it: amounts in cents, its date
// in epoch ms.
type Movement struct {
	Account string
	Date    int64
	Type    string
	Amount  int64
	After   int64
}

// MovementOf returns what a record of Movements says.
func MovementOf(r schema.Record) Movement {
	return Movement{
		Account: r[movementAccount].Text(), Date: r[movementDate].Int(), Type: r[movementType].Text(),
		Amount: r[movementAmount].Int(), After: r[movementAfter].Int(),
	}
}

// MovementTotals returns what the movements of a workspace in a window come to,
// those in the future left out (contract Q23). It reads the index of the ledger
// alone.
func MovementTotals(ctx context.Context, e *resource.Engine, workspace string, window resource.Range) (revenue.Totals, error) {
	opening, err := OpeningMRR(ctx, e, workspace, window.From)
	if err != nil {
		return revenue.Totals{}, err
	}
	return MovementTotalsFrom(ctx, e, workspace, window, opening)
}

// OpeningMRR returns the MRR of a workspace at an instant (epoch ms), in cents:
// the sum of all movements before.
func OpeningMRR(ctx context.Context, e *resource.Engine, workspace string, at int64) (int64, error) {
	var t revenue.Totals
	before := resource.Range{From: math.MinInt64, Until: max(at, math.MinInt64+1)}
	for m, err := range e.Rows(ctx, resource.List{Workspace: workspace, Family: Movements, Range: &before}) {
		if err != nil {
			return 0, err
		}
		if m.Numbers[0] < at {
			t.Before(m.Numbers[1])
		}
	}
	return t.Opening, nil
}

// MovementTotalsFrom is MovementTotals where the MRR at the beginning of the
// window is known.
func MovementTotalsFrom(ctx context.Context, e *resource.Engine, workspace string, window resource.Range, opening int64) (revenue.Totals, error) {
	t := revenue.Totals{Opening: opening}
	window.Until = min(window.Until, e.Now()+1)
	for m, err := range e.Rows(ctx, resource.List{Workspace: workspace, Family: Movements, Range: &window}) {
		if err != nil {
			return t, err
		}
		kind, _, _ := strings.Cut(m.Text, "\x00")
		t.Add(m.Group, kind, m.Numbers[1], m.Numbers[2])
	}
	return t, nil
}
