// Package standins has a stand-in for each system that there is a connector for,
// for tests. They are written from what the systems' APIs are known to be.
package standins

import "tenure/core/connector/connectortest"

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
