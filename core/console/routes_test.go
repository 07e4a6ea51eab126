package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/console"
	"tenure/core/identity"
	"tenure/core/uploads"
)

// example is how a route is asked for something that belongs to a workspace.
type example struct {
	// path has the ids of what is asked for in place of the parameters.
	path string
	form url.Values
	// by, if set, makes the browser that asks, where an admin's will not do.
	by func(w *world) *browser
	// done is the action that the audit log tells afterwards; empty for what changes
	// nothing in the workspace.
	done string
}

// examples has one for each route but pages without parameters, which need none.
var examples = map[string]func(w *world, workspace string) example{
	"POST /sign-in": func(w *world, workspace string) example {
		return example{path: "/sign-in", form: url.Values{"email": {"admin@" + workspace + ".example"}, "password": {password}}, by: (*world).stranger}
	},
	"GET /welcome/{token}": func(w *world, workspace string) example {
		return example{path: "/welcome/" + w.link(workspace), by: (*world).stranger}
	},
	"POST /welcome/{token}": func(w *world, workspace string) example {
		return example{path: "/welcome/" + w.link(workspace), form: url.Values{"name": {"New"}, "password": {password}}, by: (*world).stranger, done: "member.joined"}
	},
	"POST /sign-out": func(w *world, workspace string) example { return example{path: "/sign-out"} },
	"POST /workspace": func(w *world, workspace string) example {
		return example{path: "/workspace", form: url.Values{"workspace": {workspace}}}
	},
	"POST /keys": func(w *world, workspace string) example {
		return example{path: "/keys", form: url.Values{"label": {"New"}, "kind": {"account"}}, done: "key.created"}
	},
	"POST /keys/{id}/label": func(w *world, workspace string) example {
		return example{path: "/keys/" + w.key(workspace) + "/label", form: url.Values{"label": {"Newer"}}, done: "key.labelled"}
	},
	"POST /keys/{id}/revoke": func(w *world, workspace string) example {
		return example{path: "/keys/" + w.key(workspace) + "/revoke", done: "key.revoked"}
	},
	"GET /credentials": func(w *world, workspace string) example {
		w.billing(workspace)
		return example{path: "/credentials"}
	},
	"GET /sources/{id}/credentials": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/credentials"}
	},
	"POST /sources/{id}/credentials": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/credentials", form: url.Values{"auth": {"api_key"}, "credentials.api_key": {"fake-key"}}, done: "credentials.stored"}
	},
	"POST /sources/{id}/credentials/check": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/credentials/check", done: "credentials.checked"}
	},
	"POST /sources/{id}/credentials/delete": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/credentials/delete", done: "credentials.deleted"}
	},
	"POST /sources/{id}/connect": func(w *world, workspace string) example {
		return example{path: w.books(workspace) + "/connect", done: "access.asked"}
	},
	"POST /oauth/connect": func(w *world, workspace string) example {
		return example{path: "/oauth/connect", form: url.Values{"connect": {strings.TrimPrefix(w.books(workspace), "/sources/")}}, done: "access.asked"}
	},
	"GET /oauth": func(w *world, workspace string) example {
		w.books(workspace)
		return example{path: "/oauth"}
	},
	"POST /sources/{id}/disconnect": func(w *world, workspace string) example {
		return example{path: w.connected(workspace) + "/disconnect", done: "access.forgotten"}
	},
	"GET /oauth/callback": func(w *world, workspace string) example {
		return example{path: "/oauth/callback?" + w.answered(workspace).Encode(), done: "access.granted"}
	},
	"GET /sources/{id}/mapping": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/mapping"}
	},
	"POST /sources/{id}/mapping": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/mapping", form: url.Values{"location": {"id"}}, done: "source.mapped"}
	},
	"POST /sources/{id}/survey": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/survey", form: url.Values{"location": {"id"}, "system_of_record": {"1"}}, done: "source.surveyed"}
	},
	"GET /sources/{id}/filter": func(w *world, workspace string) example {
		return example{path: w.systemOfRecord(workspace) + "/filter"}
	},
	"POST /sources/{id}/filter": func(w *world, workspace string) example {
		return example{path: w.systemOfRecord(workspace) + "/filter", form: url.Values{"filter.any": {"1"}}, done: "source.filter_changed"}
	},
	"POST /sources/{id}/count": func(w *world, workspace string) example {
		return example{path: w.systemOfRecord(workspace) + "/count", done: "source.counted"}
	},
	"GET /sources/{id}/fields": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/fields"}
	},
	"POST /sources/{id}/fields": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/fields", form: url.Values{"stream": {"customers"}, "fields.account_contacts.phone": {".phone | text"}}, done: "source.fields_changed"}
	},
	"POST /sources/{id}/try": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/try", form: url.Values{"stream": {"customers"}}, done: "source.tried"}
	},
	"POST /add-source": func(w *world, workspace string) example {
		return example{path: "/add-source", form: url.Values{"connector": {"zendesk"}, "name": {"Help"}, "settings.subdomain": {"example"}}, done: "source.added"}
	},
	"GET /sources/{id}/settings": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/settings"}
	},
	"POST /sources/{id}/settings": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/settings", form: url.Values{"every": {"15"}}, done: "source.changed"}
	},
	"GET /sources/{id}/preview": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/preview"}
	},
	"POST /sources/{id}/preview": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/preview", done: "source.previewed"}
	},
	"POST /money": func(w *world, workspace string) example {
		return example{path: "/money", form: url.Values{"currency": {"EUR"}, "rates": {"USD 0.93"}}, done: "money.changed"}
	},
	"GET /sources": func(w *world, workspace string) example {
		w.source(workspace)
		return example{path: "/sources"}
	},
	"GET /sources/{id}": func(w *world, workspace string) example {
		path, _ := w.source(workspace)
		return example{path: path}
	},
	"GET /sources/{id}/runs/{run}": func(w *world, workspace string) example {
		_, run := w.source(workspace)
		return example{path: run}
	},
	"GET /sources/{id}/runs/{run}/problems.csv": func(w *world, workspace string) example {
		_, run := w.source(workspace)
		return example{path: run + "/problems.csv"}
	},
	"GET /sources/{id}/waiting.csv": func(w *world, workspace string) example {
		path, _ := w.source(workspace)
		return example{path: path + "/waiting.csv"}
	},
	"POST /sources/{id}/run": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/run", done: "source.asked"}
	},
	"POST /sources/{id}/pause": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/pause", form: url.Values{"paused": {"1"}}, done: "source.paused"}
	},
	"POST /sources/{id}/delete": func(w *world, workspace string) example {
		return example{path: w.billing(workspace) + "/delete", done: "source.deleted"}
	},
	"GET /status": func(w *world, workspace string) example {
		w.call(workspace)
		return example{path: "/status"}
	},
	"GET /status/{id}": func(w *world, workspace string) example {
		return example{path: "/status/" + w.call(workspace)}
	},
	"GET /email": func(w *world, workspace string) example {
		w.domain(workspace)
		return example{path: "/email"}
	},
	"POST /email": func(w *world, workspace string) example {
		return example{path: "/email", form: url.Values{"domain": {"example.com"}, "from": {"hello@example.com"}}, done: "email.set"}
	},
	"POST /email/check": func(w *world, workspace string) example {
		w.domain(workspace)
		return example{path: "/email/check", done: "email.checked"}
	},
	"POST /email/key": func(w *world, workspace string) example {
		w.domain(workspace)
		return example{path: "/email/key", done: "email.key_made"}
	},
	"POST /email/remove": func(w *world, workspace string) example {
		w.domain(workspace)
		return example{path: "/email/remove", done: "email.removed"}
	},
	"POST /people/invitations": func(w *world, workspace string) example {
		return example{path: "/people/invitations", form: url.Values{"email": {"new@example.com"}, "role": {"viewer"}}, done: "member.invited"}
	},
	"POST /people/invitations/{id}/take-back": func(w *world, workspace string) example {
		w.link(workspace)
		open, err := w.people.Invitations(w.Context(), workspace)
		if err != nil {
			w.Fatal(err)
		}
		return example{path: "/people/invitations/" + open[0].ID + "/take-back", done: "invitation.taken_back"}
	},
	"POST /people/{id}/role": func(w *world, workspace string) example {
		return example{path: "/people/" + w.member(workspace) + "/role", form: url.Values{"role": {"admin"}}, done: "member.role_changed"}
	},
	"POST /people/{id}/remove": func(w *world, workspace string) example {
		return example{path: "/people/" + w.member(workspace) + "/remove", done: "member.removed"}
	},
	"POST /profile/password": func(w *world, workspace string) example {
		return example{path: "/profile/password", form: url.Values{"old_password": {password}, "password": {"another unreal one"}}, done: "password.changed"}
	},
	"POST /profile/sessions/{id}/end": func(w *world, workspace string) example {
		return example{path: "/profile/sessions/" + strings.Repeat("0", 64) + "/end", done: "session.ended"}
	},
	"POST /profile/sessions/end-others": func(w *world, workspace string) example {
		return example{path: "/profile/sessions/end-others", done: "session.ended"}
	},
}

