package sources

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

// feed is a feed as it is carried out in a run.
type feed struct {
	*connector.Feed
	at     int // its place in its stream
	family *resource.Family
	fields []target
	when   *connector.Expression // nil for always
	each   *connector.Expression // nil for the record itself
	// id is the ordinal of the field by which people know our record: its id, or its
	// external id where ids are generated.
	id int
	// source is the ordinal of the field that says where it comes from; -1 for none.
	source int
	// attached says that it attaches the system's record to an account that another
	// source has made.
	attached bool
}

// target is a field, or a dimension, that is set.
type target struct {
	// field is the ordinal in the family; key is the dimension, in a list of them.
	field int
	key   string
	name  string // as the mapping has it
	// unset says that a value that is there already stays.
	unset bool
	from  *connector.Expression
}

// targetOf returns what a mapping's "to" names in a family.
func targetOf(f *resource.Family, to string) (target, error) {
	list, key, dimension := strings.Cut(to, ".")
	i, known := f.Schema.Lookup(list)
	switch {
	case !known, f.Schema.Fields[i].ReadOnly:
		return target{}, refuse(core.UnknownField, to, "%s have no field '%s' that can be set", f.Schema.Name, to)
	case i == f.Account:
		return target{}, refuse(core.Conflicting, to, "'%s' follows from the location of the account_id", to)
	case dimension != f.Schema.Fields[i].IsDimensions(), dimension && (key == "" || utf8.RuneCountInString(key) > 256):
		return target{}, refuse(core.UnknownField, to, "a dimension is written as '%s.KEY'", list)
	}
	return target{field: i, key: key, name: to}, nil
}

// compileFeeds prepares the feeds of a stream that are on.
func (r *run) compileFeeds(st *connector.Stream) ([]*feed, error) {
	var feeds []*feed
	for i := range st.Feeds {
		declared := &st.Feeds[i]
		if !r.source.feeds(st, declared) {
			continue
		}
		f := &feed{Feed: declared, at: i, family: r.family(declared.Family), source: -1}
		if f.family == nil {
			return nil, fmt.Errorf("stream %s: there is no family %s", st.Name, declared.Family)
		}
		f.id = f.family.ID
		if f.family.Generated != nil {
			f.id = f.family.Generated.External
		}
		if n, ok := f.family.Schema.Lookup("source"); ok {
			f.source = n
		}
		var err error
		if f.when, err = r.expression(declared.When, false); err != nil {
			return nil, err
		}
		if f.each, err = r.expression(declared.Each, false); err != nil {
			return nil, err
		}
		f.attached = r.source.attaches(st, f.family)
		for _, field := range r.source.defaults(st, declared, f.family) {
			if r.source.mapped(st.Name, declared.Family, field.To) >= 0 {
				continue
			}
			if err := f.add(r, field.To, field.From, false, f.attached); err != nil {
				return nil, fmt.Errorf("stream %s: %w", st.Name, err)
			}
		}
		for _, m := range r.source.Mapping {
			if m.Stream != st.Name || m.Family != declared.Family || m.From == "" {
				continue
			}
			if err := f.add(r, m.To, m.From, true, false); err != nil {
				return nil, err
			}
		}
		feeds = append(feeds, f)
	}
	return feeds, nil
}

// attaches reports whether records of a family attach a stream's to accounts that
// another source has made.
func (s *Source) attaches(st *connector.Stream, family *resource.Family) bool {
	return isRoot(family) && st.Accounts && !s.SystemOfRecord
}

// defaults returns the fields that a feed sets unless the workspace's own mapping
// says otherwise. An account that this source does not make gets only what says that
// it is one here, unless it has another one already, and what the administrator has
// asked for.
func (s *Source) defaults(st *connector.Stream, declared *connector.Feed, family *resource.Family) []connector.Field {
	if !s.attaches(st, family) {
		return declared.Fields
	}
	return slices.DeleteFunc(slices.Clone(declared.Fields), func(f connector.Field) bool { return !f.Attach })
}

