package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
)

var largeTests = []test{
	{"a page of large texts", testPageOfLargeTexts},
	{"a long history of scores", testLongHistory},
	{"a long series of points", testVeryLongSeries},
	{"incompressible texts", testIncompressibleTexts},
}

// chance returns a text of so many characters of four bytes that no compression
// makes much shorter.
func chance(r *rand.Rand, length int) string {
	text := make([]rune, length)
	for i := range text {
		text[i] = rune(0x10000 + r.IntN(0x100000))
	}
	return string(text)
}

// uploadPacked posts a body compressed, as large ones are to be.
func (c *client) uploadPacked(path string, records ...any) *answer {
	c.Helper()
	return c.send(request{method: http.MethodPost, path: path, body: gzipped([]byte(body(nil, records...))), header: asGzip}).
		want(`{"status_is_ok": true, "failed": 0, "failed_results": []}`)
}

// interaction returns a record that is enough to insert an interaction.
func interaction(external, details string) object {
	return object{"account_id": "acme", "external_id": external, "create_time": 1, "type": "email", "details": details}
}

// testIncompressibleTexts shows that the longest texts of interactions and notes
// come back byte for byte in every form, however little they compress (N1).
func testIncompressibleTexts(c *client) {
	c.upload("/accounts", account("acme"))
	r := rand.New(rand.NewPCG(21, 22))
	for _, x := range []struct {
		path, field string
		length      int
	}{
		{"/interactions", "details", 262144},
		{"/notes", "note", 32768},
	} {
		c.sub(x.path[1:], func(c *client) {
			text, other := chance(r, x.length), chance(r, x.length)
			record := object{"account_id": "acme", "external_id": "e", "create_time": 1, "type": "email"}
			c.upload(x.path, with(record, object{x.field: text})).want(`{"inserted": 1}`)
			byID := fmt.Sprintf("%s/%s", x.path, c.one(x.path + "/external_id/e")["id"])
			whole := func(want any) {
				c.Helper()
				for _, path := range []string{byID, x.path + "/external_id/e", x.path, x.path + "?account_id=acme"} {
					if got := c.one(path)[x.field]; got != want {
						c.Errorf("GET %s: %s is %s, want %s", path, x.field, brief(got), brief(want))
					}
				}
			}
			whole(text)
			packed := c.send(request{method: http.MethodGet, path: byID, header: map[string]string{"Accept-Encoding": "gzip"}})
			if got := packed.results()[0][x.field]; got != text {
				c.Errorf("compressed, %s is %s", x.field, brief(got))
			}
			c.upload(x.path, record).want(`{"unchanged": 1}`)
			c.put(byID, `{"data": {"subject": "small change"}}`).want(`{"status_is_ok": true}`)
			whole(text)
			c.put(byID, toJSON(object{"data": object{x.field: other}})).want(`{"status_is_ok": true}`)
			whole(other)
			c.put(byID, toJSON(object{"data": object{x.field: text + "x"}})).fails("too_long", x.field)
			whole(other)
			c.put(byID, toJSON(object{"data": object{x.field: nil}})).want(`{"status_is_ok": true}`)
			whole(nil)
			c.uploadPacked(x.path, with(record, object{x.field: text})).want(`{"changed": 1}`)
			whole(text)
			c.delete(byID).want(`{"status_is_ok": true}`)
			c.get(byID).fails("not_found", "id")
			c.get(x.path).want(`{"results": []}`)
		})
	}
}

// testPageOfLargeTexts shows that a page of 1,000 interactions arrives whole and
// in order, whatever it comes to in bytes (P4, P12): here 45 MB where nothing
// else is said, with records that do and that do not fit into an item of the
// store.
func testPageOfLargeTexts(c *client) {
	const n = 1000
	c.upload("/accounts", account("acme"))
	r := rand.New(rand.NewPCG(23, 24))
	texts := make([]string, n)
	var records []any
	size := 0
	for i := range texts {
		length := c.entries() / 10
		if i%100 == 7 {
			length = 120_000
		}
		texts[i] = chance(r, length)
		if size += len(texts[i]); size > maxBody-100_000 {
			c.uploadPacked("/interactions", records...)
			records, size = nil, len(texts[i])
		}
		records = append(records, interaction(fmt.Sprint(i), texts[i]))
	}
	c.uploadPacked("/interactions", records...)
	c.uploadPacked("/interactions", interaction("one more", "x"))
	for _, direction := range []string{"asc", "desc"} {
		// Read as text: what is looked at is the page, not its every field.
		a := c.exchange(request{method: http.MethodGet, path: "/interactions?direction=" + direction})
		var page struct {
			OK      bool `json:"status_is_ok"`
			Results []struct {
				ID       int64  `json:"id"`
				External string `json:"external_id"`
				Details  string `json:"details"`
			} `json:"results"`
		}
		if err := json.Unmarshal(a.raw, &page); err != nil || !page.OK || len(page.Results) != n {
			c.Fatalf("%s: %d interactions, %v, of %d bytes", direction, len(page.Results), err, len(a.raw))
		}
		for i, got := range page.Results {
			want, details := fmt.Sprint(i), texts[i]
			if direction == "desc" {
				if i == 0 {
					want, details = "one more", "x"
				} else {
					want, details = fmt.Sprint(n-i), texts[n-i]
				}
			}
			if got.External != want || got.Details != details {
				c.Fatalf("%s: at %d is %s with %s, want %s with %s", direction, i, got.External, brief(got.Details), want, brief(details))
			}
			if i > 0 && (got.ID > page.Results[i-1].ID) != (direction == "asc") {
				c.Fatalf("%s: %d comes after %d", direction, got.ID, page.Results[i-1].ID)
			}
		}
	}
	c.get("/interactions?direction=asc&page=1").want(`{"results": [{"external_id": "one more"}]}`)
}

