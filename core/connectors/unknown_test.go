package connectors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tenure/core/connector"
	"tenure/core/connectors"
	"tenure/core/mapping"
)

// TestWhatIsNotKnownIsNotGuessed evaluates expressions over what the systems do not
// say for certain: the settings have to, or the record is refused with the reason.
func TestWhatIsNotKnownIsNotGuessed(t *testing.T) {
	const field, check, fact = "field", "check", "fact"
	keap := map[string]string{"subscription_unit": "minor"}
	for _, test := range []struct {
		system, what, stream, to string
		settings                 map[string]string
		input                    string
		want                     string // JSON, or what the error says
	}{
		{"infusionsoft", field, "subscriptions", "total_revenue", nil, `{"billing_amount":4900}`, "subscription_unit"},
		{"infusionsoft", field, "subscriptions", "total_revenue", keap, `{"billing_amount":4900}`, "4900"},
		{"infusionsoft", field, "subscriptions", "total_revenue", keap, `{"billing_amount":4900,"quantity":2}`, "each or for all"},
		{"infusionsoft", field, "subscriptions", "total_revenue", map[string]string{"subscription_unit": "minor", "subscription_quantity": "total"}, `{"billing_amount":4900,"quantity":2}`, "4900"},
		{"infusionsoft", field, "subscriptions", "total_revenue", map[string]string{"subscription_unit": "major", "currency": "EUR"}, `{"billing_amount":49}`, "no rate for EUR"},
		{"infusionsoft", field, "subscriptions", "cycle_length", nil, `{"billing_cycle":"MONTH","billing_frequency":30}`, "every 30 cycles"},
		{"infusionsoft", field, "subscriptions", "cycle_length", nil, `{"billing_cycle":"MONTH","billing_frequency":12}`, "12"},
		{"infusionsoft", field, "subscriptions", "cycle_unit", nil, `{"billing_cycle":"DECADE"}`, "DECADE is not known"},
		{"infusionsoft", field, "order_payments", "transactions", nil, `{"payments":[{"id":"1","amount":5,"pay_status":"APPROVED"}]}`, "payment_unit"},
		{"infusionsoft", check, "", "", map[string]string{"account_field": "Account"}, `{"custom_fields":[{"id":"9","label":"Segment"}]}`, `"companies have no custom field Account, but: Segment"`},
		{"infusionsoft", check, "", "", map[string]string{"account_field": "9"}, `{"custom_fields":[{"id":"9","label":"Segment"}]}`, "null"},
		{"infusionsoft", fact, "", "account_field", map[string]string{"account_field": "Account"}, `{"custom_fields":[]}`, "no custom field Account"},
		{"capsule", field, "opportunities", "cycle_unit", nil, `{"durationBasis":"DECADE"}`, "DECADE is not known"},
		{"capsule", check, "", "", map[string]string{"account_field": "7"}, `{"definitions":[{"id":155,"name":"Account Id"}]}`, `"parties have no custom field 7, but: 155 Account Id"`},
		{"capsule", fact, "", "account_field", map[string]string{"account_field": "Account Id"}, `{"definitions":[{"id":155,"name":"Account Id"}]}`, "155"},
		{"capsule", fact, "", "account_field", nil, `{"definitions":[]}`, "null"},
		{"capsule", fact, "", "account_field", map[string]string{"account_field": "7"}, `{"definitions":[{"id":155,"name":"Account Id"}]}`, "no custom field 7"},
		{"xero", field, "repeating_invoices", "cycle_unit", nil, `{"Schedule":{"Unit":"DAILY"}}`, "DAILY is not known"},
		{"xero", field, "contacts", "join_date", nil, `{}`, "set a join date"},
		{"xero", field, "contacts", "join_date", map[string]string{"join_date": "2020-01-01"}, `{}`, "1577836800000"},
		{"xero", check, "", "", nil, `[{"tenantId":"1","tenantType":"ORGANISATION","tenantName":"A"},{"tenantId":"2","tenantType":"ORGANISATION","tenantName":"B"}]`, `"access was granted to 2 organisations: set which one is to be read"`},
		{"xero", check, "", "", map[string]string{"organisation": "B"}, `[{"tenantId":"1","tenantType":"ORGANISATION","tenantName":"A"},{"tenantId":"2","tenantType":"ORGANISATION","tenantName":"B"}]`, "null"},
		{"xero", check, "", "", map[string]string{"organisation": "C"}, `[{"tenantId":"1","tenantType":"ORGANISATION","tenantName":"A"}]`, `"access was not granted to the organisation C, but to: A"`},
		{"xero", fact, "", "tenant", map[string]string{"organisation": "B"}, `[{"tenantId":"1","tenantType":"ORGANISATION","tenantName":"A"},{"tenantId":"2","tenantType":"ORGANISATION","tenantName":"B"}]`, `"2"`},
		{"xero", fact, "", "tenant", nil, `[{"tenantId":"1","tenantType":"ORGANISATION"},{"tenantId":"2","tenantType":"ORGANISATION"}]`, "not set which one"},
		{"delighted", field, "survey_responses", "nps_history", map[string]string{"scale": "answer"}, `{"score":8,"created_at":1,"person":"1"}`, `[{"comments":null,"date":1000,"nps_score":8,"username":null}]`},
		{"stripe", field, "invoices", "line_items", nil, `{"lines":{"data":[{"amount":500,"currency":"ugx"}]}}`, "ugx_decimals"},
		{"stripe", field, "subscriptions", "total_revenue", nil, `{"currency":"usd","items":{"data":[{"price":{"unit_amount":null,"recurring":{}}}]}}`, "as for tiered prices"},
		{"recurly", field, "subscriptions", "effective_start_date", nil, `{"state":"future","created_at":"2025-01-01T00:00:00Z"}`, "will start is not told"},
		{"recurly", field, "subscriptions", "effective_start_date", nil, `{"state":"future","created_at":"2025-01-01T00:00:00Z","current_term_started_at":"2025-02-01T00:00:00Z"}`, "1738368000000"},
		{"recurly", field, "subscriptions", "cycle_unit", nil, `{"interval":null}`, "the plan of the subscription is not known"},
		{"chargebee", field, "subscriptions", "total_revenue", nil, `{"currency_code":"VND","subscription_items":[{"item_type":"plan","amount":1500}]}`, "whole_currencies"},
		{"chargebee", field, "subscriptions", "total_revenue", nil, `{"currency_code":"USD","plan_id":"gold","plan_quantity":3}`, "as for tiers"},
		{"chargebee", field, "subscriptions", "total_revenue", nil, `{"currency_code":"USD","plan_id":"gold","plan_quantity":3,"plan_unit_price_in_decimal":"0.125","plan_quantity_in_decimal":"2.4"}`, "30"},
		{"chargebee", field, "subscriptions", "total_revenue", nil, `{"currency_code":"USD"}`, "neither items nor a plan"},
		{"chargify", field, "subscriptions", "total_revenue", map[string]string{"revenue": "mrr"}, `{"state":"active","currency":"EUR","mrr":{"cents":4500}}`, "another currency than the site's"},
		{"chargify", field, "subscriptions", "total_revenue", map[string]string{"revenue": "price"}, `{"state":"active","currency":"USD","mrr":{"cents":4500},"product_price_in_cents":1000}`, "1000"},
		{"chargify", fact, "invoices", "invoicing", nil, `{"site":{"relationship_invoicing_enabled":false}}`, "statements in place of invoices"},
		{"desk", field, "companies", "support_account_id", map[string]string{"support_account_id": "domain"}, `{"id":12,"domains":["acme.example"]}`, `"acme.example"`},
	} {
		t.Run(fmt.Sprint(test.system, " ", test.stream, test.to, " ", test.settings), func(t *testing.T) {
			all := connectors.All()
			c := all[slices.IndexFunc(all, func(c *connector.Connector) bool { return c.Name == test.system })]
			s, err := connector.Open(t.Context(), connector.Config{Connector: c, Settings: test.settings, Env: mapping.Env{Currency: "USD", Zone: time.UTC}})
			if err != nil {
				t.Fatal(err)
			}
			text := c.CheckThat
			switch test.what {
			case fact:
				facts := c.Facts
				for _, st := range c.Streams {
					facts = slices.Concat(facts, st.Facts)
				}
				text = facts[slices.IndexFunc(facts, func(f connector.Fact) bool { return f.Name == test.to })].Pick
			case field:
				st := c.Streams[slices.IndexFunc(c.Streams, func(st connector.Stream) bool { return st.Name == test.stream })]
				fields := st.Feeds[0].Fields
				text = fields[slices.IndexFunc(fields, func(f connector.Field) bool { return f.To == test.to })].From
			}
			if got := evaluated(t.Context(), s, text, test.input); !strings.Contains(got, test.want) || got[0] != '!' && got != test.want {
				t.Errorf("it yields %s, and must yield %s", got, test.want)
			}
		})
	}
}

// evaluated returns what an expression yields as JSON, or its error behind "!".
func evaluated(ctx context.Context, s *connector.Session, text, input string) string {
	e, err := s.Expression(text, false)
	if err != nil {
		return "!" + err.Error()
	}
	value, err := mapping.Decode(strings.NewReader(input), 1<<20)
	if err != nil {
		return "!" + err.Error()
	}
	v, err := e.First(ctx, value, nil)
	if err != nil {
		return "!" + err.Error()
	}
	result, err := json.Marshal(v)
	if err != nil {
		return "!" + err.Error()
	}
	return string(result)
}
