package embedded

import (
	"fmt"
	"unicode/utf8"

	"tenure/core/table"
)

// checkKey checks the key of an item.
func checkKey(key table.Key) error {
	if err := checkKeyPart("partition key", key.Partition, table.MaxPartitionBytes); err != nil {
		return err
	}
	return checkKeyPart("sort key", key.Sort, table.MaxSortBytes)
}

func checkKeyPart(what, text string, limit int) error {
	if text == "" {
		return fmt.Errorf("%w: empty %s", table.ErrInvalid, what)
	}
	if len(text) > limit {
		return fmt.Errorf("%w: %s of %d bytes, more than %d", table.ErrInvalid, what, len(text), limit)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: %s is not UTF-8", table.ErrInvalid, what)
	}
	return nil
}

// checkOp checks one write, without regard to others.
func checkOp(op *table.Op) error {
	if err := checkKey(op.Item.Key); err != nil {
		return err
	}
	if op.Delete {
		return nil
	}
	if op.Item.Version <= 0 {
		return fmt.Errorf("%w: version %d is not positive", table.ErrInvalid, op.Item.Version)
	}
	for _, key := range [...]table.Key{op.Item.Index1, op.Item.Index2} {
		if key.IsZero() {
			continue
		}
		if err := checkKey(key); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	if n := itemBytes(&op.Item); n > table.MaxItemBytes {
		return fmt.Errorf("%w: item of %d bytes, more than %d", table.ErrInvalid, n, table.MaxItemBytes)
	}
	if !utf8.Valid(op.Item.Body) {
		return fmt.Errorf("%w: the body is not UTF-8", table.ErrInvalid)
	}
	return nil
}

// checkQuery checks what a query asks for.
func checkQuery(q *table.Query) error {
	if q.Index < table.Base || q.Index > table.Second {
		return fmt.Errorf("%w: no index %d", table.ErrInvalid, q.Index)
	}
	if q.Limit < 1 {
		return fmt.Errorf("%w: limit %d of a query", table.ErrInvalid, q.Limit)
	}
	if q.Keep != nil && (q.KeysOnly || q.Index != table.Base) {
		return fmt.Errorf("%w: a query without bodies cannot keep items by them", table.ErrInvalid)
	}
	if err := checkKeyPart("partition key", q.Partition, table.MaxPartitionBytes); err != nil {
		return err
	}
	// No sort key needs to be a prefix or a start key, so any length makes sense.
	if !utf8.ValidString(q.Prefix) || !utf8.ValidString(q.After) {
		return fmt.Errorf("%w: the prefix or the start key of a query is not UTF-8", table.ErrInvalid)
	}
	return nil
}

// itemBytes returns the size of an item as DynamoDB counts it: the names and
// values of the attributes it would have there.
func itemBytes(item *table.Item) int {
	n := len("pk") + len(item.Partition) + len("sk") + len(item.Sort)
	n += len("v") + numberBytes(item.Version)
	if item.Expires != 0 {
		n += len("exp") + numberBytes(item.Expires) + len("ttl") + numberBytes(item.Expires/1000)
	}
	if item.HiddenFrom != 0 {
		n += len("hf") + numberBytes(item.HiddenFrom)
	}
	for _, key := range [...]table.Key{item.Index1, item.Index2} {
		if !key.IsZero() {
			n += len("pk1") + len(key.Partition) + len("sk1") + len(key.Sort)
		}
	}
	return n + len("body") + len(item.Body)
}

// numberBytes returns the size of a number: a byte for every two digits, one
// more, and one for the sign of a negative number.
func numberBytes(n int64) int {
	size := 1
	if n < 0 {
		size++
	}
	for ; n != 0; n /= 100 {
		size++
	}
	return size
}
