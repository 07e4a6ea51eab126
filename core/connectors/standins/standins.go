// Package standins has a stand-in for each system that there is a connector for,
// for tests. They are written from what the systems' APIs are known to be.
package standins

import (
	"fmt"

	"tenure/core/connector/connectortest"
)

// All are the stand-ins, by the connectors' names.
var All = map[string]func(*connectortest.Server){
	"braintree":    braintree,
	"capsule":      capsule,
	"chargebee":    chargebee,
	"chargify":     chargify,
	"delighted":    delighted,
	"desk":         desk,
	"freshdesk":    freshdesk,
	"infusionsoft": infusionsoft,
	"intercom":     intercom,
	"jira":         jira,
	"recurly":      recurly,
	"salesforce":   salesforce,
	"stripe":       stripe,
	"xero":         xero,
	"zendesk":      zendesk,
	"zuora":        zuora,
}

// of returns those of a file's rows whose member is a value, whatever its type.
func of(list any, member string, value any) []connectortest.Row {
	var rows []connectortest.Row
	for _, v := range list.([]any) {
		if row := v.(connectortest.Row); fmt.Sprint(row[member]) == fmt.Sprint(value) {
			rows = append(rows, row)
		}
	}
	return rows
}
