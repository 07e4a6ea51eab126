package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"
)

var accountTests = []test{
	{"read", testAccountRead},
	{"managers", testManagers},
	{"dimensions", testDimensions},
	{"documents", testDocuments},
	{"stage", testStage},
	{"stage history", testStageHistory},
	{"scores", testScores},
	{"score window", testScoreWindow},
	{"thousands of scores", testThousandsOfScores},
	{"score set directly", testScoreSetDirectly},
	{"deactivation", testDeactivation},
	{"undoing deactivation", testUndoingDeactivation},
	{"inactive in the future", testInactiveInTheFuture},
	{"deletes within", testDeletesWithin},
	{"names of any text", testNamesOfAnyText},
	{"deletes that fail", testDeletesThatFail},
	{"thousands of dimensions", testThousandsOfDimensions},
}

// results wraps the pattern of one record as the pattern of an answer.
func results(pattern string) string { return `{"status_is_ok": true, "results": [` + pattern + `]}` }

// testAccountRead shows the forms of a single account (A1).
func testAccountRead(c *client) {
	c.play(
		step{"insert", "POST /accounts", `{"records": [{"account_id": "12345", "name": "Cocoa Ltd", "crm_account_id": "crm-12345", "billing_country": "USA",
			"employees": 4520, "csm_score": 53, "join_date": 1312685594018, "stage_history": [{"name": "trial", "start_date": 1312685594018}],
			"assigned_csms": [{"email": "joe@example.com"}, {"email": "fred@example.com"}],
			"custom_label_dimensions": [{"key": "favorite_flavor", "value": "hazelnut"}, {"key": "favorite_fruit", "value": "mango"}],
			"custom_value_dimensions": [{"key": "offices_count", "value": 20}, {"key": "ratio", "value": 0.5}],
			"custom_event_dimensions": [{"key": "signed", "value": 1312685594018}],
			"documents": [{"name": "contract", "url": "https://example.com/contract"}],
			"nps_history": [{"nps_score": 50, "date": 1312685594018, "username": "joe", "comments": "fine"}]}]}`, `{"inserted": 1}`},
		step{"read", "GET /accounts/12345", "", `{"<only>": true, "status_is_ok": true, "results": [{
			"account_id": "12345", "name": "Cocoa Ltd", "crm_account_id": "crm-12345", "billing_account_id": null, "employees": 4520, "csm_score": 53,
			"join_date": 1312685594018, "is_active": true, "is_deleted": false, "is_churned": false, "inactive_time": null, "inactive_reason": null,
			"stage": "trial", "current_stage": "trial", "current_mrr": null, "current_nps_score": 50, "current_health_score": null, "renewal_date": null,
			"assigned_csms": ["fred@example.com", "joe@example.com"],
			"custom_label_dimensions": {"<only>": true, "favorite_flavor": "hazelnut", "favorite_fruit": "mango"},
			"custom_value_dimensions": {"<only>": true, "offices_count": 20, "ratio": 0.5},
			"custom_event_dimensions": {"<only>": true, "signed": 1312685594018},
			"documents": [{"<only>": true, "name": "contract", "url": "https://example.com/contract", "description": null}],
			"stage_history": [{"<only>": true, "name": "trial", "start_date": 1312685594018, "end_date": null}],
			"nps_history": [{"<only>": true, "nps_score": 50, "date": 1312685594018, "username": "joe", "comments": "fine"}]}]}`},
		step{"listed with what is included", "GET /accounts?include=assigned_csms,custom_label_dimensions,custom_value_dimensions,custom_event_dimensions", "", results(`{
			"assigned_csms": ["fred@example.com", "joe@example.com"], "custom_label_dimensions": {"favorite_flavor": "hazelnut", "favorite_fruit": "mango"},
			"custom_value_dimensions": {"offices_count": 20, "ratio": 0.5}, "custom_event_dimensions": {"signed": 1312685594018},
			"documents": "<absent>", "nps_history": "<absent>", "stage_history": "<absent>"}`)},
		step{"listed without", "GET /accounts", "", results(`{"current_stage": "trial", "current_nps_score": 50, "assigned_csms": "<absent>", "custom_label_dimensions": "<absent>"}`)},
		step{"not found", "GET /accounts/1234", "", `{"<only>": true, "status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id", "results": []}`},
		step{"ids are case-sensitive text", "GET /accounts/012345", "", `{"status_is_ok": false}`},
	)
}

// testManagers shows assigned_csms and its option.
func testManagers(c *client) {
	email := func(names ...string) []any {
		list := []any{}
		for _, n := range names {
			list = append(list, object{"email": n + "@example.com"})
		}
		return list
	}
	overwrite := object{"overwrite_csm_assignments": true}
	assign := func(names ...string) object { return object{"account_id": "a", "assigned_csms": email(names...)} }
	has := func(names ...string) string {
		list := []any{}
		for _, n := range names {
			list = append(list, n+"@example.com")
		}
		return results(toJSON(object{"assigned_csms": list}))
	}
	c.play(
		step{"insert", "POST /accounts", body(nil, account("a", assign("b", "a")), account("other", object{"assigned_csms": email("o")})), `{"inserted": 2}`},
		step{"there", "GET /accounts/a", "", has("a", "b")},
		step{"merged", "POST /accounts", body(nil, assign("c", "b", "c")), `{"changed": 1}`},
		step{"all there, once each", "GET /accounts/a", "", has("a", "b", "c")},
		step{"an empty array adds nothing", "POST /accounts", body(nil, assign()), `{"unchanged": 1}`},
		step{"the option off", "POST /accounts", body(object{"overwrite_csm_assignments": false}, assign("d")), `{"changed": 1}`},
		step{"merged as well", "GET /accounts/a", "", has("a", "b", "c", "d")},
		step{"overwritten", "POST /accounts", body(overwrite, assign("x", "a")), `{"changed": 1}`},
		step{"only those", "GET /accounts/a", "", has("a", "x")},
		step{"not given, not overwritten", "POST /accounts", body(overwrite, object{"account_id": "a", "phone": "1"}), `{"changed": 1}`},
		step{"still", "GET /accounts/a", "", has("a", "x")},
		step{"twice in one request: the last", "POST /accounts", body(overwrite, assign("y"), assign("z")), `{"changed": 2}`},
		step{"the last", "GET /accounts/a", "", has("z")},
		step{"overwritten by none", "POST /accounts", body(overwrite, assign()), `{"changed": 1}`},
		step{"none", "GET /accounts/a", "", has()},
		step{"by PUT", "PUT /accounts/a", toJSON(object{"data": object{"assigned_csms": email("p")}}), ""},
		step{"overwritten by PUT", "PUT /accounts/a", toJSON(object{"options": overwrite, "data": object{"assigned_csms": email("q")}}), ""},
		step{"only that", "GET /accounts/a", "", has("q")},
		step{"null removes all", "PUT /accounts/a", `{"data": {"assigned_csms": null}}`, ""},
		step{"none again", "GET /accounts/a", "", has()},
		step{"nobody else was touched", "GET /accounts/other", "", has("o")},
		step{"the option must be boolean", "POST /accounts", body(object{"overwrite_csm_assignments": "true"}, assign("r")), `{"status_is_ok": false, "field": "options.overwrite_csm_assignments"}`},
	)
}

