package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"text/tabwriter"
	"time"

	"tenure/core/matching"
)

// thresholds are the scores from which on candidates might be accepted unseen.
var thresholds = []int{50, 60, 70, 75, 80, 85, 90, 95}

// matched is what came of matching a corpus. A record is accepted at a threshold if
// its best candidate has that score and is not ambiguous.
type matched struct {
	// accepted and right count records by threshold: those accepted, and those of them
	// for which that is true.
	accepted, right map[int]int
	// of, rightOf and shownOf count records by kind: all, those accepted rightly at the
	// threshold kept, and those whose account is among the candidates.
	of, rightOf, shownOf map[string]int
	known                int
	// took is the time on the clock, processor that of all processors.
	took, processor time.Duration
}

// processorTime returns the time of processors that this process has had.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // 0 where it is not known
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// kept is the threshold at which kinds are counted.
const kept = 80

func (c corpus) match(ctx context.Context) (*matched, error) {
	m := &matched{accepted: map[int]int{}, right: map[int]int{}, of: map[string]int{}, rightOf: map[string]int{}, shownOf: map[string]int{}, known: c.known()}
	for i := range c.names {
		m.of[c.kind(i)]++
	}
	began, before := time.Now(), processorTime()
	for found, err := range matching.Match(ctx, c.ours(), c.theirs(), matching.Options{}) {
		if err != nil {
			return nil, err
		}
		var i int
		if _, err := fmt.Sscan("1"+found.ID, &i); err != nil {
			return nil, err
		}
		i -= 10_000_000
		right := found.ID == found.Account && i < c.known()
		if right {
			m.shownOf[c.kind(i)]++
		}
		if found.Rank > 1 || found.Ambiguous {
			continue
		}
		for _, t := range thresholds {
			if found.Score >= t {
				m.accepted[t]++
				if right {
					m.right[t]++
				}
			}
		}
		if right && found.Score >= kept {
			m.rightOf[c.kind(i)]++
		}
	}
	m.took, m.processor = time.Since(began), processorTime()-before
	return m, nil
}

// precision and recall are those of accepting all from a threshold on.
func (m *matched) precision(threshold int) float64 {
	return float64(m.right[threshold]) / float64(max(1, m.accepted[threshold]))
}

func (m *matched) recall(threshold int) float64 {
	return float64(m.right[threshold]) / float64(m.known)
}

// benchMatching measures how well and how fast names are matched: first the names
// alone, then with what else companies are recognised by.
func benchMatching(ctx context.Context, names int, out io.Writer) error {
	for _, c := range []corpus{{names, true}, {names, false}} {
		m, err := c.match(ctx)
		if err != nil {
			return err
		}
		with := "names, some with domain, phone and address"
		if c.bare {
			with = "names alone"
		}
		fmt.Fprintf(out, "\nmatching %d × %d %s: %.1f s, %.1f s of a processor, peak memory so far %.0f MB\n\n", names, names, with, m.took.Seconds(), m.processor.Seconds(), memory(os.Getpid(), "VmHWM"))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "accepted from\tprecision\trecall\t")
		for _, t := range thresholds {
			fmt.Fprintf(w, "%d\t%.2f %%\t%.2f %%\t\n", t, 100*m.precision(t), 100*m.recall(t))
		}
		fmt.Fprintf(w, "\t\t\t\t\nkind\trecords\taccepted rightly from %d\tshown\t\n", kept)
		for _, k := range kindsOfTheirs {
			if n := m.of[k]; n > 0 {
				fmt.Fprintf(w, "%s\t%d\t%.1f %%\t%.1f %%\t\n", k, n, 100*float64(m.rightOf[k])/float64(n), 100*float64(m.shownOf[k])/float64(n))
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}
