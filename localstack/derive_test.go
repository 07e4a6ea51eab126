package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/usage"
)

// derivePatient is when a test gives up on a derived value. On one machine it
// is to follow within 1 s (Q25); a machine that is busy may take longer.
const derivePatient = 10 * time.Second

// monthly returns the record of an upload that has a subscription of an account
// earn so many cents a month from an instant on.
func monthly(subscription, account string, start int64, cents int) string {
	return fmt.Sprintf(`{"account_id":%q,"subscription_id":%q,"event":"revenue","effective_start_date":%d,"total_revenue":%d,"cycle_unit":"month","cycle_length":1}`,
		account, subscription, start, cents)
}

// mrr returns an account's current_mrr as it is written.
func (c *client) mrr(key, id string) string {
	c.t.Helper()
	_, after, found := strings.Cut(string(c.done(key, http.MethodGet, "/accounts/"+id, "").raw), `"current_mrr":`)
	if !found {
		c.t.Fatalf("the account %s has no current_mrr", id)
	}
	value, _, _ := strings.Cut(after, ",")
	return value
}

// mrrBecomes waits until an account has that current_mrr, and returns how long
// it took.
func (c *client) mrrBecomes(key, id, want string) time.Duration {
	c.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		got := c.mrr(key, id)
		took := time.Since(began)
		if got == want {
			return took
		}
		if took > derivePatient {
			c.t.Fatalf("the account %s has MRR %s after %v, want %s", id, got, took, want)
		}
	}
}

// TestMRRFollowsAWrite shows that the program derives MRR soon after a write,
// in every workspace, and when a segment starts, without another request.
func TestMRRFollowsAWrite(t *testing.T) {
	p := start(t, "DATA_DIR="+t.TempDir(), "WORKSPACES=one:"+testKey+",two:"+otherKey)
	for _, key := range []string{testKey, otherKey} {
		p.done(key, http.MethodPost, "/accounts", records(account("a"), account("later")))
	}
	for i, key := range []string{testKey, otherKey, testKey} {
		p.done(key, http.MethodPost, "/subscriptions", records(monthly("s", "a", 1000, 100+i)))
		t.Logf("MRR is there after %v", p.mrrBecomes(key, "a", fmt.Sprint(100+i)))
	}
	if got := p.mrr(otherKey, "a"); got != "101" {
		t.Errorf("the account of the same id in the other workspace has MRR %s", got)
	}

	begins := time.Now().Add(1500 * time.Millisecond)
	p.done(testKey, http.MethodPost, "/subscriptions", records(monthly("order", "a", 1000, 0), monthly("order", "a", begins.UnixMilli(), 0),
		monthly("second", "a", 2000, 0), monthly("soon", "later", begins.UnixMilli(), 700)))
	p.mrrBecomes(testKey, "later", "0")
	p.mrrBecomes(testKey, "later", "700")
	if early := time.Until(begins.Truncate(time.Millisecond)); early > 0 {
		t.Errorf("the segment is there %v before it begins", early)
	}
	// The list is in the order of the segments in force, by the clock.
	for deadline := time.Now().Add(derivePatient); ; time.Sleep(20 * time.Millisecond) {
		list := string(p.done(testKey, http.MethodGet, "/subscriptions?direction=asc", "").raw)
		if strings.Index(list, `"order"`) > strings.Index(list, `"second"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the list is not in the order of the segments: %s", list)
		}
	}
}

// TestMRRSurvivesACrash shows that what was not derived when the program died
// is derived when it is started again, and what was is still there.
func TestMRRSurvivesACrash(t *testing.T) {
	dir := "DATA_DIR=" + t.TempDir()
	p := start(t, dir)
	const n = 2000 // more than are derived in the time it takes to kill
	var accounts, subscriptions []string
	for i := range n {
		id := fmt.Sprint("a", i)
		accounts = append(accounts, account(id))
		subscriptions = append(subscriptions, monthly("s"+id, id, 1000, i+1))
	}
	p.done(testKey, http.MethodPost, "/accounts", records(accounts...))
	p.done(testKey, http.MethodPost, "/subscriptions", records(subscriptions[0]))
	p.mrrBecomes(testKey, "a0", "1")
	p.done(testKey, http.MethodPost, "/subscriptions", records(subscriptions[1:]...))
	p.kill()

	p = start(t, dir)
	for i := range n {
		p.mrrBecomes(testKey, fmt.Sprint("a", i), fmt.Sprint(i+1))
	}
	want := fmt.Sprintf(`"closing_mrr":%d,`, n*(n+1)/2)
	for deadline := time.Now().Add(derivePatient); ; time.Sleep(20 * time.Millisecond) {
		list := string(p.done(testKey, http.MethodGet, "/mrr_movements", "").raw)
		if strings.Contains(list, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the movements do not come to %s: %.500s", want, list)
		}
	}
}

// TestAChangeStaysUntilAllWhoFollowAreThroughWithIt has one of two followers hang back.
func TestAChangeStaysUntilAllWhoFollowAreThroughWithIt(t *testing.T) {
	store := openStore(t, embedded.Options{Feed: func(table.Key) bool { return true }})
	engine := resource.New(resource.Config{Table: store, Root: catalog.Root})
	r := rollup.New(engine, usage.New(usage.Config{Table: store, Engine: engine}))
	f := &feed{store: store, rollup: r}
	var seen [2][]string
	var all [2]*follower
	for i := range all {
		all[i] = f.follower(func(key table.Key) bool {
			seen[i] = append(seen[i], key.Sort)
			return false
		}, r.TickAll)
	}
	for round, want := range []string{"[0] []", "[0] [0]", "[0 1] [0 1]"} {
		if round != 1 {
			item := table.Item{Key: table.Key{Partition: "test/x", Sort: fmt.Sprint(round / 2)}, Version: 1, Body: []byte("{}")}
			if err := errors.Join(store.Write(t.Context(), []table.Op{table.Put(item, table.Condition{})}, nil)...); err != nil {
				t.Fatal(err)
			}
		}
		for i := range min(round, 1) + 1 {
			if err := all[i].changes(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(seen[0], " ", seen[1]); got != want {
			t.Errorf("after round %d they have seen %s, want %s", round, got, want)
		}
		left, err := store.Changes(t.Context(), "", 10)
		if err != nil || (len(left) == 0) != (round > 0) {
			t.Errorf("after round %d the feed has %d changes, %v", round, len(left), err)
		}
	}
}
