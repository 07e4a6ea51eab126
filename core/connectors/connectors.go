// Package connectors declares the systems that accounts can be kept in step with:
// one file each. What is particular to a system stands there and nowhere else.
package connectors

import (
	"time"

	"tenure/core/connector"
)

// overlap is by how much windows of changes overlap, unless a system needs more.
const overlap = 5 * time.Minute

// All returns every connector, in the order of names.
func All() []*connector.Connector {
	return []*connector.Connector{
		braintree,
		capsule,
		chargebee,
		chargify,
		delighted,
		desk,
		freshdesk,
		infusionsoft,
		intercom,
		jira,
		recurly,
		salesforce,
		stripe,
		xero,
		zendesk,
		zuora,
	}
}

// names is a definition in jq: named(given; family; full; email) yields the first
// and the last name of somebody of whom perhaps not both are known. One name alone
// is split at its last blank, and where there is none, the e-mail address has to do.
const names = `def named(given; family; full; email):
	def said: strings | trim | select(. != "");
	[(given, family) | said] as $two
	| if $two | length == 2 then $two
	  else first($two[0] // empty, (full | said), (email | strings | split("@")[0] | said), "-")
	  | split(" ") | if length > 1 then [(.[:-1] | join(" ") | trim), .[-1]] else [.[0], "-"] end
	  end; `

// first and last are the two halves of named(arguments).
func first(arguments string) string { return names + "named(" + arguments + ")[0]" }
func last(arguments string) string  { return names + "named(" + arguments + ")[1]" }

// payer yields the name of an account that somebody who pays is: the company's, or
// else the person's, the e-mail address or the last resort. Both are expressions.
func payer(company, last string) string {
	return "first((" + company + `, ([.first_name, .last_name] | map(strings | trim) | join(" ")), .email, (` + last + ` | text)) | strings | trim | select(. != "")) // null`
}
