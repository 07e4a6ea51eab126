package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
)

var statementTests = append(statements.tests(),
	test{"example", testInvoiceExample},
	test{"amounts", testInvoiceAmounts},
	test{"line items", testLineItems},
	test{"transactions", testTransactions},
	test{"not moved", testInvoiceStays},
)

var statements = owned{
	path: "/statements", ofAccount: "/statements", id: "invoice_id", notFound: "Invoice not found", order: "start_date",
	record:   invoice,
	required: []string{"start_date"},
	unset: object{
		"<only>": true, "invoice_id": "t", "account_id": "a", "start_date": 1000, "due_date": nil, "paid_date": nil, "is_failed": false,
		"recurring": nil, "non_recurring": nil, "paid_amount": nil, "line_items": []any{}, "transactions": []any{}, "source": nil,
	},
	some: func(r *rand.Rand) object {
		values := object{
			"start_date": r.IntN(5) - 2, "due_date": maybe(r, r.IntN(9)), "is_failed": r.IntN(2) == 0,
			"recurring": maybe(r, r.IntN(200)), "source": maybe(r, word(r)), "paid_date": maybe(r, r.IntN(20)),
			// What is not given of these is derived, or not there.
			"line_items": []any{object{"amount": r.IntN(100), "is_recurring": true}, object{"amount": r.IntN(100), "is_recurring": false, "description": nil}},
		}
		return values
	},
}

// invoice returns a record that is enough to insert an invoice.
func invoice(account, id string, more ...object) object {
	return with(object{"account_id": account, "invoice_id": id, "start_date": 1000}, more...)
}

// testInvoiceExample plays the requests of the API document.
func testInvoiceExample(c *client) {
	c.upload("/accounts", account("1"))
	const first = `"account_id": "1", "invoice_id": "invoice-0", "non_recurring": 45493, "start_date": 1410055451006, "paid_date": 1411351451006, "is_failed": false,
		"line_items": [{"amount": 45493, "is_recurring": false, "description": "Et et provident beatae blanditiis quae recusandae rerum."}]`
	const second = `"account_id": "1", "invoice_id": "invoice-1", "start_date": 1411351451006, "paid_date": 1412647451006, "is_failed": false, "recurring": 70552, "non_recurring": 73196,
		"line_items": [{"amount": 23322, "is_recurring": true, "description": "Consequuntur omnis ut est porro est molestias nostrum."},
			{"amount": 73196, "is_recurring": false, "description": "Dolorum et placeat similique suscipit perferendis."},
			{"amount": 47230, "is_recurring": true, "description": "Explicabo eos rerum quia et."}]`
	c.play(
		step{"one of three fails", "POST /statements", `{"records": [{` + first + `}, {` + second + `}, {"invoice_id": "i", "account_id": "1", "start_date": 1, "is_failed": "no"}]}`,
			`{"status_is_ok": true, "inserted": 2, "failed_results": [{"record": 2, "code": "wrong_type", "field": "is_failed", "message": "'is_failed' must be boolean", "invoice_id": "i", "account_id": "1"}]}`},
		step{"read", "GET /statements/invoice-1", "", results(`{` + second + `, "paid_amount": 143748, "transactions": [], "due_date": null, "source": null}`)},
		step{"of the account, the latest first", "GET /accounts/1/statements", "", results(`{` + second + `}, {` + first + `, "recurring": 0, "paid_amount": 45493}`)},
		step{"PUT", "PUT /statements/invoice-1", `{"data": {` + second + `}}`, ""},
		step{"as it was", "GET /statements/invoice-1", "", results(`{` + second + `}`)},
	)
}

