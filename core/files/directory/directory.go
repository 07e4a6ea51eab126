// Package directory keeps files in a directory of one machine. Nobody but the
// user that the process runs as may read them.
package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"tenure/core/files"
)

// Store keeps files in a directory. Names cannot lead out of it.
type Store struct {
	root *os.Root
	last atomic.Int64 // the latest time given to a file, in epoch µs
}

// temporary begins the names of files that are being written: no segment of a
// file's name begins with a dot.
const temporary = ".writing-"

// Open opens the store in dir, which it makes if need be.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Store{root: root}, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.root.Close() }

// Write implements files.Store.
func (s *Store) Write(ctx context.Context, name string, r io.Reader, limit int64) (size int64, err error) {
	if err := files.CheckName(name); err != nil {
		return 0, err
	}
	if err := s.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return 0, err
	}
	// In the directory of the file, so that taking its place is one step.
	made := path.Join(path.Dir(name), temporary+rand.Text())
	f, err := s.root.OpenFile(made, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = s.root.Remove(made) // Sweep does, if this does not
		}
	}()
	size, err = io.Copy(f, io.LimitReader(reader{ctx, r}, limit+1))
	if err == nil && size > limit {
		err = files.ErrTooLarge
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	at := s.stamp()
	if err = s.root.Chtimes(made, at, at); err != nil {
		return 0, err
	}
	if err = s.root.Rename(made, name); err != nil {
		return 0, err
	}
	return size, s.syncDirectory(path.Dir(name))
}

// stamp returns the time of a file that is written now. No other one has it, so
// that it tells contents apart, which file systems' own times are too coarse for.
func (s *Store) stamp() time.Time {
	for {
		last := s.last.Load()
		at := max(last+1, time.Now().UnixMicro())
		if s.last.CompareAndSwap(last, at) {
			return time.UnixMicro(at)
		}
	}
}

// syncDirectory has it survive a loss of power that a file has taken its place.
func (s *Store) syncDirectory(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Stat implements files.Store.
func (s *Store) Stat(_ context.Context, name string) (files.Info, error) {
	if err := files.CheckName(name); err != nil {
		return files.Info{}, err
	}
	info, err := s.root.Stat(name)
	if err != nil {
		return files.Info{}, known(err)
	}
	return infoOf(info)
}

// Open implements files.Store.
func (s *Store) Open(ctx context.Context, name, tag string) (io.ReadCloser, error) {
	if err := files.CheckName(name); err != nil {
		return nil, err
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, known(err)
	}
	stat, err := f.Stat()
	var info files.Info
	if err == nil {
		info, err = infoOf(stat)
	}
	if err == nil && tag != "" && tag != info.Tag {
		err = files.ErrChanged
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{reader{ctx, f}, f}, nil
}

// Remove implements files.Store.
func (s *Store) Remove(_ context.Context, prefix string) error {
	if err := files.CheckPrefix(prefix); err != nil {
		return err
	}
	return s.root.RemoveAll(strings.TrimSuffix(prefix, "/"))
}

// Sweep removes files that were written longer than files.Life before now, what
// writers that died have left behind, and the directories that are empty then.
func (s *Store) Sweep(now time.Time) error {
	old := now.Add(-files.Life)
	var directories []string
	err := fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return ignoreMissing(err)
		}
		info, err := d.Info()
		switch {
		case err != nil:
			return ignoreMissing(err)
		case d.IsDir():
			// One that was just made is about to get a file.
			if name != "." && info.ModTime().Before(now.Add(-stale)) {
				directories = append(directories, name)
			}
		case info.ModTime().Before(old), strings.HasPrefix(d.Name(), temporary) && info.ModTime().Before(now.Add(-stale)):
			return ignoreMissing(s.root.Remove(name))
		}
		return nil
	})
	for i := len(directories) - 1; i >= 0; i-- { // those within before those around
		_ = s.root.Remove(directories[i]) // fails, as it should, where there is something in it
	}
	return err
}

// stale is how long a file that is being written is left alone.
const stale = 24 * time.Hour

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func known(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // a file lies where a directory would be
		return fmt.Errorf("%w: %w", files.ErrNotFound, err)
	}
	return err
}

func infoOf(info fs.FileInfo) (files.Info, error) {
	if !info.Mode().IsRegular() {
		return files.Info{}, files.ErrNotFound
	}
	return files.Info{Size: info.Size(), Tag: fmt.Sprintf("%x-%x", info.ModTime().UnixMicro(), info.Size())}, nil
}

// reader is a reader that fails once its context has ended.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
