package app_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/claudemesh/broker/core/dial"
	"github.com/claudemesh/broker/core/presence"
	"github.com/claudemesh/broker/core/store"
)

// A transcript on this machine tells what its session does; a session without
// one keeps its status.
func TestStatusFromTranscripts(t *testing.T) {
	r := newRig(t, nil)
	home := t.TempDir()
	folder := filepath.Join(home, ".claude", "projects", "-src-ada")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ada, bo := named(r.member("ada", store.RoleMember), "ada"), named(r.member("bo", store.RoleMember), "bo")
	ada.Cwd, bo.Cwd = "/src/ada", "/src/bo"
	r.dial(ada, dial.Options{})
	r.dial(bo, dial.Options{})
	r.wantOnline(2)
	for _, step := range []struct {
		content string
		want    presence.Status
	}{
		{`[{"type":"tool_use"}]`, presence.Working},
		{`[{"type":"text"}]`, presence.Idle},
		{`[{"type":"tool_use"}]`, presence.Working},
	} {
		line := `{"type":"assistant","message":{"content":` + step.content + "}}\n"
		if err := os.WriteFile(filepath.Join(folder, "a.jsonl"), []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		r.app.InferAll(t.Context(), home)
		for _, v := range r.app.Views(r.mesh.ID) {
			want := presence.Idle
			if v.Name == "ada" {
				want = step.want
			}
			if v.Status != want || v.Source != presence.Inferred {
				t.Errorf("%s after %s: got %s by %s, want %s by %s", v.Name, step.content, v.Status, v.Source, want, presence.Inferred)
			}
		}
	}
}