// testDimensions shows the custom dimensions of accounts (A6).
func testDimensions(c *client) {
	c.play(
		step{"insert", "POST /accounts", `{"records": [{"account_id": "a", "name": "n", "join_date": 1,
			"custom_label_dimensions": [{"key": "k", "value": "first"}, {"key": "n"}, {"key": "k", "value": "last"}, {"key": "e", "value": ""}],
			"custom_value_dimensions": [{"key": "k", "value": 1}, {"key": "z", "value": 0}],
			"custom_event_dimensions": [{"key": "k", "value": 5}, {"key": "n", "value": null}]}]}`, `{"inserted": 1}`},
		step{"the last of a key wins, null is kept", "GET /accounts/a", "", results(`{
			"custom_label_dimensions": {"<only>": true, "k": "last", "n": null, "e": null},
			"custom_value_dimensions": {"<only>": true, "k": 1, "z": 0}, "custom_event_dimensions": {"<only>": true, "k": 5, "n": null}}`)},
		step{"merge", "PUT /accounts/a", `{"data": {"custom_label_dimensions": [{"key": "new", "value": 14.99}, {"key": "yes", "value": true}, {"key": "k", "value": null}, {"key": "K", "value": "other"}],
			"custom_value_dimensions": [{"key": "z", "value": null}], "custom_event_dimensions": [{"key": "n", "value": 1e3}]}}`, ""},
		step{"merged by key", "GET /accounts/a", "", results(`{
			"custom_label_dimensions": {"<only>": true, "k": null, "K": "other", "n": null, "e": null, "new": "14.99", "yes": "true"},
			"custom_value_dimensions": {"<only>": true, "k": 1, "z": null}, "custom_event_dimensions": {"<only>": true, "k": 5, "n": 1000}}`)},
		step{"an entry known by key only is left alone", "PUT /accounts/a", `{"data": {"custom_label_dimensions": [{"key": "new"}]}}`, ""},
		step{"left alone", "GET /accounts/a", "", results(`{"custom_label_dimensions": {"new": "14.99"}}`)},
		step{"null removes all of a kind", "PUT /accounts/a", `{"data": {"custom_label_dimensions": null}}`, ""},
		step{"of that kind", "GET /accounts/a", "", results(`{"custom_label_dimensions": {"<only>": true}, "custom_value_dimensions": {"k": 1}}`)},
		step{"null is shown in lists", "GET /accounts?include=custom_value_dimensions", "", results(`{"custom_value_dimensions": {"<only>": true, "k": 1, "z": null}}`)},
		step{"a key is no number", "PUT /accounts/a", `{"data": {"custom_label_dimensions": [{"key": 5, "value": "x"}]}}`, `{"status_is_ok": false, "field": "custom_label_dimensions.key"}`},
		step{"one bad entry refuses the record", "PUT /accounts/a", `{"data": {"phone": "1", "custom_value_dimensions": [{"key": "ok", "value": 1}, {"key": "bad", "value": "1"}]}}`,
			`{"status_is_ok": false, "code": "wrong_type", "field": "custom_value_dimensions.value"}`},
		step{"wholly", "GET /accounts/a", "", results(`{"phone": null, "custom_value_dimensions": {"<only>": true, "k": 1, "z": null}}`)},
	)
}

// testDocuments shows documents and their list (A5).
func testDocuments(c *client) {
	c.play(
		step{"insert", "POST /accounts", body(nil, account("a", object{"documents": []any{
			object{"name": "b", "url": "u2"}, object{"name": "a", "url": "u1", "description": "d"}, object{"name": "c", "url": "u3"}}}), account("none")), `{"inserted": 2}`},
		step{"list", "GET /accounts/a/documents", "", `{"<only>": true, "status_is_ok": true, "current_page": 0, "max_page_size": 1000, "results": [
			{"<only>": true, "account_id": "a", "name": "a", "url": "u1", "description": "d"}, {"<only>": true, "account_id": "a", "name": "b", "url": "u2", "description": null},
			{"<only>": true, "account_id": "a", "name": "c", "url": "u3", "description": null}]}`},
		step{"past the end", "GET /accounts/a/documents?page=1", "", `{"current_page": 1, "results": []}`},
		step{"none", "GET /accounts/none/documents", "", `{"status_is_ok": true, "results": []}`},
		step{"of nobody", "GET /accounts/nobody/documents", "", `{"status_is_ok": false, "message": "Account not found", "results": []}`},
		step{"no page", "GET /accounts/a/documents?page=x", "", `{"status_is_ok": false, "field": "page", "results": []}`},
		step{"merge", "PUT /accounts/a", `{"data": {"documents": [{"name": "b", "description": "new"}, {"name": "c", "url": null}, {"name": "d", "url": "u4"}, {"name": "never was", "url": null}]}}`, ""},
		step{"merged by name, null url deleted", "GET /accounts/a/documents", "", `{"results": [{"name": "a", "url": "u1"}, {"name": "b", "url": "u2", "description": "new"}, {"name": "d", "url": "u4"}]}`},
		step{"description cleared", "PUT /accounts/a", `{"data": {"documents": [{"name": "a", "description": null}, {"name": "b", "description": ""}]}}`, ""},
		step{"cleared", "GET /accounts/a/documents", "", `{"results": [{"name": "a", "url": "u1", "description": null}, {"name": "b", "url": "u2", "description": null}, {"name": "d"}]}`},
		step{"deleted and made again in one record", "PUT /accounts/a", `{"data": {"documents": [{"name": "b", "url": null}, {"name": "b", "url": "again"}]}}`, ""},
		step{"made again", "GET /accounts/a/documents", "", `{"results": [{"name": "a"}, {"name": "b", "url": "again"}, {"name": "d"}]}`},
		step{"of an inactive account", "DELETE /accounts/a", "", ""},
		step{"still listed", "GET /accounts/a/documents", "", `{"results": [{"name": "a"}, {"name": "b"}, {"name": "d"}]}`},
	)
	var many []any
	for i := range 1500 {
		many = append(many, object{"name": fmt.Sprintf("%04d", i), "url": "u"})
	}
	c.upload("/accounts", account("many", object{"documents": many}))
	for page, n := range []int{1000, 500, 0} {
		list := c.get(fmt.Sprintf("/accounts/many/documents?page=%d", page)).results()
		if len(list) != n || n > 0 && list[0]["name"] != fmt.Sprintf("%04d", 1000*page) {
			c.Errorf("page %d has %d documents, want %d", page, len(list), n)
		}
	}
}

