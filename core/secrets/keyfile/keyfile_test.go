package keyfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"tenure/core/secrets"
	"tenure/core/secrets/keyfile"
	"tenure/core/secrets/secretstest"
)

func open(t *testing.T, path string) *keyfile.Keys {
	t.Helper()
	k, err := keyfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestContract(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.key")
	secretstest.Run(t,
		func(t *testing.T) secrets.KeySource { return open(t, path) },
		func(t *testing.T) secrets.KeySource { return open(t, filepath.Join(t.TempDir(), "secrets.key")) })
}

func TestTheKeyFileIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such permissions")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "secrets.key")
	open(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.Open(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
}

func TestWhoeverStartsFirstMakesTheKeyOfAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.key")
	var all [8]*keyfile.Keys
	var starts sync.WaitGroup
	for i := range all {
		starts.Go(func() {
			var err error
			if all[i], err = keyfile.Open(path); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	if t.Failed() {
		return
	}
	at := secrets.Binding{Workspace: "acme", Purpose: "test"}
	sealed, err := secrets.New(all[0]).Seal(t.Context(), at, secrets.Secret("fake"))
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range all {
		if got, err := secrets.New(k).Open(t.Context(), at, sealed); err != nil || string(got) != "fake" {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestAFileThatIsNoKeyFileIsRefusedAndKept(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "text": "not-a-real-key", "JSON": "{}", "another kind": `{"primaryKeyId":1,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.HmacKey","value":"EgQIAxAgGiBmYWtlIGZha2UgZmFrZSBmYWtlIGZha2UgZmFrZQ==","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1,"outputPrefixType":"TINK"}]}`,
	} {
		path := filepath.Join(t.TempDir(), "secrets.key")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keyfile.Open(path); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", name, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("%s: %q, %v", name, kept, err)
		}
	}
	if _, err := keyfile.Open(filepath.Join(t.TempDir(), "missing", "secrets.key")); err == nil {
		t.Error("a folder that is not there")
	}
}
