package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tenure/core/table"
)

// Write implements table.Table: one batch of the engine and one sync, however
// many operations.
func (t *Table) Write(ctx context.Context, ops []table.Op, guard *table.Guard) []error {
	if len(ops) == 0 {
		return nil
	}
	errs := make([]error, len(ops))
	p, err := plan(ops, guard)
	if err == nil {
		for i := range ops {
			errs[i] = checkOp(&ops[i])
		}
		err = t.transform(ctx, func(s *stage) error {
			if err := s.checkGuard(p); err != nil {
				return err
			}
			for _, i := range p.order {
				if errs[i] == nil {
					errs[i] = s.perform(&ops[i], p.keys[i])
				}
			}
			return nil
		})
	}
	failed := false
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
		failed = failed || errs[i] != nil
	}
	if failed {
		return errs
	}
	return nil
}

// Transact implements table.Table.
func (t *Table) Transact(ctx context.Context, ops []table.Op, guard *table.Guard) error {
	n := len(ops)
	if guard != nil {
		n++
	}
	if n == 0 {
		return nil
	}
	if n > table.MaxTransactOps {
		return fmt.Errorf("%w: %d operations in one transaction, more than %d", table.ErrInvalid, n, table.MaxTransactOps)
	}
	p, err := plan(ops, guard)
	if err != nil {
		return err
	}
	total := 0
	for i := range ops {
		if err := checkOp(&ops[i]); err != nil {
			return err
		}
		total += itemBytes(&ops[i].Item)
	}
	if total > table.MaxTransactBytes {
		return fmt.Errorf("%w: %d bytes in one transaction, more than %d", table.ErrInvalid, total, table.MaxTransactBytes)
	}
	return t.transform(ctx, func(s *stage) error {
		if err := s.checkGuard(p); err != nil {
			return err
		}
		for _, i := range p.order {
			if err := s.perform(&ops[i], p.keys[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxRetainedBatchBytes is the size up to which the memory of a batch is kept
// for the next: enough for a thousand items of the usual size.
const maxRetainedBatchBytes = 4 << 20

// writePlan is what can be worked out about a call's operations without the
// right to write.
type writePlan struct {
	// keys are the engine keys of the operations.
	keys [][]byte
	// order names the operations in the order of their keys.
	order []int
	// guard is nil if there is none; guardKey is the engine key of its lock.
	guard    *table.Guard
	guardKey []byte
}

// plan encodes the keys, and refuses operations that have a key in common: with
// each other, or with the guard, whose check is an operation too.
func plan(ops []table.Op, guard *table.Guard) (*writePlan, error) {
	p := &writePlan{guard: guard}
	p.keys, p.order = encodeKeys(len(ops), func(i int) *table.Key { return &ops[i].Item.Key })
	for n := 1; n < len(p.order); n++ {
		if bytes.Equal(p.keys[p.order[n-1]], p.keys[p.order[n]]) {
			return nil, fmt.Errorf("%w: two operations of one call have the same key", table.ErrInvalid)
		}
	}
	if guard == nil {
		return p, nil
	}
	if err := checkKey(guard.Key); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	p.guardKey = appendBaseKey(nil, guard.Key)
	for _, key := range p.keys {
		if bytes.Equal(key, p.guardKey) {
			return nil, fmt.Errorf("%w: an operation writes the lock that guards it", table.ErrInvalid)
		}
	}
	return p, nil
}

// transform lets fill stage what is to be written, as the only writer, and
// returns when that is durable. An error of fill drops what was staged.
func (t *Table) transform(ctx context.Context, fill func(*stage) error) error {
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()

	// Batches are reused: large ones, too, or each would be allocated anew, in
	// steps, and cleared.
	batch := t.db.NewBatch(pebble.WithMaxRetainedSizeBytes(maxRetainedBatchBytes))
	newest, err := t.applyFilled(ctx, batch, fill)
	if err != nil {
		return errors.Join(err, batch.Close())
	}
	if newest == nil { // batch.Empty is also true of one that the engine has taken over
		// What was found, and made it unnecessary to write, must last as well.
		// It need not be newer than the newest commit.
		return errors.Join(t.awaitDurable(ctx), batch.Close())
	}
	// The batch is in the log and cannot be called back: whatever happens to
	// ctx, the answer is that it was written.
	if err := batch.SyncWait(); err != nil {
		// It is visible and perhaps not durable, and a failed sync cannot be
		// repeated: the kernel may have dropped the pages.
		t.log.Fatalf("sync of the write-ahead log failed: %v", err)
	}
	close(newest.durable)
	return batch.Close()
}

// applyFilled is the part of transform for which the right to write is needed.
// It returns the commit if there was anything to apply.
func (t *Table) applyFilled(ctx context.Context, batch *pebble.Batch, fill func(*stage) error) (*commit, error) {
	if err := t.lockWriter(ctx); err != nil {
		return nil, err
	}
	defer t.unlockWriter()

	stored, err := t.newLookup(ctx)
	if err != nil {
		return nil, err
	}
	s := &stage{batch: batch, stored: stored, now: t.nowMillis(), feed: t.feed, sequence: t.sequence}
	err = fill(s)
	if cerr := stored.Close(); err == nil && cerr != nil {
		err = engineError(cerr)
	}
	if err != nil || batch.Empty() {
		return nil, err
	}
	c := &commit{durable: make(chan struct{})}
	previous := t.last.Load()
	// Who sees the batch must find its commit, so the commit comes first.
	t.last.Store(c)
	if err := t.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		// Nothing was written: a log that cannot be written ends the process.
		t.last.Store(previous)
		close(c.durable)
		return nil, engineError(err)
	}
	t.sequence = s.sequence
	return c, nil
}

// stage gathers one batch. It exists under the right to write only, so that
// what it finds stored stays true until the batch is applied.
type stage struct {
	batch    *pebble.Batch
	stored   lookup
	now      int64
	feed     func(table.Key) bool
	sequence uint64
	// Rows are encoded here before they are copied into the batch.
	key, value, changed []byte
}

// checkGuard checks the guard if the plan has one. It costs a lookup, so
// Guard.Until, which would save it, is of no interest.
func (s *stage) checkGuard(p *writePlan) error {
	if p.guard == nil {
		return nil
	}
	lock, found, err := s.stored.find(p.guardKey)
	if err != nil {
		return err
	}
	if !found || expired(lock.expires, s.now) || lock.version != p.guard.Version {
		return table.ErrFenced
	}
	return nil
}

// perform stages one operation, or returns table.ErrConflict.
func (s *stage) perform(op *table.Op, key []byte) error {
	old, found, err := s.stored.find(key)
	if err != nil {
		return err
	}
	exists := found && !expired(old.expires, s.now)
	if want, ok := op.If.Version(); ok && (!exists || old.version != want) {
		return table.ErrConflict
	}
	if op.If.IsAbsent() && exists {
		return table.ErrConflict
	}
	switch {
	case !op.Delete:
		return s.put(key, &op.Item, &old, found)
	case found:
		return s.remove(key, &old)
	}
	return nil
}

// put stages item over old, which is zero if nothing was found.
func (s *stage) put(key []byte, item *table.Item, old *record, found bool) error {
	s.value = appendRecord(s.value[:0], item)
	if s.feed != nil {
		if err := s.change(key, old, found, s.value); err != nil {
			return err
		}
	}
	if err := s.batch.Set(key, s.value, nil); err != nil {
		return engineError(err)
	}
	sameRow := old.hiddenFrom == item.HiddenFrom && old.expires == item.Expires
	err := s.index(spaceFirst, key, old.index1, item.Index1, item, sameRow)
	if err == nil {
		err = s.index(spaceSecond, key, old.index2, item.Index2, item, sameRow)
	}
	if err == nil {
		err = s.expiry(key, old.expires, item.Expires)
	}
	return err
}

// remove stages the removal of old.
func (s *stage) remove(key []byte, old *record) error {
	if s.feed != nil {
		if err := s.change(key, old, true, nil); err != nil {
			return err
		}
	}
	if err := s.batch.Delete(key, nil); err != nil {
		return engineError(err)
	}
	var none table.Item
	err := s.index(spaceFirst, key, old.index1, none.Index1, &none, false)
	if err == nil {
		err = s.index(spaceSecond, key, old.index2, none.Index2, &none, false)
	}
	if err == nil {
		err = s.expiry(key, old.expires, 0)
	}
	return err
}

// index stages what becomes of an item's row in one index: from and to are its
// keys there before and after. A row with the same key and content stays as it
// is, since rewriting it would cost as much as a new one.
func (s *stage) index(space byte, key []byte, from indexKey, to table.Key, item *table.Item, sameRow bool) error {
	sameKey := string(from.partition) == to.Partition && string(from.sort) == to.Sort
	if !from.isZero() && !sameKey {
		s.key = appendIndexKey(s.key[:0], space, from.partition, from.sort, key)
		if err := s.batch.Delete(s.key, nil); err != nil {
			return engineError(err)
		}
	}
	if !to.IsZero() && !(sameKey && sameRow) {
		s.key = appendIndexKey(s.key[:0], space, to.Partition, to.Sort, key)
		s.value = appendIndexRow(s.value[:0], item.HiddenFrom, item.Expires)
		if err := s.batch.Set(s.key, s.value, nil); err != nil {
			return engineError(err)
		}
	}
	return nil
}

// expiry stages what becomes of an item's row in the expiry queue.
func (s *stage) expiry(key []byte, from, to int64) error {
	if from == to {
		return nil
	}
	if from != 0 {
		s.key = appendExpiryKey(s.key[:0], from, key)
		if err := s.batch.Delete(s.key, nil); err != nil {
			return engineError(err)
		}
	}
	if to != 0 {
		s.key = appendExpiryKey(s.key[:0], to, key)
		if err := s.batch.Set(s.key, nil, nil); err != nil {
			return engineError(err)
		}
	}
	return nil
}
