package connectors

import (
	"fmt"
	"strings"
	"time"

	"tenure/core/connector"
)

// salesforceMore are the further fields of an object that are set to be read.
const salesforceMore = `[($settings.more_fields // "") | scan("(?:^|[, ])%s\\.(\\w+)")[]]`

// salesforceFields finds out which fields of an object the user sees, as one that
// is not there makes the whole query fail. What has been set must be there.
func salesforceFields(object, set string) []connector.Fact {
	return []connector.Fact{{
		Name: object, Request: connector.Request{Path: "/sobjects/" + object + "/describe"},
		Pick: fmt.Sprintf(`[.fields[].name] as $all | (%s + `+salesforceMore+` - $all) as $missing
			| if $missing == [] then $all else error("the user sees no field \($missing | join(", ")) of %[2]s") end`, set, object),
	}}
}

// salesforceQuery asks for all records of an object, deleted ones among them, or
// for those that have changed. further is an array of fields that are not the
// object's own.
func salesforceQuery(object, further string, fields ...string) connector.Request {
	return connector.Request{Path: "/queryAll/", Query: fmt.Sprintf(`(["%s"] + `+salesforceMore+` | map(select(IN($facts.%[2]s[]))) | unique) as $fields
		| {q: "SELECT \($fields + %s | join(",")) FROM %[2]s\(if $since then " WHERE SystemModstamp >= \($since | iso)" else "" end) ORDER BY SystemModstamp ASC"}`,
		strings.Join(append(fields, "Id", "OwnerId", "CreatedDate", "SystemModstamp", "IsDeleted", "CurrencyIsoCode"), `","`), object, further)}
}

