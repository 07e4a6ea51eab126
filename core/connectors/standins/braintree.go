package standins

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/connector/connectortest"
)

// braintreeDates are by which dates the lists can be searched.
var braintreeDates = map[string][]string{
	"customers":     {"created_at"},
	"subscriptions": {"created_at", "next_billing_date"},
	"transactions": {"created_at", "authorized_at", "submitted_for_settlement_at", "settled_at", "voided_at", "failed_at", "processor_declined_at",
		"gateway_rejected_at", "disbursement_date", "dispute_date"},
}

// braintreePage is how many records are read at once; really it is 50.
const braintreePage = 2

func braintree(s *connectortest.Server) {
	const host = "api.sandbox.braintreegateway.com/merchants/acmemerchant/"
	s.Demand("Accept", "application/xml")
	s.Demand("X-ApiVersion", "6")
	s.Basic("public-key", "secret-braintree-key")
	s.Collection("plans", connectortest.Collection{ID: "id"})
	s.Collection("customers", connectortest.Collection{ID: "id"})
	s.Collection("payment_methods", connectortest.Collection{ID: "token"})
	s.Collection("subscriptions", connectortest.Collection{ID: "id", Stays: true})
	s.Collection("transactions", connectortest.Collection{ID: "id", Updated: "searched.settled_at", Form: time.RFC3339, Delete: func(r connectortest.Row) { r["status"] = "voided" }})

	s.Handle("GET "+host+"plans", func(q *connectortest.Request) any {
		q.Known()
		return braintreeAnswer(q, braintreeList("plans", "array", s.Rows("plans")))
	})
	for path, dates := range braintreeDates {
		// found returns what meets the criteria of a request, which has some ids or none.
		found := func(q *connectortest.Request) (rows []connectortest.Row, ids []string) {
			q.Known()
			if t := q.RequestHeader("Content-Type"); t != "application/xml" {
				q.Fault("the body has the type %q", t)
			}
			var search struct {
				XMLName xml.Name `xml:"search"`
				IDs     struct {
					Type  string   `xml:"type,attr"`
					Items []string `xml:"item"`
				} `xml:"ids"`
				Ranges []struct {
					XMLName xml.Name
					Min     braintreeMoment `xml:"min"`
					Max     braintreeMoment `xml:"max"`
				} `xml:",any"`
			}
			if err := xml.Unmarshal(q.Body(), &search); err != nil {
				q.Fault("the search is no XML: %v", err)
			}
			rows = s.Rows(path)
			for _, r := range search.Ranges {
				name := r.XMLName.Local
				if !slices.Contains(dates, name) {
					q.Fault("%s cannot be searched by %s", path, name)
				}
				least, most := r.Min.at(q), r.Max.at(q)
				rows = s.Select(rows, func(row connectortest.Row) bool {
					text, _ := connectortest.At(row, "searched."+name).(string)
					if text == "" {
						text, _ = row[name].(string)
					}
					at, err := time.Parse(time.RFC3339, text)
					return err == nil && !at.Before(least) && !at.After(most)
				})
			}
			if len(search.Ranges) == 0 {
				q.Fault("a search without criteria has more results than it tells")
			}
			return rows, search.IDs.Items
		}
		s.Handle("POST "+host+path+"/advanced_search_ids", func(q *connectortest.Request) any {
			rows, ids := found(q)
			if ids != nil {
				q.Fault("ids are searched by ids")
			}
			var items strings.Builder
			for _, row := range slices.Backward(rows) { // the newest first
				fmt.Fprintf(&items, "<item>%v</item>", row["id"])
			}
			return braintreeAnswer(q, fmt.Sprintf(`<search-results><page-size type="integer">%d</page-size><ids type="array">%s</ids></search-results>`, braintreePage, &items))
		})
		s.Handle("POST "+host+path+"/advanced_search", func(q *connectortest.Request) any {
			rows, ids := found(q)
			if len(ids) == 0 || len(ids) > braintreePage {
				q.Fault("%d ids are asked for, and a page has %d", len(ids), braintreePage)
			}
			rows = s.Select(rows, func(row connectortest.Row) bool { return slices.Contains(ids, fmt.Sprint(row["id"])) })
			for _, row := range rows {
				delete(row, "searched") // by what it is found, and no member of it
				if path == "customers" {
					cards := []any{}
					for _, method := range s.Rows("payment_methods") {
						if method["customer"] == row["id"] {
							cards = append(cards, connectortest.Row{"token": method["token"], "customer_id": row["id"], "last_4": "1111", "default": true})
						}
					}
					row["credit_cards"], row["payment_methods"] = cards, cards
				}
			}
			root := map[string]string{"transactions": "credit_card_transactions"}[path]
			if root == "" {
				root = path
			}
			return braintreeAnswer(q, braintreeList(root, "collection", rows))
		})
	}
	refusal := func(status int, message string, want error) connectortest.Refusal {
		return connectortest.Refusal{Name: message, Status: status, Header: map[string]string{"Content-Type": "application/xml"}, Want: want,
			Body: `<?xml version="1.0" encoding="UTF-8"?><api-error-response><errors><errors type="array"/></errors><message>` + message + `</message></api-error-response>`}
	}
	s.Refused = []connectortest.Refusal{
		refusal(422, "Bad search", connector.ErrRefused),
		refusal(426, "Please upgrade your client library", connector.ErrRefused),
		refusal(403, "Forbidden", connector.ErrCredentials),
		refusal(404, "Not found", connector.ErrRefused),
	}
}

