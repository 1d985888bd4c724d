package watch

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/claudemesh/broker/core/store"
	"github.com/claudemesh/broker/core/telemetry"
)

// TestLooksAreCounted has each look end in its own way.
func TestLooksAreCounted(t *testing.T) {
	status := http.StatusOK
	address, _ := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	w, watcher := newWorld()
	watcher.o.Looks = NewLooks()
	watcher.o.Client.resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errName }
	row := func(member, url, mode string) *store.Watch {
		return &store.Watch{ID: member + url, MemberID: member, URL: url, Mode: mode, NotifyOn: "change", Every: time.Minute}
	}
	w.rows = []*store.Watch{
		row("ada", address, Status),
		row("ada", "http://10.0.0.1", Hash), row("gone", "http://one.invalid", Hash),
		row("unknown", "http://two.invalid", Hash),
		row("ada", "http://nobody.invalid", Hash),
	}
	for _, status = range []int{200, 200, 404} {
		w.round(t, watcher, 2*time.Hour)
	}
	w.rows = w.rows[:1]
	w.rows[0].Mode, w.rows[0].Extract = JSON, "n"
	w.round(t, watcher, 2*time.Hour)
	want := []telemetry.Sample{
		{Values: []string{"first"}, Value: 1}, {Values: []string{"same"}, Value: 1}, {Values: []string{"changed"}, Value: 1},
		{Values: []string{"refused"}, Value: 6}, {Values: []string{"unreachable"}, Value: 3}, {Values: []string{"failed"}, Value: 3},
		{Values: []string{"unreadable"}, Value: 1},
	}
	if diff := cmp.Diff(want, watcher.o.Looks.Samples()); diff != "" {
		t.Error(diff)
	}
}
