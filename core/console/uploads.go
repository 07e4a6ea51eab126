package console

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tenure/core"
	"tenure/core/catalog"
	"tenure/core/csvfile"
	"tenure/core/files"
	"tenure/core/identity"
	"tenure/core/uploads"
)

const (
	// uploadsAtOnce is how many uploads a page lists.
	uploadsAtOnce = 50
	// standstill is how long nothing happens to an upload that is at work before
	// somebody is asked to have it gone on with: longer than any call that works on
	// it is left alone.
	standstill = 17 * time.Minute
)

// uploadsData is what the page of uploads shows.
type uploadsData struct {
	// APIs are those that take uploads.
	APIs []uploadAPI `json:"apis"`
	// Uploads are the latest, or those before the one that was asked for.
	Uploads []*upload `json:"uploads"`
	// Before, if set, leads to those that come after the last.
	Before string `json:"before,omitempty"`
}

// uploadAPI is an API that takes uploads.
type uploadAPI struct {
	Name    string   `json:"name"`
	Options []string `json:"options,omitempty"`
}

// Title returns what people call its records.
func (a uploadAPI) Title() string { return apiTitle(a.Name) }

func apiTitle(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
}

// optionWords say what options of families mean.
var optionWords = map[string]string{
	"overwrite_csm_assignments": "Replace the managers assigned before (accounts)",
}

// OptionWords returns what an option means.
func (a uploadAPI) OptionWords(name string) string {
	if words := optionWords[name]; words != "" {
		return words
	}
	return name
}

// upload is an upload as a page shows it.
type upload struct {
	uploads.Upload
	// Stalled says that it is at work, and nothing has happened for long.
	Stalled bool `json:"stalled,omitempty"`
}

// API returns what people call the records of the file.
func (u *upload) API() string { return apiTitle(u.Family) }

// stateWords are the states as people read them, and how they are marked.
var stateWords = map[uploads.State]struct{ words, mark string }{
	uploads.Awaiting:  {"Awaits its file", "warn"},
	uploads.Checking:  {"Being checked", ""},
	uploads.Checked:   {"Checked, not applied", "warn"},
	uploads.Queued:    {"Waits its turn", ""},
	uploads.Applying:  {"Being applied", ""},
	uploads.Done:      {"Applied", "good"},
	uploads.Failed:    {"Failed", "bad"},
	uploads.Cancelled: {"Cancelled", "bad"},
}

// StateWords returns the state as people read it.
func (u *upload) StateWords() string {
	if u.Stopping {
		return "Stops after this batch"
	}
	return stateWords[u.State].words
}

// Mark returns the class of the state's tag, and its icon.
func (u *upload) Mark() string { return stateWords[u.State].mark }

// Icon returns the icon of the state's tag.
func (u *upload) Icon() string {
	if mark := u.Mark(); mark != "" {
		return mark
	}
	return "wait"
}

// Applied reports whether Outcome is of what was done, rather than would be.
func (u *upload) Applied() bool { return u.Apply.Began != 0 }

// Refused returns why a file that was checked cannot be applied; empty if it can.
func (u *upload) Refused() string {
	if f := u.Refusal(); u.State == uploads.Checked && f != nil {
		return f.Message
	}
	return ""
}

// MB returns the size of the file in words.
func (u *upload) MB() string {
	switch {
	case u.Size >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(u.Size)/(1<<20))
	case u.Size >= 1<<10:
		return fmt.Sprintf("%.1f KB", float64(u.Size)/(1<<10))
	}
	return number(u.Size) + " bytes"
}

func (s *server) shownUpload(u uploads.Upload) *upload {
	return &upload{u, u.State.Running() && s.Now().UnixMilli()-u.Updated > standstill.Milliseconds()}
}

func uploadsPage(s *server, r *request) (view, error) {
	data := uploadsData{Uploads: []*upload{}}
	for _, f := range catalog.All() {
		data.APIs = append(data.APIs, uploadAPI{f.Schema.Name, f.Options})
	}
	list, err := s.Uploads.List(r.Context(), r.workspace(), r.URL.Query().Get("before"), uploadsAtOnce+1)
	if len(list) > uploadsAtOnce {
		list = list[:uploadsAtOnce]
		data.Before = list[uploadsAtOnce-1].ID
	}
	for _, u := range list {
		data.Uploads = append(data.Uploads, s.shownUpload(u))
	}
	return view{template: "uploads", title: "CSV upload", data: data}, err
}

func createUpload(s *server, r *request) (view, error) {
	family := r.form.Get("family")
	o := uploads.Options{IgnoreMissingAccounts: r.form.Get("ignore_missing_accounts") != ""}
	if f := s.Uploads.FamilyNamed(family); f != nil {
		for _, name := range f.Options {
			if r.form.Get(name) != "" {
				o.Family = append(o.Family, name)
			}
		}
	}
	u, err := s.Uploads.Create(r.Context(), r.workspace(), r.email(), family, o)
	if err != nil {
		return view{}, err
	}
	r.audit("upload.begun", apiTitle(family))
	return view{to: "uploads/" + u.ID, data: s.shownUpload(u)}, nil
}

