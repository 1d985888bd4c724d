// Package wire says what goes over the socket: one file per feature with its
// request and answer structs, and the codecs between them and frames.
//
// A frame is one JSON object. [Peek] finds out what a frame is, [Decode] reads
// it into its struct, [Append] and [AppendReply] write one. The frames that
// every message costs (send, ack, push, client_ack) have codecs written by
// hand; they accept and produce what the general ones do, only faster.
//
// Reading is strict where a second reading is possible and lenient elsewhere:
// duplicate names, invalid UTF-8, trailing bytes, deep nesting and names in
// another case are never guessed at, while unknown fields are ignored, so that
// a peer may be newer than the broker.
//
// Struct tags carry what docs/messages.md says about a field and what Decode
// enforces:
//
//	json      name; omitempty and omitzero mean that the key is absent when it does not apply
//	doc       meaning, with unit
//	required  "true": the key must be there, and not null
//	max       most bytes of a text or raw value, most entries of a list
//	each      most bytes of each entry of a list of texts
//	enum      allowed texts, separated by commas
//	rule      "group": the text must be a group name
//
// Every request may carry _reqId, which its answer echoes; it is therefore in
// no struct. Nothing here knows a socket, a store or who may do what.
package wire
