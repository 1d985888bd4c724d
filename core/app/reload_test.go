package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/claudemesh/broker/core/config"
)

// TestReloadOfApp follows a chain from the check of its config to the end of the
// broker, after which none comes up.
func TestReloadOfApp(t *testing.T) {
	r := newRig(t, nil)
	first, c := r.app.Chain(), r.app.Config()
	c.Pipeline = append([]config.Link{}, c.Pipeline...)
	c.Pipeline[len(c.Pipeline)-1].Deadline = time.Second
	name := c.Pipeline[len(c.Pipeline)-1].Name

	changes, err := r.app.CheckReload(t.Context(), c)
	if err != nil || len(changes) != 1 || changes[0] != name+": changed" || r.app.Chain() != first {
		t.Errorf("the check says %q, %v", changes, err)
	}
	wrong := c
	wrong.Pipeline = append([]config.Link{{Stage: "none", Name: "none", Enabled: true}}, c.Pipeline...)
	if _, _, err := r.app.Reload(t.Context(), wrong); err == nil || r.app.Chain() != first {
		t.Errorf("a stage that does not exist: %v", err)
	}

	p := r.pair()
	ctx, cancel := context.WithCancel(t.Context())
	_, drain, err := r.app.Reload(ctx, c)
	cancel() // it bounded the start, and the chain lives on
	if err != nil {
		t.Fatal(err)
	}
	if r.app.Chain() == first || r.app.Config().Pipeline[len(c.Pipeline)-1].Deadline != time.Second {
		t.Error("the new chain does not run")
	}
	if err := drain(t.Context()); err != nil {
		t.Error(err)
	}
	r.wantServed(p, "after the reload")

	r.stop()
	if _, _, err := r.app.Reload(t.Context(), c); err == nil {
		t.Error("a broker that has stopped takes a new chain")
	}
}