// testStage shows what setting the stage does (A3).
func testStage(c *client) {
	c.play(
		step{"insert with a stage", "POST /accounts", body(nil, account("a", object{"stage": "trial"})), `{"inserted": 1}`},
		step{"opens it now", "GET /accounts/a", "", results(`{"stage": "trial", "current_stage": "trial", "stage_history": [{"name": "trial", "start_date": "<now>", "end_date": null}]}`)},
		step{"the open one again", "POST /accounts", body(nil, object{"account_id": "a", "stage": "trial"}), `{"unchanged": 1}`},
		step{"the next", "PUT /accounts/a", `{"data": {"stage": "won"}}`, ""},
		step{"closes the first", "GET /accounts/a", "", results(`{"stage": "won", "current_stage": "won", "stage_history": "<any>"}`)},
		step{"both in one record", "PUT /accounts/a", `{"data": {"stage": "x", "stage_history": [{"name": "y", "start_date": 1}]}}`, `{"status_is_ok": false, "code": "conflicting", "field": "stage"}`},
		step{"nothing of it applied", "GET /accounts/a", "", results(`{"current_stage": "won"}`)},
		step{"null closes it", "PUT /accounts/a", `{"data": {"stage": null}}`, ""},
		step{"no stage is open", "GET /accounts/a", "", results(`{"stage": null, "current_stage": null}`)},
		step{"current_stage cannot be written", "PUT /accounts/a", `{"data": {"current_stage": "x"}}`, ""},
		step{"still none", "GET /accounts/a", "", results(`{"current_stage": null}`)},
	)
	// Stages that begin within one millisecond come in the order of their names.
	history := map[string]object{}
	for _, entry := range c.one("/accounts/a")["stage_history"].([]any) {
		stage := entry.(object)
		history[stage["name"].(string)] = stage
	}
	if len(history) != 2 || history["trial"]["end_date"] == nil || history["trial"]["end_date"] != history["won"]["start_date"] || history["won"]["end_date"] == nil {
		c.Errorf("the history is %v: want trial to end where won starts, and both closed", history)
	}
}

// testStageHistory shows how stages given with their dates merge (A3, Q15).
func testStageHistory(c *client) {
	post := func(history string) string {
		return fmt.Sprintf(`{"records": [{"account_id": "a", "name": "n", "join_date": 1, "stage_history": %s}]}`, history)
	}
	is := func(current, history string) string {
		return results(fmt.Sprintf(`{"stage": %s, "current_stage": %s, "stage_history": %s}`, current, current, history))
	}
	c.play(
		step{"insert", "POST /accounts", post(`[{"name": "two", "start_date": 200, "end_date": 300}, {"name": "one", "start_date": 100, "end_date": 200}]`), `{"inserted": 1}`},
		step{"none is open", "GET /accounts/a", "", is(`null`, `[{"name": "one", "start_date": 100, "end_date": 200}, {"name": "two", "start_date": 200, "end_date": 300}]`)},
		step{"the same again", "POST /accounts", post(`[{"name": "two", "start_date": 200, "end_date": 300}]`), `{"unchanged": 1}`},
		step{"an open one", "POST /accounts", post(`[{"name": "four", "start_date": 400}]`), `{"changed": 1}`},
		step{"is the current one", "GET /accounts/a", "", is(`"four"`, `[{"name": "one"}, {"name": "two", "end_date": 300}, {"name": "four", "end_date": null}]`)},
		step{"a newer open one", "POST /accounts", post(`[{"name": "five", "start_date": 500, "end_date": null}]`), `{"changed": 1}`},
		step{"closes the older at its start", "GET /accounts/a", "", is(`"five"`, `[{}, {}, {"name": "four", "start_date": 400, "end_date": 500}, {"name": "five", "end_date": null}]`)},
		step{"an older open one posted later", "POST /accounts", post(`[{"name": "three", "start_date": 350}]`), `{"changed": 1}`},
		step{"ends where the open one starts", "GET /accounts/a", "", is(`"five"`, `[{}, {}, {"name": "three", "start_date": 350, "end_date": 500}, {"name": "four"}, {"name": "five", "end_date": null}]`)},
		step{"a closed one older than all", "POST /accounts", post(`[{"name": "zero", "start_date": -100, "end_date": 0}]`), `{"changed": 1}`},
		step{"changes nothing about the current one", "GET /accounts/a", "", is(`"five"`, `[{"name": "zero"}, {}, {}, {}, {}, {"name": "five", "end_date": null}]`)},
		step{"two open in one record", "POST /accounts", post(`[{"name": "six", "start_date": 600}, {"name": "seven", "start_date": 700}]`), `{"status_is_ok": false, "failed_results": [{"code": "conflicting", "field": "stage_history.end_date"}]}`},
		step{"an end before the start", "POST /accounts", post(`[{"name": "six", "start_date": 600, "end_date": 599}]`), `{"status_is_ok": false, "failed_results": [{"field": "stage_history.end_date"}]}`},
		step{"one end changed", "POST /accounts", post(`[{"name": "zero", "start_date": -100, "end_date": 50}]`), `{"changed": 1}`},
		step{"the open one closed", "POST /accounts", post(`[{"name": "five", "start_date": 500, "end_date": 550}]`), `{"changed": 1}`},
		step{"now none is open", "GET /accounts/a", "", is(`null`, `[{"name": "zero", "end_date": 50}, {}, {}, {}, {}, {"name": "five", "end_date": 550}]`)},
		step{"one name at another time is another entry", "POST /accounts", post(`[{"name": "one", "start_date": 600}]`), `{"changed": 1}`},
		step{"open", "GET /accounts/a", "", is(`"one"`, `[{}, {"name": "one", "start_date": 100, "end_date": 200}, {}, {}, {}, {}, {"name": "one", "start_date": 600, "end_date": null}]`)},
		step{"stage closes what a history has opened", "PUT /accounts/a", `{"data": {"stage": "now"}}`, ""},
		step{"now", "GET /accounts/a", "", is(`"now"`, `[{}, {}, {}, {}, {}, {}, {"name": "one", "end_date": "<now>"}, {"name": "now", "start_date": "<now>", "end_date": null}]`)},
		step{"null removes all", "PUT /accounts/a", `{"data": {"stage_history": null}}`, ""},
		step{"none", "GET /accounts/a", "", is(`null`, `[]`)},
		step{"an open one and a closed one in one record", "POST /accounts", post(`[{"name": "y", "start_date": 5}, {"name": "x", "start_date": 1, "end_date": 5}]`), `{"changed": 1}`},
		step{"current", "GET /accounts/a", "", is(`"y"`, `[{"name": "x", "end_date": 5}, {"name": "y", "end_date": null}]`)},
		step{"a name is needed", "POST /accounts", post(`[{"start_date": 5}]`), `{"status_is_ok": false, "failed_results": [{"code": "missing_field", "field": "stage_history.name"}]}`},
		step{"a start is needed", "POST /accounts", post(`[{"name": "x"}]`), `{"status_is_ok": false, "failed_results": [{"code": "missing_field", "field": "stage_history.start_date"}]}`},
	)
}

