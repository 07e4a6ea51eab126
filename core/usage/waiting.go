package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/core"
	"tenure/core/people"
	"tenure/core/resource"
	"tenure/core/table"
)

// Awaited is what events wait for.
type Awaited struct {
	// Kind is "user" or "account"; ID is the id that the events carry.
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

const (
	forUser    = "user"
	forAccount = "account"
	// lookedUpAtOnce is how many users are looked up at the same time.
	lookedUpAtOnce = 8
)

// waitingChunk is the body of an item of events that wait for the same.
type waitingChunk struct {
	Awaited
	// Why says what is wrong, for people.
	Why string `json:"why"`
	// First and Last are when the first and last of them happened, in epoch ms.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	chunk
}

func waitingPartition(workspace string, shard int) string {
	return workspace + "/usage/waiting/" + strconv.Itoa(shard)
}

func (w Awaited) key(workspace, name string) table.Key {
	return table.Key{Partition: waitingPartition(workspace, shardOf(w.ID)), Sort: table.Digest(w.Kind+"\x00"+w.ID) + "/" + name}
}

// resolve finds the accounts of events, which it sets, and returns those that have
// none, by what they wait for. It clears the account of an event where that does not
// exist.
func (s *Store) resolve(ctx context.Context, workspace string, events []*Event) (map[Awaited]*waitingEvents, error) {
	accounts, users := map[string]bool{}, map[string]string{}
	why := map[Awaited]string{}
	for _, e := range events {
		if e.AccountID != "" {
			accounts[e.AccountID] = false
		} else {
			users[e.UserID] = ""
		}
	}
	var group errgroup.Group
	group.SetLimit(lookedUpAtOnce)
	found := make(chan struct {
		user, account, why string
	}, len(users))
	for user := range users {
		group.Go(func() error {
			account, failure, err := s.AccountOf(ctx, workspace, user)
			reason := ""
			if failure != nil {
				reason = failure.Message
			}
			found <- struct{ user, account, why string }{user, account, reason}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	close(found)
	for f := range found {
		users[f.user] = f.account
		if f.account == "" {
			why[Awaited{forUser, f.user}] = f.why
		}
	}
	ids := make([]string, 0, len(accounts))
	for id := range accounts {
		ids = append(ids, id)
	}
	exist, err := s.Engine.AccountsExist(ctx, workspace, ids)
	if err != nil {
		return nil, err
	}
	waiting := map[Awaited]*waitingEvents{}
	for _, e := range events {
		w := Awaited{}
		switch {
		case e.AccountID == "":
			if e.AccountID = users[e.UserID]; e.AccountID != "" {
				continue
			}
			w = Awaited{forUser, e.UserID}
		case exist[e.AccountID]:
			continue
		default:
			w = Awaited{forAccount, e.AccountID}
			why[w] = "There is no account '" + e.AccountID + "'"
			e.AccountID = ""
		}
		if waiting[w] == nil {
			waiting[w] = &waitingEvents{why: why[w]}
		}
		waiting[w].events = append(waiting[w].events, e)
	}
	return waiting, nil
}

// waitingEvents are events that wait for the same.
type waitingEvents struct {
	why    string
	events []*Event
}

// AccountOf returns the account that events of a user are counted of where they name
// none: the one that the user belongs to. Where there is none, or more than one, the failure
// says so.
func (s *Store) AccountOf(ctx context.Context, workspace, user string) (account string, failure *core.Failure, err error) {
	records, err := s.Engine.Read(ctx, resource.Target{Workspace: workspace, Family: people.Users, ID: user})
	if err != nil {
		return "", nil, err
	}
	active := people.Users.Schema.Ordinal("is_active")
	var of, inactive []string
	for _, r := range records {
		if r[active].Given() && !r[active].True() {
			inactive = append(inactive, r[people.Users.Account].Text())
		} else {
			of = append(of, r[people.Users.Account].Text())
		}
	}
	if len(of) == 0 {
		of = inactive
	}
	switch len(of) {
	case 0:
		return "", refuse(core.NotFound, "user_id", "There is no user '"+user+"'"), nil
	case 1:
		return of[0], nil, nil
	}
	slices.Sort(of)
	return "", refuse(core.NotUnique, "account_id", fmt.Sprintf("The user '%s' belongs to several accounts, such as '%s' and '%s'", user, of[0], of[1])), nil
}

// wait keeps events until what they wait for is there.
func (s *Store) wait(ctx context.Context, workspace string, waiting map[Awaited]*waitingEvents) error {
	var ops []table.Op
	for w, of := range waiting {
		// Each has its place by where it comes from, so that what the feed tells twice
		// waits once.
		byItem := map[string][]*Event{}
		for _, e := range of.events {
			byItem[e.from] = append(byItem[e.from], e)
		}
		for from, events := range byItem {
			for i, c := range pack(events, s.now()) {
				kept := waitingChunk{Awaited: w, Why: of.why, chunk: c}
				for _, e := range events {
					if kept.First == 0 || e.CreatedAt < kept.First {
						kept.First = e.CreatedAt
					}
					kept.Last = max(kept.Last, e.CreatedAt)
				}
				body, err := json.Marshal(kept)
				if err != nil {
					return err
				}
				ops = append(ops, table.Put(table.Item{
					Key: w.key(workspace, fmt.Sprintf("%s/%04d", from, i)), Version: s.version(0), Expires: s.Now().Add(Window).UnixMilli(), Body: body,
				}, table.Condition{}))
			}
		}
	}
	for group := range slices.Chunk(ops, 100) {
		if err := errors.Join(s.Table.Write(ctx, group, nil)...); err != nil {
			return err
		}
	}
	// What they wait for may have appeared since it was looked for, and whoever made it
	// appear did not see them wait.
	for w := range waiting {
		if _, err := s.attach(ctx, workspace, w); err != nil {
			return err
		}
	}
	return nil
}

// attach counts the events that wait for something, if it is there by now, and
// reports how many it has counted.
func (s *Store) attach(ctx context.Context, workspace string, w Awaited) (attached int, err error) {
	there := false
	if w.Kind == forAccount {
		exist, err := s.Engine.AccountsExist(ctx, workspace, []string{w.ID})
		if err != nil {
			return 0, err
		}
		there = exist[w.ID]
	} else {
		account, _, err := s.AccountOf(ctx, workspace, w.ID)
		if err != nil {
			return 0, err
		}
		there = account != ""
	}
	if !there {
		return 0, nil
	}
	prefix := w.key(workspace, "")
	for {
		items, err := s.Table.Query(ctx, table.Query{Partition: prefix.Partition, Prefix: prefix.Sort, Limit: 10, Consistent: true})
		if err != nil || len(items) == 0 {
			return attached, err
		}
		for i := range items {
			events, _, err := unpack(items[i].Body)
			if err != nil {
				return attached, err
			}
			if waiting, err := s.resolve(ctx, workspace, events); err != nil || len(waiting) > 0 {
				return attached, err // it has gone again
			}
			if err := s.count(ctx, workspace, events); err != nil {
				return attached, err
			}
			attached += len(events)
			// They are counted: should they stay, they would be so only once.
			if err := errors.Join(s.Table.Write(ctx, []table.Op{table.Delete(items[i].Key, table.Condition{})}, nil)...); err != nil {
				return attached, err
			}
		}
	}
}

// Unattached are events that wait.
type Unattached struct {
	Awaited
	// Why says what is wrong, for people.
	Why string `json:"why"`
	// Count is how many events wait; First and Last are when the first and the last
	// happened, in epoch ms.
	Count int   `json:"count"`
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Unattached returns what events wait for, up to limit, and what to give as after for
// more; next is empty when there is no more.
func (s *Store) Unattached(ctx context.Context, workspace, after string, limit int) (all []Unattached, next string, err error) {
	shard, sort := 0, ""
	if after != "" {
		if n, err := fmt.Sscanf(after, "%d.%s", &shard, &sort); err != nil || n != 2 || shard < 0 {
			return nil, "", nil
		}
	}
	for ; shard < allShards; shard, sort = shard+1, "" {
		for {
			items, err := s.Table.Query(ctx, table.Query{Partition: waitingPartition(workspace, shard), After: sort, Limit: 1, Consistent: true})
			if err != nil {
				return nil, "", err
			}
			if len(items) == 0 {
				break
			}
			if len(all) == limit {
				if sort == "" {
					sort = "-"
				}
				return all, fmt.Sprintf("%d.%s", shard, sort), nil
			}
			of, last, err := s.waitingOf(ctx, items[0])
			if err != nil {
				return nil, "", err
			}
			all = append(all, of)
			sort = last
		}
	}
	return all, "", nil
}

// waitingOf sums up what waits for the same as an item, which is its first, and
// returns a sort key behind all of it.
func (s *Store) waitingOf(ctx context.Context, first table.Item) (of Unattached, last string, err error) {
	prefix := first.Sort[:len(table.Digest(""))+1]
	q := table.Query{Partition: first.Partition, Prefix: prefix, Limit: 20, Consistent: true}
	for {
		items, err := s.Table.Query(ctx, q)
		if err != nil {
			return of, "", err
		}
		for i := range items {
			var c waitingChunk
			if err := json.Unmarshal(items[i].Body, &c); err != nil {
				return of, "", err
			}
			of.Awaited, of.Why, of.Last, of.Count = c.Awaited, c.Why, max(of.Last, c.Last), of.Count+c.Count
			if of.First == 0 || c.First < of.First {
				of.First = c.First
			}
			q.After = items[i].Sort
		}
		if len(items) < q.Limit {
			return of, prefix + "~", nil
		}
	}
}

const (
	// soughtAtOnce is how many things that events wait for one Tick looks for.
	soughtAtOnce = 200
	// tickPatience is for how long one Tick takes up what was put off: a Tick of
	// another workspace may wait for it.
	tickPatience = 5 * time.Second
)

// Tick counts events of a workspace that were put off, and those that have waited
// where what they wait for is there by now. Each Tick looks for as many things as
// it has time for, those that come after the ones that the Tick before has looked
// for.
func (s *Store) Tick(ctx context.Context, workspace string) error {
	return errors.Join(s.takeUp(ctx, workspace), s.attachWaiting(ctx, workspace))
}

// attachWaiting counts events that have waited where what they wait for is there by now.
func (s *Store) attachWaiting(ctx context.Context, workspace string) error {
	after, _ := s.sought.Load(workspace)
	from, _ := after.(string)
	all, next, err := s.Unattached(ctx, workspace, from, soughtAtOnce)
	if err != nil {
		return err
	}
	for _, w := range all {
		if _, err := s.attach(ctx, workspace, w.Awaited); err != nil {
			return err
		}
	}
	s.sought.Store(workspace, next)
	return nil
}

func putOffPartition(workspace string) string { return workspace + "/usage/put-off" }

// PutOff has the events that a change of the feed tells of counted by a later Tick.
func (s *Store) PutOff(ctx context.Context, change table.Change) error {
	workspace, ok := logItem(change.Key())
	if !ok || change.New == nil {
		return nil
	}
	return s.store(ctx, table.Key{Partition: putOffPartition(workspace), Sort: change.Key().Sort}, change.Key())
}

// takeUp counts events that were put off, for as long as a Tick may take. Those that
// still cannot be counted stay, and hold up no others.
func (s *Store) takeUp(ctx context.Context, workspace string) error {
	var failed []error
	until := time.Now().Add(tickPatience)
	q := table.Query{Partition: putOffPartition(workspace), Limit: 10, Consistent: true}
	for {
		items, err := s.Table.Query(ctx, q)
		if err != nil {
			return err
		}
		for i := range items {
			if time.Now().After(until) {
				return errors.Join(failed...)
			}
			q.After = items[i].Sort
			var key table.Key
			if err := json.Unmarshal(items[i].Body, &key); err != nil {
				return err
			}
			logged, err := s.Table.Get(ctx, []table.Key{key}, true)
			if err != nil {
				return err
			}
			if logged[0].Exists() { // else it has expired
				if err := errors.Join(s.Follow(ctx, []table.Change{{New: &logged[0]}})...); err != nil {
					failed = append(failed, err)
					continue
				}
			}
			if err := errors.Join(s.Table.Write(ctx, []table.Op{table.Delete(items[i].Key, table.VersionIs(items[i].Version))}, nil)...); err != nil && !errors.Is(err, table.ErrConflict) {
				return err
			}
		}
		if len(items) < q.Limit {
			return errors.Join(failed...)
		}
	}
}
