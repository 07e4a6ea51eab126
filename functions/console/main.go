// Command console serves the pages for people behind API Gateway.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"

	"tenure/core/console"
	"tenure/core/identity"
	"tenure/core/overview"
	"tenure/core/secrets"
	"tenure/core/secrets/kms"
	"tenure/core/sending"
	"tenure/core/sending/ses"
	"tenure/functions/internal/platform"
	"tenure/functions/internal/syncing"
	"tenure/functions/internal/uploading"
)

func main() {
	platform.ServePages("console", func(env platform.Environment) (http.Handler, error) {
		if env.Settings.Key == "" {
			return nil, errors.New("KEY_ARN is not set")
		}
		resolver, err := sending.NewResolver(env.Settings.DNSServers...)
		if err != nil {
			return nil, fmt.Errorf("DNS_SERVER: %w", err)
		}
		sent, _, err := uploading.Open(env)
		if err != nil {
			return nil, err
		}
		systems, _, err := syncing.Open(env)
		if err != nil {
			return nil, err
		}
		var address *url.URL
		if text := env.Settings.ConsoleURL; text != "" {
			if address, err = console.ParseURL(text); err != nil {
				return nil, fmt.Errorf("CONSOLE_URL: %w", err)
			}
		}
		return console.New(console.Config{
			URL: address, Access: env.Keys, Identity: identity.New(env.Table, identity.Options{}), Calls: env.Calls,
			Overview: overview.New(env.Table, env.Engine), Uploads: sent, Sources: systems, Usage: env.Usage, Log: env.Log, Secure: true,
			Sending: sending.New(sending.Config{
				Table: env.Table, Resolver: resolver, Log: env.Log,
				Sealer:   secrets.New(kms.New(awskms.NewFromConfig(env.AWS), env.Settings.Key)),
				Relay:    sending.SES(env.Settings.Region),
				Provider: ses.New(sesv2.NewFromConfig(env.AWS), env.Settings.Deployment),
			}),
		})
	})
}
