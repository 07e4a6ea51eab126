package statements_test

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/statements"
)

var fields = statements.Family.Schema

// invoice lays a patch, the members of an object, over an invoice.
func invoice(old schema.Record, patch string) (schema.Record, *core.Failure) {
	if old == nil && !strings.Contains(patch, `"start_date"`) {
		patch = `"start_date":1,` + patch
	}
	object := []byte(`{"invoice_id":"i","account_id":"a",` + strings.TrimSuffix(patch, ",") + `}`)
	if err := schema.Valid(object); err != nil {
		panic(err)
	}
	p, failure := fields.Decode(object, true)
	if failure != nil {
		return nil, failure
	}
	return statements.Family.Merge(resource.Change{Old: old, Patch: p, Now: 5})
}

// shown writes members of the invoice as a read returns them, separated by spaces.
func shown(r schema.Record, names ...string) string {
	r = slices.Clone(r)
	statements.Family.Show(r, 5)
	var values []string
	for _, name := range names {
		object := string(fields.AppendObject(nil, r, []int{fields.Ordinal(name)}))
		values = append(values, strings.TrimSuffix(strings.TrimPrefix(object, `{"`+name+`":`), "}"))
	}
	return strings.Join(values, " ")
}

const (
	items = `"line_items":[{"amount":30,"is_recurring":true},{"amount":5,"is_recurring":false},{"amount":12,"is_recurring":true}]`
	split = `"transactions":[{"tx_id":"t1","paid_amount":20,"paid_date":2},{"tx_id":"t2","paid_amount":-3,"paid_date":3}]`
)

// Contract I1, Q21 and the text of "Bulk insert/modify invoices".
func TestAmountsThatWereNotGivenAreDerived(t *testing.T) {
	// want is recurring, non_recurring, paid_date and paid_amount.
	type step struct{ patch, want string }
	for what, steps := range map[string][]step{
		"without items there is nothing to sum": {
			{``, "null null null null"},
			{`"recurring":7`, "7 null null null"},
		},
		"the sums are those of the items": {
			{items, "42 5 null null"},
		},
		"items of one kind make the other sum zero": {
			{`"line_items":[{"amount":9,"is_recurring":false}]`, "0 9 null null"},
		},
		"derived sums follow the items": {
			{items, "42 5 null null"},
			{`"line_items":[{"amount":1,"is_recurring":true}]`, "1 0 null null"},
		},
		"a sum that was given stays, the other follows the items": {
			{items + `,"recurring":100`, "100 5 null null"},
			{`"line_items":[{"amount":1,"is_recurring":true},{"amount":2,"is_recurring":false}]`, "100 2 null null"},
		},
		"a sum of zero was given too": {
			{items + `,"recurring":0,"non_recurring":0`, "0 0 null null"},
		},
		"a sum given later takes the place of the derived one": {
			{items, "42 5 null null"},
			{`"non_recurring":6`, "42 6 null null"},
		},
		"null has a sum derived again": {
			{items + `,"recurring":100,"non_recurring":200`, "100 200 null null"},
			{`"recurring":null`, "42 200 null null"},
			{`"non_recurring":null`, "42 5 null null"},
		},
		"no items keep the old ones": {
			{items, "42 5 null null"},
			{`"line_items":[]`, "42 5 null null"},
			{`"source":"x"`, "42 5 null null"},
		},
		"null clears the items, and with them the derived sums": {
			{items + `,"non_recurring":8`, "42 8 null null"},
			{`"line_items":null`, "null 8 null null"},
		},
		"paid at once it is paid in full": {
			{items + `,"paid_date":9`, "42 5 9 47"},
			{`"line_items":[{"amount":1,"is_recurring":true}]`, "1 0 9 1"},
			{`"recurring":10,"non_recurring":20`, "10 20 9 30"},
			{`"paid_date":null`, "10 20 null null"},
		},
		"paid without a word of what": {
			{`"paid_date":9`, "null null 9 0"},
			{`"recurring":4`, "4 null 9 4"},
		},
		"transactions say what was paid, and when": {
			{items + `,"paid_date":9,` + split, "42 5 null 17"},
			{`"paid_date":9`, "42 5 null 17"},
			{`"transactions":[{"tx_id":"t1","paid_amount":1,"paid_date":2}]`, "42 5 null -2"},
			{`"transactions":[{"tx_id":"t0","paid_amount":50,"paid_date":2}]`, "42 5 null 48"},
			{`"transactions":[]`, "42 5 null 48"},
		},
		"transactions take the date of an invoice that was paid in full": {
			{items + `,"paid_date":9`, "42 5 9 47"},
			{split, "42 5 null 17"},
			{`"transactions":null`, "42 5 null null"},
			{`"paid_date":9`, "42 5 9 47"},
		},
		"an empty list of transactions is none": {
			{items + `,"paid_date":9,"transactions":[]`, "42 5 9 47"},
		},
		"a negative invoice is a credit": {
			{`"line_items":[{"amount":-30,"is_recurring":true},{"amount":10,"is_recurring":true}],"paid_date":9`, "-20 0 9 -20"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			var r schema.Record
			for _, s := range steps {
				var failure *core.Failure
				if r, failure = invoice(r, s.patch); failure != nil {
					t.Fatalf("%s: %v", s.patch, failure)
				}
				if got := shown(r, "recurring", "non_recurring", "paid_date", "paid_amount"); got != s.want {
					t.Fatalf("after %s: %s, want %s", s.patch, got, s.want)
				}
			}
		})
	}
}