// mapped returns the place of a field in the workspace's own mapping; -1 if it has
// none.
func (s *Source) mapped(stream, family, to string) int {
	return slices.IndexFunc(s.Mapping, func(m Mapped) bool { return m.Stream == stream && m.Family == family && m.To == to })
}

func (f *feed) add(r *run, to, from string, safe, unset bool) error {
	t, err := targetOf(f.family, to)
	if err != nil {
		return err
	}
	t.unset = unset
	if t.from, err = r.expression(from, safe); err != nil {
		return err
	}
	f.fields = append(f.fields, t)
	return nil
}

func (r *run) expression(text string, safe bool) (*connector.Expression, error) {
	if text == "" {
		return nil, nil
	}
	return r.session.Expression(text, safe)
}

// isRoot reports whether a family is that of accounts.
func isRoot(f *resource.Family) bool { return f.ID == f.Account }

// input is a record of ours that is to be made.
type input struct {
	of *one
	resource.Input
	id string
	// clipped is how many of its texts were too long.
	clipped int
}

// inputs returns what a feed makes of a record.
func (r *run) inputs(ctx context.Context, f *feed, o *one) (all []*input, err error) {
	for in, err := range f.elements(ctx, o) {
		if err != nil {
			return nil, err
		}
		all = append(all, r.input(ctx, f, o, in[0], in[1]))
	}
	return all, nil
}

// elements yields what each of our records is made from, and $record of it.
func (f *feed) elements(ctx context.Context, o *one) iter.Seq2[[2]any, error] {
	return func(yield func([2]any, error) bool) {
		if f.each == nil {
			yield([2]any{o.Value, nil}, nil)
			return
		}
		for element, err := range f.each.All(ctx, o.Value, nil) {
			if !yield([2]any{element, o.Value}, err) {
				return
			}
		}
	}
}

// value returns what a field, or a dimension, is to be.
func (r *run) value(ctx context.Context, f *feed, t *target, element, record any) (any, *core.Failure) {
	value, err := t.from.First(ctx, element, record)
	if err != nil {
		return nil, failureOf(t.name, err)
	}
	if t.key != "" || t.field != f.id || value == nil {
		return value, nil
	}
	text, ok := mapping.Text(value)
	if !ok {
		return nil, refuse(core.WrongType, t.name, "'%s' value must be a text or a number", t.name)
	}
	return r.prefixed(f, text), nil
}

// input maps one element of a record.
func (r *run) input(ctx context.Context, f *feed, o *one, element, record any) *input {
	in := &input{of: o}
	s := f.family.Schema
	object := map[string]json.RawMessage{}
	set := func(i int, value any) *core.Failure {
		text, clipped, failure := literal(s, i, value)
		if failure == nil {
			object[s.Fields[i].Name] = text
			in.clipped += clipped
		}
		return failure
	}
	if f.source >= 0 && (!isRoot(f.family) || r.source.SystemOfRecord) {
		object["source"] = json.RawMessage(schema.Text(r.connector.Title))
	}
	dimensions := map[int][]any{}
	for _, t := range f.fields {
		if t.unset && !o.stored[t.field].IsNull() {
			continue
		}
		value, failure := r.value(ctx, f, &t, element, record)
		if failure != nil {
			in.Failure = failure
			return in
		}
		if t.key != "" {
			if value != nil || isRoot(f.family) {
				dimensions[t.field] = append(dimensions[t.field], map[string]any{"key": t.key, "value": value})
			}
			continue
		}
		if in.Failure = set(t.field, value); in.Failure != nil {
			return in
		}
	}
	for i, list := range dimensions {
		if in.Failure = set(i, list); in.Failure != nil {
			return in
		}
	}
	if isRoot(f.family) && o.was != nil && o.was.Out {
		object["is_deleted"] = json.RawMessage("false")
	}
	object[s.Fields[f.family.Account].Name] = json.RawMessage(schema.Text(o.account))
	text, err := json.Marshal(object)
	if err != nil {
		in.Failure = failureOf("", err)
		return in
	}
	if in.Patch, in.Failure = s.Decode(text, true); in.Failure == nil && !in.Patch[f.id].IsNull() {
		in.id = in.Patch[f.id].Text()
	}
	return in
}

