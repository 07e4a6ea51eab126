package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/identity"
	"tenure/core/mapping"
	"tenure/core/sources"
)

// systemOfRecord makes a source in a workspace that is its System of Record, and returns its
// path.
func (w *world) systemOfRecord(workspace string) string {
	w.Helper()
	path := w.billing(workspace)
	source, err := w.sources.Get(w.Context(), workspace, strings.TrimPrefix(path, "/sources/"))
	if err != nil {
		w.Fatal(err)
	}
	source.SystemOfRecord, source.Location = true, "id"
	source.Filter = &sources.Filter{Conditions: []mapping.Condition{{Path: ".name", Operator: "ne", Value: "secret-of-" + workspace}}}
	if err := w.sources.Update(w.Context(), workspace, source); err != nil {
		w.Fatal(err)
	}
	return path
}

// answering has a source of Stripe be answered with customers.
func (w *world) answering(path string, all customers) {
	w.Helper()
	w.sources.Transport = all
	source := w.storedSource(path)
	if err := w.sources.SetCredentials(w.Context(), "acme", source, "api_key", map[string]string{"api_key": "not-a-real-key"}, "ann@example.com"); err != nil {
		w.Fatal(err)
	}
}

// someCustomers are three, one of which has ticked a box.
func someCustomers() customers {
	of := func(id, name, plan string) map[string]any {
		return map[string]any{"id": id, "object": "customer", "name": name, "email": "it@" + strings.ToLower(name) + ".example", "created": 1700000000, "metadata": map[string]any{"plan": plan, "account": "C-" + id}}
	}
	return customers{of("cus_1", "Acme", "gold"), of("cus_2", "Beta", "free"), of("cus_3", "Gamma", "silver")}
}

// condition adds a condition to a form.
func condition(form url.Values, n, path, operator, value string) {
	at := "filter.conditions." + n + "."
	form.Set(at+"path", path)
	form.Set(at+"operator", operator)
	form.Set(at+"value", value)
}

