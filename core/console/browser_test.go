package console

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/refusals"
)

// TestBrowser drives the page in a real browser. In each tab nothing may be
// written to the console, and nothing asked of another address.
func TestBrowser(t *testing.T) {
	browser := newBrowser(t)
	for name, test := range map[string]func(*testing.T, *rigs){
		"sign in":           testSignIn,
		"live":              testLive,
		"what is open":      testOpenStaysOpen,
		"rows":              testRows,
		"verify by keys":    testVerifyByKeys,
		"pause":             testPause,
		"find":              testFind,
		"copy":              testCopy,
		"the broker leaves": testBrokerLeaves,
		"signed out":        testSignedOutElsewhere,
		"widths":            testWidths,
		"names":             testNames,
		"contrast":          testContrast,
		"without scripts":   testWithoutScripts,
	} {
		t.Run(name, func(t *testing.T) { test(t, &rigs{t, browser}) })
	}
}

func testSignIn(t *testing.T, rs *rigs) {
	r, tb := rs.open(busy(3))
	tb.run(chromedp.Navigate(tb.origin + base))
	tb.await(`document.activeElement.id === "token"`)
	tb.shoot("signin-light")
	tb.keys("wrong\r")
	tb.await(`document.querySelector("[role=alert]")?.textContent.includes("not the token")`)
	tb.forgive("401")
	tb.scheme("dark")
	tb.shoot("signin-wrong-dark")
	tb.keys(token + "\r")
	tb.await(`document.querySelector("#live")?.dataset.state === "on"`)
	if got := eval[string](tb, `[...document.querySelectorAll("#links h3")].map(e => e.textContent).join(" ")`); got !=
		"Peers and HTTP callers Stage 1: auth Stage 2: legacy-auth Stage 3: grants Stage 4: rate-limit Stage 5: office-hours Stage 6: scan Stage 7: score Stage 8: route Stage 9: audit Recipients" {
		t.Errorf("the chain is %s", got)
	}
	if got := eval[string](tb, `document.cookie`); got != "" {
		t.Errorf("a script can read the cookie: %s", got)
	}
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("form[action=signout] button").click()`))
	tb.await(`document.querySelector("#token")`)
	if a := r.do("GET", "/console/snapshot.json", nil, nil); a.StatusCode != 401 {
		t.Errorf("after the sign-out: %s", a.Status)
	}
}

func testLive(_ *testing.T, rs *rigs) {
	var peers atomic.Int64
	source := busy(3)
	calm := source.SnapshotFn
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := calm(n)
		s.Broker.Peers = int(peers.Load())
		return s, err
	}
	_, tb := rs.open(source)
	tb.signIn()
	tb.await(`document.querySelector(".tile .value").textContent === "0"`)
	peers.Store(4711)
	tb.await(`document.querySelector(".tile .value").textContent === "4,711"`)
	tb.await(`document.querySelectorAll("#links .curve polyline").length > 5`)
	tb.await(`/^(now|\d+ s ago)$/.test(document.querySelector("#mesh-rows time").textContent)`)
}

// What the reader has opened, focused or scrolled to is left alone.
func testOpenStaysOpen(t *testing.T, rs *rigs) {
	_, tb := rs.open(busy(50))
	tb.signIn()
	tb.run(chromedp.Evaluate[chromedp.Void](`(() => {
		const box = document.querySelector("#link-at-rate-limit");
		box.querySelector("summary").focus();
		window.kept = [box, box.querySelector("details"), document.querySelector("#mesh-at-mesh-0003 button[type=submit]")];
		window.scrollTo(0, 700);
	})()`))
	tb.keys("\r")
	tb.await(`kept[1].open`)
	tb.shootView("open-stage-light")
	before := eval[string](tb, `kept[0].querySelector(".rate").textContent`)
	tb.await(fmt.Sprintf(`kept[0].querySelector(".rate").textContent !== %q`, before))
	tb.await(`document.querySelector("#refusal-rows tr:nth-child(10)")`)
	if !eval[bool](tb, `kept[1].open && kept.every(e => e.isConnected) && document.activeElement === kept[0].querySelector("summary")`) {
		t.Error("an update has closed it, replaced it, or taken the focus away")
	}
	tb.run(chromedp.Evaluate[chromedp.Void](`kept[2].focus()`))
	at := eval[float64](tb, `kept[2].getBoundingClientRect().top + scrollY - document.querySelector("#mesh-rows").getBoundingClientRect().top - scrollY`)
	before = eval[string](tb, `kept[0].querySelector(".rate").textContent`)
	tb.await(fmt.Sprintf(`kept[0].querySelector(".rate").textContent !== %q`, before))
	if now := eval[float64](tb, `kept[2].getBoundingClientRect().top - document.querySelector("#mesh-rows").getBoundingClientRect().top`); now != at ||
		!eval[bool](tb, `document.activeElement === kept[2]`) {
		t.Errorf("the focused button moved from %v to %v, or lost the focus", at, now)
	}
}

// Rows come, go and change places, and stay the same elements.
func testRows(t *testing.T, rs *rigs) {
	var list atomic.Pointer[[]Mesh]
	list.Store(&[]Mesh{{ID: "a", Slug: "a", Peers: 3}, {ID: "b", Slug: "b", Peers: 2}, {ID: "c", Slug: "c", Peers: 1}})
	source := empty()
	calm := source.SnapshotFn
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := calm(n)
		s.Meshes = *list.Load()
		return s, err
	}
	_, tb := rs.open(source)
	tb.signIn()
	const rows = `[...document.querySelectorAll("#mesh-rows tr")].map(r => r.id + r.querySelector(".number").textContent).join(" ")`
	tb.await(rows + ` === "mesh-at-a3 mesh-at-b2 mesh-at-c1"`)
	tb.run(chromedp.Evaluate[chromedp.Void](`window.b = document.querySelector("#mesh-at-b"), b.querySelector("button").focus()`))
	for _, step := range []struct {
		meshes []Mesh
		want   string
	}{
		{[]Mesh{{ID: "b", Slug: "b", Peers: 9}, {ID: "a", Slug: "a", Peers: 3}, {ID: "d", Slug: "d", Peers: 4}}, "mesh-at-b9 mesh-at-d4 mesh-at-a3"},
		{[]Mesh{{ID: "b", Slug: "b"}, {ID: "x", Slug: "x", Peers: 1}, {ID: "a", Slug: "a", Peers: 3}, {ID: "d", Slug: "d", Peers: 4}}, "mesh-at-d4 mesh-at-a3 mesh-at-x1 mesh-at-b0"},
		{[]Mesh{{ID: "b", Slug: "b"}}, "mesh-at-b0"},
	} {
		list.Store(&step.meshes)
		tb.await(rows + ` === "` + step.want + `"`)
		if !eval[bool](tb, `b.isConnected && b.contains(document.activeElement)`) {
			t.Errorf("%s: the row is another one, or lost the focus", step.want)
		}
	}
	list.Store(&[]Mesh{})
	tb.await(rows + ` === ""`)
}

func testVerifyByKeys(t *testing.T, rs *rigs) {
	source, finish := slow()
	_, tb := rs.open(source)
	tb.signIn()
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#mesh-at-mesh-0000 .id button").focus()`))
	tb.keys("\t") // from the button before it
	if got := eval[string](tb, `document.activeElement.getAttribute("aria-label")`); got != "Verify the audit log of platform-0" {
		t.Fatalf("the focus is on %q", got)
	}
	tb.keys(" ")
	tb.await(`document.querySelector("#say").textContent === "The audit log is being verified."`)
	tb.await(`document.querySelector("#mesh-at-mesh-0000 .verdict")?.textContent.includes("Verifying")`)
	tb.keys(" ") // is not begun twice
	finish <- admin.Verification{Valid: true, Entries: 1204}
	tb.await(`document.querySelector("#mesh-at-mesh-0000 .verdict").textContent.includes("Intact")`)
	tb.await(`document.querySelector("#spoken").textContent.startsWith("Audit log of platform-0: intact. 1,204 entries")`)
	if got := eval[string](tb, `document.activeElement.getAttribute("aria-label")`); got != "Verify the audit log of platform-0" {
		t.Errorf("then the focus is on %q", got)
	}
	tb.keys(" ")
	finish <- admin.Verification{BrokenAt: 812, Why: "row does not have the content it was hashed with"}
	tb.await(`document.querySelector("#mesh-at-mesh-0000 .verdict").textContent.includes("Broken")`)
	tb.shoot("verdict-light")
	if got := eval[string](tb, `location.hash + document.title`); strings.Contains(got, "#") {
		t.Errorf("the page went to %s", got)
	}
}

