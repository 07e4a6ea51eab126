package connectors

import (
	"fmt"
	"time"

	"tenure/core/connector"
)

// xeroPage is how many records a page has at most.
const xeroPage = 1000

const (
	// xeroSince has no zone and means UTC.
	xeroSince = `if $since then $since | iso | rtrimstr("Z") else null end`
	// xeroLines are the lines of an invoice without taxes. What is billed again and
	// again comes from a repeating invoice, or has one of the codes that are set.
	xeroLines = `. as $invoice | [($settings.recurring_codes // "") | split(",")[] | trim | select(. != "")] as $codes
		| [.LineItems[]? | {
			amount: ($sign * (major(.LineAmount // 0; $invoice.CurrencyCode) - (if $invoice.LineAmountTypes == "Inclusive" then major(.TaxAmount // 0; $invoice.CurrencyCode) else 0 end))),
			is_recurring: ($invoice.RepeatingInvoiceID != null or any(.ItemCode, .AccountCode; IN($codes[]))),
			description: .Description}] | select(length > 0)`
	xeroPayments = `. as $invoice | [.Payments[]? | select(.Status != "DELETED")
		| {tx_id: .PaymentID, paid_amount: ($sign * major(.Amount; $invoice.CurrencyCode)), paid_date: (.Date | time)}] | select(length > 0)`
	// xeroPeople are the contact itself and the persons that it has, who have no ids
	// of their own.
	xeroPeople = `. as $contact
		| (select([.EmailAddress, .FirstName, .LastName | strings] | add // "" | . != "")
			| {id: .ContactID, primary: true, FirstName, LastName, EmailAddress}),
		  ([.ContactPersons[]? | .EmailAddress |= email | select(.EmailAddress != null and .EmailAddress != ($contact.EmailAddress | email))]
			| unique_by(.EmailAddress)[] | {id: .EmailAddress, primary: false, FirstName, LastName, EmailAddress})`
	// xeroAddress is where invoices go.
	xeroAddress = `([.Addresses[]? | select([.AddressLine1, .City, .PostalCode, .Country | strings] | add // "" | . != "")] | first(.[] | select(.AddressType == "POBOX")) // .[0])`
	xeroIssued  = `.Status == "AUTHORISED" or .Status == "PAID"`
	xeroVoid    = `.Status == "VOIDED" or .Status == "DELETED"`
)

// xeroPhone is a contact's phone of a type.
func xeroPhone(kind string) string {
	return `first(.Phones[]? | select(.PhoneType == "` + kind + `" and (.PhoneNumber // "") != "")
		| [.PhoneCountryCode, .PhoneAreaCode, .PhoneNumber | strings | select(. != "")] | join(" "))`
}

// xeroList asks for a list page by page. It is sorted by what does not change, so
// that nothing is missed when something changes meanwhile.
func xeroList(path, id, more string, size int) connector.Request {
	return connector.Request{
		Path: path, Query: fmt.Sprintf(`{page: ($page // 1), pageSize: %d, order: "%s ASC"} + %s`, size, id, more),
		Headers: map[string]string{"If-Modified-Since": xeroSince},
	}
}

// xeroPaging ends at the last page, of which the answer tells, or at one that is
// not full.
func xeroPaging(size int) connector.Paging {
	return connector.Paging{Next: fmt.Sprintf(`($page // 1) as $at | if (if .pagination.pageCount then $at < .pagination.pageCount else $count >= %d end) then $at + 1 else null end`, size)}
}

