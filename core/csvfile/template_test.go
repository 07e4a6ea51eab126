package csvfile_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenure/core/catalog"
	"tenure/core/csvfile"
	"tenure/core/resource"
	"tenure/core/resource/resourcetest"
	"tenure/core/table/embedded"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTemplatesStayAsTheyWere(t *testing.T) {
	for _, f := range catalog.All() {
		got := csvfile.Template(f, ',')
		golden := filepath.Join("testdata", f.Schema.Name+".csv")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", f.Schema.Name, got, want)
		}
	}
}

// inspect finds out the dialect of a file that must be acceptable.
func inspect(t resourcetest.Failer, f *resource.Family, file []byte) *csvfile.Dialect {
	t.Helper()
	d, err := csvfile.Inspect(bytes.NewReader(file), f, 0)
	if err != nil {
		t.Fatalf("%s: %v\n%q", f.Schema.Name, err, file[:min(len(file), 2000)])
	}
	return d
}

// readAll inspects a file, which must be acceptable, and reads all of its rows.
func readAll(t resourcetest.Failer, f *resource.Family, file []byte) (*csvfile.Dialect, []*csvfile.Row) {
	t.Helper()
	d := inspect(t, f, file)
	r, err := csvfile.NewReader(bytes.NewReader(file), d, f, csvfile.Options{})
	if err != nil {
		t.Fatalf("%s: %v", f.Schema.Name, err)
	}
	var rows []*csvfile.Row
	for {
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Schema.Name, err)
		}
		rows = append(rows, row)
	}
	if len(rows) != d.Rows || r.Bytes() != d.Bytes || d.Bytes != int64(len(file)) {
		t.Fatalf("%d of %d rows read in %d of %d bytes, of %d", len(rows), d.Rows, r.Bytes(), d.Bytes, len(file))
	}
	return d, rows
}

// uncommented is the template with its example row made an ordinary one.
func uncommented(f *resource.Family, separator rune) []byte {
	lines := strings.SplitAfter(string(csvfile.Template(f, separator)), "\r\n")
	lines[3] = strings.TrimPrefix(strings.TrimPrefix(lines[3], `"# "`), "# ")
	return []byte(strings.Join(lines, ""))
}

func TestTheExampleOfEveryTemplateCanBeUploaded(t *testing.T) {
	clock := resourcetest.NewClock(1_790_000_000_000)
	store, err := embedded.Open(t.TempDir(), embedded.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	e := resource.New(resource.Config{Table: store, Root: catalog.Root, Now: clock.Now})
	for _, separator := range ",;\t|" {
		for _, f := range catalog.All() {
			_, rows := readAll(t, f, uncommented(f, separator))
			if len(rows) != 1 || rows[0].Failure != nil || rows[0].Number != 1 || rows[0].Line != 4 {
				t.Fatalf("%s: %d rows, %+v", f.Schema.Name, len(rows), rows[0])
			}
			result, err := e.Upload(t.Context(), resource.Upload{
				Workspace: "acme", Family: f,
				Records: func(yield func(func() resource.Input) bool) {
					for _, row := range rows {
						if !yield(func() resource.Input { return row.Input(f) }) {
							return
						}
					}
				},
			})
			if err != nil || result.Applied() != 1 {
				t.Errorf("%s: %+v, %v\n%s", f.Schema.Name, result, err, rows[0].Record)
			}
			if separator != ',' && f.Schema.Name != "subscriptions" && result.Inserted > 0 {
				t.Errorf("%s: the example in another dialect is another record", f.Schema.Name)
			}
		}
	}
}

func TestTheTemplateAsItIsHoldsNoRows(t *testing.T) {
	for _, f := range catalog.All() {
		_, err := csvfile.Inspect(bytes.NewReader(csvfile.Template(f, ',')), f, 0)
		if err == nil || !strings.Contains(err.Error(), "comments") {
			t.Errorf("%s: %v", f.Schema.Name, err)
		}
	}
}

func TestColumnsSayWhatADeclarationSays(t *testing.T) {
	for _, f := range catalog.All() {
		header := ""
		for _, c := range csvfile.Columns(f) {
			header += c.Name + ","
			if c.Type == "" || c.Doc == "" {
				t.Errorf("%s: column %+v is not described", f.Schema.Name, c)
			}
		}
		first, _, _ := strings.Cut(string(csvfile.Template(f, ',')), "\r\n")
		if first != "\ufeff"+strings.TrimSuffix(header, ",") {
			t.Errorf("%s: the template begins with %q, its columns are %q", f.Schema.Name, first, header)
		}
	}
}
