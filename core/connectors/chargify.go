package connectors

import (
	"time"

	"tenure/core/connector"
)

// The list of MRRs has what components and coupons make of a price, of subscriptions
// that are paid for now. It is told in the site's currency.
const (
	chargifyOver    = `(.state | IN("canceled", "expired", "trial_ended"))`
	chargifyUsesMRR = `($settings.revenue == "mrr" and .mrr != null and .state != "trialing" and (` + chargifyOver + ` | not))`
	chargifyMRR     = `if .mrr.cents != 0 and .currency != null and .currency != $facts.site.currency
		then error("the MRR of a subscription in another currency than the site's is not told: set the revenue of subscriptions to 'price', and leave out metrics")
		else minor(.mrr.cents; $facts.site.currency) end`
)

var chargify = &connector.Connector{
	Name: "chargify", Title: "Chargify (Maxio)", Kind: connector.Financial,
	Doc:   "Customers, subscriptions, invoices and MRR of one site of Maxio Advanced Billing. Invoices need Relationship Invoicing.",
	Base:  `"https://\($settings.subdomain).\({US: "chargify.com", EU: "ebilling.maxio.com"}[$settings.region])"`,
	Hosts: []string{"*.chargify.com", "*.ebilling.maxio.com"},
	Settings: []connector.Setting{
		{Name: "subdomain", Title: "Subdomain", Doc: "the first part of the site's address", Required: true, Pattern: `[a-z0-9][a-z0-9-]*`},
		{Name: "region", Title: "Region", Doc: "where the site is", Choices: []string{"US", "EU"}, Default: "US"},
		{Name: "revenue", Title: "Revenue of a subscription", Doc: "price: that of the product, without components and coupons; mrr: as the site's MRR list tells it", Choices: []string{"mrr", "price"}, Default: "mrr"},
		{Name: "components", Title: "Components on invoices", Doc: "whether what components cost recurs; invoices do not tell", Choices: []string{"recurring", "one_time"}, Default: "recurring"},
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "API key",
		Settings: []connector.Setting{{Name: "api_key", Title: "API key", Doc: "the site's key", Secret: true, Required: true}},
		Headers:  map[string]string{"Authorization": `"Basic " + ("\(.api_key):X" | @base64)`}}},
	// Four requests at once are allowed, whatever their rate: one at a time is sent.
	Limits: connector.Limits{Requests: 120, Per: time.Minute, Pause: time.Minute},
	Errors: connector.Errors{Message: `.errors // .error | if type == "array" then map(tostring) | join("; ") elif . == null then null else tostring end`},
	Check:  connector.Request{Path: "/site.json"},
	Facts:  []connector.Fact{{Name: "site", Request: connector.Request{Path: "/site.json"}, Pick: ".site | {currency}"}},

	AccountField: "billing_account_id",
	Locations: []connector.Location{
		{Name: "reference", Title: "Reference of customers", Doc: "The customer's reference, typically sent from your product.", Best: true, Stream: "customers", Path: ".reference", By: connector.ByAccountID},
		{Name: "email", Title: "E-mail of customers", Doc: "An address of one of the account's users or contacts; entered by hand.", Stream: "customers", Path: ".email", By: connector.ByEmail},
	},
	Streams: []connector.Stream{
		{
			Name: "customers", Title: "Customers", Accounts: true, Incremental: true, Overlap: overlap, ID: ".id", Label: ".organization // .email", Keep: "{reference, email}",
			Request: connector.Request{Path: "/customers.json", Query: chargifyPage}, Paging: connector.PageNumbers(200), Items: ".[].customer",
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: payer(".organization", ".id")},
					{To: "join_date", From: ".created_at | time"}, {To: "billing_account_id", From: ".id", Attach: true}, {To: "phone", From: ".phone"},
					{To: "billing_street", From: chargifyStreet}, {To: "billing_city", From: ".city"}, {To: "billing_state", From: ".state"}, {To: "billing_postal_code", From: ".zip"}, {To: "billing_country", From: ".country"},
				}},
				{Family: "account_contacts", When: `(.email // "") != ""`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".first_name; .last_name; null; .email")}, {To: "last_name", From: last(".first_name; .last_name; null; .email")},
					{To: "email", From: ".email | email"}, {To: "phone", From: ".phone"}, {To: "mailing_street", From: chargifyStreet}, {To: "mailing_city", From: ".city"},
					{To: "mailing_state", From: ".state"}, {To: "mailing_postal_code", From: ".zip"}, {To: "mailing_country", From: ".country"}, {To: "is_primary", From: "true"},
				}},
			},
		},
		{
			Name: "mrr", Title: "MRR of subscriptions", Doc: "Nothing but what subscriptions need of it.", Passing: true, ID: ".subscription_id", Keep: "{cents: .mrr_amount_in_cents}",
			Request: connector.Request{Path: "/subscriptions_mrr.json", Query: "{page: ($page // 1), per_page: 200}"}, Paging: connector.PageNumbers(200), Items: ".subscriptions_mrr[]",
		},
		{
			Name: "subscriptions", Title: "Subscriptions", Doc: "Notes and MRRs are looked at when their subscription changes, or all of them are read.", Incremental: true, Overlap: overlap, ID: ".id", Label: ".id", Currency: ".currency",
			// Each may have notes to be asked for: a page is read whole, or not at all.
			Request: connector.Request{Path: "/subscriptions.json", Query: chargifyPage + " | .per_page = 100"}, Paging: connector.PageNumbers(100), Items: ".[].subscription",
			Account: []connector.Route{{Via: "customers", Key: ".customer.id"}},
			Joins:   []connector.Join{{As: "mrr", Stream: "mrr", Key: ".id"}},
			Details: []connector.Detail{{For: "notes", Request: connector.Request{Path: `/subscriptions/\(.id)/notes.json`, Query: "{page: ($page // 1), per_page: 200}"}, Paging: connector.PageNumbers(200), Items: ".[].note", Into: "notes"}},
			Feeds: []connector.Feed{
				{Family: "subscriptions", When: `.state | IN("failed_to_create", "awaiting_signup", "pending") | not`, Fields: []connector.Field{
					{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`},
					{To: "effective_start_date", From: `(if .state == "trialing" then .trial_ended_at else null end // .activated_at // .created_at) | time`},
					{To: "effective_end_date", From: `if .state == "canceled" then .canceled_at // .updated_at elif .state == "expired" then .expires_at // .updated_at elif .state == "trial_ended" then .trial_ended_at // .updated_at else null end | time`},
					{To: "total_revenue", From: "if " + chargifyUsesMRR + " then " + chargifyMRR + " else minor((.product_price_in_cents // .product.price_in_cents); .currency) end"},
					{To: "cycle_unit", From: "if " + chargifyUsesMRR + ` then "month" else .product.interval_unit end`},
					{To: "cycle_length", From: "if " + chargifyUsesMRR + " then 1 else .product.interval end"},
					{To: "next_renewal_date", From: "if .cancel_at_end_of_period == true or " + chargifyOver + " then null else .current_period_ends_at | time end"},
					{To: "plan_code", From: ".product.handle // .product.name"},
				}},
				{Family: "metrics", Optional: true, When: ".mrr != null", Fields: []connector.Field{
					{To: "name", From: `"MRR of Chargify subscription \(.id), in cents"`}, {To: "metrics", From: "[{timestamp: (.updated_at | time), value: (" + chargifyMRR + ")}]"},
				}},
				{Family: "notes", Optional: true, Each: ".notes[]?", Fields: []connector.Field{
					{To: "external_id", From: ".id"}, {To: "create_time", From: ".created_at | time"}, {To: "subject", From: `"Note in Chargify"`}, {To: "note", From: ".body"},
				}},
			},
		},
		{
			Name: "invoices", Title: "Invoices", Incremental: true, Overlap: overlap, ID: ".uid", Label: ".number", Deleted: `.status | IN("voided", "canceled")`, Currency: ".currency",
			// Sites of the old architecture have statements, which are no invoices.
			Facts: []connector.Fact{{Name: "invoicing", Request: connector.Request{Path: "/site.json"},
				Pick: `if .site.relationship_invoicing_enabled == false then error("the site has statements in place of invoices (no Relationship Invoicing): switch this stream off") else true end`}},
			Request: connector.Request{Path: "/invoices.json", Query: `{page: ($page // 1), per_page: 200, date_field: "updated_at", start_datetime: ($since | iso), direction: "asc", line_items: true, payments: true, discounts: true, credits: true, refunds: true}`},
			Paging:  connector.PageNumbers(200), Items: ".invoices[]",
			Account: []connector.Route{{Via: "customers", Key: ".customer_id"}},
			// What a part of a consolidated invoice has is its parent's.
			Feeds: []connector.Feed{{Family: "statements", When: `.consolidation_level != "child" and (.status | IN("draft", "voided", "canceled") | not)`, Fields: []connector.Field{
				{To: "invoice_id", From: ".uid"}, {To: "start_date", From: ".issue_date | date"}, {To: "due_date", From: ".due_date | date"},
				{To: "paid_date", From: `if .status == "paid" then .paid_date | date else null end`},
				// An invoice that lists no lines is told by its total: what recurs is not known.
				{To: "non_recurring", From: `if (.line_items // [] | length) == 0 then major(.total_amount; .currency) else null end`},
				{To: "line_items", From: `.currency as $c | [.line_items[]? | {amount: major(.total_amount; $c),
					is_recurring: (if .component_id != null then $settings.components == "recurring" else .product_id != null end), description: (.title // .description)}] | if length == 0 then null else . end`},
				{To: "transactions", From: `.currency as $c | [.payments[]? | {tx_id: (.transaction_id // .transaction_time), paid_amount: major(.applied_amount; $c), paid_date: (.transaction_time | time)}] | if length > 1 then . else null end`},
			}}},
		},
	},
}

const chargifyPage = `{page: ($page // 1), per_page: 200, date_field: "updated_at", start_datetime: ($since | iso), direction: "asc"}`

const chargifyStreet = `[.address, .address_2 | strings | select(. != "")] | if length == 0 then null else join(", ") end`
