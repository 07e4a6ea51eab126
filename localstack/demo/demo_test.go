package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// days are days on which calendars are awkward, and an ordinary one.
var days = []string{"2024-02-29", "2025-03-31", "2026-01-01", "2026-11-25"}

func on(t *testing.T, date string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// everyWorld tests worlds of 500 accounts on several days and of several seeds.
func everyWorld(t *testing.T, test func(t *testing.T, w *world)) {
	for i, date := range days {
		t.Run(date, func(t *testing.T) { test(t, newWorld(on(t, date), uint64(i+1), 500)) })
	}
}

func encoded(t *testing.T, w *world) string {
	t.Helper()
	var b strings.Builder
	for _, f := range families(w) {
		if err := json.NewEncoder(&b).Encode(f.records); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestAWorldFollowsFromTheDayTheSeedAndTheNumberOfAccounts(t *testing.T) {
	d := on(t, "2026-11-25")
	first := newWorld(d, 1, 60)
	records := encoded(t, first)
	if again := encoded(t, first); again != records {
		t.Error("the same world has other records the second time")
	}
	if later := newWorld(d.Add(23*time.Hour), 1, 60); encoded(t, later) != records {
		t.Error("another hour of the same day makes another world")
	}
	for name, other := range map[string]*world{"seed": newWorld(d, 2, 60), "day": newWorld(d.Add(day), 1, 60), "accounts": newWorld(d, 1, 61)} {
		if encoded(t, other) == records || first.mark() == other.mark() {
			t.Errorf("another %s makes the same world", name)
		}
	}
}

func TestAYearIsBelievable(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		aYearAgo := w.today.AddDate(-1, 0, 0)
		by := map[fate]int{}
		before, lost := 0, 0
		mrr := map[*tier]int64{}
		var all []int64
		for _, a := range w.accounts {
			by[a.fate]++
			if !a.begins.IsZero() && a.begins.Before(aYearAgo) && a.twelfths(aYearAgo) > 0 {
				before++
				if a.fate == churns {
					lost++
				}
			}
			if earns := a.mrr(w.today); earns > 0 {
				all = append(all, earns)
				mrr[a.tier] += earns
			}
			if (a.fate == churns) != (len(a.subs) > 0 && a.mrr(w.today) == 0) || (a.fate == churns || a.fate == leaving) != (a.reason != "") {
				t.Errorf("%s: fate %d, MRR %d, reason %q", a.id, a.fate, a.mrr(w.today), a.reason)
			}
		}
		if share := float64(lost) / float64(before); share < 0.08 || share > 0.12 {
			t.Errorf("%d of %d accounts left within a year", lost, before)
		}
		for f, name := range map[fate]string{trying: "tries", leaving: "has given notice", overdue: "is overdue"} {
			if by[f] == 0 || by[f] > 25 {
				t.Errorf("%d of 500: %s", by[f], name)
			}
		}
		slices.Sort(all)
		tenth, sum := int64(0), int64(0)
		for i, n := range all {
			if sum += n; i >= len(all)*9/10 {
				tenth += n
			}
		}
		if share := float64(tenth) / float64(sum); share < 0.4 || share > 0.9 {
			t.Errorf("the largest tenth has %.2f of the MRR", share)
		}
		moved := map[string]int64{}
		months := w.waterfall(w.today)
		for _, m := range months {
			for kind, amount := range m.byType {
				moved[kind] += amount
			}
		}
		if moved["expansion"] < -2*moved["contraction"] || moved["contraction"] >= 0 || moved["churn"] >= 0 || moved["new"] <= 0 {
			t.Errorf("movements %v", moved)
		}
		if gone := -float64(moved["churn"]) / float64(months[0].opening); gone < 0.02 || gone > 0.15 {
			t.Errorf("%.3f of the MRR was lost", gone)
		}
		if first, last := months[0].opening, months[len(months)-1].closing; last < first {
			t.Errorf("MRR went from %d to %d", first, last)
		}
	})
}

func TestScoresDifferBetweenTiersAndRise(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		surveys := w.surveys()
		sums, counts := map[*tier]int64{}, map[*tier]int64{}
		for _, s := range surveys {
			if _, answers := s.nps(nil); answers < 20 && !s.month.AddDate(0, 1, 0).After(w.today) {
				t.Errorf("%d answers in %s", answers, s.month.Format("2006-01"))
			}
			for t, n := range s.n {
				sums[t], counts[t] = sums[t]+s.sum[t], counts[t]+n
			}
		}
		mean := func(i int) int64 { return rounded(sums[tiers[i]], counts[tiers[i]]) }
		if mean(0) < mean(1)+3 || mean(1) < mean(2)+3 {
			t.Errorf("scores by tier: %d, %d, %d", mean(0), mean(1), mean(2))
		}
		score := func(month int) int64 {
			n, _ := surveys[month].nps(nil)
			return n
		}
		if score(11) < score(1)+10 || score(5) > score(4)-5 {
			t.Errorf("scores by month: %d, … %d, %d … %d", score(1), score(4), score(5), score(11))
		}
	})
}

