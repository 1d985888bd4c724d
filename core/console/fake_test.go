package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/sdk"
)

// fake is a broker that is made up.
type fake struct {
	asked      atomic.Int64
	SnapshotFn func(n int) (*Snapshot, error) // called with how often it was asked before
	VerifyFn   func(ctx context.Context, mesh string) (admin.Verification, error)

	mu       sync.Mutex
	verified []string
}

func (f *fake) Snapshot(context.Context) (*Snapshot, error) {
	return f.SnapshotFn(int(f.asked.Add(1)) - 1)
}

func (f *fake) Verify(ctx context.Context, mesh string) (admin.Verification, error) {
	f.mu.Lock()
	f.verified = append(f.verified, mesh)
	f.mu.Unlock()
	if f.VerifyFn == nil {
		return admin.Verification{MeshID: mesh, Valid: true, Entries: 1204}, nil
	}
	return f.VerifyFn(ctx, mesh)
}

// empty is a broker that has just begun.
func empty() *fake {
	started := time.Now()
	return &fake{SnapshotFn: func(int) (*Snapshot, error) {
		s := &Snapshot{At: time.Now(), StoreAt: time.Now(), Broker: Broker{
			Version: "v0.1.0", Host: "broker-a", Store: "sqlite", Bus: "local", Started: started, Memory: 24 << 20,
		}}
		for _, name := range []string{"auth", "legacy-auth", "grants", "rate-limit", "route", "audit"} {
			s.Chain.Links = append(s.Chain.Links, linkOf(name, name != "legacy-auth", 0))
		}
		s.Config.Loaded = admin.Loaded{Generation: 1, At: started, By: admin.ByStart}
		s.Config.Reload = &admin.Reload{}
		return s, nil
	}}
}

var timedBounds = []time.Duration{
	time.Microsecond, 2500, 5 * time.Microsecond, 10 * time.Microsecond, 50 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond,
}

func timingFor(n uint64, fast int) chain.Timing {
	t := chain.Timing{Bounds: timedBounds, Counts: make([]uint64, len(timedBounds)+1)}
	t.Counts[fast], t.Counts[fast+1], t.Counts[fast+2] = n*80/100, n*18/100, n*2/100
	for _, c := range t.Counts {
		t.Count += c
	}
	return t
}

func linkOf(name string, enabled bool, n uint64) chain.LinkDescription {
	roles := map[string]string{"auth": "auth", "legacy-auth": "auth", "route": "route", "audit": "observer"}
	l := chain.LinkDescription{Name: name, Stage: name, Role: roles[name], Enabled: enabled}
	if l.Role == "" {
		l.Role = "gate"
	}
	if !enabled {
		return l
	}
	l.OnFailure, l.Condition, l.Stats = chain.FailClosed, "up", &chain.LinkStats{Link: name}
	if n > 0 && name != "audit" {
		l.Stats.Decisions = []chain.DecisionStat{{Kind: sdk.KindSend, Verdict: "continue", Count: n}}
		l.Stats.Timing = timingFor(n/8, 1)
	}
	return l
}

// busy is a broker with all that the page can show. Each answer is a second of
// traffic further.
func busy(meshes int) *fake {
	started := time.Now().Add(-26 * time.Hour)
	ring := refusals.New(refusals.DefaultSize)
	f := &fake{}
	f.SnapshotFn = func(n int) (*Snapshot, error) {
		return busyAt(started, ring, meshes, n), nil
	}
	return f
}

func busyAt(started time.Time, ring *refusals.Ring, meshes, n int) *Snapshot {
	now := time.Now()
	sent := uint64(4_210_000 + 5000*n + 137*(n*n%7)) //nolint:gosec // a count
	refuse(ring, now, n)
	s := &Snapshot{
		At: now, StoreAt: now,
		Broker: Broker{
			Version: "v0.1.0", Host: "broker-a", Node: "01J9ZQ4T8M", Store: "postgres", Bus: "nats", Started: started,
			Peers: 1000 + n%3, Sessions: 1024, Frames: sent + sent/3, Routed: sent, Confirmed: sent - 40, Refused: 3120 + uint64(n*3), //nolint:gosec // a count
			Queue: 184 + n%9, Oldest: now.Add(-95 * time.Second), Sends: timingFor(sent/8, 5), Memory: 182 << 20, CPU: time.Duration(n) * 410 * time.Millisecond,
		},
		Refusals: ring.List(0), Reasons: ring.Counts(),
		Meshes: busyMeshes(now, meshes, n), Plugins: busyPlugins(now, n), Config: busyConfig(now), Nodes: busyNodes(now),
	}
	s.Chain = busyChain(sent, n)
	return s
}

