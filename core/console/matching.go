package console

import (
	"fmt"
	"net/http"
	"strconv"

	"tenure/core/identity"
	"tenure/core/sources"
)

const (
	// matchesAtOnce is how many records the pages of matching list.
	matchesAtOnce = 50
	// usualLeast is how many points a candidate needs to be accepted with others,
	// unless somebody says otherwise.
	usualLeast = 90
)

// matchingRoutes are the pages of Fuzzy Matching.
func matchingRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/matching", role: identity.Viewer, serve: matchingSources},
		{method: http.MethodGet, path: "/matching/{id}", role: identity.Viewer, serve: matchingPage},
		{method: http.MethodGet, path: "/matching/{id}/matched", role: identity.Viewer, serve: decisionsPage(false)},
		{method: http.MethodGet, path: "/matching/{id}/rejected", role: identity.Viewer, serve: decisionsPage(true)},
		{method: http.MethodPost, path: "/matching/{id}/search", role: identity.Admin, serve: searchMatches, form: matchingPage},
		{method: http.MethodPost, path: "/matching/{id}/stop", role: identity.Admin, serve: stopMatching, form: matchingPage},
		{method: http.MethodPost, path: "/matching/{id}/accept", role: identity.Admin, serve: acceptMatch, form: matchingPage},
		{method: http.MethodPost, path: "/matching/{id}/accept-all", role: identity.Admin, serve: acceptMatches, form: matchingPage},
		{method: http.MethodPost, path: "/matching/{id}/reject", role: identity.Admin, serve: rejectMatch, form: matchingPage},
		{method: http.MethodPost, path: "/matching/{id}/undo", role: identity.Admin, serve: undoMatch, form: matchingPage},
	}
}

// matchable is a source whose accounts can be matched.
type matchable struct {
	*source
	Matching *sources.Matching `json:"matching"`
}

// matchablesData is what the page shows where a source is chosen.
type matchablesData struct {
	Sources []matchable `json:"sources"`
}

