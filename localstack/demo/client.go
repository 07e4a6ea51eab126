package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// client uses the Account API of a running product.
type client struct {
	base   string // http://host:port/api/v2
	key    string
	origin string // where the key is from, in words
	http   *http.Client
}

// outcome is what the answer to an upload says.
type outcome struct {
	Inserted  int `json:"inserted"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
}

func (o *outcome) add(other outcome) {
	o.Inserted += other.Inserted
	o.Changed += other.Changed
	o.Unchanged += other.Unchanged
}

func (o outcome) total() int { return o.Inserted + o.Changed + o.Unchanged }

func (o outcome) String() string {
	return fmt.Sprintf("%d inserted, %d changed, %d unchanged", o.Inserted, o.Changed, o.Unchanged)
}

// busy is how long uploads of others under the same key are waited for.
const busy = 2 * time.Minute

// errStatus is the error of an answer with status_is_ok false.
var errStatus = errors.New("the product refused the request")

// call sends a request and reads its answer into answer. body is sent
// compressed; nil for none.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body []byte, answer any) error {
	for deadline := time.Now().Add(busy); ; {
		status, wait, raw, err := c.send(ctx, method, path, query, body)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return fmt.Errorf("nothing answers at %s: start the product with `make run`, and leave it running", c.base)
		case err != nil:
			return err
		case status == http.StatusTooManyRequests && time.Now().Add(wait).Before(deadline):
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
				continue
			}
		}
		var said struct {
			OK      *bool  `json:"status_is_ok"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(raw, &said); err != nil || said.OK == nil {
			return fmt.Errorf("what answers at %s is not the product (status %d): is PORT right?", c.base, status)
		}
		switch {
		case status == http.StatusUnauthorized:
			return fmt.Errorf("the product at %s does not take the key from %s: is it running with the same WORKSPACES and DATA_DIR?", c.base, c.origin)
		case status != http.StatusOK:
			return fmt.Errorf("%s %s: status %d: %s", method, path, status, said.Message)
		}
		if err := json.Unmarshal(raw, answer); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		if !*said.OK {
			return fmt.Errorf("%w: %s %s: %s", errStatus, method, path, said.Message)
		}
		return nil
	}
}

func (c *client) send(ctx context.Context, method, path string, query url.Values, body []byte) (status int, wait time.Duration, raw []byte, err error) {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, 0, nil, err
	}
	r.SetBasicAuth("api", c.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Encoding", "gzip")
	}
	response, err := c.http.Do(r)
	if err != nil {
		return 0, 0, nil, err
	}
	defer response.Body.Close()
	wait = time.Second
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		wait = time.Duration(seconds) * time.Second
	}
	raw, err = io.ReadAll(response.Body)
	return response.StatusCode, wait, raw, err
}

// A batch ends at whichever is reached first. The API takes 10 MB; less at a
// time lets the progress be seen.
const (
	batchRecords = 1000
	batchBytes   = 4 << 20
)

// upload posts records in batches, and calls done after each.
func (c *client) upload(ctx context.Context, f family, done func(records int)) (outcome, error) {
	var all outcome
	encoded := make([]json.RawMessage, len(f.records))
	for i, r := range f.records {
		b, err := json.Marshal(r)
		if err != nil {
			return all, fmt.Errorf("%s: record %d: %w", f.path, i, err)
		}
		encoded[i] = b
	}
	for start := 0; start < len(encoded); {
		end, size := start, 0
		for end < len(encoded) && end-start < batchRecords && (end == start || size+len(encoded[end]) <= batchBytes) {
			size += len(encoded[end])
			end++
		}
		one, err := c.post(ctx, f, start, encoded[start:end])
		if err != nil {
			return all, err
		}
		all.add(one)
		done(end - start)
		start = end
	}
	return all, nil
}

// post uploads one batch, the first record of which is the one at start. A
// record that is not applied is an error: all of them ought to be.
func (c *client) post(ctx context.Context, f family, start int, records []json.RawMessage) (outcome, error) {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	// Writing into memory cannot fail; what can is in the records.
	err := json.NewEncoder(z).Encode(map[string]any{"records": records,
		"options": map[string]any{"ignore_missing_accounts": false, "reject_unknown_fields": true}})
	if err = errors.Join(err, z.Close()); err != nil {
		return outcome{}, err
	}
	var answer struct {
		outcome
		Failed []struct {
			Record  int    `json:"record"`
			Message string `json:"message"`
		} `json:"failed_results"`
	}
	err = c.call(ctx, http.MethodPost, "/"+f.path, nil, body.Bytes(), &answer)
	if (err == nil || errors.Is(err, errStatus)) && len(answer.Failed) > 0 {
		first := answer.Failed[0]
		return outcome{}, fmt.Errorf("%s: %d records failed, which none should; the first is record %d: %s\n%s",
			f.path, len(answer.Failed), start+first.Record, first.Message, records[first.Record])
	}
	return answer.outcome, err
}

// list reads all pages of a list and calls each with every result.
func list[T any](ctx context.Context, c *client, path string, query url.Values, each func(T)) error {
	for page := 0; ; page++ {
		query.Set("page", strconv.Itoa(page))
		var answer struct {
			Results  []T `json:"results"`
			PageSize int `json:"max_page_size"`
		}
		if err := c.call(ctx, http.MethodGet, path, query, nil, &answer); err != nil {
			return err
		}
		for _, r := range answer.Results {
			each(r)
		}
		if len(answer.Results) < max(answer.PageSize, 1) {
			return nil
		}
	}
}