// testInvoiceAmounts shows which amounts are derived, and from what (I1, Q21).
func testInvoiceAmounts(c *client) {
	c.upload("/accounts", account("a"))
	item := func(amount int64, recurring bool) object { return object{"amount": amount, "is_recurring": recurring} }
	tx := func(id string, amount int64) object {
		return object{"tx_id": id, "paid_amount": amount, "paid_date": 1}
	}
	items := []any{item(10, true), item(-3, true), item(100, false)}
	for i, x := range []struct {
		name string
		give object
		want string
	}{
		{"nothing given", object{}, `{"recurring": null, "non_recurring": null, "paid_amount": null, "paid_date": null}`},
		{"items", object{"line_items": items}, `{"recurring": 7, "non_recurring": 100, "paid_amount": null}`},
		{"items of one kind", object{"line_items": items[:2]}, `{"recurring": 7, "non_recurring": 0}`},
		{"items and one sum", object{"line_items": items, "recurring": 1}, `{"recurring": 1, "non_recurring": 100}`},
		{"items and a sum of zero", object{"line_items": items, "non_recurring": 0}, `{"recurring": 7, "non_recurring": 0}`},
		{"items and a sum of null", object{"line_items": items, "non_recurring": nil}, `{"non_recurring": 100}`},
		{"sums alone", object{"recurring": 5, "non_recurring": 6}, `{"recurring": 5, "non_recurring": 6, "paid_amount": null}`},
		{"sums and a date", object{"recurring": 5, "non_recurring": 6, "paid_date": 9}, `{"paid_amount": 11, "paid_date": 9}`},
		{"one sum and a date", object{"recurring": 5, "paid_date": 9}, `{"recurring": 5, "non_recurring": null, "paid_amount": 5}`},
		{"items and a date", object{"line_items": items, "paid_date": 9}, `{"paid_amount": 107, "paid_date": 9}`},
		{"transactions", object{"recurring": 5, "transactions": []any{tx("x", 3), tx("y", -1)}}, `{"paid_amount": 2, "paid_date": null, "recurring": 5}`},
		{"transactions and a date", object{"recurring": 5, "paid_date": 9, "transactions": []any{tx("x", 3)}}, `{"paid_amount": 3, "paid_date": null}`},
		{"a derived field given", object{"paid_amount": 77}, `{"paid_amount": null}`},
		{"large sums", object{"line_items": []any{item(1<<53, true), item(1, true)}, "paid_date": 9}, `{"recurring": 9007199254740993, "paid_amount": 9007199254740993}`},
	} {
		id := fmt.Sprint(i)
		c.sub(x.name, func(c *client) {
			c.upload("/statements", invoice("a", id, x.give)).want(`{"inserted": 1}`)
			c.get("/statements/" + id).want(results(x.want))
		})
	}
	c.play(
		step{"read-only", "POST /statements", body(object{"reject_unknown_fields": true}, invoice("a", "x", object{"paid_amount": 1})), `{"status_is_ok": false, "failed_results": [{"code": "read_only", "field": "paid_amount"}]}`},
		step{"read-only in a PUT", "PUT /statements/0", `{"options": {"reject_unknown_fields": true}, "data": {"paid_amount": 1}}`, `{"status_is_ok": false, "code": "read_only", "field": "paid_amount"}`},
		step{"paid", "PUT /statements/1", `{"data": {"paid_date": 5}}`, ""},
		step{"is all of it", "GET /statements/1", "", results(`{"paid_amount": 107, "paid_date": 5}`)},
		step{"paid after all not", "PUT /statements/1", `{"data": {"paid_date": null}}`, ""},
		step{"is nothing", "GET /statements/1", "", results(`{"paid_amount": null}`)},
		step{"a sum given", "PUT /statements/1", `{"data": {"recurring": 50}}`, ""},
		step{"stands", "GET /statements/1", "", results(`{"recurring": 50, "non_recurring": 100}`)},
		step{"other items", "PUT /statements/1", `{"data": {"line_items": [{"amount": 1, "is_recurring": true}]}}`, ""},
		step{"leave the sum given and change the other", "GET /statements/1", "", results(`{"recurring": 50, "non_recurring": 0}`)},
		step{"a sum taken back", "PUT /statements/1", `{"data": {"recurring": null}}`, ""},
		step{"is derived", "GET /statements/1", "", results(`{"recurring": 1, "non_recurring": 0}`)},
		step{"is_failed null", "PUT /statements/1", `{"data": {"is_failed": true}}`, ""},
		step{"restores its default", "POST /statements", body(nil, object{"account_id": "a", "invoice_id": "1", "is_failed": nil}), `{"changed": 1}`},
		step{"false", "GET /statements/1", "", results(`{"is_failed": false}`)},
		step{"fractions of cents", "PUT /statements/1", `{"data": {"recurring": 1.5}}`, `{"status_is_ok": false, "code": "wrong_type", "field": "recurring"}`},
		step{"too many cents", "PUT /statements/1", `{"data": {"recurring": 9223372036854775808}}`, `{"status_is_ok": false, "code": "out_of_range", "field": "recurring"}`},
		step{"the most there can be", "PUT /statements/1", fmt.Sprintf(`{"data": {"recurring": %d}}`, int64(math.MaxInt64)), ""},
		step{"is exact", "GET /statements/1", "", results(`{"recurring": 9223372036854775807}`)},
	)
}

