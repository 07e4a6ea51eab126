package connectors

import (
	"time"

	"tenure/core/connector"
)

const (
	// chargebeeCents is a definition: cents(amount; currency). It is not confirmed how
	// amounts in currencies of three decimals are written.
	chargebeeCents = `def cents(amount; currency): if currency | IN("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
		then error("it is not known how Chargebee writes amounts in \(currency): map them yourself") else minor(amount; currency) end; `
	// Both product catalogs: items, or a plan with addons. Amounts are whole numbers of
	// the smallest unit, or decimal text in major units on some sites.
	chargebeeRevenue = chargebeeCents + `.currency_code as $c
		| if .subscription_items then [.subscription_items[] | select(.item_type != "charge")
			| if .amount_in_decimal then major(.amount_in_decimal; $c) else cents((.amount // (.unit_price * (.quantity // 1))); $c) end] | add // 0
		  elif .plan_unit_price then cents(.plan_unit_price * (.plan_quantity // 1); $c) + ([.addons[]? | cents((.amount // (.unit_price * (.quantity // 1))); $c)] | add // 0)
		  else error("neither items nor a plan's price: total_revenue cannot be told") end`
	chargebeeRecurring = `(.entity_type | IN("plan", "addon", "plan_item_price", "addon_item_price"))`
)

