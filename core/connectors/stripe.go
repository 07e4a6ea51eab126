package connectors

import (
	"time"

	"tenure/core/connector"
)

// Stripe's API moved several fields with version 2025-03-31 ("Basil"). An older
// version is asked for; what is read is taken from both places all the same.
const (
	stripeItems = `(.items.data // [])`
	// An interval in our units: weeks are seven days.
	stripeRecurring = `first(` + stripeItems + `[] | (.price.recurring // .plan) | select(. != null))`
	// The revenue of a cycle, item by item; of tiered prices the amount is not told.
	stripeRevenue = `[` + stripeItems + `[] | select((.price.recurring.usage_type // "licensed") == "licensed")
		| ((.price.unit_amount_decimal // .price.unit_amount // .plan.amount_decimal // .plan.amount // error("the price of an item is not told, as for tiered prices: map total_revenue yourself")) | tonumber) * (.quantity // 1)]
		| if length == 0 then null else add end`
	// The decimals of currencies are those of ISO 4217, with these exceptions. Stripe's
	// own page on currencies says both of UGX.
	stripeAmount = `def amount(a; c):
		if c == "mga" then minor(a; c; 0) elif c == "isk" then minor(a; c; 2)
		elif c == "ugx" then minor(a; c; ($settings.ugx_decimals // error("whether amounts in UGX have two decimals is not known: set 'ugx_decimals'") | tonumber))
		else minor(a; c) end; `
	stripePeriodEnd = `(.current_period_end // first(` + stripeItems + `[].current_period_end // empty))`
)

