// Package sources keeps a workspace's records in step with other systems: which
// systems they are and with which credentials, how the records of each find their
// account, and what came of every reading.
//
// A source is one system as one workspace uses it. One source at a time is the
// System of Record: it alone makes accounts. What another one brings for an
// account that does not exist is a mismatch: it waits, listed with the reason, and
// is tried again by every run (contract C1).
//
// Run reads a source in steps: page by page, and after each it writes down how far
// it came. Whoever calls it may therefore die, or come to the end of its time,
// anywhere: the next one goes on from the last page that was written down. That
// page may then be applied a second time, which changes nothing.
package sources

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // so that Zone is known wherever the program runs
	"unicode/utf8"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/table"
)

const (
	// MinEvery is the shortest time between the beginnings of two runs.
	MinEvery = 5 * time.Minute
	// DefaultEvery is how often a source runs unless somebody says otherwise.
	DefaultEvery = time.Hour
	// maxSources is how many sources a workspace has at most.
	maxSources = 100
	maxName    = 80
	maxValue   = 512
	// maxPrefix leaves room for the system's own id in the shortest of our ids.
	maxPrefix = 16
	// maxConditions is how many conditions a filter has at most, maxMapped how many
	// fields a workspace's own mapping.
	maxConditions, maxMapped = 50, 500
	// maxSource is how long all settings are together, in bytes of JSON.
	maxSource = 300 << 10
)

// Source is one system as a workspace uses it. It holds no secret.
type Source struct {
	// ID names it within its workspace, and stays.
	ID string `json:"id"`
	// Name is by what people know it.
	Name string `json:"name"`
	// Connector is the name of the system's declaration.
	Connector string `json:"connector"`
	// Settings are the connector's, by name.
	Settings map[string]string `json:"settings,omitempty"`
	// Location is the name of the connector's location of the account_id.
	Location string `json:"location"`
	// SystemOfRecord says that accounts come from here.
	SystemOfRecord bool `json:"system_of_record,omitempty"`
	// Filter restricts what accounts come from the System of Record; nil for all.
	Filter *Filter `json:"filter,omitempty"`
	// Inactivate marks accounts inactive that the System of Record has deleted, or
	// that have ceased to pass the filter. Otherwise they are reported only.
	Inactivate bool `json:"inactivate,omitempty"`
	// DeleteMany takes it for true that half of a list is missing.
	DeleteMany bool `json:"delete_many,omitempty"`
	// Streams turns streams on and off, by name, and feeds as "stream/family"; the
	// others are on unless they are optional.
	Streams map[string]bool `json:"streams,omitempty"`
	// Mapping takes the place of the default mapping, field by field.
	Mapping []Mapped `json:"mapping,omitempty"`
	// Prefix stands before the ids of records, where two systems have the same.
	Prefix string `json:"prefix,omitempty"`
	// Zone is the name of the time zone that times without one are in.
	Zone string `json:"zone,omitempty"`
	// Requests is how many requests may be sent in the time that the connector's
	// limit is for; 0 for that limit.
	Requests int `json:"requests,omitempty"`
	// Every is how often it runs, in minutes; 0: when somebody asks for it.
	Every int `json:"every"`
	// Paused sources do not run by themselves.
	Paused bool `json:"paused,omitempty"`
	// Credentials is the id of the source whose credentials it uses, where several
	// have the same; empty for its own.
	Credentials string `json:"credentials,omitempty"`
	// Created and Updated are in epoch ms.
	Created int64 `json:"created"`
	Updated int64 `json:"updated"`

	version int64
}

// Version tells one state of a stored source from another: whoever shows a source to
// be changed can tell by it whether somebody else has changed it meanwhile.
func (s *Source) Version() string { return strconv.FormatInt(s.version, 10) }

// On reports whether a stream, or a feed as "stream/family", is turned on. Whether a
// feed makes anything depends on its stream as well; see Families.
func (s *Source) On(name string, optional bool) bool {
	on, said := s.Streams[name]
	return on || !said && !optional
}

