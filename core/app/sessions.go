package app

import (
	"context"
	"time"

	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// left tells a mesh, and the chain's observers, that a session is over.
func (a *App) left(last presence.View) {
	var env sdk.Envelope
	tell := feature.Left(a.dir, last, &env, time.Now())
	a.exchange.Announce(&env)
	tell()
	a.featuresLeft(last)
}

// End ends a session for good, closes its connection with the code and the
// reason, and tells its mesh. It reports false when the session was over. A
// session of another node is ended there, in a moment.
func (a *App) End(s *presence.Session, code int, reason string) bool {
	if s.Elsewhere() {
		a.signal(signalEnd, closing{s.Mesh, s.ID, code, reason})
		return true
	}
	last, ended := a.dir.End(s, code, reason)
	if ended {
		a.left(last)
	}
	return ended
}

// Disconnect closes a session's connection and leaves the session its grace
// time to come back.
func (a *App) Disconnect(s *presence.Session, code int, reason string) {
	if s.Elsewhere() {
		a.signal(signalDisconnect, closing{s.Mesh, s.ID, code, reason})
		return
	}
	a.dir.Disconnect(s, code, reason)
}

// SetStatus writes what a hook, which may reach any node, says of a session. The
// session's own node decides, by the rules of [presence.Directory.SetStatus].
func (a *App) SetStatus(s *presence.Session, status presence.Status, source presence.Source) {
	if s.Elsewhere() {
		a.signal(signalStatus, statusWord{s.Mesh, s.ID, status, source})
		return
	}
	a.dir.SetStatus(s, status, source)
}

// Revoked ends every session of a member that was revoked, on every node, and what
// it has scheduled.
func (a *App) Revoked(memberID string) {
	a.revokedHere(memberID)
	a.scheduler.Revoked()
	a.signal(store.SignalRevoked, memberID)
}

// revokedHere ends the sessions of a member on this node.
func (a *App) revokedHere(memberID string) {
	a.roster.Forget(memberID)
	for _, s := range a.dir.OfMember(memberID) {
		if !s.Elsewhere() {
			a.End(s, int(wire.CloseBanned.Code), wire.CloseBanned.Reason)
		}
	}
}

// Record adds an entry to the audit log of a mesh, if the config asks for its
// event, and returns when it is on disk.
func (a *App) Record(ctx context.Context, e *audit.Entry) error {
	if !a.config.Load().Audit.Records(e.EventType) {
		return nil
	}
	a.journal.Append(e)
	return a.committer.Flush(ctx)
}

// Forget drops what every node remembers of a member whose row has changed.
func (a *App) Forget(memberID string) {
	a.roster.Forget(memberID)
	a.signal(store.SignalMember, memberID)
}

// presenceKept is how long the row of a session that ended is kept.
const presenceKept = 30 * 24 * time.Hour

// prunePresences deletes rows of sessions that are long over.
func (a *App) prunePresences(ctx context.Context, now time.Time) error {
	_, err := a.options.Store.PrunePresences(ctx, now.Add(-presenceKept))
	return err
}