// testScores shows how NPS entries merge (A4).
func testScores(c *client) {
	put := func(entries string) string { return fmt.Sprintf(`{"data": {"nps_history": %s}}`, entries) }
	c.play(
		step{"insert", "POST /accounts", body(nil, account("a", object{"nps_history": []any{object{"nps_score": 10, "date": 5}, object{"nps_score": 20, "date": 5, "username": "joe"}}})), `{"inserted": 1}`},
		step{"a user's is another entry", "GET /accounts/a", "", results(`{"current_nps_score": 15, "nps_history": [{"date": 5, "username": null, "nps_score": 10}, {"date": 5, "username": "joe", "nps_score": 20}]}`)},
		step{"merged by date and user", "PUT /accounts/a", put(`[{"nps_score": 40, "date": 5, "username": "joe", "comments": "better"}, {"nps_score": 0, "date": 6, "username": "Joe"}]`), ""},
		step{"merged", "GET /accounts/a", "", results(`{"current_nps_score": 17, "nps_history": [{"nps_score": 10}, {"date": 5, "username": "joe", "nps_score": 40, "comments": "better"}, {"date": 6, "username": "Joe", "nps_score": 0}]}`)},
		step{"without comments the old ones stay", "PUT /accounts/a", put(`[{"nps_score": 41, "date": 5, "username": "joe"}]`), ""},
		step{"they stay", "GET /accounts/a", "", results(`{"nps_history": [{}, {"nps_score": 41, "comments": "better"}, {}]}`)},
		step{"null clears them", "PUT /accounts/a", put(`[{"nps_score": 41, "date": 5, "username": "joe", "comments": null}]`), ""},
		step{"cleared", "GET /accounts/a", "", results(`{"nps_history": [{}, {"nps_score": 41, "comments": null}, {}]}`)},
		step{"no user is the same as an empty one", "PUT /accounts/a", put(`[{"nps_score": 11, "date": 5, "username": ""}]`), ""},
		step{"the same", "GET /accounts/a", "", results(`{"nps_history": [{"nps_score": 11, "date": 5, "username": null}, {}, {}]}`)},
		step{"the same entry twice in one record", "PUT /accounts/a", put(`[{"nps_score": 1, "date": 7}, {"nps_score": 2, "date": 7}]`), ""},
		step{"the last wins", "GET /accounts/a", "", results(`{"nps_history": [{}, {}, {}, {"nps_score": 2, "date": 7}]}`)},
		step{"a bad entry refuses all", "PUT /accounts/a", `{"data": {"phone": "1", "nps_history": [{"nps_score": 1, "date": 8}, {"nps_score": 101, "date": 9}]}}`, `{"status_is_ok": false, "code": "out_of_range", "field": "nps_history.nps_score"}`},
		step{"really all", "GET /accounts/a", "", results(`{"phone": null, "nps_history": [{}, {}, {}, {}]}`)},
		step{"no entries change nothing", "PUT /accounts/a", put(`[]`), ""},
		step{"nothing", "GET /accounts/a", "", results(`{"nps_history": [{}, {}, {}, {}]}`)},
		step{"deleted by date", "DELETE /accounts/a/nps_history/5", "", ""},
		step{"all of that date", "GET /accounts/a", "", results(`{"current_nps_score": 1, "nps_history": [{"date": 6}, {"date": 7}]}`)},
		step{"dates are not prefixes", "DELETE /accounts/a/nps_history/0", "", ""},
		step{"none of that date", "GET /accounts/a", "", results(`{"nps_history": [{"date": 6}, {"date": 7}]}`)},
		step{"null removes all", "PUT /accounts/a", put(`null`), ""},
		step{"none", "GET /accounts/a", "", results(`{"current_nps_score": null, "nps_history": []}`)},
		step{"before the epoch", "PUT /accounts/a", put(`[{"nps_score": -7, "date": -5}, {"nps_score": 7, "date": -6}, {"nps_score": 9, "date": 1}]`), ""},
		step{"in order", "GET /accounts/a", "", results(`{"current_nps_score": 3, "nps_history": [{"date": -6}, {"date": -5}, {"date": 1}]}`)},
		step{"deleted before the epoch", "DELETE /accounts/a/nps_history/-5", "", ""},
		step{"that one", "GET /accounts/a", "", results(`{"current_nps_score": 8, "nps_history": [{"date": -6}, {"date": 1}]}`)},
	)
}