var xero = &connector.Connector{
	Name: "xero", Title: "Xero", Kind: connector.Financial,
	Doc: "Contacts, invoices and repeating invoices of one Xero organisation. Suppliers are contacts, too: a filter on IsCustomer leaves them out.",
	Settings: []connector.Setting{
		{Name: "organisation", Title: "Organisation", Doc: "The id or the name of the organisation, if access was granted to several."},
		{Name: "scopes", Title: "Scopes", Doc: "The rights that are asked for. An app made before 2 March 2026 may have accounting.transactions.read instead of invoices and payments.",
			Pattern: `[a-z._ ]+`, Default: "offline_access accounting.contacts.read accounting.invoices.read accounting.payments.read accounting.settings.read"},
		{Name: "join_date", Title: "Join date", Doc: "Xero does not know since when a contact is a customer. This day counts as the join date of accounts made from contacts; if it is not set, the day on which the organisation began.", Pattern: `[0-9]{4}-[0-9]{2}-[0-9]{2}`},
		{Name: "recurring_codes", Title: "Recurring codes", Doc: "Codes of items or accounts, separated by commas, whose lines are recurring revenue. Lines of repeating invoices always are."},
	},
	Auth: []connector.Auth{{
		Name: "oauth", Title: "OAuth 2.0", Settings: []connector.Setting{
			{Name: "client_id", Title: "Client id", Doc: "That of your app at developer.xero.com.", Required: true},
			{Name: "client_secret", Title: "Client secret", Doc: "A secret of the app.", Required: true, Secret: true},
		},
		Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
		OAuth: &connector.OAuth{
			Grant: connector.AuthorizationCode, AuthorizeURL: `"https://login.xero.com/identity/connect/authorize"`, TokenURL: `"https://identity.xero.com/connect/token"`,
			Scopes: "$settings.scopes", PKCE: true, Basic: true, RefreshLife: 60 * 24 * time.Hour,
		},
	}},
	Base:  `"https://api.xero.com/api.xro/2.0"`,
	Hosts: []string{"api.xero.com", "identity.xero.com", "login.xero.com"},
	// Without Accept the answers are XML. The organisation is in $facts once it is known.
	Headers: map[string]string{"Accept": `"application/json"`, "Xero-tenant-id": "$facts.tenant"},
	// 60 a minute and 5,000 a day are allowed.
	Limits: connector.Limits{Requests: 50, Per: time.Minute, Pause: 30 * time.Second, MaxUsage: 0.95,
		Usage: `."x-daylimit-remaining" | if . then 1 - (tonumber / 5000) else null end`},
	Errors: connector.Errors{Message: `[.Message?, .Detail?, .Title?, (.Elements[]?.ValidationErrors[]?.Message)] | map(strings) | unique | join(": ")`},
	Check:  connector.Request{Path: `"https://api.xero.com/connections"`},
	CheckThat: `[.[] | select(.tenantType == "ORGANISATION")] | $settings.organisation as $name
		| if $name != null and all(.[]; .tenantId != $name and .tenantName != $name) then "access was not granted to the organisation \($name), but to: \(map(.tenantName) | join(", "))"
		  elif $name == null and length != 1 then "access was granted to \(length) organisations: set which one is to be read" else null end`,
	Facts: []connector.Fact{
		{Name: "tenant", Request: connector.Request{Path: `"https://api.xero.com/connections"`},
			Pick: `[.[] | select(.tenantType == "ORGANISATION" and ($settings.organisation == null or .tenantId == $settings.organisation or .tenantName == $settings.organisation))]
				| if length == 1 then .[0].tenantId else error("the organisation is not among those that access was granted to, or it is not set which one") end`},
		{Name: "organisation", Request: connector.Request{Path: "/Organisation"}, Pick: ".Organisations[0]"},
	},
	AccountField: "billing_account_id",
	Locations: []connector.Location{
		{Name: "account_number", Title: "AccountNumber of the contact", Doc: "Populate it with your own product's account id.", Best: true, Stream: "contacts", Path: ".AccountNumber | strings | select(. != \"\")", By: connector.ByAccountID},
		{Name: "email", Title: "EmailAddress of the contact", Doc: "If all e-mail addresses exist among the users and contacts of accounts. It is entered by hand.", Stream: "contacts", Path: ".EmailAddress | email", By: connector.ByEmail},
	},
	Streams: []connector.Stream{
		{
			Name: "contacts", Title: "Contacts", Accounts: true,
			Request: xeroList("/Contacts", "ContactID", "{includeArchived: true}", xeroPage), Paging: xeroPaging(xeroPage), Items: ".Contacts[]", ID: ".ContactID", Label: ".Name",
			Incremental: true, Overlap: overlap,
			Deleted: `.ContactStatus == "ARCHIVED" or .ContactStatus == "GDPRREQUEST" or .MergedToContactID != null`,
			Account: []connector.Route{{Path: ".ContactID", By: connector.ByBillingID}},
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "billing_account_id", From: ".ContactID", Attach: true}, {To: "name", From: ".Name"},
					{To: "join_date", From: `($settings.join_date | date) // ($facts.organisation.CreatedDateUTC | time) // error("Xero does not say when the organisation began: set a join date")`},
					{To: "billing_street", From: xeroAddress + ` | [.AddressLine1, .AddressLine2, .AddressLine3, .AddressLine4 | strings | select(. != "")] | select(length > 0) | join(", ")`},
					{To: "billing_city", From: xeroAddress + ".City"}, {To: "billing_state", From: xeroAddress + ".Region"},
					{To: "billing_postal_code", From: xeroAddress + ".PostalCode"}, {To: "billing_country", From: xeroAddress + ".Country"},
					{To: "phone", From: xeroPhone("DEFAULT")}, {To: "website", From: ".Website"},
				}},
				{Family: "account_contacts", Each: xeroPeople, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".FirstName; .LastName; null; .EmailAddress")},
					{To: "last_name", From: last(".FirstName; .LastName; null; .EmailAddress")}, {To: "email", From: ".EmailAddress | email"},
					{To: "is_primary", From: ".primary"}, {To: "phone", From: "if .primary then $record | " + xeroPhone("DEFAULT") + " else null end"},
					{To: "mobile_phone", From: "if .primary then $record | " + xeroPhone("MOBILE") + " else null end"},
				}},
			},
		},
		{
			Name: "invoices", Title: "Invoices", // with a page number, as otherwise they have no lines
			Request: xeroList("/Invoices", "InvoiceID", `{where: "Type==\"ACCREC\""}`, xeroPage), Paging: xeroPaging(xeroPage), Items: ".Invoices[]", ID: ".InvoiceID", Label: ".InvoiceNumber",
			Incremental: true, Overlap: overlap, Deleted: xeroVoid,
			Account: []connector.Route{{Via: "contacts", Key: ".Contact.ContactID"}}, Currency: ".CurrencyCode",
			Feeds: []connector.Feed{{Family: "statements", When: `.Type == "ACCREC" and (` + xeroIssued + ")", Fields: []connector.Field{
				{To: "invoice_id", From: ".InvoiceID"}, {To: "start_date", From: ".Date | time"}, {To: "due_date", From: ".DueDate | time"},
				{To: "paid_date", From: ".FullyPaidOnDate | time"}, {To: "line_items", From: "1 as $sign | " + xeroLines},
				{To: "transactions", From: "1 as $sign | " + xeroPayments},
			}}},
		},
		{
			Name: "credit_notes", Title: "Credit notes", Doc: "Statements with negative amounts.", Optional: true,
			Request: xeroList("/CreditNotes", "CreditNoteID", `{where: "Type==\"ACCRECCREDIT\""}`, xeroPage), Paging: xeroPaging(xeroPage), Items: ".CreditNotes[]", ID: ".CreditNoteID", Label: ".CreditNoteNumber",
			Incremental: true, Overlap: overlap, Deleted: xeroVoid,
			Account: []connector.Route{{Via: "contacts", Key: ".Contact.ContactID"}}, Currency: ".CurrencyCode",
			Feeds: []connector.Feed{{Family: "statements", When: `.Type == "ACCRECCREDIT" and (` + xeroIssued + ")", Fields: []connector.Field{
				{To: "invoice_id", From: ".CreditNoteID"}, {To: "start_date", From: ".Date | time"}, {To: "paid_date", From: ".FullyPaidOnDate | time"},
				{To: "line_items", From: "-1 as $sign | " + xeroLines}, {To: "transactions", From: "-1 as $sign | " + xeroPayments},
			}}},
		},
		{
			Name: "repeating_invoices", Title: "Repeating invoices",
			Request: connector.Request{Path: "/RepeatingInvoices", Query: `{where: "Type==\"ACCREC\""}`}, Items: ".RepeatingInvoices[]", ID: ".RepeatingInvoiceID", Label: ".Reference",
			Passing: true, Deleted: `.Status == "DELETED"`,
			Account: []connector.Route{{Via: "contacts", Key: ".Contact.ContactID"}}, Currency: ".CurrencyCode",
			Feeds: []connector.Feed{{Family: "subscriptions", When: `.Type == "ACCREC"`, Fields: []connector.Field{
				{To: "subscription_id", From: ".RepeatingInvoiceID"}, {To: "event", From: `"current"`},
				{To: "effective_start_date", From: ".Schedule.StartDate | time"}, {To: "effective_end_date", From: ".Schedule.EndDate | time"},
				{To: "total_revenue", From: "major(.SubTotal // .Total; .CurrencyCode)"},
				{To: "cycle_unit", From: `.Schedule.Unit | {WEEKLY: "day", MONTHLY: "month"}[.] // error("the schedule's unit \(.) is not known")`},
				{To: "cycle_length", From: `(.Schedule.Period // 1) * (if .Schedule.Unit == "WEEKLY" then 7 else 1 end)`},
				{To: "next_renewal_date", From: ".Schedule.NextScheduledDate | time"},
				{To: "plan_code", From: `first(.LineItems[]?.ItemCode | strings | select(. != ""))`},
			}}},
		},
		{
			Name: "contact_history", Title: "History of contacts", Doc: "What was noted about contacts and done to them. One more request for each contact that has changed.", Optional: true,
			Request: xeroList("/Contacts", "ContactID", "{}", 20), Paging: xeroPaging(20), Items: ".Contacts[]", ID: ".ContactID", Label: ".Name",
			Incremental: true, Overlap: overlap, Account: []connector.Route{{Via: "contacts", Key: ".ContactID"}},
			Details: []connector.Detail{{Request: connector.Request{Path: `/Contacts/\(.ContactID)/History`}, Items: ".HistoryRecords[]", Into: "History"}},
			Feeds: []connector.Feed{{Family: "notes", Each: ".History[]", Fields: []connector.Field{
				{To: "external_id", From: `"\($record.ContactID)/\(.DateUTC | time)"`}, // they have no ids
				{To: "create_time", From: ".DateUTC | time"}, {To: "subject", From: ".Changes"}, {To: "note", From: ".Details"},
				{To: "editor_first_name", From: `.User | strings | select(. != "") | ` + first("null; null; .; null")},
				{To: "editor_last_name", From: `.User | strings | select(. != "") | ` + last("null; null; .; null")},
			}}},
		},
	},
}
