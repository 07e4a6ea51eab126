// Command console serves the pages for people behind API Gateway.
package main

import (
	"net/http"

	"tenure/core/console"
	"tenure/core/identity"
	"tenure/functions/internal/platform"
)

func main() {
	platform.ServePages("console", func(env platform.Environment) (http.Handler, error) {
		return console.New(console.Config{
			Access: env.Keys, Identity: identity.New(env.Table, nil), Calls: env.Calls, Log: env.Log, Secure: true,
		})
	})
}
