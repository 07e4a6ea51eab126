package subscriptions

import (
	"context"
	"iter"
	"math"

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

// Moved is a movement of MRR as the index of the ledger has it: its date in epoch
// ms, amounts in cents.
type Moved struct {
	// Account is the same for movements of one account; see resource.Row.
	Account      string
	Date         int64
	Type         string
	Amount, From int64 // From is the MRR before
}

// Ledger yields the movements of a workspace in a window, those to come included,
// in the order of time. It reads the index of the ledger alone.
func Ledger(ctx context.Context, e *resource.Engine, workspace string, window resource.Range) iter.Seq2[Moved, error] {
	return func(yield func(Moved, error) bool) {
		for m, err := range e.Rows(ctx, resource.List{Workspace: workspace, Family: Movements, Range: &window}) {
			if err != nil {
				yield(Moved{}, err)
				return
			}
			if !yield(Moved{Account: m.Group, Date: m.Numbers[0], Type: m.Text, Amount: m.Numbers[1], From: m.Numbers[2]}, nil) {
				return
			}
		}
	}
}

// Totals returns what the movements of a workspace in a window come to, those in
// the future left out (contract Q23).
func Totals(ctx context.Context, e *resource.Engine, workspace string, window resource.Range) (revenue.Totals, error) {
	var t revenue.Totals
	until := min(window.Until, e.Now()+1)
	for m, err := range Ledger(ctx, e, workspace, resource.Range{From: math.MinInt64, Until: max(window.From, until)}) {
		switch {
		case err != nil:
			return t, err
		case m.Date < window.From:
			t.Before(m.Amount)
		case m.Date < until:
			t.Add(m.Account, m.Type, m.Amount, m.From)
		}
	}
	return t, nil
}
