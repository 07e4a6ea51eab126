// Package sourcing is what an operator does with sources by hand: the commands of
// `make sources` and `make sync`. They are carried out by the running product, which
// is asked over a socket, or where there is none on a store of one's own.
package sourcing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/connectors"
	"tenure/core/resource"
	"tenure/core/secrets"
	"tenure/core/sources"
	"tenure/core/table"
)

// Usage says which commands there are.
const Usage = `commands:
  list                            the sources and how they are doing
  connectors [NAME]               the systems there are; of one, what it needs and gives
  add                             make a source of the JSON object on standard input
  show SOURCE                     a source as JSON
  set SOURCE                      merge the JSON object on standard input into a source; null takes away
  delete SOURCE                   delete a source; the records that came from it stay
  credentials SOURCE AUTH         store the credentials on standard input, a JSON object
  check SOURCE                    connect, and say what would become of the first records
  preview SOURCE [STREAM]         show what would become of the first records, and write nothing
  survey SOURCE                   look whether records find their account, and whether the source will do
  run SOURCE [-full]              run a source to its end; -full reads all records anew
  import SOURCE STREAM            take in exported records from standard input
  report SOURCE [RUN]             what came of the last run, or of another one
  waiting SOURCE STREAM           the records that wait for their account
  money [CODE [CURRENCY=RATE …]]  the currency of amounts, and what others are worth in it
for the sources of all workspaces that have no OAuth app of their own:
  apps                            the systems that people grant access to, and which have an app
  app SYSTEM                      store the app on standard input, a JSON object
  delete-app SYSTEM               delete the app; sources that use it cannot run without
SOURCE is the id of a source, or its name.
`

// Event is one thing that a command tells while it works.
type Event struct {
	// Text is printed as it stands.
	Text string `json:"text,omitempty"`
	// Progress is how far it has come.
	Progress *Progress `json:"progress,omitempty"`
}

// Progress is how many records of a stream have been read.
type Progress struct {
	Stream string `json:"stream"`
	Read   int    `json:"read"`
}

// Commands carry out what an operator wants.
type Commands struct {
	Store *sources.Store
	// Poll is how often it is looked how far a run has come; 0 for half a second.
	Poll time.Duration
}

// NewStore returns the sources in a table. start has a run begun soon; nil where
// nothing but the command itself runs sources.
func NewStore(on table.Table, engine *resource.Engine, keys *access.Store, sealer *secrets.Sealer,
	start func(ctx context.Context, workspace, id string) error) *sources.Store {
	return sources.New(sources.Config{
		Table: on, Engine: engine, Access: keys, Sealer: sealer, Connectors: connectors.All(), Families: catalog.All(), Start: start,
	})
}

// command is one command as it is carried out.
type command struct {
	*Commands
	workspace string
	args      []string // behind its name
	in        io.Reader
	tell      func(Event) error
}

// commands are the commands by name, with how many arguments they have.
var commands = map[string]struct {
	least, most int
	// reads says that it reads standard input.
	reads bool
	do    func(*command, context.Context) error
	// everywhere says that it is about no workspace, but about the deployment.
	everywhere bool
}{
	"list":        {do: (*command).list},
	"connectors":  {most: 1, do: (*command).connectors},
	"add":         {reads: true, do: (*command).add},
	"show":        {least: 1, most: 1, do: (*command).show},
	"set":         {least: 1, most: 1, reads: true, do: (*command).set},
	"delete":      {least: 1, most: 1, do: (*command).delete},
	"credentials": {least: 2, most: 2, reads: true, do: (*command).credentials},
	"check":       {least: 1, most: 1, do: (*command).check},
	"preview":     {least: 1, most: 2, do: (*command).preview},
	"survey":      {least: 1, most: 1, do: (*command).survey},
	"run":         {least: 1, most: 2, do: (*command).run},
	"import":      {least: 2, most: 2, reads: true, do: (*command).importFile},
	"report":      {least: 1, most: 2, do: (*command).report},
	"waiting":     {least: 2, most: 2, do: (*command).waiting},
	"money":       {most: 1000, do: (*command).money},
	"apps":        {everywhere: true, do: (*command).apps},
	"app":         {least: 1, most: 1, reads: true, everywhere: true, do: (*command).app},
	"delete-app":  {least: 1, most: 1, everywhere: true, do: (*command).deleteApp},
}

