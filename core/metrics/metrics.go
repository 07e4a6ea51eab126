// Package metrics declares the family /metrics ("Custom Metrics" of the API
// document). A record is one metric of one account; its points, which may be
// millions, are kept beside it.
package metrics

import (
	"tenure/core"
	"tenure/core/resource"
	"tenure/core/schema"
	"tenure/core/table"
)

var declaration = schema.New("metrics", "Metric", []schema.Field{
	{Name: "name", Type: schema.String, MaxLen: 128, Required: schema.Always, Example: "logins", Doc: "Metric name; not account_id"},
	{Name: "account_id", Type: schema.ID, MaxLen: 256, Required: schema.Always, Example: "acme-42", Doc: "Account ID"},
	{Name: "metrics", Type: schema.List, Required: schema.Always, Beside: true, Key: []string{"timestamp"},
		Doc: "Data points; one with a known timestamp replaces the older one",
		Sub: []schema.Field{
			{Name: "timestamp", Type: schema.Time, Required: schema.Always, Example: "2026-10-01T09:00:00Z", Doc: "Instant of the point, in epoch ms"},
			{Name: "value", Type: schema.Double, Required: schema.Always, Example: "17", Doc: "Value of the point"},
		}},
})

// Points describes the data points of a metric.
var Points = declaration.List(points)

var (
	name      = declaration.Ordinal("name")
	accountID = declaration.Ordinal("account_id")
	points    = declaration.Ordinal("metrics")
	timestamp = Points.Ordinal("timestamp")
)

// Family is the family /metrics.
var Family = &resource.Family{
	Schema:  declaration,
	ID:      name,
	Account: accountID,
	Orders:  []resource.Order{{Name: "name", Index: table.First, Fields: []int{name, accountID}}},
	Merge:   merge,
	Beside: &resource.Beside{
		Field: points,
		Paged: true,
		SortKey: func(point schema.Record) string {
			return resource.SortKey(Points, point, timestamp)
		},
	},
}

// merge refuses the one name that could not be told from the account's id in
// answers (contract Q22).
func merge(c resource.Change) (schema.Record, *core.Failure) {
	if c.Patch[name].Text() == "account_id" {
		return nil, &core.Failure{Code: core.NotAChoice, Field: "name", Message: "'name' value must not be 'account_id'"}
	}
	return declaration.Merge(c.Old, c.Patch)
}
