package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/table"
	"tenure/core/usage"
)

// record returns the record of the stream of a table in DynamoDB that tells a
// change.
func record(change table.Change) events.DynamoDBEventRecord {
	image := func(it *table.Item) map[string]events.DynamoDBAttributeValue {
		if it == nil {
			return nil
		}
		return map[string]events.DynamoDBAttributeValue{
			"pk": events.NewStringAttribute(it.Partition), "sk": events.NewStringAttribute(it.Sort),
			"v": events.NewNumberAttribute(strconv.FormatInt(it.Version, 10)), "body": events.NewStringAttribute(string(it.Body)),
		}
	}
	return events.DynamoDBEventRecord{Change: events.DynamoDBStreamRecord{
		SequenceNumber: change.Sequence, OldImage: image(change.Old), NewImage: image(change.New), StreamViewType: "NEW_AND_OLD_IMAGES",
	}}
}

// poison is a record that cannot be read.
func poison(sequence string) events.DynamoDBEventRecord {
	return events.DynamoDBEventRecord{Change: events.DynamoDBStreamRecord{
		SequenceNumber: sequence, NewImage: map[string]events.DynamoDBAttributeValue{"pk": events.NewBooleanAttribute(true)},
	}}
}

func (w *world) stream() *stream {
	return &stream{rollup: rollup.New(w.engine, w.usage), log: w.log, measured: w.measured}
}

// failures returns the sequence numbers that a batch's response reports.
func (w *world) failures(records ...events.DynamoDBEventRecord) string {
	w.Helper()
	response, err := w.stream().handle(w.Context(), events.DynamoDBEvent{Records: records})
	if err != nil {
		w.Fatal(err)
	}
	var all []string
	for _, f := range response.BatchItemFailures {
		all = append(all, f.ItemIdentifier)
	}
	return strings.Join(all, " ")
}

func TestAPoisonRecordIsReportedAlone(t *testing.T) {
	w := newWorld(t, nil)
	records := []events.DynamoDBEventRecord{poison("p1")}
	for _, change := range w.subscribe("a") {
		records = append(records, record(change), record(change)) // twice, as may be
	}
	records = append(records, poison("p2"))
	if got := w.failures(records...); got != "p1 p2" {
		t.Errorf("reported: %s", got)
	}
	if got := w.mrr("a"); got != "100" {
		t.Errorf("MRR %s", got)
	}
	if l := w.lines("changes"); len(l) != 1 || l[0]["ChangesUnreadable"] != 2.0 || l[0]["ChangesPutOff"] != 0.0 || l[0]["ChangesFailed"] != 0.0 {
		t.Errorf("%v", l)
	}
}

// failing is a table that cannot write partitions that fail says.
type failing struct {
	table.Table
	fail func(partition string) bool
}

var errFails = errors.New("this partition cannot be written")

func (f failing) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	errs := make([]error, len(ops))
	for i, op := range ops {
		if errs[i] = f.Transact(ctx, []table.Op{op}, guard); errs[i] != nil {
			continue
		}
	}
	return errs
}

func (f failing) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	for _, op := range ops {
		if f.fail(op.Item.Partition) {
			return errFails
		}
	}
	return f.Table.Transact(ctx, ops, guard)
}

func TestAnAccountThatCannotBeDerivedIsPutOff(t *testing.T) {
	broken := true
	w := newWorld(t, func(on table.Table) table.Table {
		return failing{on, func(partition string) bool { return broken && strings.Contains(partition, "/derived/") }}
	})
	var records []events.DynamoDBEventRecord
	for _, change := range w.subscribe("a") {
		records = append(records, record(change))
	}
	if got := w.failures(records...); got != "" {
		t.Errorf("reported: %s", got)
	}
	if l := w.lines("changes"); len(l) != 1 || l[0]["ChangesPutOff"] != float64(len(records)) {
		t.Errorf("%v", l)
	}
	if got := w.mrr("a"); got != "null" {
		t.Errorf("MRR %s", got)
	}
}

func TestWhatCanNeitherBeDerivedNorPutOffComesAgain(t *testing.T) {
	broken := true
	w := newWorld(t, func(on table.Table) table.Table {
		return failing{on, func(partition string) bool {
			return broken && (strings.Contains(partition, "/derived/") || strings.Contains(partition, "/wake/"))
		}}
	})
	change := w.subscribe("a")[0]
	if got := w.failures(record(change)); got != change.Sequence {
		t.Errorf("reported: %q, want %s", got, change.Sequence)
	}
	broken = false
	if got := w.failures(record(change)); got != "" || w.mrr("a") != "100" {
		t.Errorf("reported: %q, MRR %s", got, w.mrr("a"))
	}
}

