package vector

import (
	"context"
	"sync"
	"time"
)

// patience is how long a search waits for those before it: less than the link's
// deadline, so that the refusal says why.
const patience = time.Second

// turns let each mesh search once at a time: a mesh that keeps much, and searches
// it all the time, leaves the others what they need. Safe for concurrent use.
type turns struct {
	mu     sync.Mutex
	meshes map[string]*turn // of those that search now
}

// turn is what the searches of one mesh share.
type turn struct {
	taken chan struct{} // holds the one that is searching
	users int           // those that wait too; guarded by turns.mu
}

// begin waits for the mesh's turn, and returns what ends it. The error is errBusy
// when others took too long.
func (t *turns) begin(ctx context.Context, mesh string) (end func(), err error) {
	own := t.enter(mesh)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case own.taken <- struct{}{}:
		return func() {
			<-own.taken
			t.leave(mesh, own)
		}, nil
	case <-timer.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	t.leave(mesh, own)
	return nil, err
}

func (t *turns) enter(mesh string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.meshes == nil {
		t.meshes = make(map[string]*turn)
	}
	own := t.meshes[mesh]
	if own == nil {
		own = &turn{taken: make(chan struct{}, 1)}
		t.meshes[mesh] = own
	}
	own.users++
	return own
}

func (t *turns) leave(mesh string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.meshes, mesh)
	}
}
