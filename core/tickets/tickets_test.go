package tickets_test

import (
	"strings"
	"testing"

	"tenure/core"
	"tenure/core/schema"
	"tenure/core/tickets"
)

// ticket lays a patch, the members of an object, over a ticket.
func ticket(old schema.Record, members string) (schema.Record, *core.Failure) {
	object := []byte(`{` + members + `}`)
	if err := schema.Valid(object); err != nil {
		panic(err)
	}
	p, failure := tickets.Family.Schema.Decode(object, true)
	if failure != nil {
		return nil, failure
	}
	return tickets.Family.Schema.Merge(old, p)
}

const (
	whose = `"ticket_id":"t","account_id":"a"`
	whole = whose + `,"state":"open","subject":"s","create_time":1`
)

func TestTicketsNeedWhatTheDocumentSays(t *testing.T) {
	old, failure := ticket(nil, whole)
	if failure != nil {
		t.Fatal(failure)
	}
	for _, c := range []struct {
		old     schema.Record
		members string
		field   string // that is missing; "" for none
	}{
		{nil, whole, ""},
		{nil, strings.Replace(whole, `"state":"open",`, "", 1), "state"},
		{nil, strings.Replace(whole, `"subject":"s",`, "", 1), "subject"},
		{nil, strings.Replace(whole, `,"create_time":1`, "", 1), "create_time"},
		{nil, strings.Replace(whole, `,"account_id":"a"`, "", 1), "account_id"},
		{nil, strings.Replace(whole, `"ticket_id":"t",`, "", 1), "ticket_id"},
		{old, whose, ""},
		{old, whose + `,"close_time":5,"csat_value":-9223372036854775808`, ""},
		{old, `"ticket_id":"t"`, "account_id"},
		{old, whose + `,"state":""`, "state"}, // Q8
		{old, whose + `,"subject":null`, "subject"},
		{old, whose + `,"create_time":null`, "create_time"},
	} {
		_, failure := ticket(c.old, c.members)
		switch {
		case c.field == "" && failure != nil:
			t.Errorf("%s: %v", c.members, failure)
		case c.field != "" && (failure == nil || failure.Code != core.MissingField || failure.Field != c.field):
			t.Errorf("%s: %+v, want %s missing", c.members, failure, c.field)
		}
	}
}

func TestTicketsReadBackAsTheyWereGiven(t *testing.T) {
	r, failure := ticket(nil, whole+`,"assignee_id":45493,"close_time":2,"csat_label":"happy","csat_value":9223372036854775807`)
	if failure == nil {
		r, failure = ticket(r, whose+`,"close_time":null,"csat_label":"","priority":"low"`)
	}
	if failure != nil {
		t.Fatal(failure)
	}
	s := tickets.Family.Schema
	want := `{"ticket_id":"t","account_id":"a","assignee_id":"45493","assignee_email":null,"type":null,"state":"open","priority":"low",` +
		`"create_time":1,"close_time":null,"last_update_time":null,"subject":"s","description":null,"csat_label":null,` +
		`"csat_value":9223372036854775807,"source":null}`
	if got := string(s.AppendObject(nil, r, s.All())); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