// testLineItems shows that line items are replaced as a whole, and kept when
// none are given (Q21).
func testLineItems(c *client) {
	c.upload("/accounts", account("a"))
	two := []any{object{"amount": 2, "is_recurring": false, "description": "b"}, object{"amount": 1, "is_recurring": true, "description": nil}}
	c.upload("/statements", invoice("a", "i", object{"line_items": two}))
	kept := results(`{"line_items": [{"<only>": true, "amount": 2, "is_recurring": false, "description": "b"}, {"<only>": true, "amount": 1, "is_recurring": true, "description": null}],
		"recurring": 1, "non_recurring": 2}`)
	c.play(
		step{"in the order given", "GET /statements/i", "", kept},
		step{"none given", "PUT /statements/i", `{"data": {"due_date": 5}}`, ""},
		step{"an empty list", "PUT /statements/i", `{"data": {"line_items": []}}`, ""},
		step{"an empty list by POST", "POST /statements", body(nil, invoice("a", "i", object{"line_items": []any{}})), `{"unchanged": 1}`},
		step{"keeps the old ones", "GET /statements/i", "", kept},
		step{"a bad one", "PUT /statements/i", `{"data": {"line_items": [{"amount": 9, "is_recurring": true}, {"amount": 9}]}}`, `{"status_is_ok": false, "code": "missing_field", "field": "line_items.is_recurring"}`},
		step{"one without an amount", "PUT /statements/i", `{"data": {"line_items": [{"is_recurring": true}]}}`, `{"status_is_ok": false, "code": "missing_field", "field": "line_items.amount"}`},
		step{"one of a wrong type", "PUT /statements/i", `{"data": {"line_items": [{"amount": "9", "is_recurring": true}]}}`, `{"status_is_ok": false, "code": "wrong_type", "field": "line_items.amount"}`},
		step{"an unknown field in one", "PUT /statements/i", `{"options": {"reject_unknown_fields": true}, "data": {"line_items": [{"amount": 9, "is_recurring": true, "x": 1}]}}`, `{"status_is_ok": false, "code": "unknown_field", "field": "line_items.x"}`},
		step{"changes nothing", "GET /statements/i", "", kept},
		step{"others", "POST /statements", body(nil, object{"account_id": "a", "invoice_id": "i", "line_items": []any{object{"amount": 7, "is_recurring": true}, object{"amount": 7, "is_recurring": true}}}), `{"changed": 1}`},
		step{"replace all, equal ones count twice", "GET /statements/i", "", results(`{"line_items": [{"amount": 7, "description": null}, {"amount": 7}], "recurring": 14, "non_recurring": 0}`)},
		step{"null", "PUT /statements/i", `{"data": {"line_items": null}}`, ""},
		step{"removes all", "GET /statements/i", "", results(`{"line_items": [], "recurring": null, "non_recurring": null}`)},
		step{"twice in a POST", "POST /statements", body(nil, invoice("a", "i", object{"line_items": two}), invoice("a", "i", object{"line_items": two[:1]})), `{"changed": 2}`},
		step{"the later ones stand", "GET /statements/i", "", results(`{"line_items": [{"amount": 2}], "recurring": 0, "non_recurring": 2}`)},
	)
}