var stripe = &connector.Connector{
	Name: "stripe", Title: "Stripe", Kind: connector.Financial,
	Doc:     "Customers, subscriptions and invoices. A restricted key with read rights to customers, subscriptions, invoices, prices and events is enough.",
	Base:    `"https://api.stripe.com/v1"`,
	Hosts:   []string{"api.stripe.com"},
	Headers: map[string]string{"Stripe-Version": `"2022-11-15"`, "Stripe-Account": "$settings.connected_account"},
	Settings: []connector.Setting{
		{Name: "account_key", Title: "Metadata key of the account_id", Doc: "the key in a customer's metadata that holds the account_id", Default: "account_id"},
		{Name: "ugx_decimals", Title: "Decimals of UGX", Doc: "how many decimals whole amounts in UGX have", Choices: []string{"0", "2"}},
		{Name: "connected_account", Title: "Connected account", Doc: "acct_…, for Connect platforms", Pattern: `acct_[A-Za-z0-9]+`},
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "API key",
		Settings: []connector.Setting{{Name: "api_key", Title: "Secret or restricted key", Doc: "sk_live_… or rk_live_…; keys of test mode see test data only", Secret: true, Required: true}},
		Headers:  map[string]string{"Authorization": `"Bearer " + .api_key`}}},
	Limits: connector.Limits{Requests: 20, Per: time.Second, Pause: 2 * time.Second},
	Errors: connector.Errors{Message: ".error.message", Limited: `.body.error.code? == "rate_limit" or .body.error.code? == "lock_timeout"`, Again: []int{409}},
	Check:  connector.Request{Path: "/customers", Query: "{limit: 1}"},

	AccountField: "billing_account_id",
	Locations: []connector.Location{
		{Name: "metadata", Title: "Metadata of customers", Doc: "A key in the customer's metadata, typically sent from your product.", Best: true, Stream: "customers", Path: ".metadata[$settings.account_key]", By: connector.ByAccountID},
		{Name: "id", Title: "ID of customers", Doc: "The account has the customer's id as its billing_account_id.", Stream: "customers", Path: ".id", By: connector.ByNativeID},
		{Name: "email", Title: "E-mail of customers", Doc: "An address of one of the account's users or contacts; entered by hand, and not unique.", Stream: "customers", Path: ".email", By: connector.ByEmail},
	},
	Streams: []connector.Stream{
		{
			Name: "customers", Title: "Customers", Overlap: overlap, Accounts: true, ID: ".id", Label: ".name // .email", Keep: "{name, email}", Deleted: ".deleted == true",
			Request: connector.Request{Path: "/customers", Query: stripePage}, Paging: stripeNext, Items: ".data[]",
			Changes: stripeChanges("customers", `["customer.created","customer.updated","customer.deleted"]`, "customer.deleted"),
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: ".name // .email // .id"}, {To: "join_date", From: ".created | seconds"}, {To: "billing_account_id", From: ".id", Attach: true},
					{To: "billing_street", From: `[.address.line1?, .address.line2?] | map(select(. != null and . != "")) | if length == 0 then null else join(", ") end`},
					{To: "billing_city", From: ".address.city?"}, {To: "billing_postal_code", From: ".address.postal_code?"}, {To: "billing_state", From: ".address.state?"},
					{To: "billing_country", From: ".address.country?"}, {To: "phone", From: ".phone"}, {To: "description", From: ".description"},
				}},
				{Family: "account_contacts", When: ".email != null", Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first("null; null; .name; .email")}, {To: "last_name", From: last("null; null; .name; .email")},
					{To: "email", From: ".email"}, {To: "phone", From: ".phone"},
				}},
			},
		},
		{
			Name: "subscriptions", Title: "Subscriptions", Overlap: overlap, ID: ".id", Label: ".id", Currency: ".currency", Account: stripeAccount,
			Request: connector.Request{Path: "/subscriptions", Query: `{limit: 100, starting_after: $page, status: "all"}`}, Paging: stripeNext, Items: ".data[]",
			Details: []connector.Detail{stripeRest("items", "/subscription_items", `{subscription: .id, limit: 100, starting_after: $page}`)},
			Changes: stripeChanges("subscriptions", `["customer.subscription.created","customer.subscription.updated","customer.subscription.deleted"]`, ""),
			Feeds: []connector.Feed{{Family: "subscriptions", When: `(.status | IN("active", "past_due", "canceled", "unpaid", "paused", "trialing")) and (` + stripeRecurring + `) != null`, Fields: []connector.Field{
				{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`}, {To: "effective_start_date", From: "(.trial_end // .start_date // .created) | seconds"},
				{To: "effective_end_date", From: ".ended_at | seconds"},
				{To: "total_revenue", From: stripeAmount + `amount((` + stripeRevenue + `); .currency)`},
				{To: "cycle_unit", From: `(` + stripeRecurring + `).interval | if . == "week" then "day" else . end`},
				{To: "cycle_length", From: `(` + stripeRecurring + `) | .interval_count * (if .interval == "week" then 7 else 1 end)`},
				{To: "next_renewal_date", From: `if .cancel_at_period_end or .ended_at != null then null else ` + stripePeriodEnd + ` | seconds end`},
				{To: "plan_code", From: `first(` + stripeItems + `[] | (.price.nickname // .price.lookup_key // .price.id // .plan.id) | select(. != null))`},
			}}},
		},
		{
			Name: "invoices", Title: "Invoices", Overlap: overlap, ID: ".id", Label: ".number", Currency: ".currency", Account: stripeAccount,
			Request: connector.Request{Path: "/invoices", Query: stripePage}, Paging: stripeNext, Items: ".data[]",
			Details: []connector.Detail{stripeRest("lines", `/invoices/\(.id)/lines`, stripePage)},
			Changes: stripeChanges("invoices", `["invoice.created","invoice.finalized","invoice.paid","invoice.payment_failed","invoice.updated","invoice.voided","invoice.marked_uncollectible","invoice.deleted"]`, "invoice.deleted"),
			Deleted: `.deleted == true or .status == "void"`,
			Feeds: []connector.Feed{{Family: "statements", When: `.status != "draft" and .status != "void"`, Fields: []connector.Field{
				{To: "invoice_id", From: ".id"}, {To: "start_date", From: "(.status_transitions.finalized_at // .created) | seconds"}, {To: "due_date", From: ".due_date | seconds"},
				{To: "paid_date", From: ".status_transitions.paid_at | seconds"},
				{To: "is_failed", From: `.status == "uncollectible" or .status == "open" and .attempted == true`},
				{To: "line_items", From: stripeAmount + `[.lines.data[] | {amount: amount(.amount; .currency), description,
					is_recurring: (.type == "subscription" or .parent.type? == "subscription_item_details")}]`},
			}}},
		},
	},
}

const stripePage = "{limit: 100, starting_after: $page}"

var (
	stripeNext = connector.AfterLast(".id", ".has_more")
	// A customer is an id, or an object where it was expanded.
	stripeAccount = []connector.Route{{Via: "customers", Key: ".customer | if type == \"object\" then .id else . end"}}
)

// stripeRest reads the whole of a list of which only the beginning comes with its
// record.
func stripeRest(name, path, query string) connector.Detail {
	return connector.Detail{When: "." + name + ".has_more == true", Request: connector.Request{Path: path, Query: query}, Paging: stripeNext, Items: ".data[]", Into: name + ".data"}
}

// stripeChanges reads the objects of a list that events tell of: the lists know no
// time of change. Events are kept for 30 days.
func stripeChanges(list, types, deleted string) *connector.Changes {
	return &connector.Changes{
		Request: connector.Request{Path: "/events", Query: `{limit: 100, starting_after: $page, "types[]": ` + types + `, "created[gte]": ($since | unix)}`},
		Paging:  connector.AfterLast(".event", ".has_more"), Items: `.data[] | {id: .data.object.id, deleted: (.type == "` + deleted + `"), event: .id}`,
		Get: connector.Request{Path: "/" + list + `/\(.id)`}, Record: "if .deleted == true then null else . end", Kept: 29 * 24 * time.Hour,
	}
}
