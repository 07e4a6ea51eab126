// Package usage takes the events by which a product tells what its users do (the
// Usage Event API, contract E1 to E6), counts them, and says what was counted.
//
// Events are written down as they came, many in one item, and only then is the
// sender told that they arrived: that item is the log. Everything else follows
// from it, driven by the change feed. Folding an item of the log adds its events
// to what is counted of their users, accounts and days. The item of a user's day
// remembers which events are in it, and is written in one transaction with the
// totals above it: an event that comes twice, whether its sender or the feed
// repeats it, counts once, and what is counted of an account is always what is
// counted of its users.
//
// Events whose account is not known yet wait, and are folded once it is.
package usage

import (
	"context"
	"sync"
	"time"

	"tenure/core"
	"tenure/core/resource"
	"tenure/core/table"
)

const (
	// Window is how old an event may be when it arrives. What is remembered of a
	// day is remembered for longer, so that no event counts twice however late it is
	// repeated.
	Window = 366 * 24 * time.Hour
	// ahead is how far an event may lie in the future: clocks differ.
	ahead = 24 * time.Hour
	// DefaultKept is how long events are kept as they came.
	DefaultKept = 90 * 24 * time.Hour
	// maxEvent is the largest event, in bytes of JSON.
	maxEvent = 64 << 10
	// maxText is how many characters ids and names have at most.
	maxText = 256
	// maxDuration is the longest time that one event may tell of, in ms.
	maxDuration = 31 * day
	// maxTotal is the largest total of one event.
	maxTotal = 1e9

	day = int64(24 * time.Hour / time.Millisecond)
)

// Config is what a store works with.
type Config struct {
	Table  table.Table
	Engine *resource.Engine
	// Kept is how long events are kept as they came; 0 for DefaultKept.
	Kept time.Duration
	// Now is the clock; nil for time.Now.
	Now func() time.Time
	// Counting, if set, is told of the accounts of a workspace of which events are about
	// to be counted. If it fails, they are counted later.
	Counting func(ctx context.Context, workspace string, accounts []string) error
}

// Store takes the events of all workspaces, and keeps what is counted of them.
type Store struct {
	Config
	// sought is, by workspace, up to where the last Tick has looked for what events
	// wait for.
	sought sync.Map
}

// New returns a store.
func New(c Config) *Store {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Kept == 0 {
		c.Kept = DefaultKept
	}
	return &Store{Config: c}
}

// now returns the clock's time in epoch ms.
func (s *Store) now() int64 { return s.Now().UnixMilli() }

// version returns a version later than old.
func (s *Store) version(old int64) int64 { return max(old+1, s.Now().UnixMicro()) }

// dayOf returns the number of the day, from 1970-01-01, that an instant (epoch ms)
// lies in.
func dayOf(at int64) int { return int(at / day) }

func refuse(code core.Code, field, message string) *core.Failure {
	return &core.Failure{Code: code, Field: field, Message: message}
}

// Settings are what a workspace has chosen.
type Settings struct {
	// CreateAccounts has identifyAccount make accounts that do not exist (contract
	// E4).
	CreateAccounts bool `json:"create_accounts"`
}

func settingsKey(workspace string) table.Key {
	return table.Key{Partition: workspace + "/usage/settings", Sort: "settings"}
}

// Settings returns what a workspace has chosen.
func (s *Store) Settings(ctx context.Context, workspace string) (Settings, error) {
	var chosen Settings
	_, err := s.load(ctx, settingsKey(workspace), &chosen)
	return chosen, err
}

// SetSettings says what a workspace chooses.
func (s *Store) SetSettings(ctx context.Context, workspace string, chosen Settings) error {
	return s.store(ctx, settingsKey(workspace), chosen)
}
