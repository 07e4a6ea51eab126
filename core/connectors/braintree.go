package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"tenure/core/connector"
)

const (
	// braintreeMost is how many results a search may have before some are missing: half
	// of what is known for transactions. A search of a shorter period has fewer.
	braintreeMost = 10_000
	// braintreeFew is with how many results the next period may be twice as long.
	braintreeFew = 1_000
	// The periods that are searched, in seconds.
	braintreeDay, braintreeYear, braintreeShortest = 86_400, 366 * 86_400, 60
	// braintreeBatches is how many requests for records follow a search for their ids.
	braintreeBatches = 4
)

// braintreeFounded is before everything that the gateway knows.
const braintreeFounded = "2007-01-01"

var braintree = &connector.Connector{
	Name: "braintree", Title: "Braintree", Kind: connector.Financial,
	Doc:     "Customers, subscriptions and transactions of one merchant, by the XML gateway. Customers and subscriptions cannot be asked for by what has changed: all of them are read every time.",
	Base:    `"https://\({production: "api.braintreegateway.com", sandbox: "api.sandbox.braintreegateway.com"}[$settings.environment])/merchants/\($settings.merchant_id)"`,
	Hosts:   []string{"api.braintreegateway.com", "api.sandbox.braintreegateway.com"},
	Headers: map[string]string{"Accept": `"application/xml"`, "X-ApiVersion": `"6"`},
	Decode:  braintreeXML,
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
	Errors: connector.Errors{Message: ".api_error_response.message"},
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
			Request: connector.Request{Path: "/plans"}, Items: ".plans[]",
		},
		{
			Name: "customers", Title: "Customers", Accounts: true, Passing: true, ID: ".id", Label: ".company // .email", Keep: "{company, email}",
			Fetch: braintreeSearch("customers", "created_at"),
			Feeds: []connector.Feed{
				{Family: "accounts", Fields: []connector.Field{
					{To: "name", From: payer(".company", ".id")},
					{To: "join_date", From: ".created_at | time"}, {To: "billing_account_id", From: ".id", Attach: true}, {To: "phone", From: ".phone"}, {To: "website", From: ".website"},
				}},
				{Family: "account_contacts", When: `(.email // "") != ""`, Fields: []connector.Field{
					{To: "user_id", From: ".id"}, {To: "first_name", From: first(".first_name; .last_name; null; .email")}, {To: "last_name", From: last(".first_name; .last_name; null; .email")},
					{To: "email", From: ".email | email"}, {To: "phone", From: ".phone"}, {To: "is_primary", From: "true"},
				}},
			},
		},
		{
			// By its payment method a customer is found of whom a subscription has no
			// transaction yet.
			Name: "payment_methods", Title: "Payment methods", Passing: true, ID: ".token", Keep: "{customer}",
			Account: []connector.Route{{Via: "customers", Key: ".customer"}},
			Fetch: func(ctx context.Context, s *connector.Session, w connector.Window, at any) ([]any, any, error) {
				customers, next, err := braintreeSearch("customers", "created_at")(ctx, s, w, at)
				var methods []any
				for _, c := range customers {
					customer, _ := c.(map[string]any)
					known := map[any]bool{} // lists of one kind, and one of all
					for _, name := range slices.Sorted(maps.Keys(customer)) {
						list, _ := customer[name].([]any)
						for _, m := range list {
							method, _ := m.(map[string]any)
							if token, ok := method["token"].(string); ok && name != "transactions" && !known[token] {
								known[token] = true
								methods = append(methods, map[string]any{"token": token, "customer": customer["id"]})
							}
						}
					}
				}
				return methods, next, err
			},
		},
		{
			Name: "subscriptions", Title: "Subscriptions", Passing: true, ID: ".id", Label: ".id", Currency: ".plan.currency",
			Fetch:   braintreeSearch("subscriptions", "created_at"),
			Account: []connector.Route{{Via: "customers", Key: "first(.transactions[]?.customer.id? // empty) // null"}, {Via: "payment_methods", Key: ".payment_method_token"}},
			Joins:   []connector.Join{{As: "plan", Stream: "plans", Key: ".plan_id"}},
			Feeds: []connector.Feed{{Family: "subscriptions", When: `.status != "Pending" or .first_billing_date != null`, Fields: []connector.Field{
				{To: "subscription_id", From: ".id"}, {To: "event", From: `"current"`},
				{To: "effective_start_date", From: "if .first_billing_date then .first_billing_date | date else .created_at | time end"},
				// The last day of a period is part of it.
				{To: "effective_end_date", From: `if .status == "Expired" and .billing_period_end_date then (.billing_period_end_date | date) + 86400000 elif .status == "Expired" or .status == "Canceled" then .updated_at | time else null end`},
				// The price leaves out add-ons and discounts.
				{To: "total_revenue", From: `major((if .next_billing_period_amount and .status != "Canceled" and .status != "Expired" then .next_billing_period_amount else .price end); .plan.currency // error("the currency of the subscription's plan is not known"))`},
				{To: "cycle_unit", From: `"month"`}, {To: "cycle_length", From: `.plan.months // error("the plan of the subscription is not known")`},
				// What is billed first is no renewal.
				{To: "next_renewal_date", From: `if (.status | IN("Canceled", "Expired")) or (.next_billing_date // "") <= (.first_billing_date // "") then null else .next_billing_date | date end`},
				{To: "plan_code", From: ".plan_id"},
			}}},
		},
		{
			// There are no invoices: a transaction is a statement. Which have changed is
			// told by the dates of their states.
			Name: "transactions", Title: "Transactions", Incremental: true, Overlap: time.Hour, ID: ".id", Label: ".id", Deleted: `.status == "voided"`, Currency: ".currency_iso_code",
			Doc: "The first reading begins with the setting 'since'. That a settlement was declined later, or an authorization has expired, is not told by a date.",
			Fetch: braintreeSearch("transactions", "created_at", "authorized_at", "submitted_for_settlement_at", "settled_at", "voided_at", "failed_at",
				"processor_declined_at", "gateway_rejected_at"),
			Account: []connector.Route{{Via: "customers", Key: ".customer.id?"}},
			Feeds: []connector.Feed{{Family: "statements", When: `.status != "voided"`, Fields: []connector.Field{
				{To: "invoice_id", From: ".id"}, {To: "start_date", From: ".created_at | time"},
				{To: "paid_date", From: `if .status == "settled" then first(.status_history[]? | select(.status == "settled") | .timestamp) // .updated_at | time else null end`},
				{To: "is_failed", From: `.status | IN("failed", "processor_declined", "gateway_rejected", "settlement_declined", "authorization_expired")`},
				{To: "line_items", From: `[{amount: (major(.amount; .currency_iso_code) * (if .type == "credit" then -1 else 1 end)), is_recurring: (.recurring == true or .subscription_id != null), description: (.plan_id // .order_id)}]`},
			}}},
		},
	},
}

