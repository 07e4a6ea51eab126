package console

import (
	"context"
	"io"
	"strings"
	"time"

	"tenure/core/connector"
	"tenure/core/csvfile"
	"tenure/core/sources"
)

const (
	// runsAtOnce is how many runs the page of a source lists, problemsAtOnce how many
	// problems the page of a run shows.
	runsAtOnce     = 30
	problemsAtOnce = 500
)

// source is a source as pages show it.
type source struct {
	sources.Status
	// System is what people call the system; Ended says that its service has ended.
	System string `json:"system"`
	Ended  bool   `json:"ended,omitempty"`
}

// Mark returns the class of the tag that says how the source is doing.
func (s *source) Mark() string {
	switch {
	case s.Ended, s.Run != nil, s.Last == nil:
		return ""
	case s.Last.Outcome == sources.Failed:
		return "bad"
	case s.Waiting > 0:
		return "warn"
	}
	return "good"
}

// Icon returns the icon of the tag.
func (s *source) Icon() string {
	if mark := s.Mark(); mark != "" {
		return mark
	}
	return "wait"
}

// Doing returns how the source is doing, in words.
func (s *source) Doing() string {
	switch {
	case s.Ended:
		return "Imports only"
	case s.Run != nil:
		return "Runs"
	case s.Credential == nil:
		return "No credentials"
	case s.Last == nil:
		return "Never ran"
	case s.Last.Outcome == sources.Failed:
		return "Failed"
	case s.Waiting > 0:
		return "Up to date, with mismatches"
	}
	return "Up to date"
}

// Cadence returns how often it runs, in words.
func (s *source) Cadence() string {
	switch {
	case s.Ended:
		return "when files are imported"
	case s.Source.Paused:
		return "paused"
	case s.Source.Every == 0:
		return "when somebody asks for it"
	}
	return every(time.Duration(s.Source.Every) * time.Minute)
}

// every returns a time between two things, which is whole seconds, in words.
func every(d time.Duration) string {
	n, unit := int(d/time.Second), "second"
	switch {
	case d%(24*time.Hour) == 0:
		n, unit = int(d/(24*time.Hour)), "day"
	case d%time.Hour == 0:
		n, unit = int(d/time.Hour), "hour"
	case d%time.Minute == 0:
		n, unit = int(d/time.Minute), "minute"
	}
	if n == 1 {
		return "every " + unit
	}
	return "every " + count(n, unit)
}

// sourcesData is what the Source Overview shows.
type sourcesData struct {
	Sources []*source `json:"sources"`
	// Keys are the valid API keys of both kinds.
	Keys []listedKey `json:"keys"`
	// Currency is what amounts are in.
	Currency string `json:"currency"`
}

func (s *server) sourceOf(status sources.Status) *source {
	c := s.Sources.Connector(status.Source.Connector)
	return &source{Status: status, System: c.Title, Ended: c.Ended != nil}
}

func sourcesPage(s *server, r *request) (view, error) {
	data := sourcesData{Sources: []*source{}, Keys: []listedKey{}}
	statuses, err := s.Sources.Statuses(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	for _, status := range statuses {
		data.Sources = append(data.Sources, s.sourceOf(status))
	}
	money, err := s.Sources.Money(r.Context(), r.workspace())
	if err != nil {
		return view{}, err
	}
	data.Currency = money.Currency
	data.Keys, _, err = s.listedKeys(r)
	return view{template: "sources", title: "Sources", data: data}, err
}

// sourceData is what the page of a source shows.
type sourceData struct {
	Source *source `json:"source"`
	// Location is where the account_id is, in words.
	Location string         `json:"location"`
	Runs     []*sources.Run `json:"runs"`
	// Streams are those that are read.
	Streams []sourceStream `json:"streams"`
}

// sourceStream is a stream of a source.
type sourceStream struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Families []string `json:"families"`
}

// status returns a source of the workspace as pages show it.
func (s *server) status(r *request) (*source, error) {
	id := r.PathValue("id")
	statuses, err := s.Sources.Statuses(r.Context(), r.workspace())
	if err != nil {
		return nil, err
	}
	for _, status := range statuses {
		if status.Source.ID == id {
			return s.sourceOf(status), nil
		}
	}
	return nil, errNoPage
}

func sourcePage(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	data := sourceData{Source: of, Streams: []sourceStream{}}
	c := s.Sources.Connector(of.Source.Connector)
	for _, l := range c.Locations {
		if l.Name == of.Source.Location {
			data.Location = l.Title
		}
	}
	for i := range c.Streams {
		st := &c.Streams[i]
		if families := of.Source.Families(st); families != nil {
			data.Streams = append(data.Streams, sourceStream{st.Name, st.Title, families})
		}
	}
	data.Runs, err = s.Sources.Runs(r.Context(), r.workspace(), of.Source.ID, "", runsAtOnce)
	return view{template: "source", title: of.Source.Name, data: data, fragment: "source"}, err
}

func runSource(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	full := r.on("full")
	if err := s.Sources.Ask(r.Context(), r.workspace(), of.Source.ID, full); err != nil {
		return view{}, err
	}
	r.audit("source.asked", of.Source.Name)
	return view{to: "sources/" + of.Source.ID, done: "source-asked"}, nil
}

