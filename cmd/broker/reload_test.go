package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/sdk"
)

// replace puts a file in place in one step.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// limited is a config whose chain tells one from another by its rate-limit.
func limited(burst int) string {
	return fmt.Sprintf("pipeline: [{stage: auth}, {stage: grants}, "+
		"{stage: rate-limit, with: {send: 1000000/s, burst: %d}}, {stage: route}, {stage: audit}]\nreload: {debounce: 20ms}\n", burst)
}

// TestReloadByItself changes the file under a broker that is told nothing.
func TestReloadByItself(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	file := filepath.Join(x.home, "broker.yaml")
	replace(t, file, limited(1000))
	broker, url := x.serve("--config", file)
	first := parse[admin.Chain](t, x.ok(x.on("chain", "--json")...)).Loaded
	if first == nil || first.Generation != 1 || first.By != admin.ByStart || len(first.SHA256) != 64 {
		t.Errorf("at the start: %+v", first)
	}
	if err := os.WriteFile(file, []byte("pipeline: [{stage: auth}, {stage: rou"), 0o600); err != nil {
		t.Fatal(err)
	}
	broker.err.wait(broker, `"msg":"reload refused","by":"file","generation":1`)
	out := x.ok(x.on("chain")...)
	if !strings.Contains(out, "generation 1, loaded ") || !strings.Contains(out, "by file, was refused: nothing was changed: ") {
		t.Errorf("chain says\n%s", out)
	}
	wantMetrics(t, url, "broker_config_generation 1", "broker_config_last_reload_successful 0",
		`broker_config_reloads_total{trigger="file",result="refused"} 1`, `broker_config_reloads_total{trigger="signal",result="applied"} 0`)

	if err := os.WriteFile(file, []byte(limited(1001)), 0o600); err != nil {
		t.Fatal(err)
	}
	broker.err.wait(broker, `"msg":"reloaded","by":"file","generation":2`)
	second := parse[admin.Chain](t, x.ok(x.on("chain", "--json")...)).Loaded
	if second.Generation != 2 || second.By != admin.ByFile || second.SHA256 == first.SHA256 || second.LastError != nil || second.At.Before(first.At) {
		t.Errorf("after the change: %+v", second)
	}
	wantMetrics(t, url, "broker_config_generation 2", "broker_config_last_reload_successful 1",
		`broker_config_reloads_total{trigger="file",result="applied"} 1`,
		fmt.Sprint("broker_config_last_reload_timestamp_seconds ", second.At.Unix()))
	broker.end()
}

func wantMetrics(t *testing.T, url string, lines ...string) {
	t.Helper()
	url = "http" + strings.TrimSuffix(strings.TrimPrefix(url, "ws"), "/ws") + "/metrics"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if !strings.Contains(string(body), "\n"+line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}

// TestReloadUnderLoad swaps the chain 200 times under 20 peers that send to one
// another. It runs alone: it counts what the whole process holds.
func TestReloadUnderLoad(t *testing.T) {
	const reloads, peers = 200, 20
	x := newTerminal(t)
	file := filepath.Join(x.home, "broker.yaml")
	replace(t, file, limited(100_000))
	_, url := x.serve("--config", file)
	ring := newRing(t, url, x.newMesh("team", fmt.Sprint(peers)))
	before := holdings(t)

	ring.start()
	for i := range reloads {
		replace(t, file, limited(100_001+i%2))
		if out := x.ok(x.on("reload", "--wait")...); !strings.Contains(out, "the old chain has ended") {
			t.Fatalf("reload %d says\n%s", i, out)
		}
	}
	sent := ring.finish()
	loaded := parse[admin.Chain](t, x.ok(x.on("chain", "--json")...)).Loaded
	if loaded.Generation <= reloads || loaded.LastError != nil {
		t.Errorf("after %d reloads: %+v", reloads, loaded)
	}
	after := holdings(t)
	for deadline := time.Now().Add(patience); after.above(before) && time.Now().Before(deadline); after = holdings(t) {
		runtime.Gosched()
	}
	if after.above(before) {
		t.Errorf("the process held %+v before, and holds %+v after", before, after)
	}
	t.Logf("%d messages over %d generations; %+v before, %+v after", sent, loaded.Generation, before, after)
}

// held is what a leak would make more of.
type held struct{ goroutines, files int }

func holdings(t *testing.T) held {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		files = nil // not Linux: only goroutines are counted
	}
	return held{runtime.NumGoroutine(), len(files)}
}

