package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/table"
)

const (
	// auditLife is how long an entry of the audit log is kept.
	auditLife = 400 * 24 * time.Hour
	// auditMonth names the months of the audit log, which are partitions of their own.
	auditMonth = "2006-01"
)

// Entry is an entry of a workspace's audit log: somebody changed something.
type Entry struct {
	// ID names the entry within the workspace.
	ID string `json:"id"`
	// At is when, in epoch ms.
	At int64 `json:"at"`
	// By is the e-mail address of who did it; Address where from.
	By      string `json:"by"`
	Address string `json:"address"`
	// Action is a stable word for what was done, such as key.created; Object what
	// it was done to, in words that people know it by.
	Action string `json:"action"`
	Object string `json:"object"`
}

func auditPartition(workspace string, at time.Time) string {
	return workspace + "/audit/" + at.UTC().Format(auditMonth)
}

// Record adds an entry to the audit log of a workspace; its ID and At are set here.
func (s *Store) Record(ctx context.Context, workspace string, e Entry) error {
	now := s.now()
	e.At = now.UnixMilli()
	// The latest comes first, and two of one instant beside each other.
	e.ID = fmt.Sprintf("%016x.%.8s", math.MaxInt64-e.At, newSecret())
	op, err := putJSON(table.Key{Partition: auditPartition(workspace, now), Sort: e.ID}, freshVersion(), now.Add(auditLife).UnixMilli(), e, table.Absent())
	if err != nil {
		return err
	}
	return errors.Join(s.table.Write(ctx, []table.Op{op}, nil)...)
}

// Audit returns up to limit entries of a workspace's audit log, the latest first,
// that come after the one with the id before; empty means from the latest on.
func (s *Store) Audit(ctx context.Context, workspace, before string, limit int) ([]Entry, error) {
	month := s.now().UTC()
	oldest := month.Add(-auditLife)
	if before != "" {
		var inverted int64
		if _, err := fmt.Sscanf(strings.SplitN(before, ".", 2)[0], "%x", &inverted); err != nil || inverted < 0 {
			return nil, refuse(core.Malformed, "before", "'before' must be the id of an entry")
		}
		if at := time.UnixMilli(math.MaxInt64 - inverted).UTC(); at.Before(month) {
			month = at
		}
	}
	var entries []Entry
	for ; len(entries) < limit && !month.Before(oldest.AddDate(0, -1, 0)); month = monthBefore(month) {
		items, err := s.table.Query(ctx, table.Query{Partition: auditPartition(workspace, month), After: before, Limit: limit - len(entries), Consistent: true})
		if err != nil {
			return nil, err
		}
		for i := range items {
			var e Entry
			if err := json.Unmarshal(items[i].Body, &e); err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
	}
	return slices.Clip(entries), nil
}

// monthBefore returns an instant of the month before that of t.
func monthBefore(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).Add(-time.Millisecond)
}
