// Package catalog is the one list of the resource families.
package catalog

import (
	"tenure/core/accounts"
	"tenure/core/conversations"
	"tenure/core/metrics"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/statements"
	"tenure/core/subscriptions"
	"tenure/core/tickets"
)

// Root is the family that the records of every other belong to.
var Root = accounts.Family

// All returns every resource family, in the order of the API document.
func All() []*resource.Family {
	return []*resource.Family{
		accounts.Family, people.Users, people.Contacts, metrics.Family, subscriptions.Family, statements.Family,
		tickets.Family, conversations.Interactions, conversations.Notes,
	}
}
