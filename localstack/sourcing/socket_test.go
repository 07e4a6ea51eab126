package sourcing

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tenure/core"
)

// socketDir returns a directory whose path is short enough for a socket.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serving has the commands of a world served in dir until the function that it
// returns is called.
func (w *world) serving(dir string) (end func()) {
	w.Helper()
	listener, err := Listen(dir)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx, listener) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-served; err != nil {
				w.Errorf("served: %v", err)
			}
		})
	}
	w.Cleanup(end)
	return end
}

func TestCommandsGoOverTheSocketOfTheProduct(t *testing.T) {
	w, dir := newWorld(t), socketDir(t)
	if Dial(t.Context(), dir) != nil {
		t.Fatal("somebody answers before anybody listens")
	}
	end := w.serving(dir)
	info, err := os.Stat(filepath.Join(dir, socketName))
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&fs.ModeSocket == 0 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".s*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	product := Dial(t.Context(), dir)
	if product == nil {
		t.Fatal("nobody answers")
	}
	id := w.added()
	var text strings.Builder
	seen := 0
	tell := func(e Event) error {
		text.WriteString(e.Text)
		if e.Progress != nil {
			seen++
		}
		return nil
	}
	if err := product.Do(t.Context(), "acme", []string{"run", id}, nil, tell); err != nil || fields(text.String(), "orders") == "" {
		t.Errorf("%v\n%s", err, text.String())
	}
	if err := product.Do(t.Context(), "acme", []string{"set", id}, strings.NewReader(`{"every":1}`), tell); !refused(err, core.OutOfRange, "every") {
		t.Errorf("%v", err)
	}
	w.Commands.Store.Connectors = nil // now whoever asks for them fails
	if err := product.Do(t.Context(), "acme", []string{"list"}, nil, tell); err == nil || err.Error() != "the program has failed; its log says more" {
		t.Errorf("%v", err)
	}
	w.Commands.Store.Connectors = append(w.Commands.Store.Connectors, shop(), closed())
	end()
	if _, err := os.Stat(filepath.Join(dir, socketName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if Dial(t.Context(), dir) != nil {
		t.Error("somebody answers afterwards")
	}
}

func TestAnImportIsToldOfWhileItIsStillSent(t *testing.T) {
	w, dir := newWorld(t), socketDir(t)
	w.serving(dir)
	w.must(`{"connector":"closed","name":"Old","settings":{"site":"tea"},"system_of_record":true}`, "add")
	file, send := io.Pipe()
	told := make(chan struct{})
	go func() {
		for range importedAtOnce {
			io.WriteString(send, `{"id":1,"number":"a1","name":"A","joined":"2024-01-01"}`+"\n")
		}
		<-told
		send.Close()
	}()
	var once sync.Once
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Dial(ctx, dir).Do(ctx, "acme", []string{"import", "Old", "customers"}, file, func(e Event) error {
		if e.Progress != nil {
			once.Do(func() { close(told) })
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// importedAtOnce is how many records of a file are applied at a time, at least.
const importedAtOnce = 1000

func TestManyCommandsAtOnce(t *testing.T) {
	w, dir := newWorld(t), socketDir(t)
	w.serving(dir)
	id := w.added()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			var text strings.Builder
			err := Dial(t.Context(), dir).Do(t.Context(), "acme", []string{"show", id}, nil, func(e Event) error {
				text.WriteString(e.Text)
				return nil
			})
			if err != nil || !strings.Contains(text.String(), id) {
				t.Errorf("%v: %s", err, text.String())
			}
		})
	}
	group.Wait()
}

func TestASocketThatWasLeftIsReplaced(t *testing.T) {
	dir := socketDir(t)
	left, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	if Dial(t.Context(), dir) != nil {
		t.Error("somebody answers at what was left")
	}
	w := newWorld(t)
	w.serving(dir)
	if Dial(t.Context(), dir) == nil {
		t.Error("nobody answers")
	}
}

func TestAPathThatIsTooLongForASocketIsSaid(t *testing.T) {
	dir := filepath.Join(socketDir(t), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir); err == nil || !strings.Contains(err.Error(), "too long for a socket") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestTheEndOfTheProductEndsItsCommands(t *testing.T) {
	w, dir := newWorld(t), socketDir(t)
	end := w.serving(dir)
	id := w.added()
	w.hold = make(chan struct{})
	begun, failed := make(chan struct{}), make(chan error, 2)
	var once sync.Once
	go func() {
		failed <- Dial(t.Context(), dir).Do(t.Context(), "acme", []string{"run", id}, nil, func(e Event) error {
			if e.Progress != nil {
				once.Do(func() { close(begun) })
			}
			return nil
		})
	}()
	<-begun
	// And one whose input never ends.
	file, send := io.Pipe()
	go func() {
		failed <- Dial(t.Context(), dir).Do(t.Context(), "acme", []string{"add"}, file, func(Event) error { return nil })
	}()
	io.WriteString(send, "{")
	end()
	send.Close()
	for range 2 {
		if err := <-failed; err == nil {
			t.Error("a command says that it is done")
		}
	}
}
