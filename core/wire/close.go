package wire

import "github.com/claudemesh/broker/sdk"

// CloseCode is the status code of a close frame.
type CloseCode uint16

// Close codes that the broker sends. Those from 4000 on are this protocol's own.
const (
	CodeNormal    CloseCode = 1000
	CodeGoingAway CloseCode = 1001
	CodeRefused   CloseCode = 1008
	CodeTooBig    CloseCode = 1009
	CodeKicked    CloseCode = 4001
	CodeBanned    CloseCode = 4002
	CodeSlow      CloseCode = 4008
)

// Close is one way in which the broker ends a connection. Code and Reason are
// on the wire; the rest is for documentation.
type Close struct {
	Code    CloseCode
	Reason  string
	Meaning string // what happened, and what to do
	Return  bool   // the peer should connect again
}

// Ways in which the broker ends a connection that said hello.
var (
	CloseReplaced          = Close{CodeNormal, "session_replaced", "the same session connected again elsewhere; this connection is the old one", false}
	CloseDisconnected      = Close{CodeNormal, "disconnected", "an admin asked the peer to reconnect", true}
	CloseDisconnectedStale = Close{CodeNormal, "disconnected_stale", "an admin asked peers that had been silent to reconnect", true}
	CloseShuttingDown      = Close{CodeGoingAway, "shutting down", "the broker stops; connect again, to wherever it is then", true}
	CloseTooBig            = Close{CodeTooBig, "too_large", "a frame over the limit; send less at a time", true}
	CloseKicked            = Close{CodeKicked, "kicked", "an admin ended the session", false}
	CloseKickedStale       = Close{CodeKicked, "kicked_stale", "an admin ended sessions that had been silent", false}
	CloseBanned            = Close{CodeBanned, "banned", "the member is revoked; the owner or an admin of the mesh can change that", false}
	CloseArchived          = Close{CodeBanned, "mesh_archived", "the mesh was deleted; there is nothing to come back to", false}
	CloseSlow              = Close{CodeSlow, "slow", "the peer did not read for too long; connect again, what it has not confirmed is in the queue", true}
)

// Refused is the close that follows an [Error]: a hello that was not accepted,
// or a connection that breaks the rules. The reason is the error's code.
func Refused(r sdk.Reason) Close {
	return Close{CodeRefused, string(r), "refused; the error frame before it says why", true}
}

// Closes lists every close but the refusals.
func Closes() []Close {
	return []Close{
		CloseReplaced, CloseDisconnected, CloseDisconnectedStale, CloseShuttingDown, CloseTooBig,
		CloseKicked, CloseKickedStale, CloseBanned, CloseArchived, CloseSlow,
	}
}
