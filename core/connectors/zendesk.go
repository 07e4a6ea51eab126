package connectors

import (
	"time"

	"tenure/core/connector"
)

// zendeskPace is how far exports, with a thousand records each, are apart: ten of
// each may be asked for in a minute.
const zendeskPace = 6500 * time.Millisecond

const (
	// zendeskBegin is before the first record of Zendesk there is: exports want a time.
	zendeskBegin = `($since // 1167609600000 | unix)`
	// zendeskTickets are the tickets of a page, each with its metric set.
	zendeskTickets = `(.metric_sets // [] | map({key: (.ticket_id | text), value: .}) | from_entries) as $sets | .tickets[] | . + {metric_set: $sets[.id | text]}`
	zendeskSubject = `(.subject | strings | select(. != "")) // "Ticket \(.id | text)"`
)

// zendeskExport is what has changed since a time at first, and from where the last
// export ended after that.
func zendeskExport(path, more string) connector.Request {
	return connector.Request{Path: path, Query: `(if $page // $cursor then {cursor: ($page // $cursor)} else {start_time: ` + zendeskBegin + `} end) + ` + more}
}

var (
	zendeskPages   = connector.NextToken(`if .end_of_stream == true then null else .after_cursor // error("the export has not ended, and it is not said how it goes on") end`)
	zendeskAccount = []connector.Route{{Via: "organizations", Key: ".organization_id"}, {Via: "users", Key: ".requester_id"}}
	zendeskPeople  = []connector.Join{{As: "assignee", Stream: "users", Key: ".assignee_id"}, {As: "requester", Stream: "users", Key: ".requester_id"}}
)

