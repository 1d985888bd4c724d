package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/identity"
)

// TestFreshStore follows what serve prints on a fresh store: join with the
// invite, listen, send.
func TestFreshStore(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker, url := x.serve()
	_, rest, _ := strings.Cut(broker.err.String(), "INVITE=")
	invite, _, _ := strings.Cut(rest, "\n")

	bo := x.start("peer", "listen", "--name", "bo", "--invite", invite, "--group", "crew")
	bo.err.wait(bo, "listening as bo")
	id := strings.TrimSpace(x.ok("peer", "send", "--name", "ada", "--invite", invite, "bo", "hello", "bo"))
	if len(id) != 32 {
		t.Errorf("message id %q", id)
	}
	bo.out.wait(bo, "ada: hello bo")
	x.ok("peer", "send", "--name", "ada", "--invite", "ic://join/"+invite, "@crew", "line one\nline two\x1b[31m")
	bo.out.wait(bo, `ada: line one\nline two\x1b[31m`)

	x.fails(exitFailed, "nobody here is called", "peer", "send", "--name", "ada", "--invite", invite, "nobody", "hi")
	peers := *parse[[]peerLine](t, x.ok("peer", "peers", "--name", "ada", "--invite", invite, "--json"))
	if len(peers) != 1 || peers[0].DisplayName != "bo" || peers[0].Groups[0] != "crew" {
		t.Errorf("peers: %+v", peers)
	}
	x.ok("peer", "send", "--name", "ada", "--invite", invite, peers[0].Pubkey[:8], "by the beginning of the key")
	bo.out.wait(bo, "by the beginning of the key")

	meshes := *parse[[]admin.Mesh](t, x.ok(x.on("mesh", "list", "--json")...))
	if len(meshes) != 1 || meshes[0].Slug != "home" || meshes[0].Members != 2 {
		t.Errorf("meshes: %+v", meshes)
	}
	bo.end()
	broker.end()
	if got := broker.out.String(); got != "ready "+url+"\n" {
		t.Errorf("standard output of serve: %q", got)
	}

	again, _ := x.serve()
	if text := again.err.String(); strings.Contains(text, "INVITE=") || !strings.Contains(text, "1 mesh(es)") {
		t.Errorf("the second start says\n%s", text)
	}
}

// TestMeshCreateWhileServing makes a mesh beside a running broker and uses it at
// once, without a restart, with the keys from the JSON.
func TestMeshCreateWhileServing(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	_, url := x.serve()
	keys := filepath.Join(x.home, "keys")
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "Team", "--members", "2", "--save", keys, "--json")...))
	if m.Slug != "team" || len(m.Members) != 2 || m.Members[0].Role != "admin" {
		t.Fatalf("got %+v", m)
	}
	file := filepath.Join(keys, "member-2.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", file, info, err)
	}
	listener := x.start("peer", "listen", "--member", file, "--json", "--count", "1")
	listener.err.wait(listener, "listening as member-2 (key "+m.Members[1].Key.String()[:16]+") on "+url)
	x.ok("peer", "send", "--member", filepath.Join(keys, "member-1.json"), m.Members[1].Key.String(), "sealed")
	if code := listener.wait(); code != exitOK {
		t.Errorf("listener: exit %d", code)
	}
	line := parse[messageLine](t, listener.out.String())
	if line.Text != "sealed" || !line.Opened || line.SenderName != "member-1" || line.SenderMemberPubkey != m.Members[0].Key.String() {
		t.Errorf("got %+v", line)
	}
	stranger, _ := identity.NewKeypair()
	r := x.try("peer", "send", "--member", filepath.Join(keys, "member-1.json"), stranger.String(), "to a key that nobody has", "--json")
	var ack struct{ Queued bool }
	if err := json.Unmarshal([]byte(r.out), &ack); err != nil || ack.Queued || r.code != exitFailed {
		t.Errorf("a refused message: exit %d, %s%s", r.code, r.out, r.err)
	}
}

