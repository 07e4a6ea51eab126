// Package table is the storage port: one table of items, shaped by what
// DynamoDB is good at and nothing more. The domain stores everything it keeps
// through it, and never learns which adapter stands behind.
//
// Two adapters exist: core/table/dynamo (DynamoDB) and core/table/embedded
// (one directory on one machine). Every promise made in this file is a case of
// the contract suite in core/table/tabletest, which both pass. The embedded
// adapter enforces DynamoDB's limits, so that what works on a laptop works on
// AWS.
package table

import (
	"context"
	"errors"
)

// Limits that every adapter enforces. They are DynamoDB's own.
const (
	// MaxPartitionBytes is the longest partition key, in bytes of UTF-8.
	MaxPartitionBytes = 2048
	// MaxSortBytes is the longest sort key, in bytes of UTF-8.
	MaxSortBytes = 1024
	// MaxItemBytes is the largest item: attribute names, keys and body together.
	MaxItemBytes = 400 * 1024
	// MaxTransactOps is the largest number of operations in one transaction,
	// the check of a Guard included.
	MaxTransactOps = 100
	// MaxTransactBytes is the largest sum of the items put by one transaction.
	MaxTransactBytes = 4 << 20
)

// Errors of the port. An adapter wraps them with the cause; callers compare
// with errors.Is. A deadline or a cancellation comes back as the context's own
// error.
var (
	// ErrConflict says that an operation's condition did not hold. Nothing of
	// that operation (or of its transaction) was written.
	ErrConflict = errors.New("the item was changed by another writer")
	// ErrFenced says that a Guard did not hold: the lock on whose strength the
	// caller writes now belongs to somebody else or to nobody.
	ErrFenced = errors.New("the lock that allowed this write was lost")
	// ErrInvalid says that an item or key breaks a limit of this package
	// (too large, empty key, too many operations). Trying again is useless.
	ErrInvalid = errors.New("the item cannot be stored")
	// ErrUnavailable says that the store refused or did not answer, after
	// retries with backoff: throttling, a lost connection, a conflict between
	// transactions that did not resolve. Trying again later may work.
	ErrUnavailable = errors.New("the store is unavailable")
)

// Key names one item. Both parts are non-empty UTF-8; items of one partition
// are ordered by the bytes of their sort keys.
type Key struct {
	Partition string
	Sort      string
}

// IsZero reports whether k names nothing.
func (k Key) IsZero() bool { return k == Key{} }

// Item is one stored item.
type Item struct {
	Key
	// Version is chosen by the writer, positive, and different at every write
	// of the key; conditions compare it. In the answer of Get, 0 means that no
	// such item exists.
	Version int64
	// Expires is the instant (epoch ms) from which the item counts as absent
	// in every respect: it is not returned, and Absent holds for it. The store
	// removes it some time later. 0: never.
	Expires int64
	// HiddenFrom is the instant (epoch ms) from which queries with a VisibleAt
	// skip the item. 0: never.
	HiddenFrom int64
	// Index1 and Index2 place the item in the two secondary indexes; the zero
	// Key leaves it out of that index.
	Index1, Index2 Key
	// Body is the content, opaque to the store. Adapters keep it as text and
	// so may require UTF-8.
	Body []byte
}

// Exists reports whether the item was found.
func (i *Item) Exists() bool { return i.Version != 0 }

// Condition is what must hold of the stored item, atomically with the write,
// for an operation to be carried out. The zero Condition always holds.
type Condition struct {
	kind    conditionKind
	version int64
}

type conditionKind uint8

const (
	always conditionKind = iota
	absent
	versionIs
)

// Absent holds when no item has the key, or one that has expired.
func Absent() Condition { return Condition{kind: absent} }

// VersionIs holds when an unexpired item has the key and that version.
func VersionIs(n int64) Condition { return Condition{kind: versionIs, version: n} }

// IsAlways reports whether c is the zero Condition.
func (c Condition) IsAlways() bool { return c.kind == always }

