// Package console is the IT Administration page of the product: pages for people
// in a browser, under /admin/. Every page is served as HTML, and as JSON of the
// same values to who asks for that. Who may see and change what is decided here
// alone, by the row of a page in the table of routes and the session of who asks;
// what there is to see and change is decided by the packages it is handed.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"tenure/core"
	"tenure/core/access"
	"tenure/core/calls"
	"tenure/core/identity"
	"tenure/core/overview"
	"tenure/core/sending"
	"tenure/core/sources"
	"tenure/core/table"
	"tenure/core/uploads"
	"tenure/core/usage"
)

// BasePath is where the console lies.
const BasePath = "/admin"

// Config says what the console works with.
type Config struct {
	Access   *access.Store
	Identity *identity.Store
	Calls    *calls.Log
	Overview *overview.Counter
	Uploads  *uploads.Store
	Sources  *sources.Store
	Sending  *sending.Store
	Usage    *usage.Store
	// URL is where browsers find BasePath + "/", by ParseURL; nil where nobody has
	// said so: then it is taken from each request.
	URL *url.URL
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log takes what people do not get to see; nil means slog.Default.
	Log *slog.Logger
	// Secure says that the console is reached by HTTPS alone, so that browsers must
	// not send the session's cookie any other way. Where it is false they must not
	// as soon as a proxy in front says that they came by HTTPS.
	Secure bool
}

type server struct {
	Config
	sameOrigin *http.CrossOriginProtection
}

const (
	// maxForm is the largest body of a form, in bytes.
	maxForm = 1 << 20
	// formToken is the field of a form, tokenHeader the header of a request by
	// program, that carries the session's form token.
	formToken   = "form_token"
	tokenHeader = "X-Form-Token"
)

// New returns the handler of everything under BasePath.
func New(c Config) (http.Handler, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	s := &server{Config: c, sameOrigin: http.NewCrossOriginProtection()}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, p := range routes {
		mux.HandleFunc(p.method+" "+BasePath+p.path, s.page(p))
		methods[p.path] = append(methods[p.path], p.method)
	}
	for path, allowed := range methods {
		mux.HandleFunc(BasePath+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			s.fail(w, s.request(r), http.StatusMethodNotAllowed, &core.Failure{Code: "method_not_allowed", Message: "This page takes " + strings.Join(allowed, " and ") + " only"})
		})
	}
	mux.HandleFunc("GET "+BasePath+"/assets/{name}", serveAsset)
	mux.HandleFunc("GET "+BasePath, func(w http.ResponseWriter, _ *http.Request) {
		// Relative, because who stands in front may add to the path; to the page below
		// which all others lie.
		w.Header().Set("Location", strings.TrimPrefix(BasePath, "/")+"/")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, s.request(r), http.StatusNotFound, errNoPage)
	})
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		return nil, err
	}
	return s.guarded(compress(mux)), nil
}

var errNoPage = &core.Failure{Code: core.NotFound, Message: "There is no such page"}

// policy is the content security policy: everything comes from here, nothing is
// inline, and nobody may frame a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// sendingPolicy is policy for a page that sends forms to another origin as well.
func sendingPolicy(origin string) string {
	return strings.NewReplacer("connect-src 'self'", "connect-src 'self' "+origin, "form-action 'self'", "form-action 'self' "+origin).Replace(policy)
}

