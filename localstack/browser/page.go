package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/audits"
	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

const (
	// patience is how long something may take to appear on a page.
	patience = 20 * time.Second
	// pause is how often it is looked for, and how long a page must have done
	// nothing to be at rest.
	pause = 50 * time.Millisecond
)

// Page is a tab with a profile of its own. Its methods fail the test when a
// person could not do what they say.
type Page struct {
	*tab
	within []part // the last of which is where names and texts are looked for
}

// part is a part of a page: the one with this role that has this text.
type part struct{ role, text string }

type tab struct {
	t      testing.TB
	ctx    context.Context
	origin string // scheme://host:port
	script bool
	// proxy leads to others, which are further origins that pages may lead to; empty for
	// none.
	proxy  string
	others []string
	dir    string // of what was downloaded
	device emulation.SetDeviceMetricsOverrideParams

	mu        sync.Mutex
	faults    []string
	allowed   []int // statuses that are no fault
	underWay  map[network.RequestID]string
	loading   bool
	happened  time.Time // when something last happened that concerns loading
	downloads map[string]*Download
}

// Download is a file that a page handed out.
type Download struct {
	Name    string // as the page suggests it
	Content []byte
	done    bool
	failed  bool
}

// Option is a way in which a page is opened.
type Option func(*tab)

// WithoutScript has the browser run no JavaScript of the page.
func WithoutScript(tab *tab) { tab.script = false }

// Through has the browser reach other origins ("https://host") by a proxy, whoever
// vouches for them: those that pages lead people to.
func Through(proxy string, origins ...string) Option {
	return func(tab *tab) { tab.proxy, tab.others = proxy, origins }
}

// Open opens a tab with a fresh profile for the pages of an origin
// ("http://host:port"). It is closed, and what went wrong on its pages is
// reported, when the test ends. Without a browser the test is skipped, or fails
// where CI is "true".
func Open(t testing.TB, origin string, options ...Option) *Page {
	t.Helper()
	if _, err := running(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the browser is missing: %v", err)
		}
		t.Skipf("left out, as it needs a browser and axe: `make tools` gets them where there is npm (%v)", err)
	}
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
	return open(t, origin, options)
}

// Another opens a tab as Open does, for the same test: as another person, or
// the same at another machine.
func (p *Page) Another(options ...Option) *Page {
	p.t.Helper()
	return open(p.t, p.origin, options)
}

func open(t testing.TB, origin string, options []Option) *Page {
	t.Helper()
	b, err := running()
	if err != nil {
		t.Fatal(err)
	}
	tab := &tab{t: t, origin: origin, script: true, dir: t.TempDir(), underWay: map[network.RequestID]string{}, downloads: map[string]*Download{}}
	for _, option := range options {
		option(tab)
	}
	profile := func(params *target.CreateBrowserContextParams) { params.ProxyServer = tab.proxy }
	ctx, cancel := chromedp.NewContext(b, chromedp.WithNewBrowserContext(profile), chromedp.WithListener(tab.listen))
	t.Cleanup(cancel)
	tab.ctx = ctx
	p := &Page{tab: tab}
	p.must(chromedp.Do(ctx))
	call(p, network.Enable, network.EnableParams{})
	call(p, log.Enable, cdp.Empty{})
	call(p, audits.Enable, cdp.Empty{})
	call(p, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior:         cdpbrowser.SetDownloadBehaviorBehaviorAllowAndName,
		BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		DownloadPath:     tab.dir, EventsEnabled: new(true),
	})
	if tab.proxy != "" {
		call(p, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
	}
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !tab.script})
	// As if its window were in front, whatever others there are.
	call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	// A headless browser asks for what others let whoever presses a button do.
	call(p, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
		BrowserContextID: chromedp.FromContext(ctx).BrowserContextID, Origin: origin,
		Permission: &cdpbrowser.PermissionDescriptor{Name: "clipboard-write"}, Setting: cdpbrowser.PermissionSettingGranted,
	})
	p.Look(Desktop, Light)
	t.Cleanup(func() {
		for _, fault := range p.Faults() {
			t.Error(fault)
		}
	})
	return p
}