// IsAbsent reports whether c came from Absent.
func (c Condition) IsAbsent() bool { return c.kind == absent }

// Version returns the version c asks for, and whether c came from VersionIs.
func (c Condition) Version() (int64, bool) { return c.version, c.kind == versionIs }

// Op is one write: it puts Item, replacing whatever has its key, or, with
// Delete set, removes what has Item.Key (removing nothing is no error).
type Op struct {
	Item   Item
	Delete bool
	If     Condition
}

// Put returns the operation that stores item if the condition holds.
func Put(item Item, cond Condition) Op { return Op{Item: item, If: cond} }

// Delete returns the operation that removes key if the condition holds.
func Delete(key Key, cond Condition) Op {
	return Op{Item: Item{Key: key}, Delete: true, If: cond}
}

// Guard makes writes depend on a lock: they are carried out only if the item
// Key (the lock) exists, unexpired, with Version. Until is the instant
// (epoch ms) up to which nobody else can have taken the lock, so an adapter
// for which the check costs something may leave it out for writes that are
// certain to land, or to fail, well before Until; from then on it must check
// atomically with the write.
type Guard struct {
	Key     Key
	Version int64
	Until   int64
}

// Index names where a Query reads.
type Index int

// The table itself and its two secondary indexes.
const (
	Base   Index = 0
	First  Index = 1
	Second Index = 2
)

// Query reads items of one partition in the order of their sort keys.
type Query struct {
	// Index is where to read. Items of a secondary index come back with their
	// Key, their key in that index and HiddenFrom; without Version, Expires and Body.
	Index     Index
	Partition string
	// Prefix restricts the answer to sort keys that begin with it.
	Prefix string
	// After restricts the answer to sort keys that come later in the direction
	// of reading. No item needs to have that key.
	After      string
	Descending bool
	// Limit is the largest number of items in the answer, at least 1. Fewer
	// come back only when there are no more.
	Limit int
	// VisibleAt, if not 0, leaves out items whose HiddenFrom is set and not
	// later than it (epoch ms).
	VisibleAt int64
	// KeysOnly leaves Body out of the answer.
	KeysOnly bool
	// Keep, if set, leaves out items for whose body it returns false, while they
	// are read. It must not hold on to the body. Not with KeysOnly, nor in a
	// secondary index.
	Keep func(body []byte) bool
	// Consistent asks for a read that sees every write that was acknowledged
	// before it. Secondary indexes ignore it: they may lag.
	Consistent bool
}

// Change is one write as the change feed tells it. Changes of one item come in
// the order of its writes; a change may come more than once.
type Change struct {
	// Sequence identifies the change, and orders the changes of one item.
	Sequence string
	// Old and New are the item before and after. Old is nil when it was put
	// where there was none, New when it was removed.
	Old, New *Item
}

// Key returns the key of the item that changed.
func (c *Change) Key() Key {
	if c.New != nil {
		return c.New.Key
	}
	return c.Old.Key
}

// Table stores items. All methods are safe for concurrent use. Throttling,
// unprocessed items and conflicts between transactions are retried with
// backoff and jitter until ctx ends; only then do they surface.
type Table interface {
	// Get reads items by key. The answer has one item for each key, in the
	// order of the keys; Exists tells whether it was found. A key may occur
	// more than once. Consistent reads see every acknowledged write.
	Get(ctx context.Context, keys []Key, consistent bool) ([]Item, error)

	// Query reads one range of one partition.
	Query(ctx context.Context, q Query) ([]Item, error)

	// Write carries out independent operations, in no particular order; no two
	// may have the same key. The answer has one error for each operation, nil
	// where it was carried out and durable; it is nil altogether when all were.
	Write(ctx context.Context, ops []Op, guard *Guard) []error

	// Transact carries out all operations or none; no two may have the same
	// key. ErrConflict: the condition of at least one did not hold.
	Transact(ctx context.Context, ops []Op, guard *Guard) error
}
