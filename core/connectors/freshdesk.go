package connectors

import (
	"time"

	"tenure/core/connector"
)

const (
	freshdeskPriority = `{"1": "low", "2": "medium", "3": "high", "4": "urgent"}[.priority | tostring]`
	// Custom states have the numbers from 6 on; their names are in the ticket fields.
	freshdeskState = `(.status | tostring) as $n | {"2": "open", "3": "pending", "4": "resolved", "5": "closed"}[$n] // ($facts.states[$n] // $n)`
	// What the scale of ratings is, is not confirmed: it is read as the numbers are
	// known to be, and another number is an error.
	freshdeskRating = `(.ratings.default_question // error("the rating has no answer to the default question"))`
)

// freshdeskTickets reads tickets that are in a state of their own: the usual list
// has neither those that are deleted nor spam.
func freshdeskTickets(filter string) connector.Request {
	return connector.Request{Path: "/tickets", Query: `{per_page: 100, page: ($page // 1), order_by: "updated_at", order_type: "asc", updated_since: (if $since then $since | iso else "2000-01-01T00:00:00Z" end)` + filter + `}`}
}

// freshdeskPages are at most 300; before they end, the list is asked for anew.
var freshdeskPages = connector.Paging{Next: `if $links.next == null or $count == 0 then null else ($page // 1) + 1 end`, MaxPages: 290, Restart: "$last.updated_at | time"}

