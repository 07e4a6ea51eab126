package calls

import "time"

// maxSpans is how many spans a chart has at most.
const maxSpans = 60

// widths are the widths of spans that people count in.
var widths = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour,
}

// Span counts the calls of a span of time.
type Span struct {
	// Start is when it begins, in epoch ms.
	Start    int64 `json:"start"`
	Calls    int   `json:"calls"`
	Failures int   `json:"failures"`
}

// Spans divides the time that calls cover, from the first of them up to now,
// into at most 60 spans of the same width, and counts the calls of each. Spans
// begin at whole multiples of their width since 1970; those without calls are
// there too.
func Spans(calls []Call, now time.Time) (width time.Duration, spans []Span) {
	if len(calls) == 0 {
		return 0, nil
	}
	first, last := calls[0].Time, now.UnixMilli()
	for i := range calls {
		first, last = min(first, calls[i].Time), max(last, calls[i].Time)
	}
	var step, n int64
	for i := 0; ; i++ {
		if i < len(widths) {
			width = widths[i]
		} else {
			width *= 2 // older than people count in
		}
		step = width.Milliseconds()
		if n = last/step - first/step + 1; n <= maxSpans {
			break
		}
	}
	spans = make([]Span, n)
	for i := range spans {
		spans[i].Start = (first/step + int64(i)) * step
	}
	for i := range calls {
		s := &spans[calls[i].Time/step-first/step]
		s.Calls++
		if !calls[i].Success {
			s.Failures++
		}
	}
	return width, spans
}
