// Package calls keeps the log of a workspace's API calls ("API Status" of the
// IT Administration page): what was called by which key, what came of it, and
// why records failed. The last 1000 calls of each workspace are kept.
//
// A call is one item, written once. It lies in a partition of its key, its
// family and what became of it, and sorts there by time: so no partition carries
// a whole workspace, the newest item of a partition tells when a key was last
// used and when a family was last written, and reading the log merges
// partitions.
package calls

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tenure/core"
	"tenure/core/table"
)

// Kept is how many calls of a workspace are kept, the newest.
const Kept = 1000

// CSV is the key id of calls that were made by uploading a file instead of
// presenting a key. They are among the calls of any keys.
const CSV = "csv"

// Kind says what a call was for.
type Kind string

// The kinds of calls.
const (
	// Write calls change records, or would.
	Write Kind = "write"
	// Read calls change nothing: lists, searches, single records, dry runs.
	Read Kind = "read"
)

// Call is one API call that presented a valid key.
type Call struct {
	// ID names the call within its workspace. It is given by the log.
	ID string `json:"id"`
	// Time is when the answer was ready, in epoch ms. It is given by the log.
	Time int64 `json:"time"`
	// Method and Endpoint are the HTTP method and the pattern of the path, with
	// the names of its parameters in place of their values.
	Method   string `json:"method"`
	Endpoint string `json:"endpoint"`
	// Family is the family of records that the endpoint is about, or "search".
	Family string `json:"family"`
	Kind   Kind   `json:"kind"`
	// KeyID is the id of the key that was presented, or CSV.
	KeyID string `json:"key_id"`
	// Success is the operation status: false when the entire operation failed.
	Success bool `json:"success"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Code, Field and Message say why the entire operation failed.
	Code    core.Code `json:"code,omitempty"`
	Field   string    `json:"field,omitempty"`
	Message string    `json:"message,omitempty"`
	// Records says what became of the records of an upload; nil for other calls
	// and where none could be read.
	Records *Records `json:"records,omitempty"`
	// DryRun says that nothing was to be written.
	DryRun bool `json:"dry_run,omitempty"`
	// DurationMS is how long the answer took, in ms.
	DurationMS float64 `json:"duration_ms"`
	// BodyBytes is how many bytes of the request body arrived, as they were sent.
	BodyBytes int64 `json:"body_bytes"`
	// Failures are the first of the records that failed. They come with Get alone.
	Failures []Failure `json:"failed_results,omitempty"`
}

// Records counts the records of an upload.
type Records struct {
	// Received is how many there were.
	Received int `json:"received"`
	// Inserted, Changed and Unchanged are those that were applied.
	Inserted  int `json:"inserted"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	// Failed are those that were not.
	Failed int `json:"failed"`
}

// Applied returns how many records were applied.
func (r *Records) Applied() int { return r.Inserted + r.Changed + r.Unchanged }

// FailuresLeftOut returns how many records failed besides those in Failures.
func (c *Call) FailuresLeftOut() int {
	if c.Records == nil {
		return 0
	}
	return max(0, c.Records.Failed-len(c.Failures))
}

// Failure says why one record of an upload was not applied.
type Failure struct {
	// Record is the record's position, from 0.
	Record int `json:"record"`
	// IDs are the ids that the record carried, by the names of their fields.
	IDs     map[string]string `json:"ids,omitempty"`
	Code    core.Code         `json:"code"`
	Field   string            `json:"field,omitempty"`
	Message string            `json:"message"`
}

// Options are how a Log keeps calls.
type Options struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Expire has calls expire by themselves, which is best where the table
	// removes expired items for nothing: Tidy then renews those that are to stay.
	// Otherwise they stay, and Tidy removes those that are not to.
	Expire bool
}

// Log is the log of API calls of all workspaces.
type Log struct {
	table    table.Table
	families []string
	now      func() time.Time
	expire   bool
	last     atomic.Int64 // the latest stamp given
}

