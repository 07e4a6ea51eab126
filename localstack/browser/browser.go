// Package browser has tests use pages in a real browser as a person does: by
// the names of buttons and the labels of fields, with the keyboard, on a
// desktop or a phone. It fails a test whose pages write errors to the console,
// violate their content security policy, ask another origin for anything, or
// hold what axe finds hard to use.
//
// One browser serves all tests of a process. Each page that is opened has a
// profile of its own, as if on a machine of its own.
package browser

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/chromedp/chromedp"
)

// most is how many tests use the browser at a time; more only get in each
// other's way on a small machine.
const most = 2

var slots = make(chan struct{}, most)

// root is the folder that holds the module.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod here or above")
		}
	}
	return "", err
})

// axe is the source of axe, which finds what keeps people from using a page.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := root()
	if err != nil {
		return "", err
	}
	source, err := os.ReadFile(filepath.Join(dir, ".tools/chromium/node_modules/axe-core/axe.min.js"))
	return string(source), err
})

// running is the browser: the context that every page's derives from.
var running = sync.OnceValues(func() (context.Context, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	if _, err := axe(); err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // which not every machine lets users have; it shows but the pages under test
		chromedp.DisableGPU,
		chromedp.Flag("disable-software-rasterizer", true),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("lang", "en-US"),
		chromedp.Env("LANGUAGE=en_US", "LANG=en_US.UTF-8", "LC_ALL=en_US.UTF-8", "TZ=UTC"), // as that of a person, wherever the tests run
		// Whatever a page asks for, nothing leaves the machine.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)
	tools := filepath.Join(dir, ".tools/chromium")
	switch _, err := os.Stat(filepath.Join(tools, "chromium")); {
	case err == nil:
		options = append(options,
			chromedp.ExecPath(filepath.Join(tools, "chromium")),
			chromedp.Env("LD_LIBRARY_PATH="+filepath.Join(tools, "lib"),
				"FONTCONFIG_FILE="+filepath.Join(tools, "fonts.conf"),
				"XDG_CACHE_HOME="+filepath.Join(tools, "cache")))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator) // Stop cancels it
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	started = ctx
	return ctx, nil
})

var started context.Context

// Stop ends the browser, if one was needed: for when all tests have ended.
func Stop() {
	if started != nil {
		// What a browser says as it ends is of no interest.
		_ = chromedp.Cancel(started)
	}
}