// prefixed returns the id of our record of what the system has under id.
func (r *run) prefixed(f *feed, id string) string {
	if r.source.Prefix == "" || !f.family.OwnID && f.family.Generated == nil {
		return id
	}
	return r.source.Prefix + id
}

// failureOf returns what an expression's error says of a field.
func failureOf(field string, err error) *core.Failure {
	if failure, ok := errors.AsType[*core.Failure](err); ok {
		return &core.Failure{Code: failure.Code, Field: field, Message: "'" + field + "': " + failure.Message}
	}
	return refuse(core.Malformed, field, "'%s': %v", field, err)
}

// literal returns a value as JSON for the field at ordinal i: texts where the field
// is a text, numbers where it is a number, and texts that are too long cut off.
func literal(s *schema.Schema, i int, value any) (text json.RawMessage, clipped int, failure *core.Failure) {
	f := &s.Fields[i]
	if value == nil {
		return json.RawMessage("null"), 0, nil
	}
	switch f.Type {
	case schema.List:
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		of := s.List(i)
		var out bytes.Buffer
		out.WriteByte('[')
		for n, entry := range list {
			if n > 0 {
				out.WriteByte(',')
			}
			object, ok := entry.(map[string]any)
			if !ok && len(of.Fields) == 1 { // assigned_csms may be given as addresses
				object, ok = map[string]any{of.Fields[0].Name: entry}, true
			}
			if !ok {
				return nil, 0, refuse(core.WrongType, f.Name, "'%s' must be a list of objects", f.Name)
			}
			fields := map[string]json.RawMessage{}
			for name, member := range object {
				at, known := of.Lookup(name)
				if !known {
					return nil, 0, refuse(core.UnknownField, f.Name+"."+name, "'%s' has no field '%s'", f.Name, name)
				}
				text, cut, failure := literal(of, at, member)
				if failure != nil {
					failure.Field = f.Name + "." + failure.Field
					return nil, 0, failure
				}
				clipped += cut
				fields[name] = text
			}
			entry, err := json.Marshal(fields)
			if err != nil {
				return nil, 0, failureOf(f.Name, err)
			}
			out.Write(entry)
		}
		out.WriteByte(']')
		return out.Bytes(), clipped, nil
	case schema.String, schema.ID, schema.Label:
		of, ok := mapping.Text(value)
		if b, isBool := value.(bool); isBool && f.Type == schema.Label {
			of, ok = fmt.Sprint(b), true
		}
		if !ok {
			return nil, 0, refuse(core.WrongType, f.Name, "'%s' value must be a text", f.Name)
		}
		if f.Type != schema.ID && utf8.RuneCountInString(of) > f.MaxLen {
			of, clipped = string([]rune(of)[:f.MaxLen-1])+"…", 1
		}
		return json.RawMessage(schema.Text(of)), clipped, nil
	case schema.Boolean:
		switch of, _ := mapping.Text(value); {
		case value == true, strings.EqualFold(of, "true"), strings.EqualFold(of, "yes"), of == "1":
			return json.RawMessage("true"), 0, nil
		case value == false, strings.EqualFold(of, "false"), strings.EqualFold(of, "no"), of == "0":
			return json.RawMessage("false"), 0, nil
		}
		return nil, 0, refuse(core.WrongType, f.Name, "'%s' value must be boolean", f.Name)
	}
	of, ok := mapping.Text(value)
	number := json.RawMessage(of)
	if !ok || schema.Kind(number) != '0' || schema.Valid(number) != nil {
		return nil, 0, refuse(core.WrongType, f.Name, "'%s' value must be a number", f.Name)
	}
	return number, 0, nil
}

// hash returns by what it is known whether a record is as it was.
func (r *run) hash(o *one) (string, error) {
	text, err := json.Marshal(o.Value)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	sum.Write([]byte(r.fingerprint))
	sum.Write(text)
	return hex.EncodeToString(sum.Sum(nil)[:12]), nil
}

