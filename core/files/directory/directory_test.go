package directory_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tenure/core/files"
	"tenure/core/files/directory"
	"tenure/core/files/filestest"
)

func open(t *testing.T) (*directory.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	s, err := directory.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

func TestContract(t *testing.T) {
	s, dir := open(t)
	filestest.Run(t, s)
	// Whatever failed has left nothing half written.
	for _, name := range list(t, dir) {
		if strings.Contains(name, ".writing") {
			t.Errorf("%s is left behind", name)
		}
	}
}

// list returns the files and directories in dir.
func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestNobodyElseMayRead(t *testing.T) {
	s, dir := open(t)
	if _, err := s.Write(t.Context(), "acme/u/file", strings.NewReader("x"), 1); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700, "acme": 0o700, "acme/u": 0o700, "acme/u/file": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode().Perm(), err)
		}
	}
}

func TestALinkLeadsNowhereElse(t *testing.T) {
	s, dir := open(t)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link")), os.Symlink(filepath.Dir(outside), filepath.Join(dir, "acme"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "acme/secret"} {
		if _, err := s.Open(t.Context(), name, ""); err == nil {
			t.Errorf("%s is opened", name)
		}
		if _, err := s.Stat(t.Context(), name); err == nil {
			t.Errorf("%s is looked at", name)
		}
	}
	if _, err := s.Write(t.Context(), "acme/new", strings.NewReader("x"), 1); err == nil {
		t.Error("written outside")
	}
}

func TestOldFilesAreSwept(t *testing.T) {
	s, dir := open(t)
	for _, name := range []string{"acme/u/old/file", "acme/u/new/file"} {
		if _, err := s.Write(t.Context(), name, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	left := filepath.Join(dir, "acme/u/died/.writing-x")
	if err := errors.Join(os.Mkdir(filepath.Dir(left), 0o700), os.WriteFile(left, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	long := now.Add(-files.Life - time.Hour)
	for _, name := range []string{"acme/u/old/file", "acme/u/old", "acme/u/died/.writing-x", "acme/u/died", "acme/u", "acme"} {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // a directory has changed just now when what was in it is removed
		if err := s.Sweep(now); err != nil {
			t.Fatal(err)
		}
		if err := s.Sweep(now.Add(25 * time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(list(t, dir), " "), " /acme /acme/u /acme/u/new /acme/u/new/file"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
	if err := s.Sweep(now.Add(files.Life + time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "acme/u/new/file"); !errors.Is(err, files.ErrNotFound) {
		t.Errorf("a month later: %v", err)
	}
}
