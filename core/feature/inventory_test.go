package feature

import (
	"os"
	"strings"
	"testing"
)

// Every type that the original's clients send is served, or left to plugins, and
// docs/messages.md says which.
func TestInventory(t *testing.T) {
	list, err := os.ReadFile("testdata/inventory.txt")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	reg, n := All(Deps{}), 0
	for line := range strings.Lines(string(list)) {
		typ := strings.TrimSpace(line)
		if typ == "" || typ[0] == '#' {
			continue
		}
		n++
		owner := reg.Owner(typ)
		state := "| `" + typ + "` |" // of plugins
		if owner != nil && !owner.Open() {
			state = "| " + link(typ) + " |"
		}
		switch {
		case owner == nil:
			t.Errorf("nobody answers %s, or says which plugin could", typ)
		case !strings.Contains(string(page), state):
			t.Errorf("docs/messages.md does not list %s as %q", typ, state)
		}
	}
	if n != 84+17 {
		t.Errorf("the inventory has %d types, want 84 and 17", n)
	}
}
