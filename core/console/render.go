package console

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mileusna/useragent"

	"tenure/core"
	"tenure/core/identity"
)

//go:embed templates
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// layout is what a template is given: the page's data and what all pages show.
type layout struct {
	Title string
	// Up leads to BasePath + "/".
	Up      string
	Here    string
	Data    any
	Session *identity.Session
	Failure *core.Failure
	Notice  string
	Token   string

	// Content is the page itself, made before what stands around it.
	Content template.HTML

	form func(name string) string
	now  time.Time
	told bool // the failure stands at its field
}

// Admin reports whether who looks may change something.
func (l *layout) Admin() bool { return l.Session != nil && l.Session.Role == identity.Admin }

// Entered returns what was entered in a field of a form that is shown again.
func (l *layout) Entered(name string) string { return l.form(name) }

// Refused returns why the field called name was refused, in words that stand beside
// it; empty if it was not.
func (l *layout) Refused(name string) string {
	if l.Failure == nil || l.Failure.Field != name {
		return ""
	}
	l.told = true
	if rest, ok := strings.CutPrefix(l.Failure.Message, "'"+name+"' "); ok {
		return "This " + rest
	}
	if rest, ok := strings.CutPrefix(l.Failure.Message, "'"+name+"': "); ok && rest != "" {
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	return l.Failure.Message
}

// Untold returns why something was refused that no field has told.
func (l *layout) Untold() string {
	if l.Failure == nil || l.Failure.Field == "" || l.told {
		return ""
	}
	return l.Failure.Message
}

// Rest is Untold for a page that tells it itself, so that a part of it that is sent
// alone does.
func (l *layout) Rest() string {
	text := l.Untold()
	l.told = l.told || text != ""
	return text
}

// Within reports whether the page is that of a section, or lies below it.
func (l *layout) Within(path string) bool {
	return l.Here == path || path != "" && strings.HasPrefix(l.Here, path+"/")
}

// Leads reports whether the navigation leads to a path.
func (l *layout) Leads(path string) bool {
	for _, group := range sections {
		for _, s := range group.Items {
			if s.Path == path {
				return true
			}
		}
	}
	return false
}

// Sections returns the navigation.
func (l *layout) Sections() any { return sections }

// pages holds the templates by the names of their files, each with the layout.
// They are read when the first page is shown, not when the program starts.
var pages = sync.OnceValues(func() (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(functions).ParseFS(templateFiles, "templates/layout/*.html")
	if err != nil {
		return nil, err
	}
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		page, err := base.Clone()
		if err == nil {
			page, err = page.ParseFS(templateFiles, "templates/"+f.Name())
		}
		if err != nil {
			return nil, err
		}
		all[strings.TrimSuffix(f.Name(), ".html")] = page
	}
	return all, nil
})

// functions are what templates may call.
var functions = template.FuncMap{
	"asset":  assetPath,
	"time":   moment,
	"day":    func(ms int64) template.HTML { return instant(ms, "2 Jan 2006") },
	"number": number,
	"month":  func(ms int64) template.HTML { return instant(ms, "Jan 2006") },
	"money":  money, "percent": percent, "score": score,
	// words writes the name of a family as people read it.
	"words": func(name string) string { return strings.ReplaceAll(name, "_", " ") },
	"count": count, "duration": duration,
	// operator writes the operator of a condition as people read it.
	"operator": func(name string) string { return operatorWords[name] },
	"dict":     dict,
	"agent":    agent,
	"field":    func(l *layout, name string) fieldOf { return fieldOf{l, name} },
}

// dict makes a map of names and values, for templates that take more than one
// value.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("a name without a value")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}

// fieldOf is a field of a form, for the template that says what is wrong with it.
type fieldOf struct {
	Page *layout
	Name string
}

// moment writes an instant (epoch ms) for people and for programs.
func moment(ms int64) template.HTML { return instant(ms, "2 Jan 2006, 15:04 UTC") }

func instant(ms int64, form string) template.HTML {
	if ms == 0 {
		return "never"
	}
	at := time.UnixMilli(ms).UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, at.Format(time.RFC3339), at.Format(form)))
}

// agent says which browser it is that calls itself so.
func agent(text string) string {
	a := useragent.Parse(text)
	switch {
	case a.Name == "":
		return "Unknown"
	case a.OS == "":
		return strings.TrimSpace(a.Name + " " + a.VersionNoShort())
	}
	return strings.TrimSpace(a.Name+" "+a.VersionNoShort()) + " on " + a.OS
}

// count writes how many of something there are.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return number(n) + " " + what
}

