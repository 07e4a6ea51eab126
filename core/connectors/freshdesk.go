package connectors

import (
	"time"

	"tenure/core/connector"
)

const (
	freshdeskList = `if type == "array" then .[] else error("the answer is no list") end`
	// freshdeskStatus is a definition: status is what a ticket's number means. Numbers
	// from 6 on are the helpdesk's own.
	freshdeskStatus = `def status: (.status | text) as $n | {"2": "Open", "3": "Pending", "4": "Resolved", "5": "Closed"}[$n]
		// ($facts.statuses[$n]? | if type == "array" then .[0] else . end) // "Status \($n)"; `
	freshdeskOpen = `"2000-01-01T00:00:00Z"`
	// freshdeskPace is how far lists of tickets and contacts are apart: the smallest plan
	// allows 20 of each in a minute.
	freshdeskPace = 3300 * time.Millisecond
)

// freshdeskTickets is a list of tickets in the order of their changes. Pages are not
// counted on to the 300th, beyond which there are none, and past tickets that change
// meanwhile; after each page, the list is asked for anew from the last ticket's time
// on, less a second, and what was on the page is left out.
func freshdeskTickets(st connector.Stream, more string) connector.Stream {
	st.Request = connector.Request{Path: "/tickets", Query: `{updated_since: (($page.from // $since | iso) // ` + freshdeskOpen + `), order_by: "updated_at", order_type: "asc", per_page: 100, page: ($page.number // 1)} + ` + more}
	st.Items = `if type == "array" then .[] else error("the answer is no list") end | select("\(.id) \(.updated_at)" as $mark | $page.met // [] | index($mark) == null)`
	st.Paging = connector.Paging{Next: `if $links.next == null then null else ((.[-1].updated_at | time) - 1000) as $from
		| if $page == null or $from > $page.from then {from: $from, number: 1, met: [.[] | select((.updated_at | time) >= $from) | "\(.id) \(.updated_at)"]}
		  else $page + {number: ($page.number + 1)} end end`}
	st.ID, st.Label, st.Incremental, st.Overlap, st.Pace = ".id", ".subject", true, overlap, freshdeskPace
	return st
}

var (
	freshdeskAccount  = []connector.Route{{Via: "companies", Key: ".company_id"}, {Via: "contacts", Key: ".requester_id"}}
	freshdeskStatuses = []connector.Fact{{Name: "statuses", Request: connector.Request{Path: "/ticket_fields"}, Pick: `[.[] | select(.name == "status") | .choices | objects][0] // {}`}}
	freshdeskAgent    = connector.Join{As: "agent", Stream: "agents", Key: ".responder_id"}
)

