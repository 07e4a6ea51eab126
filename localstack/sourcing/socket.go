package sourcing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"tenure/core"
)

// socketName is the name of the socket in the directory of the data.
const socketName = "commands.sock"

// last is the last line of an answer: what came of the command.
type last struct {
	Done    bool          `json:"done"`
	Failure *core.Failure `json:"failure,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// Listen returns a listener on the socket in dir, which only the owner of this
// process may use. One that is there already is replaced: it is for whoever has the
// store in dir open to call. Close removes it.
func Listen(dir string) (net.Listener, error) {
	// The socket comes to its place once nobody else may use it, and not before.
	private, err := os.MkdirTemp(dir, ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	listener, err := net.Listen("unix", made)
	if err != nil {
		if _, long := errors.AsType[*net.OpError](err); long && len(made) > maxPath {
			return nil, fmt.Errorf("the path of %s is too long for a socket: %d bytes, where %d go", dir, len(made), maxPath)
		}
		return nil, err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	path := filepath.Join(dir, socketName)
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &socket{listener, path, sync.Once{}}, nil
}

// maxPath is the longest path of a socket that every system takes, in bytes.
const maxPath = 103

// socket is a listener that removes its file.
type socket struct {
	net.Listener
	path string
	once sync.Once
}

// Close removes the socket and ends listening.
func (s *socket) Close() (err error) {
	s.once.Do(func() { err = errors.Join(os.Remove(s.path), s.Listener.Close()) })
	return err
}

// Serve carries out commands that come over the listener until ctx ends, which ends
// those under way. It returns once they have.
func (c *Commands) Serve(ctx context.Context, listener net.Listener) error {
	var underWay sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			underWay.Add(1)
			defer underWay.Done()
			c.serve(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	err := server.Shutdown(finish)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // what is read from somebody who sends nothing does not end by itself
	}
	underWay.Wait()
	return err
}

// finishTimeout is how long commands have to end when ctx does.
const finishTimeout = 2 * time.Second

// serve answers a command by lines of JSON: events, and what came of it.
func (c *Commands) serve(w http.ResponseWriter, r *http.Request) {
	answer := http.NewResponseController(w)
	// What is read from the body is told while the rest is still to come.
	if err := answer.EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	write := func(line any) error { return errors.Join(lines.Encode(line), answer.Flush()) }
	query := r.URL.Query()
	err := c.recovered(r.Context(), query.Get("workspace"), query["arg"], r.Body, func(e Event) error { return write(e) })
	end := last{Done: err == nil}
	if failure, ok := errors.AsType[*core.Failure](err); ok {
		end.Failure = failure
	} else if err != nil {
		end.Error = err.Error()
	}
	// Whoever has gone need not be told.
	_ = write(end)
}

// recovered is Do, whose panics are errors like others.
func (c *Commands) recovered(ctx context.Context, workspace string, args []string, in io.Reader, tell func(Event) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("a command has panicked", "panic", p, "stack", string(debug.Stack()))
			err = errors.New("the program has failed; its log says more")
		}
	}()
	return c.Do(ctx, workspace, args, in, tell)
}

// Remote is a running product that commands are sent to.
type Remote struct{ client *http.Client }

// Dial returns the product that has the store in dir open; nil if none answers
// there.
func Dial(ctx context.Context, dir string) *Remote {
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, socketName))
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil
	}
	conn.Close()
	return &Remote{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
}

// Do has a command carried out, like Commands.Do.
func (r *Remote) Do(ctx context.Context, workspace string, args []string, in io.Reader, tell func(Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{"workspace": {workspace}, "arg": args}
	if in == nil {
		in = http.NoBody
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://product/?"+query.Encode(), in)
	if err != nil {
		return err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for d := json.NewDecoder(response.Body); ; {
		var line struct {
			Event
			last
		}
		if err := d.Decode(&line); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("the product has ended before the command: %w", err)
		}
		switch {
		case line.Failure != nil:
			return line.Failure
		case line.Error != "":
			return errors.New(line.Error)
		case line.Done:
			return nil
		}
		if err := tell(line.Event); err != nil {
			return err
		}
	}
}
