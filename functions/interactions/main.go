// Command interactions serves the endpoints of interactions behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("interactions") }
