// Command notes serves the endpoints of notes behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("notes") }