func testPause(t *testing.T, rs *rigs) {
	r, tb := rs.open(busy(3))
	tb.signIn()
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#pause").focus()`))
	tb.keys("\r")
	tb.await(`document.querySelector("#live-word").textContent === "Paused" && document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
	until(t, "nobody watches", func() bool { return len(r.watchers) == 0 })
	tb.keys("\r")
	tb.await(`document.querySelector("#live-word").textContent === "Live"`)
}

func testFind(t *testing.T, rs *rigs) {
	_, tb := rs.open(busy(70))
	tb.signIn()
	tb.await(`document.querySelectorAll("#mesh-rows tr").length === 50`)
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#mesh-filter").focus()`))
	tb.keys("mesh-0066")
	tb.await(`document.querySelectorAll("#mesh-rows tr").length === 1 && document.querySelector("#mesh-at-mesh-0066")`)
	if got := eval[string](tb, `location.search + " " + document.activeElement.id + " " + document.activeElement.value`); got != "?mesh=mesh-0066 mesh-filter mesh-0066" {
		t.Errorf("the page is at %s", got)
	}
	tb.run(chromedp.Reload())
	tb.await(`document.querySelectorAll("#mesh-rows tr").length === 1 && document.querySelector("#mesh-filter").value === "mesh-0066"`)
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#mesh-filter").select()`))
	tb.keys("\b\r")
	tb.await(`document.querySelectorAll("#mesh-rows tr").length === 50`)
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#refusal-filter").focus()`))
	tb.keys("office-hours")
	tb.await(`(rows => rows.length > 0 && rows.every(r => r.textContent.includes("office-hours")))([...document.querySelectorAll("#refusal-rows tr")])`)
}

