package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// conversationTests run for interactions and for notes: N1 holds for both.
var conversationTests = func() []test {
	var tests []test
	for _, v := range []conversations{
		{path: "/interactions", notFound: "Interaction not found", text: "details", texts: 262144, more: object{"type": "email"}, unset: object{
			"rep_first_name": nil, "rep_last_name": nil, "user_id": nil, "user": nil, "details": nil,
		}},
		{path: "/notes", notFound: "Note not found", text: "note", texts: 32768, unset: object{
			"editor_first_name": nil, "editor_last_name": nil, "note": nil,
		}},
	} {
		name := v.path[1:]
		tests = append(tests,
			test{name + " in pages", v.testPages},
			test{name + " read", v.testRead},
			test{name + " uploaded", v.testUpload},
			test{name + " generated ids", v.testGeneratedIDs},
			test{name + " external ids changed", v.testExternalIDs},
			test{name + " modified", v.testModify},
			test{name + " put by external id", v.testPutExternal},
			test{name + " deleted", v.testDelete},
			test{name + " moved", v.testMove},
			test{name + " filtered", v.testFilters},
			test{name + " filtered alone", v.testFiltersOfOne},
			test{name + " modify_time", v.testModifyTime},
			test{name + " ids of any text", v.testAnyExternalID},
			test{name + " dry run", v.testDryRun},
			test{name + " races", v.testRaces},
			test{name + " longest text", v.testLongestText},
		)
	}
	return tests
}()

// conversations is one of the two families.
type conversations struct {
	path, notFound string
	// text is the field of the text itself, which is so long at most.
	text  string
	texts int
	// more is what an insert needs beside what both families need.
	more object
	// unset are the fields that the other family has not, as a read shows them
	// of a record that has nothing but what it needs.
	unset object
}

// record returns a record that is enough for an insert, but for its external id.
func (v conversations) record(account string, more ...object) object {
	return with(with(object{"account_id": account, "create_time": 1000}, v.more), more...)
}

// external returns a record that is enough for an insert.
func (v conversations) external(account, id string, more ...object) object {
	return v.record(account, append([]object{{"external_id": id}}, more...)...)
}

// by returns the path of the record with an external id.
func (v conversations) by(external string) string {
	return v.path + "/external_id/" + segment(external)
}

// id returns the id of the record with an external id, as text.
func (v conversations) id(c *client, external string) string {
	c.Helper()
	return fmt.Sprint(c.one(v.by(external))["id"])
}

// withIDs replaces each $NAME in a text by the id of the record with that external id.
func (v conversations) withIDs(c *client, externals ...string) func(string) string {
	c.Helper()
	var pairs []string
	for _, e := range externals {
		pairs = append(pairs, "$"+e, v.id(c, e))
	}
	return strings.NewReplacer(pairs...).Replace
}

// playWith plays a script in which $NAME stands for ids; see withIDs.
func (v conversations) playWith(c *client, fill func(string) string, steps ...step) {
	c.Helper()
	for _, s := range steps {
		c.play(step{s.name, fill(s.do), fill(s.body), fill(s.want)})
	}
}

func (v conversations) missing() string {
	return fmt.Sprintf(`{"status_is_ok": false, "code": "not_found", "message": %q}`, v.notFound)
}

// listed is the answer of a list of records with these external ids, "" for none.
func (v conversations) listed(externals ...string) string {
	list := []any{}
	for _, e := range externals {
		if e == "" {
			list = append(list, object{"external_id": nil})
		} else {
			list = append(list, object{"external_id": e})
		}
	}
	return toJSON(object{"status_is_ok": true, "results": list})
}

// testRead shows the four forms of GET, and that every field is returned, null
// when unset (Q1).
func (v conversations) testRead(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(v.path, v.external("a", "x")).want(`{"inserted": 1, "changed": 0, "unchanged": 0}`)
	one := toJSON(with(object{
		"<only>": true, "id": "<any>", "external_id": "x", "account_id": "a", "create_time": 1000, "modify_time": "<now>",
		"rep_email": nil, "subject": nil, "source": nil, "is_html": false,
	}, v.more, v.unset))
	fill := v.withIDs(c, "x")
	page := `{"<only>": true, "status_is_ok": true, "current_page": 0, "max_page_size": 1000, "results": [%s]}`
	without := toJSON(with(object{"<only>": true, "id": json.Number(fill("$x")), "external_id": nil, "account_id": "a", "create_time": 1000, "modify_time": "<now>",
		"rep_email": nil, "subject": nil, "source": nil, "is_html": false}, v.more, v.unset))
	v.playWith(c, fill,
		step{"by external id", "GET " + v.by("x"), "", `{"<only>": true, "status_is_ok": true, "results": [` + one + `]}`},
		step{"by id", "GET " + v.path + "/$x", "", `{"<only>": true, "status_is_ok": true, "results": [` + one + `]}`},
		step{"with a slash at the end", "GET " + v.by("x") + "/", "", results(`{"id": $x}`)},
		step{"by id with a slash at the end", "GET " + v.path + "/$x/", "", results(`{"id": $x}`)},
		step{"all", "GET " + v.path, "", fmt.Sprintf(page, one)},
		step{"all with a slash at the end", "GET " + v.path + "/", "", results(`{"id": $x}`)},
		step{"those without an external id", "GET " + v.path + "/external_id", "", fmt.Sprintf(page, "")},
		step{"those with a slash at the end", "GET " + v.path + "/external_id/", "", fmt.Sprintf(page, "")},
		step{"external id taken away", "PUT " + v.path + "/$x", `{"data": {"external_id": null}}`, `{"<only>": true, "status_is_ok": true}`},
		step{"is without one", "GET " + v.path + "/external_id", "", fmt.Sprintf(page, without)},
		step{"with a slash too", "GET " + v.path + "/external_id/", "", fmt.Sprintf(page, without)},
		step{"and among all", "GET " + v.path, "", fmt.Sprintf(page, without)},
		step{"by id still", "GET " + v.path + "/$x", "", results(without)},
		step{"by external id no more", "GET " + v.by("x"), "", `{"<only>": true, "status_is_ok": false, "message": "` + v.notFound + `", "code": "not_found", "field": "<text>", "results": []}`},
		step{"unknown id", "GET " + v.path + "/17", "", v.missing()},
		step{"no number", "GET " + v.path + "/x", "", v.missing()},
		step{"the number in another form", "GET " + v.path + "/0$x", "", v.missing()},
		step{"with a fraction", "GET " + v.path + "/$x.0", "", v.missing()},
		step{"the id as an external one", "GET " + v.by(fill("$x")), "", v.missing()},
		step{"the account", "DELETE /accounts/a", "", ""},
		step{"may be inactive", "GET " + v.path, "", results(without)},
		step{"page 1", "GET " + v.path + "?page=1", "", `{"current_page": 1, "results": []}`},
		step{"page -1", "GET " + v.path + "?page=-1", "", `{"status_is_ok": false, "field": "page", "results": []}`},
		step{"order", "GET " + v.path + "?order_by=id&direction=ASC", "", `{"order_by": "id", "direction": "asc", "results": ["<any>"]}`},
		step{"no such order", "GET " + v.path + "?order_by=subject", "", `{"status_is_ok": false, "code": "not_a_choice", "field": "order_by", "results": []}`},
		step{"no such direction", "GET " + v.path + "/external_id?direction=up", "", `{"status_is_ok": false, "code": "not_a_choice", "field": "direction", "results": []}`},
	)
}

