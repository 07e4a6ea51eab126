package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
// are sought when somebody asks for it, where runs are done, and are kept, and a
// person decides: a match becomes a Link, by which the next run goes.
//
// A search takes nothing but its own lock, and writes nothing that a run reads or
// writes, so that neither waits for the other.

const (
	// matchedTogether is for how many waiting records candidates are sought at once.
	matchedTogether = 500
	// longestMatching is for how long a search that was left is gone on with.
	longestMatching = time.Hour
	// searchTries is how often a search is tried in a row that does not get on.
	searchTries = 5
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
	// Next is the search under way; nil if there is none.
	Next *Search `json:"next,omitempty"`
	// Why says why a later search has failed, and Failed when, in epoch ms.
	Why    *Reason `json:"why,omitempty"`
	Failed int64   `json:"failed,omitempty"`

	// Shelf is where its candidates are.
	Shelf   string `json:"shelf,omitempty"`
	version int64
}

// Search is how far a search for candidates has come.
type Search struct {
	// Began is when it was asked for, and Updated when it last got on, in epoch ms.
	Began   int64 `json:"began"`
	Updated int64 `json:"updated"`
	// Total is how many records waited when it began to go through them, and Through
	// how many it has gone through: those that wait for something else than their
	// account, too.
	Total   int `json:"total"`
	Through int `json:"through"`
	// Accounts, Records and Proposed are as in Matching, so far; Accounts is 0 while
	// ours are being read.
	Accounts int `json:"accounts"`
	Records  int `json:"records"`
	Proposed int `json:"proposed"`

	// Shelf is where its candidates are put; empty if it has not begun.
	Shelf string `json:"shelf,omitempty"`
	// Stream is the place of the stream that is gone through among those of accounts.
	Stream int    `json:"stream"`
	After  string `json:"after,omitempty"`
	// Tries is how often it was called since it last got on.
	Tries int `json:"tries,omitempty"`
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
	return matchingOf(&items[0])
}

func matchingOf(item *table.Item) (m *Matching, err error) {
	m = &Matching{version: item.Version}
	if item.Exists() {
		err = json.Unmarshal(item.Body, m)
	}
	return m, err
}

// errStopped says that a search was stopped, or begun anew, by somebody else.
var errStopped = errors.New("the search was stopped")

// errGaveUp says that a search does not get on, whatever is the matter: of errors of
// the program, and of processes that died, the log tells more.
var errGaveUp = fmt.Errorf("it was tried %d times and did not get on; the reason is in the log", searchTries)

// putMatching writes what came of a search, unless somebody else has written since
// it was read: then it returns errStopped.
func (s *Store) putMatching(ctx context.Context, workspace, id string, m *Matching, guard *table.Guard) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	version, cond := s.version(m.version), table.Absent()
	if m.version != 0 {
		cond = table.VersionIs(m.version)
	}
	item := table.Item{Key: matchStateKey(workspace, id), Version: version, Body: body}
	err = errors.Join(s.Table.Write(ctx, []table.Op{table.Put(item, cond)}, guard)...)
	if errors.Is(err, table.ErrConflict) {
		return errStopped
	}
	if err == nil {
		m.version = version
	}
	return err
}

// CanMatch reports whether a source has accounts that may be matched by their
// names: those of the System of Record are ours.
func (s *Store) CanMatch(source *Source) bool {
	return !source.SystemOfRecord && slices.ContainsFunc(s.Connector(source.Connector).Streams, func(st connector.Stream) bool { return st.Accounts })
}

// searchTask is what stands before the id of a source where a search is meant, and
// no run.
const searchTask = "matching/"

// AskSearch has candidates sought soon for the accounts of a source that wait. A
// *core.Failure says that it cannot be done, or is under way.
func (s *Store) AskSearch(ctx context.Context, workspace, id string) error {
	source, err := s.Get(ctx, workspace, id)
	if err != nil {
		return err
	}
	if !s.CanMatch(source) {
		return s.unmatchable(source)
	}
	m, err := s.Matching(ctx, workspace, id)
	if err != nil {
		return err
	}
	underWay := refuse(core.Conflicting, "source", "Candidates are being sought already: wait for that, or stop it")
	if m.Next != nil {
		return underWay
	}
	now := s.Now().UnixMilli()
	m.Next, m.Why, m.Failed = &Search{Began: now, Updated: now}, nil, 0
	switch err := s.putMatching(ctx, workspace, id, m, nil); {
	case errors.Is(err, errStopped):
		return underWay
	case err != nil:
		return err
	}
	if s.Start == nil {
		return nil
	}
	return s.Start(ctx, workspace, searchTask+id)
}