// braintreeAt is where a search has come to.
type braintreeAt struct {
	// Date is which of the dates is searched.
	Date int `json:"date"`
	// From and Span are the period, and Until is where the last one ends: unix seconds.
	From  int64 `json:"from"`
	Span  int64 `json:"span"`
	Until int64 `json:"until"`
	// After is the last id of the period that has been read, in the order of texts.
	After string `json:"after,omitempty"`
}

// braintreeSearch reads a list by the gateway's two steps: a search yields the ids of
// all that meet some criteria, and then the same criteria with some of the ids yield
// these. The criteria are periods of the dates, one after the other, since a search has
// so many results at most, and takes so long. All records have the first date, which
// suffices where no changes are asked for.
func braintreeSearch(path string, dates ...string) func(context.Context, *connector.Session, connector.Window, any) ([]any, any, error) {
	return func(ctx context.Context, s *connector.Session, w connector.Window, given any) ([]any, any, error) {
		begin := func(date int) (braintreeAt, error) {
			at := braintreeAt{Date: date, Span: braintreeDay, Until: s.Now().Unix()}
			if w.Since != nil {
				at.From = *w.Since / 1000
				return at, nil
			}
			day := braintreeFounded
			if len(dates) > 1 && s.Settings["since"] != "" {
				day = s.Settings["since"]
			}
			since, err := time.Parse(time.DateOnly, day)
			if err != nil {
				return at, fmt.Errorf("%w: the setting 'since' is no date", connector.ErrRefused)
			}
			at.From = since.Unix()
			return at, nil
		}
		at, err := begin(0)
		if err == nil && given != nil {
			text, failed := json.Marshal(given)
			if err = failed; err == nil {
				err = json.Unmarshal(text, &at)
			}
			if err == nil && (at.Date < 0 || at.Date >= len(dates) || at.Span <= 0) {
				err = fmt.Errorf("%w: the search cannot be gone on with", connector.ErrAnswer)
			}
		}
		if err != nil {
			return nil, nil, err
		}
		dated := dates
		if w.Since == nil {
			dated = dates[:1]
		}
		moment := func(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
		criteria := fmt.Sprintf(`<%[1]s><min type="datetime">%[2]s</min><max type="datetime">%[3]s</max></%[1]s>`, dated[at.Date], moment(at.From), moment(at.From+at.Span))

		ids, size, err := braintreeIDs(ctx, s, path, criteria)
		if err != nil {
			return nil, nil, err
		}
		if ids == nil || len(ids) >= braintreeMost {
			if at.Span <= braintreeShortest {
				return nil, nil, fmt.Errorf("%w: the %s of a minute are too many, or the search for them takes too long", connector.ErrAnswer, path)
			}
			at.Span /= 2
			return nil, at, nil
		}
		// What is created or deleted meanwhile moves none of the others.
		slices.Sort(ids)
		rest := ids[sort.Search(len(ids), func(i int) bool { return ids[i] > at.After }):]
		var records []any
		for range braintreeBatches {
			some := rest[:min(size, len(rest))]
			if len(some) == 0 {
				break
			}
			found, err := braintreeRecords(ctx, s, path, criteria, some)
			if err != nil {
				return nil, nil, err
			}
			records = append(records, found...)
			rest, at.After = rest[len(some):], some[len(some)-1]
		}
		if len(rest) > 0 {
			return records, at, nil
		}
		at.From, at.After = at.From+at.Span, ""
		if len(ids) < braintreeFew {
			at.Span = min(2*at.Span, braintreeYear)
		}
		if at.From < at.Until {
			return records, at, nil
		}
		if at.Date+1 == len(dated) {
			return records, nil, nil
		}
		until := at.Until
		at, err = begin(at.Date + 1)
		at.Until = until
		return records, at, err
	}
}

// braintreeIDs returns the ids of all that meet some criteria, and how many of them
// may be read at once. A search that takes too long has no ids: nil.
func braintreeIDs(ctx context.Context, s *connector.Session, path, criteria string) (ids []string, size int, err error) {
	found, err := braintreePost(ctx, s, "/"+path+"/advanced_search_ids", criteria)
	if err != nil || found == nil {
		return nil, 0, err
	}
	results, _ := found["search_results"].(map[string]any)
	list, ok := results["ids"].([]any)
	if !ok {
		return nil, 0, nil
	}
	ids = []string{}
	for _, v := range list {
		id, ok := v.(string)
		if !ok || id == "" {
			return nil, 0, fmt.Errorf("%w: an id of the search is none", connector.ErrAnswer)
		}
		ids = append(ids, id)
	}
	if number, ok := results["page_size"].(json.Number); ok {
		size, _ = strconv.Atoi(number.String())
	}
	if size < 1 {
		return nil, 0, fmt.Errorf("%w: the search does not say how many records may be read at once", connector.ErrAnswer)
	}
	return ids, size, nil
}

// braintreeRecords returns those of the records that meet some criteria which have
// some ids.
func braintreeRecords(ctx context.Context, s *connector.Session, path, criteria string, ids []string) ([]any, error) {
	var list strings.Builder
	for _, id := range ids {
		list.WriteString("<item>")
		if err := xml.EscapeText(&list, []byte(id)); err != nil {
			return nil, err
		}
		list.WriteString("</item>")
	}
	found, err := braintreePost(ctx, s, "/"+path+"/advanced_search", criteria+`<ids type="array">`+list.String()+"</ids>")
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("%w: a search for few records has taken too long", connector.ErrUnavailable)
	}
	root := path
	if path == "transactions" {
		root = "credit_card_transactions"
	}
	listed, ok := found[root]
	if !ok {
		return nil, fmt.Errorf("%w: there are no %s in it", connector.ErrAnswer, root)
	}
	// Among the records, or beside them, stands what tells of the page.
	var records []any
	var take func(v any)
	take = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			records = append(records, v)
		case []any:
			for _, member := range v {
				take(member)
			}
		}
	}
	if object, ok := listed.(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(object)) {
			take(object[name])
		}
	} else {
		take(listed)
	}
	return records, nil
}