// number writes a number, or that which is pointed to, with its thousands apart.
func number(n any) string {
	if to, ok := n.(*int64); ok {
		n = *to
	}
	text := fmt.Sprint(n)
	if f, ok := n.(float64); ok {
		text = strconv.FormatFloat(f, 'f', -1, 64)
	}
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "−", text[1:]
	}
	whole, part, fraction := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction {
		whole += "." + part
	}
	return sign + whole
}

// show answers with a view.
func (s *server) show(w http.ResponseWriter, r *request, v view) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	if v.cookie != nil {
		s.setCookie(w, r.Request, *v.cookie)
	}
	switch {
	case v.download != nil:
		s.send(w, r, v.download)
	case r.json:
		s.showJSON(w, r, v)
	case v.template == "":
		if v.done != "" {
			to, query, _ := strings.Cut(v.to, "?")
			v.to = to + "?done=" + v.done // the word is one of notices
			if query != "" {
				v.to += "&" + query
			}
		}
		redirect(w, r, v.to)
	default:
		s.showHTML(w, r, v)
	}
}

func (s *server) showJSON(w http.ResponseWriter, r *request, v view) {
	answer := map[string]any{"status_is_ok": v.status < http.StatusBadRequest}
	if v.data != nil {
		answer["data"] = v.data
	}
	if r.failure != nil {
		answer["message"], answer["code"] = r.failure.Message, r.failure.Code
		if r.failure.Field != "" {
			answer["field"] = r.failure.Field
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		s.Log.Error("a page cannot be told as JSON", "page", r.Pattern, "error", err)
		v.status, body = http.StatusInternalServerError, []byte(`{"status_is_ok":false,"message":"Internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(v.status)
	_, _ = w.Write(append(body, '\n'))
}

func (s *server) showHTML(w http.ResponseWriter, r *request, v view) {
	l := &layout{
		Title: v.title, Up: r.up, Here: cmp.Or(v.section, strings.TrimPrefix(r.URL.Path, BasePath+"/")), Data: v.data,
		Session: r.session, Failure: r.failure, Notice: notices[r.URL.Query().Get("done")],
		form: r.form.Get, now: s.Now(),
	}
	if l.Up == "" {
		l.Up = "./"
	}
	if r.session != nil {
		l.Token = r.session.FormToken()
	}
	block := "layout"
	if v.fragment == "" && r.Header.Get("HX-Request") != "" {
		w.Header().Set("HX-Retarget", "body") // it is a whole page
		w.Header().Set("HX-Reswap", "innerHTML")
	}
	if v.fragment != "" && r.Header.Get("HX-Request") != "" {
		block = v.fragment
	}
	var body bytes.Buffer
	all, err := pages()
	if err == nil {
		if page := all[v.template]; page == nil {
			err = fmt.Errorf("there is no template %q", v.template)
		} else {
			if block == "layout" {
				var content strings.Builder
				err = page.ExecuteTemplate(&content, "content", l)
				l.Content = template.HTML(content.String())
			}
			if err == nil {
				err = page.ExecuteTemplate(&body, block, l)
			}
		}
	}
	if err != nil {
		s.Log.Error("a page cannot be shown", "page", r.Pattern, "error", err)
		http.Error(w, "Internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.sends != "" {
		w.Header().Set("Content-Security-Policy", sendingPolicy(v.sends))
	}
	w.WriteHeader(v.status)
	_, _ = body.WriteTo(w)
}

// send hands a file out.
func (s *server) send(w http.ResponseWriter, r *request, d *download) {
	w.Header().Set("Content-Type", d.mediaType)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": d.name}))
	if err := d.write(w); err != nil {
		s.Log.Error("a file was cut off", "page", r.Pattern, "error", err)
		panic(http.ErrAbortHandler) // so that nobody takes it for whole
	}
}

// assets are the files that pages refer to, by name, with the digest that stands
// for their content in the reference, so that browsers may keep them.
var assets = sync.OnceValue(func() map[string]string {
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the program
	}
	digests := map[string]string{}
	for _, f := range files {
		content, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		digests[f.Name()] = hex.EncodeToString(sum[:6])
	}
	return digests
})

// assetPath returns the reference to an asset, below BasePath + "/".
func assetPath(name string) (string, error) {
	digest, ok := assets()[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", name)
	}
	return "assets/" + name + "?" + digest, nil
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	digest, ok := assets()[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.URL.RawQuery == digest {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", mediaTypes[path.Ext(name)])
	f, err := assetFiles.Open("assets/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	_, _ = io.Copy(w, f)
}

// mediaTypes are those of assets; what machines believe differs.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}
