package app

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/claudemesh/broker/core/cluster"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/roster"
	"github.com/claudemesh/broker/core/store"
)

// Kinds of signals that nodes send each other, beside those of the store.
const (
	signalEnd        = "end"        // closing: end a session
	signalDisconnect = "disconnect" // closing: close a session's connection
	signalStatus     = "status"     // statusWord: somebody says what a session does
)

// errExpelled ends a node whose registration is gone.
var errExpelled = errors.New("this node was away for so long that the others have forgotten it: start it again")

// closing names a session of another node, and how its connection ends.
type closing struct {
	Mesh     string `json:"mesh"`
	Presence string `json:"presence"`
	Code     int    `json:"code"`
	Reason   string `json:"reason"`
}

// statusWord is what somebody says of a session of another node.
type statusWord struct {
	Mesh     string          `json:"mesh"`
	Presence string          `json:"presence"`
	Status   presence.Status `json:"status"`
	Source   presence.Source `json:"source"`
}

// joinCluster gives the node its parts.
func (a *App) joinCluster() {
	n := a.options.Cluster
	if n == nil {
		return
	}
	n.Use(cluster.Parts{Directory: a.dir, Engine: a.engine, Left: a.left, Regained: a.regained, Handlers: a.handlers(), Posts: a.posts()})
}

// regained forgets what may have changed while this node was away, and ends the
// sessions of members that were revoked meanwhile, and of meshes that were
// archived.
func (a *App) regained(ctx context.Context) error {
	a.roster.ForgetAll()
	meshes := map[string]struct{}{}
	for _, id := range a.dir.Members() {
		m, err := a.roster.MemberByID(ctx, id)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		case err != nil || !m.Live():
			a.revokedHere(id)
		default:
			meshes[m.MeshID] = struct{}{}
		}
	}
	for id := range meshes {
		m, err := a.roster.Mesh(ctx, id)
		if err != nil {
			return err
		}
		a.endArchived(m)
	}
	return nil
}

// presenceJournal is where the directory writes to.
func (a *App) presenceJournal() presence.Journal {
	if n := a.options.Cluster; n != nil {
		return n.Journal(a.journal)
	}
	return a.journal
}

// claims decides whose a session key is; nil for a broker on its own.
func (a *App) claims() roster.Claims {
	if a.options.Cluster == nil {
		return nil
	}
	return a.options.Cluster.Shared()
}

// follow runs the node, until ctx ends.
func (a *App) follow(ctx context.Context) {
	if n := a.options.Cluster; n != nil {
		n.Run(ctx)
	}
}

// catchUp returns when the node knows the sessions of the others, or ctx ends.
func (a *App) catchUp(ctx context.Context) {
	if n := a.options.Cluster; n != nil {
		select {
		case <-n.Caught():
		case <-n.Lost():
		case <-ctx.Done():
		}
	}
}

// expelled is closed when the node cannot go on.
func (a *App) expelled() <-chan struct{} {
	if n := a.options.Cluster; n != nil {
		return n.Lost()
	}
	return nil
}

// held returns what tells whether the node's lease holds; nil for a broker on
// its own.
func (a *App) held() func() bool {
	if n := a.options.Cluster; n != nil {
		return n.Held
	}
	return nil
}

func (a *App) leaveCluster(ctx context.Context) error {
	if n := a.options.Cluster; n != nil {
		return n.Leave(ctx)
	}
	return nil
}

// signal has every node, this one too, do something: what is done here at once as
// well has to bear being done twice.
func (a *App) signal(kind string, payload any) {
	if n := a.options.Cluster; n != nil {
		n.Signal(kind, payload)
	}
}

// alone runs f, unless another node runs what has the same name.
func (a *App) alone(ctx context.Context, name string, f func(context.Context) error) error {
	n := a.options.Cluster
	if n == nil {
		return f(ctx)
	}
	_, err := n.Alone(ctx, name, f)
	return err
}

// handler decodes a signal's payload for f.
func handler[T any](f func(T)) func([]byte) error {
	return func(b []byte) error {
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return err
		}
		f(v)
		return nil
	}
}

// handlers are what this node does at the signals of all.
func (a *App) handlers() map[string]func([]byte) error {
	return map[string]func([]byte) error{
		signalEnd: handler(func(c closing) {
			a.here(c.Mesh, c.Presence, func(s *presence.Session) { a.End(s, c.Code, c.Reason) })
		}),
		signalDisconnect: handler(func(c closing) {
			a.here(c.Mesh, c.Presence, func(s *presence.Session) { a.Disconnect(s, c.Code, c.Reason) })
		}),
		signalStatus: handler(func(w statusWord) {
			a.here(w.Mesh, w.Presence, func(s *presence.Session) { a.dir.SetStatus(s, w.Status, w.Source) })
		}),
		store.SignalRevoked: handler(a.revokedHere),
		store.SignalMember:  handler(a.roster.Forget),
		store.SignalMesh:    handler(a.meshChanged),
		signalTell:          handler(a.tellHere),
		signalRename:        handler(a.renameHere),
		signalConfirmed:     handler(a.confirmedHere),
		store.SignalNotice:  handler(a.noticeHere),
	}
}

// here calls f with the session that a signal means, if it is this node's.
func (a *App) here(mesh, presenceID string, f func(*presence.Session)) {
	if s := a.dir.ByID(mesh, presenceID); s != nil && !s.Elsewhere() {
		f(s)
	}
}

// members is the roster for handlers: what they tell it, every node hears.
type members struct {
	*roster.Roster
	app *App
}

// Forget implements [feature.ModerationRoster].
func (m members) Forget(memberID string) { m.app.Forget(memberID) }