func refuse(ring *refusals.Ring, now time.Time, n int) {
	cases := []refusals.Refusal{
		{Kind: "send", Mesh: "mesh-0000", Name: "ada", MemberID: "5Jb2kQx9", Conn: 41, Stage: "grants", Reason: "not_granted", Text: "bo has not granted dm to you: ask for it with grant"},
		{Kind: "send", Mesh: "mesh-0001", Name: "nightly-build", MemberID: "9Qm1aaZz", Conn: 77, Stage: "rate-limit", Reason: "rate_limit", Text: "60 sends in a minute are over: wait 3 s"},
		{Kind: "http.join", Mesh: "mesh-0002", Stage: "auth", Reason: "unauthorized", Text: "the proof is older than a minute: is the clock right?", Status: 401},
		{Kind: "send", Mesh: "mesh-0000", Name: "grace", MemberID: "2Ht7ppQw", Conn: 12, Stage: "office-hours", Reason: "closed", Text: "messages to @all wait until 09:00"},
		{Kind: "hello", Mesh: "mesh-0003", Conn: 98, Reason: "capacity", Text: "the mesh has 100 connections already"},
	}
	news := 2
	if n == 0 {
		news = len(cases)
	}
	for i := range news {
		c := cases[(n+i)%len(cases)]
		c.At = now.Add(-time.Duration(i) * 700 * time.Millisecond)
		if i == 0 {
			c.TraceID = fmt.Sprintf("%016x%016x", uint64(0x9e3779b97f4a7c15)*uint64(n+1), uint64(0xbf58476d1ce4e5b9)*uint64(n+7)) //nolint:gosec // any number
		}
		ring.Add(&c)
	}
}

func busyChain(sent uint64, n int) (d chain.Description) {
	for _, name := range []string{"auth", "legacy-auth", "grants", "rate-limit"} {
		d.Links = append(d.Links, linkOf(name, name != "legacy-auth", sent))
	}
	d.Links[0].Required = true
	d.Links[3].Stats.Decisions = append(d.Links[3].Stats.Decisions, chain.DecisionStat{Kind: "send", Verdict: "deny", Count: uint64(900 + 2*n)}) //nolint:gosec // a count
	office := linkOf("office-hours", true, sent)
	office.Plugin, office.OnFailure, office.Then, office.Deadline = "/opt/broker/office-hours", chain.Hold, chain.FailOpen, 50*time.Millisecond
	office.Stats.Timing = timingFor(sent/8, 4)
	office.Kinds = []sdk.Kind{"send"}
	scan := linkOf("scan", true, sent)
	scan.Plugin, scan.Shadow, scan.Deadline = "/opt/broker/scan", true, 20*time.Millisecond
	scan.Stats.Shadow = &chain.ShadowStat{Verdicts: []chain.ShadowCount{{Shadow: "continue", Chain: "continue", Count: sent}}, Disagreements: 12}
	scan.Stats.Decisions = nil
	score := linkOf("score", true, sent/2)
	score.Plugin, score.OnFailure, score.Condition, score.Deadline = "/opt/broker/score", chain.FailOpen, "down: quarantined after 5 crashes in 60s", 50*time.Millisecond
	score.Stats.Failures = []chain.FailureStat{{Failure: "error", Count: 812}}
	score.Stats.Timing = chain.Timing{}
	d.Links = append(d.Links, office, scan, score, linkOf("route", true, sent), linkOf("audit", true, sent))
	d.Links[7].Stats.Timing = timingFor(sent/8, 4)
	d.Paths = []chain.PathDescription{
		{Kind: "client_ack", Links: []string{"auth", "route", "audit"}},
		{Kind: "send", Links: []string{"auth", "grants", "rate-limit", "office-hours", "scan", "score", "route", "audit"}},
		{Kind: "", Links: []string{"auth", "route", "audit"}},
	}
	return d
}

