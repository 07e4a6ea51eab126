package console

import (
	"strconv"
	"time"

	"tenure/core/calls"
	"tenure/core/overview"
)

// countPatience is how long a page waits for what is counted, before it shows what
// there is.
const countPatience = 4 * time.Second

// homeData is what the home page shows.
type homeData struct {
	// Overview is what was counted last; null while a workspace is counted for the
	// first time. Counting says that a newer count is due or under way, for which the
	// page asks by itself.
	Overview *overview.Overview `json:"overview"`
	Counting bool               `json:"counting"`
	// Fresh says of each family that was written when it was.
	Fresh []freshFamily `json:"freshness"`
}

// freshFamily is when records of a family were last written.
type freshFamily struct {
	calls.Fresh
	// KeyLabel is the label of the key of the last write that succeeded.
	KeyLabel string `json:"key_label,omitempty"`
}

// Failing reports whether the last write of the family failed.
func (f freshFamily) Failing() bool {
	return f.Failure != nil && (f.Success == nil || f.Failure.Time > f.Success.Time)
}

// home shows what was counted last, and counts anew where that is old: at once
// where it is asked to, for programs, and where there is nothing yet.
func home(s *server, r *request) (view, error) {
	last, old, err := s.Overview.Last(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	data := homeData{Overview: last, Counting: old}
	if old && (last == nil || last.Empty() || r.json || r.URL.Query().Has("count")) {
		var done bool
		if data.Overview, done, err = s.Overview.Count(r.Context(), r.workspace(), countPatience); err != nil {
			return view{}, err
		}
		data.Counting = !done
	}
	if data.Fresh, err = s.freshness(r); err != nil {
		return view{}, err
	}
	return view{template: "home", title: "Home", fragment: "overview", data: data}, nil
}

// freshness returns when records of each family were last written.
func (s *server) freshness(r *request) ([]freshFamily, error) {
	labels, ids, err := s.keyLabels(r)
	if err != nil {
		return nil, err
	}
	all, err := s.Calls.Freshness(r.Context(), r.workspace(), ids)
	if err != nil {
		return nil, err
	}
	families := make([]freshFamily, len(all))
	for i, f := range all {
		families[i] = freshFamily{Fresh: f}
		if f.Success != nil {
			families[i].KeyLabel = newLoggedCall(*f.Success, labels).KeyLabel
		}
	}
	return families, nil
}

// money writes an amount in cents with two decimals and thousands apart. What
// currency it is, is the workspace's own business.
func money(cents any) string {
	n, ok := amount(cents)
	if !ok {
		return "–"
	}
	sign, whole := "", uint64(n)
	if n < 0 {
		sign, whole = "−", -whole
	}
	text := strconv.FormatUint(whole%100+100, 10)
	return sign + number(whole/100) + "." + text[1:]
}

// amount returns the number that a template has, or not.
func amount(n any) (int64, bool) {
	switch v := n.(type) {
	case int64:
		return v, true
	case *int64:
		if v != nil {
			return *v, true
		}
	}
	return 0, false
}

// percent writes a share as per cent, with one decimal.
func percent(share *float64) string {
	if share == nil {
		return "–"
	}
	return strconv.FormatFloat(*share*100, 'f', 1, 64) + " %"
}

// score writes a net promoter score with its sign.
func score(n *int64) string {
	switch {
	case n == nil:
		return "–"
	case *n > 0:
		return "+" + strconv.FormatInt(*n, 10)
	case *n < 0:
		return "−" + strconv.FormatInt(-*n, 10)
	}
	return "0"
}
