package connectors

import (
	"time"

	"tenure/core/connector"
)

// intercomSearch asks for what has changed. Dates are compared by whole days, in the
// workspace's time zone: two days more are asked for, and what is older is left out
// (intercomNew).
func intercomSearch(path string) connector.Request {
	return connector.Request{Method: "POST", Path: path, Body: `{
		query: {operator: "AND", value: [{field: "updated_at", operator: ">", value: (if $since then ($since | unix) - 172800 else 0 end)}]},
		sort: {field: "updated_at", order: "ascending"},
		pagination: ({per_page: 150} + if $page then {starting_after: $page} else {} end)}`}
}

const (
	intercomNew = " | select($since == null or (.updated_at | seconds) >= $since)"
	// intercomLag is how long a search may not find what has been written.
	intercomLag = 15 * time.Minute
)

// intercomCompanies is the list of all companies: one scroll, which dies when it is
// not asked for anything for a minute. A dead one begins anew.
func intercomCompanies(st connector.Stream) connector.Stream {
	st.Request = connector.Request{Path: "/companies/scroll", Query: `{scroll_param: (if $page and $now - $page.at < 50000 then $page.scroll else null end)}`}
	st.Paging = connector.NextToken(`if $count == 0 then null else
		(if $page and $now - $page.at >= 50000 then ($page.begun + 1) else $page.begun // 0 end) as $begun
		| if $begun > 200 then error("the list of companies has begun anew 200 times, as it is not read fast enough") else {scroll: (.scroll_param // error("it is not said how the list goes on")), at: $now, begun: $begun} end end`)
	st.Items, st.ID, st.Label, st.Passing = ".data[]", ".id", ".name // .company_id", true
	return st
}

// intercomNotes are the notes of a company or a contact.
func intercomNotes(path string) []connector.Detail {
	return []connector.Detail{{
		Request: connector.Request{Path: path, Query: "{starting_after: $page}"},
		Paging:  connector.NextToken(`.pages.next | if type == "string" then error("the next page of notes is a URL") else .starting_after end`), Items: ".data[]", Into: "notes",
	}}
}

var (
	intercomPages   = connector.NextToken(".pages.next.starting_after")
	intercomOf      = `if $settings.several_companies == "none" and (.companies.data | length) > 1 then null else .companies.data[0].id? end`
	intercomPerson  = `.contacts.contacts[0].id?`
	intercomAccount = []connector.Route{{Via: "companies", Key: ".company.id?"}, {Via: "contacts", Key: intercomPerson}}
	intercomSubject = `first((.title, .source.subject) | strings | plain | select(. != "")) // null`
	intercomName    = []connector.Field{
		{To: "first_name", From: first("null; null; .name; .email")}, {To: "last_name", From: last("null; null; .name; .email")}, {To: "email", From: ".email"}, {To: "phone", From: ".phone"},
		{To: "mailing_city", From: ".location.city?"}, {To: "mailing_state", From: ".location.region?"}, {To: "mailing_country", From: ".location.country?"},
	}
	intercomNote = []connector.Feed{{Family: "notes", Each: ".notes[]", Fields: []connector.Field{
		{To: "external_id", From: ".id"}, {To: "create_time", From: ".created_at | seconds"}, {To: "note", From: ".body"}, {To: "is_html", From: "true"}, {To: "rep_email", From: ".author.email?"},
		{To: "editor_first_name", From: "if .author.name? then " + first("null; null; .author.name; null") + " else null end"},
		{To: "editor_last_name", From: "if .author.name? then " + last("null; null; .author.name; null") + " else null end"},
	}}}
)

// intercomRep are the fields of an interaction that name its author, if that is a
// teammate.
func intercomRep(author string, fields ...connector.Field) []connector.Field {
	when := "(" + author + ` | if .type? == "admin" then . else null end) as $rep | `
	return append(fields,
		connector.Field{To: "rep_email", From: when + "$rep.email"},
		connector.Field{To: "rep_first_name", From: when + "if $rep.name then " + first("null; null; $rep.name; null") + " else null end"},
		connector.Field{To: "rep_last_name", From: when + "if $rep.name then " + last("null; null; $rep.name; null") + " else null end"})
}

