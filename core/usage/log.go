package usage

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"tenure/core/table"
)

const (
	// logSuffix is what partitions of the log end with, by which the change feed is
	// told to tell of them.
	logSuffix = "/usage/log"
	// logShards is over how many partitions the events of an hour are spread.
	logShards = 16
	// chunkBytes is how many bytes of events go into one item, before they are
	// packed, and maxPacked is how many they may have afterwards.
	chunkBytes = 512 << 10
	maxPacked  = 300 << 10
)

// chunk is the body of an item of events as they came.
type chunk struct {
	// Received is when they arrived, in epoch ms.
	Received int64 `json:"received"`
	Count    int   `json:"count"`
	// Events are the events, one a line, packed by zstd, as base64.
	Events string `json:"events"`
}

// codec packs and unpacks events. It is made when it is needed first: most
// functions never do.
var codec = sync.OnceValue(func() (c struct {
	pack   *zstd.Encoder
	unpack *zstd.Decoder
}) {
	var err, other error
	c.pack, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(chunkBytes), zstd.WithLowerEncoderMem(true))
	c.unpack, other = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(64<<20))
	if err := errors.Join(err, other); err != nil {
		panic(err) // the options are wrong
	}
	return c
})

// pack returns events as chunks, each small enough for an item.
func pack(events []*Event, received int64) []chunk {
	var chunks []chunk
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && (n == 0 || size+len(events[n].text) < chunkBytes) {
			size += len(events[n].text) + 1
			n++
		}
		chunks = append(chunks, packAtMost(events[:n], received)...)
		events = events[n:]
	}
	return chunks
}

func packAtMost(events []*Event, received int64) []chunk {
	var lines bytes.Buffer
	for _, e := range events {
		lines.Write(e.text)
		lines.WriteByte('\n')
	}
	text := base64.StdEncoding.EncodeToString(codec().pack.EncodeAll(lines.Bytes(), nil))
	if len(text) > maxPacked && len(events) > 1 {
		half := len(events) / 2
		return append(packAtMost(events[:half], received), packAtMost(events[half:], received)...)
	}
	return []chunk{{received, len(events), text}}
}

// unpack returns the events of the body of an item.
func unpack(body []byte) ([]*Event, *chunk, error) {
	c := &chunk{}
	if err := json.Unmarshal(body, c); err != nil {
		return nil, nil, err
	}
	packed, err := base64.StdEncoding.DecodeString(c.Events)
	if err != nil {
		return nil, nil, err
	}
	lines, err := codec().unpack.DecodeAll(packed, nil)
	if err != nil {
		return nil, nil, err
	}
	events := make([]*Event, 0, c.Count)
	for line := range bytes.Lines(lines) {
		e, failure := Parse(line, c.Received)
		if failure != nil {
			return nil, nil, fmt.Errorf("an event that was taken: %w", failure)
		}
		events = append(events, e)
	}
	return events, c, nil
}

// oneLine returns text without the ends of lines that it may have between its
// members: in JSON they mean nothing there, and within strings they are escaped.
func oneLine(text []byte) []byte {
	if bytes.ContainsAny(text, "\r\n") {
		text = bytes.Map(func(c rune) rune {
			if c == '\r' || c == '\n' {
				return ' '
			}
			return c
		}, text)
	}
	return text
}

// Append writes events down as they came. Once it returns they are not lost, and
// what follows from them follows by the change feed.
func (s *Store) Append(ctx context.Context, workspace string, events []*Event) error {
	now := s.Now()
	var ops []table.Op
	for i, c := range pack(events, now.UnixMilli()) {
		body, err := json.Marshal(c)
		if err != nil {
			return err
		}
		name := rand.Text()
		ops = append(ops, table.Put(table.Item{
			Key: table.Key{
				Partition: fmt.Sprintf("%s/%s-%x%s", workspace, now.UTC().Format("2006010215"), int(name[0])%logShards, logSuffix),
				Sort:      fmt.Sprintf("%013d/%s/%03d", now.UnixMilli(), name, i),
			},
			Version: s.version(0), Expires: now.Add(s.Kept).UnixMilli(), Body: body,
		}, table.Condition{}))
	}
	if len(ops) == 1 {
		return errors.Join(s.Table.Write(ctx, ops, nil)...)
	}
	for group := range slices.Chunk(ops, maxTogether) {
		if err := s.Table.Transact(ctx, group, nil); err != nil {
			return err
		}
	}
	return nil
}

// maxTogether is how many of the largest items go into one transaction.
const maxTogether = 10

// logItem returns the workspace of the key of an item of the log.
func logItem(key table.Key) (workspace string, ok bool) {
	rest, ok := strings.CutSuffix(key.Partition, logSuffix)
	if !ok {
		return "", false
	}
	workspace, _, ok = strings.Cut(rest, "/")
	return workspace, ok
}

// Concerns reports whether changes of the item with that key matter to Follow.
func Concerns(key table.Key) bool {
	_, ok := logItem(key)
	return ok
}

// load reads an item's body into v, and returns its version; 0 where there is none.
func (s *Store) load(ctx context.Context, key table.Key, v any) (version int64, err error) {
	items, err := s.Table.Get(ctx, []table.Key{key}, true)
	if err != nil || !items[0].Exists() {
		return 0, err
	}
	return items[0].Version, json.Unmarshal(items[0].Body, v)
}

// store writes v as the body of an item.
func (s *Store) store(ctx context.Context, key table.Key, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return errors.Join(s.Table.Write(ctx, []table.Op{table.Put(table.Item{Key: key, Version: s.version(0), Body: body}, table.Condition{})}, nil)...)
}

// pause waits before a write that lost a race is tried again.
func pause(ctx context.Context, attempt int) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Millisecond << min(attempt, 7)):
		return nil
	}
}
