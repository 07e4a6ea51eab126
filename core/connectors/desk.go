package connectors

import (
	"fmt"
	"time"

	"tenure/core/connector"
)

const (
	deskItems = "._embedded.entries[]"
	// deskID is in the link to itself: older records have no id beside.
	deskID = `((._links.self.href // "" | split("/") | last) // .id) | text`
	// deskPart is the id of what belongs to a case.
	deskPart = `"\($record | ` + deskID + `)-\(` + deskID + `)"`
	// deskSubject must not be empty.
	deskSubject = `first((.subject, .blurb, .description | strings | select(. != "")), "-")`
)

// deskLinked is the id of what a record is linked to.
func deskLinked(name string) string {
	return fmt.Sprintf(`._links.%s.href | if . then split("/") | last else null end`, name)
}

// deskList asks for a list in an order that does not change.
func deskList(path string, size int) connector.Request {
	return connector.Request{Path: path, Query: fmt.Sprintf(`{per_page: %d, sort_field: "id", sort_direction: "asc"}`, size)}
}

// deskDetail asks for a list that belongs to a case. An exported one may have it.
func deskDetail(name string) connector.Detail {
	return connector.Detail{
		When: fmt.Sprintf("._links.%s != null", name), Request: connector.Request{Path: fmt.Sprintf(`/cases/\(%s)/%s`, deskID, name), Query: "{per_page: 50}"},
		Paging: connector.NextLink("._links.next.href"), Items: deskItems, Into: name,
	}
}

