package connectors

import (
	"time"

	"tenure/core/connector"
)

// Which lines of an invoice recur.
const recurlyRecurring = `(.origin | IN("plan", "plan_trial", "add_on", "add_on_trial"))`

var recurly = &connector.Connector{
	Name: "recurly", Title: "Recurly", Kind: connector.Financial,
	Doc:     "Accounts, subscriptions, invoices and notes. A read-only private API key is enough; the key decides the site.",
	Base:    `"https://\({US: "v3.recurly.com", EU: "v3.eu.recurly.com"}[$settings.region])"`,
	Hosts:   []string{"v3.recurly.com", "v3.eu.recurly.com"},
	Headers: map[string]string{"Accept": `"application/vnd.recurly.v2021-02-25"`},
	Settings: []connector.Setting{
		{Name: "region", Title: "Data centre", Doc: "where the site is", Choices: []string{"US", "EU"}, Default: "US"},
		{Name: "account_field", Title: "Custom field of the account_id", Doc: "the name of an account's custom field", Default: "account_id"},
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "Private API key",
		Settings: []connector.Setting{{Name: "api_key", Title: "Private API key", Doc: "from Integrations, API Credentials", Secret: true, Required: true}},
		Headers:  map[string]string{"Authorization": `"Basic " + ("\(.api_key):" | @base64)`}}},
	// 400 a minute are a sandbox's.
	Limits: connector.Limits{Requests: 350, Per: time.Minute, Pause: 30 * time.Second, Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset"},
	Errors: connector.Errors{Message: ".error.message"},
	Check:  connector.Request{Path: "/accounts", Query: "{limit: 1}"},

	AccountField: "billing_account_id",
	Locations: []connector.Location{
		{Name: "code", Title: "Account code", Doc: "The account's code: create accounts in your System of Record first, and in Recurly by it.", Best: true, Stream: "accounts", Path: ".code", By: connector.ByAccountID},
		{Name: "custom_field", Title: "Custom field of accounts", Doc: "A custom field of the account, typically sent from your product.", Best: true, Stream: "accounts",
			Path: "first(.custom_fields[]? | select(.name == $settings.account_field) | .value)", By: connector.ByAccountID},
		{Name: "email", Title: "E-mail of accounts", Doc: "An address of one of the account's users or contacts; entered by hand.", Stream: "accounts", Path: ".email | email", By: connector.ByEmail},
	},
	Streams: []connector.Stream{
		{
			Name: "plans", Title: "Plans", Passing: true, ID: ".id", Label: ".name", Keep: "{code, interval_unit, interval_length}",
			Request: connector.Request{Path: "/plans", Query: "{limit: 200}"}, Paging: recurlyNext, Items: ".data[]",
		},
		{
			Name: "accounts", Title: "Accounts", Doc: "Notes are looked at when their account changes, or all of them are read.", Accounts: true, Incremental: true, Overlap: overlap, ID: ".id", Label: ".company // .code", Keep: "{code, email}",
			Request: connector.Request{Path: "/accounts", Query: recurlyPage}, Paging: recurlyNext, Items: ".data[]", Deleted: ".deleted_at != null",
			Details: []connector.Detail{{For: "notes", Request: connector.Request{Path: `/accounts/\(.id)/notes`}, Paging: recurlyNext, Items: ".data[]", Into: "notes"}},
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: payer(".company", ".code")},
					{To: "join_date", From: ".created_at | time"}, {To: "billing_account_id", From: ".id", Attach: true},
					{To: "billing_street", From: recurlyStreet}, {To: "billing_city", From: ".address.city?"}, {To: "billing_postal_code", From: ".address.postal_code?"},
					{To: "billing_state", From: ".address.region?"}, {To: "billing_country", From: ".address.country?"}, {To: "phone", From: ".address.phone?"},
				}},
				{Family: "account_contacts", When: `(.email // "") != ""`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".first_name; .last_name; null; .email")}, {To: "last_name", From: last(".first_name; .last_name; null; .email")},
					{To: "email", From: ".email | email"}, {To: "phone", From: ".address.phone?"}, {To: "mailing_street", From: recurlyStreet}, {To: "mailing_city", From: ".address.city?"},
					{To: "mailing_state", From: ".address.region?"}, {To: "mailing_postal_code", From: ".address.postal_code?"}, {To: "mailing_country", From: ".address.country?"},
					{To: "is_primary", From: "true"},
				}},
				{Family: "notes", Optional: true, Each: ".notes[]?", Fields: []connector.Field{
					{To: "external_id", From: ".id"}, {To: "create_time", From: ".created_at | time"}, {To: "rep_email", From: ".user.email?"}, {To: "subject", From: `"Note in Recurly"`},
					{To: "editor_first_name", From: ".user.first_name?"}, {To: "editor_last_name", From: ".user.last_name?"}, {To: "note", From: ".message"},
				}},
			},
		},
		{
			Name: "subscriptions", Title: "Subscriptions", Incremental: true, Overlap: overlap, ID: ".id", Label: ".uuid", Currency: ".currency",
			Request: connector.Request{Path: "/subscriptions", Query: recurlyPage}, Paging: recurlyNext, Items: ".data[]",
			Account: []connector.Route{{Via: "accounts", Key: ".account.id"}},
			Joins:   []connector.Join{{As: "interval", Stream: "plans", Key: ".plan.id"}},
			Feeds: []connector.Feed{{Family: "subscriptions", When: `.state != "failed"`, Fields: []connector.Field{
				{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`},
				{To: "effective_start_date", From: `(.trial_ends_at // .activated_at // if .state == "future" then .current_term_started_at // .current_period_started_at // error("when the subscription will start is not told") else .created_at end) | time`},
				// A canceled subscription goes on until it expires.
				{To: "effective_end_date", From: ".expires_at | time"},
				{To: "total_revenue", From: "major(.subtotal; .currency)"},
				{To: "cycle_unit", From: `{days: "day", months: "month"}[.interval.interval_unit // ""] // error("the plan of the subscription is not known")`},
				{To: "cycle_length", From: ".interval.interval_length"},
				{To: "next_renewal_date", From: `if .auto_renew == false or .state == "canceled" or .state == "expired" then null else .current_term_ends_at // .current_period_ends_at | time end`},
				{To: "plan_code", From: ".plan.code"},
			}}},
		},
		{
			Name: "invoices", Title: "Invoices", Incremental: true, Overlap: overlap, ID: ".id", Label: ".number", Currency: ".currency",
			Request: connector.Request{Path: "/invoices", Query: recurlyPage}, Paging: recurlyNext, Items: ".data[]",
			Account: []connector.Route{{Via: "accounts", Key: ".account.id"}},
			Details: []connector.Detail{{When: ".has_more_line_items == true", Request: connector.Request{Path: `/invoices/\(.id)/line_items`, Query: "{limit: 200}"}, Paging: recurlyNext, Items: ".data[]", Into: "line_items"}},
			Deleted: `.state == "voided"`,
			// Credits are no revenue.
			Feeds: []connector.Feed{{Family: "statements", When: `.type != "credit" and .state != "voided"`, Fields: []connector.Field{
				{To: "invoice_id", From: ".id"}, {To: "start_date", From: ".created_at | time"}, {To: "due_date", From: ".due_at | time"},
				{To: "paid_date", From: `if (.state | IN("paid", "closed")) and ((.balance // 0 | tonumber) == 0) then .closed_at | time else null end`},
				{To: "is_failed", From: `.state | IN("failed", "past_due")`},
				{To: "line_items", From: `.currency as $c | [.line_items[]? | {amount: major(.amount; $c), is_recurring: ` + recurlyRecurring + `, description}]`},
				{To: "transactions", From: `.currency as $c | [.transactions[]? | select(.status == "success" and .type == "purchase")
					| {tx_id: .id, paid_amount: major(.amount; .currency // $c), paid_date: ((.collected_at // .created_at) | time)}] | if length > 1 then . else null end`},
			}}},
		},
	},
}

// recurlyStreet is an address's street in one line.
const recurlyStreet = `[.address | .street1?, .street2? | strings | select(. != "")] | if length == 0 then null else join(", ") end`

const recurlyPage = `{limit: 200, sort: "updated_at", order: "asc", begin_time: ($since | iso)}`

var recurlyNext = connector.NextLink("if .has_more then .next else null end")
