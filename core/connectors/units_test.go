package connectors_test

import (
	"fmt"
	"slices"
	"testing"

	"tenure/core/connector"
	"tenure/core/connectors"
	"tenure/core/mapping"
)

// TestAmountsAreInTheSystemsOwnUnits: whole amounts have as many decimals as the
// system says, which is not always what ISO 4217 does.
func TestAmountsAreInTheSystemsOwnUnits(t *testing.T) {
	inputs := map[string]string{
		"stripe":    `{"currency":%q,"items":{"data":[{"quantity":1,"price":{"unit_amount":500,"recurring":{}}}]}}`,
		"chargebee": `{"currency_code":%q,"subscription_items":[{"item_type":"plan","amount":500}]}`,
	}
	for _, test := range []struct {
		system, currency, want string // cents of 500 units, at a rate of 1
	}{
		{"stripe", "usd", "500"}, {"stripe", "jpy", "50000"}, {"stripe", "kwd", "50"},
		{"stripe", "isk", "500"}, {"stripe", "mga", "50000"}, {"stripe", "huf", "500"},
		{"chargebee", "USD", "500"}, {"chargebee", "JPY", "50000"}, {"chargebee", "XOF", "50000"}, {"chargebee", "KWD", "500"}, {"chargebee", "MGA", "500"},
	} {
		t.Run(test.system+" "+test.currency, func(t *testing.T) {
			all := connectors.All()
			c := all[slices.IndexFunc(all, func(c *connector.Connector) bool { return c.Name == test.system })]
			st := c.Streams[slices.IndexFunc(c.Streams, func(st connector.Stream) bool { return st.Name == "subscriptions" })]
			fields := st.Feeds[0].Fields
			revenue := fields[slices.IndexFunc(fields, func(f connector.Field) bool { return f.To == "total_revenue" })].From
			env := mapping.Env{Currency: "USD", Rates: map[string]string{"JPY": "1", "KWD": "1", "ISK": "1", "MGA": "1", "HUF": "1", "XOF": "1"}}
			s, err := connector.Open(t.Context(), connector.Config{Connector: c, Env: env})
			if err != nil {
				t.Fatal(err)
			}
			if got := evaluated(t.Context(), s, revenue, fmt.Sprintf(inputs[test.system], test.currency)); got != test.want {
				t.Errorf("500 are %s cents, and must be %s", got, test.want)
			}
		})
	}
}
