package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The model of TestKilledInTheMiddleOfUploads. Every value that an upload gives
// a record follows from the record's id and the number of the upload, its
// generation. So a record tells which upload wrote it, and whether that wrote
// the whole of it.

// killedAccount is what an account must be.
type killedAccount struct {
	generation int
	// surveys holds, for the NPS entry of each day, the upload that wrote it.
	// Uploads that bring entries bring those of the first days, and so write
	// over the entries of uploads before them.
	surveys []int
}

// written returns the account as an upload leaves it.
func (a killedAccount) written(generation, surveys int) killedAccount {
	next := killedAccount{generation, slices.Clone(a.surveys)}
	for day := range surveys {
		if day == len(next.surveys) {
			next.surveys = append(next.surveys, 0)
		}
		next.surveys[day] = generation
	}
	return next
}

const (
	firstSurvey = 1_600_000_000_000
	day         = 24 * 60 * 60 * 1000
)

func surveyScore(generation, day int) int { return (generation*31+day*7)%201 - 100 }

// score returns current_nps_score by the definition of contract A4.
func (a killedAccount) score() *int {
	if len(a.surveys) == 0 {
		return nil
	}
	sum, n := 0, 0
	for day := max(0, len(a.surveys)-31); day < len(a.surveys); day++ {
		sum += surveyScore(a.surveys[day], day)
		n++
	}
	sign := 1
	if sum < 0 {
		sign = -1
	}
	mean := sign * ((2*sign*sum + n) / (2 * n))
	return &mean
}

// place is a number that moves a record in the lists with every upload.
func place(id string, generation int) int64 {
	h := fnv.New32a()
	fmt.Fprint(h, id, generation)
	return int64(h.Sum32())
}

// survey is an entry of nps_history.
type survey struct {
	Date     int64  `json:"date"`
	Score    int    `json:"nps_score"`
	Username string `json:"username"`
	Comments string `json:"comments"`
}

func (a killedAccount) history() []survey {
	var all []survey
	for day_, generation := range a.surveys {
		all = append(all, survey{firstSurvey + int64(day_)*day, surveyScore(generation, day_), "survey", fmt.Sprint(generation)})
	}
	return all
}

// keyed is a dimension, as uploads give it.
type keyed struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// upload returns the account as a record of the upload that brings it to this
// state, with the entries of the first days.
func (a killedAccount) upload(id string, surveys int) any {
	g := a.generation
	record := map[string]any{
		"account_id": id, "name": fmt.Sprintf("%08x %s", place(id, g), id), "join_date": place(id, -g),
		"employees": g, "is_churned": g%5 == 0, "inactive_time": 1,
		"custom_value_dimensions": []keyed{{"generation", g}},
		"custom_label_dimensions": []keyed{{"generation", fmt.Sprint(g)}},
		"documents":               []map[string]any{{"name": "generation", "url": fmt.Sprintf("https://example.com/%d", g)}},
	}
	if surveys > 0 {
		record["nps_history"] = a.history()[:surveys]
	}
	return record
}

// listedAccount is an account as lists show it, in the order of its fields.
type listedAccount struct {
	ID       string             `json:"account_id"`
	Name     string             `json:"name"`
	JoinDate int64              `json:"join_date"`
	Employed int                `json:"employees"`
	Churned  bool               `json:"is_churned"`
	Active   bool               `json:"is_active"`
	Score    *int               `json:"current_nps_score"`
	Values   map[string]float64 `json:"custom_value_dimensions"`
	Labels   map[string]string  `json:"custom_label_dimensions"`
}

// readAccount is an account as a single read shows it.
type readAccount struct {
	listedAccount
	Documents []struct {
		URL string `json:"url"`
	} `json:"documents"`
	History []survey `json:"nps_history"`
}