// testTransactions shows that transactions merge by tx_id and take the place of
// paid_date (I1).
func testTransactions(c *client) {
	c.upload("/accounts", account("a"))
	c.upload("/statements", invoice("a", "i", object{"recurring": 100, "paid_date": 50}), invoice("a", "other"))
	c.play(
		step{"paid whole", "GET /statements/i", "", results(`{"paid_date": 50, "paid_amount": 100, "transactions": []}`)},
		step{"one", "PUT /statements/i", `{"data": {"transactions": [{"tx_id": "y", "paid_amount": 30, "paid_date": 60}]}}`, ""},
		step{"takes the date's place", "GET /statements/i", "", results(`{"paid_date": null, "paid_amount": 30, "recurring": 100, "transactions": [{"<only>": true, "tx_id": "y", "paid_amount": 30, "paid_date": 60}]}`)},
		step{"more, one from a number", "POST /statements", body(nil, object{"account_id": "a", "invoice_id": "i", "transactions": []any{
			object{"tx_id": 17, "paid_amount": 5, "paid_date": 70}, object{"tx_id": "x", "paid_amount": 1, "paid_date": 80}}}), `{"changed": 1}`},
		step{"are added", "GET /statements/i", "", results(`{"paid_amount": 36, "transactions": [{"tx_id": "17"}, {"tx_id": "x"}, {"tx_id": "y"}]}`)},
		step{"the same again", "POST /statements", body(nil, object{"account_id": "a", "invoice_id": "i", "transactions": []any{object{"tx_id": "x", "paid_amount": 1, "paid_date": 80}}}), `{"unchanged": 1}`},
		step{"one known", "PUT /statements/i", `{"data": {"transactions": [{"tx_id": "y", "paid_amount": 40, "paid_date": 61}]}}`, ""},
		step{"is replaced", "GET /statements/i", "", results(`{"paid_amount": 46, "transactions": [{"tx_id": "17"}, {"tx_id": "x"}, {"tx_id": "y", "paid_amount": 40, "paid_date": 61}]}`)},
		step{"a date given", "PUT /statements/i", `{"data": {"paid_date": 90}}`, ""},
		step{"does not count", "GET /statements/i", "", results(`{"paid_date": null, "paid_amount": 46}`)},
		step{"an empty list", "PUT /statements/i", `{"data": {"transactions": []}}`, ""},
		step{"keeps them", "GET /statements/i", "", results(`{"paid_amount": 46, "transactions": ["<any>", "<any>", "<any>"]}`)},
		step{"one without id", "PUT /statements/i", `{"data": {"transactions": [{"paid_amount": 1, "paid_date": 1}]}}`, `{"status_is_ok": false, "code": "missing_field", "field": "transactions.tx_id"}`},
		step{"a new one without amount", "PUT /statements/i", `{"data": {"due_date": 1, "transactions": [{"tx_id": "z", "paid_date": 1}]}}`, `{"status_is_ok": false, "code": "missing_field", "field": "transactions.paid_amount"}`},
		step{"a new one without date", "PUT /statements/i", `{"data": {"due_date": 1, "transactions": [{"tx_id": "z", "paid_amount": 1}]}}`, `{"status_is_ok": false, "code": "missing_field", "field": "transactions.paid_date"}`},
		step{"nothing of these applied", "GET /statements/i", "", results(`{"due_date": null, "paid_amount": 46}`)},
		step{"null", "PUT /statements/i", `{"data": {"transactions": null, "paid_date": 95}}`, ""},
		step{"removes them, and the date counts", "GET /statements/i", "", results(`{"transactions": [], "paid_date": 95, "paid_amount": 100}`)},
		step{"the other invoice has none", "GET /statements/other", "", results(`{"transactions": [], "paid_amount": null}`)},
	)
}

// testInvoiceStays shows that an invoice does not move to another account (Q16).
func testInvoiceStays(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload("/statements", invoice("a", "i"))
	const refused = `"code": "conflicting", "field": "account_id", "message": "Invoice belongs to another account"`
	c.play(
		step{"by POST", "POST /statements", body(nil, invoice("b", "i", object{"source": "s"})), `{"status_is_ok": false, "changed": 0, "failed_results": [{"record": 0, "account_id": "b", "invoice_id": "i", ` + refused + `}]}`},
		step{"beside one that applies", "POST /statements", body(nil, invoice("b", "i"), invoice("b", "j")), `{"status_is_ok": true, "inserted": 1, "failed_results": [{"record": 0, ` + refused + `}]}`},
		step{"by PUT", "PUT /statements/i", `{"data": {"account_id": "b", "source": "s"}}`, `{"status_is_ok": false, ` + refused + `}`},
		step{"one POST with two accounts", "POST /statements", body(nil, invoice("a", "k"), invoice("b", "k")), `{"inserted": 1, "failed_results": [{"record": 1, ` + refused + `}]}`},
		step{"stays", "GET /statements/i", "", results(`{"account_id": "a", "source": null}`)},
		step{"listed here", "GET /accounts/a/statements?order_by=id", "", statements.shows("k", "i")},
		step{"and not there", "GET /accounts/b/statements", "", statements.shows("j")},
	)
}