func init() {
	for name, e := range map[string]struct {
		state uploads.State
		done  string
	}{
		"GET /uploads/{id}":              {uploads.Checked, ""},
		"GET /uploads/{id}/rejected.csv": {uploads.Checked, ""},
		"POST /uploads/{id}/file":        {uploads.Awaiting, "upload.sent"},
		"POST /uploads/{id}/check":       {"arrived", "upload.sent"},
		"POST /uploads/{id}/apply":       {uploads.Checked, "upload.applied"},
		"POST /uploads/{id}/cancel":      {uploads.Checked, "upload.cancelled"},
		"POST /uploads/{id}/resume":      {uploads.Checking, "upload.resumed"},
	} {
		examples[name] = func(w *world, workspace string) example {
			_, path, _ := strings.Cut(name, " ")
			return example{path: strings.Replace(path, "{id}", w.upload(workspace, e.state), 1), done: e.done}
		}
	}
	examples["GET /uploads"] = func(w *world, workspace string) example {
		w.upload(workspace, uploads.Checked)
		return example{path: "/uploads"}
	}
	examples["POST /uploads"] = func(w *world, workspace string) example {
		return example{path: "/uploads", form: url.Values{"family": {"accounts"}}, done: "upload.begun"}
	}
}

// upload makes an upload in a workspace, of a file with a row that is good and one
// that is not, brings it to a state, and returns its id. In the state "arrived" it
// awaits its file still, which is there.
func (w *world) upload(workspace string, state uploads.State) string {
	w.Helper()
	u, err := w.uploads.Create(w.Context(), workspace, secretOf(workspace)+"@example.com", "accounts", uploads.Options{})
	if err == nil && state != uploads.Awaiting {
		err = w.uploads.Receive(w.Context(), workspace, u.ID, strings.NewReader(accountsFile+secretOf(workspace)+"-2,,2024-01-01\n"))
	}
	if err == nil && state != uploads.Awaiting && state != "arrived" {
		_, err = w.uploads.Check(w.Context(), workspace, u.ID, secretOf(workspace)+".csv")
	}
	if err == nil && state == uploads.Checked {
		_, err = w.uploads.Run(w.Context(), workspace, u.ID)
	}
	if err != nil {
		w.Fatal(err)
	}
	return u.ID
}