// testScoreWindow shows which scores count, and how their mean is rounded
// (A4, Q14).
func testScoreWindow(c *client) {
	const days30 = 30 * 24 * 60 * 60 * 1000
	for i, x := range []struct {
		name   string
		scores [][2]int // date, score
		want   int
	}{
		{"one", [][2]int{{1, 7}}, 7},
		{"half up", [][2]int{{1, 1}, {2, 2}}, 2},
		{"half down", [][2]int{{1, -1}, {2, -2}}, -2},
		{"half a point", [][2]int{{1, 0}, {2, 1}}, 1},
		{"half a point below", [][2]int{{1, 0}, {2, -1}}, -1},
		{"below half", [][2]int{{1, 1}, {2, 1}, {3, 2}}, 1},
		{"above half", [][2]int{{1, -1}, {2, -2}, {3, -2}}, -2},
		{"opposite", [][2]int{{1, 100}, {2, -100}}, 0},
		{"thirty days before", [][2]int{{1000, 100}, {1000 + days30, 0}}, 50},
		{"a millisecond more", [][2]int{{999, 100}, {1000 + days30, 0}}, 0},
		{"from the latest, whatever the order", [][2]int{{1000 + days30, 0}, {999, 100}, {1000, 50}}, 25},
		{"not from today", [][2]int{{1, 10}, {days30, 20}}, 15},
		{"each within 30 days of the next", [][2]int{{0, 90}, {days30, 30}, {2 * days30, 10}}, 20},
	} {
		c.sub(x.name, func(c *client) {
			id := fmt.Sprint(i)
			var entries []any
			for _, s := range x.scores {
				entries = append(entries, object{"date": s[0], "nps_score": s[1]})
			}
			c.upload("/accounts", account(id, object{"nps_history": entries}))
			c.get("/accounts/" + id).want(results(fmt.Sprintf(`{"current_nps_score": %d}`, x.want)))
			for n := range entries { // one by one, latest last or not
				c.upload("/accounts", account(id+" in steps", object{"nps_history": entries[n : n+1]}))
			}
			c.get("/accounts/" + id + "%20in%20steps").want(results(fmt.Sprintf(`{"current_nps_score": %d}`, x.want)))
		})
	}
	c.play(
		step{"deleting the latest moves the window", "DELETE /accounts/9/nps_history/2592001000", "", ""},
		step{"moved", "GET /accounts/9", "", results(`{"current_nps_score": 100}`)},
	)
}

// testThousandsOfScores shows that a record takes more scores than fit into one
// transaction, and loses them as whole.
func testThousandsOfScores(c *client) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{97, 98, 99, 100, 3000} {
		c.sub(fmt.Sprint(n), func(c *client) {
			id := fmt.Sprint(n)
			entries, sum := make([]any, n), 0
			for i := range entries {
				score := r.IntN(201) - 100
				sum += score
				entries[i] = object{"date": i, "nps_score": score, "username": fmt.Sprintf("user %d", i%3), "comments": strings.Repeat("c", i%50)}
			}
			shuffled := append([]any{}, entries...)
			r.Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			c.upload("/accounts", account(id, object{"nps_history": shuffled})).want(`{"inserted": 1}`)
			mean := (2*sum + n) / (2 * n)
			if sum < 0 {
				mean = (2*sum - n) / (2 * n)
			}
			for _, entry := range entries {
				if entry := entry.(object); entry["comments"] == "" {
					entry["comments"] = nil
				}
			}
			whole := results(toJSON(object{"current_nps_score": mean, "nps_history": entries}))
			c.get("/accounts/" + id).want(whole)
			c.upload("/accounts", account(id, object{"nps_history": shuffled})).want(`{"unchanged": 1}`)
			c.upload("/accounts", account(id, object{"nps_history": entries[n-1:], "phone": "1"})).want(`{"changed": 1}`)
			c.get("/accounts/" + id).want(whole)
			c.delete(fmt.Sprintf("/accounts/%s/nps_history/%d", id, n)).want(`{"status_is_ok": true}`)
			c.get("/accounts/" + id).want(whole)
			c.delete("/accounts/" + id + "/nps_history").want(`{"status_is_ok": true}`)
			c.get("/accounts/" + id).want(results(`{"current_nps_score": null, "nps_history": [], "phone": "1"}`))
			c.delete("/accounts/" + id + "/nps_history").want(`{"status_is_ok": true}`)
		})
	}
	c.get("/accounts?direction=asc").want(`{"results": [{"account_id": "100"}, {"account_id": "3000"}, {"account_id": "97"}, {"account_id": "98"}, {"account_id": "99"}]}`)
}

// testScoreSetDirectly shows that a score that was set stands until the
// history changes (A4).
func testScoreSetDirectly(c *client) {
	c.play(
		step{"insert", "POST /accounts", body(nil, account("a", object{"current_nps_score": 33})), `{"inserted": 1}`},
		step{"stands", "GET /accounts/a", "", results(`{"current_nps_score": 33, "nps_history": []}`)},
		step{"other changes", "PUT /accounts/a", `{"data": {"phone": "1"}}`, ""},
		step{"stands still", "GET /accounts/a", "", results(`{"current_nps_score": 33}`)},
		step{"a first entry", "PUT /accounts/a", `{"data": {"nps_history": [{"nps_score": 10, "date": 1}]}}`, ""},
		step{"takes over", "GET /accounts/a", "", results(`{"current_nps_score": 10}`)},
		step{"set again", "PUT /accounts/a", `{"data": {"current_nps_score": -100}}`, ""},
		step{"stands over the history", "GET /accounts/a", "", results(`{"current_nps_score": -100, "nps_history": [{"nps_score": 10}]}`)},
		step{"the same entry again", "PUT /accounts/a", `{"data": {"nps_history": [{"nps_score": 10, "date": 1}]}}`, ""},
		step{"is no change of the history", "GET /accounts/a", "", results(`{"current_nps_score": -100}`)},
		step{"an entry changed", "PUT /accounts/a", `{"data": {"nps_history": [{"nps_score": 12, "date": 1}]}}`, ""},
		step{"takes over again", "GET /accounts/a", "", results(`{"current_nps_score": 12}`)},
		step{"set once more", "PUT /accounts/a", `{"data": {"current_nps_score": 5}}`, ""},
		step{"deleting one", "DELETE /accounts/a/nps_history/1", "", ""},
		step{"leaves none", "GET /accounts/a", "", results(`{"current_nps_score": null, "nps_history": []}`)},
		step{"null", "PUT /accounts/a", `{"data": {"current_nps_score": null}}`, ""},
		step{"out of range", "PUT /accounts/a", `{"data": {"current_nps_score": 101}}`, `{"status_is_ok": false, "code": "out_of_range"}`},
	)
}

