package sources

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"tenure/core/connector"
	"tenure/core/table"
)

// What is remembered of a system's records: enough to know that one is as it was,
// to join it to others, to find accounts through it, and to take back what was made
// of it.

const (
	// shards is over how many partitions the records of a stream are spread.
	shards = 16
	// hashesInItem is how many ids one item of a pass holds.
	hashesInItem = 25_000
	// maxKept is the most that is kept of a record for others, in bytes.
	maxKept = 64 << 10
)

// ref is a step towards the account of a record.
type ref struct {
	// Via and Key name another record, by its stream and the system's own id.
	Via string `json:"via,omitempty"`
	Key string `json:"key,omitempty"`
	// By and Value, without Via, say which account it is.
	By    connector.By `json:"by,omitempty"`
	Value string       `json:"value,omitempty"`
}

// made is a record of ours that was made of one of a system's.
type made struct {
	// Feed is the feed's place in its stream.
	Feed int `json:"f,omitempty"`
	// ID and Account name it.
	ID      string `json:"id"`
	Account string `json:"a,omitempty"`
}

// seen is what is remembered of a record.
type seen struct {
	// ID is the system's own id, where the key of the item does not say it.
	ID string `json:"id,omitempty"`
	// Hash is that of the record when all was last made of it that can be.
	Hash string          `json:"h,omitempty"`
	Kept json.RawMessage `json:"k,omitempty"`
	Refs []ref           `json:"r,omitempty"`
	Made []made          `json:"m,omitempty"`
	// Out says that its account was marked inactive because it has left the filter,
	// or was deleted.
	Out bool `json:"o,omitempty"`

	version int64
}

// sortOf returns the sort key of what belongs to a system's record: its id, or a
// digest of one that is too long.
func sortOf(native string) string {
	const longest = 256
	if len(native) <= longest {
		return "=" + native
	}
	sum := sha256.Sum256([]byte(native))
	return "#" + hex.EncodeToString(sum[:])
}

func shardOf(native string) string {
	sum := sha256.Sum256([]byte(native))
	return hex.EncodeToString(sum[:1])[:1]
}

func shardName(n int) string { return hex.EncodeToString([]byte{byte(n)})[1:] }

func seenKey(workspace, id, stream, native string) table.Key {
	return table.Key{Partition: partition(workspace, id, "seen", stream, shardOf(native)), Sort: sortOf(native)}
}

// accountKey is where it stands which of a system's records names an account.
func accountKey(workspace, id, account string) table.Key {
	return table.Key{Partition: partition(workspace, id, "accounts", shardOf(account)), Sort: sortOf(account)}
}

// linkKey is where somebody has said which account a system's record is.
func linkKey(workspace, id, stream, native string) table.Key {
	return table.Key{Partition: partition(workspace, id, "links", shardOf(native)), Sort: stream + sortOf(native)}
}

// Link is what somebody has said of which account a system's record is: a confirmed
// match.
type Link struct {
	Stream string `json:"stream"`
	// ID is the system's own id; Account is the account_id.
	ID      string `json:"id"`
	Account string `json:"account"`
	// By is the e-mail address of who said so; Made is when, in epoch ms.
	By   string `json:"by"`
	Made int64  `json:"made"`
}

// SetLinks says of records of a source which accounts they are, whatever their
// location holds. One without an Account is taken back. The next run goes by it
// for records that wait and those that come anew.
func (s *Store) SetLinks(ctx context.Context, workspace, id string, links []Link) error {
	ops := make([]table.Op, len(links))
	for i, link := range links {
		key := linkKey(workspace, id, link.Stream, link.ID)
		if link.Account == "" {
			ops[i] = table.Delete(key, table.Condition{})
			continue
		}
		item, err := linkItem(workspace, id, link, s.version(0))
		if err != nil {
			return err
		}
		ops[i] = table.Put(item, table.Condition{})
	}
	return errors.Join(s.Table.Write(ctx, ops, nil)...)
}

func linkItem(workspace, id string, link Link, version int64) (table.Item, error) {
	body, err := json.Marshal(link)
	return table.Item{Key: linkKey(workspace, id, link.Stream, link.ID), Version: version, Body: body}, err
}

// loadSeen returns what is remembered of records of a stream, by their ids; those
// of which nothing is are not in the answer.
func (r *run) loadSeen(ctx context.Context, stream string, ids []string) (map[string]*seen, error) {
	keys := make([]table.Key, len(ids))
	for i, id := range ids {
		keys[i] = seenKey(r.workspace, r.source.ID, stream, id)
	}
	items, err := r.Table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	found := map[string]*seen{}
	for i := range items {
		if !items[i].Exists() {
			continue
		}
		of := &seen{version: items[i].Version}
		if err := json.Unmarshal(items[i].Body, of); err != nil {
			return nil, err
		}
		found[ids[i]] = of
	}
	return found, nil
}