func pauseSource(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	of.Source.Paused = r.on("paused")
	if err := s.Sources.Update(r.Context(), r.workspace(), of.Source); err != nil {
		return view{}, err
	}
	done := "resumed"
	if of.Source.Paused {
		done = "paused"
	}
	r.audit("source."+done, of.Source.Name)
	return view{to: "sources/" + of.Source.ID, done: "source-" + done}, nil
}

func deleteSource(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	if err := s.Sources.Delete(r.Context(), r.workspace(), of.Source.ID); err != nil {
		return view{}, err
	}
	r.audit("source.deleted", of.Source.Name)
	return view{to: "sources", done: "source-deleted"}, nil
}

// runData is what the page of a run shows.
type runData struct {
	Source *source      `json:"source"`
	Run    *sources.Run `json:"run"`
	// Total are the counts of all streams.
	Total sources.Counts `json:"total"`
	// Problems are the first ones.
	Problems []sources.Problem `json:"problems"`
}

// Took returns how long the run took, or has taken.
func (d runData) Took() string {
	if d.Run.Ended == 0 {
		return "still under way"
	}
	return (time.Duration(d.Run.Ended-d.Run.Began) * time.Millisecond).Round(10 * time.Millisecond).String()
}

// Shown is how many problems the page shows.
func (d runData) Shown() int { return len(d.Problems) }

func (s *server) runOf(r *request) (*source, *sources.Run, error) {
	of, err := s.status(r)
	if err != nil {
		return nil, nil, err
	}
	run, err := s.Sources.RunNamed(r.Context(), r.workspace(), of.Source.ID, r.PathValue("run"))
	if err == nil && run == nil {
		err = errNoPage
	}
	return of, run, err
}

func runPage(s *server, r *request) (view, error) {
	of, run, err := s.runOf(r)
	if err != nil {
		return view{}, err
	}
	data := runData{Source: of, Run: run, Total: run.Total(), Problems: []sources.Problem{}}
	for after := ""; len(data.Problems) < problemsAtOnce; {
		problems, next, err := s.Sources.Problems(r.Context(), r.workspace(), of.Source.ID, run.ID, after, problemsAtOnce)
		if err != nil {
			return view{}, err
		}
		data.Problems = append(data.Problems, problems...)
		if after = next; next == "" {
			break
		}
	}
	data.Problems = data.Problems[:min(len(data.Problems), problemsAtOnce)]
	return view{template: "run", title: "A run of " + of.Source.Name, data: data}, nil
}

// problemColumns are the columns of files of problems.
var problemColumns = []string{"trouble", "stream", "id", "label", "family", "value", "field", "message"}

// problemsFile returns a file of problems, which each yields.
func problemsFile(name string, each func(yield func(sources.Problem) error) error) *download {
	return &download{name: name, mediaType: "text/csv; charset=utf-8", write: func(w io.Writer) error {
		out := csvfile.NewWriter(w, ',')
		if err := out.Write(problemColumns...); err != nil {
			return err
		}
		if err := each(func(p sources.Problem) error {
			return out.Write(string(p.Trouble), p.Stream, p.ID, p.Label, p.Family, p.Value, p.Field, p.Message)
		}); err != nil {
			return err
		}
		return out.Flush()
	}}
}

func runProblems(s *server, r *request) (view, error) {
	of, run, err := s.runOf(r)
	if err != nil {
		return view{}, err
	}
	ctx := r.Context()
	return view{download: problemsFile(fileName(of.Source.Name)+"-"+run.ID+".csv", func(yield func(sources.Problem) error) error {
		for after, more := "", true; more; {
			problems, next, err := s.Sources.Problems(ctx, r.workspace(), of.Source.ID, run.ID, after, problemsAtOnce)
			if err != nil {
				return err
			}
			for _, p := range problems {
				if err := yield(p); err != nil {
					return err
				}
			}
			after, more = next, next != ""
		}
		return nil
	})}, nil
}

// waitingRecords hands out the records of a source that wait for their account.
func waitingRecords(s *server, r *request) (view, error) {
	of, err := s.status(r)
	if err != nil {
		return view{}, err
	}
	ctx, c := r.Context(), s.Sources.Connector(of.Source.Connector)
	return view{download: problemsFile(fileName(of.Source.Name)+"-waiting.csv", func(yield func(sources.Problem) error) error {
		for i := range c.Streams {
			if err := s.waitingOf(ctx, r.workspace(), of.Source.ID, &c.Streams[i], yield); err != nil {
				return err
			}
		}
		return nil
	})}, nil
}

func (s *server) waitingOf(ctx context.Context, workspace, id string, st *connector.Stream, yield func(sources.Problem) error) error {
	for after, more := "", true; more; {
		waiting, next, err := s.Sources.WaitingRecords(ctx, workspace, id, st.Name, after, 1000)
		if err != nil {
			return err
		}
		for _, w := range waiting {
			if err := yield(w.Problem); err != nil {
				return err
			}
		}
		after, more = next, next != ""
	}
	return nil
}

// fileName returns a name as part of that of a file.
func fileName(name string) string {
	return strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '-'
	}, name), "-")
}
