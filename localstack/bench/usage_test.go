package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"tenure/core/accounts"
	"tenure/core/catalog"
	"tenure/core/resource"
	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
	"tenure/core/usage"
)

// Usage is measured of an hour of some accounts, each of whose users is active
// throughout: so many events a user as a client sends that tells of it every two minutes.
const (
	usageAccounts = 10
	usageUsers    = 100
	usageEvents   = 30 // a user
)

// hour returns the events of an hour in the order in which they happen, with the
// number of the user of each.
func hour(now time.Time) (events []string, users []int) {
	random := rand.New(rand.NewPCG(1, 2))
	type event struct {
		at, user int
		text     string
	}
	var all []event
	for user := range usageUsers {
		for n := range usageEvents {
			at := n*int(time.Hour.Milliseconds())/usageEvents + random.IntN(120_000)
			common := fmt.Sprintf(`"account_id":"account-%04d","user_id":"user-%06d","session_id":"session-of-%06d","created_at":%d`,
				user%usageAccounts, user, user, now.Add(-2*time.Hour).UnixMilli()+int64(at))
			feature := random.IntN(30)
			text := []string{
				`{"action":"sessionSync",` + common + `,"active_duration":118000}`,
				`{"action":"sessionSync",` + common + `,"active_duration":97000}`,
				fmt.Sprintf(`{"action":"moduleEnd",%s,"module":"Module %d","time_spent":%d}`, common, random.IntN(8), random.IntN(600_000)),
				fmt.Sprintf(`{"action":"feature",%s,"module":"Module %d","feature":"Feature %d","total":1}`, common, feature%8, feature),
			}[random.IntN(4)]
			all = append(all, event{at, user, text})
		}
	}
	slices.SortFunc(all, func(a, b event) int { return a.at - b.at })
	for _, e := range all {
		events, users = append(events, e.text), append(users, e.user)
	}
	return events, users
}

// recording is a table that remembers what is written of the log of usage events, as the
// stream tells of it.
type recording struct {
	table.Table
	changes []table.Change
}

func (r *recording) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	for i := range ops {
		if usage.Concerns(ops[i].Item.Key) {
			r.changes = append(r.changes, table.Change{New: &ops[i].Item})
		}
	}
	return r.Table.Write(ctx, ops, guard)
}

// again tries what DynamoDB Local was too slow for on a machine that is busy.
func again(do func() error) (err error) {
	for range 5 {
		if err = do(); !errors.Is(err, table.ErrUnavailable) {
			return err
		}
	}
	return err
}

// BenchmarkUsageOnDynamoDB prints what usage events consume until they are counted, by
// how they arrive and how many are counted at once.
func BenchmarkUsageOnDynamoDB(b *testing.B) {
	client := dynamolocal.Client(b)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for b.Loop() {
		fmt.Printf("\nDynamoDB Local, units for 1,000 usage events: of an hour of %d users of %d accounts, each with %d\n\n", usageUsers, usageAccounts, usageEvents)
		fmt.Fprintf(w, "events a request\tcounted at once\tWCU to arrive\tWCU to count\tRCU to count\tevents/s\t\n")
		for n, c := range []struct{ sent, window int }{{1000, 0}, {30, 0}, {5, 5}, {5, 60}} {
			name := fmt.Sprint("usage-", n)
			if err := dynamo.CreateTable(b.Context(), client, name); err != nil {
				b.Fatal(err)
			}
			t := dynamo.Open(client, name, dynamo.Options{CountCapacity: true})
			if err := measureUsage(b.Context(), w, t, c.sent, c.window); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
	}
}

// measureUsage has the events of an hour arrive, so many a request, and counts those of
// a window of seconds at once, or of each request where it is 0.
func measureUsage(ctx context.Context, w *tabwriter.Writer, t *dynamo.Table, sent, window int) error {
	on := &recording{Table: t}
	engine := resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: dynamo.Shards})
	store := usage.New(usage.Config{Table: on, Engine: engine})
	result, err := engine.Upload(ctx, resource.Upload{Workspace: "bench", Family: accounts.Family, Records: func(yield func(func() resource.Input) bool) {
		for n := range usageAccounts {
			if !yield(func() resource.Input {
				patch, failure := accounts.Family.Schema.Decode(fmt.Appendf(nil, `{"account_id":"account-%04d","name":"N","join_date":1}`, n), true)
				return resource.Input{Patch: patch, Failure: failure}
			}) {
				return
			}
		}
	}})
	if err != nil || len(result.Failed) > 0 {
		return fmt.Errorf("%v, %w", result.Failed, err)
	}
	now := time.Now()
	texts, users := hour(now)
	if sent < 1000 && sent > 1 { // each user's client sends its own
		order := make([]int, len(texts))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return users[a] - users[b] })
		sorted := make([]string, len(texts))
		for i, from := range order {
			sorted[i] = texts[from]
		}
		texts = sorted
	}
	before := t.Consumed()
	began := time.Now()
	var events [][]table.Change
	for batch := range slices.Chunk(texts, sent) {
		var all []*usage.Event
		for _, text := range batch {
			e, failure := usage.Parse([]byte(text), now.UnixMilli())
			if failure != nil {
				return failure
			}
			all = append(all, e)
		}
		if err := again(func() error { return store.Append(ctx, "bench", all) }); err != nil {
			return err
		}
		events = append(events, on.changes)
		on.changes = nil
	}
	arrived := t.Consumed()
	at := 1
	if window > 0 {
		at = max(1, len(events)*window/3600)
	}
	for together := range slices.Chunk(events, at) {
		changes := slices.Concat(together...)
		if err := again(func() error { return errors.Join(store.Follow(ctx, changes)...) }); err != nil {
			return err
		}
	}
	counted := t.Consumed()
	report, err := store.Workspace(ctx, "bench", usage.Period{Start: now.Add(-24 * time.Hour).UnixMilli(), End: now.UnixMilli(), Interval: usage.Day})
	if err != nil || report.Totals.Events != int64(len(texts)) {
		return fmt.Errorf("%d of %d events are counted, %w", report.Totals.Events, len(texts), err)
	}
	thousands := float64(len(texts)) / 1000
	fmt.Fprintf(w, "%d\t%s\t%.1f\t%.1f\t%.1f\t%.0f\t\n", sent, strings.TrimPrefix(fmt.Sprintf("%d s", window), "0 s"),
		(arrived.Write-before.Write)/thousands, (counted.Write-arrived.Write)/thousands, (counted.Read-arrived.Read)/thousands, float64(len(texts))/time.Since(began).Seconds())
	w.Flush()
	return nil
}