// testUpload shows what POST answers (P5 to P8, N1).
func (v conversations) testUpload(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(v.path, v.external("a", "known"))
	known := json.Number(v.id(c, "known"))
	const unknown = 17
	without := func(field string) object {
		r := v.external("a", "y")
		delete(r, field)
		return r
	}
	records := []any{
		v.external("a", "new"),
		v.record("a"), // 1: neither id nor external id
		v.record("a", object{"id": known, "subject": "by id"}),
		v.record("a", object{"id": unknown}),            // 3
		v.external("a", "never", object{"id": unknown}), // 4
		v.external("a", "known", object{"id": known, "source": "by both"}),
		v.external("nobody", "z", object{"rep_email": "r@example.com"}), // 6
		without("account_id"),                                           // 7
		without("create_time"),                                          // 8
		v.external("a", strings.Repeat("x", 81)),                        // 9
		v.external("a", "z", object{"id": "5"}),                         // 10
		v.external("a", "z", object{"id": 5.5}),                         // 11
		v.external("a", "z", object{"is_html": "no"}),
		v.external("a", "z", object{"create_time": "1"}),
		object{"account_id": "a", "external_id": "known", "create_time": nil}, // 14
		v.external("a", "z", object{v.text: strings.Repeat(wideRune, v.texts+1)}),
		v.record("a", object{"external_id": ""}),  // 16
		v.record("a", object{"external_id": nil}), // 17
	}
	neither := `{"record": %d, "code": "missing_field", "field": "external_id", "message": "<text>", "account_id": "a"}`
	want := `{"status_is_ok": true, "inserted": 1, "changed": 2, "unchanged": 0, "failed": 15, "message": "<absent>", "failed_results": [` + strings.Join([]string{
		fmt.Sprintf(neither, 1),
		`{"<only>": true, "record": 3, "status_is_ok": false, "code": "not_found", "field": "id", "message": "` + v.notFound + `", "account_id": "a", "id": 17}`,
		`{"record": 4, "code": "not_found", "field": "id", "account_id": "a", "external_id": "never", "id": 17}`,
		`{"<only>": true, "record": 6, "status_is_ok": false, "code": "not_found", "field": "account_id", "message": "Account not found", "account_id": "nobody", "external_id": "z"}`,
		`{"record": 7, "code": "missing_field", "field": "account_id", "external_id": "y"}`,
		`{"record": 8, "code": "missing_field", "field": "create_time", "message": "Missing required field for insert: 'create_time'", "account_id": "a", "external_id": "y"}`,
		`{"record": 9, "code": "too_long", "field": "external_id", "account_id": "a"}`,
		`{"record": 10, "code": "wrong_type", "field": "id", "message": "'id' value must be a number", "external_id": "z"}`,
		`{"record": 11, "code": "wrong_type", "field": "id"}`,
		`{"record": 12, "code": "wrong_type", "field": "is_html", "message": "'is_html' must be boolean"}`,
		`{"record": 13, "code": "wrong_type", "field": "create_time"}`,
		`{"record": 14, "code": "missing_field", "field": "create_time", "external_id": "known"}`,
		`{"record": 15, "code": "too_long", "field": "` + v.text + `"}`,
		fmt.Sprintf(neither, 16), fmt.Sprintf(neither, 17),
	}, ",") + `]}`
	for _, dryRun := range []bool{true, false} {
		c.post(v.path, body(object{"dry_run": dryRun}, records...)).want(want)
	}
	fill := v.withIDs(c, "known", "new")
	v.playWith(c, fill,
		step{"what was applied", "GET " + v.path, "", v.listed("new", "known")},
		step{"by id and by both", "GET " + v.by("known"), "", results(`{"id": $known, "subject": "by id", "source": "by both", "create_time": 1000}`)},
		step{"twice in one POST", "POST " + v.path, body(nil, v.external("a", "twice", object{"subject": "1", "source": "1"}), v.external("a", "other"), v.external("a", "twice", object{"subject": "2"})),
			`{"inserted": 2, "changed": 1, "unchanged": 0}`},
		step{"is one record, in the order given", "GET " + v.path, "", results(`{"external_id": "other"}, {"external_id": "twice", "subject": "2", "source": "1"}, {"external_id": "new"}, {"external_id": "known"}`)},
		step{"one that fails before one that applies", "POST " + v.path, body(nil, object{"account_id": "a", "external_id": "late"}, v.external("a", "late")), `{"inserted": 1, "failed_results": [{"record": 0, "code": "missing_field"}]}`},
		step{"by id and by external id in one POST", "POST " + v.path, `{"records": [{"account_id": "a", "id": $new, "subject": "1"}, {"account_id": "a", "external_id": "new", "source": "2"}]}`, `{"changed": 2}`},
		step{"both applied", "GET " + v.path + "/$new", "", results(`{"subject": "1", "source": "2"}`)},
		step{"unchanged", "POST " + v.path, `{"records": [{"account_id": "a", "id": $new, "subject": "1"}]}`, `{"changed": 0, "unchanged": 1}`},
		step{"the id as 5e0 and the like", "POST " + v.path, `{"records": [{"account_id": "a", "id": $new.0, "subject": "3"}]}`, `{"changed": 1}`},
		step{"missing accounts not ignored", "POST " + v.path, body(object{"ignore_missing_accounts": false}, v.external("a", "never"), v.external("nobody", "never too")),
			`{"status_is_ok": false, "message": "Account not found", "inserted": 0, "failed_results": [{"record": 1, "account_id": "nobody", "external_id": "never too"}]}`},
		step{"apply nothing", "GET " + v.by("never"), "", v.missing()},
		step{"only missing ones, ignored", "POST " + v.path, body(nil, v.external("nobody", "never")), `{"status_is_ok": true, "failed": 1}`},
		step{"only failures", "POST " + v.path, body(nil, v.record("a")), `{"status_is_ok": false, "message": "<text>", "failed": 1}`},
		step{"an external id from a number", "POST " + v.path, strings.Replace(body(nil, v.external("a", "NUMBER")), `"NUMBER"`, "12.0", 1), `{"inserted": 1}`},
		step{"is its text", "GET " + v.by("12.0"), "", results(`{"external_id": "12.0"}`)},
		step{"and no other", "GET " + v.by("12"), "", v.missing()},
		step{"read-only", "POST " + v.path, body(object{"reject_unknown_fields": true}, v.external("a", "new", object{"modify_time": 5})), `{"failed_results": [{"code": "read_only", "field": "modify_time"}]}`},
		step{"ignored", "POST " + v.path, body(nil, object{"account_id": "a", "external_id": "new", "modify_time": 5}), `{"unchanged": 1}`},
		step{"kept by the server", "GET " + v.by("new"), "", results(`{"modify_time": "<now>"}`)},
		step{"no records", "POST " + v.path, `{"records": []}`, `{"status_is_ok": true, "inserted": 0, "failed_results": []}`},
	)
}

