package app_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/store"
)

// TestRestLines runs the lines of docs/rest.md.
func TestRestLines(t *testing.T) {
	r := newRig(t, nil)
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	key, _ := r.apiKey(ada, keyForAll)
	said := runLines(t, "rest.md", "KEY="+key, "TO="+bo.RoutingKey().String(),
		"BROKER=http://"+strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws"))
	if len(said) < 4 {
		t.Fatalf("found %d blocks", len(said))
	}
}

// TestWebhookLines runs the lines of docs/webhooks.md.
func TestWebhookLines(t *testing.T) {
	r := newRig(t, nil)
	ada := r.joined(r.member("ada", store.RoleAdmin))
	plain, timed := r.hook(ada, `"name":"ci"`), r.hook(ada, `"name":"timed","signature":"timed"`)
	base := "http://" + strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws")
	said := runLines(t, "webhooks.md", "URL="+base+plain.path(), "TIMED_URL="+base+timed.path(), "SIGNING_KEY="+timed.SigningKey)
	if len(said) != 2 {
		t.Fatalf("found %d blocks", len(said))
	}
	wantHook(ada, "ci", `{"build":41,"state":"green"}`)
	wantHook(ada, "timed", `{"build":42,"state":"red"}`)
}

// TestWatchLines holds what docs/watches.md says of a hash to what the broker has.
func TestWatchLines(t *testing.T) {
	r := newRig(t, nearby)
	id := r.member("ada", store.RoleAdmin)
	url, _ := page(t)
	r.joined(id).ask(`{"type":"watch","url":"`+url+`"}`, "watch_ack")
	eventually(t, "a look", func() bool { return r.watches(id.MemberID)[0].Value != "" })
	said := runLines(t, "watches.md", "PAGE="+url)
	if want := r.watches(id.MemberID)[0].Value + "\n"; len(said) != 1 || said[0] != want {
		t.Errorf("got %q, want %q", said, want)
	}
}

// runLines runs the blocks for a shell of a page in docs, and returns what each
// says.
func runLines(t *testing.T, file string, env ...string) (said []string) {
	t.Helper()
	for _, program := range []string{"curl", "openssl", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed: the lines of docs/" + file + " are not run")
		}
	}
	page, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", block[1])
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s\n%s", err, block[1], out)
		}
		said = append(said, string(out))
	}
	return said
}
