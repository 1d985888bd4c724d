package app_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/identity"
	"github.com/claudemesh/broker/core/store"
)

// BenchmarkHTTP is what a request costs, the client's half included, over one
// connection that stays open. Version is the floor: it passes the edge, and neither
// the chain nor the store.
func BenchmarkHTTP(b *testing.B) {
	r := newRig(b, func(c *config.Config) {
		c.HTTP.PerAddress, c.HTTP.PerToken, c.HTTP.HookRate = config.Limit{}, config.Limit{}, config.Limit{}
	})
	bearer := "Bearer " + r.account("ada")
	ada := r.member("ada", store.RoleMember)
	status := []byte(`{"cwd":"/src","pid":7,"status":"working"}`)
	at := time.Now().Add(-30 * time.Second)
	signed := func() string {
		at = at.Add(time.Millisecond) // another signature each time
		return identity.SignHTTP(ada.Key, http.MethodPost, hookPath, r.mesh.ID, status, at)
	}
	for _, bb := range []struct {
		name, method, path string
		body               []byte
		authorization      func() string
	}{
		{"version", http.MethodGet, "/version", nil, nil},
		{"hook without a credential", http.MethodPost, hookPath, status, nil},
		{"hook with a token", http.MethodPost, hookPath, status, func() string { return bearer }},
		{"hook with a signature", http.MethodPost, hookPath, status, signed},
		{"meshes with a token", http.MethodGet, "/cli/meshes", nil, func() string { return bearer }},
		{"refused token", http.MethodGet, "/cli/meshes", nil, func() string { return "Bearer a.b.c" }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			url := "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws") + bb.path
			b.ReportAllocs()
			for b.Loop() {
				req, err := http.NewRequestWithContext(context.Background(), bb.method, url, bytes.NewReader(bb.body))
				if err != nil {
					b.Fatal(err)
				}
				if bb.authorization != nil {
					req.Header.Set("Authorization", bb.authorization())
				}
				res, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if wrong := res.StatusCode != http.StatusOK && bb.name != "refused token"; err != nil || wrong {
					b.Fatalf("%s, %v", res.Status, err)
				}
			}
		})
	}
}