// testGeneratedIDs shows that ids are whole numbers below 2^53, unique, and
// rise in the order in which records are uploaded (N1).
func (v conversations) testGeneratedIDs(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	const uploads, each = 5, 7
	for u := range uploads {
		var records []any
		for i := range each {
			records = append(records, v.external([]string{"a", "b"}[i%2], fmt.Sprintf("%d-%d", u, i)))
		}
		c.upload(v.path, records...)
	}
	listed := c.get(v.path + "?direction=asc").results()
	if len(listed) != uploads*each {
		c.Fatalf("%d records, want %d", len(listed), uploads*each)
	}
	last := int64(0)
	for i, r := range listed {
		id, err := r["id"].(json.Number).Int64()
		if err != nil || id <= last || id >= 1<<53 {
			c.Errorf("the id %v comes after %d (%v), want a greater one below 2^53", r["id"], last, err)
		}
		last = id
		if want := fmt.Sprintf("%d-%d", i/each, i%each); r["external_id"] != want {
			c.Errorf("%v is at %d, want %s", r["external_id"], i, want)
		}
	}
	c.put(v.by("put"), toJSON(v.record("a"))).want(`{"status_is_ok": true}`)
	if id, _ := c.one(v.by("put"))["id"].(json.Number).Int64(); id <= last {
		c.Errorf("the id %d of a PUT is not above %d", id, last)
	}
}

