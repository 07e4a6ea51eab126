// Command events takes usage events behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeEvents() }
