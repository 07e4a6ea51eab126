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
		assigned_csms                 array         no/no
		assigned_csms.email           string(256)   yes/yes
		custom_label_dimensions       array         no/no
		custom_label_dimensions.key   string(256)   yes/yes
		custom_label_dimensions.value label(256)    no/no
		custom_value_dimensions       array         no/no
		custom_value_dimensions.key   string(256)   yes/yes
		custom_value_dimensions.value double        no/no
		custom_event_dimensions       array         no/no
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
		current_health_score          integer       read-only`,

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
//   - Booleans not given read as their defaults.

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
		if f.Default != "" {
			typ += "=" + f.Default
		}
		if f.ReadOnly {
			need = "read-only"
		}
		all = append(all, name+" "+typ+" "+need)
		all = append(all, rows(f.Name+".", f.Sub)...)
	}
	return all
}

func TestListsOfEntriesMergeByTheirKeys(t *testing.T) {
	keys := map[string]string{
		"assigned_csms": "email", "documents": "name", "nps_history": "date,username", "stage_history": "start_date,name",
		"custom_label_dimensions": "key", "custom_value_dimensions": "key", "custom_event_dimensions": "key",
	}
	for _, f := range catalog.All() {
		for _, field := range f.Schema.Fields {
			if field.Type == schema.List && strings.Join(field.Key, ",") != keys[field.Name] {
				t.Errorf("%s.%s merges by %q, want %s", f.Schema.Name, field.Name, field.Key, keys[field.Name])
			}
		}
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
	for name, want := range map[string]string{
		"accounts":         "account_id name join_date",
		"account_users":    "user_id account_id",
		"account_contacts": "user_id account_id",
	} {
		for _, f := range catalog.All() {
			if f.Schema.Name == name && strings.Join(f.OrderNames(), " ") != want {
				t.Errorf("%s: orders %q, want %s (the first is the default)", name, f.OrderNames(), want)
			}
		}
	}
}