// happen has a usage event arrive, and returns the changes that the feed has of it.
func (w *world) happen(text string) []table.Change {
	w.Helper()
	e, failure := usage.Parse([]byte(text), time.Now().UnixMilli())
	if failure != nil {
		w.Fatal(failure)
	}
	if err := w.usage.Append(w.Context(), "acme", []*usage.Event{e}); err != nil {
		w.Fatal(err)
	}
	changes, err := w.store.Changes(w.Context(), "", 100)
	if err != nil || len(changes) != 1 {
		w.Fatalf("changes: %v, %v", changes, err)
	}
	if err := w.store.Trim(w.Context(), changes[0].Sequence); err != nil {
		w.Fatal(err)
	}
	return changes
}

// events returns how many events are counted of an account.
func (w *world) events(account string) string {
	w.Helper()
	var answer struct{ Totals struct{ Events json.Number } }
	body := w.send("accounts", "GET", "/accounts/"+account+"/usage", "").Body.Bytes()
	if err := json.Unmarshal(body, &answer); err != nil {
		w.Fatalf("%s: %v", body, err)
	}
	return answer.Totals.Events.String()
}

func TestUsageEventsThatTheStreamTellsOfTwiceCountOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.subscribe("a")
	change := w.happen(fmt.Sprintf(`{"action":"feature","feature":"F","account_id":"a","created_at":%d}`, time.Now().UnixMilli()))[0]
	expired := record(table.Change{Sequence: "x", Old: change.New})
	if got := w.failures(record(change), poison("p"), record(change), expired); got != "p" {
		t.Errorf("reported: %s", got)
	}
	if got := w.events("a"); got != "1" {
		t.Errorf("%s events", got)
	}
}

func TestUsageEventsThatCannotBeCountedArePutOff(t *testing.T) {
	broken := true
	w := newWorld(t, func(on table.Table) table.Table {
		return failing{on, func(partition string) bool { return broken && strings.Contains(partition, "/usage/account/") }}
	})
	w.subscribe("a")
	change := w.happen(fmt.Sprintf(`{"action":"feature","feature":"F","account_id":"a","created_at":%d}`, time.Now().UnixMilli()))[0]
	if got := w.failures(record(change)); got != "" {
		t.Errorf("reported: %s", got)
	}
	if l := w.lines("changes"); len(l) != 1 || l[0]["ChangesPutOff"] != 1.0 {
		t.Errorf("%v", l)
	}
	if got := w.events("a"); got != "0" {
		t.Errorf("%s events", got)
	}
	broken = false
	c := &clock{keys: w.keys, engine: w.engine, rollup: rollup.New(w.engine, w.usage), calls: w.calls, log: w.log, measured: w.measured}
	if err := c.handle(t.Context(), json.RawMessage(`{}`)); err != nil {
		t.Error(err)
	}
	if got := w.events("a"); got != "1" {
		t.Errorf("%s events", got)
	}
}

func TestAnEventWithoutRecordsIsNotOfAStream(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.stream().handle(t.Context(), events.DynamoDBEvent{}); err == nil {
		t.Error("no error")
	}
}

func TestATickTakesUpWhatIsDue(t *testing.T) {
	broken := true
	w := newWorld(t, func(on table.Table) table.Table {
		return failing{on, func(partition string) bool { return broken && strings.Contains(partition, "/derived/") }}
	})
	changes := w.subscribe("a")
	// As Postpone does, but due already.
	if err := w.engine.Wake(t.Context(), "acme", resource.Derivations, resource.Due{Account: "a", At: w.engine.Now()}); err != nil {
		t.Fatal(err)
	}
	c := &clock{keys: w.keys, engine: w.engine, rollup: rollup.New(w.engine, w.usage), calls: w.calls, log: w.log, measured: w.measured}
	if err := c.handle(t.Context(), json.RawMessage(`{}`)); err == nil {
		t.Error("a tick that could not do its work succeeds")
	}
	if l := w.lines("tick"); len(l) != 1 || l[0]["TicksFailed"] != 1.0 || l[0]["Workspaces"] != 1.0 {
		t.Errorf("%v", l)
	}
	broken = false
	if err := w.engine.Wake(t.Context(), "acme", resource.Derivations, resource.Due{Account: "a", At: w.engine.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := c.handle(t.Context(), json.RawMessage(`{}`)); err != nil {
		t.Error(err)
	}
	if got := w.mrr("a"); got != "100" {
		t.Errorf("MRR %s after %d changes", got, len(changes))
	}
}
