package console_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/identity"
	"tenure/core/sources"
)

func TestWhereTheAccountIDIsIsChosenInTheConsole(t *testing.T) {
	w := newWorld(t)
	path := w.billing("acme")
	id := strings.TrimPrefix(path, "/sources/")
	stored := func() *sources.Source {
		t.Helper()
		s, err := w.sources.Get(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	b := w.as("acme", "ann@example.com", identity.Admin)
	before := stored()
	locations := w.sources.Connector(before.Connector).Locations
	other := locations[len(locations)-1]
	if other.Name == before.Location {
		t.Fatal("the connector has one location only")
	}
	b.get(path+"/mapping").shows(t, "Mapping of Billing acme", other.Title, "in use", "The System of Record")

	a := b.post(path+"/mapping", url.Values{"location": {"nowhere"}, "system_of_record": {"1"}})
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="location-refused"`) || !strings.Contains(a.body, `value="1" checked`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if s := stored(); s.Location != before.Location || s.SystemOfRecord {
		t.Errorf("what was refused is stored: %+v", s)
	}
	if a := b.post(path+"/mapping", url.Values{"location": {other.Name}}); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if s := stored(); s.Location != other.Name {
		t.Errorf("%+v", s)
	}
	if a := b.post(path+"/mapping", url.Values{"system_of_record": {"false"}}); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if s := stored(); s.Location != other.Name || s.SystemOfRecord {
		t.Errorf("what was not given is changed: %+v", s)
	}
	b.get(path).shows(t, "The account_id is read from: "+other.Title[:4])
	b.get("/audit").shows(t, "source.mapped")
	v := w.as("acme", "bob@example.com", identity.Viewer)
	if a := v.get(path + "/mapping"); a.status != http.StatusOK || strings.Contains(a.body, "<select id=\"location\"") {
		t.Errorf("a viewer is offered to choose: %d", a.status)
	}
}

// customers answers for Stripe with some customers, and refuses everything else.
type customers []map[string]any

func (c customers) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := http.StatusOK, any(map[string]any{"data": c, "has_more": false})
	if !strings.HasSuffix(r.URL.Path, "/customers") {
		body = map[string]any{"data": []any{}, "has_more": false}
	}
	if r.Header.Get("Authorization") != "Bearer not-a-real-key" {
		status, body = http.StatusUnauthorized, map[string]any{"error": map[string]any{"message": "No such key"}}
	}
	text, err := json.Marshal(body)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text))}, err
}

func TestTheDataAreLookedAtBeforeAMappingIsSaved(t *testing.T) {
	w := newWorld(t)
	path := w.billing("acme")
	source, err := w.sources.Get(t.Context(), "acme", strings.TrimPrefix(path, "/sources/"))
	if err != nil {
		t.Fatal(err)
	}
	source.Settings = map[string]string{"account_key": "account"}
	if err := w.sources.Update(t.Context(), "acme", source); err != nil {
		t.Fatal(err)
	}
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get(path+"/mapping").shows(t, "Look at the data", "Is it a good account_id?", "Will it include all of your accounts?", "Have a program make account_ids")
	b.post(path+"/survey", url.Values{"location": {"metadata"}}).shows(t, "It cannot be looked at: ", "No credentials are stored")

	w.sources.Transport = customers{
		{"id": "cus_1", "object": "customer", "name": "Acme <b>", "email": "it@acme.example", "created": 1700000000, "metadata": map[string]any{"account": "C-1"}},
		{"id": "cus_2", "object": "customer", "name": "Beta", "email": "it@beta.example", "created": 1700000000, "metadata": map[string]any{}},
	}
	if err := w.sources.SetCredentials(t.Context(), "acme", source, "api_key", map[string]string{"api_key": "not-a-real-key"}, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"location": {"id"}, "system_of_record": {"1"}}
	a := b.post(path+"/survey", form)
	a.shows(t, "Customers: 2 records looked at", "What is there: ID of customers", "cus_1", "Acme &lt;b&gt;", "There are no accounts here yet: 2 accounts would come from the 2 records",
		"account_id, name, join_date are there in all 2 records", `value="id" selected`, `value="1" checked`, "It has nothing there")
	if strings.Contains(a.body, "not-a-real-key") || strings.Contains(a.body, "Choose it as the System of Record above") {
		t.Error(a.body)
	}
	fragment := b.send(http.MethodPost, path+"/survey", strings.NewReader(url.Values{"form_token": {b.token}, "location": {"metadata"}}.Encode()),
		http.Header{"Content-Type": formType["Content-Type"], "Hx-Request": {"true"}})
	if strings.Contains(fragment.body, "<html") || !strings.Contains(fragment.body, "Choose it as the System of Record above") || !strings.Contains(fragment.body, "has a value in 1 of the 2 records") {
		t.Errorf("%d %s", fragment.status, fragment.body)
	}
	var data struct {
		Looked struct{ Works bool }
		Survey sources.Survey
	}
	b.send(http.MethodPost, path+"/survey", strings.NewReader(`{"location": "metadata", "system_of_record": true}`),
		http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}}).data(t, &data)
	if l := data.Survey.Locations; !data.Looked.Works || len(l) != 3 || l[0].Values != 1 || l[1].Values != 2 || len(data.Survey.Record) != 3 {
		t.Errorf("%+v", data)
	}
	// What cannot be is told, and nothing of all that is stored.
	b.post(path+"/survey", url.Values{"location": {"email"}, "system_of_record": {"1"}}).shows(t, "It cannot be looked at: The System of Record needs a location")
	if s, err := w.sources.Get(t.Context(), "acme", source.ID); err != nil || s.Location != source.Location || s.SystemOfRecord {
		t.Errorf("%+v, %v", s, err)
	}
	b.get("/audit").shows(t, "source.surveyed", "Billing acme")
}