// listen is told of everything that happens in the tab, in order.
func (tab *tab) listen(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		tab.underWay[e.RequestID] = e.Request.URL
		tab.happened = time.Now()
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != "" && u.Scheme+"://"+u.Host != tab.origin && !slices.Contains(tab.others, u.Scheme+"://"+u.Host) {
			tab.fault("request to another origin: %s %s", e.Request.Method, e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 && !slices.Contains(tab.allowed, int(e.Response.Status)) {
			tab.fault("status %d: %s", e.Response.Status, e.Response.URL)
		}
	case *network.EventLoadingFinished:
		delete(tab.underWay, e.RequestID)
		tab.happened = time.Now()
	case *network.EventLoadingFailed:
		if !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
			tab.fault("request failed: %s: %s %s", tab.underWay[e.RequestID], e.ErrorText, e.BlockedReason)
		}
		delete(tab.underWay, e.RequestID)
		tab.happened = time.Now()
	case *page.EventFrameStartedLoading:
		tab.loading, tab.happened = true, time.Now()
	case *page.EventFrameStoppedLoading:
		tab.loading, tab.happened = false, time.Now()
	case *page.EventJavascriptDialogOpening:
		// It would keep the page from doing anything, and people from reading it.
		tab.fault("dialog: %s", e.Message)
		go chromedp.Call(tab.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		tab.fault("exception: %s (%s:%d)", text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber+1)
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			var said []string
			for _, arg := range e.Args {
				said = append(said, strings.TrimSpace(string(arg.Value)+" "+arg.Description))
			}
			tab.fault("console %s: %s", e.Type, strings.Join(said, " "))
		}
	case *log.EventEntryAdded:
		// What becomes of requests is told by the events of the network.
		if e.Entry.Source != log.EntrySourceNetwork && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			tab.fault("console %s: %s", e.Entry.Level, e.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			tab.fault("content security policy: %s: %s %s", d.ViolatedDirective, d.ContentSecurityPolicyViolationType, d.BlockedURL)
		}
	case *cdpbrowser.EventDownloadWillBegin:
		tab.downloads[e.GUID] = &Download{Name: e.SuggestedFilename}
	case *cdpbrowser.EventDownloadProgress:
		if d := tab.downloads[e.GUID]; d != nil {
			d.done = e.State == cdpbrowser.DownloadProgressStateCompleted
			d.failed = e.State == cdpbrowser.DownloadProgressStateCanceled
		}
	}
}

func (tab *tab) fault(format string, args ...any) {
	tab.faults = append(tab.faults, fmt.Sprintf(format, args...))
}

// Faults returns what went wrong on the tab's pages so far, and forgets it.
func (p *Page) Faults() []string {
	p.rest()
	p.mu.Lock()
	defer p.mu.Unlock()
	faults := p.faults
	p.faults = nil
	return faults
}

// Allow says that answers with these statuses are no fault.
func (p *Page) Allow(statuses ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, statuses...)
}

func (p *Page) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// call runs a command of the browser's protocol on the tab.
func call[P, R any](p *Page, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// rest waits until the tab loads nothing. One that never rests is not waited
// for: what is to be seen on it is looked for anyway.
func (p *Page) rest() {
	for deadline := time.Now().Add(patience / 4); time.Now().Before(deadline); {
		time.Sleep(pause)
		p.mu.Lock()
		resting := !p.loading && len(p.underWay) == 0 && time.Since(p.happened) >= pause
		p.mu.Unlock()
		if resting {
			return
		}
	}
}

// Visit opens a path of the origin.
func (p *Page) Visit(path string) {
	p.t.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.Navigate(p.origin+path)))
	p.rest()
}

// VisitUntil opens a path of the origin, again and again until it shows the text:
// for what comes to be seen with a delay, and a page that does not look for it.
func (p *Page) VisitUntil(path, text string) {
	p.t.Helper()
	p.Visit(path)
	p.eventually(func() string {
		if strings.Contains(p.Text(), text) {
			return ""
		}
		p.Visit(path)
		return fmt.Sprintf("the page does not come to show %q", text)
	})
}

// Path returns the path of the page, with its query.
func (p *Page) Path() string {
	p.t.Helper()
	location, err := chromedp.Run(p.ctx, chromedp.Location())
	p.must(err)
	return strings.TrimPrefix(location, p.origin)
}

// At waits until the page is the one at a path, whatever its query.
func (p *Page) At(path string) {
	p.t.Helper()
	p.eventually(func() string {
		if at, _, _ := strings.Cut(p.Path(), "?"); at != path {
			return fmt.Sprintf("the page is %s, want %s", at, path)
		}
		return ""
	})
}

// eventually waits until wrong finds nothing wrong any more.
func (p *Page) eventually(wrong func() string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		says := wrong()
		if says == "" {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s\nThe page, %s:\n%s", says, p.Path(), p.Text())
		}
	}
}

// In returns the page narrowed to its part of a role ("row", "dialog",
// "region", …) that has a text.
func (p *Page) In(role, text string) *Page {
	return &Page{tab: p.tab, within: append(slices.Clone(p.within), part{role, text})}
}

func (p *Page) document() (runtime.RemoteObjectID, error) {
	result, err := chromedp.Call(p.ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: "document"})
	if err != nil {
		return "", err
	}
	return result.Result.ObjectID, nil
}

