package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/connector"
	"tenure/core/matching"
	"tenure/core/resource"
	"tenure/core/table"
)

// Where no id leads from a system's accounts to ours, their names may. Candidates
// are sought when somebody asks for it and are kept, and a person decides: a match
// becomes a Link, by which the next run goes.

const (
	// matchedTogether is for how many waiting records candidates are sought at once.
	matchedTogether = 500
	// matchLease is how long that may take, with the reading of all our accounts.
	matchLease = 5 * time.Minute
	// longestMatching is for how long a search that was left is gone on with.
	longestMatching = time.Hour
	// acceptedTogether is how many matches are written in one transaction, two items
	// each, and acceptedAtOnce after how many AcceptAll comes to an end.
	acceptedTogether = table.MaxTransactOps / 2
	acceptedAtOnce   = 20 * acceptedTogether
)

// Matching says what came of the last search for candidates of a source.
type Matching struct {
	// Computed is when it ended, in epoch ms; 0: there has been none.
	Computed int64 `json:"computed"`
	// Accounts is how many accounts of ours there were, Records how many of the
	// system's waited, and Proposed how many of those have a candidate.
	Accounts int `json:"accounts"`
	Records  int `json:"records"`
	Proposed int `json:"proposed"`
	// Next is a search that has not come to its end; nil if there is none.
	Next *Search `json:"next,omitempty"`

	// Shelf is where its candidates are.
	Shelf   string `json:"shelf,omitempty"`
	version int64
}

// Search is how far a search for candidates has come.
type Search struct {
	// Began is in epoch ms; Records and Proposed are as in Matching, so far.
	Began    int64 `json:"began"`
	Records  int   `json:"records"`
	Proposed int   `json:"proposed"`

	Shelf string `json:"shelf"`
	// Stream is the place of the stream that is gone through among those of accounts.
	Stream int    `json:"stream"`
	After  string `json:"after,omitempty"`
}

// Proposal is a waiting record of a source with the accounts that it may be.
type Proposal struct {
	Stream string `json:"stream"`
	// ID is the system's own id; Label is by what people know it there.
	ID    string `json:"id"`
	Label string `json:"label"`
	// Candidates come the best first.
	Candidates []Proposed `json:"candidates"`
}

// Proposed is an account that a record may be.
type Proposed struct {
	matching.Candidate
	// Name is the account's.
	Name string `json:"name"`
	// Contested is how many other records have this account as their best candidate.
	Contested int `json:"contested"`
}

// Decision is what somebody has said of a proposal.
type Decision struct {
	Stream string `json:"stream"`
	ID     string `json:"id"`
	Label  string `json:"label"`
	// Account and Name are those of the account it was about.
	Account string            `json:"account"`
	Name    string            `json:"name"`
	Score   int               `json:"score"`
	Reasons []matching.Reason `json:"reasons"`
	// Rejected says that it is not a match.
	Rejected bool `json:"rejected"`
	// By is the e-mail address of who said so; Made is when, in epoch ms.
	By   string `json:"by"`
	Made int64  `json:"made"`
	// Before is the link that there was before a match; nil for none.
	Before *Link `json:"before"`
	// Linked is the version of the link that was made of a match.
	Linked int64 `json:"linked,omitempty"`
}

func matchStateKey(workspace, id string) table.Key {
	return table.Key{Partition: partition(workspace, id, "match", "state"), Sort: "state"}
}

// shelves are the two places of candidates: those of the last search stay until the
// next one has come to its end in the other.
var shelves = [2]string{"a", "b"}

func proposalKey(workspace, id, shelf, stream, native string) table.Key {
	return table.Key{Partition: partition(workspace, id, "match", "found", shelf), Sort: stream + sortOf(native)}
}

func matchedKey(workspace, id, stream, native string) table.Key {
	return table.Key{Partition: partition(workspace, id, "match", "matched"), Sort: stream + sortOf(native)}
}

func rejectedKey(workspace, id, stream, native, account string) table.Key {
	sum := sha256.Sum256([]byte(account))
	return table.Key{Partition: partition(workspace, id, "match", "rejected"), Sort: stream + sortOf(native) + "/" + hex.EncodeToString(sum[:16])}
}

// matchPartitions are all partitions of what this file stores of a source.
func matchPartitions(workspace, id string) []string {
	return []string{
		proposalKey(workspace, id, shelves[0], "", "").Partition, proposalKey(workspace, id, shelves[1], "", "").Partition,
		matchedKey(workspace, id, "", "").Partition, rejectedKey(workspace, id, "", "", "").Partition, matchStateKey(workspace, id).Partition,
	}
}

