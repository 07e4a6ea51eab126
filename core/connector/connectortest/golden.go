package connectortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"tenure/core/catalog"
	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/resource"
	"tenure/core/schema"
)

func family(name string) *resource.Family {
	for _, f := range catalog.All() {
		if f.Schema.Name == name {
			return f
		}
	}
	return nil
}

// mapped checks that what is mapped exists in our declarations, and that nothing
// is missing that a record needs.
func (s *subject) mapped() error {
	var all []error
	for i := range s.Streams {
		for _, feed := range s.Streams[i].Feeds {
			where := s.Streams[i].Name + " feeds " + feed.Family
			f := family(feed.Family)
			if f == nil {
				all = append(all, fmt.Errorf("%s, and there is no such family", where))
				continue
			}
			// Accounts are made by the stream that has them; others only add to them.
			makes := f != catalog.Root || s.Streams[i].Accounts
			names := map[string]bool{}
			for _, field := range feed.Fields {
				list, key, dimension := strings.Cut(field.To, ".")
				n, known := f.Schema.Lookup(list)
				switch {
				case !known || f.Schema.Fields[n].ReadOnly:
					all = append(all, fmt.Errorf("%s.%s, which is no field that can be set", where, field.To))
					continue
				case n == f.Account:
					all = append(all, fmt.Errorf("%s.%s, which follows from the location", where, field.To))
				case dimension != f.Schema.Fields[n].IsDimensions() || dimension && key == "":
					all = append(all, fmt.Errorf("%s.%s, and a dimension is LIST.KEY", where, field.To))
				}
				names[f.Schema.Fields[n].Name] = true
				if f == catalog.Root && s.Streams[i].Accounts && list == s.AccountField && !field.Attach {
					all = append(all, fmt.Errorf("%s.%s, which has to be marked Attach", where, field.To))
				}
			}
			if f == catalog.Root && s.Streams[i].Accounts && s.AccountField != "" && !names[s.AccountField] {
				all = append(all, fmt.Errorf("%s without %s", where, s.AccountField))
			}
			for n, field := range f.Schema.Fields {
				needed := field.Required == schema.Always || field.Required == schema.OnInsert && makes
				if f.Generated != nil && n == f.Generated.External {
					needed = true // by what a record is known again
				}
				if needed && n != f.Account && !names[field.Name] && !(n == f.ID && f.Generated != nil) {
					all = append(all, fmt.Errorf("%s without %s, which is required", where, field.Name))
				}
			}
		}
	}
	return errors.Join(all...)
}

// golden reads a stream as the files have it, and compares what becomes of its
// records with what must.
func (w *world) golden(ctx context.Context, st *connector.Stream, got map[string]map[string]connector.Record) error {
	want, err := w.want(st)
	if err != nil {
		return err
	}
	if n := len(w.server.collection(st.Name).rows); n != len(want) {
		return fmt.Errorf("want/%s.json has %d members, and records/%s.json has %d", st.Name, len(want), st.Name, n)
	}
	r := w.begin(st, nil)
	if err := w.run(ctx, r); err != nil {
		return err
	}
	got[st.Name] = r.seen
	errs := []error{w.compare(ctx, r.session, st, r.seen, want, got)}

	s, exported, err := w.exported(ctx, st)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("exported: %w", err))
	case exported == nil && w.ended && len(st.Feeds) > 0 && !st.Optional:
		errs = append(errs, fmt.Errorf("the service has ended, and there is no export/%s.json", st.Name))
	case exported != nil:
		if err := w.compare(ctx, s, st, exported, want, got); err != nil {
			errs = append(errs, fmt.Errorf("exported: %w", err))
		}
	}
	return errors.Join(errs...)
}

