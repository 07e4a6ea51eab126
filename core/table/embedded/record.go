package embedded

import (
	"encoding/binary"
	"errors"
	"strings"

	"tenure/core/table"
)

// A stored item is a header and the body up to the end of the value. The
// header's first byte says which optional parts follow the version.
const (
	hasExpires = 1 << iota
	hasHiddenFrom
	hasIndex1
	hasIndex2
)

var errCorruptRecord = errors.New("a stored item is malformed")

// record is a stored item as it lies in the engine's memory: its slices are
// valid as long as the value it was read from.
type record struct {
	version, expires, hiddenFrom int64
	index1, index2               indexKey
	body                         []byte
	// image is the whole stored form.
	image []byte
}

// indexKey is a key of an index inside a record; the zero indexKey is none.
type indexKey struct{ partition, sort []byte }

func (k indexKey) isZero() bool { return len(k.partition) == 0 }

// appendRecord appends the stored form of item.
func appendRecord(dst []byte, item *table.Item) []byte {
	var flags byte
	if item.Expires != 0 {
		flags |= hasExpires
	}
	if item.HiddenFrom != 0 {
		flags |= hasHiddenFrom
	}
	if !item.Index1.IsZero() {
		flags |= hasIndex1
	}
	if !item.Index2.IsZero() {
		flags |= hasIndex2
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(item.Version))
	if item.Expires != 0 {
		dst = binary.AppendVarint(dst, item.Expires)
	}
	if item.HiddenFrom != 0 {
		dst = binary.AppendVarint(dst, item.HiddenFrom)
	}
	for _, key := range [...]table.Key{item.Index1, item.Index2} {
		if !key.IsZero() {
			dst = append(binary.AppendUvarint(dst, uint64(len(key.Partition))), key.Partition...)
			dst = append(binary.AppendUvarint(dst, uint64(len(key.Sort))), key.Sort...)
		}
	}
	return append(dst, item.Body...)
}

// parseRecord reads the stored form of an item.
func parseRecord(value []byte) (record, error) {
	r := record{image: value}
	d := decoder{rest: value}
	flags := d.byte()
	r.version = int64(d.uvarint())
	if flags&hasExpires != 0 {
		r.expires = d.varint()
	}
	if flags&hasHiddenFrom != 0 {
		r.hiddenFrom = d.varint()
	}
	if flags&hasIndex1 != 0 {
		r.index1 = indexKey{d.bytes(), d.bytes()}
	}
	if flags&hasIndex2 != 0 {
		r.index2 = indexKey{d.bytes(), d.bytes()}
	}
	r.body = d.rest
	if d.failed || flags >= hasIndex2<<1 {
		return record{}, errCorruptRecord
	}
	return r, nil
}

// An index row repeats what a query decides by, so that it reads the index alone.

func appendIndexRow(dst []byte, hiddenFrom, expires int64) []byte {
	return binary.AppendVarint(binary.AppendVarint(dst, hiddenFrom), expires)
}

func parseIndexRow(value []byte) (hiddenFrom, expires int64, err error) {
	d := decoder{rest: value}
	hiddenFrom, expires = d.varint(), d.varint()
	if d.failed {
		return 0, 0, errCorruptRecord
	}
	return hiddenFrom, expires, nil
}

// decoder reads the parts of a stored value one after the other. After the
// first that does not fit, failed is set and all parts are zero.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() {
	d.rest, d.failed = nil, true
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// bytes reads a part that is preceded by its length.
func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

// slab holds the content of one answer, copied out of the engine's memory into
// few large allocations. Items of one answer share them; none can grow into
// its neighbour.
type slab struct {
	free []byte
	text strings.Builder
	// items is how many items there are so far, expected how many more may come.
	items, expected int
}

// maxSlabBytes bounds one allocation for several items, and so what an
// over-estimate can waste.
const maxSlabBytes = 256 << 10

// reserve returns how much to allocate for a part of n bytes and those like it
// in the items to come: few at first, since an answer is often much shorter
// than its limit, then as many as there were already.
func (s *slab) reserve(n int) int {
	return max(n, min(n*min(max(s.items, 4), s.expected), maxSlabBytes))
}

// bytes returns a copy of p.
func (s *slab) bytes(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	if len(p) > len(s.free) {
		s.free = make([]byte, s.reserve(len(p)))
	}
	b := s.free[:len(p):len(p)]
	s.free = s.free[len(p):]
	copy(b, p)
	return b
}

// string returns p as a string.
func (s *slab) string(p []byte) string {
	if s.text.Cap()-s.text.Len() < len(p) {
		s.text.Reset()
		s.text.Grow(s.reserve(len(p)))
	}
	n := s.text.Len()
	s.text.Write(p)
	return s.text.String()[n:]
}

// item returns the item with that key and content. keysOnly leaves out the body.
func (s *slab) item(key table.Key, r *record, keysOnly bool) table.Item {
	s.items++
	item := table.Item{Key: key, Version: r.version, Expires: r.expires, HiddenFrom: r.hiddenFrom}
	if !r.index1.isZero() {
		item.Index1 = s.key(r.index1)
	}
	if !r.index2.isZero() {
		item.Index2 = s.key(r.index2)
	}
	if !keysOnly {
		item.Body = s.bytes(r.body)
	}
	return item
}

func (s *slab) key(k indexKey) table.Key {
	return table.Key{Partition: s.string(k.partition), Sort: s.string(k.sort)}
}
