package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/table/embedded"
)

// eventKeys makes a Usage Event key in each of the workspaces of a data directory that
// no program has open, and returns under which paths events are sent.
func eventKeys(t *testing.T, dir string, workspaces ...string) (paths []string) {
	t.Helper()
	store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	keys := access.New(store, nil)
	for _, w := range workspaces {
		_, secret, err := keys.CreateKey(t.Context(), w, access.UsageEventAPI, "product", "ann@example.com")
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, "/v1/"+secret.AuthKey+"/"+secret.APIKey)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return paths
}

// post sends events.
func (c *client) post(ctx context.Context, path, body string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return reply{}, err
	}
	return readReply(response)
}

// takes sends events that must be taken.
func (c *client) takes(path, body string) reply {
	c.t.Helper()
	a, err := c.post(c.t.Context(), path, body)
	if err != nil || a.status != http.StatusOK || !a.OK || a.Failed > 0 {
		c.t.Fatalf("%v, status %d: %.300s", err, a.status, a.raw)
	}
	return a
}

// counted is what the tests look at of usage.
type counted struct {
	Events         int `json:"events"`
	Users          int `json:"active_users"`
	Sessions       int `json:"sessions"`
	ActiveDuration int `json:"active_duration"`
	Modules        []struct {
		Module    string `json:"module"`
		TimeSpent int    `json:"time_spent"`
		Events    int    `json:"events"`
	} `json:"modules"`
	Features []struct {
		Feature string  `json:"feature"`
		Total   float64 `json:"total"`
	} `json:"features"`
	Actions []struct {
		Action string `json:"action"`
		Events int    `json:"events"`
	} `json:"actions"`
}

// usage returns the totals of the last days.
func (c *client) usage(key, path string) counted {
	c.t.Helper()
	var a struct {
		Totals counted `json:"totals"`
	}
	if raw := c.done(key, http.MethodGet, path, "").raw; json.Unmarshal(raw, &a) != nil {
		c.t.Fatalf("%s: %s", path, raw)
	}
	return a.Totals
}

// usageBecomes waits until the totals of the last days are so, and returns how long it
// took.
func (c *client) usageBecomes(key, path, want string) time.Duration {
	c.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		got, took := fmt.Sprint(c.usage(key, path)), time.Since(began)
		if got == want {
			return took
		}
		if took > derivePatient {
			c.t.Fatalf("%s is %s after %v, want %s", path, got, took, want)
		}
	}
}

// TestEventsAreCountedSoonAfterTheyArrive has clients of every kind send events, and the
// API say what was counted of them, in their workspace alone.
func TestEventsAreCountedSoonAfterTheyArrive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	paths := eventKeys(t, dir, "one", "two")
	p := start(t, "DATA_DIR="+dir, "WORKSPACES=one:"+testKey+",two:"+otherKey)
	for _, key := range []string{testKey, otherKey} {
		p.done(key, http.MethodPost, "/accounts", records(account("a")))
	}
	now := time.Now().UnixMilli()
	one, two := paths[0], paths[1]
	form := fmt.Sprintf("action=identifyUser&user_id=u&account_id=a&created_at=%d&details%%5Bfirst_name%%5D=Ann&details%%5Blast_name%%5D=Archer&details%%5Bemail%%5D=ann%%40example.com", now)
	camel := fmt.Sprintf(`{"action":"sessionSync","userId":"u","accountId":"a","createdAt":%d,"sessionId":"s","activeDuration":1500}`, now)
	lines := fmt.Sprintf("{\"action\":\"moduleEnd\",\"user_id\":\"u\",\"created_at\":\"%d\",\"session_id\":\"s\",\"module\":\"Reports\",\"time_spent\":\"250\"}\r\n"+
		"{\"action\":\"feature\",\"user_id\":\"u\",\"created_at\":%d,\"session_id\":\"s\",\"feature\":\"Export\",\"total\":\"3\"}\r\n{\"action\":\"late\",\"user_id\":\"v\",\"created_at\":%d}\r\n", now, now, now)
	for _, body := range []string{form, camel, lines, lines, camel, form} { // each of them again, as clients do that got no answer
		p.takes(one, body)
	}
	const want = "{4 1 1 1500 [{Reports 250 1}] [{Export 3}] [{feature 1} {identifyUser 1} {moduleEnd 1} {sessionSync 1}]}"
	t.Logf("events are counted after %v", p.usageBecomes(testKey, "/usage", want))
	for _, path := range []string{"/accounts/a/usage", "/account_users/u/usage", "/account_users/u/a/usage"} {
		p.usageBecomes(testKey, path, want)
	}
	// The user of the last event comes only now.
	p.done(testKey, http.MethodPost, "/account_users", records(`{"account_id":"a","user_id":"v","first_name":"Vic","last_name":"V"}`))
	p.usageBecomes(testKey, "/account_users/v/usage", "{1 1 0 0 [] [] [{late 1}]}")
	p.usageBecomes(testKey, "/usage", strings.NewReplacer("{4 1", "{5 2", "{identifyUser 1}", "{identifyUser 1} {late 1}").Replace(want))
	// Nothing of it is in the other workspace, and what is sent there is there alone.
	p.usageBecomes(otherKey, "/accounts/a/usage", "{0 0 0 0 [] [] []}")
	p.takes(two, camel)
	p.usageBecomes(otherKey, "/usage", "{1 1 1 1500 [] [] [{sessionSync 1}]}")
	mixed := "/v1/" + strings.Split(one, "/")[2] + "/" + strings.Split(two, "/")[3]
	if a, err := p.post(t.Context(), mixed, camel); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("%v, %d %s", err, a.status, a.raw)
	}
	if a := p.call(strings.Split(one, "/")[3], http.MethodGet, "/accounts", ""); a.status != http.StatusUnauthorized {
		t.Errorf("half of a Usage Event key opens the Account API: %d", a.status)
	}

	p.terminate()
	p.ends(0)
	for _, path := range paths {
		for _, half := range strings.Split(path, "/")[2:] {
			if strings.Contains(p.stderr.String(), half) {
				t.Errorf("a key is in what the program logs")
			}
		}
	}
	store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	all := callsOf(t, store, "one")
	i := slices.IndexFunc(all, func(c calls.Call) bool { return c.Family == "events" })
	if i < 0 || all[i].Endpoint != "/v1/{auth_key}/{api_key}" || all[i].Records == nil {
		t.Errorf("%+v", all)
	}
}

