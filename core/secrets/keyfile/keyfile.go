// Package keyfile keeps the keys of core/secrets in a file on one machine.
package keyfile

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"tenure/core/secrets"
)

// Keys are the keys of one file. It is a secrets.KeySource.
type Keys struct{ primitive tink.AEAD }

// Open returns the keys kept in a file, a Tink keyset in JSON, and makes one that
// nobody else may read if there is none. Whoever loses it loses what it has sealed.
func Open(path string) (*Keys, error) {
	if err := ensure(path); err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// Windows has no such permissions.
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("others than its owner may use the key file: chmod 600 %s", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// Errors of reading it do not quote it.
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("%s is no key file", path)
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%s is no key file of this kind", path)
	}
	return &Keys{primitive}, nil
}

// ensure makes the file if there is none. It is there whole or not at all, and
// whoever else makes it at the same time gets the same one.
func ensure(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	part := path + "." + rand.Text()
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(part)
	err = errors.Join(insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(f)), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(part, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if runtime.GOOS == "windows" { // where folders cannot be synced
		return nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Wrap encrypts a data key.
func (k *Keys) Wrap(_ context.Context, dataKey []byte, b secrets.Binding) ([]byte, error) {
	return k.primitive.Encrypt(dataKey, b.AssociatedData())
}

// Unwrap decrypts a data key.
func (k *Keys) Unwrap(_ context.Context, wrapped []byte, b secrets.Binding) ([]byte, error) {
	dataKey, err := k.primitive.Decrypt(wrapped, b.AssociatedData())
	if err != nil {
		return nil, secrets.ErrNotOpened
	}
	return dataKey, nil
}
