// Command uploads checks and applies the files that people upload, by the queue of
// the work on them.
package main

import (
	"tenure/functions/internal/platform"
	"tenure/functions/internal/uploading"
)

func main() { platform.ServeQueue("uploads", uploading.Job) }