// testDeactivation shows delete and churn (A2, Q12).
func testDeactivation(c *client) {
	inactive := func(deleted, churned bool, more string) string {
		return results(fmt.Sprintf(`{"is_active": false, "is_deleted": %t, "is_churned": %t, %s}`, deleted, churned, more))
	}
	c.upload("/accounts", account("a"), account("b"), account("c"), account("d"), account("e"), account("f"), account("stays"))
	c.play(
		step{"DELETE", "DELETE /accounts/a", "", `{"<only>": true, "status_is_ok": true}`},
		step{"deleted", "GET /accounts/a", "", inactive(true, false, `"inactive_time": "<now>", "inactive_reason": null`)},
		step{"again, with a time", "DELETE /accounts/a?inactive_time=5", "", ""},
		step{"which counts", "GET /accounts/a", "", inactive(true, false, `"inactive_time": 5`)},
		step{"again, without", "DELETE /accounts/a", "", ""},
		step{"the first stays", "GET /accounts/a", "", inactive(true, false, `"inactive_time": 5`)},
		step{"a reason afterwards", "PUT /accounts/a", `{"data": {"inactive_reason": "price"}}`, ""},
		step{"kept", "GET /accounts/a", "", inactive(true, false, `"inactive_time": 5, "inactive_reason": "price"`)},
		step{"DELETE and churn", "DELETE /accounts/b?churn=true&inactive_time=-7", "", ""},
		step{"churned", "GET /accounts/b", "", inactive(false, true, `"inactive_time": -7`)},
		step{"churn liberally", "DELETE /accounts/c?churn=TRUE", "", ""},
		step{"churned too", "GET /accounts/c", "", inactive(false, true, `"inactive_time": "<now>"`)},
		step{"churn=1", "DELETE /accounts/d?churn=1&inactive_time=0", "", ""},
		step{"churned at the epoch", "GET /accounts/d", "", inactive(false, true, `"inactive_time": 0`)},
		step{"churn=no", "DELETE /accounts/e?churn=no&inactive_time=", "", ""},
		step{"is not to churn", "GET /accounts/e", "", inactive(true, false, `"inactive_time": "<now>"`)},
		step{"a time that is none", "DELETE /accounts/f?inactive_time=yesterday", "", `{"status_is_ok": false, "code": "wrong_type", "field": "inactive_time"}`},
		step{"a time with a fraction", "DELETE /accounts/f?inactive_time=5.5", "", `{"status_is_ok": false, "field": "inactive_time"}`},
		step{"is no deactivation", "GET /accounts/f", "", results(`{"is_active": true, "is_deleted": false, "inactive_time": null}`)},
		step{"by POST", "POST /accounts", body(nil, object{"account_id": "f", "is_churned": true, "inactive_time": 9, "inactive_reason": "merged"}), `{"changed": 1}`},
		step{"churned by POST", "GET /accounts/f", "", inactive(false, true, `"inactive_time": 9, "inactive_reason": "merged"`)},
		step{"inserted inactive", "POST /accounts", body(nil, account("g", object{"is_deleted": true})), `{"inserted": 1}`},
		step{"inactive from the first", "GET /accounts/g", "", inactive(true, false, `"inactive_time": "<now>"`)},
		step{"hidden", "GET /accounts", "", results(`{"account_id": "stays"}`)},
		step{"shown", "GET /accounts?include_inactive=true&direction=asc", "", `{"include_inactive": true, "results": [{"account_id": "a", "is_active": false}, {"account_id": "b"}, {"account_id": "c"}, {"account_id": "d"}, {"account_id": "e"}, {"account_id": "f"}, {"account_id": "g"}, {"account_id": "stays", "is_active": true}]}`},
		step{"data is accepted", "POST /accounts", body(nil, object{"account_id": "a", "phone": "1", "nps_history": []any{object{"nps_score": 1, "date": 1}}}), `{"changed": 1}`},
		step{"and kept inactive", "GET /accounts/a", "", inactive(true, false, `"inactive_time": 5, "phone": "1", "current_nps_score": 1`)},
		step{"users too", "POST /account_users", body(nil, person("a", "u")), `{"inserted": 1}`},
		step{"and listed", "GET /accounts/a/users", "", results(`{"user_id": "u"}`)},
		step{"in the workspace too", "GET /account_users", "", results(`{"user_id": "u"}`)},
		step{"nobody", "DELETE /accounts/nobody", "", `{"<only>": true, "status_is_ok": false, "message": "Account not found", "code": "not_found", "field": "account_id"}`},
		step{"nobody was made", "GET /accounts/nobody", "", `{"status_is_ok": false}`},
	)
}

