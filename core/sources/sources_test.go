package sources_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/mapping"
	"tenure/core/sources"
)

func sor(s *sources.Source) { s.SystemOfRecord = true }

func (w *world) someRows(site string) {
	w.system.put(site+"/companies",
		row{"id": 1, "name": "Acme", "joined": "2024-01-02", "account_no": 1042.0, "tier": "gold"},
		row{"id": 2, "name": "Beta", "joined": "2024-02-02", "account_no": "beta"},
		row{"id": 3, "name": "Gamma", "joined": "2024-03-02", "account_no": nil},
		row{"id": 4, "name": "Delta", "joined": "2024-04-02", "account_no": "delta"})
	w.system.put(site+"/people",
		row{"id": "p1", "first": "Ann", "last": "Lee", "email": "ann@acme.example", "company": 1},
		row{"id": "p2", "first": "Bo", "last": "Ray", "email": "Bo@Beta.example", "company": 2},
		row{"id": "p3", "first": "Cy", "last": "Fox", "email": "cy@gamma.example", "company": 3})
	w.system.put(site+"/tickets",
		row{"id": 11, "subject": "Help", "state": "open", "created": 1700000000, "company": 1, "agent_id": "p2", "comments": []any{
			row{"id": 1, "created": 1700000001, "text": "first"}, row{"id": 2, "created": 1700000002, "text": "second"}}},
		row{"id": 12, "subject": strings.Repeat("x", 200), "state": "open", "created": 1700000000, "company": nil, "person": "p2"},
		row{"id": 13, "subject": "None", "state": "open", "created": 1700000000, "company": nil, "person": "p9"},
		row{"id": 14, "subject": "No state", "state": nil, "created": 1700000000, "company": 4})
}