// Matching returns what came of the last search for candidates of a source.
func (s *Store) Matching(ctx context.Context, workspace, id string) (*Matching, error) {
	items, err := s.Table.Get(ctx, []table.Key{matchStateKey(workspace, id)}, true)
	if err != nil {
		return nil, err
	}
	m := &Matching{version: items[0].Version}
	if items[0].Exists() {
		err = json.Unmarshal(items[0].Body, m)
	}
	return m, err
}

func (s *Store) putMatching(ctx context.Context, workspace, id string, m *Matching, guard *table.Guard) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	version := s.version(m.version)
	item := table.Item{Key: matchStateKey(workspace, id), Version: version, Body: body}
	if err := errors.Join(s.Table.Write(ctx, []table.Op{table.Put(item, table.Condition{})}, guard)...); err != nil {
		return err
	}
	m.version = version
	return nil
}

// CanMatch reports whether a source has accounts that may be matched by their
// names: those of the System of Record are ours.
func (s *Store) CanMatch(source *Source) bool {
	return !source.SystemOfRecord && slices.ContainsFunc(s.Connector(source.Connector).Streams, func(st connector.Stream) bool { return st.Accounts })
}

// FindCandidates seeks candidates for the accounts of a source that wait, until
// that is done or it is later than until, and reports whether there is more to do:
// then it is to be called again, and goes on. Each call gets on, however early
// until is. A *core.Failure says why it cannot be done.
func (s *Store) FindCandidates(ctx context.Context, workspace, id string, until time.Time) (more bool, err error) {
	source, err := s.Get(ctx, workspace, id)
	if err != nil {
		return false, err
	}
	if !s.CanMatch(source) {
		return false, refuse(core.Conflicting, "source", "%s has no accounts to be matched", source.Name)
	}
	lock, err := s.Access.Lock(ctx, access.LockID("matching/"+workspace+"/"+id), matchLease, 0)
	if errors.Is(err, access.ErrLocked) {
		return false, refuse(core.Conflicting, "source", "Candidates are being sought at this moment: wait for that")
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	m, err := s.Matching(ctx, workspace, id)
	if err != nil {
		return false, err
	}
	if m.Next == nil || s.Now().Sub(time.UnixMilli(m.Next.Began)) > longestMatching {
		m.Next = &Search{Began: s.Now().UnixMilli(), Shelf: shelves[0]}
		if m.Shelf == shelves[0] {
			m.Next.Shelf = shelves[1]
		}
		if err := s.clear(ctx, proposalKey(workspace, id, m.Next.Shelf, "", "").Partition); err != nil {
			return false, err
		}
	}
	r := &run{Store: s, workspace: workspace, source: source}
	if err := r.open(ctx); err != nil {
		return false, err
	}
	names := map[string]string{}
	index, err := matching.NewIndex(ctx, s.accountNames(ctx, workspace, names))
	if err != nil {
		return false, err
	}
	streams := slices.DeleteFunc(slices.Clone(r.connector.Streams), func(st connector.Stream) bool { return !st.Accounts })
	for next := m.Next; next.Stream < len(streams); {
		ops, last, err := r.candidates(ctx, &streams[next.Stream], next, index, names)
		if err != nil {
			return false, err
		}
		if last {
			next.Stream, next.After = next.Stream+1, ""
		}
		// How far it has come is written last, so that what it tells of is there.
		if err := errors.Join(s.Table.Write(ctx, ops, lock.Guard())...); err != nil {
			return false, err
		}
		if err := s.putMatching(ctx, workspace, id, m, lock.Guard()); err != nil {
			return false, err
		}
		if next.Stream < len(streams) && s.Now().After(until) {
			return true, nil
		}
	}
	if err := s.contest(ctx, workspace, id, m.Next.Shelf); err != nil {
		return false, err
	}
	return false, s.putMatching(ctx, workspace, id, &Matching{
		Computed: s.Now().UnixMilli(), Accounts: len(names), Records: m.Next.Records, Proposed: m.Next.Proposed, Shelf: m.Next.Shelf, version: m.version,
	}, lock.Guard())
}

// accountNames yields by what our accounts are recognised, and writes their names
// down. Accounts that are inactive are ours, too.
func (s *Store) accountNames(ctx context.Context, workspace string, names map[string]string) iter.Seq2[matching.Name, error] {
	family := s.family("accounts")
	ordinal := family.Schema.Ordinal
	name, website, phone := ordinal("name"), ordinal("website"), ordinal("phone")
	street, city, country := ordinal("billing_street"), ordinal("billing_city"), ordinal("billing_country")
	return func(yield func(matching.Name, error) bool) {
		for batch, err := range s.Engine.Batches(ctx, resource.List{Workspace: workspace, Family: family, Inactive: true}, "") {
			if err != nil {
				yield(matching.Name{}, err)
				return
			}
			for _, record := range batch.Records {
				n := matching.Name{
					ID: record[family.ID].Text(), Name: record[name].Text(), Domain: record[website].Text(), Phone: record[phone].Text(),
					Street: record[street].Text(), City: record[city].Text(), Country: record[country].Text(),
				}
				names[n.ID] = n.Name
				if !yield(n, nil) {
					return
				}
			}
		}
	}
}

// candidates seeks candidates for the next records of a stream that wait, and
// returns the writes of those that have some. last says that these were the last
// ones of the stream.
func (r *run) candidates(ctx context.Context, st *connector.Stream, next *Search, index *matching.Index, names map[string]string) (ops []table.Op, last bool, err error) {
	items, err := r.Table.Query(ctx, table.Query{
		Partition: waitingKey(r.workspace, r.source.ID, st.Name, "").Partition, After: next.After, Limit: matchedTogether, Consistent: true,
	})
	if err != nil {
		return nil, false, err
	}
	proposals := map[string]*Proposal{}
	var theirs []matching.Name
	for i := range items {
		next.After = items[i].Sort
		var w waiting
		if err := json.Unmarshal(items[i].Body, &w); err != nil {
			return nil, false, err
		}
		if w.Trouble != Mismatch {
			continue
		}
		name, err := r.nameOf(ctx, st, &w)
		if err != nil {
			return nil, false, err
		}
		next.Records++
		if sortOf(name.ID) != items[i].Sort {
			continue // too large to be kept, and so is its id
		}
		theirs = append(theirs, name)
		proposals[name.ID] = &Proposal{Stream: st.Name, ID: name.ID, Label: w.Label}
	}
	each := func(yield func(matching.Name, error) bool) {
		for _, name := range theirs {
			if !yield(name, nil) {
				return
			}
		}
	}
	for c, err := range index.Match(ctx, each, matching.Options{}) {
		if err != nil {
			return nil, false, err
		}
		p := proposals[c.ID]
		p.Candidates = append(p.Candidates, Proposed{Candidate: c, Name: names[c.Account]})
	}
	for _, name := range theirs {
		p := proposals[name.ID]
		if len(p.Candidates) == 0 {
			continue
		}
		next.Proposed++
		body, err := json.Marshal(p)
		if err != nil {
			return nil, false, err
		}
		item := table.Item{Key: proposalKey(r.workspace, r.source.ID, next.Shelf, st.Name, p.ID), Version: r.version(0), Body: body}
		ops = append(ops, table.Put(item, table.Condition{}))
	}
	return ops, len(items) < matchedTogether, nil
}

// nameOf returns by what a waiting record is recognised: the label by which people
// know it, and what the fields of an account would be made of, if it made one.
func (r *run) nameOf(ctx context.Context, st *connector.Stream, w *waiting) (matching.Name, error) {
	n := matching.Name{ID: w.ID, Name: w.Label}
	if strings.Contains(n.Name, "@") && !strings.Contains(n.Name, " ") { // nothing but an address
		n.Name, n.Domain = "", w.Label
	}
	if w.Record == nil { // too large to be kept
		return n, nil
	}
	value, err := decode(w.Record)
	if err != nil {
		return n, err
	}
	if n.ID, err = r.text(ctx, st.ID, value); err != nil {
		return n, err
	}
	for i := range st.Feeds {
		f := &st.Feeds[i]
		if !isRoot(r.family(f.Family)) {
			continue
		}
		for to, field := range map[string]*string{
			"website": &n.Domain, "phone": &n.Phone, "billing_street": &n.Street, "billing_city": &n.City, "billing_country": &n.Country,
		} {
			from, own := "", false
			if i := slices.IndexFunc(f.Fields, func(d connector.Field) bool { return d.To == to }); i >= 0 {
				from = f.Fields[i].From
			}
			if i := slices.IndexFunc(r.source.Mapping, func(m Mapped) bool { return m.Stream == st.Name && m.Family == f.Family && m.To == to }); i >= 0 {
				from, own = r.source.Mapping[i].From, true
			}
			e, err := r.expression(from, own)
			if err != nil {
				return n, err
			}
			if e == nil {
				continue
			}
			// What a record does not have as it should be cannot tell who it is.
			if v, err := e.First(ctx, value, value); err == nil {
				if text, ok := textOf(v); ok && text != "" {
					*field = text
				}
			}
		}
	}
	return n, nil
}

// walkProposals hands out all proposals on a shelf.
func (s *Store) walkProposals(ctx context.Context, workspace, id, shelf string, yield func([]Proposal) error) error {
	q := table.Query{Partition: proposalKey(workspace, id, shelf, "", "").Partition, Limit: matchedTogether, Consistent: true}
	for more := true; more; {
		items, err := s.Table.Query(ctx, q)
		if err != nil {
			return err
		}
		proposals := make([]Proposal, len(items))
		for i := range items {
			q.After = items[i].Sort
			if err := json.Unmarshal(items[i].Body, &proposals[i]); err != nil {
				return err
			}
		}
		if err := yield(proposals); err != nil {
			return err
		}
		more = len(items) == q.Limit
	}
	return nil
}

// contest writes down which accounts are candidates of several records.
func (s *Store) contest(ctx context.Context, workspace, id, shelf string) error {
	claims := map[string]int{}
	if err := s.walkProposals(ctx, workspace, id, shelf, func(proposals []Proposal) error {
		for _, p := range proposals {
			claims[p.Candidates[0].Account]++
		}
		return nil
	}); err != nil {
		return err
	}
	return s.walkProposals(ctx, workspace, id, shelf, func(proposals []Proposal) error {
		var ops []table.Op
		for _, p := range proposals {
			contested := false
			for i := range p.Candidates {
				c := &p.Candidates[i]
				c.Contested = claims[c.Account]
				if i == 0 {
					c.Contested--
				}
				contested = contested || c.Contested > 0
			}
			if !contested {
				continue
			}
			body, err := json.Marshal(p)
			if err != nil {
				return err
			}
			ops = append(ops, table.Put(table.Item{Key: proposalKey(workspace, id, shelf, p.Stream, p.ID), Version: s.version(0), Body: body}, table.Condition{}))
		}
		return errors.Join(s.Table.Write(ctx, ops, nil)...)
	})
}

// Proposals returns what was found in the last search and is not decided yet, of
// records that wait still: at most limit records, in the order of their ids, behind
// those returned with next before.
func (s *Store) Proposals(ctx context.Context, workspace, id, after string, limit int) (all []Proposal, next string, err error) {
	if err := checkAfter(after); err != nil {
		return nil, "", err
	}
	m, err := s.Matching(ctx, workspace, id)
	if err != nil || m.Shelf == "" {
		return nil, "", err
	}
	q := table.Query{Partition: proposalKey(workspace, id, m.Shelf, "", "").Partition, After: after, Limit: limit, Consistent: true}
	for {
		items, err := s.Table.Query(ctx, q)
		if err != nil {
			return nil, "", err
		}
		proposals := make([]Proposal, len(items))
		for i := range items {
			if err := json.Unmarshal(items[i].Body, &proposals[i]); err != nil {
				return nil, "", err
			}
		}
		open, err := s.undecided(ctx, workspace, id, proposals)
		if err != nil {
			return nil, "", err
		}
		for i := range proposals {
			q.After = items[i].Sort
			if len(open[i].Candidates) == 0 {
				continue
			}
			if all = append(all, open[i]); len(all) == limit {
				return all, q.After, nil
			}
		}
		if len(items) < q.Limit {
			return all, "", nil
		}
	}
}

// isSort reports whether a text that comes from outside can be a sort key.
func isSort(text string) bool { return len(text) <= table.MaxSortBytes && utf8.ValidString(text) }

func checkAfter(after string) error {
	if !isSort(after) {
		return refuse(core.OutOfRange, "after", "'after' must be what an answer has had as next")
	}
	return nil
}

// undecided returns what of proposals is not decided: without candidates where that is
// nothing, or where the record does not wait any more.
func (s *Store) undecided(ctx context.Context, workspace, id string, proposals []Proposal) ([]Proposal, error) {
	var keys []table.Key
	for _, p := range proposals {
		keys = append(keys, matchedKey(workspace, id, p.Stream, p.ID), waitingKey(workspace, id, p.Stream, p.ID))
		for _, c := range p.Candidates {
			keys = append(keys, rejectedKey(workspace, id, p.Stream, p.ID, c.Account))
		}
	}
	items, err := s.Table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	open := slices.Clone(proposals)
	for i := range open {
		matched, waits := items[0].Exists(), items[1].Exists()
		rejected := items[2 : 2+len(open[i].Candidates)]
		items = items[2+len(open[i].Candidates):]
		candidates := open[i].Candidates
		open[i].Candidates = nil
		for j := range candidates {
			if !matched && waits && !rejected[j].Exists() {
				open[i].Candidates = append(open[i].Candidates, candidates[j])
			}
		}
	}
	return open, nil
}

// Decisions returns the matches of a source, or what was rejected: at most limit of
// them, in the order of their ids, behind those returned with next before.
func (s *Store) Decisions(ctx context.Context, workspace, id string, rejected bool, after string, limit int) (all []Decision, next string, err error) {
	if err := checkAfter(after); err != nil {
		return nil, "", err
	}
	key := matchedKey(workspace, id, "", "")
	if rejected {
		key = rejectedKey(workspace, id, "", "", "")
	}
	items, err := s.Table.Query(ctx, table.Query{Partition: key.Partition, After: after, Limit: limit, Consistent: true})
	if err != nil {
		return nil, "", err
	}
	all = make([]Decision, len(items))
	for i := range items {
		if err := json.Unmarshal(items[i].Body, &all[i]); err != nil {
			return nil, "", err
		}
	}
	if len(items) == limit {
		next = items[limit-1].Sort
	}
	return all, next, nil
}

// proposal returns the decision that there may be of one candidate. A *core.Failure
// says that it is none, or decided.
func (s *Store) proposal(ctx context.Context, workspace, id, stream, native, account string) (*Decision, error) {
	m, err := s.Matching(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	gone := refuse(core.NotFound, "account", "That is not proposed any more: it was decided, or has its account, or candidates were sought anew. Look at the page again")
	key := proposalKey(workspace, id, m.Shelf, stream, native)
	if m.Shelf == "" || native == "" || !isSort(key.Sort) {
		return nil, gone
	}
	items, err := s.Table.Get(ctx, []table.Key{key}, true)
	if err != nil {
		return nil, err
	}
	if !items[0].Exists() {
		return nil, gone
	}
	proposals := make([]Proposal, 1)
	if err := json.Unmarshal(items[0].Body, &proposals[0]); err != nil {
		return nil, err
	}
	if proposals, err = s.undecided(ctx, workspace, id, proposals); err != nil {
		return nil, err
	}
	for i := range proposals[0].Candidates {
		if proposals[0].Candidates[i].Account == account {
			return proposals[0].decision(i), nil
		}
	}
	return nil, gone
}

func (p *Proposal) decision(i int) *Decision {
	c := &p.Candidates[i]
	return &Decision{Stream: p.Stream, ID: p.ID, Label: p.Label, Account: c.Account, Name: c.Name, Score: c.Score, Reasons: c.Reasons}
}

// Accept says that a record of a source is the account that is proposed for it,
// which becomes a Link. by is the e-mail address of who says so.
func (s *Store) Accept(ctx context.Context, workspace, id, stream, native, account, by string) (*Decision, error) {
	d, err := s.proposal(ctx, workspace, id, stream, native, account)
	if err != nil {
		return nil, err
	}
	return d, s.match(ctx, workspace, id, by, []*Decision{d})
}

// AcceptAll accepts the best candidates that have at least so many points, from 1
// to 100, of records of which that can be told: not those whose second best is as
// good, nor those of an account that another record claims, or is matched with. It
// accepts so many in one call; more says that there may be others.
func (s *Store) AcceptAll(ctx context.Context, workspace, id string, least int, by string) (accepted int, more bool, err error) {
	if least < 1 || least > 100 {
		return 0, false, refuse(core.OutOfRange, "least", "'least' must be from 1 to 100")
	}
	taken := map[string]bool{}
	for after, more := "", true; more; {
		decisions, next, err := s.Decisions(ctx, workspace, id, false, after, matchedTogether)
		if err != nil {
			return 0, false, err
		}
		for _, d := range decisions {
			taken[d.Account] = true
		}
		after, more = next, next != ""
	}
	m, err := s.Matching(ctx, workspace, id)
	if err != nil || m.Shelf == "" {
		return 0, false, err
	}
	err = s.walkProposals(ctx, workspace, id, m.Shelf, func(proposals []Proposal) error {
		if accepted >= acceptedAtOnce {
			return errEnough
		}
		clear := slices.DeleteFunc(proposals, func(p Proposal) bool {
			c := &p.Candidates[0]
			return c.Score < least || c.Ambiguous || c.Contested > 0 || taken[c.Account]
		})
		open, err := s.undecided(ctx, workspace, id, clear)
		if err != nil {
			return err
		}
		var decisions []*Decision
		for i := range open {
			// Where the best was rejected, a person has to look at the next best.
			if c := open[i].Candidates; len(c) > 0 && c[0].Rank == 1 {
				decisions = append(decisions, open[i].decision(0))
			}
		}
		for group := range slices.Chunk(decisions, acceptedTogether) {
			if err := s.match(ctx, workspace, id, by, group); err != nil {
				return err
			}
			accepted += len(group)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return accepted, true, nil
	}
	return accepted, false, err
}

// errEnough says that as many matches are accepted as are in one call.
var errEnough = errors.New("enough")

// errDecided says that a decision came too late.
var errDecided = refuse(core.Conflicting, "account", "Somebody else has decided on it meanwhile: look at the page again")

// match writes matches and their links, all or none of them.
func (s *Store) match(ctx context.Context, workspace, id, by string, decisions []*Decision) error {
	if len(decisions) == 0 {
		return nil
	}
	keys := make([]table.Key, len(decisions))
	for i, d := range decisions {
		keys[i] = linkKey(workspace, id, d.Stream, d.ID)
	}
	before, err := s.Table.Get(ctx, keys, true)
	if err != nil {
		return err
	}
	var ops []table.Op
	for i, d := range decisions {
		d.By, d.Made = by, s.Now().UnixMilli()
		was := table.Absent()
		if before[i].Exists() {
			was = table.VersionIs(before[i].Version)
			d.Before = &Link{}
			if err := json.Unmarshal(before[i].Body, d.Before); err != nil {
				return err
			}
		}
		d.Linked = s.version(before[i].Version)
		link, err := linkItem(workspace, id, Link{Stream: d.Stream, ID: d.ID, Account: d.Account, By: by, Made: d.Made}, d.Linked)
		if err != nil {
			return err
		}
		body, err := json.Marshal(d)
		if err != nil {
			return err
		}
		ops = append(ops, table.Put(link, was),
			table.Put(table.Item{Key: matchedKey(workspace, id, d.Stream, d.ID), Version: s.version(0), Body: body}, table.Absent()))
	}
	return decided(s.Table.Transact(ctx, ops, nil))
}

func decided(err error) error {
	if errors.Is(err, table.ErrConflict) {
		return errDecided
	}
	return err
}

// Reject says that a record of a source is not the account that is proposed for it.
func (s *Store) Reject(ctx context.Context, workspace, id, stream, native, account, by string) (*Decision, error) {
	d, err := s.proposal(ctx, workspace, id, stream, native, account)
	if err != nil {
		return nil, err
	}
	d.Rejected, d.By, d.Made = true, by, s.Now().UnixMilli()
	body, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	item := table.Item{Key: rejectedKey(workspace, id, stream, native, account), Version: s.version(0), Body: body}
	return d, decided(s.Table.Transact(ctx, []table.Op{table.Put(item, table.Absent())}, nil))
}

// Undo takes a decision back: there is the link again that was there before, or
// none. A *core.Failure says that there is no such decision, or that the link has
// been changed since.
func (s *Store) Undo(ctx context.Context, workspace, id, stream, native, account string) (*Decision, error) {
	keys := []table.Key{matchedKey(workspace, id, stream, native), rejectedKey(workspace, id, stream, native, account)}
	gone := refuse(core.NotFound, "account", "There is no such decision any more")
	if native == "" || !isSort(keys[1].Sort) {
		return nil, gone
	}
	items, err := s.Table.Get(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	for i := range items {
		if !items[i].Exists() {
			continue
		}
		d := &Decision{}
		if err := json.Unmarshal(items[i].Body, d); err != nil {
			return nil, err
		}
		if d.Account != account {
			continue
		}
		ops := []table.Op{table.Delete(items[i].Key, table.VersionIs(items[i].Version))}
		switch {
		case d.Rejected:
		case d.Before == nil:
			ops = append(ops, table.Delete(linkKey(workspace, id, stream, native), table.VersionIs(d.Linked)))
		default:
			link, err := linkItem(workspace, id, *d.Before, s.version(d.Linked))
			if err != nil {
				return nil, err
			}
			ops = append(ops, table.Put(link, table.VersionIs(d.Linked)))
		}
		return d, decided(s.Table.Transact(ctx, ops, nil))
	}
	return nil, gone
}