// apply places records of a stream and makes ours of them. Those that wait are
// given with since when.
func (r *run) apply(ctx context.Context, st *connector.Stream, records []*one) error {
	plan := r.plans[st.Name]
	counts := r.report.counts(st.Name)
	ids := make([]string, len(records))
	for i, o := range records {
		ids[i] = o.ID
	}
	if st.Deletes != "" {
		return r.remove(ctx, streamOf(r.connector, st.Deletes), ids, counts)
	}
	var gone []string
	records = slices.DeleteFunc(records, func(o *one) bool {
		if o.Deleted {
			gone = append(gone, o.ID)
		}
		return o.Deleted
	})
	if err := r.remove(ctx, st, gone, counts); err != nil {
		return err
	}
	if err := r.join(ctx, st, records); err != nil {
		return err
	}
	if err := r.recall(ctx, st, plan, records, counts); err != nil {
		return err
	}
	todo := slices.Clone(records)
	todo = slices.DeleteFunc(todo, func(o *one) bool { return o.passed })
	if todo, err := r.wanted(ctx, st, plan, todo); err != nil {
		return err
	} else if err := r.makeOf(ctx, st, plan, todo, counts); err != nil {
		return err
	}
	return r.settle(ctx, st, plan, records, counts)
}

// wanted returns the records of which something is made: the others need no account.
func (r *run) wanted(ctx context.Context, st *connector.Stream, plan *plan, records []*one) ([]*one, error) {
	var some []*one
	for _, o := range records {
		for _, f := range plan.feeds {
			made := true
			if f.when != nil {
				v, err := f.when.First(ctx, o.Value, nil)
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if err != nil {
					o.refuse(st, f, failureOf("", err))
				}
				made = err == nil && v != nil && v != false
			}
			if made {
				o.feeds = append(o.feeds, f)
			}
		}
		if len(o.feeds) > 0 {
			some = append(some, o)
		}
	}
	return some, nil
}

// makeOf places records and makes ours of them.
func (r *run) makeOf(ctx context.Context, st *connector.Stream, plan *plan, todo []*one, counts *Counts) error {
	if err := r.place(ctx, st, todo); err != nil {
		return err
	}
	if err := r.claim(ctx, st, todo); err != nil {
		return err
	}
	if err := r.filter(ctx, st, todo, counts); err != nil {
		return err
	}
	for _, f := range plan.feeds {
		if err := r.feed(ctx, st, f, todo, counts); err != nil {
			return err
		}
	}
	return nil
}

// recall finds out what is remembered of records, computes what is to be, and which
// of them are as they were.
func (r *run) recall(ctx context.Context, st *connector.Stream, plan *plan, records []*one, counts *Counts) error {
	var known map[string]*seen
	if plan.remembered {
		ids := make([]string, len(records))
		for i, o := range records {
			ids[i] = o.ID
		}
		var err error
		if known, err = r.loadSeen(ctx, st.Name, ids); err != nil {
			return err
		}
	}
	for _, o := range records {
		var err error
		if o.label, err = r.text(ctx, st.Label, o.Value); err != nil {
			return err
		}
		o.was = known[o.ID]
		if o.now.Refs, err = r.refsOf(ctx, st, o); err != nil {
			return err
		}
		if o.now.Hash, err = r.hash(o); err != nil {
			return err
		}
		if st.Keep != "" {
			kept, err := r.eval(ctx, st.Keep, o.Value)
			if err != nil {
				return err
			}
			if o.now.Kept, err = json.Marshal(kept); err != nil {
				return err
			}
			if len(o.now.Kept) > maxKept {
				return fmt.Errorf("stream %s: %d bytes are to be kept of record %s, more than %d", st.Name, len(o.now.Kept), clip(o.ID), maxKept)
			}
		}
		if o.was != nil && o.was.Hash == o.now.Hash && !r.full && o.waited == 0 {
			o.passed = true
			o.now = *o.was
			counts.Passed++
		}
	}
	return nil
}

