// Command account_contacts serves the endpoints of account_contacts behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("account_contacts") }
