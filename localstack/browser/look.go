package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// Device is what a page is looked at on.
type Device string

// The devices: a desktop 1280 pixels wide, and a phone 390 wide.
const (
	Desktop Device = "desktop"
	Phone   Device = "phone"
)

// Scheme is the colours that a person prefers.
type Scheme string

// The colour schemes.
const (
	Light Scheme = "light"
	Dark  Scheme = "dark"
)

// Look has the pages of the tab looked at on a device, in a colour scheme, and
// without what moves.
func (p *Page) Look(device Device, scheme Scheme) {
	p.t.Helper()
	p.device = emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 800, DeviceScaleFactor: 1}
	if device == Phone {
		p.device = emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 1, Mobile: true}
	}
	call(p, emulation.SetDeviceMetricsOverride, p.device)
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: string(scheme)}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	p.rest()
}

// Screenshot keeps a picture of the whole page as .build/screenshots/NAME.png.
func (p *Page) Screenshot(name string) {
	p.t.Helper()
	document, err := p.document()
	p.must(err)
	height, err := p.on(document, "function() { return this.scrollingElement.scrollHeight }")
	p.must(err)
	// On a device as high as the page, so that what fills the height of a device
	// does so in the picture.
	high := p.device
	p.must(json.Unmarshal(height, &high.Height))
	high.Height = max(high.Height, p.device.Height)
	call(p, emulation.SetDeviceMetricsOverride, high)
	picture := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{OptimizeForSpeed: new(true)}).Data
	call(p, emulation.SetDeviceMetricsOverride, p.device)
	dir, err := root()
	p.must(err)
	file := filepath.Join(dir, ".build/screenshots", name+".png")
	p.must(os.MkdirAll(filepath.Dir(file), 0o755))
	p.must(os.WriteFile(file, picture, 0o600))
}

// Inspect looks at the page on a desktop and on a phone, in light and in dark:
// it keeps a picture of each (NAME-desktop-light and so on), and fails the test
// for what axe finds and for a page that is wider than its device. Without
// JavaScript it looks on a phone in light alone, where the most is different.
func (p *Page) Inspect(name string) {
	p.t.Helper()
	type look struct {
		device Device
		scheme Scheme
		axe    bool
	}
	looks := []look{
		{Desktop, Light, true}, {Desktop, Dark, true},
		{Phone, Light, true}, {Phone, Dark, false}, // whose layout and whose colours axe has seen by now
	}
	if !p.script {
		name += "-without-script"
		looks = looks[2:3]
	}
	for _, look := range looks {
		p.Look(look.device, look.scheme)
		shown := fmt.Sprintf("%s-%s-%s", name, look.device, look.scheme)
		p.Screenshot(shown)
		if look.axe {
			for _, violation := range p.Violations() {
				p.t.Errorf("%s: axe: %s", shown, violation)
			}
		}
		if wide := p.Overflow(); wide != "" {
			p.t.Errorf("%s: %s", shown, wide)
		}
	}
	p.Look(Desktop, Light)
}

// Overflow says by how much the page is wider than its device, and which of its
// elements reach furthest; "" when it is not.
func (p *Page) Overflow() string {
	p.t.Helper()
	document, err := p.document()
	p.must(err)
	value, err := p.on(document, `function(device) {
		const wide = this.scrollingElement.scrollWidth;
		if (wide <= device) return "";
		const reaches = e => e.getBoundingClientRect().left + e.scrollWidth;
		const name = e => e.tagName.toLowerCase() + (e.id && "#" + e.id) + [...e.classList].map(c => "." + c).join("");
		const all = [...this.body.querySelectorAll("*")].filter(e => reaches(e) > device && getComputedStyle(e).overflowX === "visible");
		return wide + " pixels wide on a device of " + device + ": " + all.slice(-5).map(name).join(", ");
	}`, p.device.Width)
	p.must(err)
	var wide string
	p.must(json.Unmarshal(value, &wide))
	return wide
}

// Violations returns what axe finds wrong with the page: the rule, what it
// helps, and where.
func (p *Page) Violations() []string {
	p.t.Helper()
	source, err := axe()
	p.must(err)
	if !p.script { // what the page has was made without; axe itself needs it
		call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{})
		defer call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	}
	// In a world of its own it sees the page, and neither changes what the
	// page's scripts see nor is subject to the page's policy.
	frame := call(p, page.GetFrameTree, cdp.Empty{}).FrameTree.Frame.ID
	world := call(p, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame, WorldName: "axe"}).ExecutionContextID
	result := call(p, runtime.Evaluate, runtime.EvaluateParams{
		ContextID: world, AwaitPromise: new(true), ReturnByValue: new(true),
		Expression: "globalThis.axe ?? (() => {" + source + "})();" +
			`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations)`,
	})
	if e := result.ExceptionDetails; e != nil {
		p.t.Fatalf("axe: %s %+v", e.Text, e.Exception)
	}
	var found []struct {
		ID, Help string
		Nodes    []struct {
			Target         []json.RawMessage
			FailureSummary string
		}
	}
	p.must(json.Unmarshal(result.Result.Value, &found))
	var violations []string
	for _, v := range found {
		for _, node := range v.Nodes {
			violations = append(violations, fmt.Sprintf("%s: %s: %s: %s", v.ID, v.Help, node.Target, strings.Join(strings.Fields(node.FailureSummary), " ")))
		}
	}
	return violations
}
