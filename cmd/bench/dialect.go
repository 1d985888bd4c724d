package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/claudemesh/broker/core/wire"
	"github.com/claudemesh/broker/sdk"
)

// sign is what a frame from the server means to the generator.
type sign uint8

const (
	nothing  sign = iota // news, which the generator does not need
	arrived              // a message for this peer
	accepted             // a message of this peer is acknowledged
	refused              // a message of this peer was not
)

// dialect is what peers say to one kind of server, and hear from it.
type dialect interface {
	// path returns where the peer with a key connects.
	path(key string) string

	// template returns the frame of a message from peer n with a key to a target,
	// which may be targetMark.
	template(key string, n, bodySize int, target string) template

	// read returns what a frame means, and the body of a message that arrived.
	read(frame []byte) (s sign, body []byte)

	// confirm appends the payload of the frame that confirms a message; nothing
	// when none is due.
	confirm(dst, frame []byte) []byte

	// acks tells whether the server acknowledges messages. A sender's window
	// opens with the acknowledgement then, else when the recipient has the
	// message.
	acks() bool
}

// template is the frame of a message with places to be filled in.
type template struct {
	frame        []byte
	ids          []int // where the last idDigits hex digits of an id begin
	target, body int   // where these begin
}

// idDigits is how much of a message's id is counted up.
const idDigits = 12

// newTemplate cuts a frame at the marks that were put in the places.
func newTemplate(frame, id, target, body string) template {
	t := template{frame: []byte(frame), target: strings.Index(frame, target), body: strings.Index(frame, body)}
	for at := 0; id != ""; {
		i := strings.Index(frame[at:], id)
		if i < 0 {
			break
		}
		at += i + len(id)
		t.ids = append(t.ids, at-idDigits)
	}
	return t
}

// number writes the id of the peer's nth message.
func (t *template) number(n uint64) {
	for _, at := range t.ids {
		putHex(t.frame[at:at+idDigits], n)
	}
}

// keyDigits is the length of a key in hex.
const keyDigits = 2 * sdk.KeySize

// targetMark is put in the place of the recipient's key.
var targetMark = strings.Repeat("t", keyDigits)

// idMark is put in the place of the ids that peer n gives. It has the form of a
// UUID and differs from peer to peer: recipients know messages by it.
func idMark(n int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-", n) + strings.Repeat("i", idDigits)
}

func bodyMark(size int) string { return strings.Repeat("b", size) }

// relayDialect is for the bare relay.
type relayDialect struct{}

func (relayDialect) path(key string) string { return "/ws?key=" + key }

func (relayDialect) template(key string, _, size int, target string) template {
	frame := fmt.Sprintf(`{"to":%q,"from":%q,"body":%q}`, target, key, bodyMark(size))
	return newTemplate(frame, "", target, bodyMark(size))
}

func (relayDialect) read(frame []byte) (sign, []byte) {
	return arrived, textAfter(frame, `"body":"`)
}

func (relayDialect) confirm(dst, _ []byte) []byte { return dst }

func (relayDialect) acks() bool { return false }

// brokerDialect is for the broker. The newest peers give their messages ids of
// their own and confirm by client_ack; older ones do neither, and the broker
// takes their pongs.
type brokerDialect struct{ newest bool }

func (brokerDialect) path(string) string { return "/ws" }

func (d brokerDialect) template(_ string, n, size int, target string) template {
	id := idMark(n)
	m := wire.Send{
		ID: []byte(`"` + id + `"`), TargetSpec: target, Priority: sdk.PriorityNext,
		Nonce: "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY", Ciphertext: bodyMark(size),
	}
	if d.newest {
		m.ClientMessageID, m.RequestFingerprint = id, strings.Repeat("f", 64)
	}
	return newTemplate(string(wire.AppendSend(nil, &m)), id, target, bodyMark(size))
}

// What frames of the broker begin with.
var (
	pushHead  = []byte(`{"type":"push"`)
	ackHead   = []byte(`{"type":"ack"`)
	errorHead = []byte(`{"type":"error"`)
	helloHead = []byte(`{"type":"hello_ack"`)
	queued    = []byte(`"queued":true`)
)

func (brokerDialect) read(frame []byte) (sign, []byte) {
	switch {
	case bytes.HasPrefix(frame, pushHead):
		body := textAfter(frame, `"ciphertext":"`)
		if len(body) == 0 {
			return nothing, nil // news of the broker's own
		}
		return arrived, body
	case bytes.HasPrefix(frame, ackHead) && bytes.Contains(frame, queued):
		return accepted, nil
	case bytes.HasPrefix(frame, ackHead), bytes.HasPrefix(frame, errorHead):
		return refused, nil
	}
	return nothing, nil
}

func (d brokerDialect) confirm(dst, frame []byte) []byte {
	if !d.newest {
		return dst
	}
	return wire.AppendClientAck(dst, &wire.ClientAck{
		ClientMessageID: string(textAfter(frame, `"client_message_id":"`)),
		BrokerMessageID: string(textAfter(frame, `"messageId":"`)),
	})
}

func (brokerDialect) acks() bool { return true }

// textAfter returns the text behind the first place that reads as mark, up to
// the next quote. Texts with escapes do not come in what the generator needs.
func textAfter(frame []byte, mark string) []byte {
	_, rest, ok := bytes.Cut(frame, []byte(mark))
	if !ok {
		return nil
	}
	text, _, _ := bytes.Cut(rest, []byte{'"'})
	return text
}
