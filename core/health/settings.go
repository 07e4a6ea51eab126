package health

import (
	"fmt"
	"strings"

	"tenure/core"
)

// Settings are the weights and thresholds by which a workspace's accounts are
// assessed.
type Settings struct {
	Weights Weights         `json:"weights"`
	Minimum Minimum         `json:"minimum"`
	Usage   UsageSettings   `json:"usage"`
	Support SupportSettings `json:"support"`
	NPS     NPSSettings     `json:"nps"`
	Revenue RevenueSettings `json:"revenue"`
	Renewal RenewalSettings `json:"renewal"`
}

// Weights say how much each part counts, against the others. 0 leaves it out.
type Weights struct {
	Usage   int `json:"usage"`
	Support int `json:"support"`
	NPS     int `json:"nps"`
	Revenue int `json:"revenue"`
	Renewal int `json:"renewal"`
}

// Minimum is what there must be for a score; see the package.
type Minimum struct {
	Parts  int `json:"parts"`
	Weight int `json:"weight"` // percent
}

// Scale turns what is measured into points: Zero has none, Full has 100.
type Scale struct {
	Zero int `json:"zero"`
	Full int `json:"full"`
}

// points returns the points of a value given in parts, of which unit make one of the
// scale's.
func (s Scale) points(value, unit int64) int {
	zero, full := int64(s.Zero)*unit, int64(s.Full)*unit
	n, d := value-zero, full-zero
	if d < 0 {
		n, d = -n, -d
	}
	return roundHalfUp(100*min(max(n, 0), d), d)
}

// UsageSettings are those of the part usage.
type UsageSettings struct {
	MinDays int   `json:"min_days"`
	Change  Scale `json:"change"` // percent
	Unseen  Scale `json:"unseen"` // days
}

// SupportSettings are those of the part support. Backlog and Volume are in percent of
// the usual number of tickets in Window days, Unsolved in percent of the tickets.
type SupportSettings struct {
	MinTickets int   `json:"min_tickets"`
	Backlog    Scale `json:"backlog"`
	Unsolved   Scale `json:"unsolved"`
	Volume     Scale `json:"volume"`
}

// NPSSettings are those of the part nps.
type NPSSettings struct {
	MaxDays int   `json:"max_days"`
	Score   Scale `json:"score"`
}

// RevenueSettings are those of the part revenue.
type RevenueSettings struct {
	Change Scale `json:"change"` // percent
	Churn  int   `json:"churn"`  // points
}

// RenewalSettings are those of the part renewal.
type RenewalSettings struct {
	Days  int `json:"days"`
	Below int `json:"below"` // points
}

// Defaults returns the settings of a workspace that has chosen none.
func Defaults() Settings {
	return Settings{
		Weights: Weights{Usage: 35, Support: 20, NPS: 15, Revenue: 20, Renewal: 10},
		Minimum: Minimum{Parts: 2, Weight: 40},
		Usage:   UsageSettings{MinDays: 14, Change: Scale{Zero: -50, Full: 10}, Unseen: Scale{Zero: 28, Full: 3}},
		Support: SupportSettings{MinTickets: 3, Backlog: Scale{Zero: 400, Full: 50}, Unsolved: Scale{Zero: 70, Full: 10}, Volume: Scale{Zero: 300, Full: 100}},
		NPS:     NPSSettings{MaxDays: 365, Score: Scale{Zero: -50, Full: 50}},
		Revenue: RevenueSettings{Change: Scale{Zero: -25, Full: 5}, Churn: 20},
		Renewal: RenewalSettings{Days: 90, Below: 60},
	}
}

// Field is one of the settings.
type Field struct {
	// Name is that of the JSON, nested ones with a dot.
	Name string
	// Part is the part it is about; empty for the minimum.
	Part string
	Doc  string
	// Min and Max are the bounds, both included.
	Min, Max int
	at       func(*Settings) *int
}

// Of returns the value of the field.
func (f *Field) Of(s *Settings) int { return *f.at(s) }

// Set sets the value of the field.
func (f *Field) Set(s *Settings, value int) { *f.at(s) = value }