// accountsFile is a file with one account.
const accountsFile = "account_id,name,join_date\na,A,2024-01-01\n"

// key makes a key of a workspace and returns its id.
func (w *world) key(workspace string) string {
	w.Helper()
	keys, err := w.access.Keys(w.Context(), workspace)
	if err != nil {
		w.Fatal(err)
	}
	k, _, err := w.access.CreateKey(w.Context(), workspace, access.AccountAPI, fmt.Sprintf("%s key %d", secretOf(workspace), len(keys)), "")
	if err != nil {
		w.Fatal(err)
	}
	return k.ID
}

// call logs an API call of a workspace of which a record failed, and returns its id.
func (w *world) call(workspace string) string {
	w.Helper()
	key := w.key(workspace)
	if err := w.calls.Record(w.Context(), workspace, calls.Call{
		Method: "POST", Endpoint: "/accounts", Family: "accounts", Kind: calls.Write, KeyID: key, Status: 200, DurationMS: 1234.5, BodyBytes: 4321,
		Code: "missing_field", Message: "No record was applied; the first failure: " + secretOf(workspace), Records: &calls.Records{Received: 3, Failed: 3},
		Failures: []calls.Failure{{Record: 1, IDs: map[string]string{"account_id": "<b>" + secretOf(workspace)}, Code: "missing_field", Field: "name", Message: secretOf(workspace)}},
	}); err != nil {
		w.Fatal(err)
	}
	all, err := w.calls.Last(w.Context(), workspace, []string{key}, calls.Filter{})
	if err != nil || len(all) == 0 {
		w.Fatal(all, err)
	}
	return all[0].ID
}