// testUndoingDeactivation shows how the flags undo each their own (Q13).
func testUndoingDeactivation(c *client) {
	put := func(data string) string { return `{"data": ` + data + `}` }
	active := results(`{"is_active": true, "is_deleted": false, "is_churned": false, "inactive_time": null, "inactive_reason": null}`)
	c.upload("/accounts", account("a"))
	c.play(
		step{"undoing nothing", "PUT /accounts/a", put(`{"is_deleted": false, "is_churned": false}`), ""},
		step{"active", "GET /accounts/a", "", active},
		step{"a time without a flag is ignored", "PUT /accounts/a", put(`{"inactive_time": 5, "inactive_reason": "r"}`), ""},
		step{"ignored", "GET /accounts/a", "", active},
		step{"deleted", "PUT /accounts/a", put(`{"is_deleted": true, "inactive_time": 5, "inactive_reason": "r"}`), ""},
		step{"a churn is not undone where there is none", "PUT /accounts/a", put(`{"is_churned": false}`), ""},
		step{"still deleted", "GET /accounts/a", "", results(`{"is_active": false, "is_deleted": true, "inactive_time": 5, "inactive_reason": "r"}`)},
		step{"churned as well", "PUT /accounts/a", put(`{"is_churned": true}`), ""},
		step{"both, since the first", "GET /accounts/a", "", results(`{"is_active": false, "is_deleted": true, "is_churned": true, "inactive_time": 5, "inactive_reason": "r"}`)},
		step{"undeleted", "PUT /accounts/a", put(`{"is_deleted": false}`), ""},
		step{"still churned", "GET /accounts/a", "", results(`{"is_active": false, "is_deleted": false, "is_churned": true, "inactive_time": 5, "inactive_reason": "r"}`)},
		step{"unchurned", "PUT /accounts/a", put(`{"is_churned": false}`), ""},
		step{"active again", "GET /accounts/a", "", active},
		step{"listed again", "GET /accounts", "", results(`{"account_id": "a"}`)},
		step{"deleted anew", "PUT /accounts/a", put(`{"is_deleted": true}`), ""},
		step{"now", "GET /accounts/a", "", results(`{"is_active": false, "inactive_time": "<now>", "inactive_reason": null}`)},
		step{"null restores the default", "PUT /accounts/a", put(`{"is_deleted": null}`), ""},
		step{"which is active", "GET /accounts/a", "", active},
		step{"deleted with a time", "PUT /accounts/a", put(`{"is_deleted": true, "inactive_time": 5}`), ""},
		step{"deleted again by PUT", "PUT /accounts/a", put(`{"is_deleted": true}`), ""},
		step{"since the first time", "GET /accounts/a", "", results(`{"inactive_time": 5}`)},
		step{"one undone, the other done", "PUT /accounts/a", put(`{"is_deleted": false, "is_churned": true, "inactive_time": 7}`), ""},
		step{"churned", "GET /accounts/a", "", results(`{"is_active": false, "is_deleted": false, "is_churned": true, "inactive_time": 7}`)},
		step{"is_active cannot be written", "PUT /accounts/a", put(`{"is_active": true}`), ""},
		step{"still inactive", "GET /accounts/a", "", results(`{"is_active": false}`)},
	)
}

// testInactiveInTheFuture shows that an inactive_time to come keeps the account
// active until then, and that it passes without any request (Q13).
func testInactiveInTheFuture(c *client) {
	future := time.Now().Add(24 * time.Hour).UnixMilli()
	c.upload("/accounts", account("later", object{"is_churned": true, "inactive_time": future}), account("soon"))
	c.play(
		step{"active until then", "GET /accounts/later", "", results(fmt.Sprintf(`{"is_active": true, "is_churned": true, "inactive_time": %d}`, future))},
		step{"DELETE in the future", fmt.Sprintf("DELETE /accounts/soon?inactive_time=%d", future), "", ""},
		step{"both listed", "GET /accounts?direction=asc", "", `{"results": [{"account_id": "later", "is_active": true}, {"account_id": "soon", "is_active": true}]}`},
	)
	soon := time.Now().Add(time.Second).UnixMilli()
	c.put("/accounts/soon", fmt.Sprintf(`{"data": {"inactive_time": %d}}`, soon))
	for c.one("/accounts/soon")["is_active"] == true {
		if time.Now().UnixMilli() > soon+clockSkew.Milliseconds() {
			c.Fatal("the inactive_time has passed and the account is still active")
		}
	}
	c.get("/accounts?include_inactive=true&direction=asc").want(`{"results": [{"account_id": "later", "is_active": true}, {"account_id": "soon", "is_active": false}]}`)
	c.get("/accounts").want(`{"results": [{"account_id": "later"}]}`)
}

// testDeletesWithin shows every DELETE of something within an account, in all
// forms of its path.
func testDeletesWithin(c *client) {
	full := account("a", object{
		"assigned_csms":           []any{object{"email": "x@example.com"}, object{"email": "y@example.com"}},
		"custom_label_dimensions": []any{object{"key": "x", "value": "1"}, object{"key": "y", "value": "2"}},
		"custom_value_dimensions": []any{object{"key": "x", "value": 1}, object{"key": "y", "value": 2}},
		"custom_event_dimensions": []any{object{"key": "x", "value": 1}, object{"key": "y", "value": 2}},
		"documents":               []any{object{"name": "x", "url": "u"}, object{"name": "y", "url": "u"}},
		"stage_history": []any{object{"name": "x", "start_date": 1, "end_date": 2}, object{"name": "x", "start_date": 2, "end_date": 3},
			object{"name": "y", "start_date": 3}},
		"nps_history": []any{object{"nps_score": 1, "date": 1}, object{"nps_score": 3, "date": 1, "username": "u"}, object{"nps_score": 5, "date": 2}},
	})
	for _, x := range []struct{ path, changes string }{
		{"/assigned_csms/x@example.com", `{"assigned_csms": ["y@example.com"]}`},
		{"/assigned_csms/x%40example.com", `{"assigned_csms": ["y@example.com"]}`},
		{"/assigned_csms", `{"assigned_csms": []}`},
		{"/dimension_labels/x", `{"custom_label_dimensions": {"<only>": true, "y": "2"}}`},
		{"/dimension_labels", `{"custom_label_dimensions": {"<only>": true}}`},
		{"/dimension_values/y", `{"custom_value_dimensions": {"<only>": true, "x": 1}}`},
		{"/dimension_values", `{"custom_value_dimensions": {"<only>": true}}`},
		{"/documents/x", `{"documents": [{"name": "y"}]}`},
		{"/documents", `{"documents": []}`},
		{"/stage_history/x/2", `{"stage_history": [{"name": "x", "start_date": 1}, {"name": "y"}], "current_stage": "y"}`},
		{"/stage_history/x/1/", `{"stage_history": [{"name": "x", "start_date": 2}, {"name": "y"}], "current_stage": "y"}`},
		{"/stage_history/x", `{"stage_history": [{"name": "y"}], "current_stage": "y"}`},
		{"/stage_history/y", `{"stage_history": [{"name": "x"}, {"name": "x"}], "current_stage": null, "stage": null}`},
		{"/stage_history/y/3", `{"stage_history": [{"name": "x"}, {"name": "x"}], "current_stage": null, "stage": null}`},
		{"/stage_history", `{"stage_history": [], "current_stage": null, "stage": null}`},
		{"/nps_history/1", `{"nps_history": [{"date": 2}], "current_nps_score": 5}`},
		{"/nps_history/2", `{"nps_history": [{"date": 1}, {"date": 1}], "current_nps_score": 2}`},
		{"/nps_history", `{"nps_history": [], "current_nps_score": null}`},
		// What is not there is gone already (Q12).
		{"/assigned_csms/z@example.com", `{}`},
		{"/dimension_labels/X", `{}`},
		{"/dimension_values/z", `{}`},
		{"/documents/z", `{}`},
		{"/stage_history/z", `{}`},
		{"/stage_history/x/3", `{}`},
		{"/stage_history/y/1", `{}`},
		{"/nps_history/3", `{}`},
	} {
		c.sub(x.path, func(c *client) {
			// Put back what the tests before have removed.
			c.upload("/accounts", full)
			before := c.one("/accounts/a")
			c.delete("/accounts/a" + x.path).want(`{"<only>": true, "status_is_ok": true}`)
			changes, err := parse([]byte(x.changes))
			if err != nil {
				c.Fatal(err)
			}
			want := with(before, changes.(object), object{"<only>": true})
			c.get("/accounts/a").want(results(toJSON(want)))
		})
	}
	c.play(
		step{"of an inactive account", "DELETE /accounts/a", "", ""},
		step{"works as well", "DELETE /accounts/a/documents/y", "", ""},
		step{"gone", "GET /accounts/a", "", results(`{"is_active": false, "documents": [{"name": "x"}]}`)},
	)
}