// listed returns the account as lists must show it.
func (a killedAccount) listed(id string) listedAccount {
	g := a.generation
	return listedAccount{
		ID: id, Name: fmt.Sprintf("%08x %s", place(id, g), id), JoinDate: place(id, -g), Employed: g,
		Churned: g%5 == 0, Active: g%5 != 0, Score: a.score(),
		Values: map[string]float64{"generation": float64(g)}, Labels: map[string]string{"generation": fmt.Sprint(g)},
	}
}

// killedUser is a user of an account, as every read shows it.
type killedUser struct {
	Account string `json:"account_id"`
	ID      string `json:"user_id"`
	First   string `json:"first_name"`
	Last    string `json:"last_name"`
	Phone   string `json:"phone"`
	Joined  int64  `json:"product_join_date"`
}

func userOf(account, id string, generation int) killedUser {
	text := fmt.Sprint(generation)
	return killedUser{account, id, text, text, text, int64(generation)}
}

// generation returns the upload that wrote the whole user; 0 if none did.
func (u killedUser) generation() int {
	if g := int(u.Joined); u == userOf(u.Account, u.ID, g) {
		return g
	}
	return 0
}

// userKey is what identifies a user: the same id may occur in two accounts.
type userKey struct{ account, id string }

// checkedAccount is an account as it was listed, and found right, before.
type checkedAccount struct {
	generation int
	text       string
	account    listedAccount
}

// batch is one upload: of accounts, with how many entries each, or of users.
type batch struct {
	generation int
	accounts   map[string]int
	users      []userKey
}

// killed is the client of a program that is killed again and again.
type killed struct {
	*process
	generation int
	accounts   map[string]killedAccount
	users      map[userKey]int
	checked    map[string]checkedAccount
	// unanswered is the upload that was under way when the program was killed.
	unanswered batch
}

const (
	killedAccounts = 1100 // more than a page
	killedHomes    = 40   // those of them that have users
	killedUsers    = 300
	batchSize      = 200
)

// next returns the next upload.
func (k *killed) next() batch {
	k.generation++
	b := batch{generation: k.generation}
	if k.generation%4 == 0 {
		chosen := map[userKey]bool{}
		for len(chosen) < batchSize {
			n := rand.IntN(killedUsers)
			// Every third id is one of two people, in two accounts.
			home := (n + rand.IntN(2)*(n%3/2)) % killedHomes
			chosen[userKey{fmt.Sprintf("account-%d", home), fmt.Sprintf("user-%d", n)}] = true
		}
		b.users = slices.Collect(maps.Keys(chosen))
		return b
	}
	b.accounts = map[string]int{}
	for len(b.accounts) < batchSize {
		surveys := 0
		switch chance := rand.IntN(200); {
		case chance < 30:
			surveys = 1 + chance%5
		case chance < 32:
			// About where a transaction takes no more, and well beyond.
			surveys = []int{97, 98, 99, 120, 150}[rand.IntN(5)]
		}
		b.accounts[fmt.Sprintf("account-%d", rand.IntN(killedAccounts))] = surveys
	}
	return b
}

// path returns where the upload is posted.
func (b batch) path() string {
	if b.users != nil {
		return "/account_users"
	}
	return "/accounts"
}

// body returns what is posted.
func (k *killed) body(b batch) []byte {
	var all []any
	for id, surveys := range b.accounts {
		all = append(all, k.accounts[id].written(b.generation, surveys).upload(id, surveys))
	}
	for _, u := range b.users {
		all = append(all, userOf(u.account, u.id, b.generation))
	}
	text, err := json.Marshal(map[string]any{"records": all})
	if err != nil {
		k.t.Fatal(err)
	}
	return text
}

// acknowledge notes that an upload was carried out.
func (k *killed) acknowledge(b batch) {
	for id, surveys := range b.accounts {
		k.accounts[id] = k.accounts[id].written(b.generation, surveys)
	}
	for _, u := range b.users {
		k.users[u] = b.generation
	}
}