// feed has a feed make our records of those that have an account.
func (r *run) feed(ctx context.Context, st *connector.Stream, f *feed, records []*one, counts *Counts) error {
	if f.attached {
		var ids []string
		for _, o := range records {
			ids = append(ids, o.account)
		}
		stored, err := r.Engine.StoredAccounts(ctx, r.workspace, f.family, distinct(ids))
		if err != nil {
			return err
		}
		for _, o := range records {
			if o.stored = stored[o.account]; o.stored == nil {
				o.stored = f.family.Schema.NewRecord()
			}
		}
	}
	var inputs []*input
	for _, o := range records {
		if o.account == "" || !slices.Contains(o.feeds, f) {
			continue
		}
		of, err := r.inputs(ctx, f, o)
		if err != nil {
			o.refuse(st, f, failureOf("", err))
			continue
		}
		inputs = append(inputs, of...)
	}
	for group := range slices.Chunk(inputs, r.together) {
		if err := r.upload(ctx, st, f, group, counts); err != nil {
			return err
		}
	}
	return nil
}

// upload applies some of our records by the API's own upsert.
func (r *run) upload(ctx context.Context, st *connector.Stream, f *feed, inputs []*input, counts *Counts) error {
	result, err := r.Engine.Upload(ctx, resource.Upload{
		Workspace: r.workspace,
		Family:    f.family,
		Records: func(yield func(func() resource.Input) bool) {
			for _, in := range inputs {
				if !yield(func() resource.Input { return in.Input }) {
					return
				}
			}
		},
		Guard: r.guard(),
	})
	if err != nil {
		return err
	}
	counts.Inserted += result.Inserted
	counts.Changed += result.Changed
	counts.Unchanged += result.Unchanged
	counts.Failed += len(result.Failed)
	refused := map[int]*core.Failure{}
	for _, failed := range result.Failed {
		refused[failed.Record] = failed.Failure
	}
	for i, in := range inputs {
		counts.Clipped += in.clipped
		if failure := refused[i]; failure != nil {
			in.of.refuse(st, f, failure)
		} else {
			in.of.now.Made = append(in.of.now.Made, made{Feed: f.at, ID: in.id, Account: in.of.account})
		}
		if r.shown {
			in.of.shown = append(in.of.shown, r.show(f, in, result, refused[i]))
		}
	}
	return nil
}

func (o *one) refuse(st *connector.Stream, f *feed, failure *core.Failure) {
	o.failed = append(o.failed, Problem{Trouble: Invalid, Stream: st.Name, ID: o.ID, Label: o.label, Family: f.Family,
		Code: failure.Code, Field: failure.Field, Message: failure.Message})
}

// settle writes down what is remembered of records, which of them wait, and what
// was wrong with them; and takes back what earlier was made of them and is not now.
func (r *run) settle(ctx context.Context, st *connector.Stream, plan *plan, records []*one, counts *Counts) error {
	var ops []table.Op
	wait := r.state.Waiting[st.Name]
	for _, o := range records {
		trouble := o.why
		if trouble == nil && len(o.failed) > 0 {
			trouble = &o.failed[0]
		}
		for i := range o.failed {
			if o.told == nil || o.told.Message != o.failed[i].Message {
				r.tell(o.failed[i])
			}
		}
		if o.why != nil {
			switch {
			case o.waited != 0 && !o.again: // it was counted when it was tried before
			case o.why.Trouble == Mismatch:
				counts.Mismatched++
			default:
				counts.Filtered++
			}
			if (o.told == nil || o.told.Message != o.why.Message) && o.why.Trouble != Filtered {
				r.tell(*o.why)
			}
		}
		switch {
		case trouble != nil:
			if o.waited == 0 {
				wait++
			}
			op, needed, err := r.wait(st, o, *trouble)
			if err != nil {
				return err
			}
			if needed {
				ops = append(ops, op)
			}
			o.now.Hash = "" // there is something left to do
			if o.was != nil {
				for _, m := range o.was.Made {
					if !slices.Contains(o.now.Made, m) {
						o.now.Made = append(o.now.Made, m)
					}
				}
			}
		case o.waited != 0:
			wait--
			ops = append(ops, table.Delete(waitingKey(r.workspace, r.source.ID, st.Name, o.ID), table.Condition{}))
		}
		if o.was != nil && !o.passed && trouble == nil {
			if err := r.takeBack(ctx, st, o.was.Made, o.now.Made); err != nil {
				return err
			}
		}
		if !plan.remembered || o.passed {
			continue
		}
		op, needed, err := r.remember(st.Name, o.ID, o.was, o.now)
		if err != nil {
			return err
		}
		if needed {
			ops = append(ops, op)
		}
	}
	for group := range slices.Chunk(ops, 1000) {
		if err := errors.Join(r.Table.Write(ctx, group, r.guard())...); err != nil {
			return err
		}
	}
	r.state.Waiting[st.Name] = max(0, wait)
	return nil
}