// New returns the log in a table. families are all that calls may be about.
func New(t table.Table, families []string, o Options) *Log {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Log{table: t, families: families, now: o.Now, expire: o.Expire}
}

// Where a call lies within its key and family: writes that succeeded, writes
// that failed, and everything else.
const (
	succeeded = "w"
	failed    = "f"
	read      = "r"
)

func (c *Call) outcome() string {
	switch {
	case c.Kind == Read:
		return read
	case c.Success:
		return succeeded
	}
	return failed
}

// place is a partition of the log.
type place struct{ key, family, outcome string }

func (p place) partition(workspace string) string {
	return workspace + "/calls/" + p.key + "/" + p.family + "/" + p.outcome
}

// A sort key is the time in epoch µs and a random number, both in hexadecimal.
const (
	stampDigits  = 14
	randomDigits = 16
)

// stamp returns a time in epoch µs, later than any it has returned before: calls
// of one process stay in their order.
func (l *Log) stamp(at time.Time) int64 {
	for {
		last := l.last.Load()
		next := max(at.UnixMicro(), last+1)
		if l.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// stamped returns the time in a sort key, in epoch µs.
func stamped(sort string) int64 {
	n, _ := strconv.ParseInt(sort[:stampDigits], 16, 64)
	return n
}

// lifetime is how long a call is kept at least where calls expire.
const lifetime = 7 * 24 * time.Hour

func (l *Log) expiry() int64 {
	if !l.expire {
		return 0
	}
	return l.now().Add(lifetime).UnixMilli()
}

// Op returns the one write that records a call whose answer was ready at that
// time, for those who write several at once.
func (l *Log) Op(workspace string, at time.Time, c Call) (table.Op, error) {
	body, err := c.encode()
	if err != nil {
		return table.Op{}, err
	}
	var random [randomDigits / 2]byte
	rand.Read(random[:])
	stamp := l.stamp(at)
	return table.Put(table.Item{
		Key: table.Key{
			Partition: place{c.KeyID, c.Family, c.outcome()}.partition(workspace),
			Sort:      fmt.Sprintf("%0*x", stampDigits, stamp) + hex.EncodeToString(random[:]),
		},
		Version: stamp, Expires: l.expiry(), Body: body,
	}, table.Condition{}), nil
}

// Record records a call whose answer is ready now.
func (l *Log) Record(ctx context.Context, workspace string, c Call) error {
	op, err := l.Op(workspace, l.now(), c)
	if err != nil {
		return err
	}
	return errors.Join(l.table.Write(ctx, []table.Op{op}, nil)...)
}

// id returns the id of the call with that sort key.
func (p place) id(sort string) string {
	return sort + "." + p.outcome + "." + p.family + "." + p.key
}

// parseID returns where the call of that id lies, in whatever workspace, if it
// is the id of one.
func (l *Log) parseID(id string) (p place, sort string, ok bool) {
	parts := strings.Split(id, ".")
	if len(parts) != 4 || len(parts[0]) != stampDigits+randomDigits {
		return p, "", false
	}
	sort = parts[0]
	p = place{key: parts[3], family: parts[2], outcome: parts[1]}
	for _, known := range l.places([]string{p.key}) {
		if known == p {
			return p, sort, plain(p.key) && plain(sort)
		}
	}
	return p, "", false
}

// plain reports whether text can be part of an id: whatever else could lead out
// of the workspace's partitions.
func plain(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '_' && r != '-'
	})
}

// withCSV adds to the ids of keys what stands in the place of one.
func withCSV(keyIDs []string) []string {
	if slices.Contains(keyIDs, CSV) {
		return keyIDs
	}
	return append(slices.Clip(keyIDs), CSV)
}

// places returns the partitions of keys.
func (l *Log) places(keyIDs []string) []place {
	all := make([]place, 0, len(keyIDs)*len(l.families)*3)
	for _, key := range keyIDs {
		for _, family := range l.families {
			for _, outcome := range []string{succeeded, failed, read} {
				all = append(all, place{key, family, outcome})
			}
		}
	}
	return all
}
