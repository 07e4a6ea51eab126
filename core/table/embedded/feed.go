package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"tenure/core/table"
)

// A stored change is a byte that says which images there are, the item's engine
// key behind its length, the old image behind its length, and the new image.
const (
	hasOld = 1 << iota
	hasNew
)

// sequenceKey is where Trim leaves the sequence of the newest change there had
// been, so that sequences go on from there even when the feed is empty.
var sequenceKey = []byte{spaceMeta, 's'}

// maxChangesBytes is about how many bytes one answer of Changes has at most.
const maxChangesBytes = 4 << 20

var errCorruptChange = errors.New("a stored change is malformed")

// change stages the change of the item with that engine key from old, if there
// was one, to the stored form of the new item, if there is one; unless the feed
// leaves the item out.
func (s *stage) change(key []byte, old *record, found bool, image []byte) error {
	partition, sort, ok := cutText(key[1:])
	if !ok {
		return errCorruptKey
	}
	if !s.feed(table.Key{Partition: string(partition), Sort: string(sort)}) {
		return nil
	}
	s.sequence++
	var flags byte
	if found {
		flags |= hasOld
	}
	if image != nil {
		flags |= hasNew
	}
	value := append(s.changed[:0], flags)
	value = append(binary.AppendUvarint(value, uint64(len(key))), key...)
	if found {
		value = append(binary.AppendUvarint(value, uint64(len(old.image))), old.image...)
	}
	s.changed = append(value, image...)
	s.key = appendFeedKey(s.key[:0], s.sequence)
	if err := s.batch.Set(s.key, s.changed, nil); err != nil {
		return engineError(err)
	}
	return nil
}

// Changes returns up to limit changes that come after the one with the sequence
// after, in the order in which they were written; after is "" for the oldest
// there is. Images are those of the store: the old one may have expired, and
// Sweep appears as removals. An answer is durable; its bodies share memory, and it
// ends early where they come to more than maxChangesBytes.
func (t *Table) Changes(ctx context.Context, after string, limit int) ([]table.Change, error) {
	first := uint64(0)
	if after != "" {
		n, err := parseSequence(after)
		if err != nil {
			return nil, err
		}
		first = n + 1
	}
	if limit < 1 {
		return nil, fmt.Errorf("%w: limit %d of changes", table.ErrInvalid, limit)
	}
	if err := t.enter(ctx); err != nil {
		return nil, err
	}
	defer t.leave()

	it, err := t.db.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: appendFeedKey(nil, first),
		UpperBound: []byte{spaceFeed + 1},
	})
	if err != nil {
		return nil, engineError(err)
	}
	var changes []table.Change
	var content slab
	size := 0
	for valid := it.First(); valid && len(changes) < limit && size < maxChangesBytes; valid = it.Next() {
		if len(changes)%rowsPerCheck == rowsPerCheck-1 && ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), it.Close())
		}
		content.expected = limit - len(changes)
		value, err := it.ValueAndErr()
		var c table.Change
		if err == nil {
			c, err = content.change(it.Key(), value)
		}
		if err != nil {
			return nil, errors.Join(engineError(err), it.Close())
		}
		changes = append(changes, c)
		size += len(value)
	}
	if err := it.Close(); err != nil {
		return nil, engineError(err)
	}
	if err := t.awaitDurable(ctx); err != nil {
		return nil, err
	}
	return changes, nil
}

// change reads one stored change.
func (s *slab) change(key, value []byte) (table.Change, error) {
	c := table.Change{Sequence: formatSequence(binary.BigEndian.Uint64(key[1:]))}
	d := decoder{rest: value}
	flags := d.byte()
	base := d.bytes()
	var old []byte
	if flags&hasOld != 0 {
		old = d.bytes()
	}
	if d.failed || len(base) == 0 {
		return table.Change{}, errCorruptChange
	}
	partition, sort, ok := cutText(base[1:])
	if !ok {
		return table.Change{}, errCorruptKey
	}
	item := table.Key{Partition: s.string(partition), Sort: s.string(sort)}
	var err error
	if flags&hasOld != 0 {
		c.Old, err = s.image(item, old)
	}
	if flags&hasNew != 0 && err == nil {
		c.New, err = s.image(item, d.rest)
	}
	return c, err
}

func (s *slab) image(key table.Key, value []byte) (*table.Item, error) {
	r, err := parseRecord(value)
	if err != nil {
		return nil, err
	}
	item := s.item(key, &r, false)
	return &item, nil
}

// Trim drops the changes up to and including the one with the sequence upTo.
// After a crash some of them may be back: changes come at least once.
func (t *Table) Trim(ctx context.Context, upTo string) error {
	last, err := parseSequence(upTo)
	if err != nil {
		return err
	}
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()
	if err := t.lockWriter(ctx); err != nil {
		return err
	}
	defer t.unlockWriter()

	last = min(last, t.sequence)
	batch := t.db.NewBatch()
	err = batch.DeleteRange([]byte{spaceFeed}, appendFeedKey(nil, last+1), nil)
	if err == nil {
		err = batch.Set(sequenceKey, binary.BigEndian.AppendUint64(nil, t.sequence), nil)
	}
	if err == nil {
		err = batch.Commit(pebble.NoSync)
	}
	if err = errors.Join(err, batch.Close()); err != nil {
		return engineError(err)
	}
	return nil
}

// lastSequence returns the sequence of the newest change ever recorded.
func (t *Table) lastSequence() (uint64, error) {
	last := uint64(0)
	switch value, closer, err := t.db.Get(sequenceKey); {
	case err == nil && len(value) == 8:
		last = binary.BigEndian.Uint64(value)
		if err := closer.Close(); err != nil {
			return 0, err
		}
	case err == nil:
		return 0, errors.Join(errCorruptChange, closer.Close())
	case err != pebble.ErrNotFound:
		return 0, err
	}
	it, err := t.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceFeed}, UpperBound: []byte{spaceFeed + 1}})
	if err != nil {
		return 0, err
	}
	if it.Last() {
		last = max(last, binary.BigEndian.Uint64(it.Key()[1:]))
	}
	return last, it.Close()
}

// formatSequence returns a sequence as text that sorts as the number does.
func formatSequence(n uint64) string { return fmt.Sprintf("%016x", n) }

func parseSequence(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 {
		return 0, fmt.Errorf("%w: %q is not the sequence of a change", table.ErrInvalid, text)
	}
	return n, nil
}