// wait returns the write of a record that is to be tried again; none is needed if
// it waits already, as it is and for the same reason.
func (r *run) wait(st *connector.Stream, o *one, trouble Problem) (op table.Op, needed bool, err error) {
	trouble.clip()
	w := waiting{Problem: trouble, Since: o.waited}
	if w.Since == 0 {
		w.Since = r.Now().UnixMilli()
	}
	for _, j := range st.Joins { // they are joined anew when it is tried again
		delete(o.Value, j.As)
	}
	text, err := json.Marshal(o.Value)
	if err != nil {
		return table.Op{}, false, err
	}
	if len(text) <= maxWaiting {
		w.Record = text
	}
	body, err := json.Marshal(w)
	if err != nil {
		return table.Op{}, false, err
	}
	needed = o.waited == 0 || o.told == nil || o.told.Message != trouble.Message || !o.again && !bytes.Equal(w.Record, o.kept)
	return table.Put(table.Item{Key: waitingKey(r.workspace, r.source.ID, st.Name, o.ID), Version: r.version(0), Body: body}, table.Condition{}), needed, nil
}

// tell adds a problem to the report.
func (r *run) tell(p Problem) {
	p.clip()
	r.problems = append(r.problems, p)
	r.report.Problems++
}

// takeBack removes our records that were made of a system's and are not any more.
func (r *run) takeBack(ctx context.Context, st *connector.Stream, before, now []made) error {
	for _, m := range before {
		if slices.Contains(now, m) || m.ID == "" || m.Feed >= len(st.Feeds) {
			continue
		}
		// A person who has moved to another account is left behind in the old one; a
		// record with an id of its own has moved along.
		family := r.family(st.Feeds[m.Feed].Family)
		moved := (family.OwnID || family.Generated != nil) && slices.ContainsFunc(now, func(n made) bool { return n.Feed == m.Feed && n.ID == m.ID })
		if moved || isRoot(family) {
			continue
		}
		if err := r.removeOne(ctx, family, m); err != nil {
			return err
		}
	}
	return nil
}

// remove does what is to be done when a system has deleted records of a stream.
func (r *run) remove(ctx context.Context, st *connector.Stream, ids []string, counts *Counts) error {
	if len(ids) == 0 {
		return nil
	}
	plan := r.plans[st.Name]
	known, err := r.loadSeen(ctx, st.Name, ids)
	if err != nil {
		return err
	}
	var ops []table.Op
	for _, id := range ids {
		of := known[id]
		var all []made
		switch {
		case of != nil:
			all = of.Made
		case !plan.remembered:
			for _, f := range plan.feeds {
				if f.each == nil && !isRoot(f.family) && (f.family.OwnID || f.family.Generated != nil) {
					all = append(all, made{Feed: f.at, ID: r.prefixed(f, id)})
				}
			}
		}
		if len(all) > 0 {
			counts.Deleted++
		}
		for _, m := range all {
			family := r.family(st.Feeds[m.Feed].Family)
			if !isRoot(family) {
				if err := r.removeOne(ctx, family, m); err != nil {
					return err
				}
				continue
			}
			if !st.Accounts || !r.source.SystemOfRecord || of.Out {
				continue
			}
			r.tell(Problem{Trouble: Gone, Stream: st.Name, ID: id, Value: m.Account, Code: core.NotFound, Field: "account_id",
				Message: "The system has deleted the account '" + m.Account + "'"})
			if r.source.Inactivate {
				if err := r.inactivate(ctx, m.Account, "Deleted in "+r.connector.Title); err != nil {
					return err
				}
			}
		}
		if of != nil && st.Accounts && r.source.Inactivate && len(all) > 0 {
			// Should it come back, the account is active again.
			op, needed, err := r.remember(st.Name, id, of, seen{Made: all, Out: true})
			if err != nil {
				return err
			}
			if needed {
				ops = append(ops, op)
			}
		} else if of != nil {
			ops = append(ops, table.Delete(seenKey(r.workspace, r.source.ID, st.Name, id), table.Condition{}))
		}
		if of != nil && st.Accounts {
			for _, to := range of.Refs {
				if to.By == connector.ByAccountID {
					ops = append(ops, table.Delete(accountKey(r.workspace, r.source.ID, to.Value), table.Condition{}))
				}
			}
		}
	}
	// One that waited need not wait any more.
	keys := make([]table.Key, len(ids))
	for i, id := range ids {
		keys[i] = waitingKey(r.workspace, r.source.ID, st.Name, id)
	}
	items, err := r.Table.Get(ctx, keys, true)
	if err != nil {
		return err
	}
	for i := range items {
		if items[i].Exists() {
			ops = append(ops, table.Delete(keys[i], table.Condition{}))
			r.state.Waiting[st.Name] = max(0, r.state.Waiting[st.Name]-1)
		}
	}
	return errors.Join(r.Table.Write(ctx, dedupe(ops), r.guard())...)
}

