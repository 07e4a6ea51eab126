// Command account_users serves the endpoints of account_users behind API Gateway.
package main

import "tenure/functions/internal/platform"

func main() { platform.ServeAPI("account_users") }
