// Command usage follows the stream of the table and counts usage events.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeStream("usage") }
