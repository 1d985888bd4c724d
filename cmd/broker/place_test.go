package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/admin"
)

// TestTokenBeforeTheStore holds that a token may be made before anything else, in
// a store that is named.
func TestTokenBeforeTheStore(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	var n admin.NewToken
	if err := json.Unmarshal([]byte(x.ok(x.on("session", "create", "ada", "--json")...)), &n); err != nil {
		t.Fatal(err)
	}
	_, url := x.serve()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http"+strings.TrimSuffix(strings.TrimPrefix(url, "ws"), "/ws")+"/api/my/profile", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+n.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the token: %s", res.Status)
	}
}

// TestWrongPlace holds that no command but mesh create makes a store that nobody
// has named, and that what is done without a broker, or not found, names where.
func TestWrongPlace(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	commands := map[string][]string{
		"session create": {"session", "create", "ada"}, "session list": {"session", "list"},
		"session revoke": {"session", "revoke", "x"}, "session approve": {"session", "approve", "ABCD-2345"},
		"account list": {"account", "list"}, "account enable": {"account", "enable", "ada"},
		"account disable": {"account", "disable", "ada"}, "account legacy": {"account", "legacy", "ada", "off"},
		"account own": {"account", "own", "home", "ada"}, "invite create": {"invite", "create", "home"},
		"member list": {"member", "list", "home"}, "member revoke": {"member", "revoke", "home", "bo"},
		"member link": {"member", "link", "home", "bo", "ada"},
	}
	store := filepath.Join(x.home, ".local", "share", "claudemesh-broker") // of commands that do not say --data-dir
	for name, args := range commands {
		t.Run(name+" makes no store", func(t *testing.T) {
			x := *x
			x.t = t
			x.fails(exitFailed, "there is no store in "+store+": say --data-dir or --config as for broker serve", args...)
		})
	}
	x.ok("migrate", "up")
	x.fails(exitFailed, "say --data-dir or --config as for broker serve", commands["session create"]...)
	if _, err := os.Stat(filepath.Join(store, keyName)); err == nil {
		t.Error("session create made a key")
	}

	note := "note: no broker runs on " + x.data + ", so this went to the store in " + x.data + " itself\n"
	for _, args := range [][]string{
		{"mesh", "create", "home", "--members", "2"}, commands["session create"], commands["session list"],
		commands["account disable"], commands["account enable"], {"member", "revoke", "home", "member-2"}, commands["invite create"],
	} {
		if r := x.try(x.on(args...)...); r.code != exitOK || !strings.HasSuffix(r.err, note) || strings.Contains(r.out, "note:") {
			t.Errorf("broker %v: exit %d\n%s", args, r.code, r.err)
		}
	}
	asked := "(asked: the store in " + x.data + "; no broker runs on " + x.data + ")"
	x.fails(exitFailed, asked, x.on(commands["session approve"]...)...)
	x.fails(exitFailed, asked, x.on("invite", "create", "nowhere")...)

	_, url := x.serve()
	if r := x.try(x.on(commands["session create"]...)...); r.code != exitOK || r.err != "" {
		t.Errorf("with a broker: exit %d\n%s", r.code, r.err)
	}
	x.fails(exitFailed, "(asked: the broker at "+url+", which runs on "+x.data+")", x.on(commands["session approve"]...)...)
}

// TestOwnedMesh holds that an operator makes a mesh that an account can use over
// HTTP, with one command.
func TestOwnedMesh(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	broker, url := x.serve()
	if said := broker.err.String(); !strings.Contains(said, "broker session create USER --data-dir "+x.data+"\n") {
		t.Errorf("serve says\n%s", said)
	}
	m := parse[admin.NewMesh](t, x.ok(x.on("mesh", "create", "team", "--owner", "ada", "--json")...))
	if m.Account != "ada" {
		t.Errorf("got %+v", m)
	}
	if out := x.ok(x.on("mesh", "create", "other", "--owner", "ada")...); !strings.Contains(out, "\naccount ada\n") {
		t.Errorf("got\n%s", out)
	}
	n := parse[admin.NewToken](t, x.ok(x.on("session", "create", "ada", "--json")...))
	if n.Created || n.Meshes != 2 {
		t.Errorf("got %+v", n)
	}
	caller{t, url, n.Token}.want(200, "POST", "/cli/mesh/team/invite", map[string]string{})
	x.ok(x.on("account", "disable", "ada")...)
	x.fails(exitFailed, "broker account enable ada", x.on("mesh", "create", "third", "--owner", "ada")...)
	x.fails(exitFailed, "letters", x.on("mesh", "create", "third", "--owner", "a b")...)
	if list := *parse[[]admin.Mesh](t, x.ok(x.on("mesh", "list", "--json")...)); len(list) != 3 {
		t.Errorf("a refused mesh was made: %+v", list)
	}
	if v := parse[admin.Verification](t, x.ok(x.on("audit", "verify", "team", "--json")...)); !v.Valid || v.Entries < 1 {
		t.Errorf("the audit log does not have the owner: %+v", v)
	}
}
