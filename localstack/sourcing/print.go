package sourcing

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"tenure/core"
	"tenure/core/connector"
	"tenure/core/sources"
)

const (
	// fewProblems and manyProblems are how many problems of a run are shown.
	fewProblems, manyProblems = 10, 500
	// runsShown is how many earlier runs are.
	runsShown = 10
	// waitingShown is how many records that wait are shown.
	waitingShown = 500
	// soon is how long before their end credentials are said to expire.
	soon = 14 * 24 * time.Hour
)

func keys(m map[string]string) iter.Seq[string] { return maps.Keys(m) }

// say has text printed. What other systems have written is shown as text: it commands
// no terminal.
func (c *command) say(format string, args ...any) error {
	return c.tell(Event{Text: strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return '·'
		}
		return r
	}, fmt.Sprintf(format, args...))})
}

// grid is text in columns.
type grid struct {
	text bytes.Buffer
	to   *tabwriter.Writer
}

func newGrid() *grid {
	g := &grid{}
	g.to = tabwriter.NewWriter(&g.text, 0, 0, 2, ' ', 0)
	return g
}

// row adds a row. What breaks lines or columns in a cell is a blank.
func (g *grid) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(g.to, "\t")
		}
		fmt.Fprint(g.to, strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || r == '\v' || r == '\f' {
				return ' '
			}
			return r
		}, fmt.Sprint(cell)))
	}
	fmt.Fprintln(g.to)
}