// TestRevokeClosesSession revokes through the control socket.
func TestRevokeClosesSession(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.serve()
	keys := filepath.Join(x.home, "keys")
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "team", "--members", "2", "--save", keys, "--json")...))
	listener := x.start("peer", "listen", "--member", filepath.Join(keys, "member-2.json"))
	listener.err.wait(listener, "listening as")
	r := parse[admin.Revocation](t, x.ok(x.on("member", "revoke", "team", m.Members[1].Key.String()[:10], "--json")...))
	if r.ID != m.Members[1].ID || r.RevokedAt.IsZero() || r.Already {
		t.Errorf("got %+v", r)
	}
	if code := listener.wait(); code != exitFailed || !strings.Contains(listener.err.String(), "4002 banned") {
		t.Errorf("the session ended with %d\n%s", code, listener.err)
	}
	x.fails(exitFailed, "revoked", "peer", "listen", "--member", filepath.Join(keys, "member-2.json"))
	if out := x.ok(x.on("member", "revoke", "team", "member-2")...); !strings.Contains(out, "already") {
		t.Errorf("again: %s", out)
	}
	members := *parse[[]admin.Member](t, x.ok(x.on("member", "list", "team", "--json")...))
	if len(members) != 2 || !members[0].RevokedAt.IsZero() || members[1].RevokedAt.IsZero() {
		t.Errorf("members: %+v", members)
	}
}

// TestMessagesWaitForWhoListens holds that sending as a member takes none of the
// messages that wait for it, and that a listener that comes later gets them.
func TestMessagesWaitForWhoListens(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.serve()
	keys := filepath.Join(x.home, "keys")
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "team", "--members", "2", "--save", keys, "--json")...))
	one, two := filepath.Join(keys, "member-1.json"), filepath.Join(keys, "member-2.json")
	x.ok("peer", "send", "--member", one, m.Members[1].Key.String(), "first")
	x.ok("peer", "send", "--member", two, m.Members[0].Key.String(), "an answer, unread")
	x.ok("peer", "peers", "--member", two)
	x.ok("peer", "send", "--member", one, m.Members[1].Key.String(), "second")
	listener := x.start("peer", "listen", "--member", two, "--count", "2")
	if code := listener.wait(); code != exitOK {
		t.Fatalf("exit %d\n%s", code, listener.err)
	}
	lines := strings.Split(strings.TrimSpace(listener.out.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "first") || !strings.HasSuffix(lines[1], "second") {
		t.Errorf("got %q", lines)
	}
}

// TestListenerComesBack restarts the broker under a listener.
func TestListenerComesBack(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker, url := x.serve()
	keys := filepath.Join(x.home, "keys")
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "team", "--members", "2", "--save", keys, "--json")...))
	listener := x.start("peer", "listen", "--member", filepath.Join(keys, "member-2.json"))
	listener.err.wait(listener, "listening as")
	broker.end()
	listener.err.wait(listener, "connecting again")

	address := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	again := x.start(x.on("serve", "--listen", address)...)
	again.out.wait(again, "ready "+url)
	x.ok("peer", "send", "--member", filepath.Join(keys, "member-1.json"), m.Members[1].Key.String(), "still there?")
	listener.out.wait(listener, "still there?")
	listener.end()
}

// TestTwoBrokers holds that a data directory has one broker, and that the second
// one leaves the first alone.
func TestTwoBrokers(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	_, url := x.serve()
	x.fails(exitFailed, url, x.on("serve", "--listen", "127.0.0.1:0")...)
	x.fails(exitFailed, "another broker runs", x.on("--listen", "127.0.0.1:0")...)
	x.ok(x.on("mesh", "list")...)
}

