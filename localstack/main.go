// Command localstack runs the whole product in one process on one machine:
// what `make run` starts. All families are served by one HTTP server on the
// embedded store.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/calls"
	"tenure/core/catalog"
	"tenure/core/config"
	"tenure/core/console"
	"tenure/core/files/directory"
	"tenure/core/identity"
	"tenure/core/overview"
	"tenure/core/resource"
	"tenure/core/rollup"
	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/sending"
	"tenure/core/table"
	"tenure/core/table/embedded"
	"tenure/core/uploads"
	"tenure/core/usage"
	"tenure/localstack/sourcing"
)

// gcPercent keeps a process that carries out the largest upload within 128 MB
// more than it had. Go's default, 100, trades twice the memory for less work.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := config.FromEnv()
	if err == nil {
		err = run(ctx, c, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tenure:", err)
		os.Exit(1)
	}
}

// housekeeping is how often expired items are removed and interrupted work is
// taken up again.
const housekeeping = time.Minute

// run serves until ctx ends, then lets requests in flight finish.
func run(ctx context.Context, c config.Config, out io.Writer) (err error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	store, err := embedded.Open(filepath.Join(c.DataDir, "table"), embedded.Options{Feed: rollup.Concerns})
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	keys := access.New(store, nil)
	// Only this process has the store open, so whoever held a lock is gone.
	if err := keys.BreakLocks(ctx); err != nil {
		return err
	}
	if err := ensureWorkspaces(ctx, c, keys, out); err != nil {
		return err
	}
	engine := resource.New(resource.Config{Table: store, Root: catalog.Root})
	if err := reindex(ctx, store, keys, engine, out); err != nil {
		return err
	}
	events := usage.New(usage.Config{Table: store, Engine: engine, Kept: c.EventsKept})
	log := calls.New(store, api.Logged(catalog.All()), calls.Options{})
	answered := newRecorder(log, store)
	faces := api.Config{Engine: engine, Access: keys, Usage: events, Timeout: c.Timeout, LockWait: c.LockWait, Served: answered.served}
	handler, err := api.New(faces, catalog.All())
	if err != nil {
		return err
	}
	takes, err := api.NewEvents(faces)
	if err != nil {
		return err
	}
	in, err := directory.Open(filepath.Join(c.DataDir, "files"))
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	background, stopBackground := context.WithCancel(context.Background())
	var group sync.WaitGroup
	work, syncs := newUploader(background), newSyncer(background)
	defer func() {
		stopBackground()
		group.Wait()
		work.group.Wait()
		syncs.group.Wait()
	}()
	sent := uploads.New(uploads.Config{
		Table: store, Files: in, Engine: engine, Access: keys, Families: catalog.All(), Start: work.start,
		Record: func(ctx context.Context, workspace string, c calls.Call) {
			answered.served(ctx, api.Served{Workspace: workspace, Call: c})
		},
	})
	work.run = sent.Run
	people := identity.New(store, identity.Options{})
	// What is secret is sealed by a file beside the data.
	sealing, err := keyfile.Open(filepath.Join(c.DataDir, "secrets.key"))
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	sealer := secrets.New(sealing)
	mail, err := openSending(c, store, sealer)
	if err != nil {
		return err
	}
	systems := sourcing.NewStore(store, engine, keys, sealer, syncs.start)
	syncs.run = runSource(systems)
	var address *url.URL
	if c.ConsoleURL != "" {
		if address, err = console.ParseURL(c.ConsoleURL); err != nil {
			return fmt.Errorf("CONSOLE_URL: %w", err)
		}
	}
	pages, err := console.New(console.Config{
		URL: address, Access: keys, Identity: people, Calls: log, Overview: overview.New(store, engine), Uploads: sent, Sources: systems, Sending: mail, Usage: events,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return fmt.Errorf("HOST or PORT: %w", err)
	}
	server := &http.Server{
		Handler:           withHealth(below(console.BasePath, pages, below(api.EventsBase, takes, handler))),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute, // a 10 MB body over a slow line
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := resumeUploads(ctx, keys, sent); err != nil {
		return err
	}
	group.Go(func() { keepHouse(background, house{store, in, keys, engine, log}) })
	group.Go(func() { answered.run(background) })
	derived := rollup.New(engine, events)
	group.Go(func() { derive(background, store, keys, derived) })
	group.Go(func() { assess(background, keys, derived) })
	group.Go(func() { followSources(background, keys, systems) })
	commands, err := sourcing.Listen(c.DataDir)
	if err != nil {
		fmt.Fprintf(out, "Commands    not taken while it runs (make sources, make sync): %v\n", err)
	} else {
		group.Go(func() {
			if err := (&sourcing.Commands{Store: systems}).Serve(background, commands); err != nil {
				slog.Error("taking commands", "error", err)
			}
		})
	}

	fmt.Fprintf(out, "Data in     %s\n", c.DataDir)
	fmt.Fprintf(out, "Listening   http://%s\n", listener.Addr())
	if err := sayConsole(ctx, fmt.Sprintf("http://%s%s/", listener.Addr(), console.BasePath), c, keys, people, out); err != nil {
		return err
	}
	fmt.Fprintf(out, "API_URL=http://%s%s\n", listener.Addr(), api.BasePath) // the last line: whoever waits for all to be ready waits for it
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), c.Timeout+5*time.Second)
	defer cancel()
	return server.Shutdown(finish)
}

