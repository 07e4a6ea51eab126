package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

var listTests = []test{
	{"parameters", testListParameters},
	{"pages of accounts", testPagesOfAccounts},
	{"pages of people", testPagesOfPeople},
	{"pages of exactly a thousand", testExactPages},
	{"pages while records come and go", testPagesInMotion},
	{"order of any text", testOrderOfAnyText},
	{"a page of many megabytes", testLargePage},
}

// testListParameters shows what the parameters of lists take and how they come
// back (P10 to P12).
func testListParameters(c *client) {
	c.upload("/accounts", account("b", object{"name": "1", "join_date": 2}), account("a", object{"name": "2", "join_date": 3}), account("c", object{"name": "3", "join_date": 1, "is_deleted": true}))
	c.upload("/account_users", person("a", "2"), person("b", "1"), person("a", "3", object{"is_active": false}))
	ids := func(list string) string {
		var records []any
		for id := range strings.SplitSeq(list, "") {
			records = append(records, object{"account_id": id})
		}
		return toJSON(records)
	}
	absent := `"order_by": "<absent>", "direction": "<absent>", "include_inactive": "<absent>", "include": "<absent>", "page": "<absent>", "api_key": "<absent>"`
	for _, x := range []struct{ query, want string }{
		{"", `{` + absent + `, "status_is_ok": true, "current_page": 0, "max_page_size": 1000, "results": ` + ids("ba") + `}`},
		{"page=0", `{` + absent + `, "current_page": 0, "results": ` + ids("ba") + `}`},
		{"page=1", `{` + absent + `, "current_page": 1, "max_page_size": 1000, "results": []}`},
		{"page=7", `{"current_page": 7, "results": []}`},
		{"page=123456", `{"current_page": 123456, "results": []}`},
		{"page=", `{"current_page": 0, "results": ` + ids("ba") + `}`},
		{"page=-1", `{"status_is_ok": false, "field": "page", "results": []}`},
		{"page=1.5", `{"status_is_ok": false, "field": "page", "results": []}`},
		{"page=one", `{"status_is_ok": false, "field": "page", "results": []}`},
		{"page=3000000000", `{"status_is_ok": true, "current_page": 3000000000, "results": []}`},
		{"order_by=account_id", `{"order_by": "account_id", "direction": "<absent>", "results": ` + ids("ba") + `}`},
		{"order_by=id", `{"order_by": "id", "results": ` + ids("ba") + `}`},
		{"order_by=name", `{"order_by": "name", "results": ` + ids("ab") + `}`},
		{"order_by=join_date", `{"order_by": "join_date", "results": ` + ids("ab") + `}`},
		{"order_by=", `{"results": ` + ids("ba") + `}`},
		{"direction=asc", `{"direction": "asc", "results": ` + ids("ab") + `}`},
		{"direction=ASC", `{"direction": "asc", "results": ` + ids("ab") + `}`},
		{"direction=desc", `{"direction": "desc", "results": ` + ids("ba") + `}`},
		{"direction=DESC&order_by=join_date&page=0", `{"direction": "desc", "order_by": "join_date", "current_page": 0, "results": ` + ids("ab") + `}`},
		{"direction=up", `{"status_is_ok": false, "code": "not_a_choice", "field": "direction", "results": []}`},
		{"order_by=phone", `{"status_is_ok": false, "code": "not_a_choice", "field": "order_by", "message": "'order_by' must be one of: account_id, name, join_date", "results": []}`},
		{"order_by=user_id", `{"status_is_ok": false, "field": "order_by"}`},
		{"order_by=Name", `{"status_is_ok": false, "field": "order_by"}`},
		{"include_inactive=true", `{"include_inactive": true, "results": ` + ids("cba") + `}`},
		{"include_inactive=TRUE", `{"include_inactive": true, "results": ` + ids("cba") + `}`},
		{"include_inactive=1", `{"include_inactive": true, "results": ` + ids("cba") + `}`},
		{"include_inactive=2", `{"include_inactive": true, "results": ` + ids("cba") + `}`},
		{"include_inactive=false", `{"include_inactive": false, "results": ` + ids("ba") + `}`},
		{"include_inactive=0", `{"include_inactive": false, "results": ` + ids("ba") + `}`},
		{"include_inactive=yes", `{"include_inactive": false, "results": ` + ids("ba") + `}`},
		{"include_inactive=true&order_by=join_date&direction=asc", `{"include_inactive": true, "results": ` + ids("cba") + `}`},
		{"include_inactive=true&order_by=name&direction=desc", `{"results": ` + ids("cab") + `}`},
		{"include=custom_value_dimensions,assigned_csms", `{"include": "custom_value_dimensions,assigned_csms", "results": [{"assigned_csms": [], "custom_value_dimensions": {"<only>": true}}, "<any>"]}`},
		{"include=custom_event_dimensions,colours", `{"results": [{"custom_event_dimensions": {"<only>": true}, "colours": "<absent>", "assigned_csms": "<absent>"}, "<any>"]}`},
		{"include=nps_history,name", `{"results": [{"nps_history": "<absent>", "name": "1"}, "<any>"]}`},
		{"colour=red&limit=1&Page=5", `{"colour": "<absent>", "current_page": 0, "results": ` + ids("ba") + `}`},
		{"a;b=%zz&direction=asc", `{"direction": "asc", "results": ` + ids("ab") + `}`},
	} {
		c.sub(x.query, func(c *client) { c.get("/accounts?" + x.query).want(x.want) })
	}
	for _, x := range []struct{ query, want string }{
		{"", "21"}, {"order_by=user_id", "21"}, {"order_by=id", "21"}, {"order_by=account_id", "12"},
		{"direction=asc", "12"}, {"order_by=account_id&direction=asc", "21"},
		{"include_inactive=true", "321"}, {"include_inactive=1&order_by=account_id", "132"}, {"include=assigned_csms", "21"},
	} {
		c.sub("users "+x.query, func(c *client) {
			got := ""
			for _, r := range c.get("/account_users?" + x.query).results() {
				got += r["user_id"].(string)
			}
			if got != x.want {
				c.Errorf("users %s, want %s", got, x.want)
			}
		})
	}
	c.get("/account_users?order_by=email").fails("not_a_choice", "order_by").want(`{"message": "'order_by' must be one of: user_id, account_id", "results": []}`)
	c.get("/account_contacts").want(`{"results": []}`)
}

