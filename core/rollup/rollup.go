// Package rollup keeps what is derived from what is stored up to date: of an
// account's subscriptions its MRR, the ledger of MRR movements and its renewal date
// (contract S3 to S5), of usage events what is counted of them (core/usage), and of all
// that together the account's health (core/health). It is driven by the change feed, and by the clock for what changes by time
// alone. Whatever it is told of subscriptions, it derives the account concerned anew
// from what is stored, and an event counts once however often it is told of: so
// changes may come late, twice and in any order.
package rollup

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"tenure/core/accounts"
	"tenure/core/health"
	"tenure/core/resource"
	"tenure/core/revenue"
	"tenure/core/schema"
	"tenure/core/subscriptions"
	"tenure/core/table"
	"tenure/core/usage"
)

// Rollup keeps derived values up to date. It is safe for concurrent use.
type Rollup struct {
	engine *resource.Engine
	usage  *usage.Store
	health *health.Store
	table  table.Table
	due    due
}

// New returns a rollup of the records of engine and of the events of usage, which from
// now on tells it of what it counts.
func New(engine *resource.Engine, usage *usage.Store) *Rollup {
	r := &Rollup{engine: engine, usage: usage, table: usage.Table, health: health.NewStore(usage.Table, usage.Now)}
	usage.Counting = func(ctx context.Context, workspace string, accounts []string) error {
		return r.assessSoon(ctx, workspace, accounts, rarely)
	}
	return r
}

const (
	// ahead is how many future states of an account's revenue are kept with it:
	// until the last of them it is right without the clock.
	ahead = 16
	// dueAtOnce is how many due accounts are taken up at a time.
	dueAtOnce = 100
	// postponed is after how long an account that failed is derived again.
	postponed = time.Minute
)

// account names an account of a workspace.
type account struct{ workspace, id string }

// Concerns reports whether changes of the item with that key matter to Changes.
func Concerns(key table.Key) bool {
	_, family := familyItem(key)
	return assessed(family) || Bulk(key)
}

// Bulk reports whether changes of the item with that key, which matter to Changes,
// come in bulk: those of usage events. Whoever has them followed apart from the
// others has a backlog of them hold up nothing else.
func Bulk(key table.Key) bool { return usage.Concerns(key) }

// subscriptionItem returns the workspace of the key of a subscription's item.
func subscriptionItem(key table.Key) (workspace string, ok bool) {
	workspace, family := familyItem(key)
	return workspace, family == subscriptions.Family.Schema.Name
}

// Changes derives the accounts that changes of the feed concern, has their health
// assessed, and counts the events that changes tell of. It returns one error for each change, nil where all
// that follows from it is up to date; nil altogether when everything is.
func (r *Rollup) Changes(ctx context.Context, changes []table.Change) []error {
	failed := r.subscriptions(ctx, changes)
	// What comes in bulk comes last.
	for _, follow := range []func(context.Context, []table.Change) []error{r.healthOf, r.usage.Follow} {
		for i, err := range follow(ctx, changes) {
			if err == nil {
				continue
			}
			if failed == nil {
				failed = make([]error, len(changes))
			}
			failed[i] = errors.Join(failed[i], err)
		}
	}
	return failed
}

// subscriptions derives the accounts that changes of subscriptions concern, and
// returns errors as Changes does.
func (r *Rollup) subscriptions(ctx context.Context, changes []table.Change) []error {
	at := map[account][]int{} // the changes that concern an account
	var order []account
	for i := range changes {
		workspace, ok := subscriptionItem(changes[i].Key())
		if !ok {
			continue
		}
		for _, image := range []*table.Item{changes[i].Old, changes[i].New} {
			id, known := r.engine.AccountIn(subscriptions.Family, image)
			if !known {
				continue
			}
			a := account{workspace, id}
			if n := len(at[a]); n == 0 {
				order = append(order, a)
			} else if at[a][n-1] == i {
				continue
			}
			at[a] = append(at[a], i)
		}
	}
	failed := r.derive(ctx, order)
	var errs []error
	for a, err := range failed {
		for _, i := range at[a] {
			if errs == nil {
				errs = make([]error, len(changes))
			}
			errs[i] = errors.Join(errs[i], err)
		}
	}
	return errs
}

// Follow does as Changes for as long as patience allows. What fails is put off:
// Tick derives its accounts, and TickUsage counts its events, again after a
// while. So it holds up no other; putOff is told of its changes. It returns one error for
// each change, not nil where not even that was possible: the change has to come
// again. It is nil altogether when none has to.
func (r *Rollup) Follow(ctx context.Context, changes []table.Change, patience time.Duration, putOff func(change table.Change, err error)) []error {
	deriving, cancel := context.WithTimeout(ctx, patience)
	errs := r.Changes(deriving, changes)
	cancel()
	if errs == nil || ctx.Err() != nil {
		return errs
	}
	again := false
	for i, err := range errs {
		if err == nil {
			continue
		}
		if errs[i] = r.postpone(ctx, changes[i]); errs[i] == nil {
			putOff(changes[i], err)
		}
		again = again || errs[i] != nil
	}
	if !again {
		return nil
	}
	return errs
}

// postpone has the accounts that a change concerns derived and assessed, or its events
// counted, again after a while.
func (r *Rollup) postpone(ctx context.Context, change table.Change) error {
	workspace, family := familyItem(change.Key())
	if !assessed(family) {
		return r.usage.PutOff(ctx, change)
	}
	var later []resource.Due
	for _, id := range r.concerned(change) {
		later = append(later, resource.Due{Account: id, At: r.later()})
	}
	err := r.engine.Wake(ctx, workspace, resource.Assessments, later...)
	if family == subscriptions.Family.Schema.Name {
		err = errors.Join(err, r.engine.Wake(ctx, workspace, resource.Derivations, later...))
	}
	return err
}

