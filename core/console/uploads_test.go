package console_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tenure/core/files"
	"tenure/core/identity"
	"tenure/core/uploads"
)

// begun makes an upload by the form of the page, and returns its path.
func (b *browser) begun(form url.Values) string {
	b.w.Helper()
	a := b.post("/uploads", form)
	path, ok := strings.CutPrefix(a.header.Get("Location"), "./")
	if a.status != http.StatusSeeOther || !ok {
		b.w.Fatalf("%d %q %s", a.status, a.header.Get("Location"), a.body)
	}
	return "/" + path
}

// work does the work on an upload.
func (w *world) work(path string) {
	w.Helper()
	for more := true; more; {
		var err error
		if more, err = w.uploads.Run(w.Context(), "acme", strings.TrimPrefix(path, "/uploads/")); err != nil {
			w.Fatal(err)
		}
	}
}

// shows reports whether a page has all texts, whatever white space is between words.
func (a answer) shows(t *testing.T, texts ...string) {
	t.Helper()
	page := strings.Join(strings.Fields(a.body), " ")
	for _, text := range texts {
		if a.status >= 300 || !strings.Contains(page, text) {
			t.Errorf("%d; there is no %q in %s", a.status, text, page)
		}
	}
}

const twoAccounts = "account_id,name,join_date\na,A,2024-01-01\nb,,2024-01-01\n"

func TestAFileIsUploadedWithoutJavaScript(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	path := b.begun(url.Values{"family": {"accounts"}, "ignore_missing_accounts": {"1"}, "overwrite_csm_assignments": {"1"}})
	b.get(path).shows(t, "Send the file", `action="../uploads/`+path[9:]+`/file"`, "<code>account_id</code>", "templates/accounts.csv", "Awaits its file")

	if a := b.postFile(path+"/file", "", "", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "Choose a file") {
		t.Errorf("no file: %d %s", a.status, a.body)
	}
	if a := b.post(path+"/check", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "has not arrived") {
		t.Errorf("checked without a file: %d %s", a.status, a.body)
	}
	if a := b.postFile(path+"/file", "<b>.csv", twoAccounts, nil); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	page := b.get(path)
	page.shows(t, "The file is being checked", "&lt;b&gt;.csv", `http-equiv="refresh"`, `hx-get="../uploads/`+path[9:]+`"`)
	if a := b.send(http.MethodGet, path, nil, http.Header{"HX-Request": {"true"}}); strings.Contains(a.body, "<html") || !strings.Contains(a.body, `id="upload"`) {
		t.Errorf("a part of the page: %s", a.body)
	}
	w.work(path)
	page = b.get(path)
	page.shows(t, "Nothing has been changed yet. 1 of 2 rows can be applied, 1 cannot.", "Apply 1 row", "Missing required field for insert",
		"UTF-8", "overwrite_csm_assignments", "are left out")
	if strings.Contains(page.body, "hx-get") || strings.Contains(page.body, "refresh") {
		t.Error("it goes on asking")
	}
	if a := b.post(path+"/apply", nil); a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.get(path).shows(t, "waits until another one", "Stop")
	w.work(path)
	b.get(path).shows(t, "1 of 2 rows applied, 1 rejected.", "Added", "Upload another file")
	file := b.get(path + "/rejected.csv")
	if disposition := file.header.Get("Content-Disposition"); !strings.Contains(disposition, "attachment") || !strings.Contains(disposition, "rejected-") {
		t.Errorf("%v", file.header)
	}
	file.shows(t, "b,,2024-01-01,2,Missing required field for insert: 'name',missing_field,name")
	b.get("/uploads").shows(t, "&lt;b&gt;.csv", "Applied", "ann@example.com")
	var seen struct{ Upload struct{ uploads.Upload } }
	b.json(path).data(t, &seen)
	if seen.Upload.State != uploads.Done || seen.Upload.Apply.Inserted != 1 || seen.Upload.Apply.Failed != 1 {
		t.Errorf("%+v", seen)
	}
	if a := b.post(path+"/apply", nil); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "cannot be applied") {
		t.Errorf("applied twice: %d %s", a.status, a.body)
	}
}