// thing is a record as these tests know it, with what it is ordered by.
type thing struct {
	id     string
	orders map[string]string // by order, text that sorts as the record does
	active bool
}

// pagesAre checks all pages of a list against the things it must hold.
func (c *client) pagesAre(path, order string, descending, inactive bool, things []thing, idOf func(object) string) {
	c.Helper()
	direction := "asc"
	if descending {
		direction = "desc"
	}
	want := c.sorted(order, descending, inactive, things)
	path = fmt.Sprintf("%s?order_by=%s&direction=%s&include_inactive=%t", path, order, direction, inactive)
	for page := 0; page*1000 < len(want)+1; page++ {
		c.pageIs(path, page, want, idOf)
	}
}

func (c *client) sorted(order string, descending, inactive bool, things []thing) []string {
	sorted := slices.SortedFunc(slices.Values(things), func(a, b thing) int {
		if descending {
			a, b = b, a
		}
		return cmp.Compare(a.orders[order], b.orders[order])
	})
	var ids []string
	for _, t := range sorted {
		if inactive || t.active {
			ids = append(ids, t.id)
		}
	}
	return ids
}

// pageIs checks one page of a list whose ids are all.
func (c *client) pageIs(path string, page int, all []string, idOf func(object) string) {
	c.Helper()
	start := min(1000*page, len(all))
	want := all[start:min(start+1000, len(all))]
	a := c.get(fmt.Sprintf("%s&page=%d", path, page))
	a.want(fmt.Sprintf(`{"status_is_ok": true, "current_page": %d, "max_page_size": 1000}`, page))
	var got []string
	for _, r := range a.results() {
		got = append(got, idOf(r))
	}
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			c.Errorf("%s: %d records, want %d; different from the %dth on: %q, want %q", a.what, len(got), len(want), i,
				got[min(i, len(got)):min(i+3, len(got))], want[min(i, len(want)):min(i+3, len(want))])
			return
		}
	}
}

func accountOf(r object) string { return fmt.Sprint(r["account_id"]) }
func userOf(r object) string    { return fmt.Sprintf("%s of %s", r["user_id"], r["account_id"]) }

// manyAccounts uploads n accounts whose names and dates are in other orders
// than their ids, with some that are equal, and one in ten inactive.
func (c *client) manyAccounts(n int) []thing {
	r := rand.New(rand.NewPCG(3, 4))
	var things []thing
	var records []any
	for _, i := range r.Perm(n) {
		id := fmt.Sprintf("a%04d", i)
		name := fmt.Sprintf("name %04d", r.IntN(n/3+1))
		date := r.IntN(n/3+1) - n/6
		t := thing{id: id, active: i%10 != 3, orders: map[string]string{
			"account_id": id, "name": name + "\x00" + id, "join_date": fmt.Sprintf("%08d\x00%s", date+n, id),
		}}
		record := account(id, object{"name": name, "join_date": date})
		if !t.active {
			record["is_churned"] = true
		}
		things, records = append(things, t), append(records, record)
	}
	c.upload("/accounts", records...).want(fmt.Sprintf(`{"inserted": %d}`, n))
	return things
}