// dedupe leaves one operation for each key, the last.
func dedupe(ops []table.Op) []table.Op {
	at := map[table.Key]int{}
	var out []table.Op
	for _, op := range ops {
		if i, twice := at[op.Item.Key]; twice {
			out[i] = op
			continue
		}
		at[op.Item.Key] = len(out)
		out = append(out, op)
	}
	return out
}

// removeOne removes a record of ours, or marks it inactive, or has a subscription
// end. One that is gone already is none of its business.
func (r *run) removeOne(ctx context.Context, family *resource.Family, m made) error {
	to := resource.Target{Workspace: r.workspace, Family: family, ID: m.ID, Account: m.Account}
	if family.OwnID {
		to.Account = ""
	}
	to.External = family.Generated != nil
	if to.External {
		to.Account = ""
	}
	var err error
	switch {
	case family.Schema.Name == "subscriptions":
		err = r.end(ctx, family, to)
	case family.Deactivate != nil:
		_, err = r.Engine.Deactivate(ctx, to, resource.Deactivation{})
	default:
		_, err = r.Engine.Remove(ctx, to)
	}
	return err
}

// end has a subscription end now, unless it has ended.
func (r *run) end(ctx context.Context, family *resource.Family, to resource.Target) error {
	found, err := r.Engine.Read(ctx, to)
	if err != nil || len(found) == 0 {
		return err
	}
	s := family.Schema
	segments := s.List(s.Ordinal("records"))
	for segment := range segments.EachEntry(found[0][s.Ordinal("records")]) {
		if segment[segments.Ordinal("is_end")].True() {
			return nil
		}
	}
	patch := s.NewRecord()
	patch[family.ID] = schema.Text(to.ID)
	patch[family.Account] = found[0][family.Account]
	patch[s.Ordinal("event")] = schema.Text("end")
	patch[s.Ordinal("effective_start_date")] = schema.Int(r.Now().UnixMilli())
	_, err = r.Engine.Upload(ctx, resource.Upload{Workspace: r.workspace, Family: family, Guard: r.guard(),
		Records: func(yield func(func() resource.Input) bool) {
			yield(func() resource.Input { return resource.Input{Patch: patch} })
		}})
	return err
}

// inactivate marks an account inactive.
func (r *run) inactivate(ctx context.Context, account, reason string) error {
	family := r.family("accounts")
	s := family.Schema
	patch := s.NewRecord()
	patch[s.Ordinal("is_deleted")] = schema.Bool(true)
	patch[s.Ordinal("inactive_reason")] = schema.Text(reason)
	_, _, err := r.Engine.Modify(ctx, resource.Modification{Target: resource.Target{Workspace: r.workspace, Family: family, ID: account}, Patch: patch})
	return err
}
