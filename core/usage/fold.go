package usage

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"tenure/core/table"
)

const (
	// allShards is over how many items the totals of a workspace's day are spread.
	allShards = 8
	// foldTogether is how many users' days are taken up in one transaction at first,
	// maxOps how many operations and maxBytes how many bytes it may have; if it has
	// more, it is made two.
	foldTogether = 40
	maxOps       = table.MaxTransactOps - 4
	maxBytes     = table.MaxTransactBytes * 3 / 4
	// digestsInItem is how many digests of events the item of a user's day holds: when
	// there are more, all go into an item of their own. digestsInPart is how many one
	// of those holds.
	digestsInItem = 1000
	digestsInPart = 10_000
	// followTogether is how many events are counted together, if there are so many: those
	// of one user, account and day are then written at once.
	followTogether = 20_000
	// foldTries is how often a transaction is tried that loses races.
	foldTries = 50
)

// userDay is the body of the item of a user's day.
type userDay struct {
	Counts Counts `json:"c"`
	// Digests are those of the events that are counted, eight bytes each, as base64;
	// Parts is how many items hold more of them.
	Digests string `json:"d,omitempty"`
	Parts   int    `json:"p,omitempty"`
	// Sessions are digests of the sessions.
	Sessions string `json:"s,omitempty"`
}

// totals is the body of the item of a day of an account, or of a shard of a
// workspace.
type totals struct {
	Counts Counts `json:"c"`
	Users  tally  `json:"u"`
	// Accounts is kept of workspaces alone.
	Accounts tally `json:"a,omitzero"`
}

// place is a user of an account.
type place struct{ account, user string }

func (p place) digest() string { return table.Digest(p.account + "\x00" + p.user) }

func sortDay(day int) string { return fmt.Sprintf("%06d", day) }

func userDayKey(workspace string, p place, day int) table.Key {
	return table.Key{Partition: workspace + "/usage/user/" + p.digest(), Sort: sortDay(day)}
}

// partKey is where older digests of a user's day are.
func partKey(workspace string, p place, day, n int) table.Key {
	return table.Key{Partition: workspace + "/usage/counted/" + p.digest(), Sort: sortDay(day) + "/" + fmt.Sprintf("%04d", n)}
}

func userHeadKey(workspace string, p place) table.Key {
	return table.Key{Partition: workspace + "/usage/users/" + table.Digest(p.account), Sort: table.Digest(p.user)}
}

func accountDayKey(workspace, account string, day int) table.Key {
	return table.Key{Partition: workspace + "/usage/account/" + table.Digest(account), Sort: sortDay(day)}
}

func accountHeadKey(workspace, account string) table.Key {
	return table.Key{Partition: workspace + "/usage/accounts/" + strconv.Itoa(shardOf(account)), Sort: table.Digest(account)}
}

func allDayKey(workspace string, shard, day int) table.Key {
	return table.Key{Partition: workspace + "/usage/all/" + strconv.Itoa(shard), Sort: sortDay(day)}
}

func shardOf(account string) int {
	h := fnv.New32a()
	h.Write([]byte(account))
	return int(h.Sum32() % allShards)
}

// unit is what is to be added to the day of a user.
type unit struct {
	place
	day    int
	events []*Event
}

// Follow folds the items of the log that changes of the feed tell of. It returns one
// error for each change, nil where it was taken up; nil altogether when all were.
func (s *Store) Follow(ctx context.Context, changes []table.Change) []error {
	byWorkspace := map[string][]int{}
	for i := range changes {
		if workspace, ok := logItem(changes[i].Key()); ok && changes[i].New != nil {
			byWorkspace[workspace] = append(byWorkspace[workspace], i)
		}
	}
	var errs []error
	fail := func(i int, err error) {
		if errs == nil {
			errs = make([]error, len(changes))
		}
		errs[i] = err
	}
	for workspace, of := range byWorkspace {
		for len(of) > 0 {
			var events []*Event
			var taken []int
			for len(of) > 0 && len(events) < followTogether {
				i := of[0]
				of = of[1:]
				some, _, err := unpack(changes[i].New.Body)
				if err != nil {
					fail(i, fmt.Errorf("item %v of the log cannot be read: %w", changes[i].Key(), err))
					continue
				}
				for _, e := range some {
					e.from = table.Digest(changes[i].Key().Sort)
				}
				taken, events = append(taken, i), append(events, some...)
			}
			if err := s.fold(ctx, workspace, events); err != nil {
				for _, i := range taken {
					fail(i, err)
				}
			}
		}
	}
	return errs
}

