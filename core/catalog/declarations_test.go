package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tenure/core/catalog"
	"tenure/core/schema"
)

// The rows below are copied by hand from the tables "Bulk insert/modify …" of
// the API document, one for each field: its name, its type with length and
// range, and when it is required (insert/modify). A field that the document
// has and a declaration lacks, or the other way round, fails the test, and so
// does any other difference, but for the deviations that the contract decides,
// which stand here with its number. Times are the document's "long, epoch
// milliseconds".
var documented = map[string]string{
	"accounts": `
		account_id                    id(256)       yes/yes
		name                          string(512)   yes/no
		join_date                     time          yes/no
		renewal_date                  time          no/no
		billing_account_id            id(256)       no/no
		support_account_id            id(256)       no/no
		crm_account_id                id(256)       no/no
		billing_street                string(256)   no/no
		billing_city                  string(80)    no/no
		billing_postal_code           string(80)    no/no
		billing_state                 string(80)    no/no
		billing_country               string(256)   no/no
		phone                         string(80)    no/no
		employees                     integer       no/no
		industry                      string(80)    no/no
		tier                          string(80)    no/no
		csm_score                     integer[0,100]     no/no
		current_nps_score             integer[-100,100]  no/no
		sales_rep_name                string(256)   no/no
		sales_rep_email               string(256)   no/no
		source                        string(80)    no/no
		stage                         string(80)    no/no
		website                       string(512)   no/no
		description                   string(512)   no/no
		is_deleted                    boolean=false no/no
		is_churned                    boolean=false no/no
		inactive_time                 time          no/no
		inactive_reason               string(512)   no/no
		parent_account_id             id(256)       no/no
		hierarchy_label               string(80)    no/no
		latest_status_title           string(80)    no/no
		latest_status_details         string(8192)  no/no
		latest_status_date            time          no/no
		assigned_csms                 array=strings no/no
		assigned_csms.email           string(256)   yes/yes
		custom_label_dimensions       array=object  no/no
		custom_label_dimensions.key   string(256)   yes/yes
		custom_label_dimensions.value label(256)    no/no
		custom_value_dimensions       array=object  no/no
		custom_value_dimensions.key   string(256)   yes/yes
		custom_value_dimensions.value double        no/no
		custom_event_dimensions       array=object  no/no
		custom_event_dimensions.key   string(256)   yes/yes
		custom_event_dimensions.value time          no/no
		documents                     array         no/no
		documents.name                string(80)    yes/yes
		documents.url                 string(512)   yes/no
		documents.description         string(80)    no/no
		stage_history                 array         no/no
		stage_history.name            string(80)    yes/yes
		stage_history.start_date      time          yes/yes
		stage_history.end_date        time          no/no
		nps_history                   array         no/no
		nps_history.nps_score         long[-100,100]  yes/yes
		nps_history.date              time          yes/yes
		nps_history.username          string(128)   no/no
		nps_history.comments          string(4096)  no/no
		is_active                     boolean=true  read-only
		current_stage                 string        read-only
		current_mrr                   long          read-only
		current_health_score          integer       read-only
		revenue_schedule              array         internal
		revenue_schedule.from         time          no/no
		revenue_schedule.current_mrr  long          no/no
		revenue_schedule.renewal_date time          no/no`,

	"account_users": `
		account_id                    id(256)       yes/yes
		user_id                       id(256)       yes/yes
		first_name                    string(80)    yes/no
		last_name                     string(80)    yes/no
		is_primary                    boolean=false no/no
		product_join_date             time=now      no/no
		contact_user_id               id(256)       no/no
		phone                         string(80)    no/no
		mobile_phone                  string(80)    no/no
		email                         string(512)   no/no
		salutation                    string(80)    no/no
		title                         string(128)   no/no
		role                          string(128)   no/no
		department                    string(128)   no/no
		lead_source                   string(80)    no/no
		mailing_street                string(512)   no/no
		mailing_city                  string(80)    no/no
		mailing_state                 string(80)    no/no
		mailing_postal_code           string(80)    no/no
		mailing_country|maling_country  string(80)  no/no
		source                        string(80)    no/no
		is_active                     boolean=true  no/no
		custom_label_dimensions       array         no/no
		custom_label_dimensions.key   string(256)   yes/yes
		custom_label_dimensions.value label(256)    no/no
		custom_value_dimensions       array         no/no
		custom_value_dimensions.key   string(256)   yes/yes
		custom_value_dimensions.value double        no/no
		custom_event_dimensions       array         no/no
		custom_event_dimensions.key   string(256)   yes/yes
		custom_event_dimensions.value time          no/no`,

	"account_contacts": `
		account_id                    id(256)       yes/yes
		user_id                       id(256)       yes/yes
		first_name                    string(80)    yes/no
		last_name                     string(80)    yes/no
		is_primary                    boolean=false no/no
		phone                         string(80)    no/no
		mobile_phone                  string(80)    no/no
		email                         string(512)   no/no
		salutation                    string(80)    no/no
		title                         string(128)   no/no
		role                          string(128)   no/no
		department                    string(128)   no/no
		lead_source                   string(80)    no/no
		mailing_street                string(512)   no/no
		mailing_city                  string(80)    no/no
		mailing_state                 string(80)    no/no
		mailing_postal_code           string(80)    no/no
		mailing_country|maling_country  string(80)  no/no
		source                        string(80)    no/no
		is_active                     boolean=true  no/no
		custom_label_dimensions       array         no/no
		custom_label_dimensions.key   string(256)   yes/yes
		custom_label_dimensions.value label(256)    yes/yes
		custom_value_dimensions       array         no/no
		custom_value_dimensions.key   string(256)   yes/yes
		custom_value_dimensions.value double        yes/yes
		custom_event_dimensions       array         no/no
		custom_event_dimensions.key   string(256)   yes/yes
		custom_event_dimensions.value time          yes/yes`,

	"metrics": `
		account_id                    id(256)       yes/yes
		name                          string(128)   yes/yes
		metrics                       array         yes/yes
		metrics.timestamp             time          yes/yes
		metrics.value                 double        yes/yes`,

	"subscriptions": `
		account_id                    id(256)       yes/yes
		subscription_id               id(128)       yes/yes
		effective_start_date          time[-8640000000000000,8640000000000000]  yes/yes  event
		effective_end_date            time[-8640000000000000,8640000000000000]  no/no    event
		event                         string(80){end,renewal,revenue,current}   yes/yes  event
		total_revenue                 long          no/no  event
		cycle_unit                    string(80){day,month,year}                no/no    event
		cycle_length                  integer       no/no  event
		next_renewal_date             time[-8640000000000000,8640000000000000]  no/no    event
		previous_renewal_date         time[-8640000000000000,8640000000000000]  no/no    event
		plan_code                     string(128)   no/no  event
		source                        string(80)    no/no  event
		custom_dimensions             array=object  no/no
		custom_dimensions.key         string(256)   yes/yes
		custom_dimensions.value       label(256)    no/no
		start_date                    time          internal
		records                       array         read-only
		records.start_date            time          read-only
		records.end_date              time          read-only
		records.is_end                boolean=false read-only
		records.is_renewal            boolean=false read-only
		records.expiration_date       time          read-only
		records.previous_renewal_date time          read-only
		records.plan_code             string        read-only
		records.total_revenue         long          read-only
		records.cycle_unit            string        read-only
		records.cycle_length          integer       read-only
		records.source                string        read-only`,

	"statements": `
		account_id                    id(256)       yes/yes
		invoice_id                    id(128)       yes/yes
		start_date                    time          yes/no
		paid_date                     time          no/no
		due_date                      time          no/no
		is_failed                     boolean=false no/no
		recurring                     long          no/no
		non_recurring                 long          no/no
		transactions                  array         no/no
		transactions.tx_id            id(128)       yes/yes
		transactions.paid_amount      long          yes/yes
		transactions.paid_date        time          yes/yes
		line_items                    array         no/no
		line_items.amount             long          yes/yes
		line_items.is_recurring       boolean       yes/yes
		line_items.description        string(4096)  no/no
		source                        string(80)    no/no
		paid_amount                   long          read-only`,

	"support_tickets": `
		ticket_id                     id(80)        yes/yes
		account_id                    id(256)       yes/yes
		state                         string(80)    yes/no
		subject                       string(128)   yes/no
		create_time                   time          yes/no
		type                          string(80)    no/no
		close_time                    time          no/no
		priority                      string(80)    no/no
		assignee_id                   id(128)       no/no
		assignee_email                string(128)   no/no
		description                   string(8192)  no/no
		source                        string(80)    no/no
		csat_label                    string(80)    no/no
		csat_value                    long          no/no
		last_update_time              time          no/no`,

	"interactions": `
		id                            long          no/no
		external_id                   id(80)        no/no
		account_id                    id(256)       yes/yes
		type                          string(80)    yes/no
		create_time                   time          yes/no
		rep_email                     string(80)    no/no
		rep_first_name                string(80)    no/no
		rep_last_name                 string(80)    no/no
		user_id                       id(80)        no/no
		user                          string(80)    no/no
		details                       string(262144)  no/no
		subject                       string(128)   no/no
		source                        string(80)    no/no
		is_html                       boolean=false no/no
		modify_time                   time          read-only`,

	"notes": `
		id                            long          no/no
		external_id                   id(80)        no/no
		account_id                    id(256)       yes/yes
		create_time                   time          yes/no
		rep_email                     string(80)    no/no
		editor_first_name             string(80)    no/no
		editor_last_name              string(80)    no/no
		note                          string(32768) no/no
		subject                       string(512)   no/no
		source                        string(80)    no/no
		is_html                       boolean=false no/no
		modify_time                   time          read-only`,
}

