package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tenure/core/connector"
)

const (
	// An answer in ZOQL that is not whole has a locator, which lives for 15 minutes.
	zuoraNext    = `if .done == true then null else .queryLocator // error("the answer is not done, and has no queryLocator") end`
	zuoraRecords = `if .size == 0 then empty else .records[] end`
	// zuoraIDs is how many ids a query names at most.
	zuoraIDs = 50
)

// zuoraStream reads a list by ZOQL. Null fields are left out of records. fields is the
// inside of a text in jq.
func zuoraStream(name, title, fields, from string) connector.Stream {
	return connector.Stream{
		Name: name, Title: title, Incremental: true, Overlap: overlap, ID: ".Id",
		Request: connector.Request{
			Method: "POST", Path: `if $page then "/v1/action/queryMore" else "/v1/action/query" end`,
			Body: `if $page then {queryLocator: $page} else {queryString: ("select ` + fields + ` from ` + from + `" + if $since then " where UpdatedDate >= '\($since | iso)'" else "" end)} end`,
		},
		Paging: connector.NextToken(zuoraNext), Items: zuoraRecords,
	}
}

var zuora = func() *connector.Connector {
	accounts := zuoraStream("accounts", "Accounts", `Id, Name, AccountNumber, CrmId, Currency, BillToId, CreatedDate, UpdatedDate\(if $settings.account_field then ", " + $settings.account_field else "" end)`, "Account")
	accounts.Accounts, accounts.Label, accounts.Keep = true, ".Name", "{Name, Currency, BillToId}"
	accounts.Feeds = []connector.Feed{{Family: "accounts", Fields: []connector.Field{
		{To: "name", From: ".Name"}, {To: "join_date", From: ".CreatedDate | time"}, {To: "billing_account_id", From: ".Id", Attach: true}, {To: "crm_account_id", From: ".CrmId"},
	}}}

	contacts := zuoraStream("contacts", "Contacts", "Id, AccountId, FirstName, LastName, WorkEmail, PersonalEmail, WorkPhone, MobilePhone, Address1, City, State, PostalCode, Country, UpdatedDate", "Contact")
	contacts.Label, contacts.Account, contacts.Joins = ".WorkEmail // .LastName", zuoraAccount, zuoraJoin
	contacts.Feeds = []connector.Feed{{Family: "account_contacts", Fields: []connector.Field{
		{To: "user_id", From: ".Id"}, {To: "first_name", From: first(".FirstName; .LastName; null; .WorkEmail // .PersonalEmail")}, {To: "last_name", From: last(".FirstName; .LastName; null; .WorkEmail // .PersonalEmail")},
		{To: "is_primary", From: ".account.BillToId != null and .account.BillToId == .Id"},
		{To: "email", From: ".WorkEmail // .PersonalEmail"}, {To: "phone", From: ".WorkPhone"}, {To: "mobile_phone", From: ".MobilePhone"}, {To: "mailing_street", From: ".Address1"},
		{To: "mailing_city", From: ".City"}, {To: "mailing_state", From: ".State"}, {To: "mailing_postal_code", From: ".PostalCode"}, {To: "mailing_country", From: ".Country"},
	}}}

	// ZOQL has every version of a subscription, each with an id of its own, and no
	// revenue: whichever of them has changed, the latest is read with those of its
	// account.
	subscriptions := zuoraStream("subscriptions", "Subscriptions", "Id, AccountId, Name, Version, Status, UpdatedDate", "Subscription")
	subscriptions.ID, subscriptions.Label, subscriptions.Account, subscriptions.Joins, subscriptions.Currency = ".Name", ".Name", zuoraAccount, zuoraJoin, ".latest[0].currency // .account.Currency"
	subscriptions.Details = []connector.Detail{{
		Request: connector.Request{Path: `/v1/subscriptions/accounts/\(.AccountId)`}, Paging: connector.NextLink(".nextPage"),
		Items: ".subscriptions[] | select(.subscriptionNumber == $record.Name)", Into: "latest",
	}}
	subscriptions.Feeds = []connector.Feed{{Family: "subscriptions", When: `.latest[0].status | . != null and (IN("Draft", "PendingActivation", "PendingAcceptance") | not)`, Fields: []connector.Field{
		{To: "subscription_id", From: ".latest[0].subscriptionNumber"},
		{To: "event", From: `.latest[0].status | if IN("Active", "Cancelled", "Expired") then "current" else error("what the status \(.) means for the revenue is not known") end`},
		{To: "effective_start_date", From: ".latest[0].subscriptionStartDate | date"},
		{To: "effective_end_date", From: `.latest[0] | (if .status != "Active" then .termEndDate // error("it has ended, and has no termEndDate") elif .autoRenew == false then .termEndDate else null end) | date`},
		// The contracted MRR has long fractions: it is not made of rounded cents.
		{To: "total_revenue", From: `major(.latest[0].contractedMrr // error("the subscription has no contractedMrr"); .latest[0].currency // .account.Currency // error("the currency of its account is not known"))`},
		{To: "cycle_unit", From: `"month"`}, {To: "cycle_length", From: "1"},
		{To: "next_renewal_date", From: `.latest[0] | if .status == "Active" and .autoRenew == true then .termEndDate | date else null end`},
		{To: "plan_code", From: `first(.latest[0].ratePlans[]? | .productName // .ratePlanName) // null`},
	}}}

	// Only posted invoices are statements: one that is not, or no more, is taken away.
	invoices := connector.Stream{
		Name: "invoices", Title: "Invoices", Incremental: true, Overlap: overlap, ID: ".Id", Label: ".InvoiceNumber", Deleted: `.Status != "Posted"`,
		Fetch: zuoraInvoices, Account: zuoraAccount, Joins: zuoraJoin, Currency: ".account.Currency",
		Feeds: []connector.Feed{{Family: "statements", Fields: []connector.Field{
			{To: "invoice_id", From: ".Id"}, {To: "start_date", From: ".InvoiceDate | date"}, {To: "due_date", From: ".DueDate | date"},
			{To: "is_failed", From: "false"},
			{To: "line_items", From: `(.account.Currency // error("the currency of its account is not known")) as $c | [.items[] | {amount: major(.ChargeAmount; $c), is_recurring: (.ChargeType == "Recurring"), description: .ChargeName}]`},
			{To: "transactions", From: `.account.Currency as $c | [.payments[] | {tx_id: (.PaymentId // .Id), paid_amount: major(.Amount; $c), paid_date: (.CreatedDate | time)}] | if length == 0 then null else . end`},
		}}},
	}

	return &connector.Connector{
		Name: "zuora", Title: "Zuora", Kind: connector.Financial,
		Doc:  "Accounts, contacts, subscriptions and posted invoices of one tenant, by ZOQL and the REST API. The OAuth client belongs to a user with read rights.",
		Base: `"https://" + $settings.host`,
		Hosts: []string{"rest.na.zuora.com", "rest.zuora.com", "rest.eu.zuora.com", "rest.ap.zuora.com", "rest.sandbox.na.zuora.com", "rest.apisandbox.zuora.com",
			"rest.sandbox.eu.zuora.com", "rest.test.zuora.com", "rest.test.eu.zuora.com", "rest.test.ap.zuora.com"},
		Headers: map[string]string{"Zuora-Entity-Ids": "$settings.entity", "Zuora-Org-Ids": "$settings.organization"},
		Settings: []connector.Setting{
			{Name: "host", Title: "Data centre", Doc: "the host of the tenant's REST API; another one refuses the credentials", Required: true, Default: "rest.zuora.com", Choices: []string{"rest.zuora.com", "rest.na.zuora.com", "rest.eu.zuora.com", "rest.ap.zuora.com",
				"rest.apisandbox.zuora.com", "rest.sandbox.na.zuora.com", "rest.sandbox.eu.zuora.com", "rest.test.zuora.com", "rest.test.eu.zuora.com", "rest.test.ap.zuora.com"}},
			{Name: "account_field", Title: "Custom field of the account_id", Doc: "the API name of an account's custom field, which ends in __c", Pattern: `[A-Za-z][A-Za-z0-9_]*__c`},
			{Name: "entity", Title: "Entity", Doc: "the id of one entity, for tenants with several", Pattern: `[A-Za-z0-9-]+`},
			{Name: "organization", Title: "Organization", Doc: "the id of one organization, for tenants with several", Pattern: `[A-Za-z0-9-]+`},
		},
		Auth: []connector.Auth{{Name: "oauth", Title: "OAuth client",
			Settings: []connector.Setting{
				{Name: "client_id", Title: "Client ID", Doc: "of the OAuth client of a user", Required: true},
				{Name: "client_secret", Title: "Client secret", Doc: "shown once when the client is made", Secret: true, Required: true},
			},
			Headers: map[string]string{"Authorization": `"Bearer " + .access_token`},
			OAuth:   &connector.OAuth{Grant: connector.ClientCredentials, TokenURL: `"https://\($settings.host)/oauth/token"`}}},
		Limits: connector.Limits{Requests: 1200, Per: time.Minute, Pause: 30 * time.Second, Remaining: "RateLimit-Remaining", Reset: "RateLimit-Reset", SecondsLeft: true},
		// Refusals come with status 200.
		Errors: connector.Errors{Failed: `type == "object" and (.success == false or .Success == false)`,
			Message: `first(.reasons[]?.message, .Errors[]?.Message, .faultString?, .message?) // null`},
		Check: connector.Request{Method: "POST", Path: "/v1/action/query", Body: `{queryString: "select Id\(if $settings.account_field then ", " + $settings.account_field else "" end) from Account where Status = 'Active'"}`},

		AccountField: "billing_account_id",
		Locations: []connector.Location{
			{Name: "custom_field", Title: "Custom field of accounts", Doc: "A custom field of the account, typically sent from your product.", Best: true, Stream: "accounts", Path: `if $settings.account_field then .[$settings.account_field] else error("the setting 'account_field' is missing") end`, By: connector.ByAccountID},
			{Name: "id", Title: "ID of accounts", Doc: "The account has the id of Zuora's as its billing_account_id.", Stream: "accounts", Path: ".Id", By: connector.ByNativeID},
			{Name: "crm", Title: "CRM ID of accounts", Doc: "The account has the id that Zuora's plug-in for the CRM keeps as its crm_account_id.", Stream: "accounts", Path: ".CrmId", By: connector.ByCRMID},
		},
		Streams: []connector.Stream{accounts, contacts, subscriptions, invoices},
	}
}()

