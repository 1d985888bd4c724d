package admin_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/refusals"
	"github.com/claudemesh/broker/sdk"
)

func TestListRefusals(t *testing.T) {
	t.Parallel()
	ring := refusals.New(8)
	r := newRig(t, func(_ *rig, h *admin.Hooks) { h.Refusals = ring })
	home := r.mesh(t, "home", 1)
	if got, err := r.ListRefusals(t.Context(), admin.RefusalOptions{}); err != nil || got.Newest != 0 || got.Refusals == nil || len(got.Refusals) != 0 {
		t.Errorf("nothing refused: %+v, %v", got, err)
	}
	for _, f := range []refusals.Refusal{
		{Mesh: home.ID, Stage: "grants", Reason: sdk.ReasonForbidden, Name: "ada"}, // 1
		{Mesh: "claimed", Stage: "auth", Reason: sdk.ReasonUnknownMesh},            // 2
		{Mesh: home.ID, Reason: sdk.ReasonMalformed},                               // 3
		{Mesh: home.ID, Stage: "grants", Reason: "rate_limited"},                   // 4
	} {
		ring.Add(&f)
	}
	for name, tt := range map[string]struct {
		o    admin.RefusalOptions
		want []uint64
	}{
		"all of them, oldest first":        {admin.RefusalOptions{}, []uint64{1, 2, 3, 4}},
		"of a mesh by its slug":            {admin.RefusalOptions{Mesh: "home"}, []uint64{1, 3, 4}},
		"of a mesh by its id":              {admin.RefusalOptions{Mesh: home.ID}, []uint64{1, 3, 4}},
		"of a mesh that there is not":      {admin.RefusalOptions{Mesh: "claimed"}, []uint64{2}},
		"of a stage":                       {admin.RefusalOptions{Stage: "grants"}, []uint64{1, 4}},
		"of no stage":                      {admin.RefusalOptions{Stage: admin.NoStage}, []uint64{3}},
		"for a reason":                     {admin.RefusalOptions{Reason: sdk.ReasonMalformed}, []uint64{3}},
		"the newest of what is meant":      {admin.RefusalOptions{Mesh: "home", Most: 2}, []uint64{3, 4}},
		"after one":                        {admin.RefusalOptions{After: 2}, []uint64{3, 4}},
		"after the newest":                 {admin.RefusalOptions{After: 4}, nil},
		"after one that a restart took":    {admin.RefusalOptions{After: 99}, nil},
		"two that no refusal has together": {admin.RefusalOptions{Stage: "auth", Mesh: "home"}, nil},
	} {
		got, err := r.ListRefusals(t.Context(), tt.o)
		if err != nil || got.Newest != 4 {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		var numbers []uint64
		for _, f := range got.Refusals {
			numbers = append(numbers, f.Seq)
			if want := map[bool]string{true: "home"}[f.Mesh == home.ID]; f.Slug != want {
				t.Errorf("%s: the slug of %d is %q", name, f.Seq, f.Slug)
			}
		}
		if diff := cmp.Diff(tt.want, numbers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, err := r.ListRefusals(t.Context(), admin.RefusalOptions{Mesh: "hoem"})
	wantCode(t, err, sdk.ReasonUnknownMesh)
	_, err = newRig(t, nil).ListRefusals(t.Context(), admin.RefusalOptions{})
	wantCode(t, err, "not_running")
}

// TestListRefusalsWithoutAStore holds that what was refused is told while the
// store does not answer.
func TestListRefusalsWithoutAStore(t *testing.T) {
	t.Parallel()
	ring := refusals.New(8)
	r := newRig(t, func(_ *rig, h *admin.Hooks) { h.Refusals = ring })
	ring.Add(&refusals.Refusal{Mesh: "m", Reason: sdk.ReasonUnavailable})
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := r.ListRefusals(t.Context(), admin.RefusalOptions{})
	if err != nil || len(got.Refusals) != 1 || got.Refusals[0].Slug != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}