func testCopy(t *testing.T, rs *rigs) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	source := empty()
	calm := source.SnapshotFn
	source.SnapshotFn = func(n int) (*Snapshot, error) {
		s, err := calm(n)
		s.Refusals = []refusals.Refusal{{Seq: 1, At: s.At, Kind: "send", Reason: "not_granted", TraceID: trace}}
		return s, err
	}
	_, tb := rs.open(source)
	tb.signIn()
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#refusal-rows button").focus()`))
	tb.keys("\r")
	tb.await(`document.querySelector("#say").textContent === "Copied ` + trace + `" && document.activeElement.dataset.copy === "` + trace + `"`)
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#mesh-filter").focus()`))
	tb.keys("x")
	call(tb, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: "rawKeyDown", Key: "v", Modifiers: 2, Commands: []string{"paste"}})
	if got := eval[string](tb, `document.querySelector("#mesh-filter").value`); got != "x"+trace {
		t.Errorf("what was copied is %q", got)
	}
}

func testBrokerLeaves(t *testing.T, rs *rigs) {
	r, tb := rs.open(busy(3))
	tb.signIn()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	tb.await(`document.querySelector("#live").dataset.state === "wait"`)
	again := New(Options{Listen: r.Addr().String(), Token: token, Source: busy(3), Log: quiet()})
	start(t, again)
	// The new broker does not know the sign-in of the old one.
	tb.await(`document.querySelector("#live-word").textContent === "Signed out"`)
	tb.forgive("ERR_")
	tb.forgive("401")
	tb.run(chromedp.Reload())
	tb.await(`document.activeElement.id === "token"`)
	tb.keys(token + "\r")
	tb.await(`document.querySelector("#live")?.dataset.state === "on"`)
}

