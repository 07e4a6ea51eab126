package connectors

import (
	"fmt"
	"time"

	"tenure/core/connector"
)

const (
	// keapSince is $since as filters have it; null for all records.
	keapSince = `$since | iso | if . then rtrimstr("Z") + ".000Z" else null end`
	// keapLines are the items of an order without taxes. Their price is for one unit;
	// a discount is an amount without a sign.
	keapLines = `[.order_items[]? | select(.item_type != "TAX") |
		{amount: (if (.item_type // "" | startswith("DISCOUNT")) and .discount then minor(.discount.amount; .discount.currency_code) | if . > 0 then -. else . end
			else (.quantity // 1) * minor(.price_per_unit.amount // 0; .price_per_unit.currency_code) end),
		is_recurring: (.item_type == "SUBSCRIPTION"), description: (.name // .description)}] | select(length > 0)`
	// keapPaid are the payments of an order that were made.
	keapPaid = `(.payments // [] | map(select(.pay_status | IN("APPROVED", "MANUAL_PAID", "PAYPAL_PAID"))))`
	// keapTimes says how often the amount of a subscription is charged in a cycle.
	keapTimes = `(if (.quantity // 1) == 1 or $settings.subscription_quantity == "total" then 1 elif $settings.subscription_quantity == "each" then .quantity
		else error("it is for several units: the settings do not say whether the amount is for each or for all") end)`
	// keapEvery is in how many cycles a subscription is billed, of which the vendor
	// says in one place that it is a number of days.
	keapEvery = `((.billing_frequency // 1) | if . > 12 and $subscription.billing_cycle != "DAY" then error("it is billed every \(.) cycles, which cannot be") else . end)`
	keapOrder = "/rest/v2/orders"
)

// keapList asks for a list page by page, those changed since $since by the name
// that the filter has for that.
func keapList(path, since, fields string, size int) connector.Request {
	return connector.Request{Path: path, Query: fmt.Sprintf(`{page_size: %d, page_token: $page, fields: %q, filter: (%s | if . then "%s==" + . else null end)} | map_values(select(. != ""))`, size, fields, keapSince, since)}
}

// keapSlot is a member of the entry in a list that has a slot, such as EMAIL1, else
// of the first one.
func keapSlot(list, slot, member string) string {
	return fmt.Sprintf(`first((.%[1]s[]? | select(.field == %[2]q)), .%[1]s[]?).%[3]s`, list, slot, member)
}

// keapAmount is an amount of which it is not known whether it is in cents: the
// setting says so.
func keapAmount(amount, setting string) string {
	return fmt.Sprintf(`(if $settings.%[2]s == "minor" then minor(%[1]s; $settings.currency) elif $settings.%[2]s == "major" then major(%[1]s; $settings.currency)
		else error("it is not set in what unit the amounts are: %[2]s") end)`, amount, setting)
}

// keapPerson are the fields of a contact as somebody of an account.
var keapPerson = []connector.Field{
	{To: "user_id", From: ".id"},
	{To: "first_name", From: first(".given_name; .family_name; .preferred_name; " + keapSlot("email_addresses", "EMAIL1", "email"))},
	{To: "last_name", From: last(".given_name; .family_name; .preferred_name; " + keapSlot("email_addresses", "EMAIL1", "email"))},
	{To: "email", From: keapSlot("email_addresses", "EMAIL1", "email") + " | email"}, {To: "phone", From: keapSlot("phone_numbers", "PHONE1", "number")},
	{To: "mobile_phone", From: `first(.phone_numbers[]? | select(.type // "" | ascii_downcase == "mobile")).number`}, {To: "salutation", From: ".prefix"},
	{To: "title", From: ".job_title"}, {To: "role", From: ".contact_type"}, {To: "mailing_street", From: keapSlot("addresses", "BILLING", "line1")},
	{To: "mailing_city", From: keapSlot("addresses", "BILLING", "locality")},
	{To: "mailing_state", From: `first((.addresses[]? | select(.field == "BILLING")), .addresses[]?) | .region // .region_code`},
	{To: "mailing_postal_code", From: `first((.addresses[]? | select(.field == "BILLING")), .addresses[]?) | .postal_code // .zip_code`},
	{To: "mailing_country", From: `first((.addresses[]? | select(.field == "BILLING")), .addresses[]?) | .country_code // .country`},
}

