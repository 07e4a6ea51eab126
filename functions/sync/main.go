// Command sync runs the sources of all workspaces: a schedule has it look for those
// that are due, and each runs by a message of its own.
package main

import (
	"tenure/functions/internal/platform"
	"tenure/functions/internal/syncing"
)

func main() { platform.ServeQueue("sync", syncing.Job) }
