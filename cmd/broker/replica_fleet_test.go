package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store/postgres"
)

// replicaPatience is how long a test waits for what replicas have to do: it
// holds on a machine that is busy with other tests.
const replicaPatience = time.Minute

// fleet is replicas on one database, each a process of its own.
type fleet struct {
	t        *testing.T
	database string // as the test itself reaches it
	replicas []*replica
	mesh     *admin.NewMesh
	members  atomic.Int64 // of the mesh, given out
}

// fleetOptions say how a fleet is made.
type fleetOptions struct {
	size     int
	database string         // URL
	through  map[int]string // other URLs of the database, for some replicas
	lease    string         // "" means short
	bus      string         // lines of YAML under bus; "" leaves the default
	plugin   string         // a link of the pipeline, before the route, as lines of YAML; may be empty
	environ  []string       // more variables
	members  int
}

// shortLease makes what waits for the end of a lease quick.
const shortLease = "3s"

// newFleet starts replicas and makes their mesh. They are gone when the test
// ends.
func newFleet(t *testing.T, o fleetOptions) *fleet {
	t.Helper()
	f := &fleet{t: t, database: o.database}
	if o.lease == "" {
		o.lease = shortLease
	}
	if o.bus == "" {
		o.bus = "type: auto"
	}
	config := writeFile(t, fmt.Sprintf(`
store:
  lease: %s
bus:
  %s
pipeline:
  - stage: auth
  - stage: grants
  - stage: rate-limit
    with: {send: "off"}
%s  - stage: route
  - stage: audit
`, o.lease, strings.ReplaceAll(o.bus, "\n", "\n  "), o.plugin))
	for i := range o.size {
		x := newTerminal(t)
		database, other := o.through[i]
		if !other {
			database = o.database
		}
		x.environ = append(x.environ, "DATABASE_URL="+database, "BROKER_ENCRYPTION_KEY="+strings.Repeat("5a", 32))
		x.environ = append(x.environ, o.environ...)
		r := &replica{terminal: x, number: i, config: config}
		f.replicas = append(f.replicas, r)
		r.start()
	}
	first := f.replicas[0]
	f.mesh = parse[admin.NewMesh](t, first.ok(first.on("mesh", "create", "team", "--members", fmt.Sprint(o.members), "--json")...))
	return f
}

// session returns a new session of the mesh's next member.
func (f *fleet) session() dial.Identity {
	f.t.Helper()
	m := f.mesh.Members[int(f.members.Add(1)-1)%len(f.mesh.Members)]
	seed, err := hex.DecodeString(m.SecretKey)
	if err != nil {
		f.t.Fatal(err)
	}
	_, own := identity.NewKeypair()
	return dial.Identity{MeshID: f.mesh.ID, MemberID: m.ID, Key: ed25519.NewKeyFromSeed(seed), SessionKey: own, Cwd: "/"}
}

// living returns where a replica can be reached, the preferred one if it lives.
// nil: none does.
func (f *fleet) living(preferred int) *place {
	for i := range f.replicas {
		if p := f.replicas[(preferred+i)%len(f.replicas)].place.Load(); p != nil {
			return p
		}
	}
	return nil
}

// stop ends all replicas politely and sees to it that each ends well.
func (f *fleet) stop() {
	f.t.Helper()
	for _, r := range f.replicas {
		r.place.Store(nil)
		r.process.signal(syscall.SIGTERM)
	}
	for _, r := range f.replicas {
		r.ended(time.Now())
	}
}

// verify checks the audit chain that all replicas have written, and returns its
// length.
func (f *fleet) verify() int64 {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), replicaPatience)
	defer cancel()
	st := f.open(ctx)
	defer st.Close()
	head, err := st.AuditHead(ctx, f.mesh.ID)
	if err != nil {
		f.t.Fatalf("audit head: %v", err)
	}
	v := audit.NewVerifier(f.mesh.ID)
	for e, err := range st.AuditChain(ctx, f.mesh.ID) {
		if err != nil {
			f.t.Fatalf("audit chain: %v", err)
		}
		v.Add(e)
	}
	if got := v.Finish(head); !got.Valid {
		f.t.Errorf("audit chain: got %+v, want valid", got)
	}
	return head.Count
}

