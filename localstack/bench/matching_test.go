package main

import "testing"

// What is asked for is a little less than what was measured when it was written.
func TestNamesAreMatchedWellEnoughToBeAcceptedUnseen(t *testing.T) {
	for _, c := range []struct {
		corpus
		threshold         int
		precision, recall float64
	}{
		{corpus{3000, true}, 85, 0.97, 0.60},
		{corpus{3000, true}, 50, 0.88, 0.90},
		{corpus{3000, false}, 90, 0.995, 0.50},
		{corpus{3000, false}, 75, 0.97, 0.86},
	} {
		m, err := c.match(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p, r := m.precision(c.threshold), m.recall(c.threshold); p < c.precision || r < c.recall {
			t.Errorf("bare %t, from %d: precision %.4f and recall %.4f, not %.4f and %.4f", c.bare, c.threshold, p, r, c.precision, c.recall)
		}
		for _, kind := range []string{"same", "suffix", "order", "homonym"} {
			if m.of[kind] == 0 || m.shownOf[kind] != m.of[kind] {
				t.Errorf("bare %t, %s: %d shown of %d", c.bare, kind, m.shownOf[kind], m.of[kind])
			}
		}
	}
}
