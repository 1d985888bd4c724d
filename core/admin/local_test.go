package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/claudemesh/broker/core"
	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/audit"
	"github.com/claudemesh/broker/core/chain"
	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/sdk"
)

func TestVerifyAudit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	m := r.mesh(t, "home", 0)
	want := func(valid bool, entries int64) {
		t.Helper()
		got, err := r.VerifyAudit(t.Context(), "home")
		if err != nil || got.Valid != valid || got.Entries != entries || got.Slug != "home" || got.MeshID != m.ID {
			t.Errorf("got %+v, %v; want valid %v with %d entries", got, err, valid, entries)
		}
	}
	want(true, 0)
	batch := &store.Batch{}
	for range 3 {
		batch.Audit = append(batch.Audit, &audit.Entry{
			MeshID: m.ID, EventType: "test", Payload: audit.Object(), CreatedAt: time.Now(),
		})
	}
	if err := r.store.Commit(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	want(true, 3)
}

func TestHooksThatAreNotThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, err := r.Migrations(t.Context())
	wantCode(t, err, "unsupported")
	_, err = r.Migrate(t.Context())
	wantCode(t, err, "unsupported")
	_, err = r.Chain(t.Context())
	wantCode(t, err, "unsupported")
	_, err = r.Reload(t.Context(), admin.ReloadOptions{})
	wantCode(t, err, "not_running")
	_, err = r.ListPlugins(t.Context())
	wantCode(t, err, "unsupported")
	wantCode(t, r.ResumePlugin(t.Context(), "hours"), "not_running")
}

func TestChainHasText(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ *rig, h *admin.Hooks) {
		h.Chain = func() (chain.Description, bool, error) {
			return chain.Description{Links: []chain.LinkDescription{{Name: "auth", Stage: "auth", Enabled: true}}}, true, nil
		}
		h.Loaded = func() admin.Loaded { return admin.Loaded{Generation: 3, By: admin.ByFile} }
	})
	c, err := r.Chain(t.Context())
	if err == nil && (c.Loaded == nil || c.Loaded.Generation != 3) {
		t.Errorf("loaded: %+v", c.Loaded)
	}
	if err != nil || !c.Running || !strings.Contains(c.Text, "auth") || len(c.Links) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	refused := core.Refuse("not_found", "no member")
	for _, tt := range []struct {
		name string
		err  error
		code sdk.Reason
		line string
	}{
		{"a refusal is its message", refused, "not_found", "no member"},
		{"what wraps it stays", fmt.Errorf("mesh was made: %w", refused), "not_found", "mesh was made: no member"},
		{"the operator sees the cause", core.Unavailable(errors.New("disk full")), "unavailable",
			"the broker cannot reach its store: try again in a moment (disk full)"},
		{"anything else is internal, in one line", errors.New("a\n  b"), "internal", "a b"},
	} {
		if code, line := admin.Explain(tt.err); code != tt.code || line != tt.line {
			t.Errorf("%s: got %q %q, want %q %q", tt.name, code, line, tt.code, tt.line)
		}
	}
}
