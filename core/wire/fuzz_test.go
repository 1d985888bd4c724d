package wire

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var seeds = []string{
	`{"type":"hello","meshId":"m","memberId":"a","pubkey":"aa","sessionId":"s","pid":41,"cwd":"/","groups":[{"name":"ops","role":"r"}],"timestamp":1.5e3,"signature":"5e"}`,
	`{"type":"session_hello","parentAttestation":{"expiresAt":2,"signature":"a7"},"timestamp":1}`,
	`{"type":"send","id":"c1","client_message_id":"c1","targetSpec":"*","priority":"next","nonce":"bg==","ciphertext":"Yw=="}`,
	`{"type":"send","id":{"a":[1]},"targetSpec":"@g","priority":null,"nonce":"","ciphertext":"\u00e4","mentions":["a"],"bodyVersion":2}`,
	`{"type":"push","messageId":"q","meshId":"m","senderPubkey":"system","priority":"low","nonce":"","ciphertext":"","createdAt":"2026-06-14T10:00:00.005Z","eventData":{"name":"B"}}`,
	`{"type":"push","senderPubkey":"` + "aa00000000000000000000000000000000000000000000000000000000000001" + `","createdAt":"2026-06-14T10:00:00+02:00"}`,
	`{"type":"ack","id":17,"messageId":"","queued":false,"error":"no"}`,
	`{"type":"client_ack","clientMessageId":"c1","brokerMessageId":"q1"}`,
	`{"type":"set_profile","title":null,"capabilities":["x"]}`,
	`{"type":"set_stats","stats":{"uptime":1e3}}`,
	`{"type":"peers_list","peers":[{"pubkey":"","connectedAt":"2026-06-14T10:00:00.005Z","profile":{}}]}`,
	`{"t\u0079pe":"set_status","status":"idle","_reqId":null,"x":"\\\""}`,
	`{"a":[[[{"b":"]"}]]],"a":1}`,
	"{\"x\":\"\xff\"}", `{"x":"\ud800"}`, `{} {}`, `[1]`, ``, `{"type`,
}

// FuzzDecode gives any bytes to every reader. Whatever is read is written the
// same each time, the fast and the strict reader see the same, and errors stay
// short.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	for _, size := range []int{0, 64, 512} {
		f.Add(sendFrame(size))
		f.Add(AppendPush(nil, newPush(size)))
	}
	frames := append(append([]Frame{}, requests...), answers...)
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := Peek(data)
		checkText(t, err)
		checkEcho(t, h.ID)
		checkEcho(t, h.ReqID)
		for _, frame := range frames {
			v := zeroOf(frame)
			if err := DecodeInto(data, v); err != nil {
				checkText(t, err)
				continue
			}
			checkAgreement(t, data, frame)
			checkStable(t, v.(Frame))
		}
	})
}

// checkText wants a short error in valid UTF-8, or none.
func checkText(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e, ok := errors.AsType[*DecodeError](err)
	if !ok || e.Code == "" || e.Message == "" || len(e.Message) > maxMessage || !utf8.ValidString(e.Message) {
		t.Errorf("bad error %v", err)
	}
}

// checkEcho wants a value that can be sent back.
func checkEcho(t *testing.T, v jsontext.Value) {
	t.Helper()
	if v != nil && (len(v) > MaxEcho || !v.IsValid()) {
		t.Errorf("bad echo %q", v)
	}
}

// checkAgreement wants the strict reader to read what was read.
func checkAgreement(t *testing.T, data []byte, frame Frame) {
	t.Helper()
	fast, strict := zeroOf(frame), zeroOf(frame)
	if !decodeFast(data, fast) {
		return
	}
	if err := decodeStrict(data, strict); err != nil {
		t.Fatalf("fast reads %s, strict says %v", frame.FrameType(), err)
	}
	if diff := cmp.Diff(strict, fast); diff != "" {
		t.Errorf("%s (-strict +fast):\n%s", frame.FrameType(), diff)
	}
}

// checkStable wants a frame to be the same after it was written and read.
func checkStable(t *testing.T, v Frame) {
	t.Helper()
	if p, ok := v.(*Push); ok {
		if year := p.CreatedAt.UTC().Year(); year < 0 || year > 9999 {
			return // readable in its own time zone only
		}
	}
	first, err := Append(nil, v)
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	again := zeroOf(v)
	if err := DecodeInto(first, again); err != nil {
		t.Fatalf("%T: cannot read %s: %v", v, first, err)
	}
	second, err := Append(nil, again.(Frame))
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("%T:\nfirst  %s\nsecond %s", v, first, second)
	}
}
