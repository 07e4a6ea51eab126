package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

// maxHops is over how many records the way to an account leads at most.
const maxHops = 4

// one is a record while it is placed and applied.
type one struct {
	connector.Record
	label string
	was   *seen // what was remembered of it; nil for nothing
	now   seen  // what is to be
	// waited says that it has waited since then, in epoch ms; 0: it has not. told is
	// the trouble it was in.
	waited int64
	told   *Problem
	// kept is the record as it waits, if it does.
	kept json.RawMessage
	// again says that it is tried again because it has waited, not because the system
	// has given it.
	again bool
	// passed says that it is as it was, so that nothing is to be done.
	passed bool
	// account is its account; why is why there is none.
	account string
	why     *Problem
	// out is what of the filter leaves it out; nil for nothing.
	out *leftOut
	// failed are refusals of what was made of it.
	failed []Problem
	shown  []Made // for a preview
	// stored is its account, as it is, where the record is attached to it.
	stored schema.Record
	// feeds are those that make something of it.
	feeds []*feed
}

// text evaluates an expression to a text; empty for null.
func (r *run) text(ctx context.Context, expression string, value any) (string, error) {
	if expression == "" {
		return "", nil
	}
	v, err := r.eval(ctx, expression, value)
	if err != nil || v == nil {
		return "", err
	}
	text, ok := mapping.Text(v)
	if !ok {
		return "", fmt.Errorf("%s yields no text but %T", expression, v)
	}
	return text, nil
}

func (r *run) eval(ctx context.Context, expression string, value any) (any, error) {
	e, err := r.session.Expression(expression, false)
	if err != nil {
		return nil, err
	}
	return e.First(ctx, value, nil)
}

