// Package subscriptions declares the family /subscriptions ("Subscriptions" of
// the API document). What a request says is an event; what is stored and shown
// is the history that the events make, which package revenue computes. Revenue
// is in cents.
package subscriptions

import (
	"errors"
	"slices"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/revenue"
	"tenure/core/schema"
	"tenure/core/table"
)

// furthest is how far from the epoch (in ms) the instants of a history may be,
// on both sides: 100 million days.
const furthest = 8_640_000_000_000_000

var instants = &schema.Range{Min: -furthest, Max: furthest}

// segmentFields are the terms of one segment, as the document's examples have
// them; what revenue is called differs.
func segmentFields(revenue string) []schema.Field {
	fields := []schema.Field{
		{Name: "start_date", Type: schema.Time, Doc: "When the segment began, in epoch ms"},
		{Name: "end_date", Type: schema.Time, Doc: "When it ended, in epoch ms; null while it goes on"},
		{Name: "is_end", Type: schema.Boolean, Default: "false", Doc: "Whether the subscription ended with it"},
		{Name: "is_renewal", Type: schema.Boolean, Default: "false", Doc: "Whether it began with a renewal"},
		{Name: "expiration_date", Type: schema.Time, Doc: "When the next renewal is due, in epoch ms"},
		{Name: "previous_renewal_date", Type: schema.Time, Doc: "When the renewal it began with was due, in epoch ms"},
		{Name: "plan_code", Type: schema.String, Doc: "Short name or ID of the plan"},
		{Name: revenue, Type: schema.Long, Doc: "Revenue of one cycle, in cents"},
		{Name: "cycle_unit", Type: schema.String, Doc: "Unit of the cycle: day, month or year"},
		{Name: "cycle_length", Type: schema.Integer, Doc: "Number of units in a cycle"},
		{Name: "source", Type: schema.String, Doc: "Data source of the segment"},
	}
	for i := range fields {
		fields[i].ReadOnly = true
	}
	return fields
}

