package embedded_test

import (
	"os"
	"testing"
)

// TestMain lets a test start this binary once more as another process: with
// childEnv set it runs that child instead of the tests.
func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "write":
		writeUntilKilled(os.Getenv(childDirEnv))
	case "open":
		tryToOpen(os.Getenv(childDirEnv))
	}
}
