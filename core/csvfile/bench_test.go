package csvfile_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"tenure/core/accounts"
	"tenure/core/csvfile"
	"tenure/core/metrics"
	"tenure/core/resource"
)

// largeFile writes a file of about 200 MB and returns it opened.
func largeFile(b *testing.B, encode func(io.Writer) io.Writer, header string, row func(i int) string) *os.File {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "large.csv"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := f.Close(); err != nil {
			b.Error(err)
		}
	})
	w := bufio.NewWriterSize(encode(f), 1<<20)
	_, _ = w.WriteString(header + "\r\n")
	const size = 200 << 20
	for i, written := 0, 0; written < size; i++ {
		n, err := w.WriteString(row(i) + "\r\n")
		if err != nil {
			b.Fatal(err)
		}
		if written += n; encode(io.Discard) != io.Discard {
			written += n / 8 // about what another encoding makes of it
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return f
}

// watch returns a function that stops watching the heap and returns its peak in
// MB above what it was.
func watch() func() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, peak := m.HeapInuse, m.HeapInuse
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse)
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-stopped
		return float64(peak-before) / (1 << 20)
	}
}

func BenchmarkLargeFile(b *testing.B) {
	plain := func(w io.Writer) io.Writer { return w }
	account := func(separator string) func(int) string {
		return func(i int) string {
			return strings.Join([]string{
				fmt.Sprintf("acct-%07d", i), fmt.Sprintf("Müller & Söhne %d", i), fmt.Sprint(i % 5000), "\"Software, \"\"cloud\"\"\"", "Gold",
				fmt.Sprintf("2024-03-%02dT10:00:00Z", i%28+1), "1 Main Street", "Springfield", "US", "555 0100", "", "csm@example.com", "mango", fmt.Sprintf("%d.5", i%100),
				"Contract", fmt.Sprintf("https://www.example.com/contracts/%d", i), "", "TRUE",
			}, separator)
		}
	}
	const accountColumns = "account_id,name,employees,industry,tier,join_date,billing_street,billing_city,billing_country,phone,source,assigned_csms[1].email," +
		"custom_label_dimensions.favorite fruit,custom_value_dimensions.seats,documents[1].name,documents[1].url,documents[1].description,is_churned"
	for _, c := range []struct {
		name   string
		family *resource.Family
		encode func(io.Writer) io.Writer
		header string
		row    func(int) string
	}{
		{"accounts/UTF-8", accounts.Family, plain, accountColumns, account(",")},
		{"accounts/Windows-1252", accounts.Family, func(w io.Writer) io.Writer { return charmap.Windows1252.NewEncoder().Writer(w) },
			strings.ReplaceAll(accountColumns, ",", ";"), account(";")},
		{"accounts/UTF-16", accounts.Family, func(w io.Writer) io.Writer {
			return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Writer(w)
		}, strings.ReplaceAll(accountColumns, ",", "\t"), account("\t")},
		{"metrics/UTF-8", metrics.Family, plain, "name,account_id,metrics[1].timestamp,metrics[1].value", func(i int) string {
			return fmt.Sprintf("logins,acct-%05d,%d,%d.25", i%50_000, 1_709_251_200_000+int64(i)*1000, i%977)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := largeFile(b, c.encode, c.header, c.row)
			info, err := f.Stat()
			if err != nil {
				b.Fatal(err)
			}
			begin := func() {
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					b.Fatal(err)
				}
			}
			begin()
			dialect, err := csvfile.Inspect(f, c.family, 0)
			if err != nil {
				b.Fatal(err)
			}
			run := func(name string, work func(b *testing.B) (rows int)) {
				b.Run(name, func(b *testing.B) {
					b.SetBytes(info.Size())
					peak := watch()
					rows := 0
					for b.Loop() {
						begin()
						rows += work(b)
					}
					b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
					b.ReportMetric(peak(), "peak-MB")
				})
			}
			run("inspect", func(b *testing.B) int {
				d, err := csvfile.Inspect(f, c.family, 0)
				if err != nil {
					b.Fatal(err)
				}
				return d.Rows
			})
			read := func(decode bool) func(b *testing.B) int {
				return func(b *testing.B) int {
					r, err := csvfile.NewReader(f, dialect, c.family, csvfile.Options{})
					if err != nil {
						b.Fatal(err)
					}
					for n := 0; ; n++ {
						row, err := r.Next()
						if err == io.EOF {
							return n
						}
						if err != nil || row.Failure != nil {
							b.Fatal(err, row.Failure)
						}
						if decode {
							if in := row.Input(c.family); in.Failure != nil {
								b.Fatal(in.Failure)
							}
						}
					}
				}
			}
			run("read", read(false))
			run("read and decode", read(true))
		})
	}
}
