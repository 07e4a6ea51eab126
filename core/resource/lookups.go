package resource

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"tenure/core/schema"
	"tenure/core/table"
)

// Lookups are pointers that lead to records by the values of Family.Lookups,
// which any number of records may share. The head of a value is an item whose
// key follows from the value alone, so that the heads of many values are read at
// once; it leads to one record and says whether there may be more. Those have
// their pointers in a partition of the value's own.
//
// As with all pointers, what leads to a record by a new value is written before
// the record is, and what led to it by an old one goes in one transaction with
// it. A head is changed by whoever gives another record its value, and so only
// under the condition that nobody else has changed it meanwhile. Once there may
// be more, that stays so: a head outlives the record that it leads to.
//
// A pointer to a record that was changed or removed meanwhile, or never written,
// is idle: whoever follows one looks at the record.

// head is the body of the head of a value.
type head struct {
	// To names the record that it leads to; none where that is gone.
	To json.RawMessage `json:"to,omitempty"`
	// More says that there may be pointers beside the head.
	More bool `json:"more,omitempty"`
}

// body returns h as it is stored, To as it is given: names are compared as they
// stand.
func (h head) body() []byte {
	switch {
	case !h.More:
		return slices.Concat([]byte(`{"to":`), h.To, []byte(`}`))
	case h.To == nil:
		return []byte(`{"more":true}`)
	}
	return slices.Concat([]byte(`{"to":`), h.To, []byte(`,"more":true}`))
}

// headIn returns the head in an item, an empty one where there is no item.
func headIn(item *table.Item) (h head, err error) {
	if item.Exists() {
		err = json.Unmarshal(item.Body, &h)
	}
	return h, err
}

// lead is what leads to a record by one of its values.
type lead struct {
	head   table.Key
	record schema.Record
}

// sought returns the form of a value of the field at ordinal i by which the
// records that have it are found: e-mail addresses are the same whatever their case.
func (f *Family) sought(i int, value string) string {
	if f.Schema.Fields[i].Email {
		return schema.Fold(strings.TrimSpace(value))
	}
	return value
}

// headKey returns the key of the head of a value, in the form of sought, of the
// field at ordinal i.
func headKey(workspace string, f *Family, i int, sought string) table.Key {
	return table.Key{Partition: partition(workspace, f.Schema.Name+"."+f.Schema.Fields[i].Name, table.Digest(sought)), Sort: "first"}
}

// besideHead returns the partition of the pointers that are beside a head.
func besideHead(head table.Key) string { return head.Partition + "/more" }

// named returns what names r in pointers by its values.
func (f *Family) named(r schema.Record) schema.Value {
	if f.inAccount() {
		return slices.Concat(schema.Value{'['}, r[f.Account], schema.Value{','}, r[f.ID], schema.Value{']'})
	}
	return r[f.ID]
}

// idsIn returns the ids in the name of a record; account is the record's only
// where its key depends on it.
func (f *Family) idsIn(name []byte) (account, id schema.Value) {
	if !f.inAccount() {
		return name, name
	}
	for part := range schema.Elements(name) {
		account, id = id, part
	}
	return account, id
}

// keyNamed returns the key of the record with that name.
func (e *Engine) keyNamed(workspace string, f *Family, name []byte) table.Key {
	account, id := f.idsIn(name)
	return e.key(workspace, f, account.Text(), f.textOf(id))
}

// sortNamed returns the sort key of a pointer beside a head to the record with
// that name: in the order of ids.
func (f *Family) sortNamed(name []byte) string {
	r := f.Schema.NewRecord()
	account, id := f.idsIn(name)
	r[f.ID] = id
	if !f.inAccount() {
		return SortKey(f.Schema, r, f.ID)
	}
	r[f.Account] = account
	return SortKey(f.Schema, r, f.ID, f.Account)
}

// leads returns what leads to r, but not to other, by their values.
func (f *Family) leads(workspace string, r, other schema.Record) []lead {
	if r == nil {
		return nil
	}
	var found []lead
	for _, i := range f.Lookups {
		if r[i].IsNull() || other != nil && string(r[i]) == string(other[i]) {
			continue
		}
		sought := f.sought(i, r[i].Text())
		if other != nil && !other[i].IsNull() && f.sought(i, other[i].Text()) == sought {
			continue
		}
		found = append(found, lead{head: headKey(workspace, f, i, sought), record: r})
	}
	return found
}

// heading is the head of a value while leads are added to it.
type heading struct {
	key     table.Key
	head    head
	version int64 // as stored, 0 for none
	leads   []lead
	beside  []bool // which of them have been written beside it
}

// add adds the leads of h, and returns the writes that are needed beside the
// head; altered reports whether the head is to be written too.
func (h *heading) add(e *Engine, f *Family) (ops []table.Op, altered bool) {
	altered = h.version == 0
	for i, l := range h.leads {
		to := f.named(l.record)
		switch {
		case h.head.To == nil:
			h.head.To, altered = json.RawMessage(to), true
		case !bytes.Equal(h.head.To, to):
			if !h.head.More {
				h.head.More, altered = true, true
			}
			if !h.beside[i] {
				key := table.Key{Partition: besideHead(h.key), Sort: f.sortNamed(to)}
				ops = append(ops, table.Put(table.Item{Key: key, Version: e.nextVersion(0), Body: to}, table.Condition{}))
				h.beside[i] = true
			}
		}
	}
	return ops, altered
}

