package platform

import (
	"context"
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
		log: w.log, measured: w.measured,
		work: func(_ context.Context, message string) (bool, error) { return more, works[message] },
		Queue: Queue{Send: func(_ context.Context, message string, delay time.Duration) error {
			*did = append(*did, fmt.Sprintf("sent %s after %v", message, delay))
			if message == "unsendable" {
				return errors.New("the queue does not answer")
			}
			return nil
		},
			Postpone: func(_ context.Context, receipt string, delay time.Duration) error {
				*did = append(*did, fmt.Sprintf("postponed %s by %v", receipt, delay))
				return nil
			}},
	}, did
}

// message is a message that has been received n times.
func message(text string, n int) events.SQSMessage {
	return events.SQSMessage{MessageId: "id of " + text, ReceiptHandle: "receipt of " + text, Body: text, Attributes: map[string]string{"ApproximateReceiveCount": fmt.Sprint(n)}}
}

// handled returns the messages that are reported as failed.
func (w *world) handled(q *queue, messages ...events.SQSMessage) string {
	w.Helper()
	response, err := q.handle(w.Context(), events.SQSEvent{Records: messages})
	if err != nil {
		w.Fatal(err)
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
	if _, err := q.handle(t.Context(), events.SQSEvent{}); err == nil {
		t.Error("an event of something else is taken")
	}
}
