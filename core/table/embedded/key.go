package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"tenure/core/table"
)

// The first byte of an engine key tells what the row is. Values are stored in
// directories: never change one.
const (
	spaceMeta   = 0x01 // what the adapter remembers about itself
	spaceBase   = 0x10 // partition, sort → record
	spaceFirst  = 0x11 // index partition, index sort, partition, sort → index row
	spaceSecond = 0x12
	spaceExpiry = 0x20 // expiry, partition, sort → nothing
	spaceFeed   = 0x30 // sequence → change
)

// Text inside an engine key is followed by a terminator that sorts before
// anything that could continue the text, so that keys order as their parts do
// and no text runs into the next: 0x00 becomes 0x00 0xFF, and the terminator
// is 0x00 0x01. The base sort key, always the last part, needs neither.
const (
	escape        = 0x00
	escapedZero   = 0xFF
	terminator    = 0x01
	afterTerminal = 0x02 // sorts behind every key that has the terminator here
)

var errCorruptKey = errors.New("a stored key is malformed")

// appendEscaped appends the text without its terminator.
func appendEscaped[T string | []byte](dst []byte, text T) []byte {
	from := 0
	for i := 0; i < len(text); i++ {
		if text[i] == escape {
			dst = append(append(dst, text[from:i+1]...), escapedZero)
			from = i + 1
		}
	}
	return append(dst, text[from:]...)
}

// appendText appends the text and its terminator.
func appendText[T string | []byte](dst []byte, text T) []byte {
	return append(appendEscaped(dst, text), escape, terminator)
}

// cutText splits an encoded text off the front of src, and decodes it; ok is
// false when it is malformed. The text may lie in src.
func cutText(src []byte) (text, rest []byte, ok bool) {
	for from := 0; ; {
		i := bytes.IndexByte(src[from:], escape)
		if i < 0 || from+i+1 >= len(src) {
			return nil, nil, false
		}
		i += from
		if from > 0 {
			text = append(text, src[from:i]...)
		} else {
			text = src[:i:i]
		}
		switch src[i+1] {
		case terminator:
			return text, src[i+2:], true
		case escapedZero:
			// The capacity of text is its length: this copies it out of src.
			text = append(text, 0)
			from = i + 2
		default:
			return nil, nil, false
		}
	}
}

// appendBaseKey appends the engine key of an item.
func appendBaseKey(dst []byte, key table.Key) []byte {
	dst = append(dst, spaceBase)
	dst = appendText(dst, key.Partition)
	return append(dst, key.Sort...)
}

// encodeKeys returns the engine keys of n items, and their numbers in the order
// of those keys.
func encodeKeys(n int, key func(i int) *table.Key) (engineKeys [][]byte, order []int) {
	size := 0
	for i := range n {
		size += len(key(i).Partition) + len(key(i).Sort) + 3
	}
	buf := make([]byte, 0, size)
	engineKeys, order = make([][]byte, n), make([]int, n)
	for i := range n {
		from := len(buf)
		buf = appendBaseKey(buf, *key(i))
		engineKeys[i], order[i] = buf[from:len(buf):len(buf)], i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(engineKeys[a], engineKeys[b]) })
	return engineKeys, order
}

// appendIndexKey appends the key of an index row: partition and sort are those
// in the index. They need not be unique, so the key ends in that of the item,
// whose engine key is base.
func appendIndexKey[T string | []byte](dst []byte, space byte, partition, sort T, base []byte) []byte {
	dst = append(dst, space)
	dst = appendText(dst, partition)
	dst = appendText(dst, sort)
	return append(dst, base[1:]...)
}

// appendExpiryKey appends the key of an item's row in the expiry queue. The
// sign is flipped so that instants order as unsigned bytes do.
func appendExpiryKey(dst []byte, expires int64, base []byte) []byte {
	dst = append(dst, spaceExpiry)
	dst = binary.BigEndian.AppendUint64(dst, uint64(expires)^1<<63)
	return append(dst, base[1:]...)
}

// appendFeedKey appends the key of a change.
func appendFeedKey(dst []byte, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, spaceFeed), sequence)
}

// indexSpace returns the space of a secondary index.
func indexSpace(index table.Index) byte {
	if index == table.First {
		return spaceFirst
	}
	return spaceSecond
}

// keyRange returns the engine keys that hold the answer of q: from lower up to,
// not including, upper.
func keyRange(q *table.Query) (lower, upper []byte) {
	space := byte(spaceBase)
	appendSort := func(dst []byte, sort string) []byte { return append(dst, sort...) }
	if q.Index != table.Base {
		space, appendSort = indexSpace(q.Index), appendEscaped[string]
	}
	size := 2*len(q.Partition) + 2*max(len(q.Prefix), len(q.After)) + 5
	partition := appendText(append(make([]byte, 0, size), space), q.Partition)

	lower = appendSort(bytes.Clone(partition), q.Prefix)
	upper = successor(bytes.Clone(lower))
	if q.After == "" {
		return lower, upper
	}
	after := appendSort(partition, q.After)
	if q.Descending {
		if q.Index != table.Base {
			after = append(after, escape, terminator)
		}
		if bytes.Compare(after, upper) < 0 {
			upper = after
		}
		return lower, upper
	}
	if q.Index == table.Base {
		after = append(after, 0)
	} else {
		after = append(after, escape, afterTerminal)
	}
	if bytes.Compare(after, lower) > 0 {
		lower = after
	}
	return lower, upper
}

// successor turns key into the first key that sorts behind all that begin with
// it. Every key begins with its space, which is not 0xFF, so there is one.
func successor(key []byte) []byte {
	for key[len(key)-1] == 0xFF {
		key = key[:len(key)-1]
	}
	key[len(key)-1]++
	return key
}
