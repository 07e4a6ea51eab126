package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tenure/core/access"
	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
	"tenure/core/table/embedded"
)

// TestOneUploadAtATime posts many uploads under one key at once: whatever is
// answered with 429 was not processed, and what is answered with 200 was, in
// full.
func TestOneUploadAtATime(t *testing.T) {
	const posts, each = 24, 400
	p := start(t, "DATA_DIR="+t.TempDir())
	id := func(post, n int) string { return fmt.Sprintf("post-%d-%d", post, n) }
	var group sync.WaitGroup
	ready := make(chan struct{})
	answers := make([]reply, posts)
	errs := make([]error, posts)
	for post := range posts {
		var all []string
		for n := range each {
			all = append(all, account(id(post, n)))
		}
		body := []byte(records(all...))
		group.Go(func() {
			<-ready
			answers[post], errs[post] = p.send(t.Context(), testKey, http.MethodPost, "/accounts", body)
		})
	}
	close(ready)
	group.Wait()
	carriedOut, refused := 0, 0
	for post, a := range answers {
		if errs[post] != nil {
			t.Fatal(errs[post])
		}
		first, last := p.exists(testKey, id(post, 0)), p.exists(testKey, id(post, each-1))
		switch {
		case a.status == http.StatusOK && a.Inserted == each && first && last:
			carriedOut++
		case a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") != "" && !first && !last:
			refused++
		default:
			t.Errorf("status %d, Retry-After %q, %d inserted, first and last there: %v %v",
				a.status, a.header.Get("Retry-After"), a.Inserted, first, last)
		}
	}
	if carriedOut == 0 || refused == 0 {
		t.Errorf("%d uploads were carried out and %d refused: they cannot have met", carriedOut, refused)
	}
	p.done(testKey, http.MethodPost, "/accounts", records(account("afterwards")))
}

// TestUploadsQueue shows that with POST_LOCK_WAIT uploads that meet wait for
// each other instead of being refused.
func TestUploadsQueue(t *testing.T) {
	const posts, each = 8, 200
	p := start(t, "DATA_DIR="+t.TempDir(), "POST_LOCK_WAIT=1m")
	var group sync.WaitGroup
	for post := range posts {
		var all []string
		for n := range each {
			all = append(all, account(fmt.Sprintf("post-%d-%d", post, n)))
		}
		group.Go(func() {
			a, err := p.send(t.Context(), testKey, http.MethodPost, "/accounts", []byte(records(all...)))
			if err != nil || a.status != http.StatusOK || a.Inserted != each {
				t.Errorf("%v %d %.200s", err, a.status, a.raw)
			}
		})
	}
	group.Wait()
}

// TestArrivingBodyHoldsNoLock shows that an upload whose body trickles in keeps
// no other one waiting: it takes the lock when it is complete.
func TestArrivingBodyHoldsNoLock(t *testing.T) {
	p := start(t, "DATA_DIR="+t.TempDir())
	slow := p.upload(testKey, records(account("slow")))
	p.done(testKey, http.MethodPost, "/accounts", records(account("fast")))
	for len(slow.rest) > 1 {
		slow.more(1)
	}
	p.done(testKey, http.MethodPost, "/accounts", records(account("fast")))
	if a := slow.finish(); a.status != http.StatusOK || a.Inserted != 1 {
		t.Errorf("the slow upload got %d %s", a.status, a.raw)
	}
}

// TestWhatTheLockKeepsOut stops an upload in the middle of its writes, and
// shows what gets by meanwhile: everything but another upload under its key.
func TestWhatTheLockKeepsOut(t *testing.T) {
	var stop atomic.Bool
	inTheMiddle, goOn := make(chan struct{}), make(chan struct{})
	store := openStore(t, embedded.Options{})
	on := &hooked{store, func(c call) error {
		if c.writes && strings.HasPrefix(c.partition, "test/accounts") && stop.CompareAndSwap(true, false) {
			close(inTheMiddle)
			<-goOn
		}
		return nil
	}}
	c := serveTable(t, on, 0)
	const secondKey = "second-test-key-not-secret"
	if err := access.New(store, nil).EnsureWorkspace(t.Context(), "test", secondKey); err != nil {
		t.Fatal(err)
	}
	c.done(testKey, http.MethodPost, "/accounts", records(account("a")))
	person := `{"account_id":"a","user_id":"u","first_name":"A","last_name":"B"}`

	stop.Store(true)
	first := make(chan reply, 1)
	go func() {
		a, err := c.send(t.Context(), testKey, http.MethodPost, "/accounts", []byte(records(account("long"))))
		if err != nil {
			t.Error(err)
		}
		first <- a
	}()
	<-inTheMiddle
	for _, path := range []string{"/accounts", "/account_users"} {
		a := c.call(testKey, http.MethodPost, path, records(person))
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
			t.Errorf("another POST %s under the key: status %d %s", path, a.status, a.raw)
		}
	}
	c.done(testKey, http.MethodPut, "/accounts/a", `{"data":{"name":"B"}}`)
	c.done(testKey, http.MethodDelete, "/accounts/a/documents", "")
	c.done(testKey, http.MethodDelete, "/accounts/a", "")
	c.done(testKey, http.MethodGet, "/accounts/a", "")
	c.done(testKey, http.MethodGet, "/accounts", "")
	c.done(secondKey, http.MethodPost, "/account_users", records(person))
	c.done(otherKey, http.MethodPost, "/accounts", records(account("a")))
	close(goOn)
	if a := <-first; a.status != http.StatusOK || a.Inserted != 1 {
		t.Errorf("the long upload got %d %s", a.status, a.raw)
	}
	if a := c.call(testKey, http.MethodPost, "/accounts", records(account("next"))); a.status != http.StatusOK {
		t.Errorf("the next upload got %d %s", a.status, a.raw)
	}
}