// post posts an upload and reports whether it was answered; it must then have
// been carried out in full.
func (k *killed) post(b batch) bool {
	k.t.Helper()
	a, err := k.send(k.t.Context(), testKey, http.MethodPost, b.path(), k.body(b))
	if err != nil {
		return false
	}
	if a.status != http.StatusOK || !a.OK || a.Inserted+a.Changed != batchSize {
		k.t.Fatalf("upload %d: status %d %.300s", b.generation, a.status, a.raw)
	}
	k.acknowledge(b)
	return true
}

// get reads something into results.
func (k *killed) get(path string, results any) {
	k.t.Helper()
	a := k.do(testKey, http.MethodGet, path, "")
	page := struct {
		Results any `json:"results"`
	}{results}
	if err := json.Unmarshal(a.raw, &page); err != nil {
		k.t.Fatalf("GET %s: %v: %.300s", path, err, a.raw)
	}
}

// TestKilledInTheMiddleOfUploads kills the program while it carries out
// uploads, at any instant, and starts it again on the same directory, over and
// over. Each time every acknowledged record must be there as acknowledged, or
// as the upload that was under way has left it, never as a mixture of the two,
// the same wherever it is read; and the program must take uploads at once.
func TestKilledInTheMiddleOfUploads(t *testing.T) {
	t.Parallel()
	const kills = 50
	k := &killed{accounts: map[string]killedAccount{}, users: map[userKey]int{}, checked: map[string]checkedAccount{}}
	dir := t.TempDir()
	applied := map[string]int{}
	for killedInTheMiddle, rounds := 0, 0; killedInTheMiddle < kills; rounds++ {
		if rounds == 2*kills {
			t.Fatalf("only %d of %d kills were in the middle of an upload", killedInTheMiddle, rounds)
		}
		k.process = start(t, "DATA_DIR="+dir)
		if rounds == 0 {
			k.beginWithHomes()
		} else {
			k.done(testKey, http.MethodPost, "/account_contacts",
				`{"records":[{"account_id":"account-0","user_id":"at-once","first_name":"A","last_name":"B"}]}`)
		}
		applied[k.check()]++

		var posting atomic.Bool
		inTheMiddle := make(chan bool, 1)
		time.AfterFunc(rand.N(120*time.Millisecond), func() {
			inTheMiddle <- posting.Load()
			k.kill()
		})
		for {
			b := k.next()
			posting.Store(true)
			answered := k.post(b)
			posting.Store(false)
			if !answered {
				k.unanswered = b
				break
			}
		}
		if <-inTheMiddle {
			killedInTheMiddle++
		}
		<-k.exited
	}
	k.process = start(t, "DATA_DIR="+dir)
	applied[k.check()]++
	t.Logf("%d uploads; of those under way when killed, records were applied: %v", k.generation, applied)
}

// beginWithHomes makes the accounts that have users.
func (k *killed) beginWithHomes() {
	k.generation++
	b := batch{generation: k.generation, accounts: map[string]int{}}
	var all []string
	for n := range killedHomes {
		id := fmt.Sprintf("account-%d", n)
		b.accounts[id] = 0
		text, err := json.Marshal(killedAccount{generation: k.generation}.upload(id, 0))
		if err != nil {
			k.t.Fatal(err)
		}
		all = append(all, string(text))
	}
	k.done(testKey, http.MethodPost, "/accounts", records(all...))
	k.acknowledge(b)
}