var intercom = &connector.Connector{
	Name: "intercom", Title: "Intercom", Kind: connector.Interactions,
	Doc: "Companies, users, leads, conversations and tickets of one Intercom workspace. Companies without users are not listed by Intercom. Only one program at a time can list the companies.",
	Settings: []connector.Setting{
		{Name: "region", Title: "Region", Doc: "Where the workspace is hosted: US, Europe or Australia.", Choices: []string{"us", "eu", "au"}, Default: "us"},
		{Name: "account_attribute", Title: "Attribute of the account_id", Doc: "The custom attribute of users that holds the account_id.", Pattern: `.{1,190}`, Default: "account_id"},
		{Name: "several_companies", Title: "People of several companies", Doc: "Whether somebody who belongs to several companies counts for the first one, or for none and is reported.", Choices: []string{"first", "none"}, Default: "first"},
	},
	Auth: []connector.Auth{
		{Name: "token", Title: "Access token", Settings: []connector.Setting{
			{Name: "token", Title: "Access token", Doc: "That of an app of the workspace in the Developer Hub, with rights to read companies, people, conversations and tickets.", Required: true, Secret: true},
		}, Headers: map[string]string{"Authorization": `"Bearer " + .token`}},
		{Name: "oauth", Title: "OAuth 2.0", Settings: []connector.Setting{
			{Name: "client_id", Title: "Client id", Doc: "That of an app in the Developer Hub.", Required: true},
			{Name: "client_secret", Title: "Client secret", Doc: "The secret of the app.", Required: true, Secret: true},
		}, Headers: map[string]string{"Authorization": `"Bearer " + .access_token`}, OAuth: &connector.OAuth{
			Grant: connector.AuthorizationCode, AuthorizeURL: `"https://app.intercom.com/oauth"`, TokenURL: `"https://api.intercom.io/auth/eagle/token"`,
		}},
	},
	Base:    `{"us": "https://api.intercom.io", "eu": "https://api.eu.intercom.io", "au": "https://api.au.intercom.io"}[$settings.region]`,
	Hosts:   []string{"api.intercom.io", "api.eu.intercom.io", "api.au.intercom.io", "app.intercom.com"},
	Headers: map[string]string{"Intercom-Version": `"2.15"`},
	// 10,000 a minute for an app, dealt out every ten seconds.
	Limits: connector.Limits{Requests: 500, Per: 10 * time.Second, Pause: 15 * time.Second, Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset"},
	// The companies are listed for somebody else, or the list has died: before long, it
	// can begin anew.
	Errors:    connector.Errors{Message: `[.errors[]? | objects | "\(.code): \(.message)"] | join("; ")`, Limited: `any(.body.errors[]? | objects; "\(.code) \(.message)" | test("scroll"; "i"))`},
	Check:     connector.Request{Path: "/me"},
	CheckThat: `(.app.region? // "" | ascii_downcase) as $region | if ($region | IN("us", "eu", "au")) and $region != $settings.region then "the workspace is in the region \($region)" else null end`,

	Locations: []connector.Location{
		{Name: "company_id", Title: "company_id of companies", Doc: "The id that you give to companies, typically sent from your product; not Intercom's own id.", Best: true, Stream: "companies", Path: ".company_id", By: connector.ByAccountID},
		{Name: "attribute", Title: "Custom attribute of users", Doc: "A custom attribute of users and leads, typically sent from your product.", Stream: "contacts", Path: ".custom_attributes[$settings.account_attribute]?", By: connector.ByAccountID},
	},
	Streams: []connector.Stream{
		intercomCompanies(connector.Stream{
			Name: "companies", Title: "Companies", Accounts: true,
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "name", From: ".name // .company_id // .id"}, {To: "join_date", From: "(.remote_created_at // .created_at) | seconds"},
				{To: "employees", From: ".size"}, {To: "industry", From: ".industry"}, {To: "website", From: ".website"},
			}}},
		}),
		{
			Name: "contacts", Title: "Users and leads", Doc: "Users are users of accounts, leads are contacts.",
			Request: intercomSearch("/contacts/search"), Paging: intercomPages, Items: ".data[]" + intercomNew, ID: ".id", Label: ".email // .name", Incremental: true, Overlap: intercomLag,
			Details: []connector.Detail{{
				When: ".companies.has_more", Request: connector.Request{Path: "/contacts/\\(.id)/companies"}, Paging: connector.NextLink(".pages.next"), Items: ".companies[]", Into: "companies.data",
			}},
			Account: []connector.Route{{Via: "companies", Key: intercomOf}}, Keep: "{name, email: (.email | email)}",
			Feeds: []connector.Feed{
				{Family: "account_users", When: `.role == "user"`, Fields: append([]connector.Field{
					{To: "user_id", From: ".external_id // .id"}, {To: "product_join_date", From: "(.signed_up_at // .created_at) | seconds"},
				}, intercomName...)},
				{Family: "account_contacts", When: `.role == "lead"`, Fields: append([]connector.Field{{To: "user_id", From: ".external_id // .id"}}, intercomName...)},
			},
		},
		{
			Name: "conversations", Title: "Conversations", Doc: "What conversations began with.",
			Request: intercomSearch("/conversations/search"), Paging: intercomPages, Items: ".conversations[]" + intercomNew, ID: ".id", Label: ".id", Incremental: true, Overlap: intercomLag, Account: intercomAccount,
			Feeds: []connector.Feed{{Family: "interactions", Fields: intercomRep(".source.author?",
				connector.Field{To: "external_id", From: ".id"}, connector.Field{To: "type", From: `.source.type? // "conversation"`}, connector.Field{To: "create_time", From: ".created_at | seconds"}, connector.Field{To: "subject", From: intercomSubject},
				connector.Field{To: "details", From: ".source.body?"}, connector.Field{To: "is_html", From: "true"},
				connector.Field{To: "user_id", From: `.contacts.contacts[0]? | .external_id // .id`}, connector.Field{To: "user", From: `.source.author? | if .type? | IN("user", "lead") then .name // .email else null end`},
			)}},
		},
		{
			Name: "replies", Title: "Replies", Doc: "What was said in conversations. It takes a request for each conversation that has changed.", Optional: true,
			Request: intercomSearch("/conversations/search"), Paging: intercomPages, Items: ".conversations[]" + intercomNew, ID: ".id", Label: ".id", Incremental: true, Overlap: intercomLag, Account: intercomAccount,
			Details: []connector.Detail{{Request: connector.Request{Path: "/conversations/\\(.id)"}, Items: ".conversation_parts.conversation_parts[]", Into: "parts"}},
			Feeds: []connector.Feed{{Family: "interactions", Each: `.parts[] | select((.body // "") != "")`, Fields: intercomRep(".author",
				connector.Field{To: "external_id", From: `"\($record.id)-\(.id)"`}, connector.Field{To: "type", From: ".part_type"}, connector.Field{To: "create_time", From: ".created_at | seconds"}, connector.Field{To: "subject", From: "$record | " + intercomSubject},
				connector.Field{To: "details", From: ".body"}, connector.Field{To: "is_html", From: "true"},
				connector.Field{To: "user_id", From: `.author.id? as $id | if .author.type? | IN("user", "lead") then ($record.contacts.contacts[]? | select(.id == $id) | .external_id) // $id else null end`},
				connector.Field{To: "user", From: `.author? | if .type? | IN("user", "lead") then .name // .email else null end`},
			)}},
		},
		{
			Name: "tickets", Title: "Tickets",
			Request: intercomSearch("/tickets/search"), Paging: intercomPages, Items: ".tickets[]" + intercomNew, ID: ".id", Label: ".ticket_id", Incremental: true, Overlap: intercomLag,
			Account: []connector.Route{{Via: "contacts", Key: intercomPerson}},
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: ".id"}, {To: "subject", From: `(.ticket_attributes._default_title_? | strings | select(. != "")) // "Ticket \(.ticket_id // .id)"`},
				{To: "state", From: `.ticket_state | (.internal_label? // .category?) // "unknown"`}, {To: "create_time", From: ".created_at | seconds"}, {To: "last_update_time", From: ".updated_at | seconds"},
				// A ticket does not tell when it was closed, but its parts do.
				{To: "close_time", From: `if .open == false then [.ticket_parts.ticket_parts[]? | select(.ticket_state == "resolved" and .previous_ticket_state != "resolved") | .created_at] | max | seconds else null end`},
				{To: "type", From: ".ticket_type.name?"}, {To: "assignee_id", From: `.admin_assignee_id | if . == null or text == "0" then null else text end`},
				{To: "description", From: ".ticket_attributes._default_description_? | strings | plain"},
			}}},
		},
		{
			Name: "contact_notes", Title: "Notes on people", Doc: "It takes a request for each user and lead that has changed.", Optional: true,
			Request: intercomSearch("/contacts/search"), Paging: intercomPages, Items: ".data[]" + intercomNew, ID: ".id", Label: ".email // .name", Incremental: true, Overlap: intercomLag,
			Details: intercomNotes("/contacts/\\(.id)/notes"), Account: []connector.Route{{Via: "contacts", Key: ".id"}}, Feeds: intercomNote,
		},
		intercomCompanies(connector.Stream{
			Name: "company_notes", Title: "Notes on companies", Doc: "It takes a request for each company, every time.", Optional: true,
			Details: intercomNotes("/companies/\\(.id)/notes"), Account: []connector.Route{{Via: "companies", Key: ".id"}}, Feeds: intercomNote,
		}),
	},
}
