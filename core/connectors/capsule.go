package connectors

import (
	"fmt"
	"time"

	"tenure/core/connector"
)

const (
	capsuleSince = "($since | iso)"
	// capsuleDeletedSince must be there: at first, a day in which all was read.
	capsuleDeletedSince = "($since // ($now - 86400000) | iso)"
	// capsuleWon are opportunities that are paid again and again. Of a lost one the
	// reason may be missing, and its probability is 0.
	capsuleWon = `.closedOn != null and .lostReason == null and (.probability // 100) > 0 and (.durationBasis | . != null and . != "FIXED" and . != "HOUR")`
	// capsuleRenewal is when the agreed number of periods is over, on the last day of
	// a month that is too short.
	capsuleRenewal = `(.closedOn | date) as $from | (.duration // empty) as $n | .durationBasis as $unit
		| if $unit == "DAY" or $unit == "WEEK" then $from + $n * {DAY: 1, WEEK: 7}[$unit] * 86400000
		  else ($from / 1000 | gmtime) as [$year, $month, $day] | ($month + $n * {MONTH: 1, QUARTER: 3, YEAR: 12}[$unit]) as $to
		  | ([$year, $to + 1, 0, 0, 0, 0, 0, 0] | mktime | gmtime[2]) as $last | [$year, $to, ([$day, $last] | min), 0, 0, 0, 0, 0] | mktime * 1000 end`
	capsulePhone   = `first((.phoneNumbers[]? | select(.type == "Work")), (.phoneNumbers[]? | select(.type != "Mobile" and .type != "Fax"))).number`
	capsuleWebsite = ".url // .address // .webAddress"
)

// capsuleList asks for a list page by page; more is an object of further parameters.
func capsuleList(path, since, more string, size int) connector.Request {
	return connector.Request{Path: path, Query: fmt.Sprintf("{perPage: %d, since: %s} + %s", size, since, more)}
}

// capsuleOf are the ways to the account of what belongs to a party, which is an
// organisation or somebody in one.
func capsuleOf(party string) []connector.Route {
	key := func(kind string) string {
		return fmt.Sprintf(`%s | if .type == "%s" then .id else null end`, party, kind)
	}
	return []connector.Route{{Via: "organisations", Key: key("organisation")}, {Via: "people", Key: key("person")}}
}

// capsuleFirst is a member of the entry of a type in a list, else of the first one.
func capsuleFirst(list, kind, member string) string {
	return fmt.Sprintf(`first((.%[1]s[]? | select(.type == %[2]q)), .%[1]s[]?) | %[3]s`, list, kind, member)
}

