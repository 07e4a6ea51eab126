package console_test

import (
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
