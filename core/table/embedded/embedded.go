// Package embedded is the table on one machine: the adapter of the storage
// port that keeps its items in one directory, on the log-structured engine
// pebble.
//
// One key space of the engine holds, told apart by their first byte, the items
// (base rows), the rows of both secondary indexes, the expiry queue and the
// change feed; key.go describes their order. Whatever belongs to one write is
// in one batch of the engine, so that an index row without its item, or a
// change without its write, never exists, not even after a crash.
//
// Durability: a write is acknowledged only after the write-ahead log was
// synced. Conditions are checked, and batches applied, one writer at a time;
// the sync is awaited after the next writer was let in, so that writers at work
// at the same time share syncs. A write thus becomes visible a moment before it
// is durable. A later write that rests on it stands behind it in the log and
// cannot survive without it; and a consistent read waits until what it saw is
// durable, so that nobody acknowledges on the strength of data a crash could
// still take away.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"

	"tenure/core/table"
)

// Defaults of Options.
const (
	// DefaultCacheBytes is the default of Options.CacheBytes.
	DefaultCacheBytes = 64 << 20
	// DefaultMemTableBytes is the default of Options.MemTableBytes.
	DefaultMemTableBytes = 16 << 20
)

// formatVersion is the version of the engine's files, pinned so that an update
// of the module alone does not make a directory unreadable to the program
// before it.
const formatVersion = pebble.FormatValueSeparation

// maxMemTables is how many tables of recent writes there may be before writers
// have to wait for the disk. Their logs are what is read after a crash.
const maxMemTables = 3

// Options tunes a Table. The zero Options is what a server wants.
type Options struct {
	// Now is the clock that decides what has expired. Default: time.Now.
	Now func() time.Time
	// Feed says of which items the change feed tells, at the price of writing
	// both images of each once more. Without it Changes tells nothing new.
	Feed func(table.Key) bool
	// CacheBytes is the size of the cache of blocks read. Default:
	// DefaultCacheBytes.
	CacheBytes int64
	// MemTableBytes is the size of one table of recent writes in memory, of
	// which there are up to three while the disk keeps up badly. It also bounds
	// how much log is read when the directory is opened after a crash. Default:
	// DefaultMemTableBytes.
	MemTableBytes int
	// Logger receives the engine's errors. Default: slog.Default().
	Logger *slog.Logger
}

// Table is an open directory. It implements table.Table.
type Table struct {
	db   *pebble.DB
	now  func() time.Time
	feed func(table.Key) bool
	log  engineLogger

	// open is held for reading while a method runs, for writing by Close: the
	// engine panics when used after it was closed.
	open   sync.RWMutex
	closed bool

	// writer is the right to write: whoever put a value into it holds it. A
	// channel, because waiting for it ends with the context.
	writer chan struct{}
	// sequence is that of the newest change ever recorded. Held by writer.
	sequence uint64
	// last is the newest commit applied. The log is synced in order: once it is
	// durable, everything before it is.
	last atomic.Pointer[commit]
}

var _ table.Table = (*Table)(nil)

// commit is one applied batch.
type commit struct {
	// durable is closed once the batch is synced.
	durable chan struct{}
}

// Open opens the directory dir, and creates it if there is none. One process
// at a time has it open; while another one does, Open returns an error that
// says so.
func Open(dir string, opts Options) (*Table, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = DefaultCacheBytes
	}
	if opts.MemTableBytes == 0 {
		opts.MemTableBytes = DefaultMemTableBytes
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	t := &Table{
		now:    opts.Now,
		feed:   opts.Feed,
		log:    engineLogger{opts.Logger.With("store", dir)},
		writer: make(chan struct{}, 1),
	}
	var err error
	compactions := newCompactionScheduler()
	if t.db, err = pebble.Open(dir, t.engineOptions(opts, compactions)); err != nil {
		if errors.Is(err, syscall.EAGAIN) {
			return nil, fmt.Errorf("open store %s: is it in use by another process? %w", dir, err)
		}
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	compactions.start()
	if t.sequence, err = t.lastSequence(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", dir, err), t.db.Close())
	}
	return t, nil
}

func (t *Table) engineOptions(opts Options, compactions *compactionScheduler) *pebble.Options {
	o := &pebble.Options{
		FormatMajorVersion:          formatVersion,
		CacheSize:                   opts.CacheBytes,
		MemTableSize:                uint64(opts.MemTableBytes),
		MemTableStopWritesThreshold: maxMemTables,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      t.log,
		EventListener:               t.log.listener(),
	}
	o.Experimental.CompactionScheduler = compactions
	// Only the last level is compressed. It holds nine tenths of the data; what
	// lies above is soon rewritten, and compressing it each time costs more
	// processor time than it saves.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings {
		s := pebble.UniformDBCompressionSettings(sstable.NoCompression)
		s.Levels[len(s.Levels)-1] = sstable.SnappyCompression
		return s
	})
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// Close waits for the methods at work and closes the directory. Methods called
// later return table.ErrUnavailable.
func (t *Table) Close() error {
	t.open.Lock()
	defer t.open.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	// With the recent writes in place there is no log to read at the next start.
	if err := errors.Join(t.db.Flush(), t.db.Close()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// enter begins a method: it keeps the directory open until leave.
func (t *Table) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.open.RLock()
	if t.closed {
		t.open.RUnlock()
		return fmt.Errorf("%w: it was closed", table.ErrUnavailable)
	}
	return nil
}

func (t *Table) leave() { t.open.RUnlock() }

// awaitDurable returns once everything is durable that was visible when it was
// called.
func (t *Table) awaitDurable(ctx context.Context) error {
	c := t.last.Load()
	if c == nil {
		return nil
	}
	select {
	case <-c.durable:
		return nil
	default:
	}
	select {
	case <-c.durable:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lockWriter takes the right to write.
func (t *Table) lockWriter(ctx context.Context) error {
	select {
	case t.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Table) unlockWriter() { <-t.writer }

// nowMillis returns the instant (epoch ms) by which items have expired or not.
func (t *Table) nowMillis() int64 { return t.now().UnixMilli() }

// expired reports whether an item with that expiry is absent at the instant now.
func expired(expires, now int64) bool { return expires != 0 && expires <= now }

// engineError wraps an error of the engine.
func engineError(err error) error {
	return fmt.Errorf("%w: %w", table.ErrUnavailable, err)
}
