package feature

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/relay"
	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// Reasons of requests that another session answers.
const (
	ReasonPeerNotFound sdk.Reason = "peer_not_found"
	ReasonPeerBusy     sdk.Reason = "peer_busy"
	ReasonPeerTimeout  sdk.Reason = "peer_timeout"
	ReasonPeerAnswer   sdk.Reason = "peer_answer"
)

// question is a request that another session answers.
type question struct {
	to     string // presence id
	kind   string
	hint   string // what an answer without an id names
	within time.Duration
	frame  func(id string) wire.Frame          // what that session gets
	failed func(sdk.Reason, string) wire.Frame // what the asker gets when there is no answer
}

// pass passes a question on. Its answer comes over the session's connection.
func pass(r *relay.Relay, c *Call, q question) error {
	if wait, ok := r.Take(c.Env.Sender.MemberID); !ok {
		return &core.Error{
			Code: sdk.ReasonRateLimit, RetryAfter: wait, Message: "rate_limit: too many questions to other sessions: ask less often",
		}
	}
	// What waits holds on to no more than what says that there is no answer: a
	// question may be long.
	reqID, frame, failed, within := c.ReqID.Clone(), q.frame, q.failed, q.within
	err := r.Ask(&relay.Question{
		Mesh: c.Env.Mesh, Asker: c.Session.ID, Conn: c.Peer, Member: c.Env.Sender.MemberID, Asked: q.to,
		Kind: q.kind, Hint: q.hint, ReqID: reqID, Within: within,
		Frame: func(id string) ([]byte, error) { return wire.AppendReply(nil, frame(id), jsontext.Value(`"`+id+`"`)) },
		Failed: func(why relay.Why) []byte {
			b, err := wire.AppendReply(nil, failed(unanswered(why, within)), reqID)
			if err != nil {
				panic(err) // plain values
			}
			return b
		},
	})
	if errors.Is(err, relay.ErrCrowded) {
		return core.Refuse(sdk.ReasonCapacity, "too many of this session's questions wait: wait for an answer first")
	}
	return err
}

// unanswered says why a question has no answer.
func unanswered(why relay.Why, within time.Duration) (sdk.Reason, string) {
	switch why {
	case relay.Away:
		return ReasonPeerNotFound, "target peer not connected"
	case relay.Busy:
		return ReasonPeerBusy, "the peer has too much to answer, or does not read what it is sent: try again in a moment"
	case relay.Late:
		return ReasonPeerTimeout, fmt.Sprintf("the peer did not answer within %d s", int(within.Seconds()))
	case relay.Unread:
		return ReasonPeerAnswer, "this connection has not read what it was sent before: ask for less at a time"
	case relay.Illegible:
		return ReasonPeerAnswer, "what the peer answered cannot be read, or is too long: ask it for less"
	default:
		return sdk.ReasonUnavailable, "the answer was lost between two nodes of the broker: ask again"
	}
}

// answered passes an answer on to whoever asked.
func answered(r *relay.Relay, c *Call, kind, id, hint string, frame wire.Frame) error {
	err := r.Answer(&relay.Reply{
		Mesh: c.Env.Mesh, Asked: c.Session.ID, Conn: c.Peer, ID: id, Kind: kind, Hint: hint,
		Frame: func(reqID jsontext.Value) ([]byte, error) { return wire.AppendReply(nil, frame, reqID) },
	})
	if errors.Is(err, relay.ErrNotAsked) {
		return core.Refuse(sdk.ReasonNotFound, "nothing that waits for this session has this id: it has ended, or was never asked")
	}
	return err
}

// spoil tells whoever waits for an answer that it cannot be read: now, and not when
// the time is over.
func spoil(r *relay.Relay, c *Call, why sdk.Reason, id string) {
	if c.Session != nil && (why == sdk.ReasonInvalid || why == sdk.ReasonMalformed) {
		r.Spoil(c.Session.ID, id, c.Peer)
	}
}

// questionID returns the id of a question that an answer repeats in its _reqId, "" for
// none.
func questionID(c *Call) string {
	text, err := jsontext.AppendUnquote(nil, c.ReqID)
	if err != nil {
		return ""
	}
	return string(text)
}

// sessionBehind returns the session that a key means for somebody who asks: one that
// can answer, and not the one that asks, unless there is no other.
func sessionBehind(dir *presence.Directory, c *Call, key sdk.Key) (found presence.View, ok bool) {
	for _, v := range dir.Behind(c.Env.Mesh, key) {
		switch {
		case v.Channel == ChannelEvents:
		case v.ID != c.Session.ID:
			return v, true
		default:
			found, ok = v, true
		}
	}
	return found, ok
}
