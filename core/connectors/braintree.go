package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tenure/core/connector"
)

const (
	// braintreePage is how many records are read at once.
	braintreePage = 50
	// braintreeWindow is how long a period is searched at once: a search returns so
	// many transactions at most.
	braintreeWindow = 24 * time.Hour
	braintreeMost   = 10_000
)

var braintree = &connector.Connector{
	Name: "braintree", Title: "Braintree", Kind: connector.Financial,
	Doc:     "Customers, subscriptions and transactions of one merchant, by the XML gateway. Customers and subscriptions cannot be asked for by what has changed: all of them are read every time.",
	Base:    `"https://\({production: "api.braintreegateway.com", sandbox: "api.sandbox.braintreegateway.com"}[$settings.environment])/merchants/\($settings.merchant_id)"`,
	Hosts:   []string{"api.braintreegateway.com", "api.sandbox.braintreegateway.com"},
	Headers: map[string]string{"Accept": `"application/xml"`, "X-ApiVersion": `"6"`},
	Settings: []connector.Setting{
		{Name: "environment", Title: "Environment", Doc: "production or sandbox", Choices: []string{"production", "sandbox"}, Default: "production"},
		{Name: "merchant_id", Title: "Merchant ID", Doc: "from Account, My User", Required: true, Pattern: `[a-z0-9]+`},
		{Name: "account_field", Title: "Custom field of the account_id", Doc: "the API name of a customer's custom field that is stored and passed back", Pattern: `[a-z0-9_]+`, Default: "account_id"},
		{Name: "since", Title: "Transactions since", Doc: "the day of the first transactions that are read", Pattern: `[0-9]{4}-[0-9]{2}-[0-9]{2}`, Default: "2020-01-01"},
	},
	Auth: []connector.Auth{{Name: "api_key", Title: "API keys",
		Settings: []connector.Setting{
			{Name: "public_key", Title: "Public key", Doc: "from Settings, API", Required: true},
			{Name: "private_key", Title: "Private key", Doc: "from Settings, API", Secret: true, Required: true},
		},
		Headers: map[string]string{"Authorization": `"Basic " + ("\(.public_key):\(.private_key)" | @base64)`}}},
	Limits: connector.Limits{Requests: 60, Per: time.Minute, Pause: time.Minute},
	Errors: connector.Errors{},
	Check:  connector.Request{Path: "/plans"},

	AccountField: "billing_account_id",
	Locations: []connector.Location{
		{Name: "custom_field", Title: "Custom field of customers", Doc: "A custom field of the customer, typically sent from your product.", Best: true, Stream: "customers", Path: ".custom_fields[$settings.account_field]?", By: connector.ByAccountID},
		{Name: "id", Title: "ID of customers", Doc: "The account has the customer's id as its billing_account_id.", Stream: "customers", Path: ".id", By: connector.ByNativeID},
		{Name: "email", Title: "E-mail of customers", Doc: "An address of one of the account's users or contacts; entered by hand.", Stream: "customers", Path: ".email", By: connector.ByEmail},
	},
	Streams: []connector.Stream{
		{
			Name: "plans", Title: "Plans", Passing: true, ID: ".id", Label: ".name", Keep: "{name, currency: .currency_iso_code, months: .billing_frequency}",
			Fetch: func(ctx context.Context, s *connector.Session, _ connector.Window, _ any) ([]any, any, error) {
				answer, err := s.Call(ctx, connector.Call{Path: "/plans"})
				if err != nil {
					return nil, nil, err
				}
				plans, err := braintreeList(answer.Body, "plans")
				return plans, nil, err
			},
		},
		{
			Name: "customers", Title: "Customers", Accounts: true, Passing: true, ID: ".id", Label: ".company // .email", Keep: "{company, email}",
			Fetch: braintreeSearch("customers", "customers", nil),
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: `if (.company // "") != "" then .company else ([.first_name, .last_name] | map(select(. != null)) | join(" ") | if . == "" then null else . end) // .email // .id end`},
					{To: "join_date", From: ".created_at | time"}, {To: "billing_account_id", From: ".id", Attach: true}, {To: "phone", From: ".phone"}, {To: "website", From: ".website"},
				}},
				{Family: "account_contacts", When: `(.email // "") != ""`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".first_name; .last_name; null; .email")}, {To: "last_name", From: last(".first_name; .last_name; null; .email")},
					{To: "email", From: ".email"}, {To: "phone", From: ".phone"}, {To: "is_primary", From: "true"},
				}},
			},
		},
		{
			// By its payment method a customer is found of whom a subscription has no
			// transaction yet.
			Name: "payment_methods", Title: "Payment methods", Passing: true, ID: ".token", Keep: "{customer}",
			Account: []connector.Route{{Via: "customers", Key: ".customer"}},
			Fetch: func(ctx context.Context, s *connector.Session, w connector.Window, at any) ([]any, any, error) {
				customers, next, err := braintreeSearch("customers", "customers", nil)(ctx, s, w, at)
				var methods []any
				for _, c := range customers {
					customer, _ := c.(map[string]any)
					for name, v := range customer {
						list, _ := v.([]any)
						for _, m := range list {
							if method, ok := m.(map[string]any); ok && method["token"] != nil && name != "transactions" {
								methods = append(methods, map[string]any{"token": method["token"], "customer": customer["id"]})
							}
						}
					}
				}
				return methods, next, err
			},
		},
		{
			Name: "subscriptions", Title: "Subscriptions", Passing: true, ID: ".id", Label: ".id", Currency: ".plan.currency",
			Fetch:   braintreeSearch("subscriptions", "subscriptions", nil),
			Account: []connector.Route{{Via: "customers", Key: "first(.transactions[]?.customer.id? // empty) // null"}, {Via: "payment_methods", Key: ".payment_method_token"}},
			Joins:   []connector.Join{{As: "plan", Stream: "plans", Key: ".plan_id"}},
			Feeds: []connector.Feed{{Family: "subscriptions", When: `.status != "Pending" or .first_billing_date != null`, Fields: []connector.Field{
				{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`},
				{To: "effective_start_date", From: "(.first_billing_date // .created_at) | date"},
				{To: "effective_end_date", From: `if .status == "Canceled" then .updated_at | time elif .status == "Expired" then (.billing_period_end_date // .updated_at) | date else null end`},
				// The price leaves out add-ons and discounts.
				{To: "total_revenue", From: `major((if .next_billing_period_amount and .status != "Canceled" and .status != "Expired" then .next_billing_period_amount else .price end); .plan.currency)`},
				{To: "cycle_unit", From: `"month"`}, {To: "cycle_length", From: `.plan.months // error("the plan of the subscription is not known")`},
				{To: "next_renewal_date", From: `if (.status | IN("Canceled", "Expired")) then null else .next_billing_date | date end`},
				{To: "plan_code", From: ".plan_id"},
			}}},
		},
		{
			// There are no invoices: a transaction is a statement. Which have changed is
			// told by the dates of their states.
			Name: "transactions", Title: "Transactions", Incremental: true, Overlap: time.Hour, ID: ".id", Label: ".id", Deleted: `.status == "voided"`, Currency: ".currency_iso_code",
			Fetch: braintreeSearch("transactions", "credit_card_transactions", []string{"created_at", "submitted_for_settlement_at", "settled_at", "voided_at", "failed_at",
				"processor_declined_at", "gateway_rejected_at"}),
			Account: []connector.Route{{Via: "customers", Key: ".customer.id?"}},
			Feeds: []connector.Feed{{Family: "statements", When: `.status != "voided"`, Fields: []connector.Field{
				{To: "invoice_id", From: ".id"}, {To: "start_date", From: ".created_at | time"},
				{To: "paid_date", From: `if .status == "settled" then first(.status_history[]? | select(.status == "settled") | .timestamp) // .updated_at | time else null end`},
				{To: "is_failed", From: `.status | IN("failed", "processor_declined", "gateway_rejected", "settlement_declined", "authorization_expired")`},
				{To: "line_items", From: `[{amount: (major(.amount; .currency_iso_code) * (if .type == "credit" then -1 else 1 end)), is_recurring: (.recurring == true or .subscription_id != null), description: .plan_id}]`},
			}}},
		},
	},
}

