package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// load drives one server through the main job.
type load struct {
	base    string // the API's URL
	key     string
	records int
	client  *http.Client
}

const batchSize = 1000

func newLoad(base, key string, records int) *load {
	return &load{base: base, key: key, records: records, client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 16,
		// What is measured is the server, not how fast this side inflates.
		DisableCompression: true,
	}}}
}

// account is about 1.1 KB of JSON, as a CRM export has it.
func account(i int, employees int) map[string]any {
	r := rand.New(rand.NewPCG(1, uint64(i)))
	word := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			fmt.Fprintf(&b, "%s ", []string{"north", "river", "delta", "cobalt", "harbor", "signal", "meadow", "quartz"}[r.IntN(8)])
		}
		return b.String()[:n]
	}
	return map[string]any{
		"account_id": accountID(i), "name": fmt.Sprintf("%s %08d", word(20), r.IntN(100_000_000)),
		"join_date": 1_300_000_000_000 + r.Int64N(400_000_000_000), "crm_account_id": fmt.Sprintf("crm-%08d", i),
		"billing_account_id": fmt.Sprintf("bill-%08d", i), "support_account_id": fmt.Sprintf("sup-%08d", i),
		"billing_street": word(40), "billing_city": word(12), "billing_state": word(2), "billing_postal_code": "35010",
		"billing_country": "USA", "phone": "929.598.1610", "employees": employees, "industry": word(14),
		"tier": "Medium touch accounts", "csm_score": r.IntN(101), "sales_rep_name": word(18),
		"sales_rep_email": "rep@example.com", "source": "crm", "website": "https://example.com/" + word(30),
		"description": word(200), "latest_status_title": word(20), "latest_status_details": word(120),
		"custom_label_dimensions": []any{
			map[string]any{"key": "region", "value": word(8)}, map[string]any{"key": "segment", "value": word(8)},
		},
		"custom_value_dimensions": []any{
			map[string]any{"key": "seats", "value": r.IntN(1000)}, map[string]any{"key": "sites", "value": r.IntN(50)},
		},
	}
}

// bodies returns the upload bodies of all records.
func (l *load) bodies(employees int) ([][]byte, error) {
	var all [][]byte
	for start := 0; start < l.records; start += batchSize {
		var records []any
		for i := start; i < min(start+batchSize, l.records); i++ {
			records = append(records, account(i, employees))
		}
		body, err := json.Marshal(map[string]any{"records": records})
		if err != nil {
			return nil, err
		}
		all = append(all, body)
	}
	return all, nil
}

// call sends one request and returns the answer, which must be ok.
func (l *load) call(ctx context.Context, method, path string, query url.Values, body []byte) ([]byte, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("api_key", l.key)
	r, err := http.NewRequestWithContext(ctx, method, l.base+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := l.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(answer[:min(len(answer), 200)], []byte(`"status_is_ok":true`)) {
		return nil, fmt.Errorf("%s %s: %d %.300s", method, path, response.StatusCode, answer)
	}
	return answer, nil
}

// upload posts bodies of so many records together, one after the other as the
// API asks, and returns records a second. want is the count that all records must be reported under.
func (l *load) upload(ctx context.Context, path string, bodies [][]byte, records int, want string) (float64, error) {
	started := time.Now()
	for i, body := range bodies {
		answer, err := l.call(ctx, http.MethodPost, path, nil, body)
		if err != nil {
			return 0, err
		}
		n := min(batchSize, records-i*batchSize)
		if !bytes.Contains(answer, fmt.Appendf(nil, `"%s":%d,`, want, n)) {
			return 0, fmt.Errorf("batch %d: not all %d are %s: %.300s", i, n, want, answer)
		}
	}
	return float64(records) / time.Since(started).Seconds(), nil
}

// list reads all pages by name and returns records a second and how long each
// page took.
func (l *load) list(ctx context.Context) (float64, []time.Duration, error) {
	var pages []time.Duration
	started := time.Now()
	total := 0
	for page := 0; ; page++ {
		at := time.Now()
		answer, err := l.call(ctx, http.MethodGet, "/accounts", url.Values{
			"order_by": {"name"}, "direction": {"asc"}, "page": {fmt.Sprint(page)},
		}, nil)
		if err != nil {
			return 0, nil, err
		}
		pages = append(pages, time.Since(at))
		n := bytes.Count(answer, []byte(`"account_id":`))
		total += n
		if n < batchSize {
			break
		}
	}
	if total != l.records {
		return 0, nil, fmt.Errorf("the pages hold %d records of %d", total, l.records)
	}
	if l.records%batchSize == 0 {
		pages = pages[:len(pages)-1] // the empty one at the end
	}
	return float64(total) / time.Since(started).Seconds(), pages, nil
}

// page returns how long one page takes, the median of several readings.
func (l *load) page(ctx context.Context, page int) (time.Duration, error) {
	return median(9, func() error {
		_, err := l.call(ctx, http.MethodGet, "/accounts", url.Values{
			"order_by": {"name"}, "direction": {"asc"}, "page": {fmt.Sprint(page)},
		}, nil)
		return err
	})
}

// middle returns the median of times, which it sorts.
func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// gets reads n random accounts over several connections and returns requests a
// second and the latencies, sorted.
func (l *load) gets(ctx context.Context, n, connections int) (float64, []time.Duration, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	started := time.Now()
	for c := range connections {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(c)))
			mine := make([]time.Duration, 0, n/connections)
			for range n / connections {
				at := time.Now()
				_, err := l.call(ctx, http.MethodGet, "/accounts/"+accountID(r.IntN(l.records)), nil, nil)
				if err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(at))
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	rate := float64(len(all)) / time.Since(started).Seconds()
	slices.Sort(all)
	return rate, all, failed
}

// tenMegabytes returns an upload body just under the largest that is allowed.
func tenMegabytes() ([]byte, int, error) {
	const limit = 10 << 20
	body := []byte(`{"records":[`)
	n := 0
	for {
		record, err := json.Marshal(account(1_000_000+n, n))
		if err != nil {
			return nil, 0, err
		}
		if len(body)+len(record)+3 > limit {
			return append(body, "]}"...), n, nil
		}
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, record...)
		n++
	}
}
