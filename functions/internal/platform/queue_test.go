package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tenure/core/access"
)

// works are what the work of messages gives back, by their text.
func (w *world) queue(works map[string]error, more bool) (*queue, *[]string) {
	did := &[]string{}
	return &queue{
		log: w.log, measured: w.measured, keys: w.keys,
		Job: Job{Work: func(_ context.Context, message string) (bool, error) { return more, works[message] }, Queue: Queue{Send: func(_ context.Context, message string, delay time.Duration) error {
			*did = append(*did, fmt.Sprintf("sent %s after %v", message, delay))
			if message == "unsendable" {
				return errors.New("the queue does not answer")
			}
			return nil
		},
			Postpone: func(_ context.Context, receipt string, delay time.Duration) error {
				*did = append(*did, fmt.Sprintf("postponed %s by %v", receipt, delay))
				return nil
			}}},
	}, did
}

// message is a message that has been received n times.
func message(text string, n int) events.SQSMessage {
	return events.SQSMessage{MessageId: "id of " + text, ReceiptHandle: "receipt of " + text, Body: text, Attributes: map[string]string{"ApproximateReceiveCount": fmt.Sprint(n)}}
}

// handled returns the messages that are reported as failed.
func (w *world) handled(q *queue, messages ...events.SQSMessage) string {
	w.Helper()
	payload, err := json.Marshal(events.SQSEvent{Records: messages})
	if err != nil {
		w.Fatal(err)
	}
	given, err := q.called(w.Context(), payload)
	response, ok := given.(events.SQSEventResponse)
	if err != nil || !ok {
		w.Fatalf("%v, %v", given, err)
	}
	var all []string
	for _, f := range response.BatchItemFailures {
		all = append(all, f.ItemIdentifier)
	}
	return strings.Join(all, ", ")
}

func TestWorkThatIsDoneNeedsNoFurtherMessage(t *testing.T) {
	w := newWorld(t, nil)
	q, did := w.queue(nil, false)
	if got := w.handled(q, message("a", 1)); got != "" || len(*did) > 0 {
		t.Errorf("failed: %s; %v", got, *did)
	}
	if l := w.lines("messages"); len(l) != 1 || l[0]["Messages"] != 1.0 || l[0]["MessagesFailed"] != 0.0 {
		t.Errorf("%v", l)
	}
}

func TestWorkOfWhichThereIsMoreGoesOnByAMessageOfItsOwn(t *testing.T) {
	w := newWorld(t, nil)
	q, did := w.queue(nil, true)
	if got := w.handled(q, message("a", 3), message("unsendable", 1)); got != "id of unsendable" {
		t.Errorf("failed: %s", got)
	}
	if got, want := strings.Join(*did, "; "), "sent a after 0s; sent unsendable after 0s; postponed receipt of unsendable by 1m0s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWorkThatAnotherOneIsInTheWayOfComesAgainSoon(t *testing.T) {
	w := newWorld(t, nil)
	q, did := w.queue(map[string]error{"a": fmt.Errorf("%w: simulated", access.ErrLocked)}, true)
	if got := w.handled(q, message("a", 5)); got != "" {
		t.Errorf("failed: %s", got)
	}
	if got := strings.Join(*did, "; "); got != "sent a after 15s" {
		t.Errorf("%s", got)
	}
}

func TestMessagesWhoseWorkFailsAreReportedAlone(t *testing.T) {
	w := newWorld(t, nil)
	q, did := w.queue(map[string]error{"bad": errors.New("no use"), "worse": errors.New("none either")}, false)
	if got := w.handled(q, message("a", 1), message("bad", 1), message("b", 1), message("worse", 4)); got != "id of bad, id of worse" {
		t.Errorf("failed: %s", got)
	}
	if got := strings.Join(*did, "; "); got != "postponed receipt of bad by 1m0s; postponed receipt of worse by 4m0s" {
		t.Errorf("%s", got)
	}
	if l := w.lines("messages"); len(l) != 1 || l[0]["MessagesFailed"] != 2.0 {
		t.Errorf("%v", l)
	}
	for _, payload := range []string{`{}`, `{"Records":[]}`, `[]`, `{"source":"aws.scheduler"}`} {
		if given, err := q.called(t.Context(), json.RawMessage(payload)); err == nil {
			t.Errorf("%s, an event of something else, is taken: %v", payload, given)
		}
	}
}

func TestATickIsDoneInEveryWorkspaceWhoeverFails(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"bad", "zeta"} {
		if err := w.keys.EnsureWorkspace(t.Context(), name, "test-key-not-secret-"+name); err != nil {
			t.Fatal(err)
		}
	}
	q, did := w.queue(nil, false)
	q.Tick = func(ctx context.Context, workspace string) error {
		if workspace == "bad" {
			return errors.New("no use")
		}
		return q.Send(ctx, workspace, 0)
	}
	const event = `{"version":"0","detail-type":"Scheduled Event","source":"aws.scheduler","detail":"{}"}`
	if given, err := q.called(t.Context(), json.RawMessage(event)); given != nil || err == nil || err.Error() != "workspace bad: no use" {
		t.Errorf("%v, %v", given, err)
	}
	if got := strings.Join(*did, "; "); got != "sent acme after 0s; sent zeta after 0s" {
		t.Errorf("%s", got)
	}
	if l := w.lines("tick"); len(l) != 1 || l[0]["TicksFailed"] != 1.0 || l[0]["Workspaces"] != 3.0 {
		t.Errorf("%v", l)
	}
	// A message is one beside it.
	if got := w.handled(q, message("a", 1)); got != "" {
		t.Errorf("failed: %s", got)
	}
}