// String returns the text, without blanks at the ends of lines.
func (g *grid) String() string {
	g.to.Flush() // into memory
	var b strings.Builder
	for line := range strings.Lines(g.text.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// at returns an instant for people; "-" for none.
func at(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05")
}

func (c *command) list(ctx context.Context) error {
	all, err := c.Store.Statuses(ctx, c.workspace)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return c.say("There are no sources in %s yet: see connectors and add\n", c.workspace)
	}
	g := newGrid()
	g.row("ID", "NAME", "SYSTEM", "EVERY", "CREDENTIALS", "LAST RUN", "SUCCEEDED (UTC)", "NEXT (UTC)", "WAITING")
	for _, st := range all {
		name := st.Source.Name
		if st.Source.SystemOfRecord {
			name += " (System of Record)"
		}
		g.row(st.Source.ID, name, c.Store.Connector(st.Source.Connector).Title, c.every(st.Source), c.credential(st.Source, st.Credential), outcome(&st),
			at(st.Succeeded), next(&st, c.Store.Now()), st.Waiting)
	}
	return c.say("%s", g)
}

func (c *command) every(source *sources.Source) string {
	switch {
	case c.Store.Connector(source.Connector).Ended != nil:
		return "imports"
	case source.Paused:
		return "paused"
	case source.Every == 0:
		return "by hand"
	}
	return strings.TrimSuffix((time.Duration(source.Every) * time.Minute).String(), "0s")
}

// credential says in a word how the credentials of a source are.
func (c *command) credential(source *sources.Source, stored *sources.Credential) string {
	declared := c.Store.Connector(source.Connector)
	if declared.Ended != nil || len(declared.Auth) == 0 {
		return "-"
	}
	if stored == nil {
		return "missing"
	}
	i := slices.IndexFunc(declared.Auth, func(a connector.Auth) bool { return a.Name == stored.Auth })
	switch {
	case stored.Refused:
		return "refused"
	case i >= 0 && declared.Auth[i].Grants() && !stored.Granted:
		return "not granted"
	case stored.Ends() != 0 && stored.Ends() < c.Store.Now().Add(soon).UnixMilli():
		return "expire " + at(stored.Ends())
	}
	return "stored"
}

func outcome(st *sources.Status) string {
	switch {
	case st.Run != nil:
		return string(st.Run.Outcome)
	case st.Last == nil:
		return "none"
	case st.Last.Why != nil:
		return string(st.Last.Outcome) + ": " + st.Last.Why.Code
	}
	return string(st.Last.Outcome)
}

func next(st *sources.Status, now time.Time) string {
	if st.Next != 0 && st.Next <= now.UnixMilli() {
		return "now"
	}
	return at(st.Next)
}

func (c *command) connectors(context.Context) error {
	g := newGrid()
	if len(c.args) == 0 {
		g.row("NAME", "SYSTEM", "KIND", "")
		for _, declared := range c.Store.Connectors {
			ended := ""
			if declared.Ended != nil {
				ended = "ended " + declared.Ended.Since + ": imports only"
			}
			g.row(declared.Name, declared.Title, declared.Kind, ended)
		}
		return c.say("%s", g)
	}
	declared := c.Store.Connector(c.args[0])
	if declared == nil {
		return &core.Failure{Code: core.NotAChoice, Field: "connector", Message: "There is no connector '" + c.args[0] + "'"}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s (%s)\n%s\n", declared.Title, declared.Kind, declared.Doc)
	if declared.Ended != nil {
		fmt.Fprintf(&text, "%s\n", declared.Ended.Message)
	}
	fmt.Fprintf(&text, "\nSettings\n%s", settings(declared.Settings))
	for _, auth := range declared.Auth {
		fmt.Fprintf(&text, "\nCredentials %s (%s)\n%s", auth.Name, auth.Title, settings(auth.Settings))
	}
	locations := newGrid()
	for _, l := range declared.Locations {
		best := "acceptable"
		if l.Best {
			best = "best"
		}
		locations.row("  "+l.Name, best, l.Title+": "+l.Doc)
	}
	fmt.Fprintf(&text, "\nLocations of the account_id\n%s", locations)
	streams := newGrid()
	for i := range declared.Streams {
		st := &declared.Streams[i]
		var becomes []string
		for _, f := range st.Feeds {
			if f.Optional {
				becomes = append(becomes, f.Family+" (optional)")
			} else {
				becomes = append(becomes, f.Family)
			}
		}
		title := st.Title
		if st.Optional {
			title += " (optional)"
		}
		streams.row("  "+st.Name, title, strings.Join(becomes, ", "))
	}
	fmt.Fprintf(&text, "\nStreams, and what they become\n%s", streams)
	return c.say("%s", text.String())
}

// settings describes settings.
func settings(all []connector.Setting) string {
	if len(all) == 0 {
		return "  none\n"
	}
	g := newGrid()
	for _, s := range all {
		var notes []string
		if s.Required {
			notes = append(notes, "required")
		}
		if s.Secret {
			notes = append(notes, "secret")
		}
		if s.Default != "" {
			notes = append(notes, "default "+s.Default)
		}
		if len(s.Choices) > 0 {
			notes = append(notes, strings.Join(s.Choices, " | "))
		}
		g.row("  "+s.Name, strings.Join(notes, ", "), s.Title+": "+s.Doc)
	}
	return g.String()
}

func (c *command) check(ctx context.Context) error {
	_, all, err := c.previewed(ctx, "")
	if err != nil {
		return err
	}
	g := newGrid()
	g.row("STREAM", "SHOWN", "INSERTED", "CHANGED", "UNCHANGED", "REFUSED", "NOT PLACED")
	for _, st := range all {
		made, problems := map[string]int{}, 0
		for _, r := range st.Records {
			for _, m := range r.Made {
				made[m.What]++
			}
			if r.Problem != nil {
				problems++
			}
		}
		g.row(st.Stream, len(st.Records), made["inserted"], made["changed"], made["unchanged"], made["refused"], problems)
	}
	return c.say("Connected. What would become of the first records:\n%s", g)
}

func (c *command) previewed(ctx context.Context, stream string) (*sources.Source, []sources.PreviewedStream, error) {
	source, err := c.source(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, err := c.Store.Preview(ctx, c.workspace, source, stream)
	return source, all, err
}

func (c *command) survey(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	found, err := c.Store.Survey(ctx, c.workspace, source, sources.SurveyLimit{})
	if err != nil {
		return err
	}
	g := newGrid()
	g.row("LOCATION", "RECORDS", "VALUES", "ONE ACCOUNT", "NONE", "SEVERAL", "OF VALUES", "OF RECORDS", "")
	for _, l := range found.Locations {
		if l.Location == source.Location {
			l.Location += " (in use)"
		}
		g.row(l.Location, l.Records, l.Values, l.One, l.None, l.Several, fmt.Sprint(l.OfValues, "%"), fmt.Sprint(l.OfRecords, "%"), l.Why)
	}
	if err := c.say("%s", g); err != nil {
		return err
	}
	for _, a := range slices.Concat(found.AccountID, found.Record) {
		text := a.Text
		if a.Level != "" {
			text = string(a.Level) + ": " + text
		}
		if len(a.Examples) > 0 {
			text += " For example " + strings.Join(a.Examples, ", ")
		}
		if err := c.say("\n%s\n  %s\n", a.Title, line(cmp.Or(text, a.Advice))); err != nil {
			return err
		}
	}
	return nil
}

func (c *command) preview(ctx context.Context) error {
	stream := c.arg(1)
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	declared := c.Store.Connector(source.Connector)
	if stream != "" && !slices.ContainsFunc(declared.Streams, func(st connector.Stream) bool { return st.Name == stream }) {
		return &core.Failure{Code: core.NotFound, Field: "stream", Message: declared.Title + " has no stream '" + stream + "'"}
	}
	_, all, err := c.previewed(ctx, stream)
	if err != nil {
		return err
	}
	for _, st := range all {
		if err := c.say("%s: the first %d\n", st.Title, len(st.Records)); err != nil {
			return err
		}
		for _, r := range st.Records {
			account := "→ account " + r.Account
			if r.Problem != nil {
				account = string(r.Problem.Trouble) + ": " + r.Problem.Message
			}
			if err := c.say("  %s  %s\n", strings.TrimSpace(r.ID+"  "+line(r.Label)), line(account)); err != nil {
				return err
			}
			for _, m := range r.Made {
				what := m.What
				if m.Refusal != nil {
					what += ": " + m.Refusal.Message
				}
				var record bytes.Buffer
				if len(m.Record) > 0 {
					if err := json.Compact(&record, m.Record); err != nil {
						return err
					}
				}
				if err := c.say("    %s, %s  %s\n", m.Family, line(what), record.String()); err != nil {
					return err
				}
			}
		}
	}
	return c.say("Nothing was written.\n")
}

// line returns text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

func (c *command) report(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	id := c.arg(1)
	before, limit := "", runsShown+1
	if id != "" {
		before, limit = id+"!", 1 // which comes right behind it, and before every other run
	}
	runs, err := c.Store.Runs(ctx, c.workspace, source.ID, before, limit)
	if err != nil {
		return err
	}
	if len(runs) == 0 || id != "" && runs[0].ID != id {
		return &core.Failure{Code: core.NotFound, Field: "run", Message: source.Name + " has no such run: reports are kept for 90 days"}
	}
	if err := c.sayRun(ctx, source, runs[0], manyProblems); err != nil || len(runs) == 1 {
		return err
	}
	g := newGrid()
	g.row("EARLIER RUN", "BEGAN (UTC)", "TOOK", "", "READ", "INSERTED", "CHANGED", "FAILED", "MISMATCHED")
	for _, run := range runs[1:] {
		t := run.Total()
		g.row(run.ID, at(run.Began), took(run), run.Outcome, t.Read, t.Inserted, t.Changed, t.Failed, t.Mismatched)
	}
	return c.say("\n%s", g)
}

func took(run *sources.Run) string {
	if run.Ended == 0 {
		return "-"
	}
	return (time.Duration(run.Ended-run.Began) * time.Millisecond).String()
}

// sayRun prints the report of a run, with some of its problems.
func (c *command) sayRun(ctx context.Context, source *sources.Source, run *sources.Run, most int) error {
	kind := "changes"
	switch {
	case run.Import != "":
		kind = "import of " + run.Import
	case run.Full:
		kind = "all records anew"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s, run %s: %s (%s), began %s UTC, took %s\n", source.Name, run.ID, run.Outcome, kind, at(run.Began), took(run))
	if run.Why != nil {
		where := ""
		if run.Why.Stream != "" {
			where = " in " + run.Why.Stream
		}
		fmt.Fprintf(&text, "Failed%s (%s): %s\n", where, run.Why.Code, run.Why.Message)
	}
	g := newGrid()
	g.row("STREAM", "READ", "AS BEFORE", "INSERTED", "CHANGED", "UNCHANGED", "FAILED", "MISMATCHED", "FILTERED", "DELETED", "CLIPPED")
	row := func(name string, n sources.Counts) {
		g.row(name, n.Read, n.Passed, n.Inserted, n.Changed, n.Unchanged, n.Failed, n.Mismatched, n.Filtered, n.Deleted, n.Clipped)
	}
	for _, st := range run.Streams {
		row(st.Stream, st.Counts)
	}
	if len(run.Streams) > 1 {
		row("together", run.Total())
	}
	text.WriteString(g.String())
	if run.Waiting > 0 {
		fmt.Fprintf(&text, "Records that wait for their account: %d\n", run.Waiting)
	}
	if err := c.say("%s", text.String()); err != nil || run.Problems == 0 {
		return err
	}
	var problems []sources.Problem
	for after := ""; len(problems) < most; {
		// They are kept in parts, which may be short.
		part, next, err := c.Store.Problems(ctx, c.workspace, source.ID, run.ID, after, most)
		if err != nil {
			return err
		}
		problems = append(problems, part...)
		if after = next; after == "" {
			break
		}
	}
	problems = problems[:min(len(problems), most)]
	rest := ""
	if len(problems) < run.Problems {
		rest = ", the first " + strconv.Itoa(len(problems)) + " of them"
	}
	return c.say("Problems: %d%s\n%s", run.Problems, rest, problemsText(problems))
}

func problemsText(problems []sources.Problem) string {
	g := newGrid()
	g.row("PROBLEM", "STREAM", "ID", "LABEL", "VALUE", "WHY")
	for i := range problems {
		p := &problems[i]
		g.row(p.Trouble, p.Stream, p.ID, p.Label, p.Value, p.Message)
	}
	return g.String()
}

func (c *command) waiting(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	declared, stream := c.Store.Connector(source.Connector), c.args[1]
	if !slices.ContainsFunc(declared.Streams, func(st connector.Stream) bool { return st.Name == stream }) {
		return &core.Failure{Code: core.NotFound, Field: "stream", Message: declared.Title + " has no stream '" + stream + "'"}
	}
	all, more, err := c.Store.WaitingRecords(ctx, c.workspace, source.ID, stream, "", waitingShown)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return c.say("No records of %s wait\n", stream)
	}
	g := newGrid()
	g.row("SINCE (UTC)", "ID", "LABEL", "VALUE", "WHY")
	for i := range all {
		w := &all[i]
		g.row(at(w.Since), w.ID, w.Label, w.Value, w.Message)
	}
	if more != "" {
		return c.say("%sThere are more than %d\n", g, waitingShown)
	}
	return c.say("%s", g)
}