// testNamesOfAnyText shows that names in the paths of deletes are any text.
func testNamesOfAnyText(c *client) {
	var keys, names, emails, stages []any
	for _, text := range awkward {
		keys = append(keys, object{"key": text, "value": "1"})
		names = append(names, object{"name": text, "url": "u"})
		emails = append(emails, object{"email": text})
		stages = append(stages, object{"name": text, "start_date": 1, "end_date": 2}, object{"name": text, "start_date": 2, "end_date": 3})
	}
	c.upload("/accounts", account("a", object{"custom_label_dimensions": keys, "documents": names, "assigned_csms": emails, "stage_history": stages}))
	count := func(name string, want int) {
		c.Helper()
		n := -1
		switch list := c.one("/accounts/a")[name].(type) {
		case []any:
			n = len(list)
		case object:
			n = len(list)
		}
		if n != want {
			c.Errorf("%d entries left in %s, want %d", n, name, want)
		}
	}
	c.upload("/account_users", person("a", "u", object{"custom_label_dimensions": keys}))
	for i, text := range awkward {
		left := len(awkward) - i - 1
		for list, path := range map[string]string{
			"custom_label_dimensions": "/dimension_labels/", "documents": "/documents/", "assigned_csms": "/assigned_csms/",
		} {
			c.delete("/accounts/a" + path + segment(text)).want(`{"status_is_ok": true}`)
			count(list, left)
		}
		c.delete("/accounts/a/stage_history/" + segment(text) + "/2").want(`{"status_is_ok": true}`)
		count("stage_history", 2*left+1)
		c.delete("/accounts/a/stage_history/" + segment(text)).want(`{"status_is_ok": true}`)
		count("stage_history", 2*left)
		c.delete("/account_users/u?dimension=" + url.QueryEscape(text)).want(`{"status_is_ok": true}`)
		if list, _ := c.one("/account_users/u")["custom_label_dimensions"].([]any); len(list) != left {
			c.Errorf("after the delete of %q the user has %d dimensions, want %d", text, len(list), left)
		}
	}
}

// testDeletesThatFail shows what is refused, and that nothing is deleted then.
func testDeletesThatFail(c *client) {
	c.upload("/accounts", account("a", object{
		"stage_history": []any{object{"name": "x", "start_date": 1}}, "nps_history": []any{object{"nps_score": 1, "date": 1}},
		"custom_label_dimensions": []any{object{"key": "x", "value": "1"}},
	}))
	before := c.dump()
	for _, path := range []string{"/stage_history/x/yesterday", "/stage_history/x/1.0", "/stage_history/x/%20", "/stage_history/x/9223372036854775808", "/nps_history/x", "/nps_history/1e0", "/nps_history/%2F"} {
		c.delete("/accounts/a"+path).fails("wrong_type", "timestamp")
	}
	for _, path := range []string{
		"/stage_history", "/stage_history/x", "/stage_history/x/1", "/nps_history", "/nps_history/1", "/dimension_values", "/dimension_values/x",
		"/dimension_labels", "/dimension_labels/x", "/assigned_csms", "/assigned_csms/x", "/documents", "/documents/x",
	} {
		c.delete("/accounts/nobody"+path).fails("not_found", "account_id").want(`{"message": "Account not found"}`)
	}
	if after := c.dump(); after != before {
		c.Errorf("something was deleted: before\n%s\nafter\n%s", before, after)
	}
}

// testThousandsOfDimensions shows an account of 2,000 short dimensions of each
// kind, changed one by one.
func testThousandsOfDimensions(c *client) {
	const n = 2000
	var labels, values []any
	for i := range n {
		labels = append(labels, object{"key": fmt.Sprintf("k%d", i), "value": fmt.Sprint(i)})
		values = append(values, object{"key": fmt.Sprintf("k%d", i), "value": i})
	}
	c.upload("/accounts", account("a", object{"custom_label_dimensions": labels, "custom_value_dimensions": values})).want(`{"inserted": 1}`)
	c.put("/accounts/a", `{"data": {"custom_label_dimensions": [{"key": "k1999", "value": "changed"}, {"key": "new", "value": "new"}]}}`).want(`{"status_is_ok": true}`)
	c.delete("/accounts/a/dimension_values/k0").want(`{"status_is_ok": true}`)
	got := c.one("/accounts/a")
	gotLabels, _ := got["custom_label_dimensions"].(object)
	gotValues, _ := got["custom_value_dimensions"].(object)
	if len(gotLabels) != n+1 || len(gotValues) != n-1 {
		c.Fatalf("%d labels and %d values, want %d and %d", len(gotLabels), len(gotValues), n+1, n-1)
	}
	for i := range n - 1 {
		key := fmt.Sprintf("k%d", i)
		if gotLabels[key] != fmt.Sprint(i) || i > 0 && gotValues[key] != json.Number(fmt.Sprint(i)) {
			c.Fatalf("%s is %v and %v", key, gotLabels[key], gotValues[key])
		}
	}
	if gotLabels["k1999"] != "changed" || gotLabels["new"] != "new" {
		c.Errorf("what was changed is %v and %v", gotLabels["k1999"], gotLabels["new"])
	}
}
