package hub

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// fuzzLimit is the limit of messages; small, so that small inputs reach it.
const fuzzLimit = 300

// FuzzReader gives the same bytes to a reader and to the WebSocket library, and
// wants the same messages, control frames and end. Where they differ on purpose,
// see sameEnd.
func FuzzReader(f *testing.F) {
	for _, tt := range hostile {
		if len(tt.bytes) < 1000 {
			f.Add(tt.bytes, 1000)
		}
	}
	f.Add(plainMasked(finBit|opText, strings.Repeat("x", fuzzLimit)), 100)
	f.Add(plainMasked(finBit|opText, strings.Repeat("x", fuzzLimit+1)), 100)
	f.Add(join(plainMasked(opText, "a"), closing(1000, "bye"), plainMasked(finBit|opText, "b")), 1)
	f.Add(closing(4000, "\xff"), 3)
	f.Add(closing(1006, ""), 1<<20)
	f.Fuzz(func(t *testing.T, b []byte, each int) {
		each = max(1, each)
		ours, theirs := outline(b, each), libraryOutline(t, b, each)
		if n := len(ours); n != len(theirs) || !slices.Equal(ours[:n-1], theirs[:n-1]) || !sameEnd(ours[n-1], theirs[n-1]) {
			t.Errorf("we read %.300q, the library %.300q", ours, theirs)
		}
	})
}

// outline is what a reader makes of some bytes, up to the first close frame.
func outline(b []byte, each int) (got []string) {
	r := &reader{}
	r.limit.Store(fuzzLimit)
	r.start(&scripted{bytes: bytes.Clone(b), each: each}, nil, &bufferPool{})
	defer r.close()
	for _, event := range events(r) {
		payload, isClose := bytes.CutPrefix([]byte(event), []byte("8 "))
		if !isClose {
			got = append(got, event)
			continue
		}
		code, err := parseClose(payload)
		if err != nil {
			return append(got, "breach")
		}
		return append(got, fmt.Sprintf("close %d %s", code, payload[min(2, len(payload)):]))
	}
	return got
}

// libraryOutline is what the library makes of them.
func libraryOutline(t *testing.T, b []byte, each int) (got []string) {
	t.Helper()
	line := &answering{scripted: scripted{bytes: bytes.Clone(b), each: each}}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
	} {
		req.Header.Set(name, value)
	}
	c, err := websocket.Accept(&upgrading{httptest.NewRecorder(), line}, req, &websocket.AcceptOptions{
		OnPingReceived: func(_ context.Context, payload []byte) bool {
			got = append(got, fmt.Sprintf("9 %s", payload))
			return false
		},
		OnPongReceived: func(_ context.Context, payload []byte) { got = append(got, fmt.Sprintf("a %s", payload)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(fuzzLimit)
	for {
		_, payload, err := c.Read(t.Context())
		said := websocket.CloseError{}
		switch {
		case err == nil:
			got = append(got, fmt.Sprintf("1 %s", payload))
		case errors.As(err, &said):
			return append(got, fmt.Sprintf("close %d %s", int(said.Code), said.Reason))
		case bytes.HasPrefix(line.written.Bytes(), []byte{headerClose}) && line.written.Bytes()[3] == 0xea:
			return append(got, "breach")
		case errors.Is(err, websocket.ErrMessageTooBig):
			return append(got, "too long")
		default:
			return append(got, "end")
		}
	}
}

// sameEnd reports whether two ends are the same. The library looks at a header
// when it has all of it, and ends without a word where there is no mask or a
// length has its highest bit set; and it takes a reason that is not UTF-8.
func sameEnd(ours, theirs string) bool {
	return ours == theirs || ours == "breach" && (theirs == "end" || !utf8.ValidString(theirs))
}

// answering is a scripted connection that keeps what is written.
type answering struct {
	scripted
	written bytes.Buffer
}

func (a *answering) Write(p []byte) (int, error) { return a.written.Write(p) }

func (*answering) Close() error { return nil }

// upgrading is the answer to a request whose connection is a script.
type upgrading struct {
	*httptest.ResponseRecorder
	line net.Conn
}

// Hijack implements http.Hijacker.
func (u *upgrading) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return u.line, bufio.NewReadWriter(bufio.NewReader(u.line), bufio.NewWriter(u.line)), nil
}