// scope returns the object of the document, or of the part that the page is
// narrowed to; what is wrong when there is none, or several.
func (p *Page) scope() (runtime.RemoteObjectID, string) {
	p.t.Helper()
	object, err := p.document()
	if err != nil {
		return "", err.Error() // the page is just being replaced by another
	}
	for _, in := range p.within {
		var found []runtime.RemoteObjectID
		for _, n := range p.query(object, in.role) {
			candidate := p.object(n.node)
			if strings.Contains(p.text(candidate), in.text) {
				found = append(found, candidate)
			}
		}
		if len(found) != 1 {
			return "", fmt.Sprintf("%d of role %s have the text %q", len(found), in.role, in.text)
		}
		object = found[0]
	}
	return object, ""
}

// named is something on a page, with the name that it goes by.
type named struct {
	name string
	node cdp.BackendNodeID
}

// query returns what has a role and is there for whoever uses the page.
func (p *Page) query(object runtime.RemoteObjectID, role string) (all []named) {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{ObjectID: object, Role: role})
	if err != nil {
		return nil // the page is just being replaced by another: nothing is there yet
	}
	for _, node := range result.Nodes {
		if node.Ignored {
			continue
		}
		_, name := description(node)
		all = append(all, named{name, node.BackendDOMNodeID})
	}
	return all
}

// description returns the role and the name of a node, as they are read out.
func description(node *accessibility.Node) (role, name string) {
	if node.Role != nil {
		_ = json.Unmarshal(node.Role.Value, &role) // a role is a string
	}
	if node.Name != nil {
		_ = json.Unmarshal(node.Name.Value, &name) // and so is a name
	}
	return role, strings.Join(strings.Fields(name), " ")
}

// find waits until the page has exactly one thing of one of the roles with the
// name, and returns it.
func (p *Page) find(name string, roles ...string) (node cdp.BackendNodeID) {
	p.t.Helper()
	p.eventually(func() string {
		object, wrong := p.scope()
		if wrong != "" {
			return wrong
		}
		found, others := 0, []string(nil)
		for _, role := range roles {
			for _, n := range p.query(object, role) {
				if n.name != name {
					others = append(others, n.name)
					continue
				}
				found++
				node = n.node
			}
		}
		if found != 1 {
			return fmt.Sprintf("the page has %d of role %s named %q, want one; others are %q", found, strings.Join(roles, " or "), name, others)
		}
		return ""
	})
	return node
}

// Has reports whether the page has something of a role with a name right now.
func (p *Page) Has(role, name string) bool {
	p.t.Helper()
	return slices.Contains(p.Names(role), name)
}

// Names returns the names of all that has a role right now.
func (p *Page) Names(role string) (names []string) {
	p.t.Helper()
	object, wrong := p.scope()
	if wrong != "" {
		return nil
	}
	for _, n := range p.query(object, role) {
		names = append(names, n.name)
	}
	return names
}

// on calls a JavaScript function on an object, as its this, and returns what
// that returns.
func (p *Page) on(object runtime.RemoteObjectID, function string, args ...any) (json.RawMessage, error) {
	params := runtime.CallFunctionOnParams{ObjectID: object, FunctionDeclaration: function, ReturnByValue: new(true), AwaitPromise: new(true)}
	for _, arg := range args {
		value, err := json.Marshal(arg)
		if err != nil {
			return nil, err
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: value})
	}
	result, err := chromedp.Call(p.ctx, runtime.CallFunctionOn, params)
	if err != nil {
		return nil, err
	}
	if e := result.ExceptionDetails; e != nil {
		return nil, fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	return json.RawMessage(result.Result.Value), nil
}

// text returns the text of an object, as it is seen; "" when that has gone.
func (p *Page) text(object runtime.RemoteObjectID) string {
	value, err := p.on(object, "function() { return (this.body ?? this).innerText }")
	if err != nil {
		return ""
	}
	var text string
	_ = json.Unmarshal(value, &text)
	return text
}

// Text returns the text of the page, as it is seen.
func (p *Page) Text() string {
	p.t.Helper()
	object, wrong := p.scope()
	if wrong != "" {
		return wrong
	}
	return p.text(object)
}

// See waits until the page shows all of the texts.
func (p *Page) See(texts ...string) {
	p.t.Helper()
	p.eventually(func() string {
		seen := p.Text()
		for _, text := range texts {
			if !strings.Contains(seen, text) {
				return fmt.Sprintf("the page does not show %q", text)
			}
		}
		return ""
	})
}

// NotSee waits until the page shows none of the texts.
func (p *Page) NotSee(texts ...string) {
	p.t.Helper()
	p.eventually(func() string {
		seen := p.Text()
		for _, text := range texts {
			if strings.Contains(seen, text) {
				return fmt.Sprintf("the page shows %q", text)
			}
		}
		return ""
	})
}

