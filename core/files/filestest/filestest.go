// Package filestest is the contract of the port core/files, as a suite of tests
// that every adapter passes.
package filestest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tenure/core/files"
)

// unlimited is a limit that no file of the suite reaches.
const unlimited = 1 << 30

// Run runs the suite on a store that holds nothing.
func Run(t *testing.T, s files.Store) {
	for name, test := range map[string]func(*testing.T, files.Store){
		"what was written is read":              testRoundTrip,
		"a second file takes the first's place": testReplace,
		"what is not there":                     testMissing,
		"a file that breaks off leaves nothing": testBroken,
		"limits":                                testLimits,
		"names":                                 testNames,
		"removing":                              testRemove,
		"a context that ends":                   testContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// write writes a file.
func write(t *testing.T, s files.Store, name, content string) files.Info {
	t.Helper()
	n, err := s.Write(t.Context(), name, strings.NewReader(content), unlimited)
	if err != nil || n != int64(len(content)) {
		t.Fatalf("write %s: %d, %v", name, n, err)
	}
	info, err := s.Stat(t.Context(), name)
	if err != nil || info.Size != n || info.Tag == "" {
		t.Fatalf("stat %s: %+v, %v", name, info, err)
	}
	return info
}

// read reads a file whole.
func read(t *testing.T, s files.Store, name, tag string) (string, error) {
	t.Helper()
	r, err := s.Open(t.Context(), name, tag)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(content), nil
}

func holds(t *testing.T, s files.Store, name, want string) {
	t.Helper()
	if got, err := read(t, s, name, ""); err != nil || got != want {
		t.Errorf("%s holds %.100q (%d bytes), %v; want %.100q (%d bytes)", name, got, len(got), err, want, len(want))
	}
}

// large returns a text of n bytes that repeats itself nowhere near.
func large(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strings.Repeat(string(rune('a'+i%26)), 1+i*7%97))
	}
	return b.String()[:n]
}

func testRoundTrip(t *testing.T, s files.Store) {
	for name, content := range map[string]string{
		"acme/uploads/1/file.csv": "a,b\r\n1,2\r\n", "acme/uploads/1/empty": "", "acme/x": "\x00\xff\n",
		// More than one request or part each.
		"acme/uploads/2/large": large(20<<20 + 7), "acme/uploads/2/even": large(16 << 20),
	} {
		write(t, s, name, content)
		holds(t, s, name, content)
		// Readers that yield little at a time, and the end with the last byte.
		n, err := s.Write(t.Context(), name, iotest.DataErrReader(iotest.HalfReader(strings.NewReader(content))), int64(len(content)))
		if err != nil || n != int64(len(content)) {
			t.Errorf("%s, bit by bit: %d, %v", name, n, err)
		}
		holds(t, s, name, content)
	}
}

func testReplace(t *testing.T, s files.Store) {
	const name = "acme/replaced"
	first := write(t, s, name, "first")
	if got, err := read(t, s, name, first.Tag); err != nil || got != "first" {
		t.Errorf("by its tag: %q, %v", got, err)
	}
	seen := map[string]bool{first.Tag: true}
	for _, content := range []string{"other", "third", "longer than those before"} {
		info := write(t, s, name, content)
		if seen[info.Tag] {
			t.Errorf("%q has the tag of another content", content)
		}
		seen[info.Tag] = true
		holds(t, s, name, content)
		if _, err := read(t, s, name, first.Tag); !errors.Is(err, files.ErrChanged) {
			t.Errorf("by the tag of the first: %v", err)
		}
	}
}

func testMissing(t *testing.T, s files.Store) {
	write(t, s, "acme/there/file", "x")
	for _, name := range []string{"acme/missing", "nobody/x", "acme/there", "acme/there/file/below"} {
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, files.ErrNotFound) {
			t.Errorf("stat %s: %v", name, err)
		}
		if _, err := s.Open(t.Context(), name, ""); !errors.Is(err, files.ErrNotFound) {
			t.Errorf("open %s: %v", name, err)
		}
	}
}

var errBroken = errors.New("the line is broken")

func testBroken(t *testing.T, s files.Store) {
	const kept, never = "acme/kept", "acme/never"
	write(t, s, kept, "kept")
	for _, size := range []int{0, 3, 9 << 20} {
		for _, name := range []string{kept, never} {
			broken := io.MultiReader(strings.NewReader(large(size)), iotest.ErrReader(errBroken))
			if _, err := s.Write(t.Context(), name, broken, unlimited); !errors.Is(err, errBroken) {
				t.Errorf("broken off after %d bytes: %v", size, err)
			}
		}
	}
	holds(t, s, kept, "kept")
	if _, err := s.Stat(t.Context(), never); !errors.Is(err, files.ErrNotFound) {
		t.Errorf("what never arrived is there: %v", err)
	}
}

func testLimits(t *testing.T, s files.Store) {
	for _, size := range []int{1, 100, 9 << 20} {
		const name = "acme/limited"
		content := large(size)
		if n, err := s.Write(t.Context(), name, strings.NewReader(content), int64(size)); err != nil || n != int64(size) {
			t.Errorf("%d bytes of as many: %d, %v", size, n, err)
		}
		if _, err := s.Write(t.Context(), name, strings.NewReader(content+"!"), int64(size)); !errors.Is(err, files.ErrTooLarge) {
			t.Errorf("%d bytes and one more: %v", size, err)
		}
		holds(t, s, name, content)
	}
	endless := io.Reader(zeros{})
	if _, err := s.Write(t.Context(), "acme/endless", endless, 10<<20); !errors.Is(err, files.ErrTooLarge) {
		t.Errorf("without an end: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func testNames(t *testing.T, s files.Store) {
	for _, name := range []string{"", ".", "..", "/", "/a", "a/", "a//b", "a/../b", "../a", "a/.b", "a\\b", "a b", "a\x00b", "é",
		"a/" + strings.Repeat("n", files.MaxNameBytes)} {
		if _, err := s.Write(t.Context(), name, strings.NewReader("x"), 1); !errors.Is(err, files.ErrInvalid) {
			t.Errorf("write %q: %v", name, err)
		}
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, files.ErrInvalid) {
			t.Errorf("stat %q: %v", name, err)
		}
		if _, err := s.Open(t.Context(), name, ""); !errors.Is(err, files.ErrInvalid) {
			t.Errorf("open %q: %v", name, err)
		}
	}
	for _, prefix := range []string{"", "/", "a", "../", "a/../", ".a/", "a//"} {
		if err := s.Remove(t.Context(), prefix); !errors.Is(err, files.ErrInvalid) {
			t.Errorf("remove %q: %v", prefix, err)
		}
	}
}

func testRemove(t *testing.T, s files.Store) {
	for _, name := range []string{"acme/u/1/file", "acme/u/1/parts/a", "acme/u/12/file", "acme2/u/1/file"} {
		write(t, s, name, name)
	}
	for range 2 {
		if err := s.Remove(t.Context(), "acme/u/1/"); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"acme/u/1/file", "acme/u/1/parts/a"} {
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, files.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"acme/u/12/file", "acme2/u/1/file"} {
		holds(t, s, name, name)
	}
}

func testContext(t *testing.T, s files.Store) {
	const name = "acme/ended"
	write(t, s, name, large(9<<20))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	r, err := s.Open(ctx, name, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("read on for %d bytes: %v", n, err)
	}
	if _, err := s.Write(ctx, name, bytes.NewReader([]byte("late")), unlimited); !errors.Is(err, context.Canceled) {
		t.Errorf("written: %v", err)
	}
	holds(t, s, name, large(9<<20))
}
