package rollup

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/core"
	"tenure/core/accounts"
	"tenure/core/health"
	"tenure/core/resource"
	"tenure/core/revenue"
	"tenure/core/schema"
	"tenure/core/subscriptions"
	"tenure/core/table"
	"tenure/core/tickets"
)

// An account's health is assessed by the clock, once a day, and soon after something
// changed that it follows from. So that a burst of changes costs no more than one, a
// change only has the account assessed at an instant from now on that is the same for
// all changes of some minutes: instants that are so many minutes apart, at other
// offsets for other accounts.

const (
	// soon is how many minutes an account's assessments for changes are apart, rarely
	// those for usage: of events there are many, and few change much before the day is
	// over.
	soon, rarely = 5 * time.Minute, time.Hour
	// assessedTogether is how many accounts are assessed at once.
	assessedTogether = 8
	// remembered is how many accounts are remembered as having been made due.
	remembered = 50_000
	// assessTries is how often an assessment is made that loses races.
	assessTries = 10
	day         = int64(24 * time.Hour / time.Millisecond)
)

// due remembers which accounts have been made due and when, so that they are not made so
// again.
type due struct {
	mutex sync.Mutex
	at    map[account]int64
}

// unless returns those accounts that are not known to be due at their instants.
func (d *due) unless(workspace string, all []resource.Due) []resource.Due {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return slices.DeleteFunc(all, func(one resource.Due) bool { return d.at[account{workspace, one.Account}] == one.At })
}

func (d *due) remember(workspace string, all []resource.Due) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.at == nil || len(d.at)+len(all) > remembered {
		d.at = map[account]int64{}
	}
	for _, one := range all {
		d.at[account{workspace, one.Account}] = one.At
	}
}

// offset is where in a stretch of time an account has its place.
func offset(account string, within time.Duration) int64 {
	h := fnv.New64a()
	h.Write([]byte(account))
	return int64(h.Sum64() % uint64(within.Milliseconds()))
}

// next is the account's next instant after now, of those that are so far apart.
func next(account string, now int64, apart time.Duration) int64 {
	every, at := apart.Milliseconds(), offset(account, apart)
	return now - (now-at)%every + every
}

// assessSoon has accounts assessed at their next instants.
func (r *Rollup) assessSoon(ctx context.Context, workspace string, ids []string, apart time.Duration) error {
	now := r.engine.Now()
	all := make([]resource.Due, len(ids))
	for i, id := range ids {
		all[i] = resource.Due{Account: id, At: next(id, now, apart)}
	}
	if all = r.due.unless(workspace, all); len(all) == 0 {
		return nil
	}
	if err := r.engine.Wake(ctx, workspace, resource.Assessments, all...); err != nil {
		return err
	}
	r.due.remember(workspace, all)
	return nil
}

// familyItem returns the workspace and the family of the key of a record's item.
func familyItem(key table.Key) (workspace, family string) {
	workspace, rest, _ := strings.Cut(key.Partition, "/")
	family, _, _ = strings.Cut(rest, "/")
	return workspace, family
}

// assessed reports whether the health of accounts follows from the records of a family.
func assessed(family string) bool {
	switch family {
	case accounts.Family.Schema.Name, tickets.Family.Schema.Name, subscriptions.Family.Schema.Name:
		return true
	}
	return false
}

