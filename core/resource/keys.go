package resource

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
	"unicode/utf8"

	"tenure/core/schema"
	"tenure/core/table"
)

// partition joins the parts of a partition key. Workspace and family names
// hold no slash, and whatever a client chose comes last or as a digest.
func partition(workspace string, parts ...string) string {
	return workspace + "/" + strings.Join(parts, "/")
}

// sortNumber returns text that sorts as n does.
func sortNumber(n int64) string {
	var bits [8]byte
	binary.BigEndian.PutUint64(bits[:], uint64(n)^1<<63)
	return hex.EncodeToString(bits[:])
}

// sortedNumber returns the number of which text is sortNumber.
func sortedNumber(text string) int64 {
	n, _ := strconv.ParseUint(text, 16, 64)
	return int64(n ^ 1<<63)
}

// sortText escapes s so that several such texts, each followed by a NUL, sort
// as the list of texts does.
var sortText = strings.NewReplacer("\x00", "\x01\x01", "\x01", "\x01\x02")

// escapeSort returns sortText's escape of s; nearly no text needs any.
func escapeSort(s string) string {
	if strings.IndexByte(s, 0) < 0 && strings.IndexByte(s, 1) < 0 {
		return s
	}
	return sortText.Replace(s)
}

// SortKey returns a sort key in the order of the record's values of fields. A
// key that would be too long is cut and ends in a digest: it is still unique,
// and its order true as far as it goes.
func SortKey(s *schema.Schema, r schema.Record, fields ...int) string {
	key := fullSortKey(s, r, fields...)
	if len(key) <= table.MaxSortBytes {
		return key
	}
	end := table.Digest(key)
	return cutText(key, table.MaxSortBytes-len(end)-1) + "\x00" + end
}

func fullSortKey(s *schema.Schema, r schema.Record, fields ...int) string {
	var b strings.Builder
	for _, i := range fields {
		if s.Fields[i].Type.Numeric() {
			b.WriteString(sortNumber(r[i].Int()))
		} else {
			b.WriteString(escapeSort(r[i].Text()))
		}
		b.WriteByte(0)
	}
	return b.String()
}

// cutText returns the first n bytes of s, or fewer where a character would be
// cut in two.
func cutText(s string, n int) string {
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// sortPrefix returns what the sort keys of all records begin with that have
// that value in the field at ordinal i, their first in the order. It may be
// what keys of other records begin with too: keys are cut.
func sortPrefix(s *schema.Schema, value schema.Value, i int) string {
	r := s.NewRecord()
	r[i] = value
	const uncut = table.MaxSortBytes / 2 // less than any key is cut to
	prefix := fullSortKey(s, r, i)
	if len(prefix) > uncut {
		prefix = cutText(prefix, uncut)
	}
	return prefix
}

// shardOf returns the name of the shard that id belongs to.
func (e *Engine) shardOf(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return shardName(int(h.Sum32() % uint32(e.shards)))
}

func shardName(n int) string { return hex.EncodeToString([]byte{byte(n)}) }

// key returns the key of the record of f with that id in that account, which
// counts only where records lie in their account's partition.
func (e *Engine) key(workspace string, f *Family, account, id string) table.Key {
	if f.inAccount() {
		return table.Key{Partition: partition(workspace, f.Schema.Name, table.Digest(account)), Sort: f.sortID(id)}
	}
	return table.Key{Partition: partition(workspace, f.Schema.Name, e.shardOf(id)), Sort: f.sortID(id)}
}

// sortID returns the sort key of the id whose text is id: ids that are numbers
// sort as numbers.
func (f *Family) sortID(id string) string {
	if f.numericID() {
		return sortNumber(schema.Value(id).Int())
	}
	return id
}

// keyOf returns the key of record r.
func (e *Engine) keyOf(workspace string, f *Family, r schema.Record) table.Key {
	return e.key(workspace, f, r[f.Account].Text(), f.idOf(r))
}

// accountKey returns the key of an account.
func (e *Engine) accountKey(workspace, id string) table.Key {
	return e.key(workspace, e.root, id, id)
}

// listPartition returns one shard of the partition that keeps order o.
func listPartition(workspace string, f *Family, o *Order, shard string) string {
	if o.Index == table.Base {
		return partition(workspace, f.Schema.Name, shard)
	}
	return partition(workspace, f.Schema.Name+"."+o.Name, shard)
}

// item returns the item that stores r with that version and body.
func (e *Engine) item(workspace string, f *Family, r schema.Record, version int64, body []byte) table.Item {
	item := table.Item{Key: e.keyOf(workspace, f, r), Version: version, Body: body}
	if f.HiddenFrom != nil {
		item.HiddenFrom = f.HiddenFrom(r)
	}
	for i := range f.Orders {
		o := &f.Orders[i]
		key := table.Key{
			Partition: listPartition(workspace, f, o, e.shardOf(f.idOf(r))),
			Sort:      SortKey(f.Schema, r, o.Fields...),
		}
		switch o.Index {
		case table.First:
			item.Index1 = key
		case table.Second:
			item.Index2 = key
		}
	}
	return item
}
