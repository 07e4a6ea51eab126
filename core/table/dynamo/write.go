package dynamo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"tenure/core/table"
)

const (
	// guardMargin is how long before Guard.Until the last unchecked request
	// has been answered or given up. It covers a request that DynamoDB carries
	// out after we stopped waiting, and clocks that differ.
	guardMargin = 5 * time.Second
	// guardUse is the least time for unchecked requests that is worth having.
	guardUse = time.Second
)

// write is one operation on its way.
type write struct {
	op   *table.Op
	size int // bytes of the item; 0 for a delete
	item map[string]types.AttributeValue
	// unclear says that a request may have been carried out although it
	// failed. If the condition then does not hold, our own write may be why:
	// the stored attempt tells. The version would not: writers that race from
	// version 1 all write version 2.
	unclear bool
	attempt []byte
	err     error
}

// prepare checks ops and encodes them. What breaks a limit has its err set.
// The error of the answer concerns the whole call.
func prepare(ops []table.Op, guard *table.Guard) ([]*write, error) {
	seen := make(map[table.Key]bool, len(ops)+1)
	if guard != nil {
		if err := checkKey(guard.Key); err != nil {
			return nil, fmt.Errorf("guard: %w", err)
		}
		seen[guard.Key] = true // a transaction has one operation for each item
	}
	writes := make([]*write, len(ops))
	for i := range ops {
		op := &ops[i]
		if seen[op.Item.Key] {
			return nil, fmt.Errorf("%w: two operations on key %.100q", table.ErrInvalid, op.Item.Key)
		}
		seen[op.Item.Key] = true
		w := &write{op: op}
		writes[i] = w
		if op.Delete {
			w.err = checkKey(op.Item.Key)
			continue
		}
		r := recordOf(&op.Item)
		w.size = r.size()
		if w.err = checkItem(&op.Item, w.size); w.err != nil {
			continue
		}
		if !op.If.IsAlways() {
			w.attempt = make([]byte, attemptBytes)
			rand.Read(w.attempt)
			r.Attempt = w.attempt
		}
		var err error
		if w.item, err = attributevalue.MarshalMap(r); err != nil {
			return nil, fmt.Errorf("dynamo: encode item %.100q: %w", op.Item.Key, err)
		}
	}
	return writes, nil
}

// condition returns c as DynamoDB evaluates it, nil if it always holds.
func (t *Table) condition(c table.Condition) (expression.Expression, error) {
	var condition expression.ConditionBuilder
	version, isVersion := c.Version()
	now := expression.Value(t.now().UnixMilli())
	expires := expression.Name("exp")
	switch {
	case isVersion:
		condition = expression.Name("v").Equal(expression.Value(version)).
			And(expires.AttributeNotExists().Or(expires.GreaterThan(now)))
	case c.IsAbsent():
		condition = expression.Name("pk").AttributeNotExists().Or(expires.LessThanEqual(now))
	default:
		return expression.Expression{}, nil
	}
	expr, err := expression.NewBuilder().WithCondition(condition).Build()
	if err != nil {
		return expr, fmt.Errorf("dynamo: condition: %w", err)
	}
	return expr, nil
}

// conditionFailed returns the error of w, whose condition did not hold for the
// stored item: nil if that is so because w itself was carried out before.
func (w *write) conditionFailed(stored map[string]types.AttributeValue) error {
	if w.unclear {
		if w.op.Delete && len(stored) == 0 {
			return nil
		}
		attempt, _ := stored["w"].(*types.AttributeValueMemberB)
		if !w.op.Delete && attempt != nil && bytes.Equal(attempt.Value, w.attempt) {
			return nil
		}
	}
	return fmt.Errorf("%w: key %.100q", table.ErrConflict, w.op.Item.Key)
}

// onConditionFailed asks for the stored item where conditionFailed needs it.
func (w *write) onConditionFailed() types.ReturnValuesOnConditionCheckFailure {
	if w.unclear {
		return types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return types.ReturnValuesOnConditionCheckFailureNone
}

// Write implements table.Table: with one request for each operation, many at
// the same time, where no guard has to be checked, else with transactions.
func (t *Table) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	writes, err := prepare(ops, guard)
	errs := make([]error, len(ops))
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	var pending []*write
	for _, w := range writes {
		if w.err == nil {
			pending = append(pending, w)
		}
	}
	if guard == nil {
		t.writeEach(ctx, pending)
	} else {
		t.writeGuarded(ctx, pending, guard)
	}
	failed := false
	for i, w := range writes {
		errs[i] = w.err
		failed = failed || w.err != nil
	}
	if !failed {
		return nil
	}
	return errs
}

