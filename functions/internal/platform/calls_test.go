package platform

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tenure/core/rollup"
	"tenure/core/table"
)

// slow is a table whose log of API calls cannot be written before it is told.
type slow struct {
	table.Table
	wait chan struct{}
}

func (s slow) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if strings.Contains(ops[0].Item.Partition, "/calls/") {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return slices.Repeat([]error{ctx.Err()}, len(ops))
		}
	}
	return s.Table.Write(ctx, ops, guard)
}

// upload is an event with an upload of which one record fails.
var upload = events.APIGatewayProxyRequest{
	HTTPMethod: "POST", Resource: "/api/v2/accounts", Path: "/api/v2/accounts",
	Headers: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("api:"+testKey))},
	Body:    `{"records":[{"account_id":"someone@example.com","name":"N","join_date":1},{"account_id":"b"}]}`,
}

func TestTheAnswerDoesNotWaitForTheLogOfCalls(t *testing.T) {
	for name, buffer := range map[string]bool{"streamed": false, "whole": true} {
		t.Run(name, func(t *testing.T) {
			wait := make(chan struct{})
			w := newWorld(t, func(on table.Table) table.Table { return slow{on, wait} })
			response, err := call(t, w.handler("accounts"), buffer, upload)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(response.(io.Reader))
			if err != nil || !strings.Contains(string(answer), "failed_results") {
				t.Fatalf("%s, %v", answer, err)
			}
			closed := make(chan struct{})
			go func() {
				response.(io.Closer).Close()
				close(closed)
			}()
			select {
			case <-closed:
				t.Fatal("the call ends before it is logged")
			case <-time.After(20 * time.Millisecond):
			}
			if all := w.loggedCalls(); len(all) != 0 {
				t.Fatalf("%+v", all)
			}
			close(wait)
			<-closed
			all := w.loggedCalls()
			if len(all) != 1 || all[0].Endpoint != "/accounts" || all[0].Records.Failed != 1 || !all[0].Success {
				t.Fatalf("%+v", all)
			}
			one, ok, err := w.calls.Get(t.Context(), "acme", all[0].ID)
			if err != nil || !ok || len(one.Failures) != 1 || one.Failures[0].IDs["account_id"] != "b" {
				t.Errorf("%+v, %v, %v", one, ok, err)
			}
		})
	}
}

func TestALogOfCallsThatCannotBeWrittenHoldsUpNothingForLong(t *testing.T) {
	w := newWorld(t, func(on table.Table) table.Table { return slow{on, nil} })
	payload, err := json.Marshal(upload)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	response, err := gateway(w.handler("accounts"), false)(ctx, payload)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(response.(io.Reader)); err != nil || !strings.Contains(string(answer), `"inserted":1`) {
		t.Errorf("%s, %v", answer, err)
	}
	if response.(io.Closer).Close(); ctx.Err() != nil {
		t.Error("Lambda would have ended the function")
	}
	if l := w.lines("an API call was not logged"); len(l) != 1 {
		t.Errorf("%v", l)
	}
}

// queried is a table that counts the queries of the log of API calls.
type queried struct {
	table.Table
	n *atomic.Int64
}

func (q queried) Query(ctx context.Context, query table.Query) ([]table.Item, error) {
	if strings.Contains(query.Partition, "/calls/") {
		q.n.Add(1)
	}
	return q.Table.Query(ctx, query)
}

func TestTheLogOfCallsIsTidiedOnceADay(t *testing.T) {
	var n atomic.Int64
	w := newWorld(t, func(on table.Table) table.Table { return queried{on, &n} })
	c := &clock{keys: w.keys, engine: w.engine, rollup: rollup.New(w.engine, w.usage), calls: w.calls, log: w.log, measured: w.measured}
	for tick := range 3 {
		before := n.Load()
		if err := c.handle(t.Context(), json.RawMessage(`{}`)); err != nil {
			t.Fatal(err)
		}
		if tidied := n.Load() > before; tidied != (tick == 0) {
			t.Errorf("tick %d: tidied %v", tick, tidied)
		}
	}
}
