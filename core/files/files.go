// Package files is the port to the store of files: what is too large for the
// table, such as an uploaded CSV file, lies there under a name that begins with
// the workspace it belongs to.
//
// Two adapters exist: core/files/directory (a directory of one machine) and
// core/files/s3 (a bucket). Every promise made in this file is a case of the
// contract suite in core/files/filestest, which both pass.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// Errors of the port. An adapter wraps them with the cause; callers compare with
// errors.Is. Any other error is trouble of the store, or of the reader that
// Write was given.
var (
	// ErrNotFound says that there is no file of that name.
	ErrNotFound = errors.New("there is no such file")
	// ErrChanged says that the file is not the one that was asked for any more.
	ErrChanged = errors.New("the file was replaced meanwhile")
	// ErrTooLarge says that a file exceeds the limit; nothing of it was kept.
	ErrTooLarge = errors.New("the file is too large")
	// ErrInvalid says that a name names no file.
	ErrInvalid = errors.New("the name is not one of a file")
)

// MaxNameBytes is the longest name of a file.
const MaxNameBytes = 512

// CheckName returns ErrInvalid unless name names a file: segments of ASCII
// letters, digits, '-', '_' and '.', none of which begins with '.', separated by
// '/'. The name of a prefix ends with '/' as well.
func CheckName(name string) error {
	valid := len(name) <= MaxNameBytes
	for segment := range strings.SplitSeq(name, "/") {
		valid = valid && segment != "" && segment[0] != '.' && !strings.ContainsFunc(segment, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
		})
	}
	if !valid {
		return fmt.Errorf("%w: %q", ErrInvalid, name)
	}
	return nil
}

// CheckPrefix returns ErrInvalid unless prefix is a name with '/' behind it.
func CheckPrefix(prefix string) error {
	name, found := strings.CutSuffix(prefix, "/")
	if !found {
		return fmt.Errorf("%w: %q is no prefix", ErrInvalid, prefix)
	}
	return CheckName(name)
}

// Info says what there is to say of a file without reading it.
type Info struct {
	// Size is in bytes.
	Size int64
	// Tag differs between any two contents that a name has had.
	Tag string
}

// Store keeps files. All methods are safe for concurrent use.
type Store interface {
	// Write stores what r yields under a name, in place of what was there before,
	// and returns its size. It is stored whole or, when r fails, yields more than
	// limit bytes (ErrTooLarge) or ctx ends, not at all.
	Write(ctx context.Context, name string, r io.Reader, limit int64) (int64, error)

	// Stat looks at a file.
	Stat(ctx context.Context, name string) (Info, error)

	// Open opens a file for reading; the caller closes it. With a tag other than ""
	// it is the content with that tag or ErrChanged. Reads after ctx has ended fail.
	Open(ctx context.Context, name, tag string) (io.ReadCloser, error)

	// Remove removes all files whose names begin with prefix, which ends with '/'.
	// Removing nothing is no error.
	Remove(ctx context.Context, prefix string) error
}

// Form is what a browser needs to send a file straight to the store: a form
// (multipart/form-data) with these fields in their order and then the file, in a
// field called "file".
type Form struct {
	// Action is where to send it.
	Action string
	Fields []Field
}

// Field is a hidden field of a form.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Origin returns the origin that the form is sent to; empty if that is none.
func (f *Form) Origin() string {
	u, err := url.Parse(f.Action)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Life is how long files are kept.
const Life = 30 * 24 * time.Hour
