// Command statements serves the endpoints of statements behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("statements") }
