package revenue_test

import (
	"cmp"
	"math/big"
	"slices"

	"tenure/core/revenue"
)

// The model of a history is a row of cells of half a day each. A cell knows
// the terms in force in it and whether a segment starts with it; the last cell
// goes on for ever. It is slow, and knows nothing of cutting.
const (
	half  = day / 2
	cells = 24
)

type cell struct {
	on, starts bool
	terms      revenue.Segment // without a range and without an end mark
}

type model struct {
	cells [cells]cell
	ended [cells + 1]bool // the subscription ended at the start of the cell
}

func cellOf(t int64) int {
	if t == revenue.Open {
		return cells
	}
	return int(t / half)
}

func timeOf(cell int) int64 {
	if cell == cells {
		return revenue.Open
	}
	return int64(cell) * half
}

func modelOf(h revenue.History) (m model) {
	for _, s := range h {
		from, to := cellOf(s.Start), cellOf(s.End)
		m.ended[to] = s.IsEnd
		s.Start, s.End, s.IsEnd = 0, 0, false
		for i := from; i < to; i++ {
			m.cells[i] = cell{on: true, starts: i == from, terms: s}
		}
	}
	return m
}

// history is the inverse of modelOf.
func (m model) history() revenue.History {
	h := revenue.History{}
	for i := 0; i < cells; {
		if !m.cells[i].on {
			i++
			continue
		}
		s := m.cells[i].terms
		s.Start = timeOf(i)
		for i++; i < cells && m.cells[i].on && !m.cells[i].starts; i++ {
		}
		s.End, s.IsEnd = timeOf(i), m.ended[i]
		h = append(h, s)
	}
	return h
}

// apply is Apply, without snapshots.
func (m model) apply(e revenue.Event) model {
	from, to := cellOf(e.Start), cellOf(e.End)
	if e.Kind == revenue.EventEnd {
		last := -1
		for i := range cells {
			if i >= from {
				m.cells[i] = cell{}
			}
			if m.cells[i].on {
				last = i
			}
		}
		for i := range m.ended {
			m.ended[i] = m.ended[i] && i <= from
		}
		if last >= 0 {
			m.ended[last+1] = true
		}
		return m
	}

	there := m.cells[from]
	if !there.on {
		there.terms = revenue.Segment{NextRenewal: revenue.None}
	}
	terms := revenue.Segment{Revenue: e.Revenue, Unit: e.Unit, Length: e.Length, Plan: there.terms.Plan,
		Source: there.terms.Source, NextRenewal: there.terms.NextRenewal, Renewed: revenue.None}
	if e.Kind == revenue.EventRenewal {
		terms.NextRenewal, terms.IsRenewal = revenue.None, true
	}
	if e.Plan.Given {
		terms.Plan = e.Plan.Value
	}
	if e.Source.Given {
		terms.Source = e.Source.Value
	}
	if e.NextRenewal.Given {
		terms.NextRenewal = e.NextRenewal.Value
	}
	for i := to; i < cells && m.cells[i].on && !m.cells[i].starts; i++ {
		m.cells[i].terms.IsRenewal, m.cells[i].terms.Renewed = false, revenue.None
	}
	if to < cells {
		m.cells[to].starts = m.cells[to].on
	}
	for i := from; i < to; i++ {
		m.cells[i] = cell{}
		m.ended[i] = m.ended[i] && i == from
	}
	if e.Kind == revenue.EventRenewal {
		terms.Renewed = m.tie(from, e.PreviousRenewal)
	}
	for i := from; i < to; i++ {
		m.cells[i] = cell{on: true, starts: i == from, terms: terms}
	}
	return m
}

// duty is a renewal to be made, by the dates it was set to one after another.
type duty struct {
	dates  []int64
	begins int // the cell in which it comes up
	ends   int // the cell in which its run ended, -1 if it has not
	done   bool
}

func (d duty) due() int64 { return d.dates[len(d.dates)-1] }

// duties are those that cells before upto bring up. Renewals count from
// wherever they are.
func (m model) duties(upto int) []duty {
	var all []duty
	for i := 0; i < upto; i++ {
		if m.ended[i] {
			m.endDuties(all, i)
		}
		c := m.cells[i]
		if !c.on || !c.starts {
			continue
		}
		if len(all) == 0 || all[len(all)-1].ends >= 0 || c.terms.IsRenewal {
			all = append(all, duty{dates: []int64{revenue.None}, begins: i, ends: -1})
		}
		d := &all[len(all)-1]
		first := slices.IndexFunc(m.cells[:], func(by cell) bool {
			return by.starts && by.terms.IsRenewal && by.terms.Renewed == c.terms.NextRenewal
		})
		switch {
		case c.terms.NextRenewal == revenue.None || first < 0:
			d.dates = append(d.dates, c.terms.NextRenewal)
		case first > d.begins:
			d.dates = append(d.dates, c.terms.NextRenewal)
			d.done = true
		}
	}
	if m.ended[upto] {
		m.endDuties(all, upto)
	}
	return all
}

func (m model) endDuties(all []duty, at int) {
	for i := range all {
		if all[i].ends < 0 {
			all[i].ends = at
		}
	}
}

// tie is the date which a renewal from that cell on is tied to.
func (m model) tie(from int, previous int64) int64 {
	for _, c := range m.cells[:from] {
		if c.on && previous != revenue.None && c.terms.NextRenewal == previous {
			return previous
		}
	}
	all := m.duties(from)
	var dates []int64
	for _, d := range all {
		if d.ends == all[len(all)-1].ends && !d.done && d.due() != revenue.None {
			dates = append(dates, d.due())
		}
	}
	if len(dates) == 0 {
		return revenue.None
	}
	return slices.Min(dates)
}

// renewalDate is RenewalDate, of those duties.
func renewalDate(all []duty, t int64) int64 {
	earliest := int64(revenue.None)
	for _, d := range all {
		if d.done || d.due() == revenue.None || d.ends >= 0 && (t >= timeOf(d.ends) || d.due() >= timeOf(d.ends)) {
			continue
		}
		if earliest == revenue.None || d.due() < earliest {
			earliest = d.due()
		}
	}
	return earliest
}

// terms are what MRR depends on.
type terms struct {
	revenue, length int64
	unit            revenue.Unit
}

var perMonth = map[terms]*big.Rat{}

// mrr is MRR in a cell.
func mrr(models []model, at int) int64 {
	sum := new(big.Rat)
	for _, m := range models {
		c := m.cells[at]
		if !c.on {
			continue
		}
		p := terms{c.terms.Revenue, c.terms.Length, c.terms.Unit}
		if perMonth[p] == nil {
			months := [...]*big.Rat{revenue.Day: big.NewRat(12, 365), revenue.Month: big.NewRat(1, 1), revenue.Year: big.NewRat(12, 1)}[p.unit]
			months.Mul(months, big.NewRat(p.length, 1))
			perMonth[p] = new(big.Rat).Quo(big.NewRat(p.revenue, 1), months)
		}
		sum.Add(sum, perMonth[p])
	}
	rounded, _ := new(big.Int).SetString(sum.FloatString(0), 10)
	return rounded.Int64()
}

// turns are the cells in which something may start or end, in order.
func turns(models []model) []int {
	var all []int
	for _, m := range models {
		for i := range cells {
			was := i > 0 && m.cells[i-1].on
			if m.cells[i].on && m.cells[i].starts || was && !m.cells[i].on {
				all = append(all, i)
			}
		}
	}
	slices.SortFunc(all, cmp.Compare)
	return slices.Compact(all)
}