// braintreeMoment is one end of a range.
type braintreeMoment struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

func (m braintreeMoment) at(q *connectortest.Request) time.Time {
	at, err := time.Parse(time.RFC3339, m.Text)
	if err != nil || m.Type != "datetime" {
		q.Fault("%q (%s) is no end of a range of times", m.Text, m.Type)
	}
	return at
}

func braintreeAnswer(q *connectortest.Request, text string) []byte {
	q.Type("application/xml; charset=utf-8")
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + text)
}

// braintreeList writes rows as the gateway does. A collection tells of the page as
// well.
func braintreeList(name, kind string, rows []connectortest.Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<%s type=%q>\n", dashed(name), kind)
	if kind == "collection" {
		fmt.Fprintf(&b, `<current-page-number type="integer">1</current-page-number><page-size type="integer">%d</page-size><total-items type="integer">%d</total-items>`, braintreePage, len(rows))
	}
	for _, row := range rows {
		braintreeElement(&b, strings.TrimSuffix(name, "s"), row)
	}
	fmt.Fprintf(&b, "</%s>", dashed(name))
	return b.String()
}

func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

var (
	braintreeDay  = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
	braintreeTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)
)

// braintreeElement writes a value as an element with its type.
func braintreeElement(b *strings.Builder, name string, v any) {
	tag := dashed(name)
	typed := func(kind, text string) {
		if kind != "" {
			kind = fmt.Sprintf(" type=%q", kind)
		}
		fmt.Fprintf(b, "<%s%s>%s</%s>\n", tag, kind, text, tag)
	}
	switch v := v.(type) {
	case nil:
		fmt.Fprintf(b, "<%s nil=\"true\"/>\n", tag)
	case bool:
		typed("boolean", fmt.Sprint(v))
	case json.Number:
		typed("integer", v.String())
	case string:
		var text strings.Builder
		if err := xml.EscapeText(&text, []byte(v)); err != nil {
			panic(err) // a strings.Builder fails never
		}
		switch {
		case braintreeDay.MatchString(v):
			typed("date", text.String())
		case braintreeTime.MatchString(v):
			typed("datetime", text.String())
		default:
			typed("", text.String())
		}
	case []any:
		fmt.Fprintf(b, "<%s type=\"array\">", tag)
		for _, member := range v {
			one := strings.TrimSuffix(name, "s")
			if name == "status_history" {
				one = "status_event"
			}
			braintreeElement(b, one, member)
		}
		fmt.Fprintf(b, "</%s>\n", tag)
	case connectortest.Row:
		fmt.Fprintf(b, "<%s>", tag)
		for _, member := range slices.Sorted(maps.Keys(v)) {
			braintreeElement(b, member, v[member])
		}
		fmt.Fprintf(b, "</%s>\n", tag)
	}
}