// testExternalIDs shows how external ids change hands (N1, Q24).
func (v conversations) testExternalIDs(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(v.path, v.external("a", "x"), v.external("a", "y"), v.external("a", "z"))
	const taken = `"code": "conflicting", "field": "external_id"`
	v.playWith(c, v.withIDs(c, "x", "y", "z"),
		step{"another's by POST", "POST " + v.path, `{"records": [{"account_id": "a", "id": $x, "external_id": "y", "source": "s"}]}`,
			`{"status_is_ok": false, "failed_results": [{"record": 0, ` + taken + `, "external_id": "y", "id": $x}]}`},
		step{"another's by PUT", "PUT " + v.path + "/$x", `{"data": {"external_id": "y", "source": "s"}}`, `{"status_is_ok": false, ` + taken + `}`},
		step{"changes neither", "GET " + v.path + "?direction=asc", "", results(`{"id": $x, "external_id": "x", "source": null}, {"id": $y, "external_id": "y", "source": null}, {"id": $z}`)},
		step{"its own", "PUT " + v.path + "/$x", `{"data": {"external_id": "x", "source": "s"}}`, ""},
		step{"a new one", "PUT " + v.path + "/$x", `{"data": {"external_id": "x2"}}`, ""},
		step{"is its only one", "GET " + v.by("x"), "", v.missing()},
		step{"by which it is known", "GET " + v.by("x2"), "", results(`{"id": $x, "source": "s"}`)},
		step{"the old one is free", "POST " + v.path, `{"records": [{"account_id": "a", "id": $y, "external_id": "x"}]}`, `{"changed": 1}`},
		step{"and another's now", "GET " + v.by("x"), "", results(`{"id": $y}`)},
		step{"null", "POST " + v.path, `{"records": [{"account_id": "a", "id": $y, "external_id": null}]}`, `{"changed": 1}`},
		step{"leaves none", "GET " + v.path + "/external_id", "", results(`{"id": $y, "external_id": null}`)},
		step{"empty does as well", "PUT " + v.path + "/$z", `{"data": {"external_id": ""}}`, ""},
		step{"two without", "GET " + v.path + "/external_id?direction=asc", "", results(`{"id": $y, "external_id": null}, {"id": $z, "external_id": null}`)},
		step{"a record without one gets one", "PUT " + v.path + "/$z", `{"data": {"external_id": "x"}}`, ""},
		step{"and is left out", "GET " + v.path + "/external_id/", "", results(`{"id": $y}`)},
		step{"two of one POST that want the same", "POST " + v.path, `{"records": [{"account_id": "a", "id": $y, "external_id": "new"}, {"account_id": "a", "id": $z, "external_id": "new"}]}`,
			`{"status_is_ok": true, "changed": 1, "failed_results": [{` + taken + `}]}`},
		step{"too long", "PUT " + v.path + "/$x", toJSON(object{"data": object{"external_id": strings.Repeat("é", 81)}}), `{"status_is_ok": false, "code": "too_long", "field": "external_id"}`},
		step{"as long as may be", "PUT " + v.path + "/$x", toJSON(object{"data": object{"external_id": strings.Repeat(wideRune, 80)}}), ""},
		step{"is found", "GET " + v.by(strings.Repeat(wideRune, 80)), "", results(`{"id": $x}`)},
	)
	// Which of the two that wanted the same got it does not matter; one has.
	if n := len(c.get(v.by("new")).results()); n != 1 {
		c.Errorf("%d records with the external id that two wanted, want 1", n)
	}
	if n := len(c.get(v.path).results()); n != 3 {
		c.Errorf("%d records, want 3", n)
	}
}

// testModify shows PUT by id (P9, Q7, Q8).
func (v conversations) testModify(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(v.path, v.external("a", "x", object{"subject": "old", "source": "old"}), v.external("a", "y"))
	v.playWith(c, v.withIDs(c, "x", "y"),
		step{"data", "PUT " + v.path + "/$x", `{"data": {"subject": "1"}}`, `{"<only>": true, "status_is_ok": true}`},
		step{"merged", "GET " + v.path + "/$x", "", results(`{"subject": "1", "source": "old", "external_id": "x", "create_time": 1000}`)},
		step{"bare", "PUT " + v.path + "/$x", `{"subject": "2"}`, ""},
		step{"with its ids", "PUT " + v.path + "/$x", `{"data": {"id": $x, "external_id": "x", "account_id": "a", "source": "2"}}`, ""},
		step{"merged again", "GET " + v.by("x"), "", results(`{"subject": "2", "source": "2"}`)},
		step{"another id", "PUT " + v.path + "/$x", `{"data": {"id": $y, "source": "3"}}`, `{"status_is_ok": false, "code": "conflicting", "field": "id"}`},
		step{"another id that is unknown", "PUT " + v.path + "/$x", `{"data": {"id": 17, "source": "3"}}`, `{"status_is_ok": false, "code": "conflicting", "field": "id"}`},
		step{"unknown id", "PUT " + v.path + "/17", toJSON(object{"data": v.external("a", "new")}), v.missing()},
		step{"no number", "PUT " + v.path + "/x", `{"data": {"source": "3"}}`, v.missing()},
		step{"makes none", "GET " + v.by("new"), "", v.missing()},
		step{"a required field null", "PUT " + v.path + "/$x", `{"data": {"create_time": null, "source": "3"}}`, `{"status_is_ok": false, "code": "missing_field", "field": "create_time"}`},
		step{"a wrong type", "PUT " + v.path + "/$x", `{"data": {"is_html": 1, "source": "3"}}`, `{"status_is_ok": false, "code": "wrong_type", "field": "is_html", "message": "'is_html' must be boolean"}`},
		step{"unknown field", "PUT " + v.path + "/$x", `{"options": {"reject_unknown_fields": true}, "data": {"source": "3", "colour": "red"}}`, `{"status_is_ok": false, "code": "unknown_field", "field": "colour"}`},
		step{"no account", "PUT " + v.path + "/$x", `{"data": {"account_id": "nobody"}}`, `{"status_is_ok": false, "message": "Account not found"}`},
		step{"none applied", "GET " + v.path + "/$x", "", results(`{"subject": "2", "source": "2", "account_id": "a"}`)},
		step{"nothing", "PUT " + v.path + "/$x", `{"data": {}}`, ""},
		step{"cleared", "PUT " + v.path + "/$x", `{"data": {"subject": "", "source": null, "is_html": true}}`, ""},
		step{"is null", "GET " + v.path + "/$x", "", results(`{"subject": null, "source": null, "is_html": true}`)},
		step{"is_html null", "PUT " + v.path + "/$x", `{"data": {"is_html": null}}`, ""},
		step{"is false", "GET " + v.path + "/$x", "", results(`{"is_html": false}`)},
		step{"dry", "PUT " + v.path + "/$x", `{"options": {"dry_run": true}, "data": {"source": "4", "external_id": "z"}}`, `{"dry_run": true, "inserted": 0, "changed": 1, "unchanged": 0}`},
		step{"writes nothing", "GET " + v.path + "/$x", "", results(`{"source": null, "external_id": "x"}`)},
		step{"the other is as it was", "GET " + v.path + "/$y", "", results(`{"external_id": "y", "source": null}`)},
	)
}

