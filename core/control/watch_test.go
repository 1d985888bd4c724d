package control_test

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/admin"
	"github.com/claudemesh/broker/core/config"
	"github.com/claudemesh/broker/core/control"
	"github.com/claudemesh/broker/core/logging"
	"github.com/claudemesh/broker/core/refusals"
)

// TestSameRefusalsAndLevel asks the same of a broker's socket and of the broker.
func TestSameRefusalsAndLevel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ring := refusals.New(4)
	_, level := logging.New(io.Discard, config.Log{Level: "info"})
	local, closeStore := openStore(t, dir, func(h *admin.Hooks) { h.Refusals, h.Level = ring, level })
	defer closeStore()
	serve(t, dir, local)
	remote, err := control.Open(t.Context(), dir, noStore(t))
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	ring.Add(&refusals.Refusal{
		At: time.UnixMilli(5).UTC(), Kind: "send", Mesh: "m", MemberID: "i", Name: "ada", Conn: 7, Stage: "grants",
		Reason: "not_granted", Text: "no", TraceID: "ab", Status: 403,
	})
	ring.Add(&refusals.Refusal{At: time.UnixMilli(6).UTC(), Reason: "malformed"})
	if set, err := remote.SetLogLevel(t.Context(), admin.LogLevelOptions{Level: "debug", For: time.Hour}); err != nil || set.Level != "debug" || set.Then != "info" {
		t.Errorf("set: %+v, %v", set, err)
	}
	for name, ask := range map[string]func(admin.Ops) (any, error){
		"refusals": func(o admin.Ops) (any, error) { return o.ListRefusals(t.Context(), admin.RefusalOptions{}) },
		"some": func(o admin.Ops) (any, error) {
			return o.ListRefusals(t.Context(), admin.RefusalOptions{Reason: "not_granted", Stage: "grants", Most: 3})
		},
		"those after one": func(o admin.Ops) (any, error) { return o.ListRefusals(t.Context(), admin.RefusalOptions{After: 1}) },
		"level":           func(o admin.Ops) (any, error) { return o.LogLevel(t.Context()) },
	} {
		want, err := ask(local)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := ask(remote)
		if err != nil {
			t.Errorf("%s through the socket: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -broker +socket:\n%s", name, diff)
		}
	}
	for name, ask := range map[string]func(admin.Ops) error{
		"an unknown mesh": func(o admin.Ops) error {
			_, err := o.ListRefusals(t.Context(), admin.RefusalOptions{Mesh: "x"})
			return err
		},
		"an unknown level": func(o admin.Ops) error {
			_, err := o.SetLogLevel(t.Context(), admin.LogLevelOptions{Level: "x"})
			return err
		},
	} {
		wantCode, wantLine := admin.Explain(ask(local))
		if code, line := admin.Explain(ask(remote)); code != wantCode || line != wantLine || code == "internal" {
			t.Errorf("%s: the socket says %q %q, the broker %q %q", name, code, line, wantCode, wantLine)
		}
	}
}