func busyMeshes(now time.Time, meshes, n int) []Mesh {
	names := []string{"platform", "research", "nightly", "support", "data-eng", "web"}
	list := make([]Mesh, 0, meshes)
	for i := range meshes {
		m := Mesh{ID: fmt.Sprintf("mesh-%04d", i), Slug: fmt.Sprintf("%s-%d", names[i%len(names)], i/len(names)), Peers: max(0, 240-i*7), Audit: AuditHead{
			Known: true, Entries: int64(1204 + 13*n), Hash: strings.Repeat(fmt.Sprintf("%04x", 40961+i), 16), At: now.Add(-time.Duration(i) * time.Minute),
		}}
		if i%3 == 1 {
			m.Queue, m.Oldest = 20+i+n%4, now.Add(-time.Duration(i+1)*47*time.Second)
		}
		list = append(list, m)
	}
	return list
}

func busyPlugins(now time.Time, n int) []Plugin {
	return []Plugin{
		{
			Link: "office-hours", Program: "/opt/broker/office-hours", SHA256: strings.Repeat("9c1e", 16), Pinned: true, Name: "office-hours", Version: "1.2.0", Language: "go",
			PID: 4711, Phase: "up", Since: now.Add(-3 * time.Hour), Breaker: "closed", Memory: 18 << 20, CPU: time.Duration(n) * 30 * time.Millisecond, InHand: 3 + n%4,
			Restarts: map[string]uint64{"hang": 1}, Ends: []End{{At: now.Add(-3 * time.Hour), Reason: "hang", Text: "did not answer a probe for 5 s: it was ended"}},
		},
		{Link: "scan", Program: "/opt/broker/scan", SHA256: strings.Repeat("11ab", 16), Name: "scan", Version: "0.3.1", Language: "python", PID: 4714, Phase: "up", Since: now.Add(-26 * time.Hour), Memory: 61 << 20, CPU: time.Duration(n) * 110 * time.Millisecond},
		{
			Link: "score", Program: "/opt/broker/score", SHA256: strings.Repeat("77f0", 16), Phase: "quarantined", Since: now.Add(-4 * time.Minute),
			Down: "quarantined after 5 crashes in 60s", Restarts: map[string]uint64{"crash": 5},
			Ends: []End{{At: now.Add(-4 * time.Minute), Reason: "crash", Text: "ended with exit code 1", Stderr: "Traceback (most recent call last):\n  File \"score.py\", line 31, in judge\nKeyError: 'weights'"}},
		},
	}
}

func busyConfig(now time.Time) Config {
	return Config{
		File:   "/etc/broker/broker.yaml",
		Loaded: admin.Loaded{Generation: 4, At: now.Add(-50 * time.Minute), By: admin.ByFile, SHA256: strings.Repeat("ab12", 16)},
		Reload: &admin.Reload{
			Changes: []string{"rate-limit: with.send is 60/min, will be 120/min", "score: is there, will be gone"},
			Restart: []string{"limits.connections_per_mesh"},
		},
		CheckedAt: now.Add(-4 * time.Second),
	}
}

func busyNodes(now time.Time) []Node {
	return []Node{
		{ID: "01J9ZQ4T8MAAAA", Host: "broker-a", Version: "v0.1.0", Slot: 1, Self: true, Held: true, BusUp: true, Lease: now.Add(11 * time.Second)},
		{ID: "01J9ZQ5B2XBBBB", Host: "broker-b", Version: "v0.1.0", Slot: 2, Held: true, Lease: now.Add(9 * time.Second)},
	}
}

// deaf is a broker that does not answer.
func deaf() *fake {
	return &fake{SnapshotFn: func(int) (*Snapshot, error) { return nil, errors.New("the store does not answer") }}
}