// fakeClock is a time that passes only when it is told to.
type fakeClock struct{ ms atomic.Int64 }

func newFakeClock() *fakeClock {
	c := &fakeClock{}
	c.ms.Store(time.Now().UnixMilli())
	return c
}

func (c *fakeClock) now() time.Time       { return time.UnixMilli(c.ms.Load()) }
func (c *fakeClock) pass(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// onEveryStore runs a test on each store, with a clock that is the store's.
func onEveryStore(t *testing.T, test func(t *testing.T, store table.Table, clock *fakeClock)) {
	t.Run("embedded", func(t *testing.T) {
		clock := newFakeClock()
		test(t, openStore(t, embedded.Options{Now: clock.now}), clock)
	})
	t.Run("DynamoDB", func(t *testing.T) {
		client := dynamolocal.Client(t)
		name := strings.NewReplacer("/", ".").Replace(t.Name())
		if err := dynamo.CreateTable(t.Context(), client, name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			// The test's own context has ended by now.
			if _, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(name)}); err != nil {
				t.Error(err)
			}
		})
		clock := newFakeClock()
		test(t, dynamo.Open(client, name, dynamo.Options{Now: clock.now}), clock)
	})
}

const lease = 30 * time.Second

// keyID is what access makes of an API key.
var keyID = strings.Repeat("0123456789abcdef", 4)

// TestDeadHolderBlocksForItsLease shows that the lock of a holder that never
// gives it back is free when its lease is over, and not before.
func TestDeadHolderBlocksForItsLease(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, store table.Table, clock *fakeClock) {
		keys := access.New(store, clock.now)
		dead, err := keys.Lock(t.Context(), keyID, lease, 0)
		if err != nil {
			t.Fatal(err)
		}
		clock.pass(lease - time.Millisecond)
		if _, err := keys.Lock(t.Context(), keyID, lease, 0); !errors.Is(err, access.ErrLocked) {
			t.Fatalf("a moment before the lease is over: %v", err)
		}
		clock.pass(time.Millisecond)
		if _, err := keys.Lock(t.Context(), keyID, lease, 0); err != nil {
			t.Fatalf("when the lease is over: %v", err)
		}
		// What the first holder does too late takes nothing from the second.
		if err := dead.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Lock(t.Context(), keyID, lease, 0); !errors.Is(err, access.ErrLocked) {
			t.Fatalf("after the first holder's late release: %v", err)
		}
	})
}