// writeLeads writes leads, and with them other operations. At first it takes
// the values for new, which most are.
func (e *Engine) writeLeads(ctx context.Context, f *Family, guard *table.Guard, leads []lead, with []table.Op) error {
	var open []*heading
	byKey := make(map[table.Key]*heading, len(leads))
	for _, l := range leads {
		h := byKey[l.head]
		if h == nil {
			h = &heading{key: l.head}
			byKey[l.head] = h
			open = append(open, h)
		}
		h.leads, h.beside = append(h.leads, l), append(h.beside, false)
	}
	for attempt := 0; len(open) > 0 || len(with) > 0; attempt++ {
		if attempt > 0 {
			if err := backoff(ctx, attempt); err != nil {
				return err
			}
			if err := e.readHeads(ctx, open); err != nil {
				return err
			}
		}
		written, ops := make([]*heading, 0, len(open)), make([]table.Op, 0, len(open)+len(with))
		for _, h := range open {
			beside, altered := h.add(e, f)
			with = append(with, beside...)
			if altered {
				cond := table.Absent()
				if h.version != 0 {
					cond = table.VersionIs(h.version)
				}
				written = append(written, h)
				ops = append(ops, table.Put(table.Item{Key: h.key, Version: e.nextVersion(h.version), Body: h.head.body()}, cond))
			}
		}
		open = nil
		for i, err := range e.table.Write(ctx, append(ops, with...), guard) {
			switch {
			case err == nil:
			case i < len(written) && errors.Is(err, table.ErrConflict):
				open = append(open, written[i])
			default:
				return err
			}
		}
		with = nil
	}
	return nil
}

// readHeads reads the heads of values as they are now.
func (e *Engine) readHeads(ctx context.Context, all []*heading) error {
	keys := make([]table.Key, len(all))
	for i, h := range all {
		keys[i] = h.key
	}
	items, err := e.table.Get(ctx, keys, true)
	if err != nil {
		return err
	}
	for i, h := range all {
		if h.head, err = headIn(&items[i]); err != nil {
			return err
		}
		h.version = items[i].Version
	}
	return nil
}

// dropLeads returns for each slot the writes that go in one transaction with its
// record because it ceases to have values.
func (e *Engine) dropLeads(ctx context.Context, w *write, slots []*slot) ([][]table.Op, error) {
	f := w.family
	all := make([][]table.Op, len(slots))
	if len(f.Lookups) == 0 {
		return all, nil
	}
	var heads []*heading
	var of []int
	for i, s := range slots {
		for _, l := range f.leads(w.workspace, s.old, s.state) {
			heads, of = append(heads, &heading{key: l.head, leads: []lead{l}}), append(of, i)
		}
	}
	if len(heads) == 0 {
		return all, nil
	}
	if err := e.readHeads(ctx, heads); err != nil {
		return nil, err
	}
	for i, h := range heads {
		name := f.named(h.leads[0].record)
		var ops []table.Op
		if bytes.Equal(h.head.To, name) {
			as := table.VersionIs(h.version)
			if h.head.More {
				ops = append(ops, table.Put(table.Item{Key: h.key, Version: e.nextVersion(h.version), Body: head{More: true}.body()}, as))
			} else {
				ops = append(ops, table.Delete(h.key, as))
			}
		}
		if h.head.More {
			ops = append(ops, table.Delete(table.Key{Partition: besideHead(h.key), Sort: f.sortNamed(name)}, table.Condition{}))
		}
		all[of[i]] = append(all[of[i]], ops...)
	}
	return all, nil
}

// Found is a record that has a value.
type Found struct {
	// Account is the account's id: the record's own, in the root family.
	Account string
	// ID is the record's id.
	ID string
	// Inactive says that lists leave the record out unless they include
	// inactive ones.
	Inactive bool
}

// MaxFound is how many records with one value Lookup returns at most.
const MaxFound = 1000

// Lookup returns the records of f whose field at ordinal field, one of
// f.Lookups, has one of values, by value: ids as they stand, e-mail addresses
// without regard to case and to blanks around them. Inactive records are among
// them. Those of one value are in the order of ids; of one that more than
// MaxFound records have, some MaxFound of them. Values that no record has are not
// in the answer.
func (e *Engine) Lookup(ctx context.Context, workspace string, f *Family, field int, values []string) (map[string][]Found, error) {
	found := map[string][]Found{}
	for some := range slices.Chunk(values, chunkSize) {
		bySought := make(map[string][]string, len(some))
		var open []*sighting
		for _, v := range some {
			sought := f.sought(field, v)
			if sought == "" || found[v] != nil {
				continue
			}
			if bySought[sought] == nil {
				open = append(open, &sighting{sought: sought, key: headKey(workspace, f, field, sought)})
			}
			bySought[sought] = append(bySought[sought], v)
		}
		if err := e.follow(ctx, workspace, f, field, open); err != nil {
			return nil, err
		}
		for _, s := range open {
			slices.SortFunc(s.found, func(a, b Found) int {
				return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Account, b.Account))
			})
			for _, v := range bySought[s.sought] {
				if len(s.found) > 0 {
					found[v] = s.found
				}
			}
		}
	}
	return found, nil
}

