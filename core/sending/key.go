package sending

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"tenure/core/secrets"
)

const (
	// keyBits is the size of keys: the largest that Amazon SES takes.
	keyBits = 2048
	// selectorPrefix begins the names of keys.
	selectorPrefix = "tenure"
	// KeyPurpose is what private keys are sealed for.
	KeyPurpose = "sending.dkim"
)

// key is a key that mail is signed with, as it is stored.
type key struct {
	Selector string `json:"selector"`
	// Public is the public key, as DKIM records have it.
	Public string `json:"public"`
	// Private is the private key, sealed: PKCS #8.
	Private string `json:"private"`
	// Created and Retired are in epoch ms; Retired is when another took its place.
	Created int64 `json:"created"`
	Retired int64 `json:"retired,omitempty"`
}

// record returns the value of the key's DNS record.
func (k *key) record() string { return "v=DKIM1; k=rsa; p=" + k.Public }

// newKey makes a key of a workspace, the nth of its domain.
func (s *Store) newKey(ctx context.Context, workspace string, n int) (*key, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	sealed, err := s.sealer.Seal(ctx, secrets.Binding{Workspace: workspace, Purpose: KeyPurpose}, plain)
	return &key{
		Selector: fmt.Sprintf("%s%d", selectorPrefix, n), Public: base64.StdEncoding.EncodeToString(public), Private: sealed, Created: s.now().UnixMilli(),
	}, err
}

// open returns the private key: PKCS #8.
func (s *Store) open(ctx context.Context, workspace string, k *key) (secrets.Secret, error) {
	return s.sealer.Open(ctx, secrets.Binding{Workspace: workspace, Purpose: KeyPurpose}, k.Private)
}
