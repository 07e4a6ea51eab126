// Command clock takes up, minute by minute, what changes by time alone, and
// ends what an earlier request has left half done.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeSchedule() }
