package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tenure/core/table"
	"tenure/core/table/dynamo"
	"tenure/core/table/dynamo/dynamolocal"
)

// network is the way of a table's requests to DynamoDB Local, where things go wrong.
type network struct {
	// fault may answer a request in place of the server, which send reaches.
	// nth counts the requests of the same operation from 1.
	fault func(ctx context.Context, operation string, nth int, send func() (*http.Response, error)) (*http.Response, error)

	mu   sync.Mutex
	sent map[string]int
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	n.mu.Lock()
	n.sent[operation]++
	nth := n.sent[operation]
	n.mu.Unlock()
	send := func() (*http.Response, error) { return http.DefaultTransport.RoundTrip(r) }
	if n.fault == nil {
		return send()
	}
	return n.fault(r.Context(), operation, nth, send)
}

func (n *network) count(operation string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent[operation]
}

var errBroken = errors.New("the connection broke")

// refusal is an answer with which DynamoDB refuses a request.
func refusal(exception, more string) (*http.Response, error) {
	body := fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","Message":"injected"%s}`, exception, more)
	return &http.Response{
		StatusCode: http.StatusBadRequest,
		Header:     http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:       io.NopCloser(strings.NewReader(body)),
	}, nil
}

// faulty returns a new table behind a network, and the same without it.
func faulty(t *testing.T) (behind *dynamo.Table, n *network, direct *dynamo.Table) {
	t.Helper()
	n = &network{sent: map[string]int{}}
	name := createTable(t)
	client := dynamo.NewClient(dynamolocal.Config(t), func(o *dynamodb.Options) { o.HTTPClient = &http.Client{Transport: n} })
	return dynamo.Open(client, name, dynamo.Options{}), n, dynamo.Open(dynamolocal.Client(t), name, dynamo.Options{})
}

func item(sort string, version int64) table.Item {
	return table.Item{Key: table.Key{Partition: "p", Sort: sort}, Version: version, Body: []byte(`{}`)}
}

// lock stores a lock and returns the guard of it, valid for so long.
func lock(t *testing.T, tbl *dynamo.Table, valid time.Duration) *table.Guard {
	t.Helper()
	l := item("lock", 9)
	write(t, tbl, table.Put(l, table.Condition{}))
	return &table.Guard{Key: l.Key, Version: 9, Until: time.Now().Add(valid).UnixMilli()}
}

func write(t *testing.T, tbl *dynamo.Table, ops ...table.Op) {
	t.Helper()
	if err := errors.Join(tbl.Write(t.Context(), ops, nil)...); err != nil {
		t.Fatal(err)
	}
}

func version(t *testing.T, tbl *dynamo.Table, key table.Key) int64 {
	t.Helper()
	got, err := tbl.Get(t.Context(), []table.Key{key}, true)
	if err != nil {
		t.Fatal(err)
	}
	return got[0].Version
}

func TestWriteWhoseAnswerIsLostHasSucceeded(t *testing.T) {
	t.Parallel()
	tbl, n, direct := faulty(t)
	near := lock(t, direct, time.Second)
	n.fault = func(_ context.Context, operation string, nth int, send func() (*http.Response, error)) (*http.Response, error) {
		answer, err := send()
		if err == nil && nth%2 == 1 && operation != "BatchGetItem" {
			answer.Body.Close()
			return nil, errBroken
		}
		return answer, err
	}
	for _, guard := range []*table.Guard{nil, near} {
		for i, op := range []table.Op{
			table.Put(item("s", 1), table.Absent()),
			table.Put(item("s", 2), table.VersionIs(1)),
			table.Put(item("s", 3), table.Condition{}),
			table.Delete(item("s", 0).Key, table.VersionIs(3)),
		} {
			if err := errors.Join(tbl.Write(t.Context(), []table.Op{op}, guard)...); err != nil {
				t.Errorf("Write: step %d: %v", i, err)
			}
			if got := version(t, direct, op.Item.Key); got != op.Item.Version {
				t.Errorf("step %d left version %d", i, got)
			}
			if err := tbl.Transact(t.Context(), []table.Op{table.Put(item("t"+fmt.Sprint(i), int64(i+1)), table.VersionIs(int64(i)))}, guard); !errors.Is(err, table.ErrConflict) {
				t.Errorf("Transact: step %d: %v", i, err)
			}
		}
		write(t, direct, table.Delete(item("u", 0).Key, table.Condition{}))
		if err := tbl.Transact(t.Context(), []table.Op{table.Put(item("u", 1), table.Absent())}, guard); err != nil {
			t.Errorf("Transact: %v", err)
		}
	}
}

