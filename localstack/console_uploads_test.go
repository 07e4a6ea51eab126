package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tenure/localstack/browser"
)

// fileOf returns the path of a file with a content.
func fileOf(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// newCompanies is a file as a spreadsheet would have it: two of its rows cannot be
// applied.
const newCompanies = "account_id;name;join_date;employees;custom_label_dimensions.plan\r\n" +
	"acme;Acme Ltd;2024-01-31;120;gold\r\n" +
	"globex;;2024-02-01;40;silver\r\n" +
	"initech;Initech;2024-02-30;7;silver\r\n" +
	"umbrella;\"Umbrella; Corporation\r\nof Raccoon City\";2024-03-01;9000;gold\r\n"

func TestConsoleUploads(t *testing.T) {
	t.Parallel()
	p, ann := admin(t)
	ann.Visit("/admin/uploads")
	ann.Inspect("uploads-empty")

	ann.Choose("API", "Accounts")
	ann.Press("Continue")
	ann.See("Send the file", "account_id")
	ann.Inspect("upload-awaiting")
	template := ann.Download(func() { ann.Follow("accounts.csv") })
	if template.Name != "accounts.csv" || !strings.HasPrefix(string(template.Content), "\ufeffaccount_id,name,") {
		t.Errorf("the template is %s: %.100s", template.Name, template.Content)
	}
	ann.Attach("CSV file, up to 200 MB", fileOf(t, "new companies.csv", newCompanies))
	ann.See("new companies.csv, 0.0 MB")
	ann.Press("Send and check")
	ann.See("2 of 4 rows can be applied, 2 cannot.", "Missing required field for insert: 'name'", "Would be added")
	ann.Inspect("upload-checked")
	c := p.client
	if c.exists(testKey, "acme") {
		t.Error("the check has written something")
	}
	ann.Press("Apply 2 rows")
	ann.See("2 of 4 rows applied, 2 rejected.")
	ann.Inspect("upload-done")
	if !c.exists(testKey, "acme") || !c.exists(testKey, "umbrella") || c.exists(testKey, "globex") {
		t.Error("not the rows that should be are applied")
	}

	// The rejected rows, mended as in a spreadsheet, go in.
	rejected := ann.Download(func() { ann.Follow("Download the rejected rows") })
	mended := strings.NewReplacer("globex;;", "globex;Globex;", "2024-02-30", "2024-02-29").Replace(string(rejected.Content))
	if mended == string(rejected.Content) {
		t.Fatalf("the rejected rows are %s", rejected.Content)
	}
	ann.Follow("Upload another file")
	ann.Press("Continue")
	ann.Attach("CSV file, up to 200 MB", fileOf(t, "mended.csv", mended))
	ann.Press("Send and check")
	ann.See("2 rows, and all can be applied.")
	ann.Press("Apply 2 rows")
	ann.See("2 of 2 rows applied.")
	if !c.exists(testKey, "globex") || !c.exists(testKey, "initech") {
		t.Error("the mended rows are not there")
	}

	// What is no CSV file is said to be none.
	ann.Follow("Upload another file")
	ann.Press("Continue")
	ann.Attach("CSV file, up to 200 MB", fileOf(t, "book.csv", "PK\x03\x04\x14\x00"))
	ann.Press("Send and check")
	ann.See("This is not a CSV file", "xlsx")
	ann.Inspect("upload-failed")
	ann.Visit("/admin/uploads")
	ann.See("new companies.csv", "mended.csv", "book.csv", "Failed")
	ann.Inspect("uploads")
	ann.Visit("/admin/status")
	ann.See("POST /accounts")
}

func TestConsoleUploadsWithoutJavaScript(t *testing.T) {
	t.Parallel()
	p, ann := admin(t, browser.WithoutScript)
	ann.Visit("/admin/uploads")
	ann.Press("Continue")
	ann.Allow(http.StatusUnprocessableEntity)
	ann.Attach("CSV file, up to 200 MB", fileOf(t, "new companies.csv", newCompanies))
	ann.Press("Send and check")
	ann.VisitUntil(ann.Path(), "2 of 4 rows can be applied")
	ann.Inspect("upload-checked")
	ann.Press("Apply 2 rows")
	ann.VisitUntil(ann.Path(), "2 of 4 rows applied")
	if !p.client.exists(testKey, "acme") {
		t.Error("it is not applied")
	}
}

// TestConsoleUploadsALargeFile sends a file of which the progress can be seen, and
// stops while it is applied.
func TestConsoleUploadsALargeFile(t *testing.T) {
	t.Parallel()
	_, ann := admin(t)
	var text strings.Builder
	text.WriteString("account_id,name,join_date\n")
	for i := range 60_000 {
		fmt.Fprintf(&text, "account-%d,Company number %d,2024-01-01\n", i, i)
	}
	ann.Visit("/admin/uploads")
	ann.Press("Continue")
	ann.Attach("CSV file, up to 200 MB", fileOf(t, "large.csv", text.String()))
	ann.Press("Send and check")
	ann.See("60,000 rows, and all can be applied.")
	ann.Press("Apply 60,000 rows")
	ann.See("60,000 of 60,000 rows applied.")
}