// testPagesOfAccounts reads a list of 2,500 accounts in every order.
func testPagesOfAccounts(c *client) {
	things := c.manyAccounts(2500)
	for i, order := range []string{"account_id", "name", "join_date"} {
		for _, descending := range []bool{false, true} {
			inactive := descending == (i%2 == 0)
			c.sub(fmt.Sprintf("%s, descending %t, inactive ones %t", order, descending, inactive), func(c *client) {
				c.pagesAre("/accounts", order, descending, inactive, things, accountOf)
			})
		}
	}
	c.sub("last page first", func(c *client) {
		fresh := "/accounts?order_by=id&direction=asc&include_inactive=1&x=y"
		want := c.sorted("account_id", false, true, things)
		for _, page := range []int{2, 3, 1, 2} {
			c.pageIs(fresh, page, want, accountOf)
		}
	})
}

// testPagesOfPeople reads lists of 2,500 users and contacts, of the workspace
// and of an account, in every order.
func testPagesOfPeople(c *client) {
	const n = 2500
	c.upload("/accounts", account("x"), account("y"), account("big"))
	r := rand.New(rand.NewPCG(5, 6))
	var things, ofBig []thing
	var records []any
	for _, i := range r.Perm(n) {
		in := "big"
		id := fmt.Sprintf("u%04d", i)
		if i%5 == 0 { // ids that occur in two accounts
			in, id = []string{"x", "y"}[i/5%2], fmt.Sprintf("u%04d", i/10*10)
		}
		phone := fmt.Sprintf("%04d", r.IntN(n/3))
		t := thing{id: id + " of " + in, active: i%10 != 3, orders: map[string]string{
			"user_id": id + "\x00" + in, "account_id": in + "\x00" + id, "phone": phone + "\x00" + id,
		}}
		things = append(things, t)
		if in == "big" {
			ofBig = append(ofBig, t)
		}
		records = append(records, person(in, id, object{"phone": phone, "is_active": t.active}))
	}
	c.upload("/account_users", records...).want(fmt.Sprintf(`{"inserted": %d}`, n))
	for _, descending := range []bool{false, true} {
		for _, inactive := range []bool{false, true} {
			c.sub(fmt.Sprintf("descending %t, inactive ones %t", descending, inactive), func(c *client) {
				workspace, account := "user_id", "phone"
				if descending != inactive {
					workspace, account = "account_id", "user_id"
				}
				c.pagesAre("/account_users", workspace, descending, inactive, things, userOf)
				c.pagesAre("/accounts/big/users", account, descending, inactive, ofBig, userOf)
			})
		}
	}
	c.get("/account_contacts").want(`{"results": []}`)
}

// testExactPages shows that a page of exactly 1000 is followed by an empty one,
// and what becomes of both as one more comes and goes.
func testExactPages(c *client) {
	var records []any
	for i := range 1000 {
		records = append(records, account(fmt.Sprintf("%04d", i)))
	}
	c.upload("/accounts", records...)
	count := func(path string, want ...int) {
		c.Helper()
		for page, n := range want {
			if got := len(c.get(fmt.Sprintf("%s&page=%d", path, page)).results()); got != n {
				c.Errorf("%s: page %d has %d records, want %d", path, page, got, n)
			}
		}
	}
	lists := []string{"/accounts?direction=asc", "/accounts?order_by=name"}
	all := func(want ...int) {
		c.Helper()
		for _, list := range lists {
			count(list, want...)
		}
	}
	all(1000, 0, 0)
	c.upload("/accounts", account("1000"))
	all(1000, 1)
	c.delete("/accounts/0500")
	all(1000, 0)
	count("/accounts?include_inactive=1", 1000, 1, 0)
	c.delete("/accounts/0501")
	all(999, 0)
	c.put("/accounts/0500", `{"data": {"is_deleted": false}}`)
	c.put("/accounts/0501", `{"data": {"is_deleted": false}}`)
	all(1000, 1)
}