var freshdesk = &connector.Connector{
	Name: "freshdesk", Title: "Freshdesk", Kind: connector.Support,
	Doc:   "Companies, contacts, tickets, conversations and satisfaction ratings. The API key is that of an agent who sees all tickets.",
	Base:  `"https://\($settings.domain).freshdesk.com/api/v2"`,
	Hosts: []string{"*.freshdesk.com"},
	Settings: []connector.Setting{
		{Name: "domain", Title: "Domain", Doc: "the first part of the address, such as acme", Required: true, Pattern: `[a-z0-9][a-z0-9-]*`},
		{Name: "account_field", Title: "Custom field of the account_id", Doc: "the API name of a company's custom field", Pattern: `[a-z0-9_]+`, Default: "account_id"},
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "API key",
		Settings: []connector.Setting{{Name: "api_key", Title: "API key", Doc: "from the agent's profile settings", Secret: true, Required: true}},
		Headers:  map[string]string{"Authorization": `"Basic " + ("\(.api_key):X" | @base64)`}}},
	// The lists of tickets and contacts of the lowest plan have 20 a minute; what comes
	// with a ticket costs more.
	Limits: connector.Limits{Requests: 20, Per: time.Minute, Pause: time.Minute},
	Errors: connector.Errors{Message: `.message // .description`},
	Check:  connector.Request{Path: "/agents/me"},

	AccountField: "support_account_id",
	Locations: []connector.Location{
		{Name: "custom_field", Title: "Custom field of companies", Doc: "A custom field of the company, typically sent from your product.", Best: true, Stream: "companies", Path: ".custom_fields[$settings.account_field]?", By: connector.ByAccountID},
		{Name: "id", Title: "ID of companies", Doc: "The account has the company's id as its support_account_id.", Stream: "companies", Path: ".id", By: connector.ByNativeID},
		{Name: "email", Title: "E-mail of contacts", Doc: "An address of one of the account's users or contacts; entered by hand.", Stream: "contacts", Path: ".email", By: connector.ByEmail},
	},
	Facts: []connector.Fact{{Name: "states", Request: connector.Request{Path: "/ticket_fields"},
		Pick: `[.[] | select(.name == "status") | .choices // {} | to_entries[] | {key, value: (.value | if type == "array" then .[0] else tostring end)}] | from_entries`}},
	Streams: []connector.Stream{
		{
			Name: "agents", Title: "Agents", Passing: true, ID: ".id", Label: ".contact.name", Keep: "{email: .contact.email, name: .contact.name}",
			Request: connector.Request{Path: "/agents", Query: "{per_page: 100, page: ($page // 1)}"}, Paging: freshdeskAll, Items: ".[]",
		},
		{
			Name: "companies", Title: "Companies", Accounts: true, Passing: true, ID: ".id", Label: ".name", Keep: "{name}",
			Request: connector.Request{Path: "/companies", Query: "{per_page: 100, page: ($page // 1)}"}, Paging: freshdeskAll, Items: ".[]",
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "name", From: ".name"}, {To: "join_date", From: ".created_at | time"}, {To: "support_account_id", From: ".id", Attach: true}, {To: "description", From: ".description"},
				{To: "industry", From: ".industry"}, {To: "tier", From: ".account_tier"}, {To: "renewal_date", From: ".renewal_date | time"}, {To: "website", From: ".domains[0]?"},
			}}},
		},
		{
			Name: "contacts", Title: "Contacts", Incremental: true, Overlap: overlap, ID: ".id", Label: ".name", Keep: "{email, name}", Deleted: ".deleted == true",
			Request: connector.Request{Path: "/contacts", Query: "{per_page: 100, page: ($page // 1), _updated_since: ($since | iso)}"}, Paging: freshdeskAll, Items: ".[]",
			Account: []connector.Route{{Via: "companies", Key: ".company_id"}},
			Feeds: []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
				{To: "user_id", From: ".id"}, {To: "first_name", From: first("null; null; .name; .email")}, {To: "last_name", From: last("null; null; .name; .email")}, {To: "email", From: ".email"},
				{To: "phone", From: ".phone"}, {To: "mobile_phone", From: ".mobile"}, {To: "title", From: ".job_title"},
			}}},
		},
		{
			Name: "deleted_contacts", Title: "Deleted contacts", Passing: true, Deletes: "contacts", ID: ".id",
			Request: connector.Request{Path: "/contacts", Query: `{per_page: 100, page: ($page // 1), state: "deleted"}`}, Paging: freshdeskAll, Items: ".[]",
		},
		{
			Name: "tickets", Title: "Tickets", Incremental: true, Overlap: overlap, ID: ".id", Label: ".subject", Deleted: ".deleted == true or .spam == true", Keep: "{subject}",
			Request: freshdeskTickets(`, include: "requester,stats,description"`), Paging: freshdeskPages, Items: ".[]",
			Account: []connector.Route{{Via: "companies", Key: ".company_id"}, {Via: "contacts", Key: ".requester_id"}, {Path: ".requester.email?", By: connector.ByEmail}},
			Joins:   []connector.Join{{As: "agent", Stream: "agents", Key: ".responder_id"}},
			Details: []connector.Detail{{For: "interactions", Request: connector.Request{Path: `/tickets/\(.id)/conversations`, Query: "{per_page: 100, page: ($page // 1)}"}, Paging: freshdeskAll, Items: ".[]", Into: "conversations"}},
			Feeds: []connector.Feed{
				{Family: "support_tickets", Fields: []connector.Field{
					{To: "ticket_id", From: ".id"}, {To: "assignee_id", From: ".responder_id"}, {To: "assignee_email", From: ".agent.email?"}, {To: "type", From: ".type"}, {To: "state", From: freshdeskState},
					{To: "priority", From: freshdeskPriority}, {To: "create_time", From: ".created_at | time"}, {To: "close_time", From: "(.stats.closed_at // .stats.resolved_at) | time"},
					{To: "last_update_time", From: ".updated_at | time"}, {To: "subject", From: `.subject | if (. // "") == "" then "(no subject)" else . end`},
					{To: "description", From: ".description_text // (.description | plain)"},
				}},
				{Family: "interactions", Optional: true, Each: ".conversations[]? | select(.private != true)", Fields: []connector.Field{
					{To: "external_id", From: ".id"}, {To: "type", From: `"ticket"`}, {To: "create_time", From: ".created_at | time"}, {To: "subject", From: "$record.subject"}, {To: "user", From: ".from_email"},
					{To: "details", From: ".body_text // .body"}, {To: "is_html", From: ".body_text == null"},
				}},
			},
		},
		{
			Name: "deleted_tickets", Title: "Deleted tickets", Incremental: true, Overlap: overlap, Deletes: "tickets", ID: ".id",
			Request: freshdeskTickets(`, filter: "deleted"`), Paging: freshdeskPages, Items: ".[]",
		},
		{
			Name: "spam", Title: "Spam", Incremental: true, Overlap: overlap, Deletes: "tickets", ID: ".id",
			Request: freshdeskTickets(`, filter: "spam"`), Paging: freshdeskPages, Items: ".[]",
		},
		{
			Name: "ratings", Title: "Satisfaction ratings", Optional: true, Incremental: true, Overlap: overlap, ID: ".id",
			Request: connector.Request{Path: "/surveys/satisfaction_ratings", Query: `{per_page: 100, page: ($page // 1), created_since: (if $since then $since | iso else "2000-01-01T00:00:00Z" end)}`}, Paging: freshdeskAll, Items: ".[]",
			Account: []connector.Route{{Via: "tickets", Key: ".ticket_id"}},
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: ".ticket_id"}, {To: "csat_value", From: freshdeskRating},
				{To: "csat_label", From: freshdeskRating + ` | if . < -103 or . > 103 then error("the scale of ratings is not as it is known to be") elif . > 100 then "good" elif . == 100 then "neutral" elif . < 0 then "bad" else error("the scale of ratings is not as it is known to be") end`},
			}}},
		},
	},
}

var freshdeskAll = connector.Paging{Next: `if $links.next == null or $count == 0 then null else ($page // 1) + 1 end`}