// above leaves room for what comes and goes, such as connections of the store. A
// leak of one thing for each of 200 reloads is far above that.
func (h held) above(o held) bool { return h.goroutines > o.goroutines+10 || h.files > o.files+10 }

// ring is peers of which each numbers its messages to the next one.
type ring struct {
	t     *testing.T
	peers []*dial.Peer
	sent  []int          // acknowledged, by sender; set when senders have ended
	got   []atomic.Int64 // by recipient
	stop  context.CancelFunc

	senders, recipients sync.WaitGroup
}

func newRing(t *testing.T, url string, mesh *admin.NewMesh) *ring {
	t.Helper()
	r := &ring{t: t, sent: make([]int, len(mesh.Members)), got: make([]atomic.Int64, len(mesh.Members))}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, m := range mesh.Members {
		key, err := identity.ParseSecret(m.SecretKey)
		if err != nil {
			t.Fatal(err)
		}
		peer, err := dial.Dial(ctx, url, dial.Identity{MeshID: mesh.ID, MemberID: m.ID, Key: key, DisplayName: m.DisplayName},
			dial.Options{ConfirmPushes: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(peer.Abort) // for a ring that is never whole
		r.peers = append(r.peers, peer)
	}
	for i := range r.peers {
		r.recipients.Go(func() { r.receive(i) })
	}
	t.Cleanup(func() {
		for _, p := range r.peers {
			_ = p.Close()
		}
		r.recipients.Wait()
	})
	return r
}

// start lets everybody send until finish.
func (r *ring) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.t.Cleanup(cancel)
	for i := range r.peers {
		r.senders.Go(func() { r.send(ctx, i) })
	}
}

func (r *ring) send(ctx context.Context, i int) {
	to := r.peers[(i+1)%len(r.peers)].Key().String()
	for ctx.Err() == nil {
		waits, cancel := context.WithTimeout(context.Background(), patience)
		nonce, body := dial.Plain(fmt.Sprint(r.sent[i]))
		ack, err := r.peers[i].Send(waits, to, sdk.PriorityNow, nonce, body, dial.SendOptions{})
		cancel()
		if err != nil || !ack.Queued {
			r.t.Errorf("peer %d, message %d: %+v, %v", i, r.sent[i], ack, err)
			return
		}
		r.sent[i]++
	}
}

// receive wants the messages of one sender in their order, each once, until the
// connection ends.
func (r *ring) receive(i int) {
	for {
		push, err := r.peers[i].RecvMessage(context.Background())
		if err != nil {
			return
		}
		n := r.got[i].Load()
		if text, err := r.peers[i].Open(push); err != nil || text != fmt.Sprint(n) {
			r.t.Errorf("peer %d got %q, %v; want message %d", i, text, err, n)
		}
		r.got[i].Add(1)
	}
}

// finish ends the sending, wants everything to have arrived on connections that
// never ended, and returns how many messages there were.
func (r *ring) finish() (total int) {
	r.t.Helper()
	r.stop()
	r.senders.Wait()
	deadline := time.Now().Add(patience)
	for i, n := range r.sent {
		at := (i + 1) % len(r.peers)
		for r.got[at].Load() < int64(n) && time.Now().Before(deadline) {
			runtime.Gosched()
		}
		if got := r.got[at].Load(); got != int64(n) || n == 0 {
			r.t.Errorf("peer %d had %d messages acknowledged, %d arrived", i, n, got)
		}
		total += n
	}
	for i, p := range r.peers {
		select {
		case <-p.Done():
			r.t.Errorf("the connection of peer %d was closed: %v", i, p.Err())
		default:
		}
	}
	return total
}