func (s *Store) unmatchable(source *Source) error {
	return refuse(core.Conflicting, "source", "%s has no accounts to be matched", source.Name)
}

// StopSearch stops the search for candidates of a source, if there is one: what the
// one before has found stays.
func (s *Store) StopSearch(ctx context.Context, workspace, id string) error {
	for {
		m, err := s.Matching(ctx, workspace, id)
		if err != nil || m.Next == nil {
			return err
		}
		m.Next = nil
		// It may have got on meanwhile.
		if err := s.putMatching(ctx, workspace, id, m, nil); !errors.Is(err, errStopped) {
			return err
		}
	}
}

// search is one call that seeks candidates.
type search struct {
	*run
	m       *Matching
	renewed time.Time
}

// search goes on with the search for candidates of a source, as Run does with a run:
// until it is done, was stopped, or the end of ctx is near.
func (s *Store) search(ctx context.Context, workspace, id string) (more bool, err error) {
	source, err := s.Get(ctx, workspace, id)
	if failure, ok := errors.AsType[*core.Failure](err); ok && failure == notFound {
		return false, nil // it was deleted
	}
	if err != nil {
		return true, err
	}
	lock, err := s.Access.Lock(ctx, access.LockID("matching/"+workspace+"/"+id), lease, 0)
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, lock.Release(ctx)) }()
	q := &search{run: &run{Store: s, workspace: workspace, source: source, lock: lock}, renewed: s.Now()}
	if q.m, err = s.Matching(ctx, workspace, id); err != nil || q.m.Next == nil {
		return err != nil, err
	}
	more, err = q.do(ctx)
	switch why := reasonOf(err); {
	case errors.Is(err, errStopped):
		return q.stopped(ctx)
	case errors.Is(err, table.ErrFenced):
		return true, fmt.Errorf("%w: %w", access.ErrLocked, err)
	case errors.Is(err, errGaveUp):
		return false, q.fail(ctx, &Reason{Code: "internal", Message: err.Error()})
	case why != nil:
		return false, q.fail(ctx, why)
	}
	return more, err
}

// stopped ends a call whose search was stopped; more says that there is another one.
func (q *search) stopped(ctx context.Context) (more bool, err error) {
	m, err := q.Matching(ctx, q.workspace, q.source.ID)
	if err != nil || m.Next != nil {
		return true, err
	}
	_, err = q.Get(ctx, q.workspace, q.source.ID)
	if failure, ok := errors.AsType[*core.Failure](err); ok && failure == notFound {
		// The source was deleted, and perhaps before the last candidates were written.
		return false, q.clear(ctx, proposalKey(q.workspace, q.source.ID, q.m.Next.Shelf, "", "").Partition)
	}
	return false, err
}

