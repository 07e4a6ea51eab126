package console_test

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"tenure/core/identity"
	"tenure/core/sources"
)

// stored returns the source of a path as it is stored.
func (w *world) storedSource(path string) *sources.Source {
	w.Helper()
	s, err := w.sources.Get(w.Context(), "acme", strings.TrimPrefix(path, "/sources/"))
	if err != nil {
		w.Fatal(err)
	}
	return s
}

var (
	inputs  = regexp.MustCompile(`<(?:input|textarea)[^>]*>`)
	selects = regexp.MustCompile(`(?s)<select[^>]*>.*?</select>`)
	chosen  = regexp.MustCompile(`<option(?: value="([^"]*)")? selected>([^<]*)`)
	first   = regexp.MustCompile(`<option(?: value="([^"]*)")?[^>]*>([^<]*)`)
)

// attribute returns an attribute of a tag.
func attribute(tag, name string) string {
	_, rest, ok := strings.Cut(tag, " "+name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

// fields returns what a browser sends of the form on a page that nobody has touched.
func fields(page string) url.Values {
	_, page, _ = strings.Cut(page, `class="setup"`)
	page, _, _ = strings.Cut(page, "</form>")
	form := url.Values{}
	for _, tag := range inputs.FindAllString(page, -1) {
		if t := attribute(tag, "type"); t != "checkbox" && t != "radio" || strings.Contains(tag, " checked") {
			form.Add(attribute(tag, "name"), attribute(tag, "value"))
		}
	}
	for _, tag := range selects.FindAllString(page, -1) {
		option := chosen.FindStringSubmatch(tag)
		if option == nil {
			option = first.FindStringSubmatch(tag)
		}
		if option[1] == "" && !strings.Contains(option[0], `value="`) {
			option[1] = option[2]
		}
		form.Set(attribute(tag, "name"), option[1])
	}
	form.Del("form_token")
	return form
}

func TestASourceOfEverySystemIsAddedInTheConsole(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	page := b.get("/add-source")
	page.shows(t, "CRM", "Customer support", "Financial", "Interactions", "NPS", "Ended: imports only", "Desk.com has ended")
	needed := map[string]string{"site": "acme", "subdomain": "acme", "domain": "acme", "merchant_id": "acme", "subscription_unit": "major", "host": "rest.zuora.com"}
	for i, c := range w.sources.Connectors {
		w.advance(time.Second)
		if !strings.Contains(page.body, `href="./add-source?connector=`+c.Name+`"`) {
			t.Errorf("%s is not offered", c.Name)
		}
		a := b.get("/add-source?connector=" + c.Name)
		a.shows(t, "Add "+c.Title, "Where the account_id is", "The best choice")
		form := fields(a.body)
		if form.Get("connector") != c.Name || form.Get("location") != c.Locations[0].Name {
			t.Fatalf("%v", form)
		}
		for _, s := range c.Settings {
			if !form.Has("settings." + s.Name) {
				t.Errorf("%s: there is no field for %s", c.Name, s.Name)
			}
			if s.Required && form.Get("settings."+s.Name) == "" {
				form.Set("settings."+s.Name, needed[s.Name])
			}
		}
		form.Set("prefix", fmt.Sprintf("p%d-", i))
		a = b.post("/add-source", form)
		to := a.header.Get("Location")
		if a.status != http.StatusSeeOther || c.Ended == nil && !strings.HasSuffix(to, "/credentials?done=source-added") || c.Ended != nil && !strings.HasSuffix(to, "?done=source-added-ended") {
			t.Errorf("%s: %d %q %s", c.Name, a.status, to, a.body)
		}
	}
	all, err := w.sources.List(t.Context(), "acme")
	if err != nil || len(all) != len(w.sources.Connectors) {
		t.Fatalf("%v, %v", all, err)
	}
	for i, s := range all {
		c := w.sources.Connectors[i]
		if s.Connector != c.Name || s.Name != c.Title || s.Location != c.Locations[0].Name || s.SystemOfRecord || len(s.Streams) != 0 || s.Every != 60 || s.Paused == (c.Ended != nil) {
			t.Errorf("%+v", s)
		}
		for _, setting := range c.Settings {
			if value, set := s.Settings[setting.Name]; set && value == setting.Default {
				t.Errorf("%s: what is usual is set: %s", c.Name, setting.Name)
			}
		}
	}
	// Nothing of it runs by itself.
	if due, err := w.sources.Due(t.Context(), "acme"); err != nil || len(due) != 0 {
		t.Errorf("%v, %v", due, err)
	}
	b.get("/audit").shows(t, "source.added", "Zendesk")
	b.get("/sources/"+all[len(all)-1].ID).shows(t, "Before it runs", "Store its credentials")
}

func TestWhatCannotBeAddedIsShownAgainWithTheReason(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	w.billing("acme")
	form := url.Values{"connector": {"chargebee"}, "name": {"More bills"}, "settings.contacts": {"all"}, "location": {"metadata"}, "boxes": {"system_of_record"}, "system_of_record": {"1"}}
	for _, step := range []struct {
		field, value, refused string
	}{
		{"settings.site", "", "Missing required setting"},
		{"settings.site", "Not A Site", "the first part of the address"},
		{"settings.contacts", "nobody", "must be one of: customers, all"},
		{"location", "nowhere", "is none of Chargebee"},
		{"prefix", "-", "begins with a letter or digit"},
		{"name", strings.Repeat("x", 81), "more than 80"},
		{"prefix", "", "Billing acme brings"},
	} {
		given := maps.Clone(form)
		given.Set("settings.site", "acme")
		given.Set(step.field, step.value)
		a := b.post("/add-source", given)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="`+step.field+`-refused"`) || !strings.Contains(a.body, step.refused) {
			t.Errorf("%s %q: %d %s", step.field, step.value, a.status, a.body)
		}
		again := fields(a.body)
		for name := range given {
			if name != "boxes" && name != step.field && again.Get(name) != given.Get(name) {
				t.Errorf("%s %q: %s was %q, and is shown as %q", step.field, step.value, name, given.Get(name), again.Get(name))
			}
		}
	}
	for _, of := range []string{"", "nothing"} {
		if a := b.post("/add-source", url.Values{"connector": {of}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Choose one of these systems") {
			t.Errorf("%q: %d %s", of, a.status, a.body)
		}
	}
	if a := b.get("/add-source?connector=nothing"); a.status != http.StatusNotFound {
		t.Errorf("%d", a.status)
	}
	if all, err := w.sources.List(t.Context(), "acme"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestAFormThatWasOnlyLookedAtChangesNothing(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	for _, s := range []*sources.Source{
		{Name: "Plain", Connector: "zendesk", Settings: map[string]string{"subdomain": "acme"}, Every: 60},
		{Name: "Rich", Connector: "salesforce", Settings: map[string]string{"login": "login.salesforce.com", "account_field": "Id__c", "opportunity_months": "12"}, Location: "custom_field", SystemOfRecord: true,
			Filter: &sources.Filter{}, Inactivate: true, DeleteMany: true, Streams: map[string]bool{"opportunities": true, "cases": false}, Prefix: "sf-", Zone: "Europe/Berlin", Requests: 7, Every: 45, Paused: true,
			Mapping: []sources.Mapped{{Stream: "accounts", Family: "accounts", To: "industry"}}},
		{Name: "Ended", Connector: "delighted", Every: 60},
	} {
		if s.Connector == "salesforce" {
			s.Location = w.sources.Connector("salesforce").Locations[0].Name
		}
		if err := w.sources.Create(t.Context(), "acme", s); err != nil {
			t.Fatal(err)
		}
		path := "/sources/" + s.ID
		before := w.storedSource(path)
		form := fields(b.get(path + "/settings").body)
		if a := b.post(path+"/settings", form); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "?done=source-changed") {
			t.Errorf("%s: %d %s %s", s.Name, a.status, a.header.Get("Location"), a.body)
		}
		after := w.storedSource(path)
		if before = after.With(*before); after.Updated != 0 {
			before.Updated = after.Updated
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s was\n%+v\nand is\n%+v", s.Name, before, after)
		}
	}
}

func TestASourceIsChangedInTheConsole(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	path := w.billing("acme")
	c := w.sources.Connector("stripe")
	other := c.Locations[len(c.Locations)-1].Name
	w.advance(time.Second)
	form := fields(b.get(path + "/settings").body)
	for name, value := range map[string]string{
		"name": "Bills", "settings.account_key": "tenure_id", "location": other, "zone": "Europe/Berlin", "prefix": "stripe-", "requests": "5", "every": "own", "every_minutes": "45", "delete_many": "1",
	} {
		form.Set(name, value)
	}
	form.Del("streams.customers/" + c.Streams[0].Feeds[len(c.Streams[0].Feeds)-1].Family)
	form.Del("streams.invoices")
	a := b.post(path+"/settings", form)
	if a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "?done=source-changed-anew") {
		t.Errorf("%d %s", a.status, a.body)
	}
	s := w.storedSource(path)
	want := map[string]bool{"invoices": false, "customers/" + c.Streams[0].Feeds[len(c.Streams[0].Feeds)-1].Family: false}
	if s.Name != "Bills" || s.Settings["account_key"] != "tenure_id" || s.Location != other || s.Zone != "Europe/Berlin" || s.Prefix != "stripe-" || s.Requests != 5 || s.Every != 45 || !s.DeleteMany ||
		!reflect.DeepEqual(s.Streams, want) {
		t.Errorf("%+v", s)
	}
	b.get("/audit").shows(t, "source.changed", "Billing acme, now Bills")
	b.get(path+"/settings").shows(t, "Settings of Bills", `value="45"`, "Every so many minutes", "until all are read anew")

	// A program may leave names out, and a box unchecked.
	for _, c := range []struct {
		body  string
		check func(*sources.Source) bool
	}{
		{`{"every": 0}`, func(s *sources.Source) bool { return s.Every == 0 && s.DeleteMany && s.Name == "Bills" }},
		{`{"delete_many": false}`, func(s *sources.Source) bool { return !s.DeleteMany && s.Zone == "Europe/Berlin" }},
		{`{"streams.invoices": true}`, func(s *sources.Source) bool { _, said := s.Streams["invoices"]; return !said && len(s.Streams) == 1 }},
		{`{"requests": "", "prefix": null}`, func(s *sources.Source) bool { return s.Requests == 0 && s.Prefix == "stripe-" }},
		{`{"settings.account_key": ""}`, func(s *sources.Source) bool { return len(s.Settings) == 0 }},
	} {
		a := b.send(http.MethodPost, path+"/settings", strings.NewReader(c.body), http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "X-Form-Token": {b.token}})
		if s := w.storedSource(path); a.status != http.StatusOK || !c.check(s) {
			t.Errorf("%s: %d %s: %+v", c.body, a.status, a.body, s)
		}
	}
	for field, value := range map[string]string{
		"every": "x", "zone": "Mars/Base", "requests": "-1", "credentials": "nobody", "location": "nowhere", "prefix": strings.Repeat("x", 17), "settings.ugx_decimals": "1", "name": strings.Repeat("ä", 81),
	} {
		before := w.storedSource(path)
		a := b.post(path+"/settings", url.Values{field: {value}})
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, ` role="alert"`) || field != "credentials" && !strings.Contains(a.body, `id="`+field+`-refused"`) {
			t.Errorf("%s: %d %s", field, a.status, a.body)
		}
		if after := w.storedSource(path); !reflect.DeepEqual(before, after) {
			t.Errorf("%s: what was refused is stored: %+v", field, after)
		}
	}

	v := w.as("acme", "bob@example.com", identity.Viewer)
	if a := v.get(path + "/settings"); a.status != http.StatusOK || strings.Contains(a.body, `class="setup"`) || !strings.Contains(a.body, "Europe/Berlin") {
		t.Errorf("a viewer sees %d %s", a.status, a.body)
	}
}

func TestTheSecondOfTwoAdminsIsTold(t *testing.T) {
	w := newWorld(t)
	ann := w.as("acme", "ann@example.com", identity.Admin)
	bob := w.as("acme", "bob@example.com", identity.Admin)
	path := w.billing("acme")
	anns, bobs := fields(ann.get(path+"/settings").body), fields(bob.get(path+"/settings").body)
	w.advance(time.Second)
	anns.Set("zone", "Europe/Berlin")
	if a := ann.post(path+"/settings", anns); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	bobs.Set("name", "Bob's bills")
	for range 2 { // and the form that is shown again is no more good than the first
		a := bob.post(path+"/settings", bobs)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Somebody else has changed it") || !strings.Contains(a.body, "Bob&#39;s bills") {
			t.Fatalf("%d %s", a.status, a.body)
		}
		bobs = fields(a.body)
	}
	if s := w.storedSource(path); s.Zone != "Europe/Berlin" || s.Name != "Billing acme" {
		t.Errorf("%+v", s)
	}
	bobs = fields(bob.get(path + "/settings").body)
	bobs.Set("name", "Bob's bills")
	if a := bob.post(path+"/settings", bobs); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if s := w.storedSource(path); s.Zone != "Europe/Berlin" || s.Name != "Bob's bills" {
		t.Errorf("%+v", s)
	}
}

func TestOneSourceUsesTheCredentialsOfAnother(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	path := w.billing("acme")
	w.advance(time.Second)
	s := &sources.Source{Name: "Other bills", Connector: "stripe", Prefix: "other-"}
	if err := w.sources.Create(t.Context(), "acme", s); err != nil {
		t.Fatal(err)
	}
	form := fields(b.get("/sources/" + s.ID + "/settings").body)
	owner := strings.TrimPrefix(path, "/sources/")
	form.Set("credentials", owner)
	if a := b.post("/sources/"+s.ID+"/settings", form); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := w.storedSource("/sources/" + s.ID); got.Credentials != owner {
		t.Errorf("%+v", got)
	}
	b.get("/sources/"+s.ID+"/settings").shows(t, "Those of Billing acme")
}

func TestZonesThatAreProposedAreKnown(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	page := b.get(w.billing("acme") + "/settings").body
	_, list, _ := strings.Cut(page, `<datalist id="zones">`)
	list, _, _ = strings.Cut(list, "</datalist>")
	n := 0
	for _, option := range strings.SplitAfter(list, "></option>") {
		if name := attribute(option, "value"); name != "" {
			n++
			if _, err := time.LoadLocation(name); err != nil {
				t.Error(err)
			}
		}
	}
	if n < 400 || !strings.Contains(list, `"Europe/Amsterdam"`) || !strings.Contains(list, `"UTC"`) {
		t.Errorf("%d zones", n)
	}
}

func TestMoneyIsSetInTheConsole(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get("/sources").shows(t, "Amounts are in USD", `href="./money"`)
	b.get("/money").shows(t, `value="USD"`)
	rates := func() sources.Money {
		t.Helper()
		m, err := w.sources.Money(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if a := b.post("/money", url.Values{"currency": {" usd "}, "rates": {"eur 1.08\r\n\r\n GBP = 1.27\r\n"}}); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if m := rates(); m.Currency != "USD" || !maps.Equal(m.Rates, map[string]string{"EUR": "1.08", "GBP": "1.27"}) {
		t.Errorf("%+v", m)
	}
	a := b.get("/money")
	a.shows(t, "EUR 1.08 GBP 1.27")
	version := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(a.body)[1]
	b.get("/audit").shows(t, "money.changed", "USD")
	for entered, refused := range map[string]string{
		"EUR":                      "Line 1 must be a currency and a number",
		"\nEUR 1.08\nEUR 1.09":     "Line 3: EUR has a rate in line 2 already",
		"EUR 1,08":                 "Line 1, EUR: the rate must be a number greater than 0",
		"EUR 1.08\nGBP -1":         "Line 2, GBP: the rate must be a number greater than 0",
		"EUR 1.08\nQQQ 2":          "Line 2, QQQ: there is no such currency",
		"EUR 1.08\nGBP 2\nUSD 1.0": "Line 3, USD: amounts are in it already",
	} {
		a := b.post("/money", url.Values{"currency": {"USD"}, "rates": {entered}, "version": {version}})
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="rates-refused"`) || !strings.Contains(a.body, refused) || !strings.Contains(a.body, strings.TrimSpace(entered)+"</textarea>") {
			t.Errorf("%q: %d %s", entered, a.status, a.body)
		}
	}
	if a := b.post("/money", url.Values{"currency": {"XXX"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="currency-refused"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.advance(time.Second)
	if a := b.post("/money", url.Values{"rates": {"EUR 1.1"}}); a.status != http.StatusSeeOther { // a program
		t.Errorf("%d %s", a.status, a.body)
	}
	if m := rates(); m.Currency != "USD" || !maps.Equal(m.Rates, map[string]string{"EUR": "1.1"}) {
		t.Errorf("%+v", m)
	}
	if a := b.post("/money", url.Values{"currency": {"EUR"}, "rates": {"USD 2"}, "version": {version}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Somebody else has changed it") {
		t.Errorf("the second of two: %d %s", a.status, a.body)
	}
	if m := rates(); m.Currency != "USD" {
		t.Errorf("%+v", m)
	}
	v := w.as("acme", "bob@example.com", identity.Viewer)
	if a := v.get("/money"); a.status != http.StatusOK || strings.Contains(a.body, "<textarea") || !strings.Contains(a.body, "1.1 USD") {
		t.Errorf("a viewer sees %d %s", a.status, a.body)
	}
}

func TestWhatHasNoAccountsIsNotOfferedAsTheSystemOfRecord(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	if err := w.sources.Create(t.Context(), "acme", &sources.Source{Name: "The CRM", Connector: "capsule", SystemOfRecord: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.sources.Connectors {
		has := false
		for _, st := range c.Streams {
			has = has || st.Accounts
		}
		a := b.get("/add-source?connector=" + c.Name)
		if strings.Contains(a.body, `name="system_of_record"`) || strings.Contains(a.body, "is The CRM") != has {
			t.Errorf("%s, accounts: %v", c.Name, has)
		}
	}
}