var (
	identity = []schema.Field{
		{Name: "subscription_id", Type: schema.ID, MaxLen: 128, Required: schema.Always, Example: "sub-7", Doc: "Subscription ID; unique across accounts"},
		{Name: "account_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "acme-42", Doc: "Account ID; a subscription stays with its account"},
	}
	// event are the fields of an event. They are not stored as such.
	event = []schema.Field{
		{Name: "event", Type: schema.String, MaxLen: 80, Required: schema.Always, Choices: []string{"end", "renewal", "revenue", "current"}, Example: "revenue",
			Doc: "What happened at the effective start date; current: the record is a snapshot of the subscription as it is. A PUT without it is a revenue event"},
		{Name: "effective_start_date", Type: schema.Time, Range: instants, Required: schema.Always, Example: "2026-03-01T09:00:00Z", Doc: "From when on the change holds, in epoch ms; with current, when the subscription started"},
		{Name: "effective_end_date", Type: schema.Time, Range: instants, Doc: "Until when the change holds, exclusive, in epoch ms; open if not given; with current, when the subscription ended"},
		{Name: "total_revenue", Type: schema.Long, Example: "120000", Doc: "Revenue of one cycle, in cents. Required unless the event is end"},
		{Name: "cycle_unit", Type: schema.String, MaxLen: 80, Choices: []string{"day", "month", "year"}, Example: "year", Doc: "Unit of the cycle. Required unless the event is end"},
		{Name: "cycle_length", Type: schema.Integer, Example: "1", Doc: "Number of units in a cycle, at least 1. Required unless the event is end"},
		{Name: "next_renewal_date", Type: schema.Time, Range: instants, Example: "2027-03-01T09:00:00Z", Doc: "When the next renewal is due, in epoch ms"},
		{Name: "previous_renewal_date", Type: schema.Time, Range: instants, Doc: "With renewal: when that renewal was due, in epoch ms; if it is no earlier next_renewal_date, the earliest that was not renewed yet"},
		{Name: "plan_code", Type: schema.String, MaxLen: 128, Example: "PRO", Doc: "Short name or ID of the plan"},
		{Name: "source", Type: schema.String, MaxLen: 80, Example: "Billing", Doc: "Data source of the record"},
	}
	dimensions = schema.As(schema.Everywhere, schema.Map, []schema.Field{
		schema.Dimensions("custom_dimensions", "subscription", schema.Field{Type: schema.Label, MaxLen: 256, Example: "mango", Doc: "Text of the dimension"}),
	})
)

var declaration = schema.New("subscriptions", "Subscription", slices.Concat(
	identity,
	schema.As(schema.Never, schema.Objects, event),
	[]schema.Field{
		{Name: "start_date", Type: schema.Time, ReadOnly: true, Shown: schema.Never, Doc: "When the segment shown began, in epoch ms"},
		{Name: "records", Type: schema.List, ReadOnly: true, Key: []string{"start_date"}, Sub: segmentFields("total_revenue"),
			Doc: "The segment in force, else the last one; with history, all of them"},
	},
	dimensions,
))

// Segments describes the entries of GET /accounts/{id}/subscriptions: one for
// each segment.
var Segments = schema.New("segments", "Segment", slices.Concat(identity, segmentFields("revenue"), dimensions))

var (
	subscriptionID  = declaration.Ordinal("subscription_id")
	accountID       = declaration.Ordinal("account_id")
	eventKind       = declaration.Ordinal("event")
	effectiveStart  = declaration.Ordinal("effective_start_date")
	effectiveEnd    = declaration.Ordinal("effective_end_date")
	totalRevenue    = declaration.Ordinal("total_revenue")
	cycleUnit       = declaration.Ordinal("cycle_unit")
	cycleLength     = declaration.Ordinal("cycle_length")
	nextRenewal     = declaration.Ordinal("next_renewal_date")
	previousRenewal = declaration.Ordinal("previous_renewal_date")
	planCode        = declaration.Ordinal("plan_code")
	source          = declaration.Ordinal("source")
	startDate       = declaration.Ordinal("start_date")
	records         = declaration.Ordinal("records")
	custom          = declaration.Ordinal("custom_dimensions")

	segments = declaration.List(records)
)

// Family is the family /subscriptions, shown by the segment in force.
var Family = &resource.Family{
	Schema:  declaration,
	ID:      subscriptionID,
	Account: accountID,
	OwnID:   true,
	Orders: []resource.Order{
		{Name: "start_date", Index: table.First, Fields: []int{startDate, subscriptionID}},
		{Name: "subscription_id", Index: table.Base, Fields: []int{subscriptionID}},
	},
	Merge: merge,
	Show:  showCurrent,
}

// Histories is Family, shown by the whole history.
var Histories = withHistory()

func withHistory() *resource.Family {
	f := *Family
	f.Show = nil
	return &f
}

var kinds = map[string]revenue.Kind{
	"revenue": revenue.EventRevenue, "renewal": revenue.EventRenewal, "end": revenue.EventEnd, "current": revenue.EventCurrent,
}

// merge applies an event to a history (contract S1).
func merge(c resource.Change) (schema.Record, *core.Failure) {
	patch := slices.Clone(c.Patch)
	var history revenue.History
	if c.Old != nil {
		history = HistoryOf(c.Old)
	}
	if c.Modify && !patch[eventKind].Given() {
		if !slices.ContainsFunc(patch[eventKind:], schema.Value.Given) {
			return c.Old, nil // contract Q7
		}
		asRevenue(patch, history)
	}
	if patch[eventKind].Text() != "end" && !patch[effectiveStart].IsNull() {
		for _, i := range []int{totalRevenue, cycleUnit, cycleLength} {
			if !patch[eventKind].IsNull() && patch[i].IsNull() {
				name := declaration.Fields[i].Name
				return nil, &core.Failure{Code: core.MissingField, Field: name, Message: "Missing required field: '" + name + "'"}
			}
		}
	}
	r, failure := declaration.Merge(c.Old, patch)
	if failure != nil {
		return nil, failure
	}
	history, err := history.Apply(eventOf(patch), c.Now)
	// A subscription that ended before it began is known, and ends like that again.
	if err != nil && (c.Old == nil || !errors.Is(err, revenue.ErrUnknown)) {
		return nil, refusal(err)
	}
	for i := eventKind; i <= source; i++ {
		r[i] = nil // of the event, not of the subscription
	}
	setHistory(r, history, c.Now)
	return r, nil
}

// asRevenue makes a PUT that names no event a revenue event: what it leaves out
// stays as it is at its start.
func asRevenue(patch schema.Record, history revenue.History) {
	patch[eventKind] = schema.Text("revenue")
	s, ok := history.At(patch[effectiveStart].Int())
	if !ok {
		return
	}
	for i, kept := range map[int]schema.Value{
		totalRevenue: schema.Int(s.Revenue), cycleUnit: schema.Text(s.Unit.String()), cycleLength: schema.Int(s.Length),
	} {
		if !patch[i].Given() {
			patch[i] = kept
		}
	}
}

// eventOf returns the event that a record describes.
func eventOf(r schema.Record) revenue.Event {
	unit, _ := revenue.ParseUnit(r[cycleUnit].Text()) // a choice
	text := func(i int) revenue.Optional[string] {
		return revenue.Optional[string]{Given: r[i].Given(), Value: r[i].Text()}
	}
	return revenue.Event{
		Kind:            kinds[r[eventKind].Text()],
		Start:           r[effectiveStart].Int(),
		End:             instant(r[effectiveEnd], revenue.Open),
		Revenue:         r[totalRevenue].Int(),
		Unit:            unit,
		Length:          r[cycleLength].Int(),
		Plan:            text(planCode),
		Source:          text(source),
		NextRenewal:     revenue.Optional[int64]{Given: r[nextRenewal].Given(), Value: instant(r[nextRenewal], revenue.None)},
		PreviousRenewal: instant(r[previousRenewal], revenue.None),
	}
}

// refusal words an error of revenue (contract Q19).
func refusal(err error) *core.Failure {
	switch {
	case errors.Is(err, revenue.ErrLength):
		return &core.Failure{Code: core.OutOfRange, Field: "cycle_length", Message: "'cycle_length' value must be greater than 0"}
	case errors.Is(err, revenue.ErrRange):
		return &core.Failure{Code: core.OutOfRange, Field: "effective_end_date", Message: "'effective_end_date' must be after 'effective_start_date'"}
	}
	return &core.Failure{Code: core.NotFound, Field: "subscription_id", Message: declaration.Singular + " not found"}
}

// instant returns the instant in v, or none where there is none.
func instant(v schema.Value, none int64) int64 {
	if v.IsNull() {
		return none
	}
	return v.Int()
}

// date returns the value of an instant; null for none.
func date(t, none int64) schema.Value {
	if t == none {
		return nil
	}
	return schema.Int(t)
}

// The positions of a segment's terms, in records and in Segments after the ids.
const (
	segmentStart = iota
	segmentEnd
	segmentIsEnd
	segmentIsRenewal
	segmentExpiration
	segmentRenewed
	segmentPlan
	segmentRevenue
	segmentUnit
	segmentLength
	segmentSource
)

// HistoryOf returns the history of a stored subscription.
func HistoryOf(r schema.Record) revenue.History {
	entries := segments.Entries(r[records])
	history := make(revenue.History, len(entries))
	for i, s := range entries {
		unit, _ := revenue.ParseUnit(s[segmentUnit].Text()) // as stored
		history[i] = revenue.Segment{
			Start: s[segmentStart].Int(), End: instant(s[segmentEnd], revenue.Open),
			Revenue: s[segmentRevenue].Int(), Unit: unit, Length: s[segmentLength].Int(),
			Plan: s[segmentPlan].Text(), Source: s[segmentSource].Text(),
			NextRenewal: instant(s[segmentExpiration], revenue.None),
			IsEnd:       s[segmentIsEnd].True(), IsRenewal: s[segmentIsRenewal].True(),
			Renewed: instant(s[segmentRenewed], revenue.None),
		}
	}
	return history
}

func setHistory(r schema.Record, history revenue.History, now int64) {
	entries := make([]schema.Record, len(history))
	for i, s := range history {
		entries[i] = segmentRecord(s)
	}
	r[records] = segments.ListOf(entries)
	r[startDate] = nil
	if shown, ok := history.Shown(now); ok {
		r[startDate] = schema.Int(shown.Start)
	}
}

func segmentRecord(s revenue.Segment) schema.Record {
	text := func(t string) schema.Value {
		if t == "" {
			return nil
		}
		return schema.Text(t)
	}
	flag := func(on bool) schema.Value {
		if !on {
			return nil
		}
		return schema.Bool(true)
	}
	return schema.Record{
		segmentStart: schema.Int(s.Start), segmentEnd: date(s.End, revenue.Open),
		segmentIsEnd: flag(s.IsEnd), segmentIsRenewal: flag(s.IsRenewal),
		segmentExpiration: date(s.NextRenewal, revenue.None), segmentRenewed: date(s.Renewed, revenue.None),
		segmentPlan: text(s.Plan), segmentRevenue: schema.Int(s.Revenue),
		segmentUnit: schema.Text(s.Unit.String()), segmentLength: schema.Int(s.Length),
		segmentSource: text(s.Source),
	}
}

// showCurrent leaves of the history the segment by which a subscription is
// shown (contract S2).
func showCurrent(r schema.Record, now int64) {
	shown, ok := HistoryOf(r).Shown(now)
	r[records] = nil
	if ok {
		r[records] = segments.ListOf([]schema.Record{segmentRecord(shown)})
	}
}

// Flat returns the segments of a subscription as records of Segments (contract S2).
func Flat(r schema.Record) []schema.Record {
	var flat []schema.Record
	for _, s := range HistoryOf(r) {
		entry := append(schema.Record{r[subscriptionID], r[accountID]}, segmentRecord(s)...)
		flat = append(flat, append(entry, r[custom]))
	}
	return flat
}

// RemoveSegment returns the edit that removes the segment that starts at start
// (epoch ms); the last one takes the subscription with it (contract S6).
func RemoveSegment(start, now int64) func(schema.Record) (schema.Record, *core.Failure) {
	return func(old schema.Record) (schema.Record, *core.Failure) {
		history, found := HistoryOf(old).Without(start)
		switch {
		case !found:
			return nil, &core.Failure{Code: core.NotFound, Field: "start_date", Message: "No segment of the subscription starts at 'start_date'"}
		case len(history) == 0:
			return nil, nil
		}
		r := slices.Clone(old)
		setHistory(r, history, now)
		return r, nil
	}
}

// Outdated reports whether another segment than when it was stored is the one
// by which a subscription is shown; Refresh returns the edit that mends it.
func Outdated(r schema.Record, now int64) bool {
	shown, ok := HistoryOf(r).Shown(now)
	return ok && r[startDate].Int() != shown.Start
}

// Refresh returns the edit that stores by which segment a subscription is shown
// now (epoch ms).
func Refresh(now int64) func(schema.Record) (schema.Record, *core.Failure) {
	return func(old schema.Record) (schema.Record, *core.Failure) {
		r := slices.Clone(old)
		setHistory(r, HistoryOf(r), now)
		return r, nil
	}
}
