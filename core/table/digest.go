package table

import (
	"crypto/sha256"
	"encoding/base64"
)

// Digest returns a short text that stands for s in keys, where s itself may be
// too long: 128 bits of SHA-256.
func Digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
