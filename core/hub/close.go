package hub

// Close codes that the broker sends, with what a client should do about each.
// The reasons that go with them are in docs/errors.md.
const (
	CloseNormal       CloseCode = 1000 // replaced by a newer connection of the same session, or asked to reconnect
	CloseShuttingDown CloseCode = 1001 // the broker stops: connect again, to wherever it is then
	CloseRefused      CloseCode = 1008 // the hello was refused; the reason is the error code
	CloseTooBig       CloseCode = 1009 // a frame over the limit
	CloseKicked       CloseCode = 4001 // an admin ended the session
	CloseBanned       CloseCode = 4002 // the member is revoked: do not come back
	CloseSlow         CloseCode = 4008 // the peer did not read for too long: connect again, the queue holds the rest
)
