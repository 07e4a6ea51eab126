// Command bench measures the main job on this machine and prints a table:
// what `make bench` runs. It starts the product as a process of its own on an
// empty data directory, several times over, and loads it over HTTP. So that
// the figures can be compared between machines, the same run measures two
// things the product cannot do without: a net/http server that does nothing,
// and a file that is appended to and synced. With -names it measures the matching
// of names instead, in a process of its own, so that its memory is known.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	binary := flag.String("server", "", "the product's binary")
	records := flag.Int("records", 50_000, "how many accounts")
	runs := flag.Int("runs", 3, "how many times; medians are printed; 0 leaves the main job out")
	grown := flag.Int("grown", 1_000_000, "how many accounts the list grows to; 0 leaves growth out")
	events := flag.Int("events", 300_000, "how many usage events; 0 leaves them out")
	names := flag.Int("names", 0, "how many names are matched with as many others, in place of all else")
	flag.Parse()
	if *names > 0 {
		if err := benchMatching(context.Background(), *names, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var err error
	if *runs > 0 {
		err = bench(context.Background(), *binary, *records, *runs, os.Stdout)
	}
	if err == nil && *events > 0 {
		err = benchEvents(context.Background(), *binary, bursts{events: *events, batch: 200, senders: 16}, os.Stdout)
	}
	if err == nil && *grown > 0 {
		err = benchGrowth(context.Background(), *binary, *grown, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// key is the API key of the server under test, which listens on loopback only.
const key = "bench-key-not-secret"

// figures are the measurements of one run, by the names of their rows.
type figures map[string]float64

// row is one line of a table.
type row struct{ name, unit string }

var rows = slices.Concat([]row{
	{"insert", "records/s"},
	{"re-post, all identical", "records/s"},
	{"upsert, one field changed", "records/s"},
	{"list all pages by name", "records/s"},
	{"first page", "ms"},
	{"last page", "ms"},
	{"get by id, 8 connections", "requests/s"},
	{"get p50", "ms"},
	{"get p99", "ms"},
	{"start to first answer", "ms"},
}, familyRows(), []row{
	{"peak memory", "MB"},
	{"10 MB upload", "records/s"},
	{"10 MB upload, memory growth", "MB"},
	{"data on disk", "MB"},
	{"net/http doing nothing, 8 connections", "requests/s"},
	{"append and sync, 1,000 records at a time", "records/s"},
})

// familyRows returns the rows of the other families' uploads.
func familyRows() []row {
	var all []row
	for _, f := range familyRecords {
		all = append(all, row{"insert " + f.path, "records/s"})
	}
	return all
}

func bench(ctx context.Context, binary string, records, runs int, out io.Writer) error {
	if binary == "" {
		return errors.New("-server is required")
	}
	var all []figures
	for range runs {
		f, err := benchOnce(ctx, binary, records)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	fmt.Fprintf(out, "embedded store, %d accounts of %d bytes, batches of %d, every answer synced; medians of %d runs\n\n", records, accountBytes(), batchSize, runs)
	return print(out, rows, all)
}

// print prints the medians of several runs, and their range.
func print(out io.Writer, rows []row, all []figures) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		var values []float64
		for _, f := range all {
			values = append(values, f[row.name])
		}
		slices.Sort(values)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s .. %s\t\n", row.name, number(values[len(values)/2]), row.unit, number(values[0]), number(values[len(values)-1]))
	}
	return w.Flush()
}

// benchGrowth measures, once, what must not grow with what is stored.
func benchGrowth(ctx context.Context, binary string, accounts int, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tenure-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := startServer(binary, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	g, f := growth{accounts: accounts, scores: 100_000, searched: []int{10_000, 100_000}}, figures{}
	if err := g.run(ctx, newLoad(s.url, key, 0), f); err != nil {
		return err
	}
	f["peak memory"] = s.memory("VmHWM")
	fmt.Fprintf(out, "\nembedded store, growth; medians of several requests in one run\n\n")
	return print(out, append(g.rows(), row{"peak memory", "MB"}), []figures{f})
}

func accountBytes() int {
	l := load{records: batchSize}
	bodies, err := l.bodies(1)
	if err != nil {
		return 0
	}
	return len(bodies[0]) / batchSize
}

func number(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func benchOnce(ctx context.Context, binary string, records int) (f figures, err error) {
	dir, err := os.MkdirTemp("", "tenure-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f = figures{}
	s, err := startServer(binary, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	l := newLoad(s.url, key, records)
	if err := l.run(ctx, f, func(string, int) {}); err != nil {
		return nil, err
	}
	f["peak memory"] = s.memory("VmHWM")
	if f["data on disk"], err = diskMB(dir); err != nil {
		return nil, err
	}
	if err := s.stop(); err != nil {
		return nil, err
	}

	// Memory growth is that of a server that has done nothing else.
	fresh := filepath.Join(dir, "fresh")
	if s, err = startServer(binary, fresh); err != nil {
		return nil, err
	}
	if _, err := newLoad(s.url, key, records).call(ctx, http.MethodGet, "/accounts", nil, nil); err != nil {
		return nil, err
	}
	before := s.memory("VmRSS")
	body, n, err := tenMegabytes()
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if _, err := newLoad(s.url, key, records).call(ctx, http.MethodPost, "/accounts", nil, body); err != nil {
		return nil, err
	}
	f["10 MB upload"] = float64(n) / time.Since(started).Seconds()
	f["10 MB upload, memory growth"] = s.memory("VmHWM") - before
	if err := s.stop(); err != nil {
		return nil, err
	}

	// A start is timed on the data of the load.
	started = time.Now()
	if s, err = startServer(binary, dir); err != nil {
		return nil, err
	}
	if _, err := newLoad(s.url, key, records).call(ctx, http.MethodGet, "/accounts/acct-00000000", nil, nil); err != nil {
		return nil, err
	}
	f["start to first answer"] = milliseconds(time.Since(started))
	if err := s.stop(); err != nil {
		return nil, err
	}
	return f, yardsticks(ctx, dir, f)
}

// run measures everything that needs nothing but the API. After each step it
// calls done with the row's name and how many records or requests it took.
func (l *load) run(ctx context.Context, f figures, done func(row string, n int)) error {
	first, err := l.bodies(100)
	if err != nil {
		return err
	}
	second, err := l.bodies(200)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		row, want string
		bodies    [][]byte
	}{
		{"insert", "inserted", first},
		{"re-post, all identical", "unchanged", first},
		{"upsert, one field changed", "changed", second},
	} {
		if f[step.row], err = l.upload(ctx, "/accounts", step.bodies, l.records, step.want); err != nil {
			return err
		}
		done(step.row, l.records)
	}
	rate, pages, err := l.list(ctx)
	if err != nil {
		return err
	}
	f["list all pages by name"] = rate
	done("list all pages by name", l.records)
	for row, page := range map[string]int{"first page": 0, "last page": len(pages) - 1} {
		d, err := l.page(ctx, page)
		if err != nil {
			return err
		}
		f[row] = milliseconds(d)
	}
	done("pages", 2)
	const gets = 10_000
	rate, latencies, err := l.gets(ctx, gets, 8)
	if err != nil {
		return err
	}
	done("get by id, 8 connections", gets)
	f["get by id, 8 connections"] = rate
	f["get p50"] = milliseconds(latencies[len(latencies)/2])
	f["get p99"] = milliseconds(latencies[len(latencies)*99/100])
	return l.families(ctx, l.records/5, f, done)
}

// yardsticks measures what the machine itself can do.
func yardsticks(ctx context.Context, dir string, f figures) error {
	idle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status_is_ok":true}`)
	}))
	defer idle.Close()
	rate, _, err := newLoad(idle.URL, key, 1000).gets(ctx, 20_000, 8)
	if err != nil {
		return err
	}
	f["net/http doing nothing, 8 connections"] = rate

	file, err := os.Create(filepath.Join(dir, "appended"))
	if err != nil {
		return err
	}
	defer file.Close()
	batch := bytes.Repeat([]byte{'x'}, batchSize*accountBytes())
	const batches = 50
	started := time.Now()
	for range batches {
		if _, err := file.Write(batch); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
	}
	f["append and sync, 1,000 records at a time"] = batches * batchSize / time.Since(started).Seconds()
	return nil
}

// server is the product in a process of its own.
type server struct {
	process *exec.Cmd
	url     string
	stopped bool
}

func startServer(binary, dir string) (*server, error) {
	s := &server{process: exec.Command(binary)}
	s.process.Env = append(os.Environ(), "PORT=0", "HOST=127.0.0.1", "DATA_DIR="+dir, "WORKSPACES=bench:"+key)
	s.process.Stderr = os.Stderr
	out, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, found := strings.CutPrefix(lines.Text(), "API_URL="); found {
			s.url = url
			return s, nil
		}
	}
	return nil, errors.Join(errors.New("the server ended before it was ready"), s.process.Wait())
}

func (s *server) stop() error {
	if s.stopped {
		return nil
	}
	s.stopped = true
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.process.Wait()
}

func (s *server) memory(name string) float64 { return memory(s.process.Process.Pid, name) }

// memory returns a figure of /proc/PID/status in MB; 0 where there is none.
func memory(pid int, name string) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, name+":"); found {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

func diskMB(dir string) (float64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return float64(total) / (1 << 20), err
}
