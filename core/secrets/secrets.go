// Package secrets seals small secrets before they reach the table: private keys,
// OAuth tokens, credentials of connectors. It is envelope encryption: every
// secret has a data key of its own, which a key source wraps. What is sealed is
// bound to one workspace and one purpose, and opens for no other.
//
// Two sources of keys exist: core/secrets/keyfile (a file on one machine) and
// core/secrets/kms (AWS). Every promise made in this file is a case of the
// contract suite in core/secrets/secretstest, which both pass.
package secrets

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
)

// MaxBytes is the largest secret that can be sealed: several of them fit an item
// of the table.
const MaxBytes = 64 << 10

// Errors of sealing and opening, which are compared with errors.Is. A deadline or
// a cancellation comes back as the context's own error.
var (
	// ErrNotOpened says that a sealed value is not one of this place: it was
	// sealed for another workspace or purpose or with another key, or has been
	// changed. Trying again is useless.
	ErrNotOpened = errors.New("the sealed value cannot be opened here")
	// ErrUnavailable says that the source of keys does not answer. Trying again
	// later may work.
	ErrUnavailable = errors.New("the source of keys is unavailable")
)

// Secret is a secret in the open. However it is printed, logged or marshalled,
// only a placeholder appears; who needs the bytes converts it to []byte.
type Secret []byte

const placeholder = "[secret]"

// String returns a placeholder.
func (Secret) String() string { return placeholder }

// Format writes a placeholder, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) {
	// There is nobody to tell that it could not be written.
	_, _ = f.Write([]byte(placeholder))
}

// MarshalText returns a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// LogValue returns a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(placeholder) }

// Binding says where a sealed value belongs. It is no secret itself: key sources
// may write it into their logs.
type Binding struct {
	// Workspace is the one workspace whose secret it is.
	Workspace string
	// Purpose is a stable word for what the secret is for, such as "sending.dkim".
	// One kind of secret has one purpose; two kinds never share one.
	Purpose string
}

// AssociatedData returns the binding as bytes that no other binding has.
func (b Binding) AssociatedData() []byte {
	data := binary.BigEndian.AppendUint32(nil, uint32(len(b.Workspace)))
	return append(append(data, b.Workspace...), b.Purpose...)
}

// KeySource keeps the keys that data keys are wrapped with. What it returns as
// wrapped unwraps only for the same binding. Its errors are those of this
// package where they apply.
type KeySource interface {
	Wrap(ctx context.Context, dataKey []byte, b Binding) (wrapped []byte, err error)
	Unwrap(ctx context.Context, wrapped []byte, b Binding) (dataKey []byte, err error)
}

// wrapper is a key source as Tink calls it: for one binding.
type wrapper struct {
	source KeySource
	to     Binding
	err    error // what the source said last
}

func (w *wrapper) EncryptWithContext(ctx context.Context, dataKey, _ []byte) (wrapped []byte, err error) {
	wrapped, w.err = w.source.Wrap(ctx, dataKey, w.to)
	return wrapped, w.err
}

func (w *wrapper) DecryptWithContext(ctx context.Context, wrapped, _ []byte) (dataKey []byte, err error) {
	dataKey, w.err = w.source.Unwrap(ctx, wrapped, w.to)
	return dataKey, w.err
}

// Sealer seals and opens secrets. It is safe for concurrent use and remembers
// nothing: each Seal and each Open asks the key source once.
type Sealer struct{ source KeySource }

// New returns a sealer that wraps data keys by source.
func New(source KeySource) *Sealer { return &Sealer{source} }

// form begins every sealed value and says how it was sealed.
const form = "1."

// envelope returns what encrypts for one binding, and how it asks the source.
func (s *Sealer) envelope(b Binding) (*aead.KMSEnvelopeAEADWithContext, *wrapper, error) {
	if b.Workspace == "" || b.Purpose == "" {
		return nil, nil, errors.New("a secret belongs to a workspace and has a purpose")
	}
	w := &wrapper{source: s.source, to: b}
	envelope, err := aead.NewKMSEnvelopeAEADWithContext(aead.AES256GCMKeyTemplate(), w)
	return envelope, w, err
}

// Seal returns a secret in a form that may be stored: one word of ASCII, about
// 4/3 as long as the secret and a few hundred bytes. Sealing the same secret
// twice gives two different words.
func (s *Sealer) Seal(ctx context.Context, b Binding, secret Secret) (string, error) {
	if len(secret) > MaxBytes {
		return "", fmt.Errorf("seal %s: %d bytes are too many, more than %d", b.Purpose, len(secret), MaxBytes)
	}
	envelope, _, err := s.envelope(b)
	if err != nil {
		return "", err
	}
	sealed, err := envelope.EncryptWithContext(ctx, secret, b.AssociatedData())
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", b.Purpose, cause(ctx, err))
	}
	return form + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open returns the secret that was sealed for the same binding.
func (s *Sealer) Open(ctx context.Context, b Binding, sealed string) (Secret, error) {
	envelope, source, err := s.envelope(b)
	if err != nil {
		return nil, err
	}
	text, known := strings.CutPrefix(sealed, form)
	ciphertext, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !known || err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder passes over
		return nil, fmt.Errorf("open %s: %w", b.Purpose, ErrNotOpened)
	}
	secret, err := envelope.DecryptWithContext(ctx, ciphertext, b.AssociatedData())
	switch {
	case err == nil:
		return secret, nil
	case source.err != nil:
		err = cause(ctx, source.err)
	default: // the value is not as it was sealed
		err = ErrNotOpened
	}
	return nil, fmt.Errorf("open %s: %w", b.Purpose, err)
}

// cause returns the context's own error where that is why something failed.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