func matchingSources(s *server, r *request) (view, error) {
	data := matchablesData{Sources: []matchable{}}
	statuses, err := s.Sources.Statuses(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	for _, status := range statuses {
		if !s.Sources.CanMatch(status.Source) {
			continue
		}
		m, err := s.Sources.Matching(r.Context(), r.workspace(), status.Source.ID)
		if err != nil {
			return view{}, err
		}
		data.Sources = append(data.Sources, matchable{s.sourceOf(status), m})
	}
	return view{template: "matching-sources", title: "Fuzzy matching", data: data}, nil
}

// The tabs of the page of a source.
const (
	tabUnmatched = "unmatched"
	tabMatched   = "matched"
	tabRejected  = "rejected"
)

// matchingData is what the page of a source shows.
type matchingData struct {
	Source   *source           `json:"source"`
	Matching *sources.Matching `json:"matching"`
	Tab      string            `json:"tab"`
	// Proposals are those of the tab "unmatched", Decisions those of the others.
	Proposals []sources.Proposal `json:"proposals,omitempty"`
	Decisions []sources.Decision `json:"decisions,omitempty"`
	// Next is "after" of the next page; empty on the last one.
	Next string `json:"next,omitempty"`
}

// matchingOf returns a source whose accounts can be matched, and what came of the
// last search.
func (s *server) matchingOf(r *request) (matchingData, error) {
	of, err := s.status(r)
	if err != nil {
		return matchingData{}, err
	}
	if !s.Sources.CanMatch(of.Source) {
		return matchingData{}, errNoPage
	}
	m, err := s.Sources.Matching(r.Context(), r.workspace(), of.Source.ID)
	return matchingData{Source: of, Matching: m}, err
}

// matchingView shows the page of a source. While candidates are sought, htmx asks for
// what is said of that alone, and at the end for the page as it is then.
func (s *server) matchingView(r *request, data matchingData) view {
	if data.Matching.Next == nil && r.Header.Get("HX-Request") != "" {
		return view{to: data.Page()}
	}
	return view{template: "matching", title: "Matching of " + data.Source.Source.Name, data: data, fragment: "search"}
}

func matchingPage(s *server, r *request) (view, error) {
	data, err := s.matchingOf(r)
	if err != nil {
		return view{}, err
	}
	data.Tab = tabUnmatched
	data.Proposals, data.Next, err = s.Sources.Proposals(r.Context(), r.workspace(), data.Source.Source.ID, r.URL.Query().Get("after"), matchesAtOnce)
	return s.matchingView(r, data), err
}

func decisionsPage(rejected bool) func(*server, *request) (view, error) {
	return func(s *server, r *request) (view, error) {
		data, err := s.matchingOf(r)
		if err != nil {
			return view{}, err
		}
		data.Tab = tabMatched
		if rejected {
			data.Tab = tabRejected
		}
		data.Decisions, data.Next, err = s.Sources.Decisions(r.Context(), r.workspace(), data.Source.Source.ID, rejected, r.URL.Query().Get("after"), matchesAtOnce)
		return s.matchingView(r, data), err
	}
}

func searchMatches(s *server, r *request) (view, error) {
	data, err := s.matchingOf(r)
	if err != nil {
		return view{}, err
	}
	of := data.Source.Source
	if err := s.Sources.AskSearch(r.Context(), r.workspace(), of.ID); err != nil {
		return view{}, err
	}
	r.audit("matching.asked", of.Name)
	return view{to: "matching/" + of.ID, done: "matching-asked"}, nil
}

func stopMatching(s *server, r *request) (view, error) {
	data, err := s.matchingOf(r)
	if err != nil {
		return view{}, err
	}
	of := data.Source.Source
	if err := s.Sources.StopSearch(r.Context(), r.workspace(), of.ID); err != nil {
		return view{}, err
	}
	r.audit("matching.stopped", of.Name)
	return view{to: "matching/" + of.ID, done: "matching-stopped"}, nil
}

// decide has a form carried out that is about one candidate.
func (s *server) decide(r *request, action, done, tab string, do func(id, stream, native, account string) (*sources.Decision, error)) (view, error) {
	data, err := s.matchingOf(r)
	if err != nil {
		return view{}, err
	}
	of := data.Source.Source
	d, err := do(of.ID, r.form.Get("stream"), r.form.Get("id"), r.form.Get("account"))
	if err != nil {
		return view{}, err
	}
	r.audit(action, fmt.Sprintf("%s: %s = %s", of.Name, d.Label, d.Account))
	to := "matching/" + of.ID
	if tab != "" {
		to += "/" + tab
	}
	return view{to: to, done: done}, nil
}

func acceptMatch(s *server, r *request) (view, error) {
	return s.decide(r, "match.accepted", "matching-accepted", "", func(id, stream, native, account string) (*sources.Decision, error) {
		return s.Sources.Accept(r.Context(), r.workspace(), id, stream, native, account, r.email())
	})
}

func rejectMatch(s *server, r *request) (view, error) {
	return s.decide(r, "match.rejected", "matching-rejected", "", func(id, stream, native, account string) (*sources.Decision, error) {
		return s.Sources.Reject(r.Context(), r.workspace(), id, stream, native, account, r.email())
	})
}

func undoMatch(s *server, r *request) (view, error) {
	tab := tabMatched
	if r.form.Get("rejected") != "" {
		tab = tabRejected
	}
	return s.decide(r, "match.undone", "matching-undone", tab, func(id, stream, native, account string) (*sources.Decision, error) {
		return s.Sources.Undo(r.Context(), r.workspace(), id, stream, native, account)
	})
}

func acceptMatches(s *server, r *request) (view, error) {
	data, err := s.matchingOf(r)
	if err != nil {
		return view{}, err
	}
	of := data.Source.Source
	least, err := strconv.Atoi(r.form.Get("least"))
	if err != nil {
		least = 0 // which is refused
	}
	accepted, more, err := s.Sources.AcceptAll(r.Context(), r.workspace(), of.ID, least, r.email())
	if err != nil && accepted == 0 {
		return view{}, err
	}
	if err != nil { // what was accepted before is, and is to be told of
		s.Log.Error("not all matches were accepted", "source", of.ID, "error", err)
		more = true
	}
	if accepted > 0 {
		r.audit("match.all_accepted", fmt.Sprintf("%s: %d records, from %d points", of.Name, accepted, least))
	}
	done := "matching-all"
	switch {
	case more:
		done = "matching-more"
	case accepted == 0:
		done = "matching-none"
	}
	return view{to: "matching/" + of.ID, done: done}, nil
}

// Least is how many points candidates need that are accepted together, if nobody
// has said.
func (matchingData) Least() int { return usualLeast }

// Unproposed is how many records have no candidate.
func (d matchingData) Unproposed() int { return d.Matching.Records - d.Matching.Proposed }

// Page is the page's path below BasePath + "/".
func (d matchingData) Page() string {
	page := "matching/" + d.Source.Source.ID
	if d.Tab != tabUnmatched {
		page += "/" + d.Tab
	}
	return page
}

// Percent is how far the search under way has come.
func (d matchingData) Percent() int {
	next := d.Matching.Next
	return min(100, 100*next.Through/max(1, next.Total))
}
