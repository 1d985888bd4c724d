package presence

import (
	"slices"
	"strings"
	"testing"

	"github.com/claudemesh/broker/core/store"
)

// A new name of a member reaches its sessions that went by the old one, on
// whatever node they are, and those only.
func TestRename(t *testing.T) {
	a, b, rows := twoNodes(t)
	here, _ := a.come(arrival("ada", "s1"))
	ofItsOwn := arrival("ada", "s2")
	ofItsOwn.About.Name = "reviewer"
	a.come(ofItsOwn)
	a.come(arrival("bo", "s3"))
	there, _ := b.come(arrival("ada", "s4"))
	a.mirror(rows(b))
	b.mirror(rows(a))

	a.Rename("mesh", here.MemberID, "ada", "Ada L.")
	b.Rename("mesh", there.MemberID, "ada", "Ada L.")
	ofA, ofB := rows(a), rows(b)
	a.mirror(ofB)
	b.mirror(ofA)
	want := "Ada L.,Ada L.,bo,reviewer"
	for _, node := range []*rig{a, b} {
		var names []string
		for _, v := range node.Views("mesh") {
			names = append(names, v.Name)
		}
		slices.Sort(names)
		if got := strings.Join(names, ","); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if name, _ := a.Live(here); name != "Ada L." {
		t.Errorf("what it sends is from %s", name)
	}
	if !slices.ContainsFunc(ofA, func(p *store.Presence) bool { return p.ID == here.ID && p.DisplayName == "Ada L." }) {
		t.Error("the row keeps the old name")
	}
	a.Rename("nowhere", here.MemberID, "ada", "x")
}
