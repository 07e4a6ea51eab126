package connectors

import (
	"time"

	"tenure/core/connector"
)

// zuoraQuery reads a list by ZOQL: the first page by the query, the others by their
// locator, which lives for 15 minutes. Null fields are left out of records.
func zuoraQuery(fields, from, where string) (connector.Request, connector.Paging) {
	query := `"select ` + fields + ` from ` + from + `" + ([` + where + `, (if $since then "UpdatedDate >= '\($since | iso)'" else empty end)] | if length == 0 then "" else " where " + join(" and ") end)`
	return connector.Request{
		Method: "POST", Path: `if $page then "/v1/action/queryMore" else "/v1/action/query" end`,
		Body: `if $page then {queryLocator: $page} else {queryString: (` + query + `)} end`,
	}, connector.NextToken("if .done then null else .queryLocator end")
}

func zuoraStream(name, title, fields, from, where string) connector.Stream {
	request, paging := zuoraQuery(fields, from, where)
	return connector.Stream{Name: name, Title: title, Incremental: true, Overlap: overlap, Request: request, Paging: paging, Items: ".records[]?", ID: ".Id"}
}

var zuora = func() *connector.Connector {
	accounts := zuoraStream("accounts", "Accounts", `Id, Name, AccountNumber, CrmId, Currency, Status, CreatedDate, UpdatedDate, BillToId\(if $settings.account_field then ", " + $settings.account_field else "" end)`, "Account", "empty")
	accounts.Accounts, accounts.Label, accounts.Keep = true, ".Name", "{Name, Currency}"
	accounts.Deleted = `.Status == "Canceled"`
	accounts.Feeds = []connector.Feed{{Family: "accounts", Fields: []connector.Field{
		{To: "name", From: ".Name"}, {To: "join_date", From: ".CreatedDate | time"}, {To: "billing_account_id", From: ".Id", Attach: true}, {To: "crm_account_id", From: ".CrmId"},
	}}}

	contacts := zuoraStream("contacts", "Contacts", "Id, AccountId, FirstName, LastName, WorkEmail, PersonalEmail, WorkPhone, MobilePhone, Address1, City, State, PostalCode, Country, CreatedDate, UpdatedDate", "Contact", "empty")
	contacts.Label, contacts.Account = ".WorkEmail // .LastName", zuoraAccount
	contacts.Feeds = []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
		{To: "user_id", From: ".Id"}, {To: "first_name", From: first(".FirstName; .LastName; null; .WorkEmail // .PersonalEmail")}, {To: "last_name", From: last(".FirstName; .LastName; null; .WorkEmail // .PersonalEmail")},
		{To: "email", From: ".WorkEmail // .PersonalEmail"}, {To: "phone", From: ".WorkPhone"}, {To: "mobile_phone", From: ".MobilePhone"}, {To: "mailing_street", From: ".Address1"},
		{To: "mailing_city", From: ".City"}, {To: "mailing_state", From: ".State"}, {To: "mailing_postal_code", From: ".PostalCode"}, {To: "mailing_country", From: ".Country"},
	}}}

	// ZOQL has every version of a subscription, and nothing of its charges: the latest
	// one is read with those of its account.
	versions := zuoraStream("subscriptions", "Subscriptions", "Id, AccountId, Name, OriginalId, Version, Status, UpdatedDate", "Subscription", "empty")
	versions.ID, versions.Label, versions.Account, versions.Currency = ".OriginalId // .Id", ".Name", zuoraAccount, ".account.Currency"
	versions.Joins = []connector.Join{{As: "account", Stream: "accounts", Key: ".AccountId"}}
	versions.Details = []connector.Detail{{
		Request: connector.Request{Path: `/v1/subscriptions/accounts/\(.AccountId)`, Query: `{"charge-detail": "current-segment"}`}, Paging: connector.NextLink(".nextPage"),
		Items: ".subscriptions[] | select(.subscriptionNumber == $record.Name)", Into: "latest",
	}}
	versions.Feeds = []connector.Feed{{Family: "subscriptions", When: `(.latest[0].status | IN("Active", "Cancelled", "Expired", "Suspended"))`, Fields: []connector.Field{
		{To: "subscription_id", From: ".latest[0].subscriptionNumber"}, {To: "event", From: `"current"`},
		{To: "effective_start_date", From: ".latest[0].subscriptionStartDate | date"},
		{To: "effective_end_date", From: `.latest[0] | (if .status == "Cancelled" or .status == "Expired" or .autoRenew == false then .termEndDate else null end) | date`},
		// The contracted MRR has long fractions: it is not made of rounded cents.
		{To: "total_revenue", From: `major(.latest[0].contractedMrr // error("the subscription has no contractedMrr"); .latest[0].currency // .account.Currency)`},
		{To: "cycle_unit", From: `"month"`}, {To: "cycle_length", From: "1"},
		{To: "next_renewal_date", From: `.latest[0] | if .status == "Active" and .autoRenew == true then .termEndDate | date else null end`},
		{To: "plan_code", From: `.latest[0].ratePlans | if . == null then null else first(.[] | (.productName // .ratePlanName)) end`},
	}}}

	invoices := zuoraStream("invoices", "Invoices", "Id, AccountId, InvoiceNumber, Amount, Balance, InvoiceDate, DueDate, Status, PostedDate, CreatedDate, UpdatedDate", "Invoice", `"Status = 'Posted'"`)
	invoices.Label, invoices.Account, invoices.Currency = ".InvoiceNumber", zuoraAccount, ".account.Currency"
	invoices.Joins = []connector.Join{{As: "account", Stream: "accounts", Key: ".AccountId"}}
	items, itemPages := zuoraQuery("Id, InvoiceId, ChargeAmount, ChargeName, ChargeType, ProcessingType, ProductName, SubscriptionNumber", "InvoiceItem", "empty")
	items.Body = `if $page then {queryLocator: $page} else {queryString: "select Id, InvoiceId, ChargeAmount, ChargeName, ProcessingType, SubscriptionId, ServiceStartDate, ServiceEndDate, RatePlanChargeId from InvoiceItem where InvoiceId = '\(.Id)'"} end`
	payments, paymentPages := zuoraQuery("Id", "InvoicePayment", "empty")
	payments.Body = `if $page then {queryLocator: $page} else {queryString: "select Id, InvoiceId, PaymentId, Amount, CreatedDate from InvoicePayment where InvoiceId = '\(.Id)'"} end`
	invoices.Details = []connector.Detail{
		{Request: items, Paging: itemPages, Items: ".records[]?", Into: "items"},
		{Request: payments, Paging: paymentPages, Items: ".records[]?", Into: "payments"},
	}
	invoices.Feeds = []connector.Feed{{Family: "statements", When: `.Status == "Posted"`, Fields: []connector.Field{
		{To: "invoice_id", From: ".Id"}, {To: "start_date", From: ".InvoiceDate | date"}, {To: "due_date", From: ".DueDate | date"},
		{To: "is_failed", From: "false"},
		{To: "line_items", From: `.account.Currency as $c | [.items[] | {amount: major(.ChargeAmount; $c), is_recurring: ((.ServiceEndDate // null) != null and .ServiceEndDate != .ServiceStartDate), description: .ChargeName}]`},
		{To: "transactions", From: `.account.Currency as $c | [.payments[] | {tx_id: (.PaymentId // .Id), paid_amount: major(.Amount; $c), paid_date: (.CreatedDate | time)}] | if length == 0 then null else . end`},
	}}}

	return &connector.Connector{
		Name: "zuora", Title: "Zuora", Kind: connector.Financial,
		Doc:  "Accounts, contacts, subscriptions and posted invoices of one tenant, by ZOQL and the REST API. The OAuth client belongs to a user with read rights.",
		Base: `"https://" + $settings.host`,
		Hosts: []string{"rest.na.zuora.com", "rest.zuora.com", "rest.eu.zuora.com", "rest.ap.zuora.com", "rest.sandbox.na.zuora.com", "rest.apisandbox.zuora.com",
			"rest.sandbox.eu.zuora.com", "rest.test.zuora.com", "rest.test.eu.zuora.com", "rest.test.ap.zuora.com"},
		Headers: map[string]string{"Zuora-Entity-Ids": "$settings.entity"},
		Settings: []connector.Setting{
			{Name: "host", Title: "Data centre", Doc: "the host of the tenant's REST API; another one refuses the credentials", Required: true, Default: "rest.zuora.com", Choices: []string{"rest.zuora.com", "rest.na.zuora.com", "rest.eu.zuora.com", "rest.ap.zuora.com",
				"rest.apisandbox.zuora.com", "rest.sandbox.na.zuora.com", "rest.sandbox.eu.zuora.com", "rest.test.zuora.com", "rest.test.eu.zuora.com", "rest.test.ap.zuora.com"}},
			{Name: "account_field", Title: "Custom field of the account_id", Doc: "the API name of an account's custom field, which ends in __c", Pattern: `[A-Za-z][A-Za-z0-9_]*__c`},
			{Name: "entity", Title: "Entity", Doc: "for tenants with several", Pattern: `[A-Za-z0-9-]+`},
		},
		Auth: []connector.Auth{{Name: "oauth", Title: "OAuth client",
			Settings: []connector.Setting{
				{Name: "client_id", Title: "Client ID", Doc: "of the OAuth client of a user", Required: true},
				{Name: "client_secret", Title: "Client secret", Doc: "shown once when the client is made", Secret: true, Required: true},
			},
			Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
			OAuth:   &connector.OAuth{Grant: connector.ClientCredentials, TokenURL: `"https://\($settings.host)/oauth/token"`}}},
		Limits: connector.Limits{Requests: 600, Per: time.Minute, Pause: 30 * time.Second, Remaining: "RateLimit-Remaining", Reset: "RateLimit-Reset", SecondsLeft: true},
		// Refusals come with status 200.
		Errors: connector.Errors{Failed: `type == "object" and (.success == false or .Success == false)`,
			Message: `first(.reasons[]?.message, .Errors[]?.Message, .faultString?, .message?) // null`},
		Check: connector.Request{Method: "POST", Path: "/v1/action/query", Body: `{queryString: "select Id from Account where Status = 'Active'"}`},

		AccountField: "billing_account_id",
		Locations: []connector.Location{
			{Name: "custom_field", Title: "Custom field of accounts", Doc: "A custom field of the account, typically sent from your product.", Best: true, Stream: "accounts", Path: `if $settings.account_field then .[$settings.account_field] else error("the setting 'account_field' is missing") end`, By: connector.ByAccountID},
			{Name: "id", Title: "ID of accounts", Doc: "The account has the id of Zuora's as its billing_account_id.", Stream: "accounts", Path: ".Id", By: connector.ByNativeID},
			{Name: "crm", Title: "CRM ID of accounts", Doc: "The account has the id that Zuora's plug-in for the CRM keeps as its crm_account_id.", Stream: "accounts", Path: ".CrmId", By: connector.ByCRMID},
		},
		Streams: []connector.Stream{accounts, contacts, versions, invoices},
	}
}()

var zuoraAccount = []connector.Route{{Via: "accounts", Key: ".AccountId"}}