func TestTheSystemOfRecordMakesAccountsAndWhatBelongsToThem(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	w.clock.pass(time.Hour)
	s := w.source("one", sor)
	r := w.done(s)
	const want = "companies 4 read 0 passed 3+ 0~ 0= 0 failed 1 mismatched 0 filtered 0 deleted; " +
		"people 3 read 0 passed 2+ 0~ 0= 0 failed 1 mismatched 0 filtered 0 deleted; " +
		"tickets 4 read 0 passed 4+ 0~ 0= 1 failed 1 mismatched 0 filtered 0 deleted"
	if got := counts(r); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for got, want := range map[string]string{
		w.show("accounts", "", "1042", "name", "join_date", "support_account_id", "tier", "source"): `{"name":"Acme","join_date":1704153600000,"support_account_id":"1","tier":"gold","source":"Desk"}`,
		w.show("account_contacts", "beta", "p2", "first_name", "email"):                             `{"first_name":"Bo","email":"Bo@Beta.example"}`,
		w.show("support_tickets", "", "11", "account_id", "assignee_email", "create_time"):          `{"account_id":"1042","assignee_email":"Bo@Beta.example","create_time":1700000000000}`,
		w.show("support_tickets", "", "12", "account_id"):                                           `{"account_id":"beta"}`,
		w.show("interactions", "", "11-2", "account_id", "details"):                                 `{"account_id":"1042","details":"second"}`,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if r.Waiting != 4 || r.Problems != 4 || r.Total().Clipped != 1 {
		t.Errorf("%+v", r)
	}
	var messages []string
	for _, p := range w.problems(s, r) {
		messages = append(messages, p.Stream+" "+p.ID+": "+p.Message)
	}
	const wantMessages = "companies 3: There is nothing that names its account: Account field of companies is empty\n" +
		"people p3: companies 3 of the system has no account, or is not known\n" +
		"tickets 13: people p9 of the system has no account, or is not known\n" +
		"tickets 14: Missing required field for insert: 'state'"
	if got := strings.Join(messages, "\n"); got != wantMessages {
		t.Errorf("%s\nwant\n%s", got, wantMessages)
	}

	before := w.writes
	w.clock.pass(time.Hour)
	r = w.done(s)
	if w.writes != before {
		t.Errorf("a run without changes has written %d times", w.writes-before)
	}
	if got, want := counts(r), "companies 4 read 3 passed 0+ 0~ 0= 0 failed 1 mismatched 0 filtered 0 deleted; people 0 read 0 passed 0+ 0~ 0= 0 failed 1 mismatched 0 filtered 0 deleted; "+
		"tickets 0 read 0 passed 0+ 0~ 0= 1 failed 1 mismatched 0 filtered 0 deleted"; got != want || r.Problems != 0 || r.Waiting != 4 {
		t.Errorf("%s, %+v", got, r)
	}
}

func TestARecordOfWhichNothingIsMadeNeedsNoAccount(t *testing.T) {
	w := newWorld(t)
	w.system.put("one/tickets", row{"id": 1, "kind": "chat", "company": 9})
	if r := w.done(w.source("one", nil)); r.Waiting != 0 || r.Problems != 0 || r.Total().Read != 1 {
		t.Errorf("%s, %+v", counts(r), r)
	}
}

func TestWhatWaitsIsPlacedOnceThereIsAnAccount(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", sor)
	w.done(s)
	w.clock.pass(time.Hour)
	w.system.put("one/companies", row{"id": 3, "name": "Gamma", "joined": "2024-03-02", "account_no": "gamma"})
	r := w.done(s)
	if r.Waiting != 2 || w.show("account_contacts", "gamma", "p3", "first_name") != `{"first_name":"Cy"}` {
		t.Errorf("%s, %+v", counts(r), r)
	}
}

// TestWhatWaitedIsMappedWithTheFacts has a record wait in one run, and be made in
// another, which has not asked for anything of its stream before.
func TestWhatWaitedIsMappedWithTheFacts(t *testing.T) {
	w := newWorld(t)
	people := &w.Connector("desk").Streams[1]
	people.Facts = []connector.Fact{{Name: "title", Request: connector.Request{Path: "/me"}, Pick: `"Dr "`}}
	people.Feeds[0].Fields[1].From = "$facts.title + .first"
	w.someRows("one")
	s := w.source("one", sor)
	w.done(s)
	w.clock.pass(time.Hour)
	w.system.put("one/companies", row{"id": 3, "name": "Gamma", "joined": "2024-03-02", "account_no": "gamma"})
	w.done(s)
	if got := w.show("account_contacts", "gamma", "p3", "first_name"); got != `{"first_name":"Dr Cy"}` {
		t.Errorf("what waited: %s", got)
	}
	if _, err := w.Import(t.Context(), "acme", s.ID, "people", strings.NewReader(`{"id":"f","first":"Fay","last":"L","company":3}`), nil); err != nil {
		t.Fatal(err)
	}
	if got := w.show("account_contacts", "gamma", "f", "first_name"); got != `{"first_name":"Dr Fay"}` {
		t.Errorf("what was in a file: %s", got)
	}
}

func TestARunGoesOnWhereItWasKilled(t *testing.T) {
	for killed := 1; ; killed++ {
		w := newWorld(t)
		w.someRows("one")
		s := w.source("one", sor)
		if err := w.Ask(t.Context(), "acme", s.ID, false); err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(t.Context())
		w.system.refuse = func(n int, _ *http.Request) *http.Response {
			if n == killed {
				kill()
				return answer(500, row{})
			}
			return nil
		}
		_, err := w.Store.Run(ctx, "acme", s.ID)
		kill()
		if err == nil {
			if killed < 5 {
				t.Fatalf("the run took %d requests only", killed-1)
			}
			return // it had come to its end before
		}
		w.system.refuse = nil
		r := w.done(s)
		if w.show("support_tickets", "", "12", "account_id") == "" || w.show("accounts", "", "delta", "name") == "" || r.Waiting != 4 {
			t.Errorf("killed at request %d: %s", killed, counts(r))
		}
	}
}

func TestWhatTheSystemHasDeletedIsTakenBack(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", func(s *sources.Source) { s.SystemOfRecord, s.Inactivate = true, true })
	w.done(s)
	w.clock.pass(time.Hour)
	w.system.drop("one/companies", 4)
	w.system.put("one/people", row{"id": "p2", "deleted": true}, row{"id": "p1", "first": "Ann", "last": "Lee", "email": "ann@acme.example", "company": 2})
	w.system.put("one/tickets", row{"id": 11, "deleted": true})
	r := w.done(s)
	for got, want := range map[string]string{
		w.show("accounts", "", "delta", "is_active", "inactive_reason"): `{"is_active":false,"inactive_reason":"Deleted in Desk"}`,
		w.show("account_contacts", "beta", "p2", "is_active"):           `{"is_active":false}`,
		w.show("account_contacts", "1042", "p1", "is_active"):           `{"is_active":false}`,
		w.show("account_contacts", "beta", "p1", "is_active"):           `{"is_active":true}`,
		w.show("support_tickets", "", "11", "account_id"):               "",
		w.show("interactions", "", "11-1", "account_id"):                "",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if p := w.problems(s, r); len(p) != 2 || p[0].Trouble != sources.Gone || p[0].Value != "delta" {
		t.Errorf("%+v", p)
	}
	w.clock.pass(time.Hour)
	w.system.put("one/companies", row{"id": 4, "name": "Delta", "joined": "2024-04-02", "account_no": "delta"})
	if w.done(s); w.show("accounts", "", "delta", "is_active") != `{"is_active":true}` {
		t.Error("an account that has come back is not active")
	}
}

func TestHalfOfAListDoesNotVanishWithoutAWord(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.system.put("one/companies", row{"id": i, "name": "N", "joined": "2024-01-02", "account_no": i})
	}
	s := w.source("one", func(s *sources.Source) { s.SystemOfRecord, s.Inactivate = true, true })
	w.done(s)
	w.clock.pass(time.Hour)
	for i := range 30 {
		w.system.drop("one/companies", i)
	}
	if r := w.run(s, false); r.Outcome != sources.Failed || r.Why.Code != "deletions" || w.show("accounts", "", "3", "is_active") != `{"is_active":true}` {
		t.Errorf("%+v, %+v", r, r.Why)
	}
	s, err := w.Get(t.Context(), "acme", s.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.DeleteMany = true
	if err := w.Update(t.Context(), "acme", s); err != nil {
		t.Fatal(err)
	}
	if r := w.done(s); r.Total().Deleted != 30 || w.show("accounts", "", "3", "is_active") != `{"is_active":false}` {
		t.Error(counts(r))
	}
}

func TestAnotherSourceAttachesToAccountsThatExist(t *testing.T) {
	for _, location := range []string{"field", "id", "email"} {
		t.Run(location, func(t *testing.T) {
			w := newWorld(t)
			w.someRows("one")
			w.done(w.source("one", sor))
			w.system.put("two/companies", row{"id": 1, "name": "Another name", "joined": "2020-01-01", "account_no": "1042", "tier": "tin"}, row{"id": 9, "name": "Nobody", "account_no": "nobody"}, row{"id": 8, "account_no": "delta", "tier": "gold"})
			w.system.put("two/people", row{"id": "q1", "first": "Di", "last": "Day", "email": "ANN@acme.example ", "company": 1}, row{"id": "q2", "first": "Ed", "last": "Eel", "email": "ed@nobody.example", "company": 9})
			w.system.put("two/tickets", row{"id": 1, "subject": "S", "state": "open", "created": 1, "person": "q1"}, row{"id": 2, "subject": "S", "state": "open", "created": 1, "person": "q2"})
			s := w.source("two", func(s *sources.Source) {
				s.Connector, s.Location, s.Prefix = "other", location, "two-"
				s.Mapping = []sources.Mapped{{Stream: "companies", Family: "accounts", To: "tier", From: ".tier"}}
			})
			r := w.done(s)
			if location == "field" && w.show("accounts", "", "delta", "support_account_id", "tier") != `{"support_account_id":"4","tier":"gold"}` {
				t.Error("an id is replaced, or what an administrator has mapped is not")
			}
			if got := w.show("accounts", "", "1042", "name", "tier", "support_account_id", "source"); got != `{"name":"Acme","tier":"`+map[bool]string{true: "gold", false: "tin"}[location == "email"]+`","support_account_id":"1","source":"Desk"}` {
				t.Errorf("the account is %s", got)
			}
			if w.show("accounts", "", "nobody", "name") != "" || w.show("support_tickets", "", "two-1", "account_id") != `{"account_id":"1042"}` || w.show("support_tickets", "", "two-2", "account_id") != "" {
				t.Errorf("%s, %+v", counts(r), w.problems(s, r))
			}
			if waiting, next, err := w.WaitingRecords(t.Context(), "acme", s.ID, "tickets", "", 10); err != nil || next != "" || len(waiting) != 1 || waiting[0].ID != "2" {
				t.Errorf("%+v, %v, %v", waiting, next, err)
			}
		})
	}
}

func TestOnlyWhatPassesTheFilterBecomesAnAccount(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	billing := w.source("two", func(s *sources.Source) { s.Prefix = "two-" })
	w.system.put("two/companies", row{"id": 77, "name": "Acme", "account_no": "1042"}, row{"id": 78, "name": "Delta", "account_no": "delta"})
	w.done(billing)
	s := w.source("one", func(s *sources.Source) {
		s.SystemOfRecord, s.Inactivate = true, true
		s.Filter = &sources.Filter{Conditions: []mapping.Condition{{Path: ".name", Operator: "notLike", Value: "delt"}}, AlsoIn: &sources.AlsoIn{Source: billing.ID}}
	})
	r := w.done(s)
	if w.show("accounts", "", "1042", "name") == "" || w.show("accounts", "", "beta", "name") != "" || w.show("accounts", "", "delta", "name") != "" {
		t.Errorf("%s", counts(r))
	}
	w.clock.pass(time.Hour)
	w.system.put("two/companies", row{"id": 79, "name": "Beta", "account_no": "beta"})
	w.done(billing)
	r = w.done(s)
	if w.show("accounts", "", "beta", "name") == "" || w.show("account_contacts", "beta", "p2", "first_name") == "" {
		t.Errorf("not imported once it is known to the other source: %s", counts(r))
	}
	w.clock.pass(time.Hour)
	w.system.put("one/companies", row{"id": 2, "name": "Beta & Delta", "joined": "2024-02-02", "account_no": "beta"})
	r = w.done(s)
	if got := w.show("accounts", "", "beta", "is_active", "name"); got != `{"is_active":false,"name":"Beta"}` {
		t.Errorf("%s: %s", got, counts(r))
	}
	w.clock.pass(time.Hour)
	w.system.put("one/companies", row{"id": 2, "name": "Beta again", "joined": "2024-02-02", "account_no": "beta"})
	w.done(s)
	if got := w.show("accounts", "", "beta", "is_active", "name"); got != `{"is_active":true,"name":"Beta again"}` {
		t.Error(got)
	}
}

func TestATokenIsRefreshedOnceAndStoredBeforeItIsUsed(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", sor)
	server := w.behind(30 * time.Minute)
	if err := w.SetCredentials(t.Context(), "acme", s, "oauth", app, ann); err != nil {
		t.Fatal(err)
	}
	if r := w.run(s, false); r.Outcome != sources.Failed || r.Why.Code != "credentials" {
		t.Errorf("without a token: %+v", r.Why)
	}
	w.grant(server, "acme", s, "read")
	w.done(s)
	for tokens := 2; tokens < 4; tokens++ { // by a refresh token that is good once
		w.clock.pass(time.Hour)
		w.done(s)
		if server.Given() != tokens {
			t.Errorf("%d tokens, want %d", server.Given(), tokens)
		}
	}
	server.RevokeAll()
	w.clock.pass(time.Hour)
	if r := w.run(s, false); r.Outcome != sources.Failed || r.Why.Code != "credentials" || strings.Contains(r.Why.Message, "secret-") {
		t.Errorf("%+v", r.Why)
	}
	if c, err := w.Credential(t.Context(), "acme", s); err != nil || !c.Refused || c.Auth != "oauth" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAPreviewShowsWhatWouldHappenAndWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", sor)
	before := w.writes
	all, err := w.Preview(t.Context(), "acme", s, "")
	if err != nil {
		t.Fatal(err)
	}
	if w.writes != before {
		t.Errorf("it has written %d times", w.writes-before)
	}
	if len(all) != 3 || len(all[0].Records) != 4 || all[0].Records[0].Account != "1042" || all[0].Records[0].Made[0].What != "inserted" || all[0].Records[2].Problem == nil ||
		len(all[2].Records[0].Made) != 3 || !strings.Contains(string(all[2].Records[0].Made[0].Record), `"ticket_id":"11"`) {
		t.Errorf("%+v", all)
	}
}

func TestExportedRecordsAreImportedLikeOthers(t *testing.T) {
	w := newWorld(t)
	s := w.source("one", sor)
	read := 0
	r, err := w.Import(t.Context(), "acme", s.ID, "companies", strings.NewReader(`[{"id":1,"name":"A","joined":"2024-01-01","account_no":"a"},{"id":2,"name":"B","joined":"2024-01-01","account_no":"b"}]`), func(n int) { read = n })
	if err != nil || r.Outcome != sources.Done || counts(r) != "companies 2 read 0 passed 2+ 0~ 0= 0 failed 0 mismatched 0 filtered 0 deleted" || read != 2 {
		t.Errorf("%+v, %v, %d", r, err, read)
	}
	r, err = w.Import(t.Context(), "acme", s.ID, "people", strings.NewReader("{\"items\":[{\"id\":\"p\",\"first\":\"F\",\"last\":\"L\",\"company\":1}]}\n{\"id\":\"q\",\"first\":\"F\",\"last\":\"L\",\"company\":2}\n{\"id\""), nil)
	if err != nil || r.Outcome != sources.Failed || r.Why.Code != "answer" || r.Total().Inserted != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAReportOfManyLongProblemsIsKeptWhole(t *testing.T) {
	w := newWorld(t)
	for i := range 700 {
		w.system.put("one/tickets", row{"id": i, "name": strings.Repeat("\x01\"", 400), "subject": "S", "state": "open", "created": 1, "company": strings.Repeat("\x02", 500)})
	}
	s := w.source("one", nil)
	r := w.done(s)
	var got []sources.Problem
	for after, more := "", true; more; {
		part, next, err := w.Problems(t.Context(), "acme", s.ID, r.ID, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		got, after, more = append(got, part...), next, next != ""
	}
	if len(got) != 700 || r.Problems != 700 || r.Waiting != 700 {
		t.Errorf("%d problems: %+v", len(got), r)
	}
}

func TestSettingsThatCannotBeAreNamed(t *testing.T) {
	w := newWorld(t)
	first := w.source("one", sor)
	for field, change := range map[string]func(*sources.Source){
		"connector":        func(s *sources.Source) { s.Connector = "nothing" },
		"settings.site":    func(s *sources.Source) { s.Settings["site"] = "evil.example/" },
		"settings.nothing": func(s *sources.Source) { s.Settings["nothing"] = "x" },
		"location":         func(s *sources.Source) { s.Location = "nowhere" },
		"system_of_record": func(s *sources.Source) { s.SystemOfRecord = true },
		"prefix":           func(s *sources.Source) { s.Prefix = "" },
		"every":            func(s *sources.Source) { s.Every = 1 },
		"zone":             func(s *sources.Source) { s.Zone = "Mars/Base" },
		"streams.nothing":  func(s *sources.Source) { s.Streams = map[string]bool{"nothing": true} },
		"mapping.0.to": func(s *sources.Source) {
			s.Mapping = []sources.Mapped{{Stream: "tickets", Family: "support_tickets", To: "nothing", From: ".x"}}
		},
		"mapping.0.from": func(s *sources.Source) {
			s.Mapping = []sources.Mapped{{Stream: "tickets", Family: "support_tickets", To: "priority", From: "range(9)"}}
		},
		"mapping.0.stream": func(s *sources.Source) {
			s.Mapping = []sources.Mapped{{Stream: "tickets", Family: "notes", To: "subject", From: ".x"}}
		},
		"filter":      func(s *sources.Source) { s.Filter = &sources.Filter{} },
		"credentials": func(s *sources.Source) { s.Credentials = "nobody" },
	} {
		s := &sources.Source{Name: "two", Connector: "desk", Settings: map[string]string{"site": "two"}, Prefix: "two-"}
		change(s)
		err := w.Create(t.Context(), "acme", s)
		if failure, ok := errors.AsType[*core.Failure](err); !ok || failure.Field != field || failure.Message == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := w.SetCredentials(t.Context(), "acme", first, "key", map[string]string{}, ann); err == nil {
		t.Error("no key is taken for one")
	}
	if all, err := w.List(t.Context(), "acme"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := w.List(t.Context(), "other"); err != nil || len(all) != 0 {
		t.Errorf("another workspace has %v, %v", all, err)
	}
}

func TestAWorkspacesOwnMappingTakesThePlaceOfTheDefault(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", func(s *sources.Source) {
		s.SystemOfRecord = true
		s.Mapping = []sources.Mapped{{Stream: "companies", Family: "accounts", To: "tier", From: ""}, {Stream: "companies", Family: "accounts", To: "custom_label_dimensions.level", From: ".tier"}}
	})
	w.done(s)
	if got := w.show("accounts", "", "1042", "tier", "custom_label_dimensions"); got != `{"tier":null,"custom_label_dimensions":{"level":"gold"}}` {
		t.Error(got)
	}
}

func TestASourceThatIsDeletedLeavesNothingBehindButItsRecords(t *testing.T) {
	w := newWorld(t)
	w.someRows("one")
	s := w.source("one", sor)
	w.done(s)
	if err := w.Delete(t.Context(), "acme", s.ID); err != nil {
		t.Fatal(err)
	}
	if w.show("accounts", "", "1042", "name") == "" {
		t.Error("its records are gone")
	}
	if c, err := w.Credential(t.Context(), "acme", s); c != nil || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if err := w.Create(t.Context(), "acme", &sources.Source{Connector: "desk", Settings: map[string]string{"site": "x"}, SystemOfRecord: true}); err != nil {
		t.Error(err)
	}
}

func TestARecordThatChangesWhileItWaitsIsAppliedAsItIs(t *testing.T) {
	w := newWorld(t)
	s := w.source("a", func(s *sources.Source) { s.SystemOfRecord = true })
	for _, subject := range []string{"before", "after"} {
		w.system.put("a/tickets", row{"id": "k", "company": "c", "subject": subject, "state": "open", "created": 1_700_000_000})
		for range 2 { // so that it is not read again later because windows overlap
			if r := w.done(s); r.Waiting != 1 {
				t.Fatalf("%d wait", r.Waiting)
			}
			w.clock.pass(time.Hour)
		}
	}
	w.system.put("a/companies", row{"id": "c", "account_no": "A1", "name": "C", "joined": "2024-01-01"})
	w.done(s)
	if got := w.show("support_tickets", "A1", "k", "subject"); !strings.Contains(got, "after") {
		t.Error(got)
	}
}
