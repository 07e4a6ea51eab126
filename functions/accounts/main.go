// Command accounts serves the endpoints of accounts behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("accounts") }