// writeEach carries out writes by themselves.
func (t *Table) writeEach(ctx context.Context, writes []*write) {
	var group errgroup.Group
	group.SetLimit(t.concurrency)
	for _, w := range writes {
		group.Go(func() error {
			w.err = t.writeOne(ctx, w)
			return nil
		})
	}
	group.Wait()
}

func (t *Table) writeOne(ctx context.Context, w *write) error {
	expr, err := t.condition(w.op.If)
	if err != nil {
		return err
	}
	return t.retry(ctx, &w.unclear, func(ctx context.Context) error {
		var consumed *types.ConsumedCapacity
		var err error
		if w.op.Delete {
			var out *dynamodb.DeleteItemOutput
			out, err = t.ask.remove(ctx, &dynamodb.DeleteItemInput{
				TableName:                           aws.String(t.name),
				Key:                                 keyAttributes(w.op.Item.Key),
				ConditionExpression:                 expr.Condition(),
				ExpressionAttributeNames:            expr.Names(),
				ExpressionAttributeValues:           expr.Values(),
				ReturnValuesOnConditionCheckFailure: w.onConditionFailed(),
				ReturnConsumedCapacity:              t.capacity,
			}, once)
			if out != nil {
				consumed = out.ConsumedCapacity
			}
		} else {
			var out *dynamodb.PutItemOutput
			out, err = t.ask.put(ctx, &dynamodb.PutItemInput{
				TableName:                           aws.String(t.name),
				Item:                                w.item,
				ConditionExpression:                 expr.Condition(),
				ExpressionAttributeNames:            expr.Names(),
				ExpressionAttributeValues:           expr.Values(),
				ReturnValuesOnConditionCheckFailure: w.onConditionFailed(),
				ReturnConsumedCapacity:              t.capacity,
			}, once)
			if out != nil {
				consumed = out.ConsumedCapacity
			}
		}
		if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
			return w.conditionFailed(failed.Item)
		}
		if consumed != nil {
			t.consumedWrite(*consumed)
		}
		return err
	})
}

// writeGuarded carries out writes under guard. As long as nobody else can have
// taken the lock they go out by themselves; what is not done by then goes
// through transactions that check the lock.
func (t *Table) writeGuarded(ctx context.Context, writes []*write, guard *table.Guard) {
	unchecked := time.Duration(guard.Until-t.now().UnixMilli())*time.Millisecond - guardMargin
	if unchecked >= guardUse {
		inTime, cancel := context.WithTimeout(ctx, unchecked)
		t.writeEach(inTime, writes)
		late := inTime.Err() != nil && ctx.Err() == nil
		cancel()
		var rest []*write
		for _, w := range writes {
			if late && errors.Is(w.err, context.DeadlineExceeded) {
				rest = append(rest, w)
			}
		}
		writes = rest
	}
	for len(writes) > 0 {
		n, size := 0, 0
		for n < len(writes) && n < table.MaxTransactOps-1 && size+writes[n].size <= table.MaxTransactBytes {
			size += writes[n].size
			n++
		}
		batch, rest := writes[:n], writes[n:]
		err := t.transact(ctx, batch, guard)
		if errors.Is(err, errAtFault) {
			// The others were not carried out because of some: once more without those.
			var again []*write
			for _, w := range batch {
				if w.err == errBlameless {
					again = append(again, w)
				}
			}
			writes = append(again, rest...)
			continue
		}
		for _, w := range batch {
			w.err = err
		}
		if err != nil {
			for _, w := range rest {
				w.err = err
			}
			return
		}
		writes = rest
	}
}