// sighting is a value that is looked up.
type sighting struct {
	sought string // the value, in the form in which it is found
	key    table.Key
	head   head
	found  []Found
}

// follow finds the records of all.
func (e *Engine) follow(ctx context.Context, workspace string, f *Family, field int, all []*sighting) error {
	keys := make([]table.Key, len(all))
	for i, s := range all {
		keys[i] = s.key
	}
	heads, err := e.table.Get(ctx, keys, true)
	if err != nil {
		return err
	}
	var names [][]byte
	var of, shared []*sighting
	for i, s := range all {
		if s.head, err = headIn(&heads[i]); err != nil {
			return err
		}
		if s.head.To != nil {
			names, of = append(names, s.head.To), append(of, s)
		}
		if s.head.More {
			shared = append(shared, s)
		}
	}
	if err := e.verify(ctx, workspace, f, field, names, of); err != nil {
		return err
	}
	return atOnce(ctx, len(shared), func(ctx context.Context, i int) error {
		s := shared[i]
		q := table.Query{Partition: besideHead(s.key), Limit: MaxFound, Consistent: true}
		for {
			items, err := e.table.Query(ctx, q)
			if err != nil {
				return err
			}
			names := make([][]byte, 0, len(items))
			for i := range items {
				if q.After = items[i].Sort; !bytes.Equal(items[i].Body, s.head.To) {
					names = append(names, items[i].Body)
				}
			}
			if err := e.verify(ctx, workspace, f, field, names, slices.Repeat([]*sighting{s}, len(names))); err != nil {
				return err
			}
			if len(s.found) >= MaxFound {
				s.found = s.found[:MaxFound]
				return nil
			}
			if len(items) < q.Limit {
				return nil
			}
		}
	})
}

// verify adds the records with these names to the sightings that led to them,
// those that have the value.
func (e *Engine) verify(ctx context.Context, workspace string, f *Family, field int, names [][]byte, of []*sighting) error {
	keys := make([]table.Key, len(names))
	for i, name := range names {
		keys[i] = e.keyNamed(workspace, f, name)
	}
	records, err := e.getSettled(ctx, workspace, f, keys)
	if err != nil {
		return err
	}
	now := e.Now()
	for i, s := range of {
		value := f.Schema.StoredValue(records[i].Body, field)
		if value.IsNull() || f.sought(field, value.Text()) != s.sought {
			continue
		}
		_, id := f.idsIn(names[i])
		hidden := records[i].HiddenFrom
		s.found = append(s.found, Found{
			Account:  f.Schema.StoredValue(records[i].Body, f.Account).Text(),
			ID:       f.textOf(id),
			Inactive: hidden != 0 && hidden <= now,
		})
	}
	return nil
}

// Reindex writes the pointers by value that the records of a family lack: those
// written before the family had such a lookup. It begins behind the records
// after which an earlier call ended, or at the beginning where after is empty.
// next is how far it came, also when it failed or the context ended; it is empty
// once there is no more to do. written is how many pointers were missing. Writers
// may be at work meanwhile.
func (e *Engine) Reindex(ctx context.Context, workspace string, f *Family, after string) (written int, next string, err error) {
	next = after
	if len(f.Lookups) == 0 {
		return 0, "", nil
	}
	for batch, err := range e.Batches(ctx, List{Workspace: workspace, Family: f, Inactive: true}, after) {
		if err != nil {
			return written, next, err
		}
		var leads []lead
		for _, r := range batch.Records {
			leads = append(leads, f.leads(workspace, r, nil)...)
		}
		missing, err := e.missingLeads(ctx, f, leads)
		if err == nil {
			err = e.writeLeads(ctx, f, nil, missing, nil)
		}
		if err != nil {
			return written, next, err
		}
		written, next = written+len(missing), batch.After
	}
	return written, "", nil
}

// missingLeads returns those of leads that are not there.
func (e *Engine) missingLeads(ctx context.Context, f *Family, leads []lead) ([]lead, error) {
	heads := make([]*heading, len(leads))
	for i, l := range leads {
		heads[i] = &heading{key: l.head}
	}
	if err := e.readHeads(ctx, heads); err != nil {
		return nil, err
	}
	var missing, unsure []lead
	var keys []table.Key
	for i, l := range leads {
		name := f.named(l.record)
		switch h := heads[i].head; {
		case bytes.Equal(h.To, name):
		case h.More:
			unsure = append(unsure, l)
			keys = append(keys, table.Key{Partition: besideHead(l.head), Sort: f.sortNamed(name)})
		default:
			missing = append(missing, l)
		}
	}
	beside, err := e.table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	for i := range beside {
		if !beside[i].Exists() {
			missing = append(missing, unsure[i])
		}
	}
	return missing, nil
}
