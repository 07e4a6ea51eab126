// Package resource is the one engine behind every resource family: it lists,
// reads, upserts, modifies and deactivates records of any Family on the table
// port. It knows no HTTP and no family by name; the API, the CSV upload and the
// connectors call it alike.
//
// How records lie in the table. Every key begins with the workspace, so that
// no key of one can reach another's. A record of the root family (accounts),
// or of one whose ids are unique in the workspace (tickets), is an item in one
// of several partitions that share the load, under its own id; a record whose
// id is unique within its account alone (users) is an item in that account's
// partition. Small pointer items beside them lead to a record by what its key
// does not say: its account, its own id alone, its external id (see
// pointers.go), and values that it is looked up by (see lookups.go). Lists of a whole workspace read the sharded partitions, or a
// secondary index that is sharded the same way, and merge. What grows without
// bound is kept beside the record in items of its own (see beside.go).
package resource

import (
	"time"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/table"
)

// Family declares one resource family.
type Family struct {
	// Schema declares the fields.
	Schema *schema.Schema
	// ID is the ordinal of the field that identifies a record, Account that of
	// the account it belongs to. In the root family both are the same.
	ID, Account int
	// OwnID says that an id is unique in the workspace, not within its account
	// alone.
	OwnID bool
	// Moves lets a record with an OwnID move to another account; where it is
	// false such a change is refused (contract Q16).
	Moves bool
	// Generated says that ids are whole numbers that the engine generates; nil
	// when clients choose them. It goes with OwnID.
	Generated *Generated
	// Orders are the sort orders of workspace-wide lists; the first is the default.
	Orders []Order
	// OfAccountOrder is the ordinal of the field that an account's list is in
	// the order of by default.
	OfAccountOrder int
	// Lookups are the ordinals of fields, IDs or Strings, by whose values records
	// are found; see Engine.Lookup. Each value costs a write when a record gets it.
	Lookups []int
	// Options are the names of the boolean upload options that only this
	// family knows; see Change.
	Options []string
	// HiddenFrom returns the instant (epoch ms) from which lists leave the
	// record out unless they include inactive ones; 0 for never.
	HiddenFrom func(schema.Record) int64
	// Merge lays a patch over a record; nil means Schema.Merge.
	Merge func(Change) (schema.Record, *core.Failure)
	// Deactivate returns the patch by which DELETE deactivates a record.
	Deactivate func(Deactivation) schema.Record
	// Show fills the computed fields of a record that is about to be shown at
	// the instant now (epoch ms); nil when there are none.
	Show func(r schema.Record, now int64)
	// LargeBodies says that records of several 100 KB are common, so that few
	// of them are to be held in memory at a time.
	LargeBodies bool
	// Beside declares the list whose entries are kept beside the record; nil
	// for none.
	Beside *Beside
}

// Generated declares how records with generated ids are known to the systems
// they come from (contract N1).
type Generated struct {
	// External is the ordinal of the external id, unique in the workspace
	// where it is set.
	External int
}

// Order is one order in which a workspace's records can be listed.
type Order struct {
	// Name is the order_by value.
	Name string
	// Index is where the order is kept. In table.Base it is the order of ids.
	Index table.Index
	// Fields are the ordinals of the fields to order by; together they must
	// tell any two records apart.
	Fields []int
}

// Change is one record of an upload as it meets what is stored.
type Change struct {
	// Old is the stored record, nil when there is none.
	Old schema.Record
	// Patch holds the values given.
	Patch schema.Record
	// Now is the instant of the change in epoch ms.
	Now int64
	// Modify says that the change is a PUT of the record, which exists.
	Modify bool
	// Option reports whether one of Family.Options is on.
	Option func(name string) bool
}

// Deactivation is what a DELETE says.
type Deactivation struct {
	// Churn asks for churned rather than deleted, where the family knows both.
	Churn bool
	// Time is the inactive_time given, or nil.
	Time schema.Value
}

// isRoot reports whether the family's records belong to nothing else.
func (f *Family) isRoot() bool { return f.ID == f.Account }

// inAccount reports whether records lie in the partition of their account.
func (f *Family) inAccount() bool { return !f.isRoot() && !f.OwnID }

// numericID reports whether ids are numbers.
func (f *Family) numericID() bool { return f.Schema.Fields[f.ID].Type.Numeric() }

// idOf returns the text of the record's id.
func (f *Family) idOf(r schema.Record) string {
	return f.textOf(r[f.ID])
}

// textOf returns the text of the value of an id.
func (f *Family) textOf(id schema.Value) string {
	if f.numericID() && !id.IsNull() {
		return string(id)
	}
	return id.Text()
}

// idValue returns the value of the id whose text is id.
func (f *Family) idValue(id string) schema.Value {
	if f.numericID() {
		return schema.Value(id)
	}
	return schema.Text(id)
}

// identity returns the ordinals of the fields that together identify a record.
func (f *Family) identity() []int {
	if f.inAccount() {
		return []int{f.Account, f.ID}
	}
	return []int{f.ID}
}

// order returns the order called name, or nil. "" is the default, "id" stands
// for the family's own id (contract P11).
func (f *Family) order(name string) *Order {
	if name == "" {
		return &f.Orders[0]
	}
	if name == "id" {
		name = f.Schema.Fields[f.ID].Name
	}
	for i := range f.Orders {
		if f.Orders[i].Name == name {
			return &f.Orders[i]
		}
	}
	return nil
}

// OrderNames returns the order_by values of workspace-wide lists.
func (f *Family) OrderNames() []string {
	var names []string
	for _, o := range f.Orders {
		names = append(names, o.Name)
	}
	return names
}

// NotFound returns the failure for a record that does not exist.
func (f *Family) NotFound() *core.Failure {
	return &core.Failure{
		Code:    core.NotFound,
		Field:   f.Schema.Fields[f.ID].Name,
		Message: f.Schema.Singular + " not found",
	}
}

// merge lays a patch over a record and fills in what a new one gets by default.
func (f *Family) merge(c Change) (schema.Record, *core.Failure) {
	if c.Old == nil {
		for i := range f.Schema.Fields {
			if f.Schema.Fields[i].Default == "now" && c.Patch[i].IsNull() {
				c.Patch = append(schema.Record(nil), c.Patch...)
				c.Patch[i] = schema.Int(c.Now)
			}
		}
	}
	if f.Merge != nil {
		return f.Merge(c)
	}
	return f.Schema.Merge(c.Old, c.Patch)
}

// Engine carries out requests on families over a table.
type Engine struct {
	table  table.Table
	root   *Family
	shards int
	now    func() time.Time
}

// Config says what an Engine works with.
type Config struct {
	Table table.Table
	// Root is the family that the records of every other belong to: accounts.
	Root *Family
	// Shards is how many partitions carry a workspace-wide list: 1 on a store
	// without partitions, more on one that throttles each of them. It must not
	// change while data is stored.
	Shards int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// New returns an engine.
func New(c Config) *Engine {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Engine{table: c.Table, root: c.Root, shards: max(c.Shards, 1), now: c.Now}
}

// Now returns the engine's time in epoch ms.
func (e *Engine) Now() int64 { return e.now().UnixMilli() }

// nextVersion returns a version for an item that follows old, which is 0 when
// there was none. Starting from the clock keeps the versions of an item that
// was deleted and made again apart.
func (e *Engine) nextVersion(old int64) int64 {
	return max(old+1, e.now().UnixMicro())
}
