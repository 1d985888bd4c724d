package wire

import (
	"strconv"

	"github.com/claudemesh/broker/sdk"
)

// The writers below give what the general one would, byte for byte, without
// its detour over reflection.

// AppendAck appends the frame of an ack. It allocates nothing when dst has room.
func AppendAck(dst []byte, a *Ack) []byte {
	dst = append(dst, `{"type":"ack"`...)
	return append(a.appendFields(dst), '}')
}

func (a Ack) appendFields(dst []byte) []byte {
	dst = append(dst, `,"id":`...)
	if len(a.ID) == 0 {
		dst = append(dst, `""`...)
	} else {
		dst = append(dst, a.ID...)
	}
	dst = append(dst, `,"messageId":`...)
	dst = appendString(dst, a.MessageID)
	if a.Queued {
		dst = append(dst, `,"queued":true`...)
	} else {
		dst = append(dst, `,"queued":false`...)
	}
	return appendOptional(dst, `,"error":`, a.Error)
}

// AppendPush appends the frame of a push, which is the same for every
// recipient. It allocates nothing when dst has room.
func AppendPush(dst []byte, p *Push) []byte {
	dst = append(dst, `{"type":"push"`...)
	return append(p.appendFields(dst), '}')
}

func (p *Push) appendFields(dst []byte) []byte {
	dst = append(dst, `,"messageId":`...)
	dst = appendString(dst, p.MessageID)
	dst = append(dst, `,"meshId":`...)
	dst = appendString(dst, p.MeshID)
	dst = append(dst, `,"senderPubkey":"`...)
	dst = p.SenderPubkey.appendTo(dst)
	dst = append(dst, `","priority":"`...)
	dst = append(dst, p.Priority.String()...)
	dst = append(dst, `","nonce":`...)
	dst = appendString(dst, p.Nonce)
	dst = append(dst, `,"ciphertext":`...)
	dst = appendString(dst, p.Ciphertext)
	dst = append(dst, `,"createdAt":`...)
	dst = appendQuotedTime(dst, p.CreatedAt)
	return p.appendOptionals(dst)
}

func (p *Push) appendOptionals(dst []byte) []byte {
	dst = appendOptional(dst, `,"client_message_id":`, p.ClientMessageID)
	dst = appendOptional(dst, `,"request_fingerprint":`, p.RequestFingerprint)
	if !p.SenderMemberPubkey.IsZero() {
		dst = append(dst, `,"senderMemberPubkey":"`...)
		dst = p.SenderMemberPubkey.AppendHex(dst)
		dst = append(dst, '"')
	}
	dst = appendOptional(dst, `,"senderMemberId":`, p.SenderMemberID)
	dst = appendOptional(dst, `,"senderName":`, p.SenderName)
	dst = appendOptional(dst, `,"replyToId":`, p.ReplyToID)
	dst = appendOptional(dst, `,"topic":`, p.Topic)
	if p.BodyVersion != 0 {
		dst = append(dst, `,"bodyVersion":`...)
		dst = strconv.AppendInt(dst, p.BodyVersion, 10)
	}
	dst = appendKeys(dst, `,"mentions":[`, p.Mentions)
	dst = appendOptional(dst, `,"subtype":`, p.Subtype)
	dst = appendOptional(dst, `,"event":`, p.Event)
	if len(p.EventData) > 0 {
		dst = append(dst, `,"eventData":`...)
		dst = append(dst, p.EventData...)
	}
	return appendOptional(dst, `,"traceparent":`, p.Traceparent)
}

// appendKeys appends a list of keys that is not empty.
func appendKeys(dst []byte, name string, keys []sdk.Key) []byte {
	for i := range keys {
		if i == 0 {
			dst = append(dst, name...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(keys[i].AppendHex(dst), '"')
	}
	if len(keys) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// AppendSend appends the frame of a send, for peers.
func AppendSend(dst []byte, s *Send) []byte {
	dst = append(dst, `{"type":"send"`...)
	return append(s.appendFields(dst), '}')
}

func (s *Send) appendFields(dst []byte) []byte {
	if len(s.ID) > 0 {
		dst = append(dst, `,"id":`...)
		dst = append(dst, s.ID...)
	}
	dst = append(dst, `,"targetSpec":`...)
	dst = appendString(dst, s.TargetSpec)
	dst = append(dst, `,"priority":"`...)
	dst = append(dst, s.Priority.String()...)
	dst = append(dst, `","nonce":`...)
	dst = appendString(dst, s.Nonce)
	dst = append(dst, `,"ciphertext":`...)
	dst = appendString(dst, s.Ciphertext)
	dst = appendOptional(dst, `,"client_message_id":`, s.ClientMessageID)
	dst = appendOptional(dst, `,"request_fingerprint":`, s.RequestFingerprint)
	dst = appendOptional(dst, `,"replyToId":`, s.ReplyToID)
	dst = appendMentions(dst, s.Mentions)
	if s.BodyVersion != 0 {
		dst = append(dst, `,"bodyVersion":`...)
		dst = strconv.AppendInt(dst, s.BodyVersion, 10)
	}
	return appendOptional(dst, `,"traceparent":`, s.Traceparent)
}

func appendMentions(dst []byte, names []string) []byte {
	for i, name := range names {
		if i == 0 {
			dst = append(dst, `,"mentions":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, name)
	}
	if len(names) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// AppendClientAck appends the frame of a client_ack, for peers.
func AppendClientAck(dst []byte, a *ClientAck) []byte {
	dst = append(dst, `{"type":"client_ack"`...)
	return append(a.appendFields(dst), '}')
}

func (a *ClientAck) appendFields(dst []byte) []byte {
	dst = appendOptional(dst, `,"clientMessageId":`, a.ClientMessageID)
	return appendOptional(dst, `,"brokerMessageId":`, a.BrokerMessageID)
}
