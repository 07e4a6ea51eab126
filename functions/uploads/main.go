// Command uploads checks and applies the files that people upload, by the queue of
// the work on them.
package main

import (
	"tenure/functions/internal/platform"
	"tenure/functions/internal/uploading"
)

func main() {
	platform.ServeQueue("uploads", func(env platform.Environment) (platform.Work, platform.Queue, error) {
		s, err := uploading.Open(env)
		if err != nil {
			return nil, platform.Queue{}, err
		}
		return uploading.Work(s), uploading.Queue(env), nil
	})
}
