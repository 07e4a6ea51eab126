package revenue

import (
	"cmp"
	"math"
	"math/big"
	"slices"
)

// scale is a common denominator of what segments earn a month. Summing over
// it is exact, and costs an addition of whole numbers a change.
type scale struct {
	lengths *big.Int // a multiple of the lengths of all cycles
	whole   *big.Int // what a cent is in it
}

// twelfths is how many twelfths of a cycle one Unit of length is to a month:
// a year has 12 months, a day is 12/365 of one (contract S3).
var twelfths = [...]int64{Day: 365, Month: 12, Year: 1}

func newScale(segments []Segment) scale {
	lcm, gcd, rest := big.NewInt(1), new(big.Int), new(big.Int)
	seen := map[int64]bool{}
	for _, s := range segments {
		if seen[s.Length] {
			continue
		}
		seen[s.Length] = true
		length := big.NewInt(s.Length)
		gcd.GCD(nil, nil, length, rest.Rem(lcm, length))
		lcm.Mul(lcm, length.Quo(length, gcd))
	}
	return scale{lengths: lcm, whole: new(big.Int).Mul(lcm, big.NewInt(12))}
}

// monthly returns what s earns a month.
func (c scale) monthly(s Segment) *big.Int {
	n := new(big.Int).Quo(c.lengths, big.NewInt(s.Length))
	n.Mul(n, big.NewInt(twelfths[s.Unit]))
	return n.Mul(n, big.NewInt(s.Revenue))
}

// cents rounds a sum to whole cents, half away from zero, and holds it within
// the limits of int64.
func (c scale) cents(sum *big.Int) int64 {
	n := new(big.Int).Abs(sum)
	n.Lsh(n, 1).Add(n, c.whole)
	n.Quo(n, c.whole).Rsh(n, 1)
	if sum.Sign() < 0 {
		n.Neg(n)
	}
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// MRR returns what an account's subscriptions earn a month at t, in cents: the
// exact sum over those in force, rounded once (contract S3).
func MRR(subs []Subscription, t int64) int64 {
	var inForce []Segment
	for _, sub := range subs {
		if s, ok := sub.History.At(t); ok {
			inForce = append(inForce, s)
		}
	}
	scale := newScale(inForce)
	sum := new(big.Int)
	for _, s := range inForce {
		sum.Add(sum, scale.monthly(s))
	}
	return scale.cents(sum)
}

// MovementType is why MRR moved.
type MovementType uint8

const (
	New MovementType = iota
	Expansion
	Contraction
	Churn
)

var movementTypes = [...]string{New: "new", Expansion: "expansion", Contraction: "contraction", Churn: "churn"}

// String returns the type in the contract's word.
func (m MovementType) String() string { return movementTypes[m] }

// Movement is one change of an account's MRR (contract S4, Q23).
type Movement struct {
	Date   int64
	Type   MovementType
	Amount int64 // After - Before, in cents, never 0
	Before int64
	After  int64
	// Subscriptions are the ids, sorted, of those that earn more or less from
	// that instant on.
	Subscriptions []string
}

// turn is an instant at which a subscription may begin to earn another amount.
type turn struct {
	date  int64
	sub   int
	earns *big.Int
	ended bool
}

// Movements returns every change of an account's MRR, those to come included,
// in the order of time (contract S4). Up to any instant the amounts add up to
// the MRR at it, and each movement begins where the one before it ended.
//
// The first that makes the total positive is new, any other rise an expansion.
// A fall is churn if at that instant a subscription ended or stopped earning
// anything, else a contraction. A subscription that goes on where it ended did
// not end.
//
// There is one movement an instant, unless the change exceeds an int64 (from
// one limit towards the other): such a one is told in steps.
func Movements(subs []Subscription) []Movement {
	turns, scale := turnsOf(subs)
	earns := make([]*big.Int, len(subs))
	for i := range earns {
		earns[i] = new(big.Int)
	}
	var all []Movement
	var ids []string
	sum, before, wasPositive := new(big.Int), int64(0), false
	for i := 0; i < len(turns); {
		date, churned := turns[i].date, false
		ids = ids[:0]
		for ; i < len(turns) && turns[i].date == date; i++ {
			t := turns[i]
			was := earns[t.sub]
			earns[t.sub] = t.earns
			churned = churned || t.ended || was.Sign() > 0 && t.earns.Sign() <= 0
			if was.Cmp(t.earns) != 0 {
				ids = append(ids, subs[t.sub].ID)
				sum.Add(sum, t.earns).Sub(sum, was)
			}
		}
		for after := scale.cents(sum); before != after; {
			m := Movement{Date: date, Before: before, After: step(before, after), Subscriptions: slices.Sorted(slices.Values(ids))}
			m.Amount = m.After - m.Before
			switch {
			case m.Amount > 0 && m.After > 0 && !wasPositive:
				m.Type, wasPositive = New, true
			case m.Amount > 0:
				m.Type = Expansion
			case churned:
				m.Type = Churn
			default:
				m.Type = Contraction
			}
			all = append(all, m)
			before = m.After
		}
	}
	return all
}

// turnsOf returns the turns of the subscriptions in the order of time, one of
// each subscription an instant.
func turnsOf(subs []Subscription) ([]turn, scale) {
	var segments []Segment
	for _, sub := range subs {
		segments = append(segments, sub.History...)
	}
	scale := newScale(segments)
	nothing := new(big.Int)
	turns := make([]turn, 0, 2*len(segments))
	for i, sub := range subs {
		for j, s := range sub.History {
			turns = append(turns, turn{date: s.Start, sub: i, earns: scale.monthly(s)})
			goesOn := j+1 < len(sub.History) && sub.History[j+1].Start == s.End
			if s.End != Open && !goesOn {
				turns = append(turns, turn{date: s.End, sub: i, earns: nothing, ended: s.IsEnd})
			}
		}
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.date, b.date) })
	return turns, scale
}

// step returns the value nearest to "to" whose distance from "from" is an int64.
func step(from, to int64) int64 {
	switch {
	case from < 0 && to > from+math.MaxInt64:
		return from + math.MaxInt64
	case from > 0 && to < from+math.MinInt64:
		return from + math.MinInt64
	}
	return to
}
