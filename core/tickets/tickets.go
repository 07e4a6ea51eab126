// Package tickets declares the family /support_tickets ("Support Tickets" of
// the API document).
package tickets

import (
	"tenure/core/resource"
	"tenure/core/schema"
)

var declaration = schema.New("support_tickets", "Ticket", []schema.Field{
	{Name: "ticket_id", Type: schema.ID, MaxLen: 80, Required: schema.Always, Example: "4521", Doc: "Ticket ID from the support system; unique across accounts"},
	{Name: "account_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "acme-42", Doc: "Account ID of the ticket's requester; another one moves the ticket"},
	{Name: "assignee_id", Type: schema.ID, MaxLen: 128, Example: "agent-3", Doc: "ID of the ticket's assignee in the support system"},
	{Name: "assignee_email", Type: schema.String, MaxLen: 128, Email: true, Example: "agent@example.com", Doc: "Email of the ticket's assignee in the support system"},
	{Name: "type", Type: schema.String, MaxLen: 80, Example: "question", Doc: "Ticket type, such as problem, incident, question or task"},
	{Name: "state", Type: schema.String, MaxLen: 80, Required: schema.OnInsert, Example: "solved", Doc: "Ticket state, such as open, closed, solved or pending"},
	{Name: "priority", Type: schema.String, MaxLen: 80, Example: "normal", Doc: "Ticket priority, such as high, low, normal or urgent"},
	{Name: "create_time", Type: schema.Time, Required: schema.OnInsert, Example: "2026-10-01T09:00:00Z", Doc: "When the ticket was created, in epoch ms"},
	{Name: "close_time", Type: schema.Time, Example: "2026-10-02T09:00:00Z", Doc: "When the ticket was closed, in epoch ms"},
	{Name: "last_update_time", Type: schema.Time, Example: "2026-10-02T09:00:00Z", Doc: "When the ticket was last updated, in epoch ms"},
	{Name: "subject", Type: schema.String, MaxLen: 128, Required: schema.OnInsert, Example: "How do I upload a file?", Doc: "Ticket subject"},
	{Name: "description", Type: schema.String, MaxLen: 8192, Example: "The upload page was not found", Doc: "Description of the ticket"},
	{Name: "csat_label", Type: schema.String, MaxLen: 80, Example: "satisfied", Doc: "Customer satisfaction in words, such as satisfied or unhappy"},
	{Name: "csat_value", Type: schema.Long, Example: "5", Doc: "Customer satisfaction as a number"},
	{Name: "source", Type: schema.String, MaxLen: 80, Example: "Support", Doc: "Data source of the record, such as the CRM's name"},
})

// Family is the family /support_tickets.
var Family = &resource.Family{
	Schema:         declaration,
	ID:             declaration.Ordinal("ticket_id"),
	Account:        declaration.Ordinal("account_id"),
	OwnID:          true,
	Moves:          true,
	OfAccountOrder: declaration.Ordinal("create_time"),
}

var (
	state      = declaration.Ordinal("state")
	priority   = declaration.Ordinal("priority")
	createTime = declaration.Ordinal("create_time")
	closeTime  = declaration.Ordinal("close_time")
)

// Standing is how a ticket stands.
type Standing struct {
	State, Priority string // as the support system calls them
	Created         int64  // epoch ms
	// Closed is the close time, in epoch ms; nil where there is none.
	Closed *int64
}

// StandingOf returns how a ticket stands.
func StandingOf(r schema.Record) Standing {
	s := Standing{State: r[state].Text(), Priority: r[priority].Text(), Created: r[createTime].Int()}
	if !r[closeTime].IsNull() {
		at := r[closeTime].Int()
		s.Closed = &at
	}
	return s
}