// Turn turns a stream, or a feed as "stream/family", on or off.
func (s *Source) Turn(name string, optional, on bool) {
	switch {
	case s.On(name, optional) == on:
	case on == !optional:
		delete(s.Streams, name)
	default:
		if s.Streams == nil {
			s.Streams = map[string]bool{}
		}
		s.Streams[name] = on
	}
}

// With returns what next says, as a change of the source: what names it stays.
func (s *Source) With(next Source) *Source {
	next.ID, next.Created, next.version = s.ID, s.Created, s.version
	return &next
}

// Mapped is a field's place in a workspace's own mapping.
type Mapped struct {
	// Stream and Family name the feed.
	Stream string `json:"stream"`
	Family string `json:"family"`
	// To is a field of the family, or a dimension such as
	// "custom_label_dimensions.region".
	To string `json:"to"`
	// From is an expression over the record (mapping.CompilePath); empty: the field
	// is not set.
	From string `json:"from"`
}

// Filter says which records of the System of Record become accounts (contract C3).
// All of it must hold.
type Filter struct {
	Conditions []mapping.Condition `json:"conditions,omitempty"`
	// Any says that one of Conditions is enough; otherwise all of them must hold.
	Any bool `json:"any,omitempty"`
	// AlsoIn, if set, asks that the account is known to another source.
	AlsoIn *AlsoIn `json:"also_in,omitempty"`
}

// AlsoIn asks that another source has a record of the account.
type AlsoIn struct {
	// Source is the other one's id.
	Source string `json:"source"`
	// Path is an expression over the record, which yields the other system's id of
	// the account. Empty: the other one's records name this one's account_id, or
	// this system's id, where its location says.
	Path string `json:"path,omitempty"`
}

// Money is what amounts of a workspace are in (contract C4).
type Money struct {
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
	// Rates say how many units of Currency one unit of another currency is worth, as
	// decimal text by code.
	Rates map[string]string `json:"rates,omitempty"`

	version int64
}

// Version tells one state of what is stored from another, like Source.Version.
func (m *Money) Version() string { return strconv.FormatInt(m.version, 10) }

// Config is what a store works with.
type Config struct {
	Table      table.Table
	Engine     *resource.Engine
	Access     *access.Store
	Sealer     *secrets.Sealer
	Connectors []*connector.Connector
	Families   []*resource.Family
	// Transport sends requests to the systems; nil for http.DefaultTransport.
	Transport http.RoundTripper
	// Now and Sleep are the clock; nil for the real one.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
	// Reserve is how long before the end of its time Work stops; 0 for a minute.
	Reserve time.Duration
	// Start has Work called soon with a task: the id of a source for its run, or what
	// else the store names so. nil where nothing does.
	Start func(ctx context.Context, workspace, task string) error
}

// Store keeps the sources of all workspaces.
type Store struct{ Config }

// New returns a store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Reserve == 0 {
		c.Reserve = time.Minute
	}
	return &Store{c}
}

// Connector returns the declaration with that name; nil if there is none.
func (s *Store) Connector(name string) *connector.Connector {
	if i := slices.IndexFunc(s.Connectors, func(c *connector.Connector) bool { return c.Name == name }); i >= 0 {
		return s.Connectors[i]
	}
	return nil
}

func (s *Store) family(name string) *resource.Family {
	if i := slices.IndexFunc(s.Families, func(f *resource.Family) bool { return f.Schema.Name == name }); i >= 0 {
		return s.Families[i]
	}
	return nil
}

func sourceKey(workspace, id string) table.Key {
	return table.Key{Partition: workspace + "/sources", Sort: id}
}

func moneyKey(workspace string) table.Key {
	return table.Key{Partition: workspace + "/money", Sort: "money"}
}

// version returns a version later than old.
func (s *Store) version(old int64) int64 { return max(old+1, s.Now().UnixMicro()) }