func TestAFilterIsMadeInTheConsole(t *testing.T) {
	w := newWorld(t)
	path := w.systemOfRecord("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	a := b.get(path + "/filter")
	a.shows(t, "Filter of Billing acme", "This must hold:", "is not", "Accounts are made of Customers")
	form := fields(a.body)
	if form.Get("filter.conditions.0.path") != ".name" || !form.Has("filter.conditions.2.path") || form.Has("filter.conditions.3.path") {
		t.Errorf("%v", form)
	}
	// A form that was only looked at changes nothing.
	before := w.storedSource(path).Filter.Conditions[0].String()
	if a := b.post(path+"/filter", form); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if f := w.storedSource(path).Filter; len(f.Conditions) != 1 || f.Conditions[0].String() != before || f.AlsoIn != nil || f.Any {
		t.Errorf("%+v", f)
	}
	form = fields(b.get(path + "/filter").body)
	condition(form, "0", "", "eq", "")
	condition(form, "1", ` .metadata.plan `, "eq", "gold")
	condition(form, "2", `(.name == "Beta") or (.name == "x")`, "isTrue", "")
	form.Set("filter.any", "1")
	if a := b.post(path+"/filter", form); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "/filter?done=source-filtered") {
		t.Errorf("%d %s", a.status, a.body)
	}
	f := w.storedSource(path).Filter
	if !f.Any || len(f.Conditions) != 2 || f.Conditions[0].String() != ".metadata.plan eq gold" || f.Conditions[1].Operator != "isTrue" {
		t.Errorf("%+v", f)
	}
	b.get(path+"/filter").shows(t, "One of these is enough", ".metadata.plan")
	b.get("/audit").shows(t, "source.filter_changed", "Billing acme")
	b.get(path).shows(t, path[1:]+"/filter")

	for _, step := range []struct{ path, operator, value, refused, says string }{
		{"range(9)", "eq", "x", "filter.conditions.0.path", "The function &#39;range/1&#39; is not allowed in it"},
		{"", "eq", "x", "filter.conditions.0.path", ""},
		{".name", "is", "x", "filter.conditions.0.operator", "The operator must be one of"},
		{".name", "lt", "x", "filter.conditions.0.value", "The operator lt needs a number"},
		{".name", "eq", "", "filter.conditions.0.value", "A value to compare with is missing"},
	} {
		form := url.Values{}
		condition(form, "0", "", "", "") // rows that are empty do not count
		condition(form, "1", step.path, step.operator, step.value)
		for _, to := range []string{"/filter", "/count"} {
			a := b.post(path+to, form)
			if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+step.refused+`-refused"`) || !strings.Contains(a.body, step.says) {
				t.Errorf("%+v: %d %s", step, a.status, a.body)
			}
			if again := fields(a.body); again.Get("filter.conditions.0.path") != step.path || again.Get("filter.conditions.0.value") != step.value {
				t.Errorf("%+v is shown as %v", step, again)
			}
		}
	}
	if a := b.post(path+"/filter", url.Values{"filter.also_in.path": {".x"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Choose the source") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := w.storedSource(path).Filter; len(got.Conditions) != 2 || got.AlsoIn != nil {
		t.Errorf("what was refused is stored: %+v", got)
	}
	v := w.as("acme", "bob@example.com", identity.Viewer)
	if a := v.get(path + "/filter"); a.status != http.StatusOK || strings.Contains(a.body, `name="filter.any"`) || !strings.Contains(a.body, ".metadata.plan") {
		t.Errorf("a viewer sees %d %s", a.status, a.body)
	}
	// Of no other source.
	if err := w.sources.Create(t.Context(), "acme", &sources.Source{Name: "CRM", Connector: "capsule", Prefix: "crm-"}); err != nil {
		t.Fatal(err)
	}
	all, err := w.sources.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	crm := all[1].ID
	if all[0].Name == "CRM" {
		crm = all[0].ID
	}
	b.get("/sources/"+crm+"/filter").shows(t, "Only the System of Record has a filter")
	form = url.Values{}
	condition(form, "0", ".name", "eq", "x")
	if a := b.post("/sources/"+crm+"/filter", form); a.status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A program may leave names out.
	a = b.send(http.MethodPost, path+"/filter", strings.NewReader(`{"filter.also_in.source": "`+crm+`", "filter.any": false}`), http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}})
	if f := w.storedSource(path).Filter; a.status != http.StatusOK || f.Any || len(f.Conditions) != 2 || f.AlsoIn == nil || f.AlsoIn.Source != crm {
		t.Errorf("%d %s: %+v", a.status, a.body, f)
	}
	b.get(path+"/filter").shows(t, "The account must be known to CRM")
	if a := b.post(path+"/filter", url.Values{"filter.conditions.0.path": {""}, "filter.also_in.source": {""}}); a.status != http.StatusSeeOther || w.storedSource(path).Filter != nil {
		t.Errorf("%d %+v", a.status, w.storedSource(path).Filter)
	}
	b.get(path+"/filter").shows(t, "There is no filter")
	if a := b.post(path+"/filter", url.Values{"version": {"1"}, "filter.any": {"1"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Somebody else has changed it") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWhatAFilterLetsThroughIsCountedBeforeItIsSaved(t *testing.T) {
	w := newWorld(t)
	path := w.systemOfRecord("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	form := url.Values{}
	condition(form, "0", ".metadata.plan", "ne", "free")
	condition(form, "1", ".name", "like", "ACM")
	b.post(path+"/count", form).shows(t, "It cannot be counted: ", "No credentials are stored", `value=".metadata.plan"`)
	w.answering(path, someCustomers())
	a := b.post(path+"/count", form)
	a.shows(t, "1 of 3 records pass, 2 are filtered out", "1 account of them not here yet", "Leaves out 1 record", "Left out by condition 2", "Gamma", `<option value=".metadata.plan">gold</option>`, "Paths in the records")
	form.Set("filter.any", "1")
	fragment := b.send(http.MethodPost, path+"/count", strings.NewReader(url.Values{"form_token": {b.token}, "filter.any": {"1"}, "filter.conditions.0.path": {".metadata.plan"}, "filter.conditions.0.operator": {"eq"},
		"filter.conditions.0.value": {"gold"}, "filter.conditions.1.path": {".name"}, "filter.conditions.1.operator": {"eq"}, "filter.conditions.1.value": {"Beta"}}.Encode()),
		http.Header{"Content-Type": formType["Content-Type"], "Hx-Request": {"true"}})
	if strings.Contains(fragment.body, "<html") || !strings.Contains(fragment.body, "2 of 3 records pass") || !strings.Contains(fragment.body, "Left out by all conditions together") {
		t.Errorf("%d %s", fragment.status, fragment.body)
	}
	var data struct {
		Looked  struct{ Works bool }
		Counted sources.Counted
	}
	b.send(http.MethodPost, path+"/count", strings.NewReader(`{"filter.conditions.0.path": ".metadata.plan", "filter.conditions.0.operator": "eq", "filter.conditions.0.value": "free"}`),
		http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}}).data(t, &data)
	if c := data.Counted; !data.Looked.Works || c.Passed.Count != 1 || c.Read != 3 || c.Passed.Examples[0].Label != "Beta" {
		t.Errorf("%+v", data)
	}
	// What only a record shows stands beside the condition as well.
	form = url.Values{}
	condition(form, "0", ".name.first", "eq", "x")
	if a := b.post(path+"/count", form); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="filter.conditions.0.path-refused"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if f := w.storedSource(path).Filter; len(f.Conditions) != 1 || f.Conditions[0].Value != "secret-of-acme" {
		t.Errorf("counting has stored %+v", f)
	}
	b.get("/audit").shows(t, "source.counted")
}