// concerned returns the accounts whose health a change may change.
func (r *Rollup) concerned(change table.Change) (ids []string) {
	_, name := familyItem(change.Key())
	family := tickets.Family
	switch name {
	case accounts.Family.Schema.Name:
		family = accounts.Family
		old, before := r.engine.RecordIn(family, change.Old)
		now, after := r.engine.RecordIn(family, change.New)
		if before && after && !accounts.ConcernsHealth(old, now) {
			return nil
		}
	case subscriptions.Family.Schema.Name:
		family = subscriptions.Family
	case tickets.Family.Schema.Name:
	default:
		return nil
	}
	for _, image := range []*table.Item{change.Old, change.New} {
		if id, known := r.engine.AccountIn(family, image); known && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// healthOf has the accounts assessed whose health changes may change, and returns errors
// as Changes does.
func (r *Rollup) healthOf(ctx context.Context, changes []table.Change) []error {
	type found struct {
		ids map[string]bool
		at  []int // the changes
	}
	byWorkspace := map[string]*found{}
	for i := range changes {
		ids := r.concerned(changes[i])
		if len(ids) == 0 {
			continue
		}
		workspace, _ := familyItem(changes[i].Key())
		f := byWorkspace[workspace]
		if f == nil {
			f = &found{ids: map[string]bool{}}
			byWorkspace[workspace] = f
		}
		f.at = append(f.at, i)
		for _, id := range ids {
			f.ids[id] = true
		}
	}
	var errs []error
	for workspace, f := range byWorkspace {
		err := r.assessSoon(ctx, workspace, slices.Sorted(maps.Keys(f.ids)), soon)
		if err == nil {
			continue
		}
		if errs == nil {
			errs = make([]error, len(changes))
		}
		for _, i := range f.at {
			errs[i] = err
		}
	}
	return errs
}

// sweep is how far the accounts of a workspace have been made due for a day.
type sweep struct {
	Day int64 `json:"day"`
	// Settings is the version of the settings by which they are assessed.
	Settings int64 `json:"settings"`
	// After is where to go on; Done says that there is no more.
	After string `json:"after,omitempty"`
	Done  bool   `json:"done,omitempty"`
	// At once says that all are due soon, not at their instants of the day.
	AtOnce bool `json:"at_once,omitempty"`
}

func sweepKey(workspace string) table.Key {
	return table.Key{Partition: workspace + "/health/settings", Sort: "sweep"}
}

// TickHealth assesses those accounts of a workspace that are due, as many as there are
// until enough says that it is. Once a day, and when the settings have changed, it makes
// all of them due.
func (r *Rollup) TickHealth(ctx context.Context, workspace string, enough func() bool) error {
	by, version, err := r.health.Settings(ctx, workspace)
	if err != nil {
		return err
	}
	errs := []error{r.sweep(ctx, workspace, version, enough)}
	for !enough() {
		due, err := r.engine.Due(ctx, workspace, resource.Assessments, dueAtOnce)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if len(due) == 0 {
			break
		}
		failed, err := r.assessAll(ctx, workspace, due, by, enough)
		errs = append(errs, err)
		if failed || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// assessAll assesses accounts that are due. One that fails is due again later.
func (r *Rollup) assessAll(ctx context.Context, workspace string, due []resource.Due, by health.Settings, enough func() bool) (failed bool, err error) {
	// An account that is due several times is assessed once.
	all := map[string][]resource.Due{}
	for _, d := range due {
		all[d.Account] = append(all[d.Account], d)
	}
	ids := slices.Sorted(maps.Keys(all))
	errs := make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(assessedTogether)
	for i, id := range ids {
		if enough() {
			break
		}
		group.Go(func() error {
			if errs[i] = r.assess(ctx, workspace, id, by); errs[i] != nil {
				again := resource.Due{Account: id, At: r.later()}
				if err := r.engine.Wake(ctx, workspace, resource.Assessments, again); err != nil {
					return err
				}
			}
			return r.engine.Done(ctx, all[id]...)
		})
	}
	err = group.Wait()
	return err != nil, errors.Join(append(errs, err)...)
}

// sweep makes the accounts of a workspace due, unless it has been done for the day and
// the version of the settings.
func (r *Rollup) sweep(ctx context.Context, workspace string, settings int64, enough func() bool) error {
	items, err := r.table.Get(ctx, []table.Key{sweepKey(workspace)}, true)
	if err != nil {
		return err
	}
	var s sweep
	if items[0].Exists() {
		if err := json.Unmarshal(items[0].Body, &s); err != nil {
			return err
		}
	}
	now := r.engine.Now()
	if today := now / day; s.Day != today || s.Settings != settings || !items[0].Exists() {
		s = sweep{Day: today, Settings: settings, AtOnce: !items[0].Exists() || s.Settings != settings || s.AtOnce && !s.Done}
	}
	if s.Done {
		return nil
	}
	keep := func() error {
		body, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return errors.Join(r.table.Write(ctx, []table.Op{table.Put(table.Item{Key: sweepKey(workspace), Version: max(items[0].Version+1, now*1000), Body: body}, table.Condition{})}, nil)...)
	}
	every := resource.List{Workspace: workspace, Family: accounts.Family, Inactive: true}
	for batch, err := range r.engine.Batches(ctx, every, s.After) {
		if err != nil {
			return err
		}
		var due []resource.Due
		for _, a := range batch.Records {
			id := a[accounts.Family.ID].Text()
			if !accounts.StandingOf(a).Active && accounts.Health(a) == nil {
				continue
			}
			at := s.Day*day + offset(id, 24*time.Hour)
			if s.AtOnce || at <= now {
				at = next(id, now, soon)
			}
			due = append(due, resource.Due{Account: id, At: at})
		}
		if err := r.engine.Wake(ctx, workspace, resource.Assessments, due...); err != nil {
			return err
		}
		s.After = batch.After
		if enough() {
			return keep()
		}
	}
	s.Done = true
	return keep()
}

// Assess assesses the health of an account now.
func (r *Rollup) Assess(ctx context.Context, workspace, id string) error {
	by, _, err := r.health.Settings(ctx, workspace)
	if err != nil {
		return err
	}
	return r.assess(ctx, workspace, id, by)
}

// assess assesses the health of an account, and keeps what came of it: first with why,
// then in its record. Who read older records than another does not have the last word:
// to keep one fails if another was kept meanwhile, and who finds after the last write
// that this happened begins again.
func (r *Rollup) assess(ctx context.Context, workspace, id string, by health.Settings) error {
	for range assessTries {
		before, _, err := r.health.Latest(ctx, workspace, id)
		if err != nil {
			return err
		}
		now := r.engine.Now()
		in, record, err := r.inputs(ctx, workspace, id, now)
		if err != nil || record == nil {
			return err // there is no such account
		}
		a := health.Assess(in, by)
		kept, err := r.health.Keep(ctx, workspace, id, before, a, now)
		if errors.Is(err, table.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		if was := accounts.Health(record); (was == nil) != (a.Score == nil) || was != nil && *was != *a.Score {
			_, err := r.engine.Edit(ctx, resource.Target{Workspace: workspace, Family: accounts.Family, ID: id},
				func(old schema.Record) (schema.Record, *core.Failure) { return accounts.SetHealth(old, a.Score), nil })
			if err != nil {
				return err
			}
		}
		after, _, err := r.health.Latest(ctx, workspace, id)
		if err != nil || after.Same(kept) {
			return err
		}
	}
	return table.ErrConflict
}

// inputs returns what the health of an account follows from, and its record; nil for
// none.
func (r *Rollup) inputs(ctx context.Context, workspace, id string, now int64) (in health.Inputs, record schema.Record, err error) {
	record, answer, err := r.engine.ReadLatest(ctx, resource.Target{Workspace: workspace, Family: accounts.Family, ID: id})
	if err != nil || record == nil {
		return in, nil, err
	}
	today := now / day
	since := func(at *int64) *int64 {
		if at == nil {
			return nil
		}
		days := today - dayOf(*at)
		return &days
	}
	a := accounts.StandingOf(record)
	in.Active = a.Active
	in.NPS.Score = a.NPS
	if answer != nil {
		date := accounts.ScoreDate(answer)
		in.NPS.Age = since(&date)
	}
	if a.Renewal != nil {
		days := dayOf(*a.Renewal) - today
		in.Renewal.In = &days
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		t, err := r.usage.Trend(ctx, workspace, id, now, health.Window)
		in.Usage = health.Usage{
			SinceFirst: since(t.FirstSeen), SinceLast: since(t.LastSeen),
			Users: t.Users, UsersBefore: t.UsersBefore, Sessions: t.Sessions, SessionsBefore: t.SessionsBefore,
		}
		return err
	})
	group.Go(func() (err error) {
		in.Support, err = r.support(ctx, workspace, id, now)
		return err
	})
	group.Go(func() error {
		f := subscriptions.Histories
		records, _, err := r.engine.OfAccount(ctx, workspace, f, id, f.ID, false, true)
		if err != nil {
			return err
		}
		var subs []revenue.Subscription
		for _, s := range records {
			subs = append(subs, revenue.Subscription{ID: s[f.ID].Text(), History: subscriptions.HistoryOf(s)})
		}
		in.Revenue = revenueOf(subs, now, since)
		return nil
	})
	err = group.Wait()
	return in, record, err
}

// dayOf returns the number of the day, from 1970-01-01, that an instant lies in.
func dayOf(at int64) int64 {
	if at < 0 {
		at -= day - 1
	}
	return at / day
}

// revenueOf returns how what an account pays has moved.
func revenueOf(subs []revenue.Subscription, now int64, since func(*int64) *int64) (in health.Revenue) {
	from := now - health.RevenueWindow*day
	in.Now, in.Before = revenue.MRR(subs, now), revenue.MRR(subs, from)
	for _, m := range revenue.Movements(subs) {
		if m.Date > now {
			break
		}
		if m.Type == revenue.New && in.SinceFirst == nil {
			in.SinceFirst = since(&m.Date)
		}
		in.Churned = in.Churned || m.Type == revenue.Churn && m.Date > from
	}
	return in
}

// support counts the tickets of an account.
func (r *Rollup) support(ctx context.Context, workspace, id string, now int64) (in health.Support, err error) {
	f := tickets.Family
	records, _, err := r.engine.OfAccount(ctx, workspace, f, id, f.OfAccountOrder, false, true)
	today := dayOf(now)
	for _, record := range records {
		t := tickets.StandingOf(record)
		if t.Created > now {
			continue
		}
		open := health.Open(t.State) && (t.Closed == nil || *t.Closed > now)
		if open {
			in.Open[health.PriorityOf(t.Priority)]++
		}
		ago := today - dayOf(t.Created)
		switch {
		case ago < health.Window:
			in.Recent++
		case ago < health.Window+health.Past:
			in.Past++
		}
		if ago < health.UnsolvedWindow {
			in.Created++
			if open {
				in.Unsolved++
			}
		}
		in.PastDays = max(in.PastDays, min(ago-health.Window+1, health.Past))
	}
	return in, err
}
