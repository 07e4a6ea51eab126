// Command support_tickets serves the endpoints of support_tickets behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("support_tickets") }