// Where the rows deviate from the document's:
//
//   - Every id is typed id, a string that may be given as a number; the values
//     of label dimensions likewise (P14).
//   - product_join_date is "yes / no" with a default, so not required (Q9).
//   - "yes / no update" of stage_history and nps_history marks what identifies
//     an entry, so it is needed whenever one is given. end_date is "yes / no
//     update" and by its description left out of the current stage. username
//     is optional and identifies (A3, A4).
//   - assigned_csms.email has no row; it is all that an entry consists of. Its
//     length is that of sales_rep_email.
//   - The range of nps_history.nps_score is that of current_nps_score (A4).
//   - The read-only fields are those that the responses show and no request sets.
//   - maling_country is accepted, and returned as mailing_country (U2).
//   - Booleans not given read as their defaults; is_html of notes has none in
//     the document, and is false unless given, as an interaction's.
//   - Choices stand in braces, the form in which a list is returned behind =:
//     dimensions of an account and of a subscription are an object, assigned_csms
//     an array of texts (A1, Q20).
//   - "internal" fields are neither taken nor returned. Those marked "event" say
//     what happened to a subscription and are returned as its records instead (S2).
//   - total_revenue, cycle_unit and cycle_length are "required if event not
//     'end'", which is for the merge to say. Instants of a subscription lie within
//     100 million days of the epoch.
//   - paid_amount, modify_time and records are what reads add (I1, N1, S2).

