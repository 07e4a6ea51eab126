// Package e2e tests the Account API over HTTP, from outside: whatever serves
// it, on one machine or on AWS, and whatever it is kept in. It takes the API
// document and the project's own decisions about what that leaves open (P1 to
// P18, A1 to A6, U1 and U2, Q1 to Q27) at their word, and knows nothing of the
// code behind the address but the families' declarations, from which the cases
// of every single field are made.
//
// Every answer of every test is held against the description that the target
// serves as /openapi.json, so that no property is returned that it does not
// describe.
package e2e

import (
	"net/http"
	"slices"
	"sync"
	"testing"
)

// Target is what is tested.
type Target struct {
	// BaseURL is the address of the API up to and including /api/v2.
	BaseURL string
	// NewWorkspace returns an API key of a workspace that is empty and that
	// nothing else uses. Every test asks for its own, so that tests run at the
	// same time and none sees, or has to wait for, what another one uploads.
	NewWorkspace func(t *testing.T) (key string)
	// MaxPlainBody is the largest body, in bytes, that arrives when it is not
	// compressed; 0 where nothing in front of the API sets such a limit. Beyond
	// it the answer must be a 413 (contract P4, Q6).
	MaxPlainBody int
	// Entries is how many entries the tests write into one list, less where
	// writing is slow; 0 for 100,000.
	Entries int
	// IgnoresEmptySegments says that what is in front of the API takes //accounts
	// for /accounts.
	IgnoresEmptySegments bool
	// Chosen are the tests that are run, by the names of their chapters; nil for
	// all.
	Chosen map[string][]string

	client   *http.Client
	describe func() (*description, error)
}

// chapter is tests about one thing.
type chapter struct {
	name  string
	tests []test
}

func (c chapter) has(name string) bool {
	return slices.ContainsFunc(c.tests, func(t test) bool { return t.name == name })
}

// Run runs the whole suite but for what RunLarge does. Its tests run in
// parallel.
func Run(t *testing.T, target Target) {
	target.run(t, []chapter{
		{"uploads", uploadTests},
		{"protocol", protocolTests},
		{"fields", fieldTests},
		{"accounts", accountTests},
		{"people", peopleTests},
		{"lists", listTests},
		{"tickets", ticketTests},
		{"statements", statementTests},
		{"subscriptions", subscriptionTests},
		{"revenue", revenueTests},
		{"conversations", conversationTests},
		{"metrics", metricTests},
		{"usage", usageTests},
		{"search", searchTests},
		{"workspaces", isolationTests},
		{"description", descriptionTests},
	})
}

// RunLarge runs the tests of values and lists as large as they may be, which
// take their time.
func RunLarge(t *testing.T, target Target) {
	target.run(t, []chapter{{"large values", largeTests}})
}

func (target Target) run(t *testing.T, chapters []chapter) {
	target.client = &http.Client{
		// Compression and redirects are what some tests look at.
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(target.client.CloseIdleConnections)
	target.describe = sync.OnceValues(func() (*description, error) { return fetchDescription(&target) })
	for name, tests := range target.Chosen {
		for _, test := range tests {
			if !slices.ContainsFunc(chapters, func(c chapter) bool { return c.name == name && c.has(test) }) {
				t.Errorf("there is no test %q in %s", test, name)
			}
		}
	}
	for _, chapter := range chapters {
		t.Run(chapter.name, func(t *testing.T) {
			t.Parallel()
			for _, test := range chapter.tests {
				if target.Chosen != nil && !slices.Contains(target.Chosen[chapter.name], test.name) {
					continue
				}
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					test.run(newClient(t, &target))
				})
			}
		})
	}
}

// test is one test, with a client of a workspace of its own.
type test struct {
	name string
	run  func(c *client)
}
