package standins

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

// zoqlFields are the fields of the objects that are asked for; a query that names
// another one is refused.
var zoqlFields = map[string]string{
	"Account":        "Id Name AccountNumber CrmId Currency Status BillToId SoldToId NateroId__c CreatedDate UpdatedDate",
	"Contact":        "Id AccountId FirstName LastName WorkEmail PersonalEmail WorkPhone MobilePhone Address1 City State PostalCode Country CreatedDate UpdatedDate",
	"Subscription":   "Id AccountId Name OriginalId Version Status CreatedDate UpdatedDate",
	"Invoice":        "Id AccountId InvoiceNumber Amount Balance InvoiceDate DueDate Status PostedDate CreatedDate UpdatedDate",
	"InvoiceItem":    "Id InvoiceId ChargeAmount ChargeName ProcessingType RatePlanChargeId ServiceStartDate ServiceEndDate UpdatedDate",
	"InvoicePayment": "Id InvoiceId PaymentId Amount CreatedDate UpdatedDate",
	"RatePlanCharge": "Id ChargeType Name UpdatedDate",
}

// Keywords are in lower case, there are no joins and no order, and the conditions
// are joined by one word or the other.
var (
	zoqlQuery     = regexp.MustCompile(`^select ([A-Za-z0-9_]+(?:, ?[A-Za-z0-9_]+)*) from ([A-Za-z]+)(?: where (.+))?$`)
	zoqlCondition = regexp.MustCompile(`^([A-Za-z0-9_]+) (=|>=) '([^']*)'$`)
)

func zuora(s *connectortest.Server) {
	const host = "rest.eu.zuora.com"
	s.OAuth("POST "+host+"/oauth/token", connectortest.OAuth{ClientCredentials: true, Lifetime: 3599 * time.Second, Extra: map[string]any{"scope": "entity.a", "jti": "a1"}})
	s.Demand("Zuora-Entity-Ids", "2c92c0f95e1a9f0a")
	const form = "2006-01-02T15:04:05.000-07:00"
	lists := map[string]string{"Account": "accounts", "Contact": "contacts", "Subscription": "subscriptions", "Invoice": "invoices"}
	s.Collection("accounts", connectortest.Collection{ID: "Id", Updated: "UpdatedDate", Form: form})
	s.Collection("contacts", connectortest.Collection{ID: "Id", Updated: "UpdatedDate", Form: form})
	s.Collection("subscriptions", connectortest.Collection{ID: "Name", Updated: "UpdatedDate", Form: form})
	s.Collection("invoices", connectortest.Collection{ID: "Id", Updated: "UpdatedDate", Form: form, Delete: func(r connectortest.Row) { r["Status"] = "Canceled" }})
	others := map[string]string{"InvoiceItem": "items", "InvoicePayment": "payments", "RatePlanCharge": "charges"}

	query := func(q *connectortest.Request, text string) (rows []connectortest.Row) {
		parts := zoqlQuery.FindStringSubmatch(text)
		if parts == nil {
			q.Fault("this is no ZOQL: %s", text)
			return nil
		}
		object, known := parts[2], strings.Fields(zoqlFields[parts[2]])
		switch {
		case lists[object] != "":
			rows = s.Rows(lists[object])
		case others[object] != "":
			for _, row := range s.Data(others[object]).([]any) {
				rows = append(rows, row.(connectortest.Row))
			}
		default:
			q.Fault("there is no object %s", object)
		}
		fields := regexp.MustCompile(", ?").Split(parts[1], -1)
		field := func(name string) {
			if !slices.Contains(known, name) {
				q.Fault("%s has no field %s", object, name)
			}
		}
		for _, name := range fields {
			field(name)
		}
		word := " and "
		if strings.Contains(parts[3], " or ") {
			word = " or "
		}
		var conditions [][]string
		for _, text := range strings.Split(parts[3], word) {
			c := zoqlCondition.FindStringSubmatch(text)
			if c == nil && parts[3] != "" {
				q.Fault("this is no condition: %s", text)
			}
			if c != nil {
				field(c[1])
				conditions = append(conditions, c)
			}
		}
		meets := func(row connectortest.Row, c []string) bool {
			if c[2] == "=" {
				return row[c[1]] == c[3]
			}
			from, err := time.Parse(time.RFC3339, c[3]) // with its zone
			if err != nil {
				q.Fault("%s: %v", c[1], err)
			}
			at, err := time.Parse(form, fmt.Sprint(row[c[1]]))
			return err == nil && !at.Before(from)
		}
		rows = s.Select(rows, func(row connectortest.Row) bool {
			met := 0
			for _, c := range conditions {
				if meets(row, c) {
					met++
				}
			}
			return met == len(conditions) || word == " or " && met > 0
		})
		for i, row := range rows {
			rows[i] = connectortest.Row{}
			for _, name := range fields {
				if row[name] != nil { // null fields are left out
					rows[i][name] = row[name]
				}
			}
		}
		return rows
	}
	page := func(q *connectortest.Request, locator string, rows func() []connectortest.Row) any {
		cut := q.Cursor(locator, 2000, rows)
		answer := map[string]any{"size": cut.Total, "done": cut.Last, "records": cut.Rows}
		if !cut.Last {
			answer["queryLocator"] = cut.Token
		}
		return answer
	}
	s.Handle("POST "+host+"/v1/action/query", func(q *connectortest.Request) any {
		q.Known()
		text, _ := q.JSON()["queryString"].(string)
		return page(q, "", func() []connectortest.Row { return query(q, text) })
	})
	s.Handle("POST "+host+"/v1/action/queryMore", func(q *connectortest.Request) any {
		q.Known()
		locator, _ := q.JSON()["queryLocator"].(string)
		if locator == "" {
			q.Fault("there is no queryLocator")
		}
		return page(q, locator, nil)
	})
	s.Handle("GET "+host+"/v1/subscriptions/accounts/{key}", func(q *connectortest.Request) any {
		q.Known("page")
		cut := q.Linked("page", 20, of(s.Data("latest"), "accountId", q.Path("key")))
		answer := map[string]any{"success": true, "subscriptions": cut.Rows}
		if !cut.Last {
			answer["nextPage"] = q.URL("page", fmt.Sprint(cut.Page+1))
		}
		return answer
	})
	refused := map[string]any{"success": false, "processId": "3F7EA3FD706C7E7C", "reasons": []any{map[string]any{"code": 53100020, "message": "Cannot find entity by key"}}}
	s.Refused = []connectortest.Refusal{
		{Name: "a refusal with 200", Status: 200, Body: refused, Want: connector.ErrRefused},
		{Name: "neither done nor with a locator", Status: 200, Body: map[string]any{}, Want: connector.ErrAnswer},
	}
}
