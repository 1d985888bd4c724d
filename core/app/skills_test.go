package app_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/app"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/store"
)

// What a mesh knows how to do is known on every node, one that comes later
// included.
func TestSkillsCrossNodes(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	ada, bo := a.joined(a.member("ada", store.RoleMember)), b.joined(b.member("bo", store.RoleMember))
	ada.ask(`{"type":"share_skill","name":"review","description":"d","instructions":"read twice"}`, "skill_ack")
	if got := bo.ask(`{"type":"get_skill","name":"review"}`, "skill_data"); !strings.Contains(got, "read twice") {
		t.Errorf("the other node has %s", got)
	}
	bo.write(`{"type":"remove_skill","name":"review","_reqId":1}`)
	bo.wantError("forbidden")
	ada.ask(`{"type":"remove_skill","name":"review"}`, "skill_ack")
	if got := bo.ask(`{"type":"list_skills"}`, "skill_list"); !strings.Contains(got, `"skills":[]`) {
		t.Errorf("the other node has %s", got)
	}
}

// A member finds its secrets wherever it connects, and nobody else does.
func TestVaultCrossesNodesAndRestarts(t *testing.T) {
	n := newNodes(t, 2, nil)
	a, b := n.both()
	owner := a.member("ada", store.RoleAdmin)
	sealed := func(size int) string { return base64.StdEncoding.EncodeToString(make([]byte, size)) }
	a.joined(owner).ask(fmt.Sprintf(`{"type":"vault_set","key":"K","ciphertext":%q,"nonce":%q,"sealed_key":%q}`,
		sealed(20), sealed(24), sealed(80)), "vault_ack")
	a.stop()
	if got := b.joined(owner).ask(`{"type":"vault_get","keys":["K"]}`, "vault_get_result"); !strings.Contains(got, `"key":"K"`) {
		t.Errorf("the other node has %s", got)
	}
	if got := b.joined(b.member("bo", store.RoleMember)).ask(`{"type":"vault_get","keys":["K"]}`, "vault_get_result"); !strings.Contains(got, `"entries":[]`) {
		t.Errorf("somebody else gets %s", got)
	}
}

// Each node asks its own plugin.
func TestPluginsAnswerOnEveryNode(t *testing.T) {
	n := newNodesWith(t, 2, func(c *config.Config) {
		c.Pipeline = append([]config.Link{ownerOf("notes", "note_put")}, c.Pipeline...)
	}, func(o *app.Options) { o.Plugins = ownHost{} })
	for i, r := range n.list {
		s := r.joined(r.member(text(i), store.RoleMember))
		s.write(`{"type":"note_put","text":"milk"}`)
		if k := s.kept(); k.Link != "notes" || k.Mesh != r.mesh.ID || k.Error != "" {
			t.Errorf("node %d: %+v", i, k)
		}
	}
}
