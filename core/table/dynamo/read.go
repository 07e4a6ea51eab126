package dynamo

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"tenure/core/table"
)

// maxBatchGetKeys is how many keys one BatchGetItem takes.
const maxBatchGetKeys = 100

// Get implements table.Table with BatchGetItem.
func (t *Table) Get(ctx context.Context, keys []table.Key, consistent bool) ([]table.Item, error) {
	// BatchGetItem refuses a key that occurs twice.
	places := make(map[table.Key][]int, len(keys))
	var distinct []table.Key
	for i, key := range keys {
		if err := checkKey(key); err != nil {
			return nil, err
		}
		if places[key] == nil {
			distinct = append(distinct, key)
		}
		places[key] = append(places[key], i)
	}
	items := make([]table.Item, len(keys))
	for i, key := range keys {
		items[i].Key = key
	}
	now := t.now().UnixMilli()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(t.concurrency)
	for batch := range slices.Chunk(distinct, maxBatchGetKeys) {
		group.Go(func() error {
			return t.getBatch(ctx, batch, consistent, func(it table.Item) {
				if it.Expires == 0 || it.Expires > now {
					for _, i := range places[it.Key] {
						items[i] = it
					}
				}
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return items, nil
}

func (t *Table) getBatch(ctx context.Context, keys []table.Key, consistent bool, found func(table.Item)) error {
	pending := types.KeysAndAttributes{ConsistentRead: aws.Bool(consistent)}
	for _, key := range keys {
		pending.Keys = append(pending.Keys, keyAttributes(key))
	}
	for len(pending.Keys) > 0 {
		var out *dynamodb.BatchGetItemOutput
		err := t.retry(ctx, nil, func(ctx context.Context) (err error) {
			out, err = t.ask.get(ctx, &dynamodb.BatchGetItemInput{
				RequestItems:           map[string]types.KeysAndAttributes{t.name: pending},
				ReturnConsumedCapacity: t.capacity,
			}, once)
			if err == nil && len(out.UnprocessedKeys[t.name].Keys) == len(pending.Keys) {
				return errBusy
			}
			return err
		})
		if err != nil {
			return err
		}
		t.consumedRead(out.ConsumedCapacity...)
		for _, attributes := range out.Responses[t.name] {
			it, err := decode(attributes)
			if err != nil {
				return err
			}
			found(it)
		}
		// An answer ends at 16 MB; what is left is not a sign of being busy.
		pending.Keys = out.UnprocessedKeys[t.name].Keys
	}
	return nil
}

// Query implements table.Table. It reads pages until it has as many items as
// the query asks for: DynamoDB filters after it has cut the page.
func (t *Table) Query(ctx context.Context, q table.Query) ([]table.Item, error) {
	if err := checkQuery(q); err != nil {
		return nil, err
	}
	partition, sort, index := "pk", "sk", (*string)(nil)
	switch q.Index {
	case table.First:
		partition, sort, index = "pk1", "sk1", aws.String(index1)
	case table.Second:
		partition, sort, index = "pk2", "sk2", aws.String(index2)
	}
	condition := expression.Key(partition).Equal(expression.Value(q.Partition))
	within, some := sortRange(expression.Key(sort), q)
	if !some {
		return nil, ctx.Err()
	}
	if within.IsSet() {
		condition = condition.And(within)
	}
	builder := expression.NewBuilder().WithKeyCondition(condition).WithFilter(t.filter(q.VisibleAt))
	if q.KeysOnly && q.Index == table.Base {
		builder = builder.WithProjection(withoutBody)
	}
	expr, err := builder.Build()
	if err != nil {
		return nil, fmt.Errorf("dynamo: query: %w", err)
	}
	in := &dynamodb.QueryInput{
		TableName:                 aws.String(t.name),
		IndexName:                 index,
		KeyConditionExpression:    expr.KeyCondition(),
		FilterExpression:          expr.Filter(),
		ProjectionExpression:      expr.Projection(),
		ExpressionAttributeNames:  expr.Names(),
		ExpressionAttributeValues: expr.Values(),
		ScanIndexForward:          aws.Bool(!q.Descending),
		ConsistentRead:            aws.Bool(q.Consistent && q.Index == table.Base),
		ReturnConsumedCapacity:    t.capacity,
	}
	page := q.Limit
	if q.After != "" {
		page = min(page, math.MaxInt32-1) + 1 // BETWEEN reads the item at After, if there is one
	}
	var items []table.Item
	for {
		in.Limit = aws.Int32(int32(min(page, math.MaxInt32)))
		var out *dynamodb.QueryOutput
		err := t.retry(ctx, nil, func(ctx context.Context) (err error) {
			out, err = t.ask.query(ctx, in, once)
			return err
		})
		if err != nil {
			return nil, err
		}
		if out.ConsumedCapacity != nil {
			t.consumedRead(*out.ConsumedCapacity)
		}
		leftOut := int(out.ScannedCount) - len(out.Items)
		for _, attributes := range out.Items {
			it, err := decode(attributes)
			if err != nil {
				return nil, err
			}
			if !inRange(indexSort(&it, q.Index), q) {
				continue
			}
			if q.Keep != nil && !q.Keep(it.Body) {
				leftOut++
				continue
			}
			if q.Index != table.Base {
				it.Expires = 0 // in the index for the filter alone
			}
			if items = append(items, it); len(items) == q.Limit {
				return items, nil
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return items, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
		// A page cut short by its size is followed by one for the rest. Where
		// the filter left items out, growing pages keep the number of requests
		// small and read at most twice what is needed.
		rest := q.Limit - len(items)
		if leftOut > 0 {
			page = max(rest, min(2*page, math.MaxInt32))
		} else {
			page = rest
		}
	}
}

// withoutBody names all attributes but those only Get and full queries need.
var withoutBody = expression.NamesList(expression.Name("pk"), expression.Name("sk"), expression.Name("v"),
	expression.Name("exp"), expression.Name("hf"),
	expression.Name("pk1"), expression.Name("sk1"), expression.Name("pk2"), expression.Name("sk2"))

// filter leaves out what has expired, and what is hidden at visibleAt if that is not 0.
func (t *Table) filter(visibleAt int64) expression.ConditionBuilder {
	after := func(name string, instant int64) expression.ConditionBuilder {
		return expression.Or(
			expression.AttributeNotExists(expression.Name(name)),
			expression.GreaterThan(expression.Name(name), expression.Value(instant)))
	}
	unexpired := after("exp", t.now().UnixMilli())
	if visibleAt == 0 {
		return unexpired
	}
	return unexpired.And(after("hf", visibleAt))
}

func checkQuery(q table.Query) error {
	switch {
	case q.Index < table.Base || q.Index > table.Second:
		return fmt.Errorf("%w: there is no index %d to query", table.ErrInvalid, q.Index)
	case q.Partition == "" || len(q.Partition) > table.MaxPartitionBytes:
		return fmt.Errorf("%w: the partition %.100q of a query has %d bytes, 1 to %d are allowed",
			table.ErrInvalid, q.Partition, len(q.Partition), table.MaxPartitionBytes)
	case !utf8.ValidString(q.Partition) || !utf8.ValidString(q.Prefix) || !utf8.ValidString(q.After):
		return fmt.Errorf("%w: the range of a query in partition %.100q is not UTF-8", table.ErrInvalid, q.Partition)
	case q.Limit < 1:
		return fmt.Errorf("%w: the limit of a query is %d", table.ErrInvalid, q.Limit)
	case q.Keep != nil && (q.KeysOnly || q.Index != table.Base):
		return fmt.Errorf("%w: a query without bodies cannot keep items by them", table.ErrInvalid)
	}
	return nil
}

func indexSort(it *table.Item, index table.Index) string {
	switch index {
	case table.First:
		return it.Index1.Sort
	case table.Second:
		return it.Index2.Sort
	}
	return it.Sort
}

// inRange reports whether q's Prefix and After let sort pass.
func inRange(sort string, q table.Query) bool {
	if !strings.HasPrefix(sort, q.Prefix) {
		return false
	}
	if q.After == "" {
		return true
	}
	if q.Descending {
		return sort < q.After
	}
	return sort > q.After
}

// sortRange returns the condition on the sort key that lets everything pass
// that inRange does, and as little else as DynamoDB can express: it takes only
// one condition, and no value longer than a sort key. The condition is unset
// if there is nothing to ask; some is false if nothing can be in the range.
func sortRange(sort expression.KeyBuilder, q table.Query) (within expression.KeyConditionBuilder, some bool) {
	if len(q.Prefix) > table.MaxSortBytes {
		return within, false
	}
	beyond := q.After > q.Prefix // After comes later than the first key with the prefix
	inside := strings.HasPrefix(q.After, q.Prefix)
	switch {
	case q.After == "" && q.Prefix == "":
		return within, true
	case q.After == "", !inside && beyond == q.Descending:
		// The whole of the prefix lies on the far side of After.
		return sort.BeginsWith(q.Prefix), true
	case !inside, q.Descending && !beyond:
		return within, false
	}
	from := clip(q.After)
	switch {
	case q.Prefix != "" && q.Descending:
		return sort.Between(expression.Value(q.Prefix), expression.Value(upTo(q.After))), true
	case q.Prefix != "":
		return sort.Between(expression.Value(from), expression.Value(last(q.Prefix))), true
	case !q.Descending:
		return sort.GreaterThan(expression.Value(from)), true
	case from == q.After:
		return sort.LessThan(expression.Value(from)), true
	}
	return sort.LessThanEqual(expression.Value(upTo(q.After))), true
}

// clip returns the longest beginning of s that can be a sort key. Sort keys
// between the two exist only where the clip fell inside a character; inRange
// sees to them.
func clip(s string) string {
	if len(s) <= table.MaxSortBytes {
		return s
	}
	n := table.MaxSortBytes
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// upTo returns a sort key that no key up to s is greater than.
func upTo(s string) string {
	if c := clip(s); c != s {
		return last(c)
	}
	return s
}

// last returns the greatest sort key that begins with prefix.
func last(prefix string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for _, greatest := range []string{"\U0010FFFF", "\uFFFF", "\u07FF", "\x7F"} {
		for b.Len()+len(greatest) <= table.MaxSortBytes {
			b.WriteString(greatest)
		}
	}
	return b.String()
}