func TestThoseWhoLeaveAskForHelpMoreOften(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		tickets, months := map[bool]float64{}, map[bool]float64{}
		for _, a := range w.accounts {
			g := &generator{world: w, account: a, rand: a.rand}
			leaves := a.fate == churns || a.fate == leaving
			from := w.since
			if a.joined.After(from) {
				from = a.joined
			}
			// Larger customers ask more often, whether they stay or not.
			tickets[leaves] += float64(len(g.tickets())) / a.tier.tickets
			months[leaves] += w.end(a).Sub(from).Hours() / (30 * 24)
		}
		if leave, stay := tickets[true]/months[true], tickets[false]/months[false]; leave < 1.3*stay {
			t.Errorf("%.2f tickets a month of those who leave, %.2f of the others", leave, stay)
		}
	})
}

func TestNothingHasHappenedYetThatIsToCome(t *testing.T) {
	mayCome := map[string]bool{"due_date": true, "next_renewal_date": true, "effective_end_date": true}
	everyWorld(t, func(t *testing.T, w *world) {
		var look func(path string, v any, r record)
		look = func(path string, v any, r record) {
			switch v := v.(type) {
			case record:
				for name, value := range v {
					look(name, value, v)
				}
			case []record:
				for _, one := range v {
					look(path, one, one)
				}
			case int64:
				// Of an instant; no amount is as large.
				if v >= ms(w.today) && !mayCome[path] && r["event"] != "end" {
					t.Errorf("%s of %v", path, r)
				}
			case string:
				for _, at := range []string{"@", "://"} {
					if _, host, found := strings.Cut(v, at); found && !strings.HasPrefix(v, "More") {
						host = strings.TrimRight(strings.SplitN(host, "/", 2)[0], ").")
						if !strings.HasSuffix(host, ".example") && !strings.HasSuffix("."+host, ".example.com") {
							t.Errorf("%s %q is somebody's", path, v)
						}
					}
				}
			}
		}
		for _, f := range families(w) {
			for _, r := range f.records {
				look(f.path, r, r)
			}
		}
	})
}

func TestHistoriesGoOnWithoutGapsUntilTheirEnds(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		for _, a := range w.accounts {
			for _, s := range a.subs {
				for i, g := range s.segments {
					last := i == len(s.segments)-1
					switch {
					case (g.kind == begins) != (i == 0),
						!last && !g.until.Equal(s.segments[i+1].from),
						last && s.ended == g.until.IsZero(),
						!g.until.IsZero() && !g.from.Before(g.until),
						g.kind == renews && (!g.due.Equal(g.from) || !g.due.Equal(s.segments[i-1].next)),
						g.kind == changes && (!g.next.Equal(s.segments[i-1].next) || g.revenue <= s.segments[i-1].revenue),
						g.revenue <= 0, !g.from.Before(g.next):
						t.Errorf("%s: segment %d of %+v", s.id, i, s)
					}
					if last && !s.ended && a.fate != overdue && g.next.Before(w.today) {
						t.Errorf("%s should have been renewed at %s", s.id, g.next)
					}
				}
			}
		}
	})
}

