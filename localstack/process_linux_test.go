package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() {
	endWithParent = func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
}

// memory returns a figure of the process's memory, in bytes: VmRSS is what it
// has now, VmHWM the most it ever had.
func (p *process) memory(figure string) int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	found := regexp.MustCompile(figure + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		p.t.Fatalf("no %s in\n%s", figure, status)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return n << 10
}

// repeated returns a body as long as may be: before, as many of the parts as
// fit, separated by commas, after.
func repeated(before string, part func(n int) string, after string) string {
	var b strings.Builder
	b.Grow(tenMB)
	b.WriteString(before)
	for n := 0; ; n++ {
		next := part(n)
		if b.Len()+1+len(next)+len(after) > tenMB {
			break
		}
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(next)
	}
	b.WriteString(after)
	return b.String()
}

// TestLargestBodies posts the largest body there may be, in every shape that
// could cost more than its length. None may cost the process more than 128 MB,
// or the client more than 20 seconds.
func TestLargestBodies(t *testing.T) {
	t.Parallel()
	const mostMemory, mostTime = 128 << 20, 20 * time.Second
	one := func(field string) string { return `{"records":[{"account_id":"a","name":"A","join_date":1,` + field }
	applied := func(n int) func(*testing.T, reply) {
		return func(t *testing.T, a reply) {
			if a.status != http.StatusOK || !a.OK || a.Inserted < n || a.Failed != 0 {
				t.Errorf("status %d: %.300s", a.status, a.raw)
			}
		}
	}
	failed := func(least int) func(*testing.T, reply) {
		return func(t *testing.T, a reply) {
			if a.status != http.StatusOK || a.OK || a.Failed < least {
				t.Errorf("status %d, %d failed: %.300s", a.status, a.Failed, a.raw)
			}
			// Each is listed by its position.
			last := fmt.Sprintf(`{"record":%d,`, a.Failed-1)
			if n := bytes.Count(a.raw, []byte(`{"record":`)); n != a.Failed || !bytes.Contains(a.raw, []byte(last)) {
				t.Errorf("%d records failed and %d are listed", a.Failed, n)
			}
		}
	}
	entries := make([]string, 100_000)
	for n := range entries {
		entries[n] = fmt.Sprintf(`{"date":%d,"nps_score":%d,"username":"user %d"}`, int64(n)*1000, n%101, n)
	}
	for _, shape := range []struct {
		name   string
		body   string
		gzip   bool
		answer func(*testing.T, reply)
	}{
		{"accounts of 1 KB", repeated(`{"records":[`, func(n int) string {
			return fmt.Sprintf(`{"account_id":"account-%d","name":"Account %d","join_date":%d,"description":%q,"billing_street":%q,"website":"https://example.com/%d"}`,
				n, n, n, strings.Repeat("d", 512), strings.Repeat("s", 256), n)
		}, `]}`), false, applied(9000)},
		{"accounts of 9 KB", repeated(`{"records":[`, func(n int) string {
			return fmt.Sprintf(`{"account_id":"account-%d","name":"Account %d","join_date":%d,"latest_status_details":%q,"description":%q}`,
				n, n, n, strings.Repeat("d", 8192), strings.Repeat("s", 512))
		}, `]}`), false, applied(1000)},
		{"an account with many dimensions", repeated(one(`"custom_value_dimensions":[`), func(n int) string {
			return fmt.Sprintf(`{"key":"%d","value":%d}`, n, n)
		}, `]}]}`), false, applied(1)},
		{"an account with one dimension many times", repeated(one(`"custom_value_dimensions":[`), func(n int) string {
			return fmt.Sprintf(`{"key":"k","value":%d}`, n)
		}, `]}]}`), false, applied(1)},
		{"an account with many entries", one(`"nps_history":[`) + strings.Join(entries, ",") + `]}]}`, false, applied(1)},
		{"one account many times", repeated(`{"records":[`, func(n int) string {
			return fmt.Sprintf(`{"account_id":"a","name":"A","join_date":%d}`, n)
		}, `]}`), false, applied(1)},
		{"failing records", repeated(`{"records":[`, func(n int) string {
			return fmt.Sprintf(`{"account_id":"account-%d","name":"Account %d","join_date":"never","description":%q}`, n, n, strings.Repeat("d", 900))
		}, `]}`), false, failed(9000)},
		{"short failing records", repeated(`{"records":[`, func(n int) string {
			return fmt.Sprintf(`{"account_id":"account-%d"}`, n)
		}, `]}`), false, failed(300_000)},
		{"nothing but brackets", strings.Repeat("[", tenMB), false, func(t *testing.T, a reply) {
			if a.status != http.StatusOK || a.OK {
				t.Errorf("status %d: %.300s", a.status, a.raw)
			}
		}},
		{"a field that is nested deeply", one(`"unknown":`) + strings.Repeat("[", tenMB/2-100) + strings.Repeat("]", tenMB/2-100) + `}]}`, false,
			func(t *testing.T, a reply) {
				if a.status != http.StatusOK {
					t.Errorf("status %d: %.300s", a.status, a.raw)
				}
			}},
		{"a gzip bomb", bomb(), true, func(t *testing.T, a reply) {
			if a.status != http.StatusRequestEntityTooLarge || a.OK {
				t.Errorf("status %d: %.300s", a.status, a.raw)
			}
		}},
	} {
		t.Run(shape.name, func(t *testing.T) {
			p := start(t, "DATA_DIR="+t.TempDir())
			// What the first request of a process brings with it is not the body's.
			p.done(testKey, http.MethodPost, "/accounts", records(account("first")))
			before, began := p.memory("VmRSS"), time.Now()
			header := []string{"Accept-Encoding", "identity"} // as the answer is, so that reading it costs little
			if shape.gzip {
				header = append(header, "Content-Encoding", "gzip")
			}
			a, err := p.send(t.Context(), testKey, http.MethodPost, "/accounts", []byte(shape.body), header...)
			if err != nil {
				t.Fatal(err)
			}
			took, grown := time.Since(began), p.memory("VmHWM")-before
			t.Logf("%d bytes, answer of %d: %v, %d MB more", len(shape.body), len(a.raw), took.Round(time.Millisecond), grown>>20)
			shape.answer(t, a)
			if grown >= mostMemory {
				t.Errorf("the process grew by %d MB, from %d MB", grown>>20, before>>20)
			}
			if took >= mostTime {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// bomb returns 10 MB of gzip that inflate to 10 GB.
func bomb() string {
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	zeros := make([]byte, 1<<20)
	for range 100 {
		_, _ = w.Write(zeros) // to memory
	}
	_ = w.Close()
	return strings.Repeat(member.String(), tenMB/member.Len())
}