var capsule = &connector.Connector{
	Name: "capsule", Title: "Capsule", Kind: connector.CRM,
	Doc:      "Organisations, people, opportunities, projects, tasks and history of a Capsule account: what the user sees whose token it is.",
	Settings: []connector.Setting{{Name: "account_field", Title: "Custom field", Doc: "The custom field of organisations that has the account_id: the id of its definition, as names change, or its name."}},
	Auth: []connector.Auth{
		{
			Name: "token", Title: "Personal API token", Settings: []connector.Setting{{Name: "token", Title: "Token", Doc: "Made in My Preferences, API Authentication Tokens.", Required: true, Secret: true}},
			Headers: map[string]string{"Authorization": `"Bearer " + .token`},
		},
		{
			Name: "oauth", Title: "OAuth 2.0", Settings: []connector.Setting{
				{Name: "client_id", Title: "Client id", Doc: "That of your app, registered at Capsule.", Required: true},
				{Name: "client_secret", Title: "Client secret", Doc: "The app's secret.", Required: true, Secret: true},
			},
			Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
			OAuth: &connector.OAuth{
				Grant: connector.AuthorizationCode, AuthorizeURL: `"https://api.capsulecrm.com/oauth/authorise"`, TokenURL: `"https://api.capsulecrm.com/oauth/token"`, Scopes: `"read"`,
			},
		},
	},
	Base: `"https://api.capsulecrm.com/api/v2"`, Hosts: []string{"api.capsulecrm.com"},
	Headers: map[string]string{"Accept": `"application/json"`},
	// 4,000 an hour are allowed to the user, who may have other tools.
	Limits: connector.Limits{Requests: 3500, Per: time.Hour, Pause: time.Minute, Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset"},
	Errors: connector.Errors{Message: `[.message?, .error?, .error_description?, (.errors[]?.message?)] | map(strings) | unique | join(": ")`},
	Check:  connector.Request{Path: "/parties/fields/definitions", Query: "{perPage: 100}"},
	CheckThat: `$settings.account_field as $name | if $name == null or any(.definitions[]; $name == (.id | tostring), $name == .name) then null
		else "parties have no custom field \($name), but: \([.definitions[] | "\(.id) \(.name)"] | join(", "))" end`,
	Facts: []connector.Fact{{Name: "account_field", Request: connector.Request{Path: "/parties/fields/definitions", Query: "{perPage: 100}"},
		Pick: `$settings.account_field as $name | if $name == null then null
			else first((.definitions[] | select((.id | tostring) == $name)), (.definitions[] | select(.name == $name))).id // error("parties have no custom field \($name)") end`}},
	AccountField: "crm_account_id",
	Locations: []connector.Location{
		{Name: "custom_field", Title: "Custom field of the organisation", Doc: "Typically sent from your product. Set which field it is.", Best: true, Stream: "organisations",
			Path: `$facts.account_field as $id | first(.fields[]? | select($id != null and .definition.id == $id)).value | select(. != null and . != "")`, By: connector.ByAccountID},
		{Name: "website", Title: "Website of the organisation", Doc: "The account_id stands where the address of the first website does. It is entered by hand.", Stream: "organisations",
			Path: "first(.websites[]?) | " + capsuleWebsite, By: connector.ByAccountID},
	},
	Streams: []connector.Stream{
		{
			Name: "users", Title: "Users", Request: connector.Request{Path: "/users", Query: `{embed: "party"}`}, Paging: connector.LinkHeader(), Items: ".users[]", ID: ".id", Label: ".name", Passing: true,
			Keep: `{email: (first(.party.emailAddresses[]?.address) // (.username | strings | select(contains("@"))) // null | email)}`,
		},
		{
			Name: "organisations", Title: "Organisations", Accounts: true, // fields are left out unless they are asked for
			Request: capsuleList("/parties", capsuleSince, `{embed: "tags,fields,organisation"}`, 100), Paging: connector.LinkHeader(), Items: `.parties[] | select(.type == "organisation")`,
			ID: ".id", Label: ".name", Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Path: ".id", By: connector.ByCRMID}}, Joins: []connector.Join{{As: "rep", Stream: "users", Key: ".owner.id"}},
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "crm_account_id", From: ".id", Attach: true}, {To: "name", From: ".name"}, {To: "join_date", From: ".createdAt | time"},
				{To: "description", From: ".about"}, {To: "website", From: "first(.websites[]?) | " + capsuleWebsite}, {To: "phone", From: capsulePhone},
				{To: "billing_street", From: capsuleFirst("addresses", "Office", ".street")},
				{To: "billing_city", From: capsuleFirst("addresses", "Office", ".city")}, {To: "billing_state", From: capsuleFirst("addresses", "Office", ".state")},
				{To: "billing_postal_code", From: capsuleFirst("addresses", "Office", ".zip")},
				{To: "billing_country", From: capsuleFirst("addresses", "Office", ".country")}, {To: "sales_rep_name", From: ".owner.name"},
				{To: "sales_rep_email", From: ".rep.email"},
			}}},
		},
		{
			Name: "people", Title: "People", Doc: "People without an organisation have no account.",
			Request: capsuleList("/parties", capsuleSince, `{embed: "tags,fields,organisation"}`, 100), Paging: connector.LinkHeader(), Items: `.parties[] | select(.type == "person")`,
			ID: ".id", Label: "first(.emailAddresses[]?.address) // .lastName", Incremental: true, Overlap: overlap,
			Account: []connector.Route{{Via: "organisations", Key: ".organisation.id"}},
			Feeds: []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
				{To: "user_id", From: ".id"}, {To: "first_name", From: first(".firstName; .lastName; null; first(.emailAddresses[]?.address)")},
				{To: "last_name", From: last(".firstName; .lastName; null; first(.emailAddresses[]?.address)")},
				{To: "email", From: capsuleFirst("emailAddresses", "Work", ".address | email")}, {To: "phone", From: capsulePhone},
				{To: "mobile_phone", From: `first(.phoneNumbers[]? | select(.type == "Mobile")).number`}, {To: "salutation", From: ".title"},
				{To: "title", From: ".jobTitle"}, {To: "mailing_street", From: capsuleFirst("addresses", "Office", ".street")},
				{To: "mailing_city", From: capsuleFirst("addresses", "Office", ".city")}, {To: "mailing_state", From: capsuleFirst("addresses", "Office", ".state")},
				{To: "mailing_postal_code", From: capsuleFirst("addresses", "Office", ".zip")},
				{To: "mailing_country", From: capsuleFirst("addresses", "Office", ".country")},
			}}},
		},
		capsuleDeleted("organisations", "parties", 100),
		capsuleDeleted("people", "parties", 50),
		{
			Name: "opportunities", Title: "Opportunities", Doc: "Those that were won and are paid per period become subscriptions.",
			Request: capsuleList("/opportunities", capsuleSince, `{embed: "tags,fields"}`, 100), Paging: connector.LinkHeader(), Items: ".opportunities[]", ID: ".id", Label: ".name",
			Incremental: true, Overlap: overlap, Account: capsuleOf(".party"), Currency: ".value.currency",
			Feeds: []connector.Feed{{Family: "subscriptions", When: capsuleWon, Fields: []connector.Field{
				{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`}, {To: "effective_start_date", From: ".closedOn | date"},
				{To: "total_revenue", From: "major(.value.amount; .value.currency)"},
				{To: "cycle_unit", From: `.durationBasis | {DAY: "day", WEEK: "day", MONTH: "month", QUARTER: "month", YEAR: "year"}[.] // error("the duration basis \(.) is not known")`},
				{To: "cycle_length", From: "{WEEK: 7, QUARTER: 3}[.durationBasis] // 1"}, {To: "next_renewal_date", From: capsuleRenewal},
				{To: "plan_code", From: ".name"},
			}}},
		},
		capsuleDeleted("opportunities", "opportunities", 100),
		{
			Name: "projects", Title: "Projects", Doc: "If they are what you have for support tickets.", Optional: true,
			Request: capsuleList("/kases", capsuleSince, "{}", 100), Paging: connector.LinkHeader(), Items: ".kases[]", ID: ".id", Label: ".name", Incremental: true, Overlap: overlap,
			Account: capsuleOf(".party"), Joins: []connector.Join{{As: "rep", Stream: "users", Key: ".owner.id"}},
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: ".id"}, {To: "state", From: ".status | ascii_downcase"}, {To: "subject", From: ".name"},
				{To: "description", From: ".description"}, {To: "create_time", From: ".createdAt | time"}, {To: "last_update_time", From: ".updatedAt | time"},
				{To: "close_time", From: ".closedOn | date"}, {To: "assignee_id", From: ".owner.id"}, {To: "assignee_email", From: ".rep.email"},
			}}},
		},
		{
			Name: "tasks", Title: "Completed tasks", Doc: "All of them are read every time.", Optional: true, // whether there is a filter by time is not known
			Request: connector.Request{Path: "/tasks", Query: `{perPage: 100, status: "completed"}`}, Paging: connector.LinkHeader(), Items: ".tasks[]", ID: ".id", Label: ".description", Passing: true,
			Account: append(capsuleOf(".party"), connector.Route{Via: "opportunities", Key: ".opportunity.id"}, connector.Route{Via: "projects", Key: ".kase.id"}),
			Joins:   []connector.Join{{As: "rep", Stream: "users", Key: ".owner.id"}},
			Feeds: []connector.Feed{{Family: "interactions", Fields: append([]connector.Field{
				{To: "external_id", From: `"task-\(.id)"`}, // beside those of entries
				{To: "type", From: `.category.name // "Task"`}, {To: "create_time", From: "(.completedAt // .updatedAt) | time"},
				{To: "subject", From: ".description"}, {To: "details", From: ".detail"}, {To: "rep_email", From: ".rep.email"},
			}, capsuleRep(".owner.name")...)}},
		},
		{
			Name: "entries", Title: "Notes and e-mails", Doc: "The history of organisations and people. One more request for each that has changed.", Optional: true,
			Request: capsuleList("/parties", capsuleSince, "{}", 25), Paging: connector.LinkHeader(), Items: ".parties[]", ID: ".id", Label: ".name // .lastName",
			Incremental: true, Overlap: overlap, Account: capsuleOf("."),
			Details: []connector.Detail{{Request: connector.Request{Path: `/parties/\(.id)/entries`, Query: "{perPage: 50}"}, Paging: connector.LinkHeader(), Items: ".entries[]", Into: "entries"}},
			Feeds: []connector.Feed{
				{Family: "notes", Each: `.entries[] | select(.type == "note")`, Fields: []connector.Field{
					{To: "external_id", From: ".id"}, {To: "create_time", From: "(.entryAt // .createdAt) | time"},
					{To: "subject", From: ".subject // .activityType.name"}, {To: "note", From: ".content"}, {To: "rep_email", From: capsuleAddress},
					{To: "editor_first_name", From: ".creator.name // empty | " + first("null; null; .; null")},
					{To: "editor_last_name", From: ".creator.name // empty | " + last("null; null; .; null")},
				}},
				{Family: "interactions", Each: `.entries[] | select(.type == "email")`, Fields: append([]connector.Field{
					{To: "external_id", From: ".id"}, {To: "type", From: ".type"}, {To: "create_time", From: "(.entryAt // .createdAt) | time"},
					{To: "subject", From: ".subject"}, {To: "details", From: ".content"}, {To: "rep_email", From: capsuleAddress},
				}, capsuleRep(".creator.name")...)},
			},
		},
	},
}

// capsuleAddress is the address of an entry's author, whose user name may be one.
const capsuleAddress = `.creator.username | strings | select(contains("@")) | email`

// capsuleRep are the names of somebody who has done something.
func capsuleRep(name string) []connector.Field {
	return []connector.Field{
		{To: "rep_first_name", From: name + " // empty | " + first("null; null; .; null")},
		{To: "rep_last_name", From: name + " // empty | " + last("null; null; .; null")},
	}
}

// capsuleDeleted is the feed of what was deleted. What the user sees no more is in
// another list, and stays.
func capsuleDeleted(stream, path string, size int) connector.Stream {
	return connector.Stream{
		Name: "deleted_" + stream, Title: "Deleted " + stream, Deletes: stream, Request: capsuleList("/"+path+"/deleted", capsuleDeletedSince, "{}", size),
		Paging: connector.LinkHeader(), Items: "." + path + "[]", ID: ".id", Incremental: true, Overlap: overlap,
	}
}
