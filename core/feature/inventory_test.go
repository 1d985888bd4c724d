package feature

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// notYet are the types that are being built.
func notYet() []string {
	return strings.Fields(`
		create_stream subscribe unsubscribe publish list_streams schedule list_scheduled cancel_scheduled
		get_file list_files file_status grant_file_access delete_file mesh_query mesh_execute mesh_schema
		set_clock pause_clock resume_clock get_clock mcp_register mcp_unregister mcp_list mcp_call mcp_call_response
		share_skill get_skill list_skills remove_skill peer_file_request peer_file_response peer_dir_request peer_dir_response
		create_webhook list_webhooks delete_webhook vault_set vault_list vault_delete vault_get watch unwatch watch_list
		topic_create topic_list topic_join topic_leave topic_members topic_history topic_mark_read
		  `)
}

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
	reg, wait, n := All(Deps{}), notYet(), 0
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
		switch missing := slices.Contains(wait, typ); {
		case owner == nil && !missing:
			t.Errorf("nobody answers %s, or says which plugin could", typ)
		case owner != nil && !strings.Contains(string(page), state):
			t.Errorf("docs/messages.md does not list %s as %q", typ, state)
		}
	}
	if n != 84+17 {
		t.Errorf("the inventory has %d types, want 84 and 17", n)
	}
}
