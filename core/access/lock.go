package access

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tenure/core/table"
)

// ErrLocked says that another upload under the same key is under way.
var ErrLocked = errors.New("another upload is under way")

const (
	// lockPoll is how often a lock that is waited for is tried.
	lockPoll = 25 * time.Millisecond
	// lockSpread is how many hexadecimal digits of a key's id choose the
	// partition of its lock.
	lockSpread = 2
	// releaseTimeout bounds the release of a lock, which goes on even when the
	// request's own time is over.
	releaseTimeout = 5 * time.Second
)

// Lock is a lease on the right to upload under one API key (contract P13). It
// is an item that expires: a holder that dies blocks nobody for longer than
// the lease. Writes made on its strength carry its Guard, so that a holder
// that outlives the lease cannot write behind the next one's back.
type Lock struct {
	store *Store
	item  table.Item
}

// Lock takes the upload lock of a key for at most lease, waiting up to wait
// for it. ErrLocked says that somebody else has it.
func (s *Store) Lock(ctx context.Context, keyID string, lease, wait time.Duration) (*Lock, error) {
	deadline := s.now().Add(wait)
	version := holder()
	for {
		item := table.Item{
			Key:     table.Key{Partition: locksPartition + keyID[:lockSpread], Sort: keyID},
			Version: version,
			Expires: s.now().Add(lease).UnixMilli(),
			Body:    []byte("{}"),
		}
		err := errors.Join(s.table.Write(ctx, []table.Op{table.Put(item, table.Absent())}, nil)...)
		switch {
		case err == nil:
			return &Lock{store: s, item: item}, nil
		case !errors.Is(err, table.ErrConflict):
			return nil, err
		case !s.now().Before(deadline):
			return nil, ErrLocked
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// holder returns the version by which a lock is known to be its holder's: any
// number that no other one has. Half of 2^64 is enough to choose from.
func holder() int64 {
	var random [8]byte
	rand.Read(random[:])
	return int64(binary.BigEndian.Uint64(random[:])>>1) | 1
}

// LockID returns what a lock is known by that belongs to no API key but to
// whatever name says, such as the workspace whose files are uploaded.
func LockID(name string) string { return keyID("lock/" + name) }

// Renew has the lease of a lock begin anew, for who holds it long. Guards from
// before do not hold any more. ErrLocked says that it was lost.
func (l *Lock) Renew(ctx context.Context, lease time.Duration) error {
	next := l.item
	next.Version, next.Expires = holder(), l.store.now().Add(lease).UnixMilli()
	err := errors.Join(l.store.table.Write(ctx, []table.Op{table.Put(next, table.VersionIs(l.item.Version))}, nil)...)
	if errors.Is(err, table.ErrConflict) {
		return ErrLocked
	}
	if err == nil {
		l.item = next
	}
	return err
}

// BreakLocks ends all locks. It is for a process that knows it is alone with
// the store and has just started: their holders are gone.
func (s *Store) BreakLocks(ctx context.Context) error {
	for prefix := range 1 << (4 * lockSpread) {
		items, err := s.table.Query(ctx, table.Query{
			Partition: fmt.Sprintf("%s%0*x", locksPartition, lockSpread, prefix), Limit: 1000, KeysOnly: true, Consistent: true,
		})
		if err != nil {
			return err
		}
		ops := make([]table.Op, len(items))
		for i := range items {
			ops[i] = table.Delete(items[i].Key, table.Condition{})
		}
		if err := errors.Join(s.table.Write(ctx, ops, nil)...); err != nil {
			return err
		}
	}
	return nil
}

// Guard returns what ties writes to the lock.
func (l *Lock) Guard() *table.Guard {
	return &table.Guard{Key: l.item.Key, Version: l.item.Version, Until: l.item.Expires}
}

// Release gives the lock back. A lock that was lost meanwhile stays whose it is.
func (l *Lock) Release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	err := errors.Join(l.store.table.Write(ctx, []table.Op{
		table.Delete(l.item.Key, table.VersionIs(l.item.Version)),
	}, nil)...)
	if errors.Is(err, table.ErrConflict) {
		return nil
	}
	return err
}
