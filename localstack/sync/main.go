// Command sync carries out commands about sources, as `make sources` and `make sync`
// do: in the running product if there is one, or else on its data itself. With
// TABLE_NAME and KEY_ARN set it works on a deployment on AWS, with the operator's own
// credentials.
//
//	sync [-workspace NAME] COMMAND [ARGUMENT …]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/catalog"
	"tenure/core/config"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/secrets/kms"
	"tenure/core/table/dynamo"
	"tenure/core/table/embedded"
	"tenure/localstack/sourcing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("sync", flag.ContinueOnError)
	workspace := flags.String("workspace", "demo", "name of the workspace")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "sync [-workspace NAME] COMMAND [ARGUMENT …]\n%s", sourcing.Usage)
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	c, err := config.FromEnv()
	if err == nil {
		err = run(ctx, c, *workspace, flags.Args(), os.Stdin, newScreen(os.Stdout, os.Stderr))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sync:", message(err))
		stop()
		os.Exit(1)
	}
}

// message returns what an error says, and the field to blame.
func message(err error) string {
	if failure, ok := errors.AsType[*core.Failure](err); ok && failure.Field != "" && !strings.Contains(failure.Message, "'"+failure.Field+"'") {
		return failure.Field + ": " + failure.Message
	}
	return err.Error()
}

// run carries out a command where the settings say.
func run(ctx context.Context, c config.Config, workspace string, args []string, in io.Reader, s *screen) (err error) {
	defer s.end()
	if in, err = sourcing.Input(in, args, s.errs); err != nil {
		return err
	}
	if c.Table != "" {
		return onAWS(ctx, c, workspace, args, in, s)
	}
	if product := sourcing.Dial(ctx, c.DataDir); product != nil {
		return product.Do(ctx, workspace, args, in, s.show)
	}
	return onData(ctx, c, workspace, args, in, s)
}

// onAWS carries out a command on a deployment.
func onAWS(ctx context.Context, c config.Config, workspace string, args []string, in io.Reader, s *screen) error {
	if c.Key == "" {
		return errors.New("KEY_ARN is not set: it is the output KeyArn of the stack")
	}
	sdk, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	on := dynamo.Open(dynamo.NewClient(sdk), c.Table, dynamo.Options{})
	engine := resource.New(resource.Config{Table: on, Root: catalog.Root, Shards: dynamo.Shards})
	store := sourcing.NewStore(on, engine, access.New(on, nil), secrets.New(kms.New(awskms.NewFromConfig(sdk), c.Key)), nil)
	return (&sourcing.Commands{Store: store}).Do(ctx, workspace, args, in, s.show)
}

// onData carries out a command on the data of a product that does not run.
func onData(ctx context.Context, c config.Config, workspace string, args []string, in io.Reader, s *screen) (err error) {
	dir := filepath.Join(c.DataDir, "table")
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("DATA_DIR: there is no data in %s: make run begins with some", c.DataDir)
	}
	store, err := embedded.Open(dir, embedded.Options{Feed: rollup.Concerns})
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys := access.New(store, nil)
	// Only this process has the store open, so whoever held a lock is gone.
	if err := keys.BreakLocks(ctx); err != nil {
		return err
	}
	sealing, err := keyfile.Open(filepath.Join(c.DataDir, "secrets.key"))
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	engine := resource.New(resource.Config{Table: store, Root: catalog.Root})
	return (&sourcing.Commands{Store: sourcing.NewStore(store, engine, keys, secrets.New(sealing), nil)}).Do(ctx, workspace, args, in, s.show)
}

// screen shows what a command tells: text on out, and on errs, if that is a terminal,
// a bar of how far it has come.
type screen struct {
	out, errs io.Writer
	terminal  bool
	stream    string
	bar       *progressbar.ProgressBar // nil if there is none
}

func newScreen(out, errs *os.File) *screen {
	return &screen{out: out, errs: errs, terminal: term.IsTerminal(int(errs.Fd()))}
}

// show shows an event.
func (s *screen) show(e sourcing.Event) error {
	if p := e.Progress; p != nil && s.terminal {
		if p.Stream != s.stream || s.bar == nil {
			s.end()
			s.stream = p.Stream
			// How many there will be, no system says.
			s.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(s.errs), progressbar.OptionSetDescription(p.Stream),
				progressbar.OptionShowCount(), progressbar.OptionSetItsString("records"), progressbar.OptionShowIts(), progressbar.OptionSpinnerType(14),
				progressbar.OptionSetSpinnerChangeInterval(0)) // it turns when there is something to tell
		}
		_ = s.bar.Set(p.Read) // one that cannot be drawn is no reason to stop
	}
	if e.Text == "" {
		return nil
	}
	s.end()
	_, err := io.WriteString(s.out, e.Text)
	return err
}

// end leaves the bar as it is, on a line of its own.
func (s *screen) end() {
	if s.bar != nil {
		_ = s.bar.Exit()
		fmt.Fprintln(s.errs)
		s.bar = nil
	}
}
