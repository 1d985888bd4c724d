package refusals

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/claudemesh/broker/sdk"
)

// Rooms for texts, in bytes.
const (
	roomWord  = 64  // kinds, ids, names, reasons
	roomText  = 240 // what the sender was told
	roomTrace = 32
)

// slot is a refusal with its texts in the slot itself: to keep the strings would
// keep the frames that they are part of, and to copy them would allocate.
type slot struct {
	seq                                              uint64
	at                                               time.Time
	conn                                             uint64
	status                                           int
	dropped                                          bool
	kind, mesh, member, name, stage, reason, request word
	text                                             [roomText]byte
	trace                                            [roomTrace]byte
	textLen, traceLen                                uint8
}

// word is a short text.
type word struct {
	text [roomWord]byte
	n    uint8
}

func (w *word) set(s string) { w.n = put(w.text[:], s) }

func (w *word) String() string { return string(w.text[:w.n]) }

// put copies what fits of a text and returns its length.
func put(room []byte, s string) uint8 {
	return uint8(copy(room, cut(s, len(room)))) //nolint:gosec // no room is larger than 240
}

// cut returns what fits of a text, in whole characters.
func cut(s string, room int) string {
	if len(s) <= room {
		return s
	}
	for room > 0 && !utf8.RuneStart(s[room]) {
		room--
	}
	return s[:room]
}

func (s *slot) write(f *Refusal, at time.Time, seq uint64) {
	s.seq, s.at, s.conn, s.status, s.dropped = seq, at, f.Conn, f.Status, f.Dropped
	s.request.set(f.Request)
	s.kind.set(string(f.Kind))
	s.mesh.set(f.Mesh)
	s.member.set(f.MemberID)
	s.name.set(f.Name)
	s.stage.set(f.Stage)
	s.reason.set(string(f.Reason))
	s.textLen = put(s.text[:], f.Text)
	s.traceLen = put(s.trace[:], f.TraceID)
}

// read makes strings of the texts, without what is no UTF-8.
func (s *slot) read() Refusal {
	return Refusal{
		Seq: s.seq, At: s.at, Conn: s.conn, Status: s.status, Dropped: s.dropped, Request: valid(s.request.String()),
		Kind: sdk.Kind(valid(s.kind.String())), Mesh: valid(s.mesh.String()),
		MemberID: valid(s.member.String()), Name: valid(s.name.String()),
		Stage: valid(s.stage.String()), Reason: sdk.Reason(valid(s.reason.String())),
		Text: valid(string(s.text[:s.textLen])), TraceID: valid(string(s.trace[:s.traceLen])),
	}
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
