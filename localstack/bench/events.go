package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tenure/core/access"
	"tenure/core/api"
	"tenure/core/table/embedded"
)

// bursts measures how fast usage events are taken and counted.
type bursts struct {
	events  int // in all
	batch   int // in a request
	senders int // at once
}

var burstRows = []row{
	{"events taken", "events/s"},
	{"request p50", "ms"},
	{"request p99", "ms"},
	{"events taken and counted", "events/s"},
	{"memory after a tenth", "MB"},
	{"memory at the end", "MB"},
	{"peak memory", "MB"},
	{"data on disk", "MB"},
}

// benchEvents measures usage events over HTTP, in a process of their own, and prints
// the figures of one run.
func benchEvents(ctx context.Context, binary string, b bursts, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tenure-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, err := eventsKey(ctx, dir)
	if err != nil {
		return err
	}
	s, err := startServer(binary, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	l, f := newLoad(s.url, key, 0), figures{}
	if err := b.accounts(ctx, l); err != nil {
		return err
	}
	var bodies [][]byte
	for from := 0; from < b.events; from += b.batch {
		bodies = append(bodies, b.body(from, min(from+b.batch, b.events)))
	}
	path = strings.TrimSuffix(s.url, api.BasePath) + path
	tenth := len(bodies) / 10
	started := time.Now()
	first, err := b.send(ctx, l.client, path, bodies[:tenth])
	if err != nil {
		return err
	}
	f["memory after a tenth"] = s.memory("VmRSS")
	rest, err := b.send(ctx, l.client, path, bodies[tenth:])
	if err != nil {
		return err
	}
	f["events taken"] = float64(b.events) / time.Since(started).Seconds()
	took := append(first, rest...)
	slices.Sort(took)
	f["request p50"], f["request p99"] = milliseconds(took[len(took)/2]), milliseconds(took[len(took)*99/100])
	for counted := 0; counted < b.events; time.Sleep(20 * time.Millisecond) {
		if counted, err = countedBy(ctx, l); err != nil {
			return err
		}
		if counted > b.events {
			return fmt.Errorf("%d events were counted of %d", counted, b.events)
		}
	}
	f["events taken and counted"] = float64(b.events) / time.Since(started).Seconds()
	f["memory at the end"], f["peak memory"] = s.memory("VmRSS"), s.memory("VmHWM")
	if f["data on disk"], err = diskMB(dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nembedded store, %d usage events in batches of %d from %d senders, every answer synced; one run\n\n", b.events, b.batch, b.senders)
	return print(out, burstRows, []figures{f})
}

// eventsKey makes a Usage Event key of the workspace of the load, in a data directory
// that no server has open, and returns the path where events are sent under it.
func eventsKey(ctx context.Context, dir string) (path string, err error) {
	store, err := embedded.Open(filepath.Join(dir, "table"), embedded.Options{})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	_, secret, err := access.New(store, nil).CreateKey(ctx, "bench", access.UsageEventAPI, "bench", "")
	return "/v1/" + secret.AuthKey + "/" + secret.APIKey, err
}

const (
	burstAccounts = 200
	burstUsers    = 2000
)

// accounts makes the accounts whose users send events.
func (b bursts) accounts(ctx context.Context, l *load) error {
	var records []any
	for i := range burstAccounts {
		records = append(records, account(i, 100))
	}
	body, err := json.Marshal(map[string]any{"records": records})
	if err != nil {
		return err
	}
	_, err = l.upload(ctx, "/accounts", [][]byte{body}, len(records), "inserted")
	return err
}

// send sends events, and returns how long the answers took.
func (b bursts) send(ctx context.Context, client *http.Client, url string, bodies [][]byte) ([]time.Duration, error) {
	took := make([]time.Duration, len(bodies))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(b.senders)
	for i, body := range bodies {
		group.Go(func() error {
			started := time.Now()
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
			if err != nil {
				return err
			}
			response, err := client.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			answer, err := io.ReadAll(response.Body)
			if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"failed":0,`))) {
				err = fmt.Errorf("status %d: %.300s", response.StatusCode, answer)
			}
			took[i] = time.Since(started)
			return err
		})
	}
	return took, group.Wait()
}

// body returns the events from one number to another, one a line. They are those of a
// day that is over.
func (b bursts) body(from, to int) []byte {
	var body bytes.Buffer
	midnight := time.Now().UTC().Truncate(24 * time.Hour).UnixMilli()
	for i := from; i < to; i++ {
		r := rand.New(rand.NewPCG(3, uint64(i)))
		user := r.IntN(burstUsers)
		fmt.Fprintf(&body, `{"action":%q,"account_id":%q,"user_id":"user-%d","session_id":"session-%d","created_at":%d,"module":"module-%d","feature":"feature-%d","time_spent":%d,"active_duration":%d}`+"\n",
			[]string{"sessionSync", "moduleEnd", "feature", "pageViewEnd"}[r.IntN(4)], accountID(user%burstAccounts), user, user, midnight-1-int64(i)*(86_400_000/int64(b.events)), r.IntN(8), r.IntN(20), r.IntN(60_000), r.IntN(60_000))
	}
	return body.Bytes()
}

// countedBy returns how many events the workspace of the load has counted.
func countedBy(ctx context.Context, l *load) (int, error) {
	raw, err := l.call(ctx, http.MethodGet, "/usage", nil, nil)
	if err != nil {
		return 0, err
	}
	var a struct {
		Totals struct {
			Events int `json:"events"`
		} `json:"totals"`
	}
	return a.Totals.Events, errors.Join(json.Unmarshal(raw, &a), err)
}