// click clicks in the middle of a node, with the mouse.
func (p *Page) click(node cdp.BackendNodeID) {
	p.t.Helper()
	call(p, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node})
	quads := call(p, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node}).Quads
	if len(quads) == 0 {
		p.t.Fatal("what is to be clicked is nowhere on the page")
	}
	q := quads[0]
	p.must(chromedp.Do(p.ctx, chromedp.MouseClickXY((q[0]+q[4])/2, (q[1]+q[5])/2)))
	p.rest()
}

// Press clicks the button of a name.
func (p *Page) Press(name string) {
	p.t.Helper()
	p.click(p.find(name, "button"))
}

// Follow clicks the link of a name.
func (p *Page) Follow(name string) {
	p.t.Helper()
	p.click(p.find(name, "link"))
}

// Toggle clicks the checkbox, radio button, tab, or summary of a name.
func (p *Page) Toggle(name string) {
	p.t.Helper()
	p.click(p.find(name, "checkbox", "radio", "switch", "tab", "DisclosureTriangle"))
}

// Fill replaces what is in the text field of a label, which may propose values.
func (p *Page) Fill(label, text string) {
	p.t.Helper()
	node := p.find(label, "textbox", "searchbox", "spinbutton", "combobox")
	call(p, dom.Focus, dom.FocusParams{BackendNodeID: node})
	_, err := p.on(p.object(node), "function() { this.select() }")
	p.must(err)
	if text == "" {
		text = "\b"
	}
	p.Type(text)
}

// Type types on the keyboard, wherever the focus is. Tab, Enter and so on are
// those of github.com/chromedp/chromedp/kb.
func (p *Page) Type(keys string) {
	p.t.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.KeyEvent(keys)))
	p.rest()
}

// Focused returns the role and the name of what has the focus.
func (p *Page) Focused() (role, name string) {
	p.t.Helper()
	object := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement"}).Result.ObjectID
	nodes := call(p, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: object, FetchRelatives: new(false)}).Nodes
	if len(nodes) == 0 || nodes[0].Ignored {
		return "", ""
	}
	return description(nodes[0])
}

// TabTo presses the tabulator until what has a role and a name has the focus.
func (p *Page) TabTo(role, name string) {
	p.t.Helper()
	const enough = 100
	var passed []string
	for range enough {
		p.Type("\t")
		r, n := p.Focused()
		if r == role && n == name {
			return
		}
		passed = append(passed, r+" "+n)
	}
	p.t.Fatalf("the keyboard does not lead to the %s %q, but to\n%s", role, name, strings.Join(passed, "\n"))
}

// Choose chooses the option of a text in the list of a label.
func (p *Page) Choose(label, option string) {
	p.t.Helper()
	_, err := p.on(p.object(p.find(label, "combobox", "listbox")), `function(text) {
		const option = [...this.options].find(o => o.label === text);
		if (!option) throw new Error("no option " + text + " but " + [...this.options].map(o => o.label));
		option.selected = true;
		this.dispatchEvent(new Event("input", {bubbles: true}));
		this.dispatchEvent(new Event("change", {bubbles: true}));
	}`, option)
	p.must(err)
	p.rest()
}

// Attach chooses files in the field of a label.
func (p *Page) Attach(label string, files ...string) {
	p.t.Helper()
	call(p, dom.SetFileInputFiles, dom.SetFileInputFilesParams{BackendNodeID: p.find(label, "button"), Files: files})
	p.rest()
}

func (p *Page) object(node cdp.BackendNodeID) runtime.RemoteObjectID {
	p.t.Helper()
	return call(p, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node}).Object.ObjectID
}

// Download returns the file that the page hands out when do is done.
func (p *Page) Download(do func()) Download {
	p.t.Helper()
	p.mu.Lock()
	p.downloads = map[string]*Download{}
	p.mu.Unlock()
	do()
	var got Download
	p.eventually(func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		for id, d := range p.downloads {
			if d.failed {
				return "the download of " + d.Name + " failed"
			}
			if d.done {
				content, err := os.ReadFile(filepath.Join(p.dir, id))
				if err != nil {
					return err.Error()
				}
				got = Download{Name: d.Name, Content: content}
				return ""
			}
		}
		return "nothing is downloaded"
	})
	return got
}

// Value returns what is in the text field of a label.
func (p *Page) Value(label string) string {
	p.t.Helper()
	value, err := p.on(p.object(p.find(label, "textbox", "searchbox", "spinbutton")), "function() { return this.value }")
	p.must(err)
	var text string
	p.must(json.Unmarshal(value, &text))
	return text
}

// HTML returns the document as it is now.
func (p *Page) HTML() string {
	p.t.Helper()
	html, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.documentElement.outerHTML"))
	p.must(err)
	return html
}

// Origin returns the origin that the page was opened for.
func (p *Page) Origin() string { return p.origin }
