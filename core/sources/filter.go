package sources

import (
	"context"
	"errors"
	"fmt"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/table"
)

// claim notes which of a system's records names which account, for the filters of
// other sources, and finds those that name the same one: only the first is taken.
func (r *run) claim(ctx context.Context, st *connector.Stream, records []*one) error {
	if !st.Accounts {
		return nil
	}
	type named struct {
		o     *one
		value string
	}
	var all []named
	var keys []table.Key
	for _, o := range records {
		for _, to := range o.now.Refs {
			if to.By == connector.ByAccountID {
				all = append(all, named{o, to.Value})
				keys = append(keys, accountKey(r.workspace, r.source.ID, to.Value))
				break
			}
		}
	}
	items, err := r.Table.Get(ctx, keys, true)
	if err != nil {
		return err
	}
	owners := make([]string, 0, len(items))
	for i := range items {
		if owner := string(items[i].Body); items[i].Exists() && owner != all[i].o.ID {
			owners = append(owners, owner)
		}
	}
	// An owner that names another account now has given this one up.
	known, err := r.loadSeen(ctx, st.Name, distinct(owners))
	if err != nil {
		return err
	}
	taken := map[string]string{}
	var ops []table.Op
	for i, n := range all {
		owner := ""
		if items[i].Exists() {
			owner = string(items[i].Body)
		}
		if of := known[owner]; owner != n.o.ID && (of == nil || of.Out || !names(of.Refs, n.value)) {
			owner = ""
		}
		if by, twice := taken[n.value]; twice {
			owner = by
		}
		switch owner {
		case "":
			ops = append(ops, table.Put(table.Item{Key: keys[i], Version: r.version(items[i].Version), Body: []byte(n.o.ID)}, table.Condition{}))
			fallthrough
		case n.o.ID:
			taken[n.value] = n.o.ID
		default:
			if r.source.SystemOfRecord {
				n.o.account = ""
				n.o.why = &Problem{Trouble: Mismatch, Stream: st.Name, ID: n.o.ID, Label: n.o.label, Value: n.value, Code: core.NotUnique, Field: "account_id",
					Message: fmt.Sprintf("Another record of the system, %s, has the account_id '%s', too", owner, n.value)}
			}
		}
	}
	return errors.Join(r.Table.Write(ctx, dedupe(ops), r.guard())...)
}

func names(refs []ref, value string) bool {
	for _, to := range refs {
		if to.By == connector.ByAccountID {
			return to.Value == value
		}
	}
	return false
}

// leftOut says why a record is left out.
type leftOut struct {
	// by is the place of the condition that it does not meet, 0 where it meets none of
	// those of which one is enough; as many as there are where it is not known to the
	// other source.
	by      int
	account string
	// imported says that its account came from it before.
	imported bool
}

// unmet returns the place of the first condition that a record does not meet, or 0
// where it meets none of those of which one is enough; -1 if the conditions let it
// pass.
func (f *Filter) unmet(ctx context.Context, o *one) (int, error) {
	for i := range f.Conditions {
		passes, err := f.Conditions[i].Match(ctx, o.Value)
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err != nil:
			return 0, refuse(core.Malformed, fmt.Sprintf("filter.conditions.%d.path", i), "The filter cannot be applied to record %s: %v", clip(o.ID), err)
		case passes && f.Any:
			return -1, nil
		case !passes && !f.Any:
			return i, nil
		}
	}
	if f.Any && len(f.Conditions) > 0 {
		return 0, nil
	}
	return -1, nil
}

// filter leaves out the records of the System of Record that do not pass its filter.
func (r *run) filter(ctx context.Context, st *connector.Stream, records []*one, counts *Counts) error {
	f := r.source.Filter
	if f == nil || !st.Accounts || !r.source.SystemOfRecord {
		return nil
	}
	also, err := r.alsoIn(ctx, records)
	if err != nil {
		return err
	}
	for _, o := range records {
		if o.account == "" {
			continue
		}
		why, by := "", len(f.Conditions)
		switch unmet, err := f.unmet(ctx, o); {
		case err != nil:
			return err
		case unmet >= 0 && f.Any:
			why, by = "It meets none of the filter's conditions", unmet
		case unmet >= 0:
			why, by = "It does not pass the filter: "+f.Conditions[unmet].String(), unmet
		}
		waits := false
		if why == "" && also != nil && !also[o] {
			why, waits = "It is not known to the other source of the filter", true
		}
		if why == "" {
			continue
		}
		imported := o.was != nil && len(o.was.Made) > 0
		o.out = &leftOut{by, o.account, imported}
		trouble := Filtered
		if imported {
			trouble = Left
		}
		if imported || waits {
			o.why = &Problem{Trouble: trouble, Stream: st.Name, ID: o.ID, Label: o.label, Value: o.account, Code: core.NotFound, Field: "filter", Message: why}
		} else {
			counts.Filtered++
		}
		if imported {
			o.now.Made = o.was.Made
			o.now.Out = o.was.Out
			if r.source.Inactivate && !o.was.Out {
				if err := r.inactivate(ctx, o.account, "No longer in what "+r.connector.Title+" is filtered to"); err != nil {
					return err
				}
				o.now.Out = true
			}
		}
		o.account = ""
	}
	return nil
}

// alsoIn returns which records the other source of the filter knows the account of;
// nil where the filter names none.
func (r *run) alsoIn(ctx context.Context, records []*one) (map[*one]bool, error) {
	also := r.source.Filter.AlsoIn
	if also == nil {
		return nil, nil
	}
	other, err := r.Get(ctx, r.workspace, also.Source)
	if err != nil {
		return nil, err
	}
	known := map[*one]bool{}
	var keys []table.Key
	var of []*one
	ask := func(o *one, key table.Key) {
		keys, of = append(keys, key), append(of, o)
	}
	for _, o := range records {
		if o.account == "" {
			continue
		}
		if also.Path == "" {
			ask(o, accountKey(r.workspace, other.ID, o.account))
			ask(o, accountKey(r.workspace, other.ID, o.ID))
			continue
		}
		e, err := r.expression(also.Path, true)
		if err != nil {
			return nil, err
		}
		v, err := e.First(ctx, o.Value, nil)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, refuse(core.Malformed, "filter.also_in.path", "The filter cannot be applied to record %s: %v", clip(o.ID), err)
		}
		native, ok := textOf(v)
		if !ok {
			continue
		}
		for i := range r.Connector(other.Connector).Streams {
			if st := &r.Connector(other.Connector).Streams[i]; st.Accounts {
				ask(o, seenKey(r.workspace, other.ID, st.Name, native))
			}
		}
	}
	items, err := r.Table.Get(ctx, keys, true)
	for i := range items {
		if items[i].Exists() {
			known[of[i]] = true
		}
	}
	return known, err
}