var freshdesk = &connector.Connector{
	Name: "freshdesk", Title: "Freshdesk", Kind: connector.Support,
	Doc: "Companies, contacts and tickets of Freshdesk. The key must be an administrator's, as agents and fields are for administrators.",
	Settings: []connector.Setting{
		{Name: "domain", Title: "Domain", Doc: "What stands before .freshdesk.com.", Required: true, Pattern: `[a-z0-9][a-z0-9-]*`},
		{Name: "account_field", Title: "Field of the account_id", Doc: "The name of the companies' custom field that holds the account_id, as the API has it.", Pattern: `\w+`},
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "API key", Settings: []connector.Setting{
		{Name: "api_key", Title: "API key", Doc: "The key in the profile settings of an administrator.", Required: true, Secret: true},
	}, Headers: map[string]string{"Authorization": `"Basic " + ("\(.api_key):X" | @base64)`}}},
	Base:  `"https://\($settings.domain).freshdesk.com/api/v2"`,
	Hosts: []string{"*.freshdesk.com"},
	// The smallest plan allows 200 requests a minute; what is included counts as well.
	Limits:    connector.Limits{Requests: 100, Per: time.Minute, Pause: time.Minute},
	Errors:    connector.Errors{Message: `[.description, .message, (.errors[]? | objects | "\(.field): \(.message)")] | map(strings) | join("; ")`},
	Check:     connector.Request{Path: "/company_fields"},
	CheckThat: `$settings.account_field as $name | if $name == null or any(.[]; .name == $name) then null else "companies have no field \($name)" end`,

	AccountField: "support_account_id",
	Locations: []connector.Location{
		{Name: "account_field", Title: "Custom field of companies", Doc: "A custom field of companies, typically filled from your product.", Best: true, Stream: "companies", Path: "if $settings.account_field then .custom_fields[$settings.account_field] else null end", By: connector.ByAccountID},
		{Name: "email", Title: "E-mail of contacts", Doc: "If all e-mail addresses exist among the users and contacts of accounts. It is entered by hand.", Stream: "contacts", Path: ".email | email", By: connector.ByEmail},
	},
	Streams: []connector.Stream{
		{
			Name: "agents", Title: "Agents", Doc: "Names and e-mail addresses of those whom tickets are assigned to.",
			Request: connector.Request{Path: "/agents", Query: "{per_page: 100}"}, Paging: connector.LinkHeader(), Items: freshdeskList, ID: ".id", Label: ".contact.email",
			Passing: true, Keep: "{email: (.contact.email | email), name: .contact.name}",
		},
		{
			Name: "companies", Title: "Companies", Accounts: true,
			Request: connector.Request{Path: "/companies", Query: "{per_page: 100}"}, Paging: connector.LinkHeader(), Items: freshdeskList, ID: ".id", Label: ".name", Passing: true,
			Account: []connector.Route{{Path: ".id", By: connector.BySupportID}},
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "support_account_id", From: ".id", Attach: true}, {To: "name", From: ".name"}, {To: "join_date", From: ".created_at | time"}, {To: "renewal_date", From: ".renewal_date | time"},
				{To: "tier", From: ".account_tier"}, {To: "industry", From: ".industry"}, {To: "description", From: ".description"},
			}}},
		},
		{
			Name: "contacts", Title: "Contacts",
			Request: connector.Request{Path: "/contacts", Query: `{_updated_since: ($since | iso), per_page: 100}`}, Paging: connector.LinkHeader(), Items: freshdeskList, ID: ".id", Label: ".email // .name",
			Incremental: true, Overlap: overlap, Pace: freshdeskPace, Account: []connector.Route{{Via: "companies", Key: ".company_id"}}, Keep: "{email: (.email | email), name}",
			Feeds: []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
				{To: "user_id", From: ".id"}, {To: "first_name", From: first("null; null; .name; .email")}, {To: "last_name", From: last("null; null; .name; .email")},
				{To: "email", From: ".email"}, {To: "phone", From: ".phone"}, {To: "mobile_phone", From: ".mobile"}, {To: "title", From: ".job_title"},
			}}},
		},
		{
			Name: "deleted_contacts", Title: "Deleted contacts", Deletes: "contacts", Passing: true, Pace: freshdeskPace,
			Request: connector.Request{Path: "/contacts", Query: `{state: "deleted", per_page: 100}`}, Paging: connector.LinkHeader(), Items: freshdeskList, ID: ".id",
		},
		freshdeskTickets(connector.Stream{
			Name: "tickets", Title: "Tickets", Account: freshdeskAccount, Joins: []connector.Join{freshdeskAgent},
			Facts: freshdeskStatuses, Keep: "{subject, status, created_at}",
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: ".id"}, {To: "subject", From: `.subject // "Ticket \(.id | text)"`}, {To: "state", From: freshdeskStatus + "status"}, {To: "create_time", From: ".created_at | time"},
				// What was resolved may have been opened again since.
				{To: "close_time", From: "((.stats.closed_at // .stats.resolved_at) | time) as $closed | if .status == 2 or .status == 3 or (.stats.reopened_at | time) > $closed then null else $closed end"}, {To: "last_update_time", From: ".updated_at | time"},
				{To: "type", From: ".type"}, {To: "priority", From: `if .priority == null then null else (.priority | text) as $n | {"1": "Low", "2": "Medium", "3": "High", "4": "Urgent"}[$n] // "Priority \($n)" end`},
				{To: "assignee_id", From: ".responder_id"}, {To: "assignee_email", From: ".agent.email"}, {To: "description", From: ".description_text // (.description | plain)"},
			}}},
		}, `{include: "stats,description"}`),
		freshdeskTickets(connector.Stream{Name: "deleted_tickets", Title: "Deleted tickets", Deletes: "tickets"}, `{filter: "deleted"}`),
		freshdeskTickets(connector.Stream{Name: "spam", Title: "Spam", Doc: "Tickets that were found to be spam are not kept.", Deletes: "tickets"}, `{filter: "spam"}`),
		{
			Name: "ratings", Title: "Satisfaction ratings", Doc: "They come by themselves, as a ticket does not count as changed by one.",
			Request: connector.Request{Path: "/surveys/satisfaction_ratings", Query: `{created_since: (($since | iso) // ` + freshdeskOpen + `), per_page: 100}`}, Paging: connector.LinkHeader(), Items: freshdeskList,
			ID: ".id", Label: `"Ticket \(.ticket_id | text)"`, Incremental: true, Overlap: overlap,
			Facts: freshdeskStatuses, Account: []connector.Route{{Via: "tickets", Key: ".ticket_id"}}, Joins: []connector.Join{{As: "ticket", Stream: "tickets", Key: ".ticket_id"}},
			Feeds: []connector.Feed{{Family: "support_tickets", When: ".ticket != null and .ratings.default_question != null", Fields: []connector.Field{
				{To: "ticket_id", From: ".ticket_id"}, {To: "subject", From: `.ticket.subject // "Ticket \(.ticket_id | text)"`}, {To: "state", From: freshdeskStatus + ".ticket | status"}, {To: "create_time", From: ".ticket.created_at | time"},
				// 103 is the best, 100 is neutral, and -103 is the worst.
				{To: "csat_value", From: ".ratings.default_question"},
				{To: "csat_label", From: `.ratings.default_question | if . > 100 then "good" elif . == 100 then "neutral" elif . < 0 then "bad" else error("a rating of \(.) is not known") end`},
			}}},
		},
		freshdeskTickets(connector.Stream{
			Name: "conversations", Title: "Conversations", Doc: "Replies and notes in tickets. It takes a request for each ticket that has changed.", Optional: true,
			Account: freshdeskAccount, Joins: []connector.Join{freshdeskAgent, {As: "requester", Stream: "contacts", Key: ".requester_id"}},
			Details: []connector.Detail{{Request: connector.Request{Path: "/tickets/\\(.id | text)/conversations", Query: "{per_page: 100}"}, Paging: connector.LinkHeader(), Items: freshdeskList, Into: "conversations"}},
			Feeds: []connector.Feed{{Family: "interactions", Each: ".conversations[]", Fields: []connector.Field{
				{To: "external_id", From: ".id"}, {To: "type", From: `if .private then "Private note" else "Reply" end`}, {To: "create_time", From: ".created_at | time"}, {To: "subject", From: `$record | .subject // "Ticket \(.id | text)"`},
				{To: "details", From: ".body // .body_text"}, {To: "is_html", From: ".body != null"},
				{To: "user_id", From: "if .user_id == $record.requester_id then .user_id else null end"}, {To: "user", From: "if .user_id == $record.requester_id then $record.requester.name else null end"},
				{To: "rep_email", From: "if .user_id == $record.responder_id then $record.agent.email else null end"},
				{To: "rep_first_name", From: "if .user_id == $record.responder_id and $record.agent.name then " + first("null; null; $record.agent.name; null") + " else null end"},
				{To: "rep_last_name", From: "if .user_id == $record.responder_id and $record.agent.name then " + last("null; null; $record.agent.name; null") + " else null end"},
			}}},
		}, "{}"),
	},
}