func TestLineItemsStayAsTheyWereGiven(t *testing.T) {
	given := `[{"amount":2,"is_recurring":true,"description":"b"},{"amount":1,"is_recurring":false,"description":null},` +
		`{"amount":2,"is_recurring":true,"description":"b"},{"amount":2,"is_recurring":true,"description":"a"}]`
	r, failure := invoice(nil, `"line_items":`+given)
	if failure != nil || shown(r, "line_items") != given {
		t.Errorf("%s, %v; want them in the order given, twice where they were given twice", shown(r, "line_items"), failure)
	}
	r, failure = invoice(r, `"line_items":[{"amount":2,"is_recurring":true}]`)
	if want := `[{"amount":2,"is_recurring":true,"description":null}]`; failure != nil || shown(r, "line_items") != want {
		t.Errorf("%s, %v; want the old ones replaced, with nothing of them kept", shown(r, "line_items"), failure)
	}
}

func TestTransactionsMergeByTheirID(t *testing.T) {
	r, failure := invoice(nil, `"transactions":[{"tx_id":"b","paid_amount":1,"paid_date":1},{"tx_id":7,"paid_amount":2,"paid_date":2},{"tx_id":"b","paid_amount":3,"paid_date":3}]`)
	want := `[{"tx_id":"7","paid_amount":2,"paid_date":2},{"tx_id":"b","paid_amount":3,"paid_date":3}]`
	if failure != nil || shown(r, "transactions") != want {
		t.Fatalf("%s, %v; want %s", shown(r, "transactions"), failure, want)
	}
	r, failure = invoice(r, `"transactions":[{"tx_id":"7","paid_amount":5,"paid_date":4},{"tx_id":"a","paid_amount":0,"paid_date":5}]`)
	want = `[{"tx_id":"7","paid_amount":5,"paid_date":4},{"tx_id":"a","paid_amount":0,"paid_date":5},{"tx_id":"b","paid_amount":3,"paid_date":3}]`
	if failure != nil || shown(r, "transactions", "paid_amount") != want+" 8" {
		t.Errorf("%s, %v; want %s", shown(r, "transactions", "paid_amount"), failure, want)
	}
}

func TestIncompleteInvoicesAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		patch string
		code  core.Code
		field string
	}{
		{`"start_date":null`, core.MissingField, "start_date"},
		{`"is_failed":"no"`, core.WrongType, "is_failed"},
		{`"paid_amount":1`, core.ReadOnly, "paid_amount"},
		{`"recurring":9223372036854775808`, core.OutOfRange, "recurring"},
		{`"line_items":[{"amount":1}]`, core.MissingField, "line_items.is_recurring"},
		{`"line_items":[{"amount":1,"is_recurring":null}]`, core.MissingField, "line_items.is_recurring"},
		{`"line_items":[{"is_recurring":true}]`, core.MissingField, "line_items.amount"},
		{`"line_items":[{"amount":1.5,"is_recurring":true}]`, core.WrongType, "line_items.amount"},
		{`"line_items":{"amount":1,"is_recurring":true}`, core.WrongType, "line_items"},
		{`"transactions":[{"paid_amount":1,"paid_date":1}]`, core.MissingField, "transactions.tx_id"},
		{`"transactions":[{"tx_id":"t","paid_date":1}]`, core.MissingField, "transactions.paid_amount"},
		{`"transactions":[{"tx_id":"t","paid_amount":1,"paid_date":null}]`, core.MissingField, "transactions.paid_date"},
	} {
		if _, failure := invoice(nil, c.patch); failure == nil || failure.Code != c.code || failure.Field != c.field {
			t.Errorf("%s: %+v, want %s of %s", c.patch, failure, c.code, c.field)
		}
	}
	old, failure := invoice(nil, items)
	if failure != nil {
		t.Fatal(failure)
	}
	before := string(fields.AppendStored(nil, old))
	if _, failure := invoice(old, `"source":"x","transactions":[{"tx_id":"t"}]`); failure == nil {
		t.Error("a payment without an amount is taken where the invoice exists")
	}
	if string(fields.AppendStored(nil, old)) != before {
		t.Error("the merge changed the record it was given")
	}
}

func TestDerivedAmountsAreNotStored(t *testing.T) {
	r, failure := invoice(nil, items+`,"paid_date":9`)
	want := `{"invoice_id":"i","account_id":"a","start_date":1,"paid_date":9,"line_items":[[30,true],[5,false],[12,true]]}`
	if got := string(fields.AppendStored(nil, r)); failure != nil || got != want {
		t.Errorf("stored is %s, %v; want %s", got, failure, want)
	}
	again, failure := invoice(r, items)
	if failure != nil || !fields.Equal(r, again) {
		t.Errorf("the same items make %s of %s, %v", fields.AppendStored(nil, again), want, failure)
	}
}

// within returns the sum, or the limit of 64 bits that is nearest to it.
func within(sum *big.Int) string {
	switch {
	case sum.IsInt64():
		return sum.String()
	case sum.Sign() < 0:
		return fmt.Sprint(int64(math.MinInt64))
	}
	return fmt.Sprint(int64(math.MaxInt64))
}

func TestSumsAreExactUpToTheLimitsOf64Bits(t *testing.T) {
	amount := rapid.OneOf(rapid.SampledFrom([]int64{math.MaxInt64, math.MinInt64, math.MaxInt64 - 1, 1, -1, 0}), rapid.Int64())
	rapid.Check(t, func(t *rapid.T) {
		again, once, paid := new(big.Int), new(big.Int), new(big.Int)
		var lines, payments []string
		for i, n := range rapid.SliceOfN(amount, 1, 6).Draw(t, "amounts") {
			recurring := rapid.Bool().Draw(t, "recurring")
			sum := once
			if recurring {
				sum = again
			}
			sum.Add(sum, big.NewInt(n))
			paid.Add(paid, big.NewInt(n))
			lines = append(lines, fmt.Sprintf(`{"amount":%d,"is_recurring":%t}`, n, recurring))
			payments = append(payments, fmt.Sprintf(`{"tx_id":%d,"paid_amount":%d,"paid_date":1}`, i, n))
		}
		lists := `"line_items":[` + strings.Join(lines, ",") + `],"transactions":[` + strings.Join(payments, ",") + `]`
		r, failure := invoice(nil, lists)
		if failure != nil {
			t.Fatalf("%s: %v", lists, failure)
		}
		want := within(again) + " " + within(once) + " " + within(paid)
		if got := shown(r, "recurring", "non_recurring", "paid_amount"); got != want {
			t.Fatalf("%s: %s, want %s", lists, got, want)
		}
	})
	r, failure := invoice(nil, `"recurring":9223372036854775807,"non_recurring":1,"paid_date":1`)
	if got := shown(r, "paid_amount"); failure != nil || got != "9223372036854775807" {
		t.Errorf("paid beyond the limit is %s, %v", got, failure)
	}
}