// check holds everything that is stored against the model, and brings the
// model to what became of the unanswered upload. It returns how much of that
// was applied: "none", "some" or "all".
func (k *killed) check() string {
	k.t.Helper()
	b := k.unanswered
	applied := 0
	// The last page is read first: that it begins where the first one ends must
	// not depend on that one's having been read since.
	second, first := k.page("name", 1), k.page("name", 0)
	byName := slices.Concat(first, second)
	seen, texts := map[string]listedAccount{}, map[string]string{}
	for _, text := range byName {
		last := k.checked[idOf(text)]
		a := last.account
		if last.text != text {
			a = listedAccount{}
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				k.t.Fatalf("%v: %.300s", err, text)
			}
		}
		texts[a.ID] = text
		if _, twice := seen[a.ID]; twice {
			k.t.Fatalf("%s is twice in the list by name", a.ID)
		}
		seen[a.ID] = a
		before, known := k.accounts[a.ID]
		if last.text == text && last.generation == before.generation {
			continue
		}
		if known && reflect.DeepEqual(a, before.listed(a.ID)) {
			k.checked[a.ID] = checkedAccount{before.generation, text, a}
			continue
		}
		surveys, unanswered := b.accounts[a.ID]
		after := before.written(b.generation, surveys)
		if !unanswered || !reflect.DeepEqual(a, after.listed(a.ID)) {
			k.t.Fatalf("%s was acknowledged as\n%+v, the unanswered upload has\n%+v, and it is\n%+v",
				a.ID, before.listed(a.ID), after.listed(a.ID), a)
		}
		k.accounts[a.ID] = after
		applied++
	}
	for id := range k.accounts {
		if _, found := seen[id]; !found {
			k.t.Fatalf("%s was acknowledged and is not in the list by name", id)
		}
	}
	sortKeys := map[string]func(listedAccount) string{
		"name":       func(a listedAccount) string { return a.Name },
		"account_id": func(a listedAccount) string { return a.ID },
		"join_date":  func(a listedAccount) string { return fmt.Sprintf("%016x %s", a.JoinDate, a.ID) },
	}
	for order, sortKey := range sortKeys {
		all := byName
		if order != "name" {
			all = slices.Concat(k.page(order, 0), k.page(order, 1))
		}
		if len(all) != len(seen) {
			k.t.Fatalf("%d accounts by %s, %d by name", len(all), order, len(seen))
		}
		before := ""
		for _, text := range all {
			id := idOf(text)
			if text != texts[id] {
				k.t.Fatalf("%s by %s is\n%s, by name\n%s", id, order, text, texts[id])
			}
			if key := sortKey(seen[id]); key <= before {
				k.t.Fatalf("the list by %s has %q after %q", order, key, before)
			} else {
				before = key
			}
		}
	}
	k.checkSingleReads(seen)
	applied += k.checkUsers()
	switch applied {
	case 0:
		return "none"
	case batchSize:
		return "all"
	}
	return "some"
}

// accountStart is what every account in an answer begins with, and nothing else.
const accountStart = `{"account_id":"`

// idOf returns the id of an account from its text.
func idOf(text string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(text, accountStart), `"`)
	return id
}

// page returns a page of all accounts, each as its text: the lists show an
// account alike, so that comparing is cheaper than reading.
func (k *killed) page(order string, n int) []string {
	k.t.Helper()
	path := fmt.Sprintf(
		"/accounts?direction=asc&include_inactive=true&include=custom_value_dimensions,custom_label_dimensions&order_by=%s&page=%d", order, n)
	a, err := k.send(k.t.Context(), testKey, http.MethodGet, path, nil, "Accept-Encoding", "identity")
	if err != nil || !a.OK {
		k.t.Fatalf("GET %s: %v %.300s", path, err, a.raw)
	}
	_, results, found := strings.Cut(string(a.raw), `"results":[`)
	if !found {
		k.t.Fatalf("no results: %.300s", a.raw)
	}
	parts := strings.Split(strings.TrimSuffix(results, "]}"), accountStart)[1:]
	for i := range parts {
		parts[i] = accountStart + strings.TrimSuffix(parts[i], ",")
	}
	return parts
}

