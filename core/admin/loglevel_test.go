package admin_test

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/sdk"
)

func TestLogLevel(t *testing.T) {
	t.Parallel()
	_, level := logging.New(io.Discard, config.Log{Level: "warn"})
	r := newRig(t, func(_ *rig, h *admin.Hooks) { h.Level = level })
	for _, tt := range []struct {
		set  admin.LogLevelOptions
		want admin.LogLevel
	}{
		{admin.LogLevelOptions{Level: "info"}, admin.LogLevel{Level: "info", Configured: "warn"}},
		{admin.LogLevelOptions{Level: "debug", For: time.Hour}, admin.LogLevel{Level: "debug", Configured: "warn", Then: "info"}},
		{admin.LogLevelOptions{Level: "error"}, admin.LogLevel{Level: "error", Configured: "warn"}},
	} {
		set, err := r.SetLogLevel(t.Context(), tt.set)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.LogLevel(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(set, got); diff != "" || set.Until.IsZero() != (tt.set.For == 0) {
			t.Errorf("%+v: what was said and what is:\n%s", tt.set, diff)
		}
		if diff := cmp.Diff(&tt.want, got, cmpopts.IgnoreFields(admin.LogLevel{}, "Until")); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.set, diff)
		}
	}
	for _, o := range []admin.LogLevelOptions{
		{Level: "loud"}, {Level: ""}, {Level: "DEBUG"}, {Level: "info+1"}, {Level: "debug", For: -1}, {Level: "debug", For: 8 * 24 * time.Hour},
	} {
		_, err := r.SetLogLevel(t.Context(), o)
		wantCode(t, err, sdk.ReasonInvalidArguments)
	}
	if got, err := r.LogLevel(t.Context()); err != nil || got.Level != "error" {
		t.Errorf("what was refused changed it: %+v, %v", got, err)
	}
	if _, err := r.SetLogLevel(t.Context(), admin.LogLevelOptions{Level: "debug"}); err != nil {
		t.Error(err)
	}
	_, err := newRig(t, nil).LogLevel(t.Context())
	wantCode(t, err, "not_running")
	_, err = newRig(t, nil).SetLogLevel(t.Context(), admin.LogLevelOptions{Level: "debug"})
	wantCode(t, err, "not_running")
}
