package matching

import (
	"cmp"
	"context"
	"hash/maphash"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
)

const (
	// common is how many of our names may have a word for it to be looked up alone.
	common = 300
	// many is how many names of ours are looked at because of one thing that they
	// have in common with another name.
	many = 2000
	// paired is how many frequent words of a name are looked up in pairs.
	paired = 6
	// compared is how many names of ours are compared with another name.
	compared = 32
	// full is the weight of a word that no other name has.
	full = 1000
	// shortest is how many letters a word has that may be misspelt.
	shortest = 4
)

// record is a name as it is compared.
type record struct {
	id     string
	tokens []token
	// order has the numbers of tokens of ours.
	order               []uint32
	legal               string
	domain, site, phone string
	street              []string
	city, country       string
}

// token is a word of a name. Weight says how rare it is, up to full.
type token struct {
	text   string
	weight int
}

// Index has our names in memory, for being found. It may be used by several
// goroutines at once.
type Index struct {
	names  []record // by id
	words  []token
	byWord map[string]uint32
	// posted has the names that have a word, an end of a phone number and so on.
	posted postings
	// near has the words by what they are with a letter left out.
	near    postings
	scratch sync.Pool
}

// postings are lists of numbers by the hashes of their keys.
type postings struct{ entries []posting }

type posting struct {
	key uint64
	of  uint32
}

func (p *postings) add(key uint64, of uint32) { p.entries = append(p.entries, posting{key, of}) }

func (p *postings) sort() {
	slices.SortFunc(p.entries, func(a, b posting) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.of, b.of)) })
	p.entries = slices.Clip(slices.Compact(p.entries))
}

// get returns what was added under a key: the first many of it.
func (p *postings) get(key uint64) []posting {
	from, ok := slices.BinarySearchFunc(p.entries, key, func(e posting, key uint64) int { return cmp.Compare(e.key, key) })
	if !ok {
		return nil
	}
	to := from + 1
	for to < len(p.entries) && to-from < many && p.entries[to].key == key {
		to++
	}
	return p.entries[from:to]
}

var seed = maphash.MakeSeed()

// key returns the hash of what names have in common. Different things may have the
// same one, so rarely that it does not matter: names are compared anyway.
func key(kind byte, parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_ = h.WriteByte(kind)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// foldName returns a name as it is compared, without the weights of its words, and
// the words.
func foldName(n Name) (record, []string) {
	r := record{id: strings.Clone(n.ID), phone: phoneOf(n.Phone), street: streetOf(n.Street), city: plainly(n.City), country: plainly(n.Country)}
	var tokens []string
	tokens, r.legal = fold(n.Name)
	r.domain, r.site = domainOf(n.Domain)
	return r, tokens
}

// NewIndex reads our names. It returns the first error that ours yields, or that ctx
// is done.
func NewIndex(ctx context.Context, ours iter.Seq2[Name, error]) (*Index, error) {
	x := &Index{byWord: map[string]uint32{}}
	for n, err := range ours {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		r, tokens := foldName(n)
		for _, t := range tokens {
			number, ok := x.byWord[t]
			if !ok {
				number = uint32(len(x.words))
				x.words = append(x.words, token{text: strings.Clone(t)})
				x.byWord[x.words[number].text] = number
			}
			r.order = append(r.order, number)
		}
		r.order = slices.Clip(r.order)
		x.names = append(x.names, r)
	}
	// What is found must not depend on the order in which they came.
	slices.SortStableFunc(x.names, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.id, b.id), slices.CompareFunc(x.tokens(a), x.tokens(b), func(a, b token) int { return cmp.Compare(a.text, b.text) }),
			cmp.Compare(a.legal, b.legal), cmp.Compare(a.domain, b.domain), cmp.Compare(a.phone, b.phone),
			slices.Compare(a.street, b.street), cmp.Compare(a.city, b.city), cmp.Compare(a.country, b.country))
	})
	for i := range x.names {
		for _, number := range distinct(x.names[i].order) {
			x.words[number].weight++ // for now, how many names have it
		}
	}
	for i := range x.names {
		for _, k := range x.keys(&x.names[i]) {
			x.posted.add(k, uint32(i))
		}
	}
	x.posted.sort()
	for i := range x.words {
		w := &x.words[i]
		for _, k := range nearKeys(w.text) {
			x.near.add(k, uint32(i))
		}
		w.weight = x.weight(w.text, w.weight)
	}
	x.near.sort()
	x.scratch.New = func() any { return &scratch{score: make([]float32, len(x.names))} }
	return x, nil
}