var (
	zuoraAccount = []connector.Route{{Via: "accounts", Key: ".AccountId"}}
	zuoraJoin    = []connector.Join{{As: "account", Stream: "accounts", Key: ".AccountId"}}
)

// zuoraInvoices reads a page of invoices, with their items and payments: for many
// invoices at once, so that a page is read while its locator lives.
func zuoraInvoices(ctx context.Context, s *connector.Session, w connector.Window, at any) ([]any, any, error) {
	query := "select Id, AccountId, InvoiceNumber, InvoiceDate, DueDate, Status, UpdatedDate from Invoice"
	if w.Since != nil {
		query += " where UpdatedDate >= '" + time.UnixMilli(*w.Since).UTC().Format(time.RFC3339) + "'"
	}
	invoices, next, err := zuoraPage(ctx, s, query, at)
	if err != nil {
		return nil, nil, err
	}
	posted := map[string]map[string]any{}
	for _, row := range invoices {
		if id, _ := row["Id"].(string); row["Status"] == "Posted" {
			posted[id] = row
			row["items"], row["payments"] = []any{}, []any{}
		}
	}
	charges := map[string][]map[string]any{} // the items of each
	for _, of := range [][2]string{
		{"items", "select Id, InvoiceId, ChargeAmount, ChargeName, RatePlanChargeId from InvoiceItem where InvoiceId = "},
		{"payments", "select Id, InvoiceId, PaymentId, Amount, CreatedDate from InvoicePayment where InvoiceId = "},
	} {
		member, query := of[0], of[1]
		err := zuoraOf(ctx, s, query, slices.Sorted(maps.Keys(posted)), func(row map[string]any) error {
			id, _ := row["InvoiceId"].(string)
			invoice := posted[id]
			if invoice == nil {
				return fmt.Errorf("%w: it has %s of other invoices", connector.ErrAnswer, member)
			}
			invoice[member] = append(invoice[member].([]any), row)
			if charge, _ := row["RatePlanChargeId"].(string); charge != "" {
				charges[charge] = append(charges[charge], row)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	// Whether an item recurs is told by its charge alone.
	err = zuoraOf(ctx, s, "select Id, ChargeType from RatePlanCharge where Id = ", slices.Sorted(maps.Keys(charges)), func(row map[string]any) error {
		id, _ := row["Id"].(string)
		for _, item := range charges[id] {
			item["ChargeType"] = row["ChargeType"]
		}
		return nil
	})
	records := make([]any, len(invoices))
	for i, row := range invoices {
		records[i] = row
	}
	return records, next, err
}

// zuoraOf reads what a query has that ends in a comparison with an id, for each of
// many ids.
func zuoraOf(ctx context.Context, s *connector.Session, query string, ids []string, take func(row map[string]any) error) error {
	_, condition, _ := strings.Cut(query, " where ")
	for some := range slices.Chunk(ids, zuoraIDs) {
		for _, id := range some {
			if strings.ContainsAny(id, `'\`) {
				return fmt.Errorf("%w: an id cannot be asked for", connector.ErrAnswer)
			}
		}
		text, at := query+"'"+strings.Join(some, "' or "+condition+"'")+"'", any(nil)
		for {
			rows, next, err := zuoraPage(ctx, s, text, at)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if err := take(row); err != nil {
					return err
				}
			}
			if next == nil {
				break
			}
			if next == at {
				return fmt.Errorf("%w: the list does not end: a page is followed by itself", connector.ErrAnswer)
			}
			at = next
		}
	}
	return nil
}

// zuoraPage reads a page of a query: the first, or that of a locator.
func zuoraPage(ctx context.Context, s *connector.Session, query string, locator any) (rows []map[string]any, next any, err error) {
	path, body := "/v1/action/query", map[string]any{"queryString": query}
	if locator != nil {
		path, body = "/v1/action/queryMore", map[string]any{"queryLocator": locator}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, nil, err
	}
	answer, err := s.Call(ctx, connector.Call{Method: http.MethodPost, Path: path, Header: http.Header{"Content-Type": {"application/json"}}, Body: text})
	if err != nil {
		return nil, nil, err
	}
	if answer.Status == http.StatusNotFound {
		return nil, nil, fmt.Errorf("%w: there are no queries (404)", connector.ErrRefused)
	}
	var page struct {
		Size         *int             `json:"size"`
		Done         bool             `json:"done"`
		QueryLocator string           `json:"queryLocator"`
		Records      []map[string]any `json:"records"`
	}
	d := json.NewDecoder(bytes.NewReader(answer.Body))
	d.UseNumber() // amounts stay as they are
	if err := d.Decode(&page); err != nil {
		return nil, nil, fmt.Errorf("%w: it is no JSON: %w", connector.ErrAnswer, err)
	}
	switch {
	case page.Size == nil || *page.Size > 0 && page.Records == nil:
		return nil, nil, fmt.Errorf("%w: it has no records", connector.ErrAnswer)
	case page.Done:
		return page.Records, nil, nil
	case page.QueryLocator == "":
		return nil, nil, fmt.Errorf("%w: the answer is not done, and has no queryLocator", connector.ErrAnswer)
	}
	return page.Records, page.QueryLocator, nil
}
