// Command search serves the searches of all families behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("search") }
