package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/accounts"
	"tenure/core/identity"
	"tenure/core/sources"
)

// matching makes accounts in a workspace, and a source with records that wait of
// which candidates were sought, and returns the path of its page.
func (w *world) matching(workspace string) string {
	w.Helper()
	secret := secretOf(workspace)
	w.post(workspace, accounts.Family, `{"account_id":"`+secret+`-1","name":"Initech `+secret+`","join_date":1,"phone":"+1 555 0100"}`,
		`{"account_id":"`+secret+`-2","name":"Globex `+secret+`","join_date":1}`)
	s := &sources.Source{Name: "Billing of " + secret, Connector: "stripe", Every: 60}
	if err := w.sources.Create(w.Context(), workspace, s); err != nil {
		w.Fatal(err)
	}
	if _, err := w.sources.Import(w.Context(), workspace, s.ID, "customers", strings.NewReader(`[
		{"id": "cus_1", "name": "Initech `+secret+`, Inc.", "phone": "+1 555 0100", "created": 1713418460, "metadata": {}},
		{"id": "cus_2", "name": "Globex `+secret+`", "created": 1713418460, "metadata": {}},
		{"id": "cus_3", "name": "Globex `+secret+` Ltd", "created": 1713418460, "metadata": {}}]`), nil); err != nil {
		w.Fatal(err)
	}
	w.search(workspace, s.ID)
	return "/matching/" + s.ID
}

func (w *world) search(workspace, id string) {
	w.Helper()
	if err := w.sources.AskSearch(w.Context(), workspace, id); err != nil {
		w.Fatal(err)
	}
	w.seek(workspace, id)
}

// seek has the search that was asked for done.
func (w *world) seek(workspace, id string) {
	w.Helper()
	if more, err := w.sources.Work(w.Context(), workspace, "matching/"+id); err != nil || more {
		w.Fatal(more, err)
	}
}

// pair is a form about one candidate.
func pair(workspace, native, account string) url.Values {
	return url.Values{"stream": {"customers"}, "id": {native}, "account": {secretOf(workspace) + account}}
}

func init() {
	for _, tab := range []string{"", "/matched", "/rejected"} {
		examples["GET /matching/{id}"+tab] = func(w *world, workspace string) example {
			return example{path: w.matching(workspace) + tab}
		}
	}
	examples["GET /matching"] = func(w *world, workspace string) example {
		w.matching(workspace)
		return example{path: "/matching"}
	}
	examples["POST /matching/{id}/search"] = func(w *world, workspace string) example {
		return example{path: w.matching(workspace) + "/search", done: "matching.asked"}
	}
	examples["POST /matching/{id}/stop"] = func(w *world, workspace string) example {
		path := w.matching(workspace)
		if err := w.sources.AskSearch(w.Context(), workspace, strings.TrimPrefix(path, "/matching/")); err != nil {
			w.Fatal(err)
		}
		return example{path: path + "/stop", done: "matching.stopped"}
	}
	examples["POST /matching/{id}/accept"] = func(w *world, workspace string) example {
		return example{path: w.matching(workspace) + "/accept", form: pair(workspace, "cus_1", "-1"), done: "match.accepted"}
	}
	examples["POST /matching/{id}/accept-all"] = func(w *world, workspace string) example {
		return example{path: w.matching(workspace) + "/accept-all", form: url.Values{"least": {"60"}}, done: "match.all_accepted"}
	}
	examples["POST /matching/{id}/reject"] = func(w *world, workspace string) example {
		return example{path: w.matching(workspace) + "/reject", form: pair(workspace, "cus_1", "-1"), done: "match.rejected"}
	}
	examples["POST /matching/{id}/undo"] = func(w *world, workspace string) example {
		path := w.matching(workspace)
		if _, err := w.sources.Accept(w.Context(), workspace, strings.TrimPrefix(path, "/matching/"), "customers", "cus_1", secretOf(workspace)+"-1", ""); err != nil {
			w.Fatal(err)
		}
		return example{path: path + "/undo", form: pair(workspace, "cus_1", "-1"), done: "match.undone"}
	}
}

