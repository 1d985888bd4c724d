package console

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/claudemesh/broker/core/admin"
)

const (
	maxVerifying  = 1   // at once: each reads a whole log, and the source lets one
	maxVerdicts   = 256 // that are remembered
	verifyTimeout = 30 * time.Minute
	maxMeshID     = 128
)

// verdict is what became of the latest verification of a mesh.
type verdict struct {
	Running bool
	At      time.Time // when it began or ended
	Took    time.Duration
	Answer  admin.Verification
	Err     error    // nobody knows
	Last    *verdict // the latest with an answer, while this one has none
}

// known returns the latest verdict with an answer, nil for none.
func (d verdict) known() *verdict {
	if d.Running || d.Err != nil {
		return d.Last
	}
	return &d
}

// verifier reads audit logs when somebody asks for it. It may be used by many
// goroutines at once.
type verifier struct {
	ctx     context.Context //nolint:containedctx // a verification outlives the request that began it
	source  Source
	log     *slog.Logger
	running sync.WaitGroup

	mu     sync.Mutex
	count  int // that run
	latest map[string]verdict
}

func newVerifier(ctx context.Context, source Source, log *slog.Logger) *verifier {
	return &verifier{ctx: ctx, source: source, log: log, latest: map[string]verdict{}}
}

// begin starts a verification and returns. It reports false when there is no
// room for one; a mesh that is being verified is not begun twice.
func (v *verifier) begin(mesh string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.latest[mesh].Running:
		return true
	case v.count >= maxVerifying || v.ctx.Err() != nil:
		return false
	}
	var last *verdict
	if before, ok := v.latest[mesh]; ok {
		last = before.known()
	} else {
		v.makeRoom()
	}
	v.count++
	v.latest[mesh] = verdict{Running: true, At: time.Now(), Last: last}
	v.running.Go(func() { v.run(mesh) })
	return true
}

// makeRoom forgets the oldest verdict when there are too many. The caller holds
// the lock.
func (v *verifier) makeRoom() {
	if len(v.latest) < maxVerdicts {
		return
	}
	oldest := ""
	for mesh, d := range v.latest {
		if !d.Running && (oldest == "" || d.At.Before(v.latest[oldest].At)) {
			oldest = mesh
		}
	}
	delete(v.latest, oldest)
}

func (v *verifier) run(mesh string) {
	ctx, cancel := context.WithTimeout(v.ctx, verifyTimeout)
	defer cancel()
	began := time.Now()
	answer, err := v.source.Verify(ctx, mesh)
	switch {
	case err != nil:
		v.log.Warn("the console could not verify an audit log", slog.String("mesh", mesh), slog.Any("err", err))
	case !answer.Valid:
		v.log.Error("an audit log is broken", slog.String("mesh", mesh), slog.Int64("entry", answer.BrokenAt), slog.String("why", answer.Why))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count--
	d := verdict{At: time.Now(), Took: time.Since(began), Answer: answer, Err: err}
	if err != nil {
		d.Last = v.latest[mesh].Last
	}
	v.latest[mesh] = d
}

// verdicts returns the latest of each mesh. The caller owns the map.
func (v *verifier) verdicts() map[string]verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.latest)
}

// wait returns when no verification runs, and must come after the end of ctx.
func (v *verifier) wait() {
	v.mu.Lock()   // who held it may have begun one
	v.mu.Unlock() //nolint:staticcheck // the lock itself is what is waited for
	v.running.Wait()
}

// verify begins to verify the mesh of a form. A browser without scripts goes
// back to the page, which shows how it goes.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r) {
		return
	}
	mesh := r.PostForm.Get("mesh")
	switch {
	case mesh == "" || len(mesh) > maxMeshID:
		s.refuse(w, r, http.StatusBadRequest, "the form names no mesh: reload the page and try again")
	case !s.verifier.begin(mesh):
		w.Header().Set("Retry-After", "5")
		s.refuse(w, r, http.StatusTooManyRequests, "another audit log is being verified: wait until that is done")
	case wantsPage(r):
		http.Redirect(w, r, base+"#mesh-at-"+anchor(mesh), http.StatusSeeOther)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}
