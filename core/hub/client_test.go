package hub

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

// masked is a client's frame.
func masked(first byte, payload []byte, mask [4]byte) []byte {
	b := appendHeader(nil, first, len(payload))
	b[1] |= maskBit
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// lineTo upgrades a connection and returns what is under it.
func lineTo(tb testing.TB, url string) net.Conn {
	tb.Helper()
	var line net.Conn
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		line, err = new(net.Dialer).DialContext(ctx, network, addr)
		return line, err
	}}
	c, _, err := websocket.Dial(tb.Context(), url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	tb.Cleanup(func() { _ = c.CloseNow() })
	return line
}
