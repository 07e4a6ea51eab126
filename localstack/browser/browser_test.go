package browser

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Stop()
	os.Exit(code)
}

// site serves pages by their paths under a strict policy.
func site(t *testing.T, pages map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, found := pages[r.URL.Path]
		switch {
		case !found:
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".js"):
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, page)
		case strings.HasSuffix(r.URL.Path, ".csv"):
			w.Header().Set("Content-Disposition", `attachment; filename="rows.csv"`)
			_, _ = io.WriteString(w, page)
		default:
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_ = r.ParseMultipartForm(1 << 20) // there is none on most pages
			said := r.FormValue("said")
			if file, header, err := r.FormFile("file"); err == nil {
				content, _ := io.ReadAll(file)
				said = header.Filename + " holds " + string(content)
			}
			_, _ = io.WriteString(w, strings.Replace(page, "SAID", html.EscapeString(said), 1))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// sound wraps what a page is about in what every page needs.
func sound(body string) string {
	return `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1"><title>A page</title>
	<main><h1>A page</h1>` + body + `</main></html>`
}

func TestWhatIsWrongOnAPageIsReported(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"nothing":             {``, ""},
		"a script in it":      {`<script>document.title = "changed"</script>`, "content security policy: script-src-elem: kInlineViolation"},
		"a style in it":       {`<p style="color: red">Red</p>`, "content security policy: style-src-attr: kInlineViolation"},
		"an image elsewhere":  {`<img alt="" src="http://images.test/a.png">`, "request to another origin: GET http://images.test/a.png"},
		"a missing file":      {`<script src="missing.js"></script>`, "status 404: "},
		"an error":            {`<script src="error.js"></script>`, "exception: Uncaught Error: broken"},
		"a dialog":            {`<script src="dialog.js"></script>`, "dialog: Really?"},
		"a complaint":         {`<script src="complaint.js"></script>`, `console error: "odd"`},
		"a page elsewhere":    {`<meta http-equiv="refresh" content="0; url=http://elsewhere.test/">`, "request to another origin: GET http://elsewhere.test/"},
		"a request elsewhere": {`<script src="elsewhere.js"></script>`, "content security policy: connect-src: kURLViolation http://elsewhere.test/"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Open(t, site(t, map[string]string{"/": sound(test.body), "/error.js": `throw new Error("broken")`,
				"/dialog.js": `confirm("Really?")`, "/complaint.js": `console.error("odd")`, "/elsewhere.js": `fetch("http://elsewhere.test/").catch(() => {})`}))
			p.Visit("/")
			faults := strings.Join(p.Faults(), "\n")
			if test.want == "" && faults != "" || !strings.Contains(faults, test.want) {
				t.Errorf("reported:\n%s\nwant %q", faults, test.want)
			}
		})
	}
}

func TestAxeAndTheLayoutAreChecked(t *testing.T) {
	p := Open(t, site(t, map[string]string{
		"/":      sound(`<label>Name <input></label>`),
		"/wrong": sound(`<input id="nameless"><pre>` + strings.Repeat("wide", 100) + `</pre>`),
	}))
	p.Visit("/")
	p.Inspect("browser-sound")
	p.Visit("/wrong")
	if found := strings.Join(p.Violations(), "\n"); !strings.Contains(found, "label: ") || !strings.Contains(found, "#nameless") {
		t.Errorf("axe finds:\n%s", found)
	}
	p.Look(Phone, Dark)
	if wide := p.Overflow(); !strings.Contains(wide, "on a device of 390: ") || !strings.Contains(wide, "pre") {
		t.Errorf("the layout: %q", wide)
	}
}

func TestAPageIsUsedAsByAPerson(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(file, []byte("a,b"), 0o600); err != nil {
		t.Fatal(err)
	}
	form := sound(`<form method="post" action="/said"><label>What to say <input name="said" value="before"></label>
		<label>How <select name="how"><option>Softly</option><option>Loudly</option></select></label>
		<button>Say it</button></form>
		<form method="post" enctype="multipart/form-data" action="/said"><label>A file <input type="file" name="file"></label><button>Send it</button></form>
		<table><tr><th>One<td><a href="/one">Open</a><tr><th>Two<td><a href="/two">Open</a></table>
		<p hidden>Unseen</p><a href="/rows.csv">Rows</a><noscript>No script</noscript>`)
	pages := map[string]string{"/": form, "/said": sound(`<p>It was said: SAID.</p>`), "/two": sound(`<p>The second</p>`), "/rows.csv": "a,b\n"}
	for name, options := range map[string][]Option{"with JavaScript": nil, "without JavaScript": {WithoutScript}} {
		t.Run(name, func(t *testing.T) {
			p := Open(t, site(t, pages), options...)
			p.Visit("/")
			p.NotSee("Unseen")
			if without := strings.Contains(p.Text(), "No script"); without != (options != nil) {
				t.Errorf("the page says that there is no JavaScript: %v", without)
			}
			if got := p.Download(func() { p.Follow("Rows") }); got.Name != "rows.csv" || string(got.Content) != "a,b\n" {
				t.Errorf("downloaded %q: %q", got.Name, got.Content)
			}
			p.Choose("How", "Loudly")
			p.Fill("What to say", "Häuser")
			p.Press("Say it")
			p.At("/said")
			p.See("It was said: Häuser.")
			p.Visit("/")
			p.Attach("A file", file)
			p.Press("Send it")
			p.See("It was said: rows.csv holds a,b.")
			p.Visit("/")
			p.In("row", "Two").Follow("Open")
			p.See("The second")
			p.Visit("/")
			p.TabTo("textbox", "What to say")
			p.Type("typed\r")
			p.See("It was said: typed.")
			p.Inspect("browser-person")
		})
	}
}

func TestTwoPagesShareNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes"})
		_, err := r.Cookie("seen")
		fmt.Fprintf(w, "<!doctype html><p>Seen before: %v", err == nil)
	}))
	t.Cleanup(server.Close)
	p := Open(t, server.URL)
	p.Visit("/")
	p.Visit("/")
	p.See("Seen before: true")
	other := p.Another()
	other.Visit("/")
	other.See("Seen before: false")
}