func testSignedOutElsewhere(_ *testing.T, rs *rigs) {
	r, tb := rs.open(busy(3))
	tb.signIn()
	r.doors.mu.Lock()
	r.doors.end(r.doors.oldest())
	r.doors.mu.Unlock()
	tb.await(`document.querySelector("#live-word").textContent === "Signed out" && document.querySelector("#say").textContent.includes("Load the page again")`)
}

// No width makes the page scroll sideways, with everything opened.
func testWidths(t *testing.T, rs *rigs) {
	for name, source := range map[string]*fake{"full": busy(70), "empty": empty()} {
		_, tb := rs.open(source)
		tb.signIn()
		tb.await(`document.querySelectorAll("#links .link").length > 5`)
		if name == "full" {
			tb.await(`document.querySelectorAll("#links .curve polyline").length > 5`)
		}
		for _, scheme := range []string{"light", "dark"} {
			tb.scheme(scheme)
			for _, width := range []int64{1920, 1440, 1200, 1024, 768, 480, 360, 320} {
				tb.size(width, 900)
				for _, open := range []bool{false, true} {
					tb.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelectorAll("details").forEach(d => d.open = %v)`, open)))
					if got := eval[int64](tb, `document.documentElement.scrollWidth`); got > width {
						t.Errorf("%s: at %d px, opened %v, the page is %d px wide: %s", name, width, open, got, eval[string](tb, widest))
					}
					if width == 1440 || width == 360 || width == 768 && open {
						tb.shoot(fmt.Sprintf("%s-%s-%d-%v", name, scheme, width, open))
					}
				}
			}
		}
	}
}

// widest says which elements stick out.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(" | ")`

// Every control has a name, and every region a title.
func testNames(t *testing.T, rs *rigs) {
	_, tb := rs.open(busy(5))
	tb.run(chromedp.Navigate(tb.origin + base + "signin"))
	check := func(least int) {
		t.Helper()
		call(tb, accessibility.Enable, cdp.Empty{})
		seen := 0
		names := map[string]int{}
		for _, n := range call(tb, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			if n.Ignored || n.Role == nil {
				continue
			}
			role, name := word(n.Role), word(n.Name)
			switch role {
			case "button", "link", "textbox", "searchbox", "combobox", "DisclosureTriangle", "region", "table", "navigation", "search", "columnheader", "rowheader", "heading":
				seen++
				if strings.TrimSpace(name) == "" {
					t.Errorf("a %s has no name", role)
				}
				if role == "button" || role == "DisclosureTriangle" {
					names[role+" "+name]++
				}
			}
		}
		for name, n := range names {
			if n > 1 {
				t.Errorf("%d are called %q", n, name)
			}
		}
		if seen < least {
			t.Errorf("only %d names were looked at", seen)
		}
	}
	check(3)
	tb.signIn()
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#pause").click(), document.querySelectorAll("details").forEach(d => d.open = true)`))
	check(60)
	got := eval[[]string](tb, `[...document.querySelectorAll("h1, h2, h3, h4")].map(h => h.tagName)`)
	for i := range got {
		if i > 0 && got[i][1] > got[i-1][1]+1 {
			t.Errorf("a %s follows a %s", got[i], got[i-1])
		}
	}
	if got := eval[int](tb, `document.querySelectorAll("table:not(:has(caption)), th:not([scope])").length`); got != 0 {
		t.Errorf("%d tables have no caption or heads without a scope", got)
	}
	// The skip link is the first stop, and is seen when it is reached.
	tb.run(chromedp.Reload())
	tb.await(`document.querySelector("#live")?.dataset.state === "on"`)
	tb.keys("\t")
	if !eval[bool](tb, `document.activeElement.classList.contains("skip") && document.activeElement.getBoundingClientRect().top >= 0 && getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
		t.Error("the first stop of the keyboard is not the skip link")
	}
	tb.keys("\r")
	tb.await(`document.activeElement.id === "chain"`)
}

// testContrast computes what WCAG asks for of every text that is shown: 4.5 to
// 1, and 3 to 1 for large ones.
func testContrast(t *testing.T, rs *rigs) {
	source, finish := slow()
	_, tb := rs.open(source)
	tb.signIn()
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#mesh-at-mesh-0000 .verify button").click()`))
	finish <- admin.Verification{Valid: true, Entries: 12}
	tb.await(`document.querySelector("#mesh-at-mesh-0000 .verdict")?.textContent.includes("Intact")`)
	tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelector("#mesh-at-mesh-0001 .verify button").click()`))
	tb.await(`document.querySelectorAll(".verdict").length === 2`)
	tb.await(`document.querySelectorAll("#links .curve polyline").length > 5`)
	for _, scheme := range []string{"light", "dark"} {
		tb.scheme(scheme)
		tb.run(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => d.open = true)`))
		got := eval[contrast](tb, contrastOfAll)
		if got.Texts < 200 {
			t.Errorf("%s: only %d texts were looked at", scheme, got.Texts)
		}
		for _, f := range got.Faint {
			t.Errorf("%s: %s", scheme, f)
		}
		t.Logf("%s: %d texts, the faintest has %.1f", scheme, got.Texts, got.Least)
	}
}

type contrast struct {
	Texts int
	Least float64
	Faint []string
}

const contrastOfAll = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
	const light = (c) => { const [r, g, b] = c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const ground = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
	const out = { Texts: 0, Least: 21, Faint: [] };
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walk.nextNode());) {
		const e = n.parentElement;
		if (!n.data.trim() || e.closest("noscript, .hidden, script, option") || !e.checkVisibility()) continue;
		const s = getComputedStyle(e), a = light(rgba(s.color)), b = light(ground(e));
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		const large = parseFloat(s.fontSize) >= 24 || parseFloat(s.fontSize) >= 18.66 && s.fontWeight >= 700;
		out.Texts++;
		out.Least = Math.min(out.Least, ratio);
		if (ratio < (large ? 3 : 4.5)) out.Faint.push(ratio.toFixed(2) + " to 1: " + n.data.trim().slice(0, 40) + " in " + e.outerHTML.slice(0, 60));
	}
	return out;
})()`

// Without scripts the page is whole, and its forms work.
func testWithoutScripts(t *testing.T, rs *rigs) {
	source, finish := slow()
	r, tb := rs.open(source)
	call(tb, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	tb.run(chromedp.Navigate(tb.origin+base), chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"), chromedp.WaitVisible(chromedp.CSS("#links")))
	tb.shoot("without-scripts-light")
	if got := runOf(tb, chromedp.Text(chromedp.CSS("#live"))); got != "Not live" {
		t.Errorf("it says %q", got)
	}
	tb.run(chromedp.Click(chromedp.CSS("#mesh-at-mesh-0000 .verify button")))
	until(t, "it is being verified", func() bool { return r.verifier.verdicts()["mesh-0000"].Running })
	finish <- admin.Verification{Valid: true, Entries: 12}
	tb.run(chromedp.SendKeys(chromedp.CSS("#mesh-filter"), "mesh-0004\r"))
	until(t, "the mesh is found", func() bool {
		loc := runOf(tb, chromedp.Location())
		return strings.Contains(loc, "mesh=mesh-0004")
	})
}
