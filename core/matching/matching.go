// Package matching proposes which of our accounts the accounts of another system
// are, by their names and by what else tells companies apart: domains, phone
// numbers and addresses. It decides nothing and stores nothing.
//
// Our names are read once into an Index, which takes some hundred bytes for each.
// Theirs flow past it. Two names are compared only if they share something rare: a
// word, or one misspelt, two frequent words together, all words whatever their
// order and spaces, initials, a domain, a phone number, or an address.
//
// A score is the sum of what an explanation lists. The name comes first, and
// yields 88 points at most; whatever else agrees adds a share of what is missing to
// 100, and what contradicts takes a share away. Words count by how rare they are
// among our names.
//
// The same names yield the same candidates, in whatever order ours are read.
package matching

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// Name is an account by what it is recognised. All but ID may be empty.
type Name struct {
	// ID is our account_id, or the other system's own id. Several names may have the
	// same one: the best of them counts.
	ID   string
	Name string
	// Domain is a domain, a URL or an e-mail address.
	Domain string
	Phone  string
	Street string
	City   string
	// Country is a code or a name. Only codes of two letters contradict each other.
	Country string
}

// What kinds of reasons there are.
const (
	NameTokens = "name tokens"  // words that both names have
	Typo       = "typo"         // words that differ by a letter or two
	Order      = "order"        // the same words in another order
	Spacing    = "spacing"      // the same letters with other spaces
	Initials   = "initials"     // one name is the initials of the other
	Legal      = "legal suffix" // legal forms
	Domain     = "domain"
	Phone      = "phone"
	Address    = "address" // street and city
	Country    = "country"
)

// Reason is a part of a score.
type Reason struct {
	// What is one of the kinds above.
	What string `json:"what"`
	// Points are added to the score; less than 0 if it speaks against the match.
	Points int `json:"points"`
	// Detail says in a few words what agrees or does not.
	Detail string `json:"detail"`
}

// Candidate says which of our accounts an account of another system may be.
type Candidate struct {
	// ID is the other system's own id.
	ID string `json:"id"`
	// Account is our account_id.
	Account string `json:"account"`
	// Score is from 0 to 100, the sum of the points of Reasons.
	Score int `json:"score"`
	// Rank is 1 for the best candidate of ID, 2 for the next one.
	Rank int `json:"rank"`
	// Ambiguous says that another account is as good: that the best two of ID are so
	// close that only a person can tell them apart. All candidates that are as close
	// say so.
	Ambiguous bool     `json:"ambiguous"`
	Reasons   []Reason `json:"reasons"`
}

// Options restrict what is proposed.
type Options struct {
	// Min is the least score of a candidate; 0 for DefaultMin.
	Min int
	// Most is how many candidates a record has at most; 0 for DefaultMost.
	Most int
}

const (
	// DefaultMin is the least score worth showing.
	DefaultMin = 50
	// DefaultMost is how many candidates of a record are worth showing.
	DefaultMost = 3
	// margin is how many points apart two candidates are as good as each other.
	margin = 2
	// chunk is how many names are worked on at once.
	chunk = 1024
)

// Match yields the candidates of theirs among ours: the records in the order of
// theirs, the candidates of each the best first, and those with the same score by
// their account. A record without candidates yields none. An error is yielded last:
// one of ours or theirs, or that ctx is done.
func Match(ctx context.Context, ours, theirs iter.Seq2[Name, error], o Options) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		x, err := NewIndex(ctx, ours)
		if err != nil {
			yield(Candidate{}, err)
			return
		}
		for c, err := range x.Match(ctx, theirs, o) {
			if !yield(c, err) {
				return
			}
		}
	}
}

// Match is like the function, where there is an index of ours already.
func (x *Index) Match(ctx context.Context, theirs iter.Seq2[Name, error], o Options) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		names := make([]Name, 0, chunk)
		flush := func() bool {
			for _, found := range x.findAll(names, o) {
				for _, c := range found {
					if !yield(c, nil) {
						return false
					}
				}
			}
			names = names[:0]
			return true
		}
		for name, err := range theirs {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				if flush() {
					yield(Candidate{}, err)
				}
				return
			}
			if names = append(names, name); len(names) == chunk && !flush() {
				return
			}
		}
		flush()
	}
}

// findAll finds the candidates of several names, on all processors.
func (x *Index) findAll(names []Name, o Options) [][]Candidate {
	found := make([][]Candidate, len(names))
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(names); i += workers {
				found[i] = x.Find(names[i], o)
			}
		})
	}
	wg.Wait()
	return found
}