var chargebee = &connector.Connector{
	Name: "chargebee", Title: "Chargebee", Kind: connector.Financial,
	Doc:     "Customers, subscriptions and invoices of one site. A read-only API key is enough.",
	Base:    `"https://\($settings.site).chargebee.com/api/v2"`,
	Hosts:   []string{"*.chargebee.com"},
	Headers: map[string]string{"chargebee-business-entity-id": "$settings.business_entity"},
	Settings: []connector.Setting{
		{Name: "site", Title: "Site", Doc: "the first part of the address, such as acme or acme-test", Required: true, Pattern: `[a-z0-9][a-z0-9-]*`},
		{Name: "account_field", Title: "Custom field of the account_id", Doc: "the API name of a customer's custom field, which begins with cf_", Pattern: `cf_[a-z0-9_]+`, Default: "cf_account_id"},
		{Name: "account_key", Title: "Metadata key of the account_id", Doc: "the key in a customer's meta_data", Default: "account_id"},
		{Name: "business_entity", Title: "Business entity", Doc: "for sites with several", Pattern: `[A-Za-z0-9_-]+`},
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "API key",
		Settings: []connector.Setting{{Name: "api_key", Title: "API key", Doc: "a read-only key", Secret: true, Required: true}},
		Headers:  map[string]string{"Authorization": `"Basic " + ("\(.api_key):" | @base64)`}}},
	// The lowest plan has 150 a minute, and repeated excess gets the site blocked.
	Limits: connector.Limits{Requests: 100, Per: time.Minute, Pause: time.Minute},
	Errors: connector.Errors{Message: ".message", Limited: `.body.api_error_code? == "api_request_limit_exceeded"`},
	Check:  connector.Request{Path: "/customers", Query: "{limit: 1}"},

	AccountField: "billing_account_id",
	Locations: []connector.Location{
		{Name: "custom_field", Title: "Custom field of customers", Doc: "A custom field of the customer, typically sent from your product.", Best: true, Stream: "customers", Path: ".[$settings.account_field]", By: connector.ByAccountID},
		{Name: "metadata", Title: "Metadata of customers", Doc: "A key in the customer's meta_data, typically sent from your product.", Best: true, Stream: "customers", Path: ".meta_data[$settings.account_key]?", By: connector.ByAccountID},
		{Name: "id", Title: "ID of customers", Doc: "The customer's id, which has to be propagated to your other systems.", Stream: "customers", Path: ".id", By: connector.ByNativeID},
	},
	Streams: []connector.Stream{
		{
			Name: "customers", Title: "Customers", Accounts: true, Incremental: true, Overlap: overlap, ID: ".id", Label: ".company // .email", Deleted: ".deleted == true", Keep: "{company, email}",
			Request: connector.Request{Path: "/customers", Query: chargebeePage}, Paging: chargebeeNext, Items: ".list[].customer",
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: `if (.company // "") != "" then .company else ([.first_name, .last_name] | map(select(. != null)) | join(" ") | if . == "" then null else . end) // .email // .id end`},
					{To: "join_date", From: ".created_at | seconds"}, {To: "billing_account_id", From: ".id", Attach: true}, {To: "phone", From: ".phone"},
					{To: "billing_street", From: `[.billing_address | .line1?, .line2?, .line3? | strings | select(. != "")] | if length == 0 then null else join(", ") end`}, {To: "billing_city", From: ".billing_address.city?"}, {To: "billing_postal_code", From: ".billing_address.zip?"},
					{To: "billing_state", From: ".billing_address.state?"}, {To: "billing_country", From: ".billing_address.country?"},
				}},
				{Family: "account_contacts", When: `(.email // "") != ""`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".first_name; .last_name; null; .email")}, {To: "last_name", From: last(".first_name; .last_name; null; .email")},
					{To: "email", From: ".email | email"}, {To: "phone", From: ".phone"}, {To: "is_primary", From: "true"},
				}},
			},
		},
		{
			Name: "subscriptions", Title: "Subscriptions", Incremental: true, Overlap: overlap, ID: ".id", Label: ".id", Deleted: ".deleted == true", Currency: ".currency_code",
			Request: connector.Request{Path: "/subscriptions", Query: chargebeePage}, Paging: chargebeeNext, Items: ".list[].subscription",
			Account: []connector.Route{{Via: "customers", Key: ".customer_id"}},
			Feeds: []connector.Feed{{Family: "subscriptions", When: `.status != "future" or .start_date != null`, Fields: []connector.Field{
				{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`},
				{To: "effective_start_date", From: `(if .status == "in_trial" then .trial_end else null end // .activated_at // .started_at // .start_date // .created_at) | seconds`},
				// A subscription that does not renew goes on until its term ends.
				{To: "effective_end_date", From: `(if .status == "cancelled" then .cancelled_at elif .status == "non_renewing" then .current_term_end else null end) | seconds`},
				{To: "total_revenue", From: chargebeeRevenue},
				{To: "cycle_unit", From: `.billing_period_unit | if . == "week" then "day" else . end`},
				{To: "cycle_length", From: `.billing_period * (if .billing_period_unit == "week" then 7 else 1 end)`},
				{To: "next_renewal_date", From: `if (.status | IN("active", "in_trial", "paused")) then .next_billing_at // .current_term_end | seconds else null end`},
				{To: "plan_code", From: `.plan_id // first(.subscription_items[]? | select(.item_type == "plan") | .item_price_id) // null`},
			}}},
		},
		{
			Name: "invoices", Title: "Invoices", Incremental: true, Overlap: overlap, ID: ".id", Label: ".id", Deleted: `.deleted == true or .status == "voided"`, Currency: ".currency_code",
			Request: connector.Request{Path: "/invoices", Query: chargebeePage}, Paging: chargebeeNext, Items: ".list[].invoice",
			Account: []connector.Route{{Via: "customers", Key: ".customer_id"}},
			Feeds: []connector.Feed{{Family: "statements", When: `.status != "pending" and .status != "voided"`, Fields: []connector.Field{
				{To: "invoice_id", From: ".id"}, {To: "start_date", From: ".date | seconds"}, {To: "due_date", From: ".due_date | seconds"},
				{To: "paid_date", From: `if .status == "paid" then .paid_at | seconds else null end`},
				{To: "is_failed", From: `.status == "not_paid"`},
				{To: "line_items", From: chargebeeCents + `.currency_code as $c | [.line_items[]? | {amount: (if .amount_in_decimal then major(.amount_in_decimal; $c) else cents(.amount; $c) end), is_recurring: ` + chargebeeRecurring + `, description}]`},
				{To: "transactions", From: chargebeeCents + `.currency_code as $c | [.linked_payments[]? | select(.txn_status == "success") | {tx_id: .txn_id, paid_amount: cents(.applied_amount; $c), paid_date: (.applied_at | seconds)}] | if length > 1 then . else null end`},
			}}},
		},
	},
}

const chargebeePage = `{limit: 100, offset: $page, "updated_at[after]": ($since | unix), "sort_by[asc]": "updated_at", include_deleted: true}`

var chargebeeNext = connector.NextToken(".next_offset")
