package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/admin"
)

func TestShortLink(t *testing.T) {
	t.Parallel()
	const at = "wss://mesh.example.org/base/ws"
	for _, tt := range []struct{ invite, at, want, wrong string }{
		{"https://h.example/i/ABCDEFGH2345", "", "https://h.example/i/ABCDEFGH2345", ""},
		{" http://h:7900/base/i/abcd-efgh/?x=1#y\n", "", "http://h:7900/base/i/ABCDEFGH", ""},
		{"abcd efgh 2345", at, "https://mesh.example.org/base/i/ABCDEFGH2345", ""},
		{"ABCDEFGH2345", "", "", "--url"},
		{"ABCDEFGH2345", "mesh.example.org", "", "ws://"},
		{"https://h.example/i/$(id)", "", "", ""},
		{"https://h.example/join/ABCDEFGH2345", "", "", ""},
		{"ic://join/ABCDEFGH2345", at, "", ""},
		{"ABCDE", at, "", ""},
		{strings.Repeat("A", 17), at, "", ""},
		{"", at, "", ""},
	} {
		got, err := shortLink(tt.invite, tt.at)
		if got != tt.want || (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%q at %q: got %q, %v", tt.invite, tt.at, got, err)
		}
	}
}

// TestJoinByShortLink joins by what an invite's page is called, and comes back
// when it is used up.
func TestJoinByShortLink(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	_, url := x.serve()
	invite := func(uses string) *admin.Invite {
		t.Helper()
		return parse[admin.Invite](t, x.ok(x.on("invite", "create", "home", "--uses", uses, "--json")...))
	}
	once := invite("1")
	bo := x.start("peer", "listen", "--name", "bo", "--invite", once.URL, "--count", "2")
	bo.err.wait(bo, "listening as bo")
	x.ok("peer", "send", "--name", "ada", "--invite", strings.ToLower(invite("1").Code), "--url", url, "bo", "hello")
	bo.out.wait(bo, "ada: hello")

	// The member comes back by the same link; somebody else does not get in.
	x.ok("peer", "send", "--name", "bo", "--invite", once.URL+"/", "bo", "to myself")
	x.fails(exitFailed, "refused the short link", "peer", "peers", "--name", "cy", "--invite", once.URL)
	x.fails(exitFailed, "refused the short link", "peer", "peers", "--name", "cy", "--invite", "AAAAAAAAAAAA", "--url", url)

	// A file of one's own, and a link with a token to a broker without TLS.
	file := filepath.Join(x.home, "dee.json")
	x.ok("peer", "peers", "--name", "dee", "--member", file, "--invite", invite("1").URL)
	x.ok("peer", "peers", "--member", file)
	x.ok("peer", "peers", "--name", "eve", "--invite", strings.TrimSuffix(once.URL, "/i/"+once.Code)+"/join/"+invite("1").Token)

	for name, text := range map[string]string{
		"a word": "hello, world", "a page": "https://example.org/", "a cut token": once.Token[:len(once.Token)-9], "a link that holds none": "ic://join/AAAA",
	} {
		r := x.try("peer", "peers", "--name", "cy", "--invite", text)
		if r.code != exitUsage || r.err != "broker: "+errInvite.Error()+"\n" {
			t.Errorf("%s: exit %d\n%s", name, r.code, r.err)
		}
	}
	x.fails(exitFailed, "does not answer", "peer", "peers", "--name", "cy", "--invite", "http://127.0.0.1:1/i/AAAAAAAAAAAA")
}
