// Package kms keeps the keys of core/secrets in AWS KMS: the key that encrypts
// the deployment's data wraps every data key. What a value is bound to is its
// encryption context, which KMS checks, roles may name, and CloudTrail records.
package kms

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"tenure/core/secrets"
)

// The names of the encryption context.
const (
	// WorkspaceContext names the workspace that a secret belongs to.
	WorkspaceContext = "workspace"
	// PurposeContext names the purpose of a secret.
	PurposeContext = "purpose"
)

// operations are what is asked of the client; see core/table/dynamo for why the
// client itself is not held.
type operations struct {
	encrypt func(context.Context, *kms.EncryptInput, ...func(*kms.Options)) (*kms.EncryptOutput, error)
	decrypt func(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error)
}

// Keys is a key of KMS. It is a secrets.KeySource.
type Keys struct {
	ask operations
	id  string
}

// New returns the key with an id, ARN or alias.
func New(client *kms.Client, id string) *Keys {
	return &Keys{operations{encrypt: client.Encrypt, decrypt: client.Decrypt}, id}
}

func encryptionContext(b secrets.Binding) map[string]string {
	return map[string]string{WorkspaceContext: b.Workspace, PurposeContext: b.Purpose}
}

// Wrap has KMS encrypt a data key.
func (k *Keys) Wrap(ctx context.Context, dataKey []byte, b secrets.Binding) ([]byte, error) {
	out, err := k.ask.encrypt(ctx, &kms.EncryptInput{
		KeyId: aws.String(k.id), Plaintext: dataKey, EncryptionContext: encryptionContext(b),
	})
	if err != nil {
		return nil, explain(err)
	}
	return out.CiphertextBlob, nil
}

// Unwrap has KMS decrypt a data key.
func (k *Keys) Unwrap(ctx context.Context, wrapped []byte, b secrets.Binding) ([]byte, error) {
	out, err := k.ask.decrypt(ctx, &kms.DecryptInput{
		KeyId: aws.String(k.id), CiphertextBlob: wrapped, EncryptionContext: encryptionContext(b),
	})
	if err != nil {
		return nil, explain(err)
	}
	return out.Plaintext, nil
}

// explain returns a failure of KMS as the port speaks of it. One that is
// neither of the value's nor passing, such as a right that is missing, stays
// what it is.
func explain(err error) error {
	for _, notOpened := range []func(error) bool{is[*types.InvalidCiphertextException], is[*types.IncorrectKeyException]} {
		if notOpened(err) {
			return fmt.Errorf("%w: %w", secrets.ErrNotOpened, err)
		}
	}
	api, answered := errors.AsType[smithy.APIError](err)
	if !answered || api.ErrorFault() == smithy.FaultServer || api.ErrorCode() == "ThrottlingException" || is[*types.KeyUnavailableException](err) {
		return fmt.Errorf("%w: %w", secrets.ErrUnavailable, err)
	}
	return err
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