func TestAProgramUploadsAFile(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	path := b.begun(url.Values{"family": {"accounts"}})
	var page struct {
		Send struct {
			Action string
			Fields []files.Field
			Direct bool
		}
	}
	b.json(path).data(t, &page)
	if page.Send.Direct || len(page.Send.Fields) != 1 || page.Send.Fields[0].Value != b.token {
		t.Errorf("%+v", page)
	}
	a := b.postFile(path+"/file", "a.csv", twoAccounts, wantJSON)
	var sent uploads.Upload
	a.data(t, &sent)
	if a.status != http.StatusOK || sent.State != uploads.Checking || sent.FileName != "a.csv" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.postFile(path+"/file", "a.csv", twoAccounts, wantJSON); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `"field":"state"`) {
		t.Errorf("sent twice: %d %s", a.status, a.body)
	}
	if a := b.send(http.MethodPost, path+"/file", strings.NewReader("x"), http.Header{"Content-Type": {"text/csv"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("not a form: %d %s", a.status, a.body)
	}
}

func TestAFileThatCannotBeUsedIsSaidToBe(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	path := b.begun(url.Values{"family": {"notes"}})
	b.postFile(path+"/file", "book.csv", "PK\x03\x04", nil)
	w.work(path)
	b.get(path).shows(t, "Failed", "This is not a CSV file")
	if a := b.post("/uploads", url.Values{"family": {"<x>"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "must be one of") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.get(path + "/rejected.csv"); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAViewerSeesUploadsAndNoForms(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	viewer := w.as("acme", "ben@example.com", identity.Viewer)
	path := b.begun(url.Values{"family": {"accounts"}})
	for _, page := range []string{"/uploads", path} {
		if a := viewer.get(page); a.status != http.StatusOK || strings.Contains(a.body, `action="../uploads`) || strings.Contains(a.body, `action="./uploads"`) {
			t.Errorf("%s: %d %s", page, a.status, a.body)
		}
	}
	var seen struct{ Send any }
	viewer.json(path).data(t, &seen)
	if seen.Send != nil {
		t.Errorf("%+v", seen)
	}
}

func TestFilesAreSentStraightToTheBucketWhereThereIsOne(t *testing.T) {
	w := newWorld(t)
	w.uploads.Direct = func(_ context.Context, name string, limit int64) (*files.Form, error) {
		return &files.Form{Action: "https://bucket.example/?x=1&y=2", Fields: []files.Field{{Name: "key", Value: name}, {Name: "policy", Value: "p"}}}, nil
	}
	b := w.as("acme", "ann@example.com", identity.Admin)
	path := b.begun(url.Values{"family": {"accounts"}})
	a := b.get(path)
	a.shows(t, `action="https://bucket.example/?x=1&amp;y=2"`, `name="key" value="acme/uploads/`+path[9:]+`/source/file.csv"`, "The file is sent: check it")
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' https://bucket.example;") ||
		!strings.Contains(policy, "form-action 'self' https://bucket.example;") || strings.Count(policy, "bucket") != 2 {
		t.Errorf("policy %q", policy)
	}
	if form, _, _ := strings.Cut(a.body[strings.Index(a.body, `id="send-form"`):], "</form>"); strings.Contains(form, "form_token\"") {
		t.Errorf("the form token goes to the bucket: %s", form)
	}
	if policy := b.get("/uploads").header.Get("Content-Security-Policy"); strings.Contains(policy, "bucket") {
		t.Errorf("policy of another page %q", policy)
	}
	if err := w.uploads.Receive(t.Context(), "acme", path[9:], strings.NewReader(twoAccounts)); err != nil { // as the bucket does
		t.Fatal(err)
	}
	if a := b.post(path+"/check", url.Values{"file_name": {"b.csv"}}); a.status != http.StatusSeeOther {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.get(path).shows(t, "b.csv", "being checked")
}

func TestTemplatesCanBeTakenBack(t *testing.T) {
	w := newWorld(t)
	b := w.as("acme", "ann@example.com", identity.Admin)
	for query, begins := range map[string]string{"": "\ufeffaccount_id,name,", "?separator=semicolon": "\ufeffaccount_id;name;"} {
		if a := b.get("/uploads/templates/accounts.csv" + query); a.status != http.StatusOK || !strings.HasPrefix(a.body, begins) ||
			a.header.Get("Content-Disposition") != "attachment; filename=accounts.csv" {
			t.Errorf("%q: %d %v %.100s", query, a.status, a.header, a.body)
		}
	}
	if a := b.get("/uploads/templates/search.csv"); a.status != http.StatusNotFound {
		t.Errorf("%d", a.status)
	}
}