// entries is how many entries of one list the tests write.
func (c *client) entries() int {
	if c.target.Entries > 0 {
		return c.target.Entries
	}
	return 100_000
}

// testLongHistory shows an account of very many scores.
func testLongHistory(c *client) {
	n := c.entries()
	entries := make([]any, n)
	for i := range entries {
		entries[i] = object{"date": 1000 * i, "nps_score": i%201 - 100}
	}
	c.uploadPacked("/accounts", account("acme", object{"nps_history": entries})).want(`{"inserted": 1}`)
	whole := func(n int, last object) {
		c.Helper()
		// The description would be held against every entry: once is enough.
		a := c.exchange(request{method: http.MethodGet, path: "/accounts/acme"})
		var got struct {
			Results []struct {
				History []struct {
					Date  int64 `json:"date"`
					Score int   `json:"nps_score"`
				} `json:"nps_history"`
			} `json:"results"`
		}
		if err := json.Unmarshal(a.raw, &got); err != nil || len(got.Results) != 1 || len(got.Results[0].History) != n {
			c.Fatalf("the account is not as uploaded: %v %.300s", err, a.raw)
		}
		history := got.Results[0].History
		if end := history[n-1]; fmt.Sprint(end.Date) != fmt.Sprint(last["date"]) || fmt.Sprint(end.Score) != fmt.Sprint(last["nps_score"]) {
			c.Errorf("the last entry is %+v, want %v", end, last)
		}
		for i, e := range history[:n-1] {
			if e.Date != int64(1000*i) || e.Score != i%201-100 {
				c.Fatalf("the entry at %d is %+v", i, e)
			}
		}
	}
	whole(n, entries[n-1].(object))
	more := object{"date": 1000 * n, "nps_score": 7}
	c.put("/accounts/acme", toJSON(object{"data": object{"nps_history": []any{more}}})).want(`{"status_is_ok": true}`)
	whole(n+1, more)
	c.delete(fmt.Sprintf("/accounts/acme/nps_history/%d", 1000*n)).want(`{"status_is_ok": true}`)
	whole(n, entries[n-1].(object))
	c.delete("/accounts/acme/nps_history").want(`{"status_is_ok": true}`)
	c.get("/accounts/acme").want(results(`{"nps_history": [], "current_nps_score": null}`))
	c.put("/accounts/acme", toJSON(object{"data": object{"nps_history": []any{more}}})).want(`{"status_is_ok": true}`)
	c.get("/accounts/acme").want(results(`{"nps_history": [{"nps_score": 7}], "current_nps_score": 7}`))
}

// testVeryLongSeries shows a metric of twice as many points, which take more
// than one upload.
func testVeryLongSeries(c *client) {
	n := 2 * c.entries()
	c.upload("/accounts", account("acme"))
	for part := range slices.Chunk(countTo(1, n), n/4) {
		c.uploadPacked("/metrics", series("acme", "m", part...))
	}
	page := func(number, want, first, step int) {
		c.Helper()
		direction := "asc"
		if step < 0 {
			direction = "desc"
		}
		a := c.get(fmt.Sprintf("/metrics/m?direction=%s&page=%d", direction, number))
		if want == 0 {
			a.want(`{"status_is_ok": true, "results": []}`)
			return
		}
		var points []any
		for i := range want {
			points = append(points, point(first+i*step, 10*(first+i*step)))
		}
		a.want(toJSON(object{"results": []any{object{"account_id": "acme", "m": points}}}))
	}
	last := n/1000 - 1
	page(0, 1000, 1, 1)
	page(last, 1000, n-999, 1)
	page(last/2, 1000, last/2*1000+1, 1)
	page(last+1, 0, 0, 1)
	page(0, 1000, n, -1)
	page(last, 1000, 1000, -1)
	c.upload("/metrics", series("acme", "m", n+1)).want(`{"changed": 1}`)
	page(last+1, 1, n+1, 1)
	page(0, 1000, n+1, -1)
	c.upload("/metrics", series("acme", "m", 5)).want(`{"unchanged": 1}`)
	c.delete("/metrics/m").want(`{"status_is_ok": true}`)
	c.get("/metrics/m").fails("not_found", "name")
	c.upload("/metrics", series("acme", "m", 9)).want(`{"inserted": 1}`)
	c.get("/metrics/m").want(toJSON(object{"results": []any{object{"account_id": "acme", "m": []any{point(9, 90)}}}}))
}