// braintreePost sends a search, and returns its answer; nil if it took too long.
func braintreePost(ctx context.Context, s *connector.Session, path, criteria string) (map[string]any, error) {
	answer, err := s.Call(ctx, connector.Call{Method: http.MethodPost, Path: path, Header: http.Header{"Content-Type": {"application/xml"}}, Body: []byte("<search>" + criteria + "</search>")})
	switch {
	case errors.Is(err, connector.ErrUnavailable) && answer != nil && answer.Status == http.StatusRequestTimeout:
		return nil, nil
	case err != nil:
		return nil, err
	case answer.Status == http.StatusNotFound:
		return nil, fmt.Errorf("%w: the merchant is not found (404)", connector.ErrRefused)
	}
	v, err := braintreeXML(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", connector.ErrAnswer, err)
	}
	return v.(map[string]any), nil
}

// braintreeXML returns what an XML document says as JSON values: types are those of
// the attributes, dashes are underscores, and what is there several times is a list.
func braintreeXML(body []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("it is no XML: %w", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			v, err := braintreeElement(d, start, 1)
			if err != nil {
				return nil, fmt.Errorf("it is no XML: %w", err)
			}
			return map[string]any{braintreeName(start): v}, nil
		}
	}
}

func braintreeName(start xml.StartElement) string {
	return strings.ReplaceAll(start.Name.Local, "-", "_")
}

