// Package connector is the machinery that reads another system's records over
// its HTTP API, and the vocabulary in which such a system is declared. It names
// no system: what is particular to one stands in its declaration (core/connectors).
//
// A declaration is data. Where a value depends on others it is a jq expression
// (core/mapping), so that there is one language for requests, for finding records
// in answers, for paging and for mapping fields. Variables of all expressions:
//
//	$settings  what the administrator has set, by Setting.Name; no secrets
//	$token     what Auth.OAuth.Keep has kept of the token's answer
//	$facts     what the connector's and the stream's Facts have found
//	$since     epoch ms from which changes are asked for; null: all records
//	$cursor    what Stream.Resume has kept of the last run; null: all records
//	$page      what Paging.Next has returned for this page; null: the first one
//	$now       epoch ms
//
// The input of an expression is what its comment says.
package connector

import (
	"context"
	"time"
)

// Kind says what a system is for, in the words of the integrations article.
type Kind string

// The kinds of systems.
const (
	CRM          Kind = "CRM"
	Support      Kind = "Customer support"
	Financial    Kind = "Financial"
	Interactions Kind = "Interactions"
	Survey       Kind = "NPS"
)

// Connector declares one system.
type Connector struct {
	// Name names it in settings and paths: lower-case letters and digits.
	Name string
	// Title is what people call it. Records that come from it have it as their
	// "source", if they have such a field.
	Title string
	Kind  Kind
	// Doc says in a sentence or two what an administrator needs to know.
	Doc string
	// Ended says that the service has ended; nil while it goes on. Then records
	// come from exported files alone.
	Ended *Ended

	// Settings are what an administrator sets beside the credentials.
	Settings []Setting
	// Auth are the ways to authenticate, the usual one first.
	Auth []Auth
	// Base is the URL that paths are relative to: an expression, without input.
	Base string
	// Hosts are the only hosts that requests go to, such as "api.example.com", or
	// "*.example.com" for all below it.
	Hosts []string
	// Headers are sent with every request: expressions by name, without input. One
	// that is null is not sent.
	Headers map[string]string
	// Limits are how fast requests may follow each other.
	Limits Limits
	// Errors reads answers that are refusals.
	Errors Errors
	// Check is a request that succeeds if the credentials are good and the
	// settings right. What it answers must meet CheckThat, if set: an expression,
	// whose text is what is wrong.
	Check     Request
	CheckThat string
	// Facts are found once a run, before anything else.
	Facts []Fact

	// AccountField is the field of an account that holds this system's own id of
	// it: crm_account_id, billing_account_id or support_account_id.
	AccountField string
	// Locations are where the account_id may be, the best first (seed
	// "Where to store the account_id?").
	Locations []Location
	// Streams are read in this order. One that others join stands before them.
	Streams []Stream
	// Decode, if set, reads the body of an answer in place of JSON, and returns what it
	// says as JSON values.
	Decode func(body []byte) (any, error)
	// Functions are further functions of the declaration's expressions, by name;
	// each has the input and no argument.
	Functions map[string]func(input any) any
}

// Ended says that a service has ended.
type Ended struct {
	// Since is the day, such as "2026-06-30", or the year.
	Since string
	// Message says it to people.
	Message string
}

// Setting is something an administrator sets.
type Setting struct {
	// Name is lower case with underscores.
	Name, Title, Doc string
	// Secret is sealed, and never shown again.
	Secret   bool
	Required bool
	// Choices are the only values there are; empty: any.
	Choices []string
	// Pattern is a regular expression that the whole value matches; empty: any
	// text of at most 512 code points on one line.
	Pattern string
	// Default holds where nothing is set.
	Default string
	// Path says that the value is an expression over a record.
	Path bool
}

// Auth is a way to authenticate.
type Auth struct {
	// Name is a stable word, such as "api_key"; Title is for people.
	Name, Title string
	// Settings are the credentials.
	Settings []Setting
	// Headers are what authenticates a request: expressions by name. Their input
	// has the credentials by name; with OAuth, "access_token" as well.
	Headers map[string]string
	// Base, if set, replaces the connector's.
	Base string
	// OAuth is how tokens are obtained; nil for keys.
	OAuth *OAuth
}

// Grants reports whether a person grants access this way.
func (a *Auth) Grants() bool { return a.OAuth != nil && a.OAuth.Grant == AuthorizationCode }

// Granting returns the way in which a person grants access to the system; nil if there
// is none.
func (c *Connector) Granting() *Auth {
	for i := range c.Auth {
		if c.Ended == nil && c.Auth[i].Grants() {
			return &c.Auth[i]
		}
	}
	return nil
}

// Grant is how a first token is obtained.
type Grant string

// The grants of OAuth 2.0 that are used (RFC 6749, sections 4.1 and 4.4).
const (
	AuthorizationCode Grant = "authorization_code"
	ClientCredentials Grant = "client_credentials"
)

