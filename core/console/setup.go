package console

import (
	_ "embed"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/identity"
	"tenure/core/sources"
)

// setupRoutes are the pages on which a source is added and changed.
func setupRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/add-source", role: identity.Admin, serve: addSourcePage},
		{method: http.MethodPost, path: "/add-source", role: identity.Admin, serve: addSource, form: addSourcePage},
		{method: http.MethodGet, path: "/sources/{id}/settings", role: identity.Viewer, serve: settingsPage},
		{method: http.MethodPost, path: "/sources/{id}/settings", role: identity.Admin, serve: changeSource, form: settingsPage},
	}
}

// setting is a setting of a system, or of a way to authenticate, as forms ask for it.
type setting struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Doc      string   `json:"doc"`
	Secret   bool     `json:"secret,omitempty"`
	Required bool     `json:"required,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	// Default holds where nothing is set.
	Default string `json:"default,omitempty"`
	// Path says that it is an expression over a record.
	Path bool `json:"path,omitempty"`
	// Given says that one is stored that is not shown, Value is what is stored
	// otherwise.
	Given bool   `json:"given,omitempty"`
	Value string `json:"value,omitempty"`
	// Field is what the form calls it, ID is its id on the page.
	Field string `json:"-"`
	ID    string `json:"-"`
}

// Asked reports whether something has to be entered.
func (s setting) Asked() bool { return s.Required && s.Default == "" }

// Chosen returns the choice that holds.
func (s setting) Chosen() string {
	if s.Value != "" {
		return s.Value
	}
	return s.Default
}

// settingsOf returns settings as a form asks for them: it calls them "field.NAME",
// and their ids begin with id.
func settingsOf(declared []connector.Setting, field, id string) []setting {
	all := make([]setting, len(declared))
	for i, s := range declared {
		all[i] = setting{
			Name: s.Name, Title: s.Title, Doc: s.Doc, Secret: s.Secret, Required: s.Required, Choices: s.Choices, Default: s.Default, Path: s.Path,
			Field: field + "." + s.Name, ID: id + "-" + s.Name,
		}
	}
	return all
}

// option is one of several that a form has to choose from.
type option struct {
	Value string `json:"value"`
	Title string `json:"title"`
	Doc   string `json:"doc,omitempty"`
	// Best says that it is the one to choose if there is a choice.
	Best   bool `json:"best,omitempty"`
	Chosen bool `json:"chosen,omitempty"`
}

// systemsData is what there is to be added, in the order of kinds.
type systemsData struct {
	Kinds []kindOfSystem `json:"kinds"`
}

// kindOfSystem is the systems of one kind.
type kindOfSystem struct {
	Kind    connector.Kind `json:"kind"`
	Systems []system       `json:"systems"`
}

// system is a system that records can come from.
type system struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Doc   string `json:"doc"`
	// Ended is what there is to know of a service that has ended, from whose exported
	// records alone something can come.
	Ended string `json:"ended,omitempty"`
}

func systemOf(c *connector.Connector) system {
	of := system{Name: c.Name, Title: c.Title, Doc: c.Doc}
	if c.Ended != nil {
		of.Ended = c.Ended.Message
	}
	return of
}

// setupData is a source as it can be set up.
type setupData struct {
	// Source is as it is stored, or as it is to be added, with what was entered if the
	// form is shown again.
	Source *sources.Source `json:"source"`
	// Name is that by which it is known; empty for one that is to be added.
	Name string `json:"-"`
	// Version is to be sent with a change, which is refused if the source has
	// another one by then.
	Version string `json:"version,omitempty"`
	System  system `json:"system"`
	// Settings are the system's.
	Settings  []setting `json:"settings"`
	Locations []option  `json:"locations"`
	// HasAccounts says that it can be the System of Record, Record names another source
	// that is.
	HasAccounts bool   `json:"has_accounts"`
	Record      string `json:"record,omitempty"`
	// Schedules are how often it may run, Minutes is that in minutes.
	Schedules []option `json:"-"`
	Minutes   string   `json:"-"`
	// Zones are names of time zones.
	Zones []string `json:"-"`
	// Pace is how many requests are sent unless Requests says otherwise.
	Pace     string `json:"pace"`
	Requests string `json:"-"`
	// Owners are those whose credentials it can use; none if there are only its own.
	Owners  []option       `json:"owners"`
	Streams []streamSwitch `json:"streams"`
}

// streamSwitch turns a stream on and off.
type streamSwitch struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Doc      string `json:"doc,omitempty"`
	Optional bool   `json:"optional,omitempty"`
	On       bool   `json:"on"`
	// Feeds are what its records become.
	Feeds []feedSwitch `json:"feeds"`
}

// feedSwitch turns a feed on and off.
type feedSwitch struct {
	// Name is that of its stream, and the family.
	Name     string `json:"name"`
	Family   string `json:"family"`
	Optional bool   `json:"optional,omitempty"`
	On       bool   `json:"on"`
}

// Several reports whether there is something to choose among what the records
// become.
func (s streamSwitch) Several() bool {
	return len(s.Feeds) > 1 || slices.ContainsFunc(s.Feeds, func(f feedSwitch) bool { return f.Optional || !f.On })
}

// schedules are how often a source usually runs, in minutes.
var schedules = []int{0, 5, 15, 60, 6 * 60, 24 * 60}

// ownSchedule stands for another number of minutes.
const ownSchedule = "own"

//go:embed zones.txt
var zoneNames string

// hasAccounts reports whether a system has what accounts can be made of.
func hasAccounts(c *connector.Connector) bool {
	return slices.ContainsFunc(c.Streams, func(st connector.Stream) bool { return st.Accounts })
}

// setup returns what the form of a source shows; all are the workspace's.
func (s *server) setup(r *request, source *sources.Source, all []*sources.Source) setupData {
	c := s.Sources.Connector(source.Connector)
	data := setupData{
		Source: source, System: systemOf(c), Settings: settingsOf(c.Settings, "settings", "setting"), HasAccounts: hasAccounts(c), Zones: strings.Fields(zoneNames),
		Pace: count(c.Limits.Requests, "request") + " " + every(c.Limits.Per), Locations: []option{}, Owners: []option{}, Streams: []streamSwitch{},
	}
	for i := range data.Settings {
		data.Settings[i].Value = source.Settings[data.Settings[i].Name]
	}
	for i, l := range c.Locations {
		data.Locations = append(data.Locations, option{l.Name, l.Title, l.Doc, l.Best, l.Name == source.Location || source.Location == "" && i == 0})
	}
	for _, o := range all {
		if o.ID == source.ID {
			data.Name = o.Name
			continue
		}
		if o.SystemOfRecord {
			data.Record = o.Name
		}
		if o.Connector == source.Connector && o.Credentials == "" {
			data.Owners = append(data.Owners, option{Value: o.ID, Title: o.Name, Chosen: o.ID == source.Credentials})
		}
	}
	own := !slices.Contains(schedules, source.Every)
	for _, minutes := range schedules {
		title := "Only when somebody asks for it"
		if minutes != 0 {
			title = "E" + every(time.Duration(minutes) * time.Minute)[1:]
		}
		data.Schedules = append(data.Schedules, option{Value: strconv.Itoa(minutes), Title: title, Chosen: source.Every == minutes})
	}
	if own {
		data.Minutes = strconv.Itoa(source.Every)
	}
	if source.Requests != 0 {
		data.Requests = strconv.Itoa(source.Requests)
	}
	if r.failure != nil { // numbers are shown as they were entered
		if r.form.Get("every") == ownSchedule {
			own, data.Minutes = true, r.form.Get("every_minutes")
		}
		if r.form.Has("requests") {
			data.Requests = r.form.Get("requests")
		}
	}
	data.Schedules = append(data.Schedules, option{Value: ownSchedule, Title: "Every so many minutes:", Chosen: own})
	for _, st := range c.Streams {
		of := streamSwitch{Name: st.Name, Title: st.Title, Doc: st.Doc, Optional: st.Optional, On: source.On(st.Name, st.Optional), Feeds: []feedSwitch{}}
		for _, f := range st.Feeds {
			name := st.Name + "/" + f.Family
			of.Feeds = append(of.Feeds, feedSwitch{name, f.Family, f.Optional, source.On(name, f.Optional)})
		}
		data.Streams = append(data.Streams, of)
	}
	return data
}

// box returns whether a box of a form is checked, and whether the form has it: what
// is not checked is not sent, so a form names its boxes as "boxes".
func (r *request) box(name string) (on, sent bool) {
	return r.on(name), r.form.Has(name) || slices.Contains(r.form["boxes"], name)
}

// number returns a number that was entered.
func (r *request) number(name, field string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(r.form.Get(name)))
	if err != nil {
		return 0, &core.Failure{Code: core.WrongType, Field: field, Message: "'" + field + "' must be a whole number"}
	}
	return n, nil
}

// change makes of a source what a form says. What the form does not send stays as it
// is. A *core.Failure names what cannot be read; the rest is changed all the same.
func change(r *request, c *connector.Connector, source *sources.Source) (failure error) {
	for name, to := range map[string]*string{"name": &source.Name, "location": &source.Location, "zone": &source.Zone, "prefix": &source.Prefix, "credentials": &source.Credentials} {
		if r.form.Has(name) {
			*to = strings.TrimSpace(r.form.Get(name))
		}
	}
	for name, to := range map[string]*bool{"system_of_record": &source.SystemOfRecord, "inactivate": &source.Inactivate, "delete_many": &source.DeleteMany} {
		if on, sent := r.box(name); sent {
			*to = on
		}
	}
	for _, setting := range c.Settings {
		if name := "settings." + setting.Name; r.form.Has(name) {
			set(source, setting, strings.TrimSpace(r.form.Get(name)))
		}
	}
	turn := func(name string, optional bool) {
		if on, sent := r.box("streams." + name); sent {
			source.Turn(name, optional, on)
		}
	}
	for _, st := range c.Streams {
		turn(st.Name, st.Optional)
		for _, f := range st.Feeds {
			turn(st.Name+"/"+f.Family, f.Optional)
		}
	}
	if name := "every"; r.form.Has(name) {
		if r.form.Get(name) == ownSchedule {
			name = "every_minutes"
		}
		if n, err := r.number(name, "every"); err != nil {
			failure = err
		} else {
			source.Every = n
		}
	}
	switch {
	case !r.form.Has("requests"):
	case strings.TrimSpace(r.form.Get("requests")) == "":
		source.Requests = 0
	default:
		if n, err := r.number("requests", "requests"); err != nil {
			failure = err
		} else {
			source.Requests = n
		}
	}
	return failure
}

// set sets a setting of a source. One that is as it would be without stays as it is,
// so that a form that was only looked at changes nothing.
func set(source *sources.Source, declared connector.Setting, value string) {
	holds := func(value string) string {
		if value == "" {
			return declared.Default
		}
		return value
	}
	switch {
	case holds(value) == holds(source.Settings[declared.Name]):
	case value == "" || value == declared.Default:
		delete(source.Settings, declared.Name)
	default:
		if source.Settings == nil {
			source.Settings = map[string]string{}
		}
		source.Settings[declared.Name] = value
	}
}

func addSourcePage(s *server, r *request) (view, error) {
	name := r.URL.Query().Get("connector")
	if r.form.Has("connector") {
		name = r.form.Get("connector")
	}
	c := s.Sources.Connector(name)
	if c == nil && r.Method == http.MethodGet && name != "" {
		return view{}, errNoPage
	}
	if c == nil {
		return view{template: "systems", title: "Add a source", section: "sources", data: s.systems()}, nil
	}
	all, err := s.Sources.List(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	source := toAdd(c)
	if r.failure != nil {
		_ = change(r, c, source) // the failure is known
	}
	return view{template: "setup", title: "Add " + c.Title, section: "sources", data: s.setup(r, source, all)}, nil
}

// systems returns what there is to be added.
func (s *server) systems() systemsData {
	var data systemsData
	for _, kind := range []connector.Kind{connector.CRM, connector.Support, connector.Financial, connector.Interactions, connector.Survey} {
		of := kindOfSystem{Kind: kind, Systems: []system{}}
		for _, c := range s.Sources.Connectors {
			if c.Kind == kind {
				of.Systems = append(of.Systems, systemOf(c))
			}
		}
		if len(of.Systems) > 0 {
			data.Kinds = append(data.Kinds, of)
		}
	}
	return data
}

// toAdd returns a source of a system as it is unless somebody says otherwise: paused,
// so that nothing is read before there are credentials, and somebody has looked at
// what would come of it.
func toAdd(c *connector.Connector) *sources.Source {
	return &sources.Source{Connector: c.Name, Every: int(sources.DefaultEvery / time.Minute), Paused: c.Ended == nil}
}

// addedData says which source was added.
type addedData struct {
	Source *sources.Source `json:"source"`
}

func addSource(s *server, r *request) (view, error) {
	c := s.Sources.Connector(r.form.Get("connector"))
	if c == nil {
		return view{}, &core.Failure{Code: core.NotAChoice, Field: "connector", Message: "Choose one of these systems"}
	}
	source := toAdd(c)
	err := change(r, c, source)
	if err == nil {
		err = s.Sources.Create(r.Context(), r.workspace(), source)
	}
	if err != nil {
		return view{}, err
	}
	r.audit("source.added", source.Name)
	v := view{to: "sources/" + source.ID + "/credentials", done: "source-added", data: addedData{source}}
	if c.Ended != nil {
		v.to, v.done = "sources/"+source.ID, "source-added-ended"
	}
	return v, nil
}

func settingsPage(s *server, r *request) (view, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	all, err := s.Sources.List(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	version := source.Version()
	if r.failure != nil {
		_ = change(r, s.Sources.Connector(source.Connector), source) // the failure is known
		version = r.form.Get("version")                              // what is entered is about that one
	}
	data := s.setup(r, source, all)
	data.Version = version
	return view{template: "setup", title: "Settings of " + data.Name, data: data}, nil
}

// stale returns why a form cannot be taken that shows another version than there is.
// A program need not say which it has seen.
func (r *request) stale(version string) error {
	if seen := r.form.Get("version"); seen == "" || seen == version {
		return nil
	}
	return &core.Failure{Code: core.Conflicting, Field: "version", Message: "Somebody else has changed it since this form was shown. Nothing was saved: see what it is now, and make your change there"}
}

func changeSource(s *server, r *request) (view, error) {
	source, err := s.Sources.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	if err := r.stale(source.Version()); err != nil {
		return view{}, err
	}
	before := *source
	before.Settings, before.Streams = maps.Clone(source.Settings), maps.Clone(source.Streams)
	err = change(r, s.Sources.Connector(source.Connector), source)
	if err == nil {
		err = s.Sources.Update(r.Context(), r.workspace(), source)
	}
	if err != nil {
		return view{}, err
	}
	about := before.Name
	if source.Name != before.Name {
		about += ", now " + source.Name
	}
	r.audit("source.changed", about)
	done := "source-changed"
	if before.Location != source.Location || before.Zone != source.Zone || before.Prefix != source.Prefix || before.SystemOfRecord != source.SystemOfRecord ||
		!maps.Equal(before.Settings, source.Settings) || !maps.Equal(before.Streams, source.Streams) {
		done = "source-changed-anew"
	}
	return view{to: "sources/" + source.ID, done: done, data: addedData{source}}, nil
}
