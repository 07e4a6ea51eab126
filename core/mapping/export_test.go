package mapping

import "time"

// Within makes a program take no longer than d.
func (p *Program) Within(d time.Duration) *Program {
	p.timeout = d
	return p
}

// Currencies returns how many decimals each currency has.
func Currencies() map[string]int { return exponents }