// OAuth says how tokens are obtained. The credentials have "client_id" and
// "client_secret".
type OAuth struct {
	Grant Grant
	// AuthorizeURL is where a person grants access; TokenURL is where tokens come
	// from: expressions, without input.
	AuthorizeURL, TokenURL string
	// Params are further parameters of the authorize URL.
	Params map[string]string
	// Scopes is an expression that yields the scopes, separated by blanks.
	Scopes string
	// PKCE sends a code challenge (RFC 7636).
	PKCE bool
	// JSON sends token requests as JSON, not as a form.
	JSON bool
	// Basic sends the client's id and secret as HTTP Basic credentials;
	// BasicRefresh does so when a token is refreshed only.
	Basic, BasicRefresh bool
	// Keep is an expression over the token's answer, whose result is kept as
	// $token; nothing secret.
	Keep string
	// RefreshLife is how long a refresh token lives unused; 0: not known. Its
	// owner is warned before.
	RefreshLife time.Duration
}

// Limits are how fast requests may follow each other.
type Limits struct {
	// Requests is how many may be sent per Per, unless the administrator has set
	// another number. It is chosen to stay below the system's own limit.
	Requests int
	Per      time.Duration
	// Pause is how long to wait after a refusal that does not say; at least.
	Pause time.Duration
	// Remaining and Reset are the headers that say how many requests are left and
	// when there will be more. SecondsLeft says that Reset counts from now;
	// otherwise it is unix seconds.
	Remaining, Reset string
	SecondsLeft      bool
	// Usage is an expression over the headers (by lower-case name, text), which
	// yields what share of a long-term quota is used up, from 0 to 1. From
	// MaxUsage on, the run stops for an hour.
	Usage    string
	MaxUsage float64
}

// Errors reads answers that are refusals.
type Errors struct {
	// Failed is an expression over the body of an answer with status 200, true if
	// it is a refusal all the same.
	Failed string
	// Message is an expression over the body of a refusal, which yields what the
	// system says.
	Message string
	// Limited is an expression over {status, body, headers}, true if the refusal
	// means that too much was asked for: wait and try again. 429 always means so.
	Limited string
	// Expired is an expression over {status, body}, true if the access token has
	// to be refreshed. 401 always means so.
	Expired string
	// Again are further statuses that are tried again, beside 5xx.
	Again []int
	// Gone is an expression over {status, body, headers}, true if the answer shows
	// that the service has ended.
	Gone string
}

// Request is a request to the system.
type Request struct {
	// Method is GET if empty.
	Method string
	// Path is relative to the base. One that begins with "/" is text in which
	// \(expression) stands for a value, which is escaped; any other is an
	// expression that yields the path.
	Path string
	// Query is an expression that yields an object: its null members are left out,
	// an array repeats the parameter, brackets belong to the name.
	Query string
	// Headers are expressions by name.
	Headers map[string]string
	// Body is an expression that yields what is sent as JSON.
	Body string
}

// Paging says how the pages of a list follow each other. There are functions
// that return the usual kinds.
type Paging struct {
	// Next is an expression over the body of a page, which yields $page of the
	// next one, or null, false or "" if this is the last. Beside the variables of
	// all expressions it has $count, the number of records on the page, $last, the
	// last one, and $links, the targets of the Link header by relation.
	Next string
	// Follow says that what Next yields is the URL or path of the next page, to be
	// asked for as it stands.
	Follow bool
	// MaxPages is how many pages a list has at most. After that it is asked for
	// anew with $since as Restart yields it, over the last page like Next.
	MaxPages int
	Restart  string
}

// Fact is something to be found out before the records.
type Fact struct {
	// Name is its name within $facts. Streams that need the same one declare it alike.
	Name string
	Request
	// Pick is an expression over the body of the answer; empty for all of it.
	Pick string
}

// Detail is a list that belongs to a record and has to be asked for by itself.
type Detail struct {
	// For is the family whose feed the detail is for: if that is off, nothing is asked
	// for. Empty: it is part of the record whatever becomes of that.
	For string
	// When is an expression over the record, true if there is something to ask
	// for; empty for always.
	When string
	// Request and Paging are over the record.
	Request
	Paging Paging
	// Items is an expression over the body of a page.
	Items string
	// Into is the member of the record that holds the list afterwards: it replaces
	// what is there. A dot leads into an object.
	Into string
}

// Changes is a feed that tells which records have changed, each of which is then
// read anew.
type Changes struct {
	Request
	Paging Paging
	// Items is an expression over the body of a page, which yields an object
	// {id, deleted} for each change, in any order.
	Items string
	// Get asks for one record; its input is that object. Deleted ones are not
	// asked for.
	Get Request
	// Record is an expression over the body of its answer; empty for all of it. One
	// that yields null was deleted.
	Record string
	// Kept is for how long changes are told. If the last run is longer ago, all
	// records are read.
	Kept time.Duration
}