// TestOffline makes a mesh before there is a broker, which then serves it.
func TestOffline(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	m := x.newMesh("early", "1")
	inv := parse[admin.Invite](t, x.ok(x.on("invite", "create", "early", "--role", "admin", "--uses", "3", "--ttl", "1d", "--json")...))
	if inv.Role != "admin" || inv.Uses != 3 || inv.BrokerURL != "ws://127.0.0.1:7900/ws" || time.Until(inv.ExpiresAt) > 24*time.Hour {
		t.Errorf("invite: %+v", inv)
	}
	if out := x.ok(x.on("invite", "create", "early")...); !strings.Contains(out, "ic://join/") {
		t.Errorf("invite: %s", out)
	}
	offline := x.ok(x.on("member", "list", "early")...)
	broker, url := x.serve()
	if strings.Contains(broker.err.String(), "INVITE=") {
		t.Error("a first mesh was made although there was one")
	}
	if online := x.ok(x.on("member", "list", "early")...); online != offline {
		t.Errorf("members offline:\n%s\nand through the socket:\n%s", offline, online)
	}
	x.ok("peer", "peers", "--invite", m.Invite, "--url", url, "--name", "zoe")
	x.ok("peer", "peers", "--invite", inv.Token, "--url", url, "--name", "eve")
	// Revoked while no broker runs, and in the audit log all the same.
	broker.end()
	before := parse[admin.Verification](t, x.ok(x.on("audit", "verify", "early", "--json")...))
	x.ok(x.on("member", "revoke", "early", "zoe")...)
	after := parse[admin.Verification](t, x.ok(x.on("audit", "verify", "early", "--json")...))
	if !after.Valid || after.Entries != before.Entries+1 {
		t.Errorf("audit before %+v, after %+v", before, after)
	}
}

// TestReload swaps the chain by command and by signal, under a connection that
// stays. Nothing watches the file.
func TestReload(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	file := filepath.Join(x.home, "broker.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pipeline := func(rate string) string {
		return "pipeline: [{stage: auth}, {stage: grants}, {stage: rate-limit, with: {send: " + rate + "}}, {stage: route}, {stage: audit}]\n"
	}
	write(pipeline("60/min"))
	broker, _ := x.serveChild(file, "--set", "reload.watch=false")
	keys := filepath.Join(x.home, "keys")
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "team", "--members", "2", "--save", keys, "--json")...))
	listener := x.start("peer", "listen", "--member", filepath.Join(keys, "member-2.json"))
	listener.err.wait(listener, "listening as")

	write(pipeline("30/min") + "limits: {window: 99}\n")
	dry := x.ok(x.on("reload", "--dry-run")...)
	if !strings.Contains(dry, "rate-limit: changed") || !strings.Contains(dry, "limits.window: changed, and needs a restart") {
		t.Errorf("dry run says\n%s", dry)
	}
	if again := x.ok(x.on("reload", "--dry-run")...); again != dry {
		t.Errorf("the dry run changed something; then it says\n%s", again)
	}
	if out := x.ok(x.on("reload", "--wait")...); !strings.Contains(out, "generation 2 runs, the old chain has ended; 1 link(s) changed") {
		t.Errorf("reload says\n%s", out)
	}
	if out := x.ok(x.on("reload")...); !strings.Contains(out, "generation 3 runs; 0 link(s) changed") {
		t.Errorf("second reload says\n%s", out)
	}
	write("pipeline: [{stage: rout}]\n")
	x.fails(exitFailed, "did you mean route?", x.on("reload")...)
	write("pipeline: [{stage: grants}, {stage: auth}, {stage: route}]\n")
	x.fails(exitFailed, "nothing was changed", x.on("reload", "--wait")...)
	x.fails(exitFailed, "nothing was changed", x.on("reload", "--dry-run")...)
	if out := x.ok(x.on("chain")...); !strings.Contains(out, "\ngeneration 3, loaded ") || !strings.Contains(out, " by command, was refused: nothing was changed: ") {
		t.Errorf("chain says\n%s", out)
	}

	write("pipeline: [{stage: auth}, {stage: route}]\n")
	broker.signal(syscall.SIGHUP)
	broker.err.wait(broker.running, `"msg":"reloaded","by":"signal"`)
	chain := parse[admin.Chain](t, x.ok(x.on("chain", "--json")...))
	if !chain.Running || len(chain.Links) != 2 || chain.Text != "" {
		t.Errorf("chain: %+v", chain)
	}
	if l := chain.Loaded; l == nil || l.Generation != 4 || l.By != admin.BySignal || len(l.SHA256) != 64 || l.LastError != nil {
		t.Errorf("loaded: %+v", l)
	}
	x.ok("peer", "send", "--member", filepath.Join(keys, "member-1.json"), m.Members[1].Key.String(), "still connected")
	listener.out.wait(listener, "still connected")
	if strings.Contains(listener.err.String(), "again") {
		t.Errorf("a reload closed the connection:\n%s", listener.err)
	}
}
