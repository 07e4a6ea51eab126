package console_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"tenure/core/identity"
	"tenure/core/sources"
)

func TestAFieldsMappingIsChangedInTheConsole(t *testing.T) {
	w := newWorld(t)
	path := w.billing("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get(path).shows(t, path[1:]+"/fields")
	a := b.get(path + "/fields")
	a.shows(t, "Fields of Billing acme", "Customers become account contacts", "Those of which this is true", "Fields that are not set", "A value that is there already stays", `name="dimensions.accounts.custom_label_dimensions"`)
	form := fields(a.body)
	if form.Get("fields.account_contacts.email") != ".email" || form.Get("stream") != "customers" || !form.Has("fields.account_contacts.title") || form.Has("fields.accounts.account_id") {
		t.Errorf("%v", form)
	}
	mapping := func() []sources.Mapped { return w.storedSource(path).Mapping }
	if a := b.post(path+"/fields", form); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "/fields?done=source-fields&stream=customers") || len(mapping()) != 0 {
		t.Errorf("what was only looked at is changed: %d %s %+v", a.status, a.header.Get("Location"), mapping())
	}
	form = fields(b.get(path + "/fields").body)
	form.Set("fields.account_contacts.email", " .metadata.email ")
	form.Set("fields.account_contacts.phone", "")
	form.Set("fields.accounts.tier", ".metadata.plan")
	form.Set("dimensions.accounts.custom_label_dimensions", "the region")
	form.Set("values.accounts.custom_label_dimensions", ".address.country")
	if a := b.post(path+"/fields", form); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want := []sources.Mapped{{Stream: "customers", Family: "account_contacts", To: "email", From: ".metadata.email"}, {Stream: "customers", Family: "account_contacts", To: "phone"},
		{Stream: "customers", Family: "accounts", To: "tier", From: ".metadata.plan"}, {Stream: "customers", Family: "accounts", To: "custom_label_dimensions.the region", From: ".address.country"}}
	if got := mapping(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	a = b.get(path + "/fields?stream=customers")
	a.shows(t, "Your own. Declared is <code>.email</code>", "By declaration it is not set", "4 of your own", `value="account_contacts.phone">As declared`)
	if form := fields(a.body); form.Get("fields.account_contacts.phone") != "" || form.Get("fields.accounts.custom_label_dimensions.the region") != ".address.country" {
		t.Errorf("%v", form)
	}
	form = fields(a.body)
	if a := b.post(path+"/fields", form); a.status != http.StatusSeeOther || !reflect.DeepEqual(mapping(), want) {
		t.Errorf("what was only looked at is changed: %+v", mapping())
	}
	b.get("/audit").shows(t, "source.fields_changed", "Billing acme")
	viewer := w.as("acme", "bob@example.com", identity.Viewer)
	if a := viewer.get(path + "/fields?stream=customers"); a.status != http.StatusOK || strings.Contains(a.body, `class="setup"`) || !strings.Contains(a.body, "declared is <code>.email</code>") {
		t.Errorf("a viewer sees %d %s", a.status, a.body)
	}

	form = fields(b.get(path + "/fields").body)
	form.Set("reset", "account_contacts.phone")
	if a := b.post(path+"/fields", form); a.status != http.StatusSeeOther || len(mapping()) != 3 {
		t.Errorf("%d %+v", a.status, mapping())
	}
	for _, step := range []struct{ name, value, refused, says string }{
		{"fields.account_contacts.email", "range(9)", "fields.account_contacts.email", "The function &#39;range/1&#39; is not allowed in it"},
		{"fields.accounts.tier", ".a |", "fields.accounts.tier", "cannot be read"},
		{"dimensions.accounts.custom_label_dimensions", "x", "values.accounts.custom_label_dimensions", "needs a path"},
		{"values.accounts.custom_label_dimensions", ".x", "dimensions.accounts.custom_label_dimensions", "needs a key"},
	} {
		form := fields(b.get(path + "/fields").body)
		form.Set(step.name, step.value)
		before := mapping()
		for _, to := range []string{"/fields", "/try"} {
			a := b.post(path+to, form)
			if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+step.refused+`-refused"`) || !strings.Contains(a.body, step.says) || fields(a.body).Get(step.name) != step.value {
				t.Errorf("%+v: %d %s", step, a.status, a.body)
			}
		}
		if !reflect.DeepEqual(mapping(), before) {
			t.Errorf("%+v: what was refused is stored: %+v", step, mapping())
		}
	}
	send := func(body string) answer {
		return b.send(http.MethodPost, path+"/fields", strings.NewReader(body), http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}})
	}
	if a := send(`{"stream": "customers", "fields.accounts.nothing": ".x"}`); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `"field":"fields.accounts.nothing"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := send(`{"stream": "customers", "fields.accounts.tier": ".plan"}`); a.status != http.StatusOK || len(mapping()) != 3 {
		t.Errorf("%d %s %+v", a.status, a.body, mapping())
	}
	if a := send(`{"stream": "nothing"}`); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get(path + "/fields?stream=nothing"); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.post(path+"/fields", url.Values{"stream": {"customers"}, "version": {"1"}, "fields.accounts.tier": {".x"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Somebody else has changed it") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.post(path+"/fields", url.Values{"stream": {"customers"}, "reset": {"*"}}); a.status != http.StatusSeeOther || len(mapping()) != 0 {
		t.Errorf("%d %+v", a.status, mapping())
	}
}

func TestAMappingIsTriedBeforeItIsSaved(t *testing.T) {
	w := newWorld(t)
	path := w.billing("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	form := url.Values{"stream": {"customers"}, "fields.account_contacts.phone": {`.metadata.plan + "-" + .name`}, "fields.account_contacts.is_active": {".name"}}
	b.post(path+"/try", form).shows(t, "It cannot be tried: ", "No credentials are stored")
	w.answering(path, someCustomers())
	a := b.post(path+"/try", form)
	a.shows(t, "These are the first records of Customers", "<strong>gold-Acme</strong>", "<code>.metadata.plan</code> gold", "<code>.name</code> Acme", "<strong>it@beta.example</strong>",
		`list="paths-account_contacts"`, `<option value=".metadata.plan">gold</option>`, "Paths for account contacts")
	if strings.Count(a.body, `<span class="failed">&#39;is_active&#39; value must be boolean`) != 3 || strings.Contains(a.body, "not-a-real-key") {
		t.Error(a.body)
	}
	if len(w.storedSource(path).Mapping) != 0 {
		t.Error("trying has stored something")
	}
	fragment := b.send(http.MethodPost, path+"/try", strings.NewReader(url.Values{"form_token": {b.token}, "stream": {"customers"}, "fields.account_contacts.phone": {"range(9)"}}.Encode()),
		http.Header{"Content-Type": formType["Content-Type"], "Hx-Request": {"true"}})
	if fragment.status != http.StatusUnprocessableEntity || strings.Contains(fragment.body, "<html") || !strings.Contains(fragment.body, `id="fields.account_contacts.phone-refused"`) {
		t.Errorf("%d %s", fragment.status, fragment.body)
	}
	var data struct {
		Looked struct{ Works bool }
		Feeds  []struct {
			Family string
			Fields []struct {
				Name, From string
				Samples    []sources.Sample
			}
		}
	}
	b.send(http.MethodPost, path+"/try", strings.NewReader(`{"stream": "customers", "fields.account_contacts.phone": ".metadata.plan"}`),
		http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}}).data(t, &data)
	told := false
	for _, feed := range data.Feeds {
		for _, f := range feed.Fields {
			if feed.Family == "account_contacts" && f.Name == "phone" {
				told = len(f.Samples) == 3 && string(f.Samples[0].Value) == `"gold"` && f.Samples[1].Before[0] == sources.Path{Path: ".metadata.plan", Example: "free"}
			}
		}
	}
	if !data.Looked.Works || !told {
		t.Errorf("%+v", data)
	}
	b.get("/audit").shows(t, "source.tried")
}

