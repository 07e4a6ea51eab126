package connectors

import (
	"time"

	"tenure/core/connector"
)

// Amounts are whole numbers of hundredths, or of the currency where it has none, and
// on some sites decimal text in major units beside. Of which currencies are told to
// have none, there is no complete list. What is bought has a price, and a total unless
// the catalog is the older one; there it is a plan with addons, and now items.
const (
	chargebeeMoney = `def money(whole; decimal; c):
		if decimal != null then major(decimal; c)
		elif c | IN("JPY", "KRW", "XAF", "XOF") then minor(whole; c; 0)
		elif c | IN("BIF", "CLP", "DJF", "GNF", "ISK", "KMF", "PYG", "RWF", "UGX", "VND", "VUV", "XPF") then
			minor(whole; c; ($settings.whole_currencies // error("whether amounts in \(c) have two decimals is not known: set 'whole_currencies'") | tonumber))
		else minor(whole; c; 2) end; `
	chargebeeRevenue = chargebeeMoney + `def bought(c): money(
			(.amount // ((.unit_price // error("the price of an item is not told, as for tiers: map total_revenue yourself")) * (.quantity // 1)));
			(.amount_in_decimal // if .unit_price_in_decimal then (.unit_price_in_decimal | tonumber) * (.quantity_in_decimal // .quantity // 1 | tonumber) else null end); c);
		.currency_code as $c
		| [if .subscription_items then .subscription_items[] | select(.item_type != "charge")
		   elif .plan_id then with_entries(select(.key | startswith("plan_")) | .key |= ltrimstr("plan_")), .addons[]?
		   else error("neither items nor a plan: total_revenue cannot be told") end | bought($c)] | add // 0`
	chargebeeRecurring = `(.entity_type | IN("plan", "addon", "plan_item_price", "addon_item_price"))`
	chargebeeStreet    = `([.line1, .line2, .line3 | strings | select(. != "")] | if length == 0 then null else join(", ") end)`
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
		{Name: "contacts", Title: "Contacts", Doc: "customers: each customer is a contact; all: the further contacts of each are asked for as well, a request for each customer", Choices: []string{"customers", "all"}, Default: "customers"},
		{Name: "whole_currencies", Title: "Decimals of currencies without hundredths", Doc: "how many decimals whole amounts in CLP, ISK, VND and the like have; those in JPY, KRW, XAF and XOF have none", Choices: []string{"0", "2"}},
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
			Details: []connector.Detail{{For: "account_contacts", When: `$settings.contacts == "all"`, Request: connector.Request{Path: `/customers/\(.id)/contacts`, Query: "{limit: 100, offset: $page}"}, Paging: chargebeeNext, Items: ".list[].contact", Into: "contacts"}},
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: payer(".company", ".id")},
					{To: "join_date", From: ".created_at | seconds"}, {To: "billing_account_id", From: ".id", Attach: true}, {To: "phone", From: ".phone"},
					{To: "billing_street", From: ".billing_address? | " + chargebeeStreet}, {To: "billing_city", From: ".billing_address.city?"}, {To: "billing_postal_code", From: ".billing_address.zip?"},
					{To: "billing_state", From: ".billing_address.state?"}, {To: "billing_country", From: ".billing_address.country?"},
				}},
				{Family: "account_contacts", Each: `(., (.contacts // [])[]) | select((.email // "") != "")`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".first_name; .last_name; null; .email")}, {To: "last_name", From: last(".first_name; .last_name; null; .email")},
					{To: "email", From: ".email | email"}, {To: "phone", From: ".phone"}, {To: "is_primary", From: ".id == $record.id"}, {To: "role", From: ".label"},
					{To: "mailing_street", From: ".billing_address? | " + chargebeeStreet}, {To: "mailing_city", From: ".billing_address.city?"}, {To: "mailing_state", From: ".billing_address.state?"},
					{To: "mailing_postal_code", From: ".billing_address.zip?"}, {To: "mailing_country", From: ".billing_address.country?"},
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
				{To: "effective_end_date", From: `(if (.status | IN("cancelled", "transferred")) then .cancelled_at // .updated_at elif .status == "non_renewing" then .current_term_end else null end) | seconds`},
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
				// What a line costs is told before its discounts.
				{To: "line_items", From: chargebeeMoney + `.currency_code as $c | [.line_items[]? | {amount: (money(.amount; .amount_in_decimal; $c) - money((.discount_amount // 0); null; $c)), is_recurring: ` + chargebeeRecurring + `, description}]`},
				{To: "transactions", From: chargebeeMoney + `.currency_code as $c | [.linked_payments[]? | select(.txn_status == "success") | {tx_id: .txn_id, paid_amount: money(.applied_amount; null; $c), paid_date: (.applied_at | seconds)}] | if length > 1 then . else null end`},
			}}},
		},
	},
}

const chargebeePage = `{limit: 100, offset: $page, "updated_at[after]": ($since | unix), "sort_by[asc]": "updated_at", include_deleted: true}`

var chargebeeNext = connector.NextToken(".next_offset")
