package wire

// Twofold is an answer that clients of another generation wait for under another
// type: its twin goes out behind it, with the same _reqId. Clients match answers
// by their type before anything else, so each takes the one that it knows and
// ignores the other.
type Twofold interface {
	Frame

	// Twin returns the same answer as the other clients know it.
	Twin() Frame
}
