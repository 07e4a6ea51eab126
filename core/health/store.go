package health

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"tenure/core"
	"tenure/core/table"
)

// How it is kept. Each account has a partition: the item "latest" is its last
// assessment, and an item of each month has the scores and the points of its days, so
// few bytes each that a month costs no more to write than a day would.

const (
	// kept is for how long days are kept.
	kept = 3 * 366 * 24 * time.Hour
	// MaxDays is of how many days the history can be read at once.
	MaxDays = 3 * 366

	day = int64(24 * time.Hour / time.Millisecond)
)

// Store keeps the settings and the assessments of all workspaces.
type Store struct {
	table table.Table
	now   func() time.Time
}

// NewStore returns a store; now is the clock, nil for time.Now.
func NewStore(t table.Table, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{table: t, now: now}
}

// version returns a version later than old.
func (s *Store) version(old int64) int64 { return max(old+1, s.now().UnixMicro()) }

func settingsKey(workspace string) table.Key {
	return table.Key{Partition: workspace + "/health/settings", Sort: "settings"}
}

func accountPartition(workspace, account string) string {
	return workspace + "/health/account/" + table.Digest(account)
}

const latest = "latest"

// Settings returns the settings of a workspace, and their version: another one when
// they have changed, 0 while they are the defaults.
func (s *Store) Settings(ctx context.Context, workspace string) (Settings, int64, error) {
	chosen := Defaults()
	items, err := s.table.Get(ctx, []table.Key{settingsKey(workspace)}, true)
	if err != nil || !items[0].Exists() {
		return chosen, 0, err
	}
	return chosen, items[0].Version, json.Unmarshal(items[0].Body, &chosen)
}

// SetSettings changes the settings of a workspace. The failure says which cannot be.
// All accounts are assessed anew by and by; see the rollup.
func (s *Store) SetSettings(ctx context.Context, workspace string, change func(*Settings) *core.Failure) (*core.Failure, error) {
	for {
		chosen, version, err := s.Settings(ctx, workspace)
		if err != nil {
			return nil, err
		}
		before := chosen
		failure := change(&chosen)
		if failure == nil {
			failure = chosen.Check()
		}
		if failure != nil || chosen == before {
			return failure, nil
		}
		body, err := json.Marshal(chosen)
		if err != nil {
			return nil, err
		}
		cond := table.Absent()
		if version != 0 {
			cond = table.VersionIs(version)
		}
		item := table.Item{Key: settingsKey(workspace), Version: s.version(version), Body: body}
		err = errors.Join(s.table.Write(ctx, []table.Op{table.Put(item, cond)}, nil)...)
		if !errors.Is(err, table.ErrConflict) {
			return nil, err
		}
	}
}

// Latest is the last assessment of an account.
type Latest struct {
	Assessment
	// At is when it was made (epoch ms): the last time that anything was another than
	// before, or the first of the day.
	At int64 `json:"computed_at"`
	// version is that of the item; 0 for none.
	version int64
}

// Same reports whether both are the same one, as it was kept.
func (l Latest) Same(other Latest) bool { return l.version == other.version }

// Latest returns the last assessment of an account; found is false when there is none.
func (s *Store) Latest(ctx context.Context, workspace, account string) (l Latest, found bool, err error) {
	items, err := s.table.Get(ctx, []table.Key{{Partition: accountPartition(workspace, account), Sort: latest}}, true)
	if err != nil || !items[0].Exists() {
		return Latest{}, false, err
	}
	l.version = items[0].Version
	return l, true, json.Unmarshal(items[0].Body, &l)
}

// Keep keeps an assessment made at an instant (epoch ms) from what was read after
// before was. It returns table.ErrConflict when another was kept meanwhile; what is to
// be kept has then to be made anew.
func (s *Store) Keep(ctx context.Context, workspace, account string, before Latest, a Assessment, at int64) (Latest, error) {
	if before.version != 0 && before.At/day == at/day && reflect.DeepEqual(before.Assessment, a) {
		return before, nil
	}
	partition := accountPartition(workspace, account)
	name := monthOf(at)
	days, err := s.months(ctx, partition, at/day, at/day)
	if err != nil {
		return Latest{}, err
	}
	after := Latest{Assessment: a, At: at, version: s.version(before.version)}
	body, err := json.Marshal(after)
	if err != nil {
		return Latest{}, err
	}
	cond := table.Absent()
	if before.version != 0 {
		cond = table.VersionIs(before.version)
	}
	ops := []table.Op{table.Put(table.Item{Key: table.Key{Partition: partition, Sort: latest}, Version: after.version, Body: body}, cond)}
	of := days[name]
	entry := of.of(at)
	if packed := packedDay(a); string(entry) != string(packed) {
		copy(entry, packed)
		body, err := json.Marshal(of)
		if err != nil {
			return Latest{}, err
		}
		// It is written by no one who does not write the latest too.
		ops = append(ops, table.Put(table.Item{
			Key: table.Key{Partition: partition, Sort: name}, Version: s.version(0), Body: body, Expires: monthStart(at) + kept.Milliseconds(),
		}, table.Condition{}))
	}
	return after, s.table.Transact(ctx, ops, nil)
}