// later is when an account that failed is due again, in epoch ms.
func (r *Rollup) later() int64 { return r.engine.Now() + postponed.Milliseconds() }

// Tick derives the accounts of a workspace whose values have changed by time
// alone, and returns how many those were.
func (r *Rollup) Tick(ctx context.Context, workspace string) (int, error) {
	due, err := r.engine.Due(ctx, workspace, resource.Derivations, dueAtOnce)
	if err != nil {
		return 0, err
	}
	var order []account
	for _, d := range due {
		if a := (account{workspace, d.Account}); !slices.Contains(order, a) {
			order = append(order, a)
		}
	}
	failed := r.derive(ctx, order)
	var errs []error
	for a, err := range failed {
		errs = append(errs, fmt.Errorf("account %q: %w", a.id, err))
	}
	for _, d := range due {
		if failed[account{workspace, d.Account}] != nil { // later, so that it holds up no other
			if err := r.engine.Wake(ctx, workspace, resource.Derivations, resource.Due{Account: d.Account, At: r.later()}); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		errs = append(errs, r.engine.Done(ctx, d))
	}
	return len(order) - len(failed), errors.Join(errs...)
}

// TickAll is Tick until none is left.
func (r *Rollup) TickAll(ctx context.Context, workspace string) error {
	for {
		if n, err := r.Tick(ctx, workspace); n == 0 || err != nil {
			return err
		}
	}
}

// TickUsage counts events of a workspace that were put off, and those that have waited
// for a user or an account that is there by now. A call takes up some of them, for a
// few seconds at most.
func (r *Rollup) TickUsage(ctx context.Context, workspace string) error {
	return r.usage.Tick(ctx, workspace)
}

// derive derives accounts, and returns the errors of those that failed.
func (r *Rollup) derive(ctx context.Context, all []account) map[account]error {
	byWorkspace := map[string][]string{}
	for _, a := range all {
		byWorkspace[a.workspace] = append(byWorkspace[a.workspace], a.id)
	}
	failed := map[account]error{}
	for workspace, ids := range byWorkspace {
		for id, err := range r.Accounts(ctx, workspace, ids...) {
			failed[account{workspace, id}] = err
		}
	}
	return failed
}

// Workspace derives all accounts of a workspace anew, and returns how many it
// derived. The error tells of those that failed.
func (r *Rollup) Workspace(ctx context.Context, workspace string) (derived int, err error) {
	var errs []error
	all := resource.List{Workspace: workspace, Family: accounts.Family, Inactive: true}
	for batch, err := range r.engine.Batches(ctx, all, "") {
		if err != nil {
			return derived, errors.Join(append(errs, err)...)
		}
		for some := range slices.Chunk(batch.Records, dueAtOnce) {
			var ids []string
			for _, a := range some {
				ids = append(ids, a[accounts.Family.ID].Text())
			}
			failed := r.Accounts(ctx, workspace, ids...)
			for id, err := range failed {
				errs = append(errs, fmt.Errorf("workspace %s: account %q: %w", workspace, id, err))
			}
			derived += len(ids) - len(failed)
		}
	}
	return derived, errors.Join(errs...)
}

// Accounts derives accounts of a workspace, and returns the errors of those
// that failed.
func (r *Rollup) Accounts(ctx context.Context, workspace string, ids ...string) map[string]error {
	return r.engine.Derive(ctx, workspace, ids, subscriptions.Movements, func(ctx context.Context, id string) (resource.Derived, error) {
		now := r.engine.Now()
		records, _, err := r.engine.OfAccount(ctx, workspace, subscriptions.Histories, id, subscriptions.Family.ID, false, true)
		if err != nil {
			return resource.Derived{}, err
		}
		var subs []revenue.Subscription
		for _, s := range records {
			if subscriptions.Outdated(s, now) {
				_, err := r.engine.Edit(ctx, resource.Target{
					Workspace: workspace, Family: subscriptions.Family, ID: s[subscriptions.Family.ID].Text(),
				}, subscriptions.Refresh(now))
				if err != nil {
					return resource.Derived{}, err
				}
			}
			subs = append(subs, revenue.Subscription{ID: s[subscriptions.Family.ID].Text(), History: subscriptions.HistoryOf(s)})
		}
		states := schedule(subs, now)
		return resource.Derived{
			Edit:    func(a schema.Record) schema.Record { return accounts.SetRevenue(a, states) },
			Entries: subscriptions.MovementRecords(id, revenue.Movements(subs)),
			Wake:    revenue.NextChange(subs, now),
		}, nil
	})
}

// schedule returns what follows from subscriptions now, and at the next
// instants at which that changes.
func schedule(subs []revenue.Subscription, now int64) []accounts.Revenue {
	if len(subs) == 0 {
		return nil
	}
	var states []accounts.Revenue
	for t := now; t != math.MaxInt64 && len(states) <= ahead; t = revenue.NextChange(subs, t) {
		s := accounts.Revenue{From: t, MRR: revenue.MRR(subs, t)}
		if due := revenue.RenewalDate(subs, t); due != revenue.None {
			s.RenewalDate = &due
		}
		states = append(states, s)
	}
	// The first state has held for as long as matters: a date that is the same
	// every time it is derived leaves the account as it is.
	states[0].From = math.MinInt64
	return slices.CompactFunc(states, func(a, b accounts.Revenue) bool {
		return a.MRR == b.MRR && (a.RenewalDate == nil) == (b.RenewalDate == nil) &&
			(a.RenewalDate == nil || *a.RenewalDate == *b.RenewalDate)
	})
}