// domain sets up the domain that a workspace sends mail from.
func (w *world) domain(workspace string) {
	w.Helper()
	domain := secretOf(workspace) + ".example"
	if _, err := w.mail.Set(w.Context(), workspace, domain, "hello@"+domain); err != nil {
		w.Fatal(err)
	}
}

// link invites somebody to a workspace, and returns the link's token.
func (w *world) link(workspace string) string {
	w.Helper()
	_, token, err := w.people.Invite(w.Context(), workspace, secretOf(workspace)+"-invited@example.com", identity.Viewer, "")
	if err != nil {
		w.Fatal(err)
	}
	return token
}

// member makes somebody a viewer of a workspace and returns their id.
func (w *world) member(workspace string) string {
	w.Helper()
	email := secretOf(workspace) + "-member@example.com"
	w.as(workspace, email, identity.Viewer)
	members, err := w.people.Members(w.Context(), workspace)
	if err != nil {
		w.Fatal(err)
	}
	for _, m := range members {
		if m.Email == email {
			return m.ID
		}
	}
	w.Fatal("the member is not there")
	return ""
}

// secretOf is a word that stands in everything of a workspace, and nowhere else.
func secretOf(workspace string) string { return "secret-of-" + workspace }

// exampleOf returns how to ask for a route, and whether that takes an example.
func (w *world) exampleOf(r console.Route, workspace string) (example, bool) {
	w.Helper()
	make, ok := examples[r.Method+" "+r.Path]
	if !ok {
		if r.Method != http.MethodGet || strings.Contains(strings.TrimSuffix(r.Path, "{$}"), "{") {
			w.Fatalf("there is no example of %s %s", r.Method, r.Path)
		}
		return example{path: strings.TrimSuffix(r.Path, "{$}")}, false
	}
	return make(w, workspace), true
}

// each runs a test for each route that is wanted, in a world of its own.
func each(t *testing.T, wanted func(console.Route) bool, test func(w *world, r console.Route)) {
	t.Helper()
	ran := 0
	for _, r := range console.Routes() {
		if !wanted(r) {
			continue
		}
		ran++
		t.Run(r.Method+" "+strings.ReplaceAll(r.Path, "/", " "), func(t *testing.T) {
			t.Parallel()
			test(newWorld(t), r)
		})
	}
	if ran == 0 {
		t.Error("there is no such route")
	}
}

// ask sends what an example says.
func (b *browser) ask(r console.Route, e example) answer {
	b.w.Helper()
	if r.Method == http.MethodGet {
		return b.get(e.path)
	}
	if r.Streams {
		return b.postFile(e.path, "file.csv", accountsFile, nil)
	}
	return b.post(e.path, e.form)
}

func TestAStrangerIsSentToTheSignIn(t *testing.T) {
	t.Parallel()
	each(t, func(r console.Route) bool { return r.Role != "" }, func(w *world, r console.Route) {
		w.as("acme", "admin@acme.example", identity.Admin)
		e, _ := w.exampleOf(r, "acme")
		before := w.stored()
		b := w.stranger()
		if a := b.ask(r, e); a.status != http.StatusSeeOther || !strings.Contains(a.header.Get("Location"), "/sign-in") {
			w.Errorf("%d %q", a.status, a.header.Get("Location"))
		}
		if a := b.send(r.Method, e.path, nil, wantJSON); a.status != http.StatusUnauthorized || !strings.Contains(a.body, `"status_is_ok":false`) {
			w.Errorf("JSON: %d %s", a.status, a.body)
		}
		if after := w.stored(); after != before {
			w.Errorf("something was written: %s, before: %s", after, before)
		}
	})
}