// TestHolderThatOutlivesItsLease shows that whoever held the lock cannot write
// any more once its lease is over, in any of the ways that records are written,
// whether somebody else has the lock by then or nobody.
func TestHolderThatOutlivesItsLease(t *testing.T) {
	t.Parallel()
	entries := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"date":%d,"nps_score":1,"username":"late"}`, i))
		}
		return strings.Join(all, ",")
	}
	late := `{"account_id":"a","name":"late","join_date":2`
	uploads := []struct {
		name   string
		family *resource.Family
		record string
	}{
		{"a change", accounts.Family, late + `}`},
		{"a new account", accounts.Family, account("late")},
		{"a few entries", accounts.Family, late + `,"nps_history":[` + entries(3) + `]}`},
		{"more entries than a transaction takes", accounts.Family, late + `,"nps_history":[` + entries(120) + `]}`},
		{"a record larger than an item", accounts.Family, late + `,"custom_label_dimensions":[` + strings.Join(labels(20_000), ",") + `]}`},
		{"a new user", people.Users, `{"account_id":"a","user_id":"late","first_name":"A","last_name":"B"}`},
	}
	onEveryStore(t, func(t *testing.T, store table.Table, clock *fakeClock) {
		keys := access.New(store, clock.now)
		engine := resource.New(resource.Config{Table: store, Root: catalog.Root, Now: clock.now})
		upload := func(lock *access.Lock, f *resource.Family, record string) error {
			u := uploadTo(f, record)
			u.Guard = lock.Guard()
			_, err := engine.Upload(t.Context(), u)
			return err
		}
		stored := func() string {
			t.Helper()
			var all []string
			for _, target := range []resource.Target{
				{Workspace: "test", Family: accounts.Family, ID: "a"},
				{Workspace: "test", Family: accounts.Family, ID: "late"},
				{Workspace: "test", Family: people.Users, ID: "late"},
			} {
				found, err := engine.Read(t.Context(), target)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, fmt.Sprintf("%q", found))
			}
			listed := resourcetest.Page(t, engine, resource.List{Workspace: "test", Family: accounts.Family, OrderBy: "name"})
			return strings.Join(append(all, fmt.Sprint(len(listed))), "\n")
		}
		for _, late := range uploads {
			t.Run(late.name, func(t *testing.T) {
				first, err := keys.Lock(t.Context(), keyID, lease, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := upload(first, accounts.Family, account("a")); err != nil {
					t.Fatalf("within the lease: %v", err)
				}
				clock.pass(lease)
				before := stored()
				if err := upload(first, late.family, late.record); !errors.Is(err, table.ErrFenced) {
					t.Errorf("when nobody has the lock: %v", err)
				}
				if after := stored(); after != before {
					t.Errorf("it wrote, when nobody has the lock:\n%s\nbefore:\n%s", after, before)
				}
				second, err := keys.Lock(t.Context(), keyID, lease, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := upload(second, accounts.Family, `{"account_id":"a","phone":"second"}`); err != nil {
					t.Fatalf("the second holder: %v", err)
				}
				before = stored()
				if err := upload(first, late.family, late.record); !errors.Is(err, table.ErrFenced) {
					t.Errorf("when another one has the lock: %v", err)
				}
				if after := stored(); after != before {
					t.Errorf("it wrote behind the second holder's back:\n%s\nbefore:\n%s", after, before)
				}
				if err := second.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

// TestLeaseEndsInTheMiddleOfAnUpload shows that an upload of several parts
// stops where its lease is over: what it wrote before stays, and what the next
// holder writes is not written over.
func TestLeaseEndsInTheMiddleOfAnUpload(t *testing.T) {
	t.Parallel()
	const part, parts = 1000, 3
	id := func(n int) string { return fmt.Sprintf("a%04d", n) }
	contested := id(part*parts - 1)
	onEveryStore(t, func(t *testing.T, store table.Table, clock *fakeClock) {
		keys := access.New(store, clock.now)
		engine := resource.New(resource.Config{Table: store, Root: catalog.Root, Now: clock.now})
		first, err := keys.Lock(t.Context(), keyID, lease, 0)
		if err != nil {
			t.Fatal(err)
		}
		writes := 0
		slow := resource.New(resource.Config{Root: catalog.Root, Now: clock.now, Table: &hooked{store, func(c call) error {
			if !c.writes || !strings.HasPrefix(c.partition, "test/accounts/") {
				return nil
			}
			if writes++; writes != 2 {
				return nil
			}
			// Now that it has merged the second part and is about to write it.
			clock.pass(lease)
			second, err := keys.Lock(t.Context(), keyID, lease, 0)
			if err != nil {
				return err
			}
			u := uploadTo(accounts.Family, fmt.Sprintf(`{"account_id":%q,"name":"second","join_date":1}`, contested))
			u.Guard = second.Guard()
			_, err = engine.Upload(t.Context(), u)
			return err
		}}})
		var all []string
		for n := range part * parts {
			all = append(all, account(id(n)))
		}
		u := uploadTo(accounts.Family, all...)
		u.Guard = first.Guard()
		result, err := slow.Upload(t.Context(), u)
		if !errors.Is(err, table.ErrFenced) || result.Applied() != part {
			t.Fatalf("%v, and %d records applied, want %d", err, result.Applied(), part)
		}
		listed := 0
		for page := range parts {
			listed += len(resourcetest.Page(t, engine, resource.List{Workspace: "test", Family: accounts.Family, Page: page}))
		}
		if listed != part+1 {
			t.Errorf("%d accounts are listed, want the %d of the first part and the second holder's", listed, part)
		}
		found, err := engine.Read(t.Context(), resource.Target{Workspace: "test", Family: accounts.Family, ID: contested})
		if err != nil || len(found) != 1 || found[0][accounts.Family.Schema.Ordinal("name")].Text() != "second" {
			t.Errorf("the second holder's account is %q, %v", found, err)
		}
	})
}
