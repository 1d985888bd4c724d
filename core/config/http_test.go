package config

import (
	"fmt"
	"testing"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ app, public, want string }{
		{"https://a.example", "wss://m.example/ws", "https://a.example"},
		{"https://a.example/base/", "wss://m.example/ws", "https://a.example/base"},
		{"", "wss://m.example/ws", "https://m.example"},
		{"", "wss://m.example:8443/mesh/ws/", "https://m.example:8443/mesh"},
		{"", "ws://127.0.0.1:7900/ws", "http://127.0.0.1:7900"},
		{"", "ws://[::1]:7900/ws?x=1", "http://[::1]:7900"},
	} {
		if got := (HTTP{AppURL: tt.app}).Links(tt.public); got != tt.want {
			t.Errorf("app_url %q, public_url %q: got %s, want %s", tt.app, tt.public, got, tt.want)
		}
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	h := HTTP{TrustedProxies: []string{
		"10.1.2.3/8", "192.0.2.7", "::ffff:192.0.2.8", "::ffff:198.51.100.9/120", "2001:db8::1/32", "none",
	}}
	want := "[10.0.0.0/8 192.0.2.7/32 192.0.2.8/32 198.51.100.0/24 2001:db8::/32]"
	if got := fmt.Sprint(h.Proxies()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