// openSending returns the store of the domains that mail is sent from.
func openSending(c config.Config, store table.Table, sealer *secrets.Sealer) (*sending.Store, error) {
	resolver, err := sending.NewResolver(c.DNSServers...)
	if err != nil {
		return nil, fmt.Errorf("DNS_SERVER: %w", err)
	}
	relay := sending.SES(c.Region)
	if c.MailHost != "" {
		if relay, err = sending.MailServer(c.MailHost); err != nil {
			return nil, fmt.Errorf("MAIL_HOST: %w", err)
		}
	}
	return sending.New(sending.Config{Table: store, Sealer: sealer, Resolver: resolver, Relay: relay}), nil
}

// below has there serve what lies at and below a path, and next the rest.
func below(path string, there, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/") {
			there.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sayConsole says where the console is and, for each workspace that nobody can
// sign in to yet, the one-time link by which its first admin comes. CONSOLE_LINK
// has further ones made.
func sayConsole(ctx context.Context, url string, c config.Config, keys *access.Store, people *identity.Store, out io.Writer) error {
	fmt.Fprintf(out, "Console     %s\n", url)
	workspaces, err := keys.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range workspaces {
		members, err := people.Members(ctx, w)
		if err != nil {
			return err
		}
		if len(members) > 0 && w != c.ConsoleLink {
			continue
		}
		token, err := people.AdminLink(ctx, w)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  to become an admin of %s, once within a day: %swelcome/%s\n", w, url, token)
	}
	if !strings.Contains(c.ConsoleLink, "@") {
		return nil
	}
	token, err := people.PasswordLink(ctx, c.ConsoleLink)
	if err != nil {
		return fmt.Errorf("CONSOLE_LINK: %w", err)
	}
	fmt.Fprintf(out, "  for %s to choose a new password, once within a day: %swelcome/%s\n", c.ConsoleLink, url, token)
	return nil
}

// withHealth answers GET /healthz, which needs no key.
func withHealth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// A prober that has gone away cannot be told about it.
		_, _ = io.WriteString(w, `{"status_is_ok":true}`)
	})
}

// ensureWorkspaces makes sure of the workspaces of the settings; without any,
// of "demo", whose key is made at the first start and kept beside the data.
func ensureWorkspaces(ctx context.Context, c config.Config, keys *access.Store, out io.Writer) error {
	for _, w := range c.Workspaces {
		switch err := keys.EnsureWorkspace(ctx, w.Name, w.Key); {
		case errors.Is(err, access.ErrRevoked):
			fmt.Fprintf(out, "Workspace   %s; its key from WORKSPACES was revoked\n", w.Name)
		case err != nil:
			return fmt.Errorf("WORKSPACES: %w", err)
		default:
			fmt.Fprintf(out, "Workspace   %s, with its key from WORKSPACES\n", w.Name)
		}
	}
	if len(c.Workspaces) > 0 {
		return nil
	}
	key, err := keptKey(filepath.Join(c.DataDir, "demo.key"))
	if err != nil {
		return err
	}
	switch err := keys.EnsureWorkspace(ctx, "demo", key); {
	case errors.Is(err, access.ErrRevoked):
		key = "revoked; the console makes another"
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "Workspace   demo\nAPI key     %s\n", key)
	return nil
}

// keptKey returns the API key kept in the file, making one at first.
func keptKey(file string) (string, error) {
	kept, err := os.ReadFile(file)
	// One without a key was left by a first start that ended before its time.
	if key := strings.TrimSpace(string(kept)); key != "" {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	key := access.NewKey()
	return key, os.WriteFile(file, []byte(key+"\n"), 0o600)
}

// house is what needs keeping.
type house struct {
	store  *embedded.Table
	files  *directory.Store
	keys   *access.Store
	engine *resource.Engine
	calls  *calls.Log
}

// keepHouse removes what has expired or is not to be kept, and ends what a
// process that died has left half done, until ctx ends.
func keepHouse(ctx context.Context, h house) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		if err := h.keep(ctx); err != nil && ctx.Err() == nil {
			slog.Error("housekeeping", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h house) keep(ctx context.Context) error {
	if _, err := h.store.Sweep(ctx); err != nil {
		return err
	}
	if err := h.files.Sweep(time.Now()); err != nil {
		return err
	}
	workspaces, err := h.keys.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range workspaces {
		if _, err := h.engine.Sweep(ctx, w, catalog.All()); err != nil {
			return err
		}
		ids, err := h.keys.KeyIDs(ctx, w)
		if err != nil {
			return err
		}
		if err := h.calls.Tidy(ctx, w, ids); err != nil {
			return err
		}
	}
	return nil
}