// testPutExternal shows that PUT by external id inserts what is not there (P9).
func (v conversations) testPutExternal(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	full := toJSON(object{"data": v.record("a", object{"subject": "1"})})
	missing := func(field string) string {
		return fmt.Sprintf(`{"status_is_ok": false, "code": "missing_field", "field": %q}`, field)
	}
	c.play(
		step{"without account", "PUT " + v.by("x"), `{"data": {"create_time": 1}}`, missing("account_id")},
		step{"without what an insert needs", "PUT " + v.by("x"), `{"data": {"account_id": "a"}}`, `{"status_is_ok": false, "code": "missing_field"}`},
		step{"to no account", "PUT " + v.by("x"), toJSON(object{"data": v.record("nobody")}), `{"status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id"}`},
		step{"another external id", "PUT " + v.by("x"), toJSON(object{"data": v.external("a", "y")}), `{"status_is_ok": false, "code": "conflicting", "field": "external_id"}`},
		step{"none was made", "GET " + v.path, "", `{"results": []}`},
		step{"dry insert", "PUT " + v.by("x"), toJSON(object{"options": object{"dry_run": true}, "data": v.record("a")}), `{"dry_run": true, "inserted": 1, "changed": 0, "unchanged": 0}`},
		step{"makes none", "GET " + v.by("x"), "", v.missing()},
		step{"insert", "PUT " + v.by("x"), full, `{"<only>": true, "status_is_ok": true}`},
		step{"inserted", "GET " + v.by("x"), "", results(`{"external_id": "x", "account_id": "a", "subject": "1", "modify_time": "<now>"}`)},
		step{"again", "PUT " + v.by("x"), full, ""},
		step{"is the same one", "GET " + v.path, "", v.listed("x")},
	)
	v.playWith(c, v.withIDs(c, "x"),
		step{"dry and unchanged", "PUT " + v.by("x"), toJSON(object{"options": object{"dry_run": true}, "data": v.record("a")}), `{"dry_run": true, "inserted": 0, "changed": 0, "unchanged": 1}`},
		step{"modify without account", "PUT " + v.by("x"), `{"data": {"source": "2"}}`, ""},
		step{"bare", "PUT " + v.by("x"), `{"rep_email": "r@example.com"}`, ""},
		step{"with both ids", "PUT " + v.by("x"), `{"data": {"id": $x, "external_id": "x", "account_id": "a"}}`, ""},
		step{"modified", "GET " + v.path + "/$x", "", results(`{"subject": "1", "source": "2", "rep_email": "r@example.com", "account_id": "a"}`)},
		step{"another external id", "PUT " + v.by("x"), `{"data": {"external_id": "y", "source": "3"}}`, `{"status_is_ok": false, "code": "conflicting", "field": "external_id"}`},
		step{"unknown id", "PUT " + v.by("x"), `{"data": {"id": 17, "source": "3"}}`, `{"status_is_ok": false}`},
		step{"a required field null", "PUT " + v.by("x"), `{"data": {"create_time": null}}`, missing("create_time")},
		step{"as it was", "GET " + v.by("x"), "", results(`{"id": $x, "source": "2", "create_time": 1000}`)},
		step{"moved", "PUT " + v.by("x"), `{"data": {"account_id": "b"}}`, ""},
		step{"there", "GET " + v.path + "?account_id=b", "", results(`{"id": $x}`)},
	)
}

// testDelete shows DELETE in both forms, and that what comes again under the
// same external id is another record (N1, Q12, Q25).
func (v conversations) testDelete(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(v.path, v.external("a", "x", object{"subject": "old"}), v.external("a", "y"), v.external("a", "z"))
	fill := v.withIDs(c, "x", "y", "z")
	v.playWith(c, fill,
		step{"by id", "DELETE " + v.path + "/$x", "", `{"<only>": true, "status_is_ok": true}`},
		step{"is gone", "GET " + v.path + "/$x", "", v.missing()},
		step{"by external id too", "GET " + v.by("x"), "", v.missing()},
		step{"and from the list", "GET " + v.path + "?direction=asc", "", v.listed("y", "z")},
		step{"again", "DELETE " + v.path + "/$x", "", v.missing()},
		step{"again by external id", "DELETE " + v.by("x"), "", v.missing()},
		step{"by external id", "DELETE " + v.by("y"), "", `{"<only>": true, "status_is_ok": true}`},
		step{"is gone as well", "GET " + v.path + "/$y", "", v.missing()},
		step{"only one is left", "GET " + v.path, "", v.listed("z")},
		step{"unknown", "DELETE " + v.path + "/17", "", v.missing()},
		step{"no number", "DELETE " + v.path + "/x", "", v.missing()},
		step{"a deleted id modified", "PUT " + v.path + "/$x", `{"data": {"source": "s"}}`, v.missing()},
		step{"a deleted id in a POST", "POST " + v.path, `{"records": [{"id": $x, "account_id": "a", "external_id": "x", "create_time": 1, "type": "t"}]}`, `{"status_is_ok": false, "failed_results": [{"code": "not_found", "field": "id"}]}`},
		step{"comes again", "POST " + v.path, body(nil, v.external("a", "x")), `{"inserted": 1}`},
		step{"comes again by PUT", "PUT " + v.by("y"), toJSON(v.record("a")), ""},
		step{"with nothing of the old one", "GET " + v.by("x"), "", results(`{"subject": null}`)},
		step{"which stays gone", "GET " + v.path + "/$x", "", v.missing()},
	)
	for _, external := range []string{"x", "y"} {
		if v.id(c, external) == fill("$"+external) {
			c.Errorf("%s came again under its old id %s", external, fill("$"+external))
		}
	}
	c.get(v.path).want(v.listed("y", "x", "z"))
	c.delete(v.by("y") + "/").want(`{"status_is_ok": true}`)
	c.get(v.path).want(v.listed("x", "z"))
}

