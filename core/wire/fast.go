package wire

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// The readers below know one shape of frame: an object whose values are all
// plain strings (acks have one boolean), each name at most once and known. Such
// a frame cannot be malformed, so they check nothing else, and leave whatever
// looks different to decodeStrict. FuzzDecode holds both to the same results.
//
// A nil view means that the name has not come yet: views of present values are
// never nil, not even of empty ones.

// decodeSend is the reader of send.
func decodeSend(frame []byte, s *Send) bool {
	var v sendViews
	m := members{frame: frame}
	for m.next() {
		text, ok := m.plain()
		if !ok || m.escaped {
			return false
		}
		view := v.find(string(m.name))
		if view == nil || *view != nil {
			return false
		}
		*view = text
	}
	if m.err != nil || !v.good() {
		return false
	}
	return v.send(s)
}

// sendViews are the parts of a frame with a send.
type sendViews struct {
	typ, req, id, target, priority, nonce, body, clientID, print, reply, trace []byte
}

func (v *sendViews) find(name string) *[]byte {
	switch name {
	case "type":
		return &v.typ
	case "_reqId":
		return &v.req
	case "id":
		return &v.id
	case "targetSpec":
		return &v.target
	case "priority":
		return &v.priority
	case "nonce":
		return &v.nonce
	case "ciphertext":
		return &v.body
	case "client_message_id":
		return &v.clientID
	case "request_fingerprint":
		return &v.print
	case "replyToId":
		return &v.reply
	case "traceparent":
		return &v.trace
	}
	return nil
}

// good reports whether what is required is there and nothing is too long.
func (v *sendViews) good() bool {
	return v.target != nil && v.nonce != nil && v.body != nil &&
		len(v.id)+len(`""`) <= MaxEcho && len(v.target) <= maxSpec && len(v.trace) <= MaxTrace &&
		len(v.clientID) <= maxID && len(v.print) <= maxID && len(v.reply) <= maxID
}

// send copies the views into s.
func (v *sendViews) send(s *Send) bool {
	priority, known := sdk.ParsePriority(string(v.priority))
	if !known {
		return false
	}
	*s = Send{ID: requote(v.id), Priority: priority}
	pack(piece{&s.Nonce, v.nonce}, piece{&s.Ciphertext, v.body})
	pack(piece{&s.TargetSpec, v.target}, piece{&s.ClientMessageID, v.clientID},
		piece{&s.RequestFingerprint, v.print}, piece{&s.ReplyToID, v.reply}, piece{&s.Traceparent, v.trace})
	return true
}

// decodeClientAck is the reader of client_ack.
func decodeClientAck(frame []byte, a *ClientAck) bool {
	var typ, req, clientID, brokerID []byte
	m := members{frame: frame}
	for m.next() {
		text, ok := m.plain()
		if !ok || m.escaped {
			return false
		}
		view := &typ
		switch string(m.name) {
		case "type":
		case "_reqId":
			view = &req
		case "clientMessageId":
			view = &clientID
		case "brokerMessageId":
			view = &brokerID
		default:
			return false
		}
		if *view != nil {
			return false
		}
		*view = text
	}
	if m.err != nil || len(clientID) > maxID || len(brokerID) > maxID {
		return false
	}
	pack(piece{&a.ClientMessageID, clientID}, piece{&a.BrokerMessageID, brokerID})
	return true
}

// decodeAck is the reader of ack, for peers. Its one boolean is no string.
func decodeAck(frame []byte, a *Ack) bool {
	var typ, id, message, queued []byte
	m := members{frame: frame}
	for m.next() {
		text, ok := m.plain()
		view := &typ
		switch string(m.name) {
		case "type":
		case "id":
			view = &id
		case "messageId":
			view = &message
		case "queued":
			view, text = &queued, m.value
			ok = string(text) == "true" || string(text) == "false"
		default:
			return false
		}
		if !ok || m.escaped || *view != nil {
			return false
		}
		*view = text
	}
	if m.err != nil || queued == nil || len(id)+len(`""`) > MaxEcho {
		return false
	}
	*a = Ack{ID: requote(id), MessageID: string(message), Queued: string(queued) == "true"}
	return true
}

