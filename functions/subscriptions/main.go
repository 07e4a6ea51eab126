// Command subscriptions serves the endpoints of subscriptions behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("subscriptions") }