var zendesk = &connector.Connector{
	Name: "zendesk", Title: "Zendesk", Kind: connector.Support,
	Doc: "Organizations, users and tickets of Zendesk Support. The user must be an administrator, as exports are for administrators alone. That an organization was deleted is found when everything is read.",
	Settings: []connector.Setting{
		{Name: "subdomain", Title: "Subdomain", Doc: "What stands before .zendesk.com.", Required: true, Pattern: `[a-z0-9][a-z0-9-]*`},
	},
	Auth: []connector.Auth{
		{Name: "api_token", Title: "API token", Settings: []connector.Setting{
			{Name: "email", Title: "E-mail", Doc: "The address of the administrator whose token it is.", Required: true},
			{Name: "api_token", Title: "API token", Doc: "One from the admin center.", Required: true, Secret: true},
		}, Headers: map[string]string{"Authorization": `"Basic " + ("\(.email)/token:\(.api_token)" | @base64)`}},
		{Name: "oauth", Title: "OAuth 2.0", Settings: []connector.Setting{
			{Name: "client_id", Title: "Client id", Doc: "The unique identifier of an OAuth client of this subdomain.", Required: true},
			{Name: "client_secret", Title: "Client secret", Doc: "The secret of the OAuth client.", Required: true, Secret: true},
		}, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`}, OAuth: &connector.OAuth{
			Grant: connector.AuthorizationCode, AuthorizeURL: `"https://\($settings.subdomain).zendesk.com/oauth/authorizations/new"`, TokenURL: `"https://\($settings.subdomain).zendesk.com/oauth/tokens"`,
			Scopes: `"read"`, JSON: true,
		}},
	},
	Base:  `"https://\($settings.subdomain).zendesk.com/api/v2"`,
	Hosts: []string{"*.zendesk.com"},
	// The smallest plan allows 200 requests a minute.
	Limits:    connector.Limits{Requests: 100, Per: time.Minute, Pause: time.Minute, Remaining: "ratelimit-remaining", Reset: "ratelimit-reset", SecondsLeft: true},
	Errors:    connector.Errors{Message: `[(.error | objects | .title, .message), (.error | strings), .description] | map(strings) | join(": ")`, Again: []int{409}},
	Check:     connector.Request{Path: "/users/me.json"},
	CheckThat: `if .user.role == "admin" then null else "\(.user.email // "the user") is no administrator, and exports are for administrators alone" end`,

	AccountField: "support_account_id",
	Locations: []connector.Location{
		{Name: "external_id", Title: "external_id of organizations", Doc: "Typically sent from your product. Zendesk takes capital and small letters for the same, accounts do not.", Best: true, Stream: "organizations", Path: ".external_id", By: connector.ByAccountID},
		{Name: "email", Title: "E-mail of users", Doc: "If all e-mail addresses exist among the users and contacts of accounts. It is entered by hand.", Stream: "users", Path: ".email | email", By: connector.ByEmail},
	},
	Streams: []connector.Stream{
		{
			Name: "organizations", Title: "Organizations", Accounts: true,
			// This export goes on at a time, which must not be in the last minute.
			Request: connector.Request{Path: "/incremental/organizations.json", Query: `{start_time: ([$cursor // ` + zendeskBegin + `, ($now | unix) - 120] | min)}`},
			Paging:  connector.NextLink(`if .end_of_stream == true or (.end_of_stream == null and .count < 1000) then null else .next_page // error("the export has not ended, and it is not said how it goes on") end`),
			Pace:    zendeskPace, Items: ".organizations[]", ID: ".id", Label: ".name", Incremental: true, Overlap: overlap, Resume: ".end_time",
			Account: []connector.Route{{Path: ".id", By: connector.BySupportID}},
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "support_account_id", From: ".id", Attach: true}, {To: "name", From: ".name"}, {To: "join_date", From: ".created_at | time"}, {To: "description", From: `.details | strings | select(. != "")`},
			}}},
		},
		{
			Name: "users", Title: "Users", Doc: "End users are contacts; agents are known by their e-mail addresses.",
			Request: zendeskExport("/incremental/users/cursor.json", "{}"), Paging: zendeskPages, Pace: zendeskPace, Items: ".users[]", Resume: ".after_cursor",
			ID: ".id", Label: ".email // .name", Incremental: true, Overlap: overlap, Deleted: ".active == false",
			Account: []connector.Route{{Via: "organizations", Key: ".organization_id"}}, Keep: "{email: (.email | email), name}",
			Feeds: []connector.Feed{{Family: "account_contacts", When: `.role == "end-user"`, Fields: []connector.Field{
				{To: "user_id", From: ".id"}, {To: "first_name", From: first("null; null; .name; .email")}, {To: "last_name", From: last("null; null; .name; .email")},
				{To: "email", From: ".email"}, {To: "phone", From: ".phone"},
			}}},
		},
		{
			Name: "tickets", Title: "Tickets", Doc: "Tickets, archived ones among them.",
			Request: zendeskExport("/incremental/tickets/cursor.json", `{include: "metric_sets"}`), Paging: zendeskPages, Pace: zendeskPace, Items: zendeskTickets, Resume: ".after_cursor",
			ID: ".id", Label: ".subject", Incremental: true, Overlap: overlap, Deleted: `.status == "deleted"`, Account: zendeskAccount, Joins: zendeskPeople[:1],
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: ".id"}, {To: "subject", From: zendeskSubject}, {To: "state", From: ".status"}, {To: "create_time", From: ".created_at | time"},
				{To: "close_time", From: `if .status | IN("solved", "closed") then .metric_set.solved_at | time else null end`}, {To: "last_update_time", From: ".updated_at | time"},
				{To: "type", From: ".type"}, {To: "priority", From: ".priority"}, {To: "description", From: ".description"},
				{To: "assignee_id", From: ".assignee_id"}, {To: "assignee_email", From: ".assignee.email"},
				// Ratings that were only offered, or not even that, are none.
				{To: "csat_label", From: `.satisfaction_rating.score? | if IN("good", "bad") then . else null end`},
			}}},
		},
		{
			Name: "comments", Title: "Comments", Doc: "What was said in tickets. It takes a request for each ticket that has changed.", Optional: true,
			Request: zendeskExport("/incremental/tickets/cursor.json", "{}"), Paging: zendeskPages, Pace: zendeskPace, Items: ".tickets[]", Resume: ".after_cursor",
			ID: ".id", Label: ".subject", Incremental: true, Overlap: overlap, Deleted: `.status == "deleted"`, Account: zendeskAccount, Joins: zendeskPeople,
			Details: []connector.Detail{{
				Request: connector.Request{Path: "/tickets/\\(.id | text)/comments", Query: `{"page[size]": 100, "page[after]": $page}`},
				Paging:  connector.NextToken("if .meta.has_more == true then .meta.after_cursor else null end"), Items: ".comments[]", Into: "comments",
			}},
			Feeds: []connector.Feed{{Family: "interactions", Each: ".comments[]", Fields: []connector.Field{
				{To: "external_id", From: ".id"}, {To: "type", From: `if .public == false then "Internal note" else "Comment" end`}, {To: "create_time", From: ".created_at | time"},
				{To: "subject", From: "$record | " + zendeskSubject}, {To: "details", From: ".html_body // .body"}, {To: "is_html", From: ".html_body != null"},
				{To: "user_id", From: "if .author_id == $record.requester_id then .author_id else null end"}, {To: "user", From: "if .author_id == $record.requester_id then $record.requester.name else null end"},
				{To: "rep_email", From: "if .author_id == $record.assignee_id then $record.assignee.email else null end"},
			}}},
		},
	},
}
