package meshsql

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Turns lets statements wait for one another: of a mesh one runs at a time, and of
// all meshes a few. A mesh has one statement at most that waits for one of the
// common places, so that each gets its turn however many another mesh has waiting.
type Turns struct {
	limits Limits
	places chan struct{}

	mu     sync.Mutex
	meshes map[string]*meshTurn
	asked  map[pending]int
}

// meshTurn is a mesh of which a statement runs or waits.
type meshTurn struct {
	place chan struct{}
	users int // guarded by Turns.mu
}

type pending struct{ mesh, member string }

// NewTurns returns turns that nobody has.
func NewTurns(l Limits) *Turns {
	return &Turns{
		limits: l, places: make(chan struct{}, l.Statements),
		meshes: map[string]*meshTurn{}, asked: map[pending]int{},
	}
}

// Take waits for the turn of a mesh, and returns what gives it back. A member that
// has too many statements waiting is refused at once, so that it does not use up
// the patience of the others.
func (t *Turns) Take(ctx context.Context, mesh, member string) (done func(), err error) {
	m, err := t.enter(mesh, member)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(t.limits.Wait)
	defer timer.Stop()
	if err = wait(ctx, timer, m.place); err == nil {
		if err = wait(ctx, timer, t.places); err == nil {
			return func() { <-t.places; <-m.place; t.leave(mesh, member) }, nil
		}
		<-m.place
	}
	t.leave(mesh, member)
	return nil, err
}

func wait(ctx context.Context, timer *time.Timer, place chan struct{}) error {
	select {
	case place <- struct{}{}:
		return nil
	default:
	}
	select {
	case place <- struct{}{}:
		return nil
	case <-timer.C:
		timer.Reset(0) // so that a second wait ends at once too
		return TooBusy()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TooBusy says that others were first for too long.
func TooBusy() *Error {
	return &Error{Kind: Busy, Text: "other statements run, and this one waited too long for its turn: try again in a moment"}
}

func (t *Turns) enter(mesh, member string) (*meshTurn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	who := pending{mesh, member}
	if member != "" && t.asked[who] >= t.limits.Pending {
		return nil, &Error{Kind: Busy, Text: fmt.Sprintf("%d statements of yours run or wait already: wait for their answers", t.limits.Pending)}
	}
	m := t.meshes[mesh]
	if m == nil {
		m = &meshTurn{place: make(chan struct{}, 1)}
		t.meshes[mesh] = m
	}
	m.users++
	t.asked[who]++
	return m, nil
}

func (t *Turns) leave(mesh, member string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	who := pending{mesh, member}
	if t.asked[who]--; t.asked[who] == 0 {
		delete(t.asked, who)
	}
	if m := t.meshes[mesh]; m != nil {
		if m.users--; m.users == 0 {
			delete(t.meshes, mesh)
		}
	}
}