// testMove shows that a record moves to the account it is given (Q16).
func (v conversations) testMove(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload(v.path, v.external("a", "x", object{"subject": "s"}), v.external("a", "y"))
	of := func(account string) string { return "GET " + v.path + "?account_id=" + account }
	v.playWith(c, v.withIDs(c, "x"),
		step{"by external id", "POST " + v.path, body(nil, object{"account_id": "b", "external_id": "x"}), `{"changed": 1}`},
		step{"there", of("b"), "", results(`{"id": $x, "subject": "s"}`)},
		step{"not here", of("a"), "", v.listed("y")},
		step{"by id", "POST " + v.path, `{"records": [{"account_id": "a", "id": $x}]}`, `{"changed": 1}`},
		step{"here", of("a"), "", v.listed("y", "x")},
		step{"not there", of("b"), "", `{"results": []}`},
		step{"by PUT", "PUT " + v.path + "/$x", `{"data": {"account_id": "b"}}`, ""},
		step{"there again", of("b"), "", results(`{"id": $x, "external_id": "x"}`)},
		step{"not here again", of("a"), "", v.listed("y")},
		step{"to nobody", "POST " + v.path, `{"records": [{"account_id": "nobody", "id": $x}]}`, `{"status_is_ok": true, "failed_results": [{"message": "Account not found"}]}`},
		step{"stays there", of("b"), "", results(`{"id": $x}`)},
		step{"no account for a modification by POST", "POST " + v.path, `{"records": [{"id": $x, "source": "s"}]}`, `{"status_is_ok": false, "failed_results": [{"code": "missing_field", "field": "account_id"}]}`},
	)
}

// testFilters shows what the parameters of lists leave out, and how they come
// back (P10).
func (v conversations) testFilters(c *client) {
	c.upload("/accounts", account("a"), account("b/c"), account("12"))
	at := func(t int) object { return object{"create_time": t} }
	c.upload(v.path, v.external("a", "1", at(10)), v.external("b/c", "2", at(20)), v.external("a", "3", at(30)), v.external("12", "4", at(-5)), v.external("a", "5", at(20)))
	c.put(v.path+"/"+v.id(c, "5"), `{"data": {"external_id": null}}`)
	past, future := "1000000000000", "9000000000000000000"
	all := []string{"", "4", "3", "2", "1"}
	for _, x := range []struct {
		query string
		want  []string
		echo  string
	}{
		{"account_id=a", []string{"", "3", "1"}, `{"account_id": "a", "create_time": "<absent>", "modify_time": "<absent>", "current_page": 0, "max_page_size": 1000}`},
		{"account_id=b%2Fc", []string{"2"}, `{"account_id": "b/c"}`},
		{"account_id=12", []string{"4"}, `{"account_id": "12"}`},
		{"account_id=12.0", nil, `{"account_id": "12.0"}`},
		{"account_id=nobody", nil, `{"account_id": "nobody"}`},
		{"account_id=", all, `{"account_id": "<absent>"}`},
		{"create_time=20", []string{"", "3", "2"}, `{"create_time": 20, "account_id": "<absent>"}`},
		{"create_time=21", []string{"3"}, `{"create_time": 21}`},
		{"create_time=-5", all, `{"create_time": -5}`},
		{"create_time=0", []string{"", "3", "2", "1"}, `{"create_time": 0}`},
		{"create_time=" + future, nil, `{"create_time": 9000000000000000000}`},
		{"modify_time=" + past, all, `{"modify_time": 1000000000000}`},
		{"modify_time=" + future, nil, `{"modify_time": 9000000000000000000}`},
		{"account_id=a&create_time=20", []string{"", "3"}, `{"account_id": "a", "create_time": 20}`},
		{"account_id=a&create_time=20&modify_time=" + past + "&direction=asc", []string{"3", ""}, `{"account_id": "a", "create_time": 20, "modify_time": 1000000000000, "direction": "asc"}`},
		{"account_id=a&create_time=20&modify_time=" + future, nil, `{"status_is_ok": true}`},
		{"create_time=15&modify_time=" + past, []string{"", "3", "2"}, `{"status_is_ok": true}`},
		{"account_id=a&modify_time=" + past + "&order_by=id", []string{"", "3", "1"}, `{"order_by": "id"}`},
		{"colour=red", all, `{"colour": "<absent>"}`},
		{"account_id=a&page=1", nil, `{"account_id": "a", "current_page": 1}`},
	} {
		c.sub(x.query, func(c *client) {
			c.get(v.path + "?" + x.query).want(v.listed(x.want...)).want(x.echo)
			var without []string
			if slices.Contains(x.want, "") {
				without = []string{""}
			}
			for _, path := range []string{"/external_id?", "/external_id/?"} {
				c.get(v.path + path + x.query).want(v.listed(without...)).want(x.echo)
			}
		})
	}
	for _, name := range []string{"create_time", "modify_time"} {
		for _, bad := range []string{"x", "1.5", "1e3", "99999999999999999999", "true"} {
			for _, path := range []string{"", "/external_id", "/external_id/1", "/" + v.id(c, "1")} {
				c.get(v.path+path+"?"+name+"="+bad).fails("wrong_type", name).want(`{"results": []}`)
			}
		}
	}
}

// testFiltersOfOne shows that the same parameters hold for single reads.
func (v conversations) testFiltersOfOne(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	c.upload(v.path, v.external("a", "x", object{"create_time": 10}))
	modified := fmt.Sprint(c.one(v.by("x"))["modify_time"])
	for query, found := range map[string]bool{
		"account_id=a": true, "account_id=b": false, "account_id=nobody": false, "create_time=10": true, "create_time=11": false,
		"modify_time=" + modified: true, "modify_time=" + modified + "0": false,
		"account_id=a&create_time=10&modify_time=" + modified: true, "account_id=a&create_time=11": false, "account_id=b&create_time=10": false,
	} {
		want := `{"status_is_ok": true, "results": []}`
		if found {
			want = results(`{"external_id": "x"}`)
		}
		c.get(v.by("x") + "?" + query).want(want)
		c.get(v.path + "/" + v.id(c, "x") + "?" + query).want(want)
		c.get(v.by("y") + "?" + query).want(v.missing())
		c.get(v.path + "/17?" + query).want(v.missing())
	}
}

