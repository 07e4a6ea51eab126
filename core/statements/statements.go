// Package statements declares the family /statements: invoices ("Invoice
// Statements" of the API document), and what of their amounts is derived. All
// amounts are in cents.
package statements

import (
	"math"
	"math/bits"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
)

var declaration = schema.New("statements", "Invoice", []schema.Field{
	{Name: "invoice_id", Type: schema.ID, MaxLen: 128, Required: schema.Always, Example: "INV-1001", Doc: "Invoice ID; unique across invoices of all accounts"},
	{Name: "account_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "acme-42", Doc: "Account ID; an invoice stays with its account"},
	{Name: "start_date", Type: schema.Time, Required: schema.OnInsert, Example: "2026-03-01T09:00:00Z", Doc: "When the charges were created, in epoch ms"},
	{Name: "due_date", Type: schema.Time, Example: "2026-03-31T09:00:00Z", Doc: "When the invoice is due, in epoch ms"},
	{Name: "paid_date", Type: schema.Time, Doc: "When the invoice was paid, in epoch ms; null where there are transactions"},
	{Name: "is_failed", Type: schema.Boolean, Default: "false", Example: "FALSE", Doc: "Whether the collection of the revenue failed"},
	{Name: "recurring", Type: schema.Long, Doc: "Recurring revenue in cents; if not given, the sum of the recurring line items"},
	{Name: "non_recurring", Type: schema.Long, Doc: "Non-recurring revenue in cents; if not given, the sum of the non-recurring line items"},
	{Name: "paid_amount", Type: schema.Long, ReadOnly: true, Doc: "Amount paid, in cents: the sum of the transactions, or else all revenue once there is a paid_date"},
	{Name: "line_items", Type: schema.List, Doc: "Line items; any given replace all older ones",
		Sub: []schema.Field{
			{Name: "amount", Type: schema.Long, Required: schema.Always, Example: "120000", Doc: "Amount of the line item in cents"},
			{Name: "is_recurring", Type: schema.Boolean, Required: schema.Always, Example: "TRUE", Doc: "Whether the line item is recurring"},
			{Name: "description", Type: schema.String, MaxLen: 4096, Example: "PRO plan, one year", Doc: "Description of the line item"},
		}},
	{Name: "transactions", Type: schema.List, Key: []string{"tx_id"}, Doc: "Payments of a split payment, merged by tx_id",
		Sub: []schema.Field{
			{Name: "tx_id", Type: schema.ID, MaxLen: 128, Required: schema.Always, Example: "tx-1", Doc: "Transaction ID; identifies the payment within the invoice"},
			{Name: "paid_amount", Type: schema.Long, Required: schema.Always, Example: "120000", Doc: "Payment in cents"},
			{Name: "paid_date", Type: schema.Time, Required: schema.Always, Example: "2026-03-15T09:00:00Z", Doc: "When the payment was made, in epoch ms"},
		}},
	{Name: "source", Type: schema.String, MaxLen: 80, Example: "Billing", Doc: "Data source of the record"},
})

var (
	startDate    = declaration.Ordinal("start_date")
	paidDate     = declaration.Ordinal("paid_date")
	recurring    = declaration.Ordinal("recurring")
	nonRecurring = declaration.Ordinal("non_recurring")
	paidAmount   = declaration.Ordinal("paid_amount")
	lineItems    = declaration.Ordinal("line_items")
	transactions = declaration.Ordinal("transactions")

	items           = declaration.List(lineItems)
	itemAmount      = items.Ordinal("amount")
	itemIsRecurring = items.Ordinal("is_recurring")

	payments      = declaration.List(transactions)
	paymentAmount = payments.Ordinal("paid_amount")
)

// Family is the family /statements.
var Family = &resource.Family{
	Schema:         declaration,
	ID:             declaration.Ordinal("invoice_id"),
	Account:        declaration.Ordinal("account_id"),
	OwnID:          true,
	Merge:          merge,
	Show:           show,
	OfAccountOrder: startDate,
}

// merge lays a patch over an invoice. Where there are transactions, they say
// when it was paid (contract I1).
func merge(c resource.Change) (schema.Record, *core.Failure) {
	r, failure := declaration.Merge(c.Old, c.Patch)
	if failure == nil && !r[transactions].IsNull() {
		r[paidDate] = nil
	}
	return r, failure
}

// show derives the amounts that were not given (contract I1, Q21). They are
// not stored, so they follow the items and transactions whenever those change.
func show(r schema.Record, _ int64) {
	if !r[lineItems].IsNull() {
		var once, again sum
		for _, item := range items.Entries(r[lineItems]) {
			if item[itemIsRecurring].True() {
				again.add(item[itemAmount])
			} else {
				once.add(item[itemAmount])
			}
		}
		if r[recurring].IsNull() {
			r[recurring] = again.value()
		}
		if r[nonRecurring].IsNull() {
			r[nonRecurring] = once.value()
		}
	}
	var paid sum
	switch {
	case !r[transactions].IsNull():
		for _, p := range payments.Entries(r[transactions]) {
			paid.add(p[paymentAmount])
		}
		r[paidAmount] = paid.value()
	case !r[paidDate].IsNull():
		paid.add(r[recurring])
		paid.add(r[nonRecurring])
		r[paidAmount] = paid.value()
	}
}

// sum is a sum of amounts in 128 bits: exact, in whatever order they come.
type sum struct {
	high int64
	low  uint64
}

func (s *sum) add(amount schema.Value) {
	n := amount.Int()
	low, carry := bits.Add64(s.low, uint64(n), 0)
	s.low = low
	s.high += n>>63 + int64(carry)
}

// value returns the sum, or the limit of what an amount can be that is nearest
// to it.
func (s sum) value() schema.Value {
	switch low := int64(s.low); {
	case s.high == low>>63:
		return schema.Int(low)
	case s.high < 0:
		return schema.Int(math.MinInt64)
	}
	return schema.Int(math.MaxInt64)
}
