// Command rollup follows the stream of the table and keeps derived values up
// to date.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeStream() }