func TestFamiliesDeclareWhatTheDocumentSays(t *testing.T) {
	for _, f := range catalog.All() {
		t.Run(f.Schema.Name, func(t *testing.T) {
			got := rows("", f.Schema.Fields)
			var want []string
			for line := range strings.Lines(documented[f.Schema.Name]) {
				if words := strings.Fields(line); len(words) > 0 {
					want = append(want, strings.Join(words, " "))
				}
			}
			for _, row := range want {
				if !slices.Contains(got, row) {
					t.Errorf("the document says %q; the declaration does not", row)
				}
			}
			for _, row := range got {
				if !slices.Contains(want, row) {
					t.Errorf("the declaration says %q; the document does not", row)
				}
			}
		})
	}
}

// rows writes declared fields as the rows above have them.
func rows(parent string, fields []schema.Field) []string {
	types := map[schema.Type]string{
		schema.String: "string", schema.ID: "id", schema.Label: "label", schema.Integer: "integer",
		schema.Long: "long", schema.Time: "time", schema.Double: "double", schema.Boolean: "boolean", schema.List: "array",
	}
	required := map[schema.Requirement]string{
		schema.Optional: "no/no", schema.OnInsert: "yes/no", schema.Always: "yes/yes",
	}
	forms := map[schema.Form]string{schema.Map: "=object", schema.Strings: "=strings"}
	var all []string
	for _, f := range fields {
		name, typ, need := parent+f.Name, types[f.Type], required[f.Required]
		if f.Alias != "" {
			name += "|" + f.Alias
		}
		if f.MaxLen > 0 {
			typ += fmt.Sprintf("(%d)", f.MaxLen)
		}
		if f.Range != nil {
			typ += fmt.Sprintf("[%d,%d]", f.Range.Min, f.Range.Max)
		}
		if len(f.Choices) > 0 {
			typ += "{" + strings.Join(f.Choices, ",") + "}"
		}
		if f.Default != "" {
			typ += "=" + f.Default
		}
		if f.Type == schema.List {
			typ += forms[f.Form]
		}
		switch {
		case f.ReadOnly && f.Shown == schema.Never:
			need = "internal"
		case f.ReadOnly:
			need = "read-only"
		case f.Shown == schema.Never:
			need += " event"
		}
		all = append(all, name+" "+typ+" "+need)
		all = append(all, rows(f.Name+".", f.Sub)...)
	}
	return all
}

