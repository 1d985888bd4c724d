package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/feature"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/sse"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

// maxSessionName is how long the name of a stream may be, in bytes.
const maxSessionName = 64

// OpenEvents is GET /v1/events.
type OpenEvents struct {
	Mesh    string `query:"mesh" json:"-" doc:"id or slug of the mesh; only accounts have to name it"`
	Session string `query:"session" json:"-" doc:"name of the stream, at most 64 bytes: a second one of the same name takes its place. That of the API key when absent"`
	Last    string `header:"Last-Event-ID" json:"-" doc:"id of the last event that the caller has: it and all before it on that stream are confirmed, and the stream goes on behind it. Where the broker does not know the id any more, ready says resumed false, and all that is not confirmed comes again"`
}

// MeshName implements [feature.MeshNamer].
func (r *OpenEvents) MeshName() string { return r.Mesh }

// Events is the answer to an [OpenEvents]: no JSON, but server-sent events.
type Events struct{ answer *sse.Answer }

var _ Streamed = (*Events)(nil)

// Stream implements [Streamed]. HEAD has the header alone.
func (e *Events) Stream(w http.ResponseWriter, r *http.Request) {
	if e.answer == nil {
		sse.Head(w)
		return
	}
	e.answer.Write(w, r)
}

func (g *gateway) events(t *Table) {
	onGateway(t, Route{
		Method: http.MethodGet, Path: "/v1/events", Kind: "http.v1.events", Key: store.KeyRead,
		Summary: "pushes what comes for the member, as server-sent events, for ten minutes: ready, message (data is the frame push; it stays until it is confirmed), " +
			"news (other frames that a socket gets), and closed. The member is in the mesh meanwhile, with a session of its own",
		Refusals: []sdk.Reason{feature.ReasonKeyTopic, sdk.ReasonCapacity, sdk.ReasonRevoked, sdk.ReasonUnauthorized, sdk.ReasonShuttingDown},
	}, g.open)
}

// open begins an answer: of the stream that the caller was on before, or of a new
// one.
func (g *gateway) open(ctx context.Context, c *feature.Call, m *OpenEvents) (*Events, error) {
	mesh, by, err := actingForAll(c)
	if err != nil {
		return nil, err
	}
	if len(m.Session) > maxSessionName {
		return nil, core.Refuse(sdk.ReasonInvalid, "session: want at most 64 bytes")
	}
	if c.HTTP.Method == http.MethodHead {
		return &Events{}, nil
	}
	place := sse.Place{Mesh: mesh.ID, MemberID: by.ID, Name: m.Session}
	if k := c.HTTP.APIKey; m.Session == "" && k != nil {
		place.Name = k.ID
	}
	answer := g.Streams.Resume(place, m.Last)
	if answer == nil {
		if answer, err = g.begin(ctx, c, place); err != nil {
			return nil, err
		}
	}
	proof, member := *c.HTTP, *by
	answer.Good = func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return !refuses(g.StillGood(ctx, &feature.Call{HTTP: &proof, Member: &member}))
	}
	return &Events{answer}, nil
}

// begin gives the caller a session with a stream.
func (g *gateway) begin(ctx context.Context, c *feature.Call, place sse.Place) (*sse.Answer, error) {
	switch err := g.Streams.Reserve(place); {
	case errors.Is(err, sse.ErrStopped):
		return nil, &core.Error{Code: sdk.ReasonShuttingDown, Message: "the broker is stopping: come back in a moment", RetryAfter: time.Second}
	case err != nil:
		return nil, &core.Error{
			Code: sdk.ReasonCapacity, Message: "you have as many event streams as a member may: end some, or name them alike", RetryAfter: 30 * time.Second,
		}
	}
	st := sse.NewStream(c.HTTP.Local, c.Env.Arrived)
	session, online, err := g.registry.Attend(ctx, c, st, presence.About{
		Name: c.Member.DisplayName, SessionID: "http:" + place.Name, PeerType: "service", Channel: feature.ChannelEvents,
	})
	if err != nil {
		g.Streams.Cancel(place)
		return nil, err
	}
	return g.Streams.Begin(place, st, session, online), nil
}

// refuses reports whether an error is a refusal, and not a failure to find out.
func refuses(err error) bool {
	refused, ok := errors.AsType[*core.Error](err)
	return ok && refused.Code != sdk.ReasonUnavailable
}