func distinct(numbers []uint32) []uint32 {
	sorted := slices.Clone(numbers)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// Len returns how many names the index has.
func (x *Index) Len() int { return len(x.names) }

// weight returns the weight of a word that so many of our names have: the inverse
// document frequency, as a share of that of a word that one name has.
func (x *Index) weight(word string, in int) int {
	w := 1.0
	if n := float64(len(x.names)); in > 1 {
		w = math.Log1p(n/float64(in)) / math.Log1p(n)
	}
	if generic[word] {
		w = min(w, 0.3)
	}
	return max(1, int(w*full))
}

// tokens returns the words of one of our names.
func (x *Index) tokens(r record) []token {
	all := make([]token, len(r.order))
	for i, number := range r.order {
		all[i] = x.words[number]
	}
	return all
}

// The kinds of keys: what two names must have in common to be compared.
const (
	aWord = iota
	twoWords
	allLetters
	allLettersThere
	itsInitials
	areInitials
	aDomain
	aSite
	aPhone
	anAddress
)

// keys returns what one of our names is found by, while the weights of words are how
// many names have them.
func (x *Index) keys(r *record) []uint64 {
	var keys []uint64
	var frequent, texts []string
	for _, number := range r.order {
		w := x.words[number]
		texts = append(texts, w.text)
		if w.weight <= common {
			keys = append(keys, key(aWord, w.text))
		} else if len(frequent) < paired {
			frequent = append(frequent, w.text)
		}
	}
	for i, a := range frequent {
		for _, b := range frequent[:i] {
			keys = append(keys, pair(a, b))
		}
	}
	for _, s := range shared(r, texts) {
		keys = append(keys, s.key)
	}
	if in := initials(texts); in != "" {
		keys = append(keys, key(itsInitials, in))
	}
	if len(texts) == 1 && isShort(texts[0]) {
		keys = append(keys, key(areInitials, texts[0]))
	}
	return keys
}

func pair(a, b string) uint64 { return key(twoWords, min(a, b), max(a, b)) }

// clue is something that names may have in common, and how much that promises.
type clue struct {
	key     uint64
	promise float32
}

// shared returns what both names must have alike to be compared.
func shared(r *record, tokens []string) []clue {
	var all []clue
	if len(tokens) > 0 {
		sorted := slices.Sorted(slices.Values(tokens))
		all = append(all, clue{key(allLetters, sorted...), 2}, clue{key(allLetters, strings.Join(tokens, "")), 2})
		if r.city != "" {
			all = append(all, clue{key(allLettersThere, append(sorted, r.city)...), 1})
		}
	}
	if r.domain != "" {
		all = append(all, clue{key(aDomain, r.domain), 2}, clue{key(aSite, r.site), 1})
	}
	if r.phone != "" {
		all = append(all, clue{key(aPhone, r.phone), 1})
	}
	if len(r.street) > 1 && r.city != "" {
		all = append(all, clue{key(anAddress, append(r.street[:len(r.street):len(r.street)], r.city)...), 1})
	}
	return all
}

// initials returns those of a name of several words; "" if it has too few.
func initials(tokens []string) string {
	if len(tokens) < 3 || len(tokens) > 6 {
		return ""
	}
	var in []byte
	for _, t := range tokens {
		in = append(in, t[0])
	}
	return string(in)
}

// isShort reports whether a name may consist of initials.
func isShort(word string) bool { return len(word) >= 3 && len(word) <= 6 }

// nearKeys returns the keys of a word, and of what it is with a letter left out: two
// words that differ by a letter have one in common.
func nearKeys(word string) []uint64 {
	if !mayBeMisspelt(word) {
		return nil
	}
	keys := []uint64{key(aWord, word)}
	for i := range len(word) {
		keys = append(keys, key(aWord, word[:i]+word[i+1:]))
	}
	return keys
}

// mayBeMisspelt reports whether a word is long enough to be recognised though it is
// misspelt. Numbers are never alike.
func mayBeMisspelt(word string) bool {
	return len(word) >= shortest && !strings.ContainsAny(word, "0123456789")
}

// scratch is what a search counts in.
type scratch struct {
	score   []float32
	touched []uint32
}

// promising returns the names of ours that a name has most in common with, as
// numbers.
func (x *Index) promising(r *record) []uint32 {
	s := x.scratch.Get().(*scratch)
	defer x.scratch.Put(s)
	add := func(found []posting, promise float32) {
		for _, e := range found {
			if s.score[e.of] == 0 {
				s.touched = append(s.touched, e.of)
			}
			s.score[e.of] += promise
		}
	}
	texts := make([]string, len(r.tokens))
	var frequent [][]token
	for i, t := range r.tokens {
		texts[i] = t.text
		var often []token
		for _, w := range x.alike(t.text) {
			if found := x.posted.get(key(aWord, w.text)); found != nil {
				add(found, float32(w.weight)/full)
			} else {
				often = append(often, w)
			}
		}
		for _, others := range frequent {
			for _, a := range often {
				for _, b := range others {
					add(x.posted.get(pair(a.text, b.text)), float32(a.weight+b.weight)/full)
				}
			}
		}
		if len(often) > 0 {
			frequent = append(frequent, often)
		}
	}
	for _, c := range shared(r, texts) {
		add(x.posted.get(c.key), c.promise)
	}
	if in := initials(texts); in != "" {
		add(x.posted.get(key(areInitials, in)), 0.5)
	}
	if len(texts) == 1 && isShort(texts[0]) {
		add(x.posted.get(key(itsInitials, texts[0])), 0.5)
	}
	// Of two names that have as much in common, the shorter one has less else.
	better := func(a, b uint32) int {
		return cmp.Or(cmp.Compare(s.score[b], s.score[a]), cmp.Compare(len(x.names[a].order), len(x.names[b].order)), cmp.Compare(a, b))
	}
	best := make([]uint32, 0, compared+1)
	for _, number := range s.touched {
		if len(best) == compared && better(number, best[compared-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, number, better)
		if best = slices.Insert(best, at, number); len(best) > compared {
			best = best[:compared]
		}
	}
	for _, number := range s.touched {
		s.score[number] = 0
	}
	s.touched = s.touched[:0]
	return best
}

// alike returns a word if we have it, and those of ours that it may be misspelt for.
func (x *Index) alike(word string) []token {
	var all []token
	if number, ok := x.byWord[word]; ok {
		all = append(all, x.words[number])
	}
	var numbers []uint32
	for _, k := range nearKeys(word) {
		for _, e := range x.near.get(k) {
			numbers = append(numbers, e.of)
		}
	}
	for _, number := range distinct(numbers) {
		if w := x.words[number]; w.text != word && similarity(word, w.text) > 0 {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b token) int { return cmp.Compare(a.text, b.text) })
	return all
}

// weigh returns another system's name as it is compared.
func (x *Index) weigh(n Name) record {
	r, tokens := foldName(n)
	r.tokens = make([]token, len(tokens))
	for i, t := range tokens {
		r.tokens[i] = token{t, x.weight(t, 1)}
		if number, ok := x.byWord[t]; ok {
			r.tokens[i].weight = x.words[number].weight
		}
	}
	return r
}

// Find returns the candidates of one of another system's records, the best first.
func (x *Index) Find(n Name, o Options) []Candidate {
	o.Min, o.Most = cmp.Or(o.Min, DefaultMin), cmp.Or(o.Most, DefaultMost)
	theirs := x.weigh(n)
	type found struct {
		number uint32
		score  int
	}
	var all []found
	for _, number := range x.promising(&theirs) {
		if score, _ := x.compare(&x.names[number], &theirs, false); score >= o.Min {
			all = append(all, found{number, score})
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.number, b.number))
	})
	var candidates []Candidate
	seen := map[string]bool{}
	near := 0 // how many are as good as the best
	for _, f := range all {
		ours := &x.names[f.number]
		if seen[ours.id] {
			continue
		}
		seen[ours.id] = true
		if f.score >= all[0].score-margin {
			near++
		}
		if len(candidates) < o.Most {
			_, reasons := x.compare(ours, &theirs, true)
			candidates = append(candidates, Candidate{ID: n.ID, Account: ours.id, Score: f.score, Rank: len(candidates) + 1, Reasons: reasons})
		}
	}
	if near > 1 {
		for i := range candidates[:min(near, len(candidates))] {
			candidates[i].Ambiguous = true
		}
	}
	return candidates
}
