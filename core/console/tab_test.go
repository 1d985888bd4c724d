package console

import (
	"context"
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
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tabTimeout is far longer than any test takes on a machine that is not stuck.
const tabTimeout = 2 * time.Minute

// newBrowser starts a headless browser, which ends with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := found()
	if err != nil {
		t.Skip(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute), chromedp.UserDataDir(t.TempDir()))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log(err)
		}
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// tab is one window with cookies of its own, in which nothing may go wrong.
type tab struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // chromedp hides the tab in it
	origin string

	mu     sync.Mutex
	wrong  []string
	loaded int // requests
}

func newTab(browser context.Context, t *testing.T, r *rig) *tab {
	t.Helper()
	tb := &tab{t: t, origin: "http://" + r.Addr().String()}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(tb.heard))
	ctx, stop := context.WithTimeout(ctx, tabTimeout)
	tb.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			tb.shoot("failed")
		}
		stop()
		cancel()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		for _, w := range tb.wrong {
			t.Error(w)
		}
		if tb.loaded == 0 {
			t.Error("the tab has loaded nothing")
		}
	})
	call(tb, network.Enable, network.EnableParams{})
	call(tb, log.Enable, cdp.Empty{})
	call(tb, runtime.Enable, cdp.Empty{})
	tb.size(1440, 900)
	tb.scheme("light")
	return tb
}

// heard notes what must not happen: errors on the console, exceptions, and
// requests to anybody else.
func (tb *tab) heard(ev any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		tb.wrong = append(tb.wrong, fmt.Sprintf("the page wrote to the console: %s %+v", e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		tb.wrong = append(tb.wrong, fmt.Sprintf("the page's script failed: %+v", e.ExceptionDetails))
	case *log.EventEntryAdded:
		tb.wrong = append(tb.wrong, "the browser complains: "+e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		tb.loaded++
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme+"://"+u.Host != tb.origin {
			tb.wrong = append(tb.wrong, "the page asks for "+e.Request.URL)
		}
	}
}

// forgive takes back complaints that a test has brought about.
func (tb *tab) forgive(with string) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.wrong = slices.DeleteFunc(tb.wrong, func(w string) bool { return strings.Contains(w, with) })
}

func (tb *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx, steps...); err != nil {
		tb.t.Fatal(err)
	}
}

func call[P, R any](tb *tab, command cdp.Command[P, R], params P) R {
	tb.t.Helper()
	result, err := chromedp.Call(tb.ctx, command, params)
	if err != nil {
		tb.t.Fatal(err)
	}
	return result
}

// keys presses keys, one after the other.
func (tb *tab) keys(keys string) {
	tb.t.Helper()
	tb.run(chromedp.KeyEvent(keys))
}

// signIn opens the page and types the token, by keyboard alone: the field has
// the focus.
func (tb *tab) signIn() {
	tb.t.Helper()
	tb.run(chromedp.Navigate(tb.origin + base))
	tb.await(`document.activeElement.id === "token"`)
	tb.keys(token + "\r")
	tb.await(`document.querySelector("#live")?.dataset.state === "on"`)
}

func (tb *tab) size(width, height int64) {
	tb.t.Helper()
	call(tb, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

func (tb *tab) scheme(name string) {
	tb.t.Helper()
	call(tb, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// eval returns what an expression of JavaScript is.
func eval[T any](tb *tab, expression string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		tb.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await waits until an expression is true, also over a navigation.
func (tb *tab) await(expression string) {
	tb.t.Helper()
	until(tb.t, expression, func() bool {
		ok, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		return err == nil && ok
	})
}

// shoot writes what is seen into the folder that CONSOLE_SHOTS names, if it does.
func (tb *tab) shoot(name string) {
	tb.t.Helper()
	dir := os.Getenv("CONSOLE_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tb.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		tb.t.Fatal(err)
	}
}

// shootView is shoot without what is scrolled away.
func (tb *tab) shootView(name string) {
	tb.t.Helper()
	dir := os.Getenv("CONSOLE_SHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), runOf(tb, chromedp.CaptureScreenshot()), 0o600); err != nil {
		tb.t.Fatal(err)
	}
}

// runOf returns what an action does.
func runOf[T any](tb *tab, action chromedp.Action[T]) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, action)
	if err != nil {
		tb.t.Fatal(err)
	}
	return v
}

// rigs opens pages with a tab each.
type rigs struct {
	t       *testing.T
	browser context.Context //nolint:containedctx // chromedp hides the browser in it
}

func (rs *rigs) open(source Source) (*rig, *tab) {
	rs.t.Helper()
	s := New(Options{Listen: "127.0.0.1:0", Token: token, Source: source, Log: quiet()})
	s.collect.every = 200 * time.Millisecond // what a browser draws in time
	r := start(rs.t, s)
	return r, newTab(rs.browser, rs.t, r)
}

// word is the text of a value of the accessibility tree.
func word(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(v.Value), `"`)
}
