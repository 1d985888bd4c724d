package app

import (
	"context"

	"github.com/claudemesh/broker/core/api"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// signalConfirmed has nodes forget deliveries that somebody confirmed over HTTP.
const signalConfirmed = "confirmed"

// confirmation names deliveries to a member that are over.
type confirmation struct {
	Mesh     string   `json:"mesh"`
	Member   sdk.Key  `json:"member"`
	Messages []string `json:"messages"`
}

// inbox is what waits for members, as HTTP callers read it.
type inbox struct{ app *App }

var _ api.Inbox = inbox{}

// Inbox implements [api.Inbox].
func (i inbox) Inbox(ctx context.Context, mesh string, member sdk.Key, after store.Cursor, limit int) ([]store.Waiting, error) {
	return i.app.engine.Inbox(ctx, mesh, member, after, limit)
}

// Confirm implements [api.Inbox]. Nodes on which the member has sessions are told:
// a session goes on holding what it was pushed until it knows.
func (i inbox) Confirm(ctx context.Context, mesh string, member sdk.Key, ids []string) ([]string, error) {
	over, err := i.app.engine.Confirm(ctx, mesh, member, ids)
	if err == nil && len(over) > 0 && i.app.dir.Elsewhere(mesh, member) {
		i.app.signal(signalConfirmed, confirmation{mesh, member, over})
	}
	return over, err
}

// confirmedHere tells the sessions of this node.
func (a *App) confirmedHere(c confirmation) {
	for _, id := range c.Messages {
		a.engine.Confirmed(c.Mesh, c.Member, id)
	}
}
