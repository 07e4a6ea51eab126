package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core/table"
	"tenure/core/table/embedded"
)

// The environment by which a test tells its child process what to do.
const (
	childEnv    = "TENURE_TEST_CHILD"
	childDirEnv = "TENURE_TEST_DIR"
)

// Writers of the child, and the items each of them writes over and over.
const (
	crashWriters = 4
	crashItems   = 40
)

func child(t *testing.T, task, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+task, childDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// crashItem is item i of a writer in some version, which decides everything
// about it: whether it exists, and where it stands in the indexes.
func crashItem(writer, i int, version int64) (item table.Item, deleted bool) {
	key := table.Key{Partition: fmt.Sprintf("writer %d", writer), Sort: fmt.Sprintf("item %03d", i)}
	if version%7 == 0 {
		return table.Item{Key: key, Version: version}, true
	}
	item = table.Item{
		Key:     key,
		Version: version,
		Index1:  table.Key{Partition: "all", Sort: fmt.Sprintf("%d", version%5)},
		Body:    []byte(strings.Repeat(fmt.Sprintf("%s/%s version %d\n", key.Partition, key.Sort, version), 40)),
	}
	if version%3 == 0 {
		item.Index2 = table.Key{Partition: key.Partition, Sort: fmt.Sprintf("%d", version)}
		item.Expires = time.Now().Add(time.Hour).UnixMilli()
	}
	return item, false
}

// writeUntilKilled is the child: its writers move all their items from version
// to version, each time in one transaction and one bulk write, and print what
// was acknowledged.
func writeUntilKilled(dir string) {
	fatal := func(err error) {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	store, err := embedded.Open(dir, embedded.Options{Feed: everything, MemTableBytes: 1 << 20})
	if err != nil {
		fatal(err)
	}
	var print sync.Mutex
	var writers sync.WaitGroup
	for w := range crashWriters {
		writers.Go(func() {
			version := readProgress(store, w)
			for {
				version++
				ops := make([]table.Op, crashItems)
				for i := range ops {
					item, deleted := crashItem(w, i, version)
					if deleted {
						ops[i] = table.Delete(item.Key, table.Condition{})
					} else {
						ops[i] = table.Put(item, table.Condition{})
					}
				}
				half := crashItems / 2
				if err := store.Transact(context.Background(), ops[:half], nil); err != nil {
					fatal(err)
				}
				if errs := store.Write(context.Background(), append(ops[half:], progress(w, version)), nil); errs != nil {
					fatal(errors.Join(errs...))
				}
				print.Lock()
				fmt.Println(w, version)
				print.Unlock()
			}
		})
	}
	writers.Wait()
}

// progress notes the version a writer has reached.
func progress(writer int, version int64) table.Op {
	return table.Put(table.Item{Key: progressKey(writer), Version: version}, table.Condition{})
}

func progressKey(writer int) table.Key {
	return table.Key{Partition: "progress", Sort: strconv.Itoa(writer)}
}

func readProgress(store *embedded.Table, writer int) int64 {
	items, err := store.Get(context.Background(), []table.Key{progressKey(writer)}, true)
	if err != nil {
		panic(err)
	}
	return items[0].Version
}

// TestKilledWriterLosesNothing kills a writing process again and again, and
// checks after each time that whatever it had acknowledged is there, whole, and
// that indexes and change feed tell the same as the items.
func TestKilledWriterLosesNothing(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	dir := t.TempDir()
	for range kills {
		acknowledged := runAndKill(t, dir)
		store, err := embedded.Open(dir, embedded.Options{Feed: everything})
		if err != nil {
			t.Fatal(err)
		}
		for w, version := range acknowledged {
			if stored := readProgress(store, w); stored < version {
				t.Errorf("writer %d had version %d acknowledged, stored is %d", w, version, stored)
			}
			checkWriter(t, store, w)
		}
		checkIndexes(t, store)
		checkFeed(t, store)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
}

// runAndKill starts the child, kills it at a random instant, and returns the
// newest version that each writer had acknowledged.
func runAndKill(t *testing.T, dir string) []int64 {
	t.Helper()
	cmd := child(t, "write", dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := make([]int64, crashWriters)
	lines := bufio.NewReader(stdout)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if err != nil {
			// The pipe holds what was printed before the kill; a last line cut
			// short was not yet an acknowledgement.
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		if first {
			kill := time.AfterFunc(time.Duration(rand.IntN(150_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			defer kill.Stop()
		}
		var w int
		var version int64
		if _, err := fmt.Sscan(line, &w, &version); err != nil {
			t.Fatalf("child printed %q: %v", line, err)
		}
		acknowledged[w] = version
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return acknowledged
}

// checkWriter checks that the items of a writer are those of its last version,
// or, for a call that was never acknowledged, of the next.
func checkWriter(t *testing.T, store *embedded.Table, writer int) {
	t.Helper()
	done := readProgress(store, writer)
	for part, ahead := range []bool{true, false} {
		half := crashItems / 2
		keys := make([]table.Key, half)
		for i := range keys {
			item, _ := crashItem(writer, part*half+i, 1)
			keys[i] = item.Key
		}
		items, err := store.Get(t.Context(), keys, true)
		if err != nil {
			t.Fatal(err)
		}
		if !isVersion(items, writer, part*half, done) && !(ahead && isVersion(items, writer, part*half, done+1)) {
			t.Errorf("writer %d, half %d: the items are not those of version %d", writer, part, done)
		}
	}
}

func isVersion(items []table.Item, writer, from int, version int64) bool {
	for i, got := range items {
		want, deleted := crashItem(writer, from+i, version)
		if version == 0 || deleted {
			if got.Exists() {
				return false
			}
			continue
		}
		if got.Version != want.Version || string(got.Body) != string(want.Body) ||
			got.Index1 != want.Index1 || got.Index2 != want.Index2 {
			return false
		}
	}
	return true
}

// allItems returns what the base rows of all writers say.
func allItems(t *testing.T, store *embedded.Table) map[table.Key]table.Item {
	t.Helper()
	all := map[table.Key]table.Item{}
	for w := range crashWriters {
		items, err := store.Query(t.Context(), table.Query{Partition: fmt.Sprintf("writer %d", w), Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			all[item.Key] = item
		}
	}
	return all
}

// checkIndexes checks that both indexes have exactly the rows that the items ask for.
func checkIndexes(t *testing.T, store *embedded.Table) {
	t.Helper()
	first, second := map[table.Key]table.Key{}, map[table.Key]table.Key{}
	for key, item := range allItems(t, store) {
		if !item.Index1.IsZero() {
			first[key] = item.Index1
		}
		if !item.Index2.IsZero() {
			second[key] = item.Index2
		}
	}
	check := func(index table.Index, partition string, want map[table.Key]table.Key) int {
		rows, err := store.Query(t.Context(), table.Query{Index: index, Partition: partition, Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			at := row.Index1
			if index == table.Second {
				at = row.Index2
			}
			if want[row.Key] != at {
				t.Errorf("index %d has %v at %v, the item says %v", index, row.Key, at, want[row.Key])
			}
		}
		return len(rows)
	}
	if n := check(table.First, "all", first); n != len(first) {
		t.Errorf("%d rows in the first index for %d items", n, len(first))
	}
	n := 0
	for w := range crashWriters {
		n += check(table.Second, fmt.Sprintf("writer %d", w), second)
	}
	if n != len(second) {
		t.Errorf("%d rows in the second index for %d items", n, len(second))
	}
}

// checkFeed checks that the changes, replayed from the beginning, give the items.
func checkFeed(t *testing.T, store *embedded.Table) {
	t.Helper()
	replayed := map[table.Key]*table.Item{}
	for after := ""; ; {
		changes, err := store.Changes(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			if c.Sequence <= after {
				t.Fatalf("sequence %q after %q", c.Sequence, after)
			}
			after = c.Sequence
			had := replayed[c.Key()]
			if (c.Old == nil) != (had == nil) || c.Old != nil && (c.Old.Version != had.Version || string(c.Old.Body) != string(had.Body)) {
				t.Fatalf("change %s: the old image is not what the changes before made", c.Sequence)
			}
			replayed[c.Key()] = c.New
		}
	}
	items := allItems(t, store)
	for key, item := range replayed {
		if key.Partition == "progress" {
			continue
		}
		stored, exists := items[key]
		if exists != (item != nil) || exists && stored.Version != item.Version {
			t.Errorf("%v: the changes and the items differ", key)
		}
	}
}

// tryToOpen is the child that opens a directory in use.
func tryToOpen(dir string) {
	store, err := embedded.Open(dir, embedded.Options{})
	if err == nil {
		err = store.Close()
		fmt.Println("opened", err)
		return
	}
	fmt.Println(err)
}

func TestSecondOpenerIsRefused(t *testing.T) {
	dir := t.TempDir()
	store, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := child(t, "open", dir).Output()
	if err != nil || !strings.Contains(string(out), "in use by another process") {
		t.Errorf("a second process was told %q, %v", out, err)
	}
	if _, err := embedded.Open(dir, embedded.Options{}); err == nil {
		t.Error("the same process opened the directory twice")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	out, err = child(t, "open", dir).Output()
	if err != nil || !strings.Contains(string(out), "opened <nil>") {
		t.Errorf("after Close another process was told %q, %v", out, err)
	}
}