// fail writes down why the search has failed.
func (q *search) fail(ctx context.Context, why *Reason) error {
	why.Message = clip(why.Message)
	q.m.Next, q.m.Why, q.m.Failed = nil, why, q.Now().UnixMilli()
	if err := q.put(ctx); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// put writes down how far the search has come.
func (q *search) put(ctx context.Context) error {
	if q.m.Next != nil {
		q.m.Next.Updated = q.Now().UnixMilli()
	}
	return q.putMatching(ctx, q.workspace, q.source.ID, q.m, q.guard())
}

// hold keeps the lock, and returns what ties the next write to it.
func (q *search) hold(ctx context.Context) (*table.Guard, error) {
	if q.Now().Sub(q.renewed) > lease/5 {
		q.renewed = q.Now()
		if err := q.lock.Renew(ctx, lease); err != nil {
			return nil, err
		}
	}
	return q.guard(), nil
}

// do seeks candidates from where the search has come to.
func (q *search) do(ctx context.Context) (more bool, err error) {
	if !q.CanMatch(q.source) {
		return false, q.unmatchable(q.source)
	}
	if err := q.open(ctx); err != nil {
		return true, err
	}
	streams := slices.DeleteFunc(slices.Clone(q.connector.Streams), func(st connector.Stream) bool { return !st.Accounts })
	if err := q.begin(ctx, streams); err != nil {
		return true, err
	}
	next := q.m.Next
	if next.Stream < len(streams) {
		names := map[string]string{}
		index, err := matching.NewIndex(ctx, q.accountNames(ctx, names))
		if err != nil {
			return true, err
		}
		next.Accounts = len(names)
		for next.Stream < len(streams) {
			ops, last, err := q.candidates(ctx, &streams[next.Stream], next, index, names)
			if err != nil {
				return true, err
			}
			if last {
				next.Stream, next.After = next.Stream+1, ""
			}
			guard, err := q.hold(ctx)
			if err != nil {
				return true, err
			}
			// How far it has come is written last, so that what it tells of is there.
			if err := errors.Join(q.Table.Write(ctx, ops, guard)...); err != nil {
				return true, err
			}
			next.Tries = 0
			if err := q.put(ctx); err != nil {
				return true, err
			}
			if q.late(ctx) {
				return true, nil
			}
		}
	}
	if err := q.contest(ctx); err != nil {
		return true, err
	}
	q.m = &Matching{
		Computed: q.Now().UnixMilli(), Accounts: next.Accounts, Records: next.Records, Proposed: next.Proposed, Shelf: next.Shelf, version: q.m.version,
	}
	return false, q.put(ctx)
}

// begin begins the search, or anew one that was left for long, and counts that it is
// tried.
func (q *search) begin(ctx context.Context, streams []connector.Stream) error {
	next := q.m.Next
	if next.Shelf == "" || q.Now().Sub(time.UnixMilli(next.Updated)) > longestMatching {
		*next = Search{Began: next.Began, Tries: next.Tries, Shelf: shelves[0]}
		if q.m.Shelf == shelves[0] {
			next.Shelf = shelves[1]
		}
		st, err := q.loadState(ctx, q.workspace, q.source.ID)
		if err != nil {
			return err
		}
		for i := range streams {
			next.Total += st.Waiting[streams[i].Name]
		}
		if err := q.clearUnder(ctx, proposalKey(q.workspace, q.source.ID, next.Shelf, "", "").Partition, q.hold); err != nil {
			return err
		}
	}
	if next.Tries++; next.Tries > searchTries {
		return errGaveUp
	}
	return q.put(ctx)
}

// accountNames yields by what our accounts are recognised, and writes their names
// down. Accounts that are inactive are ours, too.
func (q *search) accountNames(ctx context.Context, names map[string]string) iter.Seq2[matching.Name, error] {
	family := q.family("accounts")
	ordinal := family.Schema.Ordinal
	name, website, phone := ordinal("name"), ordinal("website"), ordinal("phone")
	street, city, country := ordinal("billing_street"), ordinal("billing_city"), ordinal("billing_country")
	return func(yield func(matching.Name, error) bool) {
		for batch, err := range q.Engine.Batches(ctx, resource.List{Workspace: q.workspace, Family: family, Inactive: true}, "") {
			if err == nil {
				_, err = q.hold(ctx)
			}
			if err != nil {
				yield(matching.Name{}, err)
				return
			}
			for _, record := range batch.Records {
				n := matching.Name{
					ID: record[family.ID].Text(), Name: record[name].Text(), Domain: record[website].Text(), Phone: record[phone].Text(),
					Street: record[street].Text(), City: record[city].Text(), Country: record[country].Text(),
				}
				// What they are parts of need not be kept for them.
				names[strings.Clone(n.ID)] = strings.Clone(n.Name)
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
		next.Through++
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
func (q *search) contest(ctx context.Context) error {
	shelf := q.m.Next.Shelf
	claims := map[string]int{}
	if err := q.walkProposals(ctx, q.workspace, q.source.ID, shelf, func(proposals []Proposal) error {
		for _, p := range proposals {
			claims[p.Candidates[0].Account]++
		}
		return nil
	}); err != nil {
		return err
	}
	return q.walkProposals(ctx, q.workspace, q.source.ID, shelf, func(proposals []Proposal) error {
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
			ops = append(ops, table.Put(table.Item{Key: proposalKey(q.workspace, q.source.ID, shelf, p.Stream, p.ID), Version: q.version(0), Body: body}, table.Condition{}))
		}
		guard, err := q.hold(ctx)
		if err != nil {
			return err
		}
		return errors.Join(q.Table.Write(ctx, ops, guard)...)
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
