package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/pluginhost"
)

// A long run: make drills.
var drillReloads = flag.Int("drill.reloads", 200, "how often the drill of reloads replaces the chain")

// TestDrillReloads replaces a chain with plugins again and again under load.
// Turn by turn the options of one plugin change, which makes a new instance in
// the same process, and those of another link, which leaves it alone; each
// 25th time its program is another, which makes a new process. A second plugin
// is always carried over. It runs alone: it counts what the whole process holds.
func TestDrillReloads(t *testing.T) {
	const peers, every = 8, 25
	warm := *drillReloads / 4
	x := newTerminal(t)
	path, kept := newDrill(t), newDrill(t)
	programs := programsOf(t, path)
	file := filepath.Join(x.home, "broker.yaml")
	write := func(i int) {
		replace(t, file, drilled(fmt.Sprintf("send: 1000000/s, burst: %d", 100_000+i/2%2),
			drillLink{name: "changed", path: path, options: fmt.Sprintf("note: number %d", (i+1)/2)},
			drillLink{name: "kept", path: kept}))
	}
	write(0)
	_, url := x.serve("--config", file, "--set", "log.level=warn") // this process keeps the log
	load := newTraffic(t, url, x.team(peers), 10*time.Millisecond)
	load.start()
	load.moves(100)

	was, still := x.plugin("changed"), x.plugin("kept")
	others := children(t) - 2 // of other tests, such as a PostgreSQL server
	var before estate
	sent, since := 0, time.Now()
	for i := 1; i <= *drillReloads; i++ {
		write(i)
		replaced := i%every == 0
		if replaced {
			install(t, path, programs[i/every%2])
		}
		if out := x.ok(x.on("reload", "--wait")...); !strings.Contains(out, "the old chain has ended") {
			t.Fatalf("reload %d says\n%s", i, out)
		}
		now := x.plugin("changed")
		wantKept(t, i, "changed", was, now, !replaced, !replaced && i%2 == 0)
		wantKept(t, i, "kept", still, x.plugin("kept"), true, true)
		was = now
		if i == warm {
			sent += load.finish()
			before = estateOf(t)
			load.start()
		}
	}
	took := time.Since(since)
	sent += load.finish()
	after := estateOf(t)
	for deadline := time.Now().Add(patience); after.above(before) && time.Now().Before(deadline); after = estateOf(t) {
		runtime.Gosched()
	}
	runtime.KeepAlive(programs) // else they count before, and not after
	if after.above(before) || after.children != others+2 {
		t.Errorf("after %d reloads there was %+v, and after %d there is %+v", warm, before, *drillReloads, after)
	}
	if dirs := x.socketDirs(); len(dirs) != 2 {
		t.Errorf("two processes have the directories %v", dirs)
	}
	t.Logf("%d reloads in %v, %d messages; after %d: %+v; at the end: %+v", *drillReloads, took, sent, warm, before, after)
}

// programsOf returns a program twice, as it is and with other bytes. The first
// is what a link begins with.
func programsOf(t *testing.T, path string) [2][]byte {
	t.Helper()
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return [2][]byte{program, append(bytes.Clone(program), "other"...)}
}

// wantKept compares a plugin before and after a reload.
func wantKept(t *testing.T, i int, link string, a, b pluginhost.Status, process, instance bool) {
	t.Helper()
	if (a.PID == b.PID) != process || (a.Instance == b.Instance) != instance || b.Down != "" {
		t.Fatalf("reload %d, %s: process %d, instance %s; before it was %d, %s; want the same process %v, instance %v; down %q",
			i, link, b.PID, b.Instance, a.PID, a.Instance, process, instance, b.Down)
	}
}

// estate is what a process holds that has plugins.
type estate struct {
	held
	children int
	heap     uint64 // bytes in use after a collection
	rss      uint64 // bytes, when what is free was given back
}

// above leaves room for what comes and goes.
func (e estate) above(o estate) bool {
	const heapRoom, rssRoom = 4 << 20, 32 << 20
	return e.held.above(o.held) || e.children > o.children || e.heap > o.heap+heapRoom || !raceDetector && e.rss > o.rss+rssRoom
}

func estateOf(t *testing.T) estate {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return estate{held: holdings(t), children: children(t), heap: m.HeapAlloc, rss: rss(t)}
}

// children counts the processes that this one has started.
func children(t *testing.T) (n int) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err == nil { // its thread may have ended
			n += len(bytes.Fields(b))
		}
	}
	return n
}

func rss(t *testing.T) uint64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0 // not Linux
	}
	pages, err := strconv.ParseUint(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * uint64(os.Getpagesize())
}