func refuse(code core.Code, field, format string, args ...any) *core.Failure {
	return &core.Failure{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

var notFound = &core.Failure{Code: core.NotFound, Field: "source", Message: "There is no such source"}

// List returns the sources of a workspace, in the order in which they were made.
func (s *Store) List(ctx context.Context, workspace string) ([]*Source, error) {
	items, err := s.Table.Query(ctx, table.Query{Partition: sourceKey(workspace, "").Partition, Limit: maxSources, Consistent: true})
	if err != nil {
		return nil, err
	}
	all := make([]*Source, len(items))
	for i := range items {
		if all[i], err = parse(&items[i]); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b *Source) int { return int(a.Created - b.Created) })
	return all, nil
}

func parse(item *table.Item) (*Source, error) {
	source := &Source{version: item.Version}
	return source, json.Unmarshal(item.Body, source)
}

// Get returns a source. A *core.Failure says that there is none.
func (s *Store) Get(ctx context.Context, workspace, id string) (*Source, error) {
	if id == "" || len(id) > table.MaxSortBytes || !utf8.ValidString(id) {
		return nil, notFound
	}
	items, err := s.Table.Get(ctx, []table.Key{sourceKey(workspace, id)}, true)
	if err != nil {
		return nil, err
	}
	if !items[0].Exists() {
		return nil, notFound
	}
	return parse(&items[0])
}

// Create makes a source of what is set in it, and fills in the rest. A
// *core.Failure names the setting that cannot be.
func (s *Store) Create(ctx context.Context, workspace string, source *Source) error {
	source.ID = strings.ToLower(rand.Text()[:10])
	source.Created = s.Now().UnixMilli()
	source.version = 0
	return s.put(ctx, workspace, source)
}

// Update stores what was changed in a source that was read before. A
// *core.Failure names the setting that cannot be, or says that somebody else has
// changed it meanwhile.
func (s *Store) Update(ctx context.Context, workspace string, source *Source) error {
	return s.put(ctx, workspace, source)
}

// put checks and stores a source, and what hangs together with that: that one
// source at a time is the System of Record.
func (s *Store) put(ctx context.Context, workspace string, source *Source) error {
	all, err := s.List(ctx, workspace)
	if err != nil {
		return err
	}
	if source.version == 0 && len(all) >= maxSources {
		return refuse(core.TooLarge, "source", "There are %d sources already, and no more can be added", maxSources)
	}
	if err := s.check(source, all); err != nil {
		return err
	}
	source.Updated = s.Now().UnixMilli()
	body, err := json.Marshal(source)
	if err != nil {
		return err
	}
	if len(body) > maxSource {
		return refuse(core.TooLarge, "source", "The settings, mapping and filter together are too long")
	}
	item := table.Item{Key: sourceKey(workspace, source.ID), Version: s.version(source.version), Body: body}
	cond := table.Absent()
	if source.version != 0 {
		cond = table.VersionIs(source.version)
	}
	// The System of Record is named by an item of its own, so that of two sources
	// that become it at once only one does.
	record := table.Key{Partition: sourceKey(workspace, "").Partition + "/~record", Sort: "record"}
	items, err := s.Table.Get(ctx, []table.Key{record}, true)
	if err != nil {
		return err
	}
	ops := []table.Op{table.Put(item, cond)}
	switch named := string(items[0].Body); {
	case source.SystemOfRecord && items[0].Exists() && named != source.ID && slices.ContainsFunc(all, func(o *Source) bool { return o.ID == named }):
		return refuse(core.Conflicting, "system_of_record", "Another source is the System of Record: %s", nameOf(all, named))
	case source.SystemOfRecord && named != source.ID:
		was := table.Absent()
		if items[0].Exists() {
			was = table.VersionIs(items[0].Version)
		}
		ops = append(ops, table.Put(table.Item{Key: record, Version: s.version(items[0].Version), Body: []byte(source.ID)}, was))
	case !source.SystemOfRecord && named == source.ID:
		ops = append(ops, table.Delete(record, table.VersionIs(items[0].Version)))
	}
	switch err := s.Table.Transact(ctx, ops, nil); {
	case errors.Is(err, table.ErrConflict):
		return refuse(core.Conflicting, "source", "Somebody else has changed the sources meanwhile: look at it again")
	case err != nil:
		return err
	}
	source.version = item.Version
	return nil
}

func nameOf(all []*Source, id string) string {
	for _, source := range all {
		if source.ID == id {
			return source.Name
		}
	}
	return id
}

// prefixPattern has what ids can begin with that no system's own id does.
var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// check returns a failure that names a setting that cannot be, and fills in what
// has a default.
func (s *Store) check(source *Source, all []*Source) error {
	c := s.Connector(source.Connector)
	if c == nil {
		return refuse(core.NotAChoice, "connector", "There is no connector '%s'", source.Connector)
	}
	if source.Name == "" {
		source.Name = c.Title
	}
	if utf8.RuneCountInString(source.Name) > maxName || !utf8.ValidString(source.Name) {
		return refuse(core.TooLong, "name", "'name' has more than %d characters", maxName)
	}
	if err := checkSettings(c.Settings, source.Settings, "settings"); err != nil {
		return err
	}
	for _, setting := range c.Settings {
		if text := source.Settings[setting.Name]; setting.Path && text != "" {
			if _, err := mapping.CompilePath(text, &mapping.Env{}, connector.Variables...); err != nil {
				return named("settings."+setting.Name, err)
			}
		}
	}
	if source.Location == "" {
		source.Location = c.Locations[0].Name
	}
	location := locationOf(c, source.Location)
	switch {
	case location == nil:
		return refuse(core.NotAChoice, "location", "'location' is none of %s's", c.Title)
	case source.SystemOfRecord && !slices.ContainsFunc(c.Streams, func(st connector.Stream) bool { return st.Accounts }):
		return refuse(core.Conflicting, "system_of_record", "%s has no accounts, and cannot be the System of Record", c.Title)
	case source.SystemOfRecord && (location.By != connector.ByAccountID && location.By != connector.ByNativeID || !streamOf(c, location.Stream).Accounts):
		return refuse(core.Conflicting, "location", "The System of Record needs a location that yields the account_id itself; %s does not", location.Title)
	case !source.SystemOfRecord && source.Filter != nil:
		return refuse(core.Conflicting, "filter", "Only the System of Record has a filter")
	case source.Prefix != "" && !prefixPattern.MatchString(source.Prefix), len(source.Prefix) > maxPrefix:
		return refuse(core.OutOfRange, "prefix", "'prefix' is at most %d letters, digits, '-', '_' and '.', and begins with a letter or digit", maxPrefix)
	case source.Every != 0 && source.Every < int(MinEvery/time.Minute), source.Every > 365*24*60:
		return refuse(core.OutOfRange, "every", "'every' is 0, or from %d to %d minutes", int(MinEvery/time.Minute), 365*24*60)
	case source.Requests < 0 || source.Requests > 1_000_000:
		return refuse(core.OutOfRange, "requests", "'requests' must not be negative")
	}
	if _, err := time.LoadLocation(source.Zone); err != nil || source.Zone == "Local" {
		return refuse(core.NotAChoice, "zone", "'zone' is not the name of a time zone, such as Europe/Berlin")
	}
	if source.Credentials != "" {
		other := slices.IndexFunc(all, func(o *Source) bool { return o.ID == source.Credentials && o.Credentials == "" })
		if other < 0 || all[other].Connector != source.Connector || source.Credentials == source.ID {
			return refuse(core.NotFound, "credentials", "'credentials' names no other source of the same system with credentials of its own")
		}
		if user := slices.IndexFunc(all, func(o *Source) bool { return o.Credentials == source.ID }); user >= 0 {
			return refuse(core.Conflicting, "credentials", "%s uses the credentials of this source: choose others there first", all[user].Name)
		}
	}
	for name := range source.Streams {
		if !slices.ContainsFunc(c.Streams, func(st connector.Stream) bool {
			return st.Name == name || slices.ContainsFunc(st.Feeds, func(f connector.Feed) bool { return st.Name+"/"+f.Family == name })
		}) {
			return refuse(core.UnknownField, "streams."+name, "%s has no stream '%s'", c.Title, name)
		}
	}
	if err := s.checkMapping(c, source); err != nil {
		return err
	}
	if err := s.checkFilter(source, all); err != nil {
		return err
	}
	return s.checkPrefix(c, source, all)
}

// named has a failure name the setting that it is about.
func named(field string, err error) error {
	if failure, ok := errors.AsType[*core.Failure](err); ok {
		return &core.Failure{Code: failure.Code, Field: field, Message: "'" + field + "': " + failure.Message}
	}
	return refuse(core.Malformed, field, "'%s': %v", field, err)
}

// checkSettings checks values against the settings that they are for.
func checkSettings(settings []connector.Setting, values map[string]string, field string) error {
	for name := range values {
		if !slices.ContainsFunc(settings, func(s connector.Setting) bool { return s.Name == name }) {
			return refuse(core.UnknownField, field+"."+name, "There is no setting '%s'", name)
		}
	}
	for _, setting := range settings {
		value, at := values[setting.Name], field+"."+setting.Name
		if value == "" {
			if setting.Required && setting.Default == "" {
				return refuse(core.MissingField, at, "Missing required setting: '%s'", setting.Name)
			}
			continue
		}
		switch {
		case utf8.RuneCountInString(value) > maxValue && setting.Pattern == "" || len(value) > 16<<10:
			return refuse(core.TooLong, at, "'%s' is too long", setting.Name)
		case !utf8.ValidString(value) || setting.Pattern == "" && strings.ContainsAny(value, "\r\n\x00"):
			return refuse(core.Malformed, at, "'%s' must be one line of text", setting.Name)
		case len(setting.Choices) > 0 && !slices.Contains(setting.Choices, value):
			return refuse(core.NotAChoice, at, "'%s' must be one of: %s", setting.Name, strings.Join(setting.Choices, ", "))
		case setting.Pattern != "" && !regexp.MustCompile(`^(?:`+setting.Pattern+`)$`).MatchString(value):
			return refuse(core.OutOfRange, at, "'%s' is not as it must be: %s", setting.Name, setting.Doc)
		}
	}
	return nil
}

func locationOf(c *connector.Connector, name string) *connector.Location {
	for i := range c.Locations {
		if c.Locations[i].Name == name {
			return &c.Locations[i]
		}
	}
	return nil
}

func streamOf(c *connector.Connector, name string) *connector.Stream {
	for i := range c.Streams {
		if c.Streams[i].Name == name {
			return &c.Streams[i]
		}
	}
	return nil
}

// checkMapping checks a workspace's own mapping.
func (s *Store) checkMapping(c *connector.Connector, source *Source) error {
	if len(source.Mapping) > maxMapped {
		return refuse(core.TooLarge, "mapping", "A mapping of your own has at most %d fields", maxMapped)
	}
	for i, m := range source.Mapping {
		if slices.ContainsFunc(source.Mapping[:i], func(o Mapped) bool { return o.Stream == m.Stream && o.Family == m.Family && o.To == m.To }) {
			return refuse(core.NotUnique, fmt.Sprintf("mapping.%d.to", i), "'%s' is set twice", m.To)
		}
	}
	for i, m := range source.Mapping {
		at := fmt.Sprintf("mapping.%d", i)
		stream := streamOf(c, m.Stream)
		if stream == nil || !slices.ContainsFunc(stream.Feeds, func(f connector.Feed) bool { return f.Family == m.Family }) {
			return refuse(core.NotFound, at+".stream", "%s has no stream '%s' that becomes %s", c.Title, m.Stream, m.Family)
		}
		if _, err := targetOf(s.family(m.Family), m.To); err != nil {
			return named(at+".to", err)
		}
		if m.From == "" {
			continue
		}
		if _, err := mapping.CompilePath(m.From, &mapping.Env{}, connector.Variables...); err != nil {
			return named(at+".from", err)
		}
	}
	return nil
}

func (s *Store) checkFilter(source *Source, all []*Source) error {
	if source.Filter == nil {
		return nil
	}
	if len(source.Filter.Conditions) > maxConditions {
		return refuse(core.TooLarge, "filter.conditions", "A filter has at most %d conditions", maxConditions)
	}
	for i := range source.Filter.Conditions {
		if at := fmt.Sprintf("filter.conditions.%d.value", i); utf8.RuneCountInString(source.Filter.Conditions[i].Value) > maxValue {
			return refuse(core.TooLong, at, "'%s' has more than %d characters", at, maxValue)
		}
		if err := source.Filter.Conditions[i].Check(); err != nil {
			part := "path"
			if failure, ok := errors.AsType[*core.Failure](err); ok && failure.Field != "" {
				part = failure.Field
			}
			return named(fmt.Sprintf("filter.conditions.%d.%s", i, part), err)
		}
	}
	also := source.Filter.AlsoIn
	if also == nil {
		return nil
	}
	other := slices.IndexFunc(all, func(o *Source) bool { return o.ID == also.Source && o.ID != source.ID })
	if other < 0 || !slices.ContainsFunc(s.Connector(all[other].Connector).Streams, func(st connector.Stream) bool { return st.Accounts }) {
		return refuse(core.NotFound, "filter.also_in.source", "'filter.also_in.source' names no other source that has accounts")
	}
	if also.Path != "" {
		if _, err := mapping.CompilePath(also.Path, &mapping.Env{}, connector.Variables...); err != nil {
			return named("filter.also_in.path", err)
		}
	}
	return nil
}

// checkPrefix makes sure that no two sources give records of a family, whose ids
// are unique in the workspace, the same ids.
func (s *Store) checkPrefix(c *connector.Connector, source *Source, all []*Source) error {
	mine := s.idFamilies(c, source)
	for _, o := range all {
		if o.ID == source.ID || o.Prefix != source.Prefix {
			continue
		}
		for _, family := range s.idFamilies(s.Connector(o.Connector), o) {
			if slices.Contains(mine, family) {
				return refuse(core.Conflicting, "prefix", "%s brings %s, too, and the ids of two systems may be the same: give one of them a 'prefix', such as %s-", o.Name, family, c.Name)
			}
		}
	}
	return nil
}

// idFamilies returns the names of the families that a source brings records of
// whose ids are its own and unique in the workspace.
func (s *Store) idFamilies(c *connector.Connector, source *Source) []string {
	var names []string
	for i := range c.Streams {
		for j := range c.Streams[i].Feeds {
			if f := s.family(c.Streams[i].Feeds[j].Family); f != nil && (f.OwnID || f.Generated != nil) && source.feeds(&c.Streams[i], &c.Streams[i].Feeds[j]) {
				names = append(names, f.Schema.Name)
			}
		}
	}
	return names
}

// reads reports whether a stream is read.
func (s *Source) reads(st *connector.Stream) bool { return s.On(st.Name, st.Optional) }

// feeds reports whether a feed is on.
func (s *Source) feeds(st *connector.Stream, f *connector.Feed) bool {
	return s.reads(st) && s.On(st.Name+"/"+f.Family, f.Optional)
}

// Families returns the names of the families that the records of a stream become
// in this source; nil where the stream is not read.
func (s *Source) Families(st *connector.Stream) []string {
	if !s.reads(st) {
		return nil
	}
	families := []string{}
	for i := range st.Feeds {
		if s.feeds(st, &st.Feeds[i]) {
			families = append(families, st.Feeds[i].Family)
		}
	}
	return families
}

// Money returns what amounts of a workspace are in; US dollars without rates
// unless somebody has said otherwise.
func (s *Store) Money(ctx context.Context, workspace string) (Money, error) {
	m := Money{Currency: "USD"}
	items, err := s.Table.Get(ctx, []table.Key{moneyKey(workspace)}, true)
	if err != nil || !items[0].Exists() {
		return m, err
	}
	m.version = items[0].Version
	return m, json.Unmarshal(items[0].Body, &m)
}

// SetMoney says what amounts of a workspace are in. What was read before stays as
// it is until it is read anew. A *core.Failure names what cannot be, or says of what
// Money has returned that somebody else has changed it meanwhile.
func (s *Store) SetMoney(ctx context.Context, workspace string, m Money) error {
	if err := mapping.CheckMoney(m.Currency, m.Rates); err != nil {
		return err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	item := table.Item{Key: moneyKey(workspace), Version: s.version(m.version), Body: body}
	cond := table.Condition{}
	if m.version != 0 {
		cond = table.VersionIs(m.version)
	}
	err = errors.Join(s.Table.Write(ctx, []table.Op{table.Put(item, cond)}, nil)...)
	if errors.Is(err, table.ErrConflict) {
		return refuse(core.Conflicting, "version", "Somebody else has changed the currency or the rates meanwhile: look at them again")
	}
	return err
}
