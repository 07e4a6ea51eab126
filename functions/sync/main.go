// Command sync runs the sources of all workspaces, and seeks candidates for their
// accounts: a schedule has it look for those that there is something to do for, and
// each thing is done by a message of its own.
package main

import (
	"tenure/functions/internal/platform"
	"tenure/functions/internal/syncing"
)

func main() { platform.ServeQueue("sync", syncing.Job) }