// testModifyTime shows that modify_time moves when a record changes, and only
// then.
func (v conversations) testModifyTime(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(v.path, v.external("a", "x"), v.external("a", "y"), v.external("a", "z"))
	of := func(external string) int64 {
		c.Helper()
		n, err := c.one(v.by(external))["modify_time"].(json.Number).Int64()
		if err != nil {
			c.Fatal(err)
		}
		return n
	}
	x, y := of("x"), of("y")
	// Time may stand still from one request to the next.
	for i := 0; of("y") == y; i++ {
		if i == 10_000 {
			c.Fatal("modify_time does not move")
		}
		c.put(v.by("y"), fmt.Sprintf(`{"data": {"subject": "%d"}}`, i)).want(`{"status_is_ok": true}`)
	}
	y = of("y")
	c.put(v.by("x"), `{"data": {"create_time": 1000}}`)
	c.put(v.by("x"), `{"data": {}}`)
	c.post(v.path, body(nil, v.external("a", "x"))).want(`{"unchanged": 1}`)
	if now := of("x"); now != x {
		c.Errorf("modify_time of a record that did not change moved from %d to %d", x, now)
	}
	c.get(fmt.Sprintf("%s?modify_time=%d", v.path, y)).want(v.listed("y"))
	c.get(fmt.Sprintf("%s?modify_time=%d", v.path, x)).want(v.listed("z", "y", "x"))
	c.get(fmt.Sprintf("%s?modify_time=%d", v.path, y+1)).want(`{"results": []}`)
	c.post(v.path, body(nil, object{"account_id": "a", "external_id": "x", "subject": "s"})).want(`{"changed": 1}`)
	if now := of("x"); now < y {
		c.Errorf("modify_time of a change is %d, want %d at least", now, y)
	}
	c.get(fmt.Sprintf("%s?modify_time=%d", v.path, y)).want(v.listed("y", "x"))
}

// testAnyExternalID shows external ids of any text (P1).
func (v conversations) testAnyExternalID(c *client) {
	c.upload("/accounts", account("a"))
	ids := []string{"a/b", "a%2Fb", "external_id", "/", "%", "..", "17", "ä", "a\u0308", "日本", "?x=1", "#", " ", "A", "a"}
	var records []any
	for i, id := range ids {
		records = append(records, v.external("a", id, object{"subject": fmt.Sprint(i)}))
	}
	c.upload(v.path, records...).want(fmt.Sprintf(`{"inserted": %d}`, len(ids)))
	for i, id := range ids {
		c.get(v.by(id)).want(results(toJSON(object{"external_id": id, "subject": fmt.Sprint(i)})))
		c.put(v.by(id), `{"data": {"source": "s"}}`).want(`{"status_is_ok": true}`)
	}
	c.get(v.path + "?direction=asc").want(v.listed(ids...))
	c.delete(v.by("a/b")).want(`{"status_is_ok": true}`)
	c.delete(v.by("a")).want(`{"status_is_ok": true}`)
	c.get(v.by("a%2Fb")).want(results(`{"source": "s"}`))
	c.get(v.by("A")).want(results(`{"source": "s"}`))
	c.get(v.path + "/external_id").want(`{"results": []}`)
}

// testDryRun shows that a dry run answers as the real run does, and neither
// writes a record nor claims an external id (P18).
func (v conversations) testDryRun(c *client) {
	c.upload("/accounts", account("a"))
	c.upload(v.path, v.external("a", "old"), v.external("a", "same"))
	old := json.Number(v.id(c, "old"))
	records := []any{
		v.external("a", "new"), v.external("a", "new", object{"subject": "2"}), v.external("a", "old", object{"subject": "s"}), v.external("a", "same"),
		v.record("a", object{"id": old, "external_id": "same"}), v.record("a", object{"id": 17}), v.external("nobody", "z"), v.record("a"),
		v.record("a", object{"id": old, "source": "s"}),
	}
	before := c.state()
	said := c.post(v.path, body(object{"dry_run": true}, records...)).want(`{"dry_run": true, "inserted": 1, "changed": 3, "unchanged": 1, "failed": 4}`)
	if after := c.state(); after != before {
		c.Errorf("the dry run changed something: before\n%s\nafter\n%s", before, after)
	}
	c.get(v.by("new")).want(v.missing())
	real := c.post(v.path, body(nil, records...))
	delete(said.body.(object), "dry_run")
	if said.text() != real.text() {
		c.Errorf("the dry run said\n%s\nthe real run\n%s", said.text(), real.text())
	}
	c.get(v.path).want(v.listed("new", "same", "old"))
}