// exported reads a stream's records from export/STREAM.json, in a session that
// sends nothing; nil if there is none.
func (w *world) exported(ctx context.Context, st *connector.Stream) (*connector.Session, map[string]connector.Record, error) {
	file, err := w.dir.Open("export/" + st.Name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	s, err := connector.Open(ctx, connector.Config{Connector: w.Connector, Settings: w.connection.Settings, Env: w.env, Transport: w.server, Now: w.clock.Now, Sleep: w.clock.sleep})
	if err != nil {
		return nil, nil, err
	}
	seen, before := map[string]connector.Record{}, w.server.sent()
	for record, err := range s.Export(ctx, st, file) {
		if err != nil {
			return nil, nil, err
		}
		seen[record.ID] = record
	}
	if w.server.sent() != before {
		err = errors.New("requests are sent for it")
	}
	return s, seen, err
}

func (w *world) compare(ctx context.Context, s *connector.Session, st *connector.Stream, seen map[string]connector.Record, want []*wanted, got map[string]map[string]connector.Record) error {
	var errs []error
	known := map[string]bool{}
	for i, must := range want {
		if must == nil {
			continue
		}
		known[must.ID] = true
		record, ok := seen[must.ID]
		if !ok {
			errs = append(errs, fmt.Errorf("record %d: there is no record with the id %q", i, must.ID))
			continue
		}
		if err := w.matches(ctx, s, st, record, must, got); err != nil {
			errs = append(errs, fmt.Errorf("record %s:\n%w", must.ID, err))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		if !known[id] {
			errs = append(errs, fmt.Errorf("there is a record %q that must not be there", id))
		}
	}
	return errors.Join(errs...)
}

// matches compares a record with what must become of it.
func (w *world) matches(ctx context.Context, s *connector.Session, st *connector.Stream, record connector.Record, must *wanted, got map[string]map[string]connector.Record) error {
	if st.Deletes != "" {
		return nil // all of it is that another record was deleted
	}
	if record.Deleted != must.Deleted {
		return fmt.Errorf("deleted is %v, and must be %v", record.Deleted, must.Deleted)
	}
	if record.Deleted {
		return nil
	}
	value := clone(record.Value).(Row)
	first := func(text string, input, record any) (any, error) {
		e, err := s.Expression(text, false)
		if err != nil {
			return nil, err
		}
		return e.First(ctx, input, record)
	}
	text := func(expression string) (string, bool, error) {
		v, err := first(expression, value, nil)
		text, ok := mapping.Text(v)
		if err == nil && v != nil && !ok {
			err = fmt.Errorf("%s yields %v, which is no text", expression, v)
		}
		return text, ok, err
	}
	for _, j := range st.Joins {
		key, ok, err := text(j.Key)
		if err != nil {
			return err
		}
		value[j.As] = nil
		other, found := got[j.Stream][key]
		if !ok || !found {
			continue
		}
		at := slices.IndexFunc(w.Streams, func(o connector.Stream) bool { return o.Name == j.Stream })
		kept, err := first(w.Streams[at].Keep, other.Value, nil)
		if err != nil {
			return err
		}
		// What is kept is kept as JSON.
		written, err := json.Marshal(kept)
		if err != nil {
			return err
		}
		if value[j.As], err = decode(written); err != nil {
			return err
		}
	}
	var errs []error
	locations := map[string]string{}
	for _, l := range w.Locations {
		if l.Stream != st.Name {
			continue
		}
		if at, ok, err := text(l.Path); err != nil {
			errs = append(errs, fmt.Errorf("location %s: %w", l.Name, err))
		} else if ok {
			locations[l.Name] = at
		}
	}
	if !maps.Equal(locations, must.Locations) {
		errs = append(errs, fmt.Errorf("the locations have %v, and must have %v", locations, must.Locations))
	}
	routes := make([]string, len(st.Account))
	for i, route := range st.Account {
		at, ok, err := text(route.Key + route.Path) // one of them is empty
		if err != nil {
			errs = append(errs, fmt.Errorf("route %d: %w", i, err))
		}
		if routes[i] = at; !ok {
			routes[i] = "null"
		}
	}
	wantRoutes := make([]string, len(must.Routes))
	for i, route := range must.Routes {
		if wantRoutes[i] = "null"; route != nil {
			wantRoutes[i] = *route
		}
	}
	if !slices.Equal(routes, wantRoutes) && (len(wantRoutes) > 0 || slices.ContainsFunc(routes, func(r string) bool { return r != "null" })) {
		errs = append(errs, fmt.Errorf("the routes yield %q, and must yield %q", routes, wantRoutes))
	}
	fed := map[string]bool{}
	for i := range st.Feeds {
		feed := &st.Feeds[i]
		made, err := w.feed(ctx, s, feed, value)
		if part, fails := must.Fails[feed.Family]; fails {
			if err == nil || !strings.Contains(err.Error(), part) {
				errs = append(errs, fmt.Errorf("%s: it must fail for %q, and the error is %v", feed.Family, part, err))
			}
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", feed.Family, err))
			continue
		}
		if fed[feed.Family] {
			errs = append(errs, fmt.Errorf("%s is fed twice, which want cannot say", feed.Family))
		}
		fed[feed.Family] = true
		if err := same(feed.Family, made, must.Feeds[feed.Family], st.Accounts); err != nil {
			errs = append(errs, err)
		}
	}
	for name := range must.Feeds {
		if !fed[name] {
			errs = append(errs, fmt.Errorf("there must be %s, and the stream does not feed them", name))
		}
	}
	return errors.Join(errs...)
}

// feed returns what a feed makes of a record.
func (w *world) feed(ctx context.Context, s *connector.Session, feed *connector.Feed, record Row) (made []object, err error) {
	if feed.When != "" {
		e, err := s.Expression(feed.When, false)
		if err != nil {
			return nil, err
		}
		if v, err := e.First(ctx, record, nil); err != nil || v == nil || v == false {
			return nil, err
		}
	}
	elements, of := []any{record}, any(nil)
	if feed.Each != "" {
		elements, of = nil, record
		e, err := s.Expression(feed.Each, false)
		if err != nil {
			return nil, err
		}
		for v, err := range e.All(ctx, record, nil) {
			if err != nil {
				return nil, err
			}
			elements = append(elements, v)
		}
	}
	f := family(feed.Family)
	if f == nil {
		return nil, errors.New("there is no such family")
	}
	for _, element := range elements {
		values := Row{}
		for _, field := range feed.Fields {
			e, err := s.Expression(field.From, false)
			if err != nil {
				return nil, err
			}
			v, err := e.First(ctx, element, of)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", field.To, err)
			}
			if v == nil {
				continue
			}
			if list, key, dimension := strings.Cut(field.To, "."); dimension {
				entries, _ := values[list].([]any)
				values[list] = append(entries, Row{"key": key, "value": v})
				continue
			}
			values[field.To] = v
		}
		o, err := objectOf(f.Schema, values)
		if err != nil {
			return nil, err
		}
		made = append(made, o)
	}
	return made, nil
}

// objectOf returns values as our API takes them: texts where the field is a text.
func objectOf(s *schema.Schema, values Row) (object, error) {
	o := object{}
	for name, v := range values {
		i, known := s.Lookup(name)
		if !known {
			return nil, fmt.Errorf("%s has no field %s", s.Name, name)
		}
		if v == nil {
			continue
		}
		var of any = v
		switch f := &s.Fields[i]; f.Type {
		case schema.String, schema.ID, schema.Label:
			text, ok := mapping.Text(v)
			if b, is := v.(bool); is && f.Type == schema.Label {
				text, ok = fmt.Sprint(b), true
			}
			if !ok {
				return nil, fmt.Errorf("%s.%s must be a text, and is %v", s.Name, name, v)
			}
			of = text
		case schema.List:
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			entries := []object{}
			for _, entry := range list {
				row, ok := entry.(Row)
				if !ok && len(s.List(i).Fields) == 1 {
					row, ok = Row{s.List(i).Fields[0].Name: entry}, true
				}
				if !ok {
					return nil, fmt.Errorf("%s.%s must be a list of objects", s.Name, name)
				}
				e, err := objectOf(s.List(i), row)
				if err != nil {
					return nil, err
				}
				entries = append(entries, e)
			}
			of = entries
		case schema.Boolean:
		default:
			text, ok := mapping.Text(v)
			if !ok {
				return nil, fmt.Errorf("%s.%s must be a number, and is %v", s.Name, name, v)
			}
			of = json.Number(text)
		}
		text, err := json.Marshal(of)
		if err != nil {
			return nil, err
		}
		o[name] = text
	}
	return o, nil
}

// same compares records of ours with those that there must be.
func same(name string, got, want []object, accounts bool) error {
	f := family(name)
	read := func(whose string, list []object) ([]string, error) {
		var all []string
		for _, o := range list {
			text, err := json.Marshal(o)
			if err != nil {
				return nil, err
			}
			record, failure := f.Schema.Decode(text, true)
			if failure != nil && failure.Code != "too_long" {
				return nil, fmt.Errorf("%s: what %s is no record of ours: %w: %s", name, whose, failure, text)
			}
			for i, field := range f.Schema.Fields {
				needed := field.Required == schema.Always || field.Required == schema.OnInsert && (f != catalog.Root || accounts)
				if needed && i != f.Account && !(i == f.ID && f.Generated != nil) && record[i].IsNull() {
					return nil, fmt.Errorf("%s: what %s has no %s, which is required: %s", name, whose, field.Name, text)
				}
			}
			all = append(all, string(f.Schema.AppendStored(nil, record)))
		}
		return all, nil
	}
	gotten, err := read("is made", got)
	wanted, err2 := read("must be made", want)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if slices.Equal(gotten, wanted) {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d records are made, and there must be %d", name, len(got), len(want))
	for i := range max(len(got), len(want)) {
		g, w := object{}, object{}
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		for _, field := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(g)), slices.Collect(maps.Keys(w)))))) {
			if !bytes.Equal(g[field], w[field]) {
				fmt.Fprintf(&text, "\n  %d %s: is %s, must be %s", i, field, orNull(g[field]), orNull(w[field]))
			}
		}
	}
	return errors.New(text.String())
}

func orNull(text json.RawMessage) string {
	if text == nil {
		return "null"
	}
	return string(text)
}
