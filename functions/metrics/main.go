// Command metrics serves the endpoints of metrics behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("metrics") }
