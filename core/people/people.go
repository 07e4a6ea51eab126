// Package people declares the two families of persons who belong to an
// account: product users and CRM contacts ("Accounts Product Users" and
// "Account Contacts" of the API document). They share nearly every field, so
// each is declared once here and the families pick theirs.
package people

import (
	"slices"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

var (
	accountID = schema.Field{Name: "account_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "acme-42", Doc: "Account ID"}
	firstName = schema.Field{Name: "first_name", Type: schema.String, MaxLen: 80, Required: schema.OnInsert, Example: "Jane", Doc: "First name"}
	lastName  = schema.Field{Name: "last_name", Type: schema.String, MaxLen: 80, Required: schema.OnInsert, Example: "Doe", Doc: "Last name"}
)

// details are the optional fields of both families, from phone to source.
var details = []schema.Field{
	{Name: "phone", Type: schema.String, MaxLen: 80, Example: "555 0100", Doc: "Phone number"},
	{Name: "mobile_phone", Type: schema.String, MaxLen: 80, Example: "555 0101", Doc: "Mobile phone number"},
	{Name: "email", Type: schema.String, MaxLen: 512, Email: true, Example: "jane.doe@example.com", Doc: "Email address"},
	{Name: "salutation", Type: schema.String, MaxLen: 80, Example: "Ms", Doc: "Greeting, such as Mr, Ms, Dr"},
	{Name: "title", Type: schema.String, MaxLen: 128, Example: "CEO", Doc: "Title, such as CEO or Customer Success Manager"},
	{Name: "role", Type: schema.String, MaxLen: 128, Example: "Decision Maker", Doc: "Role, such as Decision Maker, Approver or Buyer"},
	{Name: "department", Type: schema.String, MaxLen: 128, Example: "Management", Doc: "Department"},
	{Name: "lead_source", Type: schema.String, MaxLen: 80, Example: "Trade fair", Doc: "Source of lead for this person"},
	{Name: "mailing_street", Type: schema.String, MaxLen: 512, Example: "1 Main Street", Doc: "Street address"},
	{Name: "mailing_city", Type: schema.String, MaxLen: 80, Example: "Springfield", Doc: "City"},
	{Name: "mailing_state", Type: schema.String, MaxLen: 80, Example: "IL", Doc: "State name or code"},
	{Name: "mailing_postal_code", Type: schema.String, MaxLen: 80, Example: "62701", Doc: "Zip or postal code"},
	{Name: "mailing_country", Alias: "maling_country", Type: schema.String, MaxLen: 80, Example: "US", Doc: "Country name or code"},
	{Name: "source", Type: schema.String, MaxLen: 80, Example: "CRM", Doc: "Data source of the record, such as the CRM's name"},
	{Name: "is_active", Type: schema.Boolean, Default: "true", Example: "TRUE", Doc: "Whether the person is active; inactive ones are hidden from lists"},
}

// RemoveDimensions returns the edit that removes the custom dimensions of every
// kind called key, or all of them when key is nil. Removing what is not there is
// no error (contract Q12).
func RemoveDimensions(f *resource.Family, key *string) func(schema.Record) (schema.Record, *core.Failure) {
	return func(old schema.Record) (schema.Record, *core.Failure) {
		r := slices.Clone(old)
		for i := range f.Schema.Fields {
			if f.Schema.Fields[i].Type == schema.List {
				r[i] = f.Schema.List(i).Without(r[i], func(dimension schema.Record) bool {
					return key == nil || dimension[0].Text() == *key
				})
			}
		}
		return r, nil
	}
}

// Users is the family /account_users: people with a login to the product.
var Users = family("account_users", "User", slices.Concat(
	[]schema.Field{
		{Name: "user_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "jane-1", Doc: "Primary product user ID; unique across all accounts"},
		accountID, firstName, lastName,
		{Name: "is_primary", Type: schema.Boolean, Default: "false", Example: "TRUE", Doc: "Whether the user is the account's primary user"},
		{Name: "product_join_date", Type: schema.Time, Default: "now", Example: "2024-03-01T09:00:00Z", Doc: "When the user was first seen on the product, in epoch ms"},
		{Name: "contact_user_id", Type: schema.ID, MaxLen: 256, Example: "0035e00000ABCDE", Doc: "The user's CRM ID, if the user is also a contact"},
	}, details, schema.CustomDimensions(schema.Optional)))

// Contacts is the family /account_contacts: people known to the CRM.
var Contacts = family("account_contacts", "Contact", slices.Concat(
	[]schema.Field{
		{Name: "user_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "jane-1", Doc: "CRM ID of the contact"},
		accountID, firstName, lastName,
		{Name: "is_primary", Type: schema.Boolean, Default: "false", Example: "TRUE", Doc: "Whether the contact is the account's primary contact"},
	}, details, schema.CustomDimensions(schema.Always)))

func family(name, singular string, fields []schema.Field) *resource.Family {
	s := schema.New(name, singular, fields)
	active := s.Ordinal("is_active")
	return &resource.Family{
		Schema:  s,
		ID:      s.Ordinal("user_id"),
		Account: s.Ordinal("account_id"),
		Orders: []resource.Order{
			{Name: "user_id", Index: table.First, Fields: []int{s.Ordinal("user_id"), s.Ordinal("account_id")}},
			{Name: "account_id", Index: table.Second, Fields: []int{s.Ordinal("account_id"), s.Ordinal("user_id")}},
		},
		Lookups: []int{s.Ordinal("email")},
		HiddenFrom: func(r schema.Record) int64 {
			if r[active].Given() { // only false is kept: true is the default
				return 1
			}
			return 0
		},
		Deactivate: func(resource.Deactivation) schema.Record {
			patch := s.NewRecord()
			patch[active] = schema.Bool(false)
			return patch
		},
	}
}