// uploadData is what the page of one upload shows.
type uploadData struct {
	Upload *upload `json:"upload"`
	// Columns are those that the file may have; Send is how it is sent. Both are there
	// while it is awaited, the latter for who may send it.
	Columns []csvfile.Column `json:"columns,omitempty"`
	Send    *sendForm        `json:"send,omitempty"`
}

// sendForm is the form by which a browser sends a file: with these fields, and then
// the file in a field called file.
type sendForm struct {
	// Action is relative to the page, unless Direct: then it is not of the console,
	// which has to be told afterwards that the file has arrived.
	Action   string        `json:"action"`
	Fields   []files.Field `json:"fields"`
	Direct   bool          `json:"direct"`
	MaxBytes int64         `json:"max_bytes"`
}

func uploadPage(s *server, r *request) (view, error) {
	u, err := s.Uploads.Get(r.Context(), r.workspace(), r.PathValue("id"))
	if err != nil {
		return view{}, err
	}
	data := uploadData{Upload: s.shownUpload(u)}
	v := view{template: "upload", title: "CSV upload of " + strings.ToLower(apiTitle(u.Family)), fragment: "upload"}
	if u.State == uploads.Awaiting {
		data.Columns = csvfile.Columns(s.Uploads.FamilyNamed(u.Family))
		if r.session.Role.Covers(identity.Admin) {
			data.Send = &sendForm{Action: u.ID + "/file", MaxBytes: uploads.MaxBytes, Fields: []files.Field{{Name: formToken, Value: r.session.FormToken()}}}
			form, err := s.Uploads.Form(r.Context(), r.workspace(), u.ID)
			if err != nil {
				return view{}, err
			}
			if form != nil {
				data.Send.Action, data.Send.Fields, data.Send.Direct = form.Action, form.Fields, true
				v.sends = form.Origin()
			}
		}
	}
	v.data = data
	return v, nil
}

// receiveUpload takes the file of an upload in, and has it checked.
func receiveUpload(s *server, r *request) (view, error) {
	id := r.PathValue("id")
	if r.file == nil {
		return view{}, &core.Failure{Code: core.MissingField, Field: "file", Message: "Choose a file"}
	}
	err := s.Uploads.Receive(r.Context(), r.workspace(), id, r.file)
	if err != nil {
		return view{}, err
	}
	u, err := s.Uploads.Check(r.Context(), r.workspace(), id, r.file.FileName())
	return s.uploadChanged(r, "upload.sent", u, err)
}

// uploadActions are the changes of an upload that are made from its page, and what
// the audit log has of them.
var uploadActions = map[string]struct {
	action string
	do     func(*server, *request, string) (uploads.Upload, error)
}{
	"check": {"upload.sent", func(s *server, r *request, id string) (uploads.Upload, error) {
		return s.Uploads.Check(r.Context(), r.workspace(), id, r.form.Get("file_name"))
	}},
	"apply": {"upload.applied", func(s *server, r *request, id string) (uploads.Upload, error) {
		return s.Uploads.Apply(r.Context(), r.workspace(), id)
	}},
	"cancel": {"upload.cancelled", func(s *server, r *request, id string) (uploads.Upload, error) {
		return s.Uploads.Cancel(r.Context(), r.workspace(), id)
	}},
	"resume": {"upload.resumed", func(s *server, r *request, id string) (uploads.Upload, error) {
		return s.Uploads.Resume(r.Context(), r.workspace(), id)
	}},
}

// changeUpload returns what serves a change of an upload.
func changeUpload(name string) func(*server, *request) (view, error) {
	return func(s *server, r *request) (view, error) {
		a := uploadActions[name]
		u, err := a.do(s, r, r.PathValue("id"))
		return s.uploadChanged(r, a.action, u, err)
	}
}

func (s *server) uploadChanged(r *request, action string, u uploads.Upload, err error) (view, error) {
	if err != nil {
		return view{}, err
	}
	object := apiTitle(u.Family)
	if u.FileName != "" {
		object = u.FileName + ", " + strings.ToLower(object)
	}
	r.audit(action, object)
	return view{to: "uploads/" + u.ID, data: s.shownUpload(u)}, nil
}

func rejectedRows(s *server, r *request) (view, error) {
	id := r.PathValue("id")
	u, err := s.Uploads.Get(r.Context(), r.workspace(), id)
	if err != nil {
		return view{}, err
	}
	write, err := s.Uploads.Rejected(r.Context(), r.workspace(), id)
	return view{download: &download{name: "rejected-" + strings.TrimSuffix(u.FileName, ".csv") + ".csv", mediaType: "text/csv; charset=utf-8", write: write}}, err
}

// templateRoutes are the pages of the templates. Each has a row of its own, for
// their paths would otherwise be those of uploads, too.
func templateRoutes() (all []route) {
	for _, f := range catalog.All() {
		name := f.Schema.Name + ".csv"
		all = append(all, route{method: http.MethodGet, path: "/uploads/templates/" + name, role: identity.Viewer, serve: func(_ *server, r *request) (view, error) {
			separator := ','
			if r.URL.Query().Get("separator") == "semicolon" {
				separator = ';'
			}
			return view{download: &download{name: name, mediaType: "text/csv; charset=utf-8", write: func(w io.Writer) error {
				_, err := w.Write(csvfile.Template(f, separator))
				return err
			}}}, nil
		}})
	}
	return all
}
