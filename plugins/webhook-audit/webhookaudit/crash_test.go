package webhookaudit

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// childEnv makes the test program an observer to kill. Its value is the spill
// directory; the options that tests cannot know before follow.
const (
	childEnv = "WEBHOOK_AUDIT_TEST_CHILD"
	childURL = "WEBHOOK_AUDIT_TEST_URL"
	childCA  = "WEBHOOK_AUDIT_TEST_CA"
)

// child tells events for as long as it is alive.
func child(dir string) {
	o := (&receiver{}).childOptions(dir, os.Getenv(childURL), os.Getenv(childCA))
	w, err := New(o)
	if err != nil {
		panic(err)
	}
	if err := w.Start(context.Background()); err != nil {
		panic(err)
	}
	tick := time.NewTicker(time.Millisecond)
	for n := 0; ; n += 5 {
		tell(w, n, n+5)
		<-tick.C
	}
}

func (*receiver) childOptions(dir, url, ca string) Options {
	o := Default()
	o.URL, o.SecretEnv, o.CAFile, o.SpillDir = url, secretEnv, ca, dir
	o.MaxEvents, o.MaxWait, o.RetryMax = 10, 1_000_000, 10_000_000
	o.SpillSync = false // kill -9 loses nothing that was written
	return o
}

// killChild starts a child, waits until a condition holds, and kills it.
func (r *receiver) killChild(dir string, wait func()) {
	r.t.Helper()
	program, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(r.t.Context(), program)
	cmd.Env = append(os.Environ(), childEnv+"="+dir, childURL+"="+r.server.URL, childCA+"="+r.ca)
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if r.t.Failed() {
			r.t.Logf("the child wrote:\n%s", out)
		}
	}()
	wait()
}

// spilled counts the whole records of a spill directory, as the next life will
// find them, and returns the ids of those that are not done.
func spilled(t *testing.T, dir string) (ids []string) {
	t.Helper()
	cursor, err := os.OpenFile(dir+"/"+cursorFile, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Close()
	first, offset := readCursor(cursor)
	numbers, err := segmentNumbers(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range numbers {
		f, err := os.Open((&spill{dir: dir}).path(n))
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		if n == first {
			at = offset
		}
		for n >= first {
			b, err := readRecord(f, at)
			if err != nil {
				break
			}
			ids = append(ids, b.id)
			at += b.recordSize()
		}
		f.Close()
	}
	return ids
}

func TestKillDuringAnOutageKeepsWhatWasSpilled(t *testing.T) {
	r := newReceiver(t)
	dir := t.TempDir()
	r.answer(http.StatusBadGateway)
	r.killChild(dir, func() {
		eventually(t, func() bool { return len(spilled(t, dir)) >= 100 })
	})
	r.recover(dir, spilled(t, dir))
}

func TestKillWhilePostingKeepsWhatWasSpilled(t *testing.T) {
	r := newReceiver(t)
	dir := t.TempDir()
	r.answer(0, 503, 200, 429, 200, 200, 503)
	r.killChild(dir, func() {
		r.until("some batches", func() bool { return len(r.seen) >= 20 })
	})
	r.recover(dir, spilled(t, dir))
}

// recover starts another life and wants every batch that was spilled, and all
// events in order without a gap.
func (r *receiver) recover(dir string, ids []string) {
	r.t.Helper()
	r.answer(0)
	w := start(r.t, r.childOptions(dir, r.server.URL, r.ca))
	r.until("all that was spilled", func() bool {
		for _, id := range ids {
			if !r.seen[id] {
				return false
			}
		}
		return true
	})
	stop(r.t, w)
	r.mu.Lock()
	n := len(r.events)
	r.mu.Unlock()
	r.wantInOrder(0, n)
	if w.Stats().Lost != 0 {
		r.t.Errorf("%d events are lost", w.Stats().Lost)
	}
}
