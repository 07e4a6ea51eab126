package people_test

import (
	"testing"

	"tenure/core"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/schema"
)

var families = []*resource.Family{people.Users, people.Contacts}

// person returns a record of f from JSON.
func person(t *testing.T, f *resource.Family, old schema.Record, patch string) (schema.Record, *core.Failure) {
	t.Helper()
	p, failure := f.Schema.Decode([]byte(patch), true)
	if failure != nil {
		return nil, failure
	}
	return f.Schema.Merge(old, p)
}

const ada = `{"account_id":"a","user_id":"u","first_name":"A","last_name":"B"`

func TestInactivePeopleAreHiddenUntilTheyAreActiveAgain(t *testing.T) {
	for _, f := range families {
		r, failure := person(t, f, nil, ada+`}`)
		if failure != nil || f.HiddenFrom(r) != 0 {
			t.Fatalf("%s: a new person is hidden from %d, %v", f.Schema.Name, f.HiddenFrom(r), failure)
		}
		patch := f.Deactivate(resource.Deactivation{})
		patch[f.ID], patch[f.Account] = schema.Text("u"), schema.Text("a")
		gone, failure := f.Schema.Merge(r, patch)
		if failure != nil || f.HiddenFrom(gone) != 1 {
			t.Errorf("%s: a deactivated person is hidden from %d, %v", f.Schema.Name, f.HiddenFrom(gone), failure)
		}
		for _, again := range []string{`true`, `null`} { // null restores the default (Q8)
			back, failure := person(t, f, gone, `{"account_id":"a","user_id":"u","is_active":`+again+`}`)
			if failure != nil || f.HiddenFrom(back) != 0 {
				t.Errorf("%s: is_active %s leaves it hidden from %d, %v", f.Schema.Name, again, f.HiddenFrom(back), failure)
			}
		}
	}
}

func TestOnlyContactsNeedAValueForADimension(t *testing.T) {
	for _, dimension := range []string{
		`"custom_label_dimensions":[{"key":"k","value":null}]`,
		`"custom_value_dimensions":[{"key":"k"}]`,
		`"custom_event_dimensions":[{"key":"k","value":null}]`,
	} {
		if _, failure := person(t, people.Users, nil, ada+`,`+dimension+`}`); failure != nil {
			t.Errorf("user: %s: %v", dimension, failure)
		}
		if _, failure := person(t, people.Contacts, nil, ada+`,`+dimension+`}`); failure == nil || failure.Code != core.MissingField {
			t.Errorf("contact: %s: %+v, want a missing value", dimension, failure)
		}
	}
}

func TestRemoveDimensionsTakesEveryKind(t *testing.T) {
	for _, f := range families {
		old, failure := person(t, f, nil, ada+`,"custom_label_dimensions":[{"key":"k","value":"x"},{"key":"other","value":"y"}],
			"custom_value_dimensions":[{"key":"k","value":1}],"custom_event_dimensions":[{"key":"k","value":2}]}`)
		if failure != nil {
			t.Fatal(failure)
		}
		before := string(f.Schema.AppendStored(nil, old))
		for key, left := range map[string]string{
			"k":       `{"user_id":"u","account_id":"a","first_name":"A","last_name":"B","custom_label_dimensions":[["other","y"]]}`,
			"nothing": before,
		} {
			r, failure := people.RemoveDimensions(f, &key)(old)
			if got := string(f.Schema.AppendStored(nil, r)); failure != nil || got != left {
				t.Errorf("%s without %s: %s, %v; want %s", f.Schema.Name, key, got, failure, left)
			}
		}
		r, _ := people.RemoveDimensions(f, nil)(old)
		if got := string(f.Schema.AppendStored(nil, r)); got != `{"user_id":"u","account_id":"a","first_name":"A","last_name":"B"}` {
			t.Errorf("%s without dimensions: %s", f.Schema.Name, got)
		}
		if string(f.Schema.AppendStored(nil, old)) != before {
			t.Errorf("%s: the edit changed the record it was given", f.Schema.Name)
		}
	}
}

func TestBothSpellingsOfTheCountryAreOneField(t *testing.T) {
	for _, f := range families {
		r, failure := person(t, f, nil, ada+`,"maling_country":"Chile"}`)
		if failure != nil || r[f.Schema.Ordinal("mailing_country")].Text() != "Chile" {
			t.Errorf("%s: %q, %v", f.Schema.Name, r, failure)
		}
	}
}