// product starts the product on a free port with an empty store, and returns a
// client of it.
func product(t *testing.T) *client {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	const key = "test-key-not-secret"
	c := exec.Command(file)
	c.Env = []string{"PORT=0", "WORKSPACES=test:" + key, "DATA_DIR=" + filepath.Join(t.TempDir(), "data")}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // fails when it has ended already
		_ = c.Wait()
	})
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		if base, found := strings.CutPrefix(scanner.Text(), "API_URL="); found {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return &client{base: base, key: key, origin: "WORKSPACES", http: http.DefaultClient}
		}
	}
	t.Fatal("the product ended before it listened")
	return nil
}

var programDir string

// program is the product, built once for all tests, as `make run` builds it.
var program = sync.OnceValues(func() (file string, err error) {
	if programDir, err = os.MkdirTemp("", "tenure-demo-"); err != nil {
		return "", err
	}
	file = filepath.Join(programDir, "tenure")
	build := exec.Command("go", "build", "-race=false", "-o", file, "tenure/localstack")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the product: %w\n%s", err, said)
	}
	return file, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if programDir != "" {
		os.RemoveAll(programDir)
	}
	os.Exit(code)
}

func TestTheProductDerivesWhatTheDemoExpects(t *testing.T) {
	c := product(t)
	o := options{day: time.Now().UTC().Truncate(day), seed: 1, accounts: 60}
	w := newWorld(o.day, o.seed, o.accounts)
	total := 0
	for _, f := range families(w) {
		total += len(f.records)
	}
	var said bytes.Buffer
	first, err := fill(t.Context(), c, o, &said, false)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if first.total() != total || first.Unchanged != 0 || !strings.Contains(said.String(), "Written: ") {
		t.Errorf("the first time %v of %d\n%s", first, total, said.String())
	}
	// What fill has checked is read once more, by a test that is none of it.
	counts := map[string]int{}
	mrr := int64(0)
	for path, f := range map[string]string{"/accounts": "accounts", "/account_users": "account_users", "/account_contacts": "account_contacts",
		"/subscriptions": "subscriptions", "/interactions": "interactions", "/notes": "notes"} {
		err := list(t.Context(), c, path, url.Values{"include_inactive": {"true"}}, func(r map[string]any) {
			counts[f]++
			if earns, ok := r["current_mrr"].(float64); ok {
				mrr += int64(earns)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range families(w) {
		want := len(f.records)
		if f.path == "subscriptions" {
			want = 0
			for _, a := range w.accounts {
				want += len(a.subs)
			}
		}
		if got, listed := counts[f.path]; listed && got != want || want == 0 {
			t.Errorf("%d %s, want %d", got, f.path, want)
		}
	}
	months := w.waterfall(time.Now())
	if last := months[len(months)-1]; mrr != last.closing || mrr == 0 {
		t.Errorf("the accounts' MRR adds up to %d, and the last month closes with %d", mrr, last.closing)
	}
	for _, m := range months {
		if line := m.from.Format("2006-01"); !strings.Contains(said.String(), line) || !strings.Contains(said.String(), money(m.closing)) {
			t.Errorf("nothing is said of %s and %s:\n%s", line, money(m.closing), said.String())
		}
	}

	said.Reset()
	second, err := fill(t.Context(), c, o, &said, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := (outcome{Unchanged: total}); second != want || !strings.Contains(said.String(), "nothing was written") {
		t.Errorf("the second time %v, want %v\n%s", second, want, said.String())
	}

	checkInvoices(t, c, w)

	other := o
	other.seed, other.given = other.seed+1, true
	if _, err := fill(t.Context(), c, other, io.Discard, false); err == nil || !strings.Contains(err.Error(), w.mark()) {
		t.Errorf("another demo over the first: %v", err)
	}
	// A check that finds nothing must be able to find something.
	subscription := ""
	for _, a := range w.accounts {
		if a.fate == stays {
			subscription = a.subs[0].id
		}
	}
	change := record{"subscription_id": subscription, "account_id": strings.TrimSuffix(subscription, "-main"), "event": "revenue",
		"effective_start_date": ms(o.day), "total_revenue": 1, "cycle_unit": "month", "cycle_length": 1}
	if _, err := c.upload(t.Context(), family{"subscriptions", []record{change}}, func(int) {}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		wrong, err := differences(t.Context(), c, w, true)
		if err != nil {
			t.Fatal(err)
		}
		if len(wrong) >= 3 { // the account, its movements, and the month
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("of a subscription that was changed the check says: %q", wrong)
		}
	}
	// The demo itself mends it.
	if mended, err := fill(t.Context(), c, o, io.Discard, false); err != nil || mended.Changed == 0 || mended.Inserted != 0 {
		t.Errorf("mended: %v, %v", mended, err)
	}
}

// checkInvoices holds the product's invoices to its subscriptions: when a period
// begins, what is charged is what it costs, to the cent, and all transactions of
// an invoice come to its total or to less.
func checkInvoices(t *testing.T, c *client, w *world) {
	t.Helper()
	type segment struct {
		Subscription string `json:"subscription_id"`
		Start        int64  `json:"start_date"`
		Renewal      bool   `json:"is_renewal"`
		Revenue      int64  `json:"revenue"`
	}
	type invoice struct {
		Start        int64  `json:"start_date"`
		Recurring    int64  `json:"recurring"`
		NonRecurring int64  `json:"non_recurring"`
		Paid         *int64 `json:"paid_amount"`
		Failed       bool   `json:"is_failed"`
		Date         *int64 `json:"paid_date"`
		Transactions []any  `json:"transactions"`
	}
	periods, invoices, paid, failed, split := 0, 0, 0, 0, 0
	for _, a := range w.accounts {
		charged := map[int64]invoice{}
		err := list(t.Context(), c, "/accounts/"+a.id+"/statements", url.Values{}, func(i invoice) {
			charged[i.Start] = i
			invoices++
			switch {
			case i.Failed:
				failed++
			case i.Paid != nil && *i.Paid > 0:
				paid++
			}
			if len(i.Transactions) == 2 {
				split++
			}
			if i.Paid != nil && *i.Paid != i.Recurring+i.NonRecurring && len(i.Transactions) != 1 && *i.Paid != 0 || i.Paid != nil && *i.Paid > i.Recurring+i.NonRecurring {
				t.Errorf("%s: paid %d of %+v", a.id, *i.Paid, i)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		costs := map[int64]int64{}
		err = list(t.Context(), c, "/accounts/"+a.id+"/subscriptions", url.Values{}, func(s segment) {
			// The periods of the second subscription begin with those of the first.
			if first := s.Start == ms(a.begins) && strings.HasSuffix(s.Subscription, "-main"); s.Start >= ms(w.since) && (s.Renewal || first) {
				costs[s.Start] += s.Revenue
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for start, cost := range costs {
			periods++
			if got := charged[start].Recurring; got != cost {
				t.Errorf("%s: %d charged at %d, and the period costs %d", a.id, got, start, cost)
			}
		}
	}
	if periods < 100 || invoices < periods || paid < invoices/2 || failed == 0 || split == 0 {
		t.Errorf("%d periods, %d invoices, %d of them paid, %d failed, %d paid in two parts", periods, invoices, paid, failed, split)
	}
}

func TestTheDemoStandsBesideOtherAccountsAndIsNotMixedWithAnotherDemo(t *testing.T) {
	c := product(t)
	post := func(f family) {
		t.Helper()
		if _, err := c.upload(t.Context(), f, func(int) {}); err != nil {
			t.Fatal(err)
		}
	}
	post(family{"accounts", []record{{"account_id": "12345", "name": "Cocoa Ltd", "join_date": 1}}})
	post(family{"subscriptions", []record{{"subscription_id": "s", "account_id": "12345", "event": "revenue", "effective_start_date": 1,
		"total_revenue": 100, "cycle_unit": "month", "cycle_length": 1}}})
	o := options{day: time.Now().UTC().Truncate(day), seed: 1, accounts: 10}
	if sum, err := fill(t.Context(), c, o, io.Discard, false); err != nil || sum.Inserted == 0 {
		t.Errorf("beside other accounts: %v, %v", sum, err)
	}
	later := options{day: o.day, seed: 2, accounts: 20}
	var said strings.Builder
	if sum, err := fill(t.Context(), c, later, &said, false); err != nil || sum.Inserted+sum.Changed != 0 || !strings.Contains(said.String(), "is repeated: -day") {
		t.Errorf("nothing else is asked for: %v, %v\n%s", sum, err, said.String())
	}
	later.given = true
	if _, err := fill(t.Context(), c, later, io.Discard, false); err == nil || !strings.Contains(err.Error(), "holds another demo") {
		t.Errorf("another one is asked for: %v", err)
	}
	c.key = "another-test-key-not-secret"
	if _, err := fill(t.Context(), c, o, io.Discard, false); err == nil || !strings.Contains(err.Error(), "does not take the key from WORKSPACES") ||
		strings.Contains(err.Error(), c.key) {
		t.Errorf("with a wrong key: %v", err)
	}
}

func TestARecordThatFailsStopsTheDemo(t *testing.T) {
	c := product(t)
	records := []record{{"account_id": "a", "name": "A", "join_date": 1}, {"account_id": "b", "name": "B", "join_date": 1, "csm_score": 101}}
	_, err := c.upload(t.Context(), family{"accounts", records}, func(int) { t.Error("done") })
	if err == nil || !strings.Contains(err.Error(), "record 1: 'csm_score' value must be between 0 and 100") || !strings.Contains(err.Error(), `"account_id":"b"`) {
		t.Errorf("%v", err)
	}
	_, err = c.upload(t.Context(), family{"notes", []record{{"external_id": "n", "account_id": "nobody", "create_time": 1}}}, func(int) {})
	if err == nil || !strings.Contains(err.Error(), "record 0: Account not found") {
		t.Errorf("%v", err)
	}
}

func TestAnUploadWaitsForTheOneBeforeIt(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests++; requests == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"status_is_ok":false,"message":"busy"}`)
			return
		}
		fmt.Fprint(w, `{"status_is_ok":true,"inserted":1,"failed_results":[]}`)
	}))
	defer server.Close()
	c := &client{base: server.URL, http: server.Client()}
	started := time.Now()
	sum, err := c.upload(t.Context(), family{"accounts", []record{{}}}, func(int) {})
	if err != nil || sum.Inserted != 1 || requests != 2 || time.Since(started) < time.Second {
		t.Errorf("%v, %v after %d requests in %v", sum, err, requests, time.Since(started))
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	another := httptest.NewServer(http.NotFoundHandler())
	defer another.Close()
	for address, want := range map[string]string{closed.URL: "start the product with `make run`", another.URL: "is not the product (status 404)"} {
		c := &client{base: address, key: "test-key-not-secret", http: http.DefaultClient}
		if _, err := fill(context.Background(), c, options{accounts: 1}, io.Discard, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for args, want := range map[string]string{
		"-day tomorrow": "is not a day", "-day 2026-11-26": "still to come", "-accounts 0": "not between", "-accounts 10000": "not between",
		"-seed x": "invalid value", "now": "not understood",
	} {
		if o, err := parse(strings.Fields(args), now, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", args, o, err, want)
		}
	}
	want := options{day: now.Truncate(day), seed: 1, accounts: 500}
	if o, err := parse(nil, now, io.Discard); err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestTheSettingsSayWhereAndWithWhichKey(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo.key"), []byte("kept-test-key-not-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ settings, base, key, wrong string }{
		{"WORKSPACES=a:test-key-not-secret,b:other-test-key-not-secret PORT=81", "http://127.0.0.1:81/api/v2", "test-key-not-secret", ""},
		{"DATA_DIR=" + dir, "http://127.0.0.1:8080/api/v2", "kept-test-key-not-secret", ""},
		{"HOST=0.0.0.0 DATA_DIR=" + dir, "http://127.0.0.1:8080/api/v2", "kept-test-key-not-secret", ""},
		{"HOST=::1 DATA_DIR=" + dir, "http://[::1]:8080/api/v2", "kept-test-key-not-secret", ""},
		{"DATA_DIR=" + filepath.Join(dir, "none"), "", "", "start the product with `make run`"},
		{"PORT=0", "", "", "say which one"},
		{"PORT=none", "", "", "not a port number"},
	} {
		settings := map[string]string{}
		for setting := range strings.FieldsSeq(c.settings) {
			name, value, _ := strings.Cut(setting, "=")
			settings[name] = value
		}
		to, err := connect(func(name string) string { return settings[name] })
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v, want %q", c.settings, err, c.wrong)
			}
		case err != nil || to.base != c.base || to.key != c.key:
			t.Errorf("%s: %+v, %v", c.settings, to, err)
		}
	}
}