func TestWriteThatNeverArrivedIsNotTakenForAnothers(t *testing.T) {
	t.Parallel()
	tbl, n, direct := faulty(t)
	// Both racing writers write the very same item; only one may count it as its own.
	write(t, direct, table.Put(item("s", 1), table.Absent()))
	n.fault = func(_ context.Context, _ string, nth int, send func() (*http.Response, error)) (*http.Response, error) {
		if nth > 1 {
			return send()
		}
		write(t, direct, table.Put(item("s", 2), table.VersionIs(1)))
		return nil, errBroken
	}
	errs := tbl.Write(t.Context(), []table.Op{table.Put(item("s", 2), table.VersionIs(1))}, nil)
	if len(errs) != 1 || !errors.Is(errs[0], table.ErrConflict) {
		t.Errorf("Write = %v, want a conflict", errs)
	}
}

func TestBusyTableIsAskedAgain(t *testing.T) {
	t.Parallel()
	tbl, n, direct := faulty(t)
	near := lock(t, direct, time.Second)
	n.fault = func(_ context.Context, operation string, nth int, send func() (*http.Response, error)) (*http.Response, error) {
		switch nth % 4 {
		case 1:
			return refusal("ProvisionedThroughputExceededException", "")
		case 2:
			if operation == "TransactWriteItems" {
				return refusal("TransactionCanceledException", `,"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]`)
			}
			return refusal("ThrottlingException", "")
		case 3:
			switch operation {
			case "TransactWriteItems":
				return refusal("TransactionInProgressException", "")
			case "PutItem", "DeleteItem":
				return refusal("TransactionConflictException", "")
			}
			return refusal("RequestLimitExceeded", "")
		}
		return send()
	}
	if err := errors.Join(tbl.Write(t.Context(), []table.Op{table.Put(item("s", 1), table.Absent())}, nil)...); err != nil {
		t.Errorf("Write: %v", err)
	}
	if err := errors.Join(tbl.Write(t.Context(), []table.Op{table.Put(item("s", 2), table.VersionIs(1))}, near)...); err != nil {
		t.Errorf("Write under a guard: %v", err)
	}
	if err := tbl.Transact(t.Context(), []table.Op{table.Put(item("s", 3), table.VersionIs(2))}, nil); err != nil {
		t.Errorf("Transact: %v", err)
	}
	if got := version(t, tbl, item("s", 0).Key); got != 3 {
		t.Errorf("version %d, want 3", got)
	}
	if got, err := tbl.Query(t.Context(), table.Query{Partition: "p", Limit: 5, Consistent: true}); err != nil || len(got) != 2 {
		t.Errorf("Query = %d items, %v", len(got), err)
	}
	if err := errors.Join(tbl.Write(t.Context(), []table.Op{table.Delete(item("s", 0).Key, table.VersionIs(3))}, nil)...); err != nil {
		t.Errorf("Write of a delete: %v", err)
	}
}

func TestBusyTableUntilTheDeadline(t *testing.T) {
	t.Parallel()
	tbl, n, _ := faulty(t)
	n.fault = func(context.Context, string, int, func() (*http.Response, error)) (*http.Response, error) {
		return refusal("ProvisionedThroughputExceededException", "")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for name, err := range everyCall(ctx, tbl) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the error of the context", name, err)
		}
	}
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := tbl.Get(ctx, []table.Key{item("s", 0).Key}, true)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("Get: %v, want both the error of the context and ErrUnavailable", err)
	}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	tbl, n, _ := faulty(t)
	n.fault = func(context.Context, string, int, func() (*http.Response, error)) (*http.Response, error) {
		return nil, errBroken
	}
	for name, err := range everyCall(t.Context(), tbl) {
		if !errors.Is(err, table.ErrUnavailable) || !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, want ErrUnavailable and the cause", name, err)
		}
	}
}