// Transact implements table.Table with TransactWriteItems.
func (t *Table) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	writes, err := prepare(ops, guard)
	if err != nil || len(ops) == 0 {
		return err
	}
	n, size := len(writes), 0
	if guard != nil {
		n++
	}
	if n > table.MaxTransactOps {
		return fmt.Errorf("%w: a transaction of %d operations, at most %d are allowed", table.ErrInvalid, n, table.MaxTransactOps)
	}
	for _, w := range writes {
		if w.err != nil {
			return w.err
		}
		size += w.size
	}
	if size > table.MaxTransactBytes {
		return fmt.Errorf("%w: a transaction of %d bytes, at most %d are allowed", table.ErrInvalid, size, table.MaxTransactBytes)
	}
	if err := t.transact(ctx, writes, guard); !errors.Is(err, errAtFault) {
		return err
	}
	for _, w := range writes {
		if w.err != errBlameless {
			return w.err
		}
	}
	return errAtFault
}

var (
	// errAtFault says that a transaction was cancelled because of some of its
	// writes. Those have their own error, the others errBlameless.
	errAtFault   = errors.New("the transaction was cancelled")
	errBlameless = errors.New("another operation cancelled the transaction")
)

// transact carries out writes in one transaction, together with guard unless
// that is nil.
func (t *Table) transact(ctx context.Context, writes []*write, guard *table.Guard) error {
	in := &dynamodb.TransactWriteItemsInput{
		// The same token makes DynamoDB carry out a transaction once, however
		// often it is sent because no answer arrived.
		ClientRequestToken:     aws.String(rand.Text()),
		ReturnConsumedCapacity: t.capacity,
	}
	for _, w := range writes {
		expr, err := t.condition(w.op.If)
		if err != nil {
			return err
		}
		var item types.TransactWriteItem
		if w.op.Delete {
			item.Delete = &types.Delete{
				TableName:                           aws.String(t.name),
				Key:                                 keyAttributes(w.op.Item.Key),
				ConditionExpression:                 expr.Condition(),
				ExpressionAttributeNames:            expr.Names(),
				ExpressionAttributeValues:           expr.Values(),
				ReturnValuesOnConditionCheckFailure: w.onConditionFailed(),
			}
		} else {
			item.Put = &types.Put{
				TableName:                           aws.String(t.name),
				Item:                                w.item,
				ConditionExpression:                 expr.Condition(),
				ExpressionAttributeNames:            expr.Names(),
				ExpressionAttributeValues:           expr.Values(),
				ReturnValuesOnConditionCheckFailure: w.onConditionFailed(),
			}
		}
		in.TransactItems = append(in.TransactItems, item)
	}
	if guard != nil {
		expr, err := t.condition(table.VersionIs(guard.Version))
		if err != nil {
			return err
		}
		in.TransactItems = append(in.TransactItems, types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName:                 aws.String(t.name),
			Key:                       keyAttributes(guard.Key),
			ConditionExpression:       expr.Condition(),
			ExpressionAttributeNames:  expr.Names(),
			ExpressionAttributeValues: expr.Values(),
		}})
	}
	return t.retry(ctx, nil, func(ctx context.Context) error {
		out, err := t.ask.transact(ctx, in, once)
		if cancelled, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
			return blame(writes, cancelled)
		}
		if err == nil {
			t.consumedWrite(out.ConsumedCapacity...)
		}
		return err
	})
}

// blame tells from the reasons of a cancelled transaction what to do: ErrFenced
// if the guard did not hold, errAtFault if some of the writes are the cause,
// and otherwise the exception itself, as the transaction only met another one
// or too much load.
func blame(writes []*write, cancelled *types.TransactionCanceledException) error {
	atFault := false
	for i, reason := range cancelled.CancellationReasons {
		if i == len(writes) {
			if aws.ToString(reason.Code) == "ConditionalCheckFailed" {
				return table.ErrFenced
			}
			continue
		}
		w := writes[i]
		switch aws.ToString(reason.Code) {
		case "ConditionalCheckFailed":
			w.err, atFault = w.conditionFailed(reason.Item), true
		case "ValidationError", "ItemCollectionSizeLimitExceeded":
			w.err, atFault = fmt.Errorf("%w: key %.100q: %s", table.ErrInvalid, w.op.Item.Key, aws.ToString(reason.Message)), true
		default:
			w.err = errBlameless
		}
	}
	if atFault {
		return errAtFault
	}
	return cancelled
}