func (f *fleet) open(ctx context.Context) *postgres.Store {
	f.t.Helper()
	st, err := postgres.Open(ctx, postgres.Options{URL: f.database})
	if err != nil {
		f.t.Fatal(err)
	}
	return st
}

// leaseOver waits until the database says that a replica's lease has ended.
func (f *fleet) leaseOver(r *replica) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), replicaPatience)
	defer cancel()
	st := f.open(ctx)
	defer st.Close()
	pid := fmt.Sprintf(":%d", r.process.cmd.Process.Pid)
	eventually(f.t, "the lease is over", func() bool {
		nodes, err := st.ListNodes(ctx)
		if err != nil {
			return false
		}
		for _, n := range nodes {
			if strings.HasSuffix(n.Host, pid) {
				return n.Expires < 0
			}
		}
		return true
	})
}

// replica is one broker of a fleet. The test's own goroutine alone starts and
// ends it.
type replica struct {
	*terminal
	number  int
	config  string
	process *process
	place   atomic.Pointer[place] // nil while clients should not try it
}

// place is where a replica can be reached.
type place struct {
	replica int
	url     string
	gone    chan struct{} // closed when clients should leave by themselves
}

// start runs the replica's process and waits until it accepts connections.
func (r *replica) start() {
	r.t.Helper()
	r.process = r.child(r.on("serve", "--listen", "127.0.0.1:0", "--config", r.config)...)
	line := r.process.out.wait(r.process.running, "ready ws://")
	url := strings.TrimSpace(strings.TrimPrefix(line, "ready "))
	r.place.Store(&place{replica: r.number, url: url, gone: make(chan struct{})})
}

// kill ends the process as a crash does.
func (r *replica) kill() {
	r.t.Helper()
	r.process.signal(syscall.SIGKILL)
	r.place.Store(nil)
	r.process.wait()
}

// freeze stops the process, as a machine that hangs does. Clients leave it.
func (r *replica) freeze() {
	r.t.Helper()
	r.process.signal(syscall.SIGSTOP)
	close(r.place.Swap(nil).gone)
}

// thaw lets a frozen process go on.
func (r *replica) thaw(url string) {
	r.t.Helper()
	r.process.signal(syscall.SIGCONT)
	r.place.Store(&place{replica: r.number, url: url, gone: make(chan struct{})})
}

// roll ends the process politely and starts it again.
func (r *replica) roll() {
	r.t.Helper()
	r.place.Store(nil)
	since := time.Now()
	r.process.signal(syscall.SIGTERM)
	r.ended(since)
	r.start()
}

// ended waits until the process has ended, by itself and well.
func (r *replica) ended(since time.Time) {
	r.t.Helper()
	code := r.process.wait()
	log := r.process.err.String()
	if code != exitOK || strings.Contains(log, `"msg":"stopping with`) {
		r.t.Errorf("replica %d: exit %d after %v\n%s", r.number, code, time.Since(since), tail(log))
	}
	r.healthy()
}

// healthy looks for what must never be in a log.
func (r *replica) healthy() {
	r.t.Helper()
	log := r.process.err.String()
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if at := strings.Index(log, bad); at >= 0 {
			r.t.Errorf("replica %d: %s", r.number, log[at:min(len(log), at+4000)])
		}
	}
}

// tail returns the last lines of a log.
func tail(log string) string { return log[max(0, len(log)-4000):] }

// status asks a health route; 0 means that nobody answered.
func (r *replica) status(route string) int {
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	at := r.place.Load()
	if at == nil {
		return 0
	}
	base := "http" + strings.TrimSuffix(strings.TrimPrefix(at.url, "ws"), "/ws")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+route, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// logs returns the last lines of every replica's log.
func (f *fleet) logs() string {
	var b strings.Builder
	for _, r := range f.replicas {
		fmt.Fprintf(&b, "replica %d (%s):\n%s\n", r.number, filepath.Base(r.data), tail(r.process.err.String()))
	}
	return b.String()
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(replicaPatience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", replicaPatience, what)
		}
	}
}