// Stream is a list of records of one kind.
type Stream struct {
	// Name names it in settings and reports; Title and Doc are for people.
	Name, Title, Doc string
	// Optional streams are read only where the administrator has chosen so.
	Optional bool

	Request
	Paging Paging
	// Pace is how much time lies between two pages at least, where the system allows
	// fewer requests for the list than others. Streams with the same Path share it.
	Pace time.Duration
	// Items is an expression over the body of a page, which yields its records,
	// one by one.
	Items string
	// ID is an expression over a record, which yields the system's own id of it.
	ID string
	// Label is an expression over a record, by which people know it; for reports.
	Label string
	// Facts are found once a run, before the stream is read.
	Facts []Fact
	// Details complete each record.
	Details []Detail
	// Fetch, if set, reads a page in place of Request, Paging and Items: the
	// escape hatch. at is what it returned as next for the page before, null for
	// the first one; next is null when there are no more.
	Fetch func(ctx context.Context, s *Session, w Window, at any) (records []any, next any, err error)

	// Incremental says that Request asks for changes since $since, by which a
	// list of all records is not to be had every time. Overlap is by how much
	// windows overlap.
	Incremental bool
	Overlap     time.Duration
	// Resume, if set, is an expression over the body of a page. What it yields at
	// the last one is $cursor of the next run, and $since does not matter then.
	Resume string
	// Changes, if set, are asked for instead once all records have been read.
	Changes *Changes
	// Passing says that a list of all records is read every time. Then a record
	// that is as it was is passed over, and one that is missing was deleted.
	// (A stream is Incremental, has Changes, or is Passing.)
	Passing bool

	// Deleted is an expression over a record, true if the system has deleted it.
	Deleted string
	// Deletes is the stream whose records this one says were deleted: it has
	// nothing of them but their ids.
	Deletes string

	// Accounts says that each record is what the system has for an account: the
	// System of Record makes accounts of them.
	Accounts bool
	// Account is how the account of a record is found, tried in this order. Before
	// them all comes the Location that the administrator has chosen, if it is in
	// this stream.
	Account []Route
	// Keep is an expression over a record, which yields what is remembered of it
	// for records of other streams: an object. Streams that others join, or find
	// accounts through, have their records remembered.
	Keep string
	// Joins are added to a record before anything else is computed from it.
	Joins []Join
	// Currency is an expression over a record, which yields the currency of its
	// amounts; for people and reports, as the mapping names it itself.
	Currency string

	// Feeds are what becomes of the records.
	Feeds []Feed
}

// Join adds what was remembered of another stream's record.
type Join struct {
	// As is the member of the record that it becomes; null where there is none.
	As string
	// Stream is the other stream. Key is an expression over the record, which
	// yields the other one's id.
	Stream, Key string
}

// Route is a way from a record to its account.
type Route struct {
	// Via is the stream of another record, which belongs to the same account; Key
	// is an expression over this one, which yields the other one's id.
	Via, Key string
	// Path, without Via, is an expression over the record, and By says what it
	// yields.
	Path string
	By   By
}

// By says what a value is that leads to an account.
type By string

const (
	// ByAccountID: it is the account_id.
	ByAccountID By = "account_id"
	// ByNativeID: it is the system's own id of the account: an account that has it
	// in the connector's AccountField, or as its account_id.
	ByNativeID By = "native_id"
	// ByEmail: it is an e-mail address of one of the account's users or contacts.
	ByEmail By = "email"
	// ByCRMID, ByBillingID and BySupportID: an account has it in the field of that
	// name.
	ByCRMID     By = "crm_account_id"
	ByBillingID By = "billing_account_id"
	BySupportID By = "support_account_id"
)

// Variables are the variables of all expressions, and "record", by which the
// expressions of Feed.Fields know the record that Feed.Each is over.
var Variables = []string{"settings", "token", "facts", "since", "cursor", "page", "now", "record"}

// Location is a place where the account_id may be.
type Location struct {
	// Name is a stable word; Title and Doc are for people.
	Name, Title, Doc string
	// Best is set for those that the integrations article calls the best choice;
	// the others are acceptable.
	Best bool
	// Stream has it; Path is an expression over a record of it. A setting of the
	// connector may take the place of a name in it, by $settings.
	Stream, Path string
	By           By
}

// Feed is what becomes of the records of a stream: records of one family.
type Feed struct {
	// Family is the name of the family, such as "support_tickets".
	Family string
	// Optional feeds are on only where the administrator has chosen so.
	Optional bool
	// When is an expression over the record, true if it becomes one; empty for
	// always.
	When string
	// Each is an expression over the record, which yields what each of several
	// records is made from; empty: the record itself makes one. The expressions of
	// Fields then have it as input, and the record as $record.
	Each string
	// Fields are the default mapping. Another one may take its place in a workspace.
	Fields []Field
}

// Field maps a field.
type Field struct {
	// To is a field of the family, or a dimension as "custom_label_dimensions.KEY".
	To string
	// From is an expression over the record.
	From string
	// Attach says, in the family accounts, that the field is set where this source
	// is not the System of Record, too.
	Attach bool
}