// scales are the fields of the scales, and whether more of what is measured is better.
var scales = []struct {
	name, part string
	doc        string // what is measured
	min, max   int
	more       bool
	at         func(*Settings) *Scale
}{
	{"usage.change", UsagePart, "Change of active users and of sessions, in percent", -100, 100, true, func(s *Settings) *Scale { return &s.Usage.Change }},
	{"usage.unseen", UsagePart, "Days since the last event", 0, 365, false, func(s *Settings) *Scale { return &s.Usage.Unseen }},
	{"support.backlog", SupportPart, "Open tickets (an urgent one counts as 4, a high one as 2, a low one as ½), in percent of the usual tickets of 28 days", 0, 10_000, false, func(s *Settings) *Scale { return &s.Support.Backlog }},
	{"support.unsolved", SupportPart, "Unsolved tickets, in percent of those of the last 90 days", 0, 100, false, func(s *Settings) *Scale { return &s.Support.Unsolved }},
	{"support.volume", SupportPart, "New tickets of the last 28 days, in percent of the usual ones", 0, 10_000, false, func(s *Settings) *Scale { return &s.Support.Volume }},
	{"nps.score", NPSPart, "Net promoter score", -100, 100, true, func(s *Settings) *Scale { return &s.NPS.Score }},
	{"revenue.change", RevenuePart, "Change of MRR over 90 days, in percent", -100, 100, true, func(s *Settings) *Scale { return &s.Revenue.Change }},
}

// Fields are all settings, in the order in which people read them.
var Fields = fields()

func fields() []Field {
	all := []Field{
		{"weights.usage", UsagePart, "Weight", 0, 1000, func(s *Settings) *int { return &s.Weights.Usage }},
		{"weights.support", SupportPart, "Weight", 0, 1000, func(s *Settings) *int { return &s.Weights.Support }},
		{"weights.nps", NPSPart, "Weight", 0, 1000, func(s *Settings) *int { return &s.Weights.NPS }},
		{"weights.revenue", RevenuePart, "Weight", 0, 1000, func(s *Settings) *int { return &s.Weights.Revenue }},
		{"weights.renewal", RenewalPart, "Weight", 0, 1000, func(s *Settings) *int { return &s.Weights.Renewal }},
		{"minimum.parts", "", "How many of usage, support, nps and revenue must have data", 1, 4, func(s *Settings) *int { return &s.Minimum.Parts }},
		{"minimum.weight", "", "What share of their weights must have data, in percent", 0, 100, func(s *Settings) *int { return &s.Minimum.Weight }},
		{"usage.min_days", UsagePart, "How many days ago the first event must have been (until 56, only the last event counts)", 1, 365, func(s *Settings) *int { return &s.Usage.MinDays }},
		{"support.min_tickets", SupportPart, "How many tickets there must be within 364 days", 1, 1000, func(s *Settings) *int { return &s.Support.MinTickets }},
		{"nps.max_days", NPSPart, "For how many days a score counts", 1, 3650, func(s *Settings) *int { return &s.NPS.MaxDays }},
		{"revenue.churn", RevenuePart, "Points to deduct for churn in the last 90 days", 0, 100, func(s *Settings) *int { return &s.Revenue.Churn }},
		{"renewal.days", RenewalPart, "How many days before a renewal it begins to count", 1, 365, func(s *Settings) *int { return &s.Renewal.Days }},
		{"renewal.below", RenewalPart, "It counts only where the other parts come to less than this", 0, 100, func(s *Settings) *int { return &s.Renewal.Below }},
	}
	for _, s := range scales {
		all = append(all,
			Field{s.name + ".zero", s.part, s.doc + ": where there are 0 points", s.min, s.max, func(of *Settings) *int { return &s.at(of).Zero }},
			Field{s.name + ".full", s.part, s.doc + ": where there are 100 points", s.min, s.max, func(of *Settings) *int { return &s.at(of).Full }},
		)
	}
	return all
}

// Check returns a failure that names the first setting that cannot be.
func (s *Settings) Check() *core.Failure {
	refuse := func(code core.Code, field, format string, args ...any) *core.Failure {
		return &core.Failure{Code: code, Field: field, Message: "'" + field + "' " + fmt.Sprintf(format, args...)}
	}
	for _, f := range Fields {
		if v := f.Of(s); v < f.Min || v > f.Max {
			return refuse(core.OutOfRange, f.Name, "must be from %d to %d", f.Min, f.Max)
		}
	}
	for _, of := range scales {
		switch scale := of.at(s); {
		case of.more && scale.Full <= scale.Zero:
			return refuse(core.Conflicting, of.name+".full", "must be more than '%s.zero'", of.name)
		case !of.more && scale.Full >= scale.Zero:
			return refuse(core.Conflicting, of.name+".full", "must be less than '%s.zero'", of.name)
		}
	}
	weighted := 0
	for _, f := range Fields {
		if strings.HasPrefix(f.Name, "weights.") && f.Part != RenewalPart && f.Of(s) > 0 {
			weighted++
		}
	}
	switch {
	case weighted == 0:
		return refuse(core.Conflicting, "weights.usage", "must not be 0 when those of support, nps and revenue are")
	case s.Minimum.Parts > weighted:
		return refuse(core.Conflicting, "minimum.parts", "must be at most %d: no more parts have a weight", weighted)
	}
	return nil
}