func TestTheFieldsOfEverySystemAreShown(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	needed := map[string]string{"site": "acme", "subdomain": "acme", "domain": "acme", "merchant_id": "acme", "subscription_unit": "major", "host": "rest.zuora.com"}
	for _, c := range w.sources.Connectors {
		s := &sources.Source{Name: c.Title, Connector: c.Name, Prefix: c.Name, Settings: map[string]string{}}
		for _, setting := range c.Settings {
			if setting.Required && setting.Default == "" {
				s.Settings[setting.Name] = needed[setting.Name]
			}
		}
		if err := w.sources.Create(t.Context(), "acme", s); err != nil {
			t.Fatal(c.Name, err)
		}
		path := "/sources/" + s.ID
		for i := range c.Streams {
			if len(s.Families(&c.Streams[i])) == 0 {
				continue
			}
			a := b.get(path + "/fields?stream=" + c.Streams[i].Name)
			a.shows(t, "Fields of")
			if a := b.post(path+"/fields", fields(a.body)); a.status != http.StatusSeeOther || len(w.storedSource(path).Mapping) != 0 {
				t.Errorf("%s %s: %d, what was only looked at is changed: %+v", c.Name, c.Streams[i].Name, a.status, w.storedSource(path).Mapping)
			}
		}
	}
}
