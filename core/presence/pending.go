package presence

import (
	"slices"
	"sync"
	"time"
)

// Bounds of the hints that wait for their session.
const (
	// hintKept is how long a hint waits. It is the original broker's time.
	hintKept = 10 * time.Second

	// hintsMost is how many wait in all; with the longest directories they take
	// some 5 MB.
	hintsMost = 1024

	// hintsPerCaller is how many of one caller wait.
	hintsPerCaller = 16
)

// Scope says whose sessions a hook may speak of. The zero Scope is everybody's.
type Scope struct {
	MemberID string // those of one member
	Account  string // those of an account's members
	Local    bool   // those whose hello came from this machine
}

// covers reports whether a session is in the scope.
func (s *Scope) covers(memberID, account string, local bool) bool {
	return (s.MemberID == "" || s.MemberID == memberID) && (s.Account == "" || s.Account == account) && (!s.Local || local)
}

// pending is a hint that waits for its session.
type pending struct {
	Hint
	scope  Scope
	caller string // who gave it, for the bound
	at     time.Time
}

// fits reports whether a launch is the one that is waited for: a directory alone
// is not enough.
func (p *pending) fits(about *About) bool {
	return p.SessionID != "" && p.SessionID == about.SessionID || p.Cwd == about.Cwd && p.Pid == about.Pid
}

// same reports whether two hints wait for the same session.
func (p *pending) same(o *pending) bool {
	return p.scope == o.scope && p.caller == o.caller && p.SessionID == o.SessionID && p.Pid == o.Pid && p.Cwd == o.Cwd
}

// hints are what hooks said of sessions that are not here yet, oldest first. They
// are few, and looked at one by one.
type hints struct {
	mu   sync.Mutex
	list []pending
}

// put keeps a hint in place of an earlier one for the same session. Of too many of
// one caller its oldest goes, of too many in all the oldest.
func (h *hints) put(p pending) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expireLocked(p.at)
	h.list = slices.DeleteFunc(h.list, func(o pending) bool { return p.same(&o) })
	own := 0
	for i := range h.list {
		if h.list[i].caller == p.caller {
			own++
		}
	}
	switch {
	case own >= hintsPerCaller:
		oldest := slices.IndexFunc(h.list, func(o pending) bool { return o.caller == p.caller })
		h.list = slices.Delete(h.list, oldest, oldest+1)
	case len(h.list) >= hintsMost:
		h.list = slices.Delete(h.list, 0, 1)
	}
	h.list = append(h.list, p)
}

// drop forgets a hint.
func (h *hints) drop(p pending) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = slices.DeleteFunc(h.list, func(o pending) bool { return p.same(&o) })
}

// take removes the hints that fit, and returns what the newest one says.
func (h *hints) take(now time.Time, fits func(*pending) bool) (status Status, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expireLocked(now)
	h.list = slices.DeleteFunc(h.list, func(p pending) bool {
		if !fits(&p) {
			return false
		}
		status, ok = p.Status, true
		return true
	})
	return status, ok
}

// expireLocked forgets hints whose time is over.
func (h *hints) expireLocked(now time.Time) {
	h.list = slices.DeleteFunc(h.list, func(p pending) bool { return now.Sub(p.at) > hintKept })
}

// Remember keeps a hint for the next hello that it fits exactly: by the client's
// name for its launch, or by process and directory. It is kept for 10 s, on this
// node. caller bounds how many one caller leaves.
func (d *Directory) Remember(scope Scope, caller string, h Hint) {
	d.hints.put(pending{h, scope, caller, d.now()})
}

// Unremember drops what [Directory.Remember] keeps for the same session.
func (d *Directory) Unremember(scope Scope, caller string, h Hint) {
	d.hints.drop(pending{Hint: h, scope: scope, caller: caller})
}
