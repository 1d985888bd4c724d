package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
)

func TestPrintInvite(t *testing.T) {
	t.Parallel()
	inv := admin.Invite{
		Slug: "home", Role: "member", Uses: 1, ExpiresAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		BrokerURL: "wss://broker.example/ws", Code: "ABCDEFGH", Link: "ic://join/T", Token: "T",
	}
	whole := `mesh     home
role     member
uses     1
expires  ` + at(inv.ExpiresAt) + `
broker   wss://broker.example/ws
code     ABCDEFGH
short    https://mesh.example/i/ABCDEFGH
link     ic://join/T
token    T
`
	for url, want := range map[string]string{
		"https://mesh.example/i/ABCDEFGH": whole,
		"":                                strings.Replace(whole, "short    https://mesh.example/i/ABCDEFGH\n", "", 1),
	} {
		inv.URL = url
		var out strings.Builder
		(&program{streams: streams{out: &out}}).printInvite(&inv)
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("short link %q: -want +got:\n%s", url, diff)
		}
	}
}