// guarded sets what every answer has, and answers 500 where the program failed.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		if s.secure(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Log.Error("panic", "page", r.Pattern, "panic", p, "stack", string(debug.Stack()))
				http.Error(w, "Internal error", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// secure reports whether a request came by HTTPS, as far as is known.
func (s *server) secure(r *http.Request) bool {
	return s.Secure || r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// request is a request for a page, and what is known of who asks.
type request struct {
	*http.Request
	// session is nil where nobody is signed in.
	session *identity.Session
	// form holds the fields of a form that was sent.
	form url.Values
	// file is the file of the form where route.streams; nil if none was sent.
	file *multipart.Part
	// json says that JSON is asked for.
	json bool
	// up leads from the page to BasePath + "/".
	up string
	// failure is why a form was refused that is shown again.
	failure *core.Failure

	audited []audited
}

// audited is an entry of a workspace's audit log that is to be written.
type audited struct {
	workspace string
	entry     identity.Entry
}

// workspace returns the name of the workspace that the request is about.
func (r *request) workspace() string { return r.session.Workspace }

// email returns the e-mail address of who asks.
func (r *request) email() string { return r.session.Person.Email }

// audit has an entry of the workspace's audit log written, once the change that
// was asked for has been made: action is a stable word, such as key.created, and
// object what it was done to, in words that people know it by.
func (r *request) audit(action, object string) {
	r.auditIn(r.workspace(), action, object)
}

// auditIn is audit for a workspace that the session is not looking at.
func (r *request) auditIn(workspace, action, object string) {
	e := identity.Entry{Action: action, Object: object, Address: r.client().Address}
	if r.session != nil {
		e.By = r.email()
	}
	r.audited = append(r.audited, audited{workspace, e})
}

// on reports whether a box of the form is checked: one that is not is not sent, and a
// program says false.
func (r *request) on(name string) bool {
	value := r.form.Get(name)
	return value != "" && value != "false"
}

// client returns where the request comes from.
func (r *request) client() identity.Client {
	address := r.RemoteAddr
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return identity.Client{Address: address, Agent: r.UserAgent()}
}

func (s *server) request(r *http.Request) *request {
	below := strings.TrimPrefix(r.URL.EscapedPath(), BasePath+"/")
	accept := r.Header.Get("Accept")
	return &request{
		Request: r, up: strings.Repeat("../", strings.Count(below, "/")),
		json: strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html"),
	}
}

// view is the answer to a request.
type view struct {
	// status is http.StatusOK where it is 0.
	status int
	// template names the file in templates, without .html; title is the page's.
	template, title string
	// section is the path of the section in the navigation that the page belongs to,
	// where its own path does not tell.
	section string
	// fragment names the template within the file that htmx is sent alone, where it
	// asks.
	fragment string
	// data is what the page shows, and what JSON is made of: it holds nothing that
	// must not be shown.
	data any
	// to leads to another page, below BasePath + "/", in place of showing one: after
	// each change. done is the word for what was done; see notices.
	to, done string
	// cookie, if set, is the token of the session that begins; empty ends the one
	// there is.
	cookie *string
	// download is a file in place of a page.
	download *download
	// sends is another origin that the page sends forms to; empty for none.
	sends string
}

// download is a file that is handed out.
type download struct {
	name, mediaType string
	write           func(io.Writer) error
}

// page returns the handler of a route.
func (s *server) page(p route) http.HandlerFunc {
	return func(w http.ResponseWriter, hr *http.Request) {
		r := s.request(hr)
		if err := s.sameOrigin.Check(hr); err != nil {
			s.fail(w, r, http.StatusForbidden, &core.Failure{Code: "cross_origin", Message: "The request comes from another site"})
			return
		}
		var err error
		if r.session, err = s.signedIn(hr); err != nil {
			s.failed(w, r, err)
			return
		}
		if p.role != "" {
			if !s.mayEnter(w, r, p) {
				return
			}
			w.Header().Set(tokenHeader, r.session.FormToken())
		}
		if p.method == http.MethodPost {
			if p.streams {
				r.form, r.file, err = readFile(w, hr)
			} else {
				r.form, err = readForm(w, hr)
			}
			if err != nil {
				s.failed(w, r, err)
				return
			}
			if p.role != "" && !s.validToken(w, r, r.form.Get(formToken)) {
				return
			}
		}
		v, err := p.serve(s, r)
		if failure, ok := errors.AsType[*core.Failure](err); ok && p.form != nil && !r.json {
			// The form is shown again, with what was entered and what is wrong with it.
			r.failure = failure
			if v, err = p.form(s, r); err == nil {
				v.status = http.StatusUnprocessableEntity
			}
		}
		if err == nil {
			err = s.writeAudit(r)
		}
		if err != nil {
			s.failed(w, r, err)
			return
		}
		s.show(w, r, v)
	}
}

// mayEnter reports whether who asks may see a page of theirs; if not, it has
// answered.
func (s *server) mayEnter(w http.ResponseWriter, r *request, p route) bool {
	switch {
	case r.session == nil && r.json:
		s.fail(w, r, http.StatusUnauthorized, &core.Failure{Code: "signed_out", Message: "Sign in first"})
	case r.session == nil:
		to := "sign-in"
		if r.Method == http.MethodGet {
			to += "?" + url.Values{"next": {strings.TrimPrefix(r.URL.RequestURI(), BasePath+"/")}}.Encode()
		}
		redirect(w, r, to)
	case p.role != anybody && !r.session.Role.Covers(p.role):
		message := "Only an admin of the workspace may do this"
		if r.session.Role == "" {
			message = "You belong to no workspace any longer: ask an admin to invite you"
		}
		s.fail(w, r, http.StatusForbidden, &core.Failure{Code: "not_allowed", Message: message})
	default:
		return true
	}
	return false
}

// validToken reports whether a request to change something carries the session's
// form token; if not, it has answered.
func (s *server) validToken(w http.ResponseWriter, r *request, token string) bool {
	if token == "" {
		token = r.Header.Get(tokenHeader)
	}
	if r.session.ValidFormToken(token) {
		return true
	}
	s.fail(w, r, http.StatusForbidden, &core.Failure{Code: "stale_form", Field: formToken,
		Message: "The form is out of date, because you have signed in anew or changed to another workspace since it was shown. Nothing was changed: go back, reload the page and try again"})
	return false
}

// readForm reads the fields of a form, or of a JSON object in its place.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		err := r.ParseForm()
		if err != nil {
			err = &core.Failure{Code: core.Malformed, Message: "The form cannot be read"}
		}
		return r.PostForm, err
	}
	fields := map[string]any{}
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return nil, &core.Failure{Code: core.Malformed, Message: "The body must be a JSON object"}
	}
	form := url.Values{}
	for name, value := range fields {
		switch value.(type) {
		case string, json.Number, bool:
			form.Set(name, fmt.Sprint(value))
		case nil:
		default:
			return nil, &core.Failure{Code: core.WrongType, Field: name, Message: "'" + name + "' value must be a string, number or boolean"}
		}
	}
	return form, nil
}