func TestRefusalForGoodIsNotRepeated(t *testing.T) {
	t.Parallel()
	tbl, n, _ := faulty(t)
	n.fault = func(context.Context, string, int, func() (*http.Response, error)) (*http.Response, error) {
		return refusal("AccessDeniedException", "")
	}
	for name, err := range everyCall(t.Context(), tbl) {
		if !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if got := n.count(name); got != 1 {
			t.Errorf("%s was sent %d times", name, got)
		}
	}
}

// everyCall makes one call of each kind at the same time, and returns its
// error by the operation of DynamoDB it uses.
func everyCall(ctx context.Context, tbl *dynamo.Table) map[string]error {
	var mu sync.Mutex
	errs := map[string]error{}
	var all sync.WaitGroup
	call := func(operation string, run func() error) {
		all.Go(func() {
			err := run()
			mu.Lock()
			defer mu.Unlock()
			errs[operation] = err
		})
	}
	call("BatchGetItem", func() error {
		_, err := tbl.Get(ctx, []table.Key{item("s", 0).Key}, true)
		return err
	})
	call("Query", func() error {
		_, err := tbl.Query(ctx, table.Query{Partition: "p", Limit: 1})
		return err
	})
	call("PutItem", func() error {
		return errors.Join(tbl.Write(ctx, []table.Op{table.Put(item("s", 1), table.Absent())}, nil)...)
	})
	call("DeleteItem", func() error {
		return errors.Join(tbl.Write(ctx, []table.Op{table.Delete(item("t", 0).Key, table.Condition{})}, nil)...)
	})
	call("TransactWriteItems", func() error {
		return tbl.Transact(ctx, []table.Op{table.Put(item("u", 1), table.Absent())}, nil)
	})
	all.Wait()
	return errs
}

func TestCancellingEndsACallUnderWay(t *testing.T) {
	t.Parallel()
	tbl, n, _ := faulty(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	n.fault = func(ctx context.Context, _ string, _ int, _ func() (*http.Response, error)) (*http.Response, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, err := range everyCall(ctx, tbl) {
		if !errors.Is(err, context.Canceled) || errors.Is(err, table.ErrUnavailable) {
			t.Errorf("%s: %v, want the error of the context alone", name, err)
		}
	}
}

func TestGuardIsCheckedWhenItsEndIsNear(t *testing.T) {
	t.Parallel()
	tbl, n, direct := faulty(t)
	for _, c := range []struct {
		valid        time.Duration
		transactions int
	}{
		{time.Minute, 0}, {4 * time.Second, 1}, {-time.Minute, 1},
	} {
		guard := lock(t, direct, c.valid)
		before := n.count("TransactWriteItems")
		ops := []table.Op{table.Put(item("a", 1), table.Condition{}), table.Put(item("b", 1), table.Condition{})}
		if err := errors.Join(tbl.Write(t.Context(), ops, guard)...); err != nil {
			t.Fatal(err)
		}
		if got := n.count("TransactWriteItems") - before; got != c.transactions {
			t.Errorf("with a lock that is ours for %v: %d transactions, want %d", c.valid, got, c.transactions)
		}
	}
}

func TestUncheckedWritesEndLongBeforeTheirGuard(t *testing.T) {
	t.Parallel()
	tbl, n, direct := faulty(t)
	guard := lock(t, direct, 6500*time.Millisecond)
	n.fault = func(_ context.Context, operation string, nth int, send func() (*http.Response, error)) (*http.Response, error) {
		if operation != "PutItem" {
			return send()
		}
		// The first is carried out and the other is not; both hang.
		var answer *http.Response
		var err error
		if nth == 1 {
			answer, err = send()
			if err != nil {
				return nil, err
			}
			answer.Body.Close()
		}
		time.Sleep(1600 * time.Millisecond)
		return nil, errBroken
	}
	ops := []table.Op{table.Put(item("a", 1), table.Absent()), table.Put(item("b", 1), table.Absent())}
	start := time.Now()
	if err := errors.Join(tbl.Write(t.Context(), ops, guard)...); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < time.Second || took > 4*time.Second {
		t.Errorf("the writes took %v", took)
	}
	if n.count("PutItem") != 2 || n.count("TransactWriteItems") == 0 {
		t.Errorf("%d unchecked requests and %d transactions", n.count("PutItem"), n.count("TransactWriteItems"))
	}
	for _, op := range ops {
		if got := version(t, direct, op.Item.Key); got != 1 {
			t.Errorf("%s has version %d", op.Item.Sort, got)
		}
	}
}