// Day is what was assessed of an account on a day, at last.
type Day struct {
	// Start is 00:00 UTC of the day, in epoch ms.
	Start int64 `json:"date"`
	// Score is nil where there was none.
	Score *int `json:"score"`
	// Points are those of the parts that have any, by their names.
	Points map[string]int `json:"points"`
}

// History returns the days of an account, in their order, from that of start up to
// that of the instant before end (epoch ms), without those on which nothing was
// assessed. The failure names what cannot be.
func (s *Store) History(ctx context.Context, workspace, account string, start, end int64) ([]Day, *core.Failure, error) {
	first, last := floorDiv(start, day), floorDiv(end-1, day)
	switch {
	case start < 0 || end > 1e14:
		return nil, &core.Failure{Code: core.OutOfRange, Field: "start", Message: "'start' and 'end' must be instants in epoch ms"}, nil
	case end <= start:
		return nil, &core.Failure{Code: core.OutOfRange, Field: "end", Message: "'end' must be later than 'start'"}, nil
	case last-first >= MaxDays:
		return nil, &core.Failure{Code: core.OutOfRange, Field: "end", Message: fmt.Sprintf("'end' must be at most %d days after 'start'", MaxDays)}, nil
	}
	months, err := s.months(ctx, accountPartition(workspace, account), first, last)
	if err != nil {
		return nil, nil, err
	}
	days := []Day{}
	for d := first; d <= last; d++ {
		entry := months[monthOf(d*day)].of(d * day)
		if entry[0] == unknown {
			continue
		}
		one := Day{Start: d * day, Points: map[string]int{}}
		if entry[0] != none {
			score := int(entry[0])
			one.Score = &score
		}
		for i, name := range PartNames {
			if points := entry[1+i]; points <= 100 {
				one.Points[name] = int(points)
			}
		}
		days = append(days, one)
	}
	return days, nil, nil
}

// month has for each day of a month the score and the points of the parts in their
// order, a byte each; nil where nothing was assessed.
type month struct{ raw []byte }

const (
	dayBytes = 6
	// none stands for a score or points that there are not, unknown for those of a day on
	// which nothing was assessed.
	none, unknown = 255, 254
)

func monthOf(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01") }

func monthStart(at int64) int64 {
	t := time.UnixMilli(at).UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// of returns the bytes of the day that an instant lies in.
func (m *month) of(at int64) []byte {
	if m.raw == nil {
		m.raw = make([]byte, 31*dayBytes)
		for i := range m.raw {
			m.raw[i] = unknown
		}
	}
	n := (time.UnixMilli(at).UTC().Day() - 1) * dayBytes
	return m.raw[n : n+dayBytes]
}

func (m *month) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"days": base64.RawStdEncoding.EncodeToString(m.raw)})
}

func (m *month) UnmarshalJSON(body []byte) (err error) {
	var text struct{ Days string }
	if err := json.Unmarshal(body, &text); err != nil {
		return err
	}
	if m.raw, err = base64.RawStdEncoding.DecodeString(text.Days); err == nil && len(m.raw) != 31*dayBytes {
		err = fmt.Errorf("a month of %d bytes", len(m.raw))
	}
	return err
}

func packedDay(a Assessment) []byte {
	b := []byte{none}
	if a.Score != nil {
		b[0] = byte(*a.Score)
	}
	for _, p := range a.Parts {
		points := byte(none)
		if p.Points != nil {
			points = byte(*p.Points)
		}
		b = append(b, points)
	}
	return b
}

// months returns those months of a partition that the days from one to another lie in,
// by their names; days are from 1970-01-01 on.
func (s *Store) months(ctx context.Context, partition string, first, last int64) (map[string]*month, error) {
	var keys []table.Key
	for d := first; d <= last; d++ {
		if name := monthOf(d * day); len(keys) == 0 || keys[len(keys)-1].Sort != name {
			keys = append(keys, table.Key{Partition: partition, Sort: name})
		}
	}
	items, err := s.table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	all := map[string]*month{}
	for i, key := range keys {
		m := &month{}
		all[key.Sort] = m
		if !items[i].Exists() {
			continue
		}
		if err := json.Unmarshal(items[i].Body, m); err != nil {
			return nil, fmt.Errorf("item %v: %w", key, err)
		}
	}
	return all, nil
}
