// Command empty is a function that does nothing: what every Go function costs
// before it does anything.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
