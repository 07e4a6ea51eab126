package accounts

import (
	"slices"

	"tenure/core"
	"tenure/core/schema"
)

// Edit changes an account by more than a patch can say.
type Edit func(schema.Record) (schema.Record, *core.Failure)

// RemoveStages removes stages from the stage history: all of them, those
// called name, or the one called name that began at start (epoch ms). Removing
// what is not there is no error (contract Q12).
func RemoveStages(name *string, start *int64) Edit {
	return func(old schema.Record) (schema.Record, *core.Failure) {
		r := slices.Clone(old)
		r[stageHistory] = stages.Without(r[stageHistory], func(s schema.Record) bool {
			return (name == nil || s[stageName].Text() == *name) && (start == nil || s[stageFrom].Int() == *start)
		})
		setCurrentStage(r)
		return r, nil
	}
}

// RemoveEntries removes entries from the list at ordinal list: all of them, or
// the one whose first field is key.
func RemoveEntries(list int, key *string) Edit {
	s := declaration.List(list)
	return func(old schema.Record) (schema.Record, *core.Failure) {
		r := slices.Clone(old)
		r[list] = s.Without(r[list], func(entry schema.Record) bool {
			return key == nil || entry[0].Text() == *key
		})
		return r, nil
	}
}

// DocumentList describes the entries of GET /accounts/{id}/documents: the
// account's id and what the account's declaration says of a document.
var DocumentList = schema.New("documents", "Document", append(
	[]schema.Field{declaration.Fields[id]}, declaration.Fields[documents].Sub...))

// Documents returns the documents of an account, in the order of their names.
func Documents(account string, r schema.Record) []schema.Record {
	entries := declaration.List(documents).Entries(r[documents])
	for i, entry := range entries {
		entries[i] = append(schema.Record{schema.Text(account)}, entry...)
	}
	return entries
}