func TestListsOfEntriesMergeByTheirKeys(t *testing.T) {
	keys := map[string]string{
		"accounts.assigned_csms": "email", "accounts.documents": "name", "accounts.nps_history": "date,username",
		"accounts.stage_history": "start_date,name", "accounts.revenue_schedule": "from",
		"metrics.metrics": "timestamp", "subscriptions.records": "start_date", "subscriptions.custom_dimensions": "key",
		"statements.transactions": "tx_id",
		"statements.line_items":   "", // any given replace all older ones
	}
	for _, family := range []string{"accounts", "account_users", "account_contacts"} {
		for _, kind := range []string{"label", "value", "event"} {
			keys[family+".custom_"+kind+"_dimensions"] = "key"
		}
	}
	for _, f := range catalog.All() {
		for _, field := range f.Schema.Fields {
			if field.Type != schema.List {
				continue
			}
			name := f.Schema.Name + "." + field.Name
			want, known := keys[name]
			if got := strings.Join(field.Key, ","); !known || got != want {
				t.Errorf("%s merges by %q, want %q (known: %t)", name, got, want, known)
			}
			delete(keys, name)
		}
	}
	for name := range keys {
		t.Errorf("there is no list %s", name)
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	for _, f := range catalog.All() {
		for _, field := range f.Schema.Fields {
			for _, one := range append([]schema.Field{field}, field.Sub...) {
				if one.Doc == "" {
					t.Errorf("%s: %s has no description", f.Schema.Name, one.Name)
				}
			}
		}
	}
}

func TestListsCanBeOrderedAsDocumented(t *testing.T) {
	for _, f := range catalog.All() {
		want, listed := map[string]string{
			"accounts":         "account_id name join_date",
			"account_users":    "user_id account_id",
			"account_contacts": "user_id account_id",
			"metrics":          "name",
			"subscriptions":    "start_date subscription_id",
			"statements":       "", // listed by account alone
			"support_tickets":  "",
			"interactions":     "id",
			"notes":            "id",
		}[f.Schema.Name]
		if got := strings.Join(f.OrderNames(), " "); !listed || got != want {
			t.Errorf("%s: orders %q, want %q (the first is the default)", f.Schema.Name, got, want)
		}
	}
}

func TestAnAccountsListsAreOrderedAsDocumented(t *testing.T) {
	for _, f := range catalog.All() {
		want, documented := map[string]string{
			"account_users": "user_id", "account_contacts": "user_id", "statements": "start_date", "support_tickets": "create_time",
		}[f.Schema.Name]
		if got := f.Schema.Fields[f.OfAccountOrder].Name; documented && got != want {
			t.Errorf("%s of an account are ordered by %s, want %s", f.Schema.Name, got, want)
		}
	}
}