// Everywhere reports whether a command is about the deployment, and no workspace.
func Everywhere(args []string) bool { return len(args) > 0 && commands[args[0]].everywhere }

// Input returns the standard input of a command; nil for one that reads none. What is
// typed at a terminal as credentials is not shown there; errs asks for it.
func Input(in io.Reader, args []string, errs io.Writer) (io.Reader, error) {
	if len(args) == 0 || !commands[args[0]].reads {
		return nil, nil
	}
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return in, nil
	}
	if args[0] != "credentials" && args[0] != "app" {
		fmt.Fprintln(errs, "Reading from the terminal, to a line with nothing but Ctrl-D")
		return in, nil
	}
	fmt.Fprintf(errs, "The %s as a JSON object on one line (not shown): ", args[0])
	text, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(errs)
	return bytes.NewReader(text), err
}

// Do carries out a command in a workspace, whose name one that is about the deployment
// ignores. in is its standard input, and tell is told
// what is to be seen of it. A *core.Failure says what was wrong with what was asked
// for.
func (c *Commands) Do(ctx context.Context, workspace string, args []string, in io.Reader, tell func(Event) error) error {
	if len(args) == 0 {
		return usage("There is no command")
	}
	does, known := commands[args[0]]
	if n := len(args) - 1; !known || n < does.least || n > does.most {
		return usage("'" + args[0] + "' is no command, or not with such arguments")
	}
	if !does.everywhere {
		workspaces, err := c.Store.Access.Workspaces(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(workspaces, workspace) {
			return &core.Failure{Code: core.NotFound, Field: "workspace", Message: "There is no workspace '" + workspace + "'"}
		}
	}
	return does.do(&command{c, workspace, args[1:], in, tell}, ctx)
}

func usage(message string) *core.Failure {
	return &core.Failure{Code: core.Malformed, Message: message + "\n" + Usage}
}

// source returns the source that the first argument names, by its id or name.
func (c *command) source(ctx context.Context) (*sources.Source, error) {
	all, err := c.Store.List(ctx, c.workspace)
	if err != nil {
		return nil, err
	}
	var found []*sources.Source
	for _, source := range all {
		if source.ID == c.args[0] {
			return source, nil
		}
		if strings.EqualFold(source.Name, c.args[0]) {
			found = append(found, source)
		}
	}
	switch len(found) {
	case 0:
		return nil, &core.Failure{Code: core.NotFound, Field: "source", Message: "There is no source '" + c.args[0] + "' in " + c.workspace}
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, source := range found {
		ids = append(ids, source.ID)
	}
	return nil, &core.Failure{Code: core.NotUnique, Field: "source", Message: "Several sources have this name: use the id, one of " + strings.Join(ids, ", ")}
}

// arg returns an argument, empty where it was not given.
func (c *command) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// maxInput is the longest JSON object that is read, in bytes.
const maxInput = 1 << 20

// input returns the JSON object on standard input.
func (c *command) input(field string) (map[string]json.RawMessage, error) {
	text, err := io.ReadAll(io.LimitReader(c.in, maxInput+1))
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	// What is wrong with it is not quoted: it may be secret.
	if json.Unmarshal(text, &object) != nil || object == nil || len(text) > maxInput {
		return nil, &core.Failure{Code: core.Malformed, Field: field, Message: "Standard input must be one JSON object"}
	}
	return object, nil
}

// decode reads a source from JSON. What it does not know is refused.
func decode(object map[string]json.RawMessage, source *sources.Source) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	err = d.Decode(source)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &core.Failure{Code: core.WrongType, Field: wrong.Field, Message: fmt.Sprintf("'%s' cannot be a %s", wrong.Field, wrong.Value)}
	}
	if err != nil {
		field, _ := strings.CutPrefix(err.Error(), "json: unknown field ")
		field = strings.Trim(field, `"`)
		return &core.Failure{Code: core.UnknownField, Field: field, Message: "A source has no '" + field + "'"}
	}
	return nil
}