// braintreeElement returns the value of an element that has begun.
func braintreeElement(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	const deepest = 100
	if depth > deepest {
		return nil, fmt.Errorf("elements lie more than %d deep", deepest)
	}
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
	var names []string
	var members []any
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			v, err := braintreeElement(d, token, depth+1)
			if err != nil {
				return nil, err
			}
			names, members = append(names, braintreeName(token)), append(members, v)
			continue
		case xml.CharData:
			text.Write(token)
			continue
		case xml.EndElement:
		default:
			continue
		}
		said := strings.TrimSpace(text.String())
		switch {
		case null:
			return nil, nil
		case kind == "array", kind == "collection":
			if members == nil {
				members = []any{} // an empty list is one
			}
			return members, nil
		case len(members) > 0:
			return braintreeObject(names, members), nil
		case kind == "integer":
			if _, err := strconv.ParseInt(said, 10, 64); err != nil {
				return nil, fmt.Errorf("%s is no whole number", start.Name.Local)
			}
			return json.Number(said), nil
		case kind == "boolean":
			return said == "true", nil
		}
		return said, nil
	}
}

// braintreeObject makes an object of named members; those of one name are a list.
func braintreeObject(names []string, members []any) map[string]any {
	object, times := map[string]any{}, map[string]int{}
	for i, name := range names {
		switch times[name]++; times[name] {
		case 1:
			object[name] = members[i]
		case 2:
			object[name] = []any{object[name], members[i]}
		default:
			object[name] = append(object[name].([]any), members[i])
		}
	}
	return object
}