// TestKilledInTheMiddleOfEvents kills the program while it takes events and counts
// them, at any instant, and starts it again, over and over. Every sender sends its batch
// again until it is answered. In the end each event is counted, and once.
func TestKilledInTheMiddleOfEvents(t *testing.T) {
	t.Parallel()
	const (
		kills   = 30
		senders = 4
		batch   = 100
		users   = 25
	)
	dir := t.TempDir()
	path := eventKeys(t, dir, "test")[0]
	p := start(t, "DATA_DIR="+dir)
	p.done(testKey, http.MethodPost, "/accounts", records(account("a"), account("b")))
	p.done(testKey, http.MethodPost, "/account_users", records(`{"account_id":"b","user_id":"known","first_name":"K","last_name":"K"}`))

	// number n of a sender is the same event however often it is sent.
	began := time.Now()
	body := func(sender, number int) string {
		var b strings.Builder
		for i := range batch {
			n := number*batch + i
			whose := fmt.Sprintf(`"account_id":"a","user_id":"user-%d"`, n%users)
			switch n % 10 {
			case 0:
				whose = `"user_id":"known"`
			case 1:
				whose = `"user_id":"later"` // who is not there before the end
			}
			fmt.Fprintf(&b, `{"action":"sessionSync",%s,"created_at":%d,"session_id":"s-%d-%d","active_duration":7}`+"\n", whose, began.UnixMilli()-int64(n), sender, n)
		}
		return b.String()
	}
	var current atomic.Pointer[process]
	current.Store(p)
	ending, answered := make(chan struct{}), make([]int, senders)
	var again atomic.Int64
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for number := 0; ; {
				select {
				case <-ending:
					answered[sender] = number
					return
				default:
				}
				a, err := current.Load().post(context.Background(), path, body(sender, number))
				if err != nil {
					again.Add(1)
					time.Sleep(5 * time.Millisecond)
					continue
				}
				if a.status != http.StatusOK || !a.OK || a.Failed != 0 {
					t.Errorf("status %d %.300s", a.status, a.raw)
				}
				if number++; rand.IntN(4) == 0 {
					number-- // as a sender does who has missed the answer
				}
			}
		})
	}
	for range kills {
		time.Sleep(rand.N(300 * time.Millisecond))
		current.Load().kill()
		current.Store(start(t, "DATA_DIR="+dir))
	}
	close(ending)
	group.Wait()
	// What was sent and never answered may be there or not: sent once more it is.
	p = current.Load()
	sent := 0
	for sender := range senders {
		p.takes(path, body(sender, answered[sender]))
		sent += (answered[sender] + 1) * batch
	}
	p.done(testKey, http.MethodPost, "/account_users", records(`{"account_id":"b","user_id":"later","first_name":"L","last_name":"L"}`))
	want := fmt.Sprintf("{%d %d %d %d [] [] [{sessionSync %[1]d}]}", sent, users+2, sent, 7*sent)
	p.usageBecomes(testKey, "/usage", want)
	time.Sleep(2 * clockInterval) // nothing is counted late, or again
	if got := fmt.Sprint(p.usage(testKey, "/usage")); got != want {
		t.Errorf("%s after it was %s", got, want)
	}
	for account, share := range map[string]int{"a": 8, "b": 2} {
		if got := p.usage(testKey, "/accounts/"+account+"/usage").Events; got != sent*share/10 {
			t.Errorf("%d events of the account %s, want %d", got, account, sent*share/10)
		}
	}
	for _, user := range []string{"known", "later"} {
		if got := p.usage(testKey, "/account_users/"+user+"/usage").Events; got != sent/10 {
			t.Errorf("%d events of the user %s, want %d", got, user, sent/10)
		}
	}
	t.Logf("%d events; %d requests were cut off", sent, again.Load())
}