// id18 returns an id in its form of 18 characters, which is the one that the API
// has, whereas pages and old exports have the first 15: each of three groups of
// five has a further character that says which of its letters are capitals.
func id18(input any) any {
	id, ok := input.(string)
	if !ok || len(id) != 15 {
		return input
	}
	long := id
	for group := 0; group < 15; group += 5 {
		capitals := 0
		for i, c := range []byte(id[group : group+5]) {
			if c >= 'A' && c <= 'Z' {
				capitals |= 1 << i
			}
		}
		long += string("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[capitals])
	}
	return long
}

var (
	salesforcePages   = connector.NextLink(`if .done then null else .nextRecordsUrl // error("there are more records, and it is not said where") end`)
	salesforceOwner   = []connector.Join{{As: "owner", Stream: "users", Key: ".OwnerId | id18"}}
	salesforceAccount = []connector.Route{{Via: "accounts", Key: ".AccountId | id18"}, {Path: ".AccountId | id18", By: connector.ByCRMID}}
	// salesforceTalk is how tasks and events become interactions. A lead is nobody's.
	salesforceTalk    = append(salesforceAccount[:2:2], connector.Route{Via: "contacts", Key: ".WhoId | id18"})
	salesforceTalkers = append(salesforceOwner[:1:1], connector.Join{As: "who", Stream: "contacts", Key: ".WhoId | id18"})
)

func salesforceInteractions(kind string) []connector.Feed {
	return []connector.Feed{{Family: "interactions", Fields: []connector.Field{
		{To: "external_id", From: ".Id | id18"}, {To: "type", From: kind}, {To: "create_time", From: ".CreatedDate | time"},
		{To: "subject", From: ".Subject"}, {To: "details", From: ".Description"}, {To: "user_id", From: "if .who then .WhoId | id18 else null end"}, {To: "user", From: ".who.name"},
		{To: "rep_email", From: ".owner.email"}, {To: "rep_first_name", From: ".owner.first_name"}, {To: "rep_last_name", From: ".owner.last_name"},
	}}}
}

var salesforce = &connector.Connector{
	Name: "salesforce", Title: "Salesforce", Kind: connector.CRM,
	Doc: "Accounts, contacts, opportunities, cases, activities and notes. Connect as a user who sees all records (\"View All Data\"): what the user does not see is silently missing.",
	Settings: []connector.Setting{
		{Name: "login", Title: "Login host", Doc: "test.salesforce.com for a sandbox.", Choices: []string{"login.salesforce.com", "test.salesforce.com"}, Default: "login.salesforce.com"},
		{Name: "api_version", Title: "API version", Doc: "One that the organisation supports.", Pattern: `v[0-9]{2,3}\.0`, Default: "v63.0"},
		{Name: "account_field", Title: "Field of the account_id", Doc: "The API name of the accounts' custom field that holds the account_id. Store it as text.", Pattern: `[A-Za-z]\w*__c`},
		{Name: "more_fields", Title: "Further fields", Doc: "Further fields to be read, for filters and mappings of your own, such as Account.Tier__c, Case.Area__c.", Pattern: `[A-Za-z]\w*\.[A-Za-z]\w*(, *[A-Za-z]\w*\.[A-Za-z]\w*)*`},
		{Name: "opportunity_months", Title: "Months of an opportunity", Doc: "For how many months the amount of an opportunity is, where opportunities are read as subscriptions.", Pattern: "[1-9][0-9]{0,2}", Default: "12"},
	},
	Auth: []connector.Auth{{
		Name: "oauth", Title: "OAuth 2.0", Settings: []connector.Setting{
			{Name: "client_id", Title: "Consumer key", Doc: "That of a connected app with the scopes api and refresh_token.", Required: true},
			{Name: "client_secret", Title: "Consumer secret", Doc: "That of the connected app.", Required: true, Secret: true},
		},
		Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
		OAuth: &connector.OAuth{
			Grant: connector.AuthorizationCode, AuthorizeURL: `"https://\($settings.login)/services/oauth2/authorize"`, TokenURL: `"https://\($settings.login)/services/oauth2/token"`,
			Scopes: `"api refresh_token"`, Keep: `{instance_url: (.instance_url // error("there is no instance_url"))}`,
		},
	}},
	Base:  `$token.instance_url + "/services/data/" + $settings.api_version`,
	Hosts: []string{"*.salesforce.com"},
	// What counts is the organisation's quota of a day, which others use as well.
	Limits: connector.Limits{Requests: 300, Per: time.Minute, Pause: 15 * time.Minute, MaxUsage: 0.8,
		Usage: `.["sforce-limit-info"] | capture("(^|[;, ])api-usage=(?<used>[0-9]+)/(?<all>[0-9]+)") | (.used | tonumber) / (.all | tonumber)`},
	Errors: connector.Errors{
		Message: `if type == "array" then map("\(.errorCode): \(.message)") | join("; ") else .error_description // .error end`,
		Limited: `.status == 403 and any(.body[]?; .errorCode? == "REQUEST_LIMIT_EXCEEDED")`, Again: []int{406},
	},
	Check:     connector.Request{Path: "/sobjects/Account/describe"},
	CheckThat: `$settings.account_field as $name | if $name == null or any(.fields[]; .name == $name) then null else "accounts have no field \($name) that the user sees" end`,
	Functions: map[string]func(any) any{"id18": id18},

	AccountField: "crm_account_id",
	Locations: []connector.Location{
		{Name: "account_field", Title: "Custom field of accounts", Doc: "A custom field of the Account object, typically filled from your product. Store it as text.", Best: true, Stream: "accounts", Path: `if $settings.account_field then .[$settings.account_field] else null end`, By: connector.ByAccountID},
		{Name: "account", Title: "Id of accounts", Doc: "Salesforce's own id (18 characters), which then has to be in your other systems as well.", Stream: "accounts", Path: ".Id | id18", By: connector.ByNativeID},
		{Name: "opportunity", Title: "Id of opportunities", Doc: "Salesforce's own id of an opportunity, which then has to be in your other systems as well. The accounts come from one of these.", Stream: "opportunities", Path: ".Id | id18", By: connector.ByAccountID},
	},
	Streams: []connector.Stream{
		{
			Name: "users", Title: "Users", Doc: "Names and e-mail addresses of owners.",
			Facts: salesforceFields("User", "[]"), Request: salesforceQuery("User", "[]", "Email", "FirstName", "LastName"), Paging: salesforcePages, Items: ".records[]",
			ID: ".Id | id18", Label: ".Email", Incremental: true, Overlap: overlap, Keep: "{email: .Email, first_name: .FirstName, last_name: .LastName}",
		},
		{
			Name: "accounts", Title: "Accounts", Accounts: true,
			Facts: salesforceFields("Account", "[$settings.account_field // empty]"),
			Request: salesforceQuery("Account", `[if $settings.account_field then $settings.account_field, "Parent.\($settings.account_field)" else empty end]`,
				"Name", "ParentId", "Phone", "Website", "Industry", "NumberOfEmployees", "Description", "BillingStreet", "BillingCity", "BillingState", "BillingPostalCode", "BillingCountry"),
			Paging: salesforcePages, Items: ".records[]", ID: ".Id | id18", Label: ".Name", Incremental: true, Overlap: overlap, Deleted: ".IsDeleted == true",
			Account: []connector.Route{{Path: ".Id | id18", By: connector.ByCRMID}}, Joins: salesforceOwner,
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "crm_account_id", From: ".Id | id18", Attach: true}, {To: "name", From: ".Name"}, {To: "join_date", From: ".CreatedDate | time"},
				{To: "parent_account_id", From: "if $settings.account_field then .Parent[$settings.account_field]? else .ParentId | id18 end"},
				{To: "billing_street", From: ".BillingStreet"}, {To: "billing_city", From: ".BillingCity"}, {To: "billing_state", From: ".BillingState"}, {To: "billing_postal_code", From: ".BillingPostalCode"}, {To: "billing_country", From: ".BillingCountry"},
				{To: "phone", From: ".Phone"}, {To: "website", From: ".Website"}, {To: "industry", From: ".Industry"}, {To: "employees", From: ".NumberOfEmployees"}, {To: "description", From: ".Description"},
				{To: "sales_rep_name", From: `[.owner.first_name, .owner.last_name | strings] | select(. != []) | join(" ")`}, {To: "sales_rep_email", From: ".owner.email"},
			}}},
		},
		{
			Name: "contacts", Title: "Contacts",
			Facts: salesforceFields("Contact", "[]"),
			Request: salesforceQuery("Contact", "[]", "AccountId", "FirstName", "LastName", "Salutation", "Email", "Phone", "MobilePhone", "Title", "Department", "LeadSource",
				"MailingStreet", "MailingCity", "MailingState", "MailingPostalCode", "MailingCountry"),
			Paging: salesforcePages, Items: ".records[]", ID: ".Id | id18", Label: ".Email // .LastName", Incremental: true, Overlap: overlap, Deleted: ".IsDeleted == true",
			Account: salesforceAccount, Keep: `{name: ([.FirstName, .LastName | strings] | join(" "))}`,
			Feeds: []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
				{To: "user_id", From: ".Id | id18"}, {To: "first_name", From: first(".FirstName; .LastName; null; .Email")}, {To: "last_name", From: last(".FirstName; .LastName; null; .Email")},
				{To: "salutation", From: ".Salutation"}, {To: "email", From: ".Email"}, {To: "phone", From: ".Phone"}, {To: "mobile_phone", From: ".MobilePhone"},
				{To: "title", From: ".Title"}, {To: "department", From: ".Department"}, {To: "lead_source", From: ".LeadSource"},
				{To: "mailing_street", From: ".MailingStreet"}, {To: "mailing_city", From: ".MailingCity"}, {To: "mailing_state", From: ".MailingState"}, {To: "mailing_postal_code", From: ".MailingPostalCode"}, {To: "mailing_country", From: ".MailingCountry"},
			}}},
		},
		{
			Name: "opportunities", Title: "Opportunities", Doc: "Opportunities that were won, as subscriptions.", Optional: true,
			Facts: salesforceFields("Opportunity", "[]"), Request: salesforceQuery("Opportunity", "[]", "AccountId", "Name", "Amount", "StageName", "CloseDate", "IsWon", "IsClosed"),
			Paging: salesforcePages, Items: ".records[]", ID: ".Id | id18", Label: ".Name", Incremental: true, Overlap: overlap, Deleted: ".IsDeleted == true",
			Account: salesforceAccount, Currency: ".CurrencyIsoCode",
			Feeds: []connector.Feed{{Family: "subscriptions", When: ".IsWon == true and .Amount != null", Fields: []connector.Field{
				{To: "subscription_id", From: ".Id | id18"}, {To: "event", From: `"current"`}, {To: "effective_start_date", From: ".CloseDate | date"},
				{To: "total_revenue", From: "major(.Amount; .CurrencyIsoCode)"}, {To: "cycle_unit", From: `"month"`}, {To: "cycle_length", From: "$settings.opportunity_months | tonumber"},
			}}},
		},
		{
			Name: "cases", Title: "Cases",
			Facts: salesforceFields("Case", "[]"), Request: salesforceQuery("Case", "[]", "CaseNumber", "AccountId", "ContactId", "Subject", "Description", "Status", "Priority", "Type", "IsClosed", "ClosedDate"),
			Paging: salesforcePages, Items: ".records[]", ID: ".Id | id18", Label: ".CaseNumber", Incremental: true, Overlap: overlap, Deleted: ".IsDeleted == true",
			Account: append(salesforceAccount[:2:2], connector.Route{Via: "contacts", Key: ".ContactId | id18"}), Joins: salesforceOwner,
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: ".Id | id18"}, {To: "subject", From: `.Subject // "Case \(.CaseNumber)"`}, {To: "state", From: ".Status"}, {To: "create_time", From: ".CreatedDate | time"},
				{To: "close_time", From: ".ClosedDate | time"}, {To: "last_update_time", From: ".SystemModstamp | time"}, {To: "type", From: ".Type"}, {To: "priority", From: ".Priority"},
				{To: "assignee_id", From: ".OwnerId | id18"}, {To: "assignee_email", From: ".owner.email"}, {To: "description", From: ".Description"},
			}}},
		},
		{
			Name: "tasks", Title: "Tasks", Doc: "Tasks, calls and e-mails, archived ones among them.",
			Facts: salesforceFields("Task", "[]"), Request: salesforceQuery("Task", "[]", "AccountId", "WhoId", "WhatId", "Subject", "Description", "ActivityDate", "TaskSubtype"),
			Paging: salesforcePages, Items: ".records[]", ID: ".Id | id18", Label: ".Subject", Incremental: true, Overlap: overlap, Deleted: ".IsDeleted == true",
			Account: salesforceTalk, Joins: salesforceTalkers, Feeds: salesforceInteractions(`.TaskSubtype // "Task"`),
		},
		{
			Name: "events", Title: "Events", Doc: "Meetings, archived ones among them.",
			Facts: salesforceFields("Event", "[]"), Request: salesforceQuery("Event", "[]", "AccountId", "WhoId", "WhatId", "Subject", "Description", "ActivityDate"),
			Paging: salesforcePages, Items: ".records[]", ID: ".Id | id18", Label: ".Subject", Incremental: true, Overlap: overlap, Deleted: ".IsDeleted == true",
			Account: salesforceTalk, Joins: salesforceTalkers, Feeds: salesforceInteractions(`"Event"`),
		},
		{
			Name: "notes", Title: "Notes", Doc: "Notes of accounts and contacts; those of the newer kind (ContentNote) are not among them.",
			Facts: salesforceFields("Note", "[]"), Request: salesforceQuery("Note", "[]", "ParentId", "Title", "Body"),
			Paging: salesforcePages, Items: ".records[]", ID: ".Id | id18", Label: ".Title", Incremental: true, Overlap: overlap, Deleted: ".IsDeleted == true",
			Account: []connector.Route{{Via: "accounts", Key: ".ParentId | id18"}, {Via: "contacts", Key: ".ParentId | id18"}, {Path: ".ParentId | id18", By: connector.ByCRMID}}, Joins: salesforceOwner,
			Feeds: []connector.Feed{{Family: "notes", Fields: []connector.Field{
				{To: "external_id", From: ".Id | id18"}, {To: "create_time", From: ".CreatedDate | time"}, {To: "subject", From: ".Title"}, {To: "note", From: ".Body"},
				{To: "rep_email", From: ".owner.email"}, {To: "editor_first_name", From: ".owner.first_name"}, {To: "editor_last_name", From: ".owner.last_name"},
			}}},
		},
	},
}