// testPagesInMotion shows that each page is that of the list as it stands when
// it is read, whatever was read before.
func testPagesInMotion(c *client) {
	things := c.manyAccounts(1300)
	at := func(id string) *thing {
		for i := range things {
			if things[i].id == id {
				return &things[i]
			}
		}
		c.Fatalf("no %s", id)
		return nil
	}
	read := func(page int) {
		c.Helper()
		c.pageIs("/accounts?order_by=account_id&direction=asc", page, c.sorted("account_id", false, false, things), accountOf)
		c.pageIs("/accounts?order_by=name&direction=desc", page, c.sorted("name", true, false, things), accountOf)
	}
	read(0)
	read(1)
	first := thing{id: "a", active: true, orders: map[string]string{"account_id": "a", "name": "a\x00a"}}
	c.upload("/accounts", account("a", object{"name": "a"}))
	things = append(things, first)
	read(1)
	c.delete("/accounts/a0001")
	at("a0001").active = false
	c.delete("/accounts/a0000")
	at("a0000").active = false
	read(2)
	c.put("/accounts/a0002", `{"data": {"name": "zzz"}}`)
	at("a0002").orders["name"] = "zzz\x00a0002"
	read(1)
	c.put("/accounts/a0001", `{"data": {"is_deleted": false}}`)
	at("a0001").active = true
	c.put("/accounts/a0100", `{"data": {"phone": "1"}}`) // moves nothing
	read(1)
	last := thing{id: "z", active: true, orders: map[string]string{"account_id": "z", "name": "zzzz\x00z"}}
	c.upload("/accounts", account("z", object{"name": "zzzz"}))
	things = append(things, last)
	read(1)
	read(0)
}

// testOrderOfAnyText shows that text is ordered by its code points, which is
// the order of its bytes in UTF-8, and dates as numbers.
func testOrderOfAnyText(c *client) {
	texts := []string{" ", "A", "a", "a b", "a\x00", "a\x00b", "a\x01", "aa", "a\u0301", "ä", "b", "é", "日", "\uffee", "😀"}
	dates := []string{"-9223372036854775808", "-1000", "-9", "-1", "0", "1", "9", "10", "1000", "9223372036854775807"}
	slices.Sort(texts)
	var records []any
	want := func(key string, list []string, prefix string) string {
		var results []any
		for i := range list {
			results = append(results, object{key: fmt.Sprintf("%s%02d", prefix, i)})
		}
		return toJSON(object{"results": results})
	}
	for i, text := range texts {
		records = append(records, account(fmt.Sprintf("n%02d", i), object{"name": text}))
	}
	c.upload("/accounts", records...)
	c.get("/accounts?order_by=name&direction=asc").want(want("account_id", texts, "n"))
	other := c.another()
	var byDate []string
	for i, date := range dates {
		byDate = append(byDate, fmt.Sprintf(`{"account_id": "d%02d", "name": "n", "join_date": %s}`, i, date))
	}
	other.post("/accounts", `{"records": [`+strings.Join(byDate, ",")+`]}`).want(fmt.Sprintf(`{"inserted": %d}`, len(dates)))
	other.get("/accounts?order_by=join_date&direction=asc").want(want("account_id", dates, "d"))
	var ids []any
	var sorted []any
	for _, text := range texts {
		ids = append(ids, person("n00", text))
		sorted = append(sorted, object{"user_id": text})
	}
	rand.New(rand.NewPCG(7, 8)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	c.upload("/account_users", ids...)
	c.get("/account_users?direction=asc").want(toJSON(object{"results": sorted}))
	c.get("/accounts/n00/users?direction=asc").want(toJSON(object{"results": sorted}))
}

// testLargePage shows that a page of more than 8 MB arrives whole (P4).
func testLargePage(c *client) {
	const n = 1000
	r := rand.New(rand.NewPCG(9, 10))
	details := func() string {
		var b strings.Builder
		for b.Len() < 8192 {
			fmt.Fprintf(&b, "%016x", r.Uint64())
		}
		return b.String()
	}
	var records []any
	for i := range n {
		records = append(records, account(fmt.Sprintf("%04d", i), object{"latest_status_details": details()}))
	}
	c.uploadPacked("/accounts", records...)
	plain := c.get("/accounts?direction=asc")
	results := plain.results()
	if len(results) != n {
		c.Fatalf("%d records, want %d", len(results), n)
	}
	for i, r := range results {
		want := records[i].(object)
		if r["account_id"] != want["account_id"] || r["latest_status_details"] != want["latest_status_details"] {
			c.Fatalf("the record at %d is not as uploaded: %.300s", i, toJSON(r))
		}
	}
	packed := c.exchange(request{method: "GET", path: "/accounts?direction=asc", header: map[string]string{"Accept-Encoding": "gzip"}})
	packed.inflate()
	if !bytes.Equal(packed.raw, plain.raw) {
		c.Errorf("compressed, the page has another body")
	}
}