// fold counts events, and has those wait whose account is not known.
func (s *Store) fold(ctx context.Context, workspace string, events []*Event) error {
	waiting, err := s.resolve(ctx, workspace, events)
	if err != nil {
		return err
	}
	if err := s.count(ctx, workspace, events); err != nil {
		return err
	}
	return s.wait(ctx, workspace, waiting)
}

// count adds events whose account is known to what is counted.
func (s *Store) count(ctx context.Context, workspace string, events []*Event) error {
	type of struct {
		place
		day int
	}
	byDay := map[of]*unit{}
	var units []*unit
	for _, e := range events {
		if e.AccountID == "" {
			continue
		}
		at := of{place{e.AccountID, e.UserID}, dayOf(e.CreatedAt)}
		u := byDay[at]
		if u == nil {
			u = &unit{place: at.place, day: at.day}
			byDay[at] = u
			units = append(units, u)
		}
		u.events = append(u.events, e)
	}
	// Those that share totals go together, and those of a shard after each other.
	slices.SortFunc(units, func(a, b *unit) int {
		if d := shardOf(a.account) - shardOf(b.account); d != 0 {
			return d
		}
		if d := strings.Compare(a.account, b.account); d != 0 {
			return d
		}
		if d := a.day - b.day; d != 0 {
			return d
		}
		return strings.Compare(a.user, b.user)
	})
	if s.Counting != nil && len(units) > 0 {
		var accounts []string // in the order of the units
		for _, u := range units {
			if n := len(accounts); n == 0 || accounts[n-1] != u.account {
				accounts = append(accounts, u.account)
			}
		}
		if err := s.Counting(ctx, workspace, accounts); err != nil {
			return err
		}
	}
	var group errgroup.Group
	group.SetLimit(allShards)
	for len(units) > 0 {
		n := 1
		for n < len(units) && shardOf(units[n].account) == shardOf(units[0].account) {
			n++
		}
		shard := units[:n]
		units = units[n:]
		group.Go(func() error {
			for some := range slices.Chunk(shard, foldTogether) {
				if err := s.countTogether(ctx, workspace, some); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// countTogether counts units in one transaction, or in several where it would be too
// large.
func (s *Store) countTogether(ctx context.Context, workspace string, units []*unit) error {
	for attempt := 0; ; attempt++ {
		t := &tallying{Store: s, workspace: workspace, items: map[table.Key]*entry{}}
		if err := t.read(ctx, units); err != nil {
			return err
		}
		ops, size, err := t.ops()
		if err != nil || len(ops) == 0 {
			return err
		}
		if len(units) > 1 && (len(ops) > maxOps || size > maxBytes) {
			half := len(units) / 2
			if err := s.countTogether(ctx, workspace, units[:half]); err != nil {
				return err
			}
			return s.countTogether(ctx, workspace, units[half:])
		}
		err = s.Table.Transact(ctx, ops, nil)
		if !errors.Is(err, table.ErrConflict) || attempt == foldTries {
			return err
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// tallying is the counting of some units.
type tallying struct {
	*Store
	workspace string
	items     map[table.Key]*entry
	order     []table.Key
	parts     []table.Op
}

// entry is an item on its way through a transaction.
type entry struct {
	version int64 // as read, 0 for none
	body    any
	changed bool
}

// get reads items that have not been read yet, each into what fresh returns.
func (t *tallying) get(ctx context.Context, keys []table.Key, fresh func() any) error {
	var unread []table.Key
	for _, key := range keys {
		if t.items[key] == nil {
			t.items[key] = &entry{}
			unread = append(unread, key)
		}
	}
	items, err := t.Table.Get(ctx, unread, true)
	if err != nil {
		return err
	}
	for i := range items {
		e := t.items[unread[i]]
		e.body, e.version = fresh(), items[i].Version
		t.order = append(t.order, unread[i])
		if items[i].Exists() {
			if err := json.Unmarshal(items[i].Body, e.body); err != nil {
				return fmt.Errorf("item %v: %w", unread[i], err)
			}
		}
	}
	return nil
}

func newUserDay() any { return &userDay{} }
func newTotals() any  { return &totals{} }
func newHead() any    { return &head{} }

// at returns an item that was read, to be changed.
func at[T any](t *tallying, key table.Key) T {
	e := t.items[key]
	e.changed = true
	return e.body.(T)
}

// adding is what a unit adds that was not counted before.
type adding struct {
	*unit
	key    table.Key
	counts Counts
	// before and after are the days before and after this one on which the user was
	// active, if this one is new; 0 for none.
	isNew         bool
	before, after int
}

// read reads what units are to be added to, and adds them.
func (t *tallying) read(ctx context.Context, units []*unit) error {
	days := make([]table.Key, len(units))
	for i, u := range units {
		days[i] = userDayKey(t.workspace, u.place, u.day)
	}
	if err := t.get(ctx, days, newUserDay); err != nil {
		return err
	}
	known, err := t.digests(ctx, units, days)
	if err != nil {
		return err
	}
	var all []*adding
	var heads, accountDays, allDays []table.Key
	for i, u := range units {
		if a := t.userDay(u, days[i], known[i]); a != nil {
			all = append(all, a)
			if a.isNew {
				heads = append(heads, userHeadKey(t.workspace, u.place))
			}
		}
	}
	if err := t.get(ctx, heads, newHead); err != nil {
		return err
	}
	for _, a := range all {
		if a.isNew {
			h := at[*head](t, userHeadKey(t.workspace, a.place))
			h.ID = a.user
			a.before, a.after, _ = h.add(a.day)
		}
		for _, day := range []int{a.day, a.after} {
			if day != 0 {
				accountDays = append(accountDays, accountDayKey(t.workspace, a.account, day))
				allDays = append(allDays, allDayKey(t.workspace, shardOf(a.account), day))
			}
		}
	}
	if err := t.get(ctx, accountDays, newTotals); err != nil {
		return err
	}
	if err := t.get(ctx, allDays, newTotals); err != nil {
		return err
	}
	return t.add(ctx, all)
}

// digests returns those of the events that are counted of units already.
func (t *tallying) digests(ctx context.Context, units []*unit, days []table.Key) ([]map[uint64]bool, error) {
	known := make([]map[uint64]bool, len(units))
	var keys []table.Key
	var of []int
	for i, u := range units {
		day := t.items[days[i]].body.(*userDay)
		known[i] = map[uint64]bool{}
		if err := addDigests(known[i], day.Digests); err != nil {
			return nil, err
		}
		for n := range day.Parts {
			keys, of = append(keys, partKey(t.workspace, u.place, u.day, n)), append(of, i)
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), 100)
		items, err := t.Table.Get(ctx, keys[:n], true)
		if err != nil {
			return nil, err
		}
		for i := range items {
			var text string
			if err := json.Unmarshal(items[i].Body, &text); err != nil {
				return nil, fmt.Errorf("item %v: %w", keys[i], err)
			}
			if err := addDigests(known[of[i]], text); err != nil {
				return nil, err
			}
		}
		keys, of = keys[n:], of[n:]
	}
	return known, nil
}

func addDigests(to map[uint64]bool, text string) error {
	raw, err := base64.RawStdEncoding.DecodeString(text)
	for ; len(raw) >= 8; raw = raw[8:] {
		to[binary.BigEndian.Uint64(raw)] = true
	}
	return err
}

func digestsText(digests []uint64) string {
	raw := make([]byte, 0, 8*len(digests))
	for _, d := range digests {
		raw = binary.BigEndian.AppendUint64(raw, d)
	}
	return base64.RawStdEncoding.EncodeToString(raw)
}

// userDay adds to the day of a user those events of a unit that are not counted yet;
// nil if all are.
func (t *tallying) userDay(u *unit, key table.Key, known map[uint64]bool) *adding {
	a := &adding{unit: u, key: key, isNew: t.items[key].version == 0 && u.user != ""}
	var fresh []uint64
	d := t.items[key].body.(*userDay)
	sessions := map[uint64]bool{}
	_ = addDigests(sessions, d.Sessions) // what was written here can be read
	var begun []uint64
	for _, e := range u.events {
		if known[e.digest] {
			continue
		}
		known[e.digest] = true
		fresh = append(fresh, e.digest)
		a.counts.add(e)
		if e.SessionID != "" {
			if id := digestText(e.SessionID); !sessions[id] {
				sessions[id] = true
				begun = append(begun, id)
			}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	a.counts.Sessions = int64(len(begun))
	t.items[key].changed = true
	d.Counts.merge(&a.counts, userNames)
	d.Sessions = append64(d.Sessions, begun)
	if held := base64.RawStdEncoding.DecodedLen(len(d.Digests)) / 8; held+len(fresh) <= digestsInItem {
		d.Digests = append64(d.Digests, fresh)
		return a
	}
	older := map[uint64]bool{}
	_ = addDigests(older, d.Digests)
	for digest := range older {
		fresh = append(fresh, digest)
	}
	d.Digests = ""
	for part := range slices.Chunk(fresh, digestsInPart) {
		body := strconv.Quote(digestsText(part))
		t.parts = append(t.parts, table.Put(table.Item{Key: partKey(t.workspace, u.place, u.day, d.Parts), Version: t.version(0), Body: []byte(body)}, table.Condition{}))
		d.Parts++
	}
	return a
}

// append64 appends digests to their text.
func append64(text string, digests []uint64) string {
	raw, _ := base64.RawStdEncoding.DecodeString(text)
	for _, d := range digests {
		raw = binary.BigEndian.AppendUint64(raw, d)
	}
	return base64.RawStdEncoding.EncodeToString(raw)
}

func digestText(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

// add adds what is new to the totals.
func (t *tallying) add(ctx context.Context, all []*adding) error {
	// An account is active on a day for the first time where there are no totals yet.
	newDays := map[table.Key]*adding{}
	var heads []table.Key
	for _, a := range all {
		key := accountDayKey(t.workspace, a.account, a.day)
		if t.items[key].version == 0 && newDays[key] == nil {
			newDays[key] = a
			heads = append(heads, accountHeadKey(t.workspace, a.account))
		}
	}
	if err := t.get(ctx, heads, newHead); err != nil {
		return err
	}
	var after []table.Key
	type gaps struct {
		a             *adding
		before, after int
	}
	var accountGaps []gaps
	for _, a := range all { // in their order, so that the outcome is the same every time
		if newDays[accountDayKey(t.workspace, a.account, a.day)] != a {
			continue
		}
		h := at[*head](t, accountHeadKey(t.workspace, a.account))
		h.ID = a.account
		g := gaps{a: a}
		g.before, g.after, _ = h.add(a.day)
		if g.after != 0 {
			after = append(after, allDayKey(t.workspace, shardOf(a.account), g.after))
		}
		accountGaps = append(accountGaps, g)
	}
	if err := t.get(ctx, after, newTotals); err != nil {
		return err
	}
	for _, g := range accountGaps {
		shard := shardOf(g.a.account)
		move(&at[*totals](t, allDayKey(t.workspace, shard, g.a.day)).Accounts, nil, g.a.day, g.before, g.after)
		if g.after != 0 {
			move(nil, &at[*totals](t, allDayKey(t.workspace, shard, g.after)).Accounts, g.a.day, g.before, g.after)
		}
	}
	for _, a := range all {
		shard := shardOf(a.account)
		for _, key := range []table.Key{accountDayKey(t.workspace, a.account, a.day), allDayKey(t.workspace, shard, a.day)} {
			of := at[*totals](t, key)
			of.Counts.merge(&a.counts, totalNames)
			if a.isNew {
				move(&of.Users, nil, a.day, a.before, a.after)
			}
		}
		if a.isNew && a.after != 0 {
			for _, key := range []table.Key{accountDayKey(t.workspace, a.account, a.after), allDayKey(t.workspace, shard, a.after)} {
				move(nil, &at[*totals](t, key).Users, a.day, a.before, a.after)
			}
		}
	}
	return nil
}

// move notes in the tallies of a day that is new and of the one after it what changes
// of the gaps.
func move(of, next *tally, day, before, after int) {
	if of != nil {
		of.Active++
		if before != 0 {
			of.gap(day-before, 1)
		}
	}
	if next != nil {
		if before != 0 && after-before <= maxGap {
			next.gap(after-before, -1)
		}
		next.gap(after-day, 1)
	}
}

// ops returns the writes of what has changed, and how many bytes they have.
func (t *tallying) ops() (ops []table.Op, size int, err error) {
	for _, key := range t.order {
		e := t.items[key]
		if !e.changed {
			continue
		}
		body, err := json.Marshal(e.body)
		if err != nil {
			return nil, 0, err
		}
		cond := table.Absent()
		if e.version != 0 {
			cond = table.VersionIs(e.version)
		}
		ops = append(ops, table.Put(table.Item{Key: key, Version: t.version(e.version), Body: body}, cond))
		size += len(body)
	}
	for _, op := range t.parts {
		ops = append(ops, op)
		size += len(op.Item.Body)
	}
	return ops, size, nil
}
