package connectors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tenure/core/connector"
	"tenure/core/connectors"
	"tenure/core/mapping"
)

// TestMoreTicketsThanFreshdeskHasPagesForAreReadOnce has more tickets than the 300
// pages of a list hold. Many of them were changed at once, so that no page tells
// where to go on from.
func TestMoreTicketsThanFreshdeskHasPagesForAreReadOnce(t *testing.T) {
	const many, size, wall = 31_000, 100, 300
	type ticket struct {
		ID      int    `json:"id"`
		Updated string `json:"updated_at"`
		at      time.Time
	}
	tickets := make([]ticket, many)
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range tickets {
		if i < 10_000 || i > 10_450 { // a bulk update
			at = at.Add(time.Duration(i%2) * time.Second)
		}
		tickets[i] = ticket{i + 1, at.Format(time.RFC3339), at}
	}
	highest := 0
	answer := func(r *http.Request) (status int, body any, next string) {
		q := r.URL.Query()
		if !strings.HasSuffix(r.URL.Path, "/tickets") {
			return http.StatusOK, []any{}, ""
		}
		since, err := time.Parse(time.RFC3339, q.Get("updated_since"))
		number, err2 := strconv.Atoi(q.Get("page"))
		if highest = max(highest, number); err != nil || err2 != nil || q.Get("per_page") != "100" || number > wall {
			return http.StatusBadRequest, map[string]string{"description": "Validation failed"}, ""
		}
		first, _ := slices.BinarySearchFunc(tickets, since, func(t ticket, since time.Time) int { return t.at.Compare(since) })
		rows := tickets[first:]
		rows = rows[min((number-1)*size, len(rows)):]
		if len(rows) > size {
			q.Set("page", strconv.Itoa(number+1))
			return http.StatusOK, rows[:size], "https://" + r.URL.Host + r.URL.Path + "?" + q.Encode()
		}
		return http.StatusOK, rows, ""
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	freshdesk := connectors.All()[slices.IndexFunc(connectors.All(), func(c *connector.Connector) bool { return c.Name == "freshdesk" })]
	s, err := connector.Open(t.Context(), connector.Config{
		Connector: freshdesk, Settings: map[string]string{"domain": "acme"}, Env: mapping.Env{Currency: "USD"},
		Load: func(context.Context) (*connector.Credentials, error) {
			return &connector.Credentials{Auth: "api_key", Values: map[string]string{"api_key": "secret-key"}}, nil
		},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			status, body, next := answer(r)
			text, err := json.Marshal(body)
			header := http.Header{"Content-Type": {"application/json"}}
			if next != "" {
				header.Set("Link", fmt.Sprintf("<%s>; rel=%q", next, "next"))
			}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, err
		}),
		Now:   func() time.Time { return now },
		Sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	st := &freshdesk.Streams[slices.IndexFunc(freshdesk.Streams, func(st connector.Stream) bool { return st.Name == "tickets" })]
	met := map[string]bool{}
	for position := s.Begin(st, connector.Last{}, true); ; {
		page, err := s.Page(t.Context(), st, position)
		if err != nil {
			t.Fatalf("after %d tickets: %v", len(met), err)
		}
		for _, r := range page.Records {
			if met[r.ID] {
				t.Errorf("ticket %s is read twice", r.ID)
			}
			met[r.ID] = true
		}
		if page.Last {
			break
		}
		position = page.Next
	}
	if len(met) != many {
		t.Errorf("%d tickets of %d are read", len(met), many)
	}
	if highest < 2 {
		t.Error("the bulk update did not take several pages")
	}
}
