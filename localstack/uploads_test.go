package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/files/directory"
	"tenure/core/resource"
	"tenure/core/table/embedded"
	"tenure/core/uploads"
)

// worked is what a worker has been told to do.
type worked struct {
	mu      sync.Mutex
	now     map[string]bool // workspaces at work
	most    int
	done    []string
	overlap bool
}

func (w *worked) run(_ context.Context, workspace, id string) (bool, error) {
	w.mu.Lock()
	w.overlap = w.overlap || w.now[workspace]
	w.now[workspace] = true
	w.most = max(w.most, len(w.now))
	w.mu.Unlock()
	time.Sleep(5 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.now, workspace)
	w.done = append(w.done, workspace+id)
	return false, nil
}

func TestUploadsOfAWorkspaceAreWorkedOnInOrderAndTwoWorkspacesAtOnce(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	u, w := newUploader(ctx), &worked{now: map[string]bool{}}
	u.run = w.run
	for i := range 5 {
		for _, workspace := range []string{"a", "b", "c"} {
			for range 2 { // the second time it waits already
				_ = u.start(ctx, workspace, fmt.Sprint(i))
			}
		}
	}
	u.group.Wait()
	var ofA []string
	for _, id := range w.done {
		if rest, ok := strings.CutPrefix(id, "a"); ok {
			ofA = append(ofA, rest)
		}
	}
	// The first may have been over before it was started the second time.
	if got := strings.Join(slices.Compact(ofA), ""); got != "01234" || len(w.done) > 18 {
		t.Errorf("worked on %v", w.done)
	}
	if w.overlap || w.most != workAtOnce {
		t.Errorf("%d workspaces at once; one twice at once: %v", w.most, w.overlap)
	}
	if len(u.waiting) > 0 {
		t.Errorf("waiting: %v", u.waiting)
	}
}

func TestWorkOnAnUploadThatFailsIsTriedAgainAndThenLeft(t *testing.T) {
	defer func(d time.Duration) { workPause = d }(workPause)
	workPause = time.Millisecond
	u := newUploader(t.Context())
	tries := map[string]int{}
	u.run = func(_ context.Context, _, id string) (bool, error) {
		tries[id]++
		switch {
		case id == "panics":
			panic("simulated")
		case id == "bad", id == "recovers" && tries[id] < 3:
			return true, errors.New("simulated")
		}
		return id == "long" && tries[id] < 20, nil
	}
	for _, id := range []string{"bad", "panics", "recovers", "long"} {
		_ = u.start(t.Context(), "w", id)
	}
	u.group.Wait()
	if got := fmt.Sprint(tries); got != "map[bad:5 long:20 panics:5 recovers:3]" {
		t.Errorf("tried %s", got)
	}
}

// TestAnUploadThatTheProgramDiedInIsResumed has the program stop in the middle of
// an upload, and another one started on what it has left.
func TestAnUploadThatTheProgramDiedInIsResumed(t *testing.T) {
	dir := t.TempDir()
	// begin starts as much of the program as works on uploads.
	begin := func(ctx context.Context, pause func()) (s *uploads.Store, u *worker, end func()) {
		store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
		if err != nil {
			t.Fatal(err)
		}
		in, err := directory.Open(filepath.Join(dir, "files"))
		if err != nil {
			t.Fatal(err)
		}
		keys := access.New(store, nil)
		if err := errors.Join(keys.BreakLocks(ctx), keys.EnsureWorkspace(ctx, "acme", testKey)); err != nil {
			t.Fatal(err)
		}
		u = newUploader(ctx)
		s = uploads.New(uploads.Config{
			Table: store, Files: in, Engine: resource.New(resource.Config{Table: store, Root: catalog.Root}), Access: keys, Families: catalog.All(),
			Start: u.start,
		})
		u.run = func(ctx context.Context, workspace, id string) (bool, error) {
			pause()
			return s.Run(ctx, workspace, id)
		}
		if err := resumeUploads(ctx, keys, s); err != nil {
			t.Fatal(err)
		}
		return s, u, func() {
			u.group.Wait()
			if err := errors.Join(in.Close(), store.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	mortal, die := context.WithCancel(t.Context())
	s, _, end := begin(mortal, die)
	up, err := s.Create(t.Context(), "acme", "ann@example.com", "accounts", uploads.Options{})
	if err == nil {
		err = s.Receive(t.Context(), "acme", up.ID, strings.NewReader("account_id,name,join_date\na,A,2024-01-01\n"))
	}
	if err == nil {
		_, err = s.Check(t.Context(), "acme", up.ID, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	end()
	s, u, end := begin(t.Context(), func() {})
	defer end()
	u.group.Wait()
	if up, err = s.Get(t.Context(), "acme", up.ID); err != nil || up.State != uploads.Checked || up.Check.Inserted != 1 {
		t.Errorf("%+v, %v", up, err)
	}
}
