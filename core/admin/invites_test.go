package admin_test

import (
	"testing"
	"time"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/sdk"
)

func TestCreateInvite(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	m := r.mesh(t, "home", 0)
	inv, err := r.CreateInvite(t.Context(), "home", admin.InviteOptions{Role: "admin", Uses: 5, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	wantInvite(t, r, inv.Token, m.Owner, m.ID, "admin", 5)
	if inv.Link != "ic://join/"+inv.Token || inv.Slug != "home" || inv.BrokerURL != brokerURL {
		t.Errorf("got %+v", inv)
	}
	row, err := r.store.InviteByCode(t.Context(), inv.Code)
	if err != nil || row.ID != inv.ID || inv.URL != "" {
		t.Errorf("code %q is that of %+v, %v; short link %q", inv.Code, row, err, inv.URL)
	}
	if in := time.Until(inv.ExpiresAt); in > time.Hour || in < time.Hour-time.Minute {
		t.Errorf("expires in %v", in)
	}
	for _, o := range []admin.InviteOptions{{Role: "owner"}, {Uses: -1}, {Uses: 2_000_000}, {TTL: time.Millisecond}, {TTL: -time.Hour}} {
		_, err := r.CreateInvite(t.Context(), "home", o)
		wantCode(t, err, sdk.ReasonInvalidArguments)
	}
}

// TestShortLink holds that an invite has one where there are pages to answer it.
func TestShortLink(t *testing.T) {
	t.Parallel()
	app := ""
	r := newRig(t, func(_ *rig, h *admin.Hooks) { h.AppURL = func() string { return app } })
	r.mesh(t, "home", 0)
	for _, app = range []string{"", "https://mesh.example/"} {
		inv, err := r.CreateInvite(t.Context(), "home", admin.InviteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if app != "" {
			want = "https://mesh.example/i/" + inv.Code
		}
		if inv.URL != want {
			t.Errorf("app %q: got %q, want %q", app, inv.URL, want)
		}
	}
}