// testRaces shows that of many who insert one external id at the same time
// one does, and the others change its record (N1, P16).
func (v conversations) testRaces(c *client) {
	c.upload("/accounts", account("a"))
	fields := []string{"subject", "source", "rep_email", v.text}
	for round := range 4 {
		external := fmt.Sprintf("race %d", round)
		var group sync.WaitGroup
		for _, field := range fields {
			group.Go(func() {
				c.put(v.by(external), toJSON(v.record("a", object{field: "put"}))).want(`{"status_is_ok": true}`)
			})
		}
		group.Go(func() { // an upload beside them, which nothing else locks out
			c.post(v.path, body(nil, v.external("a", external, object{"is_html": true}))).want(`{"status_is_ok": true, "failed": 0}`)
		})
		group.Wait()
		want := object{"external_id": external, "is_html": true}
		for _, field := range fields {
			want[field] = "put"
		}
		c.get(v.by(external)).want(results(toJSON(want)))
	}
	c.get(v.path).want(v.listed("race 3", "race 2", "race 1", "race 0"))
	// Two that want one external id: one has it in the end.
	c.upload(v.path, v.external("a", "left"), v.external("a", "right"))
	var group sync.WaitGroup
	var won [2]bool
	for i, external := range []string{"left", "right"} {
		path := v.path + "/" + v.id(c, external)
		group.Go(func() { won[i] = c.put(path, `{"data": {"external_id": "wanted"}}`).member("status_is_ok") == true })
	}
	group.Wait()
	if won[0] == won[1] {
		c.Errorf("of two that took one external id at the same time succeeded: %v", won)
	}
	left := []string{"wanted", "left"}
	if won[0] {
		left = []string{"right", "wanted"}
	}
	c.get(v.path).want(v.listed(append(left, "race 3", "race 2", "race 1", "race 0")...))
	// Deletion and insertion under one external id.
	for range 3 {
		group.Go(func() { c.delete(v.by("race 0")) })
		group.Go(func() { c.put(v.by("race 0"), toJSON(v.record("a"))).want(`{"status_is_ok": true}`) })
	}
	group.Wait()
	c.put(v.by("race 0"), toJSON(v.record("a", object{"subject": "last"}))).want(`{"status_is_ok": true}`)
	last := c.one(v.by("race 0"))
	c.get(v.path + "?direction=desc&order_by=id").want(v.listed(append([]string{"race 0"}, append(left, "race 3", "race 2", "race 1")...)...))
	c.get(v.path + "/" + fmt.Sprint(last["id"])).want(results(`{"subject": "last"}`))
}

// testLongestText shows that the longest text of characters of four bytes is
// kept whole (N1, P14).
func (v conversations) testLongestText(c *client) {
	c.upload("/accounts", account("a"), account("b"))
	text := strings.Repeat(wideRune, v.texts)
	c.upload(v.path, v.external("a", "x", object{v.text: text}), v.external("a", "y"))
	whole := func(path string) {
		c.Helper()
		if got := c.one(path)[v.text]; got != text {
			c.Errorf("GET %s: %s is %s, want %d times %s", path, v.text, brief(got), v.texts, wideRune)
		}
	}
	whole(v.by("x"))
	c.put(v.by("x"), `{"data": {"subject": "s", "account_id": "b"}}`).want(`{"status_is_ok": true}`)
	whole(v.path + "/" + v.id(c, "x"))
	whole(v.path + "?account_id=b")
	c.put(v.by("y"), toJSON(object{"data": object{v.text: text + "x"}})).fails("too_long", v.text)
	c.put(v.by("x"), toJSON(object{"data": object{v.text: "short"}})).want(`{"status_is_ok": true}`)
	c.get(v.path).want(results(fmt.Sprintf(`{"external_id": "y", %q: null}, {"external_id": "x", %q: "short", "subject": "s"}`, v.text, v.text)))
	c.delete(v.by("x")).want(`{"status_is_ok": true}`)
	c.get(v.path).want(v.listed("y"))
}

// testPages reads lists of more than two pages, by id, forwards and at random,
// while records come and go.
func (v conversations) testPages(c *client) {
	c.upload("/accounts", account("big"), account("small"))
	n := 2300
	if v.path == "/notes" && c.target.Entries > 0 {
		n = 1150 // writing is slow here, and interactions have gone the same way
	}
	var records []any
	for i := range n {
		in := "big"
		if i%100 == 0 {
			in = "small"
		}
		records = append(records, v.external(in, fmt.Sprintf("%04d", i), object{"create_time": i / 2}))
	}
	c.upload(v.path, records...).want(fmt.Sprintf(`{"inserted": %d}`, n))
	externals := func(keep func(i int) bool) (ids []string) {
		for i := range n {
			if keep(i) {
				ids = append(ids, fmt.Sprintf("%04d", i))
			}
		}
		return ids
	}
	down := func(ids []string) []string {
		ids = slices.Clone(ids)
		slices.Reverse(ids)
		return ids
	}
	idOf := func(r object) string { return fmt.Sprint(r["external_id"]) }
	all := externals(func(int) bool { return true })
	for page := range 4 {
		c.pageIs(v.path+"?direction=asc", page, all, idOf)
		c.pageIs(v.path+"?", page, down(all), idOf)
	}
	ofBig := externals(func(i int) bool { return i%100 != 0 })
	late := externals(func(i int) bool { return i%100 != 0 && i/2 >= 400 })
	for _, page := range []int{1, 0, 2, 1} {
		c.pageIs(v.path+"?account_id=big", page, down(ofBig), idOf)
		c.pageIs(v.path+"?account_id=big&create_time=400&direction=asc", page, late, idOf)
	}
	// Records come and go; each page is that of the list as it stands.
	r := rand.New(rand.NewPCG(31, 32))
	for i := range 3 {
		name := fmt.Sprintf("new %d", i)
		c.upload(v.path, v.external("big", name))
		all = append(all, name)
		gone := r.IntN(len(all))
		c.delete(v.by(all[gone])).want(`{"status_is_ok": true}`)
		all = slices.Delete(all, gone, gone+1)
		for range 2 {
			page := r.IntN(4)
			c.pageIs(v.path+"?direction=asc", page, all, idOf)
			c.pageIs(v.path+"?order_by=id", page, down(all), idOf)
		}
	}
	c.get(v.path + "/external_id").want(`{"results": []}`)
	if a := c.send(request{method: http.MethodGet, path: "/accounts/big" + v.path}); a.status != http.StatusNotFound {
		c.Errorf("%s: status %d, want 404", a.what, a.status)
	}
}
