package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/mapping"
)

// few is how many rows a page has where that is the server's choice.
const few = 3

// grown opens a world in which the stream has n records on small pages.
func (s *subject) grown(auth *connector.Auth, st *connector.Stream, n int) (*world, error) {
	w, err := s.world(auth)
	if err != nil {
		return nil, err
	}
	w.server.rows = few
	kept, err := s.ordinary(st)
	if err != nil {
		return nil, err
	}
	w.server.Grow(st.Name, n, kept)
	return w, nil
}

// ordinary returns which rows of a stream's file become records.
func (s *subject) ordinary(st *connector.Stream) (func(i int) bool, error) {
	want, err := s.want(st)
	return func(i int) bool { return i < len(want) && want[i] != nil }, err
}

// ids returns the ids that the stream's records must have.
func (w *world) ids(ctx context.Context, st *connector.Stream) (ids []string, err error) {
	for _, row := range w.server.Rows(st.Name) {
		id, err := w.idOf(ctx, st, row)
		if err != nil {
			return nil, fmt.Errorf("records/%s.json: %w", st.Name, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// idOf returns the id of a stream's record.
func (w *world) idOf(ctx context.Context, st *connector.Stream, row Row) (string, error) {
	if w.quiet == nil {
		var err error
		if w.quiet, err = w.open(ctx); err != nil {
			return "", err
		}
	}
	e, err := w.quiet.Expression(st.ID, false)
	if err != nil {
		return "", err
	}
	v, err := e.First(ctx, row, nil)
	if err != nil {
		return "", err
	}
	text, ok := mapping.Text(v)
	if !ok {
		return "", fmt.Errorf("the stream's ID yields %v of a row, and no id", v)
	}
	return text, nil
}

// measure says what reading several pages of a stream takes.
type measure struct {
	// page is how many records a page has, many how many take several pages.
	page, many int
	// requests is how many requests reading so many takes, and ends how many had been
	// sent at the end of each page.
	requests int
	ends     []int
}

// measured measures a stream, once.
func (s *subject) measured(auth *connector.Auth, st *connector.Stream) (*measure, error) {
	if m := s.measures[st]; m != nil {
		return m, nil
	}
	w, err := s.grown(auth, st, 0)
	if err != nil {
		return nil, err
	}
	if err := w.run(context.Background(), w.begin(st, nil)); err != nil {
		return nil, errors.Join(err, w.trouble())
	}
	m := &measure{page: few}
	for _, size := range w.server.sizes {
		m.page = max(m.page, size)
	}
	m.many = 3*m.page + 1
	if m.page > few {
		m.many = m.page + 1
	}
	m.requests, m.ends, err = s.requests(auth, st, m.many)
	if err == nil {
		s.measures[st] = m
	}
	return m, err
}

// try runs a test in a world with n records. It returns what was wrong.
func (s *subject) try(auth *connector.Auth, st *connector.Stream, n int, test func(ctx context.Context, w *world, ids []string) error) error {
	w, err := s.grown(auth, st, n)
	if err != nil {
		return err
	}
	ctx := context.Background()
	ids, err := w.ids(ctx, st)
	if err == nil {
		err = test(ctx, w, ids)
	}
	return errors.Join(w.note(err), w.trouble())
}

// whole reads a stream to its end and compares.
func whole(ctx context.Context, w *world, st *connector.Stream, ids []string) (*reading, error) {
	r := w.begin(st, nil)
	if err := w.run(ctx, r); err != nil {
		return r, err
	}
	return r, r.has(ids)
}

// pages: every page is read, and the last one is the end.
func pages(s *subject, auth *connector.Auth, st *connector.Stream) error {
	m, err := s.measured(auth, st)
	if err != nil {
		return err
	}
	page := m.page
	for _, n := range []int{0, 1, page, page + 1, 3*page + 1} {
		if n > 2*page && page > 200 {
			continue // three pages of a thousand tell nothing new
		}
		err := s.try(auth, st, n, func(ctx context.Context, w *world, ids []string) error {
			r, err := whole(ctx, w, st, ids)
			if err == nil && len(r.records) != len(r.seen) {
				err = fmt.Errorf("%d records were read twice", len(r.records)-len(r.seen))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("with %d records on pages of %d: %w", n, page, err)
		}
	}
	return s.restarts(auth, st)
}

// restarts: a list that has as many pages as it may be asked for anew.
func (s *subject) restarts(auth *connector.Auth, st *connector.Stream) error {
	if st.Paging.MaxPages == 0 {
		return nil
	}
	short := *s.Connector
	short.Streams = slices.Clone(short.Streams)
	var one *connector.Stream
	for i := range short.Streams {
		if short.Streams[i].Name == st.Name {
			one = &short.Streams[i]
		}
	}
	one.Paging.MaxPages = 2
	of := *s
	of.Connector = &short
	m, err := of.measured(auth, one)
	if err != nil {
		return err
	}
	err = of.try(auth, one, m.many, func(ctx context.Context, w *world, ids []string) error {
		_, err := whole(ctx, w, one, ids)
		return err
	})
	if err != nil {
		return fmt.Errorf("with two pages at most: %w", err)
	}
	return nil
}

// spread returns numbers below n: all of them, or as many as most, evenly.
func spread(n, most int) []int {
	list := []int{}
	for i := range min(n, most) {
		list = append(list, i*(n-1)/max(1, min(n, most)-1))
	}
	return list
}

// spread returns numbers of requests, fewer if each costs a long page.
func (m *measure) spread(n, most int) []int {
	if m.page > few {
		most = (most + 2) / 3
	}
	return spread(n, most)
}

// kills: reading goes on after a kill between any two requests, both when all is
// read and when changes are.
func kills(s *subject, auth *connector.Auth, st *connector.Stream) error {
	m, err := s.measured(auth, st)
	if err != nil {
		return err
	}
	n := m.many
	for _, again := range []bool{false, true} {
		requests := 1
		for k := 0; k < requests; k++ {
			if !slices.Contains(m.spread(requests, 16), k) {
				continue
			}
			err := s.try(auth, st, n, func(ctx context.Context, w *world, ids []string) error {
				r := w.begin(st, nil)
				before := 0
				if again {
					var err error
					if r, ids, err = w.later(ctx, r, ids); err != nil {
						return err
					}
					before = w.server.sent()
				}
				killed, kill := context.WithCancel(ctx)
				defer kill()
				died := false
				w.server.intercept = func(n int, _ *http.Request) *outcome {
					if died || n != before+k {
						return nil
					}
					died = true
					kill()
					return &outcome{err: context.Canceled}
				}
				switch err := w.run(killed, r); {
				case !died && err == nil: // there are fewer requests
				case !errors.Is(err, context.Canceled):
					return fmt.Errorf("a kill has come back as %w", err)
				}
				if died {
					w.server.intercept = nil
					if err := w.run(ctx, r); err != nil {
						return err
					}
				}
				requests = max(requests, w.server.sent()-before)
				return r.has(ids)
			})
			if err != nil {
				what := "all records"
				if again {
					what = "changes"
				}
				return fmt.Errorf("killed at request %d, reading %s: %w", k, what, err)
			}
		}
	}
	return nil
}

// later reads all, changes some rows an hour later, and returns the reading that
// has to find them, with the ids that it must find.
func (w *world) later(ctx context.Context, r *reading, ids []string) (*reading, []string, error) {
	if err := w.run(ctx, r); err != nil {
		return nil, nil, err
	}
	st := r.st
	w.clock.advance(48 * time.Hour)
	n := len(w.server.collection(st.Name).rows)
	for i := range min(n, 2*few-1) {
		w.server.Touch(st.Name, i)
	}
	w.clock.advance(5 * time.Minute)
	next := w.begin(st, r.last)
	if st.Passing {
		return next, ids, nil
	}
	// What is found depends on how exactly the system can be asked: by an
	// undisturbed reading.
	calm := w.begin(st, r.last)
	if err := w.run(ctx, calm); err != nil {
		return nil, nil, err
	}
	return next, slices.Collect(maps.Keys(calm.seen)), nil
}

// once answers request k so, and all others as usual.
func once(k int, o outcome) func(int, *http.Request) *outcome {
	done := false
	return func(n int, _ *http.Request) *outcome {
		if n != k || done {
			return nil
		}
		done = true
		return &o
	}
}

// from answers request k and all behind it so.
func from(k int, o outcome) func(int, *http.Request) *outcome {
	return func(n int, _ *http.Request) *outcome {
		if n < k {
			return nil
		}
		return &o
	}
}

// requests returns how many requests reading takes, and how many had been sent at
// the end of each page.
func (s *subject) requests(auth *connector.Auth, st *connector.Stream, n int) (count int, ends []int, err error) {
	w, err := s.grown(auth, st, n)
	if err != nil {
		return 0, nil, err
	}
	r := w.begin(st, nil)
	err = w.run(context.Background(), r)
	return w.server.sent(), r.requests, err
}

// limits: a refusal that means too much is waited out.
func limits(s *subject, auth *connector.Auth, st *connector.Stream) error {
	m, err := s.measured(auth, st)
	if err != nil {
		return err
	}
	n, count := m.many, m.requests
	waits := []struct {
		name   string
		answer Refusal
		least  time.Duration
	}{
		{"429 with Retry-After", Refusal{Status: 429, Header: map[string]string{"Retry-After": "7"}}, 7 * time.Second},
		{"429 with a date in Retry-After", Refusal{Status: 429, Header: map[string]string{"Retry-After": Start.Add(90 * time.Second).Format(http.TimeFormat)}}, time.Minute},
		{"429 without Retry-After", Refusal{Status: 429}, s.Limits.Pause},
		{"429 for hours", Refusal{Status: 429, Header: map[string]string{"Retry-After": "7200"}}, 2 * time.Hour},
		{"too much in the system's own words", Refusal{}, time.Millisecond},
	}
	for _, wait := range waits {
		for _, k := range m.spread(count, 4) {
			err := s.try(auth, st, n, func(ctx context.Context, w *world, ids []string) error {
				answer := wait.answer
				if answer.Status == 0 {
					answer = w.server.Limited
				}
				w.server.intercept = once(k, outcome{refusal: &answer})
				if _, err := whole(ctx, w, st, ids); err != nil {
					return err
				}
				if passed := w.clock.Now().Sub(Start); passed < wait.least {
					return fmt.Errorf("only %v were waited", passed)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("%s at request %d: %w", wait.name, k, err)
			}
		}
	}
	return nil
}

// failures: what may pass is tried again, and what does not pass fails.
func failures(s *subject, auth *connector.Auth, st *connector.Stream) error {
	m, err := s.measured(auth, st)
	if err != nil {
		return err
	}
	n, count, ends := m.many, m.requests, m.ends
	broken := outcome{refusal: &Refusal{Status: 502, Body: "<html>Bad Gateway</html>"}}
	for _, k := range m.spread(count, 4) {
		for name, o := range map[string]outcome{
			"500":                     {refusal: &Refusal{Status: 500}},
			"503":                     {refusal: &Refusal{Status: 503, Body: "<html>come back later</html>"}},
			"a connection that fails": {err: errors.New("connection reset by peer")},
		} {
			err := s.try(auth, st, n, func(ctx context.Context, w *world, ids []string) error {
				w.server.intercept = once(k, o)
				_, err := whole(ctx, w, st, ids)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s once, at request %d: %w", name, k, err)
			}
		}
		for name, o := range map[string]outcome{"502": broken, "a connection that fails": {err: errors.New("no route to host")}} {
			err := s.try(auth, st, n, func(ctx context.Context, w *world, ids []string) error {
				w.server.intercept = from(k, o)
				r := w.begin(st, nil)
				err := w.run(ctx, r)
				if !errors.Is(err, connector.ErrUnavailable) && !(s.ended && errors.Is(err, connector.ErrEnded)) {
					return fmt.Errorf("it has ended with %v", err)
				}
				if tries := w.server.sent() - k; tries < 3 || tries > 8 {
					return fmt.Errorf("it was tried %d times", tries)
				}
				if err := r.upTo(ends, k); err != nil {
					return err
				}
				w.server.intercept = nil
				if err := w.run(ctx, r); err != nil {
					return fmt.Errorf("after that: %w", err)
				}
				return r.has(ids)
			})
			if err != nil {
				return fmt.Errorf("%s from request %d on: %w", name, k, err)
			}
		}
	}
	return nil
}

// upTo checks that exactly the pages were read that were complete before request k.
func (r *reading) upTo(ends []int, k int) error {
	complete := 0
	for _, end := range ends {
		if end <= k {
			complete++
		}
	}
	if r.pages != complete {
		return fmt.Errorf("%d pages were returned, and %d had been read", r.pages, complete)
	}
	return nil
}

// halves: nothing is used of an answer that is cut off, wherever that is.
func halves(s *subject, auth *connector.Auth, st *connector.Stream) error {
	m, err := s.measured(auth, st)
	if err != nil {
		return err
	}
	parts := 16
	if m.page > few {
		parts = 6
	}
	return s.try(auth, st, m.many, func(ctx context.Context, w *world, ids []string) error {
		session, err := w.open(ctx)
		if err != nil {
			return err
		}
		r := w.begin(st, nil)
		// cut reads on, and has the answers cut off that come behind some others.
		cut := func(behind, part int, clean bool) error {
			at, applied := w.server.sent()+behind, false
			w.server.intercept = func(n int, _ *http.Request) *outcome {
				if n < at {
					return nil
				}
				applied = true
				return &outcome{clean: clean, cut: func(length int) int {
					return max(0, length*part/parts-1) // the last one lacks a byte
				}}
			}
			err := w.note(w.pages(ctx, session, r))
			switch {
			case !applied:
				return err
			case !errors.Is(err, connector.ErrAnswer) && !errors.Is(err, connector.ErrUnavailable) && !(s.ended && errors.Is(err, connector.ErrEnded)):
				return fmt.Errorf("it has ended with %v", err)
			case len(r.requests) > 0 && r.requests[len(r.requests)-1] > at:
				return errors.New("a page of it is returned")
			}
			return nil
		}
		for behind := range 4 {
			for part := range parts + 1 {
				for _, clean := range []bool{false, true} {
					if err := cut(behind, part, clean); err != nil {
						return fmt.Errorf("answer %d cut off after %d/%d (as if that were all: %v): %w", behind, part, parts, clean, err)
					}
				}
			}
		}
		w.server.intercept = nil
		if err := w.run(ctx, r); err != nil {
			return fmt.Errorf("after that: %w", err)
		}
		return r.has(ids)
	})
}

// refusals: what the system refuses is told apart, and what it says holds no
// secret.
func refusals(s *subject, auth *connector.Auth, st *connector.Stream) error {
	w, err := s.world(auth)
	if err != nil {
		return err
	}
	all := append(w.server.Refused,
		Refusal{Name: "a dead key or token", Status: w.server.Expired.Status, Header: w.server.Expired.Header, Body: w.server.Expired.Body, Want: connector.ErrCredentials},
		Refusal{Name: "403", Status: 403, Want: connector.ErrCredentials},
		Refusal{Name: "400", Status: 400, Want: connector.ErrRefused},
		Refusal{Name: "a redirect", Status: 302, Header: map[string]string{"Location": "https://elsewhere.example/"}, Want: connector.ErrAnswer},
		Refusal{Name: "a page for people", Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<!DOCTYPE html><p>Sign in", Want: connector.ErrAnswer},
	)
	count, ends, err := s.requests(auth, st, 2)
	if err != nil {
		return err
	}
	for _, refusal := range all {
		for _, k := range spread(count, 3) {
			err := s.try(auth, st, 2, func(ctx context.Context, w *world, ids []string) error {
				w.server.intercept = from(k, outcome{refusal: &refusal})
				r := w.begin(st, nil)
				err := w.run(ctx, r)
				if !errors.Is(err, refusal.Want) && !(s.ended && errors.Is(err, connector.ErrEnded)) {
					return fmt.Errorf("it has ended with %v, and not with %v", err, refusal.Want)
				}
				return r.upTo(ends, k)
			})
			if err != nil {
				return fmt.Errorf("%s at request %d: %w", refusal.Name, k, err)
			}
		}
	}
	return s.echoes(auth, st)
}

// echoes: a refusal that repeats the request's secrets does not spread them.
func (s *subject) echoes(auth *connector.Auth, st *connector.Stream) error {
	shapes := []func(text string) any{
		func(text string) any { return text },
		func(text string) any { return Row{"error": text, "message": text, "error_description": text} },
		func(text string) any { return Row{"error": Row{"message": text, "type": text}, "errors": []any{text}} },
		func(text string) any { return Row{"errors": []any{Row{"message": text}}, "errorMessages": []any{text}} },
		func(text string) any { return []any{Row{"message": text, "errorCode": text}} },
		func(text string) any {
			return Row{"Message": text, "Detail": text, "Reason": text, "reasons": []any{Row{"message": text}}}
		},
	}
	return s.try(auth, st, 2, func(ctx context.Context, w *world, ids []string) error {
		for _, shape := range shapes {
			for _, status := range []int{400, 401, 403, 422, 500} {
				w.server.intercept = func(_ int, r *http.Request) *outcome {
					now, _ := w.vault.load(ctx)
					var text strings.Builder
					for _, name := range slices.Sorted(maps.Keys(now.Values)) {
						fmt.Fprintf(&text, "%s is %s, ", name, now.Values[name])
					}
					if now.Token != nil {
						fmt.Fprintf(&text, "%s, %s", now.Token.Access, now.Token.Refresh)
					}
					return &outcome{refusal: &Refusal{Status: status, Body: shape(text.String() + fmt.Sprint(r.Header))}}
				}
				if err := w.run(ctx, w.begin(st, nil)); err == nil || len(w.leaks) > 0 {
					return fmt.Errorf("a refusal with %d that repeats what was sent has ended with %v", status, err)
				}
			}
		}
		return nil
	})
}

// changes: the next reading finds what was created, changed and deleted since the
// beginning of the last, and not everything.
func changes(s *subject, auth *connector.Auth, st *connector.Stream) error {
	if st.Deletes != "" {
		return s.deletions(auth, st)
	}
	n := 3*few + 1
	return s.try(auth, st, n, func(ctx context.Context, w *world, ids []string) error {
		c := w.server.collection(st.Name)
		if st.Incremental && c.Updated == "" {
			return fmt.Errorf("the collection %s has no Updated, and the stream asks for changes", st.Name)
		}
		r := w.begin(st, nil)
		if err := w.run(ctx, r); err != nil {
			return err
		}
		if err := r.has(ids); err != nil {
			return err
		}
		w.clock.advance(48 * time.Hour)
		calm := w.begin(st, r.last)
		if err := w.run(ctx, calm); err != nil {
			return err
		}
		if len(calm.seen) == len(ids) && !st.Passing {
			return errors.New("all records are read again, though none has changed")
		}
		if st.Passing {
			if err := calm.has(ids); err != nil {
				return err
			}
		}

		w.clock.advance(24 * time.Hour)
		of := func(row Row) string {
			id, _ := w.idOf(ctx, st, row)
			return id
		}
		live := func() (rows []int) { // those that are not deleted
			for i, row := range c.rows {
				if record := r.seen[of(row)]; !record.Deleted {
					rows = append(rows, i)
				}
			}
			return rows
		}
		at := live()
		if len(at) < 3 {
			return fmt.Errorf("records/%s.json has too few rows that are not deleted", st.Name)
		}
		touched := of(w.server.Touch(st.Name, at[1]))
		added := of(w.server.Add(st.Name, at[0]))
		gone := ""
		if !c.Stays {
			gone = of(c.rows[at[2]])
			w.server.Delete(st.Name, at[2])
		}
		w.clock.advance(10 * time.Minute) // some systems hold the last minutes back
		next := w.begin(st, calm.last)
		if err := w.run(ctx, next); err != nil {
			return err
		}
		for what, id := range map[string]string{"changed": touched, "created": added} {
			if record, ok := next.seen[id]; !ok || record.Deleted {
				return fmt.Errorf("the record %s that was %s is not found: %q", id, what, slices.Sorted(maps.Keys(next.seen)))
			}
		}
		record, found := next.seen[gone]
		told := st.Deleted != "" && c.Delete != nil || st.Changes != nil
		elsewhere := slices.ContainsFunc(s.Streams, func(other connector.Stream) bool { return other.Deletes == st.Name })
		switch {
		case c.Stays:
		case told && !elsewhere && !(found && record.Deleted):
			return fmt.Errorf("the record %s that was deleted is not told to be", gone)
		case c.Delete != nil && !told && !elsewhere && !w.server.same[st.Name] && !(st.Passing && !found):
			return fmt.Errorf("the system marks deleted records, and the declaration does not see it")
		case st.Passing && !told && found:
			return fmt.Errorf("the record %s that was deleted is read all the same", gone)
		}
		// What is changed while it is being read is found by the next reading at the
		// latest. (The row is the last one of the list, so that no page moves.)
		w.clock.advance(48 * time.Hour)
		during, changed := "", time.Time{}
		last := 0
		for i, row := range live() {
			if of(c.rows[row]) != gone && i <= few {
				w.server.Touch(st.Name, row)
				last = row
			}
		}
		w.clock.advance(10 * time.Minute)
		next = w.begin(st, next.last)
		next.after = func() {
			if during == "" {
				w.clock.advance(time.Minute)
				row := w.server.Touch(st.Name, last)
				during, changed = of(row), c.updated(row)
				w.clock.advance(10 * time.Minute)
			}
		}
		if err := w.run(ctx, next); err != nil {
			return err
		}
		// A list that goes on in the order of changes has it already.
		read := next.seen[during].Value
		early := read != nil && (st.Passing || !changed.IsZero() && c.updated(read).Equal(changed))
		w.clock.advance(96 * time.Hour) // longer than windows overlap
		next = w.begin(st, next.last)
		if err := w.run(ctx, next); err != nil {
			return err
		}
		if _, late := next.seen[during]; during != "" && !late && !early {
			return fmt.Errorf("the record %s was changed while others were being read, and is not found", during)
		}
		// Of the readings after that, one at the latest finds nothing of it any more: a
		// window may begin before what the last reading has read.
		after := next
		for range 2 {
			w.clock.advance(st.Overlap + 48*time.Hour)
			after = w.begin(st, after.last)
			if err := w.run(ctx, after); err != nil {
				return err
			}
		}
		if _, ok := after.seen[touched]; ok && !st.Passing {
			return errors.New("what has been read is read again and again")
		}
		return nil
	})
}

// deletions: a stream that tells of another one's deletions tells of them.
func (s *subject) deletions(auth *connector.Auth, st *connector.Stream) error {
	of := slices.IndexFunc(s.Streams, func(other connector.Stream) bool { return other.Name == st.Deletes })
	target := &s.Streams[of]
	return s.try(auth, target, 4, func(ctx context.Context, w *world, ids []string) error {
		r := w.begin(st, nil)
		if err := w.run(ctx, r); err != nil {
			return err
		}
		w.clock.advance(48 * time.Hour)
		gone, err := w.idOf(ctx, target, w.server.Delete(target.Name, 0))
		if err != nil {
			return err
		}
		w.clock.advance(10 * time.Minute)
		next := w.begin(st, r.last)
		if err := w.run(ctx, next); err != nil {
			return err
		}
		if _, ok := next.seen[gone]; !ok {
			return fmt.Errorf("the record %s of %s was deleted, and the feed told of %q", gone, target.Name, slices.Sorted(maps.Keys(next.seen)))
		}
		return nil
	})
}

// checks: the check succeeds, and fails with bad credentials.
func (w *world) checks(ctx context.Context) error {
	s, err := w.open(ctx)
	if err != nil {
		return err
	}
	if err := s.Check(ctx); err != nil {
		return err
	}
	w.server.intercept = from(0, outcome{refusal: &w.server.Expired})
	if s, err = w.open(ctx); err != nil {
		return err
	}
	if err := w.note(s.Check(ctx)); !errors.Is(err, connector.ErrCredentials) {
		return fmt.Errorf("with bad credentials the check has ended with %v", err)
	}
	return nil
}

// reads: each way to authenticate reads.
func (w *world) reads(ctx context.Context) error {
	s, err := w.open(ctx)
	if err != nil {
		return err
	}
	if err := s.Check(ctx); err != nil {
		return err
	}
	return w.run(ctx, w.begin(&w.Streams[0], nil))
}

// over: a service that has ended is not asked for anything.
func (w *world) over(ctx context.Context) error {
	c := *w.Connector
	c.Ended = &connector.Ended{Since: "2020", Message: "It has ended."}
	of := *w.subject // others go on with theirs
	of.Connector = &c
	w.subject = &of
	s, err := w.open(ctx)
	if err != nil {
		return err
	}
	_, err = s.Page(ctx, &c.Streams[0], s.Begin(&c.Streams[0], connector.Last{}, true))
	if !errors.Is(err, connector.ErrEnded) || !errors.Is(s.Check(ctx), connector.ErrEnded) || w.server.sent() > 0 {
		return fmt.Errorf("it has ended with %v, after %d requests", err, w.server.sent())
	}
	return nil
}

// wanted is what must become of a record: a member of want/STREAM.json.
type wanted struct {
	// ID is what Stream.ID yields.
	ID string `json:"id"`
	// Deleted says that the record tells of its deletion; then nothing else matters.
	Deleted bool `json:"deleted"`
	// Locations are the values of those that the stream has and that are not null.
	Locations map[string]string `json:"locations"`
	// Routes are the values of the stream's, one each.
	Routes []*string `json:"routes"`
	// Feeds are our records by family, with all fields that are not null, as the API
	// takes them; without the account_id and the source, which follow otherwise.
	Feeds map[string][]object `json:"feeds"`
	// Fails has the families that nothing can be made for, with a part of the reason.
	Fails map[string]string `json:"fails"`
}

type object = map[string]json.RawMessage

// want reads want/STREAM.json. A record that is left out on purpose is nil.
func (s *subject) want(st *connector.Stream) ([]*wanted, error) {
	text, err := fs.ReadFile(s.dir, "want/"+st.Name+".json")
	if err != nil {
		return nil, err
	}
	var list []*wanted
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("want/%s.json: %w", st.Name, err)
	}
	return list, nil
}
