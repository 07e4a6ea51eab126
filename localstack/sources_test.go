package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sources"
	"tenure/core/table/embedded"
	"tenure/localstack/sourcing"
)

func TestSourcesRunTwoAtOnceAndNoneTwiceAtOnce(t *testing.T) {
	w := newSyncer(t.Context())
	var mu sync.Mutex
	now, most, done := map[string]int{}, 0, map[string]int{}
	w.run = func(_ context.Context, workspace, id string) (bool, error) {
		name := workspace + id
		mu.Lock()
		now[name]++
		if now[name] > 1 {
			t.Errorf("%s runs twice at once", name)
		}
		running := 0
		for _, n := range now {
			running += n
		}
		most = max(most, running)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		now[name]--
		done[name]++
		return false, nil
	}
	for range 3 { // as ticks do while they run
		for _, id := range []string{"1", "2", "3"} {
			_ = w.start(t.Context(), "a", id)
		}
		_ = w.start(t.Context(), "b", "1")
		time.Sleep(time.Millisecond)
	}
	w.group.Wait()
	if most != workAtOnce || len(done) != 4 || len(w.waiting) > 0 {
		t.Errorf("%d at once; done %v; waiting %v", most, done, w.waiting)
	}
}

// sourceStore returns the sources on a table, whose runs are begun by start.
func sourceStore(t *testing.T, on *hooked, start func(ctx context.Context, workspace, id string) error) (*sources.Store, *access.Store) {
	t.Helper()
	sealing, err := keyfile.Open(filepath.Join(t.TempDir(), "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	keys := access.New(on, nil)
	engine := resource.New(resource.Config{Table: on, Root: catalog.Root})
	return sourcing.NewStore(on, engine, keys, secrets.New(sealing), start), keys
}

func TestSourcesThatAreDueAreStartedWhateverIsWrongInAnotherWorkspace(t *testing.T) {
	broken := ""
	on := &hooked{openStore(t, embedded.Options{}), func(c call) error {
		if broken != "" && strings.HasPrefix(c.partition, broken) {
			return errors.New("simulated")
		}
		return nil
	}}
	var started []string
	s, keys := sourceStore(t, on, func(_ context.Context, workspace, id string) error {
		started = append(started, workspace+"/"+id)
		return nil
	})
	var want []string
	for _, workspace := range []string{"acme", "bad", "zeta"} {
		if err := keys.EnsureWorkspace(t.Context(), workspace, testKey+workspace); err != nil {
			t.Fatal(err)
		}
		for n, every := range []int{60, 0} {
			source := &sources.Source{Connector: "stripe", Every: every, Prefix: fmt.Sprintf("s%d-", n)}
			if err := s.Create(t.Context(), workspace, source); err != nil {
				t.Fatal(err)
			}
			if every > 0 && workspace != "bad" {
				want = append(want, workspace+"/"+source.ID)
			}
		}
	}
	broken = "bad/sources"
	if err := startDue(t.Context(), keys, s); err == nil || strings.Join(started, " ") != strings.Join(want, " ") {
		t.Errorf("%v: started %v, want %v", err, started, want)
	}
}

func TestASourceThatIsLockedIsLeftToTheNextTick(t *testing.T) {
	on := &hooked{openStore(t, embedded.Options{}), func(call) error { return nil }}
	s, keys := sourceStore(t, on, nil)
	source := &sources.Source{Connector: "stripe", Every: 60}
	if err := s.Create(t.Context(), "acme", source); err != nil {
		t.Fatal(err)
	}
	lock, err := keys.Lock(t.Context(), access.LockID("source/acme/"+source.ID), time.Minute, 0)
	if err != nil {
		t.Fatal(err)
	}
	if more, err := runSource(s)(t.Context(), "acme", source.ID); more || err != nil {
		t.Errorf("%v, %v", more, err)
	}
	if err := lock.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	// It has no credentials, which is a matter of its report.
	if more, err := runSource(s)(t.Context(), "acme", source.ID); more || err != nil {
		t.Errorf("%v, %v", more, err)
	}
	if runs, err := s.Runs(t.Context(), "acme", source.ID, "", 10); err != nil || len(runs) != 1 || runs[0].Why == nil || runs[0].Why.Code != "credentials" {
		t.Errorf("%+v, %v", runs, err)
	}
}

// TestTheProductTakesCommandsAboutSourcesWhileItRuns sends commands to the program,
// over the socket beside its data.
func TestTheProductTakesCommandsAboutSourcesWhileItRuns(t *testing.T) {
	dir, err := os.MkdirTemp("", "t") // whose path is short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := start(t, "DATA_DIR="+dir)
	product := sourcing.Dial(t.Context(), dir)
	if product == nil {
		t.Fatalf("nobody answers; printed: %v", p.printed)
	}
	do := func(in string, args ...string) (string, error) {
		t.Helper()
		var text strings.Builder
		err := product.Do(t.Context(), "test", args, strings.NewReader(in), func(e sourcing.Event) error {
			text.WriteString(e.Text)
			return nil
		})
		return text.String(), err
	}
	if text, err := do(`{"connector":"stripe","name":"Payments","system_of_record":true,"every":0}`, "add"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	text, err := do(`{"id":"cus_1","object":"customer","name":"Imported","created":1700000000,"metadata":{"account_id":"imported"}}`, "import", "Payments", "customers")
	if err != nil || !p.exists(testKey, "imported") {
		t.Errorf("%v\n%s", err, text)
	}
	// The program begins what is asked for at once, and finds no credentials.
	began := time.Now()
	if text, err := do("", "run", "Payments"); err == nil || !strings.Contains(text, "(credentials)") || time.Since(began) > sourcesInterval/2 {
		t.Errorf("after %v: %v\n%s", time.Since(began), err, text)
	}
	p.terminate()
	p.ends(0)
	if left, err := filepath.Glob(filepath.Join(dir, "*.sock")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestTheProductStartsWhereNoSocketCanBe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	p := start(t, "DATA_DIR="+dir)
	if said := p.line("Commands"); !strings.Contains(said, "too long for a socket") {
		t.Errorf("%s", said)
	}
	p.done(testKey, "POST", "/accounts", records(account("a")))
	if sourcing.Dial(t.Context(), dir) != nil {
		t.Error("somebody answers")
	}
}
