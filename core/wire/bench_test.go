package wire

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/claudemesh/broker/sdk"
)

// newSend returns a send as the newest peers write it, with a body of so many
// characters.
func newSend(size int) *Send {
	body := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7, 200, 3}, size/4))
	const id = "c1f0c5b2-7c11-4f3e-9a0c-0123456789ab"
	return &Send{
		ID:                 jsontext.Value(`"` + id + `"`),
		TargetSpec:         strings.Repeat("cd", 32),
		Priority:           sdk.PriorityNext,
		Nonce:              "eDd7UldXtJRCf4kBT5fXmSjzk40U61Hi",
		Ciphertext:         body,
		ClientMessageID:    id,
		RequestFingerprint: strings.Repeat("ab", 32),
	}
}

func sendFrame(size int) []byte { return AppendSend(nil, newSend(size)) }

// newPush returns the push that newSend becomes.
func newPush(size int) *Push {
	s := newSend(size)
	return &Push{
		MessageID: strings.Repeat("q", 32), MeshID: strings.Repeat("m", 32),
		SenderPubkey: OriginOf(sdk.Key{1}), Priority: s.Priority, Nonce: s.Nonce, Ciphertext: s.Ciphertext,
		CreatedAt:       time.Date(2026, 8, 1, 12, 30, 1, 7e6, time.UTC),
		ClientMessageID: s.ClientMessageID, RequestFingerprint: s.RequestFingerprint,
		SenderMemberPubkey: sdk.Key{2}, SenderMemberID: strings.Repeat("a", 32), SenderName: "ada",
	}
}

func BenchmarkPeek(b *testing.B) {
	frame := sendFrame(512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Peek(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeSend(b *testing.B) {
	frame := sendFrame(512)
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode[Send](frame); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("into", func(b *testing.B) {
		b.ReportAllocs()
		var s Send
		for b.Loop() {
			if err := DecodeInto(frame, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("strict", func(b *testing.B) {
		b.ReportAllocs()
		var s Send
		for b.Loop() {
			if err := decodeStrict(frame, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeOther(b *testing.B) {
	frames := []struct {
		name  string
		frame []byte
		into  any
	}{
		{"push", AppendPush(nil, newPush(512)), new(Push)},
		{"ack", AppendAck(nil, &Ack{ID: jsontext.Value(`"17"`), MessageID: strings.Repeat("q", 32), Queued: true}), new(Ack)},
		{"client_ack", AppendClientAck(nil, &ClientAck{ClientMessageID: "c1", BrokerMessageID: strings.Repeat("q", 32)}), new(ClientAck)},
		{"set_status", []byte(`{"type":"set_status","status":"working"}`), new(SetStatus)},
	}
	for _, f := range frames {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := DecodeInto(f.frame, f.into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 4096)
	push, send := newPush(512), newSend(512)
	ack := &Ack{ID: send.ID, MessageID: push.MessageID, Queued: true}
	event := &Event{MessageID: "u", MeshID: push.MeshID, Name: EventPeerLeft, Data: PeerNews("ada", sdk.Key{1}), CreatedAt: push.CreatedAt}
	writers := []struct {
		name  string
		write func()
	}{
		{"ack", func() { AppendAck(buf, ack) }},
		{"push", func() { AppendPush(buf, push) }},
		{"send", func() { AppendSend(buf, send) }},
		{"event", func() { _, _ = AppendEvent(buf, event) }},
		{"set_status", func() { _, _ = Append(buf, SetStatus{Status: "idle"}) }},
	}
	for _, w := range writers {
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.write()
			}
		})
	}
}
