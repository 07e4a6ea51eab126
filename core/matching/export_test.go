package matching

import "slices"

var Fold = fold

// Score compares two names without looking them up.
func (x *Index) Score(ours, theirs Name) int {
	a, b := x.weigh(ours), x.weigh(theirs)
	score, _ := x.compare(&a, &b, false)
	return score
}

// FormsTwice returns the legal forms that several lists have.
func FormsTwice() []string {
	var twice []string
	seen := map[string]bool{}
	for _, list := range legalLists {
		for form := range set(list) {
			if seen[form] {
				twice = append(twice, form)
			}
			seen[form] = true
		}
	}
	slices.Sort(twice)
	return twice
}