// checkSingleReads reads the accounts that the unanswered upload brought
// entries for, and a few others, one by one: there the entries are.
func (k *killed) checkSingleReads(listed map[string]listedAccount) {
	k.t.Helper()
	var ids []string
	for id := range listed { // in random order
		if k.unanswered.accounts[id] > 0 || len(ids) < 5 {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		var reads []readAccount
		k.get("/accounts/"+id, &reads)
		if len(reads) != 1 {
			k.t.Fatalf("%s is in the lists and a single read gives %d results", id, len(reads))
		}
		a, want := reads[0], k.accounts[id]
		switch url := fmt.Sprintf("https://example.com/%d", want.generation); {
		case !reflect.DeepEqual(a.listedAccount, listed[id]):
			k.t.Fatalf("%s is\n%+v, in lists\n%+v", id, a.listedAccount, listed[id])
		case len(a.Documents) != 1 || a.Documents[0].URL != url:
			k.t.Fatalf("%s has the documents %v, want %s", id, a.Documents, url)
		case !slices.Equal(a.History, want.history()):
			k.t.Fatalf("%s of upload %d (unanswered: %d with %d entries) has the entries\n%v, want\n%v",
				id, want.generation, k.unanswered.generation, k.unanswered.accounts[id], a.History, want.history())
		}
	}
}

// checkUsers does for users what check does for accounts, and returns how many
// of the unanswered upload were applied.
func (k *killed) checkUsers() (applied int) {
	k.t.Helper()
	var all []killedUser
	k.get("/account_users?direction=asc", &all)
	byID := map[string][]killedUser{}
	byAccount := map[string][]killedUser{}
	seen := map[userKey]bool{}
	for _, u := range all {
		key := userKey{u.Account, u.ID}
		if seen[key] {
			k.t.Fatalf("%v is listed twice", key)
		}
		seen[key] = true
		switch g := u.generation(); {
		case g == 0:
			k.t.Fatalf("half a user: %+v", u)
		case g == k.users[key]:
		case g == k.unanswered.generation && slices.Contains(k.unanswered.users, key):
			k.users[key] = g
			applied++
		default:
			k.t.Fatalf("%v was acknowledged as of upload %d and is of %d", key, k.users[key], g)
		}
		byID[u.ID] = append(byID[u.ID], u)
		byAccount[u.Account] = append(byAccount[u.Account], u)
	}
	for key := range k.users {
		if !seen[key] {
			k.t.Fatalf("%v was acknowledged and is not listed", key)
		}
	}
	byBoth := func(a, b killedUser) int {
		return strings.Compare(a.ID+"\x00"+a.Account, b.ID+"\x00"+b.Account)
	}
	for n := range 10 {
		account := fmt.Sprintf("account-%d", rand.IntN(killedHomes))
		var users []killedUser
		k.get("/accounts/"+account+"/users", &users)
		slices.SortFunc(users, byBoth)
		if !slices.Equal(users, byAccount[account]) {
			k.t.Fatalf("%s has the users\n%v, in the list of all\n%v", account, users, byAccount[account])
		}
		id := fmt.Sprintf("user-%d", rand.IntN(killedUsers))
		if n < len(k.unanswered.users) {
			id = k.unanswered.users[n].id
		}
		var found []killedUser
		k.get("/account_users/"+id, &found)
		slices.SortFunc(found, byBoth)
		if !slices.Equal(found, byID[id]) {
			k.t.Fatalf("%s is found as\n%v, in the list of all\n%v", id, found, byID[id])
		}
	}
	return applied
}

// keptFamily is a family of which TestKilledInTheMiddleOfOtherFamilies posts
// records. Every value of a record follows from the upload that wrote it.
type keptFamily struct {
	path string
	// record returns the record with that id as an upload brings it.
	record func(id string, generation int) map[string]any
	// one is where a record is read by its id, lists what an account has.
	one, list string
	// id, and written, the upload that wrote the whole of it or 0, tell of a
	// record as it is read.
	id      func(read map[string]any) string
	written func(read map[string]any) int
	moves   bool // from account to account with every upload
}

const keptRecords = 6

func keptAccount(generation int) string { return fmt.Sprintf("home-%d", generation%3) }

// same returns the number that all of these are, or 0.
func same(all ...any) int {
	for _, v := range all {
		if v != all[0] {
			return 0
		}
	}
	n, _ := all[0].(float64)
	return int(n)
}

func text(name string) func(map[string]any) string {
	return func(read map[string]any) string { s, _ := read[name].(string); return s }
}

// entriesOf returns a value of every entry of a list; nil if there are not n.
func entriesOf(list any, n int, name string) []any {
	entries, _ := list.([]any)
	if len(entries) != n {
		return []any{nil}
	}
	values := make([]any, n)
	for i, e := range entries {
		values[i] = e.(map[string]any)[name]
	}
	return values
}

// bulk is text that does not compress well, different for every generation.
func bulk(generation int) string {
	random := rand.New(rand.NewPCG(uint64(generation), 1))
	text := make([]rune, 200_000)
	for i := range text {
		text[i] = rune(0x10000 + random.IntN(0x100000))
	}
	return string(text)
}

// keptFamilies are tickets, invoices with items, interactions larger than an
// item of the store, metrics with more points than a transaction takes, and
// subscriptions.
var keptFamilies = []keptFamily{
	{path: "/support_tickets", one: "/support_tickets/", list: "/accounts/%s/support_tickets", moves: true, id: text("ticket_id"),
		record: func(id string, g int) map[string]any {
			return map[string]any{"ticket_id": id, "account_id": keptAccount(g), "state": "open", "subject": "s", "create_time": g, "csat_value": g}
		},
		written: func(r map[string]any) int { return same(r["create_time"], r["csat_value"]) }},
	{path: "/statements", one: "/statements/", list: "/accounts/%s/statements", id: text("invoice_id"),
		record: func(id string, g int) map[string]any {
			items := slices.Repeat([]any{map[string]any{"amount": g, "is_recurring": true}}, 40)
			return map[string]any{"invoice_id": id, "account_id": keptAccount(0), "start_date": g, "line_items": items}
		},
		written: func(r map[string]any) int {
			return same(append(entriesOf(r["line_items"], 40, "amount"), r["start_date"])...)
		}},
	{path: "/interactions", one: "/interactions/external_id/", list: "/interactions?account_id=%s", moves: true, id: text("external_id"),
		record: func(id string, g int) map[string]any {
			r := map[string]any{"external_id": id, "account_id": keptAccount(g), "type": "email", "create_time": g, "details": fmt.Sprint(g)}
			if id == "record-0" {
				r["details"] = bulk(g)
			}
			return r
		},
		written: func(r map[string]any) int {
			g := same(r["create_time"])
			if details := r["details"]; details != fmt.Sprint(g) && (r["external_id"] != "record-0" || details != bulk(g)) {
				return 0
			}
			return g
		}},
	{path: "/metrics", one: "/metrics/", list: "/accounts/%s/metrics", id: func(r map[string]any) string {
		for name := range r {
			if name != "account_id" {
				return name
			}
		}
		return ""
	},
		record: func(id string, g int) map[string]any {
			var points []any
			for n := range 120 {
				points = append(points, map[string]any{"timestamp": n, "value": g})
			}
			return map[string]any{"name": id, "account_id": keptAccount(0), "metrics": points}
		},
		written: func(r map[string]any) int {
			for name, points := range r {
				if name != "account_id" {
					return same(entriesOf(points, 120, "value")...)
				}
			}
			return 0
		}},
	{path: "/subscriptions", one: "/subscriptions/", list: "/accounts/%s/subscriptions", id: text("subscription_id"),
		record: func(id string, g int) map[string]any {
			return map[string]any{"subscription_id": id, "account_id": keptAccount(0), "event": "revenue", "effective_start_date": 1,
				"total_revenue": g, "cycle_unit": "month", "cycle_length": 1, "next_renewal_date": g}
		},
		written: func(r map[string]any) int {
			if _, flat := r["revenue"]; flat {
				return same(r["revenue"], r["expiration_date"])
			}
			return same(append(entriesOf(r["records"], 1, "total_revenue"), entriesOf(r["records"], 1, "expiration_date")...)...)
		}},
}

// TestKilledInTheMiddleOfOtherFamilies does for the other families what
// TestKilledInTheMiddleOfUploads does for accounts and users: after every kill
// each record is wholly as acknowledged, or wholly as the upload under way has
// it, and is listed by its account and no other.
func TestKilledInTheMiddleOfOtherFamilies(t *testing.T) {
	t.Parallel()
	const kills = 10
	dir := t.TempDir()
	generation, unanswered := 0, 0
	acknowledged := map[string]int{} // by path and id
	k := &killed{process: start(t, "DATA_DIR="+dir)}
	for n := range 3 {
		k.done(testKey, http.MethodPost, "/accounts", records(account(keptAccount(n))))
	}
	check := func() {
		t.Helper()
		for _, f := range keptFamilies {
			listed := map[string]string{} // the account of every record listed
			for n := range 3 {
				var all []map[string]any
				k.get(fmt.Sprintf(f.list, keptAccount(n)), &all)
				if len(all) == 1 && f.path == "/metrics" { // one object for all metrics
					var each []map[string]any
					for name, points := range all[0] {
						each = append(each, map[string]any{name: points})
					}
					all = each
				}
				for _, r := range all {
					if other, twice := listed[f.id(r)]; twice {
						t.Fatalf("%s %s is listed by %s and %s", f.path, f.id(r), other, keptAccount(n))
					}
					listed[f.id(r)] = keptAccount(n)
				}
			}
			for n := range keptRecords {
				id := fmt.Sprint("record-", n)
				before := acknowledged[f.path+id]
				var all []map[string]any
				if a := k.do(testKey, http.MethodGet, f.one+id, ""); a.OK {
					k.get(f.one+id, &all)
				}
				g, home := 0, ""
				if len(all) == 1 {
					if g = f.written(all[0]); g == 0 {
						t.Fatalf("half of %s%s: %.300v", f.one, id, all[0])
					}
					if home = keptAccount(0); f.moves {
						home = keptAccount(g)
					}
				}
				if len(all) > 1 || g != before && g != unanswered {
					t.Fatalf("%s%s was acknowledged as of upload %d, under way was %d, and it is of %d", f.one, id, before, unanswered, g)
				}
				if listed[id] != home {
					t.Fatalf("%s%s of %q is listed by %q", f.one, id, home, listed[id])
				}
				acknowledged[f.path+id] = g
			}
			if len(listed) > keptRecords {
				t.Fatalf("%s: %d records are listed", f.path, len(listed))
			}
		}
	}
	// On a slow machine it takes more kills until enough has been uploaded.
	for killed := 0; killed < kills || generation < 2*kills && killed < 5*kills; killed++ {
		time.AfterFunc(rand.N(100*time.Millisecond), k.kill)
		for answered := true; answered; {
			generation++
			f := keptFamilies[generation%len(keptFamilies)]
			var all []any
			for n := range keptRecords {
				all = append(all, f.record(fmt.Sprint("record-", n), generation))
			}
			body, err := json.Marshal(map[string]any{"records": all})
			if err != nil {
				t.Fatal(err)
			}
			a, err := k.send(t.Context(), testKey, http.MethodPost, f.path, body)
			if answered = err == nil; !answered {
				unanswered = generation
				break
			}
			if !a.OK || a.Inserted+a.Changed != keptRecords {
				t.Fatalf("upload %d to %s: %d %.300s", generation, f.path, a.status, a.raw)
			}
			for n := range keptRecords {
				acknowledged[f.path+fmt.Sprint("record-", n)] = generation
			}
		}
		<-k.exited
		k.process = start(t, "DATA_DIR="+dir)
		check()
	}
	if generation < 2*kills {
		t.Errorf("only %d uploads", generation)
	}
}
