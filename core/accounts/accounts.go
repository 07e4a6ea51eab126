// Package accounts declares the family /accounts ("Accounts" of the API
// document) and its merge rules: stages, inactivity, assigned CSMs and net
// promoter scores.
package accounts

import (
	"iter"
	"slices"

	"tenure/core/nps"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

var declaration = schema.New("accounts", "Account", slices.Concat([]schema.Field{
	{Name: "account_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "acme-42", Doc: "Primary account ID; unique across accounts"},
	{Name: "name", Type: schema.String, MaxLen: 512, Required: schema.OnInsert, Example: "Acme Corporation", Doc: "Company name"},
	{Name: "crm_account_id", Type: schema.ID, MaxLen: 256, Example: "0015e00000ABCDE", Doc: "This account's ID in the CRM system"},
	{Name: "billing_account_id", Type: schema.ID, MaxLen: 256, Example: "cus_8842", Doc: "This account's ID in the billing system"},
	{Name: "support_account_id", Type: schema.ID, MaxLen: 256, Example: "4711", Doc: "This account's ID in the support system"},
	{Name: "billing_street", Type: schema.String, MaxLen: 256, Example: "1 Main Street", Doc: "Company's street address"},
	{Name: "billing_city", Type: schema.String, MaxLen: 80, Example: "Springfield", Doc: "Company's city"},
	{Name: "billing_state", Type: schema.String, MaxLen: 80, Example: "IL", Doc: "Company's state"},
	{Name: "billing_postal_code", Type: schema.String, MaxLen: 80, Example: "62701", Doc: "Company's zip or postal code"},
	{Name: "billing_country", Type: schema.String, MaxLen: 256, Example: "US", Doc: "Company's country"},
	{Name: "phone", Type: schema.String, MaxLen: 80, Example: "555 0100", Doc: "Primary phone number"},
	{Name: "employees", Type: schema.Integer, Example: "250", Doc: "Number of employees"},
	{Name: "industry", Type: schema.String, MaxLen: 80, Example: "Software", Doc: "Industry category"},
	{Name: "tier", Type: schema.String, MaxLen: 80, Example: "Gold", Doc: "Current tier level"},
	{Name: "csm_score", Type: schema.Integer, Range: &schema.Range{Min: 0, Max: 100}, Example: "80", Doc: "Qualitative CSM score"},
	{Name: "sales_rep_name", Type: schema.String, MaxLen: 256, Example: "Sam Seller", Doc: "Primary sales rep's name"},
	{Name: "sales_rep_email", Type: schema.String, MaxLen: 256, Email: true, Example: "sam.seller@example.com", Doc: "Primary sales rep's email"},
	{Name: "source", Type: schema.String, MaxLen: 80, Example: "CRM", Doc: "Data source of the account record"},
	{Name: "website", Type: schema.String, MaxLen: 512, Example: "https://www.example.com", Doc: "Website of the account"},
	{Name: "description", Type: schema.String, MaxLen: 512, Example: "Makes everything", Doc: "Description of the account"},
	{Name: "join_date", Type: schema.Time, Required: schema.OnInsert, Example: "2024-03-01T09:00:00Z", Doc: "Earliest time the company joined the product, in epoch ms; customer since"},
	{Name: "renewal_date", Type: schema.Time, Computed: true, Example: "2027-03-01T09:00:00Z", Doc: "Renewal date in epoch ms; overwritten by the renewal date of subscriptions, where there are any"},
	{Name: "parent_account_id", Type: schema.ID, MaxLen: 256, Example: "acme-1", Doc: "Account ID of this account's parent"},
	{Name: "hierarchy_label", Type: schema.String, MaxLen: 80, Example: "Subsidiary", Doc: "Label of this account's position within its hierarchy"},
	{Name: "latest_status_title", Type: schema.String, MaxLen: 80, Example: "On track", Doc: "The account's current status: the title"},
	{Name: "latest_status_details", Type: schema.String, MaxLen: 8192, Example: "The rollout is done", Doc: "The account's current status: the details"},
	{Name: "latest_status_date", Type: schema.Time, Example: "2026-10-01T09:00:00Z", Doc: "The account's current status: when it was set, in epoch ms"},
	{Name: "is_active", Type: schema.Boolean, Default: "true", ReadOnly: true, Computed: true, Doc: "Whether the account is neither deleted nor churned"},
	{Name: "is_deleted", Type: schema.Boolean, Default: "false", Doc: "Marks the account as deleted; false undoes it"},
	{Name: "is_churned", Type: schema.Boolean, Default: "false", Doc: "Marks the account as churned; false undoes it"},
	{Name: "inactive_time", Type: schema.Time, Doc: "When the account became or becomes inactive, in epoch ms; the current time if not given"},
	{Name: "inactive_reason", Type: schema.String, MaxLen: 512, Doc: "Reason the account became inactive"},
	{Name: "stage", Type: schema.String, MaxLen: 80, Computed: true, Example: "Onboarding", Doc: "Current stage; setting it closes the open stage and starts this one now. Not together with stage_history"},
	{Name: "current_stage", Type: schema.String, ReadOnly: true, Doc: "Name of the open stage"},
	{Name: "current_mrr", Type: schema.Long, ReadOnly: true, Computed: true, Doc: "Monthly recurring revenue in cents; null for an account that never had a subscription"},
	{Name: "revenue_schedule", Type: schema.List, ReadOnly: true, Shown: schema.Never, Key: []string{"from"},
		Doc: "What follows from the subscriptions, from each instant on",
		Sub: []schema.Field{
			{Name: "from", Type: schema.Time, Doc: "From when on, in epoch ms"},
			{Name: "current_mrr", Type: schema.Long, Doc: "Monthly recurring revenue in cents"},
			{Name: "renewal_date", Type: schema.Time, Doc: "The earliest open renewal, in epoch ms"},
		}},
	{Name: "current_nps_score", Type: schema.Integer, Range: &schema.Range{Min: -100, Max: 100}, Doc: "Net promoter score; set directly, it stands until nps_history changes"},
	{Name: "current_health_score", Type: schema.Integer, ReadOnly: true, Doc: "Health score, 0 to 100"},
	{Name: "assigned_csms", Type: schema.List, Shown: schema.OnInclude, Form: schema.Strings, Key: []string{"email"},
		Doc: "Customer success managers; merged with those assigned before unless the option overwrite_csm_assignments is true",
		Sub: []schema.Field{
			{Name: "email", Type: schema.String, MaxLen: 256, Required: schema.Always, Email: true, Example: "csm@example.com", Doc: "E-mail address of the manager"},
		}},
}, schema.As(schema.OnInclude, schema.Map, schema.CustomDimensions(schema.Optional)), []schema.Field{
	{Name: "documents", Type: schema.List, Shown: schema.SingleRead, Key: []string{"name"},
		Doc: "Documents by URL, merged by name; a null url deletes the entry",
		Sub: []schema.Field{
			{Name: "name", Type: schema.String, MaxLen: 80, Required: schema.Always, Example: "Contract", Doc: "Display name of the URL"},
			{Name: "url", Type: schema.String, MaxLen: 512, Required: schema.OnInsert, NullDeletes: true, Example: "https://www.example.com/contract", Doc: "The URL itself"},
			{Name: "description", Type: schema.String, MaxLen: 80, Example: "Signed copy", Doc: "Description"},
		}},
	{Name: "stage_history", Type: schema.List, Shown: schema.SingleRead, Key: []string{"start_date", "name"},
		Doc: "Stages over time, merged by name and start_date; an entry without end_date is the open stage, of which there is one",
		Sub: []schema.Field{
			{Name: "name", Type: schema.String, MaxLen: 80, Required: schema.Always, Doc: "Name of the stage"},
			{Name: "start_date", Type: schema.Time, Required: schema.Always, Doc: "When the stage began, in epoch ms"},
			{Name: "end_date", Type: schema.Time, Doc: "When the stage ended, in epoch ms"},
		}},
	{Name: "nps_history", Type: schema.List, Shown: schema.SingleRead, Beside: true, Key: []string{"date", "username"},
		Doc: "Net promoter scores over time, merged by date and username",
		Sub: []schema.Field{
			{Name: "nps_score", Type: schema.Long, Range: &schema.Range{Min: -100, Max: 100}, Required: schema.Always, Example: "40", Doc: "Net promoter score"},
			{Name: "date", Type: schema.Time, Required: schema.Always, Example: "2026-09-01T09:00:00Z", Doc: "When the score was given, in epoch ms"},
			{Name: "username", Type: schema.String, MaxLen: 128, Example: "jane.doe", Doc: "Who gave the score"},
			{Name: "comments", Type: schema.String, MaxLen: 4096, Example: "Does what it should", Doc: "Comments given with the score"},
		}},
}))

var (
	id           = declaration.Ordinal("account_id")
	name         = declaration.Ordinal("name")
	joinDate     = declaration.Ordinal("join_date")
	isActive     = declaration.Ordinal("is_active")
	isDeleted    = declaration.Ordinal("is_deleted")
	isChurned    = declaration.Ordinal("is_churned")
	inactiveTime = declaration.Ordinal("inactive_time")
	reason       = declaration.Ordinal("inactive_reason")
	stage        = declaration.Ordinal("stage")
	currentStage = declaration.Ordinal("current_stage")
	renewalDate  = declaration.Ordinal("renewal_date")
	currentMRR   = declaration.Ordinal("current_mrr")
	schedule     = declaration.Ordinal("revenue_schedule")
	currentNPS   = declaration.Ordinal("current_nps_score")
	csms         = declaration.Ordinal("assigned_csms")
	stageHistory = declaration.Ordinal("stage_history")
	documents    = declaration.Ordinal("documents")
	npsHistory   = declaration.Ordinal("nps_history")

	stages    = declaration.List(stageHistory)
	stageName = stages.Ordinal("name")
	stageFrom = stages.Ordinal("start_date")
	stageEnd  = stages.Ordinal("end_date")

	scores    = declaration.List(npsHistory)
	scoreDate = scores.Ordinal("date")
	scoreUser = scores.Ordinal("username")
	scoreNPS  = scores.Ordinal("nps_score")
)

// OverwriteCSMs is the upload option that makes assigned_csms replace the
// managers assigned before instead of adding to them.
const OverwriteCSMs = "overwrite_csm_assignments"

// Family is the family /accounts.
var Family = &resource.Family{
	Schema:  declaration,
	ID:      id,
	Account: id,
	Orders: []resource.Order{
		{Name: "account_id", Index: table.Base, Fields: []int{id}},
		{Name: "name", Index: table.First, Fields: []int{name, id}},
		{Name: "join_date", Index: table.Second, Fields: []int{joinDate, id}},
	},
	Lookups:    []int{declaration.Ordinal("crm_account_id"), declaration.Ordinal("billing_account_id"), declaration.Ordinal("support_account_id")},
	Options:    []string{OverwriteCSMs},
	HiddenFrom: inactiveFrom,
	Merge:      merge,
	Deactivate: deactivate,
	Show:       show,
	Beside: &resource.Beside{
		Field:     npsHistory,
		SortKey:   func(score schema.Record) string { return resource.SortKey(scores, score, scoreDate, scoreUser) },
		Recompute: recomputeNPS,
		Indexed:   []int{scoreDate, scoreNPS},
	},
}

// ScorePrefix returns what the sort keys of all scores with that date (epoch
// ms) begin with.
func ScorePrefix(date int64) string {
	score := scores.NewRecord()
	score[scoreDate] = schema.Int(date)
	return resource.SortKey(scores, score, scoreDate)
}

// recomputeNPS sets current_nps_score from the scores (contract A4).
func recomputeNPS(r schema.Record, latestFirst iter.Seq[schema.Record]) {
	current, ok := nps.Current(func(yield func(nps.Score) bool) {
		for s := range latestFirst {
			if !yield(nps.Score{Date: s[scoreDate].Int(), Value: s[scoreNPS].Int()}) {
				return
			}
		}
	})
	r[currentNPS] = nil
	if ok {
		r[currentNPS] = schema.Int(current)
	}
}

// show fills in what a shown account computes.
func show(r schema.Record, now int64) {
	if from := inactiveFrom(r); from != 0 && from <= now {
		r[isActive] = schema.Bool(false)
	}
	r[stage] = r[currentStage]
	showRevenue(r, now)
}

// inactiveFrom returns the instant (epoch ms) from which the account is
// inactive; 0 for never. An inactive_time at or before the epoch still counts.
func inactiveFrom(r schema.Record) int64 {
	if !r[isDeleted].True() && !r[isChurned].True() {
		return 0
	}
	return max(r[inactiveTime].Int(), 1)
}

// Standing is how a shown account stands.
type Standing struct {
	ID, Name string
	// Joined is the join date, Ended the instant from which the account is or will
	// be inactive, 0 for never; both in epoch ms.
	Joined, Ended int64
	Active        bool
	// Churned says that it is marked as churned, whenever that takes effect.
	Churned bool
	// MRR is the monthly recurring revenue in cents, Renewal the renewal date in
	// epoch ms, NPS the current score; nil where there is none.
	MRR, Renewal, NPS *int64
}

// StandingOf returns how an account stands, as it is shown.
func StandingOf(r schema.Record) Standing {
	number := func(v schema.Value) *int64 {
		if v.IsNull() {
			return nil
		}
		n := v.Int()
		return &n
	}
	return Standing{
		ID: r[id].Text(), Name: r[name].Text(), Joined: r[joinDate].Int(), Ended: inactiveFrom(r),
		Active: r[isActive].IsNull() || r[isActive].True(), Churned: r[isChurned].True(),
		MRR: number(r[currentMRR]), Renewal: number(r[renewalDate]), NPS: number(r[currentNPS]),
	}
}

// deactivate returns the patch of DELETE /accounts/{id}.
func deactivate(d resource.Deactivation) schema.Record {
	patch := declaration.NewRecord()
	if d.Churn {
		patch[isChurned] = schema.Bool(true)
	} else {
		patch[isDeleted] = schema.Bool(true)
	}
	patch[inactiveTime] = d.Time
	return patch
}