func TestMatchesAreProposedDecidedAndTakenBack(t *testing.T) {
	w := newWorld(t)
	path := w.matching("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get("/matching").shows(t, "Billing of secret-of-acme", path)
	b.get(path).shows(t, "3 records compared with 2 accounts", "Initech secret-of-acme, Inc.", "phone +", "Another record claims it", `value="90"`)

	move := func(action string, form url.Values, to string) {
		t.Helper()
		a := b.post(path+action, form)
		if a.status != http.StatusSeeOther || !strings.Contains(a.header.Get("Location"), to) {
			t.Fatalf("%d %q %s", a.status, a.header.Get("Location"), a.body)
		}
	}
	proposed := func(native string) bool { return strings.Contains(b.get(path).body, native) }
	move("/accept-all", url.Values{"least": {"60"}}, "done=matching-all")
	if proposed("cus_1") || !proposed("cus_2") || !proposed("cus_3") {
		t.Error("what two claim is accepted, or what is clear is not")
	}
	b.get(path+"/matched").shows(t, "cus_1", "ann@example.com", "Undo")
	move("/accept-all", url.Values{"least": {"60"}}, "done=matching-none")
	move("/reject", pair("acme", "cus_3", "-2"), "done=matching-rejected")
	b.get(path+"/rejected").shows(t, "cus_3", "Undo")
	move("/accept", pair("acme", "cus_2", "-2"), "done=matching-accepted")
	b.get(path).shows(t, "Nothing is proposed that is not decided")
	for _, of := range [][2]string{{"cus_1", "-1"}, {"cus_2", "-2"}} {
		move("/undo", pair("acme", of[0], of[1]), "/matched?done=matching-undone")
	}
	rejected := pair("acme", "cus_3", "-2")
	rejected.Set("rejected", "1")
	move("/undo", rejected, "/rejected?done=matching-undone")
	for _, tab := range []string{"/matched", "/rejected"} {
		b.get(path+tab).shows(t, "Nothing yet")
	}
	for _, native := range []string{"cus_1", "cus_2", "cus_3"} {
		if !proposed(native) {
			t.Errorf("%s is not proposed again", native)
		}
	}
}

func TestASearchIsShownWhileItIsUnderWay(t *testing.T) {
	w := newWorld(t)
	path := w.matching("acme")
	id := strings.TrimPrefix(path, "/matching/")
	b := w.as("acme", "ann@example.com", identity.Admin)
	post := func(action, to string) {
		t.Helper()
		if a := b.post(path+action, nil); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), to) {
			t.Fatalf("%s: %d %s %s", action, a.status, a.header.Get("Location"), a.body)
		}
	}
	htmx := http.Header{"Hx-Request": {"true"}}
	// poll is what htmx asks for, from one of the tabs.
	poll := func(tab string) answer { return b.send(http.MethodGet, path+tab, nil, htmx) }
	post("/search", "?done=matching-asked")
	b.get(path).shows(t, "as soon as there is room for it", `hx-get="../matching/`+id+`"`, "found in the one before", "cus_1", "Stop")
	b.get("/matching").shows(t, "being sought")
	part := poll("/matched")
	if part.shows(t, "Candidates are being sought", "matching/"+id+`/matched"`); strings.Contains(part.body, "<html") || strings.Contains(part.body, "cus_1") {
		t.Errorf("more than the search: %s", part.body)
	}
	if a := b.post(path+"/search", nil); a.status != http.StatusUnprocessableEntity && a.status != http.StatusConflict || !strings.Contains(a.body, "being sought already") {
		t.Errorf("asked for twice: %d %s", a.status, a.body)
	}
	if a := w.as("acme", "bob@example.com", identity.Viewer).get(path); strings.Contains(a.body, "<button>Stop") || !strings.Contains(a.body, "being sought") {
		t.Errorf("what a viewer sees: %s", a.body)
	}
	w.seek("acme", id)
	for _, tab := range []string{"", "/matched", "/rejected"} {
		if a := poll(tab); a.status != http.StatusOK || !strings.HasSuffix(a.header.Get("HX-Redirect"), "/./matching/"+id+tab) || a.body != "" {
			t.Errorf("%s: %d %v %s", tab, a.status, a.header, a.body)
		}
	}
	post("/search", "?done=matching-asked")
	post("/stop", "?done=matching-stopped")
	if a := b.get(path); strings.Contains(a.body, "hx-get") || !strings.Contains(a.body, "Seek candidates anew") {
		t.Error(a.body)
	}
}

