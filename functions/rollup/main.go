// Command rollup follows the stream of the table and keeps derived values up
// to date, but for what is counted of usage events.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeStream("rollup") }
