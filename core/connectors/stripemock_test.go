package connectors_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
	"time"

	"tenure/core/connector"
	"tenure/core/connectors"
	"tenure/core/mapping"
)

// stripeMock is where `make tools` puts it, seen from this package.
const stripeMock = "../../.tools/bin/stripe-mock"

// TestStripeIsReadFromItsOwnStandIn reads Stripe from stripe-mock, which refuses
// requests that its description lacks. That is of a later version of the API than
// the one that is asked for, so that records come in the other of the two forms
// which both have to be understood.
func TestStripeIsReadFromItsOwnStandIn(t *testing.T) {
	at := slices.IndexFunc(connectors.All(), func(c *connector.Connector) bool { return c.Name == "stripe" })
	if at < 0 {
		t.Fatal("there is no connector for Stripe")
	}
	stripe := connectors.All()[at]
	address := startStripeMock(t)
	sent := 0
	s, err := connector.Open(t.Context(), connector.Config{
		Connector: stripe,
		Load: func(context.Context) (*connector.Credentials, error) {
			c := &connector.Credentials{Auth: stripe.Auth[0].Name, Values: map[string]string{}}
			for _, set := range stripe.Auth[0].Settings {
				c.Values[set.Name] = "sk_test_123"
			}
			return c, nil
		},
		Env: mapping.Env{Currency: "USD"},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			sent++
			to := r.Clone(r.Context())
			to.URL.Scheme, to.URL.Host = "http", address
			return http.DefaultTransport.RoundTrip(to)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for i := range stripe.Streams {
		st := &stripe.Streams[i]
		lasts := []*connector.Last{nil}
		if st.Changes != nil || st.Incremental {
			lasts = append(lasts, &connector.Last{At: time.Now().Add(-time.Hour).UnixMilli()})
		}
		for _, last := range lasts {
			from := connector.Last{}
			if last != nil {
				from = *last
			}
			var records []connector.Record
			position := s.Begin(st, from, last == nil)
			for {
				page, err := s.Page(t.Context(), st, position)
				if err != nil {
					t.Fatalf("%s: %v", st.Name, err)
				}
				records = append(records, page.Records...)
				if position = page.Next; page.Last {
					break
				}
			}
			if last == nil && len(records) == 0 {
				t.Errorf("%s: there are no records", st.Name)
			}
			for _, r := range records {
				mapsWithoutError(t, s, st, r)
			}
		}
	}
	t.Logf("%d requests", sent)
}

// mapsWithoutError evaluates what is made of a record.
func mapsWithoutError(t *testing.T, s *connector.Session, st *connector.Stream, r connector.Record) {
	t.Helper()
	for _, feed := range st.Feeds {
		if feed.Each != "" {
			continue
		}
		for _, field := range feed.Fields {
			e, err := s.Expression(field.From, false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.First(t.Context(), r.Value, nil); err != nil {
				t.Errorf("%s %s: %s.%s: %v", st.Name, r.ID, feed.Family, field.To, err)
			}
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// startStripeMock starts the program on free ports, and returns its address.
func startStripeMock(t *testing.T) string {
	if _, err := os.Stat(stripeMock); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("stripe-mock is missing: %v", err)
		}
		t.Skipf("left out, as it needs stripe-mock: run `make tools` to get it (%v)", err)
	}
	run := exec.CommandContext(t.Context(), stripeMock, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(`HTTP at address: (\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			go func() {
				for lines.Scan() { // or it waits for somebody to read
				}
			}()
			return m[1]
		}
	}
	t.Fatal("stripe-mock has ended")
	return ""
}