func TestASearchThatHasFailedSaysWhy(t *testing.T) {
	w := newWorld(t)
	path := w.matching("acme")
	id := strings.TrimPrefix(path, "/matching/")
	source, err := w.sources.Get(t.Context(), "acme", id)
	if err == nil {
		err = w.sources.AskSearch(t.Context(), "acme", id)
	}
	if err == nil { // it becomes the System of Record, and is it no more
		source.SystemOfRecord = true
		err = w.sources.Update(t.Context(), "acme", source)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.seek("acme", id)
	source.SystemOfRecord = false
	if err := w.sources.Update(t.Context(), "acme", source); err != nil {
		t.Fatal(err)
	}
	b := w.as("acme", "ann@example.com", identity.Admin)
	b.get(path).shows(t, "has failed: Billing of secret-of-acme has no accounts to be matched", "Seek candidates anew", "cus_1")
	b.get("/matching").shows(t, "the last search has failed")
}

func TestMatchingIsToldAsJSON(t *testing.T) {
	w := newWorld(t)
	path := w.matching("acme")
	b := w.as("acme", "ann@example.com", identity.Viewer)
	var data struct {
		Tab       string
		Matching  sources.Matching
		Proposals []sources.Proposal
		Decisions []sources.Decision
	}
	b.json(path).data(t, &data)
	if data.Tab != "unmatched" || data.Matching.Proposed != 3 || len(data.Proposals) != 3 || data.Proposals[0].ID != "cus_1" ||
		data.Proposals[0].Candidates[0].Account != "secret-of-acme-1" || len(data.Proposals[0].Candidates[0].Reasons) == 0 {
		t.Errorf("%+v", data)
	}
	if a := b.get(path); strings.Contains(a.body, "Accept") || strings.Contains(a.body, "Seek candidates") {
		t.Error("a viewer is offered to decide")
	}
}

func TestWhatCannotBeDecidedIsRefusedAtItsField(t *testing.T) {
	w := newWorld(t)
	path := w.matching("acme")
	b := w.as("acme", "ann@example.com", identity.Admin)
	for _, least := range []string{"", "0", "101", "many"} {
		if a := b.post(path+"/accept-all", url.Values{"least": {least}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `id="least-refused"`) {
			t.Errorf("%q: %d %s", least, a.status, a.body)
		}
	}
	for _, action := range []string{"/accept", "/reject", "/undo"} {
		a := b.post(path+action, pair("acme", "cus_9", "-1"))
		if a.status < 400 || a.status >= 500 || !strings.Contains(a.body, "any more") {
			t.Errorf("%s: %d %s", action, a.status, a.body)
		}
	}
	for _, other := range []string{"/matching/nothing", path + "/nothing"} {
		if a := b.get(other); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", other, a.status)
		}
	}
	survey, _ := w.source("acme") // it has no accounts
	if a := b.get(strings.Replace(survey, "/sources/", "/matching/", 1)); a.status != http.StatusNotFound {
		t.Errorf("%d", a.status)
	}
	if a := b.get(path + "?after=%ff"); a.status >= 500 {
		t.Errorf("%d", a.status)
	}
}
