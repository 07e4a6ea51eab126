package embedded

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/cockroachdb/pebble/v2"
)

// engineLogger passes on what the engine has to say, errors only: its
// information is about compactions, and of no use to who runs the server.
type engineLogger struct{ log *slog.Logger }

// Infof drops the message.
func (engineLogger) Infof(string, ...any) {}

// Errorf logs the message.
func (l engineLogger) Errorf(format string, args ...any) {
	l.log.Error("storage engine: " + fmt.Sprintf(format, args...))
}

// Fatalf logs the message and ends the process. The engine calls it when it can
// write neither its log nor its manifest: no write can be acknowledged any more,
// and what is visible may not be durable. A panic would not do, since an HTTP
// server survives it.
func (l engineLogger) Fatalf(format string, args ...any) {
	l.log.Error("storage engine, stopping the process: " + fmt.Sprintf(format, args...))
	os.Exit(1)
}

// listener reports the failures of background work, which the engine otherwise
// tells as information or not at all.
func (l engineLogger) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { l.Errorf("background work failed: %v", err) },
		DataCorruption:  func(i pebble.DataCorruptionInfo) { l.Errorf("data corrupted: %v", i) },
	}
}
