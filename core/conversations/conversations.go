// Package conversations declares the families /interactions and /notes
// ("Interactions" and "Notes" of the API document): what was said with a
// customer, and about one. Both get generated ids, and are known to the
// systems they come from by external ids.
package conversations

import (
	"slices"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

// first are the fields that both families begin with.
var first = []schema.Field{
	{Name: "id", Type: schema.Long, Doc: "Internal ID: generated, unique, rising with time, below 2^53"},
	{Name: "external_id", Type: schema.ID, MaxLen: 80, Example: "msg-9001", Doc: "ID in the system the record comes from; unique. Null makes it a record without one"},
	{Name: "account_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "acme-42", Doc: "Account ID; another one moves the record"},
	{Name: "create_time", Type: schema.Time, Required: schema.OnInsert, Example: "2026-10-01T09:00:00Z", Doc: "When the record was created, in epoch ms"},
	{Name: "modify_time", Type: schema.Time, ReadOnly: true, Doc: "When the record was last changed here, in epoch ms"},
}

// source and isHTML are the fields that both families end with.
var last = []schema.Field{
	{Name: "source", Type: schema.String, MaxLen: 80, Example: "CRM", Doc: "Source of the last modification, such as Salesforce or Intercom"},
	{Name: "is_html", Type: schema.Boolean, Default: "false", Example: "FALSE", Doc: "Whether the text is HTML; plain text otherwise"},
}

// Interactions is the family /interactions.
var Interactions = family("interactions", "Interaction", slices.Concat(first, []schema.Field{
	{Name: "type", Type: schema.String, MaxLen: 80, Required: schema.OnInsert, Example: "email", Doc: "Type of interaction, such as email, in-person or phone"},
	{Name: "rep_email", Type: schema.String, MaxLen: 80, Email: true, Example: "csm@example.com", Doc: "Email address of the rep who communicated with the customer"},
	{Name: "rep_first_name", Type: schema.String, MaxLen: 80, Example: "Sam", Doc: "First name of the rep"},
	{Name: "rep_last_name", Type: schema.String, MaxLen: 80, Example: "Seller", Doc: "Last name of the rep"},
	{Name: "user_id", Type: schema.ID, MaxLen: 80, Example: "jane-1", Doc: "CRM user ID of the customer's contact"},
	{Name: "user", Type: schema.String, MaxLen: 80, Example: "Jane Doe", Doc: "Name or email of the customer's contact, where there is no CRM user ID"},
	{Name: "subject", Type: schema.String, MaxLen: 128, Example: "Next steps", Doc: "Subject of the interaction"},
	{Name: "details", Type: schema.String, MaxLen: 262144, Example: "Agreed to train ten more people", Doc: "Details of the interaction: the message's body"},
}, last))

// Notes is the family /notes.
var Notes = family("notes", "Note", slices.Concat(first, []schema.Field{
	{Name: "rep_email", Type: schema.String, MaxLen: 80, Email: true, Example: "csm@example.com", Doc: "Email address of the rep who created or modified the note"},
	{Name: "editor_first_name", Type: schema.String, MaxLen: 80, Example: "Sam", Doc: "First name of the person who created or modified the note"},
	{Name: "editor_last_name", Type: schema.String, MaxLen: 80, Example: "Seller", Doc: "Last name of the person who created or modified the note"},
	{Name: "subject", Type: schema.String, MaxLen: 512, Example: "Next steps", Doc: "Subject of the note"},
	{Name: "note", Type: schema.String, MaxLen: 32768, Example: "They want to train ten more people", Doc: "Contents of the note"},
}, last))

// The ordinals of the fields that both families begin with.
const (
	id = iota
	externalID
	accountID
	createTime
	modifyTime
)

func family(name, singular string, fields []schema.Field) *resource.Family {
	s := schema.New(name, singular, fields)
	return &resource.Family{
		Schema:      s,
		ID:          id,
		Account:     accountID,
		OwnID:       true,
		Moves:       true,
		Generated:   &resource.Generated{External: externalID},
		Orders:      []resource.Order{{Name: "id", Index: table.Base, Fields: []int{id}}},
		LargeBodies: true,
		Merge: func(c resource.Change) (schema.Record, *core.Failure) {
			r, failure := s.Merge(c.Old, c.Patch)
			if failure == nil && (c.Old == nil || !s.Equal(c.Old, r)) {
				r[modifyTime] = schema.Int(c.Now)
			}
			return r, failure
		},
	}
}

// Filter is what a list of interactions or notes is restricted to.
type Filter struct {
	// CreatedFrom and ModifiedFrom are the earliest create_time and modify_time
	// (epoch ms); nil for any.
	CreatedFrom, ModifiedFrom *int64
	// WithoutExternalID leaves out records that have one.
	WithoutExternalID bool
}

// Match reports whether the record of either family passes.
func (f Filter) Match(r schema.Record) bool {
	return (f.CreatedFrom == nil || r[createTime].Int() >= *f.CreatedFrom) &&
		(f.ModifiedFrom == nil || r[modifyTime].Int() >= *f.ModifiedFrom) &&
		(!f.WithoutExternalID || r[externalID].IsNull())
}