func (c *command) add(ctx context.Context) error {
	object, err := c.input("source")
	if err != nil {
		return err
	}
	source := &sources.Source{Every: int(sources.DefaultEvery / time.Minute)}
	if err := decode(object, source); err != nil {
		return err
	}
	if err := c.Store.Create(ctx, c.workspace, source); err != nil {
		return err
	}
	return c.say("Added %s, id %s\n%s", source.Name, source.ID, c.next(source))
}

// next says what a source that was just made still needs.
func (c *command) next(source *sources.Source) string {
	declared := c.Store.Connector(source.Connector)
	switch {
	case declared.Ended != nil:
		return declared.Ended.Message + "\nNext: import exported records\n"
	case source.Credentials != "" || len(declared.Auth) == 0:
		return ""
	}
	var ways []string
	for _, auth := range declared.Auth {
		ways = append(ways, auth.Name)
	}
	return "Next: credentials " + source.ID + " " + strings.Join(ways, " | ") + "\n"
}

func (c *command) show(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(source, "", "  ")
	if err != nil {
		return err
	}
	return c.say("%s\n", text)
}

func (c *command) set(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	patch, err := c.input("source")
	if err != nil {
		return err
	}
	text, err := json.Marshal(source)
	if err != nil {
		return err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(merge(text, patch), &object); err != nil {
		return err
	}
	var changed sources.Source
	if err := decode(object, &changed); err != nil {
		return err
	}
	if err := c.Store.Update(ctx, c.workspace, source.With(changed)); err != nil {
		return err
	}
	return c.say("Set %s\n", changed.Name)
}

// merge merges a patch into a JSON value (RFC 7396).
func merge(value json.RawMessage, patch map[string]json.RawMessage) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil || object == nil {
		object = map[string]json.RawMessage{}
	}
	for name, member := range patch {
		var inner map[string]json.RawMessage
		switch {
		case string(member) == "null":
			delete(object, name)
		case json.Unmarshal(member, &inner) == nil:
			object[name] = merge(object[name], inner)
		default:
			object[name] = member
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // every member was JSON
	}
	return text
}

func (c *command) delete(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	if err := c.Store.Delete(ctx, c.workspace, source.ID); err != nil {
		return err
	}
	return c.say("Deleted %s. The records that came from it stay.\n", source.Name)
}

// byHand is who stores credentials here.
const byHand = "command line"

func (c *command) credentials(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	values, err := c.values("credentials")
	if err != nil {
		return err
	}
	if err := c.Store.SetCredentials(ctx, c.workspace, source, c.args[1], values, byHand); err != nil {
		return err
	}
	return c.say("Stored the credentials of %s. Next: check %s\n", source.Name, source.ID)
}

// values returns the texts on standard input, by their names.
func (c *command) values(field string) (map[string]string, error) {
	object, err := c.input(field)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, text := range object {
		var value string
		if json.Unmarshal(text, &value) != nil {
			return nil, &core.Failure{Code: core.WrongType, Field: field + "." + name, Message: "'" + name + "' must be a text"}
		}
		values[name] = value
	}
	return values, nil
}

func (c *command) apps(ctx context.Context) error {
	apps, err := c.Store.Apps(ctx)
	if err != nil {
		return err
	}
	g := newGrid()
	g.row("NAME", "SYSTEM", "APP", "STORED (UTC)")
	for _, declared := range c.Store.Connectors {
		way := declared.Granting()
		if way == nil {
			continue
		}
		state := "none"
		if apps[declared.Name].Auth == way.Name {
			state = "stored"
		}
		g.row(declared.Name, declared.Title, state, at(apps[declared.Name].Updated))
	}
	return c.say("%s", g)
}

func (c *command) app(ctx context.Context) error {
	values, err := c.values("app")
	if err != nil {
		return err
	}
	if err := c.Store.SetApp(ctx, c.args[0], values); err != nil {
		return err
	}
	return c.say("Stored the app for %s. Next: admins connect on the page OAuth of the console, whose redirect URI has to be registered with the app\n", c.args[0])
}

func (c *command) deleteApp(ctx context.Context) error {
	if err := c.Store.DeleteApp(ctx, c.args[0]); err != nil {
		return err
	}
	return c.say("Deleted the app for %s. Sources that use it cannot run any more\n", c.args[0])
}

func (c *command) run(ctx context.Context) error {
	full := c.arg(1) == "-full"
	if c.arg(1) != "" && !full {
		return usage("'" + c.arg(1) + "' is not -full")
	}
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	before := ""
	if last, err := c.latest(ctx, source); err != nil {
		return err
	} else if last != nil {
		before = last.ID
		if last.Outcome == sources.UnderWay {
			if err := c.say("A run is under way; the one that was asked for comes after it\n"); err != nil {
				return err
			}
		}
	}
	if err := c.Store.Ask(ctx, c.workspace, source.ID, full); err != nil {
		return err
	}
	stop, failed := make(chan struct{}), make(chan error, 1)
	if c.Store.Start == nil {
		exited := make(chan struct{})
		go func() {
			defer close(exited)
			failed <- c.work(ctx, source.ID, stop)
		}()
		// It gives back the lock before anything else happens.
		defer func() { close(stop); <-exited }()
	}
	for {
		run, err := c.latest(ctx, source)
		if err != nil {
			return err
		}
		if run != nil && run.ID > before && run.Outcome != sources.UnderWay {
			if err := c.sayRun(ctx, source, run, fewProblems); err != nil {
				return err
			}
			if run.Outcome == sources.Failed {
				return errors.New("the run has failed")
			}
			return nil
		}
		if run != nil && run.Outcome == sources.UnderWay && len(run.Streams) > 0 {
			now := run.Streams[len(run.Streams)-1]
			if err := c.tell(Event{Progress: &Progress{now.Stream, now.Read}}); err != nil {
				return err
			}
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(c.poll()):
		}
	}
}

func (c *command) poll() time.Duration {
	if c.Poll > 0 {
		return c.Poll
	}
	return 500 * time.Millisecond
}

// lockedPause is how long work that another one is at, or that has to wait for the
// system, is left alone.
const lockedPause = 5 * time.Second

// work runs a source until stop is closed, or there is trouble of the store.
func (c *command) work(ctx context.Context, id string, stop <-chan struct{}) error {
	for {
		more, err := c.Store.Run(ctx, c.workspace, id)
		pause := time.Duration(0)
		switch {
		case errors.Is(err, access.ErrLocked), err == nil && !more:
			pause = lockedPause
		case err != nil:
			return err
		}
		select {
		case <-stop:
			return nil
		case <-time.After(pause):
		}
	}
}

// latest returns the latest run of a source, which may be under way; nil if there is
// none.
func (c *command) latest(ctx context.Context, source *sources.Source) (*sources.Run, error) {
	runs, err := c.Store.Runs(ctx, c.workspace, source.ID, "", 1)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return runs[0], nil
}

func (c *command) importFile(ctx context.Context) error {
	source, err := c.source(ctx)
	if err != nil {
		return err
	}
	stream := c.args[1]
	run, err := c.Store.Import(ctx, c.workspace, source.ID, stream, c.in, func(read int) {
		// Whoever cannot be told has gone, which ends ctx.
		_ = c.tell(Event{Progress: &Progress{stream, read}})
	})
	if errors.Is(err, access.ErrLocked) {
		return &core.Failure{Code: core.Conflicting, Field: "source", Message: source.Name + " is being run or imported: try again later"}
	}
	if err != nil {
		return err
	}
	if err := c.sayRun(ctx, source, run, fewProblems); err != nil {
		return err
	}
	if run.Outcome == sources.Failed {
		return errors.New("the import has failed")
	}
	return nil
}

func (c *command) money(ctx context.Context) error {
	if len(c.args) > 0 {
		m := sources.Money{Currency: c.args[0], Rates: map[string]string{}}
		for _, arg := range c.args[1:] {
			code, rate, ok := strings.Cut(arg, "=")
			if !ok {
				return &core.Failure{Code: core.Malformed, Field: "rates", Message: "'" + arg + "' is not of the form CURRENCY=RATE"}
			}
			m.Rates[code] = rate
		}
		if err := c.Store.SetMoney(ctx, c.workspace, m); err != nil {
			return err
		}
	}
	m, err := c.Store.Money(ctx, c.workspace)
	if err != nil {
		return err
	}
	text := "Amounts are in " + m.Currency + "\n"
	for _, code := range slices.Sorted(keys(m.Rates)) {
		text += fmt.Sprintf("1 %s = %s %s\n", code, m.Rates[code], m.Currency)
	}
	return c.say("%s", text)
}