// stored returns how much is stored of what people can change in both workspaces.
func (w *world) stored() string {
	w.Helper()
	var all strings.Builder
	for _, workspace := range []string{"acme", "globex"} {
		keys, err := w.access.Keys(w.Context(), workspace)
		if err != nil {
			w.Fatal(err)
		}
		members, err := w.people.Members(w.Context(), workspace)
		if err != nil {
			w.Fatal(err)
		}
		open, err := w.people.Invitations(w.Context(), workspace)
		if err != nil {
			w.Fatal(err)
		}
		log, err := w.people.Audit(w.Context(), workspace, "", 100)
		if err != nil {
			w.Fatal(err)
		}
		mail, err := w.mail.Get(w.Context(), workspace)
		if err != nil {
			w.Fatal(err)
		}
		sent, err := w.uploads.List(w.Context(), workspace, "", 100)
		if err != nil {
			w.Fatal(err)
		}
		for i := range sent {
			sent[i].Dialect = nil // which is at another place in memory each time
		}
		fmt.Fprintf(&all, "%s %+v %+v %+v %+v %+v %+v\n", workspace, keys, members, open, log, *mail, sent)
	}
	return all.String()
}

func TestAViewerMayLookAndChangeNothing(t *testing.T) {
	t.Parallel()
	each(t, func(r console.Route) bool { return r.Role == identity.Admin || r.Role == identity.Viewer }, func(w *world, r console.Route) {
		w.as("acme", "admin@acme.example", identity.Admin)
		viewer := w.as("acme", "viewer@acme.example", identity.Viewer)
		e, _ := w.exampleOf(r, "acme")
		before := w.stored()
		a := viewer.ask(r, e)
		if r.Role == identity.Viewer {
			if r.Method != http.MethodGet {
				w.Errorf("a viewer may %s", r.Method)
			}
			if a.status != http.StatusOK {
				w.Errorf("%d %s", a.status, a.body)
			}
			return
		}
		if a.status != http.StatusForbidden || !strings.Contains(a.body, "Only an admin") {
			w.Errorf("%d %s", a.status, a.body)
		}
		if after := w.stored(); after != before {
			w.Errorf("something was written: %s, before: %s", after, before)
		}
	})
}

func TestNothingOfAnotherWorkspaceIsReachable(t *testing.T) {
	t.Parallel()
	each(t, func(r console.Route) bool { return r.Role != "" }, func(w *world, r console.Route) {
		w.as("globex", "admin@globex.example", identity.Admin)
		w.key("globex")
		b := w.as("acme", "admin@acme.example", identity.Admin)
		e, given := w.exampleOf(r, "globex")
		foreign := given && (strings.Contains(r.Path, "{") || e.form.Get("workspace") != "")
		a := b.ask(r, e)
		if strings.Contains(a.body, secretOf("globex")) {
			w.Errorf("it tells of the other workspace: %s", a.body)
		}
		if r.Role != console.Anybody || e.form.Get("workspace") != "" {
			if foreign && a.status != http.StatusNotFound && a.status != http.StatusUnprocessableEntity {
				w.Errorf("%d %s", a.status, a.body)
			}
		}
		log, err := w.people.Audit(w.Context(), "globex", "", 100)
		if err != nil {
			w.Fatal(err)
		}
		for _, entry := range log {
			if entry.By == "admin@acme.example" {
				w.Errorf("something was done there: %+v", entry)
			}
		}
	})
}

func TestChangesNeedTheFormTokenAndThisSite(t *testing.T) {
	t.Parallel()
	each(t, func(r console.Route) bool { return r.Method != http.MethodGet }, func(w *world, r console.Route) {
		b := w.as("acme", "admin@acme.example", identity.Admin)
		e, _ := w.exampleOf(r, "acme")
		before := w.stored()
		if r.Role != "" {
			for _, token := range []string{"", "x", b.token + "x"} {
				wrong := *b
				wrong.token = token
				if a := wrong.ask(r, e); a.status != http.StatusForbidden || !strings.Contains(a.body, "out of date") {
					w.Errorf("form token %q: %d %s", token, a.status, a.body)
				}
			}
		}
		form := url.Values{"form_token": {b.token}}
		for name, values := range e.form {
			form[name] = values
		}
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"} {
			header := formType.Clone()
			header.Set(name, value)
			if a := b.send(r.Method, e.path, strings.NewReader(form.Encode()), header); a.status != http.StatusForbidden || !strings.Contains(a.body, "another site") {
				w.Errorf("%s %s: %d %s", name, value, a.status, a.body)
			}
		}
		if after := w.stored(); after != before {
			w.Errorf("something was written: %s, before: %s", after, before)
		}
	})
}

func TestEveryChangeWorksAndIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	each(t, func(r console.Route) bool { return r.Method != http.MethodGet }, func(w *world, r console.Route) {
		b := w.as("acme", "admin@acme.example", identity.Admin)
		e, _ := w.exampleOf(r, "acme")
		if e.by != nil {
			b = e.by(w)
		}
		before, err := w.people.Audit(w.Context(), "acme", "", 100)
		if err != nil {
			w.Fatal(err)
		}
		w.advance(time.Millisecond)
		a := b.ask(r, e)
		if a.status >= http.StatusBadRequest {
			w.Fatalf("%d %s", a.status, a.body)
		}
		if _, query, _ := strings.Cut(a.header.Get("Location"), "?"); query != "" {
			if done, err := url.ParseQuery(query); err != nil || done.Has("done") && console.Notice(done.Get("done")) == "" {
				w.Errorf("there is no notice %q", query)
			}
		}
		log, err := w.people.Audit(w.Context(), "acme", "", 100)
		if err != nil {
			w.Fatal(err)
		}
		switch n := len(log) - len(before); {
		case e.done == "" && n != 0:
			w.Errorf("the audit log tells of what changes nothing: %+v", log[0])
		case e.done != "" && (n != 1 || log[0].Action != e.done || log[0].Address != "127.0.0.1" || log[0].Object == ""):
			w.Errorf("%d entries; the latest %+v", n, log)
		case e.done != "" && e.by == nil && log[0].By != "admin@acme.example":
			w.Errorf("by %+v", log[0])
		}
		if r.Role == identity.Admin && e.done == "" {
			w.Error("what only an admin may do is in no audit log")
		}
	})
}

func TestEveryPageIsHTMLAndJSON(t *testing.T) {
	t.Parallel()
	each(t, func(r console.Route) bool { return r.Method == http.MethodGet }, func(w *world, r console.Route) {
		b := w.as("acme", "admin@acme.example", identity.Admin)
		e, _ := w.exampleOf(r, "acme")
		html := b.get(e.path)
		if strings.HasPrefix(html.header.Get("Content-Disposition"), "attachment") {
			return // a file is what it is
		}
		if e.done != "" && html.status == http.StatusSeeOther {
			return // nor is a change a page, which somebody is led to from elsewhere
		}
		if html.status != http.StatusOK || !strings.HasPrefix(html.header.Get("Content-Type"), "text/html") || !strings.Contains(html.body, "</html>") {
			w.Errorf("%d %s %s", html.status, html.header.Get("Content-Type"), html.body)
		}
		if policy := html.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			w.Errorf("policy %q", policy)
		}
		if html.header.Get("Cache-Control") != "no-store" || html.header.Get("X-Content-Type-Options") != "nosniff" {
			w.Errorf("%v", html.header)
		}
		for _, inline := range []string{"<style", " style=", " onclick=", "javascript:"} {
			if strings.Contains(html.body, inline) {
				w.Errorf("there is %q in the page", inline)
			}
		}
		json := b.json(e.path)
		if json.status != http.StatusOK || json.header.Get("Content-Type") != "application/json" || !strings.Contains(json.body, `"status_is_ok":true`) || !strings.Contains(json.body, `"data"`) {
			w.Errorf("%d %s %s", json.status, json.header.Get("Content-Type"), json.body)
		}
	})
}

func TestPagesThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "admin@acme.example", identity.Admin)
	for path, status := range map[string]int{
		"/unknown": http.StatusNotFound, "/keys/": http.StatusNotFound, "/assets/unknown": http.StatusNotFound, "/assets/..%2fconsole.go": http.StatusNotFound,
		"/sign-out": http.StatusMethodNotAllowed,
	} {
		if a := b.get(path); a.status != status {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := b.send(http.MethodDelete, "/keys", nil, wantJSON); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" || !strings.Contains(a.body, `"status_is_ok":false`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get(""); a.status != http.StatusFound || a.header.Get("Location") != "admin/" {
		t.Errorf("%d %v", a.status, a.header)
	}
}
