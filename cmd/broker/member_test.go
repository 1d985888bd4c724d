package main

import (
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/admin"
)

// TestMemberLink holds that the operator moves a member to another account, while
// a broker runs, and that the broker knows at once.
func TestMemberLink(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.newMesh("home", "2")
	ada := parse[admin.NewToken](t, x.ok(x.on("session", "create", "ada", "--json")...))
	x.ok(x.on("session", "create", "bo")...)
	_, url := x.serve()
	c := caller{t, url, ada.Token}
	meshes := func() int { return len(c.want(200, "GET", "/cli/meshes", nil)["meshes"].([]any)) }
	if n := meshes(); n != 0 {
		t.Errorf("before: %d meshes", n)
	}
	if out := x.ok(x.on("member", "link", "home", "member-2", "ada")...); !strings.Contains(out, "member-2") || !strings.HasSuffix(out, " is ada's\n") {
		t.Errorf("got %s", out)
	}
	if n := meshes(); n != 1 {
		t.Errorf("linked: %d meshes", n)
	}
	x.fails(exitFailed, "belongs to account ada: --force moves it to bo", x.on("member", "link", "home", "member-2", "bo")...)
	moved := parse[admin.MemberLink](t, x.ok(x.on("member", "link", "home", "member-2", "bo", "--force", "--json")...))
	if moved.Account != "bo" || moved.Before != "ada" {
		t.Errorf("got %+v", moved)
	}
	if n := meshes(); n != 0 {
		t.Errorf("moved: %d meshes", n)
	}
	if out := x.ok(x.on("member", "list", "home")...); !strings.Contains(out, " ACCOUNT ") || !strings.Contains(out, " bo ") {
		t.Errorf("list:\n%s", out)
	}
	x.fails(exitFailed, "broker session create", x.on("member", "link", "home", "member-1", "nobody")...)
	x.fails(exitFailed, "broker member list", x.on("member", "link", "home", "nobody", "ada")...)
	x.ok(x.on("member", "revoke", "home", "member-1")...)
	x.fails(exitFailed, "was revoked", x.on("member", "link", "home", "member-1", "ada")...)
	if v := parse[admin.Verification](t, x.ok(x.on("audit", "verify", "home", "--json")...)); !v.Valid || v.Entries < 3 {
		t.Errorf("the audit log does not have it: %+v", v)
	}
}
