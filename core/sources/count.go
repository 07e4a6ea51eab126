package sources

import (
	"context"
	"errors"
	"slices"

	"tenure/core"
	"tenure/core/connector"
)

const (
	// examples is how many records a count gives as examples of each kind.
	examples = 5
	// listed is of how many records the paths are listed.
	listed = 50
)

// Example is one of the records that a count is about.
type Example struct {
	// ID is the system's own id; Label is by what people know the record there.
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
	// Account is its account_id, if it has one.
	Account string `json:"account,omitempty"`
	// Message says what is wrong with it.
	Message string `json:"message,omitempty"`
}

// Tally is how many records are of a kind, and the first ones.
type Tally struct {
	Count    int       `json:"count"`
	Examples []Example `json:"examples"`
}

func newTally() Tally { return Tally{Examples: []Example{}} }

func (t *Tally) add(o *one, account, message string) {
	if t.Count++; len(t.Examples) < examples {
		t.Examples = append(t.Examples, Example{ID: clip(o.ID), Label: clip(o.label), Account: clip(account), Message: clip(message)})
	}
}

// Counted is what the System of Record's filter does.
type Counted struct {
	// Read is how many records that may be accounts were read. All says that there
	// are no more; else Why may say what has ended it.
	Read int    `json:"read"`
	All  bool   `json:"all"`
	Why  string `json:"why,omitempty"`
	// Passed are those that become accounts. New is how many of them are not here
	// yet; Refused are those that make an account that cannot be.
	Passed  Tally `json:"passed"`
	New     int   `json:"new"`
	Refused Tally `json:"refused"`
	// Conditions are those that each condition leaves out, of those that have passed
	// the ones before it; where one condition is enough, those that all of them leave
	// out together. AlsoIn are those that the other source does not know.
	Conditions []Tally `json:"conditions"`
	AlsoIn     Tally   `json:"also_in"`
	// Left are those of them whose account came from here before: it stays, or is
	// marked inactive where the source says so.
	Left Tally `json:"left"`
	// Mismatched are those without an account_id, or with another one's.
	Mismatched Tally `json:"mismatched"`
	// Skipped is how many become nothing, whatever the filter is.
	Skipped int `json:"skipped"`
	// Paths are what is found in the first ones.
	Paths []Path `json:"paths"`
}

// LeftOut is how many are left out.
func (c *Counted) LeftOut() int {
	n := c.AlsoIn.Count
	for i := range c.Conditions {
		n += c.Conditions[i].Count
	}
	return n
}

// Count connects to the system as a source says, which may be a stored one or one
// that is to be, reads the records that are its accounts, about as many as most or as
// ctx leaves the time for, and tells what becomes of them by the source's filter. It
// is what a run does with them, and writes nothing. A *core.Failure or an error of
// package connector says what is wrong with the filter, with settings or credentials.
func (s *Store) Count(ctx context.Context, workspace string, source *Source, most int) (*Counted, error) {
	if !source.SystemOfRecord {
		return nil, refuse(core.Conflicting, "filter", "Only the System of Record has a filter")
	}
	r, err := s.try(ctx, workspace, source)
	if err != nil {
		return nil, err
	}
	r.together, r.shown = perUpload, false
	c := &Counted{All: true, Passed: newTally(), Refused: newTally(), Conditions: []Tally{}, AlsoIn: newTally(), Left: newTally(), Mismatched: newTally(), Paths: []Path{}}
	if f := source.Filter; f != nil {
		for i := range f.Conditions {
			if i == 0 || !f.Any {
				c.Conditions = append(c.Conditions, newTally())
			}
		}
	}
	for i := range r.connector.Streams {
		st := &r.connector.Streams[i]
		if !st.Accounts || !source.reads(st) {
			continue
		}
		err := r.before(ctx, st, most)
		for at := r.session.Begin(st, connector.Last{}, true); err == nil; {
			if c.Read >= most {
				c.All = false
				break
			}
			var page *connector.Page
			if page, err = r.session.Page(ctx, st, at); err != nil {
				break
			}
			var records []*one
			if records, err = r.ones(ctx, st, page.Records); err != nil {
				break
			}
			if len(c.Paths) == 0 {
				first := records[:min(listed, len(records))]
				if err = r.join(ctx, st, first); err != nil {
					break
				}
				c.Paths = pathsOf(values(first), "") // now: what waits loses what it was joined with
			}
			for group := range slices.Chunk(records, perUpload) {
				if err = r.apply(ctx, st, slices.Clone(group)); err == nil {
					err = c.tell(ctx, s, r, group)
				}
				if err != nil {
					break
				}
			}
			if at = page.Next; page.Last {
				break
			}
		}
		var wait *connector.Wait
		switch {
		case err == nil:
		case c.Read > 0 && errors.Is(err, context.DeadlineExceeded):
			c.All, c.Why = false, "The system has more than can be read while you wait"
			return c, nil
		case c.Read > 0 && errors.As(err, &wait):
			c.All, c.Why = false, wait.Error()
			return c, nil
		default:
			return nil, err
		}
	}
	return c, nil
}

// values returns records as the system has them.
func values(records []*one) []any {
	all := make([]any, len(records))
	for i, o := range records {
		all[i] = o.Value
	}
	return all
}

// tell counts records that were applied.
func (c *Counted) tell(ctx context.Context, s *Store, r *run, records []*one) error {
	var accounts []string
	for _, o := range records {
		accounts = append(accounts, o.account)
	}
	exist, err := s.Engine.AccountsExist(ctx, r.workspace, distinct(accounts))
	if err != nil {
		return err
	}
	for _, o := range records {
		if o.Deleted {
			continue
		}
		c.Read++
		refused := slices.IndexFunc(o.failed, func(p Problem) bool { return isRoot(r.family(p.Family)) })
		switch {
		case o.out != nil:
			by := &c.AlsoIn
			if o.out.by < len(c.Conditions) {
				by = &c.Conditions[o.out.by]
			}
			by.add(o, o.out.account, "")
			if o.out.imported {
				c.Left.add(o, o.out.account, "")
			}
		case o.why != nil:
			c.Mismatched.add(o, o.why.Value, o.why.Message)
		case o.account == "" && refused < 0:
			c.Skipped++
		case refused >= 0:
			c.Refused.add(o, o.account, o.failed[refused].Message)
			fallthrough
		default:
			c.Passed.add(o, o.account, "")
			if refused < 0 && !exist[o.account] {
				c.New++
			}
		}
	}
	return nil
}