// decodePush is the reader of push, for peers. Events have nested values and
// are left to decodeStrict.
func decodePush(frame []byte, p *Push) bool {
	var v pushViews
	m := members{frame: frame}
	for m.next() {
		text, ok := m.plain()
		if !ok || m.escaped {
			return false
		}
		view := v.find(string(m.name))
		if view == nil || *view != nil {
			return false
		}
		*view = text
	}
	if m.err != nil {
		return false
	}
	return v.push(p)
}

// pushViews are the parts of a frame with a push.
type pushViews struct {
	typ, message, mesh, sender, priority, nonce, body, created        []byte
	clientID, print, member, memberID, name, reply, topic, sub, trace []byte
}

func (v *pushViews) find(name string) *[]byte {
	switch name {
	case "type":
		return &v.typ
	case "messageId":
		return &v.message
	case "meshId":
		return &v.mesh
	case "senderPubkey":
		return &v.sender
	case "priority":
		return &v.priority
	case "nonce":
		return &v.nonce
	case "ciphertext":
		return &v.body
	case "createdAt":
		return &v.created
	case "client_message_id":
		return &v.clientID
	case "request_fingerprint":
		return &v.print
	case "senderMemberPubkey":
		return &v.member
	case "senderMemberId":
		return &v.memberID
	case "senderName":
		return &v.name
	case "replyToId":
		return &v.reply
	case "topic":
		return &v.topic
	case "subtype":
		return &v.sub
	case "traceparent":
		return &v.trace
	}
	return nil
}

// push copies the views into p.
func (v *pushViews) push(p *Push) bool {
	*p = Push{}
	var known bool
	if p.Priority, known = sdk.ParsePriority(string(v.priority)); !known {
		return false
	}
	if v.sender != nil && p.SenderPubkey.UnmarshalText(v.sender) != nil {
		return false
	}
	if p.SenderMemberPubkey.UnmarshalText(v.member) != nil {
		return false
	}
	if v.created != nil && p.CreatedAt.UnmarshalText(v.created) != nil {
		return false
	}
	p.CreatedAt = p.CreatedAt.UTC()
	pack(piece{&p.Nonce, v.nonce}, piece{&p.Ciphertext, v.body})
	pack(piece{&p.MessageID, v.message}, piece{&p.MeshID, v.mesh},
		piece{&p.ClientMessageID, v.clientID}, piece{&p.RequestFingerprint, v.print},
		piece{&p.SenderMemberID, v.memberID}, piece{&p.SenderName, v.name},
		piece{&p.ReplyToID, v.reply}, piece{&p.Topic, v.topic},
		piece{&p.Subtype, v.sub}, piece{&p.Traceparent, v.trace})
	return true
}

// Limits that the tags of Send and ClientAck repeat.
const (
	maxSpec = 256
	maxID   = 256
)

// piece is a text to copy out of a frame.
type piece struct {
	to   *string
	from []byte
}

// pack copies all pieces with one allocation.
func pack(pieces ...piece) {
	size := 0
	for i := range pieces {
		size += len(pieces[i].from)
	}
	var b strings.Builder
	b.Grow(size)
	for i := range pieces {
		b.Write(pieces[i].from)
	}
	all, at := b.String(), 0
	for i := range pieces {
		n := len(pieces[i].from)
		*pieces[i].to = all[at : at+n]
		at += n
	}
}

// requote returns a copy of a text with its quotes again, or nil for nil.
func requote(text []byte) jsontext.Value {
	if text == nil {
		return nil
	}
	v := append(make(jsontext.Value, 0, len(text)+len(`""`)), '"')
	v = append(v, text...)
	return append(v, '"')
}