var desk = &connector.Connector{
	Name: "desk", Title: "Desk", Kind: connector.Support,
	Doc:   "Cases, customers and companies of Desk.com, from exported files: JSON as the API gave it. If you have moved to Salesforce Service Cloud, it has the same data: read it there.",
	Ended: &connector.Ended{Since: "2020", Message: "Desk.com has ended. Its records can be imported from exported files."},
	Settings: []connector.Setting{
		{Name: "site", Title: "Site", Doc: "The name before .desk.com.", Pattern: "[A-Za-z0-9-]+"},
		{Name: "account_field", Title: "Custom field", Doc: "The key of the custom field of companies that has the account_id.", Default: "account_id"},
		{Name: "support_account_id", Title: "Support account id", Doc: "What accounts have as their support_account_id: the company's id, or its domain, by which it can be found.", Choices: []string{"id", "domain"}, Default: "id"},
	},
	Auth: []connector.Auth{{
		Name: "basic", Title: "E-mail address and password", Settings: []connector.Setting{
			{Name: "email", Title: "E-mail address", Doc: "Of an agent.", Required: true},
			{Name: "password", Title: "Password", Doc: "The agent's.", Required: true, Secret: true},
		},
		Headers: map[string]string{"Authorization": `"Basic " + ("\(.email):\(.password)" | @base64)`},
	}},
	Base: `"https://\($settings.site).desk.com/api/v2"`, Hosts: []string{"*.desk.com"},
	Headers: map[string]string{"Accept": `"application/json"`},
	Limits:  connector.Limits{Requests: 50, Per: time.Minute, Pause: time.Minute, Remaining: "X-Rate-Limit-Remaining", Reset: "X-Rate-Limit-Reset", SecondsLeft: true},
	Errors: connector.Errors{Message: ".message?",
		// Whatever stands there now gives other things than HAL.
		Gone: `.status == 410 or .status < 400 and (.body | if type == "object" then (has("_links") or has("_embedded") | not) else type == "string" and test("^\\s*<") end)`},
	Check:        connector.Request{Path: "/users", Query: "{per_page: 1}"},
	AccountField: "support_account_id",
	Locations: []connector.Location{
		{Name: "custom_field", Title: "Custom field of the company", Doc: "Typically sent from your product.", Best: true, Stream: "companies", Path: `.custom_fields[$settings.account_field] | select(. != null and . != "")`, By: connector.ByAccountID},
		{Name: "email", Title: "E-mail address of the customer", Doc: "If all e-mail addresses exist among the users and contacts of accounts. It is entered by hand.", Stream: "customers", Path: "first(.emails[]?.value) | email", By: connector.ByEmail},
		{Name: "domain", Title: "Domain of the company", Doc: "Accounts have the domain as their support_account_id. Set that this is what it is.", Stream: "companies", Path: "first(.domains[]?)", By: connector.BySupportID},
	},
	Streams: []connector.Stream{
		{
			Name: "users", Title: "Users", Request: connector.Request{Path: "/users", Query: "{per_page: 1000}"}, Paging: connector.NextLink("._links.next.href"), Items: deskItems,
			ID: deskID, Label: ".name", Passing: true, Keep: "{email: (.email | email)}",
		},
		{
			Name: "companies", Title: "Companies", Accounts: true, Request: deskList("/companies", 100), Paging: connector.NextLink("._links.next.href"), Items: deskItems,
			ID: deskID, Label: ".name", Passing: true,
			Account: []connector.Route{{Path: deskID, By: connector.BySupportID}},
			Feeds: []connector.Feed{{Family: "accounts", Fields: []connector.Field{
				{To: "support_account_id", From: `if $settings.support_account_id == "domain" then first(.domains[]?) else ` + deskID + " end", Attach: true},
				{To: "name", From: ".name"}, {To: "join_date", From: ".created_at | time"}, {To: "website", From: "first(.domains[]?)"},
			}}},
		},
		{
			Name: "customers", Title: "Customers", Request: deskList("/customers", 100), Paging: connector.NextLink("._links.next.href"), Items: deskItems,
			ID: deskID, Label: "first(.emails[]?.value)", Passing: true,
			Account: []connector.Route{{Via: "companies", Key: deskLinked("company")}, {Path: "first(.emails[]?.value) | email", By: connector.ByEmail}},
			Feeds: []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
				{To: "user_id", From: deskID}, {To: "first_name", From: first(".first_name; .last_name; null; first(.emails[]?.value)")},
				{To: "last_name", From: last(".first_name; .last_name; null; first(.emails[]?.value)")}, {To: "email", From: "first(.emails[]?.value) | email"},
				{To: "phone", From: `first(.phone_numbers[]? | select(.type != "mobile")).value`},
				{To: "mobile_phone", From: `first(.phone_numbers[]? | select(.type == "mobile")).value`}, {To: "title", From: ".title"},
				{To: "mailing_street", From: "first(.addresses[]?.value)"},
			}}},
		},
		{
			Name: "cases", Title: "Cases", Request: deskList("/cases", 50), Paging: connector.NextLink("._links.next.href"), Items: deskItems,
			ID: deskID, Label: ".subject", Passing: true, Deleted: `.status == "deleted"`,
			Account: []connector.Route{{Via: "customers", Key: deskLinked("customer")}},
			Joins:   []connector.Join{{As: "agent", Stream: "users", Key: deskLinked("assigned_user")}},
			Feeds: []connector.Feed{{Family: "support_tickets", Fields: []connector.Field{
				{To: "ticket_id", From: deskID}, {To: "state", From: ".status"}, {To: "subject", From: deskSubject}, {To: "create_time", From: ".created_at | time"},
				{To: "type", From: ".type"}, {To: "close_time", From: ".resolved_at | time"}, {To: "priority", From: ".priority"},
				{To: "assignee_id", From: deskLinked("assigned_user")}, {To: "assignee_email", From: ".agent.email"},
				{To: "description", From: `first(.description, .blurb | strings | select(. != ""))`}, {To: "last_update_time", From: ".updated_at | time"},
			}}},
		},
		{
			Name: "conversations", Title: "Notes and replies", Doc: "Cases with their notes and replies. Two more requests for each case.", Optional: true,
			Request: deskList("/cases", 20), Paging: connector.NextLink("._links.next.href"), Items: deskItems, ID: deskID, Label: ".subject", Passing: true, Deleted: `.status == "deleted"`,
			Account: []connector.Route{{Via: "customers", Key: deskLinked("customer")}},
			Details: []connector.Detail{deskDetail("notes"), deskDetail("replies")},
			Feeds: []connector.Feed{
				{Family: "notes", Each: ".notes[]?", Fields: []connector.Field{
					{To: "external_id", From: deskPart}, {To: "create_time", From: ".created_at | time"}, {To: "subject", From: "$record | " + deskSubject},
					{To: "note", From: ".body"},
				}},
				{Family: "interactions", Each: ".replies[]?", Fields: []connector.Field{
					{To: "external_id", From: deskPart}, {To: "type", From: `.type // $record.type // "reply"`}, {To: "create_time", From: ".created_at | time"},
					{To: "subject", From: `.subject // ($record | ` + deskSubject + ")"}, {To: "details", From: ".body_text // .body"}, {To: "user", From: ".from"},
					{To: "user_id", From: "$record | " + deskLinked("customer")},
				}},
			},
		},
	},
}
