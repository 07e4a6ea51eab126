package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// sweepBatch is how many items Sweep removes at a time; other writers get their
// turn in between.
const sweepBatch = 500

// Sweep removes the items that have expired, and returns how many those were.
// It does for the disk and for the change feed, where the removals are told;
// for everybody else an expired item is absent from the instant it expires.
// Meant to be called regularly; an error leaves the rest to the next call.
func (t *Table) Sweep(ctx context.Context) (int, error) {
	total := 0
	for {
		due, removed := 0, 0
		err := t.transform(ctx, func(s *stage) error {
			keys, err := t.dueKeys(s.now)
			if err != nil {
				return engineError(err)
			}
			due = len(keys)
			for _, key := range keys {
				old, found, err := s.stored.find(key)
				if err != nil {
					return err
				}
				if !found || !expired(old.expires, s.now) {
					return engineError(fmt.Errorf("%w: the expiry queue names an item that has not expired", errCorruptRecord))
				}
				if err := s.remove(key, &old); err != nil {
					return err
				}
				removed++
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		if total += removed; due < sweepBatch {
			return total, nil
		}
	}
}

// dueKeys returns the engine keys of items that have expired at the instant
// now, those that did so first, sweepBatch at most.
func (t *Table) dueKeys(now int64) (keys [][]byte, err error) {
	const instant = 1 + 8 // space and expiry, before the item's key
	it, err := t.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{spaceExpiry},
		UpperBound: appendExpiryKey(nil, now+1, []byte{spaceBase}),
	})
	if err != nil {
		return nil, err
	}
	for valid := it.First(); valid && len(keys) < sweepBatch; valid = it.Next() {
		keys = append(keys, append([]byte{spaceBase}, it.Key()[instant:]...))
	}
	return keys, it.Close()
}