// braintreeAt is where a search has come to: which dates are searched, in which
// period, and how many of the ids found there have been read.
type braintreeAt struct {
	Date int   `json:"date"`
	From int64 `json:"from"` // unix seconds
	Span int64 `json:"span"`
	Read int   `json:"read"`
	// Until is where the search ends.
	Until int64 `json:"until"`
}

// braintreeSearch reads a list by the gateway's two steps: a search yields the ids of
// all that meet some criteria, and then the same criteria with some of the ids yield
// these. root is what the list is called in the answer. With dates, the criteria are
// periods of one after the other; otherwise there are none.
func braintreeSearch(path, root string, dates []string) func(context.Context, *connector.Session, connector.Window, any) ([]any, any, error) {
	return func(ctx context.Context, s *connector.Session, w connector.Window, given any) ([]any, any, error) {
		at := braintreeAt{Span: int64(braintreeWindow / time.Second), Until: s.Now().Unix()}
		if given != nil {
			text, err := json.Marshal(given)
			if err == nil {
				err = json.Unmarshal(text, &at)
			}
			if err != nil {
				return nil, nil, err
			}
		} else if w.Since != nil {
			at.From = *w.Since / 1000
		} else if len(dates) > 0 {
			since, err := time.Parse(time.DateOnly, s.Settings["since"])
			if err != nil {
				return nil, nil, fmt.Errorf("%w: the setting 'since' is no date", connector.ErrRefused)
			}
			at.From = since.Unix()
		}
		if w.Since == nil && len(dates) > 1 { // all of them have been created
			dates = dates[:1]
		}
		criteria := ""
		if len(dates) > 0 {
			period := func(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
			criteria = fmt.Sprintf(`<%[1]s><min type="datetime">%[2]s</min><max type="datetime">%[3]s</max></%[1]s>`, dates[at.Date], period(at.From), period(at.From+at.Span))
		}
		answer, err := braintreePost(ctx, s, "/"+path+"/advanced_search_ids", criteria)
		if err != nil {
			return nil, nil, err
		}
		found, err := braintreeXML(answer)
		if err != nil {
			return nil, nil, err
		}
		results, ok := found["search_results"].(map[string]any)
		if !ok { // the search has taken too long
			if at.Span > 60 && len(dates) > 0 {
				at.Span /= 2
				return nil, at, nil
			}
			return nil, nil, fmt.Errorf("%w: the search has no results", connector.ErrAnswer)
		}
		ids, _ := results["ids"].([]any)
		if len(ids) >= braintreeMost && len(dates) > 0 {
			if at.Span <= 60 {
				return nil, nil, fmt.Errorf("%w: more than %d records in a minute cannot be told apart", connector.ErrAnswer, braintreeMost)
			}
			at.Span, at.Read = at.Span/2, 0
			return nil, at, nil
		}
		var records []any
		if at.Read < len(ids) {
			some := ids[at.Read:min(at.Read+braintreePage, len(ids))]
			var list strings.Builder
			list.WriteString(`<ids type="array">`)
			for _, id := range some {
				list.WriteString("<item>")
				if err := xml.EscapeText(&list, []byte(fmt.Sprint(id))); err != nil {
					return nil, nil, err
				}
				list.WriteString("</item>")
			}
			list.WriteString("</ids>")
			if answer, err = braintreePost(ctx, s, "/"+path+"/advanced_search", criteria+list.String()); err != nil {
				return nil, nil, err
			}
			if records, err = braintreeList(answer, root); err != nil {
				return nil, nil, err
			}
			at.Read += len(some)
		}
		if at.Read < len(ids) {
			return records, at, nil
		}
		at.Read = 0
		if at.From += at.Span; len(dates) == 0 || at.From >= at.Until {
			if at.Date++; at.Date >= len(dates) {
				return records, nil, nil
			}
			at.From = *w.Since / 1000
		}
		return records, at, nil
	}
}

func braintreePost(ctx context.Context, s *connector.Session, path, criteria string) ([]byte, error) {
	answer, err := s.Call(ctx, connector.Call{Method: http.MethodPost, Path: path, Header: http.Header{"Content-Type": {"application/xml"}}, Body: []byte("<search>" + criteria + "</search>")})
	if err != nil {
		return nil, err
	}
	if answer.Status == http.StatusNotFound {
		return nil, fmt.Errorf("%w: the merchant is not found (404)", connector.ErrRefused)
	}
	return answer.Body, nil
}

// braintreeList returns the members of the list that is an answer's root.
func braintreeList(body []byte, root string) ([]any, error) {
	v, err := braintreeXML(body)
	if err != nil {
		return nil, err
	}
	switch list := v[root].(type) {
	case []any:
		return list, nil
	case map[string]any: // members by their own names, and what tells of the page
		var records []any
		for _, member := range list {
			switch member := member.(type) {
			case map[string]any:
				records = append(records, member)
			case []any:
				records = append(records, member...)
			}
		}
		return records, nil
	}
	return nil, fmt.Errorf("%w: there is no %s in it", connector.ErrAnswer, root)
}

// braintreeXML returns what an XML document says as JSON values: types are those of
// the attributes, dashes are underscores, and what is there several times is a list.
func braintreeXML(body []byte) (map[string]any, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var read func(start xml.StartElement) (any, error)
	read = func(start xml.StartElement) (any, error) {
		kind, null := "", false
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "type":
				kind = a.Value
			case "nil":
				null = a.Value == "true"
			}
		}
		var text strings.Builder
		object, list := map[string]any{}, []any{}
		for {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			switch token := token.(type) {
			case xml.StartElement:
				v, err := read(token)
				if err != nil {
					return nil, err
				}
				name := strings.ReplaceAll(token.Name.Local, "-", "_")
				list = append(list, v)
				switch was := object[name].(type) {
				case nil:
					object[name] = v
				case repeated:
					object[name] = append(was, v)
				default:
					object[name] = repeated{was, v}
				}
			case xml.CharData:
				text.Write(token)
			case xml.EndElement:
				for name, v := range object {
					if several, ok := v.(repeated); ok {
						object[name] = []any(several)
					}
				}
				said := strings.TrimSpace(text.String())
				switch {
				case null:
					return nil, nil
				case kind == "array", kind == "collection":
					return list, nil
				case len(list) > 0:
					return object, nil
				case kind == "integer":
					return json.Number(said), nil
				case kind == "boolean":
					return said == "true", nil
				}
				return said, nil
			}
		}
	}
	for {
		token, err := d.Token()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("%w: it is no XML: %w", connector.ErrAnswer, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		v, err := read(start)
		if err != nil {
			return nil, fmt.Errorf("%w: it is no XML: %w", connector.ErrAnswer, err)
		}
		return map[string]any{strings.ReplaceAll(start.Name.Local, "-", "_"): v}, nil
	}
}

// repeated gathers elements of one name.
type repeated []any
