package access_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/table"
	"tenure/core/table/embedded"
)

// clock is a time that moves when the test says so.
type clock struct{ ms atomic.Int64 }

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// counting counts the reads of a table.
type counting struct {
	table.Table
	gets atomic.Int64
}

func (c *counting) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	c.gets.Add(1)
	return c.Table.Get(ctx, keys, consistent)
}

func open(t *testing.T) (*access.Store, *counting, *clock) {
	t.Helper()
	c := &clock{}
	c.ms.Store(1_700_000_000_000)
	store, err := embedded.Open(t.TempDir(), embedded.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	counted := &counting{Table: store}
	return access.New(counted, c.Now), counted, c
}

const (
	key      = "not-a-real-key-1"
	otherKey = "not-a-real-key-2"
)

func TestKeyOpensItsWorkspaceOnly(t *testing.T) {
	s, _, _ := open(t)
	for name, k := range map[string]string{"acme": key, "globex": otherKey} {
		if err := s.EnsureWorkspace(t.Context(), name, k); err != nil {
			t.Fatal(err)
		}
	}
	one, err := s.Authenticate(t.Context(), key)
	if err != nil || one.Workspace != "acme" {
		t.Errorf("the key of acme opens %+v, %v", one, err)
	}
	other, err := s.Authenticate(t.Context(), otherKey)
	if err != nil || other.Workspace != "globex" {
		t.Errorf("the key of globex opens %+v, %v", other, err)
	}
	if one.KeyID == other.KeyID || strings.Contains(one.KeyID, key) {
		t.Errorf("key ids %q and %q: they must tell keys apart without giving them away", one.KeyID, other.KeyID)
	}
	for _, unknown := range []string{"", "x", key + " ", strings.ToUpper(key), one.KeyID} {
		if _, err := s.Authenticate(t.Context(), unknown); !errors.Is(err, access.ErrUnknownKey) {
			t.Errorf("key %q: %v", unknown, err)
		}
	}
}

func TestEnsuringAWorkspaceTwiceIsFineAndWithAnotherKeyToo(t *testing.T) {
	s, _, _ := open(t)
	for _, k := range []string{key, key, otherKey} {
		if err := s.EnsureWorkspace(t.Context(), "acme", k); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []string{key, otherKey} {
		if caller, err := s.Authenticate(t.Context(), k); err != nil || caller.Workspace != "acme" {
			t.Errorf("%+v, %v", caller, err)
		}
	}
	if names, err := s.Workspaces(t.Context()); err != nil || strings.Join(names, " ") != "acme" {
		t.Errorf("workspaces %q, %v", names, err)
	}
}

func TestKeyOfAnotherWorkspaceIsRefused(t *testing.T) {
	s, _, _ := open(t)
	if err := s.EnsureWorkspace(t.Context(), "acme", key); err != nil {
		t.Fatal(err)
	}
	err := s.EnsureWorkspace(t.Context(), "globex", key)
	if err == nil || !strings.Contains(err.Error(), "globex") || strings.Contains(err.Error(), key) {
		t.Errorf("%v: must name the workspace and not the key", err)
	}
	if caller, err := s.Authenticate(t.Context(), key); err != nil || caller.Workspace != "acme" {
		t.Errorf("afterwards the key opens %+v, %v", caller, err)
	}
	if names, _ := s.Workspaces(t.Context()); len(names) != 1 {
		t.Errorf("workspaces %q", names)
	}
}

func TestWorkspaceNamesAndKeysAreValidated(t *testing.T) {
	s, _, _ := open(t)
	for name, good := range map[string]bool{
		"a": true, "A-1_b": true, "0": true, strings.Repeat("x", 63): true,
		"": false, strings.Repeat("x", 64): false, "-a": false, "_a": false, "a/b": false, "a~b": false, "~keys": false,
		"a b": false, "é": false, "a\n": false, "a\x00": false, ".": false,
	} {
		if err := s.EnsureWorkspace(t.Context(), name, "not-a-real-key-of-"+name); (err == nil) != good {
			t.Errorf("workspace %q: %v", name, err)
		}
	}
	if err := s.EnsureWorkspace(t.Context(), "acme", ""); err == nil {
		t.Error("an empty key is taken")
	}
}

func TestARevokedKeyOpensNothing(t *testing.T) {
	s, table, clock := open(t)
	for _, k := range []string{key, otherKey} {
		if err := s.EnsureWorkspace(t.Context(), "acme", k); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := access.New(table, clock.Now) // another process, that knows the key
	if _, err := elsewhere.Authenticate(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if workspace, err := s.Revoke(t.Context(), key); err != nil || workspace != "acme" {
		t.Errorf("%q, %v", workspace, err)
	}
	if _, err := s.Authenticate(t.Context(), key); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("where it was revoked: %v", err)
	}
	clock.advance(5 * time.Second)
	if _, err := elsewhere.Authenticate(t.Context(), key); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("elsewhere, five seconds later: %v", err)
	}
	if _, err := s.Authenticate(t.Context(), otherKey); err != nil {
		t.Errorf("another key of the workspace: %v", err)
	}
	if _, err := s.Revoke(t.Context(), key); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("twice: %v", err)
	}
}

func TestAllWorkspacesAreListed(t *testing.T) {
	s, _, _ := open(t)
	for _, name := range []string{"b", "a", "c"} {
		if err := s.EnsureWorkspace(t.Context(), name, "not-a-real-key-of-"+name); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := s.Workspaces(t.Context()); err != nil || strings.Join(names, " ") != "a b c" {
		t.Errorf("%q, %v", names, err)
	}
}

func TestKnownKeyIsNotLookedUpAgainForFiveSeconds(t *testing.T) {
	s, counted, c := open(t)
	if err := s.EnsureWorkspace(t.Context(), "acme", key); err != nil {
		t.Fatal(err)
	}
	caller, err := s.Authenticate(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	before := counted.gets.Load()
	for range 100 {
		if _, err := s.Authenticate(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if n := counted.gets.Load() - before; n != 0 {
		t.Errorf("%d reads for a known key", n)
	}
	// The key is revoked: its item goes.
	revoked := table.Delete(table.Key{Partition: "~keys/" + caller.KeyID, Sort: "key"}, table.Condition{})
	if errs := counted.Write(t.Context(), []table.Op{revoked}, nil); errs != nil {
		t.Fatal(errs)
	}
	c.advance(5 * time.Second)
	if _, err := s.Authenticate(t.Context(), key); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("five seconds after its revocation the key gives %v", err)
	}
	if _, err := s.Authenticate(t.Context(), key); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("and then %v", err)
	}
}

func TestUnknownKeyIsLookedUpEveryTime(t *testing.T) {
	s, _, _ := open(t)
	if _, err := s.Authenticate(t.Context(), key); !errors.Is(err, access.ErrUnknownKey) {
		t.Fatal(err)
	}
	if err := s.EnsureWorkspace(t.Context(), "acme", key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), key); err != nil {
		t.Errorf("a key made a moment ago: %v", err)
	}
}

func TestKeysAreNotStoredInClear(t *testing.T) {
	s, counted, _ := open(t)
	if err := s.EnsureWorkspace(t.Context(), "acme", key); err != nil {
		t.Fatal(err)
	}
	caller, err := s.Authenticate(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	items, err := counted.Get(t.Context(), []table.Key{{Partition: "~keys/" + caller.KeyID, Sort: "key"}}, true)
	if err != nil || !items[0].Exists() || strings.Contains(string(items[0].Body), key) {
		t.Errorf("stored: %+v, %v", items, err)
	}
}

func TestNewKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		k := access.NewKey()
		if len(k) != 64 || seen[k] {
			t.Fatalf("%d characters, seen before: %t", len(k), seen[k])
		}
		seen[k] = true
	}
}

func TestOnlyOneOfManyGetsTheLock(t *testing.T) {
	s, _, _ := open(t)
	for round := range 5 {
		var holders atomic.Int64
		var held atomic.Pointer[access.Lock]
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() {
				lock, err := s.Lock(t.Context(), "key-id", time.Minute, 0)
				switch {
				case err == nil:
					holders.Add(1)
					held.Store(lock)
				case !errors.Is(err, access.ErrLocked):
					t.Error(err)
				}
			})
		}
		group.Wait()
		if holders.Load() != 1 {
			t.Fatalf("round %d: %d holders", round, holders.Load())
		}
		if err := held.Load().Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeysDoNotLockEachOther(t *testing.T) {
	s, _, _ := open(t)
	for _, id := range []string{"one", "two"} {
		if _, err := s.Lock(t.Context(), id, time.Minute, 0); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// guarded writes an item on the strength of a lock.
func guarded(t *testing.T, counted *counting, lock *access.Lock, sort string) error {
	t.Helper()
	item := table.Item{Key: table.Key{Partition: "acme/test", Sort: sort}, Version: 1, Body: []byte("{}")}
	return errors.Join(counted.Write(t.Context(), []table.Op{table.Put(item, table.Condition{})}, lock.Guard())...)
}

func TestLeaseOfAHolderThatDiedEnds(t *testing.T) {
	s, counted, c := open(t)
	dead, err := s.Lock(t.Context(), "key-id", 30*time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.advance(30*time.Second - time.Millisecond)
	if _, err := s.Lock(t.Context(), "key-id", 30*time.Second, 0); !errors.Is(err, access.ErrLocked) {
		t.Errorf("a millisecond before the end of the lease: %v", err)
	}
	if err := guarded(t, counted, dead, "in time"); err != nil {
		t.Errorf("a write in time: %v", err)
	}
	c.advance(time.Millisecond)
	if err := guarded(t, counted, dead, "late"); !errors.Is(err, table.ErrFenced) {
		t.Errorf("a write after the lease: %v", err)
	}
	next, err := s.Lock(t.Context(), "key-id", 30*time.Second, 0)
	if err != nil {
		t.Fatalf("the lease is over, the lock is not free: %v", err)
	}
	if err := guarded(t, counted, dead, "behind the back"); !errors.Is(err, table.ErrFenced) {
		t.Errorf("a write behind the next holder's back: %v", err)
	}
	if err := dead.Release(t.Context()); err != nil {
		t.Errorf("releasing a lost lock: %v", err)
	}
	if err := guarded(t, counted, next, "of the next holder"); err != nil {
		t.Errorf("the release by the one who lost the lock took it from the next: %v", err)
	}
	if _, err := s.Lock(t.Context(), "key-id", 30*time.Second, 0); !errors.Is(err, access.ErrLocked) {
		t.Errorf("the next holder's lock: %v", err)
	}
}

func TestALeaseThatIsRenewedLastsLonger(t *testing.T) {
	s, counted, c := open(t)
	lock, err := s.Lock(t.Context(), access.LockID("acme"), 30*time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := *lock
	for range 3 {
		c.advance(20 * time.Second)
		if err := lock.Renew(t.Context(), 30*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := guarded(t, counted, lock, "in time"); err != nil {
		t.Errorf("a write in time: %v", err)
	}
	if err := guarded(t, counted, &before, "by the old guard"); !errors.Is(err, table.ErrFenced) {
		t.Errorf("a write by what the lock was before: %v", err)
	}
	if _, err := s.Lock(t.Context(), access.LockID("acme"), time.Minute, 0); !errors.Is(err, access.ErrLocked) {
		t.Errorf("another one while it lasts: %v", err)
	}
	if _, err := s.Lock(t.Context(), access.LockID("beta"), time.Minute, 0); err != nil {
		t.Errorf("another name: %v", err)
	}
	c.advance(30 * time.Second)
	next, err := s.Lock(t.Context(), access.LockID("acme"), time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Renew(t.Context(), time.Minute); !errors.Is(err, access.ErrLocked) {
		t.Errorf("renewing what is another's: %v", err)
	}
	if err := guarded(t, counted, next, "of the next holder"); err != nil {
		t.Errorf("the next holder: %v", err)
	}
}

func TestReleasedLockIsFreeAtOnceAndBindsNobody(t *testing.T) {
	s, counted, _ := open(t)
	lock, err := s.Lock(t.Context(), "key-id", time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the client has gone away: its lock is given back all the same
	if err := lock.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := guarded(t, counted, lock, "late"); !errors.Is(err, table.ErrFenced) {
		t.Errorf("a write after the release: %v", err)
	}
	if _, err := s.Lock(t.Context(), "key-id", time.Minute, 0); err != nil {
		t.Errorf("after the release: %v", err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Errorf("a second release: %v", err)
	}
	if _, err := s.Lock(t.Context(), "key-id", time.Minute, 0); !errors.Is(err, access.ErrLocked) {
		t.Errorf("the second release took the next holder's lock: %v", err)
	}
}

func TestWhoWaitsGetsTheLockWhenItIsReleased(t *testing.T) {
	_, counted, _ := open(t)
	s := access.New(counted, nil) // waiting goes by the real time
	lock, err := s.Lock(t.Context(), "key-id", time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := s.Lock(t.Context(), "key-id", time.Minute, time.Minute)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(60 * time.Millisecond):
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestWaitingEnds(t *testing.T) {
	_, counted, _ := open(t)
	s := access.New(counted, nil)
	if _, err := s.Lock(t.Context(), "key-id", time.Minute, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(t.Context(), "key-id", time.Minute, 60*time.Millisecond); !errors.Is(err, access.ErrLocked) {
		t.Errorf("after the wait: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx, "key-id", time.Minute, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the request's own time: %v", err)
	}
}
