package connectors

import (
	"time"

	"tenure/core/connector"
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
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "API key",
		Settings: []connector.Setting{{Name: "api_key", Title: "API key", Doc: "the site's key", Secret: true, Required: true}},
		Headers:  map[string]string{"Authorization": `"Basic " + ("\(.api_key):X" | @base64)`}}},
	// Four requests at once are allowed, whatever their rate: one at a time is sent.
	Limits: connector.Limits{Requests: 120, Per: time.Minute, Pause: time.Minute},
	Errors: connector.Errors{Message: `.errors | if type == "array" then map(tostring) | join("; ") else tostring end`},
	Check:  connector.Request{Path: "/customers.json", Query: "{per_page: 1}"},

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
					{To: "name", From: `if (.organization // "") != "" then .organization else ([.first_name, .last_name] | map(select(. != null)) | join(" ") | if . == "" then null else . end) // .email end`},
					{To: "join_date", From: ".created_at | time"}, {To: "billing_account_id", From: ".id", Attach: true}, {To: "phone", From: ".phone"},
					{To: "billing_street", From: ".address"}, {To: "billing_city", From: ".city"}, {To: "billing_state", From: ".state"}, {To: "billing_postal_code", From: ".zip"}, {To: "billing_country", From: ".country"},
				}},
				{Family: "account_contacts", When: `(.email // "") != ""`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".first_name; .last_name; null; .email")}, {To: "last_name", From: last(".first_name; .last_name; null; .email")},
					{To: "email", From: ".email"}, {To: "phone", From: ".phone"}, {To: "mailing_street", From: ".address"}, {To: "mailing_city", From: ".city"},
					{To: "mailing_state", From: ".state"}, {To: "mailing_postal_code", From: ".zip"}, {To: "mailing_country", From: ".country"}, {To: "is_primary", From: "true"},
				}},
			},
		},
		{
			Name: "mrr", Title: "MRR of subscriptions", Passing: true, ID: ".subscription_id", Keep: "{cents: .mrr_amount_in_cents}",
			Request: connector.Request{Path: "/subscriptions_mrr.json", Query: "{page: ($page // 1), per_page: 200}"}, Paging: connector.PageNumbers(200), Items: ".subscriptions_mrr[]",
		},
		{
			Name: "subscriptions", Title: "Subscriptions", Incremental: true, Overlap: overlap, ID: ".id", Label: ".id", Currency: ".currency",
			Request: connector.Request{Path: "/subscriptions.json", Query: chargifyPage}, Paging: connector.PageNumbers(200), Items: ".[].subscription",
			Account: []connector.Route{{Via: "customers", Key: ".customer.id"}},
			Joins:   []connector.Join{{As: "mrr", Stream: "mrr", Key: ".id"}},
			Details: []connector.Detail{{For: "notes", Request: connector.Request{Path: `/subscriptions/\(.id)/notes.json`, Query: "{page: ($page // 1), per_page: 200}"}, Paging: connector.PageNumbers(200), Items: ".[].note", Into: "notes"}},
			Feeds: []connector.Feed{
				{Family: "subscriptions", When: `.state | IN("failed_to_create", "awaiting_signup", "pending") | not`, Fields: []connector.Field{
					{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`},
					{To: "effective_start_date", From: `(if .state == "trialing" then .trial_ended_at else null end // .activated_at // .created_at) | time`},
					{To: "effective_end_date", From: `if (.state | IN("canceled", "expired", "trial_ended")) then (.canceled_at // .expires_at // .updated_at) | time else null end`},
					{To: "total_revenue", From: `if $settings.revenue == "mrr" and .mrr != null then minor(.mrr.cents; .currency) else minor(.product_price_in_cents; .currency) end`},
					{To: "cycle_unit", From: `if $settings.revenue == "mrr" and .mrr != null then "month" else .product.interval_unit end`},
					{To: "cycle_length", From: `if $settings.revenue == "mrr" and .mrr != null then 1 else .product.interval end`},
					{To: "next_renewal_date", From: `if .cancel_at_end_of_period == true or (.state | IN("canceled", "expired", "trial_ended")) then null else .current_period_ends_at | time end`},
					{To: "plan_code", From: ".product.handle"},
				}},
				{Family: "metrics", Optional: true, When: ".mrr != null", Fields: []connector.Field{
					{To: "name", From: `"Chargify MRR \(.id)"`}, {To: "metrics", From: `[{timestamp: (.updated_at | time), value: (.mrr.cents / 100)}]`},
				}},
				{Family: "notes", Optional: true, Each: ".notes[]?", Fields: []connector.Field{
					{To: "external_id", From: ".id"}, {To: "create_time", From: ".created_at | time"}, {To: "subject", From: `"Note in Chargify"`}, {To: "note", From: ".body"},
				}},
			},
		},
		{
			Name: "invoices", Title: "Invoices", Incremental: true, Overlap: overlap, ID: ".uid", Label: ".number", Deleted: `.status | IN("voided", "canceled")`, Currency: ".currency",
			Request: connector.Request{Path: "/invoices.json", Query: `{page: ($page // 1), per_page: 200, date_field: "updated_at", start_datetime: ($since | iso), direction: "asc", line_items: true, payments: true, discounts: true, credits: true, refunds: true}`},
			Paging:  connector.PageNumbers(200), Items: ".invoices[]",
			Account: []connector.Route{{Via: "customers", Key: ".customer_id"}},
			Feeds: []connector.Feed{{Family: "statements", When: `.status | IN("draft", "voided", "canceled") | not`, Fields: []connector.Field{
				{To: "invoice_id", From: ".uid"}, {To: "start_date", From: ".issue_date | date"}, {To: "due_date", From: ".due_date | date"},
				{To: "paid_date", From: `if .status == "paid" then .paid_date | date else null end`},
				// An invoice that lists no lines is told by its total: what recurs is not known.
				{To: "non_recurring", From: `if (.line_items // [] | length) == 0 then major(.total_amount; .currency) else null end`},
				{To: "line_items", From: `.currency as $c | [.line_items[]? | {amount: major(.total_amount; $c), is_recurring: (.product_id != null or .component_id != null), description: (.title // .description)}] | if length == 0 then null else . end`},
				{To: "transactions", From: `.currency as $c | [.payments[]? | {tx_id: .transaction_id, paid_amount: major(.applied_amount; $c), paid_date: (.transaction_time | time)}] | if length > 1 then . else null end`},
			}}},
		},
	},
}

const chargifyPage = `{page: ($page // 1), per_page: 200, date_field: "updated_at", start_datetime: ($since | iso), direction: "asc"}`
