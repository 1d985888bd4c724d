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
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed: the lines of docs/rest.md are not run")
	}
	page, err := os.ReadFile("../../docs/rest.md")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	ada, bo := r.member("ada", store.RoleMember), r.member("bo", store.RoleMember)
	key, _ := r.apiKey(ada, keyForAll)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 4 {
		t.Fatalf("found %d blocks", len(blocks))
	}
	for _, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", block[1])
		cmd.Env = append(os.Environ(), "KEY="+key, "TO="+bo.RoutingKey().String(),
			"BROKER=http://"+strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/ws"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, block[1], out)
		}
	}
}
