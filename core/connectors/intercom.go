package connectors

import (
	"time"

	"tenure/core/connector"
)

// intercomSearch reads a list by a search for what was updated. Times of contacts are
// matched by whole days of the workspace's zone, so windows overlap by two days.
func intercomSearch(path string) connector.Request {
	return connector.Request{Method: "POST", Path: path, Body: `{query: {operator: "AND", value: [{field: "updated_at", operator: ">", value: (if $since then $since | unix else 0 end)}]},
		sort: {field: "updated_at", order: "ascending"}, pagination: ({per_page: 150, starting_after: $page} | with_entries(select(.value != null)))}`}
}

const intercomOverlap = 48 * time.Hour

var (
	intercomNext = connector.NextToken(".pages.next.starting_after?")
	// Which of several companies a contact belongs to is not guessed at.
	intercomCompany = `[.companies.data[]?.id] | if length == 1 then .[0] elif length > 1 then (if $settings.several == "first" then .[0] else null end) else null end`
)

var intercom = &connector.Connector{
	Name: "intercom", Title: "Intercom", Kind: connector.Interactions,
	Doc:     "Companies, users and leads, conversations, tickets and notes of one workspace. Companies without users are not listed by Intercom.",
	Base:    `"https://\({US: "api.intercom.io", EU: "api.eu.intercom.io", AU: "api.au.intercom.io"}[$settings.region])"`,
	Hosts:   []string{"api.intercom.io", "api.eu.intercom.io", "api.au.intercom.io", "app.intercom.com"},
	Headers: map[string]string{"Intercom-Version": `"2.15"`},
	Settings: []connector.Setting{
		{Name: "region", Title: "Region", Doc: "where the workspace is; another one refuses the token", Choices: []string{"US", "EU", "AU"}, Default: "US"},
		{Name: "account_key", Title: "Attribute of the account_id", Doc: "the custom attribute of users that holds the account_id", Default: "account_id"},
		{Name: "several", Title: "Users in several companies", Doc: "report: they find no account; first: they belong to the first one", Choices: []string{"report", "first"}, Default: "report"},
		{Name: "parts", Title: "Parts of conversations", Doc: "whether all messages are read, not the first alone: one request for each conversation that changes", Choices: []string{"no", "yes"}, Default: "no"},
		{Name: "spend", Title: "Monthly spend", Doc: "what a company's monthly spend is counted in; Intercom does not say", Choices: []string{"unknown", "units", "cents"}, Default: "unknown"},
	},
	Auth: []connector.Auth{
		{Name: "access_token", Title: "Access token",
			Settings: []connector.Setting{{Name: "access_token", Title: "Access token", Doc: "from the Developer Hub, for your own workspace", Secret: true, Required: true}},
			Headers:  map[string]string{"Authorization": `"Bearer " + .access_token`}},
		{Name: "oauth", Title: "OAuth",
			Settings: []connector.Setting{
				{Name: "client_id", Title: "Client ID", Doc: "of your app", Required: true},
				{Name: "client_secret", Title: "Client secret", Doc: "of your app", Secret: true, Required: true},
			},
			Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
			OAuth:   &connector.OAuth{Grant: connector.AuthorizationCode, AuthorizeURL: `"https://app.intercom.com/oauth"`, TokenURL: `"https://api.intercom.io/auth/eagle/token"`}},
	},
	Limits: connector.Limits{Requests: 100, Per: 10 * time.Second, Pause: 10 * time.Second, Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset"},
	Errors: connector.Errors{Message: `first(.errors[]?.message) // null`},
	Check:  connector.Request{Path: "/me"},

	AccountField: "billing_account_id",
	Locations: []connector.Location{
		{Name: "company_id", Title: "company_id of companies", Doc: "Your own id of the company, typically sent from your product.", Best: true, Stream: "companies", Path: ".company_id", By: connector.ByAccountID},
		{Name: "attribute", Title: "Custom attribute of users", Doc: "A custom attribute of the user, typically sent from your product.", Best: false, Stream: "contacts", Path: ".custom_attributes[$settings.account_key]?", By: connector.ByAccountID},
	},
	Streams: []connector.Stream{
		{
			Name: "companies", Title: "Companies", Accounts: true, Passing: true, ID: ".id", Label: ".name", Keep: "{name, company_id}",
			Request: connector.Request{Path: "/companies/scroll", Query: "{scroll_param: $page}"}, Paging: connector.NextToken("if $count == 0 then null else .scroll_param end"), Items: ".data[]",
			Details: []connector.Detail{{For: "notes", Request: connector.Request{Path: `/companies/\(.id)/notes`}, Items: ".data[]?", Into: "notes"}},
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: ".name // .company_id"}, {To: "join_date", From: "(.remote_created_at // .created_at) | seconds"}, {To: "employees", From: ".size"}, {To: "industry", From: ".industry"},
					{To: "website", From: ".website"}, {To: "tier", From: ".plan.name?"},
					{To: "custom_value_dimensions.intercom_monthly_spend_cents", From: `if $settings.spend == "units" then major(.monthly_spend; null) elif $settings.spend == "cents" then minor(.monthly_spend; null) else null end`},
				}},
				{Family: "notes", Optional: true, Each: ".notes[]?", Fields: intercomNotes},
			},
		},
		{
			Name: "contacts", Title: "Users and leads", Incremental: true, Overlap: intercomOverlap, ID: ".id", Label: ".name // .email", Keep: "{email, name, external_id}",
			Request: intercomSearch("/contacts/search"), Paging: intercomNext, Items: ".data[]",
			Details: []connector.Detail{
				{When: ".companies.has_more == true", Request: connector.Request{Path: `/contacts/\(.id)/companies`, Query: "{per_page: 50, page: ($page // 1)}"}, Paging: connector.Paging{Next: "if .pages.page? and .pages.page < .pages.total_pages then .pages.page + 1 else null end"}, Items: ".data[]?", Into: "companies.data"},
				{For: "notes", Request: connector.Request{Path: `/contacts/\(.id)/notes`}, Items: ".data[]?", Into: "notes"},
			},
			Account: []connector.Route{{Via: "companies", Key: intercomCompany}},
			Feeds: []connector.Feed{
				{Family: "account_users", When: `.role == "user"`, Fields: []connector.Field{
					{To: "user_id", From: ".external_id // .id"}, {To: "first_name", From: first("null; null; .name; .email")}, {To: "last_name", From: last("null; null; .name; .email")},
					{To: "product_join_date", From: "(.signed_up_at // .created_at) | seconds"}, {To: "phone", From: ".phone"}, {To: "email", From: ".email"},
				}},
				{Family: "account_contacts", When: `.role == "lead"`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first("null; null; .name; .email")}, {To: "last_name", From: last("null; null; .name; .email")}, {To: "phone", From: ".phone"}, {To: "email", From: ".email"},
				}},
				{Family: "notes", Optional: true, Each: ".notes[]?", Fields: intercomNotes},
			},
		},
		{
			Name: "conversations", Title: "Conversations", Incremental: true, Overlap: intercomOverlap, ID: ".id", Label: ".title // .source.subject",
			Request: intercomSearch("/conversations/search"), Paging: connector.NextToken(".pages.next.starting_after?"), Items: ".conversations[]",
			Account: []connector.Route{{Via: "contacts", Key: "first(.contacts.contacts[]?.id) // null"}},
			Details: []connector.Detail{{When: `$settings.parts == "yes"`, Request: connector.Request{Path: `/conversations/\(.id)`, Query: `{display_as: "html"}`}, Items: ".conversation_parts.conversation_parts[]?", Into: "parts"}},
			Feeds: []connector.Feed{{Family: "interactions", Each: `{id: (.id | tostring), created_at, author: .source.author, body: .source.body}, (.id as $id | .parts[]? | select(.body != null and .part_type == "comment") | {id: "\($id)-\(.id)", created_at, author, body})`, Fields: []connector.Field{
				{To: "external_id", From: ".id"}, {To: "type", From: `"chat"`}, {To: "create_time", From: ".created_at | seconds"}, {To: "subject", From: `$record | (.title // .source.subject) | if . == null or . == "" then null else plain end`},
				{To: "user_id", From: "$record.contacts.contacts[0]? | .external_id? // .id?"}, {To: "user", From: ".author.email? // .author.name?"},
				{To: "rep_email", From: `if (.author.type? // "" | IN("admin", "team")) then .author.email? else null end`}, {To: "details", From: ".body"}, {To: "is_html", From: "true"},
			}}},
		},
		{
			Name: "tickets", Title: "Tickets", Incremental: true, Overlap: intercomOverlap, ID: ".id", Label: ".ticket_attributes._default_title_?",
			Request: intercomSearch("/tickets/search"), Paging: intercomNext, Items: ".tickets[]",
			Account: []connector.Route{{Via: "contacts", Key: "first(.contacts.contacts[]?.id) // null"}},
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: ".ticket_id // .id"}, {To: "assignee_id", From: ".admin_assignee_id"}, {To: "type", From: ".ticket_type.name?"},
				{To: "state", From: `.ticket_state | if type == "object" then (.category // .internal_label) else . end`},
				{To: "create_time", From: ".created_at | seconds"}, {To: "last_update_time", From: ".updated_at | seconds"},
				{To: "close_time", From: `if .open == false or (.ticket_state | if type == "object" then .category else . end) == "resolved" then .updated_at | seconds else null end`},
				{To: "subject", From: `.ticket_attributes._default_title_? | if (. // "") == "" then "(no subject)" else . end`}, {To: "description", From: ".ticket_attributes._default_description_? | plain"},
			}}},
		},
	},
}

var intercomNotes = []connector.Field{
	{To: "external_id", From: ".id"}, {To: "create_time", From: ".created_at | seconds"}, {To: "rep_email", From: ".author.email?"}, {To: "subject", From: `"Note in Intercom"`}, {To: "note", From: ".body | plain"},
}