// eachSeen hands over all records of a stream of which something is remembered, with
// their ids.
func (r *run) eachSeen(ctx context.Context, stream string, each func(id string, of *seen)) error {
	for n := range shards {
		q := table.Query{Partition: partition(r.workspace, r.source.ID, "seen", stream, shardName(n)), Limit: 1000, Consistent: true}
		for {
			items, err := r.Table.Query(ctx, q)
			if err != nil {
				return err
			}
			for i := range items {
				q.After = items[i].Sort
				of := &seen{}
				if err := json.Unmarshal(items[i].Body, of); err != nil {
					return err
				}
				id := of.ID
				if id == "" {
					id = items[i].Sort[1:]
				}
				each(id, of)
			}
			if len(items) < q.Limit {
				break
			}
		}
	}
	return nil
}

// remember returns the write of what is remembered of a record; none if it is as it
// was.
func (r *run) remember(stream, native string, was *seen, now seen) (table.Op, bool, error) {
	if sort := sortOf(native); sort[0] == '#' {
		now.ID = native
	}
	body, err := json.Marshal(now)
	if err != nil {
		return table.Op{}, false, err
	}
	var version int64
	if was != nil {
		version = was.version
		if old, err := json.Marshal(was); err != nil || string(old) == string(body) {
			return table.Op{}, false, err
		}
	}
	item := table.Item{Key: seenKey(r.workspace, r.source.ID, stream, native), Version: r.version(version), Body: body}
	return table.Put(item, table.Condition{}), true, nil
}

// hashOf is by what a pass knows an id.
func hashOf(native string) uint64 {
	sum := sha256.Sum256([]byte(native))
	return binary.BigEndian.Uint64(sum[:])
}

func passKey(workspace, id, stream string, n int) table.Key {
	return table.Key{Partition: partition(workspace, id, "pass", stream), Sort: fmt.Sprintf("%08d", n)}
}

// passed returns the ids of a pass, as hashes in order.
func (r *run) passed(ctx context.Context, stream string) ([]uint64, error) {
	var hashes []uint64
	q := table.Query{Partition: partition(r.workspace, r.source.ID, "pass", stream), Limit: 10, Consistent: true}
	for {
		items, err := r.Table.Query(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range items {
			var text string
			if err := json.Unmarshal(items[i].Body, &text); err != nil {
				return nil, err
			}
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, err
			}
			for ; len(raw) >= 8; raw = raw[8:] {
				hashes = append(hashes, binary.BigEndian.Uint64(raw))
			}
			q.After = items[i].Sort
		}
		if len(items) < q.Limit {
			slices.Sort(hashes)
			return hashes, nil
		}
	}
}

// clear removes all items of a partition.
func (s *Store) clear(ctx context.Context, partition string) error {
	return s.clearUnder(ctx, partition, func(context.Context) (*table.Guard, error) { return nil, nil })
}

// clearUnder is clear under a lock, which hold keeps.
func (s *Store) clearUnder(ctx context.Context, partition string, hold func(context.Context) (*table.Guard, error)) error {
	for {
		items, err := s.Table.Query(ctx, table.Query{Partition: partition, Limit: 1000, KeysOnly: true, Consistent: true})
		if err != nil || len(items) == 0 {
			return err
		}
		ops := make([]table.Op, len(items))
		for i := range items {
			ops[i] = table.Delete(items[i].Key, table.Condition{})
		}
		guard, err := hold(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(s.Table.Write(ctx, ops, guard)...); err != nil {
			return err
		}
	}
}

// Delete removes a source with all that is remembered of its system. The records
// that came from there stay. It is to be called again if it fails.
func (s *Store) Delete(ctx context.Context, workspace, id string) error {
	source, err := s.Get(ctx, workspace, id)
	if err != nil {
		return err
	}
	source.Paused, source.SystemOfRecord, source.Filter = true, false, nil
	if err := s.put(ctx, workspace, source); err != nil {
		return err
	}
	c := s.Connector(source.Connector)
	var partitions []string
	for i := range c.Streams {
		name := c.Streams[i].Name
		for n := range shards {
			partitions = append(partitions, partition(workspace, id, "seen", name, shardName(n)))
		}
		partitions = append(partitions, partition(workspace, id, "waiting", name), partition(workspace, id, "pass", name))
	}
	for n := range shards {
		partitions = append(partitions, partition(workspace, id, "accounts", shardName(n)), partition(workspace, id, "links", shardName(n)))
	}
	partitions = append(partitions, matchPartitions(workspace, id)...)
	for _, p := range append(partitions, partition(workspace, id, "runs"), partition(workspace, id)) {
		if err := s.clear(ctx, p); err != nil {
			return err
		}
	}
	return errors.Join(s.Table.Write(ctx, []table.Op{table.Delete(sourceKey(workspace, id), table.Condition{})}, nil)...)
}