// fileTimeout is how long the next piece of a file may keep one waiting.
const fileTimeout = time.Minute

// patientBody is a body that may take long as a whole.
type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b patientBody) Read(p []byte) (int, error) {
	// Who cannot set it has no limit of its own either.
	_ = b.control.SetReadDeadline(time.Now().Add(fileTimeout))
	return b.ReadCloser.Read(p)
}

// readFile reads a form as far as the file in it, which has to come behind the
// fields.
func readFile(w http.ResponseWriter, r *http.Request) (url.Values, *multipart.Part, error) {
	malformed := &core.Failure{Code: core.Malformed, Message: "The form cannot be read: it must be multipart/form-data, with the file behind the other fields"}
	r.Body = patientBody{r.Body, http.NewResponseController(w)}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, nil, malformed
	}
	form := url.Values{}
	for left := int64(maxForm); ; {
		part, err := parts.NextPart()
		if err == io.EOF {
			return form, nil, nil
		}
		if err != nil {
			return nil, nil, malformed
		}
		if part.FormName() == "file" {
			if part.FileName() == "" { // a form without a file that was chosen
				return form, nil, nil
			}
			return form, part, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, left+1))
		if left -= int64(len(value)); err != nil || left < 0 {
			return nil, nil, malformed
		}
		form.Add(part.FormName(), string(value))
	}
}

// writeAudit writes the entries of the audit log that a request has left.
func (s *server) writeAudit(r *request) error {
	for _, a := range r.audited {
		// The change has been made, so its entry is written whoever still waits for it.
		if err := s.Identity.Record(context.WithoutCancel(r.Context()), a.workspace, a.entry); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return nil
}

// failed answers a request that could not be carried out.
func (s *server) failed(w http.ResponseWriter, r *request, err error) {
	failure, refused := errors.AsType[*core.Failure](err)
	switch {
	case refused && failure.Code == core.NotFound:
		s.fail(w, r, http.StatusNotFound, failure)
	case refused:
		s.fail(w, r, http.StatusUnprocessableEntity, failure)
	case r.Context().Err() != nil:
		s.fail(w, r, http.StatusServiceUnavailable, &core.Failure{Code: "unavailable", Message: "The request took too long"})
	case errors.Is(err, table.ErrUnavailable), errors.Is(err, table.ErrConflict):
		s.Log.Error("the store refused", "page", r.Pattern, "error", err)
		w.Header().Set("Retry-After", "1")
		s.fail(w, r, http.StatusServiceUnavailable, &core.Failure{Code: "unavailable", Message: "The store is busy: try again in a moment"})
	default:
		s.Log.Error("internal error", "page", r.Pattern, "error", err)
		s.fail(w, r, http.StatusInternalServerError, &core.Failure{Code: "internal", Message: "Internal error: what went wrong is in the log of the deployment"})
	}
}

// fail shows why there is nothing else to show.
func (s *server) fail(w http.ResponseWriter, r *request, status int, failure *core.Failure) {
	if r.session == nil {
		// For the navigation; without it the message does as well.
		r.session, _ = s.signedIn(r.Request)
	}
	r.failure = failure
	s.show(w, r, view{status: status, template: "error", title: http.StatusText(status)})
}

// redirect leads to a page below BasePath + "/".
func redirect(w http.ResponseWriter, r *request, to string) {
	if r.Header.Get("HX-Request") != "" {
		// It would take the page that it is led to for the part that it has asked for.
		w.Header().Set("HX-Redirect", r.up+"./"+to)
		return
	}
	w.Header().Set("Location", r.up+"./"+to)
	w.WriteHeader(http.StatusSeeOther)
}