// join adds to records what was remembered of those that they name.
func (r *run) join(ctx context.Context, st *connector.Stream, records []*one) error {
	for _, j := range st.Joins {
		keys := make([]string, len(records))
		for i, o := range records {
			var err error
			if keys[i], err = r.text(ctx, j.Key, o.Value); err != nil {
				return fmt.Errorf("join %s: %w", j.As, err)
			}
		}
		found, err := r.loadSeen(ctx, j.Stream, distinct(keys))
		if err != nil {
			return err
		}
		for i, o := range records {
			o.Value[j.As] = nil
			if of := found[keys[i]]; of != nil && of.Kept != nil {
				if o.Value[j.As], err = decode(of.Kept); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// distinct returns the different texts that are not empty.
func distinct(texts []string) []string {
	set := map[string]struct{}{}
	for _, t := range texts {
		if t != "" {
			set[t] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// refsOf returns the steps that may lead from a record to its account, the best
// first.
func (r *run) refsOf(ctx context.Context, st *connector.Stream, o *one) ([]ref, error) {
	var refs []ref
	add := func(by connector.By, path string) error {
		value, err := r.text(ctx, path, o.Value)
		if by == connector.ByEmail {
			value = mapping.Email(value)
		}
		if err == nil && value != "" {
			refs = append(refs, ref{By: by, Value: value})
		}
		return err
	}
	if l := r.location; l.Stream == st.Name {
		if err := add(l.By, l.Path); err != nil {
			return nil, fmt.Errorf("account_id: %w", err)
		}
	}
	for _, route := range st.Account {
		if route.Via == "" {
			if err := add(route.By, route.Path); err != nil {
				return nil, fmt.Errorf("account_id: %w", err)
			}
			continue
		}
		key, err := r.text(ctx, route.Key, o.Value)
		if err != nil {
			return nil, fmt.Errorf("account_id: %w", err)
		}
		if key != "" {
			refs = append(refs, ref{Via: route.Via, Key: key})
		}
	}
	return refs, nil
}

// linked returns the accounts that somebody has said records of a stream are, by
// their ids.
func (r *run) linked(ctx context.Context, stream string, ids []string) (map[string]string, error) {
	if !streamOf(r.connector, stream).Accounts {
		return nil, nil
	}
	keys := make([]table.Key, len(ids))
	for i, id := range ids {
		keys[i] = linkKey(r.workspace, r.source.ID, stream, id)
	}
	items, err := r.Table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	accounts := map[string]string{}
	for i := range items {
		if items[i].Exists() {
			var link Link
			if err := json.Unmarshal(items[i].Body, &link); err != nil {
				return nil, err
			}
			accounts[ids[i]] = link.Account
		}
	}
	return accounts, nil
}

// step is where the search for a record's account has come to: what is left to try,
// in order. A step over another record is replaced by that one's.
type step struct{ refs []ref }

// place finds the accounts of records, or why there is none. A record of the System
// of Record that is an account names it itself, whether or not it exists.
func (r *run) place(ctx context.Context, st *connector.Stream, records []*one) error {
	steps := make([]step, len(records))
	ids := make([]string, len(records))
	for i, o := range records {
		steps[i].refs, ids[i] = slices.Clone(o.now.Refs), o.ID
	}
	links, err := r.linked(ctx, st.Name, ids)
	if err != nil {
		return err
	}
	for i, o := range records {
		if account := links[o.ID]; account != "" {
			steps[i].refs = []ref{{By: connector.ByAccountID, Value: account}}
		}
	}
	unknown := map[ref]bool{}
	for range maxHops {
		more, err := r.hop(ctx, steps, unknown)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	known, err := r.lookUp(ctx, steps)
	if err != nil {
		return err
	}
	makes := r.source.SystemOfRecord && st.Accounts
	for i, o := range records {
		o.account, o.why = "", nil
		for _, to := range steps[i].refs {
			switch accounts := known[to]; {
			case to.Via != "":
				r.mismatch(st, o, to.Key, "%s of the system has no account, or is not known", to.Via+" "+to.Key)
			case makes && (to.By == connector.ByAccountID || to.By == connector.ByNativeID):
				o.account = to.Value
			case len(accounts) == 1:
				o.account = accounts[0]
			case len(accounts) > 1:
				r.mismatch(st, o, to.Value, "'%s' belongs to several accounts, such as %s and %s", to.Value, accounts[0], accounts[1])
			default:
				r.mismatch(st, o, to.Value, "%s", notThere(to))
			}
			if o.account != "" {
				o.why = nil
				break
			}
		}
		if o.account == "" && o.why == nil {
			r.mismatch(st, o, "", "There is nothing that names its account: %s is empty", r.location.Title)
		}
	}
	return nil
}

func notThere(to ref) string {
	switch to.By {
	case connector.ByAccountID:
		return "There is no account '" + to.Value + "'"
	case connector.ByEmail:
		return "No user or contact has the address " + to.Value
	case connector.ByNativeID:
		return "No account has the system's id '" + to.Value + "'"
	}
	return "No account has the " + string(to.By) + " '" + to.Value + "'"
}

// mismatch notes why a record has no account, unless something better to try has
// been noted before.
func (r *run) mismatch(st *connector.Stream, o *one, value, format string, args ...any) {
	if o.why == nil {
		o.why = &Problem{Trouble: Mismatch, Stream: st.Name, ID: o.ID, Label: o.label, Value: value,
			Code: core.NotFound, Field: "account_id", Message: fmt.Sprintf(format, args...)}
	}
}

// hop replaces the steps over other records by theirs, and reports whether there
// were any.
func (r *run) hop(ctx context.Context, steps []step, unknown map[ref]bool) (more bool, err error) {
	over := map[string][]string{} // ids by stream
	for _, s := range steps {
		for _, to := range s.refs {
			if to.Via != "" && !unknown[to] {
				over[to.Via] = append(over[to.Via], to.Key)
			}
		}
	}
	next := map[ref][]ref{}
	for stream, keys := range over {
		keys = distinct(keys)
		found, err := r.loadSeen(ctx, stream, keys)
		if err != nil {
			return false, err
		}
		links, err := r.linked(ctx, stream, keys)
		if err != nil {
			return false, err
		}
		for _, key := range keys {
			from := ref{Via: stream, Key: key}
			switch {
			case links[key] != "":
				next[from] = []ref{{By: connector.ByAccountID, Value: links[key]}}
			case found[key] != nil && len(found[key].Refs) > 0:
				next[from] = found[key].Refs
			default:
				unknown[from] = true
			}
		}
	}
	for i := range steps {
		var refs []ref
		for _, to := range steps[i].refs {
			if to.Via != "" && !unknown[to] {
				refs = append(refs, next[to]...)
				more = true
				continue
			}
			refs = append(refs, to)
		}
		steps[i].refs = refs
	}
	return more, nil
}

// lookUp returns the accounts that steps lead to.
func (r *run) lookUp(ctx context.Context, steps []step) (map[ref][]string, error) {
	values := map[connector.By][]string{}
	for _, s := range steps {
		for _, to := range s.refs {
			if to.Via == "" {
				values[to.By] = append(values[to.By], to.Value)
			}
		}
	}
	known := map[ref][]string{}
	add := func(by connector.By, value, account string) {
		at := ref{By: by, Value: value}
		if !slices.Contains(known[at], account) {
			known[at] = append(known[at], account)
		}
	}
	existing := func(by connector.By) error {
		exist, err := r.Engine.AccountsExist(ctx, r.workspace, distinct(values[by]))
		for id := range exist {
			add(by, id, id)
		}
		return err
	}
	found := func(by connector.By, family *resource.Family, field string) error {
		all, err := r.Engine.Lookup(ctx, r.workspace, family, family.Schema.Ordinal(field), distinct(values[by]))
		for value, records := range all {
			for _, f := range records {
				add(by, value, f.Account)
			}
		}
		return err
	}
	accounts := r.family("accounts")
	for by := range values {
		var err error
		switch by {
		case connector.ByAccountID:
			err = existing(by)
		case connector.ByNativeID:
			if err = found(by, accounts, r.connector.AccountField); err == nil {
				err = existing(by)
			}
		case connector.ByEmail:
			if err = found(by, r.family("account_users"), "email"); err == nil {
				err = found(by, r.family("account_contacts"), "email")
			}
		default:
			err = found(by, accounts, string(by))
		}
		if err != nil {
			return nil, err
		}
	}
	return known, nil
}