var infusionsoft = &connector.Connector{
	Name: "infusionsoft", Title: "Infusionsoft (Keap)", Kind: connector.CRM,
	Doc: "Companies, contacts, notes, tasks, subscriptions and orders of one Keap app. Subscriptions and orders belong to contacts, and by them to companies.",
	Settings: []connector.Setting{
		{Name: "account_field", Title: "Custom field", Doc: "The custom field of companies that has the account_id: its label, its database name or its id."},
		{Name: "subscription_unit", Title: "Unit of subscriptions", Doc: "Keap does not say in what unit the amounts of subscriptions are. Compare one with what Keap shows: major if 49 is $49, minor if 4900 is.",
			Required: true, Choices: []string{"major", "minor"}},
		{Name: "subscription_quantity", Title: "Amount of subscriptions", Doc: "Whether the amount of a subscription with a quantity is for each unit or the total. Needed once there is one of more than one unit.", Choices: []string{"each", "total"}},
		{Name: "payment_unit", Title: "Unit of payments", Doc: "The same for payments of orders: needed if they are read.", Choices: []string{"major", "minor"}},
		{Name: "currency", Title: "Currency", Doc: "The currency of subscriptions and payments, such as USD; if it is not set, the workspace's.", Pattern: "[A-Z]{3}"},
	},
	Auth: []connector.Auth{
		{
			Name: "oauth", Title: "OAuth 2.0", Settings: []connector.Setting{
				{Name: "client_id", Title: "Client id", Doc: "The key of your app at developer.infusionsoft.com.", Required: true},
				{Name: "client_secret", Title: "Client secret", Doc: "The app's secret.", Required: true, Secret: true},
			},
			Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
			OAuth: &connector.OAuth{
				Grant: connector.AuthorizationCode, AuthorizeURL: `"https://accounts.infusionsoft.com/app/oauth/authorize"`, TokenURL: `"https://api.infusionsoft.com/token"`,
				Scopes: `"full"`, BasicRefresh: true, RefreshLife: 45 * 24 * time.Hour,
			},
		},
		{
			Name: "api_key", Title: "Personal access token or service account key", Settings: []connector.Setting{
				{Name: "key", Title: "Token or key", Doc: "As it was shown when it was made.", Required: true, Secret: true},
				{Name: "header", Title: "Header", Doc: "The header in which it is sent, of which Keap says both; X-Keap-API-Key if it is not set.", Choices: []string{"X-Keap-API-Key", "Authorization"}},
			},
			Headers: map[string]string{
				"X-Keap-API-Key": `if .header == "Authorization" then null else .key end`,
				"Authorization":  `if .header == "Authorization" then "Bearer " + .key else null end`,
			},
		},
	},
	Base:    `"https://api.infusionsoft.com/crm"`,
	Hosts:   []string{"api.infusionsoft.com", "accounts.infusionsoft.com"},
	Headers: map[string]string{"Accept": `"application/json"`},
	// A key has 240 a minute and 10 a second, an app 1,500 a minute.
	Limits: connector.Limits{Requests: 3, Per: time.Second, Pause: time.Minute, MaxUsage: 0.95,
		Usage: `if ."x-keap-product-quota-limit" and ."x-keap-product-quota-available" then 1 - (."x-keap-product-quota-available" | tonumber) / (."x-keap-product-quota-limit" | tonumber) else null end`},
	Errors: connector.Errors{Message: `.message? // .fault?.faultstring? // .error_description?`},
	Check:  connector.Request{Path: "/rest/v2/companies/model"},
	CheckThat: `$settings.account_field as $name | if $name == null or any(.custom_fields[]?; $name == (.id, .label, .field_name)) then null
		else "companies have no custom field \($name), but: \([.custom_fields[]?.label] | join(", "))" end`,
	Facts: []connector.Fact{{Name: "account_field", Request: connector.Request{Path: "/rest/v2/companies/model"},
		Pick: `$settings.account_field as $name | if $name == null then null else first(.custom_fields[]? | select($name == (.id, .label, .field_name)) | .id) // error("companies have no custom field \($name)") end`}},
	AccountField: "crm_account_id",
	Locations: []connector.Location{
		{Name: "company_id", Title: "Id of the company", Doc: "The CompanyID is the account_id, or accounts have it as their crm_account_id.", Best: true, Stream: "companies", Path: ".id", By: connector.ByNativeID},
		{Name: "custom_field", Title: "Custom field of the company", Doc: "Typically sent from your product. Set which field it is.", Best: true, Stream: "companies",
			Path: `$facts.account_field as $id | first(.custom_fields[]? | select(.id == $id)).content | select(. != null and . != "")`, By: connector.ByAccountID},
		{Name: "contact_id", Title: "Id of the contact", Doc: "Several contacts may belong to one company: best where only one object is an account.", Stream: "contacts", Path: ".id", By: connector.ByNativeID},
	},
	Streams: []connector.Stream{
		{
			Name: "users", Title: "Users", Request: connector.Request{Path: "/rest/v2/users", Query: `{page_size: 100, page_token: $page, filter: "include_inactive==true"}`},
			Paging: connector.NextToken(".next_page_token"), Items: ".users[]", ID: ".id", Label: ".given_name", Passing: true,
			Keep: `{email: (` + keapSlot("email_addresses", "EMAIL1", "email") + ` // null | email), first: .given_name, last: .family_name}`,
		},
		{
			Name: "companies", Title: "Companies", Accounts: true,
			Request: keapList("/rest/v2/companies", "since_time", "id,company_name,website,owner_id,notes,address,email_address,phone_number,custom_fields,create_time,update_time", 1000),
			Paging:  connector.NextToken(".next_page_token"), Items: ".companies[]", ID: ".id", Label: ".company_name", Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Path: ".id", By: connector.ByCRMID}},
			Joins:   []connector.Join{{As: "owner", Stream: "users", Key: ".owner_id"}},
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "crm_account_id", From: ".id", Attach: true}, {To: "name", From: ".company_name"}, {To: "join_date", From: ".create_time | time"},
				{To: "website", From: ".website"}, {To: "description", From: ".notes"}, {To: "phone", From: ".phone_number.number"},
				{To: "billing_street", From: `[.address.line1, .address.line2 | strings | select(. != "")] | select(length > 0) | join(", ")`},
				{To: "billing_city", From: ".address.locality"}, {To: "billing_state", From: ".address | .region // .region_code"},
				{To: "billing_postal_code", From: ".address | .postal_code // .zip_code"}, {To: "billing_country", From: ".address | .country_code // .country"},
				{To: "sales_rep_name", From: `[.owner.first, .owner.last | strings] | select(length > 0) | join(" ")`}, {To: "sales_rep_email", From: ".owner.email"},
			}}},
		},
		{
			Name: "contacts", Title: "Contacts",
			Request: keapList("/rest/v2/contacts", "start_update_time", "id,given_name,family_name,preferred_name,prefix,job_title,contact_type,company,email_addresses,phone_numbers,addresses,custom_fields,create_time,update_time", 1000),
			Paging:  connector.NextToken(".next_page_token"), Items: ".contacts[]", ID: ".id", Label: keapSlot("email_addresses", "EMAIL1", "email"), Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Via: "companies", Key: ".company.id"}},
			Feeds: []connector.Feed{
				{Family: "account_contacts", Fields: keapPerson},
				{Family: "account_users", Optional: true, Fields: append(keapPerson[:len(keapPerson):len(keapPerson)], connector.Field{To: "product_join_date", From: ".create_time | time"})},
			},
		},
		{
			Name: "notes", Title: "Notes", Request: keapList("/rest/v2/notes", "since_time", "", 1000),
			Paging: connector.NextToken(".next_page_token"), Items: ".notes[]", ID: ".id", Label: ".title", Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Via: "contacts", Key: ".contact_id"}},
			Joins:   []connector.Join{{As: "author", Stream: "users", Key: ".assigned_to_user.id // .created_by_user_id"}},
			Feeds: []connector.Feed{{Family: "notes", Fields: []connector.Field{
				{To: "external_id", From: ".id"}, {To: "create_time", From: ".create_time | time"},
				{To: "subject", From: `[.type, .title | strings | select(. != "")] | select(length > 0) | join(": ")`}, {To: "note", From: ".text"},
				{To: "rep_email", From: ".author.email // .assigned_to_user.email_address"},
				{To: "editor_first_name", From: ".author.first // .assigned_to_user.given_name"},
				{To: "editor_last_name", From: ".author.last // .assigned_to_user.family_name"},
			}}},
		},
		{
			Name: "tasks", Title: "Tasks", Doc: "What has been completed: calls, meetings and the like.", Request: keapList("/rest/v2/tasks", "since_time", "", 1000),
			Paging: connector.NextToken(".next_page_token"), Items: ".tasks[]", ID: ".id", Label: ".title", Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Via: "contacts", Key: ".contact_id"}},
			Joins:   []connector.Join{{As: "rep", Stream: "users", Key: ".assigned_to_user_id // .created_by_user_id"}},
			Feeds: []connector.Feed{{Family: "interactions", When: ".completed == true", Fields: []connector.Field{
				{To: "external_id", From: ".id"}, {To: "type", From: `.type // "TASK"`}, {To: "create_time", From: "(.completion_time // .create_time) | time"},
				{To: "subject", From: ".title"}, {To: "details", From: ".description"}, {To: "user_id", From: ".contact_id"}, {To: "rep_email", From: ".rep.email"},
				{To: "rep_first_name", From: ".rep.first"}, {To: "rep_last_name", From: ".rep.last"},
			}}},
		},
		{
			Name: "subscriptions", Title: "Subscriptions", // there is no filter by time
			Request: connector.Request{Path: "/rest/v2/subscriptions", Query: "{page_size: 1000, page_token: $page}"},
			Paging:  connector.NextToken(".next_page_token"), Items: ".subscriptions[]", ID: ".id", Passing: true,
			Account: []connector.Route{{Via: "contacts", Key: ".contact_id"}}, Currency: "$settings.currency",
			Feeds: []connector.Feed{{Family: "subscriptions", Fields: []connector.Field{
				{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`}, {To: "effective_start_date", From: ".start_date | date"},
				{To: "effective_end_date", From: "if .active == false then [(.end_date | date), (.modification_time | time) | values] | min else null end"},
				{To: "total_revenue", From: keapTimes + " * " + keapAmount(".billing_amount", "subscription_unit")},
				{To: "cycle_unit", From: `.billing_cycle | {YEAR: "year", MONTH: "month", WEEK: "day", DAY: "day"}[.] // error("the billing cycle \(.) is not known")`},
				{To: "cycle_length", From: `. as $subscription | ` + keapEvery + ` * (if .billing_cycle == "WEEK" then 7 else 1 end)`},
				{To: "next_renewal_date", From: "if .active == false then null else .next_bill_date | date end"},
				{To: "plan_code", From: ".subscription_plan_id // .product_id"},
			}}},
		},
		{
			Name: "orders", Title: "Orders", Doc: "A paid order counts as paid when it was changed last, unless its payments are read as well.",
			Request: keapList(keapOrder, "modified_since_time", "", 1000), Paging: connector.NextToken(".next_page_token"), Items: ".orders[]", ID: ".id", Label: ".title", Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Via: "contacts", Key: ".contact.id"}}, Currency: ".total.currency_code",
			Feeds: []connector.Feed{{Family: "statements", When: `.status != "DRAFT"`, Fields: []connector.Field{
				{To: "invoice_id", From: ".id"}, {To: "start_date", From: "(.order_time // .creation_time) | time"}, {To: "due_date", From: ".due_time | time"},
				{To: "paid_date", From: `if .status == "PAID" then .modification_time | time else null end`}, {To: "line_items", From: keapLines},
				{To: "non_recurring", From: "if (.order_items // []) == [] then minor(.total.amount; .total.currency_code) else null end"},
			}}},
		},
		{
			Name: "order_payments", Title: "Payments of orders", Doc: "One more request for each order that has changed.", Optional: true,
			Request: keapList(keapOrder, "modified_since_time", "", 50), Paging: connector.NextToken(".next_page_token"), Items: ".orders[]", ID: ".id", Label: ".title", Incremental: true, Overlap: overlap,
			Details: []connector.Detail{{Request: connector.Request{Path: `/rest/v2/orders/\(.id)/payments`, Query: "{page_token: $page}"}, Paging: connector.NextToken(".next_page_token"), Items: ".invoice_order_payments[]", Into: "payments"}},
			Account: []connector.Route{{Via: "contacts", Key: ".contact.id"}}, Currency: "$settings.currency",
			Feeds: []connector.Feed{{Family: "statements", When: `.status != "DRAFT" and .payments != []`, Fields: []connector.Field{
				{To: "invoice_id", From: ".id"}, {To: "start_date", From: "(.order_time // .creation_time) | time"},
				{To: "is_failed", From: keapPaid + ` == [] and any(.payments[]; .pay_status == "FAILED" or .pay_status == "ERROR")`},
				{To: "transactions", From: keapPaid + " | map({tx_id: .id, paid_date: (.pay_time | time), paid_amount: " + keapAmount(".amount", "payment_unit") + "}) | select(length > 0)"},
			}}},
		},
	},
}
