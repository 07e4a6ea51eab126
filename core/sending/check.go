package sending

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"tenure/core/table"
)

// checkTime bounds the lookups of a check.
const checkTime = 10 * time.Second

// Check looks the records up in DNS, asks the mail service, and keeps what they
// say. When it finds the record of the next key, mail is signed with that key from
// then on. A *core.Failure says that nothing is set up.
func (s *Store) Check(ctx context.Context, workspace string) (*Setup, error) {
	st, _, err := s.read(ctx, workspace)
	if err != nil {
		return nil, err
	}
	if st.Domain == "" {
		if len(st.Leaving) == 0 {
			return nil, errNothing()
		}
		return s.follow(ctx, workspace, st)
	}
	domain := st.Domain
	findings, note := s.lookUp(ctx, st)
	if err := over(ctx); err != nil { // what was not answered is not DNS's fault then
		return nil, err
	}
	st, err = s.change(ctx, workspace, func(st *stored) ([]table.Op, error) {
		if st.Domain != domain { // it was changed meanwhile
			return nil, nil
		}
		now := s.now()
		st.Findings, st.Note, st.Checked = findings, note, now.UnixMilli()
		if st.Next != nil && findings[string(DKIM)+":"+st.Next.Selector].State == Right {
			st.Signing.Private, st.Signing.Retired = "", now.UnixMilli()
			st.Signing, st.Next, st.Retiring = st.Next, nil, st.Signing
		}
		if st.Retiring != nil && st.Retiring.Retired <= now.Add(-retiringLife).UnixMilli() {
			st.Retiring = nil
		}
		s.conclude(st)
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return s.follow(ctx, workspace, st)
}

// over returns why ctx has ended, also when that is so recent that ctx itself does
// not say so yet.
func over(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// conclude says how far the domain is by what was found of the required records.
// What could not be asked is no evidence for or against.
func (s *Store) conclude(st *stored) {
	n := map[State]int{}
	for _, r := range s.records(st) {
		if r.Required {
			state := Unanswered
			if r.Finding != nil {
				state = r.Finding.State
			}
			n[state]++
		}
	}
	switch {
	case n[Different] > 0, n[Missing] > 0 && st.Proven != 0:
		st.State = Failing
	case n[Missing] > 0:
		st.State = Pending
	case n[Unanswered] == 0:
		st.State, st.Proven = Verified, st.Checked
	}
}

// lookUp asks DNS for all records at once.
func (s *Store) lookUp(ctx context.Context, st *stored) (findings map[string]Finding, note string) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	records, zone := s.records(st), zoneOf(st.Domain)
	all := make([]Finding, len(records))
	var group sync.WaitGroup
	for i := range records {
		group.Go(func() { all[i] = s.find(ctx, &records[i], st.Domain, zone) })
	}
	group.Go(func() {
		if a, err := s.resolver.ask(ctx, zone, dns.TypeSOA); err == nil && a.noName {
			note = fmt.Sprintf("%s does not exist in DNS: look whether it is spelled right, and registered.", zone)
		}
	})
	group.Wait()
	findings = map[string]Finding{}
	for i := range records {
		findings[records[i].ID] = all[i]
	}
	return findings, note
}

// find looks one record up. Where there is nothing it looks where the record can
// have gone by mistake, and where another may stand in for it.
func (s *Store) find(ctx context.Context, r *Record, domain, zone string) Finding {
	qtype := dns.StringToType[r.Type]
	a, err := s.resolver.ask(ctx, r.Name, qtype)
	if err != nil {
		return unansweredFinding(err)
	}
	f := r.judge(a)
	if f.State == Right && a.alias != "" && f.Advice == "" {
		f.Advice = "It was found by an alias (CNAME), at " + a.alias + "."
	}
	if f.State != Missing {
		return f
	}
	if r.Kind == DMARC && domain != zone {
		if f := s.inheritedPolicy(ctx, zone); f.State != Missing {
			return f
		}
	}
	for _, appended := range slices.Compact([]string{domain, zone}) {
		name := r.Name + "." + appended
		if len(name) > 253 {
			continue
		}
		a, err := s.resolver.ask(ctx, name, qtype)
		if err != nil {
			continue // what is missing is missing all the same
		}
		if r.judge(a).State == Right {
			return different([]string{name}, "The record was entered under the name %s: the provider appends %s to names by itself. Enter %s as the name.", name, appended, r.Host)
		}
	}
	switch {
	case a.alias != "":
		f.Advice = "The name is an alias (CNAME) of " + a.alias + ", where there is no such record. Delete the alias and enter the record."
	case len(a.texts) > 0:
		f.Advice = "There are other records of this name; they may stay. Add the one shown here."
	default:
		f.Advice = "Nothing is there yet. It can take up to an hour, with some providers longer, until a new record is seen everywhere."
	}
	return f
}

// inheritedPolicy returns what is found of the DMARC record of the registered
// domain, which is in force below it.
func (s *Store) inheritedPolicy(ctx context.Context, zone string) Finding {
	a, err := s.resolver.ask(ctx, "_dmarc."+zone, dns.TypeTXT)
	if err != nil {
		return unansweredFinding(err)
	}
	f := judgeDMARC(a.texts)
	if f.State == Right {
		f.Advice = "The policy of " + zone + " is in force here too; a record of its own is not needed."
	} else {
		f.State = Missing
	}
	return f
}

func unansweredFinding(err error) Finding {
	u, ok := errors.AsType[*unanswered](err)
	if !ok {
		u = &unanswered{"DNS could not be asked"}
	}
	return Finding{State: Unanswered, Advice: u.reason + ". Check again in a few minutes."}
}
